"""Small data and learners for the evidence of the engine."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fivefold.base.random import Streams
from fivefold.data.batches import Batch, Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.learner import Learner, PartSpec, Step, Steps, Sums, SupervisedLearner
from fivefold.engine.runtime import seeded
from fivefold.evidence import largest

ADAM = {"model": {"optimizer": "adam", "options": {"lr": 1e-2}}}
SGD: dict[str, Any] = {"optimizer": "momentum", "options": {"lr": 0.05, "momentum": 0.0}}


class Curve(Callback):
    """Puts given values in the place of a metric."""

    def __init__(self, values: list[float], name: str = "val_loss") -> None:
        self.values, self.name = values, name

    def on_epoch_end(self, fit: Any) -> None:
        if fit.epoch < len(self.values):
            fit.metrics[self.name] = self.values[fit.epoch]


def table(rows: int = 240) -> tuple[Tensor, Tensor]:
    """Return X (rows, 5) and y (rows, 1) of a smooth function."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(rows, 5, generator=generator, dtype=torch.float64)
    return x, torch.sin(x @ torch.randn(5, 1, generator=generator, dtype=torch.float64))


def source(rows: int = 240, size: int = 32, shuffle: bool = True) -> Batches:
    """Return the table in batches."""
    x, y = table(rows)
    return Batches({"x": x, "y": y}, size, seed=5, shuffle=shuffle)


def network(dropout: float = 0.0) -> nn.Sequential:
    """Return a small network, the same each time."""
    with seeded(Streams(0), "toy"):
        return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1)).double()


def regression(dropout: float = 0.0) -> SupervisedLearner:
    """Return a learner for the table."""
    return SupervisedLearner(network(dropout), nn.functional.mse_loss)


class BilinearGame(Learner):
    """min over x, max over y of x y: k ascent steps of y, then one descent step of x."""

    defaults = {name: PartSpec(optimizer="momentum", options={"lr": 0.1, "momentum": 0.0}) for name in ("x", "y")}

    def __init__(self, k: int = 1) -> None:
        super().__init__()
        self.k = k
        self.x = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
        self.y = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
        self.path: list[tuple[float, float]] = []

    def parts(self):  # type: ignore[no-untyped-def]
        """Return the two players."""
        return {"x": [self.x], "y": [self.y]}

    def steps(self, batch: Batch) -> Steps:
        """Play one round and note the position."""
        for _ in range(self.k):
            yield Step("y", -self.x * self.y)
        yield Step("x", self.x * self.y)
        self.path.append((float(self.x.detach()), float(self.y.detach())))

    def evaluate(self, batch: Batch) -> Sums:
        """Return the value of the game."""
        return Sums(value=(self.x * self.y, 1))


def gap(a: nn.Module, b: nn.Module) -> float:
    """Return the largest difference between the weights of two equal modules."""
    other = b.state_dict()
    return largest(float((value.double() - other[name].double()).abs().max()) for name, value in a.state_dict().items())
