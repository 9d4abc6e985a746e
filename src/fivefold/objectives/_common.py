"""What the losses share: reductions with weights, wider arithmetic for half precision, refusals."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fivefold.base.errors import DataError, InputError, InputTypeError

REDUCTIONS = ("none", "mean", "sum")


def check_reduction(reduction: str) -> str:
    """Return ``reduction`` when it is one of none, mean, sum."""
    if reduction not in REDUCTIONS:
        raise InputError(f"reduction must be one of none, mean, sum; got {reduction!r}.")
    return reduction


def check_class_weight(weight: Sequence[float] | Tensor | None) -> Tensor | None:
    """Return class weights as a float64 vector, or None."""
    if weight is None:
        return None
    values = torch.as_tensor(weight, dtype=torch.float64)
    if values.ndim != 1 or not bool((values >= 0).all()) or not bool(torch.isfinite(values).all()):
        raise InputError(f"weight must be a vector of one finite number >= 0 for each class, got {weight!r}.")
    return values


def checking() -> bool:
    """Tell whether values of tensors may be looked at: not while torch traces the code or maps it over a batch."""
    return not (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())


def check_float(name: str, input: Tensor) -> None:
    """Refuse inputs without gradients, such as integers."""
    if not isinstance(input, Tensor) or not input.is_floating_point():
        kind = input.dtype if isinstance(input, Tensor) else type(input).__name__
        raise InputTypeError(f"{name} needs an input tensor of floating-point numbers, got {kind}.")


def check_same(name: str, input: Tensor, target: Tensor) -> None:
    """Refuse anything but two tensors of one shape; silent broadcasting of (n, 1) against (n,) hides errors."""
    check_float(name, input)
    if input.shape != target.shape:
        raise DataError(
            f"{name} needs one target for each entry of the input: input has shape {tuple(input.shape)}, target "
            f"{tuple(target.shape)}; squeeze or reshape one of them."
        )


def check_classes(name: str, input: Tensor, target: Tensor, ignore_index: int | None = None) -> None:
    """Refuse logits and class indices that do not fit each other."""
    check_float(name, input)
    if input.ndim < 2 or input.shape[1] < 2 or input.shape[:1] + input.shape[2:] != target.shape:
        raise DataError(
            f"{name} needs an input (n, k, ...) with k >= 2 classes and class indices (n, ...); got shapes "
            f"{tuple(input.shape)} and {tuple(target.shape)}."
        )
    if target.is_floating_point() or target.dtype == torch.bool:
        raise InputTypeError(f"{name} needs class indices of an integer type, got {target.dtype}; use target.long().")
    if checking():
        bad = (target < 0) | (target >= input.shape[1])
        if ignore_index is not None:
            bad &= target != ignore_index
        if bool(bad.any()):
            raise DataError(
                f"{name} got the class index {int(target[bad][0])}, but the input has the classes 0 to "
                f"{input.shape[1] - 1}."
            )


def check_logits(name: str, input: Tensor) -> None:
    """Refuse (n, k, ...) of which the first four rows are plainly probabilities; fewer rows prove nothing."""
    if not checking() or len(input) < 4:
        return
    rows = wide(input[:4].detach())
    inside = (rows >= 0).all() & (rows <= 1).all() & ((rows.sum(1) - 1).abs() < 1e-5).all()
    if bool(inside):
        raise DataError(
            f"{name} needs logits, but the rows of the input are probabilities that sum to 1; leave out the softmax."
        )


def wide(input: Tensor) -> Tensor:
    """Return half-precision tensors in float32, others as they are."""
    return input.float() if input.dtype in (torch.float16, torch.bfloat16) else input


def sum_slack(p: Tensor) -> float:
    """Return how far the sum of a distribution over dimension 1 may be from 1."""
    return 4 * p.shape[1] * torch.finfo(p.dtype).eps  # any value: the rounding of a sum


def signed(x: Tensor, y: Tensor) -> Tensor:
    """Return the scores of the true class: x where y is 1, -x where it is 0."""
    return torch.where(y > 0, x, -x)


def root(squares: Tensor) -> Tensor:
    """Return the square root with slope 0 at 0, where it has none."""
    safe = torch.where(squares > 0, squares, torch.ones_like(squares))
    return torch.where(squares > 0, safe.sqrt(), torch.zeros_like(squares))


def check_rows(name: str, sample_weight: Tensor, shape: torch.Size) -> None:
    """Refuse sample weights of another shape than the unreduced loss, or negative ones."""
    if sample_weight.shape != shape:
        raise DataError(
            f"{name} needs sample_weight of the shape of its unreduced values, {tuple(shape)}; got "
            f"{tuple(sample_weight.shape)}."
        )
    if checking() and not bool((sample_weight >= 0).all()):
        raise DataError(f"{name} needs sample weights >= 0.")


def reduce(
    name: str,
    values: Tensor,
    reduction: str,
    dtype: torch.dtype,
    sample_weight: Tensor | None = None,
    total: Tensor | None = None,
) -> Tensor:
    """Weigh and reduce; ``total`` (of the shape of values) is what each value counts in the mean, default 1.

    A mean over nothing (no rows, all ignored, all weights 0) is 0.
    """
    if sample_weight is not None:
        check_rows(name, sample_weight, values.shape)
        sample_weight = sample_weight.to(values.dtype)
        values = values * sample_weight
        total = sample_weight if total is None else total * sample_weight
    if reduction == "none":
        return values.to(dtype)
    if reduction == "sum":
        return values.sum().to(dtype)
    if total is None:
        return (values.sum() / max(values.numel(), 1)).to(dtype)
    count = total.sum()
    return (values.sum() / torch.where(count > 0, count, torch.ones_like(count))).to(dtype)
