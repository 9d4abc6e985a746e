"""Whole trees: equality with scikit-learn where no ties occur, invariances, pruning, best-first growth, drawn features."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def _table(n: int, d: int, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return continuous features of float32, so that both sides see the same numbers, noisy targets and weights."""
    rng = Streams(5).numpy(name)
    X = rng.normal(size=(n, d)).astype(np.float32)
    y = 2 * X[:, 0] + np.sin(3 * X[:, 1]) + X[:, 2] * X[:, 3] + rng.normal(size=n)
    # Weights of 20 bits: their sums are exact, so scikit-learn too sees that a node is pure.
    return X, y, np.round(rng.uniform(0.5, 2.0, n) * 2**20) / 2**20


def _differences(ours: Any, peer: Any, X: np.ndarray) -> int:
    """Count the arrays of the tree that differ from scikit-learn's."""
    tree, m = peer.tree_, len(ours.feature_)
    if m != tree.node_count:
        return 99
    same = [
        np.array_equal(ours.feature_, tree.feature),
        np.array_equal(ours.children_left_, tree.children_left),
        np.array_equal(ours.children_right_, tree.children_right),
        np.array_equal(ours.n_node_samples_, tree.n_node_samples),
        np.allclose(ours.threshold_, tree.threshold, rtol=1e-12),
        np.allclose(ours.impurity_, tree.impurity, rtol=1e-8, atol=1e-10),
        np.allclose(ours.weighted_n_node_samples_, tree.weighted_n_node_samples, rtol=1e-10),
        np.allclose(ours.value_.reshape(m, -1), tree.value.reshape(m, -1), rtol=1e-8, atol=1e-10),
        np.allclose(ours.feature_importances_, peer.feature_importances_, rtol=1e-8),
        np.array_equal(ours.apply(X), peer.apply(X)),
        (ours.decision_path(X) != peer.decision_path(X)).nnz == 0,
        ours.get_depth() == peer.get_depth() and ours.get_n_leaves() == peer.get_n_leaves(),
    ]
    return len(same) - sum(same)


# Leaves of several rows: below, different features often part two or three rows equally well, and a tie is decided by chance
# in scikit-learn.
_SETTINGS: tuple[dict[str, Any], ...] = (
    {"min_samples_leaf": 12},
    {"min_samples_leaf": 0.021, "max_depth": 6},
    {"min_samples_leaf": 10, "min_samples_split": 61},
    {"min_samples_leaf": 10, "min_samples_split": 0.1},
    {"min_weight_fraction_leaf": 0.023},
    {"min_samples_leaf": 10, "max_leaf_nodes": 13},
    {"max_leaf_nodes": 9},
    {"min_samples_leaf": 10, "min_impurity_decrease": 0.004},
    {"min_samples_leaf": 10, "ccp_alpha": 0.003},
    {"max_depth": 3, "min_samples_leaf": 5},
)


@evidence(
    "cart-regressor",
    claim="The tree equals scikit-learn's where no ties occur",
    against="scikit-learn DecisionTreeRegressor",
)
def same_regression_tree() -> Check:
    from sklearn.tree import DecisionTreeRegressor as Peer

    from fivefold.models.trees import DecisionTreeRegressor

    X, y, w = _table(500, 5, "regression")
    wrong = 0
    for params in _SETTINGS:
        for weight in (None, w):
            ours = DecisionTreeRegressor(**params).fit(X, y, weight)
            wrong += _differences(ours, Peer(random_state=0, **params).fit(X, y, weight), X)
    return Check(wrong, 0, "arrays that differ", "scikit-learn DecisionTreeRegressor")


