"""Metrics of classifiers: accuracy and its balanced forms, log-loss, Brier score, confusion and costs."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from fivefold.base.errors import DataError, InputError

from ._inputs import (
    as_array,
    as_labels,
    as_probabilities,
    as_rows,
    as_scores,
    binary_target,
    class_columns,
    common_labels,
    encode,
    known_classes,
)
from .metric import Metric


def _label_rows(
    y_true: Any, y_pred: Any, sample_weight: Any, what: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    true, pred, weight = as_rows(y_true, y_pred, sample_weight, what=what)
    true, pred = common_labels(as_labels(true, "y_true", what), as_labels(pred, "y_pred", what), what)
    return true, pred, weight


def confusion_matrix(
    y_true: Any, y_pred: Any, sample_weight: Any = None, *, labels: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the confusion matrix C (k, k), where C[i, j] is the weight of rows of class i called j, and the classes (k,).

    Parameters
    ----------
    y_true, y_pred : array (n,)
        Class labels.
    sample_weight : array (n,), optional
        Without it the entries are integer counts.
    labels : array (k,), optional
        The classes; default: all that occur in either array, sorted.

    Raises
    ------
    DataError
        When lengths or types differ, or a label is not among ``labels``.
    """
    what = "the confusion matrix"
    true, pred, weight = _label_rows(y_true, y_pred, sample_weight, what)
    if labels is None:
        classes, t, p = encode(true, pred)
    else:
        classes = known_classes(np.concatenate([true, pred]), labels, what)
        t, p = np.searchsorted(classes, true), np.searchsorted(classes, pred)
    k = len(classes)
    cell = t * k + p
    return np.bincount(cell, weights=weight, minlength=k * k).reshape(k, k), classes


