"""One solver for every support vector machine: decomposition into blocks, inside which pairs are picked to second order.

All of them minimize :math:`\\tfrac12 \\beta^T K \\beta + q^T \\beta` over a box with the sum of β fixed, in signed
multipliers β = y α. A block of the worst violators of the optimality conditions is solved by sequential minimal optimization
on its own small matrix; its kernel rows come from a cache, and missing ones are formed together by one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fivefold.base.jit import njit

# Curvature given to a pair of equal rows (or to an indefinite kernel): their step goes to the bounds.
_TAU = 1e-12
_BLOCK = 256
_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class DualSolution:
    """Where the solver ended.

    Parameters
    ----------
    beta : ndarray of shape (m,)
        Signed multipliers.
    bias : float
        Offset b that belongs to f = K β: the conditions hold for f + b.
    objective : float
        Value of the minimized dual.
    residual : float
        Largest violation of the optimality conditions by a pair (the gap that ``tol`` bounds).
    n_iter : int
        Pairs optimized.
    converged : bool
    scores : ndarray of shape (n,)
        K β at the training rows.
    """

    beta: np.ndarray
    bias: float
    objective: float
    residual: float
    n_iter: int
    converged: bool
    scores: np.ndarray


class RowCache:
    """The kernel rows that were used last, as many as fit into a number of megabytes.

    Parameters
    ----------
    rows_of : callable
        From row numbers (k,) to kernel rows (k, n).
    n : int
        Length of a row.
    megabytes : float
    """

    def __init__(self, rows_of: Callable[[np.ndarray], np.ndarray], n: int, megabytes: float) -> None:
        self.block = min(_BLOCK, n)
        capacity = min(n, max(self.block, int(megabytes * _MEGABYTE // (8 * n))))
        self._rows_of = rows_of
        self.values = np.empty((capacity, n))
        self._slot = np.full(n, -1, dtype=np.int64)
        self._owner = np.full(capacity, -1, dtype=np.int64)
        self._used = np.full(capacity, -1, dtype=np.int64)
        self._clock = 0

    def slots(self, rows: np.ndarray) -> np.ndarray:
        """Return where in ``values`` the kernel rows lie; missing ones replace those not used for longest."""
        self._clock += 1
        slot = self._slot[rows]
        present = slot >= 0
        self._used[slot[present]] = self._clock
        absent = rows[~present]
        if len(absent):
            free = np.argpartition(self._used, len(absent) - 1)[: len(absent)]
            evicted = self._owner[free]
            self._slot[evicted[evicted >= 0]] = -1
            self.values[free] = self._rows_of(absent)
            self._owner[free] = absent
            self._slot[absent] = free
            self._used[free] = self._clock
            slot = self._slot[rows]
        return slot


@njit
def _pairs(K, beta, v, low, high, tol, max_iter):  # type: ignore[no-untyped-def]
    """Minimize over a block in place: beta (m,), v (m,) the negative gradient, K (m, m); return the number of pairs.

    A pair is the steepest ascent i among those that can grow, and the j among those that can shrink with which the
    objective falls most (Fan, Chen & Lin 2005).
    """
    m = len(beta)
    for count in range(max_iter):
        i = -1
        top = -np.inf
        bottom = np.inf
        for t in range(m):
            if beta[t] < high[t] and v[t] > top:
                top = v[t]
                i = t
            if beta[t] > low[t] and v[t] < bottom:
                bottom = v[t]
        if i < 0 or top - bottom <= tol:
            return count
        j = -1
        best = 0.0
        for t in range(m):
            if beta[t] > low[t] and v[t] < top:
                curvature = K[i, i] + K[t, t] - 2.0 * K[i, t]
                if curvature <= 0.0:
                    curvature = _TAU
                gain = (top - v[t]) * (top - v[t]) / curvature
                if gain > best:
                    best = gain
                    j = t
        curvature = K[i, i] + K[j, j] - 2.0 * K[i, j]
        if curvature <= 0.0:
            curvature = _TAU
        step = (top - v[j]) / curvature
        # At a bound the multiplier is set to it exactly, so that it leaves the set of those that can move further.
        room_i = high[i] - beta[i]
        room_j = beta[j] - low[j]
        if step >= room_i and room_i <= room_j:
            step = room_i
            beta[i] = high[i]
            beta[j] = low[j] if room_i == room_j else beta[j] - step
        elif step >= room_j:
            step = room_j
            beta[j] = low[j]
            beta[i] += step
        else:
            beta[i] += step
            beta[j] -= step
        for t in range(m):
            v[t] -= step * (K[i, t] - K[j, t])
    return max_iter


@njit
def _accumulate(f, values, slots, delta):  # type: ignore[no-untyped-def]
    """Add ``delta[k] * values[slots[k]]`` to f (n,), in pieces of f that stay in the cache."""
    n = len(f)
    for start in range(0, n, 2048):
        stop = min(start + 2048, n)
        for k in range(len(slots)):
            d = delta[k]
            if d != 0.0:
                row = values[slots[k]]
                for t in range(start, stop):
                    f[t] += d * row[t]


def _worst(scores: np.ndarray, candidates: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` candidates of largest score."""
    if len(candidates) <= count:
        return candidates
    return candidates[np.argpartition(scores[candidates], len(candidates) - count)[len(candidates) - count :]]


