"""NGBoost on California housing beside the ngboost package: 500 rounds of depth 3, rate 0.01, Normal, 80 % of the rows.

Equal settings: log score, natural gradient, all rows and columns, one row a leaf at least. The package splits exactly, ours
at 255 bins a column. Fails when the negative log-likelihood of the held-out rows is worse by more than 0.001 (a tenth of the
standard error of its mean), when fewer than 87 % or more than 93 % of them lie in the 90 % intervals, when the CRPS is not
below that of a Normal with one variance around the same means, or when the ratio misses its target.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from ngboost import NGBRegressor as Peer

from fivefold.data.datasets import load_dataset
from fivefold.models.trees import NGBRegressor
from fivefold.models.trees.boosting._distributions import Normal
from fivefold.workbench.bench import Contest, Score, play

ROUNDS, WORSE, COVER = 500, 0.001, (0.87, 0.93)


def contest(rounds: int = ROUNDS, repeats: int = 1) -> Contest:
    """Return the contest."""
    X, y = load_dataset("california-housing").xy()
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64) / 1e5
    order = np.random.default_rng(0).permutation(len(y))
    held, kept = order[: len(y) // 5], order[len(y) // 5 :]

    def ours(run: int) -> np.ndarray:
        return (
            NGBRegressor(n_estimators=rounds, splitter="exact", random_state=run)
            .fit(X[kept], y[kept])
            .pred_dist(X[held])
            .raw
        )

    def peer(run: int) -> np.ndarray:
        # Its trees break ties of columns at random.
        model = Peer(n_estimators=rounds, random_state=run, verbose=False).fit(X[kept], y[kept])
        return model.pred_param(X[held]).T

    def quality(mine: list[Any], theirs: list[Any]) -> tuple[float, float, bool]:
        a, b = (float(np.mean([Normal(raw).scores(y[held]).mean() for raw in runs])) for runs in (mine, theirs))
        dist = Normal(mine[0])
        low, high = dist.interval(0.9)
        covered = float(np.mean((low <= y[held]) & (y[held] <= high)))
        width = np.full(len(held), np.log(np.std(y[held] - dist.loc)))
        constant = Normal(np.stack([dist.loc, width]))
        sharp = dist.crps(y[held]).mean() < constant.crps(y[held]).mean()
        return a, b, bool(a <= b + WORSE and COVER[0] <= covered <= COVER[1] and sharp)

    return Contest(
        name=f"ngboost {len(kept)} x {X.shape[1]} California housing, {rounds} rounds, fit and predict",
        ours=ours,
        peer=peer,
        quality=quality,
        target=0.2,
        repeats=repeats,
    )


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contest and return its scores."""
    return play([contest()], threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
