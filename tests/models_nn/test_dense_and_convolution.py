"""Dense layers, embeddings, convolutions and pooling refuse what they cannot take, each in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fivefold.base.errors import FivefoldError
from fivefold.models import nn as parts
from fivefold.models.nn import by_hand

X = torch.randn(4, 3)
IMAGE = torch.randn(1, 2, 4, 4)
A = np.zeros((4, 3))
PICTURE = np.zeros((1, 2, 4, 4))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: parts.Dense(0, 2), "in_features must be a whole number >= 1, got 0"),
        (lambda: parts.Dense(4, 2)(X), r"Dense takes \(\*, 4\) with 4 features, got \(4, 3\)"),
        (lambda: parts.TimeDistributedDense(3, 2)(X), r"TimeDistributedDense takes \(batch, time, 3\), got \(4, 3\)"),
        (lambda: parts.Embedding(4, 2)(torch.tensor([4])), "Embedding has rows 0 to 3, got 4"),
        (lambda: parts.Embedding(4, 2)(torch.tensor([-1])), "Embedding has rows 0 to 3, got -1"),
        (lambda: parts.Embedding(4, 2)(X), "Embedding takes whole numbers .* got torch.float32"),
        (lambda: parts.Embedding(4, 2, padding_idx=4), r"padding_idx must lie in \[0, 4\), got 4"),
        (lambda: parts.Conv2d(3, 4, 3)(IMAGE), r"Conv2d takes \(N, 3, H, W\) with 3 channels, got \(1, 2, 4, 4\)"),
        (lambda: parts.Conv2d(2, 4, 5)(IMAGE), "Conv2d reaches over 5 places, more than the padded input"),
        (lambda: parts.Conv2d(2, 3, 3, groups=2), "groups must divide both channel counts, 2 and 3, got 2"),
        (lambda: parts.Conv2d(2, 3, (1, 2, 3)), "kernel_size must be one or two whole numbers"),
        (lambda: parts.Conv2d(2, 3, 3, padding_mode="mirror"), "padding_mode must be one of zeros, reflect"),
        (lambda: parts.Conv2d(2, 3, 3, stride=0), "stride must be a whole number >= 1, got 0"),
        (lambda: parts.Conv1d(2, 3, 3)(IMAGE), r"Conv1d takes \(N, 2, L\) with 2 channels"),
        (lambda: parts.Conv1d(2, 3, 5)(IMAGE[:, :, 0]), "Conv1d reaches over 5 places"),
        (lambda: parts.Conv1x1(3, 4)(IMAGE), r"takes \(N, 3, H, W\) with 3 channels"),
        (lambda: parts.DepthwiseSeparableConv2d(3, 4, 3)(IMAGE), r"takes \(N, 3, H, W\) with 3 channels"),
        (lambda: parts.ConvTranspose2d(3, 4, 3)(IMAGE), r"ConvTranspose2d takes \(N, 3, H, W\)"),
        (lambda: parts.ConvTranspose2d(2, 2, 3, 2, 0, 2), "output_padding must be below the stride"),
        (lambda: parts.MaxPool2d(0), "kernel_size must be a whole number >= 1"),
        (lambda: parts.MaxPool2d(2, padding=2), "padding must be at most half the kernel size 2, got 2"),
        (lambda: parts.MaxPool2d(2)(X), r"MaxPool2d takes images \(N, C, H, W\), got \(4, 3\)"),
        (lambda: parts.AvgPool2d(5)(IMAGE), "AvgPool2d needs images of at least 5 pixels a side"),
        (lambda: parts.MaxUnpool2d(2)(IMAGE, torch.zeros(1, 2, 4, 4)), "indices must be torch.int64"),
        (lambda: parts.MaxUnpool2d(2)(IMAGE, torch.zeros(1, 2, 4, 3).long()), "indices must have the shape"),
        (lambda: parts.MaxUnpool2d(2)(IMAGE, torch.full((1, 2, 4, 4), 64)), "an output of 8 x 8 pixels, got 64"),
        (lambda: by_hand.dense(A, A[:, :2], A[0]), "dense takes x"),
        (lambda: by_hand.softmax_cross_entropy(A, np.array([0, 1, 2, 3])), r"Classes must lie in \[0, 3\), got 0 to 3"),
        (lambda: by_hand.softmax_cross_entropy(A, np.array([0])), "logits must be"),
        (lambda: by_hand.batch_norm(A[:1], A[0], A[0]), "batch_norm takes x"),
        (lambda: parts.two_layer(A, A, A, A[:, 0], np.zeros((2, 4)), np.zeros(2)), "target must have the shape"),
        (lambda: by_hand.conv2d(PICTURE, np.zeros((1, 3, 2, 2)), np.zeros(1)), "conv2d takes x"),
        (lambda: by_hand.conv2d(PICTURE, np.zeros((1, 2, 5, 5)), np.zeros(1)), "larger than the padded image"),
        (lambda: by_hand.conv2d(PICTURE, np.zeros((1, 2, 2, 2)), np.zeros(1), 0), "stride of at least 1"),
        (lambda: by_hand.conv_transpose2d(PICTURE, np.zeros((3, 1, 2, 2)), np.zeros(1)), "conv_transpose2d takes x"),
        (lambda: by_hand.conv_transpose2d(PICTURE, np.zeros((2, 1, 2, 2)), np.zeros(1), 1, 3), "leaves nothing"),
        (lambda: by_hand.max_pool2d(PICTURE, 5), "max_pool2d takes images"),
        (lambda: by_hand.mean_pool2d(A), "mean_pool2d takes images"),
        (lambda: by_hand.rnn(PICTURE[0], A, A, A, A[0]), "rnn takes x"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, sentence) -> None:
    with pytest.raises(FivefoldError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_gradient_of_another_length_is_refused() -> None:
    h, cache = by_hand.rnn(np.zeros((3, 2, 1)), np.zeros((2, 4)), np.zeros((4, 1)), np.zeros((4, 4)), np.zeros(4))
    with pytest.raises(FivefoldError, match=r"The gradient must have the shape of the states, \(3, 2, 4\)"):
        parts.rnn_backward(h[1:], cache)
