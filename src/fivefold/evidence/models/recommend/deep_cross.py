"""Evidence for the Deep & Cross network."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence

from . import _plain as plain


@evidence(
    "deep-cross-network",
    claim="Outputs for 1 and 3 outputs are the crossed vectors beside the perceptron; numbers enter as they are",
    against="a plain reading of the paper in Python floats, x0 x^T as an outer product",
)
def deep_cross_by_hand() -> Check:
    from fivefold.models.recommend.deep_cross import DeepCrossNetwork

    layout, batch = plain.problem()
    worst = []
    for outputs, n_layers, hidden, bias in ((1, 1, (5, 3), True), (3, 3, (4,), False)):
        network = plain.randomized(
            DeepCrossNetwork(layout, outputs, n_layers, hidden, dim=3, use_bias=bias), spread=0.3
        )

        def score(row: int, network: Any = network) -> list[float]:
            seen = plain.row_of(network, batch, row)
            fields = seen["fields"]
            x0 = [seen["vals"][2], *plain.flat([fields[0], fields[1], *fields[3:]])]
            x = x0
            for w, b in zip(plain.weights(network.cross.weight), plain.weights(network.cross.bias)):
                outer = [[p * q for q in x] for p in x0]
                x = [plain.dot(line, w) + beta + old for line, beta, old in zip(outer, b, x)]
            return plain.dense(network.out, [*x, *plain.through(network.deep, x0)])

        worst.append(plain.furthest(network, batch, score))
    return Check(float(np.max(worst)), 1e-12, "largest difference", "plain reading")


@evidence(
    "deep-cross-network",
    claim="The cross part has 2 d L parameters; the rest is the perceptron and the last layer on d + its width",
    against="the arithmetic of the paper",
)
def deep_cross_parameters() -> Check:
    from fivefold.models.recommend.deep_cross import CrossLayers, DeepCross, DeepCrossNetwork

    layout, _ = plain.problem()
    wrong = int(plain.count(CrossLayers(17, 4)) != 2 * 17 * 4)
    d = 1 + 5 * 3
    network = DeepCrossNetwork(layout, 2, 3, (8, 4), dim=3)
    wrong += (
        plain.count(network)
        != 25 * 3 + 2 * d * 3 + plain.perceptron_count([d, 8, 4], batch_norm=True) + (d + 4 + 1) * 2
    )
    wrong += DeepCross().n_cross_layers != 3 or DeepCross().hidden_sizes != (128, 64)
    return Check(wrong, 0, "counts that differ", "arithmetic")


@evidence(
    "deep-cross-network",
    claim="L cross layers without biases are polynomials of degree L + 1: differences of order L + 2 vanish, of order L + 1 not",
    against="the calculus of finite differences",
)
def cross_degree() -> Check:
    import torch

    from fivefold.models.recommend.deep_cross import CrossLayers

    direction = torch.linspace(-1, 1, 5, dtype=torch.float64)
    wrong = 0
    for n_layers in (1, 2, 3):
        layers = plain.randomized(CrossLayers(5, n_layers))
        with torch.no_grad():
            layers.bias.zero_()
            t = torch.arange(n_layers + 3, dtype=torch.float64)
            values = layers(t.unsqueeze(1) * direction).numpy()
        highest, above = np.diff(values, n_layers + 1, axis=0), np.diff(values, n_layers + 2, axis=0)
        wrong += int(not np.abs(highest).max() > 1e-3) + int(not np.abs(above).max() < 1e-9 * np.abs(values).max())
    return Check(wrong, 0, "layers of another degree", "finite differences")


@evidence(
    "deep-cross-network",
    claim="Three classes told by a pair of categories are learned, and a regression on a product of categories and a number",
    against="the rule that made the data",
)
def deep_cross_tasks() -> Check:
    import polars as pl

    from fivefold.models.recommend.deep_cross import DeepCross

    draw = np.random.default_rng(0)
    a, b, x = draw.integers(0, 3, 900), draw.integers(0, 3, 900), draw.normal(size=900)
    names = np.array(["red", "green", "blue"])
    frame = pl.DataFrame({"a": a, "b": b, "x": x, "color": names[(a + b) % 3], "value": (a - 1) * x})
    options: dict[str, Any] = {"embedding_dim": 4, "hidden_sizes": (32,), "learning_rate": 0.02, "batch_size": 50}
    colors = DeepCross(task="multiclass", features=["a", "b"], max_epochs=8, **options).fit(frame[:600], "color")
    wrong = float(np.mean(colors.predict(frame[600:]) != frame["color"][600:].to_numpy()))
    wrong += float(np.abs(colors.predict_proba(frame[600:]).sum(1) - 1).max() > 1e-12)
    wrong += colors.classes_.tolist() != ["blue", "green", "red"] or colors.decision_function(frame[:5]).shape != (5, 3)
    values = DeepCross(task="regression", features=["a", "x"], max_epochs=12, **options).fit(frame[:600], "value")
    truth = frame["value"][600:].to_numpy()
    wrong += float(np.mean((values.predict(frame[600:]) - truth) ** 2) / np.var(truth))
    return Check(wrong, 0.1, "share of errors and of unexplained variance", "the rule")
