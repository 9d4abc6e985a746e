"""NumPy forms of losses: refusals in a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from fivefold.base.errors import CapabilityError, DataError
from fivefold.objectives.binary import GHMCLoss, HingeLoss
from fivefold.objectives.cross_entropy import ConfidencePenaltyLoss, CrossEntropyLoss
from fivefold.objectives.regression import MSELoss

Z = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: MSELoss().numpy(Z, Z[0]), DataError, "input has shape (2, 3), target (3,)"),
        (lambda: HingeLoss().numpy(Z, Z - 1), DataError, "takes targets 0 and 1"),
        (lambda: GHMCLoss().numpy(Z, Z), CapabilityError, "GHMCLoss has no NumPy form; call it on tensors"),
        (lambda: ConfidencePenaltyLoss().numpy(Z, [0, 1]), CapabilityError, "ConfidencePenaltyLoss has no NumPy form"),
        (lambda: CrossEntropyLoss().numpy(Z, [0, 3]), DataError, "class index 3"),
        (lambda: CrossEntropyLoss().numpy(Z[0], [0, 1, 1]), DataError, "needs logits (n, k), got shape (3,)"),
        (lambda: CrossEntropyLoss().numpy(Z, Z), DataError, "target distributions >= 0 that sum to 1"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, kind, words: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value)
