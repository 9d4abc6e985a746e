"""Boosting beside LightGBM, XGBoost and scikit-learn: the same trees where sums are exact."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence


def _worst(values: list[float]) -> float:
    """Return the largest value; NaN stays NaN."""
    return float(np.max(np.array(values)))


def _table(
    name: str, n: int = 1500, missing: float = 0.0, columns: int = 6
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return columns of fewer than 200 distinct values, targets in sixty-fourths and weights in sixteenths."""
    rng = Streams(11).numpy(name)
    X = rng.integers(1, 200, (n, 6)) / 4.0
    X[:, 5] = rng.integers(1, 9, n)
    y = np.sin(X[:, 0]) * 2 + X[:, 1] * X[:, 2] / 500 + (X[:, 5] == 3) + rng.normal(size=n)
    weight = np.round(rng.uniform(0.5, 2.0, n) * 16) / 16
    X = np.column_stack([X, rng.integers(1, 200, (n, columns - 6)) / 4.0])
    if missing:
        X[rng.random(X.shape) < missing] = np.nan
    return X, np.round(y * 64) / 64, weight


def _lightgbm_nodes(model: Any) -> np.ndarray:
    """Return (tree, feature, threshold, gain, count) of the splits, in order."""
    frame = model.booster_.trees_to_dataframe()
    frame = frame[frame.split_gain.notna()]
    feature = frame.split_feature.str[7:].astype(int)
    rows = zip(frame.tree_index, feature, frame.threshold, frame.split_gain, frame["count"], strict=True)
    return np.array(sorted(rows), dtype=float)


def _nodes(model: Any) -> np.ndarray:
    trees = model.trees_
    number = np.repeat(np.arange(len(trees)), np.diff(trees.offset))
    k = trees.feature >= 0
    rows = zip(number[k], trees.feature[k], trees.threshold[k], trees.gain[k], trees.count[k], strict=True)
    return np.array(sorted(rows), dtype=float)


@evidence(
    "lightgbm",
    claim="Trees equal LightGBM's split by split: column, threshold, gain, rows, on four tables, with missing values too",
    against="LightGBM",
    peer="lightgbm",
)
def same_trees_as_lightgbm() -> Check:
    import lightgbm

    from fivefold.models.trees import LGBMRegressor

    wrong = []
    for name, missing, columns, params in (
        ("plain", 0.0, 6, {}),
        ("missing", 0.2, 6, {"learning_rate": 0.5, "reg_lambda": 1.5}),
        ("deep", 0.1, 6, {"num_leaves": 40, "max_depth": 7, "min_child_samples": 7}),
        ("wide", 0.1, 70, {}),
    ):
        X, y, _ = _table(name, missing=missing, columns=columns)
        shared: dict[str, Any] = {"n_estimators": 3, "min_data_in_bin": 1, **params}
        ours = LGBMRegressor(**shared).fit(X, y)
        peer = lightgbm.LGBMRegressor(verbose=-1, n_jobs=1, **shared).fit(X, y)
        mine, theirs = _nodes(ours), _lightgbm_nodes(peer)
        if mine.shape != theirs.shape:
            return Check(np.inf, 1e-6, "trees of other sizes", "LightGBM")
        wrong.append(np.abs(mine[:, :3] - theirs[:, :3]).max() * 1e3)
        wrong.append(float((mine[:, 4] != theirs[:, 4]).sum()))
        # LightGBM stores gains as float32 and sums gradients of float32.
        wrong.append(np.abs(mine[:, 3] / theirs[:, 3] - 1).max() * 1e-2)
        wrong.append(np.abs(ours.predict(X) - peer.predict(X)).max())
    return Check(_worst(wrong), 1e-6, "largest difference", "LightGBM")


def _against_lightgbm(cases: list[tuple[str, Any, Any, dict[str, Any], Any]]) -> Check:
    wrong = [
        np.abs(
            ours.fit(X, y, **fit).predict(X, raw_score=True) - peer.fit(X, y, **fit).predict(X, raw_score=True)
        ).max()
        for _, ours, peer, fit, (X, y) in cases
    ]
    return Check(_worst(wrong), 1e-6, "largest difference of raw scores", "LightGBM")


