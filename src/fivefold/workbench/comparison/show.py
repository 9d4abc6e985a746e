"""What a comparison says on the terminal: the plan before any fit, live progress on stderr, the table at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..figures import seconds
from .cells import Cell, CellSpec
from .finish import Finish
from .judge import Judgement
from .numbers import plain, with_deviation
from .plan import Plan
from .progress import Silent
from .scoring import score
from .table import LABELS, Row
from .words import interval


class Live(Silent):
    """A bar for each method, with its score so far."""

    def __init__(self, plan: Plan, wanted: Mapping[str, Sequence[CellSpec]], progress: Any) -> None:
        self.plan = replace(plan, metrics=(plan.rank_by,))
        self.progress = progress
        wide = max(len(name) for name in wanted)
        self.tasks = {
            name: progress.add_task(name.ljust(wide), total=len(specs), note="", start=False)
            for name, specs in wanted.items()
        }
        self.scores: dict[str, list[float]] = {}

    def start(self, method: str) -> None:
        self.progress.start_task(self.tasks[method])

    def done(self, cell: Cell) -> None:
        from rich.text import Text

        label = LABELS.get(self.plan.rank_by, self.plan.rank_by)
        found = self.scores.setdefault(cell.method, [])
        if not cell.ok:
            note = f"failed: {cell.reason}"
        else:
            if cell.name.startswith("fold-") and cell.predictions is not None:
                rows = self.plan.frame[cell.predictions["row"].to_numpy()]
                value = score(self.plan, rows, cell.predictions)[self.plan.rank_by]
                found += [] if value is None else [value]
            note = f"{label} {_so_far(found)}" if found else ""
        # As Text, because a reason may hold brackets that rich would read as markup.
        self.progress.update(self.tasks[cell.method], advance=1, note=Text(note[:100]).markup)


def _so_far(values: list[float]) -> str:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return with_deviation(float(np.mean(values)), deviation)


@contextlib.contextmanager
def watching(plan: Plan, wanted: Mapping[str, Sequence[CellSpec]], progress: bool) -> Iterator[Silent]:
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
        yield Live(plan, wanted, bars)


def text_table(
    plan: Plan,
    rows: Sequence[Row],
    end: Finish | None = None,
    width: int = 0,
    judgements: Mapping[str, Judgement] | None = None,
) -> str:
    """Return the table as plain text, columns aligned; metrics that do not fit ``width`` are left to the report.

    A dot marks the methods that cannot be told from the best one; where mistakes have costs, these come first.
    """
    extra = ["cost a row", "at 0.5"] if plan.options.cost else []
    clicks = any(entry.card.kind == "ctr-model" for entry in plan.entries)
    last = ["weights", "rows/s", "fit", "predict"] if clicks else ["fit", "predict"]
    head = ["", "method", *extra, *(LABELS.get(m, m) for m in plan.metrics), *last]
    body = [
        [
            "●" if row.in_group else "",
            row.id + (f" ({row.setting})" if plan.options.tune and not row.baseline else ""),
            *(_costs((judgements or {}).get(row.id)) if extra else []),
            *(row.show(m) for m in plan.metrics),
            *([whole(row.weights), whole(row.rows_per_second)] if clicks else []),
            "–" if np.isnan(row.fit_seconds) else seconds(row.fit_seconds),
            "–" if np.isnan(row.predict_seconds) else seconds(row.predict_seconds),
        ]
        for row in rows
    ]
    sealed = sealed_line(plan, end)
    if sealed:
        body.append([*sealed[:2], *[""] * len(extra), *sealed[2:], *[""] * len(last)])
    wide = [max(len(line[j]) for line in [head, *body]) for j in range(len(head))]
    shown = list(range(len(head)))
    while width and sum(wide[j] + 2 for j in shown) > width and len(shown) > 3 + len(extra) + len(last):
        shown.remove(shown[-1 - len(last)])  # the last metric; group, method, the ranking metric, sizes and times stay
    lines = []
    for line in [head, *body]:
        cells = [line[j].ljust(wide[j]) if j == 1 else line[j].rjust(wide[j]) for j in shown]
        lines.append("  ".join(cells).rstrip())
    rule = "─" * max(map(len, lines))
    lines.insert(1, rule)
    if sealed:
        lines.insert(len(lines) - 1, "Sealed test (report this)".ljust(len(rule), " "))
    lines.insert(0, "Cross-validation (selection)")
    if any(row.in_group for row in rows):
        lines.append("● not distinguishable from the best")
    lines += [f"not ranked: {row.id}: {row.reason}" for row in rows if row.reason]
    left_out = [head[j] for j in range(2, len(head)) if j not in shown]
    if left_out:
        lines.append(f"also in the report: {', '.join(left_out)}")
    return "\n".join(lines)


def _costs(judgement: Judgement | None) -> list[str]:
    if judgement is None or judgement.chosen is None or judgement.half is None:
        return ["–", "–"]
    return [plain(judgement.chosen.cost), plain(judgement.half.cost)]


def sealed_line(plan: Plan, end: Finish | None) -> list[str] | None:
    """Return the cells of the line of the sealed test, or None when no row was sealed."""
    if end is None or not end.sealed:
        return None
    scores = [interval(end.sealed[m]) if m in end.sealed else "–" for m in plan.metrics]
    return ["", end.winner, *scores]


def whole(value: float) -> str:
    """Return a count for people."""
    return "–" if np.isnan(value) else f"{value:,.0f}"
