"""The schema of a table: what each column is, which part it plays, and why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import polars as pl

from fivefold.base.codec import Stateful
from fivefold.base.errors import ArtifactError, DataError, SpecError
from fivefold.base.names import nearest

from .parse import (
    as_boolean,
    as_category,
    as_datetime,
    as_lists,
    as_number,
    as_text,
    first_row,
    refuse_nested,
    strip_missing,
)

Kind = Literal["numeric", "categorical", "boolean", "datetime", "text", "list", "id", "constant"]
Role = Literal["feature", "target", "weight", "group", "time", "split", "ignored"]
Task = Literal["binary", "multiclass", "regression"]

KINDS: tuple[str, ...] = get_args(Kind)
ROLES: tuple[str, ...] = get_args(Role)
TASKS: tuple[str, ...] = get_args(Task)

MODEL_KINDS = ("numeric", "categorical", "boolean", "datetime", "text", "list")
"""Kinds that can be features; ids and constants tell a model nothing about new rows."""

_ALIASES = {
    "number": "numeric",
    "float": "numeric",
    "int": "numeric",
    "integer": "numeric",
    "category": "categorical",
    "code": "categorical",
    "bool": "boolean",
    "date": "datetime",
    "time": "datetime",
    "string": "text",
    "str": "text",
    "lists": "list",
}


def resolve_kind(name: str, column: str) -> str:
    """Return the kind that a user's word means, for example ``"category"`` -> ``"categorical"``."""
    form = name.strip().lower()
    kind = _ALIASES.get(form, form)
    if kind not in KINDS:
        raise SpecError(f"Unknown kind {name!r} for the column {column!r}; kinds are: {', '.join(KINDS)}.")
    return kind


@dataclass(frozen=True)
class Column:
    """One typed column.

    Parameters
    ----------
    name : str
    kind : one of :data:`KINDS`
    role : one of :data:`ROLES`, default "feature"
    reason : str
        Why this kind and role, for people.
    how : tuple of str
        How strings are read: the number style, or the date formats in the order they are tried.
    missing : int >= 0
        Missing values when the schema was inferred.
    distinct : int or None
        Distinct values then, where they were counted.
    classes : tuple
        The sorted classes of a classification target; empty otherwise.
    """

    name: str
    kind: Kind
    role: Role = "feature"
    reason: str = ""
    how: tuple[str, ...] = ()
    missing: int = 0
    distinct: int | None = None
    classes: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SpecError(f"The column {self.name!r} has the unknown kind {self.kind!r}; kinds: {', '.join(KINDS)}.")
        if self.role not in ROLES:
            raise SpecError(f"The column {self.name!r} has the unknown role {self.role!r}; roles: {', '.join(ROLES)}.")

    @property
    def is_class(self) -> bool:
        """Whether this is the target of a classification."""
        return self.role == "target" and bool(self.classes)

    def cast(self, values: pl.Series) -> pl.Series:
        """Return ``values`` as this column is stored: parsed, with null for missing.

        Raises
        ------
        DataError
            When a value cannot be read as this kind; the message names column, row and value.
        """
        if self.is_class:
            return self._cast_classes(values)
        if self.kind != "list":
            refuse_nested(values)
        if self.kind == "numeric" and values.dtype.is_numeric():
            return as_number(values).alias(self.name)
        if self.kind == "numeric":
            result = as_number(values, self.how[0] if self.how else "plain")
        elif self.kind == "boolean":
            result = as_boolean(values)
        elif self.kind == "datetime":
            result = as_datetime(values, self.how)
        elif self.kind == "list":
            result = as_lists(values)
        elif self.kind == "categorical":
            result = as_category(values)
        else:
            result = as_text(values)
        if self.kind not in ("numeric", "boolean", "datetime"):
            return result.alias(self.name)  # anything can be a word
        lost = result.is_null() & given(values, self.kind)
        if lost.any():
            row = first_row(lost)
            raise DataError(
                f"Column {self.name!r} is {self.kind}, but {lost.sum()} of its {len(values)} values cannot be read as "
                f"such; the first is {values[row]!r} in row {row + 1}. Mend the values or give another type with "
                f"--type {self.name}=categorical."
            )
        return result.alias(self.name)

    def _cast_classes(self, values: pl.Series) -> pl.Series:
        """Return class labels in the type the classes have, refusing labels that are none of them."""
        first = self.classes[0]
        if isinstance(first, bool):
            result = as_boolean(values)
        elif isinstance(first, int):
            result = as_number(values, self.how[0] if self.how else "plain").cast(pl.Int64, strict=False)
        elif isinstance(first, float):
            result = as_number(values, self.how[0] if self.how else "plain")
        else:
            result = as_category(values)
        foreign = as_text(values).is_not_null() & ~result.is_in(list(self.classes)).fill_null(False)
        if foreign.any():
            row = first_row(foreign)
            raise DataError(
                f"Target {self.name!r} holds {values[row]!r} in row {row + 1}, which is none of the classes seen in "
                f"training: {_some(self.classes)}."
            )
        return result.alias(self.name)


