"""Categorical tables beside CatBoost: California housing with binned columns, and an Adult-like table of many levels.

Equal settings: 200 trees of depth 6, rate 0.1, one Newton step a leaf where the peer lets us choose it, and every other
parameter at CatBoost's default on both sides (Plain boosting, MVS on 80 % of the rows, 254 cuts, combinations of up to four
categorical columns). Quality is the log loss on held-out rows; ours may be 1 % higher.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import catboost
import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_info

from fivefold.data.datasets import load_dataset
from fivefold.models.trees import CatBoostClassifier
from fivefold.workbench.bench import Contest, Score, play

WORSE = 1.01
SHARED = {"iterations": 200, "depth": 6, "learning_rate": 0.1}


def _threads() -> int:
    """Return the threads that the limit of the contest leaves to OpenMP."""
    return min([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"], default=1)


def housing() -> tuple[pd.DataFrame, np.ndarray]:
    """Return California housing with the place in cells and four columns in bins, and whether a house is above the median."""
    frame = load_dataset("california-housing").frame.to_pandas()
    y = (frame.pop("median_house_value") > 180_000).to_numpy().astype(int)
    cells = (
        (frame["latitude"] * 4).round().astype(int).astype(str)
        + "/"
        + (frame["longitude"] * 4).round().astype(int).astype(str)
    )
    table = pd.DataFrame({"cell": cells, "ocean": frame["ocean_proximity"].astype(str)})
    for name, bins in (("housing_median_age", 20), ("households", 20), ("population", 50), ("total_rooms", 50)):
        table[name] = pd.qcut(frame[name], bins, labels=False, duplicates="drop").astype(str)
    return table.assign(income=frame["median_income"], bedrooms=frame["total_bedrooms"]), y


def adult(n: int = 40_000) -> tuple[pd.DataFrame, np.ndarray]:
    """Return columns of 2, 7, 16, 40, 300 and 2,000 levels beside six of numbers, and labels."""
    stream = np.random.default_rng(0)
    codes, score = [], np.zeros(n)
    for size in (2, 7, 16, 40, 300, 2000):
        chances = stream.dirichlet(np.full(size, 0.5)) if size < 1000 else np.full(size, 1 / size)
        codes.append(stream.choice(size, n, p=chances))
        score += 0.6 * stream.normal(size=size)[codes[-1]]
    score += 0.8 * stream.normal(size=(7, 16))[codes[1], codes[2]]
    numbers = stream.normal(size=(n, 6))
    score += 0.5 * numbers[:, 0] + np.sin(2 * numbers[:, 1]) + 0.5 * numbers[:, 2] * numbers[:, 3] - 1
    table = {f"c{i}": pd.Series(c).astype(str) for i, c in enumerate(codes)} | {
        f"x{i}": numbers[:, i] for i in range(6)
    }
    return pd.DataFrame(table), (score + stream.logistic(size=n) > 0).astype(int)


def contest(name: str, X: pd.DataFrame, y: np.ndarray, repeats: int = 3) -> Contest:
    """Return the contest on one table."""
    held = np.random.default_rng(1).random(len(y)) < 0.25
    names = [c for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])]

    def ours(run: int) -> np.ndarray:
        return CatBoostClassifier(random_state=run, **SHARED).fit(X[~held], y[~held]).predict_proba(X[held])

    def peer(run: int) -> np.ndarray:
        model = catboost.CatBoostClassifier(
            random_seed=run, thread_count=_threads(), cat_features=names, verbose=False, allow_writing_files=False,
            leaf_estimation_iterations=1, **SHARED,
        )  # fmt: skip
        return model.fit(X[~held], y[~held]).predict_proba(X[held])

    def quality(mine: list[Any], theirs: list[Any]) -> tuple[float, float, bool]:
        a, b = (float(np.mean([log_loss(y[held], p) for p in runs])) for runs in (mine, theirs))
        return a, b, a <= WORSE * b

    return Contest(
        name=f"catboost {name} {int((~held).sum())} x {X.shape[1]}, fit and predict",
        ours=ours,
        peer=peer,
        quality=quality,
        target=1.0,
        repeats=repeats,
    )


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contests and return their scores."""
    return play([contest("California housing in bins", *housing()), contest("Adult-like", *adult())], threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
