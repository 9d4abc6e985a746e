"""Small learners that the tests of the engine train."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fivefold.data.batches import Batches
from fivefold.engine.learner import Learner, PartSpec, Step, Sums, SupervisedLearner
from fivefold.optimizers.gradient.adam import Adam
from fivefold.optimizers.gradient.momentum import Momentum


def data(rows: int = 300, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(rows, 5, generator=generator, dtype=dtype)
    y = torch.sin(x @ torch.randn(5, 1, generator=generator, dtype=dtype))
    return {"x": x, "y": y}


def regression(dropout: float = 0.0, dtype: torch.dtype = torch.float64, per_row: bool = False) -> SupervisedLearner:
    generator_state = torch.get_rng_state()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1)).to(dtype)
    torch.set_rng_state(generator_state)
    if per_row:
        return SupervisedLearner(net, lambda out, y: (out - y).square().squeeze(1))
    return SupervisedLearner(net, nn.functional.mse_loss)


class ToyGAN(Learner):
    """Two steps of the critic, then one of the generator every second batch."""

    defaults = {
        "critic": PartSpec(optimizer=Adam, options={"lr": 1e-3, "betas": (0.5, 0.999)}),
        "generator": PartSpec(optimizer=Adam, options={"lr": 1e-3}, clip_norm=0.5, ema=0.9),
    }

    def __init__(self) -> None:
        super().__init__()
        state = torch.get_rng_state()
        torch.manual_seed(1)
        self.generator = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 5)).double()
        self.critic = nn.Sequential(nn.Linear(5, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)).double()
        torch.set_rng_state(state)
        self.answers: list[tuple[str, bool]] = []
        self.seen: list[dict[str, int]] = []

    def parts(self):
        return {"critic": self.critic.parameters(), "generator": self.generator.parameters()}

    def steps(self, batch):
        self.seen.append(dict(self.counters))
        for k in range(2):
            fake = self.generator(batch.randn(f"z{k}", 3))
            bce = nn.functional.softplus
            loss = bce(-self.critic(batch.x)).mean() + bce(self.critic(fake)).mean()
            self.answers.append(
                ("critic", (yield Step("critic", loss, {"real": self.critic(batch.x).mean().detach()})))
            )
        if self.counters["batches"] % 2:
            return
        loss = nn.functional.softplus(-self.critic(self.generator(batch.randn("z", 3)))).mean()
        self.answers.append(("generator", (yield Step("generator", loss))))

    def evaluate(self, batch):
        return Sums(score=(self.critic(batch.x).sum(), len(batch)))


SGD = {"model": {"optimizer": Momentum, "options": {"lr": 0.05, "momentum": 0.9}}}
ADAM = {"model": {"optimizer": Adam, "options": {"lr": 1e-2}}}


def batches(rows: int = 300, size: int = 32, dtype: torch.dtype = torch.float64, **extra: Any) -> Batches:
    return Batches({**data(rows, dtype), **extra}, size, seed=5)


def weights(learner: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in learner.state_dict().items()}


def gap(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)
