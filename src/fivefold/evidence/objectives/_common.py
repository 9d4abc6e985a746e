"""What the evidence of losses shares."""

from __future__ import annotations


def largest(*values: float) -> float:
    """Return the largest of numbers, NaN if one is NaN: `max` would lose it."""
    return max(values, key=lambda v: (v != v, v))
