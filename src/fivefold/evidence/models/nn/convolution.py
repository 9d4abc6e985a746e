"""Convolutions and pooling beside PyTorch, matrices built entry by entry, and worked numbers."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import (
    AvgPool2d,
    Conv1d,
    Conv1x1,
    Conv2d,
    ConvTranspose2d,
    DepthwiseSeparableConv2d,
    MaxPool2d,
    MaxUnpool2d,
    by_hand,
)

from ._common import gap, noise, same_weights


def _as_torch(ours: nn.Module, peer: nn.Module, x: torch.Tensor) -> float:
    ours.double(), peer.double()
    same_weights(ours, peer)
    return gap(ours, peer, x)


def _hand(found: tuple, wanted: tuple) -> float:
    return largest(float(np.abs(a - b.detach().numpy()).max()) for a, b in zip(found, wanted, strict=True))


@evidence(
    "conv2d", claim="Values and gradients agree for strides, padding, dilation, groups", against="torch.nn.Conv2d"
)
def conv2d_as_torch() -> Check:
    cases = [
        {},
        {"stride": 2, "padding": 1, "padding_mode": "reflect"},
        {"stride": (1, 2), "padding": (2, 0), "dilation": 2, "bias": False},
        {"groups": 2, "padding": 1},
    ]
    worst = largest(_as_torch(Conv2d(4, 6, 3, **c), nn.Conv2d(4, 6, 3, **c), noise(2, 4, 7, 6)) for c in cases)
    return Check(worst, 1e-13, "max difference", "torch.nn.Conv2d")


@evidence("conv2d", claim="The 6x6 example: the diagonal filter gives 3, -1, ...", against="the worked numbers")
def conv2d_worked() -> Check:
    image = torch.tensor(
        [
            [1, 0, 0, 0, 0, 1],
            [0, 1, 0, 0, 1, 0],
            [0, 0, 1, 1, 0, 0],
            [1, 0, 0, 0, 1, 0],
            [0, 1, 0, 0, 1, 0],
            [0, 0, 1, 0, 1, 0],
        ]
    ).double()
    layer = Conv2d(1, 1, 3, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(2 * torch.eye(3) - 1)
    y = layer(image[None, None]).detach()[0, 0]
    loop = torch.stack(
        [(image[i : i + 3, j : j + 3] * (2 * torch.eye(3) - 1)).sum() for i in range(4) for j in range(4)]
    )
    error = abs(float(y[0, 0]) - 3) + abs(float(y[0, 1]) + 1) + float((y.flatten() - loop).abs().max())
    # The filter's largest answers are at the top and bottom of the left column.
    return Check(
        error + abs(float(y[3, 0]) - 3) + float(not y.max() <= 3), 0, "difference", "3, -1; 3 at the bottom left"
    )


@evidence(
    "conv2d", claim="5x5x3, two filters, stride 2, padding 1 give 3x3x2; the formula holds", against="the size formula"
)
def conv2d_sizes() -> Check:
    wrong = int(tuple(Conv2d(3, 2, 3, 2, 1)(torch.zeros(1, 3, 5, 5)).shape) != (1, 2, 3, 3))
    for f, s, p, d in itertools.product((1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2)):
        side = (7 + 2 * p - d * (f - 1) - 1) // s + 1
        wrong += int(Conv2d(1, 1, f, s, p, d)(torch.zeros(1, 1, 7, 7)).shape[2] != side)
    return Check(wrong, 0, "wrong sizes", "floor((W + 2P - D(F-1) - 1)/S) + 1")


@evidence(
    "conv2d", claim="As a matrix product by hand: output, dX, dW and db agree", against="the layer under autograd"
)
@evidence("backpropagation", claim="Both passes of a convolution by hand", against="autograd in float64")
def conv2d_by_hand() -> Check:
    worst = 0.0
    for stride, padding in ((1, 0), (2, 1), (3, 2), (2, 0)):
        layer = Conv2d(2, 3, (3, 2), stride, padding).double()
        x = noise(2, 2, 7, 6).requires_grad_()
        y = layer(x)
        g = noise(*y.shape, seed=4)
        wanted = torch.autograd.grad(y, (x, layer.weight, layer.bias), g)
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        out, cache = by_hand.conv2d(x.detach().numpy(), weight, bias, stride, padding)
        worst = largest(worst, _hand((out, *by_hand.conv2d_backward(g.numpy(), cache)), (y, *wanted)))
    return Check(worst, 1e-13, "max difference", "autograd")


def _toeplitz(kernel: np.ndarray, length: int) -> np.ndarray:
    from scipy.linalg import toeplitz

    rows = length - len(kernel) + 1
    return toeplitz([kernel[0], *[0] * (rows - 1)], [*kernel, *[0] * (length - len(kernel))])


@evidence("conv1d", claim="The layer is the product with a Toeplitz matrix", against="scipy.linalg.toeplitz")
def conv1d_toeplitz() -> Check:
    layer, x = Conv1d(1, 1, 3).double(), noise(4, 1, 5)
    kernel = layer.weight.detach().numpy().ravel()
    product = x.numpy()[:, 0] @ _toeplitz(kernel, 5).T + float(layer.bias.detach())
    y = layer(x).detach().numpy()[:, 0]
    halved = Conv1d(1, 1, 2, stride=2)(torch.zeros(1, 1, 8)).shape[2]
    return Check(
        float(np.abs(y - product).max()) + int(y.shape != (4, 3)) + int(halved != 4), 1e-14, "max difference", "Kx"
    )


@evidence("conv1d", claim="Values and gradients agree in every padding mode", against="torch.nn.Conv1d")
def conv1d_as_torch() -> Check:
    cases = [{"padding": 2, "padding_mode": m} for m in ("zeros", "reflect", "replicate", "circular")]
    cases += [{"stride": 2, "dilation": 2, "bias": False}, {"groups": 2}]
    worst = largest(_as_torch(Conv1d(2, 4, 3, **c), nn.Conv1d(2, 4, 3, **c), noise(3, 2, 8)) for c in cases)
    return Check(worst, 1e-13, "max difference", "torch.nn.Conv1d")


@evidence("conv1d", claim="The kernel (-1, 1, -1) finds the isolated one; reflection leaves no jump", against="by hand")
def conv1d_lonely() -> Check:
    layer = Conv1d(1, 1, 3, padding=1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[-1.0, 1.0, -1.0]]]))
    x = torch.tensor([[[0, 1, 1, 0, 0, 1, 0, 1, 1, 1]]]).double()
    found = (layer(x)[0, 0] > 0.5).nonzero().flatten().tolist()
    smooth = Conv1d(1, 1, 3, padding=1, padding_mode="reflect", bias=False).double()
    with torch.no_grad():
        smooth.weight.fill_(1 / 3)
    constant = (smooth(torch.ones(1, 1, 6).double()) - 1).detach().abs().max()
    return Check(float(constant) + int(found != [5]), 1e-15, "difference", "place 5 alone; a constant stays")


@evidence("conv1x1", claim="It is a dense layer over the channels of each pixel", against="einsum and torch.nn.Linear")
def conv1x1_dense() -> Check:
    layer, x = Conv1x1(4, 3).double(), noise(2, 4, 5, 6)
    weight, bias = layer.weight.detach()[:, :, 0, 0], layer.bias.detach()
    by_einsum = torch.einsum("ncij,oc->noij", x, weight) + bias[:, None, None]
    by_linear = functional.linear(x.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)
    y = layer(x).detach()
    return Check(
        float(largest((y - by_einsum).abs().max(), (y - by_linear).abs().max())), 1e-14, "max difference", "per pixel"
    )


@evidence("conv1x1", claim="Values and gradients agree", against="torch.nn.Conv2d(kernel_size=1)")
def conv1x1_as_torch() -> Check:
    worst = _as_torch(Conv1x1(4, 3), nn.Conv2d(4, 3, 1), noise(2, 4, 5, 6))
    worst = largest(worst, _as_torch(Conv1x1(4, 3, bias=False), nn.Conv2d(4, 3, 1, bias=False), noise(2, 4, 5, 6)))
    return Check(worst, 1e-14, "max difference", "torch.nn.Conv2d")


@evidence(
    "depthwise-separable-conv",
    claim="2 to 4 channels: 26 weights instead of 72; the ratio 1/O + 1/k²",
    against="counts",
)
def separable_counts() -> Check:
    def size(layer: nn.Module) -> int:
        return sum(p.numel() for p in layer.parameters())

    wrong = int(size(DepthwiseSeparableConv2d(2, 4, 3, bias=False)) != 26) + int(
        size(Conv2d(2, 4, 3, bias=False)) != 72
    )
    ratio = size(DepthwiseSeparableConv2d(8, 32, 5, bias=False)) / size(Conv2d(8, 32, 5, bias=False))
    return Check(wrong + abs(ratio - 1 / 32 - 1 / 25), 1e-15, "difference", "26, 72, 1/O + 1/k²")


@evidence(
    "depthwise-separable-conv", claim="Values and gradients agree", against="torch Conv2d(groups=C) then Conv2d(1)"
)
def separable_as_torch() -> Check:
    ours = DepthwiseSeparableConv2d(3, 4, 3, stride=2, padding=1, dilation=2)
    peer = nn.Sequential(nn.Conv2d(3, 3, 3, 2, 1, 2, groups=3, bias=False), nn.Conv2d(3, 4, 1))
    return Check(_as_torch(ours, peer, noise(2, 3, 7, 8)), 1e-13, "max difference", "torch.nn.Conv2d")


@evidence(
    "depthwise-separable-conv", claim="It is a convolution whose kernel is the outer product of both", against="conv2d"
)
def separable_product() -> Check:
    layer, x = DepthwiseSeparableConv2d(3, 4, 3).double(), noise(2, 3, 6, 5)
    kernel = layer.pointwise.weight * layer.depthwise.weight[:, 0]  # (4, 3, 1, 1) x (3, 3, 3)
    error = (layer(x) - functional.conv2d(x, kernel, layer.pointwise.bias)).detach().abs().max()
    return Check(float(error), 1e-13, "max difference", "conv2d")


@evidence(
    "transposed-conv2d", claim="It is the transpose of the convolution's matrix", against="the matrix, entry by entry"
)
def transposed_matrix() -> Check:
    layer = ConvTranspose2d(1, 1, 3, stride=2, padding=1, bias=False).double()
    y = layer(noise(1, 1, 3, 3)).detach()
    units = torch.eye(y.numel(), dtype=torch.float64).view(-1, 1, *y.shape[2:])
    matrix = functional.conv2d(units, layer.weight.detach(), stride=2, padding=1).flatten(1)  # (25, 9)
    product = matrix @ noise(1, 1, 3, 3).flatten()
    return Check(float((product.view_as(y) - y).abs().max()), 1e-14, "max difference", "the transpose")


@evidence(
    "transposed-conv2d",
    claim="It is the flipped convolution of the input with zeros between its pixels",
    against="conv2d",
)
def transposed_stuffed() -> Check:
    layer, x = ConvTranspose2d(2, 3, 3, stride=2, padding=1).double(), noise(2, 2, 4, 3)
    stuffed = torch.zeros(2, 2, 7, 5, dtype=torch.float64)
    stuffed[:, :, ::2, ::2] = x
    kernel = layer.weight.detach().transpose(0, 1).flip(2, 3)
    error = layer(x).detach() - functional.conv2d(stuffed, kernel, layer.bias.detach(), padding=1)
    return Check(float(error.abs().max()), 1e-14, "max difference", "conv2d")


@evidence(
    "transposed-conv2d",
    claim="Sizes follow the formula; values and gradients agree",
    against="torch.nn.ConvTranspose2d",
)
def transposed_as_torch() -> Check:
    worst, wrong = 0.0, 0
    for f, s, p, extra, d, groups in ((3, 2, 1, 1, 1, 1), (2, 2, 0, 0, 1, 2), (3, 1, 1, 0, 2, 1), (4, 3, 2, 2, 1, 2)):
        args = (4, 2, f, s, p, extra, groups, groups == 1, d)
        ours = ConvTranspose2d(*args)
        worst = largest(worst, _as_torch(ours, nn.ConvTranspose2d(*args), noise(2, 4, 3, 5)))
        wrong += int(ours(noise(2, 4, 3, 5)).shape[2] != (3 - 1) * s - 2 * p + d * (f - 1) + extra + 1)
    return Check(worst + wrong, 1e-13, "max difference", "torch.nn.ConvTranspose2d")


@evidence("transposed-conv2d", claim="By hand: output, dX, dW and db agree", against="the layer under autograd")
@evidence("backpropagation", claim="Both passes of a transposed convolution by hand", against="autograd in float64")
def transposed_by_hand() -> Check:
    worst = 0.0
    for stride, padding in ((1, 0), (2, 1), (3, 0)):
        layer = ConvTranspose2d(2, 3, (3, 2), stride, padding).double()
        x = noise(2, 2, 3, 4).requires_grad_()
        y = layer(x)
        g = noise(*y.shape, seed=4)
        wanted = torch.autograd.grad(y, (x, layer.weight, layer.bias), g)
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        out, cache = by_hand.conv_transpose2d(x.detach().numpy(), weight, bias, stride, padding)
        worst = largest(worst, _hand((out, *by_hand.conv_transpose2d_backward(g.numpy(), cache)), (y, *wanted)))
    return Check(worst, 1e-13, "max difference", "autograd")


@evidence("max-pooling", claim="Both kinds agree for strides and padding", against="torch.nn.MaxPool2d, AvgPool2d")
def pooling_as_torch() -> Check:
    x, worst = noise(2, 3, 7, 6), 0.0
    for args in ((2,), (3, 2), (3, 1, 1), (2, 3, 1)):
        worst = largest(
            worst, gap(MaxPool2d(*args), nn.MaxPool2d(*args), x), gap(AvgPool2d(*args), nn.AvgPool2d(*args), x)
        )
    places = [layer(x)[1] for layer in (MaxPool2d(2, return_indices=True), nn.MaxPool2d(2, return_indices=True))]
    return Check(worst + int((places[0] != places[1]).sum()), 1e-15, "max difference", "torch.nn")


@evidence(
    "max-pooling",
    claim="MaxPool(ReLU) = ReLU(MaxPool), and the gradient reaches only the first largest",
    against="rules",
)
def pooling_rules() -> Check:
    x, pool = noise(2, 3, 6, 6), MaxPool2d(2)
    error = float((pool(x.relu()) - pool(x).relu()).abs().max())
    tied = torch.tensor([[[[1.0, 2.0], [2.0, 0.0]]]]).requires_grad_()
    grad = torch.autograd.grad(pool(tied).sum(), tied)[0]
    spread = torch.autograd.grad(AvgPool2d(2)(tied).sum(), tied)[0]
    wrong = (grad - torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]])).abs().sum() + (spread - 0.25).abs().sum()
    return Check(error + float(wrong), 0, "difference", "the first of equal ones; a quarter each")


@evidence(
    "max-pooling", claim="By hand: outputs and gradients of both kinds agree", against="the layers under autograd"
)
@evidence("backpropagation", claim="Both passes of pooling by hand", against="autograd in float64")
def pooling_by_hand() -> Check:
    worst = 0.0
    for size, stride in ((2, None), (3, 2), (2, 1), (2, 3)):
        for layer, forward, backward in (
            (MaxPool2d(size, stride), by_hand.max_pool2d, by_hand.max_pool2d_backward),
            (AvgPool2d(size, stride), by_hand.mean_pool2d, by_hand.mean_pool2d_backward),
        ):
            x = noise(2, 3, 7, 6).requires_grad_()
            y = layer(x)
            g = noise(*y.shape, seed=4)
            out, cache = forward(x.detach().numpy(), size, stride)
            worst = largest(worst, _hand((out, backward(g.numpy(), cache)), (y, torch.autograd.grad(y, x, g)[0])))
    return Check(worst, 1e-15, "max difference", "autograd")


@evidence(
    "max-unpooling", claim="Values and gradients agree, with a stride and a given size", against="torch.nn.MaxUnpool2d"
)
def unpooling_as_torch() -> Check:
    worst = 0.0
    for size, stride, output in ((2, None, None), (2, 3, None), (2, None, (7, 6))):
        y, places = nn.functional.max_pool2d(noise(2, 3, 7, 6), size, stride, return_indices=True)
        if output is None and stride is None:
            y, places = nn.functional.max_pool2d(noise(2, 3, 6, 6), size, stride, return_indices=True)
        elif output is None:
            y, places = nn.functional.max_pool2d(noise(2, 3, 5, 8), size, stride, return_indices=True)
        ours = MaxUnpool2d(size, stride)
        peer = nn.MaxUnpool2d(size, stride)
        given = {"indices": places, "output_size": output}
        found = gap(partial(ours, **given), partial(peer, **given), y)
        worst = largest(worst, found)
    return Check(worst, 0, "max difference", "torch.nn.MaxUnpool2d")


@evidence("max-unpooling", claim="Pooling what was unpooled is the identity; all else is zero", against="the identity")
def unpooling_identity() -> Check:
    y, places = MaxPool2d(2, return_indices=True)(noise(2, 3, 6, 6).exp())
    back = MaxUnpool2d(2)(y, places)
    error = (MaxPool2d(2)(back) - y).abs().max() + abs(int((back != 0).sum()) - y.numel())
    corner = MaxUnpool2d(3)(y)
    return Check(
        float(error + (corner[:, :, ::3, ::3] - y).abs().max() + (corner.sum() - y.sum()).abs()),
        1e-12,
        "difference",
        "",
    )
