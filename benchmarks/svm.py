"""RBF support vector machine on 20,000 x 50 rows beside scikit-learn's, at the same dual objective.

Fails when our dual objective is lower than the peer's by more than 1e-3 of it, or when the ratio misses its target.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC as Peer  # noqa: N811

from fivefold.models.linear import SVC
from fivefold.workbench.bench import Contest, Score, play

ROWS, FEATURES, WORSE, GAMMA, CACHE = 20_000, 50, 1e-3, 1 / 50, 2000


def contest(C: float, rows: int = ROWS) -> Contest:
    """Return the contest at a price of slack."""
    stream = np.random.default_rng(0)
    X = stream.standard_normal((rows, FEATURES))
    score = np.sin(X[:, 0] * 2) + X[:, 1] * X[:, 2] + X[:, 3:10].sum(axis=1) / 2
    y = (score + 0.5 * stream.standard_normal(rows) > 0).astype(int)

    def objective(model: Any) -> float:
        """Return the dual value of the multipliers, by one program for both sides."""
        beta, vectors = model.dual_coef_[0], model.support_vectors_
        square = 0.0
        for start in range(0, len(beta), 2000):
            part = slice(start, start + 2000)
            square += float(beta[part] @ (rbf_kernel(vectors[part], vectors, gamma=GAMMA) @ beta))
        return float(np.abs(beta).sum() - 0.5 * square)

    def quality(ours: list[Any], peer: list[Any]) -> tuple[float, float, bool]:
        mine, theirs = min(map(objective, ours)), max(map(objective, peer))
        return mine, theirs, mine >= theirs * (1 - WORSE)

    return Contest(
        name=f"kernel-svm {rows} x {FEATURES}, C={C:g}",
        ours=lambda run: SVC(C=C, gamma=GAMMA, cache_size=CACHE).fit(X, y),
        peer=lambda run: Peer(C=C, gamma=GAMMA, cache_size=CACHE).fit(X, y),
        quality=quality,
        target=0.4,
    )


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contests and return their scores."""
    return play([contest(1.0), contest(100.0)], threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
