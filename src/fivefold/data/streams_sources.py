"""Sources of streamed batches: files cut into groups of rows that can be read on their own, in any order."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fivefold.base.errors import DataError

Piece = pl.DataFrame | dict[str, np.ndarray]
"""Consecutive rows: a table, or named arrays with one row a record."""

_DECODE_ROWS = 16_384
_CHUNK = 2**24  # bytes of a text file that are searched for line ends at once
_HEAD_LINES = 10_000  # of a CSV file, from which its types are inferred
_BUFFERED_GROUP = 2**24  # bytes of a row group from which on its columns are read through small buffers


class Source:
    """Rows in groups.

    Attributes
    ----------
    counts : int64 array of shape (groups,)
        Rows of each group, all above zero.
    group_bytes : int
        Memory that decoding one group takes, about; of the largest group.
    name : str
        For messages.
    """

    counts: np.ndarray
    group_bytes: int
    name: str
    files: Sequence[Path] = ()
    _stamps: tuple[tuple[int, int], ...] | None = None

    def read(self, group: int) -> Iterator[Piece]:
        """Yield the rows of a group in order, in pieces of bounded size; called from several threads at once."""
        raise NotImplementedError

    def check_unchanged(self) -> None:
        """Refuse files that are no longer what they were when this was called first: their places mean other rows now.

        Raises
        ------
        DataError
            Naming the file.
        """
        found = tuple((s.st_size, s.st_mtime_ns) for s in map(os.stat, self.files))
        if self._stamps is None:
            self._stamps = found
        for file, was, now in zip(self.files, self._stamps, found):
            if was != now:
                raise DataError(f"{file} changed while it was read; stream files that stay as they are.")


def files_of(paths: Any, suffix: str) -> list[Path]:
    """Return the files that a path, a directory or a list of paths means, sorted within a directory."""
    found: list[Path] = []
    for entry in [paths] if isinstance(paths, (str, os.PathLike)) else list(paths):
        path = Path(entry)
        if path.is_dir():
            inside = sorted(path.rglob(f"*{suffix}"))
            if not inside:
                raise DataError(f"The directory {path} holds no {suffix} file.")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"There is no file {path}.")
    if not found:
        raise DataError("No file was given.")
    return found


class ParquetSource(Source):
    """Row groups of Parquet files.

    Parameters
    ----------
    paths : path, directory or list of paths
    columns : list of str, optional
        Columns to read; default all.

    Raises
    ------
    DataError
        For files that are no Parquet, truncated, empty, of different columns, or without a column asked for.
    """

    def __init__(self, paths: Any, columns: Sequence[str] | None = None) -> None:
        self.files = files_of(paths, ".parquet")
        self.check_unchanged()
        self.name = str(self.files[0]) + (f" and {len(self.files) - 1} more" if len(self.files) > 1 else "")
        self._metadata: list[Any] = []
        groups: list[tuple[int, int, int]] = []
        counts: list[int] = []
        names: list[str] = []
        for number, file in enumerate(self.files):
            try:
                with pq.ParquetFile(file) as handle:
                    metadata, found = handle.metadata, handle.schema_arrow.names
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(f"{file} cannot be read as Parquet: {error}; it may be truncated.") from None
            if number and found != names:
                raise DataError(f"{file} has the columns {found}, but {self.files[0]} has {names}; stream them apart.")
            names = found
            self._metadata.append(metadata)
            for group in range(metadata.num_row_groups):
                facts = metadata.row_group(group)
                if facts.num_rows:
                    size = sum(
                        facts.column(c).total_uncompressed_size
                        for c in range(facts.num_columns)
                        if columns is None or facts.column(c).path_in_schema.split(".")[0] in columns
                    )
                    groups.append((number, group, size))
                    counts.append(facts.num_rows)
        if not counts:
            raise DataError(f"{self.name} has no rows.")
        absent = [c for c in columns or () if c not in names]
        if absent:
            raise DataError(
                f"{self.name} lacks the columns {', '.join(map(repr, absent))}; it has: {', '.join(names)}."
            )
        self.columns = list(columns) if columns is not None else names
        self.counts = np.array(counts, dtype=np.int64)
        self.group_bytes = max(size for _, _, size in groups)
        self._groups = groups

    def read(self, group: int) -> Iterator[Piece]:
        number, inner, size = self._groups[group]
        file = self.files[number]
        buffer = 2**17 if size > _BUFFERED_GROUP else 0
        try:
            with pq.ParquetFile(file, metadata=self._metadata[number], pre_buffer=False, buffer_size=buffer) as handle:
                batches = handle.iter_batches(
                    batch_size=_DECODE_ROWS, row_groups=[inner], columns=self.columns, use_threads=False
                )
                for batch in batches:
                    yield pl.from_arrow(pa.Table.from_batches([batch]), rechunk=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"Row group {inner} of {file} cannot be read: {error}; the file is damaged.") from None


class LineSource(Source):
    """Lines of a text file, cut into blocks at line ends.

    The file is read through once to find the blocks. Blank lines are no records.

    Parameters
    ----------
    path : path
        An uncompressed text file.
    parse : callable (block: bytes, first_line: int) -> table or mapping name -> array
        Turns whole lines into records; ``first_line`` is the number of the first one in the file, for messages.
    skip_lines : int, default 0
        Lines before the first record, such as a header.
    quotes : bool, default False
        Line ends within double quotes belong to the value.
    block_bytes : int, default 2**21
        Size of a block, at least one line.

    Raises
    ------
    DataError
        For compressed files, which have no places to start from, and for files without records.
    """

    def __init__(
        self,
        path: Any,
        parse: Callable[[bytes, int], Any],
        *,
        skip_lines: int = 0,
        quotes: bool = False,
        block_bytes: int = 2**21,  # any value: speed only
    ) -> None:
        self.file = files_of(path, "")[0]
        self.files = [self.file]
        self.check_unchanged()
        self.name = str(self.file)
        self.parse = parse
        with open(self.file, "rb") as handle:
            if handle.read(4)[:2] in (b"\x1f\x8b", b"(\xb5"):
                raise DataError(
                    f"{self.file} is compressed and cannot be read from the middle; unpack it or convert it to Parquet."
                )
        ends, records = _line_ends(self.file, quotes)
        starts = np.concatenate([[0], ends])[:-1]  # byte where each line begins
        self._head_bytes = int(ends[min(len(ends), skip_lines + _HEAD_LINES) - 1]) if len(ends) else 0
        begin = int(ends[skip_lines - 1]) if 0 < skip_lines <= len(ends) else 0
        records[:skip_lines] = False
        # A block ends with the first line that reaches its size.
        block = (starts - begin) // max(1, block_bytes)
        block[:skip_lines] = 0
        first = np.flatnonzero(np.diff(block, prepend=-1) > 0) if len(block) else np.zeros(0, dtype=np.int64)
        first[:1] = skip_lines
        counts = np.add.reduceat(records, first) if len(first) and first[0] < len(records) else np.zeros(0)
        keep = np.flatnonzero(counts > 0)
        if not len(keep):
            raise DataError(f"{self.file} holds no records.")
        lasts = np.append(first[1:], len(ends)) - 1
        self._ranges = np.stack([starts[first], ends[lasts], first + 1], axis=1)[keep]
        self.counts = counts[keep].astype(np.int64)
        self.group_bytes = 4 * int((self._ranges[:, 1] - self._ranges[:, 0]).max())

    def read(self, group: int) -> Iterator[Piece]:
        begin, end, line = (int(v) for v in self._ranges[group])
        with open(self.file, "rb") as handle:
            handle.seek(begin)
            block = handle.read(end - begin)
        try:
            piece = self.parse(block, line)
        except DataError as error:
            raise DataError(f"{self.file}: {error}") from None
        piece = piece if isinstance(piece, pl.DataFrame) else {k: np.asarray(v) for k, v in piece.items()}
        if piece_rows(piece) != self.counts[group]:
            raise DataError(
                f"{self.file}: the block from line {line} on has {self.counts[group]} lines, but was read as "
                f"{piece_rows(piece)} records; one line must be one record."
            )
        yield piece


class JoinedSource(Source):
    """Several sources of the same columns, one after the other.

    Parameters
    ----------
    sources : sequence of Source

    Raises
    ------
    DataError
        For none.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        if not sources:
            raise DataError("No source was given.")
        self._sources = list(sources)
        self._first = np.cumsum([0, *(len(source.counts) for source in sources)])
        self.counts = np.concatenate([source.counts for source in sources])
        self.group_bytes = max(source.group_bytes for source in sources)
        self.name = sources[0].name + (f" and {len(sources) - 1} more" if len(sources) > 1 else "")
        self.files = [file for source in sources for file in source.files]
        self.check_unchanged()

    def read(self, group: int) -> Iterator[Piece]:
        place = int(np.searchsorted(self._first, group, side="right")) - 1
        yield from self._sources[place].read(group - int(self._first[place]))


