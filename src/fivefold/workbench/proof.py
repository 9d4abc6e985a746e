"""Evidence: functions that compare a method with something independent, and the verb that runs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """The outcome of one piece of evidence.

    Parameters
    ----------
    value : float
        What was measured.
    bound : float
        What it may be at most (or at least, with ``at_least=True``); fixed beforehand from theory or a published figure.
    unit : str
        What the value is: "max |coef - peer|", "accuracy", "mismatches".
    peer : str
        What it was compared with: "scikit-learn Ridge", "closed form", "brute force".
    at_least : bool
        The value must reach the bound instead of staying under it.
    """

    value: float
    bound: float
    unit: str = ""
    peer: str = ""
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the value respects the bound; NaN never does."""
        if math.isnan(self.value):
            return False
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclass(frozen=True)
class Evidence:
    """A registered evidence function."""

    id: str
    claim: str
    against: str
    function: Callable[[], Any]
    peer: str | None = None
    slow: bool = False


def evidence(
    id: str, *, claim: str, against: str, peer: str | None = None, slow: bool = False
) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register a function as evidence for the card ``id``.

    Parameters
    ----------
    id : str
        Catalogue id, a literal string.
    claim : str
        What is shown, one sentence.
    against : str
        The independent thing compared with.
    peer : str, optional
        Import name of the library that must be installed; without it the evidence is skipped, and a skip proves nothing.
    slow : bool
        Longer than 10 s; run by ``fivefold verify --slow``.
    """

    def register(function: Callable[[], Any]) -> Callable[[], Any]:
        function.__fivefold_evidence__ = (
            *getattr(function, "__fivefold_evidence__", ()),
            Evidence(id, claim, against, function, peer, slow),
        )  # type: ignore[attr-defined]
        return function

    return register
