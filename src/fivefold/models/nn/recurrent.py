"""Recurrent layers: simple, LSTM, GRU and LSTM with peepholes, in both directions and in stacks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_count, check_number, check_one_of
from fivefold.base.errors import InputError
from fivefold.models.nn._checks import floating, probability
from fivefold.models.nn._through_time import gru_reset_before, peephole_lstm

_CELLS: dict[str, type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def _check(layer: str, x: Tensor, width: int) -> None:
    floating(layer, x)
    if x.ndim != 3 or x.shape[2] != width or x.shape[1] < 1:
        raise InputError(f"{layer} takes (batch, time, {width}) with at least one step, got {tuple(x.shape)}.")


def _state(layer: str, state: Tensor | None, x: Tensor, width: int) -> Tensor:
    if state is None:
        return x.new_zeros(1, len(x), width)
    if tuple(state.shape) != (1, len(x), width):
        raise InputError(f"The first state of {layer} must be (1, {len(x)}, {width}), got {tuple(state.shape)}.")
    return state


class RNN(nn.RNN):
    r"""A simple recurrent layer: the state is a squashed map of the input and the state before.

    .. math:: h_t = \tanh(W x_t + U h_{t-1} + b)

    Parameters
    ----------
    input_size, hidden_size : int >= 1
        Width of inputs and state.
    nonlinearity : {"tanh", "relu"}, default "tanh"

    Shapes
    ------
    Input (batch, time, input_size) and optionally the first state (1, batch, hidden_size), zero by default; outputs
    (batch, time, hidden_size) and the last state.

    Raises
    ------
    InputError
        For inputs or states of another shape.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    The fused kernel and the parameters are those of ``torch.nn.RNN``, with a bias on either side. The recurrent input is the
    state, not the output of the step before. Both passes by hand are in :mod:`fivefold.models.nn.by_hand`.

    References
    ----------
    Elman 1990, "Finding Structure in Time". Spec: 02#vanilla-rnn, 05#rnn-elman, 07#rnn-lstm-cells, 08#rnn.
    """

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "tanh") -> None:
        check_one_of("nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(
            check_count("input_size", input_size),
            check_count("hidden_size", hidden_size),
            nonlinearity=nonlinearity,
            batch_first=True,
        )

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return all states (batch, time, hidden_size) and the last one (1, batch, hidden_size)."""
        _check("RNN", x, self.input_size)
        out: tuple[Tensor, Tensor] = super().forward(x, _state("RNN", state, x, self.hidden_size))
        return out


