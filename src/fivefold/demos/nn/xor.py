"""XOR: one line cannot separate it; features made by hand, or by a layer of logistic units, can."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure

from ._studies import place

POINTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
CLASSES = np.array([0, 1, 1, 0])


def distances(x: np.ndarray) -> np.ndarray:
    """Return the distances of points (n, 2) to (0, 0) and to (1, 1)."""
    return np.linalg.norm(x[:, None] - np.array([[0.0, 0.0], [1.0, 1.0]]), axis=2)


def logistic(x: Tensor, y: Tensor, starts: Tensor, rate: float, steps: int) -> tuple[Tensor, Tensor]:
    r"""Fit one logistic unit from each start by gradient descent, and return weights (s, d + 1) and losses (s,).

    .. math:: p = \sigma(w^T x + b), \quad \nabla = \frac1n X^T (p - y)
    """
    design = torch.cat([x, torch.ones(len(x), 1)], dim=1)  # (n, d + 1)
    weights = starts.clone()
    for _ in range(steps):
        p = torch.sigmoid(weights @ design.T)  # (s, n)
        weights -= rate * (p - y) @ design / len(x)
    scores = weights @ design.T
    return weights, functional.binary_cross_entropy_with_logits(scores, y.expand_as(scores), reduction="none").mean(1)


def cascade(x: Tensor, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Return hidden units (s, n, h) and scores (s, n): logistic units, then one logistic unit on what they say.

    ``first`` (s, h, 3) and ``last`` (s, h + 1) hold the bias in the last place.
    """
    hidden = torch.sigmoid(torch.einsum("nd,shd->snh", x, first[:, :, :2]) + first[:, None, :, 2])
    return hidden, torch.einsum("snh,sh->sn", hidden, last[:, :-1]) + last[:, -1:]


