"""Recipes: what becomes of each kind of column, training rows only, new data, saving."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import TfidfTransformer

from fivefold.base import codec
from fivefold.base.errors import DataError, InputError, UnknownNameError
from fivefold.base.estimator import NotFittedError
from fivefold.data.infer import infer_schema
from fivefold.data.recipes import Recipe
from fivefold.data.schema import Column, Schema


def schema(**kinds):
    return Schema([Column(name, kind) for name, kind in kinds.items()])


NUMBERS = pl.DataFrame({"a": [1.0, None, 3.0, 5.0], "b": [2, 2, 4, 4]})


def test_numbers_are_filled_flagged_and_standardized():
    recipe = Recipe("scaled-one-hot", schema(a="numeric", b="numeric"))
    out = recipe.fit_transform(NUMBERS)
    assert recipe.feature_names_out_ == ["a", "a_missing", "b"]
    filled = np.array([1.0, 3.0, 3.0, 5.0])
    assert np.allclose(out[:, 0], (filled - 3) / filled.std(), atol=1e-12)
    assert out[:, 1].tolist() == [0, 1, 0, 0] and out[:, 2].tolist() == [-1, -1, 1, 1]
    # Missing where training had none: filled, without a column of its own.
    new = recipe.transform(pl.DataFrame({"b": [None], "a": [9.0]}, schema_overrides={"b": pl.Int64}))
    assert new.tolist() == [[6 / filled.std(), 0.0, 0.0]]


def test_one_hot_does_not_scale_and_ordinal_keeps_nan():
    kinds = schema(a="numeric", b="numeric")
    assert Recipe("one-hot", kinds).fit_transform(NUMBERS)[:, 0].tolist() == [1, 3, 3, 5]
    out = Recipe("ordinal", kinds).fit_transform(NUMBERS)
    assert np.array_equal(out, [[1, 2], [np.nan, 2], [3, 4], [5, 4]], equal_nan=True)
    assert np.array_equal(Recipe("none", kinds).fit_transform(NUMBERS), out, equal_nan=True)


COLORS = pl.DataFrame({"c": ["red"] * 3 + ["blue"] * 2 + ["rose", None]})


def test_categories_rare_unseen_and_missing():
    recipe = Recipe("one-hot", schema(c="categorical")).fit(COLORS)
    assert recipe.feature_names_out_ == ["c=blue", "c=red", "c=<other>", "c=<missing>"]
    new = pl.DataFrame({"c": ["red", "rose", "green", None]})
    assert recipe.transform(new).tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    codes = Recipe("ordinal", schema(c="categorical")).fit(COLORS)
    assert np.array_equal(codes.transform(new).ravel(), [1, 2, 2, np.nan], equal_nan=True)
    assert codes.categorical_mask_.tolist() == [True]
    assert "1 rare levels pooled into <other>" in recipe.describe()


def test_missing_only_in_new_data_is_unseen():
    recipe = Recipe("one-hot", schema(c="categorical")).fit(COLORS[:5])
    assert recipe.transform(pl.DataFrame({"c": [None, "blue"]})).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_many_levels_are_capped_by_frequency():
    levels = [f"v{k:02d}" for k in range(80) for _ in range(2 + (k >= 40))]
    frame = pl.DataFrame({"c": levels})
    recipe = Recipe("scaled-one-hot", schema(c="categorical")).fit(frame)
    kept = recipe.feature_names_out_
    assert len(kept) == 51 and {f"c=v{k}" for k in range(40, 80)} <= set(kept)
    assert len(Recipe("one-hot", schema(c="categorical"), max_levels=3).fit(frame).feature_names_out_) == 4
    ordinal = Recipe("ordinal", schema(c="categorical")).fit(frame)
    assert ordinal.transform(frame).max() == 79


@pytest.mark.parametrize("values", [[3, 4, 3, 4], [3.0, 4.0, 3.0, 4.0], ["3", "4", "3", "4"]])
def test_codes_are_the_same_category_in_every_type(values):
    recipe = Recipe("one-hot", schema(c="categorical")).fit(pl.DataFrame({"c": [3, 4, 3, 4]}))
    assert recipe.transform(pl.DataFrame({"c": values}))[:, 0].tolist() == [1, 0, 1, 0]


def test_booleans():
    frame = pl.DataFrame({"t": [True, True, None, False]})
    recipe = Recipe("scaled-one-hot", schema(t="boolean")).fit(frame)
    assert recipe.transform(frame).tolist() == [[1, 0], [1, 0], [1, 1], [0, 0]]
    assert np.isnan(Recipe("ordinal", schema(t="boolean")).fit_transform(frame)[2, 0])


def test_times_become_parts():
    start = datetime(2020, 1, 1)
    frame = pl.DataFrame({"d": [start + timedelta(days=40 * k) for k in range(4)]})
    recipe = Recipe("one-hot", schema(d="datetime")).fit(frame)
    assert recipe.feature_names_out_ == ["d_month", "d_day", "d_weekday", "d_elapsed_days"]
    later = pl.DataFrame({"d": [datetime(2021, 3, 2, 12), None]})
    out = recipe.transform(later)
    assert out[0].tolist() == [3, 2, 2, 426.5]
    assert out[1].tolist() == [2.5, 15.5, 3.5, 60.0]
    dates = Recipe("ordinal", schema(d="datetime")).fit(frame.with_columns(pl.col("d").cast(pl.Date)))
    assert np.isnan(dates.transform(later)[1]).all()


def test_text_is_tf_idf_of_hashed_words():
    frame = pl.DataFrame({"t": ["good good film", "bad film", None, "Film!"]})
    recipe = Recipe("one-hot", schema(t="text"), text_features=16).fit(frame)
    out = recipe.transform(frame)
    counts = recipe.parts_[0]._counts(frame["t"])
    assert counts.sum(axis=1).tolist() == [3, 2, 0, 1]
    assert np.allclose(out, TfidfTransformer().fit_transform(counts).toarray(), atol=1e-12)
    left_out = Recipe("one-hot", schema(t="text", a="numeric"), text_features=0).fit(frame.with_columns(a=1.0))
    assert left_out.left_out_ == {"t": "free text, and the recipe was asked for no text features"}


def test_columns_without_values_are_left_out():
    frame = pl.DataFrame(
        {"a": [1.0, 2.0], "z": [None, None], "s": [None, None]}, schema_overrides={"z": pl.Float64, "s": pl.String}
    )
    kinds = schema(a="numeric", z="numeric", s="categorical")
    for name in ("scaled-one-hot", "one-hot", "ordinal", "none"):
        recipe = Recipe(name, kinds if name != "none" else schema(a="numeric", z="numeric")).fit(frame)
        assert recipe.feature_names_out_ == ["a"] and recipe.left_out_["z"] == "no value in the training rows"
        assert "z: left out, no value in the training rows." in recipe.describe()
    with pytest.raises(
        DataError, match="No column of the table can be used as a feature .z: no value in the training rows"
    ):
        Recipe("one-hot", schema(z="numeric")).fit(frame)


def test_columns_are_found_by_name_and_rows_keep_their_order():
    recipe = Recipe("one-hot", schema(a="numeric", b="numeric")).fit(NUMBERS)
    shuffled = NUMBERS.select("b", pl.lit(1).alias("extra"), "a")[[2, 0]]
    assert recipe.transform(shuffled)[:, [0, 2]].tolist() == [[3, 4], [1, 2]]
    with pytest.raises(DataError, match="The table lacks the columns 'a', 'b'; it has: 'x'"):
        recipe.transform(pl.DataFrame({"x": [1]}))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pl.DataFrame({"a": [1.0, float("inf")]}), "Column 'a' holds 1 infinite values"),
        (pl.DataFrame({"a": ["x", "y"]}), "Column 'a' must hold numbers, but it is String"),
        (pl.DataFrame({"a": []}, schema={"a": pl.Float64}), "The table has no rows"),
        (np.zeros((2, 1)), "A recipe takes a polars.DataFrame, got ndarray"),
    ],
)
def test_bad_tables(frame, words):
    with pytest.raises(DataError, match=words):
        Recipe("one-hot", schema(a="numeric")).fit(frame)


def test_bad_recipes():
    with pytest.raises(UnknownNameError, match="Unknown recipe 'hot'; did you mean one of: one-hot"):
        Recipe("hot", schema(a="numeric")).fit(NUMBERS)
    with pytest.raises(DataError, match="'none' takes numeric columns only, but column 'c' is categorical"):
        Recipe("none", schema(c="categorical")).fit(COLORS)
    with pytest.raises(InputError, match="min_count must be a whole number >= 1, got 0"):
        Recipe("one-hot", schema(a="numeric"), min_count=0).fit(NUMBERS)
    with pytest.raises(NotFittedError):
        Recipe("one-hot", schema(a="numeric")).transform(NUMBERS)
    with pytest.raises(DataError, match="Column 'a' must hold dates or times, but it is Float64"):
        Recipe("one-hot", schema(a="datetime")).fit(NUMBERS)


def test_saved_with_an_inferred_schema(tmp_path):
    frame = pl.DataFrame(
        {
            "price": ["1,200.5", "7.5", None, "3"] * 25,
            "city": (["oslo"] * 50 + ["rome"] * 49 + ["bern"]),
            "when": ["2020-01-01", "2020-02-01", "2021-01-05", "2022-12-31"] * 25,
            "y": [0, 1] * 50,
        }
    )
    kinds, parsed = infer_schema(frame, target="y")
    for name in ("scaled-one-hot", "one-hot", "ordinal"):
        recipe = Recipe(name, kinds).fit(parsed)
        again = codec.load(codec.save(recipe, tmp_path / name))
        assert np.array_equal(recipe.transform(parsed), again.transform(parsed), equal_nan=True)
        assert again.describe() == recipe.describe() and again.schema.hash() == kinds.hash()
        assert not list((tmp_path / name).glob("*.pkl"))


def test_blocks_do_not_change_the_answer(monkeypatch):
    draw = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"a": draw.normal(size=2000), "c": draw.choice(["x", "y", "z"], 2000), "b": draw.normal(size=2000)}
    )
    recipe = Recipe("scaled-one-hot", schema(a="numeric", c="categorical", b="numeric")).fit(frame)
    whole = recipe.transform(frame)
    monkeypatch.setattr("fivefold.data.recipes._CELLS", 1)
    assert np.array_equal(recipe.transform(frame), whole)
    assert np.allclose(whole[:, [0, -1]].mean(axis=0), 0, atol=1e-12) and np.allclose(whole[:, [0, -1]].std(axis=0), 1)
