"""What the classification and the regression tree share: sorting, growing, pruning, walking."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import Bunch

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data

from . import _kernels as k
from ._drawing import draw
from ._pruning import weakest_links
from ._text import tree_boxes, tree_text
from ._threads import threads_for

_LEAF = -2


class BinaryTree(Estimator):
    """What the two trees share: sorting, growing, pruning, walking."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _limits(self, n_samples: int, n_features: int, total_weight: float) -> dict[str, Any]:
        """Return the checked limits of growth in absolute numbers."""
        leaf = count_or_share("min_samples_leaf", self.min_samples_leaf, n_samples, low=1)
        split = max(2, count_or_share("min_samples_split", self.min_samples_split, n_samples, low=2))
        fraction = real("min_weight_fraction_leaf", self.min_weight_fraction_leaf, low=0.0, high=0.5)
        depth = np.iinfo(np.int64).max if self.max_depth is None else whole("max_depth", self.max_depth, low=1)
        leaves = -1 if self.max_leaf_nodes is None else whole("max_leaf_nodes", self.max_leaf_nodes, low=2)
        return {
            "max_depth": depth,
            "min_samples_split": max(split, 2 * leaf),
            "rules": (float(leaf), fraction * total_weight),
            "max_leaf_nodes": leaves,
            "min_impurity_decrease": real("min_impurity_decrease", self.min_impurity_decrease, low=0.0),
            "max_features": feature_count(self.max_features, n_features),
        }

    def _grow(
        self, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None, kind: int, n_stats: int, factor: float
    ) -> np.ndarray:
        """Grow the tree on codes or centered targets, set the fitted arrays and return the statistics of the nodes (m, S)."""
        n, d = X.shape
        ones = np.ones(n) if weight is None else weight
        limits = self._limits(n, d, float(ones.sum()))
        alpha = real("ccp_alpha", self.ccp_alpha, low=0.0)
        mask = categorical_mask(self, self.categorical_features, d)
        if n >= 2**32 - 1:
            raise DataError(f"X has {n} rows; a tree takes at most {2**32 - 2}.")
        kept = np.flatnonzero(ones > 0)
        if len(kept) < n:  # rows without weight must not count as samples either
            X, y, ones = X[kept], y[kept], ones[kept]
        columns = np.ascontiguousarray(X.T)  # (d, n)
        if kind == k.MEDIAN:
            columns = np.vstack([columns, y])  # (d + 1, n)
        order = np.argsort(columns, axis=1)  # missing values last
        keys = order.view(np.uint64)
        target = np.zeros((len(y), 4 if kind == k.MEDIAN else 2))
        target[:, 0], target[:, 1] = y, ones
        self.categories_ = [_levels(columns[f]) if mask[f] else None for f in range(d)]
        n_levels = np.array([0 if c is None else len(c) for c in self.categories_], dtype=np.int64)
        with threads_for(columns.size) as threads:
            k.pack_keys(order, columns, keys)
            ints, floats, stats, bits = k.grow(
                keys,
                target,
                kind,
                n_stats,
                mask,
                n_levels,
                factor,
                seed=Streams.of(self.random_state).integer("decision-tree"),
                threads=threads,
                **limits,
            )
        if limits["max_leaf_nodes"] < 0:
            ints, floats, stats = _in_preorder(ints, floats, stats)
        floats[:, k.IMPURITY] *= factor
        self.level_bits_ = bits
        if alpha > 0:
            ints, floats, stats = _pruned(ints, floats, stats, alpha)
        self.max_features_ = limits["max_features"]
        self._set_arrays(ints, floats, columns)
        return stats

    def _set_arrays(self, ints: np.ndarray, floats: np.ndarray, columns: np.ndarray) -> None:
        leaf = ints[:, k.LEFT] < 0
        feature = np.where(leaf, _LEAF, ints[:, k.FEATURE])
        numeric = ~leaf & (ints[:, k.BITS] < 0)
        threshold = np.full(len(ints), float(_LEAF))
        f, low, high = feature[numeric], ints[numeric, k.LOW_ROW], ints[numeric, k.HIGH_ROW]
        below = columns[f, low].astype(np.float64)
        above = np.where(high < 0, np.inf, columns[f, np.maximum(high, 0)].astype(np.float64))
        middle = np.where(high < 0, np.inf, below / 2 + above / 2)
        # Between neighboring floats the midpoint can round up to the larger value, which belongs to the right.
        threshold[numeric] = np.where((middle >= above) & np.isfinite(above), below, middle)
        threshold[~leaf & ~numeric] = np.nan
        self.children_left_ = np.where(leaf, -1, ints[:, k.LEFT])
        self.children_right_ = np.where(leaf, -1, ints[:, k.RIGHT])
        self.feature_ = feature
        self.threshold_ = threshold
        self.missing_go_to_left_ = ~leaf & (ints[:, k.MISSING_LEFT] == 1)
        self.level_offset_ = np.where(leaf, -1, ints[:, k.BITS])
        self.impurity_ = floats[:, k.IMPURITY].copy()
        self.n_node_samples_ = ints[:, k.END] - ints[:, k.START]
        self.weighted_n_node_samples_ = floats[:, k.WEIGHT].copy()
        self.node_depth_ = ints[:, k.DEPTH].copy()

    def _walk(self, X: Any) -> np.ndarray:
        """Return the leaf of every row: X (n, d) -> (n,) int64."""
        X = checked_data(self, X, reset=False, ensure_all_finite="allow-nan")
        if any(c is not None for c in self.categories_):
            X = np.array(X, dtype=np.float64)
            for f, levels in enumerate(self.categories_):
                if levels is not None:
                    X[:, f] = _level_numbers(X[:, f], levels)
        out = np.empty(len(X), dtype=np.int64)
        with threads_for(X.size):
            k.apply_tree(
                np.ascontiguousarray(X),
                self.feature_,
                self.threshold_,
                self.children_left_,
                self.children_right_,
                self.missing_go_to_left_,
                self.level_offset_,
                self.level_bits_,
                out,
            )
        return out

    def apply(self, X: Any) -> np.ndarray:
        """Return the number of the leaf that each row of X (n, d) falls into: (n,) int64."""
        require_fitted(self, "value_")
        return self._walk(X)

    def decision_path(self, X: Any) -> sp.csr_matrix:
        """Return the nodes that each row of X (n, d) passes: sparse (n, n_nodes) of ones."""
        leaves = self.apply(X)
        parent = np.full(len(self.feature_), -1)
        inner = np.flatnonzero(self.children_left_ >= 0)
        parent[self.children_left_[inner]] = inner
        parent[self.children_right_[inner]] = inner
        rows, nodes, at = [], [], leaves
        alive = np.arange(len(leaves))
        while len(alive):
            rows.append(alive)
            nodes.append(at)
            at = parent[at]
            alive, at = alive[at >= 0], at[at >= 0]
        row, node = np.concatenate(rows), np.concatenate(nodes)
        return sp.csr_matrix((np.ones(len(row), dtype=np.int64), (row, node)), shape=(len(leaves), len(parent)))

    def get_depth(self) -> int:
        """Return the depth of the tree; a single leaf has depth 0."""
        require_fitted(self, "value_")
        return int(self.node_depth_.max())

    def get_n_leaves(self) -> int:
        """Return the number of leaves."""
        require_fitted(self, "value_")
        return int(np.count_nonzero(self.children_left_ < 0))

    @property
    def feature_importances_(self) -> np.ndarray:
        """Decrease of impurity brought by each feature, normalized to sum one: (d,); zeros for a single leaf."""
        require_fitted(self, "value_")
        inner = np.flatnonzero(self.children_left_ >= 0)
        mass = self.weighted_n_node_samples_ * self.impurity_
        decrease = mass[inner] - mass[self.children_left_[inner]] - mass[self.children_right_[inner]]
        total = np.bincount(self.feature_[inner], weights=decrease, minlength=self.n_features_in_)
        return total / total.sum() if total.sum() > 0 else total

    def cost_complexity_pruning_path(self, X: Any, y: Any, sample_weight: Any = None) -> Bunch:
        """Return the effective alphas of the weakest links and the total leaf impurity after each is collapsed.

        Parameters
        ----------
        X : array (n, d)
        y : array (n,)
        sample_weight : array (n,), optional

        Returns
        -------
        Bunch
            ``ccp_alphas`` (s,) ascending from 0 and ``impurities`` (s,).
        """
        whole_tree = type(self)(**{**self.get_params(deep=False), "ccp_alpha": 0.0}).fit(X, y, sample_weight)
        risk = whole_tree.impurity_ * whole_tree.weighted_n_node_samples_ / whole_tree.weighted_n_node_samples_[0]
        _, _, alphas, risks = weakest_links(whole_tree.children_left_, whole_tree.children_right_, risk, np.inf)
        return Bunch(ccp_alphas=alphas, impurities=risks)

    def export_svg(self, *, feature_names: Any = None, class_names: Any = None, decimals: int = 2) -> str:
        """Return the tree as a picture (SVG): every node with its rows and its mean, or the weight of every class.

        Parameters
        ----------
        feature_names : sequence of d str, optional
            Default: the column names of the training frame, else ``feature_0`` and so on.
        class_names : sequence of str, optional
            Default: the classes.
        decimals : int >= 0, default 2
        """
        require_fitted(self, "value_")
        return draw(tree_boxes(self, feature_names, class_names, whole("decimals", decimals, low=0)))

    def export_text(
        self, *, feature_names: Any = None, class_names: Any = None, max_depth: int = 10, decimals: int = 2
    ) -> str:
        """Return the rules of the tree as indented text, in the layout of scikit-learn's ``export_text``.

        Parameters
        ----------
        feature_names : sequence of d str, optional
            Default: the column names of the training frame, else ``feature_0`` and so on.
        class_names : sequence of str, optional
            Default: the classes.
        max_depth : int >= 0, default 10
            Deeper branches are cut short.
        decimals : int >= 0, default 2
        """
        require_fitted(self, "value_")
        return tree_text(
            self, feature_names, class_names, whole("max_depth", max_depth, low=0), whole("decimals", decimals, low=0)
        )


