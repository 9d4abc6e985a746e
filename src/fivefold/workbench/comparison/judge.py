"""Decisions and calibration of each method: thresholds chosen on rows other than the judged ones, costs, reliability."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError

from ..tabular import label_texts
from .cells import Cell
from .plan import Plan


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a method's decisions are worth with one threshold.

    Attributes
    ----------
    threshold : float
        Mean over folds of the thresholds used.
    precision, recall, f1, balanced_accuracy : float
        Pooled over the judged rows; NaN where undefined.
    cost : float
        Expected cost a row; NaN when no costs were given.
    """

    threshold: float
    precision: float
    recall: float
    f1: float
    balanced_accuracy: float
    cost: float


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Decisions and calibration of one method, from its predictions out of fold.

    Attributes
    ----------
    chosen, half : Decision or None
        With the threshold chosen on the other folds, and with 0.5.
    everywhere : float
        Threshold chosen on all rows out of fold, for rows that took no part.
    slope, intercept, error : float
        Calibration slope and intercept, and expected calibration error.
    curve : (mean predicted, observed)
    """

    chosen: Decision | None = None
    half: Decision | None = None
    everywhere: float = float("nan")
    slope: float = float("nan")
    slope_error: float = float("nan")
    intercept: float = float("nan")
    error: float = float("nan")
    curve: tuple[np.ndarray, np.ndarray] = field(default_factory=lambda: (np.zeros(0), np.zeros(0)))


def positive_and_probability(plan: Plan, predictions: pl.DataFrame) -> tuple[np.ndarray, np.ndarray] | None:
    """Return whether each row is positive (n,) and its probability (n,); None for other tasks and without probabilities."""
    if plan.task != "binary" or plan.classes is None:
        return None
    column = f"probability_{plan.classes[1]}"
    if column not in predictions.columns:
        return None
    truth = label_texts(plan.frame[plan.target][predictions["row"].to_numpy()])
    return (truth == plan.classes[1]).to_numpy().astype(np.int64), predictions[column].to_numpy()


def judge(plan: Plan, cells: dict[str, Cell]) -> Judgement | None:
    """Return decisions and calibration of a method from the folds of the first repeat; None where it has no probabilities.

    A fold's threshold is chosen on the predictions of the *other* folds, so no row helps to choose what it is judged by.
    """
    from fivefold.evaluation.calibration import (
        calibration_slope_intercept,
        expected_calibration_error,
        reliability_curve,
        top_label,
    )

    parts = [cells.get(f"fold-0-{k}") for k in range(plan.splits.cv)]
    tables = [cell.predictions for cell in parts if cell is not None and cell.ok and cell.predictions is not None]
    if len(tables) < plan.splits.cv or plan.classes is None:
        return None
    if plan.task == "multiclass":
        names = [f"probability_{name}" for name in plan.classes]
        table = pl.concat(tables, how="diagonal")
        if any(name not in table.columns for name in names):
            return None
        truth = label_texts(plan.frame[plan.target][table["row"].to_numpy()])
        codes = truth.replace_strict(plan.classes, list(range(len(plan.classes))), return_dtype=pl.Int64).to_numpy()
        y, p = top_label(codes, table.select(names).to_numpy())
        found = calibration_slope_intercept(y, p)
        across, up, _ = reliability_curve(y, p)
        return Judgement(
            slope=found.slope,
            slope_error=found.slope_standard_error,
            intercept=found.intercept,
            error=expected_calibration_error(y, p),
            curve=(across, up),
        )
    pairs = [positive_and_probability(plan, table) for table in tables]
    kept = [pair for pair in pairs if pair is not None]
    if len(kept) < len(pairs):
        return None
    y, p = np.concatenate([a for a, _ in kept]), np.concatenate([b for _, b in kept])
    weights = plan.weights(plan.frame[np.concatenate([t["row"].to_numpy() for t in tables])])
    fold = np.repeat(np.arange(len(kept)), [len(a) for a, _ in kept])
    found = calibration_slope_intercept(y, p, weights)
    across, up, _ = reliability_curve(y, p, weights)
    thresholds = np.full(len(y), np.nan)
    if len(kept) > 1:
        for k in range(len(kept)):
            rest = fold != k
            value = _threshold(plan, y[rest], p[rest], None if weights is None else weights[rest])
            thresholds[~rest] = value
    everywhere = _threshold(plan, y, p, weights)
    return Judgement(
        chosen=decide(plan, y, p, thresholds, weights) if not np.isnan(thresholds).any() else None,
        half=decide(plan, y, p, np.full(len(y), 0.5), weights),
        everywhere=everywhere,
        slope=found.slope,
        slope_error=found.slope_standard_error,
        intercept=found.intercept,
        error=expected_calibration_error(y, p, weights),
        curve=(across, up),
    )


def costs_of(plan: Plan) -> Any:
    """Return the costs of the options, or None."""
    from fivefold.evaluation.thresholds import Costs

    return Costs(**plan.options.cost) if plan.options.cost else None


def _threshold(plan: Plan, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None) -> float:
    from fivefold.evaluation.thresholds import best_threshold

    costs = costs_of(plan)
    try:
        if costs is not None:
            return best_threshold(y, p, costs=costs, sample_weight=weights).value
        return best_threshold(y, p, objective="youden", sample_weight=weights).value
    except DataError:
        return float("nan")  # rows of one class choose no threshold; shown as a dash


def decide(plan: Plan, y: np.ndarray, p: np.ndarray, threshold: np.ndarray, weights: np.ndarray | None) -> Decision:
    """Return what decisions "positive when p >= threshold" are worth."""
    from fivefold.evaluation.thresholds import cost_of

    w = np.ones(len(y)) if weights is None else weights
    called = p >= threshold
    tp, fp = float(w[called & (y == 1)].sum()), float(w[called & (y == 0)].sum())
    fn, tn = float(w[~called & (y == 1)].sum()), float(w[~called & (y == 0)].sum())
    costs = costs_of(plan)

    def ratio(a: float, b: float) -> float:
        return a / b if b > 0 else float("nan")

    finite = threshold[np.isfinite(threshold)]
    return Decision(
        threshold=float(finite.mean()) if len(finite) else float(threshold[0]),
        precision=ratio(tp, tp + fp),
        recall=ratio(tp, tp + fn),
        f1=ratio(2 * tp, 2 * tp + fp + fn),
        balanced_accuracy=(ratio(tp, tp + fn) + ratio(tn, tn + fp)) / 2,
        cost=cost_of(y, called.astype(np.int64), costs, weights) if costs is not None else float("nan"),
    )
