"""Kernels of neighbor embedding: calibrated affinities, exact and tree-accelerated gradients, places for new points.

Every row is the work of one thread and totals are added in the order of the rows, so results do not depend on the number of
threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fivefold.base.jit import njit

_LEAF = 8
_DEPTH = 64


@njit(parallel=True)
def calibrate(square, perplexity, out, beta):
    """Write p(j|i) of every row of squared distances (n, m) into out, with 2 ** entropy equal to the perplexity.

    beta (n,) receives 1 / (2 sigma²), or infinity for a row with at least ``perplexity`` rows at its least distance: the
    perplexity cannot fall below their number, and they share the probability evenly.
    """
    n, m = square.shape
    target = np.log(perplexity)
    for i in prange(n):
        least, mean = square[i, 0], 0.0
        for j in range(m):
            least = min(least, square[i, j])
        ties = 0
        for j in range(m):
            mean += (square[i, j] - least) / m
            ties += square[i, j] == least
        if ties >= perplexity:
            beta[i] = np.inf
            for j in range(m):
                out[i, j] = 1.0 / ties if square[i, j] == least else 0.0
            continue
        low, high, scale = 0.0, np.inf, 1.0
        for _ in range(200):  # any value: a cap of steps
            total, product = 0.0, 0.0
            for j in range(m):
                gap = (square[i, j] - least) / mean
                value = np.exp(-scale * gap)
                out[i, j] = value
                total += value
                product += value * gap
            entropy = np.log(total) + scale * product / total
            if abs(entropy - target) < 1e-12:  # any value: the last digits
                break
            if entropy > target:
                low = scale
                scale = 2.0 * scale if high == np.inf else 0.5 * (low + high)
            else:
                high = scale
                scale = 0.5 * (low + high)
        for j in range(m):
            out[i, j] /= total
        beta[i] = scale / mean


@njit(parallel=True, fastmath={"reassoc", "contract"})
def exact_gradient(P, Y, student, exaggeration, measured, grad, parts):
    """Write the gradient (n, k) of the divergence between symmetric P (n, n) and the map Y (n, k); return Σ p ln(p / q).

    Student-t similarities share one total. Gaussian ones (``student`` false) are normalized per row, P holds p(j|i) / n.
    Without ``measured`` no logarithm is taken and the sum is zero. parts (3, n) is room for sums by row.
    """
    n, k = Y.shape
    for i in prange(n):
        total, least = 0.0, 0.0
        if not student:
            # The nearest row stands for one, so that a row far from all has no sum of zero.
            least = 1e300
            for j in range(n):
                if j != i:
                    square = 0.0
                    for c in range(k):
                        square += (Y[i, c] - Y[j, c]) ** 2
                    least = min(least, square)
        for j in range(n):
            if j != i:
                square = 0.0
                for c in range(k):
                    square += (Y[i, c] - Y[j, c]) ** 2
                total += 1.0 / (1.0 + square) if student else np.exp(least - square)
        parts[0, i] = total
        parts[2, i] = least
    whole = 0.0
    for i in range(n):
        whole += parts[0, i]
    for i in prange(n):
        loss = 0.0
        for c in range(k):
            grad[i, c] = 0.0
        for j in range(n):
            if j == i:
                continue
            square = 0.0
            for c in range(k):
                square += (Y[i, c] - Y[j, c]) ** 2
            near = 1.0 / (1.0 + square)
            if student:
                q = near / whole
                pull = 4.0 * (exaggeration * P[i, j] - q) * near
            else:
                q = np.exp(parts[2, i] - square) / (parts[0, i] * n)
                back = np.exp(parts[2, j] - square) / (parts[0, j] * n)
                pull = 2.0 * (exaggeration * (P[i, j] + P[j, i]) - q - back)
            if measured and P[i, j] > 0.0:
                log_q = np.log(near) - np.log(whole) if student else parts[2, i] - square - np.log(parts[0, i] * n)
                loss += P[i, j] * (np.log(P[i, j]) - log_q)
            for c in range(k):
                grad[i, c] += pull * (Y[i, c] - Y[j, c])
        parts[1, i] = loss
    loss = 0.0
    for i in range(n):
        loss += parts[1, i]
    return loss


@njit
def build_tree(Y, order, start, stop, depth, mass, size, box):
    """Build the tree over the rows of Y (n, k) in depth-first order and return its number of nodes.

    A node is the range [start, stop) of ``order``, its center of mass in ``mass`` and the greatest extent of its bounding
    box in ``size``; boxes are cut at their middle in all axes. A node of at most 8 rows, or of equal rows, is a leaf.
    """
    n, k = Y.shape
    kinds = 1 << k
    stack = np.empty((_DEPTH * kinds + kinds, 3), dtype=np.int64)  # any value: room enough
    spare = np.empty(n, dtype=np.int64)
    which = np.empty(n, dtype=np.int64)
    counts = np.empty(kinds + 1, dtype=np.int64)
    for i in range(n):
        order[i] = i
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, n, 0
    height, nodes = 1, 0
    while height > 0:
        height -= 1
        a, b, level = stack[height, 0], stack[height, 1], stack[height, 2]
        node = nodes
        nodes += 1
        start[node], stop[node], depth[node] = a, b, level
        extent = 0.0
        for c in range(k):
            low, high, total = Y[order[a], c], Y[order[a], c], 0.0
            for r in range(a, b):
                value = Y[order[r], c]
                low, high = min(low, value), max(high, value)
                total += value
            mass[node, c] = total / (b - a)
            extent = max(extent, high - low)
            box[c] = low + 0.5 * (high - low)
        size[node] = extent
        if b - a <= _LEAF or extent == 0.0 or level >= _DEPTH - 1:
            continue
        counts[:] = 0
        for r in range(a, b):
            part = 0
            for c in range(k):
                part |= (Y[order[r], c] > box[c]) << c
            which[r] = part
            counts[part + 1] += 1
        for part in range(kinds):
            counts[part + 1] += counts[part]
        for part in range(kinds - 1, -1, -1):
            if counts[part + 1] > counts[part]:
                stack[height, 0], stack[height, 1] = a + counts[part], a + counts[part + 1]
                stack[height, 2] = level + 1
                height += 1
        for r in range(a, b):
            spare[a + counts[which[r]]] = order[r]
            counts[which[r]] += 1
        for r in range(a, b):
            order[r] = spare[r]
    return nodes


@njit
def skip_links(depth, nodes, skip):
    """Write the node that follows each subtree in depth-first order."""
    following = np.full(_DEPTH + 1, nodes, dtype=np.int64)
    for node in range(nodes - 1, -1, -1):
        level = depth[node]
        skip[node] = following[level]
        for deeper in range(level, _DEPTH + 1):
            following[deeper] = node


@njit(parallel=True, fastmath={"reassoc", "contract"})
def repel(Y, order, start, stop, mass, size, skip, nodes, angle, force, totals):
    """Write Σ_j s² (y_i - y_j) into force (n, k) and Σ_j s into totals (n,), s = 1 / (1 + |y_i - y_j|²).

    A node stands for its rows when its extent is below ``angle`` times the distance to its center and i is not in it.
    """
    n, k = Y.shape
    limit = angle * angle
    for position in prange(n):
        i = order[position]
        total = 0.0
        push = np.zeros(k)
        node = 0
        while node < nodes:
            if position < start[node] or position >= stop[node]:
                square = 0.0
                for c in range(k):
                    square += (Y[i, c] - mass[node, c]) ** 2
                if size[node] * size[node] < limit * square:
                    near = 1.0 / (1.0 + square)
                    count = stop[node] - start[node]
                    total += count * near
                    for c in range(k):
                        push[c] += count * near * near * (Y[i, c] - mass[node, c])
                    node = skip[node]
                    continue
            if skip[node] == node + 1:
                for r in range(start[node], stop[node]):
                    j = order[r]
                    if j != i:
                        square = 0.0
                        for c in range(k):
                            square += (Y[i, c] - Y[j, c]) ** 2
                        near = 1.0 / (1.0 + square)
                        total += near
                        for c in range(k):
                            push[c] += near * near * (Y[i, c] - Y[j, c])
            node += 1
        totals[i] = total
        for c in range(k):
            force[i, c] = push[c]


@njit(parallel=True, fastmath={"reassoc", "contract"})
def attract(indptr, indices, values, Y, whole, exaggeration, measured, force, grad, losses):
    """Write the gradient (n, k) from sparse P and the repulsion ``force``, and Σ_j p ln(p / q) of each row into losses.

    Without ``measured`` no logarithm is taken and the losses are zero.
    """
    n, k = Y.shape
    scale = 4.0 / whole
    for i in prange(n):
        begin, end = indptr[i], indptr[i + 1]
        if k == 2:  # any value: a way, not a result
            x, y = Y[i, 0], Y[i, 1]
            right, up = 0.0, 0.0
            for s in range(begin, end):
                j = indices[s]
                dx, dy = x - Y[j, 0], y - Y[j, 1]
                share = values[s] / (1.0 + dx * dx + dy * dy)
                right += share * dx
                up += share * dy
            grad[i, 0] = 4.0 * exaggeration * right - scale * force[i, 0]
            grad[i, 1] = 4.0 * exaggeration * up - scale * force[i, 1]
        else:
            pull = np.zeros(k)
            for s in range(begin, end):
                square = 0.0
                for c in range(k):
                    square += (Y[i, c] - Y[indices[s], c]) ** 2
                for c in range(k):
                    pull[c] += values[s] / (1.0 + square) * (Y[i, c] - Y[indices[s], c])
            for c in range(k):
                grad[i, c] = 4.0 * exaggeration * pull[c] - scale * force[i, c]
        losses[i] = 0.0
        if measured:
            for s in range(begin, end):
                if values[s] > 0.0:
                    square = 0.0
                    for c in range(k):
                        square += (Y[i, c] - Y[indices[s], c]) ** 2
                    losses[i] += values[s] * np.log(values[s] * whole * (1.0 + square))


@njit(fastmath={"reassoc", "contract"})
def _row_loss(y, near, p, Y, grad):
    """Return Σ_j p_j ln(1 / q_j) of one new point y (k,) and write its gradient."""
    n, k = Y.shape
    whole = 0.0
    push = np.zeros(k)
    for j in range(n):
        square = 0.0
        for c in range(k):
            square += (y[c] - Y[j, c]) ** 2
        s = 1.0 / (1.0 + square)
        whole += s
        for c in range(k):
            push[c] += s * s * (y[c] - Y[j, c])
    loss = np.log(whole)
    for c in range(k):
        grad[c] = -2.0 * push[c] / whole
    for r in range(len(near)):
        square = 0.0
        for c in range(k):
            square += (y[c] - Y[near[r], c]) ** 2
        loss += p[r] * np.log(1.0 + square)
        for c in range(k):
            grad[c] += 2.0 * p[r] * (y[c] - Y[near[r], c]) / (1.0 + square)
    return loss


@njit(parallel=True)
def settle(index, P, Y, steps, out):
    """Write the places (m, k) of new points with neighbors index (m, r) and p(j|i) P (m, r) in the fixed map Y (n, k).

    Each descends its own divergence from the mean of its neighbors, by steps that halve until the loss falls.
    """
    m, k = len(index), Y.shape[1]
    for i in prange(m):
        y, trial, grad, other = np.zeros(k), np.empty(k), np.empty(k), np.empty(k)
        for r in range(index.shape[1]):
            for c in range(k):
                y[c] += P[i, r] * Y[index[i, r], c]
        loss, step = _row_loss(y, index[i], P[i], Y, grad), 1.0
        for _ in range(steps):
            square = 0.0
            for c in range(k):
                square += grad[c] * grad[c]
                trial[c] = y[c] - step * grad[c]
            if square < 1e-24:  # any value: the last digits
                break
            found = _row_loss(trial, index[i], P[i], Y, other)
            if found <= loss - 1e-4 * step * square:
                loss = found
                for c in range(k):
                    y[c], grad[c] = trial[c], other[c]
                step *= 2.0
            else:
                step *= 0.5
                if step < 1e-12:  # any value: the last digits
                    break
        for c in range(k):
            out[i, c] = y[c]