def categorical_mask(estimator: Any, given: Any, n_features: int) -> np.ndarray:
    """Return which columns are categorical: (d,) bool."""
    mask = np.zeros(n_features, dtype=bool)
    if given is None:
        return mask
    wanted = np.asarray(given)
    if wanted.dtype == bool and wanted.shape == (n_features,):
        return wanted.copy()
    if wanted.dtype.kind in "iu" and wanted.ndim == 1:
        if wanted.size and (wanted.min() < 0 or wanted.max() >= n_features):
            raise InputError(
                f"`categorical_features` names column {int(wanted[(wanted < 0) | (wanted >= n_features)][0])}, but X "
                f"has {n_features} columns; count from 0 to {n_features - 1}."
            )
        mask[wanted] = True
        return mask
    if wanted.dtype.kind in "US" and wanted.ndim == 1:
        names = list(getattr(estimator, "feature_names_in_", ()))
        for name in wanted.tolist():
            if name not in names:
                raise InputError(
                    f"`categorical_features` names the column {name!r}, which X does not have; it has {names or 'no names'}."
                )
            mask[names.index(name)] = True
        return mask
    if wanted.size == 0:
        return mask
    raise InputError(
        f"`categorical_features` is {given!r}; give None, a boolean mask of {n_features} entries, column numbers or "
        "column names."
    )