def _same_classification_trees(criterion: str) -> Check:
    from sklearn.tree import DecisionTreeClassifier as Peer

    from fivefold.models.trees import DecisionTreeClassifier

    X, y, w = _table(700, 5, f"classes-{criterion}")
    wrong = 0
    for cuts in ([0.0], [-1.0, 1.0]):
        codes = np.digitize(y + Streams(6).numpy("noise").normal(size=len(y)) * 2, cuts)
        names = np.array(["ant", "bee", "cow"])[codes]
        for params in _SETTINGS:
            # Weights without short sums leave no ties between counts.
            ours = DecisionTreeClassifier(criterion=criterion, **params).fit(X, names, w)
            peer = Peer(criterion=criterion, random_state=0, **params).fit(X, names, w)
            wrong += _differences(ours, peer, X)
            wrong += not np.array_equal(ours.predict(X), peer.predict(X))
            wrong += not np.allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-10)
            wrong += not np.allclose(np.exp(ours.predict_log_proba(X)), peer.predict_proba(X), atol=1e-10)
    return Check(wrong, 0, "arrays that differ", "scikit-learn DecisionTreeClassifier")


@evidence(
    "cart-classifier",
    claim="Gini trees equal scikit-learn's where no ties occur",
    against="scikit-learn DecisionTreeClassifier",
)
def same_gini_trees() -> Check:
    return _same_classification_trees("gini")


@evidence(
    "cart-classifier",
    claim="Entropy trees equal scikit-learn's where no ties occur",
    against="scikit-learn DecisionTreeClassifier",
)
def same_entropy_trees() -> Check:
    return _same_classification_trees("entropy")


@evidence("cart-classifier", claim="Class weights equal sample weights", against="scikit-learn compute_sample_weight")
def class_weights_are_sample_weights() -> Check:
    from sklearn.utils.class_weight import compute_sample_weight

    from fivefold.models.trees import DecisionTreeClassifier

    X, y, w = _table(400, 4, "class-weight")
    codes, wrong = np.digitize(y, [-1.0, 0.2]), 0
    for given in ("balanced", {0: 3.0, 2: 0.5}):
        params = {"min_samples_leaf": 8, "min_weight_fraction_leaf": 0.03}
        ours = DecisionTreeClassifier(class_weight=given, **params).fit(X, codes)
        known = DecisionTreeClassifier(**params).fit(X, codes, compute_sample_weight(given, codes))
        wrong += not np.array_equal(ours.apply(X), known.apply(X)) or not np.allclose(ours.value_, known.value_)
    both = DecisionTreeClassifier(class_weight={0: 3.0}, max_depth=3).fit(X, codes, w)
    product = DecisionTreeClassifier(max_depth=3).fit(X, codes, w * np.where(codes == 0, 3.0, 1.0))
    wrong += not np.allclose(both.predict_proba(X), product.predict_proba(X))
    return Check(wrong, 0, "trees that differ", "compute_sample_weight")


def _invariances(make: Any, X: np.ndarray, y: np.ndarray, answer: str) -> int:
    """Count the changes of the data that should not, but do change the answers on the training rows."""
    rng = Streams(7).numpy("invariance")
    n = len(X)

    def fitted(rows: Any, columns: Any = slice(None), weight: Any = None, change: Any = None) -> np.ndarray:
        changed = X.copy() if change is None else change(X.copy())
        tree = make().fit(changed[rows][:, columns], y[rows], weight)
        return np.asarray(getattr(tree, answer)(changed[:, columns]))

    everything = np.arange(n)
    base = fitted(everything)
    wrong = int(not np.allclose(fitted(rng.permutation(n)), base, rtol=1e-12))

    def bend(Z: np.ndarray) -> np.ndarray:
        Z[:, 0], Z[:, 1] = np.exp(Z[:, 0]), Z[:, 1] ** 3
        return Z

    wrong += not np.allclose(fitted(everything, change=bend), base, rtol=1e-12)
    counts = rng.integers(0, 3, n).astype(float)
    repeated = np.repeat(everything, counts.astype(int))
    wrong += not np.allclose(fitted(everything, weight=counts), fitted(repeated), rtol=1e-12)
    wrong += not np.allclose(fitted(everything, weight=np.full(n, 2.0)), base, rtol=1e-12)
    return wrong


