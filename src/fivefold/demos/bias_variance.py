"""Bias, variance and noise: why a complex model needs more data (figures of curves and of the U-shaped error)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.evaluation.diagnostics import BiasVariance, decompose

from .result import Result, save_figure


def true_function(x: np.ndarray) -> np.ndarray:
    """Return sin(πx) + x/2, what the models try to learn on [-1, 1]."""
    return np.sin(np.pi * x) + 0.5 * x


def features(x: np.ndarray, degree: int) -> np.ndarray:
    """Return Legendre polynomials (n, degree + 1) of x (n,): the same models as powers, better conditioned."""
    return np.polynomial.legendre.legvander(x, degree)


def exact_parts(x: np.ndarray, points: np.ndarray, degree: int, noise: float) -> tuple[float, float]:
    r"""Return mean squared bias and mean variance of least squares at ``points`` in closed form.

    With the design Φ of the inputs and φ of a point, :math:`E\hat y = \varphi^T \Phi^+ f` and
    :math:`\mathrm{Var}\,\hat y = \sigma^2 \lVert \varphi^T \Phi^+ \rVert^2`.
    """
    weights = features(points, degree) @ np.linalg.pinv(features(x, degree))  # (m, n)
    bias = weights @ true_function(x) - true_function(points)
    return float((bias**2).mean()), float(noise * (weights**2).sum(axis=1).mean())


@dataclass
class BiasVarianceDemo:
    """Fit many data sets with a line and with a polynomial of degree 5, and split the error of every degree.

    Parameters
    ----------
    n_datasets : int >= 2, default 100
        Data sets of each size.
    sizes : tuple of int, default (10, 100)
        Examples of a data set: few and many.
    degrees : tuple of int, default (1, 5)
        The simple and the complex model of the first figure.
    noise : float >= 0, default 0.1
        Variance of the noise.
    max_degree : int >= 0, default 9
        Last degree of the U-curve, for the smaller size.
    """

    n_datasets: int = 100
    sizes: tuple[int, int] = (10, 100)
    degrees: tuple[int, int] = (1, 5)
    noise: float = 0.1
    max_degree: int = 9

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the experiment and write ``curves.png`` and ``u-curve.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            Coarser figures; the numbers are the same.

        Returns
        -------
        Result
            For each degree and size: squared bias, variance, error and the gap of the identity in standard errors; the best
            degree of the U-curve.
        """
        if (
            self.n_datasets < 2
            or self.noise < 0
            or self.max_degree < max(self.degrees)
            or self.sizes[0] <= self.max_degree
        ):
            raise InputError(
                "The demonstration needs n_datasets >= 2, noise >= 0, max_degree at least that of the models and more "
                f"examples than it; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        points = np.linspace(-1.0, 1.0, 201)
        numbers: dict[str, float] = {}
        curves: dict[tuple[int, int], np.ndarray] = {}
        for size in self.sizes:
            for degree in self.degrees:
                parts, curves[size, degree] = self._parts(seed, size, degree, points)
                key = f"degree {degree}, {size} examples"
                numbers[f"{key}: squared bias"] = float(parts.bias2.mean())
                numbers[f"{key}: variance"] = float(parts.variance.mean())
                numbers[f"{key}: error"] = parts.error
                numbers[f"{key}: gap in standard errors"] = (
                    parts.gap / parts.standard_error if self.noise else parts.gap
                )
        split = [self._parts(seed, self.sizes[0], d, points)[0] for d in range(self.max_degree + 1)]
        exact = [exact_parts(self._inputs(self.sizes[0]), points, d, self.noise) for d in range(self.max_degree + 1)]
        numbers["noise"] = self.noise
        numbers["best degree by measured error"] = float(np.argmin([p.error for p in split]))
        numbers["best degree by closed form"] = float(np.argmin([b + v for b, v in exact]))
        dpi = 60 if quick else 120
        figures = [
            self._draw_curves(folder / "curves.png", points, curves, dpi),
            self._draw_split(folder / "u-curve.png", split, exact, dpi),
        ]
        return Result(numbers, figures, self._text(numbers))

    def _inputs(self, size: int) -> np.ndarray:
        return np.linspace(-1.0, 1.0, size)

    def _parts(self, seed: int, size: int, degree: int, points: np.ndarray) -> tuple[BiasVariance, np.ndarray]:
        """Return the decomposition and the predictions (D, m) of one model on data sets of one size."""
        streams = Streams(seed)
        x, scale = self._inputs(size), np.sqrt(self.noise)
        y = true_function(x) + scale * streams.numpy("training", size).standard_normal((self.n_datasets, size))
        coefficients, *_ = np.linalg.lstsq(features(x, degree), y.T, rcond=None)  # (degree + 1, D): all fits at once
        predictions = (features(points, degree) @ coefficients).T  # (D, m)
        truth = true_function(points)
        fresh = truth + scale * streams.numpy("targets", size, degree).standard_normal(predictions.shape)
        return decompose(predictions, truth, noise=self.noise, targets=fresh), predictions

    def _draw_curves(self, path: Path, points: np.ndarray, curves: dict[tuple[int, int], np.ndarray], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 6.4), layout="constrained")
        grid: Any = figure.subplots(len(self.sizes), len(self.degrees), sharex=True, sharey=True)
        for row, size in enumerate(self.sizes):
            for column, degree in enumerate(self.degrees):
                axes = grid[row, column]
                axes.plot(points, curves[size, degree].T, color="#4c78a8", alpha=0.12, linewidth=0.8)
                axes.plot(
                    points, curves[size, degree].mean(axis=0), color="#e45756", linewidth=2, label="mean of the models"
                )
                axes.plot(
                    points, true_function(points), color="black", linewidth=1.5, linestyle="--", label="true function"
                )
                axes.set_title(f"degree {degree}, {size} examples")
                axes.set_ylim(-2.2, 2.2)
        grid[0, 0].legend(loc="lower right", fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _draw_split(self, path: Path, split: list[BiasVariance], exact: list[tuple[float, float]], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.4), layout="constrained")
        axes = figure.subplots()
        degrees = range(len(split))
        measured = {
            "squared bias": ([float(p.bias2.mean()) for p in split], [b for b, _ in exact], "#4c78a8"),
            "variance": ([float(p.variance.mean()) for p in split], [v for _, v in exact], "#f58518"),
            "error on new data": ([p.error for p in split], [b + v + self.noise for b, v in exact], "#e45756"),
        }
        for name, (values, closed, color) in measured.items():
            axes.plot(degrees, values, "o", color=color, label=name)
            axes.plot(degrees, closed, "-", color=color, linewidth=1)
        axes.axhline(self.noise, color="gray", linestyle=":", label="noise")
        # Estimates of a vanishing squared bias scatter around 0 and may fall below it.
        axes.set_yscale("symlog", linthresh=1e-2)
        axes.margins(y=0.08)
        axes.set_xlabel(f"degree (data sets of {self.sizes[0]} examples; lines: closed form)")
        axes.set_ylabel("mean squared error")
        axes.legend(loc="best", fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        few, many = self.sizes
        simple, rich = self.degrees
        return (
            f"The error on new data is squared bias + variance + noise. With {few} examples the polynomial of degree {rich} "
            f"has the variance {numbers[f'degree {rich}, {few} examples: variance']:.3f}, with {many} only "
            f"{numbers[f'degree {rich}, {many} examples: variance']:.3f}: its curves scatter, then close in, and their mean "
            "is near the true function all along.\n\n"
            f"The squared bias of degree {simple} stays at {numbers[f'degree {simple}, {many} examples: squared bias']:.3f} "
            f"however many examples there are. Over the degrees the error is U-shaped; it is least at degree "
            f"{numbers['best degree by measured error']:.0f}."
        )