def count_or_share(name: str, value: Any, n_samples: int, *, low: int) -> int:
    """Return a number of rows from a count or a share of ``n_samples``."""
    if isinstance(value, Integral):
        return whole(name, value, low=low)
    return math.ceil(real(name, value, low=0.0, high=1.0, above=True) * n_samples)


def feature_count(max_features: Any, n_features: int) -> int:
    """Return how many features are drawn at a node."""
    if max_features is None:
        return n_features
    if isinstance(max_features, str):
        choice("max_features", max_features, ("sqrt", "log2"))
        return max(1, int(np.sqrt(n_features) if max_features == "sqrt" else np.log2(n_features)))
    if isinstance(max_features, Integral):
        return min(n_features, whole("max_features", max_features, low=1))
    return max(1, int(real("max_features", max_features, low=0.0, high=1.0, above=True) * n_features))


def _levels(column: np.ndarray) -> np.ndarray:
    """Return the sorted levels of a categorical column, missing ones left out."""
    return np.unique(column[~np.isnan(column)]).astype(np.float64)


def _level_numbers(column: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the position of each value among the levels, NaN where it is missing or unseen: (n,)."""
    if len(levels) == 0:
        return np.full(len(column), np.nan)
    at = np.minimum(np.searchsorted(levels, column), len(levels) - 1)
    return np.where(levels[at] == column, at, np.nan)


def _in_preorder(ints: np.ndarray, floats: np.ndarray, stats: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Renumber nodes so that a node comes before its left subtree, and that before its right one."""
    return _select(ints, floats, stats, k.preorder(ints[:, k.LEFT], ints[:, k.RIGHT]))


def _pruned(
    ints: np.ndarray, floats: np.ndarray, stats: np.ndarray, alpha: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Collapse the links whose effective alpha is at most ``alpha``."""
    risk = floats[:, k.IMPURITY] * floats[:, k.WEIGHT] / floats[0, k.WEIGHT]
    stays, leaf, _, _ = weakest_links(ints[:, k.LEFT].copy(), ints[:, k.RIGHT].copy(), risk, alpha)
    ints[leaf, k.LEFT] = ints[leaf, k.RIGHT] = -1
    return _select(ints, floats, stats, np.flatnonzero(stays))


def _select(
    ints: np.ndarray, floats: np.ndarray, stats: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    number = np.full(len(ints) + 1, -1)
    number[order] = np.arange(len(order))
    ints = ints[order]
    for column in (k.LEFT, k.RIGHT, k.PARENT):
        ints[:, column] = number[ints[:, column]]
    return ints, floats[order], stats[order]
