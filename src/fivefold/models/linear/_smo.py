"""One solver for every support vector machine: decomposition into blocks, inside which pairs are picked to second order.

All of them minimize :math:`\\tfrac12 \\beta^T K \\beta + q^T \\beta` over a box with the sum of β fixed, in signed
multipliers β = y α. A block of the worst violators of the optimality conditions is solved by sequential minimal optimization
on its own small matrix; its kernel rows come from a cache, and missing ones are formed together by one matrix product.

Where rows in single precision are cheap, a draft of the solution is made with them; then K β is formed anew in float64 and
the same method goes on from there, so that single precision costs nothing in the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from fivefold.base.jit import njit

from ._kernel_rows import KernelRows, Team

# Curvature given to a pair of equal rows (or to an indefinite kernel): their step goes to the bounds.
_TAU = 1e-12
# Added to a gradient to take a row out of a maximum.
_FAR = 1e300  # any value: beyond every gradient
_BLOCK = 256
_BINS = 1024  # any value: fineness of the order of violators
# Entries of K β that are updated at a time.
_PIECE = 2048  # any value: size of a piece
_MEGABYTE = 1 << 20
# Multiplication, addition and comparison may be reordered, as there is no NaN; infinite bounds stay what they are.
_LOOSE = {"nnan", "nsz", "contract"}


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
    source : KernelRows
    megabytes : float
        At least the rows of one block are kept, whatever the number.
    team : Team
        Threads that form rows.
    """

    def __init__(self, source: KernelRows, megabytes: float, team: Team) -> None:
        n = source.n
        self.block = min(_BLOCK, n)
        width = np.dtype(source.dtype).itemsize * n
        capacity = min(n, max(self.block, int(megabytes * _MEGABYTE // width)))
        self._source, self._team = source, team
        self.values = np.empty((capacity, n), dtype=source.dtype)
        self._slot = np.full(n, -1, dtype=np.int64)
        self._owner = np.full(capacity, -1, dtype=np.int64)
        self._used = np.full(capacity, -1, dtype=np.int64)
        self._filled = 0
        self._clock = 0

    def slots(self, rows: np.ndarray) -> np.ndarray:
        """Return where in ``values`` the kernel rows lie; missing ones replace those not used for longest."""
        self._clock += 1
        slot = self._slot[rows]
        present = slot >= 0
        self._used[slot[present]] = self._clock
        absent = rows[~present]
        if len(absent):
            last = self._filled + len(absent)
            if last <= len(self._owner):
                free = np.arange(self._filled, last)
                self._filled = last
            else:
                free = np.argpartition(self._used, len(absent) - 1)[: len(absent)]
                self._filled = len(self._owner)
                evicted = self._owner[free]
                self._slot[evicted[evicted >= 0]] = -1  # any value: below zero
            self._source.fill(absent, self.values, free, self._team)
            self._owner[free] = absent
            self._slot[absent] = free
            self._used[free] = self._clock
            slot = self._slot[rows]
        return slot


@njit(fastmath=_LOOSE)
def _last(values, wanted):  # type: ignore[no-untyped-def]
    """Return the last position at which ``wanted`` stands, which must be somewhere."""
    found = 0
    for t in range(len(values)):
        found = max(found, t if values[t] == wanted else 0)
    return found


@njit(fastmath=_LOOSE)
def _pairs(K, beta, v, low, high, tol, max_iter):  # type: ignore[no-untyped-def]
    """Minimize over a block in place: beta (m,), v (m,) the negative gradient, K (m, m); return the number of pairs.

    A pair is the steepest ascent i among those that can grow, and the j among those that can shrink with which the
    objective falls most (Fan, Chen & Lin 2005). Every loop over rows is free of branches, so that it runs on vectors.
    """
    m = len(beta)
    diagonal, gain = np.empty(m), np.empty(m)
    # What takes those that cannot grow, or shrink, out of the maximum of v, or its minimum: (m,) each.
    grow, shrink, rising = np.empty(m), np.empty(m), np.empty(m)
    for t in range(m):
        diagonal[t] = K[t, t]
        grow[t] = 0.0 if beta[t] < high[t] else -_FAR
        shrink[t] = 0.0 if beta[t] > low[t] else _FAR
    top, bottom = -_FAR, _FAR
    for t in range(m):
        rising[t] = v[t] + grow[t]
        top = max(top, rising[t])
        bottom = min(bottom, v[t] + shrink[t])
    for count in range(max_iter):
        if not top - bottom > tol:
            return count
        i = _last(rising, top)
        row_i = K[i]
        best = 0.0
        for t in range(m):
            gap = max(top - (v[t] + shrink[t]), 0.0)
            curvature = diagonal[i] + diagonal[t] - 2.0 * row_i[t]
            gain[t] = gap * gap / (curvature if curvature > 0.0 else _TAU)
            best = max(best, gain[t])
        j = _last(gain, best)
        row_j = K[j]
        curvature = diagonal[i] + diagonal[j] - 2.0 * row_i[j]
        step = (top - v[j]) / (curvature if curvature > 0.0 else _TAU)
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
        for t in (i, j):
            grow[t] = 0.0 if beta[t] < high[t] else -_FAR
            shrink[t] = 0.0 if beta[t] > low[t] else _FAR
        top, bottom = -_FAR, _FAR
        for t in range(m):
            value = v[t] - step * (row_i[t] - row_j[t])
            v[t] = value
            rising[t] = value + grow[t]
            top = max(top, rising[t])
            bottom = min(bottom, value + shrink[t])
    return max_iter


@njit(fastmath={"contract"})
def _add_rows(f, values, slots, delta, start, stop):  # type: ignore[no-untyped-def]
    """Add ``delta[k] * values[slots[k]]`` to a piece of f, four rows at a time."""
    out = f[start:stop]
    k = 0
    while k + 4 <= len(slots):
        a, b, c, d = delta[k], delta[k + 1], delta[k + 2], delta[k + 3]
        one, two = values[slots[k], start:stop], values[slots[k + 1], start:stop]
        three, four = values[slots[k + 2], start:stop], values[slots[k + 3], start:stop]
        for t in range(len(out)):
            out[t] += (a * one[t] + b * two[t]) + (c * three[t] + d * four[t])
        k += 4
    while k < len(slots):
        a, one = delta[k], values[slots[k], start:stop]
        for t in range(len(out)):
            out[t] += a * one[t]
        k += 1


@njit
def _accumulate(f, values, slots, delta, first, count):  # type: ignore[no-untyped-def]
    """Add ``delta[k] * values[slots[k]]`` to the pieces ``first``, ``first + count``, ... of f (n,), which fit the cache."""
    for start in range(first * _PIECE, len(f), count * _PIECE):
        _add_rows(f, values, slots, delta, start, min(start + _PIECE, len(f)))


@njit
def _conditions(f, q, beta, low, high, v):  # type: ignore[no-untyped-def]
    """Write the negative gradient v (m,); return its largest value that can grow and smallest that can shrink.

    Also returned: the sum and number of those strictly within their box, and the largest |β| and the squared norm of β.
    """
    n = len(f)
    top, bottom, total, free, largest, square = -np.inf, np.inf, 0.0, 0, 0.0, 0.0
    for t in range(len(beta)):
        b = beta[t]
        value = -(f[t if t < n else t - n] + q[t])
        v[t] = value
        up, down = b < high[t], b > low[t]
        if up and value > top:
            top = value
        if down and value < bottom:
            bottom = value
        if up and down:
            total += value
            free += 1
        largest = max(largest, abs(b))
        square += b * b
    return top, bottom, total, free, largest, square


@njit
def _count_from(counts, wanted):  # type: ignore[no-untyped-def]
    """Return the highest bin from which on there are at least ``wanted``, and how many of that bin are still needed."""
    total = 0
    for b in range(len(counts) - 1, -1, -1):
        if total + counts[b] >= wanted:
            return b, wanted - total
        total += counts[b]
    return 0, counts[0]


@njit
def _working_set(v, beta, low, high, top, bottom, before, size):  # type: ignore[no-untyped-def]
    """Return the block: the worst violators on both sides, and the newest of the last block, which stops zigzags.

    Violators are counted in bins of the square root of their violation, so that no sorting is needed: those of a bin that is
    only partly wanted are taken in the order of their numbers.
    """
    m = len(v)
    each = ((size // 2 if len(before) else size) + 1) // 2
    scale = (_BINS - 1) / np.sqrt(top - bottom)
    counts = np.zeros((2, _BINS), dtype=np.int64)
    bins = np.full((2, m), -1, dtype=np.int16)
    for t in range(m):
        if beta[t] < high[t] and v[t] > bottom:
            bins[0, t] = int(np.sqrt(v[t] - bottom) * scale)
            counts[0, bins[0, t]] += 1
        if beta[t] > low[t] and v[t] < top:
            bins[1, t] = int(np.sqrt(top - v[t]) * scale)
            counts[1, bins[1, t]] += 1
    chosen = np.zeros(m, dtype=np.bool_)
    for side in range(2):
        edge, rest = _count_from(counts[side], each)
        for t in range(m):
            if bins[side, t] > edge:
                chosen[t] = True
            elif bins[side, t] == edge and rest > 0:
                chosen[t] = True
                rest -= 1
    work = np.empty(size, dtype=np.int64)
    filled = 0
    for t in range(m):
        if chosen[t] and filled < size:
            work[filled] = t
            filled += 1
    for t in before:
        if filled == size:
            break
        if not chosen[t]:
            work[filled] = t
            filled += 1
    return work[:filled]


def minimize_dual(
    rows_of: KernelRows,
    q: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    start: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    cache_size: float,
    scores: np.ndarray | None = None,
    stop_above: float = np.inf,
) -> DualSolution:
    """Minimize ``½ β'Kβ + q'β`` over ``low <= β <= high`` with the sum of β as it is at ``start``.

    Parameters
    ----------
    rows_of : KernelRows
        Rows of a positive semi-definite K (n, n). With m = 2n variables the second half shares the rows of the first
        (regression).
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
    budget = np.iinfo(np.int64).max if max_iter < 0 else max_iter
    f = np.zeros(rows_of.n) if scores is None else scores.copy()
    beta, done = start.copy(), 0
    draft = rows_of.draft()
    with Team(rows_of.threaded) as team:
        if draft is not None:
            rough = _descend(draft, q, low, high, beta, f, tol, draft.rounding, budget, cache_size, stop_above, team)
            done = rough.n_iter
            f = rows_of.product(_shared(beta, rows_of.n), team)
        solution = _descend(rows_of, q, low, high, beta, f, tol, 0.0, budget - done, cache_size, stop_above, team)
    return replace(solution, n_iter=done + solution.n_iter)


def _shared(beta: np.ndarray, n: int) -> np.ndarray:
    """Return the multipliers of the kernel rows: (m,) -> (n,)."""
    return beta if len(beta) == n else beta[:n] + beta[n:]


def _descend(
    rows_of: KernelRows,
    q: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    beta: np.ndarray,
    f: np.ndarray,
    tol: float,
    rounding: float,
    budget: int,
    cache_size: float,
    stop_above: float,
    team: Team,
) -> DualSolution:
    """Run the blocks from β and f = K β, both in place, until ``tol`` or what kernel values with an error can tell."""
    m, n = len(beta), rows_of.n
    cache = RowCache(rows_of, cache_size, team)
    size = min(m, cache.block)
    whole = m <= size  # any value: a block of all rows needs no choice
    before = np.empty(0, dtype=np.int64)
    v = np.empty(m)
    done, residual, bias, converged = 0, 0.0, 0.0, False
    while True:
        top, bottom, total, free, largest, square = _conditions(f, q, beta, low, high, v)
        if not np.isfinite(v).all():
            # Kernel values that overflow leave nothing to go on with.
            residual = np.inf
            break
        if not (np.isfinite(top) and np.isfinite(bottom)):
            # Every multiplier sits at one end of its box: no pair can move.
            bias = bottom if np.isfinite(bottom) else top
            converged = True
            break
        residual = max(top - bottom, 0.0)
        bias = total / free if free else 0.5 * (top + bottom)
        if residual <= max(tol, rounding * np.sqrt(square)):
            converged = True
            break
        if done >= budget or largest > stop_above:
            break
        work = np.arange(m) if whole else _working_set(v, beta, low, high, top, bottom, before, size)
        before = work
        if m == n:
            rows, inside = work, np.arange(len(work))
        else:
            rows = np.unique(work % n)
            inside = np.searchsorted(rows, work % n)
        slots = cache.slots(rows)
        K = rows_of.block(rows, cache.values, slots)  # (r, r)
        if m != n:
            K = K[inside[:, None], inside]  # (w, w)
        mine = beta[work]
        goal = 0.5 * tol if whole else max(0.1 * residual, 0.5 * tol)  # any value: when to look at all rows again
        limit = int(min(budget - done, 100_000 if whole else 50 * size))  # any value: the same, but for the budget
        steps = int(_pairs(np.ascontiguousarray(K), mine, v[work], low[work], high[work], goal, limit))
        done += steps
        delta = np.bincount(inside, weights=mine - beta[work], minlength=len(rows))
        beta[work] = mine
        moved = np.flatnonzero(delta)
        if len(moved):
            team.share(partial(_accumulate, f, cache.values, slots[moved], delta[moved]), len(moved) * n)
        if steps == 0:
            # The block meets its goal though the whole does not: rounding is all that is left.
            break
    objective = float(0.5 * (_shared(beta, n) @ f) + q @ beta)
    return DualSolution(beta, float(bias), objective, float(residual), done, converged, f)


def solve_one_class(
    rows_of: KernelRows,
    nu: float,
    *,
    weight: np.ndarray | None = None,
    tol: float,
    max_iter: int,
    cache_size: float,
) -> DualSolution:
    """Solve the dual of the one-class machine, ``min ½ α'Kα``, ``0 <= α_i <= w_i``, ``Σ α_i = ν Σ w_i``.

    Parameters
    ----------
    rows_of : KernelRows
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
    n = rows_of.n
    high = np.ones(n) if weight is None else weight.astype(np.float64)
    mass = nu * float(high.sum())
    # The first rows fill their boxes until the sum is reached.
    filled = np.cumsum(high)
    start = np.clip(mass - (filled - high), 0.0, high)
    with Team(rows_of.threaded) as team:
        scores = rows_of.product(start, team)
    return minimize_dual(
        rows_of,
        np.zeros(n),
        np.zeros(n),
        high,
        start,
        tol=tol,
        max_iter=max_iter,
        cache_size=cache_size,
        scores=scores,
    )
