"""Bad input of descent-ascent."""

from __future__ import annotations

import pytest
import torch

from fivefold.base.errors import InputError
from fivefold.optimizers import GradientDescentAscent, OptimisticGDA


def test_bad_input_is_refused_in_a_sentence() -> None:
    p = torch.zeros(1, requires_grad=True)
    with pytest.raises(InputError, match=r"momentum must lie in \(-1, 1\), got -1.0"):
        GradientDescentAscent([p], momentum=-1.0)
    for make in (GradientDescentAscent, OptimisticGDA):
        with pytest.raises(InputError, match="lr must be a finite number"):
            make([p], lr=-1.0)
