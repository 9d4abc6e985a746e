"""CatBoost: symmetric trees by brute force, statistics by a plain loop, the catboost package, and what must not leak."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, fault, largest

_BARE = {"bootstrap_type": "No", "random_strength": 0.0}


def dyadic(n: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return columns of few distinct values (n, 3) and targets (n,) whose sums are exact."""
    rng = Streams(31).numpy(name)
    X = rng.integers(0, 12, (n, 3)) / 4
    return X, np.round(4 * X[:, 0] + 8 * np.sin(3 * X[:, 1]) + 4 * rng.normal(size=n)) / 8


def categories(n: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a table (n, 4) of codes of 2, 5 and 30 levels and one column of numbers, and labels (n,)."""
    rng = Streams(32).numpy(name)
    codes = [rng.integers(0, size, n) for size in (2, 5, 30)]
    x = rng.integers(0, 8, n) / 4
    pull = rng.normal(size=30)[codes[2]] + 2.0 * ((codes[0] + codes[1]) % 2) + x - 2
    return np.column_stack([*codes, x]).astype(float), (pull + rng.logistic(size=n) > 0).astype(float)


@evidence(
    "catboost",
    claim="A tree is the one that tries every column and cut for each level, scored and valued by the formulas",
    against="a plain loop over levels, columns, cuts and nodes",
)
def catboost_brute_force() -> Check:
    from fivefold.models.trees import CatBoostRegressor

    X, y = dyadic(150, "brute")
    weight = Streams(33).numpy("weight").integers(1, 4, len(y)).astype(float)
    errors = []
    for score, l2 in (("Cosine", 3.0), ("L2", 0.5), ("NewtonCosine", 1.0), ("NewtonL2", 0.0)):
        settings = {"iterations": 2, "depth": 3, "learning_rate": 0.5, "l2_leaf_reg": l2, "score_function": score}
        found = CatBoostRegressor(**settings, **_BARE).fit(X, y, weight).predict(X)
        errors.append(np.abs(found - _brute(X, y, weight, score.endswith("Cosine"), l2)).max())
    return Check(largest(errors), 1e-9, "largest difference", "brute force")


def _brute(X: np.ndarray, y: np.ndarray, weight: np.ndarray, cosine: bool, l2: float) -> np.ndarray:
    raw = np.full(len(y), (weight * y).sum() / weight.sum())
    for _ in range(2):
        g = weight * (raw - y)
        node = np.zeros(len(y), dtype=int)
        for _ in range(3):
            best, kept = -np.inf, node
            for f in range(X.shape[1]):
                for low, high in pairwise(np.unique(X[:, f])):
                    moved = 2 * node + (X[:, f] > (low + high) / 2)
                    top = bottom = 0.0
                    for i in np.unique(moved):
                        G, W = g[moved == i].sum(), weight[moved == i].sum()
                        v = G / (W + l2)
                        top, bottom = top + v * G, bottom + v * v * W
                    score = top / np.sqrt(bottom) if cosine else top
                    if score > best:
                        best, kept = score, moved
            node = kept
        for i in np.unique(node):
            raw[node == i] -= 0.5 * g[node == i].sum() / (weight[node == i].sum() + l2)
    return raw


@evidence(
    "catboost",
    claim="Without categories and with Plain boosting, trees equal CatBoost's: three losses, both scores, missing values",
    against="catboost on columns of few values",
    peer="catboost",
)
def catboost_like_peer() -> Check:
    import catboost

    from fivefold.models.trees import CatBoostClassifier, CatBoostRegressor

    X, y = dyadic(300, "peer")
    gaps = np.where(Streams(34).numpy("gaps").random(X.shape) < 0.2, np.nan, X)
    quiet = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
    errors = []
    for table, target, settings in (
        (X, y, {"depth": 6, "iterations": 12}),
        (X, y, {"depth": 3, "score_function": "L2", "l2_leaf_reg": 0.5}),
        (gaps, y, {"depth": 4}),
        (gaps, y, {"depth": 3, "nan_mode": "Max", "border_count": 254}),
        (X[:, :1], y, {"depth": 8}),
        (X, (y > 1).astype(int), {"depth": 4, "leaf_estimation_iterations": 1}),
        (X, np.digitize(y, [0.5, 1.5]), {"depth": 3}),
    ):
        given = {"iterations": 8, "learning_rate": 0.3, **_BARE, **settings}
        classes = target.dtype.kind == "i"
        ours: Any = (CatBoostClassifier if classes else CatBoostRegressor)(**given).fit(table, target)
        theirs = (catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor)(**given, **quiet)
        raw = theirs.fit(table, target).predict(table, prediction_type="RawFormulaVal")
        errors.append(np.abs(ours.predict_raw(table) - raw.reshape(len(y), -1)).max())
    # CatBoost keeps leaves in float64 but takes exponentials in a fast form that is good to 1e-7 or so.
    return Check(largest(errors), 1e-6, "largest difference of raw scores", "catboost")


@evidence(
    "catboost",
    claim="The learning rate and the other defaults are CatBoost's",
    against="catboost's account of its parameters",
    peer="catboost",
)
def catboost_defaults() -> Check:
    import catboost

    from fivefold.models.trees import CatBoostClassifier, CatBoostRegressor

    rng = Streams(35).numpy("defaults")
    quiet = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
    errors: list[float] = []
    for n, rounds, kind, best in (
        (300, 40, 0, False),
        (300, 90, 1, True),
        (700, 60, 1, False),
        (400, 30, 0, True),
        (200, 99, 2, True),
    ):
        X = rng.normal(size=(n, 1))
        y = np.digitize(X[:, 0], np.linspace(-0.5, 0.5, kind)) if kind else X[:, 0]
        peer = (catboost.CatBoostClassifier if kind else catboost.CatBoostRegressor)(
            iterations=rounds, depth=1, border_count=2, **quiet
        )
        peer.fit(X, y, eval_set=(X[:9], y[:9]) if best else None)
        ours: Any = (CatBoostClassifier if kind else CatBoostRegressor)(iterations=rounds, depth=1, border_count=2)
        ours.fit(X, y, eval_set=[(X[:9], y[:9])] if best else None)
        errors.append(abs(ours.learning_rate_ - peer.get_all_params()["learning_rate"]))
    known = peer.get_all_params()
    model = CatBoostClassifier()
    peer_default = {**catboost.CatBoostRegressor(**quiet).fit(X[:50], X[:50, 0] * 2.0).get_all_params(), "depth": 6}
    for name in (
        "l2_leaf_reg",
        "random_strength",
        "rsm",
        "nan_mode",
        "model_size_reg",
        "score_function",
        "boosting_type",
        "iterations",
    ):
        errors.append(float(getattr(model, name) != peer_default.get(name, getattr(model, name))))
    errors.append(float(known["bootstrap_type"] != "Bayesian"))
    wanted = {
        "depth": 6, "border_count": 254, "one_hot_max_size": 2, "max_ctr_complexity": 4, "ctr_border_count": 15,
        "permutation_count": 4, "bagging_temperature": 1.0, "prior_weight": 1.0, "handle_unknown": "prior",
        "use_best_model": True, "scale_pos_weight": 1.0, "categorical_features": "auto", "alpha": 0.5,
    }  # fmt: skip
    errors += [float(getattr(model, name) != value) for name, value in wanted.items()]
    return Check(largest(errors), 1e-6, "largest difference", "catboost")


@evidence(
    "catboost",
    claim="Ordered statistics are the mean target of the rows before, with the prior; at predict, of all rows",
    against="a plain loop",
)
def catboost_statistics() -> Check:
    from fivefold.models.trees.boosting._statistics import ordered_means

    rng = Streams(36).numpy("statistics")
    n, levels = 80, 7
    codes, y, w = rng.integers(0, levels, n), rng.normal(size=n), rng.random(n) + 0.1
    order = rng.permutation(n)
    errors = []
    for prior, a in ((0.3, 1.0), (-1.0, 2.5)):
        out = np.empty(n)
        ordered_means(codes, order, y, w, prior, a, levels, out)
        for p, r in enumerate(order):
            top, bottom = a * prior, a
            for q in order[:p]:
                if codes[q] == codes[r]:
                    top, bottom = top + w[q] * y[q], bottom + w[q]
            errors.append(abs(out[r] - top / bottom))
    # The worked case: levels a a b a a, labels 1 0 1 1 0, prior 0.6, weight 1.
    worked = np.empty(5)
    ordered_means(np.array([0, 0, 1, 0, 0]), np.arange(5), np.array([1.0, 0, 1, 1, 0]), np.ones(5), 0.6, 1.0, 2, worked)
    errors.append(np.abs(worked - [0.6, 0.8, 0.6, 1.6 / 3, 2.6 / 4]).max())
    return Check(largest(errors), 1e-12, "largest difference", "a plain loop and a case by hand")


@evidence(
    "catboost",
    claim="A row's statistic never uses its own target: flipping one changes later rows of its level alone",
    against="the statistics before the flip",
)
def catboost_no_leak() -> Check:
    from fivefold.models.trees.boosting._statistics import ordered_means

    rng = Streams(37).numpy("leak")
    n = 200
    codes, y, order = rng.integers(0, 9, n), rng.integers(0, 2, n).astype(float), rng.permutation(n)
    place = np.empty(n, dtype=int)
    place[order] = np.arange(n)
    before, after = np.empty(n), np.empty(n)
    ordered_means(codes, order, y, np.ones(n), 0.5, 1.0, 9, before)
    wrong = 0
    for r in range(0, n, 5):
        flipped = y.copy()
        flipped[r] = 1 - flipped[r]
        ordered_means(codes, order, flipped, np.ones(n), 0.5, 1.0, 9, after)
        later = (codes == codes[r]) & (place > place[r])
        wrong += int(not np.array_equal(before[~later], after[~later])) + int((before[later] == after[later]).any())
    return Check(wrong, 0, "rows that changed, or did not, against the rule", "the definition")


@evidence(
    "catboost",
    claim="Beside one real column, 10,000 levels of noise cost at most 0.01 of test log loss",
    against="the Bayes classifier",
)
def catboost_noise_levels() -> Check:
    from fivefold.models.trees import CatBoostClassifier

    rng = Streams(38).numpy("noise")
    n = 20_000
    X = np.column_stack([rng.integers(0, 10_000, 2 * n), rng.integers(0, 2, 2 * n)]).astype(float)
    p = np.where(X[:, 1] > 0, 0.62, 0.38)
    y = (rng.random(2 * n) < p).astype(int)
    worst = []
    for boosting in ("Plain", "Ordered"):
        model = CatBoostClassifier(
            iterations=25, learning_rate=0.2, boosting_type=boosting, random_state=0, categorical_features=[0]
        )
        q = model.fit(X[:n], y[:n]).predict_proba(X[n:])[np.arange(n), y[n:]]
        worst.append(float(-np.log(q).mean() + np.log(np.where(y[n:] == 1, p[n:], 1 - p[n:])).mean()))
    return Check(largest(worst), 0.01, "test log loss above Bayes", "the probabilities that drew the labels")


@evidence(
    "catboost",
    claim="Where noise alone decides, a column of 200 cuts is split on as often as a column of one, at cuts of all sizes",
    against="a fair coin, five standard errors",
)
def catboost_noise_of_columns() -> Check:
    from fivefold.models.trees import CatBoostRegressor

    rng = Streams(40).numpy("coin")
    X = np.column_stack([np.arange(201) % 2, rng.permutation(201)]).astype(float)
    settings: dict[str, Any] = {"iterations": 400, "depth": 1, "learning_rate": 1e-9, "random_state": 0}
    model = CatBoostRegressor(**settings, random_strength=1e9, bootstrap_type="No").fit(X, rng.normal(size=201))
    column, cut = (getattr(model.trees_, name)[model.trees_.offset[:-1]] for name in ("feature", "threshold"))
    splits = column[column >= 0]
    spread = np.unique(cut[column == 1])
    wrong = fault(len(splits) < 200) + fault(len(spread) < 60 or not spread.min() < 30 or not spread.max() > 170)
    return Check(
        abs(splits.mean() - 0.5) / (2.5 / np.sqrt(len(splits))) + wrong, 1, "five standard errors", "a fair coin"
    )


@evidence(
    "catboost",
    claim="Levels are matched by value; unseen ones have the prior or raise; a missing one is a level; text equals codes",
    against="the same rows under other names and orders",
)
def catboost_levels() -> Check:
    import pandas as pd

    from fivefold.base.errors import DataError
    from fivefold.models.trees import CatBoostClassifier

    X, y = categories(300, "levels")
    X[:20, 2] = np.nan
    settings = {"iterations": 12, "learning_rate": 0.3, "depth": 4, "random_state": 5, "priors": "mean"}
    codes = CatBoostClassifier(**settings, cat_features=[0, 1, 2]).fit(X, y)
    wrong = 0
    frame = pd.DataFrame({"x": X[:, 3]})
    for f, name in enumerate(("two", "five", "many")):
        # Two-digit names keep the order of the codes.
        frame[name] = pd.Series([None if np.isnan(v) else f"{int(v):02d}" for v in X[:, f]], dtype=object)
    frame = frame[["two", "five", "many", "x"]]
    text = CatBoostClassifier(**settings).fit(frame, y)
    wrong += int(not np.array_equal(codes.predict_raw(X), text.predict_raw(frame)))
    shuffled = frame.astype({"many": pd.CategoricalDtype(sorted(set(frame["many"].dropna()), reverse=True))})
    wrong += int(not np.array_equal(text.predict_raw(shuffled[::-1]), text.predict_raw(frame)[::-1]))
    new = X.copy()
    new[:, 2] = 99.0
    again = new.copy()
    again[:, 2] = -7.0
    wrong += int(not np.array_equal(codes.predict_raw(new), codes.predict_raw(again)))
    f = codes.columns_
    rows = f.extended(new)
    first, width = len(f.numeric) + len(f.one_hot), 2
    for at, source in enumerate(f.sources):
        if 2 in source.members:
            place = first + at * width
            wrong += int(not (rows[:, place] == f.prior[0, 0]).all()) + int(rows[:, place + 1].any())
    wrong += int(f.prior.shape != (1, 1)) + int(not abs(f.prior[0, 0] - y.mean()) <= 1e-12)
    several = CatBoostClassifier(**settings | {"priors": None}, cat_features=[0, 1, 2]).fit(X, y).columns_
    wrong += int(several.prior.tolist() != [[0.0, 0.5, 1.0]])
    wrong += int(not (several.extended(new)[:, -4:] == [0.0, 0.5, 1.0, 0.0]).all())
    strict = settings | {"handle_unknown": "error"}
    for table, model in (
        (new, CatBoostClassifier(**strict, cat_features=[0, 1, 2]).fit(X, y)),
        (frame.assign(many="new"), CatBoostClassifier(**strict).fit(frame, y)),
    ):
        try:
            model.predict_raw(table)
            wrong += 1
        except DataError as error:
            wrong += int("handle_unknown='prior'" not in str(error))
    filled = np.nan_to_num(X, nan=31.0)
    other = CatBoostClassifier(**settings, categorical_features=[0, 1, 2]).fit(filled, y)
    wrong += int(not np.array_equal(codes.predict_raw(X), other.predict_raw(filled)))
    return Check(wrong, 0, "departures", "itself")


@evidence(
    "catboost",
    claim="Statistics at predict are those of all training rows, combinations too, and the trees read them at their cuts",
    against="sums by hand over the levels, and a walk by hand",
)
def catboost_prediction() -> Check:
    from fivefold.models.trees import CatBoostClassifier

    X, y = categories(400, "prediction")
    weight = Streams(39).numpy("weight").integers(1, 3, len(y)).astype(float)
    errors = []
    for given, priors in (("mean", [np.average(y, weights=weight)]), (None, [0.0, 0.5, 1.0]), (0.3, [0.3])):
        model = CatBoostClassifier(
            iterations=30, learning_rate=0.3, depth=4, random_state=1, priors=given, prior_weight=1.5,
            categorical_features=[0, 1, 2],
        ).fit(X, y, weight)  # fmt: skip
        f = model.columns_
        columns = [X[:, 3], (X[:, 0] == 0).astype(float)]
        for source in f.sources:
            total, mass = np.empty(len(y)), np.empty(len(y))
            for r in range(len(y)):
                same = (X[:, source.members] == X[r, source.members]).all(axis=1)
                total[r], mass[r] = (weight * y)[same].sum(), weight[same].sum()
            columns += [(total + 1.5 * prior) / (mass + 1.5) for prior in priors] + [mass]
        table = np.column_stack(columns)
        errors.append(np.abs(table - f.extended(X)).max())
        errors.append(
            float(not any(len(s.members) > 1 for s in f.sources))
            + float(len({tuple(s.members) for s in f.sources}) != len(f.sources))
        )
        t, raw = model.trees_, np.zeros(len(y))
        for begin in t.offset[:-1]:
            node = np.zeros(len(y), dtype=int)
            while (t.feature[begin + node] >= 0).any():
                x = table[np.arange(len(y)), t.feature[begin + node]]
                node = np.where(x <= t.threshold[begin + node], t.left[begin + node], t.right[begin + node])
            raw += t.value[begin + node]
        errors.append(np.abs(raw - model.predict_raw(X)[:, 0]).max())
        shares = model.importance("split")
        errors.append(abs(shares.sum() - (np.log2(np.diff(t.offset) + 1) - 1).sum()))
        errors.append(abs(model.feature_importances_.sum() - 1) + float((shares[[0, 2, 3]] == 0).any()))
    return Check(largest(errors), 1e-9, "largest difference", "loops over rows")


@evidence(
    "catboost",
    claim="Permutations, combinations and Ordered boosting give one model for a seed and any number of threads",
    against="the same fit again",
)
def catboost_threads() -> Check:
    from fivefold.models.trees import CatBoostClassifier

    X, y = categories(6000, "threads")
    wrong = 0
    for settings in (
        {},
        {"boosting_type": "Ordered"},
        {"rsm": 0.6, "bootstrap_type": "Bernoulli"},
        {"bootstrap_type": "Bayesian"},
    ):
        given = {"iterations": 3, "depth": 4, "categorical_features": [0, 1, 2], **settings}
        a, b, c = (
            CatBoostClassifier(**given, n_jobs=j, random_state=s).fit(X, y).predict_raw(X)
            for j, s in ((1, 7), (2, 7), (1, 8))
        )
        wrong += int(not np.array_equal(a, b)) + int(np.array_equal(a, c))
    return Check(wrong, 0, "departures", "itself")
