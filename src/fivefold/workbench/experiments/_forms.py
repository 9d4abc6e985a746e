"""Which target a loss takes, and the real data set that has such a one; read from the card, without importing torch."""

from __future__ import annotations

from fivefold.base.cards import Card

STOCK_DATA = {"binary": "breast-cancer", "class": "digits", "real": "diabetes"}


def form_of(card: Card) -> str:
    """Return "binary", "class" or "real": what the card's experiment says, else what its tasks mean."""
    stated = card.experiment.get("target")
    if stated in STOCK_DATA:
        return str(stated)
    for task, form in (("binary", "binary"), ("multiclass", "class"), ("regression", "real")):
        if task in card.task:
            return form
    return "class"
