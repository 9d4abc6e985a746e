"""Evidence for the schedule of the batch size."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fivefold.data.batches import Batches
from fivefold.engine.learner import SupervisedLearner
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence
from fivefold.optimizers.schedules.batch_size import BatchSizeSchedule, ScheduledBatches


@evidence(
    "batch-size-schedule",
    claim="Growing, shrinking, clipped and at milestones it yields the sizes asked for",
    against="the lists by hand",
)
def sizes_by_hand() -> Check:
    batches = Batches({"x": np.zeros(20)}, 1)
    cases: list[tuple[dict[str, Any], list[list[int]]]] = [
        ({"initial": 19, "every": 2}, [[19, 1]]),
        ({"initial": 4, "every": 1}, [[4] * 5, [8, 8, 4], [16, 4], [20]]),
        ({"initial": 16, "factor": 0.5, "every": 2, "minimum": 5}, [[16, 4], [16, 4], [8, 8, 4], [8, 8, 4], [5] * 4]),
        (
            {"initial": 3, "factor": 1.5, "milestones": [1, 3], "maximum": 6},
            [[3] * 6 + [2], [5] * 4, [5] * 4, [6, 6, 6, 2]],
        ),
        ({"initial": 2, "every": 3, "unit": "batches"}, [[2, 2, 2, 4, 4, 4, 2], [8, 8, 4], [16, 4]]),
        ({"initial": 8, "factor": 0.25, "milestones": [3], "unit": "batches"}, [[8, 8, 4], [2] * 10]),
    ]
    wrong = 0
    for options, expected in cases:
        initial = options.pop("initial")
        scheduled = ScheduledBatches(batches, BatchSizeSchedule(initial, **options))
        wrong += [scheduled.sizes(e) for e in range(len(expected))] != expected
    dropping = ScheduledBatches(Batches({"x": np.zeros(20)}, 1, drop_last=True), BatchSizeSchedule(8, every=2))
    wrong += [dropping.sizes(e) for e in (0, 2, 4)] != [[8, 8], [16], [20]]
    whole = ScheduledBatches(Batches({"x": np.zeros(20)}, 1, drop_last=True), BatchSizeSchedule(5, every=2))
    wrong += whole.sizes(0) != [5] * 4 or whole.sizes(2) != [10, 10]
    wrong += (
        BatchSizeSchedule(1, every=1).size(5000) != 2**62 or BatchSizeSchedule(1, factor=0.5, every=1).size(5000) != 1
    )
    return Check(wrong, 0, "schedules that differ", "by hand")


class _Twice:
    """A sampler of 10 of the rows, one of them twice."""

    def __len__(self) -> int:
        return 10

    def indices(self, epoch: int) -> np.ndarray:
        return np.array([epoch, 5, 9, 22, 0, 5, 3, 2, 20, 7])


@evidence(
    "batch-size-schedule",
    claim="At a constant size the batches, from any number on and for any rank, are those of Batches",
    against="Batches",
)
def constant_size() -> Check:
    fields = {"x": np.arange(23.0), "y": np.arange(46.0).reshape(23, 2)}
    wrong = 0
    for shuffle in (True, False):
        plain = Batches(fields, 5, shuffle=shuffle, seed=3)
        scheduled = ScheduledBatches(plain, BatchSizeSchedule(5, factor=1.0, every=1))
        for start, rank, world in ((0, 0, 1), (2, 0, 1), (1, 1, 3)):
            pairs = list(zip(plain.epoch(4, start, rank, world), scheduled.epoch(4, start, rank, world), strict=True))
            wrong += sum(a.place != b.place or any(not torch.equal(a[k], b[k]) for k in a) for a, b in pairs) + (
                not pairs
            )
    chosen = Batches(fields, 4, seed=3, sampler=_Twice())
    scheduled = ScheduledBatches(chosen, BatchSizeSchedule(4, factor=1.0, every=1))
    for one, other in zip(chosen.epoch(1), scheduled.epoch(1), strict=True):
        wrong += one.place != other.place or not torch.equal(one["y"], other["y"])
    return Check(wrong, 0, "batches that differ", "Batches")


def _train(batches: Any, width: int, **options: Any) -> tuple[np.ndarray, Any]:
    torch.manual_seed(0)
    module = torch.nn.Linear(1, width, bias=False, dtype=torch.float64)
    torch.nn.init.zeros_(module.weight)
    learner = SupervisedLearner(module, lambda a, b: 0.5 * ((a - b) ** 2).sum(1))
    parts = {"model": {"optimizer": "sgd", "options": {"lr": 0.1}}}
    history = Trainer(parts=parts, precision="64-true", **options).fit(learner, batches)
    return module.weight.detach().numpy()[:, 0].copy(), history


@evidence(
    "batch-size-schedule",
    claim="Training stopped within an epoch and gone on with equals training in one go, to the bit",
    against="the uninterrupted run",
)
def resumes() -> Check:
    rng = np.random.default_rng(1)
    fields = {"x": np.ones((50, 1)), "y": rng.normal(size=(50, 3))}

    def batches() -> ScheduledBatches:
        return ScheduledBatches(Batches(fields, 1, seed=2), BatchSizeSchedule(4, every=5, unit="batches", factor=1.5))

    whole, _ = _train(batches(), 3, max_epochs=4)
    with tempfile.TemporaryDirectory() as folder:
        with session(directory=Path(folder), progress=False):
            _train(batches(), 3, max_epochs=4, max_batches=11)
        with session(directory=Path(folder), progress=False, resume=True):
            resumed, history = _train(batches(), 3, max_epochs=4)
    counted = sum(len(batches().sizes(epoch)) for epoch in range(4))
    gap = float(np.abs(whole - resumed).max()) + (history.counters["batches"] != counted)
    return Check(gap + (len(batches().sizes(0)) >= 11), 0, "difference", "the uninterrupted run")


@evidence(
    "batch-size-schedule",
    claim="SGD ends with less noise under growing batches than under shrinking ones, both as predicted",
    against="the variance in closed form",
)
def ablation() -> Check:
    columns, rows = 2000, 1240
    y = np.random.default_rng(7).normal(size=(rows, columns))  # the columns are independent runs; the optimum is 0
    found, closed = [], []
    for initial, factor in ((40, 0.5), (10, 2.0)):
        scheduled = ScheduledBatches(
            Batches({"x": np.ones((rows, 1)), "y": y}, 1),
            BatchSizeSchedule(initial, factor=factor, every=20, unit="batches", minimum=2, maximum=80),
        )
        weights, _ = _train(scheduled, columns, max_epochs=1)
        found.append(float((weights**2).mean()))
        variance = 0.0
        for size in scheduled.sizes(0):
            variance = 0.9**2 * variance + 0.1**2 / size  # w <- 0.9 w + 0.1 mean of fresh rows
        closed.append(variance)
    # The mean of 2000 squares has a relative standard error of sqrt(2 / 2000) = 0.032.
    gap = float(np.abs(np.array(found) / np.array(closed) - 1).max())
    return Check(gap + (not found[1] <= found[0] / 2), 0.16, "relative difference", "closed form, five standard errors")
