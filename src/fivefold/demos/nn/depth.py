"""Gradients that vanish with depth: sigmoid layers lose them geometrically, rectifiers with the right start keep them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fivefold.base.errors import InputError
from fivefold.base.names import resolve
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.engine.runtime import seeded
from fivefold.models.nn.perceptron import Perceptron

from ._studies import accuracy, digits, place, train

_COLORS = {"logistic": "#e45756", "tanh": "#f58518", "relu": "#4c78a8"}


def signals(network: Perceptron, x: Tensor, y: Tensor) -> list[float]:
    r"""Return :math:`\sqrt{E \lVert \partial \ell / \partial z^l \rVert^2}` of each hidden layer, the first one first.

    The loss of each example is its cross-entropy; z are the sums before the nonlinearity.
    """
    sums, a = [], x
    for layer in network.layers:
        a = layer(a)
        if isinstance(layer, torch.nn.Linear):
            sums.append(a)
    gradients = torch.autograd.grad(functional.cross_entropy(a, y, reduction="sum"), sums[:-1])
    return [math.sqrt(float(g.square().sum(dim=1).mean())) for g in gradients]


def theory(activation: str, first: float, layers: int) -> list[float]:
    r"""Return the factor by which the gradient changes from layer l + 1 to layer l, for a wide random network.

    .. math:: \chi_l = g^2\, E\,\varphi'(\sqrt{q_l} Z)^2, \quad q_{l+1} = g^2\, E\,\varphi(\sqrt{q_l} Z)^2, \quad Z \sim N(0, 1)

    ``first`` is :math:`q_1 = g^2 \lVert x \rVert^2 / d`; the factors are :math:`\sqrt{\chi_1}, \dots` of ``layers`` layers.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    weights = weights / weights.sum()
    gain = 2.0 if activation == "relu" else 1.0
    q, factors = first, []
    for _ in range(layers):
        z = math.sqrt(q) * nodes
        if activation == "logistic":
            value = 1 / (1 + np.exp(-z))
            slope = value * (1 - value)
        elif activation == "tanh":
            value = np.tanh(z)
            slope = 1 - value**2
        else:
            value, slope = np.maximum(z, 0), (z > 0).astype(float)
        factors.append(math.sqrt(gain * float(weights @ slope**2)))
        q = gain * float(weights @ value**2)
    return factors


