"""Penalties on weights: refusals in a sentence."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.objectives.penalties import L1Regularizer, L2Regularizer


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: L1Regularizer(-1.0), "strength must be a finite number >= 0, got -1.0"),
        (lambda: L2Regularizer(float("nan")), "strength must be a finite number"),
        (lambda: L2Regularizer(modules={"0": -1.0})(nn.Sequential(nn.Linear(2, 2))), "the factor of '0' must be"),
        (lambda: L1Regularizer(modules={"mlp": 1.0})(nn.Sequential(nn.Linear(2, 2))), "submodule 'mlp'; there are: 0."),
        (lambda: L1Regularizer(modules={"0": 1.0})([torch.ones(2)]), "need a module, not tensors"),
        (lambda: L2Regularizer()(nn.Sequential(nn.LayerNorm(3))), "There is no weight to penalize"),
        (lambda: L1Regularizer().proximal_step_(torch.ones(2), -1.0), "step must be a finite number >= 0"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises((InputError, DataError)) as caught:
        call()
    assert words in str(caught.value)


def test_other_things_are_refused() -> None:
    with pytest.raises(InputTypeError, match="a module or tensors, got float"):
        L2Regularizer()([1.0])
    assert repr(L2Regularizer(0.1)) == "L2Regularizer(strength=0.1, modules=None)"
