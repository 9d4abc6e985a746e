"""Where batch normalization fails: forgotten running statistics, tiny batches, batches of one class."""

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
from fivefold.models.nn.layer_norms import LayerNorm
from fivefold.models.nn.normalization import BatchNorm
from fivefold.optimizers.gradient.adam import Adam

from ._studies import Images, accuracy, digits, place


def batches(y: Tensor, steps: int, size: int, shuffled: bool, generator: torch.Generator) -> list[Tensor]:
    """Return the rows of each step: drawn from all classes, or (not ``shuffled``) from one class a step, in turn."""
    if shuffled:
        return [torch.randint(len(y), (size,), generator=generator) for _ in range(steps)]
    classes = [torch.nonzero(y == c)[:, 0] for c in y.unique()]
    found = []
    for step in range(steps):
        rows = classes[step % len(classes)]
        found.append(rows[torch.randint(len(rows), (size,), generator=generator)])
    return found


def statistics_error(x: Tensor, size: int, repeats: int, generator: torch.Generator) -> tuple[float, float]:
    r"""Return how far batches' statistics are from those of all rows: E(mean gap)²/σ² and E(variance)/σ², over features.

    For rows drawn with replacement they are 1/m and (m - 1)/m in expectation, for a batch of m rows.
    """
    rows = torch.randint(len(x), (repeats, size), generator=generator)
    batch = x.double()[rows]  # (repeats, m, features)
    variance, mean = torch.var_mean(x.double(), dim=0, correction=0)
    kept = variance > 0
    gaps = (batch.mean(dim=1) - mean).square().mean(dim=0)[kept] / variance[kept]
    return float(gaps.mean()), float((batch.var(dim=1, correction=0).mean(dim=0)[kept] / variance[kept]).mean())


