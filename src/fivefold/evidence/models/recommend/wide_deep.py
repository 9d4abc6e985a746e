"""Evidence for Wide & Deep."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault, largest

from . import _plain as plain


def _network(**options: Any) -> tuple[Any, dict[str, Any]]:
    from fivefold.models.recommend.wide_deep import WideDeepNetwork

    layout, batch = plain.problem()
    given = {"crosses": ((0, 1), (3, 0)), "cross_buckets": 13, "hidden_sizes": (5, 3), "dim": 3, **options}
    return plain.randomized(WideDeepNetwork(layout, **given)), batch


def _wide(network: Any, batch: dict[str, Any], row: int) -> float:
    table = [w[0] for w in plain.weights(network.weights.weight)]
    inds, vals = batch["inds"][row].tolist(), batch["vals"][row].tolist()
    total = sum(table[i] * v for i, v in zip(inds, vals))
    for name in ("tags", "history"):
        members = [table[c] for c in batch[name][row].tolist() if c >= 0]
        total += sum(members) / len(members) if members else 0.0
    for k, (a, b) in enumerate(network.crosses):
        total += table[25 + 13 * k + (inds[a] * 0x9E3779B1 + inds[b]) % 13]
    return total


@evidence(
    "wide-deep",
    claim="Logits are the linear part with its crossed categories plus the perceptron, and each part gives its share",
    against="a plain reading of the paper in Python floats",
)
def wide_deep_by_hand() -> Check:
    network, batch = _network()

    def score(row: int) -> list[float]:
        seen = plain.row_of(network, batch, row)
        deep = plain.dense(network.out, plain.through(network.layers, plain.flat(seen["fields"])))[0]
        return [_wide(network, batch, row) + deep]

    none, _ = _network(crosses=())
    wide = none.wide(batch).tolist()
    worst = max(abs(w - _wide(none, batch, row)) for row, w in enumerate(wide))
    counts = plain.count(network) - (25 * 3 + 25 + 26 + plain.perceptron_count([18, 5, 3], batch_norm=True) + 4)
    return Check(plain.furthest(network, batch, score) + worst + abs(counts), 1e-12, "difference", "plain reading")


@evidence(
    "wide-deep",
    claim="One batch steps both parts along the gradient of the joint loss at the same point, with weights of rows; the "
    "penalty of the embeddings is the deep part's",
    against="autograd of the joint weighted cross-entropy",
)
def joint_gradient() -> Check:
    return Check(largest(_apart_from_joint(l2) for l2 in (0.0, 0.3)), 1e-12, "difference", "autograd")


def _apart_from_joint(l2: float) -> float:
    import torch

    from fivefold.data.batches import Batch, Place
    from fivefold.models.recommend.wide_deep import WideDeepLearner

    network, fields = _network(l2=l2)
    y = torch.tensor([0, 1, 1, 0, 1, 0, 1])
    weight = torch.linspace(0.5, 2, 7, dtype=torch.float64)

    def objective(out: Any, target: Any) -> Any:
        function = torch.nn.functional.binary_cross_entropy_with_logits
        return function(out.squeeze(1), target.double(), reduction="none")

    batch = Batch({**fields, "y": y, "weight": weight}, Place(0, 0, 0, 7, 0))
    joint = (objective(network(batch), y) * weight).sum() / weight.sum()
    whole = joint + network.inputs.penalty(batch, l2, network.counts) if l2 else joint
    losses = {"wide": float(joint.detach()), "deep": float(whole.detach())}
    params = dict(network.named_parameters())
    expected = dict(zip(params, torch.autograd.grad(whole, list(params.values()))))
    learner = WideDeepLearner(network, objective)
    parts = {name: list(ps) for name, ps in learner.parts().items()}
    names = {id(p): name for name, p in params.items()}
    rate, worst, seen = 0.1, [], []
    before = {name: p.detach().clone() for name, p in params.items()}
    generator = learner.steps(batch)
    step = next(generator)
    while True:
        grads = torch.autograd.grad(step.loss, parts[step.part])
        seen.append(step.part)
        worst.append(abs(float(step.loss.detach()) - losses[step.part]))
        with torch.no_grad():
            for p, g in zip(parts[step.part], grads):
                p.sub_(rate * g)
        try:
            step = generator.send(True)
        except StopIteration:
            break
    for part in parts.values():
        for p in part:
            name = names[id(p)]
            worst.append(float((p.detach() - before[name] + rate * expected[name]).abs().max()))
    covered = len({id(p) for part in parts.values() for p in part}) == len(params)
    return float(np.max(worst)) + fault(seen != ["wide", "deep"] or not covered)


@evidence(
    "wide-deep",
    claim="The wide part is trained by FTRL, whose L1 penalty leaves it at exactly 0 when it is large, the deep part by AdaGrad",
    against="the closed form of FTRL's first step",
)
def wide_optimizer() -> Check:
    from fivefold.evidence.batteries.ctr import FEATURES, clicks
    from fivefold.models.recommend.wide_deep import WideDeep

    frame = clicks()
    options: dict[str, Any] = {
        "features": FEATURES,
        "embedding_dim": 4,
        "hidden_sizes": (4,),
        "crosses": [("user", "item")],
    }
    large = WideDeep(**options, wide_l1=10.0, max_epochs=1).fit(frame, "click")
    small = WideDeep(**options, max_epochs=1, cross_buckets=50).fit(frame, "click")
    specs = small.parts()
    wrong = int(bool(large.module_.weights.weight.any())) + int(not small.module_.weights.weight.any())
    wrong += specs["wide"].optimizer != "ftrl" or dict(specs["wide"].options) != {"lr": 0.05, "l1": 1e-5}
    wrong += specs["deep"].optimizer != "adagrad" or specs["deep"].options["lr"] != 0.02
    wrong += small.module_.weights.num_embeddings != small.encoder_.rows + 50
    wrong += large.module_.weights.num_embeddings != large.encoder_.rows + 65536
    lazy = WideDeep(wide_optimizer="sparse-adam").parts()["wide"]
    wrong += dict(lazy.options) != {"lr": 0.05, "lazy": True}
    wrong += dict(WideDeep(wide_optimizer="sparse-adam", updates="dense").parts()["wide"].options) != {"lr": 0.05}
    dense = WideDeep(**options, cross_buckets=50, updates="dense", max_epochs=1).fit(frame, "click")
    wrong += (small.module_.weights.sparse, dense.module_.weights.sparse) != (True, False)
    # FTRL from 0 with one gradient g over the one batch: w = -sign(g) (|g| - l1) lr / (1 + |g|), where g = mean of (p - y).
    start = small.encoder_.starts["user"]
    w = small.module_.weights.weight[start + 1 : start + 8, 0].double().numpy()
    y, user = frame["click"].to_numpy(), frame["user"].to_numpy()
    g = np.array([np.mean((user == u) * (_first(options, frame) - y)) for u in range(7)])
    expected = -np.sign(g) * (np.abs(g) - 1e-5) * 0.05 / (1 + np.abs(g))
    wrong += int(not np.abs(w - expected).max() < 1e-6)
    return Check(wrong, 0, "differences", "FTRL's first step")


def _first(options: dict[str, Any], frame: Any) -> Any:
    """Return the probabilities before the first step, in training mode: what a step with rate 0 saw."""
    import torch

    from fivefold.models.recommend.wide_deep import WideDeep

    still = WideDeep(**options, cross_buckets=50, max_epochs=1, learning_rate=0.0, wide_learning_rate=1e-30)
    still.fit(frame, "click")
    rows = {name: torch.from_numpy(a) for name, a in still._encode(frame.drop("click"), still.schema_).items()}
    with torch.no_grad():
        return torch.sigmoid(still.module_.train()(rows)[:, 0]).double().numpy()
