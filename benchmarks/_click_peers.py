"""DeepCTR-Torch's models on the fields of a click log, for the benchmark of click models."""

from __future__ import annotations

import sys
import types
from typing import Any


def deepctr() -> Any:
    """Return the library, kept from asking the network for its newest version when it is imported."""
    quiet = types.ModuleType("deepctr_torch.utils")
    quiet.check_version = lambda version: None  # type: ignore[attr-defined]
    sys.modules.setdefault("deepctr_torch.utils", quiet)
    import deepctr_torch.inputs
    import deepctr_torch.models

    return deepctr_torch
