"""Evidence for what stands around the loop: sessions, logs, progress, signals, precision, records."""

from __future__ import annotations

import io
import json
import math
import os
import re
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fivefold.data.batches import Batch, Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.checkpoint_callback import ModelCheckpoint
from fivefold.engine.checkpoints import CheckpointStore, load_checkpoint
from fivefold.engine.early_stopping import EarlyStopping
from fivefold.engine.history import History, direction
from fivefold.engine.learner import Step, Steps, SupervisedLearner
from fivefold.engine.loggers import JSONLLogger
from fivefold.engine.monitor import TrainValidationMonitor
from fivefold.engine.progress import ProgressBar
from fivefold.engine.runtime import Interrupts, Runtime, TrainingInterrupted
from fivefold.engine.session import Session, current_session, session
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest

from ._toys import ADAM, gap, network, regression, source, table


class _Curve(Callback):
    """Puts given values in the place of a metric."""

    def __init__(self, values: list[float], name: str = "val_loss") -> None:
        self.values, self.name = values, name

    def on_epoch_end(self, fit: Any) -> None:
        if fit.epoch < len(self.values):
            fit.metrics[self.name] = self.values[fit.epoch]


class _StopAt(Callback):
    """Sends this process a signal after a number of batches."""

    def __init__(self, batch: int, number: int = signal.SIGINT) -> None:
        self.at, self.number = batch, number

    def on_batch_end(self, fit: Any, batch: Batch) -> None:
        if fit.counters["batches"] == self.at:
            signal.raise_signal(self.number)


@evidence(
    "early-stopping",
    claim="NaN is no improvement, a first epoch never stops, a second fit starts anew, without restore the last weights stay",
    against="Keras' rule, by hand",
)
def early_stopping_edges() -> Check:
    def run(values: list[float], learner: Any = None, stopping: Any = None, **settings: Any) -> tuple[int, Any]:
        stopping = stopping or EarlyStopping(**settings)
        history = Trainer(9, parts=ADAM, callbacks=[_Curve(values), stopping]).fit(
            learner or regression(), source(64, 32)
        )
        return len(history), stopping

    nan = math.nan
    wrong = run([nan, 1.0, 0.5, 2.0], patience=1)[0] != 4
    wrong += run([nan, nan, 1.0], patience=1)[0] != 2
    again = EarlyStopping(patience=1)
    wrong += [run([3.0, 1.0, 2.0], stopping=again)[0], run([5.0, 4.0, 4.0], stopping=again)[0], again.best] != [
        3,
        3,
        4.0,
    ]
    wrong += again.stopped_epoch != 3 or again.best_epoch != 2
    stopped, plain = regression(), regression()
    run([1.0, 2.0, 2.0], learner=stopped, patience=2, restore_best_weights=False)
    Trainer(3, parts=ADAM).fit(plain, source(64, 32))
    wrong += gap(stopped, plain) != 0
    wrong += run([1.0 - 0.05 * i for i in range(9)], patience=1)[0] != 9  # by default any improvement counts
    wrong += EarlyStopping().patience != 0 or run([1.0, 2.0, 0.5])[0] != 2
    # With every value equal there is no improvement by more than 0.
    wrong += run([1.0] * 9, patience=3)[0] != 4
    wrong += (
        run([1.0, 0.9, 0.8, 0.7, 0.6], patience=2, min_delta=0.15)[0] != 9
        and run([1.0, 0.9, 0.9], patience=2, min_delta=0.1)[0] != 3
    )
    return Check(wrong, 0, "outcomes that differ", "by hand")


@evidence(
    "early-stopping",
    claim="A metric measured every second epoch only is waited for",
    against="the epochs in which it is measured",
)
def early_stopping_waits() -> Check:
    stopping = EarlyStopping("val_loss", patience=1, mode="max")  # the loss falls, so the second look stops it
    history = Trainer(9, parts=ADAM, validate_every=2, callbacks=[stopping]).fit(regression(), source(), source(60))
    wrong = (len(history), stopping.best_epoch) != (4, 2)
    return Check(wrong, 0, "stopped elsewhere", "by hand")


