"""Trains one of the real learners on small real data; started once, or twice by torchrun."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from fivefold.base import codec
from fivefold.base.random import Streams
from fivefold.data.batches import Batches
from fivefold.engine.learner import SupervisedLearner
from fivefold.engine.runtime import seeded
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer
from fivefold.models.generative import GAN, WGANGP
from fivefold.models.nn.perceptron import Perceptron


def learner(name: str) -> torch.nn.Module:
    """Return mlp, gan or wgan-gp for the digits, without dropout and batch normalization."""
    with seeded(Streams(0), "init"):
        if name == "mlp":
            return SupervisedLearner(Perceptron((64, 100, 10)), torch.nn.CrossEntropyLoss())
        return {"gan": GAN, "wgan-gp": WGANGP}[name](latent_dim=16, hidden_layer_sizes=(64, 64)).build(64)


def main() -> None:
    """Train and let the first process save the weights."""
    name, precision, batches, devices, out = sys.argv[1:]
    torch.set_num_threads(1)
    x, y = load_digits(return_X_y=True)
    # 65 rows a batch: the two processes get shares of different size, and so does the last batch.
    data = Batches({"x": (x / 16).astype(np.float64 if precision == "64-true" else np.float32), "y": y}, 65, seed=1)
    model = learner(name)
    with session(None, progress=False, devices=int(devices), precision=precision):
        Trainer(max_batches=int(batches), seed=2).fit(model, data)
    if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
        codec.save(dict(model.state_dict()), Path(out))


if __name__ == "__main__":
    main()
