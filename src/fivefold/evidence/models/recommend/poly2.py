"""Evidence for the degree-2 polynomial model."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence

from . import _machines as machines


def _score(theta: Any, row: Any) -> float:
    place = {pair: 10 + k for k, pair in enumerate(itertools.combinations_with_replacement(range(9), 2))}
    total = theta[0] + sum(theta[1 + i] * x for i, _, x in row)
    for p, (i, _, x) in enumerate(row):
        for j, _, z in row[p:]:
            total += theta[place[min(i, j), max(i, j)]] * x * z
    return total


def _model() -> Any:
    from fivefold.models.recommend.poly2 import Poly2

    model = machines.primed(Poly2(), 1 + 9 + 45)
    model._touched = np.zeros(45, dtype=bool)
    return model


@evidence(
    "poly2",
    claim="Scores are the weights of all products i <= j in the order of the upper triangle; steps follow the gradient",
    against="every pair in a loop; central differences of the plain loss",
)
def poly2_by_hand() -> Check:
    score = machines.score_difference(_model(), _score)
    slope = machines.gradient_difference(_model(), _score)
    return Check(score / 1e-12 + slope / 1e-6, 1.0, "differences in units of 1e-12 and 1e-6", "plain reading")


@evidence(
    "poly2",
    claim="Scores are those of the expanded columns with the same weights, and training comes near the best loss on them",
    against="scikit-learn PolynomialFeatures and LogisticRegression",
)
def expanded_columns() -> Check:
    import scipy.sparse
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import PolynomialFeatures

    from fivefold.models.recommend.poly2 import Poly2

    draw = np.random.default_rng(0)
    x = draw.normal(size=(300, 4))
    y = (draw.random(300) < 1 / (1 + np.exp(-(x[:, 0] * x[:, 1] + x[:, 2] ** 2 - 1)))).astype(int)
    model = Poly2(max_iter=60, l2=0.0, learning_rate=0.1).fit(scipy.sparse.csr_matrix(x), y)
    columns = PolynomialFeatures(2).fit_transform(x)
    same = float(np.abs(columns @ model.theta_ - model.decision_function(scipy.sparse.csr_matrix(x))).max())
    best = LogisticRegression(C=1e6, max_iter=500).fit(columns, y)
    ours = log_loss(y, model.predict_proba(scipy.sparse.csr_matrix(x)))
    excess = ours / log_loss(y, best.predict_proba(columns)) - 1
    return Check(
        max(same / 1e-10, excess / 0.02) if np.isfinite(ours) else np.inf, 1.0, "of 1e-10 and of 2 %", "scikit-learn"
    )


@evidence(
    "poly2",
    claim="Pairs that never met keep the weight 0 and are counted; a factorization machine ranks unseen pairs, this cannot",
    against="the pairs of the training rows; the known probabilities",
)
def starves() -> Check:
    from sklearn.metrics import roc_auc_score

    from fivefold.models.recommend.factorization_machine import FactorizationMachine
    from fivefold.models.recommend.poly2 import Poly2

    frame, y, _ = machines.planted(6000)
    a, b = frame["a"].to_numpy(), frame["b"].to_numpy()
    unseen = (a + b) % 4 == 0
    train = np.flatnonzero(~unseen)
    poly = Poly2(features=["a", "b"]).fit(frame[train], y[train])
    rows, d = poly._rows(frame[train]), poly.n_features_in_
    met = {
        tuple(sorted(p))
        for i, j in zip(rows.inds[::2].tolist(), rows.inds[1::2].tolist())
        for p in ((i, j), (i, i), (j, j))
    }
    wrong = int(poly.n_pairs_trained_ != len(met)) + int(np.count_nonzero(poly.theta_[1 + d :]) > len(met))
    wrong += int(poly.n_parameters_ != 1 + d + d * (d + 1) // 2) + int(hasattr(poly, "_touched"))
    machine = FactorizationMachine(features=["a", "b"], embedding_dim=4, init_std=0.1).fit(frame[train], y[train])
    rest = np.flatnonzero(unseen)
    scores = [roc_auc_score(y[rest], m.predict_proba(frame[rest])[:, 1]) for m in (poly, machine)]
    return Check(float(scores[1] - scores[0]) - wrong, 0.1, "gain in area on pairs never seen", "Poly2", at_least=True)


@evidence(
    "poly2",
    claim="Hashed pairs share so many weights as there are buckets, at the place that the hash names, whatever their order",
    against="the hash in Python integers",
)
def hashed_pairs() -> Check:
    from fivefold.models.recommend.poly2 import Poly2

    model = machines.primed(Poly2(buckets=7), 1 + 9 + 7)
    rows, lists = machines.rows_of()
    expected = []
    for row in lists:
        total = model.theta_[0] + sum(model.theta_[1 + i] * x for i, _, x in row)
        for p, (i, _, x) in enumerate(row):
            for j, _, z in row[p:]:
                total += model.theta_[10 + (min(i, j) * 2654435761 + max(i, j)) % 7] * x * z
        expected.append(total)
    wrong = float(np.abs(model._scores(rows) - np.array(expected)).max())
    small = Poly2()
    small.n_features_in_ = 5792
    large = Poly2()
    large.n_features_in_ = 5793
    wrong += small._pairs() != (5792 * 5793 // 2, 0) or large._pairs() != (2**24, 2**24)
    frame, y, _ = machines.planted(50)
    fitted = Poly2(buckets=5).fit(frame, y)
    wrong += fitted.n_parameters_ != 1 + fitted.n_features_in_ + 5
    return Check(wrong, 1e-12, "difference", "Python integers")
