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

from fivefold.base.errors import DataError
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


class Batches:
    """Batches of in-memory arrays.

    Parameters
    ----------
    fields : mapping name -> array or tensor, all with the same number of rows n >= 1
    batch_size : int >= 1
        Rows of a global batch; the last one is smaller, never dropped unless ``drop_last``.
    shuffle : bool, default True
        A new order each epoch, from ``(seed, epoch)``.
    seed : int
    drop_last : bool, default False
        Leave out a smaller last batch (training only).
    sampler : object with ``indices(epoch) -> int array``, optional
        Decides which rows an epoch sees, in order; excludes ``shuffle``.
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
    ) -> None:
        if not fields:
            raise DataError("Batches need at least one field, for example x=X.")
        self.fields = {
            name: value if isinstance(value, Tensor) else torch.as_tensor(np.ascontiguousarray(value))
            for name, value in fields.items()
        }
        sizes = {name: int(value.shape[0]) for name, value in self.fields.items()}
        if len(set(sizes.values())) > 1:
            raise DataError(
                f"All fields of a batch need the same number of rows; got {', '.join(f'{k}: {v}' for k, v in sizes.items())}."
            )
        self.rows = next(iter(sizes.values()))
        if self.rows == 0:
            raise DataError("There are no rows to train on; every field is empty.")
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1, got {batch_size}.")
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.seed = int(seed)
        self.drop_last = drop_last
        self.sampler = sampler

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        if self.sampler is not None:
            count = len(self.sampler)
        else:
            count = self.rows
        return max(1, count // self.batch_size) if self.drop_last else -(-count // self.batch_size)

    def _order(self, epoch: int) -> Tensor | None:
        if self.sampler is not None:
            return torch.as_tensor(self.sampler.indices(epoch))
        if self.shuffle:
            return torch.as_tensor(Streams(self.seed).numpy("order", epoch).permutation(self.rows))
        return None

    def epoch(self, epoch: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``start`` on; each rank gets its contiguous share of every batch."""
        order = self._order(epoch)
        total = self.rows if order is None else int(order.shape[0])
        for index in range(start, len(self)):
            low, high = index * self.batch_size, min((index + 1) * self.batch_size, total)
            rows = high - low
            first, last = low + rows * rank // world, low + rows * (rank + 1) // world
            if order is None:
                part = {name: value[first:last] for name, value in self.fields.items()}
            else:
                chosen = order[first:last]
                part = {name: value.index_select(0, chosen) for name, value in self.fields.items()}
            yield Batch(part, Place(self.seed, epoch, index, rows, first - low))
