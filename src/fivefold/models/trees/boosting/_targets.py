"""Checks of targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from fivefold.base.errors import DataError


def numeric_targets(y: Any) -> np.ndarray:
    """Return finite targets as float64 (n,)."""
    if y is None:
        raise DataError("This estimator requires y to be passed, but the target y is None.")
    try:
        values = column_or_1d(y, warn=True).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"y cannot be read as one number a row: {error}.") from error
    if not np.isfinite(values).all():
        raise DataError("y contains NaN or infinity; give finite targets.")
    return values
