"""Standardization: zero mean and unit variance per column, from moments that merge exactly."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import _check_sample_weight, validate_data

from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator

_BLOCK = 4096  # rows whose deviations fit into the cache


def _block_moments(X: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # X (b, d), weight (b,) -> count, mean, sum of squared deviations, each (d,); NaN counts as absent.
    X = X.astype(np.float64, copy=False)
    lost = np.isnan(X)
    if weight is None and not lost.any():
        count = np.full(X.shape[1], float(len(X)))
        mean = X.mean(axis=0)
        deviation = X - mean
        rest = deviation.sum(axis=0)  # what rounding of the mean left over
        return count, mean + rest / len(X), np.einsum("ij,ij->j", deviation, deviation) - rest**2 / len(X)
    share = np.where(lost, 0.0, 1.0 if weight is None else weight[:, None])  # (b, d)
    count = share.sum(axis=0)
    safe = np.where(count > 0, count, 1.0)
    values = np.where(lost, 0.0, X)
    mean = np.einsum("ij,ij->j", share, values) / safe
    deviation = np.where(lost, 0.0, X - mean)
    rest = np.einsum("ij,ij->j", share, deviation)
    return count, mean + rest / safe, np.einsum("ij,ij,ij->j", share, deviation, deviation) - rest**2 / safe


def merge_moments(
    a: tuple[np.ndarray, np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return count, mean and sum of squared deviations of the union of two samples (Chan, Golub & LeVeque 1983)."""
    count = a[0] + b[0]
    safe = np.where(count > 0, count, 1.0)
    delta = b[1] - a[1]
    mean = a[1] + delta * (b[0] / safe)
    return count, mean, a[2] + b[2] + delta**2 * (a[0] * b[0] / safe)


