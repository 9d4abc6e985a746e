"""Tables, parameters and lists of recommenders: what is refused, in which words."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from fivefold.base.errors import CapabilityError, DataError, InputError, TrainingError, UnknownNameError
from fivefold.data.splits_interactions import split_interactions
from fivefold.evaluation.recommendation import evaluate_recommendations
from fivefold.models.recommend import (
    AlternatingLeastSquares,
    BayesianPersonalizedRanking,
    MatrixFactorization,
    SVDPlusPlus,
)

TABLE = {"user": [1, 1, 2, 2, 3], "item": ["a", "b", "a", "c", "b"], "rating": [5.0, 3.0, 4.0, 1.0, 2.0]}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (MatrixFactorization(n_factors=-1), "`n_factors` is -1; give a whole number >= 0."),
        (MatrixFactorization(solver="newton"), "`solver` is 'newton'; give one of 'sgd', 'als'."),
        (MatrixFactorization(loss="hinge"), "`loss` is 'hinge'; give one of 'squared', 'cross-entropy'."),
        (MatrixFactorization(solver="als", loss="cross-entropy"), "ALS solves squared errors; use solver='sgd'"),
        (MatrixFactorization(solver="als", reg_all=0.0), "reg_all is 0, with which the equations of ALS"),
        (MatrixFactorization(lr_all=0.0), "`lr_all` is 0.0; give a number > 0"),
        (SVDPlusPlus(n_factors=0), "`n_factors` is 0; give a whole number >= 1."),
        (AlternatingLeastSquares(regularization=0.0), "`regularization` is 0.0; give a number > 0"),
        (AlternatingLeastSquares(alpha=-1.0), "`alpha` is -1.0; give a number > 0"),
        (AlternatingLeastSquares(solver="lu"), "`solver` is 'lu'; give one of 'cg', 'cholesky'."),
        (BayesianPersonalizedRanking(factors=0), "`factors` is 0; give a whole number >= 1."),
    ],
)
def test_wrong_parameters_are_told(model, words) -> None:
    with pytest.raises(InputError) as caught:
        model.fit(TABLE)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rating": [5.0, float("inf"), 4.0, 1.0, 2.0]}, "The rating in row 1 is inf; ratings are finite numbers."),
        ({"rating": list("abcde")}, "The column 'rating' holds String; ratings are numbers."),
        ({"rating": [5.0, None, 4.0, 1.0, None]}, "has 2 missing values, the first in row 1"),
        ({"user": [1, 2]}, "has columns of different lengths"),
        ({"item": [1.5, 2.5, 3.5, 4.5, 5.5]}, "ids of the item are integers or strings"),
    ],
)
def test_wrong_tables_are_told(change, words) -> None:
    table = {**TABLE, **change}
    if any(v is None for v in table["rating"]):
        table = pl.DataFrame(table)
    with pytest.raises((InputError, TypeError)) as caught:
        MatrixFactorization().fit(table)
    assert words in str(caught.value)


def test_what_diverges_is_told() -> None:
    with pytest.raises(TrainingError, match="diverged: .* lower the learning rate"):
        MatrixFactorization(lr_all=50.0, random_state=0).fit(TABLE)


def test_cross_entropy_needs_two_values() -> None:
    with pytest.raises(DataError, match="All ratings are 1, and cross-entropy needs"):
        MatrixFactorization(loss="cross-entropy").fit({**TABLE, "rating": np.ones(5)})


def test_svdpp_takes_a_pair_once() -> None:
    with pytest.raises(DataError, match="The user 1 rated the item a 2 times"):
        SVDPlusPlus().fit({**TABLE, "item": ["a", "a", "a", "c", "b"]})


def test_implicit_models_refuse_negative_amounts() -> None:
    for model in (AlternatingLeastSquares(rating="rating"), BayesianPersonalizedRanking(rating="rating")):
        with pytest.raises(InputError, match="amounts of attention, which are >= 0; got -1"):
            model.fit({**TABLE, "rating": [5, -1, 1, 1, 1]})


def test_an_explanation_needs_a_sum() -> None:
    with pytest.raises(CapabilityError, match="no sum over the items of a history"):
        MatrixFactorization(random_state=0).fit(TABLE).explain(1, "a")


def test_a_column_is_found_by_its_parameter() -> None:
    table = {"person": TABLE["user"], "film": TABLE["item"], "stars": TABLE["rating"]}
    model = MatrixFactorization(user="person", item="film", rating="stars", random_state=0).fit(table)
    assert model.recommend(1)["item"].to_list() == ["c"]
    with pytest.raises(UnknownNameError, match="no column .users. for the user; did you mean .*person"):
        MatrixFactorization(user="users", item="film", rating="stars").fit(table)


def test_a_weight_of_zero_leaves_the_row_out() -> None:
    model = AlternatingLeastSquares(factors=2, random_state=0).fit(TABLE, sample_weight=[1, 1, 1, 1, 0])
    assert model.users_.tolist() == [1, 2]


def test_lists_are_judged_only_by_what_can_be() -> None:
    frame = pl.DataFrame(TABLE)
    lists = pl.DataFrame({"user": [1], "item": ["a"], "rank": [1]})
    with pytest.raises(InputError, match="k must be a whole number >= 1, got 0."):
        evaluate_recommendations(lists, frame, frame, k=0)
    with pytest.raises(DataError, match="recommended has no column 'rank'"):
        evaluate_recommendations(lists.drop("rank"), frame, frame)
    with pytest.raises(DataError, match="No user has a test item"):
        evaluate_recommendations(lists, frame[:0], frame)


@pytest.mark.parametrize(
    ("way", "given", "words"),
    [
        ("global-time", None, "needs a time column"),
        ("given", None, "needs a column that says train or test"),
        ("given", ["train", "test", "valid"], "must hold train and test; got test, train, valid"),
        ("by-mood", None, "use global-time, leave-last-out, random or given"),
    ],
)
def test_a_split_needs_its_column(way, given, words) -> None:
    with pytest.raises(DataError, match=words):
        split_interactions(way, [1, 2, 3], given=given)
