"""Items as what their content says plus what their users add: a variational autoencoder inside a factorization."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from fivefold.base.errors import DataError, InputTypeError
from fivefold.base.random import Streams
from fivefold.models.trees._validation import real, whole

from . import _factorization_kernels as kernels
from ._interactions import FactorModel, positive
from ._tables import Interactions, as_frame, codes_of, ids, read_interactions

if TYPE_CHECKING:
    import torch


class CollaborativeVAE(FactorModel):
    r"""Users' vectors, and items' vectors near the code that a variational autoencoder gives their content.

    .. math:: \min \sum_{i,j} \tfrac{c_{ij}}{2} (r_{ij} - u_i^T v_j)^2 + \tfrac{\lambda_u}{2} \|u\|^2
              + \sum_j \mathbb E_{q(z_j | x_j)} \Big[ \tfrac{\lambda_v}{2} \|v_j - z_j\|^2 - \ln p(x_j | z_j) \Big]
              + \mathrm{KL}\big(q(z_j | x_j) \,\|\, \mathcal N(0, I)\big)

    with r = 1 and c = a for pairs that met, else r = 0 and c = b < a. In turns: with the code's mean :math:`\mu_j` fixed,

    .. math:: u_i = (V^T C_i V + \lambda_u I)^{-1} V^T C_i r_i, \qquad
              v_j = (U^T C_j U + \lambda_v I)^{-1} (U^T C_j r_j + \lambda_v \mu_j),

    then the autoencoder takes steps on its part with v fixed. An item that nobody met has the vector :math:`\mu_j`.

    Parameters
    ----------
    factors : int >= 1, default 50
    hidden : int >= 1, default 100
        Units of the one hidden layer of encoder and decoder.
    a, b : float > 0, default 1.0 and 0.01
        Confidence of pairs that met and of the others.
    lambda_u, lambda_v : float > 0, default 0.1 and 10.0
    iterations : int >= 1, default 15
    pretrain_epochs, epochs : int >= 0, default 50 and 2
        Of the autoencoder: before the first turn, and in each.
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
        Weights of the encoder.

    Raises
    ------
    InputError, InputTypeError, DataError
        A parameter outside its range, content that misses an item or leaves [0, 1].

    Notes
    -----
    Without content every code is zero, which is weighted matrix factorization: the method's own baseline. The variance of the
    code enters the tie to v by its expectation, through samples, as the paper's SGVB does.

    References
    ----------
    Li & She 2017; ``04#cvae-rec``.
    """

    def __init__(
        self,
        *,
        factors: int = 50,
        hidden: int = 100,
        a: float = 1.0,
        b: float = 0.01,
        lambda_u: float = 0.1,
        lambda_v: float = 10.0,
        iterations: int = 15,
        pretrain_epochs: int = 50,
        epochs: int = 2,
        batch_size: int = 128,
        learning_rate: float = 0.001,
        user: str = "user",
        item: str = "item",
        rating: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.factors = factors
        self.hidden = hidden
        self.a = a
        self.b = b
        self.lambda_u = lambda_u
        self.lambda_v = lambda_v
        self.iterations = iterations
        self.pretrain_epochs = pretrain_epochs
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.user = user
        self.item = item
        self.rating = rating
        self.random_state = random_state

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
        items, values = self._content
        lost = codes_of(items, data.item_ids, "item") < 0
        if lost.any():
            raise DataError(
                f"The content lacks {int(lost.sum())} items of the table, such as {data.item_ids[lost][0].item()!r}."
            )
        return replace(data, items=codes_of(items, data.item_ids, "item")[data.items], item_ids=items)

    def _check(self, data: Interactions) -> None:
        for name in ("factors", "hidden", "iterations", "batch_size"):
            whole(name, getattr(self, name), low=1)
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
        other = met.T.tocsr()
        known = np.diff(other.indptr) > 0
        shape = (data.shape[1], self.factors)
        self.item_bias_ = np.zeros(shape[0])
        self.codes_ = np.zeros(shape)
        self.encoder_: list[np.ndarray] = []
        network = None
        if self._content is not None:
            network = Autoencoder(
                self._content[1], int(self.hidden), int(self.factors), float(self.learning_rate), streams
            )
            network.train(int(self.pretrain_epochs), int(self.batch_size))
            self.codes_ = network.codes()
        self.item_factors_ = self.codes_ + 0.01 * streams.numpy("items").normal(size=shape) * known[:, None]
        self.user_factors_ = np.zeros((data.shape[0], self.factors))
        for _ in range(self.iterations):
            self.user_factors_ = self._users(met.indptr, met.indices, self.item_factors_[known], known)
            self.item_factors_ = np.where(known[:, None], self._items(other), self.codes_)
            if network is not None:
                network.train(int(self.epochs), int(self.batch_size), self.item_factors_, known * float(self.lambda_v))
                self.codes_ = network.codes()
        self.item_factors_ = np.where(known[:, None], self.item_factors_, self.codes_)
        self.known_ = known
        if network is not None:
            self.encoder_ = network.encoder()

    def _users(self, starts: np.ndarray, items: np.ndarray, features: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Return the vectors (u, factors) of users with the items they met, from the vectors of the items that were met."""
        place = np.cumsum(known) - 1  # among those
        out = np.empty((len(starts) - 1, self.factors))
        ones = np.ones(len(items))
        base = self.b * features.T @ features
        rows = (starts.astype(np.int64), place[items].astype(np.int64), (self.a - self.b) * ones, self.a * ones)
        kernels.solve_rows(*rows, np.ascontiguousarray(features), base, float(self.lambda_u), out)
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
        # What was met of the items that nobody met before tells nothing of users: their vectors are codes.
        kept = self.known_[items] & (ratings > 0)
        ends = np.concatenate([[0], np.cumsum(kept)])[starts]
        vectors = self._users(ends, items[kept], self.item_factors_[self.known_], self.known_)
        return np.asarray(vectors @ self.item_factors_.T)

    def encode(self, content: Any) -> np.ndarray:
        """Return the means of the codes (n, factors) of the rows of a content table: the vectors of new items."""
        self._check_fitted()
        if not self.encoder_:
            raise DataError("The model was fitted without content, so it has no encoder; give `content` to `fit`.")
        values = _read_content(content, sort=False)[1]
        first, shift, second, offset = self.encoder_
        if values.shape[1] != first.shape[1]:
            raise DataError(
                f"The content has {values.shape[1]} columns of numbers, that of the training {first.shape[1]}."
            )
        return np.asarray(np.tanh(values @ first.T + shift) @ second.T + offset)[:, : self.factors]


