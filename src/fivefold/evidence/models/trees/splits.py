"""The split of a node: published Gini values, enumeration of all splits, thresholds, ties, missing values, categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence

# Watermelon data 2.0 (Zhou, Machine Learning, table 4.1): color, root, sound, texture, navel, touch, good.
WATERMELONS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 1],
        [1, 0, 1, 0, 0, 0, 1],
        [1, 0, 0, 0, 0, 0, 1],
        [0, 0, 1, 0, 0, 0, 1],
        [2, 0, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 1, 1, 1],
        [1, 1, 0, 1, 1, 1, 1],
        [1, 1, 0, 0, 1, 0, 1],
        [1, 1, 1, 1, 1, 0, 0],
        [0, 2, 2, 0, 2, 1, 0],
        [2, 2, 2, 2, 2, 0, 0],
        [2, 0, 0, 2, 2, 1, 0],
        [0, 1, 0, 1, 0, 0, 0],
        [2, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 1, 0],
        [2, 0, 0, 2, 2, 0, 0],
        [0, 0, 1, 1, 1, 0, 0],
    ]
)
GINI_INDEX = np.array([0.4275, 0.4223, 0.4235, 0.2771, 0.3445, 0.4941])


def _leaf_risk(tree: Any) -> float:
    leaf = tree.children_left_ < 0
    return float((tree.weighted_n_node_samples_ * tree.impurity_)[leaf].sum() / tree.weighted_n_node_samples_[0])


@evidence(
    "cart-classifier",
    claim="A tree on one attribute of the watermelons reaches its multiway Gini index; texture is lowest",
    against="recomputed values of 01#tree-cart-clf",
)
def watermelon_gini() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier

    y = WATERMELONS[:, 6]
    found = []
    for attribute in range(6):
        # Split until every level is on its own; the leaves then are the branches of the multiway split.
        X = WATERMELONS[:, [attribute]].astype(float)
        found.append(_leaf_risk(DecisionTreeClassifier(categorical_features=[0]).fit(X, y)))
    gap = float(np.abs(np.array(found) - GINI_INDEX).max())
    return Check(gap if int(np.argmin(found)) == 3 else np.inf, 5e-5, "max |Gini index - table|", "worked example")


def _tables(criterion: str) -> Any:
    """Yield small tables with ties, missing values, a categorical column, weights and limits."""
    from fivefold.base.random import Streams

    for case in range(60):
        rng = Streams(case).numpy(f"brute-{criterion}")
        n = int(rng.integers(4, 28))
        X = np.column_stack([rng.integers(0, 6, n), rng.normal(size=n).round(1), rng.integers(0, 5, n)]).astype(float)
        free = criterion == "absolute_error" or (criterion != "squared_error" and case % 3 == 0)
        categorical = [2] if case % 2 and not free else []
        if case % 4 > 1:
            X[rng.random(X.shape) < 0.25] = np.nan
        w = np.ones(n) if case % 3 else rng.integers(1, 4, n) * rng.choice([0.25, 1.0], n)
        if criterion.endswith("error"):
            y = rng.integers(0, 5, n) * 1.5 + (100.0 if case % 5 == 0 else 0.0)
        else:
            # With more than two classes the subsets of a categorical column are not all searched.
            y = rng.integers(0, 2 if categorical else 3 if case % 3 == 0 else 2, n)
        yield X, y, w, categorical, int(case % 3) + 1, 0.2 if case % 7 == 0 else 0.0


def _against_enumeration(kind: Any, criterion: str) -> Check:
    from ._brute import best, candidates, impurity

    wrong = 0
    for X, y, w, categorical, leaf, share in _tables(criterion):
        tree = kind(
            criterion=criterion,
            max_depth=1,
            min_samples_leaf=leaf,
            min_weight_fraction_leaf=share,
            categorical_features=categorical,
        ).fit(X, y, w)
        parent = impurity(y, w, criterion)
        splits = list(candidates(X, y, w, criterion, categorical, leaf, share * w.sum()))
        # The method decides ties at 1e-12 of the impurity; sums of these small numbers are exact to 1e-13.
        known = best(splits, 1e-12 * parent)
        if parent == 0 or known is None or len(y) < 2 * leaf:
            wrong += len(tree.feature_) != 1
            continue
        if len(tree.feature_) != 3:
            wrong += 1
            continue
        left = tree.apply(X) == tree.children_left_[0]
        p = tree.weighted_n_node_samples_ / w.sum()
        gain = tree.impurity_[0] - (p * tree.impurity_)[1:].sum()
        wrong += not abs(tree.impurity_[0] - parent) <= 1e-10 or not abs(gain - known.gain) <= 1e-10
        wrong += tree.feature_[0] != known.feature
        if known.feature not in categorical:
            wrong += not np.array_equal(left, known.left) or tree.threshold_[0] != known.threshold
        wrong += p[1] != w[left].sum() / w.sum() or tree.n_node_samples_[1] != left.sum()
    return Check(wrong, 0, "facts of the split that differ", "enumeration of all splits")


@evidence(
    "cart-classifier", claim="The Gini split is the best, first of equals, within the limits", against="brute force"
)
def gini_split_by_enumeration() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier

    return _against_enumeration(DecisionTreeClassifier, "gini")


@evidence(
    "cart-classifier", claim="The entropy split is the best, first of equals, within the limits", against="brute force"
)
def entropy_split_by_enumeration() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier

    return _against_enumeration(DecisionTreeClassifier, "entropy")


@evidence(
    "cart-regressor", claim="The split is the best, the first of equals, within the limits", against="brute force"
)
def variance_split_by_enumeration() -> Check:
    from fivefold.models.trees import DecisionTreeRegressor

    return _against_enumeration(DecisionTreeRegressor, "squared_error")


@evidence(
    "cart-regressor",
    claim="The split of least absolute error is the best, the first of equals, within the limits",
    against="brute force",
)
def absolute_split_by_enumeration() -> Check:
    from fivefold.models.trees import DecisionTreeRegressor

    return _against_enumeration(DecisionTreeRegressor, "absolute_error")


@evidence(
    "cart-regressor",
    claim="Missing and unseen values follow their side, else the heavier one",
    against="worked example",
)
def missing_and_unseen_values() -> Check:
    from fivefold.models.trees import DecisionTreeRegressor

    nan, wrong = np.nan, 0
    x = np.array([[0.0], [1.0], [2.0], [3.0], [nan], [nan]])
    high = DecisionTreeRegressor(max_depth=1).fit(x, [0, 0, 9, 9, 9, 9])
    low = DecisionTreeRegressor(max_depth=1).fit(x, [0, 0, 9, 9, 0, 0])
    apart = DecisionTreeRegressor(max_depth=1).fit(x, [0, 0, 0, 0, 9, 9])
    wrong += high.predict([[nan], [1.5], [1.6]]).tolist() != [9, 0, 9]
    wrong += low.predict([[nan], [1.5], [1.6]]).tolist() != [0, 0, 9]
    wrong += apart.predict([[nan], [1e9], [-1e9]]).tolist() != [9, 0, 0]
    # Nothing missing while training: the heavier side, by weight; of equals the right one.
    for weights, expected in (([1, 1, 1, 1], 9.0), ([1, 1, 1, 0.5], 0.0), ([1, 1, 5, 1], 9.0), ([5, 1, 1, 1], 0.0)):
        tree = DecisionTreeRegressor(max_depth=1).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 9, 9], weights)
        wrong += tree.predict([[nan]])[0] != expected
    codes = np.array([[7.0], [7.0], [2.0], [5.0], [5.0], [nan]])
    tree = DecisionTreeRegressor(max_depth=1, categorical_features=[True]).fit(codes, [1, 1, 8, 1, 1, 8])
    wrong += tree.predict([[7.0], [2.0], [5.0], [nan], [3.0], [99.0]]).tolist() != [1, 8, 1, 8, 8, 8]
    return Check(wrong, 0, "wrong answers", "worked example")


@evidence(
    "cart-classifier", claim="A level absent from a node follows the node's default side", against="worked example"
)
def level_absent_from_a_node() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier

    # 70 levels fill more than one word of bits; column 1 splits first and keeps most levels out of the left node.
    wrong = 0
    levels = np.arange(70.0)
    X = np.concatenate([np.column_stack([levels, np.ones(70)]), [[3.0, 0.0], [3.0, 0.0], [66.0, 0.0]]])
    y = np.concatenate([np.full(70, 2), [0, 0, 1]])
    for heavy in (False, True):
        weight = np.ones(73)
        weight[-1] = 5.0 if heavy else 1.0
        tree = DecisionTreeClassifier(categorical_features=[0]).fit(X, y, weight)
        wrong += int(np.sum(tree.predict(X) != y))
        answers = tree.predict(np.column_stack([levels, np.zeros(70)]))
        expected = np.full(70, 1 if heavy else 0)
        expected[3], expected[66] = 0, 1
        wrong += int(np.sum(answers != expected))
    return Check(wrong, 0, "wrong answers", "worked example")


@evidence("cart-regressor", claim="Thresholds are midpoints and part even neighboring floats", against="definition")
def thresholds_between_values() -> Check:
    from fivefold.models.trees import DecisionTreeRegressor

    wrong = 0
    for dtype in (np.float64, np.float32):
        for value in (0.0, 1.0, -3.5, 1e30):
            low = dtype(value)
            x = np.array([[low], [np.nextafter(low, dtype(np.inf))]], dtype=dtype)
            wrong += int(np.sum(DecisionTreeRegressor().fit(x, [1.0, 2.0]).predict(x) != [1.0, 2.0]))
    tree = DecisionTreeRegressor(max_depth=1).fit([[0.25], [1.0], [4.0]], [0.0, 0.0, 1.0])
    wrong += tree.threshold_[0] != 2.5
    wrong += tree.predict([[2.5], [2.5000001]]).tolist() != [0.0, 1.0]
    return Check(wrong, 0, "wrong thresholds", "definition")
