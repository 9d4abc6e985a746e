"""First weights: Xavier, He, orthogonal, the plain distributions, and names for them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_one_of
from fivefold.base.errors import InputError
from fivefold.base.names import resolve
from fivefold.models.nn._checks import positive


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return the inputs and outputs of one unit: a weight is (out, in) or (out, in, *kernel), as in PyTorch.

    Raises
    ------
    InputError
        For a tensor with fewer than two axes, which has no inputs and outputs.
    """
    if tensor.ndim < 2:
        raise InputError(f"Inputs and outputs need a weight with at least two axes, got {tuple(tensor.shape)}.")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _spread(tensor: Tensor, variance: float, distribution: str, generator: torch.Generator | None) -> Tensor:
    """Fill in place with zero mean and the given variance; Var U(-r, r) = r²/3."""
    with torch.no_grad():
        if distribution == "normal":
            return tensor.normal_(0.0, math.sqrt(variance), generator=generator)
        bound = math.sqrt(3 * variance)
        return tensor.uniform_(-bound, bound, generator=generator)


class XavierInit:
    r"""Weights whose variance keeps that of activations and gradients in layers that are nearly linear.

    .. math:: \mathrm{Var}\,w = g^2 \frac{2}{n_{in} + n_{out}}

    Forward alone would want 1/n_in, backward alone 1/n_out; this is their harmonic mean.

    Parameters
    ----------
    distribution : {"uniform", "normal"}, default "uniform"
        Uniform on :math:`\pm g\sqrt{6/(n_{in}+n_{out})}`, or normal.
    gain : float > 0, default 1
        The gain g.

    Returns
    -------
    Tensor
        A call fills the given weight (out, in, *kernel) in place and returns it; ``generator`` is the source of randomness.

    Raises
    ------
    InputError
        For an unknown distribution, a gain that is not above 0, or a weight with fewer than two axes.

    Notes
    -----
    Sources write N(0, sqrt(.)), where the second argument is the deviation; a code multiplies uniform numbers in [0, 1) by it,
    which have a mean of one half. Both forms here have mean zero.

    References
    ----------
    Glorot & Bengio 2010, "Understanding the Difficulty of Training Deep Feedforward Neural Networks".
    Spec: 02#xavier-init, 08#glorot-init, 08#xavier-init.
    """

    def __init__(self, distribution: str = "uniform", gain: float = 1.0) -> None:
        self.distribution = check_one_of("distribution", distribution, ("uniform", "normal"))
        self.gain = positive("gain", gain)

    def __call__(self, tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Fill ``tensor`` in place and return it."""
        n_in, n_out = fans(tensor)
        return _spread(tensor, self.gain**2 * 2 / (n_in + n_out), self.distribution, generator)


class HeInit:
    r"""Weights whose variance makes up for the half that a rectifier removes.

    .. math:: \mathrm{Var}\,w = \frac{2}{(1 + a^2)\, n}

    Parameters
    ----------
    distribution : {"normal", "uniform"}, default "normal"
    mode : {"fan-in", "fan-out"}, default "fan-in"
        Whether n counts inputs (keeps activations) or outputs (keeps gradients).
    negative_slope : float >= 0, default 0
        Slope a of a leaky rectifier.

    Returns
    -------
    Tensor
        A call fills the given weight (out, in, *kernel) in place and returns it; ``generator`` is the source of randomness.

    Raises
    ------
    InputError
        For an unknown distribution or mode, a negative slope, or a weight with fewer than two axes.

    References
    ----------
    He, Zhang, Ren & Sun 2015, "Delving Deep into Rectifiers". Spec: 02#he-init, 08#kaiming-init.
    """

    def __init__(self, distribution: str = "normal", mode: str = "fan-in", negative_slope: float = 0.0) -> None:
        self.distribution = check_one_of("distribution", distribution, ("uniform", "normal"))
        self.mode = check_one_of("mode", mode, ("fan-in", "fan-out"))
        if negative_slope < 0:
            raise InputError(f"negative_slope must be at least 0, got {negative_slope}.")
        self.negative_slope = negative_slope

    def __call__(self, tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Fill ``tensor`` in place and return it."""
        n_in, n_out = fans(tensor)
        count = n_in if self.mode == "fan-in" else n_out
        return _spread(tensor, 2 / ((1 + self.negative_slope**2) * count), self.distribution, generator)


class OrthogonalInit:
    r"""A random weight with orthonormal columns (or rows, if there are fewer), the usual start of recurrent kernels.

    .. math:: A = QR, \quad W = g\, Q\, \mathrm{diag}(\mathrm{sign}\, R_{ii}), \quad A_{ij} \sim N(0, 1)

    Parameters
    ----------
    gain : float > 0, default 1
        Every singular value of the result.

    Returns
    -------
    Tensor
        A call fills the given weight (out, in, *kernel), seen as out rows, in place and returns it.

    Raises
    ------
    InputError
        For a gain that is not above 0, or a weight with fewer than two axes.

    Notes
    -----
    The signs make the result uniform over orthogonal matrices; Q alone is not.

    References
    ----------
    Saxe, McClelland & Ganguli 2014, "Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Networks".
    Spec: 02#orthogonal-and-truncated-init, 08#constant-init.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = positive("gain", gain)

    def __call__(self, tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Fill ``tensor`` in place and return it."""
        fans(tensor)
        rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
        with torch.no_grad():
            flat = tensor.new_empty(rows, columns).normal_(generator=generator)
            wide = rows < columns
            q, r = torch.linalg.qr(flat.T if wide else flat)
            q.mul_(torch.diagonal(r).sign())
            return tensor.copy_((self.gain * (q.T if wide else q)).reshape(tensor.shape))


class BasicInit:
    r"""A constant, a normal, a truncated normal or a uniform distribution, by name.

    Parameters
    ----------
    distribution : {"constant", "normal", "truncated-normal", "uniform", "fan-uniform"}, default "normal"
        ``fan-uniform`` is :math:`U(-1/\sqrt{n_{in}}, 1/\sqrt{n_{in}})`; the others use ``mean`` and ``scale``.
    mean : float, default 0
        The constant, or the center of the distribution.
    scale : float > 0, default 0.1
        Standard deviation of the normal before truncation at two of them; half the width of the uniform.

    Returns
    -------
    Tensor
        A call fills the given tensor in place and returns it; ``generator`` is the source of randomness.

    Raises
    ------
    InputError
        For an unknown distribution, a scale that is not above 0, or ``fan-uniform`` on a tensor with fewer than two axes.

    Notes
    -----
    A truncated normal is redrawn in closed form by the inverse of its distribution function; its deviation is 0.8796 of
    ``scale``. Equal constants in a hidden layer make equal units that stay equal.

    References
    ----------
    Spec: 08#constant-init, 02#orthogonal-and-truncated-init.
    """

    def __init__(self, distribution: str = "normal", mean: float = 0.0, scale: float = 0.1) -> None:
        allowed = ("constant", "normal", "truncated-normal", "uniform", "fan-uniform")
        self.distribution = check_one_of("distribution", distribution, allowed)
        self.mean = mean
        self.scale = positive("scale", scale)

    def __call__(self, tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Fill ``tensor`` in place and return it."""
        with torch.no_grad():
            if self.distribution == "constant":
                return tensor.fill_(self.mean)
            if self.distribution == "normal":
                return tensor.normal_(self.mean, self.scale, generator=generator)
            if self.distribution == "uniform":
                return tensor.uniform_(self.mean - self.scale, self.mean + self.scale, generator=generator)
            if self.distribution == "fan-uniform":
                bound = 1 / math.sqrt(fans(tensor)[0])
                return tensor.uniform_(-bound, bound, generator=generator)
            # Φ(x) = (1 + erf(x/√2))/2, so uniform numbers between ±erf(√2) map to a normal cut at two deviations.
            root = math.sqrt(2)
            share = math.erf(root)
            tensor.uniform_(-share, share, generator=generator).erfinv_()
            # Rounded to few digits the share may grow a little.
            return tensor.clamp_(-root, root).mul_(root * self.scale).add_(self.mean)


_NAMED: dict[str, Callable[[], Callable[..., Tensor]]] = {
    "normal": lambda: BasicInit("normal", scale=1.0),
    "uniform": lambda: BasicInit("uniform", scale=1.0),
    "xavier": lambda: XavierInit("normal"),
    "kaiming": lambda: HeInit("normal"),
    "orthogonal": OrthogonalInit,
}


def initialize(module: nn.Module, name: str = "xavier", generator: torch.Generator | None = None) -> nn.Module:
    """Give every linear and embedding weight inside a module its first values by the name of a distribution.

    Biases of linear layers become 0; scales of batch normalization become 1 and shifts 0. Other parameters stay.

    Parameters
    ----------
    module : nn.Module
        Changed in place, with all its children.
    name : {"normal", "uniform", "xavier", "kaiming", "orthogonal"}, default "xavier"
        N(0, 1), U(-1, 1), Xavier normal, Kaiming normal over inputs, orthogonal with gain 1.
    generator : torch.Generator, optional
        Source of randomness; PyTorch's global one by default.

    Returns
    -------
    nn.Module
        The module itself.

    Raises
    ------
    UnknownNameError
        For another name; the message offers the nearest.

    Notes
    -----
    N(0, 1) and U(-1, 1) are very wide for embeddings; the sources list them, so they stay options.

    References
    ----------
    Spec: 04#weight-init-registry.
    """
    from fivefold.models.nn.normalization import BatchNorm

    fill = _NAMED[resolve(name, _NAMED, "initializer")]()
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, (nn.Linear, nn.Embedding)):
                fill(child.weight, generator=generator)
                bias = getattr(child, "bias", None)
                if bias is not None:
                    bias.zero_()
                if isinstance(child, nn.Embedding) and child.padding_idx is not None:
                    child.weight[child.padding_idx].zero_()
            elif isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, BatchNorm)):
                if child.weight is not None:
                    child.weight.fill_(1.0)
                if child.bias is not None:
                    child.bias.zero_()
    return module
