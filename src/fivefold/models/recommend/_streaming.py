"""Training of click models from files that need not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fivefold.base.errors import DataError
from fivefold.base.random import Streams
from fivefold.data.streams import StreamedBatches, open_source
from fivefold.data.streams_sources import Source, piece_rows
from fivefold.engine.estimator import PREDICTION_ROWS
from fivefold.engine.schema import NetworkSchema

from ._fields import FieldEncoder, IndexEncoder, infer_fields

if TYPE_CHECKING:
    from ._base import CTRModel


class Streamed:
    """One model and the name of its target, fitted by one pass that learns the fields and one an epoch.

    Pieces are frames, or mappings of arrays as readers of sparse lines return them.
    """

    def __init__(self, model: CTRModel, target: str) -> None:
        self.model = model
        self.target = target

    def fit(self, source: Any, validation: Any, shuffle: bool, buffer_rows: int) -> None:
        """Learn fields and classes, then train; sets the model's fitted attributes."""
        model = self.model
        train = open_source(source)
        watched = None if validation is None else open_source(validation)
        labels = self._learn(train)
        if not len(labels):
            raise DataError(f"{train.name} has no value of the target {self.target!r}.")
        _, outputs = model._targets(labels)
        schema = NetworkSchema((model.encoder_.width,), outputs, model.task, model._dtype_name())
        model._plan()
        streams = Streams.of(model.random_state)

        def encode(piece: Any) -> dict[str, NDArray[Any]]:
            return self._encoded(piece, schema)

        batches = StreamedBatches(
            train,
            min(int(model.batch_size), int(train.counts.sum())),
            transform=encode,
            shuffle=shuffle,
            seed=streams.integer("batches"),
            buffer_rows=buffer_rows,
        )
        held = watched and StreamedBatches(watched, PREDICTION_ROWS, transform=encode, shuffle=False)
        model._train_on(batches, held, schema, streams)
        model._warn_of_overfitting()

    # -- the first pass -----------------------------------------------------------------------------------------------

    def _pieces(self, source: Source) -> Iterator[Any]:
        for group in range(len(source.counts)):
            source.check_unchanged()
            yield from source.read(group)

    def _learn(self, source: Source) -> NDArray[Any]:
        """Learn the fields of all rows; return the distinct values of the target, or one number for a regression."""
        first = next(self._pieces(source))
        found: dict[Any, None] = {}
        if isinstance(first, pl.DataFrame):
            fields = infer_fields(self._features(first), self.model.features)
            self.model.encoder_ = FieldEncoder(fields).fit_pieces(self._seen(source, found))
        else:
            size = self.model.features if isinstance(self.model.features, int) else None
            self.model.encoder_ = IndexEncoder.of_pieces(self._seen(source, found), size)
        return np.array(sorted(found), dtype=None if found else np.float64)

    def _seen(self, source: Source, found: dict[Any, None]) -> Iterator[Any]:
        """Yield the features of each piece, gathering the values of the target on the way."""
        for piece in self._pieces(source):
            values = self._values(piece)
            if self.model.task != "regression":
                found.update(dict.fromkeys(np.unique(values).tolist()))
            elif piece_rows(piece):
                self.model._targets(values)
                found[0.0] = None
            yield self._features(piece)

    def _features(self, piece: Any) -> Any:
        if isinstance(piece, pl.DataFrame):
            return self.model._split(piece, self.target)[0]
        return {name: piece[name] for name in ("inds", "vals")}

    def _values(self, piece: Any) -> NDArray[Any]:
        if isinstance(piece, Mapping):
            if self.target not in piece:
                raise DataError(f"The lines have no {self.target!r}; give lines with labels to train on.")
            return np.asarray(piece[self.target])
        values = self.model._split(piece, self.target)[1]
        if piece[self.target].null_count() or (values.dtype.kind == "f" and np.isnan(values).any()):
            raise DataError("The target has missing values; drop these rows.")
        return values.astype(str) if values.dtype.kind == "O" else values

    # -- each epoch ---------------------------------------------------------------------------------------------------

    def _encoded(self, piece: Any, schema: NetworkSchema) -> dict[str, NDArray[Any]]:
        rows = self.model._encode(self._features(piece), schema)
        values = self._values(piece)
        if schema.task == "regression":
            rows["y"] = values.astype(schema.dtype_name)
            return rows
        classes = self.model.classes_
        codes = np.minimum(np.searchsorted(classes, values), len(classes) - 1)
        wrong = classes[codes] != values
        if wrong.any():
            shown = ", ".join(map(repr, classes[:5].tolist()))
            raise DataError(
                f"The target holds {values[wrong][0].item()!r}, which no training row has; these have: {shown}."
            )
        rows["y"] = codes.astype(np.int64)
        return rows
