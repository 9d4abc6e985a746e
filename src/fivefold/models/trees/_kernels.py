"""Growing one tree exactly: every feature stays sorted, a split partitions the sorted orders stably.

A search reads the keys of :mod:`._search` in order, so a level of the tree costs O(n d) instead of the O(n d log n) of
sorting again.
"""

from __future__ import annotations

import heapq

import numpy as np
from numba import prange

from fivefold.base.jit import njit

from ._median import measure_median
from ._search import (
    BITS,
    CUT,
    DEPTH,
    END,
    ENTROPY,
    FEATURE,
    GAIN,
    GINI,
    HALF,
    HIGH_ROW,
    IMPURITY,
    LEFT,
    LOW_ROW,
    MEAN,
    MEDIAN,
    MISSING,
    MISSING_LEFT,
    N_FLOATS,
    N_INTS,
    ORDERING,
    PARALLEL,
    PARENT,
    RIGHT,
    ROW,
    START,
    WEIGHT,
    add_rows,
    first_missing,
    impurity_of,
    level_order,
    runs_of,
    search_node,
)

__all__ = [
    "BITS",
    "DEPTH",
    "END",
    "ENTROPY",
    "FEATURE",
    "GINI",
    "HIGH_ROW",
    "IMPURITY",
    "LEFT",
    "LOW_ROW",
    "MEAN",
    "MEDIAN",
    "MISSING_LEFT",
    "PARENT",
    "RIGHT",
    "START",
    "WEIGHT",
    "apply_tree",
    "grow",
    "pack_keys",
    "preorder",
]

_EPSILON = np.finfo(np.float64).eps


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
                keys[f, p] = (MISSING << HALF) | np.uint64(row)
                continue
            if value != last:
                rank += np.uint64(1)
                last = value
            keys[f, p] = (rank << HALF) | np.uint64(row)


@njit(error_model="numpy")
def _measure(node, ints, floats, stats, kind, keys, target):
    """Fill weight, statistics and impurity of a node; return whether all its targets are equal."""
    start, end = ints[node, START], ints[node, END]
    if kind == MEDIAN:
        weight, pure = measure_median(keys[-1], start, end, target, stats[node])
        floats[node, WEIGHT], floats[node, IMPURITY] = weight, stats[node, 1] / weight
        return pure
    for c in range(stats.shape[1]):
        stats[node, c] = 0.0
    weight = add_rows(kind, keys[0], start, end, target, stats[node])
    floats[node, WEIGHT] = weight
    if kind != MEAN:
        floats[node, IMPURITY] = impurity_of(kind, stats[node], weight)
        present = 0
        for c in range(stats.shape[1]):
            present += stats[node, c] > 0.0
        return present <= 1
    mean = stats[node, 0] / weight
    square, pure = 0.0, True
    value = target[keys[0, start] & ROW, 0]
    for p in range(start, end):
        row = keys[0, p] & ROW
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
        side = np.int64(goes_left[key & ROW])
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
    stop = first_missing(row_keys, start, end)
    side = ints[node, MISSING_LEFT]
    n_left = 0
    for p in range(start, end):
        goes_left[row_keys[p] & ROW] = p >= stop and side == 1
    if categorical[f]:
        first, weights, stats = runs_of(kind, row_keys, start, stop, target, n_stats)
        order = level_order(stats, weights, ints[node, ORDERING])
        ints[node, BITS] = used
        words = (n_levels[f] + 63) // 64
        for i in range(words):
            bits[used + i] = np.uint64(0)
        for r in range(ints[node, CUT] + 1):
            g = order[r]
            level = row_keys[first[g]] >> HALF
            bits[used + np.int64(level >> np.uint64(6))] |= np.uint64(1) << (level & np.uint64(63))
            for p in range(first[g], first[g + 1]):
                goes_left[row_keys[p] & ROW] = True
    else:
        cut = ints[node, CUT]
        for p in range(start, cut + 1):
            goes_left[row_keys[p] & ROW] = True
        ints[node, LOW_ROW] = row_keys[cut] & ROW
        if cut + 1 < stop:
            ints[node, HIGH_ROW] = row_keys[cut + 1] & ROW
    weight_left = 0.0
    for p in range(start, end):
        row = row_keys[p] & ROW
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
        while p < stop and np.int64(keys[p] >> HALF) < level:
            p += 1
        if p < stop and np.int64(keys[p] >> HALF) == level:
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

    keys (d, n) uint64 are reordered in place; target (n, 2) holds value or class, and weight. For medians keys are
    (d + 1, n), the last those of the targets, and target (n, 4) has room for ranks. ``rules`` is (min_samples_leaf,
    min_weight_leaf); ``factor`` turns the impurity of the statistics into that of the criterion.
    ``max_leaf_nodes`` < 0 grows all nodes, otherwise the node with the largest total gain comes first.
    """
    d, n = len(categorical), keys.shape[1]
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
            search_node(
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
        if width > 1 and threads > 1 and (end - start) * d >= PARALLEL:
            _partition_parallel(keys, start, end, goes_left)
        else:
            for f in range(width):
                _partition_one(keys[f], start, end, goes_left, buffer)
            for f in range(d, keys.shape[0]):
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
