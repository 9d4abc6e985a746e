"""Boosting beside LightGBM, XGBoost and scikit-learn's histogram boosting at the equal settings of ``_boosters``.

Fits of 1,000,000 x 28 and 10,000 x 28 and predictions against the fastest of the three; the memory of a fit beside
LightGBM's; and what a first call takes more than a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from _boosters import (
    Field,
    first_calls,
    fit_field,
    histogram_fit,
    lightgbm_fit,
    memory,
    ours,
    run_field,
    table,
    warm,
    xgboost_fit,
)
from fivefold.workbench.bench import Score


def _repeated(predict: Callable[[np.ndarray], Any], times: int) -> Callable[[np.ndarray], Any]:
    return lambda Z: [predict(Z) for _ in range(times)][-1]


def _prediction(rows: int, times: int, repeats: int) -> Field:
    X, y = table(max(rows, 100_000), 28)
    part = slice(0, 100_000)
    models = [fit(X[part], y[part]) for fit in (ours, lightgbm_fit, xgboost_fit, histogram_fit)]
    mine, light, extreme, histogram = models
    runs = {
        "ours": mine.predict_raw,
        "LightGBM": lambda Z: light.predict(Z, raw_score=True),
        "XGBoost": lambda Z: extreme.predict(Z, output_margin=True),
        "scikit-learn": histogram.decision_function,
    }
    return Field(
        name=f"prediction of {rows} rows, 100 trees" + (f", {times} times" if times > 1 else ""),
        data=lambda run: ((X[:rows],),),
        runs={name: _repeated(predict, times) for name, predict in runs.items()},
        quality=lambda data, scores: float(np.mean(scores)),
        loss=np.inf,
        repeats=repeats,
    )


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contests and return their scores."""
    warm()
    scores = first_calls()
    for n, repeats in ((1_000_000, 3), (10_000, 40)):  # models of few rows differ by more
        field = fit_field(f"binary {n} x 28", lambda rows, seed: table(rows, 28, seed), n, repeats=repeats)
        scores += run_field(field, threads)
    for rows, times, repeats in ((1_000_000, 1, 3), (1, 200, 5)):
        scores += run_field(_prediction(rows, times, repeats), threads)
    return scores + memory(str(Path(__file__).parent), threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
