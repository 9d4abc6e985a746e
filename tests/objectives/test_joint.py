"""Joint loss and mini-batch-aware penalty: refusals in a sentence."""

from __future__ import annotations

import pytest
import torch

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.objectives.joint import JointEmbeddingClassificationLoss, MinibatchAwareRegularizer

COUNTS = torch.tensor([2.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: JointEmbeddingClassificationLoss(-1.0), "weight must be a finite number >= 0, got -1.0"),
        (lambda: JointEmbeddingClassificationLoss(class_weight=-1.0), "class_weight must be"),
        (lambda: MinibatchAwareRegularizer(COUNTS, -1.0), "strength must be"),
        (lambda: MinibatchAwareRegularizer(-COUNTS), "counts must be a vector"),
        (
            lambda: MinibatchAwareRegularizer(COUNTS)(torch.ones(2), torch.tensor([0])),
            "There are 3 counts, but the weight",
        ),
        (lambda: MinibatchAwareRegularizer(COUNTS)(torch.ones(3), torch.tensor([3])), "indices from 0 to 2"),
        (lambda: MinibatchAwareRegularizer(COUNTS)(torch.ones(3), torch.tensor([1])), "Feature 1 is in the batch"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises((InputError, DataError)) as caught:
        call()
    assert words in str(caught.value)


def test_losses_are_modules() -> None:
    with pytest.raises(InputTypeError, match="embedding must be a loss module, got str"):
        JointEmbeddingClassificationLoss(embedding="triplet")
