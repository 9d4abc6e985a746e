"""Limits: the ends that a docstring counts to a range are taken by ``fit``, what lies beyond is refused by name."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fivefold.base.errors import DataError, FivefoldError
from fivefold.workbench.proof import Check

_LINE = re.compile(r"^ {4}(\w[\w, ]*) : (.*)$", flags=re.MULTILINE)
_RANGE = re.compile(r"^(sequence of )?(int|float) (?:in ([\[(])(-?[\d.]+), ([\d.]+)([\])])|(>=?) (-?[\d.]+))")
_HAIR = 1e-3
"""How far inside of an open end a value is that must be taken; beyond a closed one the least step is refused."""


@dataclass(frozen=True)
class Limit:
    """One end of the range of a parameter: ``side`` -1 for the lower one."""

    whole: bool
    many: bool
    end: float
    inside: bool
    side: int

    def _shown(self, value: float) -> Any:
        number = int(value) if self.whole else value
        return (number,) if self.many else number

    @property
    def taken(self) -> Any:
        """The last value inside, or nearly so."""
        return self._shown(self.end if self.inside else self.end - self.side * _HAIR)

    @property
    def refused(self) -> Any:
        """The first value outside, or nearly so."""
        step = 1.0 if self.whole else 1e-9
        return self._shown(self.end + self.side * step if self.inside else self.end)


def _limits(method: type) -> Iterator[tuple[str, Limit]]:
    said: dict[str, str] = {}
    for parent in reversed(method.__mro__):
        for names, words in _LINE.findall(parent.__doc__ or ""):
            said.update(dict.fromkeys(names.split(", "), words))
    for name in inspect.signature(method).parameters:
        found = _RANGE.search(said.get(name, ""))
        if found is None:
            continue
        many, kind, opening, low, high, closing, sign, border = found.groups()
        how = (kind == "int", bool(many))
        if border:
            yield name, Limit(*how, float(border), sign == ">=", -1)
        else:
            yield name, Limit(*how, float(low), opening == "[", -1)
            yield name, Limit(*how, float(high), closing == "]", 1)


def _judged(fit: Callable[..., Any], setting: dict[str, Any]) -> str:
    """Return what is said against a setting; that data do not suffice for it is nothing against its range."""
    try:
        fit(**setting)
    except FivefoldError as error:
        return "" if isinstance(error, DataError) else str(error)
    return ""


def kept(method: type, fit: Callable[..., Any]) -> Check:
    """Fit with the lower ends and with the upper ones, each alone where all at once do not go together; try what lies beyond."""
    limits, wrong = list(_limits(method)), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a network of one unit learns nothing, and some say so
        for side in (-1, 1):
            ends = {name: limit.taken for name, limit in limits if limit.side == side}
            if ends and _judged(fit, ends):
                told = {name: _judged(fit, {name: value}) for name, value in ends.items()}
                wrong += [f"{name}={ends[name]!r}: {said}" for name, said in told.items() if said]
        for name, limit in limits:
            said = _judged(fit, {name: limit.refused})
            wrong += [] if name in said else [f"{name}={limit.refused!r}: {said or 'taken'}"]
    return Check(len(wrong), 0, f"ends judged otherwise: {'; '.join(wrong)}", "the docstring")
