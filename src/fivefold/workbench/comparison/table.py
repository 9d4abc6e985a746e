"""From cells to the table: means and deviations over folds, ranks, and the verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from .cells import Cell
from .entries import Entry
from .numbers import mean_and_deviation, with_deviation
from .plan import Plan
from .scoring import score
from .splits import test_share
from .statistics import Comparisons, Difference, cheapest, compare_with_best


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
    difference : Difference or None
        To the best method; None for the best itself and where nothing is ranked.
    in_group : bool
        Whether it is the best or cannot be told from it.
    fit_seconds, predict_seconds : float
        Median over folds, so that loading and compiling in the first one do not count.
    trials : int
        Of tuning, the least over folds; 0 means the defaults.
    weights : float
        Numbers that the method has learned, median over folds; NaN where it cannot tell.
    rows_per_second : float
        Training rows of a model of click logs, each counted as often as it was passed, over the seconds of the whole fit; median
        over folds, NaN for other methods.
    """

    id: str
    title: str
    baseline: bool = False
    rank: int | None = None
    reason: str = ""
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    difference: Difference | None = None
    in_group: bool = False
    fit_seconds: float = float("nan")
    predict_seconds: float = float("nan")
    tune_seconds: float = 0.0
    trials: int = 0
    params: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    recipe: str = ""
    weights: float = float("nan")
    rows_per_second: float = float("nan")

    @property
    def finished(self) -> bool:
        """Whether every fold came through and the ranking metric could be had."""
        return not self.reason

    @property
    def setting(self) -> str:
        """Whether its parameters are the defaults or tuned."""
        return f"tuned ({self.trials})" if self.trials else "default"

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


def make_row(plan: Plan, entry: Entry, found: Mapping[str, Cell]) -> Row:
    """Return the row of a method from its cells; one failed fold makes it a row with a reason."""
    common: dict[str, Any] = {"id": entry.id, "title": entry.card.title, "baseline": entry.is_baseline}
    names = [f"fold-{repeat}-{fold}" for repeat, fold in plan.folds()]
    cells = [found[name] for name in names if name in found]
    failed = [cell for cell in cells if not cell.ok]
    notes = _notes(cells)
    if failed:
        sound = len(cells) - len(failed)
        reason = failed[0].reason
        if sound:
            reason = f"{reason.rstrip('.')} (after {sound} of {len(names)} folds)."
        return Row(**common, reason=reason, notes=notes)
    if len(cells) < len(names):
        return Row(**common, reason=f"Only {len(cells)} of {len(names)} folds were computed.", notes=notes)
    scores: dict[str, tuple[float, ...]] = {}
    every = [_scores(plan, cell) for cell in cells]
    for metric in plan.metrics:
        values = [one[metric] for one in every]
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
        tune_seconds=float(np.median([cell.tune_seconds for cell in cells])),
        trials=min(cell.trials for cell in cells),
        params=tuple(cell.params for cell in cells),
        notes=notes,
        recipe=cells[0].recipe,
        weights=_median([cell.weights for cell in cells]),
        rows_per_second=_median(
            [
                None if cell.passes is None else cell.trained * cell.passes / max(cell.fit_seconds, 1e-9)
                for cell in cells
            ]
        ),
    )


def _median(values: Sequence[float | None]) -> float:
    """Return the median over folds, NaN where a fold lacks the number."""
    known = [float(value) for value in values if value is not None]
    return float(np.median(known)) if known and len(known) == len(values) else float("nan")


def _scores(plan: Plan, cell: Cell) -> dict[str, float | None]:
    if cell.predictions is None:
        return dict.fromkeys(plan.metrics)
    return score(plan, plan.frame[cell.predictions["row"].to_numpy()], cell.predictions)


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


def rank(rows: Sequence[Row], metric: str, share: float = 0.25) -> list[Row]:
    """Return the rows best first with ranks and differences; then the failed ones, then the baseline.

    Parameters
    ----------
    share : float, default 0.25
        Tested over training rows of a fold, for the corrected variance of differences.
    """
    sign = -1.0 if higher_is_better(metric) else 1.0
    finished = sorted(
        (row for row in rows if row.finished and not row.baseline), key=lambda row: (sign * row.mean(metric), row.id)
    )
    told = comparisons(finished, metric, share)
    ranked = [
        replace(
            row,
            rank=place,
            difference=told.differences.get(row.id) if told else None,
            in_group=told is not None and row.id in told.group,
        )
        for place, row in enumerate(finished, 1)
    ]
    failed = [row for row in rows if not row.finished and not row.baseline]
    return [*ranked, *failed, *(row for row in rows if row.baseline)]


def comparisons(rows: Sequence[Row], metric: str, share: float) -> Comparisons | None:
    """Return the differences of ranked rows to the best; None when there is none."""
    scores = {row.id: np.array(row.scores[metric]) for row in rows if row.finished and not row.baseline}
    if not scores:
        return None
    return compare_with_best(scores, higher_is_better=higher_is_better(metric), test_share=share)


