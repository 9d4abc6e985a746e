"""One prediction of trees in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Explanation:
    """What each column added to one prediction; printing it gives sentences.

    Attributes
    ----------
    outcome : str
        What was predicted: "The prediction is 4.13", "The probability of 'yes' is 0.83".
    score, mean : float
        Raw score of the row, and the mean of the training rows; ``mean + contributions.sum() == score``.
    linked : bool
        Whether the prediction is a function of the score instead of the score itself.
    names, values : list of d str
        Columns and what stands in them.
    contributions : float64 array (d,)
    top : int
        Columns that the sentences name.
    """

    outcome: str
    score: float
    mean: float
    linked: bool
    names: list[str]
    values: list[str]
    contributions: np.ndarray
    top: int = 5

    @property
    def ranked(self) -> list[tuple[str, str, float]]:
        """Columns that contribute, the largest absolute contribution first: (name, value, contribution)."""
        order = np.argsort(-np.abs(self.contributions), kind="stable")
        return [
            (self.names[f], self.values[f], float(self.contributions[f])) for f in order if self.contributions[f] != 0
        ]

    def __str__(self) -> str:
        ranked = self.ranked
        named, others = ranked[: self.top], ranked[self.top :]
        start = f"{self.outcome}, from a score of {self.score:.4g}" if self.linked else self.outcome
        text = [f"{start}; the mean {'score ' if self.linked else ''}of the training rows is {self.mean:.4g}."]
        for verb, sign in (("raise", 1), ("lower", -1)):
            parts = [f"{name} = {value} ({given:+.4g})" for name, value, given in named if given * sign > 0]
            if parts:
                what = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
                text.append(f"{what} {verb if len(parts) > 1 else verb + 's'} it.")
        if others:
            rest = sum(given for *_, given in others)
            many = f"{len(others)} other columns add" if len(others) > 1 else "One other column adds"
            text.append(f"{many} {rest:+.4g}.")
        if not ranked:
            text.append("No column contributes.")
        return " ".join(text)


def cells(row: Any, table: np.ndarray, names: list[str]) -> list[str]:
    """Return what stands in the columns of a row, as text; ``table`` (1, d) holds its numbers."""
    numbers = ["missing" if np.isnan(x) else f"{x:.6g}" for x in table[0]]
    if not hasattr(row, "columns"):
        return numbers
    by_name = {str(c): row[c].to_numpy()[0] for c in row.columns}
    # Numbers keep their format; words and categories are shown as they are.
    return [
        str(by_name[name]) if isinstance(by_name[name], str) else number
        for name, number in zip(names, numbers, strict=True)
    ]
