"""Softmax losses with a margin on the angle of the true class: ArcFace, AM-, A- and L-Softmax and their union."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputError

from ._common import check_classes, check_float, check_reduction, reduce, root, wide
from ._odds import own_and_others


def psi(cosine: Tensor, m: int) -> Tensor:
    r"""Return :math:`\psi(\theta) = (-1)^k \cos(m\theta) - 2k` for :math:`\theta \in [k\pi/m, (k+1)\pi/m]`.

    It falls from 1 at θ = 0 to 1 - 2m at π, without a jump. The cosine of the multiple angle is Chebyshev's polynomial
    :math:`T_m(\cos\theta)`, so no arc cosine and no infinite slope is needed.

    Parameters
    ----------
    cosine : tensor of cos θ, any shape
    m : int >= 1
    """
    before, multiple = torch.ones_like(cosine), cosine
    for _ in range(m - 1):
        before, multiple = multiple, 2 * cosine * multiple - before
    edges = torch.tensor([math.cos(k * math.pi / m) for k in range(1, m)], dtype=cosine.dtype, device=cosine.device)
    k = (cosine.detach()[..., None] < edges).sum(-1)  # any value: at an edge both pieces meet
    sign = (1 - 2 * (k % 2)).to(cosine.dtype)
    return sign * multiple - 2 * k.to(cosine.dtype)


def _check_multiple(m: int) -> int:
    if not isinstance(m, int) or isinstance(m, bool) or m < 1:
        raise InputError(f"m must be an integer >= 1, got {m!r}.")
    return m


class _MarginLoss(nn.Module):
    """Cross-entropy of scaled cosines between embeddings and class directions, that of the true class made smaller."""

    def __init__(self, n_features: int | None, n_classes: int | None, reduction: str) -> None:
        super().__init__()
        if (n_features is None) != (n_classes is None) or (n_features or 1) < 1 or (n_classes or 2) < 2:
            raise InputError(
                f"Give both n_features >= 1 and n_classes >= 2, or neither; got {n_features!r} and {n_classes!r}."
            )
        self.reduction = check_reduction(reduction)
        self.weight: nn.Parameter | None = None
        size = [n for n in (n_classes, n_features) if n is not None]
        if size:
            self.weight = nn.Parameter(torch.empty(size))
            nn.init.xavier_uniform_(self.weight)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the loss of embeddings (n, d) with class indices (n,)."""
        name = type(self).__name__
        check_float(name, input)
        x = wide(input)
        if self.weight is None:
            check_classes(name, input, target)
            lengths = x.new_ones((1, x.shape[1]))  # classes lie on the axes
        else:
            weight = self.weight.to(x.dtype)
            if input.ndim != 2 or input.shape[1] != weight.shape[1]:
                raise DataError(f"{name} needs embeddings (n, {weight.shape[1]}), got shape {tuple(input.shape)}.")
            check_classes(name, input[:, :1].expand(-1, len(weight)), target)
            lengths = weight.norm(dim=1)[None]  # (1, k)
        if x.ndim != 2:
            raise DataError(f"{name} needs embeddings (n, d), got shape {tuple(input.shape)}.")
        norms = x.norm(dim=1, keepdim=True)  # (n, 1)
        # Embeddings and directions are brought to the lengths that the loss gives them, before the product: its entries are
        # scaled cosines. A vanishing one has no angle: its cosine is 0, and its slope stays finite.
        left, right = self._lengths(norms, lengths)
        scaled = x if left is norms else x * (left / _nonzero(norms))
        if self.weight is None:
            logits = scaled
        else:
            logits = scaled @ (weight if right is lengths else weight * (right / _nonzero(lengths)).T).T  # (n, k)
        own, others = own_and_others(logits, target)
        scale = left.squeeze(1) * right.squeeze(0)[target]  # (n,)
        own = scale * self._margin(own / _nonzero(scale))
        values = -functional.logsigmoid(own - others)
        return reduce(name, self._added(values, x, target), self.reduction, input.dtype, sample_weight)

    def _lengths(self, norms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lengths that embeddings (n, 1) and directions (1, k) are given, from those they have."""
        raise NotImplementedError

    def _margin(self, cosine: Tensor) -> Tensor:
        raise NotImplementedError

    def _added(self, values: Tensor, x: Tensor, target: Tensor) -> Tensor:
        return values


def _nonzero(lengths: Tensor) -> Tensor:
    return torch.where(lengths > 1e-12, lengths, torch.ones_like(lengths))  # any value: below the length of a direction


def _shifted(cosine: Tensor, margin: float) -> Tensor:
    """Return cos(θ + margin) without arc cosine; the slope of sin θ is cut off where it is infinite."""
    square = 1 - cosine * cosine
    flat = square <= torch.finfo(cosine.dtype).eps  # any value: the rounding of the square
    sine = root(square.masked_fill(flat, 0))
    return cosine * math.cos(margin) - sine * math.sin(margin)


class ArcFaceLoss(_MarginLoss):
    r"""ArcFace: an additive margin on the angle between an embedding and the direction of its class.

    .. math:: L = -\ln \frac{e^{s \cos(\theta_y + m)}}{e^{s \cos(\theta_y + m)} + \sum_{j \ne y} e^{s \cos \theta_j}}

    Parameters
    ----------
    n_features, n_classes : int, optional
        Size of the embedding and number of classes: directions are learned, in :attr:`weight`. Without them embeddings have
        one entry for each class and the directions are the axes, fixed.
    margin : float in [0, π/2], default 0.5
        Radians.
    scale : float > 0, default 64.0
    monotone : bool, default True
        Beyond θ = π - m, where cos(θ + m) would rise again, use cos θ - m sin m, as InsightFace does; False leaves the formula.
    reduction : "mean" (default), "sum" or "none"
        The mean is over rows, or weighted by sample weights; over no rows it is 0.

    Attributes
    ----------
    weight : Parameter of shape (n_classes, n_features), or None
        Give it to the optimizer with those of the network.

    Shapes
    ------
    input : embeddings (n, d); target : class indices (n,); sample_weight : (n,); output : scalar, or (n,) with
    ``reduction="none"``

    Raises
    ------
    InputError
        When a parameter is out of range.
    DataError
        When shapes do not fit or a class index is out of range.

    References
    ----------
    Deng et al. 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition"; spec ``01#arcface``,
    ``07#face-margin-losses``.
    """

    def __init__(
        self,
        n_features: int | None = None,
        n_classes: int | None = None,
        margin: float = 0.5,
        scale: float = 64.0,
        monotone: bool = True,
        reduction: str = "mean",
    ) -> None:
        super().__init__(n_features, n_classes, reduction)
        self.margin = check_number("margin", margin, 0, math.pi / 2)
        self.scale = check_number("scale", scale, 0, above=True)
        self.monotone = bool(monotone)

    def _lengths(self, norms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(norms, self.scale), torch.ones_like(lengths)

    def _margin(self, cosine: Tensor) -> Tensor:
        shifted = _shifted(cosine, self.margin)
        if not self.monotone:
            return shifted
        return torch.where(cosine > -math.cos(self.margin), shifted, cosine - self.margin * math.sin(self.margin))

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"margin={self.margin:g}, scale={self.scale:g}, reduction={self.reduction!r}"


class AMSoftmaxLoss(_MarginLoss):
    r"""Additive-margin softmax (CosFace): the cosine of the true class is lowered by a margin.

    .. math:: L = -\ln \frac{e^{s (\cos\theta_y - m)}}{e^{s (\cos\theta_y - m)} + \sum_{j \ne y} e^{s \cos\theta_j}}

    Parameters
    ----------
    n_features, n_classes : int, optional
        As in :class:`ArcFaceLoss`, also shapes, reduction and errors.
    margin : float in [0, 2], default 0.35
    scale : float > 0, default 30.0
    reduction : "mean" (default), "sum" or "none"

    References
    ----------
    Wang, Cheng et al. 2018, "Additive Margin Softmax"; Wang, Wang et al. 2018, "CosFace"; spec ``01#am-softmax``,
    ``07#face-margin-losses``.
    """

    def __init__(
        self,
        n_features: int | None = None,
        n_classes: int | None = None,
        margin: float = 0.35,
        scale: float = 30.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(n_features, n_classes, reduction)
        self.margin = check_number("margin", margin, 0, 2)
        self.scale = check_number("scale", scale, 0, above=True)

    def _lengths(self, norms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(norms, self.scale), torch.ones_like(lengths)

    def _margin(self, cosine: Tensor) -> Tensor:
        return cosine - self.margin

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"margin={self.margin:g}, scale={self.scale:g}, reduction={self.reduction!r}"


class LSoftmaxLoss(_MarginLoss):
    r"""Large-margin softmax: the angle of the true class is multiplied by m.

    .. math:: L = -\ln \frac{e^{\lVert W_y \rVert \lVert f \rVert \psi(\theta_y)}}
        {e^{\lVert W_y \rVert \lVert f \rVert \psi(\theta_y)} + \sum_{j \ne y} e^{\lVert W_j \rVert \lVert f \rVert \cos\theta_j}}

    with :math:`\psi` of :func:`psi`.

    Parameters
    ----------
    n_features, n_classes : int, optional
        As in :class:`ArcFaceLoss`, also shapes, reduction and errors.
    m : int >= 1, default 2
        1 is softmax cross-entropy without bias.
    annealing : float >= 0, default 0.0
        λ of the mixture :math:`(\lambda \cos\theta_y + \psi(\theta_y)) / (1 + \lambda)`, an attribute that may be changed
        between batches: see :class:`MarginAnnealing`.
    reduction : "mean" (default), "sum" or "none"

    Notes
    -----
    ψ is cut at kπ/m; a source prints the boundary value cos(π/m) where cos(m · π/m) = -1 belongs, with which ψ would jump.
    Gradients go through the norms too, which the source's forget.

    References
    ----------
    Liu et al. 2016, "Large-Margin Softmax Loss for Convolutional Neural Networks"; spec ``01#l-softmax``.
    """

    def __init__(
        self,
        n_features: int | None = None,
        n_classes: int | None = None,
        m: int = 2,
        annealing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(n_features, n_classes, reduction)
        self.m = _check_multiple(m)
        self.annealing = check_number("annealing", annealing, 0)

    def _lengths(self, norms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return norms, lengths

    def _margin(self, cosine: Tensor) -> Tensor:
        value = psi(cosine, self.m)
        return (self.annealing * cosine + value) / (1 + self.annealing) if self.annealing else value

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"m={self.m}, annealing={self.annealing:g}, reduction={self.reduction!r}"


class ASoftmaxLoss(LSoftmaxLoss):
    r"""Angular softmax (SphereFace): as :class:`LSoftmaxLoss`, with class directions of length 1.

    .. math:: L = -\ln \frac{e^{\lVert f \rVert \psi(\theta_y)}}
        {e^{\lVert f \rVert \psi(\theta_y)} + \sum_{j \ne y} e^{\lVert f \rVert \cos\theta_j}}

    Parameters
    ----------
    n_features, n_classes : int, optional
        As in :class:`ArcFaceLoss`, also shapes, reduction and errors.
    m : int >= 1, default 4
        1 is the modified softmax.
    annealing : float >= 0, default 0.0
        As in :class:`LSoftmaxLoss`; SphereFace falls from 1000 to 5.
    reduction : "mean" (default), "sum" or "none"

    References
    ----------
    Liu et al. 2017, "SphereFace: Deep Hypersphere Embedding for Face Recognition"; spec ``01#a-softmax``,
    ``07#face-margin-losses``.
    """

    def __init__(
        self,
        n_features: int | None = None,
        n_classes: int | None = None,
        m: int = 4,
        annealing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(n_features, n_classes, m, annealing, reduction)

    def _lengths(self, norms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return norms, torch.ones_like(lengths)
