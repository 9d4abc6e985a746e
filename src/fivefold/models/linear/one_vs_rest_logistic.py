"""Independent logistic functions, one for each class against the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError

from ._discriminant import LinearDiscriminant
from ._objectives import BinaryCrossEntropy, log1p_exp_neg
from ._solvers import Solution


class OneVsRestLogistic(LinearDiscriminant):
    r"""Linear classifier of two or more classes with an independent logistic function for each.

    .. math::
        p_k(x) = \frac{1}{1 + e^{-(w_k^\top x + b_k)}}, \qquad
        \min_{w_k, b_k} -\sum_i v_i \log\big(p_k^{[y_i = k]} (1 - p_k)^{[y_i \ne k]}\big) + \frac{1}{2C} w_k^\top w_k
        \quad \text{for each } k

    No class sees the weights of another, so the fits are small and independent; a softmax couples them through its
    denominator. The biases are not penalized.

    Parameters
    ----------
    penalty : {"l2", None}, default="l2"
        Squared norm of the weights, or none.
    C : float, > 0, default=1.0
        Inverse strength of the penalty, relative to the *sum* of the losses; ``inf`` switches it off.
    tol : float, > 0, default=1e-4
        The largest gradient entry of the mean objective at the end; the Newton solvers further bring the estimated
        distance to the minimum below ``tol**2``.
    fit_intercept : bool, default=True
        Whether the scores have biases.
    class_weight : dict, "balanced" or None, default=None
        Factors of the row weights by the class of the row, the same in all fits; "balanced" is :math:`n / (K n_k)`.
    solver : {"auto", "newton", "newton-cg", "lbfgs"}, default="auto"
        As in :class:`LogisticRegression`.
    max_iter : int, >= 1, default=100
        Largest number of steps of one fit.
    warm_start : bool, default=False
        Begin at the weights of the last fit instead of zero.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
    intercept_ : ndarray of shape (n_classes,) or (1,)
    n_iter_ : ndarray of shape (1,)
        Steps of the longest fit.
    kkt_residual_ : float
        Largest absolute entry of the gradients of the mean objectives at the end.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    Two classes need one function only: its complement is the other, and the model equals :class:`LogisticRegression`. The
    probabilities of more are the functions over their sum; they rank classes well but are not those of a joint model.

    References
    ----------
    Rifkin & Klautau (2004), In defense of one-vs-all classification. Spec ``01#independent-logistics``.
    """

    def _check_classes(self, classes: np.ndarray) -> None:
        if len(classes) < 2:
            raise DataError(
                f"OneVsRestLogistic needs two classes or more; y holds one class, {classes[0].item()!r}. "
                "Give rows of the others."
            )

    def _unknowns(self, n_features: int) -> tuple[int, int]:
        count = len(self.classes_)
        return 1 if count == 2 else count, n_features + bool(self.fit_intercept)

    def _objective(self, X: Any, codes: np.ndarray, weight: np.ndarray | None, strength: float) -> BinaryCrossEntropy:
        return BinaryCrossEntropy(X, 2.0 * codes - 1.0, weight, strength, bool(self.fit_intercept))

    def _n_codes(self) -> int:
        return 2

    def _minimize(
        self,
        X: Any,
        codes: np.ndarray,
        weight: np.ndarray | None,
        strength: float,
        start: np.ndarray,
        tol: float,
        max_iter: int,
        warm: bool,
    ) -> Solution:
        rows, _ = self._unknowns(X.shape[1])
        parts = []
        for k, begin in enumerate(start.reshape(rows, -1)):
            mine = (codes == (1 if rows == 1 else k)).astype(np.intp)
            parts.append(super()._minimize(X, mine, weight, strength, begin, tol, max_iter, warm))
        return Solution(
            np.concatenate([p.theta for p in parts]),
            sum(p.value for p in parts),
            np.concatenate([p.gradient for p in parts]),
            max(p.n_iter for p in parts),
            next((p.reason for p in parts if p.reason), ""),
        )

    def _logits(self, scores: np.ndarray) -> np.ndarray:
        return -log1p_exp_neg(scores)[0]
