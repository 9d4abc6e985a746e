"""Evidence of the comparison: its table, its folds, and that nothing leaks out of the training folds."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from sklearn.base import ClassifierMixin

from fivefold.base.cards import Card
from fivefold.base.estimator import Estimator
from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest

_BINARY = ("logistic-regression", "gaussian-naive-bayes", "k-nearest-neighbors")
_REGRESSION = ("linear-regression", "ridge-regression", "k-nearest-neighbors")


def _cancer() -> pl.DataFrame:
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = [str(name) for name in found.feature_names]
    return pl.DataFrame(found.data, schema=names).with_columns(
        pl.Series("diagnosis", found.target_names[found.target].tolist())
    )


def _diabetes() -> pl.DataFrame:
    from sklearn.datasets import load_diabetes

    found = load_diabetes()
    return pl.DataFrame(found.data, schema=list(found.feature_names)).with_columns(
        pl.Series("progression", found.target)
    )


@dataclass(frozen=True)
class _Compared:
    plan: Any
    rows: list[Any]
    oof: pl.DataFrame

    @property
    def table(self) -> pl.DataFrame:
        from fivefold.workbench.comparison.table import as_frame

        return as_frame(self.rows, self.plan.metrics)

    @property
    def splits(self) -> pl.DataFrame:
        table: pl.DataFrame = self.plan.splits.table()
        return table


@functools.cache
def _compared(name: str) -> _Compared:
    """Return plan, table and predictions of a comparison, without what follows the choice of the winner."""
    from fivefold.workbench.comparison.cells import fold_cell
    from fivefold.workbench.comparison.conduct import Conductor
    from fivefold.workbench.comparison.progress import Silent
    from fivefold.workbench.comparison.splits import test_share
    from fivefold.workbench.comparison.table import make_row, out_of_fold, rank

    frame, target, methods = {
        "cancer": (_cancer, "diagnosis", _BINARY),
        "diabetes": (_diabetes, "progression", _REGRESSION),
    }[name]
    plan = _plan(frame(), target, methods)
    with tempfile.TemporaryDirectory() as folder:
        specs = [fold_cell(repeat, fold) for repeat, fold in plan.folds()]
        cells = Conductor(plan, Path(folder)).run({entry.id: specs for entry in plan.entries}, Silent())
    rows = [make_row(plan, entry, cells[entry.id]) for entry in plan.entries]
    return _Compared(plan, rank(rows, plan.rank_by, test_share(plan.splits)), out_of_fold(plan, cells))


def _plan(frame: pl.DataFrame, target: str, methods: tuple[str, ...], seed: int = 0, **options: Any) -> Any:
    from fivefold.workbench.comparison.plan import Options, make_plan

    return make_plan(frame, Options(data="table", target=target, methods=methods, seed=seed, threads=1, **options))[0]


def _cell(plan: Any, entry: Any, fold: int = 0) -> Any:
    from fivefold.workbench.comparison.cells import fold_cell, run_cell

    return run_cell(plan, entry, fold_cell(0, fold))


def _score(plan: Any, cell: Any) -> dict[str, float | None]:
    from fivefold.workbench.comparison.scoring import score

    return score(plan, plan.frame[cell.predictions["row"].to_numpy()], cell.predictions)


@evidence(
    "model-comparison",
    claim="Every mean and deviation of a classification table follows from the predictions out of fold",
    against="scikit-learn metrics of oof.parquet, fold by fold",
)
def table_from_predictions() -> Check:
    from sklearn import metrics

    result = _compared("cancer")
    functions = {
        "roc-auc": lambda y, p, c: metrics.roc_auc_score(y, p[:, 1]),
        "pr-auc": lambda y, p, c: metrics.average_precision_score(y, p[:, 1]),
        "log-loss": lambda y, p, c: metrics.log_loss(y, p),
        "brier-score": lambda y, p, c: metrics.brier_score_loss(y, p[:, 1]),
        "accuracy": lambda y, p, c: metrics.accuracy_score(y, c),
        "balanced-accuracy": lambda y, p, c: metrics.balanced_accuracy_score(y, c),
        "macro-f1": lambda y, p, c: metrics.f1_score(y, c, average="macro"),
    }
    worst = 0.0
    for row in result.table.iter_rows(named=True):
        folds = result.oof.filter(pl.col("method") == row["method"]).partition_by("fold")
        for name, function in functions.items():
            values = [
                function(
                    (fold["truth"] == "malignant").to_numpy(),
                    fold.select("probability_benign", "probability_malignant").to_numpy(),
                    (fold["prediction"] == "malignant").to_numpy(),
                )
                for fold in folds
            ]
            worst = largest(
                worst, abs(np.mean(values) - row[name]), abs(np.std(values, ddof=1) - row[f"{name}_deviation"])
            )
    return Check(worst, 1e-9, "max |table - recomputed|", "scikit-learn metrics")


@evidence(
    "model-comparison",
    claim="Every mean of a regression table follows from the predictions out of fold",
    against="scikit-learn metrics of oof.parquet, fold by fold",
)
def regression_table_from_predictions() -> Check:
    from sklearn import metrics

    result = _compared("diabetes")
    functions = {
        "rmse": metrics.root_mean_squared_error,
        "mae": metrics.mean_absolute_error,
        "r2": metrics.r2_score,
    }
    worst = 0.0
    for row in result.table.iter_rows(named=True):
        folds = result.oof.filter(pl.col("method") == row["method"]).partition_by("fold")
        for name, function in functions.items():
            mean = np.mean([function(fold["truth"], fold["prediction"]) for fold in folds])
            worst = largest(worst, abs(mean - row[name]) / max(1.0, abs(mean)))
    return Check(worst, 1e-9, "max relative |table - recomputed|", "scikit-learn metrics")


@evidence(
    "model-comparison",
    claim="Every method, the baseline included, is scored on every row once and in the same fold",
    against="splits.parquet, row by row",
)
def same_folds_for_all() -> Check:
    wrong = 0
    for name in ("cancer", "diabetes"):
        result = _compared(name)
        expected = result.splits.sort("row")
        for entry in result.plan.entries:
            mine = result.oof.filter(pl.col("method") == entry.id).sort("row")
            wrong += int(not mine.select("row", "repeat", "fold").equals(expected.select("row", "repeat", "fold")))
        wrong += int(expected["row"].to_list() != list(range(result.plan.data.rows)))
        wrong += int(sorted(expected["fold"].unique()) != [0, 1, 2, 3, 4])
    return Check(float(wrong), 0.0, "methods with other rows", "splits.parquet")


@evidence(
    "model-comparison",
    claim="Folds keep the class shares and differ in size by at most one row a class",
    against="counting",
)
def folds_are_stratified() -> Check:
    result = _compared("cancer")
    table = result.splits.with_columns(result.plan.frame["diagnosis"])
    counts = (
        table.group_by("diagnosis", "fold").len().group_by("diagnosis").agg(pl.col("len").max() - pl.col("len").min())
    )
    return Check(float(counts["len"].max()), 1.0, "largest difference in rows", "counting")  # type: ignore[arg-type]


@evidence(
    "model-comparison",
    claim="Rows of a classification table equal scikit-learn pipelines on the same folds and preprocessing within 0.5 %",
    against="scikit-learn StandardScaler + LogisticRegression, GaussianNB, KNeighborsClassifier",
)
def classification_parity() -> Check:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    result = _compared("cancer")
    X = result.plan.frame.drop("diagnosis").to_numpy()
    y = (result.plan.frame["diagnosis"] == "malignant").to_numpy()
    folds = result.splits["fold"].to_numpy()
    peers = {
        "logistic-regression": LogisticRegression(max_iter=1000),
        "gaussian-naive-bayes": GaussianNB(),
        "k-nearest-neighbors": KNeighborsClassifier(),
    }
    worst = 0.0
    for name, peer in peers.items():
        scores = []
        for fold in range(5):
            fitted = make_pipeline(StandardScaler(), peer).fit(X[folds != fold], y[folds != fold])
            scores.append(roc_auc_score(y[folds == fold], fitted.predict_proba(X[folds == fold])[:, 1]))
        mine = result.table.filter(pl.col("method") == name)["roc-auc"].item()
        worst = largest(worst, abs(mine / np.mean(scores) - 1))
    return Check(worst, 0.005, "max relative difference of ROC AUC", "scikit-learn pipelines")


@evidence(
    "model-comparison",
    claim="Rows of a regression table equal scikit-learn pipelines on the same folds and preprocessing within 0.5 %",
    against="scikit-learn StandardScaler + LinearRegression, Ridge, KNeighborsRegressor",
)
def regression_parity() -> Check:
    from sklearn.linear_model import LinearRegression, Ridge
    from sklearn.metrics import root_mean_squared_error
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    result = _compared("diabetes")
    X = result.plan.frame.drop("progression").to_numpy()
    y = result.plan.frame["progression"].to_numpy()
    folds = result.splits["fold"].to_numpy()
    peers = {
        "linear-regression": LinearRegression(),
        "ridge-regression": Ridge(),
        "k-nearest-neighbors": KNeighborsRegressor(),
    }
    worst = 0.0
    for name, peer in peers.items():
        scores = []
        for fold in range(5):
            fitted = make_pipeline(StandardScaler(), peer).fit(X[folds != fold], y[folds != fold])
            scores.append(root_mean_squared_error(y[folds == fold], fitted.predict(X[folds == fold])))
        mine = result.table.filter(pl.col("method") == name)["rmse"].item()
        worst = largest(worst, abs(mine / np.mean(scores) - 1))
    return Check(worst, 0.005, "max relative difference of RMSE", "scikit-learn pipelines")


@evidence(
    "model-comparison",
    claim="The baseline is the mean (or the class shares) of the training folds, not of all rows",
    against="closed form from splits.parquet",
)
def baseline_closed_form() -> Check:
    worst = 0.0
    result = _compared("diabetes")
    y, folds = result.plan.frame["progression"].to_numpy(), result.splits["fold"].to_numpy()
    base = next(row for row in result.rows if row.baseline)
    expected = [np.sqrt(np.mean((y[folds == k] - y[folds != k].mean()) ** 2)) for k in range(5)]
    worst = largest(worst, float(np.abs(np.array(base.scores["rmse"]) / expected - 1).max()))
    result = _compared("cancer")
    bad, folds = (result.plan.frame["diagnosis"] == "malignant").to_numpy(), result.splits["fold"].to_numpy()
    base = next(row for row in result.rows if row.baseline)
    share = np.array([bad[folds != k].mean() for k in range(5)])
    there = np.array([bad[folds == k].mean() for k in range(5)])
    worst = largest(
        worst,
        float(np.abs(base.scores["log-loss"] + there * np.log(share) + (1 - there) * np.log(1 - share)).max()),
        float(np.abs(np.array(base.scores["accuracy"]) - (1 - there)).max()),
    )
    return Check(worst, 1e-12, "max difference", "closed form")


@evidence(
    "model-comparison",
    claim="Row weights enter the fit and the score of every method, the baseline included",
    against="scikit-learn LinearRegression and metrics with sample_weight; the weighted mean and class shares",
)
def weights_enter_fit_and_score() -> Check:
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import root_mean_squared_error

    frame = _diabetes()
    w = np.random.default_rng(0).uniform(0.2, 5.0, len(frame))
    plan = _plan(frame.with_columns(pl.Series("w", w)), "progression", ("linear-regression",), weight="w")
    folds = plan.splits.fold[0]
    X, y, train, test = frame.drop("progression").to_numpy(), frame["progression"].to_numpy(), folds != 0, folds == 0
    fitted = LinearRegression().fit(X[train], y[train], sample_weight=w[train]).predict(X[test])
    mean = np.full(int(test.sum()), np.average(y[train], weights=w[train]))
    worst = 0.0
    for entry, answer in zip(plan.entries, (fitted, mean)):
        mine = _score(plan, _cell(plan, entry))["rmse"] or float("nan")
        worst = largest(worst, abs(mine / root_mean_squared_error(y[test], answer, sample_weight=w[test]) - 1))
    label = pl.Series("label", np.where(y > 150, "high", "low"))
    plan = _plan(
        pl.DataFrame({"x": X[:, 0], "w": w}).with_columns(label), "label", ("gaussian-naive-bayes",), weight="w"
    )
    cell = _cell(plan, plan.entry("baseline"))
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
    plan = _plan(frame, "label", _BINARY, types={"town": "categorical"})
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
        before = _cell(plan, entry)
        after = _cell(replace(plan, frame=wild), entry)
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
        plan = _plan(frame, "y", _BINARY, seed=seed, types={"code": "categorical"})
        for entry in plan.entries:
            cell = _cell(plan, entry)
            means.setdefault(entry.id, []).append(float(_score(plan, cell)["roc-auc"] or float("nan")))
    # A fold of 48 rows, 24 a class: the AUC of noise has variance (n + 1) / (12 n₊ n₋).
    error = np.sqrt(49 / (12 * 24 * 24) / seeds)
    worst = largest(abs(float(np.mean(values)) - 0.5) for values in means.values())
    return Check(worst, 5 * error, "largest |mean ROC AUC - 1/2|", "chance")


class Fragile(ClassifierMixin, Estimator):
    """Fails when the first row it is fitted on says so; a stand-in for methods that break on some data."""

    def __init__(self, mode: str = "raise") -> None:
        self.mode = mode

    def fit(self, X: Any, y: Any) -> Self:
        """Raise, or remember the classes."""
        if self.mode == "raise":
            raise ZeroDivisionError("no luck")
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return NaN, too few rows, or numbers that are no probabilities."""
        rows = len(X) - 1 if self.mode == "short" else len(X)
        return np.full((rows, len(self.classes_)), {"nan": np.nan, "large": 0.9}.get(self.mode, 0.5))

    def predict(self, X: Any) -> np.ndarray:
        """Return the first class."""
        return np.full(len(X), self.classes_[0])


