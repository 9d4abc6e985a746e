"""Users and listings in one space, by their types: from bookings, and from hosts who declined."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import polars as pl

from fivefold.base.errors import DataError, InputTypeError
from fivefold.base.random import Streams
from fivefold.data.sessions import NEGATIVE, Pairs, skip_gram_pairs
from fivefold.data.word_vectors import falling_rates

from ._embedding import SkipGram

USER, LISTING = "user:", "listing:"
"""What keys of user types and of listing types begin with."""


class UserListingTypeEmbedding(SkipGram):
    r"""Vectors of user types and listing types such that a user is near the listings it books, and far from those that decline.

    .. math:: \max \sum_{D_{book}} \ln \sigma(v_c'^\top v_{u_t}) + \sum_{D_{neg}} \ln \sigma(-v_c'^\top v_{u_t})
              + \sum_{D_{rej}} \ln \sigma(-v_{l_t}'^\top v_{u_t})

    and its mirror image with listing types as centers. A user's bookings in the order of time are one sequence
    :math:`u_{t_1} l_{t_1} u_{t_2} l_{t_2} \ldots`, in which types of both kinds are contexts of each other; types are few, so
    that what is booked once in years still tells.

    Parameters
    ----------
    vector_size, window, negative, learning_rate, epochs, random_state
        As of the base :class:`~fivefold.models.recommend._embedding.SkipGram`; a window of five types reaches two bookings away.

    Attributes
    ----------
    keys_ : sorted array of "user:…" and "listing:…"
    vectors_, context_vectors_ : arrays (n, vector_size)

    Raises
    ------
    InputError, InputTypeError, DataError
        Wrong parameters or bookings.

    Notes
    -----
    The source calls the context c a listing in one line and a user type in the next; in the paper it ranges over the types of
    both kinds. :mod:`~fivefold.models.recommend.listing_types` holds the rules that make the types. Their table prints reviews
    "11-35 | 35+" and acceptance "<60 | 61-90 | >91": here 35 is in the first, 60 in the second, and 90 < x in the last.

    References
    ----------
    Grbovic & Cheng 2018, section 3.2; ``03#airbnb-type-embedding``.
    """

    def fit(self, bookings: Any, markets: Any = None) -> Self:
        """Learn from bookings; ``markets`` is ignored.

        Parameters
        ----------
        bookings : polars.DataFrame
            Columns user, user_type, listing_type and, where hosts can decline, accepted (true by default); the rows of a user in
            the order of time.
        """
        self._check()
        frame = _read(bookings)
        people, things = (
            np.char.add(mark, frame[name].cast(pl.String).to_numpy().astype(np.str_))
            for mark, name in ((USER, "user_type"), (LISTING, "listing_type"))
        )
        self.keys_ = np.unique(np.concatenate([people, things]))
        u, v = np.searchsorted(self.keys_, people), np.searchsorted(self.keys_, things)
        good = frame["accepted"].to_numpy()
        tokens = np.column_stack([u[good], v[good]]).ravel()
        numbers = np.repeat(frame["user"].rank("dense").to_numpy().astype(np.int64)[good], 2)
        counts = np.bincount(tokens, minlength=len(self.keys_)).astype(np.float64)
        refused = np.column_stack([u[~good], v[~good]])
        streams = Streams.of(self.random_state)
        self._begin(streams)
        with np.errstate(over="ignore", invalid="ignore"):
            for epoch, rates in enumerate(falling_rates(self.learning_rate, self.epochs)):
                draw = streams.numpy("pairs", epoch)
                pairs = skip_gram_pairs(
                    tokens, numbers, draw, counts=counts, window=self.window, negative=self.negative
                )
                # Refusals stand among the bookings at random places, so that the falling rate is no judge between them.
                whole_pass = with_refusals(pairs, refused, draw)
                self._pass(whole_pass, rates)
        self._settled()
        return self

    def score(self, user_type: str, listing_types: Any) -> np.ndarray:
        """Return the cosines between a user type and listing types, shape (k,): what ranks listings for the user."""
        mine = self.vector(USER + str(user_type))
        others = np.array([self.vector(LISTING + str(t)) for t in listing_types])
        length = np.linalg.norm(mine) * np.linalg.norm(others, axis=1)
        return np.asarray(others @ mine / length)


def with_refusals(pairs: Pairs, refused: np.ndarray, draw: np.random.Generator) -> Pairs:
    """Return the pairs with a center more for each side of every refusal (r, 2), its one target the other side, label 0."""
    if not len(refused):
        return pairs
    more = refused.size
    centers = np.concatenate([pairs.centers, refused[:, 0], refused[:, 1]])
    targets = np.concatenate([pairs.targets, refused[:, 1], refused[:, 0]])
    labels = np.concatenate([pairs.labels, np.zeros(more)])
    kinds = np.concatenate([pairs.kinds, np.full(more, NEGATIVE)])
    sizes = np.concatenate([np.diff(pairs.starts), np.ones(more, dtype=np.int64)])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    order = np.arange(len(centers))
    places = np.sort(draw.choice(len(centers), more, replace=False))
    mixed = np.empty(len(centers), dtype=np.int64)
    mixed[places] = len(pairs.centers) + draw.permutation(more)
    mixed[np.isin(order, places, invert=True)] = np.arange(len(pairs.centers))
    size = sizes[mixed]
    flat = np.repeat(starts[mixed] - np.cumsum(size) + size, size) + np.arange(size.sum())
    return Pairs(
        centers[mixed],
        np.concatenate([[0], np.cumsum(size)]).astype(np.int64),
        targets[flat],
        labels[flat],
        kinds[flat],
    )


def _read(bookings: Any) -> pl.DataFrame:
    if not isinstance(bookings, pl.DataFrame):
        raise InputTypeError(f"Bookings are a polars frame; got {type(bookings).__name__}.")
    for name in ("user", "user_type", "listing_type"):
        if name not in bookings.columns:
            raise DataError(f"The bookings have no column {name!r}; they have {', '.join(bookings.columns)}.")
        if bookings[name].is_null().any():
            raise DataError(
                f"The column {name!r} has {bookings[name].null_count()} missing values; drop these rows first."
            )
    accepted = (
        bookings["accepted"].cast(pl.Boolean) if "accepted" in bookings.columns else pl.Series([True] * len(bookings))
    )
    if not accepted.any():
        raise DataError("No booking was accepted, so there is nothing to learn nearness from.")
    return bookings.with_columns(accepted=accepted).sort("user", maintain_order=True)
