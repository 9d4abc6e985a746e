"""Deep interest evolution network: interests are read off a history by a GRU and followed by one that attention gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from fivefold.base.errors import SpecError

from ._base import CTRModel
from ._inputs import FieldNetwork, Layout, SetField, perceptron, width_after
from .deep_interest import attended


class AUGRU(nn.Module):
    r"""GRU whose update gate is scaled by attention.

    .. math:: u_t &= \sigma(W_u i_t + U_u h_{t-1} + b_u), \quad r_t = \sigma(W_r i_t + U_r h_{t-1} + b_r) \\
        \tilde h_t &= \tanh(W_h i_t + r_t \circ U_h h_{t-1} + b_h), \quad \tilde u_t = a_t u_t, \quad
        h_t = (1 - \tilde u_t) \circ h_{t-1} + \tilde u_t \circ \tilde h_t

    Attention 0 keeps the state, attention 1 is a GRU.
    """

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.from_input = nn.Linear(inputs, 3 * size)
        self.from_state = nn.Linear(size, 3 * size, bias=False)

    def forward(self, x: Tensor, attention: Tensor) -> Tensor:
        """Return the last state (batch, size) for x (batch, length, inputs) and attention (batch, length)."""
        state = x.new_zeros(len(x), self.size)
        given = self.from_input(x)  # all steps at once; only the recurrence goes step by step
        for t in range(x.shape[1]):
            u_in, r_in, h_in = given[:, t].chunk(3, dim=1)
            u_state, r_state, h_state = self.from_state(state).chunk(3, dim=1)
            update = attention[:, t, None] * torch.sigmoid(u_in + u_state)
            fresh = torch.tanh(h_in + torch.sigmoid(r_in + r_state) * h_state)
            state = (1 - update) * state + update * fresh
        return state


class Evolution(nn.Module):
    """Extractor GRU, attention by the candidate, and AUGRU, for one history."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.extractor = nn.GRU(dim, dim, batch_first=True)
        self.bilinear = nn.Linear(dim, dim, bias=False)
        self.evolution = AUGRU(dim, dim)

    def forward(self, candidate: Tensor, history: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the final interest (batch, dim) and the extractor's states (batch, length, dim)."""
        states, _ = self.extractor(history)
        scores = (states * self.bilinear(candidate).unsqueeze(1)).sum(2)
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        attention = torch.softmax(scores, dim=1) * mask
        return self.evolution(states, attention), states


def auxiliary_loss(states: Tensor, following: Tensor, negatives: Tensor, mask: Tensor) -> Tensor:
    r"""Return :math:`-\frac1N \sum_t [\log \sigma\langle h_t, e_{t+1}\rangle + \log(1 - \sigma\langle h_t, \hat e_{t+1}\rangle)]`

    ``states`` are h_1 … h_{T-1}, ``following`` e_2 … e_T, ``negatives`` sampled in their place; N counts the steps in ``mask``.
    """
    right, wrong = (states * following).sum(2), (states * negatives).sum(2)
    terms = logsigmoid(right) + logsigmoid(-wrong)
    return -(terms * mask).sum() / mask.sum().clamp(min=1)


class DeepInterestEvolutionModule(FieldNetwork):
    """The network of :class:`DeepInterestEvolutionNetwork`."""

    def __init__(
        self,
        layout: Layout,
        n_outputs: int,
        hidden_sizes: Sequence[int],
        *,
        auxiliary: float = 1.0,
        activation: str = "dice",
        dropout: float = 0.0,
        batch_norm: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(layout, **options)
        self.auxiliary = auxiliary
        self.histories = attended(layout, "DeepInterestEvolutionNetwork")
        dim = self.inputs.dim
        self.evolutions = nn.ModuleList(Evolution(dim) for _ in self.histories)
        size = layout.fields * dim
        self.deep = perceptron(size, hidden_sizes, dropout=dropout, batch_norm=batch_norm, activation=activation)
        self.out = nn.Linear(width_after(size, hidden_sizes), n_outputs)

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        singles = self.inputs.singles(batch)
        parts = [singles.flatten(1)]
        evolutions = iter(self.evolutions)
        for s in self.layout.sets:
            if s not in self.histories:
                parts.append(self.inputs.pooled(batch[s.name]))
                continue
            mask, history = batch[s.name] >= 0, self.inputs.vectors(batch[s.name])
            final, states = next(evolutions)(singles[:, s.candidate], history, mask)
            parts.append(final)
            if self.training and self.auxiliary > 0:
                self.add(self.auxiliary * self._auxiliary(s, states, history, mask))
        return self.out(self.deep(torch.cat(parts, dim=1)))

    def _auxiliary(self, s: SetField, states: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        first, last = s.rows
        shape = mask[:, 1:].shape
        drawn = torch.randint(
            min(first + 1, last - 1), last, shape, device=history.device
        )  # row `first` is the unknown
        return auxiliary_loss(states[:, :-1], history[:, 1:], self.inputs.vectors(drawn), mask[:, 1:])


class DeepInterestEvolutionNetwork(CTRModel):
    r"""Deep interest evolution network: a GRU extracts interests, an attention-gated GRU follows those the candidate meets.

    .. math:: a_t = \mathrm{softmax}_t(h_t W v_c), \quad h'_t = (1 - a_t u_t) \circ h'_{t-1} + a_t u_t \circ \tilde h'_t, \quad
        L = L_{target} + \alpha L_{aux}

    Parameters
    ----------
    auxiliary : float >= 0, default 1
        :math:`\alpha`: the extractor's state has to tell the next item of the history from a random one.
    hidden_sizes : sequence of int >= 1, default (128, 64)
        Layers of the perceptron on top.
    activation : {"dice", "prelu", "relu"}, default "dice"
        What follows each of these layers; libraries often have ReLU there.
    dropout : float in [0, 1), default 0
    batch_norm : bool, default True
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`; all three tasks. ``features`` must hold a sequence
        that shares its ``table`` with a categorical field, the candidate.

    Raises
    ------
    DataError, SpecError
        For data and parameters that do not fit, and features without such a sequence.

    Notes
    -----
    Random items are drawn evenly from the known categories of the table. An empty history gives the vector 0.

    References
    ----------
    Zhou et al., "Deep interest evolution network for click-through rate prediction", AAAI 2019; 04#dien.
    """

    _tasks = ("binary", "multiclass", "regression")

    def __init__(
        self,
        *,
        auxiliary: float = 1.0,
        hidden_sizes: Sequence[int] = (128, 64),
        activation: str = "dice",
        dropout: float = 0.0,
        batch_norm: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.auxiliary = auxiliary
        self.hidden_sizes = hidden_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm

    def _check_settings(self) -> None:
        super()._check_settings()
        if not self.auxiliary >= 0:
            raise SpecError(f"DeepInterestEvolutionNetwork: auxiliary must be at least 0, got {self.auxiliary!r}.")

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return DeepInterestEvolutionModule(
            layout,
            n_outputs,
            self.hidden_sizes,
            auxiliary=self.auxiliary,
            activation=self.activation,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            **self._options(),
        )
