"""Evidence for decays, warm-ups, cycles and the plateau rule of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.schedules._base import Schedule
from fivefold.optimizers.schedules.cosine import CosineDecay
from fivefold.optimizers.schedules.cycles import CosineWarmRestarts, TriangularCycle
from fivefold.optimizers.schedules.decays import (
    ExponentialDecay,
    InverseSqrtDecay,
    InverseTimeDecay,
    PolynomialDecay,
    StepDecay,
)
from fivefold.optimizers.schedules.plateau import ReduceOnPlateau
from fivefold.optimizers.schedules.warmup import ConstantWarmup, LinearScaling, LinearWarmup

LRS = (0.7, 0.02)
Made = Callable[[torch.optim.Optimizer], Any]


def _optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in LRS], lr=1.0)


def _rates(make: Made, steps: int, metrics: dict[int, float] | None = None) -> np.ndarray:
    """Return the rates (steps + 1, groups); ``metrics`` are handed over after the step of that number."""
    optimizer = _optimizer()
    schedule = make(optimizer)
    rates = [[float(g["lr"]) for g in optimizer.param_groups]]
    for step in range(steps):
        optimizer.step()
        if metrics is not None and step in metrics:
            schedule.step(metrics[step])
        else:
            schedule.step()
        rates.append([float(g["lr"]) for g in optimizer.param_groups])
    return np.array(rates)


def _gap(ours: Made, theirs: Made, steps: int = 60) -> Check:
    gap = np.abs(_rates(ours, steps) - _rates(theirs, steps)).max()
    return Check(float(gap), 1e-13, "max |rate difference|", "torch.optim.lr_scheduler")


def _formula(make: Made, factor: Callable[[int], float], steps: int = 60) -> Check:
    expected = np.array([[lr * factor(t) for lr in LRS] for t in range(steps + 1)])
    return Check(float(np.abs(_rates(make, steps) - expected).max()), 1e-14, "max |rate - formula|", "formula")


def _resumed(make: Made, steps: int = 40, at: int = 17, metrics: Callable[[int], float] | None = None) -> Check:
    """A schedule restored at step ``at`` against one that ran through; both may see metrics."""
    note = {t: metrics(t) for t in range(steps)} if metrics else None
    whole = _rates(make, steps, note)
    optimizer = _optimizer()
    schedule = make(optimizer)
    for t in range(at):
        optimizer.step()
        schedule.step(note[t]) if note else schedule.step()
    other = _optimizer()
    again = make(other)
    again.load_state_dict(schedule.state_dict())
    other.load_state_dict(optimizer.state_dict())
    differing = 0
    for t in range(at, steps):
        other.step()
        again.step(note[t]) if note else again.step()
        differing += [g["lr"] for g in other.param_groups] != whole[t + 1].tolist()
    differing += int(np.ptp(whole[at:, 0]) == 0)  # a rate that never moves would prove nothing
    return Check(differing, 0, "rates that differ", "uninterrupted schedule")


@evidence("lr-step-decay", claim="Every N steps, equal to torch's per parameter group", against="StepLR")
def step_equals_torch() -> Check:
    return _gap(lambda o: StepDecay(o, 7, 0.3), lambda o: lr_scheduler.StepLR(o, 7, 0.3))


@evidence("lr-step-decay", claim="At milestones, equal to torch's", against="MultiStepLR")
def milestones_equal_torch() -> Check:
    return _gap(lambda o: StepDecay(o, [3, 4, 25]), lambda o: lr_scheduler.MultiStepLR(o, [3, 4, 25]))


@evidence(
    "lr-step-decay",
    claim="Given factors apply to the first rate from each milestone on",
    against="02#lr-piecewise-constant",
)
def milestone_factors() -> Check:
    return _formula(lambda o: StepDecay(o, (5, 9), (0.5, 0.25)), lambda t: 1.0 if t < 5 else 0.5 if t < 9 else 0.25, 15)


@evidence("lr-step-decay", claim="The default factor is a tenth", against="01#lr-schedules and torch's default")
def step_default() -> Check:
    return _formula(lambda o: StepDecay(o, 10), lambda t: 0.1 ** (t // 10), 35)


@evidence("lr-step-decay", claim="Restored in the middle it goes on exactly", against="the uninterrupted schedule")
def step_resumes() -> Check:
    return _resumed(lambda o: StepDecay(o, [5, 20, 30], [0.5, 0.4, 0.1]))


@evidence("lr-exponential", claim="Equal to torch's", against="ExponentialLR")
def exponential_equals_torch() -> Check:
    return _gap(lambda o: ExponentialDecay(o, 0.9), lambda o: lr_scheduler.ExponentialLR(o, 0.9))


@evidence(
    "lr-exponential", claim="The natural form with b is the exponential one with e^-b", against="the identity of 02"
)
def natural_identity() -> Check:
    return _gap(
        lambda o: ExponentialDecay(o, 0.3, form="natural"), lambda o: lr_scheduler.ExponentialLR(o, math.exp(-0.3))
    )


@evidence(
    "lr-exponential",
    claim="With decay_steps N the factor is gamma^(t/N), as a staircase gamma^floor(t/N)",
    against="formula",
)
def exponential_staircase() -> Check:
    smooth = _formula(lambda o: ExponentialDecay(o, 0.8, 5), lambda t: 0.8 ** (t / 5))
    stairs = _formula(lambda o: ExponentialDecay(o, 0.8, 5, staircase=True), lambda t: 0.8 ** (t // 5))
    natural = _formula(lambda o: ExponentialDecay(o, 0.8, 5, "natural", True), lambda t: math.exp(-0.8 * (t // 5)))
    still = _formula(lambda o: ExponentialDecay(o, 0.0, form="natural"), lambda t: 1.0)
    worst = largest(smooth.value, stairs.value, natural.value, still.value)
    return Check(worst, 1e-14, "max |rate - formula|", "formula")


@evidence("lr-exponential", claim="Defaults: 0.99 each step", against="formula")
def exponential_default() -> Check:
    return _formula(ExponentialDecay, lambda t: 0.99**t)


@evidence(
    "lr-inverse-time",
    claim="The rate is lr / (1 + beta t / N), or with floor(t / N)",
    against="02#lr-inverse-time, Keras' documented form",
)
def inverse_time() -> Check:
    smooth = _formula(lambda o: InverseTimeDecay(o, 0.5, 4), lambda t: 1 / (1 + 0.5 * t / 4))
    stairs = _formula(lambda o: InverseTimeDecay(o, 0.5, 4, staircase=True), lambda t: 1 / (1 + 0.5 * (t // 4)))
    plain = _formula(InverseTimeDecay, lambda t: 1 / (1 + 0.01 * t))
    return Check(largest(smooth.value, stairs.value, plain.value), 1e-14, "max |rate - formula|", "formula")


@evidence(
    "lr-inverse-time", claim="1 / rate grows by beta / lr each step", against="the definition, without the formula"
)
def inverse_time_differences() -> Check:
    rates = _rates(lambda o: InverseTimeDecay(o, 0.2), 50)
    growth = np.diff(1 / rates, axis=0) - 0.2 / np.array(LRS)
    return Check(float(np.abs(growth).max()), 1e-10, "max |difference|", "definition")


@evidence("lr-inverse-sqrt", claim="At t = 0, 3, 8 the rate is lr, lr / 2, lr / 3", against="05#lr-decay-inv-sqrt")
def inverse_sqrt_values() -> Check:
    rates = _rates(InverseSqrtDecay, 8)
    gap = largest(float(np.abs(rates[t] - np.array(LRS) / k).max()) for t, k in ((0, 1), (3, 2), (8, 3)))
    return Check(gap, 1e-15, "max |rate - value|", "worked values")


@evidence("lr-inverse-sqrt", claim="Equal to torch's LambdaLR with the factor", against="LambdaLR")
def inverse_sqrt_equals_torch() -> Check:
    return _gap(InverseSqrtDecay, lambda o: lr_scheduler.LambdaLR(o, lambda t: (t + 1) ** -0.5))


@evidence(
    "lr-polynomial",
    claim="The rate is lr (beta t + 1)^-alpha, by default one over the root of t + 1",
    against="LambdaLR",
)
def polynomial_equals_lambda() -> Check:
    given = _gap(
        lambda o: PolynomialDecay(o, 1.7, 0.3), lambda o: lr_scheduler.LambdaLR(o, lambda t: (0.3 * t + 1) ** -1.7)
    )
    plain = _gap(PolynomialDecay, InverseSqrtDecay)
    return Check(largest(given.value, plain.value), 1e-13, "max |rate difference|", "torch LambdaLR")


@evidence(
    "lr-polynomial", claim="The power one is inverse-time decay, the power zero a constant", against="the definition"
)
def polynomial_special() -> Check:
    one = np.abs(_rates(lambda o: PolynomialDecay(o, 1.0, 0.4), 30) * (1 + 0.4 * np.arange(31))[:, None] - LRS).max()
    zero = np.abs(_rates(lambda o: PolynomialDecay(o, 0.0), 30) - LRS).max()
    return Check(float(largest(one, zero)), 1e-14, "max |difference|", "definition")


@evidence("lr-warmup-linear", claim="Step t of T has t/T of the rate, then all of it", against="02#lr-warmup-gradual")
def warmup_formula() -> Check:
    return _formula(lambda o: LinearWarmup(o, 10), lambda t: min(1.0, (t + 1) / 10), 20)


@evidence("lr-warmup-linear", claim="With a start factor, equal to torch's", against="LinearLR")
def warmup_equals_torch() -> Check:
    return _gap(lambda o: LinearWarmup(o, 12, 0.25), lambda o: lr_scheduler.LinearLR(o, 0.25, total_iters=12))


@evidence("lr-warmup-linear", claim="Warm-up plus cosine equals torch's sequence of both", against="SequentialLR")
def warmup_then_cosine() -> Check:
    def theirs(o: torch.optim.Optimizer) -> Any:
        first = lr_scheduler.LinearLR(o, 0.1, total_iters=10)
        second = lr_scheduler.CosineAnnealingLR(o, 40)
        return lr_scheduler.SequentialLR(o, [first, second], [10])

    return _gap(lambda o: LinearWarmup(o, 10, 0.1) + CosineDecay(o, 40), theirs, 50)


@evidence(
    "lr-warmup-linear", claim="No jump where the decay takes over, in both forms", against="the largest step of either"
)
def warmup_no_jump() -> Check:
    jumps = []
    for start in (None, 0.0):
        rates = _rates(lambda o, start=start: LinearWarmup(o, 10, start) + ExponentialDecay(o, 0.95), 30)  # type: ignore[misc]
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

    found = [_formula(lambda o: LinearWarmup(o, 4) + CosineDecay(o, 6) + InverseTimeDecay(o, 0.3), three, 30).value]
    found.append(
        _formula(lambda o: LinearWarmup(o, 4) + (CosineDecay(o, 6) + InverseTimeDecay(o, 0.3)), three, 30).value
    )
    found.append(
        _formula(
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
    rates = _rates(lambda o: CosineDecay(o, 4) + ConstantWarmup(o, 0.5, 0.8), 12, errors)[:, 0] / 0.7
    cosine = [0.5 * (1 + math.cos(math.pi * t / 4)) for t in range(4)]
    gap = float(np.abs(rates - [*cosine, 0.5, 0.5, 0.5, *[1.0] * 6]).max())
    # The metric after step number 4 is the first that the second schedule sees.
    falls = _rates(lambda o: CosineDecay(o, 4) + ReduceOnPlateau(o, patience=0), 8, {3: 1.0, 4: 5.0, 5: 4.0, 6: 6.0})
    gap = largest(gap, float(np.abs(falls[4:, 0] / 0.7 - [1.0, 1.0, 1.0, 0.1, 0.1]).max()))
    optimizer = _optimizer()
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
    return _resumed(lambda o: LinearWarmup(o, 6) + CosineDecay(o, 20, 0.01) + InverseTimeDecay(o, 0.3))


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
    rates = _rates(lambda o: ConstantWarmup(o, 0.2, 0.77) + ExponentialDecay(o, 0.9), 40, errors)
    factor = np.array([0.2 if t < 6 else 0.9 ** (t - 6) for t in range(41)])
    gap = float(np.abs(rates - factor[:, None] * LRS).max())
    broken = _resumed(
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

    return _gap(lambda o: LinearScaling(o, 1024, warmup_steps=8), lambda o: lr_scheduler.LambdaLR(o, factor), 20)


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

        a, b = _rates(ours, 120, metrics), _rates(theirs, 120, metrics)
        worst = largest(worst, float(np.abs(a - b).max()))
        fell += len(np.unique(a[:, 0])) - 1
    return Check(worst + (fell < 10), 1e-15, "max |rate difference|", "torch ReduceLROnPlateau")


@evidence(
    "lr-plateau", claim="Patience p: the (p + 1)th bad measurement lowers the rate, others leave it", against="by hand"
)
def plateau_by_hand() -> Check:
    metrics = {0: 1.0, 2: 1.0, 3: 0.99995, 5: 1.2, 8: 0.5, 9: 0.5}  # 0.99995 is less than 0.01 % better
    rates = _rates(lambda o: ReduceOnPlateau(o, patience=2), 12, metrics)[:, 0] / 0.7
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
                ours = _rates(lambda o, a=options: ReduceOnPlateau(o, **a), 81, metrics)  # type: ignore[misc]
                theirs = _rates(lambda o, a=options: lr_scheduler.ReduceLROnPlateau(o, **a), 81, metrics)  # type: ignore[misc]
                worst = largest(worst, float(np.abs(ours / theirs - 1).max()))
                fell += len(np.unique(ours[:, 0])) - 1
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = ReduceOnPlateau(optimizer, factor=0.5, patience=0, eps=0.5)
    for _ in range(4):
        optimizer.step()
        schedule.step(1.0)
    worst += optimizer.param_groups[0]["lr"] != 1.0
    return Check(worst + (fell < 30), 1e-13, "max relative rate difference", "torch ReduceLROnPlateau")


@evidence("lr-plateau", claim="Restored in the middle it goes on exactly", against="the uninterrupted schedule")
def plateau_resumes() -> Check:
    return _resumed(lambda o: ReduceOnPlateau(o, patience=2, cooldown=1), metrics=lambda t: 1.0 + 0.1 * (t % 5))


@evidence("lr-cyclic-triangular", claim="All modes equal torch's, with unequal sides", against="CyclicLR")
def triangular_equals_torch() -> Check:
    worst = 0.0
    for mode in ("triangular", "triangular2", "exp_range"):

        def ours(o: torch.optim.Optimizer, mode: str = mode) -> Schedule:
            return TriangularCycle(o, [1.5, 0.3], 5, 8, mode, 0.97)

        def theirs(o: torch.optim.Optimizer, mode: str = mode) -> Any:
            return lr_scheduler.CyclicLR(o, list(LRS), [1.5, 0.3], 5, 8, mode, 0.97, cycle_momentum=False)

        worst = largest(worst, _gap(ours, theirs, 70).value)
    return Check(worst, 1e-13, "max |rate difference|", "torch CyclicLR")


@evidence(
    "lr-cyclic-triangular",
    claim="From the bound to the other and back in equal steps of 2000 by default",
    against="by hand",
)
def triangular_by_hand() -> Check:
    schedule = TriangularCycle(_optimizer(), 1.7)
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

        worst = largest(worst, _gap(ours, theirs, 100).value)
    return Check(worst, 1e-13, "max |rate difference|", "torch CosineAnnealingWarmRestarts")


@evidence(
    "lr-warm-restarts", claim="Restarts after 4, 4 + 8, 4 + 8 + 16 steps; half the rate amid a cycle", against="by hand"
)
def restarts_by_hand() -> Check:
    rates = _rates(lambda o: CosineWarmRestarts(o, 4, 2), 30)[:, 0] / 0.7
    gap = largest(abs(rates[t] - 1) for t in (0, 4, 12, 28))
    gap = largest(gap, *(abs(rates[t] - 0.5) for t in (2, 8, 20)))
    return Check(gap + int((rates == 1).sum() != 4), 1e-15, "max |factor - value|", "by hand")


@evidence(
    "lr-warm-restarts",
    claim="Restored in the middle it goes on exactly, after a warm-up too",
    against="the uninterrupted schedule",
)
def restarts_resume() -> Check:
    return _resumed(lambda o: LinearWarmup(o, 4) + CosineWarmRestarts(o, 5, 2))