def _line_ends(file: Path, quotes: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the byte after each line and whether the line holds anything."""
    ends: list[np.ndarray] = []
    blank: list[np.ndarray] = []
    offset, previous, odd, last = 0, 0, 0, 10
    with open(file, "rb") as handle:
        while chunk := handle.read(_CHUNK):
            data = np.frombuffer(chunk, dtype=np.uint8)
            hits = np.flatnonzero(data == 10)
            if quotes:
                marks = np.flatnonzero(data == 34)
                # An end of line counts where an even number of quotes came before it.
                hits = hits[(np.searchsorted(marks, hits) + odd) % 2 == 0]
                odd = (odd + len(marks)) % 2
            after = hits + offset + 1
            length = np.diff(after, prepend=previous) - 1
            before = np.where(hits > 0, data[np.maximum(hits - 1, 0)], last)
            blank.append((length == 0) | ((length == 1) & (before == 13)))
            ends.append(after)
            previous = int(after[-1]) if len(after) else previous
            last, offset = int(data[-1]), offset + len(chunk)
    if offset > previous:  # the last line has no end
        ends.append(np.array([offset]))
        blank.append(np.array([False]))
    if not ends:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    return np.concatenate(ends), ~np.concatenate(blank)


class CsvSource(LineSource):
    """Blocks of a CSV file, all read with the types of its beginning.

    Parameters
    ----------
    path : path
    separator : str of one character, default ","
    header : bool, default True
        The first line names the columns; otherwise they are ``column_1``, ``column_2`` …
    columns : list of str, optional
        Columns to read; default all.
    types : mapping column -> polars type, optional
        Overrides the types inferred from the first 10,000 rows.
    block_bytes : int, default 2**21
    """

    def __init__(
        self,
        path: Any,
        *,
        separator: str = ",",
        header: bool = True,
        columns: Sequence[str] | None = None,
        types: Mapping[str, Any] | None = None,
        block_bytes: int = 2**21,  # any value: speed only
    ) -> None:
        self._separator = separator
        self._columns = list(columns) if columns is not None else None
        file = files_of(path, ".csv")[0]
        super().__init__(file, self._parse, skip_lines=int(header), quotes=True, block_bytes=block_bytes)
        with open(file, "rb") as handle:
            beginning = handle.read(self._head_bytes)
        try:
            head = pl.read_csv(
                io.BytesIO(beginning),
                separator=separator,
                has_header=header,
                infer_schema_length=_HEAD_LINES,
                schema_overrides=types,
            )
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{file} cannot be read as CSV: {_first_line(error)}.") from None
        self._schema = dict(head.schema)
        absent = [c for c in self._columns or () if c not in self._schema]
        if absent:
            raise DataError(
                f"{file} lacks the columns {', '.join(map(repr, absent))}; it has: {', '.join(self._schema)}."
            )

    def _parse(self, block: bytes, first_line: int) -> pl.DataFrame:
        try:
            frame = pl.read_csv(
                io.BytesIO(re.sub(rb"(?:\r?\n){2,}", b"\n", block).lstrip(b"\r\n")),
                separator=self._separator,
                has_header=False,
                schema=self._schema,
            )
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"the lines from {first_line} on do not fit the columns and types of the file's beginning: {_first_line(error)}; "
                "give `types` for the column."
            ) from None
        return frame.select(self._columns) if self._columns is not None else frame


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def piece_rows(piece: Piece) -> int:
    """Return the number of rows of a piece."""
    return piece.height if isinstance(piece, pl.DataFrame) else len(next(iter(piece.values())))


def slice_piece(piece: Piece, start: int, stop: int) -> Piece:
    """Return rows ``start`` to ``stop`` without copying."""
    if isinstance(piece, pl.DataFrame):
        return piece.slice(start, stop - start)
    return {name: values[start:stop] for name, values in piece.items()}


def join_pieces(pieces: Sequence[Piece]) -> Piece:
    """Return the rows of several pieces as one."""
    if len(pieces) == 1:
        return pieces[0]
    if isinstance(pieces[0], pl.DataFrame):
        return pl.concat(pieces, how="vertical", rechunk=False)
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


class Cursor:
    """Reads the units of one lane in order, any number of rows at a time.

    Parameters
    ----------
    source : Source
    units : list of (group, first row, end row)
    skip : int
        Rows to pass over, for resuming; whole units are passed without reading.
    """

    def __init__(self, source: Source, units: Sequence[tuple[int, int, int]], skip: int) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._left: list[tuple[Piece, int]] = []  # unread pieces with the row number of their first row
        offsets = np.concatenate([[0], np.cumsum(source.counts)])
        self._stream = self._pieces(list(units), skip, offsets)

    def _pieces(self, units: list[tuple[int, int, int]], skip: int, offsets: np.ndarray) -> Iterator[tuple[Piece, int]]:
        for group, low, high in units:
            if skip >= high - low:
                skip -= high - low
                continue
            low, skip, position = low + skip, 0, 0
            pieces = self._source.read(group)
            for piece in pieces:
                rows = piece_rows(piece)
                first, last = max(low - position, 0), min(high - position, rows)
                if first < last:
                    yield slice_piece(piece, first, last), int(offsets[group]) + position + first
                position += rows
                if position >= high:
                    break
            pieces.close()

    def take(self, count: int) -> list[tuple[Piece, int]]:
        """Return the next ``count`` rows as pieces, each with the number of its first row in the source."""
        taken: list[tuple[Piece, int]] = []
        with self._lock:
            while count > 0:
                found = self._left.pop() if self._left else next(self._stream, None)
                if found is None:
                    raise DataError(
                        f"{self._source.name} ends before the number of rows it states; the file is damaged."
                    )
                piece, first = found
                rows = piece_rows(piece)
                if rows > count:
                    self._left.append((slice_piece(piece, count, rows), first + count))
                    piece = slice_piece(piece, 0, count)
                taken.append((piece, first))
                count -= min(rows, count)
        return taken

    def close(self) -> None:
        """Close the file that is being read."""
        with self._lock:
            self._stream.close()
