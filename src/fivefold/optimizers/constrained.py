"""Training under constraints as a game: weights descend a Lagrangian of proxies, multipliers ascend the constraints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_count, check_number
from fivefold.base.errors import InputError


class ProxyLagrangian(nn.Module):
    r"""The proxy-Lagrangian game (Cotter et al. 2019): minimize an objective where constraints have no useful gradient.

    For :math:`\min_\theta g_0(\theta)` with :math:`g_i(\theta) \le 0`, where :math:`g_i` may be a rate (piecewise constant) and
    :math:`\tilde g_i` a differentiable proxy of it, the weights descend one function and the multipliers ascend another:

    .. math::
        L_\theta = \lambda_0 g_0 + \sum_i \lambda_i \tilde g_i, \qquad L_\lambda = \sum_i \lambda_i g_i

    .. math::
        \text{swap:}\quad & \lambda = M \lambda, \; \textstyle\sum_{i \ge 0} \lambda_i = 1, \qquad
        M \leftarrow M \odot \exp(\eta \, (0, g_1, \dots, g_m)^T \lambda^T), \text{ columns scaled to sum 1} \\
        \text{external:}\quad & \lambda_0 = 1, \qquad \lambda \leftarrow \Pi(\lambda + \eta \, (g_1, \dots, g_m)),
        \quad \Pi \text{ onto } \lambda \ge 0, \; \textstyle\sum_{i \ge 1} \lambda_i \le R

    ``game(objective, proxies)`` is :math:`L_\theta`, whose gradients go to the weights alone; ``game.update(constraints)`` is
    the other player's step. The multipliers are buffers: they are saved and moved with the module.

    Parameters
    ----------
    n_constraints : int >= 1
        :math:`m`.
    lr : float > 0, default 0.1
        :math:`\eta` of the multipliers.
    regret : {"swap", "external"}, default "swap"
        Swap regret gives the guarantee when the proxies are not the constraints; external regret is the classical Lagrangian.
    radius : float > 0, optional
        :math:`R` of ``"external"``; default: no bound.

    Raises
    ------
    InputError
        When a value is out of range, or the number of proxies or constraints is another.

    Notes
    -----
    The guarantee is for the mixture of all weights met in training; the last ones may swing about the constraint.

    References
    ----------
    Cotter, Jiang & Sridharan, "Two-player games for efficient non-convex constrained optimization", ALT 2019, algorithms 1
    and 2; 01#proxy-lagrangian.
    """

    weights: Tensor
    matrix: Tensor

    def __init__(
        self, n_constraints: int, lr: float = 0.1, *, regret: str = "swap", radius: float | None = None
    ) -> None:
        super().__init__()
        check_number("ProxyLagrangian: lr", lr, 0.0, above=True)
        if regret not in ("swap", "external"):
            raise InputError(f"ProxyLagrangian: regret must be 'swap' or 'external', got {regret!r}.")
        if radius is not None:
            check_number("ProxyLagrangian: radius", radius, 0.0, above=True)
            if regret == "swap":
                raise InputError("ProxyLagrangian: radius bounds the multipliers of regret='external'; leave it out.")
        self.n_constraints = check_count("ProxyLagrangian: n_constraints", n_constraints)
        self.lr = float(lr)
        self.regret = regret
        self.radius = radius
        size = n_constraints + 1
        start = torch.full((size,), 1 / size, dtype=torch.float64)
        if regret == "external":
            start = torch.cat([torch.ones(1, dtype=torch.float64), torch.zeros(n_constraints, dtype=torch.float64)])
        self.register_buffer("weights", start)
        self.register_buffer("matrix", torch.full((size, size), 1 / size, dtype=torch.float64))

    @property
    def multipliers(self) -> Tensor:
        """The multipliers of the constraints in units of the objective's weight, (m,): comparable to KKT multipliers."""
        return self.weights[1:] / self.weights[0]

    def forward(self, objective: Tensor, proxies: Tensor) -> Tensor:
        """Return the weights' Lagrangian.

        Parameters
        ----------
        objective : scalar tensor
        proxies : tensor (m,)
            Differentiable upper bounds of the constraints, or the constraints themselves.

        Returns
        -------
        scalar tensor
        """
        self._count("proxies", proxies)
        weights = self.weights.to(objective)
        return weights[0] * objective + weights[1:] @ proxies

    @torch.no_grad()
    def update(self, constraints: Tensor) -> None:
        """Step the multipliers with the original constraints (m,); a positive value is a violation."""
        self._count("constraints", constraints)
        values = constraints.detach().to(self.weights)
        if self.regret == "external":
            self.weights[1:] = _project(self.weights[1:] + self.lr * values, self.radius)
            return
        gains = torch.cat([values.new_zeros(1), values])
        # Columns are scaled anyway: taking off the largest exponent of each keeps the exponential finite.
        exponents = self.lr * torch.outer(gains, self.weights)
        grown = self.matrix * torch.exp(exponents - exponents.max(0).values)
        self.matrix.copy_(grown / grown.sum(0))
        self.weights.copy_(_fixed_point(self.matrix))

    def _count(self, what: str, values: Tensor) -> None:
        if tuple(values.shape) != (self.n_constraints,):
            raise InputError(
                f"ProxyLagrangian of {self.n_constraints} constraints needs {what} of shape ({self.n_constraints},), "
                f"got {tuple(values.shape)}."
            )


def _fixed_point(matrix: Tensor) -> Tensor:
    """Return the distribution that a matrix with columns of sum 1 leaves as it is."""
    system = matrix - torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    system[-1] = 1.0  # one of the equations follows from the others; the sum takes its place
    right = torch.zeros(len(matrix), dtype=matrix.dtype, device=matrix.device)
    right[-1] = 1.0
    found: Tensor = torch.linalg.solve(system, right).clamp(min=0.0)
    return found


def _project(values: Tensor, radius: float | None) -> Tensor:
    """Return the nearest point with no negative entry and a sum of at most ``radius``."""
    if radius is None:
        return values.clamp(min=0.0)
    # The shift that brings the k largest entries to the sum; the right k is that of the largest shift.
    ordered = values.sort(descending=True).values
    shifts = (ordered.cumsum(0) - radius) / torch.arange(1, len(values) + 1, dtype=values.dtype, device=values.device)
    return (values - shifts.max().clamp(min=0.0)).clamp(min=0.0)
