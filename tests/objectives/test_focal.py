"""Focal loss: refusals, shapes, types, and use as a part of training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.objectives.focal import FocalLoss, LossSchedule, MulticlassFocalLoss

X = torch.tensor([[0.2, -1.0, 3.0], [1.0, 0.0, -2.0]])
T = torch.tensor([2, 0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: FocalLoss(gamma=-1), "gamma must be a finite number >= 0, got -1"),
        (lambda: FocalLoss(gamma=float("nan")), "gamma must be a finite number >= 0, got nan"),
        (lambda: FocalLoss(alpha=1.5), "alpha must lie in [0, 1] or be None"),
        (lambda: FocalLoss(reduction="avg"), "reduction must be one of none, mean, sum"),
        (lambda: MulticlassFocalLoss(alpha=0.25), "alpha must be a list of one weight"),
        (lambda: MulticlassFocalLoss(alpha=[-1.0, 1.0]), "alpha must be a list of one weight"),
        (lambda: LossSchedule([FocalLoss()], [3]), "1 losses want 0 numbers, got [3]"),
        (lambda: LossSchedule([FocalLoss(), FocalLoss()], [0]), "number of batches >= 1"),
        (lambda: FocalLoss()(X, T), "input has shape (2, 3), target (2,); for logits of several classes"),
        (lambda: FocalLoss()(X[0], torch.tensor([0.0, 0.5, 1.0])), "targets 0 and 1"),
        (lambda: MulticlassFocalLoss()(X, T[:1]), "got shapes (2, 3) and (1,)"),
        (lambda: MulticlassFocalLoss()(X[:, :1], T), "k >= 2"),
        (lambda: MulticlassFocalLoss(alpha=[1.0, 1.0])(X, T), "alpha has 2 weights, but the logits have 3 classes"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises((InputError, DataError)) as caught:
        call()
    assert words in str(caught.value)


def test_a_schedule_needs_modules() -> None:
    with pytest.raises(InputTypeError, match="each a torch module"):
        LossSchedule([], [])
    with pytest.raises(InputTypeError, match="each a torch module"):
        LossSchedule([nn.functional.cross_entropy], [])


def test_integer_and_boolean_targets_and_any_shape() -> None:
    x = torch.randn(4, 2, 3)
    t = torch.randint(0, 2, (4, 2, 3))
    expected = FocalLoss()(x, t.float())
    assert FocalLoss()(x, t) == expected and FocalLoss()(x, t.bool()) == expected
    assert FocalLoss(reduction="none")(x, t).shape == x.shape
    assert FocalLoss()(x.bfloat16(), t).dtype == torch.bfloat16
    assert MulticlassFocalLoss(reduction="none")(torch.randn(2, 3, 5, 5), torch.zeros(2, 5, 5).long()).shape == (
        2,
        5,
        5,
    )
    assert repr(FocalLoss()) == "FocalLoss(gamma=2, alpha=0.25, reduction='mean')"


def test_it_trains_after_a_warm_up() -> None:
    torch.manual_seed(0)
    x = torch.randn(400, 2)
    y = (x[:, 0] > 1.3).float()  # a tenth of the rows
    net = nn.Linear(2, 1)
    loss = LossSchedule([nn.BCEWithLogitsLoss(), FocalLoss()], steps=[50])
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        loss(net(x)[:, 0], y).backward()
        optimizer.step()
    assert loss.stage == 1 and int(loss.count) == 150
    assert ((net(x)[:, 0] > 0).float() == y).float().mean() > 0.95


def test_the_count_is_part_of_the_state() -> None:
    loss = LossSchedule([nn.BCEWithLogitsLoss(), FocalLoss()], steps=[1])
    loss(X[0], torch.ones(3))
    assert int(loss.state_dict()["count"]) == 1
