"""Persistence: round trips, refusals, tampering, full disks."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import scipy.sparse
import torch

from fivefold.base import codec
from fivefold.base.errors import ArtifactError, InputTypeError, StorageError


class Thing(codec.Stateful):
    __module__ = "fivefold.tests"

    def __init__(self, value):
        self.value = value


def round_trip(value, tmp_path):
    codec.save(value, tmp_path / "saved")
    return codec.load(tmp_path / "saved")


def test_plain_values_come_back_with_their_types(tmp_path):
    value = {
        "int": 3,
        "float": 0.1,
        "nan": float("nan"),
        "inf": -float("inf"),
        "tuple": (1, ("a", None)),
        "set": {3, 1},
        "keys": {1: "one", (2, 3): "pair"},
        "dollar": {"$array": "not an array"},
        "big": 2**80,
        "text": "Zürich\n",
        "flag": True,
    }
    back = round_trip(value, tmp_path)
    assert repr(back.pop("nan")) == "nan" and value.pop("nan") is not None
    assert back == value
    assert isinstance(back["tuple"], tuple) and isinstance(back["set"], set)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(20)[::3],
        np.array(3.5, dtype=np.float32),
        np.zeros((0, 4)),
        np.array(["a", "bc"]),
        np.array(["a", None, 3], dtype=object),
        np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"),
        np.array([b"x", b"yz"]),
        np.array([True, False]),
        np.arange(3, dtype=">i4"),
        np.zeros(2, dtype=[("left", "i8"), ("value", "f8", (2,))]),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays_come_back_equal(array, tmp_path):
    back = round_trip(array, tmp_path)
    assert back.shape == array.shape
    assert back.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(back, array)


def test_scalars_tensors_and_sparse_matrices(tmp_path):
    tied = torch.randn(3, 2).T
    value = {
        "scalar": np.float32(0.1),
        "bool": np.bool_(True),
        "one": tied,
        "two": tied,
        "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "sparse": scipy.sparse.csc_matrix(np.eye(3)),
        "array": scipy.sparse.coo_array(np.eye(2)),
    }
    back = round_trip(value, tmp_path)
    assert back["scalar"] == np.float32(0.1) and back["scalar"].dtype == np.float32
    assert torch.equal(back["one"], tied) and back["one"] is back["two"]
    assert torch.equal(back["half"], value["half"])
    assert back["sparse"].format == "csc" and (back["sparse"] != value["sparse"]).nnz == 0
    assert type(back["array"]).__name__.endswith("array")


def test_a_foreign_object_is_refused_by_the_name_of_its_attribute(tmp_path):
    with pytest.raises(InputTypeError, match=r"Cannot save the attribute dict\.outer\.inner: it is a builtins\.object"):
        codec.save({"outer": {"inner": object()}}, tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_a_changed_file_is_named(tmp_path):
    codec.save({"a": np.arange(3)}, tmp_path / "saved")
    config = tmp_path / "saved" / "config.json"
    config.write_text(config.read_text().replace("a0", "a1"))
    with pytest.raises(ArtifactError, match=r"config\.json is missing or was changed after it was saved"):
        codec.load(tmp_path / "saved")


@pytest.mark.parametrize("file", ["arrays.safetensors", "config.json", "manifest.json"])
def test_a_truncated_file_is_an_error_in_words(file, tmp_path):
    codec.save({"a": np.arange(300)}, tmp_path / "saved")
    path = tmp_path / "saved" / file
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError):
        codec.load(tmp_path / "saved")


def rewrite(folder, tree):
    """Write a config with a matching manifest, as an attacker would."""
    (folder / "config.json").write_text(json.dumps(tree))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"]["config.json"] = codec._sha256(folder / "config.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("os:system", "no installed card names"),
        ("fivefold.base.files:write_text", "not a class that fivefold saves"),
        ("fivefold.base.files:os.system", "not a class that fivefold saves"),
        ("fivefold.nowhere:Thing", "does not have"),
    ],
)
def test_a_file_cannot_make_us_build_what_it_likes(path, words, tmp_path):
    codec.save({}, tmp_path / "saved")
    rewrite(tmp_path / "saved", {"$object": path, "state": {}})
    with pytest.raises(ArtifactError, match=words):
        codec.load(tmp_path / "saved")


def test_another_directory_and_a_newer_format_are_told_apart(tmp_path):
    with pytest.raises(ArtifactError, match="There is no saved model at"):
        codec.load(tmp_path / "absent")
    (tmp_path / "foreign").mkdir()
    with pytest.raises(ArtifactError, match="is not a directory that fivefold saved"):
        codec.load(tmp_path / "foreign")
    codec.save({}, tmp_path / "saved")
    manifest = tmp_path / "saved" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 99'))
    with pytest.raises(ArtifactError, match="format version 99"):
        codec.load(tmp_path / "saved")


def test_a_failed_save_keeps_the_old_model(tmp_path, monkeypatch):
    codec.save({"a": 1}, tmp_path / "saved")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="what was there before is intact"):
        codec.save({"a": 2}, tmp_path / "saved")
    monkeypatch.undo()
    assert codec.load(tmp_path / "saved") == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["saved"]


def test_a_replacement_cut_between_its_two_renames_is_undone(tmp_path):
    codec.save({"a": 1}, tmp_path / "saved")
    os.rename(tmp_path / "saved", tmp_path / "saved.previous")
    assert codec.load(tmp_path / "saved") == {"a": 1}
