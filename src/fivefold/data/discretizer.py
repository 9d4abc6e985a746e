"""Discretization: numbers become bins, by expert cuts, quantiles, width, optimal k-means or information gain."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_feature_names_in, check_consistent_length, column_or_1d

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator
from fivefold.base.names import resolve

from .discretizer_cuts import information_cuts, kmeans_cuts, quantile_cuts, width_cuts
from .validation import checked_data

STRATEGIES = {
    "quantile": "bins that hold equally many training rows",
    "width": "bins of one width",
    "kmeans": "bins of least squared distance to their means (global optimum)",
    "information-gain": "entropy cuts accepted by the minimum description length principle; takes a target",
    "expert": "the given cuts",
}
ENCODINGS = ("onehot", "onehot-dense", "ordinal")


class Discretizer(TransformerMixin, Estimator):
    r"""Replace each numeric column by the bin its value falls into.

    With cuts :math:`c_1 < \dots < c_{m-1}` a value has the bin :math:`b(x) = \#\{j : c_j \le x\}`; a cut belongs to the bin on
    its right, and the outer bins are unbounded. ``information-gain`` cuts a set S of n rows where the class entropy after the
    cut is least, as long as

    .. math:: H(S) - H(S \mid c) > \frac{\log_2(n - 1)}{n} + \frac{\log_2(3^k - 2) - k H(S) + k_1 H(S_1) + k_2 H(S_2)}{n},

    where :math:`k, k_1, k_2` count the classes in S and its two parts, and goes on in both parts.

    Parameters
    ----------
    strategy : {"quantile", "width", "kmeans", "information-gain", "expert"}, default "quantile"
        How the cuts are chosen.
    n_bins : int >= 2, default 5
        Bins a column, fewer where a column has too few distinct values; ``information-gain`` and ``expert`` do not use it.
    cuts : sequence of one increasing sequence of numbers per column, optional
        The cuts of ``expert``.
    encode : {"onehot", "onehot-dense", "ordinal"}, default "onehot"
        One 0/1 column a bin (sparse or dense), or the number of the bin.

    Attributes
    ----------
    cuts_ : list of arrays
        Inner edges of each column, the shape of one is (bins - 1,).
    bin_edges_ : list of arrays
        The same between the least and largest training value.
    n_bins_ : int array of shape (d,)

    Returns
    -------
    transform : CSR matrix or array of shape (n, sum of bins), or array of shape (n, d) for ``ordinal``

    Raises
    ------
    InputError
        For wrong parameters, cuts that do not increase, and ``information-gain`` without classes.

    Notes
    -----
    Quantiles are averaged inverses of the distribution function; equal ones are one cut. An outlier such as age = 300 falls
    into the last bin like any large value, so a model on the bins does not feel its size.

    References
    ----------
    Spec ``01#discretizer``; Fayyad & Irani 1993, "Multi-interval discretization of continuous-valued attributes for
    classification learning"; Wang & Song 2011, "Ckmeans.1d.dp: optimal k-means clustering in one dimension".
    """

    def __init__(
        self, *, strategy: str = "quantile", n_bins: int = 5, cuts: Any = None, encode: str = "onehot"
    ) -> None:
        self.strategy = strategy
        self.n_bins = n_bins
        self.cuts = cuts
        self.encode = encode

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.strategy == "information-gain"
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Choose the cuts from ``X`` of shape (n, d), and for ``information-gain`` the classes ``y`` of shape (n,)."""
        strategy = resolve(self.strategy, STRATEGIES, "strategy of discretization")
        if self.encode not in ENCODINGS:
            raise InputError(f"encode must be one of {', '.join(map(repr, ENCODINGS))}; got {self.encode!r}.")
        check_count("n_bins", self.n_bins, 2)
        X = checked_data(self, X, dtype=np.float64)
        if (self.cuts is not None) != (strategy == "expert"):
            raise InputError("cuts belong to strategy='expert' and to it alone: one increasing sequence per column.")
        if strategy == "expert":
            self.cuts_ = self._given(X.shape[1])
        elif strategy == "information-gain":
            codes, classes = self._classes(X, y)
            self.cuts_ = [information_cuts(column, codes, classes) for column in X.T]
        else:
            choose = {"quantile": quantile_cuts, "width": width_cuts, "kmeans": kmeans_cuts}[strategy]
            self.cuts_ = [choose(column, int(self.n_bins)) for column in X.T]
        self.bin_edges_ = [
            np.concatenate([[min(low, *cuts[:1])], cuts, [max(high, *cuts[-1:])]])
            if len(cuts)
            else np.array([low, high])
            for low, high, cuts in zip(X.min(axis=0), X.max(axis=0), self.cuts_)
        ]
        self.n_bins_ = np.array([len(cuts) + 1 for cuts in self.cuts_], dtype=np.int64)
        return self

    def _given(self, columns: int) -> list[np.ndarray]:
        if len(self.cuts) != columns:
            raise InputError(f"cuts lists {len(self.cuts)} columns, but X has {columns}; give one sequence a column.")
        found = [np.array(cuts, dtype=np.float64).reshape(-1) for cuts in self.cuts]
        for j, cuts in enumerate(found):
            if not np.isfinite(cuts).all() or (np.diff(cuts) <= 0).any():
                raise InputError(f"The cuts of column {j} must be finite and increasing; got {cuts.tolist()}.")
        return found

    def _classes(self, X: np.ndarray, y: Any) -> tuple[np.ndarray, int]:
        if y is None:
            raise InputError(
                "strategy='information-gain' requires y to be passed, but the target y is None; give the classes to fit."
            )
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        check_classification_targets(y)
        names, codes = np.unique(y, return_inverse=True)
        return codes.astype(np.int64), len(names)

    def transform(self, X: Any) -> Any:
        """Return the bins of ``X``, shape (n, d), in the chosen encoding."""
        self._check_fitted()
        X = checked_data(self, X, dtype=np.float64, reset=False)
        bins = np.empty(X.shape, dtype=np.int64)
        for j, cuts in enumerate(self.cuts_):
            bins[:, j] = np.searchsorted(cuts, X[:, j], side="right")
        if self.encode == "ordinal":
            return bins.astype(np.float64)
        first = np.cumsum(self.n_bins_) - self.n_bins_
        n, d = X.shape
        hot = scipy.sparse.csr_matrix(
            (np.ones(n * d), (bins + first).reshape(-1), np.arange(0, n * d + 1, d)),
            shape=(n, int(self.n_bins_.sum())),
        )
        return hot if self.encode == "onehot" else hot.toarray()

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the middle of each bin, shape (n, d); outer bins end at the least and largest training value."""
        self._check_fitted()
        dense = X.toarray() if scipy.sparse.issparse(X) else np.asarray(X, dtype=np.float64)
        width = len(self.n_bins_) if self.encode == "ordinal" else int(self.n_bins_.sum())
        if dense.ndim != 2 or dense.shape[1] != width:
            raise InputError(f"X has shape {dense.shape}; the inverse takes what transform gives, {width} columns.")
        out = np.empty((len(dense), len(self.n_bins_)))
        first = 0
        for j, edges in enumerate(self.bin_edges_):
            middle = (edges[1:] + edges[:-1]) / 2
            if self.encode == "ordinal":
                codes = dense[:, j].astype(np.int64)
                if ((codes < 0) | (codes >= len(middle))).any():
                    raise InputError(f"Column {j} of X names a bin outside 0 … {len(middle) - 1}.")
            else:
                codes = dense[:, first : first + len(middle)].argmax(axis=1)
            out[:, j] = middle[codes]
            first += len(middle)
        return out

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return ``name_[low, high)`` for each bin, or the input names for ``ordinal``."""
        self._check_fitted()
        names = _check_feature_names_in(self, input_features)
        if self.encode == "ordinal":
            return names
        found = []
        for name, cuts in zip(names, self.cuts_):
            edges = ["-inf", *(f"{c:.12g}" for c in cuts), "inf"]
            found += [f"{name}_[{low}, {high})" for low, high in zip(edges, edges[1:])]
        return np.array(found, dtype=object)
