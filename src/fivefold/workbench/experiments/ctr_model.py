"""A model of click logs: trained on what came first, judged on what came later, beside the items' own click rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import SpecError

from ..context import Context
from ..parts import check_task, model_params
from ._supervised import draw, measure, training_curve

SLOT = "model"
STOCK: dict[str, Any] = {"data": {"name": "movielens-100k"}}
QUICK: dict[str, Any] = {"data": {"rows": 4000}}
SESSION = True


def run(context: Context) -> None:
    """Fit on the first rows by time, predict the last, measure, draw."""
    from fivefold.data.splits import random_split, time_split

    from ..tabular import build

    frame, target, time, features = _table(context)
    task = context.spec.data.task or "binary"
    check_task(context.spec, task)
    part = context.spec.data
    if part.split == "time" and time is None:
        raise SpecError("data.split is 'time'; name the column in data.time.")
    by_time = time is not None and part.split in ("auto", "time")
    if by_time:
        split = time_split(frame[time].to_numpy(), test_size=part.test)
    else:
        split = random_split(len(frame), test_size=part.test, random_state=context.streams.child("holdout"))
    context.notes.append(
        f"The last {len(split.test):,} rows by {time} are held out." if by_time else "Rows held out at random."
    )
    if time is not None:
        frame = frame.drop(time)
    card = context.card
    variant = card.variant(context.spec.model.variant if context.spec.model else None)
    params = {"features": features, "task": task, **model_params(context.spec)}
    model = build(card, variant, params, context.spec.seed)
    train, test = frame[split.train], frame[split.test]
    with context.timed("fit"):
        model.fit(train, target)
    context.model = model
    with context.timed("predict"):
        outputs = model.predict(test) if task == "regression" else model.predict_proba(test)
    truth = test[target].to_numpy()
    if task == "regression":
        measure(context, task, truth, {"values": np.asarray(outputs, dtype=np.float64)})
        draw(context, truth, {"values": np.asarray(outputs)}, None)
    else:
        codes = np.searchsorted(model.classes_, truth)
        forms = {"labels": outputs.argmax(axis=1), "probabilities": outputs[:, 1] if task == "binary" else outputs}
        measure(context, task, codes, forms)
        draw(context, codes, forms, [str(c) for c in model.classes_])
    _facts(context, model, len(train))
    training_curve(context)


def _table(context: Context) -> tuple[Any, str, str | None, Any]:
    """Return the table, its target, its column of time, and how its columns are to be taken."""
    from fivefold.data.movielens import FEATURES, movielens_clicks
    from fivefold.data.readers import read_table

    part = context.spec.data
    target: str
    time: str | None
    if part.name in ("movielens-100k", "movielens-clicks") and part.sql is None:
        frame, target, time, features = movielens_clicks(), "click", "time", FEATURES
    else:
        if part.target is None:
            raise SpecError("data.target is missing; name the column to be predicted.")
        if part.name is None:
            raise SpecError("data.name is missing; name a data set, a file or a database.")
        frame = read_table(part.name) if part.sql is None else read_table(sql=(part.name, part.sql))
        target, time, features = part.target, part.time, None
        frame = frame.drop([name for name in part.drop if name in frame.columns])
    if part.rows is not None and part.rows < len(frame):
        frame = frame[np.sort(context.streams.numpy("rows").permutation(len(frame))[: part.rows])]
    context.saw(str(part.name), {c: frame[c] for c in frame.columns}, target=target, task=part.task or "binary")
    return frame, target, time, features


def _facts(context: Context, model: Any, rows: int) -> None:
    from ..tabular import trained_weights

    context.metrics["parameters"] = float(trained_weights(model) or 0)
    context.metrics["rows/s in training"] = rows * model.n_iter_ / max(context.timings["fit"], 1e-9)
    plan = getattr(model, "memory_plan_", None)
    if plan is not None:
        context.notes.append(plan)
