"""Evidence for SWATS and hypergradient descent, whose rates follow from the steps of a whole group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.gradient.hypergradient import HypergradientDescent
from fivefold.optimizers.gradient.swats import SWATS

from ._trajectories import SHAPES, compare, gradients, groups, start, walk

GroupRule = Callable[[dict[str, Any], np.ndarray, np.ndarray, dict[str, Any]], np.ndarray]


def _recur(
    rule: GroupRule, problem: str, options: dict[str, Any], steps: int
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return the path of a recurrence over the weights of a group as one vector, and the states of the groups."""
    values = [p.numpy().copy() for p in start(problem)]
    owners = groups(list(range(len(values))), options)
    states: list[dict[str, Any]] = [{} for _ in owners]
    path = []
    for _ in range(steps):
        found = gradients(problem, [torch.tensor(x, requires_grad=True) for x in values])
        for owner, state in zip(owners, states, strict=True):
            moving = [i for i in owner["params"] if found[i] is not None]
            x = np.concatenate([values[i].reshape(-1) for i in moving])
            g = np.concatenate([found[i].numpy().reshape(-1) for i in moving])  # type: ignore[union-attr]
            new = rule(state, x, g + owner.get("weight_decay", 0.0) * x, owner)
            for i, part in zip(moving, np.split(new, np.cumsum([values[i].size for i in moving])[:-1]), strict=True):
                values[i] = part.reshape(values[i].shape)
        path.append(np.concatenate([x.reshape(-1) for x in values]))
    return np.array(path), states


def _swats(s: dict[str, Any], x: np.ndarray, g: np.ndarray, group: dict[str, Any]) -> np.ndarray:
    """Algorithm 1 of Keskar & Socher 2017 for one vector."""
    lr, (b1, b2) = group.get("lr", 1e-3), group.get("betas", (0.9, 0.999))
    s["k"] = s.get("k", 0) + 1
    if "rate" in s:
        s["v"] = b1 * s.get("v", 0.0) + g
        return x - (1 - b1) * s["rate"] * s["v"]
    s["m"] = b1 * s.get("m", 0.0) + (1 - b1) * g
    s["a"] = b2 * s.get("a", 0.0) + (1 - b2) * g * g
    p = -lr * np.sqrt(1 - b2 ** s["k"]) / (1 - b1 ** s["k"]) * s["m"] / (np.sqrt(s["a"]) + group.get("eps", 1e-9))
    if p @ g != 0:
        gamma = (p @ p) / -(p @ g)
        s["mean"] = b2 * s.get("mean", 0.0) + (1 - b2) * gamma
        settled = s["mean"] / (1 - b2 ** s["k"])
        if s["k"] > 1 and settled > 0 and abs(settled - gamma) < group.get("tolerance", 1e-9):
            s["rate"], s["at"] = settled, s["k"]
    return x + p


@evidence("swats", claim="Each group's path and switch equal the paper's algorithm, resumed too", against="NumPy")
def swats_recurrence() -> Check:
    gap, switches = 0.0, []
    quick = {"lr": 0.1, "betas": (0.8, 0.99), "eps": 0.01, "tolerance": 1e-3}
    late = {"lr": 0.003, "betas": (0.8, 0.9), "eps": 0.1}
    trials = (
        ("quadratic", {**quick, "betas": (0.8, 0.9)}),
        ("quadratic", quick),
        ("network", {**quick, "lr": 0.03}),
        ("network", {**late, "tolerance": 1e-4}),
        ("network", {**late, "tolerance": 1e-5}),
    )
    for problem, options in trials:
        options = {**options, "weight_decay": 0.05}
        path, states = _recur(_swats, problem, options, 500)
        switches += [s.get("at", 0) for s in states]
        gap = largest(gap, compare(walk(SWATS, problem, options, 500), path, "NumPy"))
    # Before the reload at step 250 and after it, at the first chance and not at all: or nothing was tested.
    wrong = not (
        0 in switches and 2 in switches and any(2 < s < 250 for s in switches) and any(250 < s < 499 for s in switches)
    )
    default, _ = _recur(_swats, "quadratic", {}, 60)
    gap = largest(gap, compare(walk(SWATS, "quadratic", {}, 60), default, "NumPy"))
    return Check(gap + wrong, 1e-9, "max |parameter difference|", "NumPy recurrence")


