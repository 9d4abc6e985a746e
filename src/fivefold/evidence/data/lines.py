"""Evidence for the readers of lines: images as CSV, Deep & Cross columns, behavior sequences."""

from __future__ import annotations

import gzip
import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence


def _csv(y: np.ndarray, x: np.ndarray, header: bool) -> str:
    top = ["label," + ",".join(f"pixel{i + 1}" for i in range(x.shape[1]))] if header else []
    return "\n".join([*top, *(",".join(map(str, [label, *row])) for label, row in zip(y.tolist(), x.tolist()))])


@evidence(
    "image-csv-reader",
    claim="Rows of 28 x 28 pixels round-trip to label and image, with and without header, plain and compressed",
    against="the array that was written",
)
def csv_round_trip() -> Check:
    from fivefold.data.readers_lines import ImageCSVReader

    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 256, (12, 784)), draw.integers(0, 10, 12)
    wrong = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for header, packed in itertools.product((True, False), (True, False)):
            path = Path(folder) / f"images{header}.csv{'.gz' if packed else ''}"
            text = _csv(y, x, header).encode()
            path.write_bytes(gzip.compress(text) if packed else text)
            found = ImageCSVReader().read(path)
            wrong += found["x"].shape != (12, 1, 28, 28) or found["x"].dtype != np.float32
            wrong += not float(np.abs(found["x"][:, 0].reshape(12, 784) * 255.0 - x).max()) <= 1e-4
            wrong += found["y"].tolist() != y.tolist()
            last = ImageCSVReader(scale=False, channels_last=True, header=header).read(path)
            wrong += last["x"].shape != (12, 28, 28, 1) or float(np.abs(last["x"].reshape(12, 784) - x).max())
    return Check(wrong, 0, "differences", "the array written")


