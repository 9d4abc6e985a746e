"""Surrogate losses against the margin: what stands for the 0/1 loss, and which of them lie above it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fivefold.base.errors import InputError
from fivefold.objectives.binary import BinaryCrossEntropyLoss, HingeLoss, ZeroOneLoss
from fivefold.objectives.regression import MSELoss

from ..result import Result, save_figure

NAMES = ("0/1 (ideal)", "square", "sigmoid + square", "sigmoid + cross-entropy / ln 2", "hinge")


def surrogates(margins: np.ndarray) -> dict[str, np.ndarray]:
    r"""Return the five losses at margins :math:`\hat y f(x)` (n,), by the objectives of this library.

    Square :math:`(m - 1)^2`, sigmoid and square :math:`(\sigma(m) - 1)^2`, cross-entropy :math:`\ln(1 + e^{-m}) / \ln 2`, hinge
    :math:`\max(0, 1 - m)`; a margin of 0 counts as an error.
    """
    m = torch.as_tensor(margins, dtype=torch.float64)
    right = torch.ones_like(m)  # with the label +1 the score is the margin
    values = (
        ZeroOneLoss(reduction="none")(m, right),
        MSELoss(reduction="none")(m, right),
        MSELoss(reduction="none")(torch.sigmoid(m), right),
        BinaryCrossEntropyLoss(reduction="none")(m, right) / np.log(2),
        HingeLoss(reduction="none")(m, right),
    )
    return {name: value.numpy() for name, value in zip(NAMES, values, strict=True)}


@dataclass
class SurrogateLossDemo:
    """Draw five losses against the margin and check on the grid which bound the 0/1 loss from above.

    Parameters
    ----------
    reach : float > 1, default 3.0
        Margins from -reach to reach.
    n_points : int >= 3, default 1201
        Points of the grid; an odd number has the margin 0.
    """

    reach: float = 3.0
    n_points: int = 1201

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the demonstration and write ``losses.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
            Not used: nothing is random.
        out : path of a directory, made if it is not there
        quick : bool, default False
            A coarser figure; the numbers are the same.

        Returns
        -------
        Result
            For each loss: the least gap to the 0/1 loss on the grid, its value at the largest and the smallest margin, and its
            slope at the smallest.
        """
        if self.reach <= 1 or self.n_points < 3:
            raise InputError(f"The demonstration needs reach > 1 and n_points >= 3, got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        margins = np.linspace(-self.reach, self.reach, self.n_points)
        curves = surrogates(margins)
        numbers: dict[str, float] = {}
        for name, values in curves.items():
            if name != NAMES[0]:
                numbers[f"{name}: least gap above 0/1"] = float((values - curves[NAMES[0]]).min())
            numbers[f"{name}: at margin {self.reach:g}"] = float(values[-1])
            numbers[f"{name}: at margin {-self.reach:g}"] = float(values[0])
            numbers[f"{name}: slope at margin {-self.reach:g}"] = float(
                (values[1] - values[0]) / (margins[1] - margins[0])
            )
        return Result(
            numbers, [self._draw(folder / "losses.png", margins, curves, 60 if quick else 120)], self._text(numbers)
        )

    def _draw(self, path: Path, margins: np.ndarray, curves: dict[str, np.ndarray], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.4, 4.8), layout="constrained")
        axes = figure.subplots()
        colors = ("black", "#e45756", "#4c78a8", "#54a24b", "#f58518")
        for (name, values), color in zip(curves.items(), colors, strict=True):
            axes.plot(margins, values, color=color, label=name, linewidth=2.4 if name == NAMES[0] else 1.6)
        axes.set_ylim(-0.15, 5)
        axes.set_xlabel("margin ŷ f(x)")
        axes.set_ylabel("loss")
        figure.legend(loc="outside upper center", ncols=3, fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        gaps = {name: numbers[f"{name}: least gap above 0/1"] for name in NAMES[1:]}
        above = [name for name, gap in gaps.items() if gap >= 0]
        below = [f"{name} ({-gap:.3g})" for name, gap in gaps.items() if gap < 0]
        far = f"at margin {self.reach:g}"
        wrong = f"slope at margin {-self.reach:g}"
        return (
            f"Nowhere on the grid below the 0/1 loss: {', '.join(above) or 'none'}. Below it somewhere, by at most: "
            f"{', '.join(below) or 'none'}.\n\n"
            f"For an example that is right by the margin {self.reach:g} the square loss still costs "
            f"{numbers[f'square: {far}']:.3g}, the hinge {numbers[f'hinge: {far}']:.3g}. At the margin {-self.reach:g} the "
            f"slopes are {numbers[f'square: {wrong}']:.3g} (square), {numbers[f'hinge: {wrong}']:.3g} (hinge), "
            f"{numbers[f'{NAMES[3]}: {wrong}']:.3g} (cross-entropy) and {numbers[f'{NAMES[2]}: {wrong}']:.3g} (sigmoid and "
            "square): a slope near 0 leaves an example that is wrong where it is."
        )
