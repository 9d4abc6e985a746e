"""Kantorovich-Rubinstein duality: the least work of moving mass is the largest gap of a 1-Lipschitz function."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.objectives.wasserstein import optimal_transport

from ..result import Result, save_figure


def critic(points: np.ndarray, anchors: np.ndarray, potentials: np.ndarray) -> np.ndarray:
    r"""Return :math:`f(x) = \min_j (\lVert x - y_j \rVert - v_j)` at points (n, d): 1-Lipschitz for any potentials v."""
    return (cdist(points, anchors) - potentials).min(axis=1)


def steepest(points: np.ndarray, values: np.ndarray) -> float:
    """Return the largest slope |f(x) - f(y)| / ‖x - y‖ between any two of the points."""
    apart = cdist(points, points)
    rise = np.abs(values[:, None] - values)
    return float((rise[apart > 0] / apart[apart > 0]).max(initial=0.0))


@dataclass
class KantorovichRubinsteinDemo:
    r"""Solve both sides of the duality for two clouds of points, and draw the critic that attains it.

    .. math:: \min_{\gamma \in \Pi(p, q)} E_\gamma \lVert x - y \rVert =
        \max_{\lVert f \rVert_{Lip} \le 1} E_p f(x) - E_q f(y)

    Parameters
    ----------
    n_points : int >= 2, default 120
        Points of each cloud; the quick form takes a third.
    shift : float, default 2.0
        Distance of the centers.
    n_rivals : int >= 1, default 200
        Other 1-Lipschitz functions whose gaps are compared: directions and distances to a point.
    """

    n_points: int = 120
    shift: float = 2.0
    n_rivals: int = 200

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the demonstration and write ``critic.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A third of the points.

        Returns
        -------
        Result
            Primal and dual value, the steepest slope of the critic, the best gap of the other functions, and the gap of a
            critic of twice the slope.
        """
        if self.n_points < 2 or self.n_rivals < 1:
            raise InputError(f"The demonstration needs n_points >= 2 and n_rivals >= 1, got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        streams = Streams(seed)
        n = max(2, self.n_points // 3) if quick else self.n_points
        x = streams.numpy("x").normal(size=(n, 2))
        y = streams.numpy("y").normal(size=(n, 2)) * [0.5, 1.5] + [self.shift, 0.0]
        p, q = streams.numpy("p").dirichlet(np.full(n, 2.0)), streams.numpy("q").dirichlet(np.full(n, 2.0))
        found = optimal_transport(cdist(x, y), p, q)
        both = np.concatenate([x, y])
        values = critic(both, y, found.dual_y)
        dual = float(p @ values[:n] - q @ values[n:])
        rivals = self._rivals(streams, x, y, p, q)
        numbers = {
            "primal value": found.cost,
            "dual value": dual,
            "steepest slope of the critic": steepest(both, values),
            "best gap of the other functions": float(rivals.max()),
            "gap of the critic times 2": 2 * dual,
            "slope along moves": self._slope_along_moves(found.plan, x, y, values),
            "moves": float((found.plan > 0).sum()),
        }
        figure = self._draw(folder / "critic.png", x, y, found, 60 if quick else 120)
        return Result(numbers, [figure], self._text(numbers))

    def _rivals(self, streams: Streams, x: np.ndarray, y: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Return E_p f - E_q f of directions and of distances to a point, each in its better sign."""
        rng = streams.numpy("rivals")
        angle = rng.uniform(0, np.pi, self.n_rivals)
        lines = np.stack([np.cos(angle), np.sin(angle)])
        centers = rng.normal(size=(self.n_rivals, 2)) * 3
        gaps = [p @ x @ lines - q @ y @ lines, p @ cdist(x, centers) - q @ cdist(y, centers)]
        return np.abs(np.concatenate(gaps))

    def _slope_along_moves(self, plan: np.ndarray, x: np.ndarray, y: np.ndarray, values: np.ndarray) -> float:
        """Return the least slope of the critic along the moves of the plan: 1 where mass moves."""
        i, j = plan.nonzero()
        length = np.linalg.norm(x[i] - y[j], axis=1)
        moving = (length > 0) & (plan[i, j] > 1e-12)
        return float(((values[i] - values[len(x) + j]) / np.where(length > 0, length, 1))[moving].min())

    def _draw(self, path: Path, x: np.ndarray, y: np.ndarray, found: Any, dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 5.4), layout="constrained")
        axes = figure.subplots()
        both = np.concatenate([x, y])
        low, high = both.min(axis=0) - 0.4, both.max(axis=0) + 0.4
        across, up = np.meshgrid(np.linspace(low[0], high[0], 160), np.linspace(low[1], high[1], 120))
        heights = critic(np.column_stack([across.ravel(), up.ravel()]), y, found.dual_y).reshape(across.shape)
        filled = axes.contourf(across, up, heights, levels=24, cmap="Greys")
        figure.colorbar(filled, ax=axes, label="critic f, slope at most 1")
        for i, j in zip(*found.plan.nonzero(), strict=True):
            axes.plot([x[i, 0], y[j, 0]], [x[i, 1], y[j, 1]], color="#54a24b", linewidth=0.6)
        axes.scatter(*x.T, s=10, color="#4c78a8", label="p", zorder=3)
        axes.scatter(*y.T, s=10, color="#e45756", label="q", zorder=3)
        axes.plot([], [], color="#54a24b", label="moves of the optimal plan")
        axes.set_xlabel("first coordinate")
        axes.set_ylabel("second coordinate")
        figure.legend(loc="outside upper center", ncols=3)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        gap = abs(numbers["primal value"] - numbers["dual value"])
        return (
            f"Moving one cloud onto the other costs at least {numbers['primal value']:.4f} (mass times distance, "
            f"{numbers['moves']:.0f} moves). The critic, whose steepest slope is "
            f"{numbers['steepest slope of the critic']:.4f}, separates the two by {numbers['dual value']:.4f}; the two values "
            f"differ by {gap:.1e}. Along every move the critic falls with the slope "
            f"{numbers['slope along moves']:.4f} or more.\n\n"
            f"The best of the other functions of slope 1 reaches {numbers['best gap of the other functions']:.4f}. Without "
            f"the bound on the slope the gap has no limit: twice the critic has {numbers['gap of the critic times 2']:.4f}."
        )
