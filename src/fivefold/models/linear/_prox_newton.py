"""Cross-entropy with a penalty on the absolute weights: prox-Newton by coordinate descent on a growing working set.

The outer loop measures the duality gap over all features and picks those that the conditions put in doubt; the inner one
takes Newton steps on them, one block of weights (a class) at a time, each minimized over one coordinate after the other.
Shapes: X (n, d) by columns, weights W (d, K), biases b (K,), scores Z (n, K); two classes have the single block K = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlog1py, xlogy

from ._blocks import dot
from ._columns import Columns
from ._objectives import log1p_exp_neg
from ._sparse_newton import CREEPS, FLOOR, HALVINGS, BinaryDescent, falls_enough

_PASSES = 50
_STEPS = 20
# Up to this many features in doubt, the quadratic model is solved exactly where coordinate descent creeps.
_EXACT = 256
_CREEPS = 4


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
        self.X = X
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
            return dot(self.share, loss), probability, residual
        shifted = Z - Z.max(axis=1, keepdims=True)
        mine = shifted[np.arange(len(Z)), self.codes]
        np.exp(shifted, out=shifted)
        total = shifted.sum(axis=1)
        probability = shifted / total[:, None]
        return (
            dot(self.share, np.log(total) - mine),
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
            if promise <= 1e-24 * value:  # any value: size of rounding
                return
            t = 1.0
            for _ in range(HALVINGS):
                trial = self.evaluate(Z + t * step)
                if falls_enough(trial[0], value, t * promise):
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
            return -dot(self.share, xlogy(q, q) + xlog1py(1.0 - q, -q))
        p = self.target - scale * residual / self.share[:, None]
        return -dot(self.share, xlogy(p, p).sum(axis=1))

    def gap(
        self, loss: float, residual: np.ndarray, W: np.ndarray, pull: np.ndarray, l1: float, l2: float
    ) -> tuple[float, float]:
        """Return the objective and its distance to the best of two dual points; ``pull`` is X' residual (d, K).

        The dual is ``Σ v H(q) - |S(X' v (target - q), l1)|² / (2 l2)`` with the soft threshold S; without a squared penalty
        every entry of the product must be within l1, which scaling the residual brings about.
        """
        value = loss + l1 * float(np.abs(W).sum()) + 0.5 * l2 * dot(W.ravel(), W.ravel())
        largest = float(np.abs(pull).max(initial=0.0))
        bound = self.entropy(residual, min(1.0, l1 / largest) if largest > 0 else 1.0)
        if l2 > 0:
            excess = np.maximum(np.abs(pull) - l1, 0.0)
            bound = max(bound, self.entropy(residual, 1.0) - dot(excess.ravel(), excess.ravel()) / (2.0 * l2))
        return value, max(value - bound, 0.0)

    def solve(self, W: np.ndarray, b: np.ndarray, l1: float, l2: float, tol: float, max_iter: int) -> Sparse:
        """Minimize from W (d, K), b (K,), changed in place, until the gap is at most ``tol`` times the objective."""
        if self.columns.sparse and self.blocks == 1:
            return self._solve_sparse(W, b, l1, l2, tol, max_iter)
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

    def _solve_sparse(self, W: np.ndarray, b: np.ndarray, l1: float, l2: float, tol: float, max_iter: int) -> Sparse:
        """Do what :meth:`solve` does for two classes and sparse columns."""
        sign = 2.0 * self.target[:, 0] - 1.0
        descent = BinaryDescent(self.X, self.columns, sign, self.share, l1, l2, self.intercept)
        w = W[:, 0].copy()
        z = descent.rows.scores(w) + b
        done = 0
        while True:
            self.settle(z[:, None], b)
            loss = descent.loss(z)
            pull = descent.rows.sums(descent.r)
            value, gap = self.gap(loss, descent.r[:, None], w[:, None], pull[:, None], l1, l2)
            if gap <= tol * value or done >= max_iter:
                return Sparse(w[:, None], b, value, gap, done)
            descent.cycle(pull, loss, w, b, z, done >= CREEPS)
            # The first cycles change what is zero too much for a step that keeps it.
            if done > 0:
                descent.face(w, b, z)
            done += 1

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
        h = np.maximum(self.share * p * (1.0 - p), FLOOR * self.share)
        old = W[work, k]
        new = old.copy()
        slope = residual[:, k]
        left = slope.copy()
        shift = self.columns.descend(work, new, left, h, l1, l2, self.intercept, _PASSES, 1e-2)
        if exact:
            shift += self.columns.exact(work, new, left, h, l1, l2, self.intercept)
        change = new - old
        scores = self.columns.combine(work, change) + shift
        before = l1 * float(np.abs(old).sum()) + 0.5 * l2 * float(old @ old)
        # The model's minimum lies at least half its curvature along the step below its start (Tseng & Yun 2009); the
        # difference of the two values themselves would drown in rounding.
        promise = 0.5 * (float(h @ scores**2) + l2 * float(change @ change))
        if not promise > 0.0:
            return False
        t, keep = 1.0, Z[:, k].copy()
        for _ in range(HALVINGS):
            moved = old + t * change
            Z[:, k] = keep + t * scores
            after = l1 * float(np.abs(moved).sum()) + 0.5 * l2 * float(moved @ moved)
            if falls_enough(self.evaluate(Z)[0] + after, loss + before, t * promise):
                W[work, k] = moved
                b[k] += t * shift
                return True
            t *= 0.5
        Z[:, k] = keep
        return False
