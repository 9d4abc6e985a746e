"""Random forest on 100,000 x 28 rows beside scikit-learn's: 100 full-depth trees, five columns drawn at every split.

Fails when the area under the ROC curve on 50,000 new rows (mean of the runs' seeds) is lower by more than 0.002, when the
mean number of leaves differs by more than 5 %, or when the ratio misses its target. ``n_jobs`` is the limit on threads.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from sklearn.ensemble import RandomForestClassifier as Peer
from sklearn.metrics import roc_auc_score

from fivefold.models.trees import RandomForestClassifier
from fivefold.workbench.bench import Contest, Score, play

ROWS, NEW, FEATURES, TREES, WORSE, LEAVES = 100_000, 50_000, 28, 100, 0.002, 0.05


def table(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return single-precision columns (rows, 28) and classes with noise (rows,)."""
    stream = np.random.default_rng(seed)
    X = stream.standard_normal((rows, FEATURES)).astype(np.float32)
    score = 2 * X[:, 0] + np.sin(2 * X[:, 1]) + X[:, 2] * X[:, 3] + X[:, 4:10].sum(axis=1) / 2
    return X, (score + 1.5 * stream.standard_normal(rows) > 0).astype(int)


def contest(rows: int = ROWS, repeats: int = 3) -> Contest:
    """Return the contest."""
    X, y = table(rows, 0)
    new, truth = table(NEW, 1)
    peer_leaves: list[float] = []
    our_leaves: list[float] = []

    def ours(run: int) -> np.ndarray:
        forest = RandomForestClassifier(TREES, random_state=run).fit(X, y)
        our_leaves.append(float(np.mean([tree.get_n_leaves() for tree in forest.estimators_])))
        return forest.predict_proba(new)[:, 1]

    def peer(run: int) -> np.ndarray:
        forest = Peer(TREES, n_jobs=numba.get_num_threads(), random_state=run).fit(X, y)
        peer_leaves.append(float(np.mean([tree.get_n_leaves() for tree in forest.estimators_])))
        return forest.predict_proba(new)[:, 1]

    def quality(mine: list[Any], theirs: list[Any]) -> tuple[float, float, bool]:
        a, b = (float(np.mean([roc_auc_score(truth, p) for p in runs])) for runs in (mine, theirs))
        leaves = abs(np.mean(our_leaves) / np.mean(peer_leaves) - 1)
        return a, b, a >= b - WORSE and leaves <= LEAVES

    return Contest(
        name=f"random-forest {rows} x {FEATURES}, {TREES} trees, fit and predict",
        ours=ours,
        peer=peer,
        quality=quality,
        target=0.5,
        repeats=repeats,
    )


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contest and return its scores."""
    return play([contest()], threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
