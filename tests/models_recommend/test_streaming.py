"""Click models trained from files: what they learn, what they refuse, and that a killed training goes on as if never cut."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fivefold.base.errors import DataError, SpecError
from fivefold.data import MultiFieldReader
from fivefold.data.streams import StreamedBatches
from fivefold.data.streams_sources import JoinedSource, LineSource
from fivefold.data.synthetic_clicks import synthetic_clicks
from fivefold.evaluation.registry import get_metric
from fivefold.models.recommend import DeepFM, WideDeep


def frame_of(rows: int) -> pl.DataFrame:
    """Return clicks with every kind of field."""
    frame = synthetic_clicks(rows, fields=6, categories=300, seed=3).frame
    rng = np.random.default_rng(0)
    return frame.with_columns(
        price=pl.Series(rng.lognormal(size=rows)).set(pl.Series(rng.random(rows) < 0.1), None),
        age=pl.Series(rng.normal(40, 9, rows)),
        past=pl.Series([list(map(str, rng.integers(0, 40, rng.integers(0, 6)))) for _ in range(rows)]),
        last=pl.Series(rng.integers(0, 45, rows).astype(str)),
    )


FEATURES = {
    **{f"c{i}": "categorical" for i in range(6)},
    "price": {"kind": "numeric", "scale": "log"},
    "age": {"kind": "numeric", "scale": "bucket"},
    "past": {"kind": "sequence", "table": "items", "min_count": 2},
    "last": {"kind": "categorical", "table": "items", "min_count": 2},
}


def test_fields_are_those_of_the_whole_table(tmp_path):
    frame = frame_of(3000)
    frame.write_parquet(tmp_path / "log.parquet", row_group_size=170)
    whole = DeepFM(features=FEATURES, max_epochs=1, random_state=0).fit(frame, "click")
    parts = DeepFM(features=FEATURES, max_epochs=1, random_state=0).fit_stream(tmp_path / "log.parquet", "click")
    one, two = whole.encoder_, parts.encoder_
    assert one.starts == two.starts and one.lengths == two.lengths and one.rows == two.rows
    assert np.array_equal(one.counts(), two.counts())
    assert all(np.array_equal(one.tables[n].categories, two.tables[n].categories) for n in one.tables)
    assert np.array_equal(one.cuts["age"], two.cuts["age"])
    assert np.allclose(one.scales["price"], two.scales["price"], rtol=1e-12)
    assert np.array_equal(whole.classes_, parts.classes_) and whole.memory_plan_ == parts.memory_plan_
    a, b = one.transform(frame), two.transform(frame)
    assert all(np.allclose(a[name], b[name], rtol=1e-12) for name in a)


def test_order_of_the_file_matters_little(tmp_path):
    log = synthetic_clicks(40_000, fields=8, categories=400, seed=1)
    train, test = log.frame[:30_000], log.frame[30_000:]
    auc = get_metric("roc-auc").function
    found = {}
    for name, rows in (("sorted", train.sort("click")), ("shuffled", train.sample(fraction=1.0, shuffle=True, seed=2))):
        rows.write_parquet(tmp_path / f"{name}.parquet", row_group_size=1000)
        model = DeepFM(max_epochs=3, random_state=0)
        model.fit_stream(tmp_path / f"{name}.parquet", "click", buffer_rows=4096)
        found[name] = auc(test["click"].to_numpy(), model.predict_proba(test)[:, 1])
    # The standard error of the area on 10,000 rows is .004; both are measured on the same rows.
    assert abs(found["sorted"] - found["shuffled"]) <= 0.005
    best = auc(test["click"].to_numpy(), log.probability[30_000:])
    assert found["sorted"] - 0.5 > (best - 0.5) / 2


def test_lines_of_several_files(tmp_path):
    rng = np.random.default_rng(0)
    reader = MultiFieldReader(field_size=3, n_features=30)
    texts = []
    for number in range(3):
        inds = rng.integers(0, 10, (400, 3)) + [0, 10, 20]
        y = (inds[:, 0] % 2).astype(int)
        texts.append("".join(f"{b} " + " ".join(f"{i}:1" for i in row) + "\n" for b, row in zip(y, inds)))
        (tmp_path / f"train-{number}.txt").write_text(texts[-1])
    files = sorted(tmp_path.glob("train*"))
    source = JoinedSource([LineSource(f, partial(reader.parse, name="the file"), block_bytes=900) for f in files])
    rows = [reader.read(f) for f in files]
    whole = {key: np.concatenate([r[key] for r in rows]) for key in rows[0]}
    model = DeepFM(features=30, max_epochs=5, learning_rate=0.01, random_state=0).fit_stream(source)
    assert np.array_equal(model.encoder_.counts(), np.bincount(whole["inds"].ravel(), minlength=30))
    assert (model.predict(whole) == whole["label"]).mean() > 0.99
    assert DeepFM(max_epochs=1, random_state=0).fit_stream(source).encoder_.rows == 30
    (tmp_path / "train-2.txt").write_text(texts[2].replace("\n", "\n1 3:1 44:1 25:1\n", 1))
    broken = JoinedSource([LineSource(f, partial(reader.parse, name="the file"), block_bytes=900) for f in files])
    with pytest.raises(
        DataError, match=r"train-2\.txt: Line 2 of the file has the index 44; give whole numbers from 0"
    ):
        DeepFM(features=30).fit_stream(broken)


def test_regression_and_two_optimizers(tmp_path):
    frame = frame_of(2000).with_columns(click=pl.col("age") * 0.1 + pl.col("c0") % 3)
    frame.write_parquet(tmp_path / "r.parquet", row_group_size=300)
    model = DeepFM(features=FEATURES, task="regression", max_epochs=15, batch_size=32, learning_rate=0.01)
    model.fit_stream(tmp_path / "r.parquet", "click")
    y = frame["click"].to_numpy()
    assert np.mean((model.predict(frame) - y) ** 2) < 0.3 * y.var()
    frame_of(500).write_parquet(tmp_path / "w.parquet")
    assert WideDeep(features=FEATURES, max_epochs=1).fit_stream(tmp_path / "w.parquet", "click").n_iter_ == 1


def test_what_is_refused(tmp_path):
    frame = frame_of(600)
    path = tmp_path / "log.parquet"
    frame.write_parquet(path, row_group_size=100)
    held = {"features": FEATURES, "max_epochs": 2}
    with pytest.raises(SpecError, match="a stream holds no rows back; set validation_fraction=0 and give validation"):
        DeepFM(**held, validation_fraction=0.1).fit_stream(path, "click")
    with pytest.raises(SpecError, match="patience=1 needs rows to watch; give validation"):
        DeepFM(**held, patience=1).fit_stream(path, "click")
    with pytest.raises(DataError, match="The table has no column 'clicks' to be the target"):
        DeepFM(**held).fit_stream(path, "clicks")
    frame.with_columns(click=pl.lit(0)).write_parquet(tmp_path / "one.parquet")
    with pytest.raises(DataError, match="A binary task needs exactly 2 classes; the target holds: 0"):
        DeepFM(**held).fit_stream(tmp_path / "one.parquet", "click")
    odd = frame.with_columns(click=pl.when(pl.int_range(pl.len()) == 250).then(None).otherwise(pl.col("click")))
    odd.write_parquet(tmp_path / "odd.parquet", row_group_size=100)
    with pytest.raises(DataError, match="The target has missing values; drop these rows"):
        DeepFM(**held).fit_stream(tmp_path / "odd.parquet", "click")
    frame.with_columns(click=pl.lit(3)).write_parquet(tmp_path / "three.parquet")
    with pytest.raises(DataError, match="The target holds 3, which no training row has; these have: 0, 1"):
        DeepFM(**held).fit_stream(path, "click", validation=tmp_path / "three.parquet")
    with pytest.raises(DataError, match="There is no file"):
        DeepFM(**held).fit_stream(tmp_path / "none.parquet", "click")
    model = DeepFM(**held, patience=5, validation_fraction=0.0)
    assert "val_loss" in model.fit_stream(path, "click", validation=path).history_[0]


def test_a_file_that_changes_is_named(tmp_path):
    path = tmp_path / "log.parquet"
    frame = frame_of(4000)
    frame.write_parquet(path, row_group_size=100)
    batches = StreamedBatches(path, 50, fields={"y": "click"}, buffer_rows=200, prefetch=1)
    stream = batches.epoch(0)
    next(stream)
    frame[:3900].write_parquet(path, row_group_size=100)
    with pytest.raises(DataError, match=r"log\.parquet changed while it was read; stream files that stay as they are"):
        list(stream)


PROGRAM = """
import sys
from fivefold.engine.callbacks import Callback
from fivefold.engine.checkpoint_callback import ModelCheckpoint
from fivefold.engine.session import session
from fivefold.models.recommend import DeepInterestNetwork
from fivefold.base import codec

