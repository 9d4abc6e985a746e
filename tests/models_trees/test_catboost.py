"""CatBoost: refusals, early stopping, edges of tables."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from fivefold.base.codec import load, save
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.models.trees import CatBoostClassifier, CatBoostRegressor

SMALL = {"iterations": 5, "learning_rate": 0.3, "depth": 3, "random_state": 0}


def _table(n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 9, n), rng.integers(0, 4, n), rng.normal(size=n)]).astype(float)
    return X, (X[:, 2] + (X[:, 0] > 4) + 0.3 * rng.normal(size=n) > 0.5).astype(int)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 17}, "`depth` is 17; a symmetric tree has 2\\^depth leaves: give at most 16"),
        ({"iterations": 0}, "`iterations` is 0; give a whole number >= 1"),
        ({"boosting_type": "ordered"}, "give one of 'Plain', 'Ordered'"),
        ({"bootstrap_type": "Poisson"}, "give one of 'MVS', 'Bayesian', 'Bernoulli', 'No'"),
        ({"score_function": "L1"}, "'Cosine', 'L2', 'NewtonCosine', 'NewtonL2'"),
        ({"permutation_count": 1}, "`permutation_count` is 1"),
        ({"handle_unknown": "ignore"}, "give one of 'prior', 'error'"),
        ({"prior_weight": 0.0}, "`prior_weight` is 0.0"),
        ({"priors": "median"}, "`priors` is 'median'; give 'mean', a finite number or a list of them"),
        ({"priors": []}, "`priors` is \\[\\]; give 'mean', a finite number or a list of them"),
        ({"priors": [0.5, float("nan")]}, "`priors` is \\[0.5, nan\\]; give 'mean'"),
        ({"cat_features": [7]}, "names 7"),
        ({"loss_function": "RMSE"}, "give one of 'Logloss', 'MultiClass'"),
    ],
)
def test_settings_are_refused_in_one_sentence(settings: dict, message: str) -> None:
    X, y = _table()
    with pytest.raises((InputError, InputTypeError), match=message):
        CatBoostClassifier(**{**SMALL, **settings}).fit(X, y)


def test_a_misspelt_parameter_is_told() -> None:
    with pytest.raises(InputTypeError, match="did you mean 'learning_rate'"):
        CatBoostClassifier(learning_rat=0.1)


def test_logloss_is_for_two_classes() -> None:
    X, y = _table()
    with pytest.raises(InputError, match="'Logloss' is for two classes; y holds 3"):
        CatBoostClassifier(**SMALL, loss_function="Logloss").fit(X, y + (X[:, 1] > 2))


def test_infinity_is_refused_and_missing_values_are_not() -> None:
    X, y = _table()
    X[3, 2] = np.inf
    with pytest.raises(DataError, match="X contains infinity; give finite numbers, or NaN where a value is missing."):
        CatBoostClassifier(**SMALL).fit(X, y)
    X[3, 2] = np.nan
    model = CatBoostClassifier(**SMALL).fit(X, y)
    with pytest.raises(DataError, match="X contains infinity"):
        model.predict(np.where(np.isnan(X), np.inf, X))
    with pytest.raises(DataError, match="nan_mode='Forbidden'"):
        CatBoostClassifier(**SMALL, nan_mode="Forbidden").fit(X, y)


def test_missing_where_training_had_none_is_the_smallest_value() -> None:
    X, y = _table()
    model = CatBoostClassifier(**SMALL).fit(X, y)
    low, missing = X.copy(), X.copy()
    low[:, 2], missing[:, 2] = -1e9, np.nan
    assert np.array_equal(model.predict_raw(low), model.predict_raw(missing))
    model = CatBoostClassifier(**SMALL, nan_mode="Max").fit(X, y)
    assert np.array_equal(model.predict_raw(np.where(low < -1e8, 1e9, low)), model.predict_raw(missing))


def test_an_unseen_level_raises_on_request_and_names_the_column() -> None:
    X, y = _table()
    frame = pd.DataFrame({"town": X[:, 0].astype(int).astype(str), "size": X[:, 2]})
    model = CatBoostClassifier(**SMALL, handle_unknown="error").fit(frame, y)
    new = frame.copy()
    new.loc[4, "town"] = "elsewhere"
    sentence = (
        "The column 'town' holds 'elsewhere', which it did not in `fit`; handle_unknown='prior' gives them the prior."
    )
    with pytest.raises(DataError, match=re.escape(sentence)):
        model.predict(new)


def test_the_best_round_on_the_evaluation_set_predicts() -> None:
    X, y = _table()
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 2, len(y))
    settings = {**SMALL, "iterations": 60, "cat_features": [0, 1]}
    model = CatBoostClassifier(**settings, early_stopping_rounds=4).fit(X, y, eval_set=[(X, noise)])
    scores = model.evals_result_["valid_0"]["loss"]
    assert model.best_iteration_ == int(np.argmin(scores)) + 1
    assert model.n_estimators_ == model.best_iteration_ + 4
    staged = [-np.log(p[np.arange(len(y)), noise]).mean() for p in model.staged_predict_proba(X)]
    assert np.allclose(staged, scores, rtol=1e-10)
    assert np.array_equal(model.predict_raw(X), model.predict_raw(X, model.best_iteration_))
    kept = CatBoostClassifier(**settings, use_best_model=False).fit(X, y, eval_set=[(X, noise)])
    assert kept.best_iteration_ is None


def test_losses_of_regression_reach_their_constants() -> None:
    y = np.array([0.0, 1.0, 2.0, 7.0, 11.0])
    X = np.zeros((5, 1))
    wanted = {"RMSE": y.mean(), "MAE": np.median(y), "Quantile": np.quantile(y, 0.5), "Poisson": y.mean()}
    for name, value in wanted.items():
        model = CatBoostRegressor(iterations=3, loss_function=name, random_strength=0.0, bootstrap_type="No").fit(X, y)
        assert np.allclose(model.predict(X), value), name


def test_weight_zero_is_no_row_and_duplicate_or_constant_columns_do_no_harm() -> None:
    X, y = _table()
    weight = np.ones(len(y))
    weight[:30] = 0
    settings = {**SMALL, "cat_features": [0, 1], "bootstrap_type": "No"}
    a = CatBoostClassifier(**settings).fit(X, y, weight).predict_raw(X)
    b = CatBoostClassifier(**settings).fit(X[30:], y[30:], weight[30:]).predict_raw(X)
    assert np.allclose(a, b, atol=1e-12)
    wide = np.column_stack([X, X[:, 2], np.zeros(len(y))])
    plain = {**SMALL, "bootstrap_type": "No", "random_strength": 0.0}
    assert np.array_equal(
        CatBoostClassifier(**plain).fit(X, y).predict(X), CatBoostClassifier(**plain).fit(wide, y).predict(wide)
    )


def test_one_class_and_equal_targets() -> None:
    X, _ = _table()
    assert (CatBoostClassifier(**SMALL).fit(X, np.full(len(X), "a")).predict(X) == "a").all()
    assert np.allclose(CatBoostRegressor(**SMALL).fit(X, np.full(len(X), 2.5)).predict(X), 2.5)


def test_a_saved_model_keeps_its_levels(tmp_path) -> None:
    X, y = _table()
    frame = pd.DataFrame({"a": X[:, 0].astype(int).astype(str), "b": X[:, 1].astype(int).astype(str), "x": X[:, 2]})
    model = CatBoostClassifier(**SMALL).fit(frame, y)
    save(model, tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict_raw(frame), model.predict_raw(frame))


def test_contributions_belong_to_the_columns_given_and_sum_to_the_score() -> None:
    X, y = _table()
    model = CatBoostClassifier(**SMALL, cat_features=[0, 1]).fit(X, y)
    values = model.shap_values(X)
    assert values.shape == X.shape
    assert np.allclose(values.sum(axis=1) + model.expected_value, model.predict_raw(X)[:, 0], atol=1e-9)
    assert "column" in str(model.explain(X[:1]))


def test_callbacks_are_refused() -> None:
    X, y = _table()
    with pytest.raises(InputError, match="takes no `callbacks`"):
        CatBoostClassifier(**SMALL).fit(X, y, callbacks=[print])
