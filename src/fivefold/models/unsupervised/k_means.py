"""k-means clustering: Lloyd's iterations from greedy k-means++ seeds."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.blas import one_blas_thread
from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data, sample_weights
from fivefold.models.trees._threads import threads_for

from . import _kernels as k

# Lower bounds kept a row; more centers than this share bounds in groups.
_MOST_GROUPS = 32


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, Estimator):
    r"""Partition of the rows into k clusters around their means with a small sum of squared distances.

    .. math:: \min_{c, a} \sum_i w_i \lVert x_i - c_{a_i} \rVert^2, \qquad
              a_i = \arg\min_j \lVert x_i - c_j \rVert, \quad c_j = \frac{\sum_{a_i = j} w_i x_i}{\sum_{a_i = j} w_i}

    Parameters
    ----------
    n_clusters : int >= 1, default 8
    init : {"k-means++", "random"} or array (k, d), default "k-means++"
        Seeds: greedy k-means++ with 2 + ⌊ln k⌋ trials a center, k different rows, or centers given outright.
    n_init : int >= 1 or "auto", default "auto"
        Starts, of which the one with the least inertia is kept; "auto" is 10 for random rows, else 1.
    max_iter : int >= 1, default 300
    tol : float >= 0, default 1e-4
        Stop when the squared movement of all centers is at most ``tol`` times the mean variance of the features.
    algorithm : {"auto", "lloyd", "elkan"}, default "auto"
        "lloyd" measures all distances in every iteration; "elkan" skips those that the triangle inequality shows to be
        irrelevant, and gives the same labels. "auto" is "elkan" for two or more clusters.
    random_state : int, Generator or None

    Attributes
    ----------
    cluster_centers_ : array (k, d)
    labels_ : int32 array (n,), the nearest center, the first of equals
    inertia_ : float, weighted sum of squared distances to the own center
    n_iter_ : int

    Raises
    ------
    DataError
        Missing or infinite values, or fewer rows than clusters.
    InputError
        A parameter outside its range.

    Notes
    -----
    A cluster that loses all its rows is moved to the row farthest from its center. The source starts from k random rows,
    ``init="random"``; k-means++ is the usual choice and the default of scikit-learn.
    Results do not depend on the number of threads: partial sums are formed per chunk of rows and added in order.

    References
    ----------
    Lloyd, Least squares quantization in PCM, 1982; Arthur & Vassilvitskii, k-means++, 2007; Elkan, Using the triangle
    inequality to accelerate k-means, 2003; Ding et al., Yinyang k-means, 2015 (shared bounds); ``06#kmeans``.

    Examples
    --------
    >>> KMeans(2, random_state=0).fit([[0.0], [1.0], [9.0], [10.0]]).inertia_
    1.0
    """

    _expected_failed_checks = {
        "check_sample_weight_equivalence_on_dense_data": (
            "seeds are drawn at random, so weights and repeated rows agree in distribution only"
        ),
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        algorithm: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.algorithm = algorithm
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Cluster X (n, d), with optional weights (n,) >= 0; ``y`` is ignored."""
        n_clusters = whole("n_clusters", self.n_clusters, low=1)
        max_iter = whole("max_iter", self.max_iter, low=1)
        tol = real("tol", self.tol, low=0.0)
        algorithm = choice("algorithm", self.algorithm, ("auto", "lloyd", "elkan"))
        bounded = algorithm != "lloyd" and n_clusters > 1  # any value: a way, not a result
        # Finiteness is seen by the pass that forms the mean.
        X = checked_data(self, X, order="C", ensure_all_finite=False)
        weight = sample_weights(sample_weight, len(X))
        if len(X) < n_clusters:
            raise DataError(f"X has n_samples={len(X)}, fewer than n_clusters={n_clusters}; ask for fewer clusters.")
        given = self._given_centers(X, n_clusters)
        starts = self._starts(given)
        # The threads are ours, the products are small.
        work = X.size * n_clusters  # any value: when threads pay
        with one_blas_thread(), threads_for(work):
            rows = _Rows.of(self, X, weight, n_clusters)
            streams = Streams.of(self.random_state)
            best = None
            for start in range(starts):
                if given is not None:
                    seeds = given - rows.shift
                else:
                    generator = streams.numpy("k-means", start)
                    draw = _plus_plus if self.init == "k-means++" else _random_rows
                    seeds = draw(rows, n_clusters, generator)
                run = _lloyd(rows, seeds, max_iter, tol * float(rows.variance.mean()), bounded)
                if best is None or run.inertia < best.inertia:
                    best = run
        self.cluster_centers_ = best.centers
        self.labels_ = best.labels
        self.inertia_ = best.inertia
        self.n_iter_ = best.n_iter
        distinct = np.count_nonzero(np.bincount(best.labels, minlength=n_clusters))
        if distinct < n_clusters:
            warnings.warn(
                f"Only {distinct} distinct clusters were found, fewer than n_clusters={n_clusters}; X holds too many "
                "repeated rows.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _given_centers(self, X: np.ndarray, n_clusters: int) -> np.ndarray | None:
        """Return the centers that ``init`` gives outright: (k, d) float64, or None."""
        if isinstance(self.init, str):
            choice("init", self.init, ("k-means++", "random"))
            return None
        try:
            centers = np.asarray(self.init, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"`init` is {self.init!r}; give 'k-means++', 'random' or an array of centers.") from error
        if centers.shape != (n_clusters, X.shape[1]):
            raise InputError(
                f"`init` has the shape {centers.shape}; give one center a row: ({n_clusters}, {X.shape[1]})."
            )
        if not np.isfinite(centers).all():
            raise InputError("`init` contains NaN or infinity; give finite centers.")
        return centers

    def _starts(self, given: np.ndarray | None) -> int:
        if isinstance(self.n_init, str):
            choice("n_init", self.n_init, ("auto",))
            return 10 if given is None and self.init == "random" else 1
        starts = whole("n_init", self.n_init, low=1)
        return starts if given is None else 1

    def _checked(self, X: Any) -> np.ndarray:
        require_fitted(self, "cluster_centers_")
        return checked_data(self, X, reset=False, order="C")

    def predict(self, X: Any) -> np.ndarray:
        """Return the nearest center of every row, the first of equals: X (n, d) -> (n,) int32."""
        X = self._checked(X)
        work = X.size * len(self.cluster_centers_)  # any value: when threads pay
        with one_blas_thread(), threads_for(work):
            return _nearest(X, self.cluster_centers_.astype(np.float64))

    def transform(self, X: Any) -> np.ndarray:
        """Return the distances to all centers: X (n, d) -> (n, k)."""
        X = self._checked(X)
        centers = self.cluster_centers_.astype(np.float64)
        shift = centers.mean(axis=0)
        norms = np.empty(len(X))
        with threads_for(X.size):
            k.squared_norms(X, shift, norms)
        product, offset = _shifted(centers - shift, shift, X.dtype)
        squares = norms[:, None] + offset - 2.0 * (X @ product)
        return np.sqrt(np.maximum(squares, 0.0)).astype(X.dtype)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return minus the weighted sum of squared distances to the nearest centers; ``y`` is ignored."""
        X = self._checked(X)
        weight = sample_weights(sample_weight, len(X))
        work = X.size * len(self.cluster_centers_)  # any value: when threads pay
        with one_blas_thread(), threads_for(work):
            labels = _nearest(X, self.cluster_centers_.astype(np.float64))
            return -_inertia(X, self.cluster_centers_, labels, weight)


@dataclass
class _Rows:
    """The data with what every start needs of it."""

    X: np.ndarray  # (n, d)
    weight: np.ndarray  # (n,)
    weighted: bool
    chunks: np.ndarray  # (chunks + 1,)
    shift: np.ndarray  # (d,), the mean
    variance: np.ndarray  # (d,)
    norms: np.ndarray  # (n,), squared norms of the shifted rows

    @classmethod
    def of(cls, estimator: KMeans, X: np.ndarray, weight: np.ndarray | None, n_clusters: int) -> _Rows:
        n, d = X.shape
        chunks = k.chunk_bounds(n, n_clusters * d)
        means, squares = k.moments(X, chunks)
        if not np.isfinite(squares).all():  # the mark of NaN, infinity or overflow, for squares hold all values
            checked_data(estimator, X, reset=False)  # refuses NaN and infinity
            raise DataError("X holds values whose squares overflow; scale its columns first.")
        count = np.diff(chunks)[:, None]
        shift = (means * count).sum(axis=0) / n
        variance = (squares + count * (means - shift) ** 2).sum(axis=0) / n
        norms = np.empty(n)
        k.squared_norms(X, shift, norms)
        return cls(X, np.ones(n) if weight is None else weight, weight is not None, chunks, shift, variance, norms)

    def row(self, index: int) -> np.ndarray:
        """Return a shifted row: (d,) float64."""
        return self.X[index].astype(np.float64) - self.shift


@dataclass
class _Run:
    centers: np.ndarray  # (k, d)
    labels: np.ndarray  # (n,)
    inertia: float
    n_iter: int


def _shifted(centers: np.ndarray, shift: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return shifted centers as columns (d, k) of ``dtype`` and their |c'|² + 2 m·c' (k,)."""
    product = np.ascontiguousarray(centers.T.astype(dtype))
    rounded = product.astype(np.float64)
    return product, (rounded**2).sum(axis=0) + 2.0 * (shift @ rounded)


def _random_rows(rows: _Rows, n_clusters: int, generator: np.random.Generator) -> np.ndarray:
    """Return k different rows, drawn by weight: (k, d) shifted."""
    possible = np.flatnonzero(rows.weight)
    if len(possible) < n_clusters:
        raise DataError(
            f"Only {len(possible)} rows have a weight above zero, fewer than n_clusters={n_clusters}; ask for fewer clusters."
        )
    share = rows.weight[possible] / rows.weight.sum() if rows.weighted else None
    chosen = possible[generator.choice(len(possible), n_clusters, replace=False, p=share)]
    return rows.X[chosen].astype(np.float64) - rows.shift


def _plus_plus(rows: _Rows, n_clusters: int, generator: np.random.Generator) -> np.ndarray:
    """Return seeds by greedy k-means++: of several rows drawn by squared distance, the one that lowers the inertia most."""
    n, d = rows.X.shape
    trials = 2 + int(math.log(n_clusters))
    n_chunks = len(rows.chunks) - 1
    centers = np.empty((n_clusters, d))
    closest, owner = np.full(n, k.FAR), np.zeros(n, dtype=np.int32)
    trial = np.empty((n, trials))
    slack = 4.0 * np.finfo(rows.X.dtype).eps * math.sqrt(d)  # any value: a margin for rounding

    def measure(candidates: np.ndarray, reach: np.ndarray, adopted: int, newest: int) -> np.ndarray:
        product, offset = _shifted(candidates, rows.shift, rows.X.dtype)
        vectors = np.ascontiguousarray(product.T)
        potential = np.empty((n_chunks, len(candidates)))
        k.seed_pass(
            rows.X, rows.chunks, rows.norms, rows.weight, vectors, offset, reach, closest, owner, trial, adopted, newest,
            potential,
        )  # fmt: skip
        return potential

    first = np.searchsorted(np.cumsum(rows.weight), generator.random() * rows.weight.sum(), side="right")
    centers[0] = rows.row(min(int(first), n - 1))
    potential, adopted = measure(centers[:1], np.full(1, -1.0), -1, 0)[:, 0], 0
    for c in range(1, n_clusters):
        marks = generator.random(trials) * potential.sum()
        chosen = [_draw(rows, closest, trial[:, adopted], potential, mark) for mark in marks]
        candidates = np.stack([rows.row(i) for i in chosen])  # (T, d)
        gaps = ((centers[:c, None] - candidates) ** 2).sum(axis=2).min(axis=1)
        noise = slack * (gaps + (centers[:c] ** 2).sum(axis=1)) + 1e-9 * gaps  # any value: a margin for rounding
        reach = gaps / 4.0 - noise
        left = measure(candidates, reach, adopted, c - 1)
        adopted = int(left.sum(axis=0).argmin())
        potential = left[:, adopted]
        centers[c] = candidates[adopted]
    return centers


def _draw(rows: _Rows, closest: np.ndarray, pending: np.ndarray, potential: np.ndarray, mark: float) -> int:
    """Return the row at which the running sum of w·D² passes ``mark``; chunks first, then rows of one chunk."""
    ends = np.cumsum(potential)
    c = min(int(np.searchsorted(ends, mark, side="right")), len(ends) - 1)
    start, stop = rows.chunks[c], rows.chunks[c + 1]
    mass = rows.weight[start:stop] * np.minimum(closest[start:stop], pending[start:stop])
    inside = np.searchsorted(np.cumsum(mass), mark - (ends[c] - potential[c]), side="right")
    return int(start + min(int(inside), stop - start - 1))


def _lloyd(rows: _Rows, seeds: np.ndarray, max_iter: int, tol: float, bounded: bool) -> _Run:
    """Assign and average until no label changes or the centers hardly move; seeds (k, d) are shifted."""
    X, (n_clusters, d), n = rows.X, seeds.shape, len(rows.X)
    n_chunks = len(rows.chunks) - 1
    n_groups = min(n_clusters, _MOST_GROUPS)
    group = np.arange(n_clusters) * n_groups // n_clusters
    labels = np.full(n, -1, dtype=np.int32)
    upper = np.empty(n if bounded else 0, dtype=np.float32)
    lower = np.empty((n if bounded else 0, n_groups), dtype=np.float32)
    sums, mass = np.zeros((n_chunks, n_clusters, d)), np.zeros((n_chunks, n_clusters))
    counts, changed = np.zeros((n_chunks, n_clusters), dtype=np.int64), np.zeros(n_chunks, dtype=np.int64)
    slack = 4.0 * np.finfo(X.dtype).eps * math.sqrt(d)  # any value: a margin for rounding
    centers, moved = seeds, np.zeros(n_clusters)

    def assign(first: bool, summed: bool) -> int:
        product, offset = _shifted(centers, rows.shift, X.dtype)
        farthest = np.zeros(n_groups)
        np.maximum.at(farthest, group, moved)
        size = float((centers**2).sum(axis=1).max())  # any value: a margin for rounding
        k.lloyd_pass(
            X, rows.chunks, rows.norms, rows.weight, rows.shift, centers, product, offset,
            size, slack, labels, bounded, first, group, _above(moved), _above(farthest),
            upper, lower, summed, sums, mass, counts, changed,
        )  # fmt: skip
        return int(changed.sum())

    settled = False
    for n_iter in range(1, max_iter + 1):
        differing = assign(first=n_iter == 1, summed=True)
        total, weight, count = sums.sum(axis=0), mass.sum(axis=0), counts.sum(axis=0)
        if not count.all():
            # What rounding left in the sums of an empty cluster is not a cluster.
            empty = np.flatnonzero(count == 0)
            sums[:, empty], mass[:, empty] = 0.0, 0.0
            total[empty], weight[empty] = 0.0, 0.0
            _relocate(rows, centers, labels, total, weight, empty)
        kept = weight > 0
        fresh = np.where(kept[:, None], total / np.where(kept, weight, 1.0)[:, None], centers)
        squared = ((fresh - centers) ** 2).sum(axis=1)
        centers, moved = fresh, np.sqrt(squared)
        settled = differing == 0
        if settled or squared.sum() <= tol:
            break
    if not settled:  # the labels shall be those of the final centers
        assign(first=False, summed=False)
    final = (centers + rows.shift).astype(X.dtype)
    return _Run(final, labels, _inertia(X, final, labels, rows.weight if rows.weighted else None), n_iter)


def _above(values: np.ndarray) -> np.ndarray:
    """Return float32 numbers that are not below ``values``."""
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def _relocate(
    rows: _Rows, centers: np.ndarray, labels: np.ndarray, total: np.ndarray, weight: np.ndarray, empty: np.ndarray
) -> None:
    """Give every empty cluster the row farthest from its center, in place: total (k, d), weight (k,)."""
    errors = np.empty(len(rows.X))
    k.squared_errors(rows.X, centers + rows.shift, labels, errors)
    errors[rows.weight == 0] = 0.0
    far = np.argsort(-errors, kind="stable")[: len(empty)]
    for cluster, i in zip(empty, far):
        if errors[i] == 0.0:
            break  # every row lies on its center
        w, row = rows.weight[i], rows.row(i)
        total[labels[i]] -= w * row
        weight[labels[i]] -= w
        total[cluster], weight[cluster] = w * row, w


def _nearest(X: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return the nearest of centers (k, d) for every row of X (n, d): (n,) int32."""
    n, shift = len(X), centers.mean(axis=0)
    shifted = centers - shift
    product, offset = _shifted(shifted, shift, X.dtype)
    chunks = k.chunk_bounds(n, 1)
    norms = np.zeros(n)  # the same for all centers of a row
    labels = np.zeros(n, dtype=np.int32)
    still = np.zeros(len(centers), dtype=np.float32)
    k.lloyd_pass(
        X, chunks, norms, norms, shift, shifted, product, offset, 0.0, 0.0, labels, False, True,
        np.zeros(len(centers), dtype=np.int64), still, still[:1], np.empty(0, dtype=np.float32),
        np.empty((0, 1), dtype=np.float32), False, np.empty((0, 0, 0)), np.empty((0, 0)), np.empty((0, 0), dtype=np.int64),
        np.zeros(len(chunks) - 1, dtype=np.int64),
    )  # fmt: skip
    return labels


def _inertia(X: np.ndarray, centers: np.ndarray, labels: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the weighted sum of squared distances of the rows to their own centers."""
    errors = np.empty(len(X))
    k.squared_errors(X, centers.astype(np.float64), labels, errors)
    return float(errors.sum() if weight is None else (weight * errors).sum())
