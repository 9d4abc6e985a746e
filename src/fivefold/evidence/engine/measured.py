"""Evidence that the engine hands schedules their metric: which number, when, and that a resumed fit goes on."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from typing import Any

import torch

from fivefold.base.errors import SpecError
from fivefold.data.batches import Batch
from fivefold.engine.history import History
from fivefold.engine.learner import Sums, SupervisedLearner
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.schedules.plateau import ReduceOnPlateau
from fivefold.optimizers.schedules.warmup import ConstantWarmup, LinearWarmup

from ._toys import gap, regression, source

LOSSES = (5.0, 4.0, 4.5, 4.4, 3.0, 3.5, 3.6, 3.7, 2.0, 2.5)
"""Falls, and does not fall for longer than the patience twice."""


class _Scripted(SupervisedLearner):
    """Says beforehand which losses and errors its validations find."""

    def __init__(self, losses: Sequence[float] = LOSSES, errors: Sequence[float] = ()) -> None:
        super().__init__(regression().module, torch.nn.functional.mse_loss)
        self.losses, self.errors = losses, errors

    def evaluate(self, batch: Batch) -> Sums:
        epoch = max(self.counters["epochs"], 1) - 1
        errors = {"error": (self.errors[epoch] * len(batch), len(batch))} if self.errors else {}
        return Sums(loss=(self.losses[epoch] * len(batch), len(batch)), **errors)


def _fit(learner: Any, schedule: Any, options: dict[str, Any], *, validate: bool = True, **settings: Any) -> History:
    part = {"optimizer": "momentum", "options": {"lr": 0.1}, "schedule": schedule, "schedule_options": options}
    settings = {"max_epochs": len(LOSSES), **settings}
    # Two batches an epoch.
    return Trainer(parts={"model": part}, **settings).fit(learner, source(64), source(32) if validate else None)


def _torch_rates(values: Sequence[float], **options: Any) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for value in values:
        schedule.step(value)
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates


def _worst(found: Sequence[float], expected: Sequence[float]) -> float:
    return largest(abs(a - b) for a, b in zip(found, expected, strict=True))


@evidence(
    "lr-plateau",
    claim="In training it gets the validation loss once an epoch, or the training loss without validation",
    against="torch ReduceLROnPlateau fed with the record",
)
def plateau_in_training() -> Check:
    options = {"factor": 0.5, "patience": 1}
    expected = _torch_rates(LOSSES, **options)
    worst = 0.0
    for schedule in (
        "lr-plateau",
        torch.optim.lr_scheduler.ReduceLROnPlateau,
        functools.partial(ReduceOnPlateau, cooldown=0),
    ):
        worst = largest(worst, _worst(_fit(_Scripted(), schedule, options)["lr"], expected))
    worst += len(set(expected)) != 3
    strict = {"factor": 0.5, "patience": 0, "threshold": 0.3}  # a fall by less than 30 % is none
    history = _fit(regression(), "lr-plateau", strict, validate=False)
    worst = largest(worst, _worst(history["lr"], _torch_rates(history["loss"], **strict)))
    worst += len(set(history["lr"])) < 2
    return Check(worst, 1e-15, "max |rate - torch|", "torch ReduceLROnPlateau")


@evidence(
    "lr-plateau",
    claim="Epochs without validation bring no measurement; after a warm-up in steps the plateau goes on from there",
    against="the rule, step by step",
)
def plateau_skips_and_follows() -> Check:
    seen: list[tuple[float, int]] = []

    class Watch(ReduceOnPlateau):
        def observe(self, metric: float, t: int) -> None:
            seen.append((metric, t))
            super().observe(metric, t)

    _fit(_Scripted(), Watch, {}, validate_every=3)
    wrong = float(seen != [(LOSSES[e], e) for e in (2, 5, 8)])

    def both(optimizer: Any) -> Any:
        return LinearWarmup(optimizer, 4) + ReduceOnPlateau(optimizer, factor=0.5, patience=0)

    losses = (9.0, 9.5, 4.5, 4.4, 4.6, 4.7)
    found = _fit(_Scripted(losses), both, {}, max_epochs=6)["lr"]
    # Two steps an epoch: after the first the rate of step 3 of 4; the plateau begins with 9.5, the fifth and sixth are worse.
    wrong = largest(wrong, _worst(found, [0.075, 0.1, 0.1, 0.1, 0.05, 0.025]))
    return Check(wrong, 1e-15, "max |rate - rule| + wrong facts", "the rule")


@evidence(
    "lr-plateau",
    claim="A fit stopped anywhere and resumed ends with the rates and weights of one that ran through",
    against="the uninterrupted fit",
)
def plateau_resumes_in_training() -> Check:
    options = {"factor": 0.5, "patience": 1}
    whole = _Scripted()
    rates = _fit(whole, "lr-plateau", options)["lr"]
    worst = 0.0
    for after in (7, 14):  # inside an epoch, with one measurement without improvement counted; at the end of one
        with tempfile.TemporaryDirectory() as folder:
            with session(folder, progress=False):
                _fit(_Scripted(), "lr-plateau", options, max_batches=after)
            other = _Scripted()
            with session(folder, progress=False, resume=True):
                resumed = _fit(other, "lr-plateau", options)
        worst = largest(worst, _worst(resumed["lr"], rates), gap(whole, other))
    return Check(worst, 0.0, "max difference", "the uninterrupted fit")


@evidence(
    "lr-warmup-constant",
    claim="In training it switches after the first epoch with an error below the threshold, named by its metric",
    against="He et al. 2015, section 4.2",
)
def constant_warmup_in_training() -> Check:
    errors = (0.9, 0.8, 0.79, 0.95, 0.5)
    learner = _Scripted(LOSSES, errors)
    found = _fit(learner, "lr-warmup-constant", {"metric": "val_error"}, max_epochs=5)["lr"]
    worst = _worst(found, [0.01, 0.01, 0.1, 0.1, 0.1])
    # Of the validation loss, which never falls below 0.8, it would learn nothing.
    worst = largest(worst, _worst(_fit(learner, ConstantWarmup, {}, max_epochs=5)["lr"], [0.01] * 5))
    return Check(worst, 1e-15, "max |rate - rule|", "02#lr-warmup-constant")


@evidence(
    "trainer",
    claim="A metric that no epoch measures, or that its schedule cannot use, is refused by name",
    against="written out",
)
def metrics_refused() -> Check:
    wrong = 0
    for schedule, options, text in (
        ("lr-plateau", {"metric": "val_auc"}, "reacts to 'val_auc', which no epoch has measured"),
        ("lr-plateau", {"metric": "auc"}, "one of loss, val_loss."),
        ("lr-cosine", {"metric": "val_loss"}, "CosineDecay follows the step number alone"),
        (
            torch.optim.lr_scheduler.ReduceLROnPlateau,
            {"counter": "batches"},
            "follows the counter epochs, not 'batches'",
        ),
    ):
        try:
            _fit(_Scripted(), schedule, options, max_epochs=1)
            wrong += 1
        except SpecError as error:
            wrong += text not in str(error)
    return Check(wrong, 0, "not refused", "written out")
