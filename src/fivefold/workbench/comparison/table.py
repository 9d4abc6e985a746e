"""From cells to the table: means and deviations over folds, ranks, and the verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from .cells import Cell
from .numbers import mean_and_deviation, with_deviation
from .plan import Entry, Plan


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method in the table.

    Parameters
    ----------
    rank : int or None
        Place among the methods that finished every fold, by the mean of the ranking metric; None for a method that failed
        and for the baseline.
    reason : str
        Why it is not ranked; empty otherwise.
    scores : mapping metric -> score per fold
        Only metrics that every fold has.
    fit_seconds, predict_seconds : float
        Median over folds, so that loading and compiling in the first one do not count.
    """

    id: str
    title: str
    baseline: bool = False
    rank: int | None = None
    reason: str = ""
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    fit_seconds: float = float("nan")
    predict_seconds: float = float("nan")
    notes: tuple[str, ...] = ()
    recipe: str = ""

    @property
    def finished(self) -> bool:
        """Whether every fold came through and the ranking metric could be had."""
        return not self.reason

    def mean(self, metric: str) -> float:
        """Return the mean over folds, NaN where the metric cannot be had."""
        values = self.scores.get(metric)
        return mean_and_deviation(np.array(values))[0] if values else float("nan")

    def deviation(self, metric: str) -> float:
        """Return the standard deviation over folds, NaN where the metric cannot be had."""
        values = self.scores.get(metric)
        return mean_and_deviation(np.array(values))[1] if values else float("nan")

    def show(self, metric: str) -> str:
        """Return "mean ± deviation" for people."""
        return with_deviation(self.mean(metric), self.deviation(metric))


def higher_is_better(metric: str) -> bool:
    """Return the direction of a metric."""
    from fivefold.evaluation.registry import metric_class

    return bool(metric_class(metric).higher_is_better)


def make_row(plan: Plan, entry: Entry, cells: Sequence[Cell]) -> Row:
    """Return the row of a method from its cells; one failed fold makes it a row with a reason."""
    common: dict[str, Any] = {"id": entry.id, "title": entry.card.title, "baseline": entry.is_baseline}
    failed = [cell for cell in cells if not cell.ok]
    notes = _notes(cells)
    if failed:
        where = "" if len(failed) == plan.options.cv else f" (in {len(failed)} of {plan.options.cv} folds)"
        return Row(**common, reason=failed[0].reason + where, notes=notes)
    scores: dict[str, tuple[float, ...]] = {}
    for metric in plan.metrics:
        values = [cell.scores.get(metric) for cell in cells]
        if all(value is not None for value in values):
            scores[metric] = tuple(float(v) for v in values if v is not None)
    reason = ""
    if plan.rank_by not in scores:
        reason = f"{plan.rank_by} cannot be had in every fold: it needs {_needs(plan.rank_by)}."
    return Row(
        **common,
        reason=reason,
        scores=scores,
        fit_seconds=float(np.median([cell.fit_seconds for cell in cells])),
        predict_seconds=float(np.median([cell.predict_seconds for cell in cells])),
        notes=notes,
        recipe=cells[0].recipe,
    )


def _needs(metric: str) -> str:
    from fivefold.evaluation.registry import metric_class

    needs = metric_class(metric).needs
    return {"scores": "scores or probabilities", "probabilities": "probabilities"}.get(
        needs, needs
    ) + " and rows of every class"


