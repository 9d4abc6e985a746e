"""Splits of interactions: at one moment for all, the last of each user, at random, or as a column says."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError
from fivefold.base.random import Streams

from .splits import Holdout, Size, _column, random_split, time_split

LEAK = (
    "Leave-last-out tests users at different moments: the training part holds interactions of other users that came later "
    "than a test row, so what is popular after it leaks in; a global-time split has no such leak."
)


def leave_last_out(users: Any, times: Any, *, count: int = 1) -> Holdout:
    """Hold out the last ``count`` rows of each user; of equal times the later row is the later one.

    Parameters
    ----------
    users, times : arrays of shape (n,)
    count : int >= 1, default 1
        Users with at most this many rows keep all in training.

    Returns
    -------
    Holdout
        :data:`LEAK` says what this split lets through.
    """
    people, when = _column(users, "The user column"), _column(times, "The time column")
    codes = np.unique(people, return_inverse=True)[1]
    order = np.lexsort((np.arange(len(when)), when, codes))
    size = np.bincount(codes)
    last = np.cumsum(size)[codes[order]] - np.arange(len(order))  # 1 for the last row of a user
    held = order[(last <= count) & (size[codes[order]] > count)]
    return _parts(len(people), held)


def _parts(n: int, held: np.ndarray) -> Holdout:
    mask = np.zeros(n, dtype=bool)
    mask[held] = True
    return Holdout(np.flatnonzero(~mask), np.empty(0, dtype=np.int64), np.flatnonzero(mask))


def split_interactions(
    way: str, users: Any, times: Any = None, given: Any = None, *, test_size: Size = 0.2, random_state: Any = 0
) -> Holdout:
    """Return the rows of training and test.

    Parameters
    ----------
    way : "global-time", "leave-last-out", "random" or "given"
        "global-time" holds out the last rows of the whole table: what is known at one moment predicts what comes after.
    users : array (n,)
    times : array (n,), for "global-time" and "leave-last-out"
    given : array (n,) of "train" and "test", for "given"
    test_size : fraction or number of rows, default 0.2
        For "global-time" and "random".
    random_state : int, generator or None, default 0

    Raises
    ------
    DataError
        When the column that the way needs is missing, or names no row for a part.
    """
    rows = len(users)
    if way == "random":
        return random_split(rows, test_size=test_size, random_state=Streams.of(random_state).integer("interactions"))
    if way in ("global-time", "leave-last-out"):
        if times is None:
            raise DataError(f"The split {way!r} needs a time column; name it, or split at random.")
        return time_split(times, test_size=test_size) if way == "global-time" else leave_last_out(users, times)
    if way != "given":
        raise DataError(f"The split is {way!r}; use global-time, leave-last-out, random or given.")
    if given is None:
        raise DataError("The split 'given' needs a column that says train or test of each row.")
    part = _column(given, "The split column").astype(str)
    unknown = sorted(set(part) - {"train", "test"})
    if unknown or not {"train", "test"} <= set(part):
        raise DataError(f"The split column must hold train and test; got {', '.join(sorted(set(part)))}.")
    return _parts(rows, np.flatnonzero(part == "test"))


__all__ = ["LEAK", "leave_last_out", "split_interactions"]
