"""The data of a stock experiment: a bundled set or a file, its schema, the rows held out, all noted in the run's record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fivefold.base.errors import DataError, SpecError

from ..context import Context

_TABLE_TASKS = ("binary", "multiclass", "regression")


@dataclass
class Loaded:
    """Data in the form they came: a table with its schema, or named arrays."""

    name: str
    kind: str
    frame: Any = None
    schema: Any = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    task: str | None = None

    @property
    def rows(self) -> int:
        """How many records there are."""
        return len(self.frame) if self.frame is not None else len(next(iter(self.arrays.values())))


def load(context: Context, *, labeled: bool = True) -> Loaded:
    """Return what ``data`` of the specification names, with only so many rows as it asks for.

    Raises
    ------
    DataError, UnknownNameError, SpecError
        When the data cannot be had or the target is missing.
    """
    from fivefold.base.names import normalize
    from fivefold.data.datasets import list_datasets, load_dataset

    part = context.spec.data
    if part.name is None:
        raise SpecError(f"{context.spec.id!r} names no data; give data.name (see `fivefold data list`).")
    names = {normalize(name): name for name in list_datasets()}
    if normalize(part.name) in names and part.sql is None:
        dataset = load_dataset(names[normalize(part.name)])
        if dataset.kind != "table":
            return _arrays(context, dataset)
        target = part.target or dataset.target
        return _table(context, dataset.name, dataset.frame, target, dataset.task, labeled, dataset.types)
    _check_source(part.name, part.sql, list(names.values()))
    from fivefold.data.readers import read_table

    return _table(
        context,
        part.name,
        read_table(part.name) if part.sql is None else read_table(sql=(part.name, part.sql)),
        part.target,
        None,
        labeled,
    )


def _check_source(name: str, sql: str | None, known: list[str]) -> None:
    from pathlib import Path

    from fivefold.base.errors import UnknownNameError
    from fivefold.base.names import nearest

    if sql is None and "://" not in name and not Path(name).exists():
        raise UnknownNameError(
            f"data.name: {name!r} is neither a file nor a data set; did you mean one of: {', '.join(nearest(name, known))}?"
        )


def _table(
    context: Context,
    name: str,
    frame: Any,
    target: str | None,
    task: str | None,
    labeled: bool,
    types: Mapping[str, str] | None = None,
) -> Loaded:
    from fivefold.data.infer import infer_schema

    part = context.spec.data
    if labeled and target is None:
        raise SpecError(f"data.target is missing: {name} has the columns {', '.join(frame.columns[:20])}.")
    if part.rows is not None and part.rows < len(frame):
        frame = frame[np.sort(context.streams.numpy("rows").permutation(len(frame))[: part.rows])]
    schema, frame = infer_schema(
        frame,
        target=target,
        types={**(types or {}), **part.types},
        drop=part.drop,
        weight=part.weight,
        group=part.group,
        time=part.time,
        task=part.task or (task if target is not None and part.target is None and task in _TABLE_TASKS else None),
    )
    context.saw(name, {c: frame[c] for c in frame.columns}, target=target, task=schema.task)
    return Loaded(name, "table", frame=frame, schema=schema, task=schema.task)


def _arrays(context: Context, dataset: Any) -> Loaded:
    arrays = {key: np.asarray(value) for key, value in dataset.arrays.items()}
    rows = context.spec.data.rows
    count = len(next(iter(arrays.values())))
    if rows is not None and rows < count:
        chosen = np.sort(context.streams.numpy("rows").permutation(count)[:rows])
        arrays = {key: value[chosen] if len(value) == count else value for key, value in arrays.items()}
    context.saw(dataset.name, arrays, target="y" if "y" in arrays else None, task=dataset.task)
    return Loaded(dataset.name, dataset.kind, arrays=arrays, task=context.spec.data.task or dataset.task)


def matrix(context: Context, loaded: Loaded, recipe: str) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Return the numbers of a data set (n, d), its target (or None) and the names of the columns."""
    if loaded.kind != "table":
        x = loaded.arrays["x"]
        names = [f"x{i}" for i in range(int(np.prod(x.shape[1:])))]
        return x.reshape(len(x), -1).astype(np.float64), loaded.arrays.get("y"), names
    from fivefold.data.recipes import Recipe

    steps = Recipe(recipe, loaded.schema).fit(loaded.frame)
    target = None if loaded.schema.target is None else loaded.frame[loaded.schema.target.name].to_numpy()
    return steps.transform(loaded.frame), target, list(steps.feature_names_out_)


def holdout(context: Context, y: np.ndarray | None, rows: int, *, classes: bool, loaded: Loaded | None = None) -> Any:
    """Return the rows of training and test as the specification says: ``auto`` keeps the shares of the classes."""
    from fivefold.data import splits

    part = context.spec.data
    way = part.split
    seed = context.streams.child("holdout")
    if way == "auto":
        way = "group" if part.group else "time" if part.time else "stratified" if classes else "random"
    if way == "stratified":
        if y is None:
            raise DataError("data.split is 'stratified', but there is no target to stratify by.")
        return splits.stratified_split(y, test_size=part.test, random_state=seed)
    if way in ("group", "time"):
        column = getattr(part, way)
        if column is None or loaded is None or loaded.frame is None:
            raise SpecError(f"data.split is {way!r}; name the column in data.{way}.")
        values = loaded.frame[column].to_numpy()
        if way == "group":
            return splits.group_split(values, test_size=part.test, random_state=seed)
        return splits.time_split(values, test_size=part.test)
    return splits.random_split(rows, test_size=part.test, random_state=seed)
