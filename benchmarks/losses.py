"""Losses forward and backward: focal beside cross-entropy, margins beside pytorch-metric-learning, CTC beside torch.

65,536 rows of 1,000 float32 logits, for the margins from embeddings of 512 numbers; CTC with 200 frames, 32 rows, 80 symbols and
labels of 30. Quality is the largest relative difference of value and gradient from the peer; for the focal loss, which has none,
from its formula in float64, and for CTC from torch in float64. ``PART=0.25`` in the environment takes a quarter of the rows.

    python benchmarks/losses.py
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from pytorch_metric_learning import losses as peers
from torch import Tensor, nn
from torch.nn import functional

from fivefold.objectives import AMSoftmaxLoss, ArcFaceLoss, CTCLoss
from fivefold.objectives.focal import MulticlassFocalLoss
from fivefold.workbench.bench import Contest, Score, play

ROWS, CLASSES, WIDTH = int(65_536 * float(os.environ.get("PART", "1"))), 1_000, 512
FRAMES, BATCH, SYMBOLS, LABEL = 200, 32, 80, 30
KEPT = 64
"""Rows of the gradient that are compared."""


def both(loss: Callable[..., Tensor], x: Tensor, *rest: Any) -> Callable[[int], tuple[float, Tensor]]:
    """Return a run: value and gradient to ``x``, of which some rows are kept."""
    weights = list(loss.parameters()) if isinstance(loss, nn.Module) else []

    def run(_: int) -> tuple[float, Tensor]:
        for leaf in (x, *weights):
            leaf.grad = None
        value = loss(x, *rest)
        value.backward()
        return float(value.detach()), torch.Tensor() if x.grad is None else x.grad[:KEPT].clone()

    return run


def apart(ours: list[Any], peer: list[Any]) -> float:
    gaps = [(abs(a / b - 1), float((g - h).abs().max() / h.abs().max())) for (a, g), (b, h) in zip(ours, peer)]
    return max(max(gap) for gap in gaps)


def equal(ours: list[Any], peer: list[Any]) -> tuple[float, float, bool]:
    gap = apart(ours, peer)
    return gap, 0.0, gap < 1e-4


def random() -> tuple[torch.Generator, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return generator, torch.randint(CLASSES, (ROWS,), generator=generator)


def focal() -> Contest:
    generator, target = random()
    logits = torch.randn(ROWS, CLASSES, generator=generator).requires_grad_()

    def formula(ours: list[Any], _: list[Any]) -> tuple[float, float, bool]:
        x = logits.detach().double().requires_grad_()
        p = x.softmax(1).gather(1, target[:, None])
        value = (-((1 - p) ** 2) * p.log()).mean()
        value.backward()
        exact = (float(value.detach()), torch.Tensor() if x.grad is None else x.grad[:KEPT])
        return equal(ours, [exact] * len(ours))

    return Contest(
        name=f"focal loss {ROWS} x {CLASSES} against cross_entropy",
        ours=both(MulticlassFocalLoss(), logits, target),
        peer=both(functional.cross_entropy, logits, target),
        quality=formula,
        target=1.3,
    )


def margins() -> Iterator[Contest]:
    generator, target = random()
    x = torch.randn(ROWS, WIDTH, generator=generator).requires_grad_()
    # The peer wants degrees.
    arc = (ArcFaceLoss(WIDTH, CLASSES), peers.ArcFaceLoss(CLASSES, WIDTH, margin=28.64788975654116, scale=64))
    cos = (AMSoftmaxLoss(WIDTH, CLASSES), peers.CosFaceLoss(CLASSES, WIDTH, margin=0.35, scale=30))
    for name, (ours, peer) in (("ArcFace", arc), ("AM-Softmax", cos)):
        if ours.weight is None:
            raise SystemExit(f"{name} has no directions.")
        with torch.no_grad():
            peer.W.copy_(ours.weight.T)
        yield Contest(
            name=f"{name} {ROWS} x {WIDTH}, {CLASSES} classes, against pytorch-metric-learning",
            ours=both(ours, x, target),
            peer=both(peer, x, target),
            quality=equal,
            target=1.1,
        )


def ctc() -> Contest:
    generator, _ = random()
    # The slope of log-probabilities as torch states it is that of the logits, so both sides normalize.
    sounds = torch.randn(FRAMES, BATCH, SYMBOLS, generator=generator).requires_grad_()
    labels = torch.randint(1, SYMBOLS, (BATCH, LABEL), generator=generator)
    frames, sizes = torch.full((BATCH,), FRAMES), torch.full((BATCH,), LABEL)

    def exact(ours: list[Any], peer: list[Any]) -> tuple[float, float, bool]:
        x = sounds.detach().double().requires_grad_()
        value = functional.ctc_loss(x.log_softmax(2), labels, frames, sizes)
        value.backward()
        wanted = [(float(value.detach()), torch.Tensor() if x.grad is None else x.grad[:KEPT])] * len(ours)
        mine, theirs = apart(ours, wanted), apart(peer, wanted)
        return mine, theirs, mine < 1e-4

    return Contest(
        name=f"CTC T {FRAMES}, batch {BATCH}, {SYMBOLS} symbols, labels {LABEL}, against torch",
        ours=both(CTCLoss(), sounds, labels, frames, sizes),
        peer=both(lambda v, *rest: functional.ctc_loss(v.log_softmax(2), *rest), sounds, labels, frames, sizes),
        quality=exact,
        target=3.0,
    )


def contests() -> Iterator[Contest]:
    yield focal()
    yield from margins()
    yield ctc()


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Play one contest after the other, so that only its own tables are in memory."""
    return [score for contest in contests() for score in play([contest], threads)]


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
