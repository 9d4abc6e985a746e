"""Growing a tree node by node from Python, with histograms from elsewhere: another device, or other processes.

The rules are those of :mod:`._grow`, and so are the trees, bit for bit: sums of fixed-point numbers do not depend on who adds
them up. A subclass says where histograms come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange

from fivefold.base.jit import njit

from . import _grow as k
from . import _splits as s
from ._binned import Binned
from ._core import Grower, Grown, Growth, checked_pack, most_leaves, settings_of
from ._histograms import BINS, MISSING, fill_block, partition_alone
from ._splits import leaf_score, leaf_value, score_columns, worth


@dataclass
class Histogram:
    """Sums of gradients and Hessians (2 d 256,) and rows (d 256,) of a node, by column and bin."""

    sums: np.ndarray
    counts: np.ndarray

    def less(self, other: Histogram) -> Histogram:
        """Return what is left when the rows of another histogram are taken away."""
        return Histogram(self.sums - other.sums, self.counts - other.counts)


@dataclass
class Scan:
    """Memory of the search for the best split of a node."""

    scores: np.ndarray  # (2, d), one row used
    what: np.ndarray  # (2, d, 3)
    left: np.ndarray  # (2, d, 3)
    bits: np.ndarray  # (2, d or 0, 4)
    work: np.ndarray  # (4, 256)
    limits: np.ndarray  # (3,)
    allowed: np.ndarray  # (d,)
    path: np.ndarray  # (d,)


class StepwiseGrower(Grower):
    """Grows trees like :class:`Grower`; columns of the table are not bundled.

    Parameters
    ----------
    total : int
        Training rows in all; more than those of the table where processes share them.
    """

    def __init__(
        self,
        binned: Binned,
        growth: Growth,
        threads: int,
        monotone: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        total: int | None = None,
    ) -> None:
        super().__init__(binned, growth, threads, monotone, groups)
        n, d = len(binned) if total is None else total, len(binned.n_bins)
        self.whole, self.real = settings_of(growth, n)
        nodes = 2 * most_leaves(growth, n) - 1
        self.ints = np.empty((nodes, k.N_INTS), dtype=np.int64)
        self.floats = np.empty((nodes, k.N_FLOATS))
        self.totals = np.zeros((nodes, 3), dtype=np.int64)
        self.totals_left = np.zeros((nodes, 3), dtype=np.int64)
        self.level_bits = np.zeros((nodes, 4), dtype=np.uint64)
        self.scan = Scan(
            np.empty((2, d)),
            np.zeros((2, d, 3), dtype=np.int64),
            np.zeros((2, d, 3), dtype=np.int64),
            np.zeros((2, d if binned.kinds.any() else 0, 4), dtype=np.uint64),
            np.empty((4, BINS)),
            np.empty(3),
            np.zeros(d, dtype=np.bool_),
            np.zeros(d, dtype=np.bool_),
        )

    def _packed(self, g: np.ndarray, h: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
        """Round the gradients and Hessians of ``rows``; return the units, and sums and rows of the root."""
        unit, root = checked_pack(g, h, rows, self.packed, 1)
        return unit, (*root, len(rows))

    def _summed(self, rows: np.ndarray) -> Histogram:
        """Return the histogram of ``rows`` of this table."""
        width = len(self.binned.n_bins) * BINS
        made = Histogram(np.zeros(2 * width, dtype=np.int64), np.zeros(width, dtype=np.int32))
        fill_all(
            self.binned.words, self.binned.blocks, self.used, self.binned.widths, rows, self.packed, self.scratch,
            self.buffers, made.sums, made.counts,
        )  # fmt: skip
        return made

    def _histogram(self, rows: np.ndarray) -> Histogram:
        """Return the histogram of a node, of which ``rows`` lie in this table."""
        return self._summed(rows)

    def _search(self, node: int, histogram: Histogram, rows: np.ndarray, unit: np.ndarray) -> None:
        """Find the best split of a node among the columns of ``scan.allowed``, into row 0 of ``scan``."""
        self._score(histogram, self.totals[node], unit, self.whole, self.real)

    def _score(
        self, histogram: Histogram, totals: np.ndarray, unit: np.ndarray, whole: np.ndarray, real: np.ndarray
    ) -> None:
        """Score the best split of each allowed column."""
        scan = self.scan
        score_columns(
            np.arange(len(self.binned.n_bins)), histogram.sums, histogram.counts, self.binned.where, self.binned.n_bins,
            self.binned.kinds, scan.allowed, totals, unit, scan.limits, whole, real, self.directions, scan.work,
            scan.scores[0], scan.what[0], scan.left[0], scan.bits[0],
        )  # fmt: skip

    def grow(
        self,
        g: np.ndarray,
        h: np.ndarray,
        rows: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        seed: int = 0,
    ) -> Grown:
        """Grow a tree; the arguments are those of :meth:`Grower.grow`."""
        m = len(self.binned) if rows is None else len(rows)
        self.rows[:m] = np.arange(m, dtype=np.uint32) if rows is None else rows
        here = self.rows[:m]
        mask = np.ones(len(self.binned.n_bins), dtype=np.bool_) if mask is None else mask
        self.used = self.binned.used(mask)
        unit, self.totals[0] = self._packed(g, h, here)
        self.whole[s.SEED] = seed
        ints, floats, totals = self.ints, self.floats, self.totals
        k._new_node(0, -1, 0, m, 0, -np.inf, np.inf, ints, floats)
        leaves = np.zeros(self.whole[s.MAX_LEAVES], dtype=np.int64)
        n_leaves, n_nodes = 1, 1
        histograms: dict[int, Histogram] = {}
        new = [0]  # the smaller of two new nodes first
        parent: Histogram | None = None
        while True:
            growing = n_leaves < len(leaves)
            wanted = [node for node in new if self._valued(node, unit) and growing]
            if wanted:
                smaller = self._histogram(here[ints[new[0], k.START] : ints[new[0], k.END]])
                for node in wanted:
                    own = smaller if node == new[0] or parent is None else parent.less(smaller)
                    self._best(node, own, here, mask, unit)
                    if ints[node, k.BEST_FEATURE] >= 0:
                        histograms[node] = own
            at = int(k._next_leaf(leaves, n_leaves, ints, floats, self.whole[s.DEPTHWISE] == 1)) if growing else -1
            if at < 0:
                break
            node = int(leaves[at])
            a, b = n_nodes, n_nodes + 1
            n_nodes += 2
            self._split(node, a, b, here, unit)
            parent = histograms.pop(node)
            leaves[at], leaves[n_leaves] = a, b
            n_leaves += 1
            new = [b, a] if totals[b, 2] < totals[a, 2] else [a, b]
        kept = (ints[:n_nodes], floats[:n_nodes], totals[:n_nodes], self.level_bits[:n_nodes])
        return Grown(*(part.copy() for part in kept), here, unit)

    def _valued(self, node: int, unit: np.ndarray) -> bool:
        """Write the value of a new leaf and return whether it is large enough for a split."""
        ints, floats, real = self.ints, self.floats, self.real
        g, h = self.totals[node, 0] * unit[0], self.totals[node, 1] * unit[1]
        low, high = floats[node, k.LOW], floats[node, k.HIGH]
        value = leaf_value(g, h, real[s.L1], real[s.L2], real[s.MAX_STEP], low, high)
        floats[node, k.SCORE] = leaf_score(g, h, real[s.L1], real[s.L2], value)
        if floats[node, k.EXTRA_L2] > 0:
            value = leaf_value(g, h, real[s.L1], real[s.L2] + floats[node, k.EXTRA_L2], real[s.MAX_STEP], low, high)
        floats[node, k.VALUE] = value
        return bool(k._splittable(node, ints, self.totals, unit, self.whole, real))

    def _best(self, node: int, histogram: Histogram, here: np.ndarray, mask: np.ndarray, unit: np.ndarray) -> None:
        """Find the best split of a node and store it, or -1 when none is worth it."""
        ints, floats, scan = self.ints, self.floats, self.scan
        scan.limits[:] = floats[node, k.LOW], floats[node, k.HIGH], floats[node, k.SCORE]
        k.draw_columns(node, ints, mask, self.groups, self.whole, self.real, scan.path, scan.allowed)
        self._search(node, histogram, here[ints[node, k.START] : ints[node, k.END]], unit)
        k._take_best(
            node, 0, scan.scores, scan.what, scan.left, scan.bits, ints, floats, self.totals_left, self.level_bits
        )
        if ints[node, k.BEST_FEATURE] >= 0:
            gain, score = floats[node, k.BEST_GAIN], floats[node, k.SCORE]
            if not worth(gain, score, self.real, self.whole):
                ints[node, k.BEST_FEATURE] = -1

    def _split(self, node: int, a: int, b: int, here: np.ndarray, unit: np.ndarray) -> None:
        """Make the nodes a (left) and b of the best split of a node, and order its rows."""
        ints, floats, totals, real = self.ints, self.floats, self.totals, self.real
        f, cut = ints[node, k.BEST_FEATURE], ints[node, k.BEST_BIN]
        bins = np.arange(BINS)
        if ints[node, k.BEST_KIND] > 0:
            inside = (self.level_bits[node, bins >> 6] >> (bins & 63).astype(np.uint64)) & np.uint64(1)
            goes_left = inside.astype(np.uint8)
        else:
            goes_left = (bins <= cut).astype(np.uint8)
            goes_left[MISSING] = ints[node, k.BEST_MISSING]
        start, end = ints[node, k.START], ints[node, k.END]
        column = self.binned.columns[f]
        n_left = int(np.count_nonzero(goes_left[column[here[start:end]]]))
        partition_alone(column, goes_left, here, start, end, self.spare)
        ints[node, k.FEATURE], ints[node, k.BIN], ints[node, k.MISSING_LEFT] = f, cut, ints[node, k.BEST_MISSING]
        ints[node, k.LEFT], ints[node, k.RIGHT] = a, b
        floats[node, k.GAIN] = floats[node, k.BEST_GAIN]
        totals[a] = self.totals_left[node]
        totals[b] = totals[node] - totals[a]
        low, high, depth = floats[node, k.LOW], floats[node, k.HIGH], ints[node, k.DEPTH] + 1
        k._new_node(a, node, start, start + n_left, depth, low, high, ints, floats)
        k._new_node(b, node, start + n_left, end, depth, low, high, ints, floats)
        if ints[node, k.BEST_KIND] == 2:
            floats[[a, b], k.EXTRA_L2] = real[s.CAT_L2]
        if self.directions[f] != 0:
            middle = 0.0
            for child in (a, b):
                g, h = totals[child, 0] * unit[0], totals[child, 1] * unit[1]
                middle += leaf_value(g, h, real[s.L1], real[s.L2], real[s.MAX_STEP], low, high) / 2
            upper, lower = (b, a) if self.directions[f] > 0 else (a, b)
            floats[upper, k.LOW] = middle
            floats[lower, k.HIGH] = middle


@njit(parallel=True)
def fill_all(words, blocks, used, widths, rows, gh, scratch, buffers, sums, counts):
    """Write the histogram of ``rows`` for the columns of all blocks; blocks are shared among threads."""
    threads = len(scratch)
    for t in prange(threads):
        for b in range(t, len(blocks), threads):
            fill_block(
                words, b, np.int64(0), blocks[b, 1], blocks, used, widths, rows, 0, len(rows), gh, scratch[t], buffers[t], sums,
                counts,
            )  # fmt: skip
