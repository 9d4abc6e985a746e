"""Input checks that the models of this package share; every refusal is one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.estimator import NotFittedError

FLOATS = (np.float64, np.float32)


def real(
    name: str, value: Any, *, low: float = -np.inf, high: float = np.inf, open_low: bool = False, finite: bool = True
) -> float:
    """Return a number in ``[low, high]``, or in ``(low, high]`` with ``open_low``."""
    accepted = f"a number {'>' if open_low else '>='} {low:g}" + (f" and <= {high:g}" if np.isfinite(high) else "")
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InputTypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give {accepted}.")
    number = float(value)
    if not (low < number <= high if open_low else low <= number <= high) or (finite and not np.isfinite(number)):
        raise InputError(f"`{name}` is {value!r}; give {accepted}.")
    return number


def whole(name: str, value: Any, *, low: int) -> int:
    """Return an integer of at least ``low``."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InputTypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give a whole number >= {low}.")
    if value < low:
        raise InputError(f"`{name}` is {value!r}; give a whole number >= {low}.")
    return int(value)


def choice(name: str, value: Any, accepted: Sequence[Any]) -> Any:
    """Return ``value`` when it is one of ``accepted``."""
    if not any(value is item or (isinstance(value, str) and value == item) for item in accepted):
        raise InputError(f"`{name}` is {value!r}; give one of {', '.join(map(repr, accepted))}.")
    return value


def training_data(estimator: Any, X: Any, y: Any, **options: Any) -> tuple[Any, np.ndarray]:
    """Return ``X`` and ``y`` as checked arrays and remember the number and names of features."""
    return _guarded(estimator, X, y=y, dtype=FLOATS, **options)


def training_rows(estimator: Any, X: Any, **options: Any) -> Any:
    """Return ``X`` as a checked array where there is no target, and remember the number and names of features."""
    return _guarded(estimator, X, dtype=FLOATS, **options)


def require_fitted(estimator: Any, attribute: str) -> None:
    """Raise unless ``fit`` has set an attribute, the last that it sets."""
    if not hasattr(estimator, attribute):
        raise NotFittedError(f"This {type(estimator).__name__} is not fitted yet; call `fit` before using it.")


def query_data(estimator: Any, X: Any, attribute: str, **options: Any) -> Any:
    """Return ``X`` as a checked array with the features that ``fit``, which sets ``attribute``, saw."""
    require_fitted(estimator, attribute)
    return _guarded(estimator, X, reset=False, dtype=FLOATS, **options)


def _guarded(estimator: Any, X: Any, **options: Any) -> Any:
    """Run scikit-learn's ``validate_data`` and turn what it raises into one sentence of ours."""
    try:
        return validate_data(estimator, X, **options)
    except TypeError as error:
        raise InputTypeError(_sentence(error)) from error
    except ValueError as error:
        text = _sentence(error)
        if "NaN" in text or "infinity" in text:
            text += " Fill or drop such rows first; the recipe 'scaled-one-hot' fills missing values."
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


def encode_labels(y: np.ndarray, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted classes and the class index of every row.

    Raises
    ------
    DataError
        When ``y`` is continuous.
    """
    from sklearn.utils.multiclass import type_of_target

    if y.dtype.kind == "f":
        if not np.array_equal(y, np.floor(y)):
            raise DataError(
                "Unknown label type: y is continuous; a classifier needs classes, so bin the target or take a regressor."
            )
    elif y.dtype.kind == "O":
        try:
            kind = type_of_target(y, input_name="y")
        except (TypeError, ValueError) as error:
            raise DataError(_sentence(error)) from error
        if kind == "unknown" or kind.startswith("continuous"):
            raise DataError(f"Unknown label type: y is {kind}; give classes as strings, integers or booleans.")
    if y.dtype.kind in "iu" and y.size and int(y.max()) - int(y.min()) < 4 * y.size + 1024:  # any value: cost alone
        # Small whole numbers are counted instead of sorted.
        offset = y.min()
        codes = (y - offset).astype(np.intp)
        present = np.bincount(codes) > 0
        rank = np.cumsum(present) - 1
        return (np.flatnonzero(present) + offset).astype(y.dtype), rank[codes]
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


def row_weights(estimator: Any, classes: np.ndarray, codes: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the weight of each row (n,): that of its class times its own.

    Raises
    ------
    DataError
        When fewer than two classes have any.
    """
    mass = class_weights(estimator.class_weight, classes, codes, weight)[codes]
    if weight is not None:
        mass = mass * weight
    present = np.flatnonzero(np.bincount(codes, weights=mass, minlength=len(classes)))
    if len(present) < 2:
        what = f"one class, {classes[present[0]].item()!r}" if len(present) else "no class"
        name = type(estimator).__name__
        raise DataError(f"{name} needs two classes; y holds {what} with weight. Give rows of others.")
    return mass


def label_text(classes: np.ndarray, limit: int = 5) -> str:
    """Return the first classes as text for a message."""
    shown = ", ".join(repr(c) for c in classes[:limit].tolist())
    return shown + (", …" if len(classes) > limit else "")
