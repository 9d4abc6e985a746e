"""Costs and thresholds: the worked example of the source, brute force over all thresholds, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from fivefold.base.errors import DataError, InputError
from fivefold.evaluation.thresholds import Costs, Threshold, best_threshold, cost_of, theoretical_threshold


def example() -> tuple[np.ndarray, np.ndarray]:
    """Return the 100 normal and 5 abnormal pictures of 06#anomaly-metrics and a confidence with the counts told there."""
    confidence = np.concatenate(
        [np.full(94, 0.99), np.full(5, 0.7), [0.4], [0.998, 0.9, 0.85], [0.6, 0.35]]
    )  # confidence below λ is called abnormal
    return np.repeat([0, 1], [100, 5]), confidence


def test_the_worked_example() -> None:
    abnormal, confidence = example()
    half, high = confidence < 0.5, confidence < 0.8
    assert ((half & (abnormal == 0)).sum(), (~half & (abnormal == 1)).sum()) == (1, 4)
    assert ((high & (abnormal == 0)).sum(), (~high & (abnormal == 1)).sum()) == (6, 3)
    dear_alarm, dear_miss = Costs(fp=100, fn=1), Costs(fp=1, fn=100)
    totals = [105 * cost_of(abnormal, called, c) for c in (dear_alarm, dear_miss) for called in (half, high)]
    np.testing.assert_allclose(totals, [104, 603, 401, 306], rtol=1e-14)
    none = np.zeros(105, int)
    assert 1 - cost_of(abnormal, none, Costs(1, 1)) == pytest.approx(100 / 105)  # 95.2 %, and useless
    # Told the two costs, the choice goes the two ways of the example and never costs more than either table.
    score = 1 - confidence
    wary, eager = best_threshold(abnormal, score, costs=dear_alarm), best_threshold(abnormal, score, costs=dear_miss)
    assert 105 * wary.score <= 104 and 105 * eager.score <= 306
    assert (score >= wary.value).sum() < (score >= eager.value).sum()


@pytest.mark.parametrize(
    ("called", "cost"), [([0, 0, 0, 0], (2 * 5 + 2 * -0.5) / 4), ([1, 0, 1, 0], (3 + 5 - 2 - 0.5) / 4)]
)
def test_every_outcome_has_its_cost(called: list[int], cost: float) -> None:
    assert cost_of([0, 0, 1, 1], called, Costs(fp=3, fn=5, tp=-2, tn=-0.5)) == pytest.approx(cost, rel=1e-15)


def test_cost_with_weights() -> None:
    assert cost_of([0, 1, 1], [True, False, True], Costs(1, 10), [2.0, 0.5, 1.5]) == pytest.approx((2 + 5) / 4)


def brute(y: np.ndarray, s: np.ndarray, w: np.ndarray, value: Any, lower: bool) -> tuple[float, list[float]]:
    """Return the optimum over all thresholds and the thresholds that reach it."""
    u = np.unique(s)
    candidates = [-np.inf, *((u[:-1] + u[1:]) / 2), np.inf]
    values = np.array([value(y, s >= t, w) for t in candidates])
    top = values.min() if lower else values.max()
    return float(top), [t for t, v in zip(candidates, values) if abs(v - top) < 1e-9]


def youden(y: np.ndarray, d: np.ndarray, w: np.ndarray) -> float:
    return float(w[d & (y == 1)].sum() / w[y == 1].sum() - w[d & (y == 0)].sum() / w[y == 0].sum())


