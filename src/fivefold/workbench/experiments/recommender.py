"""A recommender: learns from the past, is asked for ratings held out and for lists among all items, beside popularity."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError, SpecError

from ..context import Context
from ..parts import model_params
from ._content import cold_items, item_content
from ._policies import compare_policies

SLOT = "model"
STOCK: dict[str, Any] = {"data": {"name": "movielens-100k"}}
QUICK: dict[str, Any] = {"data": {"rows": 6000}}
SESSION = True

K = 20
LIKED = 4.0
"""Of explicit ratings, what counts as liked."""


def run(context: Context) -> None:
    """Split, fit, measure ratings and lists; the baseline and a constant scorer stand in the same table."""
    from ..tabular import build

    frame = _frame(context)
    card = context.card
    variant = card.variant(context.spec.model.variant if context.spec.model is not None else None)
    params = model_params(context.spec, variant)
    model = build(card, variant, params, context.spec.seed)
    train, test = _parts(context, frame, model)
    reads = card.experiment.get(variant, {}).get("content", False)
    content = item_content(context, STOCK["data"]["name"]) if reads else None
    with context.timed("fit"):
        if content is None:
            model.fit(train)
        else:
            model.fit(train, content=content)
    context.model = model
    if content is not None:
        cold_items(context, lambda: build(card, variant, params, context.spec.seed), frame, content)
    if card.experiment.get(variant, {}).get("policies", False):
        compare_policies(context, lambda: build(card, variant, params, context.spec.seed), frame)
    if card.experiment.get(variant, {}).get("rates", False):
        values = test[model.rating].to_numpy()
        error = model.predict(test) - values
        context.metrics["rmse"] = float(np.sqrt(np.mean(error**2)))
        context.metrics["mae"] = float(np.mean(np.abs(error)))
        guess = float(train[model.rating].to_numpy().mean())
        context.metrics["rmse of the mean"] = float(np.sqrt(np.mean((guess - values) ** 2)))
    _lists(context, model, train, test)
    if card.experiment.get(variant, {}).get("simulated", False):
        _simulated(context, model)


def _simulated(context: Context, model: Any) -> None:
    """Compare a policy with others in the simulator that it learned in."""
    from fivefold.models.recommend._baselines import compare_policies
    from fivefold.models.recommend._simulator import likeness_within

    from ._plots import curves

    sessions = 100 if context.quick else 500
    with context.timed("simulate"):
        found = compare_policies(model, sessions, context.spec.seed)
    rows: list[list[Any]] = []
    for name, record in found.items():
        of_session = record.rewards.mean(axis=1)
        mean, error = float(of_session.mean()), float(of_session.std(ddof=1) / np.sqrt(sessions))
        alike = likeness_within(model.item_factors_, record.lists)
        rows.append([name, mean, error, alike])
        context.metrics[f"list reward, {name}"] = mean
        context.metrics[f"similarity within lists, {name}"] = alike
    context.table(
        "In the simulator",
        ["policy", "mean reward of a list", "standard error", "similarity within lists"],
        rows,
        f"{sessions} new sessions of {model.horizon_} lists from equal first states, without exploration.",
    )
    steps = list(range(1, model.horizon_ + 1))
    series = {name: (steps, record.rewards.mean(axis=0).tolist()) for name, record in found.items()}
    curves(
        context, "simulator", series, x="list of the session", y="mean reward", caption=f"Means of {sessions} sessions."
    )


def _frame(context: Context) -> pl.DataFrame:
    from fivefold.base.names import normalize
    from fivefold.data.datasets import list_datasets, load_dataset
    from fivefold.data.readers import read_table

    part = context.spec.data
    if part.name is None:
        raise SpecError(f"{context.spec.id!r} names no data; give data.name (see `fivefold data list`).")
    known = {normalize(name): name for name in list_datasets()}
    if normalize(part.name) in known:
        found = load_dataset(known[normalize(part.name)])
        if found.frame is None:
            raise DataError(f"{found.name} is {found.kind}, not a table of interactions; use movielens-100k or a file.")
        frame = found.frame
    else:
        frame = read_table(part.name) if part.sql is None else read_table(sql=(part.name, part.sql))
    if part.rows is not None and part.rows < len(frame):
        frame = frame[np.sort(context.streams.numpy("rows").permutation(len(frame))[: part.rows])]
    context.saw(part.name, {c: frame[c] for c in frame.columns})
    return frame


def _parts(context: Context, frame: pl.DataFrame, model: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return training and test rows: by ``data.split``, else by time where there is a time column."""
    from fivefold.data.splits_interactions import LEAK, split_interactions

    part = context.spec.data
    clock = part.time or ("timestamp" if "timestamp" in frame.columns else None)
    way = str(context.knob("split", "global-time" if clock is not None else "random"))
    for needed in (model.user, model.item, clock):
        if needed is not None and needed not in frame.columns:
            raise DataError(f"The data have no column {needed!r}; they have {', '.join(frame.columns[:20])}.")
    split = split_interactions(
        way,
        frame[model.user].to_numpy(),
        None if clock is None else frame[clock].to_numpy(),
        frame["split"].to_numpy() if "split" in frame.columns else None,
        test_size=part.test,
        random_state=context.streams.child("holdout"),
    )
    context.notes.append(f"Split: {way}, {len(split.train)} rows to learn from, {len(split.test)} held out.")
    if way == "leave-last-out":
        context.notes.append(LEAK)
        context.say(LEAK)
    return frame[split.train], frame[split.test]


