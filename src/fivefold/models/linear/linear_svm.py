"""Linear support vector machines of two classes, with a soft and with a hard margin, by their dual."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import real
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator
from fivefold.data.validation import checked_data, class_weights, encode_labels, sample_weights

from ._kernel_rows import rows_of_kernel
from ._smo import DualSolution, minimize_dual
from ._validation import label_text, query_data
from .kernels import KernelSpec, squared_norms
from .svm import iteration_limit, warn_unsettled, wide

# Squared ratio of the data's radius to the margin above which the hard margin is suspected not to exist.
_SUSPECT = 1e8


class _LinearMachine(ClassifierMixin, Estimator):
    """Base of the linear machines: the data of two classes, the fitted street and the scores."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_class = False
        return tags

    def _two_classes(self, X: Any, y: Any) -> tuple[Any, np.ndarray, np.ndarray]:
        X, y = checked_data(self, X, y, accept_sparse="csr")
        classes, codes = encode_labels(y)
        if len(classes) > 2:
            raise DataError(
                f"Only binary classification is supported. The target has {len(classes)} classes "
                f"({label_text(classes)}); take kernel-svm or multiclass-svm for more than two."
            )
        if len(classes) < 2:
            raise DataError(
                f"{type(self).__name__} needs two classes; y holds one class, {classes[0].item()!r}. Give rows of both."
            )
        return wide(X), classes, codes

    def _keep(self, X: Any, sign: np.ndarray, rows: np.ndarray, solution: DualSolution) -> np.ndarray:
        """Store the solution over the rows; return the scores of all rows: (n,)."""
        beta = np.zeros(len(sign))
        beta[rows] = solution.beta
        self.support_ = np.flatnonzero(beta)
        self.dual_coef_ = beta[self.support_][None, :]
        self.alpha_ = np.abs(beta)
        self.coef_ = np.asarray(X.T @ beta)[None, :]
        self.intercept_ = np.array([solution.bias])
        norm = float(np.linalg.norm(self.coef_))
        self.width_ = 2.0 / norm if norm > 0 else np.inf
        self.dual_objective_ = -solution.objective
        self.kkt_residual_ = solution.residual
        self.n_iter_ = max(1, solution.n_iter)
        return np.asarray(X @ self.coef_[0] + self.intercept_[0])

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores :math:`w^T x + b`; positive means ``classes_[1]``.

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
        X = query_data(self, X, "coef_", accept_sparse="csr")
        return np.asarray(X @ self.coef_[0] + self.intercept_[0])

    def predict(self, X: Any) -> np.ndarray:
        """Return the side of the street on which each row lies.

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
        return self.classes_[(scores > 0).astype(np.intp)]


class SoftMarginSVM(_LinearMachine):
    r"""Linear classifier with the widest street between two classes, and a price for rows inside or beyond it.

    .. math::
        \min_{w, b, \xi} \tfrac12 \lVert w \rVert^2 + C \sum_i v_i \xi_i, \quad y_i (w^\top x_i + b) \ge 1 - \xi_i, \quad
        \xi_i \ge 0

    Its dual is that of the hard margin with the bound :math:`\alpha_i \le C v_i`; rows with
    :math:`0 < \alpha_i < C v_i` lie on the edge of the street and give b.

    Parameters
    ----------
    C : float, > 0, default=1.0
        Price of a unit of slack.
    tol : float, > 0, default=1e-3
        Largest violation of the optimality conditions by a pair of rows.
    cache_size : float, > 0, default=200
        Megabytes for rows of inner products.
    class_weight : dict, "balanced" or None, default=None
        Factors of C by class.
    max_iter : int, default=-1
        Most pairs to optimize; -1 sets no limit.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    coef_ : ndarray of shape (1, n_features)
    intercept_ : ndarray of shape (1,)
    support_ : ndarray of shape (n_support,)
    dual_coef_ : ndarray of shape (1, n_support)
        :math:`\alpha_i y_i`.
    alpha_, slack_ : ndarray of shape (n_samples,)
    width_ : float
        Width of the street, :math:`2 / \lVert w \rVert`.
    primal_objective_, dual_objective_, gap_ : float
        Values of the two problems and their difference, which bounds the distance of both to the optimum.
    kkt_residual_ : float
    n_iter_ : int

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    One source swaps the signs of the rule of prediction; a positive score means ``classes_[1]``.

    References
    ----------
    Cortes & Vapnik (1995), Support-vector networks. Spec ``01#svm-soft-margin``, ``05#linear-svm``.
    """

    # Solutions agree within `tol`, not to the last digits that these two checks ask for.
    _expected_failed_checks: ClassVar[dict[str, str]] = dict.fromkeys(
        ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
        "solutions of weighted and of repeated rows agree within tol",
    )

    def __init__(
        self,
        C: float = 1.0,
        *,
        tol: float = 1e-3,
        cache_size: float = 200,
        class_weight: Any = None,
        max_iter: int = -1,
    ) -> None:
        self.C = C
        self.tol = tol
        self.cache_size = cache_size
        self.class_weight = class_weight
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the street.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Labels of two classes.
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
        tol = real("tol", self.tol, low=0.0, above=True)
        cache = real("cache_size", self.cache_size, low=0.0, above=True)
        limit = iteration_limit(self.max_iter)
        X, classes, codes = self._two_classes(X, y)
        weight = sample_weights(sample_weight, X.shape[0])
        bound = C * class_weights(self.class_weight, classes, codes, weight)[codes]
        if weight is not None:
            bound = bound * weight
        mass = np.bincount(codes, weights=bound, minlength=2)
        if not mass.all():
            raise DataError(
                f"{type(self).__name__} needs two classes with weight; the class {classes[mass.argmin()].item()!r} has none."
            )
        sign = 2.0 * codes - 1.0
        rows = np.flatnonzero(bound)
        part = X if len(rows) == len(sign) else X[rows]
        solution = minimize_dual(
            rows_of_kernel(KernelSpec("linear", 1, 1.0, 0.0), part),
            -sign[rows],
            np.where(sign > 0, 0.0, -bound)[rows],
            np.where(sign > 0, bound, 0.0)[rows],
            np.zeros(len(rows)),
            tol=tol,
            max_iter=limit,
            cache_size=cache,
        )
        warn_unsettled(self, solution)
        scores = self._keep(X, sign, rows, solution)
        self.slack_ = np.maximum(0.0, 1.0 - sign * scores)
        self.primal_objective_ = float(0.5 * np.sum(self.coef_**2) + bound @ self.slack_)
        self.gap_ = self.primal_objective_ - self.dual_objective_
        self.classes_ = classes
        return self


class HardMarginSVM(_LinearMachine):
    r"""Linear classifier with the widest street that no row of two separable classes enters.

    .. math::
        \min_{w, b} \tfrac12 \lVert w \rVert^2, \quad y_i (w^\top x_i + b) \ge 1, \qquad
        \max_{\alpha \ge 0} \sum_i \alpha_i - \tfrac12 \sum_{ij} \alpha_i \alpha_j y_i y_j x_i^\top x_j, \quad
        \sum_i \alpha_i y_i = 0

    At the solution :math:`w = \sum_i \alpha_i y_i x_i`, both values are equal, and :math:`\alpha_i > 0` only where
    :math:`y_i (w^\top x_i + b) = 1`.

    Parameters
    ----------
    soften : float, > 0, or None, default=None
        Price of a unit of slack that is taken only when no plane separates the classes; None refuses such classes.
    tol : float, > 0, default=1e-6
        Largest violation of the optimality conditions by a pair of rows.
    cache_size : float, > 0, default=200
        Megabytes for rows of inner products.
    max_iter : int, default=1000000
        Most pairs to optimize; -1 sets no limit.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    coef_ : ndarray of shape (1, n_features)
    intercept_ : ndarray of shape (1,)
    support_ : ndarray of shape (n_support,)
    dual_coef_ : ndarray of shape (1, n_support)
        :math:`\alpha_i y_i`.
    alpha_ : ndarray of shape (n_samples,)
    width_ : float
        Width of the street, :math:`2 / \lVert w \rVert`.
    separable_ : bool
        Whether the margin is hard; False only with ``soften``.
    primal_objective_, dual_objective_ : float
        :math:`\tfrac12 \lVert w \rVert^2` and the value of the dual.
    kkt_residual_ : float
    n_iter_ : int

    Raises
    ------
    InputError, DataError
        On a parameter out of range, data that cannot be used, or without ``soften`` classes that no plane separates.

    Notes
    -----
    One source takes complementary slackness as strict; a row on the edge of the street may have :math:`\alpha_i = 0`.

    References
    ----------
    Boser, Guyon & Vapnik (1992), A training algorithm for optimal margin classifiers. Spec ``01#svm-hard-margin``.
    """

    def __init__(
        self,
        *,
        soften: float | None = None,
        tol: float = 1e-6,
        cache_size: float = 200,
        max_iter: int = 1_000_000,
    ) -> None:
        self.soften = soften
        self.tol = tol
        self.cache_size = cache_size
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any) -> Self:
        """Find the street.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Labels of two separable classes.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used, or no plane separates the classes.
        """
        soften = None if self.soften is None else real("soften", self.soften, low=0.0, above=True)
        tol = real("tol", self.tol, low=0.0, above=True)
        cache = real("cache_size", self.cache_size, low=0.0, above=True)
        limit = iteration_limit(self.max_iter)
        X, classes, codes = self._two_classes(X, y)
        sign = 2.0 * codes - 1.0
        n = len(sign)
        # The function does not depend on the origin, but the rounding of inner products far from it does.
        center = np.zeros(X.shape[1]) if sp.issparse(X) else X.mean(axis=0)
        rows_of = rows_of_kernel(KernelSpec("linear", 1, 1.0, 0.0), X if sp.issparse(X) else X - center)
        radius = float(squared_norms(X if sp.issparse(X) else X - center).max())
        suspect = _SUSPECT / radius if radius > 0 else 1.0  # any value: from where a linear program is asked

        def solve(bound: float, ceiling: float, before: DualSolution | None) -> DualSolution:
            return minimize_dual(
                rows_of,
                -sign,
                np.where(sign > 0, 0.0, -bound),
                np.where(sign > 0, bound, 0.0),
                np.zeros(n) if before is None else before.beta,
                scores=None if before is None else before.scores,
                tol=tol,
                max_iter=limit,
                cache_size=cache,
                stop_above=ceiling,
            )

        solution = solve(np.inf, suspect, None)
        self.separable_ = solution.converged or self._has_plane(X, sign)
        if not self.separable_:
            if soften is None:
                raise DataError(
                    "HardMarginSVM needs classes that a plane separates, and none separates these; take svm-soft-margin or "
                    "set `soften`."
                )
            solution = solve(soften, np.inf, None)
        elif not solution.converged:
            solution = solve(np.inf, np.inf, solution)
        if not solution.converged:
            warnings.warn(
                f"HardMarginSVM did not reach tol={self.tol}: after {solution.n_iter} pairs the optimality conditions are "
                f"violated by {solution.residual:.2e}. Raise `max_iter` or `tol`, or scale the features.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._keep(X, sign, np.arange(n), solution)
        self.intercept_ = self.intercept_ - self.coef_ @ center
        self.primal_objective_ = float(0.5 * np.sum(self.coef_**2))
        self.classes_ = classes
        return self

    def _has_plane(self, X: Any, sign: np.ndarray) -> bool:
        """Return whether a linear program finds a plane with every row on its side."""
        ones = np.ones((len(sign), 1))
        rows = sp.diags_array(-sign) @ (sp.hstack([X, ones], format="csr") if sp.issparse(X) else np.hstack([X, ones]))
        found = linprog(np.zeros(X.shape[1] + 1), A_ub=rows, b_ub=-np.ones(len(sign)), bounds=(None, None))
        return bool(found.status != 2)
