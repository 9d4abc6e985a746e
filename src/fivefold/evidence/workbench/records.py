"""Evidence for run records: replays reproduce, the schema refuses what is not a record, the data hash tells data apart."""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
from pathlib import Path

import numpy as np

from fivefold.base.errors import ArtifactError
from fivefold.evidence import Check, evidence, largest


@evidence(
    "run-records",
    claim="Re-running a recorded specification gives every metric to the last bit, and the record holds what was computed",
    against="the record, and the metric recomputed from the saved model",
)
def replays() -> Check:
    import fivefold
    from fivefold.base.random import Streams
    from fivefold.data.splits import stratified_split

    with tempfile.TemporaryDirectory() as folder:
        record = fivefold.run("gaussian-naive-bayes", out=Path(folder) / "a", overrides=["data.name=iris"], seed=5)
        result = fivefold.replay(record, out=Path(folder) / "b")
        model = record.load_model()
    worst = largest(difference.size for difference in result.differences)
    frame = fivefold.load_dataset("iris").frame
    target = frame.columns[-1]
    labels = frame[target].to_numpy()
    codes = np.unique(labels, return_inverse=True)[1]
    test = stratified_split(codes, test_size=0.25, random_state=Streams(5).child("holdout")).test
    accuracy = float(np.mean(model.predict(frame[test])["prediction"].to_numpy() == labels[test]))
    worst += abs(accuracy - float(record.metrics["accuracy"] or 0.0)) + float(len(result.differences) < 3)
    return Check(worst, 0, "largest difference", "itself, executed again")


def _valid() -> dict[str, object]:
    return {
        "format": 1,
        "id": "ridge-regression",
        "kind": "regressor",
        "name": "r",
        "status": "finished",
        "seed": 0,
        "started": "2026-01-01T00:00:00+00:00",
        "metrics": {"rmse": 1.5, "r2": None},
        "data": {"name": "d", "sha256": "0" * 64, "rows": 1, "columns": 2},
    }


_WRONG: list[dict[str, object]] = [
    {"status": "done"},
    {"seed": -1},
    {"seed": "0"},
    {"seed": 1.5},
    {"metrics": [1.5]},
    {"metrics": {"rmse": "1.5"}},
    {"quick": "no"},
    {"devices": 0},
    {"format": 99},
    {"format": "1"},
    {"extra": 1},
    {"figures": [{"name": "x"}]},
    {"data": {"name": "d", "sha256": "0", "rows": -1, "columns": 2}},
    {"data": {"name": "d"}},
    {"command": "fivefold run x"},
]


@evidence(
    "run-records",
    claim="run.json is validated: a right record is read, each with one wrong field is refused by name",
    against="fifteen records spoiled by hand and each required field left out",
)
def schema_refuses() -> Check:
    from fivefold.workbench.store import RunRecord, read_record

    required = RunRecord.model_json_schema()["required"]
    wrong = int(set(required) != {"id", "kind", "name", "status", "seed", "started"})
    spoiled = [({**_valid(), **change}, next(iter(change))) for change in _WRONG]
    spoiled += [({k: v for k, v in _valid().items() if k != name}, name) for name in required]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.json"
        file.write_text(json.dumps(_valid()), encoding="utf8")
        record = read_record(folder)
        wrong += record.metrics != {"rmse": 1.5, "r2": None} or record.directory != Path(folder)
        for plain, field in spoiled:
            file.write_text(json.dumps(plain), encoding="utf8")
            try:
                read_record(folder)
            except ArtifactError as error:
                wrong += field not in str(error) or "run.json" not in str(error)
            else:
                wrong += 1
        record.write()
        wrong += read_record(folder) != record
    return Check(wrong, 0, "wrong verdicts", "records by hand")


@evidence(
    "run-records",
    claim="The data hash is SHA-256 over names, shapes and little-endian values, and every change of a cell changes it",
    against="hashlib over bytes packed by hand",
)
def hash_by_hand() -> Check:
    from fivefold.workbench.store import data_hash

    numbers = np.array([[1.5, -2.0], [0.25, 8.0]])
    packed = b"x|f|(2, 2)|" + struct.pack("<4d", 1.5, -2.0, 0.25, 8.0)
    packed += b"y|O|(3,)|" + b"2:ab" + b"-1:" + b"0:"
    texts = np.array(["ab", None, ""], dtype=object)
    wrong = int(data_hash({"x": numbers, "y": texts}) != hashlib.sha256(packed).hexdigest())
    seen = {data_hash({"x": numbers})}
    for i, j in np.ndindex(2, 2):
        changed = numbers.copy()
        changed[i, j] = np.nextafter(changed[i, j], 9)
        seen.add(data_hash({"x": changed}))
    seen |= {data_hash({"z": numbers}), data_hash({"x": numbers.T}), data_hash({"x": numbers.ravel()})}
    seen |= {data_hash({"x": np.array(pair, dtype=object)}) for pair in (["ab", "c"], ["a", "bc"], ["abc", ""])}
    wrong += 11 - len(seen)
    # The same values in another layout or width are the same data.
    wrong += data_hash({"x": np.asfortranarray(numbers)}) != data_hash({"x": numbers})
    wrong += data_hash({"x": numbers.astype(np.float32)}) != data_hash({"x": numbers})
    return Check(wrong, 0, "hashes that are wrong", "hashlib")
