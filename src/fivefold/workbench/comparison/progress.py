"""Progress that nobody watches; :mod:`show` draws the one that people see."""

from __future__ import annotations

from .cells import Cell


class Silent:
    """Takes notice of nothing."""

    def start(self, method: str) -> None:
        """A method begins."""

    def done(self, cell: Cell) -> None:
        """A cell is finished."""
