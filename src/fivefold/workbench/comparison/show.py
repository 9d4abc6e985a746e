"""What a comparison says on the terminal: the plan before any fit, live progress on stderr, the table at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..figures import seconds
from .cells import Cell
from .numbers import with_deviation
from .plan import Plan
from .table import LABELS, Row


class Silent:
    """Progress that nobody watches."""

    def start(self, method: str) -> None:
        """A method begins."""

    def done(self, cell: Cell) -> None:
        """A cell is finished."""


class Live(Silent):
    """A bar for each method, with its score so far."""

    def __init__(self, plan: Plan, progress: Any) -> None:
        self.plan = plan
        self.progress = progress
        wide = max(len(entry.id) for entry in plan.entries)
        self.tasks = {
            entry.id: progress.add_task(entry.id.ljust(wide), total=plan.options.cv, note="", start=False)
            for entry in plan.entries
        }
        self.scores: dict[str, list[float]] = {}

    def start(self, method: str) -> None:
        self.progress.start_task(self.tasks[method])

    def done(self, cell: Cell) -> None:
        from rich.text import Text

        if not cell.ok:
            note = f"failed: {cell.reason}"
        else:
            found = self.scores.setdefault(cell.method, [])
            value = cell.scores.get(self.plan.rank_by)
            found += [] if value is None else [value]
            note = f"{LABELS.get(self.plan.rank_by, self.plan.rank_by)} {_so_far(found)}" if found else ""
        # As Text, because a reason may hold brackets that rich would read as markup.
        self.progress.update(self.tasks[cell.method], advance=1, note=Text(note[:100]).markup)


def _so_far(values: list[float]) -> str:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return with_deviation(float(np.mean(values)), deviation)


@contextlib.contextmanager
def watching(plan: Plan, progress: bool) -> Iterator[Silent]:
    """Show progress on stderr while the block runs."""
    if not progress:
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        refresh_per_second=4,
    ) as bars:
        yield Live(plan, bars)


def text_table(plan: Plan, rows: Sequence[Row], width: int = 0) -> str:
    """Return the table as plain text, columns aligned; metrics that do not fit ``width`` are left to the report."""
    head = ["", "method", *(LABELS.get(m, m) for m in plan.metrics), "fit", "predict"]
    body = [
        [
            "" if row.rank is None else str(row.rank),
            row.id,
            *(row.show(m) for m in plan.metrics),
            "–" if np.isnan(row.fit_seconds) else seconds(row.fit_seconds),
            "–" if np.isnan(row.predict_seconds) else seconds(row.predict_seconds),
        ]
        for row in rows
    ]
    wide = [max(len(line[j]) for line in [head, *body]) for j in range(len(head))]
    shown = list(range(len(head)))
    while width and sum(wide[j] + 2 for j in shown) > width and len(shown) > 5:
        shown.remove(shown[-3])  # the last metric; rank, method, the ranking metric and the times stay
    lines = []
    for line in [head, *body]:
        cells = [line[j].ljust(wide[j]) if j == 1 else line[j].rjust(wide[j]) for j in shown]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "─" * max(map(len, lines)))
    lines += [f"not ranked: {row.id}: {row.reason}" for row in rows if row.reason]
    left_out = [LABELS.get(plan.metrics[j - 2], "") for j in range(2, 2 + len(plan.metrics)) if j not in shown]
    if left_out:
        lines.append(f"also in the report: {', '.join(left_out)}")
    return "\n".join(lines)
