"""Histograms of gradients and Hessians over binned columns, exact in 64-bit fixed point.

Bins lie twice in memory. ``words`` holds eight columns to a 64-bit word, up to four words a row, so that all bins of a row
come in one cache line when a histogram is filled; ``columns`` (d, n) holds each column alone, for partitioning rows.

A row's gradient and Hessian are rounded once a tree to 31 and 30 bits below a power of two and packed into one 64-bit number.
Sums of integers do not depend on their order, so the histogram of a node is the same for any number of threads and any
chunks. While a chunk of at most 65,536 rows is summed, a bin is a pair (sum g, sum h << 17 | rows); it is flushed into the
node's histogram (sum g, sum h) and counts before the 17 bits could overflow.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fivefold.base.jit import njit

from ._vector import add_eight, add_four, prefetch

BINS = 256
"""Bins a column may have; the last is for missing values."""
MISSING = 255
COLUMNS_OF_BLOCK = 32
CHUNK = 1 << 16
ROUND = 1024  # any value: rows gathered at a time, small enough for the first-level cache
_AHEAD = 16  # any value: how many rows ahead memory is asked for
_COUNT_BITS = 17
_COUNT_MASK = (1 << _COUNT_BITS) - 1
FRACTION_BITS = 30


@njit
def _fill(words, first_word, n_words, low, high, used, rows, start, end, gh, scratch, buffer):
    """Add the rows [start, end) to the pairs in ``scratch`` (4 words x 8 columns x 256 bins x 2), words [low, high) of each."""
    last = end - 1
    for begin in range(start, end, ROUND):
        stop = min(end, begin + ROUND)
        for p in range(begin, stop):
            ahead = np.int64(rows[min(p + _AHEAD, last)])
            prefetch(words, first_word + ahead * n_words)
            prefetch(gh, ahead)
            packed = gh[rows[p]]
            at = 2 * (p - begin)
            buffer[at] = packed >> 32
            buffer[at + 1] = ((packed & 0xFFFFFFFF) << _COUNT_BITS) | 1
        for w in range(low, high):
            base = w * 4096
            place = first_word + w
            if used[w] == 8:
                for p in range(begin, stop):
                    at = 2 * (p - begin)
                    word = words[place + np.int64(rows[p]) * n_words]
                    add_eight(scratch, base, word, buffer[at], buffer[at + 1])
            elif used[w] == 4:
                for p in range(begin, stop):
                    at = 2 * (p - begin)
                    word = words[place + np.int64(rows[p]) * n_words]
                    add_four(scratch, base, word, buffer[at], buffer[at + 1])


@njit
def _flush(scratch, first_column, low, high, n_bins, sums, counts, fresh):
    """Add the pairs of a chunk to a node's histogram, or write them when it is ``fresh``, and clear them: columns [low, high)."""
    kept = np.int64(0 if fresh else -1)
    for c in range(low, high):
        to = (first_column + c) * BINS
        for part in range(2):
            # The bins of values, then that of missing ones.
            at, n = (MISSING, np.int64(1)) if part == 1 else (np.int64(0), n_bins[first_column + c])
            pairs = scratch[2 * (c * BINS + at) : 2 * (c * BINS + at + n)]
            pair_sums, rows = sums[2 * (to + at) : 2 * (to + at + n)], counts[to + at : to + at + n]
            for b in range(n):
                g, h = pairs[2 * b], pairs[2 * b + 1]
                pair_sums[2 * b] = (pair_sums[2 * b] & kept) + g
                pair_sums[2 * b + 1] = (pair_sums[2 * b + 1] & kept) + (h >> _COUNT_BITS)
                rows[b] = (rows[b] & kept) + (h & _COUNT_MASK)
            pairs[:] = 0


@njit
def fill_block(words, block, low, high, blocks, used, n_bins, rows, start, end, gh, scratch, buffer, sums, counts):
    """Write the histogram of the rows [start, end) for the columns of one block that lie in its words [low, high)."""
    first_word, n_words, first_column, n_columns = blocks[block]
    active, last = used[block], min(8 * high, n_columns)
    for begin in range(start, max(end, start + 1), CHUNK):
        _fill(words, first_word, n_words, low, high, active, rows, begin, min(end, begin + CHUNK), gh, scratch, buffer)
        _flush(scratch, first_column, 8 * low, last, n_bins, sums, counts, begin == start)
    for c in range(last, 8 * high):
        # Columns that only fill up a word were summed, too, in bin 0; the next block would find them.
        scratch[2 * c * BINS] = scratch[2 * c * BINS + 1] = 0


