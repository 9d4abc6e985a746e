"""Risk, likelihood, group penalties and the congenerous cosine loss: refusals in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fivefold.base.errors import FivefoldError
from fivefold.objectives.coco import COCOLoss
from fivefold.objectives.groups import GroupRegularizer
from fivefold.objectives.likelihood import NegativeLogLikelihoodLoss, negative_log_likelihood
from fivefold.objectives.risk import EmpiricalRisk, expected_risk

X, Y = torch.zeros(3, 2), torch.tensor([0, 1, 1])


def _sample(rng, n):
    return rng.normal(size=n), rng.normal(size=n)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: EmpiricalRisk(3), "loss must be a module or a function, got int"),
        (lambda: EmpiricalRisk(nn.MSELoss(), "l2"), "regularizer must be a module or a function, got str"),
        (lambda: EmpiricalRisk(nn.MSELoss(), strength=-1), "strength must be a finite number >= 0"),
        (
            lambda: EmpiricalRisk(nn.MSELoss(reduction="none"))(nn.Identity(), X, X),
            "must return one number, its mean; it has the shape (3, 2)",
        ),
        (lambda: expected_risk(np.abs, np.subtract, _sample, 1), "n >= 2 and batch_size >= 1, got 1"),
        (lambda: expected_risk(np.abs, lambda a, b: 0.0, _sample, 5), "must give 5 finite numbers"),
        (lambda: NegativeLogLikelihoodLoss([1.0])(X, Y), "weight has 1 entries, but the input has 2 classes"),
        (lambda: NegativeLogLikelihoodLoss()(X, Y + 1), "class index 2, but the input has the classes 0 to 1"),
        (lambda: NegativeLogLikelihoodLoss(reduction="avg"), "reduction must be one of"),
        (
            lambda: negative_log_likelihood(torch.distributions.Normal(0.0, 1.0), torch.zeros(0)),
            "at least one value",
        ),
        (lambda: COCOLoss(3), "Give both n_features >= 1 and n_classes >= 2, or neither"),
        (lambda: COCOLoss(scale=0), "scale must be a finite number > 0"),
        (lambda: COCOLoss()(X, Y[:2]), "embeddings (n, d) and class indices (n,), got shapes (3, 2) and (2,)"),
        (lambda: COCOLoss()(X, X[:, 0]), "class indices of an integer type"),
        (lambda: COCOLoss(4, 2)(X, Y), "COCOLoss needs embeddings (n, 4), got shape (3, 2)"),
        (lambda: COCOLoss(2, 2)(X, Y + 1), "class index 2, but the input has the classes 0 to 1"),
        (lambda: GroupRegularizer([]), "at least one feature"),
        (lambda: GroupRegularizer(["a"], penalty="l3"), "penalty must be one of l2, l1, group-lasso"),
        (lambda: GroupRegularizer(["a"], {"b": 1.0}), "factor for 'b', but the groups are: ['a']"),
        (lambda: GroupRegularizer(["a"], {"a": -1.0}), "the factor of 'a' must be a finite number >= 0"),
        (lambda: GroupRegularizer(["a"])(X), "There are 1 features along dimension 0, but the weight has the shape"),
        (lambda: GroupRegularizer(["a"]).proximal_step_(X[:1], -1.0), "step must be a finite number >= 0"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises(FivefoldError) as caught:
        call()
    assert words in str(caught.value)


def test_a_penalty_of_an_embedding_keeps_the_form_of_the_weight() -> None:
    table = nn.Embedding(4, 3)
    form = GroupRegularizer(["rare", "rare", "often", "often"], {"rare": 100.0}, "group-lasso", strength=1.0)
    form.proximal_step_(table.weight, 0.1)
    assert form.zero_groups(table.weight) == ["rare"]
    assert table.weight.shape == (4, 3) and table.weight[2:].abs().min() > 0
