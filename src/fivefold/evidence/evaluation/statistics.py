"""Correlations and tests: SciPy, statsmodels and mlxtend, tables by hand, and how often a test errs."""

from __future__ import annotations

import math

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _columns() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=90)
    return x, np.round(0.5 * x**3 + rng.normal(size=90), 1), np.round(x, 0)


@evidence("correlation-analysis", claim="Every coefficient and p-value agrees, ties included", against="scipy.stats")
def correlation_scipy() -> Check:
    from scipy import stats

    from fivefold.evaluation import correlation as ours

    x, y, tied = _columns()
    errors = []
    for a, b in ((x, y), (tied, y), (tied, np.round(y)), (-x, y)):
        pairs = [
            (ours.pearson(a, b), stats.pearsonr(a, b)),
            (ours.spearman(a, b), stats.spearmanr(a, b)),
            (ours.kendall(a, b), stats.kendalltau(a, b, method="asymptotic")),
            (ours.point_biserial(a > 0.2, b), stats.pointbiserialr(a > 0.2, b)),
        ]
        for mine, other in pairs:
            errors += [abs(mine.coefficient - other[0]), abs(mine.p_value - other[1])]
        rows = np.sign(np.round(a)).astype(int) + 1
        columns = np.digitize(b, [-1, 0.3, 1])
        table = np.array([[np.sum((rows == i) & (columns == j)) for j in np.unique(columns)] for i in np.unique(rows)])
        mine = ours.cramers_v(np.array(["low", "middle", "up"])[rows], columns)
        errors.append(abs(mine.coefficient - stats.contingency.association(table, method="cramer")))
        errors.append(abs(mine.p_value - stats.chi2_contingency(table, correction=False).pvalue))
    return Check(float(largest(errors)), 1e-12, "max difference", "scipy")


@evidence("correlation-analysis", claim="Five rows, a 2 × 2 table and y = x² by hand", against="by hand")
def correlation_by_hand() -> Check:
    from fivefold.evaluation import correlation as ours

    x, y = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.0, 1.0, 4.0, 3.0, 5.0])
    wrong = abs(ours.pearson(x, y).coefficient - 0.8) + abs(ours.spearman(np.exp(x), y**3).coefficient - 0.8)
    wrong += abs(ours.kendall(x, y).coefficient - (8 - 2) / 10)  # two pairs are the wrong way round
    # Tied in x: 9 pairs count there, 7 of them rising and 2 falling ... less the tied one.
    wrong += abs(ours.kendall([1, 1, 2, 3], [1, 2, 3, 4]).coefficient - 5 / math.sqrt(5 * 6))
    square = np.arange(-3.0, 4.0)
    wrong += abs(ours.pearson(square, square**2).coefficient) + abs(ours.pearson(square, -square).coefficient + 1)
    wrong += abs(ours.pearson(square, square).p_value)
    # 30 10 / 10 30: chi-square 80 · 0.25 = 20, V = 1/2; corrected (0.25 - 1/79) / (2 - 1/79 - 1).
    a, b = np.repeat(["u", "u", "v", "v"], [30, 10, 10, 30]), np.repeat([0, 1, 0, 1], [30, 10, 10, 30])
    wrong += abs(ours.cramers_v(a, b).coefficient - 0.5)
    wrong += abs(ours.cramers_v(a, b).p_value - math.erfc(math.sqrt(10)))
    wrong += abs(ours.cramers_v(a, b, corrected=True).coefficient - math.sqrt((0.25 - 1 / 79) / (1 - 1 / 79)))
    wrong += abs(ours.cramers_v(a, a).coefficient - 1)
    # Means 1 and 3, spread √(1 + 1/2 ...): values 0 2 | 2 4 have variance 2, so r = (3 - 1)/√2 · 1/2.
    wrong += abs(ours.point_biserial(["n", "n", "y", "y"], [0.0, 2.0, 2.0, 4.0]).coefficient - 1 / math.sqrt(2))
    return Check(float(wrong), 1e-12, "sum of differences", "by hand")


