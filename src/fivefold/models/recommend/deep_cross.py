"""Deep & Cross network: explicit products of growing degree beside a perceptron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ._base import CTRModel
from ._inputs import FieldNetwork, Layout, perceptron, width_after


class CrossLayers(nn.Module):
    r"""Cross layers :math:`x_{l+1} = x_0 (x_l^\top w_l) + b_l + x_l`; 2 d L parameters, degree L + 1.

    Parameters
    ----------
    size : int
        d, length of x.
    n_layers : int
        L.
    """

    def __init__(self, size: int, n_layers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_layers, size))
        self.bias = nn.Parameter(torch.zeros(n_layers, size))
        nn.init.xavier_normal_(self.weight)

    def forward(self, x0: Tensor) -> Tensor:
        # Every layer is a multiple of x_0 for each row plus one vector for all, x_l = a_l x_0 + c_l, so that the products with
        # x_0 are all that depends on both.
        products = x0 @ self.weight.T  # (batch, L)
        a, c = x0.new_ones(len(x0)), x0.new_zeros(x0.shape[1])
        for product, weight, bias in zip(products.unbind(1), self.weight, self.bias):
            a = a * (1 + product) + c @ weight
            c = c + bias
        return a.unsqueeze(1) * x0 + c


class DeepCrossNetwork(FieldNetwork):
    """The network of :class:`DeepCross`."""

    def __init__(
        self,
        layout: Layout,
        n_outputs: int,
        n_cross_layers: int,
        hidden_sizes: Sequence[int],
        *,
        dropout: float = 0.0,
        batch_norm: bool = True,
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(layout, **options)
        # Numbers enter as they are, categories and pooled sets as vectors.
        self.vectors = [i for i in range(layout.fields) if i not in layout.numeric]
        self.numbers = list(layout.numeric)
        size = len(self.numbers) + len(self.vectors) * self.inputs.dim
        self.cross = CrossLayers(size, n_cross_layers)
        self.deep = perceptron(size, hidden_sizes, dropout=dropout, batch_norm=batch_norm)
        self.out = nn.Linear(size + width_after(size, hidden_sizes), n_outputs, bias=use_bias)

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        e, _ = self.inputs(batch)  # (batch, fields, dim)
        if self.numbers:
            x0 = torch.cat([batch["vals"][:, self.numbers], e[:, self.vectors].flatten(1)], dim=1)
        else:
            x0 = e.flatten(1)
        return self.out(torch.cat([self.cross(x0), self.deep(x0)], dim=1))


class DeepCross(CTRModel):
    r"""Deep & Cross network: cross layers and a perceptron on numbers and embeddings, joined by one dense layer.

    .. math:: x_{l+1} = x_0 (x_l^\top w_l) + b_l + x_l, \qquad
        z = W [x_L \oplus \mathrm{MLP}(x_0)] + b

    Parameters
    ----------
    n_cross_layers : int >= 1, default 3
        L; the cross part is a polynomial of degree L + 1 with 2 d L parameters.
    hidden_sizes : sequence of int >= 1, default (128, 64)
        Layers of the perceptron.
    dropout : float in [0, 1), default 0
    batch_norm : bool, default True
    use_bias : bool, default True
        Of the last layer.
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`; all three tasks.

    Raises
    ------
    DataError, SpecError
        For data and parameters that do not fit; see the base class.

    References
    ----------
    Wang et al., "Deep & cross network for ad click predictions", ADKDD 2017; 04#dcn.
    """

    _tasks = ("binary", "multiclass", "regression")

    def __init__(
        self,
        *,
        n_cross_layers: int = 3,
        hidden_sizes: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        batch_norm: bool = True,
        use_bias: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.n_cross_layers = n_cross_layers
        self.hidden_sizes = hidden_sizes
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.use_bias = use_bias

    def _whole_parameters(self) -> tuple[tuple[str, int], ...]:
        return (("n_cross_layers", 1),)

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return DeepCrossNetwork(
            layout,
            n_outputs,
            self.n_cross_layers,
            self.hidden_sizes,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            use_bias=self.use_bias,
            **self._options(),
        )
