"""Evidence for decays, cycles and the plateau rule of the learning rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.schedules._base import Schedule
from fivefold.optimizers.schedules.cycles import CosineWarmRestarts, TriangularCycle
from fivefold.optimizers.schedules.decays import (
    ExponentialDecay,
    InverseSqrtDecay,
    InverseTimeDecay,
    PolynomialDecay,
    StepDecay,
)
from fivefold.optimizers.schedules.plateau import ReduceOnPlateau
from fivefold.optimizers.schedules.warmup import LinearWarmup

from ._schedules import LRS, apart, by_formula, rates_of, resumed, two_groups


@evidence("lr-step-decay", claim="Every N steps, equal to torch's per parameter group", against="StepLR")
def step_equals_torch() -> Check:
    return apart(lambda o: StepDecay(o, 7, 0.3), lambda o: lr_scheduler.StepLR(o, 7, 0.3))


@evidence("lr-step-decay", claim="At milestones, equal to torch's", against="MultiStepLR")
def milestones_equal_torch() -> Check:
    return apart(lambda o: StepDecay(o, [3, 4, 25]), lambda o: lr_scheduler.MultiStepLR(o, [3, 4, 25]))


@evidence(
    "lr-step-decay",
    claim="Given factors apply to the first rate from each milestone on",
    against="02#lr-piecewise-constant",
)
def milestone_factors() -> Check:
    return by_formula(
        lambda o: StepDecay(o, (5, 9), (0.5, 0.25)), lambda t: 1.0 if t < 5 else 0.5 if t < 9 else 0.25, 15
    )


@evidence("lr-step-decay", claim="The default factor is a tenth", against="01#lr-schedules and torch's default")
def step_default() -> Check:
    return by_formula(lambda o: StepDecay(o, 10), lambda t: 0.1 ** (t // 10), 35)


@evidence("lr-step-decay", claim="Restored in the middle it goes on exactly", against="the uninterrupted schedule")
def step_resumes() -> Check:
    return resumed(lambda o: StepDecay(o, [5, 20, 30], [0.5, 0.4, 0.1]))


@evidence("lr-exponential", claim="Equal to torch's", against="ExponentialLR")
def exponential_equals_torch() -> Check:
    return apart(lambda o: ExponentialDecay(o, 0.9), lambda o: lr_scheduler.ExponentialLR(o, 0.9))


@evidence(
    "lr-exponential", claim="The natural form with b is the exponential one with e^-b", against="the identity of 02"
)
def natural_identity() -> Check:
    return apart(
        lambda o: ExponentialDecay(o, 0.3, form="natural"), lambda o: lr_scheduler.ExponentialLR(o, math.exp(-0.3))
    )


@evidence(
    "lr-exponential",
    claim="With decay_steps N the factor is gamma^(t/N), as a staircase gamma^floor(t/N)",
    against="formula",
)
def exponential_staircase() -> Check:
    smooth = by_formula(lambda o: ExponentialDecay(o, 0.8, 5), lambda t: 0.8 ** (t / 5))
    stairs = by_formula(lambda o: ExponentialDecay(o, 0.8, 5, staircase=True), lambda t: 0.8 ** (t // 5))
    natural = by_formula(lambda o: ExponentialDecay(o, 0.8, 5, "natural", True), lambda t: math.exp(-0.8 * (t // 5)))
    still = by_formula(lambda o: ExponentialDecay(o, 0.0, form="natural"), lambda t: 1.0)
    worst = largest(smooth.value, stairs.value, natural.value, still.value)
    return Check(worst, 1e-14, "max |rate - formula|", "formula")


@evidence("lr-exponential", claim="Defaults: 0.99 each step", against="formula")
def exponential_default() -> Check:
    return by_formula(ExponentialDecay, lambda t: 0.99**t)


@evidence(
    "lr-inverse-time",
    claim="The rate is lr / (1 + beta t / N), or with floor(t / N)",
    against="02#lr-inverse-time, Keras' documented form",
)
def inverse_time() -> Check:
    smooth = by_formula(lambda o: InverseTimeDecay(o, 0.5, 4), lambda t: 1 / (1 + 0.5 * t / 4))
    stairs = by_formula(lambda o: InverseTimeDecay(o, 0.5, 4, staircase=True), lambda t: 1 / (1 + 0.5 * (t // 4)))
    plain = by_formula(InverseTimeDecay, lambda t: 1 / (1 + 0.01 * t))
    return Check(largest(smooth.value, stairs.value, plain.value), 1e-14, "max |rate - formula|", "formula")


@evidence(
    "lr-inverse-time", claim="1 / rate grows by beta / lr each step", against="the definition, without the formula"
)
def inverse_time_differences() -> Check:
    rates = rates_of(lambda o: InverseTimeDecay(o, 0.2), 50)
    growth = np.diff(1 / rates, axis=0) - 0.2 / np.array(LRS)
    return Check(float(np.abs(growth).max()), 1e-10, "max |difference|", "definition")


@evidence("lr-inverse-sqrt", claim="At t = 0, 3, 8 the rate is lr, lr / 2, lr / 3", against="05#lr-decay-inv-sqrt")
def inverse_sqrt_values() -> Check:
    rates = rates_of(InverseSqrtDecay, 8)
    gap = largest(float(np.abs(rates[t] - np.array(LRS) / k).max()) for t, k in ((0, 1), (3, 2), (8, 3)))
    return Check(gap, 1e-15, "max |rate - value|", "worked values")


@evidence("lr-inverse-sqrt", claim="Equal to torch's LambdaLR with the factor", against="LambdaLR")
def inverse_sqrt_equals_torch() -> Check:
    return apart(InverseSqrtDecay, lambda o: lr_scheduler.LambdaLR(o, lambda t: (t + 1) ** -0.5))


@evidence(
    "lr-polynomial",
    claim="The rate is lr (beta t + 1)^-alpha, by default one over the root of t + 1",
    against="LambdaLR",
)
def polynomial_equals_lambda() -> Check:
    given = apart(
        lambda o: PolynomialDecay(o, 1.7, 0.3), lambda o: lr_scheduler.LambdaLR(o, lambda t: (0.3 * t + 1) ** -1.7)
    )
    plain = apart(PolynomialDecay, InverseSqrtDecay)
    return Check(largest(given.value, plain.value), 1e-13, "max |rate difference|", "torch LambdaLR")


@evidence(
    "lr-polynomial", claim="The power one is inverse-time decay, the power zero a constant", against="the definition"
)
def polynomial_special() -> Check:
    one = np.abs(rates_of(lambda o: PolynomialDecay(o, 1.0, 0.4), 30) * (1 + 0.4 * np.arange(31))[:, None] - LRS).max()
    zero = np.abs(rates_of(lambda o: PolynomialDecay(o, 0.0), 30) - LRS).max()
    return Check(float(largest(one, zero)), 1e-14, "max |difference|", "definition")


@evidence("lr-plateau", claim="Equal to torch's on a fixed sequence, with every option", against="ReduceLROnPlateau")
def plateau_equals_torch() -> Check:
    rng = np.random.default_rng(3)
    falling = 1 / (1 + np.arange(120)) + 0.05 * rng.normal(size=120)
    falling[50] = np.nan
    options: list[dict[str, Any]] = [
        {},
        {"mode": "max", "factor": 0.5, "patience": 3},
        {"factor": 0.4, "patience": 2, "threshold": 0.1, "cooldown": 4, "min_lr": 1e-3},
        {"mode": "max", "threshold_mode": "abs", "threshold": 0.02, "patience": 0, "factor": 0.9},
        {"threshold_mode": "abs", "threshold": 0.02, "patience": 1, "factor": 0.3, "eps": 1e-3},
    ]
    worst, fell = 0.0, 0
    for given in options:
        metrics = {t: float(m) for t, m in enumerate(falling if given.get("mode", "min") == "min" else -falling + 1)}

        def ours(o: torch.optim.Optimizer, given: dict[str, Any] = given) -> Any:
            return ReduceOnPlateau(o, **given)

        def theirs(o: torch.optim.Optimizer, given: dict[str, Any] = given) -> Any:
            return lr_scheduler.ReduceLROnPlateau(o, **given)

        a, b = rates_of(ours, 120, metrics), rates_of(theirs, 120, metrics)
        worst = largest(worst, float(np.abs(a - b).max()))
        fell += len(np.unique(a[:, 0])) - 1
    return Check(worst + (not fell >= 10), 1e-15, "max |rate difference|", "torch ReduceLROnPlateau")


@evidence(
    "lr-plateau", claim="Patience p: the (p + 1)th bad measurement lowers the rate, others leave it", against="by hand"
)
def plateau_by_hand() -> Check:
    metrics = {0: 1.0, 2: 1.0, 3: 0.99995, 5: 1.2, 8: 0.5, 9: 0.5}  # 0.99995 is less than 0.01 % better
    rates = rates_of(lambda o: ReduceOnPlateau(o, patience=2), 12, metrics)[:, 0] / 0.7
    expected = np.where(np.arange(13) >= 6, 0.1, 1.0)
    return Check(float(np.abs(rates - expected).max()), 1e-15, "max |factor - value|", "by hand")


@evidence(
    "lr-plateau",
    claim="Ties, an infinite or missing first measurement, and falls of just eps are taken as torch takes them",
    against="ReduceLROnPlateau; by hand",
)
def plateau_edges() -> Check:
    tied = np.random.default_rng(5).integers(0, 4, 80) / 4 + 1
    worst, fell = 0.0, 0
    for first in (np.inf, np.nan, 2.5):
        for given in (
            {"threshold": 0.0, "patience": 2},
            {"threshold": 0.0, "patience": 2, "threshold_mode": "abs"},
            {"threshold": 0.25, "patience": 0, "threshold_mode": "abs"},
            {"patience": 0, "factor": 0.5},
            {"patience": 1, "factor": 0.5, "cooldown": 2},
        ):
            for mode in ("min", "max"):
                values = np.r_[first, tied] if mode == "min" else -np.r_[first, tied]
                metrics = {t: float(m) for t, m in enumerate(values)}
                options: dict[str, Any] = {**given, "mode": mode, "eps": 0.0}
                ours = rates_of(lambda o, a=options: ReduceOnPlateau(o, **a), 81, metrics)  # type: ignore[misc]
                theirs = rates_of(lambda o, a=options: lr_scheduler.ReduceLROnPlateau(o, **a), 81, metrics)  # type: ignore[misc]
                worst = largest(worst, float(np.abs(ours / theirs - 1).max()))
                fell += len(np.unique(ours[:, 0])) - 1
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = ReduceOnPlateau(optimizer, factor=0.5, patience=0, eps=0.5)
    for _ in range(4):
        optimizer.step()
        schedule.step(1.0)
    worst += optimizer.param_groups[0]["lr"] != 1.0
    return Check(worst + (not fell >= 30), 1e-13, "max relative rate difference", "torch ReduceLROnPlateau")


@evidence("lr-plateau", claim="Restored in the middle it goes on exactly", against="the uninterrupted schedule")
def plateau_resumes() -> Check:
    return resumed(lambda o: ReduceOnPlateau(o, patience=2, cooldown=1), metrics=lambda t: 1.0 + 0.1 * (t % 5))


@evidence("lr-cyclic-triangular", claim="All modes equal torch's, with unequal sides", against="CyclicLR")
def triangular_equals_torch() -> Check:
    worst = 0.0
    for mode in ("triangular", "triangular2", "exp_range"):

        def ours(o: torch.optim.Optimizer, mode: str = mode) -> Schedule:
            return TriangularCycle(o, [1.5, 0.3], 5, 8, mode, 0.97)

        def theirs(o: torch.optim.Optimizer, mode: str = mode) -> Any:
            return lr_scheduler.CyclicLR(o, list(LRS), [1.5, 0.3], 5, 8, mode, 0.97, cycle_momentum=False)

        worst = largest(worst, apart(ours, theirs, 70).value)
    return Check(worst, 1e-13, "max |rate difference|", "torch CyclicLR")


@evidence(
    "lr-cyclic-triangular",
    claim="From the bound to the other and back in equal steps of 2000 by default",
    against="by hand",
)
def triangular_by_hand() -> Check:
    schedule = TriangularCycle(two_groups(), 1.7)
    found = [schedule.rate(t, 0.7) for t in (0, 500, 2000, 3000, 4000, 4500)]
    return Check(
        float(np.abs(np.array(found) - [0.7, 0.95, 1.7, 1.2, 0.7, 0.95]).max()), 1e-12, "max |rate - value|", "by hand"
    )


@evidence(
    "lr-warm-restarts",
    claim="Equal to torch's for cycles of one length and of growing length",
    against="CosineAnnealingWarmRestarts",
)
def restarts_equal_torch() -> Check:
    worst = 0.0
    for length, times, floor in ((7, 1, 0.0), (5, 2, 0.01), (3, 3, 0.005)):

        def ours(o: torch.optim.Optimizer, a: int = length, b: int = times, c: float = floor) -> Schedule:
            return CosineWarmRestarts(o, a, b, c)

        def theirs(o: torch.optim.Optimizer, a: int = length, b: int = times, c: float = floor) -> Any:
            return lr_scheduler.CosineAnnealingWarmRestarts(o, a, b, c)

        worst = largest(worst, apart(ours, theirs, 100).value)
    return Check(worst, 1e-13, "max |rate difference|", "torch CosineAnnealingWarmRestarts")


@evidence(
    "lr-warm-restarts", claim="Restarts after 4, 4 + 8, 4 + 8 + 16 steps; half the rate amid a cycle", against="by hand"
)
def restarts_by_hand() -> Check:
    rates = rates_of(lambda o: CosineWarmRestarts(o, 4, 2), 30)[:, 0] / 0.7
    gap = largest(abs(rates[t] - 1) for t in (0, 4, 12, 28))
    gap = largest(gap, *(abs(rates[t] - 0.5) for t in (2, 8, 20)))
    return Check(gap + int((rates == 1).sum() != 4), 1e-15, "max |factor - value|", "by hand")


@evidence(
    "lr-warm-restarts",
    claim="Restored in the middle it goes on exactly, after a warm-up too",
    against="the uninterrupted schedule",
)
def restarts_resume() -> Check:
    return resumed(lambda o: LinearWarmup(o, 4) + CosineWarmRestarts(o, 5, 2))
