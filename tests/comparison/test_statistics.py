"""Corrected differences, the group of the best, bootstrap intervals: hand numbers, other libraries and a small simulation."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy import stats

from fivefold.base.errors import DataError, SpecError
from fivefold.workbench.comparison.statistics import (
    bootstrap_interval,
    cheapest,
    compare_with_best,
    corrected_difference,
    corrected_interval,
    disagree,
    holm,
    replicates,
    step_down,
)

BEST = np.array([0.90, 0.92, 0.91, 0.93, 0.94])
OTHER = np.array([0.89, 0.90, 0.90, 0.90, 0.91])


def simulated(rng: np.random.Generator, better: float = 0.0) -> dict[str, np.ndarray]:
    """Return fold AUCs of eight nearest-mean rules on noisy views of 4,000 rows, the last with a clearer view."""
    rows, folds = 4000, 5
    y = rng.random(rows) < 0.5
    distance = math.sqrt(2) * stats.norm.ppf(0.80)
    own = np.full(8, 0.4)
    own[-1] = (stats.norm.ppf(0.80) / stats.norm.ppf(0.80 + better)) ** 2 - 0.6
    views = distance * y + math.sqrt(0.6) * rng.standard_normal(rows)
    views = views + np.sqrt(own)[:, None] * rng.standard_normal((8, rows))
    useless = rng.standard_normal((8, rows))
    fold = rng.permutation(np.arange(rows) % folds)
    scores = np.empty((8, folds))
    for k in range(folds):
        train, test = fold != k, fold == k
        up, down = train & y, train & ~y
        weight = [v[:, up].mean(axis=1) - v[:, down].mean(axis=1) for v in (views, useless)]
        score = weight[0][:, None] * views[:, test] + weight[1][:, None] * useless[:, test]
        ranks = stats.rankdata(score, axis=1)
        n1 = int(y[test].sum())
        area = ranks[:, y[test]].sum(axis=1) - n1 * (n1 + 1) / 2
        scores[:, k] = area / (n1 * (test.sum() - n1))
    return {f"m{i}": row for i, row in enumerate(scores)}


def test_the_corrected_error_is_that_of_the_formula_by_hand():
    # Differences .01 .02 .01 .03 .03: mean .02, squares of the deviations sum to 4e-4, s² = 1e-4.
    mean, error, degrees = corrected_difference(BEST, OTHER, test_share=0.25)
    assert mean == pytest.approx(0.02)
    assert error == pytest.approx(math.sqrt((1 / 5 + 0.25) * 1e-4))
    assert degrees == 4


def test_without_test_rows_the_correction_leaves_the_paired_t_test():
    found = compare_with_best({"a": BEST, "b": OTHER}, higher_is_better=True, test_share=1e-12)
    peer = stats.ttest_rel(BEST, OTHER)
    assert found.differences["b"].statistic == pytest.approx(peer.statistic)
    assert found.differences["b"].p_value == pytest.approx(peer.pvalue)
    interval = peer.confidence_interval()
    assert (found.differences["b"].low, found.differences["b"].high) == pytest.approx((interval.low, interval.high))


def test_a_difference_reports_statistic_p_value_and_interval_of_the_corrected_error():
    d = compare_with_best({"a": BEST, "b": OTHER}, higher_is_better=True, test_share=0.25).differences["b"]
    error = math.sqrt(0.45e-4)
    assert d.statistic == pytest.approx(0.02 / error)
    assert d.p_value == pytest.approx(2 * stats.t(4).sf(0.02 / error))
    assert d.adjusted == d.p_value  # one comparison needs no correction
    assert d.high - d.mean == pytest.approx(stats.t(4).ppf(0.975) * error)
    assert d.mean - d.low == pytest.approx(d.high - d.mean)


def random_p_values() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.round(rng.random(m) ** 3, 2) for m in (1, 2, 5, 12) for _ in range(10)]  # rounded: ties occur


def test_holm_equals_its_definition():
    for p in random_p_values():
        ordered = np.sort(p)
        for value, adjusted in zip(p, holm(p), strict=True):
            steps = [min(1.0, (len(p) - j) * ordered[j]) for j in range(len(p)) if ordered[j] <= value]
            assert adjusted == pytest.approx(max(steps), rel=1e-12)


def test_holm_equals_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    for p in random_p_values():
        np.testing.assert_allclose(holm(p), multitest.multipletests(p, method="holm")[1], rtol=1e-12)


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.03, 0.01, 0.04])), [0.06, 0.03, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def test_over_pairs_the_factors_are_the_pairs_left():
    # Three comparisons: 6 pairs among four methods, then 3, then 1.
    np.testing.assert_allclose(step_down(np.array([0.04, 0.001, 0.01]), pairs=True), [0.04, 0.006, 0.03])


@pytest.mark.parametrize("bad", [[0.2, 1.1], [-0.1], [math.nan]])
def test_holm_refuses_what_is_no_p_value(bad):
    with pytest.raises(DataError, match="p-values between 0 and 1"):
        holm(np.array(bad))


def test_the_group_holds_the_best_and_whoever_cannot_be_told_from_it_in_the_order_of_the_means():
    noise = np.array([0.02, -0.02, 0.01, -0.01, 0.0])
    scores = {"far": BEST - 0.2 + noise / 10, "near": BEST - 0.001 + noise, "top": BEST, "close": BEST - 0.002 - noise}
    found = compare_with_best(scores, higher_is_better=True, test_share=0.25)
    assert found.best == "top"
    assert found.group == ("top", "near", "close")
    assert list(found.differences) == ["near", "close", "far"]
    assert found.differences["far"].adjusted < 0.05
    assert (found.correction, found.reason) == ("Holm", "")


def test_errors_turn_around_and_scale_does_not_matter():
    scores = {"a": BEST, "b": OTHER, "c": OTHER - np.array([0.05, 0.04, 0.06, 0.05, 0.01])}
    up = compare_with_best(scores, higher_is_better=True, test_share=0.25)
    down = compare_with_best({k: -1e6 * v for k, v in scores.items()}, higher_is_better=False, test_share=0.25)
    assert (up.best, up.group) == (down.best, down.group)
    for name, one in up.differences.items():
        other = down.differences[name]
        assert one.mean > 0
        assert other.mean == pytest.approx(1e6 * one.mean)
        assert (other.statistic, other.adjusted) == pytest.approx((one.statistic, one.adjusted))


def test_identical_scores_cannot_be_told_apart_and_the_name_decides():
    found = compare_with_best({"b": BEST, "a": BEST.copy()}, higher_is_better=True, test_share=0.25)
    assert (found.best, found.group) == ("a", ("a", "b"))
    d = found.differences["b"]
    assert (d.mean, d.standard_error, d.statistic, d.p_value) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("scale", [1 / 7, 1e9 / 7, 1e-9 / 7])
def test_a_difference_that_is_the_same_in_every_fold_is_certain_despite_rounding(scale):
    other = scale * (BEST - 0.17)
    assert np.ptp(scale * BEST - other) > 0  # by rounding only
    found = compare_with_best({"a": scale * BEST, "b": other}, higher_is_better=True, test_share=0.25)
    d = found.differences["b"]
    assert (d.standard_error, d.p_value, found.group) == (0.0, 0.0, ("a",))
    assert d.low == d.high == pytest.approx(0.17 * scale)


def test_one_method_is_its_own_group():
    found = compare_with_best({"a": BEST}, higher_is_better=True, test_share=0.25)
    assert (found.best, found.group, found.differences, found.reason) == ("a", ("a",), {}, "")


def test_with_one_score_nothing_is_declared_worse_and_it_is_said():
    found = compare_with_best({"a": BEST[:1], "b": BEST[:1] - 0.5}, higher_is_better=True, test_share=0.25)
    assert found.group == ("a", "b")
    assert math.isnan(found.differences["b"].p_value)
    assert math.isnan(found.differences["b"].adjusted)
    assert found.differences["b"].mean == pytest.approx(0.5)
    assert found.reason == "There is one score a method, so no difference can be tested; nothing is declared worse."


@pytest.mark.parametrize(
    ("count", "share", "correction"),
    [
        (5, 0.25, "Holm"),
        (10, 1 / 9, "Holm"),
        (2, 1.0, "Holm"),
        (10, 0.25, "Holm over all pairs"),
        (50, 0.25, "Holm over all pairs"),
    ],
)
def test_repeats_are_corrected_over_pairs(count, share, correction):
    rng = np.random.default_rng(0)
    scores = {name: rng.random(count) for name in "abc"}
    assert compare_with_best(scores, higher_is_better=True, test_share=share).correction == correction


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "There is no method"),
        ({"a": BEST, "b": np.array([0.9, math.nan])}, "1 of the 2 fold scores of b are not finite"),
        ({"a": BEST, "b": BEST[:3]}, "have 3 to 5 fold scores; all must be scored on the same folds"),
        ({"a": BEST.reshape(1, 5)}, r"a have shape \(1, 5\)"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(scores, message):
    with pytest.raises(DataError, match=message):
        compare_with_best(scores, higher_is_better=True, test_share=0.25)


@pytest.mark.parametrize(("share", "level", "message"), [(0.0, 0.05, "test share"), (0.25, 1.0, "level is 1.0")])
def test_shares_and_levels_out_of_range_are_refused(share, level, message):
    with pytest.raises(SpecError, match=message):
        compare_with_best({"a": BEST, "b": OTHER}, higher_is_better=True, test_share=share, level=level)


def test_lengths_of_two_methods_must_agree():
    with pytest.raises(DataError, match="5 and 3 fold scores"):
        corrected_difference(BEST, OTHER[:3], test_share=0.25)


def test_forty_simulated_tables_of_equal_methods():
    # At a true rate of 7 % more than 8 of 40 occur with a probability below 0.2 %.
    worse = 0
    for s in range(40):
        found = compare_with_best(simulated(np.random.default_rng([7, s])), higher_is_better=True, test_share=0.25)
        worse += len(found.group) < 8
    assert worse <= 8


def test_forty_simulated_tables_with_a_better_method():
    found = [
        compare_with_best(simulated(np.random.default_rng([8, s]), 0.05), higher_is_better=True, test_share=0.25)
        for s in range(40)
    ]
    assert sum(f.group == ("m7",) for f in found) >= 32


def test_the_bootstrap_of_a_mean_is_as_wide_as_theory_says():
    rng = np.random.default_rng(0)
    y = rng.standard_normal(2000)
    low, high = bootstrap_interval(lambda t, p: np.mean(t - p), y, np.zeros(2000), seed=1)
    half = 1.96 * y.std() / math.sqrt(2000)
    # The 2.5 % point of 1,000 replicates has a standard error of 2.7 / sqrt(1000) = 8.5 % of sigma, 4.4 % of the half width.
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)
    assert (high + low) / 2 == pytest.approx(y.mean(), abs=0.2 * half)
    wider = bootstrap_interval(lambda t, p: np.mean(t - p), y, np.zeros(2000), seed=1, level=0.99)
    assert wider[0] < low < high < wider[1]


def test_the_bootstrap_repeats_itself_by_seed():
    y = np.random.default_rng(0).standard_normal(100)
    intervals = [bootstrap_interval(lambda t, p: np.mean(t), y, y, seed=s, n=50) for s in (1, 1, 2)]
    assert intervals[0] == intervals[1] != intervals[2]


def test_whole_groups_are_drawn_and_their_dependence_widens_the_interval():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.array([f"g{i}" for i in range(50)]), 20)
    y = np.repeat(rng.standard_normal(50), 20)
    shuffled = rng.permutation(1000)
    groups, y = groups[shuffled], y[shuffled]
    seen = []

    def mean(t, p):
        seen.append(np.unique(p, return_counts=True)[1])
        return np.mean(t)

    codes = np.unique(groups, return_inverse=True)[1]
    low, high = bootstrap_interval(mean, y, codes, seed=0, groups=groups, n=400)
    assert all((counts % 20 == 0).all() for counts in seen)  # a group comes whole or not at all
    plain = bootstrap_interval(lambda t, p: np.mean(t), y, codes, seed=0, n=400)
    # 20 equal rows a group: the error is sqrt(20) = 4.5 times that of independent rows.
    assert 3.5 < (high - low) / (plain[1] - plain[0]) < 5.7


def test_weights_are_drawn_with_their_rows():
    y = np.arange(200.0)

    def weighted(t, p, sample_weight):
        np.testing.assert_array_equal(sample_weight, t + 1)
        return np.average(t, weights=sample_weight)

    low, high = bootstrap_interval(weighted, y, y, y + 1, seed=0, n=100)
    assert low < np.average(y, weights=y + 1) < high


def test_replicates_without_a_value_are_left_out_until_most_are():
    y = np.r_[np.ones(1), np.zeros(99)]

    def needs_both(t, p):
        if t.max() == t.min():
            raise DataError("one class only")
        return 0.5

    # One positive row of 100 is drawn in 1 - 0.99^100 = 63 % of replicates; two needed rows in about 40 %.
    assert bootstrap_interval(needs_both, y, y, seed=0) == (0.5, 0.5)
    pair = bootstrap_interval(
        lambda t, p: 1.0 if {0.0, 1.0} <= set(t.tolist()) else math.nan, np.arange(100.0), y, seed=0
    )
    assert all(map(math.isnan, pair))


def test_a_defect_in_a_metric_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        bootstrap_interval(lambda t, p: 1 / 0, BEST, BEST, seed=0)


def test_one_row_or_one_group_has_no_interval():
    assert all(map(math.isnan, bootstrap_interval(lambda t, p: 1.0, BEST[:1], BEST[:1], seed=0)))
    assert all(map(math.isnan, bootstrap_interval(lambda t, p: 1.0, BEST, BEST, seed=0, groups=np.zeros(5))))


def test_the_bootstrap_refuses_arrays_of_other_lengths_and_bad_levels():
    with pytest.raises(DataError, match="5 true values and 3 predictions"):
        bootstrap_interval(lambda t, p: 1.0, BEST, BEST[:3], seed=0)
    with pytest.raises(SpecError, match="level is 0"):
        bootstrap_interval(lambda t, p: 1.0, BEST, BEST, seed=0, level=0)
    with pytest.raises(SpecError, match="0 bootstrap replicates"):
        bootstrap_interval(lambda t, p: 1.0, BEST, BEST, seed=0, n=0)


def test_large_tables_get_fewer_replicates():
    assert [replicates(rows, 1000) for rows in (100, 20_000, 200_000, 10**7)] == [1000, 1000, 100, 40]
    assert replicates(200_000, 10) == 10


def test_a_ranking_metric_of_two_hundred_thousand_rows_ends_in_seconds():
    from fivefold.evaluation.ranking import roc_auc

    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200_000)
    score = y + rng.standard_normal(200_000)
    start = time.process_time()
    low, high = bootstrap_interval(roc_auc, y, score, seed=0)
    assert time.process_time() - start < 10  # about 3 s; generous for a busy machine
    assert low < stats.norm.cdf(1 / math.sqrt(2)) + 0.003
    assert 0.002 < high - low < 0.006  # Hanley and McNeil: 2 x 1.96 x 0.00107 = 0.0042


def test_the_interval_of_a_mean_is_the_corrected_one():
    low, high = corrected_interval(BEST, 0.25)
    half = stats.t(4).ppf(0.975) * math.sqrt(0.45 * BEST.var(ddof=1))
    assert (low, high) == pytest.approx((BEST.mean() - half, BEST.mean() + half))


def test_splits_disagree_only_where_their_intervals_do_not_meet():
    half = corrected_interval(BEST, 0.25)[1] - BEST.mean()
    assert disagree(BEST, BEST - 2.01 * half, 0.25, 0.25)
    assert disagree(BEST - 2.01 * half, BEST, 0.25, 0.25)
    assert not disagree(BEST, BEST - 1.99 * half, 0.25, 0.25)
    assert not disagree(BEST, BEST - 2.01 * half, 0.25, 0.30)  # larger test share, wider interval
    assert not disagree(BEST, BEST[:1] - 5, 0.25, 0.25)  # a single score says nothing


def test_the_cheapest_of_the_group_and_ties_to_the_better():
    seconds = {"best": 10.0, "middle": 1.09, "fast": 1.0, "outside": 0.1}
    assert cheapest(["best", "middle", "fast"], seconds) == "middle"
    assert cheapest(["best", "fast", "middle"], seconds) == "fast"
    assert cheapest(["best", "middle", "fast"], {**seconds, "middle": 1.11}) == "fast"
    assert cheapest(["best"], {"best": 0.0}) == "best"
    with pytest.raises(DataError, match="no time for fast"):
        cheapest(["best", "fast"], {"best": 1.0})
    with pytest.raises(DataError, match="is empty"):
        cheapest([], {})
