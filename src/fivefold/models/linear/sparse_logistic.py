"""Logistic regression with an L1 or elastic-net penalty, for dense features and for sparse index:value rows."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import choice, real, whole
from fivefold.base.estimator import Estimator
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._classifier import CrossEntropyClassifier
from ._objectives import log1p_exp_neg
from ._prox_newton import CrossEntropyL1
from ._validation import query_data, row_weights


class SparseLogisticRegression(CrossEntropyClassifier, Estimator):
    r"""Logistic regression of two or more classes with a penalty on the absolute weights, which makes most of them zero.

    .. math::
        \min_{W, b} \sum_i v_i H_i + \frac{1}{C} \Big( \rho \lVert W \rVert_1 + \frac{1 - \rho}{2} \lVert W \rVert_2^2 \Big)

    Here :math:`H_i = \log(1 + e^{-s_i (w^\top x_i + b)})` with :math:`s_i = \pm 1` for two classes and
    :math:`-\log \mathrm{softmax}(W x_i + b)_{y_i}` for more. The biases are not penalized.

    Parameters
    ----------
    C : float, > 0, default=1.0
        Inverse strength of the penalty, relative to the *sum* of the losses.
    l1_ratio : float in (0, 1], default=1.0
        The share :math:`\rho` of the absolute weights; below 1 the penalty is the elastic net.
    fit_intercept : bool, default=True
    class_weight : dict, "balanced" or None, default=None
        Factors of the row weights by class; "balanced" is :math:`n / (K n_k)`.
    multi_class : {"multinomial", "ovr"}, default="multinomial"
        For more than two classes, one softmax, or a machine of two classes for each against the rest.
    tol : float, > 0, default=1e-4
        Largest duality gap at the end, relative to the objective.
    max_iter : int, >= 1, default=1000
        Most Newton steps.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
    intercept_ : ndarray of shape (1,) or (n_classes,)
        With one softmax they sum to zero.
    objective_ : float
        Value of the objective, divided by the sum of the row weights (summed over the machines of "ovr").
    dual_gap_ : float
        Bound on how far the objective lies above its minimum, as a share of it (the largest of the machines of "ovr").
    n_iter_ : ndarray of shape (1,) or (n_classes,)
        Newton steps.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    scikit-learn's saga minimizes the same objective; liblinear penalizes the bias too. With one softmax and an even number of
    classes the absolute weights do not single out one solution; objective and probabilities are unique. A source feeds its area
    under the curve with rounded classes, which is the curve of one point: take :meth:`predict_proba`.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), Regularization paths for generalized linear models via coordinate descent. Yuan, Ho &
    Lin (2012), An improved GLMNET for L1-regularized logistic regression. Spec ``01#lr-sparse-estimator``.
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
        l1_ratio: float = 1.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        multi_class: str = "multinomial",
        tol: float = 1e-4,
        max_iter: int = 1000,
    ) -> None:
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.multi_class = multi_class
        self.tol = tol
        self.max_iter = max_iter

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the weights.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the rows.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        C = real("C", self.C, low=0.0, above=True)
        ratio = real("l1_ratio", self.l1_ratio, low=0.0, high=1.0, above=True)
        tol = real("tol", self.tol, low=0.0, above=True)
        limit = whole("max_iter", self.max_iter, low=1)
        choice("multi_class", self.multi_class, ("multinomial", "ovr"))
        X, y = checked_data(self, X, y, accept_sparse=("csr", "csc"), accept_large_sparse=True)
        weight = sample_weights(sample_weight, X.shape[0])
        classes, codes = encode_labels(y)
        mass = row_weights(self, classes, codes, weight)  # (n,)
        rows = np.flatnonzero(mass)
        part = X if len(rows) == X.shape[0] else X[rows]
        codes, mass = codes[rows], mass[rows]
        total = float(mass.sum())
        share, l1, l2 = mass / total, ratio / (C * total), (1.0 - ratio) / (C * total)
        split = len(classes) > 2 and self.multi_class == "ovr"
        tasks = [(codes == k).astype(np.intp) for k in range(len(classes))] if split else [codes]
        found = []
        for task in tasks:
            count = 2 if split else len(classes)
            problem = CrossEntropyL1(part, task, count, share, bool(self.fit_intercept))
            found.append(problem.solve(np.zeros(problem.shape), np.zeros(problem.blocks), l1, l2, tol, limit))
        self.objective_ = float(sum(f.value for f in found))
        self.dual_gap_ = max(f.gap / f.value for f in found)
        if self.dual_gap_ > tol:
            warnings.warn(
                f"SparseLogisticRegression did not reach tol={self.tol}: after max_iter={self.max_iter} Newton steps the "
                f"duality gap is {self.dual_gap_:.2e} of the objective. Raise `max_iter` or `tol`, scale the features or "
                "lower `C`.",
                ConvergenceWarning,
                stacklevel=2,  # any value: where the warning points
            )
        self.classes_ = classes
        self.n_iter_ = np.array([max(1, f.n_iter) for f in found])
        biases = np.concatenate([f.biases for f in found])
        # A number added to the biases of a softmax changes nothing; the sum of zero is the usual choice.
        self.intercept_ = biases if split or len(classes) == 2 else biases - biases.mean()
        self.coef_ = np.ascontiguousarray(np.concatenate([f.weights for f in found], axis=1).T)
        return self

    def _scores(self, X: Any) -> np.ndarray:
        X = query_data(self, X, "coef_", accept_sparse="csr")
        return np.asarray(X @ self.coef_.T + self.intercept_)  # (n, 1) or (n, n_classes)

    def _logits(self, scores: np.ndarray) -> np.ndarray:
        # Of one model a class: the logistic functions over their sum.
        return -log1p_exp_neg(scores)[0] if self.multi_class == "ovr" else scores
