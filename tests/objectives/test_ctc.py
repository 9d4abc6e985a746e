"""CTC: refusals in a sentence."""

from __future__ import annotations

import pytest
import torch

from fivefold.base.errors import DataError, InputError
from fivefold.objectives.ctc import CTCLoss

Z = torch.zeros(4, 2, 3)
Y = torch.tensor([[1, 2], [2, 1]])
T, S = torch.tensor([4, 4]), torch.tensor([2, 1])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: CTCLoss(blank=-1), "blank must be an index >= 0, got -1"),
        (lambda: CTCLoss(reduction="avg"), "reduction must be one of"),
        (lambda: CTCLoss()(Z[0], Y, T, S), "needs an input (T, n, k) with T >= 1"),
        (lambda: CTCLoss()(Z, Y, T[:1], S), "got shapes (4, 2, 3), (2, 2), (1,), (2,)"),
        (lambda: CTCLoss(blank=3)(Z, Y, T, S), "blank is 3, but the input has the symbols 0 to 2"),
        (lambda: CTCLoss()(Z, Y, T + 1, S), "input lengths from 1 to 4"),
        (lambda: CTCLoss()(Z, Y, T, S + 1), "target lengths from 0 to 2"),
        (lambda: CTCLoss()(Z, Y - 1, T, S), "other than the blank 0"),
        (lambda: CTCLoss()(Z, Y + 1, T, S), "symbols from 0 to 2"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises((InputError, DataError)) as caught:
        call()
    assert words in str(caught.value)


def test_padding_may_hold_anything() -> None:
    other = torch.tensor([[1, 2], [2, -9]])
    assert CTCLoss()(Z, other, T, S) == CTCLoss()(Z, Y, T, S)
