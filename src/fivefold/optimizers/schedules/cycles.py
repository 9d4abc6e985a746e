"""Rates that rise again: triangular cycles and cosine decay with warm restarts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch.optim import Optimizer

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError

from ._base import Schedule, per_group, whole

MODES = ("triangular", "triangular2", "exp_range")


class TriangularCycle(Schedule):
    r"""Cyclical rate (Smith 2017): linearly up to ``max_lr``, linearly back, again and again.

    .. math:: \eta_t = \eta_0 + (\eta_{max} - \eta_0)\, s_t\, a_t, \qquad
        s_t = \begin{cases} u / U & u \le U \\ (U + D - u) / D & u > U \end{cases}, \quad u = t \bmod (U + D)

    with the amplitude :math:`a_t` = 1 (triangular), :math:`2^{-\lfloor t/(U+D) \rfloor}` (triangular2) or :math:`\gamma^t`
    (exp_range).

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is the lower bound :math:`\eta_0`, per parameter group.
    max_lr : float >= 0, or one for each parameter group
        The upper bound, not below :math:`\eta_0`.
    step_size_up : int >= 1, default 2000
        U, steps from the lower to the upper bound; the paper takes 2 to 10 epochs.
    step_size_down : int >= 1, default None
        D; None is U.
    mode : {"triangular", "triangular2", "exp_range"}, default "triangular"
    gamma : float in (0, 1], default 1
        Of the mode exp_range.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When an argument is out of range, the mode is unknown, or a group starts above ``max_lr``.

    Notes
    -----
    ``torch.optim.lr_scheduler.CyclicLR`` sets the group's rate to its ``base_lr`` and cycles the momentum too unless told not
    to; here the group's own rate is the base and momentum is left alone.

    References
    ----------
    Smith, "Cyclical learning rates for training neural networks", WACV 2017; 02#lr-triangular-cyclic.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        owner = "TriangularCycle"
        if mode not in MODES:
            raise InputError(f"{owner}: mode must be one of {', '.join(MODES)}; got {mode!r}.")
        self.max_lrs = per_group(owner, "max_lr", max_lr, len(optimizer.param_groups))
        for number_, (group, top) in enumerate(zip(optimizer.param_groups, self.max_lrs, strict=True)):
            if float(group.get("initial_lr", group["lr"])) > top:
                raise InputError(
                    f"{owner}: max_lr {top:g} is below the rate of parameter group {number_}, {group['lr']:g}."
                )
        self.step_size_up = whole(f"{owner}: step_size_up", step_size_up)
        self.step_size_down = (
            self.step_size_up if step_size_down is None else whole(f"{owner}: step_size_down", step_size_down)
        )
        self.mode = mode
        self.gamma = check_number(f"{owner}: gamma", gamma, 0.0, 1.0, above=True)
        super().__init__(optimizer, last_epoch)

    def _height(self, t: int) -> float:
        period = self.step_size_up + self.step_size_down
        cycle, u = divmod(t, period)
        share = min(u / self.step_size_up, (period - u) / self.step_size_down)
        if self.mode == "triangular2":
            return share * 0.5**cycle
        return share * self.gamma**t if self.mode == "exp_range" else share

    def get_lr(self) -> list[float]:
        """Return the learning rate of each parameter group after ``last_epoch`` steps."""
        height = self._height(self.last_epoch)
        return [base + (top - base) * height for base, top in zip(self.base_lrs, self.max_lrs, strict=True)]

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps of the groups that start at ``base``."""
        top = self.max_lrs[self.base_lrs.index(base)]
        return base + (top - base) * self._height(t)


class CosineWarmRestarts(Schedule):
    r"""SGDR (Loshchilov & Hutter 2017): half a cosine down, then back to the full rate at once, in ever longer cycles.

    .. math:: \eta_t = \eta_{min} + \tfrac12 (\eta_0 - \eta_{min}) \left(1 + \cos \frac{\pi T_{cur}}{T_i}\right),
        \qquad T_{i+1} = T_{mult} T_i

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is :math:`\eta_0`, per parameter group.
    T_0 : int >= 1
        Steps of the first cycle.
    T_mult : int >= 1, default 1
        How many times as long each cycle is as the one before.
    eta_min : float >= 0, default 0
        Rate that the end of each cycle approaches; the restart comes in its place.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When an argument is out of range.

    References
    ----------
    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017; 02#lr-cosine-warm-restarts.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = whole("CosineWarmRestarts: T_0", T_0)
        self.T_mult = whole("CosineWarmRestarts: T_mult", T_mult)
        self.eta_min = check_number("CosineWarmRestarts: eta_min", eta_min, 0.0)
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps."""
        current, length = t, self.T_0
        if self.T_mult == 1:
            current %= length
        while current >= length:  # as often as there were restarts: their number grows as log t
            current -= length
            length *= self.T_mult
        return self.eta_min + (base - self.eta_min) * 0.5 * (1 + math.cos(math.pi * current / length))
