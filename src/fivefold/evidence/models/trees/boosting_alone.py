"""Boosting without a peer: brute force, closed forms, invariances."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def _worst(values: list[float]) -> float:
    """Return the largest value; NaN stays NaN."""
    return float(np.max(np.array(values, dtype=float)))


def _score(g: float, h: float, l2: float, l1: float) -> float:
    shrunk = np.sign(g) * max(abs(g) - l1, 0.0)
    return shrunk**2 / (h + l2)


def _best_split(
    X: np.ndarray, g: np.ndarray, h: np.ndarray, l2: float, l1: float, min_rows: int, min_hessian: float
) -> tuple[float, int, float, float]:
    """Return gain, column, the values of both leaves: every cut of every column with missing values on either side."""
    best: tuple[float, int, float, float] = (0.0, -1, 0.0, 0.0)
    parent = _score(g.sum(), h.sum(), l2, l1)
    for f in range(X.shape[1]):
        values = np.unique(X[~np.isnan(X[:, f]), f])
        for cut in values:
            for missing_left in (False, True):
                left = (X[:, f] <= cut) | (np.isnan(X[:, f]) & missing_left)
                sums = [(g[s].sum(), h[s].sum(), s.sum()) for s in (left, ~left)]
                if any(n < min_rows or hh < min_hessian for _, hh, n in sums):
                    continue
                gain = sum(_score(gg, hh, l2, l1) for gg, hh, _ in sums) - parent
                if gain > best[0] + 1e-12:
                    leaves = [-np.sign(gg) * max(abs(gg) - l1, 0.0) / (hh + l2) for gg, hh, _ in sums]
                    best = (gain, f, leaves[0], leaves[1])
    return best


def _brute_gap(make: Any, l2: float, l1: float, min_rows: int, min_hessian: float, factor: float) -> float:
    """Return the largest gap of gain, column and leaf values over drawn nodes of 30 rows."""
    wrong = []
    for case in range(12):
        rng = Streams(case).numpy("brute")
        X = np.round(rng.normal(size=(30, 3)), 1)
        X[rng.random(X.shape) < 0.25] = np.nan
        y = rng.normal(size=30)
        weight = rng.uniform(0.5, 2.0, 30)
        start = float(np.average(y, weights=weight))
        gain, column, below, above = _best_split(X, weight * (start - y), weight, l2, l1, min_rows, min_hessian)
        model = make().fit(X, y, weight)
        trees = model.trees_
        if column < 0 or len(trees.feature) != 3:
            wrong.append(float(len(trees.feature) != (1 if column < 0 else 3)))
            continue
        wrong += [
            abs(trees.gain[0] - gain),
            abs(trees.feature[0] - column),
            abs(trees.value[1] - factor * below),
            abs(trees.value[2] - factor * above),
            abs(trees.base[0] - start),
            abs(trees.cover[0] - weight.sum()),
            abs(trees.count[1] + trees.count[2] - 30),
        ]
    return _worst(wrong)


@evidence("lightgbm", claim="The first split and both leaves are the best of all cuts", against="brute force")
def lightgbm_brute_force() -> Check:
    from fivefold.models.trees import LGBMRegressor

    def make() -> Any:
        return LGBMRegressor(
            n_estimators=1, num_leaves=2, min_child_samples=4, min_child_weight=5.5, reg_lambda=0.7, reg_alpha=0.6,
            min_data_in_bin=1, learning_rate=0.3,
        )  # fmt: skip

    return Check(_brute_gap(make, 0.7, 0.6, 4, 5.5, 0.3), 1e-6, "largest difference")


@evidence("xgboost", claim="Leaf -G/(H+l2), structure score and gain of the best cut", against="brute force")
def xgboost_brute_force() -> Check:
    from fivefold.models.trees import XGBRegressor

    wrong = []
    for method in ("hist", "exact"):

        def make(method: str = method) -> Any:
            return XGBRegressor(n_estimators=1, max_depth=1, tree_method=method, min_child_weight=3.3)

        wrong.append(_brute_gap(make, 1.0, 0.0, 1, 3.3, 0.3))
    return Check(_worst(wrong), 1e-6, "largest difference")


@evidence(
    "xgboost",
    claim="Pruning from the bottom keeps a weak split above a strong one; stopping early does not",
    against="closed form",
)
def pruning_looks_ahead() -> Check:
    from fivefold.models.trees import XGBRegressor

    # Exclusive or: the first cut gains almost nothing, the second ones everything.
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 25, dtype=float)
    y = (X[:, 0] != X[:, 1]) + 0.01 * X[:, 0]
    shared: dict[str, Any] = {"n_estimators": 1, "max_depth": 2, "gamma": 1.0, "reg_lambda": 0.0, "learning_rate": 1.0}
    pruned = XGBRegressor(tree_method="exact", **shared).fit(X, y)
    stopped = XGBRegressor(tree_method="hist", **shared).fit(X, y)
    nothing = XGBRegressor(tree_method="exact", **{**shared, "gamma": 30.0}).fit(X, y)
    wrong = [
        abs(len(pruned.trees_.feature) - 7),
        np.abs(pruned.predict(X) - y).max(),
        abs(len(stopped.trees_.feature) - 1),
        abs(len(nothing.trees_.feature) - 1),
    ]
    # 50 residuals of each sign, one half in size, gain 25: equal to gamma the split stays, below it goes.
    edge = {**shared, "max_depth": 1}
    one = X[:, :1]
    step = one[:, 0].copy()
    for gamma, size in ((25.0, 3), (25.0001, 1)):
        for method in ("exact", "hist"):
            tree = XGBRegressor(tree_method=method, **{**edge, "gamma": gamma}).fit(one, step).trees_
            wrong.append(abs(len(tree.feature) - size))
    return Check(_worst(wrong), 1e-8, "nodes or predictions off")


def _equal(a: Any, b: Any) -> bool:
    names = (
        "offset",
        "feature",
        "threshold",
        "missing_left",
        "left",
        "right",
        "value",
        "gain",
        "count",
        "cover",
        "levels",
    )
    return all(np.array_equal(getattr(a.trees_, n), getattr(b.trees_, n), equal_nan=n == "threshold") for n in names)


@evidence(
    "lightgbm",
    claim="Bit for bit the same model from 1, 2 and 3 parts of the work, tall and wide, with categories and missing values",
    against="one thread",
)
def threads_change_nothing() -> Check:
    from fivefold.models.trees import LGBMRegressor

    class Shared(LGBMRegressor):
        """Work in ``parts`` parts, whatever the number of threads that do it."""

        parts = 1

        def _threads(self) -> int:
            return self.parts

    rng = Streams(4).numpy("threads")
    wrong = 0
    for n, d in ((70_000, 4), (600, 150)):
        X = rng.normal(size=(n, d)).astype(np.float32)
        y = X[:, 0] * X[:, 1] + rng.normal(size=n)
        X[::7, 2] = np.nan
        X[:, 3] = rng.integers(0, 30, n)
        models = []
        for parts in (1, 2, 3):
            model = Shared(n_estimators=2, categorical_feature=[3])
            model.parts = parts
            models.append(model.fit(X, y))
        wrong += sum(not _equal(models[0], other) for other in models[1:])
    return Check(wrong, 0, "models that differ")


@evidence(
    "lightgbm",
    claim="The trees of any number of columns are those of the table filled up with constants to whole blocks of memory",
    against="invariance",
)
def constants_change_nothing() -> Check:
    from fivefold.models.trees import LGBMRegressor

    rng = Streams(8).numpy("columns")
    X = rng.normal(size=(500, 96))
    y = X[:, 0] * X[:, 20] + X[:, 23] + rng.normal(size=500)
    wrong = 0
    for d in (1, 9, 30, 33, 37, 54, 70):
        models = [LGBMRegressor(n_estimators=2), LGBMRegressor(n_estimators=2)]
        models[0].fit(X[:, :d], y)
        models[1].fit(np.where(np.arange(96) < d, X, 0.0), y)
        wrong += not _equal(*models)
    return Check(wrong, 0, "models that differ")


@evidence(
    "xgboost",
    claim="Weight 2 equals a row given twice, weight 0 a row left out, in any order of rows",
    against="repeated rows",
)
def weights_are_repetitions() -> Check:
    from fivefold.models.trees import XGBClassifier, XGBRegressor

    rng = Streams(6).numpy("weights")
    X = rng.integers(0, 60, (300, 4)).astype(float)
    X[::6, 1] = np.nan
    y = np.round(16 * (np.sin(X[:, 0]) + rng.normal(size=300))) / 16
    weight = rng.integers(0, 3, 300).astype(float)
    twice = np.repeat(np.arange(300), weight.astype(int))
    shuffled = rng.permutation(twice)
    wrong = []
    for method in ("hist", "exact"):
        for make, target in ((XGBRegressor, y), (XGBClassifier, y > 0)):
            weighted = make(n_estimators=3, tree_method=method).fit(X, target, weight).predict_raw(X)
            for rows in (twice, shuffled):
                repeated = make(n_estimators=3, tree_method=method).fit(X[rows], target[rows]).predict_raw(X)
                wrong.append(np.abs(weighted - repeated).max())
    return Check(_worst(wrong), 1e-7, "largest difference of raw scores")


@evidence(
    "lightgbm",
    claim="Constant and duplicate columns and unseen missing values do no harm",
    against="the plain table",
)
def odd_columns() -> Check:
    from fivefold.models.trees import LGBMRegressor

    rng = Streams(9).numpy("odd")
    X = rng.normal(size=(400, 3))
    y = 3.0 * (X[:, 0] > 0.3) + rng.normal(size=400) / 10
    plain = LGBMRegressor(n_estimators=5).fit(X, y)
    odd = np.column_stack([X, np.full(400, 7.0), X[:, 0], np.full(400, np.nan)])
    more = LGBMRegressor(n_estimators=5).fit(odd, y)
    wrong = [np.abs(plain.predict(X) - more.predict(odd)).max(), float(more.importance("split")[3:].sum())]
    # A missing value where training had none goes to the heavier side of each split.
    stump = LGBMRegressor(n_estimators=1, num_leaves=2).fit(X, y)
    heavier = int(np.argmax(stump.trees_.count[1:3])) + 1
    lost = np.full((1, 3), np.nan)
    wrong.append(abs(float(stump.predict_raw(lost)[0, 0]) - stump.trees_.base[0] - stump.trees_.value[heavier]))
    constant = LGBMRegressor(n_estimators=5).fit(X, np.full(400, 2.5))
    wrong.append(np.abs(constant.predict(X) - 2.5).max())
    # Rounds end where nothing is left to split, unless other columns or rows may be drawn next.
    wrong.append(abs(constant.n_estimators_ - 1))
    for params in (
        {"colsample_bynode": 0.5}, {"colsample_bytree": 0.5}, {"subsample": 0.5, "subsample_freq": 1}, {"boosting_type": "goss"},
    ):  # fmt: skip
        drawn = LGBMRegressor(n_estimators=3, **params).fit(X, np.full(400, 2.5))
        wrong.append(abs(drawn.n_estimators_ - 3))
    return Check(_worst(wrong), 1e-12, "largest difference")


@evidence("lightgbm", claim="No pair of 10,000 breaks a monotone constraint", against="pairs that differ in one column")
def monotone_pairs() -> Check:
    from fivefold.models.trees import LGBMRegressor

    rng = Streams(10).numpy("monotone")
    X = rng.normal(size=(2000, 3))
    y = X[:, 0] - X[:, 1] + np.sin(4 * X[:, 0]) + np.sin(4 * X[:, 1]) + X[:, 2] ** 2 + rng.normal(size=2000) / 2
    model = LGBMRegressor(n_estimators=20, num_leaves=20, monotone_constraints=[1, -1, 0]).fit(X, y)
    free = LGBMRegressor(n_estimators=20, num_leaves=20).fit(X, y)
    A = rng.normal(size=(10_000, 3))
    worst, broken = 0.0, 0.0
    for column, sign in ((0, 1.0), (1, -1.0)):
        B = A.copy()
        B[:, column] += rng.exponential(size=10_000)
        worst = largest(worst, float((sign * (model.predict(A) - model.predict(B))).max()))
        broken = largest(broken, float((sign * (free.predict(A) - free.predict(B))).max()))
    return Check(worst if broken > 0.1 else np.inf, 1e-12, "largest violation (without constraints above 0.1)")


@evidence(
    "goss",
    claim="The weighted gradient sum is unbiased; a + b = 1 equals all rows; rows with large gradients all stay",
    against="sums over all rows",
)
def one_side_sums() -> Check:
    from fivefold.models.trees import GOSSRegressor, LGBMRegressor
    from fivefold.models.trees.boosting._sampling import one_side

    rng = Streams(12).numpy("goss")
    n, shares = 400, (0.2, 0.1)
    truth = rng.normal(size=(1, n)) + 0.3
    order = np.argsort(-np.abs(truth[0]))
    wrong, sums, hessians = [], [], []
    for round_ in range(2000):
        g, h = truth.copy(), np.ones((1, n))
        rows = one_side(g, h, np.arange(n), shares, 0.5, Streams(1), round_ + 2)
        sound = rows is not None and len(rows) == 120 and np.isin(order[:80], rows).all()
        wrong.append(0.0 if sound else 1.0)
        sums.append(g[0, rows].sum())
        hessians.append(h[0, rows].sum())
    # Drawn without replacement: the mean of 2,000 sums lies within 5 standard errors of the sum.
    rest = truth[0, order[80:]]
    error = 320 * np.sqrt(rest.var(ddof=1) / 40 * (1 - 40 / 320) / 2000)
    wrong.append(max(0.0, abs(float(np.mean(sums)) - truth.sum()) / (5 * error) - 1))
    wrong.append(float(np.abs(np.array(hessians) - n).max()) / 1e3)
    wrong.append(0.0 if one_side(truth, truth, np.arange(n), shares, 0.5, Streams(1), 1) is None else 1.0)
    for seed in range(20):
        many = rng.normal(size=(2, 20_000))
        largest_first = np.argsort(-np.abs(many).sum(axis=0))
        rows = one_side(many, np.ones_like(many), np.arange(20_000), shares, 0.5, Streams(seed), 5)
        wrong.append(0.0 if np.isin(largest_first[:4000], rows).all() and len(rows) == 6000 else 1.0)
    # Of equal gradients the first are kept; rows that are not given stay out, and their gradients as they are.
    same, some = np.ones((1, 100)), np.arange(0, 100, 2)
    rows = one_side(same, np.ones((1, 100)), some, shares, 0.5, Streams(1), 5)
    wrong.append(
        float(rows is None or len(rows) != 15 or not np.isin(rows, some).all() or (rows[:10] != some[:10]).any())
    )
    wrong.append(abs(float(same[0, 1::2].sum()) - 50) + float((same[0, some[:10]] != 1).any()))
    X = rng.normal(size=(500, 3))
    y = X[:, 0] + rng.normal(size=500)
    whole = GOSSRegressor(n_estimators=15, top_rate=0.4, other_rate=0.6).fit(X, y)
    wrong.append(float(not _equal(whole, LGBMRegressor(n_estimators=15).fit(X, y))))
    part = GOSSRegressor(n_estimators=15, random_state=0).fit(X, y)
    wrong.append(float(_equal(part, whole)))
    defaults = GOSSRegressor()
    wrong.append(abs(defaults.top_rate - 0.2) + abs(defaults.other_rate - 0.1))
    return Check(_worst(wrong), 1e-9, "violations")


@evidence(
    "xgboost-approximate-split",
    claim="With every distinct value a candidate, trees equal those of exact splits",
    against="exact splits",
)
def all_candidates_are_exact() -> Check:
    from fivefold.models.trees import ApproximateXGBRegressor, XGBRegressor

    rng = Streams(13).numpy("candidates")
    X = rng.normal(size=(300, 3))
    X[::9, 0] = np.nan
    y = X[:, 1] * 2 + rng.normal(size=300)
    exact = XGBRegressor(n_estimators=3, tree_method="exact").fit(X, y)
    wrong = [
        np.abs(
            ApproximateXGBRegressor(n_estimators=3, proposals=p, sketch_eps=1e-6).fit(X, y).predict(X)
            - exact.predict(X)
        ).max()
        for p in ("global", "local")
    ]
    # By hand: Hessians 1 of 10 rows, a fifth each: cuts after rows 2, 4, 6, 8; the step after row 5 moves to a neighbor.
    line = np.arange(10.0)[:, None]
    step = (line[:, 0] > 4).astype(float)
    for proposals in ("global", "local"):
        stump = ApproximateXGBRegressor(
            n_estimators=1, max_depth=1, sketch_eps=0.2, proposals=proposals, min_child_weight=0.0
        )
        cut = stump.fit(line, step).trees_.threshold[0]
        wrong.append(min(abs(cut - 3.5), abs(cut - 5.5)))
    # Weights are Hessians: heavy first rows move the proposals, cuts after rows 0, 1, 2, 5.
    heavy = np.array([7.0, 7.0, 7.0] + [2.0] * 7)
    weighted = ApproximateXGBRegressor(n_estimators=1, max_depth=1, sketch_eps=0.2, min_child_weight=0.0)
    wrong.append(abs(weighted.fit(line, (line[:, 0] > 1).astype(float), heavy).trees_.threshold[0] - 1.5))
    return Check(_worst(wrong), 1e-9, "largest difference")


@evidence(
    "gradient-boosting-machine",
    claim="One leaf per step: constants, residuals and line searches in closed form",
    against="closed form",
)
def friedman_by_hand() -> Check:
    from fivefold.models.trees import GradientBoostingClassifier, GradientBoostingRegressor

    X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    y = np.array([1.0, 2.0, 6.0, 20.0, 22.0, 30.0])
    one: dict[str, Any] = {"n_estimators": 1, "max_depth": 1, "learning_rate": 0.5}
    wrong = []
    squared = GradientBoostingRegressor(**one).fit(X, y).predict(X)
    wrong.append(np.abs(squared - (13.5 + 0.5 * (np.repeat([3.0, 24.0], 3) - 13.5))).max())
    absolute = GradientBoostingRegressor(loss="absolute_error", **one).fit(X, y).predict(X)
    wrong.append(np.abs(absolute - (13.0 + 0.5 * np.repeat([2.0 - 13.0, 22.0 - 13.0], 3))).max())
    label = np.array([0, 0, 1, 1, 1, 1])
    prior = np.log(2.0)
    p = 2 / 3
    proba = GradientBoostingClassifier(**one).fit(X, label).predict_raw(X)[:, 0]
    left, right = (0 - p) / (p * (1 - p)), (1 - p) / (p * (1 - p))
    wrong.append(np.abs(proba - (prior + 0.5 * np.repeat([left, right], [2, 4]))).max())
    # The exact search ends where the leaf's gradient is zero: mean of e^(s) equals the mean target.
    counts = np.array([1.0, 0.0, 2.0, 9.0, 7.0, 8.0])
    exact = GradientBoostingRegressor(loss="poisson", line_search="exact", **{**one, "learning_rate": 1.0}).fit(
        X, counts
    )
    wrong.append(np.abs(exact.predict(X) - np.repeat([1.0, 8.0], 3)).max())
    wrong.append(np.abs(GradientBoostingRegressor(init="zero", **one).fit(X, y).trees_.base[0]))
    return Check(_worst(wrong), 1e-9, "largest difference")


def _numeric_gap(loss: Any, y: np.ndarray, raw: np.ndarray, hessian: bool) -> float:
    """Return how far the derivatives are from central differences of the loss."""
    g, h = np.empty_like(raw), np.empty_like(raw)
    loss.gradients(y, raw, None, g, h, 1)
    eps, wrong = 1e-4, []
    for k in range(len(raw)):
        up, down = raw.copy(), raw.copy()
        up[k] += eps
        down[k] -= eps
        a, b, c = loss.values(y, up), loss.values(y, raw), loss.values(y, down)
        wrong.append(np.abs((a - c) / (2 * eps) - g[k]).max())
        if hessian:
            wrong.append(np.abs((a - 2 * b + c) / eps**2 - h[k]).max())
    return _worst(wrong)


@evidence(
    "gradient-boosting-machine", claim="Gradients and Hessians are the derivatives of every loss", against="differences"
)
def derivatives() -> Check:
    from fivefold.models.trees.boosting import _losses as losses

    rng = Streams(14).numpy("derivatives")
    s = rng.uniform(-1.5, 1.5, (1, 50))
    y, label, many = (
        rng.uniform(0.1, 3.0, 50),
        (rng.random(50) > 0.5).astype(float),
        rng.integers(0, 3, 50).astype(float),
    )
    wrong = [
        _numeric_gap(losses.Squared(), y, s, True),
        _numeric_gap(losses.Huber(0.9), y, s, False),
        _numeric_gap(losses.Absolute(), y, s, False),
        _numeric_gap(losses.Quantile(0.8), y, s, False),
        _numeric_gap(losses.Poisson(0.0), y, s, True),
        _numeric_gap(losses.Gamma(), y, s, True),
        _numeric_gap(losses.Tweedie(1.3), y, s, True),
        _numeric_gap(losses.Logistic(), label, s, True),
        _numeric_gap(losses.Exponential(), label, s, True),
        # The focal loss is not convex: its Hessian is kept above zero, so it is compared where it is positive.
        _numeric_gap(losses.Focal(2.0), label, np.where(label > 0, 1.0, -1.0) * np.abs(s), True),
        _numeric_gap(losses.Softmax(3, 1.0), many, rng.normal(size=(3, 50)), True),
    ]
    return Check(_worst(wrong), 1e-5, "largest difference")
