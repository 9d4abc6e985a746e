"""Ranges of parameters: the ends that belong to them are taken, what lies beyond is refused by name."""

from __future__ import annotations

import warnings
from typing import Any

from fivefold.workbench.proof import Check

CLAIM = "The ends of every range are taken, what lies beyond is refused by the name of the parameter"


def range_ends(
    make: Any, taken: list[dict[str, Any]], refused: list[dict[str, Any]], *data: Any, verb: str = "fit"
) -> Check:
    """Count the settings that are judged otherwise; the last parameter of a refused one is what the message names.

    Every setting is made, and with ``data`` its ``verb`` is called on them.
    """
    from fivefold.base.errors import InputError

    def judge(setting: dict[str, Any]) -> str:
        try:
            made = make(**setting)
            if data:
                getattr(made, verb)(*data)
        except InputError as error:
            return str(error)
        return ""

    with warnings.catch_warnings(record=True) as seen:  # few steps may not settle
        warnings.simplefilter("always")
        wrong = sum(judge(setting) != "" for setting in taken)
        wrong += sum(list(setting)[-1] not in judge(setting) for setting in refused)
    # A warning points to the line that called, here above.
    wrong += sum(w.filename != __file__ for w in seen)
    return Check(wrong, 0, "settings judged otherwise", "the documentation")
