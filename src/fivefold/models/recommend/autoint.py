"""AutoInt: fields attend to each other, and each keeps a part of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.errors import SpecError

from ._attention import attend
from ._base import CTRModel
from ._fields import to_frame
from ._inputs import FieldNetwork, Layout

RESIDUALS = ("sum", "weighted", "mean", "concat")


class InteractingLayer(nn.Module):
    r"""One interacting layer: attention between fields, without scaling, merged with the field itself.

    .. math:: \alpha^{(h)}_{mk} = \mathrm{softmax}_k \langle W^{(h)}_Q e_m, W^{(h)}_K e_k \rangle, \quad
        \tilde e_m = \bigoplus_h \sum_k \alpha^{(h)}_{mk} W^{(h)}_V e_k, \quad
        e'_m = \mathrm{ReLU}(\tilde e_m + W_{Res} e_m)

    Parameters
    ----------
    size : int
        d, length of the vectors that come in.
    head_size : int
        d'.
    n_heads : int
        H; vectors of length H d' come out, 2 H d' where ``residual`` is "concat".
    residual : {"sum", "weighted", "mean", "concat"}
        What stands in the ReLU: the sum; rho times the first and 1 - rho times the second; their mean; both side by side.
    rho : float in [0, 1]
    """

    def __init__(self, size: int, head_size: int, n_heads: int, residual: str, rho: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.residual = residual
        self.rho = 0.5 if residual == "mean" else rho
        wide = n_heads * head_size
        self.query, self.key, self.value, self.own = (nn.Linear(size, wide, bias=False) for _ in range(4))
        self.width = 2 * wide if residual == "concat" else wide

    def attention(self, e: Tensor) -> Tensor:
        """Return the weights (batch, heads, fields, fields); rows sum to 1."""
        query, key = self._heads(self.query(e)), self._heads(self.key(e))
        return torch.softmax(query @ key.transpose(2, 3), dim=3)

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.n_heads, -1).transpose(1, 2)  # (batch, heads, fields, head_size)

    def forward(self, e: Tensor) -> Tensor:
        weights = torch.cat([self.query.weight, self.key.weight, self.value.weight])
        found = attend(functional.linear(e, weights), self.n_heads)  # (batch, fields, heads * head_size)
        if self.residual == "concat":
            return torch.relu(torch.cat([found, self.own(e)], dim=2))
        if self.residual == "sum":
            return torch.relu(found + self.own(e))
        return torch.relu(self.rho * found + (1 - self.rho) * self.own(e))


class AutoIntNetwork(FieldNetwork):
    """The network of :class:`AutoInt`."""

    def __init__(
        self,
        layout: Layout,
        n_layers: int,
        head_size: int,
        n_heads: int,
        residual: str,
        rho: float,
        **options: Any,
    ) -> None:
        super().__init__(layout, **options)
        size = self.inputs.dim
        self.layers = nn.ModuleList()
        for _ in range(n_layers):
            self.layers.append(InteractingLayer(size, head_size, n_heads, residual, rho))
            size = self.layers[-1].width
        self.out = nn.Linear(layout.fields * size, 1)

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        e, _ = self.inputs(batch)
        for layer in self.layers:
            e = layer(e)
        return self.out(e.flatten(1))


class AutoInt(CTRModel):
    r"""AutoInt: layers of self-attention between the fields learn which combinations matter.

    .. math:: e'_m = \mathrm{ReLU}\Big(\bigoplus_h \sum_k \alpha^{(h)}_{mk} W^{(h)}_V e_k + W_{Res} e_m\Big), \qquad
        z = w^\top (e'_1 \oplus \dots \oplus e'_M) + b

    Parameters
    ----------
    n_layers : int >= 1, default 2
        Each layer doubles the order of combinations that can be told apart.
    n_heads : int >= 1, default 2
    head_size : int >= 1, default 16
        Length of a field's vector in a head.
    residual : {"sum", "weighted", "mean", "concat"}, default "sum"
        How a field's new vector and its own are merged.
    rho : float in [0, 1], default 0.5
        Share of the new one where ``residual`` is "weighted".
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit; see the base class.

    Notes
    -----
    The weights are not divided by the root of their length, as in the paper. Cost of a layer: O(M H d' (M + d)) for M fields.

    References
    ----------
    Song et al., "AutoInt: automatic feature interaction learning via self-attentive neural networks", CIKM 2019; 04#autoint,
    04#autoint-weighted-residual.
    """

    def __init__(
        self,
        *,
        n_layers: int = 2,
        n_heads: int = 2,
        head_size: int = 16,
        residual: str = "sum",
        rho: float = 0.5,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.head_size = head_size
        self.residual = residual
        self.rho = rho

    def _whole_parameters(self) -> tuple[tuple[str, int], ...]:
        return (("n_layers", 1), ("n_heads", 1), ("head_size", 1))

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.residual not in RESIDUALS:
            raise SpecError(
                f"{type(self).__name__}: residual must be one of {', '.join(RESIDUALS)}; got {self.residual!r}."
            )
        if not 0 <= self.rho <= 1:
            raise SpecError(f"{type(self).__name__}: rho must lie in [0, 1], got {self.rho!r}.")

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return AutoIntNetwork(
            layout, self.n_layers, self.head_size, self.n_heads, self.residual, self.rho, **self._options()
        )

    def attention(self, table: Any) -> tuple[list[str], NDArray[Any]]:
        """Return the fields and how much each (row) looks at each in the first layer: the mean over rows and heads."""
        self._check_fitted()
        rows = self._encode(to_frame(table), self.schema_)
        with torch.no_grad():
            e, _ = self.module_.inputs({name: torch.from_numpy(a) for name, a in rows.items()})
            found = self.module_.layers[0].attention(e).mean((0, 1)).numpy()
        fields = [f.name for f in self.encoder_.singles] + [f.name for f in self.encoder_.sets]
        return fields, np.asarray(found, dtype=np.float64)


class WeightedAutoInt(AutoInt):
    r"""AutoInt whose residual is a weighted mean, a plain mean or both vectors side by side.

    .. math:: e'_m = \mathrm{ReLU}(\rho \tilde e_m + (1 - \rho) W_{Res} e_m)

    Parameters
    ----------
    residual : {"sum", "weighted", "mean", "concat"}, default "weighted"
    rho : float in [0, 1], default 0.5
        Half halves what stands in the ReLU of the sum; 1 drops the field itself, 0 all that it attends to.
    n_layers, n_heads, head_size and others
        As for :class:`AutoInt`.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit; see the base class.

    References
    ----------
    04#autoint-weighted-residual, which proposes it as an extension of Song et al. 2019.
    """

    def __init__(self, *, residual: str = "weighted", **common: Any) -> None:
        super().__init__(residual=residual, **common)