def minimize_dual(
    rows_of: Callable[[np.ndarray], np.ndarray],
    n: int,
    q: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    start: np.ndarray,
    *,
    tol: float,
    max_iter: int = -1,
    cache_size: float = 200.0,
    scores: np.ndarray | None = None,
    stop_above: float = np.inf,
) -> DualSolution:
    """Minimize ``½ β'Kβ + q'β`` over ``low <= β <= high`` with the sum of β as it is at ``start``.

    Parameters
    ----------
    rows_of : callable
        From row numbers (k,) to rows (k, n) of a positive semi-definite K.
    n : int
        Rows of K. With m = 2n variables the second half shares the rows of the first (regression).
    q, low, high, start : ndarray of shape (m,)
        Linear term, bounds (``high`` may be infinite) and a feasible start.
    tol : float
        Largest violation of the optimality conditions by a pair at the end.
    max_iter : int
        Most pairs, -1 for no limit.
    cache_size : float
        Megabytes for kernel rows.
    scores : ndarray of shape (n,), optional
        K start, zero when not given.
    stop_above : float
        End without convergence once a multiplier is larger: the sign of a dual without bound.

    Returns
    -------
    DualSolution
    """
    beta = start.copy()
    m = len(beta)
    f = np.zeros(n) if scores is None else scores.copy()
    cache = RowCache(rows_of, n, cache_size)
    size = min(m, cache.block)
    before = np.empty(0, dtype=np.int64)
    budget = np.iinfo(np.int64).max if max_iter < 0 else max_iter
    done, residual, bias, converged = 0, 0.0, 0.0, False
    while True:
        v = -(f[np.arange(m) % n] + q) if m > n else -(f + q)  # (m,)
        up, down = np.flatnonzero(beta < high), np.flatnonzero(beta > low)
        if not len(up) or not len(down):
            # Every multiplier sits at one end of its box: no pair can move.
            bias = float(v[down].min() if len(down) else v[up].max())
            converged = True
            break
        top, bottom = float(v[up].max()), float(v[down].min())
        residual = max(top - bottom, 0.0)
        free = (beta > low) & (beta < high)
        bias = float(v[free].mean()) if free.any() else 0.5 * (top + bottom)
        if residual <= tol:
            converged = True
            break
        if done >= budget or np.abs(beta).max() > stop_above:
            break
        if m <= size:
            work = np.arange(m)
        else:
            # Half of the block is new; the other half is the newest of the last block, which stops zigzags between blocks.
            fresh = size // 2 if len(before) else size
            new = np.union1d(_worst(v, up, (fresh + 1) // 2), _worst(-v, down, (fresh + 1) // 2))
            kept = before[~np.isin(before, new)][: size - len(new)]
            work = np.concatenate([new, kept])[:size] if len(new) <= size else new
            before = work
        rows = np.unique(work % n)
        slots = cache.slots(rows)
        inside = np.searchsorted(rows, work % n)
        K = cache.values[slots[:, None], rows[None, :]]  # (r, r)
        K = np.ascontiguousarray(K[inside[:, None], inside[None, :]])  # (w, w)
        mine = beta[work]
        whole = m <= size
        goal = 0.5 * tol if whole else max(0.1 * residual, 0.5 * tol)
        limit = int(min(budget - done, 100_000 if whole else 50 * size))
        steps = int(_pairs(K, mine, v[work], low[work], high[work], goal, limit))
        done += steps
        delta = np.zeros(len(rows))
        np.add.at(delta, inside, mine - beta[work])
        beta[work] = mine
        _accumulate(f, cache.values, slots, delta)
        if steps == 0:
            # The block meets its goal though the whole does not: rounding is all that is left.
            break
    shared = beta if m == n else beta[:n] + beta[n:]
    objective = float(0.5 * (shared @ f) + q @ beta)
    return DualSolution(beta, bias, objective, residual, done, converged, f)


def solve_one_class(
    rows_of: Callable[[np.ndarray], np.ndarray],
    n: int,
    nu: float,
    *,
    weight: np.ndarray | None = None,
    tol: float = 1e-3,
    max_iter: int = -1,
    cache_size: float = 200.0,
) -> DualSolution:
    """Solve the dual of the one-class machine, ``min ½ α'Kα``, ``0 <= α_i <= w_i``, ``Σ α_i = ν Σ w_i``.

    Parameters
    ----------
    rows_of : callable
        From row numbers (k,) to kernel rows (k, n).
    n : int
        Number of rows.
    nu : float in (0, 1]
        Bound on the share of outliers.
    weight : ndarray of shape (n,), optional
        Row weights, 1 each when not given.
    tol, max_iter, cache_size : float, int, float
        As in :func:`minimize_dual`.

    Returns
    -------
    DualSolution
        ``bias`` is -ρ: a row is an outlier where K α + bias < 0.
    """
    high = np.ones(n) if weight is None else weight.astype(np.float64)
    mass = nu * float(high.sum())
    # The first rows fill their boxes until the sum is reached.
    filled = np.cumsum(high)
    start = np.clip(mass - (filled - high), 0.0, high)
    used = np.flatnonzero(start)
    scores = np.zeros(n)
    for part in np.array_split(used, max(1, len(used) // _BLOCK)):
        scores += start[part] @ rows_of(part)
    return minimize_dual(
        rows_of,
        n,
        np.zeros(n),
        np.zeros(n),
        high,
        start,
        tol=tol,
        max_iter=max_iter,
        cache_size=cache_size,
        scores=scores,
    )


def rows_of_kernel(kernel: Any, X: Any, keep: np.ndarray | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from row numbers to kernel rows of X; a precomputed kernel is X itself, cut to ``keep``."""
    from .kernels import squared_norms

    if kernel.name == "precomputed":
        columns = np.arange(X.shape[1]) if keep is None else keep

        def given(rows: np.ndarray) -> np.ndarray:
            part = X[rows][:, columns]
            return np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float64)

        return given
    norms = squared_norms(X)

    def computed(rows: np.ndarray) -> np.ndarray:
        return np.asarray(kernel(X[rows], X, norms[rows], norms))

    return computed
