"""Batch normalization (Ioffe & Szegedy 2015) of features and images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError
from fivefold.models.nn._checks import floating, positive


class BatchNorm(nn.Module):
    r"""Standardize each feature or channel over the batch, then scale and shift it.

    .. math:: y = \gamma \frac{x - \mu_B}{\sqrt{\sigma_B^2 + \epsilon}} + \beta

    In training the statistics are those of the batch, over every axis but the second, with the biased variance
    :math:`\sigma_B^2 = \frac1m \sum (x - \mu_B)^2`, and gradients flow through them. In evaluation they are the running ones,
    :math:`\bar\mu \leftarrow (1 - \text{momentum})\, \bar\mu + \text{momentum}\, \mu_B`.

    Parameters
    ----------
    num_features : int >= 1
        Features (or channels) C.
    eps : float > 0, default 1e-5
        Added to the variance.
    momentum : float in [0, 1] or None, default 0.1
        Weight of the new value in the running statistics; None averages all batches equally.
    affine : bool, default True
        Learn the scale :math:`\gamma` (starts at 1) and the shift :math:`\beta` (starts at 0).
    track_running_stats : bool, default True
        Keep running statistics; without them evaluation uses those of its batch.
    unbiased : bool, default True
        Keep the running variance with m/(m-1), as the paper and PyTorch do; False keeps the biased one, as TensorFlow does.

    Shapes
    ------
    Input (N, C) or (N, C, *), output the same.

    Raises
    ------
    InputError
        For an input of another width, or a training batch with one value per channel, whose variance is zero.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    TensorFlow and several texts state the decay 1 - momentum instead; PyTorch's momentum weighs the *new* value. Only mean and
    variance are standardized, not the shape of the distribution.

    References
    ----------
    Ioffe & Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift".
    Spec: 02#batch-norm, 02#batch-norm-2d, 05#batch-normalization, 08#batch-norm.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        unbiased: bool = True,
    ) -> None:
        super().__init__()
        if momentum is not None and not 0 <= momentum <= 1:
            raise InputError(f"momentum must lie in [0, 1] or be None, got {momentum}.")
        self.num_features = check_count("num_features", num_features)
        self.eps = positive("eps", eps)
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.unbiased = unbiased
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(num_features) if track_running_stats else None)
        self.register_buffer("running_var", torch.ones(num_features) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if track_running_stats else None)

    def _update(self, mean: Tensor, variance: Tensor, count: int) -> None:
        self.num_batches_tracked.add_(1)
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        kept = variance * (count / (count - 1)) if self.unbiased else variance
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(kept.to(self.running_var.dtype), weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized batch, of the shape of ``x``."""
        floating("BatchNorm", x)
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise InputError(
                f"BatchNorm({self.num_features}) takes (N, {self.num_features}) or (N, {self.num_features}, *), "
                f"got {tuple(x.shape)}."
            )
        axes = [0, *range(2, x.ndim)]
        column = (1, -1, *[1] * (x.ndim - 2))  # lays (C,) along the second axis
        if self.training or not self.track_running_stats:
            count = x.numel() // self.num_features
            if self.training and count < 2:
                raise InputError(
                    f"Batch normalization in training needs more than one value per channel, got {tuple(x.shape)}; "
                    "use a larger batch."
                )
            variance, mean = torch.var_mean(x, dim=axes, correction=0)  # (C,), (C,)
            if self.training and self.track_running_stats:
                with torch.no_grad():
                    self._update(mean, variance, count)
        else:
            mean, variance = self.running_mean, self.running_var
        scale = torch.rsqrt(variance + self.eps)  # (C,)
        if self.weight is not None:
            scale = scale * self.weight
        y = (x - mean.view(column)) * scale.view(column)  # (N, C, *)
        return y if self.bias is None else y + self.bias.view(column)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}, unbiased={self.unbiased}"
        )
