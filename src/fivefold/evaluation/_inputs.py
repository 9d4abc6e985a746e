"""What every metric asks of its input: one length, finite weights, known classes; each refusal is one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError, InputTypeError

ROW_SUM_TOLERANCE = 1e-4
"""How far the probabilities of a row may sum away from 1; a float32 softmax over 10,000 classes stays within it."""


def as_array(values: Any, name: str) -> np.ndarray:
    """Return a NumPy array of anything array-like (pandas, polars and tensors on the CPU included)."""
    array = np.asarray(values)
    if array.ndim == 0:
        raise InputTypeError(f"{name} must be an array with one entry a row, got the single value {values!r}.")
    if array.dtype == object:
        plain = np.asarray(array.tolist())
        if plain.dtype == object or plain.shape != array.shape:
            raise InputTypeError(
                f"{name} mixes types or holds missing values; give numbers or strings of one type and drop missing rows."
            )
        # A list of numbers and strings becomes text without a word, which would make 1 and "1" one class.
        if plain.dtype.kind in "US" and not all(isinstance(v, str) for v in array.ravel()):
            raise InputTypeError(f"{name} mixes strings with other types; give one type.")
        array = plain
    return array


def as_rows(
    y_true: Any, y_pred: Any, sample_weight: Any = None, *, what: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return targets (n, ...), predictions (n, ...) and weights (n,) or None, all with the same n >= 1."""
    true, pred = as_array(y_true, "y_true"), as_array(y_pred, "y_pred")
    if len(true) != len(pred):
        raise DataError(f"{what} needs one prediction a row: y_true has {len(true)} rows, y_pred has {len(pred)}.")
    if len(true) == 0:
        raise DataError(f"{what} needs at least one row; y_true and y_pred are empty.")
    for name, array in (("y_true", true), ("y_pred", pred)):
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise DataError(f"{name} holds {int(np.isnan(array).sum())} NaN; drop or fill these rows before {what}.")
    return true, pred, as_weights(sample_weight, len(true))


def as_weights(sample_weight: Any, rows: int) -> np.ndarray | None:
    """Return float64 weights (n,), all finite and >= 0 with a positive sum, or None."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (rows,):
        raise DataError(f"sample_weight must have shape ({rows},), one weight a row; got {weight.shape}.")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise DataError("sample_weight must be finite and not negative; found NaN, infinite or negative weights.")
    if weight.sum() == 0:
        raise DataError("sample_weight sums to zero; at least one row needs a positive weight.")
    return weight


def as_labels(values: np.ndarray, name: str, what: str) -> np.ndarray:
    """Return class labels (n,); probabilities given by mistake are refused rather than rounded."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(f"{what} compares class labels of shape (n,); {name} has shape {values.shape}.")
    if values.dtype.kind == "f" and not np.equal(values, np.floor(values)).all():
        odd = values[~np.equal(values, np.floor(values))][0]
        raise DataError(
            f"{what} compares class labels, but {name} holds {odd:g}; give labels, for example from `predict`, "
            "not probabilities."
        )
    return values


