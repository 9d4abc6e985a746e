"""Evidence for the relatives of Adam."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.gradient.adabound import AdaBound
from fivefold.optimizers.gradient.adam import Adam
from fivefold.optimizers.gradient.adam_variants import Adamax, AMSGrad, NAdam, RAdam, Yogi

from ._trajectories import listed_equals_fused, same

# A large epsilon keeps the steps smooth near the minimum, where a small one lets roundings grow: at 1e-3 and lr 0.02 torch's
# own paths part by up to 7e-2 within 500 steps when their start changes by a 1e-15th (NAdam, AdaMax); at 0.1 by 4e-15.
BETAS = {"lr": 0.01, "betas": (0.8, 0.97), "eps": 0.1, "weight_decay": 0.05}


def _moments(s: dict[str, Any], g: np.ndarray, group: dict[str, Any], m0: float = 0.0, v0: float = 0.0) -> Any:
    b1, b2 = group.get("betas", (0.9, 0.999))
    s["m"] = b1 * s.get("m", np.full_like(g, m0)) + (1 - b1) * g
    s.setdefault("v", np.full_like(g, v0))
    return b1, b2


@evidence("adam", claim="500 steps equal torch's, coupled and decoupled", against="torch.optim.Adam, AdamW")
def adam_groups() -> Check:
    coupled = same(Adam, torch.optim.Adam, BETAS)
    decoupled = same(lambda p: Adam(p, decoupled_weight_decay=True), torch.optim.AdamW, BETAS)
    return Check(largest(coupled.value, decoupled.value), 1e-9, coupled.unit, "torch.optim")


@evidence("adam", claim="The list form for GPUs takes the same steps as the CPU kernel", against="the kernel")
def adam_listed() -> Check:
    return listed_equals_fused(Adam, BETAS, {"lr": 0.01, "maximize": False, "epsilon_hat": True})


@evidence(
    "amsgrad",
    claim="500 steps equal torch's, with defaults and with every option",
    against="torch.optim.Adam(amsgrad=True)",
)
def amsgrad_equals_torch() -> Check:
    return same(AMSGrad, lambda p: torch.optim.Adam(p, amsgrad=True), {}, BETAS)


@evidence("amsgrad", claim="The paper's form has no bias correction", against="the recurrence in NumPy")
def amsgrad_paper() -> Check:
    def rule(s: Any, x: np.ndarray, g: np.ndarray, t: int, group: Any) -> np.ndarray:
        _, b2 = _moments(s, g, group)
        s["v"] = b2 * s["v"] + (1 - b2) * g * g
        s["top"] = np.maximum(s.get("top", 0.0), s["v"])
        return x - group["lr"] * s["m"] / (np.sqrt(s["top"]) + group["eps"])

    return same(lambda p: AMSGrad(p, convention="paper"), rule, BETAS, rule=True)


@evidence(
    "amsgrad",
    claim="On Reddi's counter-example AMSGrad reaches -1, where Adam walks to +1",
    against="Reddi et al. 2018, section 3",
)
def amsgrad_counterexample() -> Check:
    def end(make: Any) -> float:
        x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = make([x], lr=0.5, betas=(0.0, 1 / (1 + 3.0**2)))
        for t in range(1, 3001):
            optimizer.param_groups[0]["lr"] = 0.5 / math.sqrt(t)
            x.grad = torch.tensor([3.0 if t % 3 == 1 else -1.0], dtype=torch.float64)  # C = 3, the mean slope is +1/3
            optimizer.step()
            with torch.no_grad():
                x.clamp_(-1, 1)
        return float(x.detach())

    return Check(abs(end(AMSGrad) + 1) + abs(end(Adam) - 1), 0.1, "distance to the two ends", "Reddi et al.")


@evidence("amsgrad", claim="The list form takes the same steps as the kernel", against="the kernel")
def amsgrad_listed() -> Check:
    return listed_equals_fused(AMSGrad, BETAS)


@evidence("adamax", claim="500 steps equal torch's, with defaults and with every option", against="torch.optim.Adamax")
def adamax_equals_torch() -> Check:
    return same(Adamax, torch.optim.Adamax, {}, BETAS)


@evidence("adamax", claim="Keras' and the paper's place of epsilon", against="the recurrences in NumPy")
def adamax_conventions() -> Check:
    def rule(keras: bool) -> Any:
        def step(s: Any, x: np.ndarray, g: np.ndarray, t: int, group: Any) -> np.ndarray:
            b1, b2 = _moments(s, g, group)
            s["v"] = np.maximum(b2 * s["v"], np.abs(g))
            u = s["v"] + group["eps"] if keras else np.where(s["v"] > 0, s["v"], 1.0)
            return x - group["lr"] / (1 - b1**t) * s["m"] / u

        return step

    options = {**BETAS, "lr": 0.002, "betas": (0.8, 0.999)}
    keras = same(lambda p: Adamax(p, convention="keras"), rule(True), options, rule=True)
    paper = same(lambda p: Adamax(p, convention="paper"), rule(False), options, rule=True)
    return Check(largest(keras.value, paper.value), 1e-9, keras.unit, keras.peer)


@evidence("adamax", claim="The list form takes the same steps as the kernel", against="the kernel")
def adamax_listed() -> Check:
    slow = {**BETAS, "lr": 0.002, "betas": (0.8, 0.999)}
    return listed_equals_fused(Adamax, BETAS, *({**slow, "convention": c} for c in ("keras", "paper")))


@evidence("nadam", claim="500 steps equal torch's, with defaults and with every option", against="torch.optim.NAdam")
def nadam_equals_torch() -> Check:
    return same(NAdam, torch.optim.NAdam, {}, {**BETAS, "momentum_decay": 0.02})


@evidence("nadam", claim="The first step is the closed form of the formula", against="08#nadam by hand")
def nadam_first_step() -> Check:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    x.grad = torch.full((1,), 2.0, dtype=torch.float64)
    NAdam([x], lr=0.1, momentum_decay=0.0).step()
    # mu = 0.45 throughout, m = 0.2, sqrt(v / (1 - b2)) = 2.
    step = 0.1 * (0.45 * 0.2 / (1 - 0.45**2) + 0.55 * 2 / (1 - 0.45)) / (2 + 1e-8)
    return Check(abs(float(x.detach()) + step), 1e-15, "|difference|", "closed form")


@evidence("nadam", claim="The list form takes the same steps as the kernel", against="the kernel")
def nadam_listed() -> Check:
    return listed_equals_fused(NAdam, BETAS)


@evidence(
    "nadam",
    claim="Parameters of one age that saw other betas keep products of their own",
    against="torch.optim.NAdam",
)
def nadam_products() -> Check:
    def path(make: Any) -> list[float]:
        p, q = (torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (1.0, -2.0))
        optimizer = make([p, q], lr=0.1)
        for step, beta in enumerate((0.9, 0.3, 0.6, 0.6)):
            optimizer.param_groups[0]["betas"] = (beta, 0.999)
            p.grad = None if step == 1 else torch.full_like(p, 1.0 + step)
            q.grad = None if step == 0 else torch.full_like(q, 2.0 - step)
            optimizer.step()
        return [p.item(), q.item(), *(optimizer.state[x]["mu_product"].item() for x in (p, q))]

    ours, theirs = path(NAdam), path(torch.optim.NAdam)
    # torch keeps the product in float32 unless that is not the default type.
    gap = float(np.abs(np.array(ours) - theirs).max()) + (ours[2] == ours[3])
    return Check(gap, 1e-6, "max |difference|", "torch.optim.NAdam")


@evidence("radam", claim="500 steps equal torch's, with defaults and with every option", against="torch.optim.RAdam")
def radam_equals_torch() -> Check:
    return same(RAdam, torch.optim.RAdam, {}, BETAS)


@evidence(
    "radam",
    claim="Before rho exceeds the threshold it is plain momentum; the paper rectifies one step earlier",
    against="01#radam, closed form of constant gradients",
)
def radam_threshold() -> Check:
    def steps(convention: str) -> list[float]:
        x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer, found = RAdam([x], lr=0.1, convention=convention), [0.0]
        for _ in range(7):
            x.grad = torch.full((1,), 3.0, dtype=torch.float64)
            optimizer.step()
            found.append(float(x.detach()))
        return [a - b for a, b in zip(found, found[1:])]

    def rho(t: int) -> float:
        return 1999 - 2 * t * 0.999**t / (1 - 0.999**t)

    gap = 0.0
    for convention, threshold in (("torch", 5), ("paper", 4)):
        for t, step in enumerate(steps(convention), start=1):
            r = rho(t)
            share = math.sqrt((r - 4) * (r - 2) * 1999 / (1995 * 1997 * r)) if r > threshold else 3.0
            gap = largest(gap, abs(step - 0.1 * share))
    return Check(gap, 1e-7, "max |step - closed form|", "closed form, epsilon 1e-8 beside 3 sqrt(1 - b2^t) >= 0.09")


@evidence("radam", claim="The list form takes the same steps as the kernel", against="the kernel")
def radam_listed() -> Check:
    return listed_equals_fused(RAdam, BETAS)


def _yogi(correct: bool) -> Any:
    def step(s: Any, x: np.ndarray, g: np.ndarray, t: int, group: Any) -> np.ndarray:
        first = group.get("initial_accumulator", 1e-6)
        b1, b2 = _moments(s, g, group, first if correct else 0.0, first)
        s["v"] = s["v"] - (1 - b2) * np.sign(s["v"] - g * g) * g * g
        c1, c2 = (1 - b1**t, 1 - b2**t) if correct else (1.0, 1.0)
        return x - group.get("lr", 0.01) * (s["m"] / c1) / (np.sqrt(s["v"] / c2) + group.get("eps", 1e-3))

    return step


@evidence(
    "yogi",
    claim="500 steps equal pytorch-optimizer's recurrence, with defaults and with every option",
    against="the recurrence in NumPy",
)
def yogi_recurrence() -> Check:
    return same(Yogi, _yogi(True), {}, {**BETAS, "initial_accumulator": 0.01}, rule=True)


@evidence("yogi", claim="The paper's form: m from 0, no bias correction", against="the recurrence in NumPy")
def yogi_paper() -> Check:
    return same(lambda p: Yogi(p, convention="paper"), _yogi(False), {}, BETAS, rule=True, steps=200)


@evidence(
    "radam",
    claim="Where rho never exceeds the threshold, it stays momentum, also where the limit is the threshold itself",
    against="closed form",
)
def radam_limit() -> Check:
    gap = 0.0
    for beta2 in (0.6, 0.5):  # limits of exactly 4 and of 3
        x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = RAdam([x], lr=0.1, betas=(0.9, beta2), convention="paper")
        for _ in range(150):
            x.grad = torch.full((1,), 3.0, dtype=torch.float64)
            optimizer.step()
        gap = largest(gap, abs(x.item() + 150 * 0.3))
    return Check(gap, 1e-10, "|x - closed form|", "closed form")


@evidence("yogi", claim="v moves by (1 - b2) g^2 at a time, up or down", against="the theorem of the paper")
def yogi_bounded_change() -> Check:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer, v, gap = Yogi([x], betas=(0.9, 0.99), initial_accumulator=0.5), 0.5, 0.0
    for g in (1.0, 2.0, 0.1, 0.3, 5.0, 0.01):
        x.grad = torch.full((1,), g, dtype=torch.float64)
        optimizer.step()
        new = float(optimizer.state[x]["exp_avg_sq"])
        gap = largest(gap, abs(abs(new - v) - 0.01 * g * g) + ((new > v) != (g * g > v)))
        v = new
    return Check(gap, 1e-15, "max |change - (1 - b2) g^2|", "theorem")


@evidence("yogi", claim="The list form takes the same steps as the kernel", against="the kernel")
def yogi_listed() -> Check:
    return listed_equals_fused(Yogi, BETAS)


def _adabound(paper: bool, clipped: list[int] | None = None) -> Any:
    def step(s: Any, x: np.ndarray, g: np.ndarray, t: int, group: Any) -> np.ndarray:
        b1, b2 = _moments(s, g, group)
        lr, final, gamma = group.get("lr", 1e-3), group.get("final_lr", 0.1), group.get("gamma", 1e-3)
        s["v"] = b2 * s["v"] + (1 - b2) * g * g
        low, high = final * (1 - 1 / (gamma * t + 1)), final * (1 + 1 / (gamma * t))
        eps = group.get("eps", 1e-8)
        if paper:
            return x - np.clip(lr / np.sqrt(s["v"] + eps), low, high) / math.sqrt(t) * s["m"]
        rate = lr * math.sqrt(1 - b2**t) / (1 - b1**t) / (np.sqrt(s["v"]) + eps)
        if clipped is not None:
            clipped.append(int((rate < low).sum() + (rate > high).sum()))
        return x - np.clip(rate, low, high) * s["m"]

    return step


CLOSING = {"lr": 0.02, "betas": (0.8, 0.97), "final_lr": 0.05, "gamma": 0.02, "eps": 1e-3, "weight_decay": 0.05}


@evidence(
    "adabound",
    claim="500 steps equal the authors' recurrence, with defaults and with bounds that bite",
    against="the recurrence in NumPy",
)
def adabound_recurrence() -> Check:
    clipped: list[int] = []
    check = same(AdaBound, _adabound(False, clipped), {}, CLOSING, rule=True)
    return check if sum(clipped) else Check(float("nan"), check.bound, "bounds that never bite")


@evidence(
    "adabound",
    claim="The paper's algorithm: no correction, epsilon inside, rate over root t",
    against="the recurrence in NumPy",
)
def adabound_paper() -> Check:
    return same(lambda p: AdaBound(p, convention="paper"), _adabound(True), CLOSING, rule=True, steps=200)


@evidence("adabound", claim="Bounds (0, inf) give Adam, in the form with epsilon hat", against="Adam(epsilon_hat=True)")
def adabound_open() -> Check:
    return same(
        lambda p: AdaBound(p, gamma=0.0), lambda p: Adam(p, epsilon_hat=True), {"lr": 0.02, "weight_decay": 0.05}
    )


@evidence(
    "adabound",
    claim="Closed bounds give momentum with the final rate, for a schedule's rate in proportion",
    against="the weighted sum, closed form",
)
def adabound_closed() -> Check:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer, place, gap = AdaBound([x], lr=1e-3, gamma=1e12), 0.0, 0.0
    for t in range(1, 40):
        optimizer.param_groups[0]["lr"] = 1e-3 if t < 20 else 5e-4
        x.grad = torch.full((1,), 2.0, dtype=torch.float64)
        optimizer.step()
        place -= (0.1 if t < 20 else 0.05) * 2 * (1 - 0.9**t)
        gap = largest(gap, abs(float(x.detach()) - place))
    return Check(gap, 1e-9, "max |parameter difference|", "closed form")


@evidence("adabound", claim="The list form takes the same steps as the kernel", against="the kernel")
def adabound_listed() -> Check:
    return listed_equals_fused(AdaBound, CLOSING, {**CLOSING, "convention": "paper"})
