"""Warm-ups: small rates at the start, where large ones would throw a network with large batches off."""

from __future__ import annotations

from torch.optim import Optimizer

from fivefold.base.checks import check_number

from ._base import MetricSchedule, Schedule, whole


class LinearWarmup(Schedule):
    r"""Gradual warm-up (Goyal et al. 2017): the rate grows linearly to that of the optimizer, and stays.

    .. math:: \eta_t = \eta_0 \min(1, t / T), \quad t = 1, 2, \dots

    Add a decay to go on with it: ``LinearWarmup(optimizer, 500) + CosineDecay(optimizer, 9500)``; there is no jump between.

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is :math:`\eta_0`, per parameter group.
    warmup_steps : int >= 1
        T; in the default form, step number T is the first with the full rate.
    start_factor : float in [0, 1], default None
        Start at this share of :math:`\eta_0` and reach the full rate after T steps, as ``torch.optim.lr_scheduler.LinearLR``
        does. None starts at 1 / T as in the paper, so that no step is lost with a rate of zero.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When an argument is out of range.

    References
    ----------
    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017; 02#lr-warmup-gradual.
    """

    def __init__(
        self, optimizer: Optimizer, warmup_steps: int, start_factor: float | None = None, last_epoch: int = -1
    ) -> None:
        self.warmup_steps = whole("LinearWarmup: warmup_steps", warmup_steps)
        self.start_factor = (
            None if start_factor is None else check_number("LinearWarmup: start_factor", start_factor, 0.0, 1.0)
        )
        super().__init__(optimizer, last_epoch)

    @property
    def length(self) -> int:
        """The warm-up's steps."""
        return self.warmup_steps

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps, that is of step number t + 1."""
        if self.start_factor is None:
            return base * min(1.0, (t + 1) / self.warmup_steps)
        return base * (self.start_factor + (1 - self.start_factor) * min(1.0, t / self.warmup_steps))


class ConstantWarmup(MetricSchedule):
    r"""Constant warm-up (He et al. 2015): a small rate until the training error falls below a threshold, then the full one.

    .. math:: \eta = c\,\eta_0 \text{ until the first measured error} < \theta, \text{ then } \eta_0

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is :math:`\eta_0`, per parameter group: 0.1 in the paper, whose warm-up is at 0.01.
    factor : float in (0, 1], default 0.1
        c.
    threshold : float, default 0.8
        :math:`\theta`; an error of exactly this goes on warming up.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When an argument is out of range.

    Notes
    -----
    ``step(error)`` after each epoch hands over the error; ``step()`` counts a step without a measurement, and the rate stays.
    The jump may raise the training error for a moment, which is why :class:`LinearWarmup` came to be.

    References
    ----------
    He, Zhang, Ren & Sun, "Deep residual learning for image recognition", 2015, section 4.2; 02#lr-warmup-constant.
    """

    def __init__(self, optimizer: Optimizer, factor: float = 0.1, threshold: float = 0.8, last_epoch: int = -1) -> None:
        self.factor = check_number("ConstantWarmup: factor", factor, 0.0, 1.0, above=True)
        self.threshold = check_number("ConstantWarmup: threshold", threshold, -float("inf"))
        self.switched: int | None = None
        super().__init__(optimizer, last_epoch)

    @property
    def length(self) -> int | None:
        """Steps of the warm-up, once it is over."""
        return self.switched

    def observe(self, metric: float, t: int) -> None:
        """End the warm-up when the error is below the threshold."""
        if self.switched is None and metric < self.threshold:
            self.switched = t + 1

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps."""
        return base if self.switched is not None and t >= self.switched else base * self.factor


class LinearScaling(Schedule):
    r"""Linear scaling (Goyal et al. 2017): a batch k times as large takes a rate k times as large, after a warm-up.

    .. math:: \eta = \eta_0 \, b / b_0, \quad\text{approached linearly from } \eta_0 \text{ during the warm-up}

    With :math:`\eta_0 = 0.1` for :math:`b_0 = 256`: 0.4 for batches of 1024.

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is :math:`\eta_0`, the rate that is right for ``base_batch_size``, per parameter group.
    batch_size : int >= 1
        b, rows of one step over all workers.
    base_batch_size : int >= 1, default 256
        :math:`b_0`.
    warmup_steps : int >= 0, default 0
        Steps over which the rate moves from :math:`\eta_0` to the scaled one; the paper takes five epochs.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When an argument is out of range.

    References
    ----------
    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017; 02#lr-linear-scaling.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        batch_size: int,
        base_batch_size: int = 256,
        warmup_steps: int = 0,
        last_epoch: int = -1,
    ) -> None:
        self.batch_size = whole("LinearScaling: batch_size", batch_size)
        self.base_batch_size = whole("LinearScaling: base_batch_size", base_batch_size)
        self.warmup_steps = whole("LinearScaling: warmup_steps", warmup_steps, 0)
        super().__init__(optimizer, last_epoch)

    @property
    def length(self) -> int | None:
        """The warm-up's steps, if there is one."""
        return self.warmup_steps or None

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps."""
        scaled = base * self.batch_size / self.base_batch_size
        return scaled if t >= self.warmup_steps else base + (scaled - base) * t / self.warmup_steps
