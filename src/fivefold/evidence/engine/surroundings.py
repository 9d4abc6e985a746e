"""Evidence for what stands around the loop: sessions, logs, progress, precision, records."""

from __future__ import annotations

import io
import json
import math
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fivefold.data.batches import Batch, Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.checkpoint_callback import ModelCheckpoint
from fivefold.engine.history import History, direction
from fivefold.engine.learner import Step, Steps, SupervisedLearner
from fivefold.engine.loggers import JSONLLogger
from fivefold.engine.monitor import TrainValidationMonitor
from fivefold.engine.progress import ProgressBar
from fivefold.engine.runtime import Runtime
from fivefold.engine.session import Session, current_session, session
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest

from ._toys import ADAM, Curve, gap, network, regression, source, table


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
                Curve([math.nan, 2.0]),
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
