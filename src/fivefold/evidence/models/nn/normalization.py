"""Batch normalization beside PyTorch's, the definition in NumPy and TensorFlow's convention."""

from __future__ import annotations

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import BatchNorm


def _batches(*shape: int, count: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [3 + 2 * torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in range(count)]


def _against_torch(peer: torch.nn.Module, ours: BatchNorm, batches: list[torch.Tensor]) -> float:
    """Return the largest difference in outputs, gradients and running statistics over training and evaluation."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name in ("weight", "bias"):
            value = torch.randn(ours.num_features, generator=generator, dtype=torch.float64)
            getattr(peer, name).copy_(value), getattr(ours, name).copy_(value)
    worst = 0.0
    for x in batches:
        pair = []
        for layer in (peer, ours):
            v = x.clone().requires_grad_()
            y = layer(v)
            (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
            pair.append([y.detach(), v.grad, layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_var])
        worst = largest(worst, *(float((a - b).abs().max()) for a, b in zip(*pair)))
    peer.eval(), ours.eval()
    return largest(worst, float((peer(batches[0]) - ours(batches[0])).detach().abs().max()))


@evidence(
    "batch-norm", claim="Features: outputs, gradients and running statistics agree", against="torch.nn.BatchNorm1d"
)
def features_as_torch() -> Check:
    value = _against_torch(torch.nn.BatchNorm1d(3).double(), BatchNorm(3).double(), _batches(7, 3))
    return Check(value, 1e-11, "max difference", "torch.nn.BatchNorm1d")


@evidence("batch-norm", claim="Images: outputs, gradients and running statistics agree", against="torch.nn.BatchNorm2d")
def images_as_torch() -> Check:
    value = _against_torch(
        torch.nn.BatchNorm2d(3, momentum=0.3, eps=1e-3).double(),
        BatchNorm(3, momentum=0.3, eps=1e-3).double(),
        _batches(4, 3, 5, 2),
    )
    return Check(value, 1e-11, "max difference", "torch.nn.BatchNorm2d")


@evidence(
    "batch-norm", claim="momentum=None averages all batches equally", against="torch.nn.BatchNorm1d(momentum=None)"
)
def cumulative_average() -> Check:
    value = _against_torch(
        torch.nn.BatchNorm1d(3, momentum=None).double(), BatchNorm(3, momentum=None).double(), _batches(5, 3)
    )
    return Check(value, 1e-11, "max difference", "torch.nn.BatchNorm1d")


@evidence(
    "batch-norm", claim="A training batch has mean 0 and biased variance v/(v+eps)", against="the definition, in NumPy"
)
def standardized() -> Check:
    x = _batches(50, 3)[0]
    y = BatchNorm(3, eps=0.5, affine=False).double()(x).numpy()
    variance = x.numpy().var(axis=0)
    expected = (x.numpy() - x.numpy().mean(axis=0)) / np.sqrt(variance + 0.5)
    error = (
        np.abs(y - expected).max()
        + np.abs(y.mean(axis=0)).max()
        + np.abs(y.var(axis=0) - variance / (variance + 0.5)).max()
    )
    return Check(float(error), 1e-12, "max difference", "NumPy")


@evidence(
    "batch-norm",
    claim="The biased running variance follows TensorFlow's moving average",
    against="the recurrence by hand",
)
def tensorflow_form() -> Check:
    layer = BatchNorm(2, momentum=0.25, unbiased=False).double()
    mean, variance = np.zeros(2), np.ones(2)
    for x in _batches(6, 2):
        layer(x)
        mean = 0.75 * mean + 0.25 * x.numpy().mean(axis=0)
        variance = 0.75 * variance + 0.25 * x.numpy().var(axis=0)
    error = np.abs(layer.running_mean.numpy() - mean).max() + np.abs(layer.running_var.numpy() - variance).max()
    return Check(float(error), 1e-12, "max difference", "0.75 old + 0.25 new")


@evidence("batch-norm", claim="Without running statistics evaluation uses its batch", against="the training output")
def without_statistics() -> Check:
    x = _batches(6, 2)[0]
    layer = BatchNorm(2, track_running_stats=False).double()
    trained = layer(x)
    layer.eval()
    missing = int(layer.running_mean is not None) + int("num_batches_tracked" in layer.state_dict())
    return Check(float((layer(x) - trained).detach().abs().max()) + missing, 0, "max difference", "itself in training")


@evidence(
    "batch-norm",
    claim="Defaults are PyTorch's: eps 1e-5, momentum 0.1, scale 1, shift 0",
    against="torch.nn.BatchNorm1d",
)
def defaults() -> Check:
    ours, peer = BatchNorm(2), torch.nn.BatchNorm1d(2)
    wrong = sum(getattr(ours, n) != getattr(peer, n) for n in ("eps", "momentum", "affine", "track_running_stats"))
    wrong += sum(not torch.equal(ours.state_dict()[n], v) for n, v in peer.state_dict().items())
    return Check(wrong, 0, "defaults that differ", "torch.nn.BatchNorm1d")
