"""What a demonstration returns, and how it writes a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fivefold.workbench.figures import settle


@dataclass(frozen=True)
class ResultTable:
    """A table of what was found."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclass(frozen=True)
class Result:
    """Numbers by name, the figures that were written, a short text that says what they show, and tables."""

    numbers: Mapping[str, float]
    figures: list[Path] = field(default_factory=list)
    text: str = ""
    tables: Sequence[ResultTable] = ()

    @property
    def notes(self) -> list[str]:
        """The paragraphs of the text."""
        return [part.strip() for part in self.text.split("\n\n") if part.strip()]


def save_figure(figure: Any, path: Path, dpi: float) -> None:
    """Write a figure, laid out once."""
    settle(figure)
    figure.savefig(path, dpi=dpi)
