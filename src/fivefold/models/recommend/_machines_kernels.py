"""Factorization machines and their kin, row by row from sparse data: scores and one pass of steps.

All parameters lie in one vector ``theta``: the bias, a weight for each of d features, then what the method adds. Rows are
``offsets``, ``inds``, ``vals`` and, for methods that know fields, ``fields``. ``how`` is (rule, rate, beta, l1 and l2 of the
weights, l1 and l2 of the pairs).
"""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit

SGD, ADAGRAD, FTRL = 0, 1, 2
FREE, WEIGHT, PAIR = 0, 1, 2
"""Whose penalty a parameter has: none, that of first-order weights, that of pairs."""

# On arrays, inlining would count references at every call; on numbers it is free.
_number = njit(inline="always")
# A look at whether a divisor is 0 before every division would cost as much as the division.
_kernel = njit(error_model="numpy")


@_number
def moved(w, square, total, gradient, how, penalty):  # type: ignore[no-untyped-def]
    """Return a parameter, its sum of squares and FTRL's sum after a step along its gradient."""
    rate = how[1]
    l1, l2 = 0.0, 0.0
    if penalty == WEIGHT:
        l1, l2 = how[3], how[4]
    elif penalty == PAIR:
        l1, l2 = how[5], how[6]
    if how[0] == SGD:
        w -= rate * (gradient + l2 * w)
    elif how[0] == ADAGRAD:
        gradient += l2 * w
        square += gradient * gradient
        w -= rate * gradient / np.sqrt(square)
    else:
        before = np.sqrt(square)
        square += gradient * gradient
        root = np.sqrt(square)
        total += gradient - (root - before) / rate * w
        w = 0.0 if abs(total) <= l1 else -(total - np.sign(total) * l1) / ((how[2] + root) / rate + l2)
    return w, square, total


@_number
def slope(score, y, weight, logistic):  # type: ignore[no-untyped-def]
    """Return the derivative of the loss of a row by its score: p - y, or score - y."""
    if logistic:
        return weight * (1.0 / (1.0 + np.exp(-score)) - y)
    return weight * (score - y)


@njit
def taken(order, offsets, inds, vals, fields):  # type: ignore[no-untyped-def]
    """Return the rows of ``order``, one after the other."""
    size = 0
    for r in order:
        size += offsets[r + 1] - offsets[r]
    starts, at = np.zeros(len(order) + 1, np.int64), 0
    some_inds, some_vals = np.empty(size, inds.dtype), np.empty(size, vals.dtype)
    some_fields = None if fields is None else np.empty(size, inds.dtype)
    for t, r in enumerate(order):
        for p in range(offsets[r], offsets[r + 1]):
            some_inds[at], some_vals[at] = inds[p], vals[p]
            if fields is not None:
                some_fields[at] = fields[p]
            at += 1
        starts[t + 1] = at
    return starts, some_inds, some_vals, some_fields


@_kernel
def linear_score(start, end, inds, vals, theta):  # type: ignore[no-untyped-def]
    """Return bias and first-order weights of a row."""
    total = theta[0]
    for p in range(start, end):
        total += theta[1 + inds[p]] * vals[p]
    return total


@_kernel
def linear_move(start, end, inds, vals, g, theta, squares, sums, how):  # type: ignore[no-untyped-def]
    """Step bias and first-order weights of a row."""
    theta[0], squares[0], sums[0] = moved(theta[0], squares[0], sums[0], g, how, FREE)
    for p in range(start, end):
        i = 1 + inds[p]
        theta[i], squares[i], sums[i] = moved(theta[i], squares[i], sums[i], g * vals[p], how, WEIGHT)


@_kernel
def fm_row(start, end, inds, vals, theta, first, k, total):  # type: ignore[no-untyped-def]
    """Return the pairs of a row by the identity in O(k · pairs), leaving the sums of x v in ``total`` (k,)."""
    score = 0.0
    for f in range(k):
        a, b = 0.0, 0.0
        for p in range(start, end):
            term = theta[first + inds[p] * k + f] * vals[p]
            a += term
            b += term * term
        total[f] = a
        score += 0.5 * (a * a - b)
    return score


@njit
def fm_scores(offsets, inds, vals, theta, d, k):  # type: ignore[no-untyped-def]
    """Return the score of each row."""
    out, total = np.empty(len(offsets) - 1), np.empty(k)
    for r in range(len(out)):
        start, end = offsets[r], offsets[r + 1]
        out[r] = linear_score(start, end, inds, vals, theta) + fm_row(start, end, inds, vals, theta, 1 + d, k, total)
    return out


