"""Embeddings: same seed, saving, neighbors by cosine, unknown keys, bad input."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base import codec
from fivefold.base.cards import Card
from fivefold.base.errors import FivefoldError
from fivefold.data.listings_log import listings_log, type_bookings
from fivefold.data.sessions import SessionBuilder
from fivefold.workbench.proof import Check

from .estimators import make
from .limits import kept


def example(card: Card) -> tuple[Any, ...]:
    """Return what the card's ``fit`` takes: sessions and markets, or listings and vectors."""
    log, listings = listings_log(markets=3, listings=12, sessions=80)
    if card.experiment.get("input") == "listings":
        draw = np.random.default_rng(0)
        return listings, {int(k): draw.normal(size=4) for k in listings["item"] if k != 3}
    if card.experiment.get("input") == "bookings":
        return (type_bookings(log, listings),)
    return SessionBuilder(booked="booked").build(log), listings


def _fitted(card: Card, variant: str, **params: Any) -> Any:
    return make(card, variant, **params).fit(*example(card))


def same_seed(card: Card, variant: str) -> Check:
    """The same seed gives the same vectors; another seed, where there is one, others."""
    first, second = (_fitted(card, variant) for _ in range(2))
    wrong = int(np.sum(first.vectors_ != second.vectors_))
    if "random_state" in first.get_params():
        wrong += int(np.array_equal(first.vectors_, _fitted(card, variant, random_state=1).vectors_))
    return Check(wrong, 0, "numbers that differ", "itself, fitted again")


def saved(card: Card, variant: str) -> Check:
    """A saved and loaded embedding has the same keys, vectors and neighbors."""
    model = _fitted(card, variant)
    with tempfile.TemporaryDirectory() as folder:
        codec.save(model, Path(folder) / "model")
        again = codec.load(Path(folder) / "model")
    key = model.keys_[4].item()
    wrong = int(np.sum(model.vectors_ != again.vectors_)) + int((model.keys_ != again.keys_).any())
    wrong += int(model.most_similar(key, 5) != again.most_similar(key, 5))
    return Check(wrong + int(repr(model) != repr(again)), 0, "differences", "before saving")


def neighbors(card: Card, variant: str) -> Check:
    """most_similar is the order of cosines, the key itself left out; vector gives the row of the key."""
    model = _fitted(card, variant)
    unit = model.vectors_ / np.linalg.norm(model.vectors_, axis=1, keepdims=True)
    wrong = int((~(model.keys_[1:] > model.keys_[:-1])).any())
    for place in (0, 5, len(unit) - 1):
        key = model.keys_[place].item()
        order = [i for i in np.argsort(-(unit @ unit[place]), kind="stable") if i != place]
        found = model.most_similar(key, 4)
        wrong += int([k for k, _ in found] != model.keys_[order[:4]].tolist())
        wrong += int(not np.abs(np.array([s for _, s in found]) - (unit @ unit[place])[order[:4]]).max() <= 1e-12)
        wrong += int((model.vector(key) != model.vectors_[place]).any())
        wrong += int(len(model.most_similar(key, 10**6)) != len(unit) - 1)
    return Check(wrong, 0, "violations", "brute force")


def bad_input(card: Card, variant: str) -> Check:
    """Unknown keys, numbers below one and what is no table are refused in a sentence."""
    cases: dict[str, tuple[Callable[[Any], Any], str]] = {
        "unknown key": (lambda m: m.most_similar(10**6), "has no vector; near it are"),
        "text for a number": (lambda m: m.vector("listing"), "has no vector; near it are"),
        "k of 0": (lambda m: m.most_similar(m.keys_[0].item(), 0), "whole number >= 1"),
        "no table": (lambda m: m.fit(7, {}), "; got int"),
        "no column": (lambda m: m.fit(pl.DataFrame({"a": [1]}), {1: [1.0]}), "no column"),
    }
    bad = []
    for name, (case, words) in cases.items():
        try:
            case(_fitted(card, variant))
        except FivefoldError as error:
            if words not in str(error):
                bad.append(f"{name}: {error}")
        else:
            bad.append(f"{name}: accepted")
    try:
        make(card, variant).vector(1)
    except FivefoldError as error:
        bad += [] if "not fitted" in str(error) else [f"not fitted: {error}"]
    else:
        bad.append("not fitted: accepted")
    return Check(len(bad), 0, f"cases without a clear sentence{': ' + '; '.join(bad) if bad else ''}", "the house rule")


def limits(card: Card, variant: str) -> Check:
    """The ends of every stated range are taken, and what lies beyond is refused by the name of the parameter."""
    data = example(card)
    return kept(card.load(variant), lambda **params: make(card, variant, **params).fit(*data))


EMBEDDING: dict[str, Callable[[Card, str], Check]] = {
    "same-seed": same_seed,
    "saved": saved,
    "neighbors": neighbors,
    "bad-input": bad_input,
    "limits": limits,
}
