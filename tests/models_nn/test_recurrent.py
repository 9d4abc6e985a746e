"""Recurrent layers refuse what they cannot take, each in one sentence."""

from __future__ import annotations

import pytest
import torch

from fivefold.base.errors import FivefoldError
from fivefold.models import nn as parts

X = torch.randn(2, 5, 3)


@pytest.mark.parametrize("layer", ["RNN", "LSTM", "GRU", "BidirectionalRNN", "StackedRNN", "PeepholeLSTM"])
def test_shapes_and_widths_are_checked(layer) -> None:
    make = getattr(parts, layer)
    with pytest.raises(
        FivefoldError, match=rf"{layer} takes \(batch, time, 4\) with at least one step, got \(2, 5, 3\)"
    ):
        make(4, 2)(X)
    with pytest.raises(FivefoldError, match=rf"{layer} takes floating-point tensors, got torch.int64"):
        make(3, 2)(X.long())
    with pytest.raises(FivefoldError, match="hidden_size must be a whole number >= 1, got 0"):
        make(3, 0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: parts.RNN(3, 2, "sin"), "nonlinearity must be one of tanh, relu; got 'sin'"),
        (lambda: parts.RNN(3, 2)(X, X), r"The first state of RNN must be \(1, 2, 2\), got \(2, 5, 3\)"),
        (lambda: parts.LSTM(3, 2)(X, (X, X)), r"The first state of LSTM must be \(1, 2, 2\)"),
        (lambda: parts.GRU(3, 2, "tf"), "convention must be one of torch, keras, paper; got 'tf'"),
        (lambda: parts.GRU(3, 2)(X, X), r"The first state of GRU must be \(1, 2, 2\)"),
        (lambda: parts.BidirectionalRNN(3, 2, "sru"), "cell must be one of rnn, lstm, gru; got 'sru'"),
        (lambda: parts.StackedRNN(3, 2, 0), "num_layers must be a whole number >= 1, got 0"),
        (lambda: parts.StackedRNN(3, 2, dropout=1.0), "dropout must be a finite number >= 0 and < 1, got 1.0"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, sentence) -> None:
    with pytest.raises(FivefoldError, match=sentence):
        make()
