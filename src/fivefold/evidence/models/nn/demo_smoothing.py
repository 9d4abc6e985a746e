"""Batch norm and the loss surface: a quadratic's closed form, the law of the noise, the claims on digits."""

from __future__ import annotations

import tempfile

import numpy as np
import torch

from fivefold.evidence import Check, evidence, smallest

from ._common import noise


@evidence(
    "bn-smoothing-study",
    claim="Range of the loss and change of the gradient along the gradient agree; parameters are put back",
    against="the closed form of a quadratic, float64",
)
def quadratic() -> Check:
    from fivefold.demos.nn.smoothing import along_gradient

    a, b = torch.diag(torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)), torch.tensor([[4.0]], dtype=torch.float64)
    x, z = noise(3).requires_grad_(), noise(1, 1, seed=1).requires_grad_()
    before = x.detach().clone(), z.detach().clone()
    found = along_gradient(lambda: x @ a @ x / 2 + (b * z * z).sum() / 2, [x, z], (0.1, 0.5, 1.5))
    matrix = np.diag([0.5, 2.0, 3.0, 4.0])
    theta = np.concatenate([before[0].numpy(), before[1].numpy().ravel()])
    g = matrix @ theta
    losses = [(theta - s * g) @ matrix @ (theta - s * g) / 2 for s in (0.1, 0.5, 1.5)]
    wrong = abs(found[0] - (max(losses) - min(losses))) + abs(found[1] - 1.5 * np.linalg.norm(matrix @ g))
    wrong += float((x - before[0]).detach().abs().max()) + float((z - before[1]).detach().abs().max())
    return Check(float(wrong), 1e-12, "sum of differences", "closed form")


@evidence(
    "bn-smoothing-study",
    claim="The noise is one affine map for all rows of a batch, drawn anew for each, and absent in evaluation",
    against="two rows give the map; U(-s, s) within five standard errors",
)
def shifting_noise() -> Check:
    from fivefold.demos.nn.smoothing import ShiftingNoise

    layer = ShiftingNoise(4000, 0.6, torch.Generator().manual_seed(0))
    x = torch.stack([torch.zeros(4000), torch.ones(4000), torch.full((4000,), -2.0)]).double()
    first, second = layer(x), layer(x)
    wrong = float(not (first[2] - first[0] + 2 * (first[1] - first[0])).abs().max() <= 1e-6)
    shift, scale = first[0], first[1] - first[0] - 1
    for values in (shift, scale):
        wrong += float(not float(values.abs().max()) <= 0.6 + 1e-6) + float(not float(values.abs().max()) >= 0.59)
        wrong += float(not abs(float(values.mean())) <= 5 * 0.6 / (3 * 4000) ** 0.5)
    wrong += float(not abs(float((shift * scale).mean())) <= 5 * 0.12 / 4000**0.5) + float(torch.equal(first, second))
    return Check(wrong + float(not torch.equal(layer.eval()(x), x)), 0.0, "violations", "the definition")


@evidence(
    "bn-smoothing-study",
    claim="With batch norm the loss and the gradient vary less along the gradient; noise shifts inputs more than the plain "
    "network's, and it trains better all the same",
    against="the claims of Santurkar et al. 2018, on digits",
)
def claims() -> Check:
    from fivefold.demos.nn.smoothing import BatchNormSmoothing

    with tempfile.TemporaryDirectory() as folder:
        found = BatchNormSmoothing().run(seed=0, out=folder, quick=True)
    ranges, changes, shifts, accuracies = (
        [found.numbers[f"{name}: {key}"] for name in ("plain", "batch norm", "noisy batch norm")]
        for key in (
            "range of the loss along the gradient",
            "change of the gradient along it",
            "shift of the last hidden layer",
            "accuracy",
        )
    )
    margin = smallest(
        ranges[0] - 2 * ranges[1], changes[0] - 2 * changes[1], shifts[2] - 5 * shifts[1], shifts[2] - shifts[0]
    )
    margin = smallest(margin, accuracies[1] - 0.9, accuracies[2] - accuracies[0])
    fits = "less stable than in the plain network, and its accuracy is higher" in found.text
    losses = [found.numbers[f"{name}: loss, mean of the last half"] for name in ("plain", "batch norm")]
    return Check(
        smallest(margin, losses[0] - losses[1]) if fits else -1.0, 0.0, "least margin", "claims", at_least=True
    )


@evidence(
    "bn-smoothing-study",
    claim="Noise of strength 0 changes nothing: the same numbers as batch norm; a step is plain descent",
    against="itself, and torch.optim.SGD",
)
def control() -> Check:
    from fivefold.base.random import Streams
    from fivefold.demos.nn._studies import digits
    from fivefold.demos.nn.smoothing import BatchNormSmoothing

    demo = BatchNormSmoothing(depth=2, width=12, noise=0.0, steps=6)
    with tempfile.TemporaryDirectory() as folder:
        numbers = demo.run(seed=3, out=folder, quick=True).numbers
    keys = [key.removeprefix("batch norm: ") for key in numbers if key.startswith("batch norm: ")]
    wrong = sum(abs(numbers[f"batch norm: {k}"] - numbers[f"noisy batch norm: {k}"]) for k in keys) + abs(len(keys) - 5)
    streams = Streams(3)
    x, y = digits(streams, True)[:2]
    peer = demo._network(streams, x.shape[1], "plain")
    optimizer, stream, losses = torch.optim.SGD(peer.parameters(), lr=0.3), streams.torch("batches"), []
    for _ in range(6):
        rows = torch.randint(len(x), (64,), generator=stream)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(peer(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    wrong += abs(numbers["plain: loss, mean of the last half"] - float(np.mean(losses[3:])))
    return Check(wrong, 1e-5, "sum of differences", "torch.optim.SGD")
