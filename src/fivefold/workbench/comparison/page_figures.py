"""The figures of a comparison's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from .. import figures, figures_scores
from ..report import Report
from ..tabular import label_texts
from .finish import Finish
from .judge import Judgement
from .numbers import mean_and_deviation
from .plan import Plan
from .table import LABELS, Row, higher_is_better

_SHOWN = 8  # methods in one figure
_CLOUD = 50_000  # rows of a figure of points
_CLASSES = 20  # of a confusion matrix

Drawn = tuple[Any, str, str]


def draw(
    page: Report,
    plan: Plan,
    rows: Sequence[Row],
    oof: pl.DataFrame,
    end: Finish | None,
    judgements: Mapping[str, Judgement],
) -> None:
    """Add the section of figures: score against time, differences, then those of the task, then the winner's."""
    ranked = [row for row in rows if row.rank is not None][:_SHOWN]
    if not ranked:
        return
    page.section("Figures")
    drawn = _scores(plan, rows, ranked)
    matrices: list[dict[str, Any]] = []
    if plan.task == "regression":
        drawn += _regression(plan, ranked[0], oof)
    else:
        drawn += _curves(plan, ranked, oof) if plan.task == "binary" else []
        drawn += _reliability(ranked, judgements)
        matrices = _confusion(page, plan, ranked[0], oof)
    drawn += _winner(plan, end) if end is not None else []
    page.figures(drawn, matrices=matrices)


def _scores(plan: Plan, rows: Sequence[Row], ranked: Sequence[Row]) -> list[Drawn]:
    metric = plan.rank_by
    label = LABELS.get(metric, metric)
    trivial = next((row for row in rows if row.baseline and row.finished), None)
    base = trivial.mean(metric) if trivial else None
    named = f" The baseline stands at {trivial.show(metric)}." if trivial else ""
    best = ranked[0]
    drawn: list[Drawn] = [
        (
            figures.score_against_time(
                [row.id for row in ranked],
                [row.fit_seconds + row.predict_seconds for row in ranked],
                [row.mean(metric) for row in ranked],
                [row.deviation(metric) for row in ranked],
                score=f"{label} ({'higher' if higher_is_better(metric) else 'lower'} is better)",
                baseline=base,
            ),
            f"{label} of each method against its time; numbers are in the table.",
            f"{label}, mean ± deviation over folds, against the time to fit and predict one fold.{named}",
        ),
        (
            figures.fold_dots({row.id: row.scores[metric] for row in ranked}, score=label),
            f"{label} of each method in every fold.",
            f"{label} in every fold (dots) and on average (bars).",
        ),
    ]
    behind = [(row.id, row.difference) for row in ranked if row.difference is not None]
    if behind:
        drawn.append(
            (
                figures_scores.group_intervals(
                    [name for name, _ in behind],
                    [found.mean for _, found in behind],
                    [found.low for _, found in behind],
                    [found.high for _, found in behind],
                    score=label,
                    best=best.id,
                ),
                f"Difference of each method to {best.id}.",
                f"How far each method is behind {best.id}, with its 95 % interval (corrected variance, one method at a time).",
            )
        )
    return drawn


