"""What an encoder of fields learns from the training rows, piece by piece: categories with their counts, and moments."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fivefold.base.codec import Stateful
from fivefold.data.parse import names_of_floats

_PENDING = 1_000_000  # any value: rows of counts gathered before they are added up
_DIRECT = 2**20  # any value: whole numbers from 0 to here are counted and looked up by their own value


def texts(values: pl.Series) -> pl.Series:
    """Return categories as text, null where there is none: 3, 3.0 and "3" are one category."""
    if not values.dtype.is_float():
        return values.cast(pl.String)
    return values.alias("v").to_frame().select(names_of_floats(pl.col("v")))["v"]


def direct(values: pl.Series) -> NDArray[Any] | None:
    """Return a column's values where all of them are whole numbers that can be places of an array."""
    if not values.dtype.is_integer() or values.null_count() or not len(values):
        return None
    inside = int(values.min()) >= 0 and int(values.max()) < _DIRECT  # type: ignore[arg-type]
    return values.cast(pl.Int64).to_numpy() if inside else None


class Counts:
    """How often each category occurred, over pieces of a column."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []
        self._pending = 0
        self._direct = np.zeros(0, dtype=np.int64)  # occurrences of each number

    def add(self, values: pl.Series) -> None:
        """Count the categories of a piece."""
        whole = direct(values)
        if whole is not None:
            lacking = int(whole.max()) + 1 - len(self._direct)
            if lacking > 0:
                self._direct = np.pad(self._direct, (0, lacking))
            np.add.at(self._direct, whole, 1)
            return
        found = values.alias("value").value_counts(sort=False, name="count")
        part = found.with_columns(value=texts(found["value"]), count=pl.col("count").cast(pl.Int64)).drop_nulls()
        self._parts.append(part)
        self._pending += part.height
        if self._pending > max(_PENDING, 2 * self._parts[0].height):  # any value: when counts are added up changes none
            self._parts = [self._sum()]
            self._pending = 0

    def _sum(self) -> pl.DataFrame:
        return pl.concat(self._parts).group_by("value").agg(pl.col("count").sum())

    @staticmethod
    def total(members: Sequence[Counts]) -> pl.DataFrame:
        """Return the columns value, in order, and count of all members together."""
        whole = Counts()
        whole._parts = [part for member in members for part in member._all()]
        return whole._sum().sort("value")

    def _all(self) -> list[pl.DataFrame]:
        present = np.flatnonzero(self._direct)
        numbers = pl.Series("value", present).cast(pl.String).to_frame()
        return [*self._parts, numbers.with_columns(count=pl.Series(self._direct[present], dtype=pl.Int64))]


class Moments:
    """Mean and spread of numbers, over pieces of a column (Chan, Golub & LeVeque 1979)."""

    def __init__(self) -> None:
        self.n, self.mean, self._squares = 0, 0.0, 0.0

    def add(self, numbers: NDArray[np.float64]) -> None:
        """Take in a piece without missing numbers."""
        if not len(numbers):
            return
        n, mean = len(numbers), float(numbers.mean())
        apart = mean - self.mean
        self._squares += float(numbers.var()) * n + apart**2 * self.n * n / (self.n + n)
        self.mean += apart * n / (self.n + n)
        self.n += n

    @property
    def spread(self) -> float:
        """Standard deviation, dividing by n."""
        return float(np.sqrt(self._squares / self.n))


class Table(Stateful):
    """The categories of one embedding table; code 0 stands for what is missing or unknown."""

    def __init__(self, categories: NDArray[Any], counts: NDArray[Any], buckets: int | None) -> None:
        self.categories = categories
        self.counts = counts  # (rows,) occurrences in the training data
        self.buckets = buckets
        self._places: NDArray[np.int32] | None = None  # (numbers,) codes of whole numbers, made when first needed

    def get_state(self) -> dict[str, Any]:
        """Return what the table was made of."""
        return {name: getattr(self, name) for name in ("categories", "counts", "buckets")}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build the table again."""
        return cls(**state)

    @classmethod
    def of(cls, members: Sequence[Counts], min_count: int, buckets: int | None) -> Self:
        """Make the table that these fields share."""
        found = Counts.total(members)
        empty = np.array([], dtype="U1")
        if buckets is not None:
            counts = np.zeros(1 + buckets, dtype=np.int64)
            np.add.at(counts, _hashed(found["value"], buckets), found["count"].to_numpy())
            return cls(empty, counts, buckets)
        kept = found.filter(pl.col("count") >= min_count)
        unknown = int(found["count"].sum() - kept["count"].sum())
        categories = np.array(kept["value"].to_list(), dtype=str) if len(kept) else empty
        return cls(categories, np.concatenate([[unknown], kept["count"].to_numpy()]).astype(np.int64), None)

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.counts)

    def codes(self, values: pl.Series) -> NDArray[np.int64]:
        """Return the code of each value."""
        whole = direct(values)
        if whole is not None and self.buckets is None:
            places = self._codes_of_numbers()
            codes = places.take(whole, mode="clip")  # what lies beyond is unknown, as the last place is
            return codes.astype(np.int64)
        if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.String)):
            values = values.cast(pl.String)
        # Only distinct values are turned into text and looked up.
        names = values.unique()
        words = texts(names)
        names, words = names.filter(words.is_not_null()), words.drop_nulls()
        if not len(names):
            return np.zeros(len(values), dtype=np.int64)
        if self.buckets is not None:
            codes = _hashed(words, self.buckets)
        elif len(self.categories):
            wanted = np.array(words.to_list(), dtype=str)
            place = np.minimum(np.searchsorted(self.categories, wanted), len(self.categories) - 1)
            codes = np.where(self.categories[place] == wanted, place + 1, 0)
        else:
            codes = np.zeros(len(names), dtype=np.int64)
        return values.replace_strict(names, pl.Series(codes), default=0, return_dtype=pl.Int64).to_numpy()

    def _codes_of_numbers(self) -> NDArray[np.int32]:
        if self._places is None:
            words = pl.Series(self.categories.tolist(), dtype=pl.String)
            numbers = words.cast(pl.Int64, strict=False)
            kept = ((numbers.cast(pl.String) == words) & numbers.is_between(0, _DIRECT - 1)).fill_null(False).to_numpy()
            known = numbers.filter(kept).to_numpy()
            places = np.zeros(int(known.max(initial=-1)) + 2, dtype=np.int32)
            places[known] = 1 + np.flatnonzero(kept)
            self._places = places
        return self._places


def _hashed(names: pl.Series, buckets: int) -> NDArray[np.int64]:
    """Return 1 + hash of each name: CRC-32, which is the same everywhere and in every version."""
    return np.array([1 + zlib.crc32(name.encode()) % buckets for name in names.to_list()], dtype=np.int64)
