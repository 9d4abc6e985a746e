"""Checks of arguments and inputs that the building blocks share."""

from __future__ import annotations

from torch import Tensor

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError, InputTypeError


def positive(name: str, value: float) -> float:
    """Return a number above 0."""
    return check_number(name, value, 0, above=True, finite=False)


def probability(name: str, value: float) -> float:
    """Return a number in [0, 1)."""
    return check_number(name, value, 0, 1, below=True)


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