def given(values: pl.Series, kind: str) -> pl.Series:
    """Return a mask of the values that say something: neither null nor NaN nor a spelling of "missing" for ``kind``."""
    if values.dtype == pl.String and kind in ("numeric", "boolean", "datetime"):
        return strip_missing(values).is_not_null()
    return as_text(values).is_not_null() if not values.dtype.is_nested() else values.is_not_null()


def _some(values: Iterable[Any], most: int = 10) -> str:
    shown = [str(value) for value in values]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


@dataclass
class Schema(Stateful):
    """Typed columns of a table, the target included.

    Parameters
    ----------
    columns : list of Column
    task : "binary", "multiclass", "regression" or None
        None where there is no target.
    task_reason : str
        Why this task.
    notes : list of str
        What was done to the table on the way, for example rows dropped.
    """

    columns: list[Column]
    task: Task | None = None
    task_reason: str = ""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise DataError(f"The schema names these columns twice: {', '.join(map(repr, twice))}; names must differ.")

    @property
    def features(self) -> list[Column]:
        """Return the columns a model learns from, in the order of the table."""
        return [column for column in self.columns if column.role == "feature"]

    @property
    def target(self) -> Column | None:
        """Return the column to predict, or None."""
        return self.by_role("target")

    @property
    def classes(self) -> tuple[Any, ...]:
        """Return the sorted classes of the target; empty for regression and without target."""
        return self.target.classes if self.target else ()

    def by_role(self, role: str) -> Column | None:
        """Return the first column with ``role``, or None."""
        return next((column for column in self.columns if column.role == role), None)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise unknown_column(name, [column.name for column in self.columns], "Column")

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def select(self, frame: pl.DataFrame, *, roles: Iterable[str] = ("feature",)) -> pl.DataFrame:
        """Return the schema's columns of ``frame``, ordered and cast; other columns are dropped, rows keep their order.

        Parameters
        ----------
        frame : polars.DataFrame
        roles : names of roles, default ("feature",)
            Columns with these roles are required; ``("feature", "target")`` for scoring.

        Raises
        ------
        DataError
            When columns are missing (all are named) or a value cannot be read as its column's kind.
        """
        wanted = [column for column in self.columns if column.role in set(roles)]
        have = set(frame.columns)
        absent = [column.name for column in wanted if column.name not in have]
        if absent:
            known = {column.name for column in self.columns}
            extra = [name for name in frame.columns if name not in known]
            hint = f" Columns it has that the schema does not know: {_some(map(repr, extra))}." if extra else ""
            raise DataError(
                f"The table lacks {len(absent)} of the {len(wanted)} columns it needs: "
                f"{_some(map(repr, absent), 20)}.{hint}"
            )
        return pl.DataFrame([column.cast(frame[column.name]) for column in wanted])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        columns = [
            {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(column).items()} for column in self.columns
        ]
        return {"columns": columns, "task": self.task, "task_reason": self.task_reason, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Schema:
        """Build a schema from what :meth:`to_dict` returned."""
        try:
            columns = [
                Column(**{**entry, "how": tuple(entry.get("how", ())), "classes": tuple(entry.get("classes", ()))})
                for entry in value["columns"]
            ]
            return cls(columns, value.get("task"), value.get("task_reason", ""), list(value.get("notes", ())))
        except (KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"This is not a schema that fivefold wrote: {error}.") from error

    def get_state(self) -> dict[str, Any]:
        """Return the state the codec stores."""
        return self.to_dict()

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Schema:
        """Build the schema from its stored state."""
        return cls.from_dict(state)

    def hash(self) -> str:
        """Return a SHA-256 over names, kinds, roles, formats, classes and task; reasons and counts do not enter."""
        facts = [[c.name, c.kind, c.role, list(c.how), list(c.classes)] for c in self.columns]
        text = json.dumps([facts, self.task], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf8")).hexdigest()

    def describe(self) -> str:
        """Return one line a column: name, kind, role and reason, for people."""
        if not self.columns:
            return "no columns"
        wide = min(40, max(len(column.name) for column in self.columns))
        lines = [f"{c.name:<{wide}}  {c.kind:<11}  {c.role:<7}  {c.reason}" for c in self.columns]
        if self.task:
            lines.append(f"task: {self.task} ({self.task_reason})")
        return "\n".join([*lines, *self.notes])


def unknown_column(name: str, names: Iterable[str], what: str) -> DataError:
    """Return the error for a column that is not there; it names the nearest ones."""
    pool = list(names)
    hint = ", ".join(map(repr, nearest(name, pool))) if pool else "none: the table has no columns"
    return DataError(f"{what} {name!r} is not in the table; the nearest of its {len(pool)} columns are: {hint}.")


def checksum(frame: pl.DataFrame) -> str:
    """Return a SHA-256 over names, types, order of rows and values; equal tables have equal sums, whatever their source.

    Integers and floats of equal value count as equal, as do missing values and NaN, for the same table read from SQL, JSON
    and CSV differs in just these.
    """
    digest = hashlib.sha256()
    digest.update(f"{frame.height}\n".encode())
    for name in frame.columns:
        values = frame[name].rechunk()
        if values.dtype.is_numeric():
            body = values.cast(pl.Float64).fill_nan(None)
            zero = body.fill_null(0.0) + 0.0  # minus zero becomes zero
            payload, label = zero.to_numpy().tobytes(), "number"
        elif isinstance(values.dtype, pl.List):
            body = values
            members = values.filter(values.list.len() > 0).explode().cast(pl.String)
            payload = values.list.len().fill_null(0).cast(pl.Int64).to_numpy().tobytes() + _text_bytes(members)
            label = "list"
        elif values.dtype.is_temporal():
            body = values.cast(pl.Datetime("us")) if values.dtype == pl.Date else values
            payload, label = body.to_physical().cast(pl.Int64).fill_null(0).to_numpy().tobytes(), str(body.dtype)
        else:
            body = values.cast(pl.String) if not values.dtype.is_nested() else values.map_elements(str, pl.String)
            payload = _text_bytes(body)
            label = "text" if values.dtype != pl.Boolean else "boolean"
        digest.update(json.dumps([name, label]).encode())
        digest.update(body.is_null().to_numpy().tobytes())
        digest.update(payload)
    return digest.hexdigest()


def _text_bytes(values: pl.Series) -> bytes:
    """Return the lengths of strings, then all of them together."""
    filled = values.fill_null("")
    return filled.str.len_bytes().to_numpy().tobytes() + "".join(filled.to_list()).encode("utf8")
