"""Kernel logistic regression."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError
from fivefold.base.estimator import require_fitted
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._classifier import CrossEntropyClassifier
from ._objectives import BinaryCrossEntropy, SoftmaxCrossEntropy
from ._solvers import Solution, newton, newton_cg
from ._validation import row_weights
from .svm import KernelMachine, wide

# Up to this many unknowns a Hessian is cheaper to form and factor than to multiply with again and again.
_DENSE_LIMIT = 512


class KernelLogisticRegression(CrossEntropyClassifier, KernelMachine):
    r"""Logistic regression of two or more classes in the feature space of a kernel.

    .. math::
        \min_{f, b} \sum_i v_i H(y_i, f(x_i) + b) + \frac{1}{2C} \sum_k \lVert f_k \rVert_K^2, \qquad
        f_k(x) = \sum_i a_{ik} K(x_i, x)

    H is the cross-entropy, of one logistic function for two classes and of a softmax for more. Unlike a support vector
    machine every row takes part, and the answers are probabilities. At the minimum
    :math:`a_{ik} = C v_i ([y_i = k] - p_k(x_i))`.

    Parameters
    ----------
    C : float, > 0, default=1.0
        Inverse strength of the penalty, relative to the *sum* of the losses.
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"} or callable, default="rbf"
        As in :class:`SVC`.
    gamma : {"scale", "auto"} or float >= 0, default="scale"
    degree : int, >= 0, default=3
    coef0 : float, default=0.0
    fit_intercept : bool, default=True
        Whether the scores have a bias, which is not penalized.
    class_weight : dict, "balanced" or None, default=None
        Factors of the row weights by class.
    tol : float, > 0, default=1e-8
        The largest gradient entry of the mean objective at the end, in an orthonormal basis of the functions.
    max_iter : int, >= 1, default=100

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    dual_coef_ : ndarray of shape (n_support, 1) or (n_support, n_classes)
        The multipliers a.
    intercept_ : ndarray of shape (1,) or (n_classes,)
    support_ : ndarray of shape (n_support,)
        The rows with weight.
    support_vectors_ : array or sparse matrix of shape (n_support, n_features)
    n_iter_ : int
    kkt_residual_ : float
        Largest absolute entry of the gradient of the mean objective at the end, by the coordinates of the features.

    Raises
    ------
    InputError, DataError
        On a parameter out of range, data that cannot be used or a kernel that is not positive semi-definite.

    Notes
    -----
    With :math:`K = V S V^\top` the functions at the rows are :math:`V S^{1/2} \theta` and their squared norm is
    :math:`|\theta|^2`: Newton's method runs on θ as in :class:`LogisticRegression`, and :math:`a = V S^{-1/2} \theta`. Memory
    grows with the square of the rows, time with their cube.

    References
    ----------
    Zhu & Hastie (2005), Kernel logistic regression and the import vector machine. Spec ``05#kernel-logistic-and-linear``.
    """

    _expected_failed_checks: ClassVar[dict[str, str]] = dict.fromkeys(
        ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
        "gamma='scale' is taken from the rows, whatever their weights",
    )

    def __init__(
        self,
        C: float = 1.0,
        *,
        kernel: Any = "rbf",
        gamma: Any = "scale",
        degree: int = 3,
        coef0: float = 0.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        tol: float = 1e-8,
        max_iter: int = 100,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the multipliers.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features), or (n_samples, n_samples) when precomputed
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the losses.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        C = real("C", self.C, low=0.0, above=True)
        tol = real("tol", self.tol, low=0.0, above=True)
        limit = whole("max_iter", self.max_iter, low=1)
        X, y = checked_data(self, X, y, accept_sparse="csr")
        X = wide(X)
        weight = sample_weights(sample_weight, X.shape[0])
        classes, codes = encode_labels(y)
        mass = row_weights(self, classes, codes, weight)  # (n,)
        spec = self._spec(X)
        rows = np.flatnonzero(mass)
        part = X if len(rows) == X.shape[0] else X[rows]
        K = spec(part[:, rows] if spec.name == "precomputed" else part, part)
        values, vectors = linalg.eigh(0.5 * (K + K.T))
        largest = max(float(values[-1]), 0.0)
        if values[0] < -1e-8 * max(largest, np.finfo(np.float64).tiny):
            raise DataError(
                f"The kernel matrix has the negative eigenvalue {values[0]:.3g}: its functions have no norm to penalize. Take "
                "a kernel that is positive semi-definite, such as 'rbf'."
            )
        kept = values > np.finfo(np.float64).eps * len(rows) * largest
        root = np.sqrt(values[kept])
        features = vectors[:, kept] * root  # (n, r)
        bias, blocks = bool(self.fit_intercept), 1 if len(classes) == 2 else len(classes)
        strength = 1.0 / (C * float(mass.sum()))
        objective: BinaryCrossEntropy | SoftmaxCrossEntropy
        if blocks == 1:
            objective = BinaryCrossEntropy(features, 2.0 * codes[rows] - 1.0, mass[rows], strength, bias)
        else:
            objective = SoftmaxCrossEntropy(features, codes[rows], blocks, mass[rows], strength, bias)
        start = np.zeros(blocks * (features.shape[1] + bias))
        dense = len(start) <= _DENSE_LIMIT  # any value: cost alone
        run: Callable[..., Solution] = newton if dense else newton_cg
        options = {"keep": False} if dense else {}
        solution = run(objective, start, tol=tol, max_iter=limit, **options)
        if solution.reason:
            warnings.warn(
                f"KernelLogisticRegression did not reach tol={self.tol}: {solution.reason}; the largest gradient entry is "
                f"{np.abs(solution.gradient).max():.2e}. Raise `max_iter` or `tol`, or lower `C`.",
                ConvergenceWarning,
                stacklevel=2,  # any value: where the warning points
            )
        theta = solution.theta.reshape(blocks, -1)
        theta = theta - theta.mean(axis=0) if blocks > 1 else theta
        self.classes_, self.n_iter_ = classes, max(1, solution.n_iter)
        self.kkt_residual_ = float(np.abs(solution.gradient).max())
        self._keep_support(X, rows)
        self.intercept_ = theta[:, -1].copy() if bias else np.zeros(blocks)
        self.dual_coef_ = vectors[:, kept] @ (theta[:, : features.shape[1]] / root).T
        return self

    def _scores(self, X: Any) -> np.ndarray:
        require_fitted(self, "dual_coef_")
        return self._support_values(X, self.dual_coef_) + self.intercept_  # (n, blocks)
