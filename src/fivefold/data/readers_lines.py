"""Readers of lines: images as CSV, Deep & Cross columns, and behavior sequences."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError, InputTypeError


def read_lines(source: Any) -> tuple[list[str], str]:
    """Return the lines of a text file (or of a sequence of lines) that are not blank, and a name for messages.

    Raises
    ------
    DataError
        For a file that is not there, not text in UTF-8, or empty.
    InputTypeError
        For anything but a path or a sequence of strings.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        try:
            raw = path.read_bytes()
            text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
        except (OSError, EOFError) as error:
            raise DataError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not text in UTF-8; convert it first.") from error
        lines, name = text.splitlines(), str(path)
    elif isinstance(source, Sequence) and all(isinstance(line, str) for line in source):
        lines, name = list(source), "the lines"
    else:
        raise InputTypeError(f"A path or a sequence of lines is expected; got {type(source).__name__}.")
    found = [line for line in lines if line.strip()]
    if not found:
        raise DataError(f"There is no line in {name}.")
    return found, name


def _numbers(rows: list[list[str]], what: str, name: str) -> np.ndarray:
    """Return fields (n, k) as finite float64."""
    try:
        values = np.array(rows, dtype=np.float64)
    except ValueError:
        for place, row in enumerate(rows):
            for field in row:
                try:
                    float(field)
                except ValueError as error:
                    raise DataError(f"Line {place + 1} of {name} has {field!r} as {what}; give a number.") from error
        raise
    bad = ~np.isfinite(values).reshape(len(rows), -1).all(axis=1)
    if bad.any():
        raise DataError(f"Line {int(bad.argmax()) + 1} of {name} has a {what} that is not finite.")
    return values


def _indices(values: np.ndarray, size: int | None, what: str, name: str) -> np.ndarray:
    """Return float values (n, …) as int64 indices from 0 to ``size`` - 1."""
    wrong = (values != np.floor(values)) | (values < 0) | (values >= (np.inf if size is None else size))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        limit = "" if size is None else f" to {size - 1}"
        raise DataError(
            f"Line {place[0] + 1} of {name} has the {what} {values[place]:g}; give whole numbers from 0{limit}."
        )
    return values.astype(np.int64)


def _labels(values: np.ndarray, classes: int | None, name: str) -> np.ndarray:
    return values if classes is None else _indices(values, classes, "label", name)


