"""The compiled sums over nearest neighbors."""

from __future__ import annotations

import numba
import numpy as np

from fivefold.base.jit import njit


@njit(parallel=True)
def neighbor_sums(
    own: np.ndarray,
    groups: np.ndarray,
    likeness: np.ndarray,
    starts: np.ndarray,
    members: np.ndarray,
    values: np.ndarray,
    k: int,
    least: int,
    out: np.ndarray,
) -> None:
    """Write the mean of the ``values`` of the k members most alike to ``own[n]``, weighted by likeness, into ``out`` (n,).

    The members of group g are ``members[starts[g]:starts[g + 1]]``; of equal likeness the earlier one counts. Members without
    positive likeness count for nothing; where fewer than ``least`` are left, or the group is -1, the mean is NaN.
    """
    for n in numba.prange(len(own)):
        out[n] = np.nan
        if own[n] < 0 or groups[n] < 0:
            continue
        begin, end = starts[groups[n]], starts[groups[n] + 1]
        size = min(k, end - begin)
        near, value = np.empty(size), np.empty(size)
        filled = 0
        for at in range(begin, end):
            alike = likeness[own[n], members[at]]
            if alike <= 0.0 or (filled == size and alike <= near[size - 1]):
                continue
            place = filled if filled < size else size - 1
            filled = min(filled + 1, size)
            while place > 0 and near[place - 1] < alike:
                near[place], value[place] = near[place - 1], value[place - 1]
                place -= 1
            near[place], value[place] = alike, values[at]
        if filled >= least and filled > 0:
            total, weight = 0.0, 0.0
            for at in range(filled):
                total += near[at] * value[at]
                weight += near[at]
            out[n] = total / weight
