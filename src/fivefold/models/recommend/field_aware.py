"""Field-aware factorization machine: every feature has a vector for each field it may meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.random import Streams

from ._base import CTRModel
from ._inputs import EMBEDDING_STD, FieldNetwork, Layout
from ._machines import Array, How, Rows, SparseMachine
from ._machines_kernels import ffm_pass, ffm_scores
from .factorization_machine import check_vectors, drawn


class FieldAwareFM(SparseMachine):
    r"""Field-aware factorization machine, trained row by row from sparse data.

    .. math:: z = w_0 + \sum_j w_j x_j + \sum_{i<j} \langle v_{i, f_j}, v_{j, f_i} \rangle x_i x_j

    Parameters
    ----------
    embedding_dim : int >= 1, default 4
        K.
    init_std : float >= 0, default 0.1
        Spread of the vectors before the first step.
    init : {"normal", "half-normal"}, default "normal"
        Half-normal vectors are positive, as those of libffm are.
    others
        As for the base :class:`~fivefold.models.recommend._machines.SparseMachine`; each feature needs a field: columns of a
        table, libffm lines, or lines of one ``field_size``.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit, and rows without fields; see the base class.

    Notes
    -----
    D F K numbers are stored; those for a feature's own field are used only where two features of one field meet, so D K (F - 1)
    suffice with one feature a field. One source steps each weight along itself; the gradient of :math:`v_{i,f_j}` is
    :math:`(p - y) x_i x_j v_{j,f_i}`.

    References
    ----------
    Juan et al., "Field-aware factorization machines for CTR prediction", RecSys 2016; 04#ffm.
    """

    _needs_fields = True

    def __init__(self, *, embedding_dim: int = 4, init_std: float = 0.1, init: str = "normal", **common: Any) -> None:
        super().__init__(**common)
        self.embedding_dim = embedding_dim
        self.init_std = init_std
        self.init = init

    def _check_settings(self) -> None:
        super()._check_settings()
        check_vectors(self, 1)

    def _shape(self) -> tuple[int, int, int]:
        return self.n_features_in_, self.n_fields_, self.embedding_dim

    def _start(self, streams: Streams) -> Array:
        d, m, k = self._shape()
        return np.concatenate([np.zeros(1 + d), drawn(self, streams, d * m * k)])

    def _scores(self, rows: Rows) -> Array:
        return ffm_scores(rows.offsets, rows.inds, rows.fields, rows.vals, self.theta_, *self._shape())

    def _pass(self, rows: Rows, y: Array, weight: Array, state: tuple[Array, Array], how: How) -> None:
        data = (rows.offsets, rows.inds, rows.fields, rows.vals, y, weight)
        ffm_pass(*data, self.theta_, *state, how, self.task == "binary", *self._shape())


class FieldAwareNetwork(FieldNetwork):
    """The network of :class:`FieldAwareFMLearner`: a row of the table holds a vector for each field."""

    def __init__(self, layout: Layout, dim: int, **options: Any) -> None:
        super().__init__(layout, dim * layout.fields, first_order=True, **options)
        self.dim = dim
        self.bias = nn.Parameter(torch.zeros(1))
        first, second = torch.triu_indices(layout.fields, layout.fields, 1)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)
        with torch.no_grad():
            self.inputs.table.weight[:, : dim * layout.fields].normal_(0.0, 10 * EMBEDDING_STD)

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        e, linear = self.inputs(batch)
        e = e.unflatten(2, (self.layout.fields, self.dim))  # (batch, fields, fields, dim)
        pairs = (e[:, self.first, self.second] * e[:, self.second, self.first]).sum((1, 2))
        return (linear + pairs + self.bias).unsqueeze(1)


class FieldAwareFMLearner(CTRModel):
    r"""Field-aware factorization machine on the input layer of the deep models, trained in batches by any optimizer.

    .. math:: z = b + \sum_j w_j x_j + \sum_{i<j} \langle v_{i, f_j}, v_{j, f_i} \rangle x_i x_j

    Parameters
    ----------
    embedding_dim : int >= 1, default 4
        K; a row of the table holds K numbers for each field.
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`; sets count as one field, with the mean of their
        members' vectors.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit; see the base class.

    References
    ----------
    Juan et al., "Field-aware factorization machines for CTR prediction", RecSys 2016; 04#ffm.
    """

    def __init__(self, *, embedding_dim: int = 4, **common: Any) -> None:
        super().__init__(embedding_dim=embedding_dim, **common)

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return FieldAwareNetwork(layout, **self._options())
