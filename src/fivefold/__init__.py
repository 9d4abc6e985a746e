"""fivefold: every machine-learning method as five parts, carried the whole way, with evidence.

The door: :func:`create` builds any method by name, :func:`list_methods` lists them, :func:`load_dataset` gives real data,
:func:`compare` compares methods on a table, :func:`run` executes a method or a specification, :func:`load` reads what was
saved, :func:`verify` shows the evidence of a method and :func:`replay` executes a recorded run again.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

# Name -> where it lives; nothing is imported before it is used.
_DOOR = {
    "create": "fivefold.workbench.door:create",
    "list_methods": "fivefold.workbench.door:list_methods",
    "run": "fivefold.workbench.run:run",
    "compare": "fivefold.workbench.compare:compare",
    "predict": "fivefold.workbench.predict:predict",
    "replay": "fivefold.workbench.replay:replay",
    "verify": "fivefold.workbench.proof:verify",
    "load": "fivefold.base.codec:load",
    "load_dataset": "fivefold.data.datasets:load_dataset",
}

__all__ = ["__version__"]
__all__ += list(_DOOR)


def __getattr__(name: str) -> Any:
    if name in _DOOR:
        from fivefold.base.cards import load_path

        return load_path(_DOOR[name])
    raise AttributeError(f"module 'fivefold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
