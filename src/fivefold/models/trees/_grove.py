"""What the two random forests share: ranks, samples, growing in parallel, sums over trees, importances."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from typing import Any, ClassVar

import numba
import numpy as np
from sklearn.utils import Bunch, column_or_1d

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data, sample_weights

from . import _forest as f
from ._threads import threads_for
from ._tree import count_or_share, feature_count

_CHUNK = 4096  # any value: rows that go through one tree after another
_WORDS = np.iinfo(np.int64).max


def thread_count(n_jobs: Any) -> int:
    """Return how many threads ``n_jobs`` asks for; None and -1 are all that Numba has."""
    if n_jobs is None or n_jobs == -1:
        return numba.get_num_threads()
    return whole("n_jobs", n_jobs, low=1)


def sample_size(max_samples: Any, n_samples: int) -> int:
    """Return how many rows are drawn: a count, or a rounded share of the rows; None is as many as there are."""
    if max_samples is None:
        return n_samples
    if not isinstance(max_samples, Integral):
        return max(1, round(real("max_samples", max_samples, low=0.0, high=1.0, above=True) * n_samples))
    size = whole("max_samples", max_samples, low=1)
    if size > n_samples:
        raise InputError(f"`max_samples` is {size}, but there are {n_samples} rows; give a number up to that.")
    return size


class Grove(Estimator):
    """A forest of trees kept in arrays, one after the other."""

    _expected_failed_checks: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "a bootstrap of repeated rows draws other rows than one of weights",
    }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _table(self, X: Any) -> np.ndarray:
        return np.ascontiguousarray(checked_data(self, X, reset=False, ensure_all_finite="allow-nan"))

    def _grow(
        self, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None, kind: int, n_stats: int, factor: float
    ) -> np.ndarray | None:
        """Grow all trees on class numbers or centered targets and set the arrays of the forest; ``value_`` still holds sums.

        Returns which rows each tree drew, (T, n) bool, when the rows left out are to be judged.
        """
        n, d = X.shape
        n_trees, threads = whole("n_estimators", self.n_estimators, low=1), thread_count(self.n_jobs)
        per_split = choice("draw_per", self.draw_per, ("split", "tree")) == "split"
        if not self.bootstrap and (self.oob_score or self.max_samples is not None):
            name = "oob_score" if self.oob_score else "max_samples"
            raise InputError(f"`{name}` is {getattr(self, name)!r} with bootstrap=False; set bootstrap=True.")
        ones = np.ones(n) if weight is None else weight
        kept = np.flatnonzero(ones > 0)
        size = sample_size(self.max_samples, len(kept))
        n_columns = feature_count(self.max_features, d)
        leaf = count_or_share("min_samples_leaf", self.min_samples_leaf, n, low=1)
        split = max(2, count_or_share("min_samples_split", self.min_samples_split, n, low=2))
        fraction = real("min_weight_fraction_leaf", self.min_weight_fraction_leaf, low=0.0, high=0.5)
        depth = _WORDS if self.max_depth is None else whole("max_depth", self.max_depth, low=1)
        decrease = real("min_impurity_decrease", self.min_impurity_decrease, low=0.0)
        if n >= 2**31 - 1:
            raise DataError(f"X has {n} rows; a forest takes at most {2**31 - 2}.")
        codes, values, offsets = _ranks(X)
        streams = Streams.of(self.random_state)
        drawn = np.zeros((n_trees if self.oob_score else 0, n), dtype=bool)
        target = np.column_stack([y.astype(np.float64), ones])

        def one(t: int) -> tuple[np.ndarray, ...]:
            rows, times = kept, np.ones(len(kept))
            if self.bootstrap:
                counts = np.bincount(streams.numpy("bootstrap", t).integers(0, len(kept), size), minlength=len(kept))
                rows, times = kept[counts > 0], counts[counts > 0]
            if self.oob_score:
                drawn[t, rows] = True
            allowed = np.arange(d)
            if not per_split:
                allowed = np.sort(streams.numpy("columns", t).permutation(d)[:n_columns])
            own = target[rows]
            own[:, 1] *= times
            return f.grow_tree(
                codes,
                values,
                offsets,
                rows.astype(np.int32),
                own,
                kind,
                n_stats,
                factor,
                allowed,
                self.max_features is None,
                n_columns,
                depth,
                max(split, 2 * leaf),
                leaf,
                fraction * float(own[:, 1].sum()),
                decrease,
                streams.integer("splits", t),
            )

        if threads == 1:
            trees = [one(t) for t in range(n_trees)]
        else:
            with ThreadPoolExecutor(threads) as pool:
                trees = list(pool.map(one, range(n_trees)))
        self._join(trees)
        self.max_features_ = n_columns
        return drawn if self.oob_score else None

    def _join(self, trees: list[tuple[np.ndarray, ...]]) -> None:
        self.starts_ = np.concatenate([[0], np.cumsum([len(tree[0]) for tree in trees])])
        ints = [np.concatenate([tree[0][:, c] for tree in trees]) for c in range(5)]
        floats = [np.concatenate([tree[1][:, c] for tree in trees]) for c in range(3)]
        self.feature_, self.right_, self.node_depth_ = ints[f.FEATURE], ints[f.RIGHT], ints[f.DEPTH]
        self.n_node_samples_, self.missing_go_to_left_ = ints[f.ROWS], ints[f.MISSING_LEFT] == 1
        self.threshold_, self.weighted_n_node_samples_ = floats[f.THRESHOLD], floats[f.WEIGHT]
        self.impurity_ = floats[f.IMPURITY]
        self.value_ = np.concatenate([tree[2] for tree in trees])
        self.tree_importances_ = np.array([tree[3] for tree in trees])

    def _sums(self, X: np.ndarray, skip: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the summed values of the leaves of every row (n, S) and how many trees were summed (n,)."""
        total = np.zeros((len(X), self.value_.shape[1]))
        counts = np.zeros(len(X), dtype=np.int64)
        none = np.zeros((0, 0), dtype=bool)
        with threads_for(X.size * (len(self.starts_) - 1)):
            f.add_values(
                np.ascontiguousarray(X),
                self.starts_,
                self.feature_,
                self.threshold_,
                self.right_,
                self.missing_go_to_left_,
                self.value_,
                none if skip is None else skip,
                _CHUNK,
                total,
                counts,
            )
        return total, counts

    def apply(self, X: Any) -> np.ndarray:
        """Return the leaf of each row in each tree, numbered within the tree: X (n, d) -> (n, T) int32."""
        require_fitted(self, "value_")
        X = self._table(X)
        out = np.empty((len(X), len(self.starts_) - 1), dtype=np.int32)
        with threads_for(X.size * out.shape[1]):
            f.leaves_of(
                X, self.starts_, self.feature_, self.threshold_, self.right_, self.missing_go_to_left_, _CHUNK, out
            )
        return out

    @property
    def feature_importances_(self) -> np.ndarray:
        """Decrease of impurity brought by each column, each tree's normalized to sum one, averaged: (d,)."""
        require_fitted(self, "value_")
        sums = self.tree_importances_.sum(axis=1, keepdims=True)
        grown = sums[:, 0] > 0  # a tree of one leaf has no say
        if not grown.any():
            return np.zeros(self.n_features_in_)
        return np.asarray((self.tree_importances_[grown] / sums[grown]).mean(axis=0))

    def permutation_importances(
        self, X: Any, y: Any, *, n_repeats: int = 5, sample_weight: Any = None, random_state: Any = 0
    ) -> Bunch:
        """Return how much the score falls when the values of one column are shuffled among the rows.

        Parameters
        ----------
        X : array (n, d)
            Rows the forest has not seen; on its own training rows the fall is exaggerated.
        y : array (n,)
        n_repeats : int >= 1, default 5
            Shuffles of a column.
        sample_weight : array (n,), optional
        random_state : int, Generator or None, default 0

        Returns
        -------
        Bunch
            ``importances`` (d, n_repeats), falls of accuracy or R²; ``importances_mean`` and ``importances_std`` (d,).
        """
        require_fitted(self, "value_")
        repeats = whole("n_repeats", n_repeats, low=1)
        X = self._table(X)
        y = column_or_1d(y)
        if len(y) != len(X):
            raise DataError(f"X has {len(X)} rows and y has {len(y)}; give one target a row.")
        weight = sample_weights(sample_weight, len(X))
        base = self._judge(y, self._answer(X), weight)
        streams = Streams.of(random_state)
        falls = np.empty((X.shape[1], repeats))
        for c in range(X.shape[1]):
            shuffled = X.copy()
            for r in range(repeats):
                shuffled[:, c] = streams.numpy("shuffle", c, r).permutation(X[:, c])
                falls[c, r] = base - self._judge(y, self._answer(shuffled), weight)
        return Bunch(importances=falls, importances_mean=falls.mean(axis=1), importances_std=falls.std(axis=1))

    @property
    def estimators_(self) -> list[Any]:
        """The trees, each as a decision tree with its own text and picture."""
        require_fitted(self, "value_")
        return [self._tree(slice(a, b)) for a, b in zip(self.starts_[:-1], self.starts_[1:], strict=True)]

    def _tree(self, nodes: slice) -> Any:
        tree = self._as_tree(nodes)
        right = self.right_[nodes].astype(np.int64)
        number = np.arange(len(right))
        tree.n_features_in_ = self.n_features_in_
        if hasattr(self, "feature_names_in_"):
            tree.feature_names_in_ = self.feature_names_in_
        tree.children_left_ = np.where(right < 0, -1, number + 1)
        tree.children_right_ = right
        tree.feature_ = self.feature_[nodes].astype(np.int64)
        tree.threshold_ = self.threshold_[nodes]
        tree.missing_go_to_left_ = self.missing_go_to_left_[nodes]
        tree.level_offset_ = np.full(len(right), -1)
        tree.level_bits_ = np.zeros(0, dtype=np.uint64)
        tree.categories_ = [None] * self.n_features_in_
        tree.impurity_ = self.impurity_[nodes]
        tree.n_node_samples_ = self.n_node_samples_[nodes].astype(np.int64)
        tree.weighted_n_node_samples_ = self.weighted_n_node_samples_[nodes]
        tree.node_depth_ = self.node_depth_[nodes].astype(np.int64)
        tree.max_features_ = self.max_features_
        return tree


def _ranks(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ranks (d, n), the distinct values of all columns, and where those of each column begin (d + 1,)."""
    columns = np.ascontiguousarray(X.T)  # (d, n)
    order = np.argsort(columns, axis=1)  # missing values last
    codes = np.empty(columns.shape, dtype=np.uint32)
    with threads_for(columns.size):
        counts = f.rank_columns(order, columns, codes)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    values = np.empty(offsets[-1])
    known = codes != f.LOST
    for c in range(len(columns)):
        values[offsets[c] + codes[c, known[c]].astype(np.int64)] = columns[c, known[c]]
    return codes, values, offsets
