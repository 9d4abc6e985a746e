"""Linear models, discriminant models and nearest neighbors."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("models.linear")
