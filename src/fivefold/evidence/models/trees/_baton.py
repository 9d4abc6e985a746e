"""Several processes of a fit as threads of which one runs at a time, handing over where processes would talk."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import numpy as np

from fivefold.engine.distribution import World
from fivefold.models.trees.boosting._exchange import Exchange


class _Round:
    def __init__(self, size: int) -> None:
        self.baton, self.barrier = threading.Lock(), threading.Barrier(size)
        self.slots: dict[int, list[Any]] = defaultdict(lambda: [None] * size)
        self.calls = [0] * size  # of each rank, over all of its exchanges


class Baton(Exchange):
    """An exchange between threads."""

    def __init__(self, world: World, shared: _Round) -> None:
        super().__init__(world)
        self.shared = shared

    def gather(self, value: Any) -> list[Any]:
        call = self.shared.calls[self.world.rank]
        self.shared.calls[self.world.rank] += 1
        self.shared.slots[call][self.world.rank] = value
        self.shared.baton.release()
        try:
            self.shared.barrier.wait(timeout=300)
        finally:
            self.shared.baton.acquire()
        return list(self.shared.slots[call])

    def sum(self, array: np.ndarray) -> np.ndarray:
        self.sent += array.nbytes
        return np.sum(np.array(self.gather(array)), axis=0, dtype=array.dtype)

    def table(self, array: np.ndarray) -> np.ndarray:
        self.sent += array.nbytes
        return np.array(self.gather(array))


def fitted(kind: Any, params: dict[str, Any], shares: list[tuple[Any, ...]], **fit: Any) -> list[Any]:
    """Return the models that ``len(shares)`` processes get; a share is (X, y, weight)."""
    size = len(shares)
    shared = _Round(size)
    answers: list[Any] = [None] * size

    def process(rank: int) -> None:
        class Member(kind):  # type: ignore[misc]
            def _exchange(self) -> Exchange:
                return Baton(World(rank, size), shared)

        X, y, weight = shares[rank]
        with shared.baton:
            try:
                answers[rank] = Member(**params).fit(X, y, sample_weight=weight, **fit)
            except (RuntimeError, ValueError, TypeError, LookupError) as error:  # raised again in the caller's thread
                answers[rank] = error
                shared.barrier.abort()

    threads = [threading.Thread(target=process, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    broken = [a for a in answers if isinstance(a, Exception) and not isinstance(a, threading.BrokenBarrierError)]
    if broken:
        raise broken[0]
    return answers
