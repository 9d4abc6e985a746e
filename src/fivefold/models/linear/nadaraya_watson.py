"""Nadaraya-Watson kernel regression."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import MultiOutputMixin, RegressorMixin

from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator
from fivefold.data.validation import checked_data, sample_weights

from ._blocks import row_blocks
from ._validation import query_data
from .kernels import dense_product


class NadarayaWatson(MultiOutputMixin, RegressorMixin, Estimator):
    r"""Regression by the mean of all training targets, weighted by a Gaussian of their distance.

    .. math::
        f(x) = \sum_i a_i(x)\, y_i, \qquad
        a(x) = \operatorname{softmax}_i\!\left(\log v_i - \tfrac12 \sum_j \frac{(x_j - x_{ij})^2}{h_j^2}\right)

    This is attention with rows as keys, targets as values and negative squared distances as scores.

    Parameters
    ----------
    bandwidth : float > 0 or array of shape (n_features,), default=1.0
        Width h of the Gaussian, for all features or each, in their units.

    Attributes
    ----------
    X_fit_ : ndarray of shape (n_samples, n_features)
        Training rows over the bandwidth.
    y_fit_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
    log_weight_ : ndarray of shape (n_samples,)

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    Far from all rows the ratio of sums is 0/0 in floating point; the softmax gives its limit, the target of the nearest row.

    References
    ----------
    Nadaraya (1964), On estimating regression. Watson (1964), Smooth regression analysis. Spec
    ``08#kernel-attention-pooling``.
    """

    def __init__(self, bandwidth: Any = 1.0) -> None:
        self.bandwidth = bandwidth

    def _width(self, n_features: int) -> np.ndarray:
        try:
            width = np.asarray(self.bandwidth, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"`bandwidth` is {self.bandwidth!r}; give a number > 0 or one for each feature."
            ) from error
        if width.shape not in ((), (n_features,)) or not np.isfinite(width).all() or width.min() <= 0:
            raise InputError(
                f"`bandwidth` is {self.bandwidth!r}; give a number > 0 or one for each of the {n_features} features."
            )
        return np.broadcast_to(width, (n_features,))

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Keep rows and targets.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array of shape (n_samples,) or float, optional
            Factors >= 0 of the Gaussians.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or the bandwidth cannot be used.
        """
        X, y = checked_data(self, X, y, multi_output=True, y_numeric=True)
        weight = sample_weights(sample_weight, len(X))
        weight = np.ones(len(X)) if weight is None else weight
        kept = weight > 0
        width = self._width(X.shape[1])
        self.X_fit_ = X[kept].astype(np.float64) / width
        self.y_fit_ = np.asarray(y, dtype=np.float64)[kept]
        self.log_weight_ = np.log(weight[kept])
        return self

    def attention(self, X: Any) -> np.ndarray:
        """Return the weight of every training row at each row of X.

        Parameters
        ----------
        X : array of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries, n_samples)
            Rows sum to one.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        return self._attention(query_data(self, X, "log_weight_"))

    def _attention(self, X: np.ndarray) -> np.ndarray:
        X = X.astype(np.float64) / self._width(X.shape[1])
        # Distances from the center of the training rows: far from the origin, squares would cancel.
        center = self.X_fit_.mean(axis=0)
        keys = self.X_fit_ - center
        # The squared length of the query is the same for every key and drops out of the softmax.
        scores = dense_product(X - center, keys) - 0.5 * np.square(keys).sum(axis=1) + self.log_weight_
        return np.asarray(softmax(scores, axis=1))

    def predict(self, X: Any) -> np.ndarray:
        """Return the weighted mean of the targets at each row.

        Parameters
        ----------
        X : array of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries,) or (n_queries, n_targets)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        checked = query_data(self, X, "log_weight_")
        out = np.empty((len(checked), *self.y_fit_.shape[1:]))
        for rows in row_blocks(len(checked), len(self.y_fit_)):
            out[rows] = self._attention(checked[rows]) @ self.y_fit_
        return out
