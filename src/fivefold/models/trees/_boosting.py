"""What classifiers and regressors boosted by weights share."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.checks import real
from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams

from ._members import fresh, takes_weights


class Boosted(Estimator):
    """Members trained in order, each on weights that the ones before it left."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _rate(self) -> float:
        return real("learning_rate", self.learning_rate, low=0.0, above=True)

    def _can_weigh(self, base: Any) -> None:
        if not self.resample and not takes_weights(base):
            raise InputError(
                f"{type(base).__name__}.fit takes no `sample_weight`; set resample=True to draw its rows by their weights."
            )

    def _fit_member(self, base: Any, X: np.ndarray, y: np.ndarray, u: np.ndarray, streams: Streams, t: int) -> Any:
        """Return a copy of the base fitted with weights ``u`` (n,), which sum to one, or on rows drawn by them."""
        member = fresh(base, streams, t)
        if not self.resample:
            # Weights of mean one: limits on weights and learning rates of members mean what they say.
            return member.fit(X, y, sample_weight=u * len(u))
        wheel = np.cumsum(u)
        turns = streams.numpy("roulette", t).random(len(u)) * wheel[-1]
        rows = np.searchsorted(wheel, turns, side="right")
        return member.fit(X[rows], y[rows])

    @property
    def feature_importances_(self) -> np.ndarray:
        """Importances of the members, weighted by their votes: (d,)."""
        require_fitted(self, "estimators_")
        if not hasattr(self.estimators_[0], "feature_importances_"):
            raise AttributeError(f"{type(self.estimators_[0]).__name__} has no `feature_importances_`.")
        each = np.array([member.feature_importances_ for member in self.estimators_])
        return self.estimator_weights_ @ each / self.estimator_weights_.sum()
