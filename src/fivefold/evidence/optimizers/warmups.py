"""Evidence for warm-up, sums of schedules and the scaling of the rate with the batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.schedules.cosine import CosineDecay
from fivefold.optimizers.schedules.decays import (
    ExponentialDecay,
    InverseTimeDecay,
    StepDecay,
)
from fivefold.optimizers.schedules.plateau import ReduceOnPlateau
from fivefold.optimizers.schedules.warmup import ConstantWarmup, LinearScaling, LinearWarmup

from ._schedules import LRS, apart, by_formula, rates_of, resumed, two_groups


@evidence("lr-warmup-linear", claim="Step t of T has t/T of the rate, then all of it", against="02#lr-warmup-gradual")
def warmup_formula() -> Check:
    return by_formula(lambda o: LinearWarmup(o, 10), lambda t: min(1.0, (t + 1) / 10), 20)


@evidence("lr-warmup-linear", claim="With a start factor, equal to torch's", against="LinearLR")
def warmup_equals_torch() -> Check:
    return apart(lambda o: LinearWarmup(o, 12, 0.25), lambda o: lr_scheduler.LinearLR(o, 0.25, total_iters=12))


@evidence("lr-warmup-linear", claim="Warm-up plus cosine equals torch's sequence of both", against="SequentialLR")
def warmup_then_cosine() -> Check:
    def theirs(o: torch.optim.Optimizer) -> Any:
        first = lr_scheduler.LinearLR(o, 0.1, total_iters=10)
        second = lr_scheduler.CosineAnnealingLR(o, 40)
        return lr_scheduler.SequentialLR(o, [first, second], [10])

    return apart(lambda o: LinearWarmup(o, 10, 0.1) + CosineDecay(o, 40), theirs, 50)


@evidence(
    "lr-warmup-linear", claim="No jump where the decay takes over, in both forms", against="the largest step of either"
)
def warmup_no_jump() -> Check:
    jumps = []
    for start in (None, 0.0):
        rates = rates_of(lambda o, start=start: LinearWarmup(o, 10, start) + ExponentialDecay(o, 0.95), 30)  # type: ignore[misc]
        jumps.append(np.abs(np.diff(rates, axis=0) / LRS).max() - 0.1)
        jumps.append(abs(rates.max() - 0.7))
    return Check(float(largest(jumps)), 1e-12, "largest change beyond 1/T", "definition")


@evidence(
    "lr-warmup-linear",
    claim="Each schedule of a sum begins from its own start at the step at which the one before ends",
    against="the formulas, piece by piece",
)
def sum_by_hand() -> Check:
    def three(t: int) -> float:
        if t < 4:
            return (t + 1) / 4
        return 0.5 * (1 + math.cos(math.pi * (t - 4) / 6)) if t < 10 else 1 / (1 + 0.3 * (t - 10))

    found = [by_formula(lambda o: LinearWarmup(o, 4) + CosineDecay(o, 6) + InverseTimeDecay(o, 0.3), three, 30).value]
    found.append(
        by_formula(lambda o: LinearWarmup(o, 4) + (CosineDecay(o, 6) + InverseTimeDecay(o, 0.3)), three, 30).value
    )
    found.append(
        by_formula(
            lambda o: LinearScaling(o, 512, warmup_steps=5) + StepDecay(o, 3, 0.5),
            lambda t: 1 + t / 5 if t < 5 else 0.5 ** ((t - 5) // 3),
            20,
        ).value
    )
    return Check(largest(found), 1e-14, "max |rate - formula|", "formulas")


@evidence(
    "lr-warmup-linear",
    claim="In a sum a metric goes to the schedule that is on, with the steps of its own; lengths add up where known",
    against="by hand",
)
def sum_metrics() -> Check:
    # The warm-up is told of the first four steps; the error that ends it comes with step 6 of all, its own step 2.
    errors = dict.fromkeys(range(12), 0.9) | {2: 0.1, 6: 0.1}
    rates = rates_of(lambda o: CosineDecay(o, 4) + ConstantWarmup(o, 0.5, 0.8), 12, errors)[:, 0] / 0.7
    cosine = [0.5 * (1 + math.cos(math.pi * t / 4)) for t in range(4)]
    gap = float(np.abs(rates - [*cosine, 0.5, 0.5, 0.5, *[1.0] * 6]).max())
    # The metric after step number 4 is the first that the second schedule sees.
    falls = rates_of(lambda o: CosineDecay(o, 4) + ReduceOnPlateau(o, patience=0), 8, {3: 1.0, 4: 5.0, 5: 4.0, 6: 6.0})
    gap = largest(gap, float(np.abs(falls[4:, 0] / 0.7 - [1.0, 1.0, 1.0, 0.1, 0.1]).max()))
    optimizer = two_groups()
    endless, known = InverseTimeDecay(optimizer), CosineDecay(optimizer, 4)
    lengths = [(known + CosineDecay(optimizer, 3)).length, (known + endless).length]
    lengths += [(ConstantWarmup(optimizer) + known).length, LinearScaling(optimizer, 512).length]
    lengths.append(LinearScaling(optimizer, 512, warmup_steps=3).length)
    return Check(gap + (lengths != [7, None, None, None, 3]), 1e-14, "max |factor - value|", "by hand")


@evidence(
    "lr-warmup-linear",
    claim="A sum of three, restored in the middle, goes on exactly",
    against="the uninterrupted schedule",
)
def warmup_sum_resumes() -> Check:
    return resumed(lambda o: LinearWarmup(o, 6) + CosineDecay(o, 20, 0.01) + InverseTimeDecay(o, 0.3))


@evidence(
    "lr-warmup-constant",
    claim="Rate 0.01 until the first error below 80 %, then 0.1",
    against="He et al. 2015, by hand",
)
def constant_warmup_switches() -> Check:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = ConstantWarmup(optimizer)
    rates = []
    for error in (0.95, 0.9, 0.8, 0.79, 0.85, 0.3):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step(error)
    rates.append(optimizer.param_groups[0]["lr"])
    expected = np.array([0.01] * 4 + [0.1] * 3)
    return Check(float(np.abs(rates - expected).max()), 1e-15, "max |rate - value|", "by hand")


@evidence(
    "lr-warmup-constant",
    claim="A decay added to it starts when the error falls, and resumes",
    against="the decay moved by hand",
)
def constant_warmup_then() -> Check:
    errors = {t: 1.0 - 0.05 * t for t in range(40)}  # 0.75 < 0.77 is measured after the step of number 5
    rates = rates_of(lambda o: ConstantWarmup(o, 0.2, 0.77) + ExponentialDecay(o, 0.9), 40, errors)
    factor = np.array([0.2 if t < 6 else 0.9 ** (t - 6) for t in range(41)])
    gap = float(np.abs(rates - factor[:, None] * LRS).max())
    broken = resumed(
        lambda o: ConstantWarmup(o, 0.2, 0.77) + ExponentialDecay(o, 0.9), metrics=lambda t: errors[t]
    ).value
    return Check(gap + broken, 1e-14, "max |rate difference|", "by hand")


@evidence("lr-linear-scaling", claim="0.1 at 256 is 0.4 at 1024, and back at 256", against="02#lr-linear-scaling")
def linear_scaling_values() -> Check:
    wrong = 0.0
    for batch, rate in ((256, 0.1), (1024, 0.4), (64, 0.025)):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        LinearScaling(optimizer, batch)
        wrong = largest(wrong, abs(optimizer.param_groups[0]["lr"] - rate))
    return Check(wrong, 1e-15, "max |rate - value|", "worked values")


@evidence(
    "lr-linear-scaling",
    claim="The warm-up moves from the base rate to the scaled one, then a decay follows",
    against="LambdaLR",
)
def linear_scaling_warmup() -> Check:
    def factor(t: int) -> float:
        return 1 + 3 * min(t, 8) / 8

    return apart(lambda o: LinearScaling(o, 1024, warmup_steps=8), lambda o: lr_scheduler.LambdaLR(o, factor), 20)


@evidence(
    "lr-linear-scaling",
    claim="k steps at the rate lr and one at k lr on the mean of their batches agree to second order in lr",
    against="Goyal et al., eq. 3 and 4, on least squares",
)
def linear_scaling_curves() -> Check:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 64, 5)), rng.normal(size=5)
    y = x @ rng.normal(size=5)

    def gap(lr: float) -> float:
        small, big = w.copy(), w.copy()
        for rows, target in zip(x, y):
            small = small - lr * rows.T @ (rows @ small - target) / 64
        rows, target = x.reshape(-1, 5), y.reshape(-1)
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
        LinearScaling(optimizer, 256, 64)
        big = big - optimizer.param_groups[0]["lr"] * rows.T @ (rows @ big - target) / 256
        return float(np.linalg.norm(small - big))

    # Halving lr must quarter the difference, up to the third-order term.
    return Check(abs(gap(1e-4) / gap(5e-5) - 4), 1e-2, "|ratio - 4|", "second-order error")
