"""What one column says of the target by itself: variance, chi-square, F and mutual information, with p-values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import chdtrc, digamma, fdtrc

from fivefold.base.checks import check_count, check_one_of
from fivefold.base.errors import DataError

from ._inputs import as_array

CRITERIA = ("f", "mutual-information", "chi2", "variance")


class FeatureScores(NamedTuple):
    """Score of each column (d,), larger is more telling, and its p-value (d,), NaN where the score has none."""

    scores: np.ndarray
    p_values: np.ndarray


def is_classes(y: Any) -> bool:
    """Return whether a target holds classes: text, booleans or whole numbers stored as such; floats are quantities."""
    return np.asarray(y).dtype.kind in "biuUSO"


def _classes(y: np.ndarray) -> tuple[np.ndarray, int]:
    names, code = np.unique(y, return_inverse=True)
    if len(names) < 2:
        raise DataError(f"The target has one class, {names[0]!s}; scores of features need at least two.")
    return code, len(names)


def variance_scores(X: np.ndarray) -> FeatureScores:
    r"""Variance of each column, :math:`\frac1n \sum_i (x_i - \bar x)^2`; a constant column scores exactly 0."""
    spread = np.ptp(X, axis=0)
    return FeatureScores(np.where(spread == 0, 0.0, X.var(axis=0)), np.full(X.shape[1], np.nan))


def f_scores(X: np.ndarray, y: np.ndarray) -> FeatureScores:
    r"""F test of each column: one-way analysis of variance for classes, correlation for a quantity.

    .. math:: F = \frac{\sum_c n_c (\bar x_c - \bar x)^2 / (k - 1)}{\sum_c \sum_{i \in c} (x_i - \bar x_c)^2 / (n - k)},
              \qquad F = \frac{r^2}{1 - r^2} (n - 2)
    """
    n = len(X)
    centered = X - X.mean(axis=0)
    if is_classes(y):
        code, k = _classes(y)
        member = (code[:, None] == np.arange(k)).astype(np.float64)  # (n, k)
        count = member.sum(axis=0)
        means = member.T @ centered / count[:, None]  # (k, d)
        between = count @ means**2
        within = ((centered - means[code]) ** 2).sum(axis=0)
        above, below = between / (k - 1), within / (n - k) if n > k else np.zeros(X.shape[1])
        degrees = (k - 1, n - k)
    else:
        target = y - y.mean()
        above = (target @ centered) ** 2
        below = ((centered**2).sum(axis=0) * (target @ target) - above) / max(n - 2, 1)
        degrees = (1, n - 2)
    if degrees[1] < 1:
        raise DataError(f"The F test needs more rows than classes (more than 2 for a quantity); got {n} rows.")
    flat = np.ptp(X, axis=0) == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(flat, np.nan, above / np.maximum(below, 0.0))
    return FeatureScores(score, fdtrc(*degrees, score))


def chi2_scores(X: np.ndarray, y: np.ndarray) -> FeatureScores:
    r"""Chi-square of the totals of non-negative columns by class.

    .. math:: \chi^2_j = \sum_c \frac{(O_{cj} - E_{cj})^2}{E_{cj}}, \quad O_{cj} = \sum_{i \in c} x_{ij}, \quad
              E_{cj} = \frac{n_c}{n} \sum_i x_{ij}
    """
    if (X < 0).any():
        raise DataError(f"chi2 takes counts or frequencies >= 0; X holds {X.min():g}. Choose another criterion.")
    code, k = _classes(y)
    member = (code[:, None] == np.arange(k)).astype(np.float64)
    observed = member.T @ X
    expected = np.outer(member.mean(axis=0), X.sum(axis=0))
    with np.errstate(invalid="ignore"):
        score = ((observed - expected) ** 2 / expected).sum(axis=0)
    return FeatureScores(score, chdtrc(k - 1, score))


def _discrete_information(x: np.ndarray, y: np.ndarray) -> float:
    """Mutual information of two discrete columns in nats."""
    a, b = np.unique(x, return_inverse=True)[1], np.unique(y, return_inverse=True)[1]
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1.0 / len(a))
    there = joint > 0
    apart = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    return float(np.sum(joint[there] * np.log(joint[there] / apart[there])))


def _within(values: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return how many of ``values`` (n,) lie within ``radius`` (n,) of each, itself included."""
    # By differences: the sum of value and radius may round onto a neighbor that is farther.
    points = values[:, None]
    return np.asarray(cKDTree(points).query_ball_point(points, radius, p=np.inf, return_length=True))


