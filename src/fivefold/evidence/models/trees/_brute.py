"""An independent tree of one split by enumeration, written without anything of the method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np


def impurity(y: np.ndarray, w: np.ndarray, criterion: str) -> float:
    """Return weighted variance, least mean absolute error around any of the values, Gini or entropy in bits."""
    if criterion == "absolute_error":
        return float((w * np.abs(y - y[:, None])).sum(axis=1).min() / w.sum())
    if criterion == "squared_error":
        mean = (w * y).sum() / w.sum()
        return float((w * (y - mean) ** 2).sum() / w.sum())
    p = np.array([w[y == c].sum() for c in np.unique(y)]) / w.sum()
    p = p[p > 0]
    return float(1 - (p**2).sum() if criterion == "gini" else -(p * np.log2(p)).sum())


@dataclass
class Split:
    """A candidate in the order in which ties are decided."""

    feature: int
    left: np.ndarray  # (n,) bool
    threshold: float
    gain: float


def candidates(
    X: np.ndarray, y: np.ndarray, w: np.ndarray, criterion: str, categorical: Any, leaf: int, weight_leaf: float
) -> Iterator[Split]:
    """Yield every allowed split: by feature, missing values right before left, cuts ascending."""
    parent = impurity(y, w, criterion)
    for f in range(X.shape[1]):
        x = X[:, f]
        lost = np.isnan(x)
        levels = np.unique(x[~lost])
        for missing_left in (False, True) if lost.any() else (False,):
            parts: list[tuple[np.ndarray, float]] = []
            if f in categorical:
                for size in range(1, len(levels) + 1):
                    parts += [(np.isin(x, chosen), np.nan) for chosen in combinations(levels, size)]
            else:
                parts += [(x <= a, (a + b) / 2) for a, b in zip(levels, levels[1:])]
                if lost.any() and not missing_left and len(levels):
                    parts.append((~lost, np.inf))
            for part, threshold in parts:
                left = part | (lost & missing_left)
                wl, wr = w[left].sum(), w[~left].sum()
                if min(left.sum(), (~left).sum()) < max(leaf, 1) or min(wl, wr) < weight_leaf:
                    continue
                children = wl * impurity(y[left], w[left], criterion) + wr * impurity(y[~left], w[~left], criterion)
                yield Split(f, left, threshold, parent - children / w.sum())


def best(splits: list[Split], tie: float) -> Split | None:
    """Return the first of the splits whose gain no other exceeds by more than ``tie``."""
    top = max((s.gain for s in splits), default=None)
    return None if top is None else next(s for s in splits if s.gain >= top - tie)
