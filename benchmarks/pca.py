"""PCA beside scikit-learn: 500,000 x 50 rows, the eigenvectors of the covariance and the randomized decomposition.

Quality of the first is the largest relative difference of the explained variances from those of numpy's covariance; of the
second, which finds 10 components in data whose spread falls like 1/k, the share of the variance of the best 10 that is lost.

    python benchmarks/pca.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from sklearn import decomposition as peers

from fivefold.models.unsupervised import PCA
from fivefold.workbench.bench import Contest, Score, play

ROWS, FEATURES, KEPT = 500_000, 50, 10


def covariance(name: str, offset: float) -> Contest:
    """Defaults of both."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, FEATURES)) @ rng.normal(size=(FEATURES, FEATURES)) + offset
    exact = np.linalg.eigvalsh(np.cov(X.T))[::-1]

    def error(models: list[np.ndarray]) -> float:
        return max(float(np.abs(values / exact - 1).max()) for values in models)

    def quality(ours: list[np.ndarray], peer: list[np.ndarray]) -> tuple[float, float, bool]:
        return error(ours), error(peer), error(ours) <= max(1e-8, error(peer))

    return Contest(
        name=f"PCA 500k x 50, covariance, {name}",
        ours=lambda run: PCA().fit(X).explained_variance_,
        peer=lambda run: peers.PCA().fit(X).explained_variance_,
        quality=quality,
        repeats=11,
    )


def randomized() -> Contest:
    """Ten components; what they explain of the data is computed by one program for both sides."""
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(FEATURES, FEATURES)))
    X = rng.normal(size=(ROWS, FEATURES)) / np.arange(1, FEATURES + 1) @ turn + 3.0
    matrix = np.cov(X.T)
    best = np.linalg.eigvalsh(matrix)[::-1][:KEPT].sum()

    def lost(axes: list[np.ndarray]) -> float:
        return max(float(1 - np.trace(one @ matrix @ one.T) / best) for one in axes)

    def quality(ours: list[np.ndarray], peer: list[np.ndarray]) -> tuple[float, float, bool]:
        return lost(ours), lost(peer), lost(ours) <= max(1e-6, lost(peer))

    return Contest(
        name=f"PCA 500k x 50, randomized, {KEPT} components",
        ours=lambda run: PCA(KEPT, svd_solver="randomized", random_state=run).fit(X).components_,
        peer=lambda run: peers.PCA(KEPT, svd_solver="randomized", random_state=run).fit(X).components_,
        quality=quality,
    )


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contests and return their scores."""
    tables = {"centered columns": 0.0, "columns far from zero": 1000.0}
    scores = [score for name, offset in tables.items() for score in play([covariance(name, offset)], threads)]
    return [*scores, *play([randomized()], threads)]


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
