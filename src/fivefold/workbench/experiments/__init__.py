"""Stock experiments: what ``fivefold run ID`` does with a card, one file a kind.

A file declares where the card stands in a specification (``SLOT``), what the rest of it is unless the card or the user says
otherwise (``STOCK``; ``QUICK`` for a rehearsal), whether it trains by the engine (``SESSION``), and ``run(context)``.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Protocol, cast

from fivefold.base.errors import SpecError


class Experiment(Protocol):
    """What every file of this folder provides."""

    SLOT: str
    STOCK: dict[str, Any]
    SESSION: bool

    def run(self, context: Any) -> None:
        """Carry the experiment out, writing what it finds into the context."""


def stock(kind: str) -> Experiment:
    """Return the stock experiment of a kind.

    Raises
    ------
    SpecError
        When the kind has none.
    """
    name = f"{__name__}.{kind.replace('-', '_')}"
    if importlib.util.find_spec(name) is None:
        raise SpecError(f"`fivefold run` has no stock experiment for the kind {kind!r} yet.")
    return cast(Experiment, importlib.import_module(name))
