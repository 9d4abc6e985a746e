"""Items as what their content says plus what their users add: a variational autoencoder inside a factorization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from fivefold.base.checks import real, whole
from fivefold.base.errors import CapabilityError, DataError, InputTypeError
from fivefold.base.random import Streams
from fivefold.data.batches import Batch, Batches
from fivefold.engine.learner import Learner, PartSpec, Step, Steps
from fivefold.engine.runtime import seeded
from fivefold.engine.trainer import Trainer
from fivefold.models.nn.perceptron import Perceptron

from . import _factorization_kernels as kernels
from ._interactions import FactorModel, positive
from ._tables import Interactions, as_frame, codes_of, ids, read_interactions

_START = 0.01
"""Spread of what the first vectors of the items differ from their codes by; the turns forget it."""


class CollaborativeVAE(FactorModel):
    r"""Users' vectors, and items' vectors near the code that a variational autoencoder gives their content.

    .. math:: \min \sum_{i,j} \tfrac{c_{ij}}{2} (r_{ij} - u_i^T v_j)^2 + \tfrac{\lambda_u}{2} \|u\|^2
              + \sum_j \mathbb E_{q(z_j | x_j)} \Big[ \tfrac{\lambda_v}{2} \|v_j - z_j\|^2 - \ln p(x_j | z_j) \Big]
              + \mathrm{KL}\big(q(z_j | x_j) \,\|\, \mathcal N(0, I)\big)

    with r = 1 and c = a for pairs that met, else r = 0 and c = b < a. In turns: with the means :math:`\mu_j` of the codes fixed,

    .. math:: u_i = (V^T C_i V + \lambda_u I)^{-1} V^T C_i r_i, \qquad
              v_j = (U^T C_j U + \lambda_v I)^{-1} (U^T C_j r_j + \lambda_v \mu_j),

    then the autoencoder takes gradient steps on its part with v fixed, on samples :math:`z_j \sim q(z_j | x_j) = \mathcal
    N(\mu_j, \mathrm{diag}(\sigma_j^2))`. An item that nobody met has no ratings to add: its vector is :math:`\mu_j`.

    Parameters
    ----------
    factors : int >= 1, default 50
    hidden_layer_sizes : sequence of int >= 1, default (200, 100)
        Units of the encoder's layers (tanh); the decoder has them in reverse.
    a : float > b, default 1.0
        Confidence of pairs that met.
    b : float > 0, default 0.01
        Confidence of the others.
    lambda_u, lambda_v : float > 0, default 0.1 and 10.0
    iterations : int >= 1, default 15
        Turns of users and items.
    pretrain_epochs, epochs : int >= 0, default 50 and 2
        Passes of the autoencoder over the items: before the first turn, and between two.
    batch_size : int >= 1, default 128
    learning_rate : float > 0, default 0.001
        Of Adam.
    user, item : str, default "user" and "item"
    rating : str or None, default None
        Not used: that two met is all that counts. Named, it must hold amounts >= 0; 0 is no meeting.
    random_state : int, generator or None, default None

    Attributes
    ----------
    user_factors_ : array (n_users, factors)
    item_factors_ : array (n_items, factors)
    codes_ : array (n_items, factors)
        The means of the codes; zeros without content.
    encoder_ : list of arrays
        Weights and shifts of the encoder's layers; empty without content.
    content_columns_ : list of str
        Of the content, in the encoder's order.
    history_ : list of dict
        One record an epoch of the autoencoder.

    Raises
    ------
    InputError, InputTypeError, DataError
        A parameter outside its range, content that misses an item or leaves [0, 1].

    Notes
    -----
    Without content every code is zero, which is weighted matrix factorization: the method's own baseline. Items that nobody met
    are left out of the users' problems, as in the authors' program: their zeros tell nothing of taste. The last turn comes after
    the last epoch of the autoencoder, so that u and v are the solutions for the codes that are kept.

    References
    ----------
    Li & She 2017; ``04#cvae-rec``.
    """

    def __init__(
        self,
        *,
        factors: int = 50,
        hidden_layer_sizes: Sequence[int] = (200, 100),
        a: float = 1.0,
        b: float = 0.01,
        lambda_u: float = 0.1,
        lambda_v: float = 10.0,
        iterations: int = 15,
        pretrain_epochs: int = 50,
        epochs: int = 2,
        batch_size: int = 128,
        learning_rate: float = 0.001,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.factors = factors
        self.hidden_layer_sizes = hidden_layer_sizes
        self.a = a
        self.b = b
        self.lambda_u = lambda_u
        self.lambda_v = lambda_v
        self.iterations = iterations
        self.pretrain_epochs = pretrain_epochs
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def fit(self, table: Any, sample_weight: Any = None, content: Any = None) -> Self:
        """Learn from interactions and the content of the items.

        Parameters
        ----------
        table, sample_weight
            As of :class:`~fivefold.models.recommend._interactions.Recommender`; a weight only says whether a row counts.
        content : table with a column ``item`` and numbers in [0, 1], optional
            One row an item, for every item of the table; those that nobody met join the catalogue.
        """
        self._content = None if content is None else _read_content(content)
        try:
            return super().fit(table, sample_weight)
        finally:
            del self._content

    def _read(self, table: Any, sample_weight: Any) -> Interactions:
        data = read_interactions(table, self.user, self.item, self.rating, sample_weight)
        if self._content is None:
            return data
        items, _, _ = self._content
        place = codes_of(items, data.item_ids, "item")
        lost = place < 0
        if lost.any():
            raise DataError(
                f"The content lacks {int(lost.sum())} items of the table, such as {data.item_ids[lost][0].item()!r}."
            )
        return replace(data, items=place[data.items], item_ids=items)

    def _check(self, data: Interactions) -> None:
        for name in ("factors", "iterations", "batch_size"):
            whole(name, getattr(self, name), low=1)
        for size in self.hidden_layer_sizes:
            whole("hidden_layer_sizes", size, low=1)
        for name in ("pretrain_epochs", "epochs"):
            whole(name, getattr(self, name), low=0)
        for name in ("a", "b", "lambda_u", "lambda_v", "learning_rate"):
            real(name, getattr(self, name), low=0.0, above=True)
        if self.b >= self.a:
            raise DataError(f"b is {self.b} and a {self.a}; what met counts for more than what did not: give b < a.")
        positive(data.ratings, "The collaborative VAE")

    def _learn(self, data: Interactions) -> None:
        streams = Streams.of(self.random_state)
        met = data.matrix() > 0
        self.known_ = np.asarray(met.sum(axis=0) > 0)
        self.item_bias_ = np.zeros(data.shape[1])
        self.codes_ = np.zeros((data.shape[1], self.factors))
        self.user_factors_ = np.zeros((data.shape[0], self.factors))
        self.encoder_: list[np.ndarray] = []
        self.history_: list[dict[str, Any]] = []
        start = _START * streams.numpy("items").normal(size=self.codes_.shape) * self.known_[:, None]
        if self._content is None:
            self.item_factors_ = start
            for _ in range(self.iterations):
                self._turn(met)
            return
        self.content_columns_ = self._content[2]
        values = self._content[1].astype(np.float32)
        sizes = (values.shape[1], *self.hidden_layer_sizes)
        with seeded(streams, "init"):
            learner = ContentLearner(sizes, int(self.factors), float(self.lambda_v), torch.from_numpy(self.known_))
        turns = Turns(self, learner, met, values, start, streams.integer("batches"))
        # The last turn comes when all epochs are over; each of the others comes before its epochs.
        total = int(self.pretrain_epochs) + (self.iterations - 1) * int(self.epochs)
        if total:
            trainer = Trainer(
                max_epochs=total,
                parts={"model": PartSpec(options={"lr": float(self.learning_rate)})},
                seed=streams.integer("trainer"),
            )
            self.history_ = list(trainer.fit(learner, turns).epochs)
        for _ in range(1 if self.epochs else self.iterations):
            turns.turn()
        self.encoder_ = learner.encoder_weights()

    def _turn(self, met: Any) -> None:
        """Solve for the vectors of the users, then of the items that somebody met; the others' are their codes."""
        self.user_factors_ = self._users(met.indptr, met.indices)
        self.item_factors_ = np.where(self.known_[:, None], self._items(met.T.tocsr()), self.codes_)

    def _users(self, starts: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the vectors (u, factors) of users who met items[starts[i]:starts[i + 1]]."""
        v, out = self.item_factors_, np.empty((len(starts) - 1, self.factors))
        base = self.b * v[self.known_].T @ v[self.known_]
        # Confidence a replaces the b of items that are in the base; of the others, met by a new user, there is none to replace.
        extra = self.a - self.b * self.known_[items]
        right = np.full(len(items), float(self.a))
        rows = (starts.astype(np.int64), items.astype(np.int64), extra, right)
        kernels.solve_rows(*rows, v, base, float(self.lambda_u), out)
        return out

    def _items(self, met: Any) -> np.ndarray:
        """Return the vectors (n_items, factors) of items with the users who met them."""
        users, count = self.user_factors_, met.shape[0]
        # The code of an item joins the right side as one more row, of weight 0.
        size = np.diff(met.indptr)
        ends = np.cumsum(size)
        index = np.insert(met.indices.astype(np.int64), ends, len(users) + np.arange(count))
        extra = np.insert(np.full(len(met.indices), self.a - self.b), ends, 0.0)
        right = np.insert(np.full(len(met.indices), float(self.a)), ends, float(self.lambda_v))
        starts = np.concatenate([[0], np.cumsum(size + 1)]).astype(np.int64)
        out = np.empty((count, self.factors))
        features = np.concatenate([users, self.codes_])
        kernels.solve_rows(starts, index, extra, right, features, self.b * users.T @ users, float(self.lambda_v), out)
        return out

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        positive(ratings, "The collaborative VAE")
        kept = ratings > 0
        ends = np.concatenate([[0], np.cumsum(kept)])[starts]
        return np.asarray(self._users(ends, items[kept]) @ self.item_factors_.T)

    def encode(self, content: Any) -> np.ndarray:
        """Return the means of the codes (n, factors) of the rows of a content table: the vectors of new items."""
        self._check_fitted()
        if not self.encoder_:
            raise DataError("The model was fitted without content, so it has no encoder; give `content` to `fit`.")
        _, values, _ = _read_content(content, self.content_columns_)
        for weight, shift in zip(self.encoder_[:-2:2], self.encoder_[1:-2:2]):
            values = np.tanh(values @ weight.T + shift)
        return np.asarray(values @ self.encoder_[-2].T + self.encoder_[-1])[:, : self.factors]


def _read_content(content: Any, columns: list[str] | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return items, their numbers (n, d) and the names of these columns; items are sorted unless ``columns`` are asked for."""
    frame = as_frame(content, "`content`")
    items = ids(frame, "item", "item")
    rest = frame.drop("item")
    if columns is not None:
        lost = [name for name in columns if name not in rest.columns]
        if lost:
            raise DataError(f"The content lacks columns of the training: {', '.join(lost[:10])}; give all of them.")
        rest = rest.select(columns)
    wrong = [name for name, kind in rest.schema.items() if not (kind.is_numeric() or kind == pl.Boolean)]
    if wrong or not rest.width:
        name = f"the column {wrong[0]!r}, which holds {rest.schema[wrong[0]]}" if wrong else "no column beside item"
        raise InputTypeError(f"The content has {name}; give columns of numbers in [0, 1].")
    values = rest.cast(pl.Float64).to_numpy()
    inside = (values >= 0) & (values <= 1)
    if not inside.all():
        row, column = np.argwhere(~inside)[0]
        raise DataError(
            f"Row {row} of the content is {values[row, column]} in {rest.columns[column]!r}; give numbers in [0, 1]."
        )
    if columns is None:
        order = np.argsort(items, kind="stable")
        items, values = items[order], values[order]
        if (items[1:] == items[:-1]).any():
            twice = items[1:][items[1:] == items[:-1]][0].item()
            raise DataError(f"The item {twice!r} has several rows of content; give one.")
    return items, values, rest.columns


def content_loss(
    x: Tensor, mean: Tensor, log_variance: Tensor, z: Tensor, logits: Tensor, v: Tensor, tie: Tensor
) -> Tensor:
    """Return cross-entropy of the content + KL of the code to N(0, I) + half the tie times the square of v - z, (batch,)."""
    reconstruction = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1)
    return reconstruction + divergence + 0.5 * tie * ((v - z) ** 2).sum(1)


