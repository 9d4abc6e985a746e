"""Wasserstein losses of point clouds for training: exact, sliced, and regularized by entropy (Sinkhorn)."""

from __future__ import annotations

import math
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams

from ._common import check_float, wide
from .wasserstein import TransportPlan, optimal_transport


def _check_clouds(name: str, x: Tensor, y: Tensor) -> None:
    check_float(name, x)
    check_float(name, y)
    if x.ndim < 2 or x.ndim != y.ndim or x.shape[:-2] != y.shape[:-2] or x.shape[-1] != y.shape[-1] or 0 in x.shape:
        raise DataError(
            f"{name} needs two clouds of points (..., n, d) and (..., m, d) of equal d, got shapes {tuple(x.shape)} and "
            f"{tuple(y.shape)}."
        )
    if 0 in y.shape:
        raise DataError(f"{name} needs at least one point in each cloud, got the shape {tuple(y.shape)}.")


def _masses(name: str, weights: Tensor | None, x: Tensor) -> Tensor:
    """Return masses (..., n) of sum 1."""
    if weights is None:
        return x.new_full(x.shape[:-1], 1 / x.shape[-2])
    if weights.shape not in (x.shape[:-1], x.shape[-2:-1]):
        raise DataError(f"{name} needs one weight for each point, {tuple(x.shape[:-1])}, got {tuple(weights.shape)}.")
    totals = weights.sum(-1, keepdim=True)
    if not bool((weights >= 0).all()) or not bool(((totals > 0) & torch.isfinite(totals)).all()):
        raise DataError(f"{name} needs finite weights >= 0 of positive sum.")
    return (weights / totals).to(x.dtype).expand(x.shape[:-1])


def _costs(x: Tensor, y: Tensor, order: int) -> Tensor:
    """Return the distances (..., n, m), or their squares."""
    apart = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    return apart if order == 1 else apart * apart


class _TransportLoss(nn.Module):
    def __init__(self, order: int) -> None:
        super().__init__()
        if order not in (1, 2):
            raise InputError(f"order must be 1 or 2, got {order!r}.")
        self.order = int(order)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"order={self.order}"


class WassersteinLoss(_TransportLoss):
    r"""Exact transport cost of two clouds of points, :math:`W_r^r`.

    .. math:: L = \min_{\Gamma \in \Pi(p, q)} \sum_{ij} \Gamma_{ij} \lVert x_i - y_j \rVert^r, \qquad
        \nabla_{x_i} L = \sum_j \Gamma^*_{ij} \nabla_{x_i} \lVert x_i - y_j \rVert^r

    Parameters
    ----------
    order : 1 (default) or 2
        r; of order 1 the loss is the distance itself, of order 2 its square, which is smooth where points meet.

    Shapes
    ------
    x : (n, d); y : (m, d); x_weights, y_weights : (n,) and (m,), >= 0, optional, divided by their sums; output : scalar

    Raises
    ------
    DataError
        When shapes or weights do not fit.

    Notes
    -----
    By the envelope theorem the plan is held fixed in the gradient; the slope along a mass is its potential. The plan is found
    on the CPU by :func:`optimal_transport`, outside of the graph of ``torch.compile``. Where two points coincide, the slope of
    order 1 is taken as 0.

    References
    ----------
    Spec ``01#emd``; Peyré & Cuturi 2019, "Computational Optimal Transport", section 3.1.
    """

    def __init__(self, order: int = 1) -> None:
        super().__init__(order)

    def forward(self, x: Tensor, y: Tensor, x_weights: Tensor | None = None, y_weights: Tensor | None = None) -> Tensor:
        """Return the transport cost of points (n, d) and (m, d)."""
        _check_clouds("WassersteinLoss", x, y)
        if x.ndim != 2:
            raise DataError(f"WassersteinLoss takes one pair of clouds, (n, d) and (m, d), got {tuple(x.shape)}.")
        dtype, x, y = x.dtype, wide(x), wide(y)
        p, q = _masses("WassersteinLoss", x_weights, x), _masses("WassersteinLoss", y_weights, y)
        found = self._plan(x, y, p, q)
        i, j = found.plan.nonzero()
        moved = torch.as_tensor(found.plan[i, j]).to(x)
        i, j = torch.as_tensor(i, device=x.device), torch.as_tensor(j, device=x.device)
        apart = x[i] - y[j]
        costs = apart.square().sum(-1) if self.order == 2 else torch.linalg.vector_norm(apart, dim=-1)
        potentials = torch.as_tensor(found.dual_x).to(x), torch.as_tensor(found.dual_y).to(x)
        # The second and third terms are 0; they carry the slopes along the masses.
        value = moved @ costs + potentials[0] @ (p - p.detach()) + potentials[1] @ (q - q.detach())
        return value.to(dtype)

    @torch.compiler.disable
    @torch.no_grad()
    def _plan(self, x: Tensor, y: Tensor, p: Tensor, q: Tensor) -> TransportPlan:
        costs = _costs(x.double(), y.double(), self.order)
        return optimal_transport(costs.cpu().numpy(), p.double().cpu().numpy(), q.double().cpu().numpy())


