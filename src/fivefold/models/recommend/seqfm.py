"""Sequence-aware factorization machine: static, dynamic and cross views of self-attention, one perceptron for all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fivefold.base.errors import DataError

from ._base import CTRModel
from ._inputs import FieldNetwork, Layout, SetField


class MaskedAttention(nn.Module):
    r"""One head of self-attention in which a mask says who sees whom.

    .. math:: H = A V, \quad A = \mathrm{softmax}\Big(\frac{Q K^\top}{\sqrt d} + M\Big), \qquad
        Q, K, V = E W_Q, E W_K, E W_V

    Parameters
    ----------
    size : int
        d, length of the vectors that come in and go out.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(size, size, bias=False) for _ in range(3))

    def shares(self, to: Tensor, of: Tensor, seen: Tensor | None = None) -> Tensor:
        """Return A (batch, n, m): what each vector of ``to`` (batch, n, size) takes of each of ``of`` (batch, m, size).

        It takes where ``seen`` (batch, n, m) or of all; of nothing where it sees none.
        """
        # Q K^T is one product of E on either side of a matrix of weights: the shorter side goes through it.
        between = self.query.weight.T @ self.key.weight / math.sqrt(to.shape[2])
        if of.shape[1] < to.shape[1]:
            scores = to @ (of @ between.T).transpose(1, 2)
        else:
            scores = (to @ between) @ of.transpose(1, 2)
        if seen is None:
            return torch.softmax(scores, dim=2)
        # A row that sees nothing has no softmax: its even weights over what is hidden are set to 0.
        return torch.softmax(scores.masked_fill(~seen, torch.finfo(scores.dtype).min), dim=2) * seen

    def gathered(self, shares: Tensor, of: Tensor) -> Tensor:
        """Return the sum of all rows of A V (batch, size): V and the sum change places, so that V is one vector's."""
        return self.value((shares.sum(1, keepdim=True) @ of).squeeze(1))


class ResidualLayer(nn.Module):
    r"""One layer of the perceptron that all views share, :math:`h + \mathrm{ReLU}(\mathrm{LN}(h) W + b)`."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.linear = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.dropout(torch.relu(self.linear(self.norm(h))))


def causal(mask: Tensor) -> Tensor:
    """Return who sees whom in a sequence: each real item itself and those before it; (batch, n) -> (batch, n, n)."""
    n = mask.shape[1]
    past = torch.ones(n, n, dtype=torch.bool, device=mask.device).tril()
    return past & mask.unsqueeze(1) & mask.unsqueeze(2)


class SeqFMNetwork(FieldNetwork):
    """The network of :class:`SeqFM`."""

    def __init__(self, layout: Layout, n_layers: int, *, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(layout, first_order=True, **options)
        self.sequences = [s for s in layout.sets if s.ordered]
        if not self.sequences:
            raise DataError(
                "SeqFM needs a sequence, for example features={'history': {'kind': 'sequence', 'table': 'item'}, "
                "'item': {'kind': 'categorical', 'table': 'item'}, ...}."
            )
        if layout.fields == len(self.sequences):
            raise DataError("SeqFM needs a static field beside the sequence, such as the user or the candidate.")
        size = self.inputs.dim
        self.static = MaskedAttention(size)
        self.dynamic = nn.ModuleList(MaskedAttention(size) for _ in self.sequences)
        self.cross = nn.ModuleList(MaskedAttention(size) for _ in self.sequences)
        self.layers = nn.Sequential(*(ResidualLayer(size, dropout) for _ in range(n_layers)))
        self.out = nn.Linear(size * (1 + 2 * len(self.sequences)), 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(1))

    def looked_up(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the vectors of the static fields (batch, width, dim), unordered sets pooled, and their first-order sum."""
        rows = [self.inputs.singles(batch)]
        rows += [self.inputs.pooled(batch[s.name]).unsqueeze(1) for s in self.layout.sets if not s.ordered]
        found = torch.cat(rows, dim=1)
        return found[:, :, : self.inputs.dim], found[:, :, self.inputs.dim].sum(1)

    def items(self, batch: Mapping[str, Tensor], field: SetField) -> tuple[Tensor, Tensor, Tensor]:
        """Return the vectors of a sequence (batch, n, dim), which of them are real (batch, n), and their first-order sum."""
        mask = batch[field.name] >= 0
        found = self.inputs.table(batch[field.name].clamp(min=0)) * mask.unsqueeze(2)
        return found[:, :, : self.inputs.dim], mask, found[:, :, self.inputs.dim].sum(1)

    def views(self, batch: Mapping[str, Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return the pooled views, each (batch, dim), static, dynamic and cross, and the first-order sum (batch,)."""
        static, linear = self.looked_up(batch)
        width = static.shape[1]
        views = [self.static.gathered(self.static.shares(static, static), static) / width]
        for field, dynamic, cross in zip(self.sequences, self.dynamic, self.cross):
            past, mask, weights = self.items(batch, field)
            linear = linear + weights
            items = mask.sum(1, keepdim=True)
            own = dynamic.gathered(dynamic.shares(past, past, causal(mask)), past)
            views.append(own / items.clamp(min=1))
            seen = mask.unsqueeze(1).expand(-1, width, -1)
            across = cross.gathered(cross.shares(static, past, seen), past)
            across = across + cross.gathered(cross.shares(past, static, seen.transpose(1, 2)), static)
            views.append(across / (width + items))
        return views, linear

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        views, linear = self.views(batch)
        h = self.layers(torch.stack(views, dim=1))  # (batch, views, dim)
        return self.out(h.flatten(1)) + linear.unsqueeze(1) + self.bias


class SeqFM(CTRModel):
    r"""Sequence-aware factorization machine: what a user did, in its order, beside who the user is.

    .. math:: h_s = \overline{\mathrm{Att}(E_s)}, \quad h_d = \overline{\mathrm{Att}(E_d; j \le i)}, \quad
        h_x = \overline{\mathrm{Att}([E_s; E_d]; s \leftrightarrow d)}, \quad
        h \leftarrow h + \mathrm{ReLU}(\mathrm{LN}(h) W_l + b_l), \quad
        z = w_0 + \sum_i w_i x_i + \langle p, [h_s; h_d; h_x] \rangle

    Fields with one value and unordered sets are static, sequences dynamic. An item of a sequence attends to itself and those
    before it; in the cross view static fields and items attend to each other alone. Each view is averaged and goes through
    the same residual layers.

    Parameters
    ----------
    n_layers : int >= 1, default 1
        Residual layers.
    dropout : float in [0, 1), default 0
        Behind each residual layer.
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`. ``features`` must hold a sequence and a field
        that is none.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit, and features without a sequence or without a static field.

    Notes
    -----
    The paper fills short histories up with vectors of zeros, which take part in its softmax and means; here they are hidden, so
    that more padding changes nothing, and an empty history gives the vector 0. Several sequences have a dynamic and a cross
    view each. First-order weights of a sequence are summed, as in the paper, not averaged. The losses are the paper's for
    classification and regression; its pairwise ranking loss is not offered.

    References
    ----------
    Chen et al., "Sequence-aware factorization machines for temporal predictive analytics", ICDE 2020; 04#seqfm.
    """

    def __init__(self, *, n_layers: int = 1, dropout: float = 0.0, **common: Any) -> None:
        super().__init__(**common)
        self.n_layers = n_layers
        self.dropout = dropout

    def _first_order(self) -> bool:
        return True

    def _whole_parameters(self) -> tuple[tuple[str, int], ...]:
        return (("n_layers", 1),)

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return SeqFMNetwork(layout, self.n_layers, dropout=self.dropout, **self._options())
