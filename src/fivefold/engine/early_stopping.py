"""Stop when a monitored metric no longer improves, and go back to the best weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fivefold.base.errors import SpecError

from .callbacks import Callback
from .history import direction

if TYPE_CHECKING:
    from .fit import Fit


class EarlyStopping(Callback):
    r"""Stop after ``patience`` epochs without an improvement of the monitored metric.

    .. math:: \text{improvement:}\ m_t < m_{best} - \delta \ (\text{mode min}) \quad\text{or}\quad m_t > m_{best} + \delta
        \ (\text{mode max})

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name of ``fit.metrics``.
    patience : int >= 0, default 0
        Epochs without improvement after which training stops: at best + patience (with 0 and 1 alike at the first one).
    min_delta : float >= 0, default 0
        :math:`\delta`, what counts as an improvement.
    mode : {"auto", "min", "max"}, default "auto"
        Whether smaller or larger is better; ``auto`` goes by the name.
    baseline : float, optional
        Patience also runs while the metric is no better than this.
    restore_best_weights : bool, default True
        End with the weights of the best epoch, however the training ends.
    start_from_epoch : int >= 0, default 0
        Epochs of warm-up that are not looked at.

    Raises
    ------
    SpecError
        When a number is out of range, or the metric is not measured.

    Notes
    -----
    Counts as ``keras.callbacks.EarlyStopping`` (version 3); only ``restore_best_weights`` defaults to False there. NaN is no
    improvement.

    References
    ----------
    Prechelt, "Early stopping - but when?", 1998; 05#early-stopping, 08#keras-callbacks.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 0,
        min_delta: float = 0.0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        if patience < 0 or start_from_epoch < 0 or not min_delta >= 0:
            raise SpecError(
                "EarlyStopping needs patience, min_delta and start_from_epoch of at least 0; "
                f"got {patience}, {min_delta} and {start_from_epoch}."
            )
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.mode = mode
        self._smaller = direction(monitor, mode) == "min"
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._forget()

    def _forget(self) -> None:
        self.wait = 0
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._weights: dict[str, Any] | None = None
        self._loaded = False

    def on_fit_start(self, fit: Fit) -> None:
        if not self._loaded:
            self._forget()
        self._loaded = False

    def _better(self, value: float, than: float | None) -> bool:
        if than is None:
            return not math.isnan(value)
        return value < than - self.min_delta if self._smaller else value > than + self.min_delta

    def on_epoch_end(self, fit: Fit) -> None:
        value = fit.metrics.get(self.monitor)
        if value is None:
            if any(self.monitor in record for record in fit.history.epochs):
                return  # measured in some epochs only
            if fit.counters["epochs"] < fit.validate_every and fit.validation is not None:
                return
            known = ", ".join(fit.metrics)
            hint = "; give validation batches" if self.monitor.startswith("val_") and fit.validation is None else ""
            raise SpecError(
                f"EarlyStopping follows {self.monitor!r}, which is not measured; measured are: {known}{hint}."
            )
        epoch = int(fit.metrics["epoch"])
        if epoch <= self.start_from_epoch:
            return
        if self.restore_best_weights and self._weights is None:
            self._weights = fit.snapshot()
            self.best_epoch = epoch
        self.wait += 1
        if self._better(float(value), self.best):
            self.best = float(value)
            self.best_epoch = epoch
            if self.restore_best_weights:
                self._weights = fit.snapshot()
            if self.baseline is None or self._better(float(value), self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 1:
            self.stopped_epoch = epoch
            fit.stop(
                f"{self.monitor} has not improved for {self.wait} epochs; "
                f"the best was {self.best} in epoch {self.best_epoch}"
            )

    def on_fit_end(self, fit: Fit) -> None:
        if fit.status == "completed" and self._weights is not None:
            fit.restore(self._weights)

    def get_state(self) -> dict[str, Any]:
        return {
            "wait": self.wait,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "stopped_epoch": self.stopped_epoch,
            "weights": self._weights,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.wait = state["wait"]
        self.best = state["best"]
        self.best_epoch = state["best_epoch"]
        self.stopped_epoch = state["stopped_epoch"]
        self._weights = state["weights"]
        self._loaded = True
