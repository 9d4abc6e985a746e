"""Gradient optimizers, schedules and numerical optimizers: PyTorch's and SciPy's protocols, convergence, state."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fivefold.base.cards import Card
from fivefold.base.errors import InputError
from fivefold.workbench.proof import Check, largest


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


_LINE = re.compile(r"^(\w+(?:, \w+)*) : (.+)$")
_RANGE = re.compile(r"\bin ([\[(])(-?[\d.]+), ([\d.]+)([\])])|([<>]=?) ([\d.]+)")


def _documented(make: Any) -> dict[str, str]:
    """Return what the docstring says behind the name of each parameter."""
    lines = (
        (inspect.getdoc(make) or "").partition("Parameters\n----------\n")[2].partition("\nRaises\n")[0].splitlines()
    )
    found = (match for match in map(_LINE.match, lines) if match)
    return {name: match[2] for match in found for name in match[1].split(", ")}


def _defaults(make: Any) -> int:
    """Return how many parameters have another default than their docstring says, or none there."""
    wrong = 0
    said = _documented(make)
    for name, parameter in inspect.signature(make).parameters.items():
        text = said.get(name, "")
        given = re.search(r"default (\(.+?\)|\S+?)(?:[;,]|\.?$)", text)
        wanted = ast.literal_eval(given[1]) if given else None if "optional" in text else inspect.Parameter.empty
        wrong += wanted != parameter.default
    return wrong


def _probes(text: str) -> Iterator[tuple[float, bool]]:
    """Yield values at the ends of a documented range and beyond, each with whether it lies inside."""
    match = _RANGE.search(text)
    if not match:
        return
    whole = text.startswith("int")
    hair = 1 if whole else 1e-6
    left, low, high, right, sign, bound = match.groups()
    kind: Callable[[str], float] = int if whole else float
    least, closed = (kind(low), left == "[") if low else (kind(bound), sign == ">=")
    yield least, closed
    yield least - hair, False
    yield least + hair, True
    if high:
        yield kind(high), right == "]"
        yield kind(high) + hair, False
        yield kind(high) - hair, True


def _kept(make: Callable[[dict[str, Any]], Any], said: dict[str, str], given: dict[str, Any]) -> int:
    """Return how many values at the ends of the documented ranges are not taken, or refused, as documented."""
    wrong = 0
    for name, text in said.items():
        for value, inside in _probes(text):
            for choice in ((value, 0.5), (0.5, value)) if text.startswith("pair") else (value,):
                try:
                    make({**given, name: choice})
                    wrong += not inside
                except InputError as error:
                    wrong += inside or name not in str(error)
    return wrong


def documented(card: Card, variant: str) -> Check:
    """The defaults are those of the docstring, and the ranges there, ends included, are those that are kept."""
    make = card.load(variant)
    wrong = _defaults(make) + _kept(lambda options: make([_point()], **options), _documented(make), {})
    return Check(wrong, 0, "parameters that differ", "the docstring")


def _end(make: Any, grads: list[list[float]], start: tuple[float, ...] = (1.0, -0.5), **options: Any) -> Tensor:
    """Return where given gradients lead."""
    p = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = make([p], **options)
    for grad in grads:
        p.grad = torch.tensor(grad, dtype=torch.float64)
        optimizer.step()
    return p.detach()


def protocol(card: Card, variant: str) -> Check:
    """Zero gradients and a rate of 0 move nothing; ``maximize`` and both decays are what they are called."""
    make, gap = card.load(variant), 0.0
    known = inspect.signature(make).parameters
    grads = [[1.0, -2.0], [0.5, 0.25], [-1.0, 3.0]]
    start = torch.tensor([1.0, -0.5], dtype=torch.float64)
    begun = (
        {"initial_accumulator": 0.0} if "initial_accumulator" in known else {}
    )  # Yogi's is the first mean gradient too
    pairs = [(_end(make, [[0.0, 0.0]] * 2, **begun), start)]
    if ">= 0" in _documented(make)["lr"]:
        pairs.append((_end(make, grads[:1], lr=0.0), start))
    if "maximize" in known:
        pairs.append((_end(make, grads, maximize=True), _end(make, [[-g for g in row] for row in grads])))
    if "weight_decay" in known:
        # A decay of exactly one is no special case; the first step along g + p is known.
        whole = [[g + x for g, x in zip(grads[0], start.tolist(), strict=True)]]
        pairs.append((_end(make, grads[:1], lr=0.1, weight_decay=1.0), _end(make, whole, lr=0.1)))
    if "decoupled_weight_decay" in known:
        ours = _end(make, grads[:1], lr=0.1, weight_decay=1.0, decoupled_weight_decay=True)
        pairs.append((ours, _end(make, grads[:1], lr=0.1) - 0.1 * start))
    for ours, theirs in pairs:
        gap = largest(gap, float((ours - theirs).abs().max()))
    try:
        make([{"params": [_point()]}, {"params": [_point()], "lr": -0.1}])
        gap += 1
    except InputError:
        pass
    return Check(gap, 1e-12, "max |parameter difference|", "PyTorch's protocol")


GRADIENT = {
    "parabola": parabola,
    "state": state,
    "untouched": untouched,
    "arguments": arguments,
    "documented": documented,
    "protocol": protocol,
}


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
    return Check(
        int(np.sum(~np.isfinite(found) | (~(found >= 0)) | (~(found <= ceiling)))), 0, "violations", "its definition"
    )


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


def schedule_documented(card: Card, variant: str) -> Check:
    """The defaults are those of the docstring, and the ranges there, ends included, are those that are kept."""
    made = card.load(variant)

    def make(options: dict[str, Any]) -> Any:
        # With a rate of 0 any upper bound of a cycle is high enough.
        return made(torch.optim.SGD([_point()], lr=0.0), **options)

    return Check(
        _defaults(made) + _kept(make, _documented(made), card.experiment.get("params", {})),
        0,
        "parameters that differ",
        "the docstring",
    )


SCHEDULE = {"rates": rates, "state": schedule_state, "documented": schedule_documented}


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
    wrong += int(not abs(result.fun - _rosenbrock(result.x)) <= 0) + int(not result.success)
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