@evidence(
    "model-comparison",
    claim="A method that raises, returns NaN, too few rows or no probabilities is unranked with its reason; the others stay",
    against="the same cells without it",
)
def failing_methods_are_rows() -> Check:
    from fivefold.workbench.comparison.entries import Entry
    from fivefold.workbench.comparison.table import make_row, rank

    plan = _plan(_cancer().head(200), "diagnosis", ("gaussian-naive-bayes",))
    path = f"{Fragile.__module__}:Fragile"
    facts: dict[str, Any] = {"package": "evidence", "title": "Fragile", "kind": "classifier", "summary": "Fails."}
    broken = {
        mode: Entry(
            card=Card(id=f"fragile-{mode}", factory={"default": path}, task=("binary",), recipe="ordinal", **facts),
            variant="default",
            params={"mode": mode},
        )
        for mode in ("raise", "nan", "short", "large")
    }
    rows = [
        make_row(plan, entry, {f"fold-0-{fold}": _cell(plan, entry, fold) for fold in range(5)})
        for entry in (*broken.values(), *plan.entries)
    ]
    ordered = rank(rows, plan.rank_by)
    words = {"raise": "ZeroDivisionError: no luck", "nan": "not finite", "short": "of shape", "large": "off one"}
    wrong = sum(
        row.rank is not None or words[row.id.removeprefix("fragile-")] not in row.reason
        for row in ordered
        if row.id.startswith("fragile")
    )
    wrong += int([row.id for row in ordered if row.rank] != ["gaussian-naive-bayes"])
    wrong += int(len(ordered) != 6 or not ordered[-1].baseline)
    return Check(float(wrong), 0.0, "rows that are not as they must be", "four broken methods")


