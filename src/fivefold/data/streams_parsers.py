"""Parsers of text records: multi-field sparse ``index:value`` lines and images in CSV. Whole blocks at once, no line loop."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError, InputError


def _clean(block: bytes | str) -> bytes:
    text = block.encode("utf8") if isinstance(block, str) else block
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    return text if text.endswith(b"\n") or not text else text + b"\n"


def _drop_blank(text: bytes) -> tuple[bytes, np.ndarray]:
    """Return the text without blank lines, and the number (from 0) that each remaining line had."""
    data = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(data == 10)
    full = np.diff(ends, prepend=-1) > 1
    if not full.all():
        text = re.sub(rb"\n{2,}", b"\n", text).lstrip(b"\n")
    return text, np.flatnonzero(full)


def parse_ctr_lines(
    block: bytes | str,
    first_line: int = 1,
    *,
    field_size: int,
    delimiter: str = " ",
    separator: str = ":",
    dtype: Any = np.float32,
) -> dict[str, np.ndarray]:
    """Parse lines ``<label> <index>:<value> … <index>:<value>`` with one active feature in each of ``field_size`` fields.

    Parameters
    ----------
    block : bytes or str
        Whole lines; blank ones are passed over, blanks at line ends ignored.
    first_line : int, default 1
        Number of the first line, for messages.
    field_size : int >= 1
        Pairs on every line, their fields in a fixed order.
    delimiter : str of one character, default " "
        Between pairs: " " in text files, "," in CSV.
    separator : str of one character, default ":"
        Between index and value.
    dtype : floating type, default numpy.float32

    Returns
    -------
    dict
        ``inds`` int32 (n, field_size), ``vals`` (n, field_size) and ``y`` (n,): {0, 1} or any real number.

    Raises
    ------
    DataError
        For a line with another number of pairs, an empty field, or something that is no number; the message names the line.

    Notes
    -----
    The label column must be there in files to predict, too. The source uses one flag both for the bytes of the reader and
    for the rows of the shuffle buffer; here they are ``block_bytes`` of the source and ``buffer_rows`` of the batches.

    References
    ----------
    Spec ``04#ctr-libsvm-input``.
    """
    if field_size < 1:
        raise InputError(f"field_size must be at least 1, got {field_size}.")
    if len(delimiter) != 1 or len(separator) != 1 or delimiter == separator:
        raise InputError(
            f"delimiter and separator must be two different characters; got {delimiter!r} and {separator!r}."
        )
    text, lines = _drop_blank(_clean(block))
    if b" \n" in text or b"\t\n" in text:
        text = re.sub(rb"[ \t]+\n", b"\n", text)
    _check_structure(text, lines + first_line, field_size, delimiter, separator)
    if not len(lines):
        return {
            "inds": np.zeros((0, field_size), np.int32),
            "vals": np.zeros((0, field_size), dtype),
            "y": np.zeros(0, dtype),
        }
    kinds: dict[str, Any] = {"label": pl.Float64}
    for field in range(field_size):
        kinds[f"index {field}"] = pl.Int32
        kinds[f"value {field}"] = pl.Float64
    frame = _numbers(text.replace(separator.encode(), delimiter.encode()), kinds, delimiter, lines + first_line)
    inds = np.stack([frame[f"index {f}"].to_numpy() for f in range(field_size)], axis=1)
    vals = np.stack([frame[f"value {f}"].to_numpy() for f in range(field_size)], axis=1).astype(dtype)
    if (inds < 0).any():
        row = int(np.flatnonzero((inds < 0).any(axis=1))[0])
        raise DataError(f"line {lines[row] + first_line} has a negative index; indices start at 0.")
    return {"inds": inds, "vals": vals, "y": frame["label"].to_numpy().astype(dtype)}


def _check_structure(text: bytes, numbers: np.ndarray, field_size: int, delimiter: str, separator: str) -> None:
    data = np.frombuffer(text, dtype=np.uint8)
    d, s = ord(delimiter), ord(separator)
    marks = data[(data == d) | (data == s) | (data == 10)]
    pattern = np.array([d, s] * field_size + [10], dtype=np.uint8)
    if len(marks) == len(pattern) * len(numbers) and (marks.reshape(-1, len(pattern)) == pattern).all():
        return
    ends = np.flatnonzero(marks == 10)
    lengths = np.diff(ends, prepend=-1)
    wrong = lengths != len(pattern)
    # Up to the first line of wrong length all lines align with the pattern; one of them may still differ in kind.
    sound = int(np.argmax(wrong)) if wrong.any() else len(ends)
    differs = (marks[: sound * len(pattern)].reshape(-1, len(pattern)) != pattern).any(axis=1)
    row = int(np.argmax(differs)) if differs.any() else sound
    line = text.split(b"\n")[row].decode("utf8", "replace")
    pairs = line.count(separator)
    raise DataError(
        f"line {numbers[row]} has {pairs} pairs where {field_size} are expected, or is not of the form "
        f"<label>{delimiter}<index>{separator}<value>{delimiter}…: {line[:80]!r}."
    )


def _numbers(text: bytes, kinds: dict[str, Any], delimiter: str, numbers: np.ndarray) -> pl.DataFrame:
    """Read lines of numbers whose structure is known to be right; a bad or missing number is named with its line."""
    options: dict[str, Any] = {"separator": delimiter, "has_header": False, "quote_char": None}
    try:
        frame = pl.read_csv(io.BytesIO(text), schema=kinds, **options)
    except pl.exceptions.PolarsError:
        frame = pl.read_csv(io.BytesIO(text), schema=kinds, ignore_errors=True, **options)
    missing = frame.select(pl.any_horizontal(pl.all().is_null())).to_series()
    if missing.any():
        row = int(missing.arg_max() or 0)
        column = next(c for c in frame.columns if frame[c][row] is None)
        value = text.split(b"\n")[row].decode("utf8", "replace").split(delimiter)[frame.columns.index(column)]
        raise DataError(f"line {numbers[row]} has {value!r} as {column}, which is no number of that type.")
    return frame


def parse_image_csv(
    block: bytes | str,
    first_line: int = 1,
    *,
    shape: Sequence[int] = (28, 28, 1),
    delimiter: str = ",",
    header: bool | None = None,
    scale: float = 1.0,
) -> dict[str, np.ndarray]:
    """Parse lines ``<label>,<pixel>,…,<pixel>``, one image a line.

    Parameters
    ----------
    block : bytes or str
        Whole lines.
    first_line : int, default 1
        Number of the first line, for messages.
    shape : sequence of int, default (28, 28, 1)
        Height, width and channels in the order of the pixels.
    delimiter : str of one character, default ","
    header : bool, optional
        The first line of the file names the columns; default: it does when its first value is no number.
    scale : float, default 1.0
        Divides the pixels; 255 brings bytes into [0, 1].

    Returns
    -------
    dict
        ``x`` float32 (n, *shape) and ``y`` int64 (n,).

    Raises
    ------
    DataError
        For a line with another number of pixels, or something that is no number; the message names the line.

    Notes
    -----
    The source says MNIST but reads Fashion-MNIST, whose public files have a header that its reader would take for numbers,
    and it does not scale the pixels.

    References
    ----------
    Spec ``02#image-csv-input``.
    """
    pixels = int(np.prod(shape))
    text, lines = _drop_blank(_clean(block))
    if header is None:
        header = bool(len(lines)) and first_line == 1 and not _is_number(text[: text.find(b"\n")], delimiter)
    if header and first_line == 1:
        text, lines = text[text.find(b"\n") + 1 :], lines[1:]
    data = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(data == 10)
    found = np.diff(np.searchsorted(np.flatnonzero(data == ord(delimiter)), ends), prepend=0)
    if (found != pixels).any():
        row = int(np.argmax(found != pixels))
        raise DataError(
            f"line {lines[row] + first_line} has {found[row]} pixels after its label where {pixels} are expected for images of "
            f"shape {tuple(shape)}."
        )
    if not len(lines):
        return {"x": np.zeros((0, *shape), np.float32), "y": np.zeros(0, np.int64)}
    kinds = {"label": pl.Int64, **{f"pixel {k}": pl.Float32 for k in range(pixels)}}
    frame = _numbers(text, kinds, delimiter, lines + first_line)
    x = frame.drop("label").to_numpy() / np.float32(scale)
    return {"x": np.ascontiguousarray(x).reshape(-1, *shape), "y": frame["label"].to_numpy()}


def _is_number(line: bytes, delimiter: str) -> bool:
    first = line.decode("utf8", "replace").split(delimiter)[0].strip().strip('"')
    try:
        float(first)
    except ValueError:
        return False
    return True
