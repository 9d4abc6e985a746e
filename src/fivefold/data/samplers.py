"""Samplers: which rows an epoch sees, in order.

The protocol is ``len(sampler)`` and ``sampler.indices(epoch) -> int64 array``. The answer depends on ``(seed, epoch)`` alone,
so resuming needs no state, and ranks agree because each takes its share of the same batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams


class Sampler:
    """Base of the samplers.

    Parameters
    ----------
    n : int >= 1
        Rows of the data.
    num_samples : int >= 1, optional
        Rows of an epoch; default n.
    seed : int, default 0
    """

    def __init__(self, n: int, *, num_samples: int | None = None, seed: int = 0) -> None:
        self.n = check_count("The number of rows", n)
        self.num_samples = self.n if num_samples is None else check_count("num_samples", num_samples)
        self.seed = int(seed)

    def __len__(self) -> int:
        """Return the number of rows of an epoch."""
        return self.num_samples

    def indices(self, epoch: int) -> np.ndarray:
        """Return the rows of an epoch in order, shape (len(self),), int64."""
        raise NotImplementedError


class SequentialSampler(Sampler):
    """Every row once, in the order of the data.

    Parameters
    ----------
    n : int >= 1
    """

    def __init__(self, n: int) -> None:
        super().__init__(n)

    def indices(self, epoch: int) -> np.ndarray:
        return np.arange(self.n)


class RandomSampler(Sampler):
    """Every row once in random order, or rows drawn uniformly with replacement.

    Parameters
    ----------
    n : int >= 1
    replacement : bool, default False
    num_samples : int >= 1, optional
        Rows of an epoch; default n. Without replacement at most n.
    seed : int, default 0

    Raises
    ------
    InputError
        When more rows are asked for than there are, without replacement.
    """

    def __init__(self, n: int, *, replacement: bool = False, num_samples: int | None = None, seed: int = 0) -> None:
        super().__init__(n, num_samples=num_samples, seed=seed)
        self.replacement = replacement
        if not replacement and self.num_samples > n:
            raise InputError(f"Cannot draw {num_samples} of {n} rows without replacement; set replacement=True.")

    def indices(self, epoch: int) -> np.ndarray:
        generator = Streams(self.seed).numpy("sampler/random", epoch)
        if self.replacement:
            return generator.integers(0, self.n, self.num_samples)
        return generator.permutation(self.n)[: self.num_samples]


class WeightedSampler(Sampler):
    r"""Rows drawn with given weights.

    With replacement each draw takes row i with probability :math:`w_i / \sum_k w_k`. Without replacement rows are drawn one
    after the other with these probabilities among those that are left, done at once by ordering exponential clocks
    :math:`E_i / w_i` (Efraimidis & Spirakis 2006).

    Parameters
    ----------
    weights : array of shape (n,), finite, >= 0, not all zero
    num_samples : int >= 1, optional
        Rows of an epoch; default n, without replacement the number of positive weights at most.
    replacement : bool, default True
    seed : int, default 0

    Raises
    ------
    DataError
        For weights that are negative, not finite, or all zero.
    InputError
        When more rows are asked for than have a positive weight, without replacement.

    References
    ----------
    Efraimidis & Spirakis, "Weighted random sampling with a reservoir", 2006.
    """

    def __init__(
        self, weights: Any, *, num_samples: int | None = None, replacement: bool = True, seed: int = 0
    ) -> None:
        self.weights = np.asarray(weights, dtype=np.float64)
        if self.weights.ndim != 1 or not len(self.weights):
            raise DataError(f"weights must have one value a row, shape (n,); got shape {self.weights.shape}.")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any() or not self.weights.any():
            raise DataError("weights must be finite and not negative, with at least one above zero.")
        possible = int((self.weights > 0).sum())
        if num_samples is None and not replacement:
            num_samples = possible
        super().__init__(len(self.weights), num_samples=num_samples, seed=seed)
        self.replacement = replacement
        if not replacement and self.num_samples > possible:
            raise InputError(
                f"Cannot draw {self.num_samples} rows without replacement: only {possible} have a positive weight."
            )

    def indices(self, epoch: int) -> np.ndarray:
        generator = Streams(self.seed).numpy("sampler/weighted", epoch)
        if self.replacement:
            edges = np.cumsum(self.weights)
            # side="right" skips rows of zero weight, whose edge equals the one before.
            drawn = np.searchsorted(edges, generator.random(self.num_samples) * edges[-1], side="right")
            return np.minimum(drawn, np.flatnonzero(self.weights)[-1])
        clocks = np.full(self.n, np.inf)
        positive = self.weights > 0
        clocks[positive] = generator.standard_exponential(int(positive.sum())) / self.weights[positive]
        return np.argsort(clocks, kind="stable")[: self.num_samples]


class ClassBalancedSampler(Sampler):
    """Every class equally often, and within a class every row equally often, up to one.

    A class of fewer rows is repeated, each pass in a new order; nothing is left to chance but the order.

    Parameters
    ----------
    labels : array of shape (n,)
        Class of each row.
    num_samples : int >= 1, optional
        Rows of an epoch; default n. Where the number of classes does not divide it, random classes get one row more.
    seed : int, default 0
    """

    def __init__(self, labels: Any, *, num_samples: int | None = None, seed: int = 0) -> None:
        values = np.asarray(labels)
        if values.ndim != 1 or not len(values):
            raise DataError(f"labels must have one class a row, shape (n,); got shape {values.shape}.")
        super().__init__(len(values), num_samples=num_samples, seed=seed)
        codes = np.unique(values, return_inverse=True)[1]
        self._rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])

    def indices(self, epoch: int) -> np.ndarray:
        generator = Streams(self.seed).numpy("sampler/balanced", epoch)
        base, extra = divmod(self.num_samples, len(self._rows))
        counts = np.full(len(self._rows), base)
        counts[generator.permutation(len(self._rows))[:extra]] += 1
        chosen = []
        for rows, count in zip(self._rows, counts):
            passes = -(-count // len(rows))
            # permuted(axis=1) shuffles each pass on its own.
            chosen.append(generator.permuted(np.tile(rows, (passes, 1)), axis=1).reshape(-1)[:count])
        return generator.permutation(np.concatenate(chosen))
