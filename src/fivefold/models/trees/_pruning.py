"""Minimal cost-complexity pruning (Breiman, Friedman, Olshen & Stone 1984, chapter 3)."""

from __future__ import annotations

import heapq

import numpy as np

from fivefold.base.jit import njit


@njit
def weakest_links(left, right, risk, limit):
    """Collapse the weakest link again and again while its effective alpha is at most ``limit``.

    The effective alpha of an inner node t is ``(R(t) - R(T_t)) / (|T_t| - 1)`` with R the risk of the node or the summed
    risk of the leaves below it, and |T_t| the number of those leaves.

    left, right (m,) children in an order where parents precede children, -1 in leaves; risk (m,).
    Returns the mask of nodes that stay, the mask of nodes that became leaves, the alphas and the total risks after each
    step, beginning with alpha 0 and the whole tree.
    """
    m = left.shape[0]
    parent = np.full(m, -1, dtype=np.int64)
    for t in range(m):
        if left[t] >= 0:
            parent[left[t]] = t
            parent[right[t]] = t
    below = np.zeros(m)  # R(T_t)
    leaves = np.zeros(m, dtype=np.int64)  # |T_t|
    for t in range(m):
        if left[t] < 0:
            node = t
            while node >= 0:
                below[node] += risk[t]
                leaves[node] += 1
                node = parent[node]
    stays = np.ones(m, dtype=np.bool_)
    inner = left >= 0
    version = np.zeros(m, dtype=np.int64)
    heap = [(0.0, 0, 0)]
    heap.pop()
    for t in range(m):
        if inner[t]:
            heapq.heappush(heap, ((risk[t] - below[t]) / (leaves[t] - 1), t, 0))
    alphas, risks = [0.0], [below[0]]
    doomed = [0]
    doomed.pop()
    while len(heap) > 0:
        alpha, t, seen = heapq.heappop(heap)
        if not inner[t] or not stays[t] or seen != version[t]:
            continue
        if alpha > limit:
            break
        doomed.append(left[t])
        doomed.append(right[t])
        while len(doomed) > 0:
            node = doomed.pop()
            if stays[node]:
                stays[node] = False
                if inner[node]:
                    doomed.append(left[node])
                    doomed.append(right[node])
        inner[t] = False
        gone, rise = leaves[t] - 1, risk[t] - below[t]
        leaves[t], below[t] = 1, risk[t]
        node = parent[t]
        while node >= 0:
            leaves[node] -= gone
            below[node] += rise
            version[node] += 1
            heapq.heappush(heap, ((risk[node] - below[node]) / (leaves[node] - 1), node, version[node]))
            node = parent[node]
        alphas.append(alpha)
        risks.append(below[0])
    return stays, stays & ~inner, np.array(alphas), np.array(risks)
