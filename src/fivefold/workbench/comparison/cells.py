"""A cell is one method on one split: fitted on the training rows, asked about the test rows, and kept on disk.

A cell holds predictions, never scores: these follow from the predictions, in the process that shows them.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import FivefoldError, TrainingError
from fivefold.base.files import atomic_file, write_json
from fivefold.base.random import Streams

from ..tabular import TableModel, fit_table, trained_weights
from .entries import Entry
from .plan import Plan
from .splits import Splits

# Enough to draw the first fifteen columns; all of a large table would take minutes.
_EXPLAINED_ROWS, _EXPLAINED_COLUMNS, _EXPLAINED_CALLS = 2000, 200, 60


@dataclass(frozen=True, kw_only=True)
class CellSpec:
    """What a cell does.

    Parameters
    ----------
    name : str
        Its file name, unique among the cells of a method.
    rows : tuple
        Training and test rows, as :meth:`Splits.rows` takes them.
    other : bool
        Of the second splits of the comparison (random where the first are forward, and the other way round).
    fraction : float in (0, 1]
        Share of the training rows that is used.
    shuffled : bool
        The training labels are shuffled, to see what is scored when there is nothing to learn.
    drop : tuple of str
        Feature columns left out.
    keep : bool
        Save the fitted model beside the cell.
    explain : bool
        Measure how much the score loses when a column of the test rows is shuffled.
    """

    name: str
    rows: tuple[Any, ...]
    other: bool = False
    fraction: float = 1.0
    shuffled: bool = False
    drop: tuple[str, ...] = ()
    keep: bool = False
    explain: bool = False

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> CellSpec:
        """Return the specification from its JSON form."""
        return cls(**{**plain, "rows": tuple(plain["rows"]), "drop": tuple(plain["drop"])})


def fold_cell(repeat: int, fold: int, **options: Any) -> CellSpec:
    """Return the cell of one fold of the cross-validation."""
    return CellSpec(name=f"fold-{repeat}-{fold}", rows=("fold", repeat, fold), **options)


def pair_cell(first: int, second: int) -> CellSpec:
    """Return the cell that is fitted on neither of two folds and tested on both."""
    return CellSpec(name=f"pair-{first}-{second}", rows=("pair", first, second))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The outcome of a method on a split.

    Parameters
    ----------
    notes : list of str
        Warnings of the method, each once.
    reason : str
        Why it failed; empty when it did not.
    params, trials : mapping, int
        What tuning chose, after how many trials.
    weights : int or None
        Numbers that the method has learned, where it can tell.
    passes : int or None
        Of a model of click logs over its training rows.
    importance : list of (column, mean, deviation)
    predictions : DataFrame or None
        ``row``, ``prediction`` and the probabilities, one row a test row.
    """

    method: str
    name: str
    fingerprint: str
    reason: str = ""
    rows: int = 0
    trained: int = 0
    fit_seconds: float = 0.0
    predict_seconds: float = 0.0
    tune_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    recipe: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    trials: int = 0
    weights: int | None = None
    passes: int | None = None
    importance: list[tuple[str, float, float]] = field(default_factory=list)
    predictions: pl.DataFrame | None = None

    @property
    def ok(self) -> bool:
        """Whether the method came through."""
        return not self.reason


