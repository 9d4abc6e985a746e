"""An embedding of listings: learned from the sessions of a made-up travel site, judged by clicks that were held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ..context import Context
from ..parts import model_params
from ._plots import project, scatter

SLOT = "model"
STOCK: dict[str, Any] = {}
SESSION = True


def run(context: Context) -> None:
    """Draw the site, learn, look at the neighbors and at what was held out."""
    from fivefold.data.listings_log import listings_log
    from fivefold.data.sessions import SessionBuilder

    from ..tabular import build

    sessions = 300 if context.quick else int(context.knob("sessions", 3000))
    log, listings = listings_log(sessions=sessions, seed=context.streams.integer("site") % 2**31)
    context.saw("listings-log", {name: log[name] for name in log.columns})
    context.notes.append("The clicks are drawn from a made-up travel site (fivefold.data.listings_log): no real users.")
    clicks = SessionBuilder(booked="booked").build(log)
    edge = int(0.8 * (int(clicks["session"].max()) + 1))  # type: ignore[arg-type]
    train, test = clicks.filter(pl.col("session") < edge), clicks.filter(pl.col("session") >= edge)
    card = context.card
    model = build(card, card.variant(), model_params(context.spec), context.spec.seed)
    if card.experiment.get("input") == "listings":
        _new_listings(context, model, train, listings)
    else:
        with context.timed("fit"):
            model.fit(train, listings)
        _next_clicks(context, model, test)
    context.model = model
    market = dict(zip(listings["item"].to_list(), listings["market"].to_list()))
    labels = np.array([f"market {market[key]}" for key in model.keys_.tolist()])
    scatter(context, "listings", project(model.vectors_), labels, "Listings on the first two principal axes of their vectors.")


def _cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    return np.asarray(unit @ unit.T)


def _next_clicks(context: Context, model: Any, test: pl.DataFrame) -> None:
    """How often the next click of a held-out session is among the ten listings nearest to a click."""
    place = {key: i for i, key in enumerate(model.keys_.tolist())}
    cosine = _cosines(model.vectors_)
    np.fill_diagonal(cosine, -np.inf)
    near = np.argsort(-cosine, axis=1, kind="stable")[:, :10]
    pairs = test.with_columns(after=pl.col("item").shift(-1).over("session")).drop_nulls("after")
    hits = [
        place[b] in near[place[a]]
        for a, b in pairs.select("item", "after").rows()
        if a != b and a in place and b in place
    ]
    context.metrics["hit-rate@10 of the next click"] = float(np.mean(hits)) if hits else float("nan")
    context.metrics["by chance"] = 10 / max(len(place) - 1, 1)
    context.metrics["listings"] = float(len(place))


def _new_listings(context: Context, model: Any, train: pl.DataFrame, listings: pl.DataFrame) -> None:
    """Hide a fifth of the listings that have vectors, and compare what the method makes of their neighbors with them."""
    from fivefold.models.recommend import ListingEmbedding

    trained = ListingEmbedding(epochs=3 if context.quick else 10, random_state=context.spec.seed).fit(train, listings)
    hidden = context.streams.numpy("hidden").random(len(trained.keys_)) < 0.2
    vectors = {key: v for key, v, h in zip(trained.keys_.tolist(), trained.vectors_, hidden) if not h}
    new = listings.filter(pl.col("item").is_in(trained.keys_[hidden].tolist()))
    with context.timed("fit"):
        model.fit(listings, vectors)
    guess, truth = model.embed(new), np.array([trained.vector(key) for key in new["item"].to_list()])
    covered = np.isfinite(guess).all(axis=1)
    context.metrics["covered"] = float(covered.mean())
    context.metrics["three matches"] = model.coverage(new)
    stranger = context.streams.numpy("stranger").permutation(len(model.vectors_))[: int(covered.sum())]
    for name, found in (("cosine with the learned vector", guess[covered]), ("of a random listing", model.vectors_[stranger])):
        length = np.linalg.norm(found, axis=1) * np.linalg.norm(truth[covered], axis=1)
        context.metrics[name] = float(((found * truth[covered]).sum(axis=1) / length).mean())
