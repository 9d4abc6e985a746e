"""Scores follow from predictions: one function for every metric, cell and part."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import FivefoldError, TrainingError

from ..tabular import label_texts, target_vector
from .plan import Plan


def score(plan: Plan, test: pl.DataFrame, predictions: pl.DataFrame) -> dict[str, float | None]:
    """Return every metric of some predictions; None where it cannot be had: no probabilities, or rows of one class only."""
    y = target_vector(test, plan.schema, plan.classes)
    forms = prediction_forms(predictions, plan.classes)
    weights = plan.weights(test)
    return {name: _value(name, y, forms, weights, plan.classes) for name in plan.metrics}


def score_one(plan: Plan, test: pl.DataFrame, predictions: pl.DataFrame, metric: str) -> float:
    """Return one metric of some predictions.

    Raises
    ------
    TrainingError
        When it cannot be had.
    """
    y = target_vector(test, plan.schema, plan.classes)
    value = _value(metric, y, prediction_forms(predictions, plan.classes), plan.weights(test), plan.classes)
    if value is None:
        raise TrainingError(f"{metric} cannot be had from these predictions.")
    return value


def score_function(plan: Plan, metric: str) -> Any:
    """Return a function of (y, answer, weight) for the bootstrap, and the form of the answer it needs."""
    from fivefold.evaluation.registry import metric_class

    chosen = metric_class(metric)
    options = _options(chosen, plan.classes)
    return (lambda y, answer, weight=None: chosen.function(y, answer, weight, **options)), chosen.needs


def _options(metric: Any, classes: list[str] | None) -> dict[str, Any]:
    if classes is not None and "labels" in inspect.signature(metric.function).parameters:
        return {"labels": np.arange(len(classes))}
    return {}


def _value(
    name: str, y: np.ndarray, forms: dict[str, np.ndarray], weights: Any, classes: list[str] | None
) -> float | None:
    from fivefold.evaluation.registry import metric_class, prediction_for

    metric = metric_class(name)
    try:
        answer = prediction_for(metric.needs, forms)
        value = float(metric.function(y, answer, weights, **_options(metric, classes)))
    except FivefoldError:
        return None  # shown as a dash: no probabilities, or a fold without rows of a class
    return value if np.isfinite(value) else None


def prediction_forms(predictions: pl.DataFrame, classes: list[str] | None) -> dict[str, np.ndarray]:
    """Return the forms a metric may ask for: values; or codes of the labels and probabilities (n, classes)."""
    if classes is None:
        return {"values": predictions["prediction"].to_numpy()}
    labels = label_texts(predictions["prediction"]).replace_strict(
        classes, list(range(len(classes))), return_dtype=pl.Int64
    )
    forms = {"labels": labels.to_numpy()}
    names = [f"probability_{name}" for name in classes]
    if all(name in predictions.columns for name in names):
        forms["probabilities"] = predictions.select(names).to_numpy()
    return forms
