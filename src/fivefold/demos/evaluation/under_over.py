"""Under- and overfitting: errors over the degree of a polynomial, and forecasts of single items and of their category."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams

from ..result import Result, save_figure

PROFILE = np.array([0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.0])
"""Sales of a mean item from Monday to Sunday, in units of its daily mean."""


def curve(x: np.ndarray) -> np.ndarray:
    """Return cos(3x) + x, the truth on [-1, 1]."""
    return np.cos(3 * x) + x


def expected_errors(x: np.ndarray, degree: int, noise: float) -> tuple[float, float]:
    r"""Return the expected training error and the expected error of new targets at the inputs x (n,), by least squares.

    With the hat matrix H of p = degree + 1 parameters

    .. math:: \tfrac1n \lVert (I - H) f \rVert^2 + \sigma^2 (1 - p/n), \qquad
              \tfrac1n \lVert (I - H) f \rVert^2 + \sigma^2 (1 + p/n).
    """
    basis = np.linalg.qr(np.polynomial.legendre.legvander(x, degree))[0]
    rest = curve(x) - basis @ (basis.T @ curve(x))
    bias, share = float((rest**2).mean()), (degree + 1) / len(x)
    return bias + noise * (1 - share), bias + noise * (1 + share)


@dataclass
class UnderOverDemo:
    """A degree too low misses the truth, one too high learns the noise; items are noisier to forecast than their sum.

    Parameters
    ----------
    rows : int > max_degree + 1, default 24
        Training rows of the polynomials.
    max_degree : int >= 3, default 12
    noise : float >= 0, default 0.1
        Variance of the noise around the curve.
    items : int >= 2, default 50
        Items of the category.
    weeks : int >= 2, default 6
        Weeks of sales known; the next week is forecast by the mean of each weekday.
    spread : float >= 0, default 0.6
        Standard deviation of an item's daily sales around its profile, in units of its daily mean.
    repeats : int >= 10, default 400
    """

    rows: int = 24
    max_degree: int = 12
    noise: float = 0.1
    items: int = 50
    weeks: int = 6
    spread: float = 0.6
    repeats: int = 400

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the experiments and write ``degrees.png`` and ``forecasts.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A quarter of the repeats.

        Returns
        -------
        Result
            Training and new error of the lowest, best and highest degree; relative errors of item and category forecasts
            when the noise of the items is independent and when they share it.
        """
        if self.max_degree < 3 or self.rows <= self.max_degree + 1 or self.noise < 0 or self.spread < 0:
            raise InputError(
                f"The demonstration needs max_degree >= 3, more rows than parameters and no negative noise; got {self}."
            )
        if self.items < 2 or self.weeks < 2 or self.repeats < 10:
            raise InputError(f"The demonstration needs items >= 2, weeks >= 2 and repeats >= 10; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        repeats = max(10, self.repeats // 4) if quick else self.repeats
        train, new = self.degrees(seed, repeats)
        best = int(np.argmin(new))
        numbers: dict[str, float] = {"best degree": float(best)}
        for name, degree in (("degree 0", 0), ("best degree", best), (f"degree {self.max_degree}", self.max_degree)):
            numbers[f"{name}: training error"], numbers[f"{name}: new error"] = float(train[degree]), float(new[degree])
        for name, shared in (("own noise", 0.0), ("shared noise", 1.0)):
            numbers[f"items, {name}: relative error"], numbers[f"category, {name}: relative error"] = self.forecasts(
                seed, shared, repeats
            )
        dpi = 60 if quick else 120
        figures = [
            self._draw_degrees(folder / "degrees.png", train, new, dpi),
            self._draw_forecasts(folder / "forecasts.png", seed, dpi),
        ]
        return Result(numbers, figures, self._text(numbers))

    def degrees(self, seed: int, repeats: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean training errors and mean errors of new targets for each degree (max_degree + 1,)."""
        rng, x = Streams(seed).numpy("curve"), np.linspace(-1.0, 1.0, self.rows)
        y, fresh = curve(x) + np.sqrt(self.noise) * rng.standard_normal((2, repeats, self.rows))
        errors = []
        for degree in range(self.max_degree + 1):
            basis = np.linalg.qr(np.polynomial.legendre.legvander(x, degree))[0]
            fitted = y @ basis @ basis.T
            errors.append([((y - fitted) ** 2).mean(), ((fresh - fitted) ** 2).mean()])
        train, new = np.transpose(errors)
        return train, new

    def sales(self, seed: int, shared: float, repeat: int) -> np.ndarray:
        """Return daily sales (items, weeks + 1, 7) whose noise has the correlation ``shared`` between items."""
        rng = Streams(seed).numpy("sales", repeat)
        common, own = rng.standard_normal((self.weeks + 1, 7)), rng.standard_normal((self.items, self.weeks + 1, 7))
        return PROFILE + self.spread * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)

    def forecasts(self, seed: int, shared: float, repeats: int) -> tuple[float, float]:
        """Return the root mean squared error of next week's forecasts, over mean sales, of items and of the category."""
        item, category = [], []
        for repeat in range(repeats):
            sales = self.sales(seed, shared, repeat)
            for series, found in ((sales, item), (sales.mean(axis=0)[None], category)):
                found.append(((series[:, -1] - series[:, :-1].mean(axis=1)) ** 2).mean())
        return float(np.sqrt(np.mean(item))), float(np.sqrt(np.mean(category)))

    def expected_forecasts(self, shared: float) -> tuple[float, float]:
        r"""Return both errors in closed form: :math:`\sigma \sqrt{1 + 1/w}`, for the sum of K items times
        :math:`\sqrt{(1 + (K - 1) \rho) / K}`."""
        item = self.spread * float(np.sqrt(1 + 1 / self.weeks))
        return item, item * float(np.sqrt((1 + (self.items - 1) * shared) / self.items))

    def _draw_degrees(self, path: Path, train: np.ndarray, new: np.ndarray, dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.4), layout="constrained")
        axes = figure.subplots()
        degrees = range(self.max_degree + 1)
        exact = np.array([expected_errors(np.linspace(-1.0, 1.0, self.rows), d, self.noise) for d in degrees])
        for k, (values, name, color) in enumerate(
            ((train, "training rows", "#4c78a8"), (new, "new targets", "#e45756"))
        ):
            axes.plot(degrees, values, "o", color=color, label=name)
            axes.plot(degrees, exact[:, k], color=color, linewidth=1)
        axes.axhline(self.noise, color="gray", linestyle=":", label="noise")
        axes.set_yscale("log")
        axes.set_xlabel("degree of the polynomial (lines: closed form)")
        axes.set_ylabel("mean squared error")
        axes.legend(loc="best", fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _draw_forecasts(self, path: Path, seed: int, dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.8), layout="constrained")
        panels: Any = figure.subplots(1, 2, sharex=True, sharey=True)
        sales = self.sales(seed, 0.0, 0)
        for axes, series, title in (
            (panels[0], sales[0], "one item"),
            (panels[1], sales.mean(axis=0), f"mean of {self.items} items"),
        ):
            days = np.arange(series.size) + 1
            axes.plot(days, series.ravel(), color="#4c78a8", linewidth=1, label="sales")
            axes.plot(days[-7:], series[:-1].mean(axis=0), "o", markersize=4, color="#e45756", label="forecast")
            axes.set_title(title, fontsize=10)
            axes.set_xlabel("day")
            axes.tick_params(labelleft=True)
        panels[0].set_ylabel("sales over daily mean")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        best, top = numbers["best degree"], f"degree {self.max_degree}"
        own = numbers["items, own noise: relative error"] / numbers["category, own noise: relative error"]
        same = numbers["items, shared noise: relative error"] / numbers["category, shared noise: relative error"]
        return (
            f"The training error falls with every degree, from {numbers['degree 0: training error']:.3f} to "
            f"{numbers[f'{top}: training error']:.3f}; the error of new targets is least at degree {best:.0f} "
            f"({numbers['best degree: new error']:.3f}) and {numbers[f'{top}: new error']:.3f} at {top}. Left of the best degree "
            "the model underfits: both errors are high. Right of it the errors part: it overfits.\n\n"
            f"Forecasts of single items err by {numbers['items, own noise: relative error']:.3f} of their mean sales, those of "
            f"the category by {numbers['category, own noise: relative error']:.3f}, {own:.1f} times less: what one item does by "
            f"chance cancels. Where all items share their chance the ratio is {same:.1f}, and a category helps as little as that."
        )
