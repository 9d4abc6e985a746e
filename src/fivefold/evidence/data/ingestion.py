"""Evidence for ``data-ingestion``: one table from every source, numbers and dates read as written, decisions as declared."""

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
from datetime import datetime
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
    claim="Numbers written by people mean what they say: 1,234.5, 1.234,5, 12 %, (3), $2 and what is missing",
    against="values worked out by hand",
)
def numbers_as_written() -> Check:
    import polars as pl

    from fivefold.data.infer import infer_schema

    english = {
        "1,234.5": 1234.5,
        "12 %": 0.12,
        "-1,000,000": -1e6,
        "(3.5)": -3.5,
        "$2,500": 2500.0,
        "-$7": -7.0,
        "7%": 0.07,
        ".5": 0.5,
        "1e3": 1000.0,
        "+4": 4.0,
        "9 €": 9.0,
        "\u22128": -8.0,
        " 6 ": 6.0,
        "2'000": 2000.0,
        "1 000 000": 1e6,
    }
    continental = {"1.234,5": 1234.5, "0,25": 0.25, "-1.000.000": -1e6, "17": 17.0, "12,5 %": 0.125, "3 000,5": 3000.5}
    missing = ("NA", "?", "null", "-", "n/a", "NaN", "", "none", "#N/A", "--")
    wrong = 0
    for cases in (english, continental):
        texts = [*cases, *missing]
        schema, frame = infer_schema(pl.DataFrame({"v": texts, "z": list(range(len(texts)))}))
        found = frame["v"].to_list()
        wrong += schema["v"].kind != "numeric"
        wrong += sum(
            not (got is not None and abs(got - want) <= 1e-12 * abs(want)) for got, want in zip(found, cases.values())
        )
        wrong += sum(value is not None for value in found[len(cases) :])
    # What only looks like numbers stays words: groups of the wrong size, two styles in one column, codes.
    for texts in (["1,23,4", "5"], ["1,234.5", "1.234,5"], ["1 2", "3"], ["12-34", "5"], ["1.2.3", "4"], ["5 %%", "6"]):
        schema, _ = infer_schema(pl.DataFrame({"v": texts, "z": [0, 1]}))
        wrong += schema["v"].kind == "numeric"
    return Check(wrong, 0, "values read otherwise", "worked by hand")


@evidence(
    "data-ingestion",
    claim="Dates in mixed formats, with clock times and offsets, are the instants they name",
    against="datetime.strptime of the standard library",
)
def dates_as_written() -> Check:
    import polars as pl

    from fivefold.data.infer import infer_schema

    columns = {
        "mixed": [
            ("2024-02-29", "%Y-%m-%d"),
            ("31.12.1999", "%d.%m.%Y"),
            ("5 Mar 2021", "%d %b %Y"),
            ("July 4, 2020", "%B %d, %Y"),
        ],
        "day first": [
            ("03/04/2021", "%d/%m/%Y"),
            ("25/12/2021", "%d/%m/%Y"),
            ("1/1/2022", "%d/%m/%Y"),
            ("2/1/2022", "%d/%m/%Y"),
        ],
        "month first": [
            ("03/04/2021", "%m/%d/%Y"),
            ("12/25/2021", "%m/%d/%Y"),
            ("1/1/2022", "%m/%d/%Y"),
            ("2/1/2022", "%m/%d/%Y"),
        ],
        "clock": [
            ("2024-02-29 23:59:58", "%Y-%m-%d %H:%M:%S"),
            ("2024-02-29T07:05", "%Y-%m-%dT%H:%M"),
            ("2024-03-01 00:00:00.125", "%Y-%m-%d %H:%M:%S.%f"),
            ("2024-03-01T12:30:00", "%Y-%m-%dT%H:%M:%S"),
        ],
        "offset": [
            ("2024-02-29T23:30:00+02:00", "%Y-%m-%dT%H:%M:%S%z"),
            ("2024-02-29T23:30:00-0530", "%Y-%m-%dT%H:%M:%S%z"),
            ("2024-02-29T23:30:00Z", "%Y-%m-%dT%H:%M:%S%z"),
            ("2024-02-28T01:30:00+00:00", "%Y-%m-%dT%H:%M:%S%z"),
        ],
    }
    wrong = 0
    for cases in columns.values():
        schema, frame = infer_schema(pl.DataFrame({"when": [text for text, _ in cases], "z": [3, 1, 2, 5]}))
        wrong += schema["when"].kind != "datetime"
        for got, (text, fmt) in zip(frame["when"].to_list(), cases):
            want = datetime.strptime(text, fmt)
            offset = want.utcoffset()
            wrong += got != (want.replace(tzinfo=None) - offset if offset is not None else want)
    impossible, _ = infer_schema(pl.DataFrame({"when": ["2023-02-29", "2023-03-01"], "z": [1, 2]}))
    wrong += impossible["when"].kind == "datetime"
    return Check(wrong, 0, "dates read otherwise", "datetime.strptime")


