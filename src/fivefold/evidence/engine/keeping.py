"""Evidence for callbacks, checkpoints and early stopping."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fivefold.engine.callbacks import EVENTS, Callback
from fivefold.engine.checkpoint_callback import ModelCheckpoint
from fivefold.engine.checkpoints import load_checkpoint
from fivefold.engine.early_stopping import EarlyStopping
from fivefold.engine.loggers import JSONLLogger
from fivefold.engine.runtime import TrainingInterrupted
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest

from ._toys import ADAM, BilinearGame, gap, regression, source

RICH = {"model": {**ADAM["model"], "schedule": "lr-cosine", "ema": 0.9, "clip_norm": 0.3}}


class _Recorder(Callback):
    """Notes the name of every event."""

    def __init__(self) -> None:
        self.events: list[str] = []


def _noting(event: str) -> Any:
    def note(self: _Recorder, fit: Any, *details: Any) -> None:
        self.events.append(event.removeprefix("on_") + (f":{details[0]}" if event == "on_step" else ""))

    return note


for _event in EVENTS:
    setattr(_Recorder, _event, _noting(_event))


@evidence(
    "callbacks",
    claim="Every event fires, in the documented order, once for each thing that happens",
    against="the list written out",
)
def callbacks_order() -> Check:
    recorder = _Recorder()
    with tempfile.TemporaryDirectory() as folder, session(folder, progress=False):
        Trainer(2, callbacks=[recorder], log_every=2).fit(BilinearGame(2), source(90, 30), source(60, 30))
    batch = ["batch_start", "step:y", "step:y", "step:x", "batch_end"]
    odd = [*batch[:-1], "log", "batch_end"]
    end = ["validation_end", "epoch_end", "checkpoint"]
    expected = [
        "fit_start",
        "epoch_start",
        *batch,
        *odd,
        *batch,
        *end,
        "epoch_start",
        *odd,
        *batch,
        *odd,
        *end,
        "fit_end",
    ]
    wrong = sum(a != b for a, b in zip(recorder.events, expected)) + abs(len(recorder.events) - len(expected))
    return Check(wrong, 0, "events out of place", "documented order")


@evidence(
    "callbacks",
    claim="The log file reads back as the means over each interval and the records of the history",
    against="losses noted at every batch",
)
def callbacks_log_is_readable() -> Check:
    losses: list[float] = []

    class Note(Callback):
        def on_step(self, fit: Any, part: str, stepped: bool) -> None:
            losses.append(fit.meter._pending[-1][1])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.jsonl")
        history = Trainer(2, parts=ADAM, callbacks=[JSONLLogger(path), Note()], log_every=4).fit(
            regression(), source(256, 32), source(50)
        )
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    intervals = [line for line in lines if line["kind"] == "batch"]
    epochs = [{k: v for k, v in line.items() if k != "kind"} for line in lines if line["kind"] == "epoch"]
    worst = largest(abs(line["loss"] - np.mean(losses[4 * i : 4 * i + 4])) for i, line in enumerate(intervals))
    worst = largest(worst, *(abs(e["loss"] - np.mean(losses[8 * i : 8 * i + 8])) for i, e in enumerate(epochs)))
    return Check(
        worst + (epochs != history.epochs) + (len(intervals) != 4), 1e-14, "max |mean difference|", "brute force"
    )


def _interrupted(folder: Path, at: int, resume: bool) -> Any:
    class Stop(Callback):
        def on_batch_end(self, fit: Any, batch: Any) -> None:
            if not resume and fit.counters["batches"] == at:
                signal.raise_signal(signal.SIGINT)

    learner = regression(dropout=0.2)
    try:
        with session(folder, resume=resume, progress=False, callbacks=[Stop()]):
            history = Trainer(3, parts=RICH, log_every=3).fit(learner, source(), source(60))
    except TrainingInterrupted:
        return None
    return learner, history


@evidence(
    "checkpointing",
    claim="Interrupted anywhere and resumed, weights, optimizer, schedule, average and logs are the same to the bit",
    against="the uninterrupted run",
)
def checkpoint_resume() -> Check:
    with tempfile.TemporaryDirectory() as folder:
        whole, history = _interrupted(Path(folder, "whole"), -1, False)
        log = Path(folder, "whole", "metrics.jsonl").read_bytes()
        final = load_checkpoint(Path(folder, "whole", "checkpoints", "last"))
        wrong = 0
        for at in (3, 8, 21):
            target = Path(folder, str(at))
            wrong += _interrupted(target, at, False) is not None
            again, resumed = _interrupted(target, at, True)
            state = load_checkpoint(target / "checkpoints" / "last")
            wrong += gap(whole, again) != 0
            wrong += history.epochs != resumed.epochs or history.counters != resumed.counters
            wrong += (target / "metrics.jsonl").read_bytes() != log
            for key in ("exp_avg", "exp_avg_sq", "step"):
                mine, theirs = (s["parts"]["model"]["optimizer"]["state"][0][key] for s in (final, state))
                wrong += not torch.equal(mine, theirs)
            wrong += not torch.equal(*(s["parts"]["model"]["ema"]["shadow"][0] for s in (final, state)))
    return Check(wrong, 0, "things that differ", "uninterrupted run")


@evidence(
    "checkpointing",
    claim="Keeps N epoch checkpoints, the last, and the one of the best metric",
    against="the directory and the history",
)
def checkpoint_keeps() -> Check:
    curve = [0.9, 0.4, 0.6, 0.4, 0.7]

    class Fake(Callback):
        def on_epoch_end(self, fit: Any) -> None:
            fit.metrics["val_loss"] = curve[fit.epoch]

    with tempfile.TemporaryDirectory() as folder:
        Trainer(5, parts=ADAM, callbacks=[Fake(), ModelCheckpoint(folder, monitor="val_loss", keep=3)]).fit(
            regression(), source()
        )
        names = sorted(p.name for p in Path(folder).iterdir())
        wrong = int(names != ["best", "epoch-0003", "epoch-0004", "epoch-0005", "last"])
        wrong += load_checkpoint(Path(folder, "best"))["epoch"] != 2  # the first of equals
        wrong += load_checkpoint(Path(folder, "last"))["epoch"] != 5
        wrong += load_checkpoint(Path(folder, "epoch-0004"))["epoch"] != 4
    return Check(wrong, 0, "checkpoints that are wrong", "directory and curve")


def _stop_by_rule(curve: np.ndarray, patience: int, delta: float, sign: float) -> tuple[int, int]:
    """Return (last epoch, best epoch), counted from 1, straight from the rule: stop at best + patience."""
    values = sign * curve
    best = 0
    for epoch in range(1, len(values)):
        if values[epoch] < values[best] - delta:
            best = epoch
        elif epoch - best >= max(patience, 1):
            return epoch + 1, best + 1
    return len(values), best + 1


def _stop_by_engine(curve: np.ndarray, **settings: Any) -> tuple[int, int, float]:
    kept: list[Any] = []

    class Fake(Callback):
        def on_epoch_end(self, fit: Any) -> None:
            fit.metrics["val_loss"] = float(curve[fit.epoch])
            kept.append(fit.snapshot()["learner"]["module.0.weight"])

    learner = regression()
    stopping = EarlyStopping("val_loss", **settings)
    history = Trainer(len(curve), parts=ADAM, callbacks=[Fake(), stopping]).fit(learner, source(32, 32))
    best = stopping.best_epoch or 0
    apart = float((learner.module[0].weight.detach() - kept[best - 1]).abs().max())
    return len(history), best, apart


@evidence(
    "early-stopping",
    claim="Stops at best + patience and ends with the weights of the best epoch, on 40 random curves",
    against="the rule, brute force",
)
def early_stopping_rule() -> Check:
    rng = np.random.default_rng(0)
    wrong = 0
    for trial in range(40):
        curve = np.round(rng.normal(size=9).cumsum(), 1)  # rounded, so that ties occur
        patience, delta, mode = trial % 4, (0.0, 0.25)[trial % 2], ("min", "max")[trial // 2 % 2]
        last, best, apart = _stop_by_engine(curve, patience=patience, min_delta=delta, mode=mode)
        wrong += (last, best) != _stop_by_rule(curve, patience, delta, 1.0 if mode == "min" else -1.0) or not apart <= 0
    return Check(wrong, 0, "curves with another outcome", "brute force")


@evidence(
    "early-stopping",
    claim="Keras' worked behavior: patience 2 on 5, 4, 4, 4.1, 3 stops in epoch 4 with the weights of epoch 2",
    against="the source of keras.callbacks.EarlyStopping, followed by hand",
)
def early_stopping_keras() -> Check:
    last, best, apart = _stop_by_engine(np.array([5, 4, 4, 4.1, 3.0]), patience=2)
    default = _stop_by_engine(np.array([1.0, 2.0, 0.0]))  # patience 0: the first epoch that is no better
    late = _stop_by_engine(np.array([0.0, 3.0, 2.0, 2.5, 2.5, 0.0]), patience=2, start_from_epoch=1)
    base = _stop_by_engine(
        np.array([5.0, 4.0, 3.0, 2.0]), patience=2, baseline=2.5
    )  # better each time, never better than 2.5
    nan = _stop_by_engine(np.array([2.0, np.nan, np.nan, 1.0]), patience=2)
    wrong = [last != 4, best != 2, apart > 0, default[:2] != (2, 1), late[:2] != (5, 3), nan[:2] != (3, 1)]
    wrong.append(base[0] != 4)
    return Check(sum(wrong), 0, "outcomes that differ", "Keras' rule")
