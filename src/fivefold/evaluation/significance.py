"""Tests: of columns against a target, of two models on one test set or over folds, and intervals by the bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import bdtr, chdtrc, erfc, fdtrc, ndtr, ndtri, stdtr

from fivefold.base.checks import check_count, check_one_of
from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams

from ._inputs import as_array, as_rows, as_scores, binary_target

TESTS = ("t", "welch", "f", "chi2")


class Test(NamedTuple):
    """A statistic and its p-value: the probability of one at least as extreme when there is no difference."""

    statistic: float
    p_value: float


def _groups(x: Any, y: Any, what: str) -> tuple[np.ndarray, np.ndarray, int]:
    values, target = np.asarray(x, dtype=np.float64), as_array(y, "y")
    if values.ndim != 1 or target.shape != values.shape or not np.isfinite(values).all():
        raise DataError(f"{what} needs a finite column and as many labels; got shapes {values.shape}, {target.shape}.")
    code = np.unique(target, return_inverse=True)[1]
    size = np.bincount(code)
    if len(size) < 2 or size.min() < 2:
        raise DataError(f"{what} needs two or more groups of two or more rows; got groups of {size.tolist()} rows.")
    return values, code, len(size)


def t_test(x: Any, y: Any, *, equal_variance: bool = True) -> Test:
    r"""t test of a column x (n,) between the two groups of y (n,), the one that sorts last less the other.

    .. math:: t = \frac{\bar x_1 - \bar x_0}{s \sqrt{1/n_1 + 1/n_0}} \;(\text{df } n - 2), \qquad
              t = \frac{\bar x_1 - \bar x_0}{\sqrt{s_1^2 / n_1 + s_0^2 / n_0}} \;(\text{Welch})
    """
    values, code, k = _groups(x, y, "The t test")
    if k != 2:
        raise DataError(f"The t test compares two groups; y holds {k}. Use the F test.")
    parts = [values[code == c] for c in (0, 1)]
    n0, n1 = map(len, parts)
    v0, v1 = (part.var(ddof=1) for part in parts)
    if v0 == 0 and v1 == 0:
        raise DataError("The t test is undefined: the column is constant within both groups.")
    if equal_variance:
        degrees = n0 + n1 - 2.0
        error = np.sqrt(((n0 - 1) * v0 + (n1 - 1) * v1) / degrees * (1 / n0 + 1 / n1))
    else:
        a, b = v0 / n0, v1 / n1
        error = np.sqrt(a + b)
        degrees = (a + b) ** 2 / (a**2 / (n0 - 1) + b**2 / (n1 - 1))
    t = float((parts[1].mean() - parts[0].mean()) / error)
    return Test(t, float(2 * stdtr(degrees, -abs(t))))


def f_test(x: Any, y: Any) -> Test:
    """One-way analysis of variance of a column x (n,) between the groups of y (n,); for two groups F is the square of t."""
    values, code, k = _groups(x, y, "The F test")
    size = np.bincount(code)
    means = np.bincount(code, weights=values) / size
    within = float(((values - means[code]) ** 2).sum())
    if within == 0:
        raise DataError("The F test is undefined: the column is constant within every group.")
    f = (size @ (means - values.mean()) ** 2 / (k - 1)) / (within / (len(values) - k))
    return Test(float(f), float(fdtrc(k - 1, len(values) - k, f)))


def chi2_test(x: Any, y: Any) -> Test:
    """Chi-square test that two categorical columns are independent; without continuity correction."""
    a, b = as_array(x, "x"), as_array(y, "y")
    if a.ndim != 1 or a.shape != b.shape:
        raise DataError(f"The chi-square test needs two columns of equal length; got {a.shape} and {b.shape}.")
    i, j = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
    table = np.zeros((i.max() + 1, j.max() + 1))
    np.add.at(table, (i, j), 1.0)
    if min(table.shape) < 2:
        raise DataError("The chi-square test needs at least two categories in either column.")
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / len(a)
    chi2 = float(((table - expected) ** 2 / expected).sum())
    return Test(chi2, float(chdtrc((table.shape[0] - 1) * (table.shape[1] - 1), chi2)))


def adjust(p_values: Any, *, method: str = "holm") -> np.ndarray:
    r"""Return p-values (m,) corrected for m tests: "holm" (any error) or "benjamini-hochberg" (share of false finds).

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1) p_{(j)}), \qquad
              \tilde p_{(i)} = \min_{j \ge i} \min(1, \tfrac{m}{j} p_{(j)})
    """
    p = np.asarray(p_values, dtype=np.float64)
    check_one_of("method", method, ("holm", "benjamini-hochberg"))
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise DataError("p-values must be numbers in [0, 1] of shape (m,).")
    m, order = len(p), np.argsort(p, kind="stable")
    ranked = p[order]
    if method == "holm":
        fixed = np.maximum.accumulate(ranked * np.arange(m, 0, -1))
    else:
        fixed = np.minimum.accumulate((ranked * m / np.arange(1, m + 1))[::-1])[::-1]
    out = np.empty(m)
    out[order] = np.minimum(fixed, 1.0)
    return out


def mcnemar(y_true: Any, first: Any, second: Any, *, exact: bool = True) -> Test:
    r"""McNemar's test that two classifiers err equally often on the same rows.

    With b rows that only the first gets right and c that only the second does, exactly
    :math:`2 P(\mathrm{Bin}(b + c, \tfrac12) \le \min(b, c))` with the statistic min(b, c), or by
    :math:`\chi^2 = (|b - c| - 1)^2 / (b + c)`.
    """
    true, one = (as_array(v, n) for v, n in ((y_true, "y_true"), (first, "first")))
    two = as_array(second, "second")
    if true.ndim != 1 or not true.shape == one.shape == two.shape:
        raise DataError(f"McNemar's test needs equal lengths; got {true.shape}, {one.shape} and {two.shape}.")
    b = int(np.sum((one == true) & (two != true)))
    c = int(np.sum((one != true) & (two == true)))
    if exact:
        return Test(float(min(b, c)), float(min(1.0, 2.0 * bdtr(min(b, c), b + c, 0.5))))
    among = b + c or 1  # any value: 0 by anything is 0
    statistic = max(abs(b - c) - 1.0, 0.0) ** 2 / among
    return Test(statistic, float(chdtrc(1, statistic)))


def _differences(values: Any, what: str, shape: str) -> np.ndarray:
    d = np.asarray(values, dtype=np.float64)
    if not np.isfinite(d).all():
        raise DataError(f"{what} needs finite differences of scores, {shape}; found NaN or infinite values.")
    return d


def five_by_two_cv(differences: Any, *, combined: bool = True) -> Test:
    r"""5×2 cross-validation test of differences of scores (5, 2): five repeats of two folds.

    .. math:: F = \frac{\sum_{ij} d_{ij}^2}{2 \sum_i s_i^2} \sim F_{10, 5}, \qquad
              t = \frac{d_{11}}{\sqrt{\tfrac15 \sum_i s_i^2}} \sim t_5

    with :math:`s_i^2` the sum of squared distances of the two from their mean; ``combined`` (default) is the F form of
    Alpaydin, which does not depend on which difference comes first.
    """
    d = _differences(differences, "The 5x2cv test", "(5, 2)")
    if d.shape != (5, 2):
        raise DataError(f"The 5x2cv test needs five repeats of two folds, shape (5, 2); got {d.shape}.")
    spread = float(((d - d.mean(axis=1, keepdims=True)) ** 2).sum())
    if spread == 0:
        raise DataError("The 5x2cv test is undefined: both folds differ equally in every repeat.")
    if combined:
        f = float((d**2).sum() / (2 * spread))
        return Test(f, float(fdtrc(10, 5, f)))
    t = float(d[0, 0] / np.sqrt(spread / 5))
    return Test(t, float(2 * stdtr(5, -abs(t))))


def corrected_resampled_t(differences: Any, *, test_fraction: float) -> Test:
    r"""Resampled t test of differences of scores (k,), corrected for shared training rows (Nadeau & Bengio 2003).

    .. math:: t = \frac{\bar d}{\sqrt{(\tfrac1k + \tfrac{n_2}{n_1}) s^2}}, \quad \text{df } k - 1

    ``test_fraction`` is n_2 / (n_1 + n_2), the share of rows tested: 1/k for k folds.
    """
    d = _differences(differences, "The resampled t test", "(k,)")
    if d.ndim != 1 or len(d) < 2:
        raise DataError(f"The resampled t test needs k >= 2 differences, shape (k,); got {d.shape}.")
    if not 0 < test_fraction < 1:
        raise InputError(f"test_fraction must be in (0, 1), got {test_fraction!r}.")
    if np.ptp(d) == 0:
        raise DataError("The resampled t test is undefined: all differences are equal.")
    t = float(d.mean() / np.sqrt((1 / len(d) + test_fraction / (1 - test_fraction)) * d.var(ddof=1)))
    return Test(t, float(2 * stdtr(len(d) - 1, -abs(t))))


class DeLong(NamedTuple):
    """Areas (2,), their covariance (2, 2), and the test of their difference."""

    areas: np.ndarray
    covariance: np.ndarray
    statistic: float
    p_value: float


def delong(y_true: Any, first: Any, second: Any, *, labels: Any = None) -> DeLong:
    r"""DeLong's test that two scores of the same rows have the same area under the ROC curve.

    .. math:: z = \frac{A_1 - A_2}{\sqrt{\mathrm{Var} A_1 + \mathrm{Var} A_2 - 2 \mathrm{Cov}}}, \qquad
              \mathrm{Cov} = \frac{S_{10}}{n_+} + \frac{S_{01}}{n_-}

    S are the covariances of the placements: how far each positive (negative) row stands above the negative (below the
    positive) ones, ties half. O(n log n) by ranks (Sun & Xu 2014).
    """
    from scipy.stats import rankdata

    what = "DeLong's test"
    scores = []
    for score in (first, second):
        true, pred, _ = as_rows(y_true, score, what=what)
        values = as_scores(pred, what)
        if values.ndim != 1:
            raise DataError(f"{what} takes one score a row; got shape {values.shape}.")
        scores.append(values)
    positive = binary_target(true, labels, what)
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if n1 < 2 or n0 < 2:
        raise DataError(f"{what} needs two rows of either class; there are {n1} positive and {n0} negative ones.")
    up, down = np.empty((2, n1)), np.empty((2, n0))
    for k, s in enumerate(scores):
        ranks = rankdata(s)
        up[k] = (ranks[positive] - rankdata(s[positive])) / n0
        down[k] = 1.0 - (ranks[~positive] - rankdata(s[~positive])) / n1
    areas = up.mean(axis=1)
    covariance = np.cov(up) / n1 + np.cov(down) / n0
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance <= 1e-18:  # any value: rounding of a difference of variances
        same = abs(areas[0] - areas[1]) < 1e-12  # any value: rounding of an area
        if not same:
            raise DataError(f"{what} is undefined: the difference of the areas has no variance on these rows.")
        return DeLong(areas, covariance, 0.0, 1.0)
    z = float((areas[0] - areas[1]) / np.sqrt(variance))
    return DeLong(areas, covariance, z, float(erfc(abs(z) / np.sqrt(2))))


class Interval(NamedTuple):
    """The value on all rows, the ends of the interval, and the standard deviation over resamples."""

    value: float
    low: float
    high: float
    standard_error: float


def bootstrap_interval(
    function: Callable[..., float],
    *arrays: Any,
    confidence: float = 0.95,
    resamples: int = 1000,
    method: str = "bca",
    random_state: Any = None,
) -> Interval:
    r"""Interval of a statistic of rows by drawing rows with replacement.

    Parameters
    ----------
    function : callable (*arrays) -> float
        For example a metric of (y_true, y_pred).
    *arrays : arrays with n >= 2 rows each
        Drawn together.
    confidence : float in (0, 1), default 0.95
    resamples : int >= 2, default 1000
    method : "bca" (default) or "percentile"
        "bca" corrects the quantiles for the bias z₀ and, by the jackknife, for the acceleration a of the statistic (Efron
        1987): :math:`\Phi(z_0 + \frac{z_0 + z_\alpha}{1 - a (z_0 + z_\alpha)})`. It takes n more calls.
    random_state : int, optional

    Returns
    -------
    Interval
    """
    check_one_of("method", method, ("bca", "percentile"))
    if not 0 < confidence < 1:
        raise InputError(f"confidence must be in (0, 1), got {confidence!r}.")
    check_count("resamples", resamples, 2)
    data = [np.asarray(a) for a in arrays]
    if not data or len({len(a) for a in data}) != 1 or len(data[0]) < 2:
        raise DataError(f"The bootstrap needs arrays of one length >= 2; got lengths {[len(a) for a in data]}.")
    n = len(data[0])
    value = float(function(*data))
    generator = Streams.of(random_state).numpy("bootstrap")
    drawn = np.array([function(*(a[rows] for a in data)) for rows in generator.integers(0, n, size=(resamples, n))])
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if method == "bca":
        below = (np.sum(drawn < value) + 0.5 * np.sum(drawn == value)) / resamples
        left = np.array([function(*(np.delete(a, i, axis=0) for a in data)) for i in range(n)])
        distance = left.mean() - left
        cube = float((distance**2).sum() ** 1.5)
        a = float((distance**3).sum()) / (6 * cube) if cube > 0 else 0.0
        z0 = ndtri(np.clip(below, 1e-12, 1 - 1e-12))  # any value: far below the share of one draw
        z = z0 + ndtri(tails)
        tails = ndtr(z0 + z / (1 - a * z))
    low, high = np.quantile(drawn, tails)
    return Interval(value, float(low), float(high), float(drawn.std(ddof=1)))


class SignificanceAnalysis(Stateful):
    """Test every column of a table against a target, with p-values corrected for the number of columns.

    Parameters
    ----------
    test : "f" (default), "t", "welch" or "chi2"
        Groups of y: two or more; two; two of unequal variance; categories of the column as well.
    adjustment : "holm" (default) or "benjamini-hochberg"

    Raises
    ------
    InputError
        When a name is unknown.
    DataError
        When a column is constant within the groups, or the target has one group.

    Notes
    -----
    A small p-value says that a difference is there, not that it is large; with enough rows every difference is significant.
    The same module compares models: :func:`mcnemar`, :func:`five_by_two_cv`, :func:`corrected_resampled_t`, :func:`delong`
    and :func:`bootstrap_interval`.

    References
    ----------
    Student 1908; Welch 1947; McNemar 1947; DeLong et al. 1988; Dietterich 1998; Alpaydin 1999; spec
    ``01#significance-analysis``.
    """

    def __init__(self, test: str = "f", adjustment: str = "holm") -> None:
        self.kind = check_one_of("test", test, TESTS)
        self.adjustment = check_one_of("adjustment", adjustment, ("holm", "benjamini-hochberg"))

    def test(self, x: Any, y: Any) -> Test:
        """Return statistic and p-value of one column x (n,) against y (n,)."""
        if self.kind in ("t", "welch"):
            return t_test(x, y, equal_variance=self.kind == "t")
        return f_test(x, y) if self.kind == "f" else chi2_test(x, y)

    def columns(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return statistics, p-values and corrected p-values (d,) of the columns of X (n, d)."""
        table = as_array(X, "X")
        if table.ndim != 2:
            raise DataError(f"The analysis needs X of shape (n, d); got {table.shape}.")
        found = np.array([self.test(table[:, j], y) for j in range(table.shape[1])]).reshape(-1, 2)
        return found[:, 0], found[:, 1], adjust(found[:, 1], method=self.adjustment)
