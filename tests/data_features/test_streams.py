"""Streamed batches: sources, transforms, damage, threads, and what bad input is told."""

import threading
from functools import partial

import numpy as np
import polars as pl
import pytest
import torch

from fivefold.base.errors import DataError, InputError
from fivefold.data.recipes import Recipe
from fivefold.data.schema import Column, Schema
from fivefold.data.streams import StreamedBatches
from fivefold.data.streams_parsers import parse_ctr_lines, parse_image_csv
from fivefold.data.streams_sources import CsvSource, LineSource

N = 1001


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("streams")
    frame = pl.DataFrame(
        {
            "id": np.arange(N),
            "a": np.arange(N) / 7,
            "flag": np.arange(N) % 2 == 0,
            "city": np.where(np.arange(N) % 3 == 0, "Oslo, \n Norway", 'the "Rome"'),
        }
    )
    frame.write_parquet(place / "t.parquet", row_group_size=40)
    frame.write_csv(place / "t.csv")
    return place


def test_fields_and_types(folder):
    batches = StreamedBatches(
        folder / "t.parquet", 100, fields={"x": ["a", "flag"], "y": "id", "f": "flag"}, shuffle=False
    )
    first = next(batches.epoch(0))
    assert first.x.dtype == torch.float32 and first.x.shape == (100, 2) and first.y.dtype == torch.int64
    assert first.y.tolist() == list(range(100)) and first.f[:3].tolist() == [1, 0, 1]
    assert torch.equal(first.x[:, 0], (torch.arange(100).double() / 7).float())


def test_several_files_and_directories(folder, tmp_path):
    frame = pl.read_parquet(folder / "t.parquet")
    frame[:300].write_parquet(tmp_path / "a.parquet")
    frame[300:].write_parquet(tmp_path / "b.parquet", row_group_size=100)
    frame[:0].write_parquet(tmp_path / "c.parquet")
    for source in (tmp_path, [tmp_path / "a.parquet", tmp_path / "b.parquet"]):
        batches = StreamedBatches(source, 64, fields={"id": "id"}, shuffle=False)
        assert torch.cat([b.id for b in batches.epoch(0)]).tolist() == list(range(N))
    frame.rename({"a": "other"}).write_parquet(tmp_path / "d.parquet")
    with pytest.raises(DataError, match="d.parquet has the columns .*; stream them apart"):
        StreamedBatches(tmp_path, 64)


def test_csv_with_quotes_blank_lines_and_carriage_returns(folder, tmp_path):
    frame = pl.read_csv(folder / "t.csv")
    text = frame.write_csv().replace("\n1,", "\n\n1,")
    (tmp_path / "q.csv").write_text(text)
    source = CsvSource(tmp_path / "q.csv", block_bytes=300)
    assert source.counts.sum() == N and len(source.counts) > 50
    seen = []

    def keep(table):
        seen.append(table["city"])
        return {"id": table["id"].to_numpy()}

    batches = StreamedBatches(source, 64, transform=keep, shuffle=False)
    assert torch.cat([b.id for b in batches.epoch(0)]).tolist() == list(range(N))
    assert pl.concat(seen).to_list() == frame["city"].to_list()
    (tmp_path / "r.csv").write_bytes(b"id,v\r\n" + b"".join(b"%d,1.5\r\n" % k for k in range(50)) + b"\r\n")
    crlf = StreamedBatches(CsvSource(tmp_path / "r.csv", block_bytes=20), 7, shuffle=False)
    assert torch.cat([b.id for b in crlf.epoch(0)]).tolist() == list(range(50))


def test_csv_with_other_types_later(tmp_path):
    (tmp_path / "t.csv").write_text("id,v\n" + "".join(f"{k},1\n" for k in range(20_000)) + "5,oops\n")
    batches = StreamedBatches(tmp_path / "t.csv", 64, shuffle=False)
    with pytest.raises(DataError, match="the lines from .* on do not fit the columns and types.*give `types`"):
        list(batches.epoch(0))


