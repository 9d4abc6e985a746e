"""Boosting on tables that strain it, at the equal settings of ``_boosters``.

Missing values and skewed columns and 2,000 x 5,000 against the fastest of three peers; gradient-based one-side sampling and
200,000 x 1,000 sparse columns in bundles against LightGBM with the same options.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from _boosters import BINS, LEAVES, RATE, TREES, fit_field, lightgbm_fit, run_field, table, warm
from fivefold.models.trees import GOSSClassifier
from fivefold.workbench.bench import Score


def _one_hot(n: int, seed: int, columns: int = 50, levels: int = 20) -> tuple[sp.csr_matrix, np.ndarray]:
    """Return the indicators (n, columns x levels) of categories and noisy classes (n,)."""
    stream = np.random.default_rng(seed)
    level = stream.integers(levels, size=(n, columns))
    effect = np.random.default_rng(100).standard_normal((columns, levels)) / 3
    score = effect[np.arange(columns), level].sum(axis=1)
    y = (score + stream.standard_normal(n) > 0).astype(np.int32)
    at = (level + levels * np.arange(columns)).astype(np.int32).ravel()
    ones = np.ones(n * columns, dtype=np.float32)
    return sp.csr_matrix((ones, at, columns * np.arange(n + 1)), shape=(n, columns * levels)), y


def _our_goss(X: np.ndarray, y: np.ndarray) -> Any:
    settings = {"n_estimators": TREES, "num_leaves": LEAVES, "max_bin": BINS, "learning_rate": RATE}
    return GOSSClassifier(random_state=0, **settings).fit(X, y)


def _goss(X: np.ndarray, y: np.ndarray) -> Any:
    return lightgbm_fit(X, y, data_sample_strategy="goss")


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contests and return their scores."""
    warm()
    n = 1_000_000
    fields = [
        fit_field(
            "binary 1000000 x 28, 20 % missing, skewed", lambda rows, seed: table(rows, 28, seed, missing=0.2), n, repeats=2
        ),
        fit_field("binary 2000 x 5000", lambda rows, seed: table(rows, 5_000, seed), 2_000, repeats=1, held=10_000),
        fit_field(
            "one-side sampling 1000000 x 28", lambda rows, seed: table(rows, 28, seed), n,
            mine=_our_goss, peers={"LightGBM": _goss}, target=1.2,
        ),
        fit_field(
            "bundles of 200000 x 1000 sparse", _one_hot, 200_000, peers={"LightGBM": lightgbm_fit}, target=1.2
        ),
    ]  # fmt: skip
    return [score for field in fields for score in run_field(field, threads)]


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
