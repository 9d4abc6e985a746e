"""Passes over the rows for k-means, in chunks that depend on the shape alone.

Chunks are the unit of work of a thread and of every partial sum; partial sums are added in chunk order, so results do not
depend on the number of threads. Within a chunk, blocks of rows meet all centers in one matrix product. Centers come shifted
by the mean m of the data: with c' = c - m the squared distance is |x-m|² + |c'|² + 2 m·c' - 2 x·c', whose rounding error
is of the order of that of x itself however far the data lie from zero.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fivefold.base.jit import njit

BLOCK = 256
FAR = 1e30
"""Stands for infinity where fast floating-point rules forbid it."""

_FAST = {"reassoc", "contract", "nnan", "nsz", "ninf"}
# Half an ulp of float32 is 6e-8; four of them make every rounded bound safe.
_DOWN, _UP = np.float32(1 - 2.4e-7), np.float32(1 + 2.4e-7)


def chunk_bounds(n_samples: int, state_size: int) -> np.ndarray:
    """Return the row where each chunk begins, and the end: (chunks + 1,).

    There are at most 64 chunks, of at least 8 blocks, and their partial sums of ``state_size`` numbers stay below 32 MiB.
    """
    most = (1 << 22) // max(1, state_size)  # any value: memory against parallel work
    chunks = max(1, min(64, n_samples // (8 * BLOCK), most))  # any value: the size of a unit of work
    return np.linspace(0, n_samples, chunks + 1).astype(np.int64)


@njit(parallel=True, fastmath={"reassoc", "contract"})
def moments(X, chunks):
    """Return count, mean (d,) and summed squared deviation (d,) of each chunk of X (n, d), NaN where X is not finite."""
    n_chunks, d = chunks.shape[0] - 1, X.shape[1]
    mean, square = np.zeros((n_chunks, d)), np.zeros((n_chunks, d))
    for c in prange(n_chunks):
        center, total, spread = np.empty(d), np.empty(d), np.empty(d)
        seen = 0
        for start in range(chunks[c], chunks[c + 1], BLOCK):
            stop = min(start + BLOCK, chunks[c + 1])
            m = stop - start
            total[:] = 0.0
            for i in range(start, stop):
                for j in range(d):
                    total[j] += X[i, j]
            spread[:] = 0.0
            for j in range(d):
                center[j] = total[j] / m
            for i in range(start, stop):
                for j in range(d):
                    spread[j] += (X[i, j] - center[j]) ** 2
            for j in range(d):
                gap = center[j] - mean[c, j]
                square[c, j] += spread[j] + gap * gap * seen * m / (seen + m)
                mean[c, j] += gap * m / (seen + m)
            seen += m
    return mean, square


@njit(parallel=True, fastmath=_FAST)
def squared_norms(X, shift, out):
    """Write |x - shift|² of every row of X (n, d) into out (n,)."""
    for i in prange(X.shape[0]):
        total = 0.0
        for j in range(X.shape[1]):
            total += (X[i, j] - shift[j]) ** 2
        out[i] = total


@njit(fastmath=_FAST)
def _few_products(x, vectors, out):
    """Write the products of x (d,) with a few vectors (T, d), three at a time: a matrix product is slow for so few."""
    n_vectors, d = vectors.shape
    t = 0
    while t + 3 <= n_vectors:  # any value: a way, not a result
        first, second, third = 0.0, 0.0, 0.0
        for j in range(d):
            first += x[j] * vectors[t, j]
            second += x[j] * vectors[t + 1, j]
            third += x[j] * vectors[t + 2, j]
        out[t], out[t + 1], out[t + 2] = first, second, third
        t += 3
    while t < n_vectors:
        first = 0.0
        for j in range(d):
            first += x[j] * vectors[t, j]
        out[t] = first
        t += 1


@njit(parallel=True, fastmath=_FAST)
def seed_pass(X, chunks, norms, weight, candidates, offset, reach, closest, owner, trial, adopted, newest, potential):
    """Measure the candidates of one step of k-means++.

    candidates (T, d) are shifted and of the type of X, offset (T,) their |c'|² + 2 m·c'; closest (n,) is the squared
    distance to the nearest center and owner (n,) that center; trial (n, T) holds the candidates' squared distances, of
    which column ``adopted`` (-1 for none) became center ``newest`` since the last pass. A row is skipped when its squared
    distance is at most reach[owner], a quarter of the squared distance from its center to the nearest candidate: by the
    triangle inequality none can be nearer. Writes the potentials that the candidates would leave into potential (chunks, T).
    """
    n_trials = candidates.shape[0]
    for c in prange(chunks.shape[0] - 1):
        dots = np.empty(n_trials, dtype=X.dtype)
        left = np.zeros(n_trials)
        idle = 0.0
        for i in range(chunks[c], chunks[c + 1]):
            if adopted >= 0 and trial[i, adopted] < closest[i]:
                closest[i] = trial[i, adopted]
                owner[i] = newest
            if closest[i] <= reach[owner[i]]:
                idle += weight[i] * closest[i]
                for t in range(n_trials):
                    trial[i, t] = FAR
                continue
            _few_products(X[i], candidates, dots)
            for t in range(n_trials):
                distance = max(norms[i] + offset[t] - 2.0 * dots[t], 0.0)
                trial[i, t] = distance
                left[t] += weight[i] * min(distance, closest[i])
        for t in range(n_trials):
            potential[c, t] = left[t] + idle


@njit
def _raised(value):
    """Return a float32 not below ``value`` or what rounding of its sum may have taken away."""
    return np.float32(value) * _UP  # any value: a margin for rounding


@njit
def _lowered(value):
    """Return a float32 not above ``value`` or what rounding of its sum may have added."""
    return np.float32(value) * _DOWN  # any value: a margin for rounding


@njit(fastmath=_FAST)
def _settle(i, dots, norm, offset, size, slack, labels, bounded, group, upper, lower):
    """Give row i its nearest center, the first of equals, and fresh bounds."""
    k = offset.shape[0]
    best, nearest = 0, offset[0] - 2.0 * dots[0]
    for j in range(1, k):
        value = offset[j] - 2.0 * dots[j]
        if value < nearest:
            best, nearest = j, value
    labels[i] = best
    if bounded:
        # The rounding error of a squared distance is at most slack times this.
        noise = slack * (norm + size)  # any value: a margin for rounding
        upper[i] = _raised(np.sqrt(max(norm + nearest, 0.0) + noise))
        n_groups = lower.shape[1]
        if n_groups == k:
            for j in range(k):
                lower[i, j] = _lowered(np.sqrt(max(norm + offset[j] - 2.0 * dots[j] - noise, 0.0)))
            lower[i, best] = np.float32(FAR)
        else:
            for g in range(n_groups):
                lower[i, g] = np.float32(FAR)
            for j in range(k):
                if j != best:
                    bound = _lowered(np.sqrt(max(norm + offset[j] - 2.0 * dots[j] - noise, 0.0)))
                    lower[i, group[j]] = min(lower[i, group[j]], bound)
    return best


@njit(parallel=True, fastmath=_FAST)
def lloyd_pass(
    X,
    chunks,
    norms,
    weight,
    shift,
    centers,
    product,
    offset,
    size,
    slack,
    labels,
    bounded,
    first,
    group,
    moved,
    group_moved,
    upper,
    lower,
    summed,
    sums,
    mass,
    counts,
    changed,
):
    """Give every row its nearest center and keep the sums of the clusters up to date.

    centers (k, d) and product (d, k) are shifted; offset (k,) is |c'|² + 2 m·c', size the largest |c'|². With ``bounded``
    a row keeps its center unseen while its upper bound (n,), grown by what its center moved, stays below its lower bounds
    (n, groups), shrunk by what the centers of a group moved at most; then its nearest center cannot have changed.
    With ``summed``, sums (chunks, k, d) of shifted rows, mass (chunks, k) and counts (chunks, k) of rows with weight follow
    the rows that change their label.
    """
    n_groups, d, k = lower.shape[1], X.shape[1], centers.shape[0]
    for c in prange(chunks.shape[0] - 1):
        gathered = np.empty((BLOCK, d), dtype=X.dtype)
        dots = np.empty((BLOCK, k), dtype=X.dtype)
        todo = np.empty(BLOCK, dtype=np.int64)
        n_changed = 0
        for start in range(chunks[c], chunks[c + 1], BLOCK):
            stop = min(start + BLOCK, chunks[c + 1])
            m = 0
            for i in range(start, stop):
                if bounded and not first:
                    a = labels[i]
                    upper[i] = _raised(upper[i] + moved[a])
                    nearest = np.float32(FAR)
                    for g in range(n_groups):
                        lower[i, g] = _lowered(lower[i, g] - group_moved[g])
                        nearest = min(nearest, lower[i, g])
                    if upper[i] < nearest:
                        continue
                    most = slack * (norms[i] + size)  # any value: a margin for rounding
                    for j in range(d):
                        most += (X[i, j] - shift[j] - centers[a, j]) ** 2
                    upper[i] = _raised(np.sqrt(most))
                    if upper[i] < nearest:
                        continue
                todo[m] = i
                m += 1
            if m == 0:
                continue
            if m == BLOCK:
                np.dot(X[start:stop], product, dots)
            else:
                for r in range(m):
                    for j in range(d):
                        gathered[r, j] = X[todo[r], j]
                np.dot(gathered[:m], product, dots[:m])
            for r in range(m):
                i = todo[r]
                old = -1 if first else labels[i]
                new = _settle(i, dots[r], norms[i], offset, size, slack, labels, bounded, group, upper, lower)
                if new == old:
                    continue
                n_changed += 1
                if summed:
                    w = weight[i]
                    mass[c, new] += w
                    counts[c, new] += w > 0.0
                    for j in range(d):
                        sums[c, new, j] += w * (X[i, j] - shift[j])
                    if old >= 0:
                        mass[c, old] -= w
                        counts[c, old] -= w > 0.0
                        for j in range(d):
                            sums[c, old, j] -= w * (X[i, j] - shift[j])
        changed[c] = n_changed


@njit(parallel=True, fastmath=_FAST)
def squared_errors(X, centers, labels, out):
    """Write the squared distance of every row of X (n, d) to its own center, by differences, into out (n,)."""
    for i in prange(X.shape[0]):
        total = 0.0
        for j in range(X.shape[1]):
            total += (X[i, j] - centers[labels[i], j]) ** 2
        out[i] = total
