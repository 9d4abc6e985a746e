"""The NumPy form of a loss: values and slopes of rows in float64, for estimators that fit without torch's graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import CapabilityError, DataError


class NumpyForm:
    """Gives a loss ``numpy(input, target)``; a loss fills in ``_numpy_values``, and ``_numpy_targets`` where they are classes."""

    def numpy(self, input: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the unreduced loss and its slope along the input, as NumPy arrays.

        Parameters
        ----------
        input : array
            Predictions, scores or logits, of the shape that the loss takes.
        target : array
            Targets as the loss takes them.

        Returns
        -------
        values : float64 array, as of ``reduction="none"``
        slopes : float64 array of the input's shape
            Of each value along its own inputs; where a loss has a kink, the slope that torch takes.

        Raises
        ------
        CapabilityError
            When the loss has no NumPy form.
        DataError
            When shapes or targets do not fit.
        """
        x = np.asarray(input, dtype=np.float64)
        return self._numpy_values(x, self._numpy_targets(x, np.asarray(target)))

    def _numpy_targets(self, x: np.ndarray, target: np.ndarray) -> np.ndarray:
        if x.shape != target.shape:
            raise DataError(
                f"{type(self).__name__} needs one target for each entry of the input: input has shape {x.shape}, target "
                f"{target.shape}."
            )
        return target.astype(np.float64)

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise CapabilityError(f"{type(self).__name__} has no NumPy form; call it on tensors.")


def log_sigmoid(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ln σ(x) and its slope σ(-x), without overflow."""
    small = np.exp(-np.abs(x))
    return np.minimum(x, 0) - np.log1p(small), np.exp(-np.maximum(x, 0)) / (1 + small)