def _read_content(content: Any, sort: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return the items and their numbers (n, d), in the order of the items if ``sort``."""
    frame = as_frame(content, "`content`")
    items = ids(frame, "item", "item")
    rest = frame.drop("item")
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
    if sort:
        order = np.argsort(items, kind="stable")
        items, values = items[order], values[order]
        if (items[1:] == items[:-1]).any():
            twice = items[1:][items[1:] == items[:-1]][0].item()
            raise DataError(f"The item {twice!r} has several rows of content; give one.")
    return items, values


def autoencoder_loss(
    x: torch.Tensor,
    mean: torch.Tensor,
    spread: torch.Tensor,
    z: torch.Tensor,
    logits: torch.Tensor,
    v: torch.Tensor,
    tie: torch.Tensor,
) -> torch.Tensor:
    """Return the mean over items of reconstruction (binary cross-entropy), KL and tie to v; ``spread`` is the log variance."""
    import torch

    again = torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)  # (n,)
    divergence = -0.5 * (1 + spread - mean**2 - spread.exp()).sum(1)
    return (again + divergence + 0.5 * tie * ((v - z) ** 2).sum(1)).mean()


class Autoencoder:
    """The network of the content (n, d), and how it is trained: Adam on samples of the code."""

    def __init__(self, values: np.ndarray, hidden: int, factors: int, rate: float, streams: Streams) -> None:
        import torch
        from torch import nn

        self.x = torch.from_numpy(values)
        self.draw = streams.torch("autoencoder")
        width = values.shape[1]
        sizes = ((width, hidden), (hidden, 2 * factors), (factors, hidden), (hidden, width))
        self.layers = [nn.Linear(i, o).double() for i, o in sizes]
        with torch.no_grad():
            for layer in self.layers:
                reach = (6 / (layer.in_features + layer.out_features)) ** 0.5
                layer.weight.uniform_(-reach, reach, generator=self.draw)
                layer.bias.zero_()
        self.optimizer = torch.optim.Adam([p for layer in self.layers for p in layer.parameters()], lr=rate)

    def _code(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, spread = self.layers[1](self.layers[0](x).tanh()).chunk(2, dim=1)  # (n, factors) each
        return mean, spread

    def train(self, epochs: int, batch_size: int, v: np.ndarray | None = None, tie: np.ndarray | None = None) -> None:
        """Take the steps of some epochs; ``v`` (n, factors) draws the codes with the strength ``tie`` (n,)."""
        import torch

        count = len(self.x)
        pull = torch.zeros(count, dtype=torch.float64) if tie is None else torch.from_numpy(tie)
        goal = torch.zeros(count, 1, dtype=torch.float64) if v is None else torch.from_numpy(v)
        for _ in range(epochs):
            for rows in torch.randperm(count, generator=self.draw).split(batch_size):
                mean, spread = self._code(self.x[rows])
                noise = torch.randn(mean.shape, generator=self.draw, dtype=torch.float64)
                z = mean + (0.5 * spread).exp() * noise
                logits = self.layers[3](self.layers[2](z).tanh())
                loss = autoencoder_loss(self.x[rows], mean, spread, z, logits, goal[rows], pull[rows])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()

    def codes(self) -> np.ndarray:
        """Return the means of the codes (n, factors)."""
        return np.array(self._code(self.x)[0].detach().numpy())

    def encoder(self) -> list[np.ndarray]:
        """Return the weights of the encoder."""
        return [np.array(p.detach().numpy()) for layer in self.layers[:2] for p in (layer.weight, layer.bias)]
