"""What several unsupervised models share: signs of vectors, neighbors by brute force, the base of anomaly detectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import OutlierMixin

from fivefold.base.checks import real
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data


def signs_of_rows(vectors: np.ndarray) -> np.ndarray:
    """Return the factors (k, 1) of modulus one that make the largest entry of every row positive."""
    largest = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)]
    size = np.abs(largest)
    return np.where(size > 0, np.conj(largest) / np.where(size > 0, size, 1.0), 1.0)[:, None]


def upright(rows: np.ndarray) -> np.ndarray:
    """Return the rows (k, d), each turned so that its largest entry is real and positive."""
    return rows * signs_of_rows(rows)


def squared_distances(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the squared distances (n, m) of the rows of A (n, d) to those of B (m, d), to the rounding of their spread."""
    center = B.mean(axis=0)
    A, B = A - center, B - center
    out = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1) - 2.0 * (A @ B.T)
    return np.maximum(out, 0.0, out=out)


def neighbors(X: np.ndarray, count: int, queries: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return indices and distances (m, count) of the nearest rows of X, nearest first, ties by index.

    Without ``queries`` a row is no neighbor of itself. Candidates come from a matrix product; their distances are formed
    anew by differences, so that rounding decides no order.
    """
    own = queries is None
    Q = X if own else queries
    spare = 8  # any value: so that rounding loses none
    keep = min(len(X) - own, count + spare)
    index = np.empty((len(Q), count), dtype=np.int64)
    distance = np.empty((len(Q), count))
    step = max(1, (1 << 24) // max(1, len(X)))  # any value: memory
    for start in range(0, len(Q), step):
        block = Q[start : start + step]
        rough = squared_distances(block, X)
        if own:
            rough[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        near = np.argpartition(rough, keep - 1, axis=1)[:, :keep]
        near.sort(axis=1)
        exact = ((block[:, None, :] - X[near]) ** 2).sum(axis=2)
        order = np.argsort(exact, axis=1, kind="stable")[:, :count]
        index[start : start + step] = np.take_along_axis(near, order, axis=1)
        distance[start : start + step] = np.sqrt(np.take_along_axis(exact, order, axis=1))
    return index, distance


class Detector(OutlierMixin, Estimator):
    """Base of anomaly detectors: a score per row, high for normal rows, and a threshold from the training rows."""

    contamination: float

    def _score(self, X: np.ndarray) -> np.ndarray:
        """Return the score of checked rows X (n, d): (n,)."""
        raise NotImplementedError

    def _set_offset(self, scores: np.ndarray) -> None:
        share = real("contamination", self.contamination, low=0.0, high=0.5)
        self.offset_ = float(np.percentile(scores, 100.0 * share))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return how normal each row is, the higher the more so: X (n, d) -> (n,)."""
        require_fitted(self, "offset_")
        return self._score(checked_data(self, X, reset=False).astype(np.float64))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the score less the threshold ``offset_``; below zero is an anomaly: X (n, d) -> (n,)."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return 1 for normal rows and -1 for anomalies: X (n, d) -> (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)


def finite_squares(X: np.ndarray) -> np.ndarray:
    """Return X (n, d), refusing values whose squares overflow."""
    if X.size and np.abs(X).max() > 1e150:
        raise DataError("X holds values whose squares overflow; scale its columns first.")
    return X
