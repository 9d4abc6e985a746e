"""Weights to and from Keras: the arrays of ``layer.get_weights()`` in the layout of the layers here, gate by gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.errors import InputError

from .attention import MultiHeadAttention
from .convolution import DepthwiseSeparableConv2d
from .layer_norms import LayerNorm
from .normalization import BatchNorm
from .recurrent import GRU, BidirectionalRNN, StackedRNN


@dataclass(frozen=True)
class Joined:
    """Views of parameters that Keras keeps as one array, joined along ``dim``; ``rest`` is a second bias Keras has not."""

    dim: int
    parts: tuple[Tensor | Joined, ...]
    rest: tuple[Tensor, ...] = ()

    def value(self) -> Tensor:
        """Return the array as Keras has it."""
        whole = torch.cat([_value(part) for part in self.parts], dim=self.dim)
        return whole + torch.cat(self.rest, dim=self.dim) if self.rest else whole

    def put(self, value: Tensor) -> None:
        """Fill the parameters from the array of Keras."""
        sizes = [_value(part).shape[self.dim] for part in self.parts]
        for part, piece in zip(self.parts, value.split(sizes, dim=self.dim), strict=True):
            _put(part, piece)
        for tensor in self.rest:
            tensor.zero_()


def _value(part: Tensor | Joined) -> Tensor:
    return part.value() if isinstance(part, Joined) else part


def _put(part: Tensor | Joined, value: Tensor) -> None:
    if isinstance(part, Joined):
        part.put(value)
    else:
        part.copy_(value)


Arrays = list[tuple[str, "Tensor | Joined"]]


def _given(*named: tuple[str, Tensor | None]) -> Arrays:
    return [(name, tensor) for name, tensor in named if tensor is not None]


def _dense(layer: nn.Linear) -> Arrays:
    return [("kernel", layer.weight.T), *_given(("bias", layer.bias))]


def _embedding(layer: nn.Embedding) -> Arrays:
    return [("embeddings", layer.weight)]


def _convolution(layer: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d) -> Arrays:
    """Keras: (*sides, in, out), transposed ones (*sides, out, in); torch: (out, in, *sides) and (in, out, *sides)."""
    sides = tuple(range(2, layer.weight.ndim))
    if (
        isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1
    ):  # DepthwiseConv2D: (*sides, in, multiplier)
        kernel = layer.weight.view(layer.in_channels, -1, *layer.weight.shape[2:]).permute(2, 3, 0, 1)
    else:
        kernel = layer.weight.permute(*sides, 1, 0)
    return [("kernel", kernel), *_given(("bias", layer.bias))]


def _separable(layer: DepthwiseSeparableConv2d) -> Arrays:
    if layer.depthwise.bias is not None:
        raise InputError(
            "SeparableConv2D of Keras has no bias between its two products; build the layer without that one."
        )
    depthwise, pointwise = _convolution(layer.depthwise)[0], _convolution(layer.pointwise)
    return [("depthwise_kernel", depthwise[1]), ("pointwise_kernel", pointwise[0][1]), *pointwise[1:]]


def _batch_norm(layer: Any) -> Arrays:
    named = (("gamma", layer.weight), ("beta", layer.bias))
    return _given(*named, ("moving_mean", layer.running_mean), ("moving_variance", layer.running_var))


def _layer_norm(layer: Any) -> Arrays:
    return _given(("gamma", layer.weight), ("beta", layer.bias))


def _recurrent(layer: nn.RNNBase) -> Arrays:
    """Return kernel, recurrent kernel and bias of each direction of one layer, with the gates in Keras's order."""
    if layer.num_layers != 1:
        raise InputError(
            f"Keras has one layer of weights at a time, got num_layers={layer.num_layers}; use StackedRNN."
        )
    found: Arrays = []
    for end in ("", "_reverse") if layer.bidirectional else ("",):
        width = layer.hidden_size
        gates = len(getattr(layer, "weight_ih_l0" + end)) // width
        order = (1, 0, 2) if isinstance(layer, nn.GRU) else tuple(range(gates))  # Keras: z, r, h; torch: r, z, n

        def ordered(name: str, dim: int, end: str = end, order: tuple[int, ...] = order, width: int = width) -> Joined:
            whole = getattr(layer, name + end)
            parts = [whole[g * width : (g + 1) * width] for g in order]
            return Joined(dim, tuple(part.T if dim else part for part in parts))

        found += [("kernel", ordered("weight_ih_l0", 1)), ("recurrent_kernel", ordered("weight_hh_l0", 1))]
        if not layer.bias:
            continue
        inner, outer = ordered("bias_ih_l0", 0), ordered("bias_hh_l0", 0)
        if isinstance(layer, nn.GRU) and getattr(layer, "convention", "torch") == "torch":
            rows = tuple(Joined(1, tuple(part[None] for part in bias.parts)) for bias in (inner, outer))  # type: ignore[index]
            found.append(("bias", Joined(0, rows)))  # reset_after=True: (2, 3 units)
        else:
            found.append(("bias", Joined(0, inner.parts, tuple(_value(part) for part in outer.parts))))
    return found


