"""One epoch of DeepFM, DCN, AutoInt and DIN on the synthetic click log, beside plain torch networks built as the peers' are.

DeepCTR-Torch and FuxiCTR cannot be installed beside our versions, so the other side is written here with their structure: one
``nn.Embedding`` a field and a second one of length 1 for the linear part, a Python loop over the fields, dense gradients, and
``torch.optim.Adam`` over all tables. Layer sizes, learning rate, batches and their order are the same. Ours runs twice: with lazy
updates and with the steps of dense Adam. A score is the seconds of an epoch, model building and the shuffling of rows included;
its quality is the area under the ROC curve on rows held out, and that of the true probabilities is printed.

    python benchmarks/ctr.py --rows 1000000 --models deepfm dcn autoint din
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.random import Streams
from fivefold.data.batches import Batches
from fivefold.data.synthetic_clicks import SyntheticClicks, synthetic_clicks
from fivefold.engine.schema import NetworkSchema
from fivefold.engine.trainer import Trainer
from fivefold.evaluation.registry import get_metric
from fivefold.models.recommend import AutoInt, DeepCross, DeepFM, DeepInterestNetwork
from fivefold.models.recommend._inputs import Layout, SetField
from fivefold.workbench.bench import Score, announce, thread_limit

BATCH, DIM, RATE, HISTORY, HIDDEN = 4096, 16, 1e-3, 50, (128, 64)
ROWS, HISTORY_ROWS, HELD_OUT = 1_000_000, 200_000, 100_000
ISSUE_MS = 174.0
"""Milliseconds of a step of DeepCTR-Torch's DeepFM as the work order states them (23.5k rows a second)."""


@dataclass(frozen=True)
class Job:
    """One model on both sides; the bars are largest ratios of our seconds to the peer's."""

    ours: Callable[[str], Any]
    peer: Callable[[Sequence[int]], nn.Module]
    lazy: float
    dense: float
    history: bool = False


# -- the plain side -------------------------------------------------------------------------------------------------------


class Fields(nn.Module):
    """One table a field, looked up in a loop; numbers of categories come as one float matrix, as in DeepCTR-Torch."""

    def __init__(self, sizes: Sequence[int], dim: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, dim) for size in sizes)
        for table in self.tables:
            nn.init.normal_(table.weight, 0.0, 0.01)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [table(x[:, f].long()).unsqueeze(1) for f, table in enumerate(self.tables)]


def layers(inputs: int, sizes: Sequence[int], activation: Callable[[int], nn.Module], norm: bool) -> nn.Sequential:
    """Return linear layers with batch norm and an activation."""
    found: list[nn.Module] = []
    for size in sizes:
        found += [nn.Linear(inputs, size), *([nn.BatchNorm1d(size, eps=1e-3, momentum=0.01)] if norm else [])]
        found.append(activation(size))
        inputs = size
    return nn.Sequential(*found)


class PlainDeepFM(nn.Module):
    """Linear part, pairs and perceptron."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.fields, self.linear = Fields(sizes, DIM), Fields(sizes, 1)
        self.deep = layers(len(sizes) * DIM, HIDDEN, lambda size: nn.ReLU(), norm=True)
        self.out = nn.Linear(HIDDEN[-1], 1)

    def forward(self, x: Tensor, history: Tensor | None) -> Tensor:
        e = torch.cat(self.fields(x), dim=1)
        linear = torch.cat(self.linear(x), dim=2).sum(2)
        square_of_sum, sum_of_squares = torch.pow(torch.sum(e, dim=1), 2), torch.sum(e * e, dim=1)
        pairs = 0.5 * torch.sum(square_of_sum - sum_of_squares, dim=1, keepdim=True)
        return (linear + pairs + self.out(self.deep(torch.flatten(e, 1))))[:, 0]


class PlainDeepCross(nn.Module):
    """Cross layers beside a perceptron."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        width = len(sizes) * DIM
        self.fields = Fields(sizes, DIM)
        self.kernels = nn.ParameterList(nn.init.xavier_normal_(torch.empty(width, 1)) for _ in range(3))
        self.biases = nn.ParameterList(torch.zeros(width, 1) for _ in range(3))
        self.deep = layers(width, HIDDEN, lambda size: nn.ReLU(), norm=True)
        self.out = nn.Linear(width + HIDDEN[-1], 1)

    def forward(self, x: Tensor, history: Tensor | None) -> Tensor:
        flat = torch.flatten(torch.cat(self.fields(x), dim=1), 1)
        first = crossed = flat.unsqueeze(2)
        for kernel, bias in zip(self.kernels, self.biases):
            crossed = torch.matmul(first, torch.tensordot(crossed, kernel, dims=([1], [0]))) + bias + crossed
        return self.out(torch.cat([crossed.squeeze(2), self.deep(flat)], dim=1))[:, 0]


