"""What ensembles of any estimators share: fresh members with seeds of their own, and answers over all classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from fivefold.base.errors import InputError
from fivefold.base.random import Streams


def fresh(estimator: Any, streams: Streams, *counters: int, keep: bool = False) -> Any:
    """Return an unfitted copy whose random states are drawn from a stream of its own; ``keep`` leaves given ones."""
    if not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
        raise InputError(f"`estimator` is {estimator!r}; give an estimator with `fit`, `predict` and `get_params`.")
    member = clone(estimator)
    params = member.get_params(deep=True)
    seeds = sorted(name for name in params if name.split("__")[-1] == "random_state")
    if keep:
        seeds = [name for name in seeds if params[name] is None]
    if seeds:
        # scikit-learn takes seeds below 2**32.
        member.set_params(**{name: streams.integer(name, *counters) % 2**32 for name in seeds})
    return member


def takes_weights(estimator: Any) -> bool:
    """Return whether ``fit`` has a ``sample_weight``."""
    return bool(has_fit_parameter(estimator, "sample_weight"))


def class_shares(member: Any, X: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return a member's probabilities over ``classes`` (n, K), or its votes where it has none; classes it lacks get 0."""
    out = np.zeros((len(X), len(classes)))
    if hasattr(member, "predict_proba"):
        out[:, np.searchsorted(classes, member.classes_)] = member.predict_proba(X)
        return out
    return votes(member.predict(X), classes)


def votes(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return one-hot votes (n, K) of labels (n,)."""
    return (np.asarray(labels)[:, None] == classes).astype(np.float64)
