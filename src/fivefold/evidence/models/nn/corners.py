"""Corners that a formula has and a usual size does not show: extremes, masks, closed gates, starts, ends."""

from __future__ import annotations

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import (
    BasicInit,
    BatchNorm,
    BatchRenorm,
    LocalResponseNorm,
    PeepholeLSTM,
    ScaledDotProductAttention,
    SpectralNorm,
    StackedRNN,
    Swish,
    by_hand,
)

from ._common import noise, refused


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
        wrong += float(not float(w.abs().max()) <= 1 + 1e-6) + float(not float(w.abs().max()) >= 0.95)
        # Mean and variance 1/3 within five standard errors.
        wrong += float(not abs(float(w.mean())) <= 5 * (1 / 3 / w.numel()) ** 0.5)
        wrong += float(not abs(float((w * w).mean()) - 1 / 3) <= 5 * (4 / 45 / w.numel()) ** 0.5)
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
