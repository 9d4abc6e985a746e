"""Linear regression by least squares, in closed form or by gradient descent."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError, TrainingError
from fivefold.base.estimator import Estimator
from fivefold.data.validation import checked_data, sample_weights

from ._blocks import scaled_gram
from ._least_squares import Problem, solve
from ._validation import query_data


class LinearRegressor(MultiOutputMixin, RegressorMixin, Estimator):
    """Base of the regressors whose prediction is a weighted sum of the features."""

    coef_: np.ndarray
    intercept_: Any

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _read(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, np.ndarray, np.ndarray | None, bool]:
        """Return X, Y (n, t) in float64, the weights and whether y was a vector."""
        X, y = checked_data(self, X, y, accept_sparse="csr", multi_output=True, y_numeric=True)
        weight = sample_weights(sample_weight, X.shape[0])
        Y = np.asarray(y, dtype=np.float64)
        flat = Y.ndim == 1
        return X, Y[:, None] if flat else Y, weight, flat

    def _store(self, X: Any, coef: np.ndarray, intercept: np.ndarray, flat: bool) -> None:
        coef = coef.astype(X.dtype, copy=False)
        intercept = intercept.astype(X.dtype, copy=False)
        self.coef_ = np.ascontiguousarray(coef[0] if flat else coef)
        self.intercept_ = intercept[0] if flat else intercept.copy()

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values ``X @ coef_.T + intercept_``.

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
        X = query_data(self, X, "coef_", accept_sparse="csr")
        return np.asarray(X @ self.coef_.T + self.intercept_)


class LinearRegression(LinearRegressor):
    """Linear regressor that minimizes the squared error.

    .. math::
        \\min_{w, b}\\; \\sum_i v_i (y_i - b - w^T x_i)^2

    Where several weights do, as with fewer rows than features, it takes those of least norm.

    Parameters
    ----------
    fit_intercept : bool, default=True
        Whether the model has a bias b.
    solver : {"closed-form", "gradient-descent"}, default="closed-form"
        The closed form factors the normal equations and corrects the answer by its residual; near a singular matrix it
        takes the singular value decomposition. Gradient descent repeats
        :math:`(w, b) \\leftarrow (w, b) - \\eta \\nabla L(w, b)`, all coordinates at once and with the same step.
    learning_rate : float > 0 or None, default=None
        Step :math:`\\eta` of gradient descent; None takes the inverse of the largest curvature, with which the loss
        falls at every step. At twice that and above it diverges.
    reduction : {"mean", "sum"}, default="mean"
        Whether gradient descent works on the mean of the squared errors over the rows or on their sum; this changes the
        meaning of ``learning_rate`` only.
    max_iter : int, >= 1, default=100000
        Largest number of steps of gradient descent.
    tol : float, > 0, default=1e-10
        Gradient descent ends when the largest gradient entry is at most ``tol`` times the largest at zero weights.
    warm_start : bool, default=False
        Begin gradient descent at the weights of the last fit.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    intercept_ : float or ndarray of shape (n_targets,)
        Zero without an intercept.
    n_iter_ : int
        Steps of gradient descent; 1 for the closed form.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.
    TrainingError
        When gradient descent diverges because ``learning_rate`` is too large.

    Notes
    -----
    One source calls the sum over the examples the loss, another the average; they have the same minimum, and ``reduction``
    tells which of them a step of gradient descent follows.

    References
    ----------
    Gauss (1809), Theoria motus. Spec ``05#linear-regression``.
    """

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        solver: str = "closed-form",
        learning_rate: float | None = None,
        reduction: str = "mean",
        max_iter: int = 100_000,
        tol: float = 1e-10,
        warm_start: bool = False,
    ) -> None:
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.learning_rate = learning_rate
        self.reduction = reduction
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        coef_init: Any = None,
        intercept_init: Any = None,
    ) -> Self:
        """Fit the weights.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Features; float32 stays float32, sums are formed in float64.
        y : array of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the squared errors; 1 each when not given.
        coef_init : array of the shape of ``coef_``, optional
            Where gradient descent begins; zero when not given.
        intercept_init : float or array of the shape of ``intercept_``, optional
            Where gradient descent begins; zero when not given.

        Returns
        -------
        self

        Raises
        ------
        DataError
            When X or y cannot be used: NaN, infinity, wrong shapes.
        InputError
            When a parameter lies outside its range.
        TrainingError
            When gradient descent diverges.
        """
        choice("solver", self.solver, ("closed-form", "gradient-descent"))
        choice("reduction", self.reduction, ("mean", "sum"))
        max_iter = whole("max_iter", self.max_iter, low=1)
        tol = real("tol", self.tol, low=0.0, above=True)
        if self.learning_rate is not None:
            real("learning_rate", self.learning_rate, low=0.0, above=True)
        starts = (coef_init, intercept_init)
        if self.solver == "closed-form" and any(part is not None for part in starts):
            raise InputError(
                "`coef_init` and `intercept_init` are for solver='gradient-descent'; the closed form has no start."
            )
        if self.warm_start and starts == (None, None):
            starts = (getattr(self, "coef_", None), getattr(self, "intercept_", None))
        X, Y, weight, flat = self._read(X, y, sample_weight)
        if self.solver == "closed-form":
            problem = Problem.of(X, Y, weight, np.zeros(Y.shape[1]), bool(self.fit_intercept))
            coef, _ = solve(problem, "auto")
            intercept = problem.intercept(coef)
            self.n_iter_ = 1
        else:
            coef, intercept = self._descend(X, Y, weight, starts, max_iter, tol)
        self._store(X, coef, intercept, flat)
        return self

    def _descend(
        self, X: Any, Y: np.ndarray, weight: np.ndarray | None, starts: tuple[Any, Any], max_iter: int, tol: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Repeat ``theta <- theta - eta * gradient`` on the moments of the data, which hold all that the loss needs."""
        n, d = X.shape
        v = np.ones(n) if weight is None else weight
        if self.reduction == "mean":
            v = v / v.sum()
        gram = 2.0 * scaled_gram(X, v, bool(self.fit_intercept))  # Hessian of the loss, (p, p)
        right = 2.0 * (X.T @ (v[:, None] * Y))  # (d, t)
        if self.fit_intercept:
            right = np.vstack([right, 2.0 * (v @ Y)])
        theta = np.zeros_like(right)
        for rows, part, name in ((slice(0, d), starts[0], "coef_init"), (slice(d, None), starts[1], "intercept_init")):
            if part is not None and theta[rows].size:
                given = np.asarray(part, dtype=np.float64)
                if given.size != theta[rows].size:
                    raise DataError(
                        f"`{name}` has the shape {given.shape}; {Y.shape[1]} targets and {d} features need "
                        f"{theta[rows].size} numbers."
                    )
                theta[rows] = given.reshape(theta[rows].shape[::-1]).T
        largest = float(np.linalg.eigvalsh(gram)[-1])
        eta = self.learning_rate
        if eta is None:
            eta = 1.0 / max(largest, np.finfo(np.float64).tiny)
        goal = tol * np.abs(right).max()
        ceiling = 1e12 * max(1.0, np.abs(gram @ theta - right).max(initial=0.0))  # any value: above any start
        self.n_iter_ = 0
        while True:
            gradient = gram @ theta - right
            steepest = np.abs(gradient).max(initial=0.0)
            if steepest <= goal:
                break
            if self.n_iter_ == max_iter:
                warnings.warn(
                    f"Gradient descent ended after max_iter={max_iter} steps with a gradient entry of {steepest:.2e}, above "
                    f"{goal:.2e}; scale the features, raise `max_iter` or take solver='closed-form'.",
                    ConvergenceWarning,
                    stacklevel=3,  # any value: where the warning points
                )
                break
            if not steepest < ceiling:
                raise TrainingError(
                    f"Gradient descent diverges: learning_rate={eta:g} is above {2 / largest:g}, twice the inverse of the "
                    "largest curvature; give a smaller one, or None to have it chosen."
                )
            theta = theta - eta * gradient
            self.n_iter_ += 1
        return theta[:d].T, theta[d] if self.fit_intercept else np.zeros(Y.shape[1])
