"""Wasserstein-1 distance of weighted points: the earth mover's linear program, and the closed form on a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from fivefold.base.errors import DataError, TrainingError


@dataclass(frozen=True)
class TransportPlan:
    """How mass moves at least cost.

    Attributes
    ----------
    cost : float
        Mass times distance, the Wasserstein-1 distance.
    plan : ndarray of shape (n, m)
        Mass moved from each point to each other; at most n + m - 1 entries are not 0.
    dual_x, dual_y : ndarrays of shapes (n,) and (m,)
        Potentials with dual_x[i] + dual_y[j] <= D[i, j] whose weighted sum is the cost too.
    """

    cost: float
    plan: np.ndarray
    dual_x: np.ndarray
    dual_y: np.ndarray


def _points(x: Any, name: str) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or not len(x) or not np.isfinite(x).all():
        raise DataError(f"{name} must hold at least one point of finite coordinates, shape (n,) or (n, d).")
    return x


def _masses(weights: Any, n: int, name: str) -> np.ndarray:
    if weights is None:
        return np.full(n, 1 / n)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (n,) or not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
        raise DataError(f"{name} must be {n} finite numbers >= 0 of positive sum, one for each point.")
    return w / w.sum()


def optimal_transport(costs: Any, p: Any = None, q: Any = None) -> TransportPlan:
    r"""Solve the earth mover's linear program.

    .. math:: \min_{\Gamma \ge 0} \langle \Gamma, D \rangle \quad\text{with}\quad \Gamma 1 = p, \; \Gamma^T 1 = q

    Parameters
    ----------
    costs : array of shape (n, m)
        D, finite.
    p, q : arrays of shapes (n,) and (m,), optional
        Masses >= 0, divided by their sums; default equal ones.

    Returns
    -------
    TransportPlan

    Raises
    ------
    DataError
        When shapes, costs or masses do not fit.
    TrainingError
        When the solver of the linear program gives up.

    Notes
    -----
    With x = vec(Γ) the constraints are :math:`[I_n \otimes 1_m^T; 1_n^T \otimes I_m]\, x = [p; q]`, one of them redundant. The
    dual simplex of HiGHS ends in a corner, which has at most n + m - 1 moves.

    References
    ----------
    Spec ``01#emd-linear-program``.
    """
    d = np.asarray(costs, dtype=np.float64)
    if d.ndim != 2 or not d.size or not np.isfinite(d).all():
        raise DataError("costs must be a table (n, m) of finite numbers with at least one entry.")
    n, m = d.shape
    p, q = _masses(p, n, "p"), _masses(q, m, "q")
    rows = sp.kron(sp.eye(n), np.ones((1, m)))
    columns = sp.kron(np.ones((1, n)), sp.eye(m))
    # The last column's constraint follows from the others; without it rounding cannot make the program infeasible.
    constraints = sp.vstack([rows, columns.tocsr()[: m - 1]], format="csr")
    found = linprog(d.ravel(), A_eq=constraints, b_eq=np.concatenate([p, q[: m - 1]]), method="highs-ds")
    if not found.success:
        raise TrainingError(f"The transport problem was not solved: {found.message}")
    duals = found.eqlin.marginals
    return TransportPlan(float(found.fun), found.x.reshape(n, m), duals[:n], np.append(duals[n:], 0.0))


def wasserstein_distance(x: Any, y: Any, x_weights: Any = None, y_weights: Any = None) -> float:
    r"""Return the Wasserstein-1 (earth mover's) distance of two sets of weighted points.

    .. math:: W_1 = \inf_{\gamma \in \Pi(p, q)} E_\gamma \lVert x - y \rVert \qquad
        \text{on a line: } \int \lvert F_p(t) - F_q(t) \rvert \, dt

    Parameters
    ----------
    x, y : arrays of shapes (n,) or (n, d), and (m,) or (m, d)
        Points; distances are Euclidean.
    x_weights, y_weights : arrays of shapes (n,) and (m,), optional
        Masses >= 0, divided by their sums; default equal ones.

    Returns
    -------
    float >= 0; two points at distance d have W = d

    Raises
    ------
    DataError
        When shapes, coordinates or masses do not fit.

    References
    ----------
    Spec ``01#emd``, ``01#emd-linear-program``, ``06#earth-mover-distance``, ``04#wasserstein-distance``.
    """
    x, y = _points(x, "x"), _points(y, "y")
    if x.shape[1] != y.shape[1]:
        raise DataError(f"x and y must have the same number of coordinates, got {x.shape[1]} and {y.shape[1]}.")
    p, q = _masses(x_weights, len(x), "x_weights"), _masses(y_weights, len(y), "y_weights")
    if x.shape[1] > 1:
        return optimal_transport(cdist(x, y), p, q).cost
    places = np.concatenate([x[:, 0], y[:, 0]])
    order = places.argsort(kind="stable")
    ahead = np.concatenate([p, -q])[order].cumsum()[:-1]  # F_p - F_q between neighboring points
    return float(np.abs(ahead) @ np.diff(places[order]))
