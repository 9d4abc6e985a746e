"""Absolute errors around medians: those of a node, and those of both sides of every cut of a sorted feature.

The rows of a side enter a Fenwick tree over the ranks of their targets one by one; it gives the median and the sums below
it in O(log m), so all cuts of a feature cost O(m log m). Targets are counted from the median of the node: sums then are no
larger than the errors that they make up, wherever the targets lie.
"""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit

_ROW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_TIE = 1e-12

# Columns of the target: value, weight, rank among the values of the node; and, at the places of the node, those values.
VALUE, WEIGHT, RANK, ORDERED = range(4)


@njit(error_model="numpy")
def measure_median(keys, start, end, target, stats):
    """Write median and summed absolute error of a node into ``stats`` (2,) and prepare the ranks of its targets.

    keys (n,) are in the order of the targets; target (n, 4). Returns weight and whether all targets are equal. Where half of
    the weight, to 1e-12, lies on either side of a gap, the median is its middle.
    """
    weight = 0.0
    for p in range(start, end):
        weight += target[keys[p] & _ROW, WEIGHT]
    below, lower, upper = 0.0, np.nan, np.nan
    rank = -1
    for p in range(start, end):
        row = keys[p] & _ROW
        value = target[row, VALUE]
        if p == start or keys[p] >> _HALF != keys[p - 1] >> _HALF:
            rank += 1
            target[start + rank, ORDERED] = value
        target[row, RANK] = rank
        if below <= (0.5 + _TIE) * weight:
            upper = value
        if below < (0.5 - _TIE) * weight:
            lower = value
        below += target[row, WEIGHT]
    median = lower / 2 + upper / 2
    error = 0.0
    for p in range(start, end):
        row = keys[p] & _ROW
        error += target[row, WEIGHT] * abs(target[row, VALUE] - median)
    for r in range(rank + 1):
        target[start + r, ORDERED] -= median
    stats[0], stats[1] = median, 0.0 if rank == 0 else error
    return weight, rank == 0


@njit
def _errors(keys, lost, n_lost, first, step, n_known, start, target, tree, out):
    """Write the absolute error of the rows met so far into ``out`` (m,), at each position first, first + step, ...

    The rows at the positions from ``lost`` on count from the beginning; returns the error of these alone.
    """
    tree[:] = 0.0
    weight, total, alone = 0.0, 0.0, 0.0
    top = 1
    while 2 * top < tree.shape[0]:
        top *= 2
    for i in range(n_lost + n_known):
        p = lost + i if i < n_lost else first + step * (i - n_lost)
        row = keys[p] & _ROW
        rank, w = int(target[row, RANK]), target[row, WEIGHT]
        value = target[start + rank, ORDERED]
        weight += w
        total += w * value
        at = rank + 1
        while at < tree.shape[0]:
            tree[at, 0] += w
            tree[at, 1] += w * value
            at += at & -at
        at, below, sum_below, jump = 0, 0.0, 0.0, top
        while jump > 0:  # to the last rank at which less than half of the weight lies, with all ranks before
            if at + jump < tree.shape[0] and below + tree[at + jump, 0] < 0.5 * weight:
                at += jump
                below += tree[at, 0]
                sum_below += tree[at, 1]
            jump //= 2
        median = target[start + at, ORDERED]
        error = total - 2.0 * sum_below - median * (weight - 2.0 * below)
        if i < n_lost:
            alone = error
        else:
            out[p - start] = error
    return alone


@njit(error_model="numpy")
def search_median(keys, start, stop, end, target, error, weight, min_leaf, min_weight, tie):
    """Return (gain, last position on the left, missing goes left) of the best cut of a numeric feature.

    The node lies at [start, end), missing values from ``stop`` on; ``error`` is its summed absolute error.
    """
    m, n_known, n_lost = end - start, stop - start, end - stop
    ranks = 0
    for p in range(start, end):
        ranks = max(ranks, int(target[keys[p] & _ROW, RANK]) + 1)
    tree = np.empty((ranks + 1, 2))  # of weights and weighted values
    left, right = np.empty(n_known), np.empty(n_known)
    best, cut, missing_left = -np.inf, -1, 0
    for side in range(2 if n_lost else 1):
        lost_left = n_lost if side == 1 else 0
        _errors(keys, stop, lost_left, start, 1, n_known, start, target, tree, left)
        alone = _errors(keys, stop, n_lost - lost_left, stop - 1, -1, n_known, start, target, tree, right)
        wl = 0.0
        for p in range(stop, stop + lost_left):
            wl += target[keys[p] & _ROW, WEIGHT]
        for p in range(start, stop):
            wl += target[keys[p] & _ROW, WEIGHT]
            if p + 1 < stop:
                if keys[p + 1] >> _HALF == keys[p] >> _HALF:
                    continue
            elif lost_left == n_lost:
                break
            n_left = lost_left + p + 1 - start
            if n_left < min_leaf or m - n_left < min_leaf:
                continue
            wr = weight - wl
            if wl < min_weight or wr < min_weight or wr <= 0.0:
                continue
            # With missing values on the right, all known ones on the left is a split of its own.
            after = right[p + 1 - start] if p + 1 < stop else alone
            gain = (error - left[p - start] - after) / weight
            if gain > best + tie:
                best, cut, missing_left = gain, p, side
    return best, cut, missing_left
