"""Streaming metrics: an object with ``update``, ``merge`` and ``compute`` around a plain function of arrays.

The value over a data set is in general *not* the mean of the values over its batches (the area under the ROC curve is the
classic case), so a metric either keeps the rows it saw or sums that determine its value exactly. Batches and shards may
then come in any grouping: ``compute`` after any split and merge equals the function on all rows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from fivefold.base.codec import Stateful
from fivefold.base.errors import InputError, InputTypeError

from ._inputs import as_rows


class Metric(Stateful):
    """A metric over rows that arrive in batches.

    Class attributes
    ----------------
    name : str
        Id under which the registry knows it, for example ``"roc-auc"``.
    needs : "labels", "scores", "probabilities" or "values"
        What ``y_pred`` must hold.
    higher_is_better : bool
    level : "algorithm", "enterprise" or "user"
        Whom the number speaks to: the modeler, the business or the person served.
    tasks : tuple of str
        Among "binary", "multiclass", "regression".
    function : callable (y_true, y_pred, sample_weight=None, **options) -> float
        The same metric of whole arrays.
    """

    name: ClassVar[str]
    needs: ClassVar[str]
    higher_is_better: ClassVar[bool]
    level: ClassVar[str] = "algorithm"
    tasks: ClassVar[tuple[str, ...]]
    function: ClassVar[Callable[..., float]]

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self.rows: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        """Add rows: targets (n, ...), predictions (n, ...) and optional weights (n,)."""
        true, pred, weight = as_rows(y_true, y_pred, sample_weight, what=self.name)
        # Copies, because callers reuse the buffers of their batches.
        self.rows.append((np.array(true), np.array(pred), None if weight is None else np.array(weight)))
        return self

    def merge(self, other: Metric) -> Self:
        """Add all rows of ``other``, a metric of the same class and options."""
        self._check_same(other)
        self.rows.extend(other.rows)
        return self

    def compute(self) -> float:
        """Return the metric of all rows so far."""
        if not self.rows:
            raise InputError(f"{self.name} has seen no rows; call `update` before `compute`.")
        weights = [w for _, _, w in self.rows]
        weight = None
        if any(w is not None for w in weights):
            # Rows that came without a weight count once.
            weight = np.concatenate([np.ones(len(t)) if w is None else w for t, _, w in self.rows])
        true = np.concatenate([t for t, _, _ in self.rows])
        pred = np.concatenate([p for _, p, _ in self.rows])
        return type(self).function(true, pred, weight, **self.options)

    @property
    def bytes_per_row(self) -> float:
        """Bytes of memory that a row seen so far takes here; 0 for a metric that keeps sums instead of rows."""
        rows = getattr(self, "rows", [])
        held = sum(array.nbytes for row in rows for array in row if array is not None)
        return held / sum(len(row[0]) for row in rows) if rows else 0.0

    def fresh(self, classes: Any = None) -> Self:
        """Return an empty metric with the same options; ``classes`` (k,) are its ``labels`` unless it has some.

        A fold or shard may lack a class that the columns of its predictions name, so whoever knows the classes says them.
        """
        other = copy.deepcopy(self)
        if classes is not None and "labels" in other.options and other.options["labels"] is None:
            other.options["labels"] = np.asarray(classes).tolist()
        other.reset()
        return other

    def copy(self) -> Self:
        """Return an independent metric with the same options and rows."""
        return copy.deepcopy(self)

    def _check_same(self, other: Metric) -> None:
        if type(other) is not type(self) or other.options != self.options:
            raise InputTypeError(
                f"Only metrics of one kind merge: this is {self!r}, the other is {other!r}; build both the same way."
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.options.items())})"
