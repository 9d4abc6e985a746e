"""Evidence for ``data-ingestion``: one table from every source, bad lines named, changes noticed."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import random
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fivefold.evidence import Check, evidence

# A table whose cells need care: missing values, quotes, line breaks, letters beyond ASCII, integers among floats.
RECORDS: list[dict[str, Any]] = [
    {"city": "Zürich", "size": 443.5, "count": 3, "note": 'says "yes"', "day": "2024-02-29"},
    {"city": "Łódź", "size": None, "count": 12, "note": "two\nlines", "day": "2023-12-31"},
    {"city": "São Paulo, BR", "size": -0.25, "count": 7, "note": None, "day": "1999-01-01"},
    {"city": "Zürich", "size": 1e-9, "count": 0, "note": "semi;colon", "day": "2024-03-01"},
    {"city": None, "size": 88.0, "count": 41, "note": "tab\there", "day": "2000-06-15"},
]
NAMES = list(RECORDS[0])


def _csv(separator: str = ",") -> str:
    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in f'"\n{separator}') else text

    lines = [separator.join(NAMES), *(separator.join(cell(row[name]) for name in NAMES) for row in RECORDS)]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback device."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent: evidence prints nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _expected() -> Any:
    import polars as pl

    frame = pl.DataFrame({name: [row[name] for row in RECORDS] for name in NAMES})
    return frame.with_columns(pl.col("day").str.to_datetime("%Y-%m-%d", time_unit="us"))


def _typed(frame: Any) -> Any:
    from fivefold.data.infer import infer_schema

    return infer_schema(frame, types={"note": "text", "city": "categorical"})


def _mismatches(frames: dict[str, Any]) -> int:
    """Count sources whose typed table differs from the one written down by hand in rows, kinds or checksum."""
    from fivefold.data.schema import checksum

    kinds = {"city": "categorical", "size": "numeric", "count": "numeric", "note": "text", "day": "datetime"}
    wanted = checksum(_expected())
    wrong = 0
    for frame in frames.values():
        schema, table = _typed(frame)
        same_kinds = {column.name: column.kind for column in schema.columns} == kinds
        wrong += not (same_kinds and table.height == len(RECORDS) and checksum(table) == wanted)
    return wrong


@evidence(
    "data-ingestion",
    claim="SQLite, CSV, JSON and HTTP fixtures load into the same typed table: rows, kinds and checksums equal",
    against="the table written down by hand",
)
def same_table_from_every_source() -> Check:
    from fivefold.data.readers import read_table

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "t.csv").write_text(_csv(), encoding="utf8")
        (folder / "t.tsv").write_text(_csv("\t"), encoding="utf8")
        (folder / "t.txt").write_text(_csv(";"), encoding="utf8")
        (folder / "bom.csv").write_text(_csv(), encoding="utf-8-sig")
        (folder / "wide.csv").write_text(_csv(), encoding="utf-16")
        (folder / "t.csv.gz").write_bytes(gzip.compress(_csv().encode()))
        (folder / "t.json").write_text(json.dumps(RECORDS), encoding="utf8")
        columns = {name: [row[name] for row in RECORDS] for name in NAMES}
        (folder / "columns.json").write_text(json.dumps(columns), encoding="utf8")
        (folder / "envelope.json").write_text(json.dumps({"count": 5, "rows": RECORDS}), encoding="utf8")
        (folder / "t.jsonl").write_text("\n".join(json.dumps(row) for row in RECORDS), encoding="utf8")
        with contextlib.closing(sqlite3.connect(folder / "t.db")) as base:
            base.execute("CREATE TABLE t (city TEXT, size REAL, count INTEGER, note TEXT, day TEXT)")
            base.executemany("INSERT INTO t VALUES (:city, :size, :count, :note, :day)", RECORDS)
            base.commit()
        files = (
            "t.csv",
            "t.tsv",
            "t.txt",
            "bom.csv",
            "wide.csv",
            "t.csv.gz",
            "t.json",
            "t.jsonl",
            "columns.json",
            "envelope.json",
        )
        frames = {file: read_table(folder / file) for file in files}
        frames["file url"] = read_table((folder / "t.csv").as_uri())
        frames["sqlite"] = read_table(sql=(f"sqlite:///{folder / 't.db'}", "SELECT * FROM t"))
        frames["sqlite table"] = read_table(sql=(str(folder / "t.db"), "t"))
        with _server(folder) as address:
            frames["http csv"] = read_table(f"{address}/t.csv")
            frames["http gz"] = read_table(f"{address}/t.csv.gz")
            frames["http json"] = read_table(f"{address}/t.json")
        frames["records"] = read_table(RECORDS)
        return Check(_mismatches(frames), 0, f"sources of {len(frames)} that differ", "hand-written table")


@evidence(
    "data-ingestion",
    claim="Parquet, Arrow, zstd and a DuckDB query give the same typed table",
    against="the table written down by hand",
    peer="duckdb",
)
def same_table_from_columnar_sources() -> Check:
    import duckdb
    import polars as pl
    import pyarrow as pa

    from fivefold.data.readers import read_table

    plain = pl.DataFrame({name: [row[name] for row in RECORDS] for name in NAMES})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain.write_parquet(folder / "t.parquet")
        plain.write_ipc(folder / "t.arrow")
        with pa.CompressedOutputStream(str(folder / "t.csv.zst"), "zstd") as stream:
            stream.write(_csv().encode())
        with contextlib.closing(duckdb.connect(str(folder / "t.duckdb"))) as base:
            base.execute("CREATE TABLE t (city TEXT, size DOUBLE, count INTEGER, note TEXT, day DATE)")
            base.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [tuple(row.values()) for row in RECORDS])
        frames = {file: read_table(folder / file) for file in ("t.parquet", "t.arrow", "t.csv.zst")}
        frames["duckdb"] = read_table(sql=(f"duckdb:///{folder / 't.duckdb'}", "SELECT * FROM t"))
        frames["arrow table"] = read_table(plain.to_arrow())
        frames["lazy frame"] = read_table(plain.lazy())
        return Check(_mismatches(frames), 0, f"sources of {len(frames)} that differ", "hand-written table")


@evidence(
    "data-ingestion",
    claim="A CSV of numbers, words and gaps is read cell for cell as pandas reads it",
    against="pandas.read_csv",
    peer="pandas",
)
def parity_with_pandas() -> Check:
    import io

    import pandas as pd

    from fivefold.data.readers_csv import read_csv

    draw = random.Random(7)
    words = ["plain", "with, comma", 'with "quote"', "with\nbreak", "ünïcode"]
    rows = [
        {
            "i": draw.randrange(-(10**12), 10**12),
            "x": repr(draw.uniform(-1, 1) * 10.0 ** draw.randrange(-300, 300)) if draw.random() > 0.1 else "",
            "w": draw.choice(words),
            "s": f"{draw.random():.3f}",
        }
        for _ in range(3000)
    ]
    text = pd.DataFrame(rows).to_csv(index=False)
    ours, _ = read_csv(text.encode(), "t.csv")
    # pandas cuts the cells, Python's own float reads them: exact whatever precision pandas defaults to.
    theirs = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    wrong = int(list(ours.columns) != list(theirs.columns))
    for name in "ixs":
        wanted = [float(cell) if cell else None for cell in theirs[name].tolist()]
        wrong += sum(a != b for a, b in zip(ours[name].to_list(), wanted))
        wrong += not ours[name].dtype.is_numeric()
    wrong += sum(a != b for a, b in zip(ours["w"].to_list(), theirs["w"].tolist()))
    wrong += abs(ours.height - len(theirs))
    return Check(wrong, 0, "cells that differ", "pandas.read_csv")


@evidence(
    "data-ingestion",
    claim="A line with a value too few, too many or an open quote is named by its number",
    against="the line that was damaged",
)
def ragged_lines_are_named() -> Check:
    from fivefold.base.errors import DataError
    from fivefold.data.readers_csv import read_csv

    wrong = 0
    for quoted in (False, True):
        for line in (2, 3, 57, 200):
            for damage in ("1,2", "1,2,3,4", '"1,2,3'):
                rows = ["a,b,c", *(f'{i},"{i}",' if quoted else f"{i},{i}," for i in range(199))]
                rows[line - 1] = damage
                try:
                    read_csv(("\n".join(rows) + "\n").encode(), "t.csv")
                    wrong += 1
                except DataError as error:
                    wrong += f"line {line} " not in f"{error} "
    return Check(wrong, 0, "damages not named", "the damaged line")


@evidence(
    "data-ingestion",
    claim="The checksum notices a changed value, a gap, another order and another name, and nothing else",
    against="tables changed in one place",
)
def checksum_notices_changes() -> Check:
    import polars as pl

    from fivefold.data.schema import checksum

    base = _expected()
    whole = checksum(base)
    changed = [
        base.with_columns(size=pl.col("size") * (1 + 2**-50)),
        base.with_columns(count=pl.col("count").replace(0, None)),
        base.with_columns(city=pl.col("city").fill_null("")),
        base.with_columns(city=pl.when(pl.col("city") == "Zürich").then(pl.lit("Zürich ")).otherwise("city")),
        base.with_columns(day=pl.col("day").dt.offset_by("1us")),
        base.reverse(),
        base.rename({"size": "Size"}),
        base.select(reversed(base.columns)),
        base.head(4),
    ]
    equal = [
        base.clone(),
        pl.concat([base.head(2), base.tail(3)], rechunk=False),
        base.with_columns(pl.col("count").cast(pl.Float64)),
        base.with_columns(pl.col("size").fill_null(float("nan"))),
    ]
    wrong = sum(checksum(frame) == whole for frame in changed) + sum(checksum(frame) != whole for frame in equal)
    return Check(wrong, 0, f"verdicts of {len(changed) + len(equal)} that are wrong", "changed tables")


@evidence(
    "data-ingestion",
    claim="libsvm lines give label and columns by index, absent values zero",
    against="a parser of three lines",
)
def libsvm_by_index() -> Check:
    from fivefold.data.readers import read_table

    draw = random.Random(5)
    rows = [
        (draw.choice((-1, 1)), {k: draw.randrange(1, 99) / 8 for k in sorted(draw.sample(range(1, 9), 3))})
        for _ in range(50)
    ]
    text = "\n".join(f"{label} " + " ".join(f"{k}:{v}" for k, v in pairs.items()) for label, pairs in rows)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "t.libsvm"
        path.write_text(text, encoding="ascii")
        frame = read_table(path)
    width = max(k for _, pairs in rows for k in pairs)
    wrong = int(frame.columns != ["label", *(f"x{k}" for k in range(1, width + 1))])
    for got, (label, pairs) in zip(frame.iter_rows(), rows):
        wrong += got != (label, *(pairs.get(k, 0.0) for k in range(1, width + 1)))
    return Check(wrong, 0, "rows that differ", "line by line")
