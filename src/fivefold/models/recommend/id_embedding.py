"""Vectors of items and of their attributes, learned together, so that new items and users of another shop have vectors too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import polars as pl

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.random import Streams
from fivefold.data.sessions import skip_gram_pairs
from fivefold.data.word_vectors import falling_rates

from ._embedding import SkipGram, keys_of, pieces_of
from ._id_kernels import train_joint
from .listing_embedding import read_sessions


class IDEmbedding(SkipGram):
    r"""Vectors of items and of their attributes (shop, brand, category), such that items viewed near each other are alike.

    .. math:: \max \frac1N \sum_n \Big[ \sum_{0 < |j| \le C} \ln p(n + j \mid n)
              + \alpha \ln \sigma\Big( \sum_{k \ge 2} w_{nk}\, e_{n1}^\top M_k\, e_{nk} \Big) - \beta \sum_k \|M_k\|^2 \Big],

    .. math:: p(j \mid i) = \sigma\Big( \sum_k w_{jk} w_{ik}\, e_{jk}'^\top e_{ik} \Big)
              \prod_s \sigma\Big( -\sum_k w_{sk} w_{ik}\, e_{sk}'^\top e_{ik} \Big), \qquad w_{i1} = 1, \quad
              w_{ik} = 1 / V_{ik}

    over items i with the ids k = 1 (itself), 2, … K (attributes); V is the number of items that share the attribute, the s are
    noise. A new item has the vector that its attributes make most likely,

    .. math:: e_{i1} \approx \sum_{k \ge 2} w_{ik} M_k e_{ik},

    and a user the mean vector of the latest items.

    Parameters
    ----------
    attributes : tuple of str or None, default None
        Columns of the items' table; None takes those of strings or integers.
    attribute_size : int >= 1, default 16
        Length of the vectors of attributes.
    alpha : float >= 0, default 1.0
        Weight of the tie between an item and its attributes.
    beta : float >= 0, default 0.01
        Penalty of the matrices.
    vector_size, window, negative, learning_rate, epochs, random_state
        As of the base :class:`~fivefold.models.recommend._embedding.SkipGram`.

    Attributes
    ----------
    keys_ : sorted array of items
    vectors_, context_vectors_ : arrays (n, vector_size)
    attributes_ : tuple of str
    attribute_keys_ : list of arrays
        The values of each attribute as strings, sorted.
    attribute_vectors_ : list of arrays (values, attribute_size)
    shared_ : list of arrays
        V, how many items share each value.
    links_ : array (attributes, vector_size, attribute_size)
        The matrices M.

    Raises
    ------
    InputError, DataError, InputTypeError
        Wrong parameters, sessions or items.

    Notes
    -----
    The paper draws noise log-uniformly by rank; here it comes as in the other embeddings. It prints the penalty with a norm that
    is not squared. The matrices start as identities, so that an item and its attributes are tied from the first step on.

    References
    ----------
    Zhao, Li, Yan, Wang, Wang, Li, Zhu & Gai 2018; ``03#id-embedding-ecommerce``.
    """

    def __init__(
        self,
        *,
        attributes: tuple[str, ...] | None = None,
        attribute_size: int = 16,
        alpha: float = 1.0,
        beta: float = 0.01,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.attributes = attributes
        self.attribute_size = attribute_size
        self.alpha = alpha
        self.beta = beta

    def fit(self, sessions: Any, items: pl.DataFrame) -> Self:
        """Learn from sessions and the attributes of their items.

        Parameters
        ----------
        sessions : frame with the columns session and item, or sequence of sequences of items
        items : polars.DataFrame
            Column item and the attributes, one row an item; every item of the sessions has one.
        """
        self._check()
        whole("attribute_size", self.attribute_size, low=1)
        for name in ("alpha", "beta"):
            real(name, getattr(self, name), low=0.0)
        clicks, numbers, _ = read_sessions(sessions)
        self.keys_, codes = np.unique(clicks, return_inverse=True)
        if len(self.keys_) < 2:
            raise DataError("The sessions hold fewer than two different items, so there is nothing to tell apart.")
        self.attributes_ = self._named(items)
        values = _values(self._rows(items), self.attributes_)
        self.attribute_keys_, places, self.shared_ = [], [], []
        for column in values:
            known, place, count = np.unique(column, return_inverse=True, return_counts=True)
            self.attribute_keys_.append(known)
            places.append(place)
            self.shared_.append(count.astype(np.float64))
        streams = Streams.of(self.random_state)
        self._start(streams)
        self._train(streams, codes, numbers, places)
        self._settled()
        return self

    def _named(self, items: Any) -> tuple[str, ...]:
        if not isinstance(items, pl.DataFrame):
            raise InputTypeError(f"Items are a polars frame with the column item; got {type(items).__name__}.")
        if "item" not in items.columns:
            raise DataError(f"The items have no column 'item'; they have {', '.join(items.columns)}.")
        if self.attributes is not None:
            return tuple(self.attributes)
        kinds = (pl.String, pl.Categorical, pl.Enum, pl.Boolean)
        return tuple(n for n, t in items.schema.items() if n != "item" and (t.is_integer() or t in kinds))

    def _rows(self, items: pl.DataFrame) -> pl.DataFrame:
        """Return the row of each key, in their order."""
        found = keys_of(items["item"], "Items")
        order = np.argsort(found, kind="stable")
        if len(np.unique(found)) < len(found):
            twice = found[order][1:][found[order][1:] == found[order][:-1]][0]
            raise DataError(f"The item {twice.item()!r} has several rows; give one row an item.")
        # Numbers and texts are never equal; NumPy would compare them as texts.
        same = (found.dtype.kind == "U") == (self.keys_.dtype.kind == "U")
        place = np.minimum(np.searchsorted(found[order], self.keys_), len(found) - 1) if same and len(found) else None
        lost = np.ones(len(self.keys_), dtype=bool) if place is None else found[order][place] != self.keys_
        if place is None or lost.any():
            raise DataError(
                f"{int(lost.sum())} items of the sessions have no row, such as {self.keys_[lost][0].item()!r}."
            )
        return items[order[place]]

    def _start(self, streams: Streams) -> None:
        self._begin(streams)
        shapes = [(len(known), self.attribute_size) for known in self.attribute_keys_]
        self.attribute_vectors_ = [
            (streams.numpy("attributes", k).random(shape) - 0.5) / self.attribute_size for k, shape in enumerate(shapes)
        ]
        one = np.eye(self.vector_size, self.attribute_size)
        self.links_ = np.tile(one, (len(self.attribute_keys_), 1, 1))

    def _train(self, streams: Streams, codes: np.ndarray, numbers: np.ndarray, places: list[np.ndarray]) -> None:
        count = len(self.keys_)
        first = np.cumsum([0, *(len(known) for known in self.attribute_keys_)])
        # All attributes lie in one table; `rows` says which row each item has of each.
        inner = np.concatenate([*self.attribute_vectors_, np.empty((0, self.attribute_size))])
        outer = np.zeros_like(inner)
        rows = (
            np.array([first[k] + place for k, place in enumerate(places)], dtype=np.int64).reshape(-1, count).T.copy()
        )
        share = 1.0 / np.concatenate([*self.shared_, np.empty(0)])
        seen = np.bincount(codes, minlength=count).astype(np.float64)
        pieces = pieces_of(numbers)
        how = {"counts": seen, "window": self.window, "negative": self.negative}
        tie = (float(self.alpha), float(self.beta))
        with np.errstate(over="ignore", invalid="ignore"):
            for epoch, (high, low) in enumerate(falling_rates(self.learning_rate, self.epochs)):
                for number, (begin, end) in enumerate(pieces):
                    draw = streams.numpy("pairs", epoch, number)
                    pairs = skip_gram_pairs(codes[begin:end], numbers[begin:end], draw, **how)
                    rates = [high + (low - high) * at / len(codes) for at in (begin, end)]
                    teach = (pairs.centers, pairs.starts, pairs.targets, pairs.labels)
                    tables = (self.vectors_, self.context_vectors_, inner, outer, rows, share, self.links_)
                    train_joint(*tables, *teach, *tie, rates[0], rates[1])
        self.attribute_vectors_ = [inner[a:b] for a, b in zip(first, first[1:])]

    def embed(self, items: pl.DataFrame) -> np.ndarray:
        """Return vectors (n, vector_size) of new items from their attributes; NaN where no value of them is known.

        Parameters
        ----------
        items : polars.DataFrame with the columns of ``attributes_``
        """
        self._check_fitted()
        if not isinstance(items, pl.DataFrame):
            raise InputTypeError(f"Items are a polars frame; got {type(items).__name__}.")
        total = np.zeros((len(items), self.vector_size))
        met = np.zeros(len(items), dtype=bool)
        for k, column in enumerate(_values(items, self.attributes_)):
            known = self.attribute_keys_[k]
            place = np.minimum(np.searchsorted(known, column), len(known) - 1)
            hit = known[place] == column
            part = self.attribute_vectors_[k][place] @ self.links_[k].T / self.shared_[k][place][:, None]
            total += np.where(hit[:, None], part, 0.0)
            met |= hit
        total[~met] = np.nan
        return total

    def user_vectors(self, histories: Sequence[Sequence[Any]], last: int = 10) -> np.ndarray:
        """Return the mean vector (n, vector_size) of the latest items of each user; items without a vector are passed over.

        Parameters
        ----------
        histories : sequence of sequences of items, oldest first
        last : int >= 1, default 10
            Items that count.

        Returns
        -------
        array (n, vector_size)
            NaN for a user none of whose items has a vector.
        """
        self._check_fitted()
        last = whole("last", last, low=1)
        place = {key: i for i, key in enumerate(self.keys_.tolist())}
        known = [[place[item] for item in history if item in place][-last:] for history in histories]
        who = np.repeat(np.arange(len(known)), [len(h) for h in known])
        total = np.zeros((len(known), self.vector_size))
        np.add.at(total, who, self.vectors_[np.concatenate([np.array(h, dtype=np.int64) for h in known])])
        count = np.array([len(h) for h in known], dtype=np.float64)
        return np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], np.nan)


def _values(items: pl.DataFrame, attributes: tuple[str, ...]) -> list[np.ndarray]:
    """Return the values (n,) of each attribute as strings."""
    if not attributes:
        raise InputError("The items have no attribute; give columns of strings or integers beside the column item.")
    for name in attributes:
        if name not in items.columns:
            raise DataError(f"The items have no column {name!r}; they have {', '.join(items.columns)}.")
        if items[name].null_count():
            raise DataError(
                f"The column {name!r} has {items[name].null_count()} missing values; give every item a value."
            )
    return [items[name].cast(pl.String).to_numpy().astype(np.str_) for name in attributes]
