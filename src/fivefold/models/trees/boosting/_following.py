"""Evaluation sets, their metrics by round, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fivefold.base.errors import DataError


@dataclass
class EvalSet:
    """A table on which metrics are followed."""

    name: str
    X: Any
    y: np.ndarray
    weight: np.ndarray | None
    raw: np.ndarray  # (K, n)
    group: Any = None
    history: dict[str, list[float]] = field(default_factory=dict)


class Stopper:
    """Follows the metrics and says when none has improved for ``patience`` rounds on its best set."""

    def __init__(self, patience: int | None, tolerance: float, *, first_metric_only: bool) -> None:
        self.patience, self.tolerance, self.first_metric_only = patience, tolerance, first_metric_only
        self.best: dict[tuple[str, str], tuple[float, int]] = {}
        self.best_round: int | None = None
        self.best_value: float | None = None
        self.stalled = False
        self.lead: str | None = None

    def get_state(self) -> list[list[Any]]:
        """Return the best values so far."""
        return [[set_name, name, value, at] for (set_name, name), (value, at) in self.best.items()]

    def restore(self, state: list[list[Any]]) -> None:
        """Take over the best values of an interrupted fit."""
        self.best = {(set_name, name): (float(value), int(at)) for set_name, name, value, at in state}
        self.lead = next(iter(self.best))[1] if self.best else None

    def see(self, set_name: str, name: str, value: float, higher: bool, round_: int) -> None:
        """Take the value of a metric after a round."""
        if self.patience is None:
            return
        self.lead = name if self.lead is None else self.lead
        if self.first_metric_only and name != self.lead:
            return
        key = (set_name, name)
        if np.isnan(value):
            raise DataError(
                f"The metric {name!r} on {set_name!r} is NaN in round {round_ + 1}; early stopping cannot go on."
            )
        best = self.best.get(key)
        gain = np.inf if best is None else (value - best[0] if higher else best[0] - value)
        if gain > self.tolerance:
            self.best[key] = (value, round_)
        elif not self.stalled and best is not None and round_ - best[1] >= self.patience:
            self.stalled = True
            self.best_round, self.best_value = best[1], best[0]

    def done(self) -> bool:
        """Return whether a metric has stalled."""
        if self.stalled:
            return True
        if self.best:
            self.best_value, self.best_round = next(iter(self.best.values()))
        return False
