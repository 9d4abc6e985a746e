"""BFGS: quasi-Newton minimization (Broyden, Fletcher, Goldfarb, Shanno 1970)."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fivefold.base.codec import Stateful
from fivefold.base.errors import InputError

from .line_search import WolfeSearch
from .problem import Problem, as_start

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

CURVATURE = 1e-10
"""An update needs y·s > CURVATURE |y| |s|; less is rounding or a curvature that the matrix must not take over."""

MESSAGES = {
    0: "The gradient is within gtol.",
    1: "The maximal number of iterations is reached; raise maxiter or start closer.",
    2: "No step along the search direction lowers the function further: the accuracy of fun and its gradient is used up.",
    3: "The function is unbounded below: it reached minus infinity.",
    99: "The callback stopped the minimization.",
}


def bfgs_update(H: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""Return the BFGS update of an inverse Hessian, the symmetric matrix nearest to it with H⁺ y = s.

    .. math:: H^+ = H - \frac{s (Hy)^T + (Hy) s^T}{y^T s} + \left( 1 + \frac{y^T H y}{y^T s} \right) \frac{s s^T}{y^T s}

    Parameters
    ----------
    H : array (n, n), symmetric
    s : array (n,)
        Step between two points.
    y : array (n,)
        Difference of the gradients there; y·s > 0 keeps H positive definite.

    Returns
    -------
    array (n, n)

    Notes
    -----
    A form that exchanges the roles of s and Hy, found in lecture notes, satisfies neither the secant equation nor keeps the
    matrix positive.
    """
    Hy = H @ y
    curvature = y @ s
    u = 0.5 * (1.0 + (y @ Hy) / curvature) * s - Hy
    half = np.outer(u, s / curvature)
    # A matrix plus its transpose is symmetric to the last bit.
    return np.asarray(H + (half + half.T))


