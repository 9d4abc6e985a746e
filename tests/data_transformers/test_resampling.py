"""Resamplers, prior correction and the pipeline around them: protocol, comparison, saving, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fivefold.base import codec
from fivefold.base.cards import get_card
from fivefold.base.errors import DataError, InputError, InputTypeError, SpecError
from fivefold.data.infer import infer_schema
from fivefold.data.prior_correction import PriorCorrection, ResamplingPipeline, logit_shift
from fivefold.data.recipes import Recipe
from fivefold.data.resampling import RandomOverSampler, RandomUnderSampler
from fivefold.data.smote import SMOTE
from fivefold.models.linear.logistic import LogisticRegression
from fivefold.workbench.tabular import fit_table

DRAW = np.random.default_rng(0)
X = np.vstack([DRAW.normal(0, 1, (90, 3)), DRAW.normal(1, 1, (15, 3))])
Y = np.repeat(["no", "yes"], [90, 15])


@parametrize_with_checks([PriorCorrection(LogisticRegression(), RandomOverSampler(random_state=0))])
def test_protocol(estimator, check):
    check(estimator)


def test_in_pipelines_and_searches() -> None:
    inside = make_pipeline(StandardScaler(), PriorCorrection(LogisticRegression(), SMOTE(random_state=0)))
    assert (cross_val_score(inside, X, Y, scoring="roc_auc", cv=3) > 0.6).all()
    found = GridSearchCV(inside, {"priorcorrection__resampler__k_neighbors": [2, 4]}, cv=3).fit(X, Y)
    assert found.best_params_["priorcorrection__resampler__k_neighbors"] in (2, 4)
    own = ResamplingPipeline([("smote", SMOTE(random_state=0)), ("model", LogisticRegression())])
    assert clone(own.set_params(smote__k_neighbors=3)).get_params()["smote__k_neighbors"] == 3
    search = GridSearchCV(own, {"smote__k_neighbors": [2, 4], "model__C": [1.0]}, cv=3).fit(X, Y)
    assert search.best_estimator_.trained_shares_.tolist() == [0.5, 0.5]
    assert abs(search.predict_proba(X)[:, 1].mean() - 15 / 105) < 0.05


def test_a_corrected_model_is_saved(tmp_path) -> None:
    model = PriorCorrection(LogisticRegression(), RandomUnderSampler(random_state=0)).fit(X, Y)
    codec.save(model, tmp_path / "model")
    assert np.array_equal(codec.load(tmp_path / "model").predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("kind", ["polars", "pandas"])
def test_smote_keeps_frames(kind: str) -> None:
    columns = {"a": X[:, 0], "town": np.where(X[:, 1] > 0, "Ulm", "Bonn"), "b": X[:, 2].round().astype(int)}
    table = pl.DataFrame(columns) if kind == "polars" else pd.DataFrame(columns)
    grown, labels = SMOTE(categorical_features=["town"], random_state=0).fit_resample(table, Y)
    assert type(grown) is type(table) and list(grown.columns) == ["a", "town", "b"]
    assert len(grown) == len(labels) == 180 and set(np.asarray(grown["town"])) == {"Ulm", "Bonn"}
    plain, _ = SMOTE(categorical_features=[1], random_state=0).fit_resample(
        np.column_stack([np.array(v, dtype=object) for v in columns.values()]), Y
    )
    assert np.array_equal(np.asarray(grown["a"], dtype=float), plain[:, 0].astype(float))
    assert np.array_equal(np.asarray(grown["town"]), plain[:, 1])


def test_integers_become_numbers_between() -> None:
    grown, _ = SMOTE(random_state=0).fit_resample((X * 10).astype(int), Y)
    assert grown.dtype == np.float64 and (grown[105:] % 1 != 0).any()


def test_smote_in_a_fit_of_a_table() -> None:
    rows = 400
    draw = np.random.default_rng(1)
    town = draw.choice(["Ulm", "Bonn", "Kiel"], rows)
    age = draw.normal(40, 10, rows)
    bought = draw.uniform(size=rows) < 1 / (1 + np.exp(3.0 - (town == "Ulm") - (age - 40) / 10))
    frame = pl.DataFrame({"town": town, "age": np.where(draw.uniform(size=rows) < 0.1, np.nan, age), "old": age > 50})
    frame = frame.with_columns(pl.Series("bought", np.where(bought, "yes", "no")), pl.Series("w", np.ones(rows) * 2))
    schema, table = infer_schema(frame.drop("w"), target="bought")
    model = fit_table(get_card("logistic-regression"), table, schema, resample="smote")
    assert model.trained_shares == [0.5, 0.5] and "made up between neighbors" in model.describe()
    probability = model.predict(table)["probability_yes"]
    assert abs(probability.mean() - bought.mean()) < 0.03
    weighted, table = infer_schema(frame, target="bought", weight="w")
    with pytest.raises(SpecError, match="SMOTE gives its synthetic rows no weight"):
        fit_table(get_card("logistic-regression"), table, weighted, resample="smote")


def test_nominal_blocks_of_a_recipe() -> None:
    frame = pl.DataFrame(
        {
            "town": ["Ulm", "Bonn", "Ulm", "Bonn"] * 3,
            "age": [1.0, None, 3.0, 4.0] * 3,
            "old": [True, False, False, True] * 3,
            "y": ["a", "b", "b", "b"] * 3,
        }
    )
    schema, frame = infer_schema(frame, target="y")
    recipe = Recipe("one-hot", schema).fit(frame)
    names = recipe.feature_names_out_
    blocks = [[names[j] for j in block] for block in recipe.nominal_blocks()]
    assert [b for b in blocks if b[0].startswith("town=")][0][:2] == ["town=Bonn", "town=Ulm"]
    assert ["age_missing"] in blocks and ["old"] in blocks and len(blocks) == 3
    codes = np.array(["a", "b", "b", "b"] * 3) == "b"
    fewer = Recipe("one-hot", schema, select=2).fit(frame, codes.astype(np.int64), classes=2)
    kept = fewer.feature_names_out_
    assert all(kept[j] != "age" for block in fewer.nominal_blocks() for j in block)


@pytest.mark.parametrize(
    ("model", "rows", "target", "error", "message"),
    [
        (RandomOverSampler(), X, Y[:50], ValueError, "inconsistent numbers of samples"),
        (RandomOverSampler(), X[:90], Y[:90], DataError, "has the one class"),
        (RandomOverSampler(), X[0], Y, InputError, r"shape \(n, d\); got 1 axes"),
        (RandomOverSampler(sampling_strategy=2.0), X, Y, InputError, "a ratio in \\(0, 1\\]"),
        (RandomOverSampler(sampling_strategy=True), X, Y, InputError, "must be 'auto'"),
        (RandomOverSampler(sampling_strategy={"no": 3}), X, Y, InputError, "which has 90; give at least its own"),
        (RandomUnderSampler(sampling_strategy={"no": 91}), X, Y, InputError, "give from 1 to its own"),
        (RandomUnderSampler(sampling_strategy={"no": 0}), X, Y, InputError, "asks for 0 rows"),
        (RandomOverSampler(sampling_strategy={"maybe": 99}), X, Y, InputError, "names 'maybe', but the classes are"),
        (RandomOverSampler(sampling_strategy=0.05), X, Y, InputError, "asks for 4 rows of the class 'yes'"),
        (RandomOverSampler(sampling_strategy=0.5), X, np.arange(105) % 3, InputError, "is for two classes"),
        (SMOTE(k_neighbors=0), X, Y, InputError, "k_neighbors must be a whole number >= 1"),
        (SMOTE(k_neighbors=15), X, Y, DataError, "has 15 row\\(s\\), too few for k_neighbors=15, which needs 16"),
        (SMOTE(categorical_features=[3]), X, Y, InputError, "names 3, which is no column of X"),
        (SMOTE(categorical_features=["town"]), X, Y, InputError, "names 'town'"),
        (SMOTE(categorical_features=[1, (0, 1)]), X, Y, InputError, "names a column twice"),
        (SMOTE(categorical_features=[0, 1, 2]), X, Y, DataError, "at least one numeric feature"),
        (SMOTE(), np.where(X > 2, np.nan, X), Y, DataError, "fill missing values"),
    ],
)
def test_refusals(model, rows, target, error, message: str) -> None:
    with pytest.raises(error, match=message):
        model.fit_resample(rows, target)


def test_more_refusals() -> None:
    with pytest.raises(InputTypeError, match="resampler must have fit_resample"):
        PriorCorrection(LogisticRegression(), StandardScaler()).fit(X, Y)
    for shares in ([0.5], [1.0, 0.0], [np.nan, 1.0]):
        with pytest.raises(InputError, match="true_shares must be 2 positive numbers"):
            PriorCorrection(LogisticRegression(), true_shares=shares).fit(X, Y)
    with pytest.raises(InputError, match="two positive shares each"):
        logit_shift([0.5, 0.5], [1.0, 0.0])
    with pytest.raises(InputError, match="must have transform or fit_resample"):
        ResamplingPipeline([("a", LogisticRegression()), ("b", LogisticRegression())]).fit(X, Y)
    with pytest.raises(InputError, match="one distinct name each"):
        ResamplingPipeline([("a", SMOTE()), ("a", LogisticRegression())]).fit(X, Y)
