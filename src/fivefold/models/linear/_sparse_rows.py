"""Passes over the rows of a sparse matrix in compiled code, by all threads, with the same rounding for any number of them.

Rows are cut into a few parts, fixed by the shape alone. Each part sums into a vector of its own; these are then added in
order. A product with the Hessian reads every row once: for its score, and again from the cache for its share of the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import scipy.sparse as sp

from fivefold.base.jit import njit

# More parts would feed more threads, but each costs a vector of all features a pass.
_PARTS = 4
# A part should hold this many times more entries than there are features.
_ENTRIES = 4


# Fewer entries are summed before a second thread has started.
_WORTH = 1_000_000


@njit
def _scores(data, columns, starts, low, high, w, out):  # type: ignore[no-untyped-def]
    """Write X w to out (n,), the rows from low to high of it."""
    for i in range(low, high):
        total = 0.0
        for p in range(starts[i], starts[i + 1]):
            total += data[p] * w[columns[p]]
        out[i] = total


@njit
def _sums(data, columns, starts, low, high, r, out):  # type: ignore[no-untyped-def]
    """Add the products of every column with r (n,), over the rows from low to high, to out (d,)."""
    for i in range(low, high):
        for p in range(starts[i], starts[i + 1]):
            out[columns[p]] += data[p] * r[i]


@njit
def _squares(data, columns, starts, low, high, h, out):  # type: ignore[no-untyped-def]
    """Add Σ x² h of every column, over the rows from low to high, to out (d,)."""
    for i in range(low, high):
        for p in range(starts[i], starts[i + 1]):
            out[columns[p]] += data[p] * data[p] * h[i]


@njit
def _bend(data, columns, starts, low, high, h, w, shift, image, out):  # type: ignore[no-untyped-def]
    """Write the scores X w + shift to image (n,); add the columns' products with ``h * image`` to out (d,)."""
    for i in range(low, high):
        total = shift
        for p in range(starts[i], starts[i + 1]):
            total += data[p] * w[columns[p]]
        image[i] = total
        total *= h[i]
        for p in range(starts[i], starts[i + 1]):
            out[columns[p]] += data[p] * total


def in_parts(task: Callable[[int], Any], parts: int, size: int) -> None:
    """Run compiled work, which releases the interpreter lock, for each part; by several threads where the size is worth it."""
    threads = min(parts, numba.get_num_threads())  # any value: cost alone
    if threads == 1 or size < _WORTH:  # any value: cost alone
        for t in range(parts):
            task(t)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(task, range(parts)))


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
        cuts = 1 + min(max(1, self.X.nnz // (_ENTRIES * max(1, d))), _PARTS)  # any value: cost alone
        ends = np.searchsorted(starts, np.linspace(0, self.X.nnz, cuts).astype(np.uint64))
        ends[0], ends[-1] = 0, n
        self._arrays = (self.X.data, self.X.indices.view(wide), starts)
        self._bounds = [(int(low), int(high)) for low, high in pairwise(ends)]
        self.shape = (n, d)

    def _pass(self, kernel: Any, *arguments: Any, sums: bool) -> np.ndarray:
        """Run a kernel on every part of the rows; return the sum of what they gathered (d,), added in order."""
        parts = np.zeros((len(self._bounds) if sums else 0, self.shape[1]))

        def task(t: int) -> None:
            kernel(*self._arrays, *self._bounds[t], *arguments, *((parts[t],) if sums else ()))

        in_parts(task, len(self._bounds), self.X.nnz)
        total = parts[0] if sums else parts
        for part in parts[1:]:
            total += part
        return total

    def scores(self, w: np.ndarray) -> np.ndarray:
        """Return X w: (n,)."""
        out = np.empty(self.shape[0])
        self._pass(_scores, np.ascontiguousarray(w), out, sums=False)
        return out

    def sums(self, r: np.ndarray) -> np.ndarray:
        """Return X' r: (d,)."""
        return self._pass(_sums, np.ascontiguousarray(r), sums=True)

    def squares(self, h: np.ndarray) -> np.ndarray:
        """Return Σ x² h of the columns: (d,)."""
        return self._pass(_squares, np.ascontiguousarray(h), sums=True)

    def bend(self, h: np.ndarray, w: np.ndarray, shift: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores ``X w + shift`` (n,) and their products with the columns ``X' (h * scores)`` (d,)."""
        image = np.empty(self.shape[0])
        sums = self._pass(_bend, np.ascontiguousarray(h), np.ascontiguousarray(w), float(shift), image, sums=True)
        return image, sums
