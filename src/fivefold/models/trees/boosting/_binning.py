"""Bins: at most 255 a column, by quantiles where a column has more distinct values."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numba import prange

from fivefold.base.codec import Stateful
from fivefold.base.jit import njit
from fivefold.base.random import Streams

from ._binned import Binned
from ._cuts import cuts_of, level_bins, rounded_down, sorted_distinct
from ._histograms import BINS, MISSING
from ._sparse import MAX_BINS, SparseBins, by_column, with_zeros

_ROUND = 1024  # any value: rows binned at a time, so that they stay in the cache
_SERIAL = 1 << 16  # any value: numbers that one thread bins faster than two
_SORTED_COLUMNS = 32  # any value: columns copied at a time to be sorted


@njit
def _assign_part(X, cuts, places, strides, words, columns, start, end):
    k = X.shape[1]
    for begin in range(start, end, _ROUND):
        stop = min(end, begin + _ROUND)
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


@njit(parallel=True)
def _assign(X, cuts, places, strides, words, columns, threads):
    n = len(X)
    for t in prange(threads):
        _assign_part(X, cuts, places, strides, words, columns, n * t // threads, n * (t + 1) // threads)


def assign(
    X: np.ndarray,
    cuts: np.ndarray,
    places: np.ndarray,
    strides: np.ndarray,
    words: np.ndarray,
    columns: np.ndarray,
    threads: int,
) -> None:
    """Bin columns: X (n, k) and cuts (k, 256) ascending, padded with inf -> columns (k, n) and the bytes of ``words``."""
    if threads == 1 or X.size < _SERIAL:
        _assign_part(X, cuts, places, strides, words, columns, 0, len(X))
    else:
        _assign(X, cuts, places, strides, words, columns, threads)


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
        mass = None if weight is None else weight[rows]
        some = X if len(rows) == n else X[rows]
        if sp.issparse(some):
            columns = by_column(some)
            for f in range(d):
                self._learn(f, *with_zeros(columns, f, len(rows), mass))
        else:
            for first in range(0, d, _SORTED_COLUMNS):
                part = np.ascontiguousarray(some[:, first : first + _SORTED_COLUMNS].T)  # (k, m)
                for f, column in enumerate(part, start=first):
                    self._learn(f, *sorted_distinct(column, mass))
        self.n_bins = np.array([len(c) + (not k) for c, k in zip(self.cuts, self.kinds, strict=True)], dtype=np.int64)
        return self

    def _learn(self, f: int, distinct: np.ndarray, counts: np.ndarray, rows: np.ndarray) -> None:
        """Append the cuts of column f, or its levels."""
        if self.kinds[f]:
            order = np.argsort(-counts, kind="stable")[: self.max_bins]
            self.cuts.append(distinct[order])
        else:
            self.cuts.append(cuts_of(distinct, counts, rows, self.max_bins, self.min_rows))

    def padded(self, dtype: Any) -> np.ndarray:
        """Return the cuts of numeric columns for values of a float type: (d, 256), ascending, padded with inf."""
        table = np.full((len(self.cuts), BINS), np.inf, dtype=dtype)
        for f, cuts in enumerate(self.cuts):
            if not self.kinds[f]:
                table[f, : len(cuts)] = rounded_down(cuts) if dtype == np.float32 else cuts
        return table

    def sparse(self, X: Any) -> SparseBins:
        """Return a sparse table (n, d) in bins, without its zeros."""
        return SparseBins(X, self.cuts, self.padded(X.dtype), self.kinds, self.n_bins)

    def transform(self, X: Any, threads: int) -> Binned:
        """Return X (n, d) in bins."""
        if sp.issparse(X):
            return self.sparse(X).binned([])
        n = len(X)
        binned = Binned(n, self.n_bins, self.kinds)
        words = binned.words.view(np.uint8)
        assign(X, self.padded(X.dtype), binned.places, binned.strides, words, binned.columns, threads)
        for f in np.flatnonzero(self.kinds):
            bins = level_bins(np.asarray(X[:, f], dtype=np.float64), self.cuts[f])
            binned.columns[f] = bins
            words[binned.places[f] :: binned.strides[f]][:n] = bins
        return binned