@njit
def combine(column, n, sums, counts, other_sums, other_counts, sign):
    """Add one column of another histogram (``sign`` 1) or take it away (-1)."""
    for part in range(2):
        first, bins = (column * BINS + MISSING, np.int64(1)) if part == 1 else (column * BINS, n)
        own, other = sums[2 * first : 2 * (first + bins)], other_sums[2 * first : 2 * (first + bins)]
        for i in range(2 * bins):
            own[i] += sign * other[i]
        own_rows, other_rows = counts[first : first + bins], other_counts[first : first + bins]
        for i in range(bins):
            own_rows[i] += sign * other_rows[i]


@njit
def pack_part(g, h, rows, first, last, scale_g, scale_h, out, totals):
    """Round the rows [first, last) to fixed point: g, h (n,) float -> out (n,) int64 with g above h; totals (2,)."""
    sum_g, sum_h = np.int64(0), np.int64(0)
    for p in range(first, last):
        r = rows[p]
        a = np.int64(np.rint(g[r] * scale_g))
        b = np.int64(np.rint(h[r] * scale_h))
        sum_g += a
        sum_h += b
        out[r] = (a << 32) | b
    totals[0] = sum_g
    totals[1] = sum_h


@njit(parallel=True)
def pack_gradients(g, h, rows, scale_g, scale_h, out, parts):
    """The same for all ``rows``; parts (threads, 2) get the totals."""
    m, threads = len(rows), len(parts)
    for t in prange(threads):
        pack_part(g, h, rows, m * t // threads, m * (t + 1) // threads, scale_g, scale_h, out, parts[t])


@njit
def largest_part(g, h, rows, first, last, out):
    """Write max |g|, max h and min h over the rows [first, last): out (3,); NaN where a number is not finite."""
    top_g, top_h, low_h, spoiled = 0.0, 0.0, np.inf, 0.0
    for p in range(first, last):
        r = rows[p]
        a, b = abs(g[r]), h[r]
        top_g = max(top_g, a)
        top_h = max(top_h, b)
        low_h = min(low_h, b)
        spoiled += a * 0.0 + b * 0.0
    out[0] = top_g + spoiled
    out[1] = top_h + spoiled
    out[2] = low_h


@njit(parallel=True)
def largest(g, h, rows, parts):
    """The same for all ``rows`` by thread: parts (threads, 3)."""
    m, threads = len(rows), len(parts)
    for t in prange(threads):
        largest_part(g, h, rows, m * t // threads, m * (t + 1) // threads, parts[t])


@njit
def _count_part(column, goes_left, rows, first, last):
    count = np.int64(0)
    for p in range(first, last):
        count += np.int64(goes_left[column[rows[p]]])
    return count


@njit
def _share_part(column, goes_left, rows, first, last, left, right, spare):
    for p in range(first, last):
        r = rows[p]
        go = np.int64(goes_left[column[r]])
        spare[left if go else right] = r
        left += go
        right += 1 - go


@njit
def partition_alone(column, goes_left, rows, start, end, spare):
    """Order rows[start:end] stably so that those whose bin goes left come first."""
    left, right = start, np.int64(0)
    for p in range(start, end):
        r = rows[p]
        go = np.int64(goes_left[column[r]])
        spare[right] = r
        rows[left] = r
        left += go
        right += 1 - go
    for p in range(right):
        rows[left + p] = spare[p]


@njit(parallel=True)
def partition(column, goes_left, rows, start, end, n_left, spare, threads):
    """The same on several threads; ``n_left`` rows go left."""
    size = end - start
    lefts = np.zeros(threads + 1, dtype=np.int64)
    for t in prange(threads):
        lefts[t + 1] = _count_part(
            column, goes_left, rows, start + size * t // threads, start + size * (t + 1) // threads
        )
    for t in range(threads):
        lefts[t + 1] += lefts[t]
    for t in prange(threads):
        first, last = size * t // threads, size * (t + 1) // threads
        left = lefts[t]
        _share_part(column, goes_left, rows, start + first, start + last, left, n_left + first - left, spare)
    for t in prange(threads):
        for p in range(size * t // threads, size * (t + 1) // threads):
            rows[start + p] = spare[p]
