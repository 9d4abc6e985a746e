"""Models of other libraries as cards, so that ``compare --peers`` puts them into the same folds, threads and budget.

A class of the library serves as it is where that works. The adapters below stand in where the categories of a table are given
to ``fit`` or the parameters are hidden behind ``**kwargs``; what is learned is the library's alone.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from fivefold.base.cards import Card
from fivefold.base.errors import MissingDependencyError
from fivefold.base.estimator import NotFittedError

NOISE: dict[str, tuple[tuple[str, str], ...]] = {
    "lightgbm": (
        ("X does not have valid feature names", "it names the columns of a matrix itself and then misses these names"),
        (".*categorical_feature.*", "it repeats that the categories which were given are used"),
    ),
    "xgboost": ((".*[Ff]alling back to prediction using DMatrix.*", "a remark on speed, not on the result"),),
}
"""Warnings of peers that say nothing of the result: library -> (pattern of the message, reason)."""


@contextlib.contextmanager
def _quiet(library: str) -> Iterator[None]:
    """Mute the warnings of :data:`NOISE` during a call into the library; all others pass."""
    with warnings.catch_warnings():
        for pattern, _ in NOISE[library]:
            warnings.filterwarnings("ignore", message=pattern)
        yield


def _installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


class _Adapter(BaseEstimator):
    """An estimator of another library under a plain signature; ``categorical_features`` are indices of columns with codes."""

    library = ""
    peer = ""

    def _build(self) -> Any:
        if not _installed(self.library):
            raise MissingDependencyError(
                f"{self.library} is not installed; install it with `pip install {self.library}`."
            )
        params = self.get_params(deep=False)
        params.pop("categorical_features", None)
        return getattr(importlib.import_module(self.library), self.peer)(**params, **self._extra())

    def _extra(self) -> dict[str, Any]:
        return {}

    def _fit_options(self, X: np.ndarray) -> dict[str, Any]:
        return {}

    def _categories(self) -> list[int]:
        given = getattr(self, "categorical_features", None)
        return [] if given is None else [int(j) for j in given]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the library's model to ``X`` (n, d), NaN where missing, and ``y`` (n,)."""
        X = np.asarray(X)
        model = self._build()
        with _quiet(self.library):
            model.fit(X, y, sample_weight=sample_weight, **self._fit_options(X))
        self.model_ = model
        self.n_features_in_ = X.shape[1]
        if hasattr(model, "classes_"):
            self.classes_ = model.classes_
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return labels or values, (n,)."""
        return self._ask("predict", X)

    def _ask(self, verb: str, X: Any) -> np.ndarray:
        if not hasattr(self, "model_"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet; call `fit` before using it.")
        with _quiet(self.library):
            return np.asarray(getattr(self.model_, verb)(np.asarray(X)))


class _Probabilities(ClassifierMixin):
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes, (n, classes)."""
        return self._ask("predict_proba", X)


class _LGBM(_Adapter):
    library = "lightgbm"

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        num_leaves: int = 31,
        max_depth: int = -1,
        min_child_samples: int = 20,
        subsample: float = 1.0,
        subsample_freq: int = 0,
        colsample_bytree: float = 1.0,
        reg_alpha: float = 0.0,
        reg_lambda: float = 0.0,
        n_jobs: int = 1,
        verbosity: int = -1,
        random_state: int | None = None,
        categorical_features: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.min_child_samples = min_child_samples
        self.subsample = subsample
        self.subsample_freq = subsample_freq
        self.colsample_bytree = colsample_bytree
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.n_jobs = n_jobs
        self.verbosity = verbosity
        self.random_state = random_state
        self.categorical_features = categorical_features

    def _fit_options(self, X: np.ndarray) -> dict[str, Any]:
        categories = self._categories()
        return {"categorical_feature": categories} if categories else {}


class LGBMClassifier(_Probabilities, _LGBM):
    """LightGBM's classifier; parameters and their defaults are the library's."""

    peer = "LGBMClassifier"


class LGBMRegressor(RegressorMixin, _LGBM):
    """LightGBM's regressor; parameters and their defaults are the library's."""

    peer = "LGBMRegressor"


class _XGB(_Adapter):
    library = "xgboost"

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        learning_rate: float = 0.3,
        max_depth: int = 6,
        min_child_weight: float = 1.0,
        gamma: float = 0.0,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        reg_alpha: float = 0.0,
        reg_lambda: float = 1.0,
        tree_method: str = "hist",
        n_jobs: int = 1,
        verbosity: int = 0,
        random_state: int | None = None,
        categorical_features: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.gamma = gamma
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.tree_method = tree_method
        self.n_jobs = n_jobs
        self.verbosity = verbosity
        self.random_state = random_state
        self.categorical_features = categorical_features

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the library's model to ``X`` (n, d), NaN where missing, and ``y`` (n,)."""
        self._columns_ = np.asarray(X).shape[1]  # the library takes the kinds of the columns when it is built
        return super().fit(X, y, sample_weight)

    def _extra(self) -> dict[str, Any]:
        categories = set(self._categories())
        if not categories:
            return {}
        kinds = ["c" if j in categories else "q" for j in range(self._columns_)]
        return {"enable_categorical": True, "feature_types": kinds}


