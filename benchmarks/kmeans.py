"""k-means beside scikit-learn: 500,000 x 50 rows, 20 clusters, defaults of both, ten seeds.

Three tables: clear clusters, overlapping clusters, and no clusters at all (where no distance can be skipped cheaply and both
stop at their 300 iterations or at the tolerance). The mean inertia over the seeds may be at most 1.002 times the peer's.

    python benchmarks/kmeans.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from sklearn.cluster import KMeans as Peer

from fivefold.models.unsupervised import KMeans
from fivefold.workbench.bench import Contest, Score, play

ROWS, FEATURES, CLUSTERS = 500_000, 50, 20
TABLES = {"clear": 3.0, "overlapping": 15.0, "none": None}


def table(spread: float | None) -> np.ndarray:
    """Return rows around 20 centers in [-10, 10]^50 with a standard deviation, or plain noise."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(ROWS, FEATURES))
    if spread is None:
        return noise
    centers = rng.uniform(-10, 10, size=(CLUSTERS, FEATURES))
    return centers[rng.integers(CLUSTERS, size=ROWS)] + spread * noise


def quality(ours: list[float], peer: list[float]) -> tuple[float, float, bool]:
    """Return both mean inertias and whether ours is at most 1.002 times the peer's."""
    return float(np.mean(ours)), float(np.mean(peer)), bool(np.mean(ours) <= 1.002 * np.mean(peer))


def contest(name: str, spread: float | None) -> Contest:
    X = table(spread)
    return Contest(
        name=f"k-means 500k x 50, k=20, {name} clusters",
        ours=lambda run: KMeans(CLUSTERS, random_state=run).fit(X).inertia_,
        peer=lambda run: Peer(CLUSTERS, random_state=run).fit(X).inertia_,
        quality=quality,
        repeats=10,
    )


def main(threads: Sequence[int] = (1, 2), names: Sequence[str] = tuple(TABLES)) -> list[Score]:
    """Run the contests and return their scores."""
    return [score for name in names for score in play([contest(name, TABLES[name])], threads)]


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main(names=sys.argv[1:] or tuple(TABLES))))
