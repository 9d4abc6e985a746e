"""Optimizers: gradient, schedules, numerical, evolutionary, constrained and combinatorial."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("optimizers")
