"""Activations, initializers and dropout refuse what they cannot take, each in one sentence."""

from __future__ import annotations

import pytest
import torch

from fivefold.base.errors import FivefoldError
from fivefold.models import nn as parts

X = torch.randn(4, 3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: parts.ReLU()(torch.arange(3)), "ReLU takes floating-point tensors, got torch.int64"),
        (lambda: parts.Sigmoid()(torch.arange(3)), "Sigmoid takes floating-point tensors"),
        (lambda: parts.Tanh()(torch.arange(3)), "Tanh takes floating-point tensors"),
        (lambda: parts.LeakyReLU(-0.1), r"negative_slope must lie in \[0, 1\], got -0.1"),
        (lambda: parts.PReLU(0), "num_parameters must be a whole number >= 1, got 0"),
        (lambda: parts.PReLU(5)(X), r"PReLU\(5\) takes \(N, 5, \*\), got \(4, 3\)"),
        (lambda: parts.Swish(0), "beta must be a number > 0, got 0"),
        (lambda: parts.Softmax(2)(X), r"Softmax\(dim=2\) needs an input with that axis, got \(4, 3\)"),
        (lambda: parts.Maxout(2, 2)(X), r"Maxout takes \(\*, 2\) with 2 features, got \(4, 3\)"),
        (lambda: parts.Maxout(2, 2, 0), "num_pieces must be a whole number >= 1, got 0"),
        (lambda: parts.GumbelSoftmax(0.0), "tau must be a number > 0, got 0.0"),
        (lambda: parts.GumbelSoftmax()(X, X[:2]), r"noise must have the shape of the logits, \(4, 3\), got \(2, 3\)"),
        (lambda: parts.XavierInit("gauss"), "distribution must be one of uniform, normal; got 'gauss'"),
        (lambda: parts.XavierInit()(torch.empty(3)), r"need a weight with at least two axes, got \(3,\)"),
        (lambda: parts.HeInit(mode="in"), "mode must be one of fan-in, fan-out; got 'in'"),
        (lambda: parts.HeInit(negative_slope=-1), "negative_slope must be at least 0, got -1"),
        (lambda: parts.OrthogonalInit(0), "gain must be a number > 0, got 0"),
        (lambda: parts.BasicInit(scale=0), "scale must be a number > 0, got 0"),
        (lambda: parts.initialize(torch.nn.Linear(2, 2), "xavir"), "xavier"),
        (lambda: parts.Dropout(1.0), "p must be a finite number >= 0 and < 1, got 1.0"),
        (lambda: parts.Dropout(-0.1), "p must be a finite number >= 0 and < 1, got -0.1"),
        (lambda: parts.Dropout()(X, X[:1]), r"The mask must have the shape of the input, \(4, 3\), got \(1, 3\)"),
        (lambda: parts.RNNDropout(3, 4, p=2), "p must be a finite number >= 0 and < 1, got 2"),
        (lambda: parts.RNNDropout(3, 4)(X), r"RNNDropout takes \(batch, time, 3\), got \(4, 3\)"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, sentence) -> None:
    with pytest.raises(FivefoldError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_representations_show_the_arguments() -> None:
    shown = [repr(layer) for layer in (parts.LeakyReLU(), parts.Swish(2), parts.GumbelSoftmax(), parts.Dropout())]
    assert shown == [
        "LeakyReLU(negative_slope=0.01)",
        "Swish(beta=2, learnable=False)",
        "GumbelSoftmax(tau=1.0, hard=False, dim=-1)",
        "Dropout(p=0.5, convention='inverted')",
    ]


def test_padding_rows_of_embeddings_stay_zero() -> None:
    assert not parts.initialize(torch.nn.Embedding(4, 2, padding_idx=1), "normal").weight[1].any()
