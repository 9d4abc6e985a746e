"""Precision, recall, specificity and F1 of two classes, of many, and of label sets: one count of hits serves them all."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from fivefold.base.checks import check_one_of
from fivefold.base.errors import DataError, InputError

from ._inputs import as_array, as_labels, as_rows, common_labels, encode, preview
from .metric import Metric

AVERAGES = ("binary", "micro", "macro", "weighted", "samples")


class _Counts(NamedTuple):
    """Weight of rows by class (k,), or by row (n, 1) for the average over samples."""

    hit: np.ndarray  # called c and is c
    called: np.ndarray
    actual: np.ndarray
    total: np.ndarray


def _ratio(above: np.ndarray, below: np.ndarray, zero_division: float) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(below), float(zero_division)), where=below > 0)


def _precision(c: _Counts, zero: float) -> np.ndarray:
    return _ratio(c.hit, c.called, zero)


def _recall(c: _Counts, zero: float) -> np.ndarray:
    return _ratio(c.hit, c.actual, zero)


def _f1(c: _Counts, zero: float) -> np.ndarray:
    return _ratio(2.0 * c.hit, c.called + c.actual, zero)


def _specificity(c: _Counts, zero: float) -> np.ndarray:
    negative = c.total - c.actual
    return _ratio(negative - (c.called - c.hit), negative, zero)


def _mean(values: np.ndarray, weights: np.ndarray, zero_division: float) -> float:
    """Return the mean of the values that are defined; NaN when none is."""
    there = ~np.isnan(values)
    if not there.any():
        return float("nan")
    if not weights[there].any():  # no row is of any of these classes
        return zero_division
    return float(np.average(values[there], weights=weights[there]))


class _Recognition(Metric):
    """What the four have in common: counts by class, which any batches and shards add up to.

    ``hit``, ``called``, ``actual`` hold the weight of each class, ``total`` that of all rows; ``sums`` holds the weighted sum
    of the per-row values and their weight for the average over samples.
    """

    needs: ClassVar[str] = "labels"
    higher_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass")

    def __init__(
        self, average: str = "binary", *, pos_label: Any = None, labels: Any = None, zero_division: float = 0.0
    ) -> None:
        check_one_of("average", average, AVERAGES)
        if not (zero_division in (0, 1) or np.isnan(zero_division)):
            raise InputError(f"zero_division must be 0, 1 or nan; got {zero_division!r}.")
        if pos_label is not None and average != "binary":
            raise InputError(f"pos_label names the positive class of average='binary'; got average={average!r}.")
        known = None if labels is None else np.unique(as_array(labels, "labels")).tolist()
        if known is not None and pos_label is not None and pos_label not in known:
            raise InputError(f"pos_label={pos_label!r} is not among labels={known}.")
        super().__init__(average=average, pos_label=pos_label, labels=known, zero_division=float(zero_division))

    @staticmethod
    def _of(counts: _Counts, zero_division: float) -> np.ndarray:
        raise NotImplementedError

    def reset(self) -> None:
        self.classes: np.ndarray | None = None  # (k,)
        self.sets: bool | None = None  # whether rows are label sets, given as 0/1 columns
        self.counts: np.ndarray | None = None  # (3, k) hit, called, actual
        self.total = 0.0
        self.sums: np.ndarray = np.zeros(2)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        true, pred, weight = as_rows(y_true, y_pred, sample_weight, what=self.name)
        w = np.ones(len(true)) if weight is None else weight
        sets = true.ndim == 2 and true.shape[1] > 1
        classes, counts = (self._sets if sets else self._single)(true, pred, w)
        self._add(classes, counts, float(w.sum()), sets)
        return self

    def _single(self, true: np.ndarray, pred: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.options["average"] == "samples":
            raise DataError(
                f"{self.name} with average='samples' needs label sets as 0/1 columns (n, labels); y_true has shape "
                f"{true.shape}. Choose micro, macro or weighted for one label a row."
            )
        true, pred = common_labels(
            as_labels(true, "y_true", self.name), as_labels(pred, "y_pred", self.name), self.name
        )
        classes, t, p = encode(true, pred)
        same, k = t == p, len(classes)
        counts = [
            np.bincount(t[same], weights=w[same], minlength=k),
            np.bincount(p, weights=w, minlength=k),
            np.bincount(t, weights=w, minlength=k),
        ]
        return classes, np.array(counts)

    def _sets(self, true: np.ndarray, pred: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.options["average"] == "binary":
            raise DataError(
                f"{self.name} got label sets of shape {true.shape}; pass average= micro, macro, weighted or samples."
            )
        if true.shape != pred.shape:
            raise DataError(f"{self.name} needs equal shapes; y_true has {true.shape}, y_pred has {pred.shape}.")
        for name, array in (("y_true", true), ("y_pred", pred)):
            if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
                raise DataError(f"{self.name} takes label sets as columns of 0 and 1; {name} holds other values.")
        t, p = true.astype(np.float64), pred.astype(np.float64)
        if self.options["average"] == "samples":
            used = np.arange(t.shape[1]) if self.options["labels"] is None else np.asarray(self.options["labels"])
            a, b = t[:, used], p[:, used]
            row = _Counts((a * b).sum(1), b.sum(1), a.sum(1), np.full(len(a), float(len(used))))
            value = self._of(row, self.options["zero_division"])
            there = ~np.isnan(value)
            self.sums = self.sums + [w[there] @ value[there], w[there].sum()]
        return np.arange(t.shape[1]), np.array([w @ (t * p), w @ p, w @ t])

    def merge(self, other: Metric) -> Self:
        self._check_same(other)
        if other.counts is not None:  # type: ignore[attr-defined]
            self._add(other.classes, other.counts, other.total, other.sets)  # type: ignore[attr-defined]
            self.sums = self.sums + other.sums  # type: ignore[attr-defined]
        return self

    def _add(self, classes: np.ndarray, counts: np.ndarray, total: float, sets: bool) -> None:
        self.total += total
        if self.classes is None:
            self.classes, self.counts, self.sets = classes, counts, sets
            return
        if sets != self.sets:
            raise DataError(f"{self.name} has seen both one label a row and label sets; give one form.")
        common_labels(self.classes, classes, self.name)
        union = np.union1d(self.classes, classes)
        joint = np.zeros((3, len(union)))
        for known, part in ((self.classes, self.counts), (classes, counts)):
            joint[:, np.searchsorted(union, known)] += part
        self.classes, self.counts = union, joint

    def _chosen(self) -> tuple[np.ndarray, _Counts]:
        """Return the classes that count and their counts."""
        if self.counts is None or self.classes is None:
            raise InputError(f"{self.name} has seen no rows; call `update` before `compute`.")
        labels, average, positive = (self.options[key] for key in ("labels", "average", "pos_label"))
        if average == "binary":
            known = self.classes if labels is None else np.asarray(labels)
            common_labels(known, self.classes, self.name)
            strange = np.setdiff1d(self.classes, known)
            several = len(np.union1d(known, self.classes)) > 2
            if positive is None and (several or strange.size):
                raise DataError(
                    f"{self.name} with average='binary' is of two classes, but there are {preview(self.classes)}; "
                    "pass average= micro, macro or weighted, or pos_label= with the class to recognize."
                )
            if positive is None and len(known) < 2:
                raise DataError(
                    f"{self.name} cannot tell which class is positive: all rows are {known[0]!s}; pass labels= or pos_label=."
                )
            wanted = np.asarray([known[-1] if positive is None else positive])
        else:
            wanted = self.classes if labels is None else np.asarray(labels)
        common_labels(wanted, self.classes, self.name)
        place = np.searchsorted(self.classes, wanted)
        found = self.classes[np.minimum(place, len(self.classes) - 1)] == wanted
        # A class that is wanted but never occurred has counts of zero.
        hit, called, actual = np.where(found, self.counts[:, np.minimum(place, len(self.classes) - 1)], 0.0)
        return wanted, _Counts(hit, called, actual, np.full(len(wanted), self.total))

    def per_class(self) -> dict[Any, float]:
        """Return class -> value, each class against the rest."""
        classes, counts = self._chosen()
        return dict(zip(classes.tolist(), self._of(counts, self.options["zero_division"]).tolist()))

    def compute(self) -> float:
        _, counts = self._chosen()
        average, zero = self.options["average"], self.options["zero_division"]
        if average == "samples":
            return float(self.sums[0] / self.sums[1]) if self.sums[1] > 0 else float("nan")
        if average == "micro":
            counts = _Counts(*(np.add.reduce(part, keepdims=True) for part in counts))
            return float(self._of(counts, zero)[0])
        values = self._of(counts, zero)
        return _mean(values, counts.actual if average == "weighted" else np.ones(len(values)), zero)


_COMMON = """
    Parameters
    ----------
    y_true, y_pred : array (n,) of labels, or (n, labels) of 0 and 1
        One label a row, or label sets as columns.
    sample_weight : array (n,), >= 0, optional
    average : "binary" (default), "micro", "macro", "weighted" or "samples"
        One class of two; all classes' counts together; the mean over classes, plain or by their number of rows; the mean over
        the rows of label sets.
    pos_label : label, optional
        The positive class of "binary"; default: of two classes, the one that sorts last.
    labels : array (k,), optional
        The classes that count; default: all that occur. For label sets the numbers of the columns.
    zero_division : 0 (default), 1 or nan
        The value where the denominator is zero; nan leaves the class out of a mean.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    DataError
        When lengths or types differ, or "binary" meets more than two classes.
    InputError
        When an option is not one of those above.
