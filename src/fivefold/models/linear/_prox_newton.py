"""Cross-entropy with a penalty on the absolute weights: prox-Newton by coordinate descent on a growing working set.

The outer loop measures the duality gap over all features and picks those that the conditions put in doubt; the inner one
takes Newton steps on them, one block of weights (a class) at a time, each minimized over one coordinate after the other.
Shapes: X (n, d) by columns, weights W (d, K), biases b (K,), scores Z (n, K); two classes have the single block K = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy import linalg
from scipy.special import xlog1py, xlogy

from fivefold.base.jit import njit

from ._objectives import log1p_exp_neg

# Curvature of a row is at least this share of its weight: rows far on their side would leave none.
_FLOOR = 1e-10
_PASSES = 50
_STEPS = 20
_HALVINGS = 40
_ARMIJO = 1e-4
# A fall below the rounding of the objective cannot be seen; the gap, linear in the violations, still can.
_ROUNDING = 1e-15
# Up to this many features in doubt, the quadratic model is solved exactly where coordinate descent creeps.
_EXACT = 256
_CREEPS = 4
_MOVES = 200


@njit
def _descend_sparse(data, rows, starts, work, w, r, h, curvature, l1, l2, intercept, passes, ease):  # type: ignore[no-untyped-def]
    """Minimize the quadratic model in place: w (m,) of the features ``work``, r (n,) its residual; return the bias's change.

    ``r = g - h * (change of the scores)``, so that a column's product with r is the negative slope of its weight.
    """
    total = h.sum()
    moved = 0.0
    first = 0.0
    for t in range(passes):
        size = 0.0
        for k in range(len(work)):
            if curvature[k] == 0.0:
                continue
            j = work[k]
            old = w[k]
            pull = curvature[k] * old
            for p in range(starts[j], starts[j + 1]):
                pull += data[p] * r[rows[p]]
            new = 0.0
            if pull > l1:
                new = (pull - l1) / (curvature[k] + l2)
            elif pull < -l1:
                new = (pull + l1) / (curvature[k] + l2)
            if new != old:
                w[k] = new
                change = new - old
                size += change * change * (curvature[k] + l2)
                for p in range(starts[j], starts[j + 1]):
                    i = rows[p]
                    r[i] -= h[i] * data[p] * change
        if intercept:
            change = r.sum() / total
            moved += change
            size += change * change * total
            for i in range(len(r)):
                r[i] -= h[i] * change
        if t == 0:
            first = size
        if size <= ease * first:
            break
    return moved


@njit
def _descend_dense(X, work, w, r, h, curvature, l1, l2, intercept, passes, ease):  # type: ignore[no-untyped-def]
    """Do what :func:`_descend_sparse` does, for X (n, d) by columns."""
    total = h.sum()
    n = len(r)
    moved = 0.0
    first = 0.0
    for t in range(passes):
        size = 0.0
        for k in range(len(work)):
            if curvature[k] == 0.0:
                continue
            column = X[:, work[k]]
            old = w[k]
            pull = curvature[k] * old
            for i in range(n):
                pull += column[i] * r[i]
            new = 0.0
            if pull > l1:
                new = (pull - l1) / (curvature[k] + l2)
            elif pull < -l1:
                new = (pull + l1) / (curvature[k] + l2)
            if new != old:
                w[k] = new
                change = new - old
                size += change * change * (curvature[k] + l2)
                for i in range(n):
                    r[i] -= h[i] * column[i] * change
        if intercept:
            change = r.sum() / total
            moved += change
            size += change * change * total
            for i in range(n):
                r[i] -= h[i] * change
        if t == 0:
            first = size
        if size <= ease * first:
            break
    return moved


@njit
def _curvatures(data, rows, starts, work, h):  # type: ignore[no-untyped-def]
    """Return Σ h x² of the features ``work``: (m,)."""
    out = np.zeros(len(work))
    for k in range(len(work)):
        for p in range(starts[work[k]], starts[work[k] + 1]):
            out[k] += data[p] * data[p] * h[rows[p]]
    return out


@njit
def _products(data, rows, starts, work, r):  # type: ignore[no-untyped-def]
    """Return the products of the columns ``work`` with r (n,): (m,)."""
    out = np.zeros(len(work))
    for k in range(len(work)):
        for p in range(starts[work[k]], starts[work[k] + 1]):
            out[k] += data[p] * r[rows[p]]
    return out


@njit
def _combine(data, rows, starts, work, w, n):  # type: ignore[no-untyped-def]
    """Return the sum of the columns ``work`` times w (m,): (n,)."""
    out = np.zeros(n)
    for k in range(len(work)):
        if w[k] != 0.0:
            for p in range(starts[work[k]], starts[work[k] + 1]):
                out[rows[p]] += data[p] * w[k]
    return out


def active_set(A: np.ndarray, c: np.ndarray, w: np.ndarray, l1: np.ndarray) -> np.ndarray:
    """Return a minimizer of ``½ w'Aw - c'w + l1'|w|`` from w (m,), A (m, m) symmetric and not indefinite.

    Each move solves for the weights that are not zero with their signs kept; it ends where the first of them meets zero, or
    lets the weight in that breaks its condition most. Every move lowers the objective, so any number of them may be taken.
    """
    w = w.copy()
    for _ in range(_MOVES):
        active = np.flatnonzero((w != 0) | (l1 == 0))
        old = w[active]
        sign = np.sign(old) * (l1[active] > 0)
        block, right = A[np.ix_(active, active)], c[active] - l1[active] * sign
        try:
            goal = linalg.cho_solve(linalg.cho_factor(block, lower=True), right)
        except linalg.LinAlgError:
            goal = np.linalg.lstsq(block, right, rcond=None)[0]
        over = np.flatnonzero(goal * sign < 0)
        if len(over):
            reach = old[over] / (old[over] - goal[over])
            first = int(over[reach.argmin()])
            w[active] = old + reach.min() * (goal - old)
            w[active[first]] = 0.0
            continue
        w[active] = goal
        slope = c - A @ w
        excess = np.where((w == 0) & (A.diagonal() > 0), np.abs(slope) - l1 * (1.0 + 1e-10), -np.inf)
        worst = int(excess.argmax())
        if excess[worst] <= 0:
            break
        w[worst] = np.sign(slope[worst]) * excess[worst] / A[worst, worst]
    return w


class Columns:
    """The columns of X (n, d), dense or sparse, and the sums over some of them.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n, d)
    """

    def __init__(self, X: Any) -> None:
        self.sparse = sp.issparse(X)
        if self.sparse:
            columns = sp.csc_array(X, dtype=np.float64, copy=True)
            columns.sum_duplicates()
            self.X: Any = columns
            self._parts = (columns.data, columns.indices, columns.indptr)
        else:
            self.X = np.asfortranarray(X, dtype=np.float64)

    def products(self, work: np.ndarray, r: np.ndarray) -> np.ndarray:
        """Return X[:, work]' r: (m,)."""
        return np.asarray(_products(*self._parts, work, r) if self.sparse else self.X[:, work].T @ r)

    def combine(self, work: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return X[:, work] w: (n,)."""
        return np.asarray(_combine(*self._parts, work, w, self.X.shape[0]) if self.sparse else self.X[:, work] @ w)

    def descend(
        self,
        work: np.ndarray,
        w: np.ndarray,
        r: np.ndarray,
        h: np.ndarray,
        l1: float,
        l2: float,
        intercept: bool,
        ease: float,
    ) -> float:
        """Minimize the quadratic model over w (m,) in place, r with it; return the change of the bias."""
        if self.sparse:
            curvature = _curvatures(*self._parts, work, h)
            return float(_descend_sparse(*self._parts, work, w, r, h, curvature, l1, l2, intercept, _PASSES, ease))
        part = self.X[:, work]
        curvature = np.einsum("ij,ij,i->j", part, part, h)
        return float(_descend_dense(self.X, work, w, r, h, curvature, l1, l2, intercept, _PASSES, ease))

    def exact(
        self, work: np.ndarray, w: np.ndarray, r: np.ndarray, h: np.ndarray, l1: float, l2: float, intercept: bool
    ) -> float:
        """Do what :meth:`descend` does, by :func:`active_set` on the matrix of the model."""
        part = self.X[:, work]
        m = len(work)
        A = np.zeros((m + intercept, m + intercept))
        if self.sparse:
            A[:m, :m] = (part.T @ (sp.diags_array(h) @ part)).toarray()
        else:
            A[:m, :m] = (part.T * h) @ part
        A[np.arange(m), np.arange(m)] += l2
        if intercept:
            A[m, :m] = A[:m, m] = part.T @ h
            A[m, m] = h.sum()
        start = np.append(w, 0.0) if intercept else w
        slope = np.append(part.T @ r, r.sum()) if intercept else part.T @ r
        # The slope of the loss at the start, carried to zero weights; the squared penalty is a part of A.
        c = slope + A @ start
        c[:m] -= l2 * w
        found = active_set(A, c, start, np.append(np.full(m, l1), 0.0) if intercept else np.full(m, l1))
        w[:] = found[:m]
        return float(found[m]) if intercept else 0.0


@dataclass
class Sparse:
    """Where the solver ended: W (d, K), b (K,), the objective, its duality gap and Newton steps."""

    weights: np.ndarray
    biases: np.ndarray
    value: float
    gap: float
    n_iter: int


class CrossEntropyL1:
    """``Σ v_i H_i + l1 |W|₁ + ½ l2 |W|²`` with shares v of sum 1 and cross-entropies H of two or more classes.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n, d)
    codes : ndarray of shape (n,)
    n_classes : int
        Two give one block of weights, those of class 1 against class 0.
    share : ndarray of shape (n,)
    intercept : bool
    """

    def __init__(self, X: Any, codes: np.ndarray, n_classes: int, share: np.ndarray, intercept: bool) -> None:
        self.columns, self.codes, self.share, self.intercept = Columns(X), codes, share, intercept
        self.blocks = 1 if n_classes == 2 else n_classes
        self.shape = (X.shape[1], self.blocks)
        self.target = np.zeros((len(codes), self.blocks))
        if self.blocks == 1:
            self.target[:, 0] = codes
        else:
            self.target[np.arange(len(codes)), codes] = 1.0

    def evaluate(self, Z: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the loss, probabilities (n, K) and ``v (target - probability)`` (n, K), exact for scores of any size."""
        if self.blocks == 1:
            sign = 2.0 * self.target[:, 0] - 1.0
            loss, wrong = log1p_exp_neg(sign * Z[:, 0])
            residual = (self.share * sign * wrong)[:, None]
            probability = np.where(sign > 0, 1.0 - wrong, wrong)[:, None]
            return float(self.share @ loss), probability, residual
        shifted = Z - Z.max(axis=1, keepdims=True)
        mine = shifted[np.arange(len(Z)), self.codes]
        np.exp(shifted, out=shifted)
        total = shifted.sum(axis=1)
        probability = shifted / total[:, None]
        return (
            float(self.share @ (np.log(total) - mine)),
            probability,
            self.share[:, None] * (self.target - probability),
        )

    def settle(self, Z: np.ndarray, b: np.ndarray) -> None:
        """Move the biases to their minimum at these weights, in place: only there is a dual point feasible."""
        if not self.intercept:
            return
        value, probability, residual = self.evaluate(Z)
        for _ in range(_STEPS):
            slope = residual.sum(axis=0)  # (K,)
            weighted = self.share[:, None] * probability
            hessian = np.diag(weighted.sum(axis=0)) - weighted.T @ probability
            if self.blocks > 1:
                # A number added to all biases changes nothing; curvature along it keeps the matrix regular.
                hessian += hessian.trace() / self.blocks**2
            elif hessian[0, 0] <= 0.0:
                return
            step = np.linalg.lstsq(hessian, slope, rcond=None)[0]
            promise = float(step @ slope)
            if promise <= 1e-24 * value:
                return
            t = 1.0
            for _ in range(_HALVINGS):
                trial = self.evaluate(Z + t * step)
                if trial[0] <= value - _ARMIJO * t * promise + _ROUNDING * value:
                    break
                t *= 0.5
            else:
                return
            Z += t * step
            b += t * step
            value, probability, residual = trial

    def entropy(self, residual: np.ndarray, scale: float) -> float:
        """Return ``Σ v H(target - scale · residual / v)``, the entropy of what the dual takes for probabilities."""
        if self.blocks == 1:
            # By the smaller probability, that of the other class, which stays exact however close to zero.
            q = scale * np.abs(residual[:, 0]) / self.share
            return float(-self.share @ (xlogy(q, q) + xlog1py(1.0 - q, -q)))
        p = self.target - scale * residual / self.share[:, None]
        return float(-self.share @ xlogy(p, p).sum(axis=1))

    def gap(
        self, loss: float, residual: np.ndarray, W: np.ndarray, pull: np.ndarray, l1: float, l2: float
    ) -> tuple[float, float]:
        """Return the objective and its distance to the best of two dual points; ``pull`` is X' residual (d, K).

        The dual is ``Σ v H(q) - |S(X' v (target - q), l1)|² / (2 l2)`` with the soft threshold S; without a squared penalty
        every entry of the product must be within l1, which scaling the residual brings about.
        """
        value = loss + l1 * float(np.abs(W).sum()) + 0.5 * l2 * float(np.vdot(W, W))
        largest = float(np.abs(pull).max(initial=0.0))
        bound = self.entropy(residual, min(1.0, l1 / largest) if largest > 0 else 1.0)
        if l2 > 0:
            excess = np.maximum(np.abs(pull) - l1, 0.0)
            bound = max(bound, self.entropy(residual, 1.0) - float(np.vdot(excess, excess)) / (2.0 * l2))
        return value, max(value - bound, 0.0)

    def solve(self, W: np.ndarray, b: np.ndarray, l1: float, l2: float, tol: float, max_iter: int) -> Sparse:
        """Minimize from W (d, K), b (K,), changed in place, until the gap is at most ``tol`` times the objective."""
        everything = np.flatnonzero(W.any(axis=1))
        Z = np.stack([self.columns.combine(everything, W[everything, k]) for k in range(self.blocks)], axis=1) + b
        done, size = 0, 0
        while True:
            self.settle(Z, b)
            loss, _, residual = self.evaluate(Z)
            pull = np.asarray(self.columns.X.T @ residual)  # (d, K)
            value, gap = self.gap(loss, residual, W, pull, l1, l2)
            if gap <= tol * value or done >= max_iter:
                return Sparse(W, b, value, gap, done)
            used = W.any(axis=1)
            doubt = np.where(used, np.inf, np.abs(pull).max(axis=1) - l1)
            size = min(max(64, 2 * int(used.sum()), size), len(doubt))
            work = np.argpartition(-doubt, size - 1)[:size]
            work = np.sort(work[doubt[work] > -0.1 * l1]).astype(np.int64)
            goal = max(0.2 * gap, 0.5 * tol * value)
            done += self._newton(work, W, b, Z, l1, l2, goal, done, max_iter - done)
            size = min(2 * size, len(doubt))

    def _newton(
        self,
        work: np.ndarray,
        W: np.ndarray,
        b: np.ndarray,
        Z: np.ndarray,
        l1: float,
        l2: float,
        goal: float,
        done: int,
        most: int,
    ) -> int:
        """Take Newton steps on the features ``work`` until their own gap is at most ``goal``; return how many."""
        for count in range(1, min(_STEPS, most) + 1):
            better = False
            for k in range(self.blocks):
                better |= self._step(work, k, W, b, Z, l1, l2, done + count > _CREEPS and len(work) <= _EXACT)
            self.settle(Z, b)
            loss, _, residual = self.evaluate(Z)
            pull = np.stack([self.columns.products(work, residual[:, k]) for k in range(self.blocks)], axis=1)
            if not better or self.gap(loss, residual, W[work], pull, l1, l2)[1] <= goal:
                return count
        return min(_STEPS, most)

    def _step(
        self,
        work: np.ndarray,
        k: int,
        W: np.ndarray,
        b: np.ndarray,
        Z: np.ndarray,
        l1: float,
        l2: float,
        exact: bool,
    ) -> bool:
        """Take one Newton step in block k, shortened until the objective falls enough; return whether it moved."""
        loss, probability, residual = self.evaluate(Z)
        p = probability[:, k]
        h = np.maximum(self.share * p * (1.0 - p), _FLOOR * self.share)
        old = W[work, k]
        new = old.copy()
        slope = residual[:, k]
        left = slope.copy()
        shift = self.columns.descend(work, new, left, h, l1, l2, self.intercept, 1e-2)
        if exact:
            shift += self.columns.exact(work, new, left, h, l1, l2, self.intercept)
        change = new - old
        scores = self.columns.combine(work, change) + shift
        before = l1 * float(np.abs(old).sum()) + 0.5 * l2 * float(old @ old)
        # The model's minimum lies at least half its curvature along the step below its start (Tseng & Yun 2009); the
        # difference of the two values themselves would drown in rounding.
        promise = -0.5 * (float(h @ scores**2) + l2 * float(change @ change))
        if not promise < 0.0:
            return False
        t, keep = 1.0, Z[:, k].copy()
        for _ in range(_HALVINGS):
            moved = old + t * change
            Z[:, k] = keep + t * scores
            after = l1 * float(np.abs(moved).sum()) + 0.5 * l2 * float(moved @ moved)
            if self.evaluate(Z)[0] + after <= (loss + before) * (1.0 + _ROUNDING) + _ARMIJO * t * promise:
                W[work, k] = moved
                b[k] += t * shift
                return True
            t *= 0.5
        Z[:, k] = keep
        return False