@evidence(
    "checkpointing",
    claim="Cadence: every so many epochs and batches, also when a fit stops; best by the right metric; NaN never",
    against="written out",
)
def checkpoint_cadence() -> Check:
    written: list[tuple[int, int]] = []
    kept: list[History] = []

    class Note(Callback):
        def on_checkpoint(self, fit: Any, path: Path) -> None:
            written.append((fit.counters["batches"], fit.counters["epochs"]))

    def run(
        values: list[float] | None = None, validation: Any = None, epochs: int = 5, extra: Any = (), **settings: Any
    ) -> list[str]:
        written.clear()
        with tempfile.TemporaryDirectory() as folder:
            saver = ModelCheckpoint(folder, **settings)
            curve = [_Curve(values, settings.get("monitor") or "val_loss")] if values else []
            trainer = Trainer(epochs, parts=ADAM, callbacks=[saver, Note(), *curve, *extra])
            kept.append(trainer.fit(regression(), source(64, 32), validation))
            best = Path(folder, "best")
            number = load_checkpoint(best)["epoch"] if best.exists() else 0
            return [str(number), *sorted(p.name for p in Path(folder).glob("epoch-*"))]

    falling = [5.0, 4.0, 4.0, math.nan, 6.0]
    wrong = run(falling, monitor="val_loss") != ["2", "epoch-0005"] or len(written) != 5
    wrong += run([0.1, 0.3, 0.2, 0.3, 0.1], monitor="val_auc", keep=0) != ["2"]
    wrong += run([0.1, 0.3, 0.2, 0.3, 0.0], monitor="val_auc", mode="min", keep=2)[0] != "5"
    wrong += run(falling, monitor="val_loss", every_epochs=2, keep=9) != ["2", "epoch-0002", "epoch-0004"]
    wrong += written != [(2, 1), (4, 2), (8, 4)]
    for validation, monitor in ((source(30), "val_loss"), (None, "loss")):  # what is followed unless it is named
        wrong += run(validation=validation)[0] != str(kept[-1].best(monitor)["epoch"])
    run(every_batches=3)
    wrong += written != [(2, 1), (3, 1), (4, 2), (6, 2), (6, 3), (8, 4), (9, 4), (10, 5)]
    run([1.0, 2.0, 3.0], monitor="val_loss", every_epochs=7, extra=[EarlyStopping(patience=1)])
    wrong += written != [(2, 1), (4, 2)]
    written.clear()
    with tempfile.TemporaryDirectory() as folder:
        saver = ModelCheckpoint(folder, every_batches=4)
        Trainer(max_batches=11, parts=ADAM, accumulate=3, callbacks=[saver, Note()]).fit(regression(), source(320, 32))
    wrong += [batches for batches, _ in written] != [6, 9, 10, 11]  # windows end at 3, 6, 9, 10 (the epoch), 11
    return Check(wrong, 0, "checkpoints at other moments", "written out")


@evidence(
    "checkpointing",
    claim="What a killed process left half written is swept, and the checkpoint before comes back",
    against="the files",
)
def checkpoint_sweep() -> Check:
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(folder, keep=2)
        for n in range(1, 5):
            store.save({"learner": {}, "counters": {"n": n}, "epoch": n, "batch": 0}, best=n == 2, epoch=n)
        wrong = [p.name for p in store.epochs()] != ["epoch-0003", "epoch-0004"]
        os.rename(store.last, Path(folder, "last.previous"))
        Path(folder, ".last.half").mkdir()
        Path(folder, "notes").mkdir()
        wrong += not store.exists() or Path(folder, "last.previous").exists()
        os.rename(store.last, Path(folder, "last.previous"))
        store.sweep()
        wrong += load_checkpoint(store.last)["counters"]["n"] != 4 or load_checkpoint(store.best)["counters"]["n"] != 2
        names = sorted(p.name for p in Path(folder).iterdir())
        wrong += names != ["best", "epoch-0003", "epoch-0004", "last", "notes"]
        wrong += CheckpointStore(folder).keep != 1
        CheckpointStore(Path(folder, "absent")).sweep()
        real = os.link

        def refuse(*_: Any) -> None:
            raise OSError("no links here")

        os.link = refuse
        try:
            store.save({"learner": {}, "counters": {"n": 9}, "epoch": 9, "batch": 0}, best=True)
        finally:
            os.link = real
        wrong += load_checkpoint(store.best)["counters"]["n"] != 9
    return Check(wrong, 0, "files that differ", "written out")