@dataclass
class BatchNormPitfalls:
    r"""Train a network with batch normalization rightly, then with each mistake, and evaluate it.

    .. math:: \hat x = \frac{x - \mu_B}{\sqrt{\sigma_B^2 + \epsilon}} \text{ in training}, \quad
        \frac{x - \bar\mu}{\sqrt{\bar\sigma^2 + \epsilon}} \text{ in evaluation}, \quad
        \mathrm{Var}\,\mu_B = \frac{\sigma^2}{m}

    Parameters
    ----------
    batch_sizes : sequence of int >= 2, default (2, 4, 16, 64)
        Images of a training step; steps are the same for all.
    width : int >= 1, default 64
    steps : int >= 1, default 600
        Training steps of Adam; a quarter of it in the quick form, which has only the least and the greatest of the batches.
    learning_rate : float > 0, default 0.003

    Notes
    -----
    ``forgotten`` never updates the running mean and variance (momentum 0), as a TensorFlow 1 step without its update ops.
    ``sorted`` shows one class a step: batch statistics then tell the class. Layer normalization has no statistics over the
    batch, and is the control in each case.

    References
    ----------
    Ioffe & Szegedy 2015, "Batch Normalization"; Ioffe 2017, "Batch Renormalization". Spec: 02#batch-norm.
    """

    batch_sizes: Sequence[int] = (2, 4, 16, 64)
    width: int = 64
    steps: int = 600
    learning_rate: float = 3e-3

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the study and write ``mistakes.png`` and ``batch-size.png`` into ``out``.

        Returns
        -------
        Result
            For right, forgotten and sorted training, with batch and layer normalization: accuracy in training mode (batches
            as in training) and in evaluation; for each batch size the error in evaluation and of the batches' statistics.
        """
        if (
            not self.batch_sizes
            or min(self.batch_sizes) < 2
            or min(self.width, self.steps) < 1
            or not self.learning_rate > 0
        ):
            raise InputError(
                "The demonstration needs batches of at least 2 images, width and steps of at least 1 and a learning rate above "
                f"0; got {self}."
            )
        if quick and len(self.batch_sizes) > 2:
            return replace(self, batch_sizes=(min(self.batch_sizes), max(self.batch_sizes))).run(seed, out, quick)
        folder, streams = place(out), Streams(seed)
        data = digits(streams, quick)
        steps = self.steps // 4 if quick else self.steps
        largest = max(self.batch_sizes)
        numbers: dict[str, float] = {}
        for norm in ("batch norm", "layer norm"):
            for case, momentum, shuffled in (("right", 0.1, True), ("forgotten", 0.0, True), ("sorted", 0.1, False)):
                scores = self._score(streams, data, norm, momentum, shuffled, largest, steps)
                numbers[f"{norm}, {case}: accuracy on training batches"] = scores[0]
                numbers[f"{norm}, {case}: accuracy in evaluation"] = scores[1]
            for size in sorted(set(self.batch_sizes)):
                found = numbers[f"{norm}, right: accuracy in evaluation"]
                if size < largest:
                    found = self._score(streams, data, norm, 0.1, True, size, steps)[1]
                numbers[f"{norm}, batches of {size}: error in evaluation"] = 1 - found
        for size in sorted(set(self.batch_sizes)):
            mean, variance = statistics_error(data[0], size, 500, streams.torch("statistics", size))
            numbers[f"batches of {size}: squared error of the mean over the variance"] = mean
            numbers[f"batches of {size}: variance over that of all"] = variance
        figures = [self._draw_cases(folder / "mistakes.png", numbers), self._draw(folder / "batch-size.png", numbers)]
        return Result(numbers, figures, self._text(numbers))

    def _score(
        self, streams: Streams, data: Images, norm: str, momentum: float, shuffled: bool, size: int, steps: int
    ) -> tuple[float, float]:
        """Return the accuracy on training batches, in training mode, over the last tenth of steps, and in evaluation."""
        x, y = data[:2]

        def layer() -> nn.Module:
            return BatchNorm(self.width, momentum=momentum) if norm == "batch norm" else LayerNorm(self.width)

        with seeded(streams, "weights"):
            network = nn.Sequential(
                nn.Linear(x.shape[1], self.width), layer(), nn.ReLU(),
                nn.Linear(self.width, self.width), layer(), nn.ReLU(), nn.Linear(self.width, 10),
            )  # fmt: skip
        optimizer: Any = Adam(network.parameters(), lr=self.learning_rate)
        right = []
        for rows in batches(y, steps, size, shuffled, streams.torch("batches", size)):
            logits = network(x[rows])
            right.append(float((logits.argmax(dim=1) == y[rows]).double().mean()))
            optimizer.zero_grad()
            functional.cross_entropy(logits, y[rows]).backward()
            optimizer.step()
        return float(np.mean(right[-max(1, steps // 10) :])), accuracy(network, *data[2:])

    def _draw_cases(self, path: Path, numbers: dict[str, float]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 4), layout="constrained")
        cases = ("right", "forgotten", "sorted")
        for axes, norm in zip(figure.subplots(1, 2, sharey=True), ("batch norm", "layer norm")):
            for shift, kind in ((-0.2, "accuracy on training batches"), (0.2, "accuracy in evaluation")):
                axes.bar(np.arange(3) + shift, [numbers[f"{norm}, {c}: {kind}"] for c in cases], 0.38, label=kind)
            axes.set_xticks(range(3), cases)
            axes.set_title(norm)
            axes.set_xlabel("training")
            axes.set_ylim(0, 1)
        figure.axes[0].set_ylabel("accuracy")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _draw(self, path: Path, numbers: dict[str, float]) -> Path:
        from matplotlib.figure import Figure

        sizes = sorted(set(self.batch_sizes))
        figure = Figure(figsize=(8.4, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        for norm in ("batch norm", "layer norm"):
            left.plot(sizes, [numbers[f"{norm}, batches of {m}: error in evaluation"] for m in sizes], "o-", label=norm)
        left.set_ylabel("error on held-out digits")
        left.legend(loc="best")
        key = "squared error of the mean over the variance"
        right.plot(sizes, [numbers[f"batches of {m}: {key}"] for m in sizes], "o", label="measured")
        right.plot(sizes, [1 / m for m in sizes], "-", color="gray", label="1 / m")
        right.set_yscale("log")
        right.set_ylabel("squared error of the batch mean / variance")
        right.legend(loc="best")
        for axes in (left, right):
            axes.set_xscale("log", base=2)
            axes.set_xlabel("images m in a batch")
        save_figure(figure, path, dpi=100)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        parts = []
        for case, words in (
            ("right", "Trained as it should be"),
            ("forgotten", "With running statistics that are never updated"),
            ("sorted", "With batches of one class each"),
        ):
            scores = [
                numbers[f"{norm}, {case}: accuracy {kind}"]
                for norm in ("batch norm", "layer norm")
                for kind in ("on training batches", "in evaluation")
            ]
            parts.append(
                f"{words}, the network with batch norm gets {scores[0]:.3f} of its training batches right and {scores[1]:.3f} of "
                f"the held-out digits in evaluation; with layer norm it is {scores[2]:.3f} and {scores[3]:.3f}."
            )
        few, many = min(self.batch_sizes), max(self.batch_sizes)
        errors = [
            numbers[f"{n}, batches of {m}: error in evaluation"]
            for n in ("batch norm", "layer norm")
            for m in (few, many)
        ]
        parts.append(
            f"With batches of {few} the error in evaluation is {errors[0]:.3f}, with batches of {many} {errors[1]:.3f} (layer "
            f"norm {errors[2]:.3f} and {errors[3]:.3f}); the mean of a batch of m is off by a variance of 1/m."
        )
        return "\n\n".join(parts)
