"""CART beside scikit-learn: full trees and trees with 20-row leaves, on real data and on 200,000 x 20 rows.

Quality is the score on rows held out (accuracy or R²); ours may be at most 0.01 below the peer's, for equal gains are told
apart by chance there and by a rule here. FIVEFOLD_DATA_MIRROR lets the real data be read without the network.

    python benchmarks/cart.py [california] [higgs] [wide]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn import tree as peers

from fivefold.data.datasets import load_dataset
from fivefold.models.trees import DecisionTreeClassifier, DecisionTreeRegressor
from fivefold.workbench.bench import Contest, Score, play


def california() -> tuple[np.ndarray, np.ndarray]:
    """Return the numeric columns, missing values included, and the house values."""
    frame = load_dataset("california-housing").frame
    columns = [name for name in frame.columns if name not in ("ocean_proximity", "median_house_value")]
    X = frame.select(columns).to_numpy().astype(np.float64)
    return X, frame["median_house_value"].to_numpy().astype(np.float64)


def higgs() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_dataset("higgs-sample").xy()
    return np.asarray(X, dtype=np.float64), np.asarray(y)


def wide() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200_000, 20))
    return X, X[:, 0] * 2 + np.sin(3 * X[:, 1]) + X[:, 2] * X[:, 3] + rng.normal(size=len(X))


def contest(
    name: str, X: np.ndarray, y: np.ndarray, kinds: tuple[Callable[..., Any], Callable[..., Any]], **params: Any
) -> Contest:
    held = np.random.default_rng(1).random(len(X)) < 0.2

    def score(models: list[Any]) -> float:
        return float(np.mean([model.score(X[held], y[held]) for model in models[:2]]))

    def quality(ours: list[Any], peer: list[Any]) -> tuple[float, float, bool]:
        a, b = score(ours), score(peer)
        return a, b, a >= b - 0.01

    def run(kind: Callable[..., Any]) -> Callable[[int], Any]:
        return lambda seed: kind(random_state=seed, **params).fit(X[~held], y[~held])

    options = ", ".join(f"{key}={value}" for key, value in params.items())
    return Contest(name=f"cart {name} {options}".strip(), ours=run(kinds[0]), peer=run(kinds[1]), quality=quality)


def contests(name: str) -> list[Contest]:
    regressors = (DecisionTreeRegressor, peers.DecisionTreeRegressor)
    classifiers = (DecisionTreeClassifier, peers.DecisionTreeClassifier)
    if name == "california":
        X, y = california()
        return [contest(name, X, y, regressors), contest(name, X, y, regressors, min_samples_leaf=20)]
    if name == "higgs":
        X, y = higgs()
        return [contest(name, X, y, classifiers), contest(name, X, y, classifiers, min_samples_leaf=20)]
    X, y = wide()
    classes = np.digitize(y, [-1.0, 1.0])
    return [
        contest("200k x 20 regression", X, y, regressors),
        contest("200k x 20 regression", X, y, regressors, min_samples_leaf=20),
        contest("200k x 20 two classes", X, y > 0, classifiers),
        contest("200k x 20 three classes", X, classes, classifiers, min_samples_leaf=20),
        contest("200k x 20 three classes", X, classes, classifiers, min_samples_leaf=20, criterion="entropy"),
    ]


def main(threads: Sequence[int] = (1, 2), names: Sequence[str] = ("california", "higgs", "wide")) -> list[Score]:
    """Run the contests and return their scores."""
    return [score for name in names for score in play(contests(name), threads)]


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main(names=sys.argv[1:] or ("california", "higgs", "wide"))))
