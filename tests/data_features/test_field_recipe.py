"""Columns as fields for models of click logs, and lists in the recipes that make a matrix."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from fivefold.base import codec
from fivefold.base.errors import DataError
from fivefold.data.infer import infer_schema
from fivefold.data.recipes import Recipe
from fivefold.data.recipes_fields import FieldRecipe
from fivefold.data.schema import checksum


def table(rows: int = 40) -> pl.DataFrame:
    items = [f"{i % 5}" for i in range(rows)]
    return pl.DataFrame(
        {
            "user": [f"{i % 8}" for i in range(rows)],
            "item": items,
            "past": [[items[i - 1], items[i - 2]] if i > 1 else [] for i in range(rows)],
            "genres": [["war", "love"] if i % 2 else ["war"] for i in range(rows)],
            "age": [20.5 + i for i in range(rows)],
            "new": [i % 3 == 0 for i in range(rows)],
            "when": [datetime(2024, 5, 1, 9) + timedelta(hours=7 * i) for i in range(rows)],
            "said": [f"a word number {i} of many others said here" for i in range(rows)],
            "y": [i % 2 for i in range(rows)],
        }
    )


TYPES = {"user": "categorical", "item": "categorical", "said": "text"}


def fitted(rows: int = 40) -> tuple[FieldRecipe, pl.DataFrame]:
    schema, frame = infer_schema(table(rows), target="y", types=TYPES)
    return FieldRecipe(schema).fit(frame), frame


def test_every_kind_becomes_a_field() -> None:
    recipe, frame = fitted()
    kinds = {name: options["kind"] for name, options in recipe.features_.items()}
    assert kinds == {
        "user": "categorical",
        "item": "categorical",
        "past": "sequence",
        "genres": "set",
        "age": "numeric",
        "new": "categorical",
        "when_elapsed_days": "numeric",
        "when_weekday": "categorical",
        "when_hour": "categorical",
        "said": "set",
    }
    fields = recipe.transform(frame)
    assert fields.columns == list(kinds) and fields.height == 40
    assert fields["when_elapsed_days"][:3].to_list() == pytest.approx([0, 7 / 24, 14 / 24])
    assert fields["when_hour"][:3].to_list() == ["9", "16", "23"] and fields["when_weekday"][0] == "3"
    assert fields["new"][:2].to_list() == ["true", "false"]
    assert fields["said"][3].to_list() == ["word", "number", "of", "many", "others", "said", "here"]
    assert "past: a history of item, with which it shares its table" in recipe.describe()


def test_a_history_is_of_the_column_whose_names_agree_best() -> None:
    # The numbers of users hold those of all items, too.
    recipe, _ = fitted()
    assert recipe.features_["past"]["table"] == "item" == recipe.features_["item"]["table"]
    assert "table" not in recipe.features_["user"] and "table" not in recipe.features_["genres"]


def test_later_rows_and_saving(tmp_path) -> None:
    recipe, frame = fitted()
    codec.save(recipe, tmp_path / "recipe")
    again = codec.load(tmp_path / "recipe")
    later = table(60)[40:]
    later = recipe.schema.select(later)
    assert again.transform(later).equals(recipe.transform(later))
    assert recipe.transform(later)["when_elapsed_days"][0] == pytest.approx(40 * 7 / 24)
    assert again.describe() == recipe.describe() and again.features_ == recipe.features_


def test_what_cannot_be_a_field() -> None:
    schema, frame = infer_schema(table(), target="y", types=TYPES)
    part = frame.with_columns(age=pl.lit(None, pl.Float64), genres=pl.lit([], dtype=pl.List(pl.String)))
    recipe = FieldRecipe(schema).fit(part)
    assert recipe.left_out_ == {
        "age": "no value in the training rows",
        "genres": "no list with a member in the training rows",
    }
    with pytest.raises(DataError, match="The table lacks the columns 'user', 'past'"):
        recipe.transform(frame.drop("user", "past"))
    with pytest.raises(DataError, match="The table has no rows"):
        recipe.transform(frame[:0])
    with pytest.raises(DataError, match="'age' holds 1 infinite values"):
        FieldRecipe(schema).fit(frame).transform(frame.with_columns(age=pl.lit(float("inf")))[:1])
    schema, frame = infer_schema(table().rename({"age": "when_hour"}), target="y", types=TYPES)
    with pytest.raises(DataError, match="becomes the fields .*, but the table has a column 'when_hour' already"):
        FieldRecipe(schema).fit(frame)
    only = frame.select("genres", "y").with_columns(genres=pl.lit([], dtype=pl.List(pl.String)))
    with pytest.raises(DataError, match=r"No column of the table can be used as a feature \(genres: no list"):
        FieldRecipe(infer_schema(table().select("genres", "y"), target="y")[0]).fit(only)


def test_lists_in_a_matrix() -> None:
    frame = pl.DataFrame(
        {"tags": [["b", "a"], ["b", "b"], None, [], ["c", "b"], ["a"]], "y": [0, 1, 0, 1, 0, 1]},
        schema_overrides={"tags": pl.List(pl.String)},
    )
    schema, frame = infer_schema(frame, target="y")
    recipe = Recipe("scaled-one-hot", schema).fit(frame)
    assert recipe.feature_names_out_ == ["tags=a", "tags=b", "tags=<other>", "tags=<missing>"]
    np.testing.assert_array_equal(
        recipe.transform(frame),
        [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0]],
    )
    np.testing.assert_array_equal(recipe.transform(frame[2:4]), [[0, 0, 0, 1], [0, 0, 0, 0]])
    assert recipe.nominal_blocks() == [(0,), (1,), (2,), (3,)]
    ordinal = Recipe("ordinal", schema, max_levels=1).fit(frame)
    assert ordinal.feature_names_out_ == ["tags=b", "tags=<other>", "tags=<missing>"]
    assert not ordinal.categorical_mask_.any()
    with pytest.raises(DataError, match="'none' takes numeric columns only, but column 'tags' is list"):
        Recipe("none", schema).fit(frame)


def test_lists_are_read_and_told() -> None:
    frame = pl.DataFrame(
        {
            "whole": [[1.0, 2.0], [3.0, None], []],
            "text": ["a|b", " c ", ""],
            "pair": pl.Series([[1, 2], [2, 1], [1, 1]], dtype=pl.Array(pl.Int64, 2)),
            "same": [["q"], ["q"], ["q"]],
            "y": [0.5, 1.0, 2.0],
        }
    )
    schema, parsed = infer_schema(frame, target="y", types={"text": "list"})
    assert {c.name: c.kind for c in schema.columns} == {
        "whole": "list",
        "text": "list",
        "pair": "list",
        "same": "constant",
        "y": "numeric",
    }
    assert parsed["whole"].to_list() == [["1", "2"], ["3"], []]
    assert parsed["text"].to_list() == [["a", "b"], ["c"], None]
    assert parsed["pair"].to_list() == [["1", "2"], ["2", "1"], ["1", "1"]]
    assert schema.select(pl.DataFrame({"whole": ["1|2"], "text": ["x"], "pair": [["9"]]}))["whole"].to_list() == [
        ["1", "2"]
    ]
    for values, text in (
        ([[0.5], [1.0], []], "holds lists of numbers with decimals; a table needs one number, word or date a cell"),
        ([[[1]], [[2]], [[3]]], "holds nested lists"),
    ):
        with pytest.raises(DataError, match=text):
            infer_schema(frame.with_columns(whole=pl.Series(values)), target="y")
    for kind in ("numeric", "categorical", "datetime"):
        with pytest.raises(DataError, match="'whole' holds lists or records where one value a cell is wanted"):
            infer_schema(frame, target="y", types={"whole": kind})
    with pytest.raises(DataError, match="The group column 'whole' holds lists; it needs one value a row"):
        infer_schema(frame, target="y", group="whole")


def test_sums_tell_lists_apart() -> None:
    long = [[str(i) for i in range(30)], ["a"]]
    other = [[*long[0][:15], "x", *long[0][16:]], ["a"]]
    frames = [pl.DataFrame({"a": v}, schema={"a": pl.List(pl.String)}) for v in (long, other, [["a", "b"], ["c"]])]
    frames += [pl.DataFrame({"a": v}, schema={"a": pl.List(pl.String)}) for v in ([["a"], ["b", "c"]], [None, []])]
    frames += [pl.DataFrame({"a": [[], None]}, schema={"a": pl.List(pl.String)})]
    assert len({checksum(frame) for frame in frames}) == len(frames)
    assert checksum(frames[0]) == checksum(frames[0].clone())


def test_types_by_pattern() -> None:
    frame = pl.DataFrame({"C1": range(30), "C2": range(30), "I1": range(30), "y": [0, 1, 2] * 10})
    schema, _ = infer_schema(frame, target="y", types={"C*": "categorical", "C2": "numeric"})
    assert [schema[name].kind for name in ("C1", "C2", "I1")] == ["categorical", "numeric", "numeric"]
    schema, _ = infer_schema(frame.rename({"I1": "Cost"}), target="Cost", types={"C*": "categorical"})
    assert (schema["C1"].kind, schema["Cost"].kind, schema.task) == ("categorical", "numeric", "regression")
    with pytest.raises(DataError, match=r"Column 'Q\*' is not in the table"):
        infer_schema(frame, target="y", types={"Q*": "categorical"})
