"""The trivial baseline of every comparison: the class shares, or the mean. Who does not beat it has learned nothing."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from fivefold.base.cards import Card
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator

BASELINE = "baseline"
"""Name of the baseline's row; no method of the catalogue carries it."""


class PriorClassifier(ClassifierMixin, Estimator):
    """Predict the most frequent class, with the shares of the classes as probabilities.

    P(y = k | x) = n_k / n for every x; among equally frequent classes the first in sorted order is predicted.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Count the classes of ``y`` (n,), weighted; ``X`` is not looked at."""
        y = np.asarray(y)
        if len(y) == 0:
            raise DataError("The baseline needs at least one row.")
        self.classes_, codes = np.unique(y, return_inverse=True)
        total = np.bincount(codes, weights=sample_weight, minlength=len(self.classes_))
        self.class_prior_ = total / total.sum()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the class shares once a row, (n, classes)."""
        self._check_fitted()
        return np.tile(self.class_prior_, (len(X), 1))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most frequent class once a row, (n,)."""
        self._check_fitted()
        return np.full(len(X), self.classes_[np.argmax(self.class_prior_)])


class MeanRegressor(RegressorMixin, Estimator):
    """Predict the (weighted) mean of the training targets: ŷ = Σ wᵢ yᵢ / Σ wᵢ."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Average ``y`` (n,); ``X`` is not looked at."""
        y = np.asarray(y, dtype=np.float64)
        if len(y) == 0:
            raise DataError("The baseline needs at least one row.")
        self.mean_ = float(np.average(y, weights=sample_weight))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the mean once a row, (n,)."""
        self._check_fitted()
        return np.full(len(X), self.mean_)


def baseline_card() -> Card:
    """Return the card of the baseline; it is not in the catalogue and is compared whether asked for or not."""
    return Card(
        id=BASELINE,
        package="workbench",
        title="Baseline: class shares, or the mean",
        kind="classifier",
        summary="Predicts the same for every row: the majority class with the class shares, or the mean.",
        factory={
            "classification": "fivefold.workbench.baseline:PriorClassifier",
            "regression": "fivefold.workbench.baseline:MeanRegressor",
        },
        task=("binary", "multiclass", "regression"),
        supervision="supervised",
        recipe="none",
        capabilities=frozenset({"probabilities", "sample-weight", "missing", "categorical", "fast"}),
    )
