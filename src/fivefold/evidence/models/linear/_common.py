"""Shared by the evidence of this package."""

from __future__ import annotations

from typing import Any

import numpy as np


def worst_of(*values: Any) -> float:
    """Return the largest value, NaN if any is: Python's ``max`` would let a NaN pass."""
    return float(np.max(np.array(values, dtype=float)))
