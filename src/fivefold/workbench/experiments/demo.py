"""A demonstration: its numbers and its figures."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from ..context import Context

SLOT = "model"
STOCK: dict[str, Any] = {}
SESSION = False


def run(context: Context) -> None:
    """Run the demonstration and take over what it found."""
    method = context.spec.model
    factory: Any = context.card.load(method.variant if method else None)
    demo: Any = factory(**(method.params if method else {})) if inspect.isclass(factory) else factory
    take_over(context, demo)


def take_over(context: Context, demo: Any) -> None:
    """Run a demonstration and put its numbers, figures, text and tables into the run."""
    result = demo.run(seed=context.spec.seed, out=context.directory / "demo", quick=context.quick)
    context.metrics.update({name: float(value) for name, value in result.numbers.items()})
    for table in getattr(result, "tables", ()):
        context.table(table.title, table.columns, table.rows, table.caption)
    for file in result.figures:
        path = Path(file)
        context.keep_png(path.stem, path, f"{context.card.title}: {path.stem.replace('-', ' ').replace('_', ' ')}")
    for row in getattr(result, "notes", ()):
        context.notes.append(str(row))
