"""Evidence for the proxy-Lagrangian game."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.constrained import ProxyLagrangian


def _streams(steps: int, m: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(4)
    for _ in range(steps):
        yield rng.normal(size=m) + np.linspace(0.5, -0.5, m)


@evidence(
    "proxy-lagrangian",
    claim="The multipliers of swap regret follow algorithm 2",
    against="NumPy, stationary vector by eigenvalues",
)
def proxy_swap() -> Check:
    gap = 0.0
    for lr in (None, 0.4):
        game = ProxyLagrangian(3) if lr is None else ProxyLagrangian(3, lr)
        sums, weights = np.zeros((4, 4)), np.full(4, 0.25)
        for values in _streams(20, 3):
            game.update(torch.tensor(values))
            # The matrix after all steps at once: exp of the summed exponents, columns scaled.
            sums += (0.1 if lr is None else lr) * np.outer(np.r_[0.0, values], weights)
            matrix = np.exp(sums) / np.exp(sums).sum(0)
            roots, vectors = np.linalg.eig(matrix)
            vector = vectors[:, np.argmax(roots.real)].real
            weights = vector / vector.sum()
            gap = largest(gap, float(np.abs(game.weights.numpy() - weights).max()))
        gap = largest(gap, float(np.abs(game.multipliers.numpy() - weights[1:] / weights[0]).max()))
        gap += not float(np.ptp(weights)) >= 0.05
    return Check(gap, 1e-12, "max |weight difference|", "NumPy")


@evidence(
    "proxy-lagrangian",
    claim="The external multipliers are projected on their set after each step",
    against="scipy SLSQP; NumPy",
)
def proxy_external() -> Check:
    from scipy.optimize import minimize

    game, free = ProxyLagrangian(3, 0.7, regret="external", radius=1.5), ProxyLagrangian(3, 0.7, regret="external")
    ball, orthant, gap, bounded = np.zeros(3), np.zeros(3), 0.0, 0
    for values in _streams(8, 3):
        game.update(torch.tensor(values))
        free.update(torch.tensor(values))
        wanted = ball + 0.7 * values
        found = minimize(
            lambda z, wanted=wanted: ((z - wanted) ** 2).sum(),
            np.full(3, 0.1),
            method="SLSQP",
            bounds=[(0, None)] * 3,
            constraints={"type": "ineq", "fun": lambda z: 1.5 - z.sum()},
            options={"ftol": 1e-14},
        ).x
        ball, orthant = game.weights[1:].numpy().copy(), np.maximum(orthant + 0.7 * values, 0.0)
        bounded += abs(ball.sum() - 1.5) < 1e-9
        gap = largest(
            gap, float(np.abs(ball - found).max()), 1e3 * float(np.abs(free.weights[1:].numpy() - orthant).max())
        )
    # SLSQP stops at about the root of its tolerance.
    return Check(gap + (not 2 <= bounded < 8) + abs(float(game.weights[0]) - 1), 1e-5, "max |difference|", "scipy")


@evidence(
    "proxy-lagrangian",
    claim="It starts with equal weights, stays finite under huge violations, and keeps within a small radius",
    against="its definition",
)
def proxy_extremes() -> Check:
    game = ProxyLagrangian(2, 1.0)
    gap = float((game.matrix - 1 / 3).abs().max()) + float((game.weights - 1 / 3).abs().max())
    game.update(torch.tensor([1e6, -1e6]))
    wanted = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)  # all weight to the violated one
    gap += float(torch.nan_to_num((game.weights - wanted).abs(), nan=9.0).max())
    small = ProxyLagrangian(2, 1.0, regret="external", radius=0.05)
    small.update(torch.tensor([1.0, 0.97]))
    gap += float((small.weights - torch.tensor([1.0, 0.04, 0.01], dtype=torch.float64)).abs().max())
    return Check(gap, 1e-7, "sum of differences", "by hand")  # the violations are float32


@evidence(
    "proxy-lagrangian",
    claim="The gradient is lambda_0 g_0' + sum of lambda_i proxy_i', none through the multipliers",
    against="formula",
)
def proxy_gradient() -> Check:
    game = ProxyLagrangian(2, 0.5)
    game.update(torch.tensor([1.0, -2.0], requires_grad=True))
    x = torch.tensor([0.3, -0.4], dtype=torch.float64, requires_grad=True)
    game((x**2).sum(), torch.stack([x[0] ** 3, x[0] * x[1]])).backward()
    a, b, c = game.weights.tolist()
    expected = torch.tensor([a * 0.6 + b * 3 * 0.09 + c * -0.4, a * -0.8 + c * 0.3], dtype=torch.float64)
    return Check(float((x.grad - expected).abs().max()), 1e-15, "max |difference|", "formula")  # type: ignore[operator]


@evidence(
    "proxy-lagrangian",
    claim="On min x^2 + y^2 with x + y >= 1 the players find (1/2, 1/2) and the multiplier 1",
    against="KKT by hand",
)
def proxy_kkt() -> Check:
    gap = 0.0
    for regret, lr in (("external", 0.3), ("swap", 1.0)):
        game = ProxyLagrangian(1, lr, regret=regret)
        x = torch.tensor([0.0, 2.0], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([x], lr=0.1)
        for _ in range(400):
            optimizer.zero_grad()
            constraint = (1 - x.sum()).reshape(1)
            game((x**2).sum(), constraint).backward()
            optimizer.step()
            game.update(constraint)
        gap = largest(gap, float((x - 0.5).abs().max().detach()), abs(float(game.multipliers[0]) - 1))
    return Check(gap, 1e-3, "distance to the solution", "KKT")


@evidence(
    "proxy-lagrangian",
    claim="A parity of rates that the plain model misses by 0.3 is met within 0.02 by the mixture; "
    "with a bound so wide that it never binds, nothing changes",
    against="the counted rates",
)
def proxy_fairness() -> Check:
    generator = torch.Generator().manual_seed(2)
    n = 2000
    group = torch.arange(n) % 2
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    x[:, 0] += 1.2 * group
    y = (x.sum(1) + 0.7 * torch.randn(n, generator=generator, dtype=torch.float64) > 0.6).double()
    x = torch.cat([x, group[:, None].double(), torch.ones(n, 1, dtype=torch.float64)], 1)

    def train(bound: float | None) -> float:
        w = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        game = ProxyLagrangian(2, 1.0)
        optimizer = torch.optim.Adam([w], lr=0.05)
        gaps = []
        for _ in range(400):
            optimizer.zero_grad()
            score = x @ w
            loss = torch.nn.functional.binary_cross_entropy_with_logits(score, y)
            soft = torch.sigmoid(score)
            proxy = soft[group == 1].mean() - soft[group == 0].mean()
            hard = (score > 0).double()
            gap = (hard[group == 1].mean() - hard[group == 0].mean()).detach()
            if bound is None:
                loss.backward()
            else:
                game(loss, torch.stack([proxy - bound, -proxy - bound])).backward()
                game.update(torch.stack([gap - bound, -gap - bound]))
            optimizer.step()
            gaps.append(float(gap))
        return float(np.mean(gaps[200:]))  # of the mixture of the second half

    plain, fair, wide = train(None), train(0.05), train(0.95)
    # The regret after 400 steps of rate 1 is of the order of log(m) / steps + the swings, some hundredths at most.
    return Check(
        largest(fair - 0.05, 0.02 * (not plain >= 0.3), abs(wide - plain)),
        0.02,
        "violation of the parity",
        "counted rates",
    )
