"""A layer: a network with it against the same network without it, or what it makes of its input where it cannot stand there."""

from __future__ import annotations

import inspect
from typing import Any

from ..context import Context

SLOT = "model"
STOCK: dict[str, Any] = {
    "data": {"name": "digits"},
    "optimizer": {"name": "momentum", "lr": 0.1},
    "trainer": {"max_epochs": 20, "batch_size": 64},
}
QUICK: dict[str, Any] = {"trainer": {"max_epochs": 2}, "data": {"rows": 400}}
SESSION = True
_WIDTHS = ("num_features", "normalized_shape", "in_features", "embed_dim", "d_model")


def run(context: Context) -> None:
    """Train with and without, draw both and what the layer does to the distribution of its input."""
    from ._training import HIDDEN, contest, network, problem, usual_optimizer

    factory = context.card.load(context.spec.model.variant if context.spec.model else None)
    facts = context.knob("layer", {})
    params = {**facts.get("params", {}), **(context.spec.model.params if context.spec.model else {})}
    known = inspect.signature(factory).parameters
    width = next((name for name in _WIDTHS if name in known), None)
    shape = tuple(facts.get("input_shape", (8, HIDDEN)))
    if width is not None and len(shape) == 2:
        given = problem(context)
        layer = factory(**{**params, width: HIDDEN})
        part = usual_optimizer(context)
        usual = given.usual_loss()
        entrants = {
            f"with {context.card.id}": (network(context, given, layer), usual, part),
            "without": (network(context, given), usual, part),
        }
        contest(context, given, entrants)
    _distribution(context, factory(**params), shape)


def _distribution(context: Context, layer: Any, shape: tuple[int, ...]) -> None:
    import torch

    from .. import figures

    generator = context.streams.torch("layer")
    x = 2 + 3 * torch.randn(256, *shape[1:], generator=generator)
    with torch.no_grad():
        out = layer(x)
    context.metrics["parameters"] = float(sum(p.numel() for p in layer.parameters()))
    context.metrics["output mean"], context.metrics["output deviation"] = float(out.mean()), float(out.std())
    figure, axes = figures.canvas()
    for number, (name, values) in enumerate((("input", x), ("output", out))):
        axes.hist(values.flatten().numpy(), bins=50, alpha=0.55, color=figures.SERIES[number], label=name)
    axes.set_xlabel("value")
    axes.set_ylabel("count")
    axes.legend(labelcolor=figures.INK)
    context.draw(
        "distribution", figure, "Histograms of a layer's input and output.", "Input N(2, 9) and what becomes of it."
    )
