"""What items are made of, for recommenders that read it; and how well items that nobody met are recommended by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError

from ..context import Context

COLD_SHARE = 0.2
"""Of the items, how many are held out with all that was said of them."""

WORD_ITEMS = 5
"""Titles that a word must stand in to count."""

LENGTHS = (1, 5, 10, 20, 50)


def item_content(context: Context, stock: str) -> pl.DataFrame | None:
    """Return the content of the items: of the stock films, or the table that ``experiment.content_table`` names; None without."""
    path = context.knob("content_table", None)
    if path is not None:
        from fivefold.data.readers import read_table

        return read_table(str(path))
    if context.spec.data.name != stock:
        context.notes.append("No content of the items (experiment.content_table names a table): plain factorization.")
        return None
    found = films(stock)
    context.notes.append(
        f"Content of a film: {found.width - 1} numbers 0 or 1, its genres, its decade and the words of its title that stand in "
        f"at least {WORD_ITEMS} titles."
    )
    return found


def films(name: str) -> pl.DataFrame:
    """Return a row a film: item, its genres, its decade and the words of its title, as numbers 0 and 1."""
    from fivefold.data.datasets import load_dataset

    table = load_dataset(name, part="items").frame
    if table is None:
        raise DataError(f"The data set {name} has no table of items.")
    table = table.with_columns(
        decade=pl.col("release_date").str.extract(r"(\d{3})\d$"),
        words=pl.col("title")
        .str.to_lowercase()
        .str.replace(r"\(\d{4}\)", "")
        .str.extract_all(r"[a-z]{2,}")
        .list.unique(),
    )
    words = table["words"].explode().drop_nulls().value_counts().filter(pl.col("count") >= WORD_ITEMS)["words"].sort()
    decades = table["decade"].drop_nulls().unique().sort()
    numbers = [pl.col("item_id").alias("item"), pl.col("^genre_.*$").cast(pl.Float64)]
    numbers += [
        (pl.col("decade") == d).fill_null(False).cast(pl.Float64).alias(f"decade_{d}0") for d in decades.to_list()
    ]
    numbers += [pl.col("words").list.contains(w).cast(pl.Float64).alias(f"word_{w}") for w in words.to_list()]
    return table.select(numbers)


def cold_items(context: Context, make: Callable[[], Any], frame: pl.DataFrame, content: pl.DataFrame) -> None:
    """Hold out a fifth of the items with all their rows; recommend only among them, with their content and without."""
    from fivefold.evaluation.recommendation import evaluate_recommendations

    from ._plots import curves

    models = {name: make() for name in (context.card.id, "factorization")}
    first = models[context.card.id]
    frame = frame.rename({first.user: "user", first.item: "item"})
    items = frame["item"].unique().sort()
    held = items.gather(
        np.sort(context.streams.numpy("cold").permutation(len(items))[: round(COLD_SHARE * len(items))])
    )
    told = content.filter(pl.col("item").is_in(items.implode()))
    same = told.with_columns(pl.lit(1.0).alias(name) for name in told.columns if name != "item")
    cold = pl.col("item").is_in(held.implode())
    train, test = frame.filter(~cold), frame.filter(cold)
    test = test.join(train.select("user").unique(), on="user")
    people = test["user"].unique().sort()
    if not len(people):
        raise DataError("No user of the training met an item held out; give more rows.")
    past = frame.select("user", "item")  # held-out items belong to the catalogue of the lists
    rows: list[list[Any]] = []
    series = {}
    for (name, model), read in zip(models.items(), (told, same)):
        names = {"user": model.user, "item": model.item}
        with context.timed(f"cold items, {name}"):
            model.fit(train.rename(names), content=read)
        found = model.recommend(people, k=min(max(LENGTHS), len(held)), candidates=held)
        metrics = {k: evaluate_recommendations(found, test, past, k=k).metrics for k in LENGTHS}
        recall = [metrics[k][f"recall@{k}"] for k in LENGTHS]
        rows.append([name, *recall, metrics[10]["ndcg@10"]])
        series[name] = (LENGTHS, recall)
    chance = [min(k / len(held), 1.0) for k in LENGTHS]
    rows.append(["by chance", *chance, None])
    series["by chance"] = (LENGTHS, chance)
    context.metrics["cold items: recall@20"] = float(rows[0][4])
    context.metrics["cold items: recall@20 of factorization"] = float(rows[1][4])
    context.metrics["cold items: recall@20 by chance"] = float(chance[3])
    context.table(
        "Items that nobody met",
        ["method", *(f"recall@{k}" for k in LENGTHS), "ndcg@10"],
        rows,
        f"{len(held)} of {len(items)} items held out with all their rows, and lists made of these alone for {len(people)} users "
        "who met some. Factorization: the same method when every item has the same content.",
    )
    curves(
        context,
        "cold-items",
        series,
        x="length of the list",
        y="recall",
        caption="Lists of items that nobody met before.",
    )
