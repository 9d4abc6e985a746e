"""What logistic and softmax regression share: parameters, checks, the choice of a solver and the path to the minimum."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator
from fivefold.data.validation import checked_data, class_weights, encode_labels, sample_weights

from ._classifier import CrossEntropyClassifier
from ._solvers import Objective, Solution, lbfgs, newton, newton_cg
from ._validation import query_data

SOLVERS = ("auto", "newton", "newton-cg", "lbfgs")
# Up to this many unknowns a Hessian is cheaper to form and factor than to multiply with again and again.
_DENSE_LIMIT = 512
# From this many rows on, the path starts on a part of them.
_LARGE = 40_000
# Above this number of multiplications a Hessian costs more than the steps that an old one makes worse.
_DEAR = 2e8


class LinearDiscriminant(CrossEntropyClassifier, Estimator):
    """Base of the classifiers that minimize a penalized mean cross-entropy of linear scores."""

    def __init__(
        self,
        *,
        penalty: str | None = "l2",
        C: float = 1.0,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        class_weight: Any = None,
        solver: str = "auto",
        max_iter: int = 100,
        warm_start: bool = False,
    ) -> None:
        self.penalty = penalty
        self.C = C
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.max_iter = max_iter
        self.warm_start = warm_start

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _objective(self, X: Any, codes: np.ndarray, weight: np.ndarray | None, strength: float) -> Objective:
        raise NotImplementedError

    def _check_classes(self, classes: np.ndarray) -> None:
        raise NotImplementedError

    def _settle(self, theta: np.ndarray) -> np.ndarray:
        """Return the solution among those that give equal probabilities."""
        return theta

    def _unknowns(self, n_features: int) -> tuple[int, int]:
        """Return the shape of the unknowns: score rows, and columns with the intercept."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit the weights.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Features; float32 stays float32, sums are formed in float64.
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the rows; 1 each when not given.

        Returns
        -------
        self

        Raises
        ------
        DataError
            When X or y cannot be used: NaN, infinity, wrong shapes, a continuous target, fewer than two classes.
        InputError
            When a parameter lies outside its range.
        """
        choice("penalty", self.penalty, ("l2", None))
        choice("solver", self.solver, SOLVERS)
        C = real("C", self.C, low=0.0, above=True, finite=False)
        tol = real("tol", self.tol, low=0.0, above=True)
        max_iter = whole("max_iter", self.max_iter, low=1)
        before = (getattr(self, "classes_", None), getattr(self, "coef_", None), getattr(self, "intercept_", None))
        X, y = checked_data(self, X, y, accept_sparse="csr", accept_large_sparse=True)
        weight = sample_weights(sample_weight, X.shape[0])
        classes, codes = encode_labels(y)
        self._check_classes(classes)
        mass = np.bincount(codes, weights=weight, minlength=len(classes))
        if np.count_nonzero(mass) < 2:
            raise DataError(
                f"{type(self).__name__} needs two classes with weight; only the class "
                f"{classes[np.flatnonzero(mass)[0]].item()!r} has any."
            )
        if self.class_weight is not None:
            factor = class_weights(self.class_weight, classes, codes, weight)[codes]
            weight = factor if weight is None else weight * factor
            if not weight.any():
                raise DataError(
                    "`class_weight` and `sample_weight` together are zero everywhere; no row has any weight."
                )
        self.classes_ = classes
        total = float(X.shape[0] if weight is None else weight.sum())
        strength = 0.0 if self.penalty is None else 1.0 / (C * total)

        rows, columns = self._unknowns(X.shape[1])
        theta = np.zeros((rows, columns))
        warm = self.warm_start and before[1] is not None and np.array_equal(before[0], classes)
        if warm and before[1].shape == (rows, X.shape[1]):
            theta[:, : X.shape[1]] = before[1]
            if self.fit_intercept:
                theta[:, -1] = before[2]
        solution = self._minimize(X, codes, weight, strength, theta.ravel(), tol, max_iter, warm)
        if solution.reason:
            warnings.warn(
                f"{type(self).__name__} did not reach tol={self.tol}: {solution.reason}; the largest gradient entry is "
                f"{np.abs(solution.gradient).max():.2e}. Raise `max_iter`, scale the features or penalize more.",
                ConvergenceWarning,
                stacklevel=2,  # any value: where the warning points
            )
        theta = self._settle(solution.theta.reshape(rows, columns)).astype(X.dtype, copy=False)
        self.coef_ = np.ascontiguousarray(theta[:, : X.shape[1]])
        self.intercept_ = theta[:, -1].copy() if self.fit_intercept else np.zeros(rows, dtype=X.dtype)
        self.n_iter_ = np.array([max(1, solution.n_iter)])
        self.kkt_residual_ = float(np.abs(solution.gradient).max())
        return self

    def _n_codes(self) -> int:
        """Return how many codes one minimization tells apart."""
        return len(self.classes_)

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
        n_samples, n_unknowns = X.shape[0], start.size
        solver = self.solver
        if solver == "auto":
            solver = "newton" if n_unknowns <= _DENSE_LIMIT else "newton-cg"  # any value: cost alone
        if solver != "newton":
            wide = X if sp.issparse(X) or X.dtype == np.float64 else X.astype(np.float64)  # any value: cost alone
            run: Callable[..., Solution] = newton_cg if solver == "newton-cg" else lbfgs
            return run(self._objective(wide, codes, weight, strength), start, tol=tol, max_iter=max_iter)
        factor = None
        dear = n_samples * n_unknowns**2 > _DEAR  # any value: cost alone
        stride = n_samples // max(_LARGE // 2, 50 * n_unknowns)  # any value: size of the part
        # The minimum over every stride-th row lies within the sampling error p / n of that over all rows. From there, and
        # with the Hessian of a part, Newton needs two or three passes over the whole.
        for step in (stride, stride // 5) if not warm and n_samples >= _LARGE else ():  # any value: size of the part
            part = slice(None, None, max(step, 1))  # any value: size of the part
            mass = None if weight is None else weight[part]
            if step < 4:  # any value: how small a part pays, cost alone
                continue
            present = codes[part] if mass is None else codes[part][mass > 0]
            if len(np.unique(present)) < self._n_codes():
                continue
            few = self._objective(X[part], codes[part], mass, strength)
            gap = 0.1 * n_unknowns * step / n_samples  # any value: below the sampling error
            again = dear and factor is not None  # any value: cost alone
            rough = newton(few, start, tol=np.inf, max_iter=max_iter, gap=gap, keep=again)
            start, factor = rough.theta, rough.factor
        objective = self._objective(X, codes, weight, strength)
        return newton(objective, start, tol=tol, max_iter=max_iter, factor=factor, keep=dear)

    def _scores(self, X: Any) -> np.ndarray:
        X = query_data(self, X, "coef_", accept_sparse="csr")
        return np.asarray(X @ self.coef_.T + self.intercept_)  # (n, rows)
