"""Layers with the weights of their Keras counterparts give Keras's outputs; the weights come back as they went in."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

import fivefold.models.nn as layers
from fivefold.evidence import Check, evidence, largest, worst_check
from fivefold.models.nn.keras_weights import keras_weights, load_keras_weights

Take = Callable[[Any], Tensor]


def _keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    return keras.layers


def _gap(peer: Any, ours: torch.nn.Module, x: np.ndarray, take: Take = lambda y: y, channels: bool = False) -> Check:
    """Compare outputs, and the weights after the way there and back; Keras has the channels last."""
    given = torch.as_tensor(x)
    peer(given) if not channels else peer(given.movedim(1, -1))
    rng = np.random.default_rng(1)
    weights = [rng.uniform(0.1, 1.5, size=w.shape) * rng.choice([1.0, -1.0], size=w.shape) for w in peer.weights]
    for i, w in enumerate(peer.weights):
        if "variance" in w.path:
            weights[i] = np.abs(weights[i])
    peer.set_weights(weights)
    load_keras_weights(ours.double().eval(), weights)
    theirs = peer(given.movedim(1, -1)).movedim(-1, 1) if channels else peer(given)
    gap = float((take(ours(given)) - theirs).detach().abs().max())
    back = largest(float(np.abs(a - b).max()) for a, b in zip(keras_weights(ours), weights, strict=True))
    # Keras multiplies in single precision on this back end, whatever the dtype: some ten roundings of numbers near ten.
    return Check(largest(gap, 10 * back), 1e-5, "max |difference|", "Keras")


def _draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


CLAIM = "With Keras's weights it gives Keras's outputs"


@evidence("dense-layer", claim=CLAIM, against="Keras Dense", peer="keras")
def keras_dense() -> Check:
    k = _keras()
    return worst_check(
        _gap(k.Dense(4, dtype="float64"), layers.Dense(5, 4), _draw(3, 5)),
        _gap(k.Dense(4, use_bias=False, dtype="float64"), layers.Dense(5, 4, bias=False), _draw(3, 5)),
    )


@evidence("rnn", claim=CLAIM, against="Keras SimpleRNN", peer="keras")
def keras_rnn() -> Check:
    peer = _keras().SimpleRNN(4, return_sequences=True, dtype="float64")
    return _gap(peer, layers.RNN(5, 4), _draw(2, 6, 5), lambda y: y[0])


@evidence("lstm", claim=CLAIM, against="Keras LSTM", peer="keras")
def keras_lstm() -> Check:
    peer = _keras().LSTM(4, return_sequences=True, dtype="float64")
    return _gap(peer, layers.LSTM(5, 4), _draw(2, 6, 5), lambda y: y[0])


@evidence("gru", claim=CLAIM + ", with the reset before or after the product", against="Keras GRU", peer="keras")
def keras_gru() -> Check:
    def one(after: bool) -> Check:
        peer = _keras().GRU(4, return_sequences=True, reset_after=after, dtype="float64")
        ours = layers.GRU(5, 4, convention="torch" if after else "keras")
        return _gap(peer, ours, _draw(2, 6, 5), lambda y: y[0])

    return worst_check(one(True), one(False))


@evidence("birnn", claim=CLAIM, against="Keras Bidirectional", peer="keras")
def keras_bidirectional() -> Check:
    k = _keras()
    peer = k.Bidirectional(k.GRU(4, return_sequences=True, dtype="float64"), dtype="float64")
    return _gap(peer, layers.BidirectionalRNN(5, 4, cell="gru"), _draw(2, 6, 5))


@evidence("conv2d", claim=CLAIM + ", grouped by channel too", against="Keras Conv2D and DepthwiseConv2D", peer="keras")
def keras_convolution() -> Check:
    k, x = _keras(), _draw(2, 3, 7, 6)
    return worst_check(
        _gap(k.Conv2D(4, (3, 2), dtype="float64"), layers.Conv2d(3, 4, (3, 2)), x, channels=True),
        _gap(
            k.DepthwiseConv2D(3, depth_multiplier=2, dtype="float64"),
            layers.Conv2d(3, 6, 3, groups=3),
            x,
            channels=True,
        ),
    )


@evidence("transposed-conv2d", claim=CLAIM, against="Keras Conv2DTranspose", peer="keras")
def keras_transposed() -> Check:
    peer = _keras().Conv2DTranspose(4, 3, strides=2, dtype="float64")
    return _gap(peer, layers.ConvTranspose2d(3, 4, 3, stride=2), _draw(2, 3, 5, 4), channels=True)


@evidence("batch-norm", claim=CLAIM + " in evaluation", against="Keras BatchNormalization", peer="keras")
def keras_batch_norm() -> Check:
    peer = _keras().BatchNormalization(epsilon=1e-5, dtype="float64")
    return _gap(peer, layers.BatchNorm(3), _draw(4, 3, 5, 2), channels=True)


@evidence("multi-head-attention", claim=CLAIM, against="Keras MultiHeadAttention", peer="keras")
def keras_attention() -> Check:
    inner = _keras().MultiHeadAttention(2, 4, dtype="float64")

    class Itself:
        """Attention of a sequence to itself, called with one argument."""

        weights = property(lambda self: inner.weights)
        set_weights = staticmethod(inner.set_weights)

        def __call__(self, x: Tensor) -> Any:
            return inner(x, x)

    return _gap(Itself(), layers.MultiHeadAttention(8, 2), _draw(2, 5, 8))
