"""Evaluation: metrics, curves, validation, selection, diagnostics."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("evaluation")
