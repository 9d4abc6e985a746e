"""Kernels of hierarchical clustering: distances, nearest-neighbor chains, the minimum spanning tree, the union of leaves."""

from __future__ import annotations

import numpy as np
from numba import prange

from fivefold.base.jit import njit

SINGLE, COMPLETE, AVERAGE, WEIGHTED, WARD, CENTROID, MEDIAN = range(7)


@njit
def place(n, i, j):
    """Return where the pair i != j of n rows stands in a condensed matrix."""
    if i > j:
        i, j = j, i
    return n * i - i * (i + 1) // 2 + j - i - 1


@njit(parallel=True)
def pair_distances(X, metric, out):
    """Write the distances of all pairs of rows of X (n, d) into out (n (n - 1) / 2,); each pair is one thread's work."""
    n, d = X.shape
    for i in prange(n - 1):
        start = n * i - i * (i + 1) // 2 - i - 1
        for j in range(i + 1, n):
            total, own, other = 0.0, 0.0, 0.0
            for c in range(d):
                if metric == 0:
                    total += (X[i, c] - X[j, c]) ** 2
                elif metric == 1:
                    total += abs(X[i, c] - X[j, c])
                elif metric == 2:
                    total = max(total, abs(X[i, c] - X[j, c]))
                else:
                    total += X[i, c] * X[j, c]
                    own += X[i, c] ** 2
                    other += X[j, c] ** 2
            if metric == 0:
                total = np.sqrt(total)
            elif metric == 3:
                total = max(1.0 - total / np.sqrt(own * other), 0.0)
            out[start + j] = total


@njit
def _merged(method, a, b, between, x, y, z):
    """Return the distance of a cluster of z rows to the union of two of x and y rows, at a and b from it (Lance-Williams)."""
    if method == SINGLE:
        return min(a, b)
    if method == COMPLETE:
        return max(a, b)
    if method == AVERAGE:
        return (x * a + y * b) / (x + y)
    if method == WEIGHTED:
        return 0.5 * (a + b)
    if method == WARD:
        t = 1.0 / (x + y + z)
        return np.sqrt(max(((x + z) * a * a + (y + z) * b * b - z * between * between) * t, 0.0))
    if method == CENTROID:
        square = (x * a * a + y * b * b - x * y * between * between / (x + y)) / (x + y)
        return np.sqrt(max(square, 0.0))
    return np.sqrt(max(0.5 * (a * a + b * b) - 0.25 * between * between, 0.0))


@njit
def chain(D, n, method):
    """Return the merges (n - 1, 3) of reducible linkages in the order of the nearest-neighbor chain; D is overwritten."""
    merges = np.empty((n - 1, 3))
    size = np.ones(n, dtype=np.int64)
    path = np.empty(n, dtype=np.int64)
    length = 0
    for step in range(n - 1):
        if length == 0:
            length = 1
            for i in range(n):
                if size[i] > 0:
                    path[0] = i
                    break
        while True:
            x = path[length - 1]
            y, nearest = -1, np.inf
            if length > 1:
                # The row before is preferred among equals, or chains of equal distances would never end.
                y = path[length - 2]
                nearest = D[place(n, x, y)]
            for i in range(n):
                if size[i] > 0 and i != x:
                    value = D[place(n, x, i)]
                    if value < nearest or y < 0:
                        y, nearest = i, value
            if length > 1 and y == path[length - 2]:
                break
            path[length] = y
            length += 1
        length -= 2
        if x > y:
            x, y = y, x
        nx, ny = size[x], size[y]
        merges[step, 0], merges[step, 1], merges[step, 2] = x, y, nearest
        size[x], size[y] = 0, nx + ny
        for i in range(n):
            if size[i] > 0 and i != y:
                D[place(n, i, y)] = _merged(method, D[place(n, i, x)], D[place(n, i, y)], nearest, nx, ny, size[i])
    return merges


