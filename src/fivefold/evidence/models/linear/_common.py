"""Shared by the evidence of this package."""

from __future__ import annotations

from typing import Any

import numpy as np


def single_precision(kernel_values: Any, multipliers: Any) -> float:
    """Return what a sum of kernels loses where the kernel values are rounded to single precision, as the peer keeps them."""
    top = float(np.abs(kernel_values).max())
    return float(np.finfo(np.float32).eps) * top * float(np.abs(multipliers).sum())
