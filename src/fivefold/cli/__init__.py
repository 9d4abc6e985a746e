"""The command ``fivefold``: thin and lazy. At start only typer and rich are loaded; every verb imports what it needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 means yes, 1 that the answer is no (evidence that fails, a replay that differs, a comparison in which every method
    failed), 2 that something given cannot be used, 130 that Ctrl-C was pressed.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("FIVEFOLD_DEBUG"))
    words = [word for word in words if word != "--debug"]
    from .app import execute

    return execute(words, debug=debug)
