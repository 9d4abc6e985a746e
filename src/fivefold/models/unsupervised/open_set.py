"""Open-set detection: a classifier that is not sure of any of its classes says that it does not know."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import entr
from sklearn.base import ClassifierMixin, clone

from fivefold.base.checks import choice, real
from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data, encode_labels
from fivefold.models.linear.softmax import SoftmaxRegression


class OpenSetClassifier(ClassifierMixin, Estimator):
    r"""A classifier whose confidence tells rows of its classes from rows of none.

    .. math:: c(x) = \max_k p_k(x) \quad\text{or}\quad c(x) = \sum_k p_k(x) \ln p_k(x), \qquad
              x \text{ is known} \iff c(x) > \lambda

    Parameters
    ----------
    estimator : classifier with ``predict_proba``, default None
        Cloned and fitted; None is :class:`SoftmaxRegression`.
    confidence : {"max-probability", "entropy"}, default "max-probability"
        c(x); "entropy" is its negative, in nats.
    contamination : float in [0, 1), default 0.05
        Share of training rows that λ calls unknown.
    threshold : float or None, default None
        λ itself instead, best tuned on development rows that hold unknown ones.

    Attributes
    ----------
    estimator_ : the fitted classifier
    classes_ : array (K,)
    threshold_ : float, λ

    Raises
    ------
    DataError
        Missing or infinite values, or a single class.
    InputError
        A parameter outside its range, or a classifier without probabilities.

    Notes
    -----
    ``predict`` always names a class, as scikit-learn's tools expect; ``known`` says whether to believe it. Confidence on
    training rows is higher than on new ones, so λ from ``contamination`` rejects more new rows than that share. A classifier
    may be sure of a row far from all classes: a softmax of linear scores even more the farther it is.

    References
    ----------
    Hendrycks & Gimpel, A baseline for detecting misclassified and out-of-distribution examples, 2017;
    ``06#classifier-confidence-anomaly``.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        confidence: str = "max-probability",
        contamination: float = 0.05,
        threshold: float | None = None,
    ) -> None:
        self.estimator = estimator
        self.confidence = confidence
        self.contamination = contamination
        self.threshold = threshold

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the classifier on rows X (n, d) with classes ``y`` (n,), and λ."""
        choice("confidence", self.confidence, ("max-probability", "entropy"))
        share = real("contamination", self.contamination, low=0.0, high=1.0, below=True)
        given = None if self.threshold is None else real("threshold", self.threshold)
        X, y = checked_data(self, X, y)
        self.classes_, _ = encode_labels(y)
        base = SoftmaxRegression() if self.estimator is None else clone(self.estimator)
        if not hasattr(base, "predict_proba"):
            raise InputError(
                f"`estimator` is a {type(base).__name__}, which has no `predict_proba`; give a classifier with probabilities."
            )
        self.estimator_ = base.fit(X, y)
        self.threshold_ = float(np.percentile(self._confidence(X), 100.0 * share)) if given is None else given
        return self

    def _confidence(self, X: np.ndarray) -> np.ndarray:
        p = np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)
        if self.confidence == "max-probability":
            return p.max(axis=1)
        # A class of probability zero adds nothing.
        return -entr(p).sum(axis=1)

    def _rows(self, X: Any) -> np.ndarray:
        require_fitted(self, "estimator_")
        return checked_data(self, X, reset=False)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the classifier's probabilities: X (n, d) -> (n, K)."""
        X = self._rows(X)
        return np.asarray(self.estimator_.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, known or not: X (n, d) -> (n,)."""
        X = self._rows(X)
        return np.asarray(self.estimator_.predict(X))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the confidence c(x), the higher the more likely of a known class: X (n, d) -> (n,)."""
        X = self._rows(X)
        return self._confidence(X)

    def known(self, X: Any) -> np.ndarray:
        """Return whether the confidence is above λ: X (n, d) -> bool (n,)."""
        return self.score_samples(X) > self.threshold_
