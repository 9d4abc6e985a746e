"""Locally linear embedding: the map that keeps the weights with which neighbors rebuild each row."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data

from ._common import finite_squares, neighbors, upright


def rebuilding_weights(X: np.ndarray, near: np.ndarray, reg: float) -> np.ndarray:
    """Return weights (m, K), sum one, that rebuild rows X (m, d) from neighbors (m, K, d); ``reg`` is a share of the trace."""
    gap = near - X[:, None, :]  # (m, K, d)
    gram = gap @ gap.transpose(0, 2, 1)  # (m, K, K)
    trace = np.trace(gram, axis1=1, axis2=2)
    ridge = np.where(trace > 0, reg * trace, reg)
    gram[:, np.arange(gram.shape[1]), np.arange(gram.shape[1])] += ridge[:, None]
    weight = np.linalg.solve(gram, np.ones(near.shape[:2])[:, :, None])[:, :, 0]
    return weight / weight.sum(axis=1, keepdims=True)


class LocallyLinearEmbedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Map in which every row is rebuilt from its neighbors with the weights that rebuild it in the data.

    .. math:: \min_w \sum_i \Big\lVert x_i - \sum_j w_{ij} x_j \Big\rVert^2, \; \sum_j w_{ij} = 1; \qquad
              \min_Z \sum_i \Big\lVert z_i - \sum_j w_{ij} z_j \Big\rVert^2, \; Z^\top Z = I, \; Z^\top 1 = 0

    Parameters
    ----------
    n_components : int >= 1, default 2
    n_neighbors : int >= 1, default 5
        K, the row itself not counted; at most n - 1.
    reg : float > 0, default 1e-3
        Added to the diagonal of each local Gram matrix, as a share of its trace.

    Attributes
    ----------
    embedding_ : array (n, k), orthonormal columns without mean
    reconstruction_error_ : float, Σ |z_i - Σ w_ij z_j|²

    Raises
    ------
    DataError
        Missing or infinite values, not more rows than neighbors or components.
    InputError
        A parameter outside its range.

    Notes
    -----
    Columns are the eigenvectors of (I - W)'(I - W) with the least eigenvalues after the constant one. There is no map for
    new rows in the method; ``transform`` rebuilds them from their neighbors in the map, and a row equal to a training row
    takes its place. Too few neighbors break the sheet, too many flatten its folds.

    References
    ----------
    Roweis & Saul, Nonlinear dimensionality reduction by locally linear embedding, 2000; ``06#lle``.
    """

    def __init__(self, n_components: int = 2, *, n_neighbors: int = 5, reg: float = 1e-3) -> None:
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.reg = reg

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def fit(self, X: Any, y: Any = None) -> Self:
        """Map the rows of X (n, d); ``y`` is ignored."""
        k, count = whole("n_components", self.n_components, low=1), whole("n_neighbors", self.n_neighbors, low=1)
        reg = real("reg", self.reg, low=0.0, above=True)
        X = finite_squares(checked_data(self, X, ensure_min_samples=2).astype(np.float64))
        n = len(X)
        if max(k, count) >= n:
            raise DataError(
                f"`{'n_components' if k >= n else 'n_neighbors'}` is {max(k, count)} with n_samples = {n} rows; it has to be "
                "below their number."
            )
        index, _ = neighbors(X, count)
        weight = rebuilding_weights(X, X[index], reg)
        R = np.eye(n)
        R[np.arange(n)[:, None], index] -= weight
        values, vectors = linalg.eigh(R.T @ R, subset_by_index=(1, k))
        self.reconstruction_error_ = float(np.maximum(values, 0.0).sum())
        self.embedding_ = upright(vectors.T).T
        self.training_rows_ = X
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Map the rows of X (n, d) and return their places (n, k)."""
        return self.fit(X).embedding_

    def transform(self, X: Any) -> np.ndarray:
        """Return places for rows from those of their neighbors: X (m, d) -> (m, k)."""
        require_fitted(self, "embedding_")
        X = checked_data(self, X, reset=False).astype(np.float64)
        index, distance = neighbors(self.training_rows_, self.n_neighbors, X)
        weight = rebuilding_weights(X, self.training_rows_[index], self.reg)
        out = np.einsum("ij,ijk->ik", weight, self.embedding_[index])
        same = distance[:, 0] == 0
        out[same] = self.embedding_[index[same, 0]]
        return out
