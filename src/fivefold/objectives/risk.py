"""Expected risk, empirical risk, and the objective that training minimizes: loss plus regularizer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.random import Streams


class EmpiricalRisk(nn.Module):
    r"""Mean loss of a model over the examples at hand, plus a penalty on its weights.

    .. math:: J(\theta) = \frac{1}{N} \sum_{i=1}^N L(h_\theta(x_i), y_i) + \lambda R(\theta)

    Parameters
    ----------
    loss : module or function
        Called as ``loss(prediction, target)`` and with ``sample_weight`` where weights are given; it returns the mean.
    regularizer : module or function, optional
        Called with the model, for example :class:`L2Regularizer`.
    strength : float >= 0, default 1.0
        λ, times the strength that the regularizer itself may have.

    Shapes
    ------
    model : a module; x : its input; y : targets; sample_weight : as the loss wants; output : scalar

    Raises
    ------
    InputTypeError
        When the loss or the regularizer cannot be called.
    InputError
        When the strength is negative.
    DataError
        When the loss returns more than one number.

    Notes
    -----
    Without a regularizer it is the empirical risk; of examples drawn independently it is an unbiased estimate of the expected
    risk :math:`R(h) = E[L(h(x), y)]` of one fixed h, with an error that shrinks as :math:`1/\sqrt{N}`. At the h that minimizes
    it, it is too low. The loss must be a mean: with a sum, λ would mean less the more rows there are.

    References
    ----------
    Vapnik 1998; spec ``01#expected-risk``, ``01#empirical-risk``, ``08#objective-with-regulariser``.
    """

    def __init__(
        self,
        loss: Callable[..., Tensor],
        regularizer: Callable[[Any], Tensor] | None = None,
        strength: float = 1.0,
    ) -> None:
        super().__init__()
        for name, part in (("loss", loss), ("regularizer", regularizer)):
            if not callable(part) and (part is not None or name == "loss"):
                raise InputTypeError(f"{name} must be a module or a function, got {type(part).__name__}.")
        self.loss, self.regularizer = loss, regularizer
        self.strength = check_number("strength", strength, 0)

    def forward(self, model: nn.Module, x: Any, y: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the objective of a model on examples."""
        prediction = model(x)
        value = self.loss(prediction, y) if sample_weight is None else self.loss(prediction, y, sample_weight)
        if value.ndim:
            raise DataError(f"The loss must return one number, its mean; it has the shape {tuple(value.shape)}.")
        return value if self.regularizer is None else value + self.strength * self.regularizer(model)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"strength={self.strength:g}"


@dataclass(frozen=True)
class RiskEstimate:
    """An expected risk by simulation.

    Attributes
    ----------
    value : float
        Mean loss of the drawn examples.
    standard_error : float
        Standard deviation of the losses over the root of their number.
    n : int
        Examples drawn.
    """

    value: float
    standard_error: float
    n: int


def expected_risk(
    hypothesis: Callable[[np.ndarray], np.ndarray],
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray],
    sample: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]],
    n: int = 100_000,
    *,
    batch_size: int = 65_536,
    random_state: Any = 0,
) -> RiskEstimate:
    r"""Estimate the expected risk of a hypothesis by drawing examples.

    .. math:: R(h) = E_{(x, y) \sim P}[L(h(x), y)] \approx \frac{1}{N} \sum_{i=1}^N L(h(x_i), y_i)

    Parameters
    ----------
    hypothesis : function of x (m, ...) to predictions (m,)
    loss : function of predictions (m,) and targets (m,) to losses (m,)
    sample : function of a generator and m to m independent examples (x, y)
    n : int >= 2, default 100,000
        N.
    batch_size : int >= 1, default 65,536
        Examples drawn at a time.
    random_state : int, generator or None, default 0

    Returns
    -------
    RiskEstimate

    Raises
    ------
    InputError
        When n or batch_size is too small.
    DataError
        When the losses are not one finite number for each example.

    References
    ----------
    Spec ``01#expected-risk``.
    """
    if n < 2 or batch_size < 1:
        raise InputError(f"expected_risk needs n >= 2 and batch_size >= 1, got {n!r} and {batch_size!r}.")
    streams = Streams.of(random_state)
    sizes = [min(batch_size, n - start) for start in range(0, n, batch_size)]
    means, within = [], []
    for number, m in enumerate(sizes):
        x, y = sample(streams.numpy("examples", number), m)
        values = np.asarray(loss(hypothesis(x), y), dtype=np.float64)
        if values.shape != (m,) or not np.isfinite(values).all():
            raise DataError(f"The loss must give {m} finite numbers, one for each example; got shape {values.shape}.")
        means.append(values.mean())
        within.append(((values - means[-1]) ** 2).sum())
    # Spread within and between batches: the difference of sums of squares would cancel where it is small.
    mean = np.dot(sizes, means) / n
    spread = sum(within) + np.dot(sizes, (np.array(means) - mean) ** 2)
    return RiskEstimate(float(mean), math.sqrt(spread / (n - 1) / n), n)
