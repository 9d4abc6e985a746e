"""After the choice: the sealed test, the model for all rows, and the checks of the winner that a reader needs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError
from fivefold.base.random import Streams

from ..tabular import target_vector
from .cells import Cell, CellSpec, fold_cell
from .conduct import Conductor
from .plan import Plan, clock_of
from .progress import Silent
from .scoring import prediction_forms, score, score_function
from .splits import Splits, make_splits, test_share
from .statistics import bootstrap_interval, disagree
from .table import Row, higher_is_better

FRACTIONS = (0.125, 0.25, 0.5)
_CURVE_FOLDS = 3
_PATIENCE = 30.0  # seconds that the learning curve and other splits may take in any case
_REPLICATES = 1000  # of the bootstrap of the ranking metric; the others get a fifth of it


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A score with its interval."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    rows: int = 0


@dataclass(frozen=True, kw_only=True)
class Finish:
    """What is known of the winner beyond the table.

    Parameters
    ----------
    kept : str or None
        Method whose model of all rows is saved: the winner, or the best of ours where a peer won.
    sealed : mapping metric -> Estimate
        On the sealed test; empty when no row is sealed.
    nested : mapping metric -> fold scores
        Of the choice itself, where no row is sealed: in each fold the method that was best on the other folds.
    shuffled, expected : float or None
        Score of the winner fitted on shuffled labels, and that of the baseline in the same fold.
    curve : list of (training rows, fold scores)
    other : Other or None
        The same method on other splits.
    without : mapping
        Fold scores of the winner without the suspect columns.
    importance : list of (column, mean, deviation)
    notes : list of str
    """

    winner: str
    kept: str | None = None
    sealed: dict[str, Estimate] = field(default_factory=dict)
    sealed_cell: Cell | None = None
    nested: dict[str, list[float]] = field(default_factory=dict)
    chosen: list[str] = field(default_factory=list)
    shuffled: float | None = None
    expected: float | None = None
    curve: list[tuple[int, list[float]]] = field(default_factory=list)
    other: Other | None = None
    suspects: tuple[str, ...] = ()
    without: list[float] = field(default_factory=list)
    importance: list[tuple[str, float, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Other:
    """The winner on other splits, and whether these disagree with the first beyond their intervals."""

    text: str
    option: str
    scores: list[float]
    disagree: bool


def second_splits(plan: Plan) -> tuple[Splits | None, str, tuple[str, ...]]:
    """Return the splits that contradict the chosen ones where these flatter, the option that asks for them, and columns to drop.

    Random folds beside forward or grouped ones; forward or grouped folds beside random ones when an alarm names a column.
    """
    options = plan.options
    y = None if plan.classes is None else target_vector(plan.frame, plan.schema, plan.classes)
    given: dict[str, Any] = {"n": len(plan.frame), "strata": y, "cv": options.cv, "repeats": 1, "seed": options.seed}
    given["given_test"] = plan.splits.sealed
    if plan.splits.kind in ("time", "group"):
        return make_splits(**given), "random folds", ()
    if plan.splits.kind == "column":
        return None, "", ()
    for alarm in plan.alarms:
        if alarm.kind not in ("date", "repeating-id"):
            continue
        column = alarm.columns[0]
        series = plan.frame[column]
        if series.null_count():
            continue
        try:
            if alarm.kind == "date":
                return make_splits(**given, time=clock_of(series)), f"--time {column}", (column,)
            groups = series.rank("dense").to_numpy().astype(np.int64)
            return make_splits(**given, group=groups), f"--group {column}", (column,)
        except DataError:
            continue  # such folds cannot be made of these rows; the alarm itself stays
    return None, "", ()


def finish(
    plan: Plan,
    conductor: Conductor,
    rows: list[Row],
    cells: dict[str, dict[str, Cell]],
    watcher: Silent,
    second: tuple[str, tuple[str, ...]],
    directory: Path,
) -> Finish:
    """Refit the winner, open the sealed test once, keep the model of all rows, and check the winner."""
    winner = rows[0].id
    features = {column.name for column in plan.schema.features}
    suspects = tuple(dict.fromkeys(c for a in plan.alarms if a.suspect for c in a.columns if c in features))
    if len(suspects) >= len(features):
        suspects = ()
    everything = CellSpec(name="all", rows=("all",), keep=True)
    # A model of another library cannot be saved as ours are; then the best of ours is kept.
    kept = next((row.id for row in rows if row.rank is not None and not plan.entry(row.id).is_peer), None)
    specs = [everything] if kept == winner else []
    if plan.splits.has_sealed:
        specs.insert(0, CellSpec(name="sealed", rows=("develop",), explain=True))
    else:
        specs.append(replace(fold_cell(0, plan.splits.cv - 1, explain=True), name="explained"))
    folds = list(range(min(plan.splits.cv, _CURVE_FOLDS)))
    specs.append(CellSpec(name="shuffled", rows=("fold", 0, plan.splits.cv - 1), shuffled=True))
    if suspects:
        specs += [_named(fold_cell(0, k, drop=suspects), "without") for k in range(plan.splits.cv)]
    done = conductor.run({winner: specs}, watcher, last=True)[winner]
    extra: list[CellSpec] = []
    if conductor.other is not None:
        drop = tuple(c for c in second[1] if c in features)
        if len(drop) < len(features):
            extra += [_named(fold_cell(0, k, drop=drop, other=True), "other") for k in range(conductor.other.cv)]
    extra += [_named(fold_cell(0, k, fraction=f), f"curve-{f}") for f in FRACTIONS for k in folds]
    # What only sheds light on the winner takes no longer than the whole choice of it.
    spent = sum(c.tune_seconds + c.fit_seconds + c.predict_seconds for found in cells.values() for c in found.values())
    done |= conductor.run({winner: extra}, watcher, last=True, at_most=max(_PATIENCE, spent))[winner]
    notes = [f"{name.split('-fold')[0]} is left out: {cell.reason}" for name, cell in done.items() if not cell.ok]
    notes += [f"{winner}, fitted on all rows: {note}" for note in (done["all"].notes if "all" in done else [])]
    scored = {
        name: _score_of(plan, cell)
        for name, cell in done.items()
        if cell.ok and name not in ("all", "sealed", "explained")
    }
    whole = done.get("all")
    if kept is not None and whole is None:
        whole = conductor.run({kept: [everything]}, watcher, last=True)[kept]["all"]
    if kept is not None and whole is not None and whole.ok:
        target = directory / "model"
        if target.is_dir():
            shutil.rmtree(target)
        shutil.copytree(conductor.store.model(kept, "all"), target)
    nested, chosen = nested_estimate(plan, rows, cells)
    return Finish(
        winner=winner,
        kept=kept if whole is not None and whole.ok else None,
        sealed=_sealed(plan, done.get("sealed")),
        sealed_cell=done.get("sealed"),
        nested=nested,
        chosen=chosen,
        shuffled=scored.get("shuffled"),
        expected=_score_of(plan, cells["baseline"].get(f"fold-0-{plan.splits.cv - 1}")),
        curve=_curve(plan, rows[0], cells[winner], done, scored, folds),
        other=_other(plan, conductor, rows[0], scored, second[0]),
        suspects=suspects,
        without=_scores(scored, "without"),
        importance=next((cell.importance for cell in done.values() if cell.importance), []),
        notes=list(dict.fromkeys(notes)),
    )


def _named(spec: CellSpec, what: str) -> CellSpec:
    return replace(spec, name=f"{what}-{spec.name}")


def _score_of(plan: Plan, cell: Cell | None) -> float | None:
    if cell is None or not cell.ok or cell.predictions is None:
        return None
    return score(_one(plan), plan.frame[cell.predictions["row"].to_numpy()], cell.predictions)[plan.rank_by]


def _one(plan: Plan) -> Plan:
    return replace(plan, metrics=(plan.rank_by,))


def _scores(scored: dict[str, float | None], what: str) -> list[float]:
    return [value for name, value in scored.items() if name.startswith(f"{what}-fold") and value is not None]


def _sealed(plan: Plan, cell: Cell | None) -> dict[str, Estimate]:
    if cell is None or not cell.ok or cell.predictions is None:
        return {}
    from fivefold.evaluation.registry import prediction_for

    rows = cell.predictions["row"].to_numpy()
    frame = plan.frame[rows]
    values = score(plan, frame, cell.predictions)
    y = target_vector(frame, plan.schema, plan.classes)
    forms = prediction_forms(cell.predictions, plan.classes)
    groups = None if plan.splits.groups is None else plan.splits.groups[rows]
    found: dict[str, Estimate] = {}
    for name, value in values.items():
        if value is None:
            continue
        function, needs = score_function(plan, name)
        answer = prediction_for(needs, forms)
        low, high = bootstrap_interval(
            function,
            y,
            answer,
            plan.weights(frame),
            n=_REPLICATES if name == plan.rank_by else _REPLICATES // 5,
            seed=Streams(plan.options.seed).integer(f"compare/bootstrap/{name}"),
            groups=groups,
        )
        found[name] = Estimate(value=value, low=low, high=high, rows=len(rows))
    return found


def nested_estimate(
    plan: Plan, rows: list[Row], cells: dict[str, dict[str, Cell]]
) -> tuple[dict[str, list[float]], list[str]]:
    """Return the scores of *choosing and fitting*: for each fold the method that is best on the other folds, scored on it.

    For the fold f every method is judged by its cells fitted on neither f nor g and tested on g, over all other g; the best
    one's cell of fold f is what counts. Forward in time, the folds before f judge, and no pairs are needed.
    """
    if not plan.splits.nested:
        return {}, []
    from fivefold.evaluation.nested import choose_by_fold

    ranked = [row.id for row in rows if row.rank is not None]
    inner = {
        method: np.array([_inner_score(plan, cells[method], fold) for fold in range(plan.splits.cv)])
        for method in ranked
    }
    found: dict[str, list[float]] = {metric: [] for metric in plan.metrics}
    chosen: list[str] = []
    for fold, best in enumerate(choose_by_fold(inner, higher_is_better=higher_is_better(plan.rank_by))):
        cell = None if best is None else cells[best].get(f"fold-0-{fold}")
        if best is None or cell is None or cell.predictions is None:
            continue
        chosen.append(best)
        for metric, value in score(plan, plan.frame[cell.predictions["row"].to_numpy()], cell.predictions).items():
            if value is not None:
                found[metric].append(value)
    return {metric: values for metric, values in found.items() if len(values) == len(chosen) and values}, chosen


def _inner_score(plan: Plan, cells: dict[str, Cell], fold: int) -> float:
    """Return the mean score on the other folds (before it, forward in time), NaN where one of them has none."""
    values: list[float | None] = []
    if plan.splits.kind == "time":
        values = [_score_of(plan, cells.get(f"fold-0-{k}")) for k in range(fold)]
    else:
        for g in (k for k in range(plan.splits.cv) if k != fold):
            cell = cells.get(f"pair-{min(fold, g)}-{max(fold, g)}")
            if cell is None or not cell.ok or cell.predictions is None:
                return float("nan")
            mine = cell.predictions.filter(pl.Series(plan.splits.fold[0][cell.predictions["row"].to_numpy()] == g))
            values.append(score(_one(plan), plan.frame[mine["row"].to_numpy()], mine)[plan.rank_by])
    kept = [value for value in values if value is not None]
    return float(np.mean(kept)) if kept and len(kept) == len(values) else float("nan")


def _curve(
    plan: Plan,
    row: Row,
    cells: dict[str, Cell],
    done: dict[str, Cell],
    scored: dict[str, float | None],
    folds: list[int],
) -> list[tuple[int, list[float]]]:
    points = []
    for fraction in FRACTIONS:
        values = _scores(scored, f"curve-{fraction}")
        sizes = [c.trained for name, c in done.items() if name.startswith(f"curve-{fraction}-") and c.ok]
        if len(values) == len(folds):
            points.append((int(np.median(sizes)), values))
    full = [row.scores[plan.rank_by][k] for k in folds]
    points.append((int(np.median([cells[f"fold-0-{k}"].trained for k in folds])), full))
    return points if len(points) > 1 else []


def _overlap(splits: Splits) -> float:
    """Return the share by which training rows of the folds make their scores alike; forward and grouped tests differ anyway."""
    return 0.0 if splits.kind in ("time", "group") else test_share(splits)


def _other(plan: Plan, conductor: Conductor, row: Row, scored: dict[str, float | None], option: str) -> Other | None:
    values = _scores(scored, "other")
    if conductor.other is None or len(values) < conductor.other.cv:
        return None
    own = np.array(row.scores[plan.rank_by])
    apart = disagree(own, np.array(values), _overlap(plan.splits), _overlap(conductor.other))
    kind = {"time": "forward in time", "group": "by group"}.get(conductor.other.kind, "at random")
    return Other(text=kind, option=option, scores=values, disagree=apart)
