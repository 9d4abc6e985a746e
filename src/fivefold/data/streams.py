"""Batches of files that do not fit into memory, with the protocol of :class:`fivefold.data.batches.Batches`.

The order of the records depends on ``(seed, epoch)`` alone: not on the number of reader threads, on timing, on ranks, or on
where an interrupted epoch is taken up again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams

from .batches import Batch, Place, as_tensor, batch_count, check_rank
from .streams_sources import CsvSource, Cursor, ParquetSource, Piece, Source, join_pieces, piece_rows

_TURN = 4096  # rows turned from columns to a matrix at once, so that the block stays in the cache
_OPEN_BYTES = 2**28  # of the row groups that are being decoded at the same time


@dataclass(frozen=True)
class _Plan:
    lanes: list[list[tuple[int, int, int]]]  # of units (group, first row, end row), in reading order
    bounds: np.ndarray  # (rounds + 1,): first row of each round within the epoch
    taken: np.ndarray  # (rounds + 1, lanes): rows of each lane read before the round


class StreamedBatches:
    """Batches read from a file while training, in bounded memory.

    An epoch is a sequence of *rounds* of ``buffer_rows`` rows. A round takes the next rows at ``interleave`` places at once,
    spread evenly over the file, and shuffles them together, so that a file sorted by label mixes as well as any other. Each
    place visits the row groups of its stretch of the file in random order; the stretches move from epoch to epoch.

    Parameters
    ----------
    source : path, list of paths, or Source
        Parquet (a directory of them, too) or CSV by its suffix; else :class:`~fivefold.data.streams_sources.LineSource`.
    batch_size : int >= 1
        Rows of a global batch; the last one is smaller, never dropped unless ``drop_last``.
    fields : mapping name -> column or list of columns, optional
        What the batches hold: one column gives shape (n,), a list shape (n, d). Floats and booleans become float32, integers
        int64. Default: every column under its own name.
    transform : callable (polars.DataFrame or mapping of arrays) -> mapping name -> array, optional
        Instead of ``fields``: called with whole rounds in a reader thread, for example to apply a fitted recipe. Every row
        must give one row, depending on nothing else.
    shuffle : bool, default True
    seed : int, default 0
    buffer_rows : int >= 1, default 65536
        Rows shuffled together, rounded down to whole batches.
    interleave : int >= 1, default 16
        Places of the file that a round is taken from; fewer, but at least 4, where the row groups at that many places would
        together exceed 256 MB.
    readers : int >= 1, default 2
        Threads that read and transform. They need processors of their own: leave them some with ``torch.set_num_threads``.
    prefetch : int >= 1, default 1
        Rounds prepared beside the one in use.
    drop_last : bool, default False
    index : bool, default False
        Add the field ``index``: the number of each record in the file, int64.

    Raises
    ------
    DataError
        For files that cannot be read or change meanwhile, columns that are not there, text without a ``transform``, and
        missing values in integer columns.

    Notes
    -----
    At most ``(prefetch + 1) * buffer_rows`` rows are held, beside the parts of row groups being decoded at ``interleave``
    places. A file of fewer row groups than ``interleave`` is entered in the middle of its groups, which means decoding what
    comes before; files to stream are best written with 32 row groups or more. Every rank reads the whole file and keeps its
    contiguous share of each batch.

    References
    ----------
    Spec ``04#ctr-libsvm-input``, ``02#image-csv-input``.
    """

    def __init__(
        self,
        source: Any,
        batch_size: int,
        *,
        fields: Mapping[str, str | Sequence[str]] | None = None,
        transform: Callable[[Any], Mapping[str, Any]] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        buffer_rows: int = 65_536,  # any value: memory and mixing
        interleave: int = 16,  # any value: memory and mixing
        readers: int = 2,  # any value: speed only
        prefetch: int = 1,  # any value: speed only
        drop_last: bool = False,
        index: bool = False,
    ) -> None:
        if fields is not None and transform is not None:
            raise InputError("Give either fields or transform, not both.")
        for name, value in (
            ("buffer_rows", buffer_rows),
            ("interleave", interleave),
            ("readers", readers),
            ("prefetch", prefetch),
        ):
            if value < 1:
                raise InputError(f"{name} must be at least 1, got {value!r}.")
        self.batch_size = check_count("batch_size", batch_size)
        self.source = open_source(source, fields)
        self.rows = int(self.source.counts.sum())
        self.fields = dict(fields) if fields is not None else None
        self.transform = transform
        self.shuffle = shuffle
        self.seed = int(seed)
        self.buffer_rows = int(buffer_rows)
        self.interleave = int(interleave)
        self.readers = int(readers)
        self.prefetch = int(prefetch)
        self.drop_last = drop_last
        self.index = index

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return batch_count(self.rows, self.batch_size, self.drop_last)

    def repeat(self, epochs: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``epochs`` epochs one after the other, from epoch ``start`` on."""
        for epoch in range(start, start + epochs):
            yield from self.epoch(epoch)

    def epoch(self, epoch: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``start`` on; each rank gets its contiguous share of every batch."""
        check_rank(rank, world)
        count = len(self)
        if start >= count:
            return
        plan = self._plan(epoch)
        first_round = int(np.searchsorted(plan.bounds, start * self.batch_size, side="right")) - 1
        for number, tensors in self._rounds(plan, epoch, first_round, rank, world):
            low, high = int(plan.bounds[number]), int(plan.bounds[number + 1])
            position = 0
            for index in range(low // self.batch_size, min(-(-high // self.batch_size), count)):
                begin = index * self.batch_size
                rows = min(begin + self.batch_size, high) - begin
                first, last = rows * rank // world, rows * (rank + 1) // world
                end = position + last - first
                if index >= start:
                    part = {name: value[position:end] for name, value in tensors.items()}
                    yield Batch(part, Place(self.seed, epoch, index, rows, first))
                position = end

    def _plan(self, epoch: int) -> _Plan:
        counts = self.source.counts
        draw = Streams(self.seed).numpy("stream/plan", epoch)
        whole = [(group, 0, int(rows)) for group, rows in enumerate(counts)]
        if not self.shuffle:
            lanes = [whole]
            size = min(self.buffer_rows, 32_768)  # any value: speed only
        else:
            size = self.buffer_rows
            lanes = self._lanes(whole, draw)
        size = max(1, size // self.batch_size) * self.batch_size
        bounds = np.append(np.arange(0, self.rows, size), self.rows)
        left = np.array([sum(high - low for _, low, high in lane) for lane in lanes], dtype=np.int64)
        taken = np.zeros((len(bounds), len(lanes)), dtype=np.int64)
        for number, rows in enumerate(np.diff(bounds)):
            # Each lane gives its share of what is left, so that all end together.
            edges = np.concatenate([[0], np.cumsum(left)]) * int(rows) // int(left.sum())
            left = left - np.diff(edges)
            taken[number + 1] = taken[number] + np.diff(edges)
        return _Plan(lanes, bounds, taken)

    def _lanes(self, whole: list[tuple[int, int, int]], draw: np.random.Generator) -> list[list[tuple[int, int, int]]]:
        units = whole
        places = min(self.interleave, max(4, _OPEN_BYTES // max(1, self.source.group_bytes)))
        if len(whole) < places and self.rows > self.buffer_rows:
            cuts = -(-places // len(whole))
            units = [(group, rows * k // cuts, rows * (k + 1) // cuts) for group, _, rows in whole for k in range(cuts)]
            units = [unit for unit in units if unit[1] < unit[2]]
        offset = int(draw.integers(len(units)))
        units = units[offset:] + units[:offset]
        sizes = np.array([high - low for _, low, high in units])
        middle = np.cumsum(sizes) - sizes / 2
        lane_of = np.minimum((middle * places / self.rows).astype(np.int64), places - 1)
        lanes = []
        for lane in range(places):
            members = np.flatnonzero(lane_of == lane)
            if len(members):
                lanes.append([units[k] for k in draw.permutation(members)])
        return lanes

    def _rounds(
        self, plan: _Plan, epoch: int, first: int, rank: int, world: int
    ) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
        """Yield the rounds in order while threads prepare the next ones.

        One thread hands out the work, so that a lane is read in order; results are joined in the order of the lanes, never
        of their arrival. Slots bound how many rounds are alive.
        """
        stop = threading.Event()
        slots = threading.Semaphore(self.prefetch + 1)
        ready: queue.SimpleQueue[tuple[int, Future[dict[str, torch.Tensor]]] | None] = queue.SimpleQueue()
        cursors = [Cursor(self.source, lane, int(skip)) for lane, skip in zip(plan.lanes, plan.taken[first])]

        def hand_out(pool: ThreadPoolExecutor) -> None:
            try:
                for number in range(first, len(plan.bounds) - 1):
                    slots.acquire()
                    if stop.is_set():
                        return
                    self.source.check_unchanged()
                    shares = np.diff(plan.taken[number : number + 2], axis=0)[0]
                    parts = [pool.submit(c.take, int(n)) for c, n in zip(cursors, shares) if n]
                    pieces = [piece for part in parts for piece in part.result()]
                    ready.put((number, pool.submit(self._assemble, pieces, epoch, number, rank, world)))
            finally:
                ready.put(None)

        chief = ThreadPoolExecutor(1, thread_name_prefix="fivefold-stream")
        pool = ThreadPoolExecutor(self.readers, thread_name_prefix="fivefold-reader")
        done = chief.submit(hand_out, pool)
        try:
            while (item := ready.get()) is not None:
                yield item[0], item[1].result()
                slots.release()
            done.result()
        finally:
            stop.set()
            slots.release()
            chief.shutdown(wait=True)
            pool.shutdown(wait=True, cancel_futures=True)
            for cursor in cursors:
                cursor.close()

    def _assemble(
        self, pieces: list[tuple[Piece, int]], epoch: int, number: int, rank: int, world: int
    ) -> dict[str, torch.Tensor]:
        rows = sum(piece_rows(piece) for piece, _ in pieces)
        order = Streams(self.seed).numpy("stream/rows", epoch, number).permutation(rows) if self.shuffle else None
        if world > 1:
            starts = np.arange(0, rows, self.batch_size)
            sizes = np.minimum(starts + self.batch_size, rows) - starts
            shares = [(a + n * rank // world, a + n * (rank + 1) // world) for a, n in zip(starts, sizes)]
            mine = np.concatenate([np.arange(first, last) for first, last in shares])
            order = mine if order is None else order[mine]
        if self.transform is None and isinstance(pieces[0][0], pl.DataFrame):
            arrays = gather_columns([piece for piece, _ in pieces], self.fields, order)
        else:
            arrays = self._transformed(join_pieces([piece for piece, _ in pieces]), rows)
            if order is not None:
                arrays = {name: values.take(order, axis=0) for name, values in arrays.items()}
        if self.index:
            numbers = np.concatenate([np.arange(first, first + piece_rows(p)) for p, first in pieces])
            arrays["index"] = numbers if order is None else numbers[order]
        return {name: as_tensor(name, values) for name, values in arrays.items()}

    def _transformed(self, table: Any, rows: int) -> dict[str, np.ndarray]:
        if self.transform is None:
            return dict(table) if self.fields is None else {name: table[key] for name, key in self.fields.items()}
        given = self.transform(table)
        if not isinstance(given, Mapping) or not given:
            raise DataError(
                f"The transform must return a mapping of field names to arrays; it returned {type(given).__name__}."
            )
        arrays = {name: np.asarray(values) for name, values in given.items()}
        for name, values in arrays.items():
            if values.shape[:1] != (rows,):
                raise DataError(
                    f"The transform turned {rows} rows into shape {values.shape} of the field {name!r}; it must keep every row."
                )
        return arrays


def open_source(source: Any, fields: Mapping[str, Any] | None = None) -> Source:
    """Return the rows of a path, a list of paths or a Source; ``fields`` says which columns are needed."""
    if isinstance(source, Source):
        return source
    columns = None
    if fields is not None:
        columns = list(dict.fromkeys(c for key in fields.values() for c in ([key] if isinstance(key, str) else key)))
    first = Path(source if isinstance(source, (str, Path)) else next(iter(source)))
    if first.suffix.lower() in (".csv", ".tsv"):
        return CsvSource(source, separator="\t" if first.suffix.lower() == ".tsv" else ",", columns=columns)
    if first.is_dir() or first.suffix.lower() in (".parquet", ".pq"):
        return ParquetSource(source, columns)
    raise DataError(
        f"Cannot tell the format of {first} by its suffix; accepted are .parquet, .csv and .tsv, or a Source such as "
        "LineSource(path, parse)."
    )


def gather_columns(
    pieces: Sequence[pl.DataFrame], fields: Mapping[str, str | Sequence[str]] | None, order: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the named columns of consecutive tables in the given order of their rows, lists of columns as a matrix.

    Values go straight from the decoded columns to their place: a block of rows is turned within the cache and written out
    once, instead of joining, turning and shuffling whole rounds.
    """
    rows = sum(piece.height for piece in pieces)
    if fields is None:
        fields = {name: name for name in pieces[0].columns}
    place = np.arange(rows)
    if order is not None:
        place = np.full(rows, -1)  # rows of other ranks have no place here
        place[order] = np.arange(len(order))
    count = rows if order is None else len(order)
    whole = count == rows
    out: dict[str, np.ndarray] = {}
    for name, key in fields.items():
        if isinstance(key, str):
            out[name] = np.empty(count, dtype=_field_type(pieces, key))
        else:
            out[name] = np.empty((count, len(key)), dtype=np.float32)
    at = 0
    for piece in pieces:
        for name, key in fields.items():
            columns = [_values(piece[column]) for column in ([key] if isinstance(key, str) else key)]
            turned = np.empty((min(_TURN, piece.height), len(columns)), dtype=out[name].dtype)
            for start in range(0, piece.height, _TURN):
                stop = min(start + _TURN, piece.height)
                block = turned[: stop - start]
                for j, values in enumerate(columns):
                    block[:, j] = values[start:stop]
                there = place[at + start : at + stop]
                if not whole:
                    block, there = block[there >= 0], there[there >= 0]
                out[name][there] = block[:, 0] if isinstance(key, str) else block
        at += piece.height
    return out


def _field_type(pieces: Sequence[pl.DataFrame], column: str) -> Any:
    kind = pieces[0][column].dtype
    if not (kind.is_integer() or kind == pl.Boolean):
        return np.float32
    if any(piece[column].null_count() for piece in pieces):
        raise DataError(
            f"Column {column!r} has missing values, which a field of whole numbers cannot hold; fill them in a transform."
        )
    return np.int64 if kind.is_integer() else np.float32


def _values(series: pl.Series) -> np.ndarray:
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        raise DataError(
            f"Column {series.name!r} is {series.dtype}, not a number; encode it with a transform, for example a fitted recipe."
        )
    return series.to_numpy()
