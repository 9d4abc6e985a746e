"""Exact nearest-neighbor search: the k rows of smallest distance, ties by the smaller row number.

Euclidean neighbors by brute force come in two stages. A single-precision matrix product scores all rows; the best few are
ranked by their exact distances, and an error bound of the product decides whether a row outside of them could be nearer.
Queries for which it could are done again in double precision and, should that not decide either, row by row.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import scipy.sparse as sp

from . import _kernels as kernels

METRICS = ("minkowski", "euclidean", "l2", "manhattan", "cityblock", "l1", "chebyshev", "cosine")
_EUCLIDEAN, _MANHATTAN, _CHEBYSHEV, _MINKOWSKI = range(4)
# A tree beats the matrix product up to about this many features.
_TREE_FEATURES = 8
_TREE_ROWS = 500
_QUERY_BLOCK = 1024
_DATA_BLOCK = 4096
# Rows kept beyond k: with them the last candidate lies clearly beyond the k-th neighbor.
_SPARE = 8
# Terms of a score beyond its d products, and how many times the bound of their rounding is allowed for.
_TERMS = 8
_SAFETY = 6.0
# A query whose squared length is above this is too far from the data, whose largest entry is one, for the product.
_FAR = 1e12


def _reduce(metric: str, p: float) -> int:
    """Return the code of a metric in the kernels."""
    if metric in ("euclidean", "l2", "cosine") or (metric == "minkowski" and p == 2):
        return _EUCLIDEAN
    if metric in ("manhattan", "cityblock", "l1") or (metric == "minkowski" and p == 1):
        return _MANHATTAN
    if metric == "chebyshev" or (metric == "minkowski" and np.isinf(p)):
        return _CHEBYSHEV
    return _MINKOWSKI


def _parallel(work: Callable[[slice], None], n_rows: int) -> None:
    """Run compiled work, which releases the interpreter lock, on contiguous parts of the rows."""
    threads = min(numba.get_num_threads(), max(1, n_rows // 8))  # any value: cost alone
    size = n_rows // threads + 1  # any value: above zero, cost alone
    parts = [slice(start, start + size) for start in range(0, n_rows, size)]
    if threads == 1:  # any value: cost alone
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, parts))


class Search:
    """Finds the nearest rows of a data matrix.

    Parameters
    ----------
    data : ndarray or CSR matrix of shape (n, d)
    metric : str
        One of :data:`METRICS`.
    p : float, >= 1
        Exponent of "minkowski".
    algorithm : {"auto", "brute", "kd_tree"}
    leaf_size : int, >= 1
        Largest leaf of the tree.
    """

    def __init__(self, data: Any, metric: str, p: float, algorithm: str, leaf_size: int) -> None:
        self.cosine = metric == "cosine"
        self.metric, self.p = _reduce(metric, p), p
        self.sparse = sp.issparse(data)
        self.data = self._prepare(data)
        if algorithm == "auto":  # any value: cost alone, all find the same rows
            small = data.shape[1] <= _TREE_FEATURES and data.shape[0] >= _TREE_ROWS  # any value: cost alone
            algorithm = "kd_tree" if small and not self.sparse else "brute"
        self.algorithm = algorithm
        if algorithm == "kd_tree":
            self._plant(leaf_size)
        elif self.metric == _EUCLIDEAN and not self.sparse:  # any value: cost alone
            # Differences do not change when both sides are moved; around its mean the product loses least to rounding.
            self.center = self.data.mean(axis=0)  # any value: the bound decides what it costs
            extent = np.abs(self.data - self.center).max()  # any value: the bound decides what it costs
            extent = max(float(extent), np.finfo(np.float64).tiny)
            # A power of two, so that scaling rounds nothing.
            self.scale = 2.0 ** -np.ceil(np.log2(extent))  # any value: the bound decides what it costs
            self.coarse = self._moved(np.float32)

    def _moved(self, dtype: Any) -> np.ndarray:
        """Return the data around their mean, at most one in size."""
        return ((self.data - self.center) * self.scale).astype(dtype)

    def _prepare(self, data: Any) -> Any:
        """Return rows as the kernels take them: float64, contiguous or compressed with sorted indices."""
        if self.cosine:
            data = self._directions(data)
        if not sp.issparse(data):
            return np.require(data, np.float64, ["C", "W"])
        data = sp.csr_array(data, dtype=np.float64)
        data.sort_indices()
        return data

    @staticmethod
    def _directions(data: Any) -> Any:
        """Return rows of length one; half the squared distance of two of them is one minus their cosine.

        Rows of zeros have no direction and the distance one from everything: the length one on an axis of their own,
        which the extra column is; :meth:`query` answers queries without a direction.
        """
        if sp.issparse(data):
            norm = np.sqrt(np.asarray(data.multiply(data).sum(axis=1), dtype=np.float64)).ravel()
            safe = np.where(norm > 0, norm, 1.0)  # any value: rows of zeros have nothing to divide
            extra = sp.csr_array((norm == 0)[:, None].astype(np.float64))
            return sp.csr_array(sp.hstack([sp.diags_array(1.0 / safe) @ data, extra]))
        wide = data.astype(np.float64)
        # Scaling by the largest entry first keeps squares of tiny or huge entries in range.
        largest = np.abs(wide).max(axis=1, keepdims=True)
        some = largest > 0
        np.divide(wide, largest, out=wide, where=some)
        norm = np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
        np.divide(wide, norm, out=wide, where=some)
        return np.hstack([wide, ~some])

    def _plant(self, leaf_size: int) -> None:
        n, d = self.data.shape
        nodes = 4 * (n // max(1, leaf_size) + 1) + 1  # any value: room enough
        order = np.arange(n)
        low, high = np.empty((nodes, d)), np.empty((nodes, d))
        pair = (nodes, 2)  # any value: room enough
        span, children = np.empty(pair, dtype=np.int64), np.empty(pair, dtype=np.int64)
        count = kernels.build_tree(self.data, order, leaf_size, low, high, span, children)
        self.tree = (order, low[:count], high[:count], span[:count], children[:count])

    def query(self, queries: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return distances and rows (q, k) of the nearest rows, nearest first."""
        if self.sparse and not sp.issparse(queries):
            queries = sp.csr_array(queries)
        elif sp.issparse(queries) and not self.sparse:
            queries = queries.toarray()
        queries = self._prepare(queries)
        distances = np.empty((queries.shape[0], k))
        rows = np.empty((queries.shape[0], k), dtype=np.int64)
        if self.algorithm == "brute" and self.metric == _EUCLIDEAN and not self.sparse:
            self._query_product(queries, distances, rows)
        else:
            self._query_rows(queries, distances, rows)
        if self.cosine:
            # A query without a direction is at the distance one from all rows, so the first come first.
            blank = queries[:, [-1]].toarray() if sp.issparse(queries) else queries[:, -1:]
            return np.where(blank > 0, 1.0, distances / 2), np.where(blank > 0, np.arange(k), rows)
        if self.metric == _EUCLIDEAN:
            return np.sqrt(distances), rows
        return (distances ** (1.0 / self.p) if self.metric == _MINKOWSKI else distances), rows

    def _query_rows(self, queries: Any, distances: np.ndarray, rows: np.ndarray) -> None:
        """Compute distances row by row, of all rows or of those in the leaves that the tree cannot rule out."""
        data, metric, p = self.data, self.metric, self.p
        if self.sparse:
            columns = data.data, data.indices.astype(np.int64), data.indptr.astype(np.int64)

        def search(part: slice) -> None:
            few, near, found = queries[part], distances[part], rows[part]
            if self.sparse:
                sides = few.data, few.indices.astype(np.int64), few.indptr.astype(np.int64)
                kernels.scan_sparse(*sides, *columns, metric, p, near, found)
            elif self.algorithm == "kd_tree":
                kernels.scan_tree(few, data, *self.tree, metric, p, near, found)
            else:
                kernels.scan_dense(few, data, metric, p, near, found)

        _parallel(search, queries.shape[0])

    def _query_product(self, queries: np.ndarray, distances: np.ndarray, rows: np.ndarray) -> None:
        n = len(self.data)
        k = rows.shape[1]
        undecided = np.arange(len(queries))
        if n > 4 * (k + _SPARE):  # any value: cost alone
            for dtype in (np.float32, np.float64):
                data = self.coarse if dtype == np.float32 else self._moved(dtype)  # any value: cost alone
                certain = np.zeros(len(undecided), dtype=bool)
                norms = np.einsum("ij,ij->i", data, data)
                for start in range(0, len(undecided), _QUERY_BLOCK):  # any value: those left out stay undecided
                    some = undecided[start : start + _QUERY_BLOCK]
                    certain[start : start + len(some)] = self._decide(queries, some, data, norms, distances, rows)
                undecided = undecided[~certain]
                if not len(undecided):
                    return
        few_distances, few_rows = np.empty((len(undecided), k)), np.empty((len(undecided), k), dtype=np.int64)
        self._query_rows(queries[undecided], few_distances, few_rows)
        distances[undecided], rows[undecided] = few_distances, few_rows

    def _decide(
        self,
        queries: np.ndarray,
        some: np.ndarray,
        data: np.ndarray,
        norms: np.ndarray,
        distances: np.ndarray,
        rows: np.ndarray,
    ) -> np.ndarray:
        """Fill in the neighbors of some queries and return for which of them they are certain."""
        exact = queries[some]
        moved = (exact - self.center) * self.scale
        length = np.einsum("ij,ij->i", moved, moved)
        # Far outside the data the product cannot tell rows apart, and single precision would overflow.
        far = ~(length < _FAR)  # any value: between the data and overflow
        moved[far] = 0.0  # any value: their error is infinite
        # Sums of d + 2 products, and the rounding of both factors to the precision of the product.
        error = _SAFETY * (data.shape[1] + _TERMS) * np.finfo(data.dtype).eps * (length + norms.max())
        error[far] = np.inf
        length[far] = 0.0  # any value: their error is infinite
        factor = (-2.0 * moved).astype(data.dtype)
        count = rows.shape[1] + _SPARE
        values = np.full((len(some), count), np.inf, dtype=data.dtype)
        candidates = np.zeros((len(some), count), dtype=np.int64)
        for first in range(0, len(data), _DATA_BLOCK):
            part = data[first : first + _DATA_BLOCK]
            scores = factor @ part.T
            scores += norms[first : first + len(part)]

            def scan(mine: slice, scores: np.ndarray = scores, first: int = first) -> None:
                kernels.scan_scores(scores[mine], first, values[mine], candidates[mine])

            _parallel(scan, len(some))
        # Scores are squared distances in scaled units, less the square of the query's length.
        slack = np.stack([length, error], axis=1) / self.scale**2
        approximate = values.astype(np.float64) / self.scale**2
        few_distances, few_rows = (
            np.empty((len(some), rows.shape[1])),
            np.empty((len(some), rows.shape[1]), dtype=np.int64),
        )
        certain = np.zeros(len(some), dtype=bool)

        def rank(mine: slice) -> None:
            kernels.refine(
                exact[mine], self.data, approximate[mine], candidates[mine], slack[mine],
                few_distances[mine], few_rows[mine], certain[mine],
            )  # fmt: skip

        _parallel(rank, len(some))
        distances[some], rows[some] = few_distances, few_rows
        return certain
