"""Stacking (Wolpert 1992): the answers of several members on rows they have not seen are the features of a last one."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data, encode_labels, sample_weights
from fivefold.evaluation.validation import KFold, StratifiedKFold

from ._committee import Committee, default_logistic
from ._members import class_shares, fresh


class _Stacking(Committee):
    """What the two share: folds, answers on unseen rows, the last learner."""

    _expected_failed_checks: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "folds of repeated rows are other folds than those of weights",
    }

    def _parts(self, X: np.ndarray, y: np.ndarray) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
        """Return (train, unseen) rows of every round, and whether the members are fitted again on all rows."""
        cv = self.cv
        if isinstance(cv, Real) and not isinstance(cv, Integral):
            share = real("cv", cv, low=0.0, high=1.0, above=True, below=True)
            order = Streams.of(self.random_state).numpy("parts").permutation(len(X))
            cut = len(X) - max(1, round(share * len(X)))
            if cut < 1:
                raise InputError(
                    f"`cv` is {cv!r}, which leaves no row of {len(X)} to the members; give a smaller share."
                )
            return [(np.sort(order[:cut]), np.sort(order[cut:]))], False
        if isinstance(cv, Integral):
            if cv > len(X):
                raise DataError(f"`cv` is {cv} folds, but n_samples = {len(X)}; give at most as many folds as rows.")
            kind = StratifiedKFold if hasattr(self, "classes_") else KFold
            parts = kind(whole("cv", cv, low=2)).split(X, y)
        elif hasattr(cv, "split") and not isinstance(cv, str):
            parts = cv.split(X, y)
        elif isinstance(cv, Iterable) and not isinstance(cv, str):
            parts = cv
        else:
            raise InputError(
                f"`cv` is {cv!r}; give a number of folds >= 2, a share between 0 and 1, a splitter or (train, test) pairs."
            )
        found = [(np.asarray(train), np.asarray(unseen)) for train, unseen in parts]
        times = np.bincount(np.concatenate([unseen for _, unseen in found]), minlength=len(X))
        if (times != 1).any():
            raise DataError(
                f"Row {int(np.flatnonzero(times != 1)[0])} is left out by {int(times[times != 1][0])} of the folds; every row "
                "must be left out by exactly one."
            )
        return found, True

    def _fit_all(
        self, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None, named: list[tuple[str, Any]], last: Any
    ) -> None:
        parts, again = self._parts(X, y)
        streams = Streams.of(self.random_state)
        seen = np.concatenate([unseen for _, unseen in parts])
        each = []
        self.estimators_ = []
        for t, (name, one) in enumerate(named):
            answers = []
            for r, (train, unseen) in enumerate(parts):
                member = self._fitted(
                    fresh(one, streams, t, r, keep=True),
                    name,
                    X[train],
                    y[train],
                    None if weight is None else weight[train],
                )
                answers.append(self._features(member, X[unseen]))
            each.append(np.concatenate(answers))
            self.estimators_.append(
                self._fitted(fresh(one, streams, t, keep=True), name, X, y, weight) if again else member
            )
        self.named_estimators_ = dict(zip((name for name, _ in named), self.estimators_, strict=True))
        features = np.hstack(each)
        if self.passthrough:
            features = np.hstack([features, X[seen]])
        order = np.argsort(seen, kind="stable")
        rows = seen[order]
        self.final_estimator_ = self._fitted(
            fresh(last, streams, len(named), keep=True),
            "final_estimator",
            features[order],
            y[rows],
            None if weight is None else weight[rows],
        )

    def _features(self, member: Any, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def member_answers(self, X: Any) -> np.ndarray:
        """Return what the last learner sees: the members' answers, then X itself with ``passthrough``: (n, f)."""
        require_fitted(self, "final_estimator_")
        X = checked_data(self, X, reset=False, ensure_all_finite="allow-nan")
        parts = [self._features(member, X) for member in self.estimators_]
        return np.hstack([*parts, X] if self.passthrough else parts)