class BFGS(Stateful):
    r"""Minimize a smooth function with an inverse Hessian built from gradients.

    .. math:: x_{k+1} = x_k - \alpha_k H_k \nabla f(x_k), \qquad s = x_{k+1} - x_k, \quad y = \nabla f(x_{k+1}) - \nabla f(x_k)

    with :math:`H` updated by :func:`bfgs_update` and :math:`\alpha_k` from a line search for the strong Wolfe conditions.
    No Hessian is needed, yet the errors shrink superlinearly; each iteration costs O(n²).

    Parameters
    ----------
    gtol : float >= 0, default 1e-5
        Converged when no entry of the gradient is larger in magnitude.
    maxiter : int >= 0, optional
        Default 200 n.
    c1, c2 : float, 0 < c1 < c2 < 1, default 1e-4 and 0.9
        Decrease and flatness that the line search asks for.
    hess_inv0 : array (n, n), optional
        First inverse Hessian, symmetric and positive definite; default the identity.
    initial_scaling : bool, default True
        Before the first update, scale the identity to the curvature met, :math:`\tfrac{y^T s}{y^T y} I`. Without
        effect when ``hess_inv0`` is given.

    References
    ----------
    Nocedal & Wright 2006, ch. 6; spec ``08#dfp``, ``04#quasi-newton``.
    """

    def __init__(
        self,
        *,
        gtol: float = 1e-5,
        maxiter: int | None = None,
        c1: float = 1e-4,
        c2: float = 0.9,
        hess_inv0: Any = None,
        initial_scaling: bool = True,
    ) -> None:
        self.gtol = gtol
        self.maxiter = maxiter
        self.c1 = c1
        self.c2 = c2
        self.hess_inv0 = hess_inv0
        self.initial_scaling = initial_scaling

    def minimize(
        self,
        fun: Callable[..., Any],
        x0: Any,
        jac: Any = None,
        *,
        args: tuple[Any, ...] = (),
        callback: Callable[..., Any] | None = None,
    ) -> OptimizeResult:
        """Minimize ``fun`` from ``x0``.

        Parameters
        ----------
        fun : callable (x, *args) -> float
            Defined and differentiable around the path; infinite or NaN elsewhere is stepped back from.
        x0 : array (n,)
        jac : callable (x, *args) -> array (n,), True, "2-point", "3-point" or None, optional
            The gradient. True means that ``fun`` returns the pair (value, gradient). By default forward differences, and
            central ones once these no longer help.
        args : tuple
            More arguments of ``fun`` and ``jac``.
        callback : callable, optional
            Called after each iteration with an OptimizeResult (if its parameter is named ``intermediate_result``) or with
            x, as in SciPy; raising StopIteration ends the minimization.

        Returns
        -------
        scipy.optimize.OptimizeResult
            ``x`` (n,), ``fun``, ``jac`` (n,), ``hess_inv`` (n, n), ``nit``, ``nfev``, ``njev``, ``status`` (0 converged, 1
            maxiter, 2 no further decrease, 3 unbounded, 99 callback), ``success`` and ``message``.

        Raises
        ------
        InputError
            When a parameter is out of range, ``x0`` is not finite, the function is not finite there, or a gradient has
            the wrong shape.
        InputTypeError
            When ``fun`` returns no real number.
        """
        from scipy.optimize import OptimizeResult

        self._check_params()
        x = as_start(x0)
        problem = Problem(fun, jac, args)
        f = problem.value(x)
        if not np.isfinite(f):
            raise InputError(f"fun must be finite at the start, but fun(x0) is {f}; start inside its domain.")
        gradient = problem.gradient(x, f)
        if not np.isfinite(gradient).all():
            where = int(np.flatnonzero(~np.isfinite(gradient))[0])
            raise InputError(f"The gradient must be finite at the start, but its entry {where} is {gradient[where]}.")
        H, scaled = self._first_matrix(x.size)
        search = WolfeSearch(self.c1, self.c2)
        limit = 200 * x.size if self.maxiter is None else int(self.maxiter)
        nit, fresh = 0, not scaled
        status: int | None = None

        def result() -> OptimizeResult:
            return OptimizeResult(
                x=x,
                fun=f,
                jac=gradient,
                hess_inv=H,
                nit=nit,
                nfev=problem.nfev,
                njev=problem.njev,
                status=status,
                success=status == 0,
                message="" if status is None else MESSAGES[status],
            )

        while status is None:
            if np.abs(gradient).max() <= self.gtol:
                status = 0
                break
            if nit >= limit:
                status = 1
                break
            direction = -(H @ gradient)
            if not gradient @ direction < 0.0:  # rounding has spoilt the matrix
                H, fresh = np.eye(x.size), True
                direction = -gradient
            # The identity knows nothing of the function's scale: the first step is kept short.
            first = min(1.0, 1.0 / float(np.abs(gradient).sum())) if fresh else 1.0
            found = search(problem, x, f, gradient, direction, first)
            if found.trial is None:
                if problem.refine():
                    gradient = problem.gradient(x, f)
                elif not fresh:
                    H, fresh = np.eye(x.size), True
                else:
                    status = 2
                continue
            if found.trial.f == -np.inf or found.trial.gradient is None:
                x, f, status = found.trial.x, found.trial.f, 3
                break
            s, y = found.trial.x - x, found.trial.gradient - gradient
            x, f, gradient = found.trial.x, found.trial.f, found.trial.gradient
            nit += 1
            if y @ s > CURVATURE * np.linalg.norm(y) * np.linalg.norm(s):
                if fresh and self.initial_scaling:
                    H = np.eye(x.size) * ((y @ s) / (y @ y))
                H, fresh = bfgs_update(H, s, y), False
            if callback is not None and _stops(callback, result()):
                status = 99
        return result()

    def _first_matrix(self, n: int) -> tuple[np.ndarray, bool]:
        """Return the first inverse Hessian and whether it was given."""
        if self.hess_inv0 is None:
            return np.eye(n), False
        H = np.array(self.hess_inv0, dtype=np.float64)
        if H.shape != (n, n) or not np.isfinite(H).all() or not np.allclose(H, H.T):
            raise InputError(f"hess_inv0 must be a finite symmetric matrix of shape ({n}, {n}); got shape {H.shape}.")
        if np.linalg.eigvalsh(H).min() <= 0.0:
            raise InputError("hess_inv0 must be positive definite; its smallest eigenvalue is not above 0.")
        return 0.5 * (H + H.T), True

    def _check_params(self) -> None:
        if not (isinstance(self.gtol, numbers.Real) and self.gtol >= 0):
            raise InputError(f"gtol must be a number >= 0, got {self.gtol!r}.")
        if not 0 < self.c1 < self.c2 < 1:
            raise InputError(f"The line search needs 0 < c1 < c2 < 1; got c1={self.c1!r} and c2={self.c2!r}.")
        if self.maxiter is not None and not (isinstance(self.maxiter, numbers.Integral) and self.maxiter >= 0):
            raise InputError(f"maxiter must be a whole number >= 0, got {self.maxiter!r}.")


def _stops(callback: Callable[..., Any], intermediate: OptimizeResult) -> bool:
    """Call back in SciPy's way; whether it asked to stop."""
    try:
        if list(inspect.signature(callback).parameters) == ["intermediate_result"]:
            callback(intermediate_result=intermediate)
        else:
            callback(intermediate.x.copy())
    except StopIteration:
        return True
    return False


def minimize_bfgs(
    fun: Callable[..., Any],
    x0: Any,
    jac: Any = None,
    *,
    args: tuple[Any, ...] = (),
    callback: Callable[..., Any] | None = None,
    **options: Any,
) -> OptimizeResult:
    """Minimize ``fun`` from ``x0`` with :class:`BFGS`; ``options`` are its parameters, the rest as in its ``minimize``."""
    return BFGS(**options).minimize(fun, x0, jac, args=args, callback=callback)
