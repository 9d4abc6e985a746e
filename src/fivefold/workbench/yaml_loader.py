"""YAML with the scalars of YAML 1.2: ``3e-4`` is a number, ``no`` a string, a duplicate key an error; lines are kept.

Only plain data comes out (mappings with string keys, sequences, strings, numbers, booleans, null); tags that would build
anything else are refused, so reading a file never executes what it says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from fivefold.base.errors import SpecError

KeyPath = tuple[str | int, ...]

_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_INT = re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
_FLOAT = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_ODD_FLOAT = re.compile(r"^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$")
_CORE = "tag:yaml.org,2002:"
# A file of a few lines can name itself into billions of values; no specification needs this many.
_MOST_VALUES = 100_000


class _Loader(yaml.SafeLoader):
    """PyYAML's scanner and parser with the core schema of YAML 1.2."""

    yaml_implicit_resolvers: dict[Any, Any] = {}


class _Dumper(yaml.SafeDumper):
    """Quotes a string wherever YAML 1.1 *or* 1.2 would read something else."""

    yaml_implicit_resolvers = {first: list(rules) for first, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()}

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _pattern, _first in (
    ("bool", _BOOL, "tTfF"),
    ("null", _NULL, ["~", "n", "N", ""]),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+0123456789."),
    ("float", _ODD_FLOAT, "-+."),
):
    _Loader.add_implicit_resolver(_CORE + _tag, _pattern, list(_first))
    _Dumper.add_implicit_resolver(_CORE + _tag, _pattern, list(_first))


@dataclass(frozen=True)
class Document:
    """What a YAML file holds, and on which line each value stands."""

    value: Any
    name: str
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """Return ``file:line`` of the value at ``path``, or of its nearest parent."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"


def scalar(text: str) -> Any:
    """Return the value that ``text`` has as a plain YAML 1.2 scalar: ``"3e-4"`` is 0.0003, ``"no"`` is ``"no"``."""
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text.lower() == "true"
    if _INT.match(text):
        return (
            int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)
            if text[:2]
            in (
                "0o",
                "0x",
            )
            else int(text)
        )
    if _FLOAT.match(text):
        return float(text)
    if _ODD_FLOAT.match(text):
        return float(text.lower().replace(".", "", 1))
    return text


class _Walk:
    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.open: set[int] = set()
        self.count = 0

    def fail(self, node: yaml.Node, message: str) -> SpecError:
        return SpecError(f"{self.name}:{node.start_mark.line + 1}: {message}")

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.count += 1
        if self.count > _MOST_VALUES:
            raise self.fail(
                node, f"the file expands to more than {_MOST_VALUES} values; write fewer or drop the aliases."
            )
        if id(node) in self.open:
            raise self.fail(node, "an alias refers to the value it stands in; write the value out.")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if not node.tag.startswith(_CORE) or node.tag.removeprefix(_CORE) not in _PLAIN:
            raise self.fail(node, f"the tag {node.tag!r} is not accepted; use plain mappings, lists, text and numbers.")
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(child, (*path, i)) for i, child in enumerate(node.value)]
            return self.leaf(node)
        finally:
            self.open.discard(id(node))

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.fail(key_node, "a key must be text, not a list or mapping.")
            key = str(key_node.value)
            if key in found:
                first = self.lines[(*path, key)]
                raise self.fail(key_node, f"the key {dotted((*path, key))!r} is given twice (first on line {first}).")
            # The line of the key, not of what may start below it, is where a reader looks.
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, (*path, key))
        return found

    def leaf(self, node: yaml.Node) -> Any:
        text = str(node.value)
        tag = node.tag.removeprefix(_CORE)
        if tag == "str":
            return text
        value: Any = scalar(text)
        fits: dict[str, tuple[type, ...]] = {
            "int": (int,),
            "float": (int, float),
            "bool": (bool,),
            "null": (type(None),),
        }
        if not isinstance(value, fits[tag]) or (tag in ("int", "float") and isinstance(value, bool)):
            raise self.fail(node, f"{text!r} is not of type {tag}.")
        number: Any = value
        return float(number) if tag == "float" else number


_PLAIN = {"str", "int", "float", "bool", "null", "map", "seq"}


def dotted(path: KeyPath) -> str:
    """Return ``("optimizer", "lr")`` as ``"optimizer.lr"``."""
    return ".".join(str(part) for part in path)


def parse_yaml(text: str, name: str = "<text>") -> Document:
    """Return the document in ``text``; ``name`` stands in errors before the line number."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        problem = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise SpecError(f"{name}:{line}: not readable as YAML: {problem}.") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{name}: not readable as YAML: {' '.join(str(error).split())}.") from error
    if node is None:
        return Document(None, name)
    walk = _Walk(name)
    return Document(walk.value(node, ()), name, walk.lines)


def dump_yaml(value: Any) -> str:
    """Return plain data as YAML that :func:`parse_yaml` reads back equal, keys in the order given."""
    return str(
        yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)
    )
