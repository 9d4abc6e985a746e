"""Singular value decomposition: LAPACK, one-sided Jacobi rotations or random projection, of dense or sparse matrices."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import linalg, sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.checks import choice, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.jit import njit
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data

from ._common import signs_of_rows

_SWEEPS = 60


@njit
def _rotate(rows, basis, tolerance, sweeps):
    """Make the rows (n, m) orthogonal by plane rotations, which ``basis`` (n, n) follows; return the sweeps made."""
    n = rows.shape[0]
    for sweep in range(sweeps):
        quiet = True
        for p in range(n - 1):
            for q in range(p + 1, n):
                alpha = np.vdot(rows[p], rows[p]).real
                beta = np.vdot(rows[q], rows[q]).real
                gamma = np.vdot(rows[p], rows[q])
                size = abs(gamma)
                if size <= tolerance * np.sqrt(alpha) * np.sqrt(beta) or size == 0.0:
                    continue
                quiet = False
                zeta = (beta - alpha) / (2.0 * size)
                t = (1.0 if zeta >= 0 else -1.0) / (abs(zeta) + np.sqrt(1.0 + zeta * zeta))
                c = 1.0 / np.sqrt(1.0 + t * t)
                s = c * t
                phase = gamma / size
                for table in (rows, basis):
                    for j in range(table.shape[1]):
                        a, b = table[p, j], table[q, j]
                        table[p, j] = c * a - s * np.conj(phase) * b
                        table[q, j] = s * phase * a + c * b
        if quiet:
            return sweep
    return sweeps


def _turned(U: np.ndarray, sigma: np.ndarray, Vh: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the factors with the largest entry of every row of Vh real and positive."""
    turn = signs_of_rows(Vh)
    return U * np.conj(turn.T), sigma, Vh * turn


