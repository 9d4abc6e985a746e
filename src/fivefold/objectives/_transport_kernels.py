"""The network simplex of the transport problem: a spanning tree of n sources and m sinks, pivoted by block search.

Nodes 0 to n - 1 are sources, n to n + m - 1 sinks; the last sink is the root. An arc of the tree belongs to its lower node:
``flow[node]`` is what moves between a node and its parent. Arcs always run from source to sink, so the arc of a source
points up and that of a sink down.
"""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit


@njit
def _greedy(costs, p, q):
    """Return a strongly feasible tree: sources and sinks (n + m - 1,) of its arcs and what moves on them.

    Each step serves the cheapest open arc of one source as far as it goes, and closes one of its ends. Every mass but
    the root's counts as larger by an infinitesimal that the root takes: its multiples (``extra``) decide ties, so that
    just one end closes and every empty arc of the tree points up.
    """
    n, m = costs.shape
    # Costs less the cheapest of the row and then of the column: what a detour costs, not what the place costs.
    row = np.empty(n)
    column = np.full(m, np.inf)
    for i in range(n):
        row[i] = costs[i].min()
        for j in range(m):
            column[j] = min(column[j], costs[i, j] - row[i])
    supply, demand = p.copy(), q.copy()
    extra_supply = np.ones(n, np.int64)
    extra_demand = np.full(m, -1, np.int64)
    extra_demand[m - 1] = n + m - 1
    open_sinks = np.arange(m)
    n_open = m
    sources = np.empty(n + m - 1, np.int64)
    sinks = np.empty(n + m - 1, np.int64)
    moved = np.empty(n + m - 1)
    found = 0
    for i in range(n):
        while True:
            best = 0
            least = np.inf
            for k in range(n_open):
                value = costs[i, open_sinks[k]] - column[open_sinks[k]]  # any value: where to start
                if value < least:  # any value: where to start
                    least, best = value, k
            j = open_sinks[best]
            sources[found], sinks[found] = i, j
            if n_open == 1:
                source_closes = i < n - 1
                moved[found] = max(supply[i], 0.0) if source_closes else max(demand[j], 0.0)
            elif i == n - 1:
                source_closes = False
                moved[found] = demand[j]
            else:
                source_closes = supply[i] < demand[j] or (supply[i] == demand[j] and extra_supply[i] < extra_demand[j])
                moved[found] = supply[i] if source_closes else demand[j]
            found += 1
            if found == n + m - 1:
                return sources, sinks, moved
            if source_closes:
                demand[j] -= moved[found - 1]
                extra_demand[j] -= extra_supply[i]
                break
            supply[i] -= moved[found - 1]
            extra_supply[i] -= extra_demand[j]
            n_open -= 1
            open_sinks[best] = open_sinks[n_open]
    return sources, sinks, moved


@njit
def _hang(sources, sinks, moved, n, m, parent, depth, flow, child, right, left):
    """Root the tree of the arcs at the last sink."""
    total = n + m
    first = np.full(total, -1, np.int64)
    after = np.full(2 * len(sources), -1, np.int64)
    for e in range(len(sources)):
        after[2 * e], first[sources[e]] = first[sources[e]], 2 * e
        after[2 * e + 1], first[n + sinks[e]] = first[n + sinks[e]], 2 * e + 1
    root = total - 1
    parent[root], depth[root] = -1, 0
    stack = np.empty(total, np.int64)
    stack[0] = root
    height = 1
    while height:
        height -= 1
        node = stack[height]
        half = first[node]
        while half >= 0:
            e = half // 2
            other = sources[e] if node >= n else n + sinks[e]
            if other != parent[node]:
                parent[other], depth[other], flow[other] = node, depth[node] + 1, moved[e]
                _link(other, node, child, right, left)
                stack[height] = other
                height += 1
            half = after[half]


@njit(inline="always")
def _link(node, above, child, right, left):
    """Make ``node`` the first child of ``above``."""
    right[node], left[node] = child[above], -1
    if child[above] >= 0:
        left[child[above]] = node
    child[above] = node


@njit(inline="always")
def _unlink(node, above, child, right, left):
    if left[node] >= 0:
        right[left[node]] = right[node]
    else:
        child[above] = right[node]
    if right[node] >= 0:
        left[right[node]] = left[node]