@evidence(
    "swats",
    claim="A group of one tensor takes the peer's steps through the switch, at the same rate",
    against="pytorch_optimizer.SWATS",
    peer="pytorch_optimizer",
)
def swats_peer() -> Check:
    import pytorch_optimizer

    curve = torch.tensor([0.3, 1.0, 4.0], dtype=torch.float64)

    def path(make: Any) -> tuple[np.ndarray, Any]:
        x = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64, requires_grad=True)
        optimizer, found = make([x]), []
        for _ in range(200):
            x.grad = (curve * (x - 1)).detach()
            optimizer.step()
            found.append(x.detach().numpy().copy())
        return np.array(found), optimizer.param_groups[0]

    # Its tolerance is relative (rtol = eps) with 1e-8 beside it; one so wide that both rules say yes at the first chance
    # makes them the same rule, and the rate is then the mean of two different values.
    theirs, group = path(lambda p: pytorch_optimizer.SWATS(p, lr=0.05, betas=(0.8, 0.9), eps=0.2))
    ours, mine = path(lambda p: SWATS(p, lr=0.05, betas=(0.8, 0.9), eps=0.2, tolerance=0.2 * group["lr"]))
    wrong = (group["phase"] != "sgd") + (mine["phase"] != "sgd") + abs(group["lr"] - mine["sgd_lr"])
    return Check(compare(ours, theirs, "peer") + wrong, 1e-9, "max |difference|", "pytorch_optimizer")


@evidence(
    "swats", claim="The step of SGD at rate gamma, projected on Adam's step, is Adam's step", against="linear algebra"
)
def swats_projection() -> Check:
    x = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64, requires_grad=True)
    g = torch.tensor([0.3, -1.0, 2.0, 0.1], dtype=torch.float64)
    optimizer = SWATS([x], lr=0.1, betas=(0.9, 0.99), eps=0.3)
    before = x.detach().clone()
    x.grad = g
    optimizer.step()
    p = x.detach() - before
    rate = optimizer.param_groups[0]["sgd_lr"]  # after one step the corrected mean is gamma itself
    projected = (-rate * (g @ p) / (p @ p)) * p
    return Check(float((projected - p).abs().max()), 1e-15, "max |difference|", "projection")


@evidence(
    "swats",
    claim="On a parabola with betas of 0 it switches at the second step to lr / (h |x0 - lr|)",
    against="closed form",
)
def swats_quadratic() -> Check:
    h, lr, x0 = 2.0, 0.125, 3.0
    x = torch.tensor([x0], dtype=torch.float64, requires_grad=True)
    optimizer = SWATS([x], lr=lr, betas=(0.0, 0.0), eps=1e-300)
    gap = 0.0
    # Adam without memory steps by lr; then g = h (x0 - lr) has gamma = lr / g, settled at once; SGD from there is geometric.
    rate = lr / (h * (x0 - lr))
    after = [x0 - lr, x0 - 2 * lr]
    for _ in range(3):
        after.append(after[-1] * (1 - rate * h))
    for step, expected in enumerate(after):
        x.grad = h * x.detach()
        optimizer.step()
        gap = largest(gap, abs(float(x.detach()) - expected))
        gap += (optimizer.param_groups[0]["phase"] == "sgd") != (step >= 1)
    return Check(gap + abs(optimizer.param_groups[0]["sgd_lr"] - rate), 1e-14, "max |difference|", "closed form")


