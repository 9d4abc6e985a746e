"""Metrics and their registry: what they refuse, and in which words."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from fivefold.base import codec
from fivefold.base.errors import DataError, InputError, InputTypeError, UnknownNameError
from fivefold.evaluation import metrics
from fivefold.evaluation.registry import (
    default_metrics,
    get_metric,
    list_metrics,
    metric_class,
    prediction_for,
    register_metric,
    summary,
    unregister_metric,
)

Y = np.array([0, 1, 1, 0, 1])
P = np.array([0.1, 0.8, 0.6, 0.4, 0.3])


def test_the_registry_loads_numpy_alone() -> None:
    code = (
        "import sys; from fivefold.evaluation.registry import get_metric; get_metric('roc-auc'); get_metric('r2');"
        "print([m for m in ('torch', 'sklearn', 'numba', 'pandas', 'polars') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: metrics.roc_auc([1, 1, 1], [0.1, 0.2, 0.3]), "roc-auc needs rows of both classes; all 3 rows"),
        (lambda: metrics.roc_auc([0, 1], [0.1, 0.2], [1.0, 0.0]), "hold no positive one"),
        (lambda: metrics.roc_auc([0, 1, 2], [0.1, 0.2, 0.3]), "there are 3 classes (0, 1, 2); give one column"),
        (lambda: metrics.roc_auc([0, 1, 1], np.eye(3)), "3 columns, y_true has 2 classes (0, 1); pass labels="),
        (lambda: metrics.roc_auc([0, 1, 1], np.eye(3), labels=[0, 1, 2]), "no row is of class 2"),
        (lambda: metrics.roc_auc([0, 1], ["a", "b"]), "not labels"),
        (lambda: metrics.roc_auc([0, 1], [0.1, np.nan]), "y_pred holds 1 NaN"),
        (lambda: metrics.roc_auc([0, 1], [0.1, 0.2, 0.3]), "y_true has 2 rows, y_pred has 3"),
        (lambda: metrics.roc_auc([], []), "at least one row"),
        (lambda: metrics.roc_auc(Y, P, np.ones(3)), "sample_weight must have shape (5,)"),
        (lambda: metrics.roc_auc(Y, P, -np.ones(5)), "not negative"),
        (lambda: metrics.roc_auc(Y, P, np.zeros(5)), "sums to zero"),
        (lambda: metrics.roc_auc([0.5, 1.0], [0.1, 0.2]), "y_true holds 0.5; give labels"),
        (lambda: metrics.average_precision([0, 0], [0.1, 0.2], labels=[0, 1]), "at least one positive row"),
        (lambda: metrics.accuracy(Y, P), "y_pred holds 0.1; give labels, for example from `predict`"),
        (lambda: metrics.accuracy(["a", "b"], [0, 1]), "labels of one type"),
        (lambda: metrics.log_loss(Y, P + 1), "probabilities in [0, 1]"),
        (lambda: metrics.log_loss([0, 1, 2], np.full((3, 3), 0.5)), "row 0 sums to 1.5"),
        (lambda: metrics.log_loss([0, 3], [0.1, 0.2], labels=[0, 1]), "y_true holds the class 3"),
        (lambda: metrics.brier_score(Y, -P), "holds -0.8"),
        (lambda: metrics.rmse([1.0, np.inf], [1.0, 2.0]), "1 infinite values"),
        (lambda: metrics.rmse(np.ones((3, 1)), np.ones((3, 2))), "equal shapes"),
        (lambda: metrics.mae(["a"], [1.0]), "compares numbers"),
        (lambda: metrics.r2([2.0, 2.0], [1.0, 2.0]), "constant y_true"),
        (lambda: metrics.hit_rate([0, 1], [0.1, 0.2]), "scores of all items"),
    ],
)
def test_bad_rows_are_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: metrics.RocAuc(average="micro"), InputError, "average must be one of macro, weighted"),
        (lambda: metrics.misclassification_cost([0, 1], [0, 1], cost_missing=-1), InputError, "cost_missing"),
        (lambda: metrics.hit_rate([0], np.eye(1), k=0), InputError, "k must be at least 1"),
        (lambda: metrics.roc_auc(1, 0.5), InputTypeError, "single value"),
        (lambda: metrics.accuracy(np.array([1, None], dtype=object), [1, 1]), InputTypeError, "missing values"),
        (lambda: metrics.accuracy(np.array([1, "a"], dtype=object), ["1", "a"]), InputTypeError, "mixes strings"),
        (lambda: metrics.RocAuc().merge(metrics.LogLoss()), InputTypeError, "Only metrics of one kind merge"),
        (lambda: metrics.RMSE().compute(), InputError, "rmse has seen no rows"),
        (lambda: metrics.Accuracy().compute(), InputError, "accuracy has seen no rows"),
        (lambda: metrics.R2().compute(), InputError, "r2 has seen no rows"),
        (lambda: get_metric("acuracy"), UnknownNameError, "did you mean one of: accuracy"),
        (lambda: summary(["rmse", "rmsee"], [1.0], [2.0]), UnknownNameError, "Unknown metric 'rmsee'"),
        (lambda: default_metrics("ranking"), UnknownNameError, "Unknown task"),
        (lambda: list_metrics(level="board"), UnknownNameError, "Unknown level"),
        (lambda: register_metric("Roc_Auc", max), InputError, "is taken"),
        (lambda: register_metric("mine", "max"), InputTypeError, "A metric is a function"),
        (
            lambda: prediction_for("labels", {"scores": P}),
            InputError,
            "needs labels, but the predictions hold only: scores",
        ),
    ],
)
def test_bad_calls_are_refused_in_a_sentence(call, error, words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_frames_columns_and_strings_are_accepted() -> None:
    frame = pl.DataFrame({"y": ["benign", "malignant"] * 10, "p": np.linspace(0, 1, 20)})
    assert metrics.roc_auc(frame["y"], frame["p"]) == metrics.roc_auc([0, 1] * 10, np.linspace(0, 1, 20))
    assert metrics.accuracy(frame["y"], frame["y"].to_list()) == 1.0
    assert metrics.log_loss(Y[:, None], P[:, None]) == metrics.log_loss(Y, P)


def test_labels_tell_a_class_that_is_absent() -> None:
    table = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    metric = get_metric("log-loss").fresh(["a", "b", "c"])
    assert metric.update(["a", "c"], table).compute() == pytest.approx(-np.log(0.15) / 2)
    assert summary(["log-loss"], ["a", "c"], table, classes=["a", "b", "c"])["log-loss"] == metric.compute()


def test_a_metric_is_saved_with_its_rows(tmp_path) -> None:
    for metric in (metrics.RocAuc().update(Y, P), metrics.Accuracy().update(Y, Y), metrics.R2().update(P, P + 0.1)):
        codec.save(metric, tmp_path / metric.name)
        assert codec.load(tmp_path / metric.name).compute() == metric.compute()


def test_a_buffer_that_the_caller_reuses_changes_nothing() -> None:
    y, p = Y.copy(), P.copy()
    metric = metrics.RocAuc().update(y, p)
    before = metric.compute()
    p[:], y[:] = 0.0, 0
    assert metric.compute() == before


def test_rows_without_weight_count_once() -> None:
    metric = metrics.RocAuc().update(Y[:3], P[:3]).update(Y[3:], P[3:], [2.0, 3.0])
    assert metric.compute() == metrics.roc_auc(Y, P, [1, 1, 1, 2, 3])


def test_a_copy_and_a_fresh_metric_are_independent() -> None:
    metric = metrics.MisclassificationCost(cost_missing=100).update([0, 1], [1, 0])
    copied = metric.copy().update([0, 1], [1, 0])
    assert (metric.compute(), copied.compute()) == (101.0, 202.0)
    assert metric.fresh().options == metric.options
    assert repr(metric) == "MisclassificationCost(cost_false_alarm=1.0, cost_missing=100, labels=None)"


def test_a_user_function_replaces_and_returns() -> None:
    made = register_metric("accuracy", lambda y, p, w=None: 0.5, level="user", replace=True)
    try:
        assert get_metric("Accuracy").function([1], [1]) == 0.5
        assert metric_class("accuracy") is made
    finally:
        unregister_metric("accuracy")
    assert get_metric("accuracy").function([1], [1]) == 1.0


def test_confusion_names_rows_and_columns() -> None:
    matrix, classes = metrics.confusion_matrix(["b", "a", "b"], ["a", "a", "c"])
    assert classes.tolist() == ["a", "b", "c"]
    assert matrix.tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 0]] and matrix.dtype.kind == "i"
