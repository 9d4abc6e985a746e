"""From any table to a schema and a typed table: kinds, roles and task are inferred, each with a reason, or given."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any, cast

import polars as pl

from fivefold.base.errors import DataError

from .infer_kind import SAMPLE, Decision, Facts, decide
from .infer_target import decide_target
from .parse import MISSING, NUMBER_STYLES, as_number, as_text, date_formats, first_row, number_style, strip_missing
from .schema import MODEL_KINDS, Column, Kind, Role, Schema, Task, resolve_kind, unknown_column


def infer_schema(
    frame: Any,
    *,
    target: str | None = None,
    types: Mapping[str, str] | None = None,
    drop: Iterable[str] = (),
    weight: str | None = None,
    group: str | None = None,
    time: str | None = None,
    split: str | None = None,
    task: str | None = None,
    drop_missing_target: bool = False,
) -> tuple[Schema, pl.DataFrame]:
    """Infer the schema of a table and return it with the parsed table.

    Parameters
    ----------
    frame : polars.DataFrame, or anything :func:`fivefold.data.readers.read_table` reads
    target : str, optional
        The column to predict.
    types : mapping column -> kind, optional
        Decisions of the user's; they win over inference. ``"C*"`` stands for all features that begin so, ``?`` for one letter; a
        column's own name wins over such a pattern.
    drop : names of columns to leave out
    weight, group, time, split : str, optional
        Columns that weight rows, hold rows together, order them in time, or name their part of a split.
    task : "binary", "multiclass" or "regression", optional
        Inferred from the target by default.
    drop_missing_target : bool, default False
        Leave out rows without a target instead of refusing them.

    Returns
    -------
    (Schema, polars.DataFrame)
        The table has the schema's columns in their order, without the dropped ones: numeric columns as float64, categories,
        text and ids as strings, lists as lists of strings, booleans, dates as microseconds; null for missing.

    Raises
    ------
    DataError
        When a column is not there, cannot be read as the type given, holds infinite numbers, or the target cannot be used.
    """
    from .readers import read_table

    table = frame if isinstance(frame, pl.DataFrame) else read_table(frame)
    roles = _roles(table, target=target, weight=weight, group=group, time=time, split=split)
    kinds = _by_column(types or {}, table.columns, set(roles))
    for name in (*kinds, *(drop := list(drop))):
        if name not in table.columns:
            raise unknown_column(name, table.columns, "Column")
    for name in drop:
        if name in roles:
            raise DataError(f"Column {name!r} is both dropped and used as {roles[name]}; give it one part.")
    table = table.drop(drop)
    if table.width == 0 or table.height == 0:
        raise DataError(f"The table has {table.height} rows and {table.width} columns; there is nothing to learn from.")
    kinds = {name: resolve_kind(kind, name) for name, kind in kinds.items() if name not in drop}
    notes: list[str] = []
    if target is not None:
        table = _without_missing_target(table, target, drop_missing_target, notes)

    facts = collect_facts(table)
    columns: list[Column] = []
    series: list[pl.Series] = []
    chosen: Task | None = None
    task_reason = ""
    for position, name in enumerate(table.columns):
        role = roles.get(name, "feature")
        if role == "target":
            column, values, chosen, task_reason = decide_target(table[name], facts[name], kinds.get(name), task)
        else:
            if name in kinds:
                found = _given(table[name], kinds[name])
            elif role == "weight" and table[name].dtype.is_numeric():
                found = Decision("numeric", "the weight of each row", as_number(table[name]))
            else:
                found = decide(table[name], facts[name], position=position, columns=table.width)
            column, values = _column(name, found, role, by_user=name in kinds)
            if found.kind == "numeric" and (facts[name].infinite or not table[name].dtype.is_numeric()):
                _refuse_infinite(values, name)
        columns.append(column)
        series.append(values.alias(name))
    schema = Schema(columns, chosen, task_reason, notes)
    _keep_one_feature(schema, target)
    return schema, pl.DataFrame(series)


def _by_column(types: Mapping[str, str], columns: list[str], apart: set[str]) -> dict[str, str]:
    """Return the kinds of columns, patterns spelled out for features; what is no column and fits none stays, to be refused."""
    found: dict[str, str] = {}
    for name, kind in types.items():
        if name not in columns and set(name) & set("*?"):
            fitting = [column for column in columns if column not in apart and fnmatch.fnmatchcase(column, name)]
            found |= dict.fromkeys(fitting or [name], kind)
    return found | {name: kind for name, kind in types.items() if name in columns or not set(name) & set("*?")}


def _roles(table: pl.DataFrame, **named: str | None) -> dict[str, str]:
    roles: dict[str, str] = {}
    for role, name in named.items():
        if name is None:
            continue
        if name not in table.columns:
            raise unknown_column(name, table.columns, "Target" if role == "target" else f"The {role} column")
        if name in roles:
            raise DataError(f"Column {name!r} is given as {roles[name]} and as {role}; give it one part.")
        roles[name] = role
    return roles


def collect_facts(table: pl.DataFrame) -> dict[str, Facts]:
    """Return counts of every column, in one pass over the table."""
    asked: list[pl.Expr] = []
    for i, (name, dtype) in enumerate(table.schema.items()):
        column = pl.col(name)
        asked.append(column.null_count().alias(f"{i} missing"))
        if dtype.is_float():
            asked.append(column.is_nan().sum().alias(f"{i} nan"))
            asked.append(column.is_infinite().sum().alias(f"{i} infinite"))
            head = column.head(SAMPLE)
            asked.append((head == head.floor()).all().alias(f"{i} whole"))
        if dtype.is_numeric():
            asked += [column.min().cast(pl.Float64).alias(f"{i} low"), column.max().cast(pl.Float64).alias(f"{i} high")]
        elif dtype == pl.String:
            bare = column.str.strip_chars()
            odd = (bare != column) | ((bare.str.len_bytes() <= 8) & bare.str.to_lowercase().is_in(list(MISSING)))
            asked += [(~odd.any()).alias(f"{i} clean"), column.drop_nulls().n_unique().alias(f"{i} distinct")]
            asked.append(column.str.contains(r"\d").any().alias(f"{i} digits"))
        elif dtype == pl.Boolean:
            asked += [column.min().alias(f"{i} low"), column.max().alias(f"{i} high")]
    counted = table.select(asked).row(0, named=True)
    return {
        name: Facts(
            rows=table.height,
            missing=int(counted[f"{i} missing"] + (counted.get(f"{i} nan") or 0)),
            low=counted.get(f"{i} low"),
            high=counted.get(f"{i} high"),
            infinite=int(counted.get(f"{i} infinite") or 0),
            whole=counted.get(f"{i} whole") is not False,
            distinct=counted.get(f"{i} distinct"),
            clean=bool(counted.get(f"{i} clean")),
            digits=counted.get(f"{i} digits") is not False,
        )
        for i, name in enumerate(table.columns)
    }


def _without_missing_target(table: pl.DataFrame, target: str, allowed: bool, notes: list[str]) -> pl.DataFrame:
    there = as_text(table[target]).is_not_null()
    if table[target].dtype == pl.String:
        bare = strip_missing(table[target])
        if number_style(bare) is not None:  # among numbers "." and "none" mean missing as well
            there = bare.is_not_null()
    absent = int((~there).sum())
    if absent == 0:
        return table
    if absent == table.height:
        raise DataError(f"Target {target!r} is missing in all {absent:,} rows; name the column that holds the answers.")
    if not allowed:
        raise DataError(
            f"Target {target!r} is missing in {absent:,} of {table.height:,} rows, first in row {first_row(~there) + 1}; "
            "fill them in, or leave these rows out with --drop-missing-target (drop_missing_target=True)."
        )
    notes.append(f"{absent:,} of {table.height:,} rows have no value of {target!r} and were left out.")
    return table.filter(there)


def _given(values: pl.Series, kind: str) -> Decision:
    """Return the decision that the user made, with the values read accordingly."""
    reason = f"{kind}, as given"
    how: tuple[str, ...] = ()
    if values.dtype == pl.String:
        bare = strip_missing(values)
        if kind == "numeric":
            # Without a style that fits every value, the one that reads most names the worst in its error.
            how = (number_style(bare) or "english",)
            reason += f": {NUMBER_STYLES[how[0]]}"
        elif kind == "datetime":
            how = date_formats(bare.drop_nulls())
    parsed = Column(values.name, cast(Kind, kind), how=how).cast(values)
    return Decision(kind, reason, parsed, how)


def _column(name: str, found: Decision, role: str, *, by_user: bool) -> tuple[Column, pl.Series]:
    """Return the column for a decision, after the demands of its role."""
    reason = found.reason
    values = found.values
    if role == "feature" and found.kind not in MODEL_KINDS:
        role = "ignored"
        reason += "; not a feature"
        if not by_user and values.null_count() < len(values):
            reason += f" unless --type {name}=numeric or =categorical says so"
    if role == "weight":
        _check_weight(values, found, name)
    if role in ("group", "time", "split") and values.null_count():
        row = first_row(values.is_null())
        raise DataError(
            f"The {role} column {name!r} is missing in {values.null_count():,} rows, first in row {row + 1}; "
            "fill them in or leave those rows out."
        )
    if role in ("group", "split") and found.kind == "list":
        raise DataError(f"The {role} column {name!r} holds lists; it needs one value a row.")
    if role == "time" and found.kind not in ("datetime", "numeric", "id"):
        raise DataError(
            f"The time column {name!r} is {found.kind} ({found.reason}); dates or numbers are accepted, for example "
            "2024-05-31 or 31.05.2024."
        )
    column = Column(
        name, cast(Kind, found.kind), cast(Role, role), reason, found.how, values.null_count(), found.distinct
    )
    return column, values


def _refuse_infinite(values: pl.Series, name: str) -> None:
    wild = values.is_infinite().fill_null(False)
    if wild.any():
        raise DataError(
            f"Column {name!r} holds {int(wild.sum()):,} infinite numbers, first in row {first_row(wild) + 1}; "
            f"replace them (an empty cell means missing) or leave the column out with --drop {name}."
        )


def _check_weight(values: pl.Series, found: Decision, name: str) -> None:
    if found.kind not in ("numeric", "boolean", "constant") or values.dtype == pl.String:
        raise DataError(f"The weight column {name!r} is {found.kind} ({found.reason}); weights are numbers >= 0.")
    number = values.cast(pl.Float64)
    bad = number.is_null() | (number < 0)
    if bad.any():
        row = first_row(bad)
        raise DataError(
            f"The weight column {name!r} holds {values[row]!r} in row {row + 1}; every weight is a number >= 0."
        )
    if not (number > 0).any():
        raise DataError(f"Every weight in {name!r} is 0; at least one row must count.")


def _keep_one_feature(schema: Schema, target: str | None) -> None:
    if target is not None and not schema.features:
        unused = ", ".join(f"{c.name!r} ({c.kind})" for c in schema.columns if c.role == "ignored") or "none"
        raise DataError(
            f"No feature is left beside the target {target!r}; columns not used: {unused}. "
            "Give one of them a type with --type COL=numeric."
        )
