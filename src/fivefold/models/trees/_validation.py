"""Checks of parameters and data that trees and the unsupervised models share; every refusal is one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.estimator import NotFittedError

INFINITE = "X contains infinity; give finite numbers, or NaN where a value is missing."


def real(name: str, value: Any, *, low: float, high: float = np.inf, above: bool = False, below: bool = False) -> float:
    """Return a finite number in [low, high]; ``above`` and ``below`` exclude the ends."""
    accepted = f"a number {'>' if above else '>='} {low:g}" + (
        f" and {'<' if below else '<='} {high:g}" if np.isfinite(high) else ""
    )
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InputTypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give {accepted}.")
    number = float(value)
    inside = (low < number if above else low <= number) and (number < high if below else number <= high)
    if not inside or not np.isfinite(number):
        raise InputError(f"`{name}` is {value!r}; give {accepted}.")
    return number


def whole(name: str, value: Any, *, low: int) -> int:
    """Return an integer of at least ``low``."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InputTypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give a whole number >= {low}.")
    if value < low:
        raise InputError(f"`{name}` is {value!r}; give a whole number >= {low}.")
    return int(value)


def choice(name: str, value: Any, accepted: Sequence[str]) -> str:
    """Return ``value`` when it is one of ``accepted``."""
    if not (isinstance(value, str) and value in accepted):
        raise InputError(f"`{name}` is {value!r}; give one of {', '.join(map(repr, accepted))}.")
    return value


def checked_data(estimator: Any, X: Any, *args: Any, **options: Any) -> Any:
    """Run scikit-learn's ``validate_data`` on X (and y) and turn what it raises into one sentence of ours."""
    try:
        # scikit-learn looks for infinite values in the sum of all, where infinities of both signs are no error.
        with np.errstate(invalid="ignore"):
            return validate_data(estimator, X, *args, dtype=(np.float64, np.float32), **options)
    except TypeError as error:
        raise InputTypeError(_sentence(error)) from error
    except ValueError as error:
        if options.get("ensure_all_finite") == "allow-nan" and "contains infinity" in str(error):
            raise DataError(INFINITE) from error
        raise DataError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    text = str(error).strip()
    if text.startswith("Expected 2D array"):
        # scikit-learn prints the whole array between its first and its last line.
        first = text.splitlines()[0].rstrip(":")
        text = f"{first}. Reshape your data: X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one row."
    elif text.startswith("Input"):
        # What follows is advice for other estimators.
        text = text.splitlines()[0].strip()
    return text if text.endswith((".", "?", "!")) else text + "."


def require_fitted(estimator: Any, attribute: str) -> None:
    """Raise unless ``fit`` has set ``attribute``."""
    if not hasattr(estimator, attribute):
        raise NotFittedError(f"This {type(estimator).__name__} is not fitted yet; call `fit` before using it.")


def sample_weights(sample_weight: Any, n_samples: int) -> np.ndarray | None:
    """Return finite, nonnegative weights (n,) that are not all zero, or None when all rows count the same."""
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
    if weight.min() < 0:
        raise DataError(f"`sample_weight` contains the negative weight {weight.min():g}; give weights >= 0.")
    if not weight.any():
        raise DataError("`sample_weight` is zero everywhere; at least one row needs a weight above zero.")
    return weight


def encode_labels(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted classes (K,) and the class index of every row (n,)."""
    try:
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
    except (TypeError, ValueError) as error:
        raise DataError(_sentence(error)) from error
    return classes, codes.ravel()


def class_weights(class_weight: Any, classes: np.ndarray, codes: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return one factor a class: those of a mapping, or ``W / (K · W_k)`` for "balanced", W counting weights."""
    if isinstance(class_weight, str):
        choice("class_weight", class_weight, ("balanced",))
        counts = np.bincount(codes, weights=weight, minlength=len(classes))
        return counts.sum() / (np.count_nonzero(counts) * np.where(counts > 0, counts, np.inf))
    if not hasattr(class_weight, "items"):
        raise InputTypeError(
            f"`class_weight` is {class_weight!r} of type {type(class_weight).__name__}; "
            "give None, 'balanced' or a mapping from class to weight."
        )
    factors = np.ones(len(classes))
    position = {label: number for number, label in enumerate(classes.tolist())}
    for label, factor in class_weight.items():
        if label not in position:
            raise InputError(f"`class_weight` names the class {label!r}, which y does not hold: {list(position)}.")
        factors[position[label]] = real(f"class_weight[{label!r}]", factor, low=0.0)
    return factors
