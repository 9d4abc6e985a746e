"""Relatives of batch normalization: renormalization, and the learned mix with instance normalization."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError
from fivefold.models.nn._checks import channels, positive


class BatchRenorm(nn.Module):
    r"""Batch normalization whose training output is corrected towards the running statistics.

    .. math:: y = \gamma \Big(\frac{x - \mu_B}{\sigma_B} r + d\Big) + \beta, \quad
        r = \mathrm{clip}\Big(\frac{\sigma_B}{\sigma}, \frac{1}{r_{max}}, r_{max}\Big), \quad
        d = \mathrm{clip}\Big(\frac{\mu_B - \mu}{\sigma}, -d_{max}, d_{max}\Big)

    No gradient flows through r and d. In evaluation the running :math:`\mu, \sigma` are used alone.

    Parameters
    ----------
    num_features : int >= 1
        Features (or channels) C.
    r_max : float >= 1, default 3
        Bound of the scale; 1 with ``d_max`` 0 is batch normalization.
    d_max : float >= 0, default 5
        Bound of the shift.
    eps : float > 0, default 1e-3
        Added to the variance, in the batch and in evaluation; :math:`\sigma_B` and :math:`\sigma` include it.
    momentum : float in [0, 1], default 0.01
        Weight of the new value in the running mean and the running deviation.
    affine : bool, default True

    Shapes
    ------
    Input (N, C) or (N, C, *), output the same.

    Raises
    ------
    InputError
        For bounds outside their ranges, an input of another width, or a training batch with one value per channel.

    Notes
    -----
    The attributes ``r_max`` and ``d_max`` may change in training: the paper starts at batch normalization and widens them.
    The running variance keeps the batch's biased variance.

    References
    ----------
    Ioffe 2017, "Batch Renormalization: Towards Reducing Minibatch Dependence in Batch-Normalized Models".
    Spec: 05#batch-renorm.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        num_features: int,
        r_max: float = 3.0,
        d_max: float = 5.0,
        eps: float = 1e-3,
        momentum: float = 0.01,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = check_count("num_features", num_features)
        if not (r_max >= 1 and d_max >= 0):
            raise InputError(f"r_max must be at least 1 and d_max at least 0, got {r_max} and {d_max}.")
        if not 0 <= momentum <= 1:
            raise InputError(f"momentum must lie in [0, 1], got {momentum}.")
        self.r_max, self.d_max = float(r_max), float(d_max)
        self.eps = positive("eps", eps)
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized batch, of the shape of ``x``."""
        channels("BatchRenorm", x, self.num_features)
        axes = [0, *range(2, x.ndim)]
        column = (1, -1, *[1] * (x.ndim - 2))
        if not self.training:
            y = (x - self.running_mean.view(column)) * torch.rsqrt(self.running_var + self.eps).view(column)
        else:
            if x.numel() // self.num_features < 2:
                raise InputError(
                    f"BatchRenorm in training needs more than one value per channel, got {tuple(x.shape)}."
                )
            variance, mean = torch.var_mean(x, dim=axes, correction=0)
            deviation = torch.sqrt(variance + self.eps)
            with torch.no_grad():
                kept = torch.sqrt(self.running_var + self.eps)
                r = (deviation / kept).clamp(1 / self.r_max, self.r_max)
                d = ((mean - self.running_mean) / kept).clamp(-self.d_max, self.d_max)
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
                self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
            y = (x - mean.view(column)) * (r / deviation).view(column) + d.view(column)
        return _affine(y, self.weight, self.bias, column)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"{self.num_features}, r_max={self.r_max}, d_max={self.d_max}, eps={self.eps}, momentum={self.momentum}"


class BatchInstanceNorm(nn.Module):
    r"""A learned mix of batch and instance normalization for each channel: keep the style that helps, remove the rest.

    .. math:: y = \big(\rho_c\, \hat x^{(B)} + (1 - \rho_c)\, \hat x^{(I)}\big) \gamma_c + \beta_c, \quad \rho_c \in [0, 1]

    Parameters
    ----------
    num_features : int >= 1
        Channels C.
    eps : float > 0, default 1e-5
        Added to both variances.
    momentum : float in [0, 1], default 0.1
        Weight of the new value in the running statistics of the batch part.
    rho : float in [0, 1], default 1
        First value of the mixing weights: 1 is batch normalization, 0 instance normalization.

    Shapes
    ------
    Input (N, C, *) with at least one further axis, output the same.

    Raises
    ------
    InputError
        For other channels, or examples with one place for each channel.

    Notes
    -----
    Each pass first clips :math:`\rho` to [0, 1], as the paper does after every update; ``project()`` does it at any other
    time. A source keeps no running statistics, so that its evaluation depends on the batch; here evaluation uses the
    running ones, with the unbiased variance of PyTorch.

    References
    ----------
    Nam & Kim 2018, "Batch-Instance Normalization for Adaptively Style-Invariant Neural Networks".
    Spec: 02#batch-instance-norm.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, rho: float = 1.0) -> None:
        super().__init__()
        self.num_features = check_count("num_features", num_features)
        self.eps = positive("eps", eps)
        if not 0 <= rho <= 1:
            raise InputError(f"rho must lie in [0, 1], got {rho}.")
        if not 0 <= momentum <= 1:
            raise InputError(f"momentum must lie in [0, 1], got {momentum}.")
        self.momentum = momentum
        self.rho = nn.Parameter(torch.full((num_features,), float(rho)))
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def project(self) -> None:
        """Clip the mixing weights to [0, 1]."""
        # Through `.data`: a second pass before backward finds the values in range and must not mark them as changed.
        self.rho.data.clamp_(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized batch, of the shape of ``x``."""
        channels("BatchInstanceNorm", x, self.num_features)
        if x.ndim < 3 or x[0, 0].numel() < 2:
            raise InputError(
                f"BatchInstanceNorm takes (N, C, *) with at least two places for each channel, got {tuple(x.shape)}."
            )
        if self.rho.is_leaf:
            self.project()
        flat = x.flatten(2)  # (N, C, L)
        column = (1, -1, 1)
        if self.training:
            variance, mean = torch.var_mean(flat, dim=(0, 2), correction=0)
            count = flat.shape[0] * flat.shape[2]
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
                kept = variance * (count / (count - 1))
                self.running_var.lerp_(kept.to(self.running_var.dtype), self.momentum)
        else:
            mean, variance = self.running_mean, self.running_var
        batch = (flat - mean.view(column)) * torch.rsqrt(variance + self.eps).view(column)
        own_variance, own_mean = torch.var_mean(flat, dim=2, correction=0, keepdim=True)  # (N, C, 1)
        instance = (flat - own_mean) * torch.rsqrt(own_variance + self.eps)
        mixed = torch.lerp(instance, batch, self.rho.view(column).expand_as(batch))
        return _affine(mixed, self.weight, self.bias, column).view_as(x)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None, column: tuple[int, ...]) -> Tensor:
    # Both are there or neither.
    return y if weight is None else y * weight.view(column) + bias.view(column)  # type: ignore[union-attr]
