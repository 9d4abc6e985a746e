"""Data: sources, schema, encoders, splits, batches and samplers."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("data")