def out_of_fold(plan: Plan, cells: Mapping[str, Mapping[str, Cell]]) -> pl.DataFrame:
    """Return all predictions out of fold: method, repeat, fold, row, the truth, the prediction and probabilities.

    Rows come by method in the order of the plan, by repeat and by their number, each once a repeat; failed methods have none.
    """
    truth = plan.frame[plan.target]
    parts = []
    for entry in plan.entries:
        mine = cells.get(entry.id, {})
        found = [(repeat, fold, mine.get(f"fold-{repeat}-{fold}")) for repeat, fold in plan.folds()]
        if any(cell is None or not cell.ok or cell.predictions is None for _, _, cell in found):
            continue
        tables = [
            cell.predictions.with_columns(
                pl.lit(fold, pl.Int64).alias("fold"), pl.lit(repeat, pl.Int64).alias("repeat")
            )
            for repeat, fold, cell in found
            if cell is not None and cell.predictions is not None
        ]
        table = pl.concat(tables, how="diagonal").sort("repeat", "row")
        table = table.with_columns(pl.lit(entry.id).alias("method"), truth.gather(table["row"]).alias("truth"))
        first = ["method", "repeat", "fold", "row", "truth", "prediction"]
        parts.append(table.select(*first, pl.exclude(first)))
    return pl.concat(parts, how="diagonal") if parts else pl.DataFrame()


def as_frame(rows: Sequence[Row], metrics: Sequence[str]) -> pl.DataFrame:
    """Return the table with full digits: rank, group, method, mean and deviation of every metric, times, sizes, reason."""
    columns: dict[str, list[Any]] = {
        "rank": [row.rank for row in rows],
        "in_group": [row.in_group if row.rank is not None else None for row in rows],
        "method": [row.id for row in rows],
        "setting": [row.setting for row in rows],
    }
    for metric in metrics:
        columns[metric] = [_none(row.mean(metric)) for row in rows]
        columns[f"{metric}_deviation"] = [_none(row.deviation(metric)) for row in rows]
    columns["behind_best"] = [_none(row.difference.mean) if row.difference else None for row in rows]
    columns["p_adjusted"] = [_none(row.difference.adjusted) if row.difference else None for row in rows]
    columns["fit_seconds"] = [_none(row.fit_seconds) for row in rows]
    columns["predict_seconds"] = [_none(row.predict_seconds) for row in rows]
    columns["weights"] = [_none(row.weights) for row in rows]
    columns["rows_per_second"] = [_none(row.rows_per_second) for row in rows]
    columns["reason"] = [row.reason or None for row in rows]
    plain = {"rank": pl.Int64, "in_group": pl.Boolean, "method": pl.String, "setting": pl.String, "reason": pl.String}
    return pl.DataFrame(columns, schema_overrides={name: plain.get(name, pl.Float64) for name in columns})


def _none(value: float) -> float | None:
    return None if math.isnan(value) else value


def verdict(plan: Plan, rows: Sequence[Row]) -> str:
    """Return the sentence that must be read: who is best, who cannot be told from it, and which of these is cheapest."""
    metric = plan.rank_by
    label = LABELS.get(metric, metric)
    ranked = [row for row in rows if row.rank is not None]
    base = next((row for row in rows if row.baseline and row.finished), None)
    if not ranked:
        return "No method finished every fold, so nothing is ranked; the table gives the reason of each."
    best = ranked[0]
    over = f"over {plan.splits.cv * plan.splits.repeats} folds"
    if base:
        told = compare_with_best(
            {row.id: np.array(row.scores[metric]) for row in (best, base)},
            higher_is_better=higher_is_better(metric),
            test_share=test_share(plan.splits),
        )
        if told.best == base.id:
            return (
                f"No method beats the trivial baseline ({label} {base.show(metric)}); the best of them, {best.id}, "
                f"reaches {best.show(metric)} {over}."
            )
        if base.id in told.group and plan.splits.cv > 1:
            return (
                f"{best.id} ranks first with {label} {best.show(metric)} {over}, but cannot be told from the trivial baseline "
                f"({base.show(metric)}): it may have learned nothing."
            )
    against = f" (baseline {base.show(metric)})" if base else ""
    text = f"{best.id} is best with {label} {best.show(metric)} {over}{against}"
    group = [row for row in ranked if row.in_group]
    if len(ranked) == 1:
        return text + "."
    if len(group) == 1:
        return (
            text
            + f", and every other method is behind it beyond chance; {ranked[1].id} follows with {ranked[1].show(metric)}."
        )
    others = [row.id for row in group[1:]]
    named = _listed(others) if len(others) <= 4 else f"{_listed(others[:3])} and {len(others) - 3} more"
    text += f"; {named} cannot be told from it"
    seconds = {row.id: row.fit_seconds + row.predict_seconds for row in group}
    cheap = cheapest([row.id for row in group], seconds)
    ratio = seconds[best.id] / max(seconds[cheap], 1e-9)
    if cheap == best.id or ratio < _WORTH_SAYING:
        return f"{text}, and none of them is much cheaper."
    return f"{text}, and the cheapest of these is {cheap}, {_times(ratio)} faster than {best.id}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


_WORTH_SAYING = 1.5  # times of small tables differ by less from run to run


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times"


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
