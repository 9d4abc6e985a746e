"""What every schedule shares: a closed form of the step number, a sum of schedules, metrics, checks of the arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fivefold.base.checks import check_count, check_number
from fivefold.base.errors import InputError


def whole(name: str, value: Any, low: int = 1) -> int:
    """Return a whole number of at least ``low`` as an int; it may be written as a float, such as 1e4."""
    return check_count(name, int(value) if isinstance(value, float) and value.is_integer() else value, low)


class Schedule(LRScheduler):
    """A schedule whose rate is a closed form of the number of steps done, so that a resumed one cannot drift.

    ``a + b`` is the schedule that follows ``a`` for its ``length`` and then ``b`` from its beginning.
    """

    @property
    def length(self) -> int | None:
        """Steps after which the next schedule of a sum takes over; None when this one never ends."""
        return None

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps of a parameter group whose rate was ``base``."""
        raise NotImplementedError

    def observe(self, metric: float, t: int) -> None:
        """Take note of a metric measured after ``t`` steps; schedules of the step number alone ignore it."""

    def get_lr(self) -> list[Any]:
        """Return the learning rate of each parameter group after ``last_epoch`` steps."""
        return [self.rate(self.last_epoch, base) for base in self.base_lrs]

    def __add__(self, other: Schedule) -> Then:
        """Return the schedule that follows this one to its end, then ``other``."""
        if not isinstance(other, Schedule):
            return NotImplemented
        return Then(self.optimizer, self, other)


class MetricSchedule(Schedule):
    """A schedule that reacts to a measured metric: ``step(metric)``; ``step()`` counts a step without a measurement."""

    def step(self, metric: float | None = None) -> None:  # type: ignore[override]
        """Count one step, after noting ``metric`` if one was measured."""
        if metric is not None:
            self.observe(float(metric), self.last_epoch)
        super().step()


class Then(MetricSchedule):
    """One schedule after another, written ``first + second``.

    Parameters
    ----------
    optimizer : torch optimizer
        That of both schedules.
    first : Schedule
        Followed for its ``length`` steps; it must have one.
    second : Schedule
        Followed afterwards, counted from its own beginning.

    Raises
    ------
    InputError
        When the first never ends, or the two belong to different optimizers.
    """

    def __init__(self, optimizer: Optimizer, first: Schedule, second: Schedule) -> None:
        if first.optimizer is not optimizer or second.optimizer is not optimizer:
            raise InputError("Schedules can be added only when they are of the same optimizer; build both on one.")
        if first.length is None and not isinstance(first, MetricSchedule):
            raise InputError(
                f"{type(first).__name__} never ends, so nothing can follow it; put a warm-up or a decay over a given number "
                "of steps first."
            )
        self.first = first
        self.second = second
        super().__init__(optimizer)

    @property
    def length(self) -> int | None:
        """Sum of both lengths, when both are known."""
        first, second = self.first.length, self.second.length
        return None if first is None or second is None else first + second

    def rate(self, t: int, base: float) -> float:
        """Return the rate of whichever schedule is on after ``t`` steps."""
        end = self.first.length
        return self.first.rate(t, base) if end is None or t < end else self.second.rate(t - end, base)

    def observe(self, metric: float, t: int) -> None:
        """Hand the metric to the schedule that is on."""
        end = self.first.length
        if end is None or t < end:
            self.first.observe(metric, t)
        else:
            self.second.observe(metric, t - end)

    def state_dict(self) -> dict[str, Any]:
        """Return the state, that of both schedules included."""
        state = {k: v for k, v in super().state_dict().items() if k not in ("first", "second")}
        return {**state, "first": self.first.state_dict(), "second": self.second.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.first.load_state_dict(state_dict["first"])
        self.second.load_state_dict(state_dict["second"])
        super().load_state_dict({k: v for k, v in state_dict.items() if k not in ("first", "second")})


def per_group(owner: str, name: str, value: float | Sequence[float], groups: int) -> list[float]:
    """Return one number for each parameter group, from one for all or from one each."""
    values = [value] * groups if isinstance(value, int | float) else list(value)
    if len(values) != groups:
        raise InputError(
            f"{owner}: {name} has {len(values)} values for {groups} parameter groups; give one or {groups}."
        )
    return [check_number(f"{owner}: {name}", v, 0.0) for v in values]
