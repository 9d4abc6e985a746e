"""Comparisons and plans that several pieces of evidence look at."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

BINARY = ("logistic-regression", "gaussian-naive-bayes", "k-nearest-neighbors")
REGRESSION = ("linear-regression", "ridge-regression", "k-nearest-neighbors")


def cancer() -> pl.DataFrame:
    """Return a binary task with strings for classes."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = [str(name) for name in found.feature_names]
    return pl.DataFrame(found.data, schema=names).with_columns(
        pl.Series("diagnosis", found.target_names[found.target].tolist())
    )


def diabetes() -> pl.DataFrame:
    """Return a regression task."""
    from sklearn.datasets import load_diabetes

    found = load_diabetes()
    return pl.DataFrame(found.data, schema=list(found.feature_names)).with_columns(
        pl.Series("progression", found.target)
    )


@dataclass(frozen=True)
class Compared:
    """What a comparison knows once its cells are computed."""

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
def compared(name: str) -> Compared:
    """Return plan, table and predictions of a comparison, without what follows the choice of the winner."""
    from fivefold.workbench.comparison.cells import fold_cell
    from fivefold.workbench.comparison.conduct import Conductor
    from fivefold.workbench.comparison.progress import Silent
    from fivefold.workbench.comparison.splits import test_share
    from fivefold.workbench.comparison.table import make_row, out_of_fold, rank

    frame, target, methods = {
        "cancer": (cancer, "diagnosis", BINARY),
        "diabetes": (diabetes, "progression", REGRESSION),
    }[name]
    plan = planned(frame(), target, methods)
    with tempfile.TemporaryDirectory() as folder:
        specs = [fold_cell(repeat, fold) for repeat, fold in plan.folds()]
        cells = Conductor(plan, Path(folder)).run({entry.id: specs for entry in plan.entries}, Silent())
    rows = [make_row(plan, entry, cells[entry.id]) for entry in plan.entries]
    return Compared(plan, rank(rows, plan.rank_by, test_share(plan.splits)), out_of_fold(plan, cells))


def planned(frame: pl.DataFrame, target: str, methods: tuple[str, ...], seed: int = 0, **options: Any) -> Any:
    """Return the plan of a comparison of a table."""
    from fivefold.workbench.comparison.plan import Options, make_plan

    return make_plan(frame, Options(data="table", target=target, methods=methods, seed=seed, threads=1, **options))[0]


def compute_cell(plan: Any, entry: Any, fold: int = 0) -> Any:
    """Fit a method without a fold and predict it, in this process."""
    from fivefold.workbench.comparison.cells import fold_cell, run_cell

    return run_cell(plan, entry, fold_cell(0, fold))


def score_cell(plan: Any, cell: Any) -> dict[str, float | None]:
    """Return the metrics of a cell."""
    from fivefold.workbench.comparison.scoring import score

    return score(plan, plan.frame[cell.predictions["row"].to_numpy()], cell.predictions)
