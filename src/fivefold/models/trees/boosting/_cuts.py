"""Where the bins of a column end: bounds by quantiles, or levels."""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit

from ._histograms import BINS, MISSING

_EVEN = np.empty(0)


@njit
def _distinct(values, weight, distinct, counts, rows):
    """Write the distinct values of a sorted column (n,) without NaN, their weights and rows; return how many there are."""
    m = 0
    for i in range(len(values)):
        if m == 0 or values[i] != distinct[m - 1]:
            distinct[m] = values[i]
            counts[m] = 0.0
            rows[m] = 0
            m += 1
        counts[m - 1] += weight[i] if len(weight) > 0 else 1.0
        rows[m - 1] += 1
    return m


def distinct_values(values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct values of a sorted column (n,) without NaN, the weight of each and its rows: (m,) each."""
    n = len(values)
    distinct, counts, rows = np.empty(n), np.empty(n), np.empty(n, dtype=np.int64)
    m = _distinct(values, _EVEN if weight is None else weight, distinct, counts, rows)
    return distinct[:m], counts[:m], rows[:m]


@njit(error_model="numpy")
def _cut(distinct, counts, rows, max_bins, min_rows, out):
    m, n = len(distinct), 0
    total = 0.0
    for i in range(m):
        total += counts[i]
        n += rows[i]
    few = m <= max_bins
    if not few and min_rows > 0:
        max_bins = max(1, min(max_bins, n // min_rows))
    mean = total / max_bins
    rest, rest_bins = total, max_bins
    big = mean
    if not few:
        for i in range(m):
            if counts[i] >= big:
                rest -= counts[i]
                rest_bins -= 1
        mean = rest / rest_bins if rest_bins > 0 else np.inf
    made, inside, inside_rows = 0, 0.0, 0
    for i in range(m - 1):
        inside += counts[i]
        inside_rows += rows[i]
        if few:
            full = inside_rows >= min_rows
        else:
            if counts[i] < big:
                rest -= counts[i]
            full = counts[i] >= big or inside >= mean or (counts[i + 1] >= big and inside >= max(1.0, mean * 0.5))
        if not full:
            continue
        low, high = distinct[i], distinct[i + 1]
        middle = low / 2 + high / 2
        out[made] = low if middle >= high else middle  # between neighboring floats the midpoint may round up
        made += 1
        if made == max_bins - 1:
            break
        inside, inside_rows = 0.0, 0
        if not few and counts[i] < big:
            rest_bins -= 1
            mean = rest / rest_bins if rest_bins > 0 else np.inf
    return made


def cuts_of(distinct: np.ndarray, counts: np.ndarray, rows: np.ndarray, max_bins: int, min_rows: int) -> np.ndarray:
    """Return the upper bounds of the bins of a column, at most max_bins - 1, from its distinct values, weights and rows.

    A value that fills a bin by itself closes one, in which at most half a bin of smaller values lies too; the others share the
    remaining bins evenly. Bounds are midpoints. Bins are filled by weight; ``min_rows`` always counts rows.
    """
    out = np.empty(BINS)
    return out[: _cut(distinct, counts, rows, max_bins, min_rows, out)].copy()


def sorted_distinct(column: np.ndarray, mass: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return :func:`distinct_values` of a column (m,) in any order, whose missing values count for nothing."""
    if mass is None:
        ordered, own = np.sort(column), None  # NaN last
    else:
        places = np.argsort(column, kind="stable")
        ordered, own = column[places], mass[places]
    present = len(column) - int(np.isnan(ordered).sum())
    return distinct_values(ordered[:present], None if own is None else own[:present])


def level_bins(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the bin of each value of a categorical column: the place of its level, or MISSING."""
    if len(levels) == 0:
        return np.full(len(values), MISSING, dtype=np.uint8)
    order = np.argsort(levels)
    at = np.minimum(np.searchsorted(levels[order], values), len(levels) - 1)
    return np.where(levels[order][at] == values, order[at], MISSING).astype(np.uint8)


def rounded_down(cuts: np.ndarray) -> np.ndarray:
    """Return the largest float32 <= each cut: the same comparisons ``x <= cut`` for x of float32."""
    with np.errstate(over="ignore"):
        near = cuts.astype(np.float32)
    return np.where(near > cuts, np.nextafter(near, np.float32(-np.inf)), near)
