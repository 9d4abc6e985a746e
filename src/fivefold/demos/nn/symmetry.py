"""Why first weights must differ: units that start alike stay alike, and a layer of them is one unit."""

from __future__ import annotations

import os
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
from fivefold.models.nn.perceptron import Perceptron
from fivefold.optimizers.gradient.descent import SGD

from ._studies import accuracy, digits, place

_COLORS = {"zero": "#54a24b", "equal": "#e45756", "random": "#4c78a8"}


def linears(network: Perceptron) -> list[nn.Linear]:
    """Return the linear layers, from the input to the output."""
    return [layer for layer in network.layers if isinstance(layer, nn.Linear)]


def start(network: Perceptron, kind: str) -> None:
    """Make all weights "zero", or the units of each layer "equal" in what comes in and goes out; "random" changes nothing.

    Equal units take the drawn weights of the first one; biases are zero in any case.
    """
    layers = linears(network)
    with torch.no_grad():
        for index, layer in enumerate(layers):
            weight = layer.weight * float(kind != "zero")
            if kind == "equal" and index < len(layers) - 1:
                weight = weight[:1].expand_as(layer.weight)
            if kind == "equal" and index > 0:
                weight = weight[:, :1].expand_as(layer.weight)
            layer.weight.copy_(weight.clone())
            layer.bias.zero_()


def spread(network: Perceptron) -> list[float]:
    """Return for each hidden layer the largest difference between its units' incoming weights and biases."""
    found = []
    for layer in linears(network)[:-1]:
        rows = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach()  # (units, in + 1)
        found.append(float((rows - rows[:1]).abs().max()))
    return found


def narrow(network: Perceptron) -> Perceptron:
    """Return the network of one unit a hidden layer that a network of equal units is; outgoing weights are added up."""
    given = linears(network)
    small = Perceptron((given[0].in_features, *[1] * (len(given) - 1), given[-1].out_features), "tanh")
    with torch.no_grad():
        for index, (layer, copy) in enumerate(zip(given, linears(small))):
            weight = layer.weight if index == 0 else layer.weight.sum(dim=1, keepdim=True)
            last = index == len(given) - 1
            copy.weight.copy_(weight if last else weight[:1])
            copy.bias.copy_(layer.bias if last else layer.bias[:1])
    return small


