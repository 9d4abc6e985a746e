"""DeepCTR-Torch's models on the fields of a click log, for the benchmark of click models."""

from __future__ import annotations

import contextlib
import io
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def library() -> Any:
    """Return DeepCTR-Torch, kept from asking the network for its newest version when it is imported."""
    quiet = types.ModuleType("deepctr_torch.utils")
    quiet.check_version = lambda version: None  # type: ignore[attr-defined]
    sys.modules.setdefault("deepctr_torch.utils", quiet)
    import deepctr_torch.inputs
    import deepctr_torch.models

    return deepctr_torch


class Peer:
    """One of its models with dense Adam, without penalties, on categories alone.

    Parameters
    ----------
    name : str
        Of the class in ``deepctr_torch.models``.
    sizes : sequence of int
        Categories of each field.
    dim, rate, batch, seed
        As on our side.
    history : int, default 0
        Length of the histories of the last field, which share its table.
    linear : bool, default False
        Add first-order weights.
    options
        Layers of the model.
    """

    def __init__(
        self,
        name: str,
        sizes: Sequence[int],
        *,
        dim: int,
        rate: float,
        batch: int,
        seed: int,
        history: int = 0,
        linear: bool = False,
        **options: Any,
    ) -> None:
        inputs, models = library().inputs, library().models
        fields = [inputs.SparseFeat(f"c{i}", vocabulary_size=size, embedding_dim=dim) for i, size in enumerate(sizes)]
        self._batch, last = batch, f"c{len(sizes) - 1}"
        common = {"l2_reg_embedding": 0.0, "init_std": 0.01, "seed": seed, **options}
        if history:
            past = inputs.SparseFeat(f"hist_{last}", sizes[-1] + 1, dim, embedding_name=last)
            own = [
                *fields[:-1],
                inputs.SparseFeat(last, sizes[-1] + 1, dim),
                inputs.VarLenSparseFeat(past, maxlen=history, length_name="length"),
            ]
            self.model = getattr(models, name)(own, [last], **common)
        else:
            self.model = getattr(models, name)(fields if linear else [], fields, **common)
        self.model.compile("adam", "binary_crossentropy")
        for group in self.model.optim.param_groups:
            group["lr"] = rate

    @staticmethod
    def _columns(codes: np.ndarray, history: np.ndarray | None) -> Mapping[str, np.ndarray]:
        columns = {f"c{i}": column for i, column in enumerate(codes.T)}
        if history is None:
            return columns
        last = f"c{codes.shape[1] - 1}"
        # Its code 0 stands for padding.
        shifted = {last: columns[last] + 1, f"hist_{last}": history + 1}
        return {**columns, **shifted, "length": np.full(len(codes), history.shape[1])}

    def fit(self, codes: np.ndarray, history: np.ndarray | None, y: np.ndarray) -> Peer:
        """Train one epoch."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.model.fit(self._columns(codes, history), y, batch_size=self._batch, epochs=1, verbose=0)
        return self

    def predict(self, codes: np.ndarray, history: np.ndarray | None) -> np.ndarray:
        """Return probabilities (n,)."""
        return np.ravel(self.model.predict(self._columns(codes, history), self._batch))
