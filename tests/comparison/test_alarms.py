"""Leak alarms: each trap is named with its option, and honest tables, real ones among them, raise no suspicion."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from fivefold.base.errors import DataError, SpecError
from fivefold.data.datasets import load_dataset
from fivefold.data.infer import infer_schema
from fivefold.workbench.comparison.alarm_scores import Target, auc, level_strength, numeric_strengths, standardize
from fivefold.workbench.comparison.alarms import Alarm, duplicate_groups, find_alarms
from fivefold.workbench.tabular import class_texts

N = 2000


def alarms(table: pl.DataFrame, target: str = "y", **options: Any) -> list[Alarm]:
    schema, frame = infer_schema(table, target=target, **options)
    return find_alarms(frame, schema, None if schema.task == "regression" else class_texts(schema, frame))


def by_kind(found: list[Alarm], kind: str) -> dict[tuple[str, ...], Alarm]:
    return {alarm.columns: alarm for alarm in found if alarm.kind == kind}


def honest(rows: int = N, *, regression: bool = False, classes: int = 2, seed: int = 0) -> pl.DataFrame:
    """Return a table with five weakly informative numbers and a category."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 5))
    y = x[:, 0] + x[:, 1] + rng.standard_normal(rows)
    answer = y if regression else np.digitize(y, stats.norm.ppf(np.arange(1, classes) / classes) * np.sqrt(3))
    frame = pl.DataFrame(x, schema=list("abcde"))
    return frame.with_columns(word=pl.Series([f"w{i}" for i in rng.integers(0, 7, rows)]), y=pl.Series(answer))


@pytest.mark.parametrize("facts", [{}, {"regression": True}, {"classes": 4}])
def test_an_honest_table_raises_nothing(facts):
    assert alarms(honest(**facts)) == []


def test_a_near_copy_of_a_number_is_named_with_its_option():
    table = honest(regression=True)
    noise = 0.02 * np.random.default_rng(1).standard_normal(N)
    found = alarms(table.with_columns((3 - 2 * pl.col("y") + pl.Series(noise)).alias("old price")))
    assert [a.kind for a in found] == ["target-copy"]
    assert found[0].columns == ("old price",)
    assert found[0].suspect
    assert found[0].text.startswith("Column 'old price' is a near-copy of the target 'y' (agreement 0.999")
    assert "--drop 'old price'" in found[0].text


def test_a_monotone_copy_is_found_by_its_ranks():
    table = honest(regression=True).with_columns(pl.col("y").exp().exp().clip(0, 1e300).alias("z"))
    assert list(by_kind(alarms(table), "target-copy")) == [("z",)]


def test_a_renaming_of_the_classes_is_a_copy():
    table = honest(classes=3).with_columns(
        pl.col("y").replace_strict({0: "gold", 1: "blue", 2: "green"}).alias("color")
    )
    found = alarms(table)
    assert [(a.kind, a.columns, a.suspect) for a in found] == [("target-copy", ("color",), True)]


@pytest.mark.parametrize("noise", [0.02, 0.15])
def test_a_column_that_separates_the_classes_is_named(noise):
    rng = np.random.default_rng(1)
    found = alarms(honest().with_columns((-pl.col("y") + pl.Series(noise * rng.standard_normal(N))).alias("leak")))
    assert [(a.columns, a.suspect) for a in found] == [(("leak",), True)]
    assert "--drop leak unless it is known before the target." in found[0].text


def test_a_column_that_separates_in_no_monotone_way_is_found():
    table = honest(regression=True, seed=3)
    found = alarms(table.with_columns((pl.col("y").abs()).alias("a")).with_columns(pl.col("y") ** 2))
    assert list(by_kind(found, "target-copy")) == [("a",)]
    rng = np.random.default_rng(1)
    y = rng.permutation(np.arange(N) % 2)
    middle = np.where(y == 1, rng.uniform(-1, 1, N), rng.choice([-1, 1], N) * rng.uniform(1, 2, N))
    classes = honest().with_columns(pl.Series("y", y), pl.Series("middle", middle))
    strong = by_kind(alarms(classes), "strong-column")
    assert list(strong) == [("middle",)]
    wave = honest(regression=True).with_columns(pl.Series("x", rng.uniform(0, 1, N)))
    wave = wave.with_columns((6 * pl.col("x")).sin().alias("y"))
    assert list(by_kind(alarms(wave), "strong-column")) == [("x",)]
    assert "R² 0.99" in by_kind(alarms(wave), "strong-column")[("x",)].text


