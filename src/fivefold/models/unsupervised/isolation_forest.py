"""Isolation forest: anomalies are the rows that few random cuts separate from the others."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numba import prange

from fivefold.base.checks import real, whole
from fivefold.base.errors import InputError
from fivefold.base.jit import njit
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data
from fivefold.models.trees._threads import threads_for

from ._common import Detector


def average_path(n: Any) -> np.ndarray:
    """Return c(n) = 2 H(n - 1) - 2 (n - 1) / n, the mean depth of an unsuccessful search; 0 for n <= 1, 1 for n = 2."""
    n = np.asarray(n, dtype=np.float64)
    out = np.where(n == 2, 1.0, 0.0)
    large = n > 2
    m = np.where(large, n, 3.0)
    return np.where(large, 2.0 * (np.log(m - 1.0) + np.euler_gamma) - 2.0 * (m - 1.0) / m, out)


@njit(parallel=True)
def _grow(X, rows, draws, limit, feature, cut, left, size):
    """Grow one tree for each of ``rows`` (T, m): feature -1 marks a leaf of ``size`` rows, children are left and left + 1."""
    trees, m = rows.shape
    d = X.shape[1]
    for t in prange(trees):
        order = rows[t].copy()
        start, stop, depth = np.empty(2 * m, np.int64), np.empty(2 * m, np.int64), np.empty(2 * m, np.int64)
        low, high = np.empty(d), np.empty(d)
        start[0], stop[0], depth[0] = 0, m, 0
        nodes, node = 1, 0
        while node < nodes:
            a, b = start[node], stop[node]
            feature[t, node], size[t, node] = -1, b - a
            varying = 0
            if b - a > 1 and depth[node] < limit:
                for j in range(d):
                    low[j] = high[j] = X[order[a], j]
                    for r in range(a + 1, b):
                        low[j] = min(low[j], X[order[r], j])
                        high[j] = max(high[j], X[order[r], j])
                    varying += high[j] > low[j]
            if varying > 0:
                pick = min(int(draws[t, node, 0] * varying), varying - 1)
                chosen = 0
                for j in range(d):
                    if high[j] > low[j]:
                        if pick == 0:
                            chosen = j
                            break
                        pick -= 1
                value = low[chosen] + draws[t, node, 1] * (high[chosen] - low[chosen])
                if value >= high[chosen]:
                    value = low[chosen]
                middle = a
                for r in range(a, b):
                    if X[order[r], chosen] <= value:
                        order[r], order[middle] = order[middle], order[r]
                        middle += 1
                feature[t, node], cut[t, node], left[t, node] = chosen, value, nodes
                start[nodes], stop[nodes], depth[nodes] = a, middle, depth[node] + 1
                start[nodes + 1], stop[nodes + 1], depth[nodes + 1] = middle, b, depth[node] + 1
                nodes += 2
            node += 1


@njit(parallel=True)
def _depths(X, feature, cut, left, size, rest, out):
    """Write the mean depth of every row of X (n, d) over the trees, leaves of many rows counted on by ``rest``."""
    trees = feature.shape[0]
    for i in prange(X.shape[0]):
        total = 0.0
        for t in range(trees):
            node, depth = 0, 0
            while feature[t, node] >= 0:
                node = left[t, node] + (X[i, feature[t, node]] > cut[t, node])
                depth += 1
            total += depth + rest[size[t, node]]
        out[i] = total / trees


class IsolationForest(Detector):
    r"""Mean depth at which random cuts isolate a row; anomalies lie apart and fall out early.

    .. math:: s(x) = -2^{-E[h(x)] / c(\psi)}, \qquad c(n) = 2 H_{n-1} - \frac{2 (n - 1)}{n}, \quad
              H_m \approx \ln m + 0.5772

    Parameters
    ----------
    n_estimators : int >= 1, default 100
        Trees.
    max_samples : int >= 2, float in (0, 1] or "auto", default "auto"
        Rows ψ of a tree, drawn without replacement; "auto" is min(256, n), a number above n is n.
    contamination : float in [0, 0.5] or "auto", default "auto"
        Share of training rows below the threshold; "auto" is the threshold -0.5 of the paper.
    random_state : int, Generator or None

    Attributes
    ----------
    offset_ : float, threshold of the score
    max_samples_ : int, ψ

    Raises
    ------
    DataError
        Missing or infinite values.
    InputError
        A parameter outside its range.

    Notes
    -----
    Trees end at the depth ⌈log₂ ψ⌉; a leaf of m rows counts c(m) more. Cuts are uniform between least and greatest value
    of a column drawn among those that vary. Equal rows, or one row, all score -0.5. The scale of a column does not matter.

    References
    ----------
    Liu, Ting & Zhou, Isolation forest, 2008; ``06#one-class-svm``.
    """

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        max_samples: int | float | str = "auto",
        contamination: float | str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Grow the trees on X (n, d); ``y`` is ignored."""
        trees = whole("n_estimators", self.n_estimators, low=1)
        X = checked_data(self, X).astype(np.float64)
        n = len(X)
        psi = self._rows(n)
        streams = Streams.of(self.random_state)
        generator = streams.numpy("isolation-forest-rows")
        rows = np.stack([generator.permutation(n)[:psi] for _ in range(trees)])
        draws = streams.numpy("isolation-forest-cuts").random((trees, 2 * psi, 2))
        self.feature_ = np.full((trees, 2 * psi), -1, dtype=np.int64)
        self.cut_ = np.zeros((trees, 2 * psi))
        self.left_ = np.zeros((trees, 2 * psi), dtype=np.int64)
        self.size_ = np.zeros((trees, 2 * psi), dtype=np.int64)
        with threads_for(trees * psi * X.shape[1] * 8):  # any value: when threads pay
            _grow(X, rows, draws, math.ceil(math.log2(max(psi, 2))), self.feature_, self.cut_, self.left_, self.size_)
        self.max_samples_ = psi
        if isinstance(self.contamination, str):
            if self.contamination != "auto":
                raise InputError(f"`contamination` is {self.contamination!r}; give a number or 'auto'.")
            self.offset_ = -0.5
        else:
            self._set_offset(self._score(X))
        return self

    def _rows(self, n: int) -> int:
        given = self.max_samples
        if isinstance(given, str):
            if given != "auto":
                raise InputError(f"`max_samples` is {given!r}; give a number or 'auto'.")
            return min(256, n)
        if isinstance(given, float):
            return max(1, int(real("max_samples", given, low=0.0, high=1.0, above=True) * n))
        return min(whole("max_samples", given, low=2), n)

    def _score(self, X: np.ndarray) -> np.ndarray:
        mean = np.empty(len(X))
        rest = average_path(np.arange(self.max_samples_ + 1))
        with threads_for(len(X) * len(self.feature_) * 16):  # any value: when threads pay
            _depths(np.ascontiguousarray(X), self.feature_, self.cut_, self.left_, self.size_, rest, mean)
        whole_path = float(average_path(self.max_samples_))
        # One row has no path at all: it is as normal as can be told.
        return -(2.0 ** (-mean / whole_path)) if whole_path > 0 else np.full(len(X), -0.5)
