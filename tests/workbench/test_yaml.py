"""The YAML loader: scalars of YAML 1.2, places in errors, nothing but plain data."""

from __future__ import annotations

import pytest

from fivefold.base.errors import SpecError
from fivefold.workbench.yaml_loader import dump_yaml, parse_yaml, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("1_000", "1_000"),
        ("~", None),
        ("", None),
        (".inf", float("inf")),
        ("-.5e1", -5.0),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "s.yaml:3: the key 'a' is given twice (first on line 1)."),
        ("m:\n  x: 1\n  x: 2", "s.yaml:3: the key 'm.x' is given twice (first on line 2)."),
        ("a: !!python/object/apply:os.system [ls]", "s.yaml:1: the tag"),
        ("a: &x [*x]", "s.yaml:1: an alias refers to the value it stands in; write the value out."),
        ("a: [1", "s.yaml:1: not readable as YAML"),
        ("? [1]\n: 2", "s.yaml:1: a key must be text, not a list or mapping."),
        ("a: !!int foo", "s.yaml:1: 'foo' is not of type int."),
        ("a: 1\n---\nb: 2", "s.yaml:2: not readable as YAML: expected a single document"),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "s.yaml")
    assert str(caught.value).startswith(message)


def test_aliases_cannot_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join(f'*a{i - 1}' for _ in range(10))}]" for i in range(1, 9)]
    with pytest.raises(SpecError, match="expands to more than"):
        parse_yaml("\n".join(lines))


def test_lines_of_values() -> None:
    document = parse_yaml("a:\n  b: 1\n  c:\n    - x\n    - y\n", "f.yaml")
    assert document.where(("a", "b")) == "f.yaml:2"
    assert document.where(("a", "c", 1)) == "f.yaml:5"
    assert document.where(("a", "unknown")) == "f.yaml:1"


def test_written_text_is_read_back() -> None:
    value = {"a": ["3e-4", 3e-4, "no", None, True, {"x": {}}]}
    assert parse_yaml(dump_yaml(value)).value == value