@evidence(
    "checkpointing",
    claim="Resumed from within an epoch, an accumulation window, after max_batches, and after the end, all is as without a break",
    against="the uninterrupted run",
)
def checkpoint_resume_everywhere() -> Check:
    def run(folder: Path, at: int = 0, resume: bool = False, number: int = signal.SIGINT, **settings: Any) -> Any:
        settings = {"max_epochs": 3, "parts": ADAM, **settings}
        stops = [EarlyStopping(patience=50), EarlyStopping("loss", patience=60)]
        monitor = TrainValidationMonitor(source(40), source(30), every=3)
        learner = regression(0.2)
        extra = [] if resume or not at else [_StopAt(at, number)]
        try:
            with session(folder, resume=resume, progress=False, callbacks=extra):
                history = Trainer(callbacks=[*stops, monitor], log_every=5, **settings).fit(
                    learner, source(), source(60)
                )
        except TrainingInterrupted as interruption:
            return str(interruption)
        return learner, history, stops, monitor.records

    def same(a: Any, b: Any) -> bool:
        return (
            gap(a[0], b[0]) == 0
            and a[1].epochs == b[1].epochs
            and a[1].counters == b[1].counters
            and a[1].stop_reason == b[1].stop_reason
            and [(s.best, s.best_epoch, s.wait) for s in a[2]] == [(s.best, s.best_epoch, s.wait) for s in b[2]]
            and a[3] == b[3]
        )

    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        cases: list[tuple[dict[str, Any], int, int, int]] = [
            ({}, 5, 5, signal.SIGTERM),
            ({"accumulate": 3}, 10, 11, signal.SIGINT),  # the window that holds batch 10 ends with 11
            ({"max_epochs": None, "max_batches": 19}, 17, 17, signal.SIGINT),
        ]
        for i, (settings, at, stopped, number) in enumerate(cases):
            whole = run(root / f"{i}w", **settings)
            told = run(root / f"{i}c", at, number=number, **settings)
            by = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
            wrong += f"Stopped by {by} after batch {stopped} (epoch {1 + (stopped - 1) // 8})" not in str(told)
            wrong += not same(whole, run(root / f"{i}c", resume=True, **settings))
            wrong += not same(whole, run(root / f"{i}c", resume=True, **settings))  # once more, at its end
            logs = [(root / f"{i}{k}" / "metrics.jsonl").read_bytes() for k in "wc"]
            wrong += logs[0] != logs[1]
        longer = {"max_epochs": None, "parts": ADAM}
        run(root / "half", max_batches=11, **longer)
        wrong += not same(
            run(root / "long", max_batches=22, **longer), run(root / "half", resume=True, max_batches=22, **longer)
        )
        fresh = run(root / "long", max_batches=3, **longer)  # without resume it starts anew
        wrong += fresh[1].counters["batches"] != 3
    return Check(wrong, 0, "runs that differ", "uninterrupted run")


@evidence(
    "callbacks",
    claim="A session gives each fit its own files, in order; outside nothing is written; the trainer's own settings win",
    against="the directory",
)
def session_files() -> Check:
    standard = Session()
    wrong = (standard.resume, standard.progress, standard.device, standard.devices, standard.precision) != (
        False,
        True,
        "cpu",
        1,
        "32-true",
    )
    wrong += current_session() is not None
    with tempfile.TemporaryDirectory() as name:
        with session(name, progress=False) as opened:
            wrong += current_session() is not opened
            for _ in range(3):
                Trainer(1, parts=ADAM).fit(regression(), source())
        found = sorted(p.name for p in Path(name).iterdir())
        wrong += found != [
            "checkpoints",
            "checkpoints-2",
            "checkpoints-3",
            "metrics-2.jsonl",
            "metrics-3.jsonl",
            "metrics.jsonl",
        ]
        with session(progress=False, precision="64-true") as plain:
            wide, narrow = (
                SupervisedLearner(network().float(), nn.functional.mse_loss),
                SupervisedLearner(network().float(), nn.functional.mse_loss),
            )
            Trainer(1, parts=ADAM).fit(wide, source())
            x, y = (t.float() for t in table())
            Trainer(1, parts=ADAM, precision="32-true").fit(narrow, Batches({"x": x, "y": y}, 32))
            wrong += (
                wide.module[0].weight.dtype is not torch.float64 or narrow.module[0].weight.dtype is not torch.float32
            )
            wrong += plain.stage() != (None, "-3")
    return Check(wrong, 0, "files and settings that differ", "written out")


