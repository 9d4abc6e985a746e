"""The ranking support vector machine: a linear score whose order is that of the grades, by dual coordinate descent."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator
from fivefold.base.jit import njit
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data

from ._validation import query_data

# Epochs between two looks at the gap.
_EPOCHS = 5


@njit
def _sweep(X, first, second, norms, C, alpha, w, order):  # type: ignore[no-untyped-def]
    """Minimize the dual over the multiplier of one pair after the other, in place: alpha (p,), w (d,) = Σ α (x_i - x_j)."""
    for p in order:
        if norms[p] <= 0.0:
            alpha[p] = C
            continue
        better = X[first[p]]
        worse = X[second[p]]
        margin = 0.0
        for t in range(len(w)):
            margin += w[t] * (better[t] - worse[t])
        new = min(max(alpha[p] + (1.0 - margin) / norms[p], 0.0), C)
        change = new - alpha[p]
        if change != 0.0:
            alpha[p] = new
            for t in range(len(w)):
                w[t] += change * (better[t] - worse[t])


def ordered_pairs(y: np.ndarray, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (p,), (p,) of all pairs of one group in which the grade of the first is higher."""
    codes = np.zeros(len(y), dtype=np.intp) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    better, worse = [], []
    for group in range(codes.max() + 1):
        rows = np.flatnonzero(codes == group)
        high, low = np.nonzero(y[rows][:, None] > y[rows][None, :])
        better.append(rows[high])
        worse.append(rows[low])
    return np.concatenate(better), np.concatenate(worse)


class RankingSVM(RegressorMixin, Estimator):
    r"""Linear score that puts the rows of a group into the order of their grades, by a margin.

    .. math::
        \min_w \tfrac12 \lVert w \rVert^2 + C \sum_{y_i > y_j} \max(0, 1 - w^\top (x_i - x_j))

    The sum runs over the pairs within a group (the results of one query). There is no bias: it cancels in the differences.

    Parameters
    ----------
    C : float, > 0, default=1.0
        Price of a unit of slack of a pair.
    tol : float, > 0, default=1e-3
        Largest duality gap at the end, relative to the primal objective.
    max_iter : int, >= 1, default=10000
        Most passes over the pairs.
    random_state : int, Streams or None, default=0
        Order of the pairs in each pass.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
    n_pairs_ : int
    objective_ : float
        Value of the primal objective.
    dual_gap_ : float
        Bound on how far it lies above the minimum, as a share of it.
    n_iter_ : int

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used, such as grades that are all equal.

    Notes
    -----
    The scores have no scale of their own: judge them by the order, with Kendall's tau or a ranking metric. Pairs grow with the
    square of the rows of a group. A misordered pair costs a slack above one, so the sum bounds the number of such pairs.

    References
    ----------
    Joachims (2002), Optimizing search engines using clickthrough data. Spec ``05#ranking-svm``.
    """

    def __init__(self, C: float = 1.0, *, tol: float = 1e-3, max_iter: int = 10_000, random_state: Any = 0) -> None:
        self.C = C
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit the weights.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Grades; the higher, the further ahead.
        groups : array of shape (n_samples,), optional
            Only rows of equal group are compared; all are of one when not given.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y, groups or a parameter cannot be used.
        """
        C = real("C", self.C, low=0.0, above=True)
        tol = real("tol", self.tol, low=0.0, above=True)
        limit = whole("max_iter", self.max_iter, low=1)
        X, y = checked_data(self, X, y, y_numeric=True, ensure_min_samples=2)
        X = np.ascontiguousarray(X, dtype=np.float64)
        if groups is not None:
            groups = np.asarray(groups)
            if groups.shape != (len(y),):
                raise DataError(f"`groups` has the shape {groups.shape}, X has {len(y)} rows; give one group a row.")
        first, second = ordered_pairs(np.asarray(y), groups)
        if not len(first):
            raise DataError("No group holds two grades, so there is nothing to rank; give rows whose y differs.")
        norms = np.square(X[first] - X[second]).sum(axis=1)
        alpha, w, done, streams = np.zeros(len(first)), np.zeros(X.shape[1]), 0, Streams.of(self.random_state)
        while True:
            scores = X @ w
            slack = np.maximum(0.0, 1.0 - (scores[first] - scores[second]))
            square = float(w @ w)
            value = 0.5 * square + C * float(slack.sum())
            gap = max(value + 0.5 * square - float(alpha.sum()), 0.0)
            if gap <= tol * value or done >= limit:
                break
            for _ in range(min(_EPOCHS, limit - done)):
                order = streams.numpy("order", done).permutation(len(first))
                _sweep(X, first, second, norms, C, alpha, w, order)
                done += 1
        self.objective_, self.dual_gap_ = value, gap / value
        if gap > tol * value:
            warnings.warn(
                f"RankingSVM did not reach tol={self.tol}: after max_iter={self.max_iter} passes the duality gap is "
                f"{self.dual_gap_:.2e} of the objective. Raise `max_iter` or `tol`, scale the features or lower `C`.",
                ConvergenceWarning,
                stacklevel=2,  # any value: where the warning points
            )
        self.n_pairs_, self.n_iter_ = len(first), max(1, done)
        self.coef_ = w
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the scores :math:`w^T x`; the larger, the further ahead.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        return np.asarray(query_data(self, X, "coef_") @ self.coef_)
