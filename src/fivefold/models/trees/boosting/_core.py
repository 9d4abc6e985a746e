"""From gradients to a tree: the Python side of the histogram core.

A booster bins its table once (:class:`BinMapper`), makes one :class:`Grower`, and for every tree calls :meth:`Grower.grow` with
gradients and Hessians. What comes back is a :class:`Grown` tree: its arrays, and which rows lie in which leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fivefold.base.errors import DataError

from . import _grow as k
from . import _splits as s
from ._binned import Binned
from ._binning import BinMapper
from ._columns import BY_ROWS, MERGED, WHOLE, search, search_part, workers_for
from ._histograms import (
    BINS,
    FRACTION_BITS,
    ROUND,
    largest,
    largest_part,
    pack_gradients,
    pack_part,
    partition,
)
from ._leaves import add_by_leaf, add_by_walk

_POOL_BYTES = 1 << 30  # any value: histograms beyond this are summed again instead of kept
_SERIAL = 1 << 15  # any value: rows that one thread updates faster than two


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Settings of one tree.

    Parameters
    ----------
    max_leaves : int >= 2
    max_depth : int >= 1 or None
    min_samples : int >= 1
        Rows a leaf keeps.
    min_split : int >= 2
        Rows a node needs to be split.
    min_hessian : float >= 0
        Sum of Hessians a leaf keeps.
    l2, l1, min_gain, max_step : float >= 0
        Penalties on leaf values, the gain a split must exceed, and the largest leaf value (0: no limit).
    depthwise : bool
        Level by level instead of the largest gain first.
    prefer_high : bool
        Of equal cuts of a column take the highest, as LightGBM does, instead of the lowest, as XGBoost does.
    inclusive : bool
        A gain equal to ``min_gain`` suffices.
    by_level, by_node : float in (0, 1]
        Shares of columns drawn anew.
    cat_one_hot, cat_limit, cat_group, cat_smooth, cat_l2
        Categorical splits, as ``max_cat_to_onehot``, ``max_cat_threshold``, ``min_data_per_group``, ``cat_smooth`` and
        ``cat_l2`` of LightGBM.
    """

    max_leaves: int
    max_depth: int | None = None
    min_samples: int = 1
    min_split: int = 2
    min_hessian: float = 0.0
    l2: float = 0.0
    l1: float = 0.0
    min_gain: float = 0.0
    max_step: float = 0.0
    depthwise: bool = False
    prefer_high: bool = False
    inclusive: bool = False
    by_level: float = 1.0
    by_node: float = 1.0
    cat_one_hot: int = 4
    cat_limit: int = 32
    cat_group: int = 100
    cat_smooth: float = 10.0
    cat_l2: float = 10.0


@dataclass
class Grown:
    """One tree: the arrays of :mod:`._grow`, and the rows of leaf i in ``rows[ints[i, START]:ints[i, END]]``."""

    ints: np.ndarray  # (m, N_INTS)
    floats: np.ndarray  # (m, N_FLOATS)
    totals: np.ndarray  # (m, 3)
    level_bits: np.ndarray  # (m, 4)
    rows: np.ndarray  # (n_used,) uint32, valid until the next tree
    unit: np.ndarray  # (2,)

    @property
    def leaves(self) -> np.ndarray:
        """Numbers of the leaves."""
        return np.flatnonzero(self.ints[:, k.LEFT] < 0)

    @property
    def values(self) -> np.ndarray:
        """Values of the nodes (m,), a view: change those of leaves to renew them."""
        return self.floats[:, k.VALUE]

    def part(self, mapper: BinMapper) -> dict[str, np.ndarray]:
        """Return the arrays that :meth:`Trees.extend` takes."""
        m = len(self.ints)
        inner = self.ints[:, k.LEFT] >= 0
        feature = np.where(inner, self.ints[:, k.FEATURE], -1)
        cut = np.where(inner, self.ints[:, k.BIN], -1)
        threshold = np.full(m, np.nan)
        for node in np.flatnonzero(cut >= 0):
            cuts = mapper.cuts[feature[node]]
            threshold[node] = cuts[cut[node]] if cut[node] < len(cuts) else np.inf
        by_level = np.flatnonzero(inner & (cut < 0))
        level_offset = np.full(m, -1, dtype=np.int32)
        level_offset[by_level] = 4 * np.arange(len(by_level))
        return {
            "feature": feature,
            "bin": cut,
            "threshold": threshold,
            "missing_left": inner & (self.ints[:, k.MISSING_LEFT] == 1),
            "left": self.ints[:, k.LEFT],
            "right": self.ints[:, k.RIGHT],
            "value": self.floats[:, k.VALUE],
            "gain": np.where(inner, self.floats[:, k.GAIN], 0.0),
            "count": self.totals[:, 2],
            "cover": self.totals[:, 1] * self.unit[1],
            "level_offset": level_offset,
            "levels": self.level_bits[by_level].copy(),
        }


