"""The report of a comparison: what must be read first, the table, figures, then everything needed to judge and repeat it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from .. import figures
from ..report import Report
from ..store import RunRecord
from .finish import Finish
from .judge import Decision, Judgement, costs_of, decide, positive_and_probability
from .numbers import mean_and_deviation, plain, with_deviation
from .page_figures import draw
from .plan import Plan
from .show import whole
from .splits import KINDS
from .table import LABELS, Row, higher_is_better
from .words import contradiction, interval


def build_page(
    plan: Plan,
    rows: Sequence[Row],
    oof: pl.DataFrame,
    end: Finish | None,
    judgements: Mapping[str, Judgement],
    text: str,
    record: RunRecord,
    seconds: float,
) -> Report:
    """Return the report of a finished comparison."""
    page = Report(
        f"Comparison on {plan.data.name}",
        f"{plan.task} on {plan.target} · {plan.data.rows:,} rows · {plan.splits.explain()} · "
        f"{record.started[:16].replace('T', ' ')}",
    )
    first = contradiction(plan, rows[0], end) if end else None
    if first:
        page.text(first, kind="warning")
    page.verdict(" ".join(line for line in text.splitlines() if line != first))
    for alarm in plan.alarms:
        page.text(alarm.text, kind="warning")
    for note in plan.notes:
        page.text(note, kind="warning")
    _table(page, plan, rows, end)
    draw(page, plan, rows, oof, end, judgements)
    _decisions(page, plan, rows, end, judgements)
    _calibration(page, plan, rows, judgements)
    _checks(page, plan, rows, end)
    _how(page, plan, rows)
    _schema(page, plan)
    page.section("Repeat it")
    page.code(shlex.join(record.command))
    page.text("Execute it again and compare every score:").code(f"fivefold replay {shlex.quote(str(record.directory))}")
    page.text("Apply the best method, refitted on all rows, to new data:").code(
        f"fivefold predict {shlex.quote(str(record.directory))} new.parquet"
    )
    page.facts(
        {
            "seed": plan.options.seed,
            "threads a method": plan.threads,
            "methods at a time": plan.options.jobs,
            "time": figures.seconds(seconds),
            "SHA-256 of the values": plan.data.sha256,
            "platform": record.platform,
            "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        }
    )
    return page


def _table(page: Report, plan: Plan, rows: Sequence[Row], end: Finish | None) -> None:
    page.section("Methods")
    arrows = {m: "↑" if higher_is_better(m) else "↓" for m in plan.metrics}
    heads = [f"{LABELS.get(m, m)}\n{arrows[m]}{' ranks' if m == plan.rank_by else ''}" for m in plan.metrics]
    columns = ["", "method", heads[0], "behind the best\n(p adjusted)", "fit\na fold", "predict\na fold", "parameters"]
    rates = any(not np.isnan(row.rows_per_second) for row in rows)
    columns += ["weights", *(["rows/s"] if rates else [])]
    columns += heads[1:]
    body, quiet, apart = [], [], []
    for number, row in enumerate(rows):
        if row.baseline:
            apart.append(number)
        if row.baseline or row.rank is None:
            quiet.append(number)
        body.append(
            [
                "●" if row.in_group else "",
                row.id,
                row.show(plan.rank_by),
                _behind(row),
                _seconds(row.fit_seconds),
                _seconds(row.predict_seconds),
                "–" if row.baseline else row.setting,
                whole(row.weights),
                *([whole(row.rows_per_second)] if rates else []),
                *(row.show(m) for m in plan.metrics[1:]),
            ]
        )
    page.table(
        columns,
        body,
        align="rn" + "r" * (len(columns) - 2),
        best=[number for number, row in enumerate(rows) if row.in_group],
        quiet=quiet,
        apart=apart,
        caption=f"Cross-validation (selection): mean ± standard deviation over {plan.splits.cv * plan.splits.repeats} folds, the "
        "same for every method. ● cannot be told from the best: differences have the variance of Nadeau and Bengio, p-values "
        "are Holm's (over all pairs where folds are repeated). ↑ higher is better, ↓ lower is better. Times are medians over "
        "folds; weights are the numbers a method has learned, where it can tell."
        + (" Rows/s: training rows, each as often as it was passed, over the whole fit." if rates else ""),
    )
    failed = [f"{row.id} is not ranked: {row.reason}" for row in rows if row.reason]
    if failed:
        page.items(failed)
    if end is not None and end.sealed:
        names = [m for m in plan.metrics if m in end.sealed]
        page.table(
            ["method", *(LABELS.get(m, m) for m in names)],
            [[end.winner, *(interval(end.sealed[m]) for m in names)]],
            align="n" + "r" * len(names),
            caption=f"Sealed test (report this): {end.sealed[names[0]].rows:,} rows set apart before anything was fitted, scored "
            "once, by the best method refitted on all other rows; 95 % bootstrap interval.",
        )
    elif end is not None and end.nested:
        names = [m for m in plan.metrics if m in end.nested]
        page.table(
            ["", *(LABELS.get(m, m) for m in names)],
            [["choose and fit", *(with_deviation(*mean_and_deviation(np.array(end.nested[m]))) for m in names)]],
            align="n" + "r" * len(names),
            caption="Nested cross-validation (report this): in each fold the method that was best without it. Chosen were "
            + ", ".join(f"{name} {end.chosen.count(name)}×" for name in dict.fromkeys(end.chosen))
            + ".",
        )
    page.text(
        "The scores of the cross-validation are for choosing; the best of several is a little flattered by the choice.",
        kind="note",
    )


def _behind(row: Row) -> str:
    if row.difference is None or math.isnan(row.difference.mean):
        return "" if row.in_group else "–"
    shown = with_deviation(row.difference.mean, row.difference.standard_error)
    return shown if math.isnan(row.difference.adjusted) else f"{shown} ({_p(row.difference.adjusted)})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _seconds(value: float) -> str:
    return "–" if np.isnan(value) else figures.seconds(value)


def _number(value: float) -> str:
    return "–" if not math.isfinite(value) else plain(value)


def _decisions(
    page: Report, plan: Plan, rows: Sequence[Row], end: Finish | None, judgements: Mapping[str, Judgement]
) -> None:
    if plan.task != "binary":
        return
    page.section("Decisions")
    costly = costs_of(plan) is not None
    goal = f"the expected cost ({costs_of(plan)})" if costly else "Youden's index (recall + specificity)"
    head = [
        "method",
        "threshold",
        "precision",
        "recall",
        "F1",
        "balanced\naccuracy",
        *(["cost\na row"] if costly else []),
    ]
    body = []
    for row in rows:
        judgement = judgements.get(row.id)
        if judgement is None:
            body.append([row.id, *(["–"] * (len(head) - 1))])
            continue
        for name, decision in ((row.id, judgement.chosen), ("", judgement.half)):
            if decision is not None:
                body.append([name or f"{row.id}, at 0.5", *_decision(decision, costly)])
        if end is not None and row.id == end.winner and (decision := _sealed_decision(plan, end, judgement)):
            body.append([f"{row.id}, sealed test", *_decision(decision, costly)])
    page.table(
        head,
        body,
        align="n" + "r" * (len(head) - 1),
        caption=f"Positive is {plan.classes[1] if plan.classes else ''}. The threshold makes {goal} best on the other folds, "
        "never on the rows it is judged on; beside it 0.5. A method without probabilities shows a dash.",
    )


def _decision(decision: Decision, costly: bool) -> list[str]:
    shown = [decision.threshold, decision.precision, decision.recall, decision.f1, decision.balanced_accuracy]
    return [_number(value) for value in [*shown, *([decision.cost] if costly else [])]]


def _sealed_decision(plan: Plan, end: Finish, judgement: Judgement) -> Decision | None:
    if end.sealed_cell is None or end.sealed_cell.predictions is None or math.isnan(judgement.everywhere):
        return None
    pair = positive_and_probability(plan, end.sealed_cell.predictions)
    if pair is None:
        return None
    weights = plan.weights(plan.frame[end.sealed_cell.predictions["row"].to_numpy()])
    return decide(plan, *pair, np.full(len(pair[0]), judgement.everywhere), weights)


def _calibration(page: Report, plan: Plan, rows: Sequence[Row], judgements: Mapping[str, Judgement]) -> None:
    if plan.classes is None:
        return
    page.section("Calibration")
    body = []
    for row in rows:
        found = judgements.get(row.id)
        if row.baseline:
            continue
        if found is None:
            body.append([row.id, "–", "–", "–"])
        else:
            slope = with_deviation(found.slope, found.slope_error)
            body.append([row.id, slope, _number(found.intercept), _number(found.error)])
    which = "" if plan.task == "binary" else " of the predicted class"
    page.table(
        ["method", "slope", "intercept", "expected\ncalibration error"],
        body,
        align="nrrr",
        caption=f"Probabilities{which} out of fold. Slope 1 and intercept 0 are calibrated; a slope below 1 is overconfident.",
    )


def _checks(page: Report, plan: Plan, rows: Sequence[Row], end: Finish | None) -> None:
    if end is None:
        return
    label = LABELS.get(plan.rank_by, plan.rank_by)
    facts: dict[str, Any] = {}
    if end.shuffled is not None:
        expected = 0.5 if plan.rank_by == "roc-auc" else end.expected
        beside = "" if expected is None else f"; {plain(expected)} is to be expected of guessing"
        facts["on shuffled labels"] = f"{label} {plain(end.shuffled)}{beside}"
    if end.other is not None:
        scored = with_deviation(*mean_and_deviation(np.array(end.other.scores)))
        verdict = "disagrees beyond the intervals" if end.other.disagree else "agrees within the intervals"
        facts[f"folds {end.other.text}"] = f"{label} {scored} ({verdict}; {end.other.option})"
    if end.without:
        scored = with_deviation(*mean_and_deviation(np.array(end.without)))
        facts[f"without {', '.join(end.suspects)}"] = f"{label} {scored}"
    if facts:
        page.section(f"Checks of {end.winner}")
        page.facts(facts)
    if end.notes:
        page.details(f"Notes on {end.winner} ({len(end.notes)})").items(end.notes)


def _how(page: Report, plan: Plan, rows: Sequence[Row]) -> None:
    page.section("What each method was given")
    page.text(
        f"{plan.splits.cv} {KINDS[plan.splits.kind]}, dealt once with seed {plan.options.seed}. In every fold the preprocessing, "
        "the choice of parameters and the method were fitted on the training rows only and saw the tested rows without their "
        "target. Rows that repeat each other share a fold."
    )
    body = []
    for row in rows:
        entry = plan.entry(row.id)
        given = {**entry.card.defaults, **entry.params}
        shown = ", ".join(f"{k}={v}" for k, v in given.items()) or "defaults"
        if row.trials:
            shown = f"{row.trials} trials a fold; first fold: " + ", ".join(
                f"{k}={_short(v)}" for k, v in row.params[0].items()
            )
        body.append([row.id, entry.card.title, "–" if row.baseline else entry.card.recipe, shown])
    page.table(["method", "title", "recipe", "parameters"], body, align="nwnw")
    asked = [
        f"{name.replace('_', ' ')}: {value}"
        for name, value in plan.options.to_dict().items()
        if name in ("encode", "select", "resample", "weight", "gap", "tune", "budget")
    ]
    if asked:
        page.items(asked)
    told = [f"{row.id}: {note}" for row in rows for note in row.notes]
    if told:
        page.details(f"Warnings of the methods ({len(told)})").items(told)
    by_recipe: dict[str, str] = {}
    for row in rows:
        if row.recipe and not row.baseline:
            by_recipe.setdefault(plan.entry(row.id).card.recipe, row.recipe)
    for name, text in by_recipe.items():
        page.details(f"Recipe {name}, as fitted in the first fold").code(_clip(text))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
        page.text(f"{len(columns) - limit:,} more columns are left out here.", kind="note")
