"""Deep interest network: the part of a history that speaks for the candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fivefold.base.errors import DataError, SpecError

from ._base import CTRModel
from ._inputs import FieldNetwork, Layout, SetField, perceptron, width_after

UNITS = ("perceptron", "dot")


def attended(layout: Layout, owner: str) -> list[SetField]:
    """Return the sequences that share the table of a candidate; there must be one."""
    found = [s for s in layout.sets if s.ordered and s.candidate is not None]
    if not found:
        raise DataError(
            f"{owner} needs a sequence that shares its table with a categorical field, for example features={{'history': "
            "{'kind': 'sequence', 'table': 'item'}, 'item': {'kind': 'categorical', 'table': 'item'}, ...}."
        )
    return found


class ActivationUnit(nn.Module):
    r"""How much a past item speaks for the candidate, :math:`a_j`.

    .. math:: a_j = \mathrm{MLP}(v_c \oplus v_j \oplus (v_c - v_j) \oplus (v_c \circ v_j)) \quad\text{or}\quad
        \langle v_c, v_j \rangle

    Only real items enter the perceptron, so padding has no say in the statistics of Dice.
    """

    def __init__(self, dim: int, unit: str, hidden_sizes: Sequence[int]) -> None:
        super().__init__()
        self.layers = None
        if unit == "perceptron":
            inner = perceptron(4 * dim, hidden_sizes, batch_norm=False, activation="dice")
            self.layers = nn.Sequential(*inner, nn.Linear(width_after(4 * dim, hidden_sizes), 1))

    def forward(self, candidate: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        """Return (batch, length) for candidate (batch, dim) and history (batch, length, dim); 0 where ``mask`` is False."""
        c = candidate.unsqueeze(1).expand_as(history)
        if self.layers is None:
            return (c * history).sum(2) * mask
        c, v = c[mask], history[mask]  # (items, dim)
        scores = self.layers(torch.cat([c, v, c - v, c * v], dim=1))[:, 0]
        return torch.zeros_like(history[:, :, 0]).masked_scatter(mask, scores)


def interest(weights: Tensor, history: Tensor, mask: Tensor, softmax: bool) -> Tensor:
    """Return the weighted sum of the history (batch, dim); with ``softmax`` the weights of a row sum to 1."""
    if softmax:
        lowest = torch.finfo(weights.dtype).min
        weights = torch.softmax(weights.masked_fill(~mask, lowest), dim=1) * mask
    return (weights.unsqueeze(2) * history).sum(1)


class DeepInterestModule(FieldNetwork):
    """The network of :class:`DeepInterestNetwork`."""

    def __init__(
        self,
        layout: Layout,
        n_outputs: int,
        hidden_sizes: Sequence[int],
        *,
        unit: str = "perceptron",
        unit_sizes: Sequence[int] = (80, 40),
        softmax: bool = False,
        activation: str = "dice",
        dropout: float = 0.0,
        batch_norm: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(layout, **options)
        self.softmax = softmax
        self.histories = attended(layout, "DeepInterestNetwork")
        dim = self.inputs.dim
        self.units = nn.ModuleList(ActivationUnit(dim, unit, unit_sizes) for _ in self.histories)
        size = layout.fields * dim
        self.deep = perceptron(size, hidden_sizes, dropout=dropout, batch_norm=batch_norm, activation=activation)
        self.out = nn.Linear(width_after(size, hidden_sizes), n_outputs)

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        singles = self.inputs.singles(batch)  # (batch, width, dim)
        parts = [singles.flatten(1)]
        units = iter(self.units)
        for s in self.layout.sets:
            if s not in self.histories:
                parts.append(self.inputs.pooled(batch[s.name]))
                continue
            mask, history = batch[s.name] >= 0, self.inputs.vectors(batch[s.name])
            weights = next(units)(singles[:, s.candidate], history, mask)
            parts.append(interest(weights, history, mask, self.softmax))
        return self.out(self.deep(torch.cat(parts, dim=1)))


class DeepInterestNetwork(CTRModel):
    r"""Deep interest network: a history is summed with weights that the candidate decides.

    .. math:: u = \sum_j a(v_j, v_c) \, v_j, \qquad
        z = W \, \mathrm{MLP}(\text{user} \oplus \text{context} \oplus v_c \oplus u) + b

    Parameters
    ----------
    unit : {"perceptron", "dot"}, default "perceptron"
        The activation unit: the paper's perceptron of both vectors, their difference and product; or their inner product.
    unit_sizes : sequence of int >= 1, default (80, 40)
        Layers of the unit, with Dice.
    softmax : bool, default False
        Let the weights of a history sum to 1. That loses how strong an interest is: a history of 90 % clothes gives a shirt
        a longer vector than a telephone only without it.
    hidden_sizes : sequence of int >= 1, default (128, 64)
        Layers of the perceptron on top.
    activation : {"dice", "prelu", "relu"}, default "dice"
        What follows each of these layers; libraries often have ReLU there.
    dropout : float in [0, 1), default 0
    batch_norm : bool, default True
    l2 : float >= 0, default 0
        Strength of the mini-batch-aware regularization.
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`; all three tasks. ``features`` must hold a sequence
        that shares its ``table`` with a categorical field, the candidate.

    Raises
    ------
    DataError, SpecError
        For data and parameters that do not fit, and features without such a sequence.

    Notes
    -----
    Short histories are padded behind a mask, which one source lacks. An empty history gives the vector 0.

    References
    ----------
    Zhou et al., "Deep interest network for click-through rate prediction", KDD 2018; 04#din.
    """

    _tasks = ("binary", "multiclass", "regression")

    def __init__(
        self,
        *,
        unit: str = "perceptron",
        unit_sizes: Sequence[int] = (80, 40),
        softmax: bool = False,
        hidden_sizes: Sequence[int] = (128, 64),
        activation: str = "dice",
        dropout: float = 0.0,
        batch_norm: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.unit = unit
        self.unit_sizes = unit_sizes
        self.softmax = softmax
        self.hidden_sizes = hidden_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.unit not in UNITS:
            raise SpecError(f"DeepInterestNetwork: unit must be one of {', '.join(UNITS)}; got {self.unit!r}.")

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return DeepInterestModule(
            layout,
            n_outputs,
            self.hidden_sizes,
            unit=self.unit,
            unit_sizes=self.unit_sizes,
            softmax=self.softmax,
            activation=self.activation,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            **self._options(),
        )