@evidence(
    "swats",
    claim="After the switch a schedule of lr scales the rate; a mean rate below zero never switches",
    against="formula",
)
def swats_rates() -> Check:
    x = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    optimizer = SWATS([x], lr=0.1, betas=(0.0, 0.0), eps=1e-300)
    for _ in range(2):
        x.grad = torch.ones_like(x)
        optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.05
    before = float(x.detach())
    optimizer.step()
    gap = abs(before - float(x.detach()) - 0.05)  # rate 0.1 at the switch, halved, times the gradient 1
    uphill = SWATS([x], lr=0.1, betas=(0.9, 0.0), tolerance=1e9)
    for sign in (10.0, -1.0, -1.0):
        x.grad = torch.full_like(x, sign)
        uphill.step()
    return Check(gap + (uphill.param_groups[0]["phase"] == "sgd"), 1e-15, "|difference|", "formula")


def _hyper(s: dict[str, Any], x: np.ndarray, g: np.ndarray, group: dict[str, Any]) -> np.ndarray:
    """The authors' three algorithms for one vector."""
    t = s["t"] = s.get("t", 0) + 1
    s["rate"] = s.get("rate", group.get("lr", 1e-3)) + group.get("hypergrad_lr", 1e-6) * float(g @ s.get("u", 0 * g))
    base = group.get("base", "sgd")
    if base == "sgd":
        s["u"] = g
    elif base == "nesterov":
        mu = group.get("momentum", 0.9)
        s["v"] = mu * s.get("v", 0.0) + g
        s["u"] = g + mu * s["v"]
    else:
        b1, b2 = group.get("betas", (0.9, 0.999))
        s["m"] = b1 * s.get("m", 0.0) + (1 - b1) * g
        s["a"] = b2 * s.get("a", 0.0) + (1 - b2) * g * g
        s["u"] = s["m"] / (1 - b1**t) / (np.sqrt(s["a"] / (1 - b2**t)) + group.get("eps", 1e-8))
    return x - s["rate"] * s["u"]


@evidence("hypergradient-descent", claim="All three bases follow the authors' algorithms, resumed too", against="NumPy")
def hypergradient_recurrence() -> Check:
    gap = 0.0
    shared = {"lr": 0.01, "hypergrad_lr": 1e-3, "weight_decay": 0.05}
    for base, more in (("sgd", {}), ("nesterov", {"momentum": 0.6}), ("adam", {"betas": (0.8, 0.97), "eps": 0.1})):
        for problem in SHAPES:
            options = {**shared, "base": base, **more}
            path, states = _recur(_hyper, problem, options, 500)
            gap = largest(gap, compare(walk(HypergradientDescent, problem, options, 500), path, "NumPy"))
            gap += not abs(states[0]["rate"] / 0.01 - 1) >= 1e-2  # the rate must have moved for this to say anything
        defaults = {"base": base, "lr": 0.01}  # of the momentum, the betas and the two epsilons
        gap = largest(
            gap,
            compare(
                walk(HypergradientDescent, "quadratic", defaults, 40), _recur(_hyper, "quadratic", defaults, 40)[0], ""
            ),
        )
    return Check(gap, 1e-9, "max |parameter difference|", "NumPy recurrence")


@evidence(
    "hypergradient-descent",
    claim="The rate moves against the derivative of the loss by the last rate",
    against="autograd",
)
def hypergradient_derivative() -> Check:
    gap = 0.0
    for base in ("sgd", "nesterov", "adam"):
        x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
        optimizer = HypergradientDescent([x], lr=0.05, hypergrad_lr=0.01, base=base)

        def loss(z: torch.Tensor) -> torch.Tensor:
            return (z**4).sum() + (z[0] * z[1]).cos()

        start = x.detach().clone()
        for step in range(2):
            before, rates = x.detach().clone(), list(optimizer.rates)
            x.grad = torch.autograd.grad(loss(x), x)[0]
            optimizer.step()
            if step == 0:
                direction = (before - x.detach()) / optimizer.rates[0]
        rate = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(loss(start - rate * direction), rate)
        gap = largest(gap, abs(optimizer.rates[0] - (rates[0] - 0.01 * float(slope))))
    return Check(gap, 1e-12, "max |rate difference|", "autograd")


