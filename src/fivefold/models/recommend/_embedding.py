"""What embeddings of items share: keys, vectors, neighbors, and the pass over centers and their targets."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError, TrainingError, UnknownNameError
from fivefold.base.estimator import Estimator
from fivefold.base.jit import njit
from fivefold.base.names import nearest
from fivefold.base.random import Streams
from fivefold.data.sessions import Pairs

from ._vectors import unit

_CLICKS = 1 << 16  # any value: clicks paired at a time


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


class SkipGram(Embedding):
    """Base of the embeddings that learn from neighbors in sequences and noise.

    Parameters
    ----------
    vector_size : int >= 1, default 32
    window : int >= 1, default 5
    negative : int >= 0, default 5
        Noise keys a neighbor, drawn with the count to the power of 3/4.
    learning_rate : float > 0, default 0.025
        Falls linearly to a thousandth.
    epochs : int >= 1, default 10
    random_state : int, generator or None, default None
    """

    def __init__(
        self,
        *,
        vector_size: int = 32,
        window: int = 5,
        negative: int = 5,
        learning_rate: float = 0.025,
        epochs: int = 10,
        random_state: Any = None,
    ) -> None:
        self.vector_size = vector_size
        self.window = window
        self.negative = negative
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.random_state = random_state

    def _check(self) -> None:
        for name, low in (("vector_size", 1), ("window", 1), ("negative", 0), ("epochs", 1)):
            whole(name, getattr(self, name), low=low)
        real("learning_rate", self.learning_rate, low=0.0, above=True)

    def _begin(self, streams: Streams) -> None:
        """Draw the numbers of the vectors of ``keys_`` evenly from ±1 / (2 d); contexts begin at zero."""
        shape = (len(self.keys_), self.vector_size)
        self.vectors_ = (streams.numpy("vectors").random(shape) - 0.5) / self.vector_size
        self.context_vectors_ = np.zeros(shape)

    def _pass(self, pairs: Pairs, rates: tuple[float, float]) -> None:
        teach = (pairs.centers, pairs.starts, pairs.targets, pairs.labels)
        train_centers(self.vectors_, self.context_vectors_, *teach, *rates)

    def _settled(self) -> None:
        if not np.isfinite(self.vectors_).all():
            raise TrainingError("The vectors grew beyond all bounds; lower learning_rate.")


def pieces_of(numbers: np.ndarray) -> list[tuple[int, int]]:
    """Return where pieces of clicks (n,) begin and end; none parts a session, clicks of which stand together."""
    edges = np.append(np.sort(np.unique(numbers, return_index=True)[1]), len(numbers))
    cuts = edges[np.searchsorted(edges, np.arange(0, len(numbers), _CLICKS))]
    return list(itertools.pairwise(np.unique([*cuts, len(numbers)]).tolist()))


def keys_of(values: Any, what: str) -> np.ndarray:
    """Return keys as an array of integers or strings."""
    found = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if found.dtype.kind == "O":
        found = found.astype(np.str_)
    if found.dtype.kind not in "iuU":
        raise DataError(f"{what} must be integers or strings; got {found.dtype}.")
    return found
