"""Checkpoints: whole or not at all, and a resumed fit is the uninterrupted one to the bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from engine_learners import ADAM, ToyGAN, batches, gap, regression, weights

from fivefold.base import codec, files
from fivefold.base.errors import ArtifactError, SpecError, StorageError, TrainingError
from fivefold.engine.callbacks import Callback
from fivefold.engine.checkpoint_callback import ModelCheckpoint
from fivefold.engine.checkpoints import CheckpointStore, load_checkpoint
from fivefold.engine.early_stopping import EarlyStopping
from fivefold.engine.learner import Step, SupervisedLearner
from fivefold.engine.runtime import TrainingInterrupted
from fivefold.engine.session import current_session, session
from fivefold.engine.trainer import Trainer

HERE = Path(__file__).parent
RICH = {"model": {**ADAM["model"], "schedule": "lr-cosine", "ema": 0.9, "clip_norm": 0.3}}


class StopAt(Callback):
    """Interrupts like Ctrl-C after a number of batches."""

    def __init__(self, batch):
        self.batch = batch

    def on_batch_end(self, fit, batch):
        if fit.counters["batches"] == self.batch:
            signal.raise_signal(signal.SIGINT)


def _run(directory, resume=False, callbacks=(), learner=None, epochs=4, **settings):
    learner = learner or regression(0.2)
    settings = {"parts": RICH, "log_every": 7, **settings}
    with session(directory, resume=resume, progress=False):
        history = Trainer(epochs, callbacks=list(callbacks), **settings).fit(learner, batches(), batches(100))
    return learner, history


@pytest.mark.parametrize("at", [1, 7, 10, 25, 39])
def test_interrupted_and_resumed_is_uninterrupted(tmp_path, at):
    whole, history = _run(tmp_path / "whole")
    with pytest.raises(TrainingInterrupted, match=rf"Stopped by Ctrl-C after batch {at} \(epoch .*Go on with --resume"):
        _run(tmp_path / "cut", callbacks=[StopAt(at)])
    again, resumed = _run(tmp_path / "cut", resume=True)
    assert gap(weights(whole), weights(again)) == 0
    assert history.epochs == resumed.epochs and history.counters == resumed.counters
    assert torch.equal(history.averages["model"].shadow[0], resumed.averages["model"].shadow[0])
    assert (tmp_path / "whole/metrics.jsonl").read_bytes() == (tmp_path / "cut/metrics.jsonl").read_bytes()
    mine, theirs = (load_checkpoint(tmp_path / name / "checkpoints/last") for name in ("whole", "cut"))
    for key in ("counters", "epoch", "batch", "meter"):
        assert mine[key] == theirs[key]
    exp_avg = [state["parts"]["model"]["optimizer"]["state"][0]["exp_avg_sq"] for state in (mine, theirs)]
    assert torch.equal(*exp_avg)


def test_two_parts_are_resumed(tmp_path):
    whole, history = _run(tmp_path / "whole", learner=ToyGAN(), parts={})
    with pytest.raises(TrainingInterrupted):
        _run(tmp_path / "cut", learner=ToyGAN(), parts={}, callbacks=[StopAt(13)])
    again, resumed = _run(tmp_path / "cut", True, learner=ToyGAN(), parts={})
    assert gap(weights(whole), weights(again)) == 0 and history.counters == resumed.counters


def test_twice_as_long_is_once_and_resumed(tmp_path):
    whole, _ = _run(tmp_path / "whole", epochs=None, max_batches=26)
    _run(tmp_path / "half", epochs=None, max_batches=13, parts={"model": {**ADAM["model"]}})
    parts = {"model": {**ADAM["model"]}}
    plain, one = _run(tmp_path / "plain", epochs=None, max_batches=26, parts=parts)
    again, two = _run(tmp_path / "half", True, epochs=None, max_batches=26, parts=parts)
    assert gap(weights(plain), weights(again)) == 0 and one.epochs == two.epochs


def test_a_finished_run_resumed_is_the_same(tmp_path):
    first, one = _run(tmp_path, callbacks=[EarlyStopping(patience=0)], epochs=3)
    again, two = _run(tmp_path, True, callbacks=[EarlyStopping(patience=0)], epochs=3)
    assert gap(weights(first), weights(again)) == 0 and one.epochs == two.epochs


def test_accumulation_stops_at_the_end_of_a_window(tmp_path):
    settings = {"parts": ADAM, "accumulate": 3}
    whole, _ = _run(tmp_path / "whole", **settings)
    with pytest.raises(TrainingInterrupted, match="after batch 6"):
        _run(tmp_path / "cut", callbacks=[StopAt(4)], **settings)
    again, _ = _run(tmp_path / "cut", True, **settings)
    assert gap(weights(whole), weights(again)) == 0


def test_extra_state_is_restored(tmp_path):
    class Remembering(SupervisedLearner):
        total = 0.0

        def steps(self, batch):
            self.total += float(batch.x.sum())
            yield Step("model", (self.module(batch.x) - batch.y).square().mean() * (1 + 1e-3 * self.total))

        def extra_state(self):
            return {"total": self.total}

        def load_extra_state(self, state):
            self.total = state["total"]

    def make():
        return Remembering(regression().module, torch.nn.functional.mse_loss)

    whole, _ = _run(tmp_path / "whole", learner=make())
    with pytest.raises(TrainingInterrupted):
        _run(tmp_path / "cut", learner=make(), callbacks=[StopAt(15)])
    again, _ = _run(tmp_path / "cut", True, learner=make())
    assert gap(weights(whole), weights(again)) == 0 and whole.total == again.total


def test_last_best_and_keep(tmp_path):
    written = []

    class Watch(Callback):
        def on_checkpoint(self, fit, path):
            written.append(path.name)

    _, history = _run(tmp_path, epochs=6, callbacks=[ModelCheckpoint(keep=2), Watch()])
    where = tmp_path / "checkpoints"
    assert sorted(p.name for p in where.iterdir()) == ["best", "epoch-0005", "epoch-0006", "last"]
    assert written == ["last"] * 6
    best = history.best("val_loss")["epoch"]
    assert load_checkpoint(where / "best")["epoch"] == best
    assert load_checkpoint(where / "epoch-0005")["counters"]["epochs"] == 5


def test_best_follows_the_direction_of_its_metric(tmp_path):
    class Fake(Callback):
        values = [0.5, 0.9, 0.7]

        def on_epoch_end(self, fit):
            fit.metrics["val_auc"] = self.values[fit.epoch]

    _run(tmp_path, epochs=3, callbacks=[ModelCheckpoint(monitor="val_auc"), Fake()])
    assert load_checkpoint(tmp_path / "checkpoints/best")["epoch"] == 2
    with pytest.raises(
        SpecError, match="ModelCheckpoint follows 'val_acc', which is not measured; measured are: epoch"
    ):
        _run(tmp_path / "b", callbacks=[ModelCheckpoint(monitor="val_acc")])


def test_a_fit_outside_a_session_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert current_session() is None
    Trainer(1, parts=ADAM).fit(regression(), batches())
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr() == ("", "")
    with pytest.raises(SpecError, match="ModelCheckpoint has nowhere to write: give it a directory"):
        Trainer(1, parts=ADAM, callbacks=[ModelCheckpoint()]).fit(regression(), batches())
    Trainer(1, parts=ADAM, callbacks=[ModelCheckpoint(tmp_path / "here")]).fit(regression(), batches())
    assert (tmp_path / "here/last").is_dir()


def test_two_fits_of_one_session_do_not_mix(tmp_path):
    def both(resume, stop=None):
        with session(tmp_path, resume=resume, progress=False, callbacks=[StopAt(stop)] if stop else []):
            first, second = regression(0.2), regression(0.3)
            Trainer(1, parts=RICH).fit(first, batches())
            Trainer(2, parts=RICH).fit(second, batches())
        return first, second

    one = both(False)
    with pytest.raises(TrainingInterrupted):
        both(False, stop=15)  # the first fit has 10 batches, so this is the second
    two = both(True)
    assert gap(weights(one[0]), weights(two[0])) == 0 == gap(weights(one[1]), weights(two[1]))
    assert {"checkpoints", "checkpoints-2", "metrics.jsonl", "metrics-2.jsonl"} <= {p.name for p in tmp_path.iterdir()}


def test_a_bad_loss_keeps_the_last_good_checkpoint(tmp_path):
    class Breaking(SupervisedLearner):
        def steps(self, batch):
            bad = float("nan") if self.counters["batches"] == 23 else 1.0
            yield Step("model", (self.module(batch.x) - batch.y).square().mean() * bad)

    with pytest.raises(TrainingError, match=r"batch 24 \(epoch 3, batch 4 of it\).*last good checkpoint is .*last"):
        _run(tmp_path, learner=Breaking(regression().module, torch.nn.functional.mse_loss))
    state = load_checkpoint(tmp_path / "checkpoints/last")
    assert state["counters"]["batches"] == 20
    assert all(torch.isfinite(v).all() for v in state["learner"].values())


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    class Spoil(Callback):
        def on_epoch_end(self, fit):
            if fit.epoch == 1:
                with torch.no_grad():
                    fit.learner.module[0].weight[0, 0] = float("inf")

    with pytest.raises(
        TrainingError, match="weights of part 'model' are not finite after batch 20, so they were not saved"
    ):
        _run(tmp_path, callbacks=[Spoil()])
    assert load_checkpoint(tmp_path / "checkpoints/last")["counters"]["batches"] == 10


def test_a_foreign_checkpoint_is_refused(tmp_path):
    _run(tmp_path, epochs=1)
    with pytest.raises(
        ArtifactError, match="was written with seed=0, this run has seed=1; a resumed run needs the same"
    ):
        _run(tmp_path, True, seed=1)
    with pytest.raises(ArtifactError, match="does not fit this ToyGAN"):
        _run(tmp_path, True, learner=ToyGAN(), parts={})
    codec.save({"a": 1}, tmp_path / "other")
    with pytest.raises(ArtifactError, match="but not a training checkpoint"):
        load_checkpoint(tmp_path / "other")
    (tmp_path / "checkpoints/last/config.json").write_text("{}")
    with pytest.raises(ArtifactError, match="was changed after it was saved"):
        _run(tmp_path, True)


def test_a_write_cut_short_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save({"learner": {}, "counters": {"n": 1}, "epoch": 1, "batch": 0})
    # Killed between the two renames, and before them.
    os.rename(store.last, store.last.with_name("last.previous"))
    (tmp_path / ".last.half").mkdir()
    store.sweep()
    assert load_checkpoint(store.last)["counters"]["n"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["last"]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StorageError, match="what was there before is intact"):
        store.save({"learner": {}, "counters": {"n": 2}, "epoch": 2, "batch": 0})
    monkeypatch.undo()
    assert load_checkpoint(store.last)["counters"]["n"] == 1


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    def start(name, mode):
        return subprocess.Popen(
            [sys.executable, "engine_killed.py", str(tmp_path / name), mode],
            cwd=HERE,
            stdout=subprocess.PIPE,
            text=True,
        )

    whole = start("whole", "new")
    whole.communicate(timeout=120)
    cut, mode, kills = "cut", "new", 0
    for after in (2, 11, 20):
        process = start(cut, mode)
        for line in process.stdout:
            if int(line) >= after + 2:
                process.kill()
                kills += 1
                break
        process.communicate(timeout=60)
        mode = "resume"
    process = start(cut, "resume")
    process.communicate(timeout=120)
    assert process.returncode == 0 and kills == 3
    finals = [codec.load(tmp_path / name / "final") for name in ("whole", "cut")]
    assert gap(*finals) == 0
    lines = [json.loads(line) for line in (tmp_path / "cut/metrics.jsonl").read_text().splitlines()]
    assert [r["batches"] for r in lines if r["kind"] == "batch"] == list(range(4, 61, 4))
    assert (tmp_path / "whole/metrics.jsonl").read_bytes() == (tmp_path / "cut/metrics.jsonl").read_bytes()
