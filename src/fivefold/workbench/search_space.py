"""A search space: named parameters, each a range or a list of choices, mapped to and from the unit cube."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fivefold.base.codec import Stateful
from fivefold.base.errors import SpecError
from fivefold.base.names import nearest

_KEYS = ("low", "high", "log", "choices")


def value_key(value: Any) -> str:
    """Return a text that is equal for equal values of equal type, so that 1, 1.0 and True differ and lists compare."""
    return f"{type(value).__name__}:{value!r}"


@dataclass(frozen=True)
class Dimension(Stateful):
    """One parameter: a range of numbers (of integers when both bounds are), or choices without an order."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def size(self) -> int | None:
        """Number of values; None for a continuous range."""
        if self.choices:
            return len(self.choices)
        return int(self.high) - int(self.low) + 1 if self.integer else None

    def _bounds(self) -> tuple[float, float]:
        # Every integer owns the numbers that round to it, the first and the last included.
        margin = 0.5 if self.integer else 0.0
        low, high = self.low - margin, self.high + margin
        return (math.log(low), math.log(high)) if self.log else (low, high)

    def decode(self, unit: float) -> Any:
        """Return the value at a coordinate in [0, 1]."""
        if self.choices:
            return self.choices[min(int(unit * len(self.choices)), len(self.choices) - 1)]
        low, high = self._bounds()
        value = low + unit * (high - low)
        value = math.exp(value) if self.log else value
        if self.integer:
            return int(min(max(math.floor(value + 0.5), self.low), self.high))
        return float(min(max(value, self.low), self.high))

    def encode(self, value: Any) -> float:
        """Return the coordinate of a value that :meth:`holds` accepts."""
        if self.choices:
            keys = [value_key(choice) for choice in self.choices]
            return (keys.index(value_key(value)) + 0.5) / len(keys)
        low, high = self._bounds()
        return min(max(((math.log(value) if self.log else value) - low) / (high - low), 0.0), 1.0)

    def holds(self, value: Any) -> bool:
        """Whether the value lies in the range or among the choices."""
        if self.choices:
            return value_key(value) in {value_key(choice) for choice in self.choices}
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            return False
        return bool(self.low <= value <= self.high) and (not self.integer or float(value).is_integer())

    def values(self, points: int) -> list[Any]:
        """Return all choices, or up to ``points`` values of the range, evenly spaced on its scale, both ends included."""
        if self.choices:
            return list(self.choices)
        if self.integer and int(self.high) - int(self.low) < points:
            return list(range(int(self.low), int(self.high) + 1))
        if points == 1:
            return [self.decode(0.5)]
        grid = np.geomspace(self.low, self.high, points) if self.log else np.linspace(self.low, self.high, points)
        if self.integer:
            return sorted({math.floor(value + 0.5) for value in grid.tolist()})
        return [float(value) for value in grid]


