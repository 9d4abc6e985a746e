"""Growing one tree in several processes, each with some of the rows."""

from __future__ import annotations

import numpy as np

from fivefold.base.errors import DataError

from . import _splits as s
from ._core import _scale, checked_pack
from ._exchange import Exchange
from ._histograms import BINS, largest, pack_gradients
from ._stepwise import Histogram, StepwiseGrower


class DataParallelGrower(StepwiseGrower):
    """Adds up the histograms of all processes: every one finds the split that one process with all rows would find."""

    exchange: Exchange

    def with_exchange(self, exchange: Exchange) -> DataParallelGrower:
        """Say who takes part."""
        self.exchange = exchange
        return self

    def _packed(self, g: np.ndarray, h: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
        # All processes round to the same unit: that of the largest gradient among them.
        if self.exchange.size == 1:
            return super()._packed(g, h, rows)
        parts = np.empty((1, 3))
        largest(g, h, rows, parts)
        tops = np.array(self.exchange.gather(parts[0]))
        if not np.isfinite(tops[:, :2]).all() or tops[:, 2].min() < 0:
            checked_pack(g, h, rows, self.packed, 1)
            raise DataError(
                "Another process has gradients that are not finite or Hessians below zero; look at its rows."
            )
        scale = np.array([_scale(tops[:, 0].max()), _scale(tops[:, 1].max())])
        sums = np.empty((1, 2), dtype=np.int64)
        pack_gradients(g, h, rows, scale[0], scale[1], self.packed, sums)
        root = self.exchange.sum(np.array([*sums[0], len(rows)], dtype=np.int64))
        return 1 / scale, (int(root[0]), int(root[1]), int(root[2]))

    def _histogram(self, rows: np.ndarray) -> Histogram:
        local = self._summed(rows)
        return Histogram(self.exchange.sum(local.sums), self.exchange.sum(local.counts))


class VotingGrower(DataParallelGrower):
    """PV-Tree: processes vote for their best columns, and only the columns elected are added up.

    Each process keeps the histograms of its own rows, and votes in every node for the ``top_k`` columns that gain most
    there. The ``2 top_k`` columns with the most votes (of as many votes, the larger sum of gains; then the lower number) are
    summed over all processes, and the best split among them is taken.
    """

    top_k = 20

    def _histogram(self, rows: np.ndarray) -> Histogram:
        return self._summed(rows)

    def _search(self, node: int, histogram: Histogram, rows: np.ndarray, unit: np.ndarray) -> None:
        if self.exchange.size == 1:
            return self._score(histogram, self.totals[node], unit, self.whole, self.real)
        elected = self._elected(histogram, rows, unit)
        d = len(self.binned.n_bins)
        sums = self.exchange.sum(histogram.sums.reshape(d, 2 * BINS)[elected])
        counts = self.exchange.sum(histogram.counts.reshape(d, BINS)[elected])
        whole = Histogram(np.zeros_like(histogram.sums), np.zeros_like(histogram.counts))
        whole.sums.reshape(d, 2 * BINS)[elected] = sums
        whole.counts.reshape(d, BINS)[elected] = counts
        self.scan.allowed[:] = False
        self.scan.allowed[elected] = True
        return self._score(whole, self.totals[node], unit, self.whole, self.real)

    def _elected(self, histogram: Histogram, rows: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return the columns that all processes together choose for a node, ascending."""
        packed = self.packed[rows]
        own = np.array([(packed >> 32).sum(), (packed & 0xFFFFFFFF).sum(), len(rows)], dtype=np.int64)
        # A process holds a share of the rows, so that it asks for a share of the least numbers.
        whole, real = self.whole.copy(), self.real.copy()
        whole[s.MIN_SAMPLES] = max(1, whole[s.MIN_SAMPLES] // self.exchange.size)
        whole[s.CAT_GROUP] = max(1, whole[s.CAT_GROUP] // self.exchange.size)
        real[s.MIN_HESSIAN] /= self.exchange.size
        limits = self.scan.limits.copy()
        self.scan.limits[2] = -np.inf
        self._score(histogram, own, unit, whole, real)
        self.scan.limits[:] = limits
        scores = self.scan.scores[0]
        best = np.argsort(-scores, kind="stable")[: self.top_k]
        best = best[scores[best] > -np.inf]
        g, h = own[0] * unit[0], own[1] * unit[1]
        alone = g * g / (h + real[s.L2]) if h + real[s.L2] > 0 else 0.0
        vote = np.full((2, self.top_k), -1.0)
        vote[0, : len(best)], vote[1, : len(best)] = best, scores[best] - alone
        votes = self.exchange.table(vote.ravel()).reshape(-1, 2, self.top_k)
        return elected(votes[:, 0], votes[:, 1], len(scores), 2 * self.top_k)


def elected(columns: np.ndarray, gains: np.ndarray, d: int, seats: int) -> np.ndarray:
    """Return at most ``seats`` of d columns, ascending, for votes (processes, k): column numbers (-1: none) and gains."""
    given = columns >= 0
    chosen = columns[given].astype(np.int64)
    votes = np.bincount(chosen, minlength=d)
    merit = np.bincount(chosen, weights=gains[given], minlength=d)
    order = np.lexsort((np.arange(d), -merit, -votes))
    return np.sort(order[: min(seats, int((votes > 0).sum()))])
