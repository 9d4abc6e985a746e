"""The union of the margin softmax losses, with intra- and inter-class terms, and the annealing of a margin."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError, InputTypeError

from .margin_softmax import LSoftmaxLoss, _MarginLoss


class CombinedMarginLoss(_MarginLoss):
    r"""Unified margin softmax: multiplied and added angles, distances to the own and to other class directions.

    .. math:: L = -\ln \frac{e^{r \,\psi(m_1 \theta_y + m_2) - r m_3}}{e^{r \,\psi(m_1 \theta_y + m_2) - r m_3} +
        \sum_{j \ne y} e^{r_j \cos\theta_j}} + a \lVert f - W_y \rVert - \frac{b}{K - 1} \sum_{j \ne y} \lVert W_y - W_j \rVert

    with :math:`r_j = \lVert W_j \rVert \lVert f \rVert`, or a fixed scale, and
    :math:`\psi(\varphi) = (-1)^k \cos\varphi - 2k` for :math:`\varphi \in [k\pi, (k+1)\pi]`, which falls throughout.

    Parameters
    ----------
    n_features, n_classes : int, optional
        As in :class:`ArcFaceLoss`, also shapes and errors.
    m1 : float >= 1, default 1.0
        Multiplies the angle; m1 = m gives :class:`LSoftmaxLoss`.
    m2 : float in [0, π/2], default 0.3
        Added to the angle, radians; alone it is ArcFace up to θ = π - m2.
    m3 : float in [0, 2], default 0.0
        Taken from the cosine; alone it is AM-Softmax.
    scale : float > 0 or None, default None
        Fixed r; None multiplies the norms.
    intra, inter : float >= 0, default 0.0
        Weights a and b of the distances.
    reduction : "mean" (default), "sum" or "none"

    Notes
    -----
    m1 = 1 and m2 = m3 = 0 without distances is softmax cross-entropy. Within 1e-7 (float32) of the angles 0 and π, where the
    arc cosine has an infinite slope, the true class's cosine passes no gradient.

    References
    ----------
    Deng et al. 2019, section 2.2; spec ``01#margin-softmax-template``, ``01#arcface-ideas``.
    """

    def __init__(
        self,
        n_features: int | None = None,
        n_classes: int | None = None,
        m1: float = 1.0,
        m2: float = 0.3,
        m3: float = 0.0,
        scale: float | None = None,
        intra: float = 0.0,
        inter: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(n_features, n_classes, reduction)
        self.m1, self.m2 = check_number("m1", m1, 1), check_number("m2", m2, 0, math.pi / 2)
        self.m3 = check_number("m3", m3, 0, 2)
        self.scale = None if scale is None else check_number("scale", scale, 0, above=True)
        self.intra, self.inter = check_number("intra", intra, 0), check_number("inter", inter, 0)

    def _lengths(self, norms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if self.scale is None:
            return norms, lengths
        return torch.full_like(norms, self.scale), torch.ones_like(lengths)

    def _margin(self, cosine: Tensor) -> Tensor:
        if self.m1 == 1 and self.m2 == 0:
            return cosine - self.m3
        edge = 1 - torch.finfo(cosine.dtype).eps
        angle = self.m1 * torch.acos(cosine.clamp(-edge, edge)) + self.m2
        k = torch.floor(angle.detach() / math.pi)
        return (1 - 2 * (k % 2)) * torch.cos(angle) - 2 * k - self.m3

    def _added(self, values: Tensor, x: Tensor, target: Tensor) -> Tensor:
        if self.weight is None:
            directions = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        else:
            directions = self.weight.to(x.dtype)
        if self.intra:
            values = values + self.intra * (x - directions[target]).norm(dim=1)
        if self.inter:
            apart = (directions[target][:, None] - directions[None]).norm(dim=2)  # (n, k), 0 for the own class
            values = values - self.inter / (len(directions) - 1) * apart.sum(1)
        return values

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"m1={self.m1:g}, m2={self.m2:g}, m3={self.m3:g}, scale={self.scale}, reduction={self.reduction!r}"


class MarginAnnealing(nn.Module):
    r"""Lets the multiplicative margin of a loss come in slowly: from plain softmax toward the margin.

    .. math:: z_y = \lVert W_y \rVert \lVert f \rVert \frac{\lambda \cos\theta_y + \psi(\theta_y)}{1 + \lambda}, \qquad
        \lambda_t = \max(\lambda_{end}, \lambda_0 (1 + \gamma t)^{-p})

    Parameters
    ----------
    loss : LSoftmaxLoss or ASoftmaxLoss
        Its ``annealing`` is set before each batch.
    start : float > 0, default 1000.0
        λ of the first batch.
    end : float >= 0, default 5.0
    gamma : float >= 0, default 0.12
        Speed, per batch.
    power : float > 0, default 1.0

    Attributes
    ----------
    count : int64 tensor
        Training batches so far: calls in training mode with gradients enabled. Part of ``state_dict``.

    Shapes
    ------
    As of the loss.

    Raises
    ------
    InputError
        When a parameter is out of range, or end above start.
    InputTypeError
        When the loss has no margin to anneal.

    References
    ----------
    Liu et al. 2017, "SphereFace" (code); spec ``01#margin-annealing``.
    """

    count: Tensor

    def __init__(
        self, loss: LSoftmaxLoss, start: float = 1000.0, end: float = 5.0, gamma: float = 0.12, power: float = 1.0
    ) -> None:
        super().__init__()
        if not isinstance(loss, LSoftmaxLoss):
            raise InputTypeError(f"MarginAnnealing needs an LSoftmaxLoss or ASoftmaxLoss, got {type(loss).__name__}.")
        self.start = check_number("start", start, 0, above=True)
        self.end = check_number("end", end, 0)
        if self.end > self.start:
            raise InputError(f"end must not be above start: {end!r} > {start!r}.")
        self.gamma, self.power = check_number("gamma", gamma, 0), check_number("power", power, 0, above=True)
        self.loss = loss
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self._calls = 0  # the count on the host, so that no batch waits for the device
        self.loss.annealing = self.value

    @property
    def value(self) -> float:
        """λ of the next batch."""
        return max(self.end, float(self.start * (1 + self.gamma * self._calls) ** -self.power))

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss with the current λ; in training mode, count the batch."""
        self.loss.annealing = self.value
        found: Tensor = self.loss(input, target)
        if self.training and torch.is_grad_enabled():
            self._calls += 1
            self.count.fill_(self._calls)
        return found

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._calls = int(self.count)
