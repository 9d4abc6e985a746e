"""Where a column of numbers is cut: by quantiles, width, optimal k-means in one dimension, and information gain."""

from __future__ import annotations

import numpy as np
from scipy.special import entr


def width_cuts(x: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the inner edges of bins of one width; none for a constant column."""
    low, high = float(x.min()), float(x.max())
    return np.unique(np.linspace(low, high, n_bins + 1)[1:-1]) if high > low else np.empty(0)


def quantile_cuts(x: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the distinct inner quantiles; the least value is no cut, since nothing lies left of it."""
    found = np.unique(np.percentile(x, np.linspace(0, 100, n_bins + 1)[1:-1], method="averaged_inverted_cdf"))
    return found[(found > x.min()) & (found < x.max())]


def kmeans_cuts(x: np.ndarray, n_bins: int) -> np.ndarray:
    """Return midpoints between the bins of least total squared distance to their means (the global optimum)."""
    from .discretizer_kernels import add_bin  # loads numba

    values, counts = np.unique(x, return_counts=True)
    m, k = len(values), min(n_bins, len(values))
    if k == 1:
        return np.empty(0)
    # Near 0, so that squares of sums do not cancel for values far from it.
    shifted = values - values[m // 2]  # any value: any of the values
    count = np.concatenate([[0.0], np.cumsum(counts)])
    total = np.concatenate([[0.0], np.cumsum(counts * shifted)])
    last = -(total[1:] ** 2) / count[1:]
    starts = np.zeros((k, m), dtype=np.int64)
    for bins in range(1, k):
        out = np.full(m, np.inf)
        add_bin(last, count, total, bins, out, starts[bins])
        last = out
    cuts, end = [], m - 1
    for bins in range(k - 1, 0, -1):
        first = int(starts[bins, end])
        cuts.append((values[first - 1], values[first]))
        end = first - 1
    return _middles(np.array(cuts[::-1]))


def _middles(pairs: np.ndarray) -> np.ndarray:
    # Between neighboring floats the midpoint may round down to the left one, which a cut must exclude.
    middle = pairs[:, 0] + (pairs[:, 1] - pairs[:, 0]) / 2
    return np.where(middle > pairs[:, 0], middle, pairs[:, 1])


def _entropy(counts: np.ndarray) -> np.ndarray:
    # counts (..., k) -> entropy in bits, (...,)
    return entr(counts / counts.sum(axis=-1, keepdims=True)).sum(axis=-1) / np.log(2.0)


def information_cuts(x: np.ndarray, codes: np.ndarray, classes: int) -> np.ndarray:
    """Return the cuts that Fayyad & Irani's minimum description length criterion accepts; midpoints of distinct values."""
    values, place = np.unique(x, return_inverse=True)
    counts = np.zeros((len(values), classes))
    np.add.at(counts, (place, codes), 1.0)
    sums = np.vstack([np.zeros(classes), np.cumsum(counts, axis=0)])  # (m + 1, k)
    cuts, open_parts = [], [(0, len(values))]
    while open_parts:
        first, end = open_parts.pop()
        if end - first < 2:
            continue
        whole = sums[end] - sums[first]
        left = sums[first + 1 : end] - sums[first]
        right = whole - left
        n = whole.sum()
        entropy = _entropy(whole)
        h_left, h_right = _entropy(left), _entropy(right)
        after = (left.sum(axis=1) * h_left + right.sum(axis=1) * h_right) / n
        best = int(after.argmin())
        k, k_left, k_right = (int((c > 0).sum()) for c in (whole, left[best], right[best]))
        delta = np.log2(3.0**k - 2) - (k * entropy - k_left * h_left[best] - k_right * h_right[best])
        if entropy - after[best] <= (np.log2(n - 1) + delta) / n:
            continue
        cut = first + 1 + best
        cuts.append((values[cut - 1], values[cut]))
        open_parts += [(first, cut), (cut, end)]
    return np.sort(_middles(np.array(cuts))) if cuts else np.empty(0)
