"""Recognition, curves and confusion at their edges: absent classes, weights below one, sets without labels, two columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence


def _refused(call: Any, words: str) -> int:
    from fivefold.base.errors import InputError

    try:
        call()
    except InputError as error:
        return int(words not in str(error))
    return 1


@evidence(
    "confusion-matrix",
    claim="A class without rows gives zeros in every division, and weights far below one divide as others do",
    against="by hand",
)
def confusion_absent_class() -> Check:
    from fivefold.evaluation.metrics import ConfusionMatrix

    wrong = 0.0
    y, called, w = [0, 0, 2, 2], [0, 2, 2, 2], np.array([0.1, 0.3, 0.2, 0.2])
    tables = {
        "true": [[0.25, 0, 0.75], [0, 0, 0], [0, 0, 1]],
        "predicted": [[1, 0, 3 / 7], [0, 0, 0], [0, 0, 4 / 7]],
        "all": [[0.125, 0, 0.375], [0, 0, 0], [0, 0, 0.5]],
    }
    for normalize, table in tables.items():
        found = ConfusionMatrix([0, 1, 2], normalize=normalize).update(y, called, w).compute()
        wrong = np.maximum(wrong, np.abs(found - table).max())
    return Check(float(wrong), 1e-15, "max difference", "by hand")


def _defined(name: str, expected: dict[str, float]) -> Check:
    """Columns of labels, classes nobody has, sets that are all empty, shards of sets, and more classes than two."""
    from fivefold.evaluation.registry import metric_class

    cls, nan, wrong = metric_class(name), float("nan"), 0.0
    y, p = np.array([0, 1, 1, 1, 0]), np.array([1, 1, 0, 1, 0])

    def of(*rows: Any, **options: Any) -> float:
        return float(cls(**options).update(*rows).compute())

    wrong += abs(of(y, p) - expected["pair"]) + abs(of(y[:, None], p[:, None]) - expected["pair"])
    wrong += abs(of(y, p, np.full(5, 0.01)) - expected["pair"])
    wrong += _refused(lambda: of([0, 1, 2], [0, 1, 2]), "of two classes")
    wrong += _refused(lambda: of([0, 1, 2], [0, 1, 2], labels=[0, 1]), "of two classes")
    wrong += _refused(lambda: of(["a", "b"], ["a", "b"], labels=[0, 1]), "labels of one type")
    # The mean over classes that no row has is what a division by zero is set to.
    for zero in (0.0, 1.0):
        wrong += abs(of([0, 1], [0, 1], average="weighted", labels=[5, 6], zero_division=zero) - zero)
    # Label sets of two columns; the second row has none and is called none.
    s, t, w = np.array([[1, 1], [0, 0], [1, 0]]), np.array([[1, 0], [0, 0], [1, 1]]), np.array([0.1, 0.2, 0.3])
    wrong += abs(of(s, t, w, average="samples", zero_division=0) - expected["sets"])
    empty = np.zeros((3, 2), dtype=int)
    only = 1 - empty if name == "specificity" else empty
    nothing = of(only, only, average="samples", zero_division=nan)
    wrong += float(not np.isnan(nothing))
    total = (
        cls("samples")
        .update(s[:1], t[:1], w[:1])
        .merge(cls("samples"))
        .merge(cls("samples").update(s[1:], t[1:], w[1:]))
    )
    wrong += abs(float(total.compute()) - expected["sets"])
    counted = cls("macro").update(y[:2], p[:2]).merge(cls("macro").update(y[2:], p[2:])).update([2], [2])
    wrong += abs(float(counted.total) - 6.0) + abs(float(counted.compute()) - of([*y, 2], [*p, 2], average="macro"))
    return Check(float(wrong), 1e-14, "sum of differences", "by hand")


@evidence("precision", claim="Columns, absent classes, empty sets, tiny weights and shards of sets", against="by hand")
def precision_defined() -> Check:
    return _defined("precision", {"pair": 2 / 3, "sets": (0.1 * 1 + 0.3 * 0.5) / 0.6})


@evidence("recall", claim="Columns, absent classes, empty sets, tiny weights and shards of sets", against="by hand")
def recall_defined() -> Check:
    return _defined("recall", {"pair": 2 / 3, "sets": (0.1 * 0.5 + 0.3 * 1) / 0.6})


@evidence("f1-score", claim="Columns, absent classes, empty sets, tiny weights and shards of sets", against="by hand")
def f1_defined() -> Check:
    return _defined("f1-score", {"pair": 2 / 3, "sets": (0.1 + 0.3) * (2 / 3) / 0.6})


@evidence("specificity", claim="Columns, absent classes, empty sets, tiny weights, shards of sets", against="by hand")
def specificity_defined() -> Check:
    # The first row lacks no label: a division by zero; the last lacks one and is called it.
    return _defined("specificity", {"pair": 1 / 2, "sets": 0.2 / 0.6})


@evidence(
    "pr-curve",
    claim="Average precision of tied scores, weighted or not, is the sum of its steps; weightless leaders change nothing",
    against="every threshold counted",
)
def average_precision_counted() -> Check:
    from fivefold.evaluation.metrics import average_precision, pr_curve, roc_auc

    rng, worst = np.random.default_rng(0), []
    for _ in range(20):
        y = (rng.random(30) < 0.4).astype(int)
        y[:2] = 0, 1
        score = np.round(rng.normal(size=30) + 0.5 * y, 1)
        w = rng.uniform(0.01, 0.5, 30)
        for weight in (None, w, np.where(score == score.max(), 0.0, w)):
            v = np.ones(30) if weight is None else weight
            value, before = 0.0, 0.0
            for t in np.unique(score)[::-1]:
                tp, shown = v[(score >= t) & (y == 1)].sum(), v[score >= t].sum()
                if shown > 0:
                    value, before = value + (tp - before) * tp / shown, tp
            worst.append(abs(average_precision(y, score, weight) - value / before))
            two = np.stack([-score, score], axis=1)
            worst.append(abs(average_precision(y, two, weight) - value / before))
            precision, recall, _ = pr_curve(y, score, weight)
            worst.append(abs(np.diff(recall, prepend=0.0) @ precision - value / before))
            pairs = np.outer(v[y == 1], v[y == 0])
            apart = score[y == 1][:, None] - score[y == 0]
            worst.append(abs(roc_auc(y, two, weight) - (pairs * ((apart > 0) + (apart == 0) / 2)).sum() / pairs.sum()))
    return Check(float(np.max(worst)), 1e-13, "max difference", "brute force")


@evidence(
    "roc-curve", claim="The bins hold the weight of each class; two columns are as good as one", against="a histogram"
)
def binned_counts() -> Check:
    from fivefold.evaluation.metrics import BinnedRocAuc

    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 2, 80), rng.random(80), rng.uniform(0.1, 2.0, 80)
    metric = BinnedRocAuc(8).update(y[:30], p[:30], w[:30])
    metric.update(y[30:], np.stack([1 - p[30:], p[30:]], axis=1), w[30:])
    edges = np.linspace(0, 1, 9)
    counts = [np.histogram(p[y == c], edges, weights=w[y == c])[0] for c in (0, 1)]
    return Check(float(np.abs(metric.counts - counts).max()), 1e-13, "max difference", "a histogram")
