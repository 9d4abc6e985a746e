"""Fields of click logs: categories, numbers, sets and sequences of categories, as rows of one fused table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError, InputError, SpecError
from fivefold.base.names import nearest
from fivefold.data.parse import SEPARATOR, names_in_lists

from ._field_tables import Counts, Moments, Table

KINDS = ("categorical", "numeric", "set", "sequence")
SCALINGS = ("standard", "log", "bucket")


@dataclass(frozen=True, kw_only=True)
class Field:
    """How one column is understood.

    Parameters
    ----------
    name : str
        The column.
    kind : {"categorical", "numeric", "set", "sequence"}
        A set holds several categories without order (genres), a sequence those of the past, the latest last.
    table : str, optional
        Fields that name the same table share their categories and embeddings, as history and candidate do; by default a
        field has its own.
    buckets : int >= 1, optional
        Hash categories into so many rows instead of keeping a vocabulary.
    min_count : int >= 1, default 1
        Rarer categories of the training data count as unknown.
    scale : {"standard", "log", "bucket"}, default "standard"
        Numbers: (x - mean) / standard deviation; the same of sign(x) log(1 + |x|); or the decile as a category.
    max_length : int >= 1, optional
        Of sets and sequences; by default the longest of the training data, 50 at most. Of a longer sequence the last are kept.

    Raises
    ------
    SpecError
        For an unknown kind or scale and counts below 1.
    """

    name: str
    kind: str
    table: str | None = None
    buckets: int | None = None
    min_count: int = 1
    scale: str = "standard"
    max_length: int | None = None

    def __post_init__(self) -> None:
        for what, value, known in (("kind", self.kind, KINDS), ("scale", self.scale, SCALINGS)):
            if value not in known:
                raise SpecError(f"features: {self.name!r} has the {what} {value!r}; use one of {', '.join(known)}.")
        for what in ("buckets", "min_count", "max_length"):
            number = getattr(self, what)
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
                raise SpecError(f"features: {self.name!r} has {what}={number!r}; give a whole number of at least 1.")

    @property
    def single(self) -> bool:
        """Whether a row has exactly one value."""
        return self.kind in ("categorical", "numeric")


DECILES = np.arange(1, 10) / 10
LONGEST = 50
"""Longest set or sequence kept when ``max_length`` is not given."""


def infer_fields(frame: pl.DataFrame, given: Any = None) -> list[Field]:
    """Return the fields of a table: as given, else every column by its type.

    Numbers with decimals are numeric; whole numbers, text and booleans are categories; lists are sequences.
    """
    if given is None:
        given = {name: {} for name in frame.columns}
    elif isinstance(given, Mapping):
        given = {name: {"kind": value} if isinstance(value, str) else dict(value) for name, value in given.items()}
    else:
        given = {name: {} for name in given}
    if not given:
        raise SpecError("features names no column; give at least one.")
    known = [name for name in Field.__dataclass_fields__ if name != "name"]
    found = []
    for name, options in given.items():
        if name not in frame.columns:
            raise DataError(
                f"features names the column {name!r}, which the table lacks; did you mean "
                f"{', '.join(nearest(name, frame.columns))}?"
            )
        wrong = next((key for key in options if key not in known), None)
        if wrong is not None:
            raise SpecError(f"features: {name!r} has the unknown key {wrong!r}; keys are: {', '.join(known)}.")
        found.append(Field(name=name, **{"kind": _kind(frame.schema[name]), **options}))
    return found


def _kind(dtype: Any) -> str:
    if isinstance(dtype, (pl.List, pl.Array)):
        return "sequence"
    return "numeric" if dtype.is_float() or dtype.is_decimal() else "categorical"


def _many(values: pl.Series) -> pl.Series:
    """Return a column of lists of text."""
    if isinstance(values.dtype, (pl.List, pl.Array)):
        return names_in_lists(values)
    text = values.cast(pl.String).fill_null("")
    return text.str.split(SEPARATOR).list.eval(pl.element().filter(pl.element() != ""))


class FieldEncoder(Stateful):
    """Turns a table into rows of one fused embedding table, with what it saw in the training data.

    Attributes
    ----------
    fields : list of Field
    tables : dict name -> Table
    starts : dict name -> int
        First row of each table in the fused one; numeric fields have one row each.
    rows : int
        Of the fused table.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = list(fields)
        self.tables: dict[str, Table] = {}
        self.starts: dict[str, int] = {}
        self.scales: dict[str, list[float]] = {}
        self.cuts: dict[str, NDArray[Any]] = {}
        self.lengths: dict[str, int] = {}
        self.rows = 0
        self.width = 0

    def get_state(self) -> dict[str, Any]:
        """Return the attributes, fields as plain values."""
        return {**vars(self), "fields": [asdict(field) for field in self.fields]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build the encoder again."""
        self = cls([Field(**values) for values in state["fields"]])
        vars(self).update({key: value for key, value in state.items() if key != "fields"})
        return self

    @property
    def singles(self) -> list[Field]:
        """Fields with one value a row: the columns of ``inds`` and ``vals``."""
        return [field for field in self.fields if field.single]

    @property
    def numeric(self) -> list[int]:
        """Columns of ``inds`` and ``vals`` whose value counts, the others are 1."""
        return [i for i, field in enumerate(self.singles) if self._is_number(field)]

    @property
    def sets(self) -> list[Field]:
        """Fields with several categories a row."""
        return [field for field in self.fields if not field.single]

    @staticmethod
    def _is_number(field: Field) -> bool:
        return field.kind == "numeric" and field.scale != "bucket"

    def fit(self, frame: pl.DataFrame) -> Self:
        """Learn vocabularies, counts, means and lengths of the training rows."""
        return self.fit_pieces([frame])

    def fit_pieces(self, pieces: Iterable[pl.DataFrame]) -> Self:
        """Learn the same of rows that come in pieces; all that is kept are counts, moments and the numbers to be cut."""
        counts: dict[str, Counts] = {f.name: Counts() for f in self.fields if f.kind != "numeric"}
        moments: dict[str, Moments] = {f.name: Moments() for f in self.fields if self._is_number(f)}
        numbers: dict[str, list[NDArray[np.float64]]] = {f.name: [] for f in self.fields if f.scale == "bucket"}
        longest = {field.name: 1 for field in self.sets}
        for piece in pieces:
            for field in self.fields:
                values = piece[field.name]
                if field.kind == "numeric":
                    found = self._numbers(field, values)
                    known = found[~np.isnan(found)]
                    if self._is_number(field):
                        moments[field.name].add(known)
                    else:
                        numbers[field.name].append(known)
                    continue
                if field.kind != "categorical":
                    lists = _many(values)
                    longest[field.name] = max(longest[field.name], int(lists.list.len().max() or 1))
                    values = lists.explode()
                counts[field.name].add(values)
        self.lengths = {f.name: f.max_length or min(longest[f.name], LONGEST) for f in self.sets}
        self._make_tables(counts)
        for field in self.fields:
            name = field.table or field.name
            if field.kind == "numeric":
                self.starts[field.name] = self.rows
                self.rows += self._settle_number(field, moments.get(field.name), numbers.get(field.name))
            elif name not in self.starts:
                self.starts[name] = self.rows
                self.rows += self.tables[name].rows
        self.width = len(self.singles)
        return self

    def _make_tables(self, counts: Mapping[str, Counts]) -> None:
        shared: dict[str, list[Field]] = {}
        for field in self.fields:
            if field.kind != "numeric":
                shared.setdefault(field.table or field.name, []).append(field)
        for name, members in shared.items():
            kinds = {(field.min_count, field.buckets) for field in members}
            if len(kinds) > 1:
                raise SpecError(
                    f"features: the fields {', '.join(f.name for f in members)} share the table {name!r}, but not min_count "
                    "and buckets; give them the same."
                )
            self.tables[name] = Table.of([counts[field.name] for field in members], *kinds.pop())

    def _settle_number(self, field: Field, moments: Moments | None, pieces: list[NDArray[np.float64]] | None) -> int:
        """Take mean and spread, or the deciles; return the rows the field takes in the table."""
        known = moments.n if moments is not None else sum(map(len, pieces or []))
        if not known:
            raise DataError(f"The column {field.name!r} has no value in the training rows; leave it out.")
        if moments is None:
            cuts = np.unique(np.quantile(np.concatenate(pieces or []), DECILES))
            self.cuts[field.name] = cuts
            return len(cuts) + 2
        self.scales[field.name] = [moments.mean, moments.spread if moments.spread > 0 else 1.0]
        return 1

    def _numbers(self, field: Field, values: pl.Series) -> NDArray[np.float64]:
        try:
            numbers = values.cast(pl.Float64).to_numpy().astype(np.float64)
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"The column {field.name!r} holds values that are no numbers; mend them, or give it the kind 'categorical'."
            ) from error
        if np.isinf(numbers).any():
            raise DataError(
                f"The column {field.name!r} contains infinity; give finite numbers, or leave the cell empty."
            )
        return np.sign(numbers) * np.log1p(np.abs(numbers)) if field.scale == "log" else numbers

    def transform(self, frame: pl.DataFrame) -> dict[str, NDArray[Any]]:
        """Return ``inds`` int64 and ``vals`` float64 (n, fields), and one int64 array (n, length) a set, -1 where it ends.

        Raises
        ------
        DataError
            For missing columns, all named at once.
        """
        if is_rows(frame):
            raise DataError(
                "This model was fitted on a table; give a table with the same columns, not rows of index and value."
            )
        lost = [field.name for field in self.fields if field.name not in frame.columns]
        if lost:
            raise DataError(f"The table lacks the columns {', '.join(map(repr, lost))} that the model was fitted on.")
        n = frame.height
        inds, vals = np.zeros((n, self.width), dtype=np.int64), np.ones((n, self.width))
        for i, field in enumerate(self.singles):
            values = frame[field.name]
            if field.kind == "categorical":
                name = field.table or field.name
                inds[:, i] = self.starts[name] + self.tables[name].codes(values)
                continue
            numbers = self._numbers(field, values)
            inds[:, i] = self.starts[field.name]
            if field.scale == "bucket":
                place = 1 + np.searchsorted(self.cuts[field.name], numbers, side="right")
                inds[:, i] += np.where(np.isnan(numbers), 0, place)
            else:
                mean, spread = self.scales[field.name]
                vals[:, i] = np.nan_to_num((numbers - mean) / spread, nan=0.0)
        out: dict[str, NDArray[Any]] = {"inds": inds, "vals": vals}
        for field in self.sets:
            out[field.name] = self._codes_of_set(field, frame[field.name])
        return out

    def _codes_of_set(self, field: Field, values: pl.Series) -> NDArray[np.int64]:
        length = self.lengths[field.name]
        lists = _many(values)
        kept = lists.list.tail(length) if field.kind == "sequence" else lists.list.head(length)
        sizes = kept.list.len().fill_null(0).to_numpy().astype(np.int64)
        out = np.full((len(values), length), -1, dtype=np.int64)
        name = field.table or field.name
        flat = kept.filter(pl.Series(sizes > 0)).explode()
        mask = np.arange(length) < sizes[:, None]
        out[mask] = self.starts[name] + self.tables[name].codes(flat) if len(flat) else 0
        return out

    def counts(self) -> NDArray[np.int64]:
        """Return how often each row of the fused table occurred in training; rows of numbers count 1."""
        out = np.ones(self.rows, dtype=np.int64)
        for name, table in self.tables.items():
            out[self.starts[name] : self.starts[name] + table.rows] = table.counts
        return out


def to_frame(table: Any) -> pl.DataFrame:
    """Return a table of any make as a polars frame."""
    if isinstance(table, pl.DataFrame):
        frame = table
    else:
        from fivefold.data.readers import read_table

        frame = read_table(table)
    if frame.height == 0:
        raise InputError("The table has no rows; give at least one.")
    return frame


@contextlib.contextmanager
def fresh_fit(model: Any) -> Iterator[None]:
    """Forget what an earlier fit learned, and all that this one has set should it fail: half a model answers nothing."""

    def forget() -> None:
        for name in [n for n in vars(model) if n.endswith("_")]:
            delattr(model, name)

    forget()
    done = False
    try:
        yield
        done = True
    finally:
        if not done:
            forget()


def is_rows(table: Any) -> bool:
    """Tell whether this is what a reader of sparse lines returned: arrays named ``inds`` and ``vals``."""
    return isinstance(table, Mapping) and "inds" in table and "vals" in table


def target_of(rows: Mapping[str, Any], target: Any) -> NDArray[Any]:
    """Return the target of such rows: what is given, else what the reader found in the lines."""
    return np.asarray(rows.get("label") if target is None else target)


class IndexEncoder(Stateful):
    """Stands in for :class:`FieldEncoder` where rows come as indices of a joint space, one a field, with their values."""

    def __init__(self, rows: int, width: int, occurrences: NDArray[Any]) -> None:
        self.rows = rows
        self.width = width
        self.occurrences = occurrences

    @classmethod
    def of(cls, found: Mapping[str, Any], size: int | None) -> Self:
        """Take size and counts from rows (n, fields); ``size`` of the joint space is by default what they hold."""
        return cls.of_pieces([found], size)

    @classmethod
    def of_pieces(cls, pieces: Iterable[Mapping[str, Any]], size: int | None) -> Self:
        """Take the same from rows that come in pieces."""
        self = cls(size or 0, 0, np.zeros(size or 0, dtype=np.int64))
        for number, found in enumerate(pieces):
            inds = np.asarray(found["inds"])
            if inds.ndim != 2:
                raise DataError("Lines of one length are needed: give the reader field_size.")
            self.width = self.width if number else inds.shape[1]
            if size is None:
                self.rows = max(self.rows, int(inds.max(initial=0)) + 1)
            self.transform(found)
            fresh = np.bincount(inds.reshape(-1), minlength=self.rows)
            fresh[: len(self.occurrences)] += self.occurrences
            self.occurrences = fresh
        return self

    @property
    def singles(self) -> list[Field]:
        """One field a column."""
        return [Field(name=f"field {i}", kind="categorical") for i in range(self.width)]

    @property
    def numeric(self) -> list[int]:
        """None: every value multiplies its vector."""
        return []

    @property
    def sets(self) -> list[Field]:
        """None."""
        return []

    @property
    def tables(self) -> dict[str, Table]:
        """None of its own: the indices are given."""
        return {}

    def counts(self) -> NDArray[np.int64]:
        """Return how often each index occurred in training."""
        return self.occurrences

    def transform(self, found: Any) -> dict[str, NDArray[Any]]:
        """Return ``inds`` int64 and ``vals`` float64 (n, fields), after looking at them."""
        if not is_rows(found):
            raise DataError(
                "This model was fitted on rows of index and value; give such rows, as a reader returns them."
            )
        inds, vals = np.asarray(found["inds"]).astype(np.int64), np.asarray(found["vals"], dtype=np.float64)
        if inds.shape != vals.shape:
            raise DataError(
                f"The indices have the shape {inds.shape}, their values {vals.shape}; give one value an index."
            )
        if inds.ndim != 2 or inds.shape[1] != self.width:
            raise DataError(f"The rows have the shape {inds.shape}; the model was fitted on {self.width} fields a row.")
        if inds.min(initial=0) < 0 or inds.max(initial=0) >= self.rows:
            wrong = int(inds.max()) if inds.max() >= self.rows else int(inds.min())
            raise DataError(f"The rows hold the index {wrong}; indices are 0 to {self.rows - 1}.")
        if not np.isfinite(vals).all():
            raise DataError("The rows contain NaN or infinity; give finite numbers.")
        return {"inds": inds, "vals": vals}
