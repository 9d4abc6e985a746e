"""Symmetry: equal gradients by autograd, the network of one unit a layer, and what each start learns."""

from __future__ import annotations

import tempfile

import torch

from fivefold.evidence import Check, evidence, smallest

from ._common import noise


@evidence(
    "symmetry-breaking",
    claim="Equal units get equal gradients and stay equal, in every layer; random ones do not",
    against="gradients by autograd, float64",
)
def equal_gradients() -> Check:
    from fivefold.demos.nn.symmetry import linears, spread, start
    from fivefold.models.nn.perceptron import Perceptron

    x, y, wrong = noise(20, 3), torch.arange(20) % 3, 0.0
    for kind in ("equal", "zero", "random"):
        torch.manual_seed(0)
        network = Perceptron((3, 5, 6, 4), "tanh").double()
        drawn = [layer.weight.detach().clone() for layer in linears(network)]
        start(network, kind)
        layers = linears(network)
        wrong += abs(len(layers) - 3)
        alike = [drawn[0][:1].expand(5, 3), drawn[1][0, 0].expand(6, 5), drawn[2][:, :1].expand(4, 6)]
        for layer, before, same in zip(layers, drawn, alike):
            wanted = {"random": before, "equal": same, "zero": torch.zeros_like(before)}[kind]
            wrong += float((layer.weight - wanted).detach().abs().max())
        torch.nn.functional.cross_entropy(network(x), y).backward()
        gradients = [torch.cat([m.weight.grad, m.bias.grad[:, None]], 1) for m in layers[:-1]]
        gaps = [float((g - g[:1]).abs().max()) for g in gradients]
        wrong += sum(gaps) if kind != "random" else float(min(gaps) < 1e-6)
        # No gradient passes a layer of zero weights; the biases of the output learn.
        silent = sum(float(m.weight.grad.abs().max()) for m in layers)
        wrong += silent if kind == "zero" else float(silent < 1e-6)
        wrong += float(float(layers[-1].bias.grad.abs().max()) < 1e-6) if kind == "zero" else 0.0
        seen = spread(network)
        wrong += sum(seen) if kind != "random" else float(min(seen) < 0.1) + abs(len(seen) - 2)
    with torch.no_grad():
        layers[1].weight.fill_(0.0), layers[1].bias.copy_(torch.tensor([0.0, 0, 0.25, 0, -0.5, 0]))
    return Check(wrong + abs(spread(network)[1] - 0.5), 1e-14, "sum of differences", "autograd")


@evidence(
    "symmetry-breaking",
    claim="A network of equal units is one with a single unit a layer, whose outgoing weights are added up",
    against="its outputs, float64; a random network is not",
)
def one_unit() -> Check:
    from fivefold.demos.nn.symmetry import linears, narrow, start
    from fivefold.models.nn.perceptron import Perceptron

    torch.manual_seed(0)
    network = Perceptron((3, 5, 6, 4), "tanh").double()
    x = noise(20, 3)
    random_gap = float((narrow(network).double()(x) - network(x)).detach().abs().max())
    start(network, "equal")
    with torch.no_grad():
        for number, layer in enumerate(linears(network)):
            layer.bias.fill_(0.1 * (number + 1))
        linears(network)[0].weight.copy_(noise(3).expand(5, 3))
        linears(network)[2].weight.copy_(noise(4, 6, seed=3))
    small = narrow(network)
    shape = [tuple(m.weight.shape) for m in linears(small)]
    wrong = float((small.double()(x) - network(x)).detach().abs().max()) + float(shape != [(1, 3), (1, 1), (4, 1)])
    # The copies are single precision; the network itself is double.
    return Check(wrong if random_gap > 0.1 else 1.0, 1e-6, "max difference", "outputs")


@evidence(
    "symmetry-breaking",
    claim="After training equal and zero starts have equal units, and learn less than a random one",
    against="a tenth of accuracy, on digits",
)
def trained() -> Check:
    from fivefold.demos.nn.symmetry import SymmetryDemo

    with tempfile.TemporaryDirectory() as folder:
        numbers = SymmetryDemo().run(seed=1, out=folder, quick=True).numbers
    after = "difference between units after training"
    wrong = sum(numbers[f"{kind}, layer {n}: {after}"] for kind in ("equal", "zero") for n in (1, 2))
    fits = wrong < 1e-5 and numbers["equal: largest difference to one unit a layer"] < 1e-4
    fits &= all(numbers[f"random, layer {n}: {after}"] > 0.1 for n in (1, 2))
    margin = smallest(numbers["random: accuracy"] - 0.85, 0.2 - numbers["zero: accuracy"])
    # One unit orders the images on a line; it may tell some classes apart, and chance is 0.1.
    margin = smallest(margin, numbers["random: accuracy"] - numbers["equal: accuracy"] - 0.1)
    return Check(margin if fits else -1.0, 0.0, "least margin", "a tenth", at_least=True)
