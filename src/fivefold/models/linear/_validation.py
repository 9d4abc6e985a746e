"""Input checks of the linear models alone; every refusal is one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError
from fivefold.base.estimator import require_fitted
from fivefold.data.validation import checked_data, class_weights


def query_data(estimator: Any, X: Any, attribute: str, **options: Any) -> Any:
    """Return ``X`` as a checked array with the features that ``fit``, which sets ``attribute``, saw."""
    require_fitted(estimator, attribute)
    return checked_data(estimator, X, reset=False, **options)


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