def _attention(layer: MultiHeadAttention) -> Arrays:
    """Keras: (width, heads, part) for query, key and value, and (heads, part, width) for the output."""
    heads, width = layer.num_heads, layer.embed_dim
    biases = layer.in_proj_bias.chunk(3) if layer.in_proj_bias is not None else (None,) * 3
    found: Arrays = []
    for name, weight, bias in zip(("query", "key", "value"), layer.in_proj_weight.chunk(3), biases, strict=True):
        found.append((f"{name}/kernel", weight.view(heads, -1, width).permute(2, 0, 1)))
        if bias is not None:
            found.append((f"{name}/bias", bias.view(heads, -1)))
    found.append(("output/kernel", layer.out_proj.weight.view(width, heads, -1).permute(1, 2, 0)))
    return found + _given(("output/bias", layer.out_proj.bias))


def _several(layer: nn.Module) -> Arrays:
    found: Arrays = []
    for name, child in layer.named_children():
        found += [(f"{name}/{part}", array) for part, array in _arrays(child)]
    return found


_KINDS: list[tuple[tuple[type, ...], Callable[[Any], Arrays]]] = [
    ((nn.Linear,), _dense),
    ((nn.Embedding,), _embedding),
    ((nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d), _convolution),
    ((DepthwiseSeparableConv2d,), _separable),
    ((BatchNorm, nn.BatchNorm1d, nn.BatchNorm2d), _batch_norm),
    ((LayerNorm, nn.LayerNorm), _layer_norm),
    ((GRU, nn.RNNBase), _recurrent),
    ((MultiHeadAttention,), _attention),
    ((BidirectionalRNN, StackedRNN, nn.Sequential, nn.ModuleList), _several),
]


def _arrays(layer: nn.Module) -> Arrays:
    for kinds, arrays in _KINDS:
        if isinstance(layer, kinds):
            return arrays(layer)
    if next(layer.parameters(), None) is None and next(layer.buffers(), None) is None:
        return []
    raise InputError(f"{type(layer).__name__} has no counterpart in Keras whose weights could be taken over.")


@torch.no_grad()
def load_keras_weights(layer: nn.Module, weights: Sequence[np.ndarray]) -> None:
    """Fill a layer from the arrays that ``get_weights()`` of its Keras counterpart returns.

    Parameters
    ----------
    layer : torch module
        Dense, Embedding, Conv1d, Conv2d (also depthwise), ConvTranspose2d, DepthwiseSeparableConv2d, BatchNorm, LayerNorm,
        RNN, LSTM, GRU, BidirectionalRNN, StackedRNN, MultiHeadAttention, torch's own layers of these kinds, or a
        Sequential of them.
    weights : list of arrays
        In Keras's order and layout.

    Raises
    ------
    InputError
        For a layer Keras has no counterpart of, another number of arrays, or an array of another shape. Nothing is changed
        then.

    Notes
    -----
    ``GRU(convention="torch")`` is Keras's ``reset_after=True``, ``GRU(convention="keras")`` is ``reset_after=False``. Keras has
    one bias where torch has two; the second becomes 0. A Dense layer after ``Flatten`` reads a Keras image by rows, columns and
    channels, ours by channels, rows and columns: reorder the rows of its kernel first.
    """
    arrays = _arrays(layer)
    if len(weights) != len(arrays):
        raise InputError(
            f"{type(layer).__name__} takes {len(arrays)} arrays ({', '.join(name for name, _ in arrays)}), got {len(weights)}."
        )
    for (name, part), given in zip(arrays, weights, strict=True):
        if tuple(_value(part).shape) != tuple(np.shape(given)):
            raise InputError(
                f"{type(layer).__name__}: {name} must have the shape {tuple(_value(part).shape)}, got {tuple(np.shape(given))}."
            )
    for (_, part), given in zip(arrays, weights, strict=True):
        _put(part, torch.as_tensor(np.array(given)))


@torch.no_grad()
def keras_weights(layer: nn.Module) -> list[np.ndarray]:
    """Return the weights of a layer as ``set_weights()`` of its Keras counterpart takes them.

    Raises
    ------
    InputError
        For a layer that Keras has no counterpart of.
    """
    return [_value(part).cpu().numpy().copy() for _, part in _arrays(layer)]
