"""The parts of a recipe: how one column of a kind becomes numbers. Each is fitted on training rows and saved as JSON."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import polars as pl
from sklearn.utils import murmurhash3_32

from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError

from .encoders_columns import choose_rare, find_codes
from .encoders_scale import column_moments
from .impute import fill_value_of


class Part(Stateful):
    """The fitted transformation of one column.

    Attributes
    ----------
    column : str
    names : list of str
        Output columns.
    codes : bool
        The single output column holds integer category codes.
    one_hot : bool
        Every row has exactly one 1 among zeros; :meth:`hot` says where, and :meth:`write` is not used.
    """

    column: str
    names: list[str]
    codes: bool = False
    one_hot: bool = False

    def write(self, series: pl.Series, out: np.ndarray) -> None:
        """Fill ``out``, shape (len(names), len(series)), from a column of that name."""
        raise NotImplementedError

    def hot(self, series: pl.Series) -> np.ndarray:
        """Return the position of the 1 in each row, shape (len(series),)."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return one sentence about the fitted transformation."""
        raise NotImplementedError


class LeftOut(Exception):  # noqa: N818 - a signal inside the recipe, never seen by users
    """A column cannot become a feature; carries the reason."""


def numbers_of(series: pl.Series) -> np.ndarray:
    """Return a numeric or boolean column as float64 with NaN for missing values, shape (n,).

    Raises
    ------
    DataError
        For text that is no number and for infinite values.
    """
    if series.dtype == pl.Float64:  # the common case, without the overhead of polars on a table of thousands of columns
        plain = series.to_numpy()  # null is NaN here
        _refuse_infinite(series.name, int(np.isinf(plain).sum()))
        return plain
    try:
        values = series.cast(pl.Float64, strict=True)
    except pl.exceptions.InvalidOperationError as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"Column {series.name!r} must hold numbers, but it is {series.dtype}: {first}; convert it or override its type."
        ) from None
    _refuse_infinite(series.name, int(values.is_infinite().sum() or 0))
    return values.fill_null(float("nan")).to_numpy()


def _refuse_infinite(name: str, infinite: int) -> None:
    if infinite:
        raise DataError(
            f"Column {name!r} holds {infinite} infinite values; replace them by numbers or mark them as missing."
        )


class NumericPart(Part):
    """A numeric or boolean column: filled, flagged where missing, standardized; or untouched with NaN kept."""

    def __init__(self, series: pl.Series, *, boolean: bool, scaled: bool, fill: bool) -> None:
        values = numbers_of(series)
        missing = np.isnan(values)
        if missing.all():
            raise LeftOut("no value in the training rows")
        self.column = series.name
        self.fill = fill_value_of(values, "most_frequent" if boolean else "median") if fill else None
        self.flagged = bool(fill and missing.any())
        self.center, self.scale = 0.0, 1.0
        if scaled and not boolean:
            filled = np.where(missing, self.fill, values) if self.fill is not None else values
            self.center, self.scale = standard(filled)
        self.names = [self.column, *([f"{self.column}_missing"] if self.flagged else [])]
        self.boolean = boolean

    def write(self, series: pl.Series, out: np.ndarray) -> None:
        values = numbers_of(series)
        missing = np.isnan(values)
        if self.fill is not None:
            values = np.where(missing, self.fill, values)
        out[0] = (values - self.center) / self.scale
        if self.flagged:
            out[1] = missing

    def describe(self) -> str:
        steps = []
        if self.fill is not None:
            word = "most frequent value" if self.boolean else "median"
            flag = " and flagged" if self.flagged else ""
            steps.append(f"missing values filled with the {word} {self.fill:.6g}{flag}")
        if (self.center, self.scale) != (0.0, 1.0):
            steps.append(f"standardized (mean {self.center:.6g}, deviation {self.scale:.6g})")
        return "; ".join(steps) or "unchanged, missing values kept"


def standard(values: np.ndarray) -> tuple[float, float]:
    """Return mean and deviation of a column, the deviation of a constant one being 1."""
    count, mean, squares = (float(m[0]) for m in column_moments(values[:, None]))
    if not count:
        return 0.0, 1.0
    variance = squares / count
    eps = np.finfo(np.float64).eps
    if variance <= count * eps * variance + (count * mean * eps) ** 2:
        return mean, 1.0
    return mean, float(np.sqrt(variance))