class LSTM(nn.LSTM):
    r"""A recurrent layer with a cell that gates add to, so that gradients reach far back.

    .. math:: i, f, o = \sigma(\cdot),\ g = \tanh(\cdot) \text{ of } W x_t + U h_{t-1} + b, \quad
        c_t = f \odot c_{t-1} + i \odot g, \quad h_t = o \odot \tanh c_t

    Parameters
    ----------
    input_size, hidden_size : int >= 1
        Width d of inputs and l of the state: 4 l (l + d + 1) parameters, and 4 l more for PyTorch's second bias.
    forget_bias : float, default 0
        Added to the first bias of the forget gate; 1 keeps the cell at the start, as TensorFlow's cells do.

    Shapes
    ------
    Input (batch, time, input_size) and optionally the first states (h, c), each (1, batch, hidden_size); outputs
    (batch, time, hidden_size) and the last states.

    Raises
    ------
    InputError
        For inputs or states of another shape.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    The fused kernel and the parameters are those of ``torch.nn.LSTM``. A forget gate of 1 keeps the cell; a source says the
    opposite in one line and multiplies by f(g_f) in another. Both passes by hand are in :mod:`fivefold.models.nn.by_hand`.

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long Short-Term Memory". Spec: 02#lstm, 02#lstm-bptt, 05#lstm, 07#rnn-lstm-cells, 08#lstm.
    """

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        super().__init__(
            check_count("input_size", input_size), check_count("hidden_size", hidden_size), batch_first=True
        )
        with torch.no_grad():
            self.bias_ih_l0[hidden_size : 2 * hidden_size] += check_number("forget_bias", forget_bias)

    def forward(  # type: ignore[override]
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return all outputs (batch, time, hidden_size) and the last (h, c)."""
        _check("LSTM", x, self.input_size)
        h, c = (None, None) if state is None else state
        first = (_state("LSTM", h, x, self.hidden_size), _state("LSTM", c, x, self.hidden_size))
        out: tuple[Tensor, tuple[Tensor, Tensor]] = super().forward(x, first)
        return out


class GRU(nn.GRU):
    r"""A recurrent layer with two gates: one resets the state for the candidate, one mixes old and new.

    .. math:: r, z = \sigma(\cdot), \quad n = \tanh(W x + b + r \odot (U h + b')), \quad h' = (1 - z) \odot n + z \odot h

    Parameters
    ----------
    input_size, hidden_size : int >= 1
        Width of inputs and state.
    convention : {"torch", "keras", "paper"}, default "torch"
        ``torch`` resets after the recurrent product. ``keras`` (``reset_after=False``) resets before it:
        :math:`n = \tanh(W x + U (r \odot h) + b)`. ``paper`` does so too and gives z the other meaning:
        :math:`h' = (1 - z) \odot h + z \odot n`.

    Shapes
    ------
    Input (batch, time, input_size) and optionally the first state (1, batch, hidden_size), zero by default; outputs
    (batch, time, hidden_size) and the last state.

    Raises
    ------
    InputError
        For an unknown convention, or inputs or states of another shape.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    Parameters are those of ``torch.nn.GRU`` (gates r, z, n) in every convention; ``torch`` uses its fused kernel, the others
    have both passes through time written out, and second derivatives through the plain form. Without biases, set them to zero.

    References
    ----------
    Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder". Spec: 02#gru, 05#gru, 08#gru.
    """

    def __init__(self, input_size: int, hidden_size: int, convention: str = "torch") -> None:
        self.convention = ""
        super().__init__(
            check_count("input_size", input_size), check_count("hidden_size", hidden_size), batch_first=True
        )
        self.convention = check_one_of("convention", convention, ("torch", "keras", "paper"))

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return all states (batch, time, hidden_size) and the last one (1, batch, hidden_size)."""
        _check("GRU", x, self.input_size)
        first = _state("GRU", state, x, self.hidden_size)
        if self.convention == "torch":
            out: tuple[Tensor, Tensor] = super().forward(x, first)
            return out
        inputs = nn.functional.linear(
            x.transpose(0, 1).contiguous(), self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0
        )  # (time, batch, 3 hidden)
        states = gru_reset_before(inputs, first[0], self.weight_hh_l0, writes=self.convention == "paper")
        return states.transpose(0, 1), states[-1:]


class PeepholeLSTM(nn.Module):
    r"""An LSTM whose gates look at the cell: input and forget gate at the old one, output gate at the new one.

    .. math:: i, f = \sigma(\cdot + p_{i,f} \odot c_{t-1}), \quad c_t = f \odot c_{t-1} + i \odot g, \quad
        o = \sigma(\cdot + p_o \odot c_t), \quad h_t = o \odot \tanh c_t

    Parameters
    ----------
    input_size, hidden_size : int >= 1
        Width of inputs and state.

    Shapes
    ------
    Input (batch, time, input_size); outputs (batch, time, hidden_size) and the last (h, c), each (1, batch, hidden_size).

    Raises
    ------
    InputError
        For inputs of another shape.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    PyTorch has no such kernel: both passes through time are written out, second derivatives go through the plain form. Gates
    lie in the order i, f, g, o and parameters are named as in ``torch.nn.LSTM``, besides ``peephole`` (3, hidden_size) for i,
    f, o, which starts at zero.

    References
    ----------
    Gers & Schmidhuber 2000, "Recurrent Nets that Time and Count". Spec: 05#lstm.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = (
            check_count("input_size", input_size),
            check_count("hidden_size", hidden_size),
        )
        bound = hidden_size**-0.5
        for name, shape in (
            ("weight_ih_l0", (4 * hidden_size, input_size)),
            ("weight_hh_l0", (4 * hidden_size, hidden_size)),
            ("bias_ih_l0", (4 * hidden_size,)),
            ("bias_hh_l0", (4 * hidden_size,)),
        ):
            setattr(self, name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))
        self.peephole = nn.Parameter(torch.zeros(3, hidden_size))

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return all outputs and the last (h, c)."""
        _check("PeepholeLSTM", x, self.input_size)
        inputs = nn.functional.linear(
            x.transpose(0, 1).contiguous(), self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0
        )  # (time, batch, 4 hidden)
        states, cell = peephole_lstm(inputs, self.weight_hh_l0, self.peephole)
        return states.transpose(0, 1), (states[-1:], cell[None])


class BidirectionalRNN(nn.Module):
    r"""One recurrent layer forward and one backward in time, side by side.

    .. math:: h_t = [\overrightarrow{h}_t, \overleftarrow{h}_t] \in R^{2l}

    Parameters
    ----------
    input_size, hidden_size : int >= 1
        Width of inputs, and l of each direction.
    cell : {"lstm", "gru", "rnn"}, default "lstm"

    Shapes
    ------
    Input (batch, time, input_size), output (batch, time, 2 hidden_size).

    Raises
    ------
    InputError
        For an unknown cell or inputs of another shape.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    PyTorch's fused kernel with weights of its own for each direction; one source shares the input weights.

    References
    ----------
    Schuster & Paliwal 1997, "Bidirectional Recurrent Neural Networks". Spec: 02#bilstm, 05#birnn, 08#birnn, 08#lstm.
    """

    def __init__(self, input_size: int, hidden_size: int, cell: str = "lstm") -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        kind = _CELLS[check_one_of("cell", cell, tuple(_CELLS))]
        self.layer = kind(input_size, check_count("hidden_size", hidden_size), batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return both directions' outputs, (batch, time, 2 hidden_size)."""
        _check("BidirectionalRNN", x, self.input_size)
        out: Tensor = self.layer(x)[0]
        return out


class StackedRNN(nn.Module):
    r"""Recurrent layers on top of one another: the outputs of each are the inputs of the next.

    .. math:: h^k_t = \mathrm{cell}(h^{k-1}_t, h^k_{t-1}), \quad h^0_t = x_t

    Parameters
    ----------
    input_size, hidden_size : int >= 1
        Width of inputs and of each layer.
    num_layers : int >= 1, default 2
    cell : {"lstm", "gru", "rnn"}, default "lstm"
    dropout : float in [0, 1), default 0
        Share of the outputs of each layer but the last that is left out in training.
    bidirectional_first : bool, default False
        The first layer runs both ways, the others forward, as in GNMT.

    Shapes
    ------
    Input (batch, time, input_size), output (batch, time, hidden_size), twice as wide where the only layer runs both ways.

    Raises
    ------
    InputError
        For an unknown cell, a dropout outside [0, 1), or inputs of another shape.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    The layers are PyTorch's fused kernels.

    References
    ----------
    Spec: 02#stacked-rnn, 02#bilstm-plus-stacked-lstm, 08#deep-rnn.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 2,
        cell: str = "lstm",
        dropout: float = 0.0,
        bidirectional_first: bool = False,
    ) -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        self.dropout = probability("dropout", dropout)
        kind = _CELLS[check_one_of("cell", cell, tuple(_CELLS))]
        both = bidirectional_first
        check_count("hidden_size", hidden_size), check_count("num_layers", num_layers)
        widths = [input_size, hidden_size * (2 if both else 1), *[hidden_size] * num_layers][:num_layers]
        self.layers = nn.ModuleList(
            kind(width, hidden_size, batch_first=True, bidirectional=both and number == 0)
            for number, width in enumerate(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of the last layer, (batch, time, hidden_size)."""
        _check("StackedRNN", x, self.input_size)
        for number, layer in enumerate(self.layers):
            if number:
                x = nn.functional.dropout(x, self.dropout, self.training)
            x = layer(x)[0]
        return x
