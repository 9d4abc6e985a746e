"""A saved method on new tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fivefold
from fivefold.base import codec
from fivefold.base.cards import get_card
from fivefold.base.errors import ArtifactError, CapabilityError, DataError, SpecError
from fivefold.data.infer import infer_schema
from fivefold.workbench.baseline import MeanRegressor, PriorClassifier, baseline_card
from fivefold.workbench.predict import predict
from fivefold.workbench.tabular import TableModel, fit_table, label_texts


def houses(rows: int = 80) -> pl.DataFrame:
    random = np.random.default_rng(0)
    size = random.normal(100, 20, rows)
    town = random.choice(["Bern", "Basel", "Chur"], rows)
    price = 3 * size + 40 * (town == "Bern") + random.normal(0, 5, rows)
    return pl.DataFrame({"size": size, "town": town, "price": price})


def fitted(rows: int = 80) -> TableModel:
    schema, frame = infer_schema(houses(rows), target="price", types={"town": "categorical"})
    return fit_table(get_card("linear-regression"), frame, schema)


def test_saved_run_on_new_files(tmp_path: Path) -> None:
    model = fitted()
    codec.save(model, tmp_path / "run" / "model", schema_hash=model.schema.hash())
    new = houses(10).drop("price")
    new.write_parquet(tmp_path / "new.parquet")
    new.write_csv(tmp_path / "new.csv")
    expected = model.predict(new)["prediction"].to_numpy()
    for source in (tmp_path / "new.parquet", str(tmp_path / "new.csv"), new):
        np.testing.assert_allclose(predict(tmp_path / "run", source)["prediction"], expected, rtol=1e-12)
    np.testing.assert_array_equal(predict(tmp_path / "run" / "model", new)["prediction"], expected)
    assert fivefold.predict is predict


def test_columns_in_any_order_and_extra_ones() -> None:
    model, new = fitted(), houses(12)
    plain = model.predict(new)
    shuffled = new.with_columns(pl.lit(1).alias("extra")).select("extra", "town", "size")
    assert model.predict(shuffled).equals(plain)
    assert model.predict(new[::-1])["prediction"].to_list() == plain["prediction"].to_list()[::-1]


def test_a_target_in_the_new_data_is_not_looked_at() -> None:
    model, new = fitted(), houses(12)
    strange = new.with_columns(pl.lit("unknown yet").alias("price"))
    assert model.predict(strange).equals(model.predict(new))


def test_missing_columns_are_all_named() -> None:
    with pytest.raises(DataError, match="'size', 'town'"):
        fitted().predict(pl.DataFrame({"other": [1]}))


def test_unseen_categories_and_missing_values_get_an_answer() -> None:
    new = pl.DataFrame({"size": [100.0, None], "town": ["Atlantis", None]})
    assert fitted().predict(new)["prediction"].is_finite().all()


def test_no_rows_give_no_predictions() -> None:
    model = fitted()
    try:
        answer = model.predict(houses(3).clear())
    except DataError as error:
        assert "no rows" in str(error)
    else:
        assert len(answer) == 0


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="holds no model"):
        predict(tmp_path / "empty", houses(3))
    codec.save({"a": 1}, tmp_path / "foreign" / "model")
    with pytest.raises(ArtifactError, match="holds a dict, which is not applied to a table"):
        predict(tmp_path / "foreign", houses(3))
    with pytest.raises(ArtifactError, match="not a int"):
        predict(3, houses(3))


def test_fit_table_refuses_what_does_not_fit() -> None:
    schema, frame = infer_schema(houses(), target="price")
    with pytest.raises(
        CapabilityError, match="logistic-regression serves binary; the target 'price' asks for regression"
    ):
        fit_table(get_card("logistic-regression"), frame, schema)
    with pytest.raises(SpecError, match="names no target"):
        fit_table(get_card("linear-regression"), *reversed(infer_schema(houses())))
    with pytest.raises(SpecError, match="ridge-regression has no parameter 'alhpa'; did you mean one of: alpha"):
        fit_table(get_card("ridge-regression"), frame, schema, params={"alhpa": 1})
    broken = frame.with_columns(pl.when(pl.int_range(pl.len()) < 3).then(None).otherwise("price").alias("price"))
    with pytest.raises(DataError, match="'price' is missing in 3 of 80 rows"):
        fit_table(get_card("linear-regression"), broken, schema)


def test_classes_that_the_rows_lack_get_probability_zero() -> None:
    frame = houses().with_columns(pl.Series("grade", ["a", "b"] * 40)).drop("price")
    schema, frame = infer_schema(frame, target="grade")
    model = fit_table(get_card("gaussian-naive-bayes"), frame, schema, classes=["a", "b", "c"])
    answer = model.predict(frame)
    assert answer.columns == ["prediction", "probability_a", "probability_b", "probability_c"]
    assert answer["probability_c"].to_list() == [0.0] * 80


def test_labels_as_text() -> None:
    assert label_texts(pl.Series([1.0, 0.0, None])).to_list() == ["1", "0", None]
    assert label_texts(pl.Series([1.5, 2.0])).to_list() == ["1.5", "2.0"]
    assert label_texts(pl.Series([True, False])).to_list() == ["true", "false"]


def test_baselines() -> None:
    X = np.zeros((4, 0))
    prior = PriorClassifier().fit(X, ["b", "a", "b", "b"])
    np.testing.assert_array_equal(prior.predict_proba(X[:2]), [[0.25, 0.75]] * 2)
    assert prior.predict(X[:1]).tolist() == ["b"]
    weighted = PriorClassifier().fit(X, ["b", "a", "b", "b"], sample_weight=[1, 9, 1, 1])
    assert weighted.predict(X[:1]).tolist() == ["a"]
    assert MeanRegressor().fit(X, [1, 2, 3, 6]).predict(X).tolist() == [3.0] * 4
    assert MeanRegressor().fit(X, [1, 2, 3, 6], sample_weight=[0, 0, 1, 1]).predict(X[:1]).tolist() == [4.5]
    with pytest.raises(DataError, match="at least one row"):
        MeanRegressor().fit(X[:0], [])
    assert set(baseline_card().task) == {"binary", "multiclass", "regression"}
