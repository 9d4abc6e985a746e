"""Evidence for the fields of click logs: categories of any type, pieces of a table, and rows of index and value."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, fault, largest


@evidence(
    "deepfm",
    claim="Whole numbers are one category as integers, decimals and text; other decimals keep their digits, NaN is missing",
    against="the categories written out",
)
def categories_of_any_type() -> Check:
    from fivefold.models.recommend._field_tables import texts
    from fivefold.models.recommend._fields import FieldEncoder, infer_fields

    numbers = pl.Series([3.0, -3.0, 2.5, -0.5, float("nan"), None, 2.0**53 - 1, 2.0**53])
    words = ["3", "-3", "2.5", "-0.5", None, None, str(2**53 - 1), str(float(2**53))]
    wrong = int(texts(numbers).to_list() != words)
    wrong += int(texts(pl.Series([3, None])).to_list() != ["3", None])
    wrong += int(texts(pl.Series([True, False])).to_list() != ["true", "false"])
    frame = pl.DataFrame({"a": [7.0, 3.0, 3.0, 0.5], "s": [[3.0], [7.0, 3.0], [], None]})
    fields = {"a": {"kind": "categorical", "table": "t"}, "s": {"kind": "set", "table": "t"}}
    encoder = FieldEncoder(infer_fields(frame, fields)).fit(frame)  # the table holds 0.5, 3, 7 in the order of text
    for other in (pl.DataFrame({"a": ["7", "3", "3", "0.5"], "s": ["3", "7|3", "", None]}), frame):
        found = encoder.transform(other)
        wrong += int(found["inds"].tolist() != [[3], [2], [2], [1]])
        wrong += int(found["s"].tolist() != [[2, -1], [3, 2], [-1, -1], [-1, -1]])
    wrong += int(encoder.counts().tolist() != [0, 1, 4, 2])
    parts = pl.DataFrame({"s": [[3.0, 2.5], [float("nan"), 2.0], [2.5, 2.5]]})  # NaN is unknown, 2.5 is not 2
    written = pl.DataFrame({"s": ["3|2.5", "new|2", "2.5|2.5"]})
    learned = FieldEncoder(infer_fields(parts)).fit(parts)
    for table in (parts, written, parts.cast({"s": pl.Array(pl.Float64, 2)})):
        wrong += int(learned.transform(table)["s"].tolist() != [[3, 2], [0, 1], [2, 2]])
        wrong += int(infer_fields(table)[0].kind != ("categorical" if table is written else "sequence"))
    days = pl.DataFrame({"day": pl.Series(["2024-01-01", "2024-01-02", "2024-01-01"]).str.to_date()})
    dated = FieldEncoder(infer_fields(days)).fit(days)
    wrong += int(dated.transform(days)["inds"].tolist() != [[1], [2], [1]])
    wrong += int(dated.transform(days.cast(pl.String))["inds"].tolist() != [[1], [2], [1]])
    long = pl.DataFrame({"h": [[str(i % 9) for i in range(60)], ["1"]], "g": [["1"] * 3, ["2"]]})
    lengths = FieldEncoder(infer_fields(long)).fit(long).lengths
    wrong += int(lengths != {"h": 50, "g": 3})
    return Check(wrong, 0, "differences", "written out")


@evidence(
    "deepfm",
    claim="Rows that come in pieces, some of them empty or without a number, give the vocabularies, counts, means and deciles "
    "of the whole table",
    against="the table at once; NumPy",
)
def pieces() -> Check:
    from fivefold.models.recommend import _field_tables as tables
    from fivefold.models.recommend._fields import FieldEncoder, infer_fields

    draw = np.random.default_rng(0)
    n = 200
    x = np.where(draw.random(n) < 0.2, np.nan, draw.normal(size=n) * 3 + 5)
    x[:10] = np.nan
    frame = pl.DataFrame(
        {"a": draw.integers(0, 30, n), "x": x, "b": x, "h": pl.Series(draw.integers(0, 9, (n, 2)).tolist())}
    )
    options = {"a": {"min_count": 4}, "x": {}, "b": {"scale": "bucket"}, "h": {"max_length": 1}}
    cuts = [0, 10, 10, 11, 90, 200]
    parts = [frame[a:b] for a, b in zip(cuts, cuts[1:])]
    whole = FieldEncoder(infer_fields(frame, options)).fit(frame)
    pending, tables._PENDING = tables._PENDING, 1  # counts are added up again and again
    try:
        found = FieldEncoder(infer_fields(frame, options)).fit_pieces(parts)
    finally:
        tables._PENDING = pending
    known = x[~np.isnan(x)]
    worst = largest(abs(found.scales["x"][0] - known.mean()), abs(found.scales["x"][1] - known.std()))
    worst = largest(worst, np.abs(found.cuts["b"] - np.quantile(known, np.arange(1, 10) / 10)).max())
    worst += fault(found.counts().tolist() != whole.counts().tolist() or found.starts != whole.starts)
    worst += fault(found.rows != whole.rows or found.lengths != whole.lengths)
    times = frame["a"].value_counts()
    kept = times.filter(pl.col("count") >= 4)["a"].cast(pl.String).sort().to_list()
    worst += fault(found.tables["a"].categories.tolist() != kept)
    worst += fault(found.counts()[0] != times.filter(pl.col("count") < 4)["count"].sum())
    # A number that never varies has the spread 1, and every value of it is the mean.
    still = FieldEncoder(infer_fields(frame[:3].with_columns(x=2.5), ["x"])).fit(frame[:3].with_columns(x=2.5))
    worst += fault(still.scales != {"x": [2.5, 1.0]})
    return Check(worst, 1e-12, "difference", "the whole table")


@evidence(
    "deepfm",
    claim="Whole numbers counted and looked up by value give the codes and counts of the same numbers as text: pieces with "
    "negative, large or missing ones between them, numbers never seen, and words that only look like a number",
    against="the same as text; written out",
)
def categories_by_value() -> Check:
    from fivefold.models.recommend import _field_tables as tables
    from fivefold.models.recommend._fields import FieldEncoder, infer_fields

    edge = tables._DIRECT
    columns = [
        [3, 0, 3, 12],
        [-1, 3, 0, 0],
        [None, 3, None, 12],
        [edge - 1, edge, 7, 7],
        [edge - 1] * 4,
        [90, 90, 3, 0],
    ]
    pieces = [pl.DataFrame({"a": pl.Series(values, dtype=pl.Int32)}) for values in columns]
    wrong = 0
    for options in ({}, {"min_count": 2}, {"buckets": 5}):
        numbers = FieldEncoder(infer_fields(pieces[0], {"a": options})).fit_pieces(pieces)
        words = FieldEncoder(infer_fields(pieces[0], {"a": options})).fit_pieces(p.cast(pl.String) for p in pieces)
        wrong += int(numbers.counts().tolist() != words.counts().tolist())
        wrong += int(numbers.tables["a"].categories.tolist() != words.tables["a"].categories.tolist())
        for column in (*columns, [4, 13, 91, edge - 2], [2**40, 0, 3, 5]):
            frame = pl.DataFrame({"a": pl.Series(column, dtype=pl.Int64)})
            found = numbers.transform(frame)["inds"].tolist()
            wrong += int(found != words.transform(frame.cast(pl.String))["inds"].tolist())
        for kind in (pl.UInt64, pl.Int8, pl.Int128):
            same = numbers.transform(pl.DataFrame({"a": pl.Series([3, 12, 0], dtype=kind)}))["inds"]
            wrong += int(same.tolist() != numbers.transform(pl.DataFrame({"a": ["3", "12", "0"]}))["inds"].tolist())
            alone = FieldEncoder(infer_fields(pieces[0])).fit(pl.DataFrame({"a": pl.Series([3, 3, 0], dtype=kind)}))
            wrong += int(alone.counts().tolist() != [0, 1, 2])
    # In the order of text: "+5" 1, "007" 2, "7" 3, "x" 4.
    texts = pl.DataFrame({"a": ["007", "7", "x", "+5"]})
    encoder = FieldEncoder(infer_fields(texts)).fit(texts)
    wrong += int(encoder.transform(pl.DataFrame({"a": [7, 5, 0, 8]}))["inds"].tolist() != [[3], [0], [0], [0]])
    # Without any number among the categories, and from the saved state, which holds no places.
    again = FieldEncoder.from_state(encoder.get_state())
    wrong += int(sorted(again.tables["a"].get_state()) != ["buckets", "categories", "counts"])
    only = FieldEncoder(infer_fields(texts)).fit(texts[2:3])
    wrong += int(only.transform(pl.DataFrame({"a": [0, 7]}))["inds"].tolist() != [[0], [0]])
    return Check(wrong, 0, "differences", "the same as text")


@evidence(
    "deepfm",
    claim="Rows of index and value: size, width and counts from one piece or several; their target is the reader's or a given",
    against="counting; sentences of refusal at either end of the range",
)
def rows_of_indices() -> Check:
    from fivefold.base.errors import DataError
    from fivefold.models.recommend import FactorizationMachine
    from fivefold.models.recommend._fields import IndexEncoder, target_of

    first = {"inds": np.array([[0, 3], [1, 3]]), "vals": np.ones((2, 2)), "label": np.array([0.0, 1.0])}
    second = {"inds": np.array([[0, 5]]), "vals": np.full((1, 2), 0.5)}
    one, both = IndexEncoder.of(first, None), IndexEncoder.of_pieces([first, second], None)
    given = IndexEncoder.of_pieces([first, second], 8)
    wrong = int((one.rows, one.width, one.counts().tolist()) != (4, 2, [1, 1, 0, 2]))
    wrong += int((both.rows, both.width, both.counts().tolist()) != (6, 2, [2, 1, 0, 2, 0, 1]))
    wrong += int((given.rows, given.counts().tolist()) != (8, [2, 1, 0, 2, 0, 1, 0, 0]))
    wrong += int(
        given.transform(second)["inds"].tolist() != [[0, 5]] or [f.name for f in one.singles] != ["field 0", "field 1"]
    )
    refused: list[tuple[Any, dict[str, Any], str]] = [
        (one, second, "index 5; indices are 0 to 3"),
        (one, {**second, "inds": np.array([[0, -1]])}, "index -1; indices are 0 to 3"),
        (one, {**second, "inds": np.array([[0, 4]])}, "index 4"),
        (one, {"inds": np.array([[0, 3]]), "vals": np.array([[1.0, np.nan]])}, "NaN or infinity"),
        (one, {"inds": np.zeros((1, 3), int), "vals": np.ones((1, 3))}, "2 fields a row"),
        (one, {"inds": np.zeros((1, 2), int), "vals": np.ones((1, 1))}, "one value an index"),
    ]
    for encoder, rows, words in refused:
        try:
            encoder.transform(rows)
        except DataError as error:
            wrong += int(words not in str(error))
        else:
            wrong += 1
    wrong += int(one.transform({**second, "inds": np.array([[0, 3]])})["vals"].tolist() != [[0.5, 0.5]])
    wrong += int(target_of(first, None).tolist() != [0, 1] or target_of(first, [1, 1]).tolist() != [1, 1])
    # A fit that fails leaves nothing of an earlier one.
    model = FactorizationMachine(embedding_dim=0, max_iter=1).fit(first, [0, 1])
    try:
        model.fit(first, [0, 2])
    except DataError:
        wrong += sum(name.endswith("_") for name in vars(model))
    else:
        wrong += 1
    wrong += int(target_of(second, [2]).tolist() != [2] or target_of(second, None).shape != ())
    return Check(wrong, 0, "differences", "counting")
