"""The input layer that every model of click logs shares: one fused embedding table for all fields, and what trains it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fivefold.engine.learner import Step, Steps, SupervisedLearner

from ._dice import dice
from ._fields import FieldEncoder
from ._lookup import RowTable, unique
from ._tiles import compiled

EMBEDDING_STD = 0.01
"""Spread of new embeddings; N(0, 1) and U(-1, 1), which sources list too, are far too wide for products of them."""


@dataclass(frozen=True)
class SetField:
    """A set or sequence of categories as the network sees it."""

    name: str
    ordered: bool
    length: int
    candidate: int | None  # the column of ``inds`` that shares its table
    rows: tuple[int, int]  # the rows of its table, from and to


@dataclass(frozen=True)
class Layout:
    """What a network must know of the fields."""

    rows: int
    width: int
    numeric: tuple[int, ...]
    categorical: tuple[int, ...]
    sets: tuple[SetField, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, encoder: FieldEncoder) -> Layout:
        """Read it off a fitted encoder."""
        singles = encoder.singles
        sets = []
        for field in encoder.sets:
            table = field.table or field.name
            partners = [i for i, f in enumerate(singles) if f.kind == "categorical" and (f.table or f.name) == table]
            first = encoder.starts[table]
            sets.append(
                SetField(
                    field.name,
                    field.kind == "sequence",
                    encoder.lengths[field.name],
                    partners[0] if partners else None,
                    (first, first + encoder.tables[table].rows),
                )
            )
        numeric = tuple(encoder.numeric)
        categorical = tuple(i for i in range(len(singles)) if i not in numeric)
        counts = tuple(encoder.counts().tolist())
        return cls(encoder.rows, len(singles), numeric, categorical, tuple(sets), counts)

    @property
    def fields(self) -> int:
        """Vectors that :meth:`FusedTable.forward` gives for a row: one a field, sets pooled."""
        return self.width + len(self.sets)


class FusedTable(nn.Module):
    r"""Embeddings of all fields in one table, each field with rows of its own, and a first-order weight beside each.

    .. math:: e_f = v_{i_f} x_f, \qquad e_s = \frac{1}{|s|} \sum_{j \in s} v_j, \qquad
        \ell = \sum_f w_{i_f} x_f + \sum_s \frac{1}{|s|} \sum_{j \in s} w_j

    Parameters
    ----------
    layout : Layout
    dim : int
        Length of :math:`v`; the table has one column more for :math:`w`.
    sparse : bool
        Whether gradients name the looked-up rows only, so that a step costs as much as these.
    first_order : bool
        False leaves :math:`w` out; the first-order sum is then 0.
    """

    def __init__(self, layout: Layout, dim: int, sparse: bool, first_order: bool) -> None:
        super().__init__()
        self.layout = layout
        self.dim = dim
        self.table = RowTable(layout.rows, dim + first_order, sparse=sparse)
        with torch.no_grad():
            self.table.weight.normal_(0.0, EMBEDDING_STD)
            self.table.weight[:, dim:] = 0.0

    def singles(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the vectors and weights of the fields with one value a row (batch, width, dim + 1)."""
        return self.table.looked_up(batch["inds"], batch["vals"], self.table.embedding_dim)[0]

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the vectors of the fields (batch, fields, dim) and the first-order sum (batch,)."""
        vectors, weights = self.table.looked_up(batch["inds"], batch["vals"], self.dim)
        linear = weights.sum((1, 2))
        if self.layout.sets:
            pooled = torch.stack([self.pooled(batch[s.name]) for s in self.layout.sets], dim=1)
            vectors = torch.cat([vectors, pooled[:, :, : self.dim]], dim=1)
            linear = linear + pooled[:, :, self.dim :].sum((1, 2))
        return vectors, linear

    def pooled(self, codes: Tensor) -> Tensor:
        """Return the mean of the rows of each set (batch, dim + 1); an empty set gives 0."""
        mask = codes >= 0  # (batch, length)
        rows = self.table(codes.clamp(min=0)) * mask.unsqueeze(2)
        return rows.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)

    def vectors(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes of any shape (…, dim); those of padding are 0."""
        return self.table(codes.clamp(min=0))[..., : self.dim] * (codes >= 0).unsqueeze(-1)

    def penalty(self, batch: Mapping[str, Tensor], strength: float, counts: Tensor) -> Tensor:
        r"""Return the mini-batch-aware penalty :math:`\frac\lambda2 \sum_{j \in batch} \lVert (v_j, w_j) \rVert^2 / n_j`.

        :math:`n_j` counts the rows of training data that hold j, so an epoch adds up to about the usual L2 penalty.
        """
        codes = torch.cat([batch["inds"].reshape(-1), *(batch[s.name].reshape(-1) for s in self.layout.sets)])
        codes = unique(codes[codes >= 0], self.layout.rows)
        return 0.5 * strength * (self.table(codes).square().sum(1) / counts[codes].clamp(min=1)).sum()


