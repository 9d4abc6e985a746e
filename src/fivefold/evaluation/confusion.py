"""The confusion matrix as a stream: counts of every pair of true and predicted class, in either printed layout."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fivefold.base.checks import check_one_of
from fivefold.base.errors import DataError

from ._inputs import as_array
from .classification import _ConfusionMetric, confusion_matrix
from .metric import Metric

LAYOUTS = ("true-rows", "predicted-rows")
NORMALIZE = ("none", "true", "predicted", "all")


class ConfusionMatrix(_ConfusionMetric):
    r"""Weight of the rows of each true class by predicted class, over any batches and shards.

    With the default layout :math:`C_{ij} = \sum_n w_n [y_n = i][\hat y_n = j]`.

    Parameters
    ----------
    labels : array (k,), optional
        The classes; default: all that occur, sorted. Rows of other classes are refused.
    layout : "true-rows" (default) or "predicted-rows"
        Rows are the true class and classes ascend, as scikit-learn prints it; or rows are the predicted class and classes
        descend, so that two classes give [[TP, FP], [FN, TN]].
    normalize : "none" (default), "true", "predicted" or "all"
        Divide by the weight of each true class, of each predicted class, or of all rows; a class without rows gives 0.

    Raises
    ------
    DataError
        When lengths or types differ, or a label is not among ``labels``.

    Notes
    -----
    Sources print either layout; one is the transpose of the other with both axes reversed.

    References
    ----------
    Spec ``01#confusion-matrix``.
    """

    name: ClassVar[str] = "confusion-matrix"
    function = staticmethod(confusion_matrix)  # type: ignore[assignment]

    def __init__(self, labels: Any = None, layout: str = "true-rows", normalize: str = "none") -> None:
        check_one_of("layout", layout, LAYOUTS)
        check_one_of("normalize", normalize, NORMALIZE)
        known = None if labels is None else np.unique(as_array(labels, "labels")).tolist()
        Metric.__init__(self, labels=known, layout=layout, normalize=normalize)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> ConfusionMatrix:
        """Add rows: true and predicted labels (n,) and optional weights (n,)."""
        self._add(*confusion_matrix(y_true, y_pred, sample_weight, labels=self.options["labels"]))
        return self

    @property
    def order(self) -> np.ndarray:
        """The classes (k,) in the order of rows and columns."""
        if self.classes is None:
            raise DataError("The confusion matrix has seen no rows; call `update` first.")
        return self.classes if self.options["layout"] == "true-rows" else self.classes[::-1]

    def compute(self) -> np.ndarray:  # type: ignore[override]
        """Return the matrix (k, k) in the layout chosen."""
        self.order  # noqa: B018 - refuses an empty stream
        return super().compute()  # type: ignore[return-value]

    def _of(self, matrix: np.ndarray) -> np.ndarray:  # type: ignore[override]
        axis = {"true": 1, "predicted": 0, "all": None}
        if self.options["normalize"] != "none":
            total = matrix.sum(axis=axis[self.options["normalize"]], keepdims=True)
            matrix = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
        return matrix if self.options["layout"] == "true-rows" else matrix.T[::-1, ::-1]

    def __str__(self) -> str:
        names = [str(name) for name in self.order]
        cells = [[f"{value:g}" for value in row] for row in self.compute()]
        width = max(len(text) for text in [*names, *(c for row in cells for c in row)])
        side, top = ("true", "predicted") if self.options["layout"] == "true-rows" else ("predicted", "true")
        head = f"rows {side}, columns {top}"
        lines = [" " * width + " " + " ".join(name.rjust(width) for name in names)]
        lines += [name.rjust(width) + " " + " ".join(c.rjust(width) for c in row) for name, row in zip(names, cells)]
        return "\n".join([head, *lines])
