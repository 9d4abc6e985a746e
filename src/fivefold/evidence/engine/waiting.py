"""Early stopping waits for a metric that is measured later, and refuses one that never is."""

from __future__ import annotations

import torch

from fivefold.base.errors import SpecError
from fivefold.data.batches import Batches
from fivefold.engine.early_stopping import EarlyStopping
from fivefold.engine.learner import SupervisedLearner
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence


def _epochs_until_refused(monitor: str, validate_every: int, validated: bool) -> int:
    """Return the epoch in which the monitor is refused, 0 when it never is within six."""
    torch.manual_seed(0)
    learner = SupervisedLearner(torch.nn.Linear(1, 1), torch.nn.MSELoss())
    batches = Batches({"x": torch.zeros(4, 1), "y": torch.zeros(4, 1)}, 4)
    trainer = Trainer(6, validate_every=validate_every, callbacks=[EarlyStopping(monitor, patience=9)])
    try:
        trainer.fit(learner, batches, batches if validated else None)
    except SpecError:
        return int(learner.counters["epochs"])
    return 0


@evidence(
    "early-stopping",
    claim="A metric of every third epoch is waited for; an unknown one is refused as soon as it could have come",
    against="written out",
)
def waits_for_validation() -> Check:
    cases = [
        ("val_loss", 3, True, 0),
        ("loss", 1, False, 0),
        ("val_los", 3, True, 3),
        ("val_los", 1, True, 1),
        ("val_loss", 3, False, 1),
    ]
    wrong = sum(_epochs_until_refused(*case[:3]) != case[3] for case in cases)
    return Check(wrong, 0, "cases refused in another epoch", "written out")
