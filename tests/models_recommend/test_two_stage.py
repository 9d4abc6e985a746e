"""The recommender of two stages: what is refused, in which words."""

from __future__ import annotations

import polars as pl
import pytest

from fivefold.base.errors import DataError, InputError, UnknownNameError
from fivefold.evidence.models.recommend._ratings import ratings
from fivefold.models.recommend import TwoStageRecommender


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"n_candidates": 0}, "`n_candidates` is 0; give a whole number >= 1."),
        ({"n_cells": 0}, "`n_cells` is 0; give a whole number >= 1."),
        ({"n_probe": 0}, "`n_probe` is 0; give a whole number >= 1."),
        ({"holdout": 1.0}, "`holdout` is 1.0; give a number > 0 and < 1."),
        ({"alpha": 0.0}, "`alpha` is 0.0; give a number > 0."),
    ],
)
def test_wrong_parameters_are_told(params, words) -> None:
    with pytest.raises(InputError) as caught:
        TwoStageRecommender(**params).fit(ratings())
    assert words in str(caught.value)


def test_what_the_stages_cannot_learn_from_is_told() -> None:
    with pytest.raises(InputError, match="takes ratings as amounts of attention, which are >= 0; got -1"):
        TwoStageRecommender(rating="rating").fit(ratings().with_columns(rating=pl.lit(-1.0)))
    with pytest.raises(DataError, match="first stage finds none, so the ranker has nothing to learn from"):
        TwoStageRecommender(factors=2).fit({"user": [1, 2, 3], "item": [4, 5, 6]})
    with pytest.raises(UnknownNameError, match="no column 'clock' for the time"):
        TwoStageRecommender(time="clock").fit(ratings())


def test_lists_are_as_long_as_asked_and_tell_who_was_ranked() -> None:
    table = ratings(30, 25, 0.4).sample(fraction=1.0, shuffle=True, seed=0)
    model = TwoStageRecommender(factors=4, n_candidates=2, random_state=0).fit(table)
    found = model.recommend([0], k=6)
    assert len(found) == 6
    assert (found["score"].to_numpy() > 0).tolist() == [True, True, False, False, False, False]
