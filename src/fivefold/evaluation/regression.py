"""Metrics of regressors: root mean squared error, mean absolute error and the coefficient of determination."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from fivefold.base.errors import DataError, InputError

from ._inputs import as_rows
from .metric import Metric


def _value_rows(
    y_true: Any, y_pred: Any, sample_weight: Any, what: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return targets and predictions as float64 (n, outputs) and weights."""
    true, pred, weight = as_rows(y_true, y_pred, sample_weight, what=what)
    arrays = []
    for name, array in (("y_true", true), ("y_pred", pred)):
        if array.dtype.kind not in "biuf":
            raise DataError(f"{what} compares numbers; {name} holds {array.ravel()[0]!r}.")
        if array.ndim > 2:
            raise DataError(f"{what} takes values of shape (n,) or (n, outputs); {name} has shape {array.shape}.")
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            raise DataError(
                f"{name} holds {int((~np.isfinite(array)).sum())} infinite values; {what} needs finite ones."
            )
        arrays.append(array[:, None] if array.ndim == 1 else array)
    if arrays[0].shape != arrays[1].shape:
        # Subtracting (n,) from (n, 1) the NumPy way would give an (n, n) table, hence the check after both are columns.
        raise DataError(f"{what} needs equal shapes; y_true has {true.shape}, y_pred has {pred.shape}.")
    return arrays[0], arrays[1], weight


def rmse(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    r"""Root mean squared error, in the unit of the target.

    .. math:: \sqrt{\tfrac{1}{W} \sum_i w_i (y_i - \hat y_i)^2}

    Parameters
    ----------
    y_true, y_pred : array (n,) or (n, outputs)
        With several outputs, the mean of their errors.
    sample_weight : array (n,), >= 0, optional

    Returns
    -------
    float >= 0

    Raises
    ------
    DataError
        When shapes differ or values are not finite numbers.
    """
    true, pred, weight = _value_rows(y_true, y_pred, sample_weight, "rmse")
    return float(np.sqrt(np.average((true - pred) ** 2, axis=0, weights=weight)).mean())


def mae(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    r"""Mean absolute error :math:`\frac{1}{W} \sum_i w_i |y_i - \hat y_i|`, in the unit of the target.

    Parameters, returns and errors as in :func:`rmse`.
    """
    true, pred, weight = _value_rows(y_true, y_pred, sample_weight, "mae")
    return float(np.average(np.abs(true - pred), axis=0, weights=weight).mean())


def r2(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    r"""Coefficient of determination: the share of the target's variance that is explained.

    .. math:: R^2 = 1 - \frac{\sum_i w_i (y_i - \hat y_i)^2}{\sum_i w_i (y_i - \bar y)^2}

    Parameters
    ----------
    y_true, y_pred : array (n,) or (n, outputs)
        With several outputs, the mean of their values.
    sample_weight : array (n,), >= 0, optional

    Returns
    -------
    float <= 1
        0 for the constant mean, negative for worse.

    Raises
    ------
    DataError
        Also when ``y_true`` is constant, where it is undefined.
    """
    return R2().update(y_true, y_pred, sample_weight).compute()


class _MeanMetric(Metric):
    """A metric that the weighted mean of a per-row error determines: keeps the sums."""

    needs: ClassVar[str] = "values"
    higher_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ("regression",)

    def reset(self) -> None:
        self.weight = 0.0
        self.total: np.ndarray | None = None  # (outputs,)

    def _error(self, difference: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _value(self, mean: np.ndarray) -> np.ndarray:
        return mean

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        true, pred, weight = _value_rows(y_true, y_pred, sample_weight, self.name)
        error = self._error(true - pred)
        self._add(
            error.sum(axis=0) if weight is None else weight @ error, len(true) if weight is None else weight.sum()
        )
        return self

    def merge(self, other: Metric) -> Self:
        self._check_same(other)
        if other.total is not None:  # type: ignore[attr-defined]
            self._add(other.total, other.weight)  # type: ignore[attr-defined]
        return self

    def _add(self, total: np.ndarray, weight: float) -> None:
        self.total = total.copy() if self.total is None else self.total + total
        self.weight += float(weight)

    def compute(self) -> float:
        if self.total is None:
            raise InputError(f"{self.name} has seen no rows; call `update` before `compute`.")
        return float(self._value(self.total / self.weight).mean())


class RMSE(_MeanMetric):
    """Streaming :func:`rmse`."""

    name: ClassVar[str] = "rmse"
    function = staticmethod(rmse)

    def _error(self, difference: np.ndarray) -> np.ndarray:
        return difference**2

    def _value(self, mean: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt(mean))


class MAE(_MeanMetric):
    """Streaming :func:`mae`."""

    name: ClassVar[str] = "mae"
    function = staticmethod(mae)

    def _error(self, difference: np.ndarray) -> np.ndarray:
        return np.asarray(np.abs(difference))


class R2(Metric):
    """Streaming :func:`r2`: keeps mean and centered sums, which merge without cancellation (Chan et al. 1979)."""

    name: ClassVar[str] = "r2"
    needs: ClassVar[str] = "values"
    higher_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    function = staticmethod(r2)

    def reset(self) -> None:
        self.weight = 0.0
        self.mean: np.ndarray | None = None  # (outputs,) of the target
        self.spread: np.ndarray | None = None  # (outputs,) Σ w (y - mean)²
        self.residual: np.ndarray | None = None  # (outputs,) Σ w (y - ŷ)²

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        true, pred, weight = _value_rows(y_true, y_pred, sample_weight, self.name)
        # Exactly constant targets must have spread exactly 0: the mean of equal numbers can be off by a rounding.
        mean = np.clip(np.average(true, axis=0, weights=weight), true.min(axis=0), true.max(axis=0))
        w = np.ones(len(true)) if weight is None else weight
        self._add(float(w.sum()), mean, w @ (true - mean) ** 2, w @ (true - pred) ** 2)
        return self

    def merge(self, other: Metric) -> Self:
        self._check_same(other)
        if other.mean is not None:  # type: ignore[attr-defined]
            self._add(other.weight, other.mean, other.spread, other.residual)  # type: ignore[attr-defined]
        return self

    def _add(self, weight: float, mean: np.ndarray, spread: np.ndarray, residual: np.ndarray) -> None:
        if self.mean is None or self.spread is None or self.residual is None:
            self.weight, self.mean, self.spread, self.residual = weight, mean, spread, residual
            return
        total = self.weight + weight
        delta = mean - self.mean
        self.spread = self.spread + spread + delta**2 * (self.weight * weight / total)
        self.mean = self.mean + delta * (weight / total)
        self.residual = self.residual + residual
        self.weight = total

    def compute(self) -> float:
        if self.spread is None or self.residual is None:
            raise InputError(f"{self.name} has seen no rows; call `update` before `compute`.")
        if (self.spread == 0).any():
            raise DataError(
                "r2 is undefined for a constant y_true, which has no variance to explain; use rmse or mae, or more rows."
            )
        return float((1.0 - self.residual / self.spread).mean())
