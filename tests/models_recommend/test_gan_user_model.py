"""The generative adversarial user model: what is refused, in which words; states, saving and time order."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from fivefold.base import codec
from fivefold.base.errors import UnknownNameError
from fivefold.models.recommend import GANUserModel
from fivefold.models.rl.replay import ReplayBuffer

ROWS = 240
DRAW = np.random.default_rng(0)
TABLE = pl.DataFrame(
    {
        "user": DRAW.integers(20, size=ROWS),
        "item": DRAW.integers(15, size=ROWS),
        "rating": DRAW.integers(1, 6, size=ROWS),
        "time": DRAW.permutation(ROWS),
    }
)
SMALL = {
    "slate_size": 2,
    "history_length": 3,
    "embedding_dim": 3,
    "n_positions": 2,
    "hidden": 4,
    "init_epochs": 1,
    "policy_steps": 3,
    "policy_batch_size": 7,
    "sessions": 5,
    "horizon": 2,
    "rating": "rating",
    "time": "time",
    "random_state": 0,
}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"slate_size": 0}, "`slate_size` is 0; give a whole number >= 1."),
        ({"policy_steps": -1}, "`policy_steps` is -1; give a whole number >= 0."),
        ({"eta": 0.0}, "`eta` is 0.0; give a number > 0"),
        ({"gamma": 1.0}, "`gamma` is 1.0; give a number >= 0 and < 1"),
        ({"tau": 1.5}, "`tau` is 1.5; give a number > 0 and <= 1"),
        ({"state": "gru"}, "state must be one of position-weight, lstm; got 'gru'."),
        ({"regularizer": "l1"}, "regularizer must be one of entropy, l2; got 'l1'."),
        ({"liked": "4"}, "`liked` is '4'; give the lowest rating, a number, of what was chosen."),
        (
            {"slate_size": 9, "history_length": 7},
            "The table has 15 items; a slate of 9 beside a history of 7 needs at least 16",
        ),
        ({"time": "when"}, "no column 'when' for the time"),
    ],
)
def test_wrong_parameters_are_told(params, words) -> None:
    with pytest.raises((ValueError, TypeError, UnknownNameError)) as caught:
        GANUserModel(**{**SMALL, **params}).fit(TABLE)
    assert words in str(caught.value)


@pytest.mark.parametrize("state", ["position-weight", "lstm"])
def test_saved_model_gives_the_same_slates_and_rewards(tmp_path, state) -> None:
    model = GANUserModel(**SMALL, state=state, regularizer="l2").fit(TABLE)
    codec.save(model, tmp_path / "model")
    again = codec.load(tmp_path / "model")
    assert again.recommend(k=4).equals(model.recommend(k=4))
    assert (again.rewards(model.windows_) == model.rewards(model.windows_)).all()
    shown = np.ones((20, 15), dtype=bool)
    assert (again.slates(model.windows_, shown) == model.slates(model.windows_, shown)).all()
    args = [torch.from_numpy(a) for a in (model.windows_, model.windows_[:, :2])]
    assert again.users_model_.chances(*args).equal(model.users_model_.chances(*args))


def test_the_time_orders_the_rows() -> None:
    first = GANUserModel(**SMALL).fit(TABLE)
    mixed = TABLE[np.random.default_rng(1).permutation(ROWS)]
    assert GANUserModel(**SMALL).fit(mixed).recommend(k=3).equals(first.recommend(k=3))


def test_many_transitions_are_stored_as_one_by_one() -> None:
    one, many = ReplayBuffer(5, (2,)), ReplayBuffer(5, (2,))
    draw = np.random.default_rng(0)
    for count in (3, 1, 4, 8, 5):
        s, t = draw.normal(size=(2, count, 2)).astype(np.float32)
        a, r, end = draw.integers(9, size=count), draw.normal(size=count).astype(np.float32), np.zeros(count)
        many.extend(s, a, r, t, end)
        for i in range(count):
            one.add(s[i], a[i], r[i], t[i], end[i])
        assert (many.position, many.full, len(many)) == (one.position, one.full, len(one))
        assert all((many.arrays[name] == one.arrays[name]).all() for name in one.arrays)
