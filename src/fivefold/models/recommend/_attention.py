"""Attention between the fields of a row: many tiny softmaxes, compiled with the queries side by side in vector registers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange, types
from numba.extending import intrinsic
from torch import Tensor

from fivefold.base.jit import njit

LANES = 8
"""Rows and columns of scratch are filled up to a multiple of what the kernels take at a time."""
_LOG2_E = np.float32(1.4426950408889634)
# 2^f on [-1/2, 1/2] to 2e-8: Taylor's terms ln(2)^k / k!.
_P1, _P2, _P3, _P4, _P5, _P6 = (
    np.float32(0.6931471805599453**k / f) for k, f in zip(range(1, 7), (1, 2, 6, 24, 120, 720))
)


@intrinsic
def _as_float(typing: Any, bits: Any) -> Any:
    """Return the float whose bits those of a 32-bit integer are."""
    from llvmlite import ir

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), build


@njit(fastmath={"contract"}, inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """Return e^x for x <= 0 by 2^n 2^f; unlike that of the C library it runs in vector registers."""
    scaled = max(x * _LOG2_E, np.float32(-126.0)) if x == x else x
    whole = np.rint(scaled)
    f = scaled - whole
    power = np.float32(1.0) + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * (_P5 + f * _P6)))))
    return power * _as_float((np.int32(whole) + np.int32(127)) << np.int32(23))


@njit(fastmath={"contract", "reassoc"})
def _dots(a, rows, d):  # type: ignore[no-untyped-def]
    """Return the products of a (m,) with eight rows; a loop with no store, so that its sums are grouped in one way alone."""
    r0 = r1 = r2 = r3 = r4 = r5 = r6 = r7 = np.float32(0.0)
    for m in range(len(a)):
        x = a[m]
        r0 += x * rows[d, m]
        r1 += x * rows[d + 1, m]
        r2 += x * rows[d + 2, m]
        r3 += x * rows[d + 3, m]
        r4 += x * rows[d + 4, m]
        r5 += x * rows[d + 5, m]
        r6 += x * rows[d + 6, m]
        r7 += x * rows[d + 7, m]
    return r0, r1, r2, r3, r4, r5, r6, r7


@njit(fastmath={"contract"})
def _spread(rows, first, size, out):  # type: ignore[no-untyped-def]
    """Copy columns ``first`` ... of rows (n, *) to out (size, n), transposed; what fills ``out`` up stays."""
    for m in range(len(rows)):
        for d in range(size):
            out[d, m] = rows[m, first + d]


@njit(fastmath={"contract"})
def _mixed(weights, parts, out):  # type: ignore[no-untyped-def]
    """Set out (m,) to the sum of parts (s, m) by weights (s,); s is a multiple of 8."""
    for d in range(0, len(weights), 8):
        w0, w1, w2, w3 = weights[d], weights[d + 1], weights[d + 2], weights[d + 3]
        w4, w5, w6, w7 = weights[d + 4], weights[d + 5], weights[d + 6], weights[d + 7]
        p0, p1, p2, p3 = parts[d], parts[d + 1], parts[d + 2], parts[d + 3]
        p4, p5, p6, p7 = parts[d + 4], parts[d + 5], parts[d + 6], parts[d + 7]
        for m in range(len(out)):
            first = w0 * p0[m] + w1 * p1[m] + w2 * p2[m] + w3 * p3[m]
            second = w4 * p4[m] + w5 * p5[m] + w6 * p6[m] + w7 * p7[m]
            out[m] = first + second if d == 0 else out[m] + (first + second)


@njit(fastmath={"contract"})
def _powers(keys, queries, top, total, out):  # type: ignore[no-untyped-def]
    """Fill out (n, m) with exp of keys (n, s) times queries (s, m), less its largest over n, and total with its sums."""
    n, lanes = len(keys), len(total)
    for m in range(lanes):
        top[m] = -np.inf
        total[m] = 0
    for j in range(n):
        _mixed(keys[j], queries, out[j])
        for m in range(lanes):
            top[m] = out[j, m] if out[j, m] > top[m] else top[m]
    for j in range(n):
        for m in range(lanes):
            power = _exp(out[j, m] - top[m])
            out[j, m] = power
            total[m] += power


@njit(fastmath={"contract"})
def _products(rows, columns, size, out, first):  # type: ignore[no-untyped-def]
    """Fill columns ``first`` ... of out (n, *) with rows (n, m) times columns (s, m); ``size`` of these are real."""
    for j in range(len(out)):
        for d in range(0, size, 8):
            found = _dots(rows[j], columns, d)
            for k in range(min(8, size - d)):
                out[j, first + d + k] = found[k]


@njit(fastmath={"contract"})
def _fill(rows, first, size, out):  # type: ignore[no-untyped-def]
    """Copy columns ``first`` ... of rows (n, *) to out (n, size); what fills ``out`` up stays."""
    for m in range(len(rows)):
        for d in range(size):
            out[m, d] = rows[m, first + d]


@njit(fastmath={"contract"})
def _back(parts, first, size, out):  # type: ignore[no-untyped-def]
    """Copy parts (size, n) to columns ``first`` ... of out (n, *), transposed."""
    for m in range(len(out)):
        for d in range(size):
            out[m, first + d] = parts[d, m]


@njit(parallel=True, fastmath={"contract"})
def _forward(qkv, heads, out):  # type: ignore[no-untyped-def]
    """Fill out (batch, n, heads * size) from queries, keys and values side by side (batch, n, 3 * heads * size)."""
    batch, n, wide = out.shape
    size = wide // heads
    lanes, even = -(-n // LANES) * LANES, -(-size // LANES) * LANES
    chunks = min(batch, 64)  # any value: the size of a unit of work
    for chunk in prange(chunks):
        q, result = np.zeros((even, lanes), np.float32), np.zeros((size, lanes), np.float32)
        k, v, p = (
            np.zeros((n, even), np.float32),
            np.zeros((size, lanes), np.float32),
            np.zeros((lanes, lanes), np.float32),
        )
        top, total = np.empty(lanes, np.float32), np.empty(lanes, np.float32)
        for row in range(batch * chunk // chunks, batch * (chunk + 1) // chunks):
            for h in range(heads):
                _spread(qkv[row], h * size, size, q)
                _fill(qkv[row], wide + h * size, size, k)
                _spread(qkv[row], 2 * wide + h * size, size, v)
                _powers(k, q, top, total, p)
                for d in range(size):
                    _mixed(v[d], p, result[d])
                    for m in range(lanes):
                        result[d, m] /= total[m]
                _back(result, h * size, size, out[row])


@njit(parallel=True, fastmath={"contract"})
def _backward(qkv, heads, grad, out):  # type: ignore[no-untyped-def]
    """Fill out, of the shape of qkv (batch, n, 3 * heads * size), with the gradient by it from that of the result."""
    batch, n, wide = grad.shape
    size = wide // heads
    lanes, even = -(-n // LANES) * LANES, -(-size // LANES) * LANES
    chunks = min(batch, 64)  # any value: the size of a unit of work
    for chunk in prange(chunks):
        q, g = np.zeros((even, lanes), np.float32), np.zeros((even, lanes), np.float32)
        dq = np.zeros((size, lanes), np.float32)
        k, v, kt = np.zeros((n, even), np.float32), np.zeros((n, even), np.float32), np.zeros((size, lanes), np.float32)
        p, ds = np.zeros((lanes, lanes), np.float32), np.zeros((lanes, lanes), np.float32)
        top, total, mean = np.empty(lanes, np.float32), np.empty(lanes, np.float32), np.empty(lanes, np.float32)
        for row in range(batch * chunk // chunks, batch * (chunk + 1) // chunks):
            for h in range(heads):
                at = h * size
                _spread(qkv[row], at, size, q)
                _fill(qkv[row], wide + at, size, k)
                _spread(qkv[row], wide + at, size, kt)
                _fill(qkv[row], 2 * wide + at, size, v)
                _spread(grad[row], at, size, g)
                _powers(k, q, top, total, p)
                for m in range(lanes):
                    total[m] = 1 / total[m]
                    mean[m] = 0
                for j in range(n):
                    _mixed(v[j], g, ds[j])
                    for m in range(lanes):
                        p[j, m] *= total[m]
                        mean[m] += p[j, m] * ds[j, m]
                for j in range(n):
                    for m in range(lanes):
                        ds[j, m] = p[j, m] * (ds[j, m] - mean[m])
                for d in range(size):
                    _mixed(kt[d], ds, dq[d])
                _back(dq, at, size, out[row])
                _products(ds[:n], q, size, out[row], wide + at)
                _products(p[:n], g, size, out[row], 2 * wide + at)


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
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (qkv,) = ctx.saved_tensors
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

    Notes
    -----
    Compiled in training alone; without gradients it is torch's, which exporters can trace.
    """
    if qkv.requires_grad and torch.is_grad_enabled() and qkv.is_cpu and qkv.dtype == torch.float32 and qkv.numel():
        return _Attention.apply(qkv.contiguous(), heads)
    parts = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in qkv.chunk(3, dim=2))
    return torch.nn.functional.scaled_dot_product_attention(*parts, scale=1.0).transpose(1, 2).flatten(2)