@evidence(
    "data-ingestion",
    claim="Each kind of column is recognized: numbers, codes, ids, words, truth values, free text, constants",
    against="kinds declared when the table was made",
)
def kinds_as_declared() -> Check:
    import polars as pl

    from fivefold.data.infer import infer_schema

    draw = random.Random(3)
    n = 200
    words = ["the", "model", "learns", "from", "rows", "and", "fails", "where", "columns", "drift"]
    codes = [101, 205, 322, 433, 547, 610, 766, 899]
    declared: dict[str, tuple[str, list[Any]]] = {
        "x": ("numeric", [draw.gauss(0, 1) for _ in range(n)]),
        "count": ("numeric", [draw.randrange(0, 16) for _ in range(n)]),
        "year": ("numeric", [draw.choice((1990, 2005, 2021)) for _ in range(n)]),
        "price": ("numeric", [draw.choice((150, 250, 400, 900)) for _ in range(n)]),
        "amount_text": ("numeric", [f"{draw.randrange(1000, 9999):,}.50" for _ in range(n)]),
        "mostly": ("numeric", ["unknown" if i % 40 == 0 else str(i / 3) for i in range(n)]),
        "zip_code": ("categorical", [draw.randrange(10000, 10040) for _ in range(n)]),
        "place": ("categorical", [f"0{draw.randrange(2100, 2110)}" for _ in range(n)]),
        "branch_no": ("categorical", [draw.choice(codes) for _ in range(n)]),
        "unit": ("categorical", [draw.choice(codes) for _ in range(n)]),
        "color": ("categorical", [draw.choice(("red", "green", "?")) for _ in range(n)]),
        "user_id": ("categorical", [draw.randrange(1, 40) for _ in range(n)]),
        "coupon": ("categorical", ["x" if i % 3 else None for i in range(n)]),
        "flag": ("boolean", [draw.choice((0, 1)) for _ in range(n)]),
        "answer": ("boolean", [draw.choice(("Yes", "no", "YES")) for _ in range(n)]),
        "order_id": ("id", list(range(7000, 7000 + n))),
        "token": ("id", [f"{draw.getrandbits(64):016x}z" for _ in range(n)]),
        "remark": ("text", [" ".join(draw.choice(words) for _ in range(9)) for _ in range(n)]),
        "same": ("constant", [3] * n),
        "void": ("constant", ["NA"] * n),
        "when": ("datetime", [f"{1 + i % 28}.{1 + i % 12}.2020" for i in range(n)]),
    }
    schema, _ = infer_schema(pl.DataFrame({name: values for name, (_, values) in declared.items()}))
    wrong = [name for name, (kind, _) in declared.items() if schema[name].kind != kind]
    unused = {"id", "constant"}
    wrong += [c.name for c in schema.columns if (c.role == "feature") == (c.kind in unused) or not c.reason]
    given, frame = infer_schema(
        pl.DataFrame({name: values for name, (_, values) in declared.items()}),
        types={"zip_code": "numeric", "same": "numeric", "count": "category"},
    )
    wrong += [
        n for n, k in {"zip_code": "numeric", "same": "numeric", "count": "categorical"}.items() if given[n].kind != k
    ]
    wrong += ["values"] if frame["count"].to_list() != [str(v) for v in declared["count"][1]] else []
    return Check(len(wrong), 0, "columns decided otherwise", "declared kinds")


@evidence(
    "data-ingestion",
    claim="The target sets the task: two classes, several, or a number; the limits are 20 values and 5 rows a value",
    against="tasks declared when the targets were made",
)
def tasks_as_declared() -> Check:
    import polars as pl

    from fivefold.data.infer import infer_schema

    cases: list[tuple[list[Any], str]] = [
        (["a", "b"] * 50, "binary"),
        (["a", "b", "c", "b"] * 25, "multiclass"),
        ([0, 1] * 50, "binary"),
        ([1.0, 2.0] * 50, "binary"),
        ([True, False] * 50, "binary"),
        (["0", "1"] * 50, "binary"),
        ([i % 20 for i in range(100)], "multiclass"),
        ([i % 20 for i in range(99)], "regression"),
        ([i % 21 for i in range(420)], "regression"),
        ([i % 5 + 0.5 for i in range(100)], "regression"),
        ([f"{i},5" for i in range(100)], "regression"),
        ([f"class {i % 30}" for i in range(300)], "multiclass"),
    ]
    wrong = 0
    for values, task in cases:
        schema, frame = infer_schema(pl.DataFrame({"x": [i / 7 for i in range(len(values))], "y": values}), target="y")
        wrong += schema.task != task
        wrong += bool(schema.classes) != (task != "regression")
        wrong += list(schema.classes) != (sorted(set(frame["y"].to_list())) if task != "regression" else [])
    return Check(wrong, 0, "targets decided otherwise", "declared tasks")


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
    claim="A stored schema reads new data into the same values, whatever their order, types and spelling",
    against="the table the schema was inferred from",
)
def schema_reads_new_data() -> Check:
    import polars as pl

    from fivefold.data.infer import infer_schema
    from fivefold.data.schema import Schema, checksum

    draw = random.Random(11)
    n = 60
    raw = pl.DataFrame(
        {
            "price": [f"{draw.randrange(1000, 99999):,}" for _ in range(n)],
            "share": [f"{draw.randrange(0, 100)},5 %" for _ in range(n)],
            "zip_code": [draw.randrange(501, 510) for _ in range(n)],
            "member": [draw.choice(("yes", "no")) for _ in range(n)],
            "day": [f"{1 + i % 28}/{1 + i % 12}/2021" for i in range(n)],
            "y": [draw.choice(("a", "b")) for _ in range(n)],
        }
    )
    schema, table = infer_schema(raw, target="y")
    again = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    features = [column.name for column in schema.features]
    shuffled = raw.select(reversed(raw.columns)).with_columns(
        extra=pl.lit(1), zip_code=pl.col("zip_code").cast(pl.Float64)
    )
    wrong = int(checksum(again.select(shuffled)) != checksum(table.select(features)))
    wrong += again.hash() != schema.hash()
    # Three rows only: a day that could be a month must still be read as the stored format says.
    wrong += checksum(again.select(raw.head(3))) != checksum(table.select(features).head(3))
    renamed = Schema([*schema.columns[:-1]], None)
    wrong += renamed.hash() == schema.hash()
    return Check(wrong, 0, "differences", "the original table")


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
