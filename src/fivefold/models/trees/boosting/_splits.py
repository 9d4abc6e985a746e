"""The best split of one column from its histogram.

For a node with sums G and H a leaf with the value w changes the objective by G w + (H + l2) w^2 / 2 + l1 |w|, so the best
value is ``-S(G) / (H + l2)`` where S shrinks by l1, and the gain of a split is the score of both sides minus the node's:

    score(G, H) = S(G)^2 / (H + l2),   gain = score(left) + score(right) - score(node)

Missing values go left or right, whichever gains more; a node without any sends them to its heavier side.
"""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit

from ._histograms import BINS, MISSING

# Integer settings.
(
    MAX_LEAVES, MAX_DEPTH, MIN_SAMPLES, DEPTHWISE, PREFER_HIGH, INCLUSIVE, SEED, CAT_ONE_HOT, CAT_LIMIT, CAT_GROUP,
    MIN_SPLIT,
) = range(11)  # fmt: skip
N_WHOLE = 11
# Real settings.
L2, L1, MIN_HESSIAN, MIN_GAIN, MAX_STEP, CAT_SMOOTH, CAT_L2, BY_LEVEL, BY_NODE = range(9)
N_REAL = 9
_NOISE = 1e-14


@njit(error_model="numpy")
def shrink(g, l1):
    """Return sign(g) max(|g| - l1, 0)."""
    return max(0.0, g - l1) if g > 0 else min(0.0, g + l1)


@njit(error_model="numpy")
def leaf_value(g, h, l1, l2, step, low, high):
    """Return the best value of a leaf within its bounds; ``step`` > 0 limits its size."""
    value = -shrink(g, l1) / (h + l2) if h + l2 > 0 else 0.0
    if step > 0:
        value = min(max(value, -step), step)
    return min(max(value, low), high)


@njit(error_model="numpy")
def leaf_score(g, h, l1, l2, value):
    """Return twice the decrease of the objective by a leaf with this value."""
    return -(2.0 * shrink(g, l1) * value + (h + l2) * value * value)


@njit
def _sum_up(sums, counts, place, offset, default, n, node, gl, hl, cl):
    """Write the sums over the bins 0 ... b of a column, missing values apart, for every b < n."""
    first = place * BINS
    sum_g, sum_h, count = np.int64(0), np.int64(0), np.int64(0)
    if default < 0:
        pairs, rows = sums[2 * first : 2 * (first + n)].reshape(n, 2), counts[first : first + n]
        for b in range(n):
            sum_g += pairs[b, 0]
            sum_h += pairs[b, 1]
            count += rows[b]
            gl[b], hl[b], cl[b] = sum_g, sum_h, count
        return
    # In a bundle the default bin holds what the other bins leave of the node.
    start = first + offset
    pairs, rows = sums[2 * start : 2 * (start + n - 1)].reshape(n - 1, 2), counts[start : start + n - 1]
    rest_g, rest_h, rest = node[0], node[1], node[2]
    for j in range(n - 1):
        rest_g -= pairs[j, 0]
        rest_h -= pairs[j, 1]
        rest -= rows[j]
    for b in range(n):
        if b == default:
            sum_g += rest_g
            sum_h += rest_h
            count += rest
        else:
            j = b - np.int64(b > default)
            sum_g += pairs[j, 0]
            sum_h += pairs[j, 1]
            count += rows[j]
        gl[b], hl[b], cl[b] = sum_g, sum_h, count


@njit(error_model="numpy")
def _scores(gl, hl, cl, more, n, node, unit, l2, min_samples, min_hessian, out):
    """Score every cut of plain second-order boosting: sums (n,) of the left, and ``more`` (3,) there -> out (n,).

    A cut that is not allowed scores -inf.
    """
    more_g, more_h, more_rows = more
    g, h, most, unit_g, unit_h = node[0] * unit[0], node[1] * unit[1], node[2] - min_samples, unit[0], unit[1]
    for b in range(n):
        left, weight, rows = (gl[b] + more_g) * unit_g, (hl[b] + more_h) * unit_h, cl[b] + more_rows
        right, rest = g - left, h - weight
        score = left * left / (weight + l2) + right * right / (rest + l2)
        allowed = (rows >= min_samples) & (rows <= most) & (weight >= min_hessian) & (rest >= min_hessian)
        out[b] = score if allowed else -np.inf


@njit(error_model="numpy")
def _scores_bounded(gl, hl, cl, more, n, node, unit, l2, min_samples, min_hessian, l1, step, low, high, direction, out):
    """Score every cut with l1, a limited step, bounds on the values and a monotone direction."""
    g, h = node[0] * unit[0], node[1] * unit[1]
    for b in range(n):
        left, weight, rows = (gl[b] + more[0]) * unit[0], (hl[b] + more[1]) * unit[1], cl[b] + more[2]
        right, rest = g - left, h - weight
        out[b] = -np.inf
        if rows < min_samples or node[2] - rows < min_samples or weight < min_hessian or rest < min_hessian:
            continue
        below = leaf_value(left, weight, l1, l2, step, low, high)
        above = leaf_value(right, rest, l1, l2, step, low, high)
        if direction * (above - below) >= 0:
            out[b] = leaf_score(left, weight, l1, l2, below) + leaf_score(right, rest, l1, l2, above)


