"""Exclusive feature bundling: columns that hardly ever leave their usual bins together share one column (Ke et al. 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ._binned import Binned
from ._binning import BinMapper
from ._histograms import BINS, MISSING
from ._sparse import MAX_BINS, places_of

SPARSE = 0.8
_LOOK = 4096  # any value: rows of a first look that spares dense columns a count


def defaults_of(columns: np.ndarray) -> np.ndarray:
    """Return the bin that most rows of each column lie in, the lowest among equals: columns (d, n) -> (d,)."""
    return np.array([np.bincount(column, minlength=BINS).argmax() for column in columns], dtype=np.int64)


def bundles(
    columns: np.ndarray,
    n_bins: np.ndarray,
    kinds: np.ndarray,
    *,
    sparse: float = SPARSE,
    budget: int = 0,
    most: int = MAX_BINS,
) -> list[list[int]]:
    """Return groups of sparse columns, of which at most ``budget`` rows leave the default bins of two: columns (d, n) in bins.

    Greedy coloring of the graph of conflicts: in order of the rows that leave their default bin, the most first, a column joins
    the first group that stays within the budget and within ``most`` bins. A column is sparse when the share ``sparse`` of its
    rows lies in one bin; categorical columns and columns with missing values stay alone.
    """
    d, n = columns.shape
    stride = max(1, n // _LOOK)
    away: dict[int, np.ndarray] = {}
    for f in range(d):
        if kinds[f] or n_bins[f] < 2 or np.bincount(columns[f, ::stride]).max() < (sparse - 0.1) * -(-n // stride):
            continue
        counts = np.bincount(columns[f], minlength=BINS)
        if not counts[MISSING] and counts.max() >= sparse * n:
            away[f] = np.packbits(columns[f] != counts.argmax())
    sizes = {f: int(np.bitwise_count(own).sum()) for f, own in away.items()}
    groups: list[list[int]] = []
    taken: list[np.ndarray] = []
    conflicts: list[int] = []
    widths: list[int] = []
    for f in sorted(away, key=lambda f: -sizes[f]):
        more = int(n_bins[f]) - 1
        for q in range(len(groups)):
            if widths[q] + more > most:
                continue
            clash = int(np.bitwise_count(taken[q] & away[f]).sum())
            if conflicts[q] + clash <= budget:
                groups[q].append(f)
                taken[q] |= away[f]
                conflicts[q] += clash
                widths[q] += more
                break
        else:
            groups.append([f])
            taken.append(away[f].copy())
            conflicts.append(0)
            widths.append(1 + more)
    return [sorted(g) for g in groups if len(g) > 1]


def merged(column: np.ndarray, bins: np.ndarray, default: int, offset: int) -> int:
    """Write the bins (n,) of one column into the column (n,) of its bundle, from ``offset`` on.

    Bin 0 of a bundle means the default bin of all its columns; the other bins of each follow in order.
    """
    rows = np.flatnonzero(bins != default)
    own = bins[rows].astype(np.int64)
    column[rows] = offset + own - (own > default)
    return len(rows)


def bundled(binned: Binned, groups: list[list[int]]) -> Binned:
    """Return the table with each group of columns in one place of memory."""
    usual = np.full(len(binned.n_bins), -1)
    for group in groups:
        usual[group] = defaults_of(binned.columns[group])
    where, widths = places_of(binned.n_bins, groups, usual)
    n = len(binned)
    columns = np.zeros((len(widths), n), dtype=np.uint8)
    for f, (p, offset, default) in enumerate(where):
        if default < 0:
            columns[p] = binned.columns[f]
        else:
            merged(columns[p], binned.columns[f], default, offset)
    out = Binned(n, binned.n_bins, binned.kinds, widths, where)
    out.columns = columns
    words = out.words.view(np.uint8)
    for p in range(len(widths)):
        words[out.places[p] :: out.strides[p]][:n] = columns[p]
    return out


def bundled_table(mapper: BinMapper, X: Any, threads: int) -> Binned:
    """Return X (n, d) in bins, sparse columns in bundles without conflicts; a sparse table is never made dense."""
    if sp.issparse(X):
        table = mapper.sparse(X)
        return table.binned(table.bundles(SPARSE))
    dense = mapper.transform(X, threads)
    groups = bundles(dense.columns, dense.n_bins, dense.kinds)
    return bundled(dense, groups) if groups else dense
