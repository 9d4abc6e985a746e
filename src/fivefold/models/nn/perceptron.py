"""The multi-layer perceptron as a module: linear maps with a nonlinearity between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from fivefold.base.errors import InputError
from fivefold.base.names import resolve

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
    "leaky-relu": lambda: nn.LeakyReLU(0.2),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
"""Nonlinearities by name, spelled as scikit-learn and PyTorch do."""

_GAINS = {"relu": math.sqrt(2), "leaky-relu": math.sqrt(2 / (1 + 0.2**2)), "gelu": math.sqrt(2), "silu": math.sqrt(2)}


class Perceptron(nn.Module):
    r"""A fully connected feed-forward network.

    .. math:: a^l = \sigma(W^l a^{l-1} + b^l), \quad a^0 = x, \quad y = W^L a^{L-1} + b^L

    Parameters
    ----------
    sizes : sequence of int >= 1, at least two
        Width of the input, of each hidden layer and of the output.
    activation : {"relu", "tanh", "logistic", "identity", "leaky-relu", "gelu", "silu"}, default "relu"
        Nonlinearity after every layer but the last.
    dropout : float in [0, 1), default 0
        Share of the hidden units that is left out in training.

    Shapes
    ------
    Input (batch, sizes[0]), output (batch, sizes[-1]).

    Notes
    -----
    Weights start as :math:`N(0, g^2 / fan_{in})` with the gain g of the activation (He et al. 2015; 1 for saturating ones),
    biases at zero. With identity activations the network is one linear map.

    References
    ----------
    Spec: 05#mlp, 08#mlp.
    """

    def __init__(self, sizes: Sequence[int], activation: str = "relu", dropout: float = 0.0) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise InputError(f"A perceptron needs an input and an output width of at least 1, got sizes {list(sizes)}.")
        if not 0 <= dropout < 1:
            raise InputError(f"dropout must lie in [0, 1), got {dropout}.")
        name = resolve(activation, ACTIVATIONS, "activation")
        layers: list[nn.Module] = []
        for index, (wide, narrow) in enumerate(zip(sizes[:-1], sizes[1:])):
            last = index == len(sizes) - 2
            linear = nn.Linear(wide, narrow)
            gain = 1.0 if last else _GAINS.get(name, 1.0)
            nn.init.normal_(linear.weight, std=gain / math.sqrt(wide))
            nn.init.zeros_(linear.bias)
            layers.append(linear)
            if not last:
                layers.append(ACTIVATIONS[name]())
                if dropout:
                    layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs before any final nonlinearity."""
        return self.layers(x)  # (batch, sizes[-1])


def collapse(network: Perceptron) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the one linear map that a network with identity activations is."""
    weight, bias = None, None
    for layer in network.layers:
        if isinstance(layer, nn.Linear):
            weight = layer.weight if weight is None else layer.weight @ weight
            bias = layer.bias if bias is None else layer.weight @ bias + layer.bias
        elif not isinstance(layer, nn.Identity):
            raise InputError(f"Only identity activations collapse to one linear map; this network has {layer}.")
    if weight is None or bias is None:
        raise InputError("This network has no linear layer.")
    return torch.clone(weight), torch.clone(bias)
