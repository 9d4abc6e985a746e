"""Alarms before any fit: columns that give the target away, repeated rows, dates and ids that random folds would leak.

Every alarm is one sentence that names the column and the option that mends it. They are drawn from at most 20,000 random rows
(repeated rows from all of them) and cost seconds, not fits.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from fivefold.base.errors import DataError, SpecError
from fivefold.base.random import Streams
from fivefold.data.infer_kind import words_of
from fivefold.data.schema import Column, Schema

from ..tabular import target_vector
from .alarm_scores import Strength, Target, level_codes, level_strength, numeric_strengths, standardize
from .alarm_twins import near_copies

ROWS = 20_000
"""Rows looked at."""

STRONG_AUC = 0.995
"""The best single columns of real tables stay below (breast cancer's worst perimeter has 0.975); leaks are at 1."""

STRONG_R2 = 0.99
"""Measured quantities that explain each other so well are the same quantity in other words."""

COPY = 0.999
"""Correlation, in value or rank, or share of rows in a renaming of the classes, from which a column copies the target."""

ORDER_AUC = 0.95
ORDER_R2 = 0.90
"""An id or a row number should tell nothing, so less is needed to mistrust it."""

REPEATED = 0.01
"""Share of rows that repeat an earlier one from which it is said."""

CHANCE = 1e-3
"""Chance that any column of noise separates so few rows of a class by luck, above which nothing is said."""

WORST_FIRST = (
    "target-copy",
    "strong-column",
    "sorted-id",
    "duplicates",
    "date",
    "repeating-id",
    "row-order",
    "near-copy",
)

_ID = frozenset({"id", "ids", "uuid", "guid"})
_ENTITY = frozenset(
    {
        "user",
        "users",
        "patient",
        "customer",
        "client",
        "session",
        "subject",
        "account",
        "person",
        "household",
        "device",
        "member",
        "participant",
        "student",
        "driver",
        "player",
        "visitor",
        "employee",
        "machine",
        "vehicle",
        "family",
        "donor",
        "passenger",
        "cardholder",
        "respondent",
    }
)
_BESIDE = _ID | frozenset({"no", "nr", "num", "number", "key", "code", "name", "hash"})
_SORT_OF = frozenset(
    {
        "type",
        "class",
        "category",
        "cat",
        "kind",
        "status",
        "gender",
        "sex",
        "race",
        "region",
        "sector",
        "country",
        "state",
        "county",
    }
)
_CLOCK = frozenset({"timestamp", "epoch", "unixtime", "datetime", "date", "time", "ts"})


@dataclass(frozen=True)
class Alarm:
    """Something about the table that would make scores too good.

    Attributes
    ----------
    kind : str
        "target-copy", "strong-column", "sorted-id", "near-copy", "duplicates", "date", "repeating-id" or "row-order".
    columns : tuple of str
        The columns concerned; empty where it is about rows.
    text : str
        One sentence for people, with the option to use.
    suspect : bool
        Whether these columns are features and the score without them is to be shown.
    """

    kind: str
    columns: tuple[str, ...]
    text: str
    suspect: bool


def duplicate_groups(frame: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return a number for each row, the same for rows that are identical in ``columns``, counted by first appearance.

    Missing values and NaN equal each other, and 0.0 equals -0.0. Rows are compared by a 64-bit hash: among a million
    different rows any two meet with probability 3e-8.

    Parameters
    ----------
    frame : polars.DataFrame
    columns : sequence of str, at least one

    Returns
    -------
    ndarray of shape (n,), int64
    """
    if not columns:
        raise SpecError("No columns were given to compare rows by; give at least one.")
    kinds = dict(frame.schema)
    absent = [name for name in columns if name not in kinds]
    if absent:
        raise DataError(f"The table has no column {', '.join(map(repr, absent))} to compare rows by.")
    floats = [name for name in columns if kinds[name].is_float()]
    clean = frame.select(columns).with_columns(pl.col(floats).fill_nan(None) + 0.0)
    _, first, inverse = np.unique(clean.hash_rows(seed=0).to_numpy(), return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse.reshape(-1)]


def find_alarms(frame: pl.DataFrame, schema: Schema, classes: list[str] | None, *, seed: int = 0) -> list[Alarm]:
    """Return what in a table would make its scores too good, the worst first.

    Parameters
    ----------
    frame : polars.DataFrame of n rows
        As :func:`fivefold.data.infer.infer_schema` returned it.
    schema : Schema
        With a target.
    classes : list of str, or None for regression
        The labels, in the order of their codes.
    seed : int, default 0
        Of the rows looked at and of the halves for cross-fitting.

    Returns
    -------
    list of Alarm

    Raises
    ------
    SpecError
        When the schema has no target.
    """
    if schema.target is None:
        raise SpecError("The schema names no target; without one nothing can be given away.")
    streams = Streams(seed).child("comparison/alarms")
    y = target_vector(frame, schema, classes)
    n = len(y)
    rows = np.arange(n)
    if n > ROWS:
        rows = np.sort(streams.numpy("rows").choice(n, ROWS, replace=False))
    half = (streams.numpy("halves").permutation(len(rows)) % 2).astype(np.int64)
    sampled = y[rows]
    target = Target(sampled if classes is not None else standardize(sampled), len(classes or ()), half)
    looked = frame[rows] if n > ROWS else frame
    alarms = [
        *_columns(frame, looked, schema, target),
        *_duplicates(frame, schema),
        *_dates(looked, schema),
        *_repeating_ids(frame, schema),
        *_row_order(rows, schema, target),
        *_near_copies(looked, schema),
    ]
    return sorted(alarms, key=lambda alarm: (not alarm.suspect, WORST_FIRST.index(alarm.kind)))


def _drop(*names: str) -> str:
    return " ".join(f"--drop {shlex.quote(name)}" for name in names)


def _shown(value: float, digits: int) -> str:
    """Return a number cut, not rounded, so that 1 means 1; the last bits of a sum do not count."""
    return f"{math.floor(value * 10**digits + 1e-6) / 10**digits:.{digits}f}"


def _said(strength: Strength, target: Target) -> str:
    if not target.classes:
        return f"R² {_shown(strength.score, 3)}"
    return f"AUC {_shown(strength.score, 3)}" + (" for every class" if target.classes > 2 else "")


def _telling(target: Target, columns: int) -> bool:
    """Whether rows suffice for a perfect column not to be luck among so many columns."""
    n = len(target.values)
    if not target.classes:
        return n >= 12
    counts = np.bincount(target.values.astype(np.int64), minlength=target.classes)
    there = counts[counts > 0]
    if len(there) < 2:
        return False
    ways = math.lgamma(n + 1) - float(sum(math.lgamma(c + 1) for c in there))
    return ways > math.log(2 * max(columns, 1) / CHANCE)


def _above(strength: Strength, target: Target, area: float, explained: float) -> bool:
    return strength.score >= (area if target.classes else explained)  # false for NaN


def _columns(frame: pl.DataFrame, looked: pl.DataFrame, schema: Schema, target: Target) -> list[Alarm]:
    """Return the alarms of columns that alone predict the target; ids are judged by their order."""
    judged = [c for c in schema.columns if c.role == "feature" or (c.role == "ignored" and c.kind == "id")]
    if not _telling(target, len(judged)):
        return []
    answer = _name(schema)
    found: list[Alarm] = []
    whole: list[Column] = []
    gaps: set[str] = set()
    for column in judged:
        values = looked[column.name]
        missing = values.is_null().to_numpy()
        if missing.any() and not missing.all():
            alarm = _missingness(column, missing, answer, target)
            if alarm is not None:
                found.append(alarm)
                continue
        if column.kind == "datetime" or missing.all():
            continue  # that a date predicts what drifts is for the forward splits to show
        if column.kind in ("numeric", "boolean", "id"):
            whole.append(column)
            gaps |= {column.name} if missing.any() else set()
        else:
            codes, levels = level_codes(values)
            found += _judge(column, level_strength(codes, levels, target), frame, answer, target)
    complete = [c for c in whole if c.name not in gaps]
    for column, strength in zip(complete, _strengths(looked, complete, target), strict=True):
        found += _judge(column, strength, frame, answer, target)
    for column in whole:
        if column.name not in gaps:
            continue
        there = np.flatnonzero(looked[column.name].is_not_null().to_numpy())
        part = target.take(there)
        if 2 * len(there) < len(looked) or not _telling(part, len(judged)):
            continue
        strength = _strengths(looked[there], [column], part)[0]
        found += _judge(column, strength, frame, answer, part, where=" where it is given")
    return found


def _strengths(looked: pl.DataFrame, columns: list[Column], target: Target) -> list[Strength]:
    result: list[Strength] = []
    for start in range(0, len(columns), 100):
        part = columns[start : start + 100]
        if part:
            result += numeric_strengths(np.stack([_numbers(looked[c.name]) for c in part]), target)
    return result


def _numbers(values: pl.Series) -> np.ndarray:
    """Return numbers, or the sorted place of what is none."""
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        return values.cast(pl.Float64).to_numpy()
    number = values.cast(pl.Float64, strict=False)
    return (values.rank("dense").cast(pl.Float64) if number.null_count() else number).to_numpy()


def _missingness(column: Column, missing: np.ndarray, answer: str, target: Target) -> Alarm | None:
    strength = level_strength(missing.astype(np.int64), 2, target)
    if column.role != "feature" or not _above(strength, target, STRONG_AUC, STRONG_R2):
        return None
    text = (
        f"Whether column {column.name!r} is missing tells the target {answer!r} ({_said(strength, target)}); "
        f"leave it out with {_drop(column.name)} unless it is filled in before the target is known."
    )
    return Alarm("strong-column", (column.name,), text, True)


def _name(schema: Schema) -> str:
    return schema.target.name if schema.target is not None else ""


def _judge(
    column: Column, strength: Strength, frame: pl.DataFrame, answer: str, target: Target, where: str = ""
) -> list[Alarm]:
    name, said = column.name, _said(strength, target)
    feature = column.role == "feature"
    if _above(strength, target, ORDER_AUC, ORDER_R2) and (column.kind == "id" or _counts_rows(column, frame)):
        advice = f"it is taken for an id and is no feature, unless --type {name}=numeric says so"
        text = (
            f"Column {name!r} only numbers the rows but tells the target {answer!r} ({said}), as if the table had been "
            f"sorted by it; {advice}."
        )
        return [Alarm("sorted-id", (name,), text, feature)]
    if not feature:
        return []
    if strength.correlation >= COPY:
        text = (
            f"Column {name!r} is a near-copy of the target {answer!r} (agreement {_shown(strength.correlation, 4)}{where}); "
            f"leave it out with {_drop(name)} unless it is known before the target."
        )
        return [Alarm("target-copy", (name,), text, True)]
    if _above(strength, target, STRONG_AUC, STRONG_R2):
        text = (
            f"Column {name!r} alone predicts the target {answer!r} almost perfectly ({said}{where}); "
            f"leave it out with {_drop(name)} unless it is known before the target."
        )
        return [Alarm("strong-column", (name,), text, True)]
    return []


def _counts_rows(column: Column, frame: pl.DataFrame) -> bool:
    """Whether a numeric column is a row number: whole numbers with next to no gaps, most of them once (rows may repeat)."""
    if column.kind != "numeric":
        return False
    values = frame[column.name].drop_nulls()
    if len(values) < 20 or not bool((values == values.floor()).all()):
        return False
    span = float(values.max()) - float(values.min()) + 1  # type: ignore[arg-type]
    if not 0.5 * len(values) <= span <= 1.05 * len(values):
        return False
    return values.n_unique() >= 0.9 * min(span, len(values))


def _duplicates(frame: pl.DataFrame, schema: Schema) -> list[Alarm]:
    names = [*(c.name for c in schema.features), _name(schema)]
    if len(names) < 2:
        return []
    numbers = duplicate_groups(frame, names)
    again = len(numbers) - (int(numbers.max()) + 1)
    if again < REPEATED * len(numbers):
        return []
    text = (
        f"{again:,} of {len(numbers):,} rows ({again / len(numbers):.0%}) repeat an earlier row in all features and the target; "
        "copies are kept in one fold together, so that no method is tested on a row it has learned."
    )
    return [Alarm("duplicates", (), text, False)]


def _dates(looked: pl.DataFrame, schema: Schema) -> list[Alarm]:
    if schema.by_role("time") is not None:
        return []
    return [
        Alarm(
            "date",
            (column.name,),
            f"Column {column.name!r} holds times, and random folds learn from the future; if new rows will come later than "
            f"these, split forward with --time {shlex.quote(column.name)}.",
            False,
        )
        for column in schema.columns
        if column.role == "feature" and (column.kind == "datetime" or _is_clock(column, looked))
    ]


def _is_clock(column: Column, looked: pl.DataFrame) -> bool:
    """Whether a numeric column holds seconds or milliseconds since 1970, or days as 20240531, and is named so."""
    if column.kind != "numeric" or not words_of(column.name) & _CLOCK:
        return False
    values = looked[column.name].drop_nulls()
    if values.is_empty() or not bool((values == values.floor()).all()):
        return False
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    since = any(1e8 * unit <= low and high <= 4.2e9 * unit for unit in (1, 1e3, 1e6, 1e9))
    month_day = values.cast(pl.Int64) % 10_000
    written = low >= 19_000_101 and high <= 21_001_231 and bool(month_day.is_between(101, 1231).all())
    return since or written


def _repeating_ids(frame: pl.DataFrame, schema: Schema) -> list[Alarm]:
    if schema.by_role("group") is not None:
        return []
    found = []
    n = len(frame)
    for column in schema.columns:
        if column.role not in ("feature", "ignored") or column.kind in ("constant", "boolean", "datetime"):
            continue
        if column.kind != "id" and not _names_someone(column.name):
            continue
        values = frame[column.name].drop_nulls()
        if column.kind == "numeric" and not bool((values == values.floor()).all()):
            continue
        levels = values.n_unique()
        if levels < 10 or len(values) < 2 * levels:
            continue
        text = (
            f"Column {column.name!r} has {levels:,} values in {n:,} rows, so rows of one of them are in training and test "
            f"alike; if predictions are for new ones, keep each in one fold with --group {shlex.quote(column.name)}."
        )
        found.append(Alarm("repeating-id", (column.name,), text, False))
    return found


def _names_someone(name: str) -> bool:
    words = words_of(name)
    if words & _SORT_OF:
        return False
    return bool(words & _ID) or (bool(words & _ENTITY) and words <= _ENTITY | _BESIDE)


def _row_order(rows: np.ndarray, schema: Schema, target: Target) -> list[Alarm]:
    if schema.by_role("time") is not None or not _telling(target, 1):
        return []
    strength = numeric_strengths(rows[None].astype(np.float64), target)[0]
    if not _above(strength, target, ORDER_AUC, ORDER_R2):
        return []
    text = (
        f"The place of a row in the table tells its target {_name(schema)!r} ({_said(strength, target)}), so the table is "
        "sorted by it or the target drifts; folds are shuffled, and if the order is one of time give its column with --time COL."
    )
    return [Alarm("row-order", (), text, False)]


def _near_copies(looked: pl.DataFrame, schema: Schema) -> list[Alarm]:
    return [
        Alarm(
            "near-copy",
            tuple(names),
            f"Columns {', '.join(map(repr, names[:5]))}{f' and {len(names) - 5} more' if len(names) > 5 else ''} say the same; "
            f"one of them is enough: {_drop(*names[1:6])}.",
            False,
        )
        for names in near_copies(looked, schema)
    ]
