"""Activations: the rectifier family, the saturating ones, swish, softmax and its relaxed sample, and maxout."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.checks import check_count, check_number
from fivefold.base.errors import InputError
from fivefold.models.nn._checks import floating, last_width, positive


class ReLU(nn.Module):
    r"""The rectifier: what is negative becomes zero.

    .. math:: f(x) = \max(0, x), \quad f'(x) = 1[x > 0]

    Shapes
    ------
    Input (*), output the same.

    Raises
    ------
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    At 0 any slope in [0, 1] is a subgradient; the sources take 1 or leave it open, PyTorch and this layer take 0. The kernel
    is PyTorch's. An infinite sum of shifted sigmoids is the softplus, of which the rectifier is an approximation.

    References
    ----------
    Nair & Hinton 2010, "Rectified Linear Units Improve Restricted Boltzmann Machines".
    Spec: 02#relu-activation, 05#relu, 08#activations-b, 08#activations-basic.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations, of the shape of ``x``."""
        floating("ReLU", x)
        return functional.relu(x)


class LeakyReLU(nn.Module):
    r"""A rectifier that keeps a small slope for negative inputs, so that no unit dies.

    .. math:: f(x) = x \text{ if } x > 0 \text{ else } a x

    Parameters
    ----------
    negative_slope : float, default 0.01
        The slope a.

    Shapes
    ------
    Input (*), output the same.

    Raises
    ------
    InputError
        For a slope outside [0, 1].
    InputTypeError
        For a tensor of integers.

    References
    ----------
    Maas, Hannun & Ng 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic Models".
    Spec: 02#leaky-relu, 05#leaky-relu, 08#activations-b.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        if not 0 <= negative_slope <= 1:
            raise InputError(f"negative_slope must lie in [0, 1], got {negative_slope}.")
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations, of the shape of ``x``."""
        floating("LeakyReLU", x)
        return functional.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"negative_slope={self.negative_slope}"


class PReLU(nn.Module):
    r"""A leaky rectifier whose slope is learned, one for all channels or one for each.

    .. math:: f(x) = x \text{ if } x > 0 \text{ else } a x, \quad
        \frac{\partial f}{\partial a} = 0 \text{ if } x > 0 \text{ else } x

    Parameters
    ----------
    num_parameters : int >= 1, default 1
        One shared slope, or the number of channels on the second axis.
    init : float, default 0.25
        First value of the slopes.

    Shapes
    ------
    Input (*) with one slope, (N, C, *) with C slopes; output the same.

    Raises
    ------
    InputError
        For an input with another number of channels, or a first value that is not finite.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    Weight decay would pull the slopes to 0, the plain rectifier; the paper applies none to them.

    References
    ----------
    He, Zhang, Ren & Sun 2015, "Delving Deep into Rectifiers". Spec: 02#prelu, 05#prelu, 08#activations-b.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.num_parameters = check_count("num_parameters", num_parameters)
        self.init = check_number("init", init)
        self.weight = nn.Parameter(torch.full((num_parameters,), float(init)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations, of the shape of ``x``."""
        floating("PReLU", x)
        if self.num_parameters > 1 and (x.ndim < 2 or x.shape[1] != self.num_parameters):
            raise InputError(f"PReLU({self.num_parameters}) takes (N, {self.num_parameters}, *), got {tuple(x.shape)}.")
        return functional.prelu(x, self.weight)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"num_parameters={self.num_parameters}"


class Sigmoid(nn.Module):
    r"""The logistic function, which maps to (0, 1).

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}}, \quad \sigma'(x) = \sigma(x)(1 - \sigma(x))

    Shapes
    ------
    Input (*), output the same.

    Raises
    ------
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    It saturates on both sides and its slope is at most 1/4, so gradients shrink with depth. The kernel is PyTorch's, stable at
    any magnitude; a logarithm of it belongs into a loss that takes logits.

    References
    ----------
    Spec: 02#sigmoid-activation, 08#activations-b, 08#activations-basic.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations, of the shape of ``x``."""
        floating("Sigmoid", x)
        return torch.sigmoid(x)


class Tanh(nn.Module):
    r"""The hyperbolic tangent, which maps to (-1, 1) and is centered at zero.

    .. math:: \tanh x = 2\sigma(2x) - 1, \quad \tanh' x = 1 - \tanh^2 x = \frac{4e^{2x}}{(e^{2x} + 1)^2}

    Shapes
    ------
    Input (*), output the same.

    Raises
    ------
    InputTypeError
        For a tensor of integers.

    References
    ----------
    Spec: 02#tanh-activation, 08#activations-b, 08#activations-basic.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations, of the shape of ``x``."""
        floating("Tanh", x)
        return torch.tanh(x)


