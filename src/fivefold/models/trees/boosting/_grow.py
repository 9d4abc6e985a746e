"""Growing one tree: the node that gains most next (leaf-wise), or level by level (depth-wise).

A node owns a segment of ``rows``. After a split only the smaller child is summed; the larger one is the parent's histogram
less the smaller's. The result is a function of the bins and the packed gradients alone.

The work lies in two kernels that Python calls in turn: :func:`advance` decides and says what it waits for, :func:`search_part`
(or :func:`search`, on several threads) sums rows and scores columns. A kernel that calls another compiles it once more.
"""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit

from ._columns import FROM, LARGE, MANY_ROWS, SMALL, TO
from ._histograms import BINS, MISSING, partition_alone
from ._splits import (
    BY_LEVEL,
    BY_NODE,
    CAT_L2,
    DEPTHWISE,
    L1,
    L2,
    MAX_DEPTH,
    MAX_LEAVES,
    MAX_STEP,
    MIN_HESSIAN,
    MIN_SPLIT,
    SEED,
    leaf_score,
    leaf_value,
    worth,
)

# Integers of a node; the last five describe its best split.
(
    FEATURE, BIN, MISSING_LEFT, LEFT, RIGHT, PARENT, DEPTH, START, END, SLOT,
    BEST_FEATURE, BEST_BIN, BEST_MISSING, BEST_KIND,
) = range(14)  # fmt: skip
N_INTS = 14
# Floats of a node.
VALUE, GAIN, LOW, HIGH, SCORE, BEST_GAIN, EXTRA_L2 = range(7)
N_FLOATS = 7
# Where a tree stands between two calls of `advance`: PARENT_SLOT is the histogram of the node just split, TURN counts its
# children searched, bit i of WANTED is set when the child i is large enough for a split.
N_LEAVES, N_NODES, FIRST, SECOND, PARENT_SLOT, N_FREE, TURN, WANTED, SEARCHING = range(9)
N_STATE = 9
DONE, SEARCH, ORDER = range(3)


@njit
def bin_in(place, offset, default, n):
    """Return the bin of a column from the bin of the bundle it lies in."""
    if default < 0:
        return place
    j = place - offset
    if j < 0 or j >= n - 1:
        return default
    return j + np.int64(j >= default)


