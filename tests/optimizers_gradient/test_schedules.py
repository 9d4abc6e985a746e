"""Bad input of schedules, and what a sum of schedules refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fivefold.base.errors import InputError
from fivefold.optimizers import (
    ConstantWarmup,
    CosineDecay,
    CosineWarmRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LinearScaling,
    LinearWarmup,
    PolynomialDecay,
    ReduceOnPlateau,
    StepDecay,
    TriangularCycle,
)


def sgd(lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


BAD: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (StepDecay, {"step_size": 0}, "StepDecay: step_size must be a whole number >= 1, got 0."),
    (StepDecay, {"step_size": 5, "gamma": 0.0}, "gamma must be a finite number > 0 and <= 1, got 0.0."),
    (StepDecay, {"step_size": [5, 5]}, "milestones must rise"),
    (StepDecay, {"step_size": [5, 9], "gamma": [0.1]}, "gamma gives 1 factors for 2 milestones"),
    (ExponentialDecay, {"gamma": 1.5}, "gamma must be a finite number > 0 and <= 1"),
    (ExponentialDecay, {"form": "natual"}, "form must be 'exponential' or 'natural', got 'natual'."),
    (ExponentialDecay, {"gamma": -1.0, "form": "natural"}, "gamma must be a finite number >= 0"),
    (InverseTimeDecay, {"decay_rate": float("nan")}, "decay_rate must be a finite number >= 0, got nan."),
    (PolynomialDecay, {"alpha": -1.0}, "alpha must be a finite number >= 0, got -1.0."),
    (LinearWarmup, {"warmup_steps": 2.5}, "warmup_steps must be a whole number >= 1, got 2.5."),
    (LinearWarmup, {"warmup_steps": 5, "start_factor": 2.0}, "start_factor must be a finite number >= 0 and <= 1"),
    (ConstantWarmup, {"factor": 0.0}, "factor must be a finite number > 0 and <= 1"),
    (LinearScaling, {"batch_size": 0}, "batch_size must be a whole number >= 1, got 0."),
    (ReduceOnPlateau, {"factor": 1.0}, "factor must be below 1"),
    (ReduceOnPlateau, {"mode": "least"}, "mode must be 'min' or 'max', got 'least'."),
    (ReduceOnPlateau, {"threshold_mode": "x"}, "threshold_mode must be 'rel' or 'abs'"),
    (TriangularCycle, {"max_lr": 0.01}, "max_lr 0.01 is below the rate of parameter group 0, 0.1."),
    (TriangularCycle, {"max_lr": [1.0, 2.0]}, "max_lr has 2 values for 1 parameter groups"),
    (TriangularCycle, {"max_lr": 1.0, "mode": "square"}, "mode must be one of triangular, triangular2, exp_range"),
    (CosineWarmRestarts, {"T_0": 0}, "T_0 must be a whole number >= 1"),
    (CosineDecay, {"total_steps": 0}, "total_steps must be a whole number >= 1"),
]


@pytest.mark.parametrize(("make", "options", "text"), BAD)
def test_bad_arguments_are_refused_in_a_sentence(make: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError) as caught:
        make(sgd(), **options)
    assert text in str(caught.value)


def test_a_sum_refuses_what_never_ends_and_strangers() -> None:
    optimizer = sgd()
    with pytest.raises(InputError, match="ExponentialDecay never ends"):
        ExponentialDecay(optimizer) + CosineDecay(optimizer, 5)
    with pytest.raises(InputError, match="same optimizer"):
        LinearWarmup(optimizer, 5) + CosineDecay(sgd(), 5)
    with pytest.raises(TypeError):
        LinearWarmup(optimizer, 5) + 3  # type: ignore[operator]


def test_a_plateau_after_a_warm_up_sees_the_metric_only_then() -> None:
    optimizer = sgd(1.0)
    schedule = LinearWarmup(optimizer, 3) + ReduceOnPlateau(optimizer, patience=0, factor=0.5)
    rates = []
    for _ in range(6):
        optimizer.step()
        schedule.step(1.0)
        rates.append(optimizer.param_groups[0]["lr"])
    # Two warming steps, the first full rate, then the measurement that becomes the best, then two that are no better.
    assert rates == pytest.approx([2 / 3, 1.0, 1.0, 1.0, 0.5, 0.25])


def test_get_last_lr_and_state_are_plain_data() -> None:
    optimizer = sgd()
    schedule = LinearWarmup(optimizer, 2) + CosineDecay(optimizer, 5)
    assert schedule.get_last_lr() == [pytest.approx(0.05)]
    state = schedule.state_dict()
    assert state["first"]["warmup_steps"] == 2
    assert state["second"]["total_steps"] == 5
    assert "optimizer" not in state
