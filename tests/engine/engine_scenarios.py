"""Trainings that must not depend on the number of processes."""

from __future__ import annotations

import torch
from engine_learners import ADAM, ToyGAN, batches, regression

from fivefold.engine.learner import Step, SupervisedLearner


class Moody(SupervisedLearner):
    """Uses its last layer in every second batch only, so some gradients are None."""

    def __init__(self, module):
        super().__init__(module, torch.nn.functional.mse_loss)

    def steps(self, batch):
        hidden = self.module[:2](batch.x)
        if self.counters["batches"] % 2:
            yield Step("model", (hidden.mean(1, keepdim=True) - batch.y).square().mean())
        else:
            yield Step("model", (self.module[3](hidden) - batch.y).square().mean())


def supervised(dtype=torch.float64, max_batches=200):
    # 301 rows in batches of 20: the last batch of an epoch has a single row, so one process has none.
    source = batches(301, 20, dtype)
    validation = batches(101, 50, dtype)
    parts = {"model": {**ADAM["model"], "clip_norm": 0.5, "ema": 0.9, "schedule": "lr-cosine"}}
    return regression(dtype=dtype), source, validation, {"max_batches": max_batches, "parts": parts}


def weighted():
    weight = torch.rand(301, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    weight[::7] = 0
    source = batches(301, 20, weight=weight)
    return regression(per_row=True), source, source, {"max_batches": 200, "parts": ADAM}


def adversarial():
    return ToyGAN(), batches(300, 21), None, {"max_batches": 200}


def accumulated():
    return regression(), batches(301, 10), None, {"max_batches": 200, "parts": ADAM, "accumulate": 3}


def absent():
    return Moody(regression().module), batches(300, 20), None, {"max_batches": 60, "parts": ADAM}


def single():
    return supervised(torch.float32, 20)


SCENARIOS = {
    "supervised": supervised,
    "weighted": weighted,
    "adversarial": adversarial,
    "accumulated": accumulated,
    "absent": absent,
    "single": single,
}
