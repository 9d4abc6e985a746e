"""Focal loss (Lin et al. 2017) and the warm-up with cross-entropy that its training wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputError, InputTypeError

from ._common import check_classes, check_float, check_logits, check_reduction, checking, reduce, signed, wide
from ._odds import own_and_others


class FocalLoss(nn.Module):
    r"""Focal loss of binary logits: cross-entropy in which easy rows count little.

    .. math:: \mathrm{FL}(p_t) = -\alpha_t (1 - p_t)^\gamma \ln p_t

    with :math:`p_t` the probability of the true class, and :math:`\alpha_t = \alpha` for class 1, :math:`1 - \alpha` for
    class 0.

    Parameters
    ----------
    gamma : float >= 0, default 2.0
        How strongly easy rows are muted; 0 gives (balanced) cross-entropy.
    alpha : float in [0, 1] or None, default 0.25
        Weight of class 1 against class 0; None weighs both 1.
    reduction : "mean" (default), "sum" or "none"
        The mean is over all entries, or weighted by the sample weights. Over no entries it is 0.

    Shapes
    ------
    input : logits, any shape; target : 0 or 1, the same shape; sample_weight : the same shape, optional; output : scalar, or
    the shape with ``reduction="none"``

    Raises
    ------
    InputError
        When a parameter is out of range.
    InputTypeError
        When the input holds no floating-point numbers.
    DataError
        When shapes differ or a target is neither 0 nor 1.

    Notes
    -----
    Computed from logits in log space, so values and gradients are finite for any finite logit and any gamma, also below 1,
    where differentiating the power itself gives infinities. Training from scratch with it is unstable; the usual cure is
    cross-entropy first, see :class:`LossSchedule`. The paper found α = 0.25 best *together* with γ = 2: rare positives get
    the smaller weight, because γ has muted the easy negatives already.

    References
    ----------
    Lin et al. 2017, "Focal Loss for Dense Object Detection"; spec ``01#focal-loss``.
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = 0.25, reduction: str = "mean") -> None:
        super().__init__()
        self.gamma = check_number("gamma", gamma, 0)
        if alpha is not None and not 0 <= alpha <= 1:
            raise InputError(f"alpha must lie in [0, 1] or be None, got {alpha!r}.")
        self.alpha = None if alpha is None else float(alpha)
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the loss of logits and 0/1 targets of one shape."""
        check_float("FocalLoss", input)
        if input.shape != target.shape:
            raise DataError(
                f"FocalLoss needs one target for each logit: input has shape {tuple(input.shape)}, target "
                f"{tuple(target.shape)}; for logits of several classes use MulticlassFocalLoss."
            )
        x = wide(input)
        target = target.to(x.dtype)
        if checking() and not bool(((target == 0) | (target == 1)).all()):
            raise DataError("FocalLoss takes targets 0 and 1; the target holds other values.")
        margin = signed(x, target)  # logit of the true class
        # ln p_t = logsigmoid(margin) and ln(1 - p_t) = logsigmoid(-margin), exact in both tails; torch's softplus cuts
        # its tail off at 20.
        values = -functional.logsigmoid(margin)
        if self.gamma != 0:
            values = values * torch.exp(self.gamma * functional.logsigmoid(-margin))
        if self.alpha is not None:
            values = values * (self.alpha * target + (1 - self.alpha) * (1 - target))
        return reduce("FocalLoss", values, self.reduction, input.dtype, sample_weight)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"gamma={self.gamma:g}, alpha={self.alpha}, reduction={self.reduction!r}"


class MulticlassFocalLoss(nn.Module):
    r"""Focal loss of logits of k classes: :math:`-\alpha_y (1 - p_y)^\gamma \ln p_y` with softmax probabilities.

    Parameters
    ----------
    gamma : float >= 0, default 2.0
        0 gives (weighted) cross-entropy.
    alpha : sequence of k floats >= 0, optional
        Weight of each class; default all 1.
    reduction : "mean" (default), "sum" or "none"
        The mean divides by the number of rows that count (or the sum of their sample weights), not by the sum of the classes'
        weights. Over no rows it is 0.
    ignore_index : int, default -100
        Rows with this class index cost nothing and count nothing.

    Shapes
    ------
    input : logits (n, k, ...); target : class indices (n, ...) of an integer type; sample_weight : (n, ...), optional;
    output : scalar, or (n, ...) with ``reduction="none"``

    Raises
    ------
    InputError
        When a parameter is out of range.
    InputTypeError
        When the input holds no floating-point numbers or the target no integers.
    DataError
        When shapes do not fit, a class index is out of range, or probabilities come where logits are wanted.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: Sequence[float] | None = None,
        reduction: str = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__()
        self.gamma = check_number("gamma", gamma, 0)
        if alpha is not None and not (isinstance(alpha, Sequence) and all(weight >= 0 for weight in alpha)):
            raise InputError(f"alpha must be a list of one weight >= 0 for each class, got {alpha!r}.")
        self.alpha = None if alpha is None else [float(weight) for weight in alpha]
        self.ignore_index = int(ignore_index)
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the loss of logits (n, k, ...) and class indices (n, ...)."""
        check_classes("MulticlassFocalLoss", input, target, self.ignore_index)
        check_logits("MulticlassFocalLoss", input)
        if self.alpha is not None and len(self.alpha) != input.shape[1]:
            raise DataError(f"alpha has {len(self.alpha)} weights, but the logits have {input.shape[1]} classes.")
        x = wide(input)
        keep = target != self.ignore_index
        known = (target * keep).long()
        # Against the joint mass of all other classes the problem is binary; 1 - p_y is never formed by subtraction.
        own, others = own_and_others(x, known)
        margin = own - others  # (n, ...)
        values = -functional.logsigmoid(margin)
        if self.gamma != 0:
            values = values * torch.exp(self.gamma * functional.logsigmoid(-margin))
        if self.alpha is not None:
            values = values * x.new_tensor(self.alpha)[known]
        total = keep.to(x.dtype)
        return reduce("MulticlassFocalLoss", values * total, self.reduction, input.dtype, sample_weight, total)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"gamma={self.gamma:g}, reduction={self.reduction!r}"


class LossSchedule(nn.Module):
    """Losses in turn: cross-entropy for the first batches, focal loss after that, for example.

    Focal loss trains unsteadily from random weights; warm up with cross-entropy, then switch, or fine-tune with it alone. A
    margin is annealed by losses of growing margins that share one ``weight`` parameter.

    Parameters
    ----------
    losses : sequence of m >= 1 modules
        Called as ``loss(input, target)``.
    steps : sequence of m - 1 ints >= 1
        For how many training batches each loss but the last is used; an epoch is as many batches as it has.

    Attributes
    ----------
    count : int64 tensor
        Training batches so far: calls in training mode with gradients enabled. Part of ``state_dict``, so a resumed training
        goes on in the right stage. An optimizer that evaluates its loss several times a batch (L-BFGS) counts each.

    Examples
    --------
    >>> from torch import nn
    >>> loss = LossSchedule([nn.BCEWithLogitsLoss(), FocalLoss()], steps=[500])

    References
    ----------
    Spec ``01#focal-loss``.
    """

    count: Tensor

    def __init__(self, losses: Sequence[nn.Module], steps: Sequence[int]) -> None:
        super().__init__()
        if not losses or not all(isinstance(loss, nn.Module) for loss in losses):
            raise InputTypeError("LossSchedule needs at least one loss, each a torch module.")
        if len(steps) != len(losses) - 1 or any(int(step) != step or step < 1 for step in steps):
            raise InputError(
                f"LossSchedule needs a number of batches >= 1 for each loss but the last: {len(losses)} losses want "
                f"{len(losses) - 1} numbers, got {list(steps)}."
            )
        self.losses = nn.ModuleList(losses)
        self.ends = [sum(int(step) for step in steps[: i + 1]) for i in range(len(steps))]
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self._calls = 0  # the count on the host, so that no batch waits for the device

    @property
    def stage(self) -> int:
        """Number of the loss in use, from 0."""
        return sum(self._calls >= end for end in self.ends)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of the current stage; in training mode, count the batch."""
        value: Tensor = self.losses[self.stage](input, target)
        if self.training and torch.is_grad_enabled():
            self._calls += 1
            self.count.fill_(self._calls)
        return value

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._calls = int(self.count)
