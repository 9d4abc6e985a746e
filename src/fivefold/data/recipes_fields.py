"""Columns as fields: what models of click logs take in place of a matrix, decided on training rows only."""

from __future__ import annotations

from typing import Any, Self

import polars as pl

from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator

from .recipes_parts import labels_of, numbers_of

FIELDS = "fields"
"""Name of the recipe on a card."""

_SHARED = 0.5  # share of a list's members that are categories of a column, from which both may speak of the same things
_WORDS = 50  # of a text that are kept


class FieldRecipe(Estimator):
    """Keep the columns of a table and say how a model with embeddings takes each.

    Parameters
    ----------
    schema : Schema
        Says which columns are features and of which kind.
    min_count : int >= 1, default 2
        Categories seen fewer times in training count as unknown; with 2 the values seen once teach what unseen means.

    Attributes
    ----------
    features_ : dict column -> options
        What a model of click logs takes as ``features``. Numbers are numeric; categories and booleans categorical; times days
        since the earliest training row, with weekday and hour as categories where they differ; text a set of its words; lists
        sets, or the sequence of a history where most of their members are the categories of another column: then both share
        one table, and that column is the candidate.
    left_out_ : dict column -> reason

    Raises
    ------
    DataError
        For a table that lacks columns, has no rows or nothing to learn from, and for infinite numbers.

    Notes
    -----
    It never looks at the target.
    """

    def __init__(self, schema: Any, *, min_count: int = 2) -> None:
        self.schema = schema
        self.min_count = min_count

    def fit(self, frame: pl.DataFrame, y: Any = None, **ignored: Any) -> Self:
        """Decide how each column is taken; ``y`` is not looked at."""
        self._refuse(frame, [column.name for column in self.schema.features])
        self.features_: dict[str, dict[str, Any]] = {}
        self.kinds_: dict[str, str] = {}
        self.starts_: dict[str, int] = {}
        self.names_: dict[str, list[str]] = {}
        self.left_out_: dict[str, str] = {}
        counted = {"min_count": int(self.min_count)}
        for column in self.schema.features:
            values = frame[column.name]
            reason = _useless(values, column.kind)
            if reason:
                self.left_out_[column.name] = reason
                continue
            self.kinds_[column.name] = column.kind
            if column.kind == "datetime":
                self._fit_times(values, counted)
                continue
            self.names_[column.name] = [column.name]
            if column.kind == "numeric":
                self.features_[column.name] = {"kind": "numeric"}
            elif column.kind == "text":
                self.features_[column.name] = {"kind": "set", "max_length": _WORDS, **counted}
            elif column.kind == "list":
                self.features_[column.name] = {"kind": "set", **counted}
            else:
                self.features_[column.name] = {"kind": "categorical", **counted}
        if not self.features_:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.left_out_.items()) or "it has no features"
            raise DataError(f"No column of the table can be used as a feature ({reasons}).")
        self._share_tables(frame)
        return self

    def _fit_times(self, values: pl.Series, counted: dict[str, int]) -> None:
        name = values.name
        times = _local(values)
        self.starts_[name] = int(times.cast(pl.Int64).min())  # type: ignore[arg-type]
        found = [f"{name}_elapsed_days"]
        self.features_[found[0]] = {"kind": "numeric"}
        for part, moving in (("weekday", times.dt.weekday()), ("hour", times.dt.hour())):
            if moving.drop_nulls().n_unique() > 1:
                found.append(f"{name}_{part}")
                self.features_[found[-1]] = {"kind": "categorical", **counted}
        taken = {column.name for column in self.schema.features} & set(found)
        if taken:
            raise DataError(
                f"The time column {name!r} becomes the fields {', '.join(found)}, but the table has a column {min(taken)!r} "
                "already; rename or drop one of them."
            )
        self.names_[name] = found

    def _share_tables(self, frame: pl.DataFrame) -> None:
        """Make histories of the lists whose members are the categories of another column."""
        words = {
            n: set(labels_of(frame[n]).drop_nulls().unique()) for n, k in self.kinds_.items() if k == "categorical"
        }
        for name in [n for n, kind in self.kinds_.items() if kind == "list"]:
            members = frame[name].explode().drop_nulls()
            known = set(members.unique())
            alike = {
                other: len(known & categories) / len(known | categories)
                for other, categories in words.items()
                if members.is_in(list(categories)).mean() >= _SHARED  # type: ignore[operator]
            }
            if alike:
                # Numbers of users and items overlap, too; of the same things the names agree best.
                best = max(alike, key=lambda other: alike[other])
                self.features_[best]["table"] = best
                self.features_[name] |= {"kind": "sequence", "table": best}

    def fit_transform(self, frame: pl.DataFrame, y: Any = None, **ignored: Any) -> pl.DataFrame:
        """Fit on the training rows and return their fields."""
        return self.fit(frame).transform(frame)

    def transform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the fields of ``frame``, one column each, rows in their order; extra columns are ignored."""
        self._check_fitted()
        self._refuse(frame, list(self.kinds_))
        return pl.DataFrame([field for name in self.kinds_ for field in self._fields(frame[name])])

    def _fields(self, values: pl.Series) -> list[pl.Series]:
        name = values.name
        kind = self.kinds_[name]
        if kind == "numeric":
            return [pl.Series(name, numbers_of(values), nan_to_null=True)]
        if kind == "list":
            return [values]
        if kind == "text":
            return [values.cast(pl.String).str.to_lowercase().str.extract_all(r"\w\w+")]
        if kind != "datetime":
            return [labels_of(values)]
        times = _local(values)
        days = (times.cast(pl.Int64) - self.starts_[name]).cast(pl.Float64) / 86_400e6
        parts = {f"{name}_weekday": times.dt.weekday(), f"{name}_hour": times.dt.hour()}
        return [
            days.alias(field) if field not in parts else parts[field].cast(pl.String).alias(field)
            for field in self.names_[name]
        ]

    @staticmethod
    def _refuse(frame: pl.DataFrame, names: list[str]) -> None:
        absent = [name for name in names if name not in frame.columns]
        if absent:
            raise DataError(
                f"The table lacks the columns {', '.join(map(repr, absent))}; it has: {', '.join(map(repr, frame.columns))}."
            )
        if not frame.height:
            raise DataError("The table has no rows.")

    def describe(self) -> str:
        """Return how every column is taken, one line each."""
        self._check_fitted()
        lines = [
            f"Recipe {FIELDS}: columns as they are, for a model with embeddings of its own; {len(self.features_)} fields."
        ]
        for name, fields in self.names_.items():
            lines.append(f"  {name}: {', '.join(self._said(field, name) for field in fields)}.")
        return "\n".join([*lines, *(f"  {column}: left out, {reason}." for column, reason in self.left_out_.items())])

    def _said(self, field: str, column: str) -> str:
        options = self.features_[field]
        if options["kind"] == "numeric":
            return "a number" if field == column else "days since the earliest training row"
        rare = f", those seen less than {options['min_count']} times unknown" if options["min_count"] > 1 else ""
        if options["kind"] == "categorical":
            return f"categories{rare}" if field == column else field.removeprefix(f"{column}_")
        if options["kind"] == "sequence":
            return f"a history of {options['table']}, with which it shares its table{rare}"
        return f"a set of {'words' if self.kinds_[column] == 'text' else 'names'}{rare}"


def _local(values: pl.Series) -> pl.Series:
    """Return times by the local clock, in microseconds."""
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        values = values.dt.replace_time_zone(None)
    return values.cast(pl.Datetime("us"))


def _useless(values: pl.Series, kind: str) -> str:
    """Return why nothing can be learned from a column; empty where something can."""
    if kind == "list":
        return "" if bool((values.list.len() > 0).any()) else "no list with a member in the training rows"
    return "no value in the training rows" if values.null_count() == len(values) else ""
