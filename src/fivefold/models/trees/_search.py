"""Searching the best split of one node over sorted features.

Each feature holds its rows as 64-bit keys ``rank << 32 | row``, sorted; equal values share a rank and missing values have
the rank ``MISSING``. A node is the same segment ``[start, end)`` of every feature.

Two gains equal up to 1e-12 of the node's impurity are a tie: the lowest feature, then the lowest cut, then "missing goes
right" wins. That makes the tree a function of the set of rows, whatever their order and the number of threads.
"""

from __future__ import annotations

import heapq

import numpy as np
from numba import prange

from fivefold.base.jit import njit

from ._median import search_median

MEAN, GINI, ENTROPY, MEDIAN = 0, 1, 2, 3
"""Kinds of statistics: a sum (squared error, and Gini of two classes), class weights with Gini, class weights with entropy,
and median with absolute error."""

MISSING = np.uint64(0xFFFFFFFF)
ROW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
TIE = 1e-12
# Below this many (rows x features) starting threads costs more than it saves.
PARALLEL = 1 << 19

# Columns of the integer record of a node.
FEATURE, LEFT, RIGHT, PARENT, DEPTH, START, END, CUT, MISSING_LEFT, ORDERING, LOW_ROW, HIGH_ROW, BITS = range(13)
N_INTS = 13
# Columns of the float record of a node; GAIN is the decrease of the node's own mean impurity.
WEIGHT, IMPURITY, GAIN = range(3)
N_FLOATS = 3


@njit
def first_missing(keys, start, end):
    """Return where the missing values of a sorted segment begin."""
    if keys[end - 1] >> HALF != MISSING:
        return end
    low, high = start, end - 1
    while low < high:
        middle = (low + high) // 2
        if keys[middle] >> HALF == MISSING:
            high = middle
        else:
            low = middle + 1
    return low


@njit(error_model="numpy")
def impurity_of(kind, stats, weight):
    """Return Gini or entropy (in bits) of class weights."""
    out = 0.0
    for c in range(stats.shape[0]):
        p = stats[c] / weight
        if kind == GINI:
            out += p * (1.0 - p)
        elif p > 0.0:
            out -= p * np.log2(p)
    return out


@njit(error_model="numpy")
def gain_of(kind, left, wl, total, weight):
    """Return impurity - (wl/w) impurity_left - (wr/w) impurity_right from the left and total statistics."""
    wr = weight - wl
    if kind == MEAN:
        d = left[0] - wl * (total[0] / weight)
        return d * d / (wl * wr)
    out = 0.0
    for c in range(total.shape[0]):
        a, b, t = left[c], total[c] - left[c], total[c]
        if kind == GINI:
            out += a * a / wl + b * b / wr - t * t / weight
        else:
            if a > 0.0:
                out += a * np.log2(a / wl)
            if b > 0.0:
                out += b * np.log2(b / wr)
            if t > 0.0:
                out -= t * np.log2(t / weight)
    return out / weight


@njit(error_model="numpy")
def _scan_mean(keys, start, stop, target, s, wl, nl, total, weight, n, to_end, min_leaf, min_weight, best, tie):
    """Scan the cuts of a sorted feature for a sum statistic; (s, wl, nl) is what already lies on the left."""
    mean = total / weight
    # Deviations from the node's mean are summed: their total is zero, so the left sum alone gives the gain.
    s -= wl * mean
    cut = -1
    limit = best + tie
    for p in range(start, stop):
        row = keys[p] & ROW
        w = target[row, 1]
        s += w * (target[row, 0] - mean)
        wl += w
        if p + 1 < stop:
            if keys[p + 1] >> HALF == keys[p] >> HALF:
                continue
        elif not to_end:
            break
        left = nl + p + 1 - start
        if left < min_leaf or n - left < min_leaf:
            continue
        wr = weight - wl
        if wl < min_weight or wr < min_weight or wr <= 0.0:
            continue
        product = wl * wr
        if s * s > limit * product:
            best = s * s / product
            limit = best + tie
            cut = p
    return best, cut