def accuracy(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Share of rows whose predicted label is the true one, weighted.

    Misleading when classes are rare: calling all of 100 normal and 5 abnormal rows normal scores 95.2 %; see
    :func:`misclassification_cost` and :func:`balanced_accuracy`.

    Parameters
    ----------
    y_true, y_pred : array (n,)
        Class labels.
    sample_weight : array (n,), >= 0, optional

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    DataError
        When probabilities are given, lengths differ, or types differ.

    References
    ----------
    Spec ``04#ctr-metrics``, ``06#anomaly-metrics``.
    """
    true, pred, weight = _label_rows(y_true, y_pred, sample_weight, "accuracy")
    return float(np.average(true == pred, weights=weight))


def _recalls(matrix: np.ndarray) -> np.ndarray:
    support = matrix.sum(axis=1)
    there = support > 0
    return np.asarray(np.diag(matrix)[there] / support[there])


def balanced_accuracy(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Mean over the true classes of the share of their rows that is recognized (macro recall).

    Parameters
    ----------
    y_true, y_pred : array (n,)
        Class labels. Classes that occur in ``y_pred`` alone have no recall and do not count.
    sample_weight : array (n,), >= 0, optional

    Returns
    -------
    float in [0, 1]
        1/k for a constant guess among k classes.

    Raises
    ------
    DataError
        As :func:`accuracy`.
    """
    matrix, _ = confusion_matrix(y_true, y_pred, sample_weight)
    return float(_recalls(matrix).mean())


def _f1(matrix: np.ndarray) -> np.ndarray:
    hits = np.diag(matrix)
    either = matrix.sum(axis=0) + matrix.sum(axis=1)
    # A class of weight zero on both sides has neither precision nor recall; it counts 0, as in scikit-learn.
    return np.asarray(np.divide(2.0 * hits, either, out=np.zeros(len(hits)), where=either > 0))


def macro_f1(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    r"""Mean over classes of the F1 score :math:`2\,TP / (2\,TP + FP + FN)`.

    Parameters
    ----------
    y_true, y_pred : array (n,)
        Class labels; the classes are all that occur in either array.
    sample_weight : array (n,), >= 0, optional

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    DataError
        As :func:`accuracy`.
    """
    matrix, _ = confusion_matrix(y_true, y_pred, sample_weight)
    return float(_f1(matrix).mean())


def log_loss(
    y_true: Any, y_pred: Any, sample_weight: Any = None, *, labels: Any = None, normalize: bool = True
) -> float:
    r"""Mean negative log-likelihood of the true classes, in nats.

    .. math:: -\frac{1}{W} \sum_i w_i \ln p_{i, y_i}

    Parameters
    ----------
    y_true : array (n,)
        Class labels.
    y_pred : array (n,) or (n, k), in [0, 1]
        Probability of the positive class (the one that sorts last), or of all classes in sorted order with rows that
        sum to 1.
    sample_weight : array (n,), >= 0, optional
    labels : array (k,), optional
        All classes; needed when some do not occur in ``y_true``.
    normalize : bool, default True
        Divide by the total weight W; False gives the sum over the rows, the negative log-likelihood itself.

    Returns
    -------
    float >= 0

    Raises
    ------
    DataError
        When values leave [0, 1], rows do not sum to 1 (within 1e-4), or columns and classes differ in number.

    Notes
    -----
    Probabilities are clipped to [eps, 1 - eps] with eps the machine epsilon of ``y_pred``'s type (2.2e-16 for float64,
    1.2e-7 for float32), as scikit-learn does: a certain and wrong prediction costs 36.0 (15.9), not infinity.

    References
    ----------
    Spec ``01#log-loss``, which prints the sum.
    """
    what = "log-loss"
    true, pred, weight = as_rows(y_true, y_pred, sample_weight, what=what)
    pred = as_probabilities(pred, what)
    eps = float(np.finfo(pred.dtype).eps)
    if pred.ndim == 1:
        positive = binary_target(true, labels, what)
        chosen = np.where(positive, pred, 1.0 - pred)
    else:
        _, column = class_columns(true, pred, labels, what)
        chosen = pred[np.arange(len(pred)), column]
    chosen = np.clip(chosen.astype(np.float64), eps, 1.0 - eps)
    loss = -np.log(chosen)
    if not normalize:
        return float(loss.sum() if weight is None else weight @ loss)
    return float(np.average(loss, weights=weight))


def brier_score(y_true: Any, y_pred: Any, sample_weight: Any = None, *, labels: Any = None) -> float:
    r"""Mean squared distance between predicted probabilities and what happened.

    .. math:: \frac{1}{W} \sum_i w_i (p_i - y_i)^2 \quad\text{and for } k > 2 \text{ classes}\quad
              \frac{1}{W} \sum_i w_i \sum_c (p_{ic} - [y_i = c])^2

    Parameters
    ----------
    y_true, y_pred, sample_weight, labels
        As in :func:`log_loss`.

    Returns
    -------
    float
        In [0, 1] for two classes, in [0, 2] for more.

    Raises
    ------
    DataError
        As :func:`log_loss`.

    Notes
    -----
    Brier 1950 sums over both classes of a binary problem too, which doubles the value; as in scikit-learn, two classes use
    the positive one alone, whether its probability comes as one column or two.
    """
    what = "brier-score"
    true, pred, weight = as_rows(y_true, y_pred, sample_weight, what=what)
    pred = as_probabilities(pred, what)
    if pred.ndim == 2 and pred.shape[1] == 2:
        pred = pred[:, 1]
    if pred.ndim == 1:
        squared = (pred - binary_target(true, labels, what)) ** 2
    else:
        classes, column = class_columns(true, pred, labels, what)
        squared = ((pred - (column[:, None] == np.arange(len(classes)))) ** 2).sum(axis=1)
    return float(np.average(squared, weights=weight))


def misclassification_cost(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    cost_false_alarm: float = 1.0,
    cost_missing: float = 1.0,
    labels: Any = None,
) -> float:
    """Total cost of a binary decision: false alarms and missed positives, each at its price.

    Parameters
    ----------
    y_true, y_pred : array (n,)
        Labels of two classes; the one that sorts last is positive (for detection: abnormal).
    sample_weight : array (n,), >= 0, optional
    cost_false_alarm, cost_missing : float >= 0, default 1
        Price of calling a negative row positive, and of calling a positive row negative.
    labels : array (2,), optional

    Returns
    -------
    float >= 0
        A sum, not a mean.

    Notes
    -----
    Of the detectors A (1 false alarm, 4 missing) and B (6, 3), prices (100, 1) give 104 against 603 and prices (1, 100)
    give 401 against 306: the order of two detectors depends on the prices, which accuracy cannot express.

    References
    ----------
    Spec ``06#anomaly-metrics``.
    """
    what = "misclassification-cost"
    for name, cost in (("cost_false_alarm", cost_false_alarm), ("cost_missing", cost_missing)):
        if not (np.isfinite(cost) and cost >= 0):
            raise InputError(f"{name} must be a finite number >= 0, got {cost!r}.")
    true, pred, weight = _label_rows(y_true, y_pred, sample_weight, what)
    classes = known_classes(np.concatenate([true, pred]), labels, what)
    if len(classes) != 2:
        raise DataError(f"{what} is defined for two classes; y_true and y_pred hold {len(classes)}.")
    alarm, abnormal = pred == classes[1], true == classes[1]
    prices = cost_false_alarm * (alarm & ~abnormal) + cost_missing * (~alarm & abnormal)
    return float(prices.sum() if weight is None else weight @ prices)


def hit_rate(y_true: Any, y_pred: Any, sample_weight: Any = None, *, k: int = 10, labels: Any = None) -> float:
    """Share of users whose wanted item stands among the k items shown to them (top-k accuracy).

    Parameters
    ----------
    y_true : array (n,)
        The item each user wanted.
    y_pred : array (n, items)
        Scores of all items in sorted order. Ties go against the wanted item, so constant scores earn nothing.
    sample_weight : array (n,), >= 0, optional
    k : int >= 1, default 10
    labels : array (items,), optional
        The items; default: 0 … items - 1.

    Returns
    -------
    float in [0, 1]
    """
    what = "hit-rate"
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}.")
    true, pred, weight = as_rows(y_true, y_pred, sample_weight, what=what)
    score = as_scores(pred, what)
    if score.ndim != 2:
        raise DataError(f"{what} needs scores of all items, shape (n, items); y_pred has shape {score.shape}.")
    items = np.arange(score.shape[1]) if labels is None else labels
    _, column = class_columns(true, score, items, what)
    own = score[np.arange(len(score)), column]
    rank = (score >= own[:, None]).sum(axis=1)  # (n,) 1 for the single best
    return float(np.average(rank <= k, weights=weight))


class _ConfusionMetric(Metric):
    """A metric that the confusion matrix determines: keeps the counts, not the rows."""

    needs: ClassVar[str] = "labels"
    higher_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass")

    def reset(self) -> None:
        self.matrix: np.ndarray | None = None  # (k, k)
        self.classes: np.ndarray | None = None  # (k,)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        self._add(*confusion_matrix(y_true, y_pred, sample_weight))
        return self

    def merge(self, other: Metric) -> Self:
        self._check_same(other)
        if other.matrix is not None:  # type: ignore[attr-defined]
            self._add(other.matrix, other.classes)  # type: ignore[attr-defined]
        return self

    def _add(self, matrix: np.ndarray, classes: np.ndarray) -> None:
        if self.matrix is None:
            self.matrix, self.classes = matrix.copy(), classes.copy()
            return
        common_labels(self.classes, classes, self.name)
        union = np.union1d(self.classes, classes)
        total = np.zeros((len(union), len(union)), dtype=np.result_type(self.matrix, matrix))
        for known, part in ((self.classes, self.matrix), (classes, matrix)):
            place = np.searchsorted(union, known)
            total[np.ix_(place, place)] += part
        self.matrix, self.classes = total, union

    def compute(self) -> float:
        if self.matrix is None:
            raise InputError(f"{self.name} has seen no rows; call `update` before `compute`.")
        return self._of(self.matrix)

    def _of(self, matrix: np.ndarray) -> float:
        raise NotImplementedError


class Accuracy(_ConfusionMetric):
    """Streaming :func:`accuracy`."""

    name: ClassVar[str] = "accuracy"
    function = staticmethod(accuracy)

    def _of(self, matrix: np.ndarray) -> float:
        return float(np.trace(matrix) / matrix.sum())


class BalancedAccuracy(_ConfusionMetric):
    """Streaming :func:`balanced_accuracy`."""

    name: ClassVar[str] = "balanced-accuracy"
    function = staticmethod(balanced_accuracy)

    def _of(self, matrix: np.ndarray) -> float:
        return float(_recalls(matrix).mean())


class MacroF1(_ConfusionMetric):
    """Streaming :func:`macro_f1`."""

    name: ClassVar[str] = "macro-f1"
    function = staticmethod(macro_f1)

    def _of(self, matrix: np.ndarray) -> float:
        return float(_f1(matrix).mean())


class LogLoss(Metric):
    """Streaming :func:`log_loss`; ``labels`` and ``normalize`` as there."""

    name: ClassVar[str] = "log-loss"
    needs: ClassVar[str] = "probabilities"
    higher_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass")
    function = staticmethod(log_loss)

    def __init__(self, labels: Any = None, normalize: bool = True) -> None:
        known = None if labels is None else as_array(labels, "labels").tolist()
        super().__init__(labels=known, normalize=normalize)


class BrierScore(Metric):
    """Streaming :func:`brier_score`; ``labels`` as there."""

    name: ClassVar[str] = "brier-score"
    needs: ClassVar[str] = "probabilities"
    higher_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass")
    function = staticmethod(brier_score)

    def __init__(self, labels: Any = None) -> None:
        super().__init__(labels=None if labels is None else as_array(labels, "labels").tolist())


class MisclassificationCost(Metric):
    """Streaming :func:`misclassification_cost`: what the decisions cost the business."""

    name: ClassVar[str] = "misclassification-cost"
    needs: ClassVar[str] = "labels"
    higher_is_better: ClassVar[bool] = False
    level: ClassVar[str] = "enterprise"
    tasks: ClassVar[tuple[str, ...]] = ("binary",)
    function = staticmethod(misclassification_cost)

    def __init__(self, cost_false_alarm: float = 1.0, cost_missing: float = 1.0, labels: Any = None) -> None:
        known = None if labels is None else as_array(labels, "labels").tolist()
        super().__init__(cost_false_alarm=cost_false_alarm, cost_missing=cost_missing, labels=known)


class HitRate(Metric):
    """Streaming :func:`hit_rate`: how often a user finds what was wanted."""

    name: ClassVar[str] = "hit-rate"
    needs: ClassVar[str] = "scores"
    higher_is_better: ClassVar[bool] = True
    level: ClassVar[str] = "user"
    tasks: ClassVar[tuple[str, ...]] = ("multiclass",)
    function = staticmethod(hit_rate)

    def __init__(self, k: int = 10, labels: Any = None) -> None:
        super().__init__(k=k, labels=None if labels is None else as_array(labels, "labels").tolist())
