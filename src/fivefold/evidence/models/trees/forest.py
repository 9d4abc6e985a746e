"""Random forests: their trees are CART's, their samples are bootstraps, their sums are means, and nothing depends on threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest, smallest

_ARRAYS = (
    "feature_",
    "threshold_",
    "children_left_",
    "children_right_",
    "missing_go_to_left_",
    "n_node_samples_",
    "node_depth_",
)
_NUMBERS = ("value_", "impurity_", "weighted_n_node_samples_")


def table(n: int, d: int, name: str, *, decimals: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return columns (n, d), some values missing in the second one, and noisy targets (n,)."""
    rng = Streams(11).numpy(name)
    X = rng.normal(size=(n, d))
    if decimals is not None:
        X = X.round(decimals)
    y = 2 * X[:, 0] + np.sin(3 * X[:, 1]) + X[:, 2] * X[:, 3] + rng.normal(size=n)
    X[rng.random(n) < 0.1, 1] = np.nan
    return X, y


def differences(ours: Any, known: Any) -> int:
    """Count the arrays in which two trees differ."""
    if len(ours.feature_) != len(known.feature_):
        return 99
    wrong = sum(not np.array_equal(getattr(ours, name), getattr(known, name), equal_nan=True) for name in _ARRAYS)
    return wrong + sum(
        not np.allclose(getattr(ours, name), getattr(known, name), rtol=1e-9, atol=1e-12) for name in _NUMBERS
    )


_SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"min_samples_leaf": 7},
    {"min_samples_leaf": 0.02, "max_depth": 5},
    {"min_samples_split": 41},
    {"min_samples_split": 0.1},
    {"min_weight_fraction_leaf": 0.03},
    {"min_impurity_decrease": 0.002},
)


def _like_cart(forest: Any, tree: Any, y: np.ndarray, X: np.ndarray, **fixed: Any) -> int:
    """Count the differences from CART of trees that see all rows and all columns."""
    weight = Streams(12).numpy("weights").integers(1, 9, len(X)) / 4
    wrong = 0
    for params in _SETTINGS:
        for w in (None, weight):
            ours = forest(2, bootstrap=False, max_features=None, random_state=0, **fixed, **params).fit(X, y, w)
            known = tree(**fixed, **params).fit(X, y, w)
            for one in ours.estimators_:
                wrong += differences(one, known)
            if hasattr(known, "classes_"):
                wrong += not np.allclose(ours.predict_proba(X), known.predict_proba(X), atol=1e-12)
            wrong += not np.allclose(ours.predict(X), known.predict(X), atol=1e-9)
            wrong += not np.array_equal(ours.apply(X), np.column_stack([known.apply(X)] * 2))
            wrong += not np.allclose(ours.feature_importances_, known.feature_importances_, atol=1e-9)
    return wrong


@evidence(
    "random-forest", claim="On all rows and columns every Gini tree is CART's, ties and gaps included", against="cart"
)
def gini_trees_are_cart() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier, RandomForestClassifier

    X, y = table(900, 5, "gini", decimals=1)
    wrong = 0
    for cuts in ([0.0], [-1.0, 1.0], [1e9]):
        wrong += _like_cart(RandomForestClassifier, DecisionTreeClassifier, np.digitize(y, cuts), X)
    return Check(wrong, 0, "arrays that differ", "DecisionTreeClassifier")


@evidence("random-forest", claim="On all rows and columns every entropy tree is CART's", against="cart")
def entropy_trees_are_cart() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier, RandomForestClassifier

    X, y = table(500, 5, "entropy", decimals=2)
    wrong = 0
    for cuts in ([0.0], [-1.0, 1.0]):
        codes = np.digitize(y, cuts)
        wrong += _like_cart(RandomForestClassifier, DecisionTreeClassifier, codes, X, criterion="entropy")
    log_loss = RandomForestClassifier(3, criterion="log_loss", random_state=0).fit(X, codes)
    entropy = RandomForestClassifier(3, criterion="entropy", random_state=0).fit(X, codes)
    wrong += not np.array_equal(log_loss.predict_proba(X), entropy.predict_proba(X))
    return Check(wrong, 0, "arrays that differ", "DecisionTreeClassifier")