def _mixed_information(x: np.ndarray, classes: np.ndarray, neighbors: int) -> float:
    """Mutual information of a quantity and classes (Ross 2014)."""
    code = np.unique(classes, return_inverse=True)[1]
    size = np.bincount(code)
    kept = size[code] > 1  # a class of one row has no neighbor in it
    if not kept.any():
        return 0.0
    radius, used = np.zeros(len(x)), np.zeros(len(x))
    for c in np.flatnonzero(size > 1):
        mine = code == c
        k = min(neighbors, size[c] - 1)
        distance = cKDTree(x[mine, None]).query(x[mine, None], k=[k + 1], p=np.inf)[0][:, 0]
        radius[mine], used[mine] = np.nextafter(distance, 0), k
    x, radius, used, count = x[kept], radius[kept], used[kept], size[code[kept]]
    m = _within(x, radius)
    return float(digamma(len(x)) + np.mean(digamma(used) - digamma(count) - digamma(m)))


def _continuous_information(x: np.ndarray, y: np.ndarray, neighbors: int) -> float:
    """Mutual information of two quantities (Kraskov et al. 2004, estimator 1)."""
    both = np.stack([x, y], axis=1)
    distance = cKDTree(both).query(both, k=[min(neighbors, len(x) - 1) + 1], p=np.inf)[0][:, 0]
    radius = np.nextafter(distance, 0)
    nx, ny = _within(x, radius), _within(y, radius)
    return float(digamma(len(x)) + digamma(min(neighbors, len(x) - 1)) - np.mean(digamma(nx) + digamma(ny)))


def mutual_information_scores(
    X: np.ndarray, y: np.ndarray, *, discrete_features: Any = False, n_neighbors: int = 3
) -> FeatureScores:
    r"""Mutual information of each column and the target in nats, :math:`I = \sum p(x, y) \ln \frac{p(x, y)}{p(x) p(y)}`.

    Counted for discrete pairs; by the distance to the k-th neighbor for quantities, which are scaled to unit variance.
    """
    flags = np.broadcast_to(np.asarray(discrete_features, dtype=bool), X.shape[1])
    scaled = X / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    classes = is_classes(y)
    target = y if classes else y / (y.std() if y.std() > 0 else 1.0)
    found = []
    for j, discrete in enumerate(flags):
        if discrete:
            value = _discrete_information(X[:, j], y) if classes else _mixed_information(target, X[:, j], n_neighbors)
        elif classes:
            value = _mixed_information(scaled[:, j], y, n_neighbors)
        else:
            value = _continuous_information(scaled[:, j], target, n_neighbors)
        found.append(max(0.0, value))
    return FeatureScores(np.array(found), np.full(X.shape[1], np.nan))


def feature_scores(
    X: Any, y: Any = None, *, criterion: str = "f", discrete_features: Any = False, n_neighbors: int = 3
) -> FeatureScores:
    """Score every column by itself.

    Parameters
    ----------
    X : array (n, d)
        Finite numbers; for chi2 counts >= 0.
    y : array (n,), optional
        Classes (text, booleans, whole numbers) or a quantity (floats); not needed for variance.
    criterion : "f" (default), "mutual-information", "chi2" or "variance"
    discrete_features : bool or array (d,) of bool, default False
        Columns whose values are categories; for mutual information.
    n_neighbors : int >= 1, default 3
        Neighbors of the estimate of mutual information of quantities.

    Returns
    -------
    FeatureScores
        A constant column scores 0 by variance and NaN by F; NaN ranks last.

    Raises
    ------
    DataError, InputError
        When values or lengths are not accepted.

    Notes
    -----
    A column is scored alone, so two that only tell together (exclusive or) score nothing, and copies score alike.

    References
    ----------
    Ross 2014; Kraskov, Stögbauer & Grassberger 2004; spec ``01#feature-filter``, ``06#feature-selection-drop``.
    """
    check_one_of("criterion", criterion, CRITERIA)
    check_count("n_neighbors", n_neighbors)
    values = np.asarray(X, dtype=np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise DataError(f"Features must be finite numbers of shape (n, d); got shape {values.shape} or NaN in it.")
    if criterion == "variance":
        return variance_scores(values)
    if y is None:
        raise DataError(f"The criterion {criterion!r} relates columns to a target; pass y, or choose 'variance'.")
    target = as_array(y, "y")
    target = target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target
    if target.shape != (len(values),):
        raise DataError(f"y must have shape ({len(values)},), one entry a row; got {target.shape}.")
    if not is_classes(target) and not np.isfinite(target).all():
        raise DataError("y holds NaN or infinite values; drop these rows.")
    if criterion == "f":
        return f_scores(values, target)
    if criterion == "chi2":
        if not is_classes(target):
            raise DataError("chi2 needs classes as target; y holds floats. Choose 'f' or 'mutual-information'.")
        return chi2_scores(values, target)
    return mutual_information_scores(values, target, discrete_features=discrete_features, n_neighbors=n_neighbors)
