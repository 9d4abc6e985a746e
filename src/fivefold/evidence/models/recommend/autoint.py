"""Evidence for AutoInt and its weighted residual."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault

from . import _plain as plain


def _layer(layer: Any, fields: list[plain.Vector], residual: str, rho: float) -> list[plain.Vector]:
    """Return what an interacting layer makes of the fields, head by head."""
    query, key, value, own = (plain.weights(m.weight) for m in (layer.query, layer.key, layer.value, layer.own))
    size = len(query) // layer.n_heads
    out = []
    for e in fields:
        found: plain.Vector = []
        for h in range(layer.n_heads):
            part = slice(h * size, (h + 1) * size)
            q = [plain.dot(w, e) for w in query[part]]
            scores = [plain.dot(q, [plain.dot(w, k) for w in key[part]]) for k in fields]
            top = max(scores)
            shares = [math.exp(s - top) for s in scores]
            values = [[plain.dot(w, k) for w in value[part]] for k in fields]
            found += [sum(s * v[i] for s, v in zip(shares, values)) / sum(shares) for i in range(size)]
        itself = [plain.dot(w, e) for w in own]
        if residual == "concat":
            merged = [*found, *itself]
        elif residual == "sum":
            merged = [a + b for a, b in zip(found, itself)]
        else:
            share = 0.5 if residual == "mean" else rho
            merged = [share * a + (1 - share) * b for a, b in zip(found, itself)]
        out.append([max(v, 0.0) for v in merged])
    return out


def _distance(residual: str, rho: float, n_layers: int) -> float:
    from fivefold.models.recommend.autoint import AutoIntNetwork

    layout, batch = plain.problem(rows=4)
    network = plain.randomized(AutoIntNetwork(layout, n_layers, 2, 2, residual, rho, dim=3))

    def score(row: int) -> list[float]:
        fields = plain.row_of(network, batch, row)["fields"]
        for layer in network.layers:
            fields = _layer(layer, fields, residual, rho)
        return plain.dense(network.out, plain.flat(fields))

    return plain.furthest(network, batch, score)


@evidence(
    "autoint",
    claim="Logits of one and two layers of two heads are those of the equations, without scaling",
    against="a plain reading of the paper in Python floats, head by head",
)
def autoint_by_hand() -> Check:
    return Check(
        float(np.max([_distance("sum", 0.5, 1), _distance("sum", 0.9, 2)])), 1e-12, "difference", "plain reading"
    )


@evidence(
    "autoint",
    claim="Heads are torch's attention with scale 1",
    against="torch.nn.functional.scaled_dot_product_attention",
)
def torch_heads() -> Check:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    from fivefold.models.recommend.autoint import InteractingLayer

    layer = plain.randomized(InteractingLayer(6, 5, 3, "sum", 0.5))
    e = torch.randn(4, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        q, k, v = (m(e).reshape(4, 7, 3, 5).transpose(1, 2) for m in (layer.query, layer.key, layer.value))
        heads = scaled_dot_product_attention(q, k, v, scale=1.0).transpose(1, 2).reshape(4, 7, 15)
        difference = float((torch.relu(heads + layer.own(e)) - layer(e)).abs().max())
        rows = float((layer.attention(e).sum(3) - 1).abs().max())
    return Check(difference + rows, 1e-12, "largest difference", "torch")


@evidence(
    "autoint",
    claim="The compiled attention and its derivatives are the softmax of the products, for any number and length of fields",
    against="torch's softmax and automatic gradient in float64, relative to the largest number, in roundings of the products",
)
def compiled_attention() -> Check:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from fivefold.models.recommend._attention import attend

    worst = []
    generator = torch.Generator().manual_seed(0)
    # Numbers of fields and lengths below, at and above multiples of eight; products of a hundred and more; one row; one field.
    cases = ((3, 5, 2, 3, 1.0), (70, 39, 2, 8, 1.0), (2, 1, 1, 1, 1.0), (4, 17, 3, 16, 3.0), (1, 8, 1, 9, 5.0))
    for batch, n, heads, size, spread in cases:
        x = spread * torch.randn(batch, n, 3 * heads * size, generator=generator)
        grad = torch.randn(batch, n, heads * size, generator=generator)
        ours, theirs = x.clone().requires_grad_(), x.double().requires_grad_()
        found = attend(ours, heads)
        q, k, v = (part.unflatten(2, (heads, size)).transpose(1, 2) for part in theirs.chunk(3, dim=2))
        products = q @ k.transpose(2, 3)
        expected = (torch.softmax(products, dim=3) @ v).transpose(1, 2).flatten(2)
        found.backward(grad)
        expected.backward(grad.double())
        rounding = float(torch.finfo(torch.float32).eps * (1 + products.detach().abs().max()))
        for a, b in ((found, expected), (ours.grad, theirs.grad)):
            worst.append(float((a - b).detach().abs().max() / b.detach().abs().max()) / rounding)
    lost = torch.zeros(1, 4, 6)
    lost[0, 2, 0] = float("nan")
    lost.requires_grad_()
    wrong = fault(not attend(lost, 1)[0, 2].isnan().all())
    given = [torch.randn(3, 5, 12, generator=generator)]
    with sdpa_kernel(SDPBackend.MATH):  # in float64 torch's own, which has second derivatives here alone
        wrong += fault(not plain.second_derivatives(lambda x: attend(x, 2), given) <= plain.SECOND)
    return Check(float(np.max(worst)) + wrong, 4, "roundings", "torch in float64")


@evidence(
    "autoint",
    claim="Parameters are the table, 4 d' H d a layer and the last layer; the map of fields is the mean over rows and heads",
    against="the arithmetic of the paper; a loop over rows and heads",
)
def autoint_parameters_and_map() -> Check:
    import torch

    from fivefold.evidence.batteries.ctr import FEATURES, clicks
    from fivefold.models.recommend.autoint import AutoInt, AutoIntNetwork

    layout, _ = plain.problem()
    wrong = 0.0
    for residual, width in (("sum", 8), ("concat", 16)):
        network = AutoIntNetwork(layout, 2, 4, 2, residual, 0.5, dim=3)
        wrong += plain.count(network) != 25 * 3 + 4 * 8 * 3 + 4 * 8 * width + 6 * width + 1
    frame = clicks(20)
    model = AutoInt(features=FEATURES, embedding_dim=4, max_epochs=1, head_size=3).fit(frame, "click")
    names, found = model.attention(frame)
    wrong += names != ["user", "item", "price", "tags", "history"]
    rows = {name: torch.from_numpy(a) for name, a in model._encode(frame.drop("click"), model.schema_).items()}
    with torch.no_grad():
        e, _ = model.module_.inputs(rows)
        layer = model.module_.layers[0]
        q, k = layer.query(e), layer.key(e)
        total = np.zeros((5, 5))
        for row, head in itertools.product(range(20), range(2)):
            part = slice(3 * head, 3 * head + 3)
            total += torch.softmax(q[row, :, part] @ k[row, :, part].T, dim=1).double().numpy() / 40
    wrong += not float(np.abs(found - total).max()) <= 1e-6
    return Check(wrong, 0, "differences", "arithmetic and loops")


@evidence(
    "autoint-weighted-residual",
    claim="Logits of the weighted, mean and concatenated residual are those of the equations",
    against="a plain reading in Python floats, head by head",
)
def weighted_by_hand() -> Check:
    found = [_distance("weighted", 0.3, 2), _distance("mean", 0.9, 1), _distance("concat", 0.9, 2)]
    return Check(float(np.max(found)), 1e-12, "difference", "plain reading")


@evidence(
    "autoint-weighted-residual",
    claim="One half halves the layer of the sum; 1 depends on no field's own weights, 0 on no attention; the defaults are stated",
    against="the layer of the sum; other weights",
)
def rho_limits() -> Check:
    import torch

    from fivefold.models.recommend.autoint import AutoInt, InteractingLayer, WeightedAutoInt

    e = torch.randn(4, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wrong = 0.0
    with torch.no_grad():
        layers = {
            (residual, rho): plain.randomized(InteractingLayer(6, 5, 3, residual, rho))(e)
            for residual, rho in (("sum", 0.5), ("weighted", 0.5), ("mean", 0.1), ("weighted", 0.0), ("weighted", 1.0))
        }
        wrong += not float((layers["weighted", 0.5] - layers["sum", 0.5] / 2).abs().max()) <= 1e-12
        wrong += not float((layers["mean", 0.1] - layers["sum", 0.5] / 2).abs().max()) <= 1e-12
        for rho, spoiled in ((1.0, ("own",)), (0.0, ("query", "key", "value"))):
            layer = plain.randomized(InteractingLayer(6, 5, 3, "weighted", rho))
            for name in spoiled:
                getattr(layer, name).weight.add_(1.0)
            wrong += not torch.equal(layer(e), layers["weighted", rho])
    wrong += WeightedAutoInt().get_params() != {**AutoInt().get_params(), "residual": "weighted"}
    wrong += AutoInt().residual != "sum" or AutoInt().rho != 0.5
    return Check(wrong, 0, "differences", "limits")


@evidence(
    "autoint-weighted-residual",
    claim="Over rho of 0, 1/4, 1/2, 3/4 and 1 the best share on a planted product of fields is not that of the field alone",
    against="the ablation over rho, ranked by the area under the ROC curve",
)
def ablation() -> Check:
    import polars as pl
    from sklearn.metrics import roc_auc_score

    from fivefold.models.recommend.autoint import WeightedAutoInt

    draw = np.random.default_rng(0)
    a, b = draw.integers(0, 6, 2400), draw.integers(0, 6, 2400)
    sign = draw.choice([-1.0, 1.0], (2, 6))
    p = 1 / (1 + np.exp(-3 * sign[0][a] * sign[1][b]))
    frame = pl.DataFrame({"a": a, "b": b, "y": (draw.random(2400) < p).astype(int)})
    scores = []
    for rho in (0.0, 0.25, 0.5, 0.75, 1.0):
        model = WeightedAutoInt(
            rho=rho, embedding_dim=4, head_size=4, n_layers=1, learning_rate=0.03, max_epochs=4, batch_size=60
        )
        scores.append(roc_auc_score(frame["y"][1600:], model.fit(frame[:1600], "y").predict_proba(frame[1600:])[:, 1]))
    return Check(
        float(np.max(scores[1:4]) - scores[0]), 0.1, "gain in area over no attention", "rho = 0", at_least=True
    )