def _lists(context: Context, model: Any, train: pl.DataFrame, test: pl.DataFrame) -> None:
    from fivefold.evaluation.recommendation import evaluate_recommendations
    from fivefold.models.recommend._interactions import PopularityRecommender

    from ._plots import curves

    names = {model.user: "user", model.item: "item"}
    past = train.rename(names)
    later = test.rename(names)
    if model.rating is not None and model.rating in later.columns:
        later = later.filter(pl.col(model.rating) >= float(context.knob("liked", LIKED)))
    # Items that nobody met in training cannot be ranked by any method here; what was met before is no discovery.
    later = later.join(past.select("item").unique(), on="item").join(past, on=["user", "item"], how="anti")
    people = later["user"].unique().sort()
    if not len(people):
        raise DataError("No held-out interaction is with an item of the training; hold out other rows.")
    popular = PopularityRecommender(random_state=context.spec.seed).fit(past)
    makers = {context.card.id: model, "popularity": popular}
    rows, series = [], {}
    for name, maker in makers.items():
        with context.timed(f"recommend {name}"):
            found = maker.recommend(people, k=K)
        report = evaluate_recommendations(found, later, past, k=K)
        if maker is model:
            context.metrics.update(report.metrics)
            context.metrics["users judged"] = float(report.users)
            strangers = found.filter(pl.col("fallback"))["user"].n_unique()
            context.metrics["users by the fallback"] = float(strangers)
        rows.append([name, *report.metrics.values()])
        ks = [1, 2, 5, 10, 15, 20]
        series[name] = (ks, [evaluate_recommendations(found, later, past, k=k).metrics[f"recall@{k}"] for k in ks])
    chance = float(np.mean(np.minimum(K / len(popular.items_), 1.0)))
    context.metrics[f"recall@{K} by chance, about"] = chance
    without = sorted(set(test[model.user].unique().to_list()) - set(people.to_list()))
    context.metrics["users without test items"] = float(len(without))
    if without:
        shown = ", ".join(map(str, without[:10])) + (", …" if len(without) > 10 else "")
        context.notes.append(
            f"{len(without)} users of the test rows have no item to find there and count nowhere: {shown}."
        )
    context.table(
        "Lists",
        ["method", *report.metrics],
        rows,
        "Every item of the training ranked for every user with test items, less what the user met; nothing sampled.",
    )
    curves(
        context, "recall", series, x="length of the list", y="recall", caption="Users with test items, full ranking."
    )
