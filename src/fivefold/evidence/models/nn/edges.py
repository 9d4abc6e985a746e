"""Where parts begin to refuse: the last size that is taken and the first that is not, and defaults as documented."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from fivefold.base.cards import get_card
from fivefold.base.errors import InputError
from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import (
    AdaptiveInstanceNorm,
    AvgPool2d,
    BasicInit,
    BatchInstanceNorm,
    BatchNorm,
    BatchRenorm,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Embedding,
    InstanceNorm,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    PeepholeLSTM,
    ScaledDotProductAttention,
    SpectralNorm,
    StackedRNN,
    Swish,
    by_hand,
)

from ._common import noise


def refused(make: Callable[..., Any], *given: Any) -> bool:
    """Return whether a call is refused in one sentence."""
    try:
        make(*given)
    except InputError as error:
        return str(error).endswith(".")
    return False


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
    return Check(found.value + int((norm(pair) - wanted).abs().max() > 1e-4), 0, found.unit, found.peer)


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


@evidence(
    "batch-norm", claim="Running statistics count their batches; none are kept when not asked for", against="counts"
)
def batch_counts() -> Check:
    x, layer = noise(6, 2), BatchNorm(2, momentum=None).double()
    for _ in range(3):
        layer(x)
    plain = BatchNorm(2, track_running_stats=False, affine=False).double()
    plain(x)
    wrong = int(int(layer.num_batches_tracked) != 3) + len(plain.state_dict())
    before = {k: v.clone() for k, v in layer.eval().state_dict().items()}
    layer(2 * x)
    wrong += sum(not torch.equal(before[k], v) for k, v in layer.state_dict().items())
    return Check(wrong, 0, "violations", "three batches")


@evidence(
    "local-response-norm", claim="Vectors and images give the same at each place", against="itself, place by place"
)
def local_response_places() -> Check:
    layer, x = LocalResponseNorm(1, 0.3), noise(2, 5, 2, 3)
    whole = layer(x)
    error = largest(float((layer(x[:, :, i, j]) - whole[:, :, i, j]).abs().max()) for i in range(2) for j in range(3))
    wrong = refused(lambda: layer(x[:, 0, 0, 0])) is False
    return Check(error + wrong + refused(lambda: LocalResponseNorm(0, 0.0)), 1e-15, "max difference", "itself")


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


@evidence(
    "backpropagation", claim="Defaults by hand: eps 1e-5, windows of 2, stride 1, no padding", against="the layers"
)
def by_hand_defaults() -> Check:
    x, ones, zeros = 1e-2 * noise(5, 3).numpy(), np.ones(3), np.zeros(3)
    found = by_hand.batch_norm(x, ones, zeros)[0]
    # At a variance of 1e-4 the eps weighs a tenth.
    error = np.abs(found - (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)).max()
    image = noise(1, 2, 4, 4)
    error += np.abs(by_hand.max_pool2d(image.numpy())[0] - MaxPool2d(2)(image).numpy()).max()
    error += np.abs(by_hand.mean_pool2d(image.numpy())[0] - AvgPool2d(2)(image).numpy()).max()
    plain, turned = Conv2d(2, 3, 3).double(), ConvTranspose2d(2, 3, 3).double()
    for layer, function in ((plain, by_hand.conv2d), (turned, by_hand.conv_transpose2d)):
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        error += np.abs(function(image.numpy(), weight, bias)[0] - layer(image).detach().numpy()).max()
    z = np.array([-800.0, -1.0, 0.0, 1.0, 800.0])
    error += np.abs(by_hand.sigmoid(z) - [0.0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1.0]).max()
    return Check(float(error), 1e-13, "max difference", "the layers")


def _as_documented(name: str) -> Check:
    from fivefold.evidence.batteries.layers import defaults

    return defaults(get_card(name), "default")


@evidence("xavier-init", claim="Defaults are those that are documented", against="the docstring")
def xavier_defaults() -> Check:
    return _as_documented("xavier-init")


@evidence("he-init", claim="Defaults are those that are documented", against="the docstring")
def he_defaults() -> Check:
    return _as_documented("he-init")


@evidence("orthogonal-init", claim="Defaults are those that are documented", against="the docstring")
def orthogonal_defaults() -> Check:
    return _as_documented("orthogonal-init")


@evidence("basic-init", claim="Defaults are those that are documented", against="the docstring")
def basic_defaults() -> Check:
    return _as_documented("basic-init")


@evidence("init-registry", claim="Defaults are those that are documented", against="the docstring")
def registry_defaults() -> Check:
    return _as_documented("init-registry")


@evidence("spectral-norm-regularization", claim="Defaults are those that are documented", against="the docstring")
def penalty_defaults() -> Check:
    return _as_documented("spectral-norm-regularization")


@evidence("swish", claim="At each steepness it is x sigmoid(beta x), learned or not", against="the formula in NumPy")
def swish_steepness() -> Check:
    x, worst = noise(40), 0.0
    for beta in (0.5, 1.0, 2.0, 3.0):
        for learnable in (False, True):
            found = Swish(beta, learnable).double()(x).detach().numpy()
            worst = largest(worst, np.abs(found - x.numpy() / (1 + np.exp(-beta * x.numpy()))).max())
    return Check(worst, 1e-14, "max difference", "NumPy")


@evidence("basic-init", claim="A truncated normal stays within two deviations in half precision too", against="the cut")
def truncated_half() -> Check:
    w = BasicInit("truncated-normal", scale=1.0)(
        torch.empty(200_000, dtype=torch.float16), torch.Generator().manual_seed(0)
    )
    return Check(float(w.abs().max()), 2.0, "largest value", "two deviations")


@evidence(
    "backpropagation", claim="Cross-entropy by hand neither overflows nor depends on a common shift", against="1e4"
)
def cross_entropy_extremes() -> Check:
    logits, target = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -2e4]]), np.array([1, 0])
    value, grad = by_hand.softmax_cross_entropy(logits, target)
    # The first row costs 1e4, the second the logarithm of two equal shares.
    wanted = np.array([[0.5, -0.5, 0.0], [-0.25, 0.25, 0.0]])
    return Check(
        abs(value - (1e4 + np.log(2)) / 2) + float(np.abs(grad - wanted).max()), 1e-11, "difference", "closed form"
    )


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


@evidence(
    "batch-renorm", claim="Images are renormalized over all places; d is the shift from a running mean", against="NumPy"
)
def batch_renorm_images() -> Check:
    layer, x = BatchRenorm(2).double(), 2 + noise(3, 2, 2, 4)
    before = torch.tensor([0.5, -1.0]), torch.tensor([0.7, 2.0])
    layer.running_mean.copy_(before[0]), layer.running_var.copy_(before[1])
    found = layer(x).detach().numpy()
    rows = x.numpy().transpose(0, 2, 3, 1).reshape(-1, 2)  # every place a row
    mean, s = rows.mean(axis=0), np.sqrt(rows.var(axis=0) + 1e-3)
    old = np.sqrt(before[1].double().numpy() + 1e-3)
    r, d = s / old, (mean - before[0].numpy()) / old  # neither reaches the bounds 3 and 5
    wanted = ((rows - mean) / s * r + d).reshape(3, 2, 4, 2).transpose(0, 3, 1, 2)
    free = float((np.abs(d) < 5).all() and (r < 3).all() and (r > 1 / 3).all())
    plain = BatchRenorm(2, affine=False).double()
    plain.running_mean.copy_(before[0]), plain.running_var.copy_(before[1])
    error = np.abs(found - wanted).max() + np.abs(plain(x).numpy() - wanted).max() + len(list(plain.parameters()))
    return Check(float(error) if free else 1.0, 1e-12, "max difference", "NumPy")


@evidence(
    "scaled-dot-product-attention", claim="A causal layer hides later keys under either kind of mask", against="NumPy"
)
def causal_with_mask() -> Check:
    query, key, value = noise(2, 3, 4), noise(2, 3, 4, seed=1), noise(2, 3, 5, seed=2)
    layer, worst = ScaledDotProductAttention(causal=True), 0.0
    added = noise(3, 3, seed=3)
    for mask, extra in (
        (added, added),
        (torch.ones(3, 3, dtype=torch.bool), torch.zeros(3, 3)),
        (None, torch.zeros(3)),
    ):
        scores = (query @ key.transpose(1, 2) / 2 + extra).numpy()
        scores = np.where(np.tri(3) > 0, scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=2, keepdims=True))
        wanted = weights / weights.sum(axis=2, keepdims=True) @ value.numpy()
        worst = largest(worst, np.abs(layer(query, key, value, mask).numpy() - wanted).max())
    return Check(worst, 1e-13, "max difference", "NumPy")


@evidence("peephole-lstm", claim="Without peepholes it is an LSTM, for several widths", against="torch.nn.LSTM")
def peephole_closed() -> Check:
    worst = 0.0
    for width, hidden in ((3, 5), (2, 7), (4, 1)):
        layer, peer = PeepholeLSTM(width, hidden).double(), torch.nn.LSTM(width, hidden, batch_first=True).double()
        peer.load_state_dict({n: v for n, v in layer.state_dict().items() if n != "peephole"})
        x = noise(2, 4, width)
        (found, last), (wanted, end) = layer(x), peer(x)
        pairs = ((found, wanted), (last[0], end[0]), (last[1], end[1]))
        worst = largest(worst, *((a - b).detach().abs().max() for a, b in pairs), layer.peephole.abs().max().detach())
    return Check(worst, 1e-14, "max difference", "torch.nn.LSTM")


@evidence("peephole-lstm", claim="Weights start uniform on both sides of 0, up to 1/sqrt(hidden)", against="the law")
def peephole_start() -> Check:
    torch.manual_seed(0)
    layer, wrong = PeepholeLSTM(50, 64), 0.0
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        w = getattr(layer, name).detach().double() * 8
        wrong += float(float(w.abs().max()) > 1 + 1e-6) + float(float(w.abs().max()) < 0.95)
        # Mean and variance 1/3 within five standard errors.
        wrong += float(abs(float(w.mean())) > 5 * (1 / 3 / w.numel()) ** 0.5)
        wrong += float(abs(float((w * w).mean()) - 1 / 3) > 5 * (4 / 45 / w.numel()) ** 0.5)
    return Check(wrong, 0, "violations", "U(-1/8, 1/8)")


@evidence(
    "spectral-norm",
    claim="It starts with 15 steps of the power iteration and a pass of its own",
    against="the iteration in NumPy",
)
def spectral_start() -> Check:
    dense = torch.nn.Linear(6, 5).double()
    torch.manual_seed(0)
    layer = SpectralNorm(dense)
    rule = layer.module.parametrizations.weight[0]
    matrix = layer.module.parametrizations.weight.original.detach().numpy()
    torch.manual_seed(0)
    torch.randn(5)
    v = torch.randn(6).double().numpy()
    errors = []
    for _ in range(17):
        u = matrix @ v / np.linalg.norm(matrix @ v)
        v = matrix.T @ u / np.linalg.norm(matrix.T @ u)
        errors.append(largest(np.abs(rule.u.numpy() - u).max(), np.abs(rule.v.numpy() - v).max()))
    # The start is drawn and normalized in single precision, which the iteration forgets; one step more or less shows.
    # PyTorch takes one pass when a weight is parametrized, here of one step.
    shown = min(errors[14], errors[16]) > 10 * errors[15]
    return Check(float(errors[15]) if shown else 1.0, 1e-7, "max difference", "15 + 1 steps")


@evidence("stacked-rnn", claim="Inputs of the first layer and outputs of the last are never dropped", against="itself")
def stacked_ends() -> Check:
    torch.manual_seed(0)
    x, single = noise(2, 5, 3), StackedRNN(3, 4, 1, dropout=0.9).double()
    error = (single(x) - single.eval()(x)).detach().abs().max()
    double = StackedRNN(3, 4, 2, dropout=0.9).double()
    # What comes out of the last layer is never exactly zero.
    return Check(float(error) + int((double(x) == 0).sum()), 0, "max difference", "the layer in evaluation")
