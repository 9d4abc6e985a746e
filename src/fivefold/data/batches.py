"""Batches of named tensors: sliced by index in memory, never row by row.

Row order depends on ``(seed, epoch)`` alone and random draws on ``(seed, epoch, batch, name)``, so an interrupted run,
several workers and several ranks agree by construction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams


@dataclass(frozen=True)
class Place:
    """Where a batch stands: everything that its random draws may depend on."""

    seed: int
    epoch: int
    index: int
    rows: int  # of the global batch, over all ranks
    offset: int  # of this rank's first row within it


class Batch(Mapping[str, Any]):
    """Named tensors with one row a record; fields are attributes too: ``batch.x``, ``batch.y``, ``batch.weight``.

    ``len(batch)`` is the number of this rank's rows; iteration goes over the names.
    """

    def __init__(self, fields: Mapping[str, Any], place: Place) -> None:
        self._fields = dict(fields)
        self.place = place

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        first = next(iter(self._fields.values()))
        return int(first.shape[0])

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__.get("_fields", {})
        if name in fields:
            return fields[name]
        raise AttributeError(f"This batch has no field {name!r}; it has: {', '.join(fields)}.")

    def to(self, device: Any, dtype: torch.dtype | None = None) -> Batch:
        """Return the batch on ``device``; floating tensors become ``dtype`` where it is given."""

        def move(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return value.to(
                device, dtype if dtype is not None and value.is_floating_point() else None, non_blocking=True
            )

        return Batch({name: move(value) for name, value in self._fields.items()}, self.place)

    def _draw(self, kind: str, name: str, shape: tuple[int, ...]) -> Tensor:
        # Every rank draws for the whole global batch and takes its rows, so that any number of ranks sees the same numbers.
        place = self.place
        like = next((v for v in self._fields.values() if isinstance(v, Tensor) and v.is_floating_point()), None)
        generator = Streams(place.seed).torch(f"batch/{name}", place.epoch, place.index)
        dtype = like.dtype if like is not None else torch.get_default_dtype()
        draw = torch.randn if kind == "normal" else torch.rand
        full = draw((place.rows, *shape), generator=generator, dtype=dtype)
        part = full[place.offset : place.offset + len(self)]
        return part.to(like.device) if like is not None else part

    def randn(self, name: str, *shape: int) -> Tensor:
        """Return standard normal numbers of shape ``(len(batch), *shape)``; ``name`` tells draws of one batch apart."""
        return self._draw("normal", name, shape)

    def rand(self, name: str, *shape: int) -> Tensor:
        """Return uniform numbers in [0, 1) of shape ``(len(batch), *shape)``."""
        return self._draw("uniform", name, shape)


_GATHER_BYTES = 2**22  # any value: speed only
"""Rows are gathered for several small batches at once, up to this size, and then sliced."""


class Batches:
    """Batches of in-memory arrays, sliced whole.

    Parameters
    ----------
    fields : mapping name -> array or tensor, all with the same number of rows n >= 1
        ``x`` and ``y`` by custom; ``weight`` holds the weights of the rows.
    batch_size : int >= 1
        Rows of a global batch; the last one is smaller, never dropped unless ``drop_last``.
    shuffle : bool, default True
        A new order each epoch, from ``(seed, epoch)``.
    seed : int, default 0
    drop_last : bool, default False
        Leave out a smaller last batch (training only); a set smaller than one batch is kept.
    sampler : object with ``len()`` and ``indices(epoch) -> int array``, optional
        Decides which rows an epoch sees, in order; ``shuffle`` is then not looked at.
    index : bool, default False
        Add the field ``index``, the row number of each record in the data, int64.
    device : torch device, optional
        Keep all fields there, so that no batch is copied while training; default: where they are.

    Raises
    ------
    DataError
        For no fields, no rows, fields of different length, and sampled rows that do not exist.
    InputError
        For a batch size below 1 and a rank outside the world.
    """

    def __init__(
        self,
        fields: Mapping[str, Any],
        batch_size: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        sampler: Any = None,
        index: bool = False,
        device: Any = None,
    ) -> None:
        if not fields:
            raise DataError("Batches need at least one field, for example x=X.")
        self.fields = {name: as_tensor(name, value, device) for name, value in fields.items()}
        sizes = {name: int(value.shape[0]) for name, value in self.fields.items()}
        if len(set(sizes.values())) > 1:
            raise DataError(
                f"All fields of a batch need the same number of rows; got {', '.join(f'{k}: {v}' for k, v in sizes.items())}."
            )
        self.rows = next(iter(sizes.values()))
        if self.rows == 0:
            raise DataError("There are no rows to train on; every field is empty.")
        if index:
            where = next(iter(self.fields.values())).device
            self.fields["index"] = torch.arange(self.rows, device=where)
        self.batch_size = check_count("batch_size", batch_size)
        self.shuffle = shuffle
        self.seed = int(seed)
        self.drop_last = drop_last
        self.sampler = sampler

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        count = self.rows if self.sampler is None else len(self.sampler)
        return batch_count(count, self.batch_size, self.drop_last)

    def order(self, epoch: int) -> Tensor | None:
        """Return the rows of an epoch in order, or None for the order of the data."""
        if self.sampler is not None:
            order = torch.as_tensor(self.sampler.indices(epoch))
            low, high = (int(order.min()), int(order.max())) if len(order) else (0, 0)
            if low < 0 or high >= self.rows:
                raise DataError(f"The sampler asks for rows {low} to {high}, but there are only {self.rows} rows.")
            return order
        if self.shuffle:
            return torch.as_tensor(Streams(self.seed).numpy("order", epoch).permutation(self.rows))
        return None

    def epoch(self, epoch: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``start`` on; each rank gets its contiguous share of every batch."""
        check_rank(rank, world)
        order = self.order(epoch)
        total = self.rows if order is None else int(order.shape[0])
        count = batch_count(total, self.batch_size, self.drop_last)
        if order is None:
            for index in range(start, count):
                first, last, rows, low = self._share(index, total, rank, world)
                part = {name: value[first:last] for name, value in self.fields.items()}
                yield Batch(part, Place(self.seed, epoch, index, rows, first - low))
            return
        order = order.to(next(iter(self.fields.values())).device)
        at_once = self._gather_batches()
        for begin in range(start, count, at_once):
            shares = [
                (index, *self._share(index, total, rank, world)) for index in range(begin, min(begin + at_once, count))
            ]
            chosen = torch.cat([order[first:last] for _, first, last, _, _ in shares]) if world > 1 else None
            if chosen is None:
                chosen = order[shares[0][1] : shares[-1][2]]
            gathered = {name: value.index_select(0, chosen) for name, value in self.fields.items()}
            position = 0
            for index, first, last, rows, low in shares:
                end = position + last - first
                part = {name: value[position:end] for name, value in gathered.items()}
                yield Batch(part, Place(self.seed, epoch, index, rows, first - low))
                position = end

    def _share(self, index: int, total: int, rank: int, world: int) -> tuple[int, int, int, int]:
        low, high = index * self.batch_size, min((index + 1) * self.batch_size, total)
        rows = high - low
        return low + rows * rank // world, low + rows * (rank + 1) // world, rows, low

    def _gather_batches(self) -> int:
        width = sum(value.element_size() * value[0].numel() for value in self.fields.values())  # any value: speed only
        return max(1, _GATHER_BYTES // max(1, width * self.batch_size))  # any value: speed only


def as_tensor(name: str, value: Any, device: Any = None) -> Tensor:
    """Return a field as a tensor without copying where possible.

    Raises
    ------
    DataError
        For text and objects, which have no tensor form, and for values without rows.
    """
    if not isinstance(value, Tensor):
        array = np.asarray(value)
        if array.dtype.kind not in "biufc":
            raise DataError(
                f"The field {name!r} holds {array.dtype} values; encode text, categories and times as numbers first."
            )
        # A copy where torch cannot share the memory: negative strides, foreign byte order, read-only arrays.
        shared = array.flags.writeable and array.dtype.isnative and array.flags.c_contiguous
        value = torch.as_tensor(array if shared else np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    if value.ndim == 0:
        raise DataError(f"The field {name!r} is a single number; a field has one row a record.")
    return value.to(device) if device is not None else value


def check_rank(rank: int, world: int) -> None:
    """Refuse a rank outside ``0 … world - 1``."""
    if not 0 <= rank < world:
        raise InputError(f"rank must lie in 0 … world - 1; got rank={rank} and world={world}.")


def batch_count(rows: int, batch_size: int, drop_last: bool) -> int:
    """Return the number of batches of ``rows`` rows; one at least where there are rows."""
    return max(1, rows // batch_size) if drop_last else -(-rows // batch_size)
