"""Tables of numbers, frames with categories, and sparse matrices, as one numeric table."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from fivefold.base.checks import choice
from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError, InputError
from fivefold.base.jit import njit
from fivefold.data.validation import INFINITE, checked_data


class Columns(Stateful):
    """Remembers the columns of the training table; categories are matched by value, columns of a frame by name.

    Attributes
    ----------
    names : list of d str, or None for a table of numbers
    levels : list of d sorted arrays of str or None; a cell becomes the place of its value, NaN when it is missing or unseen
    categorical : bool array (d,)
    unknown : "error" or the first of ``LENIENT``, what becomes of values of a categorical column not there in ``fit``
    seen : mapping from categorical columns of numbers to their values, where others are refused
    """

    LENIENT: ClassVar[tuple[str, str]] = ("missing", "treats such values as missing")
    """The choice of ``handle_unknown`` beside "error", and what it does."""
    unseen: float = np.nan
    """What a level that was not there in ``fit`` becomes."""

    def fit(self, estimator: Any, X: Any, categorical: Any) -> np.ndarray | sp.csr_matrix:
        """Learn the columns and return the table (n, d)."""
        lenient = self.LENIENT[0]
        self.unknown = choice("handle_unknown", getattr(estimator, "handle_unknown", lenient), (lenient, "error"))
        self.names: list[str] | None = None
        self.levels: list[np.ndarray | None] = []
        if _has_categories(X):
            self.names = [str(c) for c in X.columns]
            texts = [_text(X[c]) for c in X.columns]
            self.levels = [None if t is None else np.unique(t[0][~t[1]].astype(str)) for t in texts]
            estimator.feature_names_in_ = np.array(self.names, dtype=object)
            estimator.n_features_in_ = len(self.names)
            table: Any = self._numbers(X)
        else:
            table = checked_data(estimator, X, ensure_all_finite="allow-nan", accept_sparse="csr")
            self.levels = [None] * table.shape[1]
        self.categorical = _mask(
            categorical, table.shape[1], getattr(estimator, "feature_names_in_", None), self.levels
        )
        coded = (
            [f for f in np.flatnonzero(self.categorical) if self.levels[f] is None] if self.unknown == "error" else []
        )
        self.seen = {int(f): _present(table, f) for f in coded}
        return table

    def transform(self, estimator: Any, X: Any) -> np.ndarray | sp.csr_matrix:
        """Return another table (n, d) with the columns learnt."""
        table = self._read(estimator, X)
        for f, values in self.seen.items():
            other = np.setdiff1d(_present(table, f), values)
            if len(other):
                raise DataError(self._unseen(f if self.names is None else self.names[f], f"{other[0]:g}"))
        return table

    def _read(self, estimator: Any, X: Any) -> np.ndarray | sp.csr_matrix:
        if self.names is None:
            fast = type(X) is np.ndarray and X.ndim == 2 and X.dtype in (np.float32, np.float64)
            if (
                fast
                and X.shape[1] == estimator.n_features_in_
                and len(X)
                and not hasattr(estimator, "feature_names_in_")
            ):
                refuse_infinity(X)
                return X
            return checked_data(estimator, X, reset=False, ensure_all_finite="allow-nan", accept_sparse="csr")
        if not hasattr(X, "columns"):
            raise DataError(
                f"{type(estimator).__name__} was fitted on a frame with categories; give a frame with the columns "
                f"{', '.join(self.names)}."
            )
        lacking = [c for c in self.names if c not in {str(c) for c in X.columns}]
        if lacking:
            raise DataError(f"The frame lacks the column {lacking[0]!r} that was there in `fit`.")
        return self._numbers(X)

    def _numbers(self, X: Any) -> np.ndarray:
        by_name = {str(c): c for c in X.columns}
        out = np.empty((len(X), len(self.levels)))
        for f, (name, levels) in enumerate(zip(self.names or [], self.levels, strict=True)):
            column = X[by_name[name]]
            if levels is None:
                try:
                    out[:, f] = np.asarray(column, dtype=np.float64)
                except (TypeError, ValueError) as error:
                    raise DataError(
                        f"The column {name!r} held numbers in `fit` and cannot be read as such now."
                    ) from error
                continue
            text = _text(column, force=True)
            values = np.where(text[1], "", text[0]).astype(str)
            at = np.minimum(np.searchsorted(levels, values), max(0, len(levels) - 1))
            known = (levels[at] == values) & ~text[1] if len(levels) else np.zeros(len(values), dtype=bool)
            if self.unknown == "error" and not (known | text[1]).all():
                raise DataError(self._unseen(name, repr(str(values[~(known | text[1])][0]))))
            out[:, f] = np.where(known, at, np.where(text[1], np.nan, self.unseen))
        refuse_infinity(out)
        return out

    def _unseen(self, column: Any, value: str) -> str:
        name, effect = self.LENIENT
        return f"The column {column!r} holds {value}, which it did not in `fit`; handle_unknown={name!r} {effect}."


def refuse_infinity(table: np.ndarray | sp.csr_matrix) -> None:
    """Raise when a table (n, d) holds an infinite number; NaN is a missing value."""
    values = table.data if sp.issparse(table) else table
    packed = values.flags.c_contiguous or values.flags.f_contiguous
    if holds_infinity(values.ravel(order="K")) if packed else np.isinf(values).any():
        raise DataError(INFINITE)


def _present(table: np.ndarray | sp.csr_matrix, f: int) -> np.ndarray:
    """Return the distinct values of a column, without missing ones."""
    column = table[:, [f]].toarray()[:, 0] if sp.issparse(table) else table[:, f]
    return np.unique(column[~np.isnan(column)])


@njit
def holds_infinity(numbers):
    """Return whether one of the numbers (n,) is infinite."""
    found = False
    for x in numbers:
        found |= abs(x) == np.inf
    return found


def _has_categories(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "dtypes") and any(_text(X[c]) is not None for c in X.columns)


def _text(column: Any, *, force: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the values of a column of categories as objects and where they are missing; None for a column of numbers."""
    kind = str(column.dtype).lower()
    if not force and not kind.startswith(("cat", "enum", "str", "object", "utf8")):
        return None
    values = np.asarray(column.to_numpy(), dtype=object)
    missing = np.array([v is None or v != v for v in values], dtype=bool)
    return values, missing


def _mask(given: Any, d: int, names: Any, levels: list[np.ndarray | None]) -> np.ndarray:
    """Return which columns are categorical: those of a frame that hold categories, and those named."""
    mask = np.array([v is not None for v in levels], dtype=bool)
    if given is None or (isinstance(given, str) and given == "auto"):
        return mask
    wanted = np.asarray(given)
    if wanted.dtype == bool and wanted.shape == (d,):
        return mask | wanted
    known = [] if names is None else [str(c) for c in names]
    for item in wanted.ravel().tolist():
        if isinstance(item, str) and item in known:
            mask[known.index(item)] = True
        elif isinstance(item, int) and 0 <= item < d:
            mask[item] = True
        else:
            raise InputError(
                f"`categorical_feature` names {item!r}; give 'auto', a boolean mask, or numbers from 0 to {d - 1} or names "
                "of columns."
            )
    return mask