@dataclass
class SymmetryDemo:
    r"""Train networks from zero, equal and random weights, and follow the difference between the units of each layer.

    .. math:: w_j = w_k,\ v_j = v_k \;\Rightarrow\; \nabla_{w_j} = v_j\, \varphi'(z_j)\, x = \nabla_{w_k}

    Parameters
    ----------
    hidden_layer_sizes : tuple of int >= 2, default (16, 16)
    steps : int >= 1, default 2000
        Training steps of SGD on 64 images; 300 at most in the quick form.
    learning_rate : float > 0, default 0.1

    Notes
    -----
    Hidden units are tanh. Zero weights are worse than equal ones: no gradient passes a layer of them, so that only the biases
    of the output learn. The trained network of equal units equals one with a single unit in each layer.

    References
    ----------
    Goodfellow, Bengio & Courville 2016, "Deep Learning", 8.4. Spec: 08#forward-propagation.
    """

    hidden_layer_sizes: tuple[int, ...] = (16, 16)
    steps: int = 2000
    learning_rate: float = 0.1

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the three networks and write ``spread.png`` and ``units.png`` into ``out``.

        Returns
        -------
        Result
            For each start the largest difference between units of a layer before and after training, the accuracy, and for
            the equal start the largest difference to the network of one unit a layer.
        """
        if (
            not self.hidden_layer_sizes
            or min(self.hidden_layer_sizes) < 2
            or self.steps < 1
            or not self.learning_rate > 0
        ):
            raise InputError(
                "The demonstration needs hidden layers of at least 2 units, at least one step and a learning rate above 0; "
                f"got {self}."
            )
        folder, streams = place(out), Streams(seed)
        data = digits(streams, quick)
        steps = min(self.steps, 300) if quick else self.steps
        numbers: dict[str, float] = {}
        spreads: dict[str, list[list[float]]] = {}
        networks: dict[str, Perceptron] = {}
        for kind in _COLORS:
            networks[kind], spreads[kind] = self._train(streams, data[0], data[1], kind, steps)
            for number, (first, last) in enumerate(zip(spreads[kind][0], spreads[kind][-1]), 1):
                numbers[f"{kind}, layer {number}: difference between units at the start"] = first
                numbers[f"{kind}, layer {number}: difference between units after training"] = last
            numbers[f"{kind}: accuracy"] = accuracy(networks[kind], *data[2:])
        with torch.no_grad():
            gap = networks["equal"](data[2]) - narrow(networks["equal"])(data[2])
        numbers["equal: largest difference to one unit a layer"] = float(gap.abs().max())
        figures = [
            self._draw_spread(folder / "spread.png", spreads),
            self._draw_units(folder / "units.png", networks, data[0].shape[1]),
        ]
        return Result(numbers, figures, self._text(numbers))

    def _train(
        self, streams: Streams, x: Tensor, y: Tensor, kind: str, steps: int
    ) -> tuple[Perceptron, list[list[float]]]:
        """Return the trained network and the spread of its layers at the start and at fifty times on the way."""
        with seeded(streams, "weights"):
            network = Perceptron((x.shape[1], *self.hidden_layer_sizes, 10), "tanh")
        start(network, kind)
        stream, found = streams.torch("batches"), [spread(network)]
        optimizer: Any = SGD(network.parameters(), lr=self.learning_rate)
        every = max(1, steps // 50)
        for step in range(1, steps + 1):
            rows = torch.randint(len(x), (64,), generator=stream)
            optimizer.zero_grad()
            functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
            if step % every == 0 or step == steps:
                found.append(spread(network))
        return network, found

    def _draw_spread(self, path: Path, spreads: dict[str, list[list[float]]]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        for kind, values in spreads.items():
            for layer, curve in enumerate(zip(*values), 1):
                style = ("-", "--", ":")[(layer - 1) % 3]
                axes.plot(
                    np.linspace(0, 1, len(curve)), curve, style, color=_COLORS[kind], label=f"{kind}, layer {layer}"
                )
        # Equal units differ by rounding only, if at all.
        axes.set_yscale("symlog", linthresh=1e-6)
        axes.set_ylim(0, None)
        axes.set_xlabel("share of the training")
        axes.set_ylabel("largest difference between units")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _draw_units(self, path: Path, networks: dict[str, Perceptron], pixels: int) -> Path:
        from matplotlib.figure import Figure

        side = round(pixels**0.5)
        shown = min(6, *self.hidden_layer_sizes)
        figure = Figure(figsize=(1.3 * shown + 0.8, 4.2), layout="constrained")
        grid: Any = figure.subplots(len(networks), shown)
        for row, (kind, network) in zip(grid, networks.items()):
            weights = linears(network)[0].weight.detach().unflatten(1, (side, side)).numpy()
            reach = max(float(np.abs(weights[:shown]).max()), 1e-9)
            for axes, unit in zip(row, weights):
                axes.imshow(unit, cmap="coolwarm", vmin=-reach, vmax=reach)
                axes.set_xticks([])
                axes.set_yticks([])
            row[0].set_ylabel(kind)
        figure.suptitle("incoming weights of the first hidden units after training", fontsize=10)
        save_figure(figure, path, dpi=100)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        parts = []
        for kind in _COLORS:
            after = [
                numbers[f"{kind}, layer {n}: difference between units after training"]
                for n in range(1, len(self.hidden_layer_sizes) + 1)
            ]
            shown = ", ".join(f"{value:.2g} in layer {n}" for n, value in enumerate(after, 1))
            parts.append(
                f"From {kind} weights the units of a layer differ after training by at most {shown}; accuracy is "
                f"{numbers[f'{kind}: accuracy']:.3f}."
            )
        gap = numbers["equal: largest difference to one unit a layer"]
        parts.append(
            f"The network of equal units differs from one with a single unit in each layer by at most {gap:.2g}."
        )
        return "\n\n".join(parts)
