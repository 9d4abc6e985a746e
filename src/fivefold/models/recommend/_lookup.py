"""Rows of an embedding table for the codes of a batch: one pass forward, and backward a gradient that names a row once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fivefold.base.errors import DataError
from fivefold.base.jit import njit


@njit
def _gather(table, codes, scale, vectors, rest):  # type: ignore[no-untyped-def]
    """Fill vectors (n, dim) and rest (n, width - dim) with scaled rows; return where a code is out of range, or -1."""
    dim, others = vectors.shape[1], rest.shape[1]
    for i in range(len(codes)):
        code = codes[i]
        if code < 0 or code >= len(table):
            return i
        x = scale[i] if len(scale) else table.dtype.type(1)
        for k in range(dim):
            vectors[i, k] = table[code, k] * x
        for k in range(others):
            rest[i, k] = table[code, dim + k] * x
    return -1


@njit
def _ones(bits):  # type: ignore[no-untyped-def]
    """Return how many of 64 bits are set."""
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit
def distinct(codes, rows):  # type: ignore[no-untyped-def]
    """Return the distinct codes in order (k,), and the place of each code among them (n,); no code is sorted.

    A bit a row of the table marks what is there; counts of the bits before give the places.
    """
    one, low = np.uint64(1), np.int64(63)
    marks = np.zeros((rows + 63) // 64, dtype=np.uint64)  # any value: a word more does no harm
    for code in codes:
        marks[code >> 6] |= one << np.uint64(code & low)
    before = np.empty(len(marks), dtype=np.int64)
    total = 0
    for word in range(len(marks)):
        before[word] = total
        if marks[word]:
            total += _ones(marks[word])
    found, places = np.empty(total, dtype=np.int64), np.empty(len(codes), dtype=np.int32)
    for i in range(len(codes)):
        code = codes[i]
        smaller = marks[code >> 6] & ((one << np.uint64(code & low)) - one)
        place = before[code >> 6] + _ones(smaller)
        places[i] = place
        found[place] = code
    return found, places


@njit
def _scatter(places, scale, vectors, rest, out):  # type: ignore[no-untyped-def]
    """Add the scaled gradients of vectors (n, dim or 0) and rest (n, width - dim or 0) to out (k, width), row by row."""
    dim, others = vectors.shape[1], rest.shape[1]
    start = out.shape[1] - others
    for i in range(len(places)):
        place = places[i]
        x = scale[i] if len(scale) else out.dtype.type(1)
        for k in range(dim):
            out[place, k] += vectors[i, k] * x
        for k in range(others):
            out[place, start + k] += rest[i, k] * x


class _Lookup(torch.autograd.Function):
    """(weight, codes, scale, dim) -> the first ``dim`` columns of the rows, and the others, each times its scale."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, codes: Tensor, scale: Tensor | None, dim: int) -> tuple[Tensor, Tensor]:
        flat = codes.reshape(-1)
        n, width = len(flat), weight.shape[1]
        vectors, rest = weight.new_empty(n, dim), weight.new_empty(n, width - dim)
        factor = weight.new_empty(0) if scale is None else scale.reshape(-1).to(weight.dtype).contiguous()
        table = weight.detach().numpy()
        wrong = _gather(table, flat.numpy(), factor.numpy(), vectors.numpy(), rest.numpy())
        if wrong >= 0:
            raise DataError(f"A row has the index {int(flat[wrong])}; the table has the indices 0 to {len(table) - 1}.")
        ctx.save_for_backward(flat, factor)
        ctx.size, ctx.dim = weight.shape, dim
        ctx.set_materialize_grads(False)
        return vectors.reshape(*codes.shape, dim), rest.reshape(*codes.shape, width - dim)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        flat, factor = ctx.saved_tensors
        rows, width = ctx.size
        found, places = distinct(flat.numpy(), rows)
        out = np.zeros((len(found), width), dtype=factor.numpy().dtype)
        _scatter(places, factor.numpy(), _flat(grads[0], flat, factor), _flat(grads[1], flat, factor), out)
        index = torch.from_numpy(found)[None]
        grad = torch.sparse_coo_tensor(
            index, torch.from_numpy(out), ctx.size, is_coalesced=True, check_invariants=False
        )
        return grad, None, None, None


def unique(codes: Tensor, rows: int) -> Tensor:
    """Return the distinct codes (n,) of a table of ``rows`` rows, in order."""
    return torch.from_numpy(distinct(codes.numpy(), rows)[0]) if codes.is_cpu else torch.unique(codes)


def _flat(grad: Tensor | None, flat: Tensor, factor: Tensor) -> NDArray[Any]:
    """Return a gradient as (n, columns), with no column where there is none."""
    if grad is None:
        return factor.new_empty(len(flat), 0).numpy()
    return grad.detach().reshape(len(flat), grad.shape[-1]).contiguous().numpy()


class RowTable(nn.Embedding):
    """An embedding table whose sparse gradient comes with each row once, in order; on other devices torch's own."""

    def looked_up(self, codes: Tensor, scale: Tensor | None, dim: int) -> tuple[Tensor, Tensor]:
        """Return the first ``dim`` columns of the rows (…, dim) and the others (…, width - dim), times ``scale`` (…)."""
        if self.sparse and self.weight.is_cpu and self.weight.requires_grad and torch.is_grad_enabled():
            return _Lookup.apply(self.weight, codes, scale, dim)
        found = super().forward(codes)
        if scale is not None:
            found = found * scale.unsqueeze(-1)
        return found[..., :dim], found[..., dim:]

    def forward(self, codes: Tensor) -> Tensor:
        return self.looked_up(codes, None, self.embedding_dim)[0]
