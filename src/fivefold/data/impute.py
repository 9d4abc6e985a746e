"""Imputation: missing numbers are replaced by a statistic of their column, and optionally flagged."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, validate_data

from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator

STRATEGIES = ("median", "mean", "most_frequent", "constant")


def fill_value_of(column: np.ndarray, strategy: str, fill_value: float = 0.0) -> float:
    """Return what replaces the missing values of ``column``, shape (n,); NaN when all are missing.

    The most frequent value is the smallest among equally frequent ones.
    """
    known = column[~np.isnan(column)]
    if strategy == "constant":
        return float(fill_value)
    if not len(known):
        return float("nan")
    if strategy == "median":
        return float(np.median(known))
    if strategy == "mean":
        return float(known.mean())
    values, counts = np.unique(known, return_counts=True)
    return float(values[counts.argmax()])


class SimpleImputer(TransformerMixin, Estimator):
    r"""Replace missing numbers by a statistic of their column in the training data.

    .. math:: z_{ij} = x_{ij} \text{ where it is known, else } s(\{x_{1j}, \dots, x_{nj}\})

    Parameters
    ----------
    strategy : {"median", "mean", "most_frequent", "constant"}, default "median"
        The statistic s; among equally frequent values the smallest.
    fill_value : float, default 0.0
        The replacement with ``strategy="constant"``.
    add_indicator : bool, default False
        Append one 0/1 column for each column that had missing values in ``fit``.

    Attributes
    ----------
    statistics_ : array of shape (d,)
    indicator_features_ : int array
        Columns that had missing values in ``fit``.

    Returns
    -------
    transform : array of shape (n, d + number of indicators)

    Raises
    ------
    DataError
        When a column has no value at all in ``fit`` and the strategy needs one.
    """

    def __init__(self, *, strategy: str = "median", fill_value: float = 0.0, add_indicator: bool = False) -> None:
        self.strategy = strategy
        self.fill_value = fill_value
        self.add_indicator = add_indicator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check(self, X: Any, *, reset: bool) -> np.ndarray:
        return validate_data(
            self, X, dtype=(np.float64, np.float32), ensure_all_finite="allow-nan", reset=reset, copy=True
        )

    def fit(self, X: Any, y: Any = None) -> Self:
        """Take the statistic of each column of ``X``, shape (n, d)."""
        if self.strategy not in STRATEGIES:
            raise InputError(f"strategy must be one of {', '.join(map(repr, STRATEGIES))}; got {self.strategy!r}.")
        X = self._check(X, reset=True)
        missing = np.isnan(X)
        self.statistics_ = np.array([fill_value_of(X[:, j], self.strategy, self.fill_value) for j in range(X.shape[1])])
        empty = np.flatnonzero(np.isnan(self.statistics_))
        if len(empty):
            names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(X.shape[1])])
            raise DataError(
                f"Column {str(names[empty[0]])!r} holds no value at all, so it has no {self.strategy}; drop it, or use "
                "strategy='constant'."
            )
        self.indicator_features_ = np.flatnonzero(missing.any(axis=0))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return ``X`` without missing values, shape (n, d + number of indicators)."""
        self._check_fitted()
        X = self._check(X, reset=False)
        missing = np.isnan(X)
        filled = np.where(missing, self.statistics_.astype(X.dtype), X)
        if not self.add_indicator:
            return filled
        return np.hstack([filled, missing[:, self.indicator_features_].astype(X.dtype)])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the column names, then ``<name>_missing`` for each indicator."""
        self._check_fitted()
        names = _check_feature_names_in(self, input_features)
        if not self.add_indicator:
            return names
        return np.array([*names, *(f"{names[j]}_missing" for j in self.indicator_features_)], dtype=object)
