"""Laplacian eigenmaps and spectral clustering: the smoothest functions on a graph of neighbors."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from scipy import linalg, sparse
from scipy.sparse import csgraph
from scipy.sparse import linalg as sparse_linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data

from ._common import finite_squares, neighbors, squared_distances, upright
from .k_means import KMeans

_AFFINITIES = ("nearest_neighbors", "rbf", "precomputed")
_DENSE = 1500


def affinity_graph(X: np.ndarray, affinity: str, n_neighbors: int, gamma: float) -> Any:
    """Return symmetric weights (n, n) with a zero diagonal: half a vote of each of a pair, sparse, or a Gaussian, dense."""
    n = len(X)
    if affinity == "precomputed":
        if X.shape != (n, n) or not np.allclose(X, X.T) or X.min() < 0:
            raise DataError("With affinity='precomputed' X has to be a symmetric square matrix of weights >= 0.")
        W = X.copy()
        np.fill_diagonal(W, 0.0)
        return W
    if affinity == "rbf":
        W = np.exp(-gamma * squared_distances(X, X))
        np.fill_diagonal(W, 0.0)
        return (W + W.T) / 2.0
    # A row counts as the first of its own neighbors, as in scikit-learn.
    count = min(n_neighbors, n) - 1
    if count < 1:
        return sparse.csr_array((n, n))
    index, _ = neighbors(X, count)
    ones = sparse.csr_array((np.ones(n * count), index.ravel(), np.arange(0, n * count + 1, count)), shape=(n, n))
    return ((ones + ones.T) / 2.0).tocsr()


def smooth_vectors(W: Any, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ``count`` least eigenvalues of I - D^(-1/2) W D^(-1/2), their vectors (n, count) and degrees (n,)."""
    n = W.shape[0]
    degree = np.asarray(W.sum(axis=1)).ravel()
    root = np.sqrt(np.where(degree > 0, degree, 1.0))
    if n <= _DENSE or count > n // 4:
        dense = W.toarray() if sparse.issparse(W) else W
        normal = dense / root[:, None] / root
        L = np.diag(np.where(degree > 0, 1.0, 0.0)) - normal
        values, vectors = linalg.eigh((L + L.T) / 2.0, subset_by_index=(0, count - 1))
    else:
        scale = sparse.diags_array(1.0 / root)
        # The least of I - N are the greatest of N + I, which Lanczos finds; one start for all runs.
        N = scale @ sparse.csr_array(W) @ scale + sparse.eye_array(n)
        start = np.sqrt(degree + 1.0)  # any value: a start without accident
        values, vectors = sparse_linalg.eigsh(N, k=count, which="LA", v0=start, tol=1e-12)  # any value: last digits
        order = np.argsort(-values)
        values, vectors = 2.0 - values[order], vectors[:, order]
    return np.maximum(values, 0.0), upright(vectors.T).T, degree


def _settings(model: Any) -> tuple[int, float]:
    choice("affinity", model.affinity, _AFFINITIES)
    gamma = 1.0 if model.gamma is None else real("gamma", model.gamma, low=0.0, above=True)
    return whole("n_neighbors", model.n_neighbors, low=2), gamma


