"""Normalizations that do not look across the batch: layer, group, instance, adaptive instance, and local response."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.checks import check_count, check_number
from fivefold.base.errors import InputError
from fivefold.models.nn._checks import channels, floating, positive


class LayerNorm(nn.Module):
    r"""Standardize each example over its last axes, then scale and shift every feature.

    .. math:: y = \gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    Parameters
    ----------
    normalized_shape : int or sequence of int >= 1
        The last axes, over which mean and biased variance are taken.
    eps : float > 0, default 1e-5
        Added to the variance.
    elementwise_affine : bool, default True
        Learn the scale (starts at 1) and the shift (starts at 0).

    Shapes
    ------
    Input (*, normalized_shape), output the same.

    Raises
    ------
    InputError
        For an input that does not end in those axes.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    Batches of one example work, and training and evaluation are the same. The kernel is PyTorch's fused one. Over (C, H, W) of
    images with a scale for each channel it is :class:`GroupNorm` with one group.

    References
    ----------
    Ba, Kiros & Hinton 2016, "Layer Normalization".
    Spec: 02#layer-norm, 02#layer-norm-2d, 05#layer-norm, 06#layer-norm, 08#layer-norm.
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True
    ) -> None:
        super().__init__()
        shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        if not shape:
            raise InputError("normalized_shape must have at least one axis, got none.")
        self.normalized_shape = tuple(check_count("normalized_shape", side) for side in shape)
        self.eps = positive("eps", eps)
        self.weight = nn.Parameter(torch.ones(shape)) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros(shape)) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized examples, of the shape of ``x``."""
        floating("LayerNorm", x)
        if tuple(x.shape[-len(self.normalized_shape) :]) != self.normalized_shape:
            raise InputError(f"LayerNorm takes inputs that end in {self.normalized_shape}, got {tuple(x.shape)}.")
        return functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(nn.Module):
    r"""Standardize each example over groups of channels and all places, then scale and shift every channel.

    .. math:: y_c = \gamma_c \frac{x_c - \mu_g}{\sqrt{\sigma_g^2 + \epsilon}} + \beta_c, \quad g = \lfloor c G / C \rfloor

    Parameters
    ----------
    num_groups : int >= 1
        Groups G (32 in the paper); 1 is layer norm, C instance norm.
    num_channels : int >= 1
        Channels C, a multiple of G.
    eps : float > 0, default 1e-5
    affine : bool, default True
        Learn the scale (starts at 1) and the shift (starts at 0).

    Shapes
    ------
    Input (N, C, *), output the same.

    Raises
    ------
    InputError
        For groups that do not divide the channels, or an input with other channels.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    The kernel is PyTorch's fused one.

    References
    ----------
    Wu & He 2018, "Group Normalization". Spec: 02#group-norm, 05#group-norm.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.num_groups = check_count("num_groups", num_groups)
        self.num_channels = check_count("num_channels", num_channels)
        if num_channels % num_groups:
            raise InputError(f"num_groups must divide the {num_channels} channels, got {num_groups}.")
        self.eps = positive("eps", eps)
        self.weight = nn.Parameter(torch.ones(num_channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized examples, of the shape of ``x``."""
        channels("GroupNorm", x, self.num_channels)
        return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class InstanceNorm(nn.Module):
    r"""Standardize each channel of each example over its places, then scale and shift it.

    .. math:: y_{nc} = \gamma_c \frac{x_{nc} - \mu_{nc}}{\sqrt{\sigma_{nc}^2 + \epsilon}} + \beta_c

    Parameters
    ----------
    num_features : int >= 1
        Channels C.
    eps : float > 0, default 1e-5
    affine : bool, default True
        Learn the scale and the shift; ``torch.nn.InstanceNorm2d`` does so only when asked.

    Shapes
    ------
    Input (N, C, *) with at least one further axis, output the same.

    Raises
    ------
    InputError
        For other channels, or examples with one place for each channel, whose variance is zero.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    It removes contrast, and with it style. The kernel is PyTorch's.

    References
    ----------
    Ulyanov, Vedaldi & Lempitsky 2016, "Instance Normalization". Spec: 02#instance-norm, 05#instance-norm, 06#instance-norm.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.num_features = check_count("num_features", num_features)
        self.eps = positive("eps", eps)
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized examples, of the shape of ``x``."""
        channels("InstanceNorm", x, self.num_features)
        _places("InstanceNorm", x)
        return functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"{self.num_features}, eps={self.eps}"


class AdaptiveInstanceNorm(nn.Module):
    r"""Give each channel of a content the mean and the deviation of a style.

    .. math:: \mathrm{AdaIN}(x, y) = \sigma(y)\, \frac{x - \mu(x)}{\sigma(x)} + \mu(y)

    Parameters
    ----------
    eps : float > 0, default 1e-5
        Added to both variances.

    Shapes
    ------
    Content (N, C, *) and style (N, C, *), which may have other places; output like the content.

    Raises
    ------
    InputError
        For a style with other examples or channels, or inputs with one place for each channel.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    Nothing is learned: scale and shift are the style's. A source's parentheses multiply the style's mean by its deviation too;
    the form above is right.

    References
    ----------
    Huang & Belongie 2017, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization".
    Spec: 02#adain, 06#instance-norm.
    """

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = positive("eps", eps)

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Return the content with the style's statistics, of the shape of ``content``."""
        for name, tensor in (("content", content), ("style", style)):
            floating(f"AdaptiveInstanceNorm, {name},", tensor)
            _places("AdaptiveInstanceNorm", tensor)
        if content.shape[:2] != style.shape[:2]:
            raise InputError(
                f"Content and style must have the same examples and channels, got {tuple(content.shape)} and "
                f"{tuple(style.shape)}."
            )
        variance, mean = torch.var_mean(content.flatten(2), 2, correction=0, keepdim=True)  # (N, C, 1)
        new_variance, new_mean = torch.var_mean(style.flatten(2), 2, correction=0, keepdim=True)
        scale = torch.sqrt((new_variance + self.eps) / (variance + self.eps))
        return ((content.flatten(2) - mean) * scale + new_mean).view_as(content)


class LocalResponseNorm(nn.Module):
    r"""Let strong channels inhibit their neighbors at the same place.

    .. math:: y_c = x_c \Big/ \Big(k + \alpha \sum_{l=\max(0, c-r)}^{\min(C-1, c+r)} x_l^2\Big)^{\beta}

    Parameters
    ----------
    depth_radius : int >= 0, default 2
        Neighbors r on either side.
    alpha : float >= 0, default 1e-4
        Weight of the sum, not divided by the number of neighbors.
    beta : float, default 0.75
    k : float > 0, default 2

    Shapes
    ------
    Input (N, C, *), output the same.

    Raises
    ------
    InputError
        For an input without channels, a negative alpha, or a k that is not above 0.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    As in the paper and TensorFlow; ``torch.nn.LocalResponseNorm(size=2r+1)`` divides alpha by the size, so its alpha is 2r+1
    times this one. AlexNet: r 2, k 2, alpha 1e-4, beta 0.75, after the activation and before pooling.

    References
    ----------
    Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks".
    Spec: 02#local-response-norm.
    """

    def __init__(self, depth_radius: int = 2, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.depth_radius = check_count("depth_radius", depth_radius, 0)
        # Below 0 the sum could outweigh k, and a power of a negative number is none.
        if not 0 <= alpha < math.inf:
            raise InputError(f"alpha must be a finite number of at least 0, got {alpha}.")
        self.alpha = alpha
        self.beta = check_number("beta", beta)
        self.k = positive("k", k)

    def forward(self, x: Tensor) -> Tensor:
        """Return the inhibited activations, of the shape of ``x``."""
        floating("LocalResponseNorm", x)
        if x.ndim < 2:
            raise InputError(f"LocalResponseNorm takes (N, C, *), got {tuple(x.shape)}.")
        r = self.depth_radius
        squares = functional.pad((x * x).flatten(2) if x.ndim > 2 else (x * x)[..., None], (0, 0, r, r))
        sums = squares.unfold(1, 2 * r + 1, 1).sum(-1).view_as(x)  # (N, C, *)
        return x * (self.k + self.alpha * sums).pow(-self.beta)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"depth_radius={self.depth_radius}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _places(layer: str, x: Tensor) -> None:
    if x.ndim < 3 or math.prod(x.shape[2:]) < 2:
        raise InputError(f"{layer} takes (N, C, *) with at least two places for each channel, got {tuple(x.shape)}.")
