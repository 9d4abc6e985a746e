"""What the evidence of the machines shares: random sparse rows, plain training, gradients by differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Score = Callable[[Any, list[tuple[int, int, float]]], float]
"""(theta, pairs (index, field, value) of a row) -> score."""


def rows_of(seed: int = 0, n: int = 6, d: int = 9, fields: int = 3) -> tuple[Any, list[list[tuple[int, int, float]]]]:
    """Return rows as the machines hold them and as lists of (index, field, value); one row is empty, one has a single pair."""
    from fivefold.models.recommend._machines import Rows

    draw = np.random.default_rng(seed)
    lists: list[list[tuple[int, int, float]]] = []
    for r in range(n):
        size = {0: 0, 1: 1}.get(r, int(draw.integers(2, 6)))
        inds = draw.choice(d, size, replace=False).tolist()
        lists.append([(i, i % fields, float(draw.normal())) for i in inds])
    flat = [pair for row in lists for pair in row]
    offsets = np.cumsum([0, *(len(row) for row in lists)])
    inds, codes, vals = (np.array(column) for column in zip(*flat))
    return Rows(offsets.astype(np.int64), inds.astype(np.int32), vals, codes.astype(np.int32)), lists


def primed(model: Any, size: int, seed: int = 1, d: int = 9, fields: int = 3) -> Any:
    """Return the model as if it were fitted, with random parameters."""
    model.n_features_in_, model.n_fields_ = d, fields
    model.theta_ = np.random.default_rng(seed).normal(size=size) * 0.5
    return model


def score_difference(model: Any, score: Score) -> float:
    """Return the largest difference of the model's scores from the plain ones."""
    rows, lists = rows_of()
    found = model._scores(rows)
    expected = np.array([score(model.theta_.tolist(), row) for row in lists])
    return float(np.abs(found - expected).max()) if np.isfinite(found).all() else math.inf


def loss(value: float, y: float, logistic: bool) -> float:
    """Return the cross-entropy of a logit, or half the squared error."""
    return math.log1p(math.exp(-value)) + (1 - y) * value if logistic else 0.5 * (value - y) ** 2


def gradient_difference(model: Any, score: Score) -> float:
    """Return the largest difference between a tiny step of SGD on one row and the gradient by central differences."""
    rows, lists = rows_of()
    worst = []
    for task in ("binary", "regression"):
        for r, y in ((0, 1.0), (1, 0.0), (3, 1.0), (5, 0.3)):
            model.set_params(task=task)
            theta = model.theta_.copy()
            weight, rate = np.linspace(0.5, 1.5, len(lists)), 1e-7
            how, state = (0, rate, 0.0, 0.0, 0.0, 0.0, 0.0), (np.zeros(len(theta)), np.zeros(len(theta)))
            model._pass(rows.taken(np.array([r])), np.array([y]), weight[[r]], state, how)
            step, model.theta_ = (theta - model.theta_) / rate, theta
            slopes = []
            for i in range(len(theta)):
                ends = []
                for move in (1e-5, -1e-5):
                    near = theta.copy()
                    near[i] += move
                    ends.append(loss(score(near.tolist(), lists[r]), y, task == "binary"))
                slopes.append(weight[r] * (ends[0] - ends[1]) / 2e-5)
            worst.append(float(np.abs(step - np.array(slopes)).max()))
    return float(np.max(worst))


def rule_difference(solver: str) -> float:
    """Return how far 5 steps of a rule on one parameter, of each penalty, are from the rule in plain numbers."""
    from fivefold.models.recommend._machines_kernels import moved

    kind = {"sgd": 0, "adagrad": 1, "ftrl": 2}[solver]
    rate, l1, l2, beta = 0.3, 0.2 if solver == "ftrl" else 0.0, 0.1, 1.5
    how = (kind, rate, beta, l1, l2, 2 * l1, 3 * l2)
    worst = []
    for penalty, a, b in ((0, 0.0, 0.0), (1, l1, l2), (2, 2 * l1, 3 * l2)):
        found, square, total = 0.7, 1.0, -1.0
        w, n, z = 0.7, 1.0, -1.0
        for g in (0.5, -1.2, 0.01, 2.0, -0.3):
            found, square, total = moved(found, square, total, g, how, penalty)
            if solver == "sgd":
                w -= rate * (g + b * w)
            elif solver == "adagrad":
                n += (g + b * w) ** 2
                w -= rate * (g + b * w) / math.sqrt(n)
            else:
                z += g - (math.sqrt(n + g * g) - math.sqrt(n)) / rate * w
                n += g * g
                w = 0.0 if abs(z) <= a else -(z - math.copysign(a, z)) / ((beta + math.sqrt(n)) / rate + b)
            worst.append(abs(found - w))
    return float(np.max(worst))


def planted(n: int, seed: int = 0) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a table of two categories and a flag whose clicks follow a product, the clicks and their probabilities."""
    import polars as pl

    draw = np.random.default_rng(seed)
    a, b = draw.integers(0, 12, n), draw.integers(0, 12, n)
    u, v = draw.choice([-1.0, 1.0], 12), draw.choice([-1.0, 1.0], 12)
    p = 1 / (1 + np.exp(-2 * u[a] * v[b] - 0.5 * u[a]))
    y = (draw.random(n) < p).astype(int)
    return pl.DataFrame({"a": a, "b": b, "c": draw.integers(0, 2, n)}), y, p


def lift(model: Any) -> float:
    """Return the share of the way from a linear model to the best possible ranking that a model goes on planted pairs."""
    from sklearn.metrics import roc_auc_score

    from fivefold.models.recommend.factorization_machine import FactorizationMachine

    frame, y, p = planted(5000)
    scores = []
    for m in (FactorizationMachine(embedding_dim=0, max_iter=5), model):
        m.fit(frame[:3500], y[:3500])
        scores.append(roc_auc_score(y[3500:], m.predict_proba(frame[3500:])[:, 1]))
    return float((scores[1] - scores[0]) / (roc_auc_score(y[3500:], p[3500:]) - scores[0]))
