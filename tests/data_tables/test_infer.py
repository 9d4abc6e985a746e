"""Schema inference: overrides, roles, the target's errors, and the stored schema."""

from __future__ import annotations

import math

import polars as pl
import pytest

from fivefold.base import codec
from fivefold.base.errors import DataError, SpecError, UnknownNameError
from fivefold.data.infer import infer_schema
from fivefold.data.schema import Column, Schema


def table(**columns: list) -> pl.DataFrame:
    return pl.DataFrame(columns)


def abc(n: int = 40) -> pl.DataFrame:
    return table(x=[i / 7 for i in range(n)], color=["red", "blue"] * (n // 2), y=["a", "b", "b", "a"] * (n // 4))


def test_every_column_has_a_reason_and_the_frame_its_types():
    schema, frame = infer_schema(abc(), target="y")
    assert all(column.reason for column in schema.columns)
    assert frame.dtypes == [pl.Float64, pl.String, pl.String]
    assert [c.name for c in schema.features] == ["x", "color"]
    assert schema.target.name == "y"
    assert schema.task == "binary"
    assert schema.classes == ("a", "b")
    assert "2 classes: a, b" in schema.describe()


def test_absent_target_names_the_nearest_columns():
    with pytest.raises(
        DataError, match=r"Target 'colour' is not in the table; the nearest of its 3 columns are: 'color'"
    ):
        infer_schema(abc(), target="colour")


@pytest.mark.parametrize("option", [{"types": {"z": "numeric"}}, {"drop": ["z"]}])
def test_options_name_only_columns_that_exist(option):
    with pytest.raises(DataError, match="Column 'z' is not in the table"):
        infer_schema(abc(), **option)


@pytest.mark.parametrize("role", ["weight", "group", "time", "split"])
def test_roles_name_only_columns_that_exist(role):
    with pytest.raises(DataError, match=f"The {role} column 'z' is not in the table"):
        infer_schema(abc(), **{role: "z"})


def test_one_column_has_one_part():
    with pytest.raises(DataError, match="'y' is given as target and as group"):
        infer_schema(abc(), target="y", group="y")
    with pytest.raises(DataError, match="'y' is both dropped and used as target"):
        infer_schema(abc(), target="y", drop=["y"])


def test_missing_target_is_refused_with_the_count_and_the_way_out():
    frame = table(x=[1.5, 2.5, 3.5, 4.5], y=["a", None, "NA", "b"])
    with pytest.raises(DataError, match=r"missing in 2 of 4 rows, first in row 2; .*--drop-missing-target"):
        infer_schema(frame, target="y")
    schema, rest = infer_schema(frame, target="y", drop_missing_target=True)
    assert rest["x"].to_list() == [1.5, 4.5]
    assert schema.notes == ["2 of 4 rows have no value of 'y' and were left out."]


def test_nan_in_the_target_is_missing_and_infinity_an_error():
    with pytest.raises(DataError, match="missing in 1 of 3 rows, first in row 3"):
        infer_schema(table(x=[1.5, 2.0, 3.0], y=[0.5, 1.5, math.nan]), target="y")
    with pytest.raises(DataError, match="Target 'y' holds 1 infinite numbers, first in row 2"):
        infer_schema(table(x=[1.5, 2.0, 3.0], y=[0.5, math.inf, 2.5]), target="y")


def test_target_that_is_all_missing():
    with pytest.raises(DataError, match="Target 'y' is missing in all 3 rows"):
        infer_schema(table(x=[1, 2, 3], y=[None, None, None]), target="y", drop_missing_target=True)


def test_one_class():
    with pytest.raises(DataError, match=r"Target 'y' has one class only, 'a', in all 3 rows; a classifier needs two"):
        infer_schema(table(x=[1, 2, 4], y=["a", "a", "a"]), target="y")


def test_constant_regression_target():
    with pytest.raises(DataError, match="Target 'y' is 2.5 in all 3 rows; there is nothing to predict"):
        infer_schema(table(x=[1, 2, 4], y=[2.5, 2.5, 2.5]), target="y", task="regression")


def test_identifiers_are_no_target():
    frame = table(x=list(range(40)), y=[f"name {i}" for i in range(40)])
    with pytest.raises(DataError, match=r"40 different values in 40 rows, .* looks like an identifier"):
        infer_schema(frame, target="y")
    assert infer_schema(frame, target="y", task="multiclass")[0].task == "multiclass"


def test_regression_of_words():
    with pytest.raises(DataError, match="Target 'y' holds words such as 'a'; a regression needs numbers"):
        infer_schema(abc(), target="y", task="regression")


def test_binary_task_with_three_classes():
    with pytest.raises(DataError, match="has 3 classes; a binary task needs exactly 2"):
        infer_schema(table(x=[1, 2, 4], y=["a", "b", "c"]), target="y", task="binary")


def test_unknown_task_and_kind():
    with pytest.raises(UnknownNameError, match="Unknown task 'regresion'; did you mean one of: regression"):
        infer_schema(abc(), target="y", task="regresion")
    with pytest.raises(SpecError, match="Unknown kind 'nominal' for the column 'color'; kinds are: numeric"):
        infer_schema(abc(), types={"color": "nominal"})


def test_dates_and_lists_are_no_target():
    days = pl.Series("y", ["2020-01-01", "2020-01-02"]).str.to_date()
    with pytest.raises(DataError, match="Target 'y' holds dates; predict a number"):
        infer_schema(pl.DataFrame([pl.Series("x", [1, 2]), days]), target="y")
    with pytest.raises(DataError, match="Column 'x' holds nested lists; a table needs one number, word or date a cell"):
        infer_schema(table(x=[[[1]], [[2]]], y=["a", "b"]), target="y")
    with pytest.raises(DataError, match="Column 'y' holds lists or records where one value a cell is wanted"):
        infer_schema(table(x=[1, 2], y=[["a"], ["b"]]), target="y")


def test_types_win_over_inference():
    frame = table(level=[1, 2, 3, 2] * 10, y=[0.5 * i for i in range(40)])
    assert infer_schema(frame, target="y")[0]["level"].kind == "numeric"
    schema, parsed = infer_schema(frame, target="y", types={"level": "categorical"})
    assert schema["level"].kind == "categorical"
    assert schema["level"].reason == "categorical, as given"
    assert parsed["level"].to_list()[:3] == ["1", "2", "3"]


def test_type_that_does_not_fit_names_the_first_bad_value():
    with pytest.raises(DataError, match=r"'color' is numeric, but 40 of its 40 values .* the first is 'red' in row 1"):
        infer_schema(abc(), types={"color": "numeric"})


def test_type_of_the_target_sets_the_task():
    frame = table(x=[i / 3 for i in range(40)], y=[1, 2, 3, 4] * 10)
    assert infer_schema(frame, target="y")[0].task == "multiclass"
    assert infer_schema(frame, target="y", types={"y": "numeric"})[0].task == "regression"
    assert infer_schema(frame, target="y", task="regression")[0].target.kind == "numeric"


def test_infinite_feature():
    with pytest.raises(
        DataError, match=r"Column 'x' holds 1 infinite numbers, first in row 2; replace them .*--drop x"
    ):
        infer_schema(table(x=[1.5, -math.inf, 2.0], y=["a", "b", "a"]), target="y")
    with pytest.raises(DataError, match="Column 'x' holds 1 infinite numbers, first in row 3"):
        infer_schema(table(x=["1.5", "2", "inf"], y=["a", "b", "a"]), target="y")


def test_all_missing_column_is_kept_as_constant():
    schema, frame = infer_schema(table(x=[1.5, 2.5], empty=[None, None], y=["a", "b"]), target="y")
    assert (schema["empty"].kind, schema["empty"].role) == ("constant", "ignored")
    assert "every one of the 2 values is missing" in schema["empty"].reason
    assert frame.columns == ["x", "empty", "y"]


def test_no_feature_left():
    with pytest.raises(
        DataError, match=r"No feature is left beside the target 'y'; columns not used: 'one' \(constant\)"
    ):
        infer_schema(table(one=[1, 1, 1, 1], y=["a", "b", "a", "b"]), target="y")


def test_no_rows_or_columns():
    with pytest.raises(DataError, match="The table has 0 rows and 1 columns"):
        infer_schema(table(x=[]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, -1.0], "holds -1.0 in row 2; every weight is a number >= 0"),
        ([1.0, None], "holds None in row 2"),
        ([0.0, 0.0], "Every weight in 'w' is 0"),
        (["a", "b"], "is categorical .* weights are numbers >= 0"),
    ],
)
def test_weights(values, message):
    with pytest.raises(DataError, match=message):
        infer_schema(table(x=[1.5, 2.5], w=values, y=["a", "b"]), target="y", weight="w")


