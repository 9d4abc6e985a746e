"""How often the comparison errs: real cross-validated fits on simulated tables where the truth is known.

Eight linear discriminants see the same rows through their own noisy views; the views share the signal and part of the noise,
so the methods' errors are correlated as they are in practice. Tables of 5,000 rows leave 4,000 beside the sealed test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from fivefold.workbench.comparison.statistics import compare_with_best, holm

pytestmark = pytest.mark.slow
METHODS = 8


def aucs(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the rank AUC of every row of ``score`` (methods, rows)."""
    ranks = rankdata(score, axis=1)
    n1 = int(positive.sum())
    n0 = len(positive) - n1
    return (ranks[:, positive].sum(axis=1) - n1 * (n1 + 1) / 2) / (n1 * n0)


def fold_scores(
    rng: np.random.Generator,
    rows: int,
    *,
    auc: float = 0.80,
    better: float = 0.0,
    shared: float | tuple[float, ...] = 0.5,
    folds: int = 5,
    repeats: int = 1,
    depth: int = 4,
    positives: float = 0.5,
) -> np.ndarray:
    """Return cross-validated AUCs (methods, folds x repeats) of eight equally good methods, the last better by ``better``.

    ``shared`` is the share of a view's noise that is common to all of them, one number or one a method; ``depth`` the columns
    of a view: the signal is in the first, the others have to be learned to be noise.
    """
    y = rng.random(rows) < positives
    distance = np.sqrt(2) * norm.ppf(auc)
    common = np.broadcast_to(np.asarray(shared), METHODS)
    own = 1 - common
    own[-1] = (norm.ppf(auc) / norm.ppf(auc + better)) ** 2 - common[-1]
    views = rng.standard_normal((METHODS, rows, depth))
    noise = np.sqrt(common)[:, None] * rng.standard_normal(rows) + np.sqrt(own)[:, None] * views[:, :, 0]
    views[:, :, 0] = distance * y + noise
    scores = []
    for _ in range(repeats):
        fold = rng.permutation(np.arange(rows) % folds)
        for k in range(folds):
            train, test = views[:, fold != k], views[:, fold == k]
            label = y[fold != k]
            mean1, mean0 = train[:, label].mean(axis=1), train[:, ~label].mean(axis=1)
            centered = train - np.where(label[:, None], mean1[:, None], mean0[:, None])
            within = np.einsum("mni,mnj->mij", centered, centered) / train.shape[1]
            weights = np.linalg.solve(within, (mean1 - mean0)[:, :, None])
            scores.append(aucs((test @ weights)[:, :, 0], y[fold == k]))
    return np.array(scores).T


def named(scores: np.ndarray) -> dict[str, np.ndarray]:
    return {f"m{i}": row for i, row in enumerate(scores)}


def simulate(sets: int, rows: int, *, seed: int = 0, **facts: Any) -> tuple[float, float, float]:
    """Return three rates: some method declared worse; ``m7`` is the best; and it alone is in the group."""
    folds = facts.get("folds", 5)
    worse = best = alone = 0
    for s in range(sets):
        scores = fold_scores(np.random.default_rng([seed, s]), rows, **facts)
        found = compare_with_best(named(scores), higher_is_better=True, test_share=1 / (folds - 1))
        worse += len(found.group) < METHODS
        best += found.best == "m7"
        alone += found.group == ("m7",)
    return worse / sets, best / sets, alone / sets


LADDER = (0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)  # methods whose differences to each other vary unequally


@pytest.mark.parametrize(
    ("rows", "facts"),
    [
        (4000, {}),
        (4000, {"shared": 0.9}),
        (4000, {"shared": LADDER}),
        (4000, {"folds": 3}),
        (4000, {"folds": 10}),
        (1000, {"positives": 0.05}),
        (400, {"repeats": 5}),
    ],
    ids=["five-folds", "alike", "unequal-variance", "three-folds", "ten-folds", "rare", "repeats"],
)
def test_of_eight_equal_methods_one_is_declared_worse_in_seven_percent_of_tables_at_most(rows, facts):
    worse, _, _ = simulate(200, rows, seed=3, **facts)
    assert worse <= 0.07


def test_a_small_unstable_table_repeated_often_needs_the_pairs():
    """The hardest case seen: the rate is near 7 % over pairs, so 100 tables may show three standard errors more."""
    worse = alone = 0
    for s in range(100):
        scores = fold_scores(np.random.default_rng([3, s]), 200, depth=30, repeats=10)
        found = compare_with_best(named(scores), higher_is_better=True, test_share=0.25)
        worse += len(found.group) < METHODS
        alone += bool((holm(np.array([d.p_value for d in found.differences.values()])) < 0.05).any())
    assert worse / 100 <= 0.07 + 3 * np.sqrt(0.07 * 0.93 / 100)
    assert alone / 100 > 0.07  # Holm alone does not hold the level here


@pytest.mark.parametrize("shared", [0.5, 0.6])
def test_a_method_better_by_five_points_of_auc_is_found_and_the_others_are_declared_worse(shared):
    _, best, alone = simulate(200, 4000, seed=4, better=0.05, shared=shared)
    assert best >= 0.95
    assert alone >= 0.80


def test_the_simulated_methods_have_the_auc_they_are_meant_to_have():
    scores = np.mean([fold_scores(np.random.default_rng([5, s]), 4000, better=0.05) for s in range(20)], axis=(0, 2))
    # A mean over 20 tables of 4,000 rows has a standard error of about 0.007 / sqrt(20).
    np.testing.assert_allclose(scores[:-1], 0.80, atol=0.008)
    np.testing.assert_allclose(scores[-1], 0.85, atol=0.008)
