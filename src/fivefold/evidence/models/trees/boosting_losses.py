"""What boosting minimizes and measures: weights, pairs of a ranking, metrics, constants of the losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


@evidence(
    "lightgbm",
    claim="Weight 2 equals a row given twice, weight 0 a row left out, also where bins are quantiles of 900 values",
    against="repeated rows",
)
def weights_are_repetitions_in_bins() -> Check:
    from fivefold.models.trees import LGBMClassifier, LGBMRegressor

    rng = Streams(21).numpy("weights")
    X = rng.normal(size=(900, 3))
    X[:, 2] = rng.integers(0, 12, 900)
    X[::9, 1] = np.nan
    y = np.round(16 * (X[:, 0] ** 2 + rng.normal(size=900))) / 16
    weight = rng.integers(0, 4, 900).astype(float)
    twice = np.repeat(np.arange(900), weight.astype(int))
    shared: dict[str, Any] = {
        "n_estimators": 2, "min_child_samples": 1, "min_data_in_bin": 1, "max_bin": 20, "categorical_feature": [2],
        "cat_smooth": 0.0, "min_data_per_group": 1,
    }  # fmt: skip
    worst = 0.0
    for make, target in ((LGBMRegressor, y), (LGBMClassifier, y > 1)):
        weighted = make(**shared).fit(X, target, weight)
        repeated = make(**shared).fit(X[twice], target[twice])
        worst = largest(worst, float(np.abs(weighted.predict_raw(X) - repeated.predict_raw(X)).max()))
        cuts = zip(weighted.bins_.cuts, repeated.bins_.cuts, strict=True)
        worst = largest(worst, *(float(np.abs(a - b).max()) if len(a) == len(b) else np.inf for a, b in cuts))
    plain = LGBMRegressor(**shared).fit(X, y)
    moved = np.abs(plain.bins_.cuts[0] - repeated.bins_.cuts[0]).max()
    return Check(worst if moved > 0 else np.inf, 1e-7, "largest difference of raw scores and bounds")


def _pairs(y: np.ndarray, s: np.ndarray, truncation: int) -> tuple[np.ndarray, np.ndarray]:
    """Return gradients and Hessians of one query, pair by pair."""
    n = len(y)
    order = np.argsort(-s, kind="stable")
    rank = np.empty(n, dtype=int)
    rank[order] = np.arange(n)
    ideal = np.sort(2.0**y - 1)[::-1][:truncation]
    best = float((ideal / np.log2(np.arange(len(ideal)) + 2)).sum())
    g, h, total = np.zeros(n), np.zeros(n), 0.0
    if best == 0:
        return g, h
    for i in range(n):
        for j in range(n):
            if y[i] <= y[j] or min(rank[i], rank[j]) >= truncation:
                continue
            swap = (2.0 ** y[i] - 2.0 ** y[j]) * abs(1 / np.log2(rank[i] + 2) - 1 / np.log2(rank[j] + 2)) / best
            if s.max() > s.min():
                swap /= 0.01 + abs(s[i] - s[j])
            rho = 1 / (1 + np.exp(s[i] - s[j]))
            g[i], g[j] = g[i] - rho * swap, g[j] + rho * swap
            h[[i, j]] += rho * (1 - rho) * swap
            total += 2 * rho * swap
    factor = np.log2(1 + total) / total if total > 0 else 1.0
    return g * factor, h * factor


@evidence(
    "lightgbm", claim="LambdaRank's gradients and Hessians are the sums over pairs of each query", against="pairs"
)
def lambdas_by_pairs() -> Check:
    from fivefold.models.trees.boosting._ranking import LambdaRank

    rng = Streams(22).numpy("pairs")
    sizes = np.array([1, 5, 40, 3, 12])
    y = rng.integers(0, 4, sizes.sum()).astype(float)
    y[6:9] = 0
    y[46:49] = 0.0  # a query in which nothing is relevant
    worst = 0.0
    for scale in (1.0, 0.0):
        s = np.round(rng.normal(size=len(y)), 1) * scale
        weight = rng.uniform(0.5, 2, len(y))
        edges = np.concatenate([[0], np.cumsum(sizes)])
        truth = [_pairs(y[a:b], s[a:b], 30) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        g, h = np.empty((1, len(y))), np.empty((1, len(y)))
        LambdaRank(sizes).gradients(y, s[None], weight, g, h, 1)
        for got, part in ((g, 0), (h, 1)):
            worst = largest(worst, float(np.abs(got[0] / weight - np.concatenate([t[part] for t in truth])).max()))
    return Check(worst, 1e-12, "largest difference")


@evidence(
    "lightgbm",
    claim="The ranker orders queries as LightGBM's does: NDCG of held-out queries",
    against="LightGBM",
    peer="lightgbm",
)
def ranking_as_lightgbm() -> Check:
    import lightgbm
    from sklearn.metrics import ndcg_score

    from fivefold.models.trees import LGBMRanker

    rng = Streams(23).numpy("ranking")
    X = rng.normal(size=(3000, 4))
    y = np.clip(np.round(X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=3000) / 2 + 1), 0, 4)
    group = np.full(120, 25)
    params: dict[str, Any] = {"n_estimators": 25, "num_leaves": 8, "min_child_samples": 5}
    ours = LGBMRanker(**params).fit(X, y, group=group)
    peer = lightgbm.LGBMRanker(verbose=-1, n_jobs=1, **params).fit(X, y, group=group)
    X = rng.normal(size=(3000, 4))
    truth = np.clip(np.round(X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=3000) / 2 + 1), 0, 4)
    told = [
        ndcg_score(
            2.0 ** truth.reshape(120, 25) - 1, np.asarray(m.predict(X)).reshape(120, 25) - 1e-9 * np.arange(25), k=5
        )
        for m in (ours, peer)
    ]
    wrong = abs(ours.score(X, truth, group=group) - told[0]) * 1e9
    # The standard error of the mean NDCG of 120 queries is about 0.015; the two share the queries.
    return Check(largest(abs(told[0] - told[1]), wrong), 0.015, "difference of NDCG at 5", "LightGBM")


@evidence(
    "lightgbm", claim="Metrics of evaluation sets are scikit-learn's, with weights and ties", against="sklearn.metrics"
)
def metrics_as_sklearn() -> Check:
    from sklearn import metrics as peer

    from fivefold.models.trees.boosting import _losses as losses
    from fivefold.models.trees.boosting._metrics import METRICS

    rng = Streams(24).numpy("metrics")
    n = 200
    y, raw = (rng.random(n) > 0.4).astype(float), np.round(rng.normal(size=(1, n)), 1)
    many, scores = rng.integers(0, 3, n).astype(float), rng.normal(size=(3, n))
    values = rng.normal(size=n)
    p = 1 / (1 + np.exp(-raw[0]))
    P = np.exp(scores) / np.exp(scores).sum(axis=0)
    two, three, one = losses.Logistic(), losses.Softmax(3), losses.Squared()
    worst = 0.0
    for weight in (None, rng.uniform(0.2, 2, n)):
        w = {"sample_weight": weight}
        for name, target, score, loss, truth in (
            ("auc", y, raw, two, peer.roc_auc_score(y, raw[0], **w)),
            ("logloss", y, raw, two, peer.log_loss(y, p, **w)),
            ("loss", y, raw, two, peer.log_loss(y, p, **w)),
            ("error", y, raw, two, 1 - peer.accuracy_score(y, p > 0.5, **w)),
            ("multi_logloss", many, scores, three, peer.log_loss(many, P.T, **w)),
            ("multi_error", many, scores, three, 1 - peer.accuracy_score(many, P.argmax(axis=0), **w)),
            ("l2", values, raw, one, peer.mean_squared_error(values, raw[0], **w)),
            ("rmse", values, raw, one, peer.root_mean_squared_error(values, raw[0], **w)),
            ("l1", values, raw, one, peer.mean_absolute_error(values, raw[0], **w)),
        ):
            got = METRICS[name][1](target, score, weight, loss, None)
            worst = largest(worst, abs(got - float(truth)))
    higher = {name for name, (_, _, up) in METRICS.items() if up}
    worst = largest(worst, float(higher != {"auc", "ndcg"}))
    one_class = METRICS["auc"][1](np.ones(4), raw[:, :4], None, two, None)
    return Check(largest(worst, abs(one_class - 1)), 1e-12, "largest difference", "scikit-learn")


@evidence(
    "gradient-boosting-machine", claim="Each loss begins with its best constant", against="derivative zero, quantiles"
)
def best_constants() -> Check:
    from fivefold.models.trees.boosting import _losses as losses

    rng = Streams(33).numpy("constants")
    y, label, many = rng.uniform(0.1, 3, 60), (rng.random(60) > 0.3).astype(float), rng.integers(0, 3, 60).astype(float)
    worst = 0.0
    for weight in (None, rng.uniform(0.5, 2, 60)):
        for loss, target in (
            (losses.Squared(), y), (losses.Poisson(0.7), y), (losses.Gamma(), y), (losses.Tweedie(1.3), y),
            (losses.Logistic(), label), (losses.Exponential(), label), (losses.Softmax(3), many),
        ):  # fmt: skip
            raw = np.repeat(loss.start(target, weight)[:, None], 60, axis=1)
            g, h = np.empty_like(raw), np.empty_like(raw)
            loss.gradients(target, raw, weight, g, h, 1)
            worst = largest(worst, float(np.abs(g.sum(axis=1)).max()))
            if loss.n_outputs == 1 and weight is not None:
                plain, half = np.empty_like(raw), np.empty_like(raw)
                loss.gradients(target, raw, None, plain, half, 1)
                worst = largest(worst, float(np.abs(g - weight * plain).max()), float(np.abs(h - weight * half).max()))
    for level in (0.1, 0.5, 0.83):
        got = losses.Quantile(level).start(y, None)[0]
        worst = largest(worst, abs(got - np.quantile(y, level)))
    worst = largest(worst, abs(losses.Absolute().start(y, None)[0] - np.median(y)))
    values, times = np.array([9.0, 1.0, 3.0, 2.0, -5.0]), np.array([3.0, 2.0, 1.0, 4.0, 0.0])
    for level in (0.05, 0.1, 0.3, 0.5, 0.58, 0.65, 0.72, 0.95):
        truth = np.quantile(np.repeat(values, times.astype(int)), level)
        worst = largest(worst, abs(losses.quantile_of(values, times, level) - truth))
        even = losses.quantile_of(values, np.full(5, 0.25), level)
        worst = largest(worst, abs(even - np.quantile(values, level)))
    return Check(worst, 1e-9, "derivative or difference")
