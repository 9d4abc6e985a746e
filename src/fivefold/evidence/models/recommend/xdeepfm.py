"""Evidence for xDeepFM and its compressed interaction network."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence

from . import _plain as plain


def _cin(network: list[list[list[float]]], x0: list[plain.Vector]) -> plain.Vector:
    """Return the sums of all layers: the triple loop of the paper."""
    x, pooled = x0, []
    for weight in network:
        after = []
        for w in weight:
            row = [0.0] * len(x0[0])
            for i, a in enumerate(x):
                for j, b in enumerate(x0):
                    row = [r + w[i * len(x0) + j] * p * q for r, p, q in zip(row, a, b)]
            after.append(row)
        x = after
        pooled += [sum(row) for row in x]
    return pooled


@evidence(
    "xdeepfm",
    claim="Logits are first-order weights, the interaction network, narrower and wider than the fields, and the perceptron",
    against="a plain reading of the paper in Python floats, the interaction network as its triple loop",
)
def xdeepfm_by_hand() -> Check:
    from fivefold.models.recommend.xdeepfm import XDeepFMNetwork

    layout, batch = plain.problem()
    network = plain.randomized(XDeepFMNetwork(layout, (4, 8, 3), (5, 3), dim=3), spread=0.3)

    def score(row: int) -> list[float]:
        seen = plain.row_of(network, batch, row)
        cin = _cin([plain.weights(w) for w in network.cin.weights], seen["fields"])
        deep = plain.through(network.deep, plain.flat(seen["fields"]))
        return [seen["linear"] + plain.dense(network.from_cin, cin)[0] + plain.dense(network.from_deep, deep)[0]]

    return Check(plain.furthest(network, batch, score), 1e-12, "largest difference of logits", "plain reading")


@evidence(
    "xdeepfm",
    claim="A layer of the interaction network has H_k H_{k-1} m weights and is a product of degree k + 1 in the fields",
    against="the arithmetic of the paper; scaled inputs",
)
def cin_degree() -> Check:
    import torch

    from fivefold.models.recommend.xdeepfm import CompressedInteraction, XDeepFM, XDeepFMNetwork

    cin = plain.randomized(CompressedInteraction(6, (5, 4, 2)))
    wrong = float(plain.count(cin) != 5 * 6 * 6 + 4 * 5 * 6 + 2 * 4 * 6)
    x = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        once, twice = cin(x), cin(2 * x)
    factors = torch.tensor([4.0] * 5 + [8.0] * 4 + [16.0] * 2, dtype=torch.float64)
    wrong += not float((twice - factors * once).abs().max()) <= 1e-9
    layout, _ = plain.problem()
    full = XDeepFMNetwork(layout, (4, 2), (5,), dim=3)
    wrong += plain.count(full) != 25 * 4 + 4 * 36 + 2 * 24 + plain.perceptron_count([18, 5], batch_norm=True) + 6 + 6
    wrong += XDeepFM().cin_sizes != (32, 32) or XDeepFM().hidden_sizes != (128, 64)
    return Check(wrong, 0, "differences", "arithmetic")


@evidence(
    "xdeepfm",
    claim="Without perceptron a planted product of three categories, which pairs cannot tell, is learned",
    against="the rule that made the data",
)
def learns_three_fields() -> Check:
    import polars as pl
    from sklearn.metrics import roc_auc_score

    from fivefold.models.recommend.xdeepfm import XDeepFM

    draw = np.random.default_rng(0)
    codes = draw.integers(0, 4, (3000, 3))
    y = codes.__and__(1).sum(1) % 2
    frame = pl.DataFrame({"a": codes[:, 0], "b": codes[:, 1], "c": codes[:, 2], "y": y})
    model = XDeepFM(
        embedding_dim=4, cin_sizes=(8, 8), hidden_sizes=(), learning_rate=0.05, max_epochs=6, batch_size=100
    )
    found = roc_auc_score(y[2000:], model.fit(frame[:2000], "y").predict_proba(frame[2000:])[:, 1])
    return Check(float(found), 0.95, "area under the ROC curve", "parity", at_least=True)
