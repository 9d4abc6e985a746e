"""A layer: a network with it against the same network without it, or what it makes of its input where it cannot stand there."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    from ..layers import build_layer, layer_facts
    from ._training import HIDDEN, contest, network, problem, usual_optimizer

    method = context.spec.model
    variant = context.card.variant(method.variant if method else None)
    facts = layer_facts(context.card, variant)
    own = dict(method.params) if method else {}
    params = {**facts.get("params", {}), **own}
    known = inspect.signature(context.card.load(variant)).parameters
    width = next((name for name in _WIDTHS if name in known), None)
    plain = width is not None and len(facts.get("input_shape", (8, HIDDEN))) == 2 and "stand" not in facts
    if plain or "stand" in facts:
        given = problem(context)
        part = usual_optimizer(context)
        usual = given.usual_loss()
        replaces = bool(facts.get("stand", {}).get("activation", False))
        # The layer is built from a seed of its own, so that both networks share the first weights of everything else.
        with seeded(context, "layer under study"):
            if plain:
                layer = build_layer(context.card, variant, {**params, str(width): HIDDEN})
            else:
                layer = _standing(context, variant, {**facts["stand"].get("params", facts.get("params", {})), **own})
        net = network(context, given, None if replaces else layer, layer if replaces else None)
        rival = "with ReLU" if replaces and context.card.id != "relu" else "with tanh" if replaces else "without"
        other = network(context, given, activation=torch_tanh() if rival == "with tanh" else None)
        inner = facts.get("stand", {}).get("wraps")
        if inner is not None:
            # What goes around a layer is told apart from that layer alone, which starts with the same weights.
            rival = f"with {inner['name']} alone"
            with seeded(context, "layer under study"):
                other = network(context, given, _alone(inner, facts["stand"]))
        contest(context, given, {f"with {context.card.id}": (net, usual, part), rival: (other, usual, part)})
    with seeded(context, "layer alone"):
        _distribution(context, build_layer(context.card, variant, params), facts)


@contextmanager
def seeded(context: Context, name: str) -> Iterator[None]:
    """Draw first weights and masks from a stream of the run, leaving PyTorch's global generator as it was."""
    import torch

    state = torch.random.get_rng_state()
    torch.manual_seed(context.streams.integer(name))
    try:
        yield
    finally:
        torch.random.set_rng_state(state)


def torch_tanh() -> Any:
    """Return the rival of the rectifier itself."""
    from torch import nn

    return nn.Tanh()


def _standing(context: Context, variant: str, params: dict[str, Any]) -> Any:
    from ..layers import build_layer, layer_facts

    stand = layer_facts(context.card, variant)["stand"]
    return _between(build_layer(context.card, variant, params, stand.get("wraps")), stand)


def _alone(inner: Mapping[str, Any], stand: Mapping[str, Any]) -> Any:
    from ..layers import wrapped_layer

    return _between(wrapped_layer(inner), stand)


def _between(layer: Any, stand: Mapping[str, Any]) -> Any:
    """Return the layer with linear maps around it where its shapes are not those of the hidden layer."""
    from ..layers import Standing
    from ._training import HIDDEN

    second = stand.get("context_shape")
    shape = tuple(stand.get("shape", (HIDDEN,)))
    return Standing(layer, shape, HIDDEN, None if second is None else tuple(second), stand.get("integers"))


def _distribution(context: Context, layer: Any, facts: Mapping[str, Any]) -> None:
    import torch

    from .. import figures
    from ..layers import first_output, layer_inputs
    from ._training import HIDDEN

    drawn = layer_inputs(facts, context.streams.torch("layer"), rows=256, default=(8, HIDDEN))
    whole = not drawn[0].is_floating_point()
    inputs = drawn if whole else tuple(2 + 3 * x.float() for x in drawn)
    x = inputs[0].float()
    with torch.no_grad():
        out = first_output(layer(*inputs))
    context.metrics["parameters"] = float(sum(p.numel() for p in layer.parameters()))
    context.metrics["output mean"], context.metrics["output deviation"] = float(out.mean()), float(out.std())
    figure, axes = figures.canvas()
    for number, (name, values) in enumerate((("input", x), ("output", out))):
        axes.hist(values.flatten().numpy(), bins=50, alpha=0.55, color=figures.SERIES[number], label=name)
    axes.set_xlabel("value")
    axes.set_ylabel("count")
    axes.legend(loc="best", labelcolor=figures.INK)
    context.draw(
        "distribution",
        figure,
        "Histograms of a layer's input and output.",
        "Whole numbers and what becomes of them." if whole else "Input N(2, 9) and what becomes of it.",
    )
