"""The callback that decides when a checkpoint is written and which one is best."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fivefold.base.errors import SpecError
from fivefold.data.batches import Batch

from .callbacks import Callback
from .history import direction

if TYPE_CHECKING:
    from .fit import Fit


class ModelCheckpoint(Callback):
    """Write ``last`` after each epoch, ``best`` when the monitored metric improves, and keep the newest ``epoch-000N``.

    Parameters
    ----------
    directory : path, optional
        By default ``checkpoints`` in the session's directory.
    monitor : str, optional
        Metric that decides ``best``; by default ``val_loss`` where there is validation, else ``loss``.
    mode : {"auto", "min", "max"}, default "auto"
        Whether smaller or larger is better; ``auto`` goes by the name.
    every_epochs : int >= 1, default 1
    every_batches : int >= 1, optional
        Write ``last`` within epochs too.
    keep : int >= 0, default 1
        How many ``epoch-*`` checkpoints stay.

    Raises
    ------
    SpecError
        When a number is out of range, or the monitored metric is not measured.

    References
    ----------
    08#keras-callbacks, 04#train-utils.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        monitor: str | None = None,
        mode: str = "auto",
        every_epochs: int = 1,
        every_batches: int | None = None,
        keep: int = 1,
    ) -> None:
        if every_epochs < 1 or (every_batches is not None and every_batches < 1) or keep < 0:
            raise SpecError(
                f"ModelCheckpoint needs every_epochs >= 1, every_batches >= 1 and keep >= 0; got {every_epochs}, "
                f"{every_batches} and {keep}."
            )
        self.directory = Path(directory) if directory is not None else None
        self.monitor = monitor
        self.mode = mode
        self.every_epochs = every_epochs
        self.every_batches = every_batches
        self.keep = keep
        self.best: float | None = None
        self._due = False

    def on_fit_start(self, fit: Fit) -> None:
        if self.monitor is not None:
            direction(self.monitor, self.mode)

    def on_batch_end(self, fit: Fit, batch: Batch) -> None:
        if self.every_batches is None:
            return
        self._due = self._due or fit.counters["batches"] % self.every_batches == 0
        if self._due and fit.at_boundary:
            self._due = False
            fit.save_checkpoint()

    def on_epoch_end(self, fit: Fit) -> None:
        if fit.partial:
            return
        number = fit.counters["epochs"]
        best = self._improves(fit)
        if best or number % self.every_epochs == 0 or fit.stop_reason:
            fit.save_checkpoint(best=best, epoch=number if number % self.every_epochs == 0 else None)

    def _improves(self, fit: Fit) -> bool:
        monitor = self.monitor
        if monitor is None:
            # A learner of several parts has several losses and none of them says which epoch is best.
            monitor = "val_loss" if fit.validation is not None else "loss"
            if not any(monitor in record for record in fit.history.epochs):
                return False
        elif not any(monitor in record for record in fit.history.epochs):
            known = ", ".join(fit.history.names())
            raise SpecError(f"ModelCheckpoint follows {monitor!r}, which is not measured; measured are: {known}.")
        value = float(fit.metrics.get(monitor, math.nan))
        if math.isnan(value):
            return False
        smaller = direction(monitor, self.mode) == "min"
        if self.best is None or (value < self.best if smaller else value > self.best):
            self.best = value
            return True
        return False

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "due": self._due}

    def load_state(self, state: dict[str, Any]) -> None:
        self.best = state["best"]
        self._due = state["due"]
