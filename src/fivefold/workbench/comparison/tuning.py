"""Tuning inside a cell: the same number of trials for every method, scored on inner splits of the training rows only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.random import Streams

from ..tabular import target_vector
from .entries import Entry
from .plan import Plan
from .splits import Splits

_THREE_FOLDS_UP_TO = 5000  # training rows; above, one held-out quarter tells trials apart

_FIRST_TRIAL = 0.1  # seconds: however little time is left, the defaults are tried


@dataclass(frozen=True)
class Chosen:
    """Parameters and the number of trials that found them; no trials for the defaults."""

    params: Mapping[str, Any] = field(default_factory=dict)
    trials: int = 0


def tune(
    plan: Plan,
    entry: Entry,
    frame: pl.DataFrame,
    schema: Any,
    train: np.ndarray,
    splits: Splits,
    seed: int,
    deadline: float | None,
) -> Chosen:
    """Return the parameters that score best on inner splits of the rows ``train``; the first trial is the defaults.

    A method without a search space of its card, or whose space the user's parameters fill, keeps its defaults.
    """
    table = {name: spec for name, spec in entry.card.search.items() if name not in entry.params}
    if not plan.options.tune or not table:
        return Chosen()
    from ..search import Space, search
    from .cells import prepare_and_fit
    from .scoring import score_one
    from .table import higher_is_better

    space = Space.from_dict(table)
    strata = None if plan.classes is None else target_vector(frame[train], schema, plan.classes)
    count = 3 if len(train) <= _THREE_FOLDS_UP_TO else 1
    inner = splits.inner(train, strata, Streams(seed).integer("inner"), count)

    def objective(params: dict[str, Any]) -> float:
        values = []
        for number, (fitted, tested) in enumerate(inner):
            groups = None if splits.groups is None else splits.groups[fitted]
            model = prepare_and_fit(
                plan, entry, frame[fitted], schema, params, Streams(seed).integer("inner/fit", number), groups
            )
            rows = frame[tested]
            values.append(score_one(plan, rows, model.predict(rows.drop(plan.target)), plan.rank_by))
        return float(np.mean(values))

    if deadline is not None:
        deadline = max(deadline, time.monotonic() + _FIRST_TRIAL)
    found = search(
        objective,
        space,
        n_trials=plan.options.tune,
        maximize=higher_is_better(plan.rank_by),
        seed=Streams(seed).integer("search"),
        first={},  # no parameters at all: the defaults, wherever they lie
        deadline=deadline,
    )
    return Chosen(found.best.params, len(found.trials))