path, folder, resume = sys.argv[1], sys.argv[2], sys.argv[3] == "resume"

class Told(Callback):
    def on_batch_end(self, fit, batch):
        print(fit.counters["batches"], flush=True)

features = {"c0": "categorical", "past": {"kind": "sequence", "table": "items"}, "last": {"kind": "categorical"}}
features["last"]["table"] = "items"
model = DeepInterestNetwork(features=features, embedding_dim=4, max_epochs=3, batch_size=50, random_state=0)
with session(folder, resume=resume, progress=False, callbacks=[ModelCheckpoint(every_batches=7), Told()]):
    model.fit_stream(path, "click", buffer_rows=400)
codec.save(model, folder + "/model")
"""


def test_killed_and_resumed_gives_the_same_weights(tmp_path):
    path = tmp_path / "log.parquet"
    frame_of(2000).write_parquet(path, row_group_size=150)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def start(folder: str, mode: str, kill_at: int | None) -> None:
        process = subprocess.Popen(
            [sys.executable, str(program), str(path), str(tmp_path / folder), mode], stdout=subprocess.PIPE, text=True
        )
        for line in process.stdout:
            if kill_at is not None and int(line) >= kill_at:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.communicate(timeout=120)
        assert process.returncode == (0 if kill_at is None else -signal.SIGKILL)

    start("whole", "new", None)
    start("cut", "new", 53)
    start("cut", "resume", None)
    files = [sorted(Path(tmp_path, name, "model").rglob("*")) for name in ("whole", "cut")]
    arrays = [[f for f in found if f.suffix not in (".json", "") and f.is_file()] for found in files]
    assert arrays[0] and [f.name for f in arrays[0]] == [f.name for f in arrays[1]]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*arrays))
