"""Dropout of units, and of the outputs of recurrent layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.checks import check_count, check_one_of
from fivefold.base.errors import InputError
from fivefold.models.nn._checks import floating, probability


class Dropout(nn.Module):
    r"""Leave out each unit with probability p in training, and make up for it.

    .. math:: y = \frac{r \odot x}{1 - p}, \quad r_j \sim \mathrm{Bernoulli}(1 - p); \qquad y = x \text{ in evaluation}

    Parameters
    ----------
    p : float in [0, 1), default 0.5
        Share that is left out (the sources' theory names the share that is kept).
    convention : {"inverted", "paper"}, default "inverted"
        ``inverted`` divides by 1-p in training; ``paper`` leaves training values as they are and multiplies by 1-p in
        evaluation. Never do both.

    Shapes
    ------
    Input (*), output the same.

    Raises
    ------
    InputError
        For a p outside [0, 1) or a mask of another shape.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    For a linear unit the scaled network is exactly the mean over all masks; with nonlinearities it approximates it. ``mask``
    fixes which units stay, for gradient checks and for masks shared between calls. Without it the kernel is PyTorch's.

    References
    ----------
    Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
    Spec: 02#dropout-dnn, 05#dropout, 05#dropout-as-ensemble, 08#dropout.
    """

    def __init__(self, p: float = 0.5, convention: str = "inverted") -> None:
        super().__init__()
        self.p = probability("p", p)
        self.convention = check_one_of("convention", convention, ("inverted", "paper"))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the thinned activations, of the shape of ``x``; ``mask`` is 1 where a unit stays."""
        floating("Dropout", x)
        inverted = self.convention == "inverted"
        if not self.training:
            return x if inverted else x * (1 - self.p)
        if mask is None:
            if inverted:
                return functional.dropout(x, self.p, training=True)
            return x * torch.empty_like(x).bernoulli_(1 - self.p)
        if mask.shape != x.shape:
            raise InputError(f"The mask must have the shape of the input, {tuple(x.shape)}, got {tuple(mask.shape)}.")
        kept = x * mask
        return kept / (1 - self.p) if inverted else kept

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"p={self.p}, convention={self.convention!r}"


class RNNDropout(nn.Module):
    r"""Dropout on the outputs of recurrent layers only: no mask ever touches the path through time.

    .. math:: h^l_t = \mathrm{cell}(D\, h^{l-1}_t,\ h^l_{t-1}), \quad D \text{ drops with probability } p

    The state that goes on to the next step is not masked (state_keep = 1), nor is the input of the first layer.

    Parameters
    ----------
    input_size, hidden_size : int >= 1
        Width of the inputs and of each layer.
    num_layers : int >= 1, default 2
        Stacked LSTM layers.
    p : float in [0, 1), default 0.5
        Share of the outputs that is left out.
    last : bool, default True
        Drop the outputs of the last layer too, as the source's cell wrapper does; ``torch.nn.LSTM(dropout=p)`` does not.

    Shapes
    ------
    Input (batch, time, input_size), output (batch, time, hidden_size).

    Raises
    ------
    InputError
        For a p outside [0, 1) or an input of another shape.

    Notes
    -----
    The layers are PyTorch's fused LSTM; masks are drawn anew at each step.

    References
    ----------
    Zaremba, Sutskever & Vinyals 2014, "Recurrent Neural Network Regularization". Spec: 02#dropout-rnn, 02#stacked-rnn.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 2, p: float = 0.5, last: bool = True
    ) -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        self.hidden_size = check_count("hidden_size", hidden_size)
        self.p = probability("p", p)
        self.last = last
        widths = [input_size] + [hidden_size] * (check_count("num_layers", num_layers) - 1)
        self.layers = nn.ModuleList(nn.LSTM(width, hidden_size, batch_first=True) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of the last layer at every step, (batch, time, hidden_size)."""
        floating("RNNDropout", x)
        if x.ndim != 3 or x.shape[2] != self.input_size or x.shape[1] < 1:
            raise InputError(f"RNNDropout takes (batch, time, {self.input_size}), got {tuple(x.shape)}.")
        for number, layer in enumerate(self.layers):
            x = layer(x)[0]  # (batch, time, hidden)
            if self.last or number + 1 < len(self.layers):
                x = functional.dropout(x, self.p, self.training)
        return x
