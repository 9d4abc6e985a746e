"""Attention and Transformer layers refuse what they cannot take, each in one sentence."""

from __future__ import annotations

import pytest
import torch

from fivefold.base.errors import FivefoldError
from fivefold.models import nn as parts

X = torch.randn(2, 3, 4)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: parts.ScaledDotProductAttention()(X, X[..., :2]), r"Attention takes query \(\*, L, d\), key"),
        (lambda: parts.ScaledDotProductAttention()(X, X, X[:, :2]), r"Attention takes query \(\*, L, d\), key"),
        (lambda: parts.ScaledDotProductAttention(dropout=1.5), "dropout must be a finite number >= 0 and < 1, got 1.5"),
        (
            lambda: parts.MultiHeadAttention(4, 2)(X, mask=X[0] > 0),
            r"mask must broadcast to \(\*, 3, 3\), got \(3, 4\)",
        ),
        (lambda: parts.MultiHeadAttention(6, 4), "num_heads must divide embed_dim 6, got 4"),
        (lambda: parts.MultiHeadAttention(6, 2)(X), r"MultiHeadAttention takes \(\*, 6\) with 6 features"),
        (lambda: parts.MultiHeadAttention(4, 2)(X, X[:1]), r"with one batch, got \(1, 3, 4\) beside \(2, 3, 4\)"),
        (lambda: parts.PositionalEncoding(4, 2)(X), "sequences of at most 2 vectors"),
        (lambda: parts.PositionalEncoding(5)(X), r"PositionalEncoding takes \(\*, 5\)"),
        (lambda: parts.TransformerEncoderLayer(4, 3), "num_heads must divide embed_dim 4, got 3"),
        (lambda: parts.TransformerEncoderLayer(4, 2, activation="tanh"), "activation must be one of relu, gelu"),
        (lambda: parts.TransformerEncoderLayer(4, 2, dropout=1), "dropout must be a finite number >= 0 and < 1, got 1"),
        (lambda: parts.TransformerEncoderLayer(4, 2)(X[0]), r"TransformerEncoderLayer takes \(batch, length, 4\)"),
        (lambda: parts.TransformerDecoderLayer(4, 2)(X, X[..., :2]), r"TransformerDecoderLayer takes \(\*, 4\)"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, sentence) -> None:
    with pytest.raises(FivefoldError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_hook_keeps_the_outputs_it_has_seen() -> None:
    torch.manual_seed(0)
    layer = parts.TransformerEncoderLayer(8, 2, dim_feedforward=16, dropout=0.5).train()
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    for part in (layer.linear1, layer.linear2, layer.self_attn):
        part.register_forward_hook(lambda module, inputs, output: kept.append((output, output.detach().clone())))
    layer(torch.randn(3, 5, 8)).sum().backward()
    assert len(kept) == 3 and all(torch.equal(output, copy) for output, copy in kept)
