"""Evidence for DeepGBM: what trees see, their groups, the networks that stand for them, and learning on after a drift."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, fault, largest

from . import _plain as plain


def _table(rows: int, seed: int = 0, sign: float = 1.0) -> tuple[pl.DataFrame, np.ndarray]:
    """Return a log of two numbers and a category, and the probability of each click; ``sign`` turns the numbers' effect."""
    draw = np.random.default_rng(seed)
    a, b, item = draw.uniform(-2, 2, rows), draw.uniform(-2, 2, rows), draw.integers(0, 5, rows)
    p = 1 / (1 + np.exp(-(3 * sign * np.sign(a) * (b > 0) + 0.5 * (item - 2))))
    frame = pl.DataFrame({"a": a, "b": b, "item": item, "click": (draw.random(rows) < p).astype(int)})
    return frame, p


def _network() -> tuple[Any, dict[str, Any]]:
    """Return a network of two groups, of three trees and two, on the small problem, and a batch with leaves."""
    import torch

    from fivefold.models.recommend._distillation import TreePlan
    from fivefold.models.recommend.deepgbm import DeepGBMNetwork

    layout, batch = plain.problem()
    draw = np.random.default_rng(3)
    members = np.array([[0, 3, 4], [1, 2, -1]])
    columns, used = np.array([[2, 0], [1, 3]]), np.array([[1.0, 1.0], [1.0, 0.0]])
    values = np.append(draw.normal(size=15), 0.0)
    plan = TreePlan(members, columns, used, np.arange(6) * 3, values, 0.3, 1.7)
    statistics = {"means": draw.random(25), "center": draw.normal(size=4), "spread": draw.random(4) + 0.5}
    network = plain.randomized(DeepGBMNetwork(layout, plan, statistics, (5,), (4, 3), 2, dim=3))
    batch["leaves"] = torch.from_numpy(plan.leaves(draw.integers(0, 3, (7, 5))))
    return network, batch


def _tree_vector(trees: Any, x: plain.Vector, g: int) -> plain.Vector:
    columns, used = trees.columns[g].tolist(), trees.used[g].tolist()
    z = [x[c] * u for c, u in zip(columns, used)]
    for i, layer in enumerate((*trees.linears, trees.out)):
        weight, bias = plain.weights(layer.weight)[g], plain.weights(layer.bias)[g]
        z = [b + sum(z[k] * weight[k][j] for k in range(len(z))) for j, b in enumerate(bias)]
        if i < len(trees.norms):
            norm, size = trees.norms[i], len(z)
            part = slice(g * size, (g + 1) * size)
            mean, variance = plain.weights(norm.running_mean)[part], plain.weights(norm.running_var)[part]
            scaled = [(v - m) / math.sqrt(s + norm.eps) for v, m, s in zip(z, mean, variance)]
            gains, shifts = plain.weights(norm.weight)[part], plain.weights(norm.bias)[part]
            z = [max(w * v + b, 0.0) for w, v, b in zip(gains, scaled, shifts)]
    return z


def _parts(network: Any, batch: dict[str, Any], row: int) -> tuple[list[plain.Vector], float]:
    """Return what the groups' networks give for a row, and the score."""
    seen = plain.row_of(network, batch, row)
    inds = batch["inds"][row].tolist()
    x = [seen["vals"][i] if i == 2 else network.means[inds[i]].item() for i in range(4)]
    x = [(v - m) / s for v, m, s in zip(x, network.center.tolist(), network.spread.tolist())]
    trees = network.trees
    vectors = [_tree_vector(trees, x, g) for g in range(2)]
    tree_score = sum(plain.dot(w, v) for w, v in zip(plain.weights(trees.heads), vectors))
    tree_score = 1.7 * (tree_score + sum(plain.weights(trees.starts)))
    fields = seen["fields"]
    sparse = seen["linear"] + plain.weights(network.bias)[0]
    sparse += sum(plain.dot(fields[i], fields[j]) for i in range(6) for j in range(i))
    sparse += plain.dense(network.out, plain.through(network.deep, plain.flat(fields)))[0]
    w1, w2 = plain.weights(network.mix)
    return vectors, w1 * tree_score + w2 * sparse


