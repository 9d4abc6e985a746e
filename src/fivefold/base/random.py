"""Randomness flows from one seed through named streams.

A stream is identified by ``(seed, name, *counters)`` alone: it is a Philox counter-based generator whose key is a hash of
these, so the same name and counters give the same numbers in any process, in any order and after any interruption.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_key(seed: int, name: str, *counters: int) -> int:
    """Return the 128-bit key of a stream."""
    text = ":".join([str(int(seed)), name, *(str(int(c)) for c in counters)])
    return int.from_bytes(hashlib.blake2b(text.encode("utf8"), digest_size=16).digest(), "little")


class Streams:
    """Named random generators that descend from one seed.

    Parameters
    ----------
    seed : int, >= 0
        The seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = int(seed)

    @classmethod
    def of(cls, random_state: Any) -> Streams:
        """Return streams for a scikit-learn style ``random_state``: an int, a NumPy generator or None (fresh entropy)."""
        if isinstance(random_state, Streams):
            return random_state
        if random_state is None:
            return cls(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]))
        if isinstance(random_state, np.random.RandomState):
            return cls(int(random_state.randint(0, 2**31 - 1)))
        if isinstance(random_state, np.random.Generator):
            return cls(int(random_state.integers(0, 2**63 - 1)))
        return cls(int(random_state))

    def numpy(self, name: str, *counters: int) -> np.random.Generator:
        """Return the NumPy generator of a stream, at its start."""
        return np.random.Generator(np.random.Philox(key=stream_key(self.seed, name, *counters)))

    def integer(self, name: str, *counters: int) -> int:
        """Return a seed in [0, 2**63) for a library that takes one integer."""
        return stream_key(self.seed, name, *counters) % 2**63

    def torch(self, name: str, *counters: int, device: str = "cpu") -> torch.Generator:
        """Return the torch generator of a stream, at its start."""
        import torch

        return torch.Generator(device=device).manual_seed(self.integer(name, *counters))

    def child(self, name: str, *counters: int) -> Streams:
        """Return streams of their own for a consumer that needs several."""
        return Streams(self.integer(name, *counters))
