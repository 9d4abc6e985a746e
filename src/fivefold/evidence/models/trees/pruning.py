"""Pruning of ID3 and C4.5 while they grow and afterwards: the watermelons, the best pruning, shares kept for validation."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence

from .multiway import GOOD, MELONS, NAMES

# Rows of the training and the validation set of the chapter on pruning (Zhou, table 4.2), navel first: of equal gains the book
# takes the navel.
_ORDER = [4, 0, 1, 2, 3, 5]
_TRAIN = np.array([1, 2, 3, 6, 7, 10, 14, 15, 16, 17]) - 1
_HELD = np.array([4, 5, 8, 9, 11, 12, 13]) - 1


def _book(kind: Any) -> Any:
    X = MELONS[:, _ORDER]
    return kind(criterion="gain", categorical_features=range(6)).fit(
        X[_TRAIN], GOOD[_TRAIN], validation=(X[_HELD], GOOD[_HELD])
    )


@evidence(
    "tree-prepruning",
    claim="The watermelons' pre-pruned tree: the navel alone, 42.9 % to 71.4 %",
    against="Zhou, chapter 4.3",
)
def prepruned_watermelons() -> Check:
    from fivefold.models.trees import ID3Classifier, PrePrunedTreeClassifier

    X = MELONS[:, _ORDER]
    whole = ID3Classifier().fit(X[_TRAIN], GOOD[_TRAIN])
    tree = _book(PrePrunedTreeClassifier)
    wrong = not abs(whole.score(X[_HELD], GOOD[_HELD]) - 3 / 7) <= 1e-12
    wrong += (
        not abs(tree.validation_score_ - 5 / 7) <= 1e-12 or not abs(tree.score(X[_HELD], GOOD[_HELD]) - 5 / 7) <= 1e-12
    )
    wrong += tree.export_text(feature_names=[NAMES[i] for i in _ORDER]).splitlines() != [
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
    X = MELONS[:, _ORDER]
    wrong = (
        not abs(tree.validation_score_ - 5 / 7) <= 1e-12 or not abs(tree.score(X[_HELD], GOOD[_HELD]) - 5 / 7) <= 1e-12
    )
    wrong += tree.feature_[tree.feature_ >= 0].tolist() != [0, 2, 1]  # navel, root, color
    wrong += not tree.get_n_leaves() > _book(PrePrunedTreeClassifier).get_n_leaves()
    ties = PostPrunedTreeClassifier(criterion="gain", categorical_features=range(6), prune_ties=True)
    ties.fit(X[_TRAIN], GOOD[_TRAIN], validation=(X[_HELD], GOOD[_HELD]))
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
