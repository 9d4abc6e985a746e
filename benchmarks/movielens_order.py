"""Logistic regression, a factorization machine and DeepFM on MovieLens as a click log, each with the best of as many settings.

The label is rating >= 4, the fields are user, item, age, gender, occupation and genres, and the last fifth of the log by time
is the test. Settings are drawn at random, as many for each method, and scored on two windows of the training part that follow
their training rows in time; the best eight are scored again with three seeds. The best of each method then trains on the whole
training part with three other seeds, and once on shuffled labels. No setting sees the test rows before it is chosen.

    python benchmarks/movielens_order.py --trials 96 --jobs 16     # search and compare
    python benchmarks/movielens_order.py --chosen                  # compare with the settings that the search chose
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from scipy.stats import t

from fivefold.base.random import Streams
from fivefold.data.movielens import FEATURES, movielens_clicks
from fivefold.evaluation.registry import get_metric
from fivefold.models.recommend import DeepFM, FactorizationMachine

FIELDS = {
    **{name: kind for name, kind in FEATURES.items() if name != "history"},
    "age": {"kind": "numeric", "scale": "bucket"},
}
METHODS = ("LR", "FM", "DeepFM")
WINDOWS = ((0.0, 0.5, 0.65), (0.0, 0.65, 0.8))  # shares of the log: first training row, first and last row that scores
TEST = (0.0, 0.8, 1.0)
FINALISTS, SEEDS = 8, 3
CHOSEN = Path(__file__).with_suffix(".json")


def draw(method: str, rng: np.random.Generator) -> dict[str, Any]:
    """Return a setting of a method."""

    def between(low: float, high: float) -> float:
        return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.2g}")

    if method == "DeepFM":
        return {
            "embedding_dim": int(rng.choice([4, 8, 16])),
            "hidden_sizes": [[32, 16], [64, 32], [128, 64], [64], [64, 64, 64]][rng.integers(5)],
            "dropout": round(float(rng.uniform(0, 0.6)), 2),
            "batch_norm": bool(rng.integers(2)),
            "optimizer": ["sparse-adam", "adagrad"][rng.integers(2)],
            "learning_rate": between(5e-4, 5e-2),
            "l2": between(1e-4, 1.0),
            "batch_size": int(rng.choice([256, 512, 1024])),
            "max_epochs": int(rng.integers(1, 9)),
        }
    linear = {
        "learning_rate": between(1e-2, 0.5),
        "l2": between(1e-5, 1.0),
        "max_iter": int(rng.integers(2, 21)),
    }
    if method == "LR":
        return linear
    return {"embedding_dim": int(rng.choice([4, 8, 16])), "init_std": between(5e-3, 0.1), **linear}


def make(method: str, setting: dict[str, Any], seed: int) -> Any:
    """Return an untrained model."""
    if method == "DeepFM":
        return DeepFM(features=FIELDS, random_state=seed, **setting)
    return FactorizationMachine(features=FIELDS, random_state=seed, **{"embedding_dim": 0, **setting})


@cache
def log() -> pl.DataFrame:
    """Return the ratings in the order of time."""
    return movielens_clicks(history=1).drop("history", "time")


def area(
    method: str, setting: dict[str, Any], seed: int, window: tuple[float, float, float], shuffled: bool = False
) -> float:
    """Train before the window and return the area under the ROC curve within it."""
    torch.set_num_threads(1)
    first, start, stop = (round(share * len(log())) for share in window)
    train, test = log()[first:start], log()[start:stop]
    if shuffled:
        train = train.with_columns(click=Streams(seed).numpy("shuffled").permutation(train["click"].to_numpy()))
    p = make(method, setting, seed).fit(train, "click").predict_proba(test)[:, 1]
    return float(get_metric("roc-auc").function(test["click"].to_numpy(), p))


def search(trials: int, jobs: int) -> dict[str, Any]:
    """Return the best setting of each method by the windows of the training part."""
    chosen: dict[str, Any] = {}
    with ProcessPoolExecutor(jobs) as pool:
        tried = {m: [draw(m, Streams(0).numpy(f"settings of {m}, {k}")) for k in range(trials)] for m in METHODS}
        first = {
            m: [[pool.submit(area, m, s, 0, window) for window in WINDOWS] for s in settings]
            for m, settings in tried.items()
        }
        means = {m: np.array([np.mean([f.result() for f in row]) for row in rows]) for m, rows in first.items()}
        best = {m: np.argsort(-means[m], kind="stable")[:FINALISTS] for m in METHODS}
        again = {
            m: [
                [pool.submit(area, m, tried[m][k], seed, window) for window in WINDOWS for seed in range(1, SEEDS + 1)]
                for k in best[m]
            ]
            for m in METHODS
        }
        for m, rows in again.items():
            scores = [float(np.mean([f.result() for f in row])) for row in rows]
            winner = int(np.argmax(scores))
            chosen[m] = {"validation": round(scores[winner], 5), "setting": tried[m][int(best[m][winner])]}
            report(f"{m:7} best of {trials}: {chosen[m]}; finalists {', '.join(f'{score:.4f}' for score in scores)}")
    return chosen


def compare(chosen: dict[str, Any], jobs: int) -> dict[str, tuple[np.ndarray, float]]:
    """Train the chosen settings on all rows before the test rows; return areas by seed and the area after shuffled labels."""
    seeds = range(100, 100 + SEEDS)
    with ProcessPoolExecutor(jobs) as pool:
        runs = {m: [pool.submit(area, m, chosen[m]["setting"], seed, TEST) for seed in seeds] for m in METHODS}
        controls = {m: pool.submit(area, m, chosen[m]["setting"], 100, TEST, True) for m in METHODS}
        found = {m: (np.array([f.result() for f in runs[m]]), controls[m].result()) for m in METHODS}
        for m, (areas, control) in found.items():
            half = t.ppf(0.975, SEEDS - 1) * areas.std(ddof=1) / np.sqrt(SEEDS)
            report(
                f"{m:7} AUC {areas.mean():.4f} +- {half:.4f} (95 %, {SEEDS} seeds: {', '.join(f'{a:.4f}' for a in areas)}); "
                f"validation {chosen[m]['validation']:.4f}; shuffled labels {control:.4f}"
            )
    return found


def report(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Search unless the chosen settings are asked for, then compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--chosen", action="store_true", help=f"take the settings of {CHOSEN.name}")
    parser.add_argument("--out", type=Path, default=CHOSEN, help="where the settings go")
    options = parser.parse_args()
    if options.chosen:
        chosen = json.loads(CHOSEN.read_text(encoding="utf8"))
    else:
        chosen = search(options.trials, options.jobs)
        options.out.write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf8")
    compare(chosen, options.jobs)


if __name__ == "__main__":
    main()
