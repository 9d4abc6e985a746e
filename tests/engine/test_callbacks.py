"""Callbacks: what they show, write and refuse."""

from __future__ import annotations

import io
import json
import re
import sys

import numpy as np
import pytest
import torch
from engine_learners import ADAM, ToyGAN, batches, data, gap, regression, weights
from rich.console import Console

from fivefold.base.errors import InputError, MissingDependencyError, SpecError, UnknownNameError
from fivefold.data.batches import Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.checkpoint_callback import ModelCheckpoint
from fivefold.engine.early_stopping import EarlyStopping
from fivefold.engine.history import History, direction
from fivefold.engine.loggers import JSONLLogger, TensorBoardLogger
from fivefold.engine.monitor import TrainValidationMonitor
from fivefold.engine.progress import ProgressBar
from fivefold.engine.session import current_session, session
from fivefold.engine.trainer import Trainer


class Curve(Callback):
    """Puts given values in the place of a measured metric."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name = values, name

    def on_epoch_end(self, fit):
        fit.metrics[self.name] = self.values[fit.epoch]


def test_early_stopping_says_why():
    stopping = EarlyStopping(patience=2)
    history = Trainer(9, parts=ADAM, callbacks=[Curve([3, 1.0, 2, 2, 2]), stopping]).fit(regression(), batches(64))
    assert len(history) == 4
    assert history.stop_reason == "val_loss has not improved for 2 epochs; the best was 1.0 in epoch 2"
    assert stopping.stopped_epoch == 4


def test_early_stopping_restores_moving_averages_too():
    kept = {}

    class Keep(Callback):
        def on_epoch_end(self, fit):
            kept[fit.epoch] = fit.snapshot()

    parts = {"model": {**ADAM["model"], "ema": 0.9}}
    callbacks = [Curve([3, 1.0, 2, 2, 2]), Keep(), EarlyStopping(patience=2)]
    learner = regression()
    history = Trainer(9, parts=parts, callbacks=callbacks).fit(learner, batches(64))
    assert gap(weights(learner), kept[1]["learner"]) == 0
    assert torch.equal(history.averages["model"].shadow[0], kept[1]["ema"]["model"]["shadow"][0])


def test_early_stopping_without_restore_keeps_the_last_weights():
    plain, stopped = regression(), regression()
    Trainer(4, parts=ADAM).fit(plain, batches(64))
    stopping = EarlyStopping(patience=2, restore_best_weights=False)
    Trainer(9, parts=ADAM, callbacks=[Curve([3, 1.0, 2, 2, 2]), stopping]).fit(stopped, batches(64))
    assert gap(weights(plain), weights(stopped)) == 0


def test_early_stopping_serves_a_second_fit():
    stopping = EarlyStopping(patience=1)
    for _ in range(2):
        history = Trainer(9, parts=ADAM, callbacks=[Curve([1.0, 0.5, 2]), stopping]).fit(regression(), batches(64))
        assert len(history) == 3 and stopping.best == 0.5


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: EarlyStopping(patience=-1), "needs patience, min_delta and start_from_epoch of at least 0"),
        (lambda: EarlyStopping(mode="less"), "mode must be min, max or auto, got 'less'"),
        (lambda: ModelCheckpoint(keep=-1), "needs every_epochs >= 1, every_batches >= 1 and keep >= 0"),
        (lambda: TrainValidationMonitor(None, None, every=0), 'every must be "epoch" or a number of batches, got 0'),
    ],
)
def test_wrong_settings(make, text):
    with pytest.raises(InputError, match=text):
        make()


def test_a_metric_that_is_not_measured():
    trainer = Trainer(2, parts=ADAM, callbacks=[EarlyStopping("val_loss")])
    with pytest.raises(
        SpecError, match="EarlyStopping follows 'val_loss', which is not measured.*give validation batches"
    ):
        trainer.fit(regression(), batches())


def test_validation_every_other_epoch():
    stopping = EarlyStopping("val_loss", patience=50)
    history = Trainer(4, parts=ADAM, validate_every=2, callbacks=[stopping]).fit(regression(), batches(), batches(60))
    assert np.isnan(history["val_loss"]).tolist() == [True, False, True, False]


def test_direction_goes_by_the_name():
    assert direction("val_loss") == direction("val_rmse") == direction("critic/loss") == "min"
    assert direction("val_accuracy") == direction("val_roc-auc") == direction("return") == "max"
    assert direction("val_accuracy", "min") == "min"


def test_history():
    history = Trainer(3, parts=ADAM).fit(regression(), batches(), batches(60))
    assert history.names() == ["epoch", "batches", "loss", "lr", "val_loss"]
    assert history["batches"] == [10, 20, 30] and len(history) == 3 and history.seconds > 0
    assert history.best("val_loss")["val_loss"] == min(history["val_loss"])
    assert history.stop_reason == "max_epochs = 3 reached"
    with pytest.raises(UnknownNameError, match="The history holds no 'val_los'; the nearest are: val_loss"):
        history["val_los"]
    with pytest.raises(InputError, match="was NaN in every epoch"):
        History([{"a": float("nan")}]).best("a")


def test_multi_part_logs_are_told_apart():
    history = Trainer(1).fit(ToyGAN(), batches())
    assert {"critic/loss", "generator/loss", "real", "critic/lr", "generator/lr"} <= set(history.names())


def test_jsonl_writes_null_for_nan(tmp_path):
    logger = JSONLLogger(tmp_path / "deep/log.jsonl")
    Trainer(1, parts=ADAM, callbacks=[Curve([float("nan")]), logger], log_every=100).fit(regression(), batches())
    (line,) = (tmp_path / "deep/log.jsonl").read_text().splitlines()
    assert json.loads(line)["val_loss"] is None


def test_session_logs_and_callbacks(tmp_path):
    seen = []

    class Note(Callback):
        def on_fit_end(self, fit):
            seen.append(fit.status)

    with session(tmp_path, progress=False, callbacks=[Note()]) as opened:
        assert current_session() is opened
        Trainer(2, parts=ADAM).fit(regression(), batches())
    assert current_session() is None and seen == ["completed"]
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert kinds.count("epoch") == 2
    with pytest.raises(InputError, match="devices must be at least 1, got 0"), session(devices=0):
        pass


def test_fit_end_is_called_when_steps_fail():
    seen = []

    class Note(Callback):
        def on_batch_end(self, fit, batch):
            raise RuntimeError("mine")

        def on_fit_end(self, fit):
            seen.append(fit.status)

    with pytest.raises(RuntimeError, match="mine"):
        Trainer(1, parts=ADAM, callbacks=[Note()]).fit(regression(), batches())
    assert seen == ["failed"]


def test_a_callback_may_stop_within_an_epoch():
    class Stop(Callback):
        def on_batch_end(self, fit, batch):
            if fit.counters["batches"] == 13:
                fit.stop("enough")

    history = Trainer(9, parts=ADAM, callbacks=[Stop()]).fit(regression(), batches(), batches(60))
    assert history.stop_reason == "enough" and history.counters["batches"] == 13
    assert len(history) == 2 and history.counters["epochs"] == 1


def test_progress_on_a_terminal():
    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    Trainer(2, parts=ADAM, callbacks=[ProgressBar(console)]).fit(regression(), batches(), batches(60))
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    assert "epoch 2" in text and "20/20" in text and "rows/s" in text and "val_loss=" in text


def test_progress_elsewhere_is_a_line_at_times(monkeypatch):
    console = Console(file=io.StringIO(), width=160)
    bar = ProgressBar(console)
    Trainer(2, parts=ADAM, callbacks=[bar]).fit(regression(), batches())
    assert console.file.getvalue() == ""  # two epochs of a moment are no news

    class Hurry(Callback):
        def on_fit_start(self, fit):
            bar._interval = 0.0

    Trainer(2, parts=ADAM, callbacks=[bar, Hurry()]).fit(regression(), batches())
    assert re.match(r"epoch 1/2: loss=\S+ \([\d,]+ rows/s\)\nepoch 2/2: ", console.file.getvalue())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with session(tmp_path, progress=False, tensorboard=True):
        history = Trainer(2, parts=ADAM, log_every=5).fit(regression(), batches(), batches(60))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    found = events.Scalars("epoch/val_loss")
    assert [e.step for e in found] == [10, 20]
    assert [e.value for e in found] == pytest.approx(history["val_loss"], rel=1e-6)
    assert [e.step for e in events.Scalars("interval/loss")] == [5, 10, 15, 20]


def test_tensorboard_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "fivefold\[tensorboard\]"'):
        Trainer(1, parts=ADAM, callbacks=[TensorBoardLogger(tmp_path)]).fit(regression(), batches())


def test_monitor_adds_to_the_epochs_metrics():
    def rmse(y, out, sample_weight=None):
        return float(np.sqrt(np.average((y - out) ** 2, weights=sample_weight)))

    weight = torch.linspace(0, 1, 300, dtype=torch.float64)
    ordered = Batches({**data(), "weight": weight}, 64, shuffle=False)
    monitor = TrainValidationMonitor(ordered, ordered, {"rmse": rmse})
    learner = regression(per_row=True)
    history = Trainer(2, parts=ADAM, callbacks=[monitor]).fit(learner, batches())
    assert history["train_rmse"] == pytest.approx(np.sqrt(history["train_loss"]), rel=1e-12)
    assert history["train_loss"] == history["validation_loss"] and len(monitor.records) == 2
