"""A loss: the same network trained with it and with the usual one, and its shape."""

from __future__ import annotations

from typing import Any

from fivefold.base.cards import Card

from ..context import Context

SLOT = "objective"
STOCK: dict[str, Any] = {
    "optimizer": {"name": "adam", "lr": 0.003},
    "trainer": {"max_epochs": 30, "batch_size": 32},
}
QUICK: dict[str, Any] = {"trainer": {"max_epochs": 2}, "data": {"rows": 400}}
SESSION = True


def stock_for(card: Card) -> dict[str, Any]:
    """Return the data set that the form of the loss's target asks for."""
    from . import _forms

    return {"data": {"name": _forms.STOCK_DATA[_forms.form_of(card)]}}


def run(context: Context) -> None:
    """Train with both, draw both."""
    from ._training import contest, network, problem, refuse_model, usual_optimizer

    refuse_model(context)
    given = problem(context)
    params = {} if context.spec.objective is None else dict(context.spec.objective.params)
    loss = context.card.load(context.spec.objective.variant if context.spec.objective else None)(**params)
    part = usual_optimizer(context)
    usual = given.usual_loss()
    entrants = {
        context.card.id: (network(context, given), loss, part),
        type(usual).__name__: (network(context, given), usual, part),
    }
    contest(context, given, entrants)
    context.model = dict(entrants[context.card.id][0].state_dict())
    _shape(context, given.form, loss, usual)


def _shape(context: Context, form: str, loss: Any, usual: Any) -> None:
    import torch

    from ._plots import curves

    if form == "class":
        return
    x = torch.linspace(-5, 5, 201)
    target = torch.ones(()) if form == "binary" else torch.zeros(())
    series = {}
    family = dict(context.card.experiment.get("family", {}))
    for parameter, choices in family.items():
        for choice in choices:
            member = context.card.load()(**{parameter: choice})
            series[f"{parameter} = {choice:g}"] = (
                x.tolist(),
                [float(member(v.reshape(1), target.reshape(1))) for v in x],
            )
    drawn = ((type(usual).__name__, usual),) if family else ((context.card.id, loss), (type(usual).__name__, usual))
    for name, function in drawn:
        values = [float(function(value.reshape(1), target.reshape(1))) for value in x]
        series[name] = (x.tolist(), values)
    what = "logit, true class 1" if form == "binary" else "prediction - target"
    curves(context, "shape", series, x=what, y="loss of one row", caption="What one row costs.")