class Grower:
    """Grows trees on one binned table; holds the memory that they share.

    Parameters
    ----------
    binned : Binned
    growth : Growth
    threads : int
        Any number gives the same trees.
    monotone : int64 array (d,) of -1, 0, 1, optional
    groups : bool array (q, d), optional
        Columns that may stand together on one path.
    """

    def __init__(
        self,
        binned: Binned,
        growth: Growth,
        threads: int,
        monotone: np.ndarray | None = None,
        groups: np.ndarray | None = None,
    ) -> None:
        n, d = len(binned), len(binned.n_bins)
        self.binned, self.growth, self.threads = binned, growth, threads
        self.directions = np.zeros(d, dtype=np.int64) if monotone is None else monotone.astype(np.int64)
        self.groups = np.zeros((0, d), dtype=np.bool_) if groups is None else groups.astype(np.bool_)
        leaves = most_leaves(growth, n)
        slots = 1 + max(1, min(leaves, _POOL_BYTES // (len(binned.widths) * BINS * 20)))
        width = len(binned.widths) * BINS
        self.sums = np.empty((slots, 2 * width), dtype=np.int64)
        self.counts = np.empty((slots, width), dtype=np.int32)
        extra = threads - 1 if len(binned.blocks) < 2 * threads else 0
        self.extra_sums = np.empty((extra, 2 * width), dtype=np.int64)
        self.extra_counts = np.empty((extra, width), dtype=np.int32)
        pairs = np.zeros(threads * 4 * 4096 + 2, dtype=np.int64)
        start = (-pairs.ctypes.data % 16) // 8  # pairs are loaded as 16 aligned bytes
        self.scratch = pairs[start : start + threads * 4 * 4096].reshape(threads, 4 * 4096)
        self.buffers = np.empty((threads, 2 * ROUND), dtype=np.int64)
        nodes = 2 * leaves - 1
        self.ints = np.empty((nodes, k.N_INTS), dtype=np.int64)
        self.floats = np.empty((nodes, k.N_FLOATS))
        self.totals = np.zeros((nodes, 3), dtype=np.int64)
        self.totals_left = np.zeros((nodes, 3), dtype=np.int64)
        self.level_bits = np.zeros((nodes, 4), dtype=np.uint64)
        self.rows = np.empty(n, dtype=np.uint32)
        self.spare = np.empty(n, dtype=np.uint32)
        self.packed = np.empty(n, dtype=np.int64)
        self.whole, self.real = settings_of(growth, n)
        # What the kernels hand each other.
        self.state, self.job = np.zeros(k.N_STATE, dtype=np.int64), np.empty(4, dtype=np.int64)
        self.leaves, self.free = np.empty(leaves, dtype=np.int64), np.empty(slots - 1, dtype=np.int64)
        self.goes_left = np.zeros(BINS, dtype=np.uint8)
        self.pair, self.limits = np.zeros((2, 3), dtype=np.int64), np.empty((2, 3))
        self.scan, self.path = np.zeros(2, dtype=np.bool_), np.zeros(d, dtype=np.bool_)
        self.allowed = np.zeros((2, d), dtype=np.bool_)
        self.work, self.scores = np.empty((threads, 4, BINS)), np.empty((2, d))
        self.what, self.left = np.zeros((2, d, 3), dtype=np.int64), np.zeros((2, d, 3), dtype=np.int64)
        self.bits = np.zeros((2, d if binned.kinds.any() else 0, 4), dtype=np.uint64)

    def grow(
        self,
        g: np.ndarray,
        h: np.ndarray,
        rows: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        seed: int = 0,
    ) -> Grown:
        """Grow a tree.

        Parameters
        ----------
        g, h : float arrays (n,)
            Gradients and Hessians (>= 0) of all rows.
        rows : int array (m,), optional
            The rows to grow on, ascending; default all.
        mask : bool array (d,), optional
            The columns of this tree; default all.
        seed : int
            Seed of the columns drawn by level and by node.
        """
        d = len(self.binned.n_bins)
        threads = self.threads if len(self.binned) >= _SERIAL else 1
        if rows is None:
            m = len(self.binned)
            self.rows[:] = np.arange(m, dtype=np.uint32)
        else:
            m = len(rows)
            self.rows[:m] = rows
        here = self.rows[:m]
        unit, root = checked_pack(g, h, here, self.packed, threads)
        self.totals[0] = *root, m
        self.whole[s.SEED] = seed
        mask = np.ones(d, dtype=np.bool_) if mask is None else mask
        nodes = self._nodes(here, mask, unit)
        return Grown(
            self.ints[:nodes].copy(),
            self.floats[:nodes].copy(),
            self.totals[:nodes].copy(),
            self.level_bits[:nodes].copy(),
            here,
            unit,
        )

    def _nodes(self, rows: np.ndarray, mask: np.ndarray, unit: np.ndarray) -> int:
        """Grow a tree on ``rows`` and return the number of its nodes."""
        binned, threads = self.binned, self.threads
        used = binned.used(mask)
        deciding = (
            self.state, self.job, self.pair, self.scan, self.limits, self.allowed, self.path, self.goes_left, self.leaves,
            self.free, binned.columns, binned.where, binned.n_bins, rows, self.spare, mask, self.groups, self.directions,
            self.whole, self.real, unit, self.ints, self.floats, self.totals, self.totals_left, self.level_bits,
            self.scores, self.what, self.left, self.bits, threads,
        )  # fmt: skip
        searching = (
            self.job, binned.words, binned.blocks, used, binned.widths, binned.where, binned.members, binned.n_bins,
            binned.kinds, rows, self.packed, self.sums, self.counts, self.extra_sums, self.extra_counts, self.scratch,
            self.buffers, self.pair, self.scan, self.allowed, unit, self.limits, self.whole, self.real, self.directions,
            self.work, self.scores, self.what, self.left, self.bits,
        )  # fmt: skip
        self.state[:] = 0
        while True:
            task = k.advance(*deciding)
            if task == k.DONE:
                return int(self.state[k.N_NODES])
            if task == k.ORDER:
                start, end, n_left, place = self.job
                partition(binned.columns[place], self.goes_left, rows, start, end, n_left, self.spare, threads)
                continue
            workers, by_rows = workers_for(self.job, len(binned.n_bins), len(binned.blocks), threads)
            if workers == 1:
                search_part(0, 1, WHOLE, *searching)
            else:
                for phase in (BY_ROWS, MERGED) if by_rows else (WHOLE,):
                    search(workers, phase, *searching)

    def add(self, grown: Grown, score: np.ndarray) -> None:
        """Add the leaf values of a tree just grown to the scores (n,) of all rows, those it was not grown on too."""
        threads = self.threads if len(score) >= _SERIAL else 1
        if len(grown.rows) == len(self.binned):
            leaves = grown.leaves
            # Empty leaves, which a share of the rows may leave, come before the one that begins at the same row.
            order = np.lexsort((grown.ints[leaves, k.END], grown.ints[leaves, k.START]))
            leaves = leaves[order]
            edges = np.append(grown.ints[leaves, k.START], len(grown.rows))
            add_by_leaf(grown.rows, edges, np.ascontiguousarray(grown.values[leaves]), score, threads)
        else:
            self.add_to(grown, self.binned, score)

    def table(self, X: Any, mapper: BinMapper) -> Binned:
        """Return the form of another table that :meth:`add_to` takes."""
        return mapper.transform(X, self.threads)

    def add_to(self, grown: Grown, table: Binned, score: np.ndarray) -> None:
        """Add the leaf values of a tree to the scores (n,) of another table."""
        threads = self.threads if len(score) >= _SERIAL else 1
        values = np.ascontiguousarray(grown.values)
        add_by_walk(table, grown.ints, values, grown.level_bits, score, threads)


def most_leaves(growth: Growth, n: int) -> int:
    """Return how many leaves a tree on n rows may have."""
    deepest = n if growth.max_depth is None else growth.max_depth
    return max(1, min(growth.max_leaves, n, 1 << min(deepest, 40)))


def settings_of(growth: Growth, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the settings as the kernels read them: whole and real numbers."""
    whole, real = np.zeros(s.N_WHOLE, dtype=np.int64), np.zeros(s.N_REAL)
    divisible = 2 * growth.min_samples  # any value: a search of fewer rows finds nothing
    for at, value in (
        (s.MAX_LEAVES, most_leaves(growth, n)),
        (s.MAX_DEPTH, n if growth.max_depth is None else growth.max_depth),
        (s.MIN_SAMPLES, max(1, growth.min_samples)),
        (s.MIN_SPLIT, max(growth.min_split, divisible)),
        (s.DEPTHWISE, growth.depthwise),
        (s.PREFER_HIGH, growth.prefer_high),
        (s.INCLUSIVE, growth.inclusive),
        (s.CAT_ONE_HOT, growth.cat_one_hot),
        (s.CAT_LIMIT, growth.cat_limit),
        (s.CAT_GROUP, growth.cat_group),
    ):
        whole[at] = value
    for at, number in (
        (s.L2, growth.l2),
        (s.L1, growth.l1),
        (s.MIN_HESSIAN, growth.min_hessian),
        (s.MIN_GAIN, growth.min_gain),
        (s.MAX_STEP, growth.max_step),
        (s.CAT_SMOOTH, growth.cat_smooth),
        (s.CAT_L2, growth.cat_l2),
        (s.BY_LEVEL, growth.by_level),
        (s.BY_NODE, growth.by_node),
    ):
        real[at] = number
    return whole, real


def checked_pack(
    g: np.ndarray, h: np.ndarray, rows: np.ndarray, out: np.ndarray, threads: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """Pack the gradients and Hessians (n,) of ``rows`` into ``out`` (n,); return the units and the sums in them."""
    m = len(rows)
    parts = np.empty((threads, 3))
    if threads == 1:
        largest_part(g, h, rows, 0, m, parts[0])
    else:
        largest(g, h, rows, parts)
    top_g, top_h, low_h = parts[:, 0].max(), parts[:, 1].max(), parts[:, 2].min()
    if not (np.isfinite(top_g) and np.isfinite(top_h)) or low_h < 0:
        raise DataError(
            "The loss gave a gradient or Hessian that is not finite, or a Hessian below zero; rescale the targets, or let a "
            "custom loss return finite gradients and Hessians >= 0."
        )
    scale = np.array([_scale(top_g), _scale(top_h)])
    sums = np.empty((threads, 2), dtype=np.int64)
    if threads == 1:
        pack_part(g, h, rows, 0, m, scale[0], scale[1], out, sums[0])
    else:
        pack_gradients(g, h, rows, scale[0], scale[1], out, sums)
    return 1 / scale, (int(sums[:, 0].sum()), int(sums[:, 1].sum()))


def _scale(top: float) -> float:
    """Return the power of two that brings the largest number just within FRACTION_BITS bits."""
    if top == 0:
        return 1.0
    return float(np.ldexp(1.0, FRACTION_BITS - int(np.frexp(top)[1])))