@evidence(
    "hypergradient-descent",
    claim="Aligned gradients raise the rate by beta |g|^2 a step, opposed ones lower it",
    against="closed form",
)
def hypergradient_signs() -> Check:
    x = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = HypergradientDescent([x], lr=0.1, hypergrad_lr=0.01)
    g, found = torch.tensor([3.0, -4.0], dtype=torch.float64), []
    for sign in (1.0, 1.0, 1.0, -1.0, 1.0):
        x.grad = sign * g
        optimizer.step()
        found.append(optimizer.rates[0])
    expected = 0.1 + 0.25 * np.array([0, 1, 2, 1, 0.0])
    return Check(float(np.abs(np.array(found) - expected).max()), 1e-15, "max |rate difference|", "closed form")


@evidence(
    "swats",
    claim="A parameter whose gradients come late corrects for its own steps, or joins SGD at once",
    against="formula",
)
def swats_late() -> Check:
    def pair(betas: tuple[float, float], tolerance: float) -> Any:
        a, b = (torch.tensor([3.0], dtype=torch.float64, requires_grad=True) for _ in range(2))
        return a, b, SWATS([a, b], lr=0.1, betas=betas, eps=1e-300, tolerance=tolerance)

    a, b, optimizer = pair((0.9, 0.99), 0.0)
    for step in range(4):
        a.grad = torch.full_like(a, 1.0 + step)
        optimizer.step()
    b.grad = torch.full_like(b, -7.0)
    optimizer.step()
    gap = abs(float(b.detach()) - 3.1)  # the first step of Adam is lr against the sign
    a, b, optimizer = pair((0.5, 0.0), 1.0)
    for _ in range(2):
        a.grad = torch.ones_like(a)
        optimizer.step()
    rate = optimizer.param_groups[0]["sgd_lr"]
    b.grad = torch.full_like(b, -2.0)
    optimizer.step()
    gap += abs(float(b.detach()) - (3 + 0.5 * rate * 2)) + (optimizer.param_groups[0]["phase"] != "sgd")
    return Check(gap, 1e-12, "|difference|", "formula")


@evidence("swats", claim="Its defaults are the paper's", against="Keskar & Socher 2017, algorithm 1")
def swats_defaults() -> Check:
    group = SWATS([torch.zeros(1, requires_grad=True)]).param_groups[0]
    paper = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-9, "tolerance": 1e-9, "weight_decay": 0.0, "phase": "adam"}
    paper |= {"iteration": 0, "rate_average": 0.0, "sgd_lr": 0.0, "switch_lr": 0.0}
    return Check(sum(group[key] != value for key, value in paper.items()), 0, "defaults that differ", "the paper")


@evidence("swats", claim="With a tolerance of 0 it never switches, not even at exact agreement", against="algorithm 1")
def swats_never() -> Check:
    x = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    optimizer = SWATS([x], lr=0.1, betas=(0.0, 0.0), eps=1e-300, tolerance=0.0)
    for _ in range(5):
        x.grad = torch.ones_like(x)
        optimizer.step()
    wrong = optimizer.param_groups[0]["phase"] != "adam"
    # Rates of 1 and -1/2 with beta2 of a half have the mean 0: no rate to go on with.
    group = SWATS([x], betas=(0.0, 0.5), tolerance=9.0).param_groups[0]
    one = [torch.ones(1, dtype=torch.float64)]
    for count, slope in enumerate((-1.0, 2.0), 1):
        group["iteration"] = count
        wrong += optimizer._settled(group, one, [slope * one[0]])
    return Check(abs(x.item() - 2.5) + wrong + abs(group["sgd_lr"]), 1e-15, "|x - 2.5| + switches", "by hand")