@evidence(
    "cart-classifier",
    claim="Row order, monotone changes, and weights for repeated rows change nothing",
    against="invariance",
)
def classification_invariances() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier

    X, y, _ = _table(250, 4, "invariance")
    X = X.astype(np.float64).round(1)  # ties abound
    codes = np.digitize(y, [-1.0, 1.0])
    wrong = 0
    for criterion in ("gini", "entropy"):
        wrong += _invariances(lambda: DecisionTreeClassifier(criterion=criterion), X, codes, "predict_proba")  # noqa: B023
    wrong += _invariances(DecisionTreeClassifier, X, (codes > 0).astype(int), "predict_proba")
    mixed = np.column_stack([X[:, :2], np.abs(X[:, 2:]).round()])
    wrong += _invariances(
        lambda: DecisionTreeClassifier(categorical_features=[2, 3], max_depth=6),
        mixed,
        (codes > 0).astype(int),
        "predict_proba",
    )
    return Check(wrong, 0, "changes that matter", "invariance")


@evidence(
    "cart-regressor",
    claim="Row order, monotone changes, scale of y, and weights for repeated rows change nothing",
    against="invariance",
)
def regression_invariances() -> Check:
    from fivefold.models.trees import DecisionTreeRegressor

    X, y, _ = _table(250, 4, "invariance")
    X, y = X.astype(np.float64).round(1), y.round(1)
    wrong = _invariances(DecisionTreeRegressor, X, y, "predict")
    limits: dict[str, Any] = {"min_samples_leaf": 2, "max_leaf_nodes": 40}
    wrong += _invariances(lambda: DecisionTreeRegressor(criterion="absolute_error"), X, y, "predict")
    best = DecisionTreeRegressor(criterion="absolute_error", **limits).fit(X, y)
    again = DecisionTreeRegressor(criterion="absolute_error", **limits).fit(X[::-1], y[::-1])
    wrong += not np.array_equal(best.threshold_, again.threshold_) or best.get_n_leaves() != 40
    base = DecisionTreeRegressor().fit(X, y)
    for scale, offset in ((1e-12, 0.0), (1e9, 0.0), (1.0, 1e6)):
        tree = DecisionTreeRegressor().fit(X, y * scale + offset)
        wrong += not np.array_equal(tree.children_left_, base.children_left_)
        wrong += not np.allclose((tree.predict(X) - offset) / scale, base.predict(X), rtol=1e-7, atol=1e-8)
    return Check(wrong, 0, "changes that matter", "invariance")


@evidence(
    "cart-classifier",
    claim="Defaults grow until the leaves are pure, also where no single split helps",
    against="definition",
)
def grown_until_pure() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier

    xor = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([0, 1, 1, 0])
    tree = DecisionTreeClassifier().fit(xor, y)
    wrong = int(np.sum(tree.predict(xor) != y)) + (tree.get_depth() != 2) + (tree.get_n_leaves() != 4)
    X, target, _ = _table(300, 4, "pure")
    for criterion in ("gini", "entropy", "log_loss"):
        codes = np.digitize(target, [0.0, 1.0])
        tree = DecisionTreeClassifier(criterion=criterion).fit(X, codes)
        wrong += int(np.sum(tree.predict(X) != codes)) + int(np.sum(~(tree.impurity_[tree.children_left_ < 0] <= 0)))
    leaf = DecisionTreeClassifier().fit(
        xor[:1].repeat(4, axis=0), [3, 3, 5, 5]
    )  # equal rows: one leaf, first of equals
    wrong += leaf.predict(xor).tolist() != [3] * 4 or leaf.predict_proba(xor)[0].tolist() != [0.5, 0.5]
    wrong += bool(leaf.feature_importances_.any()) or leaf.get_depth() != 0
    return Check(wrong, 0, "wrong answers", "definition")


