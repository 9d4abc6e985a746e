"""Demonstrations of convolution as a product, weight counts, weight sharing and tying, beside SciPy, autograd and arithmetic."""

from __future__ import annotations

import tempfile

import numpy as np
import torch
from torch import nn

from fivefold.demos.nn.conv_matmul import (
    ConvAsMatmulDemo,
    block_toeplitz,
    masked_dense,
    masked_dense_backward,
    shared_places,
    toeplitz,
)
from fivefold.demos.nn.counting import (
    CnnParameterCountDemo,
    NeighborMean,
    WeightSharingDemo,
    dense_weights,
    filter_weights,
)
from fivefold.demos.nn.tying import WeightTyingDemo, autoencoder
from fivefold.evidence import Check, evidence, largest

from ._common import noise, undocumented_defaults


@evidence(
    "conv-as-matmul", claim="Blocks are Toeplitz matrices, rows and columns right", against="scipy.linalg.toeplitz"
)
def conv_toeplitz_scipy() -> Check:
    from scipy.linalg import toeplitz as scipy_toeplitz

    worst = 0.0
    for row, length in (([2.0, -1.0, 3.0], 7), ([1.0, 4.0], 2), ([5.0], 4)):
        first = np.r_[row, np.zeros(length - len(row))]
        column = np.r_[row[0], np.zeros(length - len(row))]
        worst = largest(worst, float(np.abs(toeplitz(np.array(row), length) - scipy_toeplitz(column, first)).max()))
    weight = noise(2, 3, 2, 4).numpy()
    blocks = block_toeplitz(weight, (5, 6)).reshape(2, 4, 3, 3, 5, 6)
    for o, i, c, r in np.ndindex(2, 4, 3, 5):
        block = blocks[o, i, :, c, r]
        inside = 0 <= r - i < 2
        wanted = np.zeros((3, 6))
        if inside:
            kernel = weight[o, c, r - i]
            wanted = scipy_toeplitz(np.r_[kernel[0], 0, 0], np.r_[kernel, 0, 0])
        worst = largest(worst, float(np.abs(block - wanted).max()))
    return Check(worst, 0.0, "max difference", "scipy.linalg.toeplitz")


@evidence(
    "conv-as-matmul",
    claim="All three products give values and gradients, channels and oblong shapes too",
    against="torch conv2d",
)
def conv_products_torch() -> Check:
    worst = 0.0
    for shape, image in (((2, 3, 2, 4), (5, 6)), ((1, 1, 3, 3), (3, 3)), ((3, 2, 1, 2), (4, 3))):
        x, w = noise(4, shape[1], *image), noise(*shape, seed=1)
        given, weight = x.clone().requires_grad_(), w.clone().requires_grad_()
        y = nn.functional.conv2d(given, weight)
        g = noise(*y.shape, seed=2)
        dx, dw = torch.autograd.grad(y, (given, weight), g)
        right, matrix = y.detach().numpy(), block_toeplitz(w.numpy(), image)
        flat = x.reshape(4, -1).numpy()
        out, cache = masked_dense(x.numpy(), w.numpy())
        back = masked_dense_backward(g.numpy(), cache)
        columns = (w.reshape(shape[0], -1) @ nn.functional.unfold(x, shape[2:])).reshape(y.shape).numpy()
        found = (
            (flat @ matrix.T).reshape(right.shape) - right,
            (g.reshape(4, -1).numpy() @ matrix).reshape(dx.shape) - dx.numpy(),
            out - right,
            columns - right,
            back[0].reshape(dx.shape) - dx.numpy(),
            back[1] - dw.numpy(),
        )
        worst = largest(worst, *(float(np.abs(gap).max()) for gap in found))
    return Check(worst, 1e-13, "max difference", "torch.nn.functional.conv2d")


@evidence(
    "conv-as-matmul",
    claim="The 6x6 example: a filter's first places see pixels 1 2 3 7 8 9 13 14 15, then 2 3 4 8 9 10 14 15 16",
    against="the worked numbers of the source",
)
def conv_places_worked() -> Check:
    places = shared_places((1, 1, 3, 3), (6, 6))
    wrong = 0
    for row, pixels in enumerate(([1, 2, 3, 7, 8, 9, 13, 14, 15], [2, 3, 4, 8, 9, 10, 14, 15, 16])):
        seen = np.flatnonzero(places[row] >= 0)
        wrong += int((seen + 1 != pixels).sum()) + int((places[row, seen] != np.arange(9)).sum())
    image = np.array(
        [
            [1, 0, 0, 0, 0, 1],
            [0, 1, 0, 0, 1, 0],
            [0, 0, 1, 1, 0, 0],
            [1, 0, 0, 0, 1, 0],
            [0, 1, 0, 0, 1, 0],
            [0, 0, 1, 0, 1, 0],
        ],
        dtype=np.float64,
    )
    diagonal = 2 * np.eye(3) - 1
    out = masked_dense(image[None, None], diagonal[None, None])[0][0, 0]
    wrong += int(out[0, 0] != 3) + int(out[0, 1] != -1) + int(out[3, 0] != 3) + int((out >= 3).sum() != 2)
    return Check(float(wrong), 0.0, "wrong numbers", "worked numbers")


