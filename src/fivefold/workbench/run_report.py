"""The page of a run: what came out, its figures and tables, what it was made from, and how to repeat it."""

from __future__ import annotations

import shlex

from .context import Context
from .report import Report
from .store import RunRecord


def write_report(context: Context, record: RunRecord) -> None:
    """Write ``report.html`` to the run's directory."""
    card, spec = context.card, context.spec
    page = Report(
        card.title,
        byline=f"{card.id} · {record.kind} · seed {record.seed} · {record.started[:16].replace('T', ' ')}"
        + (" · quick rehearsal" if record.quick else ""),
    )
    page.verdict(_verdict(context))
    page.text(card.summary)
    if record.metrics:
        page.section("Result")
        page.table(["", "value"], [[name, value] for name, value in record.metrics.items()])
    for note in record.notes:
        page.text(note, kind="note")
    if context.figures:
        page.section("Figures")
        for figure in context.figures:
            page.figure(
                context.markup[figure.file.removeprefix("figures/").removesuffix(".png")], figure.alt, figure.caption
            )
    for table in context.tables:
        page.section(table.title)
        page.table(list(table.columns), [list(row) for row in table.rows], caption=table.caption)
    page.section("What it was made from")
    page.table(
        ["key", "value", "origin"],
        [[path, _short(value), origin] for path, value, origin in spec.lines()],
        align="lll",
    )
    if record.data is not None:
        page.facts(
            {
                "data": record.data.name,
                "rows": record.data.rows,
                "columns": record.data.columns,
                "SHA-256 of the values": record.data.sha256,
            }
        )
    page.section("Repeat it")
    page.code(f"{shlex.join(record.command)}\nfivefold replay {record.name}")
    page.details("Versions and times")
    page.facts({**record.versions, "platform": record.platform})
    page.facts({name: f"{seconds:.3g} s" for name, seconds in record.timings.items()})
    page.write(context.directory / "report.html")


def _verdict(context: Context) -> str:
    if not context.metrics:
        return f"{context.card.title} ran to its end."
    name, value = next(iter(context.metrics.items()))
    on = f" on {context.data.name}" if context.data is not None else ""
    return f"{context.card.title}{on}: {name} {value:.4g}."


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"