def _notes(cells: Sequence[Cell]) -> tuple[str, ...]:
    # Warnings that differ in their numbers only are one note, told by its first occurrence.
    folds: dict[str, list[str]] = {}
    for cell in cells:
        for form, note in {re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", note): note for note in cell.notes}.items():
            folds.setdefault(form, []).append(note)
    return tuple(f"{found[0]} (in {len(found)} of {len(cells)} folds)" for found in folds.values())


def rank(rows: Sequence[Row], metric: str) -> list[Row]:
    """Return the rows best first with their ranks; then the failed ones, then the baseline."""
    sign = -1.0 if higher_is_better(metric) else 1.0
    finished = sorted(
        (row for row in rows if row.finished and not row.baseline), key=lambda row: (sign * row.mean(metric), row.id)
    )
    ranked = [Row(**{**vars(row), "rank": place}) for place, row in enumerate(finished, 1)]
    failed = [row for row in rows if not row.finished and not row.baseline]
    return [*ranked, *failed, *(row for row in rows if row.baseline)]


def out_of_fold(plan: Plan, cells: Sequence[Cell]) -> pl.DataFrame:
    """Return all predictions out of fold: method, repeat, fold, row, the truth, the prediction and probabilities.

    Rows come by method in the order of the plan and by their number, each once a method; failed methods have none.
    """
    truth = plan.frame[plan.target]
    parts = []
    complete = {e.id for e in plan.entries if all(c.ok for c in cells if c.method == e.id)}
    for entry in plan.entries:
        tables = [
            cell.predictions.with_columns(pl.lit(cell.fold, pl.Int64).alias("fold"))
            for cell in cells
            if cell.method == entry.id and entry.id in complete and cell.predictions is not None
        ]
        if not tables:
            continue
        table = pl.concat(tables, how="diagonal").sort("row")
        table = table.with_columns(
            pl.lit(entry.id).alias("method"),
            pl.lit(0, pl.Int64).alias("repeat"),
            truth.gather(table["row"]).alias("truth"),
        )
        first = ["method", "repeat", "fold", "row", "truth", "prediction"]
        parts.append(table.select(*first, pl.exclude(first)))
    return pl.concat(parts, how="diagonal") if parts else pl.DataFrame()


def as_frame(rows: Sequence[Row], metrics: Sequence[str]) -> pl.DataFrame:
    """Return the table with full digits: rank, method, mean and deviation of every metric, times, reason."""
    columns: dict[str, list[Any]] = {"rank": [row.rank for row in rows], "method": [row.id for row in rows]}
    for metric in metrics:
        columns[metric] = [_none(row.mean(metric)) for row in rows]
        columns[f"{metric}_deviation"] = [_none(row.deviation(metric)) for row in rows]
    columns["fit_seconds"] = [_none(row.fit_seconds) for row in rows]
    columns["predict_seconds"] = [_none(row.predict_seconds) for row in rows]
    columns["reason"] = [row.reason or None for row in rows]
    kinds = {name: pl.Float64 for name in columns if name not in ("rank", "method", "reason")}
    return pl.DataFrame(columns, schema_overrides={**kinds, "rank": pl.Int64, "method": pl.String, "reason": pl.String})


def _none(value: float) -> float | None:
    return None if math.isnan(value) else value


def verdict(plan: Plan, rows: Sequence[Row]) -> str:
    """Return the one sentence that must be read."""
    metric = plan.rank_by
    label = LABELS.get(metric, metric)
    ranked = [row for row in rows if row.rank is not None]
    base = next((row for row in rows if row.baseline and row.finished), None)
    if not ranked:
        return "No method finished every fold, so nothing is ranked; the table gives the reason of each."
    best = ranked[0]
    better = 1.0 if higher_is_better(metric) else -1.0
    folds = plan.options.cv
    if base and better * (best.mean(metric) - base.mean(metric)) <= 0:
        return (
            f"No method beats the trivial baseline ({label} {base.show(metric)}); the best of them, {best.id}, "
            f"reaches {best.show(metric)} over {folds} folds."
        )
    text = f"{best.id} ranks first with {label} {best.show(metric)} over {folds} folds"
    if base:
        text += f" (baseline {base.show(metric)})"
        ahead = sum(b > a for a, b in _pairs(base, best, metric, better))
        if ahead < folds:
            return (
                text + f", but is ahead of the baseline in only {ahead} of {folds} folds: it may have learned nothing."
            )
    if len(ranked) == 1:
        return text + "."
    second = ranked[1]
    wins = sum(b > a for a, b in _pairs(second, best, metric, better))
    text += f"; {second.id} follows with {second.show(metric)}"
    if wins < plan.options.cv:
        text += f", and is behind in only {wins} of {plan.options.cv} folds: these data do not tell the two apart with certainty."
    else:
        text += f" and is behind in each of the {plan.options.cv} folds."
    return text


def _pairs(a: Row, b: Row, metric: str, sign: float) -> list[tuple[float, float]]:
    return [(sign * x, sign * y) for x, y in zip(a.scores.get(metric, ()), b.scores.get(metric, ()))]


LABELS = {
    "roc-auc": "ROC AUC",
    "pr-auc": "PR AUC",
    "log-loss": "log loss",
    "brier-score": "Brier score",
    "accuracy": "accuracy",
    "balanced-accuracy": "balanced accuracy",
    "macro-f1": "macro F1",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}
"""Metrics as people write them."""
