"""Hold-out splits: sizes, disjoint parts, rare classes, ties, gaps, and what bad input is told."""

import datetime

import numpy as np
import polars as pl
import pytest

from fivefold.base.errors import DataError, InputError
from fivefold.data.splits import column_split, group_split, random_split, stratified_split, time_split


def check_parts(split, n, missing=0):
    joined = np.concatenate(split)
    assert len(np.unique(joined)) == len(joined) == n - missing
    assert all((np.diff(part) > 0).all() and part.dtype == np.int64 for part in split if len(part))


@pytest.mark.parametrize(
    ("size", "validation", "expected"), [(0.2, 0, (8, 0, 2)), (0.25, 0.1, (6, 1, 3)), (3, 4, (3, 4, 3))]
)
def test_random_sizes(size, validation, expected):
    split = random_split(10, test_size=size, validation_size=validation)
    check_parts(split, 10)
    assert tuple(map(len, split)) == expected


def test_random_is_repeatable_and_uniform():
    assert np.array_equal(random_split(100, random_state=3).test, random_split(100, random_state=3).test)
    counts = np.zeros(10)
    for seed in range(2000):
        counts[random_split(10, test_size=3, random_state=seed).test] += 1
    # 2000 draws with chance 0.3 each: six standard deviations are 123
    assert np.abs(counts - 600).max() < 123
    assert len(random_split(30, test_size=0.1).test) == 3


def test_stratified_shares_and_rare_classes():
    y = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 9 + ["d"])
    split = stratified_split(y, test_size=0.2, validation_size=0.1)
    check_parts(split, 100)
    assert tuple(map(len, split)) == (70, 10, 20)
    for part, size in ((split.test, 20), (split.validation, 10)):
        for label, share in (("a", 0.6), ("b", 0.3), ("c", 0.09)):
            assert abs((y[part] == label).sum() - share * size) <= 1.3
    # The only row of its class is trained on, whatever the seed.
    for seed in range(20):
        assert 99 in stratified_split(y, test_size=0.5, random_state=seed).train


def test_stratified_exact_sizes_with_tied_remainders():
    y = np.repeat(np.arange(7), 3)
    chosen = np.zeros(7)
    for seed in range(60):
        split = stratified_split(y, test_size=5, random_state=seed)
        counts = np.bincount(y[split.test], minlength=7)
        assert counts.sum() == 5 and counts.max() == 1
        chosen += counts
    assert chosen.min() > 20  # equal remainders go to random classes: 300 / 7 = 43 each
    with pytest.raises(DataError, match="The target has 7 classes, but only 5 rows would be left"):
        stratified_split(y, test_size=16)
    assert set(y[stratified_split(y, test_size=14).train]) == set(range(7))


def test_groups_stay_whole():
    groups = np.random.default_rng(0).integers(0, 50, 1000)
    split = group_split(groups, test_size=0.2, validation_size=0.1)
    check_parts(split, 1000)
    sets = [set(groups[part]) for part in split]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    assert abs(len(split.test) - 200) <= 15 and abs(len(split.validation) - 100) <= 15
    lopsided = group_split(["big"] * 98 + ["x", "y"], test_size=0.1, random_state=1)
    assert len(lopsided.train) and len(lopsided.test)
    with pytest.raises(DataError, match=r"has 1 group\(s\), but 2 parts need at least one each"):
        group_split(["a"] * 10)


def test_time_without_ties():
    times = np.random.default_rng(0).permutation(100)
    split = time_split(times, test_size=0.2, validation_size=0.1)
    check_parts(split, 100)
    assert times[split.train].max() == 69 and times[split.validation].min() == 70 and times[split.test].min() == 80


def test_time_ties_and_gap():
    times = np.repeat(np.arange(10), 10)
    split = time_split(times, test_size=15)
    assert len(split.test) == 20 and times[split.train].max() == 7
    gapped = time_split(times, test_size=10, validation_size=10, gap=2)
    check_parts(gapped, 100, missing=40)
    assert times[gapped.test].min() == 9 and set(times[gapped.validation]) == {6} and times[gapped.train].max() == 3


def test_time_of_dates():
    days = pl.date_range(datetime.date(2020, 1, 1), datetime.date(2020, 1, 10), eager=True)
    split = time_split(days, test_size=2, gap=datetime.timedelta(days=3))
    assert split.test.tolist() == [8, 9] and split.train.tolist() == [0, 1, 2, 3, 4]
    assert time_split(days.to_list(), test_size=2).train.tolist() == list(range(8))
    with pytest.raises(InputError, match="The times are dates, so the gap must be a timedelta; got 3"):
        time_split(days, gap=3)


@pytest.mark.parametrize(
    ("values", "options", "error", "words"),
    [
        ([1, 1, 1, 1], {}, DataError, "No row is left before 1 for training"),
        ([1, 2, 3], {"gap": 10, "test_size": 1}, DataError, "gap 10"),
        ([1, 2, 3], {"gap": -1}, InputError, "must not be negative"),
        ([1, 2, 3], {"gap": "day"}, InputError, "the gap must be a number; got 'day'"),
        ([1.0, np.nan, 3.0], {}, DataError, "The time column has 1 missing values"),
        (["a", "b", "c"], {}, DataError, "must hold numbers, dates or times"),
    ],
)
def test_bad_times(values, options, error, words):
    with pytest.raises(error, match=words):
        time_split(values, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"test_size": 1.0}, r"test_size must be a fraction in \[0, 1\) or a number of rows; got 1.0"),
        ({"test_size": 10}, "must leave rows for training: between 0 and 9 of 10 rows; got 10"),
        ({"test_size": 0.6, "validation_size": 0.4}, "take 10 of 10 rows and leave none for training"),
        ({"test_size": 0}, "nothing would be held out"),
        ({"test_size": "half"}, "got 'half'"),
    ],
)
def test_bad_sizes(options, words):
    with pytest.raises(InputError, match=words):
        random_split(10, **options)
    with pytest.raises(DataError, match="at least 2 rows; got 1"):
        random_split(1)


def test_given_column():
    split = column_split(["Train", "test ", "VAL", "train", "dev"])
    assert [part.tolist() for part in split] == [[0, 3], [2, 4], [1]]
    assert [p.tolist() for p in column_split(pl.Series([True, False, False]))] == [[1, 2], [], [0]]
    with pytest.raises(DataError, match="The split column holds 'a', 'b'; accepted are train, validation"):
        column_split(["train", "b", "a"])
    with pytest.raises(DataError, match="has 1 missing values"):
        column_split(["train", None])
    with pytest.raises(DataError, match="gives 2 training, 0 validation and 0 test rows"):
        column_split(["train", "train"])
    with pytest.raises(DataError, match=r"one value a row, shape \(n,\); got shape \(2, 2\)"):
        column_split([["train", "test"], ["train", "test"]])
