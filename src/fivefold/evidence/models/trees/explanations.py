"""TreeSHAP and the refit of leaves."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest

from .lightgbm_files import table as holes
from .lightgbm_files import targets


def _value(trees: Any, t: int, x: np.ndarray, known: frozenset[int]) -> float:
    """Return the mean of a tree over its training rows, given some columns of a row."""

    def below(node: int) -> float:
        i = trees.offset[t] + node
        f = trees.feature[i]
        if f < 0:
            return float(trees.value[i])
        left, right = int(trees.left[i]), int(trees.right[i])
        if f in known:
            goes_left = trees.missing_left[i] if np.isnan(x[f]) else x[f] <= trees.threshold[i]
            return below(left if goes_left else right)
        rows = trees.count[trees.offset[t] + np.array([left, right])]
        return float((rows[0] * below(left) + rows[1] * below(right)) / rows.sum())

    return below(0)


def _shapley(trees: Any, x: np.ndarray) -> np.ndarray:
    """Return Shapley values by all subsets: (K, d + 1)."""
    d, K = len(x), trees.n_outputs
    out = np.zeros((K, d + 1))
    out[:, d] = trees.base
    for t in range(len(trees)):
        worth = {
            known: _value(trees, t, x, known)
            for size in range(d + 1)
            for known in map(frozenset, itertools.combinations(range(d), size))
        }
        out[t % K, d] += worth[frozenset()]
        for known, value in worth.items():
            for f in range(d):
                if f not in known:
                    weight = math.factorial(len(known)) * math.factorial(d - len(known) - 1) / math.factorial(d)
                    out[t % K, f] += weight * (worth[known | {f}] - value)
    return out


@evidence(
    "lightgbm",
    claim="TreeSHAP equals Shapley values by all subsets of the columns, for one output and three, and for fewer rounds",
    against="brute force",
)
def shap_by_subsets() -> Check:
    from fivefold.models.trees import LGBMClassifier, LGBMRegressor

    rng = Streams(81).numpy("subsets")
    X = rng.normal(size=(200, 5))
    X[rng.random(X.shape) < 0.1] = np.nan
    y = np.nansum(X[:, :3], axis=1) * 2 + np.nan_to_num(X[:, 3] * X[:, 4])
    settings = {"n_estimators": 3, "num_leaves": 12, "min_child_samples": 2}
    worst = []
    one = LGBMRegressor(**settings).fit(X, y)
    three = LGBMClassifier(**settings).fit(X, np.digitize(y, [-1, 1]))
    odd = np.vstack([X[:4], np.full(5, np.nan)])
    flat, many = one.predict(odd, pred_contrib=True), three.predict(odd, pred_contrib=True)
    values, several = one.shap_values(odd), three.shap_values(odd)
    short = one.predict(odd, pred_contrib=True, num_iteration=1)
    for r, x in enumerate(odd):
        exact = _shapley(one.trees_, x)[0]
        worst.append(np.abs(flat[r] - exact).max())
        worst.append(np.abs(values[r] - exact[:-1]).max() + abs(one.expected_value - exact[-1]))
        exact = _shapley(three.trees_, x)
        worst.append(np.abs(many[r].reshape(3, 6) - exact).max())
        worst.append(np.abs(several[r].T - exact[:, :-1]).max() + np.abs(three.expected_value - exact[:, -1]).max())
        worst.append(np.abs(short[r] - _shapley(one.trees_.head(1), x)[0]).max())
    return Check(largest(worst), 1e-12, "max |ours - brute force|", "all subsets")


@evidence(
    "lightgbm",
    claim="TreeSHAP equals LightGBM's pred_contrib on its own trees: missing values, zeros as missing, categories, classes",
    against="lightgbm Booster.predict(pred_contrib=True)",
    peer="lightgbm",
)
def shap_as_lightgbm() -> Check:
    import lightgbm

    from fivefold.models.trees.boosting.lightgbm_text import read_lightgbm

    X, score, odd = holes("shap")
    worst = []
    common = {"num_leaves": 15, "verbose": -1, "min_data_per_group": 5, "cat_smooth": 1, "cat_l2": 0, "num_threads": 1}
    for job in (
        {"objective": "regression"},
        {"objective": "binary", "zero_as_missing": True},
        {"objective": "multiclass", "num_class": 3},
    ):
        data = lightgbm.Dataset(X, targets(str(job["objective"]), score), categorical_feature=[2])
        booster = lightgbm.train({**common, **job}, data, 5)
        theirs = booster.predict(odd, pred_contrib=True, num_threads=1)
        ours = read_lightgbm(booster).predict(odd, pred_contrib=True)
        worst.append(np.abs(ours - theirs).max())
        worst.append(float(ours.shape != theirs.shape))
    return Check(largest(worst), 1e-9, "max |ours - peer|", "lightgbm Booster.predict")


@evidence(
    "lightgbm",
    claim="Contributions sum to the raw score where paths hold thirty columns; threads and tables in pieces change nothing",
    against="the raw score; the same in one piece",
)
def shap_sums() -> Check:
    import scipy.sparse as sp

    from fivefold.models.trees import LGBMRegressor
    from fivefold.models.trees.boosting import _shap

    rng = Streams(82).numpy("deep")
    d = 30
    X = (rng.random((4096, d)) < 0.9).astype(float)
    first = np.where((X == 0).any(axis=1), X.argmin(axis=1), d)  # each column is asked only where the ones before are 1
    y = (first * 7 % 31).astype(float)
    model = LGBMRegressor(n_estimators=2, num_leaves=64, min_child_samples=1, learning_rate=0.7).fit(X, y)
    rows = np.vstack([X[:150], np.ones((1, d)), rng.normal(size=(49, d))])
    table = model.columns_.transform(model, rows)
    values = _shap.contributions(model.trees_, table, 2)
    wrong = [np.abs(values.sum(axis=(1, 2)) - model.predict_raw(rows)[:, 0]).max()]
    deepest = np.diff(_shap._paths(model.trees_)[2]).max()
    wrong.append(float(deepest < 20))
    step, _shap._STEP = _shap._STEP, 37
    try:
        wrong.append(float(not np.array_equal(_shap.contributions(model.trees_, sp.csr_matrix(table), 2), values)))
    finally:
        _shap._STEP = step
    threads, _shap.numba.get_num_threads = _shap.numba.get_num_threads, lambda: 3
    try:
        wrong.append(float(not np.array_equal(_shap.contributions(model.trees_, table, 2), values)))
    finally:
        _shap.numba.get_num_threads = threads
    alone = LGBMRegressor(n_estimators=1, min_child_samples=4096).fit(X, y)
    nothing = alone.predict(rows, pred_contrib=True)
    wrong.append(np.abs(nothing[:, :-1]).max() + np.abs(nothing[:, -1] - y.mean()).max())
    return Check(largest(wrong), 1e-9, "largest fault", "the raw score")


@evidence(
    "lightgbm",
    claim="Refitted leaves are LightGBM's: decay, penalties, limited steps, weights, leaves without rows, four losses",
    against="lightgbm Booster.refit",
    peer="lightgbm",
)
def refit_as_lightgbm() -> Check:
    import lightgbm

    from fivefold.models.trees.boosting.lightgbm_text import read_lightgbm

    X, score, odd = holes("refit")
    fresh, later, _ = holes("later", n=90)  # so few rows that leaves stay empty
    worst = []
    common = {"num_leaves": 15, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    for job, decay in (
        ({"objective": "regression"}, 0.9),
        ({"objective": "regression", "lambda_l1": 2.0, "lambda_l2": 3.0}, 0.4),
        ({"objective": "binary", "max_delta_step": 0.5, "learning_rate": 0.3}, 0.5),
        ({"objective": "multiclass", "num_class": 3}, 0.0),
        ({"objective": "poisson"}, 0.9),
    ):
        name = str(job["objective"])
        booster = lightgbm.train({**common, **job}, lightgbm.Dataset(X, targets(name, score)), 5)
        weight = Streams(83).numpy(name).integers(1, 4, len(later)).astype(float)
        for own in (None, weight):
            y = targets(name, later)
            theirs = booster.refit(fresh, y, decay_rate=decay, weight=own).predict(odd, raw_score=True, num_threads=1)
            ours = read_lightgbm(booster).refit(fresh, y, decay_rate=decay, sample_weight=own)
            worst.append(np.abs(ours.predict(odd, raw_score=True) - theirs).max())
    # LightGBM keeps gradients as 32-bit floats.
    return Check(largest(worst), 1e-5, "max |ours - peer|", "lightgbm Booster.refit")


@evidence(
    "lightgbm",
    claim="A refit on the same rows without decay changes nothing, one with full decay neither; half of it is half the way",
    against="the model itself",
)
def refit_fixed_points() -> Check:
    from fivefold.models.trees import GradientBoostingClassifier, LGBMClassifier, LGBMRegressor, XGBRegressor

    X, score, odd = holes("fixed")
    y = targets("binary", score)
    wrong = []
    weight = np.where(np.arange(len(y)) % 3 == 0, 2.0, 1.0)
    for model, target in (
        (LGBMRegressor(n_estimators=4, num_leaves=6, reg_lambda=2.0), score),
        (LGBMRegressor(n_estimators=4, num_leaves=6, objective="regression_l1", learning_rate=1.0), score),
        (LGBMClassifier(n_estimators=4, num_leaves=6, class_weight="balanced", scale_pos_weight=3.0), y),
        (XGBRegressor(n_estimators=4, max_depth=3, reg_alpha=1.0), score),
        (GradientBoostingClassifier(n_estimators=4, max_depth=2), y),
    ):
        model.fit(X, target, sample_weight=weight)
        before = model.predict_raw(odd)
        wrong.append(np.abs(model.refit(X, target, 0.0, weight).predict_raw(odd) - before).max())
        shifted = target if model.__class__.__name__.endswith("Classifier") else target + 3
        wrong.append(np.abs(model.refit(X, shifted, 1.0, weight).predict_raw(odd) - before).max())
        wrong.append(np.abs(model.predict_raw(odd) - before).max())
    one = LGBMRegressor(n_estimators=1, num_leaves=6).fit(X, score)
    ends = [one.refit(X, score + 3, decay).predict(odd) for decay in (0.0, 0.5, 0.9, 1.0)]
    wrong.append(np.abs((ends[0] + ends[3]) / 2 - ends[1]).max())
    wrong.append(np.abs(one.refit(X, score + 3).predict(odd) - ends[2]).max())  # 0.9 is the default
    wrong.append(float(np.abs(ends[0] - ends[3]).max() < 0.1))
    # Gradients of a fit are rounded to 30 bits.
    return Check(largest(wrong), 1e-7, "largest difference", "the model itself")
