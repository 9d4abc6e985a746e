"""Histograms and best splits of all columns for the nodes that a split has made."""

from __future__ import annotations

import numpy as np
from numba import prange

from fivefold.base.jit import njit

from ._histograms import BINS, combine, fill_block
from ._splits import split_column, split_levels

# What a search reads: rows [start, end), the slot of their histogram, and the slot it is taken from or -1.
FROM, TO, SMALL, LARGE = range(4)
# Below this many (rows x columns) one thread is faster than two.
_PARALLEL = 1 << 17  # any value: results do not depend on threads
MANY_ROWS = 1 << 15  # any value: as many are shared among threads
WHOLE, BY_ROWS, MERGED = range(3)


@njit
def search_part(
    t, workers, phase, job, words, blocks, used, widths, where, members, n_bins, kinds, rows, gh, sums, counts, extra_sums,
    extra_counts, scratch, buffers, nodes, scan, allowed, unit, limits, whole, real, directions, work, scores, what, left, bits,
):  # fmt: skip
    """Do the share t of ``workers`` of a search; 0 of 1 does all of it.

    A search fills the histogram of the rows that ``job`` names, takes it from the slot LARGE (if >= 0) and finds the best split
    of every column for the nodes that ``scan`` asks for: 0 the small one, 1 the large one. Many columns are shared among
    workers at once (WHOLE). Few columns take two phases: BY_ROWS fills a histogram for each worker, MERGED adds them up and
    searches.
    """
    start, end, small, large = job[FROM], job[TO], job[SMALL], job[LARGE]
    plus = np.int64(1)
    own_sums, own_counts = sums[small], counts[small]
    if phase == BY_ROWS:
        if t > 0:
            own_sums, own_counts = extra_sums[t - 1], extra_counts[t - 1]
        start, end = start + (end - start) * t // workers, start + (end - start) * (t + 1) // workers
    for b in range(len(blocks)):
        if phase == WHOLE and b % workers != t:
            continue
        if phase != MERGED:
            fill_block(
                words, b, blocks, used, widths, rows, start, end, gh, scratch[t], buffers[t], own_sums, own_counts
            )
        if phase == BY_ROWS:
            continue
        from_column, to_column = blocks[b, 2], blocks[b, 2] + blocks[b, 3]
        if phase == MERGED:
            n_columns = to_column - from_column
            to_column = from_column + n_columns * (t + 1) // workers
            from_column += n_columns * t // workers
        for place in range(from_column, to_column):
            if phase == MERGED:
                for other in range(len(extra_sums)):
                    combine(place, widths[place], own_sums, own_counts, extra_sums[other], extra_counts[other], plus)
            if large >= 0:
                combine(place, widths[place], sums[large], counts[large], own_sums, own_counts, -plus)
            for m in range(members[place], members[place + 1]):
                f = members[m]
                for child in range(2):
                    if not scan[child]:
                        continue
                    slot = small if child == 0 else large
                    scores[child, f] = -np.inf
                    if not allowed[child, f]:
                        continue
                    if kinds[f] == 1:
                        split_levels(
                            sums[slot], counts[slot], f, where[f], n_bins[f], nodes[child], unit, limits[child], whole,
                            real, work[t], scores[child], what[child], left[child], bits[child],
                        )  # fmt: skip
                    else:
                        split_column(
                            sums[slot], counts[slot], f, where[f], n_bins[f], nodes[child], unit, limits[child], whole,
                            real, directions[f], work[t], scores[child], what[child], left[child],
                        )  # fmt: skip


@njit(parallel=True)
def search(
    workers, phase, job, words, blocks, used, widths, where, members, n_bins, kinds, rows, gh, sums, counts, extra_sums,
    extra_counts, scratch, buffers, nodes, scan, allowed, unit, limits, whole, real, directions, work, scores, what, left, bits,
):  # fmt: skip
    """Do all shares of a phase at once."""
    for t in prange(workers):
        search_part(
            np.int64(t), workers, phase, job, words, blocks, used, widths, where, members, n_bins, kinds, rows, gh, sums,
            counts, extra_sums, extra_counts, scratch, buffers, nodes, scan, allowed, unit, limits, whole, real, directions, work,
            scores, what, left, bits,
        )  # fmt: skip


def workers_for(job: np.ndarray, n_columns: int, n_blocks: int, threads: int) -> tuple[int, bool]:
    """Return over how many threads a search is shared, and whether they share rows instead of columns."""
    size = int(job[TO] - job[FROM])
    by_rows = threads > 1 and n_blocks < 2 * threads and size >= MANY_ROWS
    many = by_rows or size * n_columns >= _PARALLEL or n_columns * BINS >= _PARALLEL
    return threads if many else 1, by_rows
