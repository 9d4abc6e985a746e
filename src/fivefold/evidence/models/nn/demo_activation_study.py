"""Activations: folds by the tent map, pieces by their breakpoints, dead units counted by gradients, centered outputs."""

from __future__ import annotations

import math
import tempfile

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest, smallest

from ._common import noise


@evidence(
    "activation-study", claim="The folding network is the tent map, d times, with 2^d pieces", against="its formula"
)
def folds() -> Check:
    from fivefold.demos.nn.activation_study import folding, pieces

    x, wrong = torch.linspace(0, 1, 2001, dtype=torch.float64), 0.0
    tent = x
    for depth in range(1, 10):
        tent = 1 - (1 - 2 * tent).abs()
        network = folding(depth).double()
        wrong = largest(wrong, float((network(x[:, None])[:, 0] - tent).detach().abs().max()))
        wrong += abs(pieces(network, 0.0, 1.0) - 2**depth)
        # Half of the line has half of the pieces.
        wrong += abs(pieces(network, 0.0, 0.5) - 2 ** (depth - 1))
    return Check(wrong, 1e-10, "difference", "tent map")


@evidence(
    "activation-study",
    claim="Pieces of one random hidden layer are one more than the breakpoints -b/w inside the range",
    against="the breakpoints counted",
)
def breakpoints() -> Check:
    from fivefold.demos.nn.activation_study import pieces
    from fivefold.models.nn.perceptron import Perceptron

    wrong = 0
    for seed in range(5):
        network = Perceptron((1, 30, 1), "relu")
        w, b = noise(30, seed=seed), noise(30, seed=50 + seed)
        with torch.no_grad():
            network.layers[0].weight.copy_(w[:, None]), network.layers[0].bias.copy_(b)
        ends = (-b.float() / w.float()).numpy()
        wrong += abs(pieces(network, -1.0, 2.0) - 1 - int(np.sum((ends > -1) & (ends < 2))))
    return Check(wrong, 0, "pieces", "breakpoints")


@evidence(
    "activation-study",
    claim="Units that count as dead are those whose weights no example reaches",
    against="gradients by autograd of a network with two dead units",
)
def dead_units() -> Check:
    from fivefold.demos.nn.activation_study import dead
    from fivefold.models.nn.perceptron import Perceptron

    torch.manual_seed(0)
    x, worst = noise(50, 3).float(), 0.0
    for name, killed in (("relu", 2), ("leaky-relu", 0)):
        network = Perceptron((3, 6, 4, 2), name)
        with torch.no_grad():
            network.layers[0].bias[2] = -100.0
            network.layers[2].bias[1] = -100.0
        network(x).square().sum().backward()
        silent = sum(int((network.layers[i].weight.grad == 0).all(dim=1).sum()) for i in (0, 2))
        worst = largest(worst, abs(dead(network, x) - silent / 10), abs(silent - killed))
    return Check(worst, 1e-12, "difference", "autograd")


@evidence(
    "activation-study",
    claim="Large steps kill rectifiers, small ones and leaky ones do not; tanh is centered and faster than sigmoid",
    against="the claims of 02#relu-activation and 02#tanh-activation, on digits",
)
def claims() -> Check:
    from fivefold.demos.nn.activation_study import ActivationStudy

    with tempfile.TemporaryDirectory() as folder:
        numbers = ActivationStudy(steps=600).run(seed=1, out=folder, quick=True).numbers
    margin = smallest(numbers["relu, rate 3: dead units"] - 0.3, 0.15 - numbers["relu, rate 0.01: dead units"])
    leaky = numbers["leaky-relu, rate 3: dead units"] + numbers["leaky-relu, rate 0.01: dead units"]
    # Before training sums are symmetric around 0, so means are 1/2 and 0 up to the deviation over 64 units.
    shift = abs(numbers["sigmoid: mean output of the first layer"] - 0.5) < 4 * 0.3 / 8
    shift &= abs(numbers["tanh: mean output of the first layer"]) < 4 * 0.7 / 8
    margin = smallest(
        margin, numbers["sigmoid: loss, mean of the last tenth"] - numbers["tanh: loss, mean of the last tenth"] - 0.5
    )
    margin = smallest(
        margin, numbers["tanh: accuracy"] - 0.9, math.log(10) - numbers["tanh: loss, mean of the last tenth"]
    )
    right = shift and leaky == 0 and numbers["pieces of 8 folds"] == 256
    return Check(margin if right else -1.0, 0.0, "least margin", "claims", at_least=True)
