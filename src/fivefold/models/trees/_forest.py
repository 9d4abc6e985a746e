"""Growing one tree of a forest: a node sorts only the columns that were drawn for it.

Columns are held as ranks, so a node's values of a drawn column are spread over as many buckets as it has rows and are almost
sorted at once: O(m) a column, however deep the tree. Rows, targets and weights of a node lie together; a node of a few
thousand rows copies its ranks into a block that fits the cache, and its whole subtree is grown inside it. One thread grows
one tree, and no number depends on how many threads there are.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fivefold.base.jit import njit

from ._search import HALF, MEAN, MISSING, TIE, impurity_of, mix, search_numeric

LOST = np.uint32(0xFFFFFFFF)
"""The rank of a missing value."""

_EPSILON = np.finfo(np.float64).eps
_BLOCK = 4096  # any value: rows of a block that is copied together
_SMALL = 24  # any value: below, insertion is quicker than buckets

# Columns of the integer record of a node; RIGHT is -1 in leaves, and the left child is the next node.
FEATURE, RIGHT, DEPTH, ROWS, MISSING_LEFT = range(5)
# Columns of the float record of a node.
THRESHOLD, WEIGHT, IMPURITY = range(3)


@njit(parallel=True)
def rank_columns(order, columns, codes):
    """Write dense ranks of argsorted columns: order (d, n), columns (d, n) -> codes (d, n) uint32; return how many each
    column has."""
    d, n = order.shape
    counts = np.zeros(d, dtype=np.int64)
    for f in prange(d):
        rank = -1
        last = np.nan
        for p in range(n):
            row = order[f, p]
            value = columns[f, row]
            if np.isnan(value):
                codes[f, row] = LOST
                continue
            if value != last:
                rank += 1
                last = value
            codes[f, row] = np.uint32(rank)
        counts[f] = rank + 1
    return counts


@njit
def _insertion(keys, start, end):
    for p in range(start + 1, end):
        key, q = keys[p], p
        while q > start and keys[q - 1] > key:
            keys[q] = keys[q - 1]
            q -= 1
        keys[q] = key


@njit
def _sorted_keys(column, rows, start, end, keys, ranks, counts):
    """Write the sorted keys ``rank << 32 | position`` of a node's rows in a column; return whether its values differ."""
    m = end - start
    low, high, lost = LOST, np.uint32(0), 0
    for i in range(m):
        rank = column[rows[start + i]]
        ranks[i] = rank
        if rank == LOST:
            lost += 1
        else:
            low = min(low, rank)
            high = max(high, rank)
    if lost == m or (low == high and lost == 0):
        return False
    if m <= _SMALL:
        for i in range(m):
            keys[i] = (np.uint64(ranks[i]) << HALF) | np.uint64(i)
        _insertion(keys, 0, m)
        return True
    shift = np.uint32(0)
    while np.int64((high - low) >> shift) >= m:
        shift += np.uint32(1)
    buckets = np.int64((high - low) >> shift) + 1
    for b in range(buckets + 2):
        counts[b] = 0
    for i in range(m):
        b = buckets if ranks[i] == LOST else np.int64((ranks[i] - low) >> shift)
        counts[b + 2] += 1
    for b in range(2, buckets + 2):
        counts[b] += counts[b - 1]
    for i in range(m):
        b = buckets if ranks[i] == LOST else np.int64((ranks[i] - low) >> shift)
        keys[counts[b + 1]] = (np.uint64(ranks[i]) << HALF) | np.uint64(i)
        counts[b + 1] += 1
    if shift > 0:
        for b in range(buckets):
            first, last = counts[b], counts[b + 1]
            if last - first > 64:
                keys[first:last].sort()
            elif last - first > 1:
                _insertion(keys, first, last)
    return True


@njit(error_model="numpy")
def _measure(kind, target, start, end, total):
    """Return weight, impurity and purity of a node, and write its statistics into ``total`` (S,)."""
    weight, pure = 0.0, True
    first = target[start, 0]
    for c in range(total.shape[0]):
        total[c] = 0.0
    for p in range(start, end):
        y, w = target[p, 0], target[p, 1]
        pure = pure and y == first
        weight += w
        if kind == MEAN:
            total[0] += w * y
        else:
            total[int(y)] += w
    if pure:
        return weight, 0.0, True
    if kind != MEAN:
        return weight, impurity_of(kind, total, weight), False
    mean, square = total[0] / weight, 0.0
    for p in range(start, end):
        square += target[p, 1] * (target[p, 0] - mean) ** 2
    return weight, square / weight, False


