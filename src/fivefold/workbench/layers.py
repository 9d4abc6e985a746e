"""A layer and an input for it, from the facts of its card: what the battery and the stock experiment share.

``experiment.layer`` of a card holds ``params`` and ``input_shape``; where they apply, ``integers`` (inputs are whole numbers
below it), ``context_shape`` (a second input), ``wraps`` (the layer goes around another: its ``name`` and ``params``), and
``stand`` (how it stands in the small network of the experiment: the ``shape`` its input is given, the ``params`` that fit it,
and ``activation = true`` where it replaces the nonlinearity).
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


def build_layer(card: Card, variant: str, params: Mapping[str, Any]) -> nn.Module:
    """Return the layer, around the one it wraps where its card says so."""
    wraps = layer_facts(card, variant).get("wraps")
    factory = card.load(variant)
    if wraps is None:
        layer: nn.Module = factory(**params)
    else:
        layer = factory(get_card(wraps["name"]).load()(**wraps.get("params", {})), **params)
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
    """A layer between flat vectors: the vector takes the shape the layer wants, and its output is flattened."""

    def __init__(self, layer: nn.Module, shape: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.shape = shape
        self.first = nn.Linear(hidden, math.prod(shape)) if math.prod(shape) != hidden else nn.Identity()
        self.layer = layer
        layer.eval()
        with torch.no_grad():
            width = first_output(layer(torch.zeros(2, *shape))).flatten(1).shape[1]
        layer.train()
        self.last = nn.Linear(width, hidden) if width != hidden else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, hidden) of (batch, hidden)."""
        out: Tensor = self.last(first_output(self.layer(self.first(x).unflatten(1, self.shape))).flatten(1))
        return out
