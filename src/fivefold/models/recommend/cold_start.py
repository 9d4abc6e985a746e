"""Vectors for new listings from the nearest ones of the same type and price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import polars as pl

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError, InputTypeError

from ._embedding import Embedding, keys_of

EARTH_RADIUS = 3958.7613
"""Mean radius in miles."""


def miles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    r"""Return great-circle distances (n, m) in miles between places (n, 2) and (m, 2) in degrees of latitude and longitude.

    .. math:: 2 R \arcsin \sqrt{\sin^2 \tfrac{\Delta\phi}{2} + \cos\phi_1 \cos\phi_2 \sin^2 \tfrac{\Delta\lambda}{2}}
    """
    p, q = np.radians(a)[:, None], np.radians(b)[None]
    half = (q - p) / 2
    square = np.sin(half[..., 0]) ** 2 + np.cos(p[..., 0]) * np.cos(q[..., 0]) * np.sin(half[..., 1]) ** 2
    return np.asarray(2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(square, 0, 1))))


class ColdStartEmbedding(Embedding):
    r"""A new listing gets the mean vector of the nearest known ones of its type and price.

    .. math:: e_{new} = \frac13 (e_{l_1} + e_{l_2} + e_{l_3})

    Parameters
    ----------
    n_nearest : int >= 1, default 3
    radius : float > 0, default 10.0
        Miles; farther listings do not count.
    match : tuple of str, default ("type", "price")
        Columns in which new and known listing must be equal, such as the type and the price bucket.
    minimum : int >= 1, default 1
        With fewer matches a listing has no vector: NaN.

    Attributes
    ----------
    keys_ : sorted array of the known listings
    vectors_ : array (n, d)

    Raises
    ------
    DataError, InputError
        A column or a vector that is missing, a place that is none, a parameter outside its range.

    Notes
    -----
    The source says that three matches exist for more than 98 % of new listings; ``coverage`` tells the share for given ones.
    With one or two matches within the radius their mean is taken; ``minimum=3`` refuses that.

    References
    ----------
    Grbovic & Cheng 2018, section 3.3; ``03#listing-cold-start``.
    """

    def __init__(
        self,
        *,
        n_nearest: int = 3,
        radius: float = 10.0,
        match: tuple[str, ...] = ("type", "price"),
        minimum: int = 1,
    ) -> None:
        self.n_nearest = n_nearest
        self.radius = radius
        self.match = match
        self.minimum = minimum

    def fit(self, listings: pl.DataFrame, vectors: Any) -> Self:
        """Remember known listings.

        Parameters
        ----------
        listings : frame with the columns item, latitude, longitude (degrees) and those of ``match``
            Listings without a vector are left out.
        vectors : mapping of item to vector (d,), or an embedding with ``keys_`` and ``vectors_``
        """
        whole("n_nearest", self.n_nearest, low=1)
        whole("minimum", self.minimum, low=1)
        real("radius", self.radius, low=0.0, above=True)
        if isinstance(vectors, Embedding):
            vectors = dict(zip(vectors.keys_.tolist(), vectors.vectors_))
        if not isinstance(vectors, Mapping):
            raise InputTypeError(
                f"`vectors` must map items to vectors or be an embedding; got {type(vectors).__name__}."
            )
        places, groups = self._read(listings)
        items = keys_of(listings["item"], "Listings")
        known = np.array([key in vectors for key in items.tolist()], dtype=bool)
        if not known.any():
            raise DataError("None of the listings has a vector; give the vectors of at least one.")
        order = np.flatnonzero(known)[np.argsort(items[known], kind="stable")]
        self.keys_, self.places_ = items[order], places[order]
        self.groups_ = np.array(groups)[order]
        self.vectors_ = np.array([vectors[key] for key in self.keys_.tolist()], dtype=np.float64)
        return self

    def _read(self, listings: Any) -> tuple[np.ndarray, list[str]]:
        if not isinstance(listings, pl.DataFrame):
            raise InputTypeError(f"Listings are a polars frame; got {type(listings).__name__}.")
        for name in ("item", "latitude", "longitude", *self.match):
            if name not in listings.columns:
                raise DataError(f"The listings have no column {name!r}; they have {', '.join(listings.columns)}.")
        places = listings.select("latitude", "longitude").cast(pl.Float64).to_numpy()
        for row in np.flatnonzero(~(np.abs(places) <= [90, 180]).all(axis=1)):
            raise DataError(f"Row {row} is at {places[row].tolist()}; give degrees in [-90, 90] and [-180, 180].")
        return places, ["\x1f".join(map(str, row)) for row in listings.select(self.match).rows()]

    def nearest(self, listings: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return the places in ``keys_`` of the matches (n, n_nearest), -1 for none, and their distances in miles."""
        self._check_fitted()
        places, groups = self._read(listings)
        found = np.full((len(places), self.n_nearest), -1, dtype=np.int64)
        far = np.full(found.shape, np.inf)
        asked = np.array(groups, dtype=np.str_)
        for group in np.unique(asked):
            rows, mine = np.flatnonzero(asked == group), np.flatnonzero(self.groups_ == group)
            if not len(mine):
                continue
            distance = miles(places[rows], self.places_[mine])
            take = min(self.n_nearest, len(mine))
            order = np.argsort(distance, axis=1, kind="stable")[:, :take]
            near = np.take_along_axis(distance, order, axis=1)
            inside = near <= self.radius
            found[rows, :take] = np.where(inside, mine[order], -1)
            far[rows, :take] = np.where(inside, near, np.inf)
        return found, far

    def embed(self, listings: pl.DataFrame) -> np.ndarray:
        """Return vectors (n, d) of new listings; NaN where fewer than ``minimum`` known ones match."""
        found, _ = self.nearest(listings)
        matched = found >= 0
        count = matched.sum(axis=1)
        sums = (self.vectors_[found] * matched[..., None]).sum(axis=1)
        mean = sums / np.maximum(count, 1)[:, None]
        return np.where((count >= self.minimum)[:, None], mean, np.nan)

    def coverage(self, listings: pl.DataFrame) -> float:
        """Return the share of new listings with ``n_nearest`` matches within the radius."""
        return float((self.nearest(listings)[0] >= 0).all(axis=1).mean())
