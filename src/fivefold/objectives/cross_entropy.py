"""Softmax cross-entropy and two ways to keep it from certainty: label smoothing and the confidence penalty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.checks import check_number
from fivefold.base.errors import CapabilityError, DataError, InputError

from ._common import (
    check_class_weight,
    check_classes,
    check_float,
    check_logits,
    check_reduction,
    checking,
    reduce,
    sum_slack,
    wide,
)
from ._numpy import NumpyForm


def smooth_labels(target: Tensor, n_classes: int, epsilon: float = 0.1, spread: str = "others") -> Tensor:
    r"""Return smoothed one-hot labels.

    .. math:: q_y = 1 - \epsilon, \quad q_j = \frac{\epsilon}{K - 1} \; (j \ne y)

    Parameters
    ----------
    target : int64 tensor of shape (n,)
    n_classes : int >= 2
    epsilon : float in [0, 1], default 0.1
    spread : "others" (default) or "all"
        "all" is Szegedy et al. 2016: :math:`(1 - \epsilon) 1[j = y] + \epsilon / K`.

    Returns
    -------
    Tensor of shape (n, n_classes) that sums to 1 in each row

    Examples
    --------
    >>> smooth_labels(torch.tensor([2]), 5, 0.04).tolist()[0][1:4]
    [0.009999999776482582, 0.9599999785423279, 0.009999999776482582]
    """
    check_number("epsilon", epsilon, 0, 1)
    _check_spread(spread)
    hot = nn.functional.one_hot(target, n_classes).to(torch.get_default_dtype())
    if spread == "all":
        return (1 - epsilon) * hot + epsilon / n_classes
    return hot * (1 - epsilon) + (1 - hot) * (epsilon / (n_classes - 1))


def _check_spread(spread: str) -> str:
    if spread not in ("others", "all"):
        raise InputError(f"spread must be 'others' (epsilon on the other classes) or 'all', got {spread!r}.")
    return spread


class CrossEntropyLoss(NumpyForm, nn.Module):
    r"""Softmax cross-entropy of logits, for class indices or for distributions over classes.

    .. math:: L_i = -w_{y_i} \ln \frac{e^{z_{i y_i}}}{\sum_j e^{z_{ij}}}
        \quad\text{or}\quad L_i = -\sum_j w_j q_{ij} \ln \mathrm{softmax}(z_i)_j

    Parameters
    ----------
    weight : sequence of k floats >= 0, optional
        Weight of each class, default all 1.
    ignore_index : int, default -100
        Rows with this class index cost nothing and count nothing.
    label_smoothing : float in [0, 1], default 0.0
        Targets become :math:`(1 - \epsilon) 1[j = y] + \epsilon / K`.
    reduction : "mean" (default), "sum" or "none"
        With class indices the mean divides by the sum of :math:`w_{y_i}` (times sample weights) of the rows that count; with
        distributions by their number (or by the sum of the sample weights), as in PyTorch.

    Shapes
    ------
    input : logits (n, k, ...); target : class indices (n, ...) of an integer type, or distributions (n, k, ...);
    sample_weight : (n, ...), optional; output : scalar, or (n, ...) with ``reduction="none"``

    Raises
    ------
    InputError
        When a parameter is out of range.
    DataError
        When shapes do not fit, a class index is out of range, or probabilities come where logits are wanted.

    Notes
    -----
    The mean over no rows (an empty batch, or all ignored) is 0 with zero gradient; PyTorch's is NaN. Half-precision inputs are
    computed in float32. The gradient to the logits of one row is softmax(z) - q.

    References
    ----------
    Spec ``01#cross-entropy``, ``01#softmax-ce``, ``02#softmax-cross-entropy``, ``08#losses-basic``.
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Sequence[float] | Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.register_buffer("weight", check_class_weight(weight))
        self.ignore_index = int(ignore_index)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, 0, 1)
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the loss of logits (n, k, ...) and class indices (n, ...) or distributions (n, k, ...)."""
        name = type(self).__name__
        check_float(name, input)
        soft = target.shape == input.shape and target.is_floating_point()
        if soft:
            self._check_distributions(name, input, target)
        else:
            check_classes(name, input, target, self.ignore_index)
        check_logits(name, input)
        logp = torch.log_softmax(wide(input), dim=1)  # (n, k, ...)
        weight = self._weights(logp)
        values, total = self._soft(logp, target, weight) if soft else self._hard(logp, target, weight)
        return reduce(name, values, self.reduction, input.dtype, sample_weight, total)

    def _weights(self, logp: Tensor) -> Tensor | None:
        if self.weight is None:
            return None
        if len(self.weight) != logp.shape[1]:
            raise DataError(f"weight holds {len(self.weight)} classes, but the logits have {logp.shape[1]}.")
        return self.weight.to(logp.dtype)

    def _smoothing(self, n_classes: int) -> float:
        """Return the share of the label that is spread over all classes."""
        return self.label_smoothing

    def _hard(self, logp: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        keep = target != self.ignore_index
        known = (target * keep).long()
        values = -logp.gather(1, known.unsqueeze(1)).squeeze(1)  # (n, ...)
        total = keep.to(logp.dtype)
        epsilon = self._smoothing(logp.shape[1])
        # Each class pays its own weight; what a row counts in the mean is the weight of its true class.
        if weight is not None:
            own = weight[known]
            values, total = values * own, total * own
        if epsilon:
            weighted = logp if weight is None else logp * _column(weight, logp)
            values = (1 - epsilon) * values - epsilon / logp.shape[1] * weighted.sum(1)
        return torch.where(keep, self._penalized(values, logp), 0), total

    def _soft(self, logp: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, None]:
        epsilon = self._smoothing(logp.shape[1])
        share = target.to(logp.dtype) * (1 - epsilon) + epsilon / logp.shape[1]
        if weight is not None:
            share = share * _column(weight, logp)
        # A class without share costs nothing, also where its log-probability is -inf.
        return self._penalized(-torch.where(share != 0, share * logp, 0).sum(1), logp), None

    def _penalized(self, values: Tensor, logp: Tensor) -> Tensor:
        """Return the values of rows with what a subclass adds."""
        return values

    def _numpy_targets(self, x: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the weighted shares (n, k) of the classes; an ignored row has none."""
        name = type(self).__name__
        if x.ndim != 2:
            raise DataError(f"The NumPy form of {name} needs logits (n, k), got shape {x.shape}.")
        epsilon = self._smoothing(x.shape[1])
        if target.shape == x.shape and target.dtype.kind == "f":
            self._check_distributions(name, torch.from_numpy(x), torch.from_numpy(target))
            share = target.astype(np.float64)
            keep = np.ones(len(x), dtype=bool)
        else:
            index = torch.from_numpy(np.ascontiguousarray(target))
            check_classes(name, torch.from_numpy(x), index, self.ignore_index)
            keep = target != self.ignore_index
            share = np.zeros_like(x)
            share[np.arange(len(x)), target * keep] = 1.0
        weight = self._weights(torch.from_numpy(x))
        share = (1 - epsilon) * share + epsilon / x.shape[1]
        return np.where(keep[:, None], share if weight is None else share * weight.numpy(), 0.0)

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logp = x - x.max(axis=1, keepdims=True)
        logp -= np.log(np.exp(logp).sum(axis=1, keepdims=True))
        return -(y * logp).sum(axis=1), np.exp(logp) * y.sum(axis=1, keepdims=True) - y

    @staticmethod
    def _check_distributions(name: str, input: Tensor, target: Tensor) -> None:
        if input.ndim < 2 or input.shape[1] < 2:
            raise DataError(f"{name} needs an input (n, k, ...) with k >= 2 classes; got shape {tuple(input.shape)}.")
        if checking() and not bool(((target >= 0).all(1) & ((target.sum(1) - 1).abs() <= sum_slack(target))).all()):
            raise DataError(f"{name} needs target distributions >= 0 that sum to 1 over the classes.")

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"label_smoothing={self.label_smoothing:g}, reduction={self.reduction!r}"


