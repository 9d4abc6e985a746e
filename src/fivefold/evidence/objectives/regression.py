"""Squared, absolute, Huber and power loss: definitions, torch, minimizers, outliers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _pair(seed: int = 0) -> Any:
    import torch

    rng = np.random.default_rng(seed)
    return (
        torch.tensor(2 * rng.normal(size=(7, 3))),
        torch.tensor(rng.normal(size=(7, 3))),
        torch.tensor(rng.random((7, 3))),
    )


def _peer(cls: Any, other: Any, exact: Any) -> float:
    """Return the worst difference of values and slopes from torch, and of weighted means from NumPy."""
    x, y, w = _pair()
    worst = 0.0
    for reduction in ("none", "mean", "sum"):
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        mine, theirs = cls(reduction=reduction)(a, y), other(b, y, reduction=reduction)
        mine.sum().backward(), theirs.sum().backward()
        worst = largest(worst, float((mine - theirs).detach().abs().max()), float((a.grad - b.grad).abs().max()))
    values = exact((x - y).numpy())
    worst = largest(worst, float(np.abs(cls(reduction="none")(x, y).numpy() - values).max()))
    worst = largest(worst, abs(float(cls()(x, y)) - values.mean()))
    worst = largest(worst, abs(float(cls()(x, y, w)) - np.average(values, weights=w.numpy())))
    worst = largest(worst, abs(float(cls(reduction="sum")(x, y, w)) - (values * w.numpy()).sum()))
    return largest(worst, abs(float(cls()(x[:0], y[:0]))))


def _half_precision(cls: Any, exact: Any) -> float:
    """Return how many bfloat16 values of residuals up to 2e4 are off by more than 2 %."""
    import torch

    x = torch.tensor([1e4, -1e4, 3.0, 0.25], dtype=torch.bfloat16)
    y = torch.tensor([-1e4, -1e4, 1.0, 0.0], dtype=torch.bfloat16)
    values = exact((x.double() - y.double()).numpy())
    found = cls(reduction="none")(x, y)
    off = np.abs(found.double().numpy() - values) > 0.02 * np.abs(values)
    return float(off.sum()) + float(found.dtype != torch.bfloat16)


def _best_constant(loss: Any, y: np.ndarray) -> float:
    """Return the constant of least total loss, by golden section on [min, max]."""
    import torch

    target = torch.tensor(y)
    low, high = float(y.min()), float(y.max())
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(80):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if float(loss(torch.full_like(target, a), target)) < float(loss(torch.full_like(target, b), target)):
            high = b
        else:
            low = a
    return (low + high) / 2


@evidence("mse-loss", claim="Values, slopes and weighted means equal torch and NumPy", against="torch mse_loss")
def mse_values() -> Check:
    from torch.nn import functional

    from fivefold.objectives.regression import MSELoss

    return Check(_peer(MSELoss, functional.mse_loss, lambda r: r**2), 1e-13, "max difference", "torch")


@evidence("mse-loss", claim="The best constant is the mean; bfloat16 is within 2 %", against="the mean")
def mse_mean() -> Check:
    from fivefold.objectives.regression import MSELoss

    y = np.random.default_rng(1).exponential(size=41)
    # Golden section on a parabola finds its bottom to the root of the rounding of its values.
    gap = abs(_best_constant(MSELoss(), y) - y.mean()) / 1e-6 + _half_precision(MSELoss, lambda r: r**2)
    return Check(gap, 1.0, "difference in 1e-6", "the mean")


@evidence("mae-loss", claim="Values, slopes and weighted means equal torch and NumPy", against="torch l1_loss")
def mae_values() -> Check:
    from torch.nn import functional

    from fivefold.objectives.regression import MAELoss

    return Check(_peer(MAELoss, functional.l1_loss, np.abs), 1e-13, "max difference", "torch")


@evidence(
    "mae-loss",
    claim="The best constant is the median; the slope at 0 is 0; bfloat16 is within 2 %",
    against="the median",
)
def mae_median() -> Check:
    import torch

    from fivefold.objectives.regression import MAELoss

    y = np.random.default_rng(1).exponential(size=41)
    gap = abs(_best_constant(MAELoss(), y) - np.median(y)) / 1e-9 + _half_precision(MAELoss, np.abs)
    x = torch.zeros(2, requires_grad=True)
    MAELoss()(x, torch.tensor([0.0, 1.0])).backward()
    gap += float((x.grad - torch.tensor([0.0, -0.5])).abs().max())
    return Check(gap, 1.0, "difference in 1e-9", "the median")


def _huber(r: np.ndarray, delta: float = 1.0) -> np.ndarray:
    return np.where(np.abs(r) <= delta, r**2 / 2, delta * np.abs(r) - delta**2 / 2)


@evidence("huber-loss", claim="Values and slopes equal torch, δ = 1 by default and others", against="torch huber_loss")
def huber_values() -> Check:
    from functools import partial

    from torch.nn import functional

    from fivefold.objectives.regression import HuberLoss

    worst = _peer(HuberLoss, functional.huber_loss, _huber) + _half_precision(HuberLoss, _huber)
    for delta in (0.3, 2.5):
        mine = partial(HuberLoss, delta)
        worst = largest(worst, _peer(mine, partial(functional.huber_loss, delta=delta), partial(_huber, delta=delta)))
    return Check(worst, 1e-13, "max difference", "torch")


@evidence("huber-loss", claim="Value and slope are continuous at δ; the slope beyond is ±δ", against="the definition")
def huber_joint() -> Check:
    import torch

    from fivefold.objectives.regression import HuberLoss

    x = torch.tensor([1.5, 1.5 + 1e-9, -1.5, 100.0, -1e6, 0.0, 0.5], dtype=torch.float64, requires_grad=True)
    values = HuberLoss(1.5, "none")(x, torch.zeros(7, dtype=torch.float64))
    values.sum().backward()
    exact = _huber(x.detach().numpy(), 1.5)
    wrong = np.abs(values.detach().numpy() - exact).max() / 1e6
    slopes = np.clip(x.detach().numpy(), -1.5, 1.5)
    return Check(largest(wrong, np.abs(x.grad.numpy() - slopes).max()), 1e-14, "max difference", "the definition")


@evidence(
    "huber-loss",
    claim="A line through data with outliers: squared error is pulled away, absolute and Huber hold",
    against="01#huber-loss",
)
def huber_outliers() -> Check:
    import torch

    from fivefold.objectives.regression import HuberLoss, MAELoss, MSELoss

    rng = np.random.default_rng(0)
    t = torch.linspace(0, 1, 40, dtype=torch.float64)
    y = 2 * t + torch.tensor(0.05 * rng.normal(size=40))
    y[-6:] -= 8.0
    slopes = []
    for loss in (MSELoss(), MAELoss(), HuberLoss(0.2)):
        w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([w], max_iter=200, line_search_fn="strong_wolfe")

        def closure(w: Any = w, loss: Any = loss, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            value = loss(w[0] * t + w[1], y)
            value.backward()
            return value

        optimizer.step(closure)
        slopes.append(float(w[0].detach()))
    # Six of forty rows pull the squared fit down to a negative slope; the others stay near 2.
    wrong = float(not slopes[0] <= 0) + float(not abs(slopes[1] - 2) <= 0.5) + float(not abs(slopes[2] - 2) <= 0.5)
    return Check(wrong, 0, f"violations (slopes {slopes[0]:.2f}, {slopes[1]:.2f}, {slopes[2]:.2f})", "true slope 2")


@evidence(
    "lp-loss", claim="p = 1 and 2 are absolute and squared error; other p the power, with its slope", against="NumPy"
)
def lp_values() -> Check:
    import torch

    from fivefold.objectives.regression import LpLoss, MAELoss, MSELoss

    x, y, w = _pair(2)
    r = (x - y).numpy()
    worst = largest(
        float((LpLoss(1.0)(x, y) - MAELoss()(x, y)).abs()), float((LpLoss(2.0)(x, y) - MSELoss()(x, y)).abs())
    )
    for p in (1.0, 1.5, 2.0, 3.0, 4.5):
        a = x.clone().requires_grad_()
        value = LpLoss(p, "sum")(a, y)
        value.backward()
        scale = (np.abs(r) ** p).sum()
        worst = largest(worst, abs(float(value.detach()) - scale) / scale)
        slope = p * np.abs(r) ** (p - 1) * np.sign(r)
        worst = largest(worst, float(np.abs(a.grad.numpy() - slope).max() / np.abs(slope).max()))
        mean = np.average(np.abs(r) ** p, weights=w.numpy())
        worst = largest(worst, abs(float(LpLoss(p)(x, y, w)) - mean) / mean)
    worst = largest(worst, abs(float(LpLoss()(x, y)) - (np.abs(r) ** 1.5).mean()))  # the default
    zero = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    LpLoss(1.5)(zero, torch.zeros(3, dtype=torch.float64)).backward()
    worst = largest(worst, float(zero.grad.abs().max()), _half_precision(LpLoss, lambda v: np.abs(v) ** 1.5))
    return Check(worst, 1e-14, "max relative difference", "NumPy")


@evidence(
    "lp-loss",
    claim="The best constant moves from the median (p = 1) over the mean (2) toward the mid-range",
    against="theory",
)
def lp_minimizer() -> Check:
    from fivefold.objectives.regression import LpLoss

    y = np.array([0.0, 1.0, 2.0, 3.0, 10.0])
    best = [_best_constant(LpLoss(p), y) for p in (1.0, 1.5, 2.0, 4.0, 60.0)]
    wrong = (
        abs(best[0] - 2) + abs(best[2] - 3.2) + float(np.any(~(np.diff(best) > 0))) + float(not abs(best[4] - 5) <= 0.1)
    )
    return Check(wrong, 1e-6, "difference", "median, mean, mid-range")
