"""Dice in training, compiled: one pass for the statistics, one for the values, two for the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor, nn

from fivefold.base.jit import njit
from fivefold.base.tensors import slopes_of

from ._tiles import exp, parts, rows_of

ONE = np.float32(1)  # with a whole number Numba would go on in float64


@njit(fastmath={"contract"}, error_model="numpy")
def _sigmoid(z):  # type: ignore[no-untyped-def]
    e = exp(-abs(z))
    return (ONE if z >= 0 else e) / (ONE + e)


@njit(fastmath={"contract"})
def _sums(s, rows, first, second):  # type: ignore[no-untyped-def]
    """Add to first and second (columns,) the distances of rows to row 0, and their squares."""
    for i in rows:
        for j in range(s.shape[1]):
            apart = np.float64(s[i, j]) - np.float64(s[0, j])
            first[j] += apart
            second[j] += apart * apart


@njit(fastmath={"contract"}, error_model="numpy")
def _row_values(s, rows, mean, inverse, alpha, out):  # type: ignore[no-untyped-def]
    for i in rows:
        for j in range(s.shape[1]):
            p = _sigmoid((s[i, j] - mean[j]) * inverse[j])
            out[i, j] = s[i, j] * (alpha[j] + (ONE - alpha[j]) * p)


@njit(fastmath={"contract"}, error_model="numpy")
def _slopes(s, rows, grad, mean, inverse, alpha, first, second, third):  # type: ignore[no-untyped-def]
    """Add to (columns,) the gradients by z, these times z, and the gradients by alpha."""
    for i in rows:
        for j in range(s.shape[1]):
            z = (s[i, j] - mean[j]) * inverse[j]
            p = _sigmoid(z)
            by_alpha = grad[i, j] * s[i, j] * (ONE - p)
            by_z = by_alpha * p * (ONE - alpha[j])
            first[j] += by_z
            second[j] += by_z * z
            third[j] += by_alpha


@njit(fastmath={"contract"}, error_model="numpy")
def _row_gradients(s, rows, grad, mean, inverse, alpha, center, slope, out):  # type: ignore[no-untyped-def]
    for i in rows:
        for j in range(s.shape[1]):
            z = (s[i, j] - mean[j]) * inverse[j]
            p = _sigmoid(z)
            by_z = grad[i, j] * s[i, j] * (ONE - p) * p * (ONE - alpha[j])
            direct = grad[i, j] * (alpha[j] + (ONE - alpha[j]) * p)
            out[i, j] = direct + inverse[j] * (by_z - center[j] - slope[j] * z)


@njit(parallel=True)
def _moments(s, sums):  # type: ignore[no-untyped-def]
    """Fill sums (parts, 2, columns) with those of :func:`_sums`."""
    for part in prange(len(sums)):
        _sums(s, rows_of(part, len(s)), sums[part, 0], sums[part, 1])


@njit(parallel=True)
def _values(s, mean, inverse, alpha, out):  # type: ignore[no-untyped-def]
    """Set out (rows, columns) to s (alpha + (1 - alpha) p)."""
    for part in prange(parts(len(s))):
        _row_values(s, rows_of(part, len(s)), mean, inverse, alpha, out)


@njit(parallel=True)
def _gradients(s, grad, mean, inverse, alpha, sums, out):  # type: ignore[no-untyped-def]
    """Fill sums (parts, 3, columns) with those of :func:`_slopes`, and out (rows, columns) with the gradient by s."""
    for part in prange(len(sums)):
        rows = rows_of(part, len(s))
        _slopes(s, rows, grad, mean, inverse, alpha, sums[part, 0], sums[part, 1], sums[part, 2])
    center, slope = np.empty_like(mean), np.empty_like(mean)
    for j in range(len(mean)):
        center[j], slope[j] = sums[:, 0, j].sum() / len(s), sums[:, 1, j].sum() / len(s)
    for part in prange(len(sums)):
        _row_gradients(s, rows_of(part, len(s)), grad, mean, inverse, alpha, center, slope, out)


def _plain(s: Tensor, alpha: Tensor, eps: float) -> Tensor:
    p = torch.sigmoid(nn.functional.batch_norm(s, None, None, training=True, eps=eps))
    return s * (alpha + (1 - alpha) * p)


class _Dice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, alpha: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        out = torch.empty_like(s)
        sums = torch.zeros(parts(len(s)), 2, s.shape[1], dtype=torch.float64)
        _moments(s.detach().numpy(), sums.numpy())
        shift, square = sums.sum(0) / len(s)
        mean = (s.detach()[0] + shift).to(s.dtype)
        variance = (square - shift.square()).clamp(min=0).to(s.dtype)
        inverse = torch.rsqrt(variance + eps)
        _values(s.detach().numpy(), mean.numpy(), inverse.numpy(), alpha.detach().numpy(), out.numpy())
        ctx.save_for_backward(s, mean, inverse, alpha)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        s, mean, inverse, alpha = ctx.saved_tensors
        if torch.is_grad_enabled():  # under create_graph
            return *slopes_of(lambda *given: _plain(*given, ctx.eps), (s, alpha), grads[:1]), None
        out = torch.empty_like(s)
        sums = torch.zeros(parts(len(s)), 3, s.shape[1], dtype=torch.float64)
        _gradients(*(x.detach().numpy() for x in (s, grads[0].contiguous(), mean, inverse, alpha, sums, out)))
        return out, sums[:, 2].sum(0).to(alpha.dtype), None


def dice(s: Tensor, alpha: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Return Dice of the rows of s (rows >= 2, columns) by their own statistics, which ``norm`` adds to its running ones."""
    out, mean, variance = _Dice.apply(s.contiguous(), alpha, norm.eps)
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (len(s) / (len(s) - 1)), norm.momentum)
    return out