class CellStore:
    """Finished cells below a directory, one JSON and one Parquet file each; the JSON is written last."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def _path(self, method: str, name: str) -> Path:
        return self.directory / method / f"{name}.json"

    def model(self, method: str, name: str) -> Path:
        """Return where the model of a cell is kept."""
        return self.directory / method / f"{name}-model"

    def load(self, method: str, name: str, fingerprint: str) -> Cell | None:
        """Return the finished cell, or None when there is none of this fingerprint."""
        path = self._path(method, name)
        if not path.is_file():
            return None
        facts = json.loads(path.read_text(encoding="utf8"))
        if facts["fingerprint"] != fingerprint:
            return None
        table = path.with_suffix(".parquet")
        return Cell(**facts, predictions=pl.read_parquet(table) if not facts["reason"] else None)

    def save(self, cell: Cell) -> None:
        """Keep a finished cell."""
        path = self._path(cell.method, cell.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if cell.predictions is not None:
            with atomic_file(path.with_suffix(".parquet")) as temporary:
                cell.predictions.write_parquet(temporary, compression="lz4")
        facts = {name: value for name, value in vars(cell).items() if name != "predictions"}
        write_json(path, facts)

    def forget_failure(self, method: str, name: str) -> None:
        """Remove a failed cell, so that it is computed again."""
        self._path(method, name).unlink(missing_ok=True)


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


def run_cell(
    plan: Plan,
    entry: Entry,
    spec: CellSpec,
    *,
    other: Splits | None = None,
    store: CellStore | None = None,
    deadline: float | None = None,
) -> Cell:
    """Fit a method on the training rows of a split and ask it about the test rows; whatever it raises becomes its reason.

    Parameters
    ----------
    other : Splits, optional
        The second splits, for cells that say so.
    store : CellStore, optional
        Where the model goes when the cell keeps it.
    deadline : float, optional
        Value of ``time.monotonic()`` after which tuning starts no new trial.
    """
    common: dict[str, Any] = {"method": entry.id, "name": spec.name, "fingerprint": plan.fingerprint(entry)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            splits = other if spec.other and other is not None else plan.splits
            facts = _work(plan, entry, spec, splits, store, deadline)
        except FivefoldError as error:
            return Cell(**common, reason=str(error))
        except Exception as error:  # noqa: BLE001 - a method's own failure of whatever class is its row's reason, not ours
            text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            return Cell(**common, reason=text)
    notes = list(dict.fromkeys(f"{w.category.__name__}: {w.message}".splitlines()[0] for w in caught))
    return Cell(**common, **facts, notes=notes)


def _work(
    plan: Plan, entry: Entry, spec: CellSpec, splits: Splits, store: CellStore | None, deadline: float | None
) -> dict[str, Any]:
    from fivefold.base import codec
    from fivefold.engine.session import session

    from .tuning import tune

    entry.card.load(entry.variant)  # importing is not fitting
    train, rows = splits.rows(spec.rows)
    seed = Streams(plan.options.seed).integer(f"compare/cell/{spec.name}")
    if spec.fraction < 1:
        train = _share(train, spec.fraction, splits, seed)
    frame, schema = plan.frame, plan.schema
    if spec.drop:
        frame, schema = frame.drop(spec.drop), without(schema, spec.drop)
    fitted, tested = frame[train], frame[rows]
    if spec.shuffled:
        order = Streams(seed).numpy("shuffle").permutation(len(fitted))
        fitted = fitted.with_columns(fitted[plan.target][order])
    groups = None if splits.groups is None else splits.groups[train]
    with fixed_threads(plan.threads), session(progress=False):
        start = time.perf_counter()
        chosen = tune(plan, entry, frame, schema, train, splits, seed, deadline)
        begin = time.perf_counter()
        model = prepare_and_fit(plan, entry, fitted, schema, chosen.params, seed, groups)
        middle = time.perf_counter()
        # The target is taken away before the method sees the rows it is tested on.
        predictions = model.predict(tested.drop(plan.target)) if len(rows) else None
        end = time.perf_counter()
    if predictions is not None and len(predictions) != len(rows):
        raise TrainingError(f"{entry.id} answered {len(predictions):,} rows of the {len(rows):,} it was asked about.")
    if spec.keep and store is not None:
        path = store.model(entry.id, spec.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        codec.save(model, path, schema_hash=schema.hash(), meta={"id": entry.id, "seed": plan.options.seed})
    if predictions is not None:
        predictions = predictions.with_columns(pl.Series("row", rows, dtype=pl.Int64))
        predictions = predictions.select("row", pl.exclude("row"))
    return {
        "rows": len(rows),
        "trained": len(train),
        "fit_seconds": middle - begin,
        "predict_seconds": end - middle,
        "tune_seconds": begin - start,
        "recipe": describe_recipe(model),
        "params": chosen.params if chosen.trials else {},
        "trials": chosen.trials,
        "weights": trained_weights(model.model),
        "passes": int(model.model.n_iter_) if entry.card.kind == "ctr-model" else None,
        "importance": _importance(plan, model, tested, seed) if spec.explain else [],
        "predictions": predictions if predictions is not None else pl.DataFrame({"row": pl.Series([], dtype=pl.Int64)}),
    }


def _importance(plan: Plan, model: TableModel, tested: pl.DataFrame, seed: int) -> list[tuple[str, float, float]]:
    from fivefold.evaluation.importance import permutation_importance

    from .scoring import score_one
    from .table import higher_is_better

    frame = tested[:: max(1, len(tested) // _EXPLAINED_ROWS)]
    features = [column.name for column in model.schema.features][:_EXPLAINED_COLUMNS]
    found = permutation_importance(
        model.predict,
        frame.drop(plan.target),
        features,
        lambda answer: score_one(plan, frame, answer, plan.rank_by),
        n_repeats=max(2, min(5, _EXPLAINED_CALLS // len(features))),
        seed=Streams(seed).integer("importance"),
        higher_is_better=higher_is_better(plan.rank_by),
    )
    return [(item.column, item.mean, item.deviation) for item in found]


def prepare_and_fit(
    plan: Plan,
    entry: Entry,
    frame: pl.DataFrame,
    schema: Any,
    params: Mapping[str, Any],
    seed: int,
    groups: np.ndarray | None,
) -> TableModel:
    """Fit recipe and method on training rows, as the options of the comparison ask."""
    options = plan.options
    return fit_table(
        entry.card,
        frame,
        schema,
        params={**entry.params, **params},
        seed=seed,
        variant=entry.variant,
        classes=plan.classes,
        encode=options.encode,
        select=options.select,
        resample=options.resample,
        groups=groups,
    )


def _share(train: np.ndarray, fraction: float, splits: Splits, seed: int) -> np.ndarray:
    """Return part of the training rows: the latest ones where time counts, else drawn."""
    count = max(2, int(round(fraction * len(train))))
    if splits.clock is not None:
        return np.sort(train[np.argsort(splits.clock[train], kind="stable")[-count:]])
    return np.sort(Streams(seed).numpy("share").permutation(train)[:count])


def without(schema: Any, columns: tuple[str, ...]) -> Any:
    """Return the schema without some columns."""
    from fivefold.data.schema import Schema

    kept = [column for column in schema.columns if column.name not in columns]
    return Schema(kept, schema.task, schema.task_reason, list(getattr(schema, "notes", ())))


def describe_recipe(model: TableModel) -> str:
    """Return what the fitted recipe does, for the report."""
    return "looks at no column" if model.recipe is None else model.describe()


def spec_to_dict(spec: CellSpec) -> dict[str, Any]:
    """Return the JSON form of a cell's specification."""
    return {**asdict(spec), "rows": list(spec.rows), "drop": list(spec.drop)}
