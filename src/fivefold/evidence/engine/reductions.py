"""Evidence of the ring all-reduce and of gradients over replicas."""

from __future__ import annotations

import math
import tempfile

import numpy as np
import torch
from torch import nn

from fivefold.demos.engine.ring import RingDemo, held_sums
from fivefold.engine.distribution import join
from fivefold.engine.replicas import data_parallel_gradients
from fivefold.engine.ring import ring_allreduce, ring_allreduce_
from fivefold.evidence import Check, evidence, largest

from ._processes import together
from ._toys import network, table

CASES = [(1, 5), (2, 7), (3, 12), (4, 1), (5, 3), (7, 50), (8, 64)]
"""Workers and elements: alone, uneven chunks, fewer elements than workers, even chunks."""


def _held(workers: int, elements: int) -> list[torch.Tensor]:
    # Whole numbers, whose sums are exact in any order.
    generator = torch.Generator().manual_seed(1000 * workers + elements)
    return [torch.randint(-99, 100, (elements,), generator=generator).double() for _ in range(workers)]


@evidence(
    "ring-allreduce", claim="Every worker holds the sum and its input stays as it was", against="sum of all, exactly"
)
def sums() -> Check:
    wrong = 0
    for workers, elements in CASES:
        held = _held(workers, elements)
        before = [t.clone() for t in held]
        found, _ = ring_allreduce(held)
        wrong += len(found) != workers
        wrong += sum(not torch.equal(total, torch.stack(held).sum(dim=0)) for total in found)
        wrong += sum(not torch.equal(a, b) for a, b in zip(held, before, strict=True))
    matrix = [torch.arange(6.0).reshape(2, 3).t() * (k + 1) for k in range(3)]  # not contiguous
    found, _ = ring_allreduce(matrix)
    wrong += sum(not torch.equal(total, matrix[0] * 6) for total in found)
    return Check(wrong, 0, "wrong tensors", "torch.sum")


