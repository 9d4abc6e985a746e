"""The reference program: one perceptron on handwritten digits, trained in the styles of PyTorch, TensorFlow and Keras."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.data.batches import Batches
from fivefold.data.datasets import load_dataset
from fivefold.demos.result import Result, save_figure
from fivefold.engine.learner import SupervisedLearner
from fivefold.engine.runtime import seeded
from fivefold.engine.trainer import Trainer

SIZES = (784, 128, 64, 10)
"""Widths of the network of the sources."""

Weights = Mapping[str, Tensor]
Fitted = tuple[list[float], dict[str, Tensor]]
"""Mean training loss of each epoch, and the weights at the end."""


def build() -> nn.Sequential:
    """Return the network; its last layer gives logits, whose softmax belongs to the loss."""
    return nn.Sequential(
        nn.Linear(SIZES[0], SIZES[1]),
        nn.ReLU(),
        nn.Linear(SIZES[1], SIZES[2]),
        nn.ReLU(),
        nn.Linear(SIZES[2], SIZES[3]),
    )


def first_weights(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Return the weights that every style starts from."""
    with seeded(Streams(seed), "mnist/weights"):
        return {name: value.to(dtype) for name, value in build().state_dict().items()}


def pytorch_style(weights: Weights, batches: Batches, epochs: int, lr: float, momentum: float) -> Fitted:
    """Train as PyTorch's tutorials do: a module, an optimizer, and a loop that calls backward and step."""
    net = build().to(next(iter(weights.values())).dtype)
    net.load_state_dict(weights)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    losses = []
    for epoch in range(epochs):
        total = 0.0
        for batch in batches.epoch(epoch):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(batch.x), batch.y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / batches.rows)
    return losses, dict(net.state_dict())


