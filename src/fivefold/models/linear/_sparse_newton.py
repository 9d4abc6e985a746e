"""Two classes, many sparse columns: coordinate descent finds which weights are not zero, conjugate gradients their values.

Every iteration takes a prox-Newton step by a few cycles of coordinate descent over the columns in doubt, then a Newton step
by preconditioned conjugate gradients on the face of the weights that are not zero, their signs kept: weights that would
change sign stop at zero. The second step is what a cycle over correlated columns would creep to. A trust region bounds it
where the curvature misleads. Shapes: X (n, d), weights w (d,), scores z (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fivefold.base.jit import njit

from ._blocks import dot
from ._columns import Columns
from ._sparse_rows import Rows

# Curvature of a row is at least this share of its weight: rows far on their side would leave none.
FLOOR = 1e-10
HALVINGS = 40
ARMIJO = 1e-4
# A fall below the rounding of the objective cannot be seen; the gap, linear in the violations, still can.
ROUNDING = 1e-15
# Where few columns are in doubt, cycles over them are cheaper than what surrounds them; at most so many, and down to this
# share of the change by the first.
_CYCLES, _EASE = 8, 0.05
# A zero weight is in doubt from this share of l1 on.
_DOUBT = 0.9
# Up to this many features in doubt the quadratic model is solved exactly where the steps creep.
_EXACT = 256
CREEPS = 12
# Conjugate gradients stop at this share of the residual, after few moves while weights still meet zero.
_SHARE = 0.1
_FEW, _MANY = 25, 250
# Steps on the face are halved this often; then they wait, twice as long each time.
_SHORTER = 8
# The region grows by this factor after a step to its edge.
_WIDER = 4.0


def falls_enough(after: float, before: float, promise: float) -> bool:
    """Return whether an objective fell by a share of what its slope promised, up to the rounding of its value."""
    return after <= before * (1.0 + ROUNDING) - ARMIJO * promise


@njit
def _losses(z, sign, share, r, h, floor):  # type: ignore[no-untyped-def]
    """Return ``Σ v log(1 + exp(-s z))``; write ``v s / (1 + exp(s z))`` to r and the curvatures to h."""
    total = 0.0
    for i in range(len(z)):
        margin = sign[i] * z[i]
        small = np.exp(-abs(margin))
        total += share[i] * (np.log1p(small) - min(margin, 0.0))
        wrong = (small if margin >= 0.0 else 1.0) / (1.0 + small)
        right = (1.0 if margin >= 0.0 else small) / (1.0 + small)
        r[i] = share[i] * sign[i] * wrong
        h[i] = share[i] * max(wrong * right, floor)
    return total


class BinaryDescent:
    """``Σ v_i log(1 + exp(-s_i z_i)) + l1 |w|₁ + ½ l2 |w|²`` of the scores ``z = X w + b``, with steps that lower it.

    Parameters
    ----------
    X : sparse matrix of shape (n, d)
    columns : Columns
        Those of X.
    sign, share : ndarray of shape (n,)
        Labels s = ±1 and row weights v.
    l1, l2 : float
        Strengths of the penalties.
    intercept : bool
    """

    def __init__(
        self, X: Any, columns: Columns, sign: np.ndarray, share: np.ndarray, l1: float, l2: float, intercept: bool
    ) -> None:
        self.rows, self.columns = Rows(X), columns
        self.sign, self.share, self.l1, self.l2, self.intercept = sign, share, l1, l2, intercept
        self.counts = np.diff(columns.X.indptr)  # entries of the columns
        self.r, self.h = np.empty(len(sign)), np.empty(len(sign))
        # The trust region of the steps on the face, and for how long they rest after one that failed.
        self.radius = np.inf
        self.crossed = True
        self.rest = self.delay = 0

    def loss(self, z: np.ndarray) -> float:
        """Return the loss; keep its negative slope by the scores in ``r`` and its curvature in ``h``."""
        return float(_losses(z, self.sign, self.share, self.r, self.h, FLOOR))

    def penalty(self, w: np.ndarray) -> float:
        """Return the penalty of the weights."""
        return self.l1 * float(np.abs(w).sum()) + 0.5 * self.l2 * dot(w, w)

    def scores(self, features: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return X[:, features] w, by columns where that reads less."""
        if 2 * self.counts[features].sum() < self.columns.X.nnz:  # any value: cost alone
            return self.columns.combine(features, w)
        wide = np.zeros(len(self.counts))
        wide[features] = w
        return self.rows.scores(wide)

    def cycle(self, pull: np.ndarray, loss: float, w: np.ndarray, b: np.ndarray, z: np.ndarray, exact: bool) -> bool:
        """Take a prox-Newton step by coordinate descent, w (d,), b (1,), z (n,) in place; return whether it moved."""
        doubt = np.abs(pull) > _DOUBT * self.l1
        work = np.flatnonzero((w != 0.0) | doubt)
        cycles = min(max(2, self.columns.X.nnz // max(1, self.counts[work].sum())), _CYCLES)  # any value: cost alone
        old = w[work]
        new, left, h = old.copy(), self.r.copy(), self.h.copy()
        shift = self.columns.descend(work, new, left, h, self.l1, self.l2, self.intercept, cycles, _EASE)
        if exact and len(work) <= _EXACT:
            shift += self.columns.exact(work, new, left, h, self.l1, self.l2, self.intercept)
        change = new - old
        scores = self.scores(work, change) + shift
        # The model's minimum lies at least half its curvature along the step below its start (Tseng & Yun 2009); the
        # difference of the two values themselves would drown in rounding.
        promise = 0.5 * (dot(h, scores**2) + self.l2 * dot(change, change))
        if not promise > 0.0:
            return False
        t, before = 1.0, loss + self.penalty(old)
        for _ in range(HALVINGS):
            moved, trial = old + t * change, z + t * scores
            if falls_enough(self.loss(trial) + self.penalty(moved), before, t * promise):
                w[work], z[:] = moved, trial
                b += t * shift
                return True
            t *= 0.5
        return False

    def face(self, w: np.ndarray, b: np.ndarray, z: np.ndarray) -> bool:
        """Take a Newton step on the weights that are not zero, w (d,), b (1,), z (n,) in place; return whether it moved."""
        if self.rest:
            self.rest -= 1
            return False
        loss = self.loss(z)
        r, h = self.r.copy(), self.h.copy()
        active = np.flatnonzero(w)
        sign = np.sign(w[active])
        # Few weights are faster summed by their columns than by all the rows.
        few = 2 * self.counts[active].sum() < self.columns.X.nnz  # any value: cost alone
        squares = self.columns.curvatures(active, h) if few else self.rows.squares(h)[active]
        sums = self.columns.products(active, r) if few else self.rows.sums(r)[active]
        scale = squares + self.l2
        scale[scale == 0.0] = 1.0  # any value: such a column is empty where it counts
        slope = sums - self.l2 * w[active] - self.l1 * sign
        # Weights that their own curvature already sends through zero are left to coordinate descent.
        stays = (w[active] + slope / scale) * sign > 0.0
        slope = np.append(np.where(stays, slope, 0.0), r.sum() if self.intercept else 0.0)
        scale = np.append(scale, h.sum())
        if not slope.any():
            return False

        def product(v: np.ndarray) -> np.ndarray:
            """Return the Hessian on the face times v (m+1,)."""
            if few:
                image = self.columns.combine(active, v[:-1]) + v[-1]
                sums = self.columns.products(active, h * image)
            else:
                wide = np.zeros(len(w))
                wide[active] = v[:-1]
                image, every = self.rows.bend(h, wide, float(v[-1]))
                sums = every[active]
            return np.append(np.where(stays, sums + self.l2 * v[:-1], 0.0), dot(h, image) if self.intercept else 0.0)

        step, edge = _conjugate_gradients(product, slope, scale, self.radius, _FEW if self.crossed else _MANY)
        length = float(np.sqrt(dot(step, scale * step)))
        t, before = 1.0, loss + self.penalty(w)
        for _ in range(_SHORTER):
            trial = w[active] + t * step[:-1]
            crosses = np.sign(trial) == -sign
            trial[crosses] = 0.0
            scores = self.scores(active, trial) + (b + t * step[-1])
            promise = dot(slope[:-1], trial - w[active]) + float(slope[-1] * t * step[-1])
            if falls_enough(self.loss(scores) + self.penalty(trial), before, max(promise, 0.0)):
                w[active], z[:] = trial, scores
                b += t * step[-1]
                self.crossed, self.delay = bool(crosses.any()), 0
                if t < 1.0:
                    self.radius = t * length
                elif edge:
                    self.radius *= _WIDER
                return True
            t *= 0.5
        self.radius = t * length
        self.delay = 2 * self.delay + 1
        self.rest, self.crossed = self.delay, True
        return False


def _conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray], slope: np.ndarray, scale: np.ndarray, radius: float, most: int
) -> tuple[np.ndarray, bool]:
    """Return a step with ``H step ≈ slope``, of length ≤ radius by the diagonal ``scale``; and whether it ends there."""
    step, residual = np.zeros_like(slope), slope
    search = slope / scale
    rho = dot(residual, search)
    target = _SHARE**2 * dot(slope, slope)
    for _ in range(most):
        image = product(search)
        curvature = dot(search, image)
        if curvature <= 0.0:
            break
        alpha = rho / curvature
        longer = step + alpha * search
        if dot(longer, scale * longer) > radius * radius:
            # Up to the edge: |step + α search| = radius.
            a, c, e = (dot(u, scale * v) for u, v in ((search, search), (step, search), (step, step)))
            return step + (np.sqrt(c * c + a * (radius * radius - e)) - c) / a * search, True
        step, residual = longer, residual - alpha * image
        if dot(residual, residual) <= target:
            break
        scaled = residual / scale
        rho, before = dot(residual, scaled), rho
        search = scaled + (rho / before) * search
    return step, False