class PlainAutoInt(nn.Module):
    """Two layers of attention between fields, two heads of 8."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.fields = Fields(sizes, DIM)
        self.weights = nn.ParameterList(nn.init.xavier_normal_(torch.empty(DIM, 16)) for _ in range(8))
        self.out = nn.Linear(len(sizes) * 16, 1)

    def forward(self, x: Tensor, history: Tensor | None) -> Tensor:
        e = torch.cat(self.fields(x), dim=1)
        for first in (0, 4):
            query, key, value, own = (torch.tensordot(e, w, dims=([-1], [0])) for w in self.weights[first : first + 4])
            query, key, value = (torch.stack(torch.split(part, 8, dim=2)) for part in (query, key, value))
            scores = torch.softmax(torch.einsum("bnik,bnjk->bnij", query, key), dim=-1)
            found = torch.squeeze(torch.cat(torch.split(torch.matmul(scores, value), 1), dim=-1), dim=0)
            e = torch.relu(found + own)
        return self.out(torch.flatten(e, 1))[:, 0]


class PlainDice(nn.Module):
    """Dice over the last axis."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(size, eps=1e-8, affine=False)
        self.alpha = nn.Parameter(torch.zeros(size))

    def forward(self, s: Tensor) -> Tensor:
        if s.ndim == 3:
            p = torch.sigmoid(self.norm(torch.transpose(s, 1, 2))).transpose(1, 2)
        else:
            p = torch.sigmoid(self.norm(s))
        return self.alpha * (1 - p) * s + p * s


class PlainInterest(nn.Module):
    """A history weighted by an activation unit, whose table is that of the last field."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.fields = Fields(sizes, DIM)
        self.unit = nn.Sequential(layers(4 * DIM, (80, 40), PlainDice, norm=False), nn.Linear(40, 1))
        self.deep = layers((len(sizes) + 1) * DIM, HIDDEN, PlainDice, norm=True)
        self.out = nn.Linear(HIDDEN[-1], 1)

    def forward(self, x: Tensor, history: Tensor | None) -> Tensor:
        e = self.fields(x)
        keys = self.fields.tables[-1](history.long())  # (batch, length, dim)
        queries = e[-1].expand(-1, keys.shape[1], -1)
        weights = self.unit(torch.cat([queries, keys, queries - keys, queries * keys], dim=-1))
        interest = torch.matmul(weights.transpose(1, 2), keys)
        return self.out(self.deep(torch.flatten(torch.cat([*e, interest], dim=1), 1)))[:, 0]


# -- both sides -----------------------------------------------------------------------------------------------------------


def common(updates: str) -> dict[str, Any]:
    """Return what all our models are given."""
    return {"embedding_dim": DIM, "updates": updates, "batch_size": BATCH, "learning_rate": RATE}


JOBS = {
    "deepfm": Job(lambda u: DeepFM(hidden_sizes=HIDDEN, **common(u)), PlainDeepFM, 1 / 3.5, 1 / 1.5),
    "dcn": Job(lambda u: DeepCross(hidden_sizes=HIDDEN, **common(u)), PlainDeepCross, 1 / 3.5, 1 / 1.5),
    "autoint": Job(lambda u: AutoInt(head_size=8, **common(u)), PlainAutoInt, 1 / 1.5, 1 / 1.5),
    "din": Job(lambda u: DeepInterestNetwork(**common(u)), PlainInterest, 1 / 1.3, 1 / 1.3, history=True),
}


@dataclass
class Log:
    """The click log as codes: of each field, of all fields in one table, and the histories of the last field."""

    codes: np.ndarray  # (n, fields)
    inds: np.ndarray  # (n, fields)
    history: np.ndarray  # (n, length)
    y: np.ndarray
    probability: np.ndarray
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, clicks: SyntheticClicks, history: int) -> Log:
        """Draw histories from the last field's column, so that their categories have its frequencies."""
        codes = clicks.frame.drop("click").to_numpy()
        starts = np.concatenate([[0], np.cumsum(clicks.sizes)[:-1]])
        past = Streams(0).numpy("benchmark/history").integers(0, len(codes), (len(codes), history))
        y = clicks.frame["click"].to_numpy().astype(np.int64)
        return cls(codes, codes + starts, codes[past, -1], y, clicks.probability, clicks.sizes)

    def cut(self, first: int, last: int) -> Log:
        """Return some of the rows."""
        part = slice(first, last)
        return Log(
            self.codes[part], self.inds[part], self.history[part], self.y[part], self.probability[part], self.sizes
        )


def layout(log: Log, history: bool) -> Layout:
    """Return the fields as our networks see them."""
    rows, fields = sum(log.sizes), len(log.sizes)
    past = (SetField("history", True, log.history.shape[1], fields - 1, (rows - log.sizes[-1], rows)),)
    return Layout(rows, fields, (), tuple(range(fields)), past if history else (), (1,) * rows)


def our_fields(log: Log, history: bool) -> dict[str, np.ndarray]:
    """Return what our networks read."""
    fields = {"inds": log.inds, "vals": np.ones(log.inds.shape, dtype=np.float32)}
    return {**fields, "history": log.history + sum(log.sizes[:-1])} if history else fields


