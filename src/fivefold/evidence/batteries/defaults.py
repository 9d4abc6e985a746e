"""Defaults: what a docstring states is what the signature gives, for a method and all that its file brings in."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from fivefold.base.cards import Card
from fivefold.workbench.proof import Check

_VALUE = r"""(?:"[^"]*"|None|True|False|-?[\d.,]*\d(?:e-?\d+)?)"""
_STATED = re.compile(rf"default[:=]? ?({_VALUE}(?:(?:, | and ){_VALUE})*)(?![\w/*^.(]|,?\d)|(\S+) \(default\)")
_LINE = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (.*)$", flags=re.MULTILINE)
_REFERENCE = re.compile(r":(?:func|class):`~?(?:\w+\.)*(\w+)`")


def _public(card: Card, variant: str) -> Iterator[Callable[..., Any]]:
    """Yield the method, and the public functions and classes of its package that its file holds or imports."""
    method = card.load(variant)
    for name, value in {method.__name__: method, **vars(sys.modules[method.__module__])}.items():
        home = getattr(value, "__module__", None) or ""
        if name.startswith("_") or not callable(value) or not home.startswith(f"fivefold.{card.package}."):
            continue
        yield value
        for parent in getattr(value, "__mro__", ()):
            if parent.__module__.startswith(f"fivefold.{card.package}."):
                yield from (f for n, f in vars(parent).items() if inspect.isfunction(f) and not n.startswith("_"))


def _own(method: Any) -> dict[str, str]:
    """Return the value that the docstring states behind the name of each parameter."""
    found: dict[str, str] = {}
    for names, words in _LINE.findall(inspect.getdoc(method) or ""):
        stated = _STATED.search(words)
        if stated is None:
            continue
        # "a, b : default 3 and 1" states one after the other; "a, b : default 3" one for both.
        values, each = re.split(", | and ", stated[1] or stated[2]), names.replace("*", "").split(", ")
        if len(values) in (1, len(each)):
            found.update((n, v.strip('"')) for n, v in zip(each, values * len(each)) if n not in found)
    return found


def _stated(method: Any) -> dict[str, str]:
    """Return what the docstring states, and for the rest what the classes that it refines or those it refers to do."""
    parents = getattr(method, "__mro__", (method,))
    module = vars(sys.modules[method.__module__])
    others = [module.get(name) for name in _REFERENCE.findall(inspect.getdoc(method) or "")]
    found: dict[str, str] = {}
    for each in (*parents, *others):
        found = {**_own(each), **found}
    return found


def _differ(method: Callable[..., Any]) -> list[str]:
    """Return the parameters whose default is another than the stated one."""
    if isinstance(method, type) and not any(inspect.isfunction(f) for f in (method.__init__, method.__new__)):
        return []  # made by compiled code, which tells no signature
    wrong, stated = [], _stated(method)
    for name, parameter in inspect.signature(method).parameters.items():
        default, value = parameter.default, stated.get(name)
        if value is None or type(default) not in (int, float, bool):
            continue
        number = type(default) in (int, float) and value[-1:].isdigit()
        if (float(value.replace(",", "")) != default) if number else value != str(default):
            wrong.append(f"{name}={default!r}")
    return wrong


def stated(card: Card, variant: str) -> Check:
    """Every default that a docstring states is that of the signature."""
    wrong = [f"{m.__qualname__}({', '.join(found)})" for m in _public(card, variant) if (found := _differ(m))]
    return Check(len(wrong), 0, f"defaults that are not as stated: {'; '.join(wrong)}", "the docstring")