@evidence(
    "callbacks",
    claim="The progress bar shows epoch, batches, throughput and losses; elsewhere it is a line an epoch, at times",
    against="the text, with the clock turned forward",
)
def progress_text() -> Check:
    from rich.console import Console

    terminal = Console(file=io.StringIO(), force_terminal=True, width=180)
    bar = ProgressBar(terminal)
    drawn: list[int] = []

    class Count(Callback):
        def on_batch_end(self, fit: Any, batch: Batch) -> None:
            drawn.append(terminal.file.getvalue().count("rows/s"))  # type: ignore[attr-defined]
            if fit.counters["batches"] in (3, 11):
                bar._drawn -= 0.6  # as if half a second and more had gone by

    Trainer(2, parts=ADAM, callbacks=[bar, Count()], log_every=2).fit(regression(), source(), source(60))
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.file.getvalue())  # type: ignore[attr-defined]
    lines = [line for line in text.replace("\n", "\r").split("\r") if line.strip()]
    # At the start, after batch 4 and 12, and at the end.
    shown = [re.search(r"epoch (\d+) .*? (\d+)/16", line) for line in lines]
    pairs = list(dict.fromkeys((m.group(1), m.group(2)) for m in shown if m))
    wrong = pairs != [("1", "0"), ("1", "4"), ("2", "12"), ("2", "16")]
    wrong += "loss=" not in text or "val_loss=" not in lines[-1]
    rates = [int(m.replace(",", "")) for m in re.findall(r"([\d,]+) rows/s", text)]
    wrong += not all(r > 0 for r in rates)
    plain = Console(file=io.StringIO(), width=180)
    quiet = ProgressBar(plain)

    class Forward(Callback):
        def on_epoch_start(self, fit: Any) -> None:
            if fit.epoch == 1:
                quiet._drawn -= 5.5
                quiet._since -= 10.0

    Trainer(4, parts=ADAM, callbacks=[Forward(), quiet]).fit(regression(), source())
    printed = plain.file.getvalue().splitlines()  # type: ignore[attr-defined]
    match = re.fullmatch(r"epoch 2/4: loss=\S+ \(([\d,]+) rows/s\)", printed[0]) if len(printed) == 1 else None
    # 480 rows in 10 seconds and a little.
    wrong += match is None or not 30 <= int(match.group(1)) <= 48
    return Check(wrong, 0, "wrong texts", "written out")


@evidence(
    "callbacks",
    claim="Two loggers of one kind keep their own places; NaN is null; a fit without resume starts its file anew",
    against="the files",
)
def loggers() -> Check:
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name, "a", "x.jsonl"), Path(name, "y.jsonl")]

        def run(batches: int, resume: Path | None = None) -> None:
            callbacks = [
                _Curve([math.nan, 2.0]),
                *(JSONLLogger(p) for p in paths),
                ModelCheckpoint(Path(name, "c"), every_batches=7),
            ]
            Trainer(max_batches=batches, parts=ADAM, callbacks=callbacks, log_every=3).fit(
                regression(), source(), resume=resume
            )

        run(16)
        lines = [json.loads(line) for line in paths[0].read_text().splitlines()]
        shape = [(line["kind"], line["epoch"], line["batches"]) for line in lines]
        wrong = shape != [
            ("batch", 1, 3),
            ("batch", 1, 6),
            ("epoch", 1, 8),
            ("batch", 2, 9),
            ("batch", 2, 12),
            ("batch", 2, 15),
            ("epoch", 2, 16),
        ]
        wrong += lines[2]["val_loss"] is not None or lines[6]["val_loss"] != 2.0
        whole = [p.read_bytes() for p in paths]
        wrong += whole[0] != whole[1]
        run(16)
        wrong += [p.read_bytes() for p in paths] != whole
        paths[1].write_bytes(paths[1].read_bytes() + b"later\n")
        run(16, resume=Path(name, "c", "last"))
        wrong += [p.read_bytes() for p in paths] != whole
    return Check(wrong, 0, "files that differ", "written out")