def test_a_fitted_recipe_as_transform(folder):
    frame = pl.read_parquet(folder / "t.parquet")
    recipe = Recipe("scaled-one-hot", Schema([Column("a", "numeric"), Column("city", "categorical")])).fit(frame)
    batches = StreamedBatches(
        folder / "t.parquet",
        64,
        transform=lambda table: {"x": recipe.transform(table).astype(np.float32), "id": table["id"].to_numpy()},
        buffer_rows=200,
    )
    whole = recipe.transform(frame).astype(np.float32)
    for batch in batches.epoch(0):
        assert np.array_equal(batch.x.numpy(), whole[batch.id.numpy()])


def test_repeat_is_epoch_after_epoch(folder):
    batches = StreamedBatches(folder / "t.parquet", 64, fields={"id": "id"}, buffer_rows=200)
    places = [(b.place.epoch, b.place.index) for b in batches.repeat(3, start=2)]
    assert places == [(e, k) for e in (2, 3, 4) for k in range(16)]


def test_stopping_early_leaves_no_thread(folder):
    before = set(threading.enumerate())
    stream = StreamedBatches(folder / "t.parquet", 16, buffer_rows=64, readers=4, prefetch=3).epoch
    batches = StreamedBatches(folder / "t.parquet", 16, fields={"id": "id"}, buffer_rows=64, readers=4).epoch(0)
    next(batches)
    batches.close()
    with pytest.raises(DataError, match="Column 'city' is String, not a number; encode it with a transform"):
        next(stream(0))
    assert set(threading.enumerate()) == before
    assert list(StreamedBatches(folder / "t.parquet", 16).epoch(0, start=999)) == []


def test_memory_is_bounded_by_the_rounds(folder):
    alive, most = 0, 0
    lock = threading.Lock()

    def transform(table):
        nonlocal alive, most
        with lock:
            alive += table.height
            most = max(most, alive)
        return {"id": table["id"].to_numpy()}

    batches = StreamedBatches(folder / "t.parquet", 50, transform=transform, buffer_rows=100, prefetch=2, readers=4)
    for batch in batches.epoch(0):
        if batch.place.index % 2 == 1:
            with lock:
                alive -= 100
    assert most <= 300  # the round in use and two prepared


def test_damaged_files(folder, tmp_path):
    data = (folder / "t.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="cut.parquet cannot be read as Parquet.*it may be truncated"):
        StreamedBatches(tmp_path / "cut.parquet", 8)
    broken = bytearray(data)
    broken[40 : len(data) // 2] = b"\xff" * (len(data) // 2 - 40)
    (tmp_path / "bad.parquet").write_bytes(bytes(broken))
    with pytest.raises(DataError, match="Row group .* of .*bad.parquet cannot be read"):
        list(StreamedBatches(tmp_path / "bad.parquet", 8, fields={"a": "a"}).epoch(0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: StreamedBatches(p / "none.parquet", 8), "There is no file"),
        (
            lambda p: StreamedBatches(p / "t.parquet", 8, fields={"x": ["q", "a"]}),
            "lacks the columns 'q'; it has: id, a",
        ),
        (lambda p: StreamedBatches(p / "t.csv", 8, fields={"x": "q"}), "lacks the columns 'q'"),
        (lambda p: StreamedBatches("data.xyz", 8), "Cannot tell the format of data.xyz"),
        (lambda p: StreamedBatches(p / "t.parquet", 8, readers=0), "readers must be at least 1, got 0"),
        (lambda p: StreamedBatches(p / "t.parquet", 8, fields={}, transform=dict), "either fields or transform"),
        (
            lambda p: list(StreamedBatches(p / "t.parquet", 8, transform=lambda t: {"x": np.zeros(3)}).epoch(0)),
            r"turned 1001 rows into shape \(3,\) of the field 'x'; it must keep every row",
        ),
        (
            lambda p: list(StreamedBatches(p / "t.parquet", 8, transform=lambda t: None).epoch(0)),
            "it returned NoneType",
        ),
    ],
)
def test_bad_requests(folder, make, words):
    with pytest.raises((DataError, InputError), match=words):
        make(folder)


def test_missing_values(tmp_path):
    pl.DataFrame({"a": [1.0, None], "k": [1, None]}).write_parquet(tmp_path / "m.parquet")
    (batch,) = StreamedBatches(tmp_path / "m.parquet", 8, fields={"x": ["a", "k"]}, shuffle=False).epoch(0)
    assert torch.isnan(batch.x).tolist() == [[False, False], [True, True]]
    with pytest.raises(DataError, match="Column 'k' has missing values, which a field of whole numbers cannot hold"):
        list(StreamedBatches(tmp_path / "m.parquet", 8, fields={"k": "k"}).epoch(0))
    pl.DataFrame({"a": []}, schema={"a": pl.Float64}).write_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match="has no rows"):
        StreamedBatches(tmp_path / "e.parquet", 8)