def test_roles_are_no_features():
    frame = abc().with_columns(w=pl.lit(2.0), g=pl.Series(["u", "v"] * 20), t=pl.int_range(40))
    schema, _ = infer_schema(frame, target="y", weight="w", group="g", time="t")
    assert {c.name: c.role for c in schema.columns if c.role != "feature"} == {
        "y": "target",
        "w": "weight",
        "g": "group",
        "t": "time",
    }


def test_group_with_gaps_and_time_of_words():
    frame = abc().with_columns(g=pl.when(pl.int_range(40) != 5).then(pl.lit("u")))
    with pytest.raises(DataError, match="The group column 'g' is missing in 1 rows, first in row 6"):
        infer_schema(frame, target="y", group="g")
    with pytest.raises(DataError, match="The time column 'color' is categorical"):
        infer_schema(frame, target="y", time="color")


def test_namibia_is_kept_among_country_codes():
    codes = ["DE", "FR", "IT", "ES", "PT", "NL", "BE", "AT", "CH", "PL", "NA"] * 3
    schema, frame = infer_schema(table(country=codes, color=["red", "NA", "blue"] * 11))
    assert frame["country"].null_count() == 0
    assert "'NA' is kept" in schema["country"].reason
    assert frame["color"].null_count() == 11


def test_words_beyond_numbers_count_as_missing_only_when_rare():
    rare, _ = infer_schema(table(v=["n.a. yet", *(str(i / 3) for i in range(60))], z=[i / 7 for i in range(61)]))
    assert rare["v"].kind == "numeric"
    assert "'n.a. yet' counts as missing" in rare["v"].reason
    often, _ = infer_schema(table(v=["unknown", "1.5"] * 30, z=[i / 7 for i in range(60)]))
    assert often["v"].kind == "categorical"


