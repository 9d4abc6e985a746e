"""Objectives: losses, regularizers and divergences."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("objectives")