class FieldNetwork(nn.Module):
    """Base of the networks: the fused table, its penalty, and a ``score`` of a few lines.

    Attributes
    ----------
    extra : scalar tensor or None
        What the last forward pass in training adds to the loss.
    """

    counts: Tensor

    def __init__(
        self, layout: Layout, dim: int, *, sparse: bool = False, l2: float = 0.0, first_order: bool = False
    ) -> None:
        super().__init__()
        self.layout = layout
        self.inputs = FusedTable(layout, dim, sparse, first_order)
        self.l2 = l2
        self.register_buffer("counts", torch.tensor(layout.counts), persistent=False)
        self.extra: Tensor | None = None

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return logits or values (batch, n_outputs)."""
        raise NotImplementedError

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        self.extra = None
        out = self.score(batch)
        if self.training and self.l2:
            self.add(self.penalty(batch))
        return out

    def penalty(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the penalty of the looked-up rows (scalar)."""
        return self.inputs.penalty(batch, self.l2, self.counts)

    def add(self, loss: Tensor) -> None:
        """Add a term to the loss of this batch."""
        self.extra = loss if self.extra is None else self.extra + loss


class FieldLearner(SupervisedLearner):
    """Trains a :class:`FieldNetwork`: the network sees the whole batch, and its ``extra`` joins the loss."""

    def outputs(self, batch: Mapping[str, Tensor]) -> Tensor:  # type: ignore[override]
        return self.module(batch)

    def steps(self, batch: Mapping[str, Tensor]) -> Steps:  # type: ignore[override]
        for step in super().steps(batch):  # type: ignore[arg-type]
            extra = self.module.extra
            yield step if extra is None else Step(step.part, step.loss + extra, {"extra": extra.detach()})


def perceptron(
    inputs: int,
    hidden_sizes: Sequence[int],
    *,
    dropout: float = 0.0,
    batch_norm: bool = True,
    activation: str = "relu",
) -> nn.Sequential:
    """Return layers matmul → batch norm → activation → dropout, the order of the sources; no layer for no size."""

    def layers() -> Iterator[nn.Module]:
        before = inputs
        for size in hidden_sizes:
            yield nn.Linear(before, size)
            if batch_norm:
                yield BatchNorm(size)
            yield ACTIVATIONS[activation](size)
            if dropout > 0:
                yield nn.Dropout(dropout)
            before = size

    return nn.Sequential(*layers())


def width_after(inputs: int, hidden_sizes: Sequence[int]) -> int:
    """Return the outputs of :func:`perceptron`."""
    return hidden_sizes[-1] if hidden_sizes else inputs


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that a batch of one row, which has no variance, passes with the running statistics."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) < 2:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(x)


class Dice(nn.Module):
    r"""Dice, a PReLU whose kink follows the data.

    .. math:: f(s) = p(s) s + (1 - p(s)) \alpha s, \qquad p(s) = \sigma\left(\frac{s - E[s]}{\sqrt{Var[s] + \epsilon}}\right)

    Mean and variance are those of the batch in training, of all rows but the last axis, and running ones afterwards.
    """

    def __init__(self, size: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.norm = BatchNorm(size, eps=eps, affine=False)
        self.alpha = nn.Parameter(torch.zeros(size))

    def forward(self, s: Tensor) -> Tensor:
        rows = s.reshape(-1, s.shape[-1])
        if self.training and len(rows) > 1 and compiled(rows, self.alpha):
            return dice(rows, self.alpha, self.norm).reshape(s.shape)
        p = torch.sigmoid(self.norm(rows)).reshape(s.shape)
        return p * s + (1 - p) * self.alpha * s


ACTIVATIONS: Mapping[str, Callable[[int], nn.Module]] = {
    "dice": Dice,
    "prelu": nn.PReLU,
    "relu": lambda size: nn.ReLU(),
}
"""What follows a layer of a perceptron, by name and width."""
