"""The metric registry: every metric against scikit-learn and by hand, summaries, streams, one's own functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    table = rng.dirichlet(np.ones(3), 300) * 0.5 + 0.5 * np.eye(3)[rng.integers(0, 3, 300)]
    binary = (y == 2).astype(int)
    return {
        "y": y,
        "table": table,
        "binary": binary,
        "p": table[:, 2],
        "value": rng.normal(size=300) * 3 + 100,
        "weight": rng.uniform(0.2, 2, 300),
        "rng": rng,
    }


def _cases() -> dict[str, tuple[Any, Any]]:
    d = _data()
    called = d["table"].argmax(axis=1)
    value = d["value"]
    return {
        "roc-auc": (d["binary"], d["p"]),
        "pr-auc": (d["binary"], d["p"]),
        "log-loss": (d["y"], d["table"]),
        "brier-score": (d["binary"], d["p"]),
        "accuracy": (d["y"], called),
        "balanced-accuracy": (d["y"], called),
        "macro-f1": (d["y"], called),
        "rmse": (value, value + d["rng"].normal(size=300)),
        "mae": (value, value + d["rng"].normal(size=300)),
        "r2": (value, value + d["rng"].normal(size=300)),
        "misclassification-cost": (d["binary"], (d["p"] > 0.5).astype(int)),
        "hit-rate": (d["y"], d["table"]),
    }


@evidence("accuracy", claim="Each metric by name, weighted and not, agrees", against="scikit-learn's functions")
@evidence("metric-registry", claim="Each metric by name, weighted and not, agrees", against="scikit-learn's functions")
def registry_sklearn() -> Check:
    import sklearn.metrics as peer

    from fivefold.evaluation.registry import get_metric

    cases, weight = _cases(), _data()["weight"]
    others = {
        "roc-auc": peer.roc_auc_score,
        "pr-auc": peer.average_precision_score,
        "log-loss": peer.log_loss,
        "brier-score": peer.brier_score_loss,
        "accuracy": peer.accuracy_score,
        "balanced-accuracy": peer.balanced_accuracy_score,
        "macro-f1": lambda y, p, sample_weight=None: peer.f1_score(y, p, average="macro", sample_weight=sample_weight),
        "rmse": peer.root_mean_squared_error,
        "mae": peer.mean_absolute_error,
        "r2": peer.r2_score,
    }
    worst = 0.0
    for name, other in others.items():
        y, p = cases[name]
        for w in (None, weight):
            worst = largest(worst, abs(get_metric(name).function(y, p, w) - other(y, p, sample_weight=w)))
    y, p = np.array([0, 1, 1]), np.array([0.0, 0.0, 1.0])  # clipped
    worst = largest(worst, abs(get_metric("log-loss").function(y, p) - peer.log_loss(y, p)))
    return Check(float(worst), 1e-12, "max difference", "scikit-learn")


@evidence("holdout-validation", claim="Each metric gives the number worked out by hand", against="arithmetic")
@evidence("accuracy", claim="Each metric gives the number worked out by hand", against="arithmetic")
@evidence("metric-registry", claim="Each metric gives the number worked out by hand", against="arithmetic")
def registry_by_hand() -> Check:
    from fivefold.evaluation.registry import get_metric

    y, called = ["a", "a", "a", "b"], ["a", "a", "b", "b"]
    binary, p = [0, 1, 1], [0.2, 0.5, 0.9]
    three = [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]]
    expected = [
        ("accuracy", y, called, 3 / 4),
        ("balanced-accuracy", y, called, (2 / 3 + 1) / 2),
        ("macro-f1", y, called, (4 / 5 + 2 / 3) / 2),
        ("log-loss", binary, p, -np.log(0.8 * 0.5 * 0.9) / 3),
        ("brier-score", binary, p, (0.04 + 0.25 + 0.01) / 3),
        ("pr-auc", [0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6], (1 / 2 + 2 / 4) / 2),
        ("rmse", [1, 2, 3], [1, 4, 2], np.sqrt(5 / 3)),
        ("mae", [1, 2, 3], [1, 4, 2], 1.0),
        ("r2", [1, 2, 3], [1, 4, 2], 1 - 5 / 2),
        ("rmse", [[0, 0], [0, 0]], [[3, 1], [3, 1]], 2.0),
    ]
    worst = largest(abs(get_metric(name).function(t, q) - value) for name, t, q, value in expected)
    worst = largest(
        worst, abs(get_metric("log-loss").function([0, 2], three, labels=[0, 1, 2]) + np.log(0.5 * 0.3) / 2)
    )
    worst = largest(worst, abs(get_metric("brier-score").function([0, 2], three, labels=[0, 1, 2]) - (0.38 + 0.86) / 2))
    # Certain and wrong: clipped to the machine epsilon of the type that the probabilities came in.
    for kind in (np.float64, np.float32):
        eps = float(np.finfo(kind).eps)
        clipped = get_metric("log-loss").function([0, 1, 1], np.array([0, 0, 1], dtype=kind))
        worst = largest(worst, abs(clipped + (np.log(eps) + 2 * np.log(1 - eps)) / 3))
    # The wanted item ranks 1st and 2nd; among equal scores it ranks last.
    for k, value in ((1, 0.5), (2, 1.0)):
        worst = largest(worst, abs(get_metric("hit-rate").function([0, 2], three, k=k) - value))
    worst = largest(worst, get_metric("hit-rate").function([0, 1], np.zeros((2, 3)), k=2))
    worst = largest(worst, abs(get_metric("misclassification-cost").function(y, called) - 1.0))
    return Check(float(worst), 1e-14, "max difference", "by hand")


@evidence(
    "holdout-validation", claim="A summary of a batch equals the metrics called one by one", against="the single calls"
)
@evidence(
    "metric-registry", claim="A summary of a batch equals the metrics called one by one", against="the single calls"
)
def registry_summary() -> Check:
    from fivefold.evaluation.registry import default_metrics, get_metric, summary

    d = _data()
    called = np.where(d["p"] > 0.5, 1, 0)
    names = default_metrics("binary")
    forms = {"labels": called, "scores": d["p"], "probabilities": d["p"]}
    worst = 0.0
    for given in (forms, {"probabilities": d["p"]}):
        found = summary(names, d["binary"], given, d["weight"], classes=[0, 1])
        worst = largest(worst, float(list(found) != names))
        for name, value in found.items():
            metric = get_metric(name)
            worst = largest(worst, abs(value - metric.function(d["binary"], forms[metric.needs], d["weight"])))
    firsts = [default_metrics(task)[0] for task in ("binary", "multiclass", "regression")]
    worst += float(firsts != ["roc-auc", "log-loss", "rmse"])
    return Check(worst, 1e-13, "max difference", "single calls")


@evidence("accuracy", claim="Every metric streams and merges exactly, empty shards too", against="the whole set")
@evidence("metric-registry", claim="Every metric streams and merges exactly, empty shards too", against="the whole set")
def registry_streams() -> Check:
    from fivefold.evaluation.registry import get_metric, list_metrics

    cases, weight = _cases(), _data()["weight"]
    worst = float(set(cases) - set(list_metrics()) != set())
    for name, (y, p) in cases.items():
        whole = get_metric(name).function(y, p, weight)
        shards = [get_metric(name) for _ in range(4)]  # the last one stays empty
        for start in range(0, 300, 37):
            part = slice(start, start + 37)
            shards[start // 37 % 3].update(y[part], p[part], weight[part])
        total = get_metric(name)
        for shard in shards:
            total.merge(shard)
        worst = largest(worst, abs(total.compute() - whole) / max(1.0, abs(whole)))
    return Check(float(worst), 1e-12, "max relative difference", "the whole")


@evidence("holdout-validation", claim="Names resolve in any spelling; unknown ones offer three", against="the contract")
@evidence("metric-registry", claim="Names resolve in any spelling; unknown ones offer three", against="the contract")
def registry_names() -> Check:
    from fivefold.base.errors import InputError, UnknownNameError
    from fivefold.evaluation.registry import get_metric, list_metrics, register_metric, unregister_metric

    wrong = sum(get_metric(name).name != "roc-auc" for name in ("ROC_AUC", "roc auc", "RocAuc", "roc-auc"))
    try:
        get_metric("acuracy")
        wrong += 1
    except UnknownNameError as error:
        hint = str(error).partition("one of: ")[2]
        wrong += int("accuracy" not in hint or len(hint.rstrip("?").split(", ")) != 3)
    levels = {"algorithm": "roc-auc", "enterprise": "misclassification-cost", "user": "hit-rate"}
    wrong += sum(name not in list_metrics(level=level) for level, name in levels.items())

    def largest_miss(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return float(np.abs(np.asarray(y_true) - np.asarray(y_pred)).max())

    register_metric("largest-miss", largest_miss, level="enterprise", needs="values", higher_is_better=False)
    try:
        mine = get_metric("Largest_Miss")
        wrong += int(mine.update([1.0], [2.0]).update([5.0], [1.0]).compute() != 4.0 or mine.higher_is_better)
        wrong += int(mine.level != "enterprise" or "largest-miss" not in list_metrics(level="enterprise"))
        try:
            register_metric("largestmiss", largest_miss)
            wrong += 1
        except InputError:
            pass
    finally:
        unregister_metric("largest-miss")
    wrong += int("largest-miss" in list_metrics())
    return Check(wrong, 0, "violations", "the contract")


@evidence(
    "holdout-validation",
    claim="Labels from probabilities are the most probable class; at one half the first, as with two columns",
    against="by hand",
)
@evidence(
    "metric-registry",
    claim="Labels from probabilities are the most probable class; at one half the first, as with two columns",
    against="by hand",
)
def labels_from_probabilities() -> Check:
    from fivefold.evaluation.registry import prediction_for

    p = np.array([0.2, 0.5, 0.5000001, 0.9])
    one = prediction_for("labels", {"probabilities": p}, ["no", "yes"]).tolist()
    two = prediction_for("labels", {"probabilities": np.column_stack([1 - p, p])}, ["no", "yes"]).tolist()
    wanted = ["no", "no", "yes", "yes"]
    return Check(float((one != wanted) + (two != wanted)), 0.0, "differences", "by hand")
