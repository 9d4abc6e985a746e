"""PCA beside scikit-learn: 500,000 x 50 rows, defaults of both (the eigenvectors of the covariance).

Quality is the largest relative difference of the explained variances from those of numpy's covariance.

    python benchmarks/pca.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from sklearn import decomposition as peers

from fivefold.models.unsupervised import PCA
from fivefold.workbench.bench import Contest, Score, play

ROWS, FEATURES = 500_000, 50


def contest(name: str, offset: float) -> Contest:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, FEATURES)) @ rng.normal(size=(FEATURES, FEATURES)) + offset
    exact = np.linalg.eigvalsh(np.cov(X.T))[::-1]

    def error(models: list[np.ndarray]) -> float:
        return max(float(np.abs(values / exact - 1).max()) for values in models)

    def quality(ours: list[np.ndarray], peer: list[np.ndarray]) -> tuple[float, float, bool]:
        return error(ours), error(peer), error(ours) <= max(1e-8, error(peer))

    return Contest(
        name=f"pca 500k x 50, {name}",
        ours=lambda run: PCA().fit(X).explained_variance_,
        peer=lambda run: peers.PCA().fit(X).explained_variance_,
        quality=quality,
        repeats=11,
    )


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contests and return their scores."""
    return play([contest("centered columns", 0.0), contest("columns far from zero", 1000.0)], threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
