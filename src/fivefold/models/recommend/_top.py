"""The best items of many users at once."""

from __future__ import annotations

import numba
import numpy as np

from fivefold.base.jit import njit


@njit
def _mixed(key: np.uint64, item: int) -> np.uint64:
    """Return bits that depend on both numbers (the finalizer of SplitMix64)."""
    z = key + np.uint64(item + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit
def _worse(score: float, tie: np.uint64, other: float, other_tie: np.uint64) -> bool:
    return score < other or (score == other and tie < other_tie)


@njit
def _sift(heap: np.ndarray, ties: np.ndarray, items: np.ndarray, start: int, size: int) -> None:
    """Move the entry at ``start`` down until no child is worse than its parent: the worst entry is on top."""
    at = start
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        if child + 1 < size and _worse(heap[child + 1], ties[child + 1], heap[child], ties[child]):
            child += 1
        if not _worse(heap[child], ties[child], heap[at], ties[at]):
            return
        heap[at], heap[child] = heap[child], heap[at]
        ties[at], ties[child] = ties[child], ties[at]
        items[at], items[child] = items[child], items[at]
        at = child


@njit(parallel=True)
def top_k(
    scores: np.ndarray,
    allowed: np.ndarray,
    starts: np.ndarray,
    seen: np.ndarray,
    keys: np.ndarray,
    items: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write the best items of every row of ``scores`` (b, n) into ``items`` and ``best`` (b, k), best first.

    Items that are not ``allowed`` (n,) and those in ``seen[starts[r]:starts[r + 1]]`` are passed over; places left are -1.
    Equal scores are ordered by bits mixed from ``keys`` (b,) and the item, so that no order of the items is favored.
    """
    count, k = scores.shape[1], items.shape[1]
    for row in numba.prange(len(scores)):
        blocked = ~allowed
        for at in range(starts[row], starts[row + 1]):
            blocked[seen[at]] = True
        heap, ties, found = np.empty(k), np.empty(k, dtype=np.uint64), np.empty(k, dtype=np.int64)
        size = 0
        for item in range(count):
            if blocked[item]:
                continue
            score, tie = scores[row, item], _mixed(keys[row], item)
            if size < k:
                heap[size], ties[size], found[size] = score, tie, item
                size += 1
                if size == k:
                    for at in range(k // 2 - 1, -1, -1):
                        _sift(heap, ties, found, at, k)
            elif _worse(heap[0], ties[0], score, tie):
                heap[0], ties[0], found[0] = score, tie, item
                _sift(heap, ties, found, 0, k)
        if size < k:
            for at in range(size // 2 - 1, -1, -1):
                _sift(heap, ties, found, at, size)
        items[row, size:] = -1
        best[row, size:] = -np.inf
        for place in range(size - 1, -1, -1):
            items[row, place], best[row, place] = found[0], heap[0]
            heap[0], ties[0], found[0] = heap[place], ties[place], found[place]
            _sift(heap, ties, found, 0, place)


@njit
def merged_ranks(orders: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the place of every item, from 1, when places take turns to pick the best item left, (b, n) float64.

    ``orders`` (b, K, n) holds the items by falling score for each of K turns. Those marked in ``last`` (b, n) come after all
    others.
    """
    rows, turns, count = orders.shape
    places = np.zeros((rows, count))
    for row in range(rows):
        place = 0
        for late in (False, True):
            at = np.zeros(turns, dtype=np.int64)
            left = np.sum(last[row] == late)
            for number in range(left):
                turn = number % turns
                item = orders[row, turn, at[turn]]
                while places[row, item] > 0 or last[row, item] != late:
                    at[turn] += 1
                    item = orders[row, turn, at[turn]]
                place += 1
                places[row, item] = place
    return places
