"""Evidence for ``data-ingestion``: numbers and dates read as written, kinds and tasks decided as declared."""

from __future__ import annotations

import json
import random
from datetime import datetime
from typing import Any

from fivefold.evidence import Check, evidence


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
    claim="Each kind of column is recognized: numbers, codes, ids, words, truth values, free text, lists, constants",
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
        "tags": ("list", [draw.sample(words, draw.randrange(4)) for _ in range(n)]),
        "seen": ("list", [[draw.randrange(30) for _ in range(draw.randrange(3))] for _ in range(n)]),
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
