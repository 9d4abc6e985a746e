"""What activations do: their curves, rectifiers that die, outputs that are not centered, and folds of the line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.engine.runtime import seeded
from fivefold.models.nn.activations import LeakyReLU, ReLU, Sigmoid, Swish, Tanh
from fivefold.models.nn.perceptron import Perceptron

from ._studies import Images, accuracy, digits, place, train

CURVES: dict[str, nn.Module] = {
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
    "relu": ReLU(),
    "leaky relu": LeakyReLU(0.1),
    "swish": Swish(),
}


def folding(depth: int) -> Perceptron:
    r"""Return a rectifier network (1, 2, ..., 2, 1) that folds [0, 1] in half ``depth`` times.

    .. math:: \mathrm{fold}(x) = 2\, \mathrm{relu}(x) - 4\, \mathrm{relu}(x - \tfrac12)

    takes 0, 1/2, 1 to 0, 1, 0; the composition has :math:`2^{depth}` linear pieces.
    """
    network = Perceptron((1, *[2] * depth, 1), "relu")
    linears = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    mix = torch.tensor([2.0, -4.0])
    with torch.no_grad():
        for number, linear in enumerate(linears):
            rows = torch.ones(1, 1) if number == depth else torch.ones(2, 1)
            linear.weight.copy_(rows if number == 0 else rows * mix)
            linear.bias.copy_(torch.zeros(1) if number == depth else torch.tensor([0.0, -0.5]))
    return network


def patterns(network: Perceptron, x: Tensor) -> Tensor:
    """Return which rectifiers are on, (n, all hidden units), at inputs (n, d)."""
    found = []
    for layer in network.layers:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            found.append(x > 0)
    return torch.cat(found, dim=1)


def pieces(network: Perceptron, low: float, high: float, points: int = 2**17) -> int:
    """Return how many linear pieces a rectifier network has on [low, high], seen at the middles of ``points`` cells.

    Where the set of rectifiers that are on changes from one middle to the next, a piece ends. A power of two keeps the middles
    off the breakpoints of the folds.
    """
    cells = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    with torch.no_grad():
        on = patterns(network.double(), (low + (high - low) * cells)[:, None])
    return 1 + int((on[1:] != on[:-1]).any(dim=1).sum())


def dead(network: nn.Module, x: Tensor) -> float:
    """Return the share of hidden units with the derivative 0 at every row of x, so that no gradient reaches them."""
    asleep, a = [], x
    with torch.no_grad():
        for layer in network.layers:  # type: ignore[union-attr]
            below, a = a, layer(a)
            if isinstance(layer, nn.ReLU):
                asleep.append((below <= 0).all(dim=0))
            elif not isinstance(layer, nn.Linear):
                asleep.append(torch.zeros(a.shape[1], dtype=torch.bool))
    return float(torch.cat(asleep).double().mean())


@dataclass
class ActivationStudy:
    r"""Compare activations: curves, dying rectifiers after large steps, centered outputs, and linear pieces.

    .. math:: \text{a rectifier is dead when } w^T x + b \le 0 \text{ for every } x \text{ of the data}

    Parameters
    ----------
    rates : sequence of float > 0, default (0.01, 0.1, 1, 3)
        Learning rates of SGD for the dying units.
    width : int >= 1, default 64
        Units of each of two hidden layers.
    steps : int >= 1, default 1000
        Training steps of 64 images; a fifth of it in the quick form, which has only the least and the greatest of the rates.
    rate : float > 0, default 0.1
        Learning rate of SGD for the race of sigmoid and tanh.
    max_depth : int >= 1, default 8
        Folds of the line.

    Notes
    -----
    Sigmoid outputs are all positive with a mean near 1/2, which shifts the sums of the next layer; those of tanh are centered,
    and its slope is four times as steep. Both start from the same weights. ``LeakyReLU`` never dies: its slope is nowhere 0.

    References
    ----------
    Montufar et al. 2014, "On the Number of Linear Regions of Deep Neural Networks"; Glorot, Bordes & Bengio 2011.
    Spec: 02#tanh-activation, 02#relu-activation, 08#activations-basic, 08#mlp.
    """

    rates: Sequence[float] = (0.01, 0.1, 1.0, 3.0)
    width: int = 64
    steps: int = 1000
    rate: float = 0.1
    max_depth: int = 8

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the study and write ``curves.png``, ``training.png``, ``dead-units.png`` and ``folds.png`` into ``out``.

        Returns
        -------
        Result
            Share of dead units by learning rate for ReLU and leaky ReLU, mean output and accuracy of sigmoid and tanh, and
            pieces of the folding network by depth.
        """
        if (
            not self.rates
            or min(*self.rates, self.rate) <= 0
            or min(self.width, self.steps, self.max_depth) < 1
            or self.max_depth > 14
        ):
            raise InputError(
                "The study needs learning rates above 0, width and steps of at least 1 and a depth from 1 to 14; "
                f"got {self}."
            )
        folder, streams = place(out), Streams(seed)
        data = digits(streams, quick)
        steps = self.steps // 5 if quick else self.steps
        numbers: dict[str, float] = {}
        if quick and len(self.rates) > 2:
            return replace(self, rates=(min(self.rates), max(self.rates))).run(seed, out, quick)
        for name in ("relu", "leaky-relu"):
            for rate in self.rates:
                numbers[f"{name}, rate {rate:g}: dead units"] = self._race(streams, data, name, rate, steps)[2]
        losses: dict[str, list[float]] = {}
        for name, label in (("logistic", "sigmoid"), ("tanh", "tanh")):
            network, losses[label], _ = self._race(streams, data, name, self.rate, steps)
            with seeded(streams, "weights"), torch.no_grad():
                start = Perceptron((data[0].shape[1], self.width, self.width, 10), name)
                numbers[f"{label}: mean output of the first layer"] = float(start.layers[:2](data[0]).mean())
            numbers[f"{label}: loss, mean of the last tenth"] = float(np.mean(losses[label][-max(1, steps // 10) :]))
            numbers[f"{label}: accuracy"] = accuracy(network, *data[2:])
        depths = range(1, self.max_depth + 1)
        for depth in depths:
            numbers[f"pieces of {depth} folds"] = float(pieces(folding(depth), 0.0, 1.0))
        figures = [
            self._draw_curves(folder / "curves.png"),
            self._draw_training(folder / "training.png", losses),
            self._draw_dead(folder / "dead-units.png", numbers),
            self._draw_folds(folder / "folds.png"),
        ]
        return Result(numbers, figures, self._text(numbers))

    def _race(
        self, streams: Streams, data: Images, name: str, rate: float, steps: int
    ) -> tuple[Perceptron, list[float], float]:
        """Train one network with SGD; return it, its losses and its share of dead units."""
        x, y = data[:2]
        with seeded(streams, "weights"):
            network = Perceptron((x.shape[1], self.width, self.width, 10), name)
        # A diverged network says nothing; gradients are clipped far above what they usually are.
        losses = train(network, x, y, streams, steps=steps, rate=rate, optimizer="sgd", clip=10.0)
        return network, losses, dead(network, x)

    def _draw_curves(self, path: Path) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        z = torch.linspace(-4, 4, 401, requires_grad=True)
        for name, function in CURVES.items():
            y = function(z)
            (slope,) = torch.autograd.grad(y.sum(), z)
            left.plot(z.detach(), y.detach(), label=name)
            right.plot(z.detach(), slope)
        left.set_ylim(-1.2, 4)
        left.set_ylabel("activation")
        right.set_ylabel("derivative")
        for axes in (left, right):
            axes.set_xlabel("z")
            axes.grid(alpha=0.3)
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=5, fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _draw_training(self, path: Path, losses: dict[str, list[float]]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        for name, values in losses.items():
            axes.plot(values, linewidth=0.8, label=name)
        axes.set_xlabel("step")
        axes.set_ylabel("cross-entropy of the batch")
        axes.legend(loc="upper right")
        save_figure(figure, path, dpi=100)
        return path

    def _draw_dead(self, path: Path, numbers: dict[str, float]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        for name in ("relu", "leaky-relu"):
            axes.plot(self.rates, [numbers[f"{name}, rate {r:g}: dead units"] for r in self.rates], "o-", label=name)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate of SGD")
        axes.set_ylabel("share of dead hidden units")
        axes.legend(loc="upper left")
        save_figure(figure, path, dpi=100)
        return path

    def _draw_folds(self, path: Path) -> Path:
        from matplotlib.figure import Figure

        depths = sorted({1, min(2, self.max_depth), min(4, self.max_depth)})
        figure = Figure(figsize=(3.2 * len(depths), 3), layout="constrained")
        grid: Any = np.atleast_1d(figure.subplots(1, len(depths), sharey=True))
        x = torch.linspace(0, 1, 1025)
        for axes, depth in zip(grid, depths):
            with torch.no_grad():
                network = folding(depth)
                axes.plot(x, network(x[:, None])[:, 0])
            axes.set_title(f"{depth} folds, {pieces(network, 0.0, 1.0)} pieces")
            axes.set_xlabel("x")
        grid[0].set_ylabel("output")
        save_figure(figure, path, dpi=100)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        shares = ", ".join(f"{numbers[f'relu, rate {r:g}: dead units']:.1%} at {r:g}" for r in self.rates)
        leaky = max(numbers[f"leaky-relu, rate {r:g}: dead units"] for r in self.rates)
        means = [numbers[f"{name}: mean output of the first layer"] for name in ("sigmoid", "tanh")]
        ends = [numbers[f"{name}: loss, mean of the last tenth"] for name in ("sigmoid", "tanh")]
        return (
            f"After training with SGD the share of dead rectifiers by learning rate is {shares}; of leaky ones at most "
            f"{leaky:.1%}.\n\n"
            f"At the start sigmoid units give {means[0]:.2f} on average and tanh units {means[1]:.2f}. After the same steps the "
            f"loss is {ends[0]:.3f} with sigmoid and {ends[1]:.3f} with tanh.\n\n"
            f"A rectifier network that folds the line {self.max_depth} times with two units a layer has "
            f"{numbers[f'pieces of {self.max_depth} folds']:.0f} linear pieces."
        )
