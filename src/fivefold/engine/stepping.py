"""What happens at each ``yield Step(...)``: backward, all-reduce, clip, step, schedule, average, answer."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fivefold.base.errors import CapabilityError, TrainingError
from fivefold.base.names import resolve
from fivefold.data.batches import Batch

from .learner import Step
from .parts import Part

if TYPE_CHECKING:
    from .fit import Fit


class Stepper:
    """Plays batches for a fit: runs the learner's generator and does what each of its steps asks for.

    Attributes
    ----------
    window : int
        Batches in the open accumulation window; 0 between windows.
    stop_votes : bool
        Whether some process wants to stop, as the last reduction told all of them.
    reads_at_once : bool
        Whether a loss is read as soon as it is there: on a CPU that costs nothing, elsewhere it would wait for the device at
        every step.
    """

    def __init__(self, fit: Fit) -> None:
        self.fit = fit
        self.learner = fit.learner
        self.parts = fit.parts
        self.counters = fit.counters
        self.runtime = fit.runtime
        self.meter = fit.meter
        self.accumulate = fit.accumulate
        self.window = 0
        self.stop_votes = False
        self.reads_at_once = fit.runtime.device.type == "cpu"
        self._sharded = fit.world.size > 1
        self._window_rows = 0
        self._yielded: set[str] = set()
        self._loss_names = {name: "loss" if name == "model" else f"{name}/loss" for name in fit.parts}
        self._followers: dict[str, list[Part]] = {}
        for part in fit.parts.values():
            if part.schedule is not None:
                self._followers.setdefault(part.counter, []).append(part)

    def play(self, batch: Batch, last: bool) -> None:
        """Train on one batch; ``last`` closes an accumulation window before it is full."""
        if self.window == 0:
            self._window_rows = batch.place.rows
        if self.accumulate == 1:
            self._run(batch, True)
            return
        self._yielded.clear()
        self.window += 1
        final = last or self.window == self.accumulate
        self._run(batch, final)
        if final:
            # A part that yielded earlier in the window but not in its last batch still owes its step.
            for part in self.parts.values():
                if part.window_weight:
                    self._apply(part)
            self.window = 0

    def _run(self, batch: Batch, final: bool) -> None:
        """Run the learner's generator over one batch, answering each yield with whether the step happened."""
        generator = self.learner.steps(batch)
        if not hasattr(generator, "send"):
            raise TrainingError(
                f"{type(self.learner).__name__}.steps must be a generator (a function with `yield Step(...)`), "
                f"but it returned a {type(generator).__name__}."
            )
        context = contextlib.nullcontext if self.runtime.plugin is None else self.runtime.context
        handlers = self.fit.callbacks.handlers["on_step"]
        answer: Any = None
        try:
            while True:
                with context():
                    step = generator.send(answer)
                answer = self._take(step, batch, final)
                for handler in handlers:
                    handler(self.fit, step.part, answer)
        except StopIteration:
            return
        finally:
            generator.close()

    def follow(self, counter: str) -> None:
        """Advance the schedules that follow a counter to where it stands."""
        for part in self._followers.get(counter, ()):
            part.follow(self.counters)

    def _where(self, part: Part) -> str:
        return (
            f"batch {self.counters['batches'] + 1} (epoch {self.fit.epoch + 1}, batch {self.fit.batch + 1} of it), "
            f"step {self.counters[part.name] + 1} of part {part.name!r}"
        )

    def _take(self, step: Step, batch: Batch, final: bool) -> bool:
        if not isinstance(step, Step):
            raise TrainingError(
                f"{type(self.learner).__name__}.steps must yield Step(part, loss), but it yielded a {type(step).__name__}."
            )
        part = self.parts.get(step.part)
        if part is None:
            name = resolve(step.part, self.parts, f"part (yielded by {type(self.learner).__name__}.steps)")
            part = self.parts[name]
        rows = batch.place.rows
        for name, value in step.logs.items():
            self.meter.add(name, value, rows)
        # A mean over this rank's rows times this factor, summed over ranks and window, is the mean over all rows.
        factor = len(batch) / self._window_rows if self._sharded else rows / self._window_rows
        if callable(step.loss):
            return self._take_callable(step.loss, part, batch, factor)
        if part.needs_closure:
            raise CapabilityError(
                f"The optimizer of part {part.name!r}, {type(part.optimizer).__name__}, evaluates the loss several times a "
                f"step; yield Step({part.name!r}, function) with a function that computes it."
            )
        if self.accumulate > 1:
            if part.name in self._yielded:
                raise TrainingError(
                    f"Part {part.name!r} was yielded twice in one batch while gradients accumulate over "
                    f"{self.accumulate} batches; {type(self.learner).__name__} must not declare accumulates = True."
                )
            self._yielded.add(part.name)
        if part.window_weight == 0.0:
            part.zero()
        loss = self._checked(step.loss, part)
        if len(batch):
            self._backward(loss, part, factor, step.retain_graph)
        part.window_weight += rows / self._window_rows
        value = loss.detach()
        if part.reducer is not None:
            part.window_loss = part.window_loss + (value * factor if len(batch) else 0.0)
        else:
            self._note_loss(value, part, rows)
        return self._apply(part) if final else False

    def _take_callable(self, function: Callable[[], Tensor], part: Part, batch: Batch, factor: float) -> bool:
        if part.scaler is not None or self.accumulate > 1:
            what = "a loss scaler (16-mixed precision)" if part.scaler is not None else "accumulated gradients"
            raise CapabilityError(
                f"Part {part.name!r} yields a function as its loss, which cannot be combined with {what}: "
                "the optimizer evaluates it several times a step."
            )
        first: list[Tensor] = []

        def closure() -> Tensor:
            part.zero()
            with self.runtime.context():
                loss = self._checked(function(), part)
            if len(batch):
                self._backward(loss, part, factor, False)
            value = loss.detach()
            if part.reducer is not None:
                value, _ = part.reducer.reduce(value * factor if len(batch) else 0.0, False)
            if part.clips:
                part.clip()
            if not first:
                # A line search may look at points of infinite loss; the point it starts from must be finite.
                first.append(value)
                self._note_loss(value, part, batch.place.rows)
            return value

        part.optimizer.step(closure)  # type: ignore[arg-type]
        if part.ema is not None:
            part.ema.update()
        return self._stepped(part)

    def _checked(self, loss: Any, part: Part) -> Tensor:
        if not isinstance(loss, Tensor):
            raise TrainingError(f"The loss of part {part.name!r} must be a tensor, got a {type(loss).__name__}.")
        if loss.numel() != 1:
            raise TrainingError(
                f"The loss of part {part.name!r} must be a single number, got a tensor of shape {tuple(loss.shape)}; "
                "take its mean over the rows."
            )
        if not loss.requires_grad:
            raise TrainingError(
                f"The loss of part {part.name!r} does not depend on any parameter at {self._where(part)}; "
                "was it detached, or computed under no_grad?"
            )
        return loss

    def _backward(self, loss: Tensor, part: Part, factor: float, retain_graph: bool) -> None:
        if factor != 1.0:
            loss = loss * factor
        if part.scaler is not None:
            loss = part.scaler.scale(loss)
        try:
            torch.autograd.backward(loss, inputs=part.trainable(), retain_graph=retain_graph)
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            raise TrainingError(
                f"The loss at {self._where(part)} reaches through a parameter that was stepped after its graph was built; "
                "compute each loss after the yield before it."
            ) from error

    def _apply(self, part: Part) -> bool:
        """Reduce over ranks, step, and count."""
        weight, part.window_weight = part.window_weight, 0.0
        if part.reducer is not None:
            summed, votes = part.reducer.reduce(part.window_loss, bool(self.fit.interrupts.wanted))
            part.window_loss = 0.0
            self._note_loss(summed / weight, part, round(weight * self._window_rows))
            if (self.reads_at_once or self.counters["batches"] % self.fit.log_every == 0) and votes.item() > 0:
                self.stop_votes = True
        if weight != 1.0:
            grads = [p.grad for p in part.params if p.grad is not None]
            if grads:
                torch._foreach_div_(grads, weight)
        return self._stepped(part) if part.step() else False

    def _stepped(self, part: Part) -> bool:
        self.counters[part.name] += 1
        self.follow(part.name)
        return True

    def _note_loss(self, value: Tensor, part: Part, rows: int) -> None:
        if self.reads_at_once:
            number = value.item()
            if not math.isfinite(number):
                self.fit.fail(f"{number} at {self._where(part)}")
            self.meter.add(self._loss_names[part.name], number, rows)
        else:
            self.meter.add(self._loss_names[part.name], value, rows, self._where(part))
