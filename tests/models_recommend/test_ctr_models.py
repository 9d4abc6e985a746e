"""Models of click logs: what is refused, and in which words; what a run tells."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from fivefold.base.errors import CapabilityError, DataError, FivefoldError, InputError, SpecError
from fivefold.base.estimator import NotFittedError
from fivefold.data import MultiFieldReader
from fivefold.evidence.batteries.ctr import FEATURES, clicks
from fivefold.models.recommend import (
    AutoInt,
    DeepCross,
    DeepFM,
    DeepGBM,
    DeepInterestNetwork,
    FactorizationMachine,
    MultiSequenceCNN,
    SeqFM,
    WideDeep,
    XDeepFM,
)

SMALL = {"embedding_dim": 2, "max_epochs": 1, "batch_size": 64}


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (
            DeepFM(features={"itme": "categorical"}),
            DataError,
            "features names the column 'itme', which the table lacks",
        ),
        (
            DeepFM(features={"item": {"bucket": 3}}),
            SpecError,
            "features: 'item' has the unknown key 'bucket'; keys are: kind",
        ),
        (
            DeepFM(features={"item": "category"}),
            SpecError,
            "features: 'item' has the kind 'category'; use one of categorical",
        ),
        (
            DeepFM(features={"price": {"scale": "root"}}),
            SpecError,
            "features: 'price' has the scale 'root'; use one of standard",
        ),
        (
            DeepFM(features={"item": {"min_count": 0}}),
            SpecError,
            "features: 'item' has min_count=0; give a whole number of at",
        ),
        (DeepFM(features=[]), SpecError, "features names no column; give at least one."),
        (
            DeepFM(features={"item": "numeric"}),
            DataError,
            "The column 'item' holds values that are no numbers; mend them",
        ),
        (
            DeepFM(features={"item": {"table": "t"}, "user": {"table": "t", "min_count": 2}}),
            SpecError,
            "features: the fields item, user share the table 't', but not min_count and buckets",
        ),
        (
            DeepFM(task="multiclass"),
            CapabilityError,
            "DeepFM serves the tasks binary, regression; got task='multiclass'.",
        ),
        (DeepFM(updates="eager"), SpecError, "DeepFM: updates must be one of lazy, dense; got 'eager'."),
        (DeepFM(embedding_dim=0), SpecError, "DeepFM: embedding_dim must be a whole number of at least 1, got 0."),
        (DeepFM(l2=-1), SpecError, "DeepFM: l2 must be at least 0, got -1."),
        (
            DeepFM(hidden_sizes=(3, 0)),
            SpecError,
            "DeepFM: hidden_sizes must be whole numbers of at least 1, got (3, 0).",
        ),
        (DeepFM(dropout=1), SpecError, "DeepFM: dropout must lie in [0, 1), got 1."),
        (DeepFM(max_epochs=0), SpecError, "DeepFM: max_epochs must be a whole number of at least 1, got 0."),
        (
            DeepCross(n_cross_layers=0),
            SpecError,
            "DeepCross: n_cross_layers must be a whole number of at least 1, got 0.",
        ),
        (
            AutoInt(residual="product"),
            SpecError,
            "AutoInt: residual must be one of sum, weighted, mean, concat; got 'product'.",
        ),
        (AutoInt(rho=2), SpecError, "AutoInt: rho must lie in [0, 1], got 2."),
        (XDeepFM(cin_sizes=()), SpecError, "XDeepFM: cin_sizes holds no layer; give at least one."),
        (
            WideDeep(crosses=[("user", "price")], features=FEATURES),
            DataError,
            "crosses names 'price', which is no categorical",
        ),
        (
            WideDeep(crosses=[("user",)], features=FEATURES),
            DataError,
            "crosses holds ('user',); each is a pair of columns.",
        ),
        (DeepGBM(n_groups=0), SpecError, "DeepGBM: n_groups must be a whole number of at least 1, got 0."),
        (DeepGBM(num_leaves=1), SpecError, "DeepGBM: num_leaves must be a whole number of at least 2, got 1."),
        (DeepGBM(tree_sizes=(0,)), SpecError, "DeepGBM: tree_sizes must be whole numbers of at least 1, got (0,)."),
        (DeepGBM(tree_learning_rate=0), SpecError, "DeepGBM: tree_learning_rate must be greater than 0, got 0."),
        (DeepGBM(distillation=-1), SpecError, "DeepGBM: distillation must be at least 0, got -1."),
        (
            DeepGBM(features={"tags": "set"}),
            DataError,
            "DeepGBM needs a field with one value a row, which trees can split; sets have none.",
        ),
        (DeepInterestNetwork(unit="cosine"), SpecError, "unit must be one of perceptron, dot; got 'cosine'."),
        (
            DeepInterestNetwork(activation="tanh"),
            SpecError,
            "DeepInterestNetwork: activation must be one of dice, prelu, relu; got 'tanh'.",
        ),
        (
            DeepInterestNetwork(),
            DataError,
            "DeepInterestNetwork needs a sequence that shares its table with a categorical",
        ),
        (
            SeqFM(features=["user", "item"]),
            DataError,
            "SeqFM needs a sequence, for example features={'history': {'kind'",
        ),
        (
            SeqFM(features={"history": "sequence"}),
            DataError,
            "SeqFM needs a static field beside the sequence, such as the user or the candidate.",
        ),
        (
            MultiSequenceCNN(orders=4),
            SpecError,
            "MultiSequenceCNN: 5 fields have 1 to 3 orders that bring new pairs together; got orders=4.",
        ),
        (
            MultiSequenceCNN(orders=[["user", "itme"]]),
            DataError,
            "orders names 'itme', which is no field; did you mean item",
        ),
        (
            MultiSequenceCNN(orders=[["user", "item"]]),
            DataError,
            "orders holds ('user', 'item'); each names every field once: user, item, price, tags, history.",
        ),
        (MultiSequenceCNN(orders=[]), SpecError, "MultiSequenceCNN: orders is empty; give at least one, or None."),
        (MultiSequenceCNN(sharing="all"), SpecError, "MultiSequenceCNN: sharing must be one of each, one; got 'all'."),
        (
            MultiSequenceCNN(filters=()),
            SpecError,
            "MultiSequenceCNN: filters must be whole numbers of at least 1, got ().",
        ),
        (
            MultiSequenceCNN(widths=(2,)),
            SpecError,
            "MultiSequenceCNN: filters and widths must have as many numbers as there are layers; got 2 and 1.",
        ),
        (XDeepFM(cin_sizes=(4, 0)), SpecError, "XDeepFM: cin_sizes must be whole numbers of at least 1, got (4, 0)."),
        (DeepFM(learning_rate=-1), SpecError, "DeepFM: learning_rate must be at least 0, got -1."),
        (
            DeepInterestNetwork(unit_sizes=(0,)),
            SpecError,
            "DeepInterestNetwork: unit_sizes must be whole numbers of at least 1, got (0,).",
        ),
        (WideDeep(wide_learning_rate=0), SpecError, "WideDeep: wide_learning_rate must be greater than 0, got 0."),
        (WideDeep(wide_l1=-1), SpecError, "WideDeep: wide_l1 must be at least 0, got -1."),
        (SeqFM(n_layers=0), SpecError, "SeqFM: n_layers must be a whole number of at least 1, got 0."),
    ],
)
def test_refusals(model: DeepFM, error: type[FivefoldError], message: str) -> None:
    with pytest.raises(error) as caught:
        model.fit(clicks(), "click")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "clicked"}, "The table has no column 'clicked' to be the target; columns are: user, item, price"),
        ({"target": np.zeros(3)}, "The target has the shape (3,), the table 64 rows; give one value a row."),
        ({"target": np.arange(64)}, "The target holds the label 2; a binary task has the labels 0 and 1."),
        ({"target": np.zeros(64)}, "A binary task needs exactly 2 classes; the target holds: 0.0."),
        (
            {"target": np.array(["a", "b", "c", "a"] * 16)},
            "A binary task needs exactly 2 classes; the target holds: 'a', 'b', 'c'.",
        ),
        ({"target": np.array([np.nan] + [1.0] * 63)}, "The target has missing values; drop these rows."),
    ],
)
def test_targets(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError) as caught:
        DeepFM(**SMALL).fit(clicks(), change["target"])
    assert message in str(caught.value)


def test_infinity_missing_columns_and_no_rows() -> None:
    frame = clicks()
    with pytest.raises(DataError, match="The column 'price' contains infinity; give finite numbers"):
        DeepFM(**SMALL).fit(frame.with_columns(price=pl.lit(float("inf"))), "click")
    with pytest.raises(DataError, match="The column 'price' has no value in the training rows; leave it out."):
        DeepFM(**SMALL).fit(frame.with_columns(price=pl.lit(None, dtype=pl.Float64)), "click")
    with pytest.raises(InputError, match="The table has no rows; give at least one."):
        DeepFM(**SMALL).fit(frame[:0], "click")
    model = DeepFM(features=FEATURES, **SMALL).fit(frame, "click")
    with pytest.raises(DataError, match="The table lacks the columns 'item', 'tags' that the model was fitted on."):
        model.predict(frame.drop("item", "tags"))


def test_regression_has_no_probabilities() -> None:
    frame = clicks().with_columns(value=pl.col("user") * 0.5)
    model = DeepFM(features=["user", "item"], task="regression", **SMALL).fit(frame, "value")
    with pytest.raises(
        CapabilityError, match="predict_proba needs classes; this DeepFM was fitted with task='regression'."
    ):
        model.predict_proba(frame)
    assert model.predict(frame).shape == (64,)
    with pytest.raises(DataError, match="The target of a regression must hold finite numbers."):
        DeepFM(features=["user"], task="regression", **SMALL).fit(frame, frame["item"])


def test_a_rise_of_the_validation_loss_is_told() -> None:
    model = DeepFM(features=["user"], validation_fraction=0.2, **SMALL).fit(clicks(), "click")
    assert "val_loss" in model.history_[0]
    model.history_ = [{"val_loss": 0.5}, {"val_loss": 0.5}, {"val_loss": 0.6}]
    model._warn_of_overfitting()
    model.history_[1]["val_loss"] = 0.51
    with pytest.warns(UserWarning, match="The validation loss rose after the first epoch"):
        model._warn_of_overfitting()


def test_string_labels_pandas_and_a_batch_of_one_row() -> None:
    frame = clicks(65).with_columns(click=pl.when(pl.col("click") == 1).then(pl.lit("yes")).otherwise(pl.lit("no")))
    model = DeepFM(features=["user", "item"], embedding_dim=2, max_epochs=1, batch_size=16).fit(
        frame.to_pandas(), "click"
    )
    assert model.classes_.tolist() == ["no", "yes"]
    assert set(model.predict(frame).tolist()) <= {"no", "yes"}


@pytest.mark.parametrize("cls", [DeepFM, FactorizationMachine])
def test_a_failed_fit_leaves_nothing(cls: type) -> None:
    frame = clicks()
    model = cls(features=FEATURES, embedding_dim=2).fit(frame, "click")
    for wrong in (np.arange(64), np.zeros(3)):
        with pytest.raises(DataError):
            model.fit(frame, wrong)
        with pytest.raises(NotFittedError, match=f"This {cls.__name__} is not fitted yet; call `fit` before using it."):
            model.predict(frame)
        assert not hasattr(model, "encoder_")
    assert cls(features=FEATURES).fit(frame, "click").fit(frame, "click").predict(frame).shape == (64,)


def test_orders_by_name() -> None:
    names = ["history", "tags", "price", "item", "user"]
    model = MultiSequenceCNN(features=FEATURES, orders=[names], hidden_sizes=(2,), **SMALL).fit(clicks(), "click")
    assert model.module_.orders.tolist() == [[4, 3, 2, 1, 0]]


def test_rows_of_index_and_value() -> None:
    reader = MultiFieldReader(field_size=2)
    rows = reader.read([f"{i % 2} {i % 3}:1 {3 + i % 2}:1" for i in range(30)])
    model = DeepFM(features=6, **SMALL).fit(rows)
    assert model.encoder_.rows == 6
    assert model.predict_proba(reader.read(["0:1 5:0.5"])).shape == (1, 2)
    with pytest.raises(DataError, match="The rows hold the index 6; indices are 0 to 5."):
        model.predict(reader.read(["0:1 6:1"]))
    with pytest.raises(
        DataError, match="This model was fitted on rows of index and value; give such rows, as a reader returns"
    ):
        model.predict(clicks())
    with pytest.raises(DataError, match="The rows have the shape .1, 3.; the model was fitted on 2 fields a row."):
        model.predict(MultiFieldReader(field_size=3).read(["0:1 1:1 2:1"]))
    with pytest.raises(DataError, match="Lines of one length are needed: give the reader field_size."):
        DeepFM(**SMALL).fit(MultiFieldReader().read(["1 0:1", "0 1:1 2:1"]))
    with pytest.raises(
        DataError, match="This model was fitted on a table; give a table with the same columns, not rows"
    ):
        DeepFM(features=["user"], **SMALL).fit(clicks(), "click").predict(rows)


def test_learning_on_with_new_rows() -> None:
    frame = clicks()
    model = DeepGBM(features=["user", "item", "price"], n_estimators=4, n_groups=2, tree_sizes=(3,), **SMALL)
    with pytest.raises(CapabilityError, match="DeepGBM grows trees from all rows at once; use fit, then partial_fit"):
        model.fit_stream("log.parquet", "click")
    with pytest.raises(NotFittedError, match="This DeepGBM is not fitted yet"):
        model.partial_fit(frame, "click")
    model.fit(frame, "click")
    before = model.decision_function(frame)
    assert model.partial_fit(frame[:20], "click", sample_weight=np.ones(20)).n_updates_ == 1
    assert not np.allclose(model.decision_function(frame), before)
    with pytest.raises(DataError, match="The target holds the label 2; this model knows 0, 1."):
        model.partial_fit(frame, np.full(64, 2))
    with pytest.raises(DataError, match="The target has the shape .3,., the table 64 rows; give one value a row."):
        model.partial_fit(frame, np.zeros(3))
    with pytest.raises(DataError, match="The target holds the label nan; this model knows 0, 1."):
        model.partial_fit(frame, np.full(64, np.nan))
    with pytest.raises(DataError, match="The target holds the label 'yes'; this model knows 0, 1."):
        model.partial_fit(frame, np.full(64, "yes"))
    assert model.n_updates_ == 1
