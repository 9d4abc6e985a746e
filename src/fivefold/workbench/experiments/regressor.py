"""A regressor on its default real data: hold-out, metrics, predictions against the truth, training curve."""

from __future__ import annotations

from typing import Any

from ._supervised import run as run

SLOT = "model"
STOCK: dict[str, Any] = {"data": {"name": "diabetes"}}
QUICK: dict[str, Any] = {"data": {"rows": 400}}
SESSION = True
