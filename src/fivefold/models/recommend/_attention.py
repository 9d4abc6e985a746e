"""Attention between the fields of a row: many tiny softmaxes, compiled with the queries side by side in vector registers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from fivefold.base.jit import njit
from fivefold.base.tensors import slopes_of

from ._tiles import compiled, exponentials, matmul, parts, rows_of, softmax_backward, whole_tiles


@njit(fastmath={"contract"}, error_model="numpy")
def _spread(rows, first, size, out):  # type: ignore[no-untyped-def]
    """Copy columns ``first`` ... of rows (n, *) to out (size, n), transposed; what fills ``out`` up stays."""
    for m in range(len(rows)):
        for d in range(size):
            out[d, m] = rows[m, first + d]


@njit(fastmath={"contract"}, error_model="numpy")
def _fill(rows, first, size, out):  # type: ignore[no-untyped-def]
    """Copy columns ``first`` ... of rows (n, *) to out (n, size); what fills ``out`` up stays."""
    for m in range(len(rows)):
        for d in range(size):
            out[m, d] = rows[m, first + d]


@njit(error_model="numpy")
def _forward_rows(qkv, heads, out, rows):  # type: ignore[no-untyped-def]
    """Fill rows of out (batch, n, heads * size) from queries, keys and values side by side (batch, n, 3 * heads * size)."""
    n, wide = out.shape[1:]
    size = wide // heads
    lanes, even = whole_tiles(n), whole_tiles(size)
    q, v, result = np.zeros((3, even, lanes), np.float32)
    k, p = np.zeros((lanes, even), np.float32), np.zeros((lanes, lanes), np.float32)
    total = np.empty(lanes, np.float32)
    for row in rows:
        for h in range(heads):
            at = h * size
            _spread(qkv[row], at, size, q)
            _fill(qkv[row], wide + at, size, k)
            _spread(qkv[row], 2 * wide + at, size, v)
            matmul(k, q, p)
            exponentials(p, n, total)
            matmul(v, p, result)
            for m in range(n):
                share = np.float32(1) / total[m]
                for d in range(size):
                    out[row, m, at + d] = result[d, m] * share


@njit
def _backward_rows(qkv, heads, grad, out, rows):  # type: ignore[no-untyped-def]
    """Fill rows of out, of the shape of qkv (batch, n, 3 * heads * size), with the gradient by it from that of the result."""
    n, wide = grad.shape[1:]
    size = wide // heads
    lanes, even = whole_tiles(n), whole_tiles(size)
    # Each of queries, keys and gradients once as it is (n, size), once transposed.
    q, k, v, g, dk = np.zeros((5, lanes, even), np.float32)
    qt, kt, gt, dq = np.zeros((4, even, lanes), np.float32)
    p, ds = np.zeros((2, lanes, lanes), np.float32)
    total = np.empty(lanes, np.float32)
    for row in rows:
        for h in range(heads):
            at = h * size
            _fill(qkv[row], at, size, q)
            _fill(qkv[row], wide + at, size, k)
            _fill(qkv[row], 2 * wide + at, size, v)
            _fill(grad[row], at, size, g)
            _spread(qkv[row], at, size, qt)
            _spread(qkv[row], wide + at, size, kt)
            _spread(grad[row], at, size, gt)
            matmul(k, qt, p)
            exponentials(p, n, total)
            matmul(v, gt, ds)
            softmax_backward(p, n, total, ds)
            matmul(kt, ds, dq)
            for m in range(n):
                for d in range(size):
                    out[row, m, at + d] = dq[d, m]
            matmul(ds, q, dk)
            for m in range(n):
                for d in range(size):
                    out[row, m, wide + at + d] = dk[m, d]
            matmul(p, g, dk)
            for m in range(n):
                for d in range(size):
                    out[row, m, 2 * wide + at + d] = dk[m, d]


@njit(parallel=True)
def _forward(qkv, heads, out):  # type: ignore[no-untyped-def]
    for part in prange(parts(len(out))):
        _forward_rows(qkv, heads, out, rows_of(part, len(out)))


@njit(parallel=True)
def _backward(qkv, heads, grad, out):  # type: ignore[no-untyped-def]
    for part in prange(parts(len(out))):
        _backward_rows(qkv, heads, grad, out, rows_of(part, len(out)))


def _plain(qkv: Tensor, heads: int) -> Tensor:
    parts = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in qkv.chunk(3, dim=2))
    return torch.nn.functional.scaled_dot_product_attention(*parts, scale=1.0).transpose(1, 2).flatten(2)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, heads: int) -> Tensor:
        batch, n, wide = qkv.shape
        out = qkv.new_empty(batch, n, wide // 3)
        _forward(qkv.detach().numpy(), heads, out.numpy())
        ctx.save_for_backward(qkv)
        ctx.heads = heads
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None]:
        (qkv,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # under create_graph
            with sdpa_kernel(SDPBackend.MATH):  # torch's others have no second derivatives
                return *slopes_of(lambda given: _plain(given, ctx.heads), (qkv,), grads), None
        out = torch.empty_like(qkv)
        _backward(qkv.detach().numpy(), ctx.heads, grads[0].contiguous().numpy(), out.numpy())
        return out, None


def attend(qkv: Tensor, heads: int) -> Tensor:
    r"""Return :math:`\mathrm{softmax}_k(Q_h K_h^\top) V_h` of all heads side by side, without scaling.

    Parameters
    ----------
    qkv : tensor (batch, n, 3 * heads * size)
        Queries, keys and values, each with its heads side by side.
    heads : int >= 1

    Returns
    -------
    tensor (batch, n, heads * size)
    """
    return _Attention.apply(qkv.contiguous(), heads) if compiled(qkv) else _plain(qkv, heads)
