"""Recipes: the preprocessing a method wants, fitted on training rows only and saved with the model."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import polars as pl

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator
from fivefold.base.names import resolve

from .recipes_parts import CategoryPart, DatetimePart, LeftOut, Levels, ListPart, NumericPart, Part, TextPart
from .recipes_supervised import HashPart, Target, TargetPart, choose_features, f_statistics

RECIPES = {
    "scaled-one-hot": "numbers filled and standardized, categories one-hot",
    "one-hot": "numbers filled, categories one-hot",
    "ordinal": "numbers as they are with missing values kept, categories as integer codes",
    "none": "numbers as they are; nothing else is accepted",
}

ENCODINGS = {
    "auto": "a column with more levels than one-hot columns or codes would hold is target-encoded",
    "one-hot": "one-hot columns or codes, the most frequent levels of a column",
    "target": "columns with more than 10 levels are target-encoded",
    "hash": "columns with more than 10 levels are hashed",
}

_MANY = 10  # levels that a column may have without being encoded by target or hash
_CELLS = 2**22  # of the working block: 32 MB of float64


class Recipe(Estimator):
    """Turn a typed table into a matrix of numbers.

    Parameters
    ----------
    name : {"scaled-one-hot", "one-hot", "ordinal", "none"}
        * ``scaled-one-hot``: numbers: median for missing values, a 0/1 column ``<name>_missing`` only where training rows had
          some, then zero mean and unit variance; booleans 0/1; categories one-hot with ``<other>`` and, where training rows
          had some, ``<missing>``; times: calendar parts and days since the earliest training row, scaled like numbers;
          text: hashed TF-IDF; lists: a 0/1 column for each of the most frequent members.
        * ``one-hot``: the same without scaling.
        * ``ordinal``: for trees: NaN stays NaN everywhere, categories are codes 0, 1, …, and ``categorical_mask_`` says which
          columns are codes; unseen and rare values share the code after the last level.
        * ``none``: numeric and boolean columns as they are.
    schema : Schema
        Says which columns are features and of which kind.
    min_count : int >= 1, default 2
        Levels seen fewer times in training are pooled into ``<other>``; with 2 the values seen once teach what unseen means.
    max_levels : int >= 1, optional
        The most frequent levels of a column that stay; default 50 for one-hot and lists and 254 for codes.
    text_features : int >= 0, default 128
        Columns a text column is hashed into; 0 leaves text out.
    encode : {"auto", "one-hot", "target", "hash"}, default "auto"
        What becomes of a categorical column with many levels.

        * ``auto``: where more than ``max_levels`` levels would stay, the smoothed mean of the target by level, if ``fit`` is
          given a target; else the most frequent levels stay.
        * ``one-hot``: the most frequent levels stay, in one-hot columns or, for ``ordinal``, as codes.
        * ``target``: the smoothed mean of the target for every column with more than 10 levels.
        * ``hash``: 32 columns of signed hashing for every column with more than 10 levels.
    select : int >= 1, optional
        Keep only the features with the largest univariate F statistic on the training rows: analysis of variance for
        classes, correlation for numbers. Constants come last, the first of equals wins, missing values are passed over.
    random_state : int, default 0
        Deals the training rows into the folds of the target encoding.

    Attributes
    ----------
    feature_names_out_ : list of str
    categorical_mask_ : bool array of shape (d,)
    kept_ : bool array or None
        Which of the parts' columns ``select`` kept.
    left_out_ : dict name -> reason
        Feature columns that could not be used, for example because no training row has a value.

    Raises
    ------
    DataError
        For missing columns (all are named), infinite numbers, and a table without any usable feature.
    UnknownNameError
        For an unknown recipe or encoding.

    Notes
    -----
    What looks at the target is honest only where the training rows get their *cross-fitted* values: each row's encoding comes
    from folds it is not in, so its own target never enters. :meth:`fit_transform` returns these, so everything that trains
    calls it. ``fit(frame, y).transform(frame)`` gives training rows the encoding of new rows, in which each row's own target
    takes part; a model trained on it trusts the encoded columns too much.

    References
    ----------
    Micci-Barreca 2001, "A preprocessing scheme for high-cardinality categorical attributes"; Weinberger et al. 2009,
    "Feature hashing for large scale multitask learning".
    """

    kept_: np.ndarray | None = None

    def __init__(
        self,
        name: str,
        schema: Any,
        *,
        min_count: int = 2,
        max_levels: int | None = None,
        text_features: int = 128,
        encode: str = "auto",
        select: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.name = name
        self.schema = schema
        self.min_count = min_count
        self.max_levels = max_levels
        self.text_features = text_features
        self.encode = encode
        self.select = select
        self.random_state = random_state

    def fit(self, frame: pl.DataFrame, y: Any = None, *, classes: int | None = None, groups: Any = None) -> Self:
        """Fit every column's part on the training rows; to train on these rows, call :meth:`fit_transform` instead.

        Parameters
        ----------
        frame : polars.DataFrame
        y : array of shape (n,), optional
            The target, for target encoding and ``select``: codes 0 … classes - 1 (int64), or numbers.
        classes : int >= 1, optional
            How many classes ``y`` codes; None for regression.
        groups : int array of shape (n,), optional
            Rows of a group (or copies of a row) stay in one fold of the target encoding.
        """
        target, crossed = self._fit_parts(frame, y, classes, groups)
        if self.select is not None:
            self._choose(self._matrix(frame, crossed), target)
        return self

    def fit_transform(
        self, frame: pl.DataFrame, y: Any = None, *, classes: int | None = None, groups: Any = None
    ) -> np.ndarray:
        """Fit on the training rows and return their features, cross-fitted where the target takes part.

        Parameters
        ----------
        frame, y, classes, groups
            As for :meth:`fit`.

        Returns
        -------
        float64 array of shape (n, d)
        """
        target, crossed = self._fit_parts(frame, y, classes, groups)
        X = self._matrix(frame, crossed)
        if self.select is not None:
            self._choose(X, target)
            X = X[:, self.kept_]
        return X

    def _fit_parts(
        self, frame: pl.DataFrame, y: Any, classes: int | None, groups: Any
    ) -> tuple[Target | None, dict[str, np.ndarray]]:
        """Fit the parts; return the target and, by column, the features of training rows that are not those of new rows."""
        recipe = resolve(self.name, RECIPES, "recipe")
        encode = resolve(self.encode, ENCODINGS, "encoding")
        for field, least in (("min_count", 1), ("max_levels", 1), ("text_features", 0), ("select", 1)):
            value = getattr(self, field)
            if value is not None:
                check_count(field, value, least)
        if y is None and (encode == "target" or self.select is not None):
            asked = f"encode={encode!r}" if encode == "target" else f"select={self.select}"
            raise InputError(f"{asked} learns from the target; give it to fit: recipe.fit_transform(frame, y).")
        columns = list(self.schema.features)
        self._refuse(frame, [c.name for c in columns])
        target = None if y is None else Target(y, frame.height, classes, groups, self.random_state)
        self.parts_: list[Part] = []
        self.left_out_: dict[str, str] = {}
        self.kept_ = None
        crossed: dict[str, np.ndarray] = {}
        for column in columns:
            try:
                part = self._part(recipe, encode, column, frame[column.name], target)
            except LeftOut as reason:
                self.left_out_[column.name] = str(reason)
                continue
            if isinstance(part, tuple):
                part, crossed[column.name] = part
            self.parts_.append(part)
        if not self.parts_:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.left_out_.items()) or "it has no features"
            raise DataError(f"No column of the table can be used as a feature ({reasons}).")
        self.feature_names_out_ = [name for part in self.parts_ for name in part.names]
        self.categorical_mask_ = np.array([part.codes for part in self.parts_ for _ in part.names], dtype=bool)
        return target, crossed

    def _choose(self, X: np.ndarray, target: Target | None) -> None:
        if target is None or self.select is None:
            return
        self.kept_ = choose_features(f_statistics(X, target.y, target.classes), self.select)
        self.feature_names_out_ = [name for name, kept in zip(self.feature_names_out_, self.kept_) if kept]
        self.categorical_mask_ = self.categorical_mask_[self.kept_]

    def _part(
        self, recipe: str, encode: str, column: Any, series: pl.Series, target: Target | None
    ) -> Part | tuple[Part, np.ndarray]:
        """Return the fitted part of a column and, where they differ from those of new rows, its training rows' features."""
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
        if column.kind == "list":
            return ListPart(series, min_count=self.min_count, max_levels=self.max_levels or 50)
        if column.kind in ("categorical", "id", "constant"):
            found, most = Levels(series), self.max_levels or (50 if filled else 254)
            many = len(found.names) > _MANY
            if encode == "auto":
                many = int((found.counts >= self.min_count).sum()) > most
            if many and target is not None and encode in ("auto", "target"):
                return TargetPart.cross_fit(found, target, scaled=scaled)
            if many and encode == "hash":
                return HashPart(found)
            return CategoryPart(found, one_hot=filled, min_count=self.min_count, max_levels=most)
        raise DataError(f"Column {column.name!r} has the kind {column.kind!r}, which no recipe knows.")

    @staticmethod
    def _refuse(frame: Any, names: list[str]) -> None:
        if not isinstance(frame, pl.DataFrame):
            raise DataError(
                f"A recipe takes a polars.DataFrame, got {type(frame).__name__}; read it with `fivefold.data.readers.read_table`."
            )
        have = set(frame.columns)
        absent = [name for name in names if name not in have]
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
        return self._matrix(frame, {})

    def _matrix(self, frame: pl.DataFrame, crossed: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the kept features; those of the columns in ``crossed`` are given, (names, n) each."""
        parts, columns = self.parts_, None
        if self.kept_ is not None:
            ends = np.cumsum([len(part.names) for part in parts])
            kept = list(np.split(self.kept_, ends[:-1]))
            parts = [part for part, mask in zip(parts, kept) if mask.any()]
            columns = np.concatenate([mask for mask in kept if mask.any()])
        width = sum(len(part.names) for part in parts)
        whole = columns is None or bool(columns.all())
        out = np.zeros((frame.height, width if columns is None else int(columns.sum())))
        rows = min(frame.height, max(256, _CELLS // width))
        for start in range(0, frame.height, rows):
            block = out[start : start + rows]
            given = {name: values[:, start : start + rows] for name, values in crossed.items()}
            if whole:
                self._write_block(parts, frame.slice(start, rows), block, given)
                continue
            wide = np.zeros((len(block), width))
            self._write_block(parts, frame.slice(start, rows), wide, given)
            block[:] = wide[:, columns]
        return out

    @staticmethod
    def _write_block(
        parts: list[Part], frame: pl.DataFrame, out: np.ndarray, crossed: Mapping[str, np.ndarray]
    ) -> None:
        first = 0
        for one_hot, group in itertools.groupby(parts, key=lambda part: part.one_hot):
            alike = list(group)
            if one_hot:
                every = np.arange(len(out))
                for part in alike:
                    out[every, first + part.hot(frame[part.column])] = 1.0
                    first += len(part.names)
                continue
            # Columns are written whole, then turned: a strided write a column would be slow.
            block = np.empty((sum(len(part.names) for part in alike), len(out)))
            row = 0
            for part in alike:
                place = block[row : row + len(part.names)]
                if part.column in crossed:
                    place[:] = crossed[part.column]
                else:
                    part.write(frame[part.column], place)
                row += len(part.names)
            out[:, first : first + row] = block.T
            first += row

    def nominal_blocks(self) -> list[tuple[int, ...]]:
        """Return the output columns that hold one nominal feature together: codes, one-hot blocks, booleans and flags."""
        self._check_fitted()
        places = np.cumsum(np.ones(sum(len(p.names) for p in self.parts_)) if self.kept_ is None else self.kept_) - 1
        kept = np.ones(len(places), dtype=bool) if self.kept_ is None else self.kept_
        found, first = [], 0
        for part in self.parts_:
            columns = range(first, first + len(part.names))
            first += len(part.names)
            if part.one_hot or part.codes or getattr(part, "boolean", False):
                groups = [list(columns)]
            elif getattr(part, "binary", False):
                groups = [[j] for j in columns]
            else:
                groups = [[columns[-1]]] if getattr(part, "flagged", False) else []
            for group in groups:
                block = tuple(int(places[j]) for j in group if kept[j])
                found += [block] if block else []
        return found

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output columns."""
        self._check_fitted()
        return np.array(self.feature_names_out_, dtype=object)

    def describe(self) -> str:
        """Return what becomes of every column, one line each; columns of which ``select`` kept nothing share a line."""
        self._check_fitted()
        name = resolve(self.name, RECIPES, "recipe")
        total = sum(len(part.names) for part in self.parts_)
        chosen = "" if self.kept_ is None else f", those of {total} with the largest F statistic on the training rows"
        lines = [f"Recipe {name}: {RECIPES[name]}; {len(self.feature_names_out_)} features{chosen}."]
        lost, first = [], 0
        for part in self.parts_:
            kept = part.names
            if self.kept_ is not None:
                kept = [n for n, k in zip(part.names, self.kept_[first : first + len(part.names)]) if k]
            first += len(part.names)
            if not kept:
                lost.append(part.column)
                continue
            only = "" if len(kept) == len(part.names) else f"; of these only {', '.join(kept)} selected"
            lines.append(f"  {part.column}: {part.describe()}{only}.")
        lines += [f"  {column}: left out, {reason}." for column, reason in self.left_out_.items()]
        lines += [f"  Not selected: {', '.join(lost)}."] if lost else []
        return "\n".join(lines)
