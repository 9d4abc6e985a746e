"""Behavior of boosting beyond its evidence: protocol, frames with categories, saving, aliases, refusals."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from fivefold.base import codec
from fivefold.base.errors import DataError, FivefoldError, InputError, InputTypeError
from fivefold.models.trees import (
    GradientBoostingRegressor,
    LGBMClassifier,
    LGBMRanker,
    LGBMRegressor,
    XGBClassifier,
    XGBRegressor,
)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    return X, X[:, 0] * X[:, 1] + rng.normal(size=400) / 4


def test_saved_models_answer_alike(tmp_path, table):
    X, y = table
    for model in (
        LGBMRegressor(n_estimators=5),
        XGBClassifier(n_estimators=5),
        GradientBoostingRegressor(n_estimators=5, loss="huber"),
        LGBMClassifier(n_estimators=3),
    ):
        target = np.digitize(y, [-0.5, 0.5]) if hasattr(model, "predict_proba") else y
        model.fit(X, target)
        codec.save(model, tmp_path / type(model).__name__)
        again = codec.load(tmp_path / type(model).__name__)
        assert np.array_equal(again.predict(X), model.predict(X))
        assert np.array_equal(again.apply(X), model.apply(X))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_categories_go_by_value(library):
    rng = np.random.default_rng(1)
    color = rng.choice(["red", "green", "blue", "gray", "pink", "teal"], 1200)
    size = rng.normal(size=1200)
    y = np.isin(color, ["red", "teal"]) * 2.0 + size
    frame = pd.DataFrame({"size": size, "color": pd.Categorical(color)})
    part = pd.DataFrame({"color": pd.Categorical(["teal", "blue"]), "size": [0.0, 0.0]})
    unseen = pd.DataFrame({"size": [0.0, 0.0], "color": pd.Categorical(["mauve", None])})
    if library == "polars":
        frame, part, unseen = (
            pl.DataFrame({c: f[c].astype(object).where(f[c].notna(), None).tolist() for c in f.columns})
            for f in (frame, part, unseen)
        )
    model = LGBMRegressor(n_estimators=60, min_data_per_group=10).fit(frame, y)
    answer = model.predict(part)
    assert answer[0] > 1.5 and abs(answer[1]) < 0.5
    # A value never seen goes the way of missing ones.
    lost = model.predict(unseen)
    assert lost[0] == lost[1]
    with pytest.raises(DataError, match="lacks the column 'color'"):
        model.predict(frame.drop(columns="color") if library == "pandas" else frame.drop("color"))


def test_sparse_equals_dense(table):
    X, y = table
    X = np.where(np.abs(X) < 0.5, 0.0, X)
    dense, sparse = LGBMRegressor(n_estimators=4).fit(X, y), LGBMRegressor(n_estimators=4).fit(sp.csr_matrix(X), y)
    assert np.array_equal(dense.predict(X), sparse.predict(sp.csr_matrix(X)))


def test_float32_and_float64_agree(table):
    X, y = table
    X = X.astype(np.float32)
    narrow, wide = LGBMRegressor(n_estimators=4).fit(X, y), LGBMRegressor(n_estimators=4).fit(X.astype(np.float64), y)
    assert np.array_equal(narrow.predict(X), wide.predict(X.astype(np.float64)))


def test_warm_start_and_staged_predictions(table):
    X, y = table
    whole = LGBMRegressor(n_estimators=8).fit(X, y)
    model = LGBMRegressor(n_estimators=3, warm_start=True).fit(X, y)
    model.set_params(n_estimators=8).fit(X, y)
    assert np.allclose(model.predict(X), whole.predict(X), atol=1e-12)
    stages = list(whole.staged_predict(X))
    assert len(stages) == 8
    assert np.allclose(stages[2], whole.predict(X, num_iteration=3), atol=1e-14)
    with pytest.raises(InputError, match="must grow"):
        model.set_params(n_estimators=2).fit(X, y)


def test_initial_scores_are_an_offset(table):
    X, y = table
    offset = 5.0 * X[:, 2]
    model = LGBMRegressor(n_estimators=40).fit(X, y + offset, init_score=offset)
    assert np.mean((model.predict(X) - y) ** 2) < 0.5 * np.var(y)
    with pytest.raises(DataError, match=re.escape("`init_score` has the shape (3,); give (400,).")):
        LGBMRegressor().fit(X, y, init_score=[1, 2, 3])


def test_custom_objective_equals_the_built_in_one(table):
    X, y = table
    ours = LGBMRegressor(n_estimators=5, boost_from_average=False).fit(X, y)
    custom = LGBMRegressor(n_estimators=5, objective=lambda y, raw: (raw - y, np.ones(len(y)))).fit(X, y)
    assert np.array_equal(ours.predict(X), custom.predict(X))
    with pytest.raises(InputError, match=r"gradient of the custom objective has the shape \(1,\)"):
        LGBMRegressor(objective=lambda y, raw: (np.ones(1), np.ones(1))).fit(X, y)
    with pytest.raises(DataError, match="Hessian below zero"):
        LGBMRegressor(objective=lambda y, raw: (raw - y, -np.ones(len(y)))).fit(X, y)


def test_ranking_orders_queries():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(600, 3))
    relevance = np.clip(np.round(X[:, 0] + 1), 0, 3)
    model = LGBMRanker(n_estimators=20).fit(
        X, relevance, group=[20] * 30, eval_set=[(X, relevance)], eval_group=[[20] * 30]
    )
    assert model.evals_result_["valid_0"]["ndcg@5"][-1] > 0.95
    with pytest.raises(DataError, match="`group` sums to 20 rows, X has 600"):
        LGBMRanker().fit(X, relevance, group=[20])


def test_early_stopping_holds_rows_out(table):
    X, y = table
    model = GradientBoostingRegressor(n_estimators=400, learning_rate=0.5, n_iter_no_change=5, random_state=0).fit(X, y)
    assert model.n_estimators_ < 400 and model.best_iteration_ < model.n_estimators_
    assert np.array_equal(model.predict(X), model.predict(X, num_iteration=model.best_iteration_))


def test_aliases_and_refusals(table):
    X, y = table
    assert LGBMRegressor(max_leaves=7, eta=0.2, min_data_in_leaf=3, lambda_l2=1.0).get_params()["num_leaves"] == 7
    assert XGBRegressor(eta=0.2).set_params(eta=0.4).learning_rate == 0.4
    for make, message in (
        (lambda: LGBMRegressor(num_leafs=3), "did you mean 'num_leaves'"),
        (lambda: LGBMRegressor(num_leaves=1).fit(X, y), "`num_leaves` is 1; give a whole number >= 2."),
        (lambda: LGBMRegressor(monotone_constraints=[1]).fit(X, y), "has 1 entries, X has 4 columns"),
        (lambda: LGBMRegressor(objective="poisson").fit(X, y), "Poisson loss needs targets >= 0"),
        (lambda: LGBMRegressor(boosting_type="goss", top_rate=0.9, other_rate=0.2).fit(X, y), "may sum to 1"),
        (lambda: XGBRegressor(tree_method="exact", categorical_features=[0]).fit(X, y), "takes numbers only"),
        (lambda: LGBMClassifier(objective="focal").fit(X, np.arange(400) % 3), "is for two classes; y holds 3"),
        (lambda: LGBMRegressor(categorical_feature=[9]).fit(X, y), "`categorical_feature` names 9"),
        (lambda: LGBMRegressor(interaction_constraints=[[7]]).fit(X, y), "`interaction_constraints` names 7"),
        (lambda: LGBMRegressor().fit(X, y[:-1]), "inconsistent numbers of samples"),
        (
            lambda: LGBMRegressor(handle_unknown="skip").fit(X, y),
            "`handle_unknown` is 'skip'; give one of 'missing', 'error'.",
        ),
        (
            lambda: LGBMRegressor().fit(X, y, callbacks=[3]),
            "`callbacks` holds int; give Checkpoint objects and callables",
        ),
        (lambda: LGBMRanker().fit(X, y - 9), "whole numbers from 0 to 30; it holds -"),
        (lambda: LGBMRanker(n_estimators=1).fit(X, X[:, 0] > 0).score(X, y[:-1] > 0), "X has 400 rows, `y` 399"),
        (
            lambda: (
                LGBMClassifier(n_estimators=1)
                .fit(X, y > 0, eval_set=[(X, y > 9)])
                .fit(X, y > 0, eval_set=[(X, X[:, 0])])
            ),
            "`eval_set` holds the class ",
        ),
    ):
        with pytest.raises((FivefoldError, InputTypeError), match=re.escape(message)):
            make()


def test_few_histograms_give_the_same_tree(table, monkeypatch):
    from fivefold.models.trees.boosting import _core

    X, y = table
    whole = LGBMRegressor(n_estimators=3, min_child_samples=2).fit(X, y).predict(X)
    monkeypatch.setattr(_core, "_POOL_BYTES", 1)
    assert np.array_equal(LGBMRegressor(n_estimators=3, min_child_samples=2).fit(X, y).predict(X), whole)


def test_one_class_and_zero_weights(table):
    X, _ = table
    model = LGBMClassifier(n_estimators=2).fit(X, np.zeros(400))
    assert np.array_equal(model.predict_proba(X), np.ones((400, 1)))
    weight = np.zeros(400)
    weight[:50] = 1
    y = X[:, 0] > 0
    assert LGBMClassifier(n_estimators=2).fit(X, y, weight).trees_.count[0] == 50


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("make", [LGBMRegressor, XGBClassifier, GradientBoostingRegressor, LGBMRanker])
def test_infinity_is_refused(table, make, value):
    X, y = table
    y = (y > 0).astype(int)
    sentence = re.escape("X contains infinity; give finite numbers, or NaN where a value is missing.")
    spoilt = X.copy()
    spoilt[7, 2] = value
    model = make(n_estimators=1)
    for bad in (spoilt, spoilt.astype(np.float32), sp.csr_matrix(spoilt), pd.DataFrame(spoilt)):
        with pytest.raises(DataError, match=sentence):
            model.fit(bad, y)
    model.fit(X, y)
    for bad in (spoilt, np.asfortranarray(spoilt), spoilt[1::2], spoilt.astype(np.float32), sp.csr_matrix(spoilt)):
        with pytest.raises(DataError, match=sentence):
            model.predict(bad)
    with pytest.raises(DataError, match=sentence):
        model.fit(X, y, eval_set=[(spoilt, y)])
    model.predict(np.where(np.isinf(spoilt), np.nan, spoilt))


def test_infinity_in_a_frame_with_categories_is_refused():
    frame = pd.DataFrame({"a": [1.0, np.inf, 2.0], "b": pd.Categorical(["x", "y", "x"])})
    with pytest.raises(DataError, match="X contains infinity"):
        LGBMRegressor().fit(frame, [1, 2, 3])


def test_targets_that_are_not_numbers(table):
    X, y = table
    for bad, message in (
        (np.where(np.arange(400) == 3, np.nan, y), "`y` contains NaN or infinity; give finite targets."),
        (np.full(400, "ant"), "`y` cannot be read as one number a row"),
    ):
        with pytest.raises(DataError, match=re.escape(message)):
            LGBMRegressor().fit(X, bad)
    with pytest.raises(DataError, match="give a label for every row"):
        LGBMClassifier().fit(X, np.where(np.arange(400) == 3, np.nan, y > 0))


def test_unseen_categories_are_refused_on_request():
    frame = pd.DataFrame({"a": np.arange(40.0), "b": pd.Categorical(["x", "y"] * 20)})
    model = LGBMRegressor(handle_unknown="error", min_child_samples=1).fit(frame, np.arange(40.0))
    with pytest.raises(DataError, match="The column 'b' holds 'z', which it did not in `fit`"):
        model.predict(pd.DataFrame({"a": [1.0], "b": ["z"]}))
    codes = np.column_stack([np.arange(40.0), np.arange(40) % 3])
    model = LGBMRegressor(handle_unknown="error", categorical_feature=[1]).fit(sp.csr_matrix(codes), np.arange(40.0))
    with pytest.raises(DataError, match="The column 1 holds 7, which"):
        model.predict([[1.0, 7.0]])


def test_a_warm_start_keeps_classes_and_categories(table):
    X, y = table
    label = np.where(y > 0, "up", "down")
    model = LGBMClassifier(n_estimators=2, warm_start=True).fit(X, label)
    model.set_params(n_estimators=3).fit(X[label == "up"], label[label == "up"])
    assert model.classes_.tolist() == ["down", "up"]
    with pytest.raises(DataError, match=r"`y` holds the class 'left', which is not one of the fit: \['down', 'up'\]"):
        model.set_params(n_estimators=4).fit(X, np.full(400, "left"))
    frame = pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(np.where(X[:, 1] > 0, "p", "q"))})
    model = LGBMRegressor(n_estimators=2, warm_start=True, min_data_per_group=1).fit(frame, y)
    before = model.predict(frame, num_iteration=2)
    only = frame[frame["b"] == "q"].assign(b=lambda f: f["b"].astype(str).astype("category"))
    model.set_params(n_estimators=3).fit(only, y[(frame["b"] == "q").to_numpy()])
    assert np.array_equal(model.predict(frame, num_iteration=2), before)


def test_rows_of_weight_zero_leave_their_query():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(120, 2))
    y = np.clip(np.round(X[:, 0] + 1), 0, 3)
    weight = (np.arange(120) % 3 > 0).astype(float)
    weight[:10] = 0
    kept = weight > 0
    group = np.bincount(np.repeat(np.arange(12), 10)[kept], minlength=12)
    part = LGBMRanker(n_estimators=3, min_child_samples=2).fit(X[kept], y[kept], group=group[group > 0])
    whole = LGBMRanker(n_estimators=3, min_child_samples=2).fit(X, y, weight, group=[10] * 12)
    assert np.array_equal(part.predict(X), whole.predict(X))
    assert LGBMRanker(n_estimators=3).fit(X, y).score(X, y) <= 1


def test_one_row_and_equal_targets():
    assert LGBMRegressor(n_estimators=2, min_child_samples=1).fit([[1.0]], [3.0]).predict([[7.0]])[0] == 3.0
    for make in (LGBMRegressor, XGBRegressor, GradientBoostingRegressor):
        model = make(n_estimators=3).fit(np.arange(30.0)[:, None], np.full(30, 2.5))
        assert np.allclose(model.predict([[4.0]]), 2.5, atol=1e-12)
    leaf = LGBMRegressor(n_estimators=1, learning_rate=1.0, min_child_samples=1, min_data_in_bin=1, num_leaves=30)
    y = np.arange(30.0) ** 2
    assert np.allclose(leaf.fit(np.arange(30.0)[:, None], y).predict(np.arange(30.0)[:, None]), y, atol=1e-5)
