"""The sentences after the verdict: the sealed test, what contradicts the table, and whether more rows would help."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .finish import Estimate, Finish
from .numbers import decimals, fixed, mean_and_deviation, plain, with_deviation
from .plan import Plan
from .splits import test_share
from .statistics import corrected_difference
from .table import LABELS, Row, higher_is_better


def closing(plan: Plan, rows: Sequence[Row], end: Finish | None) -> list[str]:
    """Return the sentences, the gravest first."""
    if end is None:
        return []
    label = LABELS.get(plan.rank_by, plan.rank_by)
    lines = [warning] if (warning := contradiction(plan, rows[0], end)) else []
    if end.suspects and end.without:
        scored = with_deviation(*mean_and_deviation(np.array(end.without)))
        lines.append(
            f"Without the suspect column{'s' if len(end.suspects) > 1 else ''} {', '.join(end.suspects)} {end.winner} scores "
            f"{label} {scored}; with {rows[0].show(plan.rank_by)}."
        )
    sealed = end.sealed.get(plan.rank_by)
    if sealed is not None:
        lines.append(
            f"On the sealed test, {sealed.rows:,} rows that took no part in the choice, {end.winner} scores {label} "
            f"{interval(sealed)}: report this."
        )
    elif plan.splits.has_sealed and end.sealed_cell is not None:
        lines.append(f"The sealed test has no score: {end.sealed_cell.reason or 'the metric cannot be had there.'}")
    elif plan.rank_by in end.nested and len(end.nested[plan.rank_by]) > 1:
        scored = with_deviation(*mean_and_deviation(np.array(end.nested[plan.rank_by])))
        lines.append(
            f"Nested cross-validation, which also judges the choice of the method, scores {label} {scored}: report this."
        )
    if (more := more_rows(plan, end)) is not None:
        lines.append(more)
    return lines


def contradiction(plan: Plan, best: Row, end: Finish) -> str | None:
    """Return a sentence when other splits tell another story beyond their intervals."""
    other = end.other
    if other is None or not other.disagree:
        return None
    label = LABELS.get(plan.rank_by, plan.rank_by)
    there = with_deviation(*mean_and_deviation(np.array(other.scores)))
    here = best.show(plan.rank_by)
    if plan.splits.kind in ("time", "group"):
        shared = "time" if plan.splits.kind == "time" else "group"
        return (
            f"{other.option.capitalize()} would promise {label} {there} where these folds give {here}: what rows of one "
            f"{shared} share does not carry over, and only the latter is to be expected."
        )
    return (
        f"Random folds give {label} {here}, but folds split {other.text} give {there}: the table flatters; "
        f"compare again with {other.option}."
    )


def more_rows(plan: Plan, end: Finish) -> str | None:
    """Return what the learning curve says of more rows."""
    if len(end.curve) < 2:
        return None
    sign = 1.0 if higher_is_better(plan.rank_by) else -1.0
    (half, before), (full, after) = end.curve[-2:]
    gain, error, _ = corrected_difference(
        sign * np.array(after), sign * np.array(before), test_share=test_share(plan.splits)
    )
    label = LABELS.get(plan.rank_by, plan.rank_by)
    if not math.isfinite(error):
        return None
    change = f"from {half:,} to {full:,} training rows {label} improved by {with_deviation(gain, error)}"
    if gain > 2 * error:
        return f"More rows would probably help: {change}."
    spread = float(np.std(after, ddof=1))
    if gain + 2 * error < spread / 2 or gain <= 0:
        return f"More rows would hardly help: {half:,} training rows do about as well as {full:,}."
    return f"Whether more rows would help cannot be told: {change}, within chance."


def interval(estimate: Estimate) -> str:
    """Return "0.912 [0.893, 0.931]", with no more digits than the interval supports."""
    width = (estimate.high - estimate.low) / 4
    if not math.isfinite(width) or width <= 0:
        return plain(estimate.value)
    places = decimals(width)
    return f"{fixed(estimate.value, places)} [{fixed(estimate.low, places)}, {fixed(estimate.high, places)}]"
