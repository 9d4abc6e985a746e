"""Reinforcement learning: agents and planners."""

from fivefold.base.cards import exports

__getattr__, __dir__ = exports("models.rl")
