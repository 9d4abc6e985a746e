"""Losses in turn through the engine: the switch at its batch, and the stage after a resume."""

from __future__ import annotations

import signal

import pytest
import torch
from torch import nn

from fivefold.data.batches import Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.learner import SupervisedLearner
from fivefold.engine.runtime import TrainingInterrupted
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer
from fivefold.objectives.focal import FocalLoss, LossSchedule
from fivefold.objectives.margin_softmax import ArcFaceLoss

ROWS, SIZE, EPOCHS, SWITCH = 40, 8, 4, 10  # 5 batches an epoch: the third epoch has the second loss


class Spy(nn.Module):
    """A loss that notes its name at every training call."""

    def __init__(self, name: str, loss: nn.Module, calls: list[str]) -> None:
        super().__init__()
        self.name, self.loss, self.calls = name, loss, calls

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self.training and torch.is_grad_enabled():
            self.calls.append(self.name)
        return self.loss(input, target)


class StopAt(Callback):
    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_batch_end(self, fit, batch) -> None:
        if fit.counters["batches"] == self.batch:
            signal.raise_signal(signal.SIGINT)


def _learner(calls: list[str]) -> SupervisedLearner:
    torch.manual_seed(0)
    losses = [Spy("cross-entropy", nn.BCEWithLogitsLoss(), calls), Spy("focal", FocalLoss(), calls)]
    return SupervisedLearner(nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), LossSchedule(losses, steps=[SWITCH]))


def _batches() -> Batches:
    x = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(1))
    return Batches({"x": x, "y": (x[:, 0] > 0.5).float()}, SIZE)


def _fit(directory, calls: list[str], resume: bool = False, callbacks: tuple = ()) -> SupervisedLearner:
    learner = _learner(calls)
    with session(directory, resume=resume, progress=False):
        parts = {"model": {"optimizer": "adam", "options": {"lr": 0.05}}}
        Trainer(EPOCHS, parts=parts, callbacks=list(callbacks)).fit(learner, _batches(), _batches())
    return learner


def test_the_trainer_switches_after_ten_batches_and_validation_does_not_count(tmp_path) -> None:
    calls: list[str] = []
    learner = _fit(tmp_path, calls)
    assert calls == ["cross-entropy"] * SWITCH + ["focal"] * (EPOCHS * ROWS // SIZE - SWITCH)
    assert learner.objective.stage == 1 and int(learner.objective.count) == EPOCHS * ROWS // SIZE


@pytest.mark.parametrize("at", [4, SWITCH, 13])
def test_a_resumed_run_goes_on_in_its_stage(tmp_path, at: int) -> None:
    whole = _fit(tmp_path / "whole", [])
    first: list[str] = []
    with pytest.raises(TrainingInterrupted):
        _fit(tmp_path / "cut", first, callbacks=(StopAt(at),))
    rest: list[str] = []
    again = _fit(tmp_path / "cut", rest, resume=True)
    assert len(first) == at
    assert first + rest == ["cross-entropy"] * SWITCH + ["focal"] * (EPOCHS * ROWS // SIZE - SWITCH)
    for mine, theirs in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_margin_is_annealed_on_shared_directions() -> None:
    losses = [ArcFaceLoss(3, 2, margin=margin, scale=8.0) for margin in (0.0, 0.25, 0.5)]
    for loss in losses[1:]:
        loss.weight = losses[0].weight
    schedule = LossSchedule(losses, steps=[2, 2])
    assert len(list(schedule.parameters())) == 1
    x, y = torch.randn(6, 3, generator=torch.Generator().manual_seed(2)), torch.arange(6) % 2
    values = [float(schedule(x, y).detach()) for _ in range(6)]
    assert values[0] == values[1] < values[2] == values[3] < values[4] == values[5]
