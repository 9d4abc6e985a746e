"""Recipes: the preprocessing a method wants, fitted on training rows only and saved with the model."""

from __future__ import annotations

import itertools
from typing import Any, Self

import numpy as np
import polars as pl

from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator
from fivefold.base.names import resolve

from .recipes_parts import CategoryPart, DatetimePart, LeftOut, NumericPart, Part, TextPart

RECIPES = {
    "scaled-one-hot": "numbers filled and standardized, categories one-hot",
    "one-hot": "numbers filled, categories one-hot",
    "ordinal": "numbers as they are with missing values kept, categories as integer codes",
    "none": "numbers as they are; nothing else is accepted",
}

_CELLS = 2**22  # of the working block: 32 MB of float64


class Recipe(Estimator):
    """Turn a typed table into a matrix of numbers.

    Parameters
    ----------
    name : {"scaled-one-hot", "one-hot", "ordinal", "none"}
        * ``scaled-one-hot``: numbers: median for missing values, a 0/1 column ``<name>_missing`` only where training rows had
          some, then zero mean and unit variance; booleans 0/1; categories one-hot with ``<other>`` and, where training rows
          had some, ``<missing>``; times: calendar parts and days since the earliest training row, scaled like numbers;
          text: hashed TF-IDF.
        * ``one-hot``: the same without scaling.
        * ``ordinal``: for trees: NaN stays NaN everywhere, categories are codes 0, 1, …, and ``categorical_mask_`` says which
          columns are codes; unseen and rare values share the code after the last level.
        * ``none``: numeric and boolean columns as they are.
    schema : Schema
        Says which columns are features and of which kind.
    min_count : int >= 1, default 2
        Levels seen fewer times in training are pooled into ``<other>``; with 2 the values seen once teach what unseen means.
    max_levels : int >= 1, optional
        The most frequent levels of a column that stay; default 50 for one-hot and 254 for codes.
    text_features : int >= 0, default 128
        Columns a text column is hashed into; 0 leaves text out.

    Attributes
    ----------
    feature_names_out_ : list of str
    categorical_mask_ : bool array of shape (d,)
    left_out_ : dict name -> reason
        Feature columns that could not be used, for example because no training row has a value.

    Raises
    ------
    DataError
        For missing columns (all are named), infinite numbers, and a table without any usable feature.
    UnknownNameError
        For an unknown recipe.
    """

    def __init__(
        self, name: str, schema: Any, *, min_count: int = 2, max_levels: int | None = None, text_features: int = 128
    ) -> None:
        self.name = name
        self.schema = schema
        self.min_count = min_count
        self.max_levels = max_levels
        self.text_features = text_features

    def fit(self, frame: pl.DataFrame, y: Any = None) -> Self:
        """Fit every column's part on the training rows ``frame``; ``y`` is not looked at."""
        recipe = resolve(self.name, RECIPES, "recipe")
        for field, least in (("min_count", 1), ("max_levels", 1), ("text_features", 0)):
            value = getattr(self, field)
            if value is not None and not (isinstance(value, (int, np.integer)) and value >= least):
                raise InputError(f"{field} must be an int >= {least}; got {value!r}.")
        columns = list(self.schema.features)
        self._refuse(frame, [c.name for c in columns])
        self.parts_: list[Part] = []
        self.left_out_: dict[str, str] = {}
        for column in columns:
            try:
                self.parts_.append(self._part(recipe, column, frame[column.name]))
            except LeftOut as reason:
                self.left_out_[column.name] = str(reason)
        if not self.parts_:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.left_out_.items()) or "it has no features"
            raise DataError(f"No column of the table can be used as a feature ({reasons}).")
        self.feature_names_out_ = [name for part in self.parts_ for name in part.names]
        self.categorical_mask_ = np.array([part.codes for part in self.parts_ for _ in part.names], dtype=bool)
        return self

    def _part(self, recipe: str, column: Any, series: pl.Series) -> Part:
        scaled, filled = recipe == "scaled-one-hot", recipe in ("scaled-one-hot", "one-hot")
        if column.kind in ("numeric", "boolean"):
            return NumericPart(series, boolean=column.kind == "boolean", scaled=scaled, fill=filled)
        if recipe == "none":
            raise DataError(
                f"The recipe 'none' takes numeric columns only, but column {column.name!r} is {column.kind}; use another recipe "
                "or leave the column out."
            )
        if column.kind == "datetime":
            return DatetimePart(series, scaled=scaled, fill=filled)
        if column.kind == "text":
            return TextPart(series, n_features=self.text_features)
        if column.kind in ("categorical", "id", "constant"):
            levels = self.max_levels or (50 if filled else 254)
            return CategoryPart(series, one_hot=filled, min_count=self.min_count, max_levels=levels)
        raise DataError(f"Column {column.name!r} has the kind {column.kind!r}, which no recipe knows.")

    @staticmethod
    def _refuse(frame: Any, names: list[str]) -> None:
        if not isinstance(frame, pl.DataFrame):
            raise DataError(
                f"A recipe takes a polars.DataFrame, got {type(frame).__name__}; read it with `fivefold.data.readers.read_table`."
            )
        absent = [name for name in names if name not in frame.columns]
        if absent:
            raise DataError(
                f"The table lacks the columns {', '.join(map(repr, absent))}; it has: {', '.join(map(repr, frame.columns))}."
            )
        if not frame.height:
            raise DataError("The table has no rows.")

    def transform(self, frame: pl.DataFrame) -> np.ndarray:
        """Return the features of ``frame`` as float64 of shape (n, d), rows in their order; extra columns are ignored."""
        self._check_fitted()
        self._refuse(frame, [part.column for part in self.parts_])
        width = len(self.feature_names_out_)
        out = np.zeros((frame.height, width))
        rows = min(frame.height, max(256, _CELLS // width))
        for start in range(0, frame.height, rows):
            self._transform_block(frame.slice(start, rows), out[start : start + rows])
        return out

    def _transform_block(self, frame: pl.DataFrame, out: np.ndarray) -> None:
        first = 0
        for one_hot, group in itertools.groupby(self.parts_, key=lambda part: part.one_hot):
            parts = list(group)
            if one_hot:
                every = np.arange(len(out))
                for part in parts:
                    out[every, first + part.hot(frame[part.column])] = 1.0
                    first += len(part.names)
                continue
            # Columns are written whole, then turned: a strided write a column would be slow.
            block = np.empty((sum(len(part.names) for part in parts), len(out)))
            row = 0
            for part in parts:
                part.write(frame[part.column], block[row : row + len(part.names)])
                row += len(part.names)
            out[:, first : first + row] = block.T
            first += row

    def fit_transform(self, frame: pl.DataFrame, y: Any = None) -> np.ndarray:
        """Fit on ``frame`` and return its features."""
        return self.fit(frame, y).transform(frame)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output columns."""
        self._check_fitted()
        return np.array(self.feature_names_out_, dtype=object)

    def describe(self) -> str:
        """Return what becomes of every column, one line each."""
        self._check_fitted()
        name = resolve(self.name, RECIPES, "recipe")
        lines = [f"Recipe {name}: {RECIPES[name]}; {len(self.feature_names_out_)} features."]
        lines += [f"  {part.column}: {part.describe()}." for part in self.parts_]
        lines += [f"  {column}: left out, {reason}." for column, reason in self.left_out_.items()]
        return "\n".join(lines)
