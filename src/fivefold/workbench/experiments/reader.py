"""A reader: the same small table written in many forms, read back and compared cell by cell."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path
from typing import Any

from ..context import Context

SLOT = "model"
STOCK: dict[str, Any] = {}
SESSION = False


def run(context: Context) -> None:
    """Write the fixtures, read each, count the cells that differ."""
    import polars as pl

    method = context.spec.model
    given = {**context.card.defaults, **(method.params if method else {})}
    reader = context.card.load(method.variant if method else None)(**given)
    example = context.card.experiment.get("example")
    if example is not None:
        _show(context, reader, str(example))
        return
    table = pl.DataFrame(
        {"name": ["ant", "bee", "crab", None], "legs": [6, 6, 10, 4], "weight": [0.003, 0.1, 250.0, 1.5]}
    )
    folder = context.directory / "fixtures"
    rows: list[list[Any]] = []
    for form, source, options in _fixtures(folder, table):
        found = reader.read(source, **options)
        wrong = _differences(table, found)
        rows.append([form, len(found), len(found.columns), wrong])
        context.metrics[f"{form}: cells that differ"] = float(wrong)
    context.saw("fixtures", {c: table[c] for c in table.columns})
    context.table("Fixtures", ["form", "rows", "columns", "cells that differ"], rows)


def _show(context: Context, reader: Any, example: str) -> None:
    """Read the lines of the card and show what they become."""
    folder = context.directory / "fixtures"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("example.txt", "example.txt.gz"):
        with (
            gzip.open(folder / name, "wt", encoding="utf8") if name.endswith("gz") else open(folder / name, "w") as file
        ):
            file.write(example)
    found = reader.read(folder / "example.txt")
    again = reader.read(folder / "example.txt.gz")
    context.saw("example", {name: list(values) for name, values in found.items()})
    context.metrics["lines"] = float(len(example.splitlines()))
    context.metrics["arrays that differ when compressed"] = float(
        sum(not (values == again[name]).all() for name, values in found.items())
    )
    rows = [[name, str(values.shape), str(values.dtype), str(values.tolist())[:160]] for name, values in found.items()]
    context.table("What is read", ["array", "shape", "type", "values"], rows, f"From the lines: {example}")


def _fixtures(folder: Path, table: Any) -> list[tuple[str, str, dict[str, Any]]]:
    folder.mkdir(parents=True, exist_ok=True)
    csv = table.write_csv()
    (folder / "t.csv").write_text(csv, encoding="utf8")
    (folder / "t.tsv").write_text(table.write_csv(separator="\t"), encoding="utf8")
    with gzip.open(folder / "t.csv.gz", "wt", encoding="utf8") as file:
        file.write(csv)
    table.write_parquet(folder / "t.parquet")
    table.write_ndjson(folder / "t.jsonl")
    (folder / "t.json").write_text(table.write_json(), encoding="utf8")
    table.write_ipc(folder / "t.arrow")
    database = folder / "t.sqlite"
    database.unlink(missing_ok=True)
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("create table t (name text, legs integer, weight real)")
        connection.executemany("insert into t values (?, ?, ?)", table.rows())
    connection.close()
    files = ("t.csv", "t.tsv", "t.csv.gz", "t.parquet", "t.jsonl", "t.json", "t.arrow")
    found: list[tuple[str, str, dict[str, Any]]] = [(name.partition(".")[2], str(folder / name), {}) for name in files]
    return [*found, ("sqlite", f"sqlite:///{database}", {"sql": "select * from t"})]


def _differences(table: Any, found: Any) -> int:
    if found.shape != table.shape or found.columns != table.columns:
        return int(table.height * table.width)
    wrong = 0
    for left, right in zip(table.rows(), found.rows()):
        wrong += sum(str(a) != str(b) for a, b in zip(left, right))
    return wrong