@evidence("lightgbm", claim="Each loss gives LightGBM's raw scores", against="LightGBM", peer="lightgbm")
def losses_as_lightgbm() -> Check:
    import lightgbm

    from fivefold.models.trees import LGBMClassifier, LGBMRegressor

    X, y, weight = _table("losses", n=800)
    # Where Hessians vary, LightGBM estimates the rows of a leaf; a bound on Hessians decides alike on both sides.
    shared: dict[str, Any] = {
        "n_estimators": 3, "num_leaves": 8, "min_child_samples": 1, "min_child_weight": 7.6, "min_data_in_bin": 1,
    }  # fmt: skip
    hidden = {"verbose": -1, "n_jobs": 1}
    cases = []
    for objective, target in (
        ("regression", y),
        ("huber", y),
        ("poisson", np.floor(np.exp(y / 3))),
        ("gamma", np.exp(y)),
        ("tweedie", np.where(y > 0, np.exp(y), 0.0)),
    ):
        params = {**shared, "objective": objective}
        for fit in ({}, {"sample_weight": weight}):
            peer = lightgbm.LGBMRegressor(**params, **hidden)
            cases.append((objective, LGBMRegressor(**params), peer, fit, (X, target)))
    for extra in ({}, {"reg_alpha": 1.0}, {"reg_lambda": 2.0}, {"boost_from_average": False}):
        params = {**shared, **extra}
        peer = lightgbm.LGBMClassifier(**params, **hidden)
        cases.append(("binary", LGBMClassifier(**params), peer, {}, (X, y > 2)))
    many = np.digitize(y, [1, 2, 3])
    cases.append(("multiclass", LGBMClassifier(**shared), lightgbm.LGBMClassifier(**shared, **hidden), {}, (X, many)))
    return _against_lightgbm(cases)


@evidence(
    "lightgbm",
    claim="Categorical splits, monotone and interaction constraints give LightGBM's raw scores",
    against="LightGBM",
    peer="lightgbm",
)
def constraints_as_lightgbm() -> Check:
    import lightgbm

    from fivefold.models.trees import LGBMRegressor

    X, y, _ = _table("constraints", n=3000)
    X[:, 4] = Streams(3).numpy("levels").integers(0, 40, len(X))
    y = y + np.round(Streams(3).numpy("effects").normal(size=41) * 64)[X[:, 4].astype(int)] / 64
    shared: dict[str, Any] = {"n_estimators": 3, "min_data_in_bin": 1}
    hidden = {"verbose": -1, "n_jobs": 1}
    cases: list[Any] = []
    for params in (
        {"monotone_constraints": [1, 1, 0, 0, 0, -1], "num_leaves": 15},
        {"interaction_constraints": [[0, 1], [2, 3, 4, 5]]},
    ):
        peer = lightgbm.LGBMRegressor(**shared, **params, **hidden)
        cases.append(("", LGBMRegressor(**shared, **params), peer, {}, (X, y)))
    ours = LGBMRegressor(**shared, categorical_feature=[4, 5]).fit(X, y)
    peer = lightgbm.LGBMRegressor(**shared, **hidden).fit(X, y, categorical_feature=[4, 5])
    check = _against_lightgbm(cases)
    used = np.count_nonzero(ours.trees_.level_offset >= 0)
    gap = np.abs(ours.predict(X) - peer.predict(X)).max()
    return Check(_worst([float(check.value), gap, 0.0 if used > 3 else 1.0]), 1e-6, "largest difference", "LightGBM")


@evidence(
    "lightgbm", claim="AUC and log loss by round and the best round are LightGBM's", against="LightGBM", peer="lightgbm"
)
def history_as_lightgbm() -> Check:
    import lightgbm

    from fivefold.models.trees import LGBMClassifier

    X, y, _ = _table("history", n=1200)
    shared: dict[str, Any] = {
        "n_estimators": 40, "num_leaves": 8, "min_child_samples": 1, "min_child_weight": 5.0, "min_data_in_bin": 1,
        "learning_rate": 0.4, "early_stopping_rounds": 4,
    }  # fmt: skip
    label = (y > 2).astype(int)
    held = [(X[800:], label[800:])]
    ours = LGBMClassifier(metric=["auc", "logloss"], **shared).fit(X[:800], label[:800], eval_set=held)
    peer = lightgbm.LGBMClassifier(metric=["auc", "binary_logloss"], verbose=-1, n_jobs=1, **shared)
    peer.fit(X[:800], label[:800], eval_X=held[0][0], eval_y=held[0][1])
    theirs = peer.evals_result_["valid_0"]
    mine = ours.evals_result_["valid_0"]
    wrong = [
        np.abs(np.array(mine["auc"]) - theirs["auc"]).max(),
        np.abs(np.array(mine["logloss"]) - theirs["binary_logloss"]).max(),
        float(ours.best_iteration_ != peer.best_iteration_),
        np.abs(ours.predict_proba(held[0][0]) - peer.predict_proba(held[0][0])).max(),
    ]
    return Check(_worst(wrong), 1e-6, "largest difference", "LightGBM")


def _xgboost_gap(ours: Any, peer: Any, X: np.ndarray, y: np.ndarray, weight: Any = None) -> float:
    ours.fit(X, y, weight)
    peer.fit(X, y, sample_weight=weight)
    method = "predict_proba" if hasattr(ours, "predict_proba") else "predict"
    return float(np.abs(getattr(ours, method)(X) - getattr(peer, method)(X)).max())


