"""Growing one tree exactly: every feature stays sorted, a split partitions the sorted orders stably.

Each feature holds its rows as 64-bit keys ``rank << 32 | row``, sorted; equal values share a rank and missing values have
the rank ``MISSING``. A node is the same segment ``[start, end)`` of every feature. A search reads the keys in order, so a
level of the tree costs O(n d) instead of the O(n d log n) of sorting again.

Two gains equal up to 1e-12 of the node's impurity are a tie: the lowest feature, then the lowest cut, then "missing goes
right" wins. That makes the tree a function of the set of rows, whatever their order and the number of threads.
"""

from __future__ import annotations

import heapq

import numpy as np
from numba import prange

from fivefold.base.jit import njit

MEAN, GINI, ENTROPY = 0, 1, 2
"""Kinds of statistics: a sum (squared error, and Gini of two classes), class weights with Gini, class weights with entropy."""

MISSING = np.uint64(0xFFFFFFFF)
_ROW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_TIE = 1e-12
_EPSILON = np.finfo(np.float64).eps
# Below this many (rows x features) starting threads costs more than it saves.
_PARALLEL = 1 << 19

# Columns of the integer record of a node.
FEATURE, LEFT, RIGHT, PARENT, DEPTH, START, END, CUT, MISSING_LEFT, ORDERING, LOW_ROW, HIGH_ROW, BITS = range(13)
N_INTS = 13
# Columns of the float record of a node; GAIN is the decrease of the node's own mean impurity.
WEIGHT, IMPURITY, GAIN = range(3)
N_FLOATS = 3


@njit(parallel=True)
def pack_keys(order, columns, keys):
    """Turn argsorted rows into keys: order (d, n) int64, columns (d, n) float -> keys (d, n) uint64, which may be order's
    own memory."""
    d, n = order.shape
    for f in prange(d):
        rank = np.uint64(0)
        last = columns[f, order[f, 0]]
        for p in range(n):
            row = order[f, p]
            value = columns[f, row]
            if np.isnan(value):
                keys[f, p] = (MISSING << _HALF) | np.uint64(row)
                continue
            if value != last:
                rank += np.uint64(1)
                last = value
            keys[f, p] = (rank << _HALF) | np.uint64(row)


@njit
def _first_missing(keys, start, end):
    """Return where the missing values of a sorted segment begin."""
    if keys[end - 1] >> _HALF != MISSING:
        return end
    low, high = start, end - 1
    while low < high:
        middle = (low + high) // 2
        if keys[middle] >> _HALF == MISSING:
            high = middle
        else:
            low = middle + 1
    return low


@njit(error_model="numpy")
def _impurity(kind, stats, weight):
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
def _gain(kind, left, wl, total, weight):
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
        row = keys[p] & _ROW
        w = target[row, 1]
        s += w * (target[row, 0] - mean)
        wl += w
        if p + 1 < stop:
            if keys[p + 1] >> _HALF == keys[p] >> _HALF:
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
        row = keys[p] & _ROW
        w = target[row, 1]
        c = int(target[row, 0])
        if kind == GINI:
            square_left += w * (2.0 * left[c] + w)
            square_right -= w * (2.0 * (total[c] - left[c]) - w)
        left[c] += w
        wl += w
        if p + 1 < stop:
            if keys[p + 1] >> _HALF == keys[p] >> _HALF:
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
            gain = _gain(kind, left, wl, total, weight)
        if gain > best + tie:
            best = gain
            cut = p
    return best, cut


@njit
def _add_rows(kind, keys, start, stop, target, stats):
    """Add the statistics of a run of rows to ``stats`` and return its weight."""
    weight = 0.0
    for p in range(start, stop):
        row = keys[p] & _ROW
        w = target[row, 1]
        if kind == MEAN:
            stats[0] += w * target[row, 0]
        else:
            stats[int(target[row, 0])] += w
        weight += w
    return weight


@njit(error_model="numpy")
def _search_numeric(kind, keys, start, end, target, total, weight, min_leaf, min_weight, tie, left):
    """Return (gain, last position on the left, missing goes left) of the best cut of a numeric feature."""
    stop = _first_missing(keys, start, end)
    n_missing = end - stop
    best, cut, missing_left = -np.inf, -1, 0
    if stop == start or (n_missing == 0 and keys[start] >> _HALF == keys[end - 1] >> _HALF):
        return best, cut, missing_left
    for side in range(2 if n_missing else 1):
        for c in range(left.shape[0]):
            left[c] = 0.0
        wl, nl = 0.0, 0
        if side == 1:
            wl = _add_rows(kind, keys, stop, end, target, left)
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
def _runs(kind, keys, start, stop, target, n_stats):
    """Return level, first position, weight and statistics of every run of equal ranks."""
    n_runs = 1
    for p in range(start + 1, stop):
        n_runs += keys[p] >> _HALF != keys[p - 1] >> _HALF
    first = np.empty(n_runs + 1, dtype=np.int64)
    weights = np.empty(n_runs)
    stats = np.zeros((n_runs, n_stats))
    first[0], g = start, 0
    for p in range(start + 1, stop):
        if keys[p] >> _HALF != keys[p - 1] >> _HALF:
            g += 1
            first[g] = p
    first[n_runs] = stop
    for g in range(n_runs):
        weights[g] = _add_rows(kind, keys, first[g], first[g + 1], target, stats[g])
    return first, weights, stats


