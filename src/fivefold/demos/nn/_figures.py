"""What the figures of these demonstrations share."""

from __future__ import annotations


def resolution(quick: bool) -> int:
    """Return the dots per inch of a figure, fewer in the quick form."""
    return 60 if quick else 120  # any value: looks
