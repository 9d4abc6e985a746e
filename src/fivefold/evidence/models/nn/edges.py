"""Where parts begin to refuse: the last size that is taken and the first that is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from fivefold.base.errors import InputError
from fivefold.evidence import Check, evidence
from fivefold.models.nn import (
    AdaptiveInstanceNorm,
    AvgPool2d,
    BatchInstanceNorm,
    BatchNorm,
    BatchRenorm,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Embedding,
    InstanceNorm,
    MaxPool2d,
    MaxUnpool2d,
    by_hand,
)

from ._common import refused


def border(taken: list[Callable[[], Any]], not_taken: list[Callable[[], Any]]) -> Check:
    """Count the calls on the wrong side of a border."""
    wrong = sum(refused(call) for call in taken) + sum(not refused(call) for call in not_taken)
    return Check(wrong, 0, "calls on the wrong side", "the smallest size that is taken")


@evidence("conv2d", claim="An image must reach over D(F-1)+1 places with its padding, no more", against="the size 1")
def conv2d_border() -> Check:
    layers = {
        (3, 2): Conv2d(1, 1, (3, 2)),
        (5, 4): Conv2d(1, 1, (3, 2), dilation=(2, 3)),
        (1, 3): Conv2d(1, 1, 3, padding=1, dilation=(1, 2)),
        (5, 1): Conv2d(1, 1, (5, 3), padding=(0, 1)),
    }
    taken, not_taken, wrong = [], [], 0
    for (high, wide), layer in layers.items():
        taken.append(partial(layer, torch.zeros(1, 1, high, wide)))
        wrong += int(tuple(layer(torch.zeros(1, 1, high, wide)).shape[2:]) != (1, 1))
        not_taken += [
            partial(layer, torch.zeros(1, 1, high - 1, wide + 3)),
            partial(layer, torch.zeros(1, 1, high + 3, wide - 1)),
        ]
    found = border(taken, not_taken)
    return Check(found.value + wrong, 0, found.unit, found.peer)


@evidence("conv1d", claim="A sequence must reach over D(F-1)+1 places with its padding, no more", against="the size 1")
def conv1d_border() -> Check:
    layers = {3: Conv1d(1, 1, 3), 5: Conv1d(1, 1, 3, dilation=2), 1: Conv1d(1, 1, 5, padding=2), 7: Conv1d(1, 1, 7)}
    wrong = sum(layer(torch.zeros(1, 1, length)).shape[2] != 1 for length, layer in layers.items())
    found = border(
        [partial(layer, torch.zeros(1, 1, length)) for length, layer in layers.items()],
        [partial(layer, torch.zeros(1, 1, length - 1)) for length, layer in layers.items()],
    )
    return Check(found.value + wrong, 0, found.unit, found.peer)


@evidence("conv1d", claim="A refusal names the axes: L of a sequence, H and W of an image", against="the sentences")
def axes_named() -> Check:
    wrong = 0
    for layer, words in (
        (Conv1d(2, 1, 1), "(N, 2, L)"),
        (Conv2d(2, 1, 1), "(N, 2, H, W)"),
        (BatchRenorm(2), "(N, 2, *)"),
    ):
        try:
            layer(torch.zeros(3, 5))
        except InputError as error:
            wrong += words not in str(error)
        else:
            wrong += 1
    return Check(wrong, 0, "sentences without their axes", "the shapes that are taken")


@evidence("conv2d", claim="Groups must divide both channel counts; sizes are one or two numbers", against="the borders")
def groups_border() -> Check:
    return border(
        [
            lambda: Conv2d(4, 6, 1, groups=2),
            lambda: Conv2d(2, 2, [2, 1], stride=[1, 2]),
            lambda: Conv1d(3, 6, 1, groups=3),
        ],
        [
            lambda: Conv2d(4, 6, 1, groups=3),
            lambda: Conv2d(6, 4, 1, groups=3),
            lambda: Conv2d(2, 2, (1, 2, 3)),
            lambda: Conv2d(2, 2, (2, 0)),
            lambda: Conv2d(2, 2, (0, 2)),
            lambda: Conv2d(2, 2, 1, padding=(0, -1)),
            lambda: Conv1d(2, 2, 1, padding=-1),
        ],
    )


@evidence("transposed-conv2d", claim="Output padding is below the stride or the dilation", against="the borders")
def output_padding_border() -> Check:
    make = partial(ConvTranspose2d, 1, 1, 3)
    least = ConvTranspose2d(1, 2, 1)(torch.zeros(1, 1, 2, 3))
    wrong = int(tuple(make(stride=2)(torch.zeros(1, 1, 2, 3)).shape[2:]) != (5, 7)) + int(
        tuple(least.shape) != (1, 2, 2, 3)
    )
    found = border(
        [
            lambda: make(stride=2, output_padding=1),
            lambda: make(stride=(3, 1), output_padding=(2, 0)),
            lambda: make(dilation=3, output_padding=2),
        ],
        [
            lambda: make(output_padding=1),
            lambda: make(stride=2, output_padding=2),
            lambda: make(stride=(3, 1), output_padding=(0, 1)),
            lambda: make(stride=2, dilation=3, output_padding=3),
        ],
    )
    return Check(found.value + wrong, 0, found.unit, found.peer)


@evidence(
    "max-pooling", claim="A window must fit into the padded image; padding is at most half of it", against="borders"
)
def pooling_border() -> Check:
    taken, not_taken = [], []
    for pool in (MaxPool2d, AvgPool2d):
        taken += [
            partial(pool(3), torch.zeros(1, 1, 3, 4)),
            partial(pool(3, padding=1), torch.zeros(1, 1, 1, 2)),
            partial(pool(4, 1, 2), torch.zeros(1, 1, 2, 1)),
        ]
        not_taken += [
            partial(pool(3), torch.zeros(1, 1, 2, 5)),
            partial(pool(3), torch.zeros(1, 1, 5, 2)),
            partial(pool(4, padding=1), torch.zeros(1, 1, 1, 5)),
            partial(pool, 3, padding=2),
            partial(pool, 4, padding=3),
            partial(pool, 2, padding=-1),
            partial(pool(2), torch.zeros(1, 4, 4)),
        ]
    return border(taken, not_taken)


@evidence("max-unpooling", claim="Places lie in the output: 0 to HW - 1", against="the borders")
def unpooling_border() -> Check:
    x, pool = torch.ones(1, 1, 1, 1), MaxUnpool2d(3)
    wrong = int(MaxUnpool2d(3)(torch.ones(1, 1, 2, 3)).shape[2:] != (6, 9))
    wrong += int(MaxUnpool2d(3, 2)(torch.ones(1, 1, 2, 3)).shape[2:] != (5, 7))
    # Without places every value stands in the upper left corner of its window.
    values = 1 + torch.arange(6.0).view(1, 1, 2, 3)
    wanted = torch.zeros(1, 1, 5, 7)
    wanted[:, :, 0:3:2, 0:5:2] = values
    wrong += int(not torch.equal(MaxUnpool2d(3, 2)(values), wanted))
    empty = MaxUnpool2d(2)(torch.zeros(0, 1, 2, 2), torch.zeros(0, 1, 2, 2, dtype=torch.int64))
    wrong += int(tuple(empty.shape) != (0, 1, 4, 4))
    for low, high, named in ((0, 9, 9), (-1, 4, -1), (-2, 12, -2)):
        try:
            pool(torch.ones(1, 1, 1, 2), torch.tensor([[[[low, high]]]]), (3, 3))
        except InputError as error:
            wrong += not str(error).endswith(f"3 x 3 pixels, got {named}.")
        else:
            wrong += 1
    found = border(
        [lambda: pool(x, torch.tensor([[[[8]]]])), lambda: pool(x, torch.tensor([[[[0]]]]))],
        [lambda: pool(x, torch.tensor([[[[9]]]])), lambda: pool(x, torch.tensor([[[[-1]]]]))],
    )
    return Check(found.value + wrong, 0, found.unit, found.peer)


@evidence("embedding-layer", claim="Numbers lie in the table: 0 to its rows less one", against="the borders")
def embedding_border() -> Check:
    table, wrong = Embedding(3, 2), 0
    for number in (-1, 3):
        try:
            table(torch.tensor([0, number, 1]))
        except InputError as error:
            wrong += not str(error).endswith(f"rows 0 to 2, got {number}.")
        else:
            wrong += 1
    wrong += int(tuple(table(torch.zeros(0, 4, dtype=torch.int64)).shape) != (0, 4, 2))
    wrong += int(tuple(table(torch.tensor([2, 0], dtype=torch.int32)).shape) != (2, 2))
    found = border(
        [lambda: table(torch.tensor([0, 2])), lambda: Embedding(3, 2, 0), lambda: Embedding(3, 2, 2)],
        [lambda: Embedding(3, 2, 3), lambda: Embedding(3, 2, -1)],
    )
    return Check(found.value + wrong, 0, found.unit, found.peer)


@evidence(
    "instance-norm", claim="Two places for each channel are needed and enough", against="the variance of one place"
)
def instance_border() -> Check:
    norm, adain, mixed = InstanceNorm(2), AdaptiveInstanceNorm(), BatchInstanceNorm(2)
    pair, two, one = torch.tensor([[1.0, 2.0], [3.0, 5.0]])[None], torch.zeros(1, 2, 2, 1), torch.zeros(2, 2, 1)
    found = border(
        [
            lambda: norm(pair),
            lambda: norm(two),
            lambda: adain(pair, two),
            lambda: adain(two, torch.zeros(1, 2, 7)),
            lambda: mixed(pair),
        ],
        [
            lambda: norm(one),
            lambda: norm(torch.zeros(4, 2)),
            lambda: adain(pair[:, :, :1], pair),
            lambda: adain(pair, pair[:, :, :1]),
            lambda: adain(pair, pair[:, :1]),
            lambda: mixed(one),
            lambda: mixed(torch.zeros(4, 2)),
        ],
    )
    wanted = torch.tensor([[-1.0, 1.0], [-1.0, 1.0]])[None]
    return Check(found.value + int(not (norm(pair) - wanted).abs().max() <= 1e-4), 0, found.unit, found.peer)


@evidence(
    "batch-norm", claim="A training batch has two values a channel at least; evaluation needs one", against="borders"
)
def batch_border() -> Check:
    one, two = torch.zeros(1, 2), torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    taken, not_taken = [], []
    for make in (BatchNorm, BatchRenorm):
        taken += [partial(make(2), two), partial(make(2), two.T[None]), partial(make(2).eval(), one)]
        not_taken += [partial(make(2), one), partial(make(2), one[:, :, None])]
    taken += [
        lambda: BatchNorm(1, momentum=0.0),
        lambda: BatchNorm(1, momentum=1.0),
        lambda: BatchNorm(2, track_running_stats=False).eval()(one),
        lambda: BatchRenorm(1, r_max=1, d_max=0, momentum=0),
        lambda: BatchRenorm(1, momentum=1),
        lambda: BatchInstanceNorm(1, momentum=0, rho=0),
        lambda: BatchInstanceNorm(1, momentum=1, rho=1),
    ]
    not_taken += [
        lambda: BatchNorm(1, momentum=1.1),
        lambda: BatchNorm(1, eps=0),
        lambda: BatchRenorm(1, momentum=1.1),
        lambda: BatchInstanceNorm(1, rho=1.1),
        lambda: BatchInstanceNorm(1, momentum=1.1),
    ]
    return border(taken, not_taken)


@evidence("backpropagation", claim="Arrays by hand fit or are refused, at their least sizes too", against="the borders")
def by_hand_border() -> Check:
    eye, zero = np.eye(2), np.zeros(2)
    image, kernel = np.ones((1, 2, 3, 3)), np.ones((1, 2, 3, 3))
    taken = [
        lambda: by_hand.dense(eye, eye, zero),
        lambda: by_hand.softmax_cross_entropy(eye, np.array([0, 1])),
        lambda: by_hand.batch_norm(eye, zero, zero),
        lambda: by_hand.conv2d(image, kernel, zero[:1]),
        lambda: by_hand.conv_transpose2d(image[:, :, :1, :1], np.ones((2, 1, 3, 3)), zero[:1], 1, 1),
        lambda: by_hand.max_pool2d(image, 3),
        lambda: by_hand.mean_pool2d(image, 3),
    ]
    not_taken = [
        lambda: by_hand.dense(eye[0], eye, zero),
        lambda: by_hand.dense(eye, eye[0], zero),
        lambda: by_hand.dense(eye, np.ones((2, 3)), zero),
        lambda: by_hand.dense(eye, eye, np.zeros(3)),
        lambda: by_hand.softmax_cross_entropy(eye[0], np.array([0, 1])),
        lambda: by_hand.softmax_cross_entropy(eye, np.array([0])),
        lambda: by_hand.softmax_cross_entropy(eye[:0], np.array([], dtype=int)),
        lambda: by_hand.softmax_cross_entropy(eye, np.array([0, 2])),
        lambda: by_hand.softmax_cross_entropy(eye, np.array([-1, 1])),
        lambda: by_hand.batch_norm(eye[:1], zero, zero),
        lambda: by_hand.batch_norm(eye, np.zeros(3), np.zeros(3)),
        lambda: by_hand.batch_norm(eye, zero, np.zeros(3)),
        lambda: by_hand.conv2d(image[:, :, :2], kernel, zero[:1]),
        lambda: by_hand.conv2d(image[0], kernel, zero[:1]),
        lambda: by_hand.conv2d(image, kernel, zero),
        lambda: by_hand.conv2d(image, kernel, zero[:1], stride=0),
        lambda: by_hand.conv2d(image, kernel, zero[:1], padding=-1),
        lambda: by_hand.conv2d(image, kernel[0], zero[:1]),
        lambda: by_hand.conv_transpose2d(image[:, :, :1, :1], np.ones((2, 1, 2, 2)), zero[:1], 1, 1),
        lambda: by_hand.max_pool2d(image, 4),
        lambda: by_hand.max_pool2d(image, 2, 0),
        lambda: by_hand.mean_pool2d(image[0], 2),
    ]
    return border(taken, not_taken)


@evidence("bptt", claim="Arrays by hand fit or are refused, a single step and a single unit too", against="the borders")
def by_hand_recurrent_border() -> Check:
    taken: list[Callable[[], Any]] = []
    not_taken: list[Callable[[], Any]] = []
    for gates, biases, states, function in (
        (1, 1, 1, by_hand.rnn),
        (4, 1, 2, by_hand.lstm),
        (3, 2, 1, by_hand.gru),
    ):

        def given(
            x: tuple[int, ...] = (1, 2, 3),
            start: tuple[int, ...] = (2, 2),
            w: tuple[int, int] = (0, 0),
            u: tuple[int, int] = (0, 0),
            b: int = 0,
            sizes: tuple[int, int, int] = (gates, biases, states),
            function: Callable[..., Any] = function,
        ) -> Callable[[], Any]:
            g, n, s = sizes
            arrays = [np.zeros(x), *[np.zeros(start)] * s, np.zeros((2 * g + w[0], 3 + w[1]))]
            arrays += [np.zeros((2 * g + u[0], 2 + u[1])), *[np.zeros(2 * g)] * (n - 1), np.zeros(2 * g + b)]
            return lambda: function(*arrays)

        taken += [given(), given(x=(4, 2, 3))]
        not_taken += [
            given(x=(2, 3)),
            given(x=()),
            given(x=(0, 2, 3)),
            given(x=(1, 3, 3)),
            given(start=(2,)),
            given(start=()),
            given(start=(2, 3)),
            given(w=(1, 0)),
            given(w=(0, 1)),
            given(u=(1, 0)),
            given(u=(0, 1)),
            given(b=1),
        ]
    return border(taken, not_taken)
