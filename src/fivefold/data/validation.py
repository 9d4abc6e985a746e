"""Checks of tables, targets and weights that transformers and models share; every refusal is one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import validate_data

from fivefold.base.checks import choice, real
from fivefold.base.errors import DataError, InputError, InputTypeError

FLOATS = (np.float64, np.float32)
INFINITE = "X contains infinity; give finite numbers, or NaN where a value is missing."


def checked_data(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """Run scikit-learn's ``validate_data`` on X (and y) and turn what it raises into one sentence of ours."""
    try:
        # scikit-learn looks for infinite values in the sum of all, where infinities of both signs are no error.
        with np.errstate(invalid="ignore"):
            return validate_data(estimator, X, *y, **{"dtype": FLOATS, **options})
    except TypeError as error:
        raise InputTypeError(_sentence(error)) from error
    except ValueError as error:
        text = _sentence(error)
        if options.get("ensure_all_finite") == "allow-nan" and text.startswith("Input X contains infinity"):
            raise DataError(INFINITE) from error
        if text.startswith("Input X contains NaN"):
            text += " Fill or drop such rows first; SimpleImputer fills missing values."
        raise DataError(text) from error


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines()]
    text = lines[0]
    if text.startswith("Expected 2D array"):
        # scikit-learn prints the whole array between its first and its last line.
        text = text.rstrip(":") + ". Reshape your data: X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one row."
    elif text.startswith("The feature names"):
        # The columns that are missing or new stand on lines of their own.
        text = " ".join(lines)
    return text if text.endswith((".", "?", "!")) else text + "."


def sample_weights(sample_weight: Any, n_samples: int) -> np.ndarray | None:
    """Return weights as a float64 vector, or None when all rows count the same.

    A single number weighs every row the same. Weights are finite, not negative and not all zero.
    """
    if sample_weight is None:
        return None
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"`sample_weight` cannot be read as numbers: {error}.") from error
    if weight.ndim == 0:
        weight = np.full(n_samples, float(weight))
    if weight.shape != (n_samples,):
        raise DataError(
            f"`sample_weight` has the shape {weight.shape}, X has {n_samples} rows; give one weight a row: ({n_samples},)."
        )
    if not np.isfinite(weight).all():
        raise DataError("`sample_weight` contains NaN or infinity; give finite weights >= 0.")
    if weight.min(initial=0.0) < 0:
        raise DataError(f"`sample_weight` contains the negative weight {weight.min():g}; give weights >= 0.")
    if not weight.any():
        raise DataError("`sample_weight` is zero everywhere; at least one row needs a weight above zero.")
    return weight


def encode_labels(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted classes (K,) and the class index of every row (n,).

    Raises
    ------
    DataError
        When ``y`` is continuous, or holds what cannot be sorted.
    """
    if y.dtype.kind == "f" and not np.array_equal(y, np.floor(y)):
        raise DataError(
            "Unknown label type: y is continuous; a classifier needs classes, so bin the target or take a regressor."
        )
    if y.dtype.kind == "O":
        try:
            kind = type_of_target(y, input_name="y")
        except (TypeError, ValueError) as error:
            raise DataError(f"The labels of y cannot be put in order: {_sentence(error)}") from error
        if kind == "unknown" or kind.startswith("continuous"):
            raise DataError(f"Unknown label type: y is {kind}; give classes as strings, integers or booleans.")
    if y.dtype.kind in "iu" and y.size and int(y.max()) - int(y.min()) < 4 * y.size + 1024:  # any value: cost alone
        # Small whole numbers are counted instead of sorted; a difference may leave the type with a sign.
        offset, unsigned = y.min(), np.dtype(f"u{y.dtype.itemsize}")
        codes = (y - offset).view(unsigned).astype(np.intp)
        present = np.bincount(codes) > 0
        rank = np.cumsum(present) - 1
        return np.flatnonzero(present).astype(y.dtype) + offset, rank[codes]
    classes, codes = np.unique(y, return_inverse=True)
    return classes, codes.ravel()


def class_weights(class_weight: Any, classes: np.ndarray, codes: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return one factor a class: ones, those of a mapping, or ``n / (K · n_k)`` for ``"balanced"``.

    With sample weights, ``n`` and ``n_k`` are sums of weights, so that a weight of two equals a repeated row.
    """
    if class_weight is None:
        return np.ones(len(classes))
    if isinstance(class_weight, str):
        choice("class_weight", class_weight, ("balanced", None))
        counts = np.bincount(codes, weights=weight, minlength=len(classes))
        return counts.sum() / (np.count_nonzero(counts) * np.where(counts > 0, counts, np.inf))
    if not hasattr(class_weight, "items"):
        raise InputTypeError(
            f"`class_weight` is {class_weight!r} of type {type(class_weight).__name__}; "
            "give None, 'balanced' or a mapping from class to weight."
        )
    factors = np.ones(len(classes))
    position = {label: k for k, label in enumerate(classes.tolist())}
    for label, factor in class_weight.items():
        if label not in position:
            raise InputError(f"`class_weight` names the class {label!r}, which y does not hold: {list(position)}.")
        factors[position[label]] = real(f"class_weight[{label!r}]", factor, low=0.0)
    return factors


def texts(X: Any, what: str = "texts") -> list[str]:
    """Return a collection of strings as a list.

    Raises
    ------
    InputTypeError
        For a single string, and for elements that are no strings.
    DataError
        For an empty collection.
    """
    if isinstance(X, (str, bytes)) or np.ndim(X) != 1:
        came = "one string" if isinstance(X, (str, bytes)) else f"{type(X).__name__} with {np.ndim(X)} axes"
        raise InputTypeError(f"A sequence of {what} is expected, such as a list of strings; got {came}.")
    found = X.to_list() if hasattr(X, "to_list") else list(X)
    if not found:
        raise DataError(f"There is no text to read; give at least one of the {what}.")
    for place, text in enumerate(found):
        if not isinstance(text, str):
            raise InputTypeError(
                f"Element {place} of the {what} is {text!r} of type {type(text).__name__}; give a string."
            )
    return found
