"""Information gain and gain ratio of every attribute at one node, missing values left out of account in proportion."""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit

ABSENT = np.int64(-1)
"""The rank of a missing value."""

_TIE = 1e-12
_HALF = np.int64(32)
_LOW = np.int64(0xFFFFFFFF)

# Columns of the result of one attribute.
GAIN, INFORMATION, LOW, HIGH = range(4)


@njit(error_model="numpy")
def _entropy(counts, weight):
    out = 0.0
    for c in range(counts.shape[0]):
        if counts[c] > 0.0:
            p = counts[c] / weight
            out -= p * np.log2(p)
    return out


@njit(error_model="numpy")
def _part(weight, total):
    return -(weight / total) * np.log2(weight / total) if weight > 0.0 else 0.0


@njit(error_model="numpy")
def evaluate(codes, rows, weight, y, n_classes, continuous, min_leaf, out):
    """Fill ``out`` (d, 4) with gain, split information and the ranks around the cut; a gain of -1 means no split.

    codes (d, n) ranks, negative where missing; rows (m,) of the node with their weights (m,); y (n,) classes.
    """
    m = rows.shape[0]
    keys = np.empty(m, np.int64)
    known_counts, part, rest = np.empty(n_classes), np.empty(n_classes), np.empty(n_classes)
    everything = weight.sum()
    for f in range(codes.shape[0]):
        out[f, GAIN], out[f, INFORMATION], out[f, LOW], out[f, HIGH] = -1.0, 0.0, -1.0, -1.0
        known_counts[:] = 0.0
        k = 0
        for i in range(m):
            rank = np.int64(codes[f, rows[i]])
            if rank >= 0:
                keys[k] = (rank << _HALF) | i
                known_counts[y[rows[i]]] += weight[i]
                k += 1
        known = known_counts.sum()
        if k == 0:
            continue
        order = np.sort(keys[:k])
        if order[0] >> _HALF == order[k - 1] >> _HALF:
            continue
        base = _entropy(known_counts, known)
        unknown = _part(everything - known, everything) if k < m else 0.0
        part[:] = 0.0
        if continuous[f]:
            n_left, w_left, best = 0, 0.0, -1.0
            for p in range(k - 1):
                i = order[p] & _LOW
                part[y[rows[i]]] += weight[i]
                w_left += weight[i]
                n_left += 1
                if order[p] >> _HALF == order[p + 1] >> _HALF or n_left < min_leaf or k - n_left < min_leaf:
                    continue
                for c in range(n_classes):
                    rest[c] = max(known_counts[c] - part[c], 0.0)
                w_right = known - w_left
                after = (w_left * _entropy(part, w_left) + w_right * _entropy(rest, w_right)) / known
                if base - after > best + _TIE:
                    best = base - after
                    out[f, INFORMATION] = _part(w_left, everything) + _part(w_right, everything) + unknown
                    out[f, LOW], out[f, HIGH] = order[p] >> _HALF, order[p + 1] >> _HALF
            if out[f, LOW] >= 0.0:
                out[f, GAIN] = max(best, 0.0) * known / everything
            continue
        after, information, n_run, large = 0.0, unknown, 0, 0
        w_run = 0.0
        for p in range(k):
            i = order[p] & _LOW
            part[y[rows[i]]] += weight[i]
            w_run += weight[i]
            n_run += 1
            if p + 1 == k or order[p] >> _HALF != order[p + 1] >> _HALF:
                after += w_run / known * _entropy(part, w_run)
                information += _part(w_run, everything)
                large += n_run >= min_leaf
                part[:] = 0.0
                w_run, n_run = 0.0, 0
        if large >= 2:
            out[f, GAIN], out[f, INFORMATION] = max(base - after, 0.0) * known / everything, information


@njit
def choose(table, by_ratio):
    """Return the attribute to split on, or -1: the largest gain, or the largest ratio among those of at least average gain;
    the first of equals."""
    total, count = 0.0, 0
    for f in range(table.shape[0]):
        if table[f, GAIN] >= 0.0:
            total += table[f, GAIN]
            count += 1
    winner, best = -1, -1.0
    for f in range(table.shape[0]):
        gain = table[f, GAIN]
        if gain < 0.0 or (by_ratio and gain < total / count - _TIE):
            continue
        merit = gain / table[f, INFORMATION] if by_ratio else gain
        if merit > best + _TIE:
            winner, best = f, merit
    return winner
