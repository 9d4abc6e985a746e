"""Refusals, saving and text of bagging, boosting, voting and stacking."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fivefold.base import codec
from fivefold.base.errors import FivefoldError
from fivefold.models.linear import KNeighborsClassifier, Perceptron
from fivefold.models.trees import (
    AdaBoostClassifier,
    AdaBoostM1Classifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    OutOfBag,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)

X = np.random.default_rng(0).normal(size=(60, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")
TREE = DecisionTreeClassifier(max_depth=2)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (BaggingClassifier(estimator="tree"), "`estimator` is 'tree'; give an estimator with `fit`, `predict` and"),
        (BaggingClassifier(bootstrap=False, oob_score=True), "`oob_score` is True, but without bootstrap every member"),
        (BaggingClassifier(max_samples=61), "`max_samples` is 61, but there are 60 rows; give a number up to that."),
        (BaggingClassifier(n_estimators=0), "`n_estimators` is 0; give a whole number >= 1."),
        (AdaBoostClassifier(learning_rate=0), "`learning_rate` is 0; give a number > 0."),
        (AdaBoostClassifier(n_estimators=1.5), "`n_estimators` is 1.5 of type float; give a whole number >= 1."),
        (
            AdaBoostClassifier(KNeighborsClassifier()),
            "KNeighborsClassifier.fit takes no `sample_weight`; set resample=True",
        ),
        (VotingClassifier([]), "`estimators` is empty; give at least one (name, estimator) pair."),
        (VotingClassifier([TREE]), "`estimators` is not a list of (name, estimator) pairs; give [('tree', ...), ...]."),
        (VotingClassifier([("a", TREE), ("a", TREE)]), "`estimators` has the name 'a' twice"),
        (VotingClassifier([("voting", TREE)]), "`estimators` has the name 'voting', which is a parameter"),
        (VotingClassifier([("a", TREE)], voting="loud"), "`voting` is 'loud'; give one of 'hard', 'soft'."),
        (VotingClassifier([("a", TREE)], weights=[1, 2]), "`weights` is [1, 2]; give 1 finite numbers >= 0"),
        (
            VotingClassifier([("a", Perceptron())], voting="soft"),
            "Perceptron ('a') has no `predict_proba`; leave it out",
        ),
        (StackingClassifier(cv=1), "`cv` is 1; give a whole number >= 2."),
        (StackingClassifier(cv=61), "`cv` is 61 folds, but n_samples = 60; give at most as many folds as rows."),
        (StackingClassifier(cv=1.5), "`cv` is 1.5; give a number > 0 and < 1."),
        (
            StackingClassifier(cv=0.999),
            "`cv` is 0.999, which leaves no row of 60 to the members; give a smaller share.",
        ),
        (StackingClassifier(cv="five"), "`cv` is 'five'; give a number of folds >= 2, a share"),
        (StackingClassifier(cv=[([0, 1], [2])]), "Row 0 is left out by 0 of the folds; every row must be left out by"),
        (StackingClassifier(stack_method="scores"), "`stack_method` is 'scores'; give one of"),
        (
            StackingClassifier([("a", Perceptron())], stack_method="predict_proba"),
            "Perceptron has no `predict_proba`; set",
        ),
    ],
)
def test_refusals(model, text):
    with pytest.raises(FivefoldError, match=f"^{re.escape(text)}"):
        model.fit(X, Y)


def test_no_better_than_chance():
    corners = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    with pytest.raises(FivefoldError, match=r"errs on a share of 0\.5, no better than chance \(0\.5\)"):
        AdaBoostClassifier().fit(corners, [0, 1, 1, 0])
    with pytest.raises(FivefoldError, match=r"errs on a share of 0\.667, no better than chance"):
        AdaBoostM1Classifier().fit([[0.0]] * 3, [0, 1, 2])
    with pytest.raises(FivefoldError, match=r"has the mean relative error 1, not below 0\.5"):
        AdaBoostRegressor(DecisionTreeRegressor(max_depth=1), resample=False).fit(corners, [-1.0, 1.0, 1.0, -1.0])


def test_members_that_take_no_weights():
    members = [("near", KNeighborsClassifier())]
    with pytest.raises(FivefoldError, match=re.escape("KNeighborsClassifier ('near') takes no `sample_weight`")):
        VotingClassifier(members).fit(X, Y, np.ones(60))
    drawn = AdaBoostClassifier(KNeighborsClassifier(3), n_estimators=4, resample=True, random_state=0).fit(X, Y)
    assert drawn.score(X, Y) > 0.8
    with pytest.raises(AttributeError, match="KNeighborsClassifier has no `feature_importances_`"):
        _ = drawn.feature_importances_


def test_regressor_refusals():
    with pytest.raises(FivefoldError, match="`loss` is 'huber'; give one of 'linear', 'square', 'exponential'."):
        AdaBoostRegressor(loss="huber").fit(X, X[:, 0])
    with pytest.raises(FivefoldError, match="y holds the one class"):
        StackingClassifier().fit(X, np.ones(60, dtype=int))
    for model in (
        BaggingRegressor(),
        AdaBoostRegressor(),
        StackingRegressor(),
        VotingClassifier(),
        AdaBoostClassifier(),
    ):
        with pytest.raises(FivefoldError, match="is not fitted yet"):
            model.predict(X)


def test_out_of_bag_refusals():
    bag = OutOfBag(3)
    with pytest.raises(
        FivefoldError, match=re.escape("`drawn` has the shape (2,) and the type bool; give one boolean a row")
    ):
        bag.add([1.0, 2.0, 3.0], np.array([True, False]))
    with pytest.raises(FivefoldError, match=re.escape("`answers` has the shape (2,); give (3,), one answer a row.")):
        bag.add([1.0, 2.0], np.zeros(3, dtype=bool))
    with pytest.raises(FivefoldError, match=re.escape("`y` has the shape (2,); give one target a row: (3,).")):
        bag.error([1.0, 2.0])


@pytest.mark.parametrize(
    "model",
    [
        BaggingClassifier(random_state=0),
        AdaBoostClassifier(n_estimators=4),
        VotingClassifier(voting="soft"),
        StackingClassifier([("tree", TREE)], cv=3),
    ],
)
def test_saved_ensembles_answer_alike(model, tmp_path):
    model.fit(X, Y)
    codec.save(model, tmp_path / "model")
    assert np.array_equal(codec.load(tmp_path / "model").predict_proba(X), model.predict_proba(X))