@njit(fastmath={"nnan", "nsz"})
def _highest(scores, n):
    """Return the largest of the first n scores, which are numbers or -inf: so many are compared at once."""
    top = -np.inf
    for b in range(n):
        top = max(top, scores[b])
    return top


@njit
def _place_of(score, scores, n, from_high):
    """Return the first cut with this score (the last one ``from_high``)."""
    at = n - 1 if from_high else 0
    while scores[at] != score:
        at += -1 if from_high else 1
    return at


@njit(error_model="numpy")
def _score_of(left_g, left_h, count, g, h, rows, unit_g, unit_h, l2, min_samples, min_hessian):
    """Return the score of one cut as :func:`_scores` does, -inf for one that is not allowed."""
    left, weight = left_g * unit_g, left_h * unit_h
    right, rest = g * unit_g - left, h * unit_h - weight
    if count < min_samples or rows - count < min_samples or weight < min_hessian or rest < min_hessian:
        return -np.inf
    return left * left / (weight + l2) + right * right / (rest + l2)


@njit(error_model="numpy")
def split_column(
    sums, counts, column, place, offset, default, n, node, unit, limits, whole, real, direction, work, score, what, left
):  # fmt: skip
    """Find the best numeric cut of a column for one node.

    ``place`` is where it lies in memory, ``offset`` that of its bins there and ``default`` its default bin, or -1 outside of
    bundles.
    ``node`` (3,) holds G, H in units of ``unit`` (2,) and the count; ``limits`` the bounds of values and the score to beat;
    ``work`` (4, 256). On success writes score[column], what[column] = (bin, missing goes left, kind of split) and
    left[column] = sums of the left in units; else the score is -inf.
    """
    score[column] = -np.inf
    l1, l2, step, low, high = real[L1], real[L2], real[MAX_STEP], limits[0], limits[1]
    min_samples, min_hessian = whole[MIN_SAMPLES], max(real[MIN_HESSIAN], unit[1])
    plain = l1 == 0 and step == 0 and direction == 0 and low == -np.inf and high == np.inf
    gl, hl, cl, out = work[0].view(np.int64), work[1].view(np.int64), work[2].view(np.int64), work[3]
    _sum_up(sums, counts, place, offset, default, n, node, gl, hl, cl)
    missing = place * BINS + MISSING
    n_missing = np.int64(counts[missing])
    nothing = (np.int64(0), np.int64(0), np.int64(0))
    absent = (sums[2 * missing], sums[2 * missing + 1], n_missing)
    from_high = whole[PREFER_HIGH] == 1
    best, at, missing_left = limits[2], -1, False
    for turn in range(2 if n_missing > 0 else 1):
        # Of equal cuts LightGBM keeps the highest (missing left first), XGBoost the lowest (missing right first).
        to_left = n_missing > 0 and (turn == 0) == from_high
        more = absent if to_left else nothing
        if plain:
            _scores(gl, hl, cl, more, n, node, unit, l2, min_samples, min_hessian, out)
        else:
            _scores_bounded(
                gl, hl, cl, more, n, node, unit, l2, min_samples, min_hessian, l1, step, low, high, direction, out
            )
        top = _highest(out, n)
        if top > best:
            best, at, missing_left = top, _place_of(top, out, n, (turn == 0) == from_high), to_left
    if at < 0:
        return
    more = absent if missing_left else nothing
    score[column] = best
    what[column, 0] = at
    # A node without missing values sends them to its heavier side.
    what[column, 1] = np.int64(missing_left if n_missing > 0 else 2 * cl[at] >= node[2])
    what[column, 2] = 0
    left[column, 0] = gl[at] + more[0]
    left[column, 1] = hl[at] + more[1]
    left[column, 2] = cl[at] + more[2]


