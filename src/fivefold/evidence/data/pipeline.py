"""Evidence for the input pipeline: batches in memory and streamed from files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest, smallest

ROWS = 5003  # no multiple of anything below


@contextmanager
def _files() -> Iterator[dict[str, Any]]:
    """Yield one source of the same records for each kind of file."""
    import polars as pl

    from fivefold.data.streams_parsers import parse_ctr_lines
    from fivefold.data.streams_sources import CsvSource, LineSource

    draw = np.random.default_rng(0)
    label = (np.arange(ROWS) >= 0.6 * ROWS).astype(np.int64)
    frame = pl.DataFrame({"id": np.arange(ROWS), "a": draw.normal(size=ROWS), "b": draw.normal(size=ROWS), "y": label})
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        frame.write_parquet(place / "many.parquet", row_group_size=97)
        frame.write_parquet(place / "one.parquet")
        frame.write_parquet(place / "three.parquet", row_group_size=1700)
        frame.write_csv(place / "table.csv")
        lines = [f"{y} {k}:{a!r} 7:{b!r}" for k, a, b, y in frame.iter_rows()]
        (place / "ctr.txt").write_text("\n".join(lines) + "\n")
        yield {
            "parquet": place / "many.parquet",
            "one row group": place / "one.parquet",
            "three row groups": place / "three.parquet",
            "csv": CsvSource(place / "table.csv", block_bytes=5000),
            "ctr": LineSource(place / "ctr.txt", partial(parse_ctr_lines, field_size=2), block_bytes=5000),
        }


def _stream(source: Any, **options: Any) -> Any:
    from fivefold.data.streams import StreamedBatches

    given = {"batch_size": 64, "buffer_rows": 1000, **options}
    return StreamedBatches(source, **given)


def _ids(batch: Any) -> np.ndarray:
    return (batch.inds[:, 0] if "inds" in batch else batch.id).numpy()


@evidence(
    "input-pipeline",
    claim="Every record is seen exactly once an epoch, with its own values, from every kind of file",
    against="the records written",
)
def pipeline_every_record_once() -> Check:
    wrong = 0
    with _files() as sources:
        for source in sources.values():
            for shuffle in (True, False):
                batches = list(_stream(source, shuffle=shuffle, index=True).epoch(1))
                ids = np.concatenate([_ids(b) for b in batches])
                wrong += int((np.bincount(ids, minlength=ROWS) != 1).sum())
                wrong += int((np.concatenate([b.index.numpy() for b in batches]) != ids).sum())
                labels = np.concatenate([b.y.numpy() for b in batches])
                wrong += int((labels != (ids >= 0.6 * ROWS)).sum())
                if not shuffle:
                    wrong += int((ids != np.arange(ROWS)).sum())
    return Check(wrong, 0, "records lost, doubled or mixed up", "the file")


@evidence(
    "input-pipeline",
    claim="A fixed seed gives the same order for 1, 2 and 4 reader threads, another epoch or seed another order",
    against="itself with other thread counts",
)
def pipeline_fixed_order() -> Check:
    wrong = 0
    with _files() as sources:
        for source in sources.values():
            orders = [np.concatenate([_ids(b) for b in _stream(source, readers=n, seed=5).epoch(2)]) for n in (1, 2, 4)]
            wrong += int((orders[0] != orders[1]).sum() + (orders[0] != orders[2]).sum())
            for other in (_stream(source, seed=5).epoch(3), _stream(source, seed=6).epoch(2)):
                # Two independent orders share a place about once; a third of them never.
                same = (np.concatenate([_ids(b) for b in other]) == orders[0]).sum()
                wrong += int(not same <= ROWS / 3)
            wrong += int(not (orders[0] == np.arange(ROWS)).sum() <= ROWS / 3)
    return Check(wrong, 0, "differences", "other thread counts")


@evidence(
    "input-pipeline",
    claim="The remainder batch is kept: ceil(n / B) batches, all full but the last, and dropped only on request",
    against="arithmetic",
)
def pipeline_remainder() -> Check:
    import torch

    from fivefold.data.batches import Batches

    wrong = 0
    with _files() as sources:
        for options, expected in (({}, [64] * 78 + [11]), ({"drop_last": True}, [64] * 78)):
            memory = Batches({"x": torch.zeros(ROWS, 2)}, 64, **options)
            for batches in (
                memory,
                _stream(sources["parquet"], **options),
                _stream(sources["csv"], buffer_rows=70, **options),
            ):
                wrong += [len(b) for b in batches.epoch(0)] != expected
                wrong += len(batches) != len(expected)
                wrong += [b.place.rows for b in batches.epoch(0)] != expected
    return Check(wrong, 0, "wrong lists of sizes", "78 x 64 + 11 = 5003")


@evidence(
    "input-pipeline",
    claim="The shares of 1, 2, 3 and 5 ranks, laid side by side, are the global batches, and differ in size by one at most",
    against="one rank",
)
def pipeline_ranks() -> Check:
    import torch

    from fivefold.data.batches import Batches

    wrong = 0
    with _files() as sources:
        for batches in (Batches({"id": torch.arange(ROWS)}, 64), _stream(sources["parquet"]), _stream(sources["ctr"])):
            alone = [_ids(b) for b in batches.epoch(4)]
            for world in (2, 3, 5):
                ranks = [list(batches.epoch(4, rank=rank, world=world)) for rank in range(world)]
                for number, whole in enumerate(alone):
                    parts = [rank[number] for rank in ranks]
                    wrong += not np.array_equal(np.concatenate([_ids(p) for p in parts]), whole)
                    wrong += not max(map(len, parts)) - min(map(len, parts)) <= 1
                    offsets = np.cumsum([0, *map(len, parts)])[:-1].tolist()
                    wrong += [p.place.offset for p in parts] != offsets
    return Check(wrong, 0, "wrong batches", "one rank")


@evidence(
    "input-pipeline",
    claim="An epoch taken up at any batch equals the rest of the uninterrupted one, random draws included",
    against="the uninterrupted epoch",
)
def pipeline_resume() -> Check:
    import torch

    from fivefold.data.batches import Batches

    wrong = 0
    with _files() as sources:
        memory = Batches({"id": torch.arange(ROWS), "x": torch.zeros(ROWS, 3)}, 64)
        for batches in (memory, *(_stream(source) for source in sources.values())):
            whole = [(_ids(b), b.randn("noise", 2)) for b in batches.epoch(1)]
            for start in (0, 1, 15, 16, 40, 78, 79):
                rest = [(_ids(b), b.randn("noise", 2)) for b in batches.epoch(1, start=start)]
                wrong += len(rest) != len(whole) - start
                for (a, u), (b, v) in zip(whole[start:], rest):
                    wrong += not (np.array_equal(a, b) and torch.equal(u, v))
    return Check(wrong, 0, "different batches", "uninterrupted")


@evidence(
    "input-pipeline",
    claim="Random draws of a batch are standard normal or uniform in [0, 1), differ by name, and ranks share one draw",
    against="moments with their sampling error, and one rank",
)
def pipeline_draws() -> Check:
    import torch

    from fivefold.data.batches import Batches

    batches = Batches({"x": torch.zeros(ROWS, 1, dtype=torch.float64)}, ROWS)
    (batch,) = batches.epoch(0)
    normal, uniform = batch.randn("a", 20), batch.rand("a", 20)
    wrong = int(set(batch) != {"x"})
    spread = 6 / normal.numel() ** 0.5
    wrong += (
        int(not abs(normal.mean()) <= spread)
        + int(not abs(normal.var() - 1) <= 1.5 * spread)
        + int(not normal.min() <= -2)
    )
    wrong += int(not abs(uniform.mean() - 0.5) <= spread) + int(not uniform.min() >= 0) + int(not uniform.max() < 1)
    wrong += int(not abs(uniform.var() - 1 / 12) <= spread) + int(torch.equal(normal, batch.randn("b", 20)))
    wrong += int(not torch.equal(normal, batch.randn("a", 20))) + int(normal.dtype != torch.float64)
    ranks = [next(batches.epoch(0, rank=rank, world=3)) for rank in range(3)]
    wrong += not torch.equal(torch.cat([r.randn("a", 20) for r in ranks]), normal)
    wrong += not torch.equal(torch.cat([r.rand("a", 20) for r in ranks]), uniform)
    return Check(wrong, 0, "violations", "moments")


@evidence(
    "input-pipeline",
    claim="Lines are cut at their ends alone: quotes mean something in CSV only, blank lines and a missing last end nothing",
    against="str.splitlines",
)
def pipeline_lines() -> Check:
    from fivefold.data.streams_sources import CsvSource, LineSource

    text = 'one "quote\n\ntwo\nthree "more"\r\n\r\nfour'
    expected = [line for line in text.splitlines() if line]
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lines.txt"
        path.write_bytes(text.encode())

        def parse(block: bytes, first: int) -> dict[str, Any]:
            kept = [(first + k, line) for k, line in enumerate(block.decode().splitlines()) if line]
            return {"line": np.array([line for _, line in kept]), "number": np.array([k for k, _ in kept])}

        for size in (1, 10, 1000):
            for skip in (0, 1):
                source = LineSource(path, parse, block_bytes=size, skip_lines=skip)
                pieces = [piece for group in range(len(source.counts)) for piece in source.read(group)]
                wrong += [v for p in pieces for v in p["line"].tolist()] != expected[skip:]
                wrong += [v for p in pieces for v in p["number"].tolist()] != [1, 3, 4, 6][skip:]
        (Path(directory) / "q.csv").write_text('a,b\n1,"x\ny ""z"""\n2,\n3,w\n')
        for size in (1, 8, 1000):
            table = CsvSource(Path(directory) / "q.csv", block_bytes=size)
            rows = [row for g in range(len(table.counts)) for piece in table.read(g) for row in piece.rows()]
            wrong += rows != [(1, 'x\ny "z"'), (2, None), (3, "w")]
    return Check(wrong, 0, "differences", "str.splitlines")


