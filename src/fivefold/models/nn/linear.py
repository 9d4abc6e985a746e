"""Fully connected layers and tables of vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError, InputTypeError
from fivefold.models.nn._checks import last_width


class Dense(nn.Linear):
    r"""A fully connected layer: every output is a weighted sum of all inputs.

    .. math:: Z = X W^T + b, \qquad \nabla_W = \nabla_Z^T X, \quad \nabla_b = \sum_n \nabla_{z_n}, \quad \nabla_X = \nabla_Z W

    Parameters
    ----------
    in_features, out_features : int >= 1
        Width of input and output.
    bias : bool, default True
        Add b.

    Shapes
    ------
    Input (*, in_features), output (*, out_features).

    Raises
    ------
    InputError
        For a width below 1 or an input of another width.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    W is laid out (out, in), as in PyTorch, whose kernel this is; sources that write Z = XW hold its transpose. The gradient
    through an activation is the elementwise product with f'(Z), not a product with a diagonal matrix, which is right for one
    sample only. Both passes by hand are in :mod:`fivefold.models.nn.by_hand`.

    References
    ----------
    Spec: 02#dense-layer.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(check_count("in_features", in_features), check_count("out_features", out_features), bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (*, out_features)."""
        last_width("Dense", x, self.in_features)
        return functional.linear(x, self.weight, self.bias)


class TimeDistributedDense(nn.Module):
    r"""The same dense layer at every step of a sequence: merge unrelated axes, multiply once, split again.

    .. math:: Y_{mt} = X_{mt} W^T + b, \quad X \in R^{M \times T \times D}

    Parameters
    ----------
    in_features, out_features : int >= 1
        Width of input and output at each step.
    bias : bool, default True

    Shapes
    ------
    Input (batch, time, in_features), output (batch, time, out_features).

    Raises
    ------
    InputError
        For an input that is not (batch, time, in_features).
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    It equals a broadcast matrix product, and :class:`Dense` on the same input.

    References
    ----------
    Spec: 04#batched-tensor-matmul.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features = check_count("in_features", in_features)
        self.dense = Dense(in_features, out_features, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, time, out_features)."""
        last_width("TimeDistributedDense", x, self.in_features)
        if x.ndim != 3:
            raise InputError(f"TimeDistributedDense takes (batch, time, {self.in_features}), got {tuple(x.shape)}.")
        merged = x.reshape(-1, self.in_features)  # (batch·time, in)
        return self.dense(merged).unflatten(0, x.shape[:2])  # (batch, time, out)


class Embedding(nn.Embedding):
    r"""A table of learned vectors, looked up by whole numbers: a one-hot row times the matrix, without the product.

    .. math:: e_c = E^T \mathrm{onehot}(c)

    Parameters
    ----------
    num_embeddings, embedding_dim : int >= 1
        Rows (the vocabulary) and width of the vectors.
    padding_idx : int in [0, num_embeddings), optional
        A row that is zero and never learns.
    sparse : bool, default False
        Give sparse gradients, which hold the looked-up rows only.

    Shapes
    ------
    Input (*) of whole numbers in [0, num_embeddings), output (*, embedding_dim).

    Raises
    ------
    InputError
        For a number outside the table, or a padding row that it does not have.
    InputTypeError
        For an input that is not of whole numbers.

    Notes
    -----
    The lookup and its scattered gradient are PyTorch's kernels. Vectors start as N(0, 1).

    References
    ----------
    Spec: 02#text-sequence-encoding-pipeline, 03#word2vec-cbow, 08#masked-context-embedding.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, sparse: bool = False
    ) -> None:
        check_count("num_embeddings", num_embeddings), check_count("embedding_dim", embedding_dim)
        if padding_idx is not None and not 0 <= padding_idx < num_embeddings:
            raise InputError(f"padding_idx must lie in [0, {num_embeddings}), got {padding_idx}.")
        super().__init__(num_embeddings, embedding_dim, padding_idx=padding_idx, sparse=sparse)

    def forward(self, x: Tensor) -> Tensor:
        """Return the vectors, (*, embedding_dim)."""
        if x.dtype not in (torch.int64, torch.int32):
            raise InputTypeError(f"Embedding takes whole numbers (torch.int64 or torch.int32), got {x.dtype}.")
        # Reading values would break a compiled graph and stall a GPU, where the kernel itself reports a bad row.
        if not torch.compiler.is_compiling() and x.device.type == "cpu" and x.numel():
            low, high = (int(v) for v in x.aminmax())
            if low < 0 or high >= self.num_embeddings:
                raise InputError(f"Embedding has rows 0 to {self.num_embeddings - 1}, got {low if low < 0 else high}.")
        return functional.embedding(x, self.weight, self.padding_idx, sparse=self.sparse)