@evidence(
    "ring-allreduce",
    claim="2(N-1) steps; bytes of every worker are those of the chunks that pass it",
    against="closed form",
)
def traffic() -> Check:
    wrong = 0
    for workers, elements in CASES:
        _, sent = ring_allreduce(_held(workers, elements))
        # Chunk c is sent on by every worker but c - 1 in the first phase, and by all but c - 2 in the second.
        sizes = [elements // workers + (c < elements % workers) for c in range(workers)]
        expected = [
            8 * (2 * elements - sizes[(r + 1) % workers] - sizes[(r + 2) % workers]) if workers > 1 else 0
            for r in range(workers)
        ]
        wrong += sent.steps != 2 * (workers - 1)
        wrong += list(sent.sent_bytes) != expected
        wrong += sum(sent.sent_bytes) != 2 * (workers - 1) * elements * 8
    _, sent = ring_allreduce([torch.zeros(64, dtype=torch.float32)] * 8)
    wrong += sent.sent_bytes != (2 * 7 * 64 * 4 // 8,) * 8
    return Check(wrong, 0, "wrong counts", "2 (N - 1) n / N")


@evidence(
    "ring-allreduce", claim="In float32 all workers hold the same bits, within rounding of the sum", against="float64"
)
def rounding() -> Check:
    workers = 9
    held = [torch.randn(1001, generator=torch.Generator().manual_seed(k)) for k in range(workers)]
    found, _ = ring_allreduce(held)
    stacked = torch.stack(held).double()
    errors = (found[0].double() - stacked.sum(dim=0)).abs() / stacked.abs().sum(dim=0)
    wrong = sum(not torch.equal(found[0], other) for other in found)
    # N - 1 additions, each off by half a unit in the last place at most.
    return Check(float(errors.max()) + wrong, (workers - 1) * 2.0**-24, "error over sum of sizes", "float64")


def _reduce(rank: int) -> list[object]:
    join("cpu", 3)
    wrong, facts = 0, []
    for elements in (1, 2, 10, 301):
        # torch.equal: whole numbers, so both are exact.
        mine = _held(3, elements)[rank]
        peer, grid = mine.clone(), mine.clone().reshape(1, -1).t()
        torch.distributed.all_reduce(peer)
        facts.append(ring_allreduce_(mine))
        ring_allreduce_(grid)
        wrong += not torch.equal(mine, peer)
        wrong += not torch.equal(grid[:, 0], peer)
    return [wrong, [(t.steps, t.sent_bytes) for t in facts]]


@evidence(
    "ring-allreduce",
    claim="Three gloo processes reduce to what torch reduces, sending what was simulated",
    against="torch all_reduce",
)
def processes() -> Check:
    found = together(_reduce, 3)
    wrong = sum(int(found[rank][0]) for rank in range(3))
    for position, elements in enumerate((1, 2, 10, 301)):
        _, simulated = ring_allreduce(_held(3, elements))
        for rank in range(3):
            wrong += found[rank][1][position] != (simulated.steps, (simulated.sent_bytes[rank],))
    alone = torch.arange(3.0)
    wrong += ring_allreduce_(alone).sent_bytes != (0,)
    wrong += alone.tolist() != [0.0, 1.0, 2.0]
    return Check(wrong, 0, "wrong tensors and counts", "torch all_reduce")


@evidence(
    "ring-allreduce",
    claim="The drawn steps: one owner a chunk after N - 1 steps, all sums whole at the end",
    against="counting",
)
def drawn() -> Check:
    wrong = 0
    for workers in (2, 3, 4, 7):
        states = held_sums(workers)
        wrong += len(states) != 2 * (workers - 1) + 1
        middle = states[workers - 1]
        wrong += (middle == workers).sum() != workers
        wrong += any(middle[r, (r + 1) % workers] != workers for r in range(workers))
        wrong += not (states[0] == 1).all() or not (states[-1] == workers).all()
        wrong += any((~(after >= before)).any() for before, after in zip(states[:-1], states[1:]))
    with tempfile.TemporaryDirectory() as folder:
        numbers = RingDemo(elements=6400, workers=(1, 4)).run(out=folder, quick=True).numbers
    # 64 elements of 4 bytes, 4 workers: 6 chunks of 16 elements; the server takes in 3 x 256 bytes and sends as many.
    wrong += numbers["4 workers: bytes of the busiest worker"] != 6 * 16 * 4
    wrong += numbers["4 workers: bytes through a central server"] != 6 * 256
    wrong += numbers["4 workers: steps"] != 6 or numbers["1 workers: steps"] != 0
    wrong += numbers["4 workers: workers with the same bits"] != 4
    wrong += not numbers["4 workers: largest relative error"] <= 3 * 2.0**-24
    return Check(wrong, 0, "wrong facts", "counting")


def _loss(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (out - y).square().mean()


@evidence(
    "data-parallel",
    claim="Uneven shards, and shards without a row, give the gradient of one device",
    against="autograd on the whole batch, float64",
)
def equal_to_one_device() -> Check:
    x, y = table(23)
    module = network()
    loss = _loss(module(x), y)
    expected = torch.autograd.grad(loss, list(module.parameters()))
    worst, sizes = 0.0, []
    for replicas in (1, 2, 3, 8, 30):
        found = data_parallel_gradients(module, _loss, x, y, replicas)
        worst = largest(worst, abs(found.loss - float(loss.detach())))
        for mine, theirs in zip(found.gradients.values(), expected, strict=True):
            worst = largest(worst, float((mine - theirs).abs().max()))
        worst += sum(found.rows) != 23 or len(found.rows) != replicas or found.traffic.steps != 2 * (replicas - 1)
        sizes.append(max(found.rows) - min(found.rows))
    worst += not max(sizes) <= 1
    worst += any(p.grad is not None for p in module.parameters())
    per_row = data_parallel_gradients(module, lambda out, t: (out - t).square().squeeze(1), x, y, 3)
    worst = largest(worst, float((per_row.gradients["0.weight"] - expected[0]).abs().max()))
    return Check(worst, 1e-13, "max |difference| + wrong facts", "autograd")


@evidence(
    "data-parallel",
    claim="The plain average over unequal shards is another gradient: rows weigh unequally",
    against="linear regression in closed form",
)
def plain_average_errs() -> Check:
    x = torch.tensor([[1.0], [2.0], [5.0]], dtype=torch.float64)
    y = torch.tensor([[1.0], [3.0], [0.0]], dtype=torch.float64)
    module = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(module.weight, 2.0)
    # 2 x (2 x - y): 2, 4, 100. Two replicas hold 1 and 2 rows.
    found = data_parallel_gradients(module, _loss, x, y, 2)
    wrong = found.rows != (1, 2)
    halves = [
        float(data_parallel_gradients(module, _loss, x[s], y[s], 1).gradients["weight"])
        for s in (slice(0, 1), slice(1, 3))
    ]
    wrong += halves != [2.0, 52.0]
    wrong += sum(halves) / 2 != 27.0  # what replicas of equal weight would take
    gap = abs(float(found.gradients["weight"]) - 106 / 3) + abs(found.loss - (1 + 1 + 100) / 3)
    return Check(gap + wrong, 1e-13, "|difference| + wrong facts", "2/n Σ x (w x - y)")


@evidence(
    "data-parallel",
    claim="Frozen and unused parameters: no gradient for the one, zero for the other",
    against="autograd",
)
def frozen_and_unused() -> Check:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.frozen, self.spare = (nn.Linear(5, 1).double() for _ in range(3))
            self.frozen.requires_grad_(False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x) + self.frozen(x)

    module = Partly()
    x, y = table(11)
    found = data_parallel_gradients(module, _loss, x, y, 4).gradients
    expected = torch.autograd.grad(_loss(module(x), y), list(module.used.parameters()))
    wrong = sorted(found) != ["spare.bias", "spare.weight", "used.bias", "used.weight"]
    wrong += any(found[f"spare.{n}"].abs().max() != 0 for n in ("weight", "bias"))
    worst = largest(float((found[f"used.{n}"] - e).abs().max()) for n, e in zip(("weight", "bias"), expected))
    return Check(worst + wrong, 1e-13, "max |difference| + wrong facts", "autograd")


def _ddp(rank: int) -> dict[str, np.ndarray]:
    join("cpu", 2)
    x, y = table(24)
    parallel = nn.parallel.DistributedDataParallel(network())
    half = slice(12 * rank, 12 * rank + 12)
    _loss(parallel(x[half]), y[half]).backward()
    return {name: p.grad.numpy().copy() for name, p in parallel.module.named_parameters()}


@evidence(
    "data-parallel",
    claim="With even shards the gradient is that of DistributedDataParallel",
    against="torch DDP over two gloo processes",
    slow=True,
)
def even_shards_as_ddp() -> Check:
    ranks = together(_ddp, 2)
    x, y = table(24)
    mine = data_parallel_gradients(network(), _loss, x, y, 2).gradients
    worst = largest(
        float(np.abs(mine[name].numpy() - grad).max()) for rank in (0, 1) for name, grad in ranks[rank].items()
    )
    return Check(
        worst if len(mine) == len(ranks[0]) else math.inf, 1e-13, "max |difference|", "DistributedDataParallel"
    )
