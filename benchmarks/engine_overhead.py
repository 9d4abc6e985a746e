"""How much the engine costs over the loop one would write by hand.

By hand: a permuted tensor is sliced, the same optimizer class and torch's clipping, no logging. Ours: everything on (progress
bar, JSON lines, checkpoint of each epoch). Interleaved runs, medians; fails above the ceilings of the design (5 % for an MLP of
3 x 256 on 200k x 64 rows in batches of 1024; 150 microseconds a step for 2 x 32 in batches of 64) or when the two final losses
differ by more than chance.

Run: python benchmarks/engine_overhead.py [--threads N] [--runs N]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fivefold.data.batches import Batches
from fivefold.engine.learner import SupervisedLearner
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer
from fivefold.optimizers.gradient.adam import Adam
from fivefold.workbench.bench import PASSES_AT, Contest, Score, play


@dataclass(frozen=True)
class Case:
    """One network on one table."""

    name: str
    hidden: tuple[int, ...]
    rows: int
    features: int
    batch_size: int
    epochs: int

    def network(self) -> nn.Module:
        torch.manual_seed(0)
        widths = (self.features, *self.hidden)
        layers: list[nn.Module] = []
        for before, after in zip(widths, widths[1:]):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def data(self) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(self.rows, self.features, generator=generator)
        w = torch.randn(self.features, 1, generator=generator)
        return x, torch.tanh(x @ w / 4) + 0.1 * torch.randn(self.rows, 1, generator=generator)

    @property
    def steps(self) -> int:
        return self.epochs * -(-self.rows // self.batch_size)


BIG = Case("MLP 3x256, 200k x 64, batch 1024", (256, 256, 256), 200_000, 64, 1024, 1)
SMALL = Case("MLP 2x32, 64k x 16, batch 64", (32, 32), 64_000, 16, 64, 2)


def by_hand(case: Case, x: Tensor, y: Tensor) -> tuple[float, float]:
    network = case.network()
    optimizer = Adam(network.parameters(), lr=1e-3)
    torch.manual_seed(2)
    start = time.perf_counter()
    total = 0.0
    for _ in range(case.epochs):
        order = torch.randperm(case.rows)
        for low in range(0, case.rows, case.batch_size):
            chosen = order[low : low + case.batch_size]
            loss = nn.functional.mse_loss(network(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
    seconds = time.perf_counter() - start
    with torch.no_grad():
        total = nn.functional.mse_loss(network(x), y).item()
    return seconds, total


def by_engine(case: Case, x: Tensor, y: Tensor) -> tuple[float, float]:
    network = case.network()
    learner = SupervisedLearner(network, nn.functional.mse_loss)
    trainer = Trainer(case.epochs, parts={"model": {"optimizer": "adam", "options": {"lr": 1e-3}, "clip_norm": 1.0}})
    with tempfile.TemporaryDirectory() as directory, session(directory, progress=True):
        start = time.perf_counter()
        trainer.fit(learner, Batches({"x": x, "y": y}, case.batch_size, seed=2))
        seconds = time.perf_counter() - start
    with torch.no_grad():
        return seconds, nn.functional.mse_loss(network(x), y).item()


def contest(case: Case) -> Contest:
    """Return the engine against the loop written by hand; the quality is the final loss."""
    x, y = case.data()

    def quality(ours: list[tuple[float, float]], peer: list[tuple[float, float]]) -> tuple[float, float, bool]:
        mine, theirs = (statistics.median(loss for _, loss in side) for side in (ours, peer))
        return mine, theirs, mine <= theirs * 1.1

    return Contest(
        name=case.name,
        ours=lambda run: by_engine(case, x, y),
        peer=lambda run: by_hand(case, x, y),
        quality=quality,
        target=None,
    )


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run both cases: at most 5 % more time for the big one, at most 150 microseconds a step for the small one."""
    scores = []
    for case, ratio, extra in ((BIG, 1.05, 0.0), (SMALL, 1.0, 150e-6)):
        for score in play([contest(case)], threads):
            allowed = (score.peer * ratio + extra * case.steps) / score.peer
            scores.append(replace(score, target=allowed / PASSES_AT))
            print(f"  {(score.ours - score.peer) / case.steps * 1e6:+.0f} us a step; allowed ratio {allowed:.2f}")
    return scores


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
