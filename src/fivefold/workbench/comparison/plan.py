"""What is compared, on which rows, by which measure: decided and explained before anything is fitted."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import CapabilityError, DataError, InputError, SpecError
from fivefold.base.names import resolve

from ..store import DataFacts
from ..tabular import class_texts, label_texts, target_vector, weight_column
from .alarms import Alarm, duplicate_groups, find_alarms
from .entries import Entry, choose_entries
from .options import Options, parse_seconds
from .splits import Splits, make_splits


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is fixed before the first fit."""

    options: Options
    frame: pl.DataFrame
    schema: Any
    classes: list[str] | None
    entries: tuple[Entry, ...]
    metrics: tuple[str, ...]
    threads: int
    data: DataFacts
    splits: Splits
    alarms: tuple[Alarm, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        """The task: binary, multiclass or regression."""
        return str(self.schema.task)

    @property
    def target(self) -> str:
        """Name of the target column."""
        return str(self.schema.target.name)

    @property
    def rank_by(self) -> str:
        """The metric that ranks."""
        return self.metrics[0]

    def entry(self, name: str) -> Entry:
        """Return the entry of that id."""
        return next(entry for entry in self.entries if entry.id == name)

    def weights(self, frame: pl.DataFrame) -> Any:
        """Return the row weights of some rows (n,), or None."""
        name = weight_column(self.schema)
        return None if name is None else frame[name].cast(pl.Float64).to_numpy()

    def folds(self) -> list[tuple[int, int]]:
        """Return (repeat, fold) of every cross-validation cell of a method."""
        return [(repeat, fold) for repeat in range(self.splits.repeats) for fold in range(self.splits.cv)]

    def fingerprint(self, entry: Entry) -> str:
        """Return a hash of all that the cells of one method depend on; a cell of another fingerprint is computed again."""
        options = self.options
        splits = hashlib.sha256(self.splits.fold.tobytes() + self.splits.sealed.tobytes()).hexdigest()
        facts = {
            "data": self.data.sha256,
            "schema": self.schema.hash(),
            "classes": self.classes,
            "splits": [self.splits.kind, self.splits.gap, splits],
            "seed": options.seed,
            "method": [entry.id, entry.variant, entry.card.recipe, repr(sorted(entry.params.items()))],
            "defaults": repr(sorted(entry.card.defaults.items())),
            "preparation": [options.encode, options.select, options.resample],
            "tune": [options.tune, self.rank_by if options.tune else ""],
            "threads": self.threads,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf8")).hexdigest()[:32]

    def explain(self) -> list[str]:
        """Return what was inferred and why, one line each, for people; alarms come first."""
        lines = [f"Alarm     {alarm.text}" for alarm in self.alarms]
        kinds: dict[str, int] = {}
        for column in self.schema.features:
            kinds[column.kind] = kinds.get(column.kind, 0) + 1
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        lines += [
            f"Data      {self.data.name}: {self.data.rows:,} rows, {len(self.schema.features)} features ({listed})",
            f"Task      {self.task} on {self.target!r}: {self.schema.task_reason}",
        ]
        if self.classes is not None:
            counts = self.class_counts()
            shown = ", ".join(f"{name} {count / self.data.rows:.1%}" for name, count in list(counts.items())[:6])
            more = f" and {len(counts) - 6} more" if len(counts) > 6 else ""
            positive = f"; positive is {self.classes[1]}" if self.task == "binary" else ""
            lines.append(f"Classes   {shown}{more}{positive}")
        lines.append(f"Splits    {self.splits.explain()}; seed {self.options.seed}, the same for every method")
        lines.append(f"Ranking   {self.rank_by}; beside it {', '.join(self.metrics[1:]) or 'nothing'}")
        named = [entry.id for entry in self.entries if not entry.is_baseline]
        tuned = f", {self.options.tune} trials each" if self.options.tune else ", with their defaults"
        lines.append(
            f"Methods   {', '.join(named)}{tuned}, and the trivial baseline; "
            f"{self.threads} thread{'s' if self.threads > 1 else ''} each"
        )
        apart = [c for c in self.schema.columns if c.role not in ("feature", "target")]
        for column in apart[:12]:
            lines.append(f"Column    {column.name!r} is {column.kind} ({column.role}): {column.reason}")
        if len(apart) > 12:
            lines.append(f"Column    and {len(apart) - 12} more that are no features; the report lists them")
        return lines + [f"Note      {note}" for note in self.notes]

    def class_counts(self) -> dict[str, int]:
        """Return class -> rows."""
        found = label_texts(self.frame[self.target]).value_counts()
        counts = dict(zip(found[self.target].to_list(), found["count"].to_list()))
        return {name: int(counts.get(name, 0)) for name in self.classes or ()}


def open_data(source: Any, target: str | None, sql: str | None) -> tuple[pl.DataFrame, str, str | None, dict[str, str]]:
    """Return the table, its name, its target and the kinds it knows, from a path, URL, name of a data set, frame or data set."""
    if isinstance(source, pl.DataFrame):
        return source, "table", target, {}
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if isinstance(source, str) and sql is None and not Path(source).exists():
        from fivefold.data.datasets import list_datasets, load_dataset

        bare = Path(source).suffix == "" and "/" not in source and "://" not in source
        if bare:
            source = load_dataset(resolve(source, [_name_of(d) for d in list_datasets()], "file or data set"))
    if hasattr(source, "frame") and hasattr(source, "name"):
        if source.kind != "table":
            raise DataError(f"{source.name} is a data set of {source.kind}, not a table; compare takes tables.")
        return source.frame, str(source.name), target or source.target, dict(getattr(source, "types", {}))
    from fivefold.data.readers import read_table

    if isinstance(source, str):
        name = source if sql is None else "query"
        frame = read_table(source) if sql is None else read_table(sql=(source, sql))
        return frame, Path(name.split("?")[0]).name, target, {}
    return read_table(source), "table", target, {}


def _name_of(dataset: Any) -> str:
    return dataset if isinstance(dataset, str) else str(dataset.name)


def make_plan(source: Any, options: Options) -> tuple[Plan, str]:
    """Read the data, infer what it is, deal the rows and choose methods and metrics; return the plan and the name of the data.

    Raises
    ------
    FivefoldError
        For whatever cannot be compared, before any fit.
    """
    from fivefold.data.infer import infer_schema
    from fivefold.data.recipes import ENCODINGS
    from fivefold.data.resample import STRATEGIES
    from fivefold.data.schema import checksum

    options = replace(options, encode=resolve(options.encode, ENCODINGS, "encoding"))
    if options.resample is not None:
        options = replace(options, resample=resolve(options.resample, STRATEGIES, "resampling strategy"))
    frame, name, target, types = open_data(source, options.target, options.sql)
    if target is None:
        raise SpecError(
            f"Which column is to be predicted? Give --target; the columns are: {', '.join(frame.columns[:30])}."
        )
    schema, frame = infer_schema(
        frame,
        target=target,
        types={**types, **options.types},
        drop=tuple(options.drop),
        weight=options.weight,
        group=options.group,
        time=options.time,
        split=options.split_column,
        task=options.task,
        drop_missing_target=options.drop_missing_target,
    )
    if schema.target is None:
        raise SpecError("The schema has no target.")
    if not schema.features:
        raise DataError("No column is left to predict from; every one is an id, constant or dropped (see --type).")
    notes = list(getattr(schema, "notes", ()))
    classes = None
    if schema.task != "regression":
        classes = _ordered(class_texts(schema, frame), options.positive, schema.task)
    else:
        for value, flag in (
            (options.positive, "--positive names a class"),
            (options.resample, "--resample balances classes"),
        ):
            if value is not None:
                raise SpecError(f"{flag}, but the task is regression.")
    if options.cost and schema.task != "binary":
        raise SpecError(f"--cost weighs the mistakes of two classes; the task is {schema.task}.")
    open_rows = len(frame)
    if options.test is not None:
        frame = pl.concat([frame, _test_rows(options.test, schema)])
    y = target_vector(frame, schema, classes)  # says what is wrong with the target before any work
    if open_rows < 2 * options.cv:
        raise DataError(f"{open_rows} rows are too few for {options.cv} folds; at least {2 * options.cv} are needed.")
    notes += _rare(frame, schema, options.cv) if classes is not None else []
    threads = options.threads or 1
    entries = choose_entries(
        options.methods,
        str(schema.task),
        options.params,
        peers=options.peers,
        threads=threads,
        encode=options.encode,
        select=options.select,
        resample=options.resample,
    )
    columns = [column.name for column in schema.features] + [schema.target.name]
    duplicates = duplicate_groups(frame, columns)
    given = None if options.test is None else np.arange(len(frame)) >= open_rows
    splits = make_splits(
        n=len(frame),
        strata=None if classes is None else y,
        cv=options.cv,
        repeats=options.repeats,
        seed=options.seed,
        given_test=given,
        time=None if options.time is None else clock_of(frame[options.time]),
        gap=_gap(options, frame),
        group=None if options.group is None else frame[options.group].rank("dense").to_numpy().astype(np.int64),
        column=None if options.split_column is None else _values(frame[options.split_column]),
        duplicates=duplicates if len(np.unique(duplicates)) < len(frame) else None,
    )
    alarms = find_alarms(frame, schema, classes, seed=options.seed)
    schema = _without_row_numbers(schema, alarms, options)
    plan = Plan(
        options=options,
        frame=frame,
        schema=schema,
        classes=classes,
        entries=entries,
        metrics=_metrics(options, str(schema.task)),
        threads=threads,
        data=DataFacts(
            name=name,
            sha256=checksum(frame),
            rows=len(frame),
            columns=len(frame.columns),
            target=str(schema.target.name),
            task=str(schema.task),
        ),
        splits=splits,
        alarms=tuple(alarms),
        notes=tuple(notes),
    )
    return plan, name


def _without_row_numbers(schema: Any, alarms: list[Alarm], options: Options) -> Any:
    """Return the schema in which columns that number the rows, and thereby tell the target, are no features."""
    from fivefold.data.schema import Schema

    found = {a.columns[0] for a in alarms if a.kind == "sorted-id" and a.columns[0] not in options.types}
    if not found.intersection(column.name for column in schema.features):
        return schema
    columns = [
        replace(c, role="ignored", reason=f"numbers the rows; no feature unless --type {c.name}=numeric says so")
        if c.name in found and c.role == "feature"
        else c
        for c in schema.columns
    ]
    return Schema(columns, schema.task, schema.task_reason, list(getattr(schema, "notes", ())))


def _metrics(options: Options, task: str) -> tuple[str, ...]:
    from fivefold.evaluation.registry import default_metrics, metric_class, registered_here

    chosen = [metric_class(m) for m in options.metrics or default_metrics(task)]
    for metric in chosen:
        if task not in metric.tasks:
            raise CapabilityError(f"The metric {metric.name} serves {', '.join(metric.tasks)}, not {task}.")
    if options.tune and registered_here(chosen[0].name):
        raise SpecError(
            f"The metric {chosen[0].name!r} was registered in this process, and the workers that tune do not know it; let a "
            "metric of fivefold rank (name it first), or compare without --tune."
        )
    return tuple(dict.fromkeys(m.name for m in chosen))


def _test_rows(path: str, schema: Any) -> pl.DataFrame:
    from fivefold.data.readers import read_table

    table = read_table(path)
    needed = [c.name for c in schema.columns if c.role != "ignored"]
    absent = [name for name in needed if name not in table.columns]
    if absent:
        raise DataError(f"The test file {path} lacks the columns {', '.join(map(repr, absent))}.")
    columns = []
    for column in schema.columns:
        values = (
            table[column.name]
            if column.name in table.columns
            else pl.Series(column.name, [None] * len(table), pl.String)
        )
        columns.append(column.cast(values))
    return pl.DataFrame(columns)


def clock_of(series: pl.Series) -> np.ndarray:
    """Return the time of each row as microseconds (int64), or as the numbers that the column holds (float64)."""
    if series.dtype.is_temporal():
        return series.cast(pl.Datetime("us")).cast(pl.Int64).to_numpy()
    return series.cast(pl.Float64).to_numpy()


def _gap(options: Options, frame: pl.DataFrame) -> float:
    if options.gap is None or options.time is None:
        return 0.0
    if frame[options.time].dtype.is_temporal():
        return 1e6 * (parse_seconds(options.gap, "--gap") or 0.0)
    try:
        return float(options.gap)
    except ValueError:
        raise InputError(f"The times are numbers, so --gap must be a number; got {options.gap!r}.") from None


def _values(series: pl.Series) -> np.ndarray:
    return (
        series.to_numpy()
        if series.dtype.is_numeric() or series.dtype == pl.Boolean
        else series.cast(pl.String).to_numpy()
    )


_AFFIRMATIVE = {
    "yes",
    "y",
    "true",
    "t",
    "1",
    "positive",
    "pos",
    "ja",
    "oui",
    "si",
    "sí",
    "sì",
    "sim",
    "tak",
    "да",
    "是",
}


def _ordered(classes: list[str], positive: str | None, task: Any) -> list[str]:
    if len(classes) < 2:
        raise DataError(
            f"The target has the one class {classes[0]!r}; there is nothing to tell apart."
            if classes
            else "The target holds no value."
        )
    if positive is None:
        # Of "ja" and "nein" the first is meant as positive, though the second sorts last.
        affirmed = [name for name in classes if name.strip().lower() in _AFFIRMATIVE]
        if task != "binary" or len(affirmed) != 1:
            return classes
        positive = affirmed[0]
    if task != "binary":
        raise SpecError(f"--positive needs two classes; the target has {len(classes)}.")
    chosen = resolve(positive, classes, "class")
    return [name for name in classes if name != chosen] + [chosen]


def _rare(frame: pl.DataFrame, schema: Any, cv: int) -> list[str]:
    counts = label_texts(frame[schema.target.name]).value_counts().sort("count")
    label, least = counts.row(0)
    if least < 2:
        raise DataError(
            f"The class {label!r} of the target {schema.target.name!r} has 1 row, which cannot be in training and test "
            "both; drop the row or merge the class with another."
        )
    if least < cv:
        return [f"The class {label!r} has {least} rows, fewer than {cv} folds: some folds test without it."]
    return []