class StackingClassifier(ClassifierMixin, _Stacking):
    r"""A last classifier that learns from the answers of the members on rows they were not trained on.

    .. math:: z_i = \big(h_1^{(-k(i))}(x_i), \dots, h_T^{(-k(i))}(x_i)\big), \quad H(x) = g(h_1(x), \dots, h_T(x)),
              \quad g \text{ trained on } (z_i, y_i)

    with :math:`h^{(-k)}` trained without fold k, and h on all rows.

    Parameters
    ----------
    estimators : list of (name, classifier), optional
        Default: logistic regression, Gaussian naive Bayes and a tree with leaves of at least 20 rows.
    final_estimator : classifier, optional
        The last one; a simple one suffices. Default: logistic regression.
    cv : int >= 2, float in (0, 1), splitter or iterable of (train, test), default 5
        Folds, stratified and in order; or the share of rows kept for the last classifier alone, and then the members are
        trained once, on the others.
    stack_method : {"auto", "predict_proba", "predict"}, default "auto"
        Answers as probabilities, or as one-hot labels; "auto" takes probabilities where there are any. Of two classes one
        column is kept.
    passthrough : bool, default False
        Give the last classifier X, too.
    random_state : int, Generator or None
        Seeds the members whose ``random_state`` is None, and the parts of a share.

    Attributes
    ----------
    classes_ : array (K,)
    estimators_ : list of T fitted members; ``named_estimators_`` by name
    final_estimator_ : the fitted last classifier

    Raises
    ------
    DataError
        Folds that leave a row out not exactly once, what the members refuse, or continuous targets.
    InputError
        A parameter outside its range, or a name given twice.

    Notes
    -----
    Labels are never passed as codes: scikit-learn's ``stack_method="predict"`` gives the last classifier class numbers.

    References
    ----------
    Wolpert, Stacked Generalization, 1992; ``05#stacking``.

    Examples
    --------
    >>> from fivefold.models.trees import DecisionTreeClassifier
    >>> stack = StackingClassifier([("tree", DecisionTreeClassifier())], cv=2)
    >>> stack.fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]).member_answers([[0.0], [3.0]]).tolist()
    [[0.0], [1.0]]
    """

    def __init__(
        self,
        estimators: Any = None,
        final_estimator: Any = None,
        *,
        cv: Any = 5,
        stack_method: str = "auto",
        passthrough: bool = False,
        random_state: Any = None,
    ) -> None:
        self.estimators = estimators
        self.final_estimator = final_estimator
        self.cv = cv
        self.stack_method = stack_method
        self.passthrough = passthrough
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the members and the last one on X (n, d) and labels y (n,), with weights (n,) >= 0 if all take them."""
        choice("stack_method", self.stack_method, ("auto", "predict_proba", "predict"))
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan")
        weight = sample_weights(sample_weight, len(X))
        self.classes_, _ = encode_labels(y)
        if len(self.classes_) < 2:
            raise DataError(f"y holds the one class {self.classes_[0]!r}; stacking needs at least two.")
        last = default_logistic(len(self.classes_)) if self.final_estimator is None else self.final_estimator
        self._fit_all(X, y, weight, self._named(len(self.classes_)), last)
        return self

    def _features(self, member: Any, X: np.ndarray) -> np.ndarray:
        if self.stack_method == "predict" or not hasattr(member, "predict_proba"):
            if self.stack_method == "predict_proba":
                raise InputError(f"{type(member).__name__} has no `predict_proba`; set stack_method='auto'.")
            shares = (np.asarray(member.predict(X))[:, None] == self.classes_).astype(np.float64)
        else:
            shares = class_shares(member, X, self.classes_)
        return shares[:, 1:] if len(self.classes_) == 2 else shares

    def predict(self, X: Any) -> np.ndarray:
        """Return the last classifier's classes: X (n, d) -> (n,)."""
        features = self.member_answers(X)
        return np.asarray(self.final_estimator_.predict(features))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the last classifier's probabilities: X (n, d) -> (n, K)."""
        features = self.member_answers(X)
        return class_shares(self.final_estimator_, features, self.classes_)


class StackingRegressor(RegressorMixin, _Stacking):
    r"""A last regressor that learns from the predictions of the members on rows they were not trained on.

    .. math:: H(x) = g(h_1(x), \dots, h_T(x)), \quad g \text{ trained on } (h_t^{(-k(i))}(x_i))_t, y_i

    Parameters
    ----------
    estimators : list of (name, regressor), optional
        Default: ridge regression and a tree with leaves of at least 20 rows.
    final_estimator : regressor, optional
        Default: ridge regression.
    cv, passthrough, random_state
        As for :class:`StackingClassifier`; folds are plain.

    Attributes
    ----------
    estimators_, named_estimators_, final_estimator_
        As for :class:`StackingClassifier`.

    Raises
    ------
    DataError
        Folds that leave a row out not exactly once, or what the members refuse.
    InputError
        A parameter outside its range, or a name given twice.

    References
    ----------
    Wolpert, Stacked Generalization, 1992; ``05#stacking``.

    Examples
    --------
    >>> from fivefold.models.trees import DecisionTreeRegressor
    >>> stack = StackingRegressor([("tree", DecisionTreeRegressor())], cv=2)
    >>> stack.fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.0]).member_answers([[0.0], [3.0]]).tolist()
    [[0.0], [3.0]]
    """

    def __init__(
        self,
        estimators: Any = None,
        final_estimator: Any = None,
        *,
        cv: Any = 5,
        passthrough: bool = False,
        random_state: Any = None,
    ) -> None:
        self.estimators = estimators
        self.final_estimator = final_estimator
        self.cv = cv
        self.passthrough = passthrough
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the members and the last one on X (n, d) and targets y (n,), with weights (n,) >= 0 if all take them."""
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan", y_numeric=True)
        weight = sample_weights(sample_weight, len(X))
        y = y.astype(np.float64)
        from fivefold.models import linear

        last = linear.Ridge() if self.final_estimator is None else self.final_estimator
        self._fit_all(X, y, weight, self._named(), last)
        return self

    def _features(self, member: Any, X: np.ndarray) -> np.ndarray:
        return np.asarray(member.predict(X), dtype=np.float64)[:, None]

    def predict(self, X: Any) -> np.ndarray:
        """Return the last regressor's predictions: X (n, d) -> (n,)."""
        features = self.member_answers(X)
        return np.asarray(self.final_estimator_.predict(features))
