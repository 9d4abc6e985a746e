"""Evidence for the field-aware factorization machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault

from . import _machines as machines
from . import _plain as plain


def _score(theta: Any, row: Any) -> float:
    total = theta[0] + sum(theta[1 + i] * x for i, _, x in row)
    for p, (i, f, x) in enumerate(row):
        for j, g, z in row[p + 1 :]:
            one = [theta[10 + (i * 3 + g) * 2 + k] for k in range(2)]
            other = [theta[10 + (j * 3 + f) * 2 + k] for k in range(2)]
            total += plain.dot(one, other) * x * z
    return total


def _model() -> Any:
    from fivefold.models.recommend.field_aware import FieldAwareFM

    return machines.primed(FieldAwareFM(embedding_dim=2), 1 + 9 + 9 * 3 * 2)


@evidence(
    "field-aware-fm",
    claim="Scores are first-order weights and, for each pair, each feature's vector for the other's field",
    against="every pair in a loop, in Python floats",
)
def ffm_by_hand() -> Check:
    return Check(machines.score_difference(_model(), _score), 1e-12, "largest difference of scores", "all pairs")


@evidence(
    "field-aware-fm",
    claim="A step follows the gradient of the weighted cross-entropy and squared error by every parameter",
    against="central differences of the plain loss",
)
def ffm_gradient() -> Check:
    return Check(machines.gradient_difference(_model(), _score), 1e-6, "largest difference", "differences")


@evidence(
    "field-aware-fm",
    claim="ESPN, Nike and Male have the three terms w_EA w_NP, w_EG w_MP and w_NG w_MA",
    against="the example of the paper",
)
def espn_nike_male() -> Check:
    from fivefold.models.recommend.field_aware import FieldAwareFM

    model = FieldAwareFM(embedding_dim=2)
    lines = {"inds": np.array([[0, 1, 2]]), "vals": np.ones((1, 3))}  # publisher, advertiser, gender
    draw = np.random.default_rng(0)
    w = draw.normal(size=(3, 3, 2))  # feature, the other's field, K
    machines.primed(model, 1 + 3 + 18, d=3)
    model.theta_ = np.concatenate([np.zeros(4), w.reshape(-1)])
    espn, nike, male = w
    expected = espn[1] @ nike[0] + espn[2] @ male[0] + nike[2] @ male[1]
    found = model.decision_function(lines)
    terms = []
    for lost in range(3):
        two = {
            "inds": np.delete(lines["inds"], lost, 1),
            "vals": np.ones((1, 2)),
            "fields": np.delete([[0, 1, 2]], lost, 1),
        }
        terms.append(model.decision_function(two)[0])
    wrong = abs(found[0] - expected) + abs(sum(terms) - expected)
    return Check(float(wrong), 1e-12, "difference", "three terms")


@evidence(
    "field-aware-fm",
    claim="The learner gives the core's scores with its parameters; both hold K numbers a feature and field; it learns pairs",
    against="the other form; the arithmetic; the known probabilities",
)
def ffm_forms() -> Check:
    import torch

    from fivefold.models.recommend.field_aware import FieldAwareFM, FieldAwareFMLearner, FieldAwareNetwork

    frame, y, _ = machines.planted(60)
    core = FieldAwareFM(max_iter=3).fit(frame, y)
    d = core.n_features_in_
    wrong = float(core.n_parameters_ != 1 + d + d * 3 * 4)
    layout, _ = plain.problem()
    start = FieldAwareNetwork(layout, 200).inputs.table.weight.detach()[:, :1200].double()
    # Of 30,000 normal numbers mean and spread lie within 5 standard errors.
    wrong += fault(not (abs(start.mean()) <= 0.1 * 5 / 30_000**0.5 and abs(start.std() / 0.1 - 1) <= 5 / 60_000**0.5))
    learner = FieldAwareFMLearner(max_epochs=1, precision="64-true").fit(frame, y)
    wrong += float(plain.count(learner.module_) != 1 + d * (3 * 4 + 1))
    with torch.no_grad():
        table = learner.module_.inputs.table.weight
        table[:, :12] = torch.from_numpy(core.theta_[1 + d :].reshape(d, 12))
        table[:, 12] = torch.from_numpy(core.theta_[1 : 1 + d])
        learner.module_.bias.fill_(core.theta_[0])
    wrong += float(np.abs(learner.decision_function(frame) - core.decision_function(frame)).max())
    wrong += float(not machines.lift(FieldAwareFM()) >= 0.9)
    return Check(wrong, 1e-10, "difference", "the other form")
