"""Evidence for the deep interest evolution network: AUGRU, attention, auxiliary loss, masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault

from . import _plain as plain


def _gates(from_input: list[list[float]], from_state: list[list[float]], bias: list[float], x: Any, h: Any) -> Any:
    """Return the three pre-activations from the input (with bias) and from the state, each of the state's length."""
    size = len(h)
    given = [plain.dot(w, x) + b for w, b in zip(from_input, bias)]
    own = [plain.dot(w, h) for w in from_state]
    return [(given[k : k + size], own[k : k + size]) for k in (0, size, 2 * size)]


def _augru(cell: Any, x: plain.Vector, h: plain.Vector, attention: float) -> plain.Vector:
    weights = (plain.weights(cell.from_input.weight), plain.weights(cell.from_state.weight))
    (u0, u1), (r0, r1), (h0, h1) = _gates(*weights, plain.weights(cell.from_input.bias), x, h)
    out = []
    for k, before in enumerate(h):
        update = attention * plain.sigmoid(u0[k] + u1[k])
        fresh = math.tanh(h0[k] + plain.sigmoid(r0[k] + r1[k]) * h1[k])
        out.append((1 - update) * before + update * fresh)
    return out


def _gru(cell: Any, x: plain.Vector, h: plain.Vector) -> plain.Vector:
    """Return torch's GRU: gates r, z, n; z keeps the state; the state's bias stands within the reset."""
    from_input, from_state = plain.weights(cell.weight_ih_l0), plain.weights(cell.weight_hh_l0)
    (r0, r1), (z0, z1), (n0, n1) = _gates(from_input, from_state, plain.weights(cell.bias_ih_l0), x, h)
    bias, size, out = plain.weights(cell.bias_hh_l0), len(h), []
    for k, before in enumerate(h):
        reset = plain.sigmoid(r0[k] + r1[k] + bias[k])
        keep = plain.sigmoid(z0[k] + z1[k] + bias[size + k])
        out.append((1 - keep) * math.tanh(n0[k] + reset * (n1[k] + bias[2 * size + k])) + keep * before)
    return out


@evidence(
    "deep-interest-evolution-network",
    claim="Outputs are those of extractor, attention, gated evolution and perceptron; an empty history gives 0",
    against="a plain reading of the paper in Python floats, step by step",
)
def dien_by_hand() -> Check:
    from fivefold.models.recommend.deep_interest_evolution import DeepInterestEvolutionModule

    layout, batch = plain.problem()
    network = plain.randomized(DeepInterestEvolutionModule(layout, 2, (5, 3), activation="prelu", dim=3))
    kinds = [type(part).__name__ for part in network.deep]

    def score(row: int) -> list[float]:
        seen = plain.row_of(network, batch, row)
        evolution = network.evolutions[0]
        states, h = [], [0.0] * 3
        for x in seen["sets"]["history"]:
            h = _gru(evolution.extractor, x, h)
            states.append(h)
        looked = plain.dense(evolution.bilinear, seen["singles"][1])
        shares = [math.exp(plain.dot(s, looked)) for s in states]
        final = [0.0] * 3
        for s, share in zip(states, shares):
            final = _augru(evolution.evolution, s, final, share / sum(shares))
        parts = [*seen["singles"], plain.mean(seen["sets"]["tags"], 3), final]
        return plain.dense(network.out, plain.through(network.deep, plain.flat(parts)))

    wrong = plain.furthest(network, batch, score) + fault(kinds != ["Linear", "BatchNorm", "PReLU"] * 2)
    return Check(wrong, 1e-12, "largest difference", "plain reading")


