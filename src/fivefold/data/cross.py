"""Feature crosses: products of numeric columns, and combinations of categories, hashed if wanted."""

from __future__ import annotations

import itertools
import numbers
from typing import Any, Self, cast

import numpy as np
import scipy.sparse
from sklearn.base import TransformerMixin
from sklearn.utils import murmurhash3_32
from sklearn.utils.validation import _check_feature_names_in

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator

from .encoders_columns import Column, find_categories, find_codes, read_columns
from .validation import checked_data

_KINDS = ("product", "category")


class FeatureCross(TransformerMixin, Estimator):
    r"""Add crosses of columns, which let a linear model see interactions.

    ``product``: :math:`x_{j_1} x_{j_2} \cdots` of distinct numeric columns. ``category``: a 0/1 column for each combination
    of values of distinct columns, :math:`1[x_{j_1} = a] \, 1[x_{j_2} = b] \cdots`.

    Parameters
    ----------
    kind : {"product", "category"}, default "product"
        Numbers to be multiplied, or columns of categories (such as bins) to be combined.
    degree : int >= 2, default 2
        Columns of the largest cross; crosses of 2 … ``degree`` columns are made.
    crosses : sequence of tuples of column numbers or names, optional
        The crosses wanted, in place of all of up to ``degree`` columns.
    include_input : bool, default True
        Keep the input before the crosses: as it is, or one-hot for ``category``.
    n_buckets : int >= 1, optional
        ``category`` only: hash each cross into so many columns of its own; no combination is then unseen. By default each
        combination of the training rows has a column, and others have none.

    Attributes
    ----------
    crosses_ : list of tuples of int
        The columns of each cross.

    Returns
    -------
    transform : array of shape (n, k) for ``product``, CSR matrix of shape (n, k) for ``category``

    Raises
    ------
    InputError
        For wrong parameters, and crosses that name no column or one column twice.

    Notes
    -----
    With one-hot input the product of two 0/1 columns is the same as the cross of two categories; crossing the categories
    needs no product of columns that are 0 together. The hash goes by the values (numbers by their float value), not by the
    training rows, so fits on different rows agree.

    References
    ----------
    Spec ``01#feature-cross``, ``08#feature-cross-linear``, ``05#feature-transform-cascade``; Weinberger et al. 2009, "Feature
    hashing for large scale multitask learning".
    """

    def __init__(
        self,
        *,
        kind: str = "product",
        degree: int = 2,
        crosses: Any = None,
        include_input: bool = True,
        n_buckets: int | None = None,
    ) -> None:
        self.kind = kind
        self.degree = degree
        self.crosses = crosses
        self.include_input = include_input
        self.n_buckets = n_buckets

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.kind == "category":
            tags.input_tags.categorical = True
            tags.input_tags.string = True
            tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _read(self, X: Any, *, reset: bool) -> Any:
        if self.kind == "category":
            return read_columns(self, X, reset=reset)
        return checked_data(self, X, dtype=np.float64, reset=reset)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Note the crosses of ``X``, shape (n, d), and for ``category`` the combinations that occur."""
        if self.kind not in _KINDS:
            raise InputError(f"kind must be 'product' or 'category'; got {self.kind!r}.")
        check_count("degree", self.degree, 2)
        if self.n_buckets is not None:
            check_count("n_buckets", self.n_buckets)
        if self.n_buckets is not None and self.kind == "product":
            raise InputError("n_buckets hashes crosses of categories; leave it out or set kind='category'.")
        values = self._read(X, reset=True)
        d = self.n_features_in_
        if self.crosses is None:
            most = min(int(self.degree), d)
            self.crosses_ = [c for size in range(2, most + 1) for c in itertools.combinations(range(d), size)]
        else:
            self.crosses_ = [self._place(cross) for cross in self.crosses]
        if not self.include_input and not self.crosses_:
            raise InputError(f"X has {d} column(s) and include_input=False, so no cross and no column would be left.")
        if self.kind == "category":
            self.categories_ = [find_categories(column)[0] for column in values]
            codes = self._codes(values)
            self.combinations_: list[np.ndarray] = []
            if self.n_buckets is None:
                self.combinations_ = [np.unique(codes[:, list(cross)], axis=0) for cross in self.crosses_]
        return self

    def _place(self, cross: Any) -> tuple[int, ...]:
        names = list(getattr(self, "feature_names_in_", ()))
        found = []
        for column in cross:
            if isinstance(column, str) and column in names:
                column = names.index(column)
            if isinstance(column, str) or not 0 <= column < self.n_features_in_:
                raise InputError(f"The cross {tuple(cross)!r} names {column!r}, which is no column of X.")
            found.append(int(column))
        if len(found) < 2 or len(set(found)) < len(found):
            raise InputError(f"A cross needs two or more distinct columns; got {tuple(cross)!r}.")
        return tuple(found)

    def _codes(self, columns: list[Column]) -> np.ndarray:
        return np.column_stack([find_codes(c, known) for c, known in zip(columns, self.categories_)])  # (n, d)

    def transform(self, X: Any) -> Any:
        """Return the input, unless left out, and its crosses."""
        self._check_fitted()
        values = self._read(X, reset=False)
        if self.kind == "product":
            parts = [values] if self.include_input else []
            parts += [values[:, list(cross)].prod(axis=1)[:, None] for cross in self.crosses_]
            return np.hstack(parts)
        codes = self._codes(values)
        blocks = []
        if self.include_input:
            blocks += [(codes[:, j], len(known)) for j, known in enumerate(self.categories_)]
        if self.n_buckets is not None:
            hashes = np.column_stack([_hash_column(column) for column in values])
            blocks += [(self._bucket(hashes[:, list(cross)]), int(self.n_buckets)) for cross in self.crosses_]
        else:
            for cross, known in zip(self.crosses_, self.combinations_):
                blocks.append((_find_rows(codes[:, list(cross)], known), len(known)))
        return _one_hot(blocks, len(codes))

    def _bucket(self, hashes: np.ndarray) -> np.ndarray:
        mixed = np.zeros(len(hashes), dtype=np.uint64)
        for column in hashes.T:
            # The finalizer of splitmix64; the order of the columns counts.
            mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + column
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed ^= mixed >> np.uint64(31)
        return (mixed % np.uint64(cast(int, self.n_buckets))).astype(np.int64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return ``a b`` for products; ``a_1 x b_2`` for combinations and ``a x b_bucket3`` for hashed ones."""
        self._check_fitted()
        names = _check_feature_names_in(self, input_features)
        found = []
        if self.kind == "product":
            found += list(names) if self.include_input else []
            return np.array([*found, *(" ".join(names[list(cross)]) for cross in self.crosses_)], dtype=object)
        if self.include_input:
            found += [f"{name}_{value}" for name, known in zip(names, self.categories_) for value in known.tolist()]
        if self.n_buckets is not None:
            for cross in self.crosses_:
                found += [f"{' x '.join(names[list(cross)])}_bucket{k}" for k in range(int(self.n_buckets))]
            return np.array(found, dtype=object)
        for cross, known in zip(self.crosses_, self.combinations_):
            for row in known:
                found.append(" x ".join(f"{names[j]}_{self.categories_[j][code]}" for j, code in zip(cross, row)))
        return np.array(found, dtype=object)


