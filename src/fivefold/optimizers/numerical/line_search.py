"""Line search for the strong Wolfe conditions, by bracketing and zooming with cubic interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .problem import EPS, Problem

EDGE = 0.1
"""Share of a bracket next to its ends where interpolation is not trusted."""


@dataclass(frozen=True)
class Trial:
    """A point on the line: its step, value, and where known its gradient and slope."""

    step: float
    x: np.ndarray  # (n,)
    f: float
    gradient: np.ndarray | None = None
    slope: float = np.nan


@dataclass(frozen=True)
class Found:
    """The outcome: ``wolfe`` tells whether both conditions hold; without ``trial`` no lower value was found."""

    trial: Trial | None
    wolfe: bool


def cubic_minimizer(a: float, fa: float, da: float, b: float, fb: float, db: float) -> float:
    """Return the minimizer of the cubic with values ``fa``, ``fb`` and slopes ``da``, ``db`` at ``a`` and ``b``; NaN if none.

    Nocedal & Wright (3.59).
    """
    d1 = da + db - 3.0 * (fa - fb) / (a - b)
    under = d1 * d1 - da * db
    if not under > 0.0:
        return np.nan
    d2 = np.copysign(np.sqrt(under), b - a)
    below = db - da + 2.0 * d2
    return b - (b - a) * (db + d2 - d1) / below if below != 0.0 else np.nan


def quadratic_minimizer(a: float, fa: float, da: float, b: float, fb: float) -> float:
    """Return the minimizer of the parabola with value ``fa`` and slope ``da`` at ``a`` and value ``fb`` at ``b``; NaN if none."""
    width = b - a
    curve = (fb - fa - da * width) / width**2
    return a - da / (2.0 * curve) if curve > 0.0 else np.nan


class WolfeSearch:
    r"""Find a step α along p that lowers f enough and flattens it enough (the strong Wolfe conditions).

    .. math:: f(x + \alpha p) \le f(x) + c_1 \alpha \nabla f^T p, \qquad
              |\nabla f(x + \alpha p)^T p| \le c_2 |\nabla f^T p|

    Near a minimum the decrease that the first condition asks for drowns in the rounding of f; there it is enough that f does
    not rise beyond rounding, and the slopes decide.

    Parameters
    ----------
    c1, c2 : float, 0 < c1 < c2 < 1
    max_evaluations : int
        Trial points a search may use.

    References
    ----------
    Nocedal & Wright 2006, algorithms 3.5 and 3.6.
    """

    def __init__(self, c1: float, c2: float, max_evaluations: int = 40) -> None:  # any value: a cap
        self.c1 = c1
        self.c2 = c2
        self.max_evaluations = max_evaluations

    def __call__(
        self, problem: Problem, x: np.ndarray, f: float, gradient: np.ndarray, direction: np.ndarray, first: float
    ) -> Found:
        """Search from ``x`` (n,) along ``direction`` (n,), a direction of descent, beginning with the step ``first``."""
        self._problem, self._x, self._direction = problem, x, direction
        self._left = self.max_evaluations
        self._f0, self._slope0 = f, float(gradient @ direction)
        self._rounding = 4.0 * EPS * abs(f)
        start = Trial(0.0, x, f, gradient, self._slope0)
        previous, step = start, first
        while self._left > 0:
            trial = self._at(step)
            if trial.f == -np.inf:
                return Found(trial, False)
            if not self._low_enough(trial) or trial.f >= previous.f + self._rounding:
                return self._zoom(previous, trial)
            trial = self._with_slope(trial)
            if trial.gradient is None:  # the value is fine but the gradient is not: as good as outside the domain
                return self._zoom(previous, Trial(trial.step, trial.x, np.inf))
            if self._flat_enough(trial):
                return Found(trial, True)
            if trial.slope >= 0.0:
                return self._zoom(trial, previous)
            # Still falling steeply: go further, by the cubic through the last two points within limits.
            guess = cubic_minimizer(previous.step, previous.f, previous.slope, trial.step, trial.f, trial.slope)
            width = trial.step - previous.step
            if not trial.step < guess:
                guess = np.inf
            step = float(np.clip(guess, trial.step + width, trial.step + 9.0 * width))
            previous = trial
        return Found(previous if previous.step > 0.0 else None, False)

    def _at(self, step: float) -> Trial:
        self._left -= 1
        x = self._x + step * self._direction
        f = self._problem.value(x)
        return Trial(step, x, np.inf if np.isnan(f) else f)

    def _with_slope(self, trial: Trial) -> Trial:
        if trial.gradient is not None:
            return trial
        gradient = self._problem.gradient(trial.x, trial.f)
        if not np.isfinite(gradient).all():
            return trial
        return Trial(trial.step, trial.x, trial.f, gradient, float(gradient @ self._direction))

    def _low_enough(self, trial: Trial) -> bool:
        asked = -self.c1 * trial.step * self._slope0
        # A decrease that drowns in rounding cannot be seen; then it is enough that the value does not visibly rise.
        return trial.f <= self._f0 + (self._rounding if asked <= self._rounding else -asked)

    def _flat_enough(self, trial: Trial) -> bool:
        return abs(trial.slope) <= self.c2 * abs(self._slope0)

    def _zoom(self, low: Trial, high: Trial) -> Found:
        """Shrink a bracket: ``low`` is the lowest acceptable end, the minimum lies towards ``high``."""
        while self._left > 0:
            width = high.step - low.step
            closed = EPS * max(abs(low.step), abs(high.step))
            if abs(width) <= closed:  # any value: the evaluations end before long anyway
                break
            trial = self._at(self._guess(low, high))
            if not self._low_enough(trial) or trial.f >= low.f + self._rounding:
                high = trial
                continue
            trial = self._with_slope(trial)
            if trial.gradient is None:
                high = Trial(trial.step, trial.x, np.inf)
                continue
            if self._flat_enough(trial):
                return Found(trial, True)
            if trial.slope * width >= 0.0:
                high = low
            low = trial
        return Found(low if low.f < self._f0 else None, False)

    @staticmethod
    def _guess(low: Trial, high: Trial) -> float:
        """Return a step inside the bracket: cubic where both slopes are known, else quadratic, else the middle."""
        width = high.step - low.step
        guess = np.nan
        if np.isfinite(high.f):
            if np.isfinite(high.slope):
                guess = cubic_minimizer(low.step, low.f, low.slope, high.step, high.f, high.slope)
            else:
                guess = quadratic_minimizer(low.step, low.f, low.slope, high.step, high.f)
        inside = (guess - low.step) / width
        if not 0.0 < inside < 1.0:
            return low.step + 0.5 * width
        # A minimizer that hugs an end is moved a little inwards; else brackets shrink too slowly.
        return low.step + float(np.clip(inside, EDGE, 1.0 - EDGE)) * width
