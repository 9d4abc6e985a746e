"""Gradient optimizers, schedules and numerical optimizers: PyTorch's and SciPy's protocols, convergence, state."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fivefold.base.cards import Card
from fivefold.workbench.proof import Check


def _optimizer(card: Card, variant: str, parameters: Any) -> torch.optim.Optimizer:
    made: torch.optim.Optimizer = card.load(variant)(parameters, **card.experiment.get("params", {}))
    return made


def _parabola(point: Tensor) -> Tensor:
    return 0.5 * (point[0] - 1) ** 2 + 2 * (point[1] + 2) ** 2


def _descend(optimizer: torch.optim.Optimizer, point: Tensor, steps: int) -> Tensor:
    for _ in range(steps):

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = _parabola(point)
            loss.backward()
            return loss

        optimizer.step(closure)
    return point.detach().clone()


def _point() -> Tensor:
    return torch.zeros(2, dtype=torch.float64, requires_grad=True)


def parabola(card: Card, variant: str) -> Check:
    """It finds the minimum (1, -2) of an ill-conditioned parabola."""
    point = _point()
    end = _descend(_optimizer(card, variant, [point]), point, int(card.experiment.get("steps", 2000)))
    error = (end - torch.tensor([1.0, -2.0], dtype=torch.float64)).abs().max()
    return Check(float(error), 1e-2, "distance to the minimum", "closed form")


def state(card: Card, variant: str) -> Check:
    """Stopping after ten steps and going on from the state dict equals twenty steps in one go, to the bit."""
    whole = _point()
    expected = _descend(_optimizer(card, variant, [whole]), whole, 20)
    first = _point()
    optimizer = _optimizer(card, variant, [first])
    middle = _descend(optimizer, first, 10)
    second = middle.clone().requires_grad_()
    resumed = _optimizer(card, variant, [second])
    resumed.load_state_dict(optimizer.state_dict())
    return Check(float((_descend(resumed, second, 10) - expected).abs().max()), 0, "difference", "uninterrupted steps")


def untouched(card: Card, variant: str) -> Check:
    """A parameter without gradient stays as it is, and groups keep their own learning rate."""
    still, moving = _point(), _point()
    groups = [{"params": [still]}, {"params": [moving], "lr": 0.01}]
    optimizer = _optimizer(card, variant, groups)
    _descend(optimizer, moving, 3)
    wrong = int(torch.any(still != 0)) + int(torch.all(moving == 0)) + int(optimizer.param_groups[1]["lr"] != 0.01)
    return Check(wrong, 0, "violations", "PyTorch's protocol")


def arguments(card: Card, variant: str) -> Check:
    """A learning rate below zero is refused in a sentence."""
    try:
        card.load(variant)([_point()], **{**card.experiment.get("params", {}), "lr": -1.0})
    except ValueError as error:
        return Check(
            0 if "lr" in str(error) or "learning rate" in str(error) else 1, 0, "unclear sentences", "the house rule"
        )
    return Check(1, 0, "accepted a negative learning rate", "the house rule")


GRADIENT = {"parabola": parabola, "state": state, "untouched": untouched, "arguments": arguments}


def _schedule(card: Card, variant: str) -> tuple[torch.optim.Optimizer, Any]:
    optimizer = torch.optim.SGD([_point()], lr=0.3)
    return optimizer, card.load(variant)(optimizer, **card.experiment.get("params", {}))


def _rates(optimizer: torch.optim.Optimizer, schedule: Any, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return rates


def rates(card: Card, variant: str) -> Check:
    """Rates are finite, not negative, and never above the base rate unless the card says so."""
    found = np.array(_rates(*_schedule(card, variant), 30))
    ceiling = float(card.experiment.get("largest_factor", 1.0)) * 0.3 + 1e-12
    return Check(int(np.sum(~np.isfinite(found) | (found < 0) | (found > ceiling))), 0, "violations", "its definition")


def schedule_state(card: Card, variant: str) -> Check:
    """Going on from the state dict gives the same rates as going straight through."""
    expected = _rates(*_schedule(card, variant), 20)
    optimizer, schedule = _schedule(card, variant)
    first = _rates(optimizer, schedule, 10)
    other, resumed = _schedule(card, variant)
    other.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    found = np.array(first + _rates(other, resumed, 10))
    return Check(float(np.abs(found - expected).max()), 0, "largest difference", "the uninterrupted schedule")


SCHEDULE = {"rates": rates, "state": schedule_state}


def _rosenbrock(x: np.ndarray) -> float:
    return float(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


def minimum(card: Card, variant: str) -> Check:
    """It finds the minimum (1, 1) of Rosenbrock's function."""
    result = card.load(variant)().minimize(_rosenbrock, np.array([-1.2, 1.0]))
    return Check(float(np.abs(result.x - 1).max()), 1e-3, "distance to the minimum", "closed form")


def result_fields(card: Card, variant: str) -> Check:
    """The result has SciPy's fields, its value is that of its point, and it says success only then."""
    result = card.load(variant)().minimize(_rosenbrock, np.array([0.5, 0.5]))
    wrong = sum(not hasattr(result, name) for name in ("x", "fun", "success", "status", "message", "nit", "nfev"))
    wrong += int(abs(result.fun - _rosenbrock(result.x)) > 0) + int(not result.success)
    return Check(wrong, 0, "violations", "scipy.optimize.OptimizeResult")


def bad_start(card: Card, variant: str) -> Check:
    """A start that is not finite is refused in a sentence."""
    try:
        card.load(variant)().minimize(_rosenbrock, np.array([np.nan, 1.0]))
    except ValueError as error:
        return Check(
            0 if str(error)[0].isupper() or str(error).startswith("x0") else 1, 0, "unclear sentences", "house rule"
        )
    return Check(1, 0, "accepted NaN", "house rule")


NUMERICAL = {"minimum": minimum, "result": result_fields, "bad-start": bad_start}
