"""The compiled step of optimal k-means in one dimension."""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit


@njit
def add_bin(last: np.ndarray, count: np.ndarray, total: np.ndarray, k: int, out: np.ndarray, start: np.ndarray) -> None:
    """Write to ``out[i]`` the least cost of the values 0 … i in k + 1 bins and to ``start[i]`` where the last bin starts.

    ``last`` holds the costs with k bins, ``count`` and ``total`` the running sums of counts and values, from 0. The cost of a
    bin is ``-total**2 / count``: the squares of the values are a constant of the problem. The best start grows with i, which
    halves the search by divide and conquer: O(m log m).
    """
    m = len(out)
    stack = [(k, m - 1, k, m - 1)]
    while len(stack) > 0:
        low, high, first, latest = stack.pop()
        if low > high:
            continue
        i = (low + high) // 2
        best, place = np.inf, first
        for j in range(first, min(i, latest) + 1):
            gathered = total[i + 1] - total[j]
            cost = last[j - 1] - gathered * gathered / (count[i + 1] - count[j])
            if cost < best:
                best, place = cost, j
        out[i] = best
        start[i] = place
        stack.append((low, i - 1, first, place))
        stack.append((i + 1, high, place, latest))
