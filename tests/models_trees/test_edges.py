"""Data at the edges, for every estimator beside boosting: infinities, constant and repeated columns, single rows and classes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sklearn.base import is_classifier

from fivefold.base.errors import FivefoldError
from fivefold.models.trees import (
    AdaBoostClassifier,
    AdaBoostM1Classifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    C45Classifier,
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ID3Classifier,
    PostPrunedTreeClassifier,
    PrePrunedTreeClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)

TREES = [("stump", DecisionTreeClassifier(max_depth=1)), ("tree", DecisionTreeClassifier())]
MODELS: list[Any] = [
    DecisionTreeClassifier(),
    DecisionTreeClassifier(criterion="entropy", max_leaf_nodes=8),
    DecisionTreeRegressor(),
    DecisionTreeRegressor(criterion="absolute_error"),
    ID3Classifier(),
    C45Classifier(),
    PrePrunedTreeClassifier(random_state=0),
    PostPrunedTreeClassifier(random_state=0),
    RandomForestClassifier(5, random_state=0),
    RandomForestRegressor(5, random_state=0),
    BaggingClassifier(n_estimators=5, random_state=0),
    BaggingRegressor(n_estimators=5, random_state=0),
    AdaBoostClassifier(n_estimators=5),
    AdaBoostM1Classifier(n_estimators=5),
    AdaBoostRegressor(n_estimators=5, resample=False),
    VotingClassifier(TREES),
    StackingClassifier(TREES, cv=3),
    StackingRegressor([("tree", DecisionTreeRegressor(max_depth=3))], cv=3),
]
EVERY = pytest.mark.parametrize("model", MODELS, ids=lambda m: repr(m)[:40])
SINGLE = [
    m
    for m in MODELS
    if type(m).__name__.endswith(("TreeClassifier", "TreeRegressor", "ID3Classifier", "C45Classifier"))
]
X = np.random.default_rng(0).integers(0, 6, (60, 3)).astype(float)
SCORE = X[:, 0] + X[:, 1]


def targets(model: Any) -> np.ndarray:
    return np.where(SCORE > 5, "yes", "no") if is_classifier(model) else SCORE


def answers(model: Any, rows: np.ndarray) -> np.ndarray:
    return model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)


@EVERY
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused(model, value):
    spoiled = X.copy()
    spoiled[4, 1] = value
    text = "X contains infinity; give finite numbers, or NaN where a value is missing."
    if isinstance(model, ID3Classifier):  # takes no missing values either
        text = "Input X contains infinity or a value too large for dtype('float64')."
    with pytest.raises(FivefoldError, match=f"^{re.escape(text)}$"):
        model.fit(spoiled, targets(model))
    model.fit(X, targets(model))
    with pytest.raises(FivefoldError, match=f"^{re.escape(text)}$"):
        model.predict(spoiled)


@EVERY
def test_constant_columns_are_never_used(model):
    y = targets(model)
    constant = np.full((len(X), 1), 3.0)
    wide = np.hstack([constant, X, constant])
    model.fit(wide, y)
    base = answers(model, wide)
    changed = wide.copy()
    changed[:, [0, 4]] = 99.0
    assert np.isfinite(base).all()
    assert np.array_equal(answers(model, changed), base)


@EVERY
def test_repeated_columns_change_no_single_tree(model):
    y = targets(model)
    twice = np.hstack([X, X])
    model.fit(twice, y)
    found = answers(model, twice)
    assert np.isfinite(found).all()
    if any(model is one for one in SINGLE):
        assert np.array_equal(found, answers(model.fit(X, y), X))
        assert np.array_equal(model.feature_, type(model)(**model.get_params()).fit(twice, y).feature_)


@EVERY
def test_leaves_of_one_row(model):
    """Distinct rows with a target each: what grows until it is pure has them all right."""
    rows = np.arange(24.0)[:, None]
    y = np.arange(24) % 2 if is_classifier(model) else np.arange(24.0) ** 2
    model.fit(rows, y)
    assert np.isfinite(answers(model, rows)).all()
    whole = (DecisionTreeClassifier, DecisionTreeRegressor, ID3Classifier, C45Classifier)
    if isinstance(model, whole) and not getattr(model, "max_leaf_nodes", None):
        assert np.array_equal(model.predict(rows), y)
        assert model.get_n_leaves() == 24


@EVERY
def test_one_target_for_all(model):
    y = np.full(len(X), "only") if is_classifier(model) else np.full(len(X), 2.5)
    if isinstance(model, StackingClassifier):
        with pytest.raises(FivefoldError, match=re.escape("y holds the one class")):
            model.fit(X, y)
        return
    model.fit(X, y)
    if is_classifier(model):
        assert set(model.predict(X)) == {"only"}
        assert np.array_equal(model.predict_proba(X), np.ones((len(X), 1)))
    else:
        assert np.allclose(model.predict(X), 2.5, rtol=1e-12)


@EVERY
def test_rows_without_weight_have_no_say(model):
    """Rows of weight zero may hold anything, even a class of their own."""
    y = targets(model)
    weight = np.ones(len(X))
    weight[::4] = 0.0
    model.fit(X, y, weight)
    base = model.predict(X)
    assert len(base) == len(X)
    other = X.copy()
    other[::4] = 1e6
    if isinstance(model, (StackingClassifier, StackingRegressor)):  # folds are made of all rows
        return
    if isinstance(model, (PrePrunedTreeClassifier, PostPrunedTreeClassifier)):
        assert np.array_equal(model.fit(other, y, weight).predict(X), base)
        return
    spoiled = y.copy()
    spoiled[::4] = "no" if is_classifier(model) else -1e6
    assert np.array_equal(model.fit(other, spoiled, weight).predict(X), base)


@EVERY
def test_weights_of_zero_everywhere_and_below(model):
    with pytest.raises(FivefoldError, match="`sample_weight` is zero everywhere; at least one row needs a weight"):
        model.fit(X, targets(model), np.zeros(len(X)))
    with pytest.raises(FivefoldError, match="`sample_weight` contains the negative weight -1; give weights >= 0"):
        model.fit(X, targets(model), np.where(np.arange(len(X)) == 7, -1.0, 1.0))


@EVERY
def test_one_row(model):
    y = np.array(["one"]) if is_classifier(model) else np.array([7.0])
    if isinstance(model, (StackingClassifier, StackingRegressor)):
        with pytest.raises(FivefoldError):
            model.fit(X[:1], y)
        return
    assert model.fit(X[:1], y).predict(X[:2]).tolist() == [y[0], y[0]]


@pytest.mark.parametrize("trees", [TREES, [("forest", RandomForestClassifier(5, random_state=0)), TREES[0]]])
@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c"]])
def test_folds_of_one_class(trees, names):
    """Members that saw one class answer with it alone; the last learner still knows all."""
    y = np.repeat(names, 60 // len(names))
    folds = [(np.flatnonzero(y != name), np.flatnonzero(y == name)) for name in names]
    shares = StackingClassifier(trees, cv=folds).fit(X, y).predict_proba(X)
    assert shares.shape == (60, len(names))
    assert np.allclose(shares.sum(axis=1), 1)


@pytest.mark.parametrize(
    "model",
    [BaggingClassifier(n_estimators=9, max_samples=2, random_state=0), RandomForestClassifier(9, max_samples=2)],
)
def test_members_that_drew_one_class(model):
    y = targets(model)
    shares = model.fit(X, y).predict_proba(X)
    assert shares.shape == (60, 2) and np.allclose(shares.sum(axis=1), 1)
