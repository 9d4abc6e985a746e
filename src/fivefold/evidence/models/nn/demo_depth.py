"""Vanishing gradients: the chain rule by hand, the law of wide random networks by quadrature, the collapse on digits."""

from __future__ import annotations

import math
import tempfile

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest, smallest

from ._common import noise


@evidence(
    "vanishing-gradient-depth",
    claim="The gradient in the sums of each layer is the mean over examples of its norm",
    against="the chain rule written out in NumPy",
)
def signals_by_hand() -> Check:
    from fivefold.demos.nn.depth import signals
    from fivefold.models.nn.perceptron import Perceptron

    torch.manual_seed(0)
    network, x, y = Perceptron((3, 5, 4, 6, 3), "logistic").double(), noise(7, 3), np.arange(7) % 3
    weights = [m.weight.detach().numpy() for m in network.layers if isinstance(m, torch.nn.Linear)]
    a, units = x.numpy(), []
    for weight in weights[:-1]:
        a = 1 / (1 + np.exp(-(a @ weight.T)))
        units.append(a)
    logits = a @ weights[-1].T
    delta = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) - np.eye(3)[y]
    wanted = []
    for weight, unit in zip(weights[:0:-1], units[::-1]):
        delta = (delta @ weight) * unit * (1 - unit)
        wanted.insert(0, math.sqrt((delta**2).sum() / 7))
    found = signals(network, x, torch.as_tensor(y))
    return Check(float(np.abs(np.array(found) / wanted - 1).max()), 1e-12, "relative error", "the chain rule")


@evidence(
    "vanishing-gradient-depth",
    claim="The factors per layer follow the recursion of variances; a rectifier's are 1",
    against="integrals over the normal density by scipy.integrate.quad",
)
def theory_by_quadrature() -> Check:
    from scipy.integrate import quad
    from scipy.special import expit

    from fivefold.demos.nn.depth import theory

    laws = {
        "logistic": (1.0, expit, lambda z: expit(z) * expit(-z)),
        "tanh": (1.0, np.tanh, lambda z: np.cosh(z) ** -2),
        "relu": (2.0, lambda z: z * (z > 0), lambda z: float(z > 0)),
    }
    worst = 0.0
    for name, (gain, value, slope) in laws.items():
        q = 0.6

        def mean(f, scale: float) -> float:
            def inner(z: float) -> float:
                return f(scale * z) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

            return quad(inner, -12, 0)[0] + quad(inner, 0, 12)[0]

        for factor in theory(name, 0.6, 4):
            worst = largest(worst, abs(factor - math.sqrt(gain * mean(slope, math.sqrt(q)))))
            q = gain * mean(value, math.sqrt(q))
        worst += float(name == "relu" and not abs(q - 0.6) <= 1e-7)
    return Check(worst, 1e-6, "max difference", "quadrature")


@evidence(
    "vanishing-gradient-depth",
    claim="Gradients decay geometrically: in a wide network every layer's factor is that of theory",
    against="the law of wide networks, within 3 / sqrt(width)",
)
def wide_networks() -> Check:
    from fivefold.demos.nn.depth import signals, theory
    from fivefold.models.nn.perceptron import Perceptron

    worst, width = 0.0, 900
    x, y = noise(60, 30).float(), torch.arange(60) % 10
    for name, gain in (("logistic", 1.0), ("relu", 2.0), ("tanh", 1.0)):
        torch.manual_seed(1)
        found = signals(Perceptron((30, *[width] * 5, 10), name), x, y)
        wanted = theory(name, gain * float(x.square().mean()), 5)
        worst = largest(worst, *(abs(a / b / w - 1) for a, b, w in zip(found, found[1:], wanted)))
    return Check(worst, 3 / math.sqrt(width), "relative error of a factor", "mean-field theory")


@evidence(
    "vanishing-gradient-depth",
    claim="Accuracy collapses at 10 sigmoid layers; with 2 of them, and with ReLU at either depth, it does not",
    against="half against 0.75, on held-out digits",
)
def collapse() -> Check:
    from fivefold.demos.nn.depth import VanishingGradientDemo

    with tempfile.TemporaryDirectory() as folder:
        numbers = VanishingGradientDemo(steps=900).run(seed=1, out=folder, quick=True).numbers
    kept = smallest(
        numbers["logistic, 2 layers: accuracy"],
        numbers["relu, 2 layers: accuracy"],
        numbers["relu, 10 layers: accuracy"],
    )
    shrunk = numbers["logistic: gradient of the first layer over that of layer 10"]
    # The slope is at most 1/4 and the factor of a random layer near it: nine layers lose between 4^-9 and 5^-9.
    fits = 5.0**-9 < shrunk < 4.0**-9
    fits &= abs(numbers["logistic: factor per layer, measured"] / shrunk ** (1 / 9) - 1) < 1e-9
    fits &= abs(numbers["logistic: factor per layer, theory"] ** 9 / shrunk - 1) < 9 * 3 / math.sqrt(64)
    # Means over nine random layers of 64 units: each factor deviates by about 1 / sqrt(64).
    fits &= abs(numbers["relu: factor per layer, measured"] - 1) < 3 / math.sqrt(64)
    margin = smallest(kept - 0.75, 0.5 - numbers["logistic, 10 layers: accuracy"])
    return Check(margin if fits else -1.0, 0.0, "margin of accuracy", "0.5 and 0.75", at_least=True)
