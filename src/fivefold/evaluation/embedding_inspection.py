"""Looking into an embedding: nearest keys, a map of clusters, and mean cosines between categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError, UnknownNameError
from fivefold.base.names import nearest
from fivefold.base.random import Streams


class EmbeddingInspector:
    """Search, cluster and compare the vectors of an embedding.

    Parameters
    ----------
    keys : sequence of n different keys, or an embedding with ``keys_`` and ``vectors_``
    vectors : array (n, d), finite; not needed with an embedding

    Raises
    ------
    DataError
        Keys that are not different, or vectors of another number, another shape or not finite.

    References
    ----------
    Grbovic & Cheng 2018, section 3.4; ``03#embedding-inspection-tool``.
    """

    def __init__(self, keys: Any, vectors: Any = None) -> None:
        if vectors is None:
            keys, vectors = getattr(keys, "keys_", keys), getattr(keys, "vectors_", None)
        self.keys = list(np.asarray(keys).tolist())
        found = np.asarray(vectors, dtype=np.float64) if vectors is not None else np.empty(0)
        if found.ndim != 2 or len(found) != len(self.keys) or not len(found):
            raise DataError(
                f"vectors has shape {found.shape} for {len(self.keys)} keys; give one vector a key, shape (n, d)."
            )
        if not np.isfinite(found).all():
            raise DataError("vectors holds numbers that are not finite; leave such keys out.")
        self._place = {key: i for i, key in enumerate(self.keys)}
        if len(self._place) < len(self.keys):
            raise DataError(f"{len(self.keys) - len(self._place)} keys occur more than once; keep one vector a key.")
        self.vectors = found
        length = np.linalg.norm(found, axis=1)
        # A vector of zeros has no direction: its cosine with everything is zero.
        self.unit = found / np.where(length > 0, length, 1.0)[:, None]

    def search(self, query: Any, k: int = 10, *, by: str = "cosine") -> pl.DataFrame:
        """Return the k keys nearest to a key or to a vector (d,).

        Parameters
        ----------
        query : key, or array (d,)
            A key is not among its own neighbors.
        k : int >= 1, default 10
        by : "cosine" or "euclidean", default "cosine"
            The score is the cosine, or minus the distance.

        Returns
        -------
        polars.DataFrame
            Columns key, score, rank; equal scores in the order of the keys.
        """
        check_count("k", k)
        if by not in ("cosine", "euclidean"):
            raise InputError(f"by must be 'cosine' or 'euclidean'; got {by!r}.")
        own = None
        if isinstance(query, np.ndarray | list | tuple):
            vector = np.asarray(query, dtype=np.float64)
            if vector.shape != self.vectors.shape[1:] or not np.isfinite(vector).all():
                raise DataError(f"The query has shape {vector.shape}; give {self.vectors.shape[1]} finite numbers.")
        else:
            own = self.place(query)
            vector = self.vectors[own]
        if by == "cosine":
            length = np.linalg.norm(vector)
            score = self.unit @ (vector / (length if length > 0 else 1.0))
        else:
            score = -np.linalg.norm(self.vectors - vector, axis=1)
        order = np.argsort(-score, kind="stable")
        best = order[order != own][:k] if own is not None else order[:k]
        return pl.DataFrame(
            {"key": [self.keys[i] for i in best], "score": score[best], "rank": np.arange(1, len(best) + 1)}
        )

    def place(self, key: Any) -> int:
        """Return the row of a key; an unknown one is an error with its nearest neighbors by spelling."""
        if key not in self._place:
            near = ", ".join(nearest(str(key), [str(k) for k in self.keys], 3))
            raise UnknownNameError(f"{key!r} has no vector; near it are {near}.")
        return self._place[key]

    def clusters(self, k: int = 100, *, random_state: Any = 0, starts: int = 10) -> np.ndarray:
        """Return the cluster (n,) of each key by k-means on the vectors, the tightest of several starts.

        Clusters are numbered by falling size, so that 0 is the largest.
        """
        if not 1 <= k <= len(self.keys):
            raise InputError(f"k must be between 1 and the {len(self.keys)} keys; got {k!r}.")
        best, least = np.zeros(len(self.keys), dtype=np.int64), np.inf
        for start in range(starts):
            draw = Streams.of(random_state).numpy("clusters", start)
            labels, error = _lloyd(self.vectors, self.vectors[_spread(self.vectors, k, draw)])
            if error < least:
                best, least = labels, error
        sizes = np.bincount(best, minlength=k)
        rank = np.empty(k, dtype=np.int64)
        rank[np.argsort(-sizes, kind="stable")] = np.arange(k)
        return np.asarray(rank[best])

    def category_cosine(
        self, categories: Mapping[Any, Any] | Sequence[Any], order: Sequence[Any] | None = None
    ) -> pl.DataFrame:
        r"""Return mean cosines between the keys of every two categories, a key with itself left out.

        Parameters
        ----------
        categories : mapping of key to category, or a sequence of n categories
        order : sequence of categories, optional
            Rows and columns in this order; by default sorted.

        Returns
        -------
        polars.DataFrame
            Column category, and one a category. NaN where a category has one key, with itself.

        Notes
        -----
        The mean over pairs is a product of sums of unit vectors: :math:`S_a^\top S_b / (n_a n_b)`, and
        :math:`(\|S_a\|^2 - \sum_i \|x_i\|^2) / (n_a (n_a - 1))` within one.
        """
        if isinstance(categories, Mapping):
            lacking = [key for key in self.keys if key not in categories]
            if lacking:
                raise DataError(f"{len(lacking)} keys have no category, such as {lacking[0]!r}.")
            categories = [categories[key] for key in self.keys]
        if len(categories) != len(self.keys):
            raise DataError(f"There are {len(categories)} categories for {len(self.keys)} keys; give one a key.")
        names = list(order) if order is not None else sorted(set(categories))
        unknown = set(categories) - set(names)
        if unknown:
            raise DataError(f"order lacks the category {sorted(map(str, unknown))[0]!r}.")
        code = np.array([names.index(c) for c in categories])
        one_hot = (code[:, None] == np.arange(len(names))).astype(np.float64)  # (n, categories)
        sums, count = one_hot.T @ self.unit, one_hot.sum(axis=0)
        pairs = np.outer(count, count) - np.diag(count)
        total = sums @ sums.T - np.diag(one_hot.T @ (self.unit**2).sum(axis=1))
        mean = np.divide(total, pairs, out=np.full(total.shape, np.nan), where=pairs > 0)
        return pl.DataFrame({"category": [str(n) for n in names], **{str(n): mean[:, i] for i, n in enumerate(names)}})


def _lloyd(vectors: np.ndarray, centers: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the cluster of each row and the sum of squared distances, from centers that move until no row does."""
    squares, labels = (vectors**2).sum(axis=1), np.full(len(vectors), -1)
    while True:
        distance = (centers**2).sum(axis=1) - 2 * vectors @ centers.T
        nearest_one = distance.argmin(axis=1)
        if (nearest_one == labels).all():
            return labels, float((squares + distance[np.arange(len(labels)), labels]).sum())
        labels = nearest_one
        count = np.bincount(labels, minlength=len(centers))
        sums = np.zeros_like(centers)
        np.add.at(sums, labels, vectors)
        # A center that no row is nearest to stays where it is.
        centers = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], centers)


def _spread(vectors: np.ndarray, k: int, draw: np.random.Generator) -> np.ndarray:
    """Return k rows, each drawn with the squared distance to those before (k-means++)."""
    chosen = [int(draw.integers(len(vectors)))]
    far = ((vectors - vectors[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < k:
        total = far.sum()
        # Copies of the rows chosen are all that is left.
        weight = (
            far / total
            if total > 0
            else np.isin(np.arange(len(vectors)), chosen, invert=True) / (len(vectors) - len(chosen))
        )
        chosen.append(int(draw.choice(len(vectors), p=weight)))
        far = np.minimum(far, ((vectors - vectors[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen)
