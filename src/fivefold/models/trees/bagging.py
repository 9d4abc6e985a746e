"""Bagging (Breiman 1996): copies of one learner, each trained on a bootstrap of the rows, averaged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from fivefold.base.checks import whole
from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._grove import sample_size, thread_count
from ._members import class_shares, fresh
from ._tree import feature_count
from .cart import DecisionTreeClassifier, DecisionTreeRegressor
from .oob import OutOfBag


class _Bagging(Estimator):
    """What the two share: drawing rows and columns, fitting members, out-of-bag answers."""

    _expected_failed_checks: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "a bootstrap of repeated rows draws other rows than one of weights",
    }

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 10,
        *,
        max_samples: int | float | None = 1.0,
        max_features: int | float = 1.0,
        bootstrap: bool = True,
        bootstrap_features: bool = False,
        oob_score: bool = False,
        n_jobs: int | None = 1,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.bootstrap_features = bootstrap_features
        self.oob_score = oob_score
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _fit_members(self, base: Any, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> None:
        n, d = X.shape
        if self.oob_score and not self.bootstrap and sample_size(self.max_samples, n) == n:
            raise InputError(
                "`oob_score` is True, but without bootstrap every member sees all rows; set bootstrap=True."
            )
        count, threads = whole("n_estimators", self.n_estimators, low=1), thread_count(self.n_jobs)
        kept = np.arange(n) if weight is None else np.flatnonzero(weight > 0)
        chances = None if weight is None else weight[kept] / weight[kept].sum()
        size, width = sample_size(self.max_samples, len(kept)), feature_count(self.max_features, d)
        streams = Streams.of(self.random_state)
        self.estimators_samples_ = [
            kept[streams.numpy("rows", t).choice(len(kept), size, replace=bool(self.bootstrap), p=chances)]
            for t in range(count)
        ]
        self.estimators_features_ = [
            np.arange(d)
            if width == d and not self.bootstrap_features
            else streams.numpy("columns", t).choice(d, width, replace=bool(self.bootstrap_features))
            for t in range(count)
        ]

        def one(t: int) -> Any:
            rows, columns = self.estimators_samples_[t], self.estimators_features_[t]
            return fresh(base, streams, t).fit(X[rows][:, columns], y[rows])

        if threads == 1:  # any value: trees do not depend on threads; a pool of one would only cost
            self.estimators_ = [one(t) for t in range(count)]
        else:
            with ThreadPoolExecutor(threads) as pool:
                self.estimators_ = list(pool.map(one, range(count)))

    def _out_of_bag(self, X: np.ndarray, classes: np.ndarray | None) -> OutOfBag:
        bag = OutOfBag(len(X), classes)
        for member, rows, columns in zip(
            self.estimators_, self.estimators_samples_, self.estimators_features_, strict=True
        ):
            drawn = np.zeros(len(X), dtype=bool)
            drawn[rows] = True
            bag.add(self._answer(member, X[:, columns]), drawn)
        return bag

    def _mean(self, X: Any) -> np.ndarray:
        """Return the mean answer of the members."""
        require_fitted(self, "estimators_")
        X = checked_data(self, X, reset=False, ensure_all_finite="allow-nan")
        total = sum(
            self._answer(member, X[:, columns])
            for member, columns in zip(self.estimators_, self.estimators_features_, strict=True)
        )
        return np.asarray(total / len(self.estimators_))

    def _answer(self, member: Any, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class BaggingClassifier(ClassifierMixin, _Bagging):
    r"""Mean of the class shares of copies of one classifier, each trained on rows drawn with replacement.

    .. math:: p(x) = \frac1T \sum_{t=1}^{T} p^{(t)}(x), \qquad D_t = n \text{ rows drawn from } D \text{ with replacement}

    Parameters
    ----------
    estimator : classifier, optional
        What is copied: trees, networks, anything with ``fit`` and ``predict``. Default: :class:`DecisionTreeClassifier`.
    n_estimators : int >= 1, default 10
        Members.
    max_samples : int >= 1, float in (0, 1] or None, default 1.0
        Rows drawn for a member; a float is a share of the rows.
    max_features : int >= 1 or float in (0, 1], default 1.0
        Columns drawn for a member, without replacement unless ``bootstrap_features``.
    bootstrap : bool, default True
        Draw rows with replacement.
    bootstrap_features : bool, default False
        Draw columns with replacement.
    oob_score : bool, default False
        Judge every row by the members that were not trained on it.
    n_jobs : int >= 1 or -1, default 1
        Members that are fitted at the same time, in threads; -1 is as many as Numba has threads.
    random_state : int, Generator or None

    Attributes
    ----------
    classes_ : array (K,)
    estimators_ : list of T fitted members
    estimators_samples_, estimators_features_ : lists of T index arrays
    oob_score_ : float, accuracy; ``oob_decision_function_`` (n, K), NaN in rows that every member saw

    Raises
    ------
    DataError
        What the members refuse, unequal lengths, or continuous targets.
    InputError
        A parameter outside its range.

    Notes
    -----
    Bagging lowers variance and leaves bias as it is: use it where the single learner overfits. ``sample_weight`` sets the
    chances of the draws, so it needs no support from the members. A member without ``predict_proba`` votes. Members are given
    the columns they were drawn for; a member that saw fewer classes gives the others 0.

    References
    ----------
    Breiman, Bagging Predictors, 1996; ``05#bagging``, ``05#bagged-networks``.

    Examples
    --------
    >>> bag = BaggingClassifier(n_estimators=25, random_state=0).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> bag.predict([[0.1], [2.9]]).tolist()
    [0, 1]
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the members on X (n, d) and labels y (n,), with optional chances (n,) >= 0 of the rows."""
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan")
        weight = sample_weights(sample_weight, len(X))
        self.classes_, _ = encode_labels(y)
        self._fit_members(DecisionTreeClassifier() if self.estimator is None else self.estimator, X, y, weight)
        if self.oob_score:
            bag = self._out_of_bag(X, self.classes_)
            self.oob_decision_function_ = bag.mean
            self.oob_score_ = 1 - bag.error(y, weight)
        return self

    def _answer(self, member: Any, X: np.ndarray) -> np.ndarray:
        return class_shares(member, X, self.classes_)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the mean class shares of the members: X (n, d) -> (n, K)."""
        return self._mean(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the largest mean share, the first of equals: X (n, d) -> (n,)."""
        shares = self._mean(X)
        return self.classes_[shares.argmax(axis=1)]


class BaggingRegressor(RegressorMixin, _Bagging):
    r"""Mean of the predictions of copies of one regressor, each trained on rows drawn with replacement.

    .. math:: F(x) = \frac1T \sum_{t=1}^{T} f_t(x)

    Parameters
    ----------
    estimator : regressor, optional
        What is copied. Default: :class:`DecisionTreeRegressor`.
    n_estimators, max_samples, max_features, bootstrap, bootstrap_features, oob_score, n_jobs, random_state
        As for :class:`BaggingClassifier`.

    Attributes
    ----------
    estimators_, estimators_samples_, estimators_features_
        As for :class:`BaggingClassifier`.
    oob_score_ : float, R²; ``oob_prediction_`` (n,), NaN in rows that every member saw

    Raises
    ------
    DataError
        What the members refuse, or unequal lengths.
    InputError
        A parameter outside its range.

    References
    ----------
    Breiman, Bagging Predictors, 1996; ``05#bagging``.

    Examples
    --------
    >>> bag = BaggingRegressor(n_estimators=3, bootstrap=False).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 9.0])
    >>> bag.predict([[1.4], [1.6]]).tolist()
    [3.0, 9.0]
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the members on X (n, d) and targets y (n,), with optional chances (n,) >= 0 of the rows."""
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan", y_numeric=True)
        weight = sample_weights(sample_weight, len(X))
        y = y.astype(np.float64)
        self._fit_members(DecisionTreeRegressor() if self.estimator is None else self.estimator, X, y, weight)
        if self.oob_score:
            bag = self._out_of_bag(X, None)
            self.oob_prediction_ = bag.mean
            judged = bag.counts > 0
            w = np.ones(len(y)) if weight is None else weight
            mean = np.average(y[judged], weights=w[judged]) if w[judged].any() else np.nan
            spread = float(np.sum(w[judged] * (y[judged] - mean) ** 2))
            error = bag.error(y, weight)
            # As scikit-learn's R² has it, a constant target is met (1) or missed (0).
            self.oob_score_ = 1 - error * float(w[judged].sum()) / spread if spread != 0 else float(error == 0)
        return self

    def _answer(self, member: Any, X: np.ndarray) -> np.ndarray:
        return np.asarray(member.predict(X), dtype=np.float64)

    def predict(self, X: Any) -> np.ndarray:
        """Return the mean prediction of the members: X (n, d) -> (n,)."""
        return self._mean(X)