def jacobi_svd(A: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Decompose a real or complex matrix by one-sided Jacobi rotations.

    .. math:: A = U \Sigma V^H = \sum_i \sigma_i u_i v_i^H, \qquad \sigma_i = \sqrt{\lambda_i(A^H A)}

    Parameters
    ----------
    A : array (m, n), real or complex

    Returns
    -------
    U : array (m, r), r = min(m, n), orthonormal columns
    sigma : array (r,), nonincreasing
    Vh : array (r, n), orthonormal rows, each with a positive largest entry

    Raises
    ------
    DataError
        Not a finite matrix.

    Notes
    -----
    Rotations of pairs of columns make them orthogonal; their lengths are then the singular values, small ones to high
    relative accuracy. 08#svd prints λ on the diagonal of Σ; its square root belongs there.
    """
    A = np.asarray(A)
    A = A.astype(np.complex128 if np.iscomplexobj(A) else np.float64)
    if A.ndim != 2 or 0 in A.shape or not np.isfinite(A).all():
        raise DataError(f"A has the shape {A.shape} or entries that are not finite; give a finite matrix (m, n).")
    if A.shape[0] < A.shape[1]:
        V, sigma, Uh = jacobi_svd(A.conj().T)
        Vh, U = V.conj().T, Uh.conj().T
        return _turned(U, sigma, Vh)
    scale = np.abs(A).max() or 1.0
    Q, R, order = linalg.qr(A / scale, mode="economic", pivoting=True)
    rows = np.ascontiguousarray(R.T)  # columns of R as rows
    basis = np.eye(len(rows), dtype=A.dtype)
    _rotate(rows, basis, np.finfo(np.float64).eps, _SWEEPS)
    length = np.linalg.norm(rows, axis=1)
    rank = np.argsort(-length, kind="stable")
    sigma = length[rank] * scale
    # Columns of length zero have no direction; an orthonormal completion stands in.
    done = length[rank] > 1e-300
    left = np.where(done[:, None], rows[rank] / np.where(done, length[rank], 1.0)[:, None], 0.0).T
    if not done.all():
        filled, _ = linalg.qr(np.concatenate([left[:, done], np.eye(len(left))], axis=1), mode="economic")
        left[:, ~done] = filled[:, done.sum() : len(left)]
    U = Q @ left
    Vh = np.empty_like(basis)
    Vh[:, order] = basis[rank].conj()
    return _turned(U, sigma, Vh)


class TruncatedSVD(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Best approximation of a matrix by one of low rank, and the coordinates of its rows there.

    .. math:: A = \sum_i \sigma_i u_i v_i^\top \approx U_k \Sigma_k V_k^\top, \qquad \sigma_i = \sqrt{\lambda_i(A^\top A)},
              \qquad z = V_k^\top x

    The truncation has the least error of its rank in the Frobenius and the spectral norm (Eckart & Young).

    Parameters
    ----------
    n_components : int in [1, min(n, d)], default 2
        Rank k.
    algorithm : {"auto", "full", "jacobi", "randomized"}, default "auto"
        "full" is LAPACK's divide and conquer; "jacobi" rotates pairs of columns and finds small singular values to high
        relative accuracy; "randomized" projects on random directions and takes sparse matrices as they are. "auto" is
        "randomized" for sparse X and where max(n, d) > 500 and k < 0.1 min(n, d), else "full".
    n_iter : int >= 0, default 7
        Power iterations of the random projection.
    random_state : int, Generator or None

    Attributes
    ----------
    components_ : array (k, d), right singular vectors; the largest entry of each is positive
    singular_values_ : array (k,), σ, not their squares
    left_singular_vectors_ : array (n, k)
    explained_variance_ : array (k,), variance of each column of the coordinates, divisor n
    explained_variance_ratio_ : array (k,), as shares of the summed variance of the columns of X

    Raises
    ------
    DataError
        Missing or infinite values.
    InputError
        A parameter outside its range.

    Notes
    -----
    The rows are not centered; PCA does that. 08#svd prints λ_i as the diagonal of Σ: it is σ_i = sqrt(λ_i).

    References
    ----------
    Eckart & Young, 1936; Halko, Martinsson & Tropp, 2011; Demmel & Veselic, Jacobi's method is more accurate than QR,
    1992; ``08#svd``.

    Examples
    --------
    >>> TruncatedSVD(1).fit([[3.0, 0.0], [0.0, 2.0]]).singular_values_.tolist()
    [3.0]
    """

    def __init__(
        self, n_components: int = 2, *, algorithm: str = "auto", n_iter: int = 7, random_state: Any = None
    ) -> None:
        self.n_components = n_components
        self.algorithm = algorithm
        self.n_iter = n_iter
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Decompose X (n, d), dense or sparse; ``y`` is ignored."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Decompose X (n, d) and return the coordinates of its rows: (n, k)."""
        choice("algorithm", self.algorithm, ("auto", "full", "jacobi", "randomized"))
        n_iter = whole("n_iter", self.n_iter, low=0)
        k = whole("n_components", self.n_components, low=1)
        X = checked_data(self, X, accept_sparse=("csr", "csc"))
        U, sigma, Vh = decompose(X, k, self.algorithm, n_iter, self.random_state)
        self.components_ = Vh.astype(X.dtype)
        self.singular_values_ = sigma.astype(X.dtype)
        self.left_singular_vectors_ = U.astype(X.dtype)
        coordinates = U * sigma  # (n, k)
        self.explained_variance_ = coordinates.var(axis=0).astype(X.dtype)
        total = _total_variance(X)
        self.explained_variance_ratio_ = (
            self.explained_variance_ / total if total > 0 else np.zeros_like(self.explained_variance_)
        ).astype(X.dtype)
        return coordinates.astype(X.dtype)

    def transform(self, X: Any) -> np.ndarray:
        """Return the coordinates of the rows: X (n, d) -> (n, k)."""
        require_fitted(self, "components_")
        X = checked_data(self, X, accept_sparse=("csr", "csc"), reset=False)
        return np.asarray(X @ self.components_.T)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the rows that coordinates X (n, k) stand for: (n, d)."""
        require_fitted(self, "components_")
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != len(self.components_):
            raise DataError(
                f"Coordinates have the shape {X.shape}; give one column a component: (n, {len(self.components_)})."
            )
        return X @ self.components_


def decompose(
    X: Any, k: int, algorithm: str, n_iter: int, random_state: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the leading k singular triplets of X (n, d): U (n, k), σ (k,), V' (k, d), signs by V'."""
    n, d = X.shape
    if k > min(n, d):
        raise InputError(f"`n_components` is {k}; X is {n} x {d}, so give a whole number between 1 and {min(n, d)}.")
    if algorithm == "auto":
        large = sparse.issparse(X) or (max(n, d) > 500 and k < 0.1 * min(n, d))
        algorithm = "randomized" if large else "full"
    if algorithm == "randomized":
        U, sigma, Vh = _randomized(X, k, n_iter, random_state)
    else:
        dense = X.toarray() if sparse.issparse(X) else X
        if algorithm == "jacobi":
            U, sigma, Vh = jacobi_svd(dense)
        else:
            U, sigma, Vh = linalg.svd(dense, full_matrices=False, check_finite=False)
    return _turned(U[:, :k], sigma[:k], Vh[:k])


def _randomized(X: Any, k: int, n_iter: int, random_state: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, d = X.shape
    width = min(k + 10, n, d)
    basis = Streams.of(random_state).numpy("svd").normal(size=(d, width)).astype(X.dtype)
    basis, _ = linalg.qr(X @ basis, mode="economic", check_finite=False)
    for _ in range(n_iter):
        basis, _ = linalg.qr(X.T @ basis, mode="economic", check_finite=False)
        basis, _ = linalg.qr(X @ basis, mode="economic", check_finite=False)
    inner, sigma, Vh = linalg.svd((X.T @ basis).T, full_matrices=False, check_finite=False)
    return basis @ inner, sigma, Vh


def _total_variance(X: Any) -> float:
    if sparse.issparse(X):
        mean = np.asarray(X.mean(axis=0)).ravel()
        return float((np.asarray(X.multiply(X).mean(axis=0)).ravel() - mean**2).sum())
    return float(X.var(axis=0).sum())
