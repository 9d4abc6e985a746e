"""Forward and backward passes in NumPy, as the sources derive them; the layers beside call PyTorch's kernels.

A forward function returns its output and what the backward pass needs; a backward function takes the gradient of the output
and returns the gradients of the inputs, in the order of the forward function's arguments.
"""

from __future__ import annotations

from .feedforward import (
    batch_norm,
    batch_norm_backward,
    dense,
    dense_backward,
    sigmoid,
    softmax_cross_entropy,
    two_layer,
)
from .images import (
    conv2d,
    conv2d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    max_pool2d,
    max_pool2d_backward,
    mean_pool2d,
    mean_pool2d_backward,
)
from .recurrent import gru, gru_backward, lstm, lstm_backward, rnn, rnn_backward

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "dense",
    "dense_backward",
    "gru",
    "gru_backward",
    "lstm",
    "lstm_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mean_pool2d",
    "mean_pool2d_backward",
    "rnn",
    "rnn_backward",
    "sigmoid",
    "softmax_cross_entropy",
    "two_layer",
]
