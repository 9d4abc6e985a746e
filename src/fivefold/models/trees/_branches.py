"""Trees whose nodes have a branch for every level of an attribute: growing, routing rows with missing values, answering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from fivefold.base.checks import whole
from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from . import _multiway as k
from ._drawing import Box, draw, outline
from ._tree import categorical_mask, count_or_share

Rows = tuple[np.ndarray, np.ndarray]
"""Row numbers of a node and their weights, which are shares where a value was missing on the way."""


class BranchingTree(ClassifierMixin, Estimator):
    """What ID3, C4.5 and the pruned trees share. Nodes are kept in preorder."""

    _by_ratio = False
    _takes_missing = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._takes_missing
        return tags

    def _checked(self, X: Any, y: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return X, class numbers and weights of the rows that have any; set the classes and which columns are levels."""
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan" if self._takes_missing else True)
        weight = sample_weights(sample_weight, len(X))
        self.classes_, codes = encode_labels(y)
        self.categorical_ = categorical_mask(self, self._categorical(X.shape[1]), X.shape[1])
        X = X.astype(np.float64)
        if weight is None:
            return X, codes, np.ones(len(X))
        kept = weight > 0
        return X[kept], codes[kept], weight[kept]

    def _categorical(self, n_features: int) -> Any:
        return self.categorical_features

    def _grow(
        self,
        X: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        accept: Callable[..., Any] | None = None,
        state: Any = None,
    ) -> None:
        """Grow the tree; ``accept`` is asked before each split and returns the states of the children, or None to refuse."""
        depth_limit = np.inf if self.max_depth is None else whole("max_depth", self.max_depth, low=1)
        least = count_or_share("min_samples_split", self.min_samples_split, len(X), low=2)
        leaf = whole("min_samples_leaf", self.min_samples_leaf, low=1)
        n_classes, d = len(self.classes_), X.shape[1]
        codes = np.empty((d, len(X)), dtype=np.int64)
        values = []
        for f in range(d):
            known = ~np.isnan(X[:, f])
            levels, ranks = np.unique(X[known, f], return_inverse=True)
            codes[f] = k.ABSENT
            codes[f, known] = ranks
            values.append(levels)
        table = np.empty((d, 4))
        self._start()
        stack = [(np.arange(len(X)), weight, 0, -1, np.nan, state)]
        while stack:
            rows, w, depth, parent, level, own = stack.pop()
            counts = np.bincount(y[rows], weights=w, minlength=n_classes)
            node = self._add(parent, level, depth, counts, len(rows))
            if np.count_nonzero(counts) <= 1 or depth >= depth_limit or len(rows) < least:
                continue
            k.evaluate(codes, rows, w, y, n_classes, ~self.categorical_, leaf, table)
            f = int(k.choose(table, self._by_ratio))
            if f < 0:
                continue
            threshold = np.nan
            if not self.categorical_[f]:
                threshold = midpoint(values[f][int(table[f, k.LOW])], values[f][int(table[f, k.HIGH])])
            branches, masses, parts = split_rows(X[rows, f], w, threshold)
            split = (f, threshold, branches, masses)
            kept = [(rows[inside], share) for inside, share in parts]
            states = [None] * len(branches)
            if accept is not None:
                labels = [int(np.bincount(y[r], weights=s, minlength=n_classes).argmax()) for r, s in kept]
                states = accept(own, split, int(counts.argmax()), labels)
                if states is None:
                    continue
            self._feature[node], self._threshold[node], self._gain[node] = f, threshold, table[f, k.GAIN]
            for (r, s), branch, below in list(zip(kept, branches, states, strict=True))[::-1]:
                stack.append((r, s, depth + 1, node, branch, below))
        self._finish()

    def _start(self) -> None:
        self._parent: list[int] = []
        self._level: list[float] = []
        self._depth: list[int] = []
        self._feature: list[int] = []
        self._threshold: list[float] = []
        self._gain: list[float] = []
        self._counts: list[np.ndarray] = []
        self._n_rows: list[int] = []

    def _add(self, parent: int, level: float, depth: int, counts: np.ndarray, n_rows: int) -> int:
        self._parent.append(parent)
        self._level.append(level)
        self._depth.append(depth)
        self._feature.append(-2)
        self._threshold.append(np.nan)
        self._gain.append(0.0)
        self._counts.append(counts)
        self._n_rows.append(n_rows)
        return len(self._parent) - 1

    def _finish(self) -> None:
        self.parent_, self.branch_ = np.array(self._parent), np.array(self._level)
        self.node_depth_, self.feature_ = np.array(self._depth), np.array(self._feature)
        self.threshold_, self.gain_ = np.array(self._threshold), np.array(self._gain)
        self.counts_, self.n_node_samples_ = np.array(self._counts), np.array(self._n_rows)
        for name in ("parent", "level", "depth", "feature", "threshold", "gain", "counts", "n_rows"):
            delattr(self, f"_{name}")

    def _children(self) -> list[np.ndarray]:
        """Return the children of every node, ascending."""
        order = np.argsort(self.parent_[1:], kind="stable") + 1
        ends = np.searchsorted(self.parent_[order], np.arange(len(self.parent_) + 1))
        return [order[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]

    def _visits(self, X: np.ndarray, weight: np.ndarray) -> Any:
        """Yield (node, rows, weights, stopped) in preorder; ``stopped`` marks the rows that go no further."""
        children = self._children()
        at: dict[int, Rows] = {0: (np.arange(len(X)), weight)}
        for node in range(len(self.parent_)):
            if node not in at:
                continue
            rows, w = at.pop(node)
            below = children[node]
            if len(below) == 0:
                yield node, rows, w, np.ones(len(rows), dtype=bool)
                continue
            stopped = np.ones(len(rows), dtype=bool)
            x, masses = X[rows, self.feature_[node]], self.counts_[below].sum(axis=1)
            parts = route(x, w, self.threshold_[node], self.branch_[below], masses)
            for child, (inside, share) in zip(below, parts, strict=True):
                stopped[inside] = False
                if len(inside):
                    at[int(child)] = (rows[inside], share)
            yield node, rows, w, stopped

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the class shares of each row's leaf, or their mean over the leaves it is spread over: (n, d) -> (n, K)."""
        require_fitted(self, "counts_")
        X = checked_data(self, X, reset=False, ensure_all_finite="allow-nan" if self._takes_missing else True)
        shares = self.counts_ / self.counts_.sum(axis=1, keepdims=True)
        out = np.zeros((len(X), len(self.classes_)))
        for node, rows, w, stopped in self._visits(X.astype(np.float64), np.ones(len(X))):
            out[rows[stopped]] += w[stopped, None] * shares[node]
        return out / out.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the largest share, the first of equals: X (n, d) -> (n,)."""
        shares = self.predict_proba(X)
        return self.classes_[shares.argmax(axis=1)]

    def get_depth(self) -> int:
        """Return the depth of the tree; a single leaf has depth 0."""
        require_fitted(self, "counts_")
        return int(self.node_depth_.max())

    def get_n_leaves(self) -> int:
        """Return the number of leaves."""
        require_fitted(self, "counts_")
        return int(np.count_nonzero(self.feature_ < 0))

    def _boxes(self, feature_names: Any, decimals: int) -> list[Box]:
        require_fitted(self, "counts_")
        names = column_names(self, feature_names)
        boxes = []
        children = self._children()
        for node in range(len(self.parent_)):
            f, parent = int(self.feature_[node]), int(self.parent_[node])
            edge = ""
            if parent >= 0:
                threshold, branch = self.threshold_[parent], self.branch_[node]
                sign = "<=" if branch == 0 else ">"
                edge = f"= {branch:g}" if np.isnan(threshold) else f"{sign} {threshold:.{decimals}f}"
            label = self.classes_[self.counts_[node].argmax()]
            title = names[f] if f >= 0 else f"class: {label}"
            counts = ", ".join(f"{c:g}" for c in self.counts_[node].round(decimals))
            boxes.append(Box(title, f"[{counts}]", edge, [int(c) for c in children[node]]))
        return boxes

    def export_text(self, *, feature_names: Any = None, decimals: int = 2) -> str:
        """Return the tree as indented text, a node a line with the weight of every class.

        Parameters
        ----------
        feature_names : sequence of d str, optional
            Default: the column names of the training frame, else ``feature_0`` and so on.
        decimals : int >= 0, default 2
        """
        return outline(self._boxes(feature_names, whole("decimals", decimals, low=0)))

    def export_svg(self, *, feature_names: Any = None, decimals: int = 2) -> str:
        """Return the tree as a picture (SVG), each node with the weight of every class; parameters as for the text."""
        return draw(self._boxes(feature_names, whole("decimals", decimals, low=0)))


def midpoint(low: float, high: float) -> float:
    """Return the middle of two values, or the lower one where rounding would reach the upper."""
    middle = low / 2 + high / 2
    return float(low if middle >= high else middle)


def route(
    x: np.ndarray, w: np.ndarray, threshold: float, branches: np.ndarray, masses: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for every branch, the positions of the values (n,) that enter it and their weights.

    A missing value enters every branch, with the branch's share of the known weight; a level without a branch enters none.
    """
    lost = np.isnan(x)
    keys = x if np.isnan(threshold) else np.where(lost, np.nan, x > threshold)
    parts = []
    for branch, mass in zip(branches, masses, strict=True):
        inside = np.flatnonzero((keys == branch) | lost)
        parts.append((inside, np.where(lost[inside], w[inside] * mass / masses.sum(), w[inside])))
    return parts


def split_rows(
    x: np.ndarray, w: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Return the branches that the values of a node open, their known weights, and what enters each."""
    keys = x if np.isnan(threshold) else np.where(np.isnan(x), np.nan, x > threshold)
    known = ~np.isnan(keys)
    branches, at = np.unique(keys[known], return_inverse=True)
    masses = np.bincount(at, weights=w[known])
    return branches, masses, route(x, w, threshold, branches, masses)


def column_names(tree: Any, given: Any) -> list[str]:
    """Return the names of the columns."""
    if given is None:
        given = getattr(tree, "feature_names_in_", [f"feature_{i}" for i in range(tree.n_features_in_)])
    names = [str(name) for name in given]
    if len(names) != tree.n_features_in_:
        raise InputError(f"`feature_names` has {len(names)} names; the tree knows {tree.n_features_in_} features.")
    return names