@_kernel
def fm_pass(offsets, inds, vals, y, weight, theta, squares, sums, how, logistic, d, k):  # type: ignore[no-untyped-def]
    """Step on each row."""
    total = np.empty(k)
    for r in range(len(y)):
        start, end = offsets[r], offsets[r + 1]
        score = linear_score(start, end, inds, vals, theta) + fm_row(start, end, inds, vals, theta, 1 + d, k, total)
        g = slope(score, y[r], weight[r], logistic)
        linear_move(start, end, inds, vals, g, theta, squares, sums, how)
        for p in range(start, end):
            x = vals[p]
            for f in range(k):
                i = 1 + d + inds[p] * k + f
                theta[i], squares[i], sums[i] = moved(
                    theta[i], squares[i], sums[i], g * x * (total[f] - x * theta[i]), how, PAIR
                )


@_kernel
def ffm_row(start, end, inds, fields, vals, theta, first, m, k):  # type: ignore[no-untyped-def]
    """Return the pairs of a row: each feature's vector for the other's field."""
    score = 0.0
    for p in range(start, end):
        for q in range(p + 1, end):
            a, b = first + (inds[p] * m + fields[q]) * k, first + (inds[q] * m + fields[p]) * k
            product = 0.0
            for f in range(k):
                product += theta[a + f] * theta[b + f]
            score += product * vals[p] * vals[q]
    return score


@njit
def ffm_scores(offsets, inds, fields, vals, theta, d, m, k):  # type: ignore[no-untyped-def]
    """Return the score of each row; m fields."""
    out = np.empty(len(offsets) - 1)
    for r in range(len(out)):
        start, end = offsets[r], offsets[r + 1]
        out[r] = linear_score(start, end, inds, vals, theta)
        out[r] += ffm_row(start, end, inds, fields, vals, theta, 1 + d, m, k)
    return out


@_kernel
def ffm_pass(offsets, inds, fields, vals, y, weight, theta, squares, sums, how, logistic, d, m, k):  # type: ignore[no-untyped-def]
    """Step on each row."""
    first = 1 + d
    for r in range(len(y)):
        start, end = offsets[r], offsets[r + 1]
        score = linear_score(start, end, inds, vals, theta)
        score += ffm_row(start, end, inds, fields, vals, theta, first, m, k)
        g = slope(score, y[r], weight[r], logistic)
        linear_move(start, end, inds, vals, g, theta, squares, sums, how)
        for p in range(start, end):
            for q in range(p + 1, end):
                a, b = first + (inds[p] * m + fields[q]) * k, first + (inds[q] * m + fields[p]) * k
                part = g * vals[p] * vals[q]
                for f in range(k):
                    mine, theirs = theta[a + f], theta[b + f]
                    i = a + f
                    theta[i], squares[i], sums[i] = moved(theta[i], squares[i], sums[i], part * theirs, how, PAIR)
                    i = b + f
                    theta[i], squares[i], sums[i] = moved(theta[i], squares[i], sums[i], part * mine, how, PAIR)


@njit
def matrix_of(one, other, m, level):  # type: ignore[no-untyped-def]
    """Return the number of the matrix for two fields: one for all, one a first field, one a pair."""
    if level == 0:
        return 0
    if level == 1:
        return one
    return one * m + other


@njit
def bilinear_row(start, end, inds, fields, vals, theta, d, m, k, level, looked):  # type: ignore[no-untyped-def]
    """Return the pairs v_i^T W v_j of a row; ``looked`` (k,) is a scratch."""
    vectors, matrices = 1 + d, 1 + d + d * k
    score = 0.0
    for p in range(start, end):
        for q in range(p + 1, end):
            w = matrices + matrix_of(fields[p], fields[q], m, level) * k * k
            a, b = vectors + inds[p] * k, vectors + inds[q] * k
            product = 0.0
            for f in range(k):
                looked[f] = 0.0
                for h in range(k):
                    looked[f] += theta[w + f * k + h] * theta[b + h]
                product += theta[a + f] * looked[f]
            score += product * vals[p] * vals[q]
    return score


