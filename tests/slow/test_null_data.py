"""Random labels stay random: encoding, selection and resampling inside the folds find nothing where there is nothing.

The table is that of the work order: 10 % positives, a category of 700 levels and noise columns, all drawn without regard to
the label. The same steps before the split are shown to fool the score, so that the check can fail.
"""

from __future__ import annotations

import math
import sys
import time

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata

from fivefold.base.cards import get_card
from fivefold.data.recipes import Recipe
from fivefold.data.resample import resample
from fivefold.data.schema import Column, Schema
from fivefold.workbench.tabular import build, fit_table

ROWS, POSITIVES, LEVELS, FOLDS = 2000, 200, 700, 5
METHODS = ("logistic-regression", "gaussian-naive-bayes", "k-nearest-neighbors", "cart-classifier")


def null_table(columns: int, seed: int) -> tuple[pl.DataFrame, Schema, np.ndarray]:
    """Return table, schema and the fold of each row; folds are stratified."""
    random = np.random.default_rng(seed)
    label = np.zeros(ROWS, dtype=np.int64)
    label[random.permutation(ROWS)[:POSITIVES]] = 1
    noise = random.standard_normal((columns, ROWS))
    frame = pl.DataFrame(
        {
            "who": [f"u{k}" for k in random.integers(0, LEVELS, ROWS)],
            **{f"x{k}": values for k, values in enumerate(noise)},
            "label": label,
        }
    )
    kinds = [Column("who", "categorical"), *(Column(f"x{k}", "numeric") for k in range(columns))]
    order = random.permutation(ROWS)
    order = order[np.argsort(label[order], kind="stable")]
    fold = np.empty(ROWS, dtype=np.int64)
    fold[order] = np.arange(ROWS) % FOLDS
    return frame, Schema([*kinds, Column("label", "numeric", role="target", classes=(0, 1))], "binary"), fold


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the rank AUC."""
    ones = int(positive.sum())
    return float((rankdata(score)[positive].sum() - ones * (ones + 1) / 2) / (ones * (len(score) - ones)))


def fold_mean(score: np.ndarray, label: np.ndarray, fold: np.ndarray) -> float:
    """Return the mean AUC of the folds."""
    return float(np.mean([auc(score[fold == k], label[fold == k] == 1) for k in range(FOLDS)]))


def honest(method: str, frame: pl.DataFrame, schema: Schema, fold: np.ndarray, seed: int) -> float:
    """Return the cross-validated AUC with everything fitted on training rows."""
    score = np.empty(ROWS)
    for k in range(FOLDS):
        train, test = frame.filter(fold != k), frame.filter(fold == k)
        model = fit_table(get_card(method), train, schema, seed=seed, encode="target", select=20, resample="oversample")
        score[fold == k] = model.predict(test.drop("label"))["probability_1"].to_numpy()
    return fold_mean(score, frame["label"].to_numpy(), fold)


def leaking(method: str, frame: pl.DataFrame, schema: Schema, fold: np.ndarray, *, drawn: bool = False) -> float:
    """Return the cross-validated AUC when encoding and selection (and with ``drawn`` oversampling) came before the split."""
    card, label = get_card(method), frame["label"].to_numpy()
    recipe = Recipe(card.recipe, schema, encode="target", select=20).fit(frame, label, classes=2)
    X = recipe.transform(frame)
    if drawn:
        rows = resample(label, strategy="oversample", random_state=0)
        X, label, fold = X[rows], label[rows], np.random.default_rng(0).permutation(np.arange(len(rows)) % FOLDS)
    score = np.empty(len(label))
    for k in range(FOLDS):
        model = build(card, card.variant(None, "binary"), {}, 0).fit(X[fold != k], label[fold != k])
        score[fold == k] = model.predict_proba(X[fold == k])[:, 1]
    return fold_mean(score, label, fold)


def say(text: str) -> None:
    """Show a line to those who run with ``-s``."""
    sys.stdout.write(text + "\n")


def deviation() -> float:
    """Return the standard deviation of a mean of fold AUCs of scores without information (that of the rank statistic)."""
    ones, zeros = POSITIVES / FOLDS, (ROWS - POSITIVES) / FOLDS
    return math.sqrt((ones + zeros + 1) / (12 * ones * zeros) / FOLDS)


def play(columns: int, seeds: int) -> dict[str, np.ndarray]:
    """Return each method's honest AUCs, one a seed."""
    found: dict[str, list[float]] = {method: [] for method in METHODS}
    for seed in range(seeds):
        table = null_table(columns, seed)
        for method in METHODS:
            found[method].append(honest(method, *table, seed))
    return {method: np.array(values) for method, values in found.items()}


def show_leaks(table: tuple[pl.DataFrame, Schema, np.ndarray]) -> None:
    """Check that the same steps before the split fool the score: the linear models by what they see of the target, all by
    copies of rows.
    """
    for method in METHODS:
        seen, copied = leaking(method, *table), leaking(method, *table, drawn=True)
        say(f"{method}: before the split: encoded and selected {seen:.3f}, oversampled too {copied:.3f}")
        assert copied > 0.6
        assert seen > 0.6 or method not in METHODS[:2]


@pytest.mark.slow
def test_random_labels_score_one_half() -> None:
    start = time.perf_counter()
    for method, values in play(2000, 20).items():
        say(f"{method}: mean AUC {values.mean():.4f} over {len(values)} seeds, deviation {values.std(ddof=1):.4f}")
        # The bound of the work order; 0.02 is 4.1 deviations of the mean of 20.
        assert 0.48 <= values.mean() <= 0.52
    show_leaks(null_table(2000, 0))
    say(f"{time.perf_counter() - start:.0f} s")
