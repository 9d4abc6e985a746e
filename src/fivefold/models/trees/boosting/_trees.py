"""The fitted model of every boosting method: trees as plain arrays."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import scipy.sparse as sp
from numba import prange

from fivefold.base.codec import Stateful
from fivefold.base.jit import njit

_ROUND = 256  # any value: rows that walk one tree after another while they stay in the cache
_LANES = 16  # any value: rows that walk a tree side by side
_SMALL = 1 << 14  # any value: steps that one thread does faster than two

_FIELDS = (
    "feature", "bin", "threshold", "missing_left", "left", "right", "value", "gain", "count", "cover", "level_offset",
)  # fmt: skip


class Trees(Stateful):
    """A sequence of binary trees, one after another in flat arrays; tree t owns the nodes offset[t] ... offset[t + 1] - 1.

    The raw score of output k is ``base[k]`` plus the leaf values of the trees t with ``t % n_outputs == k``. The root of a
    tree is its node 0; children are numbered within the tree and the right child is always ``left + 1``.

    Attributes
    ----------
    n_outputs : int
    base : float64 array (n_outputs,)
    offset : int64 array (t + 1,)
    feature : int32 array (m,), -1 in a leaf
    bin : int32 array (m,), the highest bin that goes left; -1 in a leaf and at a categorical split
    threshold : float64 array (m,), a value ``x <= threshold`` goes left; +inf where all values do; NaN in a leaf and at a
        categorical split
    missing_left : bool array (m,), where missing values go (unseen levels too)
    left, right : int32 arrays (m,), -1 in a leaf
    value : float64 array (m,), what a leaf adds to the score, shrinkage included; in an inner node, what it would add
    gain : float64 array (m,), decrease of the objective times two by the split, 0 in a leaf
    count : int64 array (m,), training rows
    cover : float64 array (m,), sum of their Hessians
    level_offset : int32 array (m,), where the 256 bits of the levels that go left begin in ``levels``; -1 elsewhere
    levels : uint64 array, four words a categorical split; bit b of them stands for bin b of the column
    categories : list of d arrays or None, the level of every bin of a categorical column
    """

    def __init__(self, n_outputs: int, base: np.ndarray, categories: list[np.ndarray | None]) -> None:
        self.n_outputs, self.base, self.categories = n_outputs, np.asarray(base, dtype=np.float64), categories
        kinds = {"threshold": np.float64, "value": np.float64, "gain": np.float64, "cover": np.float64}
        kinds |= {"missing_left": np.bool_, "count": np.int64}
        for name in _FIELDS:
            setattr(self, name, np.empty(0, dtype=kinds.get(name, np.int32)))
        self.offset = np.zeros(1, dtype=np.int64)
        self.levels = np.empty(0, dtype=np.uint64)

    def __len__(self) -> int:
        return len(self.offset) - 1

    def get_state(self) -> dict[str, Any]:
        """Return the arrays; what is derived from them is left out."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def extend(self, parts: list[dict[str, np.ndarray]]) -> None:
        """Append trees, each a mapping of the node arrays; ``level_offset`` counts within its own ``levels`` (q, 4)."""
        if not parts:
            return
        shift = len(self.levels)
        for part in parts:
            here = part["level_offset"]
            part["level_offset"] = np.where(here >= 0, here + shift, -1).astype(np.int32)
            shift += part["levels"].size
        for name in _FIELDS:
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, *(p[name].astype(old.dtype, copy=False) for p in parts)]))
        self.levels = np.concatenate([self.levels, *(p["levels"].ravel() for p in parts)])
        sizes = [len(p["feature"]) for p in parts]
        self.offset = np.concatenate([self.offset, self.offset[-1] + np.cumsum(sizes)]).astype(np.int64)
        vars(self).pop("_packed", None)

    def head(self, n_trees: int) -> Trees:
        """Return the first trees as views of the same arrays."""
        part = Trees(self.n_outputs, self.base, self.categories)
        m = int(self.offset[n_trees])
        for name in _FIELDS:
            setattr(part, name, getattr(self, name)[:m])
        part.offset, part.levels = self.offset[: n_trees + 1], self.levels
        return part

    def _pack(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what a walk reads, 16 bytes a node, and the depths of the trees.

        A node is its threshold and a code, ``first child << 32 | feature << 2 | by level << 1 | missing goes left``.
        """
        if "_packed" not in vars(self):
            m = len(self.feature)
            leaf = self.feature < 0
            start = np.repeat(self.offset[:-1], np.diff(self.offset))
            own = np.arange(m)
            # A leaf leads back to itself, whatever the value.
            child = np.where(leaf, own, start + self.left)
            threshold = np.where(leaf, np.inf, self.threshold)
            missing = leaf | self.missing_left
            level = self.level_offset >= 0
            code = (child << 32) | (np.where(leaf, 0, self.feature).astype(np.int64) << 2) | (level * 2) | missing
            deep = depths(self.left, self.right, self.offset, self.level_offset)
            self._packed = threshold, code, deep
        return self._packed

    def raw(self, X: Any, *, n_trees: int | None = None, out: np.ndarray | None = None, first: int = 0) -> np.ndarray:
        """Return the raw scores of X (n, d), dense or CSR: (n, n_outputs); ``out`` is added to, from tree ``first`` on."""
        last = len(self) if n_trees is None else min(n_trees, len(self))
        if out is None:
            out = np.empty((X.shape[0], self.n_outputs))
            out[:] = self.base
        threshold, code, deep = self._pack()
        coded = any(c is not None for c in self.categories)
        step = 1 << 16 if sp.issparse(X) or coded else max(1, X.shape[0])
        for begin in range(0, X.shape[0], step):
            rows = slice(begin, begin + step)
            part = X[rows].toarray() if sp.issparse(X) else X[rows]
            part = np.ascontiguousarray(self._coded(part) if coded else part)
            threads = numba.get_num_threads() if len(part) * (last - first) > _SMALL else 1
            arguments = (
                part, threshold, code, deep, self.value, self.offset, self.level_offset, self.levels, first, last, out[rows],
            )  # fmt: skip
            if threads == 1:
                walk(*arguments, 0, len(part))
            else:
                walk_parallel(*arguments, threads)
        return out

    def leaves(self, X: Any) -> np.ndarray:
        """Return the leaf that each row reaches in each tree, numbered within the tree: X (n, d) -> (n, t) int32."""
        threshold, code, _ = self._pack()
        dense = self._coded(X.toarray() if sp.issparse(X) else X)
        out = np.empty((X.shape[0], len(self)), dtype=np.int32)
        walk_leaves(dense, threshold, code, self.offset, self.level_offset, self.levels, out)
        return out

    def _coded(self, X: np.ndarray) -> np.ndarray:
        """Return X with the values of categorical columns replaced by their bins, NaN where they are unknown."""
        if not any(c is not None for c in self.categories):
            return X
        out = np.array(X, dtype=np.float64, order="C")
        for f, levels in enumerate(self.categories):
            if levels is not None:
                order = np.argsort(levels)
                at = np.minimum(np.searchsorted(levels[order], out[:, f]), max(0, len(levels) - 1))
                known = levels[order][at] == out[:, f] if len(levels) else np.zeros(len(out), dtype=bool)
                out[:, f] = np.where(known, order[at] if len(levels) else 0, np.nan)
        return out


@njit(inline="always")
def _step(x, node, threshold, code, level_offset, levels):
    """Return the child that a value leads to, given the code of its node."""
    if x != x:
        right = 1 - (code & 1)
    elif code & 2:
        level = np.int64(x)
        word = levels[level_offset[node] + (level >> 6)]
        right = 1 - np.int64((word >> np.uint64(level & 63)) & np.uint64(1))
    else:
        right = np.int64(x > threshold[node])
    return (code >> 32) + right


@njit
def walk(X, threshold, code, depth, value, offset, level_offset, levels, first, last, out, start, stop):
    """Add the leaf values of the trees first ... last - 1 to the rows [start, stop) of out (n, n_outputs).

    Lanes of rows take as many steps as the tree is deep, a leaf leading to itself: there is no branch to mispredict.
    Indices are unsigned, as Numba looks at the sign of others.
    """
    n_outputs = out.shape[1]
    numbers, width = X.reshape(-1), np.uint64(X.shape[1])
    at = np.empty(_LANES, dtype=np.uint64)
    low_half, by_two, high, one = np.uint64(0xFFFFFFFF), np.uint64(2), np.uint64(32), np.uint64(1)
    for begin in range(start, stop, _ROUND):
        end = min(stop, begin + _ROUND)
        for t in range(first, last):
            k = t % n_outputs
            if depth[t] < 0:
                for r in range(begin, end):
                    node = offset[t]
                    while True:
                        c = np.int64(code[node])
                        to = _step(X[r, (c & 0xFFFFFFFF) >> 2], node, threshold, c, level_offset, levels)
                        if to == node:
                            break
                        node = to
                    out[r, k] += value[node]
                continue
            for low in range(begin, end, _LANES):
                lanes = min(_LANES, end - low)
                for i in range(lanes):
                    at[i] = np.uint64(offset[t])
                for _ in range(depth[t]):
                    base = np.uint64(low) * width
                    for i in range(lanes):
                        node = at[i]
                        c = np.uint64(code[node])
                        x = numbers[base + ((c & low_half) >> by_two)]
                        missing_left = np.uint64(x != x) & c & one
                        at[i] = (c >> high) + (np.uint64(not (x <= threshold[node])) ^ missing_left)
                        base += width
                for i in range(lanes):
                    out[low + i, k] += value[at[i]]


@njit(parallel=True)
def walk_parallel(X, threshold, code, depth, value, offset, level_offset, levels, first, last, out, threads):
    """The same for all rows, shared among threads."""
    n = len(X)
    for t in prange(threads):
        walk(
            X, threshold, code, depth, value, offset, level_offset, levels, first, last, out, n * t // threads,
            n * (t + 1) // threads,
        )  # fmt: skip


def depths(left: np.ndarray, right: np.ndarray, offset: np.ndarray, level_offset: np.ndarray) -> np.ndarray:
    """Return the depth of each tree (t,), -1 for a tree with categorical splits."""
    owner = np.repeat(np.arange(len(offset) - 1), np.diff(offset))  # (m,)
    out = np.zeros(len(offset) - 1, dtype=np.int64)
    level, deep = offset[:-1], 0
    while len(level):
        out[owner[level]] = deep
        level, deep = level[left[level] >= 0], deep + 1
        start = offset[owner[level]]
        level = np.concatenate([start + left[level], start + right[level]])
    out[owner[level_offset >= 0]] = -1
    return out


@njit
def walk_leaves(X, threshold, code, offset, level_offset, levels, out):
    """Write the leaf of every row and tree, numbered within the tree."""
    for r in range(len(X)):
        for t in range(len(offset) - 1):
            node = offset[t]
            while True:
                c = code[node]
                to = _step(X[r, (c & 0xFFFFFFFF) >> 2], node, threshold, c, level_offset, levels)
                if to == node:
                    break
                node = to
            out[r, t] = node - offset[t]
