"""Correlation and significance where they end: perfect relations, tables with unequal sides, no difference, ties."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from fivefold.evidence import Check, evidence, largest, smallest


@evidence(
    "correlation-analysis",
    claim="A perfect relation of any length is at most 1, by not more than rounding below it, with the probability 0",
    against="the range of a correlation",
)
def correlation_ends() -> Check:
    from fivefold.evaluation import correlation as ours

    wrong = 0.0
    for n in (*range(3, 40), 1024, 1025, 2048):
        x = np.arange(n) / 7.0
        for sign in (1.0, -1.0):
            found = [ours.pearson(x, 3.0 * sign * x + 1.0), ours.spearman(x, sign * x**3)]
            found += [] if n == 1025 else [ours.kendall(x, sign * x)]
            wrong += sum(not 1.0 - 1e-12 < sign * r.coefficient <= 1.0 for r in found)
            wrong += sum(not r.p_value <= 1e-5 for r in found[:2])
    for k in range(2, 9):
        x = np.repeat(np.arange(k), 4)
        same = ours.cramers_v(x, x)
        wrong += not 1.0 - 1e-12 < same.coefficient <= 1.0
        wrong += not 1.0 - 1e-12 < ours.cramers_v(x, x, corrected=True).coefficient <= 1.0
        # Every pair once: no relation at all, with the correction too.
        a, b = np.divmod(np.arange(2 * k), 2)
        wrong += ours.cramers_v(a, b) != (0.0, 1.0) or ours.cramers_v(a, b, corrected=True) != (0.0, 1.0)
    return Check(float(wrong), 0.0, "values out of range", "theory")


@evidence(
    "correlation-analysis",
    claim="Corrected and plain V of tables with unequal sides, lying and standing; plain by default",
    against="Bergsma's formula",
)
def cramers_by_hand() -> Check:
    from fivefold.evaluation.correlation import cramers_v

    counts = np.array([[9, 1, 2], [2, 8, 5], [1, 2, 7], [3, 9, 1]])
    i, j = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    n, r, c = counts.sum(), 4, 3
    chi2 = n * (np.sum(counts**2 / np.outer(counts.sum(1), counts.sum(0))) - 1.0)
    phi = chi2 / n - (r - 1) * (c - 1) / (n - 1)
    fixed = math.sqrt(phi / (smallest(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1))
    # The upper tail of chi-square with 6 degrees.
    tail = math.exp(-chi2 / 2) * (1 + chi2 / 2 + chi2**2 / 8)
    worst = 0.0
    for x, y in ((i, j), (j, i)):
        worst = largest(
            worst, abs(cramers_v(x, y).coefficient - math.sqrt(chi2 / n / 2)), abs(cramers_v(x, y).p_value - tail)
        )
        worst = largest(worst, abs(cramers_v(x, y, corrected=True).coefficient - fixed))
    return Check(worst, 1e-13, "max difference", "closed form")


@evidence(
    "significance-analysis",
    claim="By default equal variances, the exact McNemar test and the combined 5×2 test; no difference at all is certain",
    against="by hand",
)
def significance_by_hand() -> Check:
    from fivefold.evaluation.significance import adjust, delong, f_test, five_by_two_cv, mcnemar, t_test

    x, y = np.array([1.0, 2.0, 4.0, 6.0, 7.0]), np.array(["a", "a", "a", "b", "b"])
    # Means 7/3 and 13/2; within the groups 14/3 and 1/2, together 31/6 with 3 degrees.
    t = (13 / 2 - 7 / 3) / math.sqrt(31 / 18 * (1 / 3 + 1 / 2))
    wrong = abs(t_test(x, y).statistic - t) + abs(f_test(x, y).statistic - t**2)
    wrong += abs(t_test(x, y, equal_variance=False).statistic - (25 / 6) / math.sqrt(7 / 9 + 1 / 4))
    # Constant in one group: the error and the degrees are those of the other, 7/9 and 2.
    one = t_test([1.0, 2.0, 4.0, 6.0, 6.0], y, equal_variance=False)
    t = (6 - 7 / 3) / math.sqrt(7 / 9)
    wrong += abs(one.statistic - t) + abs(one.p_value - (1 - t / math.sqrt(2 + t**2)))  # Student's law with 2 degrees
    truth = np.zeros(9, dtype=int)
    first, second = np.repeat([0, 1], [8, 1]), np.repeat([1, 0], [3, 6])  # 3 only the first, 1 only the second
    wrong += abs(mcnemar(truth, first, second).p_value - 2 * 5 / 16) + abs(mcnemar(truth, first, second).statistic - 1)
    about = mcnemar(truth, first, second, exact=False)
    wrong += abs(about.statistic - 1 / 4) + abs(about.p_value - math.erfc(math.sqrt(1 / 8)))
    for exact in (True, False):
        wrong += float(mcnemar(truth, first, first, exact=exact) != (0.0, 1.0))
        wrong += float(mcnemar(truth, 1 - truth, np.r_[0, truth[1:] + 1], exact=exact).p_value != 1.0)  # one row
    # Halves of squared differences 1/2, 2, 0, 0, 0 add up to 5/2; squares to 1 + 0 + 1 + 9 + 4.
    d = np.array([[0.0, 1.0], [1.0, 3.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    wrong += abs(five_by_two_cv(d).statistic - 15 / 5)
    wrong += float(np.abs(adjust([0.5, 0.01, 0.9, 0.04]) - [1.0, 0.04, 1.0, 0.12]).max())
    wrong += float(np.abs(adjust([0.5, 0.01, 0.9, 0.04], method="benjamini-hochberg") - [2 / 3, 0.04, 0.9, 0.08]).max())
    # Four of the four pairs against two and a half: the areas differ by 3/8.
    scores = ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], [0.1, 0.3, 0.3, 0.2])
    found = delong(*scores)
    wrong += abs(found.areas[0] - 1.0) + abs(found.areas[1] - 2.5 / 4)
    # Placements 3/4, 1/2 above and 1, 1/4 below: variances 1/32 and 9/32 over two rows each.
    z = (3 / 8) / math.sqrt(1 / 64 + 9 / 64)
    wrong += abs(found.statistic - z) + abs(found.p_value - math.erfc(z / math.sqrt(2)))
    return Check(float(wrong), 1e-12, "sum of differences", "by hand")


@evidence(
    "significance-analysis",
    claim="Both intervals of a mean, of a median with ties and of a constant; 95 % and bca by default",
    against="Efron's formula over the same draws",
)
def bootstrap_formula() -> Check:
    from fivefold.base.random import Streams
    from fivefold.evaluation.significance import bootstrap_interval

    rng, normal, worst = np.random.default_rng(0), NormalDist(), 0.0
    tables = [(np.mean, rng.exponential(size=23)), (np.median, np.round(rng.normal(size=20), 0)), (np.mean, np.ones(5))]
    for function, x in tables:
        n = len(x)
        rows = Streams.of(7).numpy("bootstrap").integers(0, n, size=(300, n))
        drawn = np.array([function(x[r]) for r in rows])
        left = np.array([function(np.r_[x[:i], x[i + 1 :]]) for i in range(n)])
        u = left.mean() - left
        a = (u**3).sum() / (6 * (u**2).sum() ** 1.5) if u.any() else 0.0
        z0 = normal.inv_cdf(np.mean(drawn < function(x)) + np.mean(drawn == function(x)) / 2)
        for confidence in (0.95, 0.8):
            plain = [(1 - confidence) / 2, (1 + confidence) / 2]
            z = [z0 + normal.inv_cdf(tail) for tail in plain]
            fixed = [normal.cdf(z0 + v / (1 - a * v)) for v in z]
            more = {} if confidence == 0.95 else {"confidence": confidence}
            for method, tails in (("percentile", plain), ("bca", fixed)):
                options = more if method == "bca" else {**more, "method": method}
                found = bootstrap_interval(function, x, resamples=300, random_state=7, **options)
                worst = largest(worst, float(np.abs(np.quantile(drawn, tails) - [found.low, found.high]).max()))
                worst = largest(worst, abs(found.standard_error - np.sqrt(((drawn - drawn.mean()) ** 2).sum() / 299)))
                worst = largest(worst, abs(found.value - function(x)))
    # A statistic that no draw equals or passes: the bias correction ends, and so does the interval.
    top = bootstrap_interval(lambda v: float(len(np.unique(v))), np.arange(30.0), resamples=100, random_state=0)
    worst = largest(worst, float(not (np.isfinite([top.low, top.high]).all() and top.high <= 30)))
    return Check(float(worst), 1e-12, "max difference", "closed form")
