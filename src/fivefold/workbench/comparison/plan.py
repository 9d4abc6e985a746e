"""What is compared, on which rows, by which measure: decided and explained before anything is fitted."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from fivefold.base.cards import Card, all_cards, get_card
from fivefold.base.errors import CapabilityError, DataError, InputError, SpecError
from fivefold.base.names import resolve

from ..baseline import BASELINE, baseline_card
from ..store import DataFacts
from ..tabular import build, class_texts, label_texts, target_vector, weight_column


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the caller asked for; all of it is written to ``spec.yaml``, so a comparison can be resumed and repeated."""

    data: str
    target: str | None = None
    methods: tuple[str, ...] = ()
    cv: int = 5
    seed: int = 0
    task: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    weight: str | None = None
    positive: str | None = None
    metrics: tuple[str, ...] = ()
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threads: int | None = None
    sql: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults, as plain values."""
        plain: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name in ("data", "cv", "seed") or value not in (None, (), {}):
                plain[name] = list(value) if isinstance(value, tuple) else _plain(value)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Options:
        """Return the options that :meth:`to_dict` gave."""
        unknown = sorted(set(plain) - set(cls.__dataclass_fields__))
        if unknown:
            raise SpecError(f"The specification of a comparison has the unknown key {unknown[0]!r}.")
        values: dict[str, Any] = {k: tuple(v) if k in ("methods", "drop", "metrics") else v for k, v in plain.items()}
        return cls(**values)


def _plain(value: Any) -> Any:
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One method of the comparison, with the variant that serves the task and the parameters it is given."""

    card: Card
    variant: str
    params: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Name of its row."""
        return self.card.id

    @property
    def is_baseline(self) -> bool:
        """Whether it is the trivial baseline."""
        return self.card.id == BASELINE


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

    def fingerprint(self, entry: Entry) -> str:
        """Return a hash of all that the cells of one method depend on; a cell of another fingerprint is computed again."""
        facts = {
            "data": self.data.sha256,
            "schema": self.schema.hash(),
            "classes": self.classes,
            "cv": self.options.cv,
            "seed": self.options.seed,
            "method": [entry.id, entry.variant, entry.card.recipe, repr(sorted(entry.params.items()))],
            "defaults": repr(sorted(entry.card.defaults.items())),
            "metrics": self.metrics,
            "threads": self.threads,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf8")).hexdigest()[:32]

    def explain(self) -> list[str]:
        """Return what was inferred and why, one line each, for people."""
        kinds: dict[str, int] = {}
        for column in self.schema.features:
            kinds[column.kind] = kinds.get(column.kind, 0) + 1
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        lines = [
            f"Data      {self.data.name}: {self.data.rows:,} rows, {len(self.schema.features)} features ({listed})",
            f"Task      {self.task} on {self.target!r}: {self.schema.task_reason}",
        ]
        if self.classes is not None:
            counts = self.class_counts()
            shown = ", ".join(f"{name} {count / self.data.rows:.1%}" for name, count in list(counts.items())[:6])
            more = f" and {len(counts) - 6} more" if len(counts) > 6 else ""
            positive = f"; positive is {self.classes[1]}" if self.task == "binary" else ""
            lines.append(f"Classes   {shown}{more}{positive}")
        kind = "stratified folds" if self.classes is not None else "folds"
        lines.append(
            f"Splits    {self.options.cv} {kind}, shuffled with seed {self.options.seed}, the same for every method"
        )
        lines.append(f"Ranking   {self.rank_by}; beside it {', '.join(self.metrics[1:]) or 'nothing'}")
        named = [entry.id for entry in self.entries if not entry.is_baseline]
        lines.append(
            f"Methods   {', '.join(named)}, and the trivial baseline; {self.threads} thread{'s' if self.threads > 1 else ''} each"
        )
        for column in self.schema.columns:
            if column.role != "feature" and column.role != "target":
                lines.append(f"Column    {column.name!r} is {column.kind} ({column.role}): {column.reason}")
        return lines + [f"Note      {note}" for note in self.notes]

    def class_counts(self) -> dict[str, int]:
        """Return class -> rows."""
        found = label_texts(self.frame[self.target]).value_counts()
        counts = dict(zip(found[self.target].to_list(), found["count"].to_list()))
        return {name: int(counts.get(name, 0)) for name in self.classes or ()}


def open_data(source: Any, target: str | None, sql: str | None) -> tuple[pl.DataFrame, str, str | None]:
    """Return the table, its name and its target, from a path, URL, name of a data set, frame or loaded data set."""
    if isinstance(source, pl.DataFrame):
        return source, "table", target
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
        return source.frame, str(source.name), target or source.target
    from fivefold.data.readers import read_table

    if isinstance(source, str):
        name = source if sql is None else "query"
        frame = read_table(source) if sql is None else read_table(sql=(source, sql))
        return frame, Path(name.split("?")[0]).name, target
    return read_table(source), "table", target


def _name_of(dataset: Any) -> str:
    return dataset if isinstance(dataset, str) else str(dataset.name)


def default_entries(task: str) -> list[str]:
    """Return the ids of the methods compared when none are named: supervised, for the task, and marked fast by their card."""
    return [
        card.id
        for card in all_cards().values()
        if card.kind in ("classifier", "regressor")
        and task in card.task
        and card.supervision == "supervised"
        and "fast" in card.capabilities
    ]


def choose_entries(methods: Iterable[str], task: str, params: Mapping[str, Mapping[str, Any]]) -> tuple[Entry, ...]:
    """Return the entries of a comparison, the baseline last.

    Raises
    ------
    UnknownNameError
        For a method or parameter that does not exist, with the nearest ones.
    CapabilityError
        For a method that does not serve the task.
    """
    named = list(methods)
    cards: dict[str, Card] = {}
    for name in named or default_entries(task):
        if name == BASELINE:
            continue
        card = get_card(name)
        if card.kind not in ("classifier", "regressor"):
            raise CapabilityError(
                f"{card.id} is a {card.kind}; compare takes classifiers and regressors (see `fivefold list`)."
            )
        if task not in card.task:
            fitting = ", ".join(default_entries(task)) or "none"
            raise CapabilityError(
                f"{card.id} serves {', '.join(card.task)}, the target asks for {task}; methods that fit: {fitting}."
            )
        cards[card.id] = card
    if not cards:
        raise SpecError(f"No method to compare for the task {task}; name some with --methods.")
    given = {resolve(name, cards, "method of this comparison"): dict(values) for name, values in params.items()}
    entries = [
        Entry(card=card, variant=card.variant(None, task), params=given.get(card.id, {})) for card in cards.values()
    ]
    for entry in entries:
        if entry.params:
            build(entry.card, entry.variant, entry.params, 0)  # a wrong parameter is an error before any work
    base = baseline_card()
    return (*entries, Entry(card=base, variant=base.variant(None, task), params={}))


def make_plan(source: Any, options: Options) -> tuple[Plan, str]:
    """Read the data, infer what it is and choose methods and metrics; return the plan and the name of the data.

    Raises
    ------
    FivefoldError
        For whatever cannot be compared, before any fit.
    """
    from fivefold.data.infer import infer_schema
    from fivefold.data.schema import checksum
    from fivefold.evaluation.registry import default_metrics, metric_class

    if options.cv < 2:
        raise InputError(f"cv must be at least 2 folds, got {options.cv}.")
    if options.threads is not None and options.threads < 1:
        raise InputError(f"threads must be at least 1, got {options.threads}.")
    frame, name, target = open_data(source, options.target, options.sql)
    if target is None:
        raise SpecError(
            f"Which column is to be predicted? Give --target; the columns are: {', '.join(frame.columns[:30])}."
        )
    schema, frame = infer_schema(
        frame,
        target=target,
        types=dict(options.types),
        drop=tuple(options.drop),
        weight=options.weight,
        task=options.task,
    )
    if schema.target is None:
        raise SpecError("The schema has no target.")
    if not schema.features:
        raise DataError("No column is left to predict from; every one is an id, constant or dropped (see --type).")
    notes = list(getattr(schema, "notes", ()))
    classes = None
    if schema.task != "regression":
        classes = _ordered(class_texts(schema, frame), options.positive, schema.task)
    elif options.positive is not None:
        raise SpecError("--positive names a class, but the task is regression.")
    target_vector(frame, schema, classes)  # says what is wrong with the target before any work
    if len(frame) < 2 * options.cv:
        raise DataError(f"{len(frame)} rows are too few for {options.cv} folds; at least {2 * options.cv} are needed.")
    entries = choose_entries(options.methods, str(schema.task), options.params)
    chosen = [metric_class(m) for m in options.metrics or default_metrics(str(schema.task))]
    for metric in chosen:
        if schema.task not in metric.tasks:
            raise CapabilityError(f"The metric {metric.name} serves {', '.join(metric.tasks)}, not {schema.task}.")
    plan = Plan(
        options=options,
        frame=frame,
        schema=schema,
        classes=classes,
        entries=entries,
        metrics=tuple(dict.fromkeys(m.name for m in chosen)),
        threads=options.threads or 1,
        data=DataFacts(
            name=name,
            sha256=checksum(frame),
            rows=len(frame),
            columns=len(frame.columns),
            target=str(schema.target.name),
            task=str(schema.task),
        ),
        notes=tuple(notes + (_rare(frame, schema, options.cv) if classes is not None else [])),
    )
    return plan, name


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