@njit
def _copy_block(codes, rows, start, end, block):
    """Copy the ranks of a node's rows side by side and number the rows within the block."""
    for f in range(codes.shape[0]):
        for p in range(start, end):
            block[f, p - start] = codes[f, rows[p]]
    for p in range(start, end):
        rows[p] = p - start


@njit
def _partition(column, rows, target, start, end, cut, missing_left, spare_rows, spare_target):
    """Move the rows whose rank is at most ``cut`` to the front, keeping the order on both sides.

    Returns how many they are, what they weigh and whether a value was missing.
    """
    a, b = start, 0
    weight_left, lost = 0.0, False
    for p in range(start, end):
        row, y, w = rows[p], target[p, 0], target[p, 1]
        rank = column[row]
        lost = lost or rank == LOST
        left = missing_left == 1 if rank == LOST else rank <= cut
        if left:
            weight_left += w
            rows[a], target[a, 0], target[a, 1] = row, y, w
            a += 1
        else:
            spare_rows[b], spare_target[b, 0], spare_target[b, 1] = row, y, w
            b += 1
    for p in range(b):
        rows[a + p], target[a + p, 0], target[a + p, 1] = spare_rows[p], spare_target[p, 0], spare_target[p, 1]
    return a - start, weight_left, lost


@njit
def _draw(drawn, first, last, state):
    """Draw places ``first`` to ``last`` of a permutation; return the state of the generator."""
    d = drawn.shape[0]
    for k in range(first, last):
        state = mix(state)
        j = k + int(state % np.uint64(d - k))
        drawn[k], drawn[j] = drawn[j], drawn[k]
    return state


@njit(error_model="numpy")
def grow_tree(
    codes,
    values,
    offsets,
    rows,
    target,
    kind,
    n_stats,
    factor,
    allowed,
    in_order,
    max_features,
    max_depth,
    min_samples_split,
    min_samples_leaf,
    min_weight_leaf,
    min_impurity_decrease,
    seed,
):
    """Grow a tree depth first and return (ints, floats, stats, importances) of its nodes in preorder.

    codes (d, n) uint32 ranks, values the distinct values of all columns, those of column f from ``offsets[f]`` on; rows (m,)
    int32 and target (m, 2), value or class and weight, are reordered; allowed: the columns the tree may use, tried in their
    order or in one drawn at every node, of which the first wins a tie; ``factor`` turns the impurity of the statistics into
    that of the criterion.
    """
    m = rows.shape[0]
    capacity = 2 * m - 1
    ints = np.empty((capacity, 5), dtype=np.int32)
    floats = np.empty((capacity, 3))
    stats = np.empty((capacity, n_stats))
    importances = np.zeros(codes.shape[0])
    keys, ranks, counts = np.empty(m, np.uint64), np.empty(m, np.uint32), np.empty(m + 3, np.int64)
    best_keys = np.empty(2, np.uint64)
    left_stats = np.empty(n_stats)
    spare_rows, spare_target = np.empty(m, np.int32), np.empty((m, 2))
    block = np.empty((codes.shape[0], min(m, _BLOCK)), np.uint32)
    drawn = allowed.copy()
    stack = np.empty((64, 5), dtype=np.int64)  # start, end, depth, parent of a right child, in a block
    stack[0] = (0, m, 0, -1, 0)
    top, node = 1, -1
    total_weight = 0.0
    while top > 0:
        top -= 1
        start, end, depth, parent, inside = stack[top]
        node += 1
        n = end - start
        if parent >= 0:
            ints[parent, RIGHT] = node
        total = stats[node]
        weight, impurity, pure = _measure(kind, target, start, end, total)
        if node == 0:
            total_weight = weight
        ints[node, FEATURE], ints[node, RIGHT], ints[node, DEPTH], ints[node, ROWS] = -2, -1, depth, n
        ints[node, MISSING_LEFT] = 0
        floats[node, THRESHOLD], floats[node, WEIGHT], floats[node, IMPURITY] = -2.0, weight, factor * impurity
        if (
            pure
            or depth >= max_depth
            or n < min_samples_split
            or n < 2 * min_samples_leaf
            or weight < 2.0 * min_weight_leaf
        ):
            continue
        if not inside and n <= _BLOCK:
            _copy_block(codes, rows, start, end, block)
            inside = 1
        held = block if inside else codes
        tie = TIE * impurity
        best, winner, cut_rank, missing_left, varying = -np.inf, -1, np.uint32(0), 0, False
        state = mix(np.uint64(seed) ^ mix(np.uint64(node)))
        n_drawn, wanted = 0, min(max_features, drawn.shape[0])
        while n_drawn < drawn.shape[0] and (n_drawn < wanted or not varying):
            last = max(wanted, n_drawn + 1)
            if not in_order:
                state = _draw(drawn, n_drawn, last, state)
            for k in range(n_drawn, last):
                f = drawn[k]
                if not _sorted_keys(held[f], rows, start, end, keys, ranks, counts):
                    continue
                varying = True
                gain, cut, side = search_numeric(
                    kind,
                    keys,
                    0,
                    n,
                    target[start:end],
                    total,
                    weight,
                    min_samples_leaf,
                    min_weight_leaf,
                    tie,
                    left_stats,
                )
                if gain > best + tie:
                    best, winner, missing_left = gain, f, side
                    best_keys[0] = keys[cut] >> HALF
                    best_keys[1] = keys[cut + 1] >> HALF if cut + 1 < n else MISSING
            n_drawn = last
        improvement = factor * best * weight / total_weight
        if winner < 0 or improvement + _EPSILON < min_impurity_decrease:
            continue
        cut_rank = np.uint32(best_keys[0])
        n_left, weight_left, lost = _partition(
            held[winner], rows, target, start, end, cut_rank, missing_left, spare_rows, spare_target
        )
        if not lost:
            # Nothing was missing here: what is missing later follows the heavier side.
            missing_left = np.int64(weight_left > weight - weight_left)
        below = values[offsets[winner] + np.int64(cut_rank)]
        threshold = np.inf
        if best_keys[1] != MISSING:
            above = values[offsets[winner] + np.int64(best_keys[1])]
            middle = below / 2 + above / 2
            # Between neighboring floats the midpoint can round up to the larger value, which belongs to the right.
            threshold = below if middle >= above else middle
        ints[node, FEATURE] = winner
        floats[node, THRESHOLD] = threshold
        importances[winner] += improvement
        ints[node, MISSING_LEFT] = missing_left
        if top + 2 > stack.shape[0]:
            wider = np.empty((2 * stack.shape[0], 5), dtype=np.int64)
            wider[:top] = stack[:top]
            stack = wider
        stack[top] = (start + n_left, end, depth + 1, node, inside)
        stack[top + 1] = (start, start + n_left, depth + 1, -1, inside)
        top += 2
    node += 1
    return ints[:node].copy(), floats[:node].copy(), stats[:node].copy(), importances


