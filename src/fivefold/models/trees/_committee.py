"""What voting and stacking share: named members, their parameters, fitting one of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import InputError, InputTypeError
from fivefold.base.estimator import Estimator

from ._members import takes_weights


class Committee(Estimator):
    """Members given as pairs of a name and an estimator; parameters reach them as ``name__parameter``."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        members = [one for _, one in self._whole_pairs()]
        tags.input_tags.allow_nan = bool(members) and all(
            one.__sklearn_tags__().input_tags.allow_nan for one in members if hasattr(one, "__sklearn_tags__")
        )
        return tags

    def _whole_pairs(self) -> list[tuple[str, Any]]:
        """Return the members before ``fit`` has checked them: none, unless all are pairs."""
        given = self.estimators
        sound = isinstance(given, (list, tuple)) and all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str) for pair in given
        )
        return [(name, one) for name, one in given] if sound else []

    def _pairs(self) -> list[tuple[str, Any]]:
        pairs = self._whole_pairs()
        if not isinstance(self.estimators, (list, tuple)) or len(pairs) < len(self.estimators):
            raise InputTypeError("`estimators` is not a list of (name, estimator) pairs; give [('tree', ...), ...].")
        return pairs

    def _named(self, n_classes: int = 0) -> list[tuple[str, Any]]:
        """Return the checked members, or those of the default for classes or, with 0, for numbers."""
        if self.estimators is None:
            return default_members(n_classes)
        pairs = self._pairs()
        if not pairs:
            raise InputError("`estimators` is empty; give at least one (name, estimator) pair.")
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"`estimators` has the name {name!r} twice; give every member a name of its own.")
            if "__" in name or name in type(self)().get_params(deep=False):
                raise InputError(
                    f"`estimators` has the name {name!r}, which is a parameter or holds '__'; choose another."
                )
        return pairs

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; with ``deep`` those of the members, too, as ``name__parameter``."""
        params = super().get_params(deep=False)
        if not deep:
            return params
        final = params.get("final_estimator")
        members = self._whole_pairs()
        if final is not None:
            members = [*members, ("final_estimator", final)]
        for name, one in members:
            params[name] = one
            if hasattr(one, "get_params"):
                params.update({f"{name}__{key}": value for key, value in one.get_params(deep=True).items()})
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters, those of members as ``name__parameter``, a member itself by its name."""
        if "estimators" in params:
            self.estimators = params.pop("estimators")
        names = [name for name, _ in self._whole_pairs()]
        for name in [key for key in params if key in names]:
            self.estimators = [(n, params[name] if n == name else one) for n, one in self._whole_pairs()]
            params.pop(name)
        return super().set_params(**params)

    def _fitted(self, member: Any, name: str, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Any:
        """Fit a member, with weights where there are any."""
        if weight is None:
            return member.fit(X, y)
        if not takes_weights(member):
            raise InputError(
                f"{type(member).__name__} ({name!r}) takes no `sample_weight`; leave it out or the weights."
            )
        return member.fit(X, y, sample_weight=weight)


def default_members(n_classes: int) -> list[tuple[str, Any]]:
    """Return a linear method, naive Bayes for classes, and a tree."""
    from fivefold.models import linear

    from .cart import DecisionTreeClassifier, DecisionTreeRegressor

    if n_classes:
        return [
            ("logistic", default_logistic(n_classes)),
            ("naive-bayes", linear.GaussianNB()),
            ("tree", DecisionTreeClassifier(min_samples_leaf=20)),
        ]
    return [
        ("ridge", linear.Ridge()),
        ("tree", DecisionTreeRegressor(min_samples_leaf=20)),
    ]


def default_logistic(n_classes: int) -> Any:
    """Return logistic regression for two classes, softmax regression for more."""
    from fivefold.models import linear

    return linear.LogisticRegression() if n_classes <= 2 else linear.SoftmaxRegression()


def weights_of(given: Any, count: int) -> np.ndarray:
    """Return nonnegative weights of the members (T,), not all zero."""
    if given is None:
        return np.ones(count)
    weights = np.asarray(given, dtype=np.float64)
    if weights.shape != (count,) or not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
        raise InputError(f"`weights` is {given!r}; give {count} finite numbers >= 0, not all zero, one a member.")
    return weights