def common_labels(true: np.ndarray, pred: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return labels that may be compared: both text or both numbers."""
    if (true.dtype.kind in "US") != (pred.dtype.kind in "US"):
        raise DataError(f"{what} compares labels of one type; y_true holds {true[0]!r} and y_pred holds {pred[0]!r}.")
    return true, pred


def encode(true: np.ndarray, pred: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sorted classes (k,) that occur in either array, and the place of each row's class in them, (n,) twice."""
    if true.dtype.kind in "iu" and pred.dtype == true.dtype:
        low, high = min(int(true.min()), int(pred.min())), max(int(true.max()), int(pred.max()))
        few = high - low < 256  # any value: labels that lie close are counted instead of sorted
        if few and high < 2**63:
            # Widened first: int8 cannot hold 127 - (-128).
            codes = [array.astype(np.int64) - low for array in (true, pred)]
            counts = np.bincount(codes[0], minlength=high - low + 1) + np.bincount(codes[1], minlength=high - low + 1)
            there = np.flatnonzero(counts)
            if len(there) == len(counts):
                return (there + low).astype(true.dtype), codes[0], codes[1]
            place = np.cumsum(counts > 0) - 1
            return (there + low).astype(true.dtype), place[codes[0]], place[codes[1]]
    classes, code = np.unique(np.concatenate([true, pred]), return_inverse=True)
    return classes, code[: len(true)], code[len(true) :]


def known_classes(true: np.ndarray, labels: Any, what: str) -> np.ndarray:
    """Return the sorted classes: those of ``labels``, or else those of ``true``."""
    if labels is None:
        return np.unique(true)
    classes = np.unique(as_array(labels, "labels"))
    strange = np.setdiff1d(true, classes)
    if strange.size:
        raise DataError(
            f"y_true holds the class {strange[0]!s}, which is not among labels={classes.tolist()} of {what}."
        )
    return classes


def binary_target(true: np.ndarray, labels: Any, what: str) -> np.ndarray:
    """Return where the rows are positive (n,) bool: of two classes, the one that sorts last is positive.

    A single class is only told positive from negative when ``labels`` names both; the metric decides whether it can be
    computed.
    """
    true = as_labels(true, "y_true", what)
    classes = known_classes(true, labels, what)
    if len(classes) > 2:
        raise DataError(
            f"{what} got scores for two classes, but there are {len(classes)} classes ({preview(classes)}); "
            "give one column of scores a class."
        )
    if len(classes) < 2:
        raise DataError(
            f"{what} needs rows of both classes; all {len(true)} rows of y_true are of class {classes[0]!s}."
        )
    return np.asarray(true == classes[1])


def preview(values: np.ndarray, n: int = 4) -> str:  # any value: the length of a message
    """Return the first few values for a message."""
    shown = ", ".join(str(v) for v in values[:n])
    return shown + (", …" if len(values) > n else "")


def as_scores(pred: np.ndarray, what: str) -> np.ndarray:
    """Return scores as float: (n,) for a single column or two complementary ones, else (n, k)."""
    if pred.dtype.kind not in "biuf":
        raise DataError(
            f"{what} ranks rows by a numeric score; y_pred holds {pred.ravel()[0]!r}. "
            "Give `predict_proba` or `decision_function`, not labels."
        )
    if pred.ndim > 2:
        raise DataError(f"{what} takes scores of shape (n,) or (n, classes); y_pred has shape {pred.shape}.")
    if pred.dtype.kind != "f":
        pred = pred.astype(np.float64)
    return pred[:, 0] if pred.ndim == 2 and pred.shape[1] == 1 else pred


def as_probabilities(pred: np.ndarray, what: str) -> np.ndarray:
    """Return probabilities in [0, 1], (n,) of the positive class or (n, k) with rows that sum to 1."""
    pred = as_scores(pred, what)
    low, high = float(pred.min()), float(pred.max())
    if low < 0 or high > 1:
        odd = low if low < 0 else high
        raise DataError(
            f"{what} needs probabilities in [0, 1]; y_pred holds {odd:g}. Apply a sigmoid or softmax first."
        )
    if pred.ndim == 2:
        sums = pred.sum(axis=1, dtype=np.float64)
        worst = int(np.argmax(np.abs(sums - 1.0)))
        if abs(sums[worst] - 1.0) > ROW_SUM_TOLERANCE:
            raise DataError(
                f"{what} needs class probabilities that sum to 1 in each row; row {worst} sums to {sums[worst]:.6g}."
            )
    return pred


def class_columns(true: np.ndarray, pred: np.ndarray, labels: Any, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes (k,) and the column of each row's class (n,) for predictions (n, k)."""
    true = as_labels(true, "y_true", what)
    classes = known_classes(true, labels, what)
    if len(classes) != pred.shape[1]:
        raise DataError(
            f"{what} needs one column a class in sorted order: y_pred has {pred.shape[1]} columns, y_true has "
            f"{len(classes)} classes ({preview(classes)}); pass labels= with all classes when some do not occur."
        )
    return classes, np.searchsorted(classes, true)
