"""Checks of single numbers and words that a caller gives; every refusal is one sentence.

They come in two voices. :func:`real`, :func:`whole` and :func:`choice` are for the parameters of estimators, which
scikit-learn's protocol stores unread and ``fit`` looks at: there a value of the wrong type is an :class:`InputTypeError`.
:func:`check_number`, :func:`check_count` and :func:`check_one_of` are for the arguments of layers, losses, optimizers, metrics
and functions, where every refusal is an :class:`InputError`; ``name`` may begin with its owner, as in ``"Adam: lr"``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

from .errors import InputError, InputTypeError


def real(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: bool = False,
    below: bool = False,
    finite: bool = True,
) -> float:
    """Return a number in [low, high] as a float; ``above`` and ``below`` exclude the ends, ``finite`` infinity."""
    accepted = _span(low, high, above, below)
    accepted = f"a number{accepted}" if accepted or not finite else "a finite number"
    if not _is_real(value):
        raise InputTypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give {accepted}.")
    if not _inside(float(value), low, high, above, below, finite):
        raise InputError(f"`{name}` is {value!r}; give {accepted}.")
    return float(value)


def whole(name: str, value: Any, *, low: int) -> int:
    """Return an integer of at least ``low`` as an int."""
    if not _is_whole(value):
        raise InputTypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give a whole number >= {low}.")
    if value < low:
        raise InputError(f"`{name}` is {value!r}; give a whole number >= {low}.")
    return int(value)


def choice(name: str, value: Any, accepted: Sequence[Any]) -> Any:
    """Return ``value`` when it is one of ``accepted``, which are words, None, True or False."""
    if not any(value is item or (isinstance(value, str) and value == item) for item in accepted):
        raise InputError(f"`{name}` is {value!r}; give one of {', '.join(map(repr, accepted))}.")
    return value


def check_number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
    finite: bool = True,
) -> float:
    """Return a number in [low, high] as a float; ``above`` and ``below`` exclude the ends, ``finite`` infinity."""
    if not _is_real(value) or not _inside(float(value), low, high, above, below, finite):
        kind = "a finite number" if finite else "a number"
        raise InputError(f"{name} must be {kind}{_span(low, high, above, below)}, got {value!r}.")
    return float(value)


def check_count(name: str, value: Any, low: int = 1) -> int:
    """Return an integer of at least ``low`` as an int."""
    if not _is_whole(value) or value < low:
        raise InputError(f"{name} must be a whole number >= {low}, got {value!r}.")
    return int(value)


def check_one_of(name: str, value: Any, accepted: Iterable[str]) -> str:
    """Return ``value`` when it is one of the words ``accepted``."""
    words = tuple(accepted)
    if not isinstance(value, str) or value not in words:
        raise InputError(f"{name} must be one of {', '.join(words)}; got {value!r}.")
    return value


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _inside(value: float, low: float, high: float, above: bool, below: bool, finite: bool) -> bool:
    inside = (low < value if above else low <= value) and (value < high if below else value <= high)
    return inside and (not finite or math.isfinite(value))


def _span(low: float, high: float, above: bool, below: bool) -> str:
    ends = [f"{'>' if above else '>='} {low:g}"] if math.isfinite(low) else []
    ends += [f"{'<' if below else '<='} {high:g}"] if math.isfinite(high) else []
    return f" {' and '.join(ends)}" if ends else ""
