"""The lasso at one penalty after the other: a working set kept on its Gram matrix, bounds for all other features."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf

from fivefold.base.blas import one_blas_thread
from fivefold.base.jit import njit

from ._lasso_columns import Columns

# Least number of features that join the working set together.
_GROWTH = 64  # any value: cost alone
# Features up to which a Gram matrix is kept: 288 MB.
_MOST = 6000  # any value: cost alone
# Share of |q|² below which a gap that does not fall is rounding.
_ROUNDING = 1e-10  # any value: size of rounding
# Most passes over the working set before a Newton step.
_PASSES = 10  # any value: cost alone
# Most Newton steps, each up to a change of sign, before the next pass.
_STEPS = 10  # any value: cost alone


@njit(fastmath={"reassoc", "contract", "nsz"})
def _descend(G, c, w, l1, l2, size, passes):  # type: ignore[no-untyped-def]
    """Minimize over one weight of the working set after the other, in place: G (m, m), c = b - G w (m,), w (m,).

    Ends early after a pass in which no weight became zero or left it; returns the passes.
    """
    for done in range(passes):
        turned = 0
        for j in range(size):
            curvature = G[j, j] + l2
            old = w[j]
            pull = c[j] + G[j, j] * old
            # Soft threshold of the unpenalized step.
            new = (max(pull - l1, 0.0) + min(pull + l1, 0.0)) / curvature
            if new != old:
                if new * old <= 0.0:
                    turned += 1
                w[j] = new
                change = new - old
                row = G[j]
                for i in range(size):
                    c[i] -= change * row[i]
        if turned == 0:
            return done + 1
    return passes


@njit(fastmath={"reassoc", "contract", "nsz"})
def _descend_rows(A, r, w, squares, l1, l2, passes):  # type: ignore[no-untyped-def]
    """Minimize over one weight after the other, in place, without a Gram matrix: A (n, m) by columns, r = q - A w (n,)."""
    for _ in range(passes):
        for j in range(len(w)):
            column = A[:, j]
            old = w[j]
            pull = squares[j] * old
            for i in range(len(r)):
                pull += column[i] * r[i]
            new = (max(pull - l1, 0.0) + min(pull + l1, 0.0)) / (squares[j] + l2)
            if new != old:
                w[j] = new
                change = new - old
                for i in range(len(r)):
                    r[i] -= change * column[i]


@njit
def _descend_sparse(data, indices, indptr, mean, root, r, w, squares, l1, l2, passes):  # type: ignore[no-untyped-def]
    """Do the same for columns ``a_j - mean_j root`` with sparse a_j; r (n,) in place.

    The residual is kept as ``s + h root``; its product with ``root``, of length one, does not change.
    """
    level = 0.0
    for i in range(len(r)):
        level += root[i] * r[i]
    h = 0.0
    for _ in range(passes):
        for j in range(len(w)):
            old = w[j]
            pull = squares[j] * old + mean[j] * (h - level)
            for p in range(indptr[j], indptr[j + 1]):
                pull += data[p] * r[indices[p]]
            new = (max(pull - l1, 0.0) + min(pull + l1, 0.0)) / (squares[j] + l2)
            if new != old:
                w[j] = new
                change = new - old
                h += change * mean[j]
                for p in range(indptr[j], indptr[j + 1]):
                    r[indices[p]] -= change * data[p]
    for i in range(len(r)):
        r[i] += h * root[i]


def _best_step(w: np.ndarray, d: np.ndarray, linear: float, square: float, l1: float) -> tuple[float, np.ndarray]:
    """Return the t > 0 that minimizes ``½ square t² - linear t + l1 |w + t d|₁``, and the weights there.

    The slope jumps by ``2 l1 |d_i|`` where a weight passes through zero; at such a place the weight is zero exactly.
    """
    crossing = np.flatnonzero(w * d < 0)
    times = -w[crossing] / d[crossing]
    order = np.argsort(times, kind="stable")
    crossing, times = crossing[order], times[order]
    jumps = 2.0 * l1 * np.abs(d[crossing])
    slope = l1 * float(np.sign(w) @ d) - linear + np.concatenate([[0.0], np.cumsum(jumps)])  # (k + 1,) without square t
    after = np.flatnonzero(slope[1:] + square * times >= 0)
    k = int(after[0]) if len(after) else len(times)
    if k < len(times) and slope[k] + square * times[k] < 0:
        new = w + times[k] * d
        new[crossing[k]] = 0.0
        return float(times[k]), new
    t = max(-float(slope[k]) / square, 0.0)
    return t, w + t * d


class _Factor:
    """The Cholesky factor of the Gram matrix of a support, used for supports near it by bordering."""

    def __init__(self) -> None:
        self.base = np.empty(0, dtype=np.intp)
        self.l2 = -1.0  # any value: below every penalty
        self.lower = np.empty((0, 0))

    def solve(self, G: np.ndarray, support: np.ndarray, l2: float, right: np.ndarray) -> np.ndarray:
        """Return d with ``(G_SS + l2) d = right``."""
        new = np.setdiff1d(support, self.base, assume_unique=True)
        gone = np.setdiff1d(self.base, support, assume_unique=True)
        k = len(new) + len(gone)
        if l2 != self.l2 or 6 * k > len(support):  # any value: cost alone
            return self._fresh(G, support, l2, right)
        base, place = self.base, np.searchsorted(support, self.base)
        kept = np.isin(base, gone, assume_unique=True, invert=True)
        z = np.zeros(len(base))
        z[kept] = right[place[kept]]
        z = solve_triangular(self.lower, z, lower=True, check_finite=False)
        at_new = np.searchsorted(support, new)
        out = np.empty(len(support))
        if k:
            # The weights of features that left are held at zero by multipliers, those of new ones border the matrix.
            border = np.zeros((len(base), k), order="F")
            border[:, : len(new)] = G[np.ix_(base, new)]
            border[np.flatnonzero(~kept), len(new) + np.arange(len(gone))] = 1.0
            V = solve_triangular(self.lower, border, lower=True, check_finite=False)
            M = -(V.T @ V)
            M[: len(new), : len(new)] += G[np.ix_(new, new)] + l2 * np.eye(len(new))
            t = -(V.T @ z)
            t[: len(new)] += right[at_new]
            try:
                x = np.linalg.solve(M, t)
            except np.linalg.LinAlgError:
                return self._fresh(G, support, l2, right)
            out[at_new] = x[: len(new)]
            z = z - V @ x
        d = solve_triangular(self.lower, z, lower=True, trans="T", check_finite=False)
        out[place[kept]] = d[kept]
        return out

    def _fresh(self, G: np.ndarray, support: np.ndarray, l2: float, right: np.ndarray) -> np.ndarray:
        H = np.asfortranarray(G[np.ix_(support, support)])
        H[np.diag_indices_from(H)] += l2
        for ridge in (0.0, 1e-12, 1e-9, 1e-6):  # any value: size of rounding
            # Features that depend on each other: a ridge, relative to each, keeps the direction one of descent.
            trial = H.copy(order="F")
            trial[np.diag_indices_from(trial)] *= 1.0 + ridge
            lower, failed = dpotrf(trial, lower=True, overwrite_a=True)
            if not failed:
                break
        else:
            # No step: the passes over single weights go on alone.
            self.l2 = -1.0  # any value: below every penalty
            return np.zeros(len(support))
        self.lower, self.base, self.l2 = lower, support, l2
        z = solve_triangular(lower, right, lower=True, check_finite=False)
        return np.asarray(solve_triangular(lower, z, lower=True, trans="T", check_finite=False))


class LassoPath:
    """Solver of ``½ |q - A w|² + l1 |w|₁ + ½ l2 |w|²`` that is begun at each penalty where it ended at the last.

    Weights move on the Gram matrix of the working set: passes over single weights find the support, Newton steps on it
    finish. The other features are tested by a bound from the last residual with which all products were formed,
    ``|x'r| <= |a| |x'r₀| + |x| |r - a r₀|``, so that most columns are not read at most penalties.

    Parameters
    ----------
    columns : Columns
    most : int
        Most features of a working set with a Gram matrix; larger ones are solved by passes over the rows.
    """

    def __init__(self, columns: Columns, most: int = _MOST) -> None:
        self.columns = columns
        self.most = most
        self.reference = columns.target
        self.products = columns.products(columns.target)  # (d,) at the reference
        self.lengths = np.sqrt(columns.squares)
        self.members = np.empty(0, dtype=np.intp)  # features of the working set
        self.outside = columns.squares > 0  # (d,)
        self.w = np.empty(0)
        self.b = np.empty(0)
        self._gram = np.empty((0, 0))
        self._taken: Any = None
        self._factor = _Factor()

    @property
    def top(self) -> float:
        """The least l1 at which every weight is zero."""
        pulls = self.columns.products(self.columns.target)
        return float(np.abs(pulls[self.columns.squares > 0]).max(initial=0.0))

    def coef(self) -> np.ndarray:
        """Return the weights of all features: (d,)."""
        full = np.zeros(len(self.lengths))
        full[self.members] = self.w
        return full

    def _join(self, new: np.ndarray) -> None:
        """Put features into the working set."""
        m, k, n = len(self.members), len(new), len(self.columns.target)
        part = self.columns.taken(new)
        members = np.concatenate([self.members, new])
        if sp.issparse(part):
            whole = part if self._taken is None else sp.hstack([self._taken, part], format="csc")
            self._taken = whole
        else:
            if self._taken is None or self._taken.shape[1] < m + k:
                room = np.empty((n, max(2 * m, m + k)), order="F")
                if m:
                    room[:, :m] = self._taken[:, :m]
                self._taken = room
            self._taken[:, m : m + k] = part
            whole = self._taken[:, : m + k]
        if m + k <= self.most:
            block = self.columns.gram(part, new, whole, members)  # (k, m + k)
            # Formed from centered numbers, which the products of sparse columns are not.
            block[np.arange(k), m + np.arange(k)] = self.columns.squares[new]
            if len(self._gram) < m + k:
                room = np.empty((min(self.most, max(2 * m, m + k)),) * 2)
                room[:m, :m] = self._gram[:m, :m]
                self._gram = room
            self._gram[m : m + k, : m + k] = block
            self._gram[:m, m : m + k] = block[:, :m].T
        else:
            self._gram = np.empty((0, 0))
        self.members = members
        self.outside[new] = False
        self.w = np.concatenate([self.w, np.zeros(k)])
        self.b = np.concatenate([self.b, self.columns.products(self.columns.target, new)])

    def residual(self) -> np.ndarray:
        """Return ``q - A w``: (n,)."""
        m = len(self.members)
        if not self.w.any():
            return self.columns.target
        return self.columns.target - self.columns.image(self._taken[:, :m], self.members, self.w)

    def _newton(self, c: np.ndarray, l1: float, l2: float) -> bool:
        """Move to the minimum on the line to that of the present signs, in place; return whether that was reached."""
        m = len(self.members)
        support = np.flatnonzero(self.w)
        w = self.w[support]
        pull = c[support] - l2 * w
        d = self._factor.solve(self._gram, support, l2, pull - l1 * np.sign(w))
        full = np.zeros(m)
        full[support] = d
        image = self._gram[:m, :m] @ full
        square = float(full @ image) + l2 * float(d @ d)
        if not square > 0:
            return True
        t, self.w[support] = _best_step(w, d, float(pull @ d), square, l1)
        c -= t * image
        return t >= 1.0 - 1e-9 or t <= 0.0  # any value: size of rounding

    def _settle(self, l1: float, l2: float, goal: float, limit: int) -> tuple[np.ndarray, int]:
        """Solve on the working set to a gap of ``goal``; return ``b - G w`` and the passes."""
        m, done = len(self.members), 0
        if m > self.most:
            return self._settle_by_rows(l1, l2, goal, limit)
        c = self.b - self._gram[:m, :m] @ self.w
        y = self.columns.target
        total = float(y @ y)

        def gap() -> float:
            size = total - float(self.w @ (self.b + c)) + l2 * float(self.w @ self.w)
            return gap_of(self.w, c - l2 * self.w, max(size, 0.0), l1)[0]

        passes, steps, best, idle = _PASSES, _STEPS, np.inf, 0
        while done < limit:
            done += _descend(self._gram, c, self.w, l1, l2, m, min(passes, limit - done))
            for _ in range(steps):
                if gap() <= goal or not self.w.any() or self._newton(c, l1, l2):
                    break
            # Changes leave rounding in c, which is formed again.
            c = self.b - self._gram[:m, :m] @ self.w
            now = gap()
            if now <= goal:
                break
            # Close to the limit of rounding a gap that no longer halves is all that can be had.
            idle = 0 if now < 0.5 * best else idle + 1  # any value: cost alone
            best = min(best, now)
            if idle >= 5 and best <= _ROUNDING * total:  # any value: cost alone
                break
            # Features that depend on each other come back with every pass and leave one by one.
            passes, steps = max(1, passes // 2), 2 * steps  # any value: cost alone
        return c, done

    def _settle_by_rows(self, l1: float, l2: float, goal: float, limit: int) -> tuple[np.ndarray, int]:
        m, done, r = len(self.members), 0, self.residual().copy()
        squares = self.columns.squares[self.members]
        while True:
            passes = min(_PASSES, limit - done)
            if sp.issparse(self._taken):
                A, mean = self._taken, self.columns.mean[self.members]
                _descend_sparse(
                    A.data, A.indices, A.indptr, mean, self.columns.root, r, self.w, squares, l1, l2, passes
                )
            else:
                _descend_rows(self._taken[:, :m], r, self.w, squares, l1, l2, passes)
            done += passes
            c = self.columns.pull(self._taken[:, :m], self.members, r)
            size = float(r @ r) + l2 * float(self.w @ self.w)
            if gap_of(self.w, c - l2 * self.w, size, l1)[0] <= goal or done >= limit:
                return c, done

    def solve(self, l1: float, l2: float, goal: float, max_iter: int) -> tuple[float, int]:
        """Move the weights to the minimum; return the gap and the passes over the working set."""
        done, inner = 0, 0.3 * goal
        while True:
            c = np.empty(0)
            if len(self.members):
                with one_blas_thread():
                    c, passes = self._settle(l1, l2, inner, max(max_iter - done, 1))
                done += passes
            r = self.residual()
            size = float(r @ r) + l2 * float(self.w @ self.w)
            wrong, pulls = self._violators(r, l1)
            largest = float(np.abs(pulls).max(initial=0.0))
            gap = gap_of(self.w, c - l2 * self.w, size, l1, largest)[0]
            if gap <= goal or done >= max_iter:
                return gap, done
            if len(wrong):
                count = min(len(wrong), max(_GROWTH, len(self.members)))
                strongest = np.argpartition(-np.abs(pulls), count - 1)[:count]
                self._join(wrong[np.sort(strongest)])
            elif inner < np.finfo(np.float64).eps * size:  # any value: size of rounding
                return gap, done
            else:
                inner *= 0.1

    def _violators(self, r: np.ndarray, l1: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the features outside of the working set whose product with r is above l1, and these products."""
        square = float(self.reference @ self.reference)
        share = float(r @ self.reference) / square if square > 0 else 0.0
        rest = r - share * self.reference
        reach = abs(share) * np.abs(self.products) + self.lengths * np.sqrt(float(rest @ rest))
        open_ = np.flatnonzero(self.outside & (reach * (1 + 1e-12) > l1))
        if 4 * len(open_) > len(reach):
            self.reference, self.products = r, self.columns.products(r)
            pulls = self.products[open_]
        else:
            pulls = self.columns.products(r, open_)
        wrong = np.abs(pulls) > l1
        return open_[wrong], pulls[wrong]


def gap_of(w: np.ndarray, g: np.ndarray, size: float, l1: float, largest: float = 0.0) -> tuple[float, float]:
    """Return the duality gap and the factor that makes the residual feasible for the dual.

    w and g = A'r - l2 w are those of the working set, ``size`` is |r|² + l2 |w|², ``largest`` the largest product elsewhere.
    The gap ``½ |R|² + l1 |w|₁ - s q'R + ½ s² |R|²`` of the residual R is written with ``q'R = |R|² + w'g``, so that large
    numbers do not cancel.
    """
    top = max(float(np.abs(g).max(initial=0.0)), largest)
    s = 1.0 if top <= l1 else l1 / top
    return 0.5 * (1.0 - s) ** 2 * size + l1 * float(np.abs(w).sum()) - s * float(w @ g), s