OBJECTIVES: dict[str, Any] = {
    "youden": youden,
    "f1": lambda y, d, w: f1_score(y, d, sample_weight=w, zero_division=0.0),
    "accuracy": lambda y, d, w: accuracy_score(y, d, sample_weight=w),
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_objectives_against_brute_force(seed: int, objective: str) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 40)
    y[:2] = [0, 1]
    s = np.round(rng.random(40) * 0.6 + 0.3 * y, 1 if seed % 2 else 6)
    w = np.ones(40) if seed < 3 else rng.integers(0, 4, 40) / 2 + (np.arange(40) < 2)
    found = best_threshold(y, s, objective=objective, sample_weight=None if seed < 3 else w)
    kept = w > 0
    top, places = brute(y[kept], s[kept], w[kept], OBJECTIVES[objective], lower=False)
    assert found.score == pytest.approx(top, abs=1e-12)
    assert found.value == pytest.approx(min(places, key=lambda t: (abs(t - 0.5), -t)), abs=1e-12)
    assert OBJECTIVES[objective](y, s >= found.value, w) == pytest.approx(top, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_costs_against_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 40) if seed < 6 else np.full(40, seed - 6)
    s = np.round(rng.random(40) * 0.6 + 0.3 * y, 1 if seed % 2 else 6)
    w = np.ones(40) if seed < 3 else rng.integers(0, 4, 40) / 2
    costs = Costs(*rng.integers(1, 9, 2).astype(float), *(-rng.random(2) if seed % 2 else (0.0, 0.0)))
    found = best_threshold(y, s, costs=costs, sample_weight=w)
    kept = w > 0
    top, places = brute(y[kept], s[kept], w[kept], lambda y, d, w: cost_of(y, d, costs, w), lower=True)
    target = theoretical_threshold(costs)
    assert found.score == pytest.approx(top, abs=1e-12)
    assert found.value == pytest.approx(min(places, key=lambda t: (abs(t - target), -t)), abs=1e-12)
    assert cost_of(y, s >= found.value, costs, w) == pytest.approx(top, abs=1e-12)


def test_one_class() -> None:
    s = np.array([0.2, 0.6, 0.7])
    assert best_threshold([0, 0, 0], s, costs=Costs(1, 1)) == Threshold(np.inf, 0.0)
    assert best_threshold([1, 1, 1], s, costs=Costs(1, 1)) == Threshold(-np.inf, 0.0)
    assert best_threshold([1, 1, 1], s, objective="f1") == Threshold(-np.inf, 1.0)
    assert best_threshold([0, 0, 0], s, objective="accuracy") == Threshold(np.inf, 1.0)


def test_equal_scores_move_together() -> None:
    assert best_threshold([0, 1, 1], [0.5, 0.5, 0.5], objective="accuracy") == Threshold(-np.inf, 2 / 3)


def test_among_equals_the_nearest_to_the_middle() -> None:
    y, s = [0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.6, 0.9]
    assert best_threshold(y, s, objective="accuracy").value == 0.5  # 0.25 errs once as well
    # With misses nine times as dear the theoretical threshold is 0.1, so 0.25 is cheaper.
    assert best_threshold(y, s, costs=Costs(1, 9)).value == 0.25
    # 0.25 and 0.75 both reach youden 1/2 and are equally far from 0.5: the higher.
    assert best_threshold([0, 1, 0, 1], [0.0, 0.5, 0.5, 1.0]).value == 0.75


def test_floats_without_a_middle() -> None:
    for dtype in (np.float32, np.float64):
        low = dtype(0.5)
        for _ in range(2):  # the rounded middle is even: once the lower, once the upper one
            high = np.nextafter(low, dtype(1))
            s = np.array([low, high], dtype=dtype)
            value = best_threshold([0, 1], s).value
            assert (s >= value).tolist() == [False, True]
            low = high


def test_a_large_table_equals_its_theory() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    y = (rng.random(200_000) < p).astype(int)
    costs = Costs(fp=1, fn=4)
    found = best_threshold(y, p, costs=costs)
    # Calibrated and uniform in [0, 1]: misses cost ∫_0^t 4 p dp, alarms ∫_t^1 (1 - p) dp, least at t = 1/5.
    fn, fp = 4 * 0.2**2 / 2, (1 - 0.2) ** 2 / 2
    assert found.score == pytest.approx(fn + fp, abs=5 * 1.5 / np.sqrt(200_000))
    assert abs(found.value - 0.2) < 0.05
    assert found.score <= cost_of(y, p >= 0.2, costs) + 1e-12


@pytest.mark.parametrize(
    ("costs", "threshold"),
    [
        (Costs(1, 1), 0.5),
        (Costs(1, 9), 0.1),
        (Costs(1, 10), 1 / 11),
        (Costs(0, 1), 0.0),
        (Costs(1, 0), 1.0),
        (Costs(2, 3, tp=-1, tn=-2), 0.5),
        (Costs(4, 3, tp=1, tn=1), 0.6),
    ],
)
def test_theoretical_threshold(costs: Costs, threshold: float) -> None:
    assert theoretical_threshold(costs) == pytest.approx(threshold, rel=1e-15)


