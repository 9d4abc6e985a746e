"""Principal components in the feature space of a kernel."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data

from ._common import squared_distances, upright

_KERNELS = ("linear", "rbf", "poly", "sigmoid", "cosine", "precomputed")


class KernelPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Projection on the directions of greatest variance in the space of a kernel: a nonlinear PCA.

    .. math:: \tilde K = (I - \tfrac1n 1 1^\top) K (I - \tfrac1n 1 1^\top) = \sum_j \lambda_j a_j a_j^\top, \qquad
              z_j(x) = \frac{1}{\sqrt{\lambda_j}} \sum_i a_{ij}\, \tilde k(x_i, x)

    Parameters
    ----------
    n_components : int >= 1 or None, default None
        None keeps all with an eigenvalue above zero; never more than those are kept.
    kernel : {"linear", "rbf", "poly", "sigmoid", "cosine", "precomputed"}, default "linear"
        x·y; exp(-γ |x - y|²); (γ x·y + c)^degree; tanh(γ x·y + c); x·y / |x||y|; or X is the kernel matrix itself.
    gamma : float > 0 or None, default None
        γ; None is 1 / d.
    degree : float > 0, default 3
    coef0 : float, default 1.0
        c.

    Attributes
    ----------
    eigenvalues_ : array (k,), λ
    eigenvectors_ : array (n, k), a; the largest entry of each is positive
    gamma_ : float

    Raises
    ------
    DataError
        Missing or infinite values, or a kernel matrix that is not square and symmetric.
    InputError
        A parameter outside its range.

    Notes
    -----
    Eigenvalues below 1e-12 of the largest are rounding and left out; "sigmoid" may have negative ones, which have no
    direction. Rows without any variance give one component of zeros.

    References
    ----------
    Schölkopf, Smola & Müller, Nonlinear component analysis as a kernel eigenvalue problem, 1998; ``06#mds``.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        kernel: str = "linear",
        gamma: float | None = None,
        degree: float = 3,
        coef0: float = 1.0,
    ) -> None:
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.eigenvalues_)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the components of X (n, d), or of a kernel matrix (n, n); ``y`` is ignored."""
        choice("kernel", self.kernel, _KERNELS)
        wanted = None if self.n_components is None else whole("n_components", self.n_components, low=1)
        X = checked_data(self, X, ensure_min_samples=2).astype(np.float64)
        n, d = X.shape
        if self.kernel == "precomputed" and (n != d or not np.allclose(X, X.T)):
            raise DataError("With kernel='precomputed' X has to be a symmetric square matrix.")
        self.gamma_ = 1.0 / d if self.gamma is None else real("gamma", self.gamma, low=0.0, above=True)
        real("degree", self.degree, low=0.0, above=True)
        real("coef0", self.coef0)
        if wanted is not None and wanted > n:
            raise InputError(f"`n_components` is {wanted}; there are n_samples = {n} rows, so give at most {n}.")
        if self.kernel != "precomputed":
            self.training_rows_ = X
        K = self._kernel(X, X)
        self.column_means_ = K.mean(axis=0)
        centered = K - self.column_means_
        centered -= centered.mean(axis=1, keepdims=True)
        values, vectors = linalg.eigh((centered + centered.T) / 2.0)
        values, vectors = values[::-1], vectors[:, ::-1]
        least = 1e-12 * max(values[0], np.abs(K).max() * n * 1e-3, 1e-300)  # any value: a few roundings
        values = values[:wanted][values[:wanted] > least]  # any value: no eigenvalue lies within rounding of the bound
        if len(values) == 0:
            self.eigenvalues_, self.eigenvectors_ = np.zeros(1), np.zeros((n, 1))
            return self
        self.eigenvalues_, self.eigenvectors_ = values.copy(), upright(vectors[:, : len(values)].T).T
        return self

    def _kernel(self, A: np.ndarray, B: np.ndarray) -> np.ndarray:
        if self.kernel == "precomputed":
            return A
        if self.kernel == "rbf":
            return np.exp(-self.gamma_ * squared_distances(A, B))
        if self.kernel == "cosine":
            lengths = [np.linalg.norm(M, axis=1) for M in (A, B)]
            return (A @ B.T) / np.maximum(np.outer(*lengths), 1e-300)  # any value: a row of zeros has no angle
        product = A @ B.T
        if self.kernel == "poly":
            return (self.gamma_ * product + self.coef0) ** self.degree
        return np.tanh(self.gamma_ * product + self.coef0) if self.kernel == "sigmoid" else product

    def transform(self, X: Any) -> np.ndarray:
        """Return the projections of rows (m, d), or of kernel values (m, n) with the training rows: (m, k)."""
        require_fitted(self, "eigenvalues_")
        X = checked_data(self, X, reset=False).astype(np.float64)
        K = self._kernel(X, getattr(self, "training_rows_", X))
        # Eigenvectors sum to zero, so what a row's values have in common drops out.
        scale = np.sqrt(np.fmax(self.eigenvalues_, np.finfo(np.float64).tiny))
        return (K - self.column_means_) @ (self.eigenvectors_ / scale)
