"""DeepGBM: boosted trees distilled into networks, beside a network for sparse fields, so that both learn online."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import Parameter

from fivefold.base.errors import CapabilityError, DataError, SpecError
from fivefold.base.random import Streams
from fivefold.data.batches import Batches
from fivefold.engine.estimator import _weights
from fivefold.engine.learner import PartSpec, Step, Steps, SupervisedLearner
from fivefold.engine.runtime import seeded
from fivefold.engine.schema import NetworkSchema
from fivefold.engine.trainer import Trainer
from fivefold.models.trees.boosting._statistics import ordered_means
from fivefold.models.trees.boosting.lightgbm import LGBMClassifier, LGBMRegressor

from ._base import CTRModel
from ._distillation import SMOOTHING, TreeGroups, TreePlan, category_means
from ._fields import is_rows, target_of, to_frame
from ._inputs import FieldLearner, FieldNetwork, Layout
from .deepfm import DeepFMNetwork

TOGETHER = 65536
"""Rows whose leaves are read at a time; as whole numbers of eight bytes those of all rows would fill the memory."""


class DeepGBMNetwork(DeepFMNetwork):
    """The network of :class:`DeepGBM`: the sparse part is that of DeepFM."""

    means: Tensor
    center: Tensor
    spread: Tensor
    numeric: Tensor

    def __init__(
        self,
        layout: Layout,
        plan: TreePlan,
        statistics: Mapping[str, NDArray[Any]],
        hidden_sizes: Sequence[int],
        tree_sizes: Sequence[int],
        leaf_dim: int,
        **options: Any,
    ) -> None:
        super().__init__(layout, hidden_sizes, **options)
        self.trees = TreeGroups(plan, leaf_dim, tree_sizes)
        self.mix = nn.Parameter(torch.ones(2))
        with torch.no_grad():
            self.bias.fill_(plan.base)
        numeric = torch.zeros(layout.width, dtype=torch.bool)
        numeric[list(layout.numeric)] = True
        self.register_buffer("numeric", numeric, persistent=False)
        for name in ("means", "center", "spread"):
            self.register_buffer(name, torch.from_numpy(statistics[name]), persistent=False)

    def columns(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return what the trees split on (batch, width), standardized: numbers, and means of the target by category."""
        if "ordered" in batch:
            found = batch["ordered"]
        else:
            found = torch.where(self.numeric, batch["vals"], self.means[batch["inds"]].to(batch["vals"].dtype))
        return ((found - self.center) / self.spread).to(batch["vals"].dtype)

    def distilled(self, h: Tensor) -> Tensor:
        """Return the trees' part of the score (batch,) from N."""
        return self.trees.scale * self.trees.read(h).sum(1)

    def joined(self, h: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the score (batch, 1) of both parts."""
        sparse = super().score(batch)
        return self.mix[0] * self.distilled(h).unsqueeze(1) + self.mix[1] * sparse

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        return self.joined(self.trees(self.columns(batch)), batch)


class DeepGBMLearner(FieldLearner):
    """Trains the leaves' embeddings to tell what the trees say, and the network to give these and the target."""

    def __init__(self, module: nn.Module, objective: Any, distillation: float) -> None:
        super().__init__(module, objective)
        self.distillation = distillation

    def parts(self) -> dict[str, Iterable[Parameter]]:
        trees = self.module.trees
        leaves = [trees.leaves.weight, trees.heads, trees.starts]
        own = {id(p) for p in leaves}
        return {"leaves": leaves, "model": [p for p in self.module.parameters() if id(p) not in own]}

    accumulates = True

    def steps(self, batch: Any) -> Steps:
        network = self.module
        h = network.trees.embedded(batch["leaves"])
        error = (network.trees.read(h) - network.trees.sums(batch["leaves"]).to(h.dtype)).square().mean(1)
        yield Step("leaves", self.reduced(error, batch))
        aim = network.trees.embedded(batch["leaves"]).detach()
        found = network.trees(network.columns(batch))
        loss = self.reduced(self.objective(network.joined(found, batch), batch.y), batch)
        distance = self.reduced((found - aim).square().mean((1, 2)), batch)
        if network.l2:
            loss = loss + network.penalty(batch)
        yield Step("model", loss + self.distillation * distance, {"distance": distance.detach()})


class DeepGBM(CTRModel):
    r"""DeepGBM: a network that has learned what boosted trees say, joined with a network for sparse fields.

    .. math:: z = w_1 \sum_T \big(w_T^\top N_T(x) + b_T\big) + w_2 \, z_{cat}(x), \qquad
        L = \ell(z, y) + \beta \, \overline{\lVert N_T(x) - H_T(x) \rVert^2}, \qquad
        H_T = \sum_{t \in T} \omega_{leaf_t(x)}

    Our LightGBM is fitted first. Its trees are put into random groups T; each group's leaves get vectors whose sum tells
    what the trees of the group add to the score, and a network on the columns of the group learns that sum. The trees
    are then no longer needed: :meth:`partial_fit` goes on with new rows, which trees cannot. :math:`z_{cat}` is DeepFM.

    Parameters
    ----------
    n_estimators : int >= 1, default 100
        Trees.
    num_leaves : int >= 2, default 31
        Of each tree.
    tree_learning_rate : float > 0, default 0.1
    n_groups : int >= 1, default 10
        Groups of trees, at most one a tree.
    columns_per_group : int >= 1, default 32
        Columns of the largest gain that the network of a group sees.
    leaf_dim : int >= 1, default 20
        Length of a leaf's vector.
    tree_sizes : sequence of int >= 1, default (64, 64)
        Layers of the network of each group.
    distillation : float >= 0, default 1
        :math:`\beta`.
    hidden_sizes : sequence of int >= 1, default (128, 64)
        Of DeepFM's perceptron.
    dropout : float in [0, 1), default 0
    batch_norm : bool, default True
        Both of DeepFM's perceptron.
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`. ``features`` must hold a field with one value.

    Attributes
    ----------
    teacher_ : LGBMClassifier or LGBMRegressor
        The trees.
    plan_ : TreePlan
        Their groups.
    statistics_ : dict
        Means of the target by category, center and spread of the trees' columns.
    n_updates_ : int
        Calls of :meth:`partial_fit`.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit, and features with sets and sequences alone.

    Notes
    -----
    Trees see a category as the mean of its target, in training that of the rows before it in a random order, so that no row
    sees its own. The paper trains the vectors of leaves before the networks; here each batch steps first the ones, then the
    others. Only end-to-end loss is left in :meth:`partial_fit`, as in the paper. Rows that ``validation_fraction`` holds out
    are kept from the trees too.

    References
    ----------
    Ke et al., "DeepGBM: a deep learning framework distilled by GBDT for online prediction tasks", KDD 2019; 04#deepgbm.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        num_leaves: int = 31,
        tree_learning_rate: float = 0.1,
        n_groups: int = 10,
        columns_per_group: int = 32,
        leaf_dim: int = 20,
        tree_sizes: Sequence[int] = (64, 64),
        distillation: float = 1.0,
        hidden_sizes: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        batch_norm: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.n_estimators = n_estimators
        self.num_leaves = num_leaves
        self.tree_learning_rate = tree_learning_rate
        self.n_groups = n_groups
        self.columns_per_group = columns_per_group
        self.leaf_dim = leaf_dim
        self.tree_sizes = tree_sizes
        self.distillation = distillation
        self.hidden_sizes = hidden_sizes
        self.dropout = dropout
        self.batch_norm = batch_norm

    def _first_order(self) -> bool:
        return True

    def _whole_parameters(self) -> tuple[tuple[str, int], ...]:
        return (("n_estimators", 1), ("num_leaves", 2), ("n_groups", 1), ("columns_per_group", 1), ("leaf_dim", 1))

    def _check_settings(self) -> None:
        super()._check_settings()
        name = type(self).__name__
        if not self.tree_learning_rate > 0:
            raise SpecError(f"{name}: tree_learning_rate must be greater than 0, got {self.tree_learning_rate!r}.")
        if not self.distillation >= 0:
            raise SpecError(f"{name}: distillation must be at least 0, got {self.distillation!r}.")

    def parts(self) -> dict[str, PartSpec]:
        """Return the two parts, with one way to be optimized."""
        return {"leaves": self.part(), "model": self.part()}

    def learner(self, module: nn.Module) -> SupervisedLearner:
        return DeepGBMLearner(module, self.objective(), float(self.distillation))

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return DeepGBMNetwork(
            layout,
            self.plan_,
            self.statistics_,
            self.hidden_sizes,
            self.tree_sizes,
            int(self.leaf_dim),
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            **self._options(),
        )

    # -- fitting ------------------------------------------------------------------------------------------------------

    def _hold_out(self, y: NDArray[Any], streams: Streams) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        return self._held

    def _train(self, X: Any, y: NDArray[Any], weight: NDArray[Any] | None, schema: NetworkSchema) -> None:
        if not self.encoder_.width:
            raise DataError("DeepGBM needs a field with one value a row, which trees can split; sets have none.")
        self.schema_ = schema
        streams = Streams.of(self.random_state).child("trees")
        self._held = super()._hold_out(y, streams)
        # A slice has no copy made of all rows.
        train = self._held[0] if self._held[0] is not None else slice(None)
        columns = self._columns(X, y, weight, train, streams)
        kind = LGBMRegressor if schema.task == "regression" else LGBMClassifier
        self.teacher_ = kind(
            n_estimators=int(self.n_estimators),
            num_leaves=int(self.num_leaves),
            learning_rate=float(self.tree_learning_rate),
            random_state=streams.integer("teacher"),
        ).fit(columns[train], y[train], None if weight is None else weight[train])
        most, width = int(self.columns_per_group), columns.shape[1]
        self.plan_ = TreePlan.of(self.teacher_.trees_, width, int(self.n_groups), most, streams)
        leaves = np.empty((len(columns), self.plan_.members.size), np.int32)
        sums = np.empty((len(columns), len(self.plan_.members)))
        for start in range(0, len(columns), TOGETHER):
            rows = slice(start, start + TOGETHER)
            leaves[rows] = self.plan_.leaves(self.teacher_.apply(columns[rows]))
            sums[rows] = self.plan_.sums(leaves[rows])
        spread = float(sums[train].std())
        self.plan_.scale = spread if spread > 0 else 1.0
        given = {**X, "ordered": columns.astype(schema.dtype_name), "leaves": leaves}
        del columns, sums
        super()._train(given, y, weight, schema)
        del self._held
        self.n_updates_ = 0

    def _columns(
        self,
        X: Mapping[str, Any],
        y: NDArray[Any],
        weight: NDArray[Any] | None,
        train: NDArray[Any] | slice,
        streams: Streams,
    ) -> NDArray[np.float64]:
        """Return what the trees split on (n, width), and keep what gives it for other rows."""
        inds, columns = X["inds"], X["vals"].astype(np.float64)
        target = y[train].astype(np.float64)
        weights = np.ones(len(target)) if weight is None else weight[train]
        category = np.setdiff1d(np.arange(inds.shape[1]), self.encoder_.numeric)
        means, prior = category_means(inds[train], category, target, weights, self.encoder_.rows)
        order = streams.numpy("order").permutation(len(target))
        before = np.empty(len(target))
        for column in category:
            columns[:, column] = means[inds[:, column]]
            codes = np.ascontiguousarray(inds[train, column])
            ordered_means(codes, order, target, weights, prior, SMOOTHING, len(means), before)
            columns[train, column] = before
        known = columns[train]
        spread, center = known.std(axis=0), known.mean(axis=0)
        self.statistics_ = {"means": means, "center": center, "spread": np.where(spread > 0, spread, 1.0)}
        return columns

    def fit_stream(self, source: Any, target: str = "label", **options: Any) -> Self:
        """Refuse: trees are grown from all rows at once.

        Raises
        ------
        CapabilityError
            Always.
        """
        raise CapabilityError("DeepGBM grows trees from all rows at once; use fit, then partial_fit on further rows.")

    def partial_fit(self, table: Any, target: Any = None, sample_weight: Any = None) -> Self:
        """Go on with new rows for one pass: all networks learn from the target alone, categories and means stay.

        Raises
        ------
        NotFittedError
            Before ``fit``, which grows the trees.
        DataError
            For labels that ``fit`` did not see.
        """
        self._check_fitted()
        if is_rows(table):
            frame, values = table, target_of(table, target)
        else:
            frame, values = self._split(to_frame(table), target)
        rows = self._encode(frame, self.schema_)
        if values.shape != (len(rows["inds"]),):
            raise DataError(
                f"The target has the shape {values.shape}, the table {len(rows['inds'])} rows; give one value a row."
            )
        fields: dict[str, Any] = {**rows, "y": self._known_targets(values)}
        weight = _weights(sample_weight, rows["vals"])
        if weight is not None:
            fields["weight"] = weight.astype(self.schema_.dtype_name)
        streams = Streams.of(self.random_state).child("online", self.n_updates_)
        batches = Batches(fields, min(int(self.batch_size), len(values)), seed=streams.integer("batches"))
        self.module_.requires_grad_(True)
        with seeded(streams, "online"):
            learner = FieldLearner(self.module_, self.objective())
        trainer = Trainer(1, parts={"model": self.part()}, seed=streams.integer("trainer"), device=self.device)
        trainer.fit(learner, batches, None)
        self.module_ = self.module_.to("cpu", self.schema_.dtype).eval().requires_grad_(False)
        self.n_updates_ += 1
        return self

    def _known_targets(self, values: NDArray[Any]) -> NDArray[Any]:
        if self.task == "regression":
            return self._targets(values)[0]
        texts = values.astype(str) if values.dtype.kind == "O" else values
        labels, codes = np.unique(texts, return_inverse=True)
        places = {label: place for place, label in enumerate(self.classes_.tolist())}
        wrong = next((label for label in labels.tolist() if label not in places), None)
        if wrong is not None:
            known = ", ".join(map(repr, places))
            raise DataError(f"The target holds the label {wrong!r}; this model knows {known}.")
        return np.array([places[label] for label in labels.tolist()], dtype=np.int64)[codes]
