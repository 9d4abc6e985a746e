"""What the studies of networks share: images of digits, a plain training loop, a folder for figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.random import Streams
from fivefold.data.datasets import load_dataset
from fivefold.optimizers.gradient.adam import Adam
from fivefold.optimizers.gradient.descent import SGD

Images = tuple[Tensor, Tensor, Tensor, Tensor]


def digits(streams: Streams, quick: bool) -> Images:
    """Return pixels (n, d) in [-1, 1] and classes (n,) to train on, and the fifth that is held out.

    The quick form has the 1,797 digits of 8 x 8 pixels, the full one the 10,000 test images of MNIST, 28 x 28.
    """
    if quick:
        pixels, classes = load_dataset("digits").xy()
        x = torch.as_tensor(pixels, dtype=torch.float32) / 16  # (n, 64)
    else:
        pixels, classes = load_dataset("mnist", part="test").xy()
        x = torch.as_tensor(pixels, dtype=torch.float32).flatten(1)  # (n, 784)
    order = torch.as_tensor(streams.numpy("split").permutation(len(x)))
    x, y = (2 * x - 1)[order], torch.as_tensor(classes)[order]
    held = len(x) // 5
    return x[held:], y[held:], x[:held], y[:held]


def train(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    streams: Streams,
    *,
    steps: int,
    rate: float,
    batch: int = 64,
    optimizer: str = "adam",
    clip: float | None = None,
) -> list[float]:
    """Minimize cross-entropy with Adam or SGD on batches drawn at random, and return the loss before each step."""
    method: Any = (Adam if optimizer == "adam" else SGD)(network.parameters(), lr=rate)
    stream, losses = streams.torch("batches"), []
    network.train()
    for _ in range(steps):
        rows = torch.randint(len(x), (batch,), generator=stream)
        loss = functional.cross_entropy(network(x[rows]), y[rows])
        method.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        method.step()
        losses.append(float(loss.detach()))
    return losses


def accuracy(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the share of rows whose largest output is that of their class, in evaluation mode."""
    network.eval()
    with torch.no_grad():
        return float((network(x).argmax(dim=1) == y).double().mean())


def place(out: str | os.PathLike[str]) -> Path:
    """Return the folder of the figures, made if it is not there."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
