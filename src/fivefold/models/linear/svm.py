"""Support vector classifiers with kernels, by their dual."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._blocks import row_blocks
from ._kernel_rows import rows_of_kernel
from ._smo import DualSolution, minimize_dual
from ._validation import query_data, row_weights
from .kernels import KernelSpec


def check_square(X: Any, rows: int, name: str) -> None:
    """Raise unless a precomputed kernel has as many columns as there were rows in ``fit``."""
    if X.shape[1] != rows:
        raise DataError(
            f"Precomputed metric requires shape (n_queries, n_indexed): {name} has the shape {X.shape}, the kernel needs "
            f"{rows} columns, one for each row of fit."
        )


def wide(X: Any) -> Any:
    """Return X in float64, the precision in which kernels are formed."""
    return X.astype(np.float64, copy=False)


def iteration_limit(value: Any) -> int:
    """Return ``max_iter``: -1 stands for no limit."""
    return -1 if value == -1 else whole("max_iter", value, low=1)


def warn_unsettled(estimator: Any, solution: DualSolution) -> None:
    """Warn when the solver did not reach ``tol``."""
    if not solution.converged:
        warnings.warn(
            f"{type(estimator).__name__} did not reach tol={estimator.tol}: after {solution.n_iter} pairs the optimality "
            f"conditions are violated by {solution.residual:.2e}. Raise `max_iter` or `tol`, scale the features or "
            "lower `C`.",
            ConvergenceWarning,
            stacklevel=3,
        )


class KernelMachine(Estimator):
    """Base of the machines whose function is a sum of kernels at support vectors."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = getattr(self, "kernel", "linear") == "precomputed"
        return tags

    def _spec(self, X: Any) -> KernelSpec:
        spec = KernelSpec.of(self, X)
        if spec.name == "precomputed":
            check_square(X, X.shape[0], "X")
        self.gamma_ = spec.gamma
        return spec

    def _keep_support(self, X: Any, support: np.ndarray) -> None:
        self.support_ = support
        self.support_vectors_ = X[support] if getattr(self, "kernel", "linear") != "precomputed" else X[:0]
        self.shape_fit_ = X.shape

    def _support_values(self, X: Any, coef: np.ndarray) -> np.ndarray:
        """Return the sums of ``coef`` (S, k) times the kernels at the support vectors: (n, k)."""
        X = wide(query_data(self, X, "shape_fit_", accept_sparse="csr", order="C"))
        name = getattr(self, "kernel", "linear")
        if name == "precomputed":
            part = X[:, self.support_]
            return np.asarray((part.toarray() if sp.issparse(part) else part) @ coef)
        spec = KernelSpec(name, getattr(self, "degree", 1), self.gamma_, getattr(self, "coef0", 0.0))
        out = np.empty((X.shape[0], coef.shape[1]))
        for rows in row_blocks(X.shape[0], max(1, len(self.support_))):
            out[rows] = spec(X[rows], self.support_vectors_) @ coef
        return out