def cascade_gradients(x: Tensor, y: Tensor, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of the mean cross-entropy in both layers of :func:`cascade`, by backpropagation."""
    hidden, scores = cascade(x, first, last)
    delta = (torch.sigmoid(scores) - y) / len(x)  # (s, n)
    back = delta[:, :, None] * last[:, None, :-1] * hidden * (1 - hidden)  # (s, n, h)
    outer = torch.cat([torch.einsum("sn,snh->sh", delta, hidden), delta.sum(dim=1, keepdim=True)], dim=1)
    inner = torch.cat([torch.einsum("snh,nd->shd", back, x), back.sum(dim=1)[:, :, None]], dim=2)
    return inner, outer


@dataclass
class XorDemo:
    r"""Separate the four points of XOR: with a line, with distances as features, and with a layer of logistic units.

    .. math:: h_j = \sigma(w_j^T x + b_j), \quad p = \sigma(v^T h + c)

    Parameters
    ----------
    hidden : int >= 1, default 2
        Logistic units of the first layer; a free choice, not the number of features, as a source has it.
    starts : int >= 1, default 200
        Random starts of the networks, all trained at once.
    steps : int >= 1, default 10000
        Steps of gradient descent on all four points; a fifth of it in the quick form.
    learning_rate : float > 0, default 2

    References
    ----------
    Minsky & Papert 1969, "Perceptrons"; Rumelhart, Hinton & Williams 1986. Spec: 05#feature-transform-cascade.
    """

    hidden: int = 2
    starts: int = 200
    steps: int = 10000
    learning_rate: float = 2.0

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the three classifiers and write ``features.png`` and ``decision.png`` into ``out``.

        Returns
        -------
        Result
            Accuracy of the best line among many, accuracy and cross-entropy of one fitted logistic unit on the coordinates
            and on the distances; accuracy of the best
            network and the share of starts that separate all points.
        """
        if min(self.hidden, self.starts, self.steps) < 1 or not self.learning_rate > 0:
            raise InputError(f"The demonstration needs numbers above 0, got {self}.")
        folder, streams = place(out), Streams(seed)
        steps = self.steps // 5 if quick else self.steps
        x, y = torch.as_tensor(POINTS, dtype=torch.float32), torch.as_tensor(CLASSES, dtype=torch.float32)
        numbers: dict[str, float] = {}
        for name, features in (("coordinates", POINTS), ("distances", distances(POINTS))):
            given = torch.as_tensor(features, dtype=torch.float32)
            start = torch.randn(self.starts, 3, generator=streams.torch("logistic"))
            weights, losses = logistic(given, y, start, self.learning_rate, steps)
            best = weights[losses.argmin()]
            numbers[f"logistic unit on {name}: accuracy"] = float(
                ((given @ best[:2] + best[2] > 0) == (y > 0)).double().mean()
            )
            numbers[f"logistic unit on {name}: cross-entropy"] = float(losses.min())
        lines = torch.randn(10000, 3, generator=streams.torch("lines"))
        right = ((lines[:, :2] @ x.T + lines[:, 2:] > 0) == (y > 0)).double().mean(dim=1)
        numbers["best of 10000 random lines: accuracy"] = float(right.max())
        stream = streams.torch("network")
        first = torch.randn(self.starts, self.hidden, 3, generator=stream)
        last = torch.randn(self.starts, self.hidden + 1, generator=stream)
        for _ in range(steps):
            inner, outer = cascade_gradients(x, y, first, last)
            first, last = first - self.learning_rate * inner, last - self.learning_rate * outer
        _, scores = cascade(x, first, last)
        shares = ((scores > 0) == (y > 0)).double().mean(dim=1)  # (s,)
        losses = functional.binary_cross_entropy_with_logits(scores, y.expand_as(scores), reduction="none").mean(dim=1)
        best = int(losses.argmin())
        numbers[f"network 2-{self.hidden}-1: accuracy"] = float(shares[best])
        numbers[f"network 2-{self.hidden}-1: cross-entropy"] = float(losses[best])
        numbers[f"network 2-{self.hidden}-1: share of starts that separate all points"] = float(
            (shares == 1).double().mean()
        )
        chosen = first[best : best + 1], last[best : best + 1]
        figures = [self._draw_features(folder / "features.png", *chosen), self._draw(folder / "decision.png", *chosen)]
        return Result(numbers, figures, self._text(numbers))

    def _draw_features(self, path: Path, first: Tensor, last: Tensor) -> Path:
        from matplotlib.figure import Figure

        hidden, _ = cascade(torch.as_tensor(POINTS, dtype=torch.float32), first, last)
        units = hidden[0].numpy()
        spaces = [("coordinates", "x1", "x2", POINTS), ("distances", "to (0, 0)", "to (1, 1)", distances(POINTS))]
        if self.hidden > 1:
            spaces.append(("hidden units", "h1", "h2", units[:, :2]))
        figure = Figure(figsize=(3.4 * len(spaces), 3.6), layout="constrained")
        grid: Any = figure.subplots(1, len(spaces))
        for axes, (title, across, up, values) in zip(grid, spaces):
            for label, color, marker in ((0, "#4c78a8", "o"), (1, "#e45756", "s")):
                chosen = values[label == CLASSES]
                # Points may coincide; open markers of two sizes show both.
                for number, point in enumerate(chosen):
                    axes.plot(*point, marker, ms=8 + 5 * number, mfc="none", mew=2, color=color)
            axes.set_title(title)
            axes.set_xlabel(across)
            axes.set_ylabel(up)
            axes.margins(0.15)
        save_figure(figure, path, dpi=100)
        return path

    def _draw(self, path: Path, first: Tensor, last: Tensor) -> Path:
        from matplotlib.figure import Figure

        side = np.linspace(-0.5, 1.5, 101)
        plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        _, scores = cascade(torch.as_tensor(plane, dtype=torch.float32), first, last)
        figure = Figure(figsize=(5, 4.2), layout="constrained")
        axes: Any = figure.subplots()
        shown = axes.contourf(
            side,
            side,
            torch.sigmoid(scores[0]).numpy().reshape(101, 101),
            np.linspace(0, 1, 11),
            cmap="coolwarm",
            alpha=0.7,
        )
        figure.colorbar(shown, ax=axes, label="probability of class 1")
        for label, marker in ((0, "o"), (1, "s")):
            axes.plot(*POINTS[label == CLASSES].T, marker, color="black", ms=8, mfc="white" if label else "black")
        axes.set_xlabel("x1")
        axes.set_ylabel("x2")
        axes.set_title(f"2-{self.hidden}-1 network")
        save_figure(figure, path, dpi=100)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        raw, made = (numbers[f"logistic unit on {name}: accuracy"] for name in ("coordinates", "distances"))
        network = f"network 2-{self.hidden}-1"
        return (
            f"The best of 10,000 random lines gets {numbers['best of 10000 random lines: accuracy']:.0%} of the four points "
            f"right. One logistic unit, fitted to the coordinates, gets {raw:.0%}; its cross-entropy is "
            f"{numbers['logistic unit on coordinates: cross-entropy']:.4f}, that of a coin is {math.log(2):.4f}.\n\n"
            "The distances to (0, 0) and (1, 1) lay both points of class 1 in one place; the same unit on them gets "
            f"{made:.0%}.\n\n"
            f"Logistic units whose outputs feed another one are a network. With {self.hidden} of them the best start gets "
            f"{numbers[f'{network}: accuracy']:.0%}, and "
            f"{numbers[f'{network}: share of starts that separate all points']:.0%} of the starts separate all four points."
        )
