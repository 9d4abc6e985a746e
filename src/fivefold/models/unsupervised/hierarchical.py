"""Agglomerative hierarchical clustering with seven linkages, cuts by number or height, and a dendrogram."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import ClusterMixin

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data
from fivefold.models.trees._threads import threads_for

from . import _linkage as k

_LINKAGES = ("single", "complete", "average", "weighted", "ward", "centroid", "median")
_METRICS = ("euclidean", "manhattan", "chebyshev", "cosine", "precomputed")


class AgglomerativeClustering(ClusterMixin, Estimator):
    r"""Tree of clusters, made by merging the two closest until one is left, and a cut through it.

    .. math:: d(A \cup B, C)^2 = \alpha_A d(A, C)^2 + \alpha_B d(B, C)^2 + \beta d(A, B)^2 \quad \text{(Lance \& Williams)}

    Parameters
    ----------
    n_clusters : int in [1, n] or None, default 2
        Clusters of the cut; None when ``distance_threshold`` is given.
    metric : {"euclidean", "manhattan", "chebyshev", "cosine", "precomputed"}, default "euclidean"
        Distance of rows; "precomputed" takes a symmetric matrix of distances (n, n) for X.
    linkage : {"ward", "single", "complete", "average", "weighted", "centroid", "median"}, default "ward"
        Distance of clusters: growth of the squared error; nearest, farthest, mean pair; mean of both halves; distance of the
        means; of the midpoints, where a merged node is the mean of its two parts as in the source.
    distance_threshold : float >= 0 or None, default None
        Cut at this height instead: merges up to and including it are made.

    Attributes
    ----------
    merges_ : array (n - 1, 4), the two clusters merged (rows are 0 to n - 1, the t-th merge is n + t), height, rows within
    children_ : int array (n - 1, 2)
    distances_ : array (n - 1,)
    labels_ : int array (n,), numbered by the first row of each cluster
    n_clusters_ : int
    n_leaves_ : int

    Raises
    ------
    DataError
        Missing or infinite values, a matrix that is no distance, fewer than two rows, a zero row with cosine distance.
    InputError
        A parameter outside its range, or two cuts at once.

    Notes
    -----
    "single" is Prim's spanning tree, "centroid" and "median" search the closest pair, all others follow nearest-neighbor
    chains, in O(n²) time and memory. Centroid and median heights may fall (inversions); a cut by height makes a merge when
    no height within it exceeds the threshold; a cut by number undoes the last merges. Equal distances are merged by the
    order of the rows.

    References
    ----------
    Murtagh & Contreras, Algorithms for hierarchical clustering, 2012; Müllner, Modern hierarchical, agglomerative
    clustering algorithms, 2011; ``06#hac``.

    Examples
    --------
    >>> AgglomerativeClustering(2, linkage="single").fit([[0.0], [1.0], [5.0]]).labels_.tolist()
    [0, 0, 1]
    """

    def __init__(
        self,
        n_clusters: int | None = 2,
        *,
        metric: str = "euclidean",
        linkage: str = "ward",
        distance_threshold: float | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.metric = metric
        self.linkage = linkage
        self.distance_threshold = distance_threshold

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.metric == "precomputed"
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Build the tree over the rows of X (n, d), or a matrix of distances, and cut it; ``y`` is ignored."""
        choice("linkage", self.linkage, _LINKAGES)
        choice("metric", self.metric, _METRICS)
        if (self.n_clusters is None) == (self.distance_threshold is None):
            raise InputError(
                "Exactly one of `n_clusters` and `distance_threshold` has to be given; set the other to None."
            )
        if self.linkage in ("ward", "centroid", "median") and self.metric != "euclidean":
            raise InputError(
                f"`linkage` is {self.linkage!r}, which is defined by means of rows; use it with metric='euclidean', not "
                f"{self.metric!r}."
            )
        X = checked_data(self, X, ensure_min_samples=2).astype(np.float64)
        n = len(X)
        distances = self._distances(X)
        method = {name: getattr(k, name.upper()) for name in _LINKAGES}[self.linkage]
        if self.linkage in ("centroid", "median"):
            table = k.generic(distances, n, method)
        else:
            found = k.spanning_tree(distances, n) if self.linkage == "single" else k.chain(distances, n, method)
            table = k.named(found[np.argsort(found[:, 2], kind="stable")], n)
        self.merges_ = table
        self.children_ = table[:, :2].astype(np.int64)
        self.distances_ = table[:, 2].copy()
        self.n_leaves_ = n
        self.labels_ = self.cut(self.n_clusters, height=self.distance_threshold)
        self.n_clusters_ = int(self.labels_.max()) + 1
        return self

    def _distances(self, X: np.ndarray) -> np.ndarray:
        """Return the distances of all pairs, condensed: (n (n - 1) / 2,)."""
        n = len(X)
        if self.metric == "precomputed":
            if X.shape != (n, n) or not np.allclose(X, X.T) or np.diag(X).any() or X.min() < 0:
                raise DataError(
                    "With metric='precomputed' X has to be a symmetric square matrix of distances >= 0 with a zero diagonal."
                )
            return X[np.triu_indices(n, 1)]
        if self.metric == "cosine" and not X.any(axis=1).all():
            raise DataError(
                "A row of zeros has no direction, so it has no cosine distance; drop it or use another metric."
            )
        # Squares of huge or tiny values leave the range of float64; scaled ones do not.
        scale = float(np.abs(X).max(initial=np.finfo(np.float64).tiny))
        out = np.empty(n * (n - 1) // 2)
        with threads_for(n * X.size // 2):  # any value: when threads pay
            k.pair_distances(np.ascontiguousarray(X / scale), _METRICS.index(self.metric), out)
        return out if self.metric == "cosine" else out * scale

    def cut(self, n_clusters: int | None = None, *, height: float | None = None) -> np.ndarray:
        """Return a cluster number (n,) per row for another number of clusters or height of the fitted tree."""
        require_fitted(self, "merges_")
        if (n_clusters is None) == (height is None):
            raise InputError("Cut by exactly one of `n_clusters` and `height`.")
        n = self.n_leaves_
        if height is not None:
            chosen = self._heights() <= real("distance_threshold", height, low=0.0)
        else:
            count = whole("n_clusters", n_clusters, low=1)
            if count > n:
                raise InputError(f"`n_clusters` is {count}, but there are only {n} rows; ask for fewer clusters.")
            chosen = np.arange(len(self.merges_)) < n - count
        return k.leaves_of(self.merges_, chosen, n)

    def _heights(self) -> np.ndarray:
        """Return the largest height within each merged cluster (n - 1,)."""
        n, out = self.n_leaves_, self.distances_.copy()
        for step, pair in enumerate(self.children_):
            out[step] = max([out[step], *(out[c - n] for c in pair if c >= n)])
        return out

    def dendrogram(
        self,
        path: str | os.PathLike[str] = "dendrogram.png",
        *,
        dpi: int = 120,  # any value: figure layout
    ) -> Path:
        """Draw the tree, heights upward, with the cut as a dashed line, into a PNG file and return its path."""
        from matplotlib.figure import Figure

        require_fitted(self, "merges_")
        n = self.n_leaves_
        order = self._leaf_order()
        x = np.empty(n + len(self.children_))
        x[order] = np.arange(n)
        base = np.zeros_like(x)
        segments = []
        for step, (a, b) in enumerate(self.children_):
            top = self.distances_[step]
            segments.append([(x[a], base[a]), (x[a], top), (x[b], top), (x[b], base[b])])
            x[n + step], base[n + step] = (x[a] + x[b]) / 2, top
        figure = Figure(figsize=(8, 4.5), layout="constrained")  # any value: figure layout
        axes = figure.subplots()
        from matplotlib.collections import LineCollection

        axes.add_collection(LineCollection(segments, colors="#4c78a8", linewidths=1.2))  # any value: figure layout
        axes.set_xlim(-0.5, n - 0.5)  # any value: figure layout
        axes.set_ylim(0, 1.05 * float(self.distances_.max()) or 1.0)  # any value: figure layout
        made = np.append(self._heights()[: n - self.n_clusters_], 0.0)
        rest = self.distances_[n - self.n_clusters_ :]
        line = self.distance_threshold
        if line is None and len(rest):
            line = (float(made.max()) + float(rest.min())) / 2
        if line is not None:
            axes.axhline(line, color="#e45756", linestyle="--", label=f"cut: {self.n_clusters_} clusters")
            axes.legend(loc="upper right")
        if n <= 40:  # any value: figure layout
            axes.set_xticks(range(n), [str(i) for i in order])
        else:
            axes.set_xticks([])
        axes.set_xlabel("row")
        axes.set_ylabel(f"height ({self.linkage} linkage)")
        figure.savefig(path, dpi=dpi)
        return Path(path)

    def _leaf_order(self) -> list[int]:
        """Return the rows from left to right, so that no branches cross."""
        n, order, stack = self.n_leaves_, [], [2 * self.n_leaves_ - 2]
        while stack:
            node = stack.pop()
            if node < n:
                order.append(node)
            else:
                a, b = self.children_[node - n]
                stack += [int(b), int(a)]
        return order
