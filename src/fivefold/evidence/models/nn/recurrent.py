"""Recurrent layers beside PyTorch, their passes by hand, the limits of their gates and a worked example."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import GRU, LSTM, RNN, BidirectionalRNN, PeepholeLSTM, StackedRNN, by_hand

from ._common import gap, noise, same_weights


def _pair(ours: nn.Module, peer: nn.Module, x: torch.Tensor) -> float:
    ours.double(), peer.double()
    same_weights(ours, peer)
    return gap(ours, peer, x)


def _hand(layer: nn.Module, forward, backward, states: int, biases: int) -> float:
    """Compare both passes by hand with a layer of PyTorch under autograd; a single bias stands for the first of two."""
    x = noise(5, 2, 3).requires_grad_()  # (time, batch, inputs)
    start = [noise(2, 4, seed=n + 1).requires_grad_() for n in range(states)]
    with torch.no_grad():
        if biases == 1:
            layer.bias_hh_l0.zero_()
    given = tuple(s[None] for s in start)
    y = layer(x.transpose(0, 1), given if states > 1 else given[0])[0].transpose(0, 1)
    weights = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0][: 2 + biases]
    g = noise(*y.shape, seed=7)
    wanted = torch.autograd.grad(y, [x, *start, *weights], g)
    out, cache = forward(*(t.detach().numpy() for t in (x, *start, *weights)))
    found = (out, *backward(g.numpy(), cache))
    return largest(float(np.abs(a - b.detach().numpy()).max()) for a, b in zip(found, (y, *wanted), strict=True))


@evidence("rnn", claim="Outputs and gradients agree, both nonlinearities", against="torch.nn.RNN")
def rnn_as_torch() -> Check:
    worst = largest(
        _pair(RNN(3, 4, f), nn.RNN(3, 4, nonlinearity=f, batch_first=True), noise(2, 5, 3)) for f in ("tanh", "relu")
    )
    return Check(worst, 1e-13, "max difference", "torch.nn.RNN")


@evidence("rnn", claim="Both passes by hand agree with the layer", against="autograd in float64")
@evidence("bptt", claim="Both passes of a simple layer by hand", against="autograd in float64")
def rnn_by_hand() -> Check:
    return Check(
        _hand(RNN(3, 4).double(), by_hand.rnn, by_hand.rnn_backward, 1, 1), 1e-13, "max difference", "autograd"
    )


@evidence("rnn", claim="Another order of the inputs gives another last state", against="the same inputs")
def rnn_order() -> Check:
    layer, x = RNN(3, 4).double(), noise(2, 5, 3)
    moved = (layer(x)[1] - layer(x.flip(1))[1]).detach().abs().max()
    return Check(float(moved), 1e-3, "change", "the same inputs", at_least=True)


@evidence("lstm", claim="Outputs and gradients agree", against="torch.nn.LSTM")
def lstm_as_torch() -> Check:
    return Check(
        _pair(LSTM(3, 4), nn.LSTM(3, 4, batch_first=True), noise(2, 5, 3)), 1e-13, "max difference", "torch.nn.LSTM"
    )


@evidence("lstm", claim="Both passes by hand agree with the layer", against="autograd in float64")
@evidence("bptt", claim="Both passes of an LSTM by hand", against="autograd in float64")
def lstm_by_hand() -> Check:
    value = _hand(LSTM(3, 4).double(), by_hand.lstm, by_hand.lstm_backward, 2, 1)
    return Check(value, 1e-13, "max difference", "autograd")


@evidence(
    "lstm", claim="4 l (l + d + 1) parameters and 4 l of the second bias; forget_bias shifts f alone", against="counts"
)
def lstm_counts() -> Check:
    torch.manual_seed(0)
    layer = LSTM(3, 5)
    torch.manual_seed(0)
    shifted = (LSTM(3, 5, forget_bias=1.0).bias_ih_l0 - layer.bias_ih_l0).detach()
    wrong = abs(sum(p.numel() for p in layer.parameters()) - 4 * 5 * (5 + 3 + 1) - 4 * 5)
    wanted = torch.zeros(20)
    wanted[5:10] = 1
    return Check(wrong + float((shifted - wanted).abs().max()), 1e-6, "difference", "the formula")


@evidence(
    "lstm", claim="The hand example: x2=1 writes x1, x2=-1 resets, x3=1 puts out", against="the rule, step by step"
)
def lstm_worked() -> Check:
    layer = LSTM(3, 1).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.zero_()
        # Gates i, f, g, o: sharp sigmoids; the candidate stays in the linear part of tanh.
        layer.weight_ih_l0.copy_(torch.tensor([[0, 100.0, 0], [0, 100, 0], [1e-4, 0, 0], [0, 0, 100]]))
        layer.bias_ih_l0.copy_(torch.tensor([-50.0, 50, 0, -50]))
    steps = [(1, 0, 0), (3, 1, 0), (2, 0, 0), (4, 1, 0), (2, 0, 0), (1, 0, 1), (3, -1, 0), (6, 1, 0), (1, 0, 1)]
    memory, wanted = 0.0, []
    for a, b, c in steps:
        memory = memory + a if b == 1 else 0.0 if b == -1 else memory
        wanted.append(memory if c == 1 else 0.0)
    y = layer(torch.tensor([steps]).double())[0][0, :, 0].detach() * 1e4
    # tanh(z) differs from z by z³/3: 7e-4 cubed is 1e-10, times 1e4.
    return Check(float((y - torch.tensor(wanted)).abs().max()), 1e-5, "difference", "7 and 6")


@evidence("gru", claim="Outputs and gradients agree", against="torch.nn.GRU")
def gru_as_torch() -> Check:
    return Check(
        _pair(GRU(3, 4), nn.GRU(3, 4, batch_first=True), noise(2, 5, 3)), 1e-13, "max difference", "torch.nn.GRU"
    )


@evidence("gru", claim="Both passes by hand agree with the layer", against="autograd in float64")
@evidence("bptt", claim="Both passes of a GRU by hand", against="autograd in float64")
def gru_by_hand() -> Check:
    return Check(
        _hand(GRU(3, 4).double(), by_hand.gru, by_hand.gru_backward, 1, 2), 1e-13, "max difference", "autograd"
    )


@evidence("gru", claim="Keras (reset before) and the paper (z writes) follow their formulas", against="loops in NumPy")
def gru_conventions() -> Check:
    x, worst = noise(2, 5, 3), 0.0
    for convention in ("keras", "paper"):
        layer = GRU(3, 4, convention).double()
        w, u, b, c = (p.detach().numpy() for p in layer.parameters())
        h = np.zeros((2, 4))
        y = layer(x)[0].detach().numpy()
        for t in range(5):
            a = x[:, t].numpy() @ w.T + b
            r, z = (1 / (1 + np.exp(-(a[:, s] + h @ u[s].T + c[s]))) for s in (slice(0, 4), slice(4, 8)))
            new = np.tanh(a[:, 8:] + (r * h) @ u[8:].T + c[8:])
            h = z * h + (1 - z) * new if convention == "keras" else (1 - z) * h + z * new
            worst = largest(worst, float(np.abs(y[:, t] - h).max()))
    return Check(worst, 1e-14, "max difference", "NumPy")


@evidence("gru", claim="z=1 copies the state; z=0, r=1 is a plain RNN (Keras)", against="the copy and torch.nn.RNN")
def gru_limits() -> Check:
    layer, x, start = GRU(3, 4, "keras").double(), noise(2, 5, 3), noise(1, 2, 4, seed=1)
    plain = nn.RNN(3, 4, batch_first=True).double()
    with torch.no_grad():
        for p, q in zip(layer.parameters(), plain.parameters(), strict=True):
            q.copy_(p[8:])
        layer.bias_ih_l0[:4], layer.bias_ih_l0[4:8] = 1e3, 1e3
        copied = (layer(x, start)[0] - start[0][:, None]).abs().max()
        layer.bias_ih_l0[4:8] = -1e3
        return Check(
            float(copied + (layer(x, start)[0] - plain(x, start)[0]).abs().max()), 1e-13, "difference", "limits"
        )


@evidence("birnn", claim="Outputs and gradients of each cell agree, 2 l wide", against="torch.nn (bidirectional=True)")
def birnn_as_torch() -> Check:
    worst = 0.0
    for cell, peer in (("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)):
        ours = BidirectionalRNN(3, 4) if cell == "lstm" else BidirectionalRNN(3, 4, cell)
        worst = largest(worst, _pair(ours, peer(3, 4, batch_first=True, bidirectional=True), noise(2, 5, 3)))
        worst += int(ours(noise(2, 5, 3)).shape[-1] != 8)
    return Check(worst, 1e-13, "max difference", "torch.nn")


@evidence("birnn", claim="With the directions' weights swapped, a reversed input swaps the halves", against="itself")
def birnn_swaps() -> Check:
    layer, other = BidirectionalRNN(3, 4).double(), BidirectionalRNN(3, 4).double()
    with torch.no_grad():
        for name, p in other.layer.named_parameters():
            twin = name.removesuffix("_reverse") if name.endswith("_reverse") else name + "_reverse"
            p.copy_(getattr(layer.layer, twin))
    x = noise(2, 5, 3)
    error = other(x.flip(1)).flip(1).roll(4, dims=-1) - layer(x)
    return Check(float(error.detach().abs().max()), 1e-14, "max difference", "itself, reversed")


@evidence("stacked-rnn", claim="Outputs and gradients agree for every cell", against="torch.nn (num_layers=k)")
def stacked_as_torch() -> Check:
    worst = 0.0
    for cell, peer, layers in (("lstm", nn.LSTM, 2), ("gru", nn.GRU, 3), ("rnn", nn.RNN, 1)):
        ours = StackedRNN(3, 4) if cell == "lstm" else StackedRNN(3, 4, layers, cell)
        worst = largest(worst, _pair(ours, peer(3, 4, layers, batch_first=True), noise(2, 5, 3)))
    return Check(worst, 1e-13, "max difference", "torch.nn")


@evidence(
    "stacked-rnn", claim="GNMT: both ways, then forward; dropout between layers in training alone", against="the parts"
)
def stacked_gnmt() -> Check:
    layer, x = StackedRNN(3, 4, 3, bidirectional_first=True, dropout=0.5).double(), noise(2, 5, 3)
    loud = (layer(x) - layer(x)).detach().abs().max()
    layer.eval()
    h = x
    for part in layer.layers:
        h = part(h)[0]
    wrong = int(layer.layers[1].input_size != 8) + int(layer.layers[2].input_size != 4) + int(float(loud) == 0)
    return Check(float((layer(x) - h).detach().abs().max()) + wrong, 1e-14, "max difference", "the layers in turn")


@evidence("peephole-lstm", claim="With zero peepholes, as at the start, it is the LSTM", against="torch.nn.LSTM")
def peephole_limit() -> Check:
    ours, peer = PeepholeLSTM(3, 4).double(), nn.LSTM(3, 4, batch_first=True).double()
    missing = peer.load_state_dict({n: p for n, p in ours.state_dict().items() if n != "peephole"})
    x = noise(2, 5, 3)
    error = (ours(x)[0] - peer(x)[0]).detach().abs().max()
    return Check(float(error) + len(missing.missing_keys), 1e-14, "max difference", "torch.nn.LSTM")


@evidence(
    "peephole-lstm", claim="Input and forget gate see the old cell, the output gate the new", against="loops in NumPy"
)
def peephole_formula() -> Check:
    layer, x = PeepholeLSTM(3, 4).double(), noise(2, 5, 3)
    with torch.no_grad():
        layer.peephole.copy_(noise(3, 4, seed=5))
    p = {n: v.detach().numpy() for n, v in layer.named_parameters()}
    h = c = np.zeros((2, 4))
    y, worst = layer(x)[0].detach().numpy(), 0.0
    for t in range(5):
        z = x[:, t].numpy() @ p["weight_ih_l0"].T + p["bias_ih_l0"] + p["bias_hh_l0"] + h @ p["weight_hh_l0"].T
        i = by_hand.sigmoid(z[:, :4] + p["peephole"][0] * c)
        f = by_hand.sigmoid(z[:, 4:8] + p["peephole"][1] * c)
        c = f * c + i * np.tanh(z[:, 8:12])
        h = by_hand.sigmoid(z[:, 12:] + p["peephole"][2] * c) * np.tanh(c)
        worst = largest(worst, float(np.abs(y[:, t] - h).max()))
    return Check(worst, 1e-14, "max difference", "NumPy")


def _unfit(layer: nn.Module, *inputs: torch.Tensor, second: bool = True) -> int:
    """Count the checks that fail: slopes of every output to inputs and parameters, and their slopes."""
    names = [n for n, _ in layer.named_parameters()]
    values = [noise(*p.shape, seed=11 + k).requires_grad_() for k, (_, p) in enumerate(layer.named_parameters())]

    def call(*given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        state = dict(zip(names, given[len(inputs) :]))
        out, last = torch.func.functional_call(layer, state, given[: len(inputs)])
        return out, *(last if isinstance(last, tuple) else (last,))

    given = (*(x.requires_grad_() for x in inputs), *values)
    wrong = 1 - torch.autograd.gradcheck(call, given, raise_exception=False)
    return wrong + (1 - torch.autograd.gradgradcheck(call, given, raise_exception=False) if second else 0)


def _forms(layer: nn.Module, *inputs: torch.Tensor) -> float:
    """Return the largest difference between the passes written out and the plain form, which autocast asks for."""
    found = []
    for plain in (False, True):
        given = [x.detach().requires_grad_() for x in inputs]
        with torch.autocast("cpu", torch.bfloat16, enabled=plain):  # leaves float64 as it is
            out, last = layer(*given)
        ends = last if isinstance(last, tuple) else (last,)
        loss = (out * noise(*out.shape, seed=7)).sum() + sum((e**2).sum() for e in ends)
        found.append([out, *ends, *torch.autograd.grad(loss, [*given, *layer.parameters()])])
    return largest(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


@evidence("gru", claim="Both passes written out, from any first state, and second slopes", against="finite differences")
def gru_slopes() -> Check:
    wrong, worst = 0, 0.0
    for convention in ("keras", "paper"):
        layer = GRU(2, 3, convention).double()
        wrong += _unfit(layer, noise(2, 3, 2), noise(1, 2, 3, seed=1))
        worst = largest(worst, _forms(GRU(5, 7, convention).double(), noise(4, 9, 5), noise(1, 4, 7, seed=1)))
        worst = largest(worst, _forms(GRU(5, 7, convention).double(), noise(4, 1, 5), noise(1, 4, 7, seed=1)))
    return Check(wrong + worst, 1e-12, "failed checks and largest difference", "finite differences and autograd")


@evidence("peephole-lstm", claim="Both passes written out, and second slopes", against="finite differences")
def peephole_slopes() -> Check:
    layer = PeepholeLSTM(5, 7).double()
    with torch.no_grad():
        layer.peephole.copy_(noise(3, 7, seed=5))
    worst = largest(_forms(layer, noise(4, steps, 5)) for steps in (1, 2, 9))
    wrong = _unfit(PeepholeLSTM(2, 2).double(), noise(2, 3, 2))
    return Check(wrong + worst, 1e-12, "failed checks and largest difference", "finite differences and autograd")
