"""Metrics of a ranking by score: area under the ROC curve, average precision, and both curves."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from fivefold.base.checks import check_one_of
from fivefold.base.errors import DataError

from ._inputs import as_rows, as_scores, binary_target, class_columns
from .metric import Metric


class _Groups(NamedTuple):
    """Rows grouped by equal score, best score first: its thresholds and the weight of either class at each."""

    thresholds: np.ndarray  # (g,)
    positive: np.ndarray  # (g,)
    negative: np.ndarray  # (g,)


def _group(positive: np.ndarray, score: np.ndarray, weight: np.ndarray | None) -> _Groups:
    order = np.argsort(score)[::-1]
    ranked = score[order]
    starts = np.concatenate(([0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1))
    # Counts stay integers, so that unweighted values carry a single rounding: the last division.
    hit = positive[order].astype(np.int64) if weight is None else np.where(positive[order], weight[order], 0.0)
    miss = 1 - hit if weight is None else np.where(positive[order], 0.0, weight[order])
    return _Groups(ranked[starts], np.add.reduceat(hit, starts), np.add.reduceat(miss, starts))


def _split(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the positive and of the negative rows, each ascending: without weights their order is all."""
    # Values sort several times faster than indices, and equal rows of one class need no telling apart.
    return np.sort(score[positive]), np.sort(score[~positive])


def _binary_auc(positive: np.ndarray, score: np.ndarray, weight: np.ndarray | None, what: str) -> float:
    for name, rows in (("positive", positive), ("negative", ~positive)):
        if not (rows if weight is None else weight[rows]).any():
            raise DataError(
                f"{what} needs rows of both classes; the {len(score)} rows hold no {name} one (or all of weight zero)."
            )
    if weight is None:
        high, low = _split(positive, score)
        twice = sum(int(np.searchsorted(low, high, side=side).sum()) for side in ("left", "right"))
        return float(twice) / (2.0 * len(high) * len(low))
    groups = _group(positive, score, weight)
    total_positive, total_negative = groups.positive.sum(), groups.negative.sum()
    # A positive beats the negatives in all lower groups and half of those in its own.
    below = total_negative - np.cumsum(groups.negative)
    twice = np.sum(groups.positive * (2 * below + groups.negative))
    return float(twice) / (2.0 * float(total_positive) * float(total_negative))


def _binary_ap(positive: np.ndarray, score: np.ndarray, weight: np.ndarray | None, what: str) -> float:
    if not (positive if weight is None else weight[positive]).any():
        raise DataError(f"{what} needs at least one positive row; the {len(score)} rows hold none.")
    if weight is None:
        high, low = _split(positive, score)
        first = np.flatnonzero(np.concatenate(([True], high[1:] != high[:-1])))  # of each group of equal scores
        found = len(high) - first
        precision = found / (found + len(low) - np.searchsorted(low, high[first]))
        return float(np.sum(np.diff(first, append=len(high)) * precision) / len(high))
    groups = _group(positive, score, weight)
    found = np.cumsum(groups.positive)
    shown = found + np.cumsum(groups.negative)
    kept = shown > 0  # groups of weight zero before the first weighted row define no precision
    precision = found[kept] / shown[kept]
    return float(np.sum(groups.positive[kept] * precision) / found[-1])


def _over_classes(
    one: Any, y_true: Any, y_pred: Any, sample_weight: Any, average: str, labels: Any, what: str
) -> float:
    """Return ``one`` for two classes, or its mean over classes, each against the rest."""
    check_one_of("average", average, ("macro", "weighted"))
    true, pred, weight = as_rows(y_true, y_pred, sample_weight, what=what)
    score = as_scores(pred, what)
    if score.ndim == 2 and score.shape[1] == 2:
        score = score[:, 1]
    if score.ndim == 1:
        return float(one(binary_target(true, labels, what), score, weight, what))
    classes, column = class_columns(true, score, labels, what)
    counts = np.bincount(column, weights=weight, minlength=len(classes))
    absent = np.flatnonzero(counts == 0)
    if absent.size:
        raise DataError(
            f"{what} averages over classes, but no row is of class {classes[absent[0]]!s}; "
            "give rows of every class or leave its column out."
        )
    values = np.array([one(column == k, score[:, k], weight, what) for k in range(len(classes))])
    return float(np.average(values, weights=counts if average == "weighted" else None))


