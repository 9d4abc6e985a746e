"""A classifier on its default real data: hold-out, metrics, confusion matrix, training curve."""

from __future__ import annotations

from typing import Any

from ._supervised import run as run

SLOT = "model"
STOCK: dict[str, Any] = {"data": {"name": "breast-cancer"}}
QUICK: dict[str, Any] = {"data": {"rows": 400}}
SESSION = True
