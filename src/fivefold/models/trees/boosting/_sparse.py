"""Sparse tables in bins: only the cells that leave the bin of zero are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.base.jit import njit

from ._binned import Binned
from ._cuts import level_bins, sorted_distinct
from ._histograms import MISSING

MAX_BINS = 255
_MOST_BUNDLES = 256  # any value: bundles that a column may join, a bit a row each


def by_column(X: Any) -> sp.csc_matrix:
    """Return a sparse table by columns, each cell once and in the order of rows."""
    columns = X.tocsc()
    columns.sum_duplicates()
    return columns


def with_zeros(
    columns: sp.csc_matrix, f: int, n: int, mass: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return :func:`distinct_values` of a column of a sparse table of n rows: its zeros are counted, not sorted."""
    cells = slice(columns.indptr[f], columns.indptr[f + 1])
    own = None if mass is None else mass[columns.indices[cells]]
    distinct, counts, rows = sorted_distinct(columns.data[cells], own)
    zeros = n - (cells.stop - cells.start)
    if zeros == 0:
        return distinct, counts, rows
    more = float(zeros) if mass is None else float(mass.sum() - own.sum())
    at = int(np.searchsorted(distinct, 0.0))
    if at < len(distinct) and distinct[at] == 0:
        counts[at] += more
        rows[at] += zeros
        return distinct, counts, rows
    return np.insert(distinct, at, 0.0), np.insert(counts, at, more), np.insert(rows, at, zeros)


@njit
def _numeric_bins(values, starts, numeric, cuts, bins):
    """Write the bins of the cells of numeric columns: values and bins (m,), by column from ``starts`` (d + 1,) on."""
    for f in range(len(numeric)):
        if not numeric[f]:
            continue
        edges = cuts[f]
        for i in range(starts[f], starts[f + 1]):
            x, at, step = values[i], np.int64(0), np.int64(128)
            while step > 0:
                at += step * np.int64(edges[at + step - 1] < x)
                step >>= 1
            bins[i] = at if x == x else MISSING


@njit
def _leaving(rows, bins, usual, starts, kept_starts, kept_rows, kept_bins):
    """Keep the cells (m,) outside of their column's usual bin; write where each column begins among them: (d + 1,)."""
    end = np.int64(0)
    for f in range(len(usual)):
        kept_starts[f] = end
        for i in range(starts[f], starts[f + 1]):
            kept_rows[end], kept_bins[end] = rows[i], bins[i]
            end += np.int64(bins[i] != usual[f])
    kept_starts[len(usual)] = end


@njit
def _join(candidates, rows, starts, widths, most, taken, filled, group):
    """Give each candidate, in order, the first bundle whose rows it does not share; write it to ``group`` (d,), else -1.

    ``taken`` (q, n / 64) holds the rows of each bundle, bit by bit; ``filled`` (q,) the bins in use, 0 for no bundle yet.
    """
    one = np.uint64(1)
    for f in candidates:
        for q in range(len(filled)):
            if max(filled[q], 1) + widths[f] > most:
                continue
            clash = False
            for i in range(starts[f], starts[f + 1]):
                r = np.uint64(rows[i])
                if (taken[q, r >> np.uint64(6)] >> (r & np.uint64(63))) & one:
                    clash = True
                    break
            if clash:
                continue
            for i in range(starts[f], starts[f + 1]):
                r = np.uint64(rows[i])
                taken[q, r >> np.uint64(6)] |= one << (r & np.uint64(63))
            filled[q] = max(filled[q], 1) + widths[f]
            group[f] = q
            break


@njit
def _scatter(rows, bins, starts, where, columns, words, places, strides):
    """Write the cells into both layouts of their columns."""
    for f in range(len(where)):
        at, offset, usual = where[f]
        column, first, stride = columns[at], places[at], strides[at]
        for i in range(starts[f], starts[f + 1]):
            b = np.int64(bins[i])
            if usual >= 0:
                b = offset + b - np.int64(b > usual)
            column[rows[i]] = b
            words[first + rows[i] * stride] = b


