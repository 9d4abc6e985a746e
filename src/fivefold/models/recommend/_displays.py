"""Displays and histories from a log of interactions, for models of what users choose from what they see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROUNDS = 50
"""Draws after which a place of a display that still holds what the user met stays empty."""


@dataclass(frozen=True)
class Displays:
    """What was shown when, and what was chosen: codes of items, with ``n_items`` for none.

    Parameters
    ----------
    history : int64 (n, m), the choices before, oldest first
    items : int64 (n, k), what was shown; the item of the log comes first
    chosen : int64 (n,), 0 for the item of the log, k for nothing
    last : int64 (n_users, m), the last choices of each user
    """

    history: np.ndarray
    items: np.ndarray
    chosen: np.ndarray
    last: np.ndarray


def windows(items: np.ndarray, begins: np.ndarray, ends: np.ndarray, length: int, none: int) -> np.ndarray:
    """Return the last ``length`` of items[begins[i]:ends[i]] (n, length) in their order, ``none`` before the first."""
    place = ends[:, None] - np.arange(length, 0, -1)  # (n, length)
    there = place >= begins[:, None]
    return np.where(there, np.append(items, none)[np.where(there, place, len(items))], none)


def displays_of(
    users: np.ndarray,
    items: np.ndarray,
    liked: np.ndarray,
    bounds: np.ndarray,
    n_items: int,
    size: int,
    length: int,
    draw: np.random.Generator,
) -> Displays:
    """Return a display a row: its item with ``size - 1`` others that its user never met, drawn uniformly and all different.

    Parameters
    ----------
    users, items : int64 (n,), ordered by user, those of a user by time; ``bounds`` (n_users + 1,) tells where users begin
    liked : bool (n,), whether the item was chosen; else nothing was
    """
    before = np.concatenate([[0], np.cumsum(liked)])  # choices before each row, of all users
    chosen = items[liked]
    history = windows(chosen, before[bounds[users]], before[:-1], length, n_items)
    last = windows(chosen, before[bounds[:-1]], before[bounds[1:]], length, n_items)
    shown = np.concatenate([items[:, None], others(users, items, n_items, size - 1, draw)], axis=1)
    return Displays(history, shown, np.where(liked, 0, size), last)


def others(users: np.ndarray, items: np.ndarray, n_items: int, count: int, draw: np.random.Generator) -> np.ndarray:
    """Return ``count`` different items a row (n, count) that its user never met; ``n_items`` where draws found none."""
    met = np.unique(users * n_items + items)
    found = np.empty((len(users), count), dtype=np.int64)
    rows, places = np.nonzero(np.ones(found.shape, dtype=bool))
    for _ in range(ROUNDS):
        found[rows, places] = draw.integers(n_items, size=len(rows))
        again = np.isin(users[rows] * n_items + found[rows, places], met, assume_unique=False)
        # Of equal items in a row the first stays.
        order = np.argsort(found, axis=1, kind="stable")
        ranked = np.take_along_axis(found, order, axis=1)
        twice = np.zeros(found.shape, dtype=bool)
        np.put_along_axis(twice, order[:, 1:], ranked[:, 1:] == ranked[:, :-1], axis=1)
        bad = twice
        bad[rows, places] |= again
        rows, places = np.nonzero(bad)
        if not len(rows):
            break
    found[rows, places] = n_items
    return found
