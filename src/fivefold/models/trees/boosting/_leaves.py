"""Leaf values of one tree added to the scores of rows: those it was grown on by its leaves, others by their bins."""

from __future__ import annotations

import numpy as np
from numba import prange

from fivefold.base.jit import njit

from ._binned import Binned
from ._grow import BIN, DEPTH, FEATURE, LEFT, MISSING_LEFT, bin_in
from ._histograms import BINS, MISSING

_LANES = 16  # any value: rows that walk side by side


@njit
def _leaf_part(rows, edges, values, score, start, stop):
    for i in range(len(values)):
        for p in range(max(start, edges[i]), min(stop, edges[i + 1])):
            score[rows[p]] += values[i]


@njit(parallel=True)
def _by_leaf(rows, edges, values, score, threads):
    n = len(rows)
    for t in prange(threads):
        _leaf_part(rows, edges, values, score, n * t // threads, n * (t + 1) // threads)


def add_by_leaf(rows: np.ndarray, edges: np.ndarray, values: np.ndarray, score: np.ndarray, threads: int) -> None:
    """Add values[i] to the scores of rows[edges[i]:edges[i + 1]]."""
    if threads == 1:
        _leaf_part(rows, edges, values, score, 0, len(rows))
    else:
        _by_leaf(rows, edges, values, score, threads)


@njit
def _routes(where, n_bins, ints, level_bits, right, child, place):
    """Write for every node which bins in memory go right (m, 256), its left child or itself, and its column in memory (m,)."""
    for node in range(len(ints)):
        f, inner = ints[node, FEATURE], ints[node, LEFT] >= 0
        child[node], place[node] = (ints[node, LEFT], where[f, 0]) if inner else (node, 0)
        for p in range(BINS):
            right[node, p] = 0
            if not inner:
                continue
            b = bin_in(p, where[f, 1], where[f, 2], n_bins[f])
            if ints[node, BIN] < 0:
                left = (level_bits[node, b >> 6] >> np.uint64(b & 63)) & np.uint64(1) != 0
            elif b == MISSING:
                left = ints[node, MISSING_LEFT] == 1
            else:
                left = b <= ints[node, BIN]
            right[node, p] = not left


@njit
def _walk_part(columns, right, child, place, depth, values, score, start, stop):
    """Add values to the scores of rows [start, stop).

    Lanes of rows take as many steps as the tree is deep, a leaf leading to itself: there is no branch to mispredict. The right
    child comes after the left one. Indices are unsigned, as Numba looks at the sign of others.
    """
    bins, sides, width = columns.reshape(-1), right.reshape(-1), np.uint64(columns.shape[1])
    at = np.empty(_LANES, dtype=np.uint64)
    eight = np.uint64(8)
    for low in range(start, stop, _LANES):
        lanes, first = min(_LANES, stop - low), np.uint64(low)
        for i in range(lanes):
            at[i] = 0
        for _ in range(depth):
            for i in range(lanes):
                node = at[i]
                bin_ = bins[np.uint64(place[node]) * width + first + np.uint64(i)]
                at[i] = np.uint64(child[node]) + np.uint64(sides[(node << eight) | np.uint64(bin_)])
        for i in range(lanes):
            score[low + i] += values[at[i]]


@njit(parallel=True)
def _by_walk(columns, right, child, place, depth, values, score, threads):
    n = len(score)
    for t in prange(threads):
        _walk_part(
            columns, right, child, place, depth, values, score, n * t // threads, n * (t + 1) // threads
        )  # fmt: skip


def add_by_walk(
    table: Binned, ints: np.ndarray, values: np.ndarray, level_bits: np.ndarray, score: np.ndarray, threads: int
) -> None:
    """Add the value of each row's leaf to its score (n,), by bins."""
    m = len(ints)
    right, child, place = np.empty((m, BINS), dtype=np.uint8), np.empty(m, dtype=np.int64), np.empty(m, dtype=np.int64)
    _routes(table.where, table.n_bins, ints, level_bits, right, child, place)
    depth = int(ints[:, DEPTH].max())
    if threads == 1:
        _walk_part(table.columns, right, child, place, depth, values, score, 0, len(score))
    else:
        _by_walk(table.columns, right, child, place, depth, values, score, threads)