class XGBClassifier(_Probabilities, _XGB):
    """XGBoost's classifier; parameters and their defaults are the library's."""

    peer = "XGBClassifier"


class XGBRegressor(RegressorMixin, _XGB):
    """XGBoost's regressor; parameters and their defaults are the library's."""

    peer = "XGBRegressor"


_TREES = frozenset({"missing", "probabilities", "sample-weight", "fast"})
_RATE = {"low": 0.01, "high": 0.5, "log": True}
_PENALTY = {"low": 1e-6, "high": 10.0, "log": True}
_FRACTION = {"low": 0.5, "high": 1.0}
_STRENGTH = {"low": 1e-4, "high": 1e4, "log": True}

_BOTH = ("binary", "multiclass", "regression")
_PEERS: tuple[dict[str, Any], ...] = (
    {
        "id": "sklearn.HistGradientBoosting",
        "classes": "sklearn.ensemble:HistGradientBoosting{}",
        "recipe": "ordinal",
        "capabilities": _TREES | {"categorical"},
        "search": {
            "learning_rate": _RATE,
            "max_leaf_nodes": {"low": 8, "high": 256, "log": True},
            "min_samples_leaf": {"low": 1, "high": 100, "log": True},
            "l2_regularization": _PENALTY,
        },
    },
    {
        "id": "sklearn.RandomForest",
        "classes": "sklearn.ensemble:RandomForest{}",
        "recipe": "ordinal",
        "capabilities": _TREES,
        "threads": "n_jobs",
        "search": {
            "max_features": {"low": 0.1, "high": 1.0},
            "min_samples_leaf": {"low": 1, "high": 50, "log": True},
        },
    },
    {
        "id": "sklearn.LogisticRegression",
        "classes": "sklearn.linear_model:LogisticRegression",
        "recipe": "scaled-one-hot",
        "capabilities": frozenset({"probabilities", "sample-weight", "fast"}),
        "tasks": ("binary", "multiclass"),
        "defaults": {"max_iter": 1000},
        "search": {"C": _STRENGTH},
    },
    {
        "id": "sklearn.Ridge",
        "classes": "sklearn.linear_model:Ridge",
        "recipe": "scaled-one-hot",
        "capabilities": frozenset({"sample-weight", "fast"}),
        "tasks": ("regression",),
        "search": {"alpha": _STRENGTH},
    },
    {
        "id": "sklearn.KNeighbors",
        "classes": "sklearn.neighbors:KNeighbors{}",
        "recipe": "scaled-one-hot",
        "capabilities": frozenset({"probabilities", "fast"}),
        "threads": "n_jobs",
        "search": {
            "n_neighbors": {"low": 1, "high": 100, "log": True},
            "weights": {"choices": ["uniform", "distance"]},
        },
    },
    {
        "id": "lightgbm.LGBM",
        "classes": "fivefold.workbench.peers:LGBM{}",
        "recipe": "ordinal",
        "capabilities": _TREES | {"categorical"},
        "threads": "n_jobs",
        "defaults": {"verbosity": -1},
        "search": {
            "learning_rate": _RATE,
            "num_leaves": {"low": 8, "high": 256, "log": True},
            "min_child_samples": {"low": 1, "high": 100, "log": True},
            "reg_lambda": _PENALTY,
            "colsample_bytree": _FRACTION,
        },
    },
    {
        "id": "xgboost.XGB",
        "classes": "fivefold.workbench.peers:XGB{}",
        "recipe": "ordinal",
        "capabilities": _TREES | {"categorical"},
        "threads": "n_jobs",
        "defaults": {"verbosity": 0},
        "search": {
            "learning_rate": _RATE,
            "max_depth": {"low": 2, "high": 12},
            "min_child_weight": {"low": 0.1, "high": 100.0, "log": True},
            "reg_lambda": _PENALTY,
            "subsample": _FRACTION,
        },
    },
)


def peer_cards(task: str, threads: int = 1) -> dict[str, Card]:
    """Return the cards of the peers that are installed and serve the task, by id.

    Nothing of a peer is imported.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
        Other tasks have no peers here.
    threads : int >= 1, default 1
        What each peer that takes a number of threads is given.
    """
    found = {}
    for facts in _PEERS:
        tasks = facts.get("tasks", _BOTH)
        library = facts["id"].partition(".")[0]
        if task in tasks and _installed(library):
            found[facts["id"]] = _card(facts, tasks, task, threads)
    return found


def _card(facts: Mapping[str, Any], tasks: tuple[str, ...], task: str, threads: int) -> Card:
    pattern: str = facts["classes"]
    factory = {}
    if "regression" not in tasks or len(tasks) > 1:
        factory["classification"] = pattern.format("Classifier")
    if "regression" in tasks:
        factory["regression"] = pattern.format("Regressor")
    library, _, name = facts["id"].partition(".")
    defaults = dict(facts.get("defaults", {}))
    if "threads" in facts:
        defaults[facts["threads"]] = threads
    return Card(
        id=facts["id"],
        package="peers",
        origin="peer",
        title=f"{name} of {library}",
        kind="regressor" if task == "regression" else "classifier",
        summary=f"{name} as {library} implements it, for comparison.",
        factory=factory,
        task=tasks,
        supervision="supervised",
        recipe=facts["recipe"],
        capabilities=facts["capabilities"],
        defaults=defaults,
        search=facts["search"],
    )
