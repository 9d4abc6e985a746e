"""How click probabilities do within groups of rows: ranking by group, calibration by category."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fivefold.base.errors import DataError


def _columns(y_true: Any, score: Any, groups: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[Any]]:
    y, s, g = np.asarray(y_true, dtype=np.float64), np.asarray(score, dtype=np.float64), np.asarray(groups)
    if y.ndim != 1 or s.shape != y.shape or g.shape != y.shape or not len(y):
        raise DataError(
            f"Labels, scores and groups need one value a row each; got the shapes {y.shape}, {s.shape} and {g.shape}."
        )
    if not np.isin(y, (0.0, 1.0)).all():
        raise DataError("Labels must be 0 or 1.")
    if not np.isfinite(s).all():
        raise DataError("Scores must be finite numbers.")
    return y, s, g


def grouped_auc(y_true: Any, score: Any, groups: Any) -> float:
    r"""Area under the ROC curve within groups, averaged by their rows (GAUC).

    .. math:: \mathrm{GAUC} = \frac{\sum_g n_g \, \mathrm{AUC}_g}{\sum_g n_g}, \qquad
        \mathrm{AUC}_g = P(s_+ > s_-) + \tfrac12 P(s_+ = s_-) \text{ within } g

    Parameters
    ----------
    y_true : array (n,) of 0 and 1
    score : array (n,)
        The higher, the likelier a click.
    groups : array (n,)
        Users, say: a ranking compares the rows of one group only.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    DataError
        For columns of different length, other labels, and where no group has both a click and none.

    Notes
    -----
    Groups whose labels are all the same have no area and are left out, as in Zhou et al. 2018, who weight by impressions.

    References
    ----------
    Zhu et al., "Optimized cost per click in Taobao display advertising", KDD 2017; Zhou et al. 2018 (04#din).
    """
    y, s, g = _columns(y_true, score, groups)
    codes = np.unique(g, return_inverse=True)[1]
    order = np.lexsort((s, codes))
    y, s, codes = y[order], s[order], codes[order]
    rows = np.bincount(codes)
    positives = np.bincount(codes, weights=y)
    both = (positives > 0) & (positives < rows)
    if not both.any():
        raise DataError("No group has both labels, so no ranking within a group can be judged.")
    # Ranks within the group, from 1; equal scores share their mean.
    new = np.ones(len(s), dtype=bool)
    new[1:] = (codes[1:] != codes[:-1]) | (s[1:] != s[:-1])
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], len(s))
    first = (np.cumsum(rows) - rows)[codes[begin]]
    shared = (begin + end - 1) / 2 - first + 1
    ranks = np.repeat(shared, end - begin)
    sums = np.bincount(codes, weights=ranks * y)
    p, n = positives[both], rows[both] - positives[both]
    areas = (sums[both] - p * (p + 1) / 2) / (p * n)
    return float(np.average(areas, weights=rows[both]))


class GroupCalibration(NamedTuple):
    """Groups, the largest first, with their rows, mean probability and share of clicks."""

    groups: NDArray[Any]
    rows: NDArray[np.int64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]


def calibration_by_group(y_true: Any, probability: Any, groups: Any) -> GroupCalibration:
    """Mean probability beside the share of clicks in each group.

    Parameters
    ----------
    y_true : array (n,) of 0 and 1
    probability : array (n,) in [0, 1]
    groups : array (n,)
        The categories of a field, say.

    Returns
    -------
    GroupCalibration
        Arrays (groups,), by falling number of rows; equal ones in the order of the groups.

    Raises
    ------
    DataError
        For columns of different length, other labels, and numbers that are no probabilities.
    """
    y, p, g = _columns(y_true, probability, groups)
    if (p < 0).any() or (p > 1).any():
        raise DataError("Probabilities must lie in [0, 1].")
    names, codes = np.unique(g, return_inverse=True)
    rows = np.bincount(codes)
    order = np.argsort(-rows, kind="stable")
    predicted, observed = (np.bincount(codes, weights=values) / rows for values in (p, y))
    return GroupCalibration(names[order], rows[order], predicted[order], observed[order])
