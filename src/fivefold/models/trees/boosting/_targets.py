"""Checks of targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from fivefold.base.errors import DataError


def numeric_targets(y: Any) -> np.ndarray:
    """Return finite targets as float64 (n,)."""
    try:
        values = column_or_1d(y, warn=True).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"`y` cannot be read as one number a row: {error}.") from error
    if not np.isfinite(values).all():
        raise DataError("`y` contains NaN or infinity; give finite targets.")
    return values


def label_targets(y: Any) -> np.ndarray:
    """Return labels as one array (n,), free of NaN and infinity."""
    try:
        values = column_or_1d(y, warn=True)
    except (TypeError, ValueError) as error:
        raise DataError(f"`y` cannot be read as one label a row: {error}.") from error
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError("`y` contains NaN or infinity; give a label for every row.")
    return values