def _hash_column(column: Column) -> np.ndarray:
    """Return a 32-bit hash of each value, shape (n,), uint64; equal values of any table share it."""
    known, _ = find_categories(column)
    texts = [repr(float(v)) if isinstance(v, numbers.Real) else str(v) for v in known.tolist()]
    table = np.array([murmurhash3_32(text, seed=0, positive=True) for text in texts], dtype=np.uint64)
    return table[find_codes(column, known)]


def _find_rows(codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the place of each row of ``codes`` (n, k) among the sorted rows of ``known`` (m, k), -1 for none."""
    every, place = np.unique(np.vstack([known, codes]), axis=0, return_inverse=True)
    table = np.full(len(every), -1, dtype=np.int64)  # any value: below 0 is none
    place = place.ravel()
    table[place[: len(known)]] = np.arange(len(known))
    return table[place[len(known) :]]


def _one_hot(blocks: list[tuple[np.ndarray, int]], n: int) -> scipy.sparse.csr_matrix:
    """Return the blocks of (codes, width) side by side as 0/1 columns; code -1 gives zeros."""
    first = np.cumsum([0, *(width for _, width in blocks)])
    absent = -1  # any value: below zero
    columns = np.column_stack([np.where(codes >= 0, codes + start, absent) for (codes, _), start in zip(blocks, first)])
    kept = columns >= 0
    ends = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return scipy.sparse.csr_matrix((np.ones(int(ends[-1])), columns[kept], ends), shape=(n, int(first[-1])))
