"""Recommenders and click-through-rate models."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("models.recommend")
