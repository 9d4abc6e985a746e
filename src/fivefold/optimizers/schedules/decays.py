"""Decays of the learning rate that are a formula of the step number: steps, exponential, inverse time, roots, powers."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from torch.optim import Optimizer

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError

from ._base import Schedule, whole


class StepDecay(Schedule):
    r"""The rate is constant for a while, then falls at once: every N steps, or at given milestones.

    .. math:: \eta_t = \eta_0 \gamma^{\lfloor t / N \rfloor} \qquad\text{or}\qquad \eta_t = \beta_m \eta_0
        \text{ for } T_m \le t < T_{m+1}, \quad \beta_m = \gamma^m \text{ or given}

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is :math:`\eta_0`, per parameter group.
    step_size : int >= 1, or rising sequence of them
        N, or the milestones :math:`T_1 < T_2 < \dots`.
    gamma : float in (0, 1], or sequence of floats >= 0 as long as the milestones, default 0.1
        Factor at each fall; a sequence gives the factors :math:`\beta_m` of :math:`\eta_0` themselves.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When an argument is out of range, milestones do not rise, or there are not as many factors as milestones.

    References
    ----------
    01#lr-schedules, 02#lr-piecewise-constant, 08#lr-schedules-b.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        step_size: int | Sequence[int],
        gamma: float | Sequence[float] = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.step_size: int | None = None
        self.milestones: list[int] = []
        self.factors: list[float] = []
        self.gamma: float | None = None
        if isinstance(step_size, Sequence):
            self.milestones = [whole("StepDecay: every milestone", m) for m in step_size]
            if not self.milestones or any(a >= b for a, b in zip(self.milestones, self.milestones[1:])):
                raise InputError(f"StepDecay: the milestones must rise and be at least one, got {list(step_size)}.")
        else:
            self.step_size = whole("StepDecay: step_size", step_size)
        if isinstance(gamma, Sequence):
            self.factors = [check_number("StepDecay: every factor", g, 0.0) for g in gamma]
            if len(self.factors) != len(self.milestones) or not self.factors:
                raise InputError(
                    f"StepDecay: gamma gives {len(self.factors)} factors for {len(self.milestones)} milestones; "
                    "give one each."
                )
        else:
            self.gamma = check_number("StepDecay: gamma", gamma, 0.0, 1.0, above=True)
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps."""
        falls = bisect.bisect_right(self.milestones, t) if self.step_size is None else t // self.step_size
        if self.gamma is None:
            return base * self.factors[falls - 1] if falls else base
        return float(base * self.gamma**falls)


class ExponentialDecay(Schedule):
    r"""The rate shrinks by the same share every step.

    .. math:: \text{exponential: } \eta_t = \eta_0 \gamma^{t / N} \qquad
        \text{natural: } \eta_t = \eta_0 e^{-\gamma t / N}

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is :math:`\eta_0`, per parameter group.
    gamma : float in (0, 1], or >= 0 in the natural form, default 0.99
        The natural form equals the other with :math:`e^{-\gamma}`.
    decay_steps : int >= 1, default 1
        N, the steps after which the rate has shrunk by one factor.
    form : {"exponential", "natural"}, default "exponential"
    staircase : bool, default False
        Whether :math:`t / N` is rounded down, so that the rate falls once every N steps.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When an argument is out of range or the form is unknown.

    References
    ----------
    02#lr-exponential, 02#lr-natural-exponential, 04#ctr-optimizer-registry, 08#lr-decay-schedules.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        gamma: float = 0.99,
        decay_steps: int = 1,
        form: str = "exponential",
        staircase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if form not in ("exponential", "natural"):
            raise InputError(f"ExponentialDecay: form must be 'exponential' or 'natural', got {form!r}.")
        if form == "natural":
            self.gamma = check_number("ExponentialDecay: gamma", gamma, 0.0)
        else:
            self.gamma = check_number("ExponentialDecay: gamma", gamma, 0.0, 1.0, above=True)
        self.form = form
        self.decay_steps = whole("ExponentialDecay: decay_steps", decay_steps)
        self.staircase = bool(staircase)
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps."""
        power = t // self.decay_steps if self.staircase else t / self.decay_steps
        return base * (math.exp(-self.gamma * power) if self.form == "natural" else self.gamma**power)


class InverseTimeDecay(Schedule):
    r"""The rate falls as one over the time.

    .. math:: \eta_t = \frac{\eta_0}{1 + \beta t / N}

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is :math:`\eta_0`, per parameter group.
    decay_rate : float >= 0, default 0.01
        :math:`\beta`.
    decay_steps : int >= 1, default 1
        N, the unit of time in steps.
    staircase : bool, default False
        Whether :math:`t / N` is rounded down.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When an argument is out of range.

    References
    ----------
    02#lr-inverse-time, 08#lr-decay-schedules.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        decay_rate: float = 0.01,
        decay_steps: int = 1,
        staircase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.decay_rate = check_number("InverseTimeDecay: decay_rate", decay_rate, 0.0)
        self.decay_steps = whole("InverseTimeDecay: decay_steps", decay_steps)
        self.staircase = bool(staircase)
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps."""
        time = t // self.decay_steps if self.staircase else t / self.decay_steps
        return base / (1 + self.decay_rate * time)


class InverseSqrtDecay(Schedule):
    r"""The rate falls as one over the root of the step number, as the regret bounds of online learning ask.

    .. math:: \eta_t = \frac{\eta_0}{\sqrt{t + 1}}

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is :math:`\eta_0`, per parameter group.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    References
    ----------
    05#lr-decay-inv-sqrt.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps."""
        return base / math.sqrt(t + 1)


class PolynomialDecay(Schedule):
    r"""The rate falls as a negative power of the time.

    .. math:: \eta_t = \eta_0 (\beta t + 1)^{-\alpha}

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is :math:`\eta_0`, per parameter group.
    alpha : float >= 0, default 0.5
        The power; 1 is inverse-time decay.
    beta : float >= 0, default 1
        The speed, per step.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When an argument is out of range.

    Notes
    -----
    ``torch.optim.lr_scheduler.PolynomialLR`` and Keras' ``PolynomialDecay`` are another decay, :math:`\eta_0 (1 - t/T)^p`.

    References
    ----------
    08#lr-schedules-b.
    """

    def __init__(self, optimizer: Optimizer, alpha: float = 0.5, beta: float = 1.0, last_epoch: int = -1) -> None:
        self.alpha = check_number("PolynomialDecay: alpha", alpha, 0.0)
        self.beta = check_number("PolynomialDecay: beta", beta, 0.0)
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps."""
        return float(base * (self.beta * t + 1) ** -self.alpha)