def test_a_category_that_tells_the_target_is_found_but_many_levels_of_noise_are_not():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    telling = [f"t{2 * i + k}" for i, k in zip(rng.integers(0, 20, N), y, strict=True)]
    noise = [f"n{i}" for i in rng.integers(0, 700, N)]
    table = honest().with_columns(pl.Series("y", y), pl.Series("telling", telling), pl.Series("noise", noise))
    assert [(a.kind, a.columns) for a in alarms(table)] == [("strong-column", ("telling",))]


def test_missingness_that_tells_the_target_is_named():
    table = honest().with_columns(pl.when(pl.col("y") == 0).then(pl.col("a")).alias("reason_of_death"))
    found = [a for a in alarms(table) if a.suspect]
    assert [a.columns for a in found] == [("reason_of_death",)]
    assert found[0].text.startswith("Whether column 'reason_of_death' is missing tells the target 'y' (AUC 1.000)")


def test_a_copy_with_gaps_is_still_found():
    rng = np.random.default_rng(0)
    hole = pl.Series(rng.random(N) < 0.3)
    table = honest(regression=True).with_columns(pl.when(~hole).then(pl.col("y")).alias("copy"))
    found = by_kind(alarms(table), "target-copy")
    assert list(found) == [("copy",)]
    assert "where it is given" in found[("copy",)].text


def test_one_class_of_several_told_apart_is_no_alarm():
    table = honest(classes=3).with_columns((10.0 * (pl.col("y") == 2) + pl.col("c")).alias("third"))
    assert alarms(table) == []


@pytest.mark.parametrize("repeat", [0, 800])
def test_a_row_number_in_the_order_of_the_target_is_named_even_among_copies(repeat):
    table = honest().sort("y").with_row_index("position").select("a", "b", "c", "position", "y")
    table = table.sample(fraction=1, shuffle=True, seed=0)
    found = alarms(pl.concat([table, table[:repeat]]))
    assert found[0].kind == "sorted-id"
    assert found[0].suspect
    assert found[0].text == (
        "Column 'position' only numbers the rows but tells the target 'y' (AUC 1.000), as if the table had been sorted by it; "
        "it is taken for an id and is no feature, unless --type position=numeric says so."
    )


@pytest.mark.parametrize("regression", [False, True])
def test_an_id_in_the_order_of_the_target_is_named_and_is_no_feature(regression):
    table = honest(regression=regression).sort("y").with_row_index("id").sample(fraction=1, shuffle=True, seed=0)
    found = alarms(table)
    assert [(a.kind, a.columns, a.suspect) for a in found] == [("sorted-id", ("id",), False)]
    assert found[0].text.endswith("it is taken for an id and is no feature, unless --type id=numeric says so.")


def test_an_id_of_words_in_the_order_of_the_target_is_named():
    table = honest().sort("y").with_columns(pl.Series("ticket", [f"K{i:05d}x" for i in range(N)]))
    assert list(by_kind(alarms(table.sample(fraction=1, shuffle=True, seed=0)), "sorted-id")) == [("ticket",)]


def test_a_table_sorted_by_its_target_is_named():
    found = alarms(honest().sort("y"))
    assert [(a.kind, a.columns, a.suspect) for a in found] == [("row-order", (), False)]
    assert "--time COL" in found[0].text


def test_thirty_percent_of_repeated_rows_are_counted():
    table = honest()
    found = alarms(pl.concat([table, table[:857]]).sample(fraction=1, shuffle=True, seed=0))
    assert [a.kind for a in found] == ["duplicates"]
    assert found[0].text.startswith("857 of 2,857 rows (30%) repeat an earlier row in all features and the target; ")


@pytest.mark.parametrize(("copies", "said"), [(19, False), (21, True)])
def test_repeated_rows_are_named_from_one_percent_on(copies, said):
    table = pl.concat([honest(N - copies), honest(N - copies)[:copies]])
    assert bool(by_kind(alarms(table), "duplicates")) == said


def test_rows_that_differ_only_in_the_target_or_share_only_the_target_are_no_copies():
    table = honest(regression=True)
    assert not by_kind(alarms(pl.concat([table, table.with_columns(pl.col("y") + 1)])), "duplicates")


