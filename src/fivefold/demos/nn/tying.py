"""Tied weights: one parameter in two places gets the sum of both gradients."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.nn._figures import resolution
from fivefold.demos.result import Result, save_figure
from fivefold.models.nn import by_hand

Array = np.ndarray[Any, Any]


def autoencoder(x: Array, encode: Array, decode: Array) -> tuple[float, Array, Array]:
    r"""Return the loss of a sigmoid autoencoder and its gradients to the encoder and to the decoder, as if untied.

    .. math:: h = \sigma(x W_1^T), \quad \hat x = h W_2, \quad L = \frac{1}{2N} \sum (\hat x - x)^2

    Parameters
    ----------
    x : ndarray (n, d)
    encode, decode : ndarray (k, d)
        Both laid out (hidden, inputs), so that tied weights are the same array.

    Returns
    -------
    float, ndarray (k, d), ndarray (k, d)
    """
    if x.ndim != 2 or encode.shape != decode.shape or encode.ndim != 2 or encode.shape[1] != x.shape[1]:
        raise InputError(
            f"The autoencoder takes x (n, d) and two weights (k, d), got {x.shape}, {encode.shape} and {decode.shape}."
        )
    z, first = by_hand.dense(x, encode, np.zeros(len(encode)))
    hidden = by_hand.sigmoid(z)
    back, second = by_hand.dense(hidden, decode.T, np.zeros(x.shape[1]))
    error = (back - x) / len(x)
    dhidden, ddecode, _ = by_hand.dense_backward(error, second)
    _, dencode, _ = by_hand.dense_backward(dhidden * hidden * (1 - hidden), first)
    return float(((back - x) ** 2).sum() / (2 * len(x))), dencode, ddecode.T


@dataclass
class WeightTyingDemo:
    r"""Train an autoencoder of digits tied, as two copies with summed gradients, and untied.

    .. math:: \frac{dL(w, w)}{dw} = \frac{\partial L}{\partial w_1} + \frac{\partial L}{\partial w_2}

    Parameters
    ----------
    hidden : int >= 1, default 16
        Hidden units.
    steps : int >= 1, default 200
        Steps of plain gradient descent on all digits.
    learning_rate : float > 0, default 0.1

    Raises
    ------
    InputError
        For values outside these ranges.

    Notes
    -----
    Two copies that start equal stay equal when both get the sum. With each copy's own gradient they part at the first step.
    A source averages instead: that is the same descent at half the rate.

    References
    ----------
    Spec: 06#weight-tying-update.
    """

    hidden: int = 16
    steps: int = 200
    learning_rate: float = 0.1

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Train and write ``tying.png`` into ``out``.

        Returns
        -------
        Result
            Difference of the tied gradient from the sum of both; largest difference of the two copies over the training, with
            summed gradients and with their own; last losses.
        """
        import torch

        from fivefold.data.datasets import load_dataset

        if self.hidden < 1 or self.steps < 1 or not self.learning_rate > 0:
            raise InputError(f"The demonstration needs hidden, steps >= 1 and learning_rate > 0; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(load_dataset("digits").xy()[0], dtype=np.float64)
        x = (pixels[:300] if quick else pixels) / 16.0  # any value: digits enough, brought to [0, 1]
        start = Streams(seed).numpy("weights").normal(scale=x.shape[1] ** -0.5, size=(self.hidden, x.shape[1]))

        # One tensor used twice: autograd adds up by itself.
        shared = torch.from_numpy(start.copy()).requires_grad_()
        given = torch.from_numpy(x)
        loss = ((torch.sigmoid(given @ shared.T) @ shared - given) ** 2).sum() / (2 * len(x))
        loss.backward()
        _, dencode, ddecode = autoencoder(x, start, start)
        tied = shared.grad
        if tied is None:
            raise InputError("The shared weight has no gradient.")
        numbers = {"tied gradient minus the sum of both": float(np.abs(tied.numpy() - dencode - ddecode).max())}
        numbers["tied gradient minus the encoder's alone"] = float(np.abs(tied.numpy() - dencode).max())
        curves: dict[str, tuple[list[float], list[float]]] = {}
        for name in ("summed gradients", "own gradients"):
            losses, apart = self._train(x, start, name == "summed gradients")
            curves[name] = (losses, apart)
            numbers[f"{name}: largest difference of the copies"] = max(apart)
            numbers[f"{name}: last loss"] = losses[-1]
            numbers[f"{name}: first loss"] = losses[0]
        numbers["parameters tied"] = float(start.size)
        numbers["parameters untied"] = float(2 * start.size)
        return Result(numbers, [self._draw(folder / "tying.png", curves, resolution(quick))], self._text(numbers))

    def _train(self, x: Array, start: Array, tied: bool) -> tuple[list[float], list[float]]:
        """Return the loss before each step and how far the copies are apart after it."""
        encode, decode = start.copy(), start.copy()
        losses, apart = [], []
        for _ in range(self.steps):
            loss, first, second = autoencoder(x, encode, decode)
            if tied:
                first = second = first + second
            encode -= self.learning_rate * first
            decode -= self.learning_rate * second
            losses.append(loss)
            apart.append(float(np.abs(encode - decode).max()))
        return losses, apart

    def _draw(self, path: Path, curves: dict[str, tuple[list[float], list[float]]], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.8), layout="constrained")  # any value: looks
        panels: Any = figure.subplots(1, 2)  # any value: looks
        for (name, (losses, apart)), color in zip(curves.items(), ("#4c78a8", "#e45756")):
            panels[0].plot(losses, color=color, label=name)  # any value: looks
            panels[1].plot(range(1, len(apart) + 1), apart, color=color, label=name)  # any value: looks
        panels[0].set(xlabel="step", ylabel="loss", yscale="log")
        panels[1].set(xlabel="step", ylabel="largest difference of the two copies")
        panels[0].legend(loc="best")
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        return (
            "The gradient of the shared weight differs from the sum of the encoder's and the decoder's gradients by "
            f"{numbers['tied gradient minus the sum of both']:.1e}; from the encoder's alone it differs by "
            f"{numbers['tied gradient minus the encoder' + chr(39) + 's alone']:.2g}.\n\n"
            f"Over {self.steps} steps two copies that both get the sum differ by at most "
            f"{numbers['summed gradients: largest difference of the copies']:.1e}; with their own gradients they part by "
            f"{numbers['own gradients: largest difference of the copies']:.2g}. The last loss is "
            f"{numbers['summed gradients: last loss']:.3f} tied, with {numbers['parameters tied']:,.0f} weights, and "
            f"{numbers['own gradients: last loss']:.3f} untied, with {numbers['parameters untied']:,.0f}."
        )
