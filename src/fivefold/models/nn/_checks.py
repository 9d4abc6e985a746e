"""Checks of arguments and inputs that the building blocks share."""

from __future__ import annotations

import math

from torch import Tensor

from fivefold.base.errors import InputError, InputTypeError


def whole(name: str, value: int, least: int = 1) -> int:
    """Return a whole number of at least ``least``, or refuse it by name."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}.")
    return value


def positive(name: str, value: float) -> float:
    """Return a number above 0, or refuse it by name."""
    if not value > 0:
        raise InputError(f"{name} must be above 0, got {value}.")
    return value


def finite(name: str, value: float) -> float:
    """Return a number that is neither infinite nor NaN, or refuse it by name."""
    if not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, got {value}.")
    return value


def probability(name: str, value: float) -> float:
    """Return a number in [0, 1), or refuse it by name."""
    if not 0 <= value < 1:
        raise InputError(f"{name} must lie in [0, 1), got {value}.")
    return value


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return one of the allowed words, or refuse it by name."""
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}, got {value!r}.")
    return value


def floating(layer: str, x: Tensor) -> None:
    """Refuse a tensor of integers or booleans."""
    if not x.is_floating_point():
        raise InputTypeError(f"{layer} takes floating-point tensors, got {x.dtype}; convert with `.float()`.")


def last_width(layer: str, x: Tensor, width: int, what: str = "features") -> None:
    """Refuse a tensor whose last axis is not ``width`` wide."""
    floating(layer, x)
    if x.ndim < 1 or x.shape[-1] != width:
        raise InputError(f"{layer} takes (*, {width}) with {width} {what}, got {tuple(x.shape)}.")


def channels(layer: str, x: Tensor, count: int, spatial: int | None = None) -> None:
    """Refuse a tensor that is not (N, ``count``, *), with exactly ``spatial`` further axes where that is given."""
    floating(layer, x)
    axes = "*" if spatial is None else "L" if spatial == 1 else "H, W"
    if x.ndim < 2 or x.shape[1] != count or (spatial is not None and x.ndim != 2 + spatial):
        raise InputError(f"{layer} takes (N, {count}, {axes}) with {count} channels, got {tuple(x.shape)}.")
