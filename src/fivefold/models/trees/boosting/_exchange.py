"""What processes tell each other while they grow the same tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from fivefold.engine import distribution
from fivefold.engine.distribution import World


class Exchange:
    """The processes of a fit: alone without torchrun.

    Attributes
    ----------
    world : World
        Rank and number of processes.
    sent : int
        Bytes of histograms and votes that this process has given.
    """

    def __init__(self, world: World) -> None:
        self.world, self.sent = world, 0

    @classmethod
    def join(cls) -> Exchange:
        """Return the processes that torchrun started, or that the caller joined."""
        return cls(distribution.join("cpu"))

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.world.size

    def gather(self, value: Any) -> list[Any]:
        """Return the value of every process, in order of rank."""
        return distribution.gather(value, self.world)

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of an integer array over all processes."""
        if self.size == 1:
            return array
        self.sent += array.nbytes
        out = np.ascontiguousarray(array).copy()
        dist.all_reduce(torch.from_numpy(out))
        return out

    def table(self, array: np.ndarray) -> np.ndarray:
        """Return an array (k,) of every process, by rank: (size, k)."""
        if self.size == 1:
            return array[None]
        self.sent += array.nbytes
        parts = [torch.empty(array.shape, dtype=torch.float64) for _ in range(self.size)]
        dist.all_gather(parts, torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64)))
        return torch.stack(parts).numpy()
