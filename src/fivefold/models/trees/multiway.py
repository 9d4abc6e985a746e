"""ID3 and C4.5 (Quinlan 1986, 1993): trees with a branch for every level of an attribute."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils import Bunch

from . import _multiway as k
from ._branches import BranchingTree, midpoint


class ID3Classifier(BranchingTree):
    r"""Tree that splits on the attribute with the largest information gain, a branch for every level.

    .. math:: \mathrm{Gain}(D, a) = \mathrm{Ent}(D) - \sum_v \frac{|D_v|}{|D|} \mathrm{Ent}(D_v), \qquad
              \mathrm{Ent}(D) = -\sum_k p_k \log_2 p_k

    Parameters
    ----------
    categorical_features : boolean mask (d,), column numbers or names, optional
        Columns whose numbers are levels. Default: all, for ID3 knows nothing else; the others are cut in two at the best
        mid-point.
    max_depth : int >= 1, optional
    min_samples_split : int >= 2 or float in (0, 1], default 2
        Rows a node needs to be split.
    min_samples_leaf : int >= 1, default 1
        Rows that at least two branches must have.

    Attributes
    ----------
    classes_ : array (K,)
    parent_, feature_, node_depth_, n_node_samples_ : int arrays (m,) in preorder; the root's parent is -1, a leaf's feature -2
    branch_ : float array (m,), the level that leads to the node; at a cut 0 for ``<=`` and 1 for ``>``
    threshold_ : float array (m,), NaN but at a cut
    gain_ : float array (m,), in bits
    counts_ : float array (m, K), weights of the classes

    Raises
    ------
    DataError
        Missing or infinite values, unequal lengths, or continuous targets.
    InputError
        A parameter outside its range.

    Notes
    -----
    A node is split as long as an attribute varies in it, even for a gain of 0. A level that no training row of a node had
    stops there and gets the classes of the node. The first attribute of equal gains (to 1e-12) wins.

    References
    ----------
    Quinlan, Induction of Decision Trees, 1986; ``01#tree-id3``.

    Examples
    --------
    >>> tree = ID3Classifier().fit([[0, 0], [0, 1], [1, 0], [2, 1]], ["no", "no", "yes", "yes"])
    >>> tree.predict([[0, 1], [2, 0]]).tolist()
    ['no', 'yes']
    """

    _takes_missing = False

    def __init__(
        self,
        *,
        categorical_features: Any = None,
        max_depth: int | None = None,
        min_samples_split: int | float = 2,
        min_samples_leaf: int = 1,
    ) -> None:
        self.categorical_features = categorical_features
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf

    def _categorical(self, n_features: int) -> Any:
        return np.ones(n_features, dtype=bool) if self.categorical_features is None else self.categorical_features

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the tree on X (n, d) and labels y (n,), with optional weights (n,) >= 0."""
        self._grow(*self._checked(X, y, sample_weight))
        return self


class C45Classifier(BranchingTree):
    r"""Tree that splits by gain ratio among the attributes of at least average gain; numbers are cut, gaps are shared out.

    .. math:: \mathrm{Ratio}(D, a) = \frac{\mathrm{Gain}(D, a)}{\mathrm{IV}(a)}, \qquad
              \mathrm{IV}(a) = -\sum_v \frac{|D_v|}{|D|} \log_2 \frac{|D_v|}{|D|}

    Parameters
    ----------
    categorical_features : boolean mask (d,), column numbers or names, optional
        Columns whose numbers are levels, a branch each. Default: none; the others are cut in two at the mid-point of the
        largest gain.
    max_depth : int >= 1, optional
    min_samples_split : int >= 2 or float in (0, 1], default 2
        Rows a node needs to be split.
    min_samples_leaf : int >= 1, default 1
        Rows that at least two branches must have (C4.5's own default is 2).

    Attributes
    ----------
    classes_, parent_, feature_, branch_, threshold_, gain_, counts_, node_depth_, n_node_samples_
        As for :class:`ID3Classifier`.

    Raises
    ------
    DataError
        Infinite values, unequal lengths, or continuous targets.
    InputError
        A parameter outside its range.

    Notes
    -----
    Gain favors attributes with many levels, the ratio those with few; hence the ratio only among gains that reach the mean of
    all attributes that vary at the node. A row whose value is missing takes part in neither side of the gain, which is
    multiplied by the share of known weight; missing values are a group of their own in IV; the row then enters every branch
    with the branch's share of the known weight, in training as in prediction. Thresholds are mid-points of neighboring values
    (Quinlan takes the largest training value below them); Quinlan's later penalty on cuts and pessimistic pruning are not
    part: see :class:`PostPrunedTreeClassifier`.

    References
    ----------
    Quinlan, C4.5: Programs for Machine Learning, 1993; ``01#tree-c45``, ``01#tree-continuous-split``.

    Examples
    --------
    >>> tree = C45Classifier().fit([[3.0], [7.0], [1.0], [9.0]], ["a", "b", "a", "b"])
    >>> float(tree.threshold_[0])
    5.0
    """

    _by_ratio = True

    def __init__(
        self,
        *,
        categorical_features: Any = None,
        max_depth: int | None = None,
        min_samples_split: int | float = 2,
        min_samples_leaf: int = 1,
    ) -> None:
        self.categorical_features = categorical_features
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the tree on X (n, d) and labels y (n,), with optional weights (n,) >= 0."""
        self._grow(*self._checked(X, y, sample_weight))
        return self


def information_table(X: Any, y: Any, sample_weight: Any = None, *, categorical_features: Any = None) -> Bunch:
    """Return what ID3 and C4.5 know of every attribute before the first split.

    Parameters
    ----------
    X : array (n, d)
    y : array (n,)
    sample_weight : array (n,), optional
    categorical_features : boolean mask (d,), column numbers or names, optional
        Default: none.

    Returns
    -------
    Bunch
        ``entropy`` of the classes in bits; ``gain``, ``information`` (IV), ``ratio`` and ``threshold`` (d,), NaN where an
        attribute does not vary, thresholds but at cuts.
    """
    tree = C45Classifier(categorical_features=categorical_features)
    X, codes, weight = tree._checked(X, y, sample_weight)
    n_classes, d = len(tree.classes_), X.shape[1]
    p = np.bincount(codes, weights=weight, minlength=n_classes) / weight.sum()
    ranks, thresholds, values = np.full((d, len(X)), k.ABSENT), np.full(d, np.nan), []
    for f in range(d):
        known = ~np.isnan(X[:, f])
        levels, ranks[f, known] = np.unique(X[known, f], return_inverse=True)
        values.append(levels)
    table = np.empty((d, 4))
    k.evaluate(ranks, np.arange(len(X)), weight, codes, n_classes, ~tree.categorical_, 1, table)
    for f in range(d):
        if table[f, k.LOW] >= 0:
            thresholds[f] = midpoint(values[f][int(table[f, k.LOW])], values[f][int(table[f, k.HIGH])])
    gain = np.where(table[:, k.GAIN] < 0, np.nan, table[:, k.GAIN])
    information = np.where(np.isnan(gain), np.nan, table[:, k.INFORMATION])
    entropy = float(-np.sum(p[p > 0] * np.log2(p[p > 0])))
    return Bunch(entropy=entropy, gain=gain, information=information, ratio=gain / information, threshold=thresholds)
