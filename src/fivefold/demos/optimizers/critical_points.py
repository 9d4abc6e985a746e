"""Critical points: minima, maxima and saddles told apart by the Hessian, and why saddles dominate in high dimension."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.optimizers.numerical.gradient_check import numeric_gradient, numeric_hessian

KINDS = ("minimum", "maximum", "saddle", "undecided")
FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], float], str]] = {
    "bowl x² + 2y²": (lambda p: float(p[0] ** 2 + 2 * p[1] ** 2), "minimum"),
    "hill −x² − y²": (lambda p: float(-(p[0] ** 2) - p[1] ** 2), "maximum"),
    "saddle x² − y²": (lambda p: float(p[0] ** 2 - p[1] ** 2), "saddle"),
    "pass xy": (lambda p: float(p[0] * p[1]), "saddle"),
    "trough x²": (lambda p: float(p[0] ** 2), "undecided"),
    "monkey x³ − 3xy²": (lambda p: float(p[0] ** 3 - 3 * p[0] * p[1] ** 2), "undecided"),
}
"""Functions of two variables with a critical point at the origin, and what the Hessian says of it."""


def classify(hessian: np.ndarray, tolerance: float = 1e-6) -> str:
    """Return the kind of a critical point: "minimum", "maximum", "saddle", or "undecided".

    Parameters
    ----------
    hessian : ndarray (d, d), symmetric
    tolerance : float >= 0, default 1e-6
        Eigenvalues no larger than this share of the largest in absolute value, or than this itself, count as 0.

    Returns
    -------
    str
        All eigenvalues positive: a minimum; all negative: a maximum; of both signs: a saddle. One sign with a zero leaves the
        matter to higher derivatives.
    """
    matrix = np.asarray(hessian, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
        raise InputError(f"classify needs a square, finite Hessian, got an array of shape {matrix.shape}.")
    values = np.linalg.eigvalsh(matrix)
    zero = tolerance * max(1.0, float(np.abs(values).max()))
    up, down = bool((values > zero).any()), bool((values < -zero).any())
    if up and down:
        return "saddle"
    if (np.abs(values) <= zero).any():
        return "undecided"
    return "minimum" if up else "maximum"


def positive_share(dimension: int, draws: int, seed: int) -> float:
    """Return the share of random symmetric matrices (Gaussian orthogonal ensemble) with no negative eigenvalue."""
    raw = Streams(seed).numpy("hessians", dimension).standard_normal((draws, dimension, dimension))
    values = np.linalg.eigvalsh((raw + raw.transpose(0, 2, 1)) / 2)
    return float((values[:, 0] > 0).mean())


@dataclass
class CriticalPointsDemo:
    """Classify known critical points from numeric Hessians, and count minima among random ones.

    Parameters
    ----------
    draws : int >= 100, default 200000
        Random Hessians of each dimension.
    max_dimension : int >= 2, default 6
    """

    draws: int = 200_000
    max_dimension: int = 6

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the experiment and write ``functions.png`` and ``share.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A hundredth of the draws.

        Returns
        -------
        Result
            How many functions are classified as they should be; for each dimension the share of random Hessians that are
            positive definite, and the share if the signs were independent, 2^-d.
        """
        if self.draws < 100 or self.max_dimension < 2:
            raise InputError(f"The demonstration needs draws >= 100 and max_dimension >= 2; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        origin = np.zeros(2)
        found = {name: classify(numeric_hessian(function, origin), 1e-3) for name, (function, _) in FUNCTIONS.items()}
        slopes = [float(np.abs(numeric_gradient(function, origin)).max()) for function, _ in FUNCTIONS.values()]
        numbers = {
            "functions": float(len(FUNCTIONS)),
            "functions classified as they should be": float(sum(found[n] == k for n, (_, k) in FUNCTIONS.items())),
            "largest gradient at the points": max(slopes),
        }
        draws = max(100, self.draws // 100) if quick else self.draws
        shares = {d: positive_share(d, draws, seed) for d in range(1, self.max_dimension + 1)}
        for d, share in shares.items():
            numbers[f"share of minima in {d} dimensions"] = share
            numbers[f"share with independent signs in {d} dimensions"] = 0.5**d
        dpi = 60 if quick else 120
        figures = [
            self._draw_functions(folder / "functions.png", found, dpi),
            self._draw_shares(folder / "share.png", shares, draws, dpi),
        ]
        last = self.max_dimension
        text = (
            f"The signs of the Hessian's eigenvalues name {numbers['functions classified as they should be']:.0f} of "
            f"{len(FUNCTIONS)} critical points as they should; where an eigenvalue is 0 beside others of one sign they leave it "
            "undecided.\n\n"
            f"Of random symmetric matrices {shares[1]:.1%} are positive in one dimension, {shares[2]:.1%} in two and "
            f"{shares[last]:.3%} in {last}: less than the {0.5**last:.3%} of independent signs"
            f"{'' if shares[last] < 0.5**last else ' would be expected, which these draws do not show'}. A critical point "
            "in many dimensions is a saddle, unless something favors minima."
        )
        return Result(numbers, figures, text)

    def _draw_functions(self, file: Path, found: dict[str, str], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.4, 5.4), layout="constrained")
        axis = np.linspace(-1, 1, 41)
        first, second = np.meshgrid(axis, axis)
        for axes, (name, (function, _)) in zip(figure.subplots(2, 3).flat, FUNCTIONS.items(), strict=True):
            heights = np.array([[function(np.array([a, b])) for a in axis] for b in axis])
            axes.contourf(first, second, heights, levels=14, cmap="viridis")
            axes.plot(0, 0, "o", color="white", markeredgecolor="black")
            axes.set_title(f"{name}: {found[name]}", fontsize=9)
            axes.set_xlabel("x")
            axes.set_ylabel("y")
            axes.set_aspect("equal")
        save_figure(figure, file, dpi=dpi)
        return file

    def _draw_shares(self, file: Path, shares: dict[int, float], draws: int, dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5.6, 4), layout="constrained")
        axes = figure.subplots()
        dimensions = list(shares)
        axes.semilogy(dimensions, [0.5**d for d in dimensions], color="gray", label="independent signs: 1/2 to the d")
        seen = [d for d in dimensions if shares[d] > 0]
        axes.semilogy(seen, [shares[d] for d in seen], "o-", color="#e45756", label="random symmetric matrices")
        axes.axhline(1 / draws, color="#bbbbbb", linestyle=":", label="one matrix of those drawn")
        axes.set_xlabel("dimension d")
        axes.set_ylabel("share that is a minimum")
        axes.legend(loc="best", fontsize=9)
        save_figure(figure, file, dpi=dpi)
        return file
