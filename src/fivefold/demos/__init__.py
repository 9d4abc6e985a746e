"""Runnable demonstrations."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("demos")
