"""Loggers: one JSON object a line, and TensorBoard event files."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fivefold.base.errors import MissingDependencyError, StorageError

from .callbacks import Callback

if TYPE_CHECKING:
    from .fit import Fit


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    # JSON has no NaN; a missing number is null.
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}


class JSONLLogger(Callback):
    """Write each log record and each epoch as one line of JSON.

    Lines have ``kind`` "batch" (means over the logging interval) or "epoch". They hold no clock times, so a resumed run leaves
    the very file that an uninterrupted one leaves.

    Parameters
    ----------
    path : path

    Raises
    ------
    StorageError
        When the file cannot be written.
    """

    first_rank_only = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: Any = None
        self._keep = 0

    def on_fit_start(self, fit: Fit) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a", encoding="utf8")  # noqa: SIM115 - open for the whole fit
            # What was logged after the checkpoint will be logged again.
            if self._file.tell() > self._keep:
                self._file.truncate(self._keep)
        except OSError as error:
            raise StorageError(f"Cannot write {self.path}: {error}.") from error
        self._keep = 0

    def _write(self, kind: str, record: dict[str, Any]) -> None:
        self._file.write(json.dumps({"kind": kind, **_plain(record)}, allow_nan=False) + "\n")
        self._file.flush()

    def on_log(self, fit: Fit, record: dict[str, Any]) -> None:
        self._write("batch", record)

    def on_epoch_end(self, fit: Fit) -> None:
        self._write("epoch", fit.metrics)

    def on_fit_end(self, fit: Fit) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def get_state(self) -> dict[str, Any]:
        return {"bytes": self._file.tell() if self._file is not None else 0}

    def load_state(self, state: dict[str, Any]) -> None:
        self._keep = int(state["bytes"])


class TensorBoardLogger(Callback):
    """Write TensorBoard event files: training means at the logging interval, all metrics at each epoch.

    Parameters
    ----------
    directory : path

    Raises
    ------
    MissingDependencyError
        When tensorboard is not installed.
    """

    first_rank_only = True

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._writer: Any = None

    def on_fit_start(self, fit: Fit) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingDependencyError(
                'Writing TensorBoard files needs tensorboard; install it with: pip install "fivefold[tensorboard]"'
            ) from error
        # A resumed run hides the events after its checkpoint.
        self._writer = SummaryWriter(str(self.directory), purge_step=fit.counters["batches"] + 1)

    def _write(self, prefix: str, record: dict[str, Any], step: int) -> None:
        for name, value in record.items():
            if isinstance(value, (int, float)) and name not in ("epoch", "batches"):
                self._writer.add_scalar(f"{prefix}/{name}", value, step)

    def on_log(self, fit: Fit, record: dict[str, Any]) -> None:
        self._write("interval", record, fit.counters["batches"])

    def on_epoch_end(self, fit: Fit) -> None:
        self._write("epoch", fit.metrics, fit.counters["batches"])

    def on_fit_end(self, fit: Fit) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
