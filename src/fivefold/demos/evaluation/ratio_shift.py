"""ROC and precision-recall curves of one scorer on balanced rows and on rows with many more negatives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.evaluation.curves import Curve, PrecisionRecallCurve, RocCurve

from ..result import Result, save_figure


@dataclass
class RatioShiftDemo:
    """Draw both curves of the same scorer twice: with as many negatives as positives, and with ``times`` as many.

    Parameters
    ----------
    positives : int >= 10, default 4000
        Positive rows, and negative rows of the balanced set.
    times : int >= 1, default 10
        How many times as many negatives the second set holds.
    separation : float, default 1.5
        Distance of the mean scores of the classes in standard deviations.
    """

    positives: int = 4000
    times: int = 10
    separation: float = 1.5

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Draw the scores, compute the curves and write ``curves.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A quarter of the rows.

        Returns
        -------
        Result
            Area and average precision of either set, and the largest vertical distance between the two ROC curves and
            between the two precision-recall curves.
        """
        if self.positives < 10 or self.times < 1:
            raise InputError(f"The demonstration needs positives >= 10 and times >= 1; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        rows = self.positives // 4 if quick else self.positives
        streams = Streams(seed)
        positive = self.separation + streams.numpy("positive").standard_normal(rows)
        negative = streams.numpy("negative").standard_normal(rows * self.times)
        curves: dict[str, tuple[Curve, Curve]] = {}
        for name, some in (("balanced", negative[:rows]), ("shifted", negative)):
            score = np.concatenate([positive, some])
            label = np.arange(len(score)) < rows
            curves[name] = (
                RocCurve().update(label, score).compute(),
                PrecisionRecallCurve().update(label, score).compute(),
            )
        numbers = {}
        for name, (roc, pr) in curves.items():
            numbers[f"{name}: area under the ROC curve"] = roc.area
            numbers[f"{name}: average precision"] = pr.area
        grid = np.linspace(0.01, 0.99, 99)
        for kind, key in enumerate(("ROC", "precision-recall")):
            first, second = (np.interp(grid, curves[n][kind].x, curves[n][kind].y) for n in ("balanced", "shifted"))
            numbers[f"largest change of the {key} curve"] = float(np.abs(first - second).max())
        figure = self._draw(folder / "curves.png", curves, 60 if quick else 120)
        return Result(numbers, [figure], self._text(numbers))

    def _draw(self, path: Path, curves: dict[str, tuple[Curve, Curve]], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 7.2), layout="constrained")
        axes: Any = figure.subplots(2, 2, sharex=True, sharey=True)
        titles = {"balanced": "as many negatives", "shifted": f"{self.times} times as many negatives"}
        for row, (name, pair) in enumerate(curves.items()):
            for column, (curve, words) in enumerate(
                zip(pair, (("false positive rate", "true positive rate"), ("recall", "precision")))
            ):
                panel = axes[row, column]
                panel.plot(curve.x, curve.y, color="#4c78a8", linewidth=2)
                panel.set_title(f"({'abcd'[2 * row + column]}) {titles[name]}: area {curve.area:.3f}", fontsize=10)
                panel.set_xlabel(words[0])
                panel.set_ylabel(words[1])
                panel.tick_params(labelbottom=True, labelleft=True)
                panel.set_xlim(0, 1)
                panel.set_ylim(0, 1.02)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        areas = [numbers[f"{n}: area under the ROC curve"] for n in ("balanced", "shifted")]
        precisions = [numbers[f"{n}: average precision"] for n in ("balanced", "shifted")]
        roc, pr = (numbers[f"largest change of the {key} curve"] for key in ("ROC", "precision-recall"))
        verdict = (
            "the ROC curve hides what the rarer positives cost in precision"
            if pr > 3 * roc
            else "neither curve moved much more than the other"
        )
        return (
            f"With {self.times} times as many negatives the area under the ROC curve goes from {areas[0]:.3f} to {areas[1]:.3f}, "
            f"the average precision from {precisions[0]:.3f} to {precisions[1]:.3f}.\n\n"
            f"At equal false-positive rate the ROC curve moves by at most {roc:.3f}, at equal recall precision moves by up to "
            f"{pr:.3f}: {verdict}."
        )