@evidence(
    "conv-as-matmul", claim="On real digits every difference is rounding; counts are right", against="torch, arithmetic"
)
def conv_demo_numbers() -> Check:
    with tempfile.TemporaryDirectory() as folder:
        numbers = ConvAsMatmulDemo(n_images=16).run(out=folder, quick=True).numbers
    wrong = largest(v for k, v in numbers.items() if "difference" in k)  # up to 16 * 36 products of size 1 are summed
    wrong += abs(numbers["weights of the convolution"] - 4 * 9) + abs(
        numbers["weights of a full dense layer"] - 4 * 36 * 64
    )
    wrong += abs(numbers["share of the dense matrix that is not masked"] - 9 / 64)
    wrong += abs(numbers["numbers im2col stores per pixel"] - 36 * 9 / 64)
    return Check(wrong, 1e-12, "sum of differences", "torch conv2d")


@evidence(
    "cnn-parameter-count",
    claim="3e7 weights dense; 9 and 225 a filter; 1/4 of the pixels",
    against="the worked numbers",
)
def cnn_counts_worked() -> Check:
    with tempfile.TemporaryDirectory() as folder:
        numbers = CnnParameterCountDemo().run(out=folder, quick=True).numbers
    wrong = (
        abs(dense_weights(100, 100, 3, 1000) - 3e7)
        + abs(numbers["dense layer"] - 3e7)
        + abs(numbers["inputs"] - 30_000)
    )
    wrong += abs(numbers["filter of the first convolution on gray images"] - 9)
    wrong += abs(numbers["filter of the second convolution"] - 225) + abs(numbers["first convolution"] - 9 * 3 * 25)
    wrong += abs(numbers["share of pixels after dropping odd rows and columns"] - 0.25)
    wrong += abs(numbers["dense layer over convolution"] - 3e7 / 675)
    return Check(wrong, 1e-9, "sum of differences", "worked numbers")


@evidence(
    "cnn-parameter-count",
    claim="The dense count grows with height times width, the filters' does not",
    against="torch.nn",
)
def cnn_counts_torch() -> Check:
    wrong = 0
    for height, width, channels, units in ((4, 6, 3, 5), (8, 6, 3, 5), (5, 5, 1, 7)):
        peer = nn.Linear(height * width * channels, units, bias=False)
        wrong += abs(dense_weights(height, width, channels, units) - sum(p.numel() for p in peer.parameters()))
    wrong += abs(dense_weights(8, 6, 3, 5) - 2 * dense_weights(4, 6, 3, 5))
    for channels, filters, size in ((3, 5, 4), (2, 7, 1)):
        peer_conv = nn.Conv2d(channels, filters, size, bias=False)
        wrong += abs(filter_weights(channels, filters, size) - peer_conv.weight.numel())
    return Check(float(wrong), 0.0, "sum of differences", "torch.nn")


@evidence(
    "weight-sharing-principle",
    claim="Counts are F²w²+w, 2w²+2w, w²+w at every size; dense ones grow",
    against="arithmetic",
)
def sharing_counts() -> Check:
    w, sizes, wrong = 5, (4, 7, 9), 0.0
    with tempfile.TemporaryDirectory() as folder:
        numbers = WeightSharingDemo(width=w, sizes=sizes).run(out=folder, quick=True).numbers
    right = {"convolution": 9 * w * w + w, "recurrent layer": 2 * w * w + 2 * w, "graph layer": w * w + w}
    for size in sizes:
        places = {"convolution": size**2, "recurrent layer": size, "graph layer": 10 * size}
        for name, shared in right.items():
            full = places[name] * w
            wrong += abs(numbers[f"{name}, size {size}: parameters"] - shared)
            wrong += abs(numbers[f"{name}, size {size}: dense"] - (full * full + full))
    return Check(wrong, 0.0, "sum of differences", "arithmetic")


@evidence(
    "weight-sharing-principle",
    claim="The graph layer is the mean over neighbors and itself",
    against="a dense adjacency matrix",
)
def sharing_graph_layer() -> Check:
    edges = torch.tensor([[0, 1, 2, 2, 4], [1, 0, 1, 4, 2]])
    layer, x = NeighborMean(3, 2).double(), noise(5, 3)
    adjacency = torch.eye(5, dtype=torch.float64)
    for source, goal in edges.T.tolist():
        adjacency[goal, source] += 1
    with torch.no_grad():
        layer.dense.weight.copy_(noise(2, 3, seed=1)), layer.dense.bias.copy_(noise(2, seed=2))
        right = (adjacency / adjacency.sum(1, keepdim=True)) @ x @ layer.dense.weight.T + layer.dense.bias
        error = float((layer(x, edges) - right).abs().max())
    return Check(error, 1e-14, "max difference", "adjacency matrix")


