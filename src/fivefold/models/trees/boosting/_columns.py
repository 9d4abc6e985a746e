"""Histograms and best splits of all columns for the nodes that a split has made."""

from __future__ import annotations

import numpy as np
from numba import prange

from fivefold.base.jit import njit

from ._histograms import BINS, combine, fill_block
from ._splits import score_columns

# What a search reads: rows [start, end), the slot of their histogram, and the slot it is taken from or -1.
FROM, TO, SMALL, LARGE = range(4)
# Below this many bins filled and scored one thread is faster than two; to score a bin takes as long as to fill several.
_PARALLEL = 1 << 15  # any value: results do not depend on threads
_SCORING = 6
MANY_ROWS = 1 << 15  # any value: as many are ordered by several threads
_SHARED_ROWS = 1 << 11  # any value: so many are worth a histogram for each thread
WHOLE, BY_ROWS, MERGED = range(3)


@njit
def search_part(
    t, workers, phase, job, words, blocks, used, widths, where, members, n_bins, kinds, rows, gh, sums, counts, extra_sums,
    extra_counts, scratch, buffers, nodes, scan, allowed, unit, limits, whole, real, directions, work, scores, what, left, bits,
):  # fmt: skip
    """Do the share t of ``workers`` of a search; 0 of 1 does all of it.

    A search fills the histogram of the rows that ``job`` names, takes it from the slot LARGE (if >= 0) and finds the best split
    of every column for the nodes that ``scan`` asks for: 0 the small one, 1 the large one. Workers share the columns, eight or
    more at a time (WHOLE). Many rows of few columns take two phases: BY_ROWS fills a histogram for each worker, MERGED adds
    them up and searches.
    """
    start, end, small, large = job[FROM], job[TO], job[SMALL], job[LARGE]
    plus = np.int64(1)
    own_sums, own_counts = sums[small], counts[small]
    if phase == BY_ROWS:
        if t > 0:
            own_sums, own_counts = extra_sums[t - 1], extra_counts[t - 1]
        start, end = start + (end - start) * t // workers, start + (end - start) * (t + 1) // workers
    n_words = np.int64(0)
    for b in range(len(blocks)):
        n_words += blocks[b, 1]
    first_share, last_share = np.int64(0), n_words
    if phase == WHOLE:
        first_share, last_share = n_words * t // workers, n_words * (t + 1) // workers
    before = np.int64(0)
    for b in range(len(blocks)):
        low, high = max(first_share - before, np.int64(0)), min(last_share - before, blocks[b, 1])
        before += blocks[b, 1]
        if low >= high:
            continue
        if phase != MERGED:
            fill_block(
                words, b, low, high, blocks, used, widths, rows, start, end, gh, scratch[t], buffers[t], own_sums, own_counts
            )  # fmt: skip
        if phase == BY_ROWS:
            continue
        from_column, to_column = blocks[b, 2] + 8 * low, blocks[b, 2] + min(8 * high, blocks[b, 3])
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
        for child in range(2):
            if scan[child]:
                slot = small if child == 0 else large
                score_columns(
                    members[members[from_column] : members[to_column]], sums[slot], counts[slot], where, n_bins, kinds,
                    allowed[child], nodes[child], unit, limits[child], whole, real, directions, work[t], scores[child],
                    what[child], left[child], bits[child],
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
    by_rows = threads > 1 and n_blocks < 2 * threads and size >= _SHARED_ROWS
    many = by_rows or (size + _SCORING * BINS) * n_columns >= _PARALLEL
    return threads if many else 1, by_rows
