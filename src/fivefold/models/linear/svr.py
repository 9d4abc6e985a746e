"""Support vector regression."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin

from fivefold.base.checks import real
from fivefold.base.estimator import require_fitted
from fivefold.data.validation import checked_data, sample_weights

from ._kernel_rows import rows_of_kernel
from ._smo import minimize_dual
from .svm import KernelMachine, iteration_limit, warn_unsettled, wide


class SVR(RegressorMixin, KernelMachine):
    r"""Regression by the flattest function whose errors stay within a tube, with a price for those that do not.

    .. math::
        \min_{f, b}\; \tfrac12 \lVert f \rVert_K^2 + C \sum_i v_i \max(0, |y_i - f(x_i) - b| - \epsilon), \qquad
        f(x) = \sum_i (\alpha_i - \alpha_i^*) K(x_i, x)

    Rows inside the tube have no multiplier; the others are the support vectors.

    Parameters
    ----------
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"} or callable, default="rbf"
        As in :class:`SVC`.
    degree : int, >= 0, default=3
    gamma : {"scale", "auto"} or float >= 0, default="scale"
    coef0 : float, default=0.0
    tol : float, > 0, default=1e-3
        Largest violation of the optimality conditions by a pair, in units of y.
    C : float, > 0, default=1.0
        Price of a unit of error outside the tube.
    epsilon : float, >= 0, default=0.1
        Half the width of the tube, in units of y.
    cache_size : float, > 0, default=200
        Megabytes for kernel rows, of which at least a block of 256 is kept.
    max_iter : int, default=-1
        Most pairs to optimize; -1 sets no limit.

    Attributes
    ----------
    support_ : ndarray of shape (n_support,)
    support_vectors_ : array or sparse matrix of shape (n_support, n_features)
    dual_coef_ : ndarray of shape (1, n_support)
        :math:`\alpha_i - \alpha_i^*`.
    intercept_ : ndarray of shape (1,)
    dual_objective_ : float
        Value of the maximized dual.
    kkt_residual_ : float
    n_iter_ : int

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    References
    ----------
    Drucker et al. (1997), Support vector regression machines. Spec ``05#svr``.
    """

    # Solutions agree within `tol`, not to the last digits that these two checks ask for.
    _expected_failed_checks: ClassVar[dict[str, str]] = dict.fromkeys(
        ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
        "solutions of weighted and of repeated rows agree within tol",
    )

    def __init__(
        self,
        *,
        kernel: Any = "rbf",
        degree: int = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        tol: float = 1e-3,
        C: float = 1.0,
        epsilon: float = 0.1,
        cache_size: float = 200,
        max_iter: int = -1,
    ) -> None:
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.tol = tol
        self.C = C
        self.epsilon = epsilon
        self.cache_size = cache_size
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the support vectors and their multipliers.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features), or (n_samples, n_samples) when precomputed
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,) or float, optional
            Factors >= 0 of C.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        C = real("C", self.C, low=0.0, above=True)
        epsilon = real("epsilon", self.epsilon, low=0.0)
        tol = real("tol", self.tol, low=0.0, above=True)
        cache = real("cache_size", self.cache_size, low=0.0, above=True)
        limit = iteration_limit(self.max_iter)
        X, y = checked_data(self, X, y, accept_sparse="csr", order="C", y_numeric=True)
        X, y = wide(X), y.astype(np.float64)
        weight = sample_weights(sample_weight, X.shape[0])
        spec = self._spec(X)
        rows = np.arange(len(y)) if weight is None else np.flatnonzero(weight)
        bound = np.full(len(rows), C) if weight is None else C * weight[rows]
        part = X if len(rows) == len(y) else X[rows]
        zero = np.zeros(len(rows))
        solution = minimize_dual(
            rows_of_kernel(spec, part, rows),
            np.concatenate([epsilon - y[rows], -epsilon - y[rows]]),
            np.concatenate([zero, -bound]),
            np.concatenate([bound, zero]),
            np.zeros(2 * len(rows)),
            tol=tol,
            max_iter=limit,
            cache_size=cache,
        )
        warn_unsettled(self, solution)
        beta = solution.beta[: len(rows)] + solution.beta[len(rows) :]
        used = np.flatnonzero(beta)
        self.dual_coef_ = beta[used][None, :]
        self.intercept_ = np.array([solution.bias])
        self.dual_objective_ = -solution.objective
        self.kkt_residual_ = solution.residual
        self.n_iter_ = max(1, solution.n_iter)
        self._keep_support(X, rows[used])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the value of each row.

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
        require_fitted(self, "shape_fit_")
        return (self._support_values(X, self.dual_coef_.T) + self.intercept_).ravel()
