"""Sessions of clicks from a log, and the pairs that skip-gram learns from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.checks import check_count, check_number
from fivefold.base.errors import DataError, InputError, InputTypeError


class SessionBuilder:
    """Cut the clicks of each user into sessions: a new one begins when more than ``gap`` passed since the click before.

    Parameters
    ----------
    gap : float > 0, default 1800.0
        Seconds.
    min_length : int >= 1, default 2
        Shorter sessions are left out: one click has no neighbor.
    user, item, time : str, default "user", "item" and "time"
        Columns of the log; times are numbers of seconds, dates or times.
    booked : str or None, default None
        Column that is true (or 1) for the click that became a booking. A session with one is "booked", others "exploratory".

    Raises
    ------
    InputError
        A parameter outside its range.
    DataError
        A column that is missing, holds nothing or cannot be read as time.

    References
    ----------
    Grbovic & Cheng 2018; ``03#session-builder``.
    """

    def __init__(
        self,
        *,
        gap: float = 1800.0,
        min_length: int = 2,
        user: str = "user",
        item: str = "item",
        time: str = "time",
        booked: str | None = None,
    ) -> None:
        self.gap = gap
        self.min_length = min_length
        self.user = user
        self.item = item
        self.time = time
        self.booked = booked

    def build(self, log: pl.DataFrame) -> pl.DataFrame:
        """Return the clicks in the order of their sessions.

        Parameters
        ----------
        log : polars.DataFrame, one row a click, in any order

        Returns
        -------
        polars.DataFrame
            Columns session (0, 1, …), user, item, time, booked (true for the booking click) and label. Users are in ascending
            order; clicks of one moment keep the order of the log.
        """
        gap = check_number("gap", self.gap, 0.0, finite=False)
        least = check_count("min_length", self.min_length)
        if not isinstance(log, pl.DataFrame):
            raise InputTypeError(
                f"The log is a polars frame; got {type(log).__name__}. `read` takes files and other tables."
            )
        for name in (self.user, self.item, self.time, *([self.booked] if self.booked else [])):
            if name not in log.columns:
                raise DataError(f"The log has no column {name!r}; it has {', '.join(log.columns)}.")
            if log[name].is_null().any():
                raise DataError(
                    f"The column {name!r} has {log[name].null_count()} missing values; drop these rows first."
                )
        seconds = _seconds(log[self.time], self.time)
        booked = log[self.booked].cast(pl.Boolean) if self.booked else pl.Series([False] * len(log), dtype=pl.Boolean)
        rows = pl.DataFrame(
            {"user": log[self.user], "item": log[self.item], "time": log[self.time], "booked": booked, "_s": seconds}
        ).sort("user", "_s", maintain_order=True)
        begins = (pl.col("user") != pl.col("user").shift(1)) | (pl.col("_s").diff() > gap)
        rows = rows.with_columns(session=begins.fill_null(True).cum_sum())
        rows = rows.filter(pl.len().over("session") >= least)
        return rows.select(
            (pl.col("session").rank("dense") - 1).cast(pl.Int64).alias("session"),
            "user",
            "item",
            "time",
            "booked",
            pl.when(pl.col("booked").any().over("session"))
            .then(pl.lit("booked"))
            .otherwise(pl.lit("exploratory"))
            .alias("label"),
        )

    def read(self, source: Any) -> dict[str, np.ndarray]:
        """Return the sessions of a file (or of whatever :func:`~fivefold.data.readers.read_table` takes) as arrays by name."""
        from .readers import read_table

        frame = self.build(read_table(source))
        return {name: _plain(frame[name]) for name in frame.columns}


def _plain(values: pl.Series) -> np.ndarray:
    return values.to_numpy().astype(np.str_) if values.dtype == pl.String else values.to_numpy()


def _seconds(values: pl.Series, name: str) -> pl.Series:
    if values.dtype.is_numeric():
        return values.cast(pl.Float64)
    if values.dtype.is_temporal() and values.dtype != pl.Time:
        return values.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6
    raise DataError(f"The column {name!r} holds {values.dtype}; give seconds, dates or times.")


POSITIVE, NEGATIVE, MARKET, BOOKED = range(4)


@dataclass(frozen=True)
class Pairs:
    """What one pass over sessions teaches: for every center its targets, with the label 1 (near) or 0 (not).

    Parameters
    ----------
    centers : int64 (c,)
        Item codes, one for every click.
    starts : int64 (c + 1,)
        Where the targets of each center begin.
    targets, labels, kinds : (t,)
        Item codes, 1.0 or 0.0, and POSITIVE, NEGATIVE, MARKET or BOOKED.
    """

    centers: np.ndarray
    starts: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    kinds: np.ndarray


def skip_gram_pairs(
    items: np.ndarray,
    sessions: np.ndarray,
    draw: np.random.Generator,
    *,
    counts: np.ndarray,
    window: int = 5,
    negative: int = 5,
    markets: np.ndarray | None = None,
    market_negative: int = 0,
    booked: np.ndarray | None = None,
) -> Pairs:
    """Pair every click with what stood around it, with what did not, and with what the session ended in.

    Parameters
    ----------
    items, sessions : int64 (n,)
        Item codes and session numbers; the clicks of a session stand together, in order.
    draw : numpy.random.Generator
    counts : array (n_items,)
        How often each item occurs: noise comes with the count to the power of 3/4.
    window : int >= 1, default 5
        Neighbors at most this far, on both sides.
    negative : int >= 0, default 5
        Noise items for each neighbor; a draw that is the neighbor is passed over.
    markets : int64 (n_items,), optional
        Market of each item.
    market_negative : int >= 0, default 0
        Items of the center's market for each click, evenly drawn; those of the session are passed over.
    booked : int64 (n,), optional
        The item that the session of each click booked, -1 for none: a target of every other item of the session.

    Returns
    -------
    Pairs
        The targets of a center are in the order: neighbors from left to right, each followed by its noise; items of the market;
        the booked item.
    """
    n = len(items)
    window, negative = check_count("window", window), check_count("negative", negative, 0)
    market_negative = check_count("market_negative", market_negative, 0)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]] = []  # click, order, target, kind
    for place, offset in enumerate([*range(-window, 0), *range(1, window + 1)]):
        at = np.arange(max(0, -offset), min(n, n - offset)) if n > abs(offset) else np.empty(0, dtype=np.int64)
        at = at[sessions[at] == sessions[at + offset]]
        near = items[at + offset]
        parts.append((at, np.full(len(at), place * 2), near, POSITIVE))
        noise = _noise(draw, counts, (len(at), negative))
        kept = noise != near[:, None]
        parts.append((np.repeat(at, kept.sum(axis=1)), np.full(int(kept.sum()), place * 2 + 1), noise[kept], NEGATIVE))
    if market_negative:
        if markets is None:
            raise InputError("market_negative needs the market of each item; give `markets`, or 0.")
        drawn = _of_market(draw, markets, items, market_negative)
        inside = np.isin(sessions[:, None] * len(counts) + drawn, sessions * len(counts) + items)
        kept = ~inside
        parts.append(
            (np.repeat(np.arange(n), kept.sum(axis=1)), np.full(int(kept.sum()), 4 * window), drawn[kept], MARKET)
        )
    if booked is not None:
        at = np.flatnonzero((booked >= 0) & (booked != items))
        parts.append((at, np.full(len(at), 4 * window + 1), booked[at], BOOKED))
    clicks, places, targets = (np.concatenate([p[i] for p in parts]) for i in range(3))  # type: ignore[misc]
    kinds = np.concatenate([np.full(len(p[0]), p[3]) for p in parts])
    order = np.lexsort((places, clicks))
    starts = np.concatenate([[0], np.cumsum(np.bincount(clicks, minlength=n))]).astype(np.int64)
    kinds = kinds[order]
    labels = np.where((kinds == POSITIVE) | (kinds == BOOKED), 1.0, 0.0)
    return Pairs(items.astype(np.int64), starts, targets[order].astype(np.int64), labels, kinds)


def _noise(draw: np.random.Generator, counts: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    ladder = np.cumsum(np.asarray(counts, dtype=np.float64) ** 0.75)
    return np.searchsorted(ladder, draw.random(shape) * ladder[-1], side="right")


def _of_market(draw: np.random.Generator, markets: np.ndarray, items: np.ndarray, count: int) -> np.ndarray:
    """Return items of the same market (n, count), evenly drawn."""
    order = np.argsort(markets, kind="stable")
    size = np.bincount(markets)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    own = markets[items]
    return np.asarray(
        order[first[own][:, None] + (draw.random((len(items), count)) * size[own][:, None]).astype(np.int64)]
    )
