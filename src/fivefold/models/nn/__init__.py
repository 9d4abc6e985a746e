"""Neural building blocks."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("models.nn")