@evidence(
    "weight-sharing-principle",
    claim="Moved inputs give moved outputs; with weights of its own at each place a layer does not",
    against="a dense layer as control, which must fail",
)
def sharing_moves() -> Check:
    with tempfile.TemporaryDirectory() as folder:
        numbers = WeightSharingDemo(sizes=(6, 9)).run(seed=3, out=folder, quick=True).numbers
    worst = largest(v for k, v in numbers.items() if "moved" in k)
    x, own = noise(1, 36), noise(36, 36, seed=1) / 6
    image, moved = (x @ own).view(6, 6), (x.view(6, 6).roll(1, 1).reshape(1, 36) @ own).view(6, 6)
    control = float((moved[:, 1:] - image[:, :-1]).abs().max())
    return Check(worst if control > 0.1 else float("inf"), 1e-12, "max difference", "a dense layer")


@evidence(
    "weight-tying", claim="Loss and both gradients agree; a shared tensor's is their sum", against="autograd in float64"
)
def tying_autograd() -> Check:
    x, first, second = noise(7, 5), noise(3, 5, seed=1), noise(3, 5, seed=2)
    worst = 0.0
    for a, b in ((first, second), (first, first)):
        encode, decode, shared = (v.clone().requires_grad_() for v in (a, b, a))
        loss = ((torch.sigmoid(x @ encode.T) @ decode - x) ** 2).sum() / 14
        wanted = torch.autograd.grad(loss, (encode, decode))
        found = autoencoder(x.numpy(), a.numpy(), b.numpy())
        gaps = [abs(found[0] - loss.item()), *(np.abs(f - g.numpy()).max() for f, g in zip(found[1:], wanted))]
        if a is b:
            both = ((torch.sigmoid(x @ shared.T) @ shared - x) ** 2).sum() / 14
            gaps.append(np.abs(torch.autograd.grad(both, shared)[0].numpy() - found[1] - found[2]).max())
        worst = largest(worst, *map(float, gaps))
    return Check(worst, 1e-13, "max difference", "autograd")


@evidence(
    "weight-tying",
    claim="Copies that get the sum stay equal; with their own gradients they part",
    against="autograd, control",
)
def tying_copies() -> Check:
    demo = WeightTyingDemo(hidden=6, steps=25)
    with tempfile.TemporaryDirectory() as folder:
        numbers = demo.run(out=folder, quick=True).numbers
    worst = (
        numbers["summed gradients: largest difference of the copies"] + numbers["tied gradient minus the sum of both"]
    )
    parted = numbers["own gradients: largest difference of the copies"] > 0.01
    parted &= numbers["tied gradient minus the encoder's alone"] > 0.01
    counted = numbers["parameters tied"] == 6 * 64 and numbers["parameters untied"] == 2 * 6 * 64
    return Check(worst if parted and counted else float("inf"), 1e-12, "max difference", "own gradients")


@evidence(
    "weight-tying", claim="Summed descent is the descent of the one shared tensor, step by step", against="torch SGD"
)
def tying_descent() -> Check:
    x, start = noise(9, 5), noise(4, 5, seed=1) / 3
    demo = WeightTyingDemo(hidden=4, steps=30, learning_rate=0.2)
    found = demo._train(x.numpy(), start.numpy(), True)[0]
    shared = nn.Parameter(start.clone())
    optimizer = torch.optim.SGD([shared], lr=0.2)
    worst = 0.0
    for value in found:
        optimizer.zero_grad()
        loss = ((torch.sigmoid(x @ shared.T) @ shared - x) ** 2).sum() / 18
        worst = largest(worst, abs(loss.item() - value))
        loss.backward()
        optimizer.step()
    return Check(worst, 1e-12, "max difference", "torch.optim.SGD")


@evidence("conv-as-matmul", claim="Parameters have the defaults that are documented", against="the docstring")
def conv_as_matmul_defaults() -> Check:
    return Check(undocumented_defaults(ConvAsMatmulDemo), 0, "defaults", "docstring")


@evidence("cnn-parameter-count", claim="Parameters have the defaults that are documented", against="the docstring")
def cnn_parameter_count_defaults() -> Check:
    return Check(undocumented_defaults(CnnParameterCountDemo), 0, "defaults", "docstring")


@evidence("weight-sharing-principle", claim="Parameters have the defaults that are documented", against="the docstring")
def weight_sharing_principle_defaults() -> Check:
    return Check(undocumented_defaults(WeightSharingDemo), 0, "defaults", "docstring")


@evidence("weight-tying", claim="Parameters have the defaults that are documented", against="the docstring")
def weight_tying_defaults() -> Check:
    return Check(undocumented_defaults(WeightTyingDemo), 0, "defaults", "docstring")
