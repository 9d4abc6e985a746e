"""Evidence for the bilinear factorization machines."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence

from . import _machines as machines
from . import _plain as plain

LEVELS = ("all", "each", "interaction")


def _scorer(sharing: str) -> Callable[[Any, Any], float]:
    def score(theta: Any, row: Any) -> float:
        total = theta[0] + sum(theta[1 + i] * x for i, _, x in row)
        for (i, f, x), (j, g, z) in itertools.combinations(row, 2):
            number = {"all": 0, "each": f, "interaction": f * 3 + g}[sharing]
            for a, b in itertools.product(range(2), range(2)):
                w = theta[28 + number * 4 + a * 2 + b]
                total += theta[10 + 2 * i + a] * w * theta[10 + 2 * j + b] * x * z
        return total

    return score


def _model(sharing: str) -> Any:
    from fivefold.models.recommend.bilinear import BilinearFM

    count = {"all": 1, "each": 3, "interaction": 9}[sharing]
    return machines.primed(BilinearFM(sharing=sharing, embedding_dim=2), 1 + 9 + 18 + 4 * count)


@evidence(
    "bilinear-ffm",
    claim="Scores with one matrix, one a field and one a pair of fields are v_i^T W v_j over all pairs",
    against="every pair in a loop, in Python floats",
)
def bilinear_by_hand() -> Check:
    found = [machines.score_difference(_model(s), _scorer(s)) for s in LEVELS]
    return Check(float(np.max(found)), 1e-12, "largest difference of scores", "all pairs")


@evidence(
    "bilinear-ffm",
    claim="A step follows the gradient of the loss by vectors and matrices",
    against="central differences of the plain loss",
)
def bilinear_gradient() -> Check:
    found = [machines.gradient_difference(_model(s), _scorer(s)) for s in LEVELS]
    return Check(float(np.max(found)), 1e-6, "largest difference", "differences")


@evidence(
    "bilinear-ffm",
    claim="At K = 10 and 39 fields there are 100, 3,900 and 152,100 parameters more than a factorization machine's, which is "
    "38 times fewer than a field-aware one's; the start is a factorization machine",
    against="the arithmetic of the source; the factorization machine with the same vectors",
)
def bilinear_parameters() -> Check:
    from fivefold.base.random import Streams
    from fivefold.models.recommend.bilinear import BilinearFM, BilinearNetwork, n_matrices
    from fivefold.models.recommend.factorization_machine import FactorizationMachine

    wrong = float([n_matrices(s, 39) * 100 for s in LEVELS] != [100, 3900, 152100])
    layout, _ = plain.problem()
    for sharing in LEVELS:
        model = machines.primed(BilinearFM(sharing=sharing, embedding_dim=2), 1)
        model.theta_ = model._start(Streams(0))
        wrong += len(model.theta_) != 28 + 4 * n_matrices(sharing, 3)
        same = machines.primed(FactorizationMachine(embedding_dim=2), 1)
        same.theta_ = model.theta_[:28]
        rows, _ = machines.rows_of()
        wrong += not float(np.abs(model._scores(rows) - same._scores(rows)).max()) <= 1e-12
        network = BilinearNetwork(layout, sharing, True, dim=3)
        wrong += plain.count(network) != 25 * 4 + 1 + 9 * n_matrices(sharing, 6)
    # Behind layer norm, vectors of length sqrt(K), the matrices start at 0.01 N(0, 1): no pair counts at first.
    spread = BilinearNetwork(layout, "interaction", True, dim=8).matrices.std().item()
    wrong += not 0.009 <= spread <= 0.011
    fm, ffm = 2.3e6 * 10, 2.3e6 * 10 * 39
    wrong += not abs(ffm / 1e6 - 897) <= 0.1 or not abs((fm + 152100) / ffm - 0.026) <= 0.001
    return Check(wrong, 0, "counts that differ", "arithmetic")


@evidence(
    "bilinear-ffm",
    claim="The learner's logits, with and without layer norm, at all three levels",
    against="a plain reading in Python floats",
)
def bilinear_learner() -> Check:
    from fivefold.models.recommend.bilinear import BilinearNetwork

    layout, batch = plain.problem()
    worst = []
    for sharing, norm in itertools.product(LEVELS, (False, True)):
        network = plain.randomized(BilinearNetwork(layout, sharing, norm, dim=3))

        def score(row: int, network: Any = network, sharing: str = sharing, norm: bool = norm) -> list[float]:
            seen = plain.row_of(network, batch, row)
            fields = [np.array(e) for e in seen["fields"]]
            if norm:
                fields = [(e - e.mean()) / np.sqrt(e.var() + 1e-5) for e in fields]
            matrices = network.matrices.detach().numpy()
            total = seen["linear"] + plain.weights(network.bias)[0]
            for i, j in itertools.combinations(range(6), 2):
                total += fields[i] @ matrices[{"all": 0, "each": i, "interaction": i * 6 + j}[sharing]] @ fields[j]
            return [float(total)]

        worst.append(plain.furthest(network, batch, score))
    return Check(float(np.max(worst)), 1e-12, "largest difference of logits", "plain reading")


@evidence(
    "bilinear-ffm",
    claim="On planted pairs every level goes 90 % of the way from the linear model to the best possible ranking",
    against="the known probabilities",
)
def bilinear_learns() -> Check:
    from fivefold.models.recommend.bilinear import BilinearFM

    found = [machines.lift(BilinearFM(sharing=s, embedding_dim=4)) for s in LEVELS]
    return Check(float(np.min(found)), 0.9, "share", "Bayes rule", at_least=True)