@njit(error_model="numpy")
def split_levels(sums, counts, column, place, n, node, unit, limits, whole, real, work, score, what, left, level_bits):
    """Find the best set of levels of a categorical column; the set goes left, everything else (missing too) right.

    Up to CAT_ONE_HOT levels are tried one against the rest; more are sorted by G / (H + smooth) and scanned from both ends,
    at most CAT_LIMIT levels deep and in steps of at least CAT_GROUP rows, with CAT_L2 added to l2.
    """
    score[column] = -np.inf
    first = place * BINS
    g, h, c = node[0] * unit[0], node[1] * unit[1], node[2]
    l1, step, low, high = real[L1], real[MAX_STEP], limits[0], limits[1]
    min_samples, min_hessian = whole[MIN_SAMPLES], max(real[MIN_HESSIAN], unit[1])
    one_hot = n <= whole[CAT_ONE_HOT]
    l2 = real[L2] + (0.0 if one_hot else real[CAT_L2])
    best, depth, backwards = limits[2], -1, False
    ratio = work[0]
    order = np.empty(n, dtype=np.int64)
    m = 0
    for b in range(n):
        count = counts[first + b]
        # LightGBM leaves levels with fewer rows than the smoothing out of the order.
        if count > 0 and (one_hot or count >= real[CAT_SMOOTH]):
            order[m] = b
            ratio[m] = (sums[2 * (first + b)] * unit[0]) / (sums[2 * (first + b) + 1] * unit[1] + real[CAT_SMOOTH])
            m += 1
    if not one_hot:
        for i in range(1, m):  # stable insertion; there are at most 255
            value, b, j = ratio[i], order[i], i
            while j > 0 and ratio[j - 1] > value:
                ratio[j], order[j] = ratio[j - 1], order[j - 1]
                j -= 1
            ratio[j], order[j] = value, b
    for way in range(1 if one_hot else 2):
        sum_g, sum_h, count, group = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        deepest = m if one_hot else min(whole[CAT_LIMIT], (m + 1) // 2)
        for i in range(deepest):
            b = first + order[m - 1 - i if way == 1 else i]
            if one_hot:
                sum_g, sum_h, count, group = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
            sum_g += sums[2 * b]
            sum_h += sums[2 * b + 1]
            count += counts[b]
            group += counts[b]
            lg, lh = sum_g * unit[0], sum_h * unit[1]
            if count < min_samples or lh < min_hessian:
                continue
            if c - count < min_samples or h - lh < min_hessian:
                if one_hot:
                    continue
                break
            if not one_hot:
                if c - count < whole[CAT_GROUP]:
                    break
                if group < whole[CAT_GROUP]:
                    continue
                group = 0
            below = leaf_value(lg, lh, l1, l2, step, low, high)
            above = leaf_value(g - lg, h - lh, l1, l2, step, low, high)
            value = leaf_score(lg, lh, l1, l2, below) + leaf_score(g - lg, h - lh, l1, l2, above)
            if value > best:
                best, depth, backwards = value, i, way == 1
    if depth < 0:
        return
    for i in range(4):
        level_bits[column, i] = 0
    sum_g, sum_h, count = np.int64(0), np.int64(0), np.int64(0)
    for i in range(depth if one_hot else 0, depth + 1):
        b = order[m - 1 - i if backwards else i]
        level_bits[column, b >> 6] |= np.uint64(1) << np.uint64(b & 63)
        sum_g += sums[2 * (first + b)]
        sum_h += sums[2 * (first + b) + 1]
        count += counts[first + b]
    score[column] = best
    what[column, 0] = -1
    what[column, 1] = 0
    what[column, 2] = 1 if one_hot else 2
    left[column, 0] = sum_g
    left[column, 1] = sum_h
    left[column, 2] = count


@njit(error_model="numpy")
def score_columns(
    columns, sums, counts, where, n_bins, kinds, allowed, node, unit, limits, whole, real, directions, work, scores, what,
    left, bits,
):  # fmt: skip
    """Write the best split of every allowed one of ``columns``, and the score -inf for the others.

    ``where`` (d, 3) holds place, offset and default bin as :func:`split_column` takes them.
    """
    l2, min_samples, min_hessian = real[L2], whole[MIN_SAMPLES], max(real[MIN_HESSIAN], unit[1])
    unit_g, unit_h, g, h, rows, to_beat = unit[0], unit[1], node[0], node[1], node[2], limits[2]
    plain = real[L1] == 0 and real[MAX_STEP] == 0 and limits[0] == -np.inf and limits[1] == np.inf
    for f in columns:
        scores[f] = -np.inf
        if not allowed[f]:
            continue
        if plain and n_bins[f] == 2 and where[f, 2] >= 0 and directions[f] == 0:
            # A bundle's column of two bins has one cut; of its bins the histogram holds the one that is not the default.
            at = where[f, 0] * BINS + where[f, 1]
            left_g, left_h, count = sums[2 * at], sums[2 * at + 1], np.int64(counts[at])
            if where[f, 2] == 0:
                left_g, left_h, count = g - left_g, h - left_h, rows - count
            score = _score_of(left_g, left_h, count, g, h, rows, unit_g, unit_h, l2, min_samples, min_hessian)
            if score > to_beat:
                scores[f] = score
                what[f, 0], what[f, 1], what[f, 2] = 0, np.int64(2 * count >= rows), 0
                left[f, 0], left[f, 1], left[f, 2] = left_g, left_h, count
        elif kinds[f] == 1:
            split_levels(
                sums, counts, f, where[f, 0], n_bins[f], node, unit, limits, whole, real, work, scores, what, left, bits
            )
        else:
            split_column(
                sums, counts, f, where[f, 0], where[f, 1], where[f, 2], n_bins[f], node, unit, limits, whole, real,
                directions[f], work, scores, what, left,
            )  # fmt: skip


@njit
def worth(gain, score, real, whole):
    """Return whether a gain suffices: above MIN_GAIN (or equal, when INCLUSIVE) and above the rounding of the score."""
    if gain <= _NOISE * abs(score):
        return False
    return gain >= real[MIN_GAIN] if whole[INCLUSIVE] == 1 else gain > real[MIN_GAIN]
