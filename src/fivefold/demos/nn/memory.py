"""Why an LSTM keeps gradients: what the forget gate passes on, and symbols recalled after long lags."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from fivefold.models.nn.by_hand import sigmoid
from fivefold.models.nn.recurrent import LSTM, RNN
from fivefold.optimizers.gradient.adam import Adam

from ._studies import place

Array = np.ndarray[Any, Any]
_COLORS = ("#4c78a8", "#f58518", "#54a24b", "#e45756")


def cell_jacobian(x: Array, h: Array, c: Array, opened: Array, w: Array, u: Array, bias: Array) -> tuple[Array, Array]:
    r"""Return :math:`\partial c_t / \partial c_{t-1}` (hidden, hidden) of an LSTM, and its part diag(f).

    .. math:: \mathrm{diag}(f) + \big[\mathrm{diag}(g\, i (1 - i)) U_i + \mathrm{diag}(c_{t-1} f (1 - f)) U_f
        + \mathrm{diag}(i (1 - g^2)) U_g\big]\, \mathrm{diag}(o_{t-1} (1 - \tanh^2 c_{t-1}))

    ``x`` (in,) comes in at step t; ``h``, ``c`` and ``opened`` (hidden,) are the output, the cell and the output gate of the
    step before. Gates lie in the order i, f, g, o.
    """
    zi, zf, zg, _ = np.split(w @ x + u @ h + bias, 4)
    ui, uf, ug, _ = np.split(u, 4)
    i, f, g = sigmoid(zi), sigmoid(zf), np.tanh(zg)
    through = (g * i * (1 - i))[:, None] * ui + (c * f * (1 - f))[:, None] * uf + (i * (1 - g**2))[:, None] * ug
    kept = np.diag(f)
    return kept + through * (opened * (1 - np.tanh(c) ** 2)), kept


def retention(layer: LSTM, x: Tensor) -> Array:
    """Return the root mean square of d(sum of c_T) / dc_0 for T = 1 ... time; inputs x (batch, time, in)."""
    norms = []
    for time in range(1, x.shape[1] + 1):
        first = x.new_zeros(1, len(x), layer.hidden_size)
        start = first.clone().requires_grad_()
        end = layer(x[:, :time], (first, start))[1][1]
        (gradient,) = torch.autograd.grad(end.sum(), start)
        norms.append(float(gradient.square().mean().sqrt()))
    return np.array(norms)


def recall(lag: int, batch: int, symbols: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return sequences (batch, lag + 1, symbols + 1) and the class (batch,) shown in their first step only.

    The last channel is uniform noise on [-1, 1], at every step; the answer is asked for after ``lag`` further steps.
    """
    y = torch.randint(symbols, (batch,), generator=generator)
    x = torch.zeros(batch, lag + 1, symbols + 1)
    x[:, 0, :symbols] = functional.one_hot(y, symbols).float()
    x[:, :, symbols] = 2 * torch.rand(batch, lag + 1, generator=generator) - 1
    return x, y


