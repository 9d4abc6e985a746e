"""What a recipe learns from the target: encodings, folds, the choice of features; parity with scikit-learn and brute force."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.preprocessing import TargetEncoder

from fivefold.base import codec
from fivefold.base.errors import DataError, InputError, UnknownNameError
from fivefold.data.recipes import Recipe
from fivefold.data.recipes_supervised import FOLDS, cross_folds, f_statistics, shrunken_means
from fivefold.data.schema import Column, Schema

ROUNDING = 1e-11  # of sums of some hundred numbers near one


def schema(**kinds: str) -> Schema:
    return Schema([Column(name, kind) for name, kind in kinds.items()])


def table(
    rows: int = 600, levels: int = 60, seed: int = 0
) -> tuple[pl.DataFrame, dict[str, tuple[np.ndarray, int | None]]]:
    random = np.random.default_rng(seed)
    code = random.integers(0, levels, rows)
    frame = pl.DataFrame({"c": [f"v{k}" for k in code], "x": random.normal(size=rows)})
    value = 5 + 0.1 * code + random.normal(size=rows)
    targets = {
        "number": (value, None),
        "binary": ((value > 8).astype(np.int64), 2),
        "classes": (np.digitize(value, [7.0, 9.0]).astype(np.int64), 3),
    }
    return frame, targets


def reference(task: str, splits: list[tuple[np.ndarray, np.ndarray]]) -> TargetEncoder:
    kind = {"number": "continuous", "binary": "binary", "classes": "multiclass"}[task]
    return TargetEncoder(smooth="auto", target_type=kind, cv=splits)


@pytest.mark.parametrize("task", ["number", "binary", "classes"])
def test_target_encoding_equals_scikit_learn(task: str) -> None:
    frame, targets = table()
    y, classes = targets[task]
    recipe = Recipe("one-hot", schema(c="categorical"), encode="target", random_state=3)
    crossed = recipe.fit_transform(frame, y, classes=classes)
    folds = cross_folds(y, classes, None, 3)
    splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(FOLDS)]
    peer = reference(task, splits)
    column = frame.select("c").to_numpy()
    assert np.abs(peer.fit_transform(column, y) - crossed).max() < ROUNDING
    new = pl.DataFrame({"c": ["v0", "v59", "never", "v7"]})
    assert np.abs(peer.transform(new.to_numpy()) - recipe.transform(new)).max() < ROUNDING
    assert recipe.feature_names_out_ == (["c_target"] if task != "classes" else [f"c_target{k}" for k in range(3)])
    assert not recipe.categorical_mask_.any()


def test_missing_is_a_level_and_unseen_is_the_mean() -> None:
    frame, targets = table()
    y = targets["number"][0]
    lost = frame.with_columns(pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise("c").alias("c"))
    named = lost.with_columns(pl.col("c").fill_null("nothing"))
    kinds = schema(c="categorical")
    with_null = Recipe("ordinal", kinds, encode="target").fit(lost, y)
    with_name = Recipe("ordinal", kinds, encode="target").fit(named, y)
    assert np.allclose(with_null.transform(lost), with_name.transform(named), atol=ROUNDING)
    assert with_null.transform(pl.DataFrame({"c": ["new"]})).item() == pytest.approx(y.mean())
    # Where training had none missing, a missing value is an unseen one.
    whole = Recipe("ordinal", kinds, encode="target").fit(frame, y)
    assert whole.transform(pl.DataFrame({"c": [None]}, schema={"c": pl.String})).item() == pytest.approx(y.mean())
    assert "missing is a level" in with_null.describe() and "missing is a level" not in whole.describe()


def test_a_row_never_enters_its_own_encoding() -> None:
    frame, targets = table(rows=200, levels=15)
    y = targets["number"][0]
    kinds = schema(c="categorical")
    before = Recipe("one-hot", kinds, encode="target").fit_transform(frame, y)[:, 0]
    folds = cross_folds(y, None, None, 0)
    for row in range(0, 200, 17):
        moved = y.copy()
        moved[row] += 100.0
        after = Recipe("one-hot", kinds, encode="target").fit_transform(frame, moved)[:, 0]
        same = folds == folds[row]
        assert np.array_equal(after[same], before[same])
        # The check can fail: rows of other folds see it.
        assert (after[~same] != before[~same]).all()
    seen = Recipe("one-hot", kinds, encode="target").fit(frame, y).transform(frame)[:, 0]
    assert np.abs(seen - before).max() > 0.01


def test_groups_stay_in_one_fold() -> None:
    frame, targets = table()
    y = targets["binary"][0]
    groups = np.random.default_rng(1).integers(0, 90, len(y)) * 7
    folds = cross_folds(y, 2, groups, 0)
    assert all(len(set(folds[groups == g])) == 1 for g in set(groups.tolist()))
    sizes = np.bincount(folds, minlength=FOLDS)
    assert sizes.min() > 0 and np.ptp(sizes) <= np.bincount(groups).max()
    recipe = Recipe("one-hot", schema(c="categorical"), encode="target")
    out = recipe.fit_transform(frame, y, classes=2, groups=groups)
    splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(FOLDS)]
    peer = reference("binary", splits).fit_transform(frame.select("c").to_numpy(), y)
    assert np.abs(out - peer).max() < ROUNDING
    with pytest.raises(DataError, match="All training rows are of one group, so a category cannot be encoded"):
        recipe.fit(frame, y, classes=2, groups=np.zeros(len(y), dtype=int))
    with pytest.raises(InputError, match=r"groups must have shape \(600,\), one entry a row of the table; got \(2,\)"):
        recipe.fit(frame, y, classes=2, groups=[0, 1])


def test_folds_are_even_within_each_class_and_follow_the_seed() -> None:
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [1000, 103, 7]))
    folds = cross_folds(y, 3, None, 5)
    for k in range(3):
        assert np.ptp(np.bincount(folds[y == k], minlength=FOLDS)) <= 1
    assert np.array_equal(folds, cross_folds(y, 3, None, 5)) and not np.array_equal(folds, cross_folds(y, 3, None, 6))
    assert np.ptp(np.bincount(cross_folds(y * 1.0, None, None, 0))) <= 1


def test_a_target_without_spread_is_its_mean() -> None:
    means, prior, cross = shrunken_means(np.array([0, 0, 1]), np.full(3, 4.0), 2, np.array([0, 1, 2]))
    assert means.tolist() == [4.0, 4.0] and prior.tolist() == [4.0]
    assert (cross[:3] == 4.0).all()


def test_auto_encodes_only_what_one_hot_would_cut_off() -> None:
    for levels, names in ((50, 51), (51, 1)):
        frame = pl.DataFrame({"c": [f"v{k % levels:03d}" for k in range(300)]})
        y = np.arange(300) % 2
        recipe = Recipe("scaled-one-hot", schema(c="categorical")).fit(frame, y, classes=2)
        assert len(recipe.feature_names_out_) == names
        # Without a target, and when asked for one-hot, as ever.
        assert len(Recipe("scaled-one-hot", schema(c="categorical")).fit(frame).feature_names_out_) == 51
        plain = Recipe("scaled-one-hot", schema(c="categorical"), encode="one-hot").fit(frame, y, classes=2)
        assert len(plain.feature_names_out_) == 51
        assert Recipe("ordinal", schema(c="categorical")).fit(frame, y, classes=2).categorical_mask_.tolist() == [True]
    many = pl.DataFrame({"c": [f"v{k % 255}" for k in range(600)]})
    assert (
        not Recipe("ordinal", schema(c="categorical")).fit(many, np.arange(600) % 2, classes=2).categorical_mask_.any()
    )
    # Values seen once do not stay, so they are pooled.
    once = pl.DataFrame({"c": [f"v{k}" for k in range(300)]})
    assert Recipe("one-hot", schema(c="categorical")).fit(once, np.arange(300.0)).feature_names_out_ == ["c=<other>"]
    ten = pl.DataFrame({"c": [f"v{k % 10}" for k in range(300)]})
    for encode in ("target", "hash"):
        kept = Recipe("one-hot", schema(c="categorical"), encode=encode).fit(ten, np.arange(300.0))
        assert len(kept.feature_names_out_) == 11


def test_scaled_recipes_standardize_what_is_trained_on() -> None:
    frame, targets = table()
    y, classes = targets["classes"]
    recipe = Recipe("scaled-one-hot", schema(c="categorical", x="numeric"), encode="target")
    out = recipe.fit_transform(frame, y, classes=classes)
    assert np.abs(out.mean(axis=0)).max() < 1e-12 and np.abs(out.std(axis=0) - 1).max() < 1e-12
    again = Recipe("scaled-one-hot", schema(c="categorical", x="numeric"), encode="target").fit(
        frame, y, classes=classes
    )
    assert np.array_equal(recipe.transform(frame), again.transform(frame))


def test_hashing_equals_scikit_learn() -> None:
    frame, _ = table()
    recipe = Recipe("scaled-one-hot", schema(c="categorical"), encode="hash").fit(frame)
    new = pl.DataFrame({"c": ["v3", "never seen", None, "ä"]})
    out = recipe.transform(new)
    peer = FeatureHasher(32, input_type="string")
    expected = peer.transform([[v] for v in frame["c"]]).toarray()
    assert np.array_equal(recipe.transform(frame), expected) and {-1.0, 1.0} <= set(expected.ravel().tolist())
    assert np.array_equal(out, peer.transform([["v3"], ["never seen"], [], ["ä"]]).toarray())
    assert recipe.feature_names_out_[::31] == ["c_hash0", "c_hash31"]
    assert "60 levels hashed into 32 signed columns" in recipe.describe()


@pytest.mark.parametrize("task", ["number", "binary", "classes"])
def test_f_statistics_equal_scikit_learn(task: str) -> None:
    random = np.random.default_rng(0)
    y, classes = table()[1][task]
    X = random.normal(size=(600, 40)) + random.normal(size=40) * (y[:, None] - y.mean()) * 0.3 + random.normal(size=40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = f_statistics(X, y, classes)
    theirs = (f_regression if classes is None else f_classif)(X, y)[0]
    assert np.allclose(ours, theirs, rtol=1e-9)
    frame = pl.DataFrame({f"f{k}": X[:, k] for k in range(40)})
    recipe = Recipe("none", schema(**dict.fromkeys(frame.columns, "numeric")), select=7)
    peer = SelectKBest(f_regression if classes is None else f_classif, k=7).fit(X, y)
    assert np.array_equal(recipe.fit_transform(frame, y, classes=classes), X[:, peer.get_support()])
    assert recipe.feature_names_out_ == [f"f{k}" for k in np.flatnonzero(peer.get_support())]
    assert np.array_equal(recipe.transform(frame[:5]), X[:5, peer.get_support()])


@pytest.mark.parametrize("task", ["number", "classes"])
def test_f_statistics_pass_over_missing_values(task: str) -> None:
    random = np.random.default_rng(1)
    y, classes = table()[1][task]
    X = random.normal(size=(600, 3)) + y[:, None]
    X[random.random(X.shape) < 0.3] = np.nan
    for k in range(3):
        there = ~np.isnan(X[:, k])
        peer = (f_regression if classes is None else f_classif)(X[there, k : k + 1], y[there])[0]
        assert f_statistics(X, y, classes)[k] == pytest.approx(peer[0], rel=1e-9)


def test_constants_come_last_and_the_first_of_equals_wins() -> None:
    y = np.array([0, 0, 1, 1])
    X = np.array([[7.0, 0, 0, 0], [7.0, 1, 0, 1], [7.0, 1, 1, 1], [7.0, 2, 1, 2]])
    assert np.array_equal(f_statistics(X, y, 2), [-1.0, 1.0 / 0.5, np.inf, 2.0])
    frame = pl.DataFrame({name: X[:, k] for k, name in enumerate("abcd")})
    kinds = schema(a="numeric", b="numeric", c="numeric", d="numeric")
    for most, names in ((1, "c"), (2, "bc"), (3, "bcd"), (9, "abcd")):
        recipe = Recipe("one-hot", kinds, select=most).fit(frame, y, classes=2)
        assert recipe.feature_names_out_ == list(names)
    assert (
        "2 features, those of 4 with the largest F statistic"
        in Recipe("one-hot", kinds, select=2).fit(frame, y, classes=2).describe()
    )
    assert (f_statistics(X, np.zeros(4), None) == -1).all() and (f_statistics(X, np.zeros(4, dtype=int), 2) == -1).all()


def test_selection_sees_the_cross_fitted_values() -> None:
    """A noise column of many levels encoded by its own targets beats a weak signal; cross-fitted it does not."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 1000)
    frame = pl.DataFrame(
        {"c": [f"v{k}" for k in random.integers(0, 400, 1000)], "x": random.normal(size=1000) + 0.4 * y}
    )
    kinds = schema(c="categorical", x="numeric")
    recipe = Recipe("scaled-one-hot", kinds, encode="target", select=1)
    X = recipe.fit_transform(frame, y, classes=2)
    assert recipe.feature_names_out_ == ["x"] and X.shape == (1000, 1)
    assert "Not selected: c." in recipe.describe() and "with the largest F" in recipe.describe()
    wrong = Recipe("scaled-one-hot", kinds, encode="target").fit(frame, y, classes=2).transform(frame)
    assert f_statistics(wrong, y, 2)[0] > f_statistics(wrong, y, 2)[1]


