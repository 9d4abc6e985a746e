"""Bilinear factorization machines: a matrix between the two vectors of a pair, shared by all, by field, or by pair of fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.errors import SpecError
from fivefold.base.random import Streams

from ._base import CTRModel
from ._inputs import EMBEDDING_STD, FieldNetwork, Layout
from ._machines import Array, How, Rows, SparseMachine
from ._machines_kernels import bilinear_pass, bilinear_scores
from .factorization_machine import check_vectors, drawn

SHARING = ("all", "each", "interaction")


def n_matrices(sharing: str, fields: int) -> int:
    """Return how many K x K matrices there are: 1, F or F²."""
    return {"all": 1, "each": fields, "interaction": fields * fields}[sharing]


class BilinearFM(SparseMachine):
    r"""Bilinear field-typed factorization machine, trained row by row from sparse data.

    .. math:: z = w_0 + \sum_j w_j x_j + \sum_{i<j} v_i^\top W v_j \, x_i x_j, \qquad
        W \in \{W, W_{f_i}, W_{f_i f_j}\} \subset R^{K \times K}

    Parameters
    ----------
    sharing : {"interaction", "each", "all"}, default "interaction"
        One matrix a pair of fields (F² K² parameters more than a factorization machine), one a field (F K²), one (K²).
    embedding_dim : int >= 1, default 8
        K.
    init_std : float >= 0, default 0.1
        Spread of the vectors before the first step; the matrices start as the identity, which is a factorization machine.
    init : {"normal", "half-normal"}, default "normal"
        Half-normal vectors are positive.
    others
        As for the base :class:`~fivefold.models.recommend._machines.SparseMachine`; each feature needs a field. The matrices
        have no penalty.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit, and rows without fields; see the base class.

    Notes
    -----
    The source leaves the shapes open; with vectors of length K the pair is a number. Its summary does not follow from its own
    table: on Avazu no bilinear variant reaches the field-aware machine. Layer norm is in :class:`BilinearFMLearner`.

    References
    ----------
    Huang et al., "FiBiNET: combining feature importance and bilinear feature interaction for click-through rate prediction",
    RecSys 2019; 04#bi-ffm.
    """

    _needs_fields = True

    def __init__(
        self,
        *,
        sharing: str = "interaction",
        embedding_dim: int = 8,
        init_std: float = 0.1,
        init: str = "normal",
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.sharing = sharing
        self.embedding_dim = embedding_dim
        self.init_std = init_std
        self.init = init

    def _check_settings(self) -> None:
        super()._check_settings()
        check_vectors(self, 1)
        _check_sharing(self)

    def _shape(self) -> tuple[int, int, int, int]:
        return self.n_features_in_, self.n_fields_, self.embedding_dim, SHARING.index(self.sharing)

    def _unpenalized(self) -> int:
        return n_matrices(self.sharing, self.n_fields_) * self.embedding_dim**2

    def _start(self, streams: Streams) -> Array:
        d, m, k, _ = self._shape()
        matrices = np.tile(np.eye(k).reshape(-1), n_matrices(self.sharing, m))
        return np.concatenate([np.zeros(1 + d), drawn(self, streams, d * k), matrices])

    def _scores(self, rows: Rows) -> Array:
        return bilinear_scores(rows.offsets, rows.inds, rows.fields, rows.vals, self.theta_, *self._shape())

    def _pass(self, rows: Rows, y: Array, weight: Array, state: tuple[Array, Array], how: How) -> None:
        data = (rows.offsets, rows.inds, rows.fields, rows.vals, y, weight)
        bilinear_pass(*data, self.theta_, *state, how, self.task == "binary", *self._shape())


def _check_sharing(model: Any) -> None:
    if model.sharing not in SHARING:
        raise SpecError(f"{type(model).__name__}: sharing must be one of {', '.join(SHARING)}; got {model.sharing!r}.")


class BilinearNetwork(FieldNetwork):
    """The network of :class:`BilinearFMLearner`."""

    def __init__(self, layout: Layout, sharing: str, layer_norm: bool, **options: Any) -> None:
        super().__init__(layout, first_order=True, **options)
        fields, dim = layout.fields, self.inputs.dim
        self.sharing = sharing
        self.norm = nn.LayerNorm(dim, elementwise_affine=False) if layer_norm else None
        count = n_matrices(sharing, fields)
        start = torch.randn(count, dim, dim) * EMBEDDING_STD if layer_norm else torch.eye(dim).repeat(count, 1, 1)
        self.matrices = nn.Parameter(start)
        self.bias = nn.Parameter(torch.zeros(1))
        first, second = torch.triu_indices(fields, fields, 1)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        e, linear = self.inputs(batch)  # (batch, fields, dim)
        if self.norm is not None:
            e = self.norm(e)
        one, other = e[:, self.first], e[:, self.second]  # (batch, pairs, dim)
        if self.sharing == "interaction":
            chosen = self.matrices[self.first * self.layout.fields + self.second]
            looked = torch.einsum("pfh,bph->bpf", chosen, other)
        elif self.sharing == "each":
            # v_i^T W_i first, once a field: fewer products than once a pair.
            one = torch.einsum("bmf,mfh->bmh", e, self.matrices)[:, self.first]
            looked = other
        else:
            looked = (e @ self.matrices[0].T)[:, self.second]
        return (linear + (one * looked).sum((1, 2)) + self.bias).unsqueeze(1)


class BilinearFMLearner(CTRModel):
    r"""Bilinear factorization machine on the input layer of the deep models, with layer norm if wanted.

    .. math:: z = b + \sum_j w_j x_j + \sum_{i<j} \mathrm{LN}(v_i x_i)^\top W \, \mathrm{LN}(v_j x_j)

    Parameters
    ----------
    sharing : {"interaction", "each", "all"}, default "interaction"
    layer_norm : bool, default False
        Bring each vector to mean 0 and variance 1 before the products, without weights of its own.
    embedding_dim : int >= 1, default 8
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit; see the base class.

    References
    ----------
    Huang et al., "FiBiNET", RecSys 2019; 04#bi-ffm.
    """

    def __init__(
        self, *, sharing: str = "interaction", layer_norm: bool = False, embedding_dim: int = 8, **common: Any
    ) -> None:
        super().__init__(embedding_dim=embedding_dim, **common)
        self.sharing = sharing
        self.layer_norm = layer_norm

    def _first_order(self) -> bool:
        return True

    def _check_settings(self) -> None:
        super()._check_settings()
        _check_sharing(self)

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return BilinearNetwork(layout, self.sharing, self.layer_norm, **self._options())
