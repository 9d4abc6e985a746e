"""What embeddings of items share: keys, vectors, neighbors, and the pass over centers and their targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError, TrainingError, UnknownNameError
from fivefold.base.estimator import Estimator
from fivefold.base.jit import njit
from fivefold.base.names import nearest
from fivefold.data.sessions import Pairs
from fivefold.models.trees._validation import whole

from ._vectors import unit


@njit
def train_centers(
    inner: np.ndarray,
    outer: np.ndarray,
    centers: np.ndarray,
    starts: np.ndarray,
    targets: np.ndarray,
    labels: np.ndarray,
    rate: float,
    last_rate: float,
) -> None:
    """Take a step for every center: its targets move by its vector as it was, and it moves by all of theirs at once.

    One step of gradient descent on -sum_{label 1} ln s(u v) - sum_{label 0} ln s(-u v) with the logistic function s. The rate
    falls linearly from ``rate`` to ``last_rate``.
    """
    size, total = inner.shape[1], len(centers)
    moved = np.empty(size)
    for c in range(total):
        center = centers[c]
        current = rate + (last_rate - rate) * c / total
        moved[:] = 0.0
        for at in range(starts[c], starts[c + 1]):
            target = targets[at]
            product = 0.0
            for d in range(size):
                product += inner[center, d] * outer[target, d]
            gain = current * (labels[at] - 1.0 / (1.0 + np.exp(-product)))
            for d in range(size):
                moved[d] += gain * outer[target, d]
                outer[target, d] += gain * inner[center, d]
        for d in range(size):
            inner[center, d] += moved[d]


class Embedding(Estimator):
    """Vectors by key. Fitted attributes: ``keys_``, a sorted array, and ``vectors_`` (n, d)."""

    def _place(self, key: Any) -> int:
        self._check_fitted()
        place = int(np.searchsorted(self.keys_, key)) if isinstance(key, str) == (self.keys_.dtype.kind == "U") else -1
        if not 0 <= place < len(self.keys_) or self.keys_[place] != key:
            raise UnknownNameError(
                f"{key!r} has no vector; near it are {', '.join(nearest(str(key), [str(k) for k in self.keys_], 3))}."
            )
        return place

    def vector(self, key: Any) -> np.ndarray:
        """Return the vector (d,) of a key."""
        place = self._place(key)
        return np.array(self.vectors_[place])

    def most_similar(self, key: Any, k: int = 10) -> list[tuple[Any, float]]:
        """Return the k keys of largest cosine similarity to one, most similar first.

        Parameters
        ----------
        key : int or str
        k : int >= 1, default 10
        """
        k = whole("k", k, low=1)
        own = self._place(key)
        directions = unit(self.vectors_)
        score = directions @ directions[own]
        score[own] = -np.inf
        best = np.argsort(-score, kind="stable")[: min(k, len(score) - 1)]
        return [(self.keys_[i].item(), float(score[i])) for i in best]

    def _pass(self, pairs: Pairs, outer: np.ndarray, rates: tuple[float, float]) -> None:
        train_centers(
            self.vectors_, outer, pairs.centers, pairs.starts, pairs.targets, pairs.labels, rates[0], rates[1]
        )

    def _settled(self) -> None:
        if not np.isfinite(self.vectors_).all():
            raise TrainingError("The vectors grew beyond all bounds; lower learning_rate.")


def keys_of(values: Any, what: str) -> np.ndarray:
    """Return keys as an array of integers or strings."""
    found = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if found.dtype.kind == "O":
        found = found.astype(np.str_)
    if found.dtype.kind not in "iuU":
        raise DataError(f"{what} must be integers or strings; got {found.dtype}.")
    return found
