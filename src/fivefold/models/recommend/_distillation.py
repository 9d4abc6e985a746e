"""What a network learns from boosted trees: groups of them, embeddings of their leaves, and numbers that trees can split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fivefold.base.codec import Stateful
from fivefold.base.random import Streams

from ._inputs import BatchNorm

SMOOTHING = 10.0
"""Rows at the overall mean that are added to each category before its mean is taken."""

LEAF_STD = 0.01
"""Spread of the leaves' vectors before training."""


def category_means(
    inds: NDArray[Any], fields: NDArray[Any], y: NDArray[Any], weight: NDArray[Any], rows: int
) -> tuple[NDArray[np.float64], float]:
    """Return the smoothed weighted mean of the target of each row of the table (rows,) in these fields, and the overall mean."""
    prior = float(np.average(y, weights=weight))
    totals, counts = np.full(rows, SMOOTHING * prior), np.full(rows, SMOOTHING)
    # One field at a time: all at once would repeat target and weight n * fields times.
    for field in fields:
        totals += np.bincount(inds[:, field], weights=weight * y, minlength=rows)
        counts += np.bincount(inds[:, field], weights=weight, minlength=rows)
    return totals / counts, prior


@dataclass
class TreePlan(Stateful):
    """How trees are put into groups, and the columns each group looks at.

    Attributes
    ----------
    members : int64 (groups, most), numbers of the trees, -1 where a group has fewer
    columns : int64 (groups, k), those of largest gain in the group
    used : float64 (groups, k), 1 where the group splits on the column
    offset : int64 (trees + 1,), the first node of each tree among all nodes
    values : float64 (nodes + 1,), what a leaf adds to the score; the last stands for a tree that is not there
    base : float, the score before the first tree
    scale : float > 0, spread of the groups' sums in training
    """

    members: NDArray[Any]
    columns: NDArray[Any]
    used: NDArray[Any]
    offset: NDArray[Any]
    values: NDArray[Any]
    base: float
    scale: float

    def get_state(self) -> dict[str, Any]:
        """Return the attributes."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TreePlan:
        """Build it again."""
        return cls(**state)

    @classmethod
    def of(cls, trees: Any, n_columns: int, groups: int, most_columns: int, streams: Streams) -> TreePlan:
        """Draw groups of near equal size of fitted boosted trees."""
        total = len(trees)
        groups = min(groups, total)
        per = -(-total // groups)
        members = np.full(groups * per, -1, dtype=np.int64)
        members[:total] = streams.numpy("groups").permutation(total)
        # Column by column, so that sizes differ by one at most.
        members = members.reshape(per, groups).T.copy()
        group = np.empty(total, dtype=np.int64)
        present = members >= 0
        group[members[present]] = np.nonzero(present)[0]
        tree = np.repeat(np.arange(total), np.diff(trees.offset))
        gain = np.zeros((groups, n_columns))
        inner = trees.feature >= 0
        np.add.at(gain, (group[tree[inner]], trees.feature[inner]), trees.gain[inner])
        columns = np.argsort(-gain, axis=1, kind="stable")[:, :most_columns]
        used = (np.take_along_axis(gain, columns, axis=1) > 0).astype(np.float64)
        values = np.concatenate([np.where(inner, 0.0, trees.value), [0.0]])
        return cls(members, columns, used, trees.offset.copy(), values, float(trees.base[0]), 1.0)

    def leaves(self, found: NDArray[Any]) -> NDArray[np.int32]:
        """Return the leaves (n, groups * most) among all nodes, group by group, of those within each tree (n, trees)."""
        places = (found + self.offset[:-1]).astype(np.int32)
        absent = np.full((len(places), 1), len(self.values) - 1, dtype=np.int32)
        return np.concatenate([places, absent], axis=1)[:, self.members.reshape(-1)]

    def sums(self, leaves: NDArray[Any]) -> NDArray[np.float64]:
        """Return what each group adds to the score (n, groups)."""
        return self.values[leaves].reshape(len(leaves), *self.members.shape).sum(2)


class GroupLinear(nn.Module):
    """A dense layer for each group: (batch, groups, inputs) -> (batch, groups, outputs)."""

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(groups, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(groups, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bgi,gio->bgo", x, self.weight) + self.bias


class TreeGroups(nn.Module):
    r"""Networks that stand for groups of trees, on the columns that these split on.

    .. math:: H_T = \sum_{t \in T} \omega_{leaf_t(x)}, \quad w_T^\top H_T + b_T \approx \sum_{t \in T} q_t(x), \quad
        N_T(x) \approx H_T, \quad y(x) = \sum_T w_T^\top N_T(x) + b_T

    Parameters
    ----------
    plan : TreePlan
    leaf_dim : int
        Length of :math:`\omega`.
    hidden_sizes : sequence of int
        Layers of each network, with batch norm and ReLU.
    """

    columns: Tensor
    used: Tensor
    values: Tensor

    def __init__(self, plan: TreePlan, leaf_dim: int, hidden_sizes: Any) -> None:
        super().__init__()
        groups, most = plan.members.shape
        self.shape, self.scale = (groups, most), plan.scale
        for name, array in (("columns", plan.columns), ("used", plan.used), ("values", plan.values)):
            self.register_buffer(name, torch.from_numpy(array), persistent=False)
        nodes = len(plan.values)
        self.leaves = nn.Embedding(nodes, leaf_dim, padding_idx=nodes - 1)
        with torch.no_grad():
            self.leaves.weight.mul_(
                LEAF_STD
            )  # what is drawn and not learned is noise that the networks would have to fit
        self.heads = nn.Parameter(torch.randn(groups, leaf_dim) / leaf_dim**0.5)
        self.starts = nn.Parameter(torch.zeros(groups))
        self.linears, self.norms = nn.ModuleList(), nn.ModuleList()
        before = plan.columns.shape[1]
        for size in hidden_sizes:
            self.linears.append(GroupLinear(groups, before, size))
            self.norms.append(BatchNorm(groups * size))
            before = size
        self.out = GroupLinear(groups, before, leaf_dim)

    def embedded(self, leaves: Tensor) -> Tensor:
        """Return H (batch, groups, leaf_dim) of leaves (batch, groups * most)."""
        return self.leaves(leaves.reshape(-1, *self.shape)).sum(2)

    def sums(self, leaves: Tensor) -> Tensor:
        """Return what the trees of each group add to the score, in units of ``scale`` (batch, groups)."""
        return self.values[leaves.long()].reshape(-1, *self.shape).sum(2) / self.scale

    def read(self, h: Tensor) -> Tensor:
        """Return w H + b (batch, groups) of H, or of what stands for it."""
        return (h * self.heads).sum(2) + self.starts

    def forward(self, x: Tensor) -> Tensor:
        """Return N (batch, groups, leaf_dim) for x (batch, columns)."""
        z = x[:, self.columns] * self.used.to(x.dtype)
        for linear, norm in zip(self.linears, self.norms):
            z = linear(z)
            z = torch.relu(norm(z.flatten(1)).reshape(z.shape))
        return self.out(z)