class SlicedWassersteinLoss(_TransportLoss):
    r"""Mean transport cost of two clouds along random lines, each in closed form.

    .. math:: L = \frac{1}{K} \sum_{k=1}^K \int_0^1 \left| F_{\theta_k^T x}^{-1}(s) - F_{\theta_k^T y}^{-1}(s) \right|^r ds

    Parameters
    ----------
    n_projections : int >= 1, default 100
        K, directions of unit length, uniform on the sphere.
    order : 1 or 2 (default)
        r; the loss is :math:`SW_r^r`.
    resample : bool, default False
        Whether every call in training mode draws new directions; else they stay the same.
    random_state : int, default 0
        Seed of the directions.

    Attributes
    ----------
    calls : int64 tensor
        Calls with new directions so far; part of ``state_dict``.

    Shapes
    ------
    x : (..., n, d); y : (..., m, d); x_weights, y_weights : (..., n) and (..., m), optional, divided by their sums;
    output : scalar, the mean over leading dimensions

    Raises
    ------
    DataError
        When shapes or weights do not fit.

    Notes
    -----
    Quantile functions of n and m weighted points are steps with n + m levels together, so unequal sizes cost no more. Of two
    points at distance l in d dimensions the mean of order 2 is l²/d. ``torch.compile`` breaks its graph where directions are
    drawn.

    References
    ----------
    Rabin, Peyré, Delon & Bernot 2011; Bonneel et al. 2015; spec ``01#emd``.
    """

    calls: Tensor

    def __init__(self, n_projections: int = 100, order: int = 2, resample: bool = False, random_state: int = 0) -> None:
        super().__init__(order)
        if not isinstance(n_projections, int) or n_projections < 1:
            raise InputError(f"n_projections must be an integer >= 1, got {n_projections!r}.")
        self.n_projections, self.resample, self.random_state = n_projections, bool(resample), int(random_state)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def directions(self, d: int) -> Tensor:
        """Return the directions (K, d) of the present call, in float64."""
        generator = Streams(self.random_state).torch("projections", int(self.calls), d)
        drawn = torch.randn(self.n_projections, d, generator=generator, dtype=torch.float64)
        return drawn / torch.linalg.vector_norm(drawn, dim=-1, keepdim=True)

    def forward(self, x: Tensor, y: Tensor, x_weights: Tensor | None = None, y_weights: Tensor | None = None) -> Tensor:
        """Return the sliced cost of clouds (..., n, d) and (..., m, d)."""
        _check_clouds("SlicedWassersteinLoss", x, y)
        dtype, x, y = x.dtype, wide(x), wide(y)
        p, q = _masses("SlicedWassersteinLoss", x_weights, x), _masses("SlicedWassersteinLoss", y_weights, y)
        if self.resample and self.training:
            self.calls += 1
        lines = self.directions(x.shape[-1]).to(x)
        cost = _line_cost(lines @ x.mT, lines @ y.mT, p[..., None, :], q[..., None, :], self.order)
        return cost.mean().to(dtype)