@evidence(
    "cart-regressor",
    claim="Pruning minimizes risk + alpha · leaves, by the smallest tree",
    against="dynamic programming over all subtrees",
)
def pruning_by_dynamic_programming() -> Check:
    from fivefold.models.trees import DecisionTreeRegressor

    X, y, w = _table(120, 4, "pruning")
    full = DecisionTreeRegressor(min_samples_leaf=2).fit(X, y, w)
    risk = full.impurity_ * full.weighted_n_node_samples_ / full.weighted_n_node_samples_[0]
    path = full.cost_complexity_pruning_path(X, y, w)
    steps = np.unique(path.ccp_alphas)
    wrong = int(not abs(path.impurities[0] - risk[full.children_left_ < 0].sum()) <= 1e-12)
    wrong += int(not abs(path.impurities[-1] - risk[0]) <= 1e-12) + int(path.ccp_alphas[0] != 0)
    for alpha in [*(steps[:-1] + steps[1:])[::6] / 2, steps[-1] * 1.01]:
        cost, leaves = risk + alpha, np.ones(len(risk), dtype=int)
        for t in range(len(risk) - 1, -1, -1):  # children come after their parent
            a, b = full.children_left_[t], full.children_right_[t]
            if a >= 0 and cost[a] + cost[b] < cost[t] - 1e-15:
                cost[t], leaves[t] = cost[a] + cost[b], leaves[a] + leaves[b]
        tree = DecisionTreeRegressor(min_samples_leaf=2, ccp_alpha=float(alpha)).fit(X, y, w)
        leaf = tree.children_left_ < 0
        own = (tree.impurity_ * tree.weighted_n_node_samples_)[leaf].sum() / tree.weighted_n_node_samples_[0]
        wrong += not abs(own + alpha * leaf.sum() - cost[0]) <= 1e-10 or leaf.sum() != leaves[0]
        wrong += not np.allclose(tree.predict(X), tree.value_[tree.apply(X)])
    return Check(wrong, 0, "facts that differ", "dynamic programming")


@evidence(
    "cart-classifier",
    claim="The pruning path equals scikit-learn's",
    against="scikit-learn cost_complexity_pruning_path",
)
def pruning_path() -> Check:
    from sklearn.tree import DecisionTreeClassifier as Peer

    from fivefold.models.trees import DecisionTreeClassifier

    X, y, w = _table(600, 5, "path")
    codes = np.digitize(y + Streams(8).numpy("noise").normal(size=len(y)) * 2, [-1.0, 1.0])
    ours = DecisionTreeClassifier(min_samples_leaf=8).cost_complexity_pruning_path(X, codes, w)
    peer = Peer(min_samples_leaf=8, random_state=0).cost_complexity_pruning_path(X, codes, w)
    if len(ours.ccp_alphas) != len(peer.ccp_alphas):
        return Check(np.inf, 1e-12, "steps differ in number", "scikit-learn")
    gap = largest(np.abs(ours.ccp_alphas - peer.ccp_alphas).max(), np.abs(ours.impurities - peer.impurities).max())
    return Check(float(gap), 1e-12, "max |path - peer|", "scikit-learn")


def _drawn(kind: Any, target: np.ndarray) -> int:
    """Count violations of the rule of drawn features on four columns that tell the same and two that tell nothing."""
    n = len(target)
    column = np.arange(n, dtype=float)
    X = np.column_stack([column, column * 2, np.zeros(n), column + 1, np.ones(n), column * 3])
    roots = np.array([kind(max_features=1, max_depth=1, random_state=s).fit(X, target).feature_[0] for s in range(200)])
    counts = np.bincount(roots, minlength=6)
    wrong = int(counts[2] + counts[4])  # a constant column is no split, and drawing goes on
    # Chi-squared with 3 degrees of freedom: 0.999999 quantile 30.7.
    wrong += int(not ((counts[[0, 1, 3, 5]] - 50) ** 2 / 50).sum() <= 30.7)
    again = [kind(max_features=1, max_depth=1, random_state=s).fit(X, target).feature_[0] for s in range(20)]
    wrong += int(np.sum(roots[:20] != again))
    wrong += [kind(max_features=m).fit(X, target).max_features_ for m in ("sqrt", "log2", 0.5, 4, None)] != [
        2,
        2,
        3,
        4,
        6,
    ]
    # Of two drawn features that part the rows equally the lower one wins: pairs of {0, 1, 3, 5}.
    pairs = np.array([kind(max_features=5, max_depth=1, random_state=s).fit(X, target).feature_[0] for s in range(60)])
    wrong += int(np.sum((pairs != 0) & (pairs != 1)))
    return wrong