@evidence("random-forest", claim="On all rows and columns every regression tree is CART's", against="cart")
def regression_trees_are_cart() -> Check:
    from fivefold.models.trees import DecisionTreeRegressor, RandomForestRegressor

    X, y = table(700, 5, "regression", decimals=1)
    wrong = _like_cart(RandomForestRegressor, DecisionTreeRegressor, y.round(1), X)
    # Above 4096 rows a node still reads the whole table; below it reads its block.
    X, y = table(9000, 3 + 1, "large", decimals=3)
    ours = RandomForestRegressor(1, max_features=None, bootstrap=False, min_samples_leaf=5).fit(X, y)
    wrong += differences(ours.estimators_[0], DecisionTreeRegressor(min_samples_leaf=5).fit(X, y))
    # Ranks that lie far apart within a node fill few buckets.
    x = np.concatenate([np.arange(3000.0), [1e5]])[:, None] + np.zeros((1, 2))
    x[:, 1] = np.where(x[:, 0] % 2 == 0, x[:, 0], 3000 + x[:, 0] ** 2)
    target = Streams(13).numpy("skew").normal(size=len(x))
    ours = RandomForestRegressor(1, bootstrap=False, max_features=None).fit(x, target)
    wrong += differences(ours.estimators_[0], DecisionTreeRegressor().fit(x, target))
    return Check(wrong, 0, "arrays that differ", "DecisionTreeRegressor")


def _counts(tree: Any, X: np.ndarray) -> np.ndarray:
    """Return how often each row was drawn, from a tree whose leaves hold one distinct row each."""
    at = tree.apply(X)
    own = np.zeros(len(X))
    unique = np.abs(tree.value_[at] - X[:, 0]) < 1e-9
    own[unique] = tree.weighted_n_node_samples_[at][unique]
    return own


@evidence(
    "random-forest",
    claim="Every tree is CART on its bootstrap, whose counts are those of n draws with replacement",
    against="cart and the binomial",
)
def bootstrap_by_weights() -> Check:
    from fivefold.models.trees import DecisionTreeRegressor, RandomForestRegressor

    X, _ = table(400, 4, "bootstrap")
    X[:, 0] = X[:, 0].argsort().argsort() / 16  # even steps, so that ties are not undone by rounding
    y, wrong = X[:, 0], 0
    forest = RandomForestRegressor(60, max_features=None, random_state=3).fit(X[:, [0, 2, 3]], y)
    drawn = np.array([_counts(tree, X[:, [0, 2, 3]]) for tree in forest.estimators_])  # (T, n)
    wrong += int(np.sum(~(np.abs(drawn.sum(axis=1) - 400) <= 1e-9)))
    for tree, counts in list(zip(forest.estimators_, drawn, strict=True))[:5]:
        wrong += differences(tree, DecisionTreeRegressor().fit(X[:, [0, 2, 3]], y, counts))
    # Each of 60 x 400 counts is binomial (400, 1/400); five standard deviations of the mean share of rows left out.
    share, expected = (drawn == 0).mean(), (1 - 1 / 400) ** 400
    wrong += not abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / drawn.size)
    wrong += not abs((drawn == 2).mean() - 400 * 399 / 2 / 400**2 * (1 - 1 / 400) ** 398) <= 0.013
    wrong += len(np.unique(drawn, axis=0)) != 60
    for given, size in ((0.25, 100), (37, 37), (0.0001, 1), (400, 400)):
        some = RandomForestRegressor(3, max_samples=given, random_state=0).fit(X, y)
        wrong += [tree.weighted_n_node_samples_[0] for tree in some.estimators_] != [size] * 3
    return Check(wrong, 0, "facts that differ", "definition")