@evidence(
    "input-pipeline",
    claim="On a file sorted by label every batch of 64 has about the label share of the file",
    against="the binomial spread of independent draws: |share - 0.4| < 6 sqrt(0.24 / 64) always, mean square near 0.24 / 64",
)
def pipeline_sorted_file_mixes() -> Check:
    with _files() as sources:
        worst = 0.0
        for source in sources.values():
            shares = np.array(
                [b.y.double().mean().item() for e in range(3) for b in _stream(source).epoch(e) if len(b) == 64]
            )
            spread = np.sqrt(0.24 / 64)
            # A round takes whole slices of the sorted file, which moves its own share by a 16th at most.
            worst = largest(
                worst, float(np.abs(shares - 0.4).max() / (6 * spread)), float(shares.std() / (1.5 * spread))
            )
    return Check(worst, 1.0, "deviation / bound", "binomial spread")


@evidence(
    "input-pipeline",
    claim="Training order mixes the whole file: a buffer of a fifth of the rows still takes records from every tenth of it",
    against="the number of tenths",
)
def pipeline_rounds_span_the_file() -> Check:
    with _files() as sources:
        least = 10
        for name in ("parquet", "one row group", "csv"):
            ids = np.concatenate([_ids(b) for b in _stream(sources[name]).epoch(0)])
            for start in range(0, ROWS - 900, 960):
                least = smallest(least, len(np.unique(ids[start : start + 900] * 10 // ROWS)))
    return Check(least, 10, "tenths of the file in a round", "arithmetic", at_least=True)


@evidence(
    "input-pipeline",
    claim="The sample line of 13 fields parses to its indices and values",
    against="the line of the specification",
)
def pipeline_ctr_line() -> Check:
    from fivefold.data.streams_parsers import parse_ctr_lines

    line = "0 0:0.732349 2:1 41:1 59:1 66:1 77:1 85:1 88:1 89:1 92:1 93:1 98:1 106:1\n"
    found = parse_ctr_lines(line + line.replace("0 0:", "1 0:", 1), field_size=13)
    indices = [0, 2, 41, 59, 66, 77, 85, 88, 89, 92, 93, 98, 106]
    wrong = int((found["inds"] != indices).sum()) + (found["inds"].dtype != np.int32)
    wrong += int((found["vals"] != np.float32([0.732349] + [1.0] * 12)).sum()) + int((found["y"] != [0.0, 1.0]).sum())
    return Check(wrong, 0, "wrong numbers", "worked line")


@evidence(
    "input-pipeline",
    claim="Multi-field lines read to the same matrix and labels",
    against="scikit-learn load_svmlight_file",
)
def pipeline_ctr_peer() -> Check:
    import io

    from sklearn.datasets import load_svmlight_file

    from fivefold.data.streams_parsers import parse_ctr_lines

    draw = np.random.default_rng(1)
    fields, size = 6, 10
    index = draw.integers(0, size, (300, fields)) + size * np.arange(fields)
    value = draw.normal(size=(300, fields))
    label = draw.normal(size=300)
    rows = [
        f"{y!r} " + " ".join(f"{i}:{v!r}" for i, v in zip(a, b))
        for y, a, b in zip(label.tolist(), index.tolist(), value.tolist())
    ]
    text = "\n".join(rows).encode()
    found = parse_ctr_lines(text, field_size=fields, dtype=np.float64)
    X, y = load_svmlight_file(io.BytesIO(text), n_features=fields * size, zero_based=True)
    dense = np.zeros((300, fields * size))
    np.put_along_axis(dense, found["inds"].astype(np.int64), found["vals"], axis=1)
    return Check(
        float(np.abs(dense - X.toarray()).max() + np.abs(found["y"] - y).max()), 0.0, "max |difference|", "scikit-learn"
    )


@evidence(
    "input-pipeline",
    claim="Image rows, with and without a header, give label and pixels in their order",
    against="numpy.loadtxt",
)
def pipeline_image_csv() -> Check:
    import io

    from fivefold.data.streams_parsers import parse_image_csv

    draw = np.random.default_rng(2)
    table = np.column_stack([draw.integers(0, 10, 20), draw.integers(0, 256, (20, 784))])
    text = "\n".join(",".join(map(str, row)) for row in table.tolist()) + "\n"
    read = np.loadtxt(io.StringIO(text), delimiter=",")
    wrong = 0
    for body in (text, "label," + ",".join(f"pixel{k}" for k in range(1, 785)) + "\n" + text):
        found = parse_image_csv(body)
        wrong += found["x"].shape != (20, 28, 28, 1)
        wrong += int((found["x"].reshape(20, 784) != read[:, 1:]).sum() + (found["y"] != read[:, 0]).sum())
        wrong += int((parse_image_csv(body, scale=255.0)["x"] != found["x"] / np.float32(255)).sum())
    return Check(wrong, 0, "wrong values", "numpy.loadtxt")