class ImageCSVReader:
    """Read images from CSV rows: the label first, then the pixels row by row (channel last).

    Parameters
    ----------
    shape : (height, width, channels), optional
        By default a square gray image.
    scale : bool, default True
        Divide the pixels by 255; else they stay 0 … 255.
    header : bool, optional
        Whether the first line names the columns, as in the public Fashion-MNIST files; found out by default.
    channels_last : bool, default False
        Return (n, h, w, c) in place of (n, c, h, w).

    Returns
    -------
    read : dict with ``x``, float32 of shape (n, c, h, w), and ``y``, int64 of shape (n,)

    Raises
    ------
    DataError
        For a label that is no whole number >= 0, a pixel outside 0 … 255 and a number of columns that fits no image.

    Notes
    -----
    A source's figure shows a pixel of 684, which no image of 8 bits holds: such a row is refused.

    References
    ----------
    Spec ``02#image-csv-input``.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, int, int] | None = None,
        scale: bool = True,
        header: bool | None = None,
        channels_last: bool = False,
    ) -> None:
        if shape is not None and (len(shape) != 3 or any(side < 1 for side in shape)):
            raise InputError(f"shape must be (height, width, channels), each >= 1; got {shape!r}.")
        self.shape = shape
        self.scale = scale
        self.header = header
        self.channels_last = channels_last

    def read(self, source: Any) -> dict[str, np.ndarray]:
        """Read a path (also compressed) or a table whose first column is the label."""
        from .readers import read_table

        frame = read_table(source, header=self.header)
        name = str(source) if isinstance(source, (str, os.PathLike)) else "the table"
        lost = [c for c in frame.columns if not frame[c].dtype.is_numeric() or frame[c].null_count()]
        if lost:
            raise DataError(f"The column {lost[0]!r} of {name} holds a value that is no number; labels and pixels are.")
        values = frame.to_numpy().astype(np.float64)
        y = _indices(values[:, 0], None, "label", name)
        pixels = values[:, 1:]
        wrong = ~((pixels >= 0) & (pixels <= 255))
        if wrong.any():
            row, column = (int(i) for i in np.argwhere(wrong)[0])
            raise DataError(
                f"Row {row + 1} of {name} has the pixel {pixels[row, column]:g}; give values from 0 to 255."
            )
        side = round(pixels.shape[1] ** 0.5)
        height, width, channels = self.shape if self.shape is not None else (side, side, 1)
        if height * width * channels != pixels.shape[1]:
            wanted = "a square gray image" if self.shape is None else f"{height} x {width} x {channels}"
            raise DataError(f"{name} has {pixels.shape[1]} pixels a row, which is not {wanted}; give shape.")
        x = pixels.reshape(-1, height, width, channels).astype(np.float32)
        if self.scale:
            x /= np.float32(255)
        return {"x": x if self.channels_last else np.ascontiguousarray(x.transpose(0, 3, 1, 2)), "y": y}


class DeepCrossReader:
    """Read lines ``label, numeric values, categorical indices``, all fields separated by one mark.

    Parameters
    ----------
    n_numeric : int >= 0, default 13
        Numeric values of a line.
    n_categorical : int >= 0, default 26
        Indices of a line, one a field, all in one joint space; each stands for a 1 of a one-hot vector.
    n_features : int >= 1, optional
        Size of the joint space; indices are then checked against it.
    n_classes : int >= 2 or None, default 2
        Labels are 0 … n_classes - 1; None for a real target.
    separator : str, optional
        By default any run of blanks.

    Returns
    -------
    read : dict with ``label`` (n,), ``numeric`` float64 (n, n_numeric), ``categorical`` int64 (n, n_categorical)

    Raises
    ------
    DataError
        For a line with another number of fields, and values of the wrong kind; the line is named.

    Notes
    -----
    One source says that labels of K classes lie in {0, K}; they are 0 … K - 1.

    References
    ----------
    Spec ``04#dcn-input``; Wang et al. 2017, "Deep & cross network for ad click predictions".
    """

    def __init__(
        self,
        *,
        n_numeric: int = 13,
        n_categorical: int = 26,
        n_features: int | None = None,
        n_classes: int | None = 2,
        separator: str | None = None,
    ) -> None:
        self.n_numeric = check_count("n_numeric", n_numeric, 0)
        self.n_categorical = check_count("n_categorical", n_categorical, 0)
        self.n_features = None if n_features is None else check_count("n_features", n_features)
        self.n_classes = None if n_classes is None else check_count("n_classes", n_classes, 2)
        self.separator = separator

    def read(self, source: Any) -> dict[str, np.ndarray]:
        """Read a path (also gzip) or a sequence of lines."""
        lines, name = read_lines(source)
        rows = [line.strip().split(self.separator) for line in lines]
        width = 1 + self.n_numeric + self.n_categorical
        for place, row in enumerate(rows):
            if len(row) != width:
                raise DataError(
                    f"Line {place + 1} of {name} has {len(row)} fields; a label, {self.n_numeric} numeric values and "
                    f"{self.n_categorical} indices are {width}."
                )
        split = 1 + self.n_numeric
        values = _numbers(rows, "field", name)
        return {
            "label": _labels(values[:, 0], self.n_classes, name),
            "numeric": values[:, 1:split],
            "categorical": _indices(values[:, split:], self.n_features, "index", name),
        }

    def one_hot(self, categorical: Any) -> scipy.sparse.csr_matrix:
        """Return the indices (n, n_categorical) as rows of ``n_features`` columns with a 1 for each index."""
        codes = np.asarray(categorical)
        if self.n_features is None:
            raise InputError("one_hot needs the size of the joint space; give n_features.")
        n, k = codes.shape
        return scipy.sparse.csr_matrix(
            (np.ones(n * k), codes.reshape(-1), np.arange(0, n * k + 1, k)), shape=(n, self.n_features)
        )


class BehaviorSequenceReader:
    """Read lines ``label, user, item and context pairs index:value, candidate, behaviors``.

    Parameters
    ----------
    n_user, n_item, n_context : int >= 0, default 2, 3 and 1
        Pairs of each group; every group has an index space of its own.
    behaviors_size : int >= 1, default 5
        Behaviors that are kept, from the left; shorter histories are padded with index 0 and mask False.
    n_classes : int >= 2 or None, default 2
        Labels are 0 … n_classes - 1; None for a real target.
    separator : str, optional
        By default any run of blanks.

    Returns
    -------
    read : dict
        ``label`` (n,); ``user_index``, ``user_value``, ``item_index``, ``item_value``, ``context_index``, ``context_value``
        of shape (n, pairs of the group); ``candidate`` (n,); ``behaviors`` and ``mask`` of shape (n, behaviors_size).
        Candidate and behaviors share one index space.

    Raises
    ------
    DataError
        For a line with too few fields, pairs that are none, and indices that are no whole numbers >= 0; the line is named.

    Notes
    -----
    The format as described fails for histories shorter than ``behaviors_size``; the padding and its mask mend that.

    References
    ----------
    Spec ``04#din-input``; Zhou et al. 2018, "Deep interest network for click-through rate prediction".
    """

    def __init__(
        self,
        *,
        n_user: int = 2,
        n_item: int = 3,
        n_context: int = 1,
        behaviors_size: int = 5,
        n_classes: int | None = 2,
        separator: str | None = None,
    ) -> None:
        self.groups = {
            "user": check_count("n_user", n_user, 0),
            "item": check_count("n_item", n_item, 0),
            "context": check_count("n_context", n_context, 0),
        }
        self.behaviors_size = check_count("behaviors_size", behaviors_size)
        self.n_classes = None if n_classes is None else check_count("n_classes", n_classes, 2)
        self.separator = separator

    def read(self, source: Any) -> dict[str, np.ndarray]:
        """Read a path (also gzip) or a sequence of lines."""
        lines, name = read_lines(source)
        rows = [line.strip().split(self.separator) for line in lines]
        pairs = sum(self.groups.values())
        for place, row in enumerate(rows):
            if len(row) < pairs + 2:
                raise DataError(
                    f"Line {place + 1} of {name} has {len(row)} fields; a label, {pairs} pairs and a candidate are {pairs + 2}."
                )
            for field in row[1 : 1 + pairs]:
                if field.count(":") != 1:
                    raise DataError(f"Line {place + 1} of {name} has {field!r} where a pair index:value is expected.")
        label = _labels(_numbers([row[:1] for row in rows], "label", name)[:, 0], self.n_classes, name)
        out = {"label": label}
        first = 1
        for group, size in self.groups.items():
            fields = [[part for pair in row[first : first + size] for part in pair.split(":")] for row in rows]
            values = _numbers(fields, f"{group} pair", name).reshape(len(rows), size, 2)
            out[f"{group}_index"] = _indices(values[:, :, 0], None, f"{group} index", name)
            out[f"{group}_value"] = values[:, :, 1]
            first += size
        history = [row[first + 1 : first + 1 + self.behaviors_size] for row in rows]
        length = np.array([len(row) for row in history])
        mask = np.arange(self.behaviors_size) < length[:, None]
        padded = [row + ["0"] * (self.behaviors_size - len(row)) for row in history]
        candidate = _numbers([row[first : first + 1] for row in rows], "candidate", name)[:, 0]
        out["candidate"] = _indices(candidate, None, "candidate", name)
        out["behaviors"] = _indices(_numbers(padded, "behavior", name), None, "behavior", name)
        out["mask"] = mask
        return out
