"""The target: which task it sets, with its classes, and why."""

from __future__ import annotations

from typing import Any, cast

import polars as pl

from fivefold.base.errors import DataError
from fivefold.base.names import resolve

from .infer_kind import Facts, _whole
from .parse import as_boolean, as_category, as_number, first_row, is_boolean_pair, number_style, strip_missing
from .schema import TASKS, Column, Kind, Task

MOST_CLASSES = 20  # integers with more distinct values are amounts
ROWS_A_CLASS = 5  # integers with fewer rows a value are amounts


def decide_target(
    values: pl.Series, facts: Facts, kind: str | None, task: str | None
) -> tuple[Column, pl.Series, Task, str]:
    """Return the target column, its parsed values, the task and the reason.

    ``values`` has no missing values; ``kind`` and ``task`` are the user's, or None.

    Raises
    ------
    DataError
        When there is one class only, a value is infinite or the column cannot be a target.
    """
    name = values.name
    wanted = resolve(task, TASKS, "task") if task is not None else None
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        raise DataError(f"Target {name!r} holds {values.dtype} values; a target is one number or class a row.")
    if values.dtype in (pl.Date, pl.Datetime, pl.Time):
        raise DataError(
            f"Target {name!r} holds dates; predict a number instead, for example the days since a fixed day."
        )
    number, how = _numbers(values)
    if number is not None:
        _refuse_not_finite(number, name)
    if wanted == "regression" or (wanted is None and kind == "numeric"):
        if number is None:
            raise DataError(f"Target {name!r} holds words such as {_example(values)!r}; a regression needs numbers.")
        return _regression(number, name, how, f"{'the task' if wanted else 'the type'} was given")
    if number is None or kind in ("categorical", "boolean", "text", "id") or wanted is not None:
        return _classification(values, number, name, how, wanted, "as given" if kind or wanted else "")
    distinct = number.n_unique()
    if distinct > 2 and not _whole(number):
        return _regression(number, name, how, f"{distinct:,} distinct numbers with decimals")
    if distinct > MOST_CLASSES:
        return _regression(number, name, how, f"{distinct:,} distinct numbers")
    if distinct > 2 and distinct * ROWS_A_CLASS > len(number):
        return _regression(number, name, how, f"{distinct} distinct numbers in only {len(number)} rows")
    note = "; --task regression treats them as amounts" if distinct > 2 else ""
    return _classification(values, number, name, how, None, note)


def _numbers(values: pl.Series) -> tuple[pl.Series | None, tuple[str, ...]]:
    """Return the target as float64 with its style, or None where it is not numbers."""
    if values.dtype.is_numeric() or values.dtype == pl.Duration:
        return as_number(values), ()
    if values.dtype != pl.String:
        return None, ()
    bare = strip_missing(values)
    style = number_style(bare)
    if style is None or bare.null_count():
        return None, ()
    if bare.str.contains(r"^0\d+$").any():
        return None, ()  # codes: their leading zeros matter
    return as_number(bare, style), (() if style == "plain" else (style,))


def _refuse_not_finite(number: pl.Series, name: str) -> None:
    wild = number.is_infinite().fill_null(False)
    if wild.any():
        raise DataError(
            f"Target {name!r} holds {int(wild.sum()):,} infinite numbers, first in row {first_row(wild) + 1}; "
            "replace them or leave those rows out."
        )


def _regression(number: pl.Series, name: str, how: tuple[str, ...], why: str) -> tuple[Column, pl.Series, Task, str]:
    distinct = number.n_unique()
    if distinct == 1:
        raise DataError(
            f"Target {name!r} is {number[0]:g} in all {len(number):,} rows; there is nothing to predict. Name another target."
        )
    column = Column(name, "numeric", "target", f"a number to predict: {why}", how, 0, distinct)
    return column, number.alias(name), "regression", why


def _classification(
    values: pl.Series,
    number: pl.Series | None,
    name: str,
    how: tuple[str, ...],
    wanted: str | None,
    note: str,
) -> tuple[Column, pl.Series, Task, str]:
    kind, labels = _labels(values, number)
    classes: list[Any] = labels.unique().sort().to_list()
    count = len(classes)
    if count == 1:
        raise DataError(
            f"Target {name!r} has one class only, {classes[0]!r}, in all {len(labels):,} rows; a classifier needs two or "
            "more. Name another target or add rows of other classes."
        )
    if wanted is None and number is None and count > MOST_CLASSES and count > 0.5 * len(labels):
        raise DataError(
            f"Target {name!r} has {count:,} different values in {len(labels):,} rows, such as {classes[0]!r}; it looks like "
            "an identifier or free text, not like classes. Name another target, or insist with --task multiclass."
        )
    if wanted == "binary" and count != 2:
        raise DataError(f"Target {name!r} has {count} classes; a binary task needs exactly 2. Use --task multiclass.")
    task: Task = "binary" if count == 2 and wanted != "multiclass" else "multiclass"
    shown = ", ".join(str(c) for c in classes[:5]) + (", ..." if count > 5 else "")
    glue = "" if not note else (note if note.startswith(";") else f", {note}")
    why = f"{count} classes: {shown}{glue}"
    column = Column(name, cast(Kind, kind), "target", why, how, 0, count, tuple(classes))
    return column, labels.alias(name), task, why


def _labels(values: pl.Series, number: pl.Series | None) -> tuple[str, pl.Series]:
    """Return the kind and the class labels: booleans, integers, else strings."""
    if values.dtype == pl.Boolean:
        return "boolean", values
    if number is not None:
        return ("categorical", number.cast(pl.Int64)) if _whole(number) else ("categorical", number)
    labels = as_category(values)
    if (
        is_boolean_pair(labels.unique().to_list())
        and values.dtype == pl.String
        and labels.str.contains("(?i)^(true|false)$").all()
    ):
        return "boolean", as_boolean(values)
    return "categorical", labels


def _example(values: pl.Series) -> str:
    return str(values.drop_nulls()[0])
