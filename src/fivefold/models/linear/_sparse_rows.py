"""Passes over the rows of a sparse matrix in compiled code, by all threads, with the same rounding for any number of them.

Rows are cut into a few parts, fixed by the shape alone. Each part sums into a vector of its own; these are then added in
order. A product with the Hessian reads every row once: for its score, and again from the cache for its share of the sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numba import prange

from fivefold.base.jit import njit

# More parts would feed more threads, but each costs a vector of all features a pass.
_PARTS = 4
# A part should hold this many times more entries than there are features.
_ENTRIES = 4


@njit(parallel=True)
def _scores(data, columns, starts, bounds, w, out):  # type: ignore[no-untyped-def]
    """Write X w to out (n,)."""
    for t in prange(len(bounds) - 1):
        for i in range(bounds[t], bounds[t + 1]):
            total = 0.0
            for p in range(starts[i], starts[i + 1]):
                total += data[p] * w[columns[p]]
            out[i] = total


@njit(parallel=True)
def _squares(data, columns, starts, bounds, h, parts):  # type: ignore[no-untyped-def]
    """Write Σ x² h of every column to parts (t, d), a part of the rows each."""
    for t in prange(len(bounds) - 1):
        out = parts[t]
        out[:] = 0.0
        for i in range(bounds[t], bounds[t + 1]):
            for p in range(starts[i], starts[i + 1]):
                out[columns[p]] += data[p] * data[p] * h[i]


@njit(parallel=True)
def _sums(data, columns, starts, bounds, r, parts):  # type: ignore[no-untyped-def]
    """Write the products of every column with r (n,) to parts (t, d), a part of the rows each."""
    for t in prange(len(bounds) - 1):
        out = parts[t]
        out[:] = 0.0
        for i in range(bounds[t], bounds[t + 1]):
            for p in range(starts[i], starts[i + 1]):
                out[columns[p]] += data[p] * r[i]


@njit(parallel=True)
def _bend(data, columns, starts, bounds, h, w, shift, image, parts):  # type: ignore[no-untyped-def]
    """Write the scores X w + shift to image (n,) and the columns' products with ``h * image`` to parts (t, d)."""
    for t in prange(len(bounds) - 1):
        out = parts[t]
        out[:] = 0.0
        for i in range(bounds[t], bounds[t + 1]):
            total = shift
            for p in range(starts[i], starts[i + 1]):
                total += data[p] * w[columns[p]]
            image[i] = total
            total *= h[i]
            for p in range(starts[i], starts[i + 1]):
                out[columns[p]] += data[p] * total


def ordered_sum(parts: np.ndarray) -> np.ndarray:
    """Return the sum over the first axis, added from first to last."""
    out = parts[0].copy()
    for part in parts[1:]:
        out += part
    return out


class Rows:
    """The rows of X (n, d), compressed, and the sums over all of them.

    Parameters
    ----------
    X : sparse matrix of shape (n, d)
    """

    def __init__(self, X: Any) -> None:
        self.X = X if X.format == "csr" and X.dtype == np.float64 else sp.csr_array(X, dtype=np.float64)
        n, d = self.X.shape
        # Unsigned numbers spare the kernels the question whether an index counts from the end.
        starts = self.X.indptr.astype(np.uint64)
        wide = np.uint32 if self.X.indices.dtype == np.int32 else np.uint64
        parts = min(max(1, self.X.nnz // (_ENTRIES * max(1, d))), _PARTS)  # any value: cost alone
        ends = np.searchsorted(starts, np.linspace(0, self.X.nnz, parts + 1).astype(np.uint64))
        ends[0], ends[-1] = 0, n
        self._arrays = (self.X.data, self.X.indices.view(wide), starts, ends.astype(np.int64))
        self.parts, self.shape = parts, (n, d)

    def scores(self, w: np.ndarray) -> np.ndarray:
        """Return X w: (n,)."""
        out = np.empty(self.shape[0])
        _scores(*self._arrays, np.ascontiguousarray(w), out)
        return out

    def sums(self, r: np.ndarray) -> np.ndarray:
        """Return X' r: (d,)."""
        parts = np.empty((self.parts, self.shape[1]))
        _sums(*self._arrays, np.ascontiguousarray(r), parts)
        return ordered_sum(parts)

    def squares(self, h: np.ndarray) -> np.ndarray:
        """Return Σ x² h of the columns: (d,)."""
        parts = np.empty((self.parts, self.shape[1]))
        _squares(*self._arrays, np.ascontiguousarray(h), parts)
        return ordered_sum(parts)

    def bend(self, h: np.ndarray, w: np.ndarray, shift: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores ``X w + shift`` (n,) and their products with the columns ``X' (h * scores)`` (d,)."""
        image, parts = np.empty(self.shape[0]), np.empty((self.parts, self.shape[1]))
        _bend(*self._arrays, np.ascontiguousarray(h), np.ascontiguousarray(w), float(shift), image, parts)
        return image, ordered_sum(parts)