"""


def precision(y_true: Any, y_pred: Any, sample_weight: Any = None, **options: Any) -> float:
    r"""Share of the rows called positive that are positive, :math:`TP / (TP + FP)`.
    {common}
    References
    ----------
    Spec ``01#precision``.
    """
    return Precision(**options).update(y_true, y_pred, sample_weight).compute()


def recall(y_true: Any, y_pred: Any, sample_weight: Any = None, **options: Any) -> float:
    r"""Share of the positive rows that are called positive (sensitivity), :math:`TP / (TP + FN)`.
    {common}
    References
    ----------
    Spec ``01#recall``, ``04#ctr-metrics``.
    """
    return Recall(**options).update(y_true, y_pred, sample_weight).compute()


def f1_score(y_true: Any, y_pred: Any, sample_weight: Any = None, **options: Any) -> float:
    r"""Harmonic mean of precision and recall, :math:`2 / (1/P + 1/R) = 2\,TP / (2\,TP + FP + FN)`.
    {common}
    Notes
    -----
    Precision and recall both speak of the positive class, specificity of the negative one; F1 balances the first two and
    never looks at the true negatives.

    References
    ----------
    van Rijsbergen 1979; spec ``01#f1``, ``06#rouge``.
    """
    return F1Score(**options).update(y_true, y_pred, sample_weight).compute()


def specificity(y_true: Any, y_pred: Any, sample_weight: Any = None, **options: Any) -> float:
    r"""Share of the negative rows that are called negative, :math:`TN / (TN + FP)`.
    {common}
    Notes
    -----
    Of two classes it is the recall of the other one. Of several, a class is against the rest.

    References
    ----------
    Spec ``01#specificity``.
    """
    return Specificity(**options).update(y_true, y_pred, sample_weight).compute()


for _function in (precision, recall, f1_score, specificity):
    _function.__doc__ = (_function.__doc__ or "").replace("{common}", _COMMON.strip("\n").lstrip() + "\n")


class Precision(_Recognition):
    """Streaming :func:`precision`; the options are those of the function."""

    name: ClassVar[str] = "precision"
    function = staticmethod(precision)
    _of = staticmethod(_precision)


class Recall(_Recognition):
    """Streaming :func:`recall`; the options are those of the function."""

    name: ClassVar[str] = "recall"
    function = staticmethod(recall)
    _of = staticmethod(_recall)


class F1Score(_Recognition):
    """Streaming :func:`f1_score`; the options are those of the function."""

    name: ClassVar[str] = "f1-score"
    function = staticmethod(f1_score)
    _of = staticmethod(_f1)


class Specificity(_Recognition):
    """Streaming :func:`specificity`; the options are those of the function."""

    name: ClassVar[str] = "specificity"
    function = staticmethod(specificity)
    _of = staticmethod(_specificity)
