"""One door for tables: files, URLs, frames, arrays, databases and data sets become the same polars frame."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError, InputTypeError
from fivefold.base.names import nearest

from .download import file_url_path, gzip_errors, open_url, public_url
from .readers_csv import read_csv, refuse_duplicates
from .readers_files import (
    MOST_DENSE,
    from_arrow,
    from_numpy,
    looks_like_libsvm,
    read_arrow,
    read_json,
    read_jsonl,
    read_libsvm,
    read_numpy,
    read_parquet,
)
from .sql import read_sql

FORMATS: dict[str, tuple[str, ...]] = {
    "csv": (".csv", ".tsv", ".tab", ".txt", ".data", ".dat"),
    "parquet": (".parquet", ".pq"),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "arrow": (".arrow", ".feather", ".ipc"),
    "libsvm": (".libsvm", ".svm", ".svmlight"),
    "numpy": (".npy", ".npz"),
}
"""Formats, each with the endings that mean it; .gz, .zst, .bz2 and .xz may follow."""

COMPRESSED = (".gz", ".zst", ".bz2", ".xz")

_CONTENT_TYPES = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/json": "json",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow",
    "application/vnd.apache.arrow.stream": "arrow",
}


def read_table(
    source: Any = None,
    *,
    sql: tuple[str, str] | str | None = None,
    header: bool | None = None,
    separator: str | None = None,
    format: str | None = None,
) -> pl.DataFrame:
    """Read any table as a polars frame.

    Parameters
    ----------
    source : path, URL, name of a data set, frame, table, array or Dataset
        Files: CSV/TSV, Parquet (also a directory of them), JSON, JSON lines, Arrow/Feather, libsvm, .npy/.npz, compressed or
        not, by path or by http(s)/file URL. Objects: polars, pandas and Arrow tables, anything with an Arrow stream, NumPy
        arrays, SciPy sparse matrices, a mapping of columns, a sequence of records.
    sql : (url, query) or query, optional
        A database URL and a statement, see :func:`fivefold.data.sql.read_sql`; a statement alone asks the database whose URL
        is ``source``.
    header : bool, optional
        Whether the first line of delimited text names the columns; found out by default.
    separator : str, optional
        Its separator; found out by default.
    format : str, optional
        A key of :data:`FORMATS` for a file whose ending does not tell.

    Returns
    -------
    polars.DataFrame of shape (rows >= 1, columns >= 1)

    Raises
    ------
    DataError
        One sentence about what is wrong with the table and how to mend it.
    InputTypeError
        When ``source`` is no table.
    """
    return TableReader(header=header, separator=separator, format=format).read(source, sql=sql)


class TableReader:
    """Reader of tables from files, URLs, databases and objects.

    Parameters
    ----------
    header, separator, format
        As in :func:`read_table`.

    Attributes
    ----------
    notes : list of str
        How the last source was read, for people: "comma-separated, with header, UTF-8".
    """

    def __init__(self, *, header: bool | None = None, separator: str | None = None, format: str | None = None) -> None:
        if format is not None and format not in FORMATS:
            raise DataError(f"Unknown format {format!r}; formats are: {', '.join(FORMATS)}.")
        self.header = header
        self.separator = separator
        self.format = format
        self.notes: list[str] = []

    def read(self, source: Any = None, *, sql: tuple[str, str] | str | None = None) -> pl.DataFrame:
        """Return the table of ``source`` or of an SQL query; see :func:`read_table`."""
        self.notes = []
        if isinstance(sql, str) and isinstance(source, str):
            return read_sql(source, sql)
        if sql is not None:
            if source is not None:
                raise DataError("Give a source or an SQL query, not both.")
            if isinstance(sql, str) or len(sql) != 2:
                raise DataError("sql is a pair (url, query), for example ('sqlite:///shop.db', 'SELECT * FROM sales').")
            return read_sql(sql[0], sql[1])
        if isinstance(source, (str, os.PathLike)):
            frame = self._from_place(os.fspath(source))
            label = Path(os.fspath(source)).name or "The table"
        else:
            frame, label = self._from_object(source), "The table"
        if frame.width == 0 or frame.height == 0:
            raise DataError(f"{label} has {frame.height} rows and {frame.width} columns; give at least one of each.")
        return frame

    def _from_place(self, place: str) -> pl.DataFrame:
        if "://" in place:
            if urllib.parse.urlsplit(place).scheme.lower() == "file":
                return self._from_path(file_url_path(place))
            data, content_type = open_url(place)
            name = urllib.parse.unquote(urllib.parse.urlsplit(place).path)
            return self._parse(data, name, public_url(place), _CONTENT_TYPES.get(content_type))
        path = Path(place).expanduser()
        if path.exists():
            return self._from_path(path)
        return self._from_name(place)

    def _from_name(self, name: str) -> pl.DataFrame:
        """Read a data set by its name, for what is no file."""
        from .datasets import list_datasets, load_dataset

        if (
            any(name.lower().endswith(end) for ends in (*FORMATS.values(), COMPRESSED) for end in ends)
            or os.sep in name
        ):
            raise DataError(f"There is no file {name!r}; check the path (the current directory is {Path.cwd()}).")
        if name.lower().replace("_", "-") not in list_datasets():
            close = ", ".join(nearest(name, list_datasets()))
            raise DataError(f"{name!r} is neither a file nor a data set; the nearest data sets are: {close}.")
        return self._from_object(load_dataset(name))

    def _from_path(self, path: Path) -> pl.DataFrame:
        if not path.exists():
            raise DataError(f"There is no file {str(path)!r}; check the path.")
        if path.is_dir():
            parts = sorted(path.glob("*.parquet"))
            if not parts:
                raise DataError(f"{str(path)!r} is a directory without .parquet files; give a file.")
            frames = [read_parquet(part, part.name) for part in parts]
            try:
                return pl.concat(frames, how="vertical_relaxed")
            except pl.exceptions.PolarsError as error:
                raise DataError(f"The Parquet files in {str(path)!r} have different columns: {error}.") from error
        try:
            return self._parse(path, path.name, path.name, None)
        except PermissionError as error:
            raise DataError(f"{str(path)!r} may not be read: {error.strerror}.") from error

    def _parse(self, source: Path | bytes, name: str, label: str, guess: str | None) -> pl.DataFrame:
        lower = name.lower()
        source = _decompressed(source, lower, label)
        for end in COMPRESSED:
            lower = lower.removesuffix(end)
        ending = Path(lower).suffix
        kind = self.format or next((kind for kind, ends in FORMATS.items() if ending in ends), guess)
        if kind is None:
            known = ", ".join(end for ends in FORMATS.values() for end in ends)
            raise DataError(
                f"{label} has the unknown ending {ending or 'none'!r}; known are {known} (and {', '.join(COMPRESSED)} after "
                "them). Name its format with --format csv."
            )
        if kind == "csv":
            return self._delimited(source, ending, label)
        return {
            "parquet": read_parquet,
            "json": read_json,
            "jsonl": read_jsonl,
            "arrow": read_arrow,
            "libsvm": read_libsvm,
            "numpy": read_numpy,
        }[kind](source, label)

    def _delimited(self, source: Path | bytes, ending: str, label: str) -> pl.DataFrame:
        if ending in (".txt", ".data", ".dat") and self.format is None:
            head = source[: 1 << 16] if isinstance(source, bytes) else _first_bytes(source)
            if looks_like_libsvm(head.rpartition(b"\n")[0] or head):
                self.notes.append("libsvm: label index:value ...")
                return read_libsvm(source, label)
        separator = self.separator or ("\t" if ending in (".tsv", ".tab") else None)
        frame, dialect = read_csv(source, label, header=self.header, separator=separator)
        self.notes.append(dialect.describe())
        return frame

    def _from_object(self, source: Any) -> pl.DataFrame:
        from .datasets import Dataset

        kind = type(source)
        if isinstance(source, Dataset):
            if source.frame is None:
                raise DataError(f"The data set {source.name!r} holds {source.kind}, not a table; use its arrays.")
            return source.frame
        if isinstance(source, pl.DataFrame):
            return source
        if isinstance(source, pl.LazyFrame):
            return source.collect()
        if isinstance(source, pl.Series):
            return source.to_frame()
        if kind.__module__.partition(".")[0] == "pandas":
            return _from_pandas(source)
        if hasattr(source, "schema") and hasattr(source, "column_names"):
            return from_arrow(source, "The Arrow table")
        if hasattr(source, "__arrow_c_stream__"):
            return pl.DataFrame(source)
        if hasattr(source, "tocsr") and hasattr(source, "nnz"):
            if source.shape[0] * source.shape[1] > MOST_DENSE:
                raise DataError(f"A sparse matrix of shape {source.shape} is too large to spread out as a table.")
            return from_numpy(source.toarray())
        if isinstance(source, np.ndarray):
            return from_numpy(source)
        try:
            if isinstance(source, Mapping):
                return pl.DataFrame({str(name): values for name, values in source.items()})
            if isinstance(source, Sequence) and source and all(isinstance(row, Mapping) for row in source):
                return pl.from_dicts([dict(row) for row in source], infer_schema_length=None)
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            raise DataError(f"These columns do not make a table: {str(error).splitlines()[0]}.") from error
        raise InputTypeError(
            f"Cannot read a table from {kind.__module__}.{kind.__qualname__}; give a path, a URL, a polars, pandas or Arrow "
            "table, a NumPy array, a mapping of columns or the name of a data set."
        )


def _first_bytes(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(1 << 16)


def _decompressed(source: Path | bytes, name: str, label: str) -> Path | bytes:
    """Return the content; compression is told by the ending or by the first bytes."""
    start = source[:4] if isinstance(source, bytes) else _first_bytes(source)[:4]
    if not name.endswith(COMPRESSED) and not start.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return source
    data = source if isinstance(source, bytes) else source.read_bytes()
    if not data:
        raise DataError(f"{label} is empty; give a table with at least one row.")
    if name.endswith(".gz") or start.startswith(b"\x1f\x8b"):
        with gzip_errors(label):
            return gzip.decompress(data)
    if name.endswith(".zst") or start.startswith(b"\x28\xb5\x2f\xfd"):
        import pyarrow as pa

        try:
            return bytes(pa.CompressedInputStream(pa.BufferReader(data), "zstd").read())
        except OSError as error:
            raise DataError(
                f"{label} is truncated or not a sound zstd file ({error}); copy or download it again."
            ) from error
    try:
        return bz2.decompress(data) if name.endswith(".bz2") else lzma.decompress(data)
    except (OSError, ValueError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{label} is truncated or damaged ({error}); copy or download it again.") from error


def _from_pandas(source: Any) -> pl.DataFrame:
    """Return a pandas frame or series; the index is left out, mixed columns become strings."""
    import pyarrow as pa

    frame = source.to_frame() if hasattr(source, "to_frame") else source
    names = ["_".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in frame.columns]
    refuse_duplicates(names, "The pandas frame")
    columns: list[pl.Series] = []
    for i, name in enumerate(names):
        values = frame.iloc[:, i]
        try:
            columns.append(pl.Series(name, pl.from_pandas(values)))
        except (pa.ArrowException, TypeError, ValueError):
            missing = values.isna().tolist()
            words = [None if gone else str(value) for gone, value in zip(missing, values.tolist())]
            columns.append(pl.Series(name, words, dtype=pl.String))
    return pl.DataFrame(columns)