def train_ours(job: Job, updates: str, log: Log, seed: int) -> nn.Module:
    """Train one epoch with the trainer of the estimators."""
    torch.manual_seed(seed)
    model = job.ours(updates)
    model.schema_ = NetworkSchema((log.inds.shape[1],), 1, "binary")
    learner = model.learner(model.network(layout(log, job.history), 1))
    batches = Batches({**our_fields(log, job.history), "y": log.y}, BATCH, seed=seed)
    Trainer(1, parts=model.parts()).fit(learner, batches)
    return learner.module.eval()


def train_plain(job: Job, log: Log, seed: int) -> nn.Module:
    """Train one epoch of the plain side, on the same batches."""
    torch.manual_seed(seed)
    network = job.peer(log.sizes)
    adam = torch.optim.Adam(network.parameters(), lr=RATE)
    fields = {"x": log.codes.astype(np.float32), "y": log.y.astype(np.float32)}
    if job.history:
        fields["history"] = log.history.astype(np.float32)
    for batch in Batches(fields, BATCH, seed=seed).epoch(0):
        adam.zero_grad()
        z = network(batch.x, batch.history if job.history else None)
        nn.functional.binary_cross_entropy_with_logits(z, batch.y).backward()
        adam.step()
    return network.eval()


@torch.no_grad()
def auc(network: nn.Module, job: Job, log: Log, plain: bool) -> float:
    """Return the area under the ROC curve of a network on held-out rows."""
    found = []
    for first in range(0, len(log.y), BATCH):
        part = log.cut(first, first + BATCH)
        if plain:
            past = torch.from_numpy(part.history) if job.history else None
            found.append(network(torch.from_numpy(part.codes).float(), past))
        else:
            rows = {name: torch.from_numpy(a) for name, a in our_fields(part, job.history).items()}
            found.append(network(rows)[:, 0])
    return float(get_metric("roc-auc").function(log.y, torch.cat(found).numpy()))


def contest(name: str, job: Job, train: Log, test: Log, threads: int, repeats: int) -> list[Score]:
    """Run both sides in turn and return a score for each kind of updates."""
    sides: dict[str, Callable[[Log, int], nn.Module]] = {
        "plain": lambda log, seed: train_plain(job, log, seed),
        "lazy": lambda log, seed: train_ours(job, "lazy", log, seed),
        "dense": lambda log, seed: train_ours(job, "dense", log, seed),
    }
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    processor: dict[str, list[float]] = {side: [] for side in sides}
    areas: dict[str, list[float]] = {side: [] for side in sides}
    small = train.cut(0, 2 * BATCH)
    with thread_limit(threads):
        for run in sides.values():
            run(small, 0)
        for seed in range(repeats):
            for side, run in sides.items():
                start, work = time.perf_counter(), time.process_time()
                network = run(train, seed)
                seconds[side].append(time.perf_counter() - start)
                processor[side].append(time.process_time() - work)
                areas[side].append(auc(network, job, test, side == "plain"))
    rows, best = len(train.y), float(get_metric("roc-auc").function(test.y, test.probability))
    middle = {side: statistics.median(values) for side, values in seconds.items()}
    mean = {side: statistics.fmean(values) for side, values in areas.items()}
    steps = -(-rows // BATCH)
    for side in sides:
        work = 1e3 * statistics.median(processor[side]) / steps
        print(
            f"{name} {side}: {1e3 * middle[side] / steps:.1f} ms a step ({work:.1f} of processor time), "
            f"{rows / middle[side]:,.0f} rows/s, AUC {mean[side]:.4f} (true probabilities {best:.4f})",
            flush=True,
        )
    if name == "deepfm":
        print(f"deepfm, DeepCTR-Torch as the work order states it: {ISSUE_MS} ms a step", flush=True)
    scores = []
    for side, bar in (("lazy", job.lazy), ("dense", job.dense)):
        sound = mean[side] >= mean["plain"] - 0.001
        what = f"{name} {side} updates, {rows} rows, beside plain torch"
        score = Score(what, threads, middle[side], middle["plain"], mean[side], mean["plain"], sound, bar)
        announce(score)
        scores.append(score)
    return scores


def main(
    threads: Sequence[int] = (1,), rows: int = ROWS, models: Sequence[str] = tuple(JOBS), repeats: int = 1
) -> list[Score]:
    """Draw the log and run the models."""
    held = min(HELD_OUT, rows)
    log = Log.of(synthetic_clicks(rows + held), HISTORY)
    scores = []
    for name in models:
        job = JOBS[name]
        train = log.cut(0, min(rows, HISTORY_ROWS) if job.history else rows)
        for limit in threads:
            scores += contest(name, job, train, log.cut(rows, rows + held), limit, repeats)
    return scores


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--models", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    given = parser.parse_args()
    sys.exit(not all(s.passed for s in main(given.threads, given.rows, given.models, given.repeats)))
