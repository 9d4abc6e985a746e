"""Symmetric trees: all nodes of a level share one split, so a tree is a list of (column, bin) and a table of leaves.

A split is judged by sums over both sides of all nodes. With G and W the sums of gradients and weights of a side:

==========  ==================================================================================
L2          sum G^2 / (W + l2)
Cosine      the same over sqrt(sum W G^2 / (W + l2)^2): the cosine of gradients and leaf values
==========  ==================================================================================

"Newton" variants take sums of Hessians for W. Sums are exact in 64-bit fixed point: no order of rows or threads changes them.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fivefold.base.jit import njit

LEAST_GAIN = 1e-9
"""A level is added when the score grows by more, as in CatBoost."""
TIE = 1e-12
"""Scores closer than this, relatively, are equal but for rounding; the first column and the lowest cut are taken."""


@njit
def fixed_point(values, bits, out):
    """Round values (n,) to ``out`` (n,) int64 below 2^bits in size; return the unit."""
    top = 0.0
    for r in range(len(values)):
        top = max(top, abs(values[r]))
    exponent = np.int64(0)
    if top > 0:
        exponent = np.int64(np.ceil(np.log2(top))) + 1
    scale = 2.0 ** (bits - exponent)
    for r in range(len(values)):
        out[r] = np.int64(np.rint(values[r] * scale))
    return 1 / scale


@njit(error_model="numpy")
def _add_side(g, w, l2, top, bottom):
    """Add one side of one node to numerators and denominators (b,): sums g and w (b,)."""
    for b in range(len(g)):
        mean = g[b] / (w[b] + l2) if w[b] > 0 else 0.0
        top[b] += mean * g[b]
        bottom[b] += mean * mean * w[b]


@njit
def _fill(column, leaf, g, w, n_bins, n_leaves, sums):
    """Write the sums of g and w (n,) by node and bin: sums (2 n_leaves n_bins,)."""
    sums[: 2 * n_leaves * n_bins] = 0
    width = np.uint64(2 * n_bins)
    two, one = np.uint64(2), np.uint64(1)
    for r in range(len(column)):
        at = np.uint64(leaf[r]) * width + two * np.uint64(column[r])
        sums[at] += g[r]
        sums[at + one] += w[r]


@njit(error_model="numpy")
def _scan_column(
    column, n_bins, leaf, g, w, units, n_leaves, l2, cosine, noise, sums, left, right, top, bottom
):  # fmt: skip
    """Return the best score of a column and its bin; the lowest bin among equals."""
    cuts = n_bins - 1
    top[:cuts] = 0.0
    bottom[:cuts] = 1e-100
    for k in range(len(g)):
        _fill(column, leaf, g[k], w[min(k, len(w) - 1)], n_bins, n_leaves, sums)
        for node in range(n_leaves):
            first = 2 * node * n_bins
            all_g, all_w = np.int64(0), np.int64(0)
            for b in range(cuts):
                all_g += sums[first + 2 * b]
                all_w += sums[first + 2 * b + 1]
                left[0, b] = all_g * units[k, 0]
                left[1, b] = all_w * units[k, 1]
            all_g += sums[first + 2 * cuts]
            all_w += sums[first + 2 * cuts + 1]
            if all_w == 0:
                continue
            whole_g, whole_w = all_g * units[k, 0], all_w * units[k, 1]
            for b in range(cuts):
                right[0, b] = whole_g - left[0, b]
                right[1, b] = whole_w - left[1, b]
            _add_side(left[0, :cuts], left[1, :cuts], l2, top, bottom)
            _add_side(right[0, :cuts], right[1, :cuts], l2, top, bottom)
    best = -np.inf
    for b in range(cuts):
        top[b] = (top[b] / np.sqrt(bottom[b]) if cosine else top[b]) + noise[b]
        best = max(best, top[b])
    for b in range(cuts):
        if top[b] >= best - TIE * abs(best):
            return top[b], b
    return best, 0


@njit
def _scan_share(
    t, threads, bins, slots, n_bins, leaf, g, w, units, n_leaves, l2, cosine, noise, noise_at, best, at
):  # fmt: skip
    """Scan every ``threads``-th column from column t on."""
    sums = np.empty(2 * n_leaves * 256, dtype=np.int64)
    left, right, top, bottom = np.empty((2, 256)), np.empty((2, 256)), np.empty(256), np.empty(256)
    for c in range(t, len(slots), threads):
        best[c], at[c] = _scan_column(
            bins[slots[c]], n_bins[c], leaf, g, w, units, n_leaves, l2, cosine,
            noise[noise_at[c] : noise_at[c] + n_bins[c] - 1], sums, left, right, top, bottom,
        )  # fmt: skip


@njit
def scan_alone(bins, slots, n_bins, leaf, g, w, units, n_leaves, l2, cosine, noise, noise_at, best, at):
    """Write the best score (c,) and its bin (c,) for the columns bins[slots[c]] of n_bins[c] bins.

    ``leaf`` (n,) is the node of each row, g (K, n) and w (1 or K, n) fixed-point sums in ``units`` (K, 2). ``noise`` is added
    to the scores of the cuts of column c from ``noise_at[c]`` on.
    """
    _scan_share(0, 1, bins, slots, n_bins, leaf, g, w, units, n_leaves, l2, cosine, noise, noise_at, best, at)


@njit(parallel=True)
def scan(bins, slots, n_bins, leaf, g, w, units, n_leaves, l2, cosine, noise, noise_at, best, at, threads):
    """The same, columns shared among threads."""
    for t in prange(threads):
        _scan_share(
            t, threads, bins, slots, n_bins, leaf, g, w, units, n_leaves, l2, cosine, noise, noise_at, best, at
        )  # fmt: skip


@njit
def standing(leaf, g, w, units, n_leaves, l2, cosine):
    """Return the score of the nodes as they are."""
    top, bottom = np.zeros(1), np.full(1, 1e-100)
    for k in range(len(g)):
        sums = np.zeros((n_leaves, 2), dtype=np.int64)
        weights = w[min(k, len(w) - 1)]
        for r in range(len(leaf)):
            sums[leaf[r], 0] += g[k, r]
            sums[leaf[r], 1] += weights[r]
        for node in range(n_leaves):
            side = np.empty((2, 1))
            side[0, 0], side[1, 0] = sums[node, 0] * units[k, 0], sums[node, 1] * units[k, 1]
            _add_side(side[0], side[1], l2, top, bottom)
    return top[0] / np.sqrt(bottom[0]) if cosine else top[0]


@njit
def descend(column, cut, leaf):
    """Move rows one level down: their node is doubled, and one more where the bin lies above the cut."""
    for r in range(len(column)):
        leaf[r] = 2 * leaf[r] + (column[r] > cut)


@njit
def leaf_sums(leaf, values, n_leaves):
    """Return the sums of values (K, n) by leaf: (K, n_leaves)."""
    out = np.zeros((len(values), n_leaves))
    for k in range(len(values)):
        for r in range(len(leaf)):
            out[k, leaf[r]] += values[k, r]
    return out


@njit
def leaf_hessians(leaf, p, weight, n_leaves):
    """Return the sums of w (diag(p) - p p^T) by leaf: p (K, n), weight (n,) or (0,) -> (n_leaves, K, K)."""
    n_classes = len(p)
    out = np.zeros((n_leaves, n_classes, n_classes))
    for r in range(len(leaf)):
        w = weight[r] if len(weight) > 0 else 1.0
        for k in range(n_classes):
            out[leaf[r], k, k] += w * p[k, r]
            for j in range(n_classes):
                out[leaf[r], k, j] -= w * p[k, r] * p[j, r]
    return out


@njit
def add_leaves(leaf, values, raw):
    """Add the values (K, n_leaves) of the leaves of rows to raw (K, n)."""
    for k in range(len(raw)):
        for r in range(len(leaf)):
            raw[k, r] += values[k, leaf[r]]


def tree_arrays(
    columns: list[int],
    thresholds: list[float],
    values: np.ndarray,
    cover: np.ndarray,
    count: np.ndarray,
    missing_left: bool,
) -> dict[str, np.ndarray]:
    """Return one tree as :class:`Trees` keeps it: the nodes of a whole binary tree, level by level.

    ``values``, ``cover`` and ``count`` (2^depth,) belong to the leaves. A node holds the mean of its rows' values, its gain is
    the sum of squares about that mean which its split explains.
    """
    depth = len(columns)
    m = 2 ** (depth + 1) - 1
    level = np.log2(np.arange(1, m + 1)).astype(np.int64)
    inner = level < depth
    value, rows, mass, gain = np.zeros(m), np.zeros(m, dtype=np.int64), np.zeros(m), np.zeros(m)
    value[m // 2 :], rows[m // 2 :], mass[m // 2 :] = values, count, cover
    for node in range(m // 2 - 1, -1, -1):
        sides = slice(2 * node + 1, 2 * node + 3)
        rows[node], mass[node] = rows[sides].sum(), mass[sides].sum()
        if rows[node] > 0:
            value[node] = (value[sides] * rows[sides]).sum() / rows[node]
            gain[node] = ((value[sides] - value[node]) ** 2 * rows[sides]).sum()
    pick = np.minimum(level, max(depth - 1, 0))
    feature = np.where(inner, np.array([*columns, -1])[pick], -1)
    return {
        "feature": feature,
        "bin": np.full(m, -1),
        "threshold": np.where(inner, np.array([*thresholds, np.nan])[pick], np.nan),
        "missing_left": inner & missing_left,
        "left": np.where(inner, 2 * np.arange(m) + 1, -1),
        "right": np.where(inner, 2 * np.arange(m) + 2, -1),
        "value": value,
        "gain": gain,
        "count": rows,
        "cover": mass,
        "level_offset": np.full(m, -1, dtype=np.int32),
        "levels": np.empty((0, 4), dtype=np.uint64),
    }