@evidence(
    "random-forest",
    claim="Out-of-bag answers are means over the trees that did not draw the row",
    against="direct enumeration",
)
def out_of_bag_by_enumeration() -> Check:
    from sklearn.metrics import accuracy_score, r2_score

    from fivefold.models.trees import RandomForestClassifier, RandomForestRegressor

    X, _ = table(150, 4, "oob")
    X = X[:, [0, 2, 3]]
    w = Streams(14).numpy("weights").integers(1, 5, 150).astype(float)
    wrong = 0
    for n_trees in (6, 40):
        regression = RandomForestRegressor(n_trees, oob_score=True, random_state=1).fit(X, X[:, 0])
        drawn = np.array([_counts(tree, X) > 0 for tree in regression.estimators_])
        answers = np.array([tree.predict(X) for tree in regression.estimators_])
        some = ~drawn.all(axis=0)
        wrong += n_trees == 6 and some.all()  # with few trees some rows are in all of them
        known = np.full(150, np.nan)
        known[some] = [answers[~drawn[:, i], i].mean() for i in np.flatnonzero(some)]
        wrong += not np.allclose(regression.oob_prediction_, known, equal_nan=True)
        wrong += not abs(regression.oob_score_ - r2_score(X[some, 0], known[some])) <= 1e-12
    y = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
    for labels in (y, (y > 0).astype(int)):
        for weight in (None, w):
            forest = RandomForestClassifier(25, oob_score=True, random_state=1).fit(X, labels, weight)
            # The same seed draws the same rows whatever the target.
            twin = RandomForestRegressor(25, random_state=1).fit(X, X[:, 0])
            drawn = np.array([_counts(tree, X) > 0 for tree in twin.estimators_])
            shares = np.array([tree.predict_proba(X) for tree in forest.estimators_])
            known = np.array([shares[~drawn[:, i], i].mean(axis=0) for i in range(150)])
            wrong += not np.allclose(forest.oob_decision_function_, known)
            right = accuracy_score(labels, known.argmax(axis=1), sample_weight=weight)
            wrong += not abs(forest.oob_score_ - right) <= 1e-12
    return Check(wrong, 0, "answers that differ", "enumeration")


@evidence("random-forest", claim="The forest is the same, bit for bit, for any number of threads", against="itself")
def threads_change_nothing() -> Check:
    import numba

    from fivefold.models.trees import RandomForestClassifier

    X, y = table(6000, 6, "threads")
    codes = np.digitize(y, [0.0])
    forests = [RandomForestClassifier(7, oob_score=True, random_state=4, n_jobs=j).fit(X, codes) for j in (1, 2, 3, -1)]
    wrong = 0
    for forest in forests[1:]:
        for name in ("feature_", "threshold_", "right_", "value_", "oob_decision_function_", "tree_importances_"):
            wrong += not np.array_equal(getattr(forest, name), getattr(forests[0], name), equal_nan=True)
    before, answers = numba.get_num_threads(), []
    for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(count)
        answers.append(forests[0].predict_proba(np.tile(X, (3, 1))))
    numba.set_num_threads(before)
    wrong += not np.array_equal(*answers)
    more = RandomForestClassifier(9, random_state=4).fit(X, codes)
    wrong += not np.array_equal(more.threshold_[: forests[0].starts_[-1]], forests[0].threshold_)
    return Check(wrong, 0, "arrays that differ", "itself")


@evidence("random-forest", claim="Answers and importances are means over the trees", against="the single trees")
def means_over_trees() -> Check:
    from fivefold.models.trees import RandomForestClassifier, RandomForestRegressor

    X, y = table(300, 5, "means")
    wrong = 0
    for cuts in ([0.0], [-1.0, 1.0]):
        forest = RandomForestClassifier(12, max_depth=4, random_state=0).fit(X, np.digitize(y, cuts))
        mean = np.mean([tree.predict_proba(X) for tree in forest.estimators_], axis=0)
        wrong += not np.allclose(forest.predict_proba(X), mean)
        wrong += not np.allclose(np.exp(forest.predict_log_proba(X)), mean)
        wrong += not np.array_equal(forest.predict(X), mean.argmax(axis=1))
        own = np.mean([tree.feature_importances_ for tree in forest.estimators_], axis=0)
        wrong += not np.allclose(forest.feature_importances_, own / own.sum())
    forest = RandomForestRegressor(12, max_depth=4, random_state=0).fit(X, y)
    wrong += not np.allclose(forest.predict(X), np.mean([tree.predict(X) for tree in forest.estimators_], axis=0))
    wrong += not np.array_equal(forest.apply(X), np.column_stack([tree.apply(X) for tree in forest.estimators_]))
    flat = RandomForestRegressor(3).fit(X, np.ones(300))
    wrong += bool(flat.feature_importances_.any()) or not np.array_equal(flat.predict(X), np.ones(300))
    # Stumps and single leaves mixed: leaves have no say.
    few = RandomForestClassifier(40, max_samples=2, random_state=0).fit(X, y > 0)
    grown = [tree.feature_importances_ for tree in few.estimators_ if tree.get_n_leaves() > 1]
    wrong += len(grown) == 40 or not np.allclose(few.feature_importances_, np.mean(grown, axis=0))
    return Check(wrong, 0, "answers that differ", "the single trees")


