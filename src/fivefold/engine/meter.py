"""Running means of losses and logs, kept as tensors until somebody looks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class Meter:
    """Collects values without waiting for the device and averages them over an interval and over an epoch."""

    def __init__(self) -> None:
        self._pending: list[tuple[str, Any, float, str]] = []
        self.interval: dict[str, tuple[float, float]] = {}
        self.epoch: dict[str, tuple[float, float]] = {}

    def add(self, name: str, value: Tensor | float, weight: float, place: str = "") -> None:
        """Note a value; ``place`` names where it arose, should it turn out not to be finite."""
        self._pending.append((name, value.detach() if isinstance(value, Tensor) else value, weight, place))

    def flush(self) -> str:
        """Read all noted values; return the place of the first loss that is not finite, or an empty string."""
        if not self._pending:
            return ""
        tensors = [value.double().reshape(()) for _, value, _, _ in self._pending if isinstance(value, Tensor)]
        # One transfer for all of them.
        read = iter(torch.stack([t.to(tensors[0].device) for t in tensors]).tolist() if tensors else [])
        bad = ""
        for name, value, weight, place in self._pending:
            number = next(read) if isinstance(value, Tensor) else float(value)
            if place and not bad and not math.isfinite(number):
                bad = place
            for sums in (self.interval, self.epoch):
                total, count = sums.get(name, (0.0, 0.0))
                sums[name] = (total + number * weight, count + weight)
        self._pending.clear()
        return bad

    @staticmethod
    def _means(sums: dict[str, tuple[float, float]]) -> dict[str, float]:
        return {name: total / count if count else math.nan for name, (total, count) in sums.items()}

    def take_interval(self) -> dict[str, float]:
        """Return the means since the last call."""
        self.flush()
        means = self._means(self.interval)
        self.interval = {}
        return means

    def take_epoch(self) -> dict[str, float]:
        """Return the means of the epoch and start the next."""
        self.flush()
        means = self._means(self.epoch)
        self.epoch = {}
        return means

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint in the middle of an epoch holds."""
        self.flush()
        return {"interval": dict(self.interval), "epoch": dict(self.epoch)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self._pending.clear()
        self.interval = {name: tuple(pair) for name, pair in state["interval"].items()}
        self.epoch = {name: tuple(pair) for name, pair in state["epoch"].items()}
