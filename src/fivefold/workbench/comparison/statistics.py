"""Which methods can be told from the best one: corrected differences of fold scores, and intervals of a score.

Fold scores of one method are not independent, for their training rows overlap. The plain variance of their mean is too small;
Nadeau & Bengio's correction mends it:

    Var(mean) = (1/J + n_test/n_train) · s²,   t with J - 1 degrees of freedom,   J = folds x repeats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from fivefold.base.errors import DataError, FivefoldError, SpecError
from fivefold.base.random import Streams

CONFIDENCE = 0.95
ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Scores whose differences vary by less than this share of their size differ by a constant."""

ROW_BUDGET = 20_000_000
"""Rows that all bootstrap replicates together may score; a ranking metric takes about 3 s for them."""

FEWEST_REPLICATES = 40
"""Replicates of the largest tables: the 2.5 % point then lies between the first and the second smallest."""

NEAR_IN_TIME = 0.10
"""Methods whose times differ by no more than this are equally cheap."""


@dataclass(frozen=True)
class Difference:
    """How far one method is behind the best one.

    Attributes
    ----------
    method : str
    mean : float
        Mean score of the best minus that of this method, turned such that positive is worse.
    standard_error : float
        Its corrected standard error; 0 where the difference is the same in every fold, NaN for a single score.
    statistic, p_value : float
        Student's t and its two-sided p-value.
    adjusted : float
        The p-value after the correction over all methods compared (:attr:`Comparisons.correction`).
    low, high : float
        95 % interval of ``mean``; for this difference alone, not for all at once.
    """

    method: str
    mean: float
    standard_error: float
    statistic: float
    p_value: float
    adjusted: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparisons:
    """The best method, all others' differences to it, and who cannot be told from it.

    Attributes
    ----------
    best : str
        Method with the best mean; among equals the first by name.
    differences : dict of str to Difference
        Every other method, in the order of the means.
    group : tuple of str
        The best and every method not distinguishable from it, in the order of the means.
    correction : str
        "Holm", or "Holm over all pairs" where scores come from repeats; empty where nothing was tested.
    reason : str
        Why no test was possible; empty where there was one.
    """

    best: str
    differences: dict[str, Difference]
    group: tuple[str, ...]
    correction: str = ""
    reason: str = ""


def _scores(values: np.ndarray, method: str) -> np.ndarray:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0:
        raise DataError(
            f"The scores of {method} have shape {scores.shape}; one score for each fold and repeat is wanted."
        )
    if not np.isfinite(scores).all():
        raise DataError(
            f"{int((~np.isfinite(scores)).sum())} of the {len(scores)} fold scores of {method} are not finite; "
            "leave the method out of the comparison, for nothing is ranked on fewer folds."
        )
    return scores


def _check_share(share: float) -> float:
    if not (math.isfinite(share) and share > 0):
        raise SpecError(f"The test share is {share!r}; it is test rows / training rows, a number above 0.")
    return float(share)


def corrected_difference(best: np.ndarray, other: np.ndarray, *, test_share: float) -> tuple[float, float, int]:
    """Return the mean of ``best - other`` over the folds, its corrected standard error and the degrees of freedom.

    ``Var(mean) = (1/J + n_test/n_train) · s²`` with the sample variance s² (divisor J - 1) of the J differences.

    Parameters
    ----------
    best, other : ndarray of shape (J,)
        Scores of two methods on the same folds, J = folds x repeats.
    test_share : float > 0
        Test rows divided by training rows of a fold: 0.25 for five folds.

    Returns
    -------
    (float, float, int)
        Mean, standard error (NaN for J = 1, exactly 0 where all differences are the same) and J - 1.

    Raises
    ------
    DataError
        When the scores are not finite or the two have different lengths.

    References
    ----------
    Nadeau & Bengio 2003, Inference for the generalization error.
    """
    first, second = _scores(best, "the best method"), _scores(other, "the other method")
    share = _check_share(test_share)
    if len(first) != len(second):
        raise DataError(
            f"The methods have {len(first)} and {len(second)} fold scores; both must be scored on the same folds."
        )
    difference = first - second
    count = len(difference)
    mean = float(difference.mean())
    if count == 1:
        return mean, math.nan, 0
    noise = ROUNDING * float(max(np.abs(first).max(), np.abs(second).max()))
    if float(np.ptp(difference)) <= noise:
        return (0.0 if abs(mean) <= noise else mean), 0.0, count - 1
    error = math.sqrt((1 / count + share) * float(difference.var(ddof=1)))
    return mean, error, count - 1


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return Holm's step-down adjusted p-values, ``max over j <= i of min(1, (m - j + 1) · p_(j))``, in the given order.

    Parameters
    ----------
    p_values : ndarray of shape (m,), in [0, 1]

    Returns
    -------
    ndarray of shape (m,)

    References
    ----------
    Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise DataError("Holm's correction takes a vector of p-values between 0 and 1.")
    return step_down(p, pairs=False)


