"""Bad input of the batch-size schedule and of the proxy-Lagrangian game."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fivefold.base.errors import InputError, InputTypeError
from fivefold.data.batches import Batches
from fivefold.optimizers.constrained import ProxyLagrangian
from fivefold.optimizers.schedules.batch_size import BatchSizeSchedule, ScheduledBatches


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 0, "every": 1}, "batch_size must be a whole number >= 1, got 0"),
        ({"initial": 4, "every": 1, "factor": 0.0}, r"factor must lie in \(0, inf\), got 0.0"),
        ({"initial": 4}, "give exactly one of the two"),
        ({"initial": 4, "every": 2, "milestones": [3]}, "give exactly one of the two"),
        ({"initial": 4, "every": 0}, "every must be an int >= 1, got 0"),
        ({"initial": 4, "milestones": [3, 3]}, r"increasing ints >= 1, got \[3, 3\]"),
        ({"initial": 4, "milestones": [0, 3]}, r"increasing ints >= 1, got \[0, 3\]"),
        ({"initial": 4, "every": 1, "unit": "steps"}, "unit must be 'epochs' or 'batches', got 'steps'"),
        ({"initial": 4, "every": 1, "minimum": 8, "maximum": 4}, "minimum=8 and maximum=4"),
    ],
)
def test_bad_schedules_are_refused_in_a_sentence(options, message) -> None:
    with pytest.raises(InputError, match=message):
        BatchSizeSchedule(**options)


def test_only_batches_in_memory_and_true_ranks() -> None:
    schedule = BatchSizeSchedule(4, every=1)
    with pytest.raises(InputTypeError, match="got a list"):
        ScheduledBatches([1, 2], schedule)
    with pytest.raises(InputError, match="rank=2 and world=2"):
        next(ScheduledBatches(Batches({"x": np.zeros(4)}, 2), schedule).epoch(0, rank=2, world=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_constraints": 0}, "n_constraints must be a whole number >= 1, got 0"),
        ({"n_constraints": 1, "lr": 0.0}, "lr must be a finite number > 0, got 0.0"),
        ({"n_constraints": 1, "regret": "none"}, "regret must be 'swap' or 'external', got 'none'"),
        ({"n_constraints": 1, "radius": 2.0}, "leave it out"),
        ({"n_constraints": 1, "radius": 0.0, "regret": "external"}, "radius must be a finite number"),
    ],
)
def test_bad_games_are_refused_in_a_sentence(options, message) -> None:
    with pytest.raises(InputError, match=message):
        ProxyLagrangian(**options)


def test_the_number_of_constraints_must_fit() -> None:
    game = ProxyLagrangian(2)
    with pytest.raises(InputError, match=r"needs constraints of shape \(2,\), got \(1,\)"):
        game.update(torch.zeros(1))
    with pytest.raises(InputError, match=r"needs proxies of shape \(2,\), got \(3,\)"):
        game(torch.zeros(()), torch.zeros(3))


def test_large_violations_stay_finite() -> None:
    game = ProxyLagrangian(2, 1.0)
    for _ in range(50):
        game.update(torch.tensor([1e6, -1e6]))
    assert torch.isfinite(game.weights).all() and game.weights[1] > 0.99
