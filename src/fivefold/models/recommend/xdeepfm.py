"""xDeepFM: the compressed interaction network, whose layers are vector-wise products of growing degree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fivefold.base.errors import SpecError

from ._base import CTRModel
from ._inputs import FieldNetwork, Layout, perceptron, width_after


class CompressedInteraction(nn.Module):
    r"""Compressed interaction network.

    .. math:: X^k_{h,*} = \sum_{i,j} W^{k,h}_{ij} \, (X^{k-1}_{i,*} \circ X^0_{j,*}), \qquad p^k_h = \sum_d X^k_{h,d}

    Parameters
    ----------
    n_fields : int
        Rows of X^0.
    layer_sizes : sequence of int
        H_1 … H_T, rows of the layers; T of them make products of degree T + 1.
    """

    def __init__(self, n_fields: int, layer_sizes: Sequence[int]) -> None:
        super().__init__()
        sizes = [n_fields, *layer_sizes]
        self.weights = nn.ParameterList(
            nn.init.xavier_normal_(torch.empty(after, before * n_fields)) for before, after in zip(sizes, sizes[1:])
        )

    def forward(self, x0: Tensor) -> Tensor:
        """Return p^1 ⊕ … ⊕ p^T (batch, H_1 + … + H_T) for x0 (batch, fields, dim)."""
        first = x = x0.transpose(1, 2)  # (batch, dim, fields)
        pooled = []
        for weight in self.weights:
            after, before = len(weight), x.shape[2]
            if after < first.shape[2]:  # the smaller of two intermediate tensors
                y = (first @ weight.view(after * before, -1).T).unflatten(2, (after, before))
                x = (y @ x.unsqueeze(3)).squeeze(3)  # (batch, dim, after)
            else:
                x = (x.unsqueeze(3) * first.unsqueeze(2)).flatten(2) @ weight.T
            pooled.append(x.sum(1))
        return torch.cat(pooled, dim=1)


class XDeepFMNetwork(FieldNetwork):
    """The network of :class:`XDeepFM`."""

    def __init__(
        self,
        layout: Layout,
        cin_sizes: Sequence[int],
        hidden_sizes: Sequence[int],
        *,
        dropout: float = 0.0,
        batch_norm: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(layout, first_order=True, **options)
        self.cin = CompressedInteraction(layout.fields, cin_sizes)
        size = layout.fields * self.inputs.dim
        self.deep = perceptron(size, hidden_sizes, dropout=dropout, batch_norm=batch_norm)
        self.from_cin = nn.Linear(sum(cin_sizes), 1, bias=False)
        self.from_deep = nn.Linear(width_after(size, hidden_sizes), 1)

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        e, linear = self.inputs(batch)
        return linear.unsqueeze(1) + self.from_cin(self.cin(e)) + self.from_deep(self.deep(e.flatten(1)))


class XDeepFM(CTRModel):
    r"""xDeepFM: first-order weights, a compressed interaction network and a perceptron.

    .. math:: X^k_{h,*} = \sum_{i,j} W^{k,h}_{ij} (X^{k-1}_{i,*} \circ X^0_{j,*}), \qquad
        z = \sum_j w_j x_j + w_{cin}^\top [p^1 \dots p^T] + w_{dnn}^\top \mathrm{MLP}(e) + b

    Parameters
    ----------
    cin_sizes : sequence of int >= 1, default (32, 32)
        Rows of the layers of the interaction network.
    hidden_sizes : sequence of int >= 1, default (128, 64)
        Layers of the perceptron.
    dropout : float in [0, 1), default 0
    batch_norm : bool, default True
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit; see the base class.

    Notes
    -----
    The interaction network has no activation and passes all rows on, as in the paper's equations; some implementations put a
    ReLU there and split the rows.

    References
    ----------
    Lian et al., "xDeepFM: combining explicit and implicit feature interactions for recommender systems", KDD 2018; 04#xdeepfm.
    """

    def __init__(
        self,
        *,
        cin_sizes: Sequence[int] = (32, 32),
        hidden_sizes: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        batch_norm: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.cin_sizes = cin_sizes
        self.hidden_sizes = hidden_sizes
        self.dropout = dropout
        self.batch_norm = batch_norm

    def _first_order(self) -> bool:
        return True

    def _check_settings(self) -> None:
        super()._check_settings()
        if not self.cin_sizes:
            raise SpecError("XDeepFM: cin_sizes holds no layer; give at least one.")

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return XDeepFMNetwork(
            layout,
            self.cin_sizes,
            self.hidden_sizes,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            **self._options(),
        )
