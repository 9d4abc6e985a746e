"""Metrics of regressors: squared, absolute and percentage errors and the coefficient of determination."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from fivefold.base.checks import check_one_of
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


def mse(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    r"""Mean squared error, in the squared unit of the target.

    .. math:: \tfrac{1}{W} \sum_i w_i (y_i - \hat y_i)^2

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

    References
    ----------
    Spec ``01#mse-metric``, ``04#ctr-metrics``.
    """
    true, pred, weight = _value_rows(y_true, y_pred, sample_weight, "mse")
    return float(np.average((true - pred) ** 2, axis=0, weights=weight).mean())


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

    Notes
    -----
    The root is taken once, of the mean. A root of every row's square inside the mean, as a source prints it, is the mean
    absolute error; and the mean over batches of their values is not the value of the whole set.

    References
    ----------
    Spec ``01#rmse-metric``, ``02#mse-loss-rmse-metric``.
    """
    true, pred, weight = _value_rows(y_true, y_pred, sample_weight, "rmse")
    return float(np.sqrt(np.average((true - pred) ** 2, axis=0, weights=weight)).mean())


def mae(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    r"""Mean absolute error :math:`\frac{1}{W} \sum_i w_i |y_i - \hat y_i|`, in the unit of the target.

    Parameters, returns and errors as in :func:`rmse`.

    References
    ----------
    Spec ``01#mae-metric``.
    """
    true, pred, weight = _value_rows(y_true, y_pred, sample_weight, "mae")
    return float(np.average(np.abs(true - pred), axis=0, weights=weight).mean())


ZEROS = ("error", "skip", "epsilon")


def _percentages(true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, zero: str) -> tuple[Any, Any]:
    """Return the summed relative errors (outputs,) and the weight they share (outputs,)."""
    size, w = np.abs(true), np.ones(len(true)) if weight is None else weight
    kept = size > 0
    if zero == "error" and not kept.all():
        raise DataError(
            f"mape divides by y_true, which is 0 in {int((~kept).sum())} entries; pass zero='skip' to leave them out, "
            "zero='epsilon' to divide by 2.2e-16 as scikit-learn does, or use mae."
        )
    if zero != "skip":
        kept = np.ones_like(kept)
    relative = np.abs(true - pred) / np.maximum(size, np.finfo(np.float64).eps)
    return w @ np.where(kept, relative, 0.0), w @ kept


def mape(y_true: Any, y_pred: Any, sample_weight: Any = None, *, zero: str = "error") -> float:
    r"""Mean absolute percentage error, as a fraction: 0.1 is ten percent.

    .. math:: \tfrac{1}{W} \sum_i w_i \frac{|y_i - \hat y_i|}{|y_i|}

    Parameters
    ----------
    y_true, y_pred : array (n,) or (n, outputs)
        With several outputs, the mean of their errors.
    sample_weight : array (n,), >= 0, optional
    zero : "error" (default), "skip" or "epsilon"
        What to do where ``y_true`` is 0 and the error is undefined: refuse, leave these entries out of sum and weight, or
        divide by the machine epsilon as scikit-learn does, which makes one such row outweigh all others.

    Returns
    -------
    float >= 0

    Raises
    ------
    DataError
        When shapes differ, values are not finite numbers, or ``y_true`` holds a 0 that ``zero`` does not settle.

    Notes
    -----
    A forecast too low costs at most 1 and one too high any amount, so it favors low forecasts.

    References
    ----------
    Spec ``01#mape-metric``.
    """
    return MAPE(zero=zero).update(y_true, y_pred, sample_weight).compute()


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

    Notes
    -----
    A source divides the spread of the target by spread plus residual, which never is negative; that is another number.

    References
    ----------
    Spec ``01#r2-metric``.
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


class MSE(_MeanMetric):
    """Streaming :func:`mse`."""

    name: ClassVar[str] = "mse"
    function = staticmethod(mse)

    def _error(self, difference: np.ndarray) -> np.ndarray:
        return difference**2


class MAE(_MeanMetric):
    """Streaming :func:`mae`."""

    name: ClassVar[str] = "mae"
    function = staticmethod(mae)

    def _error(self, difference: np.ndarray) -> np.ndarray:
        return np.asarray(np.abs(difference))


class MAPE(Metric):
    """Streaming :func:`mape`; ``zero`` as there."""

    name: ClassVar[str] = "mape"
    needs: ClassVar[str] = "values"
    higher_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    function = staticmethod(mape)

    def __init__(self, zero: str = "error") -> None:
        super().__init__(zero=check_one_of("zero", zero, ZEROS))

    def reset(self) -> None:
        self.total: np.ndarray | None = None  # (outputs,)
        self.weight: np.ndarray | None = None  # (outputs,)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        true, pred, weight = _value_rows(y_true, y_pred, sample_weight, self.name)
        self._add(*_percentages(true, pred, weight, self.options["zero"]))
        return self

    def merge(self, other: Metric) -> Self:
        self._check_same(other)
        if other.total is not None:  # type: ignore[attr-defined]
            self._add(other.total, other.weight)  # type: ignore[attr-defined]
        return self

    def _add(self, total: np.ndarray, weight: np.ndarray) -> None:
        self.total = total if self.total is None else self.total + total
        self.weight = weight if self.weight is None else self.weight + weight

    def compute(self) -> float:
        if self.total is None or self.weight is None:
            raise InputError(f"{self.name} has seen no rows; call `update` before `compute`.")
        if (self.weight == 0).any():
            raise DataError("mape has no row left: y_true is 0 everywhere; use mae.")
        return float((self.total / self.weight).mean())


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
