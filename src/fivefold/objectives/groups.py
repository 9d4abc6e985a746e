"""Penalties that differ by type, group or field of a feature; the group lasso drops whole fields."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputError

from ._common import root, wide

PENALTIES = ("l2", "l1", "group-lasso")


class GroupRegularizer(nn.Module):
    r"""A penalty on weights by groups of features, each with its own factor.

    .. math:: R_{L2} = \frac{\lambda}{2} \sum_g a_g \lVert w_g \rVert_2^2, \qquad
        R_{L1} = \lambda \sum_g a_g \lVert w_g \rVert_1, \qquad R_{group} = \lambda \sum_g a_g \lVert w_g \rVert_2

    Parameters
    ----------
    groups : sequence of J labels
        Type ("numeric", "categorical"), group or field of each feature; equal labels form a group.
    factors : mapping from labels to floats >= 0, optional
        :math:`a_g`; a label without one has the factor 1, in the group lasso the root of the number of its weights.
    penalty : "l2" (default), "l1" or "group-lasso"
    strength : float >= 0, default 1e-4
        λ.
    dim : int, default 0
        Dimension of the weight along which features lie: 0 for a table of embeddings (J, d), 1 for a linear layer (k, J).

    Shapes
    ------
    input : weight of J features along ``dim``; output : scalar

    Raises
    ------
    InputError
        When a penalty is unknown, a factor is negative or names no group.
    DataError
        When the weight has not J features along ``dim``.

    Notes
    -----
    Of one group the L2 form is :class:`L2Regularizer`; of several, gradient descent with it is weight decay
    :math:`\lambda a_g` of parameter groups. The group lasso has a kink where a whole group vanishes, so gradients only come
    near 0: :meth:`proximal_step_` after a step on the loss alone sets groups to exactly 0. For penalties of the features of a
    batch by how often they occur see :class:`MinibatchAwareRegularizer`.

    References
    ----------
    Yuan & Lin 2006, "Model selection and estimation in regression with grouped variables";
    spec ``01#typed-group-regularisation``.
    """

    index: Tensor
    sizes: Tensor
    given: Tensor

    def __init__(
        self,
        groups: Sequence[Hashable],
        factors: Mapping[Hashable, float] | None = None,
        penalty: str = "l2",
        strength: float = 1e-4,
        dim: int = 0,
    ) -> None:
        super().__init__()
        if penalty not in PENALTIES:
            raise InputError(f"penalty must be one of {', '.join(PENALTIES)}; got {penalty!r}.")
        self.labels = list(dict.fromkeys(groups))
        if not self.labels:
            raise InputError("groups must hold the label of at least one feature.")
        unknown = [label for label in factors or {} if label not in self.labels]
        if unknown:
            raise InputError(f"There is a factor for {unknown[0]!r}, but the groups are: {self.labels}.")
        self.factors = {
            label: check_number(f"the factor of {label!r}", a, 0) for label, a in dict(factors or {}).items()
        }
        self.penalty, self.dim = penalty, int(dim)
        self.strength = check_number("strength", strength, 0)
        place = {label: number for number, label in enumerate(self.labels)}
        # The factor of each group; NaN where it has the default.
        given = [self.factors.get(label, math.nan) for label in self.labels]
        self.register_buffer("given", torch.tensor(given, dtype=torch.float64), persistent=False)
        self.register_buffer("index", torch.tensor([place[label] for label in groups]))
        self.register_buffer("sizes", torch.bincount(self.index))

    def _rows(self, weight: Tensor) -> Tensor:
        """Return the weight as (J, what a feature has)."""
        if not -weight.ndim <= self.dim < weight.ndim or weight.shape[self.dim] != len(self.index):
            raise DataError(
                f"There are {len(self.index)} features along dimension {self.dim}, but the weight has the shape "
                f"{tuple(weight.shape)}."
            )
        return weight.movedim(self.dim, 0).reshape(len(self.index), -1)

    def _weights(self, rows: Tensor) -> Tensor:
        """Return λ a_g (G,)."""
        sizes = (self.sizes * rows.shape[1]).double()
        default = sizes.sqrt() if self.penalty == "group-lasso" else torch.ones_like(sizes)
        return self.strength * torch.where(self.given.isnan(), default, self.given).to(rows.dtype)

    def _norms(self, rows: Tensor) -> Tensor:
        """Return the length of each group (G,); the slope at length 0 is 0."""
        squares = rows.new_zeros(len(self.labels)).index_add(0, self.index, rows.square().sum(1))
        return root(squares)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the penalty of a weight."""
        rows = self._rows(wide(weight))
        factors = self._weights(rows)
        if self.penalty == "group-lasso":
            return (factors * self._norms(rows)).sum()
        each = 0.5 * rows.square() if self.penalty == "l2" else rows.abs()
        return (factors[self.index] * each.sum(1)).sum()

    @torch.no_grad()
    def proximal_step_(self, weight: Tensor, step: float) -> None:
        r"""Set the weight in place to :math:`\arg\min_v \lVert v - w \rVert^2 / 2 + \eta R(v)`, with η = ``step``."""
        step = check_number("step", step, 0)
        rows = self._rows(wide(weight))
        factors = step * self._weights(rows)
        if self.penalty == "l2":
            rows = rows / (1 + factors[self.index, None])
        elif self.penalty == "l1":
            rows = rows.sign() * (rows.abs() - factors[self.index, None]).clamp(min=0)
        else:
            norms = self._norms(rows)
            # A group that is all 0 divides 0 by the least positive number: it stays where it is.
            kept = 1 - factors / norms.clamp(min=torch.finfo(norms.dtype).tiny)
            rows = rows * kept.clamp(min=0)[self.index, None]
        moved = weight.movedim(self.dim, 0)
        moved.copy_(rows.reshape(moved.shape))

    def zero_groups(self, weight: Tensor) -> list[Hashable]:
        """Return the labels of the groups whose weights are all 0."""
        norms = self._norms(self._rows(weight.detach())).tolist()
        return [label for label, norm in zip(self.labels, norms, strict=True) if norm == 0]

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"groups={len(self.labels)}, penalty={self.penalty!r}, strength={self.strength:g}, dim={self.dim}"
