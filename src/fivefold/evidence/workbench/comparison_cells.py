"""Evidence of the cells of a comparison: weights, leaks, chance; company and the order of rows change nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, largest

from ._compared import BINARY, cancer, compute_cell, diabetes, planned, score_cell


@evidence(
    "model-comparison",
    claim="Row weights enter the fit and the score of every method, the baseline included",
    against="scikit-learn LinearRegression and metrics with sample_weight; the weighted mean and class shares",
)
def weights_enter_fit_and_score() -> Check:
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import root_mean_squared_error

    frame = diabetes()
    w = np.random.default_rng(0).uniform(0.2, 5.0, len(frame))
    plan = planned(frame.with_columns(pl.Series("w", w)), "progression", ("linear-regression",), weight="w")
    folds = plan.splits.fold[0]
    X, y, train, test = frame.drop("progression").to_numpy(), frame["progression"].to_numpy(), folds != 0, folds == 0
    fitted = LinearRegression().fit(X[train], y[train], sample_weight=w[train]).predict(X[test])
    mean = np.full(int(test.sum()), np.average(y[train], weights=w[train]))
    worst = 0.0
    for entry, answer in zip(plan.entries, (fitted, mean)):
        mine = score_cell(plan, compute_cell(plan, entry))["rmse"] or float("nan")
        worst = largest(worst, abs(mine / root_mean_squared_error(y[test], answer, sample_weight=w[test]) - 1))
    label = pl.Series("label", np.where(y > 150, "high", "low"))
    plan = planned(
        pl.DataFrame({"x": X[:, 0], "w": w}).with_columns(label), "label", ("gaussian-naive-bayes",), weight="w"
    )
    cell = compute_cell(plan, plan.entry("baseline"))
    train = plan.splits.fold[0] != 0
    share = np.average(y[train] <= 150, weights=w[train])
    if cell.predictions is None:
        return Check(float("nan"), 1e-9)
    worst = largest(worst, float(np.abs(cell.predictions["probability_low"].to_numpy() - share).max()))
    return Check(worst, 1e-9, "max difference", "scikit-learn with sample_weight")


@evidence(
    "model-comparison",
    claim="What is fitted does not depend on the tested rows: wild values and other targets there leave the rest unmoved",
    against="the same cell with half of the tested rows changed",
)
def nothing_leaks_from_tested_rows() -> Check:
    random = np.random.default_rng(7)
    rows = 200
    frame = pl.DataFrame(
        {
            "size": random.normal(size=rows),
            "age": np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows)),
            "town": random.choice(list("abcdef"), rows),
            "label": random.choice(["no", "yes"], rows),
        }
    ).with_columns(pl.col("age").fill_nan(None))
    plan = planned(frame, "label", BINARY, types={"town": "categorical"})
    folds = plan.splits.fold[0]
    tested = np.flatnonzero(folds == 0)
    changed = np.zeros(rows, dtype=bool)
    changed[tested[::2]] = True
    mask = pl.Series(changed)
    wild = plan.frame.with_columns(
        pl.when(mask).then(1e6).otherwise(pl.col("size")).alias("size"),
        pl.when(mask).then(-1e6).otherwise(pl.col("age")).alias("age"),
        pl.when(mask).then(pl.lit("never seen")).otherwise(pl.col("town")).alias("town"),
        pl.when(mask).then(pl.lit("yes")).otherwise(pl.col("label")).alias("label"),
    )
    worst, count = 0.0, 0
    for entry in plan.entries:
        before = compute_cell(plan, entry)
        after = compute_cell(replace(plan, frame=wild), entry)
        if before.predictions is None or after.predictions is None:
            return Check(float("nan"), 0.0, before.reason + after.reason)
        same = ~changed[before.predictions["row"].to_numpy()]
        count += int(same.sum())
        gap = before.predictions["probability_yes"] - after.predictions["probability_yes"]
        worst = largest(worst, float(np.abs(gap.to_numpy()[same]).max()))
    return Check(
        worst if count else float("nan"), 0.0, "largest change of a prediction", "the same cell, tested rows changed"
    )


@evidence(
    "model-comparison",
    claim="On labels without meaning no method scores better than chance, with hundreds of columns and categories to overfit",
    against="ROC AUC of 1/2, five standard errors of the mean over folds and seeds",
)
def chance_on_random_labels() -> Check:
    rows, seeds = 240, 4
    means: dict[str, list[float]] = {}
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        columns = {f"x{j}": random.normal(size=rows) for j in range(40)}
        frame = pl.DataFrame(
            {**columns, "code": random.choice([f"c{k}" for k in range(80)], rows), "y": random.integers(0, 2, rows)}
        )
        plan = planned(frame, "y", BINARY, seed=seed, types={"code": "categorical"})
        for entry in plan.entries:
            cell = compute_cell(plan, entry)
            means.setdefault(entry.id, []).append(float(score_cell(plan, cell)["roc-auc"] or float("nan")))
    # A fold of 48 rows, 24 a class: the AUC of noise has variance (n + 1) / (12 n₊ n₋).
    error = np.sqrt(49 / (12 * 24 * 24) / seeds)
    worst = largest(abs(float(np.mean(values)) - 0.5) for values in means.values())
    return Check(worst, 5 * error, "largest |mean ROC AUC - 1/2|", "chance")


@evidence(
    "model-comparison",
    claim="The scores of a method do not depend on which methods stand beside it, nor on their order",
    against="the same method compared alone",
)
def company_does_not_matter() -> Check:
    frame = cancer().head(250)
    differences = 0
    # A network draws its start and its batches, so it shows whether seeds depend on the company.
    params = {"params": {"mlp": {"max_epochs": 1}}}
    alone = planned(frame, "diagnosis", ("mlp",), **params)
    beside = planned(frame, "diagnosis", ("gaussian-naive-bayes", "mlp"), **params)
    differences += int(not np.array_equal(alone.splits.fold, beside.splits.fold))
    starts = set()
    for fold in range(2):
        one = compute_cell(alone, alone.entry("mlp"), fold)
        compute_cell(beside, beside.entry("gaussian-naive-bayes"), fold)
        two = compute_cell(beside, beside.entry("mlp"), fold)
        same = one.predictions is not None and two.predictions is not None and one.predictions.equals(two.predictions)
        differences += int(not same)
        starts.add(score_cell(alone, one)["log-loss"])
    differences += int(len(starts) != 2)
    return Check(float(differences), 0.0, "cells that differ", "the method alone")


@evidence(
    "model-comparison",
    claim="Methods rank by the mean over folds in the direction of the metric; equal means rank by name; the baseline is last",
    against="a table of three folds by hand",
)
def order_of_rows() -> Check:
    from fivefold.workbench.comparison.table import Row, rank

    folds = {
        "a": (0.6, 0.6, 0.9),
        "b": (0.8, 0.8, 0.8),
        "c": (0.9, 0.5, 0.7),
        "d": (0.7, 0.7, 0.7),
        "baseline": (1.0, 1.0, 1.0),
    }
    wrong = 0
    for metric, expected in (("roc-auc", "bacd"), ("log-loss", "cdab")):
        rows = [
            Row(id=name, title="", baseline=name == "baseline", scores={metric: values})
            for name, values in folds.items()
        ]
        ordered = rank([*rows, Row(id="e", title="", reason="failed in 1 of 3 folds")], metric)
        wrong += int([row.id for row in ordered] != [*expected, "e", "baseline"])
        wrong += int([row.rank for row in ordered] != [1, 2, 3, 4, None, None])
        wrong += int(not abs(ordered[0].mean(metric) - {"roc-auc": 0.8, "log-loss": 0.7}[metric]) <= 1e-12)
        spread = next(row for row in ordered if row.id == "c").deviation(metric)
        wrong += int(not abs(spread - 0.2) <= 1e-12)  # √((0.2² + 0.2²) / 2)
    return Check(float(wrong), 0.0, "places that differ", "by hand")


@evidence(
    "model-comparison",
    claim="A model of click logs gets the columns themselves and answers as the one fitted by hand, its weights counted",
    against="FactorizationMachine on the training rows with its fields spelled out; 1 + d (1 + k) weights",
)
def click_models_by_hand() -> Check:
    from fivefold.models.recommend import FactorizationMachine

    random = np.random.default_rng(11)
    rows = 150
    user, item = random.integers(0, 30, rows), random.integers(0, 9, rows)
    names = np.array([f"{100 + i}" for i in range(9)])
    frame = pl.DataFrame(
        {
            "user": [f"{u}" for u in user],
            "item": names[item],
            "price": np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows)),
            "past": [names[random.integers(0, 9, k)].tolist() for k in random.integers(0, 4, rows)],
            "topics": [["x", "y", "z"][: k % 3] for k in item.tolist()],
            "label": np.where((user + item) % 3 == 0, "yes", "no"),
        }
    )
    set_by_hand = {"embedding_dim": 3, "max_iter": 2, "random_state": 5}
    plan = planned(
        frame,
        "label",
        ("ctr-model",),
        types={"user": "categorical", "item": "categorical"},
        params={"factorization-machine": set_by_hand},
    )
    features = {
        "user": {"kind": "categorical", "min_count": 2},
        "item": {"kind": "categorical", "min_count": 2, "table": "item"},
        "price": "numeric",
        "past": {"kind": "sequence", "min_count": 2, "table": "item"},
        "topics": {"kind": "set", "min_count": 2},
    }
    worst = 0.0
    for fold in range(2):
        cell = compute_cell(plan, plan.entry("factorization-machine"), fold)
        train = plan.splits.fold[0] != fold
        fitted = FactorizationMachine(features=features, **set_by_hand).fit(frame.filter(pl.Series(train)), "label")
        if cell.predictions is None:
            return Check(float("nan"), 1e-12)
        apart = fitted.predict_proba(frame[cell.predictions["row"].to_numpy()])[:, 1]
        worst = largest(worst, float(np.abs(apart - cell.predictions["probability_yes"].to_numpy()).max()))
        worst = largest(worst, float(np.abs(plan.splits.fold[0][cell.predictions["row"].to_numpy()] - fold).max()))
        known = [frame.filter(pl.Series(train))[c].explode().drop_nulls() for c in ("user", "item", "past", "topics")]
        pools = [known[0], pl.concat([known[1], known[2]]), known[3]]
        # A row for each name that occurs twice, an unknown one for each table, and one of the number.
        d = 1 + sum(1 + int((pool.value_counts()["count"] >= 2).sum()) for pool in pools)
        worst = largest(worst, float(abs((cell.weights or 0) - (1 + d * (1 + 3))) + abs((cell.passes or 0) - 2)))
    return Check(worst, 1e-12, "largest difference", "fitted by hand")
