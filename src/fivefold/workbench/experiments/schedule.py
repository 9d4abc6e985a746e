"""A schedule: the same network trained with it and with a constant rate, and the rate over the steps."""

from __future__ import annotations

from typing import Any

from ..context import Context

SLOT = "optimizer.schedule"
STOCK: dict[str, Any] = {
    "data": {"name": "digits"},
    "optimizer": {"name": "momentum", "lr": 0.1},
    "trainer": {"max_epochs": 20, "batch_size": 64},
}
QUICK: dict[str, Any] = {"trainer": {"max_epochs": 2}, "data": {"rows": 400}}
SESSION = True


def run(context: Context) -> None:
    """Train with both; draw losses and the rate."""
    from ._training import contest, network, own_params, problem, refuse_model, usual_optimizer

    refuse_model(context)
    given = problem(context)
    constant = usual_optimizer(context)
    schedule, params = constant.pop("schedule", context.card.id), constant.pop("schedule_options", {})
    options = own_params(context, params)
    total = _total(context, given)
    if "total_steps" in options:
        # The card's example length is not the length of this training.
        options["total_steps"] = params.get("total_steps", total)
    scheduled = {**constant, "schedule": schedule, "schedule_options": options}
    contest(
        context,
        given,
        {
            context.card.id: (network(context, given), given.usual_loss(), scheduled),
            "constant rate": (network(context, given), given.usual_loss(), constant),
        },
    )
    _rates(context, options, total)


def _total(context: Context, given: Any) -> int:
    batch = context.spec.trainer.batch_size or 32
    return -(-len(given.train[0]) // batch) * (context.spec.trainer.max_epochs or 20)


def _rates(context: Context, options: dict[str, Any], total: int) -> None:
    import inspect

    import torch

    from ._plots import curves

    factory = context.card.load()
    known = inspect.signature(factory).parameters
    chosen = {k: v for k, v in options.items() if k in known}
    if "total_steps" in known and "total_steps" not in chosen:
        chosen["total_steps"] = total
    rate = float(context.spec.optimizer.params.get("lr", 0.1))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    schedule = factory(optimizer, **chosen)
    rates = []
    for _ in range(total):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    context.metrics["first rate"], context.metrics["last rate"] = rates[0], rates[-1]
    curves(context, "rate", {context.card.id: (range(1, total + 1), rates)}, x="step", y="learning rate")
