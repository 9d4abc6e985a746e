"""Embeddings of listings from click sessions: skip-gram with the booked listing as context and negatives of the market."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import polars as pl

from fivefold.base.checks import whole
from fivefold.base.errors import DataError, InputTypeError
from fivefold.base.random import Streams
from fivefold.data.sessions import skip_gram_pairs
from fivefold.data.word_vectors import falling_rates

from ._embedding import SkipGram, keys_of, pieces_of


class ListingEmbedding(SkipGram):
    r"""Vectors of listings such that those clicked near each other, and before the same booking, are alike.

    .. math:: \max \sum_{l} \Big[ \sum_{c \in D_p} \ln \sigma(v_c'^\top v_l) + \sum_{c \in D_n} \ln \sigma(-v_c'^\top v_l)
              + \ln \sigma(v_{l_b}'^\top v_l) + \sum_{m \in D_{m_n}} \ln \sigma(-v_m'^\top v_l) \Big]

    over the clicks l of all sessions: D_p are the neighbors within the window, D_n noise, l_b the listing that the session
    booked, wherever in it (in booked sessions), and the last sum is over listings of the market of l that the session lacks.
    Without it, negatives come almost all from other markets and listings of one market are hardly told apart.

    Parameters
    ----------
    market_negative : int >= 0, default 5
        Listings of the market a click; 0 without.
    booked_context : bool, default True
    vector_size, window, negative, learning_rate, epochs, random_state
        As of the base :class:`~fivefold.models.recommend._embedding.SkipGram`.

    Attributes
    ----------
    keys_ : sorted array of listings
    vectors_ : array (n, vector_size)
    context_vectors_ : array (n, vector_size), the v'

    Raises
    ------
    InputError, DataError, InputTypeError
        Wrong parameters, sessions or markets.

    Notes
    -----
    A center and its targets move at once, with the vectors as they were: one center a batch. With sessions of two clicks, no
    market negatives and no bookings that is skip-gram with negative sampling, step by step.

    References
    ----------
    Grbovic & Cheng 2018, section 3.1; ``03#airbnb-listing-embedding``.
    """

    def __init__(self, *, market_negative: int = 5, booked_context: bool = True, **common: Any) -> None:
        super().__init__(**common)
        self.market_negative = market_negative
        self.booked_context = booked_context

    def fit(self, sessions: Any, markets: Any = None) -> Self:
        """Learn from sessions.

        Parameters
        ----------
        sessions : frame with the columns session and item, or sequence of sequences of items
            As :class:`~fivefold.data.sessions.SessionBuilder` makes it; a column booked marks the booking click.
        markets : mapping of item to market, or frame with the columns item and market
            Needed unless ``market_negative`` is 0; every item of the sessions has one.
        """
        self._check()
        whole("market_negative", self.market_negative, low=0)
        clicks, numbers, marks = read_sessions(sessions)
        self.keys_, items = np.unique(clicks, return_inverse=True)
        if len(self.keys_) < 2:
            raise DataError("The sessions hold fewer than two different items, so there is nothing to tell apart.")
        counts = np.bincount(items).astype(np.float64)
        where = self._markets(markets) if self.market_negative else None
        goal = booked_items(items, numbers, marks) if self.booked_context else None
        streams = Streams.of(self.random_state)
        self._begin(streams)
        pieces = pieces_of(numbers)
        with np.errstate(over="ignore", invalid="ignore"):
            for epoch, (first, last) in enumerate(falling_rates(self.learning_rate, self.epochs)):
                for number, (begin, end) in enumerate(pieces):
                    pairs = skip_gram_pairs(
                        items[begin:end],
                        numbers[begin:end],
                        streams.numpy("pairs", epoch, number),
                        counts=counts,
                        window=self.window,
                        negative=self.negative,
                        markets=where,
                        market_negative=self.market_negative,
                        booked=None if goal is None else goal[begin:end],
                    )
                    share = [first + (last - first) * at / len(items) for at in (begin, end)]
                    self._pass(pairs, (share[0], share[1]))
        self._settled()
        return self

    def _markets(self, markets: Any) -> np.ndarray:
        """Return the market (n,) of each key as a code."""
        if markets is None:
            raise DataError(
                "market_negative draws from the market of each listing; give `markets` to `fit`, or set market_negative=0."
            )
        if isinstance(markets, pl.DataFrame):
            lacking = {"item", "market"} - set(markets.columns)
            if lacking:
                raise DataError(f"`markets` has no column {sorted(lacking)[0]!r}; it has {', '.join(markets.columns)}.")
            markets = dict(zip(markets["item"].to_list(), markets["market"].to_list()))
        if not isinstance(markets, Mapping):
            raise InputTypeError(f"`markets` must map items to markets or be a frame; got {type(markets).__name__}.")
        unknown = [key for key in self.keys_.tolist() if key not in markets]
        if unknown:
            raise DataError(f"{len(unknown)} listings of the sessions have no market, such as {unknown[0]!r}.")
        return np.unique([str(markets[key]) for key in self.keys_.tolist()], return_inverse=True)[1]


def read_sessions(sessions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return items, session numbers and booking marks (n,), clicks of a session together."""
    if isinstance(sessions, pl.DataFrame):
        for name in ("session", "item"):
            if name not in sessions.columns:
                raise DataError(f"The sessions have no column {name!r}; they have {', '.join(sessions.columns)}.")
        frame = sessions.sort("session", maintain_order=True)
        marks = frame["booked"].cast(pl.Boolean).to_numpy() if "booked" in frame.columns else np.zeros(len(frame), bool)
        found = keys_of(frame["item"], "Items of sessions"), frame["session"].rank("dense").to_numpy().astype(np.int64)
        if not len(frame):
            raise DataError("There are no sessions; give at least one of two items.")
        return found[0], found[1], np.asarray(marks, dtype=bool)
    if (
        isinstance(sessions, str)
        or not isinstance(sessions, Sequence)
        or not all(isinstance(s, Sequence | np.ndarray) and not isinstance(s, str) for s in sessions)
    ):
        raise InputTypeError(
            f"Sessions are a frame with the columns session and item, or sequences of items; got {type(sessions).__name__}."
        )
    if not any(len(s) for s in sessions):
        raise DataError("There are no sessions; give at least one of two items.")
    flat = keys_of(np.concatenate([np.asarray(s) for s in sessions if len(s)]), "Items of sessions")
    return flat, np.repeat(np.arange(len(sessions)), [len(s) for s in sessions]), np.zeros(len(flat), dtype=bool)


def booked_items(items: np.ndarray, numbers: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Return the item that the session of each click booked (the last, of several), -1 for none."""
    goal = np.full(int(numbers.max()) + 1, -1, dtype=np.int64)
    goal[numbers[marks]] = items[marks]
    return goal[numbers]
