"""Growing one tree: the node that gains most next (leaf-wise), or level by level (depth-wise).

A node owns a segment of ``rows``. After a split only the smaller child is summed; the larger one is the parent's histogram
less the smaller's. The result is a function of the bins and the packed gradients alone.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fivefold.base.jit import njit

from ._histograms import BINS, MISSING, combine, fill_block, partition
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
    split_column,
    split_levels,
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
# Below this many (rows x columns) one thread is faster than two.
_PARALLEL = 1 << 17  # any value: results do not depend on threads
_MANY_ROWS = 1 << 15  # any value
WHOLE, BY_ROWS, MERGED = range(3)


@njit
def _search_part(
    t, workers, phase, job, words, blocks, used, widths, where, members, n_bins, kinds, rows, gh, sums, counts, extra_sums,
    extra_counts,
    scratch, buffers, nodes, scan, allowed, unit, limits, whole, real, directions, work, scores, what, left, bits,
):  # fmt: skip
    """Do the share of one worker of :func:`search`."""
    start, end, small, large = job
    if phase == BY_ROWS:
        own_sums, own_counts = sums[small], counts[small]
        if t > 0:
            own_sums, own_counts = extra_sums[t - 1], extra_counts[t - 1]
        first, last = start + (end - start) * t // workers, start + (end - start) * (t + 1) // workers
        for b in range(len(blocks)):
            fill_block(
                words, b, blocks, used, widths, rows, first, last, gh, scratch[t], buffers[t], own_sums, own_counts
            )
        return
    for b in range(len(blocks)):
        first_column, n_columns = blocks[b, 2], blocks[b, 3]
        from_column, to_column = first_column, first_column + n_columns
        if phase == MERGED:
            from_column = first_column + n_columns * t // workers
            to_column = first_column + n_columns * (t + 1) // workers
        elif b % workers != t:
            continue
        else:
            fill_block(
                words, b, blocks, used, widths, rows, start, end, gh, scratch[t], buffers[t], sums[small], counts[small]
            )
        for place in range(from_column, to_column):
            if phase == MERGED:
                for other in range(len(extra_sums)):
                    combine(place, widths[place], sums[small], counts[small], extra_sums[other], extra_counts[other], 1)
            if large >= 0:
                combine(place, widths[place], sums[large], counts[large], sums[small], counts[small], -1)
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
    extra_counts,
    scratch, buffers, nodes, scan, allowed, unit, limits, whole, real, directions, work, scores, what, left, bits,
):  # fmt: skip
    """Fill the histogram of the rows [start, end) into the slot ``small``, take it from the slot ``large`` (if >= 0) and
    find the best split of every column for the nodes that ``scan`` asks for: 0 the small one, 1 the large one.

    ``job`` (4,) is start, end, small, large. Many columns are shared among workers at once (WHOLE). Few columns take two
    calls: BY_ROWS fills a histogram for each worker, MERGED adds them up and searches.
    """
    for t in prange(workers):
        _search_part(
            np.int64(t), workers, phase, job, words, blocks, used, widths, where, members, n_bins, kinds, rows, gh, sums,
            counts, extra_sums,
            extra_counts, scratch, buffers, nodes, scan, allowed, unit, limits, whole, real, directions, work, scores,
            what, left, bits,
        )  # fmt: skip


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


@njit(error_model="numpy")
def grow(
    words, columns, blocks, used, widths, where, members, n_bins, kinds, rows, spare, gh, sums, counts, extra_sums,
    extra_counts, scratch,
    buffers, mask, groups, directions, whole, real, unit, ints, floats, totals, totals_left, level_bits, threads,
):  # fmt: skip
    """Grow one tree on ``rows`` (m,), which are reordered by leaf; return the number of nodes.

    ``totals[0]`` holds the sums of the root. A node n is described by ints[n], floats[n], totals[n] = (G, H, rows) in
    ``unit`` and, for a categorical split, level_bits[n] (4,).
    """
    d = len(n_bins)
    max_leaves = whole[MAX_LEAVES]
    levels = 0
    for f in range(d):
        if kinds[f] == 1:
            levels = d
    scores = np.empty((2, d))
    what = np.zeros((2, d, 3), dtype=np.int64)
    left = np.zeros((2, d, 3), dtype=np.int64)
    bits = np.zeros((2, levels, 4), dtype=np.uint64)
    work = np.empty((threads, 4, BINS))
    allowed = np.zeros((2, d), dtype=np.bool_)
    path = np.zeros(d, dtype=np.bool_)
    limits = np.empty((2, 3))
    pair = np.zeros((2, 3), dtype=np.int64)
    scan = np.zeros(2, dtype=np.bool_)
    job = np.empty(4, dtype=np.int64)
    goes_left = np.zeros(BINS, dtype=np.uint8)
    leaves = np.empty(max_leaves, dtype=np.int64)
    spill = len(sums) - 1  # the last slot is for histograms that are not kept
    free = np.empty(len(sums), dtype=np.int64)
    n_free = spill
    for i in range(n_free):
        free[i] = n_free - 1 - i

    leaves[0] = 0
    n_leaves, n_nodes = np.int64(1), np.int64(1)
    first, second = np.int64(0), np.int64(0)  # new nodes, the smaller first; the same when there is one
    parent_slot = np.int64(-1)
    _new_node(first, parent_slot, first, np.int64(len(rows)), first, -np.inf, np.inf, ints, floats)
    while True:
        # The smaller of the new nodes is summed, the larger follows by subtraction; where no histogram of the parent was
        # kept, the larger is summed by itself in a second turn.
        wanted = 0
        for turn in range(1 if first == second else 2):
            node = first if turn == 0 else second
            g, h = totals[node, 0] * unit[0], totals[node, 1] * unit[1]
            low, high = floats[node, LOW], floats[node, HIGH]
            value = leaf_value(g, h, real[L1], real[L2], real[MAX_STEP], low, high)
            floats[node, SCORE] = leaf_score(g, h, real[L1], real[L2], value)
            if floats[node, EXTRA_L2] > 0:
                # As in LightGBM, the children of a sorted categorical split carry its penalty in their own values.
                value = leaf_value(g, h, real[L1], real[L2] + floats[node, EXTRA_L2], real[MAX_STEP], low, high)
            floats[node, VALUE] = value
            if n_leaves < max_leaves and _splittable(node, ints, totals, unit, whole, real):
                wanted |= 1 << turn
        for turn in range(2):
            subtracts = parent_slot >= 0 and wanted & 2 != 0 and turn == 0
            if not subtracts and wanted & (1 << turn) == 0:
                continue
            for child in range(2):
                node = first if child == 0 and turn == 0 else second
                scan[child] = wanted & (1 << (turn + child)) != 0 and (child == 0 or subtracts)
                if scan[child]:
                    limits[child, 0], limits[child, 1] = floats[node, LOW], floats[node, HIGH]
                    limits[child, 2] = floats[node, SCORE]
                    for i in range(3):
                        pair[child, i] = totals[node, i]
                    draw_columns(node, ints, mask, groups, whole, real, path, allowed[child])
            node = first if turn == 0 else second
            job[0], job[1], job[2], job[3] = ints[node, START], ints[node, END], spill, -1
            if scan[0] and n_free > 0:
                n_free -= 1
                job[2] = free[n_free]
            if subtracts:
                job[3] = parent_slot
            size = job[1] - job[0]
            by_rows = threads > 1 and len(blocks) < 2 * threads and size >= _MANY_ROWS
            workers = threads if by_rows or size * d >= _PARALLEL or d * BINS >= _PARALLEL else 1
            for phase in range(BY_ROWS if by_rows else WHOLE, MERGED + 1 if by_rows else WHOLE + 1):
                search(
                    workers, phase, job, words, blocks, used, widths, where, members, n_bins, kinds, rows, gh, sums,
                    counts, extra_sums,
                    extra_counts, scratch, buffers, pair, scan, allowed, unit, limits, whole, real, directions, work,
                    scores, what, left, bits,
                )  # fmt: skip
            if scan[0]:
                _take_best(node, np.int64(0), scores, what, left, bits, ints, floats, totals_left, level_bits)
                ints[node, SLOT] = job[2] if job[2] != spill else -1
            if subtracts:
                _take_best(second, np.int64(1), scores, what, left, bits, ints, floats, totals_left, level_bits)
                ints[second, SLOT] = parent_slot
                parent_slot = np.int64(-1)
                wanted &= 1
        if parent_slot >= 0:
            free[n_free] = parent_slot
            n_free += 1
        for turn in range(1 if first == second else 2):
            node = first if turn == 0 else second
            if ints[node, BEST_FEATURE] >= 0 and worth(floats[node, BEST_GAIN], floats[node, SCORE], real, whole):
                continue
            ints[node, BEST_FEATURE] = -1
            if ints[node, SLOT] >= 0:
                free[n_free] = ints[node, SLOT]
                n_free += 1
                ints[node, SLOT] = -1

        at = _next_leaf(leaves, n_leaves, ints, floats, whole[DEPTHWISE] == 1) if n_leaves < max_leaves else -1
        if at < 0:
            break
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
        helpers = threads if end - start >= _MANY_ROWS else 1
        partition(columns[where[f, 0]], goes_left, rows, start, end, n_left, spare, helpers)

        a, b = n_nodes, n_nodes + 1
        n_nodes += 2
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
        parent_slot = ints[node, SLOT]
        ints[node, SLOT] = -1
        leaves[at] = a
        leaves[n_leaves] = b
        n_leaves += 1
        first, second = (b, a) if totals[b, 2] < totals[a, 2] else (a, b)
    return n_nodes
