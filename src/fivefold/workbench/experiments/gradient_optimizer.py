"""A gradient optimizer: the same network trained by it and by the usual ones, and its path down an ill-conditioned valley."""

from __future__ import annotations

import inspect
from typing import Any

from fivefold.base.cards import all_cards

from ..context import Context

SLOT = "optimizer"
STOCK: dict[str, Any] = {"data": {"name": "digits"}, "trainer": {"max_epochs": 20, "batch_size": 64}}
QUICK: dict[str, Any] = {"trainer": {"max_epochs": 2}, "data": {"rows": 400}}
SESSION = True
USUAL = {"adam": {"lr": 0.003}, "momentum": {"lr": 0.05}}


def run(context: Context) -> None:
    """Train with each, draw losses and paths."""
    from ._training import contest, network, own_params, problem, refuse_model, usual_optimizer

    refuse_model(context)
    given = problem(context)
    own = usual_optimizer(context)
    usual = USUAL.get(context.card.id, {})
    own["options"] = {**usual, **own_params(context, own.get("options", {}))}
    parts = {context.card.id: own}
    for name, options in USUAL.items():
        if name != context.card.id and name in all_cards():
            parts[name] = {"optimizer": name, "options": dict(options)}
    contest(context, given, {n: (network(context, given), given.usual_loss(), part) for n, part in parts.items()})
    _paths(context, parts)


def _paths(context: Context, parts: dict[str, dict[str, Any]]) -> None:
    import numpy as np

    from fivefold.base.cards import get_card

    from .. import figures

    figure, axes = figures.canvas(5.6, 3.6)
    across, up = np.meshgrid(np.linspace(-2.5, 2.5, 120), np.linspace(-2.5, 2.5, 120))
    levels = [0.01, 0.1, 0.3, 1, 2.5, 5, 9]
    axes.contour(across, up, 0.1 * across**2 + 2 * up**2, levels=levels, colors=figures.GRID, linewidths=0.8)
    for number, (name, part) in enumerate(parts.items()):
        path = _descend(get_card(name).load(), {**part.get("options", {})}, steps=60)
        axes.plot(path[:, 0], path[:, 1], "o-", ms=2.5, lw=1, color=figures.SERIES[number], label=name)
    axes.set_xlim(-2.5, 2.5)
    axes.set_ylim(-2.5, 2.5)
    axes.set_xlabel("x1")
    axes.set_ylabel("x2")
    axes.legend(loc="best", labelcolor=figures.INK)
    context.draw(
        "path",
        figure,
        "Paths down 0.1 x1² + 2 x2² from (2, 2).",
        "60 steps on 0.1 x1² + 2 x2² from (2, 2), at 30 times the learning rate.",
    )


def _descend(factory: Any, options: dict[str, Any], steps: int) -> Any:
    import numpy as np
    import torch

    # The rates are those of the network; this valley is gentler, so all are raised alike.
    rate = options.get("lr", getattr(inspect.signature(factory).parameters.get("lr"), "default", None))
    if isinstance(rate, float):
        options["lr"] = min(0.4, 30 * rate)
    point = torch.tensor([2.0, 2.0], requires_grad=True)
    optimizer = factory([point], **options)
    path = [point.detach().numpy().copy()]
    for _ in range(steps):

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            value = 0.1 * point[0] ** 2 + 2 * point[1] ** 2
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(closure)
        path.append(point.detach().numpy().copy())
    return np.array(path)
