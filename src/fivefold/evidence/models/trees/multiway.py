"""ID3 and C4.5: the watermelons, a tree written by recursion, CART where the two must agree, the picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, fault

from .splits import WATERMELONS

MELONS = WATERMELONS[:, :6].astype(float)
GOOD = np.where(WATERMELONS[:, 6] == 1, "good", "poor")
NAMES = ["color", "root", "sound", "texture", "navel", "touch"]
# Watermelon data 3.0 (Zhou, table 4.3): density and sugar.
_DENSITY = [
    0.697, 0.774, 0.634, 0.608, 0.556, 0.403, 0.481, 0.437, 0.666, 0.243, 0.245, 0.343, 0.639, 0.657, 0.360, 0.593, 0.719,
]  # fmt: skip
_SUGAR = [
    0.460, 0.376, 0.264, 0.318, 0.215, 0.237, 0.149, 0.211, 0.091, 0.267, 0.057, 0.099, 0.161, 0.198, 0.370, 0.042, 0.103,
]  # fmt: skip
# Values that watermelon data 2.0α (Zhou, table 4.4) lacks: row and column, counted from 1.
_LOST = [(1, 1), (2, 6), (3, 3), (5, 1), (6, 5), (8, 4), (9, 2), (10, 4), (11, 6), (12, 3), (13, 1), (15, 5), (17, 2)]


def _gap(found: Any, known: Any, digits: int) -> float:
    """Return by how much the largest difference exceeds the rounding of the known numbers."""
    return float(np.abs(np.asarray(found) - known).max() / (0.5 * 10.0**-digits))


@evidence(
    "id3", claim="Entropy .998 and the six gains of the watermelons; texture splits 9, 5, 3", against="01#tree-id3"
)
def watermelon_gains() -> Check:
    from fivefold.models.trees.multiway import ID3Classifier, information_table

    table = information_table(MELONS, GOOD, categorical_features=range(6))
    worst = [_gap(table.entropy, 0.998, 3), _gap(table.gain, [0.1081, 0.1427, 0.1408, 0.3806, 0.2892, 0.0060], 4)]
    tree = ID3Classifier().fit(MELONS, GOOD)
    root = tree.parent_ == 0
    if tree.feature_[0] != 3 or tree.n_node_samples_[root].tolist() != [9, 5, 3]:
        return Check(np.inf, 1, "another root", "01#tree-id3")
    worst += [_gap(tree.gain_[0], 0.3806, 4), fault(np.any(tree.predict(MELONS) != GOOD))]
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

    table = information_table(MELONS, GOOD, categorical_features=range(6))
    worst = [_gap(table.information[[0, 5]], [1.580, 0.874], 3), _gap(table.ratio[3], 0.263, 3)]
    worst.append(0.0 if C45Classifier(categorical_features=range(6)).fit(MELONS, GOOD).feature_[0] == 3 else np.inf)
    numbers = information_table(np.column_stack([_DENSITY, _SUGAR]), GOOD)
    worst += [_gap(numbers.gain, [0.262, 0.349], 3), _gap(numbers.threshold, [0.3815, 0.126], 4) / 1.0]
    tree = C45Classifier(categorical_features=range(6)).fit(np.column_stack([MELONS, _DENSITY, _SUGAR]), GOOD)
    worst.append(fault(np.any(tree.predict(np.column_stack([MELONS, _DENSITY, _SUGAR])) != GOOD)))
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

    X = MELONS.copy()
    for row, column in _LOST:
        X[row - 1, column - 1] = np.nan
    table = information_table(X, GOOD, categorical_features=range(6))
    worst = [_gap(table.gain, [0.252, 0.171, 0.145, 0.424, 0.289, 0.006], 3)]
    tree = C45Classifier(categorical_features=range(6)).fit(X, GOOD)
    children = np.flatnonzero(tree.parent_ == 0)
    worst.append(0.0 if tree.feature_[0] == 3 else np.inf)
    # Melons 8 and 10 have no texture: each is in all three branches, with 7/15, 5/15 and 3/15.
    worst.append(_gap(tree.counts_[children].sum(axis=1), np.array([7, 5, 3]) * 17 / 15, 12))
    worst.append(fault(tree.n_node_samples_[children].tolist() != [9, 7, 5]))
    stump = C45Classifier(categorical_features=range(6), max_depth=1).fit(X, GOOD)
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
    text = ID3Classifier().fit(MELONS, GOOD).export_text(feature_names=NAMES).splitlines()
    wrong += (
        text[:3] != ["texture [8, 9]", "|   = 0: root [7, 2]", "|   |   = 0: class: good [5, 0]"] or len(text) != 13
    )
    return Check(int(wrong), 0, "facts that differ", "worked example")


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

    tree = ID3Classifier().fit(MELONS, GOOD)
    picture = ElementTree.fromstring(tree.export_svg(feature_names=[name * 4 for name in NAMES]))
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