@njit(parallel=True)
def add_values(X, starts, feature, threshold, right, missing_left, value, skip, chunk, out, counts):
    """Add the value of every row's leaf over the trees of a forest: X (n, d) -> out (n, S).

    starts (T + 1,) where the nodes of each tree begin; skip (T, n) bool, or (0, 0), the rows a tree leaves out. Rows go in
    chunks, and within one the trees come one after the other, so that a tree stays in the cache; each row adds its trees in
    their order.
    """
    n = X.shape[0]
    skipping = skip.shape[0] > 0
    for part in prange((n + chunk - 1) // chunk):
        for t in range(starts.shape[0] - 1):
            base = starts[t]
            for i in range(part * chunk, min(n, (part + 1) * chunk)):
                if skipping and skip[t, i]:
                    continue
                node = base
                while right[node] >= 0:
                    x = X[i, feature[node]]
                    goes_left = missing_left[node] if np.isnan(x) else x <= threshold[node]
                    node = node + 1 if goes_left else base + right[node]
                for c in range(out.shape[1]):
                    out[i, c] += value[node, c]
                counts[i] += 1


@njit(parallel=True)
def leaves_of(X, starts, feature, threshold, right, missing_left, chunk, out):
    """Write the leaf of every row in every tree, numbered within the tree: X (n, d) -> out (n, T)."""
    n = X.shape[0]
    for part in prange((n + chunk - 1) // chunk):
        for t in range(starts.shape[0] - 1):
            base = starts[t]
            for i in range(part * chunk, min(n, (part + 1) * chunk)):
                node = base
                while right[node] >= 0:
                    x = X[i, feature[node]]
                    goes_left = missing_left[node] if np.isnan(x) else x <= threshold[node]
                    node = node + 1 if goes_left else base + right[node]
                out[i, t] = node - base
