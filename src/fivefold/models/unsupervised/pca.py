"""Principal component analysis by singular values, by the eigenvectors of the covariance, or by random projection."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from typing import Any, Self

import numpy as np
from scipy import linalg
from scipy.special import gammaln
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.blas import blas_libraries, one_blas_thread
from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data

# Numbers in a block of rows: 512 KiB of float64, half of a usual second-level cache.
_BLOCK = 1 << 16
_CHUNKS = 16
# Squared mean over variance above which products of raw values would lose more than two digits.
_OFFSET = 100.0


class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Projection on the orthonormal directions along which the data vary most.

    .. math:: S = \frac{1}{n-1} \sum_i (x_i - \bar x)(x_i - \bar x)^\top, \quad S w_j = \lambda_j w_j, \quad
              w_j^\top w_l = [j = l], \quad \lambda_1 \ge \lambda_2 \ge \dots, \quad z = W (x - \bar x)

    Parameters
    ----------
    n_components : int in [0, min(n, d)], float in (0, 1), "mle" or None, default None
        Number of components; a share of the variance to be exceeded; Minka's estimate; or all of them.
    whiten : bool, default False
        Scale the projections to unit variance.
    svd_solver : {"auto", "full", "covariance_eigh", "randomized"}, default "auto"
        "full" factors the centered data; "covariance_eigh" the covariance, faster for many rows but blind to singular
        values below 1e-8 of the largest; "randomized" finds the leading components of large data approximately.
        "auto" takes the covariance when d <= 1000 and n >= 10 d, else random projection when max(n, d) > 500 and less than
        0.8 min(n, d) components are wanted, else the full factorization.
    random_state : int, Generator or None
        Seed of the random projection.

    Attributes
    ----------
    components_ : array (k, d), a component a row; its largest entry in size is positive
    explained_variance_ : array (k,), λ with the divisor n - 1
    explained_variance_ratio_ : array (k,)
    singular_values_ : array (k,), sqrt((n - 1) λ)
    mean_ : array (d,)
    n_components_ : int
    noise_variance_ : float, mean of the min(n, d) - k variances left out

    Raises
    ------
    DataError
        Missing or infinite values, or fewer than two rows.
    InputError
        A parameter outside its range.

    Notes
    -----
    The sources divide by n; like scikit-learn this class divides by n - 1, which changes variances but no direction. The
    constraint ‖w‖ = 1, missing in 01#pca, is part of the definition: without it the variance has no maximum.

    References
    ----------
    Pearson, On lines and planes of closest fit, 1901; Halko, Martinsson & Tropp, Finding structure with randomness, 2011;
    Minka, Automatic choice of dimensionality for PCA, 2000; Tipping & Bishop, Probabilistic PCA, 1999; ``01#pca``,
    ``06#pca``, ``06#pca-svd-reconstruction``.

    Examples
    --------
    >>> PCA(1).fit([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]).explained_variance_.round(6).tolist()
    [2.0]
    """

    def __init__(
        self,
        n_components: int | float | str | None = None,
        *,
        whiten: bool = False,
        svd_solver: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.svd_solver = svd_solver
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the components of X (n, d); ``y`` is ignored."""
        choice("svd_solver", self.svd_solver, ("auto", "full", "covariance_eigh", "randomized"))
        # The covariance shows by itself whether all values are finite; the other solvers check below.
        X = checked_data(self, X, ensure_min_samples=2, ensure_all_finite=False)
        n, d = X.shape
        wanted = self._wanted(n, d)
        solver = self._solver(n, d, wanted)
        if solver == "covariance_eigh":
            found = _moments(X)
            if found is None:
                checked_data(self, X, reset=False)  # refuses NaN and infinity
                raise DataError("X holds values whose squares overflow; scale its columns first.")
            mean, covariance = found
            values, vectors = linalg.eigh(covariance, check_finite=False)
            # A covariance has no negative eigenvalues; rounding leaves tiny ones.
            variance = np.maximum(values[::-1], 0.0)[: min(n, d)]
            components = vectors.T[::-1]
            total = float(np.trace(covariance))
        else:
            checked_data(self, X, reset=False)
            mean = X.mean(axis=0, dtype=np.float64)
            centered = X - mean.astype(X.dtype)
            if solver == "full":
                _, singular, components = linalg.svd(centered, full_matrices=False, check_finite=False)
            else:
                singular, components = _random_svd(centered, int(wanted), self.random_state)
            variance = singular.astype(np.float64) ** 2 / (n - 1)
            total = float(np.einsum("ij,ij->", centered, centered, dtype=np.float64) / (n - 1))
        count = _count(wanted, variance, total, n, d)
        components = components[:count]
        # The sign of an eigenvector is free: its largest entry shall be positive.
        largest = components[np.arange(count), np.abs(components).argmax(axis=1)] if count else np.empty(0)
        self.components_ = (components * np.sign(largest)[:, None]).astype(X.dtype)
        self.explained_variance_ = variance[:count].astype(X.dtype)
        self.explained_variance_ratio_ = (variance[:count] / total if total > 0 else np.zeros(count)).astype(X.dtype)
        self.singular_values_ = np.sqrt((n - 1) * variance[:count]).astype(X.dtype)
        self.mean_ = mean.astype(X.dtype)
        self.n_components_ = count
        left_out = min(n, d) - count
        self.noise_variance_ = max(total - float(variance[:count].sum()), 0.0) / left_out if left_out else 0.0
        return self

    def _wanted(self, n: int, d: int) -> int | float | str:
        """Return the checked number, share or rule of components."""
        given = self.n_components
        if given is None:
            return min(n, d)
        if isinstance(given, str):
            choice("n_components", given, ("mle",))
            if n < d:
                raise InputError(
                    f"`n_components` is 'mle', which needs at least as many rows as columns; X is {n} x {d}."
                )
            return given
        if isinstance(given, Integral):
            if whole("n_components", given, low=0) > min(n, d):
                raise InputError(
                    f"`n_components` is {given}; X is {n} x {d}, so give a whole number between 0 and {min(n, d)}."
                )
            return int(given)
        return real("n_components", given, low=0.0, high=1.0, above=True, below=True)

    def _solver(self, n: int, d: int, wanted: int | float | str) -> str:
        if self.svd_solver != "auto":
            if self.svd_solver == "randomized" and (not isinstance(wanted, int) or wanted < 1):
                raise InputError(
                    f"`svd_solver` is 'randomized', which needs a whole number of components >= 1; `n_components` is "
                    f"{self.n_components!r}."
                )
            return self.svd_solver
        if d <= 1000 and n >= 10 * d:
            return "covariance_eigh"
        if isinstance(wanted, int) and max(n, d) > 500 and 1 <= wanted < 0.8 * min(n, d):
            return "randomized"
        return "full"

    def _checked(self, X: Any) -> np.ndarray:
        require_fitted(self, "components_")
        return checked_data(self, X, reset=False)

    def _scale(self) -> np.ndarray:
        """Return the deviations that whitening divides by; a direction without variance is not blown up."""
        deviation = np.sqrt(self.explained_variance_)
        return np.where(deviation > np.finfo(deviation.dtype).eps, deviation, 1.0).astype(deviation.dtype)

    def transform(self, X: Any) -> np.ndarray:
        """Return the projections: X (n, d) -> (n, k)."""
        X = self._checked(X)
        projected = X @ self.components_.T - self.mean_ @ self.components_.T
        return projected / self._scale() if self.whiten else projected

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the points of the original space that projections X (n, k) stand for: (n, d)."""
        require_fitted(self, "components_")
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.n_components_:
            raise DataError(
                f"Projections have the shape {X.shape}; give one column a component: (n, {self.n_components_})."
            )
        return (X * self._scale() if self.whiten else X) @ self.components_ + self.mean_

    def get_covariance(self) -> np.ndarray:
        """Return the covariance of the probabilistic model, W' diag(λ - σ²) W + σ² I: (d, d)."""
        require_fitted(self, "components_")
        spread = self.explained_variance_ - self.noise_variance_
        return (self.components_.T * spread) @ self.components_ + self.noise_variance_ * np.eye(self.n_features_in_)

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log-likelihood of every row under the probabilistic model: X (n, d) -> (n,)."""
        X = self._checked(X).astype(np.float64)
        rest = self.n_features_in_ - self.n_components_
        if self.explained_variance_.min(initial=np.inf) <= 0 or (rest and self.noise_variance_ <= 0):
            raise DataError("The fitted covariance is singular, so rows have no density; take fewer components.")
        deviation = X - self.mean_
        along = deviation @ self.components_.T.astype(np.float64)  # (n, k)
        distance = (along**2 / self.explained_variance_).sum(axis=1)
        log_volume = float(np.log(self.explained_variance_.astype(np.float64)).sum())
        if rest:
            distance += ((deviation**2).sum(axis=1) - (along**2).sum(axis=1)) / self.noise_variance_
            log_volume += rest * math.log(self.noise_variance_)
        return -0.5 * (self.n_features_in_ * math.log(2 * math.pi) + log_volume + distance)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean log-likelihood of the rows; ``y`` is ignored."""
        return float(self.score_samples(X).mean())


def _moments(X: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return mean (d,) and covariance (d, d) with the divisor n - 1 from one pass over X (n, d); None if not finite.

    Columns far from zero are shifted first, so that no digits are lost. Chunks depend on the shape alone and their sums are
    added in order.
    """
    n, d = X.shape
    head = X[:1024].astype(np.float64)
    if not np.abs(head).max() < math.sqrt(np.finfo(X.dtype).max):
        return None
    near = head.mean(axis=0)
    shifted = not bool((near**2 <= _OFFSET * head.var(axis=0)).all())
    shift = near.astype(X.dtype) if shifted else np.zeros(d, dtype=X.dtype)
    rows = max(64, _BLOCK // d)
    bounds = np.linspace(0, n, (_CHUNKS if n * d >= _CHUNKS * _BLOCK else 1) + 1).astype(int)
    ones = np.ones(rows, dtype=X.dtype)

    def chunk(c: int) -> tuple[np.ndarray, np.ndarray]:
        total, gram = np.zeros(d), np.zeros((d, d))
        buffer = np.empty((rows if shifted else 0, d), dtype=X.dtype)
        for start in range(bounds[c], bounds[c + 1], rows):
            block = X[start : min(start + rows, bounds[c + 1])]
            if shifted:
                block = np.subtract(block, shift, out=buffer[: len(block)])
            total += ones[: len(block)] @ block
            gram += block.T @ block
        return total, gram

    threads = max((library.num_threads for library in blas_libraries().lib_controllers), default=1)
    # Infinite values and overflow are looked for in the sums, below, once and for all blocks.
    with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
        if threads > 1 and len(bounds) > 2:  # any value: the sums are the same
            with ThreadPoolExecutor(threads) as pool:
                parts = list(pool.map(chunk, range(len(bounds) - 1)))
        else:
            parts = [chunk(c) for c in range(len(bounds) - 1)]
    total = sum(part[0] for part in parts)
    gram = sum(part[1] for part in parts)
    if not np.isfinite(gram).all():
        return None
    mean = total / n
    return mean + shift, (gram - n * np.outer(mean, mean)) / (n - 1)


def _random_svd(centered: np.ndarray, count: int, random_state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading singular values (k,) and right vectors (k, d) of centered (n, d) by Halko's algorithm 4.4.

    Only the short side is made orthogonal in every step. On the long side columns are brought to length one, which is as
    good: in an orthogonal basis of growing accuracy they are themselves nearly orthogonal, of very different lengths.
    """
    n, d = centered.shape
    iterations = 7 if count < 0.1 * min(n, d) else 4
    generator = Streams.of(random_state).numpy("pca")
    width = min(count + 10, n, d)
    basis = generator.normal(size=(d, width)).astype(centered.dtype)
    if n < d:
        basis = _orthogonal(centered @ basis)
    one, other = (centered, centered.T) if n >= d else (centered.T, centered)
    for _ in range(iterations):
        product = one @ basis
        lengths = np.sqrt(np.einsum("ij,ij->j", product, product))
        product /= np.where(lengths > 0, lengths, 1.0)
        basis = _orthogonal(other @ product)
    if n >= d:
        basis = _orthogonal(centered @ basis)
    _, singular, components = linalg.svd(basis.T @ centered, full_matrices=False, check_finite=False)
    return singular[:count], components[:count]


def _orthogonal(vectors: np.ndarray) -> np.ndarray:
    return linalg.qr(vectors, mode="economic", check_finite=False)[0]


def _count(wanted: int | float | str, variance: np.ndarray, total: float, n: int, d: int) -> int:
    """Return how many components a number, a share of variance or "mle" asks for."""
    if isinstance(wanted, str):
        return _minka(variance[:d], n)
    if isinstance(wanted, int):
        return wanted
    share = np.cumsum(variance / total) if total > 0 else np.ones(len(variance))
    return min(int(np.searchsorted(share, wanted, side="right")) + 1, len(variance))


def _minka(variance: np.ndarray, n: int) -> int:
    """Return the number of components with the largest evidence (Minka 2000, equation 30)."""
    d = len(variance)
    evidence = np.full(d, -np.inf)
    tiny = 1e-15 * float(variance[0])  # any value: a few roundings
    for rank in range(1, d):
        if variance[rank - 1] <= tiny:
            break
        sphere = -rank * math.log(2.0) + sum(
            gammaln((d - i) / 2.0) - math.log(math.pi) * (d - i) / 2.0 for i in range(rank)
        )
        noise = max(float(variance[rank:].sum()) / (d - rank), tiny)
        data = -n / 2.0 * (np.log(variance[:rank]).sum() + math.log(noise) * (d - rank))
        free = d * rank - rank * (rank + 1.0) / 2.0
        volume = (free + rank) / 2.0 * math.log(2.0 * math.pi) - rank / 2.0 * math.log(n)
        smoothed = np.where(np.arange(d) < rank, variance, noise)
        i, j = np.triu_indices(d, k=1)
        i, j = i[i < rank], j[i < rank]
        curvature = np.sum(np.log((variance[i] - variance[j]) * (1.0 / smoothed[j] - 1.0 / smoothed[i])) + math.log(n))
        evidence[rank] = sphere + data + volume - curvature / 2.0
    return int(evidence.argmax())