@njit(error_model="numpy")
def _level_order(stats, weights, column):
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
    stop = _first_missing(keys, start, end)
    n_missing = end - stop
    best, cut, missing_left, ordering = -np.inf, -1, 0, 0
    if stop == start or (n_missing == 0 and keys[start] >> _HALF == keys[end - 1] >> _HALF):
        return best, cut, missing_left, ordering
    n_stats = total.shape[0]
    first, weights, stats = _runs(kind, keys, start, stop, target, n_stats)
    n_runs = weights.shape[0]
    for column in range(1 if n_stats == 2 else n_stats):
        order = _level_order(stats, weights, column)
        for side in range(2 if n_missing else 1):
            for c in range(n_stats):
                left[c] = 0.0
            wl, nl = 0.0, 0
            if side == 1:
                wl = _add_rows(kind, keys, stop, end, target, left)
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
                gain = _gain(kind, left, wl, total, weight)
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
        gain, cut, side = _search_numeric(
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
def _mix(state):
    """Return the next value of splitmix64."""
    z = state + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit
def _draw_features(keys, start, end, max_features, seed, node, drawn):
    """Draw features without replacement until ``max_features`` are drawn and one of them varies; return how many."""
    d = keys.shape[0]
    for f in range(d):
        drawn[f] = f
    if max_features >= d:
        return d
    state = _mix(np.uint64(seed) ^ _mix(np.uint64(node)))
    varying = False
    n_drawn = 0
    while n_drawn < d and (n_drawn < max_features or not varying):
        state = _mix(state)
        j = n_drawn + int(state % np.uint64(d - n_drawn))
        drawn[n_drawn], drawn[j] = drawn[j], drawn[n_drawn]
        f = drawn[n_drawn]
        varying = varying or keys[f, start] >> _HALF != keys[f, end - 1] >> _HALF
        n_drawn += 1
    for k in range(1, n_drawn):  # ascending, for the rule of ties
        f, j = drawn[k], k
        while j > 0 and drawn[j - 1] > f:
            drawn[j] = drawn[j - 1]
            j -= 1
        drawn[j] = f
    return n_drawn


@njit(error_model="numpy")
def _search(node, ints, floats, stats, kind, keys, target, categorical, rules, max_features, seed, threads, work):
    """Find the best split of a node and write it into its record; the gain stays -inf when there is none."""
    scratch, gains, found, drawn = work
    start, end = ints[node, START], ints[node, END]
    weight = floats[node, WEIGHT]
    tie = _TIE * floats[node, IMPURITY]
    total = stats[node]
    n_drawn = _draw_features(keys, start, end, max_features, seed, node, drawn)
    if threads > 1 and (end - start) * n_drawn >= _PARALLEL:
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


@njit(error_model="numpy")
def _measure(node, ints, floats, stats, kind, keys, target):
    """Fill weight, statistics and impurity of a node; return whether all its targets are equal."""
    start, end = ints[node, START], ints[node, END]
    for c in range(stats.shape[1]):
        stats[node, c] = 0.0
    weight = _add_rows(kind, keys[0], start, end, target, stats[node])
    floats[node, WEIGHT] = weight
    if kind != MEAN:
        floats[node, IMPURITY] = _impurity(kind, stats[node], weight)
        present = 0
        for c in range(stats.shape[1]):
            present += stats[node, c] > 0.0
        return present <= 1
    mean = stats[node, 0] / weight
    square, pure = 0.0, True
    value = target[keys[0, start] & _ROW, 0]
    for p in range(start, end):
        row = keys[0, p] & _ROW
        pure = pure and target[row, 0] == value
        square += target[row, 1] * (target[row, 0] - mean) ** 2
    floats[node, IMPURITY] = 0.0 if pure else square / weight
    return pure


@njit
def _partition_one(keys, start, end, goes_left, buffer):
    """Move the rows that go left to the front of a segment, keeping the order on both sides."""
    a, b = start, 0
    for p in range(start, end):
        key = keys[p]
        side = np.int64(goes_left[key & _ROW])
        keys[a] = key
        buffer[b] = key
        a += side
        b += 1 - side
    for p in range(b):
        keys[a + p] = buffer[p]


@njit(parallel=True)
def _partition_parallel(keys, start, end, goes_left):
    for f in prange(keys.shape[0]):
        _partition_one(keys[f], start, end, goes_left, np.empty(end - start + 1, dtype=np.uint64))


@njit
def _mark(node, ints, floats, kind, keys, target, n_stats, categorical, n_levels, goes_left, bits, used):
    """Mark the rows that go left; record threshold rows, levels and where unseen values go. Return (n_left, used)."""
    f, start, end = ints[node, FEATURE], ints[node, START], ints[node, END]
    row_keys = keys[f]
    stop = _first_missing(row_keys, start, end)
    side = ints[node, MISSING_LEFT]
    n_left = 0
    for p in range(start, end):
        goes_left[row_keys[p] & _ROW] = p >= stop and side == 1
    if categorical[f]:
        first, weights, stats = _runs(kind, row_keys, start, stop, target, n_stats)
        order = _level_order(stats, weights, ints[node, ORDERING])
        ints[node, BITS] = used
        words = (n_levels[f] + 63) // 64
        for i in range(words):
            bits[used + i] = np.uint64(0)
        for r in range(ints[node, CUT] + 1):
            g = order[r]
            level = row_keys[first[g]] >> _HALF
            bits[used + np.int64(level >> np.uint64(6))] |= np.uint64(1) << (level & np.uint64(63))
            for p in range(first[g], first[g + 1]):
                goes_left[row_keys[p] & _ROW] = True
    else:
        cut = ints[node, CUT]
        for p in range(start, cut + 1):
            goes_left[row_keys[p] & _ROW] = True
        ints[node, LOW_ROW] = row_keys[cut] & _ROW
        if cut + 1 < stop:
            ints[node, HIGH_ROW] = row_keys[cut + 1] & _ROW
    weight_left = 0.0
    for p in range(start, end):
        row = row_keys[p] & _ROW
        if goes_left[row]:
            n_left += 1
            weight_left += target[row, 1]
    if stop == end:
        # Nothing was missing here: what is missing or unseen later follows the heavier side.
        ints[node, MISSING_LEFT] = weight_left > floats[node, WEIGHT] - weight_left
    if categorical[f]:
        if ints[node, MISSING_LEFT]:
            _send_absent_left(bits, used, n_levels[f], row_keys, start, stop)
        used += (n_levels[f] + 63) // 64
    return n_left, used


@njit
def _send_absent_left(bits, used, n_levels, keys, start, stop):
    """Set the bits of the levels that no row of the node has."""
    p = start
    for level in range(n_levels):
        while p < stop and np.int64(keys[p] >> _HALF) < level:
            p += 1
        if p < stop and np.int64(keys[p] >> _HALF) == level:
            continue
        bits[used + level // 64] |= np.uint64(1) << np.uint64(level % 64)


@njit
def _widen(array, rows):
    out = np.empty((rows, array.shape[1]), dtype=array.dtype)
    for i in range(array.shape[0]):
        for j in range(array.shape[1]):
            out[i, j] = array[i, j]
    return out


@njit(error_model="numpy")
def grow(
    keys,
    target,
    kind,
    n_stats,
    categorical,
    n_levels,
    factor,
    max_depth,
    min_samples_split,
    rules,
    max_leaf_nodes,
    min_impurity_decrease,
    max_features,
    seed,
    threads,
):
    """Grow a tree and return (ints, floats, stats, bits) of its nodes in order of creation.

    keys (d, n) uint64 are reordered in place; target (n, 2) holds value or class, and weight; ``rules`` is
    (min_samples_leaf, min_weight_leaf); ``factor`` turns the impurity of the statistics into that of the criterion.
    ``max_leaf_nodes`` < 0 grows all nodes, otherwise the node with the largest total gain comes first.
    """
    d, n = keys.shape
    capacity = 64
    ints = np.empty((capacity, N_INTS), dtype=np.int64)
    floats = np.empty((capacity, N_FLOATS))
    stats = np.empty((capacity, n_stats))
    bits = np.zeros(64, dtype=np.uint64)
    used = np.int64(0)
    goes_left = np.zeros(n, dtype=np.bool_)
    buffer = np.empty(n + 1, dtype=np.uint64)
    work = (np.empty((d, n_stats)), np.empty(d), np.empty((d, 3), dtype=np.int64), np.empty(d, dtype=np.int64))
    frontier = [(0.0, 0)]
    frontier.pop()
    best_first = max_leaf_nodes >= 0
    n_nodes, n_leaves = np.int64(0), 1
    parent, is_right, start, end, depth = -1, 0, 0, n, 0
    total_weight = 0.0
    pending = [(0, 0, 0, 0, 0)]
    pending[0] = (parent, is_right, start, end, depth)
    while True:
        # Measure the nodes that were just made and search their splits.
        for q in range(len(pending)):
            parent, is_right, start, end, depth = pending[q]
            if n_nodes == capacity:
                capacity *= 2
                ints, floats, stats = _widen(ints, capacity), _widen(floats, capacity), _widen(stats, capacity)
            node = n_nodes
            n_nodes += 1
            for c in range(N_INTS):
                ints[node, c] = -1
            ints[node, PARENT], ints[node, DEPTH], ints[node, START], ints[node, END] = parent, depth, start, end
            ints[node, MISSING_LEFT] = 0
            if parent >= 0:
                ints[parent, RIGHT if is_right else LEFT] = node
            pure = _measure(node, ints, floats, stats, kind, keys, target)
            floats[node, GAIN] = -np.inf
            if node == 0:
                total_weight = floats[0, WEIGHT]
            weight = floats[node, WEIGHT]
            if (
                pure
                or depth >= max_depth
                or end - start < min_samples_split
                or end - start < 2 * rules[0]
                or weight < 2.0 * rules[1]
            ):
                continue
            _search(
                node, ints, floats, stats, kind, keys, target, categorical, rules, max_features, seed, threads, work
            )
            improvement = factor * floats[node, GAIN] * weight / total_weight
            if ints[node, FEATURE] >= 0 and improvement + _EPSILON >= min_impurity_decrease:
                if best_first:
                    heapq.heappush(frontier, (-improvement, node))
                else:
                    frontier.append((-improvement, node))
            else:
                ints[node, FEATURE] = -1
        if len(frontier) == 0 or (best_first and n_leaves >= max_leaf_nodes):
            break
        node = heapq.heappop(frontier)[1] if best_first else frontier.pop()[1]
        words = (n_levels[ints[node, FEATURE]] + 63) // 64
        if used + words > bits.shape[0]:
            wider = np.zeros(2 * bits.shape[0] + words, dtype=np.uint64)
            for i in range(used):
                wider[i] = bits[i]
            bits = wider
        n_left, used = _mark(
            node, ints, floats, kind, keys, target, n_stats, categorical, n_levels, goes_left, bits, used
        )
        start, end, depth = ints[node, START], ints[node, END], ints[node, DEPTH] + 1
        n_leaves += 1
        most = max(n_left, end - start - n_left)
        # Statistics are read from feature 0; the other orders matter only when a child may be split again.
        width = 1 if depth >= max_depth or most < min_samples_split or most < 2 * rules[0] else d
        if width > 1 and threads > 1 and (end - start) * d >= _PARALLEL:
            _partition_parallel(keys, start, end, goes_left)
        else:
            for f in range(width):
                _partition_one(keys[f], start, end, goes_left, buffer)
        pending = [(node, 0, start, start + n_left, depth), (node, 1, start + n_left, end, depth)]
    # Nodes that the limit on leaves left unexpanded are leaves.
    while len(frontier) > 0:
        ints[frontier.pop()[1], FEATURE] = -1
    return ints[:n_nodes], floats[:n_nodes], stats[:n_nodes], bits[:used]


@njit
def preorder(left, right):
    """Return the nodes in the order node, left subtree, right subtree."""
    n = left.shape[0]
    order = np.empty(n, dtype=np.int64)
    stack = np.empty(n, dtype=np.int64)
    stack[0], top, k = 0, 1, 0
    while top > 0:
        top -= 1
        node = stack[top]
        order[k] = node
        k += 1
        if left[node] >= 0:
            stack[top], stack[top + 1] = right[node], left[node]
            top += 2
    return order[:k]


@njit(parallel=True)
def apply_tree(X, feature, threshold, left, right, missing_left, offset, bits, out):
    """Write the leaf of every row of X (n, d); a missing or unseen value follows ``missing_left``.

    In a categorical column X holds the level's number, or NaN for an unseen level.
    """
    for i in prange(X.shape[0]):
        node = 0
        while left[node] >= 0:
            value = X[i, feature[node]]
            if np.isnan(value):
                goes_left = missing_left[node]
            elif offset[node] >= 0:
                level = np.int64(value)
                word = bits[offset[node] + level // 64]
                goes_left = (word >> np.uint64(level % 64)) & np.uint64(1) == np.uint64(1)
            else:
                goes_left = value <= threshold[node]
            node = left[node] if goes_left else right[node]
        out[i] = node
