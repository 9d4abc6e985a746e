"""Evidence that several processes train what one trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import Parameter

from fivefold.data.batches import Batch, Batches
from fivefold.engine.distribution import Reducer, World, broadcast, gather, join, launch_command
from fivefold.engine.learner import Learner, Step, Steps, Sums, SupervisedLearner
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest

from ._processes import together
from ._toys import ADAM, network, regression, source, table


class _Critic(Learner):
    """Two parts, shared noise, and a layer that only every second batch uses."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.critic = network(), network()
        self.extra = nn.Linear(1, 1).double()
        nn.init.ones_(self.extra.weight)
        nn.init.zeros_(self.extra.bias)

    def parts(self) -> Any:
        return {
            "critic": [*self.critic.parameters(), *self.extra.parameters()],
            "generator": self.generator.parameters(),
        }

    def steps(self, batch: Batch) -> Steps:
        for k in range(2):
            score = self.critic(batch.x) - self.critic(self.generator(batch.randn(f"z{k}", 5)).expand(-1, 5))
            if self.counters["batches"] % 2:
                score = self.extra(score)
            yield Step("critic", nn.functional.softplus(-score).mean())
        yield Step("generator", (self.generator(batch.randn("z", 5)) - batch.y).square().mean())

    def evaluate(self, batch: Batch) -> Sums:
        return Sums(score=(self.critic(batch.x).sum(), len(batch)))


def _supervised() -> tuple[Any, ...]:
    parts = {"model": {**ADAM["model"], "clip_norm": 0.5, "ema": 0.9, "schedule": "lr-cosine"}}
    # 201 rows in batches of 20: the last batch has one row, so one of two processes has none.
    return regression(), source(201, 20), source(101, 50), {"max_batches": 33, "parts": parts}


def _weighted() -> tuple[Any, ...]:
    x, y = table(201)
    weight = torch.rand(201, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    weight[::7] = 0
    batches = Batches({"x": x, "y": y, "weight": weight}, 20, seed=1)
    learner = SupervisedLearner(network(), lambda out, target: (out - target).square())
    return learner, batches, batches, {"max_batches": 22, "parts": ADAM}


def _accumulated() -> tuple[Any, ...]:
    return regression(), source(81, 10), None, {"max_batches": 24, "parts": ADAM, "accumulate": 3}


def _closure() -> tuple[Any, ...]:
    class Lazy(SupervisedLearner):
        def steps(self, batch: Batch) -> Steps:
            yield Step("model", lambda: (self.module(batch.x) - batch.y).square().mean())

    parts = {"model": {"optimizer": torch.optim.LBFGS, "options": {"max_iter": 3, "lr": 0.1}, "clip_norm": 9.0}}
    return Lazy(network(), nn.functional.mse_loss), source(201, 201), None, {"max_batches": 3, "parts": parts}


def _adversarial() -> tuple[Any, ...]:
    return _Critic(), source(200, 21), source(60, 21), {"max_batches": 12}


SCENARIOS = {
    "supervised": _supervised,
    "weighted": _weighted,
    "accumulated": _accumulated,
    "closure": _closure,
    "adversarial": _adversarial,
}


def _train() -> dict[str, Any]:
    results = {}
    for name, scenario in SCENARIOS.items():
        learner, batches, validation, settings = scenario()
        history = Trainer(**settings).fit(learner, batches, validation)
        weights = {key: value.numpy().copy() for key, value in learner.state_dict().items()}
        results[name] = (weights, history.epochs, history.counters)
    return results


def _small_buckets(rank: int) -> list[Any]:
    """Reduce parameters of two formats in buckets of a few elements; some gradients are missing, on one rank or on both."""
    params = [
        Parameter(torch.zeros(n, dtype=d))
        for n, d in ((3, torch.float32), (4, torch.float64), (9, torch.float32), (2, torch.float64), (5, torch.float64))
    ]
    reducer = Reducer(params, bucket_elements=6)
    for i, p in enumerate(params):
        if i == 4 or (i == 1 and rank == 0):
            continue
        p.grad = torch.full_like(p, float(i + 1 + 10 * rank))
    loss, votes = reducer.reduce(torch.tensor(0.5 + rank), rank == 1)
    gradients = [None if p.grad is None else sorted(set(p.grad.tolist())) for p in params]
    sizes = [[q.numel() for q in bucket.params] for bucket in reducer.buckets]
    return [gradients, sizes, float(loss), float(votes)]


def _rank(rank: int) -> list[Any]:
    world = join("cpu", 2)
    start = nn.Linear(2, 2)
    nn.init.constant_(start.weight, float(rank + 1))
    start.register_buffer("seen", torch.tensor(float(rank + 5)))
    broadcast(start, world, buffers_only=True)
    kept = float(start.weight[0, 0].detach())
    broadcast(start, world)
    found = [kept, float(start.weight[0, 0].detach()), float(start.seen), gather(rank, world), world.first]
    return [_train(), _small_buckets(rank), found]


def _differences(one: dict[str, Any], two: dict[str, Any]) -> float:
    worst = 0.0
    for name, (weights, epochs, counters) in one.items():
        other, others, counted = two[name]
        worst = largest(worst, *(float(abs(value - other[key]).max()) for key, value in weights.items()))
        worst += (counters != counted) + (len(epochs) != len(others))
        for mine, theirs in zip(epochs, others):
            worst = largest(worst, *(abs(value - theirs[key]) for key, value in mine.items()))
    return worst


@evidence(
    "trainer",
    claim="Two processes equal one: uneven shards, weights, accumulation, L-BFGS, two parts, all records",
    against="one process, float64",
)
def two_processes_equal_one() -> Check:
    one = _train()  # first, so that the forked processes inherit what it imports
    ranks = together(_rank, 2)
    worst = largest(_differences(one, ranks[rank][0]) for rank in (0, 1))
    worst += _differences(ranks[0][0], ranks[1][0]) != 0
    expected = [[[12.0], [12.0], [16.0], [18.0], None], [[3], [9], [4, 2], [5]], 2.0, 1.0]
    for rank in (0, 1):
        worst += ranks[rank][1] != expected
        worst += ranks[rank][2] != [rank + 1.0, 1.0, 5.0, [0, 1], rank == 0]
    return Check(worst, 1e-9, "max |difference| + wrong facts", "one process")


@evidence(
    "trainer",
    claim="Alone without torchrun, and torchrun's command names module, processes and nodes",
    against="written out",
)
def launching() -> Check:
    command = launch_command(["fivefold", "run", "mlp"], 3)
    several = launch_command(["fivefold"], 2, num_nodes=4)
    wrong = command[1:] != [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=3",
        "-m",
        "fivefold",
        "run",
        "mlp",
    ]
    wrong += several[1:] != ["-m", "torch.distributed.run", "--nnodes=4", "--nproc-per-node=2", "-m", "fivefold"]
    wrong += join("cpu") != World(0, 1)
    wrong += gather("a", World()) != ["a"]
    return Check(wrong, 0, "wrong answers", "written out")
