"""Classical multidimensional scaling and probabilistic PCA."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data, sample_weights

from ._common import finite_squares, squared_distances, upright


class ClassicalMDS(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Points whose distances come near to given ones, from the distances alone.

    .. math:: B = -\tfrac12 J (d_{ij}^2) J, \quad J = I - \tfrac1n 1 1^\top, \quad B v_j = \lambda_j v_j, \qquad
              z_j = \sqrt{\lambda_j}\, v_j

    Parameters
    ----------
    n_components : int >= 1, default 2
    metric : {"euclidean", "precomputed"}, default "euclidean"
        Distances of the rows of X, or X is a symmetric matrix of distances.

    Attributes
    ----------
    embedding_ : array (n, k)
    eigenvalues_ : array (k,), λ, not below zero
    negative_share_ : float, size of the negative eigenvalues over that of all: 0 for Euclidean distances

    Raises
    ------
    DataError
        Missing or infinite values, a matrix that is no distance, or fewer rows than components.
    InputError
        A parameter outside its range.

    Notes
    -----
    Euclidean distances give the scores of PCA. Directions with no positive eigenvalue are columns of zeros. A new row goes
    to ½ Λ^(-1/2) V' (mean d² - d²(x)) (Gower), which is exact for training rows.

    References
    ----------
    Torgerson, Multidimensional scaling, 1952; Gower, Adding a point to vector diagrams, 1968; ``06#mds``.
    """

    def __init__(self, n_components: int = 2, *, metric: str = "euclidean") -> None:
        self.n_components = n_components
        self.metric = metric

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.metric == "precomputed"
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def fit(self, X: Any, y: Any = None) -> Self:
        """Place the rows of X (n, d), or of a matrix of distances (n, n); ``y`` is ignored."""
        choice("metric", self.metric, ("euclidean", "precomputed"))
        k = whole("n_components", self.n_components, low=1)
        X = finite_squares(checked_data(self, X, ensure_min_samples=2).astype(np.float64))
        n = len(X)
        if k > n:
            raise DataError(f"`n_components` is {k} with n_samples = {n} rows; give at most {n}.")
        if self.metric == "precomputed":
            if X.shape != (n, n) or not np.allclose(X, X.T) or np.diag(X).any() or X.min() < 0:
                raise DataError(
                    "With metric='precomputed' X has to be a symmetric square matrix of distances >= 0 with a zero diagonal."
                )
            square = X**2
        else:
            square = squared_distances(X, X)
            self.training_rows_ = X
        self.mean_squares_ = square.mean(axis=0)
        B = -0.5 * (square - self.mean_squares_ - self.mean_squares_[:, None] + self.mean_squares_.mean())
        values, vectors = linalg.eigh((B + B.T) / 2.0)
        self.negative_share_ = float(-values[values < 0].sum() / max(np.abs(values).sum(), 1e-300))
        values, vectors = values[::-1][:k], vectors[:, ::-1][:, :k]
        # What rounding leaves of a direction that is not there is no direction.
        there = values > 4 * n * np.finfo(np.float64).eps * max(values[0], 1e-300)  # any value: a few roundings
        self.eigenvalues_ = np.where(there, values, 0.0)
        self.vectors_ = upright(vectors.T).T
        self.embedding_ = self.vectors_ * np.sqrt(self.eigenvalues_)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Place the rows of X and return their places (n, k)."""
        return self.fit(X).embedding_

    def transform(self, X: Any) -> np.ndarray:
        """Return places of rows (m, d), or of distances (m, n) to the training rows: (m, k)."""
        require_fitted(self, "embedding_")
        X = checked_data(self, X, reset=False).astype(np.float64)
        square = X**2 if self.metric == "precomputed" else squared_distances(X, self.training_rows_)
        root = np.sqrt(self.eigenvalues_)
        scale = np.where(root > 0, 1.0 / np.where(root > 0, root, 1.0), 0.0)
        return 0.5 * (self.mean_squares_ - square) @ self.vectors_ * scale


class ProbabilisticPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""A normal latent vector, mapped linearly, with equal noise in all columns.

    .. math:: x = W z + \mu + \varepsilon, \; z \sim N(0, I), \; \varepsilon \sim N(0, \sigma^2 I), \qquad
              W = U_k (\Lambda_k - \sigma^2 I)^{1/2}, \quad \sigma^2 = \frac{1}{d - k} \sum_{j > k} \lambda_j

    with eigenvectors U and eigenvalues λ of the covariance with the divisor n.

    Parameters
    ----------
    n_components : int in [1, d), default 1
    algorithm : {"closed-form", "em"}, default "closed-form"
        "em" alternates the posterior of z and the best W and σ².
    max_iter : int >= 1, default 1000
        Of "em".
    tol : float >= 0, default 1e-10
        "em" stops when the mean log-likelihood rises by less.

    Attributes
    ----------
    loadings_ : array (d, k), W
    noise_variance_ : float, σ²
    mean_ : array (d,)
    n_iter_ : int
    log_likelihoods_ : array (n_iter_ + 1,), mean log-likelihood of a training row, at the start and after every step of
        "em"; in closed form the one value

    Raises
    ------
    DataError
        Missing or infinite values, or data without noise around their first k directions, whose likelihood is infinite.
    InputError
        A parameter outside its range.

    References
    ----------
    Tipping & Bishop, Probabilistic principal component analysis, 1999; ``06#mds``.
    """

    def __init__(
        self, n_components: int = 1, *, algorithm: str = "closed-form", max_iter: int = 1000, tol: float = 1e-10
    ) -> None:
        self.n_components = n_components
        self.algorithm = algorithm
        self.max_iter = max_iter
        self.tol = tol

    @property
    def _n_features_out(self) -> int:
        return int(self.loadings_.shape[1])

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit to X (n, d), rows counted by ``sample_weight`` (n,); ``y`` is ignored."""
        choice("algorithm", self.algorithm, ("closed-form", "em"))
        k = whole("n_components", self.n_components, low=1)
        steps, tol = whole("max_iter", self.max_iter, low=1), real("tol", self.tol, low=0.0)
        X = finite_squares(checked_data(self, X, ensure_min_samples=2, ensure_min_features=2).astype(np.float64))
        n, d = X.shape
        if k >= d:
            raise InputError(f"`n_components` is {k}; X has {d} columns, so give a whole number between 1 and {d - 1}.")
        weight = sample_weights(sample_weight, n)
        share = np.full(n, 1.0 / n) if weight is None else weight / weight.sum()
        self.mean_ = share @ X
        centered = X - self.mean_
        S = (centered.T * share) @ centered
        values, vectors = linalg.eigh(S)
        values, vectors = values[::-1], vectors[:, ::-1]
        noise = float(values[k:].mean())
        if noise <= 4 * d * np.finfo(np.float64).eps * max(float(values[0]), 1e-300):  # any value: a few roundings
            raise DataError(
                f"The rows (n_samples = {n}) vary in at most {k} directions, so σ² is zero and the likelihood infinite; lower "
                "`n_components` or take PCA."
            )
        vectors = upright(vectors[:, :k].T).T
        W = vectors * np.sqrt(np.maximum(values[:k] - noise, 0.0))
        self.log_likelihoods_ = np.array([self._mean_likelihood(S, W, noise)])
        if self.algorithm == "em":
            W, noise = self._em(S, k, steps, tol)
        self.loadings_, self.noise_variance_ = W, noise
        self.n_iter_ = max(len(self.log_likelihoods_) - 1, 1)
        return self

    def _em(self, S: np.ndarray, k: int, steps: int, tol: float) -> tuple[np.ndarray, float]:
        d = len(S)
        # Columns of the covariance itself, the widest first: a start that draws nothing.
        order = np.argsort(-np.diag(S), kind="stable")[:k]
        W, noise = S[:, order] / np.sqrt(np.maximum(np.diag(S)[order], 1e-300)), float(np.trace(S)) / d
        path = [self._mean_likelihood(S, W, noise)]
        for _ in range(steps):
            M = W.T @ W + noise * np.eye(k)
            SW = S @ W
            solved = linalg.solve(M, W.T @ SW, assume_a="pos")
            new = linalg.solve((noise * np.eye(k) + solved).T, SW.T).T
            noise = float(np.trace(S) - np.trace(linalg.solve(M, SW.T @ new, assume_a="pos"))) / d
            W = new
            path.append(self._mean_likelihood(S, W, noise))
            if path[-1] - path[-2] < tol:
                break
        self.log_likelihoods_ = np.array(path)
        return W, noise

    @staticmethod
    def _mean_likelihood(S: np.ndarray, W: np.ndarray, noise: float) -> float:
        C = W @ W.T + noise * np.eye(len(S))
        return -0.5 * (
            len(S) * math.log(2 * math.pi)
            + float(np.linalg.slogdet(C)[1])
            + float(np.trace(linalg.solve(C, S, assume_a="pos")))
        )

    def get_covariance(self) -> np.ndarray:
        """Return W W' + σ² I: (d, d)."""
        require_fitted(self, "loadings_")
        return self.loadings_ @ self.loadings_.T + self.noise_variance_ * np.eye(len(self.loadings_))

    def transform(self, X: Any) -> np.ndarray:
        """Return the posterior means (W'W + σ² I)^-1 W' (x - μ): X (n, d) -> (n, k)."""
        require_fitted(self, "loadings_")
        X = checked_data(self, X, reset=False).astype(np.float64)
        W = self.loadings_
        M = W.T @ W + self.noise_variance_ * np.eye(W.shape[1])
        return linalg.solve(M, W.T @ (X - self.mean_).T, assume_a="pos").T

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log-likelihood of every row: X (n, d) -> (n,)."""
        require_fitted(self, "loadings_")
        X = checked_data(self, X, reset=False).astype(np.float64)
        C = self.get_covariance()
        centered = X - self.mean_
        distance = (centered * linalg.solve(C, centered.T, assume_a="pos").T).sum(axis=1)
        return -0.5 * (len(C) * math.log(2 * math.pi) + float(np.linalg.slogdet(C)[1]) + distance)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean log-likelihood of the rows; ``y`` is ignored."""
        return float(self.score_samples(X).mean())
