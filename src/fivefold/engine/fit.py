"""One fit while it runs: the ``steps`` loop, its counters, and everything a checkpoint holds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fivefold.base.errors import ArtifactError, DataError, TrainingError
from fivefold.base.random import Streams
from fivefold.data.batches import Batch

from .callbacks import Callback, CallbackList
from .checkpoints import CheckpointStore, load_checkpoint
from .distribution import World, broadcast, gather
from .evaluating import evaluate
from .history import History
from .learner import Learner
from .meter import Meter
from .parts import Part, check_accumulation
from .runtime import Interrupts, Runtime, TrainingInterrupted, preserved_random_state
from .stepping import Stepper


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
        self.interrupts = Interrupts(active=store is not None)
        self.stepper = Stepper(self)
        self._seconds = 0.0
        self._started = time.perf_counter()

    # -- for callbacks ------------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """End the fit after this batch or epoch; ``reason`` goes to the history."""
        self.stop_reason = reason

    @property
    def at_boundary(self) -> bool:
        """Whether no accumulation window is open, so that a checkpoint may be written."""
        return self.stepper.window == 0

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
        with preserved_random_state(self.runtime.device), self.interrupts:
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
            wanted = self.stepper.stop_votes if self.world.size > 1 else bool(self.interrupts.wanted)
            if wanted and self.at_boundary:
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
        why = self.interrupts.wanted or "a signal to another process"
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
        reached = self.max_batches is not None and counters["batches"] + 1 >= self.max_batches
        self.stepper.play(batch, last or reached)
        counters["batches"] += 1
        made = batch.get("environment_steps")
        if made is not None:
            counters["environment_steps"] += int(made)
        self.batch += 1
        self._position = (self.epoch, self.batch)
        self.stepper.follow("batches")
        self.stepper.follow("environment_steps")
        if counters["batches"] % self.log_every == 0:
            self._log()
        for handler in self.callbacks.handlers["on_batch_end"]:
            handler(self, batch)

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _check_losses(self) -> None:
        bad = self.meter.flush()
        if bad:
            self.fail(f"not finite at {bad}")

    def fail(self, what: str) -> None:
        """Raise the error of a loss that is not finite, naming the last good checkpoint."""
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
            self._measure(record)
            self.callbacks.call("on_validation_end", self, measured)
        else:
            self._measure(record)
        self.callbacks.call("on_epoch_end", self)

    def _measure(self, record: dict[str, Any]) -> None:
        """Let the schedules that react to a metric see this epoch, unless it is not over yet."""
        if not self.partial:
            for part in self.parts.values():
                part.measure(record, self.counters["epochs"], validates=self.validation is not None)
            record |= self._rates()

    def _end_epoch(self) -> None:
        self.counters["epochs"] += 1
        self.stepper.follow("epochs")
        self._position = (self.epoch + 1, 0)
        self._close()
        self.epoch += 1
        self.batch = 0

    def _end_partial(self) -> None:
        # The checkpoint comes first: resumed with a higher limit, the epoch goes on as if it had not been looked at.
        self.save_checkpoint()
        self.partial = True
        self._close()
