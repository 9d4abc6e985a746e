"""Nonnegative matrix factorization: multiplicative updates and hierarchical least squares."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data

_TINY = float(np.finfo(np.float32).eps)
_LEAST = 1e-300  # keeps a division by nothing at zero
_CHECK = 10


class NMF(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Parts of nonnegative data: X ≈ W H with no negative entry in W or H.

    .. math:: \min_{W, H \ge 0} \tfrac12 \lVert X - W H \rVert_F^2 \quad\text{or}\quad
              \sum_{ij} \Big( x_{ij} \ln\frac{x_{ij}}{(WH)_{ij}} - x_{ij} + (WH)_{ij} \Big), \qquad
              H \leftarrow H \odot \frac{W^\top X}{W^\top W H}, \quad W \leftarrow W \odot \frac{X H^\top}{W H H^\top}

    Parameters
    ----------
    n_components : int >= 1 or None, default None
        Parts k; None is the number of columns.
    solver : {"hals", "mu"}, default "hals"
        "hals" solves one column of W or row of H after the other exactly (Frobenius loss only); "mu" are the multiplicative
        updates of Lee & Seung, W first.
    beta_loss : {"frobenius", "kullback-leibler"}, default "frobenius"
    init : {"svd", "random"} or array (k, d), default "svd"
        Positive parts of the singular vectors, their zeros filled with the mean of X; random draws; or a start of H, with
        W = sqrt(mean(X) / k).
    max_iter : int >= 1, default 200
    tol : float >= 0, default 1e-4
        Stop when ten iterations lower the root of twice the loss by less than ``tol`` of its first value.
    random_state : int, Generator or None

    Attributes
    ----------
    components_ : array (k, d), H
    reconstruction_err_ : float, the root of twice the loss
    n_iter_ : int
    loss_path_ : array (n_iter_ + 1,), the loss before the first and after every iteration

    Raises
    ------
    DataError
        Missing, infinite or negative values.
    InputError
        A parameter outside its range.

    Notes
    -----
    The loss never rises. ``transform``, and with it ``fit_transform``, solves for W anew with H fixed. A part that W or H
    drops to zero stays there under "mu". A row of zeros has zero coordinates.

    References
    ----------
    Lee & Seung, Algorithms for non-negative matrix factorization, 2001; Cichocki & Phan, Fast local algorithms for large
    scale nonnegative matrix factorizations, 2009; Boutsidis & Gallopoulos, SVD based initialization, 2008; ``06#nmf``.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        solver: str = "hals",
        beta_loss: str = "frobenius",
        init: Any = "svd",
        max_iter: int = 200,
        tol: float = 1e-4,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.solver = solver
        self.beta_loss = beta_loss
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Factor X (n, d); ``y`` is ignored."""
        choice("solver", self.solver, ("hals", "mu"))
        choice("beta_loss", self.beta_loss, ("frobenius", "kullback-leibler"))
        if self.solver == "hals" and self.beta_loss != "frobenius":
            raise InputError(f"`beta_loss` is {self.beta_loss!r}, which needs solver='mu'; 'hals' serves 'frobenius'.")
        X = self._data(X, reset=True)
        parts = X.shape[1] if self.n_components is None else whole("n_components", self.n_components, low=1)
        W, H = self._start(X, parts)
        W, H, path = _factor(X, W, H, self.solver, self.beta_loss, self._steps(), self._tol(), fixed=False)
        if len(path) - 1 == self.max_iter and self._tol() > 0 and self.max_iter >= _CHECK:
            warnings.warn(
                f"NMF stopped after max_iter={self.max_iter} iterations before it settled to tol={self.tol}; raise "
                "`max_iter` or `tol`.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.components_ = H.astype(X.dtype)
        self.loss_path_ = np.array(path)
        self.reconstruction_err_ = float(np.sqrt(2.0 * max(path[-1], 0.0)))
        self.n_iter_ = len(path) - 1
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Factor X (n, d) and return the best W (n, k) for the parts found."""
        return self.fit(X).transform(X)

    def transform(self, X: Any) -> np.ndarray:
        """Return nonnegative coordinates of rows in the fitted parts: X (n, d) -> (n, k)."""
        require_fitted(self, "components_")
        X = self._data(X, reset=False)
        H = self.components_.astype(np.float64)
        W = np.full((len(X), len(H)), np.sqrt(X.mean(axis=1, dtype=np.float64) / len(H))[:, None])
        # With the parts given the problem is convex; for the Frobenius loss both solvers mean its exact solution.
        solver = "hals" if self.beta_loss == "frobenius" else "mu"
        W, _, _ = _factor(X, W, H, solver, self.beta_loss, 5 * self._steps(), 0.0, fixed=True)
        return W.astype(X.dtype)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return W H for coordinates X (n, k): (n, d)."""
        require_fitted(self, "components_")
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != len(self.components_):
            raise DataError(
                f"Coordinates have the shape {X.shape}; give one column a part: (n, {len(self.components_)})."
            )
        return X @ self.components_

    def _steps(self) -> int:
        return whole("max_iter", self.max_iter, low=1)

    def _tol(self) -> float:
        return real("tol", self.tol, low=0.0)

    def _data(self, X: Any, *, reset: bool) -> np.ndarray:
        X = checked_data(self, X, reset=reset)
        if X.min() < 0:
            raise DataError("Negative values in data passed to NMF; all entries have to be >= 0.")
        return X

    def _start(self, X: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
        n, d = X.shape
        mean = float(X.mean(dtype=np.float64))
        if not isinstance(self.init, str):
            H = np.array(self.init, dtype=np.float64)
            if H.shape != (parts, d) or not np.isfinite(H).all() or H.min() < 0:
                raise InputError(
                    f"`init` has the shape {H.shape}; give finite numbers >= 0 of the shape ({parts}, {d})."
                )
            return np.full((n, parts), np.sqrt(mean / parts)), H
        choice("init", self.init, ("svd", "random"))
        generator = Streams.of(self.random_state).numpy("nmf")
        if self.init == "random" or parts > min(n, d):
            scale = np.sqrt(mean / parts)
            H = scale * np.abs(generator.normal(size=(parts, d)))
            return scale * np.abs(generator.normal(size=(n, parts))), H
        from .svd import decompose

        U, sigma, V = decompose(X.astype(np.float64), parts, "auto", 4, generator)
        W, H = np.empty((n, parts)), np.empty((parts, d))
        for j in range(parts):
            halves = []
            for sign in (1.0, -1.0):
                u, v = np.maximum(sign * U[:, j], 0), np.maximum(sign * V[j], 0)
                halves.append((float(np.linalg.norm(u) * np.linalg.norm(v)), u, v))
            size, u, v = max(halves, key=lambda half: half[0])
            factor = np.sqrt(sigma[j] * size)
            W[:, j] = factor * u / (np.linalg.norm(u) or 1.0)
            H[j] = factor * v / (np.linalg.norm(v) or 1.0)
        W[W < 1e-6] = mean  # any value: what counts as zero
        H[H < 1e-6] = mean  # any value: what counts as zero
        return W, H


def _loss(X: np.ndarray, W: np.ndarray, H: np.ndarray, beta_loss: str) -> float:
    fitted = W @ H
    if beta_loss == "frobenius":
        return float(0.5 * ((X - fitted) ** 2).sum())
    seen = X > 0
    return float((X[seen] * np.log(X[seen] / np.maximum(fitted[seen], _TINY))).sum() - X.sum() + fitted.sum())


def _factor(
    X: np.ndarray, W: np.ndarray, H: np.ndarray, solver: str, beta_loss: str, steps: int, tol: float, *, fixed: bool
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Return W (n, k), H (k, d) and the losses; with ``fixed`` only W moves."""
    X = X.astype(np.float64)
    square = float((X**2).sum())
    path = [] if fixed else [_loss(X, W, H, beta_loss)]
    checked = np.sqrt(2.0 * path[0]) if path else np.inf
    first = checked or 1.0  # any value: a perfect start has nothing to lose
    XH, HH = (X @ H.T, H @ H.T) if fixed else (None, None)
    for t in range(steps):
        if solver == "hals":
            before = W.copy() if fixed else None
            _sweep(W.T, (XH if fixed else X @ H.T).T, HH if fixed else H @ H.T)
            if fixed and np.abs(W - before).max() <= 1e-10 * max(np.abs(W).max(), _LEAST):  # any value: the last digits
                break
            if not fixed:
                WX, WW = W.T @ X, W.T @ W
                _sweep(H, WX, WW)
                # |X - WH|² from the products at hand.
                path.append(max(0.5 * float(square - 2.0 * (WX * H).sum() + (WW * (H @ H.T)).sum()), 0.0))
        elif beta_loss == "frobenius":
            W = W * (XH if fixed else X @ H.T) / np.maximum(W @ (HH if fixed else H @ H.T), _LEAST)
            if not fixed:
                H = H * (W.T @ X) / np.maximum(W.T @ W @ H, _LEAST)
        else:
            W = W * ((X / np.maximum(W @ H, _LEAST)) @ H.T) / np.maximum(H.sum(axis=1), _LEAST)
            if not fixed:
                H = H * (W.T @ (X / np.maximum(W @ H, _LEAST))) / np.maximum(W.sum(axis=0), _LEAST)[:, None]
        if not fixed and solver == "mu":
            path.append(_loss(X, W, H, beta_loss))
        if not fixed and (t + 1) % _CHECK == 0:
            now = np.sqrt(2.0 * max(path[-1], 0.0))
            if checked - now < tol * first:
                break
            checked = now
    return W, H, path


def _sweep(rows: np.ndarray, target: np.ndarray, gram: np.ndarray) -> None:
    """Give each of ``rows`` (k, m) its best nonnegative values in turn, for the quadratic with ``gram`` (k, k)."""
    for j in range(len(rows)):
        if gram[j, j] > 0:
            rows[j] = np.maximum(rows[j] + (target[j] - gram[j] @ rows) / gram[j, j], 0.0)
