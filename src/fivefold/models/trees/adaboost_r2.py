"""AdaBoost.R2 (Drucker 1997): boosting of regressors by their relative absolute errors; the weighted median answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from fivefold.base.checks import choice, whole
from fivefold.base.errors import DataError
from fivefold.base.estimator import require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data, sample_weights

from ._boosting import Boosted
from .cart import DecisionTreeRegressor


def weighted_median(answers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return, for every row, the smallest answer below or at which half of the weight lies: answers (n, T) -> (n,)."""
    order = np.argsort(answers, axis=1, kind="stable")
    reached = np.cumsum(weights[order], axis=1)
    at = (reached >= 0.5 * reached[:, -1:]).argmax(axis=1)
    rows = np.arange(len(answers))
    return answers[rows, order[rows, at]]


class AdaBoostRegressor(RegressorMixin, Boosted):
    r"""Weighted median of regressors, each trained with more weight where its predecessors were far off.

    .. math:: E_t = \max_i |y_i - h_t(x_i)|, \quad e_i = \frac{|y_i - h_t(x_i)|}{E_t}, \quad \varepsilon_t = \sum_i u_i e_i,
              \quad \beta_t = \frac{\varepsilon_t}{1 - \varepsilon_t}, \quad u_i \leftarrow \frac{u_i \beta_t^{1 - e_i}}{Z_t}

    Parameters
    ----------
    estimator : regressor, optional
        What is boosted. Default: a tree of depth 3.
    n_estimators : int >= 1, default 50
        Most members; fewer when one is perfect or its mean relative error reaches one half.
    learning_rate : float > 0, default 1
        Factor on the exponents of β and so on the weights of the members.
    loss : {"linear", "square", "exponential"}, default "linear"
        Relative error e, e² or 1 - exp(-e).
    resample : bool, default True
        Draw the rows of each member by their weights, as Drucker does; otherwise weigh its loss.
    random_state : int, Generator or None

    Attributes
    ----------
    estimators_ : list of T fitted members
    estimator_weights_ : array (T,), ln(1 / β)
    estimator_errors_ : array (T,), the ε
    feature_importances_ : array (d,), those of the members, weighted

    Raises
    ------
    DataError
        Unequal lengths, or a first member whose ε is at least one half.
    InputError
        A parameter outside its range, or an ``estimator`` that cannot weigh.

    Notes
    -----
    The source calls this AdaBoost.R, sums ln(1 / α) h, which is no average, writes ε for e in the exponent and has no
    stopping rule. Here the weighted median answers and ε >= ½ ends the boosting. A member that meets all
    targets, to rounding, stays alone.

    References
    ----------
    Drucker, Improving Regressors using Boosting Techniques, 1997; ``01#adaboost-r``.

    Examples
    --------
    >>> boosted = AdaBoostRegressor(random_state=0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 9.0])
    >>> boosted.predict([[0.0]]).shape
    (1,)
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_estimators: int = 50,
        learning_rate: float = 1.0,
        loss: str = "linear",
        resample: bool = True,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.loss = loss
        self.resample = resample
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the members one after the other on X (n, d) and targets y (n,), with optional weights (n,) >= 0."""
        choice("loss", self.loss, ("linear", "square", "exponential"))
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan", y_numeric=True)
        weight = sample_weights(sample_weight, len(X))
        y = y.astype(np.float64)
        base = DecisionTreeRegressor(max_depth=3) if self.estimator is None else self.estimator
        count, rate = whole("n_estimators", self.n_estimators, low=1), self._rate()
        self._can_weigh(base)
        streams = Streams.of(self.random_state)
        u = np.ones(len(X)) if weight is None else weight.copy()
        u /= u.sum()
        counted = u > 0
        met = 8 * np.finfo(np.float64).eps * np.abs(y).max()  # what rounding leaves of a target that is met
        self.estimators_, votes, errors = [], [], []
        for t in range(count):
            member = self._fit_member(base, X, y, u, streams, t)
            off = np.where(counted, np.abs(np.asarray(member.predict(X)) - y), 0.0)
            largest = off.max()
            if largest <= met:
                self.estimators_, votes, errors = [member], [1.0], [0.0]
                break
            relative = off / largest
            if self.loss == "square":
                relative = relative**2
            elif self.loss == "exponential":
                relative = 1 - np.exp(-relative)
            error = float(u @ relative)
            if error >= 0.5:
                if t == 0:
                    raise DataError(
                        f"The first {type(base).__name__} has the mean relative error {error:.3g}, not below 0.5; "
                        "give a stronger `estimator`."
                    )
                break
            beta = error / (1 - error)
            self.estimators_.append(member)
            votes.append(rate * np.log(1 / beta))
            errors.append(error)
            u *= beta ** (rate * (1 - relative))
            u /= u.sum()
        self.estimator_weights_, self.estimator_errors_ = np.array(votes), np.array(errors)
        return self

    def _answers(self, X: Any) -> np.ndarray:
        require_fitted(self, "estimators_")
        X = checked_data(self, X, reset=False, ensure_all_finite="allow-nan")
        return np.column_stack([member.predict(X) for member in self.estimators_])

    def predict(self, X: Any) -> np.ndarray:
        """Return the weighted median of the members: X (n, d) -> (n,)."""
        return weighted_median(self._answers(X), self.estimator_weights_)

    def staged_predict(self, X: Any) -> Iterator[np.ndarray]:
        """Yield the weighted median after each member."""
        answers = self._answers(X)
        for t in range(1, answers.shape[1] + 1):
            yield weighted_median(answers[:, :t], self.estimator_weights_[:t])
