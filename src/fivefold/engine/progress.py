"""A progress bar with throughput and time left, cheap enough to leave on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fivefold.data.batches import Batch

from .callbacks import Callback

if TYPE_CHECKING:
    from .fit import Fit


class ProgressBar(Callback):
    """Show progress on stderr: batches done, rows a second, time left, the newest losses.

    Drawn at most twice a second; where stderr is no terminal, one line an epoch is printed, at most every five seconds.

    Parameters
    ----------
    console : rich console, optional
        Where to draw; by default one on stderr.
    """

    first_rank_only = True

    def __init__(self, console: Any = None) -> None:
        self.console = console
        self._bar: Any = None

    def on_fit_start(self, fit: Fit) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        if self.console is None:
            self.console = Console(stderr=True)
        if fit.runtime.message:
            self.console.print(fit.runtime.message)
        self._interval = 0.5 if self.console.is_terminal else 5.0
        self._rows = 0
        self._text = ""
        self._since = self._drawn = time.perf_counter()
        self._throughput = 0.0
        self._bar = None
        if self.console.is_terminal:
            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[rate]} {task.fields[text]}"),
                console=self.console,
                auto_refresh=False,  # a refresh thread would take the interpreter lock from the training
                transient=False,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                "", total=fit.total_batches, completed=fit.counters["batches"], epoch=fit.epoch + 1, rate="", text=""
            )

    def on_batch_end(self, fit: Fit, batch: Batch) -> None:
        self._rows += batch.place.rows
        now = time.perf_counter()
        if now - self._drawn >= self._interval and self._bar is not None:
            self._draw(fit, now)

    def _measure(self, now: float) -> None:
        if now > self._since:
            self._throughput = self._rows / (now - self._since)
        self._rows, self._since = 0, now

    def _draw(self, fit: Fit, now: float) -> None:
        self._measure(now)
        epoch = fit.epoch + 1 if fit.status == "running" else fit.metrics.get("epoch", fit.epoch + 1)
        self._bar.update(
            self._task,
            completed=fit.counters["batches"],
            epoch=epoch,
            rate=f"{self._throughput:,.0f} rows/s",
            text=self._text,
            refresh=True,
        )
        self._drawn = now

    @staticmethod
    def _describe(record: dict[str, Any]) -> str:
        shown = [(k, v) for k, v in record.items() if "loss" in k or k.startswith("val_")]
        return " ".join(f"{k}={v:.4g}" for k, v in shown[:4])

    def on_log(self, fit: Fit, record: dict[str, Any]) -> None:
        self._text = self._describe(record)

    def on_epoch_end(self, fit: Fit) -> None:
        self._text = self._describe(fit.metrics)
        now = time.perf_counter()
        if self._bar is None and now - self._drawn >= self._interval:
            self._measure(now)
            of = f"/{fit.max_epochs}" if fit.max_epochs is not None else ""
            self.console.print(
                f"epoch {fit.epoch + 1}{of}: {self._text} ({self._throughput:,.0f} rows/s)",
                highlight=False,
                markup=False,
            )
            self._drawn = now

    def on_fit_end(self, fit: Fit) -> None:
        if self._bar is not None:
            self._draw(fit, time.perf_counter())
            self._bar.stop()
            self._bar = None
