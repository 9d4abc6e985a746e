"""A made-up travel site: markets of listings, users who click through one market and taste, and sometimes book."""

from __future__ import annotations

import numpy as np
import polars as pl

TYPES = ("Entire", "Private", "Shared")
PRICES = (35.0, 65.0, 120.0)


def listings_log(
    *, markets: int = 6, listings: int = 30, sessions: int = 600, length: int = 6, wander: float = 0.05, seed: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return clicks and listings of a travel site.

    A session stays in one market, but for the share ``wander`` of its clicks, and in it mostly with one type and price: its
    taste, which listings of the same taste share. Half of the sessions end in a booking.

    Parameters
    ----------
    markets, listings : int, default 6 and 30
        Markets, and listings of each.
    sessions : int, default 600
    length : int, default 6
        Clicks a session.
    wander : float, default 0.05
    seed : int, default 0

    Returns
    -------
    log : columns user, item, time (seconds), booked
    listings : columns item, market, latitude, longitude, type, price
    """
    draw = np.random.default_rng(seed)
    count = markets * listings
    market = np.repeat(np.arange(markets), listings)
    kind, price = draw.integers(0, 3, count), draw.integers(0, 3, count)
    taste = 3 * kind + price
    center = np.column_stack([draw.uniform(30, 45, markets), draw.uniform(-120, -75, markets)])
    place = center[market] + draw.normal(0, 0.03, (count, 2))
    popular = draw.gamma(2.0, size=count)
    own, want = draw.integers(0, markets, sessions), draw.integers(0, 9, sessions)
    weight = popular * np.where(market == own[:, None], 1.0, wander / markets)
    weight = weight * np.where(taste == want[:, None], 1.0, 0.08)  # (sessions, count)
    ladder = np.cumsum(weight, axis=1)
    chosen = (draw.random((sessions, length, 1)) * ladder[:, -1, None, None] > ladder[:, None, :]).sum(axis=2)
    user = draw.integers(0, max(2, sessions // 3), sessions)
    start = np.arange(sessions) * 86400.0
    booked = np.zeros((sessions, length), dtype=bool)
    booked[:, -1] = draw.random(sessions) < 0.5
    log = pl.DataFrame(
        {
            "user": np.repeat(user, length),
            "item": chosen.ravel(),
            "time": (start[:, None] + 60.0 * np.arange(length)).ravel(),
            "booked": booked.ravel(),
        }
    )
    table = pl.DataFrame(
        {
            "item": np.arange(count),
            "market": market,
            "latitude": place[:, 0],
            "longitude": place[:, 1],
            "type": [TYPES[k] for k in kind],
            "price": [PRICES[p] for p in price],
        }
    )
    return log, table
