"""Voting: different classifiers trained on the same rows, and their majority or mean."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin

from fivefold.base.checks import choice
from fivefold.base.errors import InputError
from fivefold.base.estimator import require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._committee import Committee, weights_of
from ._members import class_shares, fresh, votes


class VotingClassifier(ClassifierMixin, Committee):
    r"""Majority of several classifiers, or the class of the largest mean probability.

    .. math:: H(x) = \arg\max_k \sum_t w_t [h_t(x) = k] \quad\text{or}\quad \arg\max_k \sum_t w_t p^{(t)}_k(x)

    Parameters
    ----------
    estimators : list of (name, classifier), optional
        Default: logistic regression, Gaussian naive Bayes and a tree with leaves of at least 20 rows.
    voting : {"hard", "soft"}, default "hard"
        Labels vote, or probabilities are averaged.
    weights : array (T,) >= 0, optional
        Weights of the members; by default all count the same.
    random_state : int, Generator or None
        Seeds the members whose ``random_state`` is None.

    Attributes
    ----------
    classes_ : array (K,)
    estimators_ : list of T fitted members
    named_estimators_ : mapping from name to fitted member

    Raises
    ------
    DataError
        What the members refuse, unequal lengths, or continuous targets.
    InputError
        A parameter outside its range, a name given twice, or soft voting with a member without probabilities.

    Notes
    -----
    The first of equal classes wins. It is the baseline that stacking has to beat.

    References
    ----------
    ``05#stacking``.

    Examples
    --------
    >>> from fivefold.models.trees import DecisionTreeClassifier
    >>> trees = [("stump", DecisionTreeClassifier(max_depth=1)), ("tree", DecisionTreeClassifier())]
    >>> VotingClassifier(trees).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"]).predict([[0.2], [1.8]]).tolist()
    ['a', 'b']
    """

    def __init__(
        self, estimators: Any = None, *, voting: str = "hard", weights: Any = None, random_state: Any = None
    ) -> None:
        self.estimators = estimators
        self.voting = voting
        self.weights = weights
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit every member on X (n, d) and labels y (n,), with optional weights (n,) >= 0 that all members must take."""
        choice("voting", self.voting, ("hard", "soft"))
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan")
        weight = sample_weights(sample_weight, len(X))
        self.classes_, _ = encode_labels(y)
        named = self._named(len(self.classes_))
        self.weights_ = weights_of(self.weights, len(named))
        streams = Streams.of(self.random_state)
        self.estimators_ = [
            self._fitted(fresh(one, streams, t, keep=True), name, X, y, weight) for t, (name, one) in enumerate(named)
        ]
        self.named_estimators_ = dict(zip((name for name, _ in named), self.estimators_, strict=True))
        if self.voting == "soft":
            for name, member in self.named_estimators_.items():
                if not hasattr(member, "predict_proba"):
                    raise InputError(
                        f"{type(member).__name__} ({name!r}) has no `predict_proba`; leave it out or set voting='hard'."
                    )
        return self

    def _shares(self, X: Any) -> np.ndarray:
        require_fitted(self, "estimators_")
        X = checked_data(self, X, reset=False, ensure_all_finite="allow-nan")
        hard = self.voting == "hard"
        each = [
            votes(member.predict(X), self.classes_) if hard else class_shares(member, X, self.classes_)
            for member in self.estimators_
        ]
        return np.asarray(np.tensordot(self.weights_, each, axes=1) / self.weights_.sum())

    def predict(self, X: Any) -> np.ndarray:
        """Return the winning class of every row: X (n, d) -> (n,)."""
        shares = self._shares(X)
        return self.classes_[shares.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the weighted shares of the votes, or the weighted mean probabilities: X (n, d) -> (n, K)."""
        return self._shares(X)
