"""How many weights a layer needs: dense against convolution on images, and layers that share weights on growing inputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.nn._figures import resolution
from fivefold.demos.result import Result, save_figure
from fivefold.models.nn import RNN, Conv2d, Dense


def parameters(layer: nn.Module, bias: bool = True) -> int:
    """Return how many numbers a layer learns, or, without ``bias``, how many of them are in its matrices."""
    return sum(p.numel() for p in layer.parameters() if bias or p.ndim > 1)


def _meta(factory: Any, *args: Any, **kwargs: Any) -> nn.Module:
    """Build a layer that has shapes but no memory, however large it is."""
    with torch.device("meta"):
        layer: nn.Module = factory(*args, **kwargs)
    return layer


def dense_weights(height: int, width: int, channels: int, units: int) -> int:
    """Return height * width * channels * units: what a dense layer on an image has, without its biases."""
    return parameters(_meta(Dense, height * width * channels, units), bias=False)


def filter_weights(channels: int, filters: int, size: int) -> int:
    """Return size² * channels * filters: what a convolution has, without its biases."""
    return parameters(_meta(Conv2d, channels, filters, size), bias=False)


@dataclass
class CnnParameterCountDemo:
    r"""Count the weights of a dense layer and of a convolution on images of growing size.

    .. math:: n_{dense} = H W C\, U, \qquad n_{conv} = F^2 C\, O

    Parameters
    ----------
    side : int >= kernel_size, default 100
        Side of the image.
    channels : int >= 1, default 3
        Colors.
    units : int >= 1, default 1000
        Units of the dense layer.
    filters : int >= 1, default 25
        Filters of the first convolution.
    kernel_size : int >= 1, default 3

    Raises
    ------
    InputError
        For sizes outside these ranges.

    Notes
    -----
    Patterns are local, stand anywhere, and survive subsampling; these three facts allow the small filter, the shared filter and
    pooling. Dropping odd rows and columns leaves 1/4 of the pixels; a source says 1/10.

    References
    ----------
    Spec: 05#cnn-parameter-count.
    """

    side: int = 100
    channels: int = 3
    units: int = 1000
    filters: int = 25
    kernel_size: int = 3

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Count, and write ``weights.png`` into ``out``.

        Returns
        -------
        Result
            Weights of the dense layer, of one filter of the example network in its first and second layer, and of the whole
            convolutions; the share of pixels left after dropping every other row and column.
        """
        small = min(self.channels, self.units, self.filters, self.kernel_size)
        if small < 1 or self.side < self.kernel_size:
            raise InputError(
                f"The demonstration needs sizes of at least 1 and an image as large as the kernel; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        size = self.kernel_size
        numbers = {
            "inputs": float(self.side**2 * self.channels),
            "dense layer": float(dense_weights(self.side, self.side, self.channels, self.units)),
            "filter of the first convolution on gray images": float(filter_weights(1, 1, size)),
            "filter of the second convolution": float(filter_weights(self.filters, 1, size)),
            "first convolution": float(filter_weights(self.channels, self.filters, size)),
            "share of pixels after dropping odd rows and columns": float(
                torch.ones(self.side, self.side)[::2, ::2].numel() / self.side**2
            ),
        }
        numbers["dense layer over convolution"] = numbers["dense layer"] / numbers["first convolution"]
        return Result(numbers, [self._draw(folder / "weights.png", resolution(quick))], self._text(numbers))

    def _draw(self, path: Path, dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.4), layout="constrained")  # any value: looks
        axes = figure.subplots()
        sides = [s for s in (4, 8, 16, 28, 50, 100, 224, 512) if s >= self.kernel_size]  # any value: looks
        dense = [dense_weights(s, s, self.channels, self.units) for s in sides]
        shared = [filter_weights(self.channels, self.filters, self.kernel_size) for _ in sides]
        axes.loglog(sides, dense, "o-", color="#e45756", label=f"dense layer of {self.units} units")
        axes.loglog(sides, shared, "o-", color="#4c78a8", label=f"convolution, {self.filters} filters")
        axes.axvline(self.side, color="gray", linestyle=":")
        axes.set(xlabel="side of the image in pixels", ylabel=f"weights ({self.channels} channels)")
        axes.margins(y=0.15)  # any value: looks
        axes.legend(loc="upper left")
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        return (
            f"An image of {self.side} x {self.side} pixels and {self.channels} channels has {numbers['inputs']:,.0f} numbers; a "
            f"dense layer of {self.units:,} units on it has {numbers['dense layer']:,.0f} weights, and four times as many for "
            f"twice the side. {self.filters} filters of {self.kernel_size} x {self.kernel_size} have "
            f"{numbers['first convolution']:,.0f} at any size, {numbers['dense layer over convolution']:,.0f} times fewer.\n\n"
            f"A filter on a gray image has {numbers['filter of the first convolution on gray images']:.0f} weights; behind "
            f"{self.filters} filters one has {numbers['filter of the second convolution']:.0f}, for it sees all their maps. "
            f"Dropping odd rows and columns leaves {numbers['share of pixels after dropping odd rows and columns']:.0%} of the "
            "pixels."
        )


class NeighborMean(nn.Module):
    r"""One weight for all nodes of a graph: each mixes itself with the mean of its neighbors.

    .. math:: h_v = W \frac{1}{|N(v)| + 1} \Big(x_v + \sum_{u \in N(v)} x_u\Big) + b

    Shapes
    ------
    Nodes (n, in_features) and edges (2, m) from the first row to the second; output (n, out_features).
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.dense = Dense(in_features, out_features)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Return the new vectors of the nodes, (n, out_features)."""
        total = x.index_add(0, edges[1], x[edges[0]])  # (n, in)
        degree = torch.ones(len(x), dtype=x.dtype).index_add(0, edges[1], torch.ones(edges.shape[1], dtype=x.dtype))
        out: Tensor = self.dense(total / degree[:, None])
        return out


