"""One fit while it runs: the ``steps`` loop, its counters, and everything a checkpoint holds."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fivefold.base.errors import ArtifactError, CapabilityError, DataError, TrainingError
from fivefold.base.names import resolve
from fivefold.base.random import Streams
from fivefold.data.batches import Batch

from .callbacks import Callback, CallbackList
from .checkpoints import CheckpointStore, load_checkpoint
from .distribution import World, broadcast, gather
from .history import History
from .learner import Learner, Step, Sums
from .meter import Meter
from .parts import Part, check_accumulation
from .runtime import Interrupts, Runtime, TrainingInterrupted, preserved_random_state


def _with_last(source: Iterator[Batch]) -> Iterator[tuple[Batch, bool]]:
    ahead = next(source, None)
    while ahead is not None:
        batch, ahead = ahead, next(source, None)
        yield batch, ahead is None


class Fit:
    """A fit in progress, as callbacks see it.

    Attributes
    ----------
    learner : Learner
    parts : dict name -> Part
        Optimizer, schedule and moving average of each part.
    counters : dict
        ``batches``, ``epochs``, ``environment_steps`` and one per part.
    epoch, batch : int
        Epochs begun before this one; batches finished in this one.
    metrics : dict
        The record of the epoch that ended last.
    history : History
    status : str
        "running", "completed", "interrupted" or "failed".
    world : World
        This process among those that train together.
    """

    def __init__(
        self,
        learner: Learner,
        parts: dict[str, Part],
        batches: Any,
        validation: Any,
        *,
        runtime: Runtime,
        world: World,
        callbacks: Sequence[Callback],
        store: CheckpointStore | None,
        seed: int,
        max_epochs: int | None,
        max_batches: int | None,
        max_environment_steps: int | None,
        accumulate: int,
        log_every: int,
        validate_every: int,
    ) -> None:
        self.learner = learner
        self.parts = parts
        self.batches = batches
        self.validation = validation
        self.runtime = runtime
        self.world = world
        self.store = store
        self.seed = seed
        self.max_epochs = max_epochs
        self.max_batches = max_batches
        self.max_environment_steps = max_environment_steps
        self.accumulate = accumulate
        self.log_every = log_every
        self.validate_every = validate_every
        check_accumulation(learner, parts, accumulate)
        chosen = [c for c in callbacks if world.first or not c.first_rank_only]
        self.callbacks = CallbackList(chosen)
        self.streams = Streams(seed)
        self.counters: dict[str, int] = {"batches": 0, "epochs": 0, "environment_steps": 0, **dict.fromkeys(parts, 0)}
        learner.counters = self.counters
        self.epoch = 0
        self.batch = 0
        self.partial = False
        self.metrics: dict[str, Any] = {}
        self.history = History(averages={name: p.ema for name, p in parts.items() if p.ema is not None})
        self.meter = Meter()
        self.status = "running"
        self.stop_reason = ""
        self.directory: Path | None = None if store is None else store.directory
        self._position = (0, 0)  # where a resumed fit begins: epoch, batch
        self._interrupts = Interrupts(active=store is not None)
        self._stop_votes = False
        self._followers: dict[str, list[Part]] = {}
        for part in parts.values():
            if part.schedule is not None:
                self._followers.setdefault(part.counter, []).append(part)
        self._loss_names = {name: "loss" if name == "model" else f"{name}/loss" for name in parts}
        # On a CPU reading a loss costs nothing, elsewhere it would wait for the device at every step.
        self._reads_at_once = runtime.device.type == "cpu"
        self._seconds = 0.0
        self._started = time.perf_counter()
        self._window_rows = 0
        self._window = 0
        self._yielded: set[str] = set()

    # -- for callbacks ------------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """End the fit after this batch or epoch; ``reason`` goes to the history."""
        self.stop_reason = reason

    @property
    def at_boundary(self) -> bool:
        """Whether no accumulation window is open, so that a checkpoint may be written."""
        return self._window == 0

    @property
    def total_batches(self) -> int | None:
        """Batches of the whole fit, where that is known."""
        limits = []
        if self.max_batches is not None:
            limits.append(self.max_batches)
        if self.max_epochs is not None and hasattr(self.batches, "__len__"):
            limits.append(self.max_epochs * len(self.batches))
        return min(limits) if limits else None

    def evaluate(self, batches: Any) -> dict[str, float]:
        """Return the means of ``learner.evaluate`` over all batches, with averaged weights where a part has them."""
        return evaluate(self.learner, batches, self.runtime, self.world, self.streams, list(self.parts.values()))

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all weights, buffers and moving averages."""
        return {
            "learner": {name: value.detach().clone() for name, value in self.learner.state_dict().items()},
            "ema": {name: p.ema.state_dict() for name, p in self.parts.items() if p.ema is not None},
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Put back what :meth:`snapshot` returned."""
        self.learner.load_state_dict(snapshot["learner"])
        for name, state in snapshot["ema"].items():
            ema = self.parts[name].ema
            if ema is not None:
                ema.load_state_dict(state)

    def save_checkpoint(self, *, best: bool = False, epoch: int | None = None) -> None:
        """Write a checkpoint of this moment, between two batches."""
        if self.store is None:
            return
        self._check_losses()
        self._check_weights()
        broadcast(self.learner, self.world, buffers_only=True)
        extra = gather(self.learner.extra_state(), self.world)
        if self.world.first:
            path = self.store.save(self.state(extra), best=best, epoch=epoch)
            self.callbacks.call("on_checkpoint", self, path)

    # -- state --------------------------------------------------------------------------------------------------------

    def state(self, extra: list[dict[str, Any]]) -> dict[str, Any]:
        """Return everything that a resumed fit needs."""
        return {
            "learner": dict(self.learner.state_dict()),
            "extra": extra,
            "parts": {name: part.state() for name, part in self.parts.items()},
            "counters": dict(self.counters),
            "epoch": self._position[0],
            "batch": self._position[1],
            "meter": self.meter.state(),
            "history": self.history,
            "seconds": self._elapsed(),
            "stop_reason": self.stop_reason,
            "callbacks": self.callbacks.get_state(),
            "facts": {"seed": self.seed, "accumulate": self.accumulate},
        }

    def load(self, path: Path) -> None:
        """Restore a checkpoint.

        Raises
        ------
        ArtifactError
            When it belongs to another learner or another seed.
        """
        state = load_checkpoint(path)
        for name, mine in (("seed", self.seed), ("accumulate", self.accumulate)):
            if state["facts"][name] != mine:
                raise ArtifactError(
                    f"The checkpoint {path} was written with {name}={state['facts'][name]}, this run has {name}={mine}; "
                    "a resumed run needs the same, or start a new one without --resume."
                )
        try:
            self.learner.load_state_dict(state["learner"])
            for name, part in self.parts.items():
                part.load_state(state["parts"][name])
        except (RuntimeError, KeyError, ValueError) as error:
            raise ArtifactError(
                f"The checkpoint {path} does not fit this {type(self.learner).__name__}: {error} "
                "Resume with the specification it was written with."
            ) from error
        extra = state["extra"]
        self.learner.load_extra_state(extra[self.world.rank] if self.world.rank < len(extra) else extra[0])
        self.counters.update(state["counters"])
        self.epoch, self.batch = self._position = (state["epoch"], state["batch"])
        self.meter.load_state(state["meter"])
        saved: History = state["history"]
        self.history.epochs = saved.epochs
        self.metrics = dict(saved.epochs[-1]) if saved.epochs else {}
        self._seconds = float(state["seconds"])
        self.stop_reason = state["stop_reason"]
        self.callbacks.load_state(state["callbacks"])

    def _elapsed(self) -> float:
        return self._seconds + time.perf_counter() - self._started

    # -- the loop -----------------------------------------------------------------------------------------------------

    def run(self) -> History:
        """Train to the end and return the history."""
        with preserved_random_state(self.runtime.device), self._interrupts:
            try:
                self.learner.train()
                self.callbacks.call("on_fit_start", self)
                while not self._done():
                    self._run_epoch()
                self._check_losses()
                if self.batch:
                    self._end_partial()
                self.status = "completed"
            except KeyboardInterrupt:
                self.status = "interrupted"
                raise
            except BaseException:
                self.status = "failed"
                raise
            finally:
                self.history.counters = dict(self.counters)
                self.history.seconds = self._elapsed()
                self.history.stop_reason = self.stop_reason or self._limit()
                for part in self.parts.values():
                    part.zero()
                self.callbacks.call("on_fit_end", self)
        return self.history

    def _limit(self) -> str:
        for name, counter in (("max_epochs", "epochs"), ("max_batches", "batches")):
            limit = getattr(self, name)
            if limit is not None and self.counters[counter] >= limit:
                return f"{name} = {limit} reached"
        limit = self.max_environment_steps
        if limit is not None and self.counters["environment_steps"] >= limit:
            return f"max_environment_steps = {limit} reached"
        return ""

    def _done(self) -> bool:
        return bool(self.stop_reason) or bool(self._limit())

    def _run_epoch(self) -> None:
        if self.batch == 0:
            self.callbacks.call("on_epoch_start", self)
        began = self.batch
        source = self.batches.epoch(self.epoch, self.batch, self.world.rank, self.world.size)
        # Looking one batch ahead is left to accumulation, which must know the last one: a batch may depend on the step before.
        pairs = _with_last(source) if self.accumulate > 1 else ((batch, False) for batch in source)
        ended = True
        for batch, last in pairs:
            self._run_batch(batch, last)
            if self._window == 0 and (self._stop_votes or (self.world.size == 1 and self._interrupts.wanted)):
                self._interrupt()
            if self._done():
                ended = hasattr(self.batches, "__len__") and self.batch >= len(self.batches)
                break
        if self.batch == 0 and began == 0:
            raise DataError("The epoch held no batch, so there is nothing to train on; give at least one row.")
        if ended:
            self._end_epoch()

    def _interrupt(self) -> None:
        self.save_checkpoint()
        why = self._interrupts.wanted or "a signal to another process"
        raise TrainingInterrupted(
            f"Stopped by {why} after batch {self.counters['batches']} (epoch {self.epoch + 1}); everything is saved in "
            f"{self.directory}. Go on with --resume."
        )

    def _run_batch(self, batch: Batch, last: bool) -> None:
        counters = self.counters
        self.runtime.seed(self.streams, "engine/batch", counters["batches"], self.world.rank)
        if self.runtime.moves:
            batch = batch.to(self.runtime.device, self.runtime.dtype)
        for handler in self.callbacks.handlers["on_batch_start"]:
            handler(self, batch)
        final = True
        if self._window == 0:
            self._window_rows = batch.place.rows
        if self.accumulate > 1:
            self._yielded.clear()
            self._window += 1
            reached = self.max_batches is not None and counters["batches"] + 1 >= self.max_batches
            final = last or reached or self._window == self.accumulate
        self._play(batch, final)
        if final and self.accumulate > 1:
            # A part that yielded earlier in the window but not in its last batch still owes its step.
            for part in self.parts.values():
                if part.window_weight:
                    self._apply(part)
            self._window = 0
        counters["batches"] += 1
        made = batch.get("environment_steps")
        if made is not None:
            counters["environment_steps"] += int(made)
        self.batch += 1
        self._position = (self.epoch, self.batch)
        if self._followers:
            self._follow("batches")
            self._follow("environment_steps")
        if counters["batches"] % self.log_every == 0:
            self._log()
        for handler in self.callbacks.handlers["on_batch_end"]:
            handler(self, batch)

    def _play(self, batch: Batch, final: bool) -> None:
        """Run the learner's generator over one batch, answering each yield with whether the step happened."""
        generator = self.learner.steps(batch)
        if not hasattr(generator, "send"):
            raise TrainingError(
                f"{type(self.learner).__name__}.steps must be a generator (a function with `yield Step(...)`), "
                f"but it returned a {type(generator).__name__}."
            )
        context = contextlib.nullcontext if self.runtime.plugin is None else self.runtime.context
        handlers = self.callbacks.handlers["on_step"]
        answer: Any = None
        try:
            while True:
                with context():
                    step = generator.send(answer)
                answer = self._take(step, batch, final)
                for handler in handlers:
                    handler(self, step.part, answer)
        except StopIteration:
            return
        finally:
            generator.close()

    def _follow(self, counter: str) -> None:
        for part in self._followers.get(counter, ()):
            part.follow(self.counters)

    def _where(self, part: Part) -> str:
        return (
            f"batch {self.counters['batches'] + 1} (epoch {self.epoch + 1}, batch {self.batch + 1} of it), "
            f"step {self.counters[part.name] + 1} of part {part.name!r}"
        )

    # -- one step -----------------------------------------------------------------------------------------------------

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
        factor = len(batch) / self._window_rows if self.world.size > 1 else rows / self._window_rows
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
            summed, votes = part.reducer.reduce(part.window_loss, bool(self._interrupts.wanted))
            part.window_loss = 0.0
            self._note_loss(summed / weight, part, round(weight * self._window_rows))
            if (self._reads_at_once or self.counters["batches"] % self.log_every == 0) and votes.item() > 0:
                self._stop_votes = True
        if weight != 1.0:
            grads = [p.grad for p in part.params if p.grad is not None]
            if grads:
                torch._foreach_div_(grads, weight)
        return self._stepped(part) if part.step() else False

    def _stepped(self, part: Part) -> bool:
        self.counters[part.name] += 1
        if self._followers:
            self._follow(part.name)
        return True

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _note_loss(self, value: Tensor, part: Part, rows: int) -> None:
        if self._reads_at_once:
            number = value.item()
            if not math.isfinite(number):
                self._fail(f"{number} at {self._where(part)}")
            self.meter.add(self._loss_names[part.name], number, rows)
        else:
            self.meter.add(self._loss_names[part.name], value, rows, self._where(part))

    def _check_losses(self) -> None:
        bad = self.meter.flush()
        if bad:
            self._fail(f"not finite at {bad}")

    def _fail(self, what: str) -> None:
        kept = "."
        if self.store is not None and self.store.exists():
            kept = f"; the last good checkpoint is {self.store.last}."
        raise TrainingError(
            f"The loss is {what}, so training stopped{kept} A smaller learning rate, clip_norm, or a look at the data may help."
        )

    def _check_weights(self) -> None:
        for name, part in self.parts.items():
            norms = torch._foreach_norm([p.detach() for p in part.params])
            if not bool(torch.isfinite(torch.stack([n.double().to(norms[0].device) for n in norms])).all()):
                raise TrainingError(
                    f"The weights of part {name!r} are not finite after batch {self.counters['batches']}, so they were not "
                    "saved; the checkpoint before is kept. A smaller learning rate or clip_norm may help."
                )

    def _rates(self) -> dict[str, float]:
        return {"lr" if name == "model" else f"{name}/lr": part.lr for name, part in self.parts.items()}

    def _log(self) -> None:
        self._check_losses()
        record = {
            "epoch": self.epoch + 1,
            "batches": self.counters["batches"],
            **self.meter.take_interval(),
            **self._rates(),
        }
        for handler in self.callbacks.handlers["on_log"]:
            handler(self, record)

    # -- ends of epochs -----------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Validate, and put down the record of the epoch."""
        self._check_losses()
        record: dict[str, Any] = {"epoch": self.epoch + 1, "batches": self.counters["batches"]}
        record |= self.meter.take_epoch()
        record |= self._rates()
        due = self.partial or self.counters["epochs"] % self.validate_every == 0
        self.metrics = record
        self.history.epochs.append(record)
        if self.validation is not None and due:
            broadcast(self.learner, self.world, buffers_only=True)
            measured = {f"val_{name}": value for name, value in self.evaluate(self.validation).items()}
            record |= measured
            self.callbacks.call("on_validation_end", self, measured)
        self.callbacks.call("on_epoch_end", self)

    def _end_epoch(self) -> None:
        self.counters["epochs"] += 1
        self._follow("epochs")
        self._position = (self.epoch + 1, 0)
        self._close()
        self.epoch += 1
        self.batch = 0

    def _end_partial(self) -> None:
        # The checkpoint comes first: resumed with a higher limit, the epoch goes on as if it had not been looked at.
        self.save_checkpoint()
        self.partial = True
        self._close()


@torch.no_grad()
def evaluate(
    learner: Learner, batches: Any, runtime: Runtime, world: World, streams: Streams, parts: Sequence[Part] = ()
) -> dict[str, float]:
    """Return the means of ``learner.evaluate`` over all batches of all ranks, in evaluation mode."""
    sums = Sums()
    with evaluation_mode(learner, parts), preserved_random_state(runtime.device):
        for index, batch in enumerate(batches.epoch(0, 0, world.rank, world.size)):
            if not len(batch):
                continue
            runtime.seed(streams, "engine/evaluate", index, world.rank)
            if runtime.moves:
                batch = batch.to(runtime.device, runtime.dtype)
            with runtime.context():
                found = learner.evaluate(batch)
            # Sums of many batches need more digits than one batch.
            sums = sums.merge(Sums({name: (_wide(total), _wide(count)) for name, (total, count) in found.items()}))
    merged = Sums()
    for other in gather({name: (float(total), float(count)) for name, (total, count) in sums.items()}, world):
        merged = merged.merge(Sums(other))
    return merged.means()


def _wide(value: Any) -> Any:
    return value.detach().double() if isinstance(value, Tensor) else value


@contextlib.contextmanager
def evaluation_mode(learner: Learner, parts: Sequence[Part] = ()) -> Iterator[None]:
    """Switch to evaluation: no dropout, averaged weights; afterwards everything is as it was."""
    modes = [(module, module.training) for module in learner.modules()]
    with contextlib.ExitStack() as stack:
        for part in parts:
            if part.ema is not None:
                stack.enter_context(part.ema.swap())
        learner.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
