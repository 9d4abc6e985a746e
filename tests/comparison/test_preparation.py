"""What a comparison does to training rows before a method sees them: nothing of it may look at test rows or flatter a score."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fivefold.base import codec
from fivefold.base.cards import get_card
from fivefold.base.errors import CapabilityError, DataError, SpecError, UnknownNameError
from fivefold.base.random import Streams
from fivefold.data.recipes import Recipe
from fivefold.data.resample import correct_prior, resample
from fivefold.data.schema import Column, Schema
from fivefold.workbench.baseline import baseline_card
from fivefold.workbench.tabular import TableModel, fit_table

NULL = runpy.run_path(str(Path(__file__).parents[1] / "slow" / "test_null_data.py"))


def shop(rows: int = 900, seed: int = 0, positives: float = 0.15) -> tuple[pl.DataFrame, Schema]:
    random = np.random.default_rng(seed)
    bought = random.random(rows) < positives
    frame = pl.DataFrame(
        {
            "size": random.normal(size=rows) + 1.2 * bought,
            "street": [f"s{k}" for k in random.integers(0, 120, rows)],
            "bought": np.where(bought, "yes", "no"),
            "mass": random.uniform(0.5, 2, rows),
        }
    )
    kinds = [
        Column("size", "numeric"),
        Column("street", "categorical"),
        Column("bought", "categorical", role="target", classes=("no", "yes")),
        Column("mass", "numeric", role="ignored"),
    ]
    return frame, Schema(kinds, "binary")


@pytest.mark.parametrize("strategy", ["oversample", "undersample"])
def test_resampling_moves_labels_and_leaves_probabilities_calibrated(strategy: str) -> None:
    frame, schema = shop(6000)
    card = get_card("gaussian-naive-bayes")
    plain = fit_table(card, frame, schema)
    model = fit_table(card, frame, schema, resample=strategy)
    assert model.trained_shares == [0.5, 0.5]
    assert model.true_shares == pytest.approx(
        [1 - (frame["bought"] == "yes").mean(), (frame["bought"] == "yes").mean()]
    )
    before, after = plain.predict(frame), model.predict(frame)
    rate = float((frame["bought"] == "yes").mean())
    # The mean probability is the share of the class, as of the plain fit; uncorrected it would be far above.
    assert abs(after["probability_yes"].mean() - before["probability_yes"].mean()) < 0.03
    assert (after["prediction"] == "yes").mean() > 1.5 * rate > (before["prediction"] == "yes").mean()
    sums = after["probability_yes"] + after["probability_no"]
    assert np.abs(sums.to_numpy() - 1).max() < 1e-12


def test_the_steps_are_recipe_then_resampling_then_fit_then_correction() -> None:
    """By hand, with the parts: the recipe sees the rows as they are, the estimator the resampled ones."""
    frame, schema = shop()
    card = get_card("gaussian-naive-bayes")
    model = fit_table(card, frame, schema, seed=7, encode="target", select=2, resample="oversample")
    y = (frame["bought"] == "yes").to_numpy().astype(np.int64)
    recipe = Recipe(card.recipe, schema, encode="target", select=2, random_state=Streams(7).integer("recipe") % 2**31)
    X = recipe.fit_transform(frame, y, classes=2)
    rows = resample(y, strategy="oversample", random_state=Streams(7).child("resample"))
    estimator = card.load(card.variant(None, "binary"))().fit(X[rows], y[rows])
    new = frame.drop("bought")
    given = estimator.predict_proba(recipe.transform(new))
    expected = correct_prior(given, [0.5, 0.5], [1 - y.mean(), y.mean()])
    answer = model.predict(frame)
    assert np.allclose(answer.select("probability_no", "probability_yes").to_numpy(), expected, atol=1e-12)
    assert answer["prediction"].to_list() == np.where(given[:, 1] > given[:, 0], "yes", "no").tolist()


def test_saved_with_its_shares(tmp_path: Path) -> None:
    frame, schema = shop()
    model = fit_table(get_card("logistic-regression"), frame, schema, encode="target", select=2, resample="undersample")
    again = codec.load(codec.save(model, tmp_path / "model"))
    assert isinstance(again, TableModel) and again.predict(frame).equals(model.predict(frame))
    assert again.describe() == model.describe()
    assert "Resampling of the training rows only" in model.describe()
    assert "yes 0.1" in model.describe() and "to 0.5; probabilities are corrected back" in model.describe()
    assert "as the smoothed mean of the target" in model.describe()
    assert "Resampling" not in fit_table(get_card("logistic-regression"), frame, schema).describe()


def test_weights_count_in_the_shares() -> None:
    frame, schema = shop()
    weighted = Schema([*schema.columns[:3], Column("mass", "numeric", role="weight")], "binary")
    model = fit_table(get_card("logistic-regression"), frame, weighted, resample="oversample")
    mass = frame["mass"].to_numpy()
    assert model.true_shares is not None and model.trained_shares is not None
    assert model.true_shares[1] == pytest.approx(mass[frame["bought"] == "yes"].sum() / mass.sum())
    # The classes are balanced in weight by drawing rows of weights in [0.5, 2]: about 600 draws, deviation 0.43 each, so the
    # total is off by about 11 of 960 on each side, the share by 0.003; the bound is five of these.
    assert abs(model.trained_shares[1] - 0.5) < 0.016
    lost = frame.with_columns(mass=pl.when(pl.col("bought") == "yes").then(0.0).otherwise("mass"))
    with pytest.raises(DataError, match="The class 'yes' of the target 'bought' has no weight in the training rows"):
        fit_table(get_card("logistic-regression"), lost, weighted, resample="oversample")


def test_classes_that_training_lacks_keep_probability_zero() -> None:
    frame, schema = shop()
    model = fit_table(
        get_card("gaussian-naive-bayes"), frame, schema, classes=["maybe", "no", "yes"], resample="oversample"
    )
    answer = model.predict(frame)
    assert answer["probability_maybe"].max() == 0.0 and model.seen == [1, 2]
    assert answer["probability_yes"].mean() < 0.3


def test_the_baseline_is_not_resampled() -> None:
    frame, schema = shop()
    model = fit_table(baseline_card(), frame, schema, resample="oversample")
    assert model.true_shares is None and set(model.predict(frame)["prediction"]) == {"no"}
    assert model.describe() == "Looks at no column."


def test_a_method_without_probabilities_is_resampled_and_not_corrected() -> None:
    frame, schema = shop()
    model = fit_table(get_card("logistic-regression"), frame, schema, resample="oversample")
    labels = model.predict(frame)["prediction"]
    model.model = LabelsOnly(model.model)
    answer = model.predict(frame)
    assert answer.columns == ["prediction"] and answer["prediction"].equals(labels)
    assert "labels are those of the resampled fit" in model.describe() and "corrected" not in model.describe()


class LabelsOnly:
    """A fitted classifier that keeps its probabilities to itself."""

    def __init__(self, model) -> None:
        self.predict = model.predict


def test_bad_requests() -> None:
    frame, schema = shop()
    numbers = Schema([*schema.columns[1:2], Column("size", "numeric", role="target")], "regression")
    with pytest.raises(
        SpecError, match=r"Resampling \(oversample\) balances classes, but the target 'size' is a number"
    ):
        fit_table(get_card("linear-regression"), frame, numbers, resample="oversample")
    with pytest.raises(UnknownNameError, match="Unknown resampling strategy 'both'"):
        fit_table(get_card("gaussian-naive-bayes"), frame, schema, resample="both")
    with pytest.raises(UnknownNameError, match="Unknown encoding 'mean'"):
        fit_table(get_card("gaussian-naive-bayes"), frame, schema, encode="mean")
    with pytest.raises(CapabilityError):
        fit_table(get_card("linear-regression"), frame, schema, resample="oversample")


def test_groups_reach_the_encoding() -> None:
    """Copies of rows in one group: the copy's target does not enter the encoding of the other."""
    frame, schema = shop(400)
    twice = pl.concat([frame, frame])
    group = np.tile(np.arange(400), 2)
    card = get_card("gaussian-naive-bayes")
    shown = Recipe(card.recipe, schema, encode="target")
    y = (twice["bought"] == "yes").to_numpy().astype(np.int64)
    kept = shown.fit_transform(twice, y, classes=2, groups=group)[:, 1]
    loose = shown.fit_transform(twice, y, classes=2)[:, 1]
    # With its copy elsewhere a row's own label shines through; with the copy in its fold it does not: 400 pairs without
    # relation correlate by 0.05, of which 0.2 are four.
    assert np.corrcoef(loose, y)[0, 1] > 0.2 > abs(np.corrcoef(kept, y)[0, 1])
    models = [fit_table(card, twice, schema, encode="target", groups=g) for g in (None, group)]
    assert not models[0].predict(frame).equals(models[1].predict(frame))


def test_random_labels_stay_random() -> None:
    """The quick form of ``tests/slow/test_null_data.py``: 300 noise columns, one seed, five deviations."""
    bound = 5 * NULL["deviation"]()
    for method, values in NULL["play"](300, 1).items():
        NULL["say"](f"{method}: AUC {values.mean():.4f}, bound 0.5 ± {bound:.4f}")
        assert abs(values.mean() - 0.5) < bound
    NULL["show_leaks"](NULL["null_table"](300, 0))
