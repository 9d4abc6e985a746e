"""Continuous monitoring: the objective and metrics on the training and the validation set, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fivefold.base.errors import SpecError
from fivefold.data.batches import Batch

from .callbacks import Callback
from .evaluating import evaluation_mode

if TYPE_CHECKING:
    from .fit import Fit


class TrainValidationMonitor(Callback):
    """Measure the objective and metrics on both sets at an interval, over whole sets and in evaluation mode.

    The training curve tells whether fitting is sufficient (where it goes, and how fast), the validation curve when it turns
    into over-fitting.

    Parameters
    ----------
    train, validation : objects with ``epoch``, such as Batches
        The two sets; give them with ``shuffle=False``.
    metrics : mapping name -> metric, or sequence of metric ids, optional
        A metric is a function ``(y_true, y_pred, sample_weight=None) -> float``, or a streaming object of
        ``fivefold.evaluation``; ids are looked up there. Measured on ``learner.predict``.
    every : int >= 1 or "epoch", default "epoch"
        Batches between two measurements.
    prepare : callable, optional
        Turns raw predictions (an array) into what the metrics want, for example logits into probabilities.

    Attributes
    ----------
    records : list of dict
        One a measurement: ``batches``, ``epoch``, ``train_<name>`` and ``validation_<name>``; those of an epoch's end are also
        added to ``fit.metrics``.

    Raises
    ------
    SpecError
        When ``every`` is out of range.

    References
    ----------
    01#train-val-monitor.
    """

    def __init__(
        self,
        train: Any,
        validation: Any,
        metrics: Mapping[str, Any] | list[str] | tuple[str, ...] = (),
        every: int | str = "epoch",
        prepare: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    ) -> None:
        if every != "epoch" and (not isinstance(every, int) or every < 1):
            raise SpecError(f'TrainValidationMonitor: every must be "epoch" or a number of batches, got {every!r}.')
        self.sets = {"train": train, "validation": validation}
        self.metrics = dict(metrics) if isinstance(metrics, Mapping) else {name: _metric(name) for name in metrics}
        self.every = every
        self.prepare = prepare
        self.records: list[dict[str, Any]] = []

    def on_batch_end(self, fit: Fit, batch: Batch) -> None:
        if isinstance(self.every, int) and fit.counters["batches"] % self.every == 0:
            self._measure(fit)

    def on_epoch_end(self, fit: Fit) -> None:
        if self.every == "epoch":
            record = self._measure(fit)
            fit.metrics.update({k: v for k, v in record.items() if k not in ("epoch", "batches")})

    def _measure(self, fit: Fit) -> dict[str, Any]:
        record: dict[str, Any] = {"epoch": fit.epoch + 1, "batches": fit.counters["batches"]}
        for name, batches in self.sets.items():
            record |= {f"{name}_{key}": value for key, value in fit.evaluate(batches).items()}
            if self.metrics:
                record |= {f"{name}_{key}": value for key, value in self._score(fit, batches).items()}
        self.records.append(record)
        return record

    def _score(self, fit: Fit, batches: Any) -> dict[str, float]:
        truths, predictions, weights = [], [], []
        with torch.no_grad(), evaluation_mode(fit.learner, list(fit.parts.values())):
            for batch in batches.epoch(0):
                moved = batch.to(fit.runtime.device, fit.runtime.dtype) if fit.runtime.moves else batch
                with fit.runtime.context():
                    predictions.append(fit.learner.predict(moved).double().cpu().numpy())
                truths.append(batch.y.cpu().numpy())
                if "weight" in batch:
                    weights.append(batch.weight.cpu().numpy())
        y, found = np.concatenate(truths), np.concatenate(predictions)
        if found.ndim == 2 and found.shape[1] == 1:
            found = found[:, 0]
            y = y.reshape(len(y))
        if self.prepare is not None:
            found = self.prepare(found)
        weight = np.concatenate(weights) if weights else None
        return {name: _apply(metric, y, found, weight) for name, metric in self.metrics.items()}

    def get_state(self) -> dict[str, Any]:
        return {"records": self.records}

    def load_state(self, state: dict[str, Any]) -> None:
        self.records = state["records"]


def _metric(name: str) -> Any:
    from fivefold.evaluation.registry import get_metric

    return get_metric(name)


def _apply(metric: Any, y: NDArray[Any], found: NDArray[Any], weight: NDArray[Any] | None) -> float:
    if isinstance(metric, type):
        metric = metric()
    if not hasattr(metric, "update"):
        return float(metric(y, found) if weight is None else metric(y, found, sample_weight=weight))
    metric.reset()
    metric.update(y, found, sample_weight=weight)
    return float(metric.compute())
