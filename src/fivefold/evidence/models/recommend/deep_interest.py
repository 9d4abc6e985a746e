"""Evidence for the deep interest network: activation unit, Dice, masks, and what softmax loses."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault

from . import _plain as plain


def _interest(network: Any, seen: dict[str, Any], unit: str, softmax: bool) -> plain.Vector:
    candidate, history = seen["singles"][1], seen["sets"]["history"]
    scores = []
    for v in history:
        if unit == "dot":
            scores.append(plain.dot(candidate, v))
            continue
        x = [*candidate, *v, *(a - b for a, b in zip(candidate, v)), *(a * b for a, b in zip(candidate, v))]
        layers = list(network.units[0].layers)
        scores.append(plain.dense(layers[-1], plain.through(layers[:-1], x))[0])
    if softmax and scores:
        shares = [math.exp(s - max(scores)) for s in scores]
        scores = [s / sum(shares) for s in shares]
    return [sum(a * v[k] for a, v in zip(scores, history)) for k in range(3)]


@evidence(
    "deep-interest-network",
    claim="Outputs with either unit and each activation, with and without softmax, are those of the equations",
    against="a plain reading of the paper in Python floats, past item by past item",
)
def din_by_hand() -> Check:
    from fivefold.models.recommend._inputs import SetField
    from fivefold.models.recommend.deep_interest import DeepInterestModule, attended

    layout, batch = plain.problem()
    worst = []
    for unit, softmax, outputs, activation, layer in (
        ("perceptron", False, 1, "dice", "Dice"),
        ("dot", True, 2, "relu", "ReLU"),
        ("perceptron", True, 1, "prelu", "PReLU"),
        ("dot", False, 1, "dice", "Dice"),
    ):
        options: dict[str, Any] = {"unit": unit, "softmax": softmax, "unit_sizes": (4, 3), "dim": 3}
        network = plain.randomized(DeepInterestModule(layout, outputs, (5, 3), activation=activation, **options))
        kinds = [type(part).__name__ for part in network.deep]
        worst.append(fault(kinds != ["Linear", "BatchNorm", layer] * 2))

        def score(row: int, network: Any = network, unit: str = unit, softmax: bool = softmax) -> list[float]:
            seen = plain.row_of(network, batch, row)
            parts = [*seen["singles"], plain.mean(seen["sets"]["tags"], 3), _interest(network, seen, unit, softmax)]
            return plain.dense(network.out, plain.through(network.deep, plain.flat(parts)))

        worst.append(plain.furthest(network, batch, score))
    # A history is a sequence and has a candidate; one of the two makes none.
    sets = [SetField(f"{i}", i > 1, 3, (None, 0)[i % 2], (0, 10)) for i in range(4)]
    found = attended(dataclasses.replace(layout, sets=tuple(sets)), "it")
    return Check(float(np.max(worst)) + fault(found != sets[3:]), 1e-12, "largest difference", "plain reading")


@evidence(
    "deep-interest-network",
    claim="More padding changes no answer, and in training neither the loss's gradients nor the statistics of Dice",
    against="the same rows with four places more",
)
def padding() -> Check:
    import torch

    from fivefold.models.recommend.deep_interest import DeepInterestModule

    results = []
    for longer in (0, 4):
        layout, batch = plain.problem(longer=longer)
        network = plain.randomized(DeepInterestModule(layout, 1, (5,), unit_sizes=(4,), softmax=True, dim=3))
        still = network(batch).detach()
        network.train()
        out = network(batch)
        grads = torch.autograd.grad(out.square().sum(), list(network.parameters()))
        statistics = [b for name, b in network.named_buffers() if "running" in name]
        results.append([still, out.detach(), *grads, *statistics])
    worst = [float((a - b).abs().max()) for a, b in zip(*results, strict=True)]
    return Check(float(np.max(worst)), 1e-12, "largest difference", "less padding")


@evidence(
    "deep-interest-network",
    claim="Of 90 % clothes and 10 % electronics a shirt gets a vector 9 times as long as a telephone; softmax makes them equal",
    against="the example of the source",
)
def shirt_and_telephone() -> Check:
    import torch

    from fivefold.models.recommend.deep_interest import ActivationUnit, interest

    clothes, electronics = torch.eye(2, dtype=torch.float64)
    history = torch.stack([*[clothes] * 9, electronics]).unsqueeze(0).expand(2, -1, -1)
    candidates = torch.stack([clothes, electronics])
    mask = torch.ones(2, 10, dtype=torch.bool)
    weights = ActivationUnit(2, "dot", ())(candidates, history, mask)
    plainly = interest(weights, history, mask, False).norm(dim=1)
    # With scores far apart softmax leaves the items of one category alone, whose weights then sum to 1 for either.
    shared = interest(50 * weights, history, mask, True).norm(dim=1)
    wrong = float(abs(plainly[0] / plainly[1] - 9.0)) + float(abs(plainly[0] - 9.0))
    wrong += float((shared - 1).abs().max())
    return Check(wrong, 1e-9, "difference", "9 : 1, and 1 : 1")


@evidence(
    "deep-interest-network",
    claim="Dice uses the batch's mean and variance in training and running ones afterwards; with alpha 1 it is the identity",
    against="the formula",
)
def dice() -> Check:
    import torch

    from fivefold.models.recommend._inputs import Dice

    layer = Dice(3).double()
    s = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 1
    worst = []
    with torch.no_grad():
        layer.alpha.copy_(torch.tensor([0.0, 0.3, 1.0]))
        trained = layer(s)
        p = torch.sigmoid((s - s.mean(0)) / torch.sqrt(s.var(0, unbiased=False) + 1e-8))
        worst.append(float((trained - (p * s + (1 - p) * layer.alpha * s)).abs().max()))
        worst.append(float((trained[:, 2] - s[:, 2]).abs().max()))
        mean, variance = 0.1 * s.mean(0), 0.9 + 0.1 * s.var(0)
        worst.append(
            float((layer.norm.running_mean - mean).abs().max() + (layer.norm.running_var - variance).abs().max())
        )
        layer.eval()
        p = torch.sigmoid((s - mean) / torch.sqrt(variance + 1e-8))
        worst.append(float((layer(s) - (p * s + (1 - p) * layer.alpha * s)).abs().max()))
        worst.append(float((layer(s.reshape(3, 3, 3)) - layer(s).reshape(3, 3, 3)).abs().max()))
        before = layer.train()(s[:1])
        worst.append(float((before - layer.eval()(s[:1])).abs().max()))
    wrong = float(Dice(2).alpha.detach().abs().max())
    return Check(float(np.max(worst)) + wrong, 1e-12, "largest difference", "the formula")


@evidence(
    "deep-interest-network",
    claim="The compiled Dice of training gives the values, derivatives and running statistics of the formula, and NaN for NaN",
    against="torch's batch norm and automatic gradient in float64, relative to the largest number, in roundings",
)
def compiled_dice() -> Check:
    import torch

    from fivefold.models.recommend._inputs import Dice

    worst = []
    generator = torch.Generator().manual_seed(0)
    # Two rows; numbers of columns beside multiples of eight; more rows than parts; a mean far above the spread.
    for rows, columns, center in ((2, 1, 0.0), (63, 9, 0.5), (700, 40, 3.0), (90, 8, 50.0)):
        ours = Dice(columns)
        with torch.no_grad():
            ours.alpha.copy_(torch.randn(columns, generator=generator))
        alpha = ours.alpha.detach().double().requires_grad_()
        norm = torch.nn.BatchNorm1d(columns, eps=1e-8, affine=False).double()
        x = torch.randn(rows, columns, generator=generator) + center
        x, y = x.requires_grad_(), x.detach().double().requires_grad_()
        grad = torch.randn(rows, columns, generator=generator)
        for _ in range(2):  # the running statistics have a past the second time
            found, p = ours(x), torch.sigmoid(norm(y))
        expected = p * y + (1 - p) * alpha * y
        found.backward(grad)
        expected.backward(grad.double())
        pairs = [(found, expected), (x.grad, y.grad), (ours.alpha.grad, alpha.grad)]
        pairs += [(getattr(ours.norm, name), getattr(norm, name)) for name in ("running_mean", "running_var")]
        worst += [float((a - b).detach().abs().max() / b.detach().abs().max()) for a, b in pairs]
        worst.append(fault(int(ours.norm.num_batches_tracked) != 2))
    lost = torch.ones(3, 2)
    lost[1, 0] = float("nan")
    answer = Dice(2)(lost.requires_grad_())
    worst.append(fault(not answer[1, 0].isnan() or bool(answer[:, 1].isnan().any())))

    def values(x: Any, alpha: Any) -> Any:
        layer = Dice(4).to(x.dtype)
        del layer.alpha
        layer.alpha = alpha
        return layer(x)

    given = [torch.randn(9, 4, generator=generator), torch.randn(4, generator=generator)]
    worst.append(fault(not plain.second_derivatives(values, given) <= plain.SECOND))
    return Check(float(np.max(worst)) / float(torch.finfo(torch.float32).eps), 16, "roundings", "torch in float64")


@evidence(
    "deep-interest-network",
    claim="Whether the history holds the candidate's kind, which sums cannot tell, is learned; parameters are counted",
    against="the rule that made the data; the arithmetic of the layers",
)
def learns_membership() -> Check:
    import polars as pl
    from sklearn.metrics import roc_auc_score

    from fivefold.models.recommend.deep_interest import DeepInterestNetwork

    draw = np.random.default_rng(0)
    n = 3000
    kind = draw.integers(0, 4, n)
    item = draw.integers(0, 5, n) * 4 + draw.integers(0, 4, n)
    history = draw.integers(0, 5, (n, 3)) * 4 + kind[:, None]
    y = (item % 4 == kind).astype(int)
    keep = (y == 1) | (draw.random(n) < 0.4)
    names = np.array([f"i{i}" for i in range(20)])
    frame = pl.DataFrame({"item": names[item], "history": pl.Series(names[history].tolist()), "y": y}).filter(
        pl.Series(keep)
    )
    features = {"item": {"kind": "categorical", "table": "i"}, "history": {"kind": "sequence", "table": "i"}}
    options: dict[str, Any] = {"embedding_dim": 6, "unit_sizes": (16,), "hidden_sizes": (16,), "learning_rate": 0.03}
    model = DeepInterestNetwork(features=features, max_epochs=8, batch_size=50, **options)
    cut = len(frame) * 2 // 3
    found = roc_auc_score(frame["y"][cut:], model.fit(frame[:cut], "y").predict_proba(frame[cut:])[:, 1])
    # table, unit 24-16-1 with Dice's alpha, perceptron 12-16 with batch norm and alpha, the last layer
    arithmetic = 21 * 6 + (24 + 1) * 16 + 16 + 17 + (12 + 1) * 16 + 32 + 16 + 17
    wrong = plain.count(model.module_) != arithmetic
    return Check(float(found) - wrong, 0.95, "area under the ROC curve", "the rule", at_least=True)
