"""What may happen beside the training loop, and when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fivefold.data.batches import Batch

if TYPE_CHECKING:
    from .fit import Fit

EVENTS = (
    "on_fit_start",
    "on_epoch_start",
    "on_batch_start",
    "on_step",
    "on_batch_end",
    "on_log",
    "on_validation_end",
    "on_epoch_end",
    "on_checkpoint",
    "on_fit_end",
)
"""Every event. Of one epoch, in order: epoch_start, then for each batch batch_start, step (one each yield), batch_end and, at
the logging interval, log; then validation_end, epoch_end, and checkpoint for each one written."""


class Callback:
    """Base of all callbacks: override the events you want; each gets the running :class:`~fivefold.engine.fit.Fit`.

    Callbacks of the trainer are called first, in their order, then those of the session. ``on_epoch_end`` sees the epoch's
    metrics in ``fit.metrics`` and may call ``fit.stop(reason)``.

    Class attributes
    ----------------
    first_rank_only : bool
        True for what prints or writes: with several processes it then runs in the first alone.
    """

    first_rank_only: ClassVar[bool] = False

    def on_fit_start(self, fit: Fit) -> None:
        """Before the first epoch, after a resume has restored everything."""

    def on_epoch_start(self, fit: Fit) -> None:
        """Before the first batch of an epoch; not called again for an epoch resumed in its middle."""

    def on_batch_start(self, fit: Fit, batch: Batch) -> None:
        """Before a batch is given to the learner."""

    def on_step(self, fit: Fit, part: str, stepped: bool) -> None:
        """After each ``Step`` that the learner yielded; ``stepped`` is what the learner gets as the answer."""

    def on_batch_end(self, fit: Fit, batch: Batch) -> None:
        """After the learner is through with a batch and the counters are raised."""

    def on_log(self, fit: Fit, record: dict[str, Any]) -> None:
        """Every ``log_every`` batches: means over the interval."""

    def on_validation_end(self, fit: Fit, metrics: dict[str, float]) -> None:
        """After the validation batches of an epoch; ``metrics`` have the prefix ``val_``."""

    def on_epoch_end(self, fit: Fit) -> None:
        """After an epoch and its validation; ``fit.metrics`` holds both."""

    def on_checkpoint(self, fit: Fit, path: Path) -> None:
        """After a checkpoint has been written."""

    def on_fit_end(self, fit: Fit) -> None:
        """Once at the end, also of a fit that failed or was interrupted (see ``fit.status``)."""

    def get_state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold for this callback."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned."""


class CallbackList:
    """Calls each event on those callbacks that override it."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = list(callbacks)
        # Most callbacks ignore most events; a batch should not pay for them.
        self.handlers = {
            event: [
                getattr(c, event) for c in self.callbacks if getattr(type(c), event) is not getattr(Callback, event)
            ]
            for event in EVENTS
        }

    def call(self, event: str, *arguments: Any) -> None:
        """Call ``event`` everywhere, in order."""
        for handler in self.handlers[event]:
            handler(*arguments)

    def _keyed(self) -> list[tuple[str, Callback]]:
        seen: dict[str, int] = {}
        keyed = []
        for callback in self.callbacks:
            name = type(callback).__name__
            seen[name] = seen.get(name, 0) + 1
            keyed.append((f"{name}-{seen[name]}", callback))
        return keyed

    def get_state(self) -> dict[str, Any]:
        """Return the states of all callbacks, by class name and order of that class."""
        states = {key: callback.get_state() for key, callback in self._keyed()}
        return {key: state for key, state in states.items() if state}

    def load_state(self, states: dict[str, Any]) -> None:
        """Restore the states of those callbacks that were there when they were saved."""
        for key, callback in self._keyed():
            if key in states:
                callback.load_state(states[key])