class Swish(nn.Module):
    r"""The input times its sigmoid: smooth, not monotone, and the rectifier in the limit.

    .. math:: f(x) = x\, \sigma(\beta x)

    Parameters
    ----------
    beta : float > 0, default 1
        Steepness: 1 is the SiLU, large values tend to the rectifier.
    learnable : bool, default False
        Make beta a parameter.

    Shapes
    ------
    Input (*), output the same.

    Raises
    ------
    InputError
        For a beta that is not above 0.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    At beta 1 without learning the kernel is PyTorch's fused SiLU.

    References
    ----------
    Ramachandran, Zoph & Le 2017, "Searching for Activation Functions". Spec: 08#activations-basic.
    """

    def __init__(self, beta: float = 1.0, learnable: bool = False) -> None:
        super().__init__()
        positive("beta", beta)
        self.learnable = learnable
        self.beta: nn.Parameter | float = nn.Parameter(torch.tensor(float(beta))) if learnable else float(beta)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations, of the shape of ``x``."""
        floating("Swish", x)
        if not self.learnable and self.beta == 1:
            return functional.silu(x)
        return x * torch.sigmoid(self.beta * x)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"beta={float(self.beta):g}, learnable={self.learnable}"


class Softmax(nn.Module):
    r"""Positive values that sum to one along an axis.

    .. math:: f(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}}

    Parameters
    ----------
    dim : int, default -1
        The axis.

    Shapes
    ------
    Input (*) with at least one axis, output the same.

    Raises
    ------
    InputError
        For an input without that axis.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    A shift of all inputs changes nothing, so PyTorch's kernel subtracts the largest first; with two classes it is the sigmoid
    of the difference. Its backward pass by hand is in :mod:`fivefold.models.nn.by_hand`.

    References
    ----------
    Spec: 08#softmax.
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Return the shares, of the shape of ``x``."""
        floating("Softmax", x)
        _axis("Softmax", x, self.dim)
        return torch.softmax(x, self.dim)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"dim={self.dim}"


class GumbelSoftmax(nn.Module):
    r"""A differentiable sample from a categorical distribution given by logits.

    .. math:: y = \mathrm{softmax}\big((x + g)/\tau\big), \quad g_i = -\log E_i,\ E_i \sim \mathrm{Exponential}(1)

    Parameters
    ----------
    tau : float > 0, default 1
        Temperature: small values give nearly one-hot samples and steep gradients.
    hard : bool, default False
        Return one-hot samples forward and pass the gradient of the soft ones (straight through).
    dim : int, default -1
        Axis of the categories.

    Shapes
    ------
    Input (*, K), output the same.

    Raises
    ------
    InputError
        For a temperature that is not above 0, an input without that axis, or noise of another shape.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    The argmax of ``x + g`` is distributed as softmax(x) at every temperature. Noise comes from ``noise`` if given, else from
    ``generator`` or PyTorch's global one, drawn as ``torch.nn.functional.gumbel_softmax`` draws it.

    References
    ----------
    Jang, Gu & Poole 2017, "Categorical Reparameterization with Gumbel-Softmax". Spec: 06#gumbel-softmax-gan.
    """

    def __init__(self, tau: float = 1.0, hard: bool = False, dim: int = -1) -> None:
        super().__init__()
        self.tau = positive("tau", tau)
        self.hard = hard
        self.dim = dim

    def forward(self, x: Tensor, noise: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return samples of the shape of ``x``; ``noise`` fixes the Gumbel variables."""
        floating("GumbelSoftmax", x)
        _axis("GumbelSoftmax", x, self.dim)
        if noise is None:
            noise = -torch.empty_like(x).exponential_(generator=generator).log()
        elif noise.shape != x.shape:
            raise InputError(f"noise must have the shape of the logits, {tuple(x.shape)}, got {tuple(noise.shape)}.")
        soft = torch.softmax((x + noise) / self.tau, self.dim)
        if not self.hard:
            return soft
        sharp = torch.zeros_like(x).scatter_(self.dim, soft.argmax(self.dim, keepdim=True), 1.0)
        return sharp - soft.detach() + soft

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"tau={self.tau}, hard={self.hard}, dim={self.dim}"


class Maxout(nn.Module):
    r"""The largest of k linear maps for each output: a learned convex, piecewise linear activation.

    .. math:: y_j = \max_{i \le k} (w_{ji} x + b_{ji})

    Parameters
    ----------
    in_features, out_features : int >= 1
        Width of input and output.
    num_pieces : int >= 1, default 2
        Linear maps k for each output.

    Shapes
    ------
    Input (*, in_features), output (*, out_features).

    Raises
    ------
    InputError
        For an input of another width.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    With one piece held at zero it is the rectifier; k pieces realize every convex piecewise linear function with k pieces. Only
    the map that is largest for an example learns from it, the same rule as in max pooling.

    References
    ----------
    Goodfellow et al. 2013, "Maxout Networks". Spec: 05#maxout.
    """

    def __init__(self, in_features: int, out_features: int, num_pieces: int = 2) -> None:
        super().__init__()
        self.in_features = check_count("in_features", in_features)
        self.out_features = check_count("out_features", out_features)
        self.num_pieces = check_count("num_pieces", num_pieces)
        self.linear = nn.Linear(in_features, out_features * num_pieces)

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest piece of each output, (*, out_features)."""
        last_width("Maxout", x, self.in_features)
        pieces = self.linear(x).unflatten(-1, (self.out_features, self.num_pieces))  # (*, out, k)
        # max(dim) sends the gradient of a tie to one piece, as the rule of the selected unit asks.
        return pieces.max(dim=-1).values

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"{self.in_features}, {self.out_features}, num_pieces={self.num_pieces}"


def _axis(layer: str, x: Tensor, dim: int) -> None:
    if not -x.ndim <= dim < x.ndim:
        raise InputError(f"{layer}(dim={dim}) needs an input with that axis, got {tuple(x.shape)}.")
