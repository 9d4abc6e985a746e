"""Lower rates when a validation metric no longer improves."""

from __future__ import annotations

import math

from torch.optim import Optimizer

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError

from ._base import MetricSchedule, whole


class ReduceOnPlateau(MetricSchedule):
    r"""Multiply the rate by ``factor`` when the metric has not improved in more than ``patience`` measurements.

    .. math:: \eta \leftarrow \max(\gamma \eta, \eta_{min})

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is the first rate, per parameter group.
    mode : {"min", "max"}, default "min"
        Whether a smaller or a larger metric is better.
    factor : float in (0, 1), default 0.1
        :math:`\gamma`.
    patience : int >= 0, default 10
        Measurements without improvement that are borne; the one after them lowers the rate.
    threshold : float >= 0, default 1e-4
        Least improvement that counts, as a share of the best metric or absolute.
    threshold_mode : {"rel", "abs"}, default "rel"
    cooldown : int >= 0, default 0
        Measurements after a fall in which none is counted as bad.
    min_lr : float >= 0, default 0
        :math:`\eta_{min}`.
    eps : float >= 0, default 1e-8
        A fall by no more than this is left out.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When an argument is out of range or a mode is unknown.

    Notes
    -----
    ``step(metric)`` hands over a measurement; ``step()`` counts a step without one, and the rate stays. A metric that is not a
    number is no improvement, as in ``torch.optim.lr_scheduler.ReduceLROnPlateau``.

    References
    ----------
    01#lr-schedules.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
        last_epoch: int = -1,
    ) -> None:
        owner = "ReduceOnPlateau"
        if mode not in ("min", "max"):
            raise InputError(f"{owner}: mode must be 'min' or 'max', got {mode!r}.")
        if threshold_mode not in ("rel", "abs"):
            raise InputError(f"{owner}: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}.")
        self.factor = check_number(f"{owner}: factor", factor, 0.0, 1.0, above=True)
        if self.factor == 1:
            raise InputError(f"{owner}: factor must be below 1, else nothing falls; got {factor!r}.")
        self.mode, self.threshold_mode = mode, threshold_mode
        self.patience = whole(f"{owner}: patience", patience, 0)
        self.threshold = check_number(f"{owner}: threshold", threshold, 0.0)
        self.cooldown = whole(f"{owner}: cooldown", cooldown, 0)
        self.min_lr = check_number(f"{owner}: min_lr", min_lr, 0.0)
        self.eps = check_number(f"{owner}: eps", eps, 0.0)
        self.best = math.inf if mode == "min" else -math.inf
        self.bad = 0  # measurements without improvement since the best or the last fall
        self.resting = 0  # measurements of the cooldown that are left
        self.falls = 0
        super().__init__(optimizer, last_epoch)

    def _better(self, metric: float) -> bool:
        share = self.threshold if self.threshold_mode == "rel" else 0.0
        least = self.threshold if self.threshold_mode == "abs" else 0.0
        if self.mode == "min":
            return metric < self.best * (1 - share) - least
        return metric > self.best * (1 + share) + least

    def observe(self, metric: float, t: int) -> None:
        """Compare a measurement with the best one and lower the rate when patience is at its end."""
        if self._better(metric):
            self.best, self.bad = metric, 0
        else:
            self.bad += 1
        if self.resting > 0:
            self.resting -= 1
            self.bad = 0
        if self.bad > self.patience:
            self.falls += 1
            self.resting, self.bad = self.cooldown, 0

    def rate(self, t: int, base: float) -> float:
        """Return the rate after the falls so far."""
        rate = base
        for _ in range(self.falls):
            lower = max(rate * self.factor, self.min_lr)
            if rate - lower <= self.eps:
                break
            rate = lower
        return rate
