"""Losses of real targets: squared, absolute, Huber's and p-th powers of the residual."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.checks import check_number

from ._common import check_reduction, check_same, reduce, wide
from ._numpy import NumpyForm


class _ResidualLoss(NumpyForm, nn.Module):
    """A function of each residual, weighed and reduced."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the loss of predictions and targets of one shape."""
        name = type(self).__name__
        check_same(name, input, target)
        x = wide(input)
        values = self._values(x - target.to(x.dtype))
        return reduce(name, values, self.reduction, input.dtype, sample_weight)

    def _values(self, residual: Tensor) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"reduction={self.reduction!r}"


class MSELoss(_ResidualLoss):
    r"""Squared error; a constant that minimizes it is the mean. Outliers weigh much.

    .. math:: L = (\hat y - y)^2

    Parameters
    ----------
    reduction : "mean" (default), "sum" or "none"
        The mean is over all entries, or weighted by the sample weights. Over no entries it is 0.

    Shapes
    ------
    input, target, sample_weight : one shape; output : scalar, or the shape with ``reduction="none"``

    Raises
    ------
    DataError
        When shapes differ, also where PyTorch would broadcast.

    Notes
    -----
    In float16 an error above 255 overflows its square: the value is infinite there, as it is in PyTorch; float32 holds it.

    References
    ----------
    Spec ``01#mse-loss``, ``02#mse-loss-rmse-metric``, ``08#losses-basic``.
    """

    def _values(self, residual: Tensor) -> Tensor:
        return residual * residual

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        residual = x - y
        return residual * residual, 2 * residual


class MAELoss(_ResidualLoss):
    r"""Absolute error; a constant that minimizes it is the median. At residual 0 the slope is taken as 0.

    .. math:: L = \lvert \hat y - y \rvert

    Parameters
    ----------
    reduction : "mean" (default), "sum" or "none"
        As in :class:`MSELoss`, also shapes and errors.

    References
    ----------
    Spec ``01#mae-loss``, ``08#losses-basic``.
    """

    def _values(self, residual: Tensor) -> Tensor:
        return residual.abs()

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.abs(x - y), np.sign(x - y)


class HuberLoss(_ResidualLoss):
    r"""Squared error for small residuals, absolute error beyond δ: robust, and smooth at 0.

    .. math:: L = \begin{cases} r^2 / 2 & |r| \le \delta \\ \delta |r| - \delta^2 / 2 & |r| > \delta \end{cases}

    Parameters
    ----------
    delta : float > 0, default 1.0
        Where the square ends; in units of the target.
    reduction : "mean" (default), "sum" or "none"
        As in :class:`MSELoss`, also shapes and errors.

    References
    ----------
    Huber 1964, "Robust Estimation of a Location Parameter"; spec ``01#huber-loss``.
    """

    def __init__(self, delta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.delta = check_number("delta", delta, 0, above=True)

    def _values(self, residual: Tensor) -> Tensor:
        size = residual.abs()
        near = size.clamp(max=self.delta)  # min(|r|, δ): the square part, whose slope is cut off beyond δ
        return near * (size - 0.5 * near)

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        near = np.clip(x - y, -self.delta, self.delta)
        return near * (x - y - 0.5 * near), near

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"delta={self.delta:g}, reduction={self.reduction!r}"


class LpLoss(_ResidualLoss):
    r"""p-th power of the absolute residual: p = 1 is the absolute, p = 2 the squared error.

    .. math:: L = \lvert \hat y - y \rvert^p

    Parameters
    ----------
    p : float >= 1, default 1.5
        Below 1 the slope at 0 is infinite and the loss not convex: refused.
    reduction : "mean" (default), "sum" or "none"
        As in :class:`MSELoss`, also shapes and errors.

    References
    ----------
    Spec ``08#losses-basic``.
    """

    def __init__(self, p: float = 1.5, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.p = check_number("p", p, 1)

    def _values(self, residual: Tensor) -> Tensor:
        size = residual.abs()
        # 0 is cut out of the power, whose second derivative is infinite there for p < 2.
        zero = size == 0
        return torch.where(zero, size, torch.where(zero, torch.ones_like(size), size).pow(self.p))

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = np.abs(x - y)
        return size**self.p, self.p * np.sign(x - y) * size ** (self.p - 1)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"p={self.p:g}, reduction={self.reduction!r}"
