"""Rows of a kernel matrix, formed when asked for: of any kernel, of a given matrix, and fast ones of the Gaussian kernel.

The Gaussian rows are one matrix product and one exponential: with :math:`a = (2\\gamma x, -\\gamma |x|^2, 1)` and
:math:`b = (z, 1, -\\gamma |z|^2)` the inner product :math:`a^\\top b` is the exponent :math:`-\\gamma |x - z|^2`. Columns are
formed in pieces of fixed width that stay in the cache, each by one thread, so no digit depends on the number of threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numba
import numpy as np
import scipy.sparse as sp

from fivefold.base.blas import one_blas_thread

from .kernels import KernelSpec, squared_norms

# Rows and columns of a piece: 1 MiB in single precision.
_ROWS, _COLUMNS = 256, 1024  # any value: size of a piece
# Kernel values, or products, from which threads pay.
_WORTH_IT = 1 << 20  # any value: when threads pay
# Smallest number of rows, and largest exponent gamma R^2, for which a draft is offered. Above that exponent rounding could
# also make a distance of close rows so negative that their kernel value exceeds one noticeably.
_DRAFT_ROWS, _DRAFT_EXPONENT = 1000, 256.0  # any value: when a draft pays


class Team:
    """Threads that share the pieces of a job, as many as Numba may use; BLAS is held to one thread in each.

    No digit of a result may depend on who does which piece.

    Parameters
    ----------
    hold_blas : bool
    """

    def __init__(self, hold_blas: bool) -> None:
        self._count = numba.get_num_threads()
        self._stack = contextlib.ExitStack()
        if hold_blas:
            self._stack.enter_context(one_blas_thread())
        self._pool = self._stack.enter_context(ThreadPoolExecutor(max(1, self._count - 1)))  # any value: who does what

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def share(self, act: Callable[[int, int], object], work: int) -> None:
        """Call ``act(k, count)`` for every k below the number of threads: it does pieces k, k + count, and so on."""
        count = self._count if work >= _WORTH_IT else 1  # any value: who does what changes no digit
        others = [self._pool.submit(act, k, count) for k in range(1, count)]
        act(0, count)
        for other in others:
            other.result()


class KernelRows:
    """Rows of a kernel matrix in float64; ``rows(numbers)`` gives (k, n).

    Parameters
    ----------
    rows_of : callable
        From row numbers (k,) to kernel rows (k, n).
    n : int
        Length of a row.
    """

    dtype: Any = np.float64
    threaded = False

    def __init__(self, rows_of: Callable[[np.ndarray], np.ndarray], n: int) -> None:
        self._rows_of = rows_of
        self.n = n

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return kernel rows: (k,) -> (k, n)."""
        return self._rows_of(rows)

    def fill(self, rows: np.ndarray, out: np.ndarray, slots: np.ndarray, team: Team) -> None:
        """Write kernel rows into ``out[slots]``."""
        out[slots] = self(rows)

    def block(self, rows: np.ndarray, values: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Return the kernel among ``rows``, whose kernel rows lie in ``values[slots]``: (k, k)."""
        return values[slots[:, None], rows]

    def product(self, beta: np.ndarray, team: Team) -> np.ndarray:
        """Return K β: (n,)."""
        used = np.flatnonzero(beta)
        out = np.zeros(self.n)
        for start in range(0, len(used), _ROWS):
            part = used[start : start + _ROWS]
            out += beta[part] @ self(part)
        return out

    def draft(self) -> GaussianRows | None:
        """Return the same rows in single precision where they are much cheaper, else None."""
        return None


class GaussianRows(KernelRows):
    """Rows of the Gaussian kernel of dense data.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    gamma : float
    dtype : dtype
        float64, or float32 for drafts.

    Notes
    -----
    An entry of exponent e has a relative error of at most ``(d + 6) u γ (|x| + |z|)² + 4 u`` with the unit roundoff u of the
    precision and lengths from the mean of the rows, which the data are moved to.
    """

    threaded = True

    def __init__(self, X: np.ndarray, gamma: float, dtype: Any = np.float64) -> None:
        self.n, self.dtype = X.shape[0], np.dtype(dtype)
        self._X, self._gamma = X, gamma
        centered = X - X.mean(axis=0)
        exponents = gamma * squared_norms(centered)
        self._largest = float(exponents.max(initial=0.0))
        ones = np.ones(self.n)
        self._left = np.column_stack([2.0 * gamma * centered, -exponents, ones]).astype(self.dtype, copy=False)
        self._right = np.column_stack([centered, ones, -exponents]).astype(self.dtype, copy=False)

    @property
    def rounding(self) -> float:
        """The size of the error of one value."""
        return float(np.finfo(self.dtype).eps) * (1.0 + 4.0 * self._largest)  # any value: when a draft ends

    def draft(self) -> GaussianRows | None:
        """Return the rows in single precision, unless there are few or the exponents too large for it."""
        if self.dtype != np.float64 or self.n < _DRAFT_ROWS or self._largest > _DRAFT_EXPONENT:
            return None
        return GaussianRows(self._X, self._gamma, np.float32)

    def _values(self, left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
        """Write kernel values: (a, d + 2), (b, d + 2) -> (a, b)."""
        np.matmul(left, right.T, out=out)
        if self._largest > _DRAFT_EXPONENT:
            np.minimum(out, 0.0, out=out)
        np.exp(out, out=out)

    def _pieces(self, team: Team, rows: int, work: int, act: Callable[[slice, np.ndarray], None]) -> None:
        """Call ``act`` with each piece of the columns and a buffer of ``rows`` rows."""
        pieces = [slice(start, min(start + _COLUMNS, self.n)) for start in range(0, self.n, _COLUMNS)]

        def share(first: int, count: int) -> None:
            buffer = np.empty(rows * _COLUMNS, dtype=self.dtype)
            for piece in pieces[first::count]:
                act(piece, buffer[: rows * (piece.stop - piece.start)].reshape(rows, -1))

        team.share(share, work)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return kernel rows: (k,) -> (k, n)."""
        out = np.empty((len(rows), self.n), dtype=self.dtype)
        with Team(True) as team:
            self.fill(rows, out, np.arange(len(rows)), team)
        return out

    def fill(self, rows: np.ndarray, out: np.ndarray, slots: np.ndarray, team: Team) -> None:
        """Write kernel rows into ``out[slots]``."""
        for start in range(0, len(rows), _ROWS):
            mine, where = rows[start : start + _ROWS], slots[start : start + _ROWS]
            left = self._left[mine]

            def act(piece: slice, buffer: np.ndarray, left: np.ndarray = left, where: np.ndarray = where) -> None:
                self._values(left, self._right[piece], buffer)
                out[where, piece] = buffer

            self._pieces(team, len(mine), len(mine) * self.n, act)
            out[where, mine] = 1.0

    def block(self, rows: np.ndarray, values: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Return the kernel among ``rows``: (k, k), formed anew, which is faster than to collect it from rows in memory."""
        out = np.empty((len(rows), len(rows)), dtype=self.dtype)
        self._values(self._left[rows], self._right[rows], out)
        np.fill_diagonal(out, 1.0)
        return out

    def product(self, beta: np.ndarray, team: Team) -> np.ndarray:
        """Return K β: (n,), without the rows being kept."""
        used = np.flatnonzero(beta)
        weight = beta[used]
        left = self._left[used]
        out = np.zeros(self.n)

        def act(piece: slice, buffer: np.ndarray) -> None:
            for start in range(0, len(used), _ROWS):
                values = buffer[: min(_ROWS, len(used) - start)]
                self._values(left[start : start + _ROWS], self._right[piece], values)
                out[piece] += weight[start : start + _ROWS] @ values

        self._pieces(team, _ROWS, len(used) * self.n, act)
        return out


def rows_of_kernel(kernel: KernelSpec, X: Any, keep: np.ndarray | None = None) -> KernelRows:
    """Return the kernel rows of X; a precomputed kernel is X itself, cut to ``keep``."""
    n = X.shape[0]
    if kernel.name == "precomputed":
        columns = np.arange(X.shape[1]) if keep is None else keep

        def given(rows: np.ndarray) -> np.ndarray:
            part = X[rows][:, columns]
            return np.asarray(part.toarray() if sp.issparse(part) else part, dtype=np.float64)

        return KernelRows(given, n)
    if kernel.name == "rbf" and not sp.issparse(X) and n >= _DRAFT_ROWS:
        return GaussianRows(X, kernel.gamma)
    norms = squared_norms(X)

    def computed(rows: np.ndarray) -> np.ndarray:
        return np.asarray(kernel(X[rows], X, norms[rows], norms))

    return KernelRows(computed, n)
