"""Wide & Deep: a linear model of crossed categories and a perceptron, each with an optimizer of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from fivefold.base.errors import DataError, SpecError
from fivefold.base.names import nearest
from fivefold.engine.learner import PartSpec, Step, Steps, SupervisedLearner

from ._base import CTRModel, with_lazy
from ._inputs import FieldLearner, FieldNetwork, Layout, perceptron, width_after
from ._lookup import RowTable

_MIX = 0x9E3779B1
"""An odd number near 2^32 times the golden ratio: it spreads pairs of codes over the buckets."""


class WideDeepNetwork(FieldNetwork):
    """The network of :class:`WideDeep`: ``wide`` and ``deep`` give one logit each."""

    def __init__(
        self,
        layout: Layout,
        crosses: Sequence[tuple[int, int]],
        cross_buckets: int,
        hidden_sizes: Sequence[int],
        *,
        dropout: float = 0.0,
        batch_norm: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(layout, **options)
        self.crosses = tuple(crosses)
        self.buckets = cross_buckets
        self.weights = RowTable(layout.rows + len(crosses) * cross_buckets, 1, sparse=options.get("sparse", False))
        nn.init.zeros_(self.weights.weight)
        size = layout.fields * self.inputs.dim
        self.layers = perceptron(size, hidden_sizes, dropout=dropout, batch_norm=batch_norm)
        self.out = nn.Linear(width_after(size, hidden_sizes), 1)

    def crossed(self, inds: Tensor) -> Tensor:
        """Return the rows of the crossed categories (batch, crosses)."""
        codes = []
        for k, (a, b) in enumerate(self.crosses):
            codes.append(self.layout.rows + k * self.buckets + (inds[:, a] * _MIX + inds[:, b]) % self.buckets)
        return torch.stack(codes, dim=1)

    def wide(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the linear part (batch,): fields, pooled sets, crossed categories."""
        total = (self.weights(batch["inds"])[:, :, 0] * batch["vals"]).sum(1)
        for s in self.layout.sets:
            mask = batch[s.name] >= 0
            values = self.weights(batch[s.name].clamp(min=0))[:, :, 0] * mask
            total = total + values.sum(1) / mask.sum(1).clamp(min=1)
        if self.crosses:
            total = total + self.weights(self.crossed(batch["inds"]))[:, :, 0].sum(1)
        return total

    def deep(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the perceptron's part (batch,)."""
        e, _ = self.inputs(batch)
        return self.out(self.layers(e.flatten(1)))[:, 0]

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        return (self.wide(batch) + self.deep(batch)).unsqueeze(1)


class WideDeepLearner(FieldLearner):
    """Joint training: both parts step along the gradient of one loss at one point, each with its optimizer."""

    def parts(self) -> dict[str, Iterable[Parameter]]:
        wide = list(self.module.weights.parameters())
        own = {id(p) for p in wide}
        return {"wide": wide, "deep": [p for p in self.module.parameters() if id(p) not in own]}

    def steps(self, batch: Any) -> Steps:
        wide, deep = self.module.wide(batch), self.module.deep(batch)

        def loss(logit: Tensor) -> Tensor:
            return self.reduced(self.objective(logit.unsqueeze(1), batch.y), batch)

        # Each loss reaches through its own part alone, so that the first step leaves the second's graph as it was.
        yield Step("wide", loss(wide + deep.detach()))
        deep_loss = loss(wide.detach() + deep)
        if self.module.l2:
            deep_loss = deep_loss + self.module.penalty(batch)
        yield Step("deep", deep_loss)


class WideDeep(CTRModel):
    r"""Wide & Deep: memorized crosses of categories and a generalizing perceptron, trained jointly.

    .. math:: z = w^\top [x, \phi(x)] + w_{out}^\top \mathrm{MLP}(v_1 x_1 \oplus \dots \oplus v_F x_F) + b, \qquad
        \phi_k(x) = \prod_i x_i^{c_{ki}}

    Parameters
    ----------
    crosses : sequence of pairs of columns, default ()
        Categorical fields whose combinations get a weight each in the wide part.
    cross_buckets : int >= 1, default 65536
        Rows into which the combinations of a pair are hashed.
    hidden_sizes : sequence of int >= 1, default (128, 64)
    dropout : float in [0, 1), default 0
    batch_norm : bool, default True
    optimizer : str, default "adagrad"
        Of the deep part.
    learning_rate : float >= 0, default 0.02
        Of the deep part.
    wide_optimizer : str, default "ftrl"
    wide_learning_rate : float > 0, default 0.05
    wide_l1 : float >= 0, default 1e-5
        FTRL's L1 penalty, which keeps rare weights at exactly 0.
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit; crosses of columns that are no categorical fields.

    Notes
    -----
    The listing under this title in one source is DeepFM's; this is the paper's model, with the wide part trained by FTRL with
    L1 and the deep part by AdaGrad.

    References
    ----------
    Cheng et al., "Wide & deep learning for recommender systems", DLRS 2016; 04#wide-deep.
    """

    def __init__(
        self,
        *,
        crosses: Sequence[Sequence[str]] = (),
        cross_buckets: int = 65536,
        hidden_sizes: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        batch_norm: bool = True,
        optimizer: str = "adagrad",
        learning_rate: float = 0.02,
        wide_optimizer: str = "ftrl",
        wide_learning_rate: float = 0.05,
        wide_l1: float = 1e-5,
        **common: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, learning_rate=learning_rate, **common)
        self.crosses = crosses
        self.cross_buckets = cross_buckets
        self.hidden_sizes = hidden_sizes
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.wide_optimizer = wide_optimizer
        self.wide_learning_rate = wide_learning_rate
        self.wide_l1 = wide_l1

    def _whole_parameters(self) -> tuple[tuple[str, int], ...]:
        return (("cross_buckets", 1),)

    def _check_settings(self) -> None:
        super()._check_settings()
        if not self.wide_learning_rate > 0:
            raise SpecError(f"WideDeep: wide_learning_rate must be greater than 0, got {self.wide_learning_rate!r}.")
        if not self.wide_l1 >= 0:
            raise SpecError(f"WideDeep: wide_l1 must be at least 0, got {self.wide_l1!r}.")

    def learner(self, module: nn.Module) -> SupervisedLearner:
        return WideDeepLearner(module, self.objective())

    def parts(self) -> dict[str, PartSpec]:
        """Return the two parts with their optimizers."""
        options = {"lr": self.wide_learning_rate}
        if self.wide_optimizer == "ftrl":
            options["l1"] = self.wide_l1
        wide = PartSpec(optimizer=self.wide_optimizer, options=options)
        return {"wide": with_lazy(wide) if self.updates == "lazy" else wide, "deep": self.part()}

    def _by_rows(self) -> bool:
        return self.updates == "lazy"

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        names = [field.name for field in self.encoder_.singles]
        known = [names[i] for i in layout.categorical]
        pairs = []
        for pair in self.crosses:
            if len(pair) != 2:
                raise DataError(f"crosses holds {tuple(pair)!r}; each is a pair of columns.")
            for name in pair:
                if name not in known:
                    near = ", ".join(nearest(name, known)) if known else "none"
                    raise DataError(f"crosses names {name!r}, which is no categorical field; did you mean {near}?")
            pairs.append((names.index(pair[0]), names.index(pair[1])))
        return WideDeepNetwork(
            layout,
            pairs,
            self.cross_buckets,
            self.hidden_sizes,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            **self._options(),
        )
