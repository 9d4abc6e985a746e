"""LambdaRank (Burges 2010) as LightGBM normalizes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError
from fivefold.base.jit import njit

from ._losses import Loss


class LambdaRank(Loss):
    r"""Pairs of a query pull apart by what swapping them would change the NDCG.

    For a pair with relevance l_i > l_j: ``rho = 1 / (1 + e^(s_i - s_j))``, ``delta = |gain_i - gain_j| |1/log2(1+r_i) -
    1/log2(1+r_j)| / max DCG``, gradient of i ``-rho delta`` (of j the opposite) and Hessian ``rho (1 - rho) delta`` of both.
    Pairs count when one of them ranks among the first ``truncation``. With ``norm`` a pair is divided by ``0.01 + |s_i -
    s_j|`` and a query by its sum, times log2(1 + sum).
    """

    def __init__(self, sizes: np.ndarray, truncation: int = 30, *, norm: bool = True) -> None:
        self.edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.truncation, self.norm = truncation, norm

    def get_state(self) -> dict[str, Any]:
        """Return what is left of the loss after the fit."""
        return {"edges": self.edges[:1], "truncation": self.truncation, "norm": self.norm}

    def start(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        return np.zeros(1)

    def check(self, y: np.ndarray) -> None:
        wrong = (y < 0) | (y > 30) | (y != np.floor(y))
        if wrong.any():
            raise DataError(f"Relevances in `y` must be whole numbers from 0 to 30; it holds {y[wrong][0]:g}.")

    def gradients(
        self, y: np.ndarray, raw: np.ndarray, weight: np.ndarray | None, g: np.ndarray, h: np.ndarray, threads: int
    ) -> None:
        lambdas(y, raw[0], self.edges, self.truncation, self.norm, g[0], h[0])
        if weight is not None:
            g *= weight
            h *= weight


def group_sizes(group: Any, n: int) -> np.ndarray:
    """Return the checked numbers of rows of the queries; without any, all n rows are one query."""
    if group is None:
        return np.array([n])
    sizes = np.asarray(group, dtype=np.int64)
    if sizes.ndim != 1 or (sizes < 1).any() or sizes.sum() != n:
        raise DataError(f"`group` sums to {int(sizes.sum())} rows, X has {n}; give the size of each query.")
    return sizes


@njit(error_model="numpy")
def lambdas(y, s, edges, truncation, norm, g, h):
    """Write the gradients and Hessians of all rows: (n,) each."""
    g[:] = 0.0
    h[:] = 0.0
    for q in range(len(edges) - 1):
        start, size = edges[q], edges[q + 1] - edges[q]
        order = np.argsort(-s[start : start + size], kind="mergesort")
        ideal = np.sort(y[start : start + size])
        best = 0.0
        for i in range(min(size, truncation)):
            best += (2.0 ** ideal[size - 1 - i] - 1.0) / np.log2(2.0 + i)
        if best <= 0.0:
            continue
        spread = s[start + order[0]] != s[start + order[size - 1]]
        total = 0.0
        for i in range(min(size, truncation)):
            for j in range(i + 1, size):
                a, b = start + order[i], start + order[j]
                if y[a] == y[b]:
                    continue
                high, low = (a, b) if y[a] > y[b] else (b, a)
                apart = s[high] - s[low]
                delta = (2.0 ** y[high] - 2.0 ** y[low]) * (1 / np.log2(2.0 + i) - 1 / np.log2(2.0 + j)) / best
                if norm and spread:
                    delta /= 0.01 + abs(apart)
                rho = 1.0 / (1.0 + np.exp(apart))
                g[high] -= rho * delta
                g[low] += rho * delta
                h[high] += rho * (1.0 - rho) * delta
                h[low] += rho * (1.0 - rho) * delta
                total += 2.0 * rho * delta
        if norm and total > 0.0:
            factor = np.log2(1.0 + total) / total
            for r in range(start, start + size):
                g[r] *= factor
                h[r] *= factor
