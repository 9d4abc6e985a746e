"""Logistic regression on 500,000 x 50 dense rows beside scikit-learn's, at the same objective.

Fails when our objective is worse than the peer's by more than 1e-6 of it, or when the ratio misses its target.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression as Peer

from fivefold.models.linear import LogisticRegression
from fivefold.workbench.bench import Contest, Score, play

ROWS, FEATURES, WORSE = 500_000, 50, 1e-6


def contest(spread: float) -> Contest:
    """Return the contest on features whose scales run from 1 to ``spread``."""
    stream = np.random.default_rng(0)
    scales = np.geomspace(1.0, spread, FEATURES)
    X = stream.standard_normal((ROWS, FEATURES)) * scales
    w = stream.standard_normal(FEATURES) * 2 / np.sqrt(FEATURES) / scales
    y = (stream.random(ROWS) < 1 / (1 + np.exp(-(X @ w + 0.3)))).astype(int)

    def objective(model: Any) -> float:
        z = X @ model.coef_[0] + model.intercept_[0]
        return float(np.logaddexp(0, np.where(y == 1, -z, z)).sum() + 0.5 * model.coef_[0] @ model.coef_[0])

    def quality(ours: list[Any], peer: list[Any]) -> tuple[float, float, bool]:
        mine, theirs = max(map(objective, ours)), min(map(objective, peer))
        return mine, theirs, mine <= theirs * (1 + WORSE)

    return Contest(
        name=f"logistic-regression {ROWS} x {FEATURES}, scales 1 to {spread:g}",
        ours=lambda run: LogisticRegression().fit(X, y),
        peer=lambda run: Peer().fit(X, y),
        quality=quality,
    )


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contests and return their scores."""
    return play([contest(1.0), contest(10.0)], threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