@evidence(
    "deep-interest-evolution-network",
    claim="Attention 0 keeps the state, attention 1 is torch's GRU, whose update gate counts the other way",
    against="torch.nn.GRU with the same weights",
)
def augru_limits() -> Check:
    import torch

    from fivefold.models.recommend.deep_interest_evolution import AUGRU

    cell = plain.randomized(AUGRU(4, 3))
    x = torch.randn(5, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gru = torch.nn.GRU(4, 3, batch_first=True).double()
    with torch.no_grad():
        for mine, theirs in (
            (cell.from_input.weight, gru.weight_ih_l0),
            (cell.from_state.weight, gru.weight_hh_l0),
            (cell.from_input.bias, gru.bias_ih_l0),
        ):
            update, reset, fresh = mine.chunk(3)
            theirs.copy_(torch.cat([reset, -update, fresh]))
        gru.bias_hh_l0.zero_()
        found = float((cell(x, torch.ones(5, 6, dtype=torch.float64)) - gru(x)[1][0]).abs().max())
        attention = torch.ones(5, 6, dtype=torch.float64)
        attention[:, 4:] = 0
        kept = float((cell(x, attention) - gru(x[:, :4])[1][0]).abs().max())
        none = float(cell(x, torch.zeros(5, 6, dtype=torch.float64)).abs().max())
    return Check(float(np.max([found, kept, none])), 1e-12, "largest difference", "torch GRU")


@evidence(
    "deep-interest-evolution-network",
    claim="The auxiliary loss is the mean over real next items of both log probabilities, and joins the loss in training alone",
    against="a loop over rows and steps",
)
def auxiliary() -> Check:
    import torch

    from fivefold.models.recommend.deep_interest_evolution import DeepInterestEvolutionModule, auxiliary_loss

    generator = torch.Generator().manual_seed(0)
    h, e, w = (torch.randn(4, 5, 3, generator=generator, dtype=torch.float64) for _ in range(3))
    mask = torch.arange(5) < torch.tensor([[5], [0], [2], [1]])
    total, steps = 0.0, 0
    for i in range(4):
        for t in range(5):
            if mask[i, t]:
                right, false = (
                    plain.dot(h[i, t].tolist(), e[i, t].tolist()),
                    plain.dot(h[i, t].tolist(), w[i, t].tolist()),
                )
                total -= math.log(plain.sigmoid(right)) + math.log(1 - plain.sigmoid(false))
                steps += 1
    wrong = abs(float(auxiliary_loss(h, e, w, mask)) - total / steps)
    wrong += abs(float(auxiliary_loss(h, e, w, mask & False)))
    layout, batch = plain.problem()
    terms = []
    for strength in (0.0, 1.0, 2.5):
        network = plain.randomized(DeepInterestEvolutionModule(layout, 1, (5,), auxiliary=strength, dim=3))
        network(batch)
        wrong += network.extra is not None
        torch.manual_seed(3)
        network.train()(batch)
        terms.append(None if network.extra is None else network.extra.detach())
    wrong += terms[0] is not None
    wrong += abs(float(terms[2]) - 2.5 * float(terms[1]))
    torch.manual_seed(3)
    with torch.no_grad():
        mask, history = batch["history"] >= 0, network.inputs.vectors(batch["history"])
        states = network.evolutions[0].extractor(history)[0]
        drawn = network.inputs.vectors(torch.randint(1, 10, (7, 3)))  # the ten rows of the table but the unknown
        wrong += abs(float(auxiliary_loss(states[:, :-1], history[:, 1:], drawn, mask[:, 1:])) - float(terms[1]))
    return Check(float(wrong), 1e-12, "difference", "loops")


@evidence(
    "deep-interest-evolution-network",
    claim="False next items are any of the table but the unknown, about as often each; of the unknown alone it is that",
    against="counting 3,000 draws; five standard deviations",
)
def false_items() -> Check:
    import dataclasses

    import torch

    from fivefold.models.recommend.deep_interest_evolution import DeepInterestEvolutionModule

    layout, batch = plain.problem()
    batch = {name: rows.repeat(145, *[1] * (rows.ndim - 1)) for name, rows in batch.items()}  # (1015, ...)
    wrong = 0
    for last in (10, 1):
        sets = tuple(dataclasses.replace(s, rows=(0, last)) if s.name == "history" else s for s in layout.sets)
        network = DeepInterestEvolutionModule(dataclasses.replace(layout, sets=sets), 1, (5,), dim=3).double()
        seen: list[torch.Tensor] = []
        look_up = network.inputs.vectors

        def recorded(codes: Any, seen: list[Any] = seen, look_up: Any = look_up) -> Any:
            seen.append(codes)
            return look_up(codes)

        network.inputs.vectors = recorded  # type: ignore[method-assign]
        torch.manual_seed(0)
        network.train()(batch)
        counts = np.bincount(seen[-1].flatten().numpy(), minlength=10)
        known = counts[1:last] if last > 1 else counts[:1]
        expected = seen[-1].numel() / len(known)
        wrong += fault(seen[-1].shape != (1015, 3) or known.sum() != seen[-1].numel())
        wrong += fault(not np.abs(known - expected).max() <= 5 * np.sqrt(expected))
    return Check(wrong, 0, "faults", "counting")


@evidence(
    "deep-interest-evolution-network",
    claim="More padding changes no answer",
    against="the same rows with four places more",
)
def dien_padding() -> Check:
    from fivefold.models.recommend.deep_interest_evolution import DeepInterestEvolutionModule

    found = []
    for longer in (0, 4):
        layout, batch = plain.problem(longer=longer)
        network = plain.randomized(DeepInterestEvolutionModule(layout, 1, (5,), dim=3))
        found.append(network(batch).detach())
    count = (
        25 * 3 + (2 * 9 * 3 + 18) + 9 + (9 * 3 + 9 + 9 * 3) + plain.perceptron_count([18, 5], batch_norm=True) + 5 + 6
    )
    return Check(
        float((found[0] - found[1]).abs().max()) + (plain.count(network) != count), 1e-12, "difference", "itself"
    )


@evidence(
    "deep-interest-evolution-network",
    claim="A click that depends on the order of the history, which a sum cannot tell, is learned",
    against="the rule that made the data",
)
def learns_order() -> Check:
    import polars as pl
    from sklearn.metrics import roc_auc_score

    from fivefold.models.recommend.deep_interest_evolution import DeepInterestEvolutionNetwork

    draw = np.random.default_rng(0)
    history = np.where(draw.random((1500, 1)) < 0.5, [[0, 1]], [[1, 0]])
    item = draw.integers(0, 2, 1500)
    y = (history[:, 1] == item).astype(int)
    frame = pl.DataFrame({"item": item.astype(str), "history": pl.Series(history.astype(str).tolist()), "y": y})
    features = {"item": {"kind": "categorical", "table": "i"}, "history": {"kind": "sequence", "table": "i"}}
    options: dict[str, Any] = {"embedding_dim": 6, "hidden_sizes": (16,), "learning_rate": 0.03, "auxiliary": 0.1}
    model = DeepInterestEvolutionNetwork(features=features, max_epochs=6, batch_size=50, **options).fit(
        frame[:1000], "y"
    )
    found = roc_auc_score(y[1000:], model.predict_proba(frame[1000:])[:, 1])
    return Check(float(found), 0.95, "area under the ROC curve", "the rule", at_least=True)
