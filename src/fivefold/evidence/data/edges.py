"""Edges that few tables reach: text cut at the reader's first look, chances of zero, codes of pooled categories."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "one-hot-encoder",
    claim="Codes of pooled and missing categories turn back into <other>, NaN or None by the type of the column",
    against="small columns by hand",
)
def ordinal_way_back() -> Check:
    from fivefold.data.encoders import OTHER, OrdinalEncoder

    nan = float("nan")
    numbers = np.array([[3.0], [3.0], [5.0], [5.0], [7.0], [nan]])
    pooled = OrdinalEncoder(min_frequency=2, handle_unknown="other").fit(numbers)
    back = pooled.inverse_transform(pooled.transform(numbers))
    wrong = back.dtype != object or back[:5, 0].tolist() != [3.0, 3.0, 5.0, 5.0, OTHER]
    plain = OrdinalEncoder().fit(numbers)
    back = plain.inverse_transform(plain.transform(numbers))
    wrong += back.dtype != np.float64 or not np.array_equal(back, numbers, equal_nan=True)
    words = np.array([["a"], ["b"], [None]], dtype=object)
    text = OrdinalEncoder().fit(words)
    back = text.inverse_transform(text.transform(words))
    wrong += back.dtype != object or back.tolist() != words.tolist()
    return Check(int(wrong), 0, "columns that differ", "by hand")


@evidence(
    "one-hot-encoder",
    claim="A pandas table keeps the types of its columns, integers beside words; a pandas series is not a table",
    against="categories by hand",
    peer="pandas",
)
def pandas_columns() -> Check:
    import pandas as pd

    from fivefold.data.encoders import OneHotEncoder

    table = pd.DataFrame({"n": [2, 10, 2], "x": [0.5, 0.25, 0.5], "w": ["b", "a", None], "t": [True, False, True]})
    found = OneHotEncoder().fit(table).categories_
    wrong = [c.tolist() for c in found] != [[2, 10], [0.25, 0.5], ["a", "b", None], [False, True]]
    wrong += [c.dtype.kind for c in found[:2]] != ["i", "f"]
    try:
        OneHotEncoder().fit(table["n"])
        wrong += 1
    except ValueError as error:
        wrong += "2-dimensional" not in str(error) and "2D" not in str(error)
    return Check(int(wrong), 0, "columns that differ", "by hand")


@evidence(
    "data-ingestion",
    claim="The line at which the first look ends does not count as a line of its own: it is cut",
    against="a table whose cut line speaks for another separator",
)
def cut_line_does_not_count() -> Check:
    from fivefold.data import readers_csv

    # No field is longer than csv takes, 131,072 letters, whichever separator cuts.
    second = ("u" * 130_000, "w" * 500 + "," + "v" * 130_300, "4")
    names, rows = ["a", "b" * 2000 + ", c", "d"], [("1", "x, y", "2"), second]
    text = "\n".join(";".join(cells) for cells in [names, *rows]).encode()
    wrong = 0
    for mark in (b"", b"\xef\xbb\xbf"):
        frame, dialect = readers_csv.read_csv(mark + text, "t.csv")
        wrong += dialect.separator != ";" or frame.columns != names
        wrong += [tuple(map(str, row)) for row in frame.rows()] != rows
        # One byte short of the look: the last line has no end, but is whole and tells the separator.
        half = b"x" * 65_000 + b"," + b"y" * 65_000
        line = b"\n" + half + b";" + half
        short = mark + b"p;q," + b"r" * (readers_csv.HEAD - 5 - len(mark) - len(line)) + line
        frame, dialect = readers_csv.read_csv(short, "t.csv")
        wrong += len(short) != readers_csv.HEAD - 1 or dialect.separator != ";" or frame.width != 2
    return Check(int(wrong), 0, "tables read otherwise", "by hand")


class _Fixed:
    """A stream whose chances all come out as ``draw`` and whose ranges at one ``end``: -1, 0 or 1."""

    def __init__(self, draw: float, end: float = 0.0) -> None:
        self.draw, self.end = draw, end

    def uniform(self, low: float, high: float, shape: Any) -> np.ndarray:
        return np.full(shape, (low + high + self.end * (high - low)) / 2)

    def random(self, shape: Any) -> np.ndarray:
        return np.full(shape, self.draw)

    def as_streams(self) -> Any:
        from fivefold.base.random import Streams

        return patch.object(Streams, "numpy", lambda *_: self)


_EXTREMES = (0.0, 1.0 - 2.0**-53)


@evidence(
    "image-augmentation",
    claim="A chance of zero never mirrors, a chance of one always does; the ends of a draw give the ends of every range",
    against="the least and the greatest draw there can be",
)
def certain_mirrors() -> Check:
    from fivefold.data.image_augmentation import ImageAugmentation, center_matrices

    X, wrong = np.arange(12.0).reshape(1, 1, 3, 4), 0
    for across, down, expected in ((0.0, 0.0, X), (1.0, 0.0, X[..., ::-1]), (0.0, 1.0, X[..., ::-1, :])):
        model = ImageAugmentation(rotation=0, translation=0, flip_horizontal=across, flip_vertical=down).fit(X)
        for draw in _EXTREMES:
            with _Fixed(draw).as_streams():
                wrong += not np.allclose(model.transform(X), expected, rtol=0, atol=1e-9)
    ranges = {"rotation": 20, "shear": 10, "zoom": 0.2, "translation": 0.1}
    model = ImageAugmentation(**ranges, flip_horizontal=0, flip_vertical=0).fit(X)
    for end in (-1.0, 1.0):
        expected = center_matrices(
            (3, 4),
            angle=np.array([end * 20]),
            shear=np.array([end * 10]),
            scale=np.array([1 + end * 0.2]),
            shift=np.array([[end * 0.4, end * 0.3]]),
            flip=np.array([[False, False]]),
        )
        with _Fixed(0.5, end).as_streams():
            wrong += not np.allclose(model.matrices(1), expected, rtol=0, atol=1e-9)
    return Check(int(wrong), 0, "images that differ", "the extreme draws")


@evidence(
    "bbox-augmentation",
    claim="A chance of zero never mirrors or turns, a chance of one always does, by the angle drawn",
    against="the least and the greatest draw there can be",
)
def certain_turns() -> Check:
    from fivefold.data.image_augmentation import BoxAugmentation, center_matrices

    wrong = 0
    for turn, across, down in ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        model = BoxAugmentation(
            rotation=20, rotation_chance=turn, flip_horizontal=across, flip_vertical=down, scale=1.5
        )
        for draw in _EXTREMES:
            for end in (-1.0, 1.0):
                expected = center_matrices(
                    (3, 4),
                    angle=np.array([turn * end * 20]),
                    shear=np.zeros(1),
                    scale=np.array([1.5]),
                    shift=np.zeros((1, 2)),
                    flip=np.array([[across == 1, down == 1]]),
                )
                with _Fixed(draw, end).as_streams():
                    wrong += not np.allclose(model.matrices(1, (3, 4)), expected, rtol=0, atol=1e-9)
    return Check(int(wrong), 0, "maps that differ", "the extreme draws")


@evidence(
    "image-preprocessing",
    claim="Images of two channels have their mean as brightness: contrast and saturation move pixels from it",
    against="the formula",
)
def two_channels() -> Check:
    from fivefold.data.image_preprocessing import ImagePreprocessing

    X = np.random.default_rng(5).uniform(0.3, 0.6, (2, 2, 3, 4))
    own = X.mean(axis=1, keepdims=True)
    middle = own.mean(axis=(2, 3), keepdims=True)
    worst = 0.0
    for name, center in (("contrast", middle), ("saturation", own)):
        found = ImagePreprocessing(normalize=False, **{name: 0.5}).fit_transform(X)
        worst = largest(worst, float(np.abs(found - (center + 0.5 * (X - center))).max()))
    return Check(worst, 1e-14, "largest difference", "the formula")
