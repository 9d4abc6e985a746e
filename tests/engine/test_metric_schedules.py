"""Schedules that react to a metric: what they get, when, and that a resumed fit goes on with them."""

from __future__ import annotations

import pytest
import torch
from engine_learners import batches, gap, regression, weights

from fivefold.base.errors import SpecError
from fivefold.engine.learner import Sums, SupervisedLearner
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer
from fivefold.optimizers.schedules.cosine import CosineDecay
from fivefold.optimizers.schedules.plateau import ReduceOnPlateau
from fivefold.optimizers.schedules.warmup import ConstantWarmup, LinearWarmup


class Scripted(SupervisedLearner):
    """Reports losses of validation from a list, one an evaluation."""

    def __init__(self, values):
        super().__init__(regression().module, torch.nn.functional.mse_loss)
        self.values = list(values)

    def evaluate(self, batch):
        epoch = self.counters["epochs"]  # epochs that are over
        return Sums(
            loss=(self.values[max(epoch, 1) - 1] * len(batch), len(batch)), error=(0.5 * len(batch), len(batch))
        )


VALUES = [5.0, 4.0, 4.5, 4.4, 3.0, 3.5, 3.6, 3.7, 2.0, 2.5]


def trainer(schedule="lr-plateau", options=None, epochs=10, **settings):
    options = {"factor": 0.5, "patience": 1} if options is None else options
    part = {
        "optimizer": "momentum",
        "options": {"lr": 0.1},
        "schedule": schedule,
        "schedule_options": options,
    }
    return Trainer(max_epochs=epochs, parts={"model": part}, **settings)


def reference(values, **options):
    """Return the rates that torch's own gives after each measurement."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for value in values:
        schedule.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize("schedule", ["lr-plateau", ReduceOnPlateau, torch.optim.lr_scheduler.ReduceLROnPlateau])
def test_a_plateau_gets_the_validation_loss_once_an_epoch(schedule):
    history = trainer(schedule).fit(Scripted(VALUES), batches(64), batches(32))
    rates = reference(VALUES, factor=0.5, patience=1)
    assert history["lr"] == pytest.approx(rates, rel=1e-12)
    assert len(set(rates)) == 3  # two falls, so that the test can fail


def test_without_validation_it_gets_the_training_loss():
    seen = []

    class Watch(ReduceOnPlateau):
        def observe(self, metric, t):
            seen.append((metric, t))
            super().observe(metric, t)

    history = trainer(Watch, epochs=4).fit(regression(), batches(64))
    assert seen == [(loss, t) for t, loss in enumerate(history["loss"])]


def test_another_metric_by_name_and_a_function_that_builds_it():
    def make(optimizer):
        return ConstantWarmup(optimizer, threshold=0.6)

    history = trainer(make, {"metric": "val_error"}, epochs=3).fit(Scripted(VALUES), batches(64), batches(32))
    assert history["lr"] == pytest.approx([0.1] * 3)  # 0.5 < 0.6 after the first epoch
    history = trainer(make, {}, epochs=3).fit(Scripted(VALUES), batches(64), batches(32))
    assert history["lr"] == pytest.approx([0.01] * 3)  # val_loss never falls below 0.6


def test_an_epoch_without_validation_brings_no_measurement():
    seen = []

    class Watch(ReduceOnPlateau):
        def observe(self, metric, t):
            seen.append((metric, t))

    trainer(Watch, epochs=5, validate_every=2).fit(Scripted(VALUES), batches(64), batches(32))
    assert seen == [(VALUES[1], 1), (VALUES[3], 3)]
    history = trainer(torch.optim.lr_scheduler.ReduceLROnPlateau, epochs=6, validate_every=2).fit(
        Scripted(VALUES), batches(64), batches(32)
    )
    assert history["lr"][1::2] == pytest.approx(reference(VALUES[1:6:2], factor=0.5, patience=1))


def test_a_warm_up_in_steps_goes_before_a_plateau():
    def make(optimizer):
        return LinearWarmup(optimizer, 4) + ReduceOnPlateau(optimizer, factor=0.5, patience=0)

    # Two batches an epoch: warmed up after two epochs; the plateau then sees 4.5, 4.4 (better), 4.6 (worse), 4.7 (worse).
    values = [9.0, 9.5, 4.5, 4.4, 4.6, 4.7]
    history = trainer(make, {}, epochs=6).fit(Scripted(values), batches(64), batches(32))
    assert history["lr"] == pytest.approx([0.075, 0.1, 0.1, 0.1, 0.05, 0.025])


def test_a_sum_of_plain_schedules_needs_no_metric():
    def make(optimizer):
        return LinearWarmup(optimizer, 2) + CosineDecay(optimizer, 4)

    history = trainer(make, {}, epochs=2).fit(Scripted(VALUES), batches(64))
    assert history["lr"][-1] < 0.1


@pytest.mark.parametrize("after", [4, 7, 12, 13])
@pytest.mark.parametrize("schedule", ["lr-plateau", torch.optim.lr_scheduler.ReduceLROnPlateau])
def test_a_resumed_fit_goes_on_with_the_schedule(after, schedule, tmp_path):
    def fit(learner, **settings):
        return trainer(schedule, **settings).fit(learner, batches(64), batches(32))

    whole, other = Scripted(VALUES), Scripted(VALUES)
    rates = fit(whole)["lr"]
    with session(tmp_path, progress=False):
        fit(Scripted(VALUES), max_batches=after)
    with session(tmp_path, progress=False, resume=True):
        resumed = fit(other)
    assert resumed["lr"] == rates
    assert gap(weights(whole), weights(other)) == 0


@pytest.mark.parametrize(
    ("schedule", "options", "text"),
    [
        (
            "lr-plateau",
            {"metric": "val_auc"},
            r"reacts to 'val_auc', which no epoch has measured; .* one of loss, val_loss",
        ),
        ("lr-cosine", {"metric": "val_loss"}, r"CosineDecay follows the step number alone; leave \"metric\" out"),
        (
            torch.optim.lr_scheduler.ReduceLROnPlateau,
            {"counter": "batches"},
            "steps once a measurement, so it follows the counter epochs, not 'batches'",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(schedule, options, text):
    with pytest.raises(SpecError, match=text):
        trainer(schedule, options, epochs=1).fit(Scripted(VALUES), batches(64), batches(32))
