"""Convolution along the fields, pooling of the largest in their places and tanh, compiled: a row's sums stay in the cache."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from fivefold.base.jit import njit
from fivefold.base.tensors import slopes_of

from ._tiles import TILE, compiled, exchange, exp, parts, rows_of, whole_tiles

ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)  # with whole numbers Numba would go on in float64
# Below this tanh is its series to x^9, which keeps the digits of small numbers; beyond it the form with e^-2x.
SERIES = np.float32(0.25)
THIRD, FIFTH, SEVENTH, NINTH = (np.float32(c) for c in (-1 / 3, 2 / 15, -17 / 315, 62 / 2835))


@functools.cache
def sorting_network(n: int, k: int) -> np.ndarray:
    """Return exchanges (m, 2) of places i < j that bring the k largest of any n numbers to the front, in descending order.

    They are those of Batcher's merge exchange (Knuth's algorithm 5.2.2 M) on which the first k places hang.
    """
    found: list[tuple[int, int]] = []
    top = 1 << ((n - 1).bit_length() - 1) if n > 1 else 0
    p = top
    while p:
        q, r, d = top, 0, p
        while True:
            found += [(i, i + d) for i in range(n - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    needed, kept = set(range(k)), []
    for i, j in reversed(found):
        if i in needed or j in needed:
            needed |= {i, j}
            kept.append((i, j))
    return np.array(kept[::-1], dtype=np.int64).reshape(-1, 2)


@njit(fastmath={"contract"}, error_model="numpy")
def _tanh(x):  # type: ignore[no-untyped-def]
    square = x * x
    series = x + x * square * (THIRD + square * (FIFTH + square * (SEVENTH + square * NINTH)))
    e = exp(-TWO * abs(x))
    far = (ONE - e) / (ONE + e)
    return series if abs(x) < SERIES else (far if x > ZERO else -far)


@njit(fastmath={"contract"}, error_model="numpy")
def _add(scale, x, out):  # type: ignore[no-untyped-def]
    for t in range(len(out)):
        out[t] += scale * x[t]


@njit(fastmath={"contract", "reassoc"}, error_model="numpy")
def _dot(x, y):  # type: ignore[no-untyped-def]
    total = ZERO
    for t in range(len(x)):
        total += x[t] * y[t]
    return total


@njit(error_model="numpy")
def _overlap(shift, fields):  # type: ignore[no-untyped-def]
    """Return the first place f at which f + shift is a field, too, that f + shift, and how many there are."""
    return max(0, -shift), max(0, shift), max(0, fields - abs(shift))


@njit(error_model="numpy")
def _convolve(x, weight, bias, dim, z):  # type: ignore[no-untyped-def]
    """Fill z (maps, fields * dim) with the convolution of x (channels, fields * dim)."""
    maps, channels, width = weight.shape
    fields = x.shape[1] // dim
    for m in range(maps):
        z[m] = bias[m]
        for c in range(channels):
            for j in range(width):
                to, of, count = _overlap(j - (width - 1) // 2, fields)
                _add(weight[m, c, j], x[c, of * dim : (of + count) * dim], z[m, to * dim : (to + count) * dim])


@njit(error_model="numpy")
def _exchange_all(network, x, y, lanes, up):  # type: ignore[no-untyped-def]
    """Run a network over the rows of x, downwards or upwards; those of y move along."""
    for pair in range(len(network)):
        i, j = network[pair, up] * lanes, network[pair, 1 - up] * lanes
        for lane in range(0, lanes, TILE):
            exchange(x, y, i + lane, j + lane)


@njit(fastmath={"contract"}, error_model="numpy")
def _forward_rows(x, weight, bias, largest, in_order, out, places, rows):  # type: ignore[no-untyped-def]
    groups, maps, k, dim = out.shape[1:]
    fields, lanes = x.shape[3] // dim, whole_tiles(dim)
    z = np.empty((maps, fields * dim), np.float32)
    values, names, at = np.zeros((3, fields * lanes), np.float32)
    for t in range(len(names)):
        names[t] = t // lanes
    for row in rows:
        for g in range(groups):
            _convolve(x[row, g], weight[g], bias[g], dim, z)
            for m in range(maps):
                for f in range(fields):
                    for d in range(dim):
                        values[f * lanes + d] = z[m, f * dim + d]
                at[:] = names
                _exchange_all(largest, values, at, lanes, 0)
                _exchange_all(in_order, at, values, lanes, 1)
                for t in range(k * lanes):
                    values[t] = _tanh(values[t])
                for p in range(k):
                    for d in range(dim):
                        out[row, g, m, p, d] = values[p * lanes + d]
                        places[row, g, m, p, d] = at[p * lanes + d]


@njit(fastmath={"contract", "reassoc"}, error_model="numpy")
def _unpool(out, places, grad, z):  # type: ignore[no-untyped-def]
    """Set z (fields, dim), which is 0, to the gradient before tanh and pooling to (k, dim), and return its sum."""
    total = ZERO
    for p in range(len(out)):
        for d in range(out.shape[1]):
            slope = grad[p, d] * (ONE - out[p, d] * out[p, d])
            z[np.uint64(places[p, d]), d] = slope
            total += slope
    return total


@njit(error_model="numpy")
def _backward_rows(x, weight, out, places, grad, by_x, by_weight, by_bias, rows):  # type: ignore[no-untyped-def]
    groups, maps, channels, width = weight.shape
    dim = out.shape[4]
    fields = x.shape[3] // dim
    z = np.empty(fields * dim, np.float32)
    for row in rows:
        for g in range(groups):
            for m in range(maps):
                z[:] = ZERO
                by_bias[g, m] += _unpool(out[row, g, m], places[row, g, m], grad[row, g, m], z.reshape(fields, dim))
                for c in range(channels):
                    for j in range(width):
                        to, of, count = _overlap(j - (width - 1) // 2, fields)
                        here, there = z[to * dim : (to + count) * dim], slice(of * dim, (of + count) * dim)
                        by_weight[g, m, c, j] += _dot(here, x[row, g, c, there])
                        _add(weight[g, m, c, j], here, by_x[row, g, c, there])


@njit(parallel=True)
def _forward(x, weight, bias, largest, in_order, out, places):  # type: ignore[no-untyped-def]
    for part in prange(parts(len(x))):
        _forward_rows(x, weight, bias, largest, in_order, out, places, rows_of(part, len(x)))


@njit(parallel=True)
def _backward(x, weight, out, places, grad, by_x, by_weight, by_bias):  # type: ignore[no-untyped-def]
    for part in prange(parts(len(x))):
        _backward_rows(x, weight, out, places, grad, by_x, by_weight[part], by_bias[part], rows_of(part, len(x)))


def _plain(x: Tensor, weight: Tensor, bias: Tensor, k: int) -> Tensor:
    groups, maps, channels, width = weight.shape
    maps_in = x.flatten(1, 2)  # (batch, groups * channels, fields, dim)
    # Zeros beyond the ends keep the number of places.
    padded = torch.nn.functional.pad(maps_in, (0, 0, (width - 1) // 2, width // 2))
    kernels = weight.reshape(groups * maps, channels, width, 1)
    z = torch.nn.functional.conv2d(padded, kernels, bias.flatten(), groups=groups)
    return torch.tanh(largest_in_order(z, k)).unflatten(1, (groups, maps))


def largest_in_order(x: Tensor, k: int) -> Tensor:
    """Return the k largest values along axis 2, in the order in which they stand."""
    places = x.topk(k, dim=2).indices.sort(dim=2).values
    return x.gather(2, places)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, k: int) -> Tensor:
        batch, groups, _, fields, dim = x.shape
        out = x.new_empty(batch, groups, weight.shape[1], k, dim)
        places = torch.empty(out.shape, dtype=torch.int16)
        given = (t.detach().numpy() for t in (x.flatten(3), weight, bias))
        _forward(*given, sorting_network(fields, k), sorting_network(k, k), out.numpy(), places.numpy())
        ctx.save_for_backward(x, weight, bias, out, places)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, out, places = ctx.saved_tensors
        if torch.is_grad_enabled():  # under create_graph
            k = out.shape[3]
            return *slopes_of(lambda *given: _plain(*given, k), (x, weight, bias), grads), None
        by_x = torch.zeros_like(x)
        by_weight = torch.zeros(parts(len(x)), *weight.shape)
        by_bias = torch.zeros(parts(len(x)), *bias.shape)
        given = (x.flatten(3), weight, out, places, grads[0].contiguous(), by_x.flatten(3), by_weight, by_bias)
        _backward(*(t.detach().numpy() for t in given))
        return by_x, by_weight.sum(0), by_bias.sum(0), None


def pooled_convolution(x: Tensor, weight: Tensor, bias: Tensor, k: int) -> Tensor:
    r"""Return :math:`\tanh(p\text{-max}_k(W * x + b))`, the k largest of a map's fields in their order.

    Parameters
    ----------
    x : tensor (batch, groups, channels, fields, dim)
    weight : tensor (groups, maps, channels, width)
        Each group's kernels; one serves all places of a vector.
    bias : tensor (groups, maps)
    k : int, 1 to fields

    Returns
    -------
    tensor (batch, groups, maps, k, dim)
    """
    if compiled(x, weight, bias):
        return _Convolution.apply(x.contiguous(), weight.contiguous(), bias.contiguous(), k)
    return _plain(x, weight, bias, k)
