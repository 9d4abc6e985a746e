"""Memory of LSTMs: the cell's Jacobian under autograd, closed gates, and recall where a plain layer fails."""

from __future__ import annotations

import tempfile

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest, smallest

from ._common import noise


@evidence(
    "lstm-vs-rnn-memory",
    claim="dC_t/dC_{t-1} is diag(f) plus what passes through the output",
    against="autograd through one step, float64; without recurrent weights diag(f) alone",
)
def cell_jacobians() -> Check:
    from fivefold.demos.nn.memory import cell_jacobian

    x, c, opened, bias = noise(3), noise(4, seed=1), torch.sigmoid(noise(4, seed=2)), noise(16, seed=5)
    w, u = noise(16, 3, seed=3), noise(16, 4, seed=4)

    def step(cell: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        i, f, g, _ = (w @ x + u @ (opened * torch.tanh(cell)) + bias).chunk(4)
        return torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)

    worst = 0.0
    for matrix in (u, 0 * u):
        h = opened * torch.tanh(c)
        wanted = torch.autograd.functional.jacobian(lambda v, m=matrix: step(v, m), c).numpy()
        gate = torch.sigmoid((w @ x + matrix @ h + bias)[4:8]).numpy()
        arrays = (v.numpy() for v in (x, h, c, opened, w, matrix, bias))
        total, kept = cell_jacobian(*arrays)
        worst = largest(worst, float(np.abs(total - wanted).max()), float(np.abs(kept - np.diag(gate)).max()))
    return Check(worst + float(np.abs(total - kept).max()), 1e-14, "max difference", "autograd")


@evidence(
    "lstm-vs-rnn-memory",
    claim="Without inputs and recurrent weights the cell keeps sigma(b)^T of the gradient for a forget bias b",
    against="the closed form, float64",
)
def closed_gates() -> Check:
    from fivefold.demos.nn.memory import retention
    from fivefold.models.nn import LSTM

    worst = 0.0
    for bias in (-1.0, 0.0, 4.0):
        layer = LSTM(2, 3, forget_bias=bias).double()
        with torch.no_grad():
            for number, parameter in enumerate(layer.parameters()):
                parameter.zero_()
                if number == 2:
                    parameter[3:6] = bias
        wanted = (1 / (1 + np.exp(-bias))) ** np.arange(1, 8)
        worst = largest(worst, float(np.abs(retention(layer, noise(5, 7, 2)) / wanted - 1).max()))
    return Check(worst, 1e-13, "relative error", "powers of the gate")


@evidence(
    "lstm-vs-rnn-memory",
    claim="The sequences show their class in the first step alone; the noise is uniform and says nothing",
    against="the definition of the task",
)
def sequences() -> Check:
    from fivefold.demos.nn.memory import recall

    x, y = recall(6, 3000, 3, torch.Generator().manual_seed(0))
    wrong = int(tuple(x.shape) != (3000, 7, 4)) + int((x[:, 0, :3].argmax(1) != y).sum())
    wrong += int((x[:, 0, :3].sum(1) != 1).sum()) + int(x[:, 1:, :3].abs().sum() != 0)
    wrong += int(sorted(y.unique().tolist()) != [0, 1, 2])
    values = x[:, :, 3].double()
    # Mean and variance 1/3 of 21,000 uniform numbers, within five standard errors.
    wrong += int(not abs(float(values.mean())) <= 5 * (1 / 3 / 21000) ** 0.5)
    wrong += int(not abs(float(values.var()) - 1 / 3) <= 5 * (4 / 45 / 21000) ** 0.5) + int(
        not float(values.abs().max()) <= 1
    )
    return Check(wrong, 0, "violations", "the definition")


@evidence(
    "lstm-vs-rnn-memory",
    claim="At lag 40 the LSTM with an open gate recalls the symbol, the RNN and the LSTM with a gate at one half do not; "
    "at lag 5 all do",
    against="three quarters, halfway between chance and certainty",
)
def recalled() -> Check:
    from fivefold.demos.nn.memory import MemoryDemo

    with tempfile.TemporaryDirectory() as folder:
        result = MemoryDemo(lags=(5, 40)).run(seed=1, out=folder, quick=True)
    numbers = result.numbers
    names = ("RNN", "LSTM, forget bias 0", "LSTM, forget bias 5")
    margin = smallest(numbers[f"{name}, lag 5: accuracy"] for name in names) - 0.75
    margin = smallest(margin, numbers["LSTM, forget bias 5, lag 40: accuracy"] - 0.75)
    margin = smallest(margin, *(0.75 - numbers[f"{name}, lag 40: accuracy"] for name in names[:2]))
    fits = abs(numbers["forget bias 0: power of the gate"] / 0.5**40 - 1) < 1e-12
    fits &= abs(numbers["forget bias 5: power of the gate"] / (1 + np.exp(-5)) ** -40 - 1) < 1e-12
    fits &= numbers["forget bias 0: gradient kept over 40 steps"] < 1e-6
    fits &= numbers["forget bias 5: gradient kept over 40 steps"] > 0.1
    fits &= "RNN recalls" in result.notes[0] and result.notes[0].endswith("solved up to 5.")
    return Check(margin if fits else -1.0, 0.0, "margin of accuracy", "three quarters", at_least=True)
