"""Validation shared by the gradient optimizers."""

from __future__ import annotations

from torch import Tensor

from fivefold.base.errors import InputError


def dense(optimizer: str, gradients: list[Tensor]) -> None:
    """Refuse sparse gradients, which the dense update would silently turn into full ones."""
    if any(gradient.is_sparse for gradient in gradients):
        raise InputError(
            f"{optimizer} got a sparse gradient and updates dense ones only; build the embedding with sparse=False."
        )