@njit
def _mixed(x):
    """Return 64 well-mixed bits (splitmix64)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit
def draw(mask, share, seed, kind, counter):
    """Keep ``max(1, floor(share k))`` of the k columns of a mask (d,), drawn by (seed, kind, counter)."""
    open_ = np.int64(0)
    for f in range(len(mask)):
        open_ += mask[f]
    keep = max(np.int64(1), np.int64(share * open_))
    state = _mixed(_mixed(_mixed(np.uint64(seed)) + np.uint64(kind)) + np.uint64(counter))
    for f in range(len(mask)):
        if mask[f]:
            # Each open column is kept with the chance that every choice of `keep` remains equally likely.
            state = _mixed(state)
            uniform = np.float64(state >> np.uint64(11)) / 9007199254740992.0
            if uniform * open_ < keep:
                keep -= 1
            else:
                mask[f] = False
            open_ -= 1


@njit
def draw_columns(node, ints, mask, groups, whole, real, path, out):
    """Write which columns a node may split on: those of the tree, less constraints and draws."""
    d = len(mask)
    for f in range(d):
        out[f] = mask[f]
        path[f] = False
    if len(groups) > 0:
        up = ints[node, PARENT]
        while up >= 0:
            path[ints[up, FEATURE]] = True
            up = ints[up, PARENT]
        for f in range(d):
            out[f] = False
        for q in range(len(groups)):
            holds = True
            for f in range(d):
                holds = holds and (groups[q, f] or not path[f])
            if holds:
                for f in range(d):
                    out[f] |= groups[q, f] and mask[f]
    for kind in range(BY_LEVEL, BY_NODE + 1):
        if real[kind] < 1:
            draw(out, real[kind], whole[SEED], kind, np.int64(ints[node, DEPTH] if kind == BY_LEVEL else node))


@njit(error_model="numpy")
def _splittable(node, ints, totals, unit, whole, real):
    """Return whether a node is large enough for two leaves."""
    return (
        ints[node, DEPTH] < whole[MAX_DEPTH]
        and totals[node, 2] >= whole[MIN_SPLIT]
        and totals[node, 1] * unit[1] >= 2 * real[MIN_HESSIAN]
    )


@njit
def _take_best(node, child, scores, what, left, bits, ints, floats, totals_left, level_bits):
    """Store the best column of a node: the highest score, the lowest column among equals."""
    best = 0
    for f in range(1, scores.shape[1]):
        if scores[child, f] > scores[child, best]:
            best = f
    ints[node, BEST_FEATURE] = -1
    if scores[child, best] == -np.inf:
        return
    ints[node, BEST_FEATURE] = best
    ints[node, BEST_BIN] = what[child, best, 0]
    ints[node, BEST_MISSING] = what[child, best, 1]
    ints[node, BEST_KIND] = what[child, best, 2]
    for i in range(3):
        totals_left[node, i] = left[child, best, i]
    for i in range(4):
        level_bits[node, i] = bits[child, best, i] if what[child, best, 2] > 0 else 0
    floats[node, BEST_GAIN] = scores[child, best] - floats[node, SCORE]


@njit
def _new_node(node, parent, start, end, depth, low, high, ints, floats):
    """Write the record of a leaf that waits for its best split."""
    for i in range(N_INTS):
        ints[node, i] = -1
    for i in range(N_FLOATS):
        floats[node, i] = 0.0
    ints[node, PARENT], ints[node, START], ints[node, END], ints[node, DEPTH] = parent, start, end, depth
    floats[node, LOW], floats[node, HIGH] = low, high


@njit
def _next_leaf(leaves, n_leaves, ints, floats, depthwise):
    """Return the position of the leaf to split next, or -1: the largest gain, or the shallowest and oldest."""
    at = -1
    for i in range(n_leaves):
        node = leaves[i]
        if ints[node, BEST_FEATURE] < 0:
            continue
        if at < 0:
            at = i
        elif depthwise:
            if (ints[node, DEPTH], node) < (ints[leaves[at], DEPTH], leaves[at]):
                at = i
        elif floats[node, BEST_GAIN] > floats[leaves[at], BEST_GAIN]:
            at = i
    return at


@njit
def _begin(n_rows, state, leaves, free, ints, floats):
    """Write the root, which owns ``n_rows`` rows, and free all slots of histograms."""
    for i in range(len(free)):
        free[i] = len(free) - 1 - i
    zero, none = np.int64(0), np.int64(-1)
    leaves[0] = zero
    state[N_LEAVES], state[N_NODES], state[N_FREE] = 1, 1, len(free)
    state[FIRST], state[SECOND], state[PARENT_SLOT], state[SEARCHING] = zero, zero, none, zero
    _new_node(zero, none, zero, n_rows, zero, -np.inf, np.inf, ints, floats)


@njit(error_model="numpy")
def _value(node, ints, floats, totals, unit, whole, real):
    """Write value and score of a new node; return whether it is large enough for a split."""
    g, h = totals[node, 0] * unit[0], totals[node, 1] * unit[1]
    low, high = floats[node, LOW], floats[node, HIGH]
    value = leaf_value(g, h, real[L1], real[L2], real[MAX_STEP], low, high)
    floats[node, SCORE] = leaf_score(g, h, real[L1], real[L2], value)
    if floats[node, EXTRA_L2] > 0:
        # As in LightGBM, the children of a sorted categorical split carry its penalty in their own values.
        value = leaf_value(g, h, real[L1], real[L2] + floats[node, EXTRA_L2], real[MAX_STEP], low, high)
    floats[node, VALUE] = value
    return _splittable(node, ints, totals, unit, whole, real)


@njit
def _prepare(state, job, pair, scan, limits, allowed, path, free, mask, groups, whole, real, ints, floats, totals):
    """Describe the search of this turn; return whether there is one.

    The smaller of the new nodes is summed, the larger follows by subtraction; where no histogram of the parent was kept, the
    larger is summed by itself in a second turn.
    """
    turn, wanted = state[TURN], state[WANTED]
    subtracts = state[PARENT_SLOT] >= 0 and wanted & 2 != 0 and turn == 0
    if not subtracts and wanted & (1 << turn) == 0:
        return False
    for child in range(2):
        node = state[FIRST] if child == 0 and turn == 0 else state[SECOND]
        scan[child] = wanted & (1 << (turn + child)) != 0 and (child == 0 or subtracts)
        if scan[child]:
            limits[child, 0], limits[child, 1], limits[child, 2] = (
                floats[node, LOW],
                floats[node, HIGH],
                floats[node, SCORE],
            )
            for i in range(3):
                pair[child, i] = totals[node, i]
            draw_columns(node, ints, mask, groups, whole, real, path, allowed[child])
    node = state[FIRST] if turn == 0 else state[SECOND]
    # The slot after those that are free at the start is for histograms that are not kept.
    job[FROM], job[TO], job[SMALL], job[LARGE] = ints[node, START], ints[node, END], len(free), -1
    if scan[0] and state[N_FREE] > 0:
        state[N_FREE] -= 1
        job[SMALL] = free[state[N_FREE]]
    if subtracts:
        job[LARGE] = state[PARENT_SLOT]
    return True


@njit
def _note(state, job, scan, free, scores, what, left, bits, ints, floats, totals_left, level_bits):
    """Store what the search of this turn has found."""
    node = state[FIRST] if state[TURN] == 0 else state[SECOND]
    if scan[0]:
        _take_best(node, np.int64(0), scores, what, left, bits, ints, floats, totals_left, level_bits)
        ints[node, SLOT] = job[SMALL] if job[SMALL] != len(free) else -1
    if job[LARGE] >= 0:
        second = state[SECOND]
        _take_best(second, np.int64(1), scores, what, left, bits, ints, floats, totals_left, level_bits)
        ints[second, SLOT] = job[LARGE]
        state[PARENT_SLOT] = -1
        state[WANTED] &= 1
    state[TURN] += 1


@njit
def _release(slot, state, free):
    """Give a histogram back."""
    if slot >= 0:
        free[state[N_FREE]] = slot
        state[N_FREE] += 1


@njit(error_model="numpy")
def _divide(
    at, state, leaves, goes_left, where, n_bins, directions, real, unit, ints, floats, totals, totals_left, level_bits
):
    """Write the children of the leaf at a position, and where the bins of its column go."""
    node = leaves[at]
    f, cut = ints[node, BEST_FEATURE], ints[node, BEST_BIN]
    by_level = ints[node, BEST_KIND] > 0
    offset, default = where[f, 1], where[f, 2]
    for place in range(BINS):
        b = bin_in(place, offset, default, n_bins[f])
        inside = (level_bits[node, b >> 6] >> np.uint64(b & 63)) & np.uint64(1) != 0
        goes_left[place] = inside if by_level else b <= cut
    if not by_level and default < 0:
        goes_left[MISSING] = ints[node, BEST_MISSING]
    start, end, n_left = ints[node, START], ints[node, END], totals_left[node, 2]
    a, b = state[N_NODES], state[N_NODES] + 1
    state[N_NODES] += 2
    ints[node, FEATURE], ints[node, BIN], ints[node, MISSING_LEFT] = f, cut, ints[node, BEST_MISSING]
    ints[node, LEFT], ints[node, RIGHT] = a, b
    floats[node, GAIN] = floats[node, BEST_GAIN]
    for i in range(3):
        totals[a, i] = totals_left[node, i]
        totals[b, i] = totals[node, i] - totals_left[node, i]
    low, high, depth = floats[node, LOW], floats[node, HIGH], ints[node, DEPTH] + 1
    _new_node(a, node, start, start + n_left, depth, low, high, ints, floats)
    _new_node(b, node, start + n_left, end, depth, low, high, ints, floats)
    if ints[node, BEST_KIND] == 2:
        floats[a, EXTRA_L2] = floats[b, EXTRA_L2] = real[CAT_L2]
    if directions[f] != 0:
        middle = 0.0
        for child in range(a, b + 1):
            g, h = totals[child, 0] * unit[0], totals[child, 1] * unit[1]
            middle += leaf_value(g, h, real[L1], real[L2], real[MAX_STEP], low, high) / 2
        upper, lower = (b, a) if directions[f] > 0 else (a, b)
        floats[upper, LOW] = middle
        floats[lower, HIGH] = middle
    state[PARENT_SLOT] = ints[node, SLOT]
    ints[node, SLOT] = -1
    leaves[at] = a
    leaves[state[N_LEAVES]] = b
    state[N_LEAVES] += 1
    state[FIRST], state[SECOND] = (b, a) if totals[b, 2] < totals[a, 2] else (a, b)


@njit
def _look(state, ints, floats, totals, unit, whole, real):
    """Value the new nodes and note which of them may be split."""
    wanted = np.int64(0)
    grows = state[N_LEAVES] < whole[MAX_LEAVES]
    for turn in range(1 if state[FIRST] == state[SECOND] else 2):
        if _value(state[FIRST] if turn == 0 else state[SECOND], ints, floats, totals, unit, whole, real) and grows:
            wanted |= 1 << turn
    state[TURN], state[WANTED] = 0, wanted


@njit(error_model="numpy")
def advance(
    state, job, pair, scan, limits, allowed, path, goes_left, leaves, free, columns, where, n_bins, rows, spare, mask,
    groups, directions, whole, real, unit, ints, floats, totals, totals_left, level_bits, scores, what, left, bits, threads,
):  # fmt: skip
    """Go on with a tree on ``rows`` (m,), which are reordered by leaf; return what has to be done before the next call.

    A tree begins with a ``state`` of zeros.

    SEARCH: the search that ``job`` describes. ORDER: the rows [FROM, TO) of ``job``, SMALL of which go left, are to be ordered
    by ``goes_left`` in the column LARGE, by several threads. DONE: nothing is left to split.

    ``totals[0]`` holds the sums of the root. A node n is described by ints[n], floats[n], totals[n] = (G, H, rows) in
    ``unit`` and, for a categorical split, level_bits[n] (4,).
    """
    if state[N_NODES] == 0:
        _begin(len(rows), state, leaves, free, ints, floats)
    if state[SEARCHING] == 1:
        _note(state, job, scan, free, scores, what, left, bits, ints, floats, totals_left, level_bits)
        state[SEARCHING] = 0
    else:
        _look(state, ints, floats, totals, unit, whole, real)
    while True:
        while state[TURN] < 2:
            if _prepare(
                state, job, pair, scan, limits, allowed, path, free, mask, groups, whole, real, ints, floats, totals
            ):
                state[SEARCHING] = 1
                return SEARCH
            state[TURN] += 1
        _release(state[PARENT_SLOT], state, free)
        state[PARENT_SLOT] = -1
        for node in (state[FIRST], state[SECOND]):
            if ints[node, BEST_FEATURE] < 0 or not worth(floats[node, BEST_GAIN], floats[node, SCORE], real, whole):
                ints[node, BEST_FEATURE] = -1
                _release(ints[node, SLOT], state, free)
                ints[node, SLOT] = -1
        if state[N_LEAVES] == whole[MAX_LEAVES]:
            return DONE
        at = _next_leaf(leaves, state[N_LEAVES], ints, floats, whole[DEPTHWISE] == 1)
        if at < 0:
            return DONE
        node = leaves[at]
        _divide(
            at,
            state,
            leaves,
            goes_left,
            where,
            n_bins,
            directions,
            real,
            unit,
            ints,
            floats,
            totals,
            totals_left,
            level_bits,
        )
        start, end, place = ints[node, START], ints[node, END], where[ints[node, FEATURE], 0]
        if threads > 1 and end - start >= MANY_ROWS:
            job[FROM], job[TO], job[SMALL], job[LARGE] = start, end, totals_left[node, 2], place
            return ORDER
        partition_alone(columns[place], goes_left, rows, start, end, spare)
        _look(state, ints, floats, totals, unit, whole, real)