@evidence(
    "image-csv-reader",
    claim="Labels and pixels are the columns of the table; pixels of color images go channel last in a row",
    against="pandas read_csv; index arithmetic",
    peer="pandas",
)
def csv_peer() -> Check:
    import pandas as pd

    from fivefold.data.readers_lines import ImageCSVReader

    draw = np.random.default_rng(1)
    x, y = draw.integers(0, 256, (5, 4 * 6 * 3)), draw.integers(0, 10, 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "color.csv"
        path.write_text(_csv(y, x, True))
        table = pd.read_csv(path).to_numpy()
        found = ImageCSVReader(shape=(4, 6, 3), scale=False).read(path)
    wrong = int((found["y"] != table[:, 0]).sum()) + int(found["x"].shape != (5, 3, 4, 6))
    for c, i, j in itertools.product(range(3), range(4), range(6)):
        wrong += int((found["x"][:, c, i, j] != table[:, 1 + (i * 6 + j) * 3 + c]).sum())
    return Check(wrong, 0, "cells that differ", "pandas")


@evidence(
    "image-csv-reader",
    claim="A pixel of 684, a negative pixel, a fraction as label, a lost value and 5 pixels are refused, 0 and 255 are not",
    against="the range of 8 bits",
)
def csv_refusals() -> Check:
    from fivefold.data.readers_lines import ImageCSVReader

    rows = {
        "3,0,255,17,9": True,
        "3,0,684,17,9": False,
        "3,0,-1,17,9": False,
        "3,0,256,17,9": False,
        "1.5,0,25,17,9": False,
        "-1,0,25,17,9": False,
        "3,0,25,17,9,8": False,
    }
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row.csv"
        for row, fits in rows.items():
            good = "4" + ",7" * row.count(",")
            path.write_text(f"{good}\n{row}\n")
            try:
                ImageCSVReader(header=False).read(path)
            except ValueError as error:
                wrong += fits or "row.csv" not in str(error)
            else:
                wrong += not fits
        for row in ("3,0,25,,9", ",0,25,8,9", "3,0,25,x,9", "cat,0,25,8,9"):
            path.write_text(f"4,7,7,7,7\n{row}\n")
            try:
                ImageCSVReader(header=False).read(path)
                wrong += 1
            except ValueError as error:
                wrong += "holds a value that is no number" not in str(error)
    return Check(wrong, 0, "wrong outcomes", "range")


@evidence(
    "dcn-tabular-reader",
    claim="0 0.172351 0.413592 1 14 20 134 231 293 is label 0, two numbers and six indices of 300",
    against="the example of the specification",
)
def dcn_example() -> Check:
    from fivefold.data.readers_lines import DeepCrossReader

    line = "0 0.172351 0.413592 1 14 20 134 231 293"
    reader = DeepCrossReader(n_numeric=2, n_categorical=6, n_features=300)
    wrong = 0
    for text, separator in ((line, None), (line.replace(" ", ","), ","), (line.replace(" ", "\t"), "\t")):
        other = DeepCrossReader(n_numeric=2, n_categorical=6, n_features=300, separator=separator)
        found = other.read([text, text])
        wrong += found["label"].tolist() != [0, 0] or found["numeric"].tolist() != [[0.172351, 0.413592]] * 2
        wrong += found["categorical"].tolist() != [[1, 14, 20, 134, 231, 293]] * 2
        wrong += found["categorical"].dtype != np.int64
    hot = reader.one_hot(reader.read([line])["categorical"]).toarray()
    wrong += hot.shape != (1, 300) or np.flatnonzero(hot[0]).tolist() != [1, 14, 20, 134, 231, 293] or hot.sum() != 6
    default = DeepCrossReader()
    wrong += (default.n_numeric, default.n_categorical, default.n_classes, default.n_features) != (13, 26, 2, None)
    return Check(wrong, 0, "differences", "specification")


@evidence(
    "dcn-tabular-reader",
    claim="Random lines of any layout round-trip; labels of K classes are 0 to K - 1, real targets stay numbers",
    against="the arrays that were written",
)
def dcn_round_trip() -> Check:
    from fivefold.data.readers_lines import DeepCrossReader

    draw = np.random.default_rng(0)
    wrong = 0
    cases: list[tuple[int, int, int | None]] = [(0, 3, 2), (3, 0, 5), (2, 4, None), (13, 26, 2)]
    for numeric, categorical, classes in cases:
        y = draw.integers(0, classes, 30) if classes else draw.normal(size=30)
        x, c = draw.normal(size=(30, numeric)), draw.integers(0, 50, (30, categorical))
        lines = [" ".join(map(repr, [a.item(), *b.tolist(), *d.tolist()])) for a, b, d in zip(y, x, c)]
        reader = DeepCrossReader(n_numeric=numeric, n_categorical=categorical, n_classes=classes, n_features=50)
        found = reader.read(lines)
        wrong += int((found["label"] != y).sum() + (found["numeric"] != x).sum() + (found["categorical"] != c).sum())
    for label, classes, fits in (
        ("2", 2, False),
        ("1", 2, True),
        ("3", 3, False),
        ("-1", 3, False),
        ("7.5", None, True),
    ):
        try:
            DeepCrossReader(n_numeric=0, n_categorical=1, n_classes=classes).read([f"{label} 0"])
        except ValueError:
            wrong += fits
        else:
            wrong += not fits
    return Check(wrong, 0, "differences", "arrays written")


@evidence(
    "din-sequence-reader",
    claim="The example line gives its nine parts; ten behaviors are cut to the first five, two are padded and masked",
    against="the example of the specification",
)
def din_example() -> Check:
    from fivefold.data.readers_lines import BehaviorSequenceReader

    start = "1 0:1 6:1 0:1 10:1 17:0.456127 0:1 14"
    found = BehaviorSequenceReader().read(
        [f"{start} 1 4 5 8 9", f"{start} 3 1 4 5 8 9 2 6 7 11", f"{start} 4 0", start.replace("1 ", "0 ", 1)]
    )
    expected: dict[str, Any] = {
        "label": [1, 1, 1, 0],
        "user_index": [[0, 6]] * 4,
        "user_value": [[1, 1]] * 4,
        "item_index": [[0, 10, 17]] * 4,
        "item_value": [[1, 1, 0.456127]] * 4,
        "context_index": [[0]] * 4,
        "context_value": [[1]] * 4,
        "candidate": [14] * 4,
        "behaviors": [[1, 4, 5, 8, 9], [3, 1, 4, 5, 8], [4, 0, 0, 0, 0], [0] * 5],
        "mask": [[True] * 5] * 2 + [[True] * 2 + [False] * 3, [False] * 5],
    }
    wrong = int(list(found) != list(expected))
    wrong += sum(found[name].tolist() != values for name, values in expected.items())
    wrong += sum(found[name].dtype != np.int64 for name in ("candidate", "behaviors", "user_index", "label"))
    return Check(wrong, 0, "arrays that differ", "specification")


@evidence(
    "din-sequence-reader",
    claim="Random lines of other group sizes round-trip; pooling with the mask is the mean of the behaviors there are",
    against="the arrays that were written",
)
def din_round_trip() -> Check:
    from fivefold.data.readers_lines import BehaviorSequenceReader

    draw = np.random.default_rng(0)
    sizes = {"user": 1, "item": 0, "context": 4}
    lines, truth, histories = [], [], []
    for _ in range(40):
        index, value = draw.integers(0, 99, 5), draw.normal(size=5)
        history = draw.integers(0, 20, draw.integers(1, 9))
        label = draw.normal()
        pairs = [f"{i}:{v!r}" for i, v in zip(index.tolist(), value.tolist())]
        lines.append("|".join([repr(float(label)), *pairs, "3", *map(str, history.tolist())]))
        truth.append((label, index, value))
        histories.append(history[:6])
    reader = BehaviorSequenceReader(n_user=1, n_item=0, n_context=4, behaviors_size=6, n_classes=None, separator="|")
    found = reader.read(lines)
    wrong = sum(found[f"{g}_index"].shape != (40, n) or found[f"{g}_value"].shape != (40, n) for g, n in sizes.items())
    index = np.hstack([found[f"{g}_index"] for g in sizes])
    value = np.hstack([found[f"{g}_value"] for g in sizes])
    for i, (label, a, b) in enumerate(truth):
        wrong += found["label"][i] != label or (index[i] != a).any() or (value[i] != b).any()
    table = draw.normal(size=20)
    pooled = (table[found["behaviors"]] * found["mask"]).sum(axis=1) / found["mask"].sum(axis=1)
    wrong += int(not np.abs(pooled - [table[h].mean() for h in histories]).max() <= 1e-12)
    return Check(wrong, 0, "differences", "arrays written")


@evidence(
    "dcn-tabular-reader",
    claim="A path or a sequence of strings is read, blank lines apart; numbers, sets and mixed lists are refused",
    against="the contract",
)
def lines_accepted() -> Check:
    from fivefold.base.errors import InputTypeError
    from fivefold.data.readers_lines import DeepCrossReader

    reader = DeepCrossReader(n_numeric=1, n_categorical=2)
    rows, wrong = ["1 0.5 3 4", "", "0 1.5 5 6", "  "], 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.txt"
        path.write_text("\n".join(rows), encoding="utf8")
        for source in (rows, tuple(rows), path, str(path)):
            found = reader.read(source)
            wrong += found["label"].tolist() != [1, 0] or found["categorical"].tolist() != [[3, 4], [5, 6]]
    one = DeepCrossReader(n_numeric=1, n_categorical=2, n_features=1, n_classes=2).read(["1 0.5 0 0"])
    wrong += one["categorical"].tolist() != [[0, 0]]
    for source in ([1, 2], [rows[0], 5], {rows[0]}, 4, None, iter(rows)):
        try:
            reader.read(source)
            wrong += 1
        except InputTypeError as error:
            wrong += type(source).__name__ not in str(error)
    return Check(wrong, 0, "violations", "the contract")
