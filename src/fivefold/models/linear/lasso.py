"""Lasso and elastic net, alone and along a path of penalties, with the duality gap as the stopping rule."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from scipy import linalg
from sklearn.base import RegressorMixin, clone
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data, sample_weights

from ._lasso_columns import Columns
from ._lasso_path import LassoPath
from ._validation import query_data


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
    X is never centered as a whole: sparse rows stay sparse, dense ones are not copied. A working set of features is kept on its
    Gram matrix, 8 bytes a pair of them. A source writes the *sum* of squared errors plus :math:`\lambda \lVert w \rVert_1`;
    then :math:`\lambda = 2 n \alpha`. Without a penalty on absolute weights take ridge-regression or linear-regression.

    References
    ----------
    Tibshirani (1996), Regression shrinkage and selection via the lasso. Friedman, Hastie & Tibshirani (2010), Regularization
    paths for generalized linear models via coordinate descent. Lee, Battle, Raina & Ng (2007), Efficient sparse coding
    algorithms, for the steps on a line through changes of sign. Spec ``08#lasso``.
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _read(self, X: Any, y: Any, sample_weight: Any) -> tuple[Columns, float, float, int]:
        """Return the problem, the share of absolute weights, the gap to reach and the most passes."""
        ratio = real("l1_ratio", self.l1_ratio, low=0.0, high=1.0, above=True)
        tol = real("tol", self.tol, low=0.0, above=True)
        limit = whole("max_iter", self.max_iter, low=1)
        X, y = checked_data(self, X, y, y_numeric=True, accept_sparse=["csr", "csc"])
        weight = sample_weights(sample_weight, X.shape[0])
        X, y = X.astype(np.float64, copy=False), y.astype(np.float64)
        if weight is not None and not weight.all():
            X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
        columns = Columns(sp.csc_array(X) if sp.issparse(X) else X, y, weight, bool(self.fit_intercept))
        return columns, ratio, tol * 0.5 * float(columns.target @ columns.target), limit

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
        X : array or sparse matrix of shape (n_samples, n_features)
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
        alpha = real("alpha", self.alpha, low=0.0, above=True)
        columns, ratio, goal, limit = self._read(X, y, sample_weight)
        path = LassoPath(columns)
        gap, done = path.solve(alpha * ratio, alpha * (1 - ratio), goal, limit)
        w = path.coef()
        if gap > goal:
            self._warn(gap, alpha)
        self.intercept_ = columns.y_mean - float(columns.mean @ w)
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
        columns, ratio, goal, limit = self._read(X, y, sample_weight)
        path = LassoPath(columns)
        if alphas is None:
            top = path.top / ratio
            top = top if top > 0 else 1.0
            low = real("eps", eps, low=0.0, high=1.0, above=True)
            values = np.geomspace(top, top * low, whole("n_alphas", n_alphas, low=1))
        else:
            values = np.sort(np.asarray(alphas, dtype=np.float64).ravel())[::-1]
            if not len(values) or not np.isfinite(values).all() or values[-1] <= 0:
                raise InputError(f"`alphas` is {alphas!r}; give numbers > 0.")
        coefs = np.empty((len(columns.mean), len(values)), order="F")
        gaps = np.empty(len(values))
        for k, alpha in enumerate(values):
            gaps[k], _ = path.solve(alpha * ratio, alpha * (1 - ratio), goal, limit)
            if gaps[k] > goal:
                self._warn(gaps[k], alpha)
            coefs[:, k] = path.coef()
        return values, coefs, columns.y_mean - columns.mean @ coefs, gaps

    def leave_one_out(self, X: Any, y: Any, sample_weight: Any = None) -> np.ndarray:
        r"""Return the error at every row by the fit without it, from one fit.

        .. math:: y_i - f^{(-i)}(x_i) = \frac{y_i - f(x_i)}{1 - v_i\, z_i^\top M^+ z_i}, \qquad
            M = \sum_j v_j z_j z_j^\top + \alpha (1 - \rho) \textstyle\sum_j v_j\, I_0

        with :math:`z` the features of weight not zero and a one for the bias, which :math:`I_0` leaves out.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``

        Returns
        -------
        ndarray of shape (n_samples,)
            Infinite where the fit goes through a row because of that row alone.

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used, or rows have no weight.

        Notes
        -----
        The penalty of the *sum* of squared errors is kept, so without a row :math:`\alpha` is larger by
        :math:`\sum_j v_j / \sum_{j \ne i} v_j`. Exact where the fit without the row has the same features and signs; where
        it has others, an approximation (Rad & Maleki 2020, A scalable estimate of the out-of-sample prediction error).
        """
        model = clone(self).fit(X, y, sample_weight)
        X, y = checked_data(self, X, y, y_numeric=True, accept_sparse=["csr", "csc"])
        mass = sample_weights(sample_weight, X.shape[0])
        mass = np.ones(X.shape[0]) if mass is None else mass
        if not mass.all():
            raise DataError("Leaving one out takes rows that all have weight; drop the others first.")
        chosen = np.flatnonzero(model.coef_)
        part = X[:, chosen].toarray() if sp.issparse(X) else X[:, chosen]
        z = np.column_stack([part, np.ones(len(y))]) if self.fit_intercept else part  # (n, a + 1)
        ridge = np.sqrt(self.alpha * (1 - self.l1_ratio) * mass.sum()) * np.eye(z.shape[1])[: len(chosen)]
        inverse = linalg.pinv(np.concatenate([np.sqrt(mass)[:, None] * z, ridge]))[:, : len(y)]  # (a + 1, n)
        # Both factors carry the root of the row's weight.
        rest = 1.0 - np.sqrt(mass) * np.einsum("ij,ji->i", z, inverse)
        through = rest <= 1e3 * np.finfo(np.float64).eps  # any value: rounding of one minus one
        return np.where(through, np.inf, (y - model.predict(X)) / np.where(through, 1.0, rest))

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        require_fitted(self, "coef_")
        X = query_data(self, X, "coef_", accept_sparse=["csr", "csc"])
        return np.asarray(X @ self.coef_ + self.intercept_)