@evidence(
    "deepgbm",
    claim="Logits are the mix of the groups' networks on their columns and of DeepFM, row by row",
    against="a plain reading of the paper in Python floats, group by group",
)
def deepgbm_by_hand() -> Check:
    network, batch = _network()
    return Check(
        plain.furthest(network, batch, lambda row: [_parts(network, batch, row)[1]]),
        1e-12,
        "difference",
        "plain reading",
    )


@evidence(
    "deepgbm",
    claim="Both losses of a batch are those of the equations: leaves to what groups add, networks to leaves plus the target's",
    against="loops over rows, groups and trees, weighted; the penalty of the looked-up rows beside the second",
)
def losses() -> Check:
    return Check(largest(_apart_from_loops(l2) for l2 in (0.0, 0.4)), 1e-12, "difference", "loops")


def _apart_from_loops(l2: float) -> float:
    from fivefold.data.batches import Batches
    from fivefold.models.recommend.deepgbm import DeepGBMLearner

    network, batch = _network()
    network.l2 = l2
    y, weight = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]), np.array([1.0, 2.0, 0.0, 1.0, 3.0, 1.0, 0.5])
    only = next(iter(Batches({**batch, "y": y, "weight": weight}, 7, shuffle=False).epoch(0)))
    learner = DeepGBMLearner(network, lambda out, t: (out[:, 0] - t).square(), 0.7)
    found = [(step.part, float(step.loss.detach())) for step in learner.steps(only)]
    trees = network.trees
    omega, values = plain.weights(trees.leaves.weight), trees.values.tolist()
    first, second = [], []
    for row in range(7):
        leaves = batch["leaves"][row].tolist()
        aims = [[sum(omega[n][k] for n in leaves[3 * g : 3 * g + 3]) for k in range(2)] for g in range(2)]
        read = [plain.dot(w, h) + b for w, h, b in zip(plain.weights(trees.heads), aims, plain.weights(trees.starts))]
        sums = [sum(values[n] for n in leaves[3 * g : 3 * g + 3]) / 1.7 for g in range(2)]
        first.append(sum((a - b) ** 2 for a, b in zip(read, sums)) / 2)
        vectors, score = _parts(network, batch, row)
        far = sum((a - b) ** 2 for v, h in zip(vectors, aims) for a, b in zip(v, h)) / 4
        second.append((score - y[row]) ** 2 + 0.7 * far)
    total = weight.sum()
    penalty = float(network.inputs.penalty(batch, l2, network.counts).detach())
    wrong = abs(found[0][1] - np.dot(weight, first) / total) + abs(
        found[1][1] - np.dot(weight, second) / total - penalty
    )
    parts = learner.parts()
    named = {id(p) for p in parts["leaves"]} == {id(trees.leaves.weight), id(trees.heads), id(trees.starts)}
    rest = sum(1 for _ in network.parameters()) == 3 + sum(1 for _ in parts["model"])
    order = [name for name, _ in found] == ["leaves", "model"]
    return float(wrong) + fault(not (named and rest and order))


@evidence(
    "deepgbm",
    claim="A category is the smoothed mean of its target; in training that of rows before it in the order, never with its own",
    against="loops over the rows",
)
def means_by_hand() -> Check:
    from fivefold.base.random import Streams
    from fivefold.models.recommend._distillation import category_means
    from fivefold.models.recommend.deepgbm import DeepGBM

    draw = np.random.default_rng(0)
    inds = np.stack([draw.integers(0, 4, 40), draw.integers(2, 7, 40)], axis=1)  # rows 2 and 3 are shared
    y, weight = draw.normal(size=40), draw.random(40)
    means, prior = category_means(inds, np.arange(2), y, weight, 8)
    worst = [abs(prior - np.dot(weight, y) / weight.sum()), abs(means[7] - prior)]
    for code in range(7):
        members = [(i, f) for i in range(40) for f in range(2) if inds[i, f] == code]
        total, count = sum(weight[i] * y[i] for i, _ in members), sum(weight[i] for i, _ in members)
        worst.append(abs(means[code] - (total + 10 * prior) / (count + 10)))
    # A table whose second column is a number; the rows in ``train`` alone tell the means.
    frame = pl.DataFrame({"a": inds[:, 0], "x": draw.normal(size=40), "y": y})
    how = {**HOW, "features": {"a": "categorical", "x": "numeric"}, "task": "regression", "max_epochs": 1}
    model = DeepGBM(**how).fit(frame, "y")
    rows = model._encode(frame.drop("y"), model.schema_)
    for weighs in (None, weight):
        w = np.ones(40) if weighs is None else weighs
        for train in (slice(None), np.arange(3, 33)):
            members = np.arange(40)[train].tolist()
            found = model._columns(rows, y, weighs, train, Streams(7))
            order = [members[i] for i in Streams(7).numpy("order").permutation(len(members))]
            prior = sum(w[i] * y[i] for i in members) / sum(w[i] for i in members)
            for i in range(40):
                seen = order[: order.index(i)] if i in order else members
                same = [j for j in seen if inds[j, 0] == inds[i, 0]]
                expected = (sum(w[j] * y[j] for j in same) + 10 * prior) / (sum(w[j] for j in same) + 10)
                worst += [abs(found[i, 0] - expected), abs(found[i, 1] - rows["vals"][i, 1])]
    return Check(float(np.max(worst)), 1e-12, "largest difference", "loops")