def tensorflow_style(weights: Weights, batches: Batches, epochs: int, lr: float, momentum: float) -> Fitted:
    """Train as TensorFlow's do: variables, a function of them, its gradient ("tape"), and updates written out."""
    variables = {name: value.clone() for name, value in weights.items()}
    velocity = {name: torch.zeros_like(value) for name, value in weights.items()}
    net = build()

    def objective(values: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        probabilities = torch.func.functional_call(net, values, (x,)).softmax(dim=1)  # (batch, classes)
        return -probabilities.gather(1, y[:, None]).log().mean()  # sparse categorical cross-entropy

    tape = torch.func.grad_and_value(objective)
    losses = []
    for epoch in range(epochs):
        total = 0.0
        for batch in batches.epoch(epoch):
            gradients, loss = tape(variables, batch.x, batch.y)
            for name, gradient in gradients.items():
                velocity[name] = momentum * velocity[name] + gradient
                variables[name] = variables[name] - lr * velocity[name]
            total += float(loss) * len(batch)
        losses.append(total / batches.rows)
    return losses, variables


def keras_style(weights: Weights, batches: Batches, epochs: int, lr: float, momentum: float) -> Fitted:
    """Train as Keras does: a stack of layers, a loss and an optimizer by name, and ``fit``."""
    net = build().to(next(iter(weights.values())).dtype)
    net.load_state_dict(weights)
    part = {"optimizer": "momentum", "options": {"lr": lr, "momentum": momentum, "form": "torch"}}
    history = Trainer(max_epochs=epochs, parts={"model": part}).fit(
        SupervisedLearner(net, nn.functional.cross_entropy), batches
    )
    return list(history["loss"]), dict(net.state_dict())


STYLES: dict[str, Callable[[Weights, Batches, int, float, float], Fitted]] = {
    "PyTorch": pytorch_style,
    "TensorFlow": tensorflow_style,
    "Keras": keras_style,
}


def accuracy(weights: Weights, x: Tensor, y: Tensor) -> float:
    """Return the share of rows whose largest logit is that of their class."""
    net = build().to(x.dtype)
    net.load_state_dict(weights)
    with torch.no_grad():
        return float((net(x).argmax(dim=1) == y).double().mean())


def shifted_copies(x: Tensor) -> Tensor:
    """Return the images (n, 784), then all of them moved by one pixel down, up, right and left: (5 n, 784)."""
    images = x.view(-1, 28, 28)
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    moved = [
        padded[:, 1 - down : 29 - down, 1 - right : 29 - right] for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    return torch.cat([images, *moved]).reshape(-1, 784)


@dataclass(frozen=True)
class Digits:
    """Training and test rows, and where they come from."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    source: str


def digits(seed: int, test_rows: int = 2000) -> Digits:
    """Return MNIST in its published split; where only the test file is at hand, a hold-out of it."""
    found = load_dataset("mnist")
    x = torch.as_tensor(np.ascontiguousarray(found.arrays["x"])).reshape(-1, 784)
    y = torch.as_tensor(found.arrays["y"])
    if {"train", "test"} <= set(found.rows):
        rows = {part: slice(r.start, r.stop) for part, r in found.rows.items()}
        source = "the published split of MNIST"
        return Digits((x[rows["train"]], y[rows["train"]]), (x[rows["test"]], y[rows["test"]]), source)
    order = torch.as_tensor(Streams(seed).numpy("mnist/split").permutation(len(x)))
    test, train = order[:test_rows], order[test_rows:]
    source = f"the {len(x):,} images of MNIST's test file, the only one at hand"
    return Digits((x[train], y[train]), (x[test], y[test]), source)


@dataclass
class MnistReference:
    """Train 784-128-64-10 on MNIST in three styles from the same weights, then to the end with shifted copies.

    Parameters
    ----------
    epochs : int >= 1, default 15
        Of the last training.
    learning_rate : float > 0, default 0.03
        The source's 0.003 is meant for 60,000 images; with the 8,000 of a hold-out it does not get far in 15 epochs.
    momentum : float in [0, 1), default 0.9
    batch_size : int >= 1, default 64
    style_epochs : int >= 1, default 2
        Of the training in three styles, in float64.
    """

    epochs: int = 15
    learning_rate: float = 0.03
    momentum: float = 0.9
    batch_size: int = 64
    style_epochs: int = 2

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Train and write ``losses.png`` and ``mistakes.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            The first 1,000 training rows, one epoch in each style, three at the end, no shifted copies.

        Returns
        -------
        Result
            Losses of the three styles and their largest difference, rows, and accuracy on the rows held out.
        """
        if min(self.epochs, self.batch_size, self.style_epochs) < 1 or self.learning_rate <= 0:
            raise InputError(
                f"The reference needs epochs, batch_size and style_epochs >= 1 and a positive rate; got {self}."
            )
        if not 0 <= self.momentum < 1:
            raise InputError(f"The reference needs a momentum in [0, 1), got {self.momentum!r}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        data = digits(seed)
        x, y = data.train
        if quick:
            x, y = x[:1000], y[:1000]
        numbers: dict[str, float] = {"training rows": float(len(x)), "test rows": float(len(data.test[0]))}
        curves = self._styles(seed, x[:8000], y[:8000], 1 if quick else self.style_epochs, numbers)
        plain = Batches({"x": x, "y": y}, self.batch_size, seed=seed)
        epochs = 3 if quick else self.epochs
        losses, weights = keras_style(first_weights(seed), plain, epochs, self.learning_rate, self.momentum)
        numbers["test accuracy"] = accuracy(weights, *data.test)
        numbers["training accuracy"] = accuracy(weights, x, y)
        curves["Keras style to the end"] = losses
        if not quick:
            more = Batches({"x": shifted_copies(x), "y": y.repeat(5)}, self.batch_size, seed=seed)
            losses, weights = keras_style(first_weights(seed), more, epochs, self.learning_rate, self.momentum)
            numbers["test accuracy with shifted copies"] = accuracy(weights, *data.test)
            curves["with shifted copies"] = losses
        dpi = 60 if quick else 120
        figures = [
            self._draw_losses(folder / "losses.png", curves, dpi),
            self._draw_mistakes(folder / "mistakes.png", weights, data.test, dpi),
        ]
        return Result(numbers, figures, self._text(numbers, data.source))

    def _styles(
        self, seed: int, x: Tensor, y: Tensor, epochs: int, numbers: dict[str, float]
    ) -> dict[str, list[float]]:
        """Train in every style in float64 and note by how much losses and weights differ."""
        start = first_weights(seed, torch.float64)
        batches = Batches({"x": x.double(), "y": y}, self.batch_size, seed=seed)
        fitted = {
            name: style(start, batches, epochs, self.learning_rate, self.momentum) for name, style in STYLES.items()
        }
        losses, weights = fitted["PyTorch"]
        gaps = [abs(a - b) for others, _ in fitted.values() for a, b in zip(losses, others, strict=True)]
        numbers.update({f"{name} style: last training loss": own[-1] for name, (own, _) in fitted.items()})
        numbers["largest difference of losses"] = max(gaps)
        numbers["largest difference of weights"] = max(
            float((weights[name] - value).abs().max()) for _, other in fitted.values() for name, value in other.items()
        )
        return {f"{name} style": own for name, (own, _) in fitted.items()}

    def _draw_losses(self, path: Path, curves: Mapping[str, list[float]], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.8, 4), layout="constrained")
        axes = figure.subplots()
        marks = {"PyTorch style": ("s", 9), "TensorFlow style": ("o", 6), "Keras style": ("x", 5)}
        for name, losses in curves.items():
            mark, size = marks.get(name, (".", 4))
            axes.semilogy(range(1, len(losses) + 1), losses, marker=mark, ms=size, mfc="none", lw=1, label=name)
        axes.set_xlabel("epoch")
        axes.set_ylabel("mean training loss")
        axes.legend(loc="best", fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _draw_mistakes(self, path: Path, weights: Weights, test: tuple[Tensor, Tensor], dpi: int) -> Path:
        from matplotlib.figure import Figure

        net = build()
        net.load_state_dict(weights)
        with torch.no_grad():
            said = net(test[0]).argmax(dim=1)
        wrong = torch.nonzero(said != test[1])[:, 0][:24].tolist()
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        grid = figure.subplots(3, 8)
        for place, axes in enumerate(grid.flat):
            axes.set_axis_off()
            if place < len(wrong):
                row = wrong[place]
                axes.imshow(test[0][row].view(28, 28).numpy(), cmap="gray_r")
                axes.set_title(f"{int(test[1][row])} taken for {int(said[row])}", fontsize=8)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: Mapping[str, float], source: str) -> str:
        more = ""
        if "test accuracy with shifted copies" in numbers:
            more = (
                " With copies of the training images moved by one pixel it is "
                f"{numbers['test accuracy with shifted copies']:.1%}."
            )
        return (
            "From the same weights and in the same order of batches, the loop of PyTorch, the tape of TensorFlow and the fit of "
            f"Keras end an epoch with losses that differ by at most {numbers['largest difference of losses']:.1e} and weights "
            f"that differ by at most {numbers['largest difference of weights']:.1e} in float64.\n\n"
            f"Data: {source}; {numbers['training rows']:,.0f} rows for training, {numbers['test rows']:,.0f} held out and used "
            f"for nothing but this figure. Accuracy on the rows held out: {numbers['test accuracy']:.1%} (training rows: "
            f"{numbers['training accuracy']:.1%}).{more}"
        )