class Space(Stateful):
    r"""Parameters to be searched, in the order given.

    A range maps the unit coordinate :math:`u` to :math:`l + u\,(h - l)`, on a logarithmic scale to
    :math:`l\,(h / l)^u`; a range of integers does so from :math:`l - 1/2` to :math:`h + 1/2` and rounds, so that on the
    linear scale all are equally likely; of k choices :math:`\lfloor u k \rfloor` is taken.

    Parameters
    ----------
    dimensions : sequence of Dimension
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self.dimensions = list(dimensions)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """Read a table such as the ``search`` of a card.

        Parameters
        ----------
        table : mapping
            Name of the parameter -> ``{"low": 1e-4, "high": 1e4, "log": True}`` (integers when both bounds are) or
            ``{"choices": [None, 4, 8]}``; a list is short for choices.

        Raises
        ------
        SpecError
            For a table that says nothing sensible.
        """
        return cls([_dimension(str(name), entry) for name, entry in table.items()])

    @property
    def names(self) -> list[str]:
        """Names of the parameters."""
        return [dimension.name for dimension in self.dimensions]

    @property
    def size(self) -> int | None:
        """Number of points; None when a range is continuous."""
        sizes = [dimension.size for dimension in self.dimensions]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    @property
    def categorical(self) -> np.ndarray:
        """Which parameters are choices, bool (d,)."""
        return np.array([bool(dimension.choices) for dimension in self.dimensions], dtype=bool)

    def __len__(self) -> int:
        return len(self.dimensions)

    def __repr__(self) -> str:
        return f"Space({', '.join(self.names)})"

    def decode(self, unit: np.ndarray) -> dict[str, Any]:
        """Return the parameters at a point (d,) of the unit cube, as Python scalars."""
        return {d.name: d.decode(u) for d, u in zip(self.dimensions, np.asarray(unit, dtype=np.float64).tolist())}

    def encode(self, params: Mapping[str, Any]) -> np.ndarray:
        """Return the point (d,) of the unit cube where the parameters lie; other names are ignored.

        Raises
        ------
        SpecError
            When a parameter is missing, out of its range or not among its choices.
        """
        for dimension in self.dimensions:
            if dimension.name not in params:
                raise SpecError(
                    f"The parameters lack {dimension.name!r}; the search space has: {', '.join(self.names)}."
                )
            if not dimension.holds(params[dimension.name]):
                raise SpecError(
                    f"{dimension.name}={params[dimension.name]!r} lies outside the search space; it takes {_accepted(dimension)}."
                )
        return np.array([dimension.encode(params[dimension.name]) for dimension in self.dimensions])

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Whether every parameter is there and within its range or choices."""
        return all(d.name in params and d.holds(params[d.name]) for d in self.dimensions)

    def key(self, params: Mapping[str, Any]) -> str:
        """Return a text that is equal for equal parameters."""
        return "|".join(value_key(params[name]) for name in self.names)

    def snap(self, units: np.ndarray) -> np.ndarray:
        """Return the points (n, d) moved to where the value they decode to lies: choices and integers have one place each."""
        units = np.array(units, dtype=np.float64)
        for j, dimension in enumerate(self.dimensions):
            column = units[:, j]
            if dimension.choices:
                k = len(dimension.choices)
                units[:, j] = (np.minimum(np.floor(column * k), k - 1) + 0.5) / k
            elif dimension.integer:
                low, high = dimension._bounds()
                value = low + column * (high - low)
                value = np.floor((np.exp(value) if dimension.log else value) + 0.5).clip(dimension.low, dimension.high)
                units[:, j] = ((np.log(value) if dimension.log else value) - low) / (high - low)
        return units

    def grid(self, points: int | Mapping[str, int | Sequence[Any]] = 5) -> list[dict[str, Any]]:
        """Return every combination, in the order of scikit-learn's ParameterGrid: sorted names, the last one fastest.

        Parameters
        ----------
        points : int >= 1, or mapping of a name to such an int or to the values themselves; default 5
            Values of every range (5 where a mapping is silent), evenly spaced on its scale; choices are taken whole, unless
            values are given.

        Raises
        ------
        SpecError
            For a name that is not searched, and a number of points below one.
        """
        return list(self._combinations(points))

    def _combinations(self, points: int | Mapping[str, int | Sequence[Any]]) -> Iterator[dict[str, Any]]:
        given = points if isinstance(points, Mapping) else dict.fromkeys(self.names, points)
        for name, wanted in given.items():
            if name not in self.names:
                hint = ", ".join(nearest(name, self.names))
                raise SpecError(f"The grid names {name!r}, which is not searched; did you mean one of: {hint}?")
            if isinstance(wanted, (bool, str)) or (isinstance(wanted, int) and wanted < 1):
                raise SpecError(
                    f"The grid of {name!r} takes a number of points >= 1 or a list of values, got {wanted!r}."
                )
        ordered = sorted(self.dimensions, key=lambda dimension: dimension.name)
        columns = []
        for dimension in ordered:
            wanted = given.get(dimension.name, 5)
            columns.append(dimension.values(wanted) if isinstance(wanted, int) else list(wanted))
        for row in itertools.product(*columns):
            yield {dimension.name: value for dimension, value in zip(ordered, row)}


def _accepted(dimension: Dimension) -> str:
    if dimension.choices:
        return "one of " + ", ".join(repr(choice) for choice in dimension.choices)
    kind = "whole numbers" if dimension.integer else "numbers"
    return f"{kind} from {dimension.low:g} to {dimension.high:g}"


def _dimension(name: str, entry: Any) -> Dimension:
    where = f"The search space of {name!r}"
    if isinstance(entry, (list, tuple, np.ndarray)):
        entry = {"choices": entry.tolist() if isinstance(entry, np.ndarray) else list(entry)}
    if not isinstance(entry, Mapping):
        raise SpecError(
            f"{where} must be a table with low and high or with choices, or a list of choices; got {entry!r}."
        )
    for key in entry:
        if key not in _KEYS:
            raise SpecError(f"{where} has the unknown key {key!r}; did you mean {nearest(str(key), _KEYS, 1)[0]!r}?")
    if "choices" in entry:
        return _choices(where, name, entry)
    for key in ("low", "high"):
        if key not in entry:
            raise SpecError(f"{where} lacks {key!r}; give low and high, or choices.")
        value = entry[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise SpecError(f"{where} has {key} = {value!r}, which is not a finite number.")
    low, high, log = entry["low"], entry["high"], entry.get("log", False)
    if not isinstance(log, bool):
        raise SpecError(f"{where} has log = {log!r}; it is true or false.")
    if low >= high:
        raise SpecError(f"{where} has low = {low!r}, which is not below high = {high!r}.")
    if log and low <= 0:
        raise SpecError(f"{where} has low = {low!r} on a logarithmic scale; there low must be above 0.")
    return Dimension(name, float(low), float(high), log, isinstance(low, int) and isinstance(high, int))


def _choices(where: str, name: str, entry: Mapping[str, Any]) -> Dimension:
    others = [key for key in entry if key != "choices"]
    if others:
        raise SpecError(f"{where} has choices and {others[0]!r}; give either choices or a range.")
    choices = entry["choices"]
    if isinstance(choices, str) or not isinstance(choices, Sequence) or len(choices) == 0:
        raise SpecError(f"{where} has choices = {choices!r}; give a list of at least one value.")
    keys = [value_key(choice) for choice in choices]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            raise SpecError(f"{where} holds the choice {choices[i]!r} twice.")
    return Dimension(name, choices=tuple(choices))
