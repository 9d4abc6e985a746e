"""A schedule of the batch size, which the engine follows as it follows the batches themselves."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError, InputTypeError
from fivefold.data.batches import Batch, Batches, Place, check_rank

LARGEST = 2**62


class BatchSizeSchedule:
    r"""Batch sizes by epoch or by batch: multiplied by a factor every N, or at milestones.

    .. math:: m(t) = \mathrm{clip}(\lfloor m_0 f^{k(t)} + 1/2 \rfloor, m_{min}, m_{max}), \qquad
        k(t) = \lfloor t / N \rfloor \;\text{ or the number of milestones up to } t

    At a fixed rate :math:`\eta` the noise of a step goes with :math:`\eta / m`: a growing batch anneals as a falling rate does
    (Smith et al. 2018); a shrinking one ends noisy, which may leave saddles and sharp minima.

    Parameters
    ----------
    initial : int >= 1
        :math:`m_0`.
    factor : float > 0, default 2
        Below 1: from large batches to small ones.
    every : int >= 1, optional
        :math:`N`, in ``unit``.
    milestones : sequence of ints, increasing, optional
        Instead of ``every``.
    unit : {"epochs", "batches"}, default "epochs"
        What :math:`t` counts, finished ones: batches over the whole training.
    minimum : int >= 1, default 1
    maximum : int >= minimum, optional

    Raises
    ------
    InputError
        When a value is out of range, or not exactly one of ``every`` and ``milestones`` is given.

    References
    ----------
    Smith et al., "Don't decay the learning rate, increase the batch size", ICLR 2018; 01#batch-size-schedule.
    """

    def __init__(
        self,
        initial: int,
        *,
        factor: float = 2.0,
        every: int | None = None,
        milestones: Sequence[int] | None = None,
        unit: str = "epochs",
        minimum: int = 1,
        maximum: int | None = None,
    ) -> None:
        self.initial = check_count("batch_size", initial)
        if not (factor > 0 and math.isfinite(factor)):
            raise InputError(f"BatchSizeSchedule: factor must lie in (0, inf), got {factor!r}.")
        if (every is None) == (milestones is None):
            raise InputError(
                "BatchSizeSchedule changes the size every N or at milestones; give exactly one of the two."
            )
        if every is not None and every < 1:
            raise InputError(f"BatchSizeSchedule: every must be an int >= 1, got {every!r}.")
        marks = list(milestones or ())
        if marks != sorted(set(marks)) or any(mark < 1 for mark in marks):
            raise InputError(f"BatchSizeSchedule: milestones must be increasing ints >= 1, got {marks}.")
        if unit not in ("epochs", "batches"):
            raise InputError(f"BatchSizeSchedule: unit must be 'epochs' or 'batches', got {unit!r}.")
        if minimum < 1 or (maximum is not None and maximum < minimum):
            raise InputError(
                f"BatchSizeSchedule needs 1 <= minimum <= maximum, got minimum={minimum!r} and maximum={maximum!r}."
            )
        self.factor = float(factor)
        self.every = every
        self.milestones = marks
        self.unit = unit
        self.minimum = minimum
        self.maximum = maximum

    def size(self, count: int) -> int:
        """Return the batch size after ``count`` finished epochs or batches."""
        k = count // self.every if self.every is not None else bisect.bisect_right(self.milestones, count)
        try:
            wanted = min(math.floor(self.initial * self.factor**k + 0.5), LARGEST)
        except OverflowError:  # of a float, beyond any data set
            wanted = LARGEST
        wanted = max(wanted, self.minimum)
        return wanted if self.maximum is None else min(wanted, self.maximum)


class ScheduledBatches:
    """Batches whose size follows a schedule; rows and their order are those of the batches it is given.

    Everything depends on the seed, the epoch and the number of the batch alone: training that goes on from a checkpoint,
    within an epoch too, and any number of processes see the same batches.

    Parameters
    ----------
    batches : Batches
        Its own ``batch_size`` is not looked at; its ``drop_last`` leaves out an epoch's smaller last batch.
    schedule : BatchSizeSchedule

    Raises
    ------
    InputTypeError
        For other batches than :class:`~fivefold.data.batches.Batches`.

    Notes
    -----
    It has no ``len``, since epochs differ; a learning-rate schedule that needs ``total_steps`` is told them, or follows
    "epochs".
    """

    def __init__(self, batches: Batches, schedule: BatchSizeSchedule) -> None:
        if not isinstance(batches, Batches):
            raise InputTypeError(
                f"ScheduledBatches cuts Batches of arrays in memory, got a {type(batches).__name__}; "
                "give Batches({'x': X, 'y': y}, batch_size=...)."
            )
        self.batches = batches
        self.schedule = schedule
        self.rows = batches.rows if batches.sampler is None else len(batches.sampler)
        self._begun = [0]  # batches before each epoch, as far as it was needed

    def sizes(self, epoch: int) -> list[int]:
        """Return the rows of each batch of an epoch."""
        by_batch = self.schedule.unit == "batches"
        count = self._before(epoch) if by_batch else epoch
        found: list[int] = []
        left = self.rows
        while left > 0:
            size = self.schedule.size(count)
            if size > left and self.batches.drop_last and found:
                break
            found.append(min(size, left))
            left -= size
            count += by_batch
        return found

    def _before(self, epoch: int) -> int:
        while len(self._begun) <= epoch:
            last = len(self._begun) - 1
            self._begun.append(self._begun[last] + len(self.sizes(last)))
        return self._begun[epoch]

    def epoch(self, epoch: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``start`` on; each rank gets its contiguous share of every batch."""
        check_rank(rank, world)
        order = self.batches.order(epoch)
        fields = self.batches.fields
        if order is not None:
            order = order.to(next(iter(fields.values())).device)
        low = 0
        for index, rows in enumerate(self.sizes(epoch)):
            first, last = low + rows * rank // world, low + rows * (rank + 1) // world
            if index >= start:
                part = {name: _rows(value, order, first, last) for name, value in fields.items()}
                yield Batch(part, Place(self.batches.seed, epoch, index, rows, first - low))
            low += rows


def _rows(value: Tensor, order: Tensor | None, first: int, last: int) -> Tensor:
    return value[first:last] if order is None else value.index_select(0, order[first:last])
