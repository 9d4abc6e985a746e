"""Data sets: bundled and generated ones always, those with files where a mirror lies at hand, the cache with a loopback home."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fivefold.base.errors import DataError, UnknownNameError
from fivefold.data import download
from fivefold.data.catalog import REMOTE
from fivefold.data.datasets import Dataset, describe_dataset, list_datasets, load_dataset
from fivefold.data.datasets_remote import HIGGS_COLUMNS, read_idx
from fivefold.data.download import RemoteFile, fetch
from fivefold.data.infer import infer_schema
from fivefold.data.unpickle import read_array_pickle

MIRROR = os.environ.get("FIVEFOLD_DATA_MIRROR", "")
needs_mirror = pytest.mark.skipif(not Path(MIRROR or "/nowhere").is_dir(), reason="needs FIVEFOLD_DATA_MIRROR")


def test_names():
    names = list_datasets()
    assert {"iris", "breast-cancer", "california-housing", "mnist", "mixture-25", "moons"} <= set(names)
    with pytest.raises(UnknownNameError, match="Unknown data set 'irs'; did you mean one of: iris"):
        load_dataset("irs")


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "digits", "linnerud", "diabetes"])
def test_bundled_sets_equal_scikit_learn(name):
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name.replace('-', '_')}")(**({"scaled": False} if name == "diabetes" else {}))
    X, y = load_dataset(name).xy()
    np.testing.assert_array_equal(X, bunch.data)
    np.testing.assert_array_equal(y, bunch.target)


def test_breast_cancer_has_words_for_its_target():
    frame = load_dataset("Breast_Cancer").frame
    assert frame["diagnosis"].value_counts(sort=True).rows() == [("benign", 357), ("malignant", 212)]
    assert infer_schema(frame, target="diagnosis")[0].task == "binary"


def test_digits_have_images():
    data = load_dataset("digits")
    assert data.arrays["x"].shape == (1797, 1, 8, 8)
    assert data.arrays["x"].max() == 1.0
    np.testing.assert_allclose(data.arrays["x"].reshape(1797, 64) * 16, data.xy()[0], atol=1e-6)


def test_generated_sets_follow_their_seed():
    one, same, other = (load_dataset("mixture-25", n=1000, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.arrays["x"], same.arrays["x"])
    assert not np.array_equal(one.arrays["x"], other.arrays["x"])
    assert np.bincount(one.arrays["y"]).tolist() == [40] * 25
    residual = one.arrays["x"] - 2 * np.round(one.arrays["x"] / 2)
    assert abs(residual.std() - 0.05) < 0.005
    moons = load_dataset("moons")
    assert moons.frame.height == 1000
    assert np.bincount(moons.arrays["y"]).tolist() == [500, 500]


def test_wrong_requests():
    with pytest.raises(DataError, match="'iris' has no parts; got part='train'"):
        load_dataset("iris", part="train")
    with pytest.raises(DataError, match="n is the size of a generated set"):
        load_dataset("iris", n=5)
    with pytest.raises(DataError, match="n must be at least 1, got 0"):
        load_dataset("moons", n=0)
    with pytest.raises(UnknownNameError, match="Unknown part of mnist 'validation'"):
        load_dataset("mnist", part="validation")
    with pytest.raises(DataError, match="'x' is text, not a table with a target"):
        Dataset("x", "text").xy()


@needs_mirror
@pytest.mark.parametrize("name", sorted(REMOTE))
def test_sets_with_files_load(name):
    data = load_dataset(name)
    assert data.frame is not None or data.arrays
    assert data.name in data.describe()
    if data.kind == "table" and data.target:
        assert infer_schema(data.frame, target=data.target)[0].task == data.task or name == "movielens-100k"


@needs_mirror
def test_california_housing():
    data = load_dataset("california-housing")
    assert data.frame.shape == (20640, 10)
    assert data.frame["total_bedrooms"].null_count() == 207
    assert data.frame["ocean_proximity"].n_unique() == 5


@needs_mirror
def test_higgs_has_names_and_parts():
    data = load_dataset("higgs-sample")
    assert data.frame.columns == list(HIGGS_COLUMNS)
    assert data.frame.shape == (7500, 29)
    assert (len(data.rows["train"]), len(data.rows["test"])) == (7000, 500)
    assert load_dataset("higgs-sample", part="test").frame.equals(data.frame.tail(500))
    # m_jj of the first row, the first of the seven derived masses, stands in column 22 of the file.
    assert data.frame["m_jj"][0] == 1.578 or data.frame.row(0)[22] == data.frame["m_jj"][0]


@needs_mirror
def test_mnist_says_which_part_is_at_hand():
    data = load_dataset("mnist")
    assert data.arrays["x"].shape == (10000, 1, 28, 28)
    assert data.arrays["x"].dtype == np.float32
    assert (data.arrays["x"].min(), data.arrays["x"].max()) == (0.0, 1.0)
    assert np.bincount(data.arrays["y"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.parts == ("test",)
    assert data.missing_parts == ("train",)
    assert "not at hand: train" in data.describe()
    assert describe_dataset("mnist")["at_hand"] == ["test"]


@needs_mirror
def test_cora_is_planetoid():
    arrays = load_dataset("cora").arrays
    assert arrays["x"].shape == (2708, 1433)
    assert arrays["edge_index"].shape == (2, 10556)
    assert np.bincount(arrays["y"]).tolist() == [351, 217, 418, 818, 426, 298, 180]
    masks = [int(arrays[f"{part}_mask"].sum()) for part in ("train", "val", "test")]
    assert masks == [140, 500, 1000]
    assert np.bincount(arrays["y"][arrays["train_mask"]]).tolist() == [20] * 7
    assert not (arrays["train_mask"] & arrays["val_mask"]).any()
    # Neighbors agree about their class far more often than chance (homophily 0.81): rows and edges belong together.
    a, b = arrays["edge_index"]
    assert abs((arrays["y"][a] == arrays["y"][b]).mean() - 0.81) < 0.005


@needs_mirror
def test_movielens_parts():
    ratings = load_dataset("movielens-100k").frame
    assert ratings.columns == ["user_id", "item_id", "rating", "timestamp"]
    assert (ratings["user_id"].n_unique(), ratings["item_id"].n_unique()) == (943, 1682)
    split = load_dataset("movielens-100k", part="u1")
    assert (len(split.rows["train"]), len(split.rows["test"])) == (80000, 20000)
    assert split.frame["split"].value_counts(sort=True).rows() == [("train", 80000), ("test", 20000)]
    items = load_dataset("movielens-100k", part="items").frame
    assert items.height == 1682
    assert items.columns[-1] == "genre_Western"
    assert load_dataset("movielens-100k", part="users").frame["zip_code"].dtype == pl.String


@needs_mirror
def test_movielens_as_clicks():
    data = load_dataset("movielens-clicks")
    assert data.frame.columns == ["click", "user", "item", "age", "gender", "occupation", "genres", "history", "time"]
    assert (data.target, data.task, data.frame.height) == ("click", "binary", 100_000)
    assert abs(data.frame["click"].mean() - 0.55375) < 1e-9  # 55,375 ratings of 4 or 5
    assert data.frame["time"].is_sorted()
    schema, _ = infer_schema(data.frame[:2000], target="click", types=data.types, time="time")
    kinds = {c.name: c.kind for c in schema.features}
    assert kinds == {
        **dict.fromkeys(("user", "item", "gender", "occupation"), "categorical"),
        "age": "numeric",
        "genres": "list",
        "history": "list",
    }
    assert describe_dataset("movielens-clicks")["at_hand"] == ["all"]
    with pytest.raises(DataError, match="'genres' holds lists, which are no column of an array; use the frame"):
        data.xy()


@needs_mirror
def test_criteo_columns_are_categories():
    data = load_dataset("criteo-sample")
    schema, _ = infer_schema(data.frame, target="label", types=data.types)
    assert {schema[f"C{i}"].kind for i in range(1, 27)} == {"categorical"}


def test_synthetic_clicks():
    data = load_dataset("synthetic-clicks", n=300)
    assert data.frame.shape == (300, 40) and data.target == "click"
    p = data.arrays["probability"]
    assert p.shape == (300,) and ((p > 0) & (p < 1)).all()
    schema, _ = infer_schema(data.frame, target="click", types=data.types)
    assert {c.kind for c in schema.features} == {"categorical"} and len(schema.features) == 39
    assert load_dataset("synthetic-clicks", n=300, seed=1).frame["c38"].to_list() != data.frame["c38"].to_list()


@needs_mirror
def test_sequences_text_series_and_images():
    chunks = load_dataset("conll2000")
    assert (len(chunks.rows["train"]), len(chunks.rows["test"])) == (8936, 2012)
    assert chunks.arrays["tokens"][0][:2] == ["Confidence", "in"]
    assert chunks.arrays["tags"][0][:2] == ["B-NP", "B-PP"]
    assert all(len(t) == len(y) for t, y in zip(chunks.arrays["tokens"], chunks.arrays["tags"]))
    polarity = load_dataset("rt-polarity")
    assert np.bincount(polarity.arrays["y"]).tolist() == [5331, 5331]
    assert len(load_dataset("tiny-shakespeare").arrays["text"]) == 1115394
    series = load_dataset("air-passengers")
    assert series.arrays["y"][[0, -1]].tolist() == [112.0, 432.0]
    assert str(series.frame["month"][-1]) == "1960-12-01"
    assert load_dataset("exchange-rate").arrays["y"].shape == (7588, 8)
    assert load_dataset("wikitext-2").missing_parts == ("train",)


@needs_mirror
def test_omniglot():
    data = load_dataset("omniglot")
    assert data.arrays["x"].shape == (2720, 1, 105, 105)
    assert len(data.classes) == 136
    assert np.bincount(data.arrays["y"]).tolist() == [20] * 136
    assert 0.02 < data.arrays["x"].mean() < 0.2  # ink is 1, paper 0


def remote(tmp_path, served=b"hello", **options):
    home = tmp_path / "home" / "file.txt"
    home.parent.mkdir(exist_ok=True)
    home.write_bytes(served)
    hash = options.pop("hash", f"sha256:{hashlib.sha256(b'hello').hexdigest()}")
    return RemoteFile("file.txt", home.as_uri(), hash, **options)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FIVEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FIVEFOLD_DATA_MIRROR", raising=False)
    monkeypatch.delenv("FIVEFOLD_OFFLINE", raising=False)
    return tmp_path / "cache" / "data" / "set" / "file.txt"


def test_download_is_cached_and_checked_again(tmp_path, cache):
    file = remote(tmp_path)
    assert fetch("set", file) == cache
    (tmp_path / "home" / "file.txt").unlink()
    assert fetch("set", file).read_bytes() == b"hello"
    cache.write_bytes(b"tampered")
    with pytest.raises(DataError) as caught:
        fetch("set", file)
    assert file.hash in str(caught.value)
    assert hashlib.sha256(b"tampered").hexdigest() in str(caught.value)


def test_wrong_download_names_both_hashes_and_keeps_nothing(tmp_path, cache):
    file = remote(tmp_path, b"other")
    with pytest.raises(DataError, match="Nothing was kept") as caught:
        fetch("set", file)
    assert file.hash in str(caught.value)
    assert hashlib.sha256(b"other").hexdigest() in str(caught.value)
    assert not cache.exists()
    assert list(cache.parent.iterdir()) == []


def test_offline_says_what_to_do(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("FIVEFOLD_OFFLINE", "1")
    with pytest.raises(
        DataError, match="not at hand and FIVEFOLD_OFFLINE forbids the network; unset it, or put the file"
    ):
        fetch("set", remote(tmp_path))
    with pytest.raises(DataError, match=r"housing.csv of the data set 'california-housing' is not at hand"):
        load_dataset("california-housing")


def test_mirror_goes_before_the_cache(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("FIVEFOLD_DATA_MIRROR", str(tmp_path / "mirror"))
    place = tmp_path / "mirror" / "set" / "file.txt"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"hello")
    assert fetch("set", remote(tmp_path)) == place
    place.write_bytes(b"wrong")
    with pytest.raises(DataError, match="is not the file it should be: its hash is sha256:"):
        fetch("set", remote(tmp_path))


def test_mirror_by_url(tmp_path, cache, monkeypatch):
    place = tmp_path / "mirror" / "set" / "file.txt"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"hello")
    monkeypatch.setenv("FIVEFOLD_DATA_MIRROR", (tmp_path / "mirror").as_uri())
    assert fetch("set", RemoteFile("file.txt", "https://nowhere.invalid/x", remote(tmp_path).hash)) == cache


def test_hash_of_content_and_md5(tmp_path, cache):
    packed = gzip.compress(b"hello")
    assert fetch("set", remote(tmp_path, packed, content=True)).read_bytes() == packed
    cache.unlink()
    assert fetch("set", remote(tmp_path, packed, member="*")).read_bytes() == b"hello"
    cache.unlink()
    md5 = f"md5:{hashlib.md5(b'hello', usedforsecurity=False).hexdigest()}"
    assert fetch("set", remote(tmp_path, hash=md5)) == cache


def test_damaged_archive(tmp_path, cache):
    download._archive_once.cache_clear()
    with pytest.raises(DataError, match="The archive at file:.* is damaged or lacks"):
        fetch("set", remote(tmp_path, b"no archive", member="a/b.txt"))


def test_every_file_on_record_has_a_hash_and_a_home():
    for name, entry in REMOTE.items():
        for file in entry.files.values():
            algorithm, _, value = file.hash.partition(":")
            assert (algorithm, len(value)) in {("sha256", 64), ("md5", 32)}, (name, file.name)
            assert file.url.startswith("https://")


class Evil:
    def __reduce__(self):
        return (os.system, ("true",))


def test_pickles_may_hold_arrays_only(tmp_path):
    path = tmp_path / "p"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match=r"The pickle asks for (posix|nt)\.system, which is refused"):
        read_array_pickle(path)
    path.write_bytes(pickle.dumps({"a": np.arange(3)})[:-4])
    with pytest.raises(DataError, match="is not a readable pickle of arrays"):
        read_array_pickle(path)
    path.write_bytes(pickle.dumps([np.arange(3.0)], protocol=2))
    np.testing.assert_array_equal(read_array_pickle(path)[0], np.arange(3.0))


def test_bad_idx(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"nonsense"))
    with pytest.raises(DataError, match="x.gz is not an IDX file"):
        read_idx(path)
    path.write_bytes(gzip.compress(b"\x00\x00\x08\x01\x00\x00\x00\x05abc"))
    with pytest.raises(DataError, match=r"states the shape \(5,\) but holds 3 bytes"):
        read_idx(path)


def test_nothing_heavy_is_imported():
    import subprocess
    import sys

    code = "import sys, fivefold.data.readers, fivefold.data.infer, fivefold.data.datasets; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("torch", "numba", "sklearn", "pandas", "duckdb", "sqlalchemy"):
        assert f"'{heavy}'" not in loaded