@njit
def _potentials(costs, n, parent, depth, child, right, dual):
    """Set the potentials from the tree, from the root (0) down, so that its arcs have the reduced cost 0."""
    root = len(parent) - 1
    dual[root] = 0.0
    node = root
    while True:
        if child[node] >= 0:
            node = child[node]
        else:
            while node != root and right[node] < 0:
                node = parent[node]
            if node == root:
                return
            node = right[node]
        above = parent[node]
        dual[node] = (costs[node, above - n] if node < n else costs[above, node - n]) - dual[above]


@njit(fastmath={"nnan", "nsz"})
def _least(costs, dual, shift):
    """Return the least of costs - dual, or any number above -shift when none lies below it."""
    least = np.inf
    for j in range(len(costs)):
        value = costs[j] - dual[j]
        least = value if value < least else least
    return least


@njit
def network_simplex(costs, p, q, block, tolerance, limit):
    """Move the masses p (n,) to q (m,), all > 0 and of one sum, at least cost.

    Returns plan sources, sinks and moves (n + m - 1,), potentials (n + m,), the number of pivots, and whether the end was
    reached within ``limit`` pivots.
    """
    n, m = costs.shape
    total = n + m
    parent = np.empty(total, np.int64)
    depth = np.empty(total, np.int64)
    flow = np.zeros(total)
    child = np.full(total, -1, np.int64)
    right = np.full(total, -1, np.int64)
    left = np.full(total, -1, np.int64)
    dual = np.empty(total)
    sources, sinks, moved = _greedy(costs, p, q)
    _hang(sources, sinks, moved, n, m, parent, depth, flow, child, right, left)
    _potentials(costs, n, parent, depth, child, right, dual)
    row, column = 0, 0
    pivots = 0
    done = False
    fresh = True
    while pivots < limit:
        # Block search: the most negative reduced cost among `block` arcs, going on cyclically while there is none.
        best = -tolerance
        source, sink = -1, -1
        seen, since = 0, 0
        while seen < n * m:
            stop = min(m, column + block - since, column + n * m - seen)
            least = _least(costs[row, column:stop], dual[n + column : n + stop], dual[row])
            if least - dual[row] < best:
                best, source = least - dual[row], row
                for j in range(column, stop):
                    if costs[row, j] - dual[n + j] == least:
                        sink = n + j
                        break
            seen += stop - column
            since += stop - column
            column = stop
            if column == m:
                column = 0
                row = row + 1 if row + 1 < n else 0
            if since >= block:
                if source >= 0:
                    break
                since = 0
        if source < 0:
            if fresh:
                done = True
                break
            # Added steps carry rounding; the end counts only with potentials straight from the tree.
            _potentials(costs, n, parent, depth, child, right, dual)
            fresh = True
            continue
        fresh = False
        pivots += 1
        # The last blocking arc of the cycle, from its apex along the entering arc, keeps the tree strongly feasible.
        delta = np.inf
        leaving, by_source = -1, True
        a, b = source, sink
        while a != b:
            if depth[a] >= depth[b]:
                if a < n and flow[a] < delta:
                    delta, leaving, by_source = flow[a], a, True
                a = parent[a]
            else:
                if b >= n and flow[b] <= delta:
                    delta, leaving, by_source = flow[b], b, False
                b = parent[b]
        apex = a
        a = source
        while a != apex:
            flow[a] += -delta if a < n else delta
            a = parent[a]
        b = sink
        while b != apex:
            flow[b] += -delta if b >= n else delta
            b = parent[b]
        # Hang the part below the leaving arc from the entering arc: its stem turns around.
        top = source if by_source else sink
        node, above, carried = top, (sink if by_source else source), delta
        while True:
            old, kept = parent[node], flow[node]
            _unlink(node, old, child, right, left)
            parent[node], flow[node] = above, carried
            _link(node, above, child, right, left)
            if node == leaving:
                break
            above, node, carried = node, old, kept
        # Everything below moves by the reduced cost of the entering arc, up on the side of `top` and down on the other.
        node = top
        while True:
            dual[node] += best if (node < n) == by_source else -best
            depth[node] = depth[parent[node]] + 1
            if child[node] >= 0:
                node = child[node]
                continue
            while node != top and right[node] < 0:
                node = parent[node]
            if node == top:
                break
            node = right[node]
    for node in range(total - 1):
        above = parent[node]
        sources[node], sinks[node] = (node, above - n) if node < n else (above, node - n)
        moved[node] = flow[node]
    return sources, sinks, moved, dual, pivots, done
