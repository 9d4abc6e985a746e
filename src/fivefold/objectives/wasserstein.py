"""Wasserstein distances of weighted points: the transport problem by our network simplex, and closed forms on a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from fivefold.base.errors import DataError, InputError, TrainingError


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
        Potentials with dual_x[i] + dual_y[j] <= D[i, j], equal where mass moves; their weighted sum is the cost too.
    n_pivots : int
        Steps of the simplex.
    """

    cost: float
    plan: np.ndarray
    dual_x: np.ndarray
    dual_y: np.ndarray
    n_pivots: int


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
    r"""Solve the earth mover's linear program by the network simplex.

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
        When no optimum is reached: costs of such unequal sizes that their differences are rounding.

    Notes
    -----
    With x = vec(Γ) the constraints are :math:`[I_n \otimes 1_m^T; 1_n^T \otimes I_m]\, x = [p; q]`, one of them redundant, so
    that a basis is a spanning tree of the n + m points and the plan has at most n + m - 1 moves. The tree starts from a
    greedy plan, stays strongly feasible (Cunningham 1976), so that ties of masses cannot make it cycle, and takes the best
    arc of a block of about √(n m) arcs. It ends when no arc saves more than 1e-13 of the largest cost.

    References
    ----------
    Ahuja, Magnanti & Orlin 1993, "Network Flows", chapter 11; Bonneel et al. 2011; spec ``01#emd-linear-program``.
    """
    from ._transport_kernels import network_simplex

    d = np.ascontiguousarray(costs, dtype=np.float64)
    if d.ndim != 2 or not d.size or not np.isfinite(d).all():
        raise DataError("costs must be a table (n, m) of finite numbers with at least one entry.")
    n, m = d.shape
    p, q = _masses(p, n, "p"), _masses(q, m, "q")
    rows, columns = np.flatnonzero(p), np.flatnonzero(q)
    whole = len(rows) == n and len(columns) == m
    inner = d if whole else np.ascontiguousarray(d[np.ix_(rows, columns)])
    block = max(int(np.sqrt(inner.size)), 16)  # any value: only decides the speed
    tolerance = 1e-13 * float(np.abs(inner).max())  # any value: the rounding of a cost
    limit = 1000 * (n + m) + 10_000_000  # any value: far above the pivots of any problem
    sources, sinks, moved, dual, pivots, done = network_simplex(inner, p[rows], q[columns], block, tolerance, limit)
    if not done:
        raise TrainingError(
            f"The transport problem of {n} and {m} points was not solved within {pivots} pivots; scale the costs so that "
            "their differences are not lost in rounding."
        )
    plan = np.zeros((n, m))
    plan[rows[sources], columns[sinks]] = moved
    # The tightest potentials: feasible to the last digit, also at points without mass.
    dual_x = np.min(d[:, columns] - dual[len(rows) :], axis=1)
    dual_y = np.min(d - dual_x[:, None], axis=0)
    return TransportPlan(float((inner[sources, sinks] * moved).sum()), plan, dual_x, dual_y, int(pivots))


def wasserstein_distance(x: Any, y: Any, x_weights: Any = None, y_weights: Any = None, *, order: float = 1.0) -> float:
    r"""Return the Wasserstein (earth mover's) distance of two sets of weighted points.

    .. math:: W_1 = \inf_{\gamma \in \Pi(p, q)} E_\gamma \lVert x - y \rVert \qquad
        \text{on a line: } \int \lvert F_p(t) - F_q(t) \rvert \, dt

    and of order r :math:`W_r = (\inf_\gamma E_\gamma \lVert x - y \rVert^r)^{1/r}`, on a line
    :math:`(\int_0^1 |F_p^{-1}(s) - F_q^{-1}(s)|^r ds)^{1/r}`.

    Parameters
    ----------
    x, y : arrays of shapes (n,) or (n, d), and (m,) or (m, d)
        Points; distances are Euclidean.
    x_weights, y_weights : arrays of shapes (n,) and (m,), optional
        Masses >= 0, divided by their sums; default equal ones.
    order : float >= 1, default 1.0
        r.

    Returns
    -------
    float >= 0; two points at distance d have W = d

    Raises
    ------
    DataError
        When shapes, coordinates or masses do not fit.
    InputError
        When the order is below 1.

    References
    ----------
    Spec ``01#emd``, ``01#emd-linear-program``, ``06#earth-mover-distance``, ``04#wasserstein-distance``.
    """
    x, y = _points(x, "x"), _points(y, "y")
    if x.shape[1] != y.shape[1]:
        raise DataError(f"x and y must have the same number of coordinates, got {x.shape[1]} and {y.shape[1]}.")
    if not np.isfinite(order) or order < 1:
        raise InputError(f"order must be a finite number >= 1, got {order!r}.")
    p, q = _masses(x_weights, len(x), "x_weights"), _masses(y_weights, len(y), "y_weights")
    if x.shape[1] > 1:
        return float(max(optimal_transport(cdist(x, y) ** order, p, q).cost, 0.0) ** (1 / order))
    if order != 1:
        return _quantile_form(x[:, 0], y[:, 0], p, q, order)
    places = np.concatenate([x[:, 0], y[:, 0]])
    ranks = places.argsort(kind="stable")
    ahead = np.concatenate([p, -q])[ranks].cumsum()[:-1]  # F_p - F_q between neighboring points
    return float(np.abs(ahead) @ np.diff(places[ranks]))


def _quantile_form(x: np.ndarray, y: np.ndarray, p: np.ndarray, q: np.ndarray, order: float) -> float:
    first, second = x.argsort(kind="stable"), y.argsort(kind="stable")
    below_x, below_y = p[first].cumsum(), q[second].cumsum()
    levels = np.sort(np.concatenate([below_x, below_y]))
    at_x = x[first][np.minimum(np.searchsorted(below_x, levels), len(x) - 1)]
    at_y = y[second][np.minimum(np.searchsorted(below_y, levels), len(y) - 1)]
    return float((np.diff(levels, prepend=0.0) @ np.abs(at_x - at_y) ** order) ** (1 / order))