def test_select_orders_casts_and_drops():
    schema, frame = infer_schema(abc(), target="y")
    new = table(extra=[1, 2], color=["blue ", "violet"], x=["1,5", "2"][:2])
    with pytest.raises(
        DataError, match="'x' is numeric, but 1 of its 2 values cannot be read as such; the first is '1,5'"
    ):
        schema.select(new)
    chosen = schema.select(new.with_columns(x=pl.Series(["1.5", "?"])))
    assert chosen.to_dict(as_series=False) == {"x": [1.5, None], "color": ["blue", "violet"]}
    assert schema.select(frame, roles=("feature", "target")).columns == ["x", "color", "y"]


def test_select_names_every_missing_column():
    schema, _ = infer_schema(abc(), target="y")
    with pytest.raises(DataError, match=r"lacks 2 of the 2 columns it needs: 'x', 'color'\. .*not know: 'X'"):
        schema.select(table(X=[1]))


def test_class_that_was_not_seen():
    schema, _ = infer_schema(abc(), target="y")
    with pytest.raises(
        DataError, match="Target 'y' holds 'c' in row 2, which is none of the classes seen in training: a, b"
    ):
        schema.select(table(x=[1.0, 2.0], color=["red", "red"], y=["a", "c"]), roles=("feature", "target"))


def test_schema_is_saved_and_loaded(tmp_path):
    frame = abc().with_columns(n=pl.Series([f"{i},5" for i in range(40)]), k=pl.Series([0, 1] * 20))
    schema, _ = infer_schema(frame, target="k")
    codec.save(schema, tmp_path / "schema")
    again = codec.load(tmp_path / "schema")
    assert isinstance(again, Schema)
    assert again == schema
    assert again.hash() == schema.hash()
    assert again.classes == (0, 1)
    assert again["n"].how == ("continental",)


def test_hash_ignores_reasons_but_not_kinds():
    one = Schema([Column("a", "numeric", reason="x"), Column("b", "text")])
    assert one.hash() == Schema([Column("a", "numeric", reason="y", missing=3), Column("b", "text")]).hash()
    assert one.hash() != Schema([Column("a", "categorical"), Column("b", "text")]).hash()
    assert one.hash() != Schema([Column("b", "text"), Column("a", "numeric")]).hash()


def test_column_and_schema_check_themselves():
    with pytest.raises(SpecError, match="unknown kind 'number'"):
        Column("a", "number")
    with pytest.raises(SpecError, match="unknown role 'label'"):
        Column("a", "numeric", "label")
    with pytest.raises(DataError, match="names these columns twice: 'a'"):
        Schema([Column("a", "numeric"), Column("a", "text")])


def test_five_thousand_columns_are_inferred():
    frame = pl.DataFrame({f"c{i}": [1.5 * i, 2.0, None] if i % 2 else ["u", "v", "u"] for i in range(5000)})
    schema, parsed = infer_schema(frame)
    assert {c.kind for c in schema.columns} == {"numeric", "categorical"}
    assert parsed.width == 5000
