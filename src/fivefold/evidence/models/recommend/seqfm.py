"""Evidence for the sequence-aware factorization machine: its views, its masks, and an order that pooling cannot see."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence

from . import _plain as plain


def _attended(layer: Any, e: list[plain.Vector], sees: Any) -> list[plain.Vector]:
    """Return what each vector gathers from those that ``sees(i, j)`` lets it see; 0 where there are none."""
    query, key, value = (plain.weights(m.weight) for m in (layer.query, layer.key, layer.value))
    out = []
    for i, vector in enumerate(e):
        seen = [other for j, other in enumerate(e) if sees(i, j)]
        q = [plain.dot(w, vector) for w in query]
        scores = [plain.dot(q, [plain.dot(w, k) for w in key]) / math.sqrt(len(vector)) for k in seen]
        shares = [math.exp(s - max(scores)) for s in scores]
        values = [[plain.dot(w, k) for w in value] for k in seen]
        out.append([sum(s * v[i] for s, v in zip(shares, values)) / (sum(shares) or 1.0) for i in range(len(vector))])
    return out


def _residual(layer: Any, h: plain.Vector) -> plain.Vector:
    center = sum(h) / len(h)
    spread = math.sqrt(sum((x - center) ** 2 for x in h) / len(h) + layer.norm.eps)
    scaled = zip(plain.weights(layer.norm.weight), h, plain.weights(layer.norm.bias))
    found = plain.dense(layer.linear, [w * (x - center) / spread + b for w, x, b in scaled])
    return [x + max(v, 0.0) for x, v in zip(h, found)]


def _score(network: Any, batch: dict[str, Any], row: int) -> list[float]:
    seen = plain.row_of(network, batch, row)
    table = plain.weights(network.inputs.table.weight)
    history = seen["sets"]["history"]
    static = [*seen["singles"], plain.mean(seen["sets"]["tags"], 3)]
    width = len(static)
    own = _attended(network.static, static, lambda i, j: True)
    past = _attended(network.dynamic[0], history, lambda i, j: j <= i)
    cross = _attended(network.cross[0], [*static, *history], lambda i, j: (i < width) != (j < width))
    views = [plain.mean(view, 3) for view in (own, past, cross)]
    for layer in network.layers:
        views = [_residual(layer, h) for h in views]
    members = [table[c][3] for c in batch["history"][row].tolist() if c >= 0]
    # The reading of a row averages the first-order weights of a set; those of a sequence are summed.
    linear = seen["linear"] - (sum(members) / len(members) if members else 0.0) + sum(members)
    total = plain.weights(network.bias)[0] + linear
    return [total + plain.dot(plain.weights(network.out.weight)[0], plain.flat(views))]


@evidence(
    "seqfm",
    claim="Logits of one and three layers are first-order weights and the three views behind the shared layers, row by row",
    against="a plain reading of the paper in Python floats, vector by vector",
)
def seqfm_by_hand() -> Check:
    from fivefold.models.recommend.seqfm import SeqFMNetwork

    layout, batch = plain.problem()
    worst = []
    for n_layers in (1, 3):
        network = plain.randomized(SeqFMNetwork(layout, n_layers, dropout=0.4, dim=3))
        worst.append(plain.furthest(network, batch, lambda row, network=network: _score(network, batch, row)))
    size = 3
    count = 25 * 4 + 3 * 3 * size**2 + 3 * (2 * size + size**2 + size) + 3 * size + 1
    wrong = int(plain.count(network) != count)
    return Check(float(np.max(worst)) + wrong, 1e-12, "largest difference of logits", "plain reading")


@evidence(
    "seqfm",
    claim="The static, causal and cross views are torch's attention under the same masks",
    against="torch.nn.functional.scaled_dot_product_attention",
)
def torch_views() -> Check:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    from fivefold.models.recommend.seqfm import MaskedAttention, causal

    layer = plain.randomized(MaskedAttention(6))
    e = torch.randn(4, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    static, past = e[:, :3], e[:, 3:]
    real = torch.tensor([[n < count for n in range(4)] for count in (4, 3, 2, 1)])
    hidden = real.unsqueeze(1).expand(4, 3, 4)
    worst = []
    with torch.no_grad():
        for to, of, seen, how in (
            (e, e, None, {}),
            (e, e, causal(torch.ones(4, 7, dtype=torch.bool)), {"is_causal": True}),
            (static, past, hidden, {"attn_mask": hidden}),
            (past, static, None, {}),
        ):
            shares = layer.shares(to, of, seen)
            expected = scaled_dot_product_attention(layer.query(to), layer.key(of), layer.value(of), **how)
            worst.append(float((shares @ layer.value(of) - expected).abs().max()))
            worst.append(float((layer.gathered(shares, of) - expected.sum(1)).abs().max()))
    return Check(float(np.max(worst)), 1e-12, "largest difference", "torch")


@evidence(
    "seqfm",
    claim="Future items change nothing: an item's row of the dynamic view has gradients of itself and the past alone",
    against="automatic differentiation, item by item; other items later on",
)
def no_leak() -> Check:
    import torch

    from fivefold.models.recommend.seqfm import MaskedAttention, causal

    layer = plain.randomized(MaskedAttention(3))
    e = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    out = layer.shares(e, e, causal(mask)) @ layer.value(e)
    wrong = 0
    for i in range(5):
        (slope,) = torch.autograd.grad(out[:, i].sum(), e, retain_graph=True)
        reached = slope.abs().sum(2) > 0
        expected = torch.arange(5) <= i
        wrong += int((reached != (expected & mask & mask[:, i : i + 1])).sum())
    later = e.detach().clone()
    later[:, 3:] = 9.0
    after = layer.shares(later, later, causal(mask)) @ layer.value(later)
    wrong += int((after[:, :3] != out[:, :3]).sum())
    wrong += int((out[1, 3:] != 0).sum())
    return Check(wrong, 0, "entries that leak or are lost", "automatic differentiation")


@evidence(
    "seqfm",
    claim="More padding changes neither answers nor gradients; an empty history gives finite ones",
    against="the same rows with four places more",
)
def padding() -> Check:
    import torch

    from fivefold.models.recommend.seqfm import SeqFMNetwork

    results = []
    for longer in (0, 4):
        layout, batch = plain.problem(longer=longer)
        network = plain.randomized(SeqFMNetwork(layout, 2, dim=3))
        out = network(batch)
        results.append([out.detach(), *torch.autograd.grad(out.square().sum(), list(network.parameters()))])
    worst = [float((a - b).abs().max()) for a, b in zip(*results, strict=True)]
    return Check(float(np.max(worst)), 1e-12, "largest difference", "less padding")


@evidence(
    "seqfm",
    claim="Where a click tells which of two items came first, it ranks within .02 of the best; a factorization machine guesses",
    against="the known probabilities; the factorization machine on the same fields",
)
def order_matters() -> Check:
    from sklearn.metrics import roc_auc_score

    from fivefold.models.recommend.factorization_machine import FactorizationMachineLearner
    from fivefold.models.recommend.seqfm import SeqFM

    draw = np.random.default_rng(0)
    n = 1500
    orders = draw.permuted(np.tile(np.arange(4), (n, 1)), axis=1)
    first = np.argmax(orders == 0, axis=1) < np.argmax(orders == 1, axis=1)
    y = (draw.random(n) < np.where(first, 0.9, 0.1)).astype(int)
    history = pl.Series(np.array(list("abcd"))[orders].tolist())
    frame = pl.DataFrame({"user": draw.integers(0, 3, n), "history": history, "click": y})
    train, test = frame[:1000], frame[1000:]
    how: dict[str, Any] = {"embedding_dim": 8, "max_epochs": 8, "batch_size": 100, "learning_rate": 0.02}
    how["features"] = {"user": "categorical", "history": "sequence"}
    found = {}
    for cls in (SeqFM, FactorizationMachineLearner):
        found[cls] = roc_auc_score(y[1000:], cls(**how).fit(train, "click").predict_proba(test)[:, 1])
    best = roc_auc_score(y[1000:], first[1000:])
    lost = float(best - found[SeqFM])
    # Without order every row of the log looks alike, so that the machine ranks by chance: .5 within three of its deviations.
    guess = abs(found[FactorizationMachineLearner] - 0.5)
    return Check(lost if guess < 3 * math.sqrt(1 / (12 * 125)) else math.inf, 0.02, "area lost", "known probabilities")
