"""The columns of X as the lasso reads them: centered and weighted without a centered copy, dense or sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.base.jit import njit

from ._blocks import row_blocks

_FAST = {"reassoc", "contract", "nsz"}  # any value: lets sums be formed in vectors; NaN and infinity stay what they are


@njit(fastmath=_FAST)
def _describe(X, share, center, mean, squares):  # type: ignore[no-untyped-def]
    """Fill means and squared lengths of weighted columns, X (n, d) by columns, reading each column once."""
    n, d = X.shape
    for j in range(d):
        column = X[:, j]
        total = 0.0
        if center:
            for i in range(n):
                total += share[i] * column[i]
        size = 0.0
        for i in range(n):
            off = column[i] - total
            size += share[i] * off * off
        mean[j] = total
        squares[j] = size


@njit(fastmath=_FAST)
def _some_products(X, features, q, out):  # type: ignore[no-untyped-def]
    """Fill ``x_j'q`` of some columns, X (n, d) by columns."""
    for k in range(len(features)):
        column = X[:, features[k]]
        total = 0.0
        for i in range(len(q)):
            total += column[i] * q[i]
        out[k] = total


class Columns:
    """``A = √V (X - 1 m')`` for shares V of the rows and column means m, with ``q = √V (y - ȳ)``, never formed as a whole.

    Parameters
    ----------
    X : ndarray or CSC matrix of shape (n, d), float64
    y : ndarray of shape (n,)
    weight : ndarray of shape (n,) or None
    intercept : bool
        Whether the means are taken off.
    """

    def __init__(self, X: Any, y: np.ndarray, weight: np.ndarray | None, intercept: bool) -> None:
        n, d = X.shape
        share = np.full(n, 1.0 / n) if weight is None else weight / weight.sum()
        self.X = X
        self.root = np.sqrt(share)
        self.mean, self.squares = np.zeros(d), np.zeros(d)
        if sp.issparse(X):
            if intercept:
                self.mean = np.asarray(X.T @ share)
            # Σ v (x - m)² = Σ v x² - 2 m Σ v x + m² over the entries that are stored, exact zeros included as m².
            off = X.copy()
            column = np.repeat(np.arange(d), np.diff(X.indptr))
            off.data = (X.data - self.mean[column]) ** 2
            stored = X.copy()
            stored.data = np.ones(len(X.data))
            self.squares = off.T @ share + self.mean**2 * np.maximum(1.0 - stored.T @ share, 0.0)
        elif X.flags.f_contiguous:
            _describe(X, share, intercept, self.mean, self.squares)
        else:
            if intercept:
                self.mean = share @ X
            for rows in row_blocks(n, d):
                self.squares += share[rows] @ (X[rows] - self.mean) ** 2
        # A constant feature keeps only rounding after its mean is taken off; it has no say.
        self.squares[self.squares <= (np.finfo(np.float64).eps * np.abs(self.mean)) ** 2 * n] = 0.0
        self.y_mean = float(share @ y) if intercept else 0.0
        self.target = (y - self.y_mean) * self.root

    def products(self, q: np.ndarray, features: np.ndarray | None = None) -> np.ndarray:
        """Return ``A'q`` of all columns, or of some: (d,) or (k,)."""
        weighted = self.root * q
        shift = float(weighted.sum())
        if features is None:
            return np.asarray(self.X.T @ weighted) - self.mean * shift
        if sp.issparse(self.X) or not self.X.flags.f_contiguous:
            part = np.asarray(self.X[:, features].T @ weighted)
        else:
            part = np.empty(len(features))
            _some_products(self.X, features, weighted, part)
        return part - self.mean[features] * shift

    def taken(self, features: np.ndarray) -> Any:
        """Return what :meth:`gram`, :meth:`image` need of some columns: centered (n, k), or sparse rows weighted only."""
        part = self.X[:, features]
        if sp.issparse(part):
            return sp.csc_array(sp.diags_array(self.root) @ part)
        return np.asfortranarray((part - self.mean[features]) * self.root[:, None])

    def gram(self, A: Any, a: np.ndarray, B: Any, b: np.ndarray) -> np.ndarray:
        """Return the products of taken columns ``a`` with taken columns ``b``: (k, l)."""
        if sp.issparse(A):
            # √v has length one and its product with a weighted column is the mean.
            return np.asarray((A.T @ B).toarray()) - np.outer(self.mean[a], self.mean[b])
        return np.asarray(A.T @ B)

    def image(self, A: Any, a: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return ``A_a w``: (n,)."""
        if sp.issparse(A):
            return np.asarray(A @ w) - self.root * float(self.mean[a] @ w)
        return np.asarray(A @ w)

    def pull(self, A: Any, a: np.ndarray, r: np.ndarray) -> np.ndarray:
        """Return ``A_a' r``: (k,)."""
        if sp.issparse(A):
            return np.asarray(A.T @ r) - self.mean[a] * float(self.root @ r)
        return np.asarray(A.T @ r)
