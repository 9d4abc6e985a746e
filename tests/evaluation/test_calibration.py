"""Calibration: parity with scikit-learn, Cox's recalibration against other optimizers, and what is refused."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from fivefold.base.errors import DataError, InputError
from fivefold.evaluation.calibration import (
    calibration_slope_intercept,
    expected_calibration_error,
    reliability_curve,
    top_label,
)


def simulate(rows: int, tilt: float = 1.0, shift: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return y drawn with log-odds z and the stated probabilities σ(shift + tilt z)."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-0.5, 1.5, rows)
    return (rng.random(rows) < expit(z)).astype(np.int64), expit(shift + tilt * z)


@pytest.mark.parametrize("strategy", ["quantile", "uniform"])
@pytest.mark.parametrize("bins", [1, 2, 7, 10, 33])
@pytest.mark.parametrize("digits", [1, 2, None])
def test_reliability_equals_scikit_learn(strategy: Any, bins: int, digits: int | None) -> None:
    y, p = simulate(1003, 1.4)
    p = p if digits is None else np.round(p, digits)
    observed, predicted = calibration_curve(y, p, n_bins=bins, strategy=strategy)
    mine = reliability_curve(y, p, n_bins=bins, strategy=strategy)
    np.testing.assert_array_equal(mine[0], predicted)
    np.testing.assert_array_equal(mine[1], observed)
    assert mine[2].sum() == 1003
    assert len(mine[2]) <= bins


def test_tied_probabilities_share_a_bin() -> None:
    predicted, observed, rows = reliability_curve([0, 1, 0, 1, 1, 0], [0.3, 0.3, 0.3, 0.3, 0.3, 0.9], n_bins=3)
    assert rows.tolist() == [5, 1]
    np.testing.assert_allclose(predicted, [0.3, 0.9], rtol=1e-15)
    np.testing.assert_allclose(observed, [0.6, 0.0], rtol=1e-15)


def test_an_edge_belongs_to_the_bin_below() -> None:
    predicted, _, rows = reliability_curve([0, 1, 1], [0.5, 0.25, 0.75], n_bins=2, strategy="uniform")
    assert rows.tolist() == [2, 1]
    assert predicted.tolist() == [0.375, 0.75]


def test_whole_weights_repeat_rows() -> None:
    y, p = simulate(400, 1.4)
    times = np.random.default_rng(1).integers(0, 5, 400)
    plain = reliability_curve(np.repeat(y, times), np.repeat(p, times), strategy="uniform")
    weighed = reliability_curve(y, p, times, strategy="uniform")
    np.testing.assert_allclose(weighed[0], plain[0], rtol=1e-12)
    np.testing.assert_allclose(weighed[1], plain[1], rtol=1e-12)
    assert weighed[2].sum() == (times > 0).sum()
    repeated = expected_calibration_error(np.repeat(y, times), np.repeat(p, times))
    assert expected_calibration_error(y, p, times) == pytest.approx(repeated, rel=1e-12)


def test_quantile_bins_hold_equal_weight() -> None:
    y, p = simulate(5000)
    weight = np.random.default_rng(1).exponential(size=5000) * np.where(p > 0.5, 3.0, 1.0)
    plain = reliability_curve(y, p)
    for equal in (np.ones(5000), np.full(5000, 0.1)):
        assert reliability_curve(y, p, equal)[2].tolist() == plain[2].tolist()
    predicted, _, rows = reliability_curve(y, p, weight, n_bins=8)
    ends = np.cumsum(rows)
    share = np.add.reduceat(weight[np.argsort(p)], np.concatenate([[0], ends[:-1]])) / weight.sum()
    # An edge may fall short of its quantile by one row.
    np.testing.assert_allclose(share, 1 / 8, atol=2 * weight.max() / weight.sum())
    scaled = reliability_curve(y, p, 4.0 * weight, n_bins=8)
    np.testing.assert_allclose(scaled[0], predicted, rtol=1e-12)


def test_expected_calibration_error_by_hand() -> None:
    y, p = [0, 1, 1, 0], [0.1, 0.3, 0.9, 0.7]
    # Bins [0, .5] and (.5, 1]: |.5 - .2| and |.5 - .8|, half the rows each.
    assert expected_calibration_error(y, p, n_bins=2) == pytest.approx(0.3, rel=1e-14)
    # Weight 3 on the first row: predicted .15, observed .25; weights 4 and 2 of 6.
    assert expected_calibration_error(y, p, [3, 1, 1, 1], n_bins=2) == pytest.approx((4 * 0.1 + 2 * 0.3) / 6, rel=1e-14)
    assert expected_calibration_error([0, 1], [0.0, 1.0]) == 0.0
    assert expected_calibration_error([1, 0], [0.0, 1.0]) == 1.0


def test_default_bins_of_the_error_are_uniform() -> None:
    y, p = simulate(500, 2.0)
    assert expected_calibration_error(y, p) == expected_calibration_error(y, p, strategy="uniform", n_bins=10)
    assert expected_calibration_error(y, p) != expected_calibration_error(y, p, strategy="quantile")


def test_a_million_rows_take_little_time() -> None:
    y, p = simulate(1_000_000)
    start = time.perf_counter()
    reliability_curve(y, p)
    reliability_curve(y, p, strategy="uniform")
    assert time.perf_counter() - start < 3.0  # about 0.15 s on an idle core


@pytest.mark.parametrize("weighted", [False, True])
def test_slope_and_intercept_equal_other_optimizers(weighted: bool) -> None:
    y, p = simulate(800, 1.7, 0.4)
    weight = np.random.default_rng(3).exponential(size=800) if weighted else None
    mine = calibration_slope_intercept(y, p, weight)
    x, w = logit(p), np.ones(800) if weight is None else weight
    peer = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky", max_iter=200)
    peer.fit(x[:, None], y, sample_weight=weight)
    assert mine.slope == pytest.approx(peer.coef_[0, 0], abs=1e-8)
    assert mine.intercept == pytest.approx(peer.intercept_[0], abs=1e-8)

    def loss(a: float, b: float) -> float:
        return float(w @ np.logaddexp(0, np.where(y == 1, -1, 1) * (a + b * x)))

    # The score equations hold, and the curvature by finite differences gives the standard error.
    q = expit(mine.intercept + mine.slope * x)
    assert abs(w @ (y - q)) < 1e-8 and abs(w @ ((y - q) * x)) < 1e-8
    h = 1e-3
    a, b = mine.intercept, mine.slope
    grid = [[loss(a + i * h, b + j * h) for j in (-1, 0, 1)] for i in (-1, 0, 1)]
    aa, bb = grid[2][1] - 2 * grid[1][1] + grid[0][1], grid[1][2] - 2 * grid[1][1] + grid[1][0]
    ab = (grid[2][2] - grid[2][0] - grid[0][2] + grid[0][0]) / 4
    error = np.sqrt(np.linalg.inv(np.array([[aa, ab], [ab, bb]]) / h**2)[1, 1])
    assert mine.slope_standard_error == pytest.approx(error, rel=1e-4)
    alone = minimize(lambda t: loss(t[0], 1.0), [0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert mine.intercept_given_slope_1 == pytest.approx(alone.x[0], abs=1e-6)


@pytest.mark.parametrize(
    ("tilt", "shift", "slope", "intercept"),
    [(1.0, 0.0, 1.0, 0.0), (2.0, 0.0, 0.5, 0.0), (0.5, 0.0, 2.0, 0.0), (1.0, 0.7, 1.0, -0.7)],
)
def test_slope_recovers_what_was_done(tilt: float, shift: float, slope: float, intercept: float) -> None:
    y, p = simulate(60_000, tilt, shift)
    found = calibration_slope_intercept(y, p)
    x = logit(p)
    q = expit(intercept + slope * x)  # the true probabilities
    design = np.stack([np.ones(len(x)), x])
    errors = np.sqrt(np.diag(np.linalg.inv((design * (q * (1 - q))) @ design.T)))
    # Five standard errors: a correct fit fails in one of two million draws.
    assert abs(found.intercept - intercept) < 5 * errors[0]
    assert abs(found.slope - slope) < 5 * errors[1]
    assert found.slope_standard_error == pytest.approx(errors[1], rel=0.05)
    if tilt == 1.0:
        assert abs(found.intercept_given_slope_1 - intercept) < 5 / np.sqrt((q * (1 - q)).sum())


def test_standard_error_is_the_spread_of_the_slope() -> None:
    found = [calibration_slope_intercept(*simulate(1000, seed=s)) for s in range(200)]
    spread = np.std([c.slope for c in found], ddof=1)
    # The standard deviation of 200 draws is itself known to 1 / sqrt(400) = 5 %.
    assert np.mean([c.slope_standard_error for c in found]) == pytest.approx(spread, rel=0.2)


def test_weights_count_rows() -> None:
    y, p = simulate(300, 1.5)
    times = np.random.default_rng(1).integers(0, 4, 300)
    plain = calibration_slope_intercept(np.repeat(y, times), np.repeat(p, times))
    weighed = calibration_slope_intercept(y, p, times)
    for field in ("slope", "intercept", "intercept_given_slope_1", "slope_standard_error"):
        assert getattr(weighed, field) == pytest.approx(getattr(plain, field), rel=1e-9)


def test_zero_and_one_are_clipped() -> None:
    y, p = np.array([0, 0, 1, 1, 0, 1, 1, 0]), np.array([0.0, 0.2, 1.0, 0.7, 0.6, 0.4, 0.9, 1.0])
    edge = np.clip(p, 1e-15, 1 - 1e-15)
    assert calibration_slope_intercept(y, p) == calibration_slope_intercept(y, edge)
    assert np.isfinite(calibration_slope_intercept(y, p).slope)


@pytest.mark.parametrize(
    ("y", "p"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8]),  # separated
        ([1, 1, 0, 0], [0.1, 0.2, 0.7, 0.8]),  # separated the wrong way
        ([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.8]),  # touching at one value
        ([0, 1, 0, 1], [0.4, 0.4, 0.4, 0.4]),  # constant
    ],
)
def test_no_finite_slope_is_nan_but_the_level_is_known(y: list[int], p: list[float]) -> None:
    found = calibration_slope_intercept(y, p)
    assert np.isnan([found.slope, found.intercept, found.slope_standard_error]).all()
    assert expit(found.intercept_given_slope_1 + logit(p)).sum() == pytest.approx(sum(y), rel=1e-12)


@pytest.mark.parametrize("y", [[0, 0, 0], [1, 1, 1]])
def test_one_class_is_nan(y: list[int]) -> None:
    found = calibration_slope_intercept(y, [0.2, 0.5, 0.7])
    assert np.isnan([found.slope, found.intercept, found.intercept_given_slope_1, found.slope_standard_error]).all()


def test_a_class_of_weight_zero_is_no_class() -> None:
    assert np.isnan(calibration_slope_intercept([0, 0, 1], [0.2, 0.5, 0.7], [1, 1, 0]).intercept_given_slope_1)


def test_nearly_separated_and_extreme_rows_end() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    y = np.zeros(2000, int)
    order = np.argsort(x)
    y[order[1000:]] = 1
    y[order[[999, 1000]]] = [1, 0]  # one inversion only: the slope is finite and large
    found = calibration_slope_intercept(y, expit(x))
    w = expit(found.intercept + found.slope * x)
    assert found.slope > 10
    assert abs((y - w).sum()) < 1e-6 and abs(((y - w) * x).sum()) < 1e-6
    tiny = np.where(rng.random(500) < 0.5, 0.0, 1e-12)
    target = (rng.random(500) < 0.3).astype(int)
    flat = calibration_slope_intercept(target, tiny)
    assert expit(flat.intercept_given_slope_1 + logit(np.clip(tiny, 1e-15, 1))).sum() == pytest.approx(target.sum())
    two = [target[tiny == 0].mean(), target[tiny > 0].mean()]
    # Two distinct values: the line passes through both shares.
    assert flat.slope == pytest.approx((logit(two[1]) - logit(two[0])) / (logit(1e-12) - logit(1e-15)), rel=1e-9)


def test_top_label() -> None:
    correct, confidence = top_label([0, 2, 1, 1], [[0.5, 0.5, 0.0], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    assert correct.tolist() == [1, 1, 0, 1]
    np.testing.assert_allclose(confidence, [0.5, 0.7, 0.6, 0.8])
    assert reliability_curve(correct, confidence, n_bins=2)[2].sum() == 4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: reliability_curve([0, 2], [0.1, 0.2]), "y_true of 0 and 1; found 2. Pass `labels == positive`"),
        (lambda: reliability_curve(["no", "yes"], [0.1, 0.2]), "y_true of 0 and 1; found no."),
        (lambda: reliability_curve([0, 1], [0.1, 1.2]), "probabilities in [0, 1]; y_pred holds 1.2"),
        (lambda: reliability_curve([0, 1], [[0.1, 0.9], [0.5, 0.5]]), "shape (n,); got (2, 2)"),
        (lambda: reliability_curve([0, 1], [0.1]), "y_true has 2 rows, y_pred has 1"),
        (lambda: reliability_curve([], []), "at least one row"),
        (lambda: calibration_slope_intercept([0, 1], [0.1, np.nan]), "holds 1 NaN"),
        (lambda: calibration_slope_intercept([0, 1], [0.1, 0.2], [1, -1]), "not negative"),
        (lambda: expected_calibration_error([[0], [1]], [0.1, 0.2]), "y_true of shape (n,); got (2, 1)"),
        (lambda: top_label([0, 3], [[0.5, 0.5], [0.5, 0.5]]), "the code 3, but probabilities has the columns 0 to 1"),
        (lambda: top_label([0, -1], [[0.5, 0.5], [0.5, 0.5]]), "the code -1"),
        (lambda: top_label([0, 1], [0.5, 0.5]), "shape (n, classes); got (2,)"),
        (lambda: top_label([0.0, 1.0], [[0.5, 0.5], [0.5, 0.5]]), "whole numbers"),
        (lambda: top_label([0, 1], [[0.5, 0.4], [0.5, 0.5]]), "row 0 sums to 0.9"),
    ],
)
def test_bad_data_is_one_sentence(call: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert words in str(caught.value)


def test_bad_options() -> None:
    with pytest.raises(InputError, match="strategy must be one of quantile, uniform; got 'kmeans'"):
        reliability_curve([0, 1], [0.1, 0.2], strategy="kmeans")
    with pytest.raises(InputError, match="n_bins must be a whole number >= 1, got 0"):
        expected_calibration_error([0, 1], [0.1, 0.2], n_bins=0)
