"""Lasso and elastic net by coordinate descent on a growing working set, with the duality gap as the stopping rule."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator
from fivefold.base.jit import njit

from ._validation import query_data, real, require_fitted, sample_weights, training_data, whole

# Passes over the working set between two looks at its gap.
_PASSES = 10


@njit
def _descend(X, w, r, features, squares, l1, l2, passes):  # type: ignore[no-untyped-def]
    """Minimize over one coordinate after the other, in place: X (n, d) by columns, w (d,), r = y - Xw (n,)."""
    for _ in range(passes):
        for j in features:
            column = X[:, j]
            old = w[j]
            pull = squares[j] * old
            for i in range(len(r)):
                pull += column[i] * r[i]
            # Soft threshold of the unpenalized step.
            if pull > l1:
                new = (pull - l1) / (squares[j] + l2)
            elif pull < -l1:
                new = (pull + l1) / (squares[j] + l2)
            else:
                new = 0.0
            if new != old:
                w[j] = new
                change = old - new
                for i in range(len(r)):
                    r[i] += change * column[i]


@dataclass
class _Problem:
    """``½ |y - Xw|² + l1 |w|₁ + ½ l2 |w|²`` with centered rows scaled by the roots of their shares."""

    X: np.ndarray  # (n, d) by columns
    y: np.ndarray  # (n,)
    squares: np.ndarray  # (d,)
    x_mean: np.ndarray
    y_mean: float

    @classmethod
    def of(cls, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None, intercept: bool) -> _Problem:
        share = np.full(len(y), 1.0 / len(y)) if weight is None else weight / weight.sum()
        x_mean = share @ X if intercept else np.zeros(X.shape[1])
        y_mean = float(share @ y) if intercept else 0.0
        root = np.sqrt(share)
        scaled = np.asfortranarray((X - x_mean) * root[:, None])
        squares = np.einsum("ij,ij->j", scaled, scaled)
        # A constant feature keeps only rounding after its mean is taken off; it has no say.
        flat = squares <= (np.finfo(np.float64).eps * np.abs(x_mean)) ** 2 * len(y)
        scaled[:, flat] = 0.0
        squares[flat] = 0.0
        return cls(scaled, (y - y_mean) * root, squares, x_mean, y_mean)

    def gap(
        self, r: np.ndarray, w: np.ndarray, gradient: np.ndarray, l1: float, l2: float
    ) -> tuple[float, float, float]:
        """Return primal value, duality gap and the factor that makes the residual feasible for the dual.

        The dual is ``y'θ - ½ |θ|²`` over the θ whose product with every column is at most l1; the columns and y are longer by
        d rows, the columns by sqrt(l2) I, so that the squared penalty is a part of the squared error.
        """
        size = float(r @ r + l2 * (w @ w))
        largest = float(np.abs(gradient).max(initial=0.0))
        scale = 1.0 if largest <= l1 else l1 / largest
        primal = 0.5 * size + l1 * float(np.abs(w).sum())
        dual = scale * float(self.y @ r) - 0.5 * scale * scale * size
        return primal, primal - dual, scale

    def solve(self, w: np.ndarray, l1: float, l2: float, goal: float, max_iter: int) -> tuple[np.ndarray, float, int]:
        """Return weights, gap and passes over working sets, from the start ``w``."""
        r = self.y - self.X @ w
        possible = np.flatnonzero(self.squares > 0)
        lengths = np.sqrt(self.squares + l2)
        done, size = 0, 0
        while True:
            gradient = self.X.T @ r - l2 * w
            primal, gap, scale = self.gap(r, w, gradient, l1, l2)
            if gap <= goal or done >= max_iter:
                return w, gap, done
            # Gap-safe screening (Ndiaye et al. 2017): the dual optimum is within sqrt(2 gap), so these weights are zero.
            radius = np.sqrt(2.0 * max(gap, 0.0))
            reach = scale * np.abs(gradient[possible])
            out = possible[reach + radius * lengths[possible] < l1]
            if len(out):
                gone = out[w[out] != 0]
                if len(gone):
                    r = r + self.X[:, gone] @ w[gone]
                    w[gone] = 0.0
                possible = np.setdiff1d(possible, out, assume_unique=True)
                reach = scale * np.abs(gradient[possible])
            support = np.count_nonzero(w[possible])
            size = min(len(possible), max(10, 2 * support, size))
            distance = (l1 - reach) / lengths[possible]
            distance[w[possible] != 0] = -np.inf
            work = np.sort(possible[np.argpartition(distance, size - 1)[:size]]) if size else possible
            inner = 0.1 * gap
            while done < max_iter:
                passes = min(_PASSES, max_iter - done)
                _descend(self.X, w, r, work, self.squares, l1, l2, passes)
                done += passes
                part = self.X[:, work].T @ r - l2 * w[work]
                if self.gap(r, w, part, l1, l2)[1] <= max(inner, 0.3 * goal):
                    break
            size = min(2 * size, len(possible))


class Lasso(RegressorMixin, Estimator):
    r"""Linear regressor with a penalty on the absolute weights, which makes most of them zero.

    .. math::
        \min_{w, b} \frac{1}{2 \sum_i v_i} \sum_i v_i (y_i - b - w^\top x_i)^2 + \alpha \rho \lVert w \rVert_1
        + \frac{\alpha (1 - \rho)}{2} \lVert w \rVert_2^2

    With :math:`\rho = 1` this is the lasso, below it the elastic net. The bias is not penalized.

    Parameters
    ----------
    alpha : float, > 0, default=1.0
        Strength of the penalty, relative to the *mean* of the squared errors.
    l1_ratio : float in (0, 1], default=1.0
        The share :math:`\rho` of the absolute weights.
    fit_intercept : bool, default=True
    tol : float, > 0, default=1e-6
        Largest duality gap at the end, relative to half the mean square of y about its mean.
    max_iter : int, >= 1, default=100000
        Most passes over working sets.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    dual_gap_ : float
        Bound on how far the objective lies above its minimum.
    n_iter_ : int

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    A source writes the *sum* of squared errors plus :math:`\lambda \lVert w \rVert_1`; then
    :math:`\lambda = 2 n \alpha`. Without a penalty on absolute weights take ridge-regression or linear-regression.

    References
    ----------
    Tibshirani (1996), Regression shrinkage and selection via the lasso. Massias, Gramfort & Salmon (2018), Celer: a fast
    solver for the lasso with dual extrapolation, for working sets. Spec ``08#lasso``.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 1.0,
        fit_intercept: bool = True,
        tol: float = 1e-6,
        max_iter: int = 100_000,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter

    def _read(self, X: Any, y: Any, sample_weight: Any) -> tuple[_Problem, float, float, int]:
        """Return the problem, the share of absolute weights, the gap to reach and the most passes."""
        ratio = real("l1_ratio", self.l1_ratio, low=0.0, high=1.0, open_low=True)
        tol = real("tol", self.tol, low=0.0, open_low=True)
        limit = whole("max_iter", self.max_iter, low=1)
        X, y = training_data(self, X, y, y_numeric=True)
        weight = sample_weights(sample_weight, len(y))
        X, y = X.astype(np.float64, copy=False), y.astype(np.float64)
        if weight is not None:
            X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
        problem = _Problem.of(X, y, weight, bool(self.fit_intercept))
        return problem, ratio, tol * 0.5 * float(problem.y @ problem.y), limit

    def _warn(self, gap: float, alpha: float) -> None:
        warnings.warn(
            f"Lasso did not reach tol={self.tol} at alpha={alpha:g}: after max_iter={self.max_iter} passes the duality gap is "
            f"{gap:.2e}. Raise `max_iter`, `tol` or `alpha`, or scale the features.",
            ConvergenceWarning,
            stacklevel=3,
        )

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the weights.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the squared errors.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        alpha = real("alpha", self.alpha, low=0.0, open_low=True)
        problem, ratio, goal, limit = self._read(X, y, sample_weight)
        start = np.zeros(problem.X.shape[1])
        w, gap, done = problem.solve(start, alpha * ratio, alpha * (1 - ratio), goal, limit)
        if gap > goal:
            self._warn(gap, alpha)
        self.intercept_ = problem.y_mean - float(problem.x_mean @ w)
        self.dual_gap_ = gap
        self.n_iter_ = max(1, done)
        self.coef_ = w
        return self

    def path(
        self, X: Any, y: Any, sample_weight: Any = None, *, alphas: Any = None, n_alphas: int = 100, eps: float = 1e-3
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the weights for a row of penalties, each begun at the weights of the one before.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``
        alphas : array of shape (n_alphas,), optional
            Penalties > 0; else ``n_alphas`` of them, falling evenly in the logarithm from the least that makes every weight
            zero to ``eps`` times that.
        n_alphas : int, >= 1, default=100
        eps : float in (0, 1], default=1e-3

        Returns
        -------
        alphas : ndarray of shape (n_alphas,), falling
        coefs : ndarray of shape (n_features, n_alphas)
        intercepts : ndarray of shape (n_alphas,)
        gaps : ndarray of shape (n_alphas,)

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        problem, ratio, goal, limit = self._read(X, y, sample_weight)
        if alphas is None:
            top = float(np.abs(problem.X.T @ problem.y).max()) / ratio
            top = top if top > 0 else 1.0
            low = real("eps", eps, low=0.0, high=1.0, open_low=True)
            values = np.geomspace(top, top * low, whole("n_alphas", n_alphas, low=1))
        else:
            values = np.sort(np.asarray(alphas, dtype=np.float64).ravel())[::-1]
            if not len(values) or not np.isfinite(values).all() or values[-1] <= 0:
                raise InputError(f"`alphas` is {alphas!r}; give numbers > 0.")
        coefs = np.empty((problem.X.shape[1], len(values)))
        gaps = np.empty(len(values))
        w = np.zeros(problem.X.shape[1])
        for k, alpha in enumerate(values):
            w, gaps[k], _ = problem.solve(w.copy(), alpha * ratio, alpha * (1 - ratio), goal, limit)
            if gaps[k] > goal:
                self._warn(gaps[k], alpha)
            coefs[:, k] = w
        return values, coefs, problem.y_mean - problem.x_mean @ coefs, gaps

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        require_fitted(self, "coef_")
        X = query_data(self, X, "coef_")
        return np.asarray(X @ self.coef_ + self.intercept_)
