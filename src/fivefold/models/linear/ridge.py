"""Ridge regression."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from fivefold.base.checks import choice
from fivefold.base.errors import InputError

from ._least_squares import Problem, solve
from .linear_regression import LinearRegressor


class Ridge(LinearRegressor):
    """Linear regressor that minimizes the squared error plus the squared norm of the weights.

    .. math::
        \\min_{w, b}\\; \\sum_i v_i (y_i - b - w^T x_i)^2 + \\alpha\\, w^T w, \\qquad
        w = (X^T X + \\alpha I)^{-1} X^T y

    The bias is not penalized: it only shifts the function. In the closed form X and y are centered by their means.

    Parameters
    ----------
    alpha : float or array of shape (n_targets,), >= 0, default=1.0
        Strength of the penalty, relative to the *sum* of the squared errors; zero gives least squares.
    fit_intercept : bool, default=True
        Whether the model has a bias b.
    solver : {"auto", "cholesky", "svd", "lsqr"}, default="auto"
        "cholesky" factors :math:`X^T X + \\alpha I`, or with fewer rows than features :math:`X X^T + \\alpha I`, and
        corrects the answer by its residual; "svd" decomposes X; "lsqr" only multiplies with X. "auto" takes the first and,
        where the matrix is close to singular, the second; the third for large sparse X.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    intercept_ : float or ndarray of shape (n_targets,)
    solver_ : str
        The solver that "auto" took.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    One source picks :math:`\\alpha` by the test error; it belongs to a validation set or cross-validation, since the error
    on data that chose a parameter is no longer that of unseen data.

    References
    ----------
    Hoerl & Kennard (1970), Ridge regression: biased estimation for nonorthogonal problems. Spec ``05#ridge-l2``,
    ``08#ridge``.
    """

    def __init__(self, alpha: Any = 1.0, *, fit_intercept: bool = True, solver: str = "auto") -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the weights.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Features; float32 stays float32, sums are formed in float64.
        y : array of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the squared errors; 1 each when not given.

        Returns
        -------
        self

        Raises
        ------
        DataError
            When X or y cannot be used, or solver="cholesky" meets a singular matrix.
        InputError
            When a parameter lies outside its range.
        """
        choice("solver", self.solver, ("auto", "cholesky", "svd", "lsqr"))
        X, Y, weight, flat = self._read(X, y, sample_weight)
        problem = Problem.of(X, Y, weight, self._strengths(Y.shape[1]), bool(self.fit_intercept))
        coef, self.solver_ = solve(problem, self.solver)
        self._store(X, coef, problem.intercept(coef), flat)
        return self

    def _strengths(self, n_targets: int) -> np.ndarray:
        try:
            alpha = np.asarray(self.alpha, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"`alpha` is {self.alpha!r}; give a number >= 0 or one for each target.") from error
        if not np.isfinite(alpha).all() or alpha.min(initial=0.0) < 0:
            raise InputError(f"`alpha` is {self.alpha!r}; give a number >= 0 or one for each target.")
        if alpha.shape not in ((), (1,), (n_targets,)):
            raise InputError(
                f"`alpha` has the shape {alpha.shape}; y has {n_targets} targets, give one number or {n_targets}."
            )
        return np.broadcast_to(alpha, (n_targets,))
