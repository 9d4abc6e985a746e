"""Regimes over any model: semi-supervised, transfer, few-shot, curriculum."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("learning")
