"""Trees pruned on a validation set (Quinlan 1987): before a split is made, or after the whole tree is grown."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from fivefold.base.checks import choice, real
from fivefold.base.errors import DataError
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data, sample_weights

from ._branches import BranchingTree, route


class _Pruned(BranchingTree):
    """What the two share: parameters and the validation rows."""

    _expected_failed_checks: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "the rows kept for validation are drawn, repeated ones one by one",
    }

    def __init__(
        self,
        *,
        criterion: str = "gain-ratio",
        categorical_features: Any = None,
        max_depth: int | None = None,
        min_samples_split: int | float = 2,
        min_samples_leaf: int = 1,
        validation_fraction: float = 0.3,
        random_state: Any = None,
    ) -> None:
        self.criterion = criterion
        self.categorical_features = categorical_features
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    @property
    def _by_ratio(self) -> bool:  # type: ignore[override]
        return self.criterion == "gain-ratio"

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation: Any = None) -> Self:
        """Grow on X (n, d) and labels y (n,), with optional weights (n,) >= 0, and prune on the validation rows.

        ``validation`` is a pair (X, y), with unit weights; without it a random, stratified share of the rows is kept for it.
        """
        choice("criterion", self.criterion, ("gain", "gain-ratio"))
        share = real("validation_fraction", self.validation_fraction, low=0.0, high=1.0, above=True, below=True)
        X, codes, weight = self._checked(X, y, sample_weight)
        if validation is None:
            kept = _hold_out(codes, share, Streams.of(self.random_state))
            held = (X[kept], codes[kept], weight[kept])
            X, codes, weight = X[~kept], codes[~kept], weight[~kept]
        else:
            held = self._given(validation)
        self._fit_pruned(X, codes, weight, held)
        right, total = self._right(*held), float(held[2].sum())
        self.validation_score_ = right / total if total > 0 else np.nan
        return self

    def _given(self, validation: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            raise DataError(
                "`validation` is no pair (X, y); give the rows and the labels that the pruning is judged by."
            )
        X, y = checked_data(self, validation[0], validation[1], reset=False, ensure_all_finite="allow-nan")
        # A class that the training rows lack is never right.
        at = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        codes = np.where(self.classes_[at] == y, at, -1)
        return X.astype(np.float64), codes, np.asarray(sample_weights(np.ones(len(X)), len(X)))

    def _right(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
        """Return the weight of the rows whose answer is right."""
        if len(X) == 0:
            return 0.0
        shares, out = self.counts_ / self.counts_.sum(axis=1, keepdims=True), np.zeros((len(X), len(self.classes_)))
        for node, rows, w, stopped in self._visits(X, np.ones(len(X))):
            out[rows[stopped]] += w[stopped, None] * shares[node]
        return float(weight[out.argmax(axis=1) == y].sum())

    def _fit_pruned(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, held: Any) -> None:
        raise NotImplementedError


class PrePrunedTreeClassifier(_Pruned):
    r"""Tree that makes a split only where it raises the accuracy on a validation set.

    .. math:: \text{split } t \iff \sum_{v} \sum_{i \in V_{t,v}} w_i [y_i = c(t_v)] > \sum_{i \in V_t} w_i [y_i = c(t)]

    with V the validation rows of the node and c the largest class of the training rows.

    Parameters
    ----------
    criterion : {"gain-ratio", "gain"}, default "gain-ratio"
        C4.5's measure or ID3's.
    categorical_features, max_depth, min_samples_split, min_samples_leaf
        As for :class:`C45Classifier`.
    validation_fraction : float in (0, 1), default 0.3
        Share of each class that is kept for validation when ``fit`` is given none.
    random_state : int, Generator or None
        Draws that share.

    Attributes
    ----------
    validation_score_ : float, accuracy on the validation rows
    classes_, parent_, feature_, branch_, threshold_, gain_, counts_, node_depth_, n_node_samples_
        As for :class:`ID3Classifier`.

    Raises
    ------
    DataError
        Infinite values, unequal lengths, continuous targets, or a ``validation`` that is no pair.
    InputError
        A parameter outside its range.

    Notes
    -----
    A split that leaves the accuracy as it is is not made, and so two splits that help only together are missed: pre-pruning is
    quick and may underfit. A validation row with a missing value counts in every branch with its share.

    References
    ----------
    Quinlan, Simplifying Decision Trees, 1987; Zhou, Machine Learning, chapter 4.3; ``01#tree-prepruning``.

    Examples
    --------
    >>> tree = PrePrunedTreeClassifier().fit([[0.0], [1.0]], ["a", "b"], validation=([[0.0], [1.0]], ["a", "b"]))
    >>> tree.get_n_leaves()
    2
    """

    def _fit_pruned(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, held: Any) -> None:
        V, truth, mass = held

        def accept(own: Any, split: Any, label: int, labels: list[int]) -> Any:
            rows, w = own
            f, threshold, branches, masses = split
            before = w[truth[rows] == label].sum()
            parts = route(V[rows, f], w, threshold, branches, masses)
            stays = np.ones(len(rows), dtype=bool)
            after, states = 0.0, []
            for (inside, share), c in zip(parts, labels, strict=True):
                stays[inside] = False
                after += share[truth[rows[inside]] == c].sum()
                states.append((rows[inside], share))
            after += w[stays & (truth[rows] == label)].sum()
            return states if after > before + 1e-12 * (1 + before) else None

        self._grow(X, y, weight, accept, (np.arange(len(V)), mass))


class PostPrunedTreeClassifier(_Pruned):
    r"""Whole tree whose branches are replaced by leaves, from the bottom up, where a validation set is answered better.

    .. math:: \text{prune } t \iff \sum_{i \in V_t} w_i [y_i = c(t)] > \sum_{\ell \text{ below } t}
              \sum_{i \in V_\ell} w_i [y_i = c(\ell)]

    Parameters
    ----------
    criterion, categorical_features, max_depth, min_samples_split, min_samples_leaf, validation_fraction, random_state
        As for :class:`PrePrunedTreeClassifier`.
    prune_ties : bool, default False
        Replace a branch also where that changes nothing, for the smaller tree.

    Attributes
    ----------
    validation_score_ : float, accuracy on the validation rows
    classes_, parent_, feature_, branch_, threshold_, gain_, counts_, node_depth_, n_node_samples_
        As for :class:`ID3Classifier`.

    Raises
    ------
    DataError
        Infinite values, unequal lengths, continuous targets, or a ``validation`` that is no pair.
    InputError
        A parameter outside its range.

    Notes
    -----
    Reduced-error pruning: without missing values the accuracy on the validation set never falls, and no smaller tree of the
    same root is better on it. It keeps more branches than pre-pruning, and takes longer. (CART's cost-complexity pruning needs
    no validation rows but a price for leaves.)

    References
    ----------
    Quinlan, Simplifying Decision Trees, 1987; Zhou, Machine Learning, chapter 4.3; ``01#tree-postpruning``.

    Examples
    --------
    >>> tree = PostPrunedTreeClassifier().fit([[0.0], [1.0]], ["a", "b"], validation=([[0.0], [1.0]], ["a", "a"]))
    >>> tree.get_n_leaves()
    1
    """

    def __init__(
        self,
        *,
        criterion: str = "gain-ratio",
        categorical_features: Any = None,
        max_depth: int | None = None,
        min_samples_split: int | float = 2,
        min_samples_leaf: int = 1,
        validation_fraction: float = 0.3,
        prune_ties: bool = False,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            criterion=criterion,
            categorical_features=categorical_features,
            max_depth=max_depth,
            min_samples_split=min_samples_split,
            min_samples_leaf=min_samples_leaf,
            validation_fraction=validation_fraction,
            random_state=random_state,
        )
        self.prune_ties = prune_ties

    def _fit_pruned(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, held: Any) -> None:
        self._grow(X, y, weight)
        V, truth, mass = held
        m, labels = len(self.parent_), self.counts_.argmax(axis=1)
        as_leaf, below = np.zeros(m), np.zeros(m)
        if len(V):
            for node, rows, w, stopped in self._visits(V, mass):
                hit = truth[rows] == labels[node]
                as_leaf[node] = w[hit].sum()
                below[node] += w[hit & stopped].sum()
        pruned = np.zeros(m, dtype=bool)
        for node in range(m - 1, -1, -1):  # children come after their parent
            inner = self.feature_[node] >= 0
            slack = 1e-12 * (1 + below[node])
            if inner and (
                as_leaf[node] > below[node] + slack or (self.prune_ties and as_leaf[node] >= below[node] - slack)
            ):
                pruned[node], below[node] = True, as_leaf[node]
            if node > 0:
                below[self.parent_[node]] += below[node]
        gone = np.zeros(m, dtype=bool)
        for node in range(1, m):
            gone[node] = gone[self.parent_[node]] or pruned[self.parent_[node]]
        self._keep(~gone, pruned)

    def _keep(self, kept: np.ndarray, leaves: np.ndarray) -> None:
        """Keep the marked nodes and make leaves of others."""
        self.feature_ = np.where(leaves, -2, self.feature_)
        self.threshold_ = np.where(leaves, np.nan, self.threshold_)
        self.gain_ = np.where(leaves, 0.0, self.gain_)
        number = np.cumsum(kept) - 1
        for name in (
            "parent_",
            "branch_",
            "node_depth_",
            "feature_",
            "threshold_",
            "gain_",
            "counts_",
            "n_node_samples_",
        ):
            setattr(self, name, getattr(self, name)[kept])
        self.parent_ = np.where(self.parent_ < 0, -1, number[self.parent_])


def _hold_out(codes: np.ndarray, share: float, streams: Streams) -> np.ndarray:
    """Mark a rounded share of each class at random; a class of one row, and a single row, stay in training."""
    kept = np.zeros(len(codes), dtype=bool)
    for c in np.unique(codes):
        rows = np.flatnonzero(codes == c)
        count = min(len(rows) - 1, round(share * len(rows)))
        kept[streams.numpy("validation", int(c)).permutation(rows)[:count]] = True
    return kept
