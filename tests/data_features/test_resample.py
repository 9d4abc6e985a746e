"""Resampling by class and the correction of probabilities back to the true class shares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from fivefold.base.errors import DataError, InputError, UnknownNameError
from fivefold.data.resample import class_shares, correct_prior, resample

Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [100, 30, 7]))


def test_oversampling_keeps_every_row_and_fills_up() -> None:
    rows = resample(Y, strategy="oversample", random_state=1)
    assert np.bincount(Y[rows]).tolist() == [100, 100, 100]
    assert set(rows.tolist()) == set(range(len(Y))) and (np.diff(rows) >= 0).all()
    assert np.bincount(rows)[Y == 0].max() == 1
    # Draws are uniform: 93 in 7 rows, mean 13.3, deviation 3.4; the bound is six of them.
    assert np.abs(np.bincount(rows)[Y == 2] - 100 / 7).max() < 20.4


def test_undersampling_repeats_no_row() -> None:
    rows = resample(Y, strategy="undersample", random_state=1)
    assert np.bincount(Y[rows]).tolist() == [7, 7, 7]
    assert len(set(rows.tolist())) == 21 and (np.diff(rows) > 0).all()
    assert np.array_equal(rows, resample(Y, strategy="undersample", random_state=1))
    assert not np.array_equal(rows, resample(Y, strategy="undersample", random_state=2))


@pytest.mark.parametrize("strategy", ["oversample", "undersample"])
def test_weights_balance_the_classes_and_zero_is_absence(strategy: str) -> None:
    weight = np.where(Y == 0, 0.5, 2.0)
    weight[np.flatnonzero(Y == 1)[:10]] = 0.0
    rows = resample(Y, strategy=strategy, random_state=0, sample_weight=weight)
    assert (weight[rows] > 0).all()
    totals = np.bincount(Y[rows], weights=weight[rows])
    goal = 50.0 if strategy == "oversample" else 14.0
    assert np.abs(totals - goal).max() <= 2.0  # one row of the heavy classes
    shares = class_shares(Y, 3, weight)
    assert np.allclose(shares, np.array([50.0, 40.0, 14.0]) / 104)
    same = resample(Y, strategy=strategy, random_state=0, sample_weight=np.full(len(Y), 0.1))
    assert np.array_equal(same, resample(Y, strategy=strategy, random_state=0))


def gaussian_posterior(x: np.ndarray, shares: np.ndarray, means: np.ndarray) -> np.ndarray:
    dense = shares * norm.pdf(x[:, None], means)
    return dense / dense.sum(axis=1, keepdims=True)


def test_correction_is_exact_for_gaussian_classes() -> None:
    """Bayes' rule under one prior, corrected, is Bayes' rule under the other."""
    x, means = np.linspace(-4, 6, 101), np.array([-1.0, 0.5, 3.0])
    trained, true = np.full(3, 1 / 3), np.array([0.7, 0.25, 0.05])
    given = gaussian_posterior(x, trained, means)
    assert np.abs(correct_prior(given, trained, true) - gaussian_posterior(x, true, means)).max() < 1e-14
    assert np.abs(given - gaussian_posterior(x, true, means)).max() > 0.1
    assert np.array_equal(correct_prior(given, true, true), given / given.sum(axis=1, keepdims=True))
    back = correct_prior(correct_prior(given, trained, true), true, trained)
    assert np.abs(back - given).max() < 1e-14


def test_a_model_fitted_on_resampled_rows_matches_after_correction() -> None:
    """Maximum likelihood fits of Gaussian classes: only the shares differ between the two fits, up to the draws."""
    random = np.random.default_rng(0)
    y = (random.random(40_000) < 0.1).astype(int)
    x = random.normal(size=len(y)) + 1.5 * y
    grid = np.linspace(-2, 4, 25)
    rows = resample(y, strategy="oversample", random_state=0)

    def fitted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return gaussian_posterior(grid, class_shares(y, 2), np.array([x[y == k].mean() for k in (0, 1)]))

    corrected = correct_prior(fitted(x[rows], y[rows]), class_shares(y[rows], 2), class_shares(y, 2))
    # The redrawn mean of 4,000 rows is off by 1/sqrt(4000) = 0.016; the log odds move by at most |x - m| times that, and a
    # probability by a quarter of it: five deviations at |x - m| = 3.5 are 0.07.
    assert np.abs(corrected - fitted(x, y)).max() < 0.07
    assert np.abs(fitted(x[rows], y[rows]) - fitted(x, y)).max() > 0.3


def test_zeros_stay_zero() -> None:
    moved = correct_prior([[1.0, 0.0], [0.5, 0.5]], [0.5, 0.5], [0.9, 0.1])
    assert moved[0].tolist() == [1.0, 0.0] and moved[1] == pytest.approx([0.9, 0.1], rel=1e-15)


@pytest.mark.parametrize(
    ("given", "trained", "true", "words"),
    [
        (
            [[0.5, 0.5]],
            [1.0],
            [0.5, 0.5],
            r"must have shape \(n, k\) and the shares \(k,\); got \(1, 2\), \(1,\) and \(2,\)",
        ),
        ([[0.5, 0.5]], [0.5, 0.5], [1.0, 0.0], "The class shares must be positive and finite"),
        ([[0.5, 0.5]], [0.0, 1.0], [0.5, 0.5], "The class shares must be positive and finite"),
        ([[-0.1, 1.1]], [0.5, 0.5], [0.5, 0.5], "probabilities must be >= 0 with a positive one in every row"),
        ([[0.0, 0.0]], [0.5, 0.5], [0.5, 0.5], "probabilities must be >= 0 with a positive one in every row"),
        ([[np.nan, 1.0]], [0.5, 0.5], [0.5, 0.5], "probabilities must be >= 0 with a positive one in every row"),
    ],
)
def test_bad_corrections(given, trained, true, words: str) -> None:
    with pytest.raises(InputError, match=words):
        correct_prior(given, trained, true)


def test_bad_resampling() -> None:
    with pytest.raises(UnknownNameError, match="Unknown resampling strategy 'over'; did you mean one of: oversample"):
        resample(Y, strategy="over", random_state=0)
    with pytest.raises(InputError, match="one-dimensional and of one length, the weights finite and >= 0"):
        resample(Y, strategy="oversample", random_state=0, sample_weight=-np.ones(len(Y)))
    with pytest.raises(DataError, match="There is no row with a positive weight to resample"):
        resample(Y, strategy="oversample", random_state=0, sample_weight=np.zeros(len(Y)))
