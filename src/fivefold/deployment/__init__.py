"""Compress, export, serve, monitor, A/B test."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("deployment")
