"""What a network must know of the data to be built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from fivefold.base.codec import Stateful


@dataclass(frozen=True)
class NetworkSchema(Stateful):
    """Shapes and task of a network: the argument of ``build``.

    Attributes
    ----------
    input_shape : tuple of int
        Shape of one row of X: ``(n_features,)`` for tables, ``(channels, height, width)`` for images.
    n_outputs : int
        Numbers the network returns for a row: 1 for binary classification (a logit), the number of classes for multiclass
        (logits), the number of targets for regression.
    task : {"binary", "multiclass", "regression"}
    dtype_name : {"float32", "float64"}
    """

    input_shape: tuple[int, ...]
    n_outputs: int
    task: str
    dtype_name: str = "float32"

    @property
    def n_features(self) -> int:
        """Numbers in one row of X."""
        size = 1
        for length in self.input_shape:
            size *= length
        return size

    @property
    def dtype(self) -> torch.dtype:
        """Format of the weights."""
        return torch.float64 if self.dtype_name == "float64" else torch.float32

    def get_state(self) -> dict[str, Any]:
        """Return the fields."""
        return {
            "input_shape": list(self.input_shape),
            "n_outputs": self.n_outputs,
            "task": self.task,
            "dtype_name": self.dtype_name,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> NetworkSchema:
        """Build a schema from its fields."""
        return cls(**{**state, "input_shape": tuple(state["input_shape"])})