def test_dates_name_the_time_option_unless_it_is_used():
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 1) + pl.duration(days=N - 1), eager=True)
    table = honest().with_columns(days.alias("sold on"), pl.Series("timestamp", np.arange(N) * 60 + 1_600_000_000))
    found = by_kind(alarms(table), "date")
    assert sorted(found) == [("sold on",), ("timestamp",)]
    assert found[("sold on",)].text.endswith("split forward with --time 'sold on'.")
    assert not by_kind(alarms(table, time="sold on"), "date")


def test_numbers_named_like_a_time_but_without_its_values_are_none():
    rng = np.random.default_rng(0)
    table = honest().with_columns(time=pl.Series(rng.uniform(0, 60, N)), date=pl.Series(rng.integers(1, 32, N)))
    assert not by_kind(alarms(table), "date")


def test_repeating_ids_name_the_group_option_unless_it_is_used():
    rng = np.random.default_rng(0)
    table = honest().with_columns(
        pl.Series("userId", rng.integers(0, 200, N)),
        pl.Series("patient", [f"P{i}" for i in rng.integers(0, 150, N)]),
        pl.Series("city", [f"C{i}" for i in rng.integers(0, 150, N)]),
        pl.Series("customer_type", [f"T{i}" for i in rng.integers(0, 50, N)]),
        pl.Series("status_id", rng.integers(0, 20, N)),
    )
    found = by_kind(alarms(table), "repeating-id")
    assert sorted(found) == [("patient",), ("userId",)]
    assert "has 200 values in 2,000 rows" in found[("userId",)].text
    assert found[("userId",)].text.endswith("--group userId.")
    assert not by_kind(alarms(table, group="userId"), "repeating-id")


def test_features_that_say_the_same_are_a_hint():
    table = honest().with_columns(
        (5 - 2 * pl.col("a")).alias("a again"),
        pl.col("word").str.to_uppercase().alias("word2"),
        (pl.col("b") + 0.1 * pl.col("c")).alias("nearly"),
    )
    found = alarms(table)
    assert [(a.kind, a.columns, a.suspect) for a in found] == [
        ("near-copy", ("word", "word2"), False),
        ("near-copy", ("a", "a again"), False),
    ]
    assert found[1].text == "Columns 'a', 'a again' say the same; one of them is enough: --drop 'a again'."


def test_the_worst_comes_first():
    table = (
        honest()
        .sort("y")
        .with_columns(pl.col("a").alias("twin"), (pl.col("y") * 1.0 + 0.01 * pl.col("b")).alias("leak"))
    )
    found = alarms(pl.concat([table, table[-100:]]))
    assert [a.kind for a in found] == ["target-copy", "duplicates", "row-order", "near-copy"]


def test_few_rows_of_a_class_separated_by_luck_are_no_alarm():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        y = np.zeros(40, int)
        y[rng.choice(40, 2, replace=False)] = 1
        table = pl.DataFrame(rng.standard_normal((40, 300))).with_columns(pl.Series("y", y))
        assert not any(a.suspect for a in alarms(table))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("breast-cancer", set()),
        ("california-housing", set()),
        ("iris", {"row-order"}),
        ("wine", {"row-order"}),
        ("digits", set()),
        ("diabetes", set()),
        ("higgs-sample", set()),
        ("movielens-100k", {"date", "repeating-id"}),
    ],
)
def test_real_tables_raise_no_suspicion(name, expected):
    data = load_dataset(name)
    found = alarms(data.frame.drop("split", strict=False), data.target or "rating")
    assert [a.text for a in found if a.suspect] == []
    assert {a.kind for a in found} == expected
    if name == "movielens-100k":
        assert sorted(by_kind(found, "repeating-id")) == [("item_id",), ("user_id",)]
        assert list(by_kind(found, "date")) == [("timestamp",)]


def test_two_thousand_columns_of_noise_with_rare_labels_raise_nothing():
    rng = np.random.default_rng(0)
    table = pl.DataFrame(rng.standard_normal((N, 2000))).with_columns(
        pl.Series("word", [f"w{i}" for i in rng.integers(0, 700, N)]), pl.Series("y", (rng.random(N) < 0.1).astype(int))
    )
    assert alarms(table) == []