@evidence("random-forest", claim="Permutation importance is the fall of the score", against="direct recomputation")
def permutation_importance() -> Check:
    from sklearn.metrics import accuracy_score, r2_score

    from fivefold.models.trees import RandomForestClassifier, RandomForestRegressor

    X, y = table(200, 4, "permutation")
    w = Streams(15).numpy("weights").integers(0, 4, 200).astype(float)
    wrong = 0
    for forest, target, judge in (
        (RandomForestClassifier(10, random_state=0), (y > 0).astype(int), accuracy_score),
        (RandomForestRegressor(10, random_state=0), y, r2_score),
    ):
        forest.fit(X, target)
        for weight in (None, w):
            found = forest.permutation_importances(X, target, n_repeats=3, sample_weight=weight, random_state=7)
            base = judge(target, forest.predict(X), sample_weight=weight)
            known = np.empty((4, 3))
            for c in range(4):
                for r in range(3):
                    Z = X.copy()
                    Z[:, c] = Streams(7).numpy("shuffle", c, r).permutation(X[:, c])
                    known[c, r] = base - judge(target, forest.predict(Z), sample_weight=weight)
            wrong += not np.allclose(found.importances, known)
            wrong += not np.allclose(found.importances_mean, known.mean(axis=1))
            wrong += not np.allclose(found.importances_std, known.std(axis=1))
    default = forest.permutation_importances(X, y)
    wrong += default.importances.shape != (4, 5)
    wrong += not np.array_equal(default.importances, forest.permutation_importances(X, y).importances)
    return Check(wrong, 0, "numbers that differ", "direct recomputation")


@evidence(
    "random-forest",
    claim="Columns are drawn evenly, anew at every split or once a tree, and one that varies is among them",
    against="chi-squared and definition",
)
def drawn_columns() -> Check:
    from fivefold.models.trees import RandomForestClassifier, RandomForestRegressor

    n, wrong = 10, 0
    column = np.arange(n, dtype=float)
    X = np.column_stack([column, column * 2, np.zeros(n), column + 1, np.ones(n), column * 3])
    one = RandomForestRegressor(400, max_features=1, max_depth=1, bootstrap=False, random_state=0).fit(X, column)
    counts = np.bincount([tree.feature_[0] for tree in one.estimators_], minlength=6)
    wrong += int(counts[2] + counts[4])  # a constant column is no split, and drawing goes on
    # Chi-squared with 3 degrees of freedom: 0.999999 quantile 30.7.
    wrong += int(not ((counts[[0, 1, 3, 5]] - 100) ** 2 / 100).sum() <= 30.7)
    # All four tell the same: the first drawn wins, so all are used, unless there is no drawing.
    every = RandomForestRegressor(400, max_depth=1, bootstrap=False, random_state=0).fit(X, column)
    counts = np.bincount([tree.feature_[0] for tree in every.estimators_], minlength=6)
    wrong += int(not ((counts[[0, 1, 3, 5]] - 100) ** 2 / 100).sum() <= 30.7)
    lowest = RandomForestRegressor(9, max_features=None, max_depth=1, bootstrap=False).fit(X, column)
    wrong += sum(int(tree.feature_[0] != 0) for tree in lowest.estimators_)
    X, y = table(400, 9, "columns")
    for given, width in ((1, 1), (3, 3), (0.5, 4), ("sqrt", 3), ("log2", 3), (None, 9)):
        forest = RandomForestClassifier(30, max_features=given, draw_per="tree", random_state=1).fit(X, y > 0)
        used = [set(tree.feature_[tree.feature_ >= 0].tolist()) for tree in forest.estimators_]
        wrong += sum(len(columns) > width for columns in used) + (forest.max_features_ != width)
        wrong += not largest(len(columns) for columns in used) >= width or len(set.union(*used)) != 9
        wrong += not width >= 9 and len({frozenset(columns) for columns in used}) < 5
    split = RandomForestClassifier(5, random_state=1).fit(X, y > 0)
    wrong += (
        split.max_features_ != 3
        or not smallest(len(np.unique(t.feature_[t.feature_ >= 0])) for t in split.estimators_) >= 8
    )
    wrong += RandomForestRegressor(1).fit(X, y).max_features_ != 9
    # Nodes of one tree draw columns of their own: next to the root all of them turn up.
    deep = [
        tree.feature_[1]
        for tree in RandomForestClassifier(80, max_features=1, random_state=2).fit(X, y > 0).estimators_
    ]
    root = [
        tree.feature_[0]
        for tree in RandomForestClassifier(80, max_features=1, random_state=2).fit(X, y > 0).estimators_
    ]
    wrong += len(set(deep)) < 9 or not int(np.sum(np.array(deep) == np.array(root))) <= 30
    return Check(wrong, 0, "violations", "definition")


