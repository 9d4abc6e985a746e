"""A layer and an input for it, from the facts of its card: what the battery and the stock experiment share.

``experiment.layer`` of a card holds ``params`` and ``input_shape``; where they apply, ``integers`` (inputs are whole numbers
below it), ``context_shape`` (a second input), ``wraps`` (the layer goes around another: its ``name`` and ``params``), and
``stand`` (how it stands in the small network of the experiment: the ``shape`` its input is given, the ``params`` that fit it,
``activation = true`` where it replaces the nonlinearity; the ``context_shape`` of a second input, ``integers`` where values
become codes below it, and ``wraps`` for the layer it goes around there), ``compile`` (parameters to compile it with, where
the usual ones unroll into a long graph), ``uncompiled`` (why torch.compile cannot take it), and ``unchecked`` (parameters and
shapes of inputs which it passes on to PyTorch without a check of its own).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fivefold.base.cards import Card, get_card


def layer_facts(card: Card, variant: str) -> Mapping[str, Any]:
    """Return the facts of one variant; a variant without facts of its own has those of all."""
    facts: Mapping[str, Any] = card.experiment.get("layer", {})
    own: Mapping[str, Any] = facts.get(variant, facts)
    return own


def build_layer(
    card: Card, variant: str, params: Mapping[str, Any], wraps: Mapping[str, Any] | None = None
) -> nn.Module:
    """Return the layer, around the one it wraps where its card says so, or around the one that is given."""
    wraps = wraps if wraps is not None else layer_facts(card, variant).get("wraps")
    factory = card.load(variant)
    layer: nn.Module = factory(**params) if wraps is None else factory(wrapped_layer(wraps), **params)
    return layer


def wrapped_layer(wraps: Mapping[str, Any]) -> nn.Module:
    """Return the layer that another one goes around, alone."""
    layer: nn.Module = get_card(wraps["name"]).load()(**wraps.get("params", {}))
    return layer


def layer_inputs(
    facts: Mapping[str, Any], generator: torch.Generator, rows: int | None = None, default: tuple[int, ...] = (8, 3)
) -> tuple[Tensor, ...]:
    """Return random inputs, in float64: the first, and the second where the layer takes two."""
    shapes = [tuple(facts.get("input_shape", default))]
    if "context_shape" in facts:
        shapes.append(tuple(facts["context_shape"]))
    if rows is not None:
        shapes = [(rows, *shape[1:]) for shape in shapes]
    if "integers" in facts:
        return tuple(torch.randint(facts["integers"], shape, generator=generator) for shape in shapes)
    return tuple(torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes)


def first_output(out: Any) -> Tensor:
    """Return the outputs of a layer without the states or weights it may give beside them."""
    tensor: Tensor = out[0] if isinstance(out, tuple) else out
    return tensor


class Standing(nn.Module):
    """A layer between flat vectors: the vector takes the shape the layer wants, and its output is flattened.

    Parameters
    ----------
    layer : nn.Module
    shape : tuple of int
        Shape of the layer's input, without the batch.
    hidden : int
        Width of the vectors that come and go.
    context_shape : tuple of int or None
        Shape of the layer's second input, which is another linear map of the same vector.
    integers : int or None
        The layer takes codes: each value falls into one of so many bins, equally likely for a standard normal value. No gradient
        goes back through codes.
    """

    def __init__(
        self,
        layer: nn.Module,
        shape: tuple[int, ...],
        hidden: int,
        context_shape: tuple[int, ...] | None = None,
        integers: int | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.context_shape, self.integers = shape, context_shape, integers
        self.first = nn.Linear(hidden, math.prod(shape)) if math.prod(shape) != hidden else nn.Identity()
        self.second = None if context_shape is None else nn.Linear(hidden, math.prod(context_shape))
        self.layer = layer
        layer.eval()
        with torch.no_grad():
            width = self._answer(torch.zeros(2, hidden)).shape[1]
        layer.train()
        self.last = nn.Linear(width, hidden) if width != hidden else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, hidden) of (batch, hidden)."""
        out: Tensor = self.last(self._answer(x))
        return out

    def _answer(self, x: Tensor) -> Tensor:
        """Return what the layer makes of vectors (batch, hidden), flat."""
        given = self.first(x).unflatten(1, self.shape)
        if self.integers is not None:
            given = codes(given, self.integers)
        inputs = [given]
        if self.second is not None and self.context_shape is not None:
            inputs.append(self.second(x).unflatten(1, self.context_shape))
        return first_output(self.layer(*inputs)).flatten(1)


def codes(x: Tensor, bins: int) -> Tensor:
    """Return floor(bins * Phi(x)) as whole numbers in [0, bins), Phi being the standard normal distribution function."""
    share = torch.special.ndtr(x.detach())
    return (share * bins).long().clamp(max=bins - 1)
