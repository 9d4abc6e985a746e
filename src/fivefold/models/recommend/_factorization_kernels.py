"""The compiled steps of matrix factorization: stochastic gradients, rows of normal equations, pairwise ranking."""

from __future__ import annotations

import numba
import numpy as np

from fivefold.base.jit import njit

_SUMS = {"reassoc", "contract", "nsz"}  # any value: lets sums run in vector registers


@njit(fastmath=_SUMS)
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@njit
def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + np.exp(-x))


@njit(fastmath=_SUMS)
def sgd_epoch(
    rows: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    p: np.ndarray,
    q: np.ndarray,
    user_bias: np.ndarray,
    item_bias: np.ndarray,
    mean: float,
    rate: float,
    reg: float,
    biased: bool,
    logistic: bool,
) -> None:
    """Go once over ``rows``: each moves the vectors and biases of its user and item against the gradient."""
    size = p.shape[1]
    for n in range(len(rows)):
        row = rows[n]
        u, i = users[row], items[row]
        found = 0.0
        for d in range(size):
            found += p[u, d] * q[i, d]
        found += mean + user_bias[u] + item_bias[i]
        if logistic:
            found = _sigmoid(found)
        step = rate * weights[row]
        gain, decay = step * (targets[row] - found), 1.0 - step * reg
        if biased:
            user_bias[u] = decay * user_bias[u] + gain
            item_bias[i] = decay * item_bias[i] + gain
        for d in range(size):
            old = p[u, d]
            p[u, d] = decay * old + gain * q[i, d]
            q[i, d] = decay * q[i, d] + gain * old


@njit(fastmath=_SUMS)
def svdpp_epoch(
    order: np.ndarray,
    starts: np.ndarray,
    rows: np.ndarray,
    items: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    p: np.ndarray,
    q: np.ndarray,
    y: np.ndarray,
    user_bias: np.ndarray,
    item_bias: np.ndarray,
    mean: float,
    rate: float,
    reg: float,
) -> None:
    """Go once over the users in ``order``; the rows of user u are ``rows[starts[u]:starts[u + 1]]``.

    A row of u moves the y of *all* items of u by decay * y + c with the same c. While u is at work these moves are therefore
    kept as one factor and one vector, and applied when u is done: the same numbers at a cost that does not grow with the
    length of the history.
    """
    size = p.shape[1]
    total, drift = np.empty(size), np.empty(size)
    for n in range(len(order)):
        u = order[n]
        begin, end = starts[u], starts[u + 1]
        if begin == end:
            continue
        root = 1.0 / np.sqrt(end - begin)
        total[:] = 0.0
        drift[:] = 0.0
        shrink = 1.0
        for at in range(begin, end):
            yj = y[items[rows[at]]]
            for d in range(size):
                total[d] += yj[d]
        pu = p[u]
        for at in range(begin, end):
            row = rows[at]
            i = items[row]
            qi = q[i]
            found = mean + user_bias[u] + item_bias[i]
            # A sum beside a store would be grouped in one of two ways, whichever the distance of the arrays allows.
            for d in range(size):
                found += qi[d] * (pu[d] + total[d] * root)
            step = rate * weights[row]
            gain, decay = step * (targets[row] - found), 1.0 - step * reg
            user_bias[u] = decay * user_bias[u] + gain
            item_bias[i] = decay * item_bias[i] + gain
            for d in range(size):
                old, move = qi[d], gain * root * qi[d]
                qi[d] = decay * old + gain * (pu[d] + total[d] * root)
                pu[d] = decay * pu[d] + gain * old
                total[d] = decay * total[d] + (end - begin) * move
                drift[d] = decay * drift[d] + move
            shrink *= decay
        # An item rated twice by u stands twice in the sums above, but its y is one vector that moves once a row.
        for at in range(begin, end):
            yj = y[items[rows[at]]]
            for d in range(size):
                yj[d] = shrink * yj[d] + drift[d]


@njit
def _solve(a: np.ndarray, b: np.ndarray) -> None:
    """Solve a x = b for a symmetric positive definite ``a`` by Cholesky; only its lower half is read, x replaces b."""
    size = len(b)
    for j in range(size):
        pivot = np.sqrt(a[j, j] - _dot(a[j, :j], a[j, :j]))
        a[j, j] = pivot
        for i in range(j + 1, size):
            a[i, j] = (a[i, j] - _dot(a[i, :j], a[j, :j])) / pivot
    for i in range(size):
        b[i] = (b[i] - _dot(a[i, :i], b[:i])) / a[i, i]
    for i in range(size - 1, -1, -1):
        b[i] /= a[i, i]
        for j in range(i):
            b[j] -= a[i, j] * b[i]


