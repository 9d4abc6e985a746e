"""Convolution over several orders of the fields, so that every pair of fields may stand side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.errors import DataError, SpecError
from fivefold.base.names import nearest

from ._base import CTRModel
from ._convolution import pooled_convolution
from ._fields import FieldEncoder, IndexEncoder
from ._inputs import FieldNetwork, Layout, perceptron, width_after

SHARINGS = ("each", "one")
LAST_POOL = 3
"""Values that the last layer keeps of each map, as in the convolutional click model."""


def field_orders(fields: int) -> list[list[int]]:
    """Return ceil(fields / 2) orders in which any two fields are neighbors at least once, the given order first.

    These are Walecki's zigzag paths of the complete graph: for an even number of fields each pair meets exactly once. An odd
    number takes the paths of one field more and leaves that field out.
    """
    size = fields + fields % 2
    steps = np.cumsum([0, *((k if k % 2 else -k) for k in range(1, size))])  # 0, 1, -1, 2, -2, ...
    names = np.empty(size, dtype=np.int64)
    names[steps % size] = np.arange(size)
    orders = [names[(steps + turn) % size] for turn in range(size // 2)]
    return [order[order < fields].tolist() for order in orders]


def kept(layer: int, layers: int, fields: int) -> int:
    """Return how many values of a map layer 1, 2, ... keeps: (1 - (i / l)^(l - i)) of the fields, the last one three."""
    if layer == layers:
        return min(LAST_POOL, fields)
    return max(1, int((1 - (layer / layers) ** (layers - layer)) * fields))


class OrderedConvolution(nn.Module):
    r"""Layers of convolution along the fields, one kernel for all places of the vectors.

    .. math:: c^{(l)} = \tanh\big(p\text{-max}_{k_l}(W^{(l)} * c^{(l-1)} + b^{(l)})\big)

    Parameters
    ----------
    filters, widths : sequence of int
        Maps of each layer and fields that its kernel spans.
    fields : int
    orders : int
        Orders that come in; with ``groups`` each has kernels of its own, without they share them.
    groups : bool
    """

    def __init__(
        self, filters: Sequence[int], widths: Sequence[int], fields: int, orders: int, *, groups: bool
    ) -> None:
        super().__init__()
        self.orders, self.groups = orders, orders if groups else 1
        self.layers = nn.ModuleList()
        self.pools: list[int] = []
        before, left = 1, fields
        for i, (maps, width) in enumerate(zip(filters, widths), start=1):
            self.layers.append(nn.Conv2d(before * self.groups, maps * self.groups, (width, 1), groups=self.groups))
            left = min(left, kept(i, len(filters), fields))
            self.pools.append(left)
            before = maps
        self.width = orders * before * left

    def forward(self, e: Tensor) -> Tensor:
        """Return (batch, width * dim) for e (batch, orders, fields, dim), order by order."""
        n = len(e)
        x = e.unsqueeze(2) if self.groups > 1 else e.flatten(0, 1)[:, None, None]  # (rows, groups, 1, fields, dim)
        for convolution, k in zip(self.layers, self.pools):
            weight = convolution.weight.squeeze(3).unflatten(0, (self.groups, -1))  # (groups, maps, maps before, width)
            x = pooled_convolution(x, weight, convolution.bias.unflatten(0, (self.groups, -1)), k)
        return x.reshape(n, -1)


class MultiSequenceNetwork(FieldNetwork):
    """The network of :class:`MultiSequenceCNN`."""

    def __init__(
        self,
        layout: Layout,
        orders: Sequence[Sequence[int]],
        filters: Sequence[int],
        widths: Sequence[int],
        hidden_sizes: Sequence[int],
        *,
        sharing: str = "each",
        dropout: float = 0.0,
        batch_norm: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(layout, first_order=True, **options)
        self.orders = torch.tensor([list(order) for order in orders])  # (orders, fields)
        self.convolution = OrderedConvolution(filters, widths, layout.fields, len(orders), groups=sharing == "each")
        size = self.convolution.width * self.inputs.dim
        self.deep = perceptron(size, hidden_sizes, dropout=dropout, batch_norm=batch_norm)
        self.out = nn.Linear(width_after(size, hidden_sizes), 1)

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        e, linear = self.inputs(batch)
        maps = self.convolution(e[:, self.orders.to(e.device)])  # e[...] is (batch, orders, fields, dim)
        return self.out(self.deep(maps)) + linear.unsqueeze(1)


class MultiSequenceCNN(CTRModel):
    r"""Convolutional click model that reads the fields in several orders.

    .. math:: z = \sum_j w_j x_j + w^\top \mathrm{MLP}\big(\mathrm{CNN}(E_{\pi_1}) \oplus \dots \oplus
        \mathrm{CNN}(E_{\pi_S})\big) + b

    A convolution combines neighbors, and fields have no order of their own. Of each order :math:`\pi` of the fields' vectors
    layers of convolution, of pooling that keeps the largest values in their places, and of tanh make maps for the perceptron.

    Parameters
    ----------
    orders : int >= 1 or sequence of sequences of columns, optional
        How many orders, of ceil(F / 2) in which every two of F fields are neighbors once (the first is that of the columns,
        sets and sequences behind the others); all of them by default. Or the orders themselves, each with all columns.
    sharing : {"each", "one"}, default "each"
        Whether each order has kernels of its own or one set serves all.
    filters : sequence of int >= 1, default (4, 4)
        Maps of each layer of convolution.
    widths : sequence of int >= 1, default (6, 5)
        Fields that the kernels of each layer span.
    hidden_sizes : sequence of int >= 1, default (128, 64)
    dropout : float in [0, 1), default 0
    batch_norm : bool, default False
        Of the perceptron. While vectors are small, means of maps move by more than their spread in a step, and running
        statistics lag behind them.
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`.

    Raises
    ------
    DataError
        For orders that name columns wrongly, and data that does not fit.
    SpecError, CapabilityError
        For parameters that do not fit.

    Notes
    -----
    With one order this is the convolutional click prediction model of Liu et al. (2015) with kernels that span fields alone and
    "same" padding, as libraries build it. The source gives no equations; the paper searches its orders, here they are
    the fewest that bring all pairs together. Pooling keeps (1 - (i / l)^(l - i)) F values in layer i of l, three in the last.

    References
    ----------
    Chan et al., "Convolutional neural networks based click-through rate prediction with multiple feature sequences", IJCAI 2018;
    04#cnn-ctr-multi-sequence.
    """

    def __init__(
        self,
        *,
        orders: int | Sequence[Sequence[str]] | None = None,
        sharing: str = "each",
        filters: Sequence[int] = (4, 4),
        widths: Sequence[int] = (6, 5),
        hidden_sizes: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        batch_norm: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.orders = orders
        self.sharing = sharing
        self.filters = filters
        self.widths = widths
        self.hidden_sizes = hidden_sizes
        self.dropout = dropout
        self.batch_norm = batch_norm

    def _first_order(self) -> bool:
        return True

    def _check_settings(self) -> None:
        super()._check_settings()
        name = type(self).__name__
        if self.sharing not in SHARINGS:
            raise SpecError(f"{name}: sharing must be one of {', '.join(SHARINGS)}; got {self.sharing!r}.")
        for key in ("filters", "widths"):
            sizes = getattr(self, key)
            if not sizes or not all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
                raise SpecError(f"{name}: {key} must be whole numbers of at least 1, got {sizes!r}.")
        if len(self.filters) != len(self.widths):
            raise SpecError(
                f"{name}: filters and widths must have as many numbers as there are layers; got {len(self.filters)} and "
                f"{len(self.widths)}."
            )

    def _orders_of(self, layout: Layout) -> list[list[int]]:
        encoder: FieldEncoder | IndexEncoder = self.encoder_
        names = [field.name for field in (*encoder.singles, *encoder.sets)]
        all_orders = field_orders(layout.fields)
        if self.orders is None:
            return all_orders
        if isinstance(self.orders, (int, np.integer)):
            if not 1 <= self.orders <= len(all_orders):
                raise SpecError(
                    f"{type(self).__name__}: {layout.fields} fields have 1 to {len(all_orders)} orders that bring new pairs "
                    f"together; got orders={self.orders!r}."
                )
            return all_orders[: self.orders]
        found = []
        for order in self.orders:
            for column in order:
                if column not in names:
                    raise DataError(
                        f"orders names {column!r}, which is no field; did you mean {', '.join(nearest(column, names))}?"
                    )
            if len(order) != len(names) or len(set(order)) != len(names):
                raise DataError(f"orders holds {tuple(order)!r}; each names every field once: {', '.join(names)}.")
            found.append([names.index(column) for column in order])
        if not found:
            raise SpecError(f"{type(self).__name__}: orders is empty; give at least one, or None.")
        return found

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return MultiSequenceNetwork(
            layout,
            self._orders_of(layout),
            self.filters,
            self.widths,
            self.hidden_sizes,
            sharing=self.sharing,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            **self._options(),
        )
