"""Encoders of columns: one-hot, ordinal, and standardization, on scikit-learn's transformer protocol."""

from __future__ import annotations

import numbers
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_array

from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator

from .encoders_columns import (
    Column,
    choose_rare,
    find_categories,
    find_codes,
    given_categories,
    has_missing,
    read_columns,
)
from .encoders_scale import StandardScaler

__all__ = ["OTHER", "OneHotEncoder", "OrdinalEncoder", "StandardScaler"]

OTHER = "<other>"
"""Name of the category that holds pooled rare categories and unseen values."""


class _CategoryEncoder(TransformerMixin, Estimator):
    """What both encoders share: finding categories, pooling rare ones, coding values, refusing unknown ones."""

    categories: Any
    min_frequency: Any
    max_categories: Any
    handle_unknown: Any
    dtype: Any
    _unknown_choices: tuple[str, ...] = ()
    _pools_missing = True  # whether *missing* counts as a category when rare ones are pooled

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def get_state(self) -> dict[str, Any]:
        """Return parameters and fitted attributes; an output type such as ``numpy.float64`` is stored by name."""
        state = super().get_state()
        dtype = f"numpy.{np.dtype(self.dtype).name}" if isinstance(self.dtype, type) else self.dtype
        return {**state, "params": {**state["params"], "dtype": dtype}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build an encoder from what :meth:`get_state` returned."""
        dtype = state["params"].get("dtype")
        if isinstance(dtype, str) and dtype.startswith("numpy."):
            dtype = np.dtype(dtype.removeprefix("numpy.")).type
        return super().from_state({**state, "params": {**state["params"], "dtype": dtype}})

    def _check_common(self) -> None:
        if self.handle_unknown not in self._unknown_choices:
            raise InputError(
                f"handle_unknown must be one of {', '.join(map(repr, self._unknown_choices))}; got {self.handle_unknown!r}."
            )
        least = self.min_frequency
        whole = isinstance(least, numbers.Integral) and least >= 1
        part = isinstance(least, numbers.Real) and not isinstance(least, numbers.Integral) and 0 < least < 1
        if least is not None and not (whole or part):
            raise InputError(f"min_frequency must be an int >= 1, a fraction in (0, 1) or None; got {least!r}.")
        most = self.max_categories
        if most is not None and not (isinstance(most, numbers.Integral) and most >= 1):
            raise InputError(f"max_categories must be an int >= 1 or None; got {most!r}.")

    def _fit_columns(self, X: Any) -> list[Column]:
        self._check_common()
        columns = read_columns(self, X, reset=True)
        given = self.categories
        if not (isinstance(given, str) and given == "auto") and len(given) != len(columns):
            raise InputError(
                f"categories lists {len(given)} columns, but X has {len(columns)}; give one list a column."
            )
        self.categories_: list[np.ndarray] = []
        self.rare_: list[np.ndarray] = []
        for j, column in enumerate(columns):
            if isinstance(given, str):
                found, counts = find_categories(column)
            else:
                found = given_categories(given[j])
                codes = find_codes(column, found)
                if self.handle_unknown == "error":
                    self._refuse_unknown(j, column, codes)
                counts = np.bincount(codes[codes >= 0], minlength=len(found))
            pooled = len(found) if self._pools_missing or not has_missing(found) else len(found) - 1
            rare = np.zeros(len(found), dtype=bool)
            rare[:pooled] = choose_rare(
                counts[:pooled], len(column), self.min_frequency, self.max_categories, self.handle_unknown == "other"
            )
            self.categories_.append(found)
            self.rare_.append(rare)
        return columns

    @property
    def infrequent_categories_(self) -> list[np.ndarray | None]:
        """Per column, the categories pooled into ``<other>``, or None."""
        self._check_fitted()
        return [c[r] if r.any() else None for c, r in zip(self.categories_, self.rare_)]

    def _refuse_unknown(self, j: int, column: Column, codes: np.ndarray) -> None:
        bad = np.flatnonzero(codes < 0)
        if not len(bad):
            return
        values = list(dict.fromkeys(repr(column[int(i)]) for i in bad[:1000]))
        shown = ", ".join(values[:5]) + (", …" if len(values) > 5 else "")
        raise InputError(
            f"Column {self._column_name(j)!r} holds {len(bad)} values of unknown categories ({shown}) that were not there "
            f"in fit; set handle_unknown to one of {', '.join(map(repr, self._unknown_choices[1:]))} to accept them."
        )

    def _column_name(self, j: int) -> str:
        names = getattr(self, "feature_names_in_", None)
        return str(names[j]) if names is not None else f"x{j}"

    def _codes(self, X: Any) -> list[np.ndarray]:
        """Return one array of codes per column, -1 for unknown values."""
        self._check_fitted()
        coded = []
        for j, column in enumerate(read_columns(self, X, reset=False)):
            codes = find_codes(column, self.categories_[j])
            if self.handle_unknown == "error":
                self._refuse_unknown(j, column, codes)
            coded.append(codes)
        return coded

    def _values(self, columns: list[np.ndarray]) -> np.ndarray:
        """Join decoded columns into one array, of their common type where they have one."""
        dtypes = {c.dtype for c in columns}
        common = np.result_type(*dtypes) if all(d.kind in "biuf" for d in dtypes) else np.dtype(object)
        out = np.empty((len(columns[0]), len(columns)), dtype=common)
        for j, column in enumerate(columns):
            out[:, j] = column
        return out


class OneHotEncoder(_CategoryEncoder):
    r"""Turn each column of categories into a block of 0/1 columns, a discrete distribution over its values.

    .. math:: z_{jk} = [x_j = c_{jk}], \qquad c_{j1} < c_{j2} < \dots \text{ the categories of column } j

    Parameters
    ----------
    categories : "auto" or list of one sequence a column, default "auto"
        Categories in the order of their output columns; "auto" takes those seen in ``fit``, sorted, missing last.
    drop : {None, "first", "if_binary"}, default None
        Leave out the first category of every column, or of columns with two categories.
    sparse_output : bool, default True
        Return a CSR matrix instead of a dense array.
    dtype : type, default numpy.float64
    handle_unknown : {"error", "ignore", "infrequent_if_exist", "other"}, default "error"
        What a value that ``fit`` did not see becomes: an error; all zeros; the pooled column where the column has one, else
        zeros; or the column ``<other>``, which then exists always and also holds the pooled rare categories.
    min_frequency : int >= 1, fraction in (0, 1) or None, default None
        Categories rarer than this count, or share of the rows, are pooled into ``<other>``.
    max_categories : int >= 1 or None, default None
        Upper limit of output columns per input column, the pooled one included; the most frequent stay.

    Attributes
    ----------
    categories_ : list of arrays
    infrequent_categories_ : list of arrays or None
    n_features_in_, feature_names_in_ : as in scikit-learn

    Returns
    -------
    transform : CSR matrix or array of shape (n, sum of block widths)

    Raises
    ------
    InputError
        For unknown categories with ``handle_unknown="error"`` and for parameters outside their range.

    Notes
    -----
    NaN, None and null are one category of their own, the last of the block; scikit-learn tells None from NaN.
    The extra choice ``handle_unknown="other"`` has no counterpart there. A column with exactly ``max_categories`` categories
    is kept as it is, where scikit-learn pools its rarest one alone.

    References
    ----------
    Spec ``01#one-hot-encoder``.
    """

    _unknown_choices = ("error", "ignore", "infrequent_if_exist", "other")

    def __init__(
        self,
        *,
        categories: Any = "auto",
        drop: str | None = None,
        sparse_output: bool = True,
        dtype: Any = np.float64,
        handle_unknown: str = "error",
        min_frequency: float | None = None,
        max_categories: int | None = None,
    ) -> None:
        self.categories = categories
        self.drop = drop
        self.sparse_output = sparse_output
        self.dtype = dtype
        self.handle_unknown = handle_unknown
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the categories of each column of ``X``, shape (n, d)."""
        if self.drop not in (None, "first", "if_binary"):
            raise InputError(f"drop must be None, 'first' or 'if_binary'; got {self.drop!r}.")
        if self.drop is not None and self.handle_unknown != "error":
            # An all-zero block would mean both the dropped and the unknown category.
            raise InputError(
                f"drop={self.drop!r} needs handle_unknown='error', got {self.handle_unknown!r}: the dropped category and an "
                "unknown one would look alike."
            )
        self._fit_columns(X)
        self._maps_ = []
        self.block_widths_ = []
        self.drop_idx_: list[int | None] = []
        for rare in self.rare_:
            pooled = rare.any() or self.handle_unknown == "other"
            place = np.cumsum(~rare) - 1
            width = int((~rare).sum())
            place[rare] = width
            width += int(pooled)
            dropped = self.drop == "first" or (self.drop == "if_binary" and width == 2)
            self.drop_idx_.append(int(np.argmin(place)) if dropped else None)
            unknown = width - 1 if pooled and self.handle_unknown in ("other", "infrequent_if_exist") else -1
            place = np.append(place, unknown)  # code -1 is the last entry
            if dropped:
                place = np.where(place >= 0, place - 1, -1)
                width -= 1
            self._maps_.append(place)
            self.block_widths_.append(width)
        self._n_columns_ = int(sum(self.block_widths_))
        return self

    def transform(self, X: Any) -> Any:
        """Return the 0/1 blocks of ``X`` side by side, shape (n, sum of block widths)."""
        coded = self._codes(X)
        starts = np.concatenate([[0], np.cumsum(self.block_widths_)[:-1]])
        n = len(coded[0])
        index = np.empty((n, len(coded)), dtype=np.int64)  # (n, d): output column that is 1, or -1
        for j, codes in enumerate(coded):
            place = self._maps_[j][codes]
            index[:, j] = np.where(place >= 0, place + starts[j], -1)
        hit = index >= 0
        if not self.sparse_output:
            out = np.zeros((n, self._n_columns_), dtype=self.dtype)
            rows, fields = np.nonzero(hit)
            out[rows, index[rows, fields]] = 1
            return out
        indptr = np.concatenate([[0], np.cumsum(hit.sum(axis=1))])
        indices = index[hit]
        ones = np.ones(len(indices), dtype=self.dtype)
        return scipy.sparse.csr_matrix((ones, indices, indptr), shape=(n, self._n_columns_))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the categories of 0/1 blocks, shape (n, d); ``<other>`` for the pooled column, None for an empty block."""
        self._check_fitted()
        blocks = check_array(X, accept_sparse="csr", dtype="numeric")
        if blocks.shape[1] != self._n_columns_:
            raise InputError(
                f"X has {blocks.shape[1]} columns, but this encoder writes {self._n_columns_}; give the output of `transform`."
            )
        columns, start = [], 0
        for j, categories in enumerate(self.categories_):
            block = blocks[:, start : start + self.block_widths_[j]]
            start += self.block_widths_[j]
            columns.append(self._decode(j, categories, block))
        return self._values(columns)

    def _decode(self, j: int, categories: np.ndarray, block: Any) -> np.ndarray:
        dense = block.toarray() if scipy.sparse.issparse(block) else block
        frequent = categories[~self.rare_[j]]
        dropped = self.drop_idx_[j]
        empty = ~dense.any(axis=1)
        best = dense.argmax(axis=1) if dense.shape[1] else np.zeros(len(dense), dtype=np.int64)
        if dropped is not None:
            best = np.where(empty, 0, best + 1)
            empty = np.zeros(len(dense), dtype=bool)
        pooled = best >= len(frequent)
        if not (pooled.any() or empty.any()):
            return frequent[best]
        out = np.empty(len(dense), dtype=object)
        plain = ~(pooled | empty)
        out[plain] = frequent[best[plain]]
        out[pooled] = OTHER
        out[empty] = None
        return out

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output columns: ``gender_F``, ``gender_M``, ``country_<other>`` …"""
        self._check_fitted()
        names = _check_feature_names_in(self, input_features)
        out = []
        for name, categories, rare, width, dropped in zip(
            names, self.categories_, self.rare_, self.block_widths_, self.drop_idx_
        ):
            labels = [f"{name}_{c}" for c in categories[~rare]]
            labels += [f"{name}_{OTHER}"] * (width + (dropped is not None) - len(labels))
            out += labels[1:] if dropped is not None else labels
        return np.array(out, dtype=object)


class OrdinalEncoder(_CategoryEncoder):
    """Turn each column of categories into integer codes 0, 1, 2, … in the order of the categories.

    .. math:: z_j = k \\iff x_j = c_{jk}

    Parameters
    ----------
    categories : "auto" or list of one sequence a column, default "auto"
    dtype : type, default numpy.float64
    handle_unknown : {"error", "use_encoded_value", "other"}, default "error"
        What an unseen value becomes: an error; ``unknown_value``; or the code after the last kept category, which pooled
        rare categories share.
    unknown_value : number or None, default None
        Code of unseen values with ``handle_unknown="use_encoded_value"``; must not be the code of a category.
    encoded_missing_value : number, default numpy.nan
        Code of missing values.
    min_frequency, max_categories : as in :class:`OneHotEncoder`; missing values are not counted

    Returns
    -------
    transform : array of shape (n, d)

    Raises
    ------
    InputError
        For unknown categories with ``handle_unknown="error"`` and for parameters outside their range.

    References
    ----------
    Spec ``01#one-hot-encoder``.
    """

    _unknown_choices = ("error", "use_encoded_value", "other")
    _pools_missing = False

    def __init__(
        self,
        *,
        categories: Any = "auto",
        dtype: Any = np.float64,
        handle_unknown: str = "error",
        unknown_value: float | None = None,
        encoded_missing_value: float = np.nan,
        min_frequency: float | None = None,
        max_categories: int | None = None,
    ) -> None:
        self.categories = categories
        self.dtype = dtype
        self.handle_unknown = handle_unknown
        self.unknown_value = unknown_value
        self.encoded_missing_value = encoded_missing_value
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the categories of each column of ``X``, shape (n, d)."""
        if (self.handle_unknown == "use_encoded_value") != (self.unknown_value is not None):
            raise InputError(
                "unknown_value goes with handle_unknown='use_encoded_value' and with nothing else; "
                f"got unknown_value={self.unknown_value!r} and handle_unknown={self.handle_unknown!r}."
            )
        self._fit_columns(X)
        integer = np.dtype(self.dtype).kind in "iu"
        missing = [j for j, c in enumerate(self.categories_) if has_missing(c)]
        if integer and missing and np.isnan(self.encoded_missing_value):
            raise InputError(
                f"Column {self._column_name(missing[0])!r} has missing values, whose code NaN does not fit into "
                f"{np.dtype(self.dtype)}; give an integer encoded_missing_value."
            )
        self._maps_ = []
        for j, (categories, rare) in enumerate(zip(self.categories_, self.rare_)):
            known = len(categories) - int(has_missing(categories))
            keep = ~rare[:known]
            place = (np.cumsum(keep) - 1).astype(np.float64)
            place[~keep] = keep.sum()
            width = int(keep.sum()) + int((~keep).any())
            if self.unknown_value is not None and 0 <= self.unknown_value < width:
                raise InputError(
                    f"unknown_value={self.unknown_value!r} is already the code of a category of column "
                    f"{self._column_name(j)!r}; choose one outside 0 … {width - 1}."
                )
            unknown = {"other": float(keep.sum()), "use_encoded_value": self.unknown_value}.get(
                self.handle_unknown, -1.0
            )
            tail = [self.encoded_missing_value] if known < len(categories) else []
            self._maps_.append(np.array([*place, *tail, unknown], dtype=np.float64))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the codes of ``X``, shape (n, d)."""
        coded = self._codes(X)
        out = np.empty((len(coded[0]), len(coded)), dtype=self.dtype)
        for j, codes in enumerate(coded):
            out[:, j] = self._maps_[j][codes]
        return out

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the categories of codes, shape (n, d); ``<other>`` for the pooled code, None for unknown codes."""
        self._check_fitted()
        codes = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
        if codes.shape[1] != len(self.categories_):
            raise InputError(f"X has {codes.shape[1]} columns, but this encoder writes {len(self.categories_)}.")
        columns = []
        for j, categories in enumerate(self.categories_):
            known = len(categories) - int(has_missing(categories))
            frequent = categories[:known][~self.rare_[j][:known]]
            code = codes[:, j]
            blank = code == self.encoded_missing_value if not np.isnan(self.encoded_missing_value) else np.isnan(code)
            plain = ~blank & (code >= 0) & (code < len(frequent)) & (code == np.floor(code))
            pooled = ~blank & (code == len(frequent))
            if plain.all():
                columns.append(frequent[code.astype(np.int64)])
                continue
            if categories.dtype.kind == "f" and (plain | blank).all():
                out = np.full(len(code), np.nan, dtype=categories.dtype)
            else:
                out = np.full(len(code), None, dtype=object)
                out[pooled & (code != self.unknown_value)] = OTHER
            out[plain] = frequent[code[plain].astype(np.int64)]
            columns.append(out)
        return self._values(columns)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns, unchanged."""
        self._check_fitted()
        return _check_feature_names_in(self, input_features)
