"""Independent component analysis by fixed-point iterations on whitened data."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data

from ._common import finite_squares, upright


class FastICA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Sources that are independent and not normal, of which the columns are mixtures: x = A s + m.

    .. math:: z = K (x - m), \quad \operatorname{Cov} z = I, \qquad
              w_j \leftarrow E[z\, g(w_j^\top z)] - E[g'(w_j^\top z)]\, w_j, \quad W \leftarrow (W W^\top)^{-1/2} W

    Parameters
    ----------
    n_components : int in [1, min(n, d)] or None, default None
    algorithm : {"parallel", "deflation"}, default "parallel"
        All sources at once, or one after the other.
    fun : {"logcosh", "exp", "cube"}, default "logcosh"
        Contrast: g(u) = tanh u, u exp(-u²/2) or u³.
    max_iter : int >= 1, default 200
    tol : float > 0, default 1e-4
        Stop when no direction turns by more: max_j | |w_j · w_j'| - 1 | < tol.
    w_init : array (k, k) or None, default None
        First unmixing of the whitened data; normal draws by default.
    random_state : int, Generator or None

    Attributes
    ----------
    components_ : array (k, d), unmixing of centered rows; the largest entry of each is positive
    mixing_ : array (d, k), its pseudo-inverse
    mean_ : array (d,)
    whitening_ : array (k, d), K
    n_iter_ : int

    Raises
    ------
    DataError
        Missing or infinite values, or fewer directions with variance than components asked for.
    InputError
        A parameter outside its range.

    Notes
    -----
    Sources come with unit variance (divisor n), in no order and with free signs; two normal sources cannot be told apart.
    Without ``n_components`` directions without variance are left out.

    References
    ----------
    Hyvärinen & Oja, Independent component analysis: algorithms and applications, 2000; ``06#mds``.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        algorithm: str = "parallel",
        fun: str = "logcosh",
        max_iter: int = 200,
        tol: float = 1e-4,
        w_init: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.algorithm = algorithm
        self.fun = fun
        self.max_iter = max_iter
        self.tol = tol
        self.w_init = w_init
        self.random_state = random_state

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Unmix X (n, d); ``y`` is ignored."""
        choice("algorithm", self.algorithm, ("parallel", "deflation"))
        choice("fun", self.fun, ("logcosh", "exp", "cube"))
        steps, tol = whole("max_iter", self.max_iter, low=1), real("tol", self.tol, low=0.0, above=True)
        X = finite_squares(checked_data(self, X, ensure_min_samples=2).astype(np.float64))
        n, d = X.shape
        self.mean_ = X.mean(axis=0)
        _, sigma, V = linalg.svd(X - self.mean_, full_matrices=False, check_finite=False)
        size = max(float(sigma[0]), float(np.abs(X).max()))  # any value: what is rounded
        noise = max(n, d) * np.finfo(np.float64).eps * size  # any value: a few roundings
        rank = int((sigma > noise).sum())  # any value: a few roundings
        if self.n_components is None:
            k = max(rank, 1)
        else:
            k = whole("n_components", self.n_components, low=1)
            if k > min(n, d):
                raise InputError(
                    f"`n_components` is {k}; X is {n} x {d}, so give a whole number between 1 and {min(n, d)}."
                )
        if k > rank:
            raise DataError(
                f"X varies in {rank} directions only (n_samples = {n}), so {k} sources cannot be told apart; lower "
                "`n_components` or drop constant columns."
            )
        V = upright(V[:k])
        self.whitening_ = V * (np.sqrt(n) / sigma[:k])[:, None]
        Z = (X - self.mean_) @ self.whitening_.T  # (n, k), unit covariance
        W = self._first(k)
        run = _parallel if self.algorithm == "parallel" else _deflation
        W, self.n_iter_, gap = run(Z, W, self.fun, steps, tol)
        if gap >= tol:
            warnings.warn(
                f"FastICA stopped after max_iter={steps} with a turn of {gap:.2g}, above tol={tol:g}; raise `max_iter` or "
                "`tol`.",
                ConvergenceWarning,
                stacklevel=2,
            )
        components = W @ self.whitening_
        self.components_ = upright(components)
        self.mixing_ = linalg.pinv(self.components_)
        return self

    def _first(self, k: int) -> np.ndarray:
        if self.w_init is None:
            return Streams.of(self.random_state).numpy("ica").normal(size=(k, k))
        W = np.array(self.w_init, dtype=np.float64)
        if W.shape != (k, k) or not np.isfinite(W).all():
            raise InputError(f"`w_init` has the shape {W.shape}; give finite numbers of the shape ({k}, {k}).")
        return W

    def transform(self, X: Any) -> np.ndarray:
        """Return the sources of the rows: X (n, d) -> (n, k)."""
        require_fitted(self, "components_")
        return (checked_data(self, X, reset=False).astype(np.float64) - self.mean_) @ self.components_.T

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the mixtures of sources X (n, k): (n, d)."""
        require_fitted(self, "components_")
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != len(self.components_):
            raise DataError(
                f"Sources have the shape {X.shape}; give one column a source: (n, {len(self.components_)})."
            )
        return X @ self.mixing_.T + self.mean_


def _contrast(U: np.ndarray, fun: str) -> tuple[np.ndarray, np.ndarray]:
    """Return g(U) and the mean of g'(U) over the rows: (n, k), (k,)."""
    if fun == "logcosh":
        G = np.tanh(U)
        return G, (1.0 - G**2).mean(axis=0)
    if fun == "exp":
        bell = np.exp(-(U**2) / 2.0)
        return U * bell, ((1.0 - U**2) * bell).mean(axis=0)
    return U**3, (3.0 * U**2).mean(axis=0)


def _orthogonal(W: np.ndarray) -> np.ndarray:
    """Return (W W')^(-1/2) W."""
    left, _, right = linalg.svd(W, full_matrices=False)
    return left @ right


def _parallel(Z: np.ndarray, W: np.ndarray, fun: str, steps: int, tol: float) -> tuple[np.ndarray, int, float]:
    W, gap = _orthogonal(W), np.inf
    for t in range(steps):
        G, slope = _contrast(Z @ W.T, fun)
        new = _orthogonal(G.T @ Z / len(Z) - slope[:, None] * W)
        gap = float(np.abs(np.abs((new * W).sum(axis=1)) - 1.0).max())
        W = new
        if gap < tol:
            return W, t + 1, gap
    return W, steps, gap


def _deflation(Z: np.ndarray, W: np.ndarray, fun: str, steps: int, tol: float) -> tuple[np.ndarray, int, float]:
    done = np.zeros_like(W)
    counts, gaps = [], []
    for j in range(len(W)):
        w = W[j] - done[:j].T @ (done[:j] @ W[j])
        w = w / np.linalg.norm(w)
        for t in range(steps):
            G, slope = _contrast((Z @ w)[:, None], fun)
            new = Z.T @ G[:, 0] / len(Z) - slope[0] * w
            new -= done[:j].T @ (done[:j] @ new)
            new /= np.linalg.norm(new)
            gap = float(abs(abs(new @ w) - 1.0))
            w = new
            count = t + 1
            if gap < tol:
                break
        counts.append(count)
        gaps.append(gap)
        done[j] = w
    return done, max(counts), max(gaps)
