"""What the evidence of learning-rate schedules shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fivefold.evidence import Check

LRS = (0.7, 0.02)
Made = Callable[[torch.optim.Optimizer], Any]


def two_groups() -> torch.optim.Optimizer:
    """Return an optimizer of two groups with the rates :data:`LRS`."""
    return torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in LRS], lr=1.0)


def rates_of(make: Made, steps: int, metrics: dict[int, float] | None = None) -> np.ndarray:
    """Return the rates (steps + 1, groups); ``metrics`` are handed over after the step of that number."""
    optimizer = two_groups()
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


def apart(ours: Made, theirs: Made, steps: int = 60) -> Check:
    """Compare the rates of two schedules."""
    far = np.abs(rates_of(ours, steps) - rates_of(theirs, steps)).max()
    return Check(float(far), 1e-13, "max |rate difference|", "torch.optim.lr_scheduler")


def by_formula(make: Made, factor: Callable[[int], float], steps: int = 60) -> Check:
    """Compare the rates with the first ones times a factor of the step."""
    expected = np.array([[lr * factor(t) for lr in LRS] for t in range(steps + 1)])
    return Check(float(np.abs(rates_of(make, steps) - expected).max()), 1e-14, "max |rate - formula|", "formula")


def resumed(make: Made, steps: int = 40, at: int = 17, metrics: Callable[[int], float] | None = None) -> Check:
    """A schedule restored at step ``at`` against one that ran through; both may see metrics."""
    note = {t: metrics(t) for t in range(steps)} if metrics else None
    whole = rates_of(make, steps, note)
    optimizer = two_groups()
    schedule = make(optimizer)
    for t in range(at):
        optimizer.step()
        schedule.step(note[t]) if note else schedule.step()
    other = two_groups()
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