@evidence(
    "callbacks",
    claim="TensorBoard reads the interval means and the epochs' metrics at the right batches",
    against="the event reader of tensorboard",
    peer="tensorboard",
)
def tensorboard_events() -> Check:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        with tempfile.TemporaryDirectory() as name:
            with session(name, progress=False, tensorboard=True):
                history = Trainer(2, parts=ADAM, log_every=5).fit(regression(), source(), source(60))
            events = EventAccumulator(str(Path(name, "tensorboard"))).Reload()
            epoch = events.Scalars("epoch/val_loss")
            tags = events.Tags()["scalars"]
            interval = [e.step for e in events.Scalars("interval/loss")]
    wrong = (
        [e.step for e in epoch] != [8, 16]
        or interval != [5, 10, 15]
        or any(t.endswith(("epoch", "batches")) for t in tags)
    )
    worst = largest(abs(e.value / v - 1) for e, v in zip(epoch, history["val_loss"], strict=True))
    return Check(worst + wrong, 1e-6, "max relative difference (float32 events)", "tensorboard")


@evidence(
    "callbacks",
    claim="A history finds its best epoch, the first of equals, past NaN, in the metric's own direction",
    against="brute force",
)
def history_best() -> Check:
    nan = math.nan
    history = History(
        [{"epoch": i + 1, "loss": v, "auc": -v, "some": nan} for i, v in enumerate([nan, 3.0, 1.0, 2.0, 1.0])]
    )
    wrong = (
        history.best("loss")["epoch"] != 3
        or history.best("auc")["epoch"] != 3
        or history.best("loss", "max")["epoch"] != 2
    )
    wrong += (
        len(history) != 5 or history["epoch"] != [1, 2, 3, 4, 5] or history.names() != ["epoch", "loss", "auc", "some"]
    )
    shrink = ["val_loss", "rmse", "critic/loss", "log-loss", "mae", "brier-score"]
    grow = ["val_accuracy", "roc-auc", "val_macro-f1", "r2", "return", "ndcg"]
    wrong += [direction(name) for name in grow] != ["max"] * 6 or [direction(name) for name in shrink[:5]] != [
        "min"
    ] * 5
    wrong += direction("roc-auc", "min") != "min" or direction("loss", "max") != "max"
    wrong += History([{"a": 1.0}, {}])["a"][0] != 1.0 or not math.isnan(History([{"a": 1.0}, {}])["a"][1])
    return Check(wrong, 0, "wrong answers", "brute force")


@evidence(
    "trainer",
    claim="Each precision computes and stores in its format, and learns",
    against="the formats of the tensors",
)
def precisions() -> Check:
    wrong = 0
    x, y = (t.float() for t in table())
    for name, inside, stored in (
        ("32-true", torch.float32, torch.float32),
        ("64-true", torch.float64, torch.float64),
        ("bf16-mixed", torch.bfloat16, torch.float32),
        ("bf16-true", torch.bfloat16, torch.bfloat16),
    ):
        seen: set[Any] = set()

        class Look(SupervisedLearner):
            def steps(self, batch: Batch, seen: set[Any] = seen) -> Steps:
                hidden = self.module[0](batch.x)
                seen.add(hidden.dtype)
                yield Step("model", (self.module[1:](hidden) - batch.y).square().mean())

        learner = Look(network().float(), nn.functional.mse_loss)
        batches = Batches({"x": x, "y": y}, 32, seed=1)
        history = Trainer(4, parts=ADAM, precision=name).fit(learner, batches, batches)
        wrong += seen != {inside} or learner.module[0].weight.dtype is not stored
        wrong += not history["val_loss"][-1] < history["val_loss"][0]
        wrong += Runtime("auto", name).new_scaler() is not None
    wrong += Runtime().moves or not Runtime(precision="64-true").moves or Runtime().device.type != "cpu"
    return Check(wrong, 0, "formats that differ", "tensors")


@evidence(
    "trainer",
    claim="A loss scaler changes nothing but the range: same weights; it keeps its settings and grows by them",
    against="the unscaled training",
)
def scaled_training() -> Check:
    from lightning_fabric.plugins.precision import MixedPrecision

    class Exact(MixedPrecision):
        def forward_context(self) -> Any:
            return torch.autocast("cpu", enabled=False)

    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_factor=4.0, backoff_factor=0.25, growth_interval=5)
    x, y = table()
    plain, scaled = regression(), regression()
    parts = {"model": {**ADAM["model"], "clip_norm": 0.05}}
    seen: list[Any] = []

    class Look(Callback):
        def on_fit_end(self, fit: Any) -> None:
            seen.append(fit.parts["model"].scaler)

    Trainer(1, parts=parts).fit(plain, source())
    Trainer(1, parts=parts, precision=Exact("16-mixed", "cpu", scaler=scaler), callbacks=[Look()]).fit(scaled, source())
    own = seen[0]
    # 8 batches: it grew once, after 5.
    wrong = (own.get_scale(), own.get_growth_factor(), own.get_backoff_factor(), own.get_growth_interval()) != (
        1024.0,
        4.0,
        0.25,
        5,
    )
    return Check(gap(plain, scaled) + wrong, 1e-12, "max |weight difference|", "unscaled training")


