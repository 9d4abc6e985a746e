"""Losses of binary targets: cross-entropy, its balanced form, GHM, hinge and the 0/1 loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputError

from ._common import check_reduction, check_same, checking, reduce, signed, wide
from ._numpy import NumpyForm, log_sigmoid


class _BinaryLoss(NumpyForm, nn.Module):
    """A function of the score of class 1 and of targets 0 and 1 (or, where allowed, between)."""

    soft = False

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the loss of scores and targets of one shape."""
        name = type(self).__name__
        check_same(name, input, target)
        x = wide(input)
        y = target.to(x.dtype)
        if checking():
            self._check_targets(y)
        return reduce(name, self._values(x, y), self.reduction, input.dtype, sample_weight)

    def _check_targets(self, y: Tensor | np.ndarray) -> None:
        allowed = ((y >= 0) & (y <= 1)) if self.soft else ((y == 0) | (y == 1))
        if not bool(allowed.all()):
            what = "between 0 and 1" if self.soft else "0 and 1"
            raise DataError(f"{type(self).__name__} takes targets {what}; the target holds other values.")

    def _numpy_targets(self, x: np.ndarray, target: np.ndarray) -> np.ndarray:
        y = super()._numpy_targets(x, target)
        self._check_targets(y)
        return y

    def _values(self, x: Tensor, y: Tensor) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"reduction={self.reduction!r}"


