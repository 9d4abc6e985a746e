"""DRN: what is refused, in which words; the ways of exploring."""

from __future__ import annotations

import polars as pl
import pytest

from fivefold.base.errors import DataError, FivefoldError
from fivefold.evidence.models.recommend._ratings import ratings
from fivefold.models.recommend import DRN

SMALL = {
    "list_size": 2,
    "n_state": 3,
    "n_offered": 3,
    "factors": 3,
    "rounds": 2,
    "users": 2,
    "batch_size": 4,
    "major_every": 1,
    "gradient_steps": 1,
    "random_state": 0,
}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"n_offered": 1}, "`n_offered` is 1; give at least list_size=2."),
        ({"n_offered": 0}, "`n_offered` is 0; give a whole number >= 1."),
        ({"major_every": 0}, "`major_every` is 0; give a whole number >= 1."),
        (
            {"exploration": "softmax"},
            "`exploration` is 'softmax'; give one of 'dueling-bandit', 'epsilon-greedy', 'none'.",
        ),
        ({"alpha": 0.0}, "`alpha` is 0.0; give a number > 0."),
        ({"eta": 2.0}, "`eta` is 2.0; give a number > 0 and <= 1."),
        ({"epsilon": 1.5}, "`epsilon` is 1.5; give a number >= 0 and <= 1."),
        ({"beta": -0.1}, "`beta` is -0.1; give a number >= 0."),
        ({"tau": 0.0}, "`tau` is 0.0; give a number > 0 and <= 1."),
        ({"learning_rate": 0.0}, "`learning_rate` is 0.0; give a number > 0."),
        ({"gamma": 1.0}, "`gamma` is 1.0; give a number >= 0 and < 1."),
    ],
)
def test_wrong_parameters_are_told(params, words) -> None:
    with pytest.raises(FivefoldError) as caught:
        DRN(**{**SMALL, **params}).fit(ratings())
    assert words in str(caught.value)


def test_tables_that_make_no_simulator_are_told() -> None:
    with pytest.raises(DataError, match="Every interaction is liked"):
        DRN(**SMALL).fit(ratings().with_columns(rating=pl.lit(5.0)))
    with pytest.raises(DataError, match="Sessions of DRN need at least 11 items, the table has 9"):
        DRN(**{**SMALL, "n_offered": 6}).fit(ratings())


@pytest.mark.parametrize("exploration", ["dueling-bandit", "epsilon-greedy", "none"])
def test_every_exploration_learns_and_lists(exploration) -> None:
    model = DRN(**SMALL, exploration=exploration).fit(ratings())
    assert len(model.rewards_) == 2
    record = model.simulate(5)
    assert record.lists.shape == (5, model.horizon_, 2)
