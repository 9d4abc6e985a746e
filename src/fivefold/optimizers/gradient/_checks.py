"""Validation shared by the gradient optimizers."""

from __future__ import annotations

import math

from torch import Tensor

from fivefold.base.errors import InputError


def number(
    optimizer: str, name: str, value: float, low: float, high: float = math.inf, *, open_low: bool = False
) -> None:
    """Refuse a hyperparameter outside ``[low, high)``, or ``(low, high)`` with ``open_low``."""
    inside = low < value if open_low else low <= value
    if not (inside and value < high):
        raise InputError(
            f"{optimizer}: {name} must lie in {'(' if open_low else '['}{low:g}, {high:g}), got {value!r}."
        )


def dense(optimizer: str, gradients: list[Tensor]) -> None:
    """Refuse sparse gradients, which the dense update would silently turn into full ones."""
    if any(gradient.is_sparse for gradient in gradients):
        raise InputError(
            f"{optimizer} got a sparse gradient and updates dense ones only; build the embedding with sparse=False."
        )
