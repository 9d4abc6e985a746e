"""The area under the ROC curve: pairs counted one by one, Mann-Whitney's U, worked numbers, streaming."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _rows(rows: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, scores with many ties, and weights of which some are zero."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    score = np.round(rng.normal(size=rows) + 0.8 * y, 1)
    return y, score, np.where(rng.random(rows) < 0.1, 0.0, rng.uniform(0.1, 3.0, rows))


def _pairs(y: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    positive, negative = y == y.max(), y != y.max()
    wins = (score[positive][:, None] > score[negative]) + 0.5 * (score[positive][:, None] == score[negative])
    both = weight[positive][:, None] * weight[negative]
    return float((wins * both).sum() / both.sum())


@evidence("roc-auc", claim="The area counts pairs, ties half, weights multiplied", against="all pairs, one by one")
def roc_auc_pairs() -> Check:
    from fivefold.evaluation.metrics import roc_auc

    y, score, weight = _rows()
    errors = [
        roc_auc(y, score) - _pairs(y, score, np.ones(len(y))),
        roc_auc(y, score, weight) - _pairs(y, score, weight),
        roc_auc(y, np.where(score > 1.5, np.inf, score), weight) - _pairs(y, np.minimum(score, 1.6), weight),
        roc_auc(np.where(y == 1, "malignant", "benign"), score) - _pairs(y, score, np.ones(len(y))),
    ]
    return Check(float(np.abs(errors).max()), 1e-13, "max difference", "brute force")


@evidence("roc-auc", claim="The area is Mann-Whitney's U over the number of pairs", against="scipy.stats.mannwhitneyu")
def roc_auc_mann_whitney() -> Check:
    from scipy.stats import mannwhitneyu

    from fivefold.evaluation.metrics import roc_auc

    worst = 0.0
    for seed in range(5):
        y, score, _ = _rows(seed=seed)
        u = mannwhitneyu(score[y == 1], score[y == 0]).statistic
        worst = largest(worst, abs(roc_auc(y, score) - u / ((y == 1).sum() * (y == 0).sum())))
    return Check(float(worst), 1e-15, "max difference", "scipy")


@evidence("roc-auc", claim="Weighted, tied, textual and multiclass areas agree", against="scikit-learn roc_auc_score")
def roc_auc_sklearn() -> Check:
    from sklearn.metrics import roc_auc_score

    from fivefold.evaluation.metrics import roc_auc

    y, score, weight = _rows()
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 4, 300)
    table = rng.dirichlet(np.ones(4), 300).round(2)
    table[:, 0] += 1.0 - table.sum(axis=1)
    w = rng.uniform(0.5, 2, 300)
    errors = [
        roc_auc(y, score) - roc_auc_score(y, score),
        roc_auc(y, score, weight) - roc_auc_score(y, score, sample_weight=weight),
        roc_auc(2 * y - 1, score) - roc_auc_score(2 * y - 1, score),
        roc_auc(y, np.stack([-score, score], axis=1)) - roc_auc_score(y, score),
        roc_auc(classes, table) - roc_auc_score(classes, table, multi_class="ovr"),
        roc_auc(classes, table, w) - roc_auc_score(classes, table, multi_class="ovr", sample_weight=w),
        roc_auc(classes, table, w, average="weighted")
        - roc_auc_score(classes, table, multi_class="ovr", average="weighted", sample_weight=w),
        roc_auc(classes, table, average="weighted")
        - roc_auc_score(classes, table, multi_class="ovr", average="weighted"),
    ]
    return Check(float(np.abs(errors).max()), 1e-13, "max difference", "scikit-learn")


@evidence(
    "roc-auc", claim="Merged shards give the whole; the mean of batch areas does not", against="four rows by hand"
)
def roc_auc_streams() -> Check:
    from fivefold.evaluation.metrics import RocAuc, roc_auc

    # Both batches are perfect by themselves, but one of the four pairs across them is the wrong way round.
    batches = [([1, 0], [0.9, 0.8]), ([1, 0], [0.2, 0.1])]
    whole = RocAuc()
    for y, score in batches:
        whole.update(y, score)
    wrong = abs(whole.compute() - 0.75) + abs(np.mean([roc_auc(*batch) for batch in batches]) - 1.0)
    y, score, weight = _rows()
    shards = [RocAuc().update(y[i::3], score[i::3], weight[i::3]) for i in range(3)]
    wrong += abs(shards[0].merge(shards[1]).merge(shards[2]).compute() - roc_auc(y, score, weight))
    return Check(float(wrong), 1e-14, "sum of differences", "worked example")


@evidence("roc-auc", claim="Rounded probabilities lose the ranking", against="four rows by hand")
def roc_auc_needs_probabilities() -> Check:
    from fivefold.evaluation.metrics import roc_auc

    y, p = np.array([0, 0, 1, 1]), np.array([0.6, 0.7, 0.8, 0.9])
    wrong = abs(roc_auc(y, p) - 1.0) + abs(roc_auc(y, p.round()) - 0.5)
    wrong += abs(roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) - 0.75)
    return Check(float(wrong), 0.0, "sum of differences", "worked example")


@evidence(
    "roc-auc", claim="Accuracy misleads where the area and the costs do not", against="the course's detector tables"
)
def roc_auc_anomaly_numbers() -> Check:
    from fivefold.evaluation.metrics import accuracy, confusion_matrix, misclassification_cost, roc_auc

    y = np.repeat([0, 1], [100, 5])  # 100 normal, 5 abnormal

    def decisions(false_alarms: int, missing: int) -> np.ndarray:
        found = y.copy()
        found[:false_alarms], found[100 : 100 + missing] = 1, 0
        return found

    first, second, silent = decisions(1, 4), decisions(6, 3), np.zeros_like(y)
    wrong = abs(accuracy(y, silent) - 100 / 105) + abs(100 * accuracy(y, silent) - 95.2) // 0.1
    wrong += abs(roc_auc(y, silent.astype(float)) - 0.5)
    for found, alarms, missing, cost_a, cost_b in ((first, 1, 4, 104, 401), (second, 6, 3, 603, 306)):
        matrix, _ = confusion_matrix(y, found)
        wrong += abs(matrix[0, 1] - alarms) + abs(matrix[1, 0] - missing)
        wrong += abs(misclassification_cost(y, found, cost_false_alarm=100, cost_missing=1) - cost_a)
        wrong += abs(misclassification_cost(y, found, cost_false_alarm=1, cost_missing=100) - cost_b)
    return Check(float(wrong), 1e-12, "sum of differences", "06#anomaly-metrics")


@evidence("roc-auc", claim="Monotone maps keep the area, reversal mirrors it, curves enclose it", against="invariance")
def roc_auc_invariance() -> Check:
    from fivefold.evaluation.metrics import average_precision, pr_curve, roc_auc, roc_curve

    y, score, weight = _rows()
    area = roc_auc(y, score, weight)
    alarm, rate, thresholds = roc_curve(y, score, weight)
    precision, recall, _ = pr_curve(y, score, weight)
    errors = [
        roc_auc(y, np.exp(score), weight) - area,
        roc_auc(y, -score, weight) - (1 - area),
        roc_auc(1 - y, score, weight) - (1 - area),
        roc_auc(y, score, 7.0 * weight) - area,
        np.trapezoid(rate, alarm) - area,
        np.sum(np.diff(recall, prepend=0.0) * precision) - average_precision(y, score, weight),
    ]
    # Each point of the curve is the pair of rates at its threshold, "at least" counting as positive.
    for i in (0, 5, len(thresholds) - 1):
        called = score >= thresholds[i]
        errors.append(rate[i] - weight[called & (y == 1)].sum() / weight[y == 1].sum())
        errors.append(alarm[i] - weight[called & (y == 0)].sum() / weight[y == 0].sum())
    return Check(float(np.abs(errors).max()), 1e-13, "max difference", "invariance")


def _refused(call: Callable[[], Any], *words: str) -> int:
    """Return 0 when the call is refused in a sentence with these words, else 1."""
    from fivefold.base.errors import InputError, InputTypeError

    try:
        call()
    except (InputError, InputTypeError) as error:
        return int(not all(word in str(error) for word in words))
    return 1


@evidence(
    "roc-auc", claim="What cannot be measured is refused in a sentence that names it", against="one case for each rule"
)
def roc_auc_refusals() -> Check:
    from fivefold.evaluation.metrics import accuracy, average_precision, brier_score, log_loss, roc_auc

    y, p, eye = [0, 1, 1], [0.1, 0.2, 0.3], np.eye(3)
    cases: list[tuple[Callable[[], Any], tuple[str, ...]]] = [
        (lambda: roc_auc([1, 1, 1], p), ("both classes", "class 1")),
        (lambda: roc_auc(y, p, [0, 1, 1]), ("no negative one",)),
        (lambda: roc_auc(y, p, [1, 0, 0]), ("no positive one",)),
        (lambda: average_precision([0, 0, 0], p, labels=[0, 1]), ("at least one positive",)),
        (lambda: roc_auc([0, 1, 2], p), ("3 classes", "0, 1, 2")),
        (lambda: roc_auc([0, 1, 2], np.ones((3, 2))), ("3 classes",)),
        (lambda: roc_auc(y, eye), ("3 columns", "2 classes")),
        (lambda: roc_auc(y, eye, labels=[0, 1, 2]), ("no row is of class 2",)),
        (lambda: roc_auc([0, 1, 5], eye, labels=[0, 1, 2]), ("the class 5",)),
        (lambda: roc_auc(y, np.ones((3, 1, 1))), ("shape (3, 1, 1)",)),
        (lambda: roc_auc(np.ones((3, 2)), p), ("y_true has shape (3, 2)",)),
        (lambda: roc_auc([0.5, 1.0, 0.0], p), ("y_true holds 0.5",)),
        (lambda: roc_auc(y, ["a", "b", "c"]), ("not labels",)),
        (lambda: roc_auc(y, [0.1, np.nan, 0.2]), ("y_pred holds 1 NaN",)),
        (lambda: roc_auc([0, np.nan, 1], p), ("y_true holds 1 NaN",)),
        (lambda: roc_auc(y, p[:2]), ("3 rows", "has 2")),
        (lambda: roc_auc([], []), ("at least one row",)),
        (lambda: roc_auc(1, 2), ("single value",)),
        (lambda: roc_auc(y, p, [1, 1]), ("shape (3,)", "got (2,)")),
        (lambda: roc_auc(y, p, [1, -1, 1]), ("not negative",)),
        (lambda: roc_auc(y, p, [1, np.inf, 1]), ("finite",)),
        (lambda: roc_auc(y, p, [0, 0, 0]), ("sums to zero",)),
        (lambda: roc_auc(y, p, average="micro"), ("macro, weighted",)),
        (lambda: accuracy(y, p), ("y_pred holds 0.1",)),
        (lambda: accuracy(y, ["a", "b", "c"]), ("one type",)),
        (lambda: accuracy(["a", "b", "c"], y), ("one type",)),
        (lambda: accuracy(np.array([1, None, 0], dtype=object), y), ("missing values",)),
        (lambda: accuracy(np.array([1, "a", 0], dtype=object), y), ("mixes strings",)),
        (lambda: log_loss(y, [0.1, 0.2, 1.1]), ("holds 1.1",)),
        (lambda: brier_score(y, [0.1, -0.2, 1.0]), ("holds -0.2",)),
        (lambda: log_loss([0, 1, 2], eye * 0.9995), ("row 0 sums to 0.9995",)),
        (lambda: log_loss([0, 1, 2], eye + np.diag([0.0, 0.001, 0.0])), ("holds 1.001",)),
    ]
    return Check(
        sum(_refused(call, *words) for call, words in cases), 0, f"of {len(cases)} not refused", "the contract"
    )


@evidence(
    "roc-auc",
    claim="Every form of labels, scores and probabilities that is promised is accepted",
    against="the same rows as plain arrays",
)
def roc_auc_forms() -> Check:
    import polars as pl

    from fivefold.evaluation.metrics import accuracy, brier_score, log_loss, roc_auc

    y, p = np.array([0, 1, 0, 1, 1]), np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    area = roc_auc(y, p)
    forms: list[tuple[Any, Any]] = [
        (y.astype(float), p),
        (y.astype(bool), p),
        (y[:, None], p[:, None]),
        (y, np.stack([1 - p, p], axis=1)),
        (y.tolist(), p.tolist()),
        (np.array(["no", "yes"])[y], p),
        (np.array(["no", "yes"], dtype=object)[y], p),
        (pl.Series(["no", "yes"])[y.tolist()], pl.Series(p)),
        (y, (4 * p).astype(int)),  # whole numbers rank too
        (y, p.astype(np.float32)),
    ]
    wrong = largest(abs(roc_auc(a, b) - area) for a, b in forms)
    wrong += abs(roc_auc(y, p > 0.6) - (2 / 3 * 1 + 1 / 3 * 0.5))
    # 0 and 1 are probabilities; rows may miss their sum by less than 1e-4; one column or two are the same.
    loss = -np.log([1.0, 0.25, 0.5, 0.75, 1.0]).mean()
    pair = np.stack([1 - p, p], axis=1)
    wrong += (
        abs(log_loss(y, p) - loss)
        + abs(log_loss(y, pair) - loss)
        + (not abs(log_loss(y, 0.99991 * pair) - loss) <= 1e-4)
    )
    wrong += abs(brier_score(y, pair) - brier_score(y, p)) + abs(accuracy(y[:, None], y.astype(float)) - 1.0)
    wrong += not abs(log_loss(y, p.astype(np.float32)) - loss) <= 1e-6
    return Check(float(wrong), 1e-12, "sum of differences", "plain arrays")
