"""Minimizers of smooth convex objectives: Newton with a kept factor, Newton with conjugate gradients, and L-BFGS.

All stop by the same rule. The largest entry of the gradient must be at most ``tol`` (scikit-learn's rule) *and*, where the
solver knows the curvature, half the squared Newton decrement, which estimates the distance to the minimum in the value of
the objective, must be at most ``tol**2``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import numpy as np
import scipy.linalg
from scipy.optimize import minimize

from ._blocks import dot

_ARMIJO = 1e-4
# A step shorter than 2^-12 of Newton's says that the curvature misleads.
_HALVINGS = 12
# A diagonal entry of the Hessian up to this is none: dividing by it, and squaring that, would overflow.
_FLAT = 1e-150
# Evaluations that L-BFGS may spend on one step.
_SEARCHES = 50
# A pivot or an eigenvalue of a matrix with unit diagonal below this many times its size is rounding.
_ROUNDING = 1e-14
# A step of Newton with a kept factor must shrink the decrement tenfold, else the Hessian is built again.
_SHRINK = 0.1


class Objective(Protocol):
    """A twice differentiable convex function of a flat vector."""

    def value_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return value and gradient."""

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Return the Hessian at the point of the last :meth:`value_gradient`."""

    def hessian_vector(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return the product with the Hessian at the point of the last :meth:`value_gradient`."""

    def hessian_diagonal(self, theta: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian at the point of the last :meth:`value_gradient`."""


@dataclass
class Solution:
    """Where a solver ended.

    ``reason`` is empty when the stopping rule was met; ``factor`` is the last one of the Hessian.
    """

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    n_iter: int
    reason: str = ""
    factor: Factor | None = None


class Factor:
    """A symmetric positive semi-definite matrix, ready to solve with.

    The matrix is scaled to a unit diagonal, which makes badly scaled features harmless, then factored by Cholesky. A
    singular matrix is taken apart into eigenvectors, of which those without curvature are left out: the answer is then the
    one of least norm in the scaled coordinates.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        diagonal = np.diagonal(matrix).copy()
        self.scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))  # any value: at a zero diagonal
        scaled = matrix * self.scale * self.scale[:, None]
        floor = len(scaled) * _ROUNDING
        self.cholesky: np.ndarray | None = None
        factor, info = scipy.linalg.lapack.dpotrf(scaled, lower=1)
        # A pivot near the rounding error of the sum means that the direction carries no information.
        smallest = np.diagonal(factor).min() ** 2
        if info == 0 and smallest > floor:
            self.cholesky = factor
        else:
            values, vectors = scipy.linalg.eigh(scaled)
            keep = values > floor
            self.vectors = vectors[:, keep]
            self.values = values[keep]

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Return the solution of ``matrix @ x = right`` for right (p,) or (p, t)."""
        scale = self.scale if right.ndim == 1 else self.scale[:, None]
        right = right * scale
        if self.cholesky is not None:
            answer, _ = scipy.linalg.lapack.dpotrs(self.cholesky, right, lower=1)
        else:
            values = self.values if right.ndim == 1 else self.values[:, None]
            answer = self.vectors @ ((self.vectors.T @ right) / values)
        return answer * scale


def _line_search(
    objective: Objective, theta: np.ndarray, value: float, direction: np.ndarray, slope: float
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Return the first of the steps 1, 1/2, 1/4 … that lowers the value enough, or None."""
    step = 1.0
    # Close to the minimum the decrease drowns in the rounding of the value.
    slack = 16 * np.finfo(np.float64).eps * abs(value)  # any value: a few roundings
    for _ in range(_HALVINGS):
        trial = theta + step * direction
        trial_value, gradient = objective.value_gradient(trial)
        enough = value + _ARMIJO * step * slope + slack  # any value: a small share
        if np.isfinite(trial_value) and trial_value <= enough:
            return trial, trial_value, gradient
        step *= 0.5  # any value: below one
    return None