@evidence(
    "cart-classifier",
    claim="Drawn features are uniform, vary, repeat with the seed, and ties fall to the lowest",
    against="chi-squared and definition",
)
def drawn_features_of_the_classifier() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier

    return Check(_drawn(DecisionTreeClassifier, np.repeat([0, 1], 5)), 0, "violations", "definition")


@evidence(
    "cart-regressor",
    claim="Drawn features are uniform, vary, repeat with the seed, and ties fall to the lowest",
    against="chi-squared and definition",
)
def drawn_features_of_the_regressor() -> Check:
    from fivefold.models.trees import DecisionTreeRegressor

    return Check(_drawn(DecisionTreeRegressor, np.repeat([0.0, 1.0], 5)), 0, "violations", "definition")


@evidence(
    "cart-regressor",
    claim="The tree is the same, bit for bit, on one thread and on the parallel path",
    against="itself",
)
def threads_change_nothing() -> Check:
    from fivefold.models.trees import _kernels as k

    rng = Streams(9).numpy("threads")
    n, d = 60_000, 10  # above the size from which threads are used
    columns = rng.normal(size=(d, n)).round(3)
    y = columns[0] + columns[1] * columns[2] + rng.normal(size=n)
    y -= y.mean()
    flags, levels, differing = np.zeros(d, dtype=bool), np.zeros(d, dtype=np.int64), 0
    for kind, n_stats, depth, table in ((k.MEAN, 1, 6, columns), (k.MEDIAN, 2, 2, np.vstack([columns, y]))):
        trees = []
        for threads in (1, 2):
            order = np.argsort(table, axis=1)
            keys = order.view(np.uint64)
            k.pack_keys(order, table, keys)
            target = np.zeros((n, 4))
            target[:, 0], target[:, 1] = y, 1.0
            rules = (1.0, 0.0)
            trees.append(
                k.grow(keys, target, kind, n_stats, flags, levels, 1.0, depth, 2, rules, -1, 0.0, d, 0, threads)
            )
        differing += sum(int(np.sum(a != b)) for a, b in zip(*trees)) + (len(trees[0][0]) < 2 * depth)
    return Check(differing, 0, "numbers that differ", "itself")


@evidence("cart-classifier", claim="The rules as text read as scikit-learn's", against="scikit-learn export_text")
def rules_as_text() -> Check:
    from sklearn.tree import DecisionTreeClassifier as Peer
    from sklearn.tree import export_text

    from fivefold.models.trees import DecisionTreeClassifier

    X, y, w = _table(500, 5, "text")
    codes, wrong = np.digitize(y, [-1.0, 1.0]), 0
    for depth in (1, 2, 5):
        ours = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=9).fit(X, codes, w)
        peer = Peer(max_depth=depth, min_samples_leaf=9, random_state=0).fit(X, codes, w)
        wrong += ours.export_text() != export_text(peer)
        for shown in (0, 1, 3):
            options: dict[str, Any] = {"max_depth": shown, "decimals": 4}
            wrong += ours.export_text(**options) != export_text(peer, **options)
        names: dict[str, Any] = {"feature_names": list("abcde"), "class_names": ["ant", "bee", "cow"]}
        wrong += ours.export_text(**names) != export_text(peer, **names)
    levels = DecisionTreeClassifier(categorical_features=[0]).fit(np.arange(24.0)[:, None], np.arange(24) % 2)
    text = "{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, …}"
    wrong += levels.export_text().splitlines()[:3:2] != [f"|--- feature_0 in {text}", f"|--- feature_0 not in {text}"]
    return Check(wrong, 0, "texts that differ", "scikit-learn export_text")