@dataclass
class MemoryDemo:
    r"""Train an RNN and LSTMs to recall the first symbol of a sequence, and follow the gradient in the cell.

    .. math:: \frac{\partial c_t}{\partial c_{t-1}} = \mathrm{diag}(f_t) + \text{what passes through } h_{t-1}

    Parameters
    ----------
    lags : sequence of int >= 1, default (10, 30, 60)
        Steps between the symbol and the question; the quick form has the least and the greatest, at most 40.
    forget_biases : sequence of float, default (0, 5)
        Added to the forget gate's bias, one LSTM for each.
    hidden : int >= 1, default 16
        Units.
    symbols : int >= 2, default 8
        Different symbols, two in the quick form; chance is one by their number.
    steps : int >= 1, default 1000
        Training steps of Adam, 32 sequences each, gradients clipped to norm 1; 150 at most in the quick form.
    learning_rate : float > 0, default 0.01

    Notes
    -----
    A source advises against a large bias of the forget gate and wants the gate open: open is f near 1, so the bias is to be
    large and positive. A bias b keeps :math:`\sigma(b)^T` of the gradient over T steps, so b of about log T fits. What is
    added up in the cell may still explode; hence the clipping.

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long Short-Term Memory"; Gers, Schmidhuber & Cummins 2000, "Learning to Forget".
    Spec: 05#lstm-vanishing, 02#rnn-gradient-norm-analysis.
    """

    lags: Sequence[int] = (10, 30, 60)
    forget_biases: Sequence[float] = (0.0, 5.0)
    hidden: int = 16
    symbols: int = 8
    steps: int = 1000
    learning_rate: float = 0.01

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        r"""Run the study and write ``recall.png`` and ``retention.png`` into ``out``.

        Returns
        -------
        Result
            Accuracy of each layer at each lag; for each forget bias b the gradient that the cell keeps over the longest lag
            before training, and :math:`\sigma(b)` to the power of the lag.
        """
        if (
            not self.lags
            or min(self.lags) < 1
            or not self.forget_biases
            or min(self.hidden, self.steps) < 1
            or self.symbols < 2
            or not self.learning_rate > 0
        ):
            raise InputError(
                "The demonstration needs lags of at least 1, a forget bias, hidden and steps of at least 1, at least 2 symbols "
                f"and a learning rate above 0; got {self}."
            )
        if quick:
            lags = tuple({min(*self.lags, 40), min(max(self.lags), 40)})
            return replace(self, symbols=2, steps=min(self.steps, 150), lags=lags).run(seed, out)
        folder, streams = place(out), Streams(seed)
        lags = sorted(set(self.lags))
        numbers: dict[str, float] = {}
        curves: dict[float, Array] = {}
        for bias in self.forget_biases:
            with seeded(streams, "weights", 1):
                layer = LSTM(self.symbols + 1, self.hidden, forget_bias=bias)
            x, _ = recall(lags[-1] - 1, 16, self.symbols, streams.torch("retention"))
            curves[bias] = retention(layer, x)
            numbers[f"forget bias {bias:g}: gradient kept over {lags[-1]} steps"] = float(curves[bias][-1])
            numbers[f"forget bias {bias:g}: power of the gate"] = float(sigmoid(np.array(bias)) ** lags[-1])
        names = ["RNN", *(f"LSTM, forget bias {b:g}" for b in self.forget_biases)]
        for name, variant in zip(names, [None, *self.forget_biases]):
            for lag in lags:
                numbers[f"{name}, lag {lag}: accuracy"] = self._score(streams, variant, lag)
        figures = [
            self._draw_recall(folder / "recall.png", names, lags, numbers),
            self._draw_retention(folder / "retention.png", curves),
        ]
        return Result(numbers, figures, self._text(names, lags, numbers))

    def _score(self, streams: Streams, bias: float | None, lag: int) -> float:
        """Return the accuracy on 1000 fresh sequences of a layer trained at one lag; no bias stands for the RNN."""
        with seeded(streams, "weights", 2):
            width = self.symbols + 1
            layer: Any = RNN(width, self.hidden) if bias is None else LSTM(width, self.hidden, forget_bias=bias)
            head = nn.Linear(self.hidden, self.symbols)
        parameters = [*layer.parameters(), *head.parameters()]
        optimizer: Any = Adam(parameters, lr=self.learning_rate)
        stream = streams.torch("sequences", lag)
        for _ in range(self.steps):
            x, y = recall(lag, 32, self.symbols, stream)
            loss = functional.cross_entropy(head(layer(x)[0][:, -1]), y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        x, y = recall(lag, 1000, self.symbols, streams.torch("test", lag))
        with torch.no_grad():
            return float((head(layer(x)[0][:, -1]).argmax(dim=1) == y).double().mean())

    def _draw_recall(self, path: Path, names: list[str], lags: list[int], numbers: dict[str, float]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        for name, color in zip(names, _COLORS):
            axes.plot(lags, [numbers[f"{name}, lag {lag}: accuracy"] for lag in lags], "o-", color=color, label=name)
        axes.axhline(1 / self.symbols, color="gray", linestyle=":", label="chance")
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("lag between the symbol and the question")
        axes.set_ylabel("accuracy")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _draw_retention(self, path: Path, curves: dict[float, Array]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes: Any = figure.subplots()
        for (bias, values), color in zip(curves.items(), _COLORS[1:]):
            steps = np.arange(1, len(values) + 1)
            axes.semilogy(steps, values, color=color, label=f"forget bias {bias:g}")
            axes.semilogy(
                steps, sigmoid(np.array(bias)) ** steps, ":", color=color, label=f"σ({bias:g}) to the power T"
            )
        axes.set_xlabel("steps T")
        axes.set_ylabel("gradient kept in the cell")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(curves), fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _text(self, names: list[str], lags: list[int], numbers: dict[str, float]) -> str:
        parts = []
        for name in names:
            values = [numbers[f"{name}, lag {lag}: accuracy"] for lag in lags]
            # Halfway between chance and certainty.
            solved = [lag for lag, value in zip(lags, values) if value > (1 + 1 / self.symbols) / 2]
            found = ", ".join(f"{value:.3f} at lag {lag}" for lag, value in zip(lags, values))
            parts.append(
                f"{name} recalls {found}: " + (f"solved up to {max(solved)}." if solved else "solved at no lag.")
            )
        for bias in self.forget_biases:
            kept = numbers[f"forget bias {bias:g}: gradient kept over {lags[-1]} steps"]
            power = numbers[f"forget bias {bias:g}: power of the gate"]
            parts.append(
                f"Before training, a forget bias of {bias:g} keeps {kept:.2g} of the cell's gradient over {lags[-1]} steps; the "
                f"gate's power alone is {power:.2g}."
            )
        return "\n\n".join(parts)
