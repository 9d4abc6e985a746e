"""Evidence for descent-ascent on games."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.gradient.minmax import GradientDescentAscent, OptimisticGDA

from ._trajectories import same


def _game(make: Any, steps: int) -> np.ndarray:
    """Return the path (steps + 1, 2) on f = xy from (1, 0.5), x descending and y ascending."""
    x, y = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.0, 0.5))
    optimizer = make([{"params": [x]}, {"params": [y], "maximize": True}])
    path = [(1.0, 0.5)]
    for _ in range(steps):
        optimizer.zero_grad()
        (x * y).backward()
        optimizer.step()
        path.append((x.item(), y.item()))
    return np.array(path)


@evidence("gradient-descent-ascent", claim="On xy the radius grows by sqrt(1 + lr^2)", against="closed form")
def gda_spirals_out() -> Check:
    radius = np.linalg.norm(_game(lambda p: GradientDescentAscent(p, lr=0.1), 200), axis=1)
    ratio = radius[1:] / radius[:-1]
    return Check(float(np.abs(ratio - np.sqrt(1.01)).max()), 1e-13, "max |ratio - closed form|", "closed form")


@evidence("gradient-descent-ascent", claim="With negative momentum it follows the linear recurrence", against="NumPy")
def gda_momentum() -> Check:
    path = _game(lambda p: GradientDescentAscent(p, lr=0.1, momentum=-0.5), 100)
    turn, z, before, gap = 0.1 * np.array([[0, -1], [1, 0.0]]), path[0], path[0], 0.0
    for found in path[1:]:
        z, before = z + turn @ z - 0.5 * (z - before), z
        gap = largest(gap, float(np.abs(found - z).max()))
    return Check(gap, 1e-13, "max |difference|", "NumPy recurrence")


@evidence("gradient-descent-ascent", claim="One player alone is torch's momentum, 500 steps", against="torch.optim.SGD")
def gda_one_player() -> Check:
    options = {"lr": 0.02, "momentum": 0.6, "weight_decay": 0.1}
    plain = same(GradientDescentAscent, lambda p: torch.optim.SGD(p, lr=1e-2), {})
    return Check(
        largest(plain.value, same(GradientDescentAscent, torch.optim.SGD, options).value), 1e-9, plain.unit, plain.peer
    )


@evidence("optimistic-gda", claim="On xy it converges, where descent-ascent diverges", against="eigenvalues")
def ogda_converges() -> Check:
    path = _game(lambda p: OptimisticGDA(p, lr=0.2), 300)
    # (z_t, z_{t-1}) maps by [[1 + 2 i lr, -i lr], [1, 0]] in z = x + i y.
    step = np.array([[1 + 0.4j, -0.2j], [1, 0]])
    first = path[1] @ [1, 1j]
    found = (np.linalg.matrix_power(step, 299) @ [first, 1 + 0.5j])[0]
    radius = np.abs(path[-1] @ [1, 1j])
    return Check(
        float(abs(path[-1] @ [1, 1j] - found)) + (not radius <= 0.05), 1e-12, "|z - closed form|", "matrix power"
    )


@evidence("optimistic-gda", claim="It differs from the proximal point by O(lr^2) a step", against="the proximal point")
def ogda_proximal() -> Check:
    gaps = []
    for lr in (0.02, 0.01):
        z = _game(lambda p, lr=lr: OptimisticGDA(p, lr=lr), 20) @ [1, 1j]  # type: ignore[misc]
        gaps.append(float(np.abs(z[2:] - z[1:-1] / (1 - 1j * lr)).max()))
    return Check(gaps[1] / gaps[0], 0.3, "gap at half the rate over gap", "order two or better gives at most 1/4")


@evidence("optimistic-gda", claim="500 steps equal the recurrence, g_0 = g_1", against="the recurrence in NumPy")
def ogda_recurrence() -> Check:
    def rule(s: Any, x: np.ndarray, g: np.ndarray, t: int, group: Any) -> np.ndarray:
        last = s.get("g", g)
        s["g"] = g
        return x - group.get("lr", 0.01) * (2 * g - last)

    return same(OptimisticGDA, rule, {}, {"lr": 0.03, "weight_decay": 0.1}, rule=True)