class LaplacianEigenmaps(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Map in which neighbors on a graph stay near: eigenvectors of its Laplacian with the least nonzero eigenvalues.

    .. math:: \min_Z \tfrac12 \sum_{ij} w_{ij} \lVert z_i - z_j \rVert^2 = \operatorname{tr} Z^\top L Z
              \;\text{ subject to } Z^\top D Z = I,\; Z^\top D 1 = 0, \qquad L = D - W, \quad L z = \lambda D z

    Parameters
    ----------
    n_components : int >= 1, default 2
    affinity : {"nearest_neighbors", "rbf", "precomputed"}, default "nearest_neighbors"
        w = 1 for mutual neighbors and ½ for one-sided; exp(-γ |x - y|²); or X is the matrix of weights.
    n_neighbors : int >= 2, default 10
        Neighbors of a row, itself among them.
    gamma : float > 0 or None, default None
        γ; None is 1.

    Attributes
    ----------
    embedding_ : array (n, k), with Z' D Z = I
    eigenvalues_ : array (k,), λ
    n_connected_components_ : int

    Raises
    ------
    DataError
        Missing or infinite values, or not more rows than components.
    InputError
        A parameter outside its range.

    Notes
    -----
    06#laplacian-eigenmaps prints the distance without its square; the identity with L holds for squares. A graph in pieces
    has several eigenvalues of zero and the map tells the pieces apart only; ``fit`` then warns. A new row goes to
    Σ w_j z_j / ((1 - λ) Σ w_j), the equation of the rows of the map; a row equal to a training row takes its place.

    References
    ----------
    Belkin & Niyogi, Laplacian eigenmaps for dimensionality reduction and data representation, 2003;
    ``06#laplacian-eigenmaps``.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        affinity: str = "nearest_neighbors",
        n_neighbors: int = 10,
        gamma: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.affinity = affinity
        self.n_neighbors = n_neighbors
        self.gamma = gamma

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.affinity == "precomputed"
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def fit(self, X: Any, y: Any = None) -> Self:
        """Map the rows of X (n, d), or of a matrix of weights (n, n); ``y`` is ignored."""
        count, gamma = _settings(self)
        k = whole("n_components", self.n_components, low=1)
        X = finite_squares(checked_data(self, X, ensure_min_samples=2).astype(np.float64))
        if k >= len(X):
            raise DataError(f"`n_components` is {k} with n_samples = {len(X)} rows; it has to be below their number.")
        W = affinity_graph(X, self.affinity, count, gamma)
        pieces, _ = csgraph.connected_components(sparse.csr_array(W), directed=False)
        self.n_connected_components_ = int(pieces)
        if pieces > 1:
            warnings.warn(
                f"The graph falls into {pieces} pieces, which the map cannot place against one another; raise `n_neighbors` "
                "or use affinity='rbf'.",
                ConvergenceWarning,
                stacklevel=2,
            )
        values, vectors, degree = smooth_vectors(W, k + 1)
        root = np.sqrt(np.where(degree > 0, degree, 1.0))
        self.eigenvalues_ = values[1:]
        self.embedding_ = vectors[:, 1:] / root[:, None]
        self.training_rows_ = X
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Map the rows of X (n, d) and return their places (n, k)."""
        return self.fit(X).embedding_

    def transform(self, X: Any) -> np.ndarray:
        """Return places for rows in the fitted map: X (m, d), or weights with the training rows (m, n) -> (m, k)."""
        require_fitted(self, "embedding_")
        X = checked_data(self, X, reset=False).astype(np.float64)
        n = len(self.training_rows_)
        shrink = np.maximum(1.0 - self.eigenvalues_, 1e-3)
        if self.affinity == "precomputed":
            total = X.sum(axis=1, keepdims=True)
            out = X @ self.embedding_ / np.where(total > 0, total, 1.0) / shrink
            same = (X[:, None, :] == self.training_rows_).all(axis=2) if len(X) * n * n < 1 << 26 else None
            if same is not None:
                rows = np.flatnonzero(same.any(axis=1))
                out[rows] = self.embedding_[same[rows].argmax(axis=1)]
            return out
        count, gamma = _settings(self)
        index, distance = neighbors(self.training_rows_, n if self.affinity == "rbf" else max(1, min(count, n) - 1), X)
        weight = (
            np.exp(-gamma * (distance**2 - distance[:, :1] ** 2)) if self.affinity == "rbf" else np.ones_like(distance)
        )
        share = weight / weight.sum(axis=1, keepdims=True)
        out = np.einsum("ij,ijk->ik", share, self.embedding_[index]) / shrink
        same = distance[:, 0] == 0
        out[same] = self.embedding_[index[same, 0]]
        return out


class SpectralClustering(ClusterMixin, Estimator):
    r"""k-means on the leading eigenvectors of a graph of neighbors, their rows scaled to length one.

    .. math:: N = D^{-1/2} W D^{-1/2}, \quad N u_j = \mu_j u_j, \; \mu_1 \ge \dots \ge \mu_k, \qquad
              y_i = \frac{(u_{i1}, \dots, u_{ik})}{\lVert (u_{i1}, \dots, u_{ik}) \rVert}

    Parameters
    ----------
    n_clusters : int in [1, n], default 8
    affinity : {"rbf", "nearest_neighbors", "precomputed"}, default "rbf"
    n_neighbors : int >= 2, default 10
        Neighbors of a row, itself among them.
    gamma : float > 0 or None, default None
        γ of exp(-γ |x - y|²); None is 1.
    n_init : int >= 1, default 10
        Starts of k-means.
    random_state : int, Generator or None

    Attributes
    ----------
    labels_ : int32 array (n,)
    eigenvalues_ : array (k,), 1 - μ, growing; as many zeros as the graph has pieces

    Raises
    ------
    DataError
        Missing or infinite values, or fewer rows than clusters.
    InputError
        A parameter outside its range.

    References
    ----------
    Ng, Jordan & Weiss, On spectral clustering, 2002; ``06#spectral-clustering``.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        affinity: str = "rbf",
        n_neighbors: int = 10,
        gamma: float | None = None,
        n_init: int = 10,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.affinity = affinity
        self.n_neighbors = n_neighbors
        self.gamma = gamma
        self.n_init = n_init
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.affinity == "precomputed"
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Cluster the rows of X (n, d), or of a matrix of weights (n, n); ``y`` is ignored."""
        count, gamma = _settings(self)
        k = whole("n_clusters", self.n_clusters, low=1)
        X = finite_squares(checked_data(self, X, ensure_min_samples=2).astype(np.float64))
        if k > len(X):
            raise InputError(f"`n_clusters` is {k}, but there are n_samples = {len(X)} rows; ask for fewer clusters.")
        values, vectors, _ = smooth_vectors(affinity_graph(X, self.affinity, count, gamma), k)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        points = vectors / np.where(length > 0, length, 1.0)
        seed = Streams.of(self.random_state).integer("spectral")
        self.labels_ = KMeans(k, n_init=self.n_init, random_state=seed).fit(points).labels_
        self.eigenvalues_ = values
        return self