class BinaryCrossEntropyLoss(_BinaryLoss):
    r"""Cross-entropy of binary logits: :math:`-\ln p_t`, with :math:`p_t` the probability of the true class.

    .. math:: L = -w\, y \ln \sigma(z) - (1 - y) \ln(1 - \sigma(z))

    Parameters
    ----------
    pos_weight : float > 0, default 1.0
        Weight w of class 1.
    reduction : "mean" (default), "sum" or "none"
        The mean is over all entries, or weighted by the sample weights. Over no entries it is 0.

    Shapes
    ------
    input : logits, any shape; target : 0 or 1 or between, the same shape; sample_weight : the same shape, optional;
    output : scalar, or the shape with ``reduction="none"``

    Raises
    ------
    DataError
        When shapes differ or a target lies outside [0, 1].

    Notes
    -----
    Both logarithms are taken from the logit itself, so values and slopes are right at any finite logit. With labels ±1 the
    same loss is :math:`\ln(1 + e^{-yz})`; divided by ln 2 it bounds the 0/1 loss from above.

    References
    ----------
    Spec ``01#binary-cross-entropy-pt``, ``05#binary-cross-entropy``, ``08#losses-basic``.
    """

    soft = True

    def __init__(self, pos_weight: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.pos_weight = check_number("pos_weight", pos_weight, 0, above=True)

    def _values(self, x: Tensor, y: Tensor) -> Tensor:
        return -self.pos_weight * y * functional.logsigmoid(x) - (1 - y) * functional.logsigmoid(-x)

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (one, other), (zero, own) = log_sigmoid(x), log_sigmoid(-x)
        weight = self.pos_weight * y
        return -weight * one - (1 - y) * zero, (1 - y) * own - weight * other


class BalancedCrossEntropyLoss(_BinaryLoss):
    r"""α-balanced cross-entropy of binary logits.

    .. math:: L = -\alpha_t \ln p_t, \quad \alpha_t = \alpha \text{ (class 1)}, \; 1 - \alpha \text{ (class 0)}

    Parameters
    ----------
    alpha : float in [0, 1], default 0.5
        Weight of class 1; 0.5 halves plain cross-entropy. :meth:`from_counts` takes it from the sizes of the classes.
    reduction : "mean" (default), "sum" or "none"
        As in :class:`BinaryCrossEntropyLoss`; the mean divides by entries, not by α.

    Raises
    ------
    InputError
        When alpha is out of range.
    DataError
        When shapes differ or a target is neither 0 nor 1.

    Notes
    -----
    It is (1 - α) times cross-entropy with ``pos_weight`` α / (1 - α).

    References
    ----------
    Spec ``01#balanced-cross-entropy``.
    """

    def __init__(self, alpha: float = 0.5, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.alpha = check_number("alpha", alpha, 0, 1)

    @classmethod
    def from_counts(cls, positives: int, negatives: int, reduction: str = "mean") -> BalancedCrossEntropyLoss:
        r"""Return the loss with the reciprocal weights :math:`\alpha = N_{neg} / N`, so that both classes weigh the same."""
        if positives < 1 or negatives < 1:
            raise InputError(f"from_counts needs at least one row of each class, got {positives} and {negatives}.")
        return cls(negatives / (positives + negatives), reduction)

    def _values(self, x: Tensor, y: Tensor) -> Tensor:
        weight = self.alpha * y + (1 - self.alpha) * (1 - y)
        return -weight * functional.logsigmoid(signed(x, y))

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight = self.alpha * y + (1 - self.alpha) * (1 - y)
        value, slope = log_sigmoid(np.where(y > 0, x, -x))
        return -weight * value, weight * np.where(y > 0, -slope, slope)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"alpha={self.alpha:g}, reduction={self.reduction!r}"


class HingeLoss(_BinaryLoss):
    r"""Hinge loss: rows on the right side of the margin cost nothing, others the distance to it.

    .. math:: L = \max(0, 1 - y h), \quad y = \pm 1

    Parameters
    ----------
    power : 1 (default) or 2
        2 squares the loss, which makes it smooth.
    reduction : "mean" (default), "sum" or "none"
        As in :class:`BinaryCrossEntropyLoss`.

    Shapes
    ------
    input : scores h, any shape; target : 0 or 1, the same shape, read as y = -1 and +1

    Raises
    ------
    InputError
        When power is neither 1 nor 2.
    DataError
        When shapes differ or a target is neither 0 nor 1.

    Notes
    -----
    At the margin itself the slope is 0. A row on the wrong side costs more than 1 (the source prints [0, ∞) at one place);
    being far on the right side earns nothing, so that training attends to the rows near or beyond the margin.

    References
    ----------
    Spec ``01#hinge-loss``.
    """

    def __init__(self, power: int = 1, reduction: str = "mean") -> None:
        super().__init__(reduction)
        if power not in (1, 2):
            raise InputError(f"power must be 1 or 2, got {power!r}.")
        self.power = int(power)

    def _values(self, x: Tensor, y: Tensor) -> Tensor:
        short = functional.relu(1 - signed(x, y))
        return short if self.power == 1 else short * short

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        short = np.maximum(1 - np.where(y > 0, x, -x), 0)
        value, slope = (short, np.sign(short)) if self.power == 1 else (short * short, 2 * short)
        return value, np.where(y > 0, -slope, slope)


class ZeroOneLoss(_BinaryLoss):
    r"""The ideal loss: 1 for a row on the wrong side of the threshold, 0 for others. It has no slope to learn from.

    .. math:: L = 1[\hat y \ne y], \quad \hat y = 1[h > 0]

    Parameters
    ----------
    threshold : float, default 0.0
        Scores above it are class 1; a score equal to it is class 0.
    reduction : "mean" (default), "sum" or "none"
        As in :class:`BinaryCrossEntropyLoss`; the mean is the error rate, the sum the number of errors.

    Raises
    ------
    DataError
        When shapes differ or a target is neither 0 nor 1.

    Notes
    -----
    The gradient is 0 wherever it exists, so no training by gradients moves with this loss: it is what surrogates such as the
    hinge and cross-entropy stand for. The source once reads δ = 1 as a match; it marks a mismatch.

    References
    ----------
    Spec ``05#zero-one-loss``.
    """

    def __init__(self, threshold: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.threshold = check_number("threshold", threshold)

    def _values(self, x: Tensor, y: Tensor) -> Tensor:
        # The sign carries the zero slope, so that backward is defined.
        return ((x - self.threshold).sign().clamp(min=0) - y).abs()

    def _numpy_values(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.abs((x > self.threshold) - y), np.zeros_like(x)


class GHMCLoss(_BinaryLoss):
    r"""Cross-entropy in which rows count inversely to how many others have a gradient as long as theirs.

    .. math:: L = \sum_i \frac{\mathrm{CE}_i}{\mathrm{GD}(g_i)}, \quad g_i = |\sigma(z_i) - y_i|

    with the gradient density :math:`\mathrm{GD}(g)`: rows per unit of gradient norm near g.

    Parameters
    ----------
    bins : int >= 1, default 30
        Number of unit bins of [0, 1] in which the density is counted.
    momentum : float in [0, 1), default 0.0
        Moving average of the counts over training batches; the paper uses 0.75.
    exact : bool, default False
        Count the density around each row, in a window of width 1 / bins that is cut off at 0 and 1, instead of in fixed bins.
        Momentum has no meaning then.
    reduction : "mean" (default), "sum" or "none"
        The mean over all N rows of :math:`\beta_i \mathrm{CE}_i` with :math:`\beta_i = N / \mathrm{GD}(g_i)`, as in the
        paper; the weights β carry no gradient.

    Attributes
    ----------
    counts : tensor of shape (bins,)
        Moving average of the counts; part of ``state_dict``.

    Raises
    ------
    InputError
        When a parameter is out of range.
    DataError
        When shapes differ or a target is neither 0 nor 1.

    Notes
    -----
    The density is a count per length, not a probability. Of fixed bins with n rows inside, GD = n · bins; when the norms are
    spread evenly every β is 1 and the loss is cross-entropy. mmdetection divides by the number of bins that hold rows instead
    of by all ``bins``, so its loss is larger by that ratio.

    References
    ----------
    Li, Liu & Wang 2019, "Gradient Harmonized Single-stage Detector"; spec ``01#ghm-c``.
    """

    counts: Tensor

    def __init__(self, bins: int = 30, momentum: float = 0.0, exact: bool = False, reduction: str = "mean") -> None:
        super().__init__(reduction)
        if not isinstance(bins, int) or bins < 1:
            raise InputError(f"bins must be an integer >= 1, got {bins!r}.")
        if not 0 <= momentum < 1:
            raise InputError(f"momentum must lie in [0, 1), got {momentum!r}.")
        if exact and momentum:
            raise InputError("The exact density keeps no counts; leave momentum at 0.")
        self.bins, self.momentum, self.exact = bins, float(momentum), bool(exact)
        self.register_buffer("counts", torch.zeros(bins, dtype=torch.float64))

    def _values(self, x: Tensor, y: Tensor) -> Tensor:
        norm = torch.sigmoid(-signed(x.detach(), y))  # |σ(z) - y|, exact in both tails
        density = self._window(norm.flatten()) if self.exact else self._binned(norm.flatten())
        beta = (norm.numel() / density).reshape(x.shape).to(x.dtype)
        return -beta * functional.logsigmoid(signed(x, y))

    def _binned(self, norm: Tensor) -> Tensor:
        place = (norm * self.bins).long().clamp(max=self.bins - 1)
        counts = torch.zeros_like(self.counts).index_add(0, place, torch.ones_like(norm, dtype=self.counts.dtype))
        if self.momentum and self.training and torch.is_grad_enabled():
            fresh = self.momentum * self.counts + (1 - self.momentum) * counts
            # As in the paper's code a bin that never held a row starts at 0 and is only updated when it holds one.
            self.counts.copy_(torch.where(counts > 0, fresh, self.counts))
            counts = self.counts.clone()
        return counts[place] * self.bins

    def _window(self, norm: Tensor) -> Tensor:
        half = 0.5 / self.bins
        norm = norm.double()
        ordered = norm.sort().values
        inside = torch.searchsorted(ordered, norm + half) - torch.searchsorted(
            ordered, norm - half
        )  # in [g - h, g + h)
        length = (norm + half).clamp(max=1) - (norm - half).clamp(min=0)
        # The window is half open above: a norm that equals 1 would fall out of none, so every row sees at least itself.
        return inside.clamp(min=1) / length
