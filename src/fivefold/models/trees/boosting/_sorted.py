"""Growing a tree on sorted columns: every cut between distinct values, or those at quantiles of the Hessians.

Each column keeps its rows in order of value, missing ones last; a node is the same segment of every column, and a split
parts all of them stably. A node of m rows costs O(m d) whatever the number of distinct values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numba import prange

from fivefold.base.errors import DataError
from fivefold.base.jit import njit

from . import _grow as k
from . import _splits as s
from ._binning import BinMapper
from ._core import Grown, Growth, checked_pack, settings_of
from ._grow import draw_columns
from ._splits import leaf_score, leaf_value, worth
from ._trees import Trees

EXACT, GLOBAL, LOCAL = range(3)
FINDERS = {"exact": EXACT, "global": GLOBAL, "local": LOCAL}


@njit(error_model="numpy")
def _scan(values, order, start, stop, end, gh, node, unit, limits, whole, real, direction, step, buckets, finder, best):
    """Find the best cut of one column: rows order[start:stop] have values, order[stop:end] lack one.

    ``best`` (7,) gets score, missing goes left, G, H and rows of the left, and the last row left and first row right.
    """
    l1, l2, most, low, high = real[s.L1], real[s.L2], real[s.MAX_STEP], limits[0], limits[1]
    min_samples, min_hessian = whole[s.MIN_SAMPLES], max(real[s.MIN_HESSIAN], unit[1])
    g, h, count = node[0] * unit[0], node[1] * unit[1], node[2]
    none_g, none_h = np.int64(0), np.int64(0)
    for p in range(stop, end):
        packed = gh[order[p]]
        none_g += packed >> 32
        none_h += packed & 0xFFFFFFFF
    for way in range(2 if end > stop else 1):
        left_g, left_h = (np.int64(0), np.int64(0)) if way == 0 else (none_g, none_h)
        target = step
        for p in range(start, stop):
            row = order[p]
            packed = gh[row]
            left_g += packed >> 32
            left_h += packed & 0xFFFFFFFF
            following = order[p + 1] if p + 1 < stop else row
            if p + 1 == stop and (way == 1 or end == stop):
                break
            if p + 1 < stop and values[following] == values[row]:
                continue
            seen = left_h if way == 0 else left_h - none_h
            if finder == LOCAL:
                if seen * unit[1] < target and p + 1 < stop:
                    continue
                target = (np.floor(seen * unit[1] / step) + 1) * step
            elif finder == GLOBAL and p + 1 < stop and buckets[following] == buckets[row]:
                continue
            rows = p + 1 - start + (end - stop if way == 1 else 0)
            lg, lh = left_g * unit[0], left_h * unit[1]
            if rows < min_samples or count - rows < min_samples or lh < min_hessian or h - lh < min_hessian:
                continue
            below = leaf_value(lg, lh, l1, l2, most, low, high)
            above = leaf_value(g - lg, h - lh, l1, l2, most, low, high)
            if direction * (above - below) < 0:
                continue
            score = leaf_score(lg, lh, l1, l2, below) + leaf_score(g - lg, h - lh, l1, l2, above)
            if score > best[0]:
                best[0] = score
                best[1] = way
                best[2], best[3], best[4] = left_g, left_h, rows
                best[5], best[6] = row, following if p + 1 < stop else -1


@njit
def _part(order, start, end, goes_left, spare):
    """Order the rows of a segment stably so that those that go left come first."""
    left, right = start, 0
    for p in range(start, end):
        row = order[p]
        if goes_left[row]:
            order[left] = row
            left += 1
        else:
            spare[right] = row
            right += 1
    for p in range(right):
        order[left + p] = spare[p]


@njit(error_model="numpy")
def _propose(values, order, stop, gh, unit, share, buckets, cuts):
    """Cut a column where the Hessians have grown by ``share`` of their sum; write the bucket of each row and the cuts."""
    total = np.int64(0)
    for p in range(stop):
        total += gh[order[p]] & 0xFFFFFFFF
    step = share * total * unit[1]
    seen, target, made = np.int64(0), step, 0
    for p in range(stop):
        row = order[p]
        buckets[row] = made
        seen += gh[row] & 0xFFFFFFFF
        if p + 1 < stop and values[order[p + 1]] != values[row] and seen * unit[1] >= target:
            cuts[made] = between(values[row], values[order[p + 1]])
            made += 1
            target = (np.floor(seen * unit[1] / step) + 1) * step


@njit
def between(low, high):
    """Return a threshold t with low <= t < high: the midpoint, or ``low`` where that rounds up."""
    middle = low / 2 + high / 2
    return low if middle >= high else middle


@njit(parallel=True)
def _best_of_columns(
    values, order, lacking, start, end, gh, node, unit, limits, whole, real, directions, share, buckets, finder, allowed, best
):  # fmt: skip
    for f in prange(len(values)):
        best[f, 0] = limits[2]
        best[f, 5] = -1
        if allowed[f]:
            stop = end
            while stop > start and lacking[f, order[f, stop - 1]]:
                stop -= 1
            step = 0.0
            if finder == LOCAL:
                total = np.int64(0)
                for p in range(start, stop):
                    total += gh[order[f, p]] & 0xFFFFFFFF
                step = share * total * unit[1]
            _scan(
                values[f], order[f], start, stop, end, gh, node, unit, limits, whole, real, directions[f], step,
                buckets[f], finder, best[f],
            )  # fmt: skip


@njit(parallel=True)
def _part_columns(order, start, end, goes_left):
    for f in prange(len(order)):
        _part(order[f], start, end, goes_left, np.empty(end - start, dtype=np.uint32))


@njit(parallel=True)
def _propose_columns(values, order, lacking, gh, unit, share, buckets, cuts):
    for f in prange(len(values)):
        stop = order.shape[1]
        while stop > 0 and lacking[f, order[f, stop - 1]]:
            stop -= 1
        _propose(values[f], order[f], stop, gh, unit, share, buckets[f], cuts[f])


@dataclass
class GrownSorted(Grown):
    """A tree with thresholds of its own."""

    thresholds: np.ndarray | None = None

    def part(self, mapper: BinMapper) -> dict[str, np.ndarray]:
        """Return the arrays that :meth:`Trees.extend` takes."""
        inner = self.ints[:, k.LEFT] >= 0
        out = {
            "feature": np.where(inner, self.ints[:, k.FEATURE], -1),
            "bin": np.full(len(self.ints), -1),
            "threshold": np.where(inner, self.thresholds, np.nan),
            "missing_left": inner & (self.ints[:, k.MISSING_LEFT] == 1),
            "left": self.ints[:, k.LEFT],
            "right": self.ints[:, k.RIGHT],
            "value": self.floats[:, k.VALUE],
            "gain": np.where(inner, self.floats[:, k.GAIN], 0.0),
            "count": self.totals[:, 2],
            "cover": self.totals[:, 1] * self.unit[1],
            "level_offset": np.full(len(self.ints), -1),
            "levels": np.empty((0, 4), dtype=np.uint64),
        }
        return out


class SortedGrower:
    """Grows trees level by level on a table (n, d) of numbers; the counterpart of :class:`._core.Grower`.

    With the finder "exact" a tree first grows without regard to ``min_gain`` and is then pruned from the bottom.
    """

    def __init__(
        self,
        X: np.ndarray | sp.csr_matrix,
        growth: Growth,
        finder: str,
        share: float,
        monotone: np.ndarray | None,
        groups: np.ndarray | None,
    ) -> None:
        self.values = np.ascontiguousarray((X.toarray() if sp.issparse(X) else X).T, dtype=np.float64)  # (d, n)
        self.lacking = np.isnan(self.values)
        d, n = self.values.shape
        self.order = np.argsort(self.values, axis=1, kind="stable").astype(np.uint32)
        self.growth, self.finder, self.share = growth, FINDERS[finder], share
        self.directions = np.zeros(d, dtype=np.int64) if monotone is None else monotone
        self.groups = np.zeros((0, d), dtype=np.bool_) if groups is None else groups
        self.whole, self.real = settings_of(growth, n)
        self.min_gain = growth.min_gain
        if self.finder == EXACT:
            self.real[s.MIN_GAIN] = 0.0
        self.packed = np.empty(n, dtype=np.int64)
        self.X = X

    def grow(
        self,
        g: np.ndarray,
        h: np.ndarray,
        rows: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        seed: int = 0,
    ) -> GrownSorted:
        """Grow a tree; the arguments are those of :meth:`._core.Grower.grow`."""
        d, n = self.values.shape
        here = np.arange(n, dtype=np.uint32) if rows is None else rows.astype(np.uint32)
        unit, root = checked_pack(g, h, here, self.packed, 1)
        order = self.order.copy()
        if rows is not None:
            inside = np.zeros(n, dtype=bool)
            inside[rows] = True
            order = order[inside[order]].reshape(d, len(rows))
        self.whole[s.SEED] = seed
        mask = np.ones(d, dtype=np.bool_) if mask is None else mask
        buckets = np.zeros((d, n if self.finder == GLOBAL else 0), dtype=np.int32)
        cuts = np.zeros((d, min(n, int(1 / self.share) + 2) if self.finder == GLOBAL else 0))
        if self.finder == GLOBAL:
            _propose_columns(self.values, order, self.lacking, self.packed, unit, self.share, buckets, cuts)
        ints: list[np.ndarray] = []
        floats: list[np.ndarray] = []
        totals: list[np.ndarray] = []
        thresholds: list[float] = []
        real, whole = self.real, self.whole

        def node(total: np.ndarray, parent: int, start: int, depth: int, low: float, high: float) -> None:
            i, f = np.full(k.N_INTS, -1, dtype=np.int64), np.zeros(k.N_FLOATS)
            i[k.PARENT], i[k.START], i[k.END], i[k.DEPTH] = parent, start, start + total[2], depth
            f[k.LOW], f[k.HIGH] = low, high
            gg, hh = total[0] * unit[0], total[1] * unit[1]
            f[k.VALUE] = leaf_value(gg, hh, real[s.L1], real[s.L2], real[s.MAX_STEP], low, high)
            f[k.SCORE] = leaf_score(gg, hh, real[s.L1], real[s.L2], f[k.VALUE])
            ints.append(i)
            floats.append(f)
            totals.append(total)
            thresholds.append(np.nan)

        node(np.array([*root, len(here)]), -1, 0, 0, -np.inf, np.inf)
        best = np.zeros((d, 7))
        goes_left = np.zeros(n, dtype=np.bool_)
        at, leaves = 0, 1
        allowed, path = np.zeros(d, dtype=np.bool_), np.zeros(d, dtype=np.bool_)
        while at < len(ints):
            i, f = ints[at], floats[at]
            if i[k.DEPTH] < whole[s.MAX_DEPTH] and totals[at][2] >= whole[s.MIN_SPLIT] and leaves < whole[s.MAX_LEAVES]:
                draw_columns(at, np.array(ints), mask, self.groups, whole, real, path, allowed)
                limits = np.array([f[k.LOW], f[k.HIGH], f[k.SCORE]])
                start, end = int(i[k.START]), int(i[k.END])
                _best_of_columns(
                    self.values, order, self.lacking, start, end, self.packed, totals[at], unit, limits, whole, real,
                    self.directions, self.share, buckets, self.finder, allowed, best,
                )  # fmt: skip
                found = np.where(best[:, 5] >= 0, best[:, 0], -np.inf)
                column = int(found.argmax())
                gain = found[column] - f[k.SCORE]
                if best[column, 5] >= 0 and worth(gain, f[k.SCORE], real, whole):
                    last, following = int(best[column, 5]), int(best[column, 6])
                    values = self.values[column]
                    if following < 0:
                        cut = np.inf
                    elif self.finder == GLOBAL:
                        cut = cuts[column, buckets[column, last]]
                    else:
                        cut = between(values[last], values[following])
                    segment = order[column, start:end]
                    here_lack = self.lacking[column, segment]
                    left = best[column, 2:5].astype(np.int64)
                    to_left = bool(best[column, 1]) if here_lack.any() else bool(2 * left[2] >= totals[at][2])
                    goes_left[segment] = np.where(here_lack, to_left, values[segment] <= cut)
                    _part_columns(order, start, end, goes_left)
                    i[k.FEATURE], i[k.MISSING_LEFT] = column, to_left
                    i[k.LEFT], i[k.RIGHT] = len(ints), len(ints) + 1
                    f[k.GAIN], thresholds[at] = gain, cut
                    right = totals[at] - left
                    bounds = [[f[k.LOW], f[k.HIGH]], [f[k.LOW], f[k.HIGH]]]
                    if self.directions[column] != 0:
                        ends = [
                            leaf_value(
                                t[0] * unit[0], t[1] * unit[1], real[s.L1], real[s.L2], real[s.MAX_STEP], *bounds[0]
                            )
                            for t in (left, right)
                        ]
                        upper = 1 if self.directions[column] > 0 else 0
                        bounds[upper][0] = bounds[1 - upper][1] = sum(ends) / 2
                    node(left, at, start, int(i[k.DEPTH]) + 1, *bounds[0])
                    node(right, at, start + int(left[2]), int(i[k.DEPTH]) + 1, *bounds[1])
                    leaves += 1
            at += 1
        arrays = (np.array(ints), np.array(floats), np.array(totals), np.array(thresholds))
        if self.finder == EXACT and self.min_gain > 0:
            arrays = prune(*arrays, self.min_gain)
        a, b, c, t = arrays
        return GrownSorted(a, b, c, np.zeros((len(a), 4), dtype=np.uint64), order[0], unit, t)

    def add(self, grown: GrownSorted, score: np.ndarray) -> None:
        """Add the leaf values of a tree to the scores (n,) of all rows."""
        self.add_to(grown, self.X, score)

    def table(self, X: np.ndarray | sp.csr_matrix, mapper: BinMapper) -> np.ndarray | sp.csr_matrix:
        """Return the form of another table that :meth:`add_to` takes."""
        return X

    def add_to(self, grown: GrownSorted, table: np.ndarray | sp.csr_matrix, score: np.ndarray) -> None:
        """Add the leaf values of a tree to the scores (n,) of another table."""
        tree = Trees(1, np.zeros(1), [None] * len(self.values))
        tree.extend([grown.part(BinMapper())])
        score += tree.raw(table)[:, 0]


def prune(
    ints: np.ndarray, floats: np.ndarray, totals: np.ndarray, thresholds: np.ndarray, min_gain: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Collapse, from the bottom, splits of two leaves that gain less than ``min_gain``; number the nodes anew."""
    ints = ints.copy()
    left, right = ints[:, k.LEFT], ints[:, k.RIGHT]
    alive = np.ones(len(ints), dtype=bool)
    for node in range(len(ints) - 1, -1, -1):  # children come after their parents
        a, b = left[node], right[node]
        if a >= 0 and left[a] < 0 and left[b] < 0 and floats[node, k.GAIN] < min_gain:
            left[node] = right[node] = -1
            alive[a] = alive[b] = False
    number = np.cumsum(alive) - 1
    inner = left >= 0
    left[inner], right[inner] = number[left[inner]], number[right[inner]]
    rooted = ints[:, k.PARENT] >= 0
    ints[rooted, k.PARENT] = number[ints[rooted, k.PARENT]]
    return ints[alive], floats[alive], totals[alive], thresholds[alive]


def refuse_categories(kinds: np.ndarray, tree_method: str) -> None:
    """Raise when a table with categorical columns meets sorted columns."""
    if kinds.any():
        raise DataError(f"`tree_method` {tree_method!r} takes numbers only; use 'hist' for categorical columns.")