@njit(parallel=True)
def solve_rows(
    starts: np.ndarray,
    index: np.ndarray,
    weights: np.ndarray,
    targets: np.ndarray,
    features: np.ndarray,
    base: np.ndarray,
    reg: float,
    out: np.ndarray,
) -> None:
    """Solve (base + reg I + sum_j w_j f_j f_j^T) x = sum_j t_j f_j for every group of rows, into ``out`` (groups, d).

    Row j of group g, starts[g] <= j < starts[g + 1], has the features f_j = features[index[j]]. A group without rows is zero.
    """
    size = features.shape[1]
    for group in numba.prange(len(starts) - 1):
        right = np.zeros(size)
        if starts[group] < starts[group + 1]:
            left = base.copy()
            for d in range(size):
                left[d, d] += reg
            for at in range(starts[group], starts[group + 1]):
                f, w, t = features[index[at]], weights[at], targets[at]
                for a in range(size):
                    right[a] += t * f[a]
                    scaled = w * f[a]
                    for b in range(a + 1):
                        left[a, b] += scaled * f[b]
            _solve(left, right)
        out[group] = right


@njit(parallel=True)
def descend_rows(
    starts: np.ndarray,
    index: np.ndarray,
    weights: np.ndarray,
    targets: np.ndarray,
    features: np.ndarray,
    base: np.ndarray,
    reg: float,
    steps: int,
    out: np.ndarray,
) -> None:
    """Improve ``out`` (groups, d) by conjugate gradients on the systems of :func:`solve_rows`, without forming them."""
    size = features.shape[1]
    for group in numba.prange(len(starts) - 1):
        begin, end = starts[group], starts[group + 1]
        x = out[group]
        if begin == end:
            x[:] = 0.0
            continue
        residual, moved = np.empty(size), np.empty(size)
        _apply(begin, end, index, weights, targets, 1.0, features, base, reg, x, residual)
        for d in range(size):
            residual[d] = -residual[d]
        direction = residual.copy()
        before = _dot(residual, residual)
        for _ in range(steps):
            if before < 1e-20:  # any value: nothing left to improve
                break
            _apply(begin, end, index, weights, targets, 0.0, features, base, reg, direction, moved)
            length = before / _dot(direction, moved)
            for d in range(size):
                x[d] += length * direction[d]
                residual[d] -= length * moved[d]
            after = _dot(residual, residual)
            for d in range(size):
                direction[d] = residual[d] + after / before * direction[d]
            before = after


@njit(fastmath=_SUMS)
def _apply(
    begin: int,
    end: int,
    index: np.ndarray,
    weights: np.ndarray,
    targets: np.ndarray,
    share: float,
    features: np.ndarray,
    base: np.ndarray,
    reg: float,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write (base + reg I) x + sum_j (w_j f_j^T x - share t_j) f_j into ``out``."""
    size = len(x)
    for d in range(size):
        out[d] = _dot(base[d], x) + reg * x[d]
    at = begin
    # Four rows at a time: x and out are read once for all four.
    while at + 4 <= end:
        f, g, h, k = features[index[at]], features[index[at + 1]], features[index[at + 2]], features[index[at + 3]]
        a = b = c = e = 0.0
        for d in range(size):
            a += f[d] * x[d]
            b += g[d] * x[d]
            c += h[d] * x[d]
            e += k[d] * x[d]
        a = weights[at] * a - share * targets[at]
        b = weights[at + 1] * b - share * targets[at + 1]
        c = weights[at + 2] * c - share * targets[at + 2]
        e = weights[at + 3] * e - share * targets[at + 3]
        for d in range(size):
            out[d] += a * f[d] + b * g[d] + c * h[d] + e * k[d]
        at += 4
    while at < end:
        f = features[index[at]]
        a = weights[at] * _dot(f, x) - share * targets[at]
        for d in range(size):
            out[d] += a * f[d]
        at += 1


@njit
def met(starts: np.ndarray, seen: np.ndarray, user: int, item: int) -> bool:
    """Return whether the user met the item; the items of a user are sorted."""
    low, high = starts[user], starts[user + 1]
    while low < high:
        middle = (low + high) // 2
        if seen[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low < starts[user + 1] and seen[low] == item


@njit(fastmath=_SUMS)
def bpr_epoch(
    users: np.ndarray,
    items: np.ndarray,
    others: np.ndarray,
    weights: np.ndarray,
    starts: np.ndarray,
    seen: np.ndarray,
    p: np.ndarray,
    q: np.ndarray,
    bias: np.ndarray,
    rate: float,
    reg: float,
    fixed_items: bool,
) -> tuple[int, int]:
    """Raise the item a user met above another that the user did not; return how many pairs were used and rightly ordered."""
    size = p.shape[1]
    used, right = 0, 0
    for n in range(len(users)):
        u, i, j = users[n], items[n], others[n]
        if met(starts, seen, u, j):
            continue
        pu, qi, qj = p[u], q[i], q[j]
        margin = bias[i] - bias[j]
        for d in range(size):
            margin += pu[d] * (qi[d] - qj[d])
        used += 1
        right += margin > 0
        step = rate * weights[n]
        gain, decay = step * _sigmoid(-margin), 1.0 - step * reg
        for d in range(size):
            old = pu[d]
            pu[d] = decay * old + gain * (qi[d] - qj[d])
            if not fixed_items:
                qi[d] = decay * qi[d] + gain * old
                qj[d] = decay * qj[d] - gain * old
        if not fixed_items:
            bias[i] = decay * bias[i] + gain
            bias[j] = decay * bias[j] - gain
    return used, right
