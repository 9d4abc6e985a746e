"""What symmetric boosting keeps for every permutation of the rows: columns in bins, and approximations.

Permutation 0 gives the leaf values of the model. Structures are found on one of the others, drawn for each tree, so that the
values of a tree are not those that its splits were chosen for.
"""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit

from ._binning import BinMapper
from ._cuts import cuts_of, sorted_distinct
from ._histograms import MISSING
from ._losses import Loss, Softmax, quantile_of
from ._statistics import Features, ordered_means
from ._symmetric import add_leaves, leaf_hessians, leaf_sums

_HALVINGS = 10
_SERIAL = 1 << 15  # any value: rows whose gradients one thread takes faster than two


@njit
def place(values, cuts, out):
    """Write the number of cuts below each value: values (n,) -> out (n,) uint8."""
    for r in range(len(values)):
        low, high = 0, len(cuts)
        while low < high:
            middle = (low + high) >> 1
            if cuts[middle] < values[r]:
                low = middle + 1
            else:
                high = middle
        out[r] = low


class Candidates:
    """Columns that a level may be split on, in bins under every permutation; grown by combinations of categories.

    Attributes
    ----------
    bins : uint8 array (slots, n)
    slots : list of int arrays (P,), the slot of each column under each permutation
    cuts : list of float64 arrays
    members : list of tuples, the categorical columns in each column (positions among them)
    by_source : dict, members of a source -> its columns
    used : set of sources that some tree has split on
    """

    def __init__(
        self,
        features: Features,
        table: np.ndarray,
        targets: np.ndarray,
        weight: np.ndarray,
        orders: list[np.ndarray],
        *,
        statistic_borders: int,
        one_hot_size: int,
        nan_low: bool,
        priors: np.ndarray | None,
        mapper: BinMapper,
        threads: int,
    ) -> None:
        self.features, self.targets, self.weight, self.orders = features, targets, weight, orders
        self.statistic_borders = statistic_borders
        self.codes = features.code(table, one_hot_size)
        mean = (targets * weight).sum(axis=1) / weight.sum()
        features.prior = mean[:, None] if priors is None else np.tile(priors, (len(targets), 1))
        n = len(table)
        self.bins = np.empty((0, n), dtype=np.uint8)
        self.filled = 0
        self.slots: list[np.ndarray] = []
        self.cuts: list[np.ndarray] = []
        self.members: list[tuple[int, ...]] = []
        self.by_source: dict[tuple[int, ...], list[int]] = {}
        self.used: set[tuple[int, ...]] = set()
        binned = mapper.transform(np.ascontiguousarray(table[:, features.numeric]), threads).columns
        for f in range(len(features.numeric)):
            column, cuts = binned[f], mapper.cuts[f]
            if (column == MISSING).any() and np.isnan(table[:, features.numeric[f]]).any():
                missing = np.isnan(table[:, features.numeric[f]])
                if nan_low:
                    column, cuts = np.where(missing, 0, column + np.uint8(1)).astype(np.uint8), np.append(-np.inf, cuts)
                else:
                    cuts = np.append(cuts, np.inf)
                    column = np.where(missing, len(cuts), column).astype(np.uint8)
            self._add([column], cuts, ())
        for i, code in features.one_hot:
            self._add([(self.codes[i] == code).astype(np.uint8)], np.array([0.5]), (i,))
        plain = {i for i, _ in features.one_hot}
        self.mixed = [i for i in range(len(features.coded)) if i not in plain and features.n_codes[i] > 1]
        for i in self.mixed:
            self.source((i,))
        self.base = list(range(len(self.slots)))

    def __len__(self) -> int:
        return len(self.slots)

    def _add(self, columns: list[np.ndarray], cuts: np.ndarray, members: tuple[int, ...]) -> int:
        """Append a column, in bins for all permutations alike or for each."""
        if self.filled + len(columns) > len(self.bins):
            larger = np.empty(
                (max(16, 2 * len(self.bins), self.filled + len(columns)), self.bins.shape[1]), dtype=np.uint8
            )
            larger[: self.filled] = self.bins[: self.filled]
            self.bins = larger
        self.bins[self.filled : self.filled + len(columns)] = columns
        each = len(columns) > 1
        self.slots.append(
            self.filled + (np.arange(len(columns)) if each else np.zeros(len(self.orders), dtype=np.int64))
        )
        self.filled += len(columns)
        self.cuts.append(cuts)
        self.members.append(members)
        return len(self.slots) - 1

    def source(self, members: tuple[int, ...]) -> list[int]:
        """Return the columns of a source; make them when they are not there yet."""
        if members not in self.by_source:
            features = self.features
            level = features.add(list(members), self.codes, self.targets, self.weight)
            source = features.sources[-1]
            values = np.empty(len(level))
            made = []
            for target, priors in zip(self.targets, features.prior, strict=True):
                for prior in priors:
                    columns, cuts = [], np.empty(0)
                    for p, order in enumerate(self.orders):
                        ordered_means(
                            level, order, target, self.weight, prior, features.strength, len(source.mass), values
                        )
                        if p == 0:
                            cuts = self._cuts(values)
                        columns.append(self._placed(values, cuts))
                    made.append(self._add(columns, cuts, members))
            mass = source.mass[level]
            cuts = self._cuts(mass)
            made.append(self._add([self._placed(mass, cuts)], cuts, members))
            self.by_source[members] = made
        return self.by_source[members]

    def _cuts(self, values: np.ndarray) -> np.ndarray:
        return cuts_of(*sorted_distinct(values, None), self.statistic_borders + 1, 1)

    def _placed(self, values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
        out = np.empty(len(values), dtype=np.uint8)
        place(values, cuts, out)
        return out

    def combined(self, chosen: list[int], largest: int, most: int) -> list[int]:
        """Return the columns of combinations that begin where the columns chosen in a tree so far end."""
        out: list[int] = []
        for start in dict.fromkeys(self.members[c] for c in chosen if self.members[c]):
            if len(start) >= largest:
                continue
            for i in range(len(self.features.coded)):
                if i in start or self.features.n_codes[i] < 2:
                    continue
                members = tuple(sorted((*start, i)))
                if members in self.by_source or (len(self.by_source) < most and self.features.fits(list(members))):
                    out += self.source(members)
        return list(dict.fromkeys(out))


def leaf_values(
    loss: Loss,
    y: np.ndarray,
    raw: np.ndarray,
    weight: np.ndarray | None,
    leaf: np.ndarray,
    n_leaves: int,
    l2: float,
    steps: int,
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the leaf values (K, L) by Newton steps on raw (K, n), each halved until the loss falls, and Hessians (K, L)."""
    threads = threads if len(y) >= _SERIAL else 1
    if loss.quantile is not None:
        order = np.argsort(leaf, kind="stable")
        edges = np.searchsorted(leaf[order], np.arange(n_leaves + 1))
        values = np.zeros((1, n_leaves))
        for i in range(n_leaves):
            rows = order[edges[i] : edges[i + 1]]
            values[0, i] = quantile_of(y[rows] - raw[0, rows], None if weight is None else weight[rows], loss.quantile)
        return values, leaf_sums(leaf, np.ones((1, len(y))) if weight is None else weight[None], n_leaves)
    g, h = np.empty_like(raw), np.empty_like(raw)
    values = cover = np.zeros((len(raw), n_leaves))
    for turn in range(steps):
        here = raw
        if turn > 0:
            here = raw.copy()
            add_leaves(leaf, values, here)
        loss.gradients(y, here, weight, g, h, threads)
        top, bottom = leaf_sums(leaf, g, n_leaves), leaf_sums(leaf, h, n_leaves)
        if turn == 0:
            cover = bottom
        if isinstance(loss, Softmax):
            step = _class_step(loss, here, weight, leaf, top, l2)
        else:
            step = np.where(bottom > 0, -top / np.maximum(bottom + l2, 1e-300), 0.0)
        if steps > 1:
            before = _risk(loss, y, here, weight)
            for _ in range(_HALVINGS):
                moved = here.copy()
                add_leaves(leaf, step, moved)
                if _risk(loss, y, moved, weight) < before:
                    break
                step = step / 2
            else:
                break
        values = values + step
    return values, cover


def _class_step(
    loss: Softmax, raw: np.ndarray, weight: np.ndarray | None, leaf: np.ndarray, top: np.ndarray, l2: float
) -> np.ndarray:
    """Return Newton's step of all classes together (K, L), given the sums of gradients (K, L)."""
    p = np.ascontiguousarray(loss.link(raw.T).T)
    curvature = leaf_hessians(leaf, p, np.empty(0) if weight is None else weight, top.shape[1])
    # Adding a constant to all classes changes nothing: without a penalty the matrix has no inverse.
    curvature += (l2 + 1e-10) * np.eye(len(p))
    return -np.linalg.solve(curvature, top.T[:, :, None])[:, :, 0].T


def _risk(loss: Loss, y: np.ndarray, raw: np.ndarray, weight: np.ndarray | None) -> float:
    return float(np.average(loss.values(y, raw), weights=weight))


class Plain:
    """One model of all rows under one permutation."""

    def __init__(self, loss: Loss, y: np.ndarray, weight: np.ndarray | None, raw: np.ndarray, threads: int) -> None:
        self.loss, self.y, self.weight, self.threads = loss, y, weight, threads
        self.raw = raw.copy()

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        """Return gradients and Hessians (K, n) for finding a structure."""
        g, h = np.empty_like(self.raw), np.empty_like(self.raw)
        self.loss.gradients(self.y, self.raw, self.weight, g, h, self.threads if len(self.y) >= _SERIAL else 1)
        return g, h

    def boost(
        self, leaf: np.ndarray, n_leaves: int, l2: float, steps: int, rate: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move the approximations along a tree; return its values (K, L), shrunk, and its Hessians (K, L)."""
        values, cover = leaf_values(self.loss, self.y, self.raw, self.weight, leaf, n_leaves, l2, steps, self.threads)
        values = rate * values
        add_leaves(leaf, values, self.raw)
        return values, cover


class Ordered:
    """Models of the first rows of a permutation; each row's gradient comes from one that never saw the row.

    Model j learns from the first ``ends[j]`` rows and serves those up to ``ends[j + 1]``, twice as many. The first ``ends[0]``
    rows have the start as their model.
    """

    def __init__(
        self,
        loss: Loss,
        y: np.ndarray,
        weight: np.ndarray | None,
        raw: np.ndarray,
        order: np.ndarray,
        threads: int,
    ) -> None:
        self.loss, self.threads, self.order, self.start = loss, threads, order, raw[:, order]
        self.y = y[order]
        self.weight = None if weight is None else weight[order]
        n = len(y)
        self.ends = [first_end(n)]
        while self.ends[-1] < n:
            self.ends.append(min(n, 2 * self.ends[-1]))
        self.raw = [self.start[:, :end].copy() for end in self.ends[1:]]

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        """Return gradients and Hessians (K, n) in the order of the table."""
        seen = self.start.copy()
        for j, raw in enumerate(self.raw):
            seen[:, self.ends[j] : self.ends[j + 1]] = raw[:, self.ends[j] :]
        g, h = np.empty_like(seen), np.empty_like(seen)
        self.loss.gradients(self.y, seen, self.weight, g, h, self.threads if len(self.y) >= _SERIAL else 1)
        out_g, out_h = np.empty_like(g), np.empty_like(h)
        out_g[:, self.order], out_h[:, self.order] = g, h
        return out_g, out_h

    def boost(self, leaf: np.ndarray, n_leaves: int, l2: float, steps: int, rate: float) -> None:
        """Move every model along a tree by the values that its own rows give."""
        leaf = leaf[self.order]
        for j, raw in enumerate(self.raw):
            body = slice(0, self.ends[j])
            weight = None if self.weight is None else self.weight[body]
            values, _ = leaf_values(
                self.loss,
                self.y[body],
                np.ascontiguousarray(raw[:, body]),
                weight,
                leaf[body],
                n_leaves,
                l2,
                steps,
                self.threads,
            )
            add_leaves(leaf[: self.ends[j + 1]], rate * values, raw)


def first_end(n: int) -> int:
    """Return how many rows come before the first model: 1 up to 500 rows, then n / 50, at most 100, as in CatBoost."""
    return min(100, n // 50) if n > 500 else 1