def _rescue(
    objective: Objective, theta: np.ndarray, value: float, gradient: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Return a step with curvature added to that of the objective, or None when none lowers it.

    Far out, where all probabilities are 0 or 1, the curvature vanishes while the gradient does not, and Newton's step leads
    out of sight. The more is added, the more the step turns into a short one along the gradient.
    """
    objective.value_gradient(theta)
    matrix = objective.hessian(theta)
    for extra in (1e-3, 1e-1, 1e1, 1e3):  # any value: a ladder from little to much
        damped = matrix + extra * np.abs(gradient).max() * np.eye(len(matrix))
        direction = -Factor(damped).solve(gradient)
        found = _line_search(objective, theta, value, direction, float(gradient @ direction))
        if found is not None:
            return found
    return None


def newton(
    objective: Objective,
    start: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    gap: float | None = None,
    factor: Factor | None = None,
    keep: bool,
) -> Solution:
    """Minimize by Newton's method; where a Hessian is dear, its factor is kept as long as it serves.

    Parameters
    ----------
    objective : Objective
        What to minimize.
    start : ndarray of shape (p,)
        Where to begin.
    tol : float
        Bound of the largest gradient entry.
    max_iter : int
        Largest number of steps.
    gap : float, optional
        Bound of half the squared Newton decrement; ``tol**2`` when not given.
    factor : Factor, optional
        That of an approximation of the Hessian to begin with, for example that of a part of the rows.
    keep : bool
        Use a factor for further steps while each of them shrinks the decrement tenfold, instead of a new one a step.

    Returns
    -------
    Solution
    """
    gap = tol * tol if gap is None else gap
    theta = start
    value, gradient = objective.value_gradient(theta)
    # At the start a factor that was handed over is to be tried, so that its first step counts as kept.
    fresh = factor is None
    factor = Factor(objective.hessian(theta)) if factor is None else factor
    previous = np.inf
    for n_iter in count():
        direction = -factor.solve(gradient)
        slope = float(gradient @ direction)
        if not fresh and (-slope > _SHRINK**2 * previous or not (keep or previous == np.inf)):  # any value: cost alone
            # `hessian` needs the point of the last evaluation, which is theta: steps are only taken where accepted.
            factor, fresh = Factor(objective.hessian(theta)), True
            direction = -factor.solve(gradient)
            slope = float(gradient @ direction)
        if np.abs(gradient).max() <= tol and -slope / 2 <= gap:
            return Solution(theta, value, gradient, n_iter, factor=factor)
        if n_iter == max_iter:
            break
        previous = -slope  # any value: cost alone
        found = _line_search(objective, theta, value, direction, slope) if slope < 0 else None
        if found is None:
            objective.value_gradient(theta)
            if not fresh:
                factor, fresh, previous = Factor(objective.hessian(theta)), True, np.inf
                continue
            if np.abs(gradient).max() <= tol:  # any value: at the floor of rounding, where no step lowers the objective
                return Solution(theta, value, gradient, n_iter, factor=factor)
            found = _rescue(objective, theta, value, gradient)
            if found is None:
                return Solution(theta, value, gradient, n_iter, "no step lowers the objective any further")
        theta, value, gradient = found
        fresh = False
    return Solution(theta, value, gradient, max_iter, f"`max_iter`={max_iter} steps were not enough")


def newton_cg(objective: Objective, start: np.ndarray, *, tol: float, max_iter: int) -> Solution:
    """Minimize by Newton's method whose steps come from preconditioned conjugate gradients: no Hessian is formed."""
    theta = start
    value, gradient = objective.value_gradient(theta)
    first = float(np.sqrt(dot(gradient, gradient)))
    n_iter = 0
    while True:
        if not gradient.any():
            return Solution(theta, value, gradient, n_iter)
        norm = float(np.sqrt(dot(gradient, gradient)))
        small = bool(np.abs(gradient).max() <= tol)
        found = None
        # Extra curvature is for where that of the objective vanishes; see `_rescue`.
        for extra in (0.0, 1e-3, 1e-1, 1e1, 1e3):  # any value: a ladder from little to much
            # Dembo & Steihaug: the inner residual shrinks faster than the gradient, which gives superlinear convergence.
            direction = _conjugate_gradients(
                _with_more(objective.hessian_vector(theta), extra * norm),
                gradient,
                objective.hessian_diagonal(theta) + extra * norm,
                min(0.1, np.sqrt(norm / first)) * norm,  # any value: below one, shrinking with the gradient
            )
            slope = dot(gradient, direction)
            if extra == 0 and small and -slope / 2 <= tol * tol:
                return Solution(theta, value, gradient, n_iter)
            if n_iter == max_iter:
                return Solution(theta, value, gradient, n_iter, f"`max_iter`={max_iter} steps were not enough")
            found = _line_search(objective, theta, value, direction, slope)
            if found is not None or small:
                break
            # The Hessian is wanted at theta, the line search ended elsewhere.
            objective.value_gradient(theta)
        if found is None:
            return Solution(theta, value, gradient, n_iter, "" if small else "no step lowers the objective any further")
        theta, value, gradient = found
        n_iter += 1


def _with_more(product: Callable[[np.ndarray], np.ndarray], extra: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the product with ``H + extra I``."""
    return lambda v: product(v) + extra * v


def _conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray], gradient: np.ndarray, diagonal: np.ndarray, target: float
) -> np.ndarray:
    """Return an approximate solution of ``H d = -gradient`` with residual at most ``target``, a descent direction."""
    scale = np.where(diagonal > _FLAT, diagonal, 1.0)  # any value: without curvature any will do
    direction = np.zeros_like(gradient)
    residual = -gradient
    scaled = residual / scale
    search = scaled
    rho = dot(residual, scaled)
    for _ in range(10 * len(gradient)):  # any value: a cap
        image = product(search)
        curvature = dot(search, image)
        floor = np.finfo(np.float64).eps * dot(search, search * scale)
        if curvature <= floor:  # any value: at equality both ways go down
            # Flat: what was gathered so far is a descent direction; at the first step, take the scaled gradient.
            return direction if direction.any() else search
        alpha = rho / curvature
        direction = direction + alpha * search
        residual = residual - alpha * image
        if float(np.sqrt(dot(residual, residual))) <= target:
            break
        scaled = residual / scale
        rho, before = dot(residual, scaled), rho
        search = scaled + (rho / before) * search
    return direction


def lbfgs(objective: Objective, start: np.ndarray, *, tol: float, max_iter: int) -> Solution:
    """Minimize by L-BFGS (SciPy's L-BFGS-B); it stops by the gradient alone, not by a small change of the value."""
    result = minimize(
        objective.value_gradient,
        start,
        method="L-BFGS-B",
        jac=True,
        options={"maxiter": max_iter, "maxls": _SEARCHES, "gtol": tol, "ftol": 0.0},
    )
    met = bool(np.abs(result.jac).max() <= tol)
    reason = "" if met else f"L-BFGS ended after {result.nit} of {max_iter} steps ({result.message.lower()})"
    return Solution(result.x, float(result.fun), result.jac, int(result.nit), reason)
