"""Curves as streams: the exact ROC and precision-recall curves of any batches and shards, and the area from fixed bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError

from ._inputs import as_probabilities, as_rows, binary_target
from .metric import Metric
from .ranking import pr_curve, roc_curve


@dataclass(frozen=True)
class Curve:
    """Points of a curve over all thresholds.

    Attributes
    ----------
    x, y : array (g,)
        False and true positive rate, or recall and precision.
    thresholds : array (g,)
        A row is called positive when its score is at least the threshold; from high to low.
    area : float
        Under the ROC curve by trapezoids (exact, ties count half); under the precision-recall curve by steps (average
        precision).
    kind : "roc" or "pr"
    """

    x: np.ndarray
    y: np.ndarray
    thresholds: np.ndarray
    area: float
    kind: str

    def corner(self) -> int:
        """Return the number of the point nearest the ideal corner: (0, 1) of the ROC curve, (1, 1) of the other."""
        wanted = 0.0 if self.kind == "roc" else 1.0
        return int(np.argmin((self.x - wanted) ** 2 + (self.y - 1.0) ** 2))


class _CurveStream(Metric):
    needs: ClassVar[str] = "scores"
    higher_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("binary",)

    def __init__(self, labels: Any = None) -> None:
        super().__init__(labels=None if labels is None else np.asarray(labels).tolist())


class RocCurve(_CurveStream):
    r"""ROC curve of a stream: true-positive rate :math:`TP/(TP+FN)` over false-positive rate :math:`FP/(FP+TN)`.

    Keeps the scores, so shards merged in any order give the curve of all rows. See :func:`roc_curve` for the points; none is
    dropped.

    Parameters
    ----------
    labels : array (2,), optional
        Both classes; the one that sorts last is positive.

    Raises
    ------
    DataError
        When only one class is there.

    Notes
    -----
    Rates are shares within a class, so the curve does not change when one class becomes ten times as frequent.

    References
    ----------
    Fawcett 2006; spec ``01#roc-curve``.
    """

    name: ClassVar[str] = "roc-curve"
    function = staticmethod(roc_curve)  # type: ignore[assignment]

    def compute(self) -> Curve:  # type: ignore[override]
        """Return the curve of all rows so far."""
        alarm, rate, thresholds = super().compute()  # type: ignore[misc]
        area = float(np.sum(np.diff(alarm) * (rate[1:] + rate[:-1]) / 2))
        return Curve(alarm, rate, thresholds, area, "roc")


class PrecisionRecallCurve(_CurveStream):
    r"""Precision-recall curve of a stream: precision :math:`TP/(TP+FP)` over recall :math:`TP/(TP+FN)`.

    Keeps the scores, so shards merged in any order give the curve of all rows. See :func:`pr_curve` for the points.

    Parameters
    ----------
    labels : array (2,), optional
        Both classes; the one that sorts last is positive.

    Raises
    ------
    DataError
        When there is no positive row.

    Notes
    -----
    Precision mixes both classes: with r times as many negatives it becomes :math:`TP / (TP + r\,FP)` at the same recall.

    References
    ----------
    Davis & Goadrich 2006; spec ``01#pr-curve``.
    """

    name: ClassVar[str] = "pr-curve"
    function = staticmethod(pr_curve)  # type: ignore[assignment]

    def compute(self) -> Curve:  # type: ignore[override]
        """Return the curve of all rows so far, from recall 0 up."""
        precision, recall, thresholds = super().compute()  # type: ignore[misc]
        area = float(np.sum(np.diff(recall, prepend=0.0) * precision))
        return Curve(recall, precision, thresholds, area, "pr")


def binned_roc_auc(
    y_true: Any, y_pred: Any, sample_weight: Any = None, *, bins: int = 1024, labels: Any = None
) -> float:
    """Area under the ROC curve of probabilities rounded down to ``bins`` equal bins of [0, 1]; see :class:`BinnedRocAuc`."""
    return BinnedRocAuc(bins, labels).update(y_true, y_pred, sample_weight).compute()


class BinnedRocAuc(Metric):
    r"""Approximate area under the ROC curve in memory that does not grow with the rows.

    .. math:: \hat A = \frac{1}{PN} \sum_b P_b \left( \sum_{c < b} N_c + \tfrac12 N_b \right), \qquad
              |\hat A - A| \le \frac{1}{2PN} \sum_b P_b N_b

    Parameters
    ----------
    bins : int >= 2, default 1024
        Equal bins of [0, 1]; rows in one bin count as ties.
    labels : array (2,), optional
        Both classes; needed when a batch may hold only one.

    Raises
    ------
    DataError
        When predictions leave [0, 1] or a class has no rows.
    """

    name: ClassVar[str] = "roc-auc-binned"
    needs: ClassVar[str] = "probabilities"
    higher_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("binary",)
    function = staticmethod(binned_roc_auc)

    def __init__(self, bins: int = 1024, labels: Any = None) -> None:
        super().__init__(
            bins=check_count("bins", bins, 2), labels=None if labels is None else np.asarray(labels).tolist()
        )

    def reset(self) -> None:
        self.counts = np.zeros((2, self.options["bins"]))  # (2, bins): weight of negative and positive rows

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        true, pred, weight = as_rows(y_true, y_pred, sample_weight, what=self.name)
        score = as_probabilities(pred, self.name)
        if score.ndim == 2:
            if score.shape[1] != 2:
                raise DataError(f"{self.name} is of two classes; y_pred has {score.shape[1]} columns.")
            score = score[:, 1]
        positive = binary_target(true, self.options["labels"], self.name)
        bins = self.options["bins"]
        cell = np.minimum((score * bins).astype(np.int64), bins - 1) + bins * positive
        self.counts = self.counts + np.bincount(cell, weights=weight, minlength=2 * bins).reshape(2, bins)
        return self

    def merge(self, other: Metric) -> Self:
        self._check_same(other)
        self.counts = self.counts + other.counts  # type: ignore[attr-defined]
        return self

    def compute(self) -> float:
        negative, positive = self.counts
        pairs = self._pairs()
        return float(positive @ (np.cumsum(negative) - negative / 2) / pairs)

    def error_bound(self) -> float:
        """Return how far the value can be from the exact area: half the share of pairs that one bin holds."""
        negative, positive = self.counts
        return float(positive @ negative / (2.0 * self._pairs()))

    def _pairs(self) -> float:
        negative, positive = self.counts.sum(axis=1)
        if not self.counts.any():
            raise InputError(f"{self.name} has seen no rows; call `update` before `compute`.")
        if negative == 0 or positive == 0:
            raise DataError(f"{self.name} needs rows of both classes with a positive weight.")
        return float(negative * positive)