@evidence(
    "deepgbm",
    claim="Groups hold every tree once, in near equal sizes; their sums give the trees' score, their columns are those of gain",
    against="the fitted trees",
)
def groups() -> Check:
    from fivefold.base.random import Streams
    from fivefold.models.recommend._distillation import TreePlan
    from fivefold.models.trees.boosting.lightgbm import LGBMClassifier

    frame, _ = _table(400)
    x, y = frame.select("a", "b", "item").to_numpy(), frame["click"].to_numpy()
    trees = LGBMClassifier(n_estimators=7, num_leaves=4, random_state=0).fit(x, y)
    plan = TreePlan.of(trees.trees_, 3, 3, 2, Streams(0))
    sizes = sorted((plan.members >= 0).sum(axis=1).tolist())
    wrong = int(sizes != [2, 2, 3]) + int(sorted(plan.members[plan.members >= 0].tolist()) != list(range(7)))
    sums = plan.sums(plan.leaves(trees.apply(x)))
    wrong += not float(np.abs(plan.base + sums.sum(axis=1) - trees.predict_raw(x)[:, 0]).max()) <= 1e-12
    fitted = trees.trees_
    for g in range(3):
        gain = np.zeros(3)
        for t in plan.members[g][plan.members[g] >= 0]:
            for node in range(fitted.offset[t], fitted.offset[t + 1]):
                if fitted.feature[node] >= 0:
                    gain[fitted.feature[node]] += fitted.gain[node]
        wrong += gain[plan.columns[g]].tolist() != sorted(gain.tolist(), reverse=True)[:2]
        wrong += plan.used[g].tolist() != (gain[plan.columns[g]] > 0).astype(float).tolist()
    wrong += TreePlan.of(trees.trees_, 3, 50, 9, Streams(0)).members.shape != (7, 1)
    return Check(wrong, 0, "faults", "the trees")


HOW: dict[str, Any] = {"n_estimators": 20, "num_leaves": 8, "n_groups": 4, "leaf_dim": 4, "tree_sizes": (32, 32)}
HOW |= {"embedding_dim": 4, "hidden_sizes": (8,), "batch_size": 100, "learning_rate": 0.01, "tree_learning_rate": 0.2}


@evidence(
    "deepgbm",
    claim="Leaves tell what trees add but for 1 % of the variance; distilled networks are apart from the leaves' vectors and "
    "the trees' score by less than half of the variance by which the same networks are that learn from the target alone",
    against="the trees and the vectors themselves, on rows kept aside; the networks without distillation as control",
)
def reproduces_the_trees() -> Check:
    frame = _table(2500)[0].with_columns(y=pl.col("a") * pl.col("b")).drop("click")
    leaves, vectors, score = _apart(frame, 10.0)
    _, far, elsewhere = _apart(frame, 0.0)
    return Check(
        largest(leaves / 0.01, 2 * vectors / far, 2 * score / elsewhere), 1.0, "of what is allowed", "the trees"
    )