def test_lines_of_images_with_header(tmp_path):
    rows = [f"{k % 10},{k},1,2,3" for k in range(30)]
    (tmp_path / "i.csv").write_text("label,p1,p2,p3,p4\n" + "\n".join(rows))
    source = LineSource(tmp_path / "i.csv", partial(parse_image_csv, shape=(2, 2, 1)), skip_lines=1, block_bytes=40)
    batches = StreamedBatches(source, 7, shuffle=False)
    assert torch.cat([b.x[:, 0, 0, 0] for b in batches.epoch(0)]).tolist() == list(range(30))
    assert torch.cat([b.y for b in batches.epoch(0)]).tolist() == [k % 10 for k in range(30)]


def test_line_sources_refuse(tmp_path):
    (tmp_path / "z.txt").write_bytes(b"\x1f\x8b\x08\x00rest")
    with pytest.raises(DataError, match="is compressed and cannot be read from the middle"):
        LineSource(tmp_path / "z.txt", parse_ctr_lines)
    (tmp_path / "e.txt").write_text("\n\n")
    with pytest.raises(DataError, match="holds no records"):
        LineSource(tmp_path / "e.txt", parse_ctr_lines)
    (tmp_path / "w.txt").write_text("1 0:1\n\n0 0:1 1:2\n")
    stream = StreamedBatches(LineSource(tmp_path / "w.txt", partial(parse_ctr_lines, field_size=1)), 4)
    with pytest.raises(DataError, match="w.txt: line 3 has 2 pairs where 1 are expected"):
        list(stream.epoch(0))
    odd = LineSource(tmp_path / "w.txt", lambda block, line: {"x": np.zeros(5)})
    with pytest.raises(DataError, match="has 2 lines, but was read as 5 records; one line must be one record"):
        list(StreamedBatches(odd, 4).epoch(0))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 0:1 2", "line 3 has 1 pairs where 2 are expected"),
        ("1 0:1 2:3 4:5", "line 3 has 3 pairs where 2 are expected"),
        ("1 0:1:2 3", "line 3 has 2 pairs where 2 are expected, or is not of the form"),
        ("1 0:1 2:x", "line 3 has 'x' as value 1, which is no number"),
        ("1 0:1 :3", "line 3 has '' as index 1, which is no number"),
        ("a 0:1 2:3", "line 3 has 'a' as label"),
        ("1 0:1 2.5:1", "line 3 has '2.5' as index 1"),
        ("1 0:1 -2:3", "line 3 has a negative index"),
        ("1 0:1 99999999999:3", "line 3 has '99999999999' as index 1"),
    ],
)
def test_bad_ctr_lines(line, words):
    with pytest.raises(DataError, match=words):
        parse_ctr_lines(f"\n1 0:1 2:3 \r\n{line}\n0 0:1 2:3\n", field_size=2)


def test_ctr_variants():
    out = parse_ctr_lines("0.5,3:1e-3,4:2\n", field_size=2, delimiter=",", dtype=np.float64)
    assert out["y"].tolist() == [0.5] and out["vals"].tolist() == [[0.001, 2.0]] and out["vals"].dtype == np.float64
    assert parse_ctr_lines("", field_size=2)["inds"].shape == (0, 2)
    with pytest.raises(InputError, match="field_size must be at least 1, got 0"):
        parse_ctr_lines("", field_size=0)
    with pytest.raises(InputError, match="two different characters"):
        parse_ctr_lines("", field_size=1, separator=" ")


def test_bad_images():
    with pytest.raises(DataError, match="line 2 has 3 pixels after its label where 4 are expected"):
        parse_image_csv("1,0,0,0,0\n1,0,0,0\n", shape=(2, 2, 1))
    with pytest.raises(DataError, match="line 1 has 'x' as pixel 1, which is no number"):
        parse_image_csv("1,0,x,0,0\n", shape=(2, 2, 1))
    assert parse_image_csv("", shape=(2, 2, 1))["x"].shape == (0, 2, 2, 1)