def test_the_theoretical_threshold_is_where_both_decisions_cost_the_same() -> None:
    for fp, fn, tp, tn in itertools.product((1.0, 3.0), (2.0, 7.0), (-1.0, 0.5), (-2.0, 0.25)):
        t = theoretical_threshold(Costs(fp, fn, tp, tn))
        assert t * tp + (1 - t) * fp == pytest.approx(t * fn + (1 - t) * tn, rel=1e-12)


def test_parse() -> None:
    assert Costs.parse("fp=1,fn=10") == Costs(fp=1, fn=10, tp=0, tn=0)
    assert Costs.parse(" FN = 2.5 , fp=1e3, tp=-1 ,tn=0.5") == Costs(1000, 2.5, -1, 0.5)
    assert str(Costs.parse("fp=1,fn=10,tp=-2")) == "fp=1,fn=10,tp=-2"
    assert Costs.parse(str(Costs(0.25, 3))) == Costs(0.25, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fp=1,fm=10", "Unknown cost 'fm'; did you mean one of: f"),
        ("fp=1,fn=ten", "The cost fn must be a number, got 'ten'."),
        ("fp=1,fn=", "The cost fn must be a number, got ''."),
        ("fp=-1,fn=10", "The cost fp must be >= 0, got -1; write a gain as tp or tn below 0."),
        ("fp=1,fn=inf", "The cost fn must be finite, got inf."),
        ("fp=1,fn=10,tn=nan", "The cost tn must be finite, got nan."),
        ("fp=0,fn=0", "Costs need fp or fn above 0"),
        ("fp=1", "Costs need both fp and fn, like fp=1,fn=10; fn is missing in 'fp=1'."),
        ("tp=1", "fp and fn is missing"),
        ("fp=1,fp=2,fn=1", "The cost fp is given twice"),
        ("10", "'10' is not of the form key=number"),
        ("", "'' is not of the form key=number"),
        ("fp=1,,fn=1", "'' is not of the form key=number"),
    ],
)
def test_parse_refuses(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        Costs.parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Costs("1", 2), "The cost fp must be a number, got '1'."),  # type: ignore[arg-type]
        (lambda: Costs(True, 2), "The cost fp must be a number, got True."),
        (lambda: theoretical_threshold(Costs(1, 1, tp=3)), "no dearer than right ones (fp - tn + fn - tp = -1)"),
        (lambda: best_threshold([0, 1], [0, 1], costs=Costs(1, 1), objective="f1"), "costs or objective, not both"),
        (lambda: best_threshold([0, 1], [0, 1], objective="mcc"), "one of youden, f1, accuracy; got 'mcc'"),
    ],
)
def test_bad_options(call: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: best_threshold([0, 0], [0.1, 0.2]), "youden needs rows of both classes; there is no positive one"),
        (lambda: best_threshold([1, 0], [0.1, 0.2], sample_weight=[1, 0]), "there is no negative one"),
        (lambda: best_threshold([0, 0], [0.1, 0.2], objective="f1"), "f1 needs at least one positive row"),
        (lambda: best_threshold([0, 1], [0.1, np.inf]), "takes finite scores; found 1 infinite"),
        (lambda: best_threshold([0, 1], [0.1, np.nan]), "holds 1 NaN"),
        (lambda: best_threshold([0, 1], [[0.1, 0.9], [0.5, 0.5]]), "one score a row, shape (n,); got (2, 2)"),
        (lambda: best_threshold([0, 3], [0.1, 0.2]), "y_true of 0 and 1; found 3"),
        (lambda: best_threshold([0, 1], [0.1, 0.2, 0.3]), "y_true has 2 rows, y_pred has 3"),
        (lambda: cost_of([0, 1], [0.2, 1.0], Costs(1, 1)), "decision of 0 and 1; found 0.2"),
        (lambda: cost_of([], [], Costs(1, 1)), "at least one row"),
    ],
)
def test_bad_data(call: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert words in str(caught.value)
