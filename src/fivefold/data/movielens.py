"""MovieLens as a click log: would this user like this film, given who they are and what they liked before?"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from fivefold.base.errors import InputError

from .datasets import load_dataset

LIKED = 4
"""The rating from which on a film counts as liked."""

FIELDS = ("user", "item", "age", "gender", "occupation", "genres", "history")

FEATURES = {
    "user": "categorical",
    "item": {"kind": "categorical", "table": "item"},
    "age": {"kind": "numeric"},
    "gender": "categorical",
    "occupation": "categorical",
    "genres": "set",
    "history": {"kind": "sequence", "table": "item"},
}
"""How models of click logs take the columns."""


def movielens_clicks(*, history: int = 20) -> pl.DataFrame:
    """Return MovieLens-100k as a click log, in the order of time.

    Parameters
    ----------
    history : int >= 1, default 20
        Films that a user liked before, the latest last, of which so many are kept.

    Returns
    -------
    table : polars.DataFrame (100,000 rows)
        ``click`` (1 where the rating is at least 4), ``user``, ``item``, ``age``, ``gender``, ``occupation``, ``genres`` and
        ``history`` (lists of text), ``time`` (seconds). A history holds ratings of an earlier second only.

    References
    ----------
    Harper & Konstan 2015, "The MovieLens datasets".
    """
    if history < 1:
        raise InputError(f"history must be at least 1, got {history}.")
    ratings = load_dataset("movielens-100k", part="ratings").frame
    users = load_dataset("movielens-100k", part="users").frame
    items = load_dataset("movielens-100k", part="items").frame
    flags = [name for name in items.columns if name.startswith("genre_")]
    named = [pl.when(pl.col(name) == 1).then(pl.lit(name.removeprefix("genre_"))) for name in flags]
    genres = items.select("item_id", pl.concat_list(named).list.drop_nulls().alias("genres"))
    frame = ratings.join(users, on="user_id", how="left").join(genres, on="item_id", how="left")
    frame = frame.sort("timestamp", "user_id", "item_id")
    frame = frame.select(
        (pl.col("rating") >= LIKED).cast(pl.Int64).alias("click"),
        pl.col("user_id").alias("user"),
        pl.col("item_id").alias("item"),
        pl.col("age").cast(pl.Float64),
        "gender",
        "occupation",
        "genres",
        pl.col("timestamp").alias("time"),
    )
    return frame.with_columns(_histories(frame, history)).select("click", *FIELDS, "time")


def _histories(frame: pl.DataFrame, size: int) -> pl.Series:
    """Return the last liked items of each row's user before its second."""
    user, time = frame["user"].to_numpy(), frame["time"].to_numpy()
    order = np.lexsort((np.arange(len(user)), time, user))
    user, time = user[order], time[order]
    liked = frame["click"].to_numpy()[order] == 1
    item = frame["item"].cast(pl.String).to_numpy()[order]
    likes = np.flatnonzero(liked)
    begun = np.flatnonzero(np.concatenate([[True], (user[1:] != user[:-1]) | (time[1:] != time[:-1])]))
    second = begun[
        np.searchsorted(begun, np.arange(len(user)), side="right") - 1
    ]  # first row of the same user and second
    first = np.searchsorted(user, user, side="left")
    until, since = np.searchsorted(likes, second), np.searchsorted(likes, first)
    since = np.maximum(since, until - size)
    starts, ends = np.empty(len(user), dtype=np.int64), np.empty(len(user), dtype=np.int64)
    starts[order], ends[order] = since, until
    offsets = np.concatenate([[0], np.cumsum(ends - starts)])
    index = np.repeat(starts - offsets[:-1], ends - starts) + np.arange(offsets[-1])
    values = pa.array(item[likes][index], type=pa.large_string())
    return pl.Series("history", pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(offsets), values)))
