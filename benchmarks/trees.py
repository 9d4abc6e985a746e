"""Boosting beside LightGBM, XGBoost and scikit-learn's histogram boosting at equal settings.

Equal settings: 100 trees, 31 leaves, 255 bins, rate 0.1, at least 20 rows and a Hessian of 1e-3 a leaf, no penalties, no
sampling of rows, leaf-wise growth, gradients and sums in at least 24 fraction bits on both sides (none is quantized).
Quality is the AUC on 200,000 held-out rows (for small tables: of the training rows); ours may be 0.0005 lower.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import lightgbm
import numpy as np
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_info

from fivefold.models.trees import GOSSClassifier, LGBMClassifier
from fivefold.workbench.bench import Contest, Score, play

TREES, LEAVES, BINS, RATE, LOSS_OF_AUC = 100, 31, 255, 0.1, 0.0005


def _threads() -> int:
    """Return the threads that the limit of the contest leaves to OpenMP."""
    return min([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"], default=1)


def _table(n: int, d: int, *, missing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    stream = np.random.default_rng(0)
    X = stream.standard_normal((n, d), dtype=np.float32)
    score = X[:, 0] + X[:, 1] * X[:, 2] + np.sin(2 * X[:, 3]) + X[:, 4:10].sum(axis=1) / 3
    y = (score + stream.standard_normal(n) > 0).astype(np.int32)
    if missing:
        X[:, ::3] = np.exp(2 * X[:, ::3])  # skewed columns
        X[stream.random(X.shape) < missing] = np.nan
    return X, y


def _ours(X: np.ndarray, y: np.ndarray) -> Any:
    return LGBMClassifier(n_estimators=TREES, num_leaves=LEAVES, max_bin=BINS, learning_rate=RATE).fit(X, y)


def _lightgbm(X: np.ndarray, y: np.ndarray, **extra: Any) -> Any:
    model = lightgbm.LGBMClassifier(
        n_estimators=TREES, num_leaves=LEAVES, max_bin=BINS, learning_rate=RATE, n_jobs=_threads(), verbose=-1, **extra
    )
    return model.fit(X, y)


def _xgboost(X: np.ndarray, y: np.ndarray) -> Any:
    model = xgboost.XGBClassifier(
        n_estimators=TREES, max_leaves=LEAVES, max_depth=0, grow_policy="lossguide", max_bin=BINS, learning_rate=RATE,
        tree_method="hist", min_child_weight=1e-3, reg_lambda=0.0, n_jobs=_threads(),
    )  # fmt: skip
    return model.fit(X, y)


def _histogram(X: np.ndarray, y: np.ndarray) -> Any:
    model = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        max_bins=BINS,
        learning_rate=RATE,
        min_samples_leaf=20,
        early_stopping=False,
    )
    return model.fit(X, y)


def _fit_contest(
    name: str, X: np.ndarray, y: np.ndarray, peer: Callable[..., Any], *, ours: Any = _ours, target: float = 1.0
) -> Contest:
    held = slice(0, min(len(X), 200_000))

    def auc(models: list[Any]) -> float:
        return float(roc_auc_score(y[held], models[0].predict_proba(X[held])[:, 1]))

    def quality(mine: list[Any], theirs: list[Any]) -> tuple[float, float, bool]:
        a, b = auc(mine), auc(theirs)
        return a, b, a >= b - LOSS_OF_AUC

    return Contest(
        name=f"{name} vs {peer.__name__.strip('_')}",
        ours=lambda run: ours(X, y),
        peer=lambda run: peer(X, y),
        quality=quality,
        target=target,
        repeats=3,
    )


def _predict_contests() -> list[Contest]:
    X, y = _table(1_000_000, 28)
    part = slice(0, 100_000)
    ours, light, extreme = _ours(X[part], y[part]), _lightgbm(X[part], y[part]), _xgboost(X[part], y[part])
    peers = {
        "lightgbm": lambda Z: light.predict(Z, raw_score=True),
        "xgboost": lambda Z: extreme.predict(Z, output_margin=True),
    }
    contests = []
    for rows, repeat in ((1_000_000, 1), (1, 200)):
        for name, predict in peers.items():
            Z = X[:rows]

            def run_ours(run: int, Z: np.ndarray = Z, repeat: int = repeat) -> Any:
                return [ours.predict_raw(Z) for _ in range(repeat)][-1]

            def run_peer(run: int, Z: np.ndarray = Z, repeat: int = repeat, predict: Any = predict) -> Any:
                return [predict(Z) for _ in range(repeat)][-1]

            contests.append(
                Contest(
                    name=f"predict {rows} rows, {TREES} trees vs {name}",
                    ours=run_ours,
                    peer=run_peer,
                    quality=lambda mine, theirs: (float(np.mean(mine[0])), float(np.mean(theirs[0])), True),
                    target=1.0,
                )
            )
    return contests


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contests and return their scores."""
    scores = []
    for name, n, d, missing in (
        ("binary 1M x 28", 1_000_000, 28, 0.0),
        ("binary 10k x 28", 10_000, 28, 0.0),
        ("binary 2k x 5000", 2_000, 5_000, 0.0),
        ("binary 1M x 28, 20 % missing, skewed", 1_000_000, 28, 0.2),
    ):
        X, y = _table(n, d, missing=missing)
        scores += play([_fit_contest(name, X, y, peer) for peer in (_lightgbm, _xgboost, _histogram)], threads)

    def goss(X: np.ndarray, y: np.ndarray) -> Any:
        return _lightgbm(X, y, data_sample_strategy="goss")

    def ours_goss(X: np.ndarray, y: np.ndarray) -> Any:
        return GOSSClassifier(
            n_estimators=TREES, num_leaves=LEAVES, max_bin=BINS, learning_rate=RATE, random_state=0
        ).fit(X, y)

    X, y = _table(1_000_000, 28)
    scores += play([_fit_contest("goss 1M x 28", X, y, goss, ours=ours_goss, target=1.2)], threads)
    return scores + play(_predict_contests(), threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