def _apart(frame: pl.DataFrame, distillation: float) -> list[float]:
    """Return the share of the variance that leaves miss of what trees add, and networks of the leaves and of the score."""
    import torch

    from fivefold.models.recommend.deepgbm import DeepGBM

    how = {**HOW, "learning_rate": 0.02, "distillation": distillation, "max_epochs": 12}
    model = DeepGBM(**how, features=["a", "b"], task="regression").fit(frame[:2000], "y")
    trees, x = model.module_.trees, frame[2000:].drop("y")
    rows = {name: torch.from_numpy(v) for name, v in model._encode(x, model.schema_).items()}
    columns = rows["vals"].double().numpy()
    leaves = torch.from_numpy(model.plan_.leaves(model.teacher_.apply(columns)))
    with torch.no_grad():
        found = trees(model.module_.columns(rows))
        aim, wanted, read = trees.embedded(leaves), trees.sums(leaves).float(), trees.read(found)
        score = torch.from_numpy(model.teacher_.predict(columns) - model.plan_.base) / trees.scale
        pairs = ((trees.read(aim), wanted), (found, aim), (read.sum(1), score))
        return [float((a - b).square().sum() / (b - b.mean(0)).square().sum()) for a, b in pairs]


@evidence(
    "deepgbm",
    claim="A column and a target that do not vary are no division by zero; learning on takes each new row once, in either task; "
    "rows of a reader bring their target unless another is given",
    against="the constant; the steps of the optimizer, counted; a target that turns",
)
def constants_and_passes() -> Check:
    from fivefold.models.recommend.deepgbm import DeepGBM

    frame = _table(120)[0].with_columns(still=pl.lit(2.5))
    how: dict[str, Any] = {**HOW, "n_estimators": 3, "n_groups": 2, "batch_size": 50, "max_epochs": 1}
    model = DeepGBM(**{**how, "learning_rate": 0.0}, features=["a", "still"], task="regression")
    y = np.full(120, 7.0)
    answers = model.fit(frame, y).predict(frame)
    wrong = [not np.isfinite(answers).all(), model.plan_.scale != 1, model.plan_.base != 7]
    wrong += [model.statistics_["spread"][1] != 1, model.statistics_["means"].tolist() != [7, 7]]
    sizes: list[int] = []
    counter = model.module_.trees.register_forward_hook(lambda module, given, out: sizes.append(len(out)))
    model.set_params(learning_rate=0.01).partial_fit(frame, y + 1.0)
    counter.remove()
    wrong += [sizes != [50, 50, 20], model.n_updates_ != 1]
    wrong.append(not np.abs(model.predict(frame) - 8).mean() < np.abs(answers - 8).mean())
    lines = {"inds": np.tile([[0, 2], [1, 2], [0, 3], [1, 3]], (10, 1)), "vals": np.ones((40, 2))}
    one = lines["inds"][:, 0] == 1
    lines["label"] = one.astype(np.float64)
    how |= {"max_epochs": 4, "learning_rate": 0.05}
    for target, sign in ((None, 1), (1 - lines["label"], -1)):
        model = DeepGBM(**how).fit(lines, target)
        before = model.decision_function(lines)
        moved = model.partial_fit(lines, None if sign < 0 else 1 - lines["label"]).decision_function(lines) - before
        wrong.append(not sign * (before[one].mean() - before[~one].mean()) > 0)
        wrong.append(not sign * (moved[one].mean() - moved[~one].mean()) < 0)
    return Check(sum(wrong), 0, "faults", "the constant, counting")


@evidence(
    "deepgbm",
    claim="After the numbers' effect has turned, learning on wins half of the way to the best ranking; before it was below .5",
    against="the known probabilities of rows to come; the trees as they were",
)
def learns_after_a_drift() -> Check:
    from sklearn.metrics import roc_auc_score

    from fivefold.models.recommend.deepgbm import DeepGBM

    model = DeepGBM(**HOW, max_epochs=4).fit(_table(1500)[0], "click")
    new, p = _table(4000, seed=1, sign=-1.0)
    y = new["click"].to_numpy()[3000:]
    before = roc_auc_score(y, model.predict_proba(new[3000:])[:, 1])
    for start in range(0, 3000, 1000):
        model.partial_fit(new[start : start + 1000], "click")
    after = roc_auc_score(y, model.predict_proba(new[3000:])[:, 1])
    best = roc_auc_score(y, p[3000:])
    won = (after - before) / (best - before)
    return Check(
        float(won) if before < 0.5 else -math.inf, 0.5, "share of the way", "known probabilities", at_least=True
    )
