"""Evidence for ``data-ingestion``: named data sets, their files and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import tempfile
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest import mock

from fivefold.evidence import Check, evidence, largest


@evidence(
    "data-ingestion",
    claim="The bundled sets have scikit-learn's numbers, classes and order of classes",
    against="scikit-learn's loaders",
)
def bundled_sets() -> Check:
    import numpy as np
    from sklearn import datasets as sk

    from fivefold.data.datasets import load_dataset

    wrong = 0
    for name, load in {
        "iris": sk.load_iris,
        "wine": sk.load_wine,
        "breast-cancer": sk.load_breast_cancer,
        "digits": sk.load_digits,
        "linnerud": sk.load_linnerud,
        "diabetes": lambda: sk.load_diabetes(scaled=False),
    }.items():
        theirs, ours = load(), load_dataset(name)
        X, y = ours.xy()
        wrong += not (np.array_equal(X, theirs.data) and np.array_equal(y, theirs.target))
        if ours.classes:
            wrong += list(ours.classes) != [str(label) for label in theirs.target_names]
            first = str(ours.frame[ours.target][0]) if ours.frame is not None and ours.target else ""
            wrong += first != str(theirs.target_names[theirs.target[0]])
        if name == "digits":
            wrong += not np.array_equal(ours.arrays["x"][:, 0] * 16, theirs.images)
    return Check(wrong, 0, "sets that differ", "scikit-learn")


@evidence(
    "data-ingestion",
    claim="Drawn sets have the modes, radii and noise they state: means within 6 standard errors, classes in equal numbers",
    against="the moments of the stated distributions",
)
def drawn_sets() -> Check:
    import numpy as np

    from fivefold.data.datasets import load_dataset

    grid = load_dataset("mixture-25", seed=4)
    x, y = grid.xy()
    worst = 0.0
    for label in range(25):
        block = x[y == label]
        center = np.array([2.0 * (label // 5) - 4, 2.0 * (label % 5) - 4])
        error = np.abs(block.mean(axis=0) - center) / (0.05 / np.sqrt(400))
        worst = largest(worst, float(error.max()), 400.0 * (len(block) != 400))
    # Standard deviation of 20,000 coordinates about their modes: relative standard error 1/sqrt(40,000) = 0.005.
    spread = (x - 2 * np.round(x / 2)).std() / 0.05
    worst = largest(worst, abs(spread - 1) / 0.005)
    moons = load_dataset("moons", n=20_000, seed=4)
    x, y = moons.xy()
    # About its own center each half circle has E[r^2] = 1 + 2 * 0.1^2; Var[r^2] = 4 * 0.1^2 + 4 * 0.1^4.
    for label, middle, side in ((0, (0.0, 0.0), 1), (1, (1.0, 0.5), -1)):
        d = x[y == label] - np.array(middle)
        square = (d**2).sum(axis=1)
        worst = largest(worst, abs(square.mean() - 1.02) / np.sqrt(0.0404 / len(d)), 400.0 * (len(d) != 10_000))
        # Uniform angle: height about the center is 2/pi on its side, width 0; variances at most 1.
        means = d.mean(axis=0) - np.array([0.0, side * 2 / np.pi])
        worst = largest(worst, float(np.abs(means).max()) * np.sqrt(len(d)))
    again = load_dataset("moons", n=20_000, seed=4).xy()[0]
    other = load_dataset("moons", n=20_000, seed=5).xy()[0]
    default = (load_dataset("moons").xy()[0].shape, load_dataset("mixture-25").xy()[0].shape)
    unsaid = (load_dataset("moons").xy()[0] == load_dataset("moons", seed=0).xy()[0]).all()  # seed 0 unless said
    worst += 400.0 * (not unsaid)
    worst += 400.0 * (not np.array_equal(x, again) or np.array_equal(x, other) or default != ((1000, 2), (10_000, 2)))
    return Check(worst, 6, "standard errors", "closed-form moments")


def _png(array: Any) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@evidence(
    "data-ingestion",
    claim="IDX, Planetoid, CoNLL, MovieLens and Omniglot files give the arrays, graph, sentences and images inside them",
    against="small files written by hand in these formats",
)
def home_formats() -> Check:
    import numpy as np
    import polars as pl
    import scipy.sparse

    from fivefold.data import datasets_remote as remote

    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def put(file: str, content: bytes) -> Path:
            path = folder / file
            path.write_bytes(content)
            return path

        # Two images of 2 x 3 pixels, then one more: shape in big-endian, bytes row by row.
        pixels = np.array([[[0, 51, 255], [1, 2, 3]], [[9, 8, 7], [6, 5, 102]]], dtype=np.uint8)

        def idx(array: np.ndarray) -> bytes:
            sizes = b"".join(int(size).to_bytes(4, "big") for size in array.shape)
            return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())

        files = [put("i.gz", idx(pixels)), put("l.gz", idx(np.array([7, 3], dtype=np.uint8)))]
        more = [put("j.gz", idx(pixels[:1])), put("k.gz", idx(np.array([5], dtype=np.uint8)))]
        digits = remote._mnist({"train": files, "test": more})
        x = digits["arrays"]["x"]
        wrong += x.shape != (3, 1, 2, 3) or not np.allclose(x[:2, 0] * 255, pixels, atol=1e-4) or float(x.max()) != 1.0
        wrong += digits["arrays"]["y"].tolist() != [7, 3, 5]
        wrong += digits["rows"] != {"train": range(0, 2), "test": range(2, 3)}

        # 605 nodes: two labeled for training, 500 more for validation, two test nodes given in the order 604, 603; a
        # self-loop and a double link.
        nodes = 605
        features = np.arange(nodes * 4, dtype=np.float32).reshape(nodes, 4) + 1
        label = np.arange(nodes) % 3
        hot = np.eye(3, dtype=np.int32)[label]
        graph = defaultdict(list, {0: [1, 1, 2], 1: [0], 2: [0, 2], 603: [604], 604: []})
        blocks = {
            "x": scipy.sparse.csr_matrix(features[:2]),
            "y": hot[:2],
            "allx": scipy.sparse.csr_matrix(features[:603]),
            "ally": hot[:603],
            "tx": scipy.sparse.csr_matrix(features[[604, 603]]),
            "ty": hot[[604, 603]],
            "graph": graph,
        }
        paths = [put(f"ind.cora.{part}", pickle.dumps(block, protocol=2)) for part, block in blocks.items()]
        paths.append(put("ind.cora.test.index", b"604\n603\n"))
        cora = remote._cora({"all": paths})["arrays"]
        wrong += not np.array_equal(cora["x"].toarray(), features) or cora["y"].tolist() != label.tolist()
        links = {(0, 1), (1, 0), (0, 2), (2, 0), (603, 604), (604, 603)}
        wrong += cora["edge_index"].shape != (2, 6) or set(zip(*cora["edge_index"].tolist())) != links
        wrong += np.flatnonzero(cora["train_mask"]).tolist() != [0, 1]
        wrong += np.flatnonzero(cora["val_mask"]).tolist() != list(range(2, 502))
        wrong += np.flatnonzero(cora["test_mask"]).tolist() != [603, 604]

        text = b"He PRP B-NP\nruns VBZ B-VP\n\nNo DT O\n\n"
        conll = remote._conll({"train": [put("a.txt", text)], "test": [put("b.txt", text.split(b"\n\n")[1] + b"\n\n")]})
        wrong += conll["arrays"]["tokens"] != [["He", "runs"], ["No"], ["No"]]
        wrong += conll["arrays"]["pos"] != [["PRP", "VBZ"], ["DT"], ["DT"]]
        wrong += conll["arrays"]["tags"] != [["B-NP", "B-VP"], ["O"], ["O"]]
        wrong += conll["rows"] != {"train": range(0, 2), "test": range(2, 3)} or conll["classes"] != (
            "B-NP",
            "B-VP",
            "O",
        )

        base, test = put("u1.base", b"1\t2\t3\t100\n2\t2\t5\t101\n"), put("u1.test", b"1\t3\t4\t102\n")
        frame = remote._movielens({"u1": [base, test]})["frame"]
        columns = ["user_id", "item_id", "rating", "timestamp", "split"]
        wrong += frame.columns != columns or frame.rows()[1:] != [(2, 2, 5, 101, "train"), (1, 3, 4, 102, "test")]
        item = put(
            "u.item", "1|Amélie (2001)|01-Jan-2001||http://x|1|0\n2|B|02-Jan-2001||http://y|0|1\n".encode("latin1")
        )
        items = remote._movielens({"items": [item, put("u.genre", b"Drama|0\nWar|1\n\n")]})["frame"]
        wrong += items.columns[-2:] != ["genre_Drama", "genre_War"] or items["title"][0] != "Amélie (2001)"

        row = [b"1", *(str(i / 4).encode() for i in range(28))]
        higgs = remote._higgs({"train": [put("binary.train", b"\t".join(row) + b"\n")]})["frame"]
        wrong += higgs.row(0) != (1, *(i / 4 for i in range(28))) or higgs.columns[0] != "label"
        wrong += [higgs.columns[i] for i in (1, 6, 9, 21, 22, 28)] != [
            *("lepton_pT", "jet_1_pt", "jet_1_b_tag", "jet_4_b_tag", "m_jj", "m_wwbb")
        ]

        ink = np.full((4, 5), 255, dtype=np.uint8)
        ink[1, 2] = 0
        with zipfile.ZipFile(folder / "o.zip", "w") as archive:
            for place in ("b/Greek/character02/0002_07", "b/Greek/character01/0001_03", "b/Latin/character01/0009_01"):
                archive.writestr(f"{place}.png", _png(ink))
        omniglot = remote._omniglot({"background": [folder / "o.zip"]})
        arrays = omniglot["arrays"]
        wrong += arrays["x"].shape != (3, 1, 4, 5) or float(arrays["x"].sum()) != 3.0 or arrays["x"][0, 0, 1, 2] != 1.0
        wrong += arrays["y"].tolist() != [0, 1, 2] or arrays["drawer"].tolist() != [3, 7, 1]
        wrong += omniglot["classes"] != ("Greek/character01", "Greek/character02", "Latin/character01")
        wrong += arrays["alphabet"].tolist() != ["Greek", "Greek", "Latin"]

        lines = ['"","value"', *(f'"{i + 1}",{100 + i}' for i in range(144))]
        flights = remote._air_passengers({"all": [put("air.csv", "\n".join(lines).encode())]})
        months = [f"{1949 + i // 12}-{i % 12 + 1:02}-01" for i in range(144)]
        wrong += flights["arrays"]["time"].astype("datetime64[D]").astype(str).tolist() != months
        wrong += flights["arrays"]["y"].tolist() != [100.0 + i for i in range(144)]
        wrong += flights["frame"].columns != ["month", "passengers"]
        days = "\n".join(",".join(str(d + j / 8) for j in range(8)) for d in range(3))
        rates = remote._exchange_rate({"all": [put("rates.gz", gzip.compress(days.encode()))]})
        wrong += rates["arrays"]["y"].tolist() != [[d + j / 8 for j in range(8)] for d in range(3)]
        wrong += rates["frame"].columns != list(remote.EXCHANGE_COLUMNS)
        ads = remote._criteo({"all": [put("ads.csv", b"label,I1,C1\n0,3,123\n1,,ab\n")]})["frame"]
        wrong += ads.rows() != [(0, 3.0, "123"), (1, None, "ab")]
        wrong += ads["C1"].dtype != pl.String or ads["I1"].dtype != pl.Float64
        plays = {"train": [put("t.txt", b"To be.\n")], "test": [put("s.txt", b"Or not.\n")]}
        wrong += remote._corpus(plays)["arrays"] != {
            "text": "To be.\nOr not.\n",
            "train": "To be.\n",
            "test": "Or not.\n",
        }
        wrong += remote._corpus({"all": plays["train"]})["arrays"] != {"text": "To be.\n"}

        sides = [put("p.neg", "dull \x85 film \nbad\n".encode("latin1")), put("p.pos", b"good\n")]
        polarity = remote._polarity({"all": sides})
        wrong += polarity["arrays"]["text"] != ["dull \x85 film", "bad", "good"]
        wrong += polarity["frame"]["polarity"].to_list() != ["negative", "negative", "positive"]
        wrong += polarity["arrays"]["y"].tolist() != [0, 0, 1]
    return Check(wrong, 0, "formats read otherwise", "hand-written files")


@evidence(
    "data-ingestion",
    claim="A file is taken from mirror, cache or home in this order; a wrong hash, also of a cached file, is refused",
    against="a home, a mirror and a cache in a temporary folder",
)
def cache_and_hashes() -> Check:
    from fivefold.base.errors import DataError
    from fivefold.data.datasets import load_dataset
    from fivefold.data.download import RemoteFile, cache_directory, fetch

    good, bad = b"as it should be", b"something else"
    sha = f"sha256:{hashlib.sha256(good).hexdigest()}"
    md5 = f"md5:{hashlib.md5(good, usedforsecurity=False).hexdigest()}"
    wrong = 0

    def refused(*texts: str, file: RemoteFile) -> int:
        try:
            fetch("set", file)
        except DataError as error:
            return sum(text not in str(error) for text in texts)
        return 1

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home, mirror, cache = folder / "home", folder / "mirror", folder / "cache"
        for place in (home, mirror / "set"):
            place.mkdir(parents=True)
        (home / "f.txt").write_bytes(good)
        (home / "f.txt.gz").write_bytes(gzip.compress(good))
        with zipfile.ZipFile(home / "f.zip", "w") as archive:
            archive.writestr("in/f.txt", good)
        plain = RemoteFile("f.txt", (home / "f.txt").as_uri(), sha)
        kept = cache / "data" / "set" / "f.txt"
        clear = {"FIVEFOLD_CACHE": str(cache), "FIVEFOLD_OFFLINE": "0", "FIVEFOLD_DATA_MIRROR": ""}
        with mock.patch.dict(os.environ, clear):
            wrong += cache_directory() != cache
            with mock.patch.dict(os.environ, {"FIVEFOLD_OFFLINE": "1"}):
                wrong += refused("FIVEFOLD_OFFLINE", str(kept), file=plain)
                wrong += refused("housing.csv", file=RemoteFile("housing.csv", plain.url, sha))
                try:
                    load_dataset("california-housing")
                    wrong += 1
                except DataError as error:
                    wrong += "'california-housing' is not at hand" not in str(error)
            wrong += fetch("set", plain) != kept or kept.read_bytes() != good
            (home / "f.txt").unlink()
            wrong += fetch("set", plain) != kept
            kept.write_bytes(bad)
            wrong += refused(sha, hashlib.sha256(bad).hexdigest(), file=plain)
            kept.unlink()
            for url, member in (("f.txt.gz", "*"), ("f.zip", "in/f.txt")):
                wrong += fetch("set", RemoteFile("f.txt", (home / url).as_uri(), md5, member)).read_bytes() != good
                kept.unlink()
            packed = RemoteFile("f.txt.gz", (home / "f.txt.gz").as_uri(), sha, content=True)
            wrong += gzip.decompress(fetch("set", packed).read_bytes()) != good
            (home / "f.txt").write_bytes(bad)
            wrong += refused(sha, hashlib.sha256(bad).hexdigest(), file=plain) or kept.exists()
            (mirror / "set" / "f.txt").write_bytes(good)
            with mock.patch.dict(os.environ, {"FIVEFOLD_DATA_MIRROR": str(mirror)}):
                kept.write_bytes(bad)
                wrong += fetch("set", plain) != mirror / "set" / "f.txt"
                kept.unlink()
            with mock.patch.dict(os.environ, {"FIVEFOLD_DATA_MIRROR": mirror.as_uri()}):
                wrong += fetch("set", plain) != kept
        with mock.patch.dict(os.environ):
            os.environ.pop("FIVEFOLD_CACHE", None)
            wrong += cache_directory() != Path.home() / ".cache" / "fivefold"
    return Check(wrong, 0, "wrong answers", "folders set up by hand")


@evidence(
    "data-ingestion",
    claim="Old pickles give arrays, and whatever else they ask for is refused before it is imported",
    against="pickles that ask for a function, a class and a module",
)
def pickles_hold_arrays_only() -> Check:
    import numpy as np
    import scipy.sparse

    from fivefold.base.errors import DataError
    from fivefold.data.unpickle import read_array_pickle

    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "p"
        for module, member in (("os", "system"), ("builtins", "eval"), ("numpy", "load"), ("scipy.sparse", "load_npz")):
            path.write_bytes(f"c{module}\n{member}\n(S'x'\ntR.".encode())
            try:
                read_array_pickle(path)
                wrong += 1
            except DataError as error:
                wrong += f"{module}.{member}, which is refused" not in str(error)
        matrix = scipy.sparse.csr_matrix(np.array([[0.0, 2.5], [1.0, 0.0]]))
        value = defaultdict(list, {0: [1, 2]})
        path.write_bytes(pickle.dumps([np.arange(3.0), matrix, value, "ä"], protocol=2))
        array, sparse, graph, word = read_array_pickle(path)
        wrong += array.tolist() != [0.0, 1.0, 2.0] or sparse.toarray().tolist() != [[0.0, 2.5], [1.0, 0.0]]
        wrong += dict(graph) != {0: [1, 2]} or word != "ä"
    return Check(wrong, 0, "pickles treated otherwise", "hand-written pickles")


@evidence(
    "data-ingestion",
    claim="Separator, header, encoding and the types of late values are found out; what is doubtful is refused",
    against="texts whose answers are known",
)
def dialects_found_out() -> Check:
    from fivefold.base.errors import DataError
    from fivefold.data.readers_csv import read_csv

    cases: list[tuple[bytes, list[str], list[tuple[Any, ...]]]] = [
        (b"a,b\n1,x\n", ["a", "b"], [(1, "x")]),
        (b"1,x\n2,y\n", ["column_1", "column_2"], [(1, "x"), (2, "y")]),
        (b"x,NA\ny,z\n", ["column_1", "column_2"], [("x", "NA"), ("y", "z")]),
        (b"a,a\na,b\n", ["column_1", "column_2"], [("a", "a"), ("a", "b")]),
        (b"k,1990,1991,1992\nz,1,2,3\n", ["k", "1990", "1991", "1992"], [("z", 1, 2, 3)]),
        (
            b"k,1990,1992,1993\nz,1,2,3\n",
            ["column_1", "column_2", "column_3", "column_4"],
            [("k", 1990, 1992, 1993), ("z", 1, 2, 3)],
        ),
        (b"a;b\n1,5;2,5\n", ["a", "b"], [("1,5", "2,5")]),
        (b"\n\na|b\n1|2\n\n", ["a", "b"], [(1, 2)]),
        (b'"a\nx",b\n1,2\n', ["a\nx", "b"], [(1, 2)]),
        (b"a b c\n1 2 3\n4 5 6\n", ["a", "b", "c"], [(1, 2, 3), (4, 5, 6)]),
        (b"a\r1\r2\r", ["a"], [(1,), (2,)]),
        (",ü\n1,ß\n".encode("latin1"), ["column_1", "ü"], [(1, "ß")]),
        (b"z,n\n007,1\n12,2\n", ["z", "n"], [("007", 1), ("12", 2)]),
        (b"z,n\n9999999999999999999,1.5\n", ["z", "n"], [("9999999999999999999", 1.5)]),
    ]
    wrong = 0
    for text, names, records in cases:
        frame, _ = read_csv(text, "t.csv")
        wrong += frame.columns != names or frame.rows() != records
    # Beyond the sample of 1,000 rows: a gap keeps the integers, a fraction makes floats, a word makes strings.
    lines = ["i,f,w,c", *["1,2,3,4"] * 1500, "NA,2.5,word,5"]
    late, _ = read_csv("\n".join(lines).encode(), "t.csv")
    wrong += [str(dtype) for dtype in late.dtypes] != ["Int64", "Float64", "String", "Int64"]
    wrong += late.rows()[-1] != (None, 2.5, "word", 5) or late.height != 1501
    for damaged in ("ä,ö\n".encode() * 3 + b"\xff,1\n", b"a,b\n1,\x00\n", b"", b"a,b\n", b"a,a\n1,2\n"):
        try:
            read_csv(damaged, "t.csv")
            wrong += 1
        except DataError:
            continue
    return Check(wrong, 0, "texts read otherwise", "known answers")


@evidence(
    "data-ingestion",
    claim="A set from afar carries its target, or none, its task, and the parts at hand and missing",
    against="the catalog and small files",
)
def facts_of_remote_sets() -> Check:
    from unittest.mock import patch

    from fivefold.data import datasets_remote as remote
    from fivefold.data.catalog import REMOTE

    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "file.txt"
        cases = (
            ("california-housing", b"rooms,median_house_value\n3,1.5\n4,2.5\n", "all", "median_house_value"),
            ("tiny-shakespeare", b"To be.\n", "all", None),
            ("wikitext-2", b"Or not.\n", "test", None),
        )
        for key, content, part, target in cases:
            path.write_bytes(content)
            with patch.object(remote, "fetch", lambda *_: path):
                found = remote.build(key, REMOTE[key], [part], ["more"])
            wrong += found.target != target or found.name != key or found.kind != REMOTE[key].kind
            wrong += found.parts != (part,) or found.missing_parts != ("more",) or found.task != REMOTE[key].task
    return Check(wrong, 0, "differences", "the catalog")