@njit
def spanning_tree(D, n):
    """Return the edges (n - 1, 3) of the minimum spanning tree in Prim's order, which are the merges of single linkage."""
    merges = np.empty((n - 1, 3))
    inside = np.zeros(n, dtype=np.bool_)
    reach = np.full(n, np.inf)
    x = 0
    for step in range(n - 1):
        inside[x] = True
        y, nearest = -1, np.inf
        for i in range(n):
            if not inside[i]:
                reach[i] = min(reach[i], D[place(n, x, i)])
                if reach[i] < nearest or y < 0:
                    y, nearest = i, reach[i]
        merges[step, 0], merges[step, 1], merges[step, 2] = x, y, nearest
        x = y
    return merges


@njit
def generic(D, n, method):
    """Return the merge table (n - 1, 4) of linkages that may invert: always the closest pair next; D is overwritten."""
    table = np.empty((n - 1, 4))
    size = np.ones(n, dtype=np.int64)
    name = np.arange(n)
    near = np.full(n, -1)
    gap = np.full(n, np.inf)
    for i in range(n - 1):
        for j in range(i + 1, n):
            if D[place(n, i, j)] < gap[i] or near[i] < 0:
                near[i], gap[i] = j, D[place(n, i, j)]
    for step in range(n - 1):
        x = -1
        for i in range(n - 1):
            if size[i] > 0 and near[i] >= 0 and (x < 0 or gap[i] < gap[x]):
                x = i
        y, between = near[x], gap[x]
        nx, ny = size[x], size[y]
        table[step, 0], table[step, 1] = min(name[x], name[y]), max(name[x], name[y])
        table[step, 2], table[step, 3] = between, nx + ny
        size[x], size[y] = 0, nx + ny
        name[y] = n + step
        for i in range(n):
            if size[i] > 0 and i != y:
                D[place(n, i, y)] = _merged(method, D[place(n, i, x)], D[place(n, i, y)], between, nx, ny, size[i])
        for i in range(n - 1):
            if size[i] == 0:
                continue
            # Whoever pointed at either cluster, and the new one, must look again; others may only have come closer to y.
            if i == y or near[i] == x or near[i] == y:
                near[i], gap[i] = -1, np.inf
                for j in range(i + 1, n):
                    if size[j] > 0 and (near[i] < 0 or D[place(n, i, j)] < gap[i]):
                        near[i], gap[i] = j, D[place(n, i, j)]
            elif i < y and D[place(n, i, y)] < gap[i]:
                near[i], gap[i] = y, D[place(n, i, y)]
    return table


@njit
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit
def named(merges, n):
    """Return the merge table (n - 1, 4) of merges (n - 1, 3) sorted by height: smaller name, larger name, height, rows."""
    parent = np.arange(2 * n - 1)
    rows = np.ones(2 * n - 1, dtype=np.int64)
    table = np.empty((n - 1, 4))
    for step in range(n - 1):
        x = _root(parent, int(merges[step, 0]))
        y = _root(parent, int(merges[step, 1]))
        parent[x] = parent[y] = n + step
        rows[n + step] = rows[x] + rows[y]
        table[step, 0], table[step, 1] = min(x, y), max(x, y)
        table[step, 2], table[step, 3] = merges[step, 2], rows[n + step]
    return table


@njit
def leaves_of(table, chosen, n):
    """Return a cluster number (n,) per row after the ``chosen`` (n - 1,) merges, in the order of their first rows."""
    parent = np.arange(2 * n - 1)
    for step in range(n - 1):
        if chosen[step]:
            parent[_root(parent, int(table[step, 0]))] = n + step
            parent[_root(parent, int(table[step, 1]))] = n + step
    number = np.full(2 * n - 1, -1)
    labels = np.empty(n, dtype=np.int64)
    count = 0
    for i in range(n):
        root = _root(parent, i)
        if number[root] < 0:
            number[root] = count
            count += 1
        labels[i] = number[root]
    return labels
