"""Compiled loops of the nearest-neighbor search.

A neighbor list of a query is a max-heap of pairs (distance, training row) ordered by distance, then by row: the root is the
neighbor that falls out first. Distances here are *reduced*: squared for the Euclidean metric, powers of p for Minkowski's,
so that no root is taken before the end. Metric codes: 0 Euclidean, 1 Manhattan, 2 Chebyshev, 3 Minkowski.
"""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit


@njit
def _sift(values, rows, size, value, row):  # type: ignore[no-untyped-def]
    """Put a pair at the root of a heap of ``size`` pairs and let it sink; the former root is gone."""
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            values[right] > values[child] or (values[right] == values[child] and rows[right] > rows[child])
        ):
            child = right
        if values[child] > value or (values[child] == value and rows[child] > row):
            values[hole] = values[child]
            rows[hole] = rows[child]
            hole = child
        else:
            break
    values[hole] = value
    rows[hole] = row


@njit
def _unheap(values, rows):  # type: ignore[no-untyped-def]
    """Sort the pairs of a heap, by distance and then by row: the root goes to the end, again and again."""
    for end in range(values.shape[0] - 1, 0, -1):
        value, row = values[end], rows[end]
        values[end], rows[end] = values[0], rows[0]
        _sift(values, rows, end, value, row)


@njit
def _distance(a, b, metric, p):  # type: ignore[no-untyped-def]
    """Return the reduced distance of two vectors."""
    total = 0.0
    if metric == 0:
        for j in range(a.shape[0]):
            gap = a[j] - b[j]
            total += gap * gap
    elif metric == 1:
        for j in range(a.shape[0]):
            total += abs(a[j] - b[j])
    elif metric == 2:
        for j in range(a.shape[0]):
            total = max(total, abs(a[j] - b[j]))
    else:
        for j in range(a.shape[0]):
            total += abs(a[j] - b[j]) ** p
    return total


@njit
def scan_scores(scores, first, values, rows):  # type: ignore[no-untyped-def]
    """Merge a block of approximate scores into the heaps.

    scores (q, m) belong to training rows ``first`` to ``first + m``; values, rows (q, c) are the heaps.
    """
    for i in range(scores.shape[0]):
        worst = values[i, 0]
        for j in range(scores.shape[1]):
            if scores[i, j] < worst:  # any value: at a tie, which `refine` ranks by exact distance and row
                _sift(values[i], rows[i], values.shape[1], scores[i, j], first + j)
                worst = values[i, 0]


@njit
def refine(queries, data, approximate, candidates, slack, distances, rows, certain):  # type: ignore[no-untyped-def]
    """Rank candidates by their exact Euclidean distance and say for which queries no other row can be nearer.

    A row that is no candidate has an approximate score of at least the heap's root, so its squared distance is at least
    that root plus |q|² minus ``slack``.

    queries (q, d), data (n, d), approximate (q, c) scores without |q|², candidates (q, c), slack (q, 2) of (|q|² in the
    units of the scores, error bound), distances and rows (q, k) are written, certain (q,) is written.
    """
    last = rows.shape[1] - 1
    for i in range(queries.shape[0]):
        distances[i] = np.inf
        rows[i] = data.shape[0]
        for c in range(candidates.shape[1]):
            row = candidates[i, c]
            value = _distance(queries[i], data[row], 0, 2.0)
            if value < distances[i, 0] or (value == distances[i, 0] and row < rows[i, 0]):
                _sift(distances[i], rows[i], distances.shape[1], value, row)
        _unheap(distances[i], rows[i])
        certain[i] = distances[i, last] < approximate[i, 0] + slack[i, 0] - slack[i, 1]


@njit
def scan_dense(queries, data, metric, p, distances, rows):  # type: ignore[no-untyped-def]
    """Compare every query with every row: queries (q, d), data (n, d) -> distances, rows (q, k)."""
    for i in range(queries.shape[0]):
        distances[i] = np.inf
        rows[i] = data.shape[0]
        for t in range(data.shape[0]):
            value = _distance(queries[i], data[t], metric, p)
            if value < distances[i, 0]:
                _sift(distances[i], rows[i], distances.shape[1], value, t)
        _unheap(distances[i], rows[i])


