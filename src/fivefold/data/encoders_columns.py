"""Columns of categories: reading them from any table, finding their categories, turning values into integer codes.

A column is normalized to one of three forms: a NumPy array of numbers, booleans or times; a polars series of strings (nulls
are missing); an object array of mixed Python values. NaN, None, NaT and null all mean *missing*, one category that sorts last.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from fivefold.base.errors import InputError, InputTypeError

Column = Any
"""A normalized column: ``np.ndarray`` of kind b, i, u, f, m, M or O, or a ``pl.Series`` of strings."""


def read_columns(estimator: Any, X: Any, *, reset: bool) -> list[Column]:
    """Return the normalized columns of ``X``; checks their number and names as scikit-learn does."""
    if isinstance(X, pl.DataFrame):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        _refuse_empty(estimator, X.shape)
        return [_from_series(X[name]) for name in X.columns]
    if hasattr(X, "iloc") and X.ndim == 2:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        _refuse_empty(estimator, X.shape)
        return [_from_array(_pandas_values(X.iloc[:, j])) for j in range(X.shape[1])]
    checked = check_array(X, dtype=None, ensure_all_finite="allow-nan", estimator=estimator, input_name="X")
    if not hasattr(X, "dtype") and checked.dtype.kind == "U":
        # A nested list of mixed values must keep its numbers as numbers.
        checked = check_array(X, dtype=object, ensure_all_finite="allow-nan", estimator=estimator)
    validate_data(estimator, X if hasattr(X, "shape") else checked, reset=reset, skip_check_array=True)
    return [_from_array(checked[:, j]) for j in range(checked.shape[1])]


def _refuse_empty(estimator: Any, shape: tuple[int, int]) -> None:
    name = type(estimator).__name__
    if shape[0] == 0:
        raise InputError(f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required by {name}.")
    if shape[1] == 0:
        raise InputError(f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required by {name}.")


def _pandas_values(series: Any) -> np.ndarray:
    if type(series.dtype).__module__.startswith("numpy"):
        return series.to_numpy()
    missing = series.isna().to_numpy()
    if getattr(series.dtype, "kind", "O") in "iufb" and not hasattr(series.dtype, "categories"):
        return series.to_numpy(dtype=np.float64, na_value=np.nan) if missing.any() else series.to_numpy()
    values = series.to_numpy(dtype=object, copy=True)
    values[missing] = None
    return np.asarray(series) if not missing.any() and np.asarray(series).dtype.kind in "biuf" else values


def _from_series(series: pl.Series) -> Column:
    kind = series.dtype
    if kind in (pl.String, pl.Categorical, pl.Enum) or kind == pl.Null:
        return series.cast(pl.String)
    if kind == pl.Boolean and series.null_count():
        return series.to_numpy().astype(object)
    if kind == pl.Object:
        return _from_array(series.to_numpy())
    return series.to_numpy()


def _from_array(values: np.ndarray) -> Column:
    if values.dtype.kind in "biufmM":
        return values
    if values.dtype.kind == "U":
        return pl.Series(values)
    if values.dtype.kind != "O":
        raise InputTypeError(
            f"Categories may be strings, numbers, booleans or times; got an array of type {values.dtype}."
        )
    missing = is_missing(values)
    filled = values.copy() if missing.any() else values
    filled[missing] = None
    try:
        return pl.Series(filled.tolist(), dtype=pl.String, strict=True)
    except TypeError:
        return filled


def is_missing(column: Column) -> np.ndarray:
    """Return the mask of missing values, shape (n,)."""
    if isinstance(column, pl.Series):
        return column.is_null().to_numpy()
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind in "mM":
        return np.isnat(column)
    if column.dtype.kind == "O":
        return np.equal(column, None).astype(bool) | (column != column).astype(bool)
    return np.zeros(len(column), dtype=bool)


def find_categories(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted categories, missing last, and how often each occurs."""
    missing = is_missing(column)
    lost = int(missing.sum())
    if isinstance(column, pl.Series):
        table = column.drop_nulls().value_counts(name="__count__")
        names = np.array(table.to_series(0).to_list(), dtype=object)
        order = np.argsort(names.astype(str), kind="stable") if len(names) else np.zeros(0, dtype=np.int64)
        categories, counts = names[order], table.to_series(1).to_numpy()[order]
    elif column.dtype.kind == "O":
        found: dict[Any, int] = {}
        for value in column[~missing].tolist():
            found[value] = found.get(value, 0) + 1
        try:
            ordered = sorted(found)
        except TypeError:
            kinds = sorted({type(v).__name__ for v in found})
            raise InputTypeError(
                f"Encoders require their input argument must be uniformly strings or numbers. Got {kinds}; "
                "convert the column to one type."
            ) from None
        categories = np.empty(len(ordered), dtype=object)
        categories[:] = ordered
        counts = np.array([found[v] for v in ordered], dtype=np.int64)
    else:
        categories, counts = np.unique(column[~missing], return_counts=True)
    if lost:
        categories = _append_missing(categories)
        counts = np.append(counts, lost)
    return categories, counts.astype(np.int64)


