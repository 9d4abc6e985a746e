"""Evidence for Follow-the-Ridge: the authors' games, and its step matrix on quadratic ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.gradient.minmax import GradientDescentAscent
from fivefold.optimizers.gradient.ridge import FollowTheRidge

Game = Callable[[Tensor, Tensor], Tensor]


def _play(make: Any, game: Game, x0: Any, y0: Any, steps: int, lr: tuple[float, float] = (0.05, 0.05)) -> np.ndarray:
    """Return the path (steps + 1, weights) of leader and follower."""
    x, y = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x0, y0))
    optimizer = make([{"params": [x], "lr": lr[0]}, {"params": [y], "lr": lr[1], "maximize": True}])
    path = [np.concatenate([x.detach().numpy().ravel(), y.detach().numpy().ravel()])]
    for _ in range(steps):
        value = game(x, y)
        x.grad, y.grad = (None, None) if isinstance(optimizer, FollowTheRidge) else torch.autograd.grad(value, (x, y))
        optimizer.step(lambda: game(x, y)) if isinstance(optimizer, FollowTheRidge) else optimizer.step()
        path.append(np.concatenate([x.detach().numpy().ravel(), y.detach().numpy().ravel()]))
    return np.array(path)


def _first(x: Tensor, y: Tensor) -> Tensor:
    return (-3 * x**2 - y**2 + 4 * x * y).sum()


def _second(x: Tensor, y: Tensor) -> Tensor:
    return (3 * x**2 + y**2 + 4 * x * y).sum()


def _third(x: Tensor, y: Tensor) -> Tensor:
    ridge = (y - 3 * x + 0.05 * x**3) ** 2
    return ((4 * x**2 - ridge - 0.1 * y**4) * torch.exp(-0.01 * (x**2 + y**2))).sum()


@evidence(
    "follow-the-ridge",
    claim="It reaches the authors' two local minimax points, where descent-ascent does not; the third point, which is none, the "
    "other way round",
    against="Wang et al. 2020, section 6",
)
def ridge_toys() -> Check:
    wrong = 0
    for game, steps, minimax in ((_first, 300, True), (_third, 400, True), (_second, 300, False)):
        start = ([-7.0], [7.0]) if game is _third else ([0.6], [-0.4])
        ridge = np.linalg.norm(_play(FollowTheRidge, game, *start, steps)[-1])
        plain = np.linalg.norm(_play(GradientDescentAscent, game, *start, steps)[-1])
        wrong += (ridge < 1e-3) != minimax
        wrong += (plain < 1e-3) == minimax
    return Check(wrong, 0, "games that end otherwise", "Wang et al.")


@evidence(
    "follow-the-ridge",
    claim="On a quadratic game the step is its matrix, with one rate for each player",
    against="linear algebra",
)
def ridge_matrix() -> Check:
    rng = np.random.default_rng(3)
    half = rng.normal(size=(3, 3))
    hyy = -(half @ half.T) - 0.5 * np.eye(3)
    hyy[0] *= -1  # of either sign: the correction needs no definite H_yy
    hyy = (hyy + hyy.T) / 2
    hxx, hxy = rng.normal(size=(2, 2)), rng.normal(size=(2, 3))
    hxx = hxx + hxx.T
    a, b, c = (torch.tensor(v) for v in (hxx, hxy, hyy))
    path = _play(
        FollowTheRidge,
        lambda x, y: 0.5 * x @ a @ x + x @ b @ y + 0.5 * y @ c @ y,
        [1.0, -0.5],
        [0.3, 0.2, -1.0],
        5,
        (0.04, 0.07),
    )
    gradient = np.block([[hxx, hxy], [hxy.T, hyy]])
    turn = np.linalg.solve(hyy, hxy.T)  # H_yy^-1 H_yx
    step = np.eye(5)
    step[:2] -= 0.04 * gradient[:2]
    step[2:] += 0.07 * gradient[2:] + 0.04 * turn @ gradient[:2]
    expected = np.array([np.linalg.matrix_power(step, t) @ path[0] for t in range(6)])
    values = np.concatenate([1 - 0.04 * np.linalg.eigvals(hxx - hxy @ turn), 1 + 0.07 * np.linalg.eigvals(hyy)])
    spectrum = np.abs(np.sort_complex(values) - np.sort_complex(np.linalg.eigvals(step))).max()
    return Check(float(np.abs(path - expected).max() + spectrum), 1e-9, "max |difference|", "the matrix")


@evidence(
    "follow-the-ridge",
    claim="Damping solves (H_yy^2 + d) z = H_yy b; iterations cut the solve short; no curvature, no correction",
    against="closed form",
)
def ridge_damping() -> Check:
    curves = torch.tensor([-2.0, -0.5], dtype=torch.float64)

    def game(x: Tensor, y: Tensor) -> Tensor:
        return x.sum() * y.sum() + 0.5 * (curves * y**2).sum() + 1.5 * (x**2).sum()

    def moved(**options: Any) -> np.ndarray:
        path = _play(lambda p: FollowTheRidge(p, **options), game, [1.0], [0.0, 0.0], 1, (0.1, 0.2))
        # gx = 3 x + sum(y) = 3, gy = x = 1; the follower's own step is 0.2.
        return (path[1, 1:] - 0.2) / 0.1

    h = np.array([-2.0, -0.5])
    gap = np.abs(moved(damping=0.3) - h * 3 / (h**2 + 0.3)).max()
    b = h * 3  # one iteration: the step of steepest descent on the normal equations
    gap = largest(gap, np.abs(moved(iterations=1) - b * (b @ b) / (b @ (h**2 * b))).max())
    flat = _play(FollowTheRidge, lambda x, y: (x * y).sum(), [1.0], [0.5], 3)
    plain = _play(GradientDescentAscent, lambda x, y: (x * y).sum(), [1.0], [0.5], 3)
    return Check(float(largest(gap, np.abs(flat - plain).max())), 1e-12, "max |difference|", "closed form")


@evidence(
    "follow-the-ridge", claim="A game in small units has the correction in these units", against="the scaled game"
)
def ridge_units() -> Check:
    def moved(unit: float) -> np.ndarray:
        def game(x: Tensor, y: Tensor) -> Tensor:
            return unit * (x.sum() * y[0] + 2 * x.sum() * y[1] - y[0] ** 2 - 0.3 * y[1] ** 2 + (x**2).sum())

        path = _play(FollowTheRidge, game, [1.0], [0.4, -0.2], 1)
        return (path[1] - path[0]) / unit

    gap = np.abs(
        moved(1e-4) - moved(1.0)
    ).max()  # positions near 1 round at 1e-16, a ten-thousandth of which is compared
    return Check(float(gap), 1e-11, "max |difference|", "the scaled game")


@evidence(
    "follow-the-ridge", claim="One player descends or ascends along its gradient, with either decay", against="formula"
)
def ridge_single() -> Check:
    gap = 0.0
    for maximize, decoupled in ((False, False), (True, False), (False, True)):
        x = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
        x.grad = torch.tensor([3.0], dtype=torch.float64)
        FollowTheRidge([x], weight_decay=0.5, maximize=maximize, decoupled_weight_decay=decoupled).step()
        slope = 3.0 * (-1 if maximize else 1)
        expected = (
            2 * (1 - 0.01 * 0.5) - 0.01 * slope
        )  # decay of the penalty and the decoupled one agree without momentum
        gap = largest(gap, abs(float(x.detach()) - expected))
    return Check(gap, 1e-15, "|difference|", "formula")