@njit
def scan_sparse(q_data, q_indices, q_indptr, t_data, t_indices, t_indptr, metric, p, distances, rows):  # type: ignore[no-untyped-def]
    """The same for compressed rows with sorted indices."""
    n = t_indptr.shape[0] - 1
    for i in range(q_indptr.shape[0] - 1):
        distances[i] = np.inf
        rows[i] = n
        for t in range(n):
            a, a_end = q_indptr[i], q_indptr[i + 1]
            b, b_end = t_indptr[t], t_indptr[t + 1]
            total = 0.0
            while a < a_end or b < b_end:
                if b >= b_end or (a < a_end and q_indices[a] < t_indices[b]):
                    gap = abs(q_data[a])
                    a += 1
                elif a >= a_end or t_indices[b] < q_indices[a]:
                    gap = abs(t_data[b])
                    b += 1
                else:
                    gap = abs(q_data[a] - t_data[b])
                    a += 1
                    b += 1
                if metric == 0:
                    total += gap * gap
                elif metric == 1:
                    total += gap
                elif metric == 2:
                    total = max(total, gap)
                else:
                    total += gap**p
            if total < distances[i, 0]:
                _sift(distances[i], rows[i], distances.shape[1], total, t)
        _unheap(distances[i], rows[i])


@njit
def _halve(data, order, axis, start, stop, middle):  # type: ignore[no-untyped-def]
    """Reorder ``order[start:stop]`` so that no row before ``middle`` exceeds one from there on (Hoare's selection)."""
    left, right = start, stop - 1
    while left < right:
        pivot = data[order[(left + right) // 2], axis]
        i, j = left, right
        while i <= j:
            while data[order[i], axis] < pivot:
                i += 1
            while data[order[j], axis] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            right = j
        elif middle > i:  # any value: at i the halves are parted already
            left = i
        else:
            return


@njit
def build_tree(data, order, leaf_size, low, high, span, children):  # type: ignore[no-untyped-def]
    """Split rows at the median of their widest feature until a node holds at most ``leaf_size``; return the node count.

    order (n,) becomes the rows in tree order; low, high (m, d) the boxes; span (m, 2) the rows of a node in ``order``;
    children (m, 2) the nodes below, -1 at leaves.
    """
    d = data.shape[1]
    span[0, 0], span[0, 1] = 0, data.shape[0]
    count = 1
    node = 0
    while node < count:
        start, stop = span[node, 0], span[node, 1]
        for j in range(d):
            low[node, j] = high[node, j] = data[order[start], j]
        for r in range(start, stop):
            for j in range(d):
                value = data[order[r], j]
                low[node, j] = min(low[node, j], value)
                high[node, j] = max(high[node, j], value)
        children[node, 0] = -1
        children[node, 1] = -1
        axis = 0
        for j in range(1, d):
            if high[node, j] - low[node, j] > high[node, axis] - low[node, axis]:
                axis = j
        if stop - start > leaf_size and high[node, axis] > low[node, axis]:
            middle = (start + stop) // 2
            _halve(data, order, axis, start, stop, middle)
            for side in range(2):
                span[count, 0] = start if side == 0 else middle
                span[count, 1] = middle if side == 0 else stop
                children[node, side] = count
                count += 1
        node += 1
    return count


@njit
def _box_distance(query, low, high, metric, p):  # type: ignore[no-untyped-def]
    """Return the reduced distance of a query from a box; never above that of a row inside, rounding included."""
    total = 0.0
    for j in range(query.shape[0]):
        gap = 0.0
        if query[j] < low[j]:
            gap = low[j] - query[j]
        elif query[j] > high[j]:
            gap = query[j] - high[j]
        if metric == 0:
            total += gap * gap
        elif metric == 1:
            total += gap
        elif metric == 2:
            total = max(total, gap)
        else:
            total += gap**p
    return total


@njit
def scan_tree(queries, data, order, low, high, span, children, metric, p, distances, rows):  # type: ignore[no-untyped-def]
    """Search the tree, nearer child first; a box is left out only when it is farther than the last neighbor.

    A box at the same distance is searched, because it may hold a row of smaller number.
    """
    size = 128  # any value: room enough, two nodes a level
    stack = np.empty(size, dtype=np.int64)
    bounds = np.empty(size)
    for i in range(queries.shape[0]):
        distances[i] = np.inf
        rows[i] = data.shape[0]
        query = queries[i]
        stack[0] = 0
        bounds[0] = _box_distance(query, low[0], high[0], metric, p)
        depth = 1
        while depth > 0:
            depth -= 1
            node, bound = stack[depth], bounds[depth]
            if bound > distances[i, 0]:
                continue
            left = children[node, 0]
            if left == -1:
                for r in range(span[node, 0], span[node, 1]):
                    row = order[r]
                    value = _distance(query, data[row], metric, p)
                    if value < distances[i, 0] or (value == distances[i, 0] and row < rows[i, 0]):
                        _sift(distances[i], rows[i], distances.shape[1], value, row)
            else:
                right = children[node, 1]
                near = _box_distance(query, low[left], high[left], metric, p)
                far = _box_distance(query, low[right], high[right], metric, p)
                if near > far:  # any value: cost alone
                    left, right = right, left
                    near, far = far, near
                stack[depth], bounds[depth] = right, far
                stack[depth + 1], bounds[depth + 1] = left, near
                depth += 2
        _unheap(distances[i], rows[i])
