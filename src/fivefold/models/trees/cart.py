"""Classification and regression trees (CART) of Breiman, Friedman, Olshen & Stone, grown exactly."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from fivefold.base.checks import choice
from fivefold.base.errors import InputError
from fivefold.base.estimator import require_fitted
from fivefold.data.validation import checked_data, class_weights, encode_labels, sample_weights

from . import _kernels as k
from ._tree import BinaryTree, categorical_mask


class DecisionTreeClassifier(ClassifierMixin, BinaryTree):
    r"""Binary tree that splits, again and again, where the impurity of the classes falls most.

    .. math:: \Delta = I(t) - \frac{w_L}{w_t} I(t_L) - \frac{w_R}{w_t} I(t_R), \quad
              I_{gini} = 1 - \sum_k p_k^2, \quad I_{entropy} = -\sum_k p_k \log_2 p_k

    Parameters
    ----------
    criterion : {"gini", "entropy", "log_loss"}, default "gini"
        Impurity of a node; "log_loss" is another name of "entropy".
    max_depth : int >= 1, optional
        Largest depth; without it nodes are split until they are pure or too small.
    min_samples_split : int >= 2 or float in (0, 1], default 2
        Rows a node needs to be split; a float is a share of all rows.
    min_samples_leaf : int >= 1 or float in (0, 1), default 1
        Rows each side of a split must keep.
    min_weight_fraction_leaf : float in [0, 0.5], default 0
        Share of the total weight each side must keep.
    max_features : int >= 1, float in (0, 1], "sqrt" or "log2", optional
        Features drawn at each node; one that varies is always among them. Default: all.
    max_leaf_nodes : int >= 2, optional
        Grow best-first, the node with the largest total gain next, up to this many leaves.
    min_impurity_decrease : float >= 0, default 0
        Least gain, weighted by the node's share of the total weight.
    ccp_alpha : float >= 0, default 0
        Collapse every branch whose effective alpha is at most this.
    class_weight : mapping or "balanced", optional
        Factors on the weights of each class's rows.
    categorical_features : boolean mask (d,), column numbers or names, optional
        Columns whose numbers are codes of unordered levels; they are split into two sets of levels.
    random_state : int, Generator or None
        Seed of the drawn features; without ``max_features`` nothing is random.

    Attributes
    ----------
    classes_ : array (K,)
    children_left_, children_right_ : int arrays (m,); -1 in leaves
    feature_ : int array (m,); -2 in leaves
    threshold_ : float array (m,); a row with ``x <= threshold`` goes left; NaN at a categorical split
    missing_go_to_left_ : bool array (m,)
    value_ : float array (m, K), shares of the classes
    impurity_, n_node_samples_, weighted_n_node_samples_, node_depth_ : arrays (m,)
    categories_ : list of d arrays or None, the levels of categorical columns
    level_offset_ : int array (m,), where the set of levels that goes left begins in level_bits_; -1 elsewhere
    level_bits_ : uint64 array, a bit a level
    feature_importances_ : array (d,)

    Raises
    ------
    DataError
        Infinite values, unequal lengths, or continuous targets.
    InputError
        A parameter outside its range.

    Notes
    -----
    Missing values (NaN) go to the side where they help most, tried left and right at every cut, as in scikit-learn 1.3 and
    later; where a node saw none, missing and unseen values follow its heavier side (scikit-learn counts rows, not weights).
    Thresholds are midpoints in float64 between values as given; scikit-learn rounds X to float32 first and treats values
    closer than 1e-7 as equal. The recomputed multiway Gini values of the source are in the evidence; CART splits are binary.
    For more than two classes the level sets of a categorical split are searched over one-against-rest orderings.
    Gains equal up to 1e-12 of the node's impurity are a tie; the lowest feature, then the lowest cut wins.

    References
    ----------
    Breiman, Friedman, Olshen & Stone, Classification and Regression Trees, 1984; ``01#tree-cart-clf``, ``05#decision-tree``.

    Examples
    --------
    >>> tree = DecisionTreeClassifier(max_depth=1).fit([[0.0], [1.0], [2.0]], ["a", "a", "b"])
    >>> tree.predict([[1.4], [1.6]]).tolist()
    ['a', 'b']
    """

    def __init__(
        self,
        *,
        criterion: str = "gini",
        max_depth: int | None = None,
        min_samples_split: int | float = 2,
        min_samples_leaf: int | float = 1,
        min_weight_fraction_leaf: float = 0.0,
        max_features: int | float | str | None = None,
        max_leaf_nodes: int | None = None,
        min_impurity_decrease: float = 0.0,
        ccp_alpha: float = 0.0,
        class_weight: Any = None,
        categorical_features: Any = None,
        random_state: Any = None,
    ) -> None:
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_weight_fraction_leaf = min_weight_fraction_leaf
        self.max_features = max_features
        self.max_leaf_nodes = max_leaf_nodes
        self.min_impurity_decrease = min_impurity_decrease
        self.ccp_alpha = ccp_alpha
        self.class_weight = class_weight
        self.categorical_features = categorical_features
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the tree on X (n, d) and labels y (n,), with optional weights (n,) >= 0."""
        choice("criterion", self.criterion, ("gini", "entropy", "log_loss"))
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan")
        weight = sample_weights(sample_weight, len(X))
        self.classes_, codes = encode_labels(y)
        if self.class_weight is not None:
            factors = class_weights(self.class_weight, self.classes_, codes, weight)[codes]
            weight = sample_weights(factors if weight is None else weight * factors, len(X))
        n_classes = len(self.classes_)
        if self.criterion == "gini" and n_classes <= 2:
            # Gini of two classes is twice the variance of the indicator, which is cheaper to scan.
            share = self._grow(X, codes, weight, k.MEAN, 1, 2.0)[:, 0]
            share /= self.weighted_n_node_samples_
            self.value_ = np.column_stack([1 - share, share])[:, :n_classes]
        else:
            kind = k.GINI if self.criterion == "gini" else k.ENTROPY
            stats = self._grow(X, codes, weight, kind, n_classes, 1.0)
            self.value_ = stats / self.weighted_n_node_samples_[:, None]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the shares of the classes in the leaf of each row: X (n, d) -> (n, K)."""
        require_fitted(self, "value_")
        return self.value_[self._walk(X)]

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of :meth:`predict_proba`; a class absent from the leaf has -inf."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most frequent class of each row's leaf, the first of equals: X (n, d) -> (n,)."""
        require_fitted(self, "value_")
        return self.classes_[self.value_.argmax(axis=1)[self._walk(X)]]