@evidence(
    "model-comparison",
    claim="The scores of a method do not depend on which methods stand beside it, nor on their order",
    against="the same method compared alone",
)
def company_does_not_matter() -> Check:
    frame = _cancer().head(250)
    differences = 0
    # A network draws its start and its batches, so it shows whether seeds depend on the company.
    params = {"params": {"mlp": {"max_epochs": 1}}}
    alone = _plan(frame, "diagnosis", ("mlp",), **params)
    beside = _plan(frame, "diagnosis", ("gaussian-naive-bayes", "mlp"), **params)
    differences += int(not np.array_equal(alone.splits.fold, beside.splits.fold))
    starts = set()
    for fold in range(2):
        one = _cell(alone, alone.entry("mlp"), fold)
        _cell(beside, beside.entry("gaussian-naive-bayes"), fold)
        two = _cell(beside, beside.entry("mlp"), fold)
        same = one.predictions is not None and two.predictions is not None and one.predictions.equals(two.predictions)
        differences += int(not same)
        starts.add(_score(alone, one)["log-loss"])
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
        wrong += int(abs(ordered[0].mean(metric) - {"roc-auc": 0.8, "log-loss": 0.7}[metric]) > 1e-12)
        spread = next(row for row in ordered if row.id == "c").deviation(metric)
        wrong += int(abs(spread - 0.2) > 1e-12)  # √((0.2² + 0.2²) / 2)
    return Check(float(wrong), 0.0, "places that differ", "by hand")


