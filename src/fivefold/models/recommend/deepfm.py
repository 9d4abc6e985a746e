"""DeepFM: a factorization machine and a perceptron on the same embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ._base import CTRModel
from ._inputs import FieldNetwork, Layout, perceptron, width_after
from ._pairs import pairwise_sum


class DeepFMNetwork(FieldNetwork):
    """The network of :class:`DeepFM`; without hidden layers and perceptron it is a factorization machine."""

    def __init__(
        self,
        layout: Layout,
        hidden_sizes: Sequence[int],
        *,
        dropout: float = 0.0,
        batch_norm: bool = True,
        use_linear: bool = True,
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(layout, first_order=use_linear, **options)
        wide = layout.fields * self.inputs.dim
        self.deep = perceptron(wide, hidden_sizes, dropout=dropout, batch_norm=batch_norm) if hidden_sizes else None
        self.out = nn.Linear(width_after(wide, hidden_sizes), 1, bias=False) if hidden_sizes else None
        self.bias = nn.Parameter(torch.zeros(1)) if use_bias else None

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        e, linear = self.inputs(batch)  # (batch, fields, dim), (batch,)
        logit = pairwise_sum(e) + linear
        if self.deep is not None:
            logit = logit + self.out(self.deep(e.flatten(1)))[:, 0]
        if self.bias is not None:
            logit = logit + self.bias
        return logit.unsqueeze(1)


class DeepFM(CTRModel):
    r"""DeepFM: first-order weights, pairwise products and a perceptron over one table of embeddings.

    .. math:: z = b + \sum_j w_j x_j + \sum_{i<j} \langle v_i, v_j \rangle x_i x_j
        + w_{out}^\top \mathrm{MLP}(v_1 x_1 \oplus \dots \oplus v_F x_F)

    Parameters
    ----------
    hidden_sizes : sequence of int >= 1, default (128, 64)
        Layers of the perceptron; none leaves a factorization machine.
    dropout : float in [0, 1), default 0
    batch_norm : bool, default True
        Between the product and the activation of each layer.
    use_linear, use_bias : bool, default True
        Keep the first-order weights and the global bias.
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit; see the base class.

    Notes
    -----
    Numbers take part as :math:`v_j x_j`, as in the sources; the layer order is product, batch norm, ReLU, dropout. The sources
    measure the area under the ROC curve on classes, which loses the order; measure it on probabilities.

    References
    ----------
    Guo et al., "DeepFM: a factorization-machine based neural network for CTR prediction", IJCAI 2017; 04#deepfm,
    04#deepfm-torch.
    """

    def __init__(
        self,
        *,
        hidden_sizes: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        batch_norm: bool = True,
        use_linear: bool = True,
        use_bias: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.hidden_sizes = hidden_sizes
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.use_linear = use_linear
        self.use_bias = use_bias

    def _first_order(self) -> bool:
        return self.use_linear

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return DeepFMNetwork(
            layout,
            self.hidden_sizes,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            use_linear=self.use_linear,
            use_bias=self.use_bias,
            **self._options(),
        )