@evidence(
    "random-forest", claim="Weight 0 is a row removed; a factor on all weights changes nothing", against="invariance"
)
def weights() -> Check:
    from fivefold.models.trees import RandomForestClassifier, RandomForestRegressor

    X, y = table(300, 5, "weights")
    codes, wrong = np.digitize(y, [-1.0, 1.0]), 0
    w = Streams(16).numpy("weights").integers(0, 3, 300).astype(float)
    for kind, target in ((RandomForestClassifier, codes), (RandomForestRegressor, y.round(1))):
        base = kind(8, oob_score=True, random_state=0).fit(X, target, w)
        removed = kind(8, oob_score=True, random_state=0).fit(X[w > 0], target[w > 0], w[w > 0])
        wrong += not np.allclose(base.predict(X), removed.predict(X))
        wrong += not abs(base.oob_score_ - removed.oob_score_) <= 1e-12
        wrong += not np.allclose(base.predict(X), kind(8, random_state=0).fit(X, target, 4 * w).predict(X))
    factors = {0: 2.0, 1: 1.0, 2: 0.5}
    ours = RandomForestClassifier(6, class_weight=factors, random_state=0).fit(X, codes, w)
    known = RandomForestClassifier(6, random_state=0).fit(X, codes, w * np.array([2.0, 1.0, 0.5])[codes])
    wrong += not np.allclose(ours.predict_proba(X), known.predict_proba(X))
    return Check(wrong, 0, "answers that differ", "invariance")


@evidence(
    "random-forest",
    claim="Variance falls with the trees as the correlation of two trees says",
    against="rho s² + (1 - rho) s² / T",
)
def variance_falls() -> Check:
    from fivefold.models.trees import RandomForestRegressor

    X, y = table(250, 5, "variance")
    new, _ = table(40, 5, "variance-new")
    forest = RandomForestRegressor(1600, max_features=2, min_samples_leaf=3, random_state=0).fit(X, y)
    answers = np.array([tree.predict(new) for tree in forest.estimators_])  # (T, m)
    spread = answers.var(axis=0, ddof=1).mean()
    worst = []
    for size in (1, 4, 16):
        means = answers[: 1600 // size * size].reshape(-1, size, 40).mean(axis=1)
        # Given the data trees are independent, so the variance of a mean is s² / T; 40 columns of at least 100 means.
        worst.append(abs(means.var(axis=0, ddof=1).mean() * size / spread - 1))
    own = RandomForestRegressor(16, max_features=2, min_samples_leaf=3, random_state=5).fit(X, y).predict(new)
    worst.append(float(np.mean((own - answers.mean(axis=0)) ** 2) * 16 / spread) - 2.5)
    return Check(float(np.max(worst)), 0.25, "relative gap of the variance", "s² / T")


@evidence(
    "random-forest", claim="Accuracy, leaves and importances are scikit-learn's but for chance", against="scikit-learn"
)
def like_scikit_learn() -> Check:
    from sklearn.ensemble import RandomForestClassifier as Peer
    from sklearn.metrics import roc_auc_score

    from fivefold.models.trees import RandomForestClassifier

    rng = Streams(17).numpy("peer")
    X = rng.normal(size=(3000, 8))
    y = (X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=3000) > 0).astype(int)
    new, truth = X[1500:], y[1500:]
    pairs = [
        (
            RandomForestClassifier(60, random_state=s).fit(X[:1500], y[:1500]),
            Peer(60, random_state=s).fit(X[:1500], y[:1500]),
        )
        for s in range(3)
    ]
    auc = np.array([[roc_auc_score(truth, one.predict_proba(new)[:, 1]) for one in pair] for pair in pairs])
    leaves = np.array([[np.mean([tree.get_n_leaves() for tree in one.estimators_]) for one in pair] for pair in pairs])
    importances = np.array([[one.feature_importances_ for one in pair] for pair in pairs]).mean(axis=0)
    return Check(
        float(
            np.max(
                [
                    abs(np.diff(auc.mean(axis=0))[0]) / 0.01,
                    abs(leaves[:, 0].mean() / leaves[:, 1].mean() - 1) / 0.03,
                    np.abs(importances[0] - importances[1]).max() / 0.01,
                ]
            )
        ),
        1,
        "largest gap over its allowance (AUC .01, leaves 3 %, importance .01)",
        "scikit-learn RandomForestClassifier",
    )
