"""Closed forms of least squares with or without a ridge: Cholesky with a correction, SVD for what has no full rank.

All solve ``min Σ_i v_i |y_i - b - W x_i|² + Σ_t α_t |w_t|²`` with the bias b left out of the penalty: the columns and the
targets are centered by their weighted means, which takes b out of the problem.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, lsqr
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.errors import DataError

from ._blocks import centered_moments, row_blocks, weighted_mean
from ._solvers import Factor

# Above this square of the smallest Cholesky pivot (unit diagonal) one correction restores full accuracy: the error of the
# normal equations, eps / pivot² <= 2e-10, is squared by it.
_WELL_CONDITIONED = 1e-6
# Up to this many numbers a sparse matrix may be written out for the SVD.
_DENSE_CELLS = 20_000_000
_GRAM_LIMIT = 3000
# Relative residual at which LSQR ends.
_LSQR = 1e-14


@dataclass
class Problem:
    """Least squares with centering: X (n, d), Y (n, t), row weights (n,) or None, alpha (t,)."""

    X: Any
    Y: np.ndarray
    weight: np.ndarray | None
    alpha: np.ndarray
    x_mean: np.ndarray
    y_mean: np.ndarray

    @classmethod
    def of(cls, X: Any, Y: np.ndarray, weight: np.ndarray | None, alpha: np.ndarray, intercept: bool) -> Problem:
        """Build the problem; without an intercept nothing is centered."""
        if intercept:
            return cls(X, Y, weight, alpha, weighted_mean(X, weight), weighted_mean(Y, weight))
        return cls(X, Y, weight, alpha, np.zeros(X.shape[1]), np.zeros(Y.shape[1]))

    def intercept(self, coef: np.ndarray) -> np.ndarray:
        """Return the bias that belongs to ``coef`` (t, d)."""
        return self.y_mean - coef @ self.x_mean

    def matrix(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the centered and weighted X and Y as dense arrays."""
        root = 1.0 if self.weight is None else np.sqrt(self.weight)[:, None]
        dense = self.X.toarray() if sp.issparse(self.X) else self.X
        return (dense - self.x_mean) * root, (self.Y - self.y_mean) * root

    def descent(self, coef: np.ndarray) -> np.ndarray:
        """Return half the negative gradient, ``Σ v (x - m)(y - ȳ - W (x - m))' - α W``, of shape (d, t)."""
        n, d = self.X.shape
        out = np.zeros((d, self.Y.shape[1]))
        sums = np.zeros(self.Y.shape[1])
        offset = self.intercept(coef)
        for rows in row_blocks(n, d):
            residual = self.Y[rows] - self.X[rows] @ coef.T - offset
            if self.weight is not None:
                residual *= self.weight[rows, None]
            out += self.X[rows].T @ residual
            sums += residual.sum(axis=0)
        return out - np.outer(self.x_mean, sums) - (self.alpha[:, None] * coef).T

    def apply(self, coef: np.ndarray) -> np.ndarray:
        """Return ``A w`` with the centered, weighted matrix A: (d, t) -> (n, t)."""
        image = self.X @ coef - self.x_mean @ coef
        return image if self.weight is None else image * np.sqrt(self.weight)[:, None]

    def transpose(self, dual: np.ndarray) -> np.ndarray:
        """Return ``A' u``: (n, t) -> (d, t)."""
        if self.weight is not None:
            dual = dual * np.sqrt(self.weight)[:, None]
        return self.X.T @ dual - np.outer(self.x_mean, dual.sum(axis=0))  # any value: zero but for rounding


def solve(problem: Problem, solver: str) -> tuple[np.ndarray, str]:
    """Return the coefficients (t, d) and the name of the solver that gave them.

    ``solver`` is "auto", "cholesky", "svd" or "lsqr". "auto" forms the smaller of the two Gram matrices and factors it; when
    that is close to singular, the SVD decides, which gives the solution of least norm.
    """
    n, d = problem.X.shape
    if solver in ("auto", "cholesky"):
        floor = _WELL_CONDITIONED if solver == "auto" else 0.0
        coef = None
        if d <= n and (d <= _GRAM_LIMIT or solver == "cholesky"):  # any value: cost alone
            coef = _cholesky(problem, floor)
        elif d > n and problem.alpha.min() > 0 and (n <= _GRAM_LIMIT or solver == "cholesky"):  # any value: cost alone
            coef = _dual_cholesky(problem, floor)
        if coef is not None:
            return coef, "cholesky"
        if solver == "cholesky":
            raise DataError(
                "solver='cholesky' met a singular matrix: features depend on each other and alpha does not make up for it; "
                "use solver='svd' or a larger alpha."
            )
        solver = "lsqr" if sp.issparse(problem.X) and n * d > _DENSE_CELLS else "svd"  # any value: cost alone
    return (_svd(problem) if solver == "svd" else _lsqr(problem)), solver


