"""The engine plays the parts: one loop for every learner."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("engine")
