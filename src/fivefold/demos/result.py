"""What a demonstration returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """Numbers by name, the figures that were written, and a short text that says what they show."""

    numbers: Mapping[str, float]
    figures: list[Path] = field(default_factory=list)
    text: str = ""

    @property
    def notes(self) -> list[str]:
        """The paragraphs of the text."""
        return [part.strip() for part in self.text.split("\n\n") if part.strip()]
