"""Readers of binary and structured files: Parquet, Arrow, JSON, libsvm and NumPy."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError

from .readers_csv import refuse_duplicates

MOST_DENSE = 100_000_000  # cells of a sparse table that may be spread out


def _open(source: Path | bytes) -> Any:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def read_parquet(source: Path | bytes, label: str) -> pl.DataFrame:
    """Read Parquet; a truncated or damaged file is one sentence."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    _refuse_empty(source, label)
    try:
        names = pq.ParquetFile(_open(source)).schema_arrow.names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{label} is not a readable Parquet file: it is truncated or damaged ({_brief(error)})."
        ) from error
    refuse_duplicates(names, label)
    try:
        return pl.read_parquet(_open(source))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{label} is not a readable Parquet file: a part of it is damaged ({_brief(error)})."
        ) from error


def read_arrow(source: Path | bytes, label: str) -> pl.DataFrame:
    """Read an Arrow IPC file (Feather 2) or stream."""
    import pyarrow as pa

    _refuse_empty(source, label)
    try:
        with pa.BufferReader(source) if isinstance(source, bytes) else pa.memory_map(str(source)) as reader:
            magic = reader.read(6)
            reader.seek(0)
            opened = pa.ipc.open_file(reader) if magic == b"ARROW1" else pa.ipc.open_stream(reader)
            table = opened.read_all()
            return from_arrow(table, label)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{label} is not a readable Arrow file: it is truncated or damaged ({_brief(error)})."
        ) from error


def from_arrow(table: Any, label: str) -> pl.DataFrame:
    """Return an Arrow table as a frame, after checking that its column names differ."""
    refuse_duplicates(list(table.schema.names), label)
    frame = pl.from_arrow(table)
    return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()


def read_json(source: Path | bytes, label: str) -> pl.DataFrame:
    """Read an array of records, a record of columns, or JSON lines, whichever the text is."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    text = _decode(data, label)
    start = text.lstrip()[:1]
    if not start:
        raise DataError(f"{label} is empty; give an array of records or one record a line.")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if start == "{" and "Extra data" in error.msg:
            return read_jsonl(data, label)
        raise DataError(f"{label} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    if isinstance(value, dict):
        lists = [v for v in value.values() if isinstance(v, list)]
        if not lists:
            return _records([value], label)
        nested = [v for v in lists if v and all(isinstance(row, dict) for row in v)]
        if len(nested) == 1 and len(lists) == 1:
            return _records(nested[0], label)  # an envelope such as {"count": 2, "results": [...]}
        if len(lists) == len(value) and len({len(v) for v in lists}) == 1:
            return _records([dict(zip(value, row)) for row in zip(*value.values())], label)
        raise DataError(f"{label} holds one JSON object; a table is an array of records, or columns of equal length.")
    if not isinstance(value, list):
        raise DataError(f"{label} holds a single JSON value; a table is an array of records such as [{{'a': 1}}].")
    return _records(value, label)


def read_jsonl(source: Path | bytes, label: str) -> pl.DataFrame:
    """Read one JSON record a line; a bad line is named by its number."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    if not data.strip():
        raise DataError(f"{label} is empty; give one JSON record a line.")
    try:
        return _flat(pl.read_ndjson(io.BytesIO(data), infer_schema_length=None), label)
    except pl.exceptions.PolarsError:
        records: list[Any] = []
        for number, line in enumerate(_decode(data, label).split("\n"), start=1):
            if not line.strip():
                continue
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{label} is not JSON in line {number}: {error.msg} at column {error.colno}."
                ) from error
            if not isinstance(records[-1], dict):
                raise DataError(
                    f"{label} holds no record in line {number}; each line is one such as {{'a': 1}}."
                ) from None
        return _records(records, label)