def _line_cost(x: Tensor, y: Tensor, p: Tensor, q: Tensor, order: int) -> Tensor:
    """Return the transport cost (...) of numbers x (..., n) and y (..., m) with masses that broadcast to them."""
    x, at_x = x.sort(dim=-1)
    y, at_y = y.sort(dim=-1)
    below_x = p.expand(x.shape).gather(-1, at_x).cumsum(-1)
    below_y = q.expand(y.shape).gather(-1, at_y).cumsum(-1)
    levels = torch.cat([below_x, below_y], dim=-1).sort(dim=-1).values  # (..., n + m)
    fixed = levels.detach()
    # The quantile at a level is the first point up to which the mass reaches it; the last one where rounding falls short.
    step_x = torch.searchsorted(below_x.detach(), fixed).clamp(max=x.shape[-1] - 1)
    step_y = torch.searchsorted(below_y.detach(), fixed).clamp(max=y.shape[-1] - 1)
    apart = (x.gather(-1, step_x) - y.gather(-1, step_y)).abs()
    widths = torch.diff(levels, dim=-1, prepend=torch.zeros_like(levels[..., :1]))
    return (widths * (apart if order == 1 else apart * apart)).sum(-1)


def _soft_min(epsilon: float, costs: Tensor, log_q: Tensor, g: Tensor) -> Tensor:
    """Return the soft least of costs - g along the last dimension, weighted by q."""
    return -epsilon * torch.logsumexp(log_q[..., None, :] + (g[..., None, :] - costs) / epsilon, dim=-1)