@evidence(
    "xgboost",
    claim="Predictions equal XGBoost's: exact and histogram, pruning, penalties, constraints, weights, missing values",
    against="xgboost",
    peer="xgboost",
)
def predictions_as_xgboost() -> Check:
    import xgboost

    from fivefold.models.trees import XGBClassifier, XGBRegressor

    shared: dict[str, Any] = {"n_estimators": 4, "max_depth": 4, "base_score": 0.5}
    X, y, weight = _table("xgboost", n=700, missing=0.2)
    real = Streams(2).numpy("real").normal(size=X.shape).astype(np.float32)
    real[::5, 1] = np.nan
    wrong = []
    for extra in (
        {},
        {"gamma": 4.0},
        {"reg_alpha": 2.0, "reg_lambda": 3.0},
        {"max_delta_step": 0.2},
        {"min_child_weight": 20.0},
        {"monotone_constraints": (1, 1, 0, 0, 0, -1)},
        {"learning_rate": 0.9},
    ):
        for method, table in (("exact", real), ("exact", X), ("hist", X)):
            params = {**shared, **extra, "tree_method": method}
            wrong.append(_xgboost_gap(XGBRegressor(**params), xgboost.XGBRegressor(n_jobs=1, **params), table, y))
    for method in ("exact", "hist"):
        params = {**shared, "tree_method": method}
        wrong.append(_xgboost_gap(XGBRegressor(**params), xgboost.XGBRegressor(n_jobs=1, **params), X, y, weight))
        for target in ((y > 2).astype(int), np.digitize(y, [1, 2, 3])):
            peer = xgboost.XGBClassifier(n_jobs=1, **params)
            wrong.append(_xgboost_gap(XGBClassifier(**params), peer, X, target))
    params = {**shared, "grow_policy": "lossguide", "max_leaves": 9, "max_depth": 0}
    wrong.append(_xgboost_gap(XGBRegressor(**params), xgboost.XGBRegressor(n_jobs=1, **params), X, y))
    return Check(_worst(wrong), 2e-6, "largest difference (XGBoost predicts float32)", "xgboost")


@evidence(
    "xgboost-approximate-split",
    claim="AUC on held-out rows is near XGBoost's tree_method='approx'",
    against="xgboost",
    peer="xgboost",
)
def approximate_auc() -> Check:
    import xgboost
    from sklearn.metrics import roc_auc_score

    from fivefold.models.trees import ApproximateXGBClassifier

    rng = Streams(8).numpy("auc")
    X = rng.normal(size=(4000, 5)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=4000) > 0).astype(int)
    shared: dict[str, Any] = {"n_estimators": 20, "max_depth": 4, "learning_rate": 0.3}
    peer = xgboost.XGBClassifier(tree_method="approx", max_bin=33, n_jobs=1, **shared).fit(X[:2000], y[:2000])
    theirs = roc_auc_score(y[2000:], peer.predict_proba(X[2000:])[:, 1])
    gaps = []
    for proposals in ("global", "local"):
        ours = ApproximateXGBClassifier(proposals=proposals, **shared).fit(X[:2000], y[:2000])
        gaps.append(abs(roc_auc_score(y[2000:], ours.predict_proba(X[2000:])[:, 1]) - theirs))
    # The standard error of the AUC of 2,000 rows is about 0.01; the two share the rows.
    return Check(_worst(gaps), 0.01, "difference of AUC", "xgboost tree_method='approx'")


@evidence(
    "gradient-boosting-machine",
    claim="Predictions equal scikit-learn's for squared, logistic, exponential and softmax loss",
    against="scikit-learn GradientBoosting*",
)
def predictions_as_sklearn() -> Check:
    from sklearn.ensemble import GradientBoostingClassifier as PeerClassifier
    from sklearn.ensemble import GradientBoostingRegressor as PeerRegressor

    from fivefold.models.trees import GradientBoostingClassifier, GradientBoostingRegressor

    X, y, weight = _table("friedman", n=900)
    wrong = []
    for extra in (
        {},
        {"max_depth": 2, "learning_rate": 0.4},
        {"max_leaf_nodes": 6, "max_depth": None},
        {"min_samples_leaf": 9},
        {"min_samples_split": 80},
    ):
        params: dict[str, Any] = {"n_estimators": 6, "max_depth": 3, **extra}
        for w in (None, weight):
            peer = PeerRegressor(random_state=0, **params).fit(X, y, w)
            for finder in ("histogram", "exact") if params["max_depth"] else ("histogram",):
                ours = GradientBoostingRegressor(split_finder=finder, **params).fit(X, y, w)
                wrong.append(np.abs(ours.predict(X) - peer.predict(X)).max())
        for loss in ("log_loss", "exponential"):
            label = (y > 2).astype(int)
            theirs = PeerClassifier(random_state=0, loss=loss, **params).fit(X, label, weight)
            mine = GradientBoostingClassifier(loss=loss, **params).fit(X, label, weight)
            wrong.append(np.abs(mine.predict_proba(X) - theirs.predict_proba(X)).max())
    return Check(_worst(wrong), 1e-9, "largest difference", "scikit-learn")