def test_the_rows_of_a_large_table_are_sampled_and_the_answer_depends_on_the_seed_alone():
    table = honest(50_000).with_columns((pl.col("y") + 0.1 * pl.col("c")).alias("leak"))
    schema, frame = infer_schema(table, target="y")
    start = time.process_time()
    first = find_alarms(frame, schema, ["0", "1"], seed=1)
    assert time.process_time() - start < 5
    assert first == find_alarms(frame, schema, ["0", "1"], seed=1)
    assert [a.columns for a in first] == [("leak",)]


def test_without_a_target_there_is_nothing_to_give_away():
    schema, frame = infer_schema(honest())
    with pytest.raises(SpecError, match="names no target"):
        find_alarms(frame, schema, None)


def test_equal_rows_share_a_number_and_missing_values_equal_each_other():
    frame = pl.DataFrame(
        {
            "x": [1.0, None, float("nan"), 0.0, -0.0, 1.0, None],
            "w": ["a", None, None, "b", "b", "a", "c"],
            "d": pl.Series(["2020-01-01", None, None, "2020-01-02", "2020-01-02", "2020-01-01", None]).str.to_date(),
        }
    )
    assert duplicate_groups(frame, ["x", "w", "d"]).tolist() == [0, 1, 1, 2, 2, 0, 3]
    assert duplicate_groups(frame, ["x"]).tolist() == [0, 1, 1, 2, 2, 0, 1]
    assert duplicate_groups(frame, ["x"]).dtype == np.int64


def test_equal_rows_are_those_a_dictionary_finds():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.integers(0, 9, N), "b": rng.integers(0, 9, N).astype(str), "c": rng.random(N) < 0.5})
    numbers: dict[tuple[Any, ...], int] = {}
    expected = [numbers.setdefault(row, len(numbers)) for row in frame.iter_rows()]
    assert duplicate_groups(frame, ["a", "b", "c"]).tolist() == expected


def test_rows_are_compared_by_columns_that_are_there():
    with pytest.raises(DataError, match="no column 'z'"):
        duplicate_groups(honest(), ["a", "z"])
    with pytest.raises(SpecError, match="at least one"):
        duplicate_groups(honest(), [])


def test_the_weighted_auc_counts_every_pair_and_half_of_the_ties():
    rng = np.random.default_rng(0)
    score, up, down = rng.integers(0, 4, (3, 9)).astype(float), rng.random((3, 9)), rng.random((3, 9))
    for s, u, d, value in zip(score, up, down, auc(score, up, down), strict=True):
        wins = (s[:, None] > s) + 0.5 * (s[:, None] == s)
        assert value == pytest.approx((u[:, None] * d * wins).sum() / (u.sum() * d.sum()))
    assert np.isnan(auc(score[:1], np.zeros((1, 9)), down[:1])).all()


def test_correlations_and_rank_auc_equal_scipy_and_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    x = np.round(rng.standard_normal(400), 1)  # with ties
    half = np.arange(400) % 2
    y = x + 0.5 * rng.standard_normal(400)
    strength = numeric_strengths(x[None], Target(standardize(y), 0, half))[0]
    largest = max(stats.pearsonr(x, y).statistic, stats.spearmanr(x, y).statistic)
    assert strength.correlation == pytest.approx(largest)
    assert strength.score >= strength.correlation**2
    label = (y > 0).astype(np.int64)
    strength = numeric_strengths(-x[None], Target(label, 2, half))[0]
    assert strength.score == pytest.approx(roc_auc_score(label, x))


def test_cross_fitted_means_of_levels_are_those_of_the_other_half():
    rng = np.random.default_rng(0)
    codes, half = rng.integers(0, 5, 300), rng.permutation(np.arange(300) % 2)
    y = standardize(codes % 3 + rng.standard_normal(300))
    predicted = np.array([y[(codes == c) & (half != h)].mean() for c, h in zip(codes, half, strict=True)])
    expected = 1 - ((y - predicted) ** 2).sum() / (y**2).sum()
    assert level_strength(codes, 5, Target(y, 0, half)).score == pytest.approx(expected)


def test_levels_of_noise_have_an_auc_of_one_half():
    rng = np.random.default_rng(0)
    scores = [
        level_strength(rng.integers(0, 700, N), 700, Target(rng.integers(0, 2, N), 2, np.arange(N) % 2)).score
        for _ in range(20)
    ]
    # One AUC has a standard error of about 0.5 / sqrt(3 * 500) = 0.013 a half; the mean of 20 x 2 of 0.003.
    assert np.mean(scores) == pytest.approx(0.5, abs=0.01)
