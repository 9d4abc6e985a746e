"""How strongly two columns go together: Pearson, Spearman, Kendall, point-biserial and Cramér's V, with p-values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import betainc, chdtrc, erfc
from scipy.stats import rankdata

from fivefold.base.checks import check_one_of
from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError

from ._inputs import as_array

METHODS = ("pearson", "spearman", "kendall", "point-biserial", "cramers-v")


class Correlation(NamedTuple):
    """A coefficient and the probability of one as far from 0 under independence."""

    coefficient: float
    p_value: float


def _pair(x: Any, y: Any, what: str, *, numeric: bool) -> tuple[np.ndarray, np.ndarray]:
    a, b = as_array(x, "x"), as_array(y, "y")
    if a.ndim != 1 or a.shape != b.shape or len(a) < 3:
        raise DataError(f"{what} needs two columns of equal length >= 3; got shapes {a.shape} and {b.shape}.")
    if numeric:
        for name, column in (("x", a), ("y", b)):
            if column.dtype.kind not in "biuf" or not np.isfinite(column.astype(np.float64)).all():
                raise DataError(f"{what} needs finite numbers; {name} holds text, NaN or infinite values.")
        a, b = a.astype(np.float64), b.astype(np.float64)
        for name, column in (("x", a), ("y", b)):
            if np.ptp(column) == 0:
                raise DataError(f"{what} is undefined for a constant column; every {name} is {column[0]:g}.")
    return a, b


def _by_t(r: float, n: int) -> Correlation:
    r = float(np.clip(r, -1.0, 1.0))
    # Twice the tail of t beyond |r| sqrt((n - 2) / (1 - r²)), as a beta integral that ends at |r| = 1.
    return Correlation(r, float(betainc((n - 2) / 2.0, 0.5, (1.0 - r) * (1.0 + r))))


def pearson(x: Any, y: Any) -> Correlation:
    r"""Linear correlation of two columns.

    .. math:: r = \frac{\sum_i (x_i - \bar x)(y_i - \bar y)}{\lVert x - \bar x \rVert \, \lVert y - \bar y \rVert}

    The p-value is that of :math:`t = r \sqrt{(n - 2) / (1 - r^2)}` with n - 2 degrees of freedom, exact for normal columns.
    """
    a, b = _pair(x, y, "pearson", numeric=True)
    a, b = a - a.mean(), b - b.mean()
    return _by_t(float((a / np.linalg.norm(a)) @ (b / np.linalg.norm(b))), len(a))


def spearman(x: Any, y: Any) -> Correlation:
    """Pearson correlation of the ranks, ties sharing their mean rank: 1 for every rising relation."""
    a, b = _pair(x, y, "spearman", numeric=True)
    return pearson(rankdata(a), rankdata(b))


def kendall(x: Any, y: Any) -> Correlation:
    r"""Kendall's tau-b: concordant less discordant pairs, :math:`\tau_b = (C - D) / \sqrt{(P - T_x)(P - T_y)}`.

    P is the number of pairs and T the pairs tied in a column; the p-value is that of the normal approximation with ties.
    """
    a, b = _pair(x, y, "kendall", numeric=True)
    n = len(a)
    balance = 0.0
    for rows in np.array_split(np.arange(n), n // 1024 + 1):  # any value: blocks of pairs, so that memory stays O(n)
        balance += float(np.sum(np.sign(a[rows, None] - a) * np.sign(b[rows, None] - b)))
    balance /= 2.0  # every pair was met twice
    pairs = n * (n - 1) / 2
    ties = []
    for column in (a, b):
        count = np.unique(column, return_counts=True)[1].astype(np.float64)
        ties.append(
            [(count * (count - 1)).sum() / 2, (count * (count - 1) * (count - 2)).sum(),
             (count * (count - 1) * (2 * count + 5)).sum()]
        )  # fmt: skip
    (tx, x0, x1), (ty, y0, y1) = ties
    tau = balance / np.sqrt((pairs - tx) * (pairs - ty))
    m = n * (n - 1.0)
    variance = (m * (2 * n + 5) - x1 - y1) / 18 + 2 * tx * ty / m + x0 * y0 / (9 * m * (n - 2))
    p = erfc(abs(balance) / np.sqrt(2 * variance))
    return Correlation(float(tau), float(p))


def point_biserial(x: Any, y: Any) -> Correlation:
    r"""Pearson correlation of a binary and a numeric column, :math:`r = \frac{\bar y_1 - \bar y_0}{s_y} \sqrt{p (1 - p)}`.

    ``x`` holds two values, text or numbers; the one that sorts last counts 1. s_y divides by n.
    """
    names = np.unique(as_array(x, "x"))
    if len(names) != 2:
        raise DataError(f"point-biserial needs x of two values; it holds {len(names)}.")
    return pearson((np.asarray(x) == names[1]).astype(np.float64), y)


def cramers_v(x: Any, y: Any, *, corrected: bool = False) -> Correlation:
    r"""Cramér's V of two categorical columns, :math:`V = \sqrt{\frac{\chi^2 / n}{\min(r, c) - 1}}`, in [0, 1].

    ``corrected=True`` takes out the positive bias of small samples (Bergsma 2013). The p-value is the chi-square test's.
    """
    a, b = _pair(x, y, "cramers-v", numeric=False)
    i, j = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
    table = np.zeros((i.max() + 1, j.max() + 1))
    np.add.at(table, (i, j), 1.0)
    if min(table.shape) < 2:
        raise DataError("cramers-v needs at least two categories in either column.")
    n, (r, c) = len(a), table.shape
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    chi2 = float(((table - expected) ** 2 / expected).sum())
    phi, rows, columns = chi2 / n, float(r), float(c)
    if corrected:
        phi = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
        rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    value = np.sqrt(phi / (min(rows, columns) - 1))
    return Correlation(float(min(1.0, value)), float(chdtrc((r - 1) * (c - 1), chi2)))


_FUNCTIONS = {
    "pearson": pearson,
    "spearman": spearman,
    "kendall": kendall,
    "point-biserial": point_biserial,
    "cramers-v": cramers_v,
}


class CorrelationAnalysis(Stateful):
    """Correlation of every pair of columns, or of every column with a target.

    Parameters
    ----------
    method : "pearson" (default), "spearman", "kendall", "point-biserial" or "cramers-v"
        Linear; rising; rising, by pairs; a binary with a numeric column; two categorical columns.

    Raises
    ------
    InputError
        When the method is unknown.
    DataError
        When a column is constant, too short or of the wrong type.

    Notes
    -----
    A correlation of 0 excludes a linear (rising) relation, not dependence: y = x² on symmetric x has r = 0.

    References
    ----------
    Pearson 1895; Spearman 1904; Kendall 1938; Cramér 1946; spec ``01#correlation-analysis``.
    """

    def __init__(self, method: str = "pearson") -> None:
        self.method = check_one_of("method", method, METHODS)

    def test(self, x: Any, y: Any) -> Correlation:
        """Return coefficient and p-value of two columns (n,)."""
        return _FUNCTIONS[self.method](x, y)

    def matrix(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the coefficients and the p-values (d, d) of all pairs of columns of X (n, d)."""
        table = as_array(X, "X")
        if table.ndim != 2:
            raise DataError(f"A correlation matrix needs X of shape (n, d); got {table.shape}.")
        d = table.shape[1]
        coefficient, p = np.eye(d), np.zeros((d, d))
        for i in range(d):
            for j in range(i):
                coefficient[i, j], p[i, j] = self.test(table[:, i], table[:, j])
                coefficient[j, i], p[j, i] = coefficient[i, j], p[i, j]
        return coefficient, p