def column_moments(X: Any, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return count, mean and sum of squared deviations of each column of a dense or sparse matrix; NaN counts as absent."""
    if scipy.sparse.issparse(X):
        return _sparse_moments(X, weight)
    total = (np.zeros(X.shape[1]), np.zeros(X.shape[1]), np.zeros(X.shape[1]))
    for start in range(0, len(X), _BLOCK):
        part = slice(start, start + _BLOCK)
        total = merge_moments(total, _block_moments(X[part], None if weight is None else weight[part]))
    return total


def _sparse_moments(X: Any, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    coo = X.tocoo()
    row_weight = np.ones(X.shape[0]) if weight is None else weight
    stored, value = row_weight[coo.row], coo.data.astype(np.float64)
    lost = np.isnan(value)
    d = X.shape[1]

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(coo.col, values, d).astype(np.float64)

    held = total(np.where(lost, 0.0, stored))
    count = row_weight.sum() - total(np.where(lost, stored, 0.0))
    safe = np.where(count > 0, count, 1.0)
    mean = total(np.where(lost, 0.0, stored * value)) / safe
    deviation = np.where(lost, 0.0, value - mean[coo.col])
    # Zeros that are not stored deviate by -mean.
    return count, mean, total(stored * deviation**2) + np.maximum(count - held, 0.0) * mean**2


class StandardScaler(OneToOneFeatureMixin, TransformerMixin, Estimator):
    r"""Scale each column to zero mean and unit variance with statistics of the training data.

    .. math:: z_{ij} = \frac{x_{ij} - m_j}{\sigma_j}, \qquad m_j = \frac{\sum_i w_i x_{ij}}{\sum_i w_i}, \quad
              \sigma_j^2 = \frac{\sum_i w_i (x_{ij} - m_j)^2}{\sum_i w_i}

    Parameters
    ----------
    copy : bool, default True
        Leave the input untouched; False scales a float array in place.
    with_mean : bool, default True
        Center the columns; must be False for sparse input, whose zeros it would fill.
    with_std : bool, default True
        Divide by the standard deviation.

    Attributes
    ----------
    mean_, var_, scale_ : arrays of shape (d,)
        ``scale_`` is 1 for a constant column and None with ``with_std=False``.
    n_samples_seen_ : int, float or array of shape (d,)
        Rows, or their total weight; per column where values are missing.

    Returns
    -------
    transform : array or sparse matrix of shape (n, d), float32 or float64 as the input

    Raises
    ------
    InputError
        For sparse input with ``with_mean=True``.

    Notes
    -----
    The variance divides by n, not n - 1. The result has mean 0 and variance 1; it is *not* thereby normally distributed, as
    one source says. NaN is ignored in ``fit`` and kept in ``transform``.

    References
    ----------
    Spec ``05#standardise-features``, ``05#feature-normalisation-landscape``, ``08#input-normalisation``; Chan, Golub & LeVeque,
    "Algorithms for computing the sample variance", 1983.
    """

    def __init__(self, *, copy: bool = True, with_mean: bool = True, with_std: bool = True) -> None:
        self.copy = copy
        self.with_mean = with_mean
        self.with_std = with_std

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = not self.with_mean
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check(self, X: Any, *, reset: bool, copy: bool = False) -> Any:
        if self.with_mean and scipy.sparse.issparse(X):
            raise InputError(
                "Cannot center sparse matrices: subtracting the mean would fill their zeros; "
                "pass with_mean=False, or a dense array."
            )
        return validate_data(
            self,
            X,
            accept_sparse=("csr", "csc"),
            dtype=(np.float64, np.float32),
            ensure_all_finite="allow-nan",
            reset=reset,
            copy=copy,
        )

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Take mean and variance of ``X``, shape (n, d), with weights of shape (n,) >= 0."""
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("__")]:
            delattr(self, name)
        return self.partial_fit(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Add rows to the statistics; any division into parts gives the same result up to rounding."""
        first = not hasattr(self, "_count_")
        X = self._check(X, reset=first)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        moments = column_moments(X, weight)
        if not first:
            moments = merge_moments((self._count_, self.mean_, self._squares_), moments)
        return self._settle(moments)

    def merge(self, other: StandardScaler) -> Self:
        """Add the statistics of another fitted scaler, for example of another shard."""
        self._check_fitted()
        other._check_fitted()
        if other.n_features_in_ != self.n_features_in_:
            raise InputError(
                f"Cannot merge scalers of {self.n_features_in_} and {other.n_features_in_} columns; fit both on the same ones."
            )
        mine, theirs = (self._count_, self.mean_, self._squares_), (other._count_, other.mean_, other._squares_)
        return self._settle(merge_moments(mine, theirs))

    def _settle(self, moments: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Self:
        self._count_, self.mean_, self._squares_ = moments
        self._squares_ = np.maximum(self._squares_, 0.0)
        count = self._count_
        with np.errstate(invalid="ignore"):
            self.var_ = np.where(count > 0, self._squares_ / np.where(count > 0, count, 1.0), np.nan)
        same = bool((count == count[0]).all())
        whole = bool((count == np.floor(count)).all())
        seen = count.astype(np.int64) if whole else count
        self.n_samples_seen_ = seen[0] if same else seen
        if not self.with_std:
            self.scale_ = None
            return self
        # A constant column has a variance within the rounding error of its mean; dividing by it would amplify noise.
        eps = np.finfo(np.float64).eps
        constant = self.var_ <= count * eps * self.var_ + (count * self.mean_ * eps) ** 2
        self.scale_ = np.where(constant | (self.var_ == 0.0), 1.0, np.sqrt(self.var_))
        return self

    def transform(self, X: Any, copy: bool | None = None) -> Any:
        """Return the scaled columns, shape (n, d)."""
        self._check_fitted()
        X = self._check(X, reset=False, copy=self.copy if copy is None else copy)
        if scipy.sparse.issparse(X):
            return self._scale_sparse(X, inverse=False)
        if self.with_mean:
            X -= self.mean_.astype(X.dtype, copy=False)
        if self.scale_ is not None:
            X /= self.scale_.astype(X.dtype, copy=False)
        return X

    def inverse_transform(self, X: Any, copy: bool | None = None) -> Any:
        """Return the columns on their own scale, shape (n, d)."""
        self._check_fitted()
        X = self._check(X, reset=False, copy=self.copy if copy is None else copy)
        if scipy.sparse.issparse(X):
            return self._scale_sparse(X, inverse=True)
        if self.scale_ is not None:
            X *= self.scale_.astype(X.dtype, copy=False)
        if self.with_mean:
            X += self.mean_.astype(X.dtype, copy=False)
        return X

    def _scale_sparse(self, X: Any, *, inverse: bool) -> Any:
        if self.scale_ is None:
            return X
        factor = self.scale_ if inverse else 1.0 / self.scale_
        column = X.indices if X.format == "csr" else np.repeat(np.arange(X.shape[1]), np.diff(X.indptr))
        X.data *= factor.astype(X.dtype)[column]
        return X
