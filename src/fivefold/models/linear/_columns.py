"""The columns of a matrix, dense or sparse: coordinate descent over some of them, their products and their sums.

Shapes: X (n, d) by columns, ``work`` (m,) the numbers of m columns, w (m,) their weights, r and h (n,).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy import linalg

from fivefold.base.jit import njit

from ._sparse_rows import in_parts

_MOVES = 200
# A zero weight is let in beyond this multiple of l1: one for the rounding of the slope.
_BEYOND = 1.0 + 1e-10
# A zero weight whose slope is below this share of l1 leaves the cycles of coordinate descent.
_WITHIN = 0.9


@njit
def _descend_sparse(data, rows, starts, work, w, r, h, curvature, l1, l2, intercept, passes, ease):  # type: ignore[no-untyped-def]
    """Minimize the quadratic model in place: w (m,) of the features ``work``, r (n,) its residual; return the bias's change.

    ``r = g - h * (change of the scores)``, so that a column's product with r is the negative slope of its weight.
    """
    total = h.sum()
    moved = 0.0
    first = 0.0
    # The first ``live`` of these places are visited: zero weights well within their condition leave the cycles.
    order = np.arange(len(work))
    live = len(work)
    for t in range(passes):
        size = 0.0
        at = 0
        while at < live:
            k = order[at]
            at += 1
            if not curvature[k]:
                continue
            j = work[k]
            old = w[k]
            pull = curvature[k] * old
            for p in range(starts[j], starts[j + 1]):
                pull += data[p] * r[rows[p]]
            if not old and abs(pull) < _WITHIN * l1:
                at -= 1
                live -= 1
                order[at] = order[live]
                order[live] = k
                continue
            new = (max(pull - l1, 0.0) + min(pull + l1, 0.0)) / (curvature[k] + l2)
            if new != old:
                w[k] = new
                change = new - old
                size += change * change * (curvature[k] + l2)
                for p in range(starts[j], starts[j + 1]):
                    i = rows[p]
                    r[i] -= h[i] * data[p] * change
        if intercept:
            change = r.sum() / total
            moved += change
            size += change * change * total
            for i in range(len(r)):
                r[i] -= h[i] * change
        if t == 0:
            first = size
        if size <= ease * first:
            break
    return moved


@njit
def _descend_dense(X, work, w, r, h, curvature, l1, l2, intercept, passes, ease):  # type: ignore[no-untyped-def]
    """Do what :func:`_descend_sparse` does, for X (n, d) by columns."""
    total = h.sum()
    n = len(r)
    moved = 0.0
    first = 0.0
    for t in range(passes):
        size = 0.0
        for k in range(len(work)):
            if not curvature[k]:
                continue
            column = X[:, work[k]]
            old = w[k]
            pull = curvature[k] * old
            for i in range(n):
                pull += column[i] * r[i]
            new = (max(pull - l1, 0.0) + min(pull + l1, 0.0)) / (curvature[k] + l2)
            if new != old:
                w[k] = new
                change = new - old
                size += change * change * (curvature[k] + l2)
                for i in range(n):
                    r[i] -= h[i] * column[i] * change
        if intercept:
            change = r.sum() / total
            moved += change
            size += change * change * total
            for i in range(n):
                r[i] -= h[i] * change
        if t == 0:
            first = size
        if size <= ease * first:
            break
    return moved


@njit
def _curvatures(data, rows, starts, work, h, out):  # type: ignore[no-untyped-def]
    """Write Σ h x² of the features ``work`` to out (m,)."""
    for k in range(len(work)):
        total = 0.0
        for p in range(starts[work[k]], starts[work[k] + 1]):
            total += data[p] * data[p] * h[rows[p]]
        out[k] = total


@njit
def _products(data, rows, starts, work, r, out):  # type: ignore[no-untyped-def]
    """Write the products of the columns ``work`` with r (n,) to out (m,)."""
    for k in range(len(work)):
        total = 0.0
        for p in range(starts[work[k]], starts[work[k] + 1]):
            total += data[p] * r[rows[p]]
        out[k] = total


@njit
def _combine(data, rows, starts, work, w, n):  # type: ignore[no-untyped-def]
    """Return the sum of the columns ``work`` times w (m,): (n,)."""
    out = np.zeros(n)
    for k in range(len(work)):
        if w[k]:
            for p in range(starts[work[k]], starts[work[k] + 1]):
                out[rows[p]] += data[p] * w[k]
    return out


def active_set(A: np.ndarray, c: np.ndarray, w: np.ndarray, l1: np.ndarray, moves: int = _MOVES) -> np.ndarray:
    """Return a minimizer of ``½ w'Aw - c'w + l1'|w|`` from w (m,), A (m, m) symmetric and not indefinite.

    Each move solves for the weights that are not zero with their signs kept; it ends where the first of them meets zero, or
    lets the weight in that breaks its condition most. Every move lowers the objective, so any number of them may be taken.
    """
    w = w.copy()
    for _ in range(moves):
        active = np.flatnonzero((w != 0) | (l1 == 0))
        old = w[active]
        kink = np.sign(old) * l1[active]
        block, right = A[np.ix_(active, active)], c[active] - kink
        try:
            goal = linalg.cho_solve(linalg.cho_factor(block, lower=True), right)
        except linalg.LinAlgError:
            goal = np.linalg.lstsq(block, right, rcond=None)[0]
        over = np.flatnonzero(goal * kink < 0)
        if len(over):
            reach = old[over] / (old[over] - goal[over])
            first = int(over[reach.argmin()])
            w[active] = old + reach.min() * (goal - old)
            w[active[first]] = 0.0
            continue
        w[active] = goal
        slope = c - A @ w
        excess = np.where(w == 0, np.abs(slope) - _BEYOND * l1, -np.inf)
        if excess.max(initial=0.0) <= 0:
            break
        worst = int(excess.argmax())
        w[worst] = np.sign(slope[worst]) * (abs(slope[worst]) - l1[worst]) / A[worst, worst]
    return w


class Columns:
    """The columns of X (n, d), dense or sparse, and the sums over some of them.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n, d)
    """

    def __init__(self, X: Any) -> None:
        self.sparse = sp.issparse(X)
        if self.sparse:
            # The change of format makes a copy, and duplicates neighbors.
            columns = sp.csc_array(X, dtype=np.float64, copy=X.format == "csc")
            columns.sum_duplicates()
            self.X: Any = columns
            # Unsigned numbers spare the kernels the question whether an index counts from the end.
            wide = np.uint32 if columns.indices.dtype == np.int32 else np.uint64
            self._parts = (columns.data, columns.indices.view(wide), columns.indptr.astype(np.uint64))
        else:
            self.X = np.asfortranarray(X, dtype=np.float64)

    def _split(self, kernel: Any, work: np.ndarray, r: np.ndarray) -> np.ndarray:
        """Return the sums (m,) that a kernel forms of the columns ``work``, one part of them after the other."""
        out, parts = np.empty(len(work)), 4  # any value: cost alone
        bounds = np.linspace(0, len(work), parts + 1).astype(int)

        def task(t: int) -> None:
            part = slice(bounds[t], bounds[t + 1])
            kernel(*self._parts, work[part], r, out[part])

        in_parts(task, parts, self.X.nnz)
        return out

    def products(self, work: np.ndarray, r: np.ndarray) -> np.ndarray:
        """Return X[:, work]' r: (m,)."""
        return self._split(_products, work, r) if self.sparse else np.asarray(self.X[:, work].T @ r)

    def curvatures(self, work: np.ndarray, h: np.ndarray) -> np.ndarray:
        """Return Σ h x² of the features ``work``: (m,)."""
        if self.sparse:
            return self._split(_curvatures, work, h)
        part = self.X[:, work]
        return np.einsum("ij,ij,i->j", part, part, h)

    def combine(self, work: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return X[:, work] w: (n,)."""
        return np.asarray(_combine(*self._parts, work, w, self.X.shape[0]) if self.sparse else self.X[:, work] @ w)

    def descend(
        self,
        work: np.ndarray,
        w: np.ndarray,
        r: np.ndarray,
        h: np.ndarray,
        l1: float,
        l2: float,
        intercept: bool,
        passes: int,
        ease: float,
    ) -> float:
        """Minimize the quadratic model over w (m,) in place, r with it; return the change of the bias.

        At most ``passes`` cycles, fewer where one changes the model by ``ease`` times what the first one did.
        """
        curvature = self.curvatures(work, h)
        if self.sparse:
            return float(_descend_sparse(*self._parts, work, w, r, h, curvature, l1, l2, intercept, passes, ease))
        return float(_descend_dense(self.X, work, w, r, h, curvature, l1, l2, intercept, passes, ease))

    def exact(
        self, work: np.ndarray, w: np.ndarray, r: np.ndarray, h: np.ndarray, l1: float, l2: float, intercept: bool
    ) -> float:
        """Do what :meth:`descend` does, by :func:`active_set` on the matrix of the model."""
        part = self.X[:, work]
        m = len(work)
        A = np.zeros((m + intercept, m + intercept))
        if self.sparse:
            A[:m, :m] = (part.T @ (sp.diags_array(h) @ part)).toarray()
        else:
            A[:m, :m] = (part.T * h) @ part
        A[np.arange(m), np.arange(m)] += l2
        if intercept:
            A[m, :m] = A[:m, m] = part.T @ h
            A[m, m] = h.sum()
        start = np.append(w, 0.0) if intercept else w
        slope = np.append(part.T @ r, r.sum()) if intercept else part.T @ r
        # The slope of the loss at the start, carried to zero weights; the squared penalty is a part of A.
        c = slope + A @ start
        c[:m] -= l2 * w
        found = active_set(A, c, start, np.append(np.full(m, l1), 0.0) if intercept else np.full(m, l1))
        w[:] = found[:m]
        return float(found[m]) if intercept else 0.0
