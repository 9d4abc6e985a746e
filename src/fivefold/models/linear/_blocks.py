"""Passes over the rows of X in blocks that stay in the cache, so that no weighted or centered copy of X is made.

Blocks are fixed by the shape of X alone, so results do not depend on the number of threads beyond the rounding of BLAS.
Float32 rows are widened block by block: sums are formed in float64 whatever the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

# 64 Ki float64 numbers, 512 KiB: half of a usual second-level cache.
_BLOCK = 1 << 16


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Return the inner product of two vectors; unlike BLAS with the same rounding for any number of threads."""
    return float(np.einsum("i,i->", a, b))


def row_blocks(n_samples: int, n_features: int) -> Iterator[slice]:
    """Yield slices of rows that together hold about 512 KiB."""
    rows = max(64, _BLOCK // max(1, n_features))  # any value: size of a block
    for start in range(0, n_samples, rows):
        yield slice(start, min(start + rows, n_samples))


def weighted_mean(X: Any, weight: np.ndarray | None) -> np.ndarray:
    """Return the weighted mean of the rows: X (n, d) -> (d,), or y (n, t) -> (t,)."""
    total = X.shape[0] if weight is None else weight.sum()
    if sp.issparse(X):  # any value: the sums below take compressed rows too, only slower
        ones = np.ones(X.shape[0]) if weight is None else weight
        return np.asarray(X.T @ ones, dtype=np.float64) / total
    if weight is None:
        return np.asarray(X.mean(axis=0, dtype=np.float64))
    sums = np.zeros(X.shape[1:])
    for rows in row_blocks(X.shape[0], X[:1].size):
        sums += weight[rows] @ X[rows].astype(np.float64, copy=False)
    return sums / total


def centered_moments(
    X: Any, Y: np.ndarray, weight: np.ndarray | None, x_mean: np.ndarray, y_mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``A = Σ w (x-m)(x-m)'`` (d, d) and ``B = Σ w (x-m)(y-ȳ)'`` (d, t)."""
    n, d = X.shape
    if sp.issparse(X):
        ones = np.ones(n) if weight is None else weight
        scaled = sp.diags_array(ones) @ X
        total = ones.sum()
        # Σ w (x-m)(x-m)' = Σ w x x' - Σw m m', exact when m is the weighted mean or zero.
        gram = np.asarray((X.T @ scaled).toarray(), dtype=np.float64) - total * np.outer(x_mean, x_mean)
        return gram, np.asarray(scaled.T @ (Y - y_mean), dtype=np.float64)
    gram = np.zeros((d, d))
    cross = np.zeros((d, Y.shape[1]))
    root = None if weight is None else np.sqrt(weight)
    for rows in row_blocks(n, d):
        block = X[rows] - x_mean  # (b, d) float64
        # (b, t)
        target = Y[rows] - y_mean  # any value: a constant drops out of sums over centered rows, but for rounding
        if root is not None:
            block *= root[rows, None]
            target = target * root[rows, None]
        gram += block.T @ block
        cross += block.T @ target
    return gram, cross


def scaled_gram(X: Any, h: np.ndarray, intercept: bool) -> np.ndarray:
    """Return ``Σ h x̃ x̃'`` with x̃ = (x, 1) when there is an intercept: (d, d) or (d+1, d+1); h is not negative."""
    n, d = X.shape
    out = np.zeros((d + intercept, d + intercept))
    if sp.issparse(X):
        out[:d, :d] = (X.T @ (sp.diags_array(h) @ X)).toarray()
        if intercept:
            out[:d, d] = X.T @ h
    else:
        root = np.sqrt(h)
        for rows in row_blocks(n, d):
            block = X[rows] * root[rows, None]  # (b, d) float64
            out[:d, :d] += block.T @ block
            if intercept:
                out[:d, d] += root[rows] @ block
    if intercept:
        out[d, :d] = out[:d, d]
        out[d, d] = h.sum()
    return out
