"""Discretization and crosses: protocol, pipelines, feature names, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from fivefold.base.errors import InputError, UnknownNameError
from fivefold.data.cross import FeatureCross
from fivefold.data.discretizer import Discretizer

X = np.random.default_rng(0).normal(size=(60, 2))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@parametrize_with_checks(
    [
        Discretizer(strategy="kmeans", encode="ordinal"),
        Discretizer(strategy="width"),
        Discretizer(strategy="information-gain"),
        FeatureCross(kind="category"),
        FeatureCross(kind="category", n_buckets=8),
    ]
)
def test_protocol(estimator, check):
    check(estimator)


def test_pipeline_and_grid_search() -> None:
    steps = make_pipeline(Discretizer(encode="ordinal"), FeatureCross(kind="category"), LogisticRegression())
    found = GridSearchCV(steps, {"discretizer__n_bins": [2, 6]}, cv=3).fit(X, Y)
    assert found.best_score_ > 0.8


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_feature_names(frame) -> None:
    table = frame({"age": X[:, 0], "income": X[:, 1]})
    model = Discretizer(n_bins=2).fit(table)
    assert model.feature_names_in_.tolist() == ["age", "income"]
    assert all(name.startswith(("age_[", "income_[")) for name in model.get_feature_names_out())
    cross = FeatureCross(crosses=[("age", "income")]).fit(table)
    assert cross.get_feature_names_out().tolist() == ["age", "income", "age income"]


def test_a_constant_column_and_few_values_have_fewer_bins() -> None:
    table = np.column_stack([np.ones(9), np.repeat([1.0, 2.0, 3.0], 3)])
    for strategy in ("width", "kmeans"):
        assert Discretizer(strategy=strategy, n_bins=3).fit(table).n_bins_.tolist() == [1, 3]
    assert Discretizer(strategy="kmeans", n_bins=8).fit(table).n_bins_.tolist() == [1, 3]


def test_neighboring_floats_are_told_apart() -> None:
    x = np.array([[1.0], [np.nextafter(1.0, 2)]])
    assert Discretizer(strategy="kmeans", n_bins=2, encode="ordinal").fit_transform(x).ravel().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Discretizer(n_bins=1), "n_bins must be a whole number >= 2, got 1"),
        (Discretizer(encode="hot"), "encode must be one of 'onehot'"),
        (Discretizer(strategy="expert"), "cuts belong to strategy='expert' and to it alone"),
        (Discretizer(cuts=[[1], [1]]), "cuts belong to strategy='expert' and to it alone"),
        (Discretizer(strategy="expert", cuts=[[1]]), "cuts lists 1 columns, but X has 2"),
        (Discretizer(strategy="expert", cuts=[[1, 1], [0]]), "must be finite and increasing"),
        (Discretizer(strategy="information-gain"), "requires y to be passed"),
        (FeatureCross(kind="sum"), "kind must be 'product' or 'category'"),
        (FeatureCross(degree=1), "degree must be a whole number >= 2, got 1"),
        (FeatureCross(n_buckets=4), "n_buckets hashes crosses of categories"),
        (FeatureCross(kind="category", n_buckets=0), "n_buckets must be a whole number >= 1"),
        (FeatureCross(crosses=[(0, 2)]), "names 2, which is no column"),
        (FeatureCross(crosses=[(0, 0)]), "two or more distinct columns"),
        (FeatureCross(crosses=[(0, "age")]), "names 'age', which is no column"),
    ],
)
def test_refusals(model, message: str) -> None:
    with pytest.raises(InputError, match=message):
        model.fit(X)


def test_more_refusals() -> None:
    with pytest.raises(UnknownNameError, match="strategy of discretization"):
        Discretizer(strategy="median").fit(X)
    with pytest.raises(InputError, match="no cross and no column would be left"):
        FeatureCross(include_input=False).fit(X[:, :1])
    model = Discretizer(encode="ordinal").fit(X)
    with pytest.raises(InputError, match="names a bin outside 0 … 4"):
        model.inverse_transform(np.full((1, 2), 5.0))
    with pytest.raises(InputError, match="the inverse takes what transform gives, 2 columns"):
        model.inverse_transform(np.zeros((1, 3)))
