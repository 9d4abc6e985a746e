"""Sequence encoders: reach by the receptive field, what each computes by hand, recall within and beyond it."""

from __future__ import annotations

import tempfile

import torch

from fivefold.evidence import Check, evidence, largest, smallest

from ._common import noise


@evidence(
    "sequence-encoder-comparison",
    claim="Two convolutions of k steps reach 2 floor(k/2) steps back, recurrence and attention over the whole sequence",
    against="the receptive field",
)
def receptive_field() -> Check:
    from fivefold.demos.nn.sequence_encoders import Encoder, reach

    wrong, x = 0, noise(4, 13, 5)
    for kernel in (1, 3, 5):
        torch.manual_seed(0)
        wrong += abs(reach(Encoder("convolution", 5, 8, 4, kernel).double(), x) - 2 * (kernel // 2))
    for family in ("recurrent", "attention"):
        wrong += abs(reach(Encoder(family, 5, 8, 4, 5).double(), x) - 12)
    return Check(wrong, 0, "steps", "2 floor(k/2)")


@evidence(
    "sequence-encoder-comparison",
    claim="Each encoder's logits are those of its layers in PyTorch on the embedded steps",
    against="torch.nn.GRU, conv1d and TransformerEncoderLayer, float64",
)
def layers() -> Check:
    from fivefold.demos.nn.sequence_encoders import Encoder

    torch.manual_seed(0)
    x, worst = noise(3, 9, 5), 0.0
    for family in ("recurrent", "convolution", "attention"):
        network = Encoder(family, 5, 8, 4, 3).double()
        embedded = torch.nn.functional.linear(x, network.embed.weight, network.embed.bias)
        if family == "recurrent":
            peer = torch.nn.GRU(8, 8, batch_first=True).double()
            peer.load_state_dict(network.layer.state_dict())
            encoded = peer(embedded)[0]
        elif family == "convolution":
            encoded = embedded.transpose(1, 2)
            encoded = torch.nn.functional.conv1d(
                encoded, network.layer[0].weight, network.layer[0].bias, padding=1
            ).relu()
            encoded = torch.nn.functional.conv1d(encoded, network.layer[2].weight, network.layer[2].bias, padding=1)
            encoded = encoded.transpose(1, 2)
        else:
            position = torch.arange(9, dtype=torch.float64)[:, None]
            rate = 10000.0 ** (-torch.arange(0, 8, 2, dtype=torch.float64) / 8)
            waves = torch.stack([torch.sin(position * rate), torch.cos(position * rate)], -1).flatten(1)
            # The layer beside has its own evidence; here it is given what the position adds.
            encoded = network.layer(embedded + waves)
        wanted = encoded[:, -1] @ network.head.weight.T + network.head.bias
        worst = largest(worst, float((network(x) - wanted).detach().abs().max()))
    return Check(worst, 1e-13, "max difference", "torch")


@evidence(
    "sequence-encoder-comparison",
    claim="At lag 4 all encoders recall the symbol; at lag 40 attention does, and convolutions, which cannot see it, do not",
    against="0.9 and chance within five standard errors",
)
def recalled() -> Check:
    from fivefold.demos.nn.sequence_encoders import SequenceEncoderDemo

    with tempfile.TemporaryDirectory() as folder:
        found = SequenceEncoderDemo(lengths=(8, 16)).run(seed=1, out=folder, quick=True).numbers
    margin = smallest(found[f"{family}, lag 4: accuracy"] for family in ("recurrent", "convolution", "attention")) - 0.9
    margin = smallest(margin, found["attention, lag 40: accuracy"] - 0.9)
    # 1000 guesses at four symbols: five standard deviations are 0.068.
    margin = smallest(margin, 0.068 - abs(found["convolution, lag 40: accuracy"] - 0.25))
    margin = smallest(margin, found["attention, lag 40: accuracy"] - found["recurrent, lag 40: accuracy"] - 0.1)
    fits = found["convolution: reach over 40 steps"] == 4 and found["attention: reach over 40 steps"] == 40
    fits &= found["recurrent: reach over 40 steps"] == 40
    width = 32
    fits &= found["recurrent: parameters of the layer"] == 3 * width * (2 * width + 2)
    fits &= found["convolution: parameters of the layer"] == 2 * (5 * width * width + width)
    fits &= found["attention: parameters of the layer"] == 12 * width * width + 13 * width
    return Check(margin if fits else -1.0, 0.0, "least margin", "0.9 and 0.25", at_least=True)