def step_down(p: np.ndarray, *, pairs: bool) -> np.ndarray:
    """Return step-down adjusted p-values of m comparisons with one method.

    With k comparisons left the smallest p-value is multiplied by k (Holm); with ``pairs`` by k(k + 1)/2, the pairs among
    these k methods and the best of them, which covers that the best was chosen by the same scores.
    """
    left = np.arange(len(p), 0, -1)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    factor = left * (left + 1) / 2 if pairs else left
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factor))
    return adjusted


def compare_with_best(
    scores: Mapping[str, np.ndarray], *, higher_is_better: bool, test_share: float, level: float = 0.05
) -> Comparisons:
    """Compare every method with the one that has the best mean score.

    Parameters
    ----------
    scores : mapping of str to ndarray of shape (J,)
        Scores of each method on the same J folds (folds x repeats).
    higher_is_better : bool
    test_share : float > 0
        Test rows divided by training rows of a fold.
    level : float in (0, 1), default 0.05
        Family-wise level of "worse than the best".

    Returns
    -------
    Comparisons

    Raises
    ------
    DataError
        When there is no method, scores are not finite, or lengths differ.

    Notes
    -----
    A difference that is the same in every fold has no variance: p is 0 where it is not zero, and 1 where it is.
    With one score a method (J = 1) no test is possible: p-values are NaN, all methods are in the group, ``reason`` says so.
    A method with a better mean may be told from the best while a noisier one with a worse mean is not.
    """
    if not 0 < level < 1:
        raise SpecError(f"The level is {level!r}; it lies between 0 and 1, for example 0.05.")
    if not scores:
        raise DataError("There is no method with scores to compare.")
    clean = {method: _scores(values, method) for method, values in scores.items()}
    lengths = sorted({len(values) for values in clean.values()})
    if len(lengths) > 1:
        raise DataError(
            f"The methods have {lengths[0]} to {lengths[-1]} fold scores; all must be scored on the same folds."
        )
    sign = 1.0 if higher_is_better else -1.0
    order = sorted(clean, key=lambda method: (-sign * float(clean[method].mean()), method))
    best, others = order[0], order[1:]
    _check_share(test_share)
    found = [corrected_difference(sign * clean[best], sign * clean[m], test_share=test_share) for m in others]
    tests = [_test(mean, error, degrees) for mean, error, degrees in found]
    alone = lengths[0] == 1
    pairs = _needs_pairs(lengths[0], test_share)
    p_values = np.array([p for _, p in tests])
    adjusted = np.full(len(others), math.nan) if alone else step_down(p_values, pairs=pairs)
    differences: dict[str, Difference] = {}
    for method, (mean, error, degrees), (statistic, p), q in zip(others, found, tests, adjusted, strict=True):
        half = math.nan if alone else float(student.ppf(0.5 + CONFIDENCE / 2, degrees)) * error
        differences[method] = Difference(method, mean, error, statistic, p, float(q), low=mean - half, high=mean + half)
    group = (best, *(m for m in others if alone or differences[m].adjusted >= level))
    reason = ""
    if alone and others:
        reason = "There is one score a method, so no difference can be tested; nothing is declared worse."
    correction = "" if alone or not others else "Holm over all pairs" if pairs else "Holm"
    return Comparisons(best, differences, group, correction, reason)


def _needs_pairs(count: int, share: float) -> bool:
    """Return whether the choice of the best has to be paid for with a multiplicity of its own.

    The best is chosen by the very scores it is tested with: under equality the largest of m(m - 1)/2 pairs is looked at, not
    the largest of m - 1. The correction covers this where it overstates the variance of the mean, which is about s²/K for
    K = 1 + 1/share folds of equally good methods: by 1/R + K/(K - 1) for R repeats, above 2 (2.25 for five folds) without
    repeats, and at most 1.75 (1.35 for ten repeats of five) with them. Two-sided p-values serve in both cases, although only
    "worse" can come out. In simulated tables (tests/slow/test_comparison_simulation.py) Holm alone declares one of eight
    equal methods worse in 1-7 % of them without repeats, but in 5-19 % with repeats; over pairs these are 2-8 %. Most are
    tables of 200 rows with 30 columns; those of 4,000 rows have 1-4 %. Pairs without repeats would halve the power for a
    method better by 0.05 AUC, one-sided p-values would double the errors.
    """
    return (1 / count + share) * (1 + share) / share < 2


def _test(mean: float, error: float, degrees: int) -> tuple[float, float]:
    """Return Student's statistic and its two-sided p-value."""
    if degrees == 0:
        return math.nan, math.nan
    if error == 0:
        return (0.0, 1.0) if mean == 0 else (math.copysign(math.inf, mean), 0.0)
    statistic = mean / error
    return statistic, float(2 * student.sf(abs(statistic), degrees))


