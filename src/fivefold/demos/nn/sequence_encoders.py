"""Three encoders of sequences: recurrent, convolutional, attention; how far each reaches, and how its time grows."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.engine.runtime import seeded
from fivefold.models.nn.attention import PositionalEncoding, TransformerEncoderLayer
from fivefold.models.nn.convolution import Conv1d
from fivefold.models.nn.linear import Dense
from fivefold.models.nn.recurrent import GRU
from fivefold.optimizers.gradient.adam import Adam

from ._studies import place
from .memory import recall

_COLORS = {"recurrent": "#e45756", "convolution": "#f58518", "attention": "#4c78a8"}
_RATES = {"recurrent": 1e-2, "convolution": 1e-2, "attention": 3e-3}


class Encoder(nn.Module):
    """Embeds each step, encodes the sequence with one family, and classifies what the last position holds.

    The families are a GRU, two convolutions of ``kernel_size`` steps centered on each, and one Transformer encoder layer with
    positional encoding.
    """

    def __init__(self, family: str, inputs: int, width: int, classes: int, kernel_size: int) -> None:
        super().__init__()
        self.family = family
        self.embed = Dense(inputs, width)
        if family == "recurrent":
            self.layer: nn.Module = GRU(width, width)
        elif family == "convolution":
            pad = kernel_size // 2
            self.layer = nn.Sequential(
                Conv1d(width, width, kernel_size, padding=pad),
                nn.ReLU(),
                Conv1d(width, width, kernel_size, padding=pad),
            )
        else:
            self.layer = TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, norm_first=True)
            self.position = PositionalEncoding(width)
        self.head = Dense(width, classes)

    def encode(self, x: Tensor) -> Tensor:
        """Return the encoded steps (batch, time, width) of embedded ones."""
        if self.family == "recurrent":
            return self.layer(x)[0]
        if self.family == "convolution":
            return self.layer(x.transpose(1, 2)).transpose(1, 2)
        return self.layer(self.position(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, classes) of sequences (batch, time, inputs)."""
        return self.head(self.encode(self.embed(x))[:, -1])


def reach(network: Encoder, x: Tensor) -> int:
    """Return over how many steps back the last position depends on the input at all: where its gradient is not 0."""
    given = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(given).square().sum(), given)
    felt = torch.nonzero(gradient.abs().sum(dim=(0, 2)))[:, 0]
    return x.shape[1] - 1 - int(felt.min())


def layer_seconds(network: Encoder, length: int, width: int, repeats: int = 3) -> float:
    """Return the seconds of the fastest of several encodings of 16 sequences, forward only."""
    x, found = torch.zeros(16, length, width), []
    with torch.no_grad():
        for _ in range(repeats):
            begun = time.perf_counter()
            network.encode(x)
            found.append(time.perf_counter() - begun)
    return min(found)