@evidence(
    "correlation-analysis",
    claim="The matrix holds the pairs; 3000 rows in blocks count as pairs do",
    against="the pairs",
)
def correlation_matrix() -> Check:
    from fivefold.evaluation import correlation as ours

    x, y, tied = _columns()
    wrong = 0.0
    for method, function in (("pearson", ours.pearson), ("kendall", ours.kendall), ("spearman", ours.spearman)):
        coefficient, p = ours.CorrelationAnalysis(method).matrix(np.stack([x, y, tied], axis=1))
        wrong += abs(coefficient[0, 1] - function(x, y).coefficient) + abs(p[2, 1] - function(tied, y).p_value)
        wrong += np.abs(coefficient - coefficient.T).max() + np.abs(np.diag(coefficient) - 1).max() + np.diag(p).max()
    wrong += float(ours.CorrelationAnalysis().method != "pearson")
    rng = np.random.default_rng(1)
    order = rng.permutation(3000)
    inversions = sum(int(np.sum(order[:i] > order[i])) for i in range(3000))
    wrong += abs(ours.kendall(np.arange(3000), order).coefficient - (1 - 4 * inversions / (3000 * 2999)))
    return Check(float(wrong), 1e-12, "sum of differences", "pairs")


@evidence(
    "significance-analysis", claim="t, Welch, F and chi-square of columns agree", against="scipy.stats, scikit-learn"
)
def significance_scipy() -> Check:
    from scipy import stats
    from sklearn.feature_selection import f_classif

    from fivefold.evaluation.significance import SignificanceAnalysis

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(70, 4)), rng.integers(0, 3, 70)
    X[:, 1] += y
    two = np.where(y > 0, "b", "a")
    parts = X[two == "b"], X[two == "a"]
    errors = []
    for name, equal in (("t", True), ("welch", False)):
        statistic, p, _ = SignificanceAnalysis(name).columns(X, two)
        other = stats.ttest_ind(*parts, equal_var=equal)
        errors += [np.abs(statistic - other.statistic).max(), np.abs(p - other.pvalue).max()]
    statistic, p, _ = SignificanceAnalysis().columns(X, y)
    other = f_classif(X, y)
    errors += [np.abs(statistic - other[0]).max(), np.abs(p - other[1]).max()]
    cells = np.digitize(X, [-0.5, 0.5])
    statistic, p, _ = SignificanceAnalysis("chi2").columns(cells, y)
    for j in range(4):
        table = np.array([[np.sum((cells[:, j] == a) & (y == b)) for b in range(3)] for a in range(3)])
        chi2 = stats.chi2_contingency(table, correction=False)
        errors += [abs(statistic[j] - chi2.statistic), abs(p[j] - chi2.pvalue)]
    return Check(float(largest(errors)), 1e-12, "max difference", "scipy, scikit-learn")