def corrected_interval(scores: np.ndarray, test_share: float, *, level: float = CONFIDENCE) -> tuple[float, float]:
    """Return the t-interval of a mean of fold scores with the corrected variance; (NaN, NaN) for a single score.

    A ``test_share`` of 0 leaves the plain variance of a mean.
    """
    values = _scores(scores, "the method")
    if len(values) == 1:
        return math.nan, math.nan
    share = 0.0 if test_share == 0 else _check_share(test_share)
    error = math.sqrt((1 / len(values) + share) * float(values.var(ddof=1)))
    half = float(student.ppf(0.5 + level / 2, len(values) - 1)) * error
    return float(values.mean()) - half, float(values.mean()) + half


def disagree(a: np.ndarray, b: np.ndarray, share_a: float, share_b: float) -> bool:
    """Return whether the corrected 95 % intervals of two sets of fold scores of one method do not meet.

    Parameters
    ----------
    a, b : ndarray of shape (J_a,) and (J_b,)
        Scores of one method on two kinds of splits, for example random and forward ones.
    share_a, share_b : float >= 0
        Test rows divided by training rows of each; 0 for folds whose tests differ in kind (blocks of time, groups), where the
        scatter of the scores says all there is to say.

    Returns
    -------
    bool
        False where one of them has a single score, for then nothing can be said.
    """
    low_a, high_a = corrected_interval(a, share_a)
    low_b, high_b = corrected_interval(b, share_b)
    return bool(low_a > high_b or low_b > high_a)  # false for NaN


def replicates(rows: int, n: int) -> int:
    """Return how many bootstrap replicates a table of ``rows`` rows gets: ``n``, fewer from 20,000,000 / n rows on."""
    return min(n, max(FEWEST_REPLICATES, ROW_BUDGET // max(rows, 1)))


def bootstrap_interval(
    function: Callable[..., Any],
    y: np.ndarray,
    prediction: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    n: int = 1000,
    seed: int,
    level: float = CONFIDENCE,
    groups: np.ndarray | None = None,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a metric over rows, or over whole groups of rows.

    Parameters
    ----------
    function : callable
        ``function(y, prediction)``, or ``function(y, prediction, sample_weight=weight)`` where rows are weighted.
    y : ndarray of shape (rows, ...)
    prediction : ndarray of shape (rows, ...)
    weight : ndarray of shape (rows,), optional
    n : int >= 1, default 1000
        Replicates; tables above 20,000,000 / n rows get fewer: 100 for 200,000 rows, never less than 40.
    seed : int
    level : float in (0, 1), default 0.95
    groups : ndarray of shape (rows,), optional
        Rows of one group are drawn together.

    Returns
    -------
    (float, float)
        (NaN, NaN) where more than half of the replicates have no value, for example a drawn table of one class, and where
        there is a single row or group.

    References
    ----------
    Efron 1979, Bootstrap methods.
    """
    if not 0 < level < 1:
        raise SpecError(f"The level is {level!r}; it lies between 0 and 1, for example 0.95.")
    if n < 1:
        raise SpecError(f"{n} bootstrap replicates were asked for; at least 1 is needed.")
    rows = len(y)
    for name, values in (("predictions", prediction), ("weights", weight), ("groups", groups)):
        if values is not None and len(values) != rows:
            raise DataError(f"There are {rows:,} true values and {len(values):,} {name}; there must be as many.")
    order = starts = sizes = np.arange(0)
    units = rows
    if groups is not None:
        _, codes, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
        order = np.argsort(codes, kind="stable")
        starts = np.cumsum(sizes) - sizes
        units = len(sizes)
    if units < 2:
        return math.nan, math.nan
    streams = Streams(seed)
    count = replicates(rows, n)
    values = np.full(count, math.nan)
    for b in range(count):
        drawn = streams.numpy("comparison/bootstrap", b).integers(0, units, units)
        if groups is not None:
            drawn = order[_ranges(starts[drawn], sizes[drawn])]
        more = {} if weight is None else {"sample_weight": weight[drawn]}
        try:
            values[b] = float(function(y[drawn], prediction[drawn], **more))
        except FivefoldError:
            continue  # a replicate without a value, say of one class, stays NaN and is counted below
    there = values[np.isfinite(values)]
    if 2 * len(there) < count:
        return math.nan, math.nan
    low, high = np.quantile(there, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def _ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return ``start, start + 1, ... start + size - 1`` of every pair, one after the other."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1]) + np.repeat(starts - (ends - sizes), sizes)


def cheapest(group: Sequence[str], seconds: Mapping[str, float]) -> str:
    """Return the method of a group that takes the least time; within 10 % of it the first of the group wins.

    Parameters
    ----------
    group : sequence of str
        Methods not distinguishable from the best, best mean first.
    seconds : mapping of str to float
        Time of each.

    Raises
    ------
    DataError
        When the group is empty or a method has no time.
    """
    if not group:
        raise DataError("The group of best methods is empty; there is none to choose.")
    absent = [m for m in group if m not in seconds or not math.isfinite(seconds[m])]
    if absent:
        raise DataError(f"There is no time for {', '.join(absent)}; every method of the group needs one.")
    least = min(seconds[method] for method in group)
    return next(method for method in group if seconds[method] <= (1 + NEAR_IN_TIME) * least)
