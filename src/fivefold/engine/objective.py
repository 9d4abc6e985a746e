"""Losses by name, in the form in which a network's outputs meet the targets of its task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from fivefold.base.cards import get_card
from fivefold.base.errors import CapabilityError

_FORMS = {"binary": "binary", "multiclass": "class", "regression": "real"}
"""The form of target that a loss takes (``experiment.target`` of its card), by task."""


def named_objective(name: str, options: dict[str, Any], task: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of a card as (outputs (batch, n_outputs), targets) -> one number a row.

    Raises
    ------
    CapabilityError
        When the loss takes another form of target than the task has.
    """
    card = get_card(name)
    form = card.experiment.get("target", "binary")
    if card.kind != "loss" or form != _FORMS[task]:
        what = f"targets of the form {form!r}" if card.kind == "loss" else f"nothing: it is a {card.kind}"
        raise CapabilityError(
            f"The objective {card.id!r} takes {what}, but this {task} problem has the form {_FORMS[task]!r}; "
            "choose another loss."
        )
    loss: Callable[[Tensor, Tensor], Tensor] = card.load()(reduction="none", **options)
    if task == "binary":
        return lambda outputs, y: loss(outputs.squeeze(1), y.to(outputs.dtype))
    if task == "multiclass":
        return loss
    return lambda outputs, y: loss(outputs, y).mean(1)
