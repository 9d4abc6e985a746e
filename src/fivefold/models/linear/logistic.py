"""Binary logistic regression."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError

from ._discriminant import LinearDiscriminant
from ._objectives import BinaryCrossEntropy
from ._validation import label_text


class LogisticRegression(LinearDiscriminant):
    """Linear classifier of two classes that minimizes the penalized cross-entropy.

    .. math::
        p(x) = \\frac{1}{1 + e^{-(w^T x + b)}}, \\qquad
        \\min_{w, b}\\; -\\sum_i v_i [y_i \\log p(x_i) + (1 - y_i) \\log(1 - p(x_i))] + \\frac{1}{2C} w^T w

    The bias is not penalized. Maximum likelihood and minimum Kullback-Leibler divergence from the labels give this same
    objective; its gradient is :math:`\\sum_i v_i (p_i - y_i) x_i + w / C`.

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
        Whether the scores have a bias.
    class_weight : dict, "balanced" or None, default=None
        Factors of the row weights by class; "balanced" is :math:`n / (2 n_k)`.
    solver : {"auto", "newton", "newton-cg", "lbfgs"}, default="auto"
        "newton" forms and factors the Hessian, "newton-cg" only multiplies with it, "lbfgs" is SciPy's; "auto" takes
        "newton" up to 512 unknowns, else "newton-cg".
    max_iter : int, >= 1, default=100
        Largest number of steps.
    warm_start : bool, default=False
        Begin at the weights of the last fit instead of zero.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The labels, sorted; probabilities and the sign of scores follow this order.
    coef_ : ndarray of shape (1, n_features)
    intercept_ : ndarray of shape (1,)
    n_iter_ : ndarray of shape (1,)
        Steps over all rows.
    kkt_residual_ : float
        Largest absolute entry of the gradient of the mean objective at the end.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    Sources write the objective with the mean of the losses and a factor :math:`\\lambda/2`; then
    :math:`\\lambda = 1 / (C \\sum_i v_i)`. The cross-entropy of a distribution with itself is its entropy and zero only for
    certain labels; it is the divergence that vanishes.

    References
    ----------
    Cox (1958), The regression analysis of binary sequences. Spec ``01#logistic-regression``, ``05#logistic-regression``.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _check_classes(self, classes: np.ndarray) -> None:
        if len(classes) > 2:
            raise DataError(
                f"Only binary classification is supported. The target has {len(classes)} classes "
                f"({label_text(classes)}); take softmax-regression for more than two."
            )
        if len(classes) < 2:
            raise DataError(
                f"LogisticRegression needs two classes; y holds one class, {classes[0].item()!r}. Give rows of both."
            )

    def _unknowns(self, n_features: int) -> tuple[int, int]:
        return 1, n_features + bool(self.fit_intercept)

    def _objective(self, X: Any, codes: np.ndarray, weight: np.ndarray | None, strength: float) -> BinaryCrossEntropy:
        return BinaryCrossEntropy(X, 2.0 * codes - 1.0, weight, strength, bool(self.fit_intercept))