@njit(error_model="numpy")
def _scan_classes(
    kind, keys, start, stop, target, left, wl, nl, total, weight, n, to_end, min_leaf, min_weight, best, tie
):
    """Scan the cuts of a sorted feature for class weights; ``left`` (K,) already holds what lies on the left."""
    cut = -1
    square_left = square_right = square = 0.0
    for c in range(total.shape[0]):
        square_left += left[c] * left[c]
        square_right += (total[c] - left[c]) ** 2
        square += total[c] * total[c]
    base = square / weight
    for p in range(start, stop):
        row = keys[p] & ROW
        w = target[row, 1]
        c = int(target[row, 0])
        if kind == GINI:
            square_left += w * (2.0 * left[c] + w)
            square_right -= w * (2.0 * (total[c] - left[c]) - w)
        left[c] += w
        wl += w
        if p + 1 < stop:
            if keys[p + 1] >> HALF == keys[p] >> HALF:
                continue
        elif not to_end:
            break
        n_left = nl + p + 1 - start
        if n_left < min_leaf or n - n_left < min_leaf:
            continue
        wr = weight - wl
        if wl < min_weight or wr < min_weight or wr <= 0.0:
            continue
        if kind == GINI:
            gain = (square_left / wl + square_right / wr - base) / weight
        else:
            gain = gain_of(kind, left, wl, total, weight)
        if gain > best + tie:
            best = gain
            cut = p
    return best, cut


@njit
def add_rows(kind, keys, start, stop, target, stats):
    """Add the statistics of a run of rows to ``stats`` and return its weight."""
    weight = 0.0
    for p in range(start, stop):
        row = keys[p] & ROW
        w = target[row, 1]
        if kind == MEAN:
            stats[0] += w * target[row, 0]
        else:
            stats[int(target[row, 0])] += w
        weight += w
    return weight


@njit(error_model="numpy")
def search_numeric(kind, keys, start, end, target, total, weight, min_leaf, min_weight, tie, left):
    """Return (gain, last position on the left, missing goes left) of the best cut of a numeric feature."""
    stop = first_missing(keys, start, end)
    n_missing = end - stop
    best, cut, missing_left = -np.inf, -1, 0
    if stop == start or (n_missing == 0 and keys[start] >> HALF == keys[end - 1] >> HALF):
        return best, cut, missing_left
    if kind == MEDIAN:
        return search_median(keys, start, stop, end, target, total[1], weight, min_leaf, min_weight, tie)
    for side in range(2 if n_missing else 1):
        for c in range(left.shape[0]):
            left[c] = 0.0
        wl, nl = 0.0, 0
        if side == 1:
            wl = add_rows(kind, keys, stop, end, target, left)
            nl = n_missing
        to_end = n_missing > 0 and side == 0
        n = end - start
        if kind == MEAN:
            gain, at = _scan_mean(
                keys, start, stop, target, left[0], wl, nl, total[0], weight, n, to_end, min_leaf, min_weight, best, tie
            )
        else:
            gain, at = _scan_classes(
                kind, keys, start, stop, target, left, wl, nl, total, weight, n, to_end, min_leaf, min_weight, best, tie
            )
        if at >= 0:
            best, cut, missing_left = gain, at, side
    return best, cut, missing_left


@njit
def runs_of(kind, keys, start, stop, target, n_stats):
    """Return level, first position, weight and statistics of every run of equal ranks."""
    n_runs = 1
    for p in range(start + 1, stop):
        n_runs += keys[p] >> HALF != keys[p - 1] >> HALF
    first = np.empty(n_runs + 1, dtype=np.int64)
    weights = np.empty(n_runs)
    stats = np.zeros((n_runs, n_stats))
    first[0], g = start, 0
    for p in range(start + 1, stop):
        if keys[p] >> HALF != keys[p - 1] >> HALF:
            g += 1
            first[g] = p
    first[n_runs] = stop
    for g in range(n_runs):
        weights[g] = add_rows(kind, keys, first[g], first[g + 1], target, stats[g])
    return first, weights, stats


@njit(error_model="numpy")
def level_order(stats, weights, column):
    """Return the runs by ascending mean of one statistic; equal means keep the order of their levels."""
    means = [(stats[g, column] / weights[g], g) for g in range(weights.shape[0])]
    heapq.heapify(means)
    order = np.empty(weights.shape[0], dtype=np.int64)
    for r in range(weights.shape[0]):
        order[r] = heapq.heappop(means)[1]
    return order


