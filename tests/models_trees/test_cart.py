"""Behavior of CART beyond its evidence: scikit-learn's protocol, saving, text, refusals."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.tree import DecisionTreeClassifier as PeerClassifier
from sklearn.tree import DecisionTreeRegressor as PeerRegressor
from sklearn.tree import export_text
from sklearn.utils.estimator_checks import parametrize_with_checks

import fivefold
from fivefold.base import codec
from fivefold.base.errors import FivefoldError
from fivefold.models.trees import DecisionTreeClassifier, DecisionTreeRegressor


@parametrize_with_checks(
    [
        DecisionTreeClassifier(),
        DecisionTreeClassifier(criterion="entropy", max_leaf_nodes=5, max_features=1, random_state=0),
        DecisionTreeRegressor(),
        DecisionTreeRegressor(ccp_alpha=0.01, max_features="sqrt", random_state=0),
        DecisionTreeRegressor(criterion="absolute_error"),
    ]
)
def test_scikit_learn_protocol(estimator, check):
    check(estimator)


def test_real_data_scores_like_scikit_learn():
    X, y = load_breast_cancer(return_X_y=True)
    held = np.arange(len(y)) % 4 == 0
    ours = DecisionTreeClassifier(min_samples_leaf=10).fit(X[~held], y[~held]).score(X[held], y[held])
    peer = PeerClassifier(min_samples_leaf=10, random_state=0).fit(X[~held], y[~held]).score(X[held], y[held])
    assert abs(ours - peer) <= 0.02
    X, y = load_diabetes(return_X_y=True)
    held = np.arange(len(y)) % 4 == 0
    ours = DecisionTreeRegressor(min_samples_leaf=20).fit(X[~held], y[~held]).score(X[held], y[held])
    peer = PeerRegressor(min_samples_leaf=20, random_state=0).fit(X[~held], y[~held]).score(X[held], y[held])
    assert abs(ours - peer) <= 0.02


def test_saved_trees_answer_alike(tmp_path):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=200), rng.integers(0, 100, 200)])
    X[::7, 0] = np.nan
    y = np.where(X[:, 1] % 3 == 0, "three", "other")
    tree = DecisionTreeClassifier(categorical_features=[1]).fit(X, y)
    codec.save(tree, tmp_path / "tree")
    again = codec.load(tmp_path / "tree")
    assert np.array_equal(again.predict_proba(X), tree.predict_proba(X))
    assert again.export_text() == tree.export_text()


def test_frames_and_names():
    X, y = load_iris(return_X_y=True)
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 2], "c": (X[:, 3] > 1).astype(int)})
    tree = DecisionTreeClassifier(max_depth=2, categorical_features=["c"]).fit(frame, y)
    assert tree.feature_names_in_.tolist() == ["a", "b", "c"]
    assert [c is not None for c in tree.categories_] == [False, False, True]
    assert re.search(r"\b[abc] (<=|in)", tree.export_text())


def test_text_equals_that_of_scikit_learn():
    # Columns 0 and 1 only: no two cuts of these are equally good near the root.
    X, y = load_diabetes(return_X_y=True)
    X = X[:, [0, 2, 8]].astype(np.float32)
    ours, peer = DecisionTreeRegressor(max_depth=3).fit(X, y), PeerRegressor(max_depth=3, random_state=0).fit(X, y)
    assert ours.export_text() == export_text(peer)
    assert ours.export_text(max_depth=1, decimals=3) == export_text(peer, max_depth=1, decimals=3)
    names = ["age", "bmi", "s5"]
    assert ours.export_text(feature_names=names) == export_text(peer, feature_names=names)


def test_text_of_categories_and_classes():
    X, y = [[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"]
    tree = DecisionTreeClassifier(categorical_features=[0]).fit(X, y)
    assert (
        tree.export_text()
        == "|--- feature_0 in {0, 2}\n|   |--- class: no\n|--- feature_0 not in {0, 2}\n|   |--- class: yes\n"
    )
    assert "class: N" in tree.export_text(class_names=["N", "Y"])


def test_prunes_and_counts_on_real_data():
    X, y = load_breast_cancer(return_X_y=True)
    path = DecisionTreeClassifier().cost_complexity_pruning_path(X, y)
    assert np.all(np.diff(path.ccp_alphas) >= -1e-15)
    sizes = [DecisionTreeClassifier(ccp_alpha=a).fit(X, y).get_n_leaves() for a in path.ccp_alphas[::4]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 10
    assert DecisionTreeClassifier(ccp_alpha=path.ccp_alphas[-1]).fit(X, y).get_n_leaves() == 1


def test_rows_without_weight_are_not_there():
    X, y = load_iris(return_X_y=True)
    weight = (np.arange(150) % 3 > 0).astype(float)
    tree = DecisionTreeClassifier(min_samples_leaf=10).fit(X, y, weight)
    known = DecisionTreeClassifier(min_samples_leaf=10).fit(X[weight > 0], y[weight > 0])
    assert np.array_equal(tree.threshold_, known.threshold_)
    assert tree.n_node_samples_[0] == 100


def test_created_by_id():
    assert isinstance(fivefold.create("cart-classifier", max_depth=2), DecisionTreeClassifier)
    assert isinstance(fivefold.create("CART_regressor"), DecisionTreeRegressor)


X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"criterion": "mse"}, "`criterion` is 'mse'; give one of 'gini', 'entropy', 'log_loss'."),
        ({"max_depth": 0}, "`max_depth` is 0; give a whole number >= 1."),
        ({"max_depth": 2.5}, "`max_depth` is 2.5 of type float; give a whole number >= 1."),
        ({"min_samples_split": 1}, "`min_samples_split` is 1; give a whole number >= 2."),
        ({"min_samples_leaf": 1.5}, "`min_samples_leaf` is 1.5; give a number > 0 and <= 1."),
        ({"min_weight_fraction_leaf": 0.6}, "`min_weight_fraction_leaf` is 0.6; give a number >= 0 and <= 0.5."),
        ({"max_features": "all"}, "`max_features` is 'all'; give one of 'sqrt', 'log2'."),
        ({"max_features": 0}, "`max_features` is 0; give a whole number >= 1."),
        ({"max_leaf_nodes": 1}, "`max_leaf_nodes` is 1; give a whole number >= 2."),
        ({"min_impurity_decrease": -0.1}, "`min_impurity_decrease` is -0.1; give a number >= 0."),
        ({"ccp_alpha": float("nan")}, "`ccp_alpha` is nan; give a number >= 0."),
        ({"class_weight": {7: 1.0}}, "`class_weight` names the class 7, which y does not hold: [0, 1]."),
        ({"class_weight": "even"}, "`class_weight` is 'even'; give one of 'balanced', None."),
        (
            {"class_weight": 3},
            "`class_weight` is 3 of type int; give None, 'balanced' or a mapping from class to weight.",
        ),
        (
            {"categorical_features": [5]},
            "`categorical_features` names column 5, but X has 2 columns; count from 0 to 1.",
        ),
        (
            {"categorical_features": ["a"]},
            "`categorical_features` names the column 'a', which X does not have; it has no names.",
        ),
        ({"categorical_features": [True]}, "`categorical_features` is [True]; give None, a boolean mask of 2 entries"),
    ],
)
def test_refused_parameters(params, text):
    with pytest.raises(FivefoldError, match=re.escape(text)):
        DecisionTreeClassifier(**params).fit(X, Y)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"X": np.where(X == 3, np.inf, X)},
            "X contains infinity; give finite numbers, or NaN where a value is missing.",
        ),
        ({"y": Y[:4]}, "Found input variables with inconsistent numbers of samples: [6, 4]."),
        ({"y": Y + 0.5}, "Unknown label type"),
        (
            {"sample_weight": [1.0, 1, 1, 1, 1, -1]},
            "`sample_weight` contains the negative weight -1; give weights >= 0.",
        ),
        (
            {"sample_weight": [1.0, 2.0]},
            "`sample_weight` has the shape (2,), X has 6 rows; give one weight a row: (6,).",
        ),
        ({"sample_weight": np.zeros(6)}, "`sample_weight` is zero everywhere"),
        ({"sample_weight": [np.nan] * 6}, "`sample_weight` contains NaN or infinity"),
        ({"sample_weight": ["a"] * 6}, "`sample_weight` cannot be read as numbers"),
        ({"X": X[:0], "y": Y[:0]}, "Found array with 0 sample(s)"),
        ({"X": X[:, 0]}, "Reshape your data: X.reshape(-1, 1) for one feature"),
    ],
)
def test_refused_data(change, text):
    given = {"X": X, "y": Y, **change}
    with pytest.raises(FivefoldError, match=re.escape(text)):
        DecisionTreeClassifier().fit(**given)


def test_refused_targets_and_questions():
    with pytest.raises(FivefoldError, match="Input y contains NaN"):
        DecisionTreeRegressor().fit(X, np.array([1.0, np.nan, 1, 1, 1, 1]))
    with pytest.raises(FivefoldError, match="`criterion` is 'gini'; give one of 'squared_error', 'absolute_error'."):
        DecisionTreeRegressor(criterion="gini").fit(X, Y)
    with pytest.raises(FivefoldError, match="`categorical_features` needs criterion='squared_error': sets of levels"):
        DecisionTreeRegressor(criterion="absolute_error", categorical_features=[0]).fit(X, Y)
    with pytest.raises(FivefoldError, match="not fitted yet; call `fit`"):
        DecisionTreeRegressor().predict(X)
    tree = DecisionTreeRegressor().fit(X, Y)
    with pytest.raises(FivefoldError, match="X has 1 features, but DecisionTreeRegressor is expecting 2"):
        tree.predict(X[:, :1])
    with pytest.raises(FivefoldError, match="`feature_names` has 1 names; the tree knows 2 features."):
        tree.export_text(feature_names=["a"])
    with pytest.raises(FivefoldError, match="`class_names` has 1 names; give none, for this is a regressor."):
        tree.export_text(class_names=["a"])
