"""Evidence for Adam and momentum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.gradient.adam import Adam
from fivefold.optimizers.gradient.momentum import Momentum


def _start() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 4), (4,), ())]


def _gradients(steps: int) -> list[list[Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        [torch.randn(p.shape, generator=generator, dtype=torch.float64) * 10.0**-i for i, p in enumerate(_start())]
        for _ in range(steps)
    ]


def _walk(
    make: Callable[[list[Tensor]], Any], gradients: list[list[Tensor]], rates: list[float] | None = None
) -> list[Tensor]:
    """Return the parameters after steps with given gradients, one stacked tensor for each."""
    params = [p.clone().requires_grad_() for p in _start()]
    optimizer = make(params)
    path = []
    for step, grads in enumerate(gradients):
        if rates is not None:
            optimizer.param_groups[0]["lr"] = rates[step]
        for p, g in zip(params, grads):
            p.grad = g.clone()
        optimizer.step()
        path.append(torch.cat([p.detach().reshape(-1) for p in params]))
    return path


def _apart(a: list[Tensor], b: list[Tensor]) -> float:
    return float((torch.stack(a) - torch.stack(b)).abs().max())


@evidence("adam", claim="A trajectory of 200 steps equals torch's", against="torch.optim.Adam, float64, defaults")
def adam_equals_torch() -> Check:
    gradients = _gradients(200)
    gap = _apart(_walk(Adam, gradients), _walk(torch.optim.Adam, gradients))
    return Check(gap, 1e-13, "max |parameter difference|", "torch.optim.Adam")


@evidence("adam", claim="Equal to torch's with every option away from its default", against="torch.optim.Adam, float64")
def adam_options_equal_torch() -> Check:
    gradients = _gradients(100)
    options: dict[str, Any] = {"lr": 0.03, "betas": (0.6, 0.95), "eps": 0.1, "weight_decay": 0.2}
    rates = [0.03 / (1 + t) for t in range(100)]
    gap = _apart(
        _walk(lambda p: Adam(p, **options), gradients, rates),
        _walk(lambda p: torch.optim.Adam(p, **options), gradients, rates),
    )
    return Check(gap, 1e-13, "max |parameter difference|", "torch.optim.Adam")


@evidence(
    "adam",
    claim="A constant gradient moves each step by -lr g / (|g| + eps)",
    against="closed form with bias correction",
)
def adam_constant_gradient() -> Check:
    # m_t / (1 - b1^t) = g and v_t / (1 - b2^t) = g^2 at every t, so all steps are equal, the first included.
    grads = [torch.full_like(p, 1e-4 * (i - 1.5)) for i, p in enumerate(_start())]
    path = _walk(lambda p: Adam(p, lr=0.1, eps=1e-4), [grads] * 50)
    g = torch.cat([g.reshape(-1) for g in grads])
    start = torch.cat([p.reshape(-1) for p in _start()])
    gap = largest(float((x - (start - 0.1 * (t + 1) * g / (g.abs() + 1e-4))).abs().max()) for t, x in enumerate(path))
    return Check(gap, 1e-11, "max |parameter difference|", "closed form")


@evidence("adam", claim="The epsilon-hat form follows TensorFlow's update", against="the formula in NumPy")
def adam_epsilon_hat_formula() -> Check:
    gradients = _gradients(60)
    path = _walk(lambda p: Adam(p, lr=0.02, betas=(0.8, 0.99), eps=0.05, epsilon_hat=True), gradients)
    x = torch.cat([p.reshape(-1) for p in _start()]).numpy()
    m, v, gap = np.zeros_like(x), np.zeros_like(x), 0.0
    for t, grads in enumerate(gradients, start=1):
        g = torch.cat([g.reshape(-1) for g in grads]).numpy()
        m, v = 0.8 * m + 0.2 * g, 0.99 * v + 0.01 * g * g
        x = x - 0.02 * math.sqrt(1 - 0.99**t) / (1 - 0.8**t) * m / (np.sqrt(v) + 0.05)
        gap = largest(gap, float(np.abs(x - path[t - 1].numpy()).max()))
    return Check(gap, 1e-13, "max |parameter difference|", "NumPy formula")


@evidence(
    "adam",
    claim="Both forms agree when eps_hat = eps sqrt(1 - b2^t), and differ with a constant",
    against="the identity of 01#adam",
)
def adam_forms_differ_as_stated() -> Check:
    grads = _gradients(1)
    # At t = 1 the identity fixes eps_hat = eps * sqrt(1 - b2).
    plain = _walk(lambda p: Adam(p, lr=0.1, eps=0.3), grads)
    hat = _walk(lambda p: Adam(p, lr=0.1, eps=0.3 * math.sqrt(1 - 0.999), epsilon_hat=True), grads)
    same = _walk(lambda p: Adam(p, lr=0.1, eps=0.3, epsilon_hat=True), grads)
    wrong = 0.0 if _apart(plain, same) > 1e-3 else 1.0
    return Check(_apart(plain, hat) + wrong, 1e-14, "max |difference| where equal", "identity")


@evidence(
    "adam",
    claim="A training goes on with either optimizer from the other's state",
    against="torch.optim.Adam state_dict",
)
def adam_state_is_torchs() -> Check:
    gradients = _gradients(20)
    whole = _walk(torch.optim.Adam, gradients)[-1]

    def relay(first: Any, second: Any) -> Tensor:
        params = [p.clone().requires_grad_() for p in _start()]
        optimizer = first(params)
        for step, grads in enumerate(gradients):
            if step == 10:
                state = optimizer.state_dict()
                optimizer = second(params)
                optimizer.load_state_dict(state)
            for p, g in zip(params, grads):
                p.grad = g.clone()
            optimizer.step()
        return torch.cat([p.detach().reshape(-1) for p in params])

    gap = largest(
        float((relay(a, b) - whole).abs().max()) for a, b in ((Adam, torch.optim.Adam), (torch.optim.Adam, Adam))
    )
    return Check(gap, 1e-13, "max |parameter difference|", "torch.optim.Adam")


@evidence(
    "adam", claim="Parameters that join late have their own bias correction", against="closed form of a first step"
)
def adam_late_parameter() -> Check:
    p, q = (torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = Adam([p, q], lr=0.01)
    for step in range(6):
        p.grad = torch.ones_like(p)
        q.grad = torch.full_like(q, -2.0) if step == 5 else None
        optimizer.step()
    gap = largest(float((p.detach() + 0.06).abs().max()), float((q.detach() - 0.01).abs().max()))
    return Check(gap, 1e-9, "max |parameter - closed form|", "closed form")


@evidence(
    "momentum",
    claim="Torch's form follows torch's path, with a changing rate and weight decay",
    against="torch.optim.SGD",
)
def momentum_equals_torch() -> Check:
    gradients = _gradients(200)
    rates = [0.1 / (1 + t % 7) for t in range(200)]
    ours = _walk(lambda p: Momentum(p, momentum=0.8, form="torch", weight_decay=0.05), gradients, rates)
    peer = _walk(lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.8, weight_decay=0.05), gradients, rates)
    return Check(_apart(ours, peer), 1e-12, "max |parameter difference|", "torch.optim.SGD")


@evidence("momentum", claim="The heavy ball walks the same path while the rate is constant", against="torch.optim.SGD")
def momentum_heavy_ball_equals_torch() -> Check:
    gradients = _gradients(200)
    ours = _walk(Momentum, gradients)
    peer = _walk(lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9), gradients)
    return Check(_apart(ours, peer), 1e-12, "max |parameter difference|", "torch.optim.SGD, defaults of ours")


@evidence(
    "momentum",
    claim="Constant g: v_t = -lr g (1 - a^t) / (1 - a), tending to -lr g / (1 - a)",
    against="geometric series",
)
def momentum_constant_gradient() -> Check:
    grads = [torch.full_like(p, 2.0) for p in _start()]
    path = _walk(lambda p: Momentum(p, lr=0.1, momentum=0.9), [grads] * 300)
    gap = 0.0
    for t in range(1, 300):
        step = path[t] - path[t - 1]
        gap = largest(gap, float((step + 0.1 * 2.0 * (1 - 0.9 ** (t + 1)) / 0.1).abs().max()))
    limit = float((path[-1] - path[-2] + 2.0).abs().max())
    return Check(largest(gap, limit), 1e-11, "max |v - closed form|", "closed form")


@evidence(
    "momentum",
    claim="When the rate changes, the heavy ball keeps its old velocity",
    against="the recurrence of 05#momentum",
)
def momentum_changing_rate() -> Check:
    gradients = _gradients(30)
    rates = [0.1 / (t + 1) for t in range(30)]
    path = _walk(lambda p: Momentum(p, momentum=0.7), gradients, rates)
    x, v, gap = torch.cat([p.reshape(-1) for p in _start()]), torch.zeros(17, dtype=torch.float64), 0.0
    for t, grads in enumerate(gradients):
        v = 0.7 * v - rates[t] * torch.cat([g.reshape(-1) for g in grads])
        x = x + v
        gap = largest(gap, float((x - path[t]).abs().max()))
    return Check(gap, 1e-13, "max |parameter difference|", "recurrence")


@evidence("momentum", claim="EWMA weighs past gradients with (1 - b) b^k", against="the weighted sum, brute force")
def momentum_ewma() -> Check:
    gradients = _gradients(40)
    path = _walk(lambda p: Momentum(p, lr=0.3, momentum=0.6, form="ewma"), gradients)
    flat = [torch.cat([g.reshape(-1) for g in grads]) for grads in gradients]
    gap = 0.0
    for t in range(1, 40):
        average = sum((1 - 0.6) * 0.6**k * flat[t - k] for k in range(t + 1))
        gap = largest(gap, float((path[t] - path[t - 1] + 0.3 * average).abs().max()))
    return Check(gap, 1e-13, "max |step difference|", "brute force")


@evidence(
    "momentum",
    claim="The arithmetic average weighs the last n gradients n, n - 1, ..., 1",
    against="the formula of 08#momentum",
)
def momentum_arithmetic() -> Check:
    gradients = _gradients(20)
    path = _walk(lambda p: Momentum(p, lr=0.3, form="arithmetic", window=4, weight_decay=0.0), gradients)
    flat = [torch.cat([g.reshape(-1) for g in grads]) for grads in gradients]
    gap = 0.0
    for t in range(1, 20):
        weights = [4 - k for k in range(min(4, t + 1))]
        average = sum(w * flat[t - k] for k, w in enumerate(weights)) / sum(weights)
        gap = largest(gap, float((path[t] - path[t - 1] + 0.3 * average).abs().max()))
    return Check(gap, 1e-13, "max |step difference|", "formula")


@evidence(
    "momentum",
    claim="f = 0.1 x1^2 + 2 x2^2 from (2, 2), rate 0.4, momentum 0.6",
    against="the eigenvalues of the linear recurrence",
)
def momentum_worked_example() -> Check:
    x = torch.tensor([2.0, 2.0], dtype=torch.float64, requires_grad=True)
    optimizer = Momentum([x], lr=0.4, momentum=0.6, form="torch")
    scale = torch.tensor([0.1, 2.0], dtype=torch.float64)
    for _ in range(20):
        optimizer.zero_grad()
        (scale * x * x).sum().backward()
        optimizer.step()
    found = []
    for c in (0.2, 4.0):  # x_{t+1} = (1 + b - lr c) x_t - b x_{t-1}, x_{-1} = x_0
        step = np.array([[1 + 0.6 - 0.4 * c, -0.6], [1.0, 0.0]])
        found.append((np.linalg.matrix_power(step, 20) @ [2.0, 2.0])[0])
    return Check(float(np.abs(x.detach().numpy() - found).max()), 1e-12, "max |x - closed form|", "matrix power")
