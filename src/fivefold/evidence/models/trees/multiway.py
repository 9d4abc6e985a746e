"""ID3, C4.5 and their pruned forms: the watermelons, a tree written by recursion, CART where the two must agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, fault

from .splits import WATERMELONS

_X = WATERMELONS[:, :6].astype(float)
_GOOD = np.where(WATERMELONS[:, 6] == 1, "good", "poor")
_NAMES = ["color", "root", "sound", "texture", "navel", "touch"]
# Watermelon data 3.0 (Zhou, table 4.3): density and sugar.
_DENSITY = [
    0.697,
    0.774,
    0.634,
    0.608,
    0.556,
    0.403,
    0.481,
    0.437,
    0.666,
    0.243,
    0.245,
    0.343,
    0.639,
    0.657,
    0.360,
    0.593,
    0.719,
]
_SUGAR = [
    0.460,
    0.376,
    0.264,
    0.318,
    0.215,
    0.237,
    0.149,
    0.211,
    0.091,
    0.267,
    0.057,
    0.099,
    0.161,
    0.198,
    0.370,
    0.042,
    0.103,
]
# Values that watermelon data 2.0α (Zhou, table 4.4) lacks: row and column, counted from 1.
_LOST = [(1, 1), (2, 6), (3, 3), (5, 1), (6, 5), (8, 4), (9, 2), (10, 4), (11, 6), (12, 3), (13, 1), (15, 5), (17, 2)]
# Rows of the training and the validation set of the chapter on pruning (Zhou, table 4.2), navel first: of equal gains the book
# takes the navel.
_ORDER = [4, 0, 1, 2, 3, 5]
_TRAIN = np.array([1, 2, 3, 6, 7, 10, 14, 15, 16, 17]) - 1
_HELD = np.array([4, 5, 8, 9, 11, 12, 13]) - 1


def _gap(found: Any, known: Any, digits: int) -> float:
    """Return by how much the largest difference exceeds the rounding of the known numbers."""
    return float(np.abs(np.asarray(found) - known).max() / (0.5 * 10.0**-digits))


@evidence(
    "id3", claim="Entropy .998 and the six gains of the watermelons; texture splits 9, 5, 3", against="01#tree-id3"
)
def watermelon_gains() -> Check:
    from fivefold.models.trees.multiway import ID3Classifier, information_table

    table = information_table(_X, _GOOD, categorical_features=range(6))
    worst = [_gap(table.entropy, 0.998, 3), _gap(table.gain, [0.1081, 0.1427, 0.1408, 0.3806, 0.2892, 0.0060], 4)]
    tree = ID3Classifier().fit(_X, _GOOD)
    root = tree.parent_ == 0
    if tree.feature_[0] != 3 or tree.n_node_samples_[root].tolist() != [9, 5, 3]:
        return Check(np.inf, 1, "another root", "01#tree-id3")
    worst += [_gap(tree.gain_[0], 0.3806, 4), fault(np.any(tree.predict(_X) != _GOOD))]
    # Zhou, figure 4.4: below the clear texture the root, then color, then touch; below the slightly blurry one touch.
    inner = tree.feature_[tree.feature_ >= 0].tolist()
    worst.append(0.0 if inner == [3, 1, 0, 5, 5] else np.inf)
    return Check(float(np.max(worst)), 1, "gap in half units of the last digit", "01#tree-id3")


@evidence(
    "c45",
    claim="IV 1.580 and .874, the texture's ratio .263 is chosen; gains of numbers .262 and .349",
    against="01#tree-c45",
)
def watermelon_ratios() -> Check:
    from fivefold.models.trees.multiway import C45Classifier, information_table

    table = information_table(_X, _GOOD, categorical_features=range(6))
    worst = [_gap(table.information[[0, 5]], [1.580, 0.874], 3), _gap(table.ratio[3], 0.263, 3)]
    worst.append(0.0 if C45Classifier(categorical_features=range(6)).fit(_X, _GOOD).feature_[0] == 3 else np.inf)
    numbers = information_table(np.column_stack([_DENSITY, _SUGAR]), _GOOD)
    worst += [_gap(numbers.gain, [0.262, 0.349], 3), _gap(numbers.threshold, [0.3815, 0.126], 4) / 1.0]
    tree = C45Classifier(categorical_features=range(6)).fit(np.column_stack([_X, _DENSITY, _SUGAR]), _GOOD)
    worst.append(fault(np.any(tree.predict(np.column_stack([_X, _DENSITY, _SUGAR])) != _GOOD)))
    return Check(
        float(np.max(worst)), 1.0001, "gap in half units of the last digit", "01#tree-c45 and Zhou, chapter 4.4"
    )


@evidence(
    "c45",
    claim="Gains .252, .171, .145, .424, .289, .006 with missing values; they are shared out 7/15, 5/15, 3/15",
    against="Zhou, chapter 4.4.2",
)
def watermelons_with_gaps() -> Check:
    from fivefold.models.trees.multiway import C45Classifier, information_table

    X = _X.copy()
    for row, column in _LOST:
        X[row - 1, column - 1] = np.nan
    table = information_table(X, _GOOD, categorical_features=range(6))
    worst = [_gap(table.gain, [0.252, 0.171, 0.145, 0.424, 0.289, 0.006], 3)]
    tree = C45Classifier(categorical_features=range(6)).fit(X, _GOOD)
    children = np.flatnonzero(tree.parent_ == 0)
    worst.append(0.0 if tree.feature_[0] == 3 else np.inf)
    # Melons 8 and 10 have no texture: each is in all three branches, with 7/15, 5/15 and 3/15.
    worst.append(_gap(tree.counts_[children].sum(axis=1), np.array([7, 5, 3]) * 17 / 15, 12))
    worst.append(fault(tree.n_node_samples_[children].tolist() != [9, 7, 5]))
    stump = C45Classifier(categorical_features=range(6), max_depth=1).fit(X, _GOOD)
    nodes = np.flatnonzero(stump.parent_ == 0)
    shares = stump.counts_[nodes] / stump.counts_[nodes].sum(axis=1, keepdims=True)
    worst.append(_gap(stump.predict_proba(np.full((1, 6), np.nan))[0], np.array([7, 5, 3]) / 15 @ shares, 12))
    return Check(float(np.max(worst)), 1, "gap in half units of the last digit", "Zhou, chapter 4.4.2")


@evidence(
    "c45",
    claim="The values 3, 7, 1, 9 give the cuts 2, 5, 8; the best one is taken",
    against="01#tree-continuous-split",
)
def midpoints() -> Check:
    from fivefold.models.trees.multiway import C45Classifier

    x, wrong = np.array([[3.0], [7.0], [1.0], [9.0]]), 0
    for labels, cut in (([1, 1, 0, 1], 2.0), ([0, 1, 0, 1], 5.0), ([0, 0, 0, 1], 8.0)):
        tree = C45Classifier().fit(x, labels)
        wrong += tree.threshold_[0] != cut or tree.get_n_leaves() != 2
        wrong += tree.predict([[cut], [np.nextafter(cut, 9)]]).tolist() != [0, 1]
    low = 1.0
    x = np.array([[low], [np.nextafter(low, 2)]])
    wrong += C45Classifier().fit(x, [0, 1]).predict(x).tolist() != [0, 1]
    return Check(wrong, 0, "wrong cuts", "01#tree-continuous-split")


def _entropy(y: np.ndarray, w: np.ndarray) -> float:
    p = np.array([w[y == c].sum() for c in np.unique(y)]) / w.sum()
    return float(-np.sum(p[p > 0] * np.log2(p[p > 0])))


def _recursive(
    X: np.ndarray, y: np.ndarray, w: np.ndarray, levels: set[int], ratio: bool, depth: int, leaf: int, least: int
) -> Any:
    """Return a tree (counts, feature, threshold, {branch: (share, tree)}) by plain recursion."""
    counts = {c: w[y == c].sum() for c in np.unique(y)}
    options = []
    for f in range(X.shape[1]):
        x = X[:, f]
        known = ~np.isnan(x)
        values = np.unique(x[known])
        if len(values) < 2:
            continue
        best = None
        for cut in [np.nan] if f in levels else (values[:-1] + values[1:]) / 2:
            keys = x if np.isnan(cut) else np.where(known, x > cut, np.nan)
            parts = [keys == v for v in np.unique(keys[known])]
            if sum(part.sum() >= leaf for part in parts) < 2:
                continue
            wk = w[known].sum()
            gain = _entropy(y[known], w[known]) - sum(w[p].sum() / wk * _entropy(y[p], w[p]) for p in parts)
            masses = np.array([w[p].sum() for p in parts] + [w[~known].sum()]) / w.sum()
            iv = -np.sum(masses[masses > 0] * np.log2(masses[masses > 0]))
            if best is None or gain > best[0] + 1e-12:
                best = (gain, iv, cut, parts)
        if best is not None:
            share = w[known].sum() / w.sum()
            options.append((f, max(best[0], 0) * share, best[1], best[2], best[3], ~known))
    if len(counts) == 1 or depth == 0 or len(y) < least or not options:
        return counts, -1, np.nan, {}
    if ratio:
        mean = np.mean([o[1] for o in options])
        options = [(*o[:1], o[1] / o[2], *o[2:]) for o in options if o[1] >= mean - 1e-12]
    top = max(o[1] for o in options)
    f, _, _, cut, parts, lost = next(o for o in options if o[1] >= top - 1e-12)
    total = sum(w[p].sum() for p in parts)
    below = {}
    for p in parts:
        share = w[p].sum() / total
        inside = p | lost
        weights = np.where(lost, w * share, w)[inside]
        key = X[p, f][0] if np.isnan(cut) else float(X[p, f][0] > cut)
        below[key] = (share, _recursive(X[inside], y[inside], weights, levels, ratio, depth - 1, leaf, least))
    return counts, f, cut, below


def _answer(tree: Any, x: np.ndarray, classes: np.ndarray) -> np.ndarray:
    counts, f, cut, below = tree
    own = np.array([counts.get(c, 0.0) for c in classes])
    if f < 0:
        return own / own.sum()
    if np.isnan(x[f]):
        return np.sum([share * _answer(sub, x, classes) for share, sub in below.values()], axis=0)
    key = x[f] if np.isnan(cut) else float(x[f] > cut)
    return _answer(below[key][1], x, classes) if key in below else own / own.sum()


def _tables(count: int, name: str, gaps: bool) -> Any:
    for case in range(count):
        rng = Streams(case).numpy(f"multiway-{name}")
        n = int(rng.integers(6, 45))
        X = np.column_stack(
            [rng.integers(0, 3, n), rng.integers(0, 6, n), rng.normal(size=n).round(1), rng.integers(0, 2, n)]
        ).astype(float)
        if gaps and case % 3 > 0:
            X[rng.random(X.shape) < 0.15] = np.nan
        w = np.ones(n) if case % 2 else rng.integers(1, 5, n) / 2
        y = np.digitize(X[:, 0] - X[:, 3] + rng.normal(size=n), [0.3, 1.2] if case % 4 else [0.5])
        y[np.isnan(X[:, 0])] = 0
        yield X, y, w, case


def _like_recursion(kind: Any, ratio: bool, gaps: bool) -> Check:
    wrong = 0
    for X, y, w, case in _tables(40, kind.__name__, gaps):
        levels = [0, 1, 3] if case % 5 else [0, 1, 2, 3]
        depth, leaf, least = (99, 1, 2) if case % 3 else (2 + case % 2, 1 + case % 4, 2 + case % 7)
        model = kind(
            categorical_features=levels,
            max_depth=None if depth == 99 else depth,
            min_samples_leaf=leaf,
            min_samples_split=least,
        ).fit(X, y, w)
        known = _recursive(X, y, w, set(levels), ratio, depth, leaf, least)
        rng = Streams(case).numpy("new")
        new = np.column_stack(
            [rng.integers(0, 4, 30), rng.integers(0, 7, 30), rng.normal(size=30), rng.integers(0, 2, 30)]
        ).astype(float)
        if gaps:
            new[rng.random(new.shape) < 0.2] = np.nan
        for rows in (X, new):
            expected = np.array([_answer(known, x, model.classes_) for x in rows])
            wrong += int(np.sum(~(np.abs(model.predict_proba(rows) - expected).max(axis=1) <= 1e-9)))
            top = expected[np.arange(len(rows)), np.searchsorted(model.classes_, model.predict(rows))]
            wrong += int(np.sum(~(top >= expected.max(axis=1) - 1e-9)))
    return Check(wrong, 0, "rows that differ", "plain recursion")


@evidence(
    "id3",
    claim="Trees of levels and cuts, weights and limits: the answers of a plain recursion",
    against="plain recursion",
)
def id3_by_recursion() -> Check:
    from fivefold.models.trees import ID3Classifier

    return _like_recursion(ID3Classifier, False, False)


@evidence(
    "c45",
    claim="Average-gain rule, ratio, missing values by weights: the answers of a plain recursion",
    against="plain recursion",
)
def c45_by_recursion() -> Check:
    from fivefold.models.trees import C45Classifier

    return _like_recursion(C45Classifier, True, True)


@evidence(
    "id3",
    claim="On numbers, and on levels of two kinds, it is the entropy tree of CART",
    against="DecisionTreeClassifier",
)
def id3_is_entropy_cart() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier, ID3Classifier

    rng = Streams(51).numpy("cart")
    wrong = 0
    for classes in (2, 3):
        X = rng.normal(size=(300, 4)).round(1)
        y = np.digitize(X[:, 0] + X[:, 1] + rng.normal(size=300), np.linspace(-1, 1, classes - 1))
        w = rng.integers(1, 4, 300).astype(float)
        for params in ({}, {"max_depth": 4}, {"min_samples_leaf": 5}, {"min_samples_split": 20}):
            ours = ID3Classifier(categorical_features=[], **params).fit(X, y, w)
            known = DecisionTreeClassifier(criterion="entropy", **params).fit(X, y, w)
            wrong += ours.get_n_leaves() != known.get_n_leaves() or ours.get_depth() != known.get_depth()
            wrong += not np.allclose(ours.predict_proba(X), known.predict_proba(X))
        bits = (X > 0.3).astype(float)
        ours, known = ID3Classifier().fit(bits, y, w), DecisionTreeClassifier(criterion="entropy").fit(bits, y, w)
        wrong += not np.allclose(ours.predict_proba(bits), known.predict_proba(bits))
        zero = ID3Classifier().fit(
            np.vstack([bits, bits]), np.concatenate([y, classes - 1 - y]), np.repeat([1.0, 0.0], 300)
        )
        wrong += not np.allclose(zero.predict_proba(bits), ID3Classifier().fit(bits, y).predict_proba(bits))
    return Check(wrong, 0, "trees that differ", "DecisionTreeClassifier")


@evidence(
    "id3",
    claim="A split without gain is made while an attribute varies; unknown levels get the node's classes",
    against="worked example",
)
def without_gain() -> Check:
    from fivefold.models.trees import ID3Classifier

    xor, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])
    tree = ID3Classifier().fit(xor, y)
    wrong = int(np.sum(tree.predict(xor) != y)) + (tree.get_n_leaves() != 4) + (tree.get_depth() != 2)
    wrong += tree.predict_proba([[7.0, 0.0], [0.0, 7.0]]).tolist() != [[0.5, 0.5], [0.5, 0.5]]
    equal = ID3Classifier().fit(np.zeros((3, 1)), [1, 2, 2])
    wrong += equal.get_depth() != 0 or equal.predict([[0.0]]).tolist() != [2]
    wrong += equal.predict_proba([[5.0]])[0].tolist() != [1 / 3, 2 / 3]
    text = ID3Classifier().fit(_X, _GOOD).export_text(feature_names=_NAMES).splitlines()
    wrong += (
        text[:3] != ["texture [8, 9]", "|   = 0: root [7, 2]", "|   |   = 0: class: good [5, 0]"] or len(text) != 13
    )
    return Check(int(wrong), 0, "facts that differ", "worked example")


def _book(kind: Any) -> Any:
    X = _X[:, _ORDER]
    return kind(criterion="gain", categorical_features=range(6)).fit(
        X[_TRAIN], _GOOD[_TRAIN], validation=(X[_HELD], _GOOD[_HELD])
    )


@evidence(
    "tree-prepruning",
    claim="The watermelons' pre-pruned tree: the navel alone, 42.9 % to 71.4 %",
    against="Zhou, chapter 4.3",
)
def prepruned_watermelons() -> Check:
    from fivefold.models.trees import ID3Classifier, PrePrunedTreeClassifier

    X = _X[:, _ORDER]
    whole = ID3Classifier().fit(X[_TRAIN], _GOOD[_TRAIN])
    tree = _book(PrePrunedTreeClassifier)
    wrong = not abs(whole.score(X[_HELD], _GOOD[_HELD]) - 3 / 7) <= 1e-12
    wrong += (
        not abs(tree.validation_score_ - 5 / 7) <= 1e-12 or not abs(tree.score(X[_HELD], _GOOD[_HELD]) - 5 / 7) <= 1e-12
    )
    wrong += tree.export_text(feature_names=[_NAMES[i] for i in _ORDER]).splitlines() != [
        "navel [5, 5]", "|   = 0: class: good [3, 1]", "|   = 1: class: good [2, 2]", "|   = 2: class: poor [0, 2]"
    ]  # fmt: skip
    return Check(int(wrong), 0, "facts that differ", "Zhou, chapter 4.3")


@evidence(
    "tree-postpruning",
    claim="The watermelons' post-pruned tree keeps the root branch, 71.4 %",
    against="Zhou, chapter 4.3",
)
def postpruned_watermelons() -> Check:
    from fivefold.models.trees import PostPrunedTreeClassifier, PrePrunedTreeClassifier

    tree = _book(PostPrunedTreeClassifier)
    X = _X[:, _ORDER]
    wrong = (
        not abs(tree.validation_score_ - 5 / 7) <= 1e-12 or not abs(tree.score(X[_HELD], _GOOD[_HELD]) - 5 / 7) <= 1e-12
    )
    wrong += tree.feature_[tree.feature_ >= 0].tolist() != [0, 2, 1]  # navel, root, color
    wrong += not tree.get_n_leaves() > _book(PrePrunedTreeClassifier).get_n_leaves()
    ties = PostPrunedTreeClassifier(criterion="gain", categorical_features=range(6), prune_ties=True)
    ties.fit(X[_TRAIN], _GOOD[_TRAIN], validation=(X[_HELD], _GOOD[_HELD]))
    # Occam: the color below the root changes no answer, then neither does the root.
    wrong += ties.feature_[ties.feature_ >= 0].tolist() != [0] or not abs(ties.validation_score_ - 5 / 7) <= 1e-12
    return Check(int(wrong), 0, "facts that differ", "Zhou, chapter 4.3")


def _noisy(name: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = Streams(52).numpy(name)
    X = np.column_stack(
        [rng.integers(0, 4, n), rng.integers(0, 3, n), rng.normal(size=(n, 2)).round(1).T[0], rng.normal(size=n)]
    )
    return X, np.digitize(X[:, 0] / 2 + X[:, 3] + rng.normal(size=n), [0.3, 1.5])


def _below(tree: Any, node: int) -> list[int]:
    """Return the nodes of a branch, the node itself included."""
    inside = [node]
    for other in range(node + 1, len(tree.parent_)):
        if tree.parent_[other] in inside:
            inside.append(other)
    return inside


@evidence(
    "tree-postpruning",
    claim="No pruning of the whole tree is better on the validation rows; accuracy never falls",
    against="dynamic programming on the whole tree",
)
def best_pruning() -> Check:
    from fivefold.models.trees import C45Classifier, ID3Classifier, PostPrunedTreeClassifier

    wrong = 0
    for case in range(6):
        X, y = _noisy(f"post-{case}", 160)
        V, truth = _noisy(f"held-{case}", 90)
        options: dict[str, Any] = {"categorical_features": [0, 1], "min_samples_leaf": 1 + case % 3}
        for criterion, kind in (("gain", ID3Classifier), ("gain-ratio", C45Classifier)):
            whole = kind(**options).fit(X, y)
            tree = PostPrunedTreeClassifier(criterion=criterion, **options).fit(X, y, validation=(V, truth))
            # Where every validation row goes in the whole tree, one by one.
            m, labels = len(whole.parent_), whole.classes_[whole.counts_.argmax(axis=1)]
            paths = []
            for x in V:
                at, path = 0, [0]
                while whole.feature_[at] >= 0:
                    value = x[whole.feature_[at]]
                    key = value if np.isnan(whole.threshold_[at]) else float(value > whole.threshold_[at])
                    following = np.flatnonzero((whole.parent_ == at) & (whole.branch_ == key))
                    if len(following) == 0:
                        break
                    at = int(following[0])
                    path.append(at)
                paths.append(path)
            best = np.zeros(m)
            for node in range(m - 1, -1, -1):
                here = [i for i, path in enumerate(paths) if node in path]
                leaf = sum(truth[i] == labels[node] for i in here)
                stopped = sum(truth[i] == labels[node] for i in here if paths[i][-1] == node)
                below = stopped + sum(best[c] for c in np.flatnonzero(whole.parent_ == node))
                best[node] = max(leaf, below)
            wrong += not abs(tree.validation_score_ * 90 - best[0]) <= 1e-9
            wrong += not abs(tree.score(V, truth) - tree.validation_score_) <= 1e-12
            wrong += not tree.validation_score_ >= whole.score(V, truth) - 1e-12
            small = PostPrunedTreeClassifier(criterion=criterion, prune_ties=True, **options).fit(
                X, y, validation=(V, truth)
            )
            wrong += (
                not abs(small.validation_score_ - tree.validation_score_) <= 1e-12
                or not small.get_n_leaves() <= tree.get_n_leaves()
            )
            wrong += any(small.parent_[1:] >= np.arange(1, len(small.parent_)))
    return Check(int(wrong), 0, "facts that differ", "dynamic programming")


@evidence(
    "tree-prepruning",
    claim="Every split raises the accuracy, and every leaf's best split would not",
    against="the tree itself, split by split",
)
def every_split_helps() -> Check:
    from fivefold.models.trees import C45Classifier, PrePrunedTreeClassifier

    wrong = 0
    for case in range(8):
        X, y = _noisy(f"pre-{case}", 200)
        V, truth = _noisy(f"pre-held-{case}", 120)
        options: dict[str, Any] = {"categorical_features": [0, 1], "min_samples_leaf": 2}
        tree = PrePrunedTreeClassifier(**options).fit(X, y, validation=(V, truth))
        at = np.array([_leaf_rows(tree, X), _leaf_rows(tree, V)], dtype=object)
        for node in range(len(tree.parent_)):
            inside = _below(tree, node)
            rows, held = (np.flatnonzero(np.isin(a, inside)) for a in at)
            stump = C45Classifier(max_depth=1, **options).fit(X[rows], y[rows])
            if len(held) == 0:
                wrong += not tree.feature_[node] < 0
                continue
            majority = stump.classes_[stump.counts_[0].argmax()]
            gain = np.sum(stump.predict(V[held]) == truth[held]) - np.sum(truth[held] == majority)
            wrong += (tree.feature_[node] >= 0) != (gain > 0 and stump.feature_[0] >= 0)
            wrong += not tree.feature_[node] < 0 and tree.feature_[node] != stump.feature_[0]
    return Check(int(wrong), 0, "nodes that differ", "split by split")


def _leaf_rows(tree: Any, X: np.ndarray) -> np.ndarray:
    """Return the node where each row stops."""
    out = np.empty(len(X), dtype=int)
    for i, x in enumerate(X):
        at = 0
        while tree.feature_[at] >= 0:
            value = x[tree.feature_[at]]
            key = value if np.isnan(tree.threshold_[at]) else float(value > tree.threshold_[at])
            following = np.flatnonzero((tree.parent_ == at) & (tree.branch_ == key))
            if len(following) == 0:
                break
            at = int(following[0])
        out[i] = at
    return out


def _kept_share(kind: Any) -> int:
    """Count violations of the rule that a stratified share is kept for validation."""
    X, y = _noisy("share", 200)
    wrong = 0
    for share in (0.3, 0.5):
        tree = kind(validation_fraction=share, random_state=0).fit(X, y)
        sizes = np.array([round(share * c) for c in np.bincount(y)])
        wrong += not np.array_equal(tree.counts_[0], np.bincount(y) - sizes)
        again = kind(validation_fraction=share, random_state=0).fit(X, y)
        other = kind(validation_fraction=share, random_state=1).fit(X, y)
        wrong += not np.array_equal(tree.counts_, again.counts_) or np.array_equal(tree.counts_, other.counts_)
    few = kind(validation_fraction=0.9, random_state=0).fit(np.arange(6.0)[:, None], [0, 0, 0, 1, 1, 1])
    wrong += few.counts_[0].tolist() != [1, 1]  # one row of a class always stays
    default = kind(random_state=0).fit(X, y)
    wrong += default.criterion != "gain-ratio" or not np.array_equal(
        default.counts_, kind(validation_fraction=0.3, random_state=0).fit(X, y).counts_
    )
    wrong += kind(random_state=0).fit([[0.0], [1.0]], [0, 1]).counts_[0].tolist() != [
        1,
        1,
    ]  # one row a class: none to spare
    unknown = kind().fit([[0.0], [1.0]], [0, 1], validation=([[0.0], [1.0]], [0, 5]))
    wrong += unknown.validation_score_ != 0.5
    return int(wrong)


@evidence(
    "tree-prepruning",
    claim="Without a validation set a stratified share of the rows is kept for it",
    against="definition",
)
def share_kept_before() -> Check:
    from fivefold.models.trees import PrePrunedTreeClassifier

    return Check(_kept_share(PrePrunedTreeClassifier), 0, "violations", "definition")


@evidence(
    "tree-postpruning",
    claim="Without a validation set a stratified share of the rows is kept for it",
    against="definition",
)
def share_kept_after() -> Check:
    from fivefold.models.trees import PostPrunedTreeClassifier

    return Check(_kept_share(PostPrunedTreeClassifier), 0, "violations", "definition")


@evidence(
    "c45",
    claim="Outline and picture show cuts, levels and weights with the decimals asked for",
    against="worked example",
)
def outline_and_picture() -> Check:
    from xml.etree import ElementTree

    from fivefold.models.trees import C45Classifier

    x = np.array([[0.0, 1.123456], [0.0, 2.0], [1.0, 5.0], [1.0, 6.5]])
    tree = C45Classifier(categorical_features=[0]).fit(x, ["a", "b", "c", "c"], [1.0, 0.5, 2.25, 1.125])
    wrong = tree.export_text().splitlines() != [
        "feature_0 [1, 0.5, 3.38]",
        "|   = 0: feature_1 [1, 0.5, 0]",
        "|   |   <= 1.56: class: a [1, 0, 0]",
        "|   |   > 1.56: class: b [0, 0.5, 0]",
        "|   = 1: class: c [0, 0, 3.38]",
    ]
    rough = tree.export_text(feature_names=["u", "v"], decimals=0).splitlines()
    wrong += rough[0] != "u [1, 0, 3]" or rough[2] != "|   |   <= 2: class: a [1, 0, 0]"
    for options, cut in (({}, "<= 1.56"), ({"decimals": 0}, "<= 2")):
        texts = [e.text for e in ElementTree.fromstring(tree.export_svg(**options)).iter() if e.tag.endswith("text")]
        wrong += texts[:4] != ["= 0", "= 1", "feature_0", texts[3]] or cut not in texts
        wrong += len(texts) != 5 * 2 + 4
    wrong += tree.get_depth() != 2 or tree.get_n_leaves() != 3 or tree.n_node_samples_.tolist() != [4, 2, 1, 1, 2]
    return Check(int(wrong), 0, "lines that differ", "worked example")


@evidence(
    "id3", claim="In the picture no boxes overlap, and lines join each parent to its children", against="geometry"
)
def picture_without_overlaps() -> Check:
    from xml.etree import ElementTree

    from fivefold.models.trees import ID3Classifier

    tree = ID3Classifier().fit(_X, _GOOD)
    picture = ElementTree.fromstring(tree.export_svg(feature_names=[name * 4 for name in _NAMES]))
    name = "{http://www.w3.org/2000/svg}"
    numbers = ("x", "y", "width", "height")
    boxes = [[float(box.get(key, "nan")) for key in numbers] for box in picture.findall(f"{name}rect")]
    lines = [
        [float(line.get(key, "nan")) for key in ("x1", "y1", "x2", "y2")] for line in picture.findall(f"{name}line")
    ]
    left, top, wide, high = (float(v) for v in picture.get("viewBox", "").split())
    m = len(tree.parent_)
    wrong = (len(boxes) != m) + (len(lines) != m - 1)
    joined = set()
    for x1, y1, x2, y2 in lines:
        ends = [
            [i for i, (x, y, w, h) in enumerate(boxes) if abs(x + w / 2 - a) < 0.2 and abs(y + edge * h - b) < 0.2]
            for a, b, edge in ((x1, y1, 1), (x2, y2, 0))
        ]
        wrong += [len(end) for end in ends] != [1, 1]
        joined.add((ends[0][0], ends[1][0]))
    wrong += joined != {(int(tree.parent_[i]), i) for i in range(1, m)}  # boxes come in preorder, as the nodes do
    for i, (x, y, w, h) in enumerate(boxes):
        wrong += not (left <= x and x + w <= left + wide and top <= y and y + h <= top + high)
        wrong += y != 84 * tree.node_depth_[i]
        for a, b, c, _ in boxes[:i]:
            wrong += b == y and not (x + w <= a or a + c <= x)
    return Check(int(wrong), 0, "faults of the picture", "geometry")
