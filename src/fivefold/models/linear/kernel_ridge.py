"""Kernel ridge regression."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import linalg
from sklearn.base import MultiOutputMixin, RegressorMixin

from fivefold.base.checks import real
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import require_fitted
from fivefold.data.validation import checked_data, sample_weights

from .svm import KernelMachine, wide


class KernelRidge(MultiOutputMixin, RegressorMixin, KernelMachine):
    r"""Ridge regression in the feature space of a kernel.

    .. math::
        \min_f \sum_i v_i (y_i - f(x_i))^2 + \alpha \lVert f \rVert_K^2, \qquad f(x) = \sum_i a_i K(x_i, x), \qquad
        a = (K + \alpha V^{-1})^{-1} y

    There is no bias. The error at a row that is left out follows from the fit with it:
    :math:`y_i - f^{(-i)}(x_i) = a_i / [(K + \alpha V^{-1})^{-1}]_{ii}`.

    Parameters
    ----------
    alpha : float, > 0, default=1.0
        Strength of the penalty, relative to the *sum* of the squared errors.
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"} or callable, default="linear"
        As in :class:`SVC`.
    gamma : {"scale", "auto"} or float >= 0, default="auto"
        "auto" is 1 / n_features, "scale" 1 / (n_features * variance of X).
    degree : int, >= 0, default=3
    coef0 : float, default=1.0

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
    support_vectors_ : array or sparse matrix of shape (n_support, n_features)
        The training rows with weight.
    support_ : ndarray of shape (n_support,)

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    References
    ----------
    Saunders, Gammerman & Vovk (1998), Ridge regression learning algorithm in dual variables. Spec
    ``05#kernel-logistic-and-linear``.
    """

    def __init__(
        self, alpha: float = 1.0, *, kernel: Any = "linear", gamma: Any = "auto", degree: int = 3, coef0: float = 1.0
    ) -> None:
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Solve for the multipliers.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features), or (n_samples, n_samples) when precomputed
        y : array of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the squared errors.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used, or the kernel has a negative eigenvalue below -alpha.
        """
        alpha = real("alpha", self.alpha, low=0.0, above=True)
        K, Y, root, rows, X, flat = self._system(X, y, sample_weight)
        try:
            factor = linalg.cho_factor(root[:, None] * K * root + alpha * np.eye(len(K)), lower=True)
        except linalg.LinAlgError as error:
            raise DataError(
                "The kernel matrix plus alpha is not positive definite: raise `alpha`, or take a kernel that is."
            ) from error
        dual = root[:, None] * linalg.cho_solve(factor, root[:, None] * Y)  # (n, t)
        self._keep_support(X, rows)
        self.dual_coef_ = dual[:, 0] if flat else dual
        return self

    def _system(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Any, bool]:
        """Return K (n, n), Y (n, t), roots of the weights (n,), the rows with weight, X and whether y is a vector."""
        X, y = checked_data(self, X, y, accept_sparse="csr", multi_output=True, y_numeric=True)
        X, y = wide(X), np.asarray(y, dtype=np.float64)
        weight = sample_weights(sample_weight, X.shape[0])
        spec = self._spec(X)
        rows = np.arange(X.shape[0]) if weight is None else np.flatnonzero(weight)
        part = X if len(rows) == X.shape[0] else X[rows]
        K = spec(part[:, rows] if spec.name == "precomputed" else part, part)
        root = np.ones(len(rows)) if weight is None else np.sqrt(weight[rows])
        Y = y[rows]
        return K, Y[:, None] if y.ndim == 1 else Y, root, rows, X, y.ndim == 1

    def leave_one_out(self, X: Any, y: Any, sample_weight: Any = None, *, alphas: Any = None) -> np.ndarray:
        """Return the error at every row by the fit without it, for one or many penalties, from one decomposition.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``, y of shape (n_samples,)
        alphas : array of shape (n_alphas,), optional
            Penalties > 0; the model's own when not given.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_alphas, n_samples)
            :math:`y_i - f^{(-i)}(x_i)`.

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        given = np.atleast_1d(np.asarray(self.alpha if alphas is None else alphas, dtype=np.float64))
        if given.ndim != 1 or not np.isfinite(given).all() or given.min(initial=np.inf) <= 0:
            raise InputError(f"`alphas` is {alphas!r}; give numbers > 0.")
        K, Y, root, rows, X, flat = self._system(X, y, sample_weight)
        if not flat or len(rows) != X.shape[0]:
            raise DataError("Leaving one out takes one target and rows that all have weight; drop the others first.")
        values, vectors = linalg.eigh(root[:, None] * K * root)
        inside = vectors.T @ (root * Y[:, 0])  # (n,)
        errors = np.empty((len(given), len(K)))
        for k, alpha in enumerate(given):
            inverse = 1.0 / (values + alpha)
            errors[k] = (vectors @ (inverse * inside)) / (np.square(vectors) @ inverse) / root
        return errors[0] if alphas is None else errors

    def predict(self, X: Any) -> np.ndarray:
        """Return the value of each row.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        require_fitted(self, "dual_coef_")
        flat = self.dual_coef_.ndim == 1
        values = self._support_values(X, self.dual_coef_[:, None] if flat else self.dual_coef_)
        return values[:, 0] if flat else values
