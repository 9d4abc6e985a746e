"""Optimizer steps on 10 million parameters in 100 tensors, against torch's for-loop, foreach and fused forms.

A run is ten steps with the same gradients; where torch lacks a method the peer is our Adam, with a larger target. Quality is the
largest distance of the two parameter vectors; for methods that torch lacks, whether the weights are finite and have moved.

Run: python benchmarks/optimizers.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from fivefold.base.cards import get_card
from fivefold.workbench.bench import Contest, Score, play

TENSORS, SIZE, STEPS = 100, 100_000, 10
FORMS: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}

PEERS: dict[str, tuple[str, dict[str, Any], type, dict[str, Any]]] = {
    "SGD": ("sgd", {}, torch.optim.SGD, {}),
    "SGD, weight decay": ("sgd", {"weight_decay": 0.01}, torch.optim.SGD, {"weight_decay": 0.01}),
    "momentum": ("momentum", {"form": "torch"}, torch.optim.SGD, {"momentum": 0.9}),
    "Nesterov": ("nesterov", {}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "AdaGrad": ("adagrad", {}, torch.optim.Adagrad, {}),
    "RMSProp": ("rmsprop", {}, torch.optim.RMSprop, {}),
    "Adadelta": ("adadelta", {}, torch.optim.Adadelta, {}),
    "Adam": ("adam", {}, torch.optim.Adam, {}),
    "AdamW": (
        "adam",
        {"weight_decay": 0.01, "decoupled_weight_decay": True},
        torch.optim.AdamW,
        {"weight_decay": 0.01},
    ),
    "AMSGrad": ("amsgrad", {}, torch.optim.Adam, {"amsgrad": True}),
    "AdaMax": ("adamax", {}, torch.optim.Adamax, {}),
    "NAdam": ("nadam", {}, torch.optim.NAdam, {}),
    "RAdam": ("radam", {}, torch.optim.RAdam, {}),
}
FUSED = (torch.optim.SGD, torch.optim.Adagrad, torch.optim.Adam, torch.optim.AdamW)
ALONE: dict[str, dict[str, Any]] = {
    "yogi": {},
    "adabound": {},
    "ftrl": {},
    "gradient-descent-ascent": {"momentum": -0.3},
    "optimistic-gda": {},
}
LR = 1e-3


class Stepper:
    """One optimizer on its own copy of the parameters, which :meth:`run` moves on by ten steps."""

    def __init__(self, build: Callable[..., torch.optim.Optimizer], **options: Any) -> None:
        generator = torch.Generator().manual_seed(0)
        start = torch.randn(TENSORS, SIZE, generator=generator) / 10
        slopes = torch.randn(TENSORS, SIZE, generator=generator) / 100
        self.first = start[0, :100].clone()
        self.params = [torch.nn.Parameter(row.clone()) for row in start]
        for p, g in zip(self.params, slopes):
            p.grad = g.clone()
        self.optimizer = build(self.params, lr=LR, **options)

    def run(self, _: int) -> Tensor:
        for _ in range(STEPS):
            self.optimizer.step()
        return self.params[0].detach()[:100].clone()


def near(ours: list[Tensor], peer: list[Tensor]) -> tuple[float, float, bool]:
    gap = max(float((a - b).abs().max()) for a, b in zip(ours, peer))
    return gap, 0.0, gap < 1e-4


def contests() -> Iterator[Contest]:
    for title, (ours, options, peer, peer_options) in PEERS.items():
        for form, switch in FORMS.items():
            # torch's foreach form of Nesterov writes into the gradients, so ten steps on the same ones are another job.
            if (form == "fused" and peer not in FUSED) or (title, form) == ("Nesterov", "foreach"):
                continue
            build = get_card(ours).load()
            left, right = Stepper(build, **options), Stepper(peer, **peer_options, **switch)
            yield Contest(
                name=f"{title} against torch's {form}", ours=left.run, peer=right.run, quality=near, target=1.1
            )
    for name, options in ALONE.items():
        left, right = Stepper(get_card(name).load(), **options), Stepper(get_card("adam").load())

        def moved(ours: list[Tensor], peer: list[Tensor], before: Tensor = left.first) -> tuple[float, float, bool]:
            gaps = [float((x[-1] - before).abs().max()) for x in (ours, peer)]
            return gaps[0], gaps[1], bool(torch.isfinite(ours[-1]).all()) and gaps[0] > 0

        yield Contest(name=f"{name} against our Adam", ours=left.run, peer=right.run, quality=moved, target=1.5)


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Play one contest after the other, so that only two copies of the parameters are in memory."""
    return [score for contest in contests() for score in play([contest], threads)]


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