def _factor(gram: np.ndarray, alpha: float, floor: float) -> Factor | None:
    """Return the Cholesky factor of ``gram + alpha I``, or None when it is too close to singular."""
    shifted = gram.copy()
    shifted[np.diag_indices_from(shifted)] += alpha
    factor = Factor(shifted)
    if factor.cholesky is None or np.diagonal(factor.cholesky).min() ** 2 < floor:  # any value: cost alone
        return None
    return factor


def _cholesky(problem: Problem, floor: float) -> np.ndarray | None:
    """Normal equations ``(A'A + α I) w = A'y``, and one step from the residual that undoes their squared condition."""
    gram, cross = centered_moments(problem.X, problem.Y, problem.weight, problem.x_mean, problem.y_mean)
    coef = np.empty(cross.shape)  # (d, t)
    factors: list[tuple[np.ndarray, Factor]] = []
    for alpha in np.unique(problem.alpha):
        factor = _factor(gram, alpha, floor)
        if factor is None:
            return None
        mine = problem.alpha == alpha
        factors.append((mine, factor))
        coef[:, mine] = factor.solve(cross[:, mine])
    descent = problem.descent(coef.T)
    for mine, factor in factors:
        coef[:, mine] += factor.solve(descent[:, mine])
    return coef.T


def _dual_cholesky(problem: Problem, floor: float) -> np.ndarray | None:
    """Fewer rows than columns: ``w = A'(AA' + α I)^{-1} y``, and one step from the residual."""
    if sp.issparse(problem.X):
        product = np.asarray((problem.X @ problem.X.T).toarray(), dtype=np.float64)
        shift = np.asarray(problem.X @ problem.x_mean)
        gram = product - shift - shift[:, None] + problem.x_mean @ problem.x_mean
        if problem.weight is not None:
            gram *= np.sqrt(problem.weight) * np.sqrt(problem.weight)[:, None]
    else:
        centered, _ = problem.matrix()
        gram = centered @ centered.T
    target = problem.Y - problem.y_mean  # any value: a constant drops out of A'(AA' + α I)^{-1}, but for rounding
    if problem.weight is not None:
        target = target * np.sqrt(problem.weight)[:, None]
    coef = np.empty((problem.X.shape[1], target.shape[1]))
    factors: list[tuple[np.ndarray, Factor]] = []
    for alpha in np.unique(problem.alpha):
        factor = _factor(gram, alpha, floor)
        if factor is None:
            return None
        mine = problem.alpha == alpha
        factors.append((mine, factor))
        coef[:, mine] = problem.transpose(factor.solve(target[:, mine]))
    descent = problem.descent(coef.T)
    for mine, factor in factors:
        # Woodbury: (A'A + α I)^{-1} g = (g - A'(AA' + α I)^{-1} A g) / α.
        inner = factor.solve(problem.apply(descent[:, mine]))
        coef[:, mine] += (descent[:, mine] - problem.transpose(inner)) / problem.alpha[mine]
    return coef.T


def _svd(problem: Problem) -> np.ndarray:
    """Singular values: ``w = V s / (s² + α) U'y``; at α = 0 directions without variance get the weight zero."""
    matrix, target = problem.matrix()
    u, s, vt = scipy.linalg.svd(matrix, full_matrices=False, check_finite=False)
    # Centered columns carry the rounding of the numbers before centering.
    scale = s.max() * max(matrix.shape)
    keep = s > scale * np.finfo(problem.X.dtype).eps
    u, s, vt = u[:, keep], s[keep], vt[keep]
    shrunk = s[:, None] / (s[:, None] ** 2 + problem.alpha)  # (r, t)
    return (vt.T @ (shrunk * (u.T @ target))).T


def _lsqr(problem: Problem) -> np.ndarray:
    """Paige & Saunders' LSQR on the centered operator, for matrices that fit in no dense form; least norm at α = 0."""
    n, d = problem.X.shape
    operator = LinearOperator(
        (n, d),
        matvec=lambda v: problem.apply(v.reshape(d, 1)).ravel(),
        rmatvec=lambda u: problem.transpose(u.reshape(n, 1)).ravel(),
        dtype=np.float64,
    )
    target = problem.Y - problem.y_mean
    if problem.weight is not None:
        target = target * np.sqrt(problem.weight)[:, None]
    limit = 10 * min(n, d) + 100  # any value: a cap
    columns = []
    for t, alpha in enumerate(problem.alpha):
        answer = lsqr(operator, target[:, t], damp=np.sqrt(alpha), atol=_LSQR, btol=_LSQR, conlim=0, iter_lim=limit)
        if answer[1] == 7:
            warnings.warn(
                f"LSQR ended after {limit} steps before its residual stopped shrinking; scale the features or raise alpha.",
                ConvergenceWarning,
                stacklevel=4,  # any value: where the warning points
            )
        columns.append(answer[0])
    return np.stack(columns)
