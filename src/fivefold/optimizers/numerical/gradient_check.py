"""Gradients and Hessians by central differences, and the check of a gradient against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fivefold.base.errors import InputError

Function = Callable[[np.ndarray], float]


def _start(x: np.ndarray, eps: float) -> np.ndarray:
    point = np.asarray(x, dtype=np.float64)
    if point.ndim != 1 or not point.size or not np.isfinite(point).all():
        raise InputError(f"x must be a vector of finite numbers, got an array of shape {point.shape}.")
    if not 0 < eps < np.inf:
        raise InputError(f"eps must be a finite number above 0, got {eps!r}.")
    return point


def numeric_gradient(fun: Function, x: np.ndarray, eps: float = 6e-6) -> np.ndarray:
    r"""Return the gradient (d,) by central differences, :math:`(f(x + h e_i) - f(x - h e_i)) / 2h`.

    The error is :math:`O(h^2)` plus rounding of :math:`O(u / h)`; ``eps`` is h relative to ``max(1, |x_i|)``, by default near
    the cube root of the unit roundoff, which balances both.

    Raises
    ------
    InputError
        When ``x`` is no finite vector or ``eps`` is not above 0.
    """
    point = _start(x, eps)
    gradient = np.empty_like(point)
    for i in range(point.size):
        step = eps * max(1.0, abs(point[i]))
        up, down = point.copy(), point.copy()
        up[i] += step
        down[i] -= step
        gradient[i] = (float(fun(up)) - float(fun(down))) / (up[i] - down[i])
    return gradient


def numeric_hessian(fun: Function, x: np.ndarray, eps: float = 1e-4) -> np.ndarray:
    r"""Return the symmetric Hessian (d, d) by central differences of the values.

    .. math:: H_{ij} = \frac{f(x + h_i + h_j) - f(x + h_i - h_j) - f(x - h_i + h_j) + f(x - h_i - h_j)}{4 h_i h_j}

    A stationary point is a minimum when its eigenvalues are positive.

    Raises
    ------
    InputError
        When ``x`` is no finite vector or ``eps`` is not above 0.
    """
    point = _start(x, eps)
    moves = np.diag(eps * np.maximum(1.0, np.abs(point)))  # (d, d)
    hessian = np.empty((point.size, point.size))
    for i in range(point.size):
        for j in range(i + 1):
            a, b = moves[i], moves[j]
            mixed = fun(point + a + b) - fun(point + a - b) - fun(point - a + b) + fun(point - a - b)
            hessian[i, j] = hessian[j, i] = float(mixed) / (4 * a[i] * b[j])
    return hessian


@dataclass(frozen=True)
class GradientCheck:
    """What :func:`check_gradient` found."""

    passed: bool
    error: float  # the largest relative difference
    worst: int  # its coordinate
    numeric: np.ndarray  # (d,)
    given: np.ndarray  # (d,)


def check_gradient(
    fun: Function,
    grad: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    eps: float = 6e-6,
    tolerance: float = 1e-6,
) -> GradientCheck:
    r"""Compare a gradient with central differences: slow and inexact, but it catches a wrong backward pass.

    .. math:: \max_i \frac{|g_i - \hat g_i|}{\max(1, |g_i|, |\hat g_i|)}

    Parameters
    ----------
    fun : function of a vector (d,) to a number
    grad : function of a vector (d,) to its gradient (d,)
    x : (d,) array
        Where to compare.
    eps : float > 0, default 6e-6
        Step of the differences, relative to ``max(1, |x_i|)``.
    tolerance : float, default 1e-6
        Largest difference that passes.

    Returns
    -------
    GradientCheck
        ``passed``, ``error``, the coordinate ``worst``, and both gradients.

    Raises
    ------
    InputError
        When ``x`` is no finite vector, ``eps`` is not above 0, or the gradient has another shape than ``x``.

    References
    ----------
    08#gradient-hessian-numeric.
    """
    numeric = numeric_gradient(fun, x, eps)
    given = np.asarray(grad(np.asarray(x, dtype=np.float64)), dtype=np.float64)
    if given.shape != numeric.shape:
        raise InputError(f"The gradient must have the shape of x, {numeric.shape}; it has {given.shape}.")
    gaps = np.abs(given - numeric) / np.maximum(1.0, np.maximum(np.abs(given), np.abs(numeric)))
    worst = int(np.argmax(gaps))
    return GradientCheck(bool(gaps[worst] <= tolerance), float(gaps[worst]), worst, numeric, given)
