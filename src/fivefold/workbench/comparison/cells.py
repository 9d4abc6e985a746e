"""A cell is one method on one fold: fitted on the training rows, asked about the test rows, scored, and kept on disk."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import FivefoldError, TrainingError
from fivefold.base.files import atomic_file, write_json
from fivefold.base.random import Streams

from ..tabular import TableModel, fit_table, label_texts, target_vector
from .plan import Entry, Plan


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The outcome of a method on a fold.

    Parameters
    ----------
    scores : mapping metric -> value or None
        None where the metric cannot be had: no probabilities, or a fold without rows of a class.
    notes : list of str
        Warnings of the method, each once.
    reason : str
        Why it failed; empty when it did not.
    predictions : DataFrame or None
        ``row``, ``prediction`` and the probabilities, one row a test row.
    """

    method: str
    fold: int
    fingerprint: str
    reason: str = ""
    rows: int = 0
    fit_seconds: float = 0.0
    predict_seconds: float = 0.0
    scores: dict[str, float | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    recipe: str = ""
    predictions: pl.DataFrame | None = None

    @property
    def ok(self) -> bool:
        """Whether the method came through."""
        return not self.reason


class CellStore:
    """Finished cells below a directory, one JSON and one Parquet file each; the JSON is written last."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def _path(self, method: str, fold: int) -> Path:
        return self.directory / method / f"fold-{fold}.json"

    def load(self, method: str, fold: int, fingerprint: str) -> Cell | None:
        """Return the finished cell, or None when there is none of this fingerprint."""
        path = self._path(method, fold)
        if not path.is_file():
            return None
        facts = json.loads(path.read_text(encoding="utf8"))
        if facts["fingerprint"] != fingerprint:
            return None
        table = path.with_suffix(".parquet")
        return Cell(**facts, predictions=pl.read_parquet(table) if not facts["reason"] else None)

    def save(self, cell: Cell) -> None:
        """Keep a finished cell."""
        path = self._path(cell.method, cell.fold)
        path.parent.mkdir(parents=True, exist_ok=True)
        if cell.predictions is not None:
            with atomic_file(path.with_suffix(".parquet")) as temporary:
                cell.predictions.write_parquet(temporary)
        facts = {name: value for name, value in vars(cell).items() if name != "predictions"}
        write_json(path, facts)


@contextlib.contextmanager
def fixed_threads(count: int) -> Iterator[None]:
    """Hold every thread pool that is loaded (BLAS, OpenMP, torch, Numba) at ``count`` threads."""
    from threadpoolctl import threadpool_limits

    torch, numba = sys.modules.get("torch"), sys.modules.get("numba")
    before_torch = torch.get_num_threads() if torch else 0
    before_numba = numba.get_num_threads() if numba else 0
    with threadpool_limits(count):
        if torch:
            torch.set_num_threads(count)
        if numba:
            numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before_torch)
            if numba:
                numba.set_num_threads(before_numba)


def run_cell(plan: Plan, entry: Entry, fold: int, folds: np.ndarray) -> Cell:
    """Fit a method on the rows outside a fold and score it on the rows inside; whatever it raises becomes its reason."""
    fingerprint = plan.fingerprint(entry)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            cell = _work(plan, entry, fold, folds, fingerprint)
        except FivefoldError as error:
            return Cell(method=entry.id, fold=fold, fingerprint=fingerprint, reason=str(error))
        except Exception as error:  # noqa: BLE001 - a method's own failure of whatever class is its row's reason, not ours
            text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            return Cell(method=entry.id, fold=fold, fingerprint=fingerprint, reason=text)
    notes = list(dict.fromkeys(f"{w.category.__name__}: {w.message}".splitlines()[0] for w in caught))
    return Cell(**{**vars(cell), "notes": notes})


def _work(plan: Plan, entry: Entry, fold: int, folds: np.ndarray, fingerprint: str) -> Cell:
    from fivefold.engine.session import session

    entry.card.load(entry.variant)  # importing is not fitting
    train, test = plan.frame.filter(folds != fold), plan.frame.filter(folds == fold)
    rows = np.flatnonzero(folds == fold)
    with fixed_threads(plan.threads), session(progress=False):
        start = time.perf_counter()
        model = fit_table(
            entry.card,
            train,
            plan.schema,
            params=entry.params,
            seed=Streams(plan.options.seed).integer("compare", fold),
            variant=entry.variant,
            classes=plan.classes,
        )
        middle = time.perf_counter()
        # The target is taken away before the method sees the rows it is tested on.
        predictions = model.predict(test.drop(plan.target))
        end = time.perf_counter()
    if len(predictions) != len(rows):
        raise TrainingError(f"{entry.id} answered {len(predictions):,} rows of the {len(rows):,} it was asked about.")
    return Cell(
        method=entry.id,
        fold=fold,
        fingerprint=fingerprint,
        rows=len(rows),
        fit_seconds=middle - start,
        predict_seconds=end - middle,
        scores=score(plan, test, predictions),
        recipe=describe_recipe(model),
        predictions=predictions.with_columns(pl.Series("row", rows, dtype=pl.Int64)).select("row", pl.exclude("row")),
    )


def describe_recipe(model: TableModel) -> str:
    """Return what the fitted recipe does, for the report."""
    return "looks at no column" if model.recipe is None else str(model.recipe.describe())


def score(plan: Plan, test: pl.DataFrame, predictions: pl.DataFrame) -> dict[str, float | None]:
    """Return every metric of some predictions; None where it cannot be had."""
    import inspect

    from fivefold.evaluation.registry import metric_class, prediction_for

    y = target_vector(test, plan.schema, plan.classes)
    weights = plan.weights(test)
    forms = prediction_forms(predictions, plan.classes)
    values: dict[str, float | None] = {}
    for name in plan.metrics:
        metric = metric_class(name)
        try:
            answer = prediction_for(metric.needs, forms)
            options: dict[str, Any] = {}
            if plan.classes is not None and "labels" in inspect.signature(metric.function).parameters:
                options["labels"] = np.arange(len(plan.classes))
            value = float(metric.function(y, answer, weights, **options))
            values[name] = value if np.isfinite(value) else None
        except FivefoldError:
            values[name] = None  # shown as a dash: no probabilities, or a fold without rows of a class
    return values


def prediction_forms(predictions: pl.DataFrame, classes: list[str] | None) -> dict[str, np.ndarray]:
    """Return the forms a metric may ask for: values; or codes of the labels and probabilities (n, classes)."""
    if classes is None:
        return {"values": predictions["prediction"].to_numpy()}
    labels = label_texts(predictions["prediction"]).replace_strict(
        classes, list(range(len(classes))), return_dtype=pl.Int64
    )
    forms = {"labels": labels.to_numpy()}
    names = [f"probability_{name}" for name in classes]
    if all(name in predictions.columns for name in names):
        forms["probabilities"] = predictions.select(names).to_numpy()
    return forms
