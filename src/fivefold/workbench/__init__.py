"""The workbench: cards and resolver, specs, runs, comparison, reports."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("workbench")
