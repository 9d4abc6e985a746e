"""Precision to curves: what they refuse, and in which words."""

from __future__ import annotations

import numpy as np
import pytest

from fivefold.base import codec
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.evaluation import metrics
from fivefold.evaluation.registry import get_metric, list_metrics

Y, P = np.array([0, 1, 1, 0, 1]), np.array([0, 1, 0, 0, 1])
SETS = np.array([[1, 0, 1], [0, 1, 1]])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: metrics.precision(Y, P, average="mean"), InputError, "average must be one of binary, micro, macro"),
        (lambda: metrics.recall(Y, P, zero_division=0.5), InputError, "zero_division must be 0, 1 or nan; got 0.5"),
        (
            lambda: metrics.f1_score(Y, P, average="macro", pos_label=1),
            InputError,
            "pos_label names the positive class",
        ),
        (
            lambda: metrics.f1_score(Y, P, labels=[0, 1], pos_label=2),
            InputError,
            "pos_label=2 is not among labels=[0, 1]",
        ),
        (lambda: metrics.precision(Y, [0, 1, 2, 0, 1]), DataError, "is of two classes, but there are 0, 1, 2"),
        (lambda: metrics.precision(Y, P, labels=[0, 7]), DataError, "is of two classes, but there are 0, 1"),
        (lambda: metrics.recall([1, 1], [1, 1]), DataError, "cannot tell which class is positive: all rows are 1"),
        (lambda: metrics.recall(Y, P, average="samples"), DataError, "needs label sets as 0/1 columns (n, labels)"),
        (lambda: metrics.f1_score(SETS, SETS), DataError, "got label sets of shape (2, 3); pass average="),
        (lambda: metrics.f1_score(SETS, 2 * SETS, average="micro"), DataError, "y_pred holds other values"),
        (lambda: metrics.f1_score(SETS, SETS[:, :2], average="micro"), DataError, "needs equal shapes"),
        (lambda: metrics.specificity(Y, P / 3), DataError, "not probabilities"),
        (lambda: metrics.specificity(Y, P.astype(str)), DataError, "labels of one type"),
        (lambda: metrics.Precision().compute(), InputError, "precision has seen no rows"),
        (lambda: metrics.Precision().merge(metrics.Recall()), InputTypeError, "Only metrics of one kind merge"),
        (lambda: metrics.Recall("macro").update(Y, P).update(SETS, SETS), DataError, "has seen both one label a row"),
        (lambda: metrics.ConfusionMatrix(layout="rows"), InputError, "layout must be one of true-rows, predicted-rows"),
        (lambda: metrics.ConfusionMatrix(normalize="x"), InputError, "normalize must be one of none, true"),
        (lambda: metrics.ConfusionMatrix().compute(), DataError, "has seen no rows"),
        (lambda: metrics.ConfusionMatrix(labels=[0, 2]).update(Y, P), DataError, "not among labels=[0, 2]"),
        (lambda: metrics.mape([0.0, 1.0], [1.0, 1.0]), DataError, "y_true, which is 0 in 1 entries; pass zero='skip'"),
        (lambda: metrics.mape([1.0], [1.0], zero="drop"), InputError, "zero must be one of error, skip, epsilon"),
        (lambda: metrics.mape([0.0], [1.0], zero="skip"), DataError, "has no row left"),
        (lambda: metrics.mse([1.0], [np.inf]), DataError, "1 infinite values"),
        (lambda: metrics.RocCurve().update([1, 1], [0.1, 0.2]).compute(), DataError, "needs rows of both classes"),
        (lambda: metrics.PrecisionRecallCurve().update([0, 1], np.eye(2)).compute(), DataError, "one score a row"),
        (lambda: metrics.RocCurve().compute(), InputError, "roc-curve has seen no rows"),
        (lambda: metrics.BinnedRocAuc(1), InputError, "bins must be a whole number >= 2, got 1"),
        (lambda: metrics.BinnedRocAuc().update(Y, P + 0.5), DataError, "probabilities in [0, 1]"),
        (lambda: metrics.BinnedRocAuc().compute(), InputError, "has seen no rows"),
        (lambda: metrics.BinnedRocAuc(labels=[0, 1]).update([1], [0.5]).compute(), DataError, "rows of both classes"),
        (lambda: metrics.BinnedRocAuc().update([0, 1, 2], np.eye(3)), DataError, "is of two classes; y_pred has 3"),
    ],
)
def test_refusals(call, error, words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_one_class_in_a_shard_is_settled_by_labels() -> None:
    assert metrics.recall([1, 1], [1, 0], labels=[0, 1]) == 0.5
    assert metrics.specificity([0, 0], [0, 1], pos_label=1) == 0.5


def test_an_undefined_mean_is_nan_or_what_was_asked() -> None:
    assert np.isnan(metrics.precision([0, 0], [0, 0], labels=[0, 1], zero_division=np.nan))
    assert metrics.precision([0, 0], [0, 0], labels=[0, 1], zero_division=1) == 1.0
    assert np.isnan(metrics.recall(0 * SETS, SETS, average="samples", zero_division=np.nan))


def test_streams_are_saved(tmp_path) -> None:
    for metric in (metrics.F1Score("macro").update(Y, P), metrics.MAPE().update([1.0, 2.0], [2.0, 2.0])):
        codec.save(metric, tmp_path / metric.name)
        assert codec.load(tmp_path / metric.name).compute() == metric.compute()


def test_rows_kept_are_counted_in_bytes() -> None:
    assert metrics.RocAuc().bytes_per_row == 0
    assert (
        metrics.RocAuc().update(np.array([0, 1], dtype=np.int8), np.array([0.1, 0.2], dtype=np.float32)).bytes_per_row
        == 5
    )
    assert metrics.RMSE().update([1.0], [2.0]).bytes_per_row == 0


def test_a_longer_card_id_is_the_same_metric_listed_once() -> None:
    assert type(get_metric("log-loss-metric")) is type(get_metric("log-loss"))
    assert "log-loss-metric" not in list_metrics()
    assert {"f1-score", "mape", "mse", "roc-auc-binned", "specificity"} <= set(list_metrics())
