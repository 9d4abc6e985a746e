"""Evidence for the factorization machine."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault

from . import _machines as machines
from . import _plain as plain


def _score(theta: Any, row: Any) -> float:
    vectors = [[theta[10 + i * 2 + f] * x for f in range(2)] for i, _, x in row]
    total = theta[0] + sum(theta[1 + i] * x for i, _, x in row)
    return total + sum(plain.dot(a, b) for a, b in itertools.combinations(vectors, 2))


def _model(**options: Any) -> Any:
    from fivefold.models.recommend.factorization_machine import FactorizationMachine

    return machines.primed(FactorizationMachine(embedding_dim=2, **options), 1 + 9 + 18)


@evidence(
    "factorization-machine",
    claim="The identity in O(d F) equals the sum over all pairs, for rows of no, one and several features",
    against="every pair in a loop, in Python floats",
)
def identity() -> Check:
    return Check(machines.score_difference(_model(), _score), 1e-12, "largest difference of scores", "all pairs")


@evidence(
    "factorization-machine",
    claim="A step follows the gradient of the weighted cross-entropy and squared error by every parameter",
    against="central differences of the plain loss",
)
def gradient() -> Check:
    return Check(machines.gradient_difference(_model(), _score), 1e-6, "largest difference", "differences")


@evidence(
    "factorization-machine",
    claim="SGD, AdaGrad and FTRL step a parameter, penalized or not, as their formulas say",
    against="the formulas in Python floats",
)
def rules() -> Check:
    return Check(
        float(np.max([machines.rule_difference(s) for s in ("sgd", "adagrad", "ftrl")])),
        1e-12,
        "difference",
        "formulas",
    )


@evidence(
    "factorization-machine",
    claim="Two passes over table rows end in the parameters of plain training: order, sums that start at 1 or in FTRL's form",
    against="the same passes in Python floats",
)
def training() -> Check:
    from fivefold.base.random import Streams
    from fivefold.models.recommend.factorization_machine import FactorizationMachine

    frame, y, _ = machines.planted(12)
    weight = np.linspace(0.5, 2, 12)
    worst = []
    for solver, l1, task in (("adagrad", 0.0, "binary"), ("ftrl", 0.05, "binary"), ("sgd", 0.0, "regression")):
        options: dict[str, Any] = {
            "embedding_dim": 2,
            "init_std": 0.3,
            "l2": 0.03,
            "l2_pairs": 0.02,
            "max_iter": 2,
            "random_state": 5,
        }
        model = FactorizationMachine(solver=solver, l1=l1 / 2, l1_pairs=l1, task=task, **options).fit(frame, y, weight)
        rows, d = model._rows(frame), model.n_features_in_
        theta = np.zeros(1 + 3 * d)
        theta[1 + d :] = Streams(5).child("start").numpy("vectors").normal(size=2 * d) * 0.3
        squares = np.full(len(theta), float(solver == "adagrad"))
        sums = -(1.0 / 0.1 + 0.02) * theta - l1 * np.sign(theta)
        for epoch in range(2):
            for r in Streams(5).numpy("order", epoch).permutation(12):
                inds, vals = rows.inds[3 * r : 3 * r + 3], rows.vals[3 * r : 3 * r + 3]
                v = theta[1 + d :].reshape(d, 2)
                total = vals @ v[inds]
                z = theta[0] + theta[1 + inds] @ vals
                z += sum((v[i] * v[j]).sum() * a * b for (i, a), (j, b) in itertools.combinations(zip(inds, vals), 2))
                g = weight[r] * ((1 / (1 + np.exp(-z)) if task == "binary" else z) - y[r])
                steps = [(0, g, 0.0, 0.0)] + [(1 + i, g * x, l1 / 2, 0.03) for i, x in zip(inds, vals)]
                for i, x in zip(inds, vals):
                    steps += [(1 + d + 2 * i + f, g * x * (total[f] - x * v[i, f]), l1, 0.02) for f in range(2)]
                for place, slope, a, b in steps:
                    _step(solver, theta, squares, sums, place, slope, a, b)
        worst.append(float(np.abs(theta - model.theta_).max()) if np.isfinite(model.theta_).all() else np.inf)
        worst.append(float(model.n_parameters_ != 1 + 3 * d) + float(model.n_iter_ != 2))
    return Check(float(np.max(worst)), 1e-12, "largest difference of parameters", "plain training")


def _step(solver: str, theta: Any, squares: Any, sums: Any, place: int, slope: float, a: float, b: float) -> None:
    w = theta[place]
    if solver == "sgd":
        theta[place] -= 0.1 * (slope + b * w)
        return
    if solver == "adagrad":
        squares[place] += (slope + b * w) ** 2
        theta[place] -= 0.1 * (slope + b * w) / np.sqrt(squares[place])
        return
    sums[place] += slope - (np.sqrt(squares[place] + slope**2) - np.sqrt(squares[place])) / 0.1 * w
    squares[place] += slope**2
    z = sums[place]
    theta[place] = 0.0 if abs(z) <= a else -(z - np.sign(z) * a) / ((1.0 + np.sqrt(squares[place])) / 0.1 + b)


@evidence(
    "factorization-machine",
    claim="Rows brought together three at a time, by the same thread or another, give the parameters of rows brought together "
    "at once, with fields and without",
    against="itself with another number",
)
def together() -> Check:
    from unittest import mock

    from fivefold.models.recommend import _machines
    from fivefold.models.recommend.factorization_machine import FactorizationMachine
    from fivefold.models.recommend.field_aware import FieldAwareFM

    frame, y, _ = machines.planted(40)
    worst = []
    for model in (FactorizationMachine(max_iter=2), FieldAwareFM(max_iter=2)):
        theta = model.fit(frame, y).theta_
        for threads in (1, 2):
            few = mock.patch.object(_machines, "TOGETHER", 3)
            with few, mock.patch.object(_machines.numba, "get_num_threads", return_value=threads):
                worst.append(float(np.abs(model.fit(frame, y).theta_ - theta).max()))
        worst.append(fault(not np.abs(theta).max() > 0.01))
    return Check(float(np.max(worst)), 0, "largest difference", "at once")


@evidence(
    "factorization-machine",
    claim="With `normalize` every row counts as itself divided by its length, in training and answers, rows of zeros as "
    "they are; half-normal vectors are the normal ones without their signs",
    against="the same rows divided by hand; absolute values",
)
def lengths_and_starts() -> Check:
    import scipy.sparse

    from fivefold.models.recommend.bilinear import BilinearFM
    from fivefold.models.recommend.factorization_machine import FactorizationMachine
    from fivefold.models.recommend.field_aware import FieldAwareFM

    draw = np.random.default_rng(3)
    matrix = draw.normal(size=(30, 7)) * (draw.random((30, 7)) < 0.4)
    matrix[4] = 0
    y = (draw.random(30) < 0.5).astype(int)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    by_hand = scipy.sparse.csr_matrix(matrix / np.where(lengths > 0, lengths, 1))
    plain = FactorizationMachine(max_iter=3, init_std=0.3).fit(by_hand, y)
    model = FactorizationMachine(max_iter=3, init_std=0.3, normalize=True).fit(scipy.sparse.csr_matrix(matrix), y)
    wrong = [float(np.abs(model.theta_ - plain.theta_).max())]
    answers = plain.decision_function(by_hand)
    wrong.append(float(np.abs(model.decision_function(scipy.sparse.csr_matrix(matrix)) - answers).max()))
    wrong.append(fault(not np.ptp(answers) > 0.01))
    frame, clicks, _ = machines.planted(12)
    for kind in (FactorizationMachine, FieldAwareFM, BilinearFM):
        how: dict[str, Any] = {"init_std": 0.2, "learning_rate": 1e-300, "max_iter": 1}
        normal, half = (kind(init=init, **how).fit(frame, clicks).theta_ for init in ("normal", "half-normal"))
        wrong.append(float(np.abs(np.abs(normal) - half).max()) + fault(not normal.min() < 0))
    return Check(float(np.max(wrong)), 1e-12, "difference", "by hand")


@evidence(
    "factorization-machine",
    claim="FTRL takes up the vectors and matrices it starts from: rows of zeros move the bias alone, whatever the penalties",
    against="the start",
)
def start_of_ftrl() -> Check:
    from fivefold.base.random import Streams
    from fivefold.models.recommend.bilinear import BilinearFM
    from fivefold.models.recommend.factorization_machine import FactorizationMachine
    from fivefold.models.recommend.field_aware import FieldAwareFM

    rows = {"inds": np.array([[0, 1], [2, 3]]), "vals": np.zeros((2, 2)), "label": np.array([0, 1])}
    how: dict[str, Any] = {"solver": "ftrl", "l1": 0.3, "l2": 0.7, "l2_pairs": 2.0, "init_std": 0.5, "random_state": 1}
    wrong = []
    for kind in (FactorizationMachine, FieldAwareFM, BilinearFM):
        model = kind(max_iter=2, **how).fit(rows)
        start = model._start(Streams(1).child("start"))
        wrong.append(float(np.abs(model.theta_[1:] - start[1:]).max()) + fault(not np.ptp(start) > 0.5))
        wrong.append(fault(not abs(model.theta_[0]) > 1e-4))
    return Check(float(np.max(wrong)), 1e-12, "difference", "the start")


@evidence(
    "factorization-machine",
    claim="A table, its columns in a mapping, its matrix and its libsvm lines of fixed and free length give one model, and the "
    "learner its scores",
    against="itself on another form; the network with the same parameters",
)
def forms() -> Check:
    import polars as pl
    import torch

    from fivefold.data.readers_sparse import MultiFieldReader
    from fivefold.models.recommend.factorization_machine import FactorizationMachine, FactorizationMachineLearner

    frame, y, _ = machines.planted(40)
    frame = frame.with_columns(x=pl.Series(np.random.default_rng(0).normal(size=40)), s=pl.lit("p|q"))
    features = {"a": "categorical", "b": "categorical", "c": "categorical", "x": "numeric", "s": "set"}
    options: dict[str, Any] = {"embedding_dim": 3, "max_iter": 3}
    table = FactorizationMachine(features=features, **options).fit(frame, y)
    rows = table._rows(frame)
    lines = []
    for r, label in enumerate(y.tolist()):
        pairs = zip(rows.inds[6 * r : 6 * r + 6].tolist(), rows.vals[6 * r : 6 * r + 6].tolist())
        lines.append(" ".join([str(label), *(f"{i}:{v!r}" for i, v in pairs)]))
    free, fixed = MultiFieldReader(), MultiFieldReader(field_size=6)
    found = free.read(lines)
    size = table.n_features_in_ - int(rows.inds.max()) - 1
    wrong = float(size != 0)
    models = [
        FactorizationMachine(**options).fit(found),
        FactorizationMachine(**options).fit(fixed.read(lines)),
        FactorizationMachine(**options).fit(free.matrix(found), y),
        FactorizationMachine(features=features, **options).fit(frame.to_dict(as_series=False), y),
    ]
    wrong += float(np.max([np.abs(m.theta_ - table.theta_).max() for m in models]))
    wrong += float(np.abs(models[2].predict_proba(free.matrix(found)) - table.predict_proba(frame)).max())
    plainly = {k: v for k, v in features.items() if k != "s"}
    core = FactorizationMachine(features=plainly, **options).fit(frame, y)
    learner = FactorizationMachineLearner(features=plainly, embedding_dim=3, max_epochs=1, precision="64-true").fit(
        frame, y
    )
    d = core.n_features_in_
    with torch.no_grad():
        learner.module_.inputs.table.weight[:, :3] = torch.from_numpy(core.theta_[1 + d :].reshape(d, 3))
        learner.module_.inputs.table.weight[:, 3] = torch.from_numpy(core.theta_[1 : 1 + d])
        learner.module_.bias.fill_(core.theta_[0])
    wrong += float(np.abs(learner.decision_function(frame) - core.decision_function(frame)).max())
    return Check(wrong, 1e-10, "largest difference", "another form")


@evidence(
    "factorization-machine",
    claim="Members of a set share the value 1, an unknown one too, whose row is the first of all; none has none",
    against="the rows of four sets, written by hand",
)
def set_rows() -> Check:
    import polars as pl

    from fivefold.models.recommend.factorization_machine import FactorizationMachine

    train = pl.DataFrame({"s": ["p|q", "q", "p", "p|q"]})
    model = FactorizationMachine(features={"s": "set"}, embedding_dim=2, max_iter=1).fit(train, np.array([0, 1, 0, 1]))
    known = model._rows(train)
    p, q = known.inds[:2].tolist()
    rows = model._rows(pl.DataFrame({"s": ["p|new", "new", "", "q"]}))
    wrong = fault(sorted((p, q)) != [1, 2] or model.n_features_in_ != 3)
    wrong += fault(known.offsets.tolist() != [0, 2, 3, 4, 6] or known.vals.tolist() != [0.5, 0.5, 1.0, 1.0, 0.5, 0.5])
    wrong += fault(rows.offsets.tolist() != [0, 2, 3, 3, 4] or rows.vals.tolist() != [0.5, 0.5, 1.0, 1.0])
    wrong += fault(rows.inds.tolist() != [p, 0, 0, q])
    return Check(wrong, 0, "faults", "by hand")


@evidence(
    "factorization-machine",
    claim="On planted pairs it goes 90 % of the way from the linear model to the best possible ranking",
    against="the known probabilities",
)
def learns_pairs() -> Check:
    from fivefold.models.recommend.factorization_machine import FactorizationMachine

    return Check(
        machines.lift(FactorizationMachine(embedding_dim=4, init_std=0.1)), 0.9, "share", "Bayes rule", at_least=True
    )