class SparseBins:
    """A sparse table in bins.

    Attributes
    ----------
    usual : int64 array (d,), the bin of zero
    starts : int64 array (d + 1,), where the cells of each column begin
    rows, bins : int32 and uint8 arrays (m,), the cells that lie in other bins, by column
    """

    def __init__(
        self, X: Any, cuts: list[np.ndarray], padded: np.ndarray, kinds: np.ndarray, n_bins: np.ndarray
    ) -> None:
        columns = by_column(X)
        self.n, self.n_bins, self.kinds = X.shape[0], n_bins, kinds
        d, zero = len(cuts), np.zeros(1)
        starts = columns.indptr.astype(np.int64)
        bins = np.empty(len(columns.data), dtype=np.uint8)
        _numeric_bins(columns.data, starts, kinds == 0, padded, bins)
        self.usual = (padded < 0).sum(axis=1)
        for f in np.flatnonzero(kinds):
            cells = slice(starts[f], starts[f + 1])
            bins[cells] = level_bins(columns.data[cells].astype(np.float64), cuts[f])
            self.usual[f] = level_bins(zero, cuts[f])[0]
        # One cell more than there are: a cell that is not kept is written, too, before the next takes its place.
        rows, kept = np.empty(len(bins) + 1, dtype=columns.indices.dtype), np.empty(len(bins) + 1, dtype=np.uint8)
        self.starts = np.empty(d + 1, dtype=np.int64)
        _leaving(columns.indices, bins, self.usual, starts, self.starts, rows, kept)
        self.rows, self.bins = rows[: self.starts[-1]], kept[: self.starts[-1]]
        self.d = d

    def bundles(self, sparse: float) -> list[list[int]]:
        """Return groups of numeric columns without missing values, no row of which leaves the bins of zero of two.

        The share ``sparse`` of the rows of such a column lies in the bin of zero. In order of the rows that leave it, the most
        first, a column joins the first group that it fits.
        """
        sizes = np.diff(self.starts)
        missing = np.zeros(self.d, dtype=bool)
        missing[np.searchsorted(self.starts, np.flatnonzero(self.bins == MISSING), side="right") - 1] = True
        candidates = np.flatnonzero(
            (self.kinds == 0) & (self.n_bins > 1) & ~missing & (self.n - sizes >= sparse * self.n)
        )
        candidates = candidates[np.argsort(-sizes[candidates], kind="stable")]
        most = min(_MOST_BUNDLES, len(candidates))
        taken, filled = np.zeros((most, -(-self.n // 64)), dtype=np.uint64), np.zeros(most, dtype=np.int64)
        group = np.full(self.d, -1, dtype=np.int64)
        _join(candidates, self.rows, self.starts, self.n_bins - 1, MAX_BINS, taken, filled, group)
        found = [np.flatnonzero(group == q).tolist() for q in range(most) if filled[q]]
        return [g for g in found if len(g) > 1]

    def binned(self, groups: list[list[int]]) -> Binned:
        """Return the table as the kernels read it, with each group of columns in one place of memory."""
        where, widths = places_of(self.n_bins, groups, self.usual)
        out = Binned(self.n, self.n_bins, self.kinds, widths, where)
        words = out.words.view(np.uint8)
        alone = where[:, 2] < 0
        rest = np.zeros(len(widths), dtype=np.uint8)  # what lies where there is no cell
        rest[where[alone, 0]] = self.usual[alone]
        out.columns[:] = rest[:, None]
        for p in np.flatnonzero(rest):
            words[out.places[p] :: out.strides[p]][: self.n] = rest[p]
        _scatter(self.rows, self.bins, self.starts, where, out.columns, words, out.places, out.strides)
        return out


def places_of(n_bins: np.ndarray, groups: list[list[int]], usual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``where`` and ``widths`` of :class:`Binned` for bundles of columns whose usual bins are given: (d,)."""
    d = len(n_bins)
    lead = {f: g[0] for g in groups for f in g}
    leads = [f for f in range(d) if lead.get(f, f) == f]
    place = {f: p for p, f in enumerate(leads)}
    where = np.array([[place[lead.get(f, f)], 0, -1] for f in range(d)], dtype=np.int64)
    widths = n_bins[leads].copy()
    for group in groups:
        end = 1
        for f in group:
            where[f, 1:] = end, usual[f]
            end += int(n_bins[f]) - 1
        widths[where[group[0], 0]] = end
    return where, widths
