"""Multinomial logistic (softmax) regression."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError

from ._discriminant import LinearDiscriminant
from ._objectives import SoftmaxCrossEntropy


class SoftmaxRegression(LinearDiscriminant):
    """Linear classifier of two or more classes that minimizes the penalized cross-entropy of a softmax.

    .. math::
        q_k(x) = \\frac{e^{w_k^T x + b_k}}{\\sum_j e^{w_j^T x + b_j}}, \\qquad
        \\min_{W, b}\\; -\\sum_i v_i \\log q_{y_i}(x_i) + \\frac{1}{2C} \\sum_k w_k^T w_k

    Every class has weights of its own, and the biases are not penalized. The gradient is
    :math:`\\partial / \\partial w_k = \\sum_i v_i (q_k(x_i) - [y_i = k]) x_i + w_k / C` for *all* k: a row pulls at the
    weights of the classes it does not belong to as well, through the common denominator.

    Parameters
    ----------
    penalty : {"l2", None}, default="l2"
        Squared norm of all weights, or none; without it, the solution whose weights sum to zero over the classes.
    C : float, > 0, default=1.0
        Inverse strength of the penalty, relative to the *sum* of the losses; ``inf`` switches it off.
    tol : float, > 0, default=1e-4
        The largest gradient entry of the mean objective at the end; the Newton solvers further bring the estimated
        distance to the minimum below ``tol**2``.
    fit_intercept : bool, default=True
        Whether the scores have biases; they sum to zero over the classes.
    class_weight : dict, "balanced" or None, default=None
        Factors of the row weights by class; "balanced" is :math:`n / (K n_k)`.
    solver : {"auto", "newton", "newton-cg", "lbfgs"}, default="auto"
        "newton" forms and factors the Hessian, "newton-cg" only multiplies with it, "lbfgs" is SciPy's; "auto" takes
        "newton" up to 512 unknowns, else "newton-cg".
    max_iter : int, >= 1, default=100
        Largest number of steps.
    warm_start : bool, default=False
        Begin at the weights of the last fit instead of zero.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    coef_ : ndarray of shape (n_classes, n_features)
    intercept_ : ndarray of shape (n_classes,)
    n_iter_ : ndarray of shape (1,)
    kkt_residual_ : float
        Largest absolute entry of the gradient of the mean objective at the end.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    Two classes give two rows of weights, each the other's negative; the model equals :class:`LogisticRegression` with twice
    the ``C``. One source keeps only :math:`\\partial q_k / \\partial z_k` in the chain rule and finds no gradient for the
    classes a row does not belong to; with :math:`\\partial q_y / \\partial z_k = -q_y q_k` it is :math:`q_k x`, as here.

    References
    ----------
    Theil (1969), A multinomial extension of the linear logit model. Spec ``01#softmax-regression``,
    ``05#softmax-regression``.
    """

    def _check_classes(self, classes: np.ndarray) -> None:
        if len(classes) < 2:
            raise DataError(
                f"SoftmaxRegression needs two classes or more; y holds one class, {classes[0].item()!r}. "
                "Give rows of the others."
            )

    def _unknowns(self, n_features: int) -> tuple[int, int]:
        return len(self.classes_), n_features + bool(self.fit_intercept)

    def _settle(self, theta: np.ndarray) -> np.ndarray:
        # A vector added to all classes changes no probability; of these, the sum of zero has the least norm.
        return theta - theta.mean(axis=0)

    def _objective(self, X: Any, codes: np.ndarray, weight: np.ndarray | None, strength: float) -> SoftmaxCrossEntropy:
        return SoftmaxCrossEntropy(X, codes, len(self.classes_), weight, strength, bool(self.fit_intercept))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores :math:`w_k^T x + b_k`.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            For two classes the score of the second minus that of the first.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores
