"""Sets with files: each builder turns checked local files into a :class:`Dataset`."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError

from .catalog import Entry
from .datasets import Dataset, of_entry
from .download import fetch, gzip_errors
from .readers_csv import read_csv
from .unpickle import read_array_pickle

HIGGS_COLUMNS = (
    "label",
    *("lepton_pT", "lepton_eta", "lepton_phi", "missing_energy_magnitude", "missing_energy_phi"),
    *(f"jet_{jet}_{what}" for jet in (1, 2, 3, 4) for what in ("pt", "eta", "phi", "b_tag")),
    *("m_jj", "m_jjj", "m_lv", "m_jlv", "m_bb", "m_wbb", "m_wwbb"),
)
EXCHANGE_COLUMNS = ("australia", "britain", "canada", "switzerland", "china", "japan", "new_zealand", "singapore")

Parts = dict[str, list[Path]]


def build(name: str, entry: Entry, parts: list[str], missing: list[str]) -> Dataset:
    """Return the data set made of ``parts``; ``missing`` are those that are not at hand."""
    files: Parts = {part: [fetch(entry.home or name, file) for file in entry.parts[part]] for part in parts}
    return of_entry(name, entry, parts=tuple(parts), missing_parts=tuple(missing), **_BUILDERS[name](files))


def _rows(sizes: dict[str, int]) -> dict[str, range]:
    rows: dict[str, range] = {}
    start = 0
    for part, size in sizes.items():
        rows[part] = range(start, start + size)
        start += size
    return rows


def _air_passengers(files: Parts) -> dict[str, Any]:
    raw = read_csv(files["all"][0], "AirPassengers.csv")[0]
    months = pl.date_range(pl.date(1949, 1, 1), pl.date(1960, 12, 1), "1mo", eager=True)
    frame = pl.DataFrame({"month": months, "passengers": raw["value"].cast(pl.Float64)})
    return {"frame": frame, "arrays": {"y": frame["passengers"].to_numpy().copy(), "time": months.to_numpy()}}


def _california(files: Parts) -> dict[str, Any]:
    return {"frame": read_csv(files["all"][0], "housing.csv")[0]}


def _criteo(files: Parts) -> dict[str, Any]:
    frame = read_csv(files["all"][0], "criteo_sample.txt")[0]
    words = pl.selectors.matches(r"^C\d+$").cast(pl.String)  # hashed categories, some of digits alone
    return {"frame": frame.with_columns(words, pl.selectors.matches(r"^I\d+$").cast(pl.Float64)), "classes": ("0", "1")}


def _exchange_rate(files: Parts) -> dict[str, Any]:
    path = files["all"][0]
    with gzip_errors(path.name):
        data = gzip.decompress(path.read_bytes())
    frame = read_csv(data, path.name, header=False)[0].rename(
        {f"column_{i + 1}": name for i, name in enumerate(EXCHANGE_COLUMNS)}
    )
    return {"frame": frame, "arrays": {"y": frame.to_numpy()}}  # (7588, 8), one row a day


def _higgs(files: Parts) -> dict[str, Any]:
    frames = {part: read_csv(paths[0], paths[0].name, header=False, separator="\t")[0] for part, paths in files.items()}
    frame = pl.concat(frames.values(), how="vertical_relaxed")
    frame.columns = list(HIGGS_COLUMNS)
    frame = frame.with_columns(pl.col("label").cast(pl.Int64))
    return {"frame": frame, "classes": ("0", "1"), "rows": _rows({part: f.height for part, f in frames.items()})}


def read_idx(path: Path) -> np.ndarray:
    """Return the array of a gzipped IDX file: magic 00 00 08 ndim, big-endian sizes, bytes."""
    with gzip_errors(path.name), gzip.open(path) as stream:
        data = stream.read()
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise DataError(f"{path.name} is not an IDX file of bytes; its first bytes are {data[:4].hex()}.")
    start = 4 + 4 * data[3]
    shape = tuple(np.frombuffer(data[4:start], dtype=">u4").astype(int).tolist())
    if len(data) - start != int(np.prod(shape)):
        raise DataError(f"{path.name} states the shape {shape} but holds {len(data) - start:,} bytes.")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def _mnist(files: Parts) -> dict[str, Any]:
    images = {part: read_idx(paths[0]) for part, paths in files.items()}
    labels = {part: read_idx(paths[1]) for part, paths in files.items()}
    x = np.concatenate(list(images.values())).astype(np.float32)[:, None] / np.float32(255)  # (n, 1, 28, 28)
    y = np.concatenate(list(labels.values())).astype(np.int64)
    rows = _rows({part: len(block) for part, block in labels.items()})
    return {"arrays": {"x": x, "y": y}, "classes": tuple(str(digit) for digit in range(10)), "rows": rows}


def _omniglot(files: Parts) -> dict[str, Any]:
    from PIL import Image

    images: list[np.ndarray] = []
    characters: list[str] = []
    drawers: list[int] = []
    sizes: dict[str, int] = {}
    for part, paths in files.items():
        before = len(images)
        with zipfile.ZipFile(paths[0]) as archive:
            for name in sorted(entry for entry in archive.namelist() if entry.endswith(".png")):
                _, alphabet, character, file = name.split("/")
                with Image.open(io.BytesIO(archive.read(name))) as image:
                    images.append(np.asarray(image.convert("L"), dtype=np.uint8))
                characters.append(f"{alphabet}/{character}")
                drawers.append(int(file.removesuffix(".png").split("_")[1]))
        sizes[part] = len(images) - before
    classes = sorted(set(characters))
    code = {label: i for i, label in enumerate(classes)}
    # Ink is black on white at home; here ink is 1 and paper 0.  # (n, 1, 105, 105)
    x = 1 - np.stack(images)[:, None].astype(np.float32) / np.float32(255)
    alphabets = np.array([label.split("/")[0] for label in characters])
    arrays = {
        "x": x,
        "y": np.array([code[label] for label in characters], dtype=np.int64),
        "alphabet": alphabets,
        "drawer": np.array(drawers, dtype=np.int64),
    }
    return {"arrays": arrays, "classes": tuple(classes), "rows": _rows(sizes)}


def _movielens(files: Parts) -> dict[str, Any]:
    part, paths = next(iter(files.items()))
    if part == "users":
        frame = _plain(paths[0], "|", ("user_id", "age", "gender", "occupation", "zip_code"))
        return {"frame": frame, "target": None, "task": ""}
    if part == "items":
        genres = [line.split("|")[0] for line in paths[1].read_text(encoding="latin1").split("\n") if line.strip()]
        names = ("item_id", "title", "release_date", "video_release_date", "imdb_url", *(f"genre_{g}" for g in genres))
        return {"frame": _plain(paths[0], "|", names), "target": None, "task": ""}
    names = ("user_id", "item_id", "rating", "timestamp")
    frames = [_plain(path, "\t", names) for path in paths]
    if part == "ratings":
        return {"frame": frames[0]}
    rows = _rows({"train": frames[0].height, "test": frames[1].height})
    marked = [frame.with_columns(split=pl.lit(which)) for frame, which in zip(frames, ("train", "test"))]
    return {"frame": pl.concat(marked), "rows": rows}


def _movielens_clicks(files: Parts) -> dict[str, Any]:
    from .movielens import movielens_clicks

    return {"frame": movielens_clicks(), "classes": ("0", "1")}


def _plain(path: Path, separator: str, names: tuple[str, ...]) -> pl.DataFrame:
    frame = read_csv(path, path.name, header=False, separator=separator)[0]
    frame.columns = list(names)
    return frame


def _cora(files: Parts) -> dict[str, Any]:
    import scipy.sparse

    parts = {path.name.removeprefix("ind.cora."): path for path in files["all"]}
    blocks = {name: read_array_pickle(parts[name]) for name in ("x", "y", "tx", "ty", "allx", "ally", "graph")}
    test = np.array(parts["test.index"].read_text(encoding="ascii").split(), dtype=np.int64)
    # The rows of tx belong to the nodes that test.index lists, in its order; allx holds all nodes before them.
    x = scipy.sparse.vstack([blocks["allx"], blocks["tx"]]).tocsr()
    onehot = np.vstack([blocks["ally"], blocks["ty"]])
    order = np.arange(x.shape[0])
    order[test] = np.arange(blocks["allx"].shape[0], x.shape[0])
    x, y = scipy.sparse.csr_array(x[order].astype(np.float32)), onehot[order].argmax(axis=1).astype(np.int64)
    pairs = np.array([(a, b) for a, around in blocks["graph"].items() for b in around], dtype=np.int64)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    edges = np.unique(np.vstack([pairs, pairs[:, ::-1]]), axis=0).T.copy()  # (2, 10556): both directions of each link
    nodes, train = x.shape[0], blocks["x"].shape[0]

    def mask(rows: Any) -> np.ndarray:
        chosen = np.zeros(nodes, dtype=bool)
        chosen[rows] = True
        return chosen

    arrays = {
        "x": x,
        "y": y,
        "edge_index": edges,
        "train_mask": mask(slice(0, train)),
        "val_mask": mask(slice(train, train + 500)),
        "test_mask": mask(test),
    }
    return {"arrays": arrays, "classes": tuple(str(i) for i in range(onehot.shape[1]))}


def _conll(files: Parts) -> dict[str, Any]:
    arrays: dict[str, list[list[str]]] = {"tokens": [], "pos": [], "tags": []}
    sizes: dict[str, int] = {}
    for part, paths in files.items():
        sentences = [block.split("\n") for block in paths[0].read_text(encoding="utf8").strip().split("\n\n")]
        for sentence in sentences:
            words = [line.split(" ") for line in sentence]
            for column, values in zip(arrays.values(), zip(*words)):
                column.append(list(values))
        sizes[part] = len(sentences)
    classes = tuple(sorted({tag for tags in arrays["tags"] for tag in tags}))
    return {"arrays": arrays, "classes": classes, "rows": _rows(sizes)}


def _polarity(files: Parts) -> dict[str, Any]:
    # str.splitlines would also break at the Latin-1 control code 0x85, inside sentences.
    texts = [path.read_bytes().decode("latin1").rstrip("\n").split("\n") for path in files["all"]]
    text = [line.strip() for block in texts for line in block]
    y = np.repeat(np.array([0, 1], dtype=np.int64), [len(block) for block in texts])
    classes = ("negative", "positive")
    frame = pl.DataFrame({"text": text, "polarity": [classes[code] for code in y]})
    return {"frame": frame, "arrays": {"text": text, "y": y}, "classes": classes}


def _corpus(files: Parts) -> dict[str, Any]:
    texts = {part: paths[0].read_text(encoding="utf8") for part, paths in files.items()}
    named = {} if list(texts) == ["all"] else texts
    return {"arrays": {"text": "".join(texts.values()), **named}}


_BUILDERS: dict[str, Callable[[Parts], dict[str, Any]]] = {
    "air-passengers": _air_passengers,
    "california-housing": _california,
    "conll2000": _conll,
    "cora": _cora,
    "criteo-sample": _criteo,
    "exchange-rate": _exchange_rate,
    "higgs-sample": _higgs,
    "mnist": _mnist,
    "movielens-100k": _movielens,
    "movielens-clicks": _movielens_clicks,
    "omniglot": _omniglot,
    "rt-polarity": _polarity,
    "tiny-shakespeare": _corpus,
    "wikitext-2": _corpus,
}
