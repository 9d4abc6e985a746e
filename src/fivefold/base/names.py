"""Names are found whatever their case, hyphens or underscores; an unknown one is answered with its nearest neighbours."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from .errors import UnknownNameError


def normalize(name: str) -> str:
    """Return the form under which names are compared: lower case, without ``-``, ``_`` or blanks."""
    return re.sub(r"[-_\s]+", "", name).lower()


def nearest(name: str, choices: Iterable[str], n: int = 3) -> list[str]:
    """Return the ``n`` choices most like ``name``, best first."""
    by_form = {normalize(choice): choice for choice in choices}
    found = difflib.get_close_matches(normalize(name), by_form, n=n, cutoff=0.0)
    return [by_form[form] for form in found]


def resolve(name: str, choices: Iterable[str], what: str) -> str:
    """Return the choice that ``name`` means.

    Raises
    ------
    UnknownNameError
        When nothing matches; the message names ``what`` was looked for and the nearest three.
    """
    pool = list(choices)
    if name in pool:
        return name
    form = normalize(name)
    for choice in pool:
        if normalize(choice) == form:
            return choice
    hint = ", ".join(nearest(name, pool)) or "none is known"
    raise UnknownNameError(f"Unknown {what} {name!r}; did you mean one of: {hint}?")
