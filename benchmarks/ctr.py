"""One epoch of DeepFM, DCN, AutoInt and DIN on the synthetic click log, beside DeepCTR-Torch.

39 fields, a million Zipf categories, vectors of 16, batches of 4096, float32, the same layers and learning rate, no penalties.
DeepCTR-Torch has dense gradients and torch's dense Adam only; ours runs with lazy updates and with the steps of dense Adam. A
score is the seconds of an epoch, building the model and shuffling the rows included; its quality is the area under the ROC curve
on rows held out, and that of the true probabilities is printed. FuxiCTR cannot be installed beside our versions.

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
from torch import nn

from _click_peers import deepctr
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


@dataclass(frozen=True)
class Job:
    """One model on both sides; the bars are largest ratios of our seconds to the peer's."""

    ours: Callable[[str], Any]
    peer: Callable[[Sequence[int]], Any]
    lazy: float
    dense: float
    history: bool = False


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


# -- the peer -------------------------------------------------------------------------------------------------------------


def columns(sizes: Sequence[int], history: bool) -> list[Any]:
    """Return the fields as DeepCTR-Torch wants them; the history shares the table of the last field."""
    inputs = deepctr().inputs
    found = [inputs.SparseFeat(f"c{f}", size, DIM) for f, size in enumerate(sizes)]
    if history:
        last = len(sizes) - 1
        past = inputs.SparseFeat(f"hist_c{last}", sizes[-1], DIM, embedding_name=f"c{last}")
        found.append(inputs.VarLenSparseFeat(past, HISTORY, length_name="length"))
    return found


def peer_fields(log: Log, history: bool) -> dict[str, np.ndarray]:
    """Return what DeepCTR-Torch reads."""
    fields = {f"c{f}": log.codes[:, f] for f in range(log.codes.shape[1])}
    if history:
        fields[f"hist_c{log.codes.shape[1] - 1}"] = log.history
        fields["length"] = np.full(len(log.y), log.history.shape[1])
    return fields


def peer_deepfm(sizes: Sequence[int]) -> Any:
    """Return its DeepFM."""
    fields = columns(sizes, False)
    return deepctr().models.DeepFM(
        fields, fields, dnn_hidden_units=HIDDEN, l2_reg_linear=0, l2_reg_embedding=0, init_std=0.01
    )


def peer_dcn(sizes: Sequence[int]) -> Any:
    """Return its DCN, which has a linear part, too."""
    fields = columns(sizes, False)
    how = {"l2_reg_linear": 0, "l2_reg_embedding": 0, "l2_reg_cross": 0, "init_std": 0.01}
    return deepctr().models.DCN(fields, fields, cross_num=3, dnn_hidden_units=HIDDEN, **how)


def peer_autoint(sizes: Sequence[int]) -> Any:
    """Return its AutoInt, which has a linear part, too; its heads have DIM / 2 numbers each."""
    fields = columns(sizes, False)
    how = {"att_layer_num": 2, "att_head_num": 2, "dnn_hidden_units": (), "l2_reg_embedding": 0, "init_std": 0.01}
    return deepctr().models.AutoInt(fields, fields, **how)


def peer_din(sizes: Sequence[int]) -> Any:
    """Return its DIN with the unit 80-40; Dice is in the unit alone, since its perceptron cannot have it."""
    how = {"dnn_hidden_units": HIDDEN, "att_hidden_size": (80, 40), "l2_reg_embedding": 0}
    return deepctr().models.DIN(columns(sizes, True), [f"c{len(sizes) - 1}"], init_std=0.01, **how)


# -- both sides -----------------------------------------------------------------------------------------------------------


def common(updates: str) -> dict[str, Any]:
    """Return what all our models are given."""
    return {"embedding_dim": DIM, "updates": updates, "batch_size": BATCH, "learning_rate": RATE}


DEEP: dict[str, Any] = {"hidden_sizes": HIDDEN, "batch_norm": False}
JOBS = {
    "deepfm": Job(lambda u: DeepFM(**DEEP, **common(u)), peer_deepfm, 1 / 3.5, 1 / 1.5),
    "dcn": Job(lambda u: DeepCross(**DEEP, **common(u)), peer_dcn, 1 / 3.5, 1 / 1.5),
    "autoint": Job(lambda u: AutoInt(head_size=DIM // 2, **common(u)), peer_autoint, 1 / 1.5, 1 / 1.5),
    "din": Job(lambda u: DeepInterestNetwork(**DEEP, **common(u)), peer_din, 1 / 1.3, 1 / 1.3, history=True),
}


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


def train_peer(job: Job, log: Log, seed: int) -> Any:
    """Train one epoch of the peer."""
    torch.manual_seed(seed)
    model = job.peer(log.sizes)
    model.compile(torch.optim.Adam(model.parameters(), lr=RATE), "binary_crossentropy")
    model.fit(peer_fields(log, job.history), log.y.astype(np.float32), batch_size=BATCH, epochs=1, verbose=0)
    return model


@torch.no_grad()
def auc(model: Any, job: Job, log: Log, peer: bool) -> float:
    """Return the area under the ROC curve of a model on held-out rows."""
    if peer:
        found = model.predict(peer_fields(log, job.history), BATCH)[:, 0]
    else:
        rows = {name: torch.from_numpy(a) for name, a in our_fields(log, job.history).items()}
        parts = [{k: v[i : i + BATCH] for k, v in rows.items()} for i in range(0, len(log.y), BATCH)]
        found = torch.cat([model(part)[:, 0] for part in parts]).numpy()
    return float(get_metric("roc-auc").function(log.y, found.astype(np.float64)))


def contest(name: str, job: Job, train: Log, test: Log, threads: int, repeats: int) -> list[Score]:
    """Run both sides in turn and return a score for each kind of updates."""
    sides: dict[str, Callable[[Log, int], Any]] = {
        "peer": lambda log, seed: train_peer(job, log, seed),
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
                model = run(train, seed)
                seconds[side].append(time.perf_counter() - start)
                processor[side].append(time.process_time() - work)
                areas[side].append(auc(model, job, test, side == "peer"))
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
    for side, bar in (("lazy", job.lazy), ("dense", job.dense)):
        sound = mean[side] >= mean["peer"] - 0.001
        what = f"{name} {side} updates, {rows} rows, beside DeepCTR-Torch"
        score = Score(what, threads, middle[side], middle["peer"], mean[side], mean["peer"], sound, bar)
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