def labels_of(series: pl.Series) -> pl.Series:
    """Return a column of categories as strings; the whole number 3.0 reads "3", so that 3 and 3.0 are one category."""
    if series.dtype.is_float():
        series = series.fill_nan(None)
        whole = (series == series.floor()) & (series.abs() < 2.0**53)
        integers = series.zip_with(whole.fill_null(False), pl.Series([None], dtype=series.dtype)).cast(pl.Int64)
        return integers.cast(pl.String).zip_with(whole.fill_null(True), series.cast(pl.String)).alias(series.name)
    return series.cast(pl.String)


class Levels:
    """The levels of a column of categories in the training rows, sorted, and how often each occurs.

    Parameters
    ----------
    series : polars.Series
    """

    def __init__(self, series: pl.Series) -> None:
        self.column = series.name
        self.labels = labels_of(series)
        known = self.labels.drop_nulls()
        if not len(known):
            raise LeftOut("no value in the training rows")
        table = known.value_counts(name="__count__").sort(series.name)
        self.names: list[str] = table.to_series(0).to_list()
        self.counts = table.to_series(1).to_numpy()


class CategoryPart(Part):
    """A column of categories: one-hot columns or an integer code; rare and unseen values share ``<other>``."""

    def __init__(self, found: Levels, *, one_hot: bool, min_count: int, max_levels: int) -> None:
        labels = found.labels
        # The cap holds for the levels that stay; <other> always exists beside them.
        rare = choose_rare(found.counts, len(labels), min_count, max_levels + 1, always=True)
        self.column = found.column
        self.levels = [level for level, is_rare in zip(found.names, rare) if not is_rare]
        self.pooled = int(rare.sum())
        self.one_hot = one_hot
        self.missing = bool(labels.null_count())
        self.codes = not one_hot
        if one_hot:
            tail = ["<other>", *(["<missing>"] if self.missing else [])]
            self.names = [f"{self.column}={level}" for level in [*self.levels, *tail]]
        else:
            self.names = [self.column]

    def _codes(self, series: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        labels = labels_of(series)
        codes = find_codes(labels, np.array(self.levels, dtype=object))
        codes[codes < 0] = len(self.levels)
        return codes, labels.is_null().to_numpy()

    def write(self, series: pl.Series, out: np.ndarray) -> None:
        codes, lost = self._codes(series)
        out[0] = np.where(lost, np.nan, codes)

    def hot(self, series: pl.Series) -> np.ndarray:
        codes, lost = self._codes(series)
        # A missing value where training had none is an unseen value.
        codes[lost] = len(self.levels) + int(self.missing)
        return codes

    def describe(self) -> str:
        form = "one-hot" if self.one_hot else "integer codes"
        pooled = f"; {self.pooled} rare levels pooled into <other>" if self.pooled else ""
        lost = (
            "; missing is a level" if self.missing and self.one_hot else "; missing stays NaN" if self.missing else ""
        )
        return f"{len(self.levels)} levels as {form}, unseen values to <other>{pooled}{lost}"


class DatetimePart(Part):
    """A column of times: calendar parts and the days since the earliest training row."""

    _PARTS: ClassVar[tuple[str, ...]] = ("year", "month", "day", "weekday", "hour", "elapsed_days")

    def __init__(self, series: pl.Series, *, scaled: bool, fill: bool) -> None:
        times = self._times(series)
        if times.null_count() == len(times):
            raise LeftOut("no value in the training rows")
        self.column = series.name
        self.start = int(times.cast(pl.Int64).min())
        values = self._parts(times)  # (6, n)
        missing = np.isnan(values[0])
        spread = np.nanmax(values, axis=1) > np.nanmin(values, axis=1)
        spread[-1] |= not spread.any()
        self.parts = [name for name, moves in zip(self._PARTS, spread) if moves]
        values = values[spread]
        self.fill = [fill_value_of(row, "median") for row in values] if fill else None
        self.flagged = bool(fill and missing.any())
        self.center, self.scale = [0.0] * len(values), [1.0] * len(values)
        if scaled:
            filled = np.where(missing, np.array(self.fill)[:, None], values) if self.fill is not None else values
            self.center, self.scale = map(list, zip(*(standard(row) for row in filled)))
        self.names = [f"{self.column}_{part}" for part in self.parts]
        self.names += [f"{self.column}_missing"] if self.flagged else []

    @staticmethod
    def _times(series: pl.Series) -> pl.Series:
        if not series.dtype.is_temporal() or series.dtype in (pl.Duration, pl.Time):
            raise DataError(
                f"Column {series.name!r} must hold dates or times, but it is {series.dtype}; convert it or override its type."
            )
        if isinstance(series.dtype, pl.Datetime) and series.dtype.time_zone:
            series = series.dt.replace_time_zone(None)  # parts are those of the local clock
        return series.cast(pl.Datetime("us"))

    def _parts(self, times: pl.Series) -> np.ndarray:
        clock = times.dt
        found = (clock.year(), clock.month(), clock.day(), clock.weekday(), clock.hour())
        days = (times.cast(pl.Int64) - self.start).cast(pl.Float64) / 86_400e6
        return np.stack([s.cast(pl.Float64).fill_null(float("nan")).to_numpy() for s in (*found, days)])

    def write(self, series: pl.Series, out: np.ndarray) -> None:
        values = self._parts(self._times(series))[[self._PARTS.index(part) for part in self.parts]]
        missing = np.isnan(values[0])
        if self.fill is not None:
            values = np.where(missing, np.array(self.fill)[:, None], values)
        out[: len(values)] = (values - np.array(self.center)[:, None]) / np.array(self.scale)[:, None]
        if self.flagged:
            out[-1] = missing

    def describe(self) -> str:
        flag = "; missing values filled with medians and flagged" if self.flagged else ""
        return f"split into {', '.join(self.parts)}{flag}"


class TextPart(Part):
    """A column of free text: TF-IDF of words hashed into a fixed number of columns, each row of length 1."""

    def __init__(self, series: pl.Series, *, n_features: int) -> None:
        if n_features < 1:
            raise LeftOut("free text, and the recipe was asked for no text features")
        self.column = series.name
        self.n_features = n_features
        counts = self._counts(series.cast(pl.String))
        seen = (counts > 0).sum(axis=0)
        if not seen.any():
            raise LeftOut("no word in the training rows")
        # Smoothed as if one more row held every word.
        self.idf = (np.log((1 + len(series)) / (1 + seen)) + 1.0).tolist()
        self.names = [f"{self.column}_word{k}" for k in range(n_features)]

    def _counts(self, text: pl.Series) -> np.ndarray:
        words = text.str.to_lowercase().str.extract_all(r"\w\w+").fill_null([])
        table = pl.DataFrame({"row": np.arange(len(text)), "word": words}).explode("word").drop_nulls()
        unique = table["word"].unique().to_list()
        hashed = [murmurhash3_32(word, seed=0, positive=True) % self.n_features for word in unique]
        bucket = table["word"].replace_strict(unique, hashed, return_dtype=pl.Int64).to_numpy() if unique else []
        place = table["row"].to_numpy() * self.n_features + np.asarray(bucket, dtype=np.int64)
        return np.bincount(place, minlength=len(text) * self.n_features).reshape(len(text), self.n_features)

    def write(self, series: pl.Series, out: np.ndarray) -> None:
        weighted = self._counts(series.cast(pl.String)) * np.array(self.idf)  # (b, n_features)
        length = np.sqrt(np.einsum("ij,ij->i", weighted, weighted))
        out[:] = (weighted / np.where(length > 0, length, 1.0)[:, None]).T

    def describe(self) -> str:
        return f"TF-IDF of its words, hashed into {self.n_features} columns"


class ListPart(Part):
    """A column of lists of names: a 0/1 column for each frequent member, and ``<other>`` for the rest."""

    binary: ClassVar[bool] = True

    def __init__(self, series: pl.Series, *, min_count: int, max_levels: int) -> None:
        if not (series.list.len() > 0).any():
            raise LeftOut("no list with a member in the training rows")
        self.column = series.name
        members = series.list.unique().explode().drop_nulls().value_counts(name="__count__").sort(series.name)
        rare = choose_rare(members["__count__"].to_numpy(), len(series), min_count, max_levels + 1, always=True)
        self.members = [name for name, is_rare in zip(members[series.name].to_list(), rare) if not is_rare]
        self.pooled = int(rare.sum())
        self.missing = bool(series.null_count())
        tail = ["<other>", *(["<missing>"] if self.missing else [])]
        self.names = [f"{self.column}={name}" for name in [*self.members, *tail]]

    def write(self, series: pl.Series, out: np.ndarray) -> None:
        out[:] = 0.0
        sizes = series.list.len().fill_null(0).to_numpy().astype(np.int64)
        rows = np.repeat(np.arange(len(series)), sizes)
        codes = find_codes(series.filter(pl.Series(sizes > 0)).explode(), np.array(self.members, dtype=object))
        codes[codes < 0] = len(self.members)
        out[codes, rows] = 1.0
        if self.missing:
            out[-1] = series.is_null().to_numpy()

    def describe(self) -> str:
        pooled = f"; {self.pooled} rare ones share <other>" if self.pooled else ""
        return f"0/1 columns for {len(self.members)} members of its lists{pooled}"
