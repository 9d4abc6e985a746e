"""k-nearest neighbors: classification and regression."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import CapabilityError, DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data, encode_labels

from ._search import METRICS, Search
from ._validation import query_data


class Neighbors(Estimator):
    """Base of both: parameters, the stored training rows and the search."""

    _stored = ("_rows", "_y")
    _rebuilt = ("_search",)
    _rows: Any
    _search: Search

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        weights: Any = "uniform",
        algorithm: str = "auto",
        leaf_size: int = 30,
        p: float = 2,
        metric: str = "minkowski",
    ) -> None:
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.algorithm = algorithm
        self.leaf_size = leaf_size
        self.p = p
        self.metric = metric

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.algorithm != "kd_tree"
        return tags

    def _remember(self, X: Any, y: Any, **options: Any) -> tuple[Any, np.ndarray]:
        """Check parameters and data."""
        whole("n_neighbors", self.n_neighbors, low=1)
        whole("leaf_size", self.leaf_size, low=1)
        real("p", self.p, low=1.0, finite=False)
        if not callable(self.weights):
            choice("weights", self.weights, ("uniform", "distance"))
        choice("metric", self.metric, METRICS)
        choice("algorithm", self.algorithm, ("auto", "brute", "kd_tree"))
        X, y = checked_data(self, X, y, accept_sparse="csr", **options)
        if self.algorithm == "kd_tree" and sp.issparse(X):
            raise CapabilityError(
                "algorithm='kd_tree' needs dense X, got a sparse matrix; use 'brute' or 'auto', or X.toarray()."
            )
        self._rows = X
        self.n_samples_fit_ = X.shape[0]
        self._rebuild()
        return X, y

    def _rebuild(self) -> None:
        if hasattr(self, "n_samples_fit_"):
            self._search = Search(self._rows, self.metric, float(self.p), self.algorithm, int(self.leaf_size))

    def kneighbors(
        self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
        """Return the nearest training rows of each query, nearest first; ties in distance go to the smaller row number.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_queries, n_features), optional
            Queries; without it the training rows, each without itself.
        n_neighbors : int, optional
            How many; by default the parameter of the estimator.
        return_distance : bool, default=True
            Whether to return distances as well.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors)
            Only with ``return_distance``.
        indices : ndarray of shape (n_queries, n_neighbors)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        InputError
            When there are fewer training rows than neighbors asked for.
        """
        require_fitted(self, "n_samples_fit_")
        k = whole("n_neighbors", self.n_neighbors if n_neighbors is None else n_neighbors, low=1)
        others = X is None
        if k > self.n_samples_fit_ - others:
            raise InputError(
                f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {k}, n_samples_fit = {self.n_samples_fit_}"
                f"{' of which a row does not count itself' if others else ''}; "
                f"ask for at most {self.n_samples_fit_ - others}."
            )
        queries = self._rows if others else query_data(self, X, "n_samples_fit_", accept_sparse="csr")
        distances, rows = self._search.query(queries, k + others)
        if others:
            # A row is its own neighbor at distance zero; behind many equal rows of smaller number it may be missing.
            mine = rows == np.arange(len(rows))[:, None]
            mine[~mine.any(axis=1), -1] = True
            distances, rows = distances[~mine].reshape(len(rows), k), rows[~mine].reshape(len(rows), k)
        return (distances, rows) if return_distance else rows

    def _weigh(self, distances: np.ndarray) -> np.ndarray:
        """Return the weight of each neighbor, of the shape of ``distances``."""
        if callable(self.weights):
            weight = np.asarray(self.weights(distances), dtype=np.float64)
            if weight.shape != distances.shape:
                raise InputError(f"`weights` gave the shape {weight.shape} for distances of shape {distances.shape}.")
            return weight
        if self.weights == "uniform":
            return np.ones_like(distances)
        # Relative to the nearest, so that tiny distances do not overflow; a neighbor at distance zero outweighs the rest.
        nearest = distances[:, :1]
        share = nearest / np.where(distances > 0, distances, 1.0)  # any value: unused where zero
        return np.where(nearest > 0, share, (distances == 0).astype(np.float64))


class KNeighborsClassifier(ClassifierMixin, Neighbors):
    """Classifier by the vote of the k nearest training rows.

    .. math::
        p(c \\mid x) = \\frac{\\sum_{i \\in N_k(x)} \\omega_i [y_i = c]}{\\sum_{i \\in N_k(x)} \\omega_i}

    with :math:`\\omega_i = 1`, or :math:`1 / d(x, x_i)` for ``weights="distance"``.

    Parameters
    ----------
    n_neighbors : int, >= 1, default=5
        Number k of neighbors.
    weights : {"uniform", "distance"} or callable, default="uniform"
        Weight of a neighbor's vote; a callable maps distances (n, k) to weights. With "distance", neighbors at distance
        zero share the vote among themselves.
    algorithm : {"auto", "brute", "kd_tree"}, default="auto"
        Search; all give the same neighbors. "auto" takes the tree for at least 500 dense rows of at most 8 features.
    leaf_size : int, >= 1, default=30
        Largest leaf of the tree.
    p : float, >= 1, default=2
        Exponent of the Minkowski metric: 1 Manhattan, 2 Euclidean, ``inf`` Chebyshev.
    metric : {"minkowski", "euclidean", "manhattan", "chebyshev", "cosine"}, default="minkowski"
        Distance; "cosine" is one minus the cosine, and 1 for a row of zeros.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_samples_fit_ : int

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    Ties in distance go to the smaller training row, ties in votes to the class that sorts first. With k = 1 the training
    accuracy is 1 unless equal rows carry different labels, which says nothing about new rows. scikit-learn leaves ties in
    distance to its search.

    References
    ----------
    Cover & Hart (1967), Nearest neighbor pattern classification. Spec ``05#knn-baseline``.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Store the training rows and prepare the search.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        _, y = self._remember(X, y)
        self.classes_, self._y = encode_labels(y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the share of each class in the vote.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        require_fitted(self, "n_samples_fit_")
        distances, rows = self.kneighbors(X)
        weight = self._weigh(distances)
        n, k = rows.shape
        n_classes = len(self.classes_)
        cells = np.arange(n)[:, None] * n_classes + self._y[rows]
        votes = np.bincount(cells.ravel(), weights=weight.ravel(), minlength=n * n_classes).reshape(n, n_classes)
        total = votes.sum(axis=1, keepdims=True)
        if not (total > 0).all():
            raise DataError("`weights` gave no neighbor of a row any weight; give weights whose sum is above zero.")
        return votes / total

    def predict(self, X: Any) -> np.ndarray:
        """Return the class with most votes; ties go to the class that sorts first.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class KNeighborsRegressor(MultiOutputMixin, RegressorMixin, Neighbors):
    """Regressor by the mean of the k nearest training rows.

    .. math::
        \\hat y(x) = \\frac{\\sum_{i \\in N_k(x)} \\omega_i y_i}{\\sum_{i \\in N_k(x)} \\omega_i}

    with :math:`\\omega_i = 1`, or :math:`1 / d(x, x_i)` for ``weights="distance"``.

    Parameters
    ----------
    n_neighbors : int, >= 1, default=5
        Number k of neighbors.
    weights : {"uniform", "distance"} or callable, default="uniform"
        Weight of a neighbor; a callable maps distances (n, k) to weights. With "distance", neighbors at distance zero
        alone make the mean.
    algorithm : {"auto", "brute", "kd_tree"}, default="auto"
        Search; all give the same neighbors. "auto" takes the tree for at least 500 dense rows of at most 8 features.
    leaf_size : int, >= 1, default=30
        Largest leaf of the tree.
    p : float, >= 1, default=2
        Exponent of the Minkowski metric: 1 Manhattan, 2 Euclidean, ``inf`` Chebyshev.
    metric : {"minkowski", "euclidean", "manhattan", "chebyshev", "cosine"}, default="minkowski"
        Distance; "cosine" is one minus the cosine, and 1 for a row of zeros.

    Attributes
    ----------
    n_samples_fit_ : int

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    Ties in distance go to the smaller training row. scikit-learn leaves them to its search.

    References
    ----------
    Cover & Hart (1967), Nearest neighbor pattern classification. Spec ``05#knn-baseline``.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Store the training rows and prepare the search.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_targets)

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        _, y = self._remember(X, y, multi_output=True, y_numeric=True)
        self._y = np.asarray(y, dtype=np.float64)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the weighted mean of the neighbors' targets.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        require_fitted(self, "n_samples_fit_")
        distances, rows = self.kneighbors(X)
        weight = self._weigh(distances)
        total = weight.sum(axis=1)
        if not (total > 0).all():
            raise DataError("`weights` gave no neighbor of a row any weight; give weights whose sum is above zero.")
        targets = self._y[rows]  # (n, k) or (n, k, t)
        mean = np.einsum("nk,nk...->n...", weight, targets)
        return mean / (total if mean.ndim == 1 else total[:, None])