class ContentLearner(Learner):
    """The autoencoder of the content; ``v`` draws the codes of the items that somebody met once a turn has set it.

    Parameters
    ----------
    sizes : sequence of int
        Columns of the content, then the units of the encoder's layers.
    factors : int
    lambda_v : float
    known : bool (n_items,)
    """

    accumulates = True
    defaults: ClassVar[dict[str, PartSpec]] = {"model": PartSpec()}

    def __init__(self, sizes: Sequence[int], factors: int, lambda_v: float, known: Tensor) -> None:
        super().__init__()
        self.factors = factors
        self.lambda_v = lambda_v
        self.encoder = Perceptron((*sizes, 2 * factors), "tanh")
        self.decoder = Perceptron((factors, *sizes[::-1]), "tanh")
        self.register_buffer("known", known)
        self.register_buffer("tie", torch.zeros(len(known)))  # nothing draws the codes before the first turn
        self.register_buffer("v", torch.zeros(len(known), factors))
        self.turns: Turns | None = None

    def code(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log variances of the codes, (batch, factors) each."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance

    def losses(self, batch: Batch) -> Tensor:
        """Return the loss of each item (batch,), on one sample of its code."""
        mean, log_variance = self.code(batch.x)
        z = mean + (0.5 * log_variance).exp() * batch.randn("code", self.factors)
        v, tie = self.v[batch.index], self.tie[batch.index]  # type: ignore[index]
        return content_loss(batch.x, mean, log_variance, z, self.decoder(z), v, tie)

    def steps(self, batch: Batch) -> Steps:
        yield Step("model", self.losses(batch).mean())

    @torch.no_grad()
    def draw(self, v: np.ndarray) -> None:
        """From now on draw the codes of known items to ``v`` (n_items, factors)."""
        self.v.copy_(torch.from_numpy(v))  # type: ignore[operator]
        self.tie.copy_(self.known * self.lambda_v)  # type: ignore[operator]

    def encoder_weights(self) -> list[np.ndarray]:
        """Return weights and shifts of the encoder's layers."""
        return [p.detach().cpu().numpy().astype(np.float64) for p in self.encoder.parameters()]

    def extra_state(self) -> dict[str, Any]:
        return {} if self.turns is None else self.turns.get_state()

    def load_extra_state(self, state: dict[str, Any]) -> None:
        if self.turns is not None:
            self.turns.set_state(state)


class Turns:
    """Batches of items for the engine; a turn of users and items precedes its epochs, once pretraining is over."""

    def __init__(
        self,
        model: CollaborativeVAE,
        learner: ContentLearner,
        met: Any,
        values: np.ndarray,
        start: np.ndarray,
        seed: int,
    ) -> None:
        self.model, self.learner, self.met = model, learner, met
        self.values = torch.from_numpy(values)
        self.batches = Batches({"x": values}, batch_size=int(model.batch_size), seed=seed, index=True)
        self.start = start  # what the first vectors of the items differ from their codes by
        self.begun = False
        learner.turns = self

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, epoch: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        if world > 1:
            raise CapabilityError("The collaborative VAE is trained in one process; run it with --devices 1.")
        late = epoch - int(self.model.pretrain_epochs)
        if start == 0 and late >= 0 and late % int(self.model.epochs) == 0:
            self.turn()
        yield from self.batches.epoch(epoch, start)

    @torch.no_grad()
    def turn(self) -> None:
        """Read the codes, solve for users and items, and let the items' vectors draw the codes."""
        device = next(self.learner.parameters()).device
        model = self.model
        model.codes_ = self.learner.code(self.values.to(device))[0].cpu().numpy().astype(np.float64)
        if not self.begun:
            model.item_factors_, self.begun = model.codes_ + self.start, True
        model._turn(self.met)
        self.learner.draw(model.item_factors_)

    def get_state(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {"begun": self.begun, "items": self.model.item_factors_ if self.begun else self.start}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned."""
        self.begun = bool(state["begun"])
        if self.begun:
            self.model.item_factors_ = np.asarray(state["items"])