def _regression(plan: Plan, best: Row, oof: pl.DataFrame) -> list[Drawn]:
    mine = oof.filter((pl.col("method") == best.id) & (pl.col("repeat") == 0))
    mine = mine[:: max(1, len(mine) // _CLOUD)]
    truth, predicted = mine["truth"].cast(pl.Float64).to_numpy(), mine["prediction"].to_numpy()
    return [
        (
            figures.predicted_against_actual(truth, predicted, target=plan.target),
            f"Predictions of {best.id} against the truth.",
            f"{best.id}: predictions for rows it was not fitted on, against the truth; the fuller the color, the more rows.",
        ),
        (
            figures.residuals(predicted, truth - predicted),
            f"Residuals of {best.id} against its predictions.",
            f"{best.id}: what the predictions leave unexplained.",
        ),
    ]


def _curves(plan: Plan, ranked: Sequence[Row], oof: pl.DataFrame) -> list[Drawn]:
    from fivefold.evaluation.ranking import pr_curve, roc_curve

    classes = plan.classes or []
    column = f"probability_{classes[1]}"
    roc: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    recall: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    share = 0.0
    for row in ranked:
        mine = oof.filter((pl.col("method") == row.id) & (pl.col("repeat") == 0))
        if column not in mine.columns or mine[column].null_count():
            continue
        positive = (label_texts(mine["truth"]) == classes[1]).cast(pl.Int64).to_numpy()
        share = float(positive.mean())
        false, true, _ = roc_curve(positive, mine[column].to_numpy())
        roc[row.id] = figures.thin(np.asarray(false), np.asarray(true))
        precision, found, _ = pr_curve(positive, mine[column].to_numpy())
        recall[row.id] = (np.asarray(found), np.asarray(precision))
    if not roc:
        return []
    return [
        (
            figures.roc_curves(roc),
            "ROC curves of the methods.",
            f"ROC curves over all rows, each scored by the model that had not seen it; positive is {classes[1]}.",
        ),
        (
            figures_scores.pr_curves(recall, share),
            "Precision and recall of the methods.",
            f"Precision against recall over the same rows; guessing reaches the prevalence, {share:.3g}.",
        ),
    ]


def _reliability(ranked: Sequence[Row], judgements: Mapping[str, Judgement]) -> list[Drawn]:
    curves = {row.id: judgements[row.id].curve for row in ranked if row.id in judgements}
    curves = {name: curve for name, curve in curves.items() if len(curve[0])}
    if not curves:
        return []
    return [
        (
            figures_scores.reliability_curves(curves),
            "Reliability of the probabilities.",
            "Reliability: observed share against predicted probability, in ten bins of equal count; calibrated is the diagonal.",
        )
    ]


def _winner(plan: Plan, end: Finish) -> list[Drawn]:
    label = LABELS.get(plan.rank_by, plan.rank_by)
    drawn: list[Drawn] = []
    if end.curve:
        told = [mean_and_deviation(np.array(values)) for _, values in end.curve]
        drawn.append(
            (
                figures_scores.learning_curve(
                    [rows for rows, _ in end.curve], [m for m, _ in told], [d for _, d in told], score=label
                ),
                f"Learning curve of {end.winner}.",
                f"{end.winner}: {label} against the rows trained on, over {len(end.curve[-1][1])} folds.",
            )
        )
    if end.importance:
        where = "of the sealed test" if end.sealed else "of the last fold"
        drawn.append(
            (
                figures_scores.importance_bars(
                    [name for name, _, _ in end.importance],
                    [mean for _, mean, _ in end.importance],
                    [spread for _, _, spread in end.importance],
                    score=label,
                    higher_is_better=higher_is_better(plan.rank_by),
                ),
                f"Permutation importance of {end.winner}.",
                f"{end.winner}: how much worse {label} gets when one column {where} is shuffled. Columns that tell the same "
                "share their importance.",
            )
        )
    return drawn


def _confusion(page: Report, plan: Plan, best: Row, oof: pl.DataFrame) -> list[dict[str, Any]]:
    classes = plan.classes or []
    if len(classes) > _CLASSES:
        page.text(
            f"The confusion matrix of {len(classes)} classes is left out; oof.parquet holds every prediction.",
            kind="note",
        )
        return []
    mine = oof.filter((pl.col("method") == best.id) & (pl.col("repeat") == 0))
    numbers = list(range(len(classes)))
    true = label_texts(mine["truth"]).replace_strict(classes, numbers, return_dtype=pl.Int64).to_numpy()
    called = label_texts(mine["prediction"]).replace_strict(classes, numbers, return_dtype=pl.Int64).to_numpy()
    k = len(classes)
    counts = np.bincount(true * k + called, minlength=k * k).reshape(k, k)
    return [
        {
            "labels": classes,
            "counts": [[int(v) for v in row] for row in counts],
            "rows": "true",
            "columns": "predicted",
            "caption": f"{best.id}: rows of each class out of fold; shaded by the share of the true class.",
        }
    ]
