"""Entropy, conditional entropy and mutual information of discrete distributions, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import entr, xlogy

from fivefold.base.errors import DataError, InputError


def _distribution(p: Any, name: str = "p") -> np.ndarray:
    p = np.asarray(p, dtype=np.float64)
    if p.size == 0 or not np.isfinite(p).all() or (p < 0).any():
        raise DataError(f"{name} must hold finite probabilities >= 0, at least one.")
    return p


def _unit(base: float) -> float:
    if not (base > 0 and base != 1 and np.isfinite(base)):
        raise InputError(f"base must be a number > 0 other than 1, got {base!r}; 2 gives bits, e gives nats.")
    return float(np.log(base))


def _sums_to_one(total: np.ndarray, what: str) -> None:
    if not np.allclose(total, 1.0, rtol=0, atol=1e-8):  # any value: the rounding of a sum
        worst = float(np.ravel(total)[np.abs(np.ravel(total) - 1).argmax()])
        raise DataError(f"{what} must sum to 1, got a sum of {worst:.6g}; divide by it.")


def self_information(p: Any, base: float = np.e) -> np.ndarray:
    r"""Return the information :math:`-\log p` of events: rare ones tell much.

    Parameters
    ----------
    p : array of probabilities in [0, 1], any shape
    base : float > 0, not 1, default e
        2 gives bits.

    Returns
    -------
    ndarray of the shape of p; infinite where p is 0
    """
    p = _distribution(p)
    if (p > 1).any():
        raise DataError("p must hold probabilities <= 1.")
    with np.errstate(divide="ignore"):
        return np.abs(np.log(p)) / _unit(base)


def shannon_entropy(p: Any, base: float = np.e, axis: int = -1) -> Any:
    r"""Return the entropy of distributions, the mean of their self-information.

    .. math:: H(p) = -\sum_k p_k \log p_k, \quad 0 \log 0 = 0

    Parameters
    ----------
    p : array of shape (..., k)
        Probabilities that sum to 1 along ``axis``.
    base : float > 0, not 1, default e
        2 gives bits.
    axis : int, default -1

    Returns
    -------
    float, or ndarray of shape (...): between 0 (one certain class) and log k (all alike)

    Raises
    ------
    DataError
        When p is no distribution.
    InputError
        When base is no base of a logarithm.

    References
    ----------
    Shannon 1948; spec ``01#information-entropy``, ``06#kl-divergence``, ``08#information-entropy``.
    """
    p = _distribution(p)
    unit = _unit(base)
    _sums_to_one(p.sum(axis=axis), "p")
    found = entr(p).sum(axis=axis) / unit
    return float(found) if np.ndim(found) == 0 else found


def _joint(table: Any) -> np.ndarray:
    table = _distribution(table, "joint")
    if table.ndim != 2:
        raise DataError(f"joint must be a table (x values, y values), got shape {table.shape}.")
    _sums_to_one(table.sum(), "joint")
    return table


def conditional_entropy(joint: Any, base: float = np.e) -> float:
    r"""Return :math:`H(X | Y) = -\sum p(x, y) \log \frac{p(x, y)}{p(y)}` of a joint table (x values, y values)."""
    table = _joint(joint)
    both = xlogy(table.sum(0), table.sum(0)).sum() - xlogy(table, table).sum()
    return float(both / _unit(base))


def mutual_information(joint: Any, base: float = np.e) -> float:
    r"""Return what one variable tells of the other.

    .. math:: I(X; Y) = \sum_{x, y} p(x, y) \log \frac{p(x, y)}{p(x) p(y)} = H(X) - H(X | Y)

    Parameters
    ----------
    joint : array of shape (a, b)
        Joint probabilities; counts divided by their sum.
    base : float > 0, not 1, default e
        2 gives bits.

    Returns
    -------
    float >= 0; 0 exactly when the variables are independent

    Raises
    ------
    DataError
        When joint is no table of probabilities that sum to 1.
    InputError
        When base is no base of a logarithm.

    Notes
    -----
    Independence is p(x, y) = p(x) · p(y); a source prints a sum there.

    References
    ----------
    Spec ``08#information-entropy``.
    """
    table = _joint(joint)
    unit = _unit(base)
    rows, columns = table.sum(1, keepdims=True), table.sum(0, keepdims=True)
    # H(x) + H(y) - H(x, y), in which an empty cell counts nothing by itself.
    entropies = xlogy(rows, rows).sum() + xlogy(columns, columns).sum() - xlogy(table, table).sum()
    return max(0.0, float(-entropies / unit))


def mutual_information_of_labels(x: Any, y: Any, base: float = np.e) -> float:
    """Return the mutual information of two columns of labels (n,), from their table of counts."""
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise DataError(f"x and y must be two columns of one length >= 1, got shapes {x.shape} and {y.shape}.")
    values, columns = np.unique(x, return_inverse=True), np.unique(y, return_inverse=True)
    counts = np.zeros((len(values[0]), len(columns[0])))
    np.add.at(counts, (values[1], columns[1]), 1.0)
    return mutual_information(counts / len(x), base)
