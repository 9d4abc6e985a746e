"""Trees on sums that are exact, node by node beside scikit-learn's: three data sets, all criteria, weights, missing values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence

from ._brute import impurity


def _levels(column: np.ndarray, most: int) -> np.ndarray:
    """Return the numbers of at most ``most`` bins of equal counts."""
    cuts = np.unique(np.quantile(column, np.linspace(0, 1, most + 1)[1:-1]))
    return np.searchsorted(cuts, column).astype(np.float32)


def _data(targets: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield three data sets with at most 255 whole numbers a column, and classes or targets with 12 binary digits."""
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

    for load, most in ((load_breast_cancer, 255), (load_wine, 40), (load_diabetes, 100)):
        X, y = load(return_X_y=True)
        if targets == "values":
            # A column is to be told from the others; that of diabetes is its own, with noise against ties.
            y = X[:, 0] if load is not load_diabetes else y + Streams(71).numpy("digits").normal(size=len(y))
            X = X[:, 1:]
            y = np.round((y - y.mean()) / y.std() * 2**12) / 2**12
        elif load is load_diabetes:
            y = np.digitize(y, np.quantile(y, [0.25, 0.6]))
        yield np.column_stack([_levels(column, most) for column in X.T]), y


def _walk(ours: Any, peer: Any, X: np.ndarray, y: np.ndarray, w: np.ndarray, criterion: str) -> tuple[int, int, int]:
    """Return facts that differ, nodes compared, and splits that differ although neither is better.

    Where two splits are equally good, ours must be the first; the walk goes on if they part the rows alike.
    """
    tree = peer.tree_
    n_values = 1 if criterion.endswith("error") else len(peer.classes_)
    wrong = compared = ties = 0
    stack = [(0, 0, np.arange(len(X)))]
    while stack:
        a, b, rows = stack.pop()
        compared += 1
        wrong += ours.n_node_samples_[a] != len(rows) or tree.n_node_samples[b] != len(rows)
        wrong += ours.weighted_n_node_samples_[a] != tree.weighted_n_node_samples[b]
        wrong += abs(ours.impurity_[a] - tree.impurity[b]) > 1e-12
        values = np.reshape(ours.value_[a], n_values), tree.value[b].ravel()
        wrong += bool(np.abs(values[0] - values[1]).max() > 1e-12)
        if ours.children_left_[a] < 0 or tree.children_left[b] < 0:
            wrong += (ours.children_left_[a] < 0) != (tree.children_left[b] < 0)
            continue
        mine = (int(ours.feature_[a]), float(ours.threshold_[a]), bool(ours.missing_go_to_left_[a]))
        theirs = (int(tree.feature[b]), float(tree.threshold[b]), bool(tree.missing_go_to_left[b]))
        left, known = (_goes_left(X[rows], *split) for split in (mine, theirs))
        if mine[:2] != theirs[:2] or not np.array_equal(left, known):
            ties += 1
            gap = _gain(y[rows], w[rows], left, criterion) - _gain(y[rows], w[rows], known, criterion)
            wrong += abs(gap) > 1e-12 or mine[0] > theirs[0]
            wrong += mine[0] == theirs[0] and mine[1] >= theirs[1] and not np.isnan(X[rows, mine[0]]).any()
        lower, upper = int(tree.children_left[b]), int(tree.children_right[b])
        if np.array_equal(left, ~known):
            lower, upper = upper, lower
        elif not np.array_equal(left, known):
            continue
        stack.append((int(ours.children_left_[a]), lower, rows[left]))
        stack.append((int(ours.children_right_[a]), upper, rows[~left]))
    return int(wrong), compared, ties


def _goes_left(X: np.ndarray, feature: int, threshold: float, missing_left: bool) -> np.ndarray:
    x = X[:, feature]
    return np.where(np.isnan(x), missing_left, x <= threshold)


def _gain(y: np.ndarray, w: np.ndarray, left: np.ndarray, criterion: str) -> float:
    sides = sum(w[side].sum() * impurity(y[side], w[side], criterion) for side in (left, ~left))
    return impurity(y, w, criterion) - float(sides) / w.sum()


_LIMITS: tuple[dict[str, Any], ...] = (
    {},
    {"max_depth": 4},
    {"min_samples_leaf": 7},
    {"max_leaf_nodes": 12, "min_samples_leaf": 5},
    {"min_weight_fraction_leaf": 0.04},
)


