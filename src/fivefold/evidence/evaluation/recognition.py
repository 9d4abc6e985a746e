"""Accuracy, confusion matrix, precision, recall, F1 and specificity: counted by hand, row by row, and by scikit-learn."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _rows(classes: int = 4, rows: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, half of them recognized, and weights; class 0 is rare and the last one is never called."""
    rng = np.random.default_rng(classes)
    y = rng.choice(classes, rows, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    called = np.where(rng.random(rows) < 0.5, y, rng.integers(0, classes, rows))
    if classes > 2:
        called = np.where(called == classes - 1, 1, called)
    return y, called, rng.uniform(0.2, 3.0, rows)


def _sets(rows: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return label sets with empty ones, a label nobody has and a label nobody is called."""
    rng = np.random.default_rng(5)
    y = (rng.random((rows, 5)) < [0.5, 0.3, 0.1, 0.0, 0.4]).astype(int)
    called = np.where(rng.random(y.shape) < 0.7, y, 1 - y)
    called[:, 4] = 0
    y[:3], called[1:4] = 0, 0
    return y, called, rng.uniform(0.2, 3.0, rows)


def _one_by_one(y: np.ndarray, called: np.ndarray, w: np.ndarray, positive: int) -> dict[str, float]:
    tp = fp = fn = tn = 0.0
    for t, p, weight in zip(y, called, w):
        if p == positive:
            tp, fp = (tp + weight, fp) if t == positive else (tp, fp + weight)
        else:
            fn, tn = (fn + weight, tn) if t == positive else (fn, tn + weight)
    return {
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "recall": tp / (tp + fn),
        "f1-score": 2 * tp / (2 * tp + fp + fn),
        "specificity": tn / (tn + fp),
    }


def _by_name() -> dict[str, Any]:
    from fivefold.evaluation import metrics

    return {
        "precision": metrics.precision,
        "recall": metrics.recall,
        "f1-score": metrics.f1_score,
        "specificity": metrics.specificity,
    }


def _counted(name: str) -> Check:
    """Compare one metric with rows counted one at a time: two classes, one against the rest, and the means."""
    metric = _by_name()[name]
    y, called, w = _rows(2)
    ones = np.ones(len(y))
    errors = [
        metric(y, called) - _one_by_one(y, called, ones, 1)[name],
        metric(y, called, w) - _one_by_one(y, called, w, 1)[name],
        metric(y, called, w, pos_label=0) - _one_by_one(y, called, w, 0)[name],
    ]
    text = np.array(["no", "yes"])
    errors.append(metric(text[y], text[called], w) - _one_by_one(y, called, w, 1)[name])
    y, called, w = _rows(4)
    each = np.array([_one_by_one(y, called, w, c)[name] for c in range(4)])
    support = np.bincount(y, weights=w)
    errors += [
        metric(y, called, w, average="macro") - each.mean(),
        metric(y, called, w, average="weighted") - each @ support / support.sum(),
        metric(y, called, w, average="macro", labels=[1, 3]) - each[[1, 3]].mean(),
        metric(y, called, w, pos_label=2) - each[2],
    ]
    return Check(float(np.abs(errors).max()), 1e-12, "max difference", "rows counted one at a time")


@evidence(
    "precision", claim="TP / (TP + FP), weighted, of many classes and of some", against="rows counted one at a time"
)
def precision_counted() -> Check:
    return _counted("precision")


@evidence("recall", claim="TP / (TP + FN), weighted, of many classes and of some", against="rows counted one at a time")
def recall_counted() -> Check:
    return _counted("recall")


@evidence("f1-score", claim="2 TP / (2 TP + FP + FN), weighted, of many classes", against="rows counted one at a time")
def f1_counted() -> Check:
    return _counted("f1-score")


@evidence("specificity", claim="TN / (TN + FP), weighted, of many classes", against="rows counted one at a time")
def specificity_counted() -> Check:
    return _counted("specificity")


def _against_sklearn(name: str) -> Check:
    import sklearn.metrics as peer

    others = {"precision": peer.precision_score, "recall": peer.recall_score, "f1-score": peer.f1_score}
    ours, other = _by_name()[name], others[name]
    worst = 0.0
    (y, p, w), (s, t, v) = _rows(4), _sets()
    y2, p2, w2 = _rows(2)
    options: list[tuple[Any, Any, Any, dict[str, Any]]] = [(y2, p2, w2, {"average": "binary"})]
    options += [(y2, np.zeros_like(y2), None, {"average": "binary"})]
    options += [(y, p, w, {"average": a}) for a in ("micro", "macro", "weighted")]
    options += [(y, p, w, {"average": a, "labels": [0, 3]}) for a in ("micro", "macro", "weighted")]
    options += [(y, p, w, {"average": "macro", "labels": [0, 3, 9]})]  # 9 never occurs
    options += [(s, t, v, {"average": a}) for a in ("micro", "macro", "weighted", "samples")]
    for (true, pred, weight, option), zero in itertools.product(options, (0, 1, np.nan)):
        for some in (None, weight):
            mine = ours(true, pred, some, zero_division=zero, **option)
            theirs = other(true, pred, sample_weight=some, zero_division=zero, **option)
            same = np.isnan(mine) and np.isnan(theirs)
            worst = largest(worst, 0.0 if same else float(np.nan_to_num(abs(mine - theirs), nan=1.0)))
    return Check(worst, 1e-12, "max difference", "scikit-learn")


@evidence(
    "precision", claim="All averages, label sets and zero divisions agree", against="scikit-learn precision_score"
)
def precision_sklearn() -> Check:
    return _against_sklearn("precision")


@evidence("recall", claim="All averages, label sets and zero divisions agree", against="scikit-learn recall_score")
def recall_sklearn() -> Check:
    return _against_sklearn("recall")


@evidence("f1-score", claim="All averages, label sets and zero divisions agree", against="scikit-learn f1_score")
def f1_sklearn() -> Check:
    return _against_sklearn("f1-score")


@evidence("specificity", claim="Specificity is the recall of the other class", against="scikit-learn recall_score")
def specificity_is_the_other_recall() -> Check:
    from sklearn.metrics import multilabel_confusion_matrix, recall_score

    from fivefold.evaluation.metrics import Specificity, specificity

    y, p, w = _rows(2)
    errors = [specificity(y, p, w) - recall_score(y, p, sample_weight=w, pos_label=0)]
    y, p, w = _rows(4)
    table = multilabel_confusion_matrix(y, p, sample_weight=w)
    each = table[:, 0, 0] / table[:, 0].sum(axis=1)
    errors.append(specificity(y, p, w, average="macro") - each.mean())
    errors.append(specificity(y, p, w, average="micro") - table[:, 0, 0].sum() / table[:, 0].sum())
    found = Specificity("macro").update(y, p, w).per_class()
    errors += [found[c] - each[c] for c in range(4)]
    s, t, v = _sets()
    # Row by row: of the labels that a row lacks, the share it is not called; every row here lacks the fourth.
    rows = ((s == 0) & (t == 0)).sum(axis=1) / (s == 0).sum(axis=1)
    errors.append(specificity(s, t, v, average="samples") - v @ rows / v.sum())
    return Check(float(np.abs(errors).max()), 1e-12, "max difference", "scikit-learn")


def _worked(name: str, expected: float) -> Check:
    """100 normal and 5 abnormal rows with 6 false alarms and 3 missing: TP 2, FP 6, FN 3, TN 94."""
    y = np.repeat([0, 1], [100, 5])
    called = y.copy()
    called[:6], called[100:103] = 1, 0
    metric = _by_name()[name]
    nothing = metric(y, np.zeros_like(y))  # calling everything normal
    wrong = abs(metric(y, called) - expected) + abs(nothing - (1.0 if name == "specificity" else 0.0))
    if name == "precision":
        wrong += abs(metric(y, np.zeros_like(y), zero_division=1) - 1.0)
    return Check(float(wrong), 1e-15, "sum of differences", "by hand")


@evidence("precision", claim="2 of 8 alarms are right; no alarm at all gives 0, or 1 if asked", against="by hand")
def precision_worked() -> Check:
    return _worked("precision", 2 / 8)


@evidence("recall", claim="2 of 5 abnormal rows are found; no alarm finds none", against="by hand")
def recall_worked() -> Check:
    return _worked("recall", 2 / 5)


@evidence("f1-score", claim="The harmonic mean of 1/4 and 2/5 is 4/13", against="by hand")
def f1_worked() -> Check:
    return _worked("f1-score", 4 / 13)


@evidence("specificity", claim="94 of 100 normal rows raise no alarm; no alarm gives 1", against="by hand")
def specificity_worked() -> Check:
    return _worked("specificity", 94 / 100)


def _streamed(name: str) -> Check:
    """Shards that lack classes, merged in several orders, for labels and label sets."""
    from fivefold.evaluation.registry import metric_class

    cls, worst = metric_class(name), 0.0
    order = np.argsort(_rows(4)[0], kind="stable")  # sorted by class: a shard holds one or two of them
    cases = [(tuple(a[order] for a in _rows(4)), a) for a in ("macro", "micro", "weighted")]
    cases += [(_sets(), a) for a in ("samples", "macro")]
    for (y, p, w), average in cases:
        cuts = [0, 1, 20, 33, 50, 77, 90, len(y)]
        shards = [slice(a, b) for a, b in itertools.pairwise(cuts)]
        whole = cls(average).update(y, p, w).compute()
        for permutation in ([0, 1, 2, 3, 4, 5, 6], [6, 2, 0, 5, 1, 4, 3], [3, 4, 5, 6, 0, 1, 2]):
            total = cls(average)
            for k in permutation:
                total.merge(cls(average).update(y[shards[k]], p[shards[k]], w[shards[k]]))
            worst = largest(worst, abs(total.compute() - whole))
    return Check(float(worst), 1e-13, "max difference", "the whole set")


@evidence("precision", claim="Seven unequal shards in any order give the whole", against="the whole set")
def precision_streamed() -> Check:
    return _streamed("precision")


@evidence("recall", claim="Seven unequal shards in any order give the whole", against="the whole set")
def recall_streamed() -> Check:
    return _streamed("recall")


@evidence("f1-score", claim="Seven unequal shards in any order give the whole", against="the whole set")
def f1_streamed() -> Check:
    return _streamed("f1-score")


@evidence("specificity", claim="Seven unequal shards in any order give the whole", against="the whole set")
def specificity_streamed() -> Check:
    return _streamed("specificity")


@evidence(
    "confusion-matrix", claim="Rows are true classes, columns predicted ones", against="scikit-learn confusion_matrix"
)
def confusion_matrix_sklearn() -> Check:
    import sklearn.metrics as peer

    from fivefold.evaluation.metrics import ConfusionMatrix

    y, p, w = _rows(4)
    worst = 0.0
    for ours, theirs in (("none", None), ("true", "true"), ("predicted", "pred"), ("all", "all")):
        for weight in (None, w):
            mine = ConfusionMatrix(normalize=ours).update(y, p, weight).compute()
            worst = largest(
                worst, np.abs(mine - peer.confusion_matrix(y, p, sample_weight=weight, normalize=theirs)).max()
            )
            flipped = ConfusionMatrix(layout="predicted-rows", normalize=ours).update(y, p, weight).compute()
            worst = largest(worst, np.abs(flipped - mine.T[::-1, ::-1]).max())
    wide = ConfusionMatrix(labels=[3, 0, 1, 2, 7]).update(y, p)
    worst = largest(worst, np.abs(wide.compute() - peer.confusion_matrix(y, p, labels=[0, 1, 2, 3, 7])).max())
    return Check(float(worst), 1e-12, "max difference", "scikit-learn")


@evidence("confusion-matrix", claim="The printed layout is [[TP, FP], [FN, TN]]", against="a table by hand")
def confusion_matrix_layout() -> Check:
    from fivefold.evaluation.metrics import ConfusionMatrix

    y = np.repeat([1, 0, 1, 0], [2, 6, 3, 94])
    called = np.repeat([1, 1, 0, 0], [2, 6, 3, 94])
    plain = ConfusionMatrix().update(y, called)
    printed = ConfusionMatrix(layout="predicted-rows").update(y, called)
    wrong = int(plain.compute().tolist() != [[94, 6], [3, 2]]) + int(printed.compute().tolist() != [[2, 6], [3, 94]])
    wrong += int(plain.order.tolist() != [0, 1]) + int(printed.order.tolist() != [1, 0])
    shares = ConfusionMatrix(normalize="true").update(y, called).compute()
    wrong += int(not np.allclose(shares, [[0.94, 0.06], [0.6, 0.4]], rtol=0, atol=1e-15))
    shares = ConfusionMatrix(layout="predicted-rows", normalize="predicted").update(y, called).compute()
    wrong += int(not np.allclose(shares, [[2 / 8, 6 / 8], [3 / 97, 94 / 97]], rtol=0, atol=1e-15))
    wrong += int(str(printed).splitlines() != ["rows predicted, columns true", "    1  0", " 1  2  6", " 0  3 94"])
    wrong += int("rows true, columns predicted" not in str(plain))
    return Check(wrong, 0, "entries that differ", "by hand")


@evidence("confusion-matrix", claim="Shards that know other classes merge into the whole", against="the whole set")
def confusion_matrix_streams() -> Check:
    from fivefold.evaluation.metrics import ConfusionMatrix

    y, p, w = _rows(4)
    order = np.argsort(y, kind="stable")
    y, p, w = y[order], p[order], w[order]
    whole = ConfusionMatrix(normalize="all").update(y, p, w).compute()
    parts = [ConfusionMatrix(normalize="all").update(y[s], p[s], w[s]) for s in np.array_split(np.arange(300), 7)]
    total = ConfusionMatrix(normalize="all")
    for k in (4, 0, 6, 2, 5, 1, 3):
        total.merge(parts[k])
    return Check(float(np.abs(total.compute() - whole).max()), 1e-14, "max difference", "the whole set")


@evidence("accuracy", claim="Weighted, textual and multiclass shares agree", against="scikit-learn accuracy_score")
def accuracy_sklearn() -> Check:
    from sklearn.metrics import accuracy_score

    from fivefold.evaluation.metrics import accuracy

    worst = 0.0
    for k in (2, 4):
        y, p, w = _rows(k)
        names = np.array(["ant", "bee", "cow", "dog"])
        for weight in (None, w):
            worst = largest(worst, abs(accuracy(y, p, weight) - accuracy_score(y, p, sample_weight=weight)))
            worst = largest(worst, abs(accuracy(names[y], names[p], weight) - accuracy(y, p, weight)))
    return Check(float(worst), 1e-13, "max difference", "scikit-learn")


@evidence(
    "accuracy", claim="Calling all of 100 + 5 rows normal is 95.2 % right", against="the course's detector tables"
)
def accuracy_worked() -> Check:
    from fivefold.evaluation.metrics import accuracy, balanced_accuracy

    y = np.repeat([0, 1], [100, 5])
    nothing = np.zeros(105, dtype=int)
    wrong = abs(accuracy(y, nothing) - 100 / 105) + abs(round(accuracy(y, nothing), 3) - 0.952)
    wrong += abs(balanced_accuracy(y, nothing) - 0.5)  # what a constant guess is worth
    wrong += abs(accuracy([1, 0, 1], [1, 1, 1], [1.0, 2.0, 5.0]) - 6 / 8)
    return Check(float(wrong), 1e-15, "sum of differences", "06#anomaly-metrics")


@evidence("accuracy", claim="Streaming equals batch, shards in any order", against="the whole set")
def accuracy_streams() -> Check:
    from fivefold.evaluation.metrics import Accuracy, accuracy

    y, p, w = _rows(4)
    cuts = np.split(np.arange(300), [1, 2, 30, 100, 101, 250])
    shards = [Accuracy().update(y[c], p[c], w[c]) for c in cuts]
    worst = 0.0
    for order in itertools.islice(itertools.permutations(range(7)), 0, 5040, 500):
        total = Accuracy()
        for k in order:
            total.merge(shards[k])
        worst = largest(worst, abs(total.compute() - accuracy(y, p, w)))
    # One row that is right and three that are not: the mean over the batches is 1/2, the share of the rows 1/4.
    small = Accuracy().update([1], [1]).update([1, 1, 0], [0, 0, 1])
    wrong = abs(small.compute() - 0.25)
    return Check(float(worst + wrong), 1e-13, "max difference", "the whole set")


@evidence(
    "confusion-matrix",
    claim="Classes and places of labels of any type: gaps, signs, the ends of int8 and int64, booleans, text",
    against="sorted sets in plain Python",
)
def labels_encoded() -> Check:
    from fivefold.evaluation.metrics import balanced_accuracy, confusion_matrix, macro_f1, precision

    rng, wrong = np.random.default_rng(0), 0
    pools = [
        np.array([0, 1]),
        np.array([3, -2, 7]),
        np.array([-128, 0, 127], dtype=np.int8),
        np.array([0, 255], dtype=np.uint8),
        np.array([-(2**63), 2**63 - 1]),
        np.array([2**63 - 1, 2**63 - 3]),
        np.array([2**64 - 1, 2**64 - 2], dtype=np.uint64),
        np.array([0, 300]),
        np.array([5]),
        np.array([False, True]),
        np.array(["b", "a", "c"]),
        np.array([1.0, 0.0]),
    ]
    for pool in pools:
        true, pred = pool[rng.integers(0, len(pool), 50)], pool[rng.integers(0, len(pool), 50)]
        true[:2], pred[:2] = pool[0], pool[-1]
        if len(pool) > 2:
            pred[pred == pool[1]] = pool[0]  # a class that only y_true holds
        names = sorted(set(true.tolist()) | set(pred.tolist()))
        pairs = list(zip(true.tolist(), pred.tolist()))
        matrix, classes = confusion_matrix(true, pred)
        wrong += classes.tolist() != names or classes.dtype != pool.dtype
        wrong += matrix.tolist() != [[pairs.count((a, b)) for b in names] for a in names]
        called = [[p for p in pairs if p[1] == name] for name in names]
        mean = np.mean([np.mean([a == b for a, b in rows]) if rows else 0.0 for rows in called])
        wrong += not abs(precision(true, pred, average="macro") - mean) <= 1e-12
        hits = [pairs.count((name, name)) for name in names]
        either = [sum((a == name) + (b == name) for a, b in pairs) for name in names]
        wrong += not abs(macro_f1(true, pred) - np.mean([2 * h / e for h, e in zip(hits, either)])) <= 1e-12
        rows = [[p for p in pairs if p[0] == name] for name in names]
        recalls = [np.mean([a == b for a, b in some]) for some in rows if some]
        wrong += not abs(balanced_accuracy(true, pred) - np.mean(recalls)) <= 1e-12
    return Check(float(wrong), 0.0, "differences", "plain Python")