@pytest.mark.parametrize("encode", ["auto", "one-hot", "target", "hash"])
@pytest.mark.parametrize("name", ["scaled-one-hot", "one-hot", "ordinal"])
@pytest.mark.parametrize("select", [None, 3])
def test_saved_and_loaded(tmp_path, encode: str, name: str, select: int | None) -> None:
    frame, targets = table(levels=70)
    frame = frame.with_columns(few=pl.Series(["a", "b", None] * 200), y2=-pl.col("x"))
    y, classes = targets["classes"]
    kinds = schema(c="categorical", x="numeric", few="categorical", y2="numeric")
    recipe = Recipe(name, kinds, encode=encode, select=select).fit(frame, y, classes=classes)
    X = recipe.transform(frame)
    again = codec.load(codec.save(recipe, tmp_path / "recipe"))
    assert np.array_equal(again.transform(frame), X, equal_nan=True)
    assert again.describe() == recipe.describe() and again.feature_names_out_ == recipe.feature_names_out_
    assert X.shape[1] == len(recipe.feature_names_out_) == len(recipe.categorical_mask_)
    if select:
        full = Recipe(name, kinds, encode=encode).fit(frame, y, classes=classes)
        place = [full.feature_names_out_.index(n) for n in recipe.feature_names_out_]
        assert np.array_equal(full.transform(frame)[:, place], X, equal_nan=True)
        assert np.array_equal(full.categorical_mask_[place], recipe.categorical_mask_)