@njit
def bilinear_scores(offsets, inds, fields, vals, theta, d, m, k, level):  # type: ignore[no-untyped-def]
    """Return the score of each row."""
    out, looked = np.empty(len(offsets) - 1), np.empty(k)
    for r in range(len(out)):
        start, end = offsets[r], offsets[r + 1]
        out[r] = linear_score(start, end, inds, vals, theta)
        out[r] += bilinear_row(start, end, inds, fields, vals, theta, d, m, k, level, looked)
    return out


@_kernel
def bilinear_pass(offsets, inds, fields, vals, y, weight, theta, squares, sums, how, logistic, d, m, k, level):  # type: ignore[no-untyped-def]
    """Step on each row: the slopes of its vectors are gathered first, then matrices move, then vectors."""
    vectors, matrices = 1 + d, 1 + d + d * k
    looked = np.empty(k)
    most = 0
    for r in range(len(offsets) - 1):
        most = max(most, offsets[r + 1] - offsets[r])
    slopes = np.empty((most, k))
    for r in range(len(y)):
        start, end = offsets[r], offsets[r + 1]
        score = linear_score(start, end, inds, vals, theta)
        score += bilinear_row(start, end, inds, fields, vals, theta, d, m, k, level, looked)
        g = slope(score, y[r], weight[r], logistic)
        linear_move(start, end, inds, vals, g, theta, squares, sums, how)
        slopes[: end - start] = 0.0
        for p in range(start, end):
            for q in range(p + 1, end):
                w = matrices + matrix_of(fields[p], fields[q], m, level) * k * k
                a, b = vectors + inds[p] * k, vectors + inds[q] * k
                part = g * vals[p] * vals[q]
                for f in range(k):
                    for h in range(k):
                        slopes[p - start, f] += part * theta[w + f * k + h] * theta[b + h]
                        slopes[q - start, h] += part * theta[w + f * k + h] * theta[a + f]
        for p in range(start, end):
            for q in range(p + 1, end):
                w = matrices + matrix_of(fields[p], fields[q], m, level) * k * k
                a, b = vectors + inds[p] * k, vectors + inds[q] * k
                part = g * vals[p] * vals[q]
                for f in range(k):
                    for h in range(k):
                        i = w + f * k + h
                        theta[i], squares[i], sums[i] = moved(
                            theta[i], squares[i], sums[i], part * theta[a + f] * theta[b + h], how, FREE
                        )
        for p in range(start, end):
            for f in range(k):
                i = vectors + inds[p] * k + f
                theta[i], squares[i], sums[i] = moved(theta[i], squares[i], sums[i], slopes[p - start, f], how, PAIR)


@njit
def pair_place(i, j, d, buckets):  # type: ignore[no-untyped-def]
    """Return where the weight of a pair lies: in the upper triangle, or in a bucket when there are ``buckets``."""
    low, high = (i, j) if i <= j else (j, i)
    if buckets == 0:
        return low * d - low * (low - 1) // 2 + (high - low)
    return (np.int64(low) * 2654435761 + np.int64(high)) % buckets


@njit
def poly2_scores(offsets, inds, vals, theta, d, buckets):  # type: ignore[no-untyped-def]
    """Return the score of each row."""
    out = np.empty(len(offsets) - 1)
    for r in range(len(out)):
        start, end = offsets[r], offsets[r + 1]
        score = linear_score(start, end, inds, vals, theta)
        for p in range(start, end):
            for q in range(p, end):
                score += theta[1 + d + pair_place(inds[p], inds[q], d, buckets)] * vals[p] * vals[q]
        out[r] = score
    return out


@_kernel
def poly2_pass(offsets, inds, vals, y, weight, theta, squares, sums, how, logistic, d, buckets, touched):  # type: ignore[no-untyped-def]
    """Step on each row, marking the pairs that stepped in ``touched``."""
    for r in range(len(y)):
        start, end = offsets[r], offsets[r + 1]
        score = linear_score(start, end, inds, vals, theta)
        for p in range(start, end):
            for q in range(p, end):
                score += theta[1 + d + pair_place(inds[p], inds[q], d, buckets)] * vals[p] * vals[q]
        g = slope(score, y[r], weight[r], logistic)
        linear_move(start, end, inds, vals, g, theta, squares, sums, how)
        for p in range(start, end):
            for q in range(p, end):
                x = vals[p] * vals[q]
                if x != 0.0:
                    place = pair_place(inds[p], inds[q], d, buckets)
                    touched[place] = True
                    i = 1 + d + place
                    theta[i], squares[i], sums[i] = moved(theta[i], squares[i], sums[i], g * x, how, PAIR)