def _column(weight: Tensor, logp: Tensor) -> Tensor:
    return weight.reshape(1, -1, *[1] * (logp.ndim - 2))


class LabelSmoothingLoss(CrossEntropyLoss):
    r"""Cross-entropy against labels of which the share ε is taken from the true class.

    .. math:: L = -(1 - \epsilon) \ln p_y - \frac{\epsilon}{K - 1} \sum_{j \ne y} \ln p_j

    Parameters
    ----------
    epsilon : float in [0, 1], default 0.1
    spread : "others" (default) or "all"
        "others" gives the other K - 1 classes ε / (K - 1) each; "all" gives every class ε / K (Szegedy et al. 2016, PyTorch).
    weight, ignore_index, reduction
        As in :class:`CrossEntropyLoss`, also shapes and errors.

    Notes
    -----
    "others" with ε is PyTorch's ``label_smoothing`` of ε K / (K - 1). The source's example of five classes,
    (0.01, 0.01, 0.96, 0.01, 0.01), has ε = 0.04, not the printed 0.01; and the paper of the method is Szegedy et al., while
    the cited Pereyra et al. is the confidence penalty.

    References
    ----------
    Szegedy et al. 2016, "Rethinking the Inception Architecture"; spec ``02#label-smoothing``.
    """

    def __init__(
        self,
        epsilon: float = 0.1,
        spread: str = "others",
        weight: Sequence[float] | Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, ignore_index, reduction=reduction)
        self.epsilon = check_number("epsilon", epsilon, 0, 1)
        self.spread = _check_spread(spread)

    def _smoothing(self, n_classes: int) -> float:
        return self.epsilon if self.spread == "all" else self.epsilon * n_classes / (n_classes - 1)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"epsilon={self.epsilon:g}, spread={self.spread!r}, reduction={self.reduction!r}"


class ConfidencePenaltyLoss(CrossEntropyLoss):
    r"""Cross-entropy minus β times the entropy of the prediction: certainty costs.

    .. math:: L = -\ln p_y - \beta H(p), \quad H(p) = -\sum_j p_j \ln p_j

    Parameters
    ----------
    beta : float >= 0, default 0.1
        0 is cross-entropy.
    weight, ignore_index, reduction
        As in :class:`CrossEntropyLoss`, also shapes and errors. Class weights weigh the cross-entropy, not the entropy.

    Notes
    -----
    Up to a constant :math:`-H(p) = \mathrm{KL}(p \Vert u)` with the uniform u; label smoothing adds the other direction,
    :math:`\mathrm{KL}(u \Vert p)`. So the penalty is bounded by β ln K where smoothing has no bound.

    References
    ----------
    Pereyra et al. 2017, "Regularizing Neural Networks by Penalizing Confident Output Distributions"; spec
    ``02#confidence-penalty``.
    """

    def __init__(
        self,
        beta: float = 0.1,
        weight: Sequence[float] | Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, ignore_index, reduction=reduction)
        self.beta = check_number("beta", beta, 0)

    def _penalized(self, values: Tensor, logp: Tensor) -> Tensor:
        p = logp.exp()
        return values + self.beta * torch.where(p > 0, p * logp, 0).sum(1)

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise CapabilityError("ConfidencePenaltyLoss has no NumPy form; call it on tensors.")

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"beta={self.beta:g}, reduction={self.reduction!r}"
