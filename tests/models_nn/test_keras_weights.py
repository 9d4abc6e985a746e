"""Weights to and from Keras, without Keras."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

import fivefold.models.nn as layers
from fivefold.base.errors import InputError
from fivefold.models.nn.keras_weights import keras_weights, load_keras_weights


def test_a_gru_of_keras_written_out_by_hand() -> None:
    rng = np.random.default_rng(0)
    kernel, recurrent, bias = rng.normal(size=(2, 9)), rng.normal(size=(3, 9)), rng.normal(size=(2, 9))
    layer = layers.GRU(2, 3).double()
    load_keras_weights(layer, [kernel, recurrent, bias])
    x, h = rng.normal(size=(1, 4, 2)), np.zeros(3)
    for t in range(4):  # Keras's order is update, reset, candidate, with the reset after the product
        inner, outer = x[0, t] @ kernel + bias[0], h @ recurrent + bias[1]
        z, r = (1 / (1 + np.exp(-(inner[i : i + 3] + outer[i : i + 3]))) for i in (0, 3))
        h = z * h + (1 - z) * np.tanh(inner[6:] + r * outer[6:])
    assert np.allclose(layer(torch.as_tensor(x))[1].detach().numpy()[0, 0], h, rtol=0, atol=1e-14)


def test_a_model_goes_there_and_back() -> None:
    model = nn.Sequential(
        layers.Conv2d(1, 2, 3), nn.ReLU(), layers.BatchNorm(2), nn.Flatten(), layers.Dense(8, 4), layers.LayerNorm(4)
    )
    weights = [np.asarray(w) for w in keras_weights(model)]
    assert [w.shape for w in weights] == [(3, 3, 1, 2), (2,), (2,), (2,), (2,), (2,), (8, 4), (4,), (4,), (4,)]
    other = nn.Sequential(
        layers.Conv2d(1, 2, 3), nn.ReLU(), layers.BatchNorm(2), nn.Flatten(), layers.Dense(8, 4), layers.LayerNorm(4)
    )
    load_keras_weights(other, weights)
    x = torch.randn(3, 1, 4, 4)
    assert torch.equal(model.eval()(x), other.eval()(x))


def test_the_second_bias_of_a_recurrent_layer_is_added_and_emptied() -> None:
    layer = layers.LSTM(2, 3)
    total = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().numpy()
    kernel, recurrent, bias = keras_weights(layer)
    assert np.array_equal(bias, total)
    load_keras_weights(layer, [kernel, recurrent, bias])
    assert not layer.bias_hh_l0.any() and np.array_equal(layer.bias_ih_l0.detach().numpy(), total)


def test_a_separable_convolution() -> None:
    layer = layers.DepthwiseSeparableConv2d(3, 5, 3)
    if layer.depthwise.bias is None:
        assert [w.shape for w in keras_weights(layer)] == [(3, 3, 3, 1), (1, 1, 3, 5), (5,)]


@pytest.mark.parametrize(
    ("layer", "weights", "text"),
    [
        (layers.Dense(2, 3), [np.ones((2, 3))], "Dense takes 2 arrays (kernel, bias), got 1."),
        (
            layers.Dense(2, 3),
            [np.ones((3, 2)), np.ones(3)],
            "Dense: kernel must have the shape (2, 3), got (3, 2).",
        ),
        (layers.PeepholeLSTM(2, 3), [], "PeepholeLSTM has no counterpart in Keras whose weights could be taken over."),
        (
            nn.LSTM(2, 3, num_layers=2),
            [],
            "Keras has one layer of weights at a time, got num_layers=2; use StackedRNN.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(layer: nn.Module, weights: list[np.ndarray], text: str) -> None:
    before = [p.detach().clone() for p in layer.parameters()]
    with pytest.raises(InputError, match=re.escape(text)):
        load_keras_weights(layer, weights)
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))
