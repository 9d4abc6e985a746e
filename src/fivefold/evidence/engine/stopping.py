"""When training stops early and what is kept of it: patience, sweeps of checkpoints, resuming, signals."""

from __future__ import annotations

import math
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from fivefold.data.batches import Batch
from fivefold.engine.callbacks import Callback
from fivefold.engine.checkpoint_callback import ModelCheckpoint
from fivefold.engine.checkpoints import CheckpointStore, load_checkpoint
from fivefold.engine.early_stopping import EarlyStopping
from fivefold.engine.history import History
from fivefold.engine.monitor import TrainValidationMonitor
from fivefold.engine.runtime import Interrupts, TrainingInterrupted
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence

from ._toys import ADAM, Curve, gap, regression, source


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
        history = Trainer(9, parts=ADAM, callbacks=[Curve(values), stopping]).fit(
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
            curve = [Curve(values, settings.get("monitor") or "val_loss")] if values else []
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
    "checkpointing",
    claim="The first signal asks, the second ends at once, and handlers are put back",
    against="Python's handlers",
)
def signals() -> Check:
    # A shell starts what runs in its background with Ctrl-C ignored.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
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
    finally:
        signal.signal(signal.SIGINT, inherited)
    return Check(wrong, 0, "wrong answers", "Python's handlers")
