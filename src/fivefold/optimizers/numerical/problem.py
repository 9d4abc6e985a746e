"""A function to minimize: evaluated, counted, checked, and differentiated numerically where no gradient is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fivefold.base.errors import InputError, InputTypeError

EPS = float(np.finfo(np.float64).eps)

Gradient = Callable[..., Any]


def as_start(x0: Any) -> np.ndarray:
    """Return the start as a float64 vector (n,).

    Raises
    ------
    InputError
        When it is empty, not a vector, or not finite.
    InputTypeError
        When it holds no real numbers.
    """
    start = np.atleast_1d(np.asarray(x0))
    if start.dtype.kind not in "biuf":
        raise InputTypeError(f"x0 must hold real numbers, got the type {start.dtype}.")
    if start.ndim != 1 or start.size == 0:
        raise InputError(f"x0 must be a vector of shape (n,) with n >= 1, got the shape {start.shape}; use x0.ravel().")
    if not np.isfinite(start).all():
        where = int(np.flatnonzero(~np.isfinite(start))[0])
        raise InputError(f"x0 must be finite, but x0[{where}] is {start[where]}.")
    return start.astype(np.float64)


class Problem:
    r"""``fun`` and its gradient, with counts.

    Parameters
    ----------
    fun : callable (x, *args) -> float, or (float, gradient) with ``jac=True``
    jac : callable (x, *args) -> (n,), True, "2-point", "3-point" or None
        None means "2-point", refined to "3-point" once :meth:`refine` is called.
    args : tuple

    Notes
    -----
    Forward differences use :math:`h = \sqrt{\epsilon} \max(1, |x_i|)`: truncation at most :math:`\tfrac h2 \max|f''|`,
    rounding about :math:`2 \epsilon |f| / h`. Central differences use :math:`h = \epsilon^{1/3} \max(1, |x_i|)`: truncation
    at most :math:`\tfrac{h^2}{6} \max|f'''|`, rounding about :math:`\epsilon |f| / h`.
    """

    def __init__(self, fun: Callable[..., Any], jac: Any = None, args: tuple[Any, ...] = ()) -> None:
        if not callable(fun):
            raise InputTypeError(f"fun must be a function of x, got {fun!r}.")
        if not (jac is None or jac is True or callable(jac) or jac in ("2-point", "3-point")):
            raise InputError(f"jac must be a function, True, '2-point', '3-point' or None; got {jac!r}.")
        self._fun = fun
        self._jac = jac
        self._args = args if isinstance(args, tuple) else (args,)
        self._scheme = "2-point" if jac is None else jac
        self._came_along: Any = None  # with jac=True, the gradient that came with the last value
        self.nfev = 0
        self.njev = 0

    def value(self, x: np.ndarray) -> float:
        """Return f(x); infinite or NaN where the function is not defined."""
        self.nfev += 1
        # A copy, so that a function that writes into its argument spoils nothing.
        found = self._fun(x.copy(), *self._args)
        if self._jac is True:
            if not (isinstance(found, tuple) and len(found) == 2):
                raise InputTypeError(
                    f"With jac=True, fun must return the pair (value, gradient); it returned {found!r}."
                )
            found, self._came_along = found
        array = np.asarray(found)
        if array.size != 1 or array.dtype.kind not in "biuf":
            raise InputTypeError(
                f"fun must return one real number; it returned {type(found).__name__} of shape {array.shape} and type "
                f"{array.dtype}."
            )
        return float(array.reshape(-1)[0])

    def gradient(self, x: np.ndarray, f: float) -> np.ndarray:
        """Return the gradient (n,) at x, the point evaluated last, where the function has the value ``f``."""
        self.njev += 1
        if self._scheme in ("2-point", "3-point"):
            return self._difference(x, f)
        found = self._came_along if self._jac is True else self._jac(x.copy(), *self._args)
        gradient = np.asarray(found)
        if gradient.dtype.kind not in "biuf" or gradient.size != x.size or gradient.ndim > 2:
            raise InputError(
                f"The gradient must have the shape of x, {x.shape}; jac returned shape {gradient.shape} and type "
                f"{gradient.dtype}."
            )
        return gradient.astype(np.float64).reshape(x.shape)

    def refine(self) -> bool:
        """Switch from forward to central differences if that is possible; say whether it was."""
        if self._jac is None and self._scheme == "2-point":
            self._scheme = "3-point"
            return True
        return False

    def _difference(self, x: np.ndarray, f: float) -> np.ndarray:
        size = np.maximum(1.0, np.abs(x))
        central = self._scheme == "3-point"
        h = (EPS ** (1 / 3) if central else np.sqrt(EPS)) * size
        gradient = np.empty_like(x)
        for i in range(x.size):
            ahead = x.copy()
            ahead[i] += h[i]
            if central:
                behind = x.copy()
                behind[i] -= h[i]
                # The step that was really taken, which rounding makes differ from h.
                gradient[i] = (self.value(ahead) - self.value(behind)) / (ahead[i] - behind[i])
            else:
                gradient[i] = (self.value(ahead) - f) / (ahead[i] - x[i])
        return gradient
