"""A sigmoid with the squared error: no gradient where the answer is as wrong as it can be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams

from ..result import Result, save_figure

LOSSES = ("cross-entropy", "squared error")


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-z)), without overflow."""
    return np.exp(-np.logaddexp(0.0, -z))


def losses(z: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    r"""Return :math:`-y \ln f - (1 - y) \ln(1 - f)` and :math:`(f - y)^2` with f = sigmoid(z)."""
    return {"cross-entropy": np.logaddexp(0.0, np.where(y > 0, -z, z)), "squared error": (sigmoid(z) - y) ** 2}


def slopes(z: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    r"""Return their derivatives by z: :math:`f - y` and :math:`2 (f - y) f (1 - f)`."""
    f = sigmoid(z)
    return {"cross-entropy": f - y, "squared error": 2.0 * (f - y) * f * sigmoid(-z)}


@dataclass
class SquaredErrorFailureDemo:
    """Compare the slopes where the answer is wrong, draw both surfaces and descend from a bad start.

    Parameters
    ----------
    n_points : int >= 4, default 100
        Points, half of each class.
    bad : float > 0, default 12.0
        Length of the weight vector that points the wrong way at the start.
    learning_rate : float > 0, default 0.5
    n_steps : int >= 1, default 400
    """

    n_points: int = 100
    bad: float = 12.0
    learning_rate: float = 0.5
    n_steps: int = 400

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the demonstration and write ``slopes.png`` and ``surfaces.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            Coarser surfaces; the numbers are the same.

        Returns
        -------
        Result
            Slopes at scores of -10, 0 and 10 for y = 1, and steps to an accuracy of 0.9 from a bad and from a neutral start,
            -1 where it is not reached.
        """
        if self.n_points < 4 or self.bad <= 0 or self.learning_rate <= 0 or self.n_steps < 1:
            raise InputError(
                f"The demonstration needs n_points >= 4, bad > 0, learning_rate > 0 and n_steps >= 1; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        numbers: dict[str, float] = {}
        for score in (-10.0, 0.0, 10.0):
            for name, value in slopes(np.array(score), np.array(1.0)).items():
                numbers[f"{name}: size of the slope at score {score:g} for y = 1"] = float(np.abs(value))
        X, y = self.data(seed)
        paths = {}
        for start in ("bad", "neutral"):
            for name in LOSSES:
                path = self.descend(X, y, name, self.bad if start == "bad" else 0.0)
                right = ((X @ path.T > 0) == (y[:, None] > 0)).mean(axis=0)  # (steps + 1,)
                reached = np.flatnonzero(right >= 0.9)
                numbers[f"{name}: steps from a {start} start"] = float(reached[0] if len(reached) else -1)
                numbers[f"{name}: accuracy at the end from a {start} start"] = float(right[-1])
                if start == "bad":
                    paths[name] = path
        dpi = 60 if quick else 120
        figures = [
            self._draw_slopes(folder / "slopes.png", dpi),
            self._draw_surfaces(folder / "surfaces.png", X, y, paths, 41 if quick else 121, dpi),
        ]
        return Result(numbers, figures, self._text(numbers))

    def data(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return points (n, 2) around (1, 1) and (-1, -1) and their classes 1 and 0."""
        y = (np.arange(self.n_points) % 2).astype(float)
        noise = Streams(seed).numpy("points").normal(size=(self.n_points, 2))
        return (2.0 * y - 1.0)[:, None] + 0.8 * noise, y

    def descend(self, X: np.ndarray, y: np.ndarray, loss: str, bad: float) -> np.ndarray:
        """Return the weights (n_steps + 1, 2) of gradient descent from ``-bad (1, 1) / sqrt(2)`` on the mean loss."""
        path = np.empty((self.n_steps + 1, 2))
        path[0] = -bad / np.sqrt(2.0)
        for t in range(self.n_steps):
            path[t + 1] = path[t] - self.learning_rate * slopes(X @ path[t], y)[loss] @ X / len(y)
        return path

    def _draw_slopes(self, path: Path, dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        z, one = np.linspace(-12.0, 12.0, 301), np.ones(301)
        for name, color in zip(LOSSES, ("#4c78a8", "#e45756"), strict=True):
            left.plot(z, losses(z, one)[name], color=color, label=name)
            right.plot(z, np.abs(slopes(z, one)[name]), color=color, label=name)
        left.set_ylabel("loss for y = 1")
        right.set_ylabel("size of the slope for y = 1")
        right.set_yscale("log")
        for axes in (left, right):
            axes.set_xlabel("score (left: wrong, right: correct)")
        left.legend(loc="best")
        save_figure(figure, path, dpi=dpi)
        return path

    def _draw_surfaces(
        self, path: Path, X: np.ndarray, y: np.ndarray, paths: dict[str, np.ndarray], n: int, dpi: int
    ) -> Path:
        from matplotlib.figure import Figure

        side = np.linspace(-1.0, 1.0, n) * 1.2 * self.bad
        first, second = np.meshgrid(side, side)
        z = first[..., None] * X[:, 0] + second[..., None] * X[:, 1]  # (n, n, points)
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        surfaces = losses(z, y)
        for axes, name in zip(figure.subplots(1, 2, sharex=True, sharey=True), LOSSES, strict=True):
            image = axes.contourf(first, second, surfaces[name].mean(axis=2), levels=20, cmap="viridis")
            axes.plot(*paths[name].T, color="#e45756", linewidth=1.5)
            axes.plot(*paths[name][0], "o", color="white", label="start")
            axes.plot(*paths[name][-1], "*", color="#e45756", markersize=12, label=f"after {self.n_steps} steps")
            axes.set_title(name)
            axes.set_xlabel("first weight")
            figure.colorbar(image, ax=axes, label="mean loss")
        figure.axes[0].set_ylabel("second weight")
        figure.axes[0].legend(loc="upper left", fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        wrong = {name: numbers[f"{name}: size of the slope at score -10 for y = 1"] for name in LOSSES}
        steps = {name: numbers[f"{name}: steps from a bad start"] for name in LOSSES}
        said = {
            name: f"needs {value:.0f} steps" if value >= 0 else f"does not get there in {self.n_steps} steps"
            for name, value in steps.items()
        }
        return (
            f"At a score of -10 for a point of class 1 the slope of the cross-entropy is {wrong['cross-entropy']:.4f}, that of "
            f"the squared error {wrong['squared error']:.1e}: its factor f (1 - f) vanishes where the answer is most wrong, as "
            "it does where the answer is right.\n\n"
            f"From weights of length {self.bad:g} that point the wrong way, to an accuracy of 0.9: cross-entropy "
            f"{said['cross-entropy']}, squared error {said['squared error']}. From zero the squared error needs "
            f"{numbers['squared error: steps from a neutral start']:.0f}."
        )
