"""One epoch of DeepFM, DCN, AutoInt and DIN on the synthetic click log, beside DeepCTR-Torch and FuxiCTR.

Layer sizes, batch norm, activations, learning rate, batches and the spread of the first vectors are the same; penalties are off
on both sides. DeepCTR-Torch trains by its own ``fit``, FuxiCTR by its ``train_step``, which clips the norm of the gradients; both
with dense Adam. Ours runs twice: with lazy updates and with the steps of dense Adam. A score is the seconds of an epoch, model
building and the shuffling of rows included; its quality is the area under the ROC curve on rows held out, and that of the true
probabilities is printed. FuxiCTR asks for ray, which its layers do not need: it takes part where
``pip install --no-deps fuxictr`` has been run.

    python benchmarks/ctr.py --rows 1000000 --models deepfm dcn autoint din
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from _click_peers import Peer
from _fuxi_peers import FuxiPeer
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
PEER, SECOND, SECOND_BAR = "DeepCTR-Torch", "FuxiCTR", 1 / 1.5


@dataclass(frozen=True)
class Job:
    """One model on both sides; the bars are largest ratios of our seconds to the peer's."""

    ours: Callable[[str], Any]
    peer: str
    layers: dict[str, Any]
    lazy: float
    dense: float
    history: bool = False


# -- both sides -----------------------------------------------------------------------------------------------------------


def common(updates: str) -> dict[str, Any]:
    """Return what all our models are given."""
    return {"embedding_dim": DIM, "updates": updates, "batch_size": BATCH, "learning_rate": RATE}


_DEEP = {"dnn_hidden_units": HIDDEN, "dnn_use_bn": True}
JOBS = {
    "deepfm": Job(
        lambda u: DeepFM(hidden_sizes=HIDDEN, **common(u)),
        "DeepFM",
        {**_DEEP, "l2_reg_linear": 0.0, "linear": True},
        1 / 3.5,
        1 / 1.5,
    ),
    "dcn": Job(
        lambda u: DeepCross(hidden_sizes=HIDDEN, **common(u)),
        "DCN",
        {**_DEEP, "cross_num": 3, "l2_reg_cross": 0.0},
        1 / 3.5,
        1 / 1.5,
    ),
    "autoint": Job(
        lambda u: AutoInt(head_size=8, **common(u)),
        "AutoInt",
        {"att_layer_num": 2, "att_head_num": 2, "dnn_hidden_units": ()},
        1 / 1.5,
        1 / 1.5,
    ),
    "din": Job(
        lambda u: DeepInterestNetwork(activation="relu", **common(u)),
        "DIN",
        {**_DEEP, "att_hidden_size": (80, 40)},
        1 / 1.3,
        1 / 1.3,
        history=True,
    ),
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
    network = model.network(layout(log, job.history), 1)
    learner = model.learner(network)
    batches = Batches({**our_fields(log, job.history), "y": log.y}, BATCH, seed=seed)
    Trainer(1, parts=model.parts()).fit(learner, batches)
    return learner.module.eval()


def train_peer(job: Job, log: Log, seed: int) -> Peer:
    """Build and train DeepCTR-Torch's model."""
    past = log.history if job.history else None
    how = {"dim": DIM, "rate": RATE, "batch": BATCH, "seed": seed, "history": HISTORY if job.history else 0}
    return Peer(job.peer, log.sizes, **how, **job.layers).fit(log.codes, past, log.y)


def train_second(job: Job, log: Log, seed: int) -> FuxiPeer:
    """Build and train FuxiCTR's model."""
    past = log.history if job.history else None
    how = {"dim": DIM, "rate": RATE, "batch": BATCH, "seed": seed, "history": HISTORY if job.history else 0}
    return FuxiPeer(job.peer, log.sizes, HIDDEN, **how).fit(log.codes, past, log.y)


@torch.no_grad()
def auc(found: nn.Module | Peer | FuxiPeer, job: Job, log: Log) -> float:
    """Return the area under the ROC curve on held-out rows."""
    if isinstance(found, Peer | FuxiPeer):
        scores = found.predict(log.codes, log.history if job.history else None)
        return float(get_metric("roc-auc").function(log.y, scores))
    parts = []
    for first in range(0, len(log.y), BATCH):
        part = log.cut(first, first + BATCH)
        rows = {name: torch.from_numpy(a) for name, a in our_fields(part, job.history).items()}
        parts.append(found(rows)[:, 0])
    return float(get_metric("roc-auc").function(log.y, torch.cat(parts).numpy()))


def second_installed() -> bool:
    """Tell whether FuxiCTR can take part."""
    return importlib.util.find_spec("fuxictr") is not None


def contest(name: str, job: Job, train: Log, test: Log, threads: int, repeats: int) -> list[Score]:
    """Run both sides in turn and return a score for each kind of updates."""
    sides: dict[str, Callable[[Log, int], Any]] = {
        PEER: lambda log, seed: train_peer(job, log, seed),
        "lazy": lambda log, seed: train_ours(job, "lazy", log, seed),
        "dense": lambda log, seed: train_ours(job, "dense", log, seed),
    }
    bars = {PEER: (job.lazy, job.dense)}
    if second_installed():
        sides[SECOND], bars[SECOND] = lambda log, seed: train_second(job, log, seed), (SECOND_BAR, SECOND_BAR)
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
                areas[side].append(auc(network, job, test))
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
    scores = []
    for peer, limits in bars.items():
        for side, bar in zip(("lazy", "dense"), limits):
            sound = mean[side] >= mean[peer] - 0.001
            what = f"{name} {side} updates, {rows} rows, beside {peer}"
            score = Score(what, threads, middle[side], middle[peer], mean[side], mean[peer], sound, bar)
            announce(score)
            scores.append(score)
    return scores


def main(
    threads: Sequence[int] = (1, 2), rows: int = ROWS, models: Sequence[str] = tuple(JOBS), repeats: int = 1
) -> list[Score]:
    """Draw the log and run the models."""
    held = min(HELD_OUT, rows)
    log = Log.of(synthetic_clicks(rows + held), HISTORY)
    if not second_installed():
        print(f"{SECOND} is not installed and takes no part.", flush=True)
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
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    sys.exit(not all(s.passed for s in main(given.threads, given.rows, given.models, given.repeats)))