def _decode(data: bytes, label: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{label} is not UTF-8 in line {line}, as JSON must be ({error.reason}).") from error


def _records(records: list[Any], label: str) -> pl.DataFrame:
    if not records:
        raise DataError(f"{label} holds no records; give a table with at least one row.")
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise DataError(
                f"{label} holds {type(record).__name__} as record {number}; records are objects such as {{'a': 1}}."
            )
    try:
        frame = pl.from_dicts(records, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, OverflowError):
        # Columns whose records disagree about the type, a number here and a word there, become strings.
        names = dict.fromkeys(name for record in records for name in record)
        frame = pl.DataFrame([_mixed(name, [record.get(name) for record in records]) for name in names])
    return _flat(frame, label)


def _mixed(name: str, values: list[Any]) -> pl.Series:
    try:
        return pl.Series(name, values)
    except (pl.exceptions.PolarsError, TypeError, OverflowError):
        words = [v if isinstance(v, str) or v is None else json.dumps(v, ensure_ascii=False) for v in values]
        return pl.Series(name, words, dtype=pl.String)


def _flat(frame: pl.DataFrame, label: str) -> pl.DataFrame:
    """Spread nested records over columns named with a dot: {"a": {"b": 1}} -> column "a.b"."""
    while any(isinstance(dtype, pl.Struct) for dtype in frame.dtypes):
        columns: list[pl.Series] = []
        for values in frame.get_columns():
            if isinstance(values.dtype, pl.Struct):
                columns += [part.alias(f"{values.name}.{part.name}") for part in values.struct.unnest().get_columns()]
            else:
                columns.append(values)
        refuse_duplicates([column.name for column in columns], label)
        frame = pl.DataFrame(columns)
    return frame


_SVM_LINE = re.compile(rb"^\s*[^\s:]+(?:\s+qid:\d+)?(?:\s+\d+:[^\s:]+)*\s*(?:#.*)?$")


def looks_like_libsvm(head: bytes) -> bool:
    """Whether the first lines are ``label index:value ...``."""
    lines = [line for line in head.split(b"\n")[:20] if line.strip()][:10]
    pairs = [len(re.findall(rb"\s\d+:", line)) for line in lines]
    return bool(lines) and sum(pairs) >= len(lines) and all(_SVM_LINE.match(line) for line in lines)


def read_libsvm(source: Path | bytes, label: str) -> pl.DataFrame:
    """Read ``label index:value ...`` lines: column "label", then "x<index>" by the indices of the file; absent values are 0."""
    from sklearn.datasets import load_svmlight_file

    data = source if isinstance(source, bytes) else source.read_bytes()
    if not data.strip():
        raise DataError(f"{label} is empty; give lines such as '1 3:0.5 7:1'.")
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip() and not line.lstrip().startswith(b"#") and not _SVM_LINE.match(line):
            shown = line.strip()[:60].decode("utf8", errors="replace")
            raise DataError(
                f"{label} is not in libsvm format in line {number}: {shown!r}; lines are like '1 3:0.5 7:1'."
            )
    ranked = b"qid:" in data
    try:
        parts = load_svmlight_file(io.BytesIO(data), zero_based=True, query_id=ranked)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{label} cannot be read as libsvm: {_brief(error)}.") from error
    matrix, y = parts[0], parts[1]
    first = 0 if matrix[:, :1].nnz else 1  # indices begin with 1 unless a 0 occurs
    columns = {f"x{index}": matrix for index in range(first, matrix.shape[1])}
    if matrix.shape[0] * len(columns) > MOST_DENSE:
        raise DataError(
            f"{label} has {matrix.shape[0]:,} rows and {len(columns):,} sparse columns, too many to spread out as a table; "
            "hash or select columns first."
        )
    dense = np.asarray(matrix.toarray()[:, first:])
    frame = from_numpy(dense, [f"x{index}" for index in range(first, matrix.shape[1])])
    extra = [pl.Series("label", y)] + ([pl.Series("qid", parts[2])] if ranked else [])
    return pl.DataFrame(extra).hstack(frame)


def read_numpy(source: Path | bytes, label: str) -> pl.DataFrame:
    """Read .npy and .npz without ever unpickling; an .npz gives one column or block of columns an array."""
    _refuse_empty(source, label)
    try:
        loaded = np.load(_open(source), allow_pickle=False)
        arrays = {name: loaded[name] for name in loaded.files} if hasattr(loaded, "files") else {"": loaded}
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise DataError(f"{label} is not a readable NumPy file: {_brief(error)}.") from error
    if len(arrays) == 1:
        return from_numpy(next(iter(arrays.values())))
    frames = [from_numpy(a, None, prefix=name) for name, a in arrays.items()]
    if len({frame.height for frame in frames}) > 1:
        sizes = ", ".join(f"{name}: {frame.height}" for name, frame in zip(arrays, frames))
        raise DataError(f"{label} holds arrays of different lengths ({sizes}); a table needs equal ones.")
    return pl.concat(frames, how="horizontal")


def from_numpy(array: np.ndarray, names: list[str] | None = None, *, prefix: str = "column") -> pl.DataFrame:
    """Return a 1-D, 2-D or structured array as a frame."""
    if array.dtype.names:
        return pl.DataFrame({name: np.ascontiguousarray(array[name]) for name in array.dtype.names})
    if array.ndim == 1:
        return pl.DataFrame({(names or [prefix if prefix != "column" else "column_1"])[0]: array})
    if array.ndim != 2:
        raise DataError(f"An array of shape {array.shape} is not a table; give shape (rows, columns).")
    if array.dtype == object:
        rows = [[None if value != value else value for value in column] for column in array.T]
        return pl.DataFrame([_mixed(f"{prefix}_{i + 1}", column) for i, column in enumerate(rows)])
    labels = names or [f"{prefix}_{i + 1}" for i in range(array.shape[1])]
    block = np.asfortranarray(array)
    return pl.DataFrame({name: block[:, i] for i, name in enumerate(labels)})


def _refuse_empty(source: Path | bytes, label: str) -> None:
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size == 0:
        raise DataError(f"{label} is empty; give a table with at least one row.")


def _brief(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