@evidence(
    "significance-analysis",
    claim="McNemar, Holm and Benjamini-Hochberg agree",
    against="statsmodels",
    peer="statsmodels",
)
def significance_statsmodels() -> Check:
    from statsmodels.stats.contingency_tables import mcnemar as peer
    from statsmodels.stats.multitest import multipletests

    from fivefold.evaluation.significance import SignificanceAnalysis, adjust, mcnemar

    rng, errors = np.random.default_rng(0), []
    for b, c in ((3, 12), (12, 3), (5, 5), (0, 4), (7, 8)):
        y = np.zeros(40, dtype=int)
        one, two = np.zeros(40, dtype=int), np.zeros(40, dtype=int)
        two[:b] = 1
        one[b : b + c] = 1
        one[-4:] = two[-4:] = 1  # both wrong
        for exact in (True, False) if b != c else (True,):
            mine = mcnemar(y, one, two, exact=exact)
            other = peer([[36 - b - c, b], [c, 4]], exact=exact, correction=True)
            errors += [abs(mine.statistic - other.statistic), abs(mine.p_value - other.pvalue)]
    # Where both err equally often the correction stops at 0; statsmodels goes on to (0 - 1)².
    y = np.array([0, 0, 1])
    errors += [mcnemar(y, [0, 1, 1], [1, 0, 1], exact=False).statistic, mcnemar(y, y, y).p_value - 1]
    for size in (1, 7, 20):
        p = rng.random(size) ** 2
        p[: size // 3] = p[0]
        errors.append(np.abs(adjust(p) - multipletests(p, method="holm")[1]).max())
        errors.append(np.abs(adjust(p, method="benjamini-hochberg") - multipletests(p, method="fdr_bh")[1]).max())
    X, y = rng.normal(size=(40, 5)), np.arange(40) % 2
    _, p, fixed = SignificanceAnalysis().columns(X, y)
    errors.append(np.abs(fixed - adjust(p)).max())
    _, p, fixed = SignificanceAnalysis("t", "benjamini-hochberg").columns(X, y)
    errors.append(np.abs(fixed - adjust(p, method="benjamini-hochberg")).max())
    return Check(float(largest(errors)), 1e-12, "max difference", "statsmodels")


@evidence("significance-analysis", claim="5×2 and resampled t statistics by their formulas", against="by hand")
def significance_folds() -> Check:
    from scipy import stats

    from fivefold.evaluation.significance import corrected_resampled_t, five_by_two_cv

    d = np.array([[0.1, 0.3], [0.2, 0.2], [0.0, 0.4], [0.1, 0.1], [-0.1, 0.1]])
    # s² of a repeat is half the squared difference: 0.02 + 0 + 0.08 + 0 + 0.02 = 0.12; squares sum to 0.38.
    mine = five_by_two_cv(d)
    wrong = abs(mine.statistic - 0.38 / 0.24) + abs(mine.p_value - stats.f.sf(0.38 / 0.24, 10, 5))
    mine = five_by_two_cv(d, combined=False)
    t = 0.1 / math.sqrt(0.12 / 5)
    wrong += abs(mine.statistic - t) + abs(mine.p_value - 2 * stats.t.sf(t, 5))
    mine = corrected_resampled_t([1.0, 2.0, 3.0, 2.0], test_fraction=0.2)
    t = 2 / math.sqrt((1 / 4 + 1 / 4) * 2 / 3)  # n2/n1 = 0.2/0.8
    wrong += abs(mine.statistic - t) + abs(mine.p_value - 2 * stats.t.sf(t, 3))
    wrong += abs(corrected_resampled_t([-1.0, -2.0, -3.0, -2.0], test_fraction=0.2).statistic + t)
    return Check(float(wrong), 1e-12, "sum of differences", "by hand")


@evidence(
    "significance-analysis", claim="DeLong's variances are those of the placements", against="all pairs, one by one"
)
def significance_delong() -> Check:
    from sklearn.metrics import roc_auc_score

    from fivefold.evaluation.significance import delong

    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1], [35, 25]))
    a, b = np.round(rng.normal(size=(2, 60)) + y, 1)
    found = delong(np.array(["no", "yes"])[y], a, b)
    tables = [np.heaviside(s[y == 1][:, None] - s[y == 0], 0.5) for s in (a, b)]  # (25, 35)
    up, down = [t.mean(axis=1) for t in tables], [t.mean(axis=0) for t in tables]
    covariance = np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            s10 = np.sum((up[i] - up[i].mean()) * (up[j] - up[j].mean())) / 24
            s01 = np.sum((down[i] - down[i].mean()) * (down[j] - down[j].mean())) / 34
            covariance[i, j] = s10 / 25 + s01 / 35
    wrong = np.abs(found.covariance - covariance).max()
    wrong += abs(found.areas[0] - roc_auc_score(y, a)) + abs(found.areas[1] - roc_auc_score(y, b))
    z = (found.areas[0] - found.areas[1]) / math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    wrong += abs(found.statistic - z) + abs(found.p_value - math.erfc(abs(z) / math.sqrt(2)))
    same = delong(y, a, 2 * a)
    return Check(float(wrong + abs(same.statistic) + abs(same.p_value - 1)), 1e-12, "sum of differences", "brute force")