def test_blocks_do_not_change_the_answer(monkeypatch) -> None:
    frame, targets = table(rows=1000)
    y, classes = targets["binary"]
    kinds = schema(c="categorical", x="numeric")
    make = lambda: Recipe("scaled-one-hot", kinds, encode="target", select=1)  # noqa: E731
    whole, parts = make().fit_transform(frame, y, classes=classes), make().fit(frame, y, classes=classes)
    answer = parts.transform(frame)
    monkeypatch.setattr("fivefold.data.recipes._CELLS", 1)
    assert np.array_equal(make().fit_transform(frame, y, classes=classes), whole)
    assert np.array_equal(parts.transform(frame), answer)


@pytest.mark.parametrize(
    ("options", "fit", "words"),
    [
        ({"encode": "target"}, {}, "encode='target' learns from the target; give it to fit"),
        ({"select": 2}, {}, "select=2 learns from the target; give it to fit"),
        ({"select": 0}, {"y": [0.0] * 600}, "select must be a whole number >= 1, got 0"),
        ({"select": True}, {"y": [0.0] * 600}, "select must be a whole number >= 1, got True"),
        ({}, {"y": [1.0, 2.0]}, r"y must have shape \(600,\), one entry a row of the table; got \(2,\)"),
        ({}, {"y": ["a"] * 600}, "y must hold finite numbers; give the number of classes"),
        ({}, {"y": [float("nan")] * 600}, "y must hold finite numbers"),
        ({}, {"y": [2] * 600, "classes": 2}, "y must hold the class codes 0 to 1 as integers; got int64 values"),
        ({}, {"y": [0.5] * 600, "classes": 2}, "y must hold the class codes 0 to 1 as integers; got float64 values"),
        ({}, {"y": [0] * 600, "classes": 0}, "classes must be an int >= 1, or None for regression; got 0"),
    ],
)
def test_bad_requests(options, fit, words: str) -> None:
    frame, _ = table()
    with pytest.raises(InputError, match=words):
        Recipe("one-hot", schema(c="categorical"), **options).fit(frame, **fit)


def test_unknown_encoding() -> None:
    with pytest.raises(UnknownNameError, match="Unknown encoding 'targets'; did you mean one of: target"):
        Recipe("one-hot", schema(c="categorical"), encode="targets").fit(table()[0])