@evidence(
    "checkpointing",
    claim="The first signal asks, the second ends at once, and handlers are put back",
    against="Python's handlers",
)
def signals() -> Check:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    wrong = 0
    with Interrupts(active=True) as asked:
        signal.raise_signal(signal.SIGINT)
        wrong += asked.wanted != "Ctrl-C"
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            wrong -= 1
        wrong += 1
    wrong += (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) != before
    with Interrupts(active=True) as asked:
        wrong += asked.wanted != ""
    wrong += (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) != before
    with Interrupts(active=False):
        wrong += signal.getsignal(signal.SIGINT) is not before[0]
    return Check(wrong, 0, "wrong answers", "Python's handlers")


@evidence(
    "train-validation-monitor",
    claim="At epoch ends too: several outputs stay as they are, one becomes a column, weights and `prepare` are applied",
    against="numpy.average by hand",
)
def monitor_forms() -> Check:
    x, y = table(60)
    weight = torch.arange(60, dtype=torch.float64) % 3
    shapes: list[tuple[int, ...]] = []

    def error(truth: np.ndarray, found: np.ndarray, sample_weight: Any = None) -> float:
        shapes.append((*truth.shape, *found.shape))
        return float(np.average(np.abs(truth - found).reshape(60, -1).mean(1), weights=sample_weight))

    worst = 0.0
    for targets, weights, shape in (
        (y, weight, (60, 60)),
        (torch.cat([y, y], 1), None, (60, 2, 60, 2)),
        (y[:, 0], None, (60, 60)),
    ):
        width = targets.shape[1] if targets.ndim == 2 else 1
        module = nn.Sequential(nn.Linear(5, width), *([nn.Flatten(0)] if targets.ndim == 1 else [])).double()
        learner = SupervisedLearner(module, lambda a, b: (a - b).square())
        fields = {"x": x, "y": targets, **({} if weights is None else {"weight": weights})}
        batches = Batches(fields, 17, shuffle=False)
        monitor = TrainValidationMonitor(batches, batches, {"error": error}, prepare=lambda found: 2 * found)
        shapes.clear()
        history = Trainer(2, parts=ADAM, callbacks=[monitor]).fit(learner, batches)
        wrong = set(shapes) != {shape} or [(r["epoch"], r["batches"]) for r in monitor.records] != [(1, 4), (2, 8)]
        with torch.no_grad():
            absolute = (2 * learner.module(x) - targets).abs().reshape(60, -1).mean(1).numpy()
        expected = float(np.average(absolute, weights=None if weights is None else weights.numpy()))
        worst = (
            largest(worst, abs(history["train_error"][-1] - expected), abs(history["validation_error"][-1] - expected))
            + wrong
        )
    return Check(worst, 1e-13, "max |metric - by hand|", "numpy.average")


@evidence(
    "train-validation-monitor",
    claim="A streaming metric named by its id takes the weights of the rows",
    against="numpy.average by hand",
)
def monitor_weighted_stream() -> Check:
    x, y = table(60)
    weight = torch.arange(60, dtype=torch.float64) % 3
    learner = SupervisedLearner(network(), lambda a, b: (a - b).square())
    batches = Batches({"x": x, "y": y, "weight": weight}, 17, shuffle=False)
    history = Trainer(1, parts=ADAM, callbacks=[TrainValidationMonitor(batches, batches, ["rmse"])]).fit(
        learner, batches
    )
    with torch.no_grad():
        squares = (learner.module(x) - y).square()[:, 0].numpy()
    expected = math.sqrt(float(np.average(squares, weights=weight.numpy())))
    return Check(abs(history["train_rmse"][0] - expected), 1e-13, "|RMSE - by hand|", "numpy.average")