class DecisionTreeRegressor(RegressorMixin, BinaryTree):
    r"""Binary tree that splits, again and again, where the error around the centers of the two sides falls most.

    .. math:: \min_{j, v} \sum_{x_j \le v} w_i \, \ell(y_i - c_L) + \sum_{x_j > v} w_i \, \ell(y_i - c_R)

    with the square and means for :math:`\ell` and c, or the absolute value and medians.

    Parameters
    ----------
    criterion : {"squared_error", "absolute_error"}, default "squared_error"
        The impurity of a node is the weighted mean of its squared or absolute errors.
    max_depth, min_samples_split, min_samples_leaf, min_weight_fraction_leaf, max_features, max_leaf_nodes, \
    min_impurity_decrease, ccp_alpha, categorical_features, random_state
        As for :class:`DecisionTreeClassifier`; impurities are in squared units of y, or in units of y. Categorical columns
        need "squared_error".

    Attributes
    ----------
    value_ : float array (m,), means of the nodes, or medians
    children_left_, children_right_, feature_, threshold_, missing_go_to_left_, impurity_, n_node_samples_, \
    weighted_n_node_samples_, node_depth_, categories_, level_offset_, level_bits_, feature_importances_
        As for :class:`DecisionTreeClassifier`.

    Raises
    ------
    DataError
        Infinite values in X, missing or infinite values in y, or unequal lengths.
    InputError
        A parameter outside its range.

    Notes
    -----
    Algorithm 11 of the source gives no stopping rule; here a node stops when its targets are equal or a limit says so.
    The rule for equal targets is exact, so scaling y never changes the tree; scikit-learn stops at a variance of 2e-16.
    A median between two targets, with half of the weight on either side, is their mean. With absolute errors NaN is missing
    as ever; scikit-learn refuses it there.

    References
    ----------
    Breiman, Friedman, Olshen & Stone, Classification and Regression Trees, 1984; ``01#tree-regression``.

    Examples
    --------
    >>> tree = DecisionTreeRegressor(max_depth=1).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 9.0])
    >>> tree.predict([[1.4], [1.6]]).tolist()
    [2.0, 9.0]
    """

    def __init__(
        self,
        *,
        criterion: str = "squared_error",
        max_depth: int | None = None,
        min_samples_split: int | float = 2,
        min_samples_leaf: int | float = 1,
        min_weight_fraction_leaf: float = 0.0,
        max_features: int | float | str | None = None,
        max_leaf_nodes: int | None = None,
        min_impurity_decrease: float = 0.0,
        ccp_alpha: float = 0.0,
        categorical_features: Any = None,
        random_state: Any = None,
    ) -> None:
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_weight_fraction_leaf = min_weight_fraction_leaf
        self.max_features = max_features
        self.max_leaf_nodes = max_leaf_nodes
        self.min_impurity_decrease = min_impurity_decrease
        self.ccp_alpha = ccp_alpha
        self.categorical_features = categorical_features
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the tree on X (n, d) and targets y (n,), with optional weights (n,) >= 0."""
        choice("criterion", self.criterion, ("squared_error", "absolute_error"))
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan", y_numeric=True)
        weight = sample_weights(sample_weight, len(X))
        y = y.astype(np.float64)
        if self.criterion == "absolute_error":
            if categorical_mask(self, self.categorical_features, X.shape[1]).any():
                raise InputError(
                    "`categorical_features` needs criterion='squared_error': sets of levels are found by their means."
                )
            self.value_ = self._grow(X, y, weight, k.MEDIAN, 2, 1.0)[:, 0].copy()
            return self
        center = np.average(y, weights=weight)
        stats = self._grow(X, y - center, weight, k.MEAN, 1, 1.0)
        self.value_ = center + stats[:, 0] / self.weighted_n_node_samples_
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the mean, or the median, of each row's leaf: X (n, d) -> (n,)."""
        require_fitted(self, "value_")
        return self.value_[self._walk(X)]