@njit(error_model="numpy")
def _search_categorical(kind, keys, start, end, target, total, weight, min_leaf, min_weight, tie, left):
    """Return (gain, runs on the left - 1, missing goes left, ordering) of the best subset of levels.

    For a sum or two classes the best subset is a prefix of the levels sorted by their mean (Fisher 1958; Breiman et al.
    1984, theorem 4.5); for more classes every one-against-rest ordering is tried.
    """
    stop = first_missing(keys, start, end)
    n_missing = end - stop
    best, cut, missing_left, ordering = -np.inf, -1, 0, 0
    if stop == start or (n_missing == 0 and keys[start] >> HALF == keys[end - 1] >> HALF):
        return best, cut, missing_left, ordering
    n_stats = total.shape[0]
    first, weights, stats = runs_of(kind, keys, start, stop, target, n_stats)
    n_runs = weights.shape[0]
    for column in range(1 if n_stats == 2 else n_stats):
        order = level_order(stats, weights, column)
        for side in range(2 if n_missing else 1):
            for c in range(n_stats):
                left[c] = 0.0
            wl, nl = 0.0, 0
            if side == 1:
                wl = add_rows(kind, keys, stop, end, target, left)
                nl = n_missing
            # With missing values on the right, all levels on the left is a split of its own.
            last = n_runs if n_missing > 0 and side == 0 else n_runs - 1
            for r in range(last):
                g = order[r]
                for c in range(n_stats):
                    left[c] += stats[g, c]
                wl += weights[g]
                nl += first[g + 1] - first[g]
                wr = weight - wl
                if nl < min_leaf or end - start - nl < min_leaf:
                    continue
                if wl < min_weight or wr < min_weight or wr <= 0.0:
                    continue
                gain = gain_of(kind, left, wl, total, weight)
                if gain > best + tie:
                    best, cut, missing_left, ordering = gain, r, side, column
    return best, cut, missing_left, ordering


@njit(error_model="numpy")
def _search_one(f, kind, keys, start, end, target, total, weight, categorical, rules, tie, scratch, gains, found):
    min_leaf, min_weight = int(rules[0]), rules[1]
    ordering = 0
    if categorical[f]:
        gain, cut, side, ordering = _search_categorical(
            kind, keys[f], start, end, target, total, weight, min_leaf, min_weight, tie, scratch[f]
        )
    else:
        gain, cut, side = search_numeric(
            kind, keys[f], start, end, target, total, weight, min_leaf, min_weight, tie, scratch[f]
        )
    gains[f] = gain
    found[f, 0], found[f, 1], found[f, 2] = cut, side, ordering


@njit(parallel=True, error_model="numpy")
def _search_parallel(
    drawn, n_drawn, kind, keys, start, end, target, total, weight, categorical, rules, tie, scratch, gains, found
):
    for k in prange(n_drawn):
        _search_one(
            drawn[k],
            kind,
            keys,
            start,
            end,
            target,
            total,
            weight,
            categorical,
            rules,
            tie,
            scratch,
            gains,
            found,
        )


@njit
def mix(state):
    """Return the next value of splitmix64."""
    z = state + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit
def _draw_features(keys, start, end, max_features, seed, node, drawn):
    """Draw features without replacement until ``max_features`` are drawn and one of them varies; return how many."""
    d = drawn.shape[0]
    for f in range(d):
        drawn[f] = f
    if max_features >= d:
        return d
    state = mix(np.uint64(seed) ^ mix(np.uint64(node)))
    varying = False
    n_drawn = 0
    while n_drawn < d and (n_drawn < max_features or not varying):
        state = mix(state)
        j = n_drawn + int(state % np.uint64(d - n_drawn))
        drawn[n_drawn], drawn[j] = drawn[j], drawn[n_drawn]
        f = drawn[n_drawn]
        varying = varying or keys[f, start] >> HALF != keys[f, end - 1] >> HALF
        n_drawn += 1
    for k in range(1, n_drawn):  # ascending, for the rule of ties
        f, j = drawn[k], k
        while j > 0 and drawn[j - 1] > f:
            drawn[j] = drawn[j - 1]
            j -= 1
        drawn[j] = f
    return n_drawn


@njit(error_model="numpy")
def search_node(node, ints, floats, stats, kind, keys, target, categorical, rules, max_features, seed, threads, work):
    """Find the best split of a node and write it into its record; the gain stays -inf when there is none."""
    scratch, gains, found, drawn = work
    start, end = ints[node, START], ints[node, END]
    weight = floats[node, WEIGHT]
    tie = TIE * floats[node, IMPURITY]
    total = stats[node]
    n_drawn = _draw_features(keys, start, end, max_features, seed, node, drawn)
    if threads > 1 and (end - start) * n_drawn >= PARALLEL:
        _search_parallel(
            drawn,
            n_drawn,
            kind,
            keys,
            start,
            end,
            target,
            total,
            weight,
            categorical,
            rules,
            tie,
            scratch,
            gains,
            found,
        )
    else:
        for k in range(n_drawn):
            _search_one(
                drawn[k],
                kind,
                keys,
                start,
                end,
                target,
                total,
                weight,
                categorical,
                rules,
                tie,
                scratch,
                gains,
                found,
            )
    best, winner = -np.inf, -1
    for k in range(n_drawn):
        f = drawn[k]
        if gains[f] > best + tie:
            best, winner = gains[f], f
    floats[node, GAIN] = best
    ints[node, FEATURE] = winner
    if winner >= 0:
        ints[node, CUT] = found[winner, 0]
        ints[node, MISSING_LEFT] = found[winner, 1]
        ints[node, ORDERING] = found[winner, 2]
