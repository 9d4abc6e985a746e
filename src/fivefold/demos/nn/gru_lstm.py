"""GRU beside LSTM: gate blocks counted, one task learned by both, and the time of a step measured."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.engine.runtime import seeded
from fivefold.models.nn.recurrent import GRU, LSTM, RNN

from ._studies import Images, accuracy, digits, place, train

LAYERS: dict[str, type[RNN] | type[LSTM] | type[GRU]] = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
_COLORS = {"RNN": "#54a24b", "GRU": "#f58518", "LSTM": "#4c78a8"}


def gate_blocks(layer: nn.RNNBase) -> float:
    r"""Return the parameters over those of one block, :math:`l (l + d + 2)`: two maps and PyTorch's two biases."""
    width = layer.hidden_size
    return sum(p.numel() for p in layer.parameters()) / (width * (width + layer.input_size + 2))


class RowReader(nn.Module):
    """Reads an image row by row with a recurrent layer and classifies its last output."""

    def __init__(self, layer: RNN | LSTM | GRU, classes: int) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(layer.hidden_size, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, side²) whose rows are as wide as the layer's inputs."""
        rows = x.unflatten(1, (-1, self.layer.input_size))  # (n, side, side)
        return self.head(self.layer(rows)[0][:, -1])


def step_seconds(network: nn.Module, x: Tensor, y: Tensor, repeats: int = 20) -> float:
    """Return the seconds of the fastest of several forward and backward passes."""
    found = []
    for _ in range(repeats):
        begun = time.perf_counter()
        functional.cross_entropy(network(x), y).backward()
        found.append(time.perf_counter() - begun)
    return min(found)


@dataclass
class GruLstmDemo:
    r"""Train a GRU and an LSTM, and a simple layer, on images read row by row.

    .. math:: \text{parameters} = k\, l\, (l + d + 2), \quad k = 1 \text{ (RNN)},\ 3 \text{ (GRU)},\ 4 \text{ (LSTM)}

    Parameters
    ----------
    hidden : int >= 1, default 64
        Units l of each layer.
    steps : int >= 1, default 1000
        Training steps of Adam, 64 images each; 150 at most in the quick form.
    learning_rate : float > 0, default 0.003

    Notes
    -----
    Times are in the text and in a figure only: unlike the numbers they differ from run to run. The GRU is that of PyTorch,
    which resets after the recurrent product.

    References
    ----------
    Chung et al. 2014, "Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling". Spec: 08#gru-vs-lstm.
    """

    hidden: int = 64
    steps: int = 1000
    learning_rate: float = 3e-3

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the comparison and write ``loss.png`` and ``time.png`` into ``out``.

        Returns
        -------
        Result
            Parameters, gate blocks, loss over the last tenth of the steps and accuracy on held-out digits of each layer.
        """
        if min(self.hidden, self.steps) < 1 or not self.learning_rate > 0:
            raise InputError(f"The comparison needs hidden, steps and a learning rate above 0, got {self}.")
        folder, streams = place(out), Streams(seed)
        data = digits(streams, quick)
        steps = min(self.steps, 150) if quick else self.steps
        numbers: dict[str, float] = {}
        losses: dict[str, list[float]] = {}
        seconds: dict[str, float] = {}
        for name in LAYERS:
            network, losses[name], seconds[name] = self._fit(streams, data, name, steps)
            layer = network.layer
            numbers[f"{name}: parameters"] = float(sum(p.numel() for p in layer.parameters()))
            numbers[f"{name}: gate blocks"] = gate_blocks(layer)
            numbers[f"{name}: loss, mean of the last tenth"] = float(np.mean(losses[name][-max(1, steps // 10) :]))
            numbers[f"{name}: accuracy"] = accuracy(network, *data[2:])
        figures = [
            self._draw_loss(folder / "loss.png", losses),
            self._draw_time(folder / "time.png", seconds, numbers),
        ]
        return Result(numbers, figures, self._text(numbers, seconds))

    def _fit(self, streams: Streams, data: Images, name: str, steps: int) -> tuple[RowReader, list[float], float]:
        """Return the trained network, its losses and the seconds of a pass forward and back."""
        x, y = data[:2]
        with seeded(streams, "weights"):
            network = RowReader(LAYERS[name](round(x.shape[1] ** 0.5), self.hidden), 10)
        losses = train(network, x, y, streams, steps=steps, rate=self.learning_rate, clip=1.0)
        return network, losses, step_seconds(network, x[:64], y[:64])

    def _draw_loss(self, path: Path, losses: dict[str, list[float]]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        for name, values in losses.items():
            wide = max(1, len(values) // 50)
            axes.plot(np.convolve(values, np.ones(wide) / wide, "valid"), color=_COLORS[name], label=name)
        axes.set_xlabel("step")
        axes.set_ylabel("cross-entropy, running mean")
        axes.legend(loc="upper right")
        save_figure(figure, path, dpi=100)
        return path

    def _draw_time(self, path: Path, seconds: dict[str, float], numbers: dict[str, float]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        colors = [_COLORS[name] for name in seconds]
        left.bar(list(seconds), [1000 * value for value in seconds.values()], color=colors)
        left.set_ylabel("milliseconds forward and back")
        right.bar(list(seconds), [numbers[f"{name}: parameters"] for name in seconds], color=colors)
        right.set_ylabel("parameters of the layer")
        save_figure(figure, path, dpi=100)
        return path

    def _text(self, numbers: dict[str, float], seconds: dict[str, float]) -> str:
        parts = [
            f"{name}: {numbers[f'{name}: gate blocks']:.0f} gate blocks with {numbers[f'{name}: parameters']:,.0f} parameters; "
            f"{1000 * seconds[name]:.1f} ms forward and back; loss {numbers[f'{name}: loss, mean of the last tenth']:.3f} and "
            f"accuracy {numbers[f'{name}: accuracy']:.3f} after the same steps."
            for name in LAYERS
        ]
        ratio = seconds["GRU"] / seconds["LSTM"]
        parts.append(
            f"Forward and back the GRU took {ratio:.2f} times as long as the LSTM in this run, fastest of 20 batches of 64."
        )
        return "\n\n".join(parts)
