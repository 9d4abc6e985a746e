"""k-means beside scikit-learn: 500,000 x 50 rows, the start and Lloyd's iterations timed apart.

With 100 clusters that overlap, seeds by k-means++ are one contest, judged by the mean inertia that ten of them leave; the
iterations from the seeds that each side drew itself are another, with ten draws, whose mean inertia may be at most 1.002 times
the peer's. By name there are whole fits with the defaults of both and 20 clusters too: clear and overlapping clusters, and
none at all (where no distance can be skipped cheaply).

    python benchmarks/kmeans.py [start] [lloyd] [clear] [overlapping] [none]
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.cluster import KMeans as Peer
from sklearn.cluster import kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from fivefold.base.random import Streams
from fivefold.models.unsupervised import KMeans
from fivefold.models.unsupervised._common import squared_distances
from fivefold.models.unsupervised.k_means import _plus_plus, _Rows
from fivefold.workbench.bench import Contest, Score, play

ROWS, FEATURES, MANY, CLUSTERS, SEEDS = 500_000, 50, 100, 20, 10
OVERLAP = 12.0
TABLES = {"clear": 3.0, "overlapping": 15.0, "none": None}


def table(spread: float | None, clusters: int = CLUSTERS) -> np.ndarray:
    """Return rows around centers in [-10, 10]^50 with a standard deviation, or plain noise."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(ROWS, FEATURES))
    if spread is None:
        return noise
    centers = rng.uniform(-10, 10, size=(clusters, FEATURES))
    return centers[rng.integers(clusters, size=ROWS)] + spread * noise


def our_seeds(X: np.ndarray, run: int) -> np.ndarray:
    """Return the seeds with which our k-means starts, by the pass over the rows that a fit makes."""
    with threadpool_limits(limits=1, user_api="blas"):
        rows = _Rows.of(KMeans(MANY), X, None, MANY)
        return _plus_plus(rows, MANY, Streams.of(run).numpy("k-means", 0)) + rows.shift


def peer_seeds(X: np.ndarray, run: int) -> np.ndarray:
    return kmeans_plusplus(X, MANY, random_state=run)[0]


def quality(ours: list[float], peer: list[float], worse: float = 1.002) -> tuple[float, float, bool]:
    """Return both mean inertias and whether ours is at most ``worse`` times the peer's."""
    return float(np.mean(ours)), float(np.mean(peer)), bool(np.mean(ours) <= worse * np.mean(peer))


def start(X: np.ndarray) -> Contest:
    """Seeds alone; a tenth of the rows judges both sides' inertia."""
    judges = X[:: ROWS // 50_000]

    def left(seeds: list[np.ndarray]) -> list[float]:
        return [float(squared_distances(judges, one).min(axis=1).sum()) for one in seeds]

    return Contest(
        name=f"k-means 500k x 50, k={MANY}, start",
        ours=lambda run: our_seeds(X, run),
        peer=lambda run: peer_seeds(X, run),
        # Before any iteration inertias of single draws scatter by a percent, means of ten by a third of that.
        quality=lambda ours, peer: quality(left(ours), left(peer), 1.01),
        target=0.6,
        repeats=SEEDS,
    )


def lloyd(X: np.ndarray) -> Contest:
    """Iterations alone, from seeds drawn before the clock starts."""
    seeds = {(side, run): draw(X, run) for side, draw in enumerate((our_seeds, peer_seeds)) for run in range(SEEDS)}

    def fit(model: type, side: int, run: int, steps: int = 300) -> float:
        return float(model(MANY, init=seeds[side, run], n_init=1, max_iter=steps).fit(X).inertia_)

    return Contest(
        name=f"k-means 500k x 50, k={MANY}, Lloyd",
        ours=lambda run: fit(KMeans, 0, run),
        peer=lambda run: fit(Peer, 1, run),
        quality=quality,
        target=0.6,
        repeats=SEEDS,
        warm=lambda: (fit(KMeans, 0, 0, 2), fit(Peer, 1, 0, 2)),
    )


def whole(name: str) -> Contest:
    """Fits with the defaults of both."""
    X = table(TABLES[name])
    return Contest(
        name=f"k-means 500k x 50, k={CLUSTERS}, {name} clusters",
        ours=lambda run: KMeans(CLUSTERS, random_state=run).fit(X).inertia_,
        peer=lambda run: Peer(CLUSTERS, random_state=run).fit(X).inertia_,
        quality=quality,
        repeats=SEEDS,
    )


def main(threads: Sequence[int] = (1, 2), names: Sequence[str] = ("start", "lloyd")) -> list[Score]:
    """Run the contests and return their scores."""
    scores = []
    apart = {"start": start, "lloyd": lloyd}
    X = table(OVERLAP, MANY) if any(name in apart for name in names) else np.empty(0)
    with warnings.catch_warnings():
        # A warm-up of two steps does not converge, and both sides say so.
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        for name in names:
            scores.extend(play([apart[name](X) if name in apart else whole(name)], threads))
    return scores


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main(names=sys.argv[1:] or ("start", "lloyd"))))
