"""Evidence of the comparison: its table, its folds, and that nothing leaks out of the training folds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from sklearn.base import ClassifierMixin

from fivefold.base.cards import Card
from fivefold.base.estimator import Estimator
from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest

from ._compared import cancer, compared, compute_cell, planned


@evidence(
    "model-comparison",
    claim="Every mean and deviation of a classification table follows from the predictions out of fold",
    against="scikit-learn metrics of oof.parquet, fold by fold",
)
def table_from_predictions() -> Check:
    from sklearn import metrics

    result = compared("cancer")
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

    result = compared("diabetes")
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
        result = compared(name)
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
    result = compared("cancer")
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

    result = compared("cancer")
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

    result = compared("diabetes")
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
    result = compared("diabetes")
    y, folds = result.plan.frame["progression"].to_numpy(), result.splits["fold"].to_numpy()
    base = next(row for row in result.rows if row.baseline)
    expected = [np.sqrt(np.mean((y[folds == k] - y[folds != k].mean()) ** 2)) for k in range(5)]
    worst = largest(worst, float(np.abs(np.array(base.scores["rmse"]) / expected - 1).max()))
    result = compared("cancer")
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

    plan = planned(cancer().head(200), "diagnosis", ("gaussian-naive-bayes",))
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
        make_row(plan, entry, {f"fold-0-{fold}": compute_cell(plan, entry, fold) for fold in range(5)})
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

    plan = planned(cancer(), "diagnosis", ("logistic-regression",))
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