@dataclass
class WeightSharingDemo:
    r"""Run one convolution, one recurrent layer and one graph layer on inputs of growing size, beside dense layers.

    .. math:: y_p = f_\theta(x_{N(p)}) \quad \text{with the same } \theta \text{ at every pixel, step or node } p

    Parameters
    ----------
    width : int >= 1, default 8
        Channels or features that go in and come out.
    sizes : sequence of int >= 4, at least two, rising, default (8, 16, 32)
        Side of the image, steps of the sequence, and tenths of the nodes of the graph.

    Raises
    ------
    InputError
        For sizes outside these ranges.

    Notes
    -----
    Graphs have four random edges a node. The effect of sharing is equivariance as well: what is moved in the input is moved in
    the output; its largest violation is reported.

    References
    ----------
    Spec: 08#weight-sharing-principle.
    """

    width: int = 8
    sizes: Sequence[int] = (8, 16, 32)

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Count, check that moved inputs give moved outputs, and write ``parameters.png`` into ``out``.

        Returns
        -------
        Result
            For each kind of layer and size its parameters and those of a dense layer between the same inputs and outputs, and
            how far a moved input is from giving the moved output.
        """
        sizes = list(self.sizes)
        if self.width < 1 or len(sizes) < 2 or min(sizes) < 4 or sizes != sorted(set(sizes)):
            raise InputError(
                f"The demonstration needs width >= 1 and two or more rising sizes of at least 4; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        numbers: dict[str, float] = {}
        for size in sizes:
            for name, places, layer, moved in self._layers(size, Streams(seed)):
                numbers[f"{name}, size {size}: parameters"] = float(parameters(layer))
                dense = _meta(Dense, places * self.width, places * self.width)
                numbers[f"{name}, size {size}: dense"] = float(parameters(dense))
                numbers[f"{name}, size {size}: moved input, difference"] = moved
        return Result(numbers, [self._draw(folder / "parameters.png", numbers, resolution(quick))], self._text(numbers))

    def _layers(self, size: int, streams: Streams) -> list[tuple[str, int, nn.Module, float]]:
        """Return name, places, layer and the violation of equivariance of each kind on inputs of one size."""
        width, nodes = self.width, 10 * size
        generator = streams.torch("inputs", size)
        conv, recurrent, graph = Conv2d(width, width, 3), RNN(width, width), NeighborMean(width, width)
        for layer in (conv, recurrent, graph):
            layer.double()
            for p in layer.parameters():
                with torch.no_grad():
                    p.copy_(0.3 * torch.randn(p.shape, generator=generator, dtype=torch.float64))  # any value: random
        draw = {"generator": generator, "dtype": torch.float64}
        with torch.no_grad():
            image = torch.randn(1, width, size, size, **draw)
            space = (conv(image.roll(1, 3))[..., 1:] - conv(image)[..., :-1]).abs().max()
            steps = torch.randn(1, size, width, **draw)
            _, state = recurrent(steps[:, :2])
            whole = recurrent(steps)[0]
            time = (recurrent(steps[:, 2:], state)[0] - whole[:, 2:]).abs().max()
            vectors = torch.randn(nodes, width, **draw)
            inside = torch.randint(nodes, (2, 4 * nodes), generator=generator)  # any value: random edges
            order = torch.randperm(nodes, generator=generator)
            place = order.argsort()
            around = (graph(vectors[order], place[inside]) - graph(vectors, inside)[order]).abs().max()
        return [
            ("convolution", size * size, conv, float(space)),
            ("recurrent layer", size, recurrent, float(time)),
            ("graph layer", nodes, graph, float(around)),
        ]

    def _draw(self, path: Path, numbers: dict[str, float], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 3.8), layout="constrained")  # any value: looks
        panels: Any = figure.subplots(1, 3, sharey=True)  # any value: looks
        names = {"convolution": "side of the image", "recurrent layer": "steps", "graph layer": "nodes"}
        for axes, (name, label) in zip(panels, names.items()):
            x = [size * (10 if name == "graph layer" else 1) for size in self.sizes]
            for key, color, text in (("dense", "#e45756", "dense"), ("parameters", "#4c78a8", "shared weights")):
                axes.plot(x, [numbers[f"{name}, size {s}: {key}"] for s in self.sizes], "o-", color=color, label=text)
            axes.set(title=name, xlabel=label, yscale="log")
        panels[0].set_ylabel("parameters")
        panels[0].legend(loc="center right")
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        first, last = self.sizes[0], self.sizes[-1]
        parts = []
        for name in ("convolution", "recurrent layer", "graph layer"):
            before, after = (numbers[f"{name}, size {s}: parameters"] for s in (first, last))
            dense = numbers[f"{name}, size {last}: dense"] / numbers[f"{name}, size {first}: dense"]
            parts.append(
                f"the {name} has {before:,.0f} parameters at first and {after:,.0f} at last (dense: {dense:,.0f} times)"
            )
        worst = max(v for k, v in numbers.items() if "moved" in k)
        return (
            f"From size {first} to size {last} {'; '.join(parts)}.\n\nThe same weights stand at every pixel, step and node: an "
            "image moved by a pixel, a sequence taken up in its middle and a graph with its nodes in another order give the "
            f"same values at their new places, to {worst:.1e}."
        )
