"""Input checks that the transformers of this package share; every refusal is one sentence."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from fivefold.base.errors import DataError, InputError, InputTypeError


def checked_data(estimator: Any, X: Any, **options: Any) -> Any:
    """Run scikit-learn's ``validate_data`` and turn what it raises into one sentence."""
    try:
        return validate_data(estimator, X, **{"dtype": np.float64, **options})
    except TypeError as error:
        raise InputTypeError(_sentence(error)) from error
    except ValueError as error:
        text = _sentence(error)
        if "NaN" in text or "infinity" in text:
            text += " Fill or drop such rows first; SimpleImputer fills missing values."
        raise DataError(text) from error


def _sentence(error: Exception) -> str:
    text = str(error).strip().splitlines()[0].strip()
    if text.startswith("Expected 2D array"):
        # scikit-learn prints the whole array here.
        return (
            text.partition(" instead")[0]
            + " instead. Reshape your data: X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one row."
        )
    return text if text.endswith((".", "?", "!")) else text + "."


def whole(name: str, value: Any, *, low: int) -> int:
    """Return an integer of at least ``low``."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
        raise InputError(f"{name} must be an int >= {low}; got {value!r}.")
    return int(value)


def real(name: str, value: Any, *, low: float, high: float) -> float:
    """Return a number in ``[low, high]``."""
    if not isinstance(value, Real) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{name} must be a number from {low:g} to {high:g}; got {value!r}.")
    return float(value)


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
