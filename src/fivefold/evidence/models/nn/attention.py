"""Attention and Transformer layers beside PyTorch, the six steps in NumPy, and what masks and permutations must do."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import (
    MultiHeadAttention,
    PositionalEncoding,
    ScaledDotProductAttention,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from fivefold.models.nn._dropped import add_dropped, dropped_attention, dropped_relu

from ._common import gap, noise


def _load(ours: nn.Module, peer: nn.Module) -> None:
    """Give both random parameters by name, so that the names are proven too."""
    ours.double(), peer.double()
    state = {n: 0.5 * noise(*p.shape, seed=k) for k, (n, p) in enumerate(peer.state_dict().items())}
    ours.load_state_dict(state), peer.load_state_dict(state)


@evidence(
    "scaled-dot-product-attention", claim="Six steps for each word equal the matrix form", against="loops in NumPy"
)
def attention_steps() -> Check:
    x = noise(3, 4).numpy()
    wq, wk, wv = (noise(4, 3, seed=n).numpy() for n in (1, 2, 3))
    worst = 0.0
    for causal in (False, True):
        wanted = np.zeros((3, 3))
        for j in range(3):
            seen = range(j + 1 if causal else 3)
            scores = np.array([(x[j] @ wq) @ (x[i] @ wk) / math.sqrt(3) for i in seen])
            weights = np.exp(scores) / np.exp(scores).sum()
            wanted[j] = sum(w * (x[i] @ wv) for w, i in zip(weights, seen))
        q, k, v = (torch.as_tensor(x @ w) for w in (wq, wk, wv))
        worst = largest(worst, float(np.abs(ScaledDotProductAttention(causal)(q, k, v).numpy() - wanted).max()))
    return Check(worst, 1e-14, "max difference", "NumPy")


@evidence(
    "scaled-dot-product-attention", claim="Boolean and added masks, causal or not, with gradients", against="torch math"
)
def attention_masks() -> Check:
    q, k, v = noise(2, 5, 4), noise(2, 5, 4, seed=1), noise(2, 5, 3, seed=2)
    free = (noise(2, 5, 5, seed=3) > -0.5) | torch.eye(5, dtype=torch.bool)
    tril = torch.ones(5, 5, dtype=torch.bool).tril()

    def plain(allowed: torch.Tensor, added: torch.Tensor | float = 0.0):
        def attend(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
            scores = a @ b.transpose(1, 2) / 2 + added
            return torch.softmax(scores.masked_fill(~allowed, -math.inf), -1) @ c

        return attend

    added = noise(5, 5, seed=5)
    everything = torch.ones(5, 5, dtype=torch.bool)
    cases = [
        (lambda *t: ScaledDotProductAttention()(*t, mask=free), plain(free)),
        (ScaledDotProductAttention(causal=True), plain(tril)),
        (lambda *t: ScaledDotProductAttention(causal=True)(*t, mask=free), plain(free & tril)),
        (lambda *t: ScaledDotProductAttention(causal=True)(*t, mask=added), plain(tril, added)),
        (lambda *t: ScaledDotProductAttention()(*t, mask=added), plain(everything, added)),
    ]
    return Check(largest(gap(a, b, q, k, v) for a, b in cases), 1e-13, "max difference", "softmax written out")


@evidence(
    "multi-head-attention", claim="Values and gradients agree, self and cross", against="torch.nn.MultiheadAttention"
)
def heads_as_torch() -> Check:
    worst = 0.0
    for bias in (True, False):
        ours, peer = MultiHeadAttention(6, 3, bias=bias), nn.MultiheadAttention(6, 3, bias=bias, batch_first=True)
        _load(ours, peer)
        x, y = noise(2, 4, 6), noise(2, 5, 6, seed=1)
        for given in ((x,), (x, y)):
            pair = []
            for layer in (ours, peer):
                inputs = [t.clone().requires_grad_() for t in given]
                out = (
                    layer(*inputs) if layer is ours else layer(inputs[0], inputs[-1], inputs[-1], need_weights=False)[0]
                )
                named = dict(layer.named_parameters())
                grads = torch.autograd.grad(
                    (out * noise(2, 4, 6, seed=9)).sum(), [*inputs, *(named[n] for n in sorted(named))]
                )
                pair.append((out.detach(), *grads))
            worst = largest(worst, *(float((a - b).abs().max()) for a, b in zip(*pair)))
    return Check(worst, 1e-12, "max difference", "torch.nn.MultiheadAttention")


@evidence(
    "multi-head-attention", claim="Heads are joined, D x (N H), and mixed by (N H) x E", against="each head in NumPy"
)
def heads_numpy() -> Check:
    layer = MultiHeadAttention(6, 2, causal=True).double()
    x, w = noise(1, 4, 6), layer.in_proj_weight.detach().numpy()
    heads = []
    for h in range(2):
        rows = slice(3 * h, 3 * h + 3)
        q, k, v = (x[0].numpy() @ w[6 * n : 6 * n + 6][rows].T for n in range(3))
        scores = np.where(np.tri(4, dtype=bool), q @ k.T / math.sqrt(3), -np.inf)
        weights = np.exp(scores)
        heads.append(weights / weights.sum(axis=1, keepdims=True) @ v)
    wanted = np.concatenate(heads, axis=1) @ layer.out_proj.weight.detach().numpy().T
    return Check(float(np.abs(layer(x)[0].detach().numpy() - wanted).max()), 1e-13, "max difference", "NumPy")


@evidence(
    "positional-encoding",
    claim="Values are the sines and cosines of the formula, odd widths too",
    against="math.sin, cos",
)
def positions_formula() -> Check:
    worst = 0.0
    for d in (6, 5):
        table = PositionalEncoding(d, 50).double()(torch.zeros(1, 50, d, dtype=torch.float64))[0]
        for p in range(50):
            for i in range(d):
                angle = p / 10000 ** (2 * (i // 2) / d)
                worst = largest(worst, abs(float(table[p, i]) - (math.cos(angle) if i % 2 else math.sin(angle))))
    return Check(worst + int(PositionalEncoding(2).max_len != 5000), 1e-13, "max difference", "the formula")


@evidence(
    "positional-encoding", claim="Adding equals joining a one-hot position before a linear map", against="that identity"
)
def positions_one_hot() -> Check:
    w, x = noise(4, 6, seed=1), noise(2, 5, 6)
    layer = PositionalEncoding(4, 5).double()
    table = layer(torch.zeros(5, 4, dtype=torch.float64))
    joined = torch.cat([x, torch.eye(5, dtype=torch.float64).expand(2, 5, 5)], dim=-1)
    error = (layer(x @ w.T) - joined @ torch.cat([w, table.T], dim=1).T).abs().max()
    return Check(float(error), 1e-14, "max difference", "W[x; p]")


@evidence(
    "transformer-encoder-layer",
    claim="Values and gradients agree, both orders",
    against="torch.nn.TransformerEncoderLayer",
)
def encoder_as_torch() -> Check:
    worst = 0.0
    for first, activation in ((False, "relu"), (True, "gelu")):
        args = {"dim_feedforward": 5, "dropout": 0.0, "activation": activation, "norm_first": first}
        ours, peer = TransformerEncoderLayer(6, 2, **args), nn.TransformerEncoderLayer(6, 2, batch_first=True, **args)
        _load(ours, peer)
        x, pair = noise(3, 4, 6), []
        for layer in (ours, peer):
            v = x.clone().requires_grad_()
            out = layer(v)
            named = dict(layer.named_parameters())
            grads = torch.autograd.grad((out * noise(3, 4, 6, seed=9)).sum(), [v, *(named[n] for n in sorted(named))])
            layer.eval()
            pair.append((out.detach(), layer(x).detach(), *grads))
        worst = largest(worst, *(float((a - b).abs().max()) for a, b in zip(*pair)))
    ours, peer = TransformerEncoderLayer(4, 2), nn.TransformerEncoderLayer(4, 2)
    wrong = int(ours.p != 0.1) + int(ours.linear1.out_features != 2048) + int(ours.norm1.eps != peer.norm1.eps)
    return Check(worst + wrong, 1e-12, "max difference", "torch.nn.TransformerEncoderLayer")


@evidence("transformer-encoder-layer", claim="A permuted input gives the permuted output", against="equivariance")
def encoder_permutes() -> Check:
    layer, x = TransformerEncoderLayer(6, 2, 8).double().eval(), noise(2, 5, 6)
    order = torch.tensor([3, 0, 4, 1, 2])
    moved = (layer(x[:, order]) - layer(x)[:, order]).abs().max()
    normal = layer(x).mean(-1).abs().max() + (layer(x).var(-1, correction=0) - 1).abs().max()
    return Check(
        float(moved.detach()) + float(not normal.detach() <= 1e-3), 1e-13, "max difference", "itself, permuted"
    )


@evidence(
    "transformer-encoder-layer",
    claim="Training drops, evaluation does not; attention weights are dropped too",
    against="itself",
)
def encoder_dropout() -> Check:
    torch.manual_seed(0)
    layer = TransformerEncoderLayer(8, 2, 16, dropout=0.5).double()
    x = noise(4, 6, 8)
    two = [layer(x).detach() for _ in range(2)]
    layer.eval()
    quiet = [layer(x).detach() for _ in range(2)]
    seen = int(float((two[0] - two[1]).abs().max()) < 1e-3) + int(not torch.equal(*quiet))
    return Check(seen + int(layer.self_attn.attention.dropout != 0.5), 0, "violations", "training and evaluation")


@evidence(
    "transformer-decoder-layer",
    claim="With its mask values and gradients agree",
    against="torch.nn.TransformerDecoderLayer",
)
def decoder_as_torch() -> Check:
    worst = 0.0
    for first, activation in ((False, "relu"), (True, "gelu")):
        args = {"dim_feedforward": 5, "dropout": 0.0, "activation": activation, "norm_first": first}
        ours, peer = TransformerDecoderLayer(6, 2, **args), nn.TransformerDecoderLayer(6, 2, batch_first=True, **args)
        _load(ours, peer)
        x, m, pair = noise(3, 4, 6), noise(3, 5, 6, seed=1), []
        hidden = torch.ones(4, 4, dtype=torch.bool).triu(1)
        for layer in (ours, peer):
            given = [t.clone().requires_grad_() for t in (x, m)]
            out = layer(*given) if layer is ours else layer(*given, tgt_mask=hidden)
            named = dict(layer.named_parameters())
            grads = torch.autograd.grad(
                (out * noise(3, 4, 6, seed=9)).sum(), [*given, *(named[n] for n in sorted(named))]
            )
            pair.append((out.detach(), *grads))
        worst = largest(worst, *(float((a - b).abs().max()) for a, b in zip(*pair)))
    return Check(worst, 1e-12, "max difference", "torch.nn.TransformerDecoderLayer")


@evidence(
    "transformer-decoder-layer",
    claim="Future tokens leave earlier outputs unchanged; memory and its mask count",
    against="rules",
)
def decoder_causal() -> Check:
    layer, x, m = TransformerDecoderLayer(6, 2, 8).double().eval(), noise(2, 5, 6), noise(2, 4, 6, seed=1)
    changed, other = x.clone(), m.clone()
    changed[:, 3:] += 1
    other[:, 2:] += 1
    y = layer(x, m).detach()
    error = float((layer(changed, m).detach() - y)[:, :3].abs().max())
    mask = torch.tensor([True, True, False, False])
    error += float((layer(x, m, mask) - layer(x, other, mask)).detach().abs().max())
    wrong = int(not float((layer(changed, m).detach() - y)[:, 3:].abs().max()) >= 1e-3)
    wrong += int(not float((layer(x, other).detach() - y).abs().max()) >= 1e-3)
    wrong += int(layer.p != 0.1) + int(TransformerDecoderLayer(2, 1).linear1.out_features != 2048)
    return Check(error + wrong, 1e-13, "max difference", "itself")


def _shares(kept: torch.Tensor, whole: torch.Tensor, p: float) -> tuple[float, float]:
    """Return the largest distance of the entries from 0 or their whole value / (1 - p), and that of the zeros from p."""
    zero = (kept == 0) & (whole != 0)
    wrong = (kept - torch.where(zero, 0, whole / (1 - p))).abs().max()
    seen = int((whole != 0).sum())
    # Five standard deviations of a share count as 1.
    return float(wrong), abs(float(zero.sum()) / seen - p) / (5 * (p * (1 - p) / seen) ** 0.5)


def _seeded(function):
    def call(*given: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(4)
        return function(*given)

    return call


@evidence(
    "multi-head-attention",
    claim="Thinned weights are 0 with probability p or w / (1 - p), under each mask; first and second slopes",
    against="the softmax itself and finite differences",
)
def heads_thinned() -> Check:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    wrong, worst, far = 0, 0.0, 0.0
    try:
        length, heads, p = 40, 2, 0.3
        x = noise(3, length, 3, heads, length)
        x[:, :, 2] = torch.eye(length)[:, None]  # values that show the weights
        q, k = (x[:, :, n].transpose(1, 2) for n in (0, 1))
        free = (noise(length, length, seed=1) > -0.5) | torch.eye(length, dtype=torch.bool)
        for mask in (None, free, noise(3, 1, length, length, seed=2)):
            scores = q @ k.transpose(2, 3) / length**0.5
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
            out = dropped_attention(x.flatten(2), heads, p, mask)
            found = out.unflatten(2, (heads, length)).transpose(1, 2)
            apart, share = _shares(found, scores.softmax(-1), p)
            worst, far = largest(worst, apart), largest(far, share)
        small = free[:4, :4] | torch.eye(4, dtype=torch.bool)
        attend = _seeded(lambda v: dropped_attention(v, 2, p, small))
        given = (noise(2, 4, 12).requires_grad_(),)
        wrong += 1 - torch.autograd.gradcheck(attend, given, raise_exception=False)
        wrong += 1 - torch.autograd.gradgradcheck(attend, given, raise_exception=False)
        # What sees nothing, or is learned, is left to PyTorch.
        blind = torch.eye(4, dtype=torch.bool) & (torch.arange(4) > 0)
        wrong += sum(dropped_attention(given[0], 2, p, m) is not None for m in (blind, noise(4, 4).requires_grad_()))
        layer, v = MultiHeadAttention(8, 2, 0.5, causal=True).double(), noise(1, 5, 8)
        torch.manual_seed(0)
        first = layer(v)[:, :3]
        v[:, 3:] = 0
        torch.manual_seed(0)
        worst = largest(worst, float((layer(v)[:, :3] - first).detach().abs().max()))
    finally:
        torch.set_num_threads(before)
    return Check(
        wrong + int(not far <= 1) + worst, 1e-13, "differences and violations", "softmax and finite differences"
    )


@evidence(
    "transformer-encoder-layer",
    claim="Thinned hidden units and branches are 0 with probability p or v / (1 - p); their slopes hold",
    against="the formula and finite differences",
)
def encoder_thinned() -> Check:
    x, branch, p = noise(60, 51), noise(60, 51, seed=1), 0.2
    shares = [
        _shares(dropped_relu(x.clone(), p, True), x.relu(), p),
        _shares(add_dropped(x, branch.clone(), p, True) - x, branch, p),
    ]
    worst = largest(apart for apart, _ in shares)
    wrong = sum(not far <= 1 for _, far in shares)
    given = (noise(3, 5).requires_grad_(), noise(3, 5, seed=1).requires_grad_())
    relu = _seeded(lambda v: dropped_relu(v * 1, p, True))
    add = _seeded(lambda v, w: add_dropped(v, w * w, p, True))
    for call, inputs in ((relu, given[:1]), (add, given)):
        wrong += 1 - torch.autograd.gradcheck(call, inputs, raise_exception=False)
        wrong += 1 - torch.autograd.gradgradcheck(call, inputs, raise_exception=False)
    for training, share in ((False, p), (True, 0.0)):
        worst = largest(worst, float((dropped_relu(x.clone(), share, training) - x.relu()).abs().max()))
        worst = largest(worst, float((add_dropped(x, branch.clone(), share, training) - x - branch).abs().max()))
    # Both halves of a random word serve: neighbors are dropped together with probability p².
    gone = dropped_relu(torch.ones(100_001), p, True) == 0
    both = float((gone[1:] & gone[:-1]).double().mean())
    wrong += int(not abs(both - p * p) <= 5 * (3 * p * p / 100_000) ** 0.5)
    return Check(wrong + worst, 1e-13, "differences and violations", "the formula and finite differences")
