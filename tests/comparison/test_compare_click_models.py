"""Models of click logs in a comparison: columns as fields, beside classifiers, by kind, forward in time, saved and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fivefold.base import codec
from fivefold.base.cards import all_cards, get_card
from fivefold.base.errors import CapabilityError, SpecError
from fivefold.data.infer import infer_schema
from fivefold.workbench.compare import compare
from fivefold.workbench.comparison.entries import choose_entries
from fivefold.workbench.tabular import fit_table, trained_weights

SMALL = {"ctr-model": {"embedding_dim": 4, "max_epochs": 1, "max_iter": 2}}

ONE = {"ctr-model": {"embedding_dim": 4, "max_epochs": 1}}


def log(rows: int = 240, seed: int = 0) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    user, item = draw.integers(0, 8, rows), draw.integers(0, 6, rows)
    names = np.array([f"i{i}" for i in range(6)])
    past = [names[draw.integers(0, 6, n)].tolist() for n in draw.integers(0, 5, rows)]
    return pl.DataFrame(
        {
            "who": [f"u{u}" for u in user],
            "item": names[item],
            "price": np.where(draw.random(rows) < 0.1, np.nan, draw.normal(size=rows)),
            "tags": pl.Series([["a", "b", "c"][: k % 4] for k in item.tolist()], dtype=pl.List(pl.String)),
            "past": pl.Series(past, dtype=pl.List(pl.String)),
            "second": np.sort(draw.integers(0, 10_000, rows)).astype(float),
            "click": np.where((user + item + (draw.random(rows) < 0.1)) % 2, "yes", "no"),
        }
    )


def quiet(*args: Any, **options: Any) -> Any:
    return compare(*args, **{"verbose": False, "threads": 1, "cv": 2, "isolate": False, "params": SMALL, **options})


def test_beside_a_classifier_on_the_same_folds(tmp_path: Path) -> None:
    methods = "logistic-regression, factorization-machine, deepfm"
    result = quiet(log(), "click", methods, out=tmp_path / "run")
    rows = {row.id: row for row in result.rows}
    assert {name for name, row in rows.items() if row.rank is not None} == set(methods.split(", "))
    folds = result.oof.group_by("row").agg(pl.col("fold").n_unique(), pl.len())
    assert folds["fold"].to_list() == [1] * 240 and folds["len"].to_list() == [4] * 240
    for name in ("factorization-machine", "deepfm"):
        assert rows[name].weights > 50 and rows[name].rows_per_second > 0
    assert np.isnan(rows["logistic-regression"].rows_per_second) and rows["logistic-regression"].weights > 5
    assert "weights" in str(result) and "rows/s" in str(result)
    plain = {row["method"]: row for row in json.loads(json.dumps(result.to_dict()))["rows"]}
    assert plain["deepfm"]["weights"] == rows["deepfm"].weights
    assert plain["baseline"]["weights"] is None and plain["baseline"]["rows_per_second"] is None
    assert result.table["weights"].drop_nulls().len() == 3
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf8")
    assert "rows/s" in page and "a history of item, with which it shares its table" in page


def test_classifiers_alone_have_no_rates(tmp_path: Path) -> None:
    result = quiet(log(), "click", "gaussian-naive-bayes", out=tmp_path / "run", params={})
    assert "rows/s" not in str(result)
    assert "rows/s" not in (tmp_path / "run" / "report.html").read_text(encoding="utf8")


def test_forward_in_time_saved_and_loaded(tmp_path: Path) -> None:
    result = quiet(log(), "click", "deep-interest-network", time="second", params=ONE, out=tmp_path / "run")
    assert result.plan.splits.kind == "time" and result.best.id == "deep-interest-network"
    assert not [p for p in (tmp_path / "run" / "model").rglob("*") if p.suffix in (".pkl", ".pickle", ".joblib")]
    new = log(20, seed=3).drop("click")
    first = result.model.predict(new)
    assert first.columns == ["prediction", "probability_no", "probability_yes"]
    assert set(first["prediction"]) <= {"yes", "no"}
    assert_frame_equal(first, result.model.predict(new.select(reversed(new.columns)).with_columns(other=pl.lit(1))))


@pytest.mark.parametrize("method", ["factorization-machine", "seqfm", "deep-cross-network"])
def test_loaded_answers_are_those_before(method: str, tmp_path: Path) -> None:
    schema, frame = infer_schema(log(), target="click", drop=["second"])
    card = get_card(method)
    model = fit_table(card, frame, schema, params={"embedding_dim": 4}, seed=1)
    codec.save(model, tmp_path / "model")
    again = codec.load(tmp_path / "model")
    assert_frame_equal(model.predict(frame), again.predict(frame), check_exact=True)
    assert trained_weights(again.model) == trained_weights(model.model)
    # Nobody is known: the unknown rows of the tables answer.
    strange = frame.with_columns(who=pl.lit("new"), item=pl.lit("new"), past=pl.lit([], dtype=pl.List(pl.String)))
    assert np.isfinite(again.predict(strange)["probability_yes"].to_numpy()).all()


def test_three_classes_and_numbers() -> None:
    frame = log().with_columns(click=pl.Series(["x", "y", "z"] * 80), price=pl.col("price").fill_nan(0.0))
    schema, parsed = infer_schema(frame, target="click")
    answer = fit_table(get_card("deep-cross-network"), parsed, schema, params={"max_epochs": 1}).predict(parsed)
    assert answer.columns == ["prediction", "probability_x", "probability_y", "probability_z"]
    schema, parsed = infer_schema(frame, target="price")
    assert schema.task == "regression"
    card = get_card("factorization-machine")
    answer = fit_table(card, parsed, schema, params={"embedding_dim": 2}).predict(parsed)
    assert answer.columns == ["prediction"] and np.isfinite(answer["prediction"].to_numpy()).all()


def test_a_kind_names_its_methods() -> None:
    every = {card.id for card in all_cards().values() if card.kind == "ctr-model"}
    params = {"ctr-model": {"max_epochs": 1, "max_iter": 2}, "deepfm": {"max_epochs": 2}}
    entries = choose_entries(["ctr-models", "logistic-regression"], "binary", params)
    assert {e.id for e in entries} == every | {"logistic-regression", "baseline"}
    given = {e.id: dict(e.params) for e in entries}
    assert given["deepfm"] == {"max_epochs": 2} and given["xdeepfm"] == {"max_epochs": 1}
    assert given["factorization-machine"] == {"max_iter": 2} and given["logistic-regression"] == {}
    several = {e.id for e in choose_entries(["ctr-model"], "multiclass", {})} - {"baseline"}
    assert several == {name for name in every if "multiclass" in get_card(name).task} and several < every
    with pytest.raises(SpecError, match="No ctr-model of this comparison has the parameter 'epochs'"):
        choose_entries(["ctr-model"], "binary", {"ctr-model": {"epochs": 1}})
    with pytest.raises(CapabilityError, match="No regressor serves the task binary"):
        choose_entries(["regressor"], "binary", {})


def test_tuned_with_the_space_of_the_card(tmp_path: Path) -> None:
    result = quiet(log(), "click", "poly2", tune=2, params={"ctr-model": {"max_iter": 1}}, out=tmp_path / "run")
    assert result.best.setting == "tuned (2)"
    assert all(set(chosen) <= {"learning_rate", "l2"} for chosen in result.best.params)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"select": 2}, "deepfm takes the columns as they are and embeds them itself, so select 2 does not apply"),
        ({"encode": "hash"}, "so encode 'hash' does not apply; leave out the option or the method"),
        ({"resample": "SMOTE"}, "so resample 'smote' does not apply"),
    ],
)
def test_preparation_of_a_matrix_is_refused_before_any_work(options: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=text):
        quiet(log(), "click", "logistic-regression, deepfm", out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_recipes_keep_to_their_methods() -> None:
    schema, frame = infer_schema(log(), target="click")
    with pytest.raises(
        SpecError, match="deepfm takes the columns as they are .* so the recipe 'ordinal' does not apply"
    ):
        fit_table(get_card("deepfm"), frame, schema, recipe="ordinal")
    with pytest.raises(SpecError, match="'fields' is for models of click logs; logistic-regression takes a matrix"):
        fit_table(get_card("logistic-regression"), frame, schema, recipe="fields")


def test_balanced_rows_and_corrected_probabilities() -> None:
    schema, frame = infer_schema(log().filter((pl.col("click") == "no") | (pl.col("item") < "i2")), target="click")
    card = get_card("factorization-machine")
    model = fit_table(card, frame, schema, params={"embedding_dim": 2}, resample="oversample")
    assert model.trained_shares == [0.5, 0.5] and model.true_shares[0] > 0.6
    assert abs(model.predict(frame)["probability_no"].mean() - model.true_shares[0]) < 0.1


def test_a_model_without_its_history_is_a_row_with_a_reason(tmp_path: Path) -> None:
    methods = "deep-interest-network, factorization-machine"
    result = quiet(log().drop("past"), "click", methods, out=tmp_path / "run")
    reasons = {row.id: row.reason for row in result.rows}
    assert reasons["factorization-machine"] == ""
    assert "needs a sequence that shares its table with a categorical field" in reasons["deep-interest-network"]


def test_features_given_by_hand_win() -> None:
    schema, frame = infer_schema(log(), target="click")
    params = {"features": {"who": "categorical", "past": "set"}, "max_epochs": 1}
    model = fit_table(get_card("deepfm"), frame, schema, params=params)
    assert [field.name for field in model.model.encoder_.fields] == ["who", "past"]