@evidence(
    "significance-analysis",
    claim="Intervals of a mean agree; 90 % of them hold the truth",
    against="scipy bootstrap, normal theory",
)
def significance_bootstrap() -> Check:
    from scipy.stats import bootstrap

    from fivefold.evaluation.significance import bootstrap_interval

    x = np.random.default_rng(0).exponential(size=60)
    wrong = 0
    for method, name in (("bca", "BCa"), ("percentile", "percentile")):
        mine = bootstrap_interval(np.mean, x, resamples=4000, method=method, random_state=0)
        other = bootstrap((x,), np.mean, n_resamples=4000, method=name, rng=1)
        # A quantile at 2.5 % of 4000 draws has the standard error √(0.025 · 0.975 / 4000) / φ(1.96) = 0.042 deviations.
        bound = 5 * math.sqrt(2) * 0.06 * other.standard_error
        ends = other.confidence_interval
        wrong += int(not abs(mine.low - ends.low) <= bound) + int(not abs(mine.high - ends.high) <= bound)
        wrong += int(not abs(mine.standard_error / (x.std() / math.sqrt(60)) - 1) <= 5 / math.sqrt(2 * 4000))
        wrong += int(mine.value != x.mean())
    held = 0
    for seed in range(150):
        z = np.random.default_rng(seed).normal(size=40)
        found = bootstrap_interval(np.mean, z, confidence=0.9, resamples=200, method="percentile", random_state=seed)
        held += int(found.low <= 0 <= found.high)
    # Narrower than exact by √(39/40) · z/t: 0.88 of 150, standard deviation 4.
    wrong += int(not 0.88 * 150 - 4 * 4 <= held <= 0.88 * 150 + 4 * 4)
    return Check(wrong, 0, "claims that fail", "scipy")


