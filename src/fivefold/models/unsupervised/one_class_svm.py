"""One-class support vector machine."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import OutlierMixin

from fivefold.base.checks import real
from fivefold.base.estimator import require_fitted
from fivefold.data.validation import checked_data, sample_weights
from fivefold.models.linear._kernel_rows import rows_of_kernel
from fivefold.models.linear._smo import solve_one_class
from fivefold.models.linear.svm import KernelMachine, iteration_limit, warn_unsettled, wide


class OneClassSVM(OutlierMixin, KernelMachine):
    r"""Outlier detector: the plane in the feature space of a kernel that cuts most rows off from the origin.

    .. math::
        \min_{w, \xi, \rho} \tfrac12 \lVert w \rVert^2 + \frac{1}{\nu n} \sum_i \xi_i - \rho, \quad
        w^\top \phi(x_i) \ge \rho - \xi_i, \; \xi_i \ge 0, \qquad f(x) = \sum_i \alpha_i K(x_i, x) - \rho

    Rows with f < 0 are outliers. At most the share ν of the training rows is, and at least that share are support vectors.

    Parameters
    ----------
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"} or callable, default="rbf"
    degree : int, >= 0, default=3
    gamma : {"scale", "auto"} or float >= 0, default="scale"
    coef0 : float, default=0.0
    tol : float, > 0, default=1e-3
        Largest violation of the optimality conditions by a pair of rows.
    nu : float in (0, 1], default=0.5
        Bound on the share of outliers among the training rows.
    cache_size : float, > 0, default=200
        Megabytes for kernel rows, of which at least a block of 256 is kept.
    max_iter : int, default=-1
        Most pairs to optimize; -1 sets no limit.

    Attributes
    ----------
    support_ : ndarray of shape (n_support,)
    support_vectors_ : array or sparse matrix of shape (n_support, n_features)
    dual_coef_ : ndarray of shape (1, n_support)
        :math:`\alpha_i`, scaled as in scikit-learn: at most 1 (times the row's weight), with the sum :math:`\nu n`.
    intercept_ : ndarray of shape (1,)
        :math:`-\rho`.
    offset_ : float
        :math:`\rho`.
    dual_objective_ : float
        :math:`\tfrac12 \alpha^\top K \alpha`.
    kkt_residual_ : float
    n_iter_ : int

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    References
    ----------
    Schölkopf et al. (2001), Estimating the support of a high-dimensional distribution. Spec ``05#one-class-svm``,
    ``06#one-class-svm``.
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
        nu: float = 0.5,
        cache_size: float = 200,
        max_iter: int = -1,
    ) -> None:
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.tol = tol
        self.nu = nu
        self.cache_size = cache_size
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the support vectors and the offset.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features), or (n_samples, n_samples) when precomputed
        y : ignored
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the rows.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X or a parameter cannot be used.
        """
        nu = real("nu", self.nu, low=0.0, high=1.0, above=True)
        tol = real("tol", self.tol, low=0.0, above=True)
        cache = real("cache_size", self.cache_size, low=0.0, above=True)
        limit = iteration_limit(self.max_iter)
        X = wide(checked_data(self, X, accept_sparse="csr"))
        weight = sample_weights(sample_weight, X.shape[0])
        spec = self._spec(X)
        rows = np.arange(X.shape[0]) if weight is None else np.flatnonzero(weight)
        part = X if len(rows) == X.shape[0] else X[rows]
        solution = solve_one_class(
            rows_of_kernel(spec, part, rows),
            nu,
            weight=None if weight is None else weight[rows],
            tol=tol,
            max_iter=limit,
            cache_size=cache,
        )
        warn_unsettled(self, solution)
        used = np.flatnonzero(solution.beta)
        self.dual_coef_ = solution.beta[used][None, :]
        self.intercept_ = np.array([solution.bias])
        self.offset_ = -solution.bias
        self.dual_objective_ = solution.objective
        self.kkt_residual_ = solution.residual
        self.n_iter_ = max(1, solution.n_iter)
        self._keep_support(X, rows[used])
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the sums of kernels at the support vectors; larger is more usual.

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
        return self._support_values(X, self.dual_coef_.T).ravel()

    def decision_function(self, X: Any) -> np.ndarray:
        """Return ``score_samples(X) - offset_``; negative means an outlier.

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
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return 1 for usual rows and -1 for outliers.

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
        scores = self.decision_function(X)
        return np.where(scores >= 0, 1, -1)
