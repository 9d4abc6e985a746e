"""Random forests (Breiman 2001): trees on bootstrap samples, each split choosing among a few drawn columns."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from fivefold.base.checks import choice
from fivefold.base.estimator import require_fitted
from fivefold.data.validation import checked_data, class_weights, encode_labels, sample_weights

from ._grove import Grove
from ._search import ENTROPY, GINI, MEAN
from .cart import DecisionTreeClassifier, DecisionTreeRegressor


class RandomForestClassifier(ClassifierMixin, Grove):
    r"""Mean of many trees, each grown on a bootstrap sample with a few columns drawn at every split.

    .. math:: p_k(x) = \frac1T \sum_{t=1}^{T} p_k^{(t)}(x)

    Parameters
    ----------
    n_estimators : int >= 1, default 100
        Trees.
    criterion : {"gini", "entropy", "log_loss"}, default "gini"
        Impurity that a split reduces; "log_loss" is another name of "entropy".
    max_depth : int >= 1, optional
        Largest depth; by default leaves are pure.
    min_samples_split : int >= 2 or float in (0, 1], default 2
        Distinct rows a node needs to be split; a float is a share of all rows.
    min_samples_leaf : int >= 1 or float in (0, 1), default 1
        Distinct rows each side of a split must keep.
    min_weight_fraction_leaf : float in [0, 0.5], default 0
        Share of the total weight each side must keep.
    max_features : int >= 1, float in (0, 1], "sqrt", "log2" or None, default "sqrt"
        Columns drawn; the first drawn wins a tie. None takes all without drawing, and the lowest wins, as in one tree.
    draw_per : {"split", "tree"}, default "split"
        Draw the columns anew at every split (Breiman), or once for a whole tree (01#random-forest; Ho 1998).
    min_impurity_decrease : float >= 0, default 0
        Least gain, weighted by the node's share of the total weight.
    bootstrap : bool, default True
        Draw as many rows as there are with replacement for every tree; otherwise all rows grow all trees.
    max_samples : int >= 1 or float in (0, 1], optional
        Rows drawn for a tree; a float is a share of all rows.
    oob_score : bool, default False
        Judge every row by the trees that did not draw it.
    class_weight : mapping or "balanced", optional
        Factors on the weights of each class's rows, from all rows.
    n_jobs : int >= 1 or -1, optional
        Threads that grow trees; by default, and for -1, as many as Numba has.
    random_state : int, Generator or None

    Attributes
    ----------
    classes_ : array (K,)
    feature_importances_ : array (d,)
    oob_score_ : float, accuracy; ``oob_decision_function_`` (n, K), NaN in rows that every tree drew
    estimators_ : list of T DecisionTreeClassifier, views of the arrays below
    starts_ : int array (T + 1,), where the nodes of each tree begin
    feature_, threshold_, right_, missing_go_to_left_, impurity_, n_node_samples_, weighted_n_node_samples_ : arrays (m,)
        All nodes of all trees in preorder: the left child is the next node, ``right_`` counts from the tree's first.
    value_ : float array (m, K), shares of the classes; (m, 1), that of the second class, for two classes and "gini"

    Raises
    ------
    DataError
        Infinite values, unequal lengths, or continuous targets.
    InputError
        A parameter outside its range, or ``oob_score`` or ``max_samples`` without ``bootstrap``.

    Notes
    -----
    A source takes the majority of the trees' votes, this forest the mean of their probabilities (as scikit-learn); for pure
    leaves the two are the same. Sources also differ on the columns: ``draw_per`` has both. Rows without weight are never
    drawn; ``sample_weight`` multiplies the number of times a row was drawn. Splits are those of
    :class:`DecisionTreeClassifier`, missing values included. Every tree has random numbers of its own, so the forest is the
    same, bit for bit, for any number of threads, and the first trees of a larger forest are those of a smaller one.

    References
    ----------
    Breiman, Random Forests, 2001; Ho, The Random Subspace Method, 1998; ``01#random-forest``, ``05#random-forest``.

    Examples
    --------
    >>> forest = RandomForestClassifier(50, random_state=0).fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
    >>> forest.predict([[0.2], [2.9]]).tolist()
    ['a', 'b']
    """

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        criterion: str = "gini",
        max_depth: int | None = None,
        min_samples_split: int | float = 2,
        min_samples_leaf: int | float = 1,
        min_weight_fraction_leaf: float = 0.0,
        max_features: int | float | str | None = "sqrt",
        draw_per: str = "split",
        min_impurity_decrease: float = 0.0,
        bootstrap: bool = True,
        max_samples: int | float | None = None,
        oob_score: bool = False,
        class_weight: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_weight_fraction_leaf = min_weight_fraction_leaf
        self.max_features = max_features
        self.draw_per = draw_per
        self.min_impurity_decrease = min_impurity_decrease
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.oob_score = oob_score
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the trees on X (n, d) and labels y (n,), with optional weights (n,) >= 0."""
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
            drawn = self._grow(X, codes, weight, MEAN, 1, 2.0)
        else:
            drawn = self._grow(X, codes, weight, GINI if self.criterion == "gini" else ENTROPY, n_classes, 1.0)
        self.value_ /= self.weighted_n_node_samples_[:, None]
        if drawn is not None:
            total, counts = self._sums(X, drawn)
            shares = self._shares(total, counts)
            self.oob_decision_function_ = shares
            judged = counts > 0
            answers = self.classes_[shares[judged].argmax(axis=1)]
            self.oob_score_ = self._judge(y[judged], answers, None if weight is None else weight[judged])
        return self

    def _shares(self, total: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the mean of summed leaf values as shares of all classes (n, K), NaN where nothing was summed."""
        mean = np.divide(total, counts[:, None], out=np.full(total.shape, np.nan), where=counts[:, None] > 0)
        return np.hstack([1 - mean, mean])[:, : len(self.classes_)] if mean.shape[1] == 1 else mean

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the mean of the trees' class shares: X (n, d) -> (n, K)."""
        require_fitted(self, "value_")
        return self._shares(*self._sums(self._table(X)))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of :meth:`predict_proba`; a class of no tree has -inf."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the largest mean share, the first of equals: X (n, d) -> (n,)."""
        require_fitted(self, "value_")
        return self._answer(self._table(X))

    def _answer(self, X: np.ndarray) -> np.ndarray:
        return self.classes_[self._shares(*self._sums(X)).argmax(axis=1)]

    def _judge(self, y: np.ndarray, answers: np.ndarray, weight: np.ndarray | None) -> float:
        return float(np.average(y == answers, weights=weight)) if len(y) else np.nan

    def _as_tree(self, nodes: slice) -> DecisionTreeClassifier:
        tree = DecisionTreeClassifier(criterion=self.criterion)
        value = self.value_[nodes]
        tree.classes_ = self.classes_
        tree.value_ = np.hstack([1 - value, value])[:, : len(self.classes_)] if value.shape[1] == 1 else value
        return tree


class RandomForestRegressor(RegressorMixin, Grove):
    r"""Mean of many regression trees, each grown on a bootstrap sample.

    .. math:: G(x) = \frac1T \sum_{t=1}^{T} h_t(x)

    Parameters
    ----------
    n_estimators : int >= 1, default 100
        Trees.
    criterion : {"squared_error"}, default "squared_error"
    max_features : int >= 1, float in (0, 1], "sqrt", "log2" or None, default 1.0
        Columns drawn; by default all, so that the trees differ by their rows alone (scikit-learn's default, too).
    max_depth, min_samples_split, min_samples_leaf, min_weight_fraction_leaf, draw_per, min_impurity_decrease, bootstrap, \
    max_samples, oob_score, n_jobs, random_state
        As for :class:`RandomForestClassifier`; impurities are in squared units of y.

    Attributes
    ----------
    value_ : float array (m, 1), means of the nodes
    oob_score_ : float, R²; ``oob_prediction_`` (n,), NaN in rows that every tree drew
    estimators_, starts_, feature_, threshold_, right_, missing_go_to_left_, impurity_, n_node_samples_, \
    weighted_n_node_samples_, feature_importances_
        As for :class:`RandomForestClassifier`.

    Raises
    ------
    DataError
        Infinite values in X, missing or infinite values in y, or unequal lengths.
    InputError
        A parameter outside its range, or ``oob_score`` or ``max_samples`` without ``bootstrap``.

    References
    ----------
    Breiman, Random Forests, 2001; ``01#random-forest``.

    Examples
    --------
    >>> forest = RandomForestRegressor(10, bootstrap=False).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 9.0])
    >>> forest.predict([[1.4], [1.6]]).tolist()
    [3.0, 9.0]
    """

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        criterion: str = "squared_error",
        max_depth: int | None = None,
        min_samples_split: int | float = 2,
        min_samples_leaf: int | float = 1,
        min_weight_fraction_leaf: float = 0.0,
        max_features: int | float | str | None = 1.0,
        draw_per: str = "split",
        min_impurity_decrease: float = 0.0,
        bootstrap: bool = True,
        max_samples: int | float | None = None,
        oob_score: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_weight_fraction_leaf = min_weight_fraction_leaf
        self.max_features = max_features
        self.draw_per = draw_per
        self.min_impurity_decrease = min_impurity_decrease
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.oob_score = oob_score
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the trees on X (n, d) and targets y (n,), with optional weights (n,) >= 0."""
        choice("criterion", self.criterion, ("squared_error",))
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan", y_numeric=True)
        weight = sample_weights(sample_weight, len(X))
        y = y.astype(np.float64)
        center = np.average(y, weights=weight)
        drawn = self._grow(X, y - center, weight, MEAN, 1, 1.0)
        self.value_ = center + self.value_ / self.weighted_n_node_samples_[:, None]
        if drawn is not None:
            total, counts = self._sums(X, drawn)
            judged = counts > 0
            mean = np.divide(total[:, 0], counts, out=np.full(len(X), np.nan), where=judged)
            self.oob_prediction_ = mean
            self.oob_score_ = self._judge(y[judged], mean[judged], None if weight is None else weight[judged])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the mean of the trees' predictions: X (n, d) -> (n,)."""
        require_fitted(self, "value_")
        return self._answer(self._table(X))

    def _answer(self, X: np.ndarray) -> np.ndarray:
        total, counts = self._sums(X)
        return total[:, 0] / counts

    def _judge(self, y: np.ndarray, answers: np.ndarray, weight: np.ndarray | None) -> float:
        w = np.ones(len(y)) if weight is None else weight
        if not w.any():
            return np.nan
        spread = float(w @ (y - np.average(y, weights=w)) ** 2)
        error = float(w @ (y - answers) ** 2)
        # As scikit-learn's R² has it, a constant target is met (1) or missed (0).
        return 1 - error / spread if spread > 0 else float(error == 0)

    def _as_tree(self, nodes: slice) -> DecisionTreeRegressor:
        tree = DecisionTreeRegressor(criterion=self.criterion)
        tree.value_ = self.value_[nodes, 0]
        return tree