def _course() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return 100 normal and 5 abnormal rows and the alarms of the detectors A and B."""
    y = np.repeat([0, 1], [100, 5])
    a, b = y.copy(), y.copy()
    a[:1], a[100:104] = 1, 0
    b[:6], b[100:103] = 1, 0
    return y, a, b


@evidence(
    "cost-sensitive-threshold", claim="Costs are 104 against 603 and 401 against 306", against="the course's tables"
)
def costs_of_the_course() -> Check:
    from fivefold.evaluation.metrics import accuracy
    from fivefold.evaluation.thresholds import Costs, cost_of

    y, a, b = _course()
    found = [105 * cost_of(y, d, c) for c in (Costs(fp=100, fn=1), Costs(fp=1, fn=100)) for d in (a, b)]
    wrong = float(np.abs(np.array(found) - [104, 603, 401, 306]).max())
    wrong += abs(accuracy(y, 0 * y) - 100 / 105) + abs(round(100 * accuracy(y, 0 * y), 1) - 95.2)
    wrong += abs(accuracy(y, a) - 100 / 105) + abs(accuracy(y, b) - 96 / 105)
    wrong += abs(105 * cost_of(y, 0 * y, Costs(fp=1, fn=100)) - 500)
    gains = Costs(fp=2, fn=7, tp=-3, tn=-0.5)
    wrong += abs(105 * cost_of(y, b, gains) - (6 * 2 + 3 * 7 - 2 * 3 - 94 * 0.5))
    wrong += abs(cost_of(y, b, gains, np.where(y == 1, 2.0, 1.0)) - (12 + 42 - 12 - 47) / 110)
    return Check(wrong, 1e-12, "sum of differences", "06#anomaly-metrics")


@evidence(
    "cost-sensitive-threshold", claim="No cut between scores is cheaper or better", against="every cut, one by one"
)
def threshold_brute_force() -> Check:
    from fivefold.evaluation.thresholds import Costs, best_threshold, cost_of, theoretical_threshold

    rng, worst = np.random.default_rng(0), 0.0
    for seed in range(20):
        y = (rng.random(40) < 0.3).astype(int)
        y[:2] = 0, 1
        score = np.round(rng.normal(size=40) + y, 1)
        w = rng.uniform(0.2, 3, 40) * (rng.random(40) < 0.8) + (np.arange(40) < 2) if seed % 2 else None
        distinct = np.unique(score if w is None else score[w > 0])
        cuts = np.concatenate([[-np.inf], (distinct[1:] + distinct[:-1]) / 2, [np.inf]])
        for costs in (Costs(fp=1, fn=1), Costs(fp=1, fn=10), Costs(fp=5, fn=1), Costs(fp=1, fn=4, tp=-2, tn=-0.3)):
            all_costs = [cost_of(y, score >= cut, costs, w) for cut in cuts]
            found = best_threshold(y, score, costs=costs, sample_weight=w)
            worst = largest(worst, abs(found.score - min(all_costs)))
            worst = largest(worst, abs(cost_of(y, score >= found.value, costs, w) - found.score))
            best = [
                (abs(c - theoretical_threshold(costs)), -c)
                for c, v in zip(cuts, all_costs)
                if v < min(all_costs) + 1e-9
            ]
            nearest = sorted(best)[0]  # to the threshold of theory; of two alike, the higher
            worst = largest(worst, float(found.value != -nearest[1]))
        weight = np.ones(40) if w is None else w
        p, n = weight[y == 1].sum(), weight[y == 0].sum()
        values: dict[str, list[float]] = {"youden": [], "f1": [], "accuracy": []}
        for cut in cuts:
            tp, fp = weight[(score >= cut) & (y == 1)].sum(), weight[(score >= cut) & (y == 0)].sum()
            values["youden"].append(tp / p - fp / n)
            values["f1"].append(2 * tp / (tp + fp + p))
            values["accuracy"].append((tp + n - fp) / (p + n))
        for objective, reached in values.items():
            found = best_threshold(y, score, objective=objective, sample_weight=w)
            worst = largest(worst, abs(found.score - max(reached)))
            best = [(abs(c - 0.5), -c) for c, v in zip(cuts, reached) if v > max(reached) - 1e-9]
            nearest = sorted(best)[0]  # to the threshold of theory; of two alike, the higher
            worst = largest(worst, float(found.value != -nearest[1]))
        worst = largest(worst, abs(best_threshold(y, score, sample_weight=w).score - max(values["youden"])))
    return Check(float(worst), 1e-12, "max difference", "brute force")


@evidence(
    "cost-sensitive-threshold",
    claim="Rows of one class, tied cuts, scores without a number between them, and costs as text",
    against="by hand",
)
def threshold_edges() -> Check:
    from fivefold.base.errors import DataError
    from fivefold.evaluation.thresholds import Costs, Threshold, best_threshold

    s, wrong = [0.2, 0.6, 0.7], 0
    wrong += best_threshold([0, 0, 0], s, costs=Costs(1, 1)) != Threshold(np.inf, 0.0)
    wrong += best_threshold([1, 1, 1], s, costs=Costs(1, 1)) != Threshold(-np.inf, 0.0)
    wrong += best_threshold([1, 1, 1], s, objective="f1") != Threshold(-np.inf, 1.0)
    wrong += best_threshold([0, 0, 0], s, objective="accuracy") != Threshold(np.inf, 1.0)
    wrong += best_threshold([0, 1, 1], [0.5, 0.5, 0.5], objective="accuracy") != Threshold(-np.inf, 2 / 3)
    # 0.25 and 0.75 both reach 1/2 and are equally far from 0.5: the higher.
    wrong += best_threshold([0, 1, 0, 1], [0.0, 0.5, 0.5, 1.0]) != Threshold(0.75, 0.5)
    # Each step of a float that goes either way when it is rounded: the upper one parts them.
    for kind in (np.float32, np.float64):
        low = kind(0.5)
        for _ in range(2):
            high = np.nextafter(low, kind(1))
            cut = best_threshold([0, 1], np.array([low, high])).value
            wrong += bool(not low < cut) or not bool(high >= cut)
            low = high
    huge = float(np.finfo(float).max)
    wrong += best_threshold([0, 1], [0.75 * huge, huge]).value != 0.875 * huge  # the sum of both is no number
    lone: list[tuple[list[int], list[float], str]] = [
        ([1, 1], [1, 1], "no negative one"),
        ([0, 0], [1, 1], "no positive one"),
        ([1, 0], [0.25, 0], "no negative one"),
        ([0, 1], [0.25, 0], "no positive one"),
    ]
    for y, w, words in lone:
        try:
            best_threshold(y, [0.1, 0.2], sample_weight=w)
            wrong += 1
        except DataError as error:
            wrong += words not in str(error)
    # Classes of weight one are classes.
    wrong += best_threshold([0, 1], [0.1, 0.3]) != Threshold(0.2, 1.0)
    wrong += best_threshold([0, 1], [0.1, 0.3], objective="f1") != Threshold(0.2, 1.0)
    texts = (
        (Costs(1, 10), "fp=1,fn=10"),
        (Costs(0, 2.5), "fp=0,fn=2.5"),
        (Costs(1, 0, tp=-2, tn=0.5), "fp=1,fn=0,tp=-2,tn=0.5"),
    )
    wrong += sum(str(costs) != text or Costs.parse(text) != costs for costs, text in texts)
    wrong += Costs.parse(" FN = 2.5 , fp=1e3 ") != Costs(1000, 2.5)
    return Check(float(wrong), 0.0, "differences", "by hand")


@evidence(
    "cost-sensitive-threshold",
    claim="Calibrated scores are cut at c_fp/(c_fp + c_fn)",
    against="Elkan's formula",
)
def threshold_theory() -> Check:
    from fivefold.evaluation.thresholds import Costs, best_threshold, cost_of, theoretical_threshold

    wrong = abs(theoretical_threshold(Costs(fp=1, fn=4)) - 0.2) + abs(theoretical_threshold(Costs(fp=3, fn=1)) - 0.75)
    wrong += abs(theoretical_threshold(Costs(fp=1, fn=2, tp=-1, tn=-0.5)) - 1.5 / 4.5)
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    y = (rng.random(200_000) < p).astype(int)
    dev = slice(0, 100_000)  # chosen on one half, judged on the other
    for costs in (Costs(fp=1, fn=4), Costs(fp=3, fn=1)):
        cut = best_threshold(y[dev], p[dev], costs=costs).value
        exact = theoretical_threshold(costs)
        # Near the best cut the expected cost rises by (c_fp + c_fn)/2 · δ² for uniform p: here below 0.3 % of the costs.
        wrong += float(not abs(cut - exact) <= 0.05)
        test = slice(100_000, None)
        at = [cost_of(y[test], p[test] >= t, costs) for t in (cut, exact, 0.5)]
        wrong += float(not at[0] <= at[1] + 0.003 * (costs.fp + costs.fn)) + float(not at[0] < 0.95 * at[2])
    return Check(wrong, 1e-12, "claims that fail", "theory")


@evidence(
    "cost-sensitive-threshold",
    claim="Calibration by default in ten bins: of equal rows for the curve, of equal width for the error",
    against="bins counted by hand",
)
def calibration_defaults() -> Check:
    from fivefold.evaluation.calibration import expected_calibration_error, reliability_curve

    rng = np.random.default_rng(4)
    p = rng.random(200) ** 2
    y, w = (rng.random(200) < p).astype(int), rng.uniform(0.5, 2.0, 200)
    order = np.argsort(p)
    blocks = np.split(order, 10)  # 200 different values: 20 rows a bin
    mean, seen, rows = reliability_curve(y, p)
    worst = float(rows.tolist() != [20] * 10)
    worst = largest(worst, float(np.abs(mean - [p[b].mean() for b in blocks]).max()))
    worst = largest(worst, float(np.abs(seen - [y[b].mean() for b in blocks]).max()))
    bins = [np.flatnonzero((p > k / 10) & (p <= (k + 1) / 10)) for k in range(10)]
    wanted = sum(abs(w[b] @ y[b] - w[b] @ p[b]) for b in bins) / w.sum()
    worst = largest(worst, abs(expected_calibration_error(y, p, w) - wanted))
    return Check(worst, 1e-12, "max difference", "by hand")
