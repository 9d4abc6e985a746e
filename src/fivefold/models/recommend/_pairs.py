"""The pairwise term of factorization machines and its gradient, each in one pass over the fields."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fivefold.base.jit import njit


@njit(fastmath={"contract", "reassoc"})
def _forward(e, sums, out):  # type: ignore[no-untyped-def]
    """Fill sums (batch, dim), over the fields of e (batch, fields, dim), and out (batch,)."""
    half = e.dtype.type(0.5)
    for i in range(len(e)):
        own = sums[i]
        squares = e.dtype.type(0)
        for f in range(e.shape[1]):
            for k in range(e.shape[2]):
                x = e[i, f, k]
                own[k] += x
                squares += x * x
        whole = e.dtype.type(0)
        for k in range(e.shape[2]):
            whole += own[k] * own[k]
        out[i] = half * (whole - squares)


@njit(fastmath={"contract"})
def _backward(e, sums, grad, out):  # type: ignore[no-untyped-def]
    for i in range(len(e)):
        for f in range(e.shape[1]):
            for k in range(e.shape[2]):
                out[i, f, k] = grad[i] * (sums[i, k] - e[i, f, k])


class _Pairs(torch.autograd.Function):
    r""":math:`\partial / \partial e_i = \sum_{j \ne i} e_j`."""

    @staticmethod
    def forward(ctx: Any, e: Tensor) -> Tensor:
        sums, out = e.new_zeros(e.shape[0], e.shape[2]), e.new_empty(e.shape[0])
        _forward(e.detach().numpy(), sums.numpy(), out.numpy())
        ctx.save_for_backward(e, sums)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        e, sums = ctx.saved_tensors
        out = torch.empty_like(e)
        _backward(e.detach().numpy(), sums.numpy(), grads[0].contiguous().numpy(), out.numpy())
        return out


def pairwise_sum(e: Tensor) -> Tensor:
    r"""Return :math:`\sum_{i<j} \langle e_i, e_j \rangle` of the fields e (batch, fields, dim), in O(fields · dim)."""
    if e.is_cpu and e.requires_grad and torch.is_grad_enabled() and e.is_contiguous():
        return _Pairs.apply(e)
    return 0.5 * (e.sum(1).square() - e.square().sum(1)).sum(1)
