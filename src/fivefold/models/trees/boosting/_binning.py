"""Bins: at most 255 a column, by quantiles where a column has more distinct values."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numba import prange

from fivefold.base.codec import Stateful
from fivefold.base.jit import njit
from fivefold.base.random import Streams

from ._histograms import BINS, COLUMNS_OF_BLOCK, MISSING

MAX_BINS = 255
_ROUND = 1024  # any value: rows binned at a time, so that they stay in the cache
_EVEN = np.empty(0)
_DENSE_COLUMNS = 32  # any value: columns of a sparse matrix made dense at a time


@njit(error_model="numpy")
def find_cuts(values, weight, max_bins, min_rows, out):
    """Write the upper bounds of the bins of one sorted column without NaN and return how many: at most max_bins - 1.

    A value that fills a bin by itself gets one; the others share the remaining bins evenly. Bounds are midpoints. With
    weights (n,), or none (0,), bins are filled by weight; ``min_rows`` always counts rows.
    """
    n = len(values)
    distinct = np.empty(n, dtype=np.float64)
    counts = np.empty(n, dtype=np.float64)
    rows = np.zeros(n, dtype=np.int64)
    m = 0
    for i in range(n):
        if m == 0 or values[i] != distinct[m - 1]:
            distinct[m] = values[i]
            counts[m] = 0.0
            m += 1
        counts[m - 1] += weight[i] if len(weight) > 0 else 1.0
        rows[m - 1] += 1
    few = m <= max_bins
    if not few and min_rows > 0:
        max_bins = max(1, min(max_bins, n // min_rows))
    total = counts[:m].sum()
    mean = total / max_bins
    rest_rows, rest_bins = total, max_bins
    big = np.zeros(m, dtype=np.bool_)
    if not few:
        for i in range(m):
            if counts[i] >= mean:
                big[i] = True
                rest_rows -= counts[i]
                rest_bins -= 1
        mean = rest_rows / rest_bins if rest_bins > 0 else np.inf
    made, inside, inside_rows = 0, 0.0, 0
    for i in range(m - 1):
        inside += counts[i]
        inside_rows += rows[i]
        if few:
            full = inside_rows >= min_rows
        else:
            if not big[i]:
                rest_rows -= counts[i]
            full = big[i] or inside >= mean or (big[i + 1] and inside >= max(1.0, mean * 0.5))
        if not full:
            continue
        low, high = distinct[i], distinct[i + 1]
        middle = low / 2 + high / 2
        out[made] = low if middle >= high else middle  # between neighboring floats the midpoint may round up
        made += 1
        if made == max_bins - 1:
            break
        inside, inside_rows = 0.0, 0
        if not few and not big[i]:
            rest_bins -= 1
            mean = rest_rows / rest_bins if rest_bins > 0 else np.inf
    return made


@njit(parallel=True)
def assign(X, cuts, places, strides, words, columns, threads):
    """Bin columns: X (n, k) and cuts (k, 256) ascending, padded with inf -> columns (k, n) and the bytes of ``words``."""
    n, k = X.shape
    for t in prange(threads):
        for begin in range(n * t // threads, n * (t + 1) // threads, _ROUND):
            stop = min(n * (t + 1) // threads, begin + _ROUND)
            for f in range(k):
                edges, column = cuts[f], columns[f]
                place, stride = places[f], strides[f]
                for r in range(begin, stop):
                    x = X[r, f]
                    at = np.int64(0)
                    at += 128 * np.int64(edges[at + 127] < x)
                    at += 64 * np.int64(edges[at + 63] < x)
                    at += 32 * np.int64(edges[at + 31] < x)
                    at += 16 * np.int64(edges[at + 15] < x)
                    at += 8 * np.int64(edges[at + 7] < x)
                    at += 4 * np.int64(edges[at + 3] < x)
                    at += 2 * np.int64(edges[at + 1] < x)
                    at += np.int64(edges[at] < x)
                    bin_ = np.uint8(at) if x == x else np.uint8(MISSING)
                    column[r] = bin_
                    words[place + r * stride] = bin_


def _aligned(size: int) -> np.ndarray:
    """Return zeroed bytes that begin at a cache line."""
    memory = np.zeros(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size]


class Binned:
    """A table in bins, in both layouts.

    Attributes
    ----------
    words : uint64 array; the word w of row r in block b is ``words[blocks[b, 0] + r * blocks[b, 1] + w]``
    columns : uint8 array (d, n)
    blocks : int64 array (b, 4), first word, words a row, first column, columns
    n_bins, kinds : int64 arrays (d,); kind 1 is categorical
    widths : int64 array (p,), bins of the p columns in memory: less than d when columns are bundled
    where : int64 array (d, 3), place in memory, offset of the bins there, and default bin (-1 outside of bundles)
    members : int64 array (p + 1 + d,), where the columns of each place begin in this array, then the columns by place
    """

    def __init__(
        self,
        n: int,
        n_bins: np.ndarray,
        kinds: np.ndarray,
        widths: np.ndarray | None = None,
        where: np.ndarray | None = None,
    ) -> None:
        self.n_bins, self.kinds = n_bins, kinds
        alone = np.column_stack([np.arange(len(n_bins)), np.zeros_like(n_bins), np.full_like(n_bins, -1)])
        self.where = (alone if where is None else where).astype(np.int64)
        self.widths = n_bins if widths is None else widths
        d = len(self.widths)
        by_place = np.argsort(self.where[:, 0], kind="stable")
        starts_of = np.searchsorted(self.where[by_place, 0], np.arange(d + 1))
        self.members = np.concatenate([starts_of + d + 1, by_place]).astype(np.int64)
        first = np.arange(0, d, COLUMNS_OF_BLOCK)
        widths = np.minimum(d - first, COLUMNS_OF_BLOCK)
        n_words = -(-widths // 8)
        starts = n * (np.cumsum(n_words) - n_words)
        self.blocks = np.column_stack([starts, n_words, first, widths]).astype(np.int64)
        self.words = _aligned(8 * n * int(n_words.sum())).view(np.uint64)
        self.columns = np.empty((d, n), dtype=np.uint8)
        block = np.arange(d) // COLUMNS_OF_BLOCK
        self.places = 8 * starts[block] + np.arange(d) - first[block]
        self.strides = 8 * n_words[block]

    def __len__(self) -> int:
        return self.columns.shape[1]

    def used(self, mask: np.ndarray) -> np.ndarray:
        """Return how many columns of each word (b, 4) are summed when the columns of ``mask`` (d,) are wanted: 0, 4 or 8."""
        width = 8 * 4 * len(self.blocks)
        wanted = np.zeros(width, dtype=bool)
        wanted[self.where[mask, 0]] = True  # blocks are full but for the last, so columns lie in order
        wanted = wanted.reshape(len(self.blocks), 4, 8)
        return np.where(wanted[:, :, 4:].any(axis=2), 8, np.where(wanted.any(axis=2), 4, 0)).astype(np.int64)


class BinMapper(Stateful):
    """Learns bins from a table and applies them.

    Parameters
    ----------
    max_bins : int in [2, 255], default 255
        Bins a column for values; missing values have one of their own.
    min_rows : int >= 1, default 3
        Rows of the sample a bin needs at least.
    sample : int, default 200,000
        Rows that the bounds are found from; drawn when there are more.

    Attributes
    ----------
    cuts : list of d float64 arrays
        Ascending; a value x lies in the bin ``#{cuts < x}``. For a categorical column its levels, the most frequent first:
        a level's place is its bin, every other value counts as missing.
    kinds : int64 array (d,), 1 for categorical columns
    n_bins : int64 array (d,)
    """

    def __init__(self, max_bins: int = MAX_BINS, min_rows: int = 3, sample: int = 200_000) -> None:
        self.max_bins, self.min_rows, self.sample = max_bins, min_rows, sample

    def fit(self, X: Any, categorical: np.ndarray, streams: Streams, weight: np.ndarray | None = None) -> BinMapper:
        """Find the bins of X (n, d), dense or CSR, float32 or float64; rows count by their weights."""
        n, d = X.shape
        rows = np.arange(n) if weight is None else np.flatnonzero(weight > 0)
        if len(rows) > self.sample:
            rows = np.sort(streams.numpy("bins").choice(rows, self.sample, replace=False, shuffle=False))
        self.kinds = categorical.astype(np.int64)
        self.cuts: list[np.ndarray] = []
        out = np.empty(BINS)
        mass = None if weight is None else weight[rows]
        some = X if len(rows) == n else X[rows]
        for first in range(0, d, _DENSE_COLUMNS):
            part = some[:, first : first + _DENSE_COLUMNS]
            part = np.ascontiguousarray((part.toarray() if sp.issparse(part) else part).T)  # (k, m)
            if mass is None:
                ordered, mass_of = np.sort(part, axis=1), None  # NaN last
            else:
                places = np.argsort(part, axis=1, kind="stable")
                ordered, mass_of = np.take_along_axis(part, places, axis=1), mass[places]
            for f in range(len(ordered)):
                m = len(rows) - int(np.isnan(ordered[f]).sum())
                values = ordered[f, :m]
                own = np.ones(m) if mass_of is None else mass_of[f, :m]
                if categorical[first + f]:
                    levels, at = np.unique(values, return_inverse=True)
                    counts = np.bincount(at, weights=own, minlength=len(levels))
                    order = np.argsort(-counts, kind="stable")[: self.max_bins]
                    self.cuts.append(levels[order].astype(np.float64))
                else:
                    made = find_cuts(values, _EVEN if mass_of is None else own, self.max_bins, self.min_rows, out)
                    self.cuts.append(out[:made].copy())
        self.n_bins = np.array([len(c) + (not k) for c, k in zip(self.cuts, self.kinds, strict=True)], dtype=np.int64)
        return self

    def transform(self, X: Any, threads: int) -> Binned:
        """Return X (n, d) in bins."""
        n, d = X.shape
        binned = Binned(n, self.n_bins, self.kinds)
        narrow = X.dtype == np.float32
        table = np.full((d, BINS), np.inf, dtype=X.dtype)
        for f, cuts in enumerate(self.cuts):
            if not self.kinds[f]:
                table[f, : len(cuts)] = rounded_down(cuts) if narrow else cuts
        words = binned.words.view(np.uint8)
        step = _DENSE_COLUMNS if sp.issparse(X) else d
        table_of = X.tocsc() if sp.issparse(X) else X
        for first in range(0, d, step):
            part = slice(first, min(d, first + step))
            dense = table_of[:, part].toarray(order="F") if sp.issparse(X) else X
            assign(dense, table[part], binned.places[part], binned.strides[part], words, binned.columns[part], threads)
            for f in np.flatnonzero(self.kinds[part]) + first:
                bins = level_bins(np.asarray(dense[:, f - first], dtype=np.float64), self.cuts[f])
                binned.columns[f] = bins
                words[binned.places[f] :: binned.strides[f]][:n] = bins
        return binned


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
