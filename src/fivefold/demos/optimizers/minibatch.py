"""Mini-batch gradient descent: how noisy a batch's gradient is, and the paths of batch, mini-batch and stochastic steps."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.data.batches import Batches
from fivefold.demos.result import Result, save_figure
from fivefold.optimizers.gradient.descent import SGD


def squared_error_gradients(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    r"""Return the gradient of :math:`\frac12 (w^T x - y)^2` for each example, (n, d), at w (d,)."""
    found: np.ndarray = (x @ w - y)[:, None] * x
    return found


def standard_errors(gradients: np.ndarray, sizes: tuple[int, ...], repeats: int, seed: int) -> dict[int, float]:
    r"""Return the measured standard error of a batch's mean gradient for each batch size, by Monte Carlo.

    In closed form, for rows drawn with replacement, it is :math:`\sqrt{\mathrm{tr}\,\Sigma / m}` with the covariance
    :math:`\Sigma` of the single gradients.

    Parameters
    ----------
    gradients : ndarray (n, d)
    sizes : tuple of ints >= 1
    repeats : int >= 1
        Batches drawn of each size.
    seed : int

    Returns
    -------
    dict size -> root of the mean squared distance from the full gradient
    """
    truth, found = gradients.mean(axis=0), {}
    for size in sizes:
        # How often each row is drawn is all that the mean needs.
        counts = (
            Streams(seed)
            .numpy("batches", size)
            .multinomial(size, np.full(len(gradients), 1 / len(gradients)), size=repeats)
        )  # (repeats, n)
        means = counts @ gradients / size
        found[size] = float(np.sqrt(((means - truth) ** 2).sum(axis=1).mean()))
    return found


@dataclass
class MiniBatchDemo:
    """Least squares with two weights: standard errors of gradients, and three paths to the minimum.

    Parameters
    ----------
    n : int >= 100, default 1000
        Examples.
    batch_sizes : tuple of ints, default (1000, 32, 1)
        Of the paths: all examples, a mini-batch, one example.
    epochs : int >= 1, default 8
    lr : float > 0, default 0.1
    repeats : int >= 2, default 400
        Batches behind each standard error.
    """

    n: int = 1000
    batch_sizes: tuple[int, ...] = (1000, 32, 1)
    epochs: int = 8
    lr: float = 0.1
    repeats: int = 400

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the experiment and write ``paths.png`` and ``standard-error.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A tenth of the Monte Carlo draws, at most 400 examples and 3 epochs.

        Returns
        -------
        Result
            Standard errors, measured and in closed form; for each batch size the updates of an epoch, the last loss above the
            least one, and the roughness: the length of the path over the distance it covers.
        """
        if self.n < 100 or self.epochs < 1 or self.repeats < 2 or not self.lr > 0:
            raise InputError(f"The demonstration needs n >= 100, epochs >= 1, repeats >= 2 and lr > 0; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        n = min(self.n, 400) if quick else self.n
        x, y = self._data(seed, n)
        start = np.array([-2.0, 2.5])
        best = np.linalg.lstsq(x, y, rcond=None)[0]
        gradients = squared_error_gradients(x, y, start)
        sizes = (1, 10, 100, 1000, 10000)
        repeats = max(2, self.repeats // 10) if quick else self.repeats
        measured = standard_errors(gradients, sizes, repeats, seed)
        spread = float(np.sqrt(((gradients - gradients.mean(axis=0)) ** 2).sum(axis=1).mean()))
        numbers = {f"standard error of {size} rows": measured[size] for size in sizes}
        numbers |= {f"standard error of {size} rows, closed form": spread / size**0.5 for size in sizes}
        numbers["error of 100 rows over that of 10000"] = measured[100] / measured[10000]
        least = _loss(x, y, best)
        paths = {}
        for size in self.batch_sizes:
            paths[size] = self._path(seed, x, y, start, size, 3 if quick else self.epochs)
            steps = np.diff(paths[size], axis=0)
            numbers[f"batch {size}: updates of an epoch"] = float(-(-n // size))
            numbers[f"batch {size}: last loss above the least"] = _loss(x, y, paths[size][-1]) - least
            numbers[f"batch {size}: roughness"] = float(
                np.linalg.norm(steps, axis=1).sum() / np.linalg.norm(paths[size][-1] - start)
            )
        dpi = 60 if quick else 120
        figures = [
            self._draw_paths(folder / "paths.png", x, y, best, paths, dpi),
            self._draw_errors(folder / "standard-error.png", measured, spread, dpi),
        ]
        return Result(numbers, figures, self._text(numbers))

    def _data(self, seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        random = Streams(seed).numpy("data")
        x = random.standard_normal((n, 2)) * np.array([1.0, 0.5])
        return x, x @ np.array([1.0, -1.0]) + random.standard_normal(n)

    def _path(self, seed: int, x: np.ndarray, y: np.ndarray, start: np.ndarray, size: int, epochs: int) -> np.ndarray:
        """Return the weights after every update, (updates + 1, 2)."""
        w = torch.tensor(start, requires_grad=True)
        optimizer, batches = SGD([w], lr=self.lr), Batches({"x": x, "y": y}, size, seed=seed)
        path: list[Tensor] = [w.detach().clone()]
        for epoch in range(epochs):
            for batch in batches.epoch(epoch):
                w.grad = batch.x.T @ (batch.x @ w.detach() - batch.y) / len(batch)
                optimizer.step()
                path.append(w.detach().clone())
        return torch.stack(path).numpy()

    def _draw_paths(
        self, file: Path, x: np.ndarray, y: np.ndarray, best: np.ndarray, paths: dict[int, np.ndarray], dpi: int
    ) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 5), layout="constrained")
        axes = figure.subplots()
        first, second = np.meshgrid(np.linspace(-2.5, 2.5, 60), np.linspace(-2.5, 3.0, 60))
        points = np.stack([first.ravel(), second.ravel()])  # (2, points)
        losses = 0.5 * ((x @ points - y[:, None]) ** 2).mean(axis=0).reshape(first.shape)
        axes.contour(first, second, losses, levels=12, colors="#bbbbbb", linewidths=0.7)
        for (size, path), color in zip(
            reversed(paths.items()), ("#f58518", "#4c78a8", "#e45756", "#72b7b2"), strict=False
        ):
            label = "all rows" if size >= len(x) else f"{size} row{'s' * (size > 1)}"
            axes.plot(
                *path.T, color=color, linewidth=0.8 if size == 1 else 1.6, label=label, alpha=0.5 if size == 1 else 1.0
            )
        axes.plot(*best, "k+", markersize=12, label="minimum")
        axes.set_xlabel("first weight")
        axes.set_ylabel("second weight")
        axes.legend(loc="upper right", title="gradient of")
        save_figure(figure, file, dpi=dpi)
        return file

    def _draw_errors(self, file: Path, measured: dict[int, float], spread: float, dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5.6, 4), layout="constrained")
        axes = figure.subplots()
        sizes = np.array(list(measured))
        axes.loglog(sizes, spread / np.sqrt(sizes), color="gray", label="closed form: 1/√m")
        axes.loglog(sizes, list(measured.values()), "o", color="#e45756", label="measured")
        axes.set_xlabel("rows in the batch, m")
        axes.set_ylabel("standard error of the gradient")
        axes.legend(loc="best")
        save_figure(figure, file, dpi=dpi)
        return file

    def _text(self, numbers: dict[str, float]) -> str:
        rough = ", ".join(f"{numbers[f'batch {s}: roughness']:.1f} for batches of {s}" for s in self.batch_sizes)
        above = ", ".join(f"{numbers[f'batch {s}: last loss above the least']:.2g} ({s})" for s in self.batch_sizes)
        return (
            "The gradient of a batch is right on average, and its standard error falls with the root of its size: 100 rows "
            f"instead of 10000 cost a hundredth and err {numbers['error of 100 rows over that of 10000']:.1f} times as much.\n\n"
            f"The length of the path over the distance it covers is {rough}. After the same number of epochs the loss is above "
            f"its least by {above}."
        )


def _loss(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    return float(0.5 * ((x @ w - y) ** 2).mean())
