"""What boosting promises beside its trees: resuming, stopping early, categories by value, constraints, sketches, peers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest

_FIELDS = (
    "offset", "feature", "bin", "threshold", "missing_left", "left", "right", "value", "gain", "count", "cover", "level_offset",
    "levels",
)  # fmt: skip


def _differ(a: Any, b: Any) -> float:
    """Return how many arrays of two models differ in a bit."""
    pairs = [(getattr(a.trees_, name), getattr(b.trees_, name)) for name in _FIELDS]
    return float(sum(not np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in pairs))


class _Rounds(list[int]):
    """The rounds that a fit went through."""

    def append_round(self, model: Any, round_: int) -> None:
        self.append(round_)


@evidence(
    "lightgbm",
    claim="An interrupted fit goes on from its checkpoint, and a warm start from its trees, to the same model bit for bit",
    against="the fit that was never interrupted",
)
def resumed_bit_for_bit() -> Check:
    from fivefold.models.trees import LGBMRegressor, XGBClassifier
    from fivefold.models.trees.boosting.checkpoints import Checkpoint

    rng = Streams(25).numpy("resumed")
    X = rng.normal(size=(400, 3))
    y = X[:, 0] * X[:, 1] + rng.normal(size=400) / 2

    class KilledError(Exception):
        pass

    def kill(model: Any, round_: int) -> None:
        if round_ == 8:
            raise KilledError

    wrong = 0.0
    for make, target, params in (
        (LGBMRegressor, y, {"subsample": 0.6, "subsample_freq": 3, "colsample_bytree": 0.7, "random_state": 4}),
        (LGBMRegressor, y, {"data_sample_strategy": "goss", "learning_rate": 0.4, "random_state": 1}),
        (LGBMRegressor, y, {"objective": "regression_l1", "early_stopping_rounds": 9, "metric": ["l1", "rmse"]}),
        (
            XGBClassifier,
            np.digitize(y, [-0.5, 0.5]),
            {"tree_method": "exact", "max_depth": 3, "early_stopping_rounds": 9},
        ),
    ):
        fit: dict[str, Any] = {"eval_set": [(X[:200], target[:200]), (X[200:], target[200:])]}
        fit |= {"init_score": X[:, 2]} if "objective" in params else {}
        whole = make(n_estimators=12, **params).fit(X, target, **fit)
        with tempfile.TemporaryDirectory() as folder:
            keep = Checkpoint(Path(folder) / "fit", every=5)
            try:
                make(n_estimators=12, **params).fit(X, target, **fit, callbacks=[kill, keep])
            except KilledError:
                wrong += float(not (Path(folder) / "fit").exists())
            rounds = _Rounds()
            resumed = make(n_estimators=12, **params)
            resumed.fit(X, target, **fit, callbacks=[keep, rounds.append_round])
            wrong += abs(rounds[0] - 6)
        wrong += _differ(resumed, whole) + float(resumed.evals_result_ != whole.evals_result_)
        wrong += float(resumed.best_iteration_ != whole.best_iteration_)
        if "early_stopping_rounds" not in params:
            warm = make(n_estimators=7, warm_start=True, **params).fit(X, target, **fit)
            wrong += _differ(warm.set_params(n_estimators=12).fit(X, target, **fit), whole)
    ended = LGBMRegressor(n_estimators=12).fit(X, y, callbacks=[lambda model, round_: round_ == 4])
    return Check(wrong + abs(ended.n_estimators_ - 4), 0, "differences", "the uninterrupted fit")


@evidence(
    "lightgbm",
    claim="Fitting ends `early_stopping_rounds` after the best round, which predictions use; the metric of any set may end it",
    against="the history by hand",
)
def early_stopping_by_hand() -> Check:
    from fivefold.models.trees import LGBMRegressor

    rng = Streams(26).numpy("stopping")
    X = rng.normal(size=(500, 3))
    y = X[:, 0] + rng.normal(size=500)
    sets = [(X[:250], y[:250]), (X[250:], y[250:])]
    params: dict[str, Any] = {"n_estimators": 60, "learning_rate": 0.4, "min_child_samples": 5}
    model = LGBMRegressor(early_stopping_rounds=4, metric="rmse", **params).fit(
        *sets[0], eval_set=sets, eval_names=["a", "b"]
    )
    history = model.evals_result_["b"]["rmse"]
    best = int(np.argmin(history)) + 1
    wrong = [
        abs(model.best_iteration_ - best),
        abs(len(history) - best - 4),
        abs(model.best_score_ - history[best - 1]),
    ]
    free = LGBMRegressor(**params).fit(*sets[0])
    wrong += [
        np.abs(model.predict(X) - free.predict(X, num_iteration=best)).max(),
        abs(np.sqrt(np.mean((free.predict(X[250:], num_iteration=best) - y[250:]) ** 2)) - history[best - 1]),
        abs(len(model.evals_result_["a"]["rmse"]) - len(history)),
        float(not np.abs(model.predict(X) - model.predict(X, num_iteration=best + 4)).max() > 0),
    ]
    stages = list(free.staged_predict(X))
    wrong += [abs(len(stages) - 60), np.abs(stages[best - 1] - free.predict(X, num_iteration=best)).max()]
    return Check(largest(*wrong), 1e-12, "differences", "the history")


@evidence(
    "lightgbm",
    claim="`scale_pos_weight`, class weights and offsets act as weights and as scores to begin with",
    against="the same fit by weights",
)
def weights_of_classes() -> Check:
    from fivefold.models.trees import LGBMClassifier, LGBMRegressor, XGBClassifier

    rng = Streams(27).numpy("classes")
    X = rng.normal(size=(400, 3))
    y = (X[:, 0] + rng.normal(size=400) > 0.7).astype(int)
    weight = rng.uniform(0.5, 2, 400)
    wrong = 0.0
    for make in (LGBMClassifier, XGBClassifier):
        by_weight = make(n_estimators=3).fit(X, y, weight * np.where(y == 1, 3.0, 1.0))
        wrong += _differ(make(n_estimators=3, scale_pos_weight=3.0).fit(X, y, weight), by_weight)
        wrong += _differ(make(n_estimators=3, class_weight={1: 3.0}).fit(X, y, weight), by_weight)
        counts = np.bincount(y)
        even = make(n_estimators=3).fit(X, y, 400 / (2 * counts[y]))
        wrong += _differ(make(n_estimators=3, class_weight="balanced").fit(X, y), even)
    # Squared loss: an offset is a shift of the targets; predictions leave it out.
    offset = np.round(8 * X[:, 1]) / 8
    target = np.round(8 * X[:, 0]) / 8
    start = LGBMRegressor(n_estimators=3, boost_from_average=False)
    shifted = start.fit(X, target - offset).predict(X)
    wrong += float(np.abs(start.fit(X, target, init_score=offset).predict(X) - shifted).max())
    return Check(wrong, 1e-12, "differences", "weights")


@evidence(
    "lightgbm",
    claim="Rows of frames with other column orders and fewer categories get identical answers; new categories count as missing",
    against="the same rows in the training frame",
)
def categories_by_value() -> Check:
    import polars as pl

    from fivefold.base.errors import DataError
    from fivefold.models.trees import LGBMRegressor

    rng = Streams(28).numpy("categories")
    n = 1500
    color = np.array(["red", "green", "blue", "gray", "pink", "teal", "lime"])[rng.integers(0, 7, n)]
    size = rng.normal(size=n)
    y = np.isin(color, ["red", "teal"]) * size * 2 + np.isin(color, ["lime"]) + rng.normal(size=n) / 9
    frame = pl.DataFrame({"size": size, "color": [None if i % 11 == 0 else c for i, c in enumerate(color)]})
    model = LGBMRegressor(n_estimators=20, min_data_per_group=10).fit(frame, y)
    plain = model.predict(frame)
    wrong = float((model.predict(frame.select("color", "size")) != plain).sum())
    for value in ("teal", "blue"):
        part = frame.with_row_index("row").filter(pl.col("color") == value)
        wrong += float((model.predict(part.select("color", "size")) != plain[part["row"].to_numpy()]).sum())
    other = frame.with_columns(pl.lit("mauve").alias("color"))
    lost = frame.with_columns(pl.lit(None, dtype=pl.String).alias("color"))
    wrong += float((model.predict(other) != model.predict(lost)).sum())
    codes = np.column_stack([size, np.searchsorted(np.unique(color), color)])
    by_code = LGBMRegressor(n_estimators=5, min_data_per_group=10, categorical_feature=[1]).fit(codes, y)
    unseen, missing = codes.copy(), codes.copy()
    unseen[:, 1], missing[:, 1] = 99, np.nan
    wrong += float((by_code.predict(unseen) != by_code.predict(missing)).sum())
    strict = LGBMRegressor(n_estimators=2, handle_unknown="error", categorical_feature=[1])
    for table, good, bad in ((frame, lost, other), (codes, missing, unseen)):
        fitted = strict.fit(table, y)
        fitted.predict(good)
        fitted.predict(table)
        try:
            fitted.predict(bad)
            wrong += 1
        except DataError as error:
            wrong += float(("mauve" if table is frame else "99") not in str(error))
    return Check(wrong, 0, "answers that differ", "the training frame")


@evidence(
    "xgboost",
    claim="Trees equal XGBoost's node by node: column, cut, gain, Hessians, leaf values",
    against="xgboost",
    peer="xgboost",
)
def same_trees_as_xgboost() -> Check:
    import xgboost

    from fivefold.models.trees import XGBRegressor

    worst = 0.0
    for seed, method in ((1, "hist"), (2, "exact"), (3, "hist")):
        rng = Streams(29).numpy("trees", seed)
        X = rng.integers(1, 120, (900, 5)) / 4.0
        y = np.round(64 * (np.sin(X[:, 0]) * 3 + X[:, 1] * X[:, 2] / 200 + rng.normal(size=900))) / 64
        if seed > 1:
            X[rng.random(X.shape) < 0.15] = np.nan
        params: dict[str, Any] = {
            "n_estimators": 3, "max_depth": 4, "base_score": 0.5, "tree_method": method, "learning_rate": 0.5,
        }  # fmt: skip
        trees = XGBRegressor(**params).fit(X, y).trees_
        peer = xgboost.XGBRegressor(n_jobs=1, **params).fit(X, y).get_booster().trees_to_dataframe()
        rows = {row.ID: row for row in peer.itertuples()}
        for t in range(3):
            pairs = [(0, f"{t}-0", np.ones(900, dtype=bool))]
            while pairs:
                node, name, here = pairs.pop()
                k, other = trees.offset[t] + node, rows[name]
                worst = largest(worst, abs(trees.cover[k] - other.Cover) / 900)
                if (other.Feature == "Leaf") != (trees.feature[k] < 0):
                    return Check(np.inf, 1e-6, "a leaf that is none", "xgboost")
                if trees.feature[k] < 0:
                    worst = largest(worst, abs(trees.value[k] - other.Gain))
                    continue
                f = int(trees.feature[k])
                lost = np.isnan(X[:, f])
                levels = np.unique(X[here & ~lost, f])
                # Of the values in the node the same go left: XGBoost tests x < cut.
                same = (levels <= trees.threshold[k]).sum() == (levels < other.Split).sum()
                worst = largest(worst, float(other.Feature != f"f{f}" or not same))
                worst = largest(worst, abs(trees.gain[k] / other.Gain - 1) * 1e-2)
                if (lost & here).any():
                    worst = largest(worst, float((other.Missing == other.Yes) != bool(trees.missing_left[k])))
                left = (X[:, f] <= trees.threshold[k]) | (lost & bool(trees.missing_left[k]))
                pairs += [(int(trees.left[k]), other.Yes, here & left), (int(trees.right[k]), other.No, here & ~left)]
    return Check(worst, 1e-6, "largest difference (gains to 1e-4: XGBoost's are float32)", "xgboost")


@evidence("xgboost", claim="A path of columns stays within one group of interaction constraints", against="every path")
def paths_within_groups() -> Check:
    from fivefold.models.trees import LGBMRegressor, XGBRegressor

    rng = Streams(30).numpy("paths")
    X = rng.normal(size=(800, 5))
    y = X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3] * X[:, 0] + X[:, 4]
    groups = [{0, 1}, {1, 2, 3}, {4}]
    wrong, mixed = 0, 0
    for make, limits in (
        (XGBRegressor, [[0, 1], [1, 2, 3]]),
        (LGBMRegressor, [[0, 1], [1, 2, 3], [4]]),
        (XGBRegressor, None),
    ):
        trees = make(n_estimators=4, interaction_constraints=limits).fit(X, y).trees_
        for t in range(len(trees)):
            paths = [(0, frozenset[int]())]
            while paths:
                node, seen = paths.pop()
                k = trees.offset[t] + node
                if trees.feature[k] < 0:
                    inside = any(seen <= group for group in groups)
                    wrong, mixed = wrong + (limits is not None and not inside), mixed + (limits is None and not inside)
                    continue
                deeper = seen | {int(trees.feature[k])}
                paths += [(int(trees.left[k]), deeper), (int(trees.right[k]), deeper)]
    return Check(wrong if mixed else np.inf, 0, "paths that mix groups (without constraints there are some)")


@evidence(
    "xgboost-approximate-split",
    claim="Between two proposals lies no more than eps of the Hessians beyond one value; about 1 / eps of them",
    against="ranks by cumulative sums",
)
def sketch_rank_error() -> Check:
    from fivefold.models.trees.boosting._sorted import _propose

    rng = Streams(31).numpy("sketch")
    worst = 0.0
    for eps in (0.3, 0.1, 0.03):
        values = np.sort(np.round(rng.normal(size=400), 1 if eps == 0.1 else 6))
        h = rng.integers(1, 1 << 20, 400)
        unit = np.array([1.0, 2.0**-20])
        buckets, cuts = np.full(400, -1, dtype=np.int64), np.full(400, np.nan)
        _propose(values, np.arange(400, dtype=np.uint32), 400, h.astype(np.int64), unit, eps, buckets, cuts)
        made = int(np.isfinite(cuts).sum())
        below = np.array([h[values <= cut].sum() for cut in cuts[:made]]) / h.sum()
        own = np.array([h[values == v].sum() for v in np.unique(values)]) / h.sum()
        gaps = np.diff(np.concatenate([[0.0], below, [1.0]]))
        worst = largest(worst, float(gaps.max() - eps - own.max()), float(not made <= 1 / eps))
        worst = largest(worst, float((buckets != np.searchsorted(cuts[:made], values)).sum()))
        # The k-th cut is the first distinct value at which the rank reaches a multiple of eps that it had not before.
        ranks = np.cumsum(own)
        expected, target = [], eps
        for rank in ranks[:-1]:
            if rank >= target - 1e-12:
                expected.append(rank)
                target = (np.floor(rank / eps + 1e-12) + 1) * eps
        worst = largest(worst, float(np.abs(below - expected).max()) if len(expected) == made else np.inf)
    return Check(worst, 1e-12, "excess over the bound")


@evidence("goss", claim="AUC on held-out rows is near LightGBM's goss", against="LightGBM", peer="lightgbm")
def goss_auc() -> Check:
    import lightgbm
    from sklearn.metrics import roc_auc_score

    from fivefold.models.trees import GOSSClassifier

    rng = Streams(32).numpy("auc")
    X = rng.normal(size=(6000, 5))
    y = (X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=6000) > 0).astype(int)
    params: dict[str, Any] = {"n_estimators": 30, "learning_rate": 0.2, "num_leaves": 15, "random_state": 0}
    peer = lightgbm.LGBMClassifier(data_sample_strategy="goss", verbose=-1, n_jobs=1, **params).fit(X[:3000], y[:3000])
    ours = GOSSClassifier(**params).fit(X[:3000], y[:3000])
    a, b = (roc_auc_score(y[3000:], m.predict_proba(X[3000:])[:, 1]) for m in (ours, peer))
    # The standard error of the AUC of 3,000 rows is about 0.008; the two share the rows.
    return Check(abs(a - b), 0.008, "difference of AUC", "LightGBM goss")
