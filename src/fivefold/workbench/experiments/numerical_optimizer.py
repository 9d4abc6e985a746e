"""A numerical optimizer: test functions with known minima, and its path over one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..context import Context

SLOT = "optimizer"
STOCK: dict[str, Any] = {}
SESSION = False


def rosenbrock(x: np.ndarray) -> float:
    """Return 100 (y - x²)² + (1 - x)², least at (1, 1)."""
    return float(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


def valley(x: np.ndarray) -> float:
    """Return 0.1 x² + 2 y², least at (0, 0)."""
    return float(0.1 * x[0] ** 2 + 2 * x[1] ** 2)


def himmelblau(x: np.ndarray) -> float:
    """Return (x² + y - 11)² + (x + y² - 7)², least (0) at four points."""
    return float((x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2)


PROBLEMS: dict[str, tuple[Callable[[np.ndarray], float], tuple[float, float]]] = {
    "rosenbrock": (rosenbrock, (-1.2, 1.0)),
    "valley": (valley, (2.0, 2.0)),
    "himmelblau": (himmelblau, (0.0, 0.0)),
}
"""Name -> (function whose least value is 0, start)."""


def run(context: Context) -> None:
    """Minimize each function, count evaluations, draw every point tried on the first."""
    params = dict(context.spec.optimizer.params)
    rows: list[list[Any]] = []
    for name, (function, start) in PROBLEMS.items():
        tried: list[np.ndarray] = []

        def traced(x: np.ndarray, function: Any = function, tried: list[np.ndarray] = tried) -> float:
            tried.append(np.array(x, dtype=float))
            return float(function(x))

        with context.timed(f"minimize {name}"):
            result = context.card.load()(**params).minimize(traced, np.array(start))
        context.metrics[f"{name}: least value"] = float(result.fun)
        context.metrics[f"{name}: evaluations"] = float(len(tried))
        context.metrics[f"{name}: iterations"] = float(result.nit)
        rows.append(
            [
                name,
                str(np.round(result.x, 6).tolist()),
                float(result.fun),
                int(result.nit),
                len(tried),
                bool(result.success),
            ]
        )
        _draw(context, name, function, np.array(tried))
    columns = ["function", "minimum found at", "value", "iterations", "evaluations", "success"]
    context.table("Test functions", columns, rows, "The least value of each is 0.")


def _draw(context: Context, name: str, function: Callable[[np.ndarray], float], tried: np.ndarray) -> None:
    from .. import figures

    figure, axes = figures.canvas(5.4, 4.2)
    low, high = tried.min(axis=0), tried.max(axis=0)
    margin = 0.15 * (high - low) + 0.3
    low, high = np.maximum(low - margin, -6), np.minimum(high + margin, 6)
    across, up = np.meshgrid(np.linspace(low[0], high[0], 120), np.linspace(low[1], high[1], 120))
    values = _grid(function, across, up)
    axes.contour(across, up, np.log1p(values), levels=14, colors=figures.GRID, linewidths=0.8)
    axes.plot(tried[:, 0], tried[:, 1], "o", ms=2.5, mew=0, color=figures.SERIES[0], alpha=0.5)
    best = np.minimum.accumulate(np.array([function(x) for x in tried]))
    better = np.concatenate([[True], np.diff(best) < 0])
    axes.plot(tried[better, 0], tried[better, 1], "-", lw=1.2, color=figures.SERIES[1])
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_xlabel("x1")
    axes.set_ylabel("x2")
    caption = f"{name}: every point evaluated; the line joins those better than all before."
    context.draw(f"path-{name}", figure, caption, caption)


def _grid(function: Callable[[np.ndarray], float], across: np.ndarray, up: np.ndarray) -> np.ndarray:
    points = np.stack([across.ravel(), up.ravel()], axis=1)
    return np.array([function(point) for point in points]).reshape(across.shape)