class SinkhornDivergence(_TransportLoss):
    r"""Transport cost regularized by entropy, less its bias: smooth in the points, 0 for equal clouds.

    .. math:: L = T_\epsilon(x, y) - \tfrac12 T_\epsilon(x, x) - \tfrac12 T_\epsilon(y, y), \quad
        T_\epsilon = \min_{\Gamma \in \Pi(p, q)} \langle \Gamma, C \rangle + \epsilon\, \mathrm{KL}(\Gamma \,\|\, p q^T)

    Parameters
    ----------
    epsilon : float > 0, default 0.05
        Strength of the entropy, in units of the cost :math:`\lVert x - y \rVert^r`. Towards 0 the loss tends to
        :math:`W_r^r`, towards ∞ to an energy distance.
    order : 1 or 2 (default)
        r.
    debias : bool, default True
        Whether the two terms of a cloud with itself are taken off; without them the loss is :math:`T_\epsilon(x, y)`.
    max_iter : int >= 1, default 1000
        Rounds at ``epsilon``, after a short descent from the largest cost.
    tol : float > 0, default 1e-4
        Largest difference of the plan's marginals from the masses, summed, at which the rounds end; the value is then off by
        about its square.

    Shapes
    ------
    x : (..., n, d); y : (..., m, d); x_weights, y_weights : (..., n) and (..., m), optional, divided by their sums;
    output : scalar, the mean over leading dimensions

    Raises
    ------
    DataError
        When shapes or weights do not fit.

    Warns
    -----
    ConvergenceWarning
        When ``tol`` is not reached within ``max_iter`` rounds; the value is then a lower bound of :math:`T_\epsilon`.

    Notes
    -----
    Potentials are updated in logarithms, so a small epsilon does not overflow. They carry no gradient: by the envelope
    theorem the slope along the cost is the plan. The value is that of the dual problem. Rounds end by what they find, so
    ``torch.compile`` leaves them out of its graph.

    References
    ----------
    Cuturi 2013; Genevay, Peyré & Cuturi 2018; Feydy et al. 2019; spec ``01#emd``.
    """

    def __init__(
        self, epsilon: float = 0.05, order: int = 2, debias: bool = True, max_iter: int = 1000, tol: float = 1e-4
    ) -> None:
        super().__init__(order)
        self.epsilon = check_number("epsilon", epsilon, 0, above=True)
        self.tol = check_number("tol", tol, 0, above=True)
        if not isinstance(max_iter, int) or max_iter < 1:
            raise InputError(f"max_iter must be an integer >= 1, got {max_iter!r}.")
        self.max_iter, self.debias = max_iter, bool(debias)

    def forward(self, x: Tensor, y: Tensor, x_weights: Tensor | None = None, y_weights: Tensor | None = None) -> Tensor:
        """Return the divergence of clouds (..., n, d) and (..., m, d)."""
        _check_clouds("SinkhornDivergence", x, y)
        dtype, x, y = x.dtype, wide(x), wide(y)
        p, q = _masses("SinkhornDivergence", x_weights, x), _masses("SinkhornDivergence", y_weights, y)
        value = self._cost(x, y, p, q)
        if self.debias:
            value = value - 0.5 * self._own(x, p) - 0.5 * self._own(y, q)
        return value.mean().to(dtype)

    def _cost(self, x: Tensor, y: Tensor, p: Tensor, q: Tensor) -> Tensor:
        costs = _costs(x, y, self.order)
        return self._dual(costs, p, q, *self.potentials(costs.detach(), p.detach(), q.detach()))

    def _own(self, x: Tensor, p: Tensor) -> Tensor:
        """Return the cost of a cloud with itself, whose two potentials are one."""
        costs = _costs(x, x, self.order)
        f = self._own_potential(costs.detach(), p.detach())
        return self._dual(costs, p, p, f, f)

    def _dual(self, costs: Tensor, p: Tensor, q: Tensor, f: Tensor, g: Tensor) -> Tensor:
        """Return the value of the dual problem (...), whose slopes are those of the cost at the best potentials."""
        mass = (p[..., :, None] * q[..., None, :]) * torch.exp(
            (f[..., :, None] + g[..., None, :] - costs) / self.epsilon
        )
        return (p * f).sum(-1) + (q * g).sum(-1) - self.epsilon * (mass.sum((-2, -1)) - 1)

    def _scales(self, costs: Tensor) -> list[float]:
        """Return the falling strengths of the first rounds."""
        largest = max(float(costs.abs().max()), self.epsilon)  # any value: only saves rounds
        steps = math.ceil(math.log2(largest / self.epsilon))  # any value: only saves rounds
        return [self.epsilon * 2.0**step for step in range(steps, 0, -1)]  # any value: only saves rounds

    @torch.compiler.disable
    @torch.no_grad()
    def potentials(self, costs: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return f (..., n) and g (..., m) of costs (..., n, m), of which :math:`\Gamma = p q^T e^{(f + g - C)/\epsilon}`."""
        log_p, log_q = p.log(), q.log()
        f, g = torch.zeros_like(p), torch.zeros_like(q)
        for scale in self._scales(costs):
            f = _soft_min(scale, costs, log_q, g)
            g = _soft_min(scale, costs.mT, log_p, f)
        error = math.inf
        for _ in range(self.max_iter):
            fresh = _soft_min(self.epsilon, costs, log_q, g)
            # The row sums of the plan of f and g are p e^{(f - fresh) / epsilon}; its column sums are q.
            error = float((p * torch.expm1((f - fresh) / self.epsilon).abs()).sum(-1).max())
            f, g = fresh, _soft_min(self.epsilon, costs.mT, log_p, fresh)
            if error <= self.tol:  # any value: no rounding ends on the tolerance itself
                return f, g
        self._warn(error)
        return f, g

    @torch.compiler.disable
    @torch.no_grad()
    def _own_potential(self, costs: Tensor, p: Tensor) -> Tensor:
        """Return the potential (..., n) of symmetric costs; averaged rounds settle where alternating ones creep."""
        log_p, f = p.log(), torch.zeros_like(p)
        for scale in self._scales(costs):
            f = 0.5 * (f + _soft_min(scale, costs, log_p, f))
        error = math.inf
        for _ in range(self.max_iter):
            fresh = _soft_min(self.epsilon, costs, log_p, f)
            error = float((p * torch.expm1((f - fresh) / self.epsilon).abs()).sum(-1).max())
            f = 0.5 * (f + fresh)
            if error <= self.tol:  # any value: no rounding ends on the tolerance itself
                return f
        self._warn(error)
        return f

    def _warn(self, error: float) -> None:
        warnings.warn(
            f"Sinkhorn's rounds ended after {self.max_iter} with marginals {error:.2g} off (tol {self.tol:g}); raise max_iter "
            "or epsilon.",
            ConvergenceWarning,
            stacklevel=2,
        )

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"epsilon={self.epsilon:g}, order={self.order}, debias={self.debias}"