def roc_auc(
    y_true: Any, y_pred: Any, sample_weight: Any = None, *, average: str = "macro", labels: Any = None
) -> float:
    r"""Area under the ROC curve: the probability that a positive row scores above a negative one, ties counting half.

    .. math:: \mathrm{AUC} = \frac{U}{n_+ n_-} = \frac{1}{W_+ W_-} \sum_{i \in +} \sum_{j \in -} w_i w_j
              \left( [s_i > s_j] + \tfrac12 [s_i = s_j] \right)

    with :math:`W_\pm` the total weight of either class. Exact, in O(n log n).

    Parameters
    ----------
    y_true : array (n,)
        Class labels, numbers or strings. Of two classes, the one that sorts last is the positive one.
    y_pred : array (n,) or (n, k)
        Scores in any unit (larger = more positive; infinite allowed): probabilities, log-odds or margins, never rounded
        classes, whose ties destroy the ranking. With two columns the second is used; with k > 2 columns, in the order of
        the sorted classes, the areas of each class against the rest are averaged.
    sample_weight : array (n,), >= 0, optional
        Default: every row counts once.
    average : "macro" (default) or "weighted"
        Mean over classes, plain or by their weight; without effect for two classes.
    labels : array (k,), optional
        All classes; default: those of ``y_true``.

    Returns
    -------
    float in [0, 1]
        0.5 for scores that say nothing.

    Raises
    ------
    DataError
        When a class has no rows (the area is undefined), when lengths differ, or when there are NaN.

    Notes
    -----
    The mean of the areas of batches is not the area of the set, because it leaves out all pairs across batches; stream with
    :class:`RocAuc`, which keeps the scores.

    References
    ----------
    Hanley & McNeil 1982; spec ``01#auc``, ``04#ctr-metrics``, ``06#anomaly-metrics``.
    """
    return _over_classes(_binary_auc, y_true, y_pred, sample_weight, average, labels, "roc-auc")


def average_precision(
    y_true: Any, y_pred: Any, sample_weight: Any = None, *, average: str = "macro", labels: Any = None
) -> float:
    r"""Average precision, the step-wise area under the precision-recall curve.

    .. math:: \mathrm{AP} = \sum_t (R_t - R_{t-1}) P_t

    over the distinct scores t from high to low, with precision P and recall R among the rows that score at least t. No
    interpolation, so it is not optimistic as the trapezoid is.

    Parameters
    ----------
    y_true, y_pred, sample_weight, average, labels
        As in :func:`roc_auc`.

    Returns
    -------
    float in (0, 1]
        The share of positives for scores that say nothing.

    Raises
    ------
    DataError
        As in :func:`roc_auc`.

    References
    ----------
    Spec ``01#pr-curve``.
    """
    return _over_classes(_binary_ap, y_true, y_pred, sample_weight, average, labels, "pr-auc")


def _curve_input(
    y_true: Any, y_score: Any, sample_weight: Any, labels: Any, what: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    true, pred, weight = as_rows(y_true, y_score, sample_weight, what=what)
    score = as_scores(pred, what)
    if score.ndim == 2:
        raise DataError(f"{what} is drawn for one score a row; y_score has shape {score.shape}. Pass one column.")
    groups = _group(binary_target(true, labels, what), score, weight)
    return groups.thresholds, np.cumsum(groups.positive), np.cumsum(groups.negative)


def roc_curve(
    y_true: Any, y_score: Any, sample_weight: Any = None, *, labels: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ROC curve: false-positive rates (g+1,), true-positive rates (g+1,) and thresholds (g+1,).

    Point 0 is (0, 0) at the threshold +inf; then one point for each distinct score from high to low, where a row is called
    positive when its score is at least the threshold. No point is dropped.

    Parameters
    ----------
    y_true : array (n,)
        Labels of two classes; the one that sorts last is positive.
    y_score : array (n,)
    sample_weight : array (n,), optional
    labels : array (2,), optional

    Raises
    ------
    DataError
        When only one class is there.
    """
    thresholds, found, false = _curve_input(y_true, y_score, sample_weight, labels, "the ROC curve")
    if found[-1] == 0 or false[-1] == 0:
        raise DataError("the ROC curve needs rows of both classes with a positive weight.")
    rate = np.concatenate(([0.0], found / found[-1]))
    alarm = np.concatenate(([0.0], false / false[-1]))
    return alarm, rate, np.concatenate(([np.inf], thresholds))


def pr_curve(
    y_true: Any, y_score: Any, sample_weight: Any = None, *, labels: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the precision-recall curve: precision (g,), recall (g,) and thresholds (g,), from the highest score down.

    Parameters are those of :func:`roc_curve`. The sum of recall steps times precision is :func:`average_precision`.
    """
    thresholds, found, false = _curve_input(y_true, y_score, sample_weight, labels, "the precision-recall curve")
    if found[-1] == 0:
        raise DataError("the precision-recall curve needs at least one positive row with a positive weight.")
    shown = found + false
    kept = shown > 0
    return found[kept] / shown[kept], found[kept] / found[-1], thresholds[kept]


class RocAuc(Metric):
    """Streaming :func:`roc_auc`: keeps the scores, so that any batches and shards give the area of the whole set.

    Parameters
    ----------
    average : "macro" or "weighted", default "macro"
    labels : array (k,), optional
        All classes; needed when a class may be absent from ``y_true``.
    """

    name: ClassVar[str] = "roc-auc"
    needs: ClassVar[str] = "scores"
    higher_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass")
    function = staticmethod(roc_auc)

    def __init__(self, average: str = "macro", labels: Any = None) -> None:
        check_one_of("average", average, ("macro", "weighted"))
        super().__init__(average=average, labels=None if labels is None else np.asarray(labels).tolist())


class AveragePrecision(Metric):
    """Streaming :func:`average_precision`; parameters as in :class:`RocAuc`."""

    name: ClassVar[str] = "pr-auc"
    needs: ClassVar[str] = "scores"
    higher_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass")
    function = staticmethod(average_precision)

    def __init__(self, average: str = "macro", labels: Any = None) -> None:
        check_one_of("average", average, ("macro", "weighted"))
        super().__init__(average=average, labels=None if labels is None else np.asarray(labels).tolist())