class SVC(ClassifierMixin, KernelMachine):
    r"""Kernel support vector machine: the widest street between two classes in the feature space of a kernel.

    .. math::
        \max_\alpha \sum_i \alpha_i - \tfrac12 \sum_{ij} \alpha_i \alpha_j y_i y_j K(x_i, x_j), \quad
        0 \le \alpha_i \le C v_i, \quad \sum_i \alpha_i y_i = 0, \qquad f(x) = \sum_i \alpha_i y_i K(x_i, x) + b

    Only the rows with :math:`\alpha_i > 0`, the support vectors, are kept. With more than two classes there is a machine
    for each pair of them, and the class with most votes wins.

    Parameters
    ----------
    C : float, > 0, default=1.0
        Price of a unit of slack.
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"} or callable, default="rbf"
        :math:`x^\top z`, :math:`(\gamma x^\top z + c_0)^d`, :math:`e^{-\gamma \lVert x - z \rVert^2}`,
        :math:`\tanh(\gamma x^\top z + c_0)`, X itself as the square matrix of kernel values, or a function of two sets of
        rows.
    degree : int, >= 0, default=3
    gamma : {"scale", "auto"} or float >= 0, default="scale"
        "scale" is 1 / (n_features * variance of X), "auto" 1 / n_features.
    coef0 : float, default=0.0
    tol : float, > 0, default=1e-3
        Largest violation of the optimality conditions by a pair of rows.
    cache_size : float, > 0, default=200
        Megabytes for kernel rows, of which at least a block of 256 is kept.
    class_weight : dict, "balanced" or None, default=None
        Factors of C by class.
    max_iter : int, default=-1
        Most pairs to optimize in a machine; -1 sets no limit.
    decision_function_shape : {"ovr", "ovo"}, default="ovr"
        Scores of more than two classes: one a class (votes plus a bounded sum of scores), or one a pair.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    support_ : ndarray of shape (n_support,)
        Rows of the support vectors, those of the first class first.
    support_vectors_ : array or sparse matrix of shape (n_support, n_features)
    n_support_ : ndarray of shape (n_classes,)
    dual_coef_ : ndarray of shape (n_classes - 1, n_support)
        :math:`\alpha_i y_i`, laid out as in scikit-learn.
    intercept_ : ndarray of shape (n_pairs,)
    dual_objective_ : ndarray of shape (n_pairs,)
        Value of the maximized dual.
    kkt_residual_ : float
        Largest violation of the optimality conditions at the end.
    n_iter_ : ndarray of shape (n_pairs,)

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    One source prints the rule of prediction with its signs swapped; a positive score means the second of two classes here.
    From a thousand dense rows on, the Gaussian kernel is first solved with kernel rows in single precision, and the solution
    is gone on from in float64: multipliers, residual and dual value have the precision of float64 all the same.

    References
    ----------
    Boser, Guyon & Vapnik (1992), A training algorithm for optimal margin classifiers. Fan, Chen & Lin (2005), Working set
    selection using second order information. Spec ``01#svm-kernel``, ``05#kernel-svm-dual``.
    """

    # Solutions agree within `tol`, not to the last digits that these two checks ask for.
    _expected_failed_checks: ClassVar[dict[str, str]] = dict.fromkeys(
        ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
        "solutions of weighted and of repeated rows agree within tol",
    )

    def __init__(
        self,
        *,
        C: float = 1.0,
        kernel: Any = "rbf",
        degree: int = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        tol: float = 1e-3,
        cache_size: float = 200,
        class_weight: Any = None,
        max_iter: int = -1,
        decision_function_shape: str = "ovr",
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.tol = tol
        self.cache_size = cache_size
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.decision_function_shape = decision_function_shape

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the support vectors and their multipliers.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features), or (n_samples, n_samples) when precomputed
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.
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
        choice("decision_function_shape", self.decision_function_shape, ("ovr", "ovo"))
        C = real("C", self.C, low=0.0, above=True)
        tol = real("tol", self.tol, low=0.0, above=True)
        cache = real("cache_size", self.cache_size, low=0.0, above=True)
        limit = iteration_limit(self.max_iter)
        X, y = checked_data(self, X, y, accept_sparse="csr", order="C")
        X = wide(X)
        weight = sample_weights(sample_weight, X.shape[0])
        classes, codes = encode_labels(y)
        bound = C * row_weights(self, classes, codes, weight)  # (n,)
        spec = self._spec(X)
        k, n = len(classes), X.shape[0]
        pairs = [(a, b) for a in range(k) for b in range(a + 1, k)]
        multipliers = np.zeros((n, len(pairs)))
        self.intercept_, self.dual_objective_ = np.zeros(len(pairs)), np.zeros(len(pairs))
        self.n_iter_ = np.zeros(len(pairs), dtype=np.int64)
        self.kkt_residual_ = 0.0
        for p, (a, b) in enumerate(pairs):
            rows = np.flatnonzero(((codes == a) | (codes == b)) & (bound > 0))
            # Of two classes the second is the positive one; in a pair of many, the first, as scores are votes for it.
            sign = np.where(codes[rows] == (b if k == 2 else a), 1.0, -1.0)
            part = X if len(rows) == n else X[rows]
            solution = minimize_dual(
                rows_of_kernel(spec, part, rows),
                -sign,
                np.where(sign > 0, 0.0, -bound[rows]),
                np.where(sign > 0, bound[rows], 0.0),
                np.zeros(len(rows)),
                tol=tol,
                max_iter=limit,
                cache_size=cache,
            )
            warn_unsettled(self, solution)
            multipliers[rows, p] = solution.beta
            self.intercept_[p] = solution.bias
            self.dual_objective_[p] = -solution.objective
            self.n_iter_[p] = solution.n_iter
            self.kkt_residual_ = max(self.kkt_residual_, solution.residual)
        self.classes_ = classes
        used = np.flatnonzero(multipliers.any(axis=1))
        support = used[np.argsort(codes[used], kind="stable")]
        self.n_support_ = np.bincount(codes[support], minlength=k)
        self.dual_coef_ = np.zeros((k - 1, len(support)))
        for p, (a, b) in enumerate(pairs):
            of_a, of_b = codes[support] == a, codes[support] == b
            self.dual_coef_[b - 1, of_a] = multipliers[support[of_a], p]
            self.dual_coef_[a, of_b] = multipliers[support[of_b], p]
        self._keep_support(X, support)
        return self

    def _pair_coef(self) -> np.ndarray:
        """Return the multipliers of each pair of classes: (S, n_pairs)."""
        k = len(self.classes_)
        code = np.repeat(np.arange(k), self.n_support_)
        columns = []
        for a in range(k):
            for b in range(a + 1, k):
                columns.append(
                    np.where(code == a, self.dual_coef_[b - 1], 0) + np.where(code == b, self.dual_coef_[a], 0)
                )
        return np.stack(columns, axis=1)

    @property
    def coef_(self) -> np.ndarray:
        """Weights of a linear kernel: (n_pairs, n_features)."""
        if self.kernel != "linear":
            raise AttributeError("`coef_` exists only for kernel='linear'.")
        return np.asarray((self.support_vectors_.T @ self._pair_coef()).T)

    def _pair_scores(self, X: Any) -> np.ndarray:
        require_fitted(self, "shape_fit_")
        return self._support_values(X, self._pair_coef()) + self.intercept_  # (n, pairs)

    def _votes(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the votes and the summed scores of each class: (n, K) twice."""
        k = len(self.classes_)
        votes, sums = np.zeros((len(scores), k)), np.zeros((len(scores), k))
        p = 0
        for a in range(k):
            for b in range(a + 1, k):
                first = scores[:, p] > 0
                votes[:, a] += first
                votes[:, b] += ~first
                sums[:, a] += scores[:, p]
                sums[:, b] -= scores[:, p]
                p += 1
        return votes, sums

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores; of two classes, positive means ``classes_[1]``.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_pairs)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        scores = self._pair_scores(X)
        if len(self.classes_) == 2:
            return scores.ravel()
        if self.decision_function_shape == "ovo":
            return scores
        votes, sums = self._votes(scores)
        # The summed scores, squashed below a third in size, only break ties between votes.
        return votes + sums / (3.0 * (np.abs(sums) + 1.0))

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each row: the sign of two, most votes of more (ties: the class that sorts first).

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
        scores = self._pair_scores(X)
        if len(self.classes_) == 2:
            return self.classes_[(scores[:, 0] > 0).astype(np.intp)]
        return self.classes_[self._votes(scores)[0].argmax(axis=1)]
