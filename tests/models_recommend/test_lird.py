"""List-wise recommendation: what is refused, in which words."""

from __future__ import annotations

import polars as pl
import pytest

from fivefold.base.errors import DataError, FivefoldError, UnknownNameError
from fivefold.base.estimator import NotFittedError
from fivefold.evidence.models.recommend._ratings import ratings
from fivefold.models.recommend import LIRD

SMALL = {"list_size": 2, "n_state": 3, "factors": 3, "rounds": 2, "users": 2, "batch_size": 4, "random_state": 0}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"list_size": 0}, "`list_size` is 0; give a whole number >= 1."),
        ({"list_size": 9}, "`list_size` is 9; give at most 8."),
        ({"n_state": 1.5}, "`n_state` is 1.5 of type float; give a whole number >= 1."),
        ({"hidden_sizes": (0,)}, "`hidden_sizes` is 0; give a whole number >= 1."),
        ({"balance": 1.5}, "`balance` is 1.5; give a number >= 0 and <= 1."),
        ({"decay": 0.0}, "`decay` is 0.0; give a number > 0 and <= 1."),
        ({"gamma": 1.0}, "`gamma` is 1.0; give a number >= 0 and < 1."),
        ({"tau": 0.0}, "`tau` is 0.0; give a number > 0 and <= 1."),
        ({"noise": -1.0}, "`noise` is -1.0; give a number >= 0."),
        ({"temperature": 0.0}, "`temperature` is 0.0; give a number > 0."),
        ({"actor_learning_rate": 0.0}, "`actor_learning_rate` is 0.0; give a number > 0."),
        ({"liked": float("nan")}, "`liked` is nan; give a finite number."),
    ],
)
def test_wrong_parameters_are_told(params, words) -> None:
    with pytest.raises(FivefoldError) as caught:
        LIRD(**{**SMALL, **params}).fit(ratings())
    assert words in str(caught.value)


def test_tables_that_make_no_simulator_are_told() -> None:
    with pytest.raises(DataError, match="Every interaction is liked, which takes a rating of at least 4"):
        LIRD(**SMALL).fit(ratings().with_columns(rating=pl.lit(5.0)))
    with pytest.raises(DataError, match="No interaction is liked"):
        LIRD(**SMALL).fit(ratings().with_columns(rating=pl.lit(1.0)))
    with pytest.raises(DataError, match="No user has 2 rows"):
        LIRD(**SMALL).fit({"user": [1, 2], "item": [3, 4], "rating": [1, 5]})
    with pytest.raises(DataError, match="Sessions of LIRD need at least 12 items, the table has 9; lower n_state"):
        LIRD(**{**SMALL, "n_state": 8}).fit(ratings())
    with pytest.raises(UnknownNameError, match="no column 'clock' for the time"):
        LIRD(**SMALL, time="clock").fit(ratings())


def test_simulations_begin_after_fitting_and_are_as_long_as_the_items_last() -> None:
    with pytest.raises(NotFittedError):
        LIRD(**SMALL).simulate()
    model = LIRD(**SMALL).fit(ratings())
    assert model.horizon_ == 2
    assert model.simulate(7).rewards.shape == (7, 2)
    with pytest.raises(FivefoldError, match="`sessions` is 0"):
        model.simulate(0)
    assert len(model.rewards_) == 2