@dataclass
class SequenceEncoderDemo:
    r"""Recall the first symbol at the last position with each encoder, and time a layer against the length.

    Parameters
    ----------
    lags : sequence of int >= 1, default (4, 8, 40, 100)
        Steps between symbol and question; the quick form has the first and the third.
    lengths : sequence of int >= 1, default (32, 64, 128, 256, 512)
        Of the sequences that are timed; the quick form has the first three.
    width : int >= 4 and a multiple of 4, default 32
    kernel_size : odd int >= 1, default 5
        Steps of each of the two convolutions.
    steps : int >= 1, default 400
        Training steps of Adam, 32 sequences each; 75 at most in the quick form.

    Notes
    -----
    Between positions t apart lie t sequential steps of a recurrent layer, of two convolutions of k steps as many as reach
    :math:`2 \lfloor k / 2 \rfloor` and no further, and one of attention, whose work grows with the square of the length. Times
    are in the text and in a figure only: unlike the numbers they differ from run to run.

    References
    ----------
    Vaswani et al. 2017, "Attention Is All You Need", table 1. Spec: 02#sequence-encoder-families.
    """

    lags: Sequence[int] = (4, 8, 40, 100)
    lengths: Sequence[int] = (32, 64, 128, 256, 512)
    width: int = 32
    kernel_size: int = 5
    steps: int = 400

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the comparison and write ``recall.png`` and ``time.png`` into ``out``.

        Returns
        -------
        Result
            Accuracy of each encoder at each lag, the parameters of its layer, and over how many steps it reaches back.
        """
        if (
            not self.lags
            or not self.lengths
            or min(*self.lags, *self.lengths, self.steps, self.kernel_size) < 1
            or self.width < 4
            or self.width % 4
            or self.kernel_size % 2 == 0
        ):
            raise InputError(
                "The comparison needs lags, lengths and steps of at least 1, a width that is a multiple of 4 and an odd "
                f"kernel_size; got {self}."
            )
        folder, streams = place(out), Streams(seed)
        lags = sorted(set(self.lags))
        lags = lags[:3:2] if quick else lags
        lengths = sorted(self.lengths)[:3] if quick else sorted(self.lengths)
        numbers: dict[str, float] = {}
        seconds: dict[str, list[float]] = {}
        for family in _COLORS:
            network = self._build(streams, family)
            numbers[f"{family}: parameters of the layer"] = float(sum(p.numel() for p in network.layer.parameters()))
            x, _ = recall(lags[-1], 8, 4, streams.torch("reach"))
            numbers[f"{family}: reach over {lags[-1]} steps"] = float(reach(network, x))
            seconds[family] = [layer_seconds(network, length, self.width) for length in lengths]
            for lag in lags:
                numbers[f"{family}, lag {lag}: accuracy"] = self._score(streams, family, lag, quick)
        figures = [
            self._draw_recall(folder / "recall.png", lags, numbers),
            self._draw_time(folder / "time.png", lengths, seconds),
        ]
        return Result(numbers, figures, self._text(numbers, lags, lengths, seconds))

    def _build(self, streams: Streams, family: str) -> Encoder:
        with seeded(streams, "weights"):
            return Encoder(family, 5, self.width, 4, self.kernel_size)

    def _score(self, streams: Streams, family: str, lag: int, quick: bool) -> float:
        """Return the accuracy on 1000 fresh sequences of an encoder trained at one lag; chance is a quarter."""
        network = self._build(streams, family)
        optimizer: Any = Adam(network.parameters(), lr=_RATES[family])
        stream = streams.torch("sequences", lag)
        for _ in range(min(self.steps, 75) if quick else self.steps):
            x, y = recall(lag, 32, 4, stream)
            optimizer.zero_grad()
            functional.cross_entropy(network(x), y).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        x, y = recall(lag, 1000, 4, streams.torch("test", lag))
        with torch.no_grad():
            return float((network(x).argmax(dim=1) == y).double().mean())

    def _draw_recall(self, path: Path, lags: list[int], numbers: dict[str, float]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        for family, color in _COLORS.items():
            values = [numbers[f"{family}, lag {lag}: accuracy"] for lag in lags]
            axes.plot(lags, values, "o-", color=color, label=family)
        axes.axhline(0.25, color="gray", linestyle=":", label="chance")
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("lag between the symbol and the question")
        axes.set_ylabel("accuracy")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _draw_time(self, path: Path, lengths: list[int], seconds: dict[str, list[float]]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        for family, color in _COLORS.items():
            axes.loglog(lengths, [1000 * s for s in seconds[family]], "o-", color=color, label=family)
        axes.set_xlabel("length of the sequences")
        axes.set_ylabel("milliseconds of a layer, forward")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _text(
        self, numbers: dict[str, float], lags: list[int], lengths: list[int], seconds: dict[str, list[float]]
    ) -> str:
        parts = []
        for family in _COLORS:
            found = ", ".join(f"{numbers[f'{family}, lag {lag}: accuracy']:.3f} at lag {lag}" for lag in lags)
            parts.append(
                f"{family}: accuracy {found} (chance 0.25); the last position feels "
                f"{numbers[f'{family}: reach over {lags[-1]} steps']:.0f} "
                f"steps back of {lags[-1]}. A layer took {1000 * seconds[family][0]:.2f} ms here at length {lengths[0]} and "
                f"{1000 * seconds[family][-1]:.2f} ms at {lengths[-1]}."
            )
        return "\n\n".join(parts)
