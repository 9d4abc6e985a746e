"""Clustering and dimension reduction."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("models.unsupervised")
