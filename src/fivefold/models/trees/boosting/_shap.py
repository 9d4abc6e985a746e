r"""Shapley values of a prediction of trees, path-dependent: TreeSHAP.

A leaf with the value v is reached through splits on D different columns. Column i of them lets the share z_i of the training
rows pass where it is unknown, and a row passes (o_i = 1) or not (o_i = 0) where it is known. The Shapley value of column i is

.. math:: \phi_i = v (o_i - z_i) \int_0^1 \prod_{k \ne i} \bigl(z_k (1 - t) + o_k t\bigr) dt

as t^j (1 - t)^(D - 1 - j) integrates to the Shapley weight j! (D - 1 - j)! / D!. The integrand is a polynomial of degree
D - 1, so the Gauss-Legendre rule with ceil(D / 2) nodes is exact, and all its terms are positive: unlike the published
recursion, which divides by the factors it took in before, nothing cancels in deep trees.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import scipy.sparse as sp
from numba import prange

from fivefold.base.errors import DataError
from fivefold.base.jit import njit

from ._trees import Trees

_STEP = 1 << 14  # any value: rows made dense at a time
_SMALL = 64  # any value: rows that one thread does faster than two


def contributions(trees: Trees, X: Any, n_trees: int) -> np.ndarray:
    """Return what each column adds to the raw scores: X (n, d) -> (n, K, d + 1); the last entry is the expected score.

    The entries of a row sum to its raw score. Shares are counts of training rows.
    """
    n, d = X.shape
    part = trees.head(n_trees)
    out = np.zeros((n, trees.n_outputs, d + 1))
    out[:, :, d] = expected(part)
    if n_trees == 0:
        return out
    paths = _paths(part)
    nodes, weights = _rules(int(np.diff(paths[2]).max(initial=0)))
    for begin in range(0, n, _STEP):
        rows = slice(begin, begin + _STEP)
        dense = X[rows].toarray() if sp.issparse(X) else X[rows]
        dense = np.ascontiguousarray(part._coded(dense))
        threads = numba.get_num_threads() if len(dense) > _SMALL else 1
        explain_rows(
            dense, part.feature, part.threshold, part.missing_left, part.level_offset, part.levels, part.value,
            part.offset, *paths, nodes, weights, threads, out[rows],
        )  # fmt: skip
    return out


def expected(trees: Trees) -> np.ndarray:
    """Return the mean raw scores over the training rows, as the counts of the leaves tell them: (K,)."""
    leaf = trees.feature < 0
    number = np.repeat(np.arange(len(trees)), np.diff(trees.offset))
    total = np.bincount(number[leaf], weights=trees.count[leaf] * trees.value[leaf], minlength=len(trees))
    rows = np.bincount(number[leaf], weights=trees.count[leaf], minlength=len(trees))
    inner = np.diff(trees.offset) > 1
    if (rows[inner] <= 0).any():
        raise DataError("The trees hold no counts of training rows, so no column's share can be told.")
    alone = trees.value[trees.offset[:-1]]  # of trees without a split
    means = np.where(inner, total / np.maximum(rows, 1), alone)
    return trees.base + np.bincount(np.arange(len(trees)) % trees.n_outputs, weights=means, minlength=trees.n_outputs)


def _paths(trees: Trees) -> tuple[np.ndarray, ...]:
    """Return the paths from the roots to the leaves, their columns and the splits on these.

    ``first_path`` (t + 1,) and ``leaf`` (p,); ``first_column`` (p + 1,), ``column`` and ``share``; ``first_split`` and
    ``split``, which is node << 1 | to the left, the node numbered within its tree.
    """
    depth = np.empty(len(trees.feature), dtype=np.int64)
    parent = np.empty(len(trees.feature), dtype=np.int64)
    climb(trees.left, trees.right, trees.offset, depth, parent)
    leaf = trees.feature < 0
    splits, n_leaves = int(depth[leaf].sum()), int(leaf.sum())
    first_path = np.zeros(len(trees) + 1, dtype=np.int64)
    leaves, first_column = np.empty(n_leaves, dtype=np.int64), np.zeros(n_leaves + 1, dtype=np.int64)
    column, share = np.empty(splits, dtype=np.int64), np.empty(splits)
    first_split, split = np.zeros(splits + 1, dtype=np.int64), np.empty(splits, dtype=np.int64)
    used = trace(
        trees.feature, trees.left, trees.count, trees.offset, depth, parent, first_path, leaves, first_column, column,
        share, first_split, split,
    )  # fmt: skip
    return first_path, leaves, first_column, column[:used], share[:used], first_split[: used + 1], split


def _rules(deepest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gauss-Legendre rules on [0, 1] with 1, 2 ... ceil(deepest / 2) nodes, one after another."""
    parts = [np.polynomial.legendre.leggauss(q) for q in range(1, (deepest + 1) // 2 + 1)]
    if not parts:
        return np.empty(0), np.empty(0)
    return np.concatenate([(x + 1) / 2 for x, _ in parts]), np.concatenate([w / 2 for _, w in parts])


@njit
def climb(left, right, offset, depth, parent):
    """Write the depth and the parent (-1 for roots) of every node, numbered within its tree."""
    for t in range(len(offset) - 1):
        start = offset[t]
        depth[start], parent[start] = 0, -1
        for i in range(offset[t + 1] - start):  # children come after their parents
            if left[start + i] >= 0:
                for child in (left[start + i], right[start + i]):
                    depth[start + child] = depth[start + i] + 1
                    parent[start + child] = i


@njit
def trace(
    feature, left, count, offset, depth, parent, first_path, leaf, first_column, column, share, first_split, split
):
    """Write the paths of :func:`_paths`; return how many columns they have in all."""
    n_paths, n_columns, n_splits = 0, 0, 0
    longest = depth.max() if len(depth) else 0
    nodes, seat = np.empty(longest, dtype=np.int64), np.empty(longest, dtype=np.int64)
    for t in range(len(offset) - 1):
        start = offset[t]
        for i in range(offset[t + 1] - start):
            if feature[start + i] >= 0:
                continue
            length, at = 0, i
            begin = n_columns
            while parent[start + at] >= 0:
                up = parent[start + at]
                e = begin
                while e < n_columns and column[e] != feature[start + up]:
                    e += 1
                if e == n_columns:
                    column[e], share[e] = feature[start + up], 1.0
                    n_columns += 1
                share[e] *= count[start + at] / count[start + up] if count[start + up] > 0 else 0.0
                nodes[length] = up << 1 | np.int64(left[start + up] == at)
                seat[length] = e
                length += 1
                at = up
            for e in range(begin, n_columns):
                for s in range(length):
                    if seat[s] == e:
                        split[n_splits] = nodes[s]
                        n_splits += 1
                first_split[e + 1] = n_splits
            leaf[n_paths] = i
            n_paths += 1
            first_column[n_paths] = n_columns
        first_path[t + 1] = n_paths
    return n_columns


@njit
def _directions(X, r, start, stop, feature, threshold, missing_left, level_offset, levels, goes_left):
    """Write which way a row goes at every split of a tree."""
    for node in range(start, stop):
        if feature[node] < 0:
            continue
        x = X[r, feature[node]]
        if x != x:
            left = missing_left[node]
        elif level_offset[node] >= 0:
            level = np.int64(x)
            word = levels[level_offset[node] + (level >> 6)]
            left = (word >> np.uint64(level & 63)) & np.uint64(1) != 0
        else:
            left = x <= threshold[node]
        goes_left[node - start] = left


@njit
def _explain_row(
    X, r, feature, threshold, missing_left, level_offset, levels, value, offset, first_path, leaf, first_column, column,
    share, first_split, split, nodes, weights, goes_left, hot, product, out,
):  # fmt: skip
    n_outputs = out.shape[1]
    for t in range(len(offset) - 1):
        k = t % n_outputs
        _directions(X, r, offset[t], offset[t + 1], feature, threshold, missing_left, level_offset, levels, goes_left)
        for p in range(first_path[t], first_path[t + 1]):
            begin, end = first_column[p], first_column[p + 1]
            size = (end - begin + 1) // 2
            rule = size * (size - 1) // 2
            outside = 0
            rest = value[offset[t] + leaf[p]]
            for q in range(size):
                product[q] = weights[rule + q]
            for e in range(begin, end):
                passes = True
                for s in range(first_split[e], first_split[e + 1]):
                    passes = passes and goes_left[split[s] >> 1] == (split[s] & 1)
                hot[e - begin] = passes
                if passes:
                    for q in range(size):
                        product[q] *= share[e] * (1 - nodes[rule + q]) + nodes[rule + q]
                else:
                    rest *= share[e]
                    outside += 1
            # Columns that the row fails have the factor z (1 - t), and all of them the same value.
            if outside > 0:
                total = 0.0
                for q in range(size):
                    product[q] *= (1 - nodes[rule + q]) ** (outside - 1)
                    total += product[q]
                    product[q] *= 1 - nodes[rule + q]
                for e in range(begin, end):
                    if not hot[e - begin]:
                        out[r, k, column[e]] -= rest * total
            for e in range(begin, end):
                if hot[e - begin]:
                    total = 0.0
                    for q in range(size):
                        total += product[q] / (share[e] * (1 - nodes[rule + q]) + nodes[rule + q])
                    out[r, k, column[e]] += rest * (1 - share[e]) * total


@njit(parallel=True)
def explain_rows(
    X, feature, threshold, missing_left, level_offset, levels, value, offset, first_path, leaf, first_column, column,
    share, first_split, split, nodes, weights, threads, out,
):  # fmt: skip
    """Add the contributions of the columns of X (n, d) to out (n, K, d + 1); rows are shared among threads."""
    n = len(X)
    widest = np.max(offset[1:] - offset[:-1])
    for thread in prange(threads):
        goes_left = np.zeros(widest, dtype=np.int64)
        hot = np.zeros(widest, dtype=np.bool_)
        product = np.zeros(widest)
        for r in range(n * thread // threads, n * (thread + 1) // threads):
            _explain_row(
                X, r, feature, threshold, missing_left, level_offset, levels, value, offset, first_path, leaf,
                first_column, column, share, first_split, split, nodes, weights, goes_left, hot, product, out,
            )  # fmt: skip