def _compare(kind: Any, peer_kind: Any, targets: str, criterion: str) -> Check:
    wrong, share = 0, []
    for number, (X, y) in enumerate(_data(targets)):
        rng = Streams(72).numpy("weights", number)
        weights = np.round(rng.uniform(0.5, 2.0, len(y)) * 2**10) / 2**10
        lost = np.where(rng.random(X.shape) < 0.1, np.float32(np.nan), X)
        # scikit-learn refuses missing values for absolute errors.
        tables = (X,) if criterion == "absolute_error" else (X, lost)
        for case, params in enumerate(_LIMITS):
            table, weight = tables[case % len(tables)], weights if (case + number) % 3 else None
            ours = kind(criterion=criterion, **params).fit(table, y, weight)
            peer = peer_kind(criterion=criterion, random_state=0, **params).fit(table, y, weight)
            w = np.ones(len(y)) if weight is None else weight
            differing, compared, _ = _walk(ours, peer, table, y, w, criterion)
            wrong += differing
            share.append(compared / len(ours.feature_))
    # Ties that part the rows otherwise end the walk; most nodes must be seen.
    return Check(wrong + (np.mean(share) < 0.8) + (np.median(share) < 1), 0, "facts that differ", "scikit-learn")


@evidence(
    "cart-classifier",
    claim="On exact sums every node equals scikit-learn's, but for ties: three data sets, weights, missing values",
    against="scikit-learn DecisionTreeClassifier",
)
def same_nodes_by_gini() -> Check:
    from sklearn.tree import DecisionTreeClassifier as Peer

    from fivefold.models.trees import DecisionTreeClassifier

    return _compare(DecisionTreeClassifier, Peer, "classes", "gini")


@evidence(
    "cart-classifier",
    claim="With entropy, too, every node equals scikit-learn's, but for ties",
    against="scikit-learn DecisionTreeClassifier",
)
def same_nodes_by_entropy() -> Check:
    from sklearn.tree import DecisionTreeClassifier as Peer

    from fivefold.models.trees import DecisionTreeClassifier

    return _compare(DecisionTreeClassifier, Peer, "classes", "entropy")


@evidence(
    "cart-regressor",
    claim="On exact sums every node equals scikit-learn's, but for ties: three data sets, weights, missing values",
    against="scikit-learn DecisionTreeRegressor",
)
def same_nodes_by_squares() -> Check:
    from sklearn.tree import DecisionTreeRegressor as Peer

    from fivefold.models.trees import DecisionTreeRegressor

    return _compare(DecisionTreeRegressor, Peer, "values", "squared_error")


@evidence(
    "cart-regressor",
    claim="With absolute errors, too, every node equals scikit-learn's, but for ties: three data sets and weights",
    against="scikit-learn DecisionTreeRegressor",
)
def same_nodes_by_absolute_errors() -> Check:
    from sklearn.tree import DecisionTreeRegressor as Peer

    from fivefold.models.trees import DecisionTreeRegressor

    return _compare(DecisionTreeRegressor, Peer, "values", "absolute_error")


@evidence(
    "cart-regressor", claim="Leaves of absolute errors hold weighted medians", against="worked example and search"
)
def medians_of_leaves() -> Check:
    from fivefold.models.trees import DecisionTreeRegressor

    def median(y: list[float], weight: list[float] | None = None) -> float:
        root = DecisionTreeRegressor(criterion="absolute_error").fit(np.zeros((len(y), 1)), y, weight)
        return float(root.predict([[0.0]])[0])

    wrong = int(median([5.0, 1.0, 9.0]) != 5) + int(median([4.0, 1.0, 2.0, 9.0]) != 3)
    wrong += int(median([1.0, 2.0, 9.0], [1.0, 1.0, 3.0]) != 9) + int(median([1.0, 2.0, 9.0], [1.0, 1.0, 2.0]) != 5.5)
    # One tenth thrice is a little more than three tenths: still half of the weight.
    wrong += int(median([1.0, 1.0, 1.0, 7.0], [0.1, 0.1, 0.1, 0.3]) != 4)
    wrong += int(median([7.0, 7.0, 7.0, 1.0], [0.1, 0.1, 0.1, 0.3]) != 4)
    tree = DecisionTreeRegressor(criterion="absolute_error", max_depth=1)
    tree.fit([[0.0], [1.0], [2.0], [3.0], [4.0]], [0.0, 1.0, 8.0, 9.0, 90.0])
    wrong += tree.value_.tolist() != [8.0, 4.5, 90.0] or tree.threshold_[0] != 3.5
    wrong += not np.allclose(tree.impurity_, [98 / 5, 16 / 4, 0.0], rtol=1e-15)
    # Targets far from zero lose nothing to rounding, and scale and sign change no split.
    X = Streams(73).numpy("rows").normal(size=(80, 3)).round(1)
    y = np.round((2 * X[:, 0] + Streams(73).numpy("noise").normal(size=80)) * 64) / 64
    base = DecisionTreeRegressor(criterion="absolute_error").fit(X, y)
    for scale, offset in ((2.0**-40, 0.0), (-(2.0**40), 0.0), (1.0, 2.0**44), (3.0, -(2.0**44))):
        other = DecisionTreeRegressor(criterion="absolute_error").fit(X, y * scale + offset)
        wrong += not np.array_equal(other.children_left_, base.children_left_)
        wrong += not np.array_equal(other.threshold_, base.threshold_)
        wrong += not np.array_equal((other.predict(X) - offset) / scale, base.predict(X))
    return Check(wrong, 0, "wrong answers", "worked example")