def _append_missing(categories: np.ndarray) -> np.ndarray:
    if categories.dtype.kind == "f":
        return np.append(categories, categories.dtype.type(np.nan))
    if categories.dtype.kind in "mM":
        return np.append(categories, np.array("NaT", dtype=categories.dtype))
    grown = np.empty(len(categories) + 1, dtype=object)
    grown[:-1] = categories
    grown[-1] = None
    return grown


def has_missing(categories: np.ndarray) -> bool:
    """Whether the last category is *missing*."""
    return len(categories) > 0 and bool(is_missing(categories[-1:])[0])


def given_categories(values: Sequence[Any]) -> np.ndarray:
    """Return categories that the user listed, in their order, missing last."""
    plain = np.asarray(values) if not isinstance(values, np.ndarray) else values
    if plain.dtype.kind not in "biufmM":
        plain = np.empty(len(values), dtype=object)
        plain[:] = list(values)
    missing = is_missing(plain)
    known = plain[~missing]
    if len(set(known.tolist())) != len(known) or missing.sum() > 1:
        raise InputError(f"The given categories must be distinct; got {list(values)!r}.")
    return _append_missing(known) if missing.any() else known


def find_codes(column: Column, categories: np.ndarray) -> np.ndarray:
    """Return the position of each value among ``categories``, -1 for unknown ones; shape (n,), int64."""
    missing = is_missing(column)
    known = categories[:-1] if has_missing(categories) else categories
    if isinstance(column, pl.Series):
        codes = _string_codes(column, known)
    elif column.dtype.kind == "O" or known.dtype.kind == "O":
        position = {value: code for code, value in enumerate(known.tolist())}
        codes = np.array([position.get(v, -1) for v in np.asarray(column).tolist()], dtype=np.int64)
    elif len(known) == 0:
        codes = np.full(len(column), -1, dtype=np.int64)
    else:
        order = np.argsort(known, kind="stable")
        place = np.minimum(np.searchsorted(known, column, sorter=order), len(known) - 1)
        codes = np.where(known[order][place] == column, order[place], -1).astype(np.int64)
    codes[missing] = len(categories) - 1 if has_missing(categories) else -1
    return codes


def _string_codes(column: pl.Series, known: np.ndarray) -> np.ndarray:
    names = known.tolist()
    strings = [name for name in names if isinstance(name, str)]
    if not strings:
        return np.full(len(column), -1, dtype=np.int64)
    positions = [code for code, name in enumerate(names) if isinstance(name, str)]
    coded = column.replace_strict(strings, positions, default=-1, return_dtype=pl.Int64)
    return coded.fill_null(-1).to_numpy().copy()


def choose_rare(
    counts: np.ndarray, n_rows: int, min_frequency: float | None, max_categories: int | None, always: bool = False
) -> np.ndarray:
    """Return the mask of categories pooled into ``<other>``: below the minimum, then the rarest beyond the maximum.

    ``max_categories`` counts the pooled category, which ``always`` says to exist in any case. Among equally frequent
    categories the first ones are pooled, as scikit-learn does.
    """
    rare = np.zeros(len(counts), dtype=bool)
    if min_frequency is not None:
        floor = min_frequency if isinstance(min_frequency, numbers.Integral) else min_frequency * n_rows
        rare = counts < floor
    pooled = int(always or rare.any())
    if max_categories is not None and len(counts) - int(rare.sum()) + pooled > max_categories:
        order = np.argsort(counts, kind="stable")
        rare[order[: len(counts) - (max_categories - 1)]] = True
    return rare
