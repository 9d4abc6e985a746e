"""Transformer encoder layer and recurrent layers beside PyTorch's, forward and backward (evaluation: forward alone).

Encoder: 32 x 256 x 512, 8 heads, dropout 0.1, a boolean mask. Recurrent: 64 x 100, 128 -> 256, and 16 x 50, 32 -> 64. Quality is
the largest difference of outputs and gradients from the peer with the same weights: the encoder's is taken without dropout, that
of cells that PyTorch lacks beside their formulas in autograd. ``PART=0.25`` in the environment takes a quarter of the batch.

    python benchmarks/blocks.py
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fivefold.models.nn import GRU, PeepholeLSTM, StackedRNN, TransformerEncoderLayer
from fivefold.workbench.bench import Contest, Score, play

PART = float(os.environ.get("PART", "1"))
BATCH, LENGTH, WIDTH, HEADS = max(int(32 * PART), 1), 256, 512, 8
SEQUENCES = ((max(int(64 * PART), 1), 100, 128, 256), (16, 50, 32, 64))


def training(layer: nn.Module, *inputs: Tensor) -> Callable[[int], None]:
    def run(_: int) -> None:
        layer.zero_grad()
        out = layer(*inputs)
        (out[0] if isinstance(out, tuple) else out).square().mean().backward()

    return run


def evaluation(layer: nn.Module, *inputs: Tensor) -> Callable[[int], None]:
    def run(_: int) -> None:
        with torch.no_grad():
            layer(*inputs)

    return run


def slopes(layer: Callable[..., Any], parameters: Sequence[Tensor], *inputs: Tensor) -> list[Tensor]:
    out = layer(*inputs)
    out = out[0] if isinstance(out, tuple) else out
    return [out.detach(), *torch.autograd.grad(out.square().mean(), list(parameters))]


def apart(ours: Sequence[Tensor], peer: Sequence[Tensor]) -> float:
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, peer, strict=True))


def judged(gap: Callable[[], float]) -> Callable[[list[Any], list[Any]], tuple[float, float, bool]]:
    def quality(_: list[Any], __: list[Any]) -> tuple[float, float, bool]:
        found = gap()
        return found, 0.0, found < 1e-4

    return quality


def encoder() -> Iterator[Contest]:
    torch.manual_seed(0)
    x = torch.randn(BATCH, LENGTH, WIDTH)
    seen = (torch.rand(LENGTH, LENGTH) < 0.9) | torch.eye(LENGTH, dtype=torch.bool)
    for train in (True, False):
        ours = TransformerEncoderLayer(WIDTH, HEADS, dropout=0.1).train(train)
        peer = nn.TransformerEncoderLayer(WIDTH, HEADS, dropout=0.1, batch_first=True).train(train)
        peer.load_state_dict(ours.state_dict())

        def gap(ours: nn.Module = ours, peer: nn.Module = peer, train: bool = train) -> float:
            ours.eval(), peer.eval()
            named = [dict(layer.named_parameters()) for layer in (ours, peer)]
            left, right = (
                slopes(layer, [n[key] for key in sorted(n)], x[:1], m)
                for layer, n, m in zip((ours, peer), named, (seen, ~seen))
            )
            ours.train(train), peer.train(train)
            return apart(left, right)

        kind = training if train else evaluation
        yield Contest(
            name=f"encoder layer {BATCH} x {LENGTH} x {WIDTH}, {'training' if train else 'evaluation'}",
            ours=kind(ours, x, seen),
            peer=kind(peer, x, ~seen),
            quality=judged(gap),
        )


def plain(layer: nn.Module) -> Callable[[Tensor], Any]:
    """Return the layer by autograd through its formulas, which autocast asks for; it leaves float64 as it is."""

    def call(x: Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return layer(x)

    return call


def recurrent() -> Iterator[Contest]:
    for batch, steps, width, hidden in SEQUENCES:
        torch.manual_seed(0)
        x = torch.randn(batch, steps, width)
        size = f"{batch} x {steps}, {width} -> {hidden}"
        stack, peer = StackedRNN(width, hidden, 2), nn.LSTM(width, hidden, 2, batch_first=True)
        with torch.no_grad():
            for p, q in zip(stack.parameters(), peer.parameters(), strict=True):
                p.copy_(q)

        def stacked(a: nn.Module = stack, b: nn.Module = peer, x: Tensor = x) -> float:
            return apart(*(slopes(layer, list(layer.parameters()), x) for layer in (a, b)))

        yield Contest(
            name=f"stacked LSTM {size}",
            ours=training(stack, x),
            peer=training(peer, x),
            quality=judged(stacked),
            target=1.05,
        )
        single = nn.LSTM(width, hidden, batch_first=True)
        cells = {
            "peephole LSTM": PeepholeLSTM(width, hidden),
            "GRU (keras)": GRU(width, hidden, "keras"),
            "GRU (paper)": GRU(width, hidden, "paper"),
        }
        for name, cell in cells.items():

            def formulas(cell: nn.Module = cell, x: Tensor = x) -> float:
                mine = slopes(cell, list(cell.parameters()), x)
                exact = slopes(plain(cell.double()), list(cell.parameters()), x.double())
                cell.float()
                return apart(mine, exact)

            yield Contest(
                name=f"{name} {size} against nn.LSTM",
                ours=training(cell, x),
                peer=training(single, x),
                quality=judged(formulas),
                target=3.0,
            )


def contests() -> Iterator[Contest]:
    yield from recurrent()
    yield from encoder()


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Play one contest after the other."""
    return [score for contest in contests() for score in play([contest], threads)]


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
