"""Evaluation: no dropout, averaged weights, mergeable sums over all batches of all processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from fivefold.base.random import Streams

from .distribution import World, gather
from .learner import Learner, Sums
from .parts import Part
from .runtime import Runtime, preserved_random_state


@torch.no_grad()
def evaluate(
    learner: Learner, batches: Any, runtime: Runtime, world: World, streams: Streams, parts: Sequence[Part] = ()
) -> dict[str, float]:
    """Return the means of ``learner.evaluate`` over all batches of all ranks, in evaluation mode."""
    sums = Sums()
    with evaluation_mode(learner, parts), preserved_random_state(runtime.device):
        for index, batch in enumerate(batches.epoch(0, 0, world.rank, world.size)):
            if not len(batch):
                continue
            runtime.seed(streams, "engine/evaluate", index, world.rank)
            if runtime.moves:
                batch = batch.to(runtime.device, runtime.dtype)
            with runtime.context():
                found = learner.evaluate(batch)
            # Sums of many batches need more digits than one batch.
            sums = sums.merge(Sums({name: (_wide(total), _wide(count)) for name, (total, count) in found.items()}))
    merged = Sums()
    for other in gather({name: (float(total), float(count)) for name, (total, count) in sums.items()}, world):
        merged = merged.merge(Sums(other))
    return merged.means()


def _wide(value: Any) -> Any:
    return value.detach().double() if isinstance(value, Tensor) else value


@contextlib.contextmanager
def evaluation_mode(learner: Learner, parts: Sequence[Part] = ()) -> Iterator[None]:
    """Switch to evaluation: no dropout, averaged weights; afterwards everything is as it was."""
    modes = [(module, module.training) for module in learner.modules()]
    with contextlib.ExitStack() as stack:
        for part in parts:
            if part.ema is not None:
                stack.enter_context(part.ema.swap())
        learner.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
