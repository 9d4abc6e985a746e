"""Normalizations of weights: direction and length apart, spectral norm one, and a penalty on spectral norms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.models.nn._checks import positive


def _weight(layer: str, module: nn.Module) -> Tensor:
    weight = getattr(module, "weight", None)
    if not isinstance(weight, nn.Parameter) or weight.ndim < 2:
        raise InputError(
            f"{layer} goes around a module with a `weight` of at least two axes, got {type(module).__name__}."
        )
    return weight


def _norm(v: Tensor) -> Tensor:
    """Return the length of each row of a weight, with its axes kept."""
    return torch.linalg.vector_norm(v, dim=tuple(range(1, v.ndim)), keepdim=True)


class _LengthAndDirection(nn.Module):
    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        return v * (g / _norm(v))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return _norm(weight), weight


class WeightNorm(nn.Module):
    r"""A layer whose weights are learned as lengths and directions.

    .. math:: w = g \frac{v}{\lVert v \rVert}, \qquad \nabla_v = \frac{g}{\lVert v \rVert}
        \Big(I - \frac{v v^T}{\lVert v \rVert^2}\Big) \nabla_w

    Parameters
    ----------
    module : nn.Module
        A layer with a weight (out, *), for example :class:`Dense` or :class:`Conv2d`; its weight becomes g, one for each
        output, and v. It starts as it was.

    Shapes
    ------
    Those of the module.

    Raises
    ------
    InputError
        For a module without such a weight.

    Notes
    -----
    The gradient of v is orthogonal to v, so its length only grows and the effective step shrinks.

    References
    ----------
    Salimans & Kingma 2016, "Weight Normalization". Spec: 05#weight-norm.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        _weight("WeightNorm", module)
        parametrize.register_parametrization(module, "weight", _LengthAndDirection())
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:
        """Return what the module returns."""
        return self.module(*inputs)


class _LargestOne(nn.Module):
    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, iterations: int, eps: float) -> None:
        super().__init__()
        self.iterations, self.eps = iterations, eps
        matrix = weight.detach().flatten(1)
        self.register_buffer("u", nn.functional.normalize(torch.randn(matrix.shape[0]), dim=0, eps=eps).to(matrix))
        self.register_buffer("v", nn.functional.normalize(torch.randn(matrix.shape[1]), dim=0, eps=eps).to(matrix))
        self._iterate(matrix, 15)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor, times: int) -> None:
        u, v = self.u, self.v
        for _ in range(times):
            u = nn.functional.normalize(matrix @ v, dim=0, eps=self.eps)
            v = nn.functional.normalize(matrix.T @ u, dim=0, eps=self.eps)
        # Others in their place, not written over: the gradient of this pass, compiled or not, still needs those it read.
        self.u, self.v = u, v

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        if self.training:
            self._iterate(matrix.detach(), self.iterations)
        sigma = self.u @ matrix @ self.v
        return weight / sigma

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


class SpectralNorm(nn.Module):
    r"""A layer whose weight, seen as a matrix (out, rest), has the largest singular value one.

    .. math:: \bar W = W / \sigma(W), \quad \sigma(W) \approx u^T W v, \quad
        u \leftarrow \frac{W v}{\lVert W v \rVert},\ v \leftarrow \frac{W^T u}{\lVert W^T u \rVert}

    Parameters
    ----------
    module : nn.Module
        A layer with a weight (out, *), for example :class:`Dense` or :class:`Conv2d`.
    n_power_iterations : int >= 1, default 1
        Steps of the power iteration at each training pass; it starts with 15.
    eps : float > 0, default 1e-12
        Keeps vectors of length zero from dividing by it.

    Shapes
    ------
    Those of the module.

    Raises
    ------
    InputError
        For a module without such a weight.

    Notes
    -----
    A dense layer becomes Lipschitz with constant one, which bounds a critic's gradients; of a convolution it is the norm of
    the reshaped kernel, not of the operator. u and v are held constant in the gradient. Not to be confused with the penalty of
    Yoshida & Miyato, :class:`SpectralNormPenalty`.

    References
    ----------
    Miyato, Kataoka, Koyama & Yoshida 2018, "Spectral Normalization for Generative Adversarial Networks".
    Spec: 06#spectral-norm.
    """

    def __init__(self, module: nn.Module, n_power_iterations: int = 1, eps: float = 1e-12) -> None:
        super().__init__()
        check_count("n_power_iterations", n_power_iterations), positive("eps", eps)
        rule = _LargestOne(_weight("SpectralNorm", module), n_power_iterations, eps)
        parametrize.register_parametrization(module, "weight", rule)
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:
        """Return what the module returns."""
        return self.module(*inputs)


class SpectralNormPenalty(nn.Module):
    r"""Half the sum of squared largest singular values of a network's weights, to be added to a loss.

    .. math:: R = \frac{\lambda}{2} \sum_l \sigma(W^l)^2, \qquad \nabla_{W^l} R = \lambda\, \sigma\, u v^T

    Parameters
    ----------
    strength : float >= 0, default 0.01
        :math:`\lambda`.
    n_power_iterations : int >= 1, default 20
        Steps of the power iteration at each call, from a start that is the same each time.

    Shapes
    ------
    A weight (out, *) or a module; output a scalar.

    Raises
    ------
    InputError
        For a negative strength, a weight with fewer than two axes, or a module without weights of at least two axes.

    Notes
    -----
    A source heads this method "Spectrum Normalization"; 1705.10941 is this penalty, and :class:`SpectralNorm` is 1802.05957.

    References
    ----------
    Yoshida & Miyato 2017, "Spectral Norm Regularization for Improving the Generalizability of Deep Learning".
    Spec: 05#spectral-norm-reg.
    """

    def __init__(self, strength: float = 0.01, n_power_iterations: int = 20) -> None:
        super().__init__()
        if strength < 0:
            raise InputError(f"strength must be at least 0, got {strength}.")
        self.strength = strength
        self.n_power_iterations = check_count("n_power_iterations", n_power_iterations)

    def forward(self, weights: Tensor | nn.Module) -> Tensor:
        """Return the penalty of one weight, or of every weight with at least two axes in a module."""
        if isinstance(weights, nn.Module):
            found = [p for p in weights.parameters() if p.ndim >= 2]
            if not found:
                raise InputError("The module has no weight of at least two axes.")
        elif weights.ndim < 2:
            raise InputError(f"A spectral norm needs a weight of at least two axes, got {tuple(weights.shape)}.")
        else:
            found = [weights]
        return self.strength / 2 * torch.stack([self._largest(w.flatten(1)) ** 2 for w in found]).sum()

    def _largest(self, matrix: Tensor) -> Tensor:
        with torch.no_grad():
            # A row would be a cheaper start, but may be orthogonal to the leading direction; a random one is not.
            source = Streams(0).torch("spectral norm")  # any value: a start, whose direction the iteration forgets
            start = torch.randn(matrix.shape[1], generator=source, dtype=torch.float64)
            v = start.to(matrix)
            for _ in range(self.n_power_iterations):
                u = nn.functional.normalize(matrix @ v, dim=0)
                v = nn.functional.normalize(matrix.T @ u, dim=0)
        return u @ matrix @ v