@dataclass
class VanishingGradientDemo:
    r"""Train ever deeper networks on digits, and show the gradient of each layer before training.

    .. math:: \delta^l = \varphi'(z^l) \odot W^{l+1,T} \delta^{l+1}

    Parameters
    ----------
    depths : sequence of int >= 2, default (2, 4, 6, 8, 10)
        Hidden layers.
    activations : sequence of {"logistic", "tanh", "relu"}, default ("logistic", "relu")
    width : int >= 1, default 64
        Units of each hidden layer.
    steps : int >= 1, default 1500
        Training steps of Adam, 64 images each; a fifth of it in the quick form.
    learning_rate : float > 0, default 0.001

    Notes
    -----
    With weights of variance 1/n a sigmoid layer shrinks the gradient by about :math:`\sigma'(z) \le 1/4`; a rectifier with
    variance 2/n keeps it. The quick form trains on 8 x 8 digits and has only the least and the greatest depth.

    References
    ----------
    Glorot & Bengio 2010, "Understanding the Difficulty of Training Deep Feedforward Neural Networks".
    Spec: 05#sigmoid-vanishing-gradient, 08#vanishing-exploding-gradient.
    """

    depths: Sequence[int] = (2, 4, 6, 8, 10)
    activations: Sequence[str] = ("logistic", "relu")
    width: int = 64
    steps: int = 1500
    learning_rate: float = 1e-3

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the study and write ``gradients.png`` and ``accuracy.png`` into ``out``.

        Returns
        -------
        Result
            Accuracy of each activation and depth on held-out digits, and the mean factor of the gradient per layer, measured
            and in theory, at the greatest depth.
        """
        names = [resolve(a, _COLORS, "activation") for a in self.activations]
        if not self.depths or min(self.depths) < 2 or self.width < 1 or self.steps < 1 or not self.learning_rate > 0:
            raise InputError(
                "The demonstration needs depths of at least 2, width and steps of at least 1 and a learning rate above 0; "
                f"got depths {list(self.depths)}, width {self.width}, steps {self.steps}, rate {self.learning_rate}."
            )
        folder, streams = place(out), Streams(seed)
        data = digits(streams, quick)
        x, y = data[:2]
        depths = sorted({min(self.depths), max(self.depths)}) if quick else sorted(self.depths)
        deepest = depths[-1]
        numbers: dict[str, float] = {}
        measured: dict[str, list[float]] = {}
        expected: dict[str, list[float]] = {}
        for name in names:
            for depth in depths:
                with seeded(streams, "weights", depth):
                    network = Perceptron((x.shape[1], *[self.width] * depth, 10), name)
                if depth == deepest:
                    gain = 2.0 if name == "relu" else 1.0
                    measured[name] = signals(network, x[:500], y[:500])
                    expected[name] = theory(name, gain * float(x[:500].square().mean()), depth)[:-1]
                    ratio = measured[name][0] / measured[name][-1]
                    numbers[f"{name}: gradient of the first layer over that of layer {depth}"] = ratio
                    numbers[f"{name}: factor per layer, measured"] = ratio ** (1 / (depth - 1))
                    numbers[f"{name}: factor per layer, theory"] = math.exp(float(np.mean(np.log(expected[name]))))
                train(
                    network,
                    x,
                    y,
                    streams.child("training", depth),
                    steps=self.steps // 5 if quick else self.steps,
                    rate=self.learning_rate,
                )
                numbers[f"{name}, {depth} layers: accuracy"] = accuracy(network, *data[2:])
        figures = [
            self._draw_gradients(folder / "gradients.png", measured, expected),
            self._draw_accuracy(folder / "accuracy.png", names, depths, numbers),
        ]
        return Result(numbers, figures, self._text(names, depths, numbers))

    def _draw_gradients(self, path: Path, measured: dict[str, list[float]], expected: dict[str, list[float]]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.4), layout="constrained")
        axes: Any = figure.subplots()
        for name, values in measured.items():
            layers = range(1, len(values) + 1)
            # The theory gives ratios; its line starts from the measured gradient of the last layer.
            line = values[-1] * np.cumprod([1.0, *expected[name][::-1]])[::-1]
            axes.semilogy(layers, values, "o", color=_COLORS[name], label=f"{name}, measured")
            axes.semilogy(layers, line, "-", color=_COLORS[name], linewidth=1, label=f"{name}, theory")
        axes.set_xlabel("hidden layer, from the input")
        axes.set_ylabel("gradient norm (root mean square)")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(measured), fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _draw_accuracy(self, path: Path, names: list[str], depths: list[int], numbers: dict[str, float]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        for name in names:
            values = [numbers[f"{name}, {d} layers: accuracy"] for d in depths]
            axes.plot(depths, values, "o-", color=_COLORS[name], label=name)
        axes.axhline(0.1, color="gray", linestyle=":", label="chance")
        axes.set_ylim(0, 1)
        axes.set_xlabel("hidden layers")
        axes.set_ylabel("accuracy on held-out digits")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _text(self, names: list[str], depths: list[int], numbers: dict[str, float]) -> str:
        parts = []
        for name in names:
            factor, law = (numbers[f"{name}: factor per layer, {kind}"] for kind in ("measured", "theory"))
            few, many = (numbers[f"{name}, {d} layers: accuracy"] for d in (depths[0], depths[-1]))
            parts.append(
                f"With {name} units the gradient changes by a factor of {factor:.3f} per layer on its way to the input (theory "
                f"of wide random networks: {law:.3f}). Accuracy is {few:.3f} with {depths[0]} hidden layers and {many:.3f} with "
                f"{depths[-1]}."
            )
        return "\n\n".join(parts)
