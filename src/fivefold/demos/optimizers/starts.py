"""Convex and non-convex objectives from many starts: one minimum against several."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.optimizers.gradient.descent import GradientDescent


def convex(points: Tensor) -> Tensor:
    """Return (x - 1)² + (y + 1)² / 2 + log(1 + exp(x + y)) / 2 of points (n, 2): strongly convex."""
    x, y = points[:, 0], points[:, 1]
    return (x - 1) ** 2 + 0.5 * (y + 1) ** 2 + 0.5 * torch.nn.functional.softplus(x + y)


def himmelblau(points: Tensor) -> Tensor:
    """Return Himmelblau's function over 20 of points (n, 2), with four minima of height 0."""
    x, y = points[:, 0], points[:, 1]
    return ((x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2) / 20


OBJECTIVES = {"convex": convex, "non-convex": himmelblau}


def descend(name: str, starts: np.ndarray, steps: int, lr: float) -> np.ndarray:
    """Return the paths (steps + 1, n, 2) of gradient descent from all starts (n, 2) at once."""
    points = torch.tensor(starts, dtype=torch.float64, requires_grad=True)
    optimizer = GradientDescent([points], lr=lr)
    path = [points.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        OBJECTIVES[name](points).sum().backward()  # the starts do not meet: each gets its own gradient
        optimizer.step()
        path.append(points.detach().clone())
    return torch.stack(path).numpy()


def distinct(ends: np.ndarray, within: float = 1e-2) -> np.ndarray:
    """Return one end (2,) of each cluster of ends (n, 2) that are nearer than ``within``, in order of appearance."""
    kept: list[np.ndarray] = []
    for end in ends:
        if all(np.linalg.norm(end - other) > within for other in kept):
            kept.append(end)
    return np.array(kept)


@dataclass
class StartsDemo:
    """Descend a convex and a non-convex function from a number of random starts.

    Parameters
    ----------
    n_starts : int >= 2, default 60
    steps : int >= 1, default 1500
    lr : float > 0, default 0.05
    """

    n_starts: int = 60
    steps: int = 1500
    lr: float = 0.05

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the experiment and write ``starts.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A fifth of the steps.

        Returns
        -------
        Result
            For each objective: the number of distinct ends, the largest distance between two, the largest gradient left, and
            the violations of the chord inequality f((a + b) / 2) <= (f(a) + f(b)) / 2 among random pairs.
        """
        if self.n_starts < 2 or self.steps < 1 or not self.lr > 0:
            raise InputError(f"The demonstration needs n_starts >= 2, steps >= 1 and lr > 0; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        starts = Streams(seed).numpy("starts").uniform(-4.5, 4.5, (self.n_starts, 2))
        pairs = torch.as_tensor(Streams(seed).numpy("pairs").uniform(-4.5, 4.5, (2, 2000, 2)))
        numbers: dict[str, float] = {}
        paths, minima = {}, {}
        for name, function in OBJECTIVES.items():
            paths[name] = descend(name, starts, max(1, self.steps // 5) if quick else self.steps, self.lr)
            ends = paths[name][-1]
            minima[name] = distinct(ends)
            last = torch.tensor(ends, requires_grad=True)
            (slope,) = torch.autograd.grad(function(last).sum(), last)
            above = function(pairs.mean(0)) > (function(pairs[0]) + function(pairs[1])) / 2 + 1e-12
            spread = np.linalg.norm(ends[:, None] - ends[None], axis=-1)
            numbers[f"{name}: distinct minima reached"] = float(len(minima[name]))
            numbers[f"{name}: largest distance between ends"] = float(spread.max())
            numbers[f"{name}: largest gradient left"] = float(slope.abs().max())
            numbers[f"{name}: share of chords below the function"] = float(above.double().mean())
        figures = [self._draw(folder / "starts.png", paths, minima, 60 if quick else 120)]
        text = "\n\n".join(
            f"From {self.n_starts} starts the {name} objective ends in {numbers[f'{name}: distinct minima reached']:.0f} "
            f"place(s), up to {numbers[f'{name}: largest distance between ends']:.2g} apart. The middle of two random points "
            f"lies above their chord in {numbers[f'{name}: share of chords below the function']:.0%} of the pairs."
            for name in OBJECTIVES
        )
        return Result(numbers, figures, text)

    def _draw(self, file: Path, paths: dict[str, np.ndarray], minima: dict[str, np.ndarray], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.6, 4.8), layout="constrained")
        axis = np.linspace(-5, 5, 80)
        first, second = np.meshgrid(axis, axis)
        grid = torch.as_tensor(np.stack([first.ravel(), second.ravel()], axis=1))
        for axes, (name, path) in zip(figure.subplots(1, 2), paths.items(), strict=True):
            heights = OBJECTIVES[name](grid).numpy().reshape(first.shape)
            axes.contour(first, second, np.log1p(heights - heights.min()), levels=14, colors="#bbbbbb", linewidths=0.7)
            axes.plot(path[:, :, 0], path[:, :, 1], color="#4c78a8", linewidth=0.8, alpha=0.7)
            axes.plot(*path[0].T, ".", color="#4c78a8", markersize=5)
            axes.plot(*minima[name].T, "*", color="#e45756", markersize=14)
            axes.set_title(f"{name}: {len(minima[name])} {'minimum' if len(minima[name]) == 1 else 'minima'}")
            axes.set_xlabel("x")
            axes.set_ylabel("y")
        save_figure(figure, file, dpi=dpi)
        return file