@evidence(
    "model-comparison",
    claim="Numbers are shown with two digits of the deviation when they begin with 10 to 35, else one",
    against="the rounding rule of the Particle Data Group, by hand",
)
def digits_shown() -> Check:
    from fivefold.workbench.comparison.numbers import with_deviation

    by_hand = {
        (0.82136, 0.00312): "0.8214 ± 0.0031",
        (0.82136, 0.00412): "0.821 ± 0.004",
        (68912.3, 734.0): "68,900 ± 700",
        (68912.3, 1423.0): "68,900 ± 1,400",
        (68912.3, 0.0): "68,910",
        (0.827, 0.119): "0.83 ± 0.12",
        (0.827, 0.367): "0.8 ± 0.4",
        (0.827, 0.96): "0.8 ± 1.0",
        (-0.0001, 0.02): "0.000 ± 0.020",
        (0.5, float("nan")): "0.5000",
    }
    wrong = sum(with_deviation(*numbers) != text for numbers, text in by_hand.items())
    return Check(float(wrong), 0.0, "texts that differ", "by hand")


@evidence(
    "model-comparison",
    claim="A method saved and loaded predicts as its peer, whatever the order of columns and rows",
    against="scikit-learn StandardScaler + LogisticRegression on all rows",
)
def refitted_winner_predicts() -> Check:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import fivefold
    from fivefold.base.cards import get_card
    from fivefold.workbench.predict import predict
    from fivefold.workbench.tabular import fit_table

    plan = _plan(_cancer(), "diagnosis", ("logistic-regression",))
    model = fit_table(
        get_card("logistic-regression"), plan.frame, plan.schema, classes=plan.classes, params={"tol": 1e-8}
    )
    order = Streams(0).numpy("order").permutation(len(plan.frame))
    shuffled = plan.frame[order].drop("diagnosis").with_columns(pl.lit("x").alias("extra"))
    shuffled = shuffled.select(sorted(shuffled.columns))
    with tempfile.TemporaryDirectory() as folder:
        fivefold.base.codec.save(model, Path(folder) / "model")
        answer = predict(folder, shuffled)["probability_malignant"].to_numpy()
    X = plan.frame.drop("diagnosis").to_numpy()
    peer = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10, max_iter=5000, solver="newton-cholesky"))
    expected = peer.fit(X, plan.frame["diagnosis"].to_numpy()).predict_proba(X)[order, 1]
    return Check(float(np.abs(answer - expected).max()), 1e-5, "max |probability - peer|", "scikit-learn")
