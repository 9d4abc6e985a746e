"""Behavior of random forests beyond their evidence: refusals, saving, single trees, pickled-free copies."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fivefold.base import codec
from fivefold.base.errors import FivefoldError
from fivefold.models.trees import RandomForestClassifier, RandomForestRegressor

X = np.random.default_rng(0).normal(size=(60, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"n_estimators": 0}, "`n_estimators` is 0; give a whole number >= 1."),
        ({"criterion": "mse"}, "`criterion` is 'mse'; give one of 'gini', 'entropy', 'log_loss'."),
        ({"draw_per": "node"}, "`draw_per` is 'node'; give one of 'split', 'tree'."),
        ({"bootstrap": False, "oob_score": True}, "`oob_score` is True with bootstrap=False; set bootstrap=True."),
        ({"bootstrap": False, "max_samples": 5}, "`max_samples` is 5 with bootstrap=False; set bootstrap=True."),
        ({"max_samples": 61}, "`max_samples` is 61, but there are 60 rows; give a number up to that."),
        ({"max_samples": 1.5}, "`max_samples` is 1.5; give a number > 0 and <= 1."),
        ({"max_features": "all"}, "`max_features` is 'all'; give one of 'sqrt', 'log2'."),
        ({"n_jobs": 0}, "`n_jobs` is 0; give a whole number >= 1."),
        ({"max_depth": 0}, "`max_depth` is 0; give a whole number >= 1."),
        ({"min_impurity_decrease": -1}, "`min_impurity_decrease` is -1; give a number >= 0."),
        (
            {"class_weight": {"maybe": 1}},
            "`class_weight` names the class 'maybe', which y does not hold: ['no', 'yes'].",
        ),
    ],
)
def test_refusals(params, text):
    with pytest.raises(FivefoldError, match=f"^{re.escape(text)}$"):
        RandomForestClassifier(**params).fit(X, Y)


def test_refusals_of_later_calls():
    with pytest.raises(FivefoldError, match="is not fitted yet"):
        RandomForestClassifier().predict(X)
    with pytest.raises(FivefoldError, match="is not fitted yet"):
        _ = RandomForestRegressor().estimators_
    forest = RandomForestClassifier(3, random_state=0).fit(X, Y)
    with pytest.raises(FivefoldError, match="X has 60 rows and y has 59; give one target a row."):
        forest.permutation_importances(X, Y[:-1])


def test_saved_forests_answer_alike_and_show_their_trees(tmp_path):
    forest = RandomForestClassifier(5, oob_score=True, random_state=0).fit(X, Y)
    codec.save(forest, tmp_path / "forest")
    again = codec.load(tmp_path / "forest")
    assert np.array_equal(again.predict_proba(X), forest.predict_proba(X))
    assert again.estimators_[2].export_text() == forest.estimators_[2].export_text()
    assert len(forest.estimators_) == 5


def test_a_row_that_every_tree_drew_has_no_out_of_bag_answer():
    forest = RandomForestRegressor(1, oob_score=True, random_state=0).fit(X, X[:, 0])
    lacking = np.isnan(forest.oob_prediction_)
    assert lacking.sum() == forest.n_node_samples_[0] and np.isfinite(forest.oob_score_)
    one = RandomForestClassifier(1, oob_score=True).fit(X[:1], Y[:1])
    assert np.isnan(one.oob_score_)


def test_no_gap_in_training_and_gaps_later():
    forest = RandomForestClassifier(5, random_state=0).fit(X, Y)
    assert forest.predict(np.full((2, 3), np.nan)).tolist()[0] in ("yes", "no")


def test_frames_keep_their_names():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"height": X[:, 0], "width": X[:, 1], "depth": X[:, 2]})
    forest = RandomForestClassifier(2, random_state=0).fit(frame, Y)
    assert "height" in forest.estimators_[0].export_text()
    assert forest.permutation_importances(frame, Y).importances_mean.argmax() == 0
