"""What a fit leaves behind: one record an epoch, the counters, and why it ended."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from fivefold.base.codec import Stateful
from fivefold.base.errors import InputError, UnknownNameError
from fivefold.base.names import nearest

from .averaging import ExponentialMovingAverage


def direction(monitor: str, mode: str = "auto") -> str:
    """Return "min" or "max": whether smaller or larger values of a metric are better.

    ``auto`` follows the name, as Keras does: accuracies, areas, scores and returns grow, everything else shrinks.
    """
    if mode in ("min", "max"):
        return mode
    if mode != "auto":
        raise InputError(f"mode must be min, max or auto, got {mode!r}.")
    name = monitor.lower()
    grows = ("acc", "auc", "f1", "precision", "recall", "score", "r2", "return", "reward", "ndcg", "map", "likelihood")
    return "max" if any(word in name for word in grows) else "min"


@dataclass
class History(Stateful):
    """The result of a fit.

    Attributes
    ----------
    epochs : list of dict
        One record an epoch: ``epoch``, training means (``loss`` or ``<part>/loss``, logs), ``val_*``, learning rates.
    counters : dict
        Final counters: batches, epochs, environment steps, and steps of each part.
    stop_reason : str
        Why the fit ended.
    seconds : float
        Wall time, over all interrupted stretches.
    averages : dict part -> moving average
        Those that a part's spec asked for; ``copy_to()`` puts them into the weights.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    stop_reason: str = ""
    seconds: float = 0.0
    averages: dict[str, ExponentialMovingAverage] = field(default_factory=dict, repr=False, compare=False)

    def get_state(self) -> dict[str, Any]:
        """Return the records; moving averages live in the checkpoint's parts."""
        return {
            "epochs": self.epochs,
            "counters": self.counters,
            "stop_reason": self.stop_reason,
            "seconds": self.seconds,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> History:
        """Build a history from its records."""
        return cls(**state)

    def names(self) -> list[str]:
        """Return the names of everything measured."""
        return list(dict.fromkeys(name for record in self.epochs for name in record))

    def __getitem__(self, name: str) -> list[float]:
        known = self.names()
        if name not in known:
            hint = ", ".join(nearest(name, known)) or "nothing yet"
            raise UnknownNameError(f"The history holds no {name!r}; the nearest are: {hint}.")
        return [record.get(name, math.nan) for record in self.epochs]

    def __len__(self) -> int:
        return len(self.epochs)

    def best(self, monitor: str, mode: str = "auto") -> dict[str, Any]:
        """Return the record of the epoch where ``monitor`` was best (the first of equals)."""
        sign = 1.0 if direction(monitor, mode) == "min" else -1.0
        keyed = [(sign * value, i) for i, value in enumerate(self[monitor]) if not math.isnan(value)]
        if not keyed:
            raise InputError(f"{monitor!r} was NaN in every epoch, so there is no best one.")
        return self.epochs[min(keyed)[1]]
