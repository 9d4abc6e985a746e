"""Dropout beside PyTorch, the mean over all masks and the law of the masks."""

from __future__ import annotations

import itertools

import torch

from fivefold.evidence import Check, evidence, fault, largest
from fivefold.models.nn import Dropout, RNNDropout

from ._common import noise


@evidence("dropout", claim="On the same stream of masks values and gradients agree", against="torch.nn.Dropout")
def dropout_as_torch() -> Check:
    x, worst = noise(20, 30), 0.0
    for p in (0.0, 0.5, 0.8):
        pair = []
        for layer in (Dropout() if p == 0.5 else Dropout(p), torch.nn.Dropout(p)):
            torch.manual_seed(2)
            v = x.clone().requires_grad_()
            y = layer(v)
            pair.append((y.detach(), torch.autograd.grad((y * x.cos()).sum(), v)[0]))
        worst = largest(worst, *(float((a - b).abs().max()) for a, b in zip(*pair)))
    return Check(worst, 0, "max difference", "torch.nn.Dropout")


@evidence("dropout", claim="A linear unit's mean over all 32 masks equals the evaluated network", against="enumeration")
def dropout_ensemble() -> Check:
    x, w, worst = noise(5), noise(5, seed=1), 0.0
    for convention, p in (("inverted", 0.3), ("paper", 0.3), ("paper", 0.5), ("inverted", 0.5)):
        layer = Dropout(p, convention)
        mean = torch.zeros((), dtype=torch.float64)
        for bits in itertools.product((0.0, 1.0), repeat=5):
            mask = torch.tensor(bits, dtype=torch.float64)
            chance = ((1 - p) ** mask * p ** (1 - mask)).prod()
            mean = mean + chance * (w @ layer(x, mask))
        layer.eval()
        scale = 1.0 if convention == "inverted" else 1 - p
        worst = largest(worst, float((w @ layer(x) - mean).abs()), float((layer(x) - scale * x).abs().max()))
    return Check(worst, 1e-14, "max difference", "the mean over masks")


@evidence(
    "dropout", claim="The share kept is 1-p in both conventions; kept values are x or x/(1-p)", against="binomial law"
)
def dropout_share() -> Check:
    torch.manual_seed(0)
    worst = 0.0
    for convention, value in (("inverted", 1 / 0.7), ("paper", 1.0)):
        y = Dropout(0.3, convention)(torch.ones(100, 100, dtype=torch.float64))
        kept = y > 0
        wrong = float((y[kept] - value).abs().max())
        worst = largest(
            worst, abs(float(kept.double().mean()) - 0.7) / (0.21**0.5 / 100) + 1e9 * wrong * (not wrong <= 1e-15)
        )
    return Check(worst, 5, "standard errors", "0.7")


@evidence(
    "rnn-dropout", claim="Without the last mask values agree on the same stream", against="torch.nn.LSTM(dropout=p)"
)
def rnn_dropout_as_torch() -> Check:
    ours = RNNDropout(3, 4, 3, p=0.4, last=False).double()
    peer = torch.nn.LSTM(3, 4, 3, batch_first=True, dropout=0.4).double()
    with torch.no_grad():
        for a, b in zip(ours.parameters(), peer.parameters(), strict=True):
            b.copy_(a)
    # The masks of PyTorch lie on (time, batch, hidden): one sequence makes the order of the numbers the same.
    x, pair = noise(1, 6, 3), []
    for layer in (ours, peer):
        torch.manual_seed(1)
        y = layer(x)
        pair.append((y[0] if isinstance(y, tuple) else y).detach())
    ours.eval(), peer.eval()
    batch = noise(5, 6, 3, seed=2)
    worst = largest((pair[0] - pair[1]).abs().max(), (ours(batch) - peer(batch)[0]).detach().abs().max())
    return Check(float(worst), 1e-14, "max difference", "torch.nn.LSTM")


@evidence(
    "rnn-dropout", claim="One layer's state is never masked: kept outputs are the clean ones over 1-p", against="itself"
)
def rnn_dropout_recurrence() -> Check:
    layer = RNNDropout(3, 8, 1, p=0.25).double()
    x = noise(4, 10, 3)
    torch.manual_seed(0)
    dropped = layer(x)
    layer.eval()
    clean = layer(x)
    kept = dropped != 0
    error = float(((dropped - clean / 0.75) * kept).detach().abs().max())
    share = abs(float(kept.double().mean()) - 0.75) / (0.1875 / kept.numel()) ** 0.5
    return Check(error + 100 * int(not share <= 5), 1e-14, "max difference", "evaluation")


@evidence("rnn-dropout", claim="By default two layers, half dropped, the last outputs too", against="the defaults")
def rnn_dropout_defaults() -> Check:
    torch.manual_seed(0)
    layer = RNNDropout(2, 50)
    y = layer(torch.randn(10, 10, 2))
    share = abs(float((y == 0).double().mean()) - 0.5) / (0.25 / y.numel()) ** 0.5
    wrong = fault(len(layer.layers) != 2) + fault(layer.p != 0.5)
    quiet = RNNDropout(2, 50, last=False)(torch.randn(10, 10, 2))
    return Check(share + 100 * (wrong + int((quiet == 0).sum())), 5, "standard errors", "1/2")
