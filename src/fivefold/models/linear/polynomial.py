"""Polynomial regression."""

from __future__ import annotations

from itertools import combinations, combinations_with_replacement
from math import comb
from typing import Any, Self

import numpy as np

from fivefold.base.checks import whole
from fivefold.base.errors import InputError
from fivefold.data.validation import checked_data, sample_weights

from ._least_squares import Problem, solve
from ._validation import query_data
from .linear_regression import LinearRegressor

# Most numbers in the table of products: 2 GiB of float64.
_LIMIT = 1 << 28


class PolynomialRegression(LinearRegressor):
    r"""Least squares on all products of features up to a degree.

    .. math:: f(x) = b + \sum_{0 < |p| \le k} w_p \prod_j x_j^{p_j}, \qquad \min_{w, b} \sum_i v_i (y_i - f(x_i))^2

    It is linear in the weights, so the squared error stays convex. The training error does not grow with the degree.

    Parameters
    ----------
    degree : int, >= 1, default=2
        The largest sum k of exponents.
    interaction_only : bool, default=False
        Leave out powers of a feature above the first.
    fit_intercept : bool, default=True

    Attributes
    ----------
    powers_ : ndarray of shape (n_terms, n_features)
        Exponents, lower degrees first, in the order of scikit-learn's ``PolynomialFeatures``.
    coef_ : ndarray of shape (n_terms,) or (n_targets, n_terms)
    intercept_ : float or ndarray of shape (n_targets,)

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    A source calls a model of several degrees non-linear with local optima; it is linear in its weights and has none. Where
    terms outnumber rows or depend on each other, the weights of least norm are taken.

    References
    ----------
    Gergonne (1815), The application of the method of least squares to the interpolation of sequences. Spec
    ``05#polynomial-regression``.
    """

    def __init__(self, degree: int = 2, *, interaction_only: bool = False, fit_intercept: bool = True) -> None:
        self.degree = degree
        self.interaction_only = interaction_only
        self.fit_intercept = fit_intercept

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the weights of all products.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the squared errors.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used, or the products do not fit into memory.
        """
        degree = whole("degree", self.degree, low=1)
        X, y = checked_data(self, X, y, multi_output=True, y_numeric=True)
        weight = sample_weights(sample_weight, len(X))
        d = X.shape[1]
        terms = sum(comb(d, k) for k in range(1, degree + 1)) if self.interaction_only else comb(d + degree, degree) - 1
        if terms * len(X) > _LIMIT:
            raise InputError(
                f"degree={degree} makes {terms} products of {d} features, too many for {len(X)} rows; lower `degree` or "
                "drop features."
            )
        pick = combinations if self.interaction_only else combinations_with_replacement
        chosen = [c for k in range(1, degree + 1) for c in pick(range(d), k)]
        powers = np.zeros((terms, d), dtype=np.int64)
        np.add.at(powers, (np.repeat(np.arange(terms), [len(c) for c in chosen]), np.concatenate(chosen)), 1)
        self.powers_ = powers
        Y = np.asarray(y, dtype=np.float64)
        flat = Y.ndim == 1
        Z = self._products(X)
        problem = Problem.of(
            Z, Y[:, None] if flat else Y, weight, np.zeros(1 if flat else Y.shape[1]), bool(self.fit_intercept)
        )
        coef, _ = solve(problem, "svd")
        self._store(Z, coef, problem.intercept(coef), flat)
        return self

    def _products(self, X: np.ndarray) -> np.ndarray:
        """Return the products (n, n_terms) in float64."""
        X = X.astype(np.float64, copy=False)
        out = np.ones((len(X), len(self.powers_)))
        for j in range(X.shape[1]):
            out *= X[:, j, None] ** self.powers_[:, j]
        return out

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        X = query_data(self, X, "coef_")
        return np.asarray(self._products(X) @ self.coef_.T + self.intercept_)
