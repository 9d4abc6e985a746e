"""GRU beside LSTM: parameters by counting, images read by hand, both learn to read rows."""

from __future__ import annotations

import tempfile

import torch

from fivefold.evidence import Check, evidence, smallest

from ._common import noise


@evidence(
    "gru-vs-lstm",
    claim="RNN, GRU and LSTM have 1, 3 and 4 gate blocks of l (l + d + 2) parameters",
    against="Keras' published counts less its one bias: 4 l (l + d + 1) + 4 l for LSTM(d=8, l=64) = 18,944",
)
def blocks() -> Check:
    from fivefold.demos.nn.gru_lstm import GruLstmDemo, gate_blocks
    from fivefold.models.nn import GRU, LSTM, RNN

    wrong = 0.0
    for kind, count in ((RNN, 1), (GRU, 3), (LSTM, 4)):
        for width, hidden in ((8, 64), (3, 5), (28, 1)):
            wrong += abs(gate_blocks(kind(width, hidden)) - count)
    with tempfile.TemporaryDirectory() as folder:
        numbers = GruLstmDemo(steps=2).run(out=folder, quick=True).numbers
    # An LSTM with one bias has 4 l (l + d + 1): 4 · 64 · 73 = 18,688; PyTorch's second bias adds 256.
    for name, count in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        wrong += abs(numbers[f"{name}: parameters"] - count * 64 * (64 + 8 + 2))
        wrong += abs(numbers[f"{name}: gate blocks"] - count)
    return Check(wrong + abs(numbers["LSTM: parameters"] - 18688 - 256), 0.0, "difference", "counts")


@evidence(
    "gru-vs-lstm", claim="An image is read row by row from the top and its last output classified", against="by hand"
)
def rows() -> Check:
    from fivefold.demos.nn.gru_lstm import RowReader
    from fivefold.models.nn import RNN

    torch.manual_seed(0)
    network, images = RowReader(RNN(3, 4).double(), 2).double(), noise(5, 3, 3)
    state, layer = torch.zeros(5, 4, dtype=torch.float64), network.layer
    for t in range(3):
        before = (
            images[:, t] @ layer.weight_ih_l0.T + layer.bias_ih_l0 + state @ layer.weight_hh_l0.T + layer.bias_hh_l0
        )
        state = torch.tanh(before)
    wanted = state @ network.head.weight.T + network.head.bias
    return Check(float((network(images.flatten(1)) - wanted).detach().abs().max()), 1e-14, "max difference", "by hand")


@evidence(
    "gru-vs-lstm",
    claim="Both gated layers learn to read digits; after a single step neither can",
    against="0.8 and 0.5 of the held-out digits",
)
def learned() -> Check:
    from fivefold.demos.nn.gru_lstm import GruLstmDemo

    with tempfile.TemporaryDirectory() as folder:
        found = GruLstmDemo().run(seed=1, out=folder, quick=True)
        before = GruLstmDemo(steps=1).run(seed=1, out=folder, quick=True).numbers
    margin = smallest(found.numbers[f"{name}: accuracy"] for name in ("GRU", "LSTM")) - 0.8
    margin = smallest(margin, *(0.5 - before[f"{name}: accuracy"] for name in ("GRU", "LSTM")))
    # At the first step the loss is that of a guess, log 10 = 2.30, and at the end well below it.
    for name in ("GRU", "LSTM"):
        margin = smallest(margin, 0.3 - abs(before[f"{name}: loss, mean of the last tenth"] - 2.303))
        margin = smallest(margin, 1.0 - found.numbers[f"{name}: loss, mean of the last tenth"])
    timed = "times as long as the LSTM" in found.text and not any("ms" in key for key in found.numbers)
    return Check(margin if timed else -1.0, 0.0, "least margin", "accuracy", at_least=True)
