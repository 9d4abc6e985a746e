"""The report of a comparison: verdict, table, figures, then everything needed to judge and repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from .. import figures
from ..report import Report
from ..store import RunRecord
from ..tabular import label_texts
from .plan import Plan
from .table import LABELS, Row, higher_is_better, verdict


def build_page(plan: Plan, rows: Sequence[Row], oof: pl.DataFrame, record: RunRecord, seconds: float) -> Report:
    """Return the report of a finished comparison."""
    page = Report(
        f"Comparison on {plan.data.name}",
        f"{plan.task} on {plan.target} · {plan.data.rows:,} rows · {plan.options.cv}-fold cross-validation · "
        f"{record.started[:16].replace('T', ' ')}",
    )
    page.verdict(verdict(plan, rows))
    for note in plan.notes:
        page.text(note, kind="warning")
    _table(page, plan, rows)
    _figures(page, plan, rows, oof)
    _how(page, plan, rows)
    _schema(page, plan)
    page.section("Repeat it")
    page.code(shlex.join(record.command))
    page.text("Apply the best method, refitted on all rows, to new data:").code(
        f"fivefold predict {shlex.quote(str(record.directory))} new.parquet"
    )
    page.facts(
        {
            "seed": plan.options.seed,
            "threads": plan.threads,
            "time": figures.seconds(seconds),
            "SHA-256 of the values": plan.data.sha256,
            "platform": record.platform,
            "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        }
    )
    return page


def _table(page: Report, plan: Plan, rows: Sequence[Row]) -> None:
    page.section("Cross-validation")
    arrows = {m: "↑" if higher_is_better(m) else "↓" for m in plan.metrics}
    heads = [f"{LABELS.get(m, m)}\n{arrows[m]}{' ranks' if m == plan.rank_by else ''}" for m in plan.metrics]
    columns = ["", "method", heads[0], "fit\na fold", "predict\na fold", *heads[1:]]
    body, quiet, apart = [], [], []
    for number, row in enumerate(rows):
        if row.baseline:
            apart.append(number)
        if row.baseline or row.rank is None:
            quiet.append(number)
        body.append(
            [
                "" if row.rank is None else str(row.rank),
                row.id,
                row.show(plan.rank_by),
                _seconds(row.fit_seconds),
                _seconds(row.predict_seconds),
                *(row.show(m) for m in plan.metrics[1:]),
            ]
        )
    page.table(
        columns,
        body,
        align="rn" + "r" * (len(columns) - 2),
        best=[0] if rows and rows[0].rank == 1 else [],
        quiet=quiet,
        apart=apart,
        caption=f"Mean ± standard deviation over {plan.options.cv} folds; every method saw the same folds. "
        "↑ higher is better, ↓ lower is better. Times are medians over folds.",
    )
    failed = [f"{row.id} is not ranked: {row.reason}" for row in rows if row.reason]
    if failed:
        page.items(failed)
    page.text(
        "Scores are for choosing among methods; the best of several is a little flattered by the choice, and differences "
        "within the deviation are not a finding. Parameters are the defaults of each method, not tuned.",
        kind="note",
    )


def _seconds(value: float) -> str:
    return "–" if np.isnan(value) else figures.seconds(value)


def _figures(page: Report, plan: Plan, rows: Sequence[Row], oof: pl.DataFrame) -> None:
    ranked = [row for row in rows if row.rank is not None][:8]
    if not ranked:
        return
    metric = plan.rank_by
    label = LABELS.get(metric, metric)
    trivial = next((row for row in rows if row.baseline and row.finished), None)
    base = trivial.mean(metric) if trivial else None
    named = f" The baseline stands at {trivial.show(metric)}." if trivial else ""
    best = ranked[0]
    drawn: list[tuple[Any, str, str]] = [
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
    page.section("Figures")
    if plan.task == "regression":
        mine = oof.filter(pl.col("method") == best.id)
        truth, predicted = mine["truth"].cast(pl.Float64).to_numpy(), mine["prediction"].to_numpy()
        drawn += [
            (
                figures.predicted_against_actual(truth, predicted, target=plan.target),
                f"Predictions of {best.id} against the truth.",
                f"{best.id}: predictions for rows it was not fitted on, against the truth; darker means more rows.",
            ),
            (
                figures.residuals(predicted, truth - predicted),
                f"Residuals of {best.id} against its predictions.",
                f"{best.id}: what the predictions leave unexplained.",
            ),
        ]
        page.figures(drawn)
        return
    if plan.task == "binary" and plan.classes is not None:
        curves = _roc(plan, ranked, oof)
        if curves:
            drawn.append(
                (
                    figures.roc_curves(curves),
                    "ROC curves of the methods.",
                    f"ROC curves over all rows, each scored by the model that had not seen it; positive is {plan.classes[1]}.",
                )
            )
    page.figures(drawn, matrices=_confusion(page, plan, best, oof))


def _roc(plan: Plan, ranked: Sequence[Row], oof: pl.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from fivefold.evaluation.ranking import roc_curve

    classes = plan.classes or []
    column = f"probability_{classes[1]}"
    curves = {}
    for row in ranked:
        mine = oof.filter(pl.col("method") == row.id)
        if column not in mine.columns or mine[column].null_count():
            continue
        positive = (label_texts(mine["truth"]) == classes[1]).cast(pl.Int64).to_numpy()
        false, true, _ = roc_curve(positive, mine[column].to_numpy())
        curves[row.id] = (np.asarray(false), np.asarray(true))
    return curves


def _confusion(page: Report, plan: Plan, best: Row, oof: pl.DataFrame) -> list[dict[str, Any]]:
    classes = plan.classes or []
    if len(classes) > 20:
        page.text(
            f"The confusion matrix of {len(classes)} classes is left out; oof.parquet holds every prediction.",
            kind="note",
        )
        return []
    mine = oof.filter(pl.col("method") == best.id)
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


def _how(page: Report, plan: Plan, rows: Sequence[Row]) -> None:
    page.section("What each method was given")
    kind = "stratified by class, " if plan.classes is not None else ""
    page.text(
        f"The rows were dealt once into {plan.options.cv} folds ({kind}shuffled with seed {plan.options.seed}). In every "
        "fold the preprocessing and the method were fitted on the other folds only and saw the tested rows without their target."
    )
    body = []
    for row in rows:
        entry = plan.entry(row.id)
        given = {**entry.card.defaults, **entry.params}
        body.append(
            [
                row.id,
                entry.card.title,
                "–" if row.baseline else entry.card.recipe,
                ", ".join(f"{k}={v}" for k, v in given.items()) or "defaults",
            ]
        )
    page.table(["method", "title", "recipe", "parameters"], body, align="nwnw")
    told = [f"{row.id}: {note}" for row in rows for note in row.notes]
    if told:
        page.details(f"Warnings of the methods ({len(told)})").items(told)
    by_recipe: dict[str, str] = {}
    for row in rows:
        if row.recipe and not row.baseline:
            by_recipe.setdefault(plan.entry(row.id).card.recipe, row.recipe)
    for name, text in by_recipe.items():
        page.details(f"Recipe {name}, as fitted in the first fold").code(_clip(text))


def _clip(text: str, lines: int = 200) -> str:
    all_lines = text.splitlines()
    return "\n".join(all_lines[:lines] + ([f"… and {len(all_lines) - lines} more"] if len(all_lines) > lines else []))


def _schema(page: Report, plan: Plan, limit: int = 200) -> None:
    page.section("Columns")
    columns = list(plan.schema.columns)
    page.text(f"The task is {plan.task}: {plan.schema.task_reason}.")
    if len(columns) > 40:
        page.details(f"All {len(columns):,} columns")
    body = [[c.name, c.kind, c.role, c.missing or "", c.reason] for c in columns[:limit]]
    page.table(["column", "kind", "role", "missing", "why"], body, align="lnnrw")
    if len(columns) > limit:
        page.text(f"{len(columns) - limit:,} more columns are left out here; they are in spec.yaml.", kind="note")
