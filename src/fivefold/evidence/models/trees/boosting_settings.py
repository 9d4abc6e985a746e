"""Settings of boosting one by one: draws of rows and columns, losses by name, starting scores, importances, bins."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def _table(n: int = 600, d: int = 8, seed: int = 41) -> tuple[np.ndarray, np.ndarray]:
    rng = Streams(seed).numpy("settings")
    X = rng.integers(1, 90, (n, d)) / 4.0
    return X, np.round(64 * (X[:, 0] * X[:, 1] / 40 + np.sin(X[:, 2]) + rng.normal(size=n))) / 64


@evidence(
    "lightgbm", claim="Rounds draw floor(share n) rows and round(share d) columns, anew where asked", against="counts"
)
def rows_and_columns_drawn() -> Check:
    from fivefold.models.trees import GradientBoostingRegressor, LGBMRegressor, XGBRegressor

    X, y = _table(n=601)
    wrong = 0.0
    model = LGBMRegressor(n_estimators=6, subsample=0.37, subsample_freq=2, min_child_samples=5, random_state=0).fit(
        X, y
    )
    roots = model.trees_.offset[:-1]
    wrong += float((model.trees_.count[roots] != 222).sum())
    # Rows stay the same for two rounds: raw sums of gradients of the root are those of the same 222 rows.
    whole = LGBMRegressor(n_estimators=6, subsample=0.37, min_child_samples=5, random_state=0).fit(X, y)
    wrong += float((whole.trees_.count[whole.trees_.offset[:-1]] != 601).sum())
    held = GradientBoostingRegressor(n_estimators=4, n_iter_no_change=9, validation_fraction=0.23, random_state=0)
    held.fit(X, y)
    wrong += float((held.trees_.count[held.trees_.offset[:-1]] != 601 - 138).sum())
    wrong += float(list(held.evals_result_) != ["held_out"])
    for share, most in ((0.4, 3), (0.05, 1)):
        few = (
            LGBMRegressor(n_estimators=12, colsample_bytree=share, min_child_samples=5, random_state=0).fit(X, y).trees_
        )
        used = [set(few.feature[a:b].tolist()) - {-1} for a, b in zip(few.offset[:-1], few.offset[1:], strict=True)]
        wrong += float(max(len(u) for u in used) != most) + float(len(set().union(*used)) <= most)
    by_level = XGBRegressor(n_estimators=5, max_depth=4, colsample_bylevel=0.13, random_state=0).fit(X, y).trees_
    by_node = XGBRegressor(n_estimators=5, max_depth=4, colsample_bynode=0.13, random_state=0).fit(X, y).trees_
    levels = [[set[int]() for _ in range(4)] for _ in range(5)]
    others = [[set[int]() for _ in range(4)] for _ in range(5)]
    for trees, found in ((by_level, levels), (by_node, others)):
        for t in range(5):
            at, depth = [0], 0
            while at and depth < 4:
                k = [int(trees.offset[t]) + node for node in at]
                found[t][depth] |= {int(trees.feature[i]) for i in k} - {-1}
                at = [int(c) for i in k if trees.feature[i] >= 0 for c in (trees.left[i], trees.right[i])]
                depth += 1
    # 13 % of 8 columns is one column: one for each level, or one for each node.
    wrong += float(max(len(s) for t in levels for s in t) != 1) + float(len(set().union(*sum(levels, []))) < 4)
    wrong += float(not max(len(s) for t in others for s in t) >= 2)
    return Check(wrong, 0, "counts that differ")


@evidence(
    "xgboost",
    claim="`draw` keeps max(1, floor(share k)) of k columns, each choice equally likely",
    against="frequencies",
)
def column_draws_are_even() -> Check:
    from fivefold.models.trees.boosting._grow import draw

    n = 3000
    chosen = np.zeros(10)
    pairs = np.zeros((10, 10))
    wrong = 0.0
    for counter in range(n):
        mask = np.ones(10, dtype=np.bool_)
        mask[4] = False
        draw(mask, 0.35, 7, 8, counter)
        wrong += abs(int(mask.sum()) - 3) + float(mask[4])
        chosen += mask
        pairs += np.outer(mask, mask)
    # Of 9 columns 3: a column comes up in a third of the draws, a pair in 3 * 2 / (9 * 8); 5 standard errors.
    open_ = np.arange(10) != 4
    single = np.abs(chosen[open_] / n - 1 / 3).max() / (5 * np.sqrt(2 / 9 / n))
    both = pairs[np.ix_(open_, open_)][np.triu_indices(9, 1)] / n
    double = np.abs(both - 1 / 12).max() / (5 * np.sqrt(11 / 144 / n))
    return Check(largest(wrong, float(single) - 1, float(double) - 1), 0, "excess over 5 standard errors")


@evidence(
    "lightgbm",
    claim="Least gain, limited steps and depth give LightGBM's raw scores",
    against="LightGBM",
    peer="lightgbm",
)
def limits_as_lightgbm() -> Check:
    import lightgbm

    from fivefold.models.trees import LGBMRegressor

    X, y = _table(n=1500)
    shared: dict[str, Any] = {"n_estimators": 3, "min_data_in_bin": 1}
    worst = 0.0
    plain = LGBMRegressor(**shared).fit(X, y)
    # LightGBM passes over columns that gained nothing in a node above, which penalties make frequent further down.
    for params in (
        {"min_split_gain": 30.0}, {"max_depth": 3}, {"num_leaves": 5}, {"min_child_weight": 60.0}, {"min_child_samples": 70},
        {"learning_rate": 0.7}, {"max_delta_step": 0.4, "max_depth": 2}, {"reg_alpha": 9.0, "max_depth": 2},
        {"reg_lambda": 9.0, "max_depth": 2},
    ):  # fmt: skip
        ours = LGBMRegressor(**shared, **params).fit(X, y)
        peer = lightgbm.LGBMRegressor(**shared, **params, verbose=-1, n_jobs=1).fit(X, y)
        worst = largest(worst, float(np.abs(ours.predict(X) - peer.predict(X)).max()))
        worst = largest(worst, float(np.array_equal(ours.predict(X), plain.predict(X))))
    return Check(worst, 1e-6, "largest difference", "LightGBM")


@evidence(
    "xgboost", claim="Losses by name and `base_score` give XGBoost's predictions", against="xgboost", peer="xgboost"
)
def losses_as_xgboost() -> Check:
    import xgboost

    from fivefold.models.trees import XGBClassifier, XGBRegressor

    X, y = _table(n=500, d=4)
    counts = np.floor(np.exp(y / 4))
    worst = 0.0
    for objective, target, base in (
        ("count:poisson", counts, 1.5),
        ("count:poisson step", counts, 1.5),
        ("reg:gamma", np.exp(y / 4), 2.0),
        ("reg:tweedie", np.where(y > 0, np.exp(y / 4), 0.0), 0.7),
        ("reg:squarederror", y, -2.0),
    ):
        params: dict[str, Any] = {
            "objective": objective.split()[0], "n_estimators": 4, "max_depth": 3, "base_score": base,
        }  # fmt: skip
        params |= {"max_delta_step": 0.2} if "step" in objective else {}
        peer = xgboost.XGBRegressor(tree_method="hist", n_jobs=1, **params).fit(X, target).predict(X)
        gap = np.abs(XGBRegressor(**params).fit(X, target).predict(X) / peer - 1)
        worst = largest(worst, float(np.median(gap)) if objective == "reg:squarederror" else float(gap.max()))
    params = {"n_estimators": 4, "max_depth": 3, "base_score": 0.2}
    peer = xgboost.XGBClassifier(n_jobs=1, **params).fit(X, y > 2).predict_proba(X)
    worst = largest(worst, float(np.abs(XGBClassifier(**params).fit(X, y > 2).predict_proba(X) - peer).max()))
    return Check(worst, 5e-6, "largest relative difference (XGBoost predicts float32)", "xgboost")


@evidence(
    "lightgbm", claim="Each name of a loss stands for its loss, in all three families", against="the table of losses"
)
def losses_by_name() -> Check:
    from fivefold.models.trees import (
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        LGBMClassifier,
        LGBMRegressor,
        XGBClassifier,
        XGBRegressor,
    )
    from fivefold.models.trees.boosting import _losses as losses

    y, raw = np.array([0.5, 1.0, 2.5]), np.array([[0.3, -0.2, 0.9]])
    label = np.array([1.0, 0.0, 1.0])

    def same(made: Any, wanted: Any, target: np.ndarray) -> float:
        g, h, g2, h2 = (np.empty_like(raw) for _ in range(4))
        made.gradients(target, raw, None, g, h, 1)
        wanted.gradients(target, raw, None, g2, h2, 1)
        same_values = np.array_equal(made.values(target, raw), wanted.values(target, raw))
        alike = type(made) is type(wanted) and made.quantile == wanted.quantile and same_values
        return float(not (alike and np.array_equal(g, g2) and np.array_equal(h, h2)))

    wrong = 0.0
    light, machine, extreme = LGBMRegressor, GradientBoostingRegressor, XGBRegressor
    for make, params, wanted in (
        (light, {}, losses.Squared()),
        (light, {"objective": "mse"}, losses.Squared()),
        (light, {"objective": "l1"}, losses.Absolute()),
        (light, {"objective": "mae"}, losses.Absolute()),
        (light, {"objective": "huber"}, losses.Huber(0.9)),
        (light, {"objective": "quantile", "alpha": 0.3}, losses.Quantile(0.3)),
        (light, {"objective": "poisson"}, losses.Poisson(0.7)),
        (light, {"objective": "gamma"}, losses.Gamma()),
        (light, {"objective": "tweedie"}, losses.Tweedie(1.5)),
        (light, {"objective": "tweedie", "tweedie_variance_power": 1.2}, losses.Tweedie(1.2)),
        (machine, {}, losses.Squared()),
        (machine, {"loss": "absolute_error"}, losses.Absolute()),
        (machine, {"loss": "huber"}, losses.Huber(0.9)),
        (machine, {"loss": "quantile"}, losses.Quantile(0.9)),
        (machine, {"loss": "poisson"}, losses.Poisson(0.0)),
        (machine, {"loss": "gamma"}, losses.Gamma()),
        (machine, {"loss": "tweedie"}, losses.Tweedie(1.5)),
        (extreme, {}, losses.Squared()),
        (extreme, {"objective": "reg:absoluteerror"}, losses.Absolute()),
        (extreme, {"objective": "reg:quantileerror"}, losses.Quantile(0.5)),
        (extreme, {"objective": "reg:quantileerror", "quantile_alpha": 0.2}, losses.Quantile(0.2)),
        (extreme, {"objective": "count:poisson"}, losses.Poisson(0.7)),
        (extreme, {"objective": "reg:gamma"}, losses.Gamma()),
        (extreme, {"objective": "reg:tweedie", "tweedie_variance_power": 1.8}, losses.Tweedie(1.8)),
    ):
        wrong += same(make(**params)._regression_loss(), wanted, y)
    for maker, params, two in (
        (LGBMClassifier, {}, losses.Logistic()),
        (LGBMClassifier, {"objective": "focal"}, losses.Focal(2.0)),
        (LGBMClassifier, {"objective": "focal", "focal_gamma": 1.0}, losses.Focal(1.0)),
        (LGBMClassifier, {"objective": "exponential"}, losses.Exponential()),
        (GradientBoostingClassifier, {}, losses.Logistic()),
        (GradientBoostingClassifier, {"loss": "focal"}, losses.Focal(2.0)),
        (GradientBoostingClassifier, {"loss": "exponential"}, losses.Exponential()),
        (XGBClassifier, {}, losses.Logistic()),
        (XGBClassifier, {"objective": "binary:logistic"}, losses.Logistic()),
    ):
        for n_classes in (1, 2):
            wrong += same(maker(**params)._classification_loss(n_classes), two, label)
    for maker, factor in ((LGBMClassifier, 4 / 3), (GradientBoostingClassifier, 4 / 3), (XGBClassifier, 2.0)):
        many = maker()._classification_loss(4)
        wrong += abs(many.factor - factor) + abs(many.n_outputs - 4)
    return Check(wrong, 0, "losses that differ")


@evidence("lightgbm", claim="A custom loss of several classes gives the trees of the built-in one", against="softmax")
def custom_of_several_classes() -> Check:
    from fivefold.models.trees import LGBMClassifier

    X, y = _table(n=400, d=3)
    label = np.digitize(y, [1.0, 3.0])

    def softmax(target: np.ndarray, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = np.exp(raw - raw.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return p - np.eye(3)[target.astype(int)], 1.5 * p * (1 - p)

    weight = Streams(42).numpy("weight").uniform(0.5, 2, 400)
    params: dict[str, Any] = {"n_estimators": 3, "min_child_samples": 5}
    ours = LGBMClassifier(boost_from_average=False, **params).fit(X, label, weight)
    custom = LGBMClassifier(objective=softmax, **params).fit(X, label, weight)
    return Check(float(np.abs(ours.predict_proba(X) - custom.predict_proba(X)).max()), 1e-9, "largest difference")


@evidence("lightgbm", claim="Leaves, stages and importances add up", against="sums over nodes")
def sums_over_nodes() -> Check:
    from fivefold.models.trees import LGBMClassifier

    X, y = _table(n=500, d=5)
    X[::6, 1] = np.nan
    model = LGBMClassifier(n_estimators=4, min_child_samples=5).fit(X, np.digitize(y, [1.0, 3.0]))
    trees, leaves = model.trees_, model.apply(X)
    values = trees.value[trees.offset[:-1] + leaves].reshape(500, 4, 3)
    raw = trees.base + values.sum(axis=1)
    worst = float(np.abs(model.predict_raw(X) - raw).max())
    stages = list(model.staged_predict_proba(X))
    for k in range(4):
        part = trees.base + values[:, : k + 1].sum(axis=1)
        p = np.exp(part) / np.exp(part).sum(axis=1, keepdims=True)
        worst = largest(worst, float(np.abs(stages[k] - p).max()))
        worst = largest(worst, float(np.abs(model.predict_proba(X, num_iteration=k + 1) - p).max()))
    split, gain = np.zeros(5), np.zeros(5)
    for f, amount in zip(trees.feature, trees.gain, strict=True):
        if f >= 0:
            split[f] += 1
            gain[f] += amount
    worst = largest(
        worst, float(np.abs(model.importance() - split).max()), float(np.abs(model.importance("gain") - gain).max())
    )
    worst = largest(worst, float(np.abs(model.feature_importances_ - gain / gain.sum()).max()))
    # A node's rows and Hessians are its children's.
    inner = np.flatnonzero(trees.feature >= 0)
    start = np.repeat(trees.offset[:-1], np.diff(trees.offset))[inner]
    a, b = start + trees.left[inner], start + trees.right[inner]
    worst = largest(worst, float(np.abs(trees.count[inner] - trees.count[a] - trees.count[b]).max()))
    return Check(
        largest(worst, float(np.abs(trees.cover[inner] - trees.cover[a] - trees.cover[b]).max())), 1e-11, "difference"
    )


@evidence(
    "lightgbm",
    claim="Bins hold about equal weights, common values one each, and at least `min_data_in_bin` rows",
    against="counts",
)
def bins_by_counts() -> Check:
    from fivefold.models.trees.boosting._binning import BinMapper

    rng = Streams(43).numpy("bins")
    X = np.column_stack([
        rng.normal(size=5000),
        np.where(rng.random(5000) < 0.4, 1.0, rng.normal(size=5000)),
        rng.integers(0, 30, 5000) / 2.0,
        np.where(rng.random(5000) < 0.3, np.nan, rng.exponential(size=5000)),
    ])  # fmt: skip
    mapper = BinMapper(32, 3).fit(X, np.array([False] * 4), Streams(0))
    columns = mapper.transform(X, 2).columns
    worst = 0.0
    for f in range(4):
        present = ~np.isnan(X[:, f])
        bins = np.searchsorted(mapper.cuts[f], X[present, f], side="left")
        worst = largest(worst, float((columns[f, present] != bins).sum()), float((columns[f, ~present] != 255).sum()))
    counts = np.bincount(columns[0], minlength=32)
    # Each of 32 bins closes with the row that brings it to the mean of what is left.
    worst = largest(worst, float(len(mapper.cuts[0]) != 31), float(not np.abs(counts - 5000 / 32).max() <= 1.0))
    common = columns[1, X[:, 1] == 1.0]
    alone = np.unique(X[columns[1] == common[0], 1])
    # As in LightGBM, up to half a bin of smaller values may lie with a common one.
    worst = largest(worst, float(len(np.unique(common)) != 1), float(alone.max() != 1.0), float(len(alone) > 50))
    rest = np.bincount(columns[1], minlength=32)[np.arange(32) != common[0]]
    worst = largest(worst, float(not rest[rest > 0].max() <= 1.6 * 3000 / 31), float(not (rest > 0).sum() >= 29))
    worst = largest(worst, float(np.abs(mapper.cuts[2] - (np.arange(29) / 2 + 0.25)).max()))
    few = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], [3, 2, 1, 5, 2])[:, None]
    got = BinMapper(255, 3).fit(few, np.array([False]), Streams(0)).cuts[0]
    worst = largest(worst, float(got.tolist() != [1.5, 3.5, 4.5]))
    drawn = BinMapper(8, 1, 100).fit(X[:, :1], np.array([False]), Streams(0)).cuts[0]
    again = BinMapper(8, 1, 100).fit(X[:, :1], np.array([False]), Streams(0)).cuts[0]
    full = BinMapper(8, 1).fit(X[:, :1], np.array([False]), Streams(0)).cuts[0]
    # Quantiles of 100 rows of 5,000: 5 standard errors of the rank are 0.25.
    ranks = np.searchsorted(np.sort(X[:, 0]), drawn) / 5000
    worst = largest(worst, float(not np.array_equal(drawn, again)), float(np.array_equal(drawn, full)))
    worst = largest(worst, float(not np.abs(ranks - np.arange(1, 8) / 8).max() <= 0.25), float(len(drawn) != 7))
    return Check(worst, 0, "counts that differ")
