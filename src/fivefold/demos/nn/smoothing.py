"""How batch normalization helps: a smoother loss, even where added noise makes the layers' inputs less stable."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.engine.runtime import seeded
from fivefold.models.nn.initializers import HeInit
from fivefold.models.nn.linear import Dense
from fivefold.models.nn.normalization import BatchNorm

from ._studies import Images, accuracy, digits, place

_COLORS = {"plain": "#e45756", "batch norm": "#4c78a8", "noisy batch norm": "#f58518"}


class ShiftingNoise(nn.Module):
    r"""Scale and shift each unit by noise that is drawn anew for every batch: a covariate shift on purpose.

    .. math:: y = (1 + s\, a) \odot x + s\, b, \quad a, b \sim U(-1, 1)^d

    In evaluation it does nothing.
    """

    def __init__(self, width: int, strength: float, generator: torch.Generator) -> None:
        super().__init__()
        self.width, self.strength, self.generator = width, strength, generator

    def forward(self, x: Tensor) -> Tensor:
        """Return the shifted batch (n, width)."""
        if not self.training:
            return x
        scale, shift = 2 * torch.rand(2, self.width, generator=self.generator) - 1
        return (1 + self.strength * scale) * x + self.strength * shift


def along_gradient(loss: Callable[[], Tensor], parameters: list[Tensor], steps: Sequence[float]) -> tuple[float, float]:
    r"""Return the range of the loss along the gradient, and the largest change of the gradient there.

    .. math:: \max_\eta L(\theta - \eta g) - \min_\eta L(\theta - \eta g), \qquad
        \max_\eta \lVert \nabla L(\theta - \eta g) - g \rVert

    The parameters are put back.
    """
    kept = [p.detach().clone() for p in parameters]
    first = torch.autograd.grad(loss(), parameters)
    losses, changes = [], []
    for step in steps:
        with torch.no_grad():
            for p, k, g in zip(parameters, kept, first):
                p.copy_(k - step * g)
        value = loss()
        there = torch.autograd.grad(value, parameters)
        losses.append(float(value.detach()))
        changes.append(float(torch.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(there, first)))))  # type: ignore[arg-type]
    with torch.no_grad():
        for p, k in zip(parameters, kept):
            p.copy_(k)
    return max(losses) - min(losses), max(changes)


@dataclass
class BatchNormSmoothing:
    r"""Train a network plainly, with batch norm, and with batch norm and shifting noise; look along each gradient.

    Parameters
    ----------
    depth : int >= 1, default 5
        Hidden layers of rectifiers.
    width : int >= 1, default 64
    learning_rate : float > 0, default 0.1
        Of SGD; three times as much in the quick form, whose images have a twelfth of the pixels.
    noise : float >= 0, default 0.8
        Strength of the shifting noise.
    steps : int >= 1, default 1000
        Training steps of 64 images; 100 at most in the quick form.

    Notes
    -----
    The hypothesis is that batch norm helps by keeping the inputs of layers stable. The noise destroys that, and the network
    still trains; what batch norm does change is the loss along the gradient. Shift is measured as the mean change of a unit's
    batch mean and deviation from one measured step to the next, in units of its mean deviation, at the last hidden layer.

    References
    ----------
    Santurkar, Tsipras, Ilyas & Madry 2018, "How Does Batch Normalization Help Optimization?".
    Spec: 05#bn-internal-covariate-shift, 08#bn-smoothing-study, 08#batch-norm-b.
    """

    depth: int = 5
    width: int = 64
    learning_rate: float = 0.1
    noise: float = 0.8
    steps: int = 1000

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the study and write ``training.png`` and ``smoothness.png`` into ``out``.

        Returns
        -------
        Result
            For each network the mean loss of the last half of the steps, accuracy on held-out digits, range of the loss and
            change of the gradient along the gradient (medians over the training), and shift of the last layer's inputs.
        """
        if min(self.depth, self.width, self.steps) < 1 or not self.learning_rate > 0 or self.noise < 0:
            raise InputError(
                "The study needs depth, width and steps of at least 1, a learning rate above 0 and noise of at least 0; "
                f"got {self}."
            )
        folder, streams = place(out), Streams(seed)
        data = digits(streams, quick)
        steps = min(self.steps, 100) if quick else self.steps
        rate = 3 * self.learning_rate if quick else self.learning_rate
        numbers: dict[str, float] = {}
        curves: dict[str, np.ndarray] = {}
        ranges: dict[str, np.ndarray] = {}
        for name in _COLORS:
            network, curves[name], ranges[name], shift = self._train(streams, data, name, steps, rate)
            numbers[f"{name}: loss, mean of the last half"] = float(curves[name][steps // 2 :].mean())
            numbers[f"{name}: accuracy"] = accuracy(network, *data[2:])
            numbers[f"{name}: range of the loss along the gradient"] = float(np.median(ranges[name][:, 0]))
            numbers[f"{name}: change of the gradient along it"] = float(np.median(ranges[name][:, 1]))
            numbers[f"{name}: shift of the last hidden layer"] = shift
        figures = [
            self._draw_training(folder / "training.png", curves),
            self._draw_smoothness(folder / "smoothness.png", ranges, steps),
        ]
        return Result(numbers, figures, self._text(numbers))

    def _network(self, streams: Streams, inputs: int, name: str) -> nn.Sequential:
        layers: list[nn.Module] = []
        generator, start = streams.torch("noise"), HeInit()
        with seeded(streams, "weights"), torch.no_grad():
            for index in range(self.depth):
                dense = Dense(inputs if index == 0 else self.width, self.width)
                start(dense.weight)
                dense.bias.zero_()
                layers.append(dense)
                if name != "plain":
                    layers.append(BatchNorm(self.width))
                if name == "noisy batch norm":
                    layers.append(ShiftingNoise(self.width, self.noise, generator))
                layers.append(nn.ReLU())
            layers.append(Dense(self.width, 10))
        return nn.Sequential(*layers)

    def _train(
        self, streams: Streams, data: Images, name: str, steps: int, rate: float
    ) -> tuple[nn.Module, np.ndarray, np.ndarray, float]:
        """Return the network, its losses, (range, change) along the gradient at twenty times, and the shift."""
        x, y = data[:2]
        network = self._network(streams, x.shape[1], name)
        parameters: list[Any] = list(network.parameters())
        stream, every = streams.torch("batches"), max(1, steps // 20)
        losses, looks, moments = [], [], []
        for step in range(steps):
            rows = torch.randint(len(x), (64,), generator=stream)

            def loss(rows: Tensor = rows) -> Tensor:
                return functional.cross_entropy(network(x[rows]), y[rows])

            if step % every == 0:
                scales = [rate * s for s in (0.25, 0.5, 1.0, 2.0)]
                looks.append(along_gradient(loss, parameters, scales))
                with torch.no_grad():
                    inner = network[:-1](x[rows])
                    moments.append(torch.cat([inner.mean(dim=0), inner.std(dim=0)]))
            value = loss()
            with torch.no_grad():
                for p, g in zip(parameters, torch.autograd.grad(value, parameters)):
                    p -= rate * g
            losses.append(float(value.detach()))
        found = torch.stack(moments)
        scale = float(found[:, self.width :].mean())
        shift = float(found.diff(dim=0).abs().mean()) / scale if len(found) > 1 and scale > 0 else 0.0
        return network, np.array(losses), np.array(looks), shift

    def _draw_training(self, path: Path, curves: dict[str, np.ndarray]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        for name, values in curves.items():
            wide = max(1, len(values) // 50)
            axes.semilogy(np.convolve(values, np.ones(wide) / wide, "valid"), color=_COLORS[name], label=name)
        axes.set_xlabel("step of SGD")
        axes.set_ylabel("cross-entropy, running mean")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _draw_smoothness(self, path: Path, ranges: dict[str, np.ndarray], steps: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.4, 3.8), layout="constrained")
        every = max(1, steps // 20)
        words = ("range of the loss along the gradient", "change of the gradient along it")
        for column, axes in enumerate(figure.subplots(1, 2)):
            for name, values in ranges.items():
                axes.semilogy(every * np.arange(len(values)), values[:, column], color=_COLORS[name], label=name)
            axes.set_xlabel("step of SGD")
            axes.set_ylabel(words[column])
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        parts = [
            f"{name}: loss {numbers[f'{name}: loss, mean of the last half']:.3f} over the last half of the training, accuracy "
            f"{numbers[f'{name}: accuracy']:.3f}; along the gradient the loss ranges over "
            f"{numbers[f'{name}: range of the loss along the gradient']:.3g} and the gradient changes by "
            f"{numbers[f'{name}: change of the gradient along it']:.3g}; shift of the last hidden layer "
            f"{numbers[f'{name}: shift of the last hidden layer']:.3f}."
            for name in _COLORS
        ]
        more = (
            numbers["noisy batch norm: shift of the last hidden layer"]
            > numbers["plain: shift of the last hidden layer"]
        )
        better = numbers["noisy batch norm: accuracy"] > numbers["plain: accuracy"]
        parts.append(
            f"With the noise the last layer's inputs are {'less' if more else 'more'} stable than in the plain network, and its "
            f"accuracy is {'higher' if better else 'not higher'}."
        )
        return "\n\n".join(parts)
