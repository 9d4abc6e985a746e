"""Recommenders: same seed, saving, seen items, ties, strangers, empty histories, bad input."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base import codec
from fivefold.base.cards import Card
from fivefold.base.errors import FivefoldError
from fivefold.workbench.proof import Check

from .estimators import make
from .limits import kept

PEOPLE, THINGS = 40, 30


def table(strings: bool = False) -> pl.DataFrame:
    """Return interactions of two groups of users, each with its own half of the items; items 0 … 9 are met most."""
    draw = np.random.default_rng(0)
    liking = np.add.outer(np.arange(PEOPLE), np.arange(THINGS)) % 2 == 0
    chance = np.where(liking, 0.45, 0.1) * np.where(np.arange(THINGS) < 10, 1.6, 1.0)
    users, items = np.nonzero(draw.random((PEOPLE, THINGS)) < chance)
    ratings = np.where(liking[users, items], 4, 2) + draw.integers(0, 2, len(users))
    if strings:
        return pl.DataFrame(
            {"user": [f"u{u:02}" for u in users], "item": [f"i{i:02}" for i in items], "rating": ratings}
        )
    return pl.DataFrame({"user": 100 + users, "item": 7 * items, "rating": ratings})


def _fitted(card: Card, variant: str, frame: pl.DataFrame | None = None, **params: Any) -> Any:
    return make(card, variant, **params).fit(table() if frame is None else frame)


def same_seed(card: Card, variant: str) -> Check:
    """Two fits with the same seed give equal predictions and lists."""
    first, second = (_fitted(card, variant) for _ in range(2))
    wrong = int(np.sum(first.predict(table()) != second.predict(table())))
    wrong += not first.recommend(k=7).equals(second.recommend(k=7))
    return Check(wrong, 0, "answers that differ", "itself, fitted again")


def saved(card: Card, variant: str) -> Check:
    """A saved and loaded recommender gives the same predictions and lists."""
    model = _fitted(card, variant)
    with tempfile.TemporaryDirectory() as folder:
        codec.save(model, Path(folder) / "model")
        again = codec.load(Path(folder) / "model")
    wrong = int(np.sum(model.predict(table()) != again.predict(table())))
    wrong += not model.recommend(k=7).equals(again.recommend(k=7))
    return Check(wrong + (repr(model.get_params()) != repr(again.get_params())), 0, "differences", "before saving")


def seen(card: Card, variant: str) -> Check:
    """What a user met is never recommended, all else is; with exclude_seen=False and candidates the lists are just these."""
    frame = table()
    model = _fitted(card, variant)
    found = model.recommend(k=THINGS)
    pairs = found.select("user", "item")
    wrong = len(pairs.join(frame, on=["user", "item"]))
    left = PEOPLE * THINGS - frame.select("user", "item").n_unique()
    wrong += int(len(pairs) != left) + int(pairs.n_unique() != left)
    whole = model.recommend([100], k=THINGS, exclude_seen=False)
    wrong += int(sorted(whole["item"].to_list()) != sorted(set(frame["item"].to_list())))
    few = model.recommend([100, 101], k=5, exclude_seen=False, candidates=[0, 7, 14, 999])
    wrong += int(sorted(few["item"].to_list()) != [0, 0, 7, 7, 14, 14])
    for _name, rows in found.group_by("user"):
        score = rows.sort("rank")["score"].to_numpy()
        wrong += int((~(np.diff(score) <= 0)).any()) + int(
            (np.sort(rows["rank"].to_numpy()) != np.arange(1, len(rows) + 1)).any()
        )
    return Check(wrong + int(found["fallback"].any()), 0, "violations", "the table")


def ties(card: Card, variant: str) -> Check:
    """A constant scorer has random-level Recall: each unseen item of each user is listed equally often."""
    model = _fitted(card, variant)
    # A method that chooses its lists item by item has a second scorer, for the places behind the first.
    scorers = {
        "_scores": lambda self, users: np.zeros((len(users), len(self.items_))),
        "_later": lambda self, place, history, before: np.zeros((len(history), len(self.items_))),
    }
    model.__class__ = type("Constant", (type(model),), scorers)
    found = model.recommend(k=10, exclude_seen=False)
    # The ten items met most are the positives of everyone: a third of the items, so a third of a list of ten.
    hits = float(np.mean(found["item"].to_numpy() < 70)) * 10
    spread = np.sqrt(10 * (1 / 3) * (2 / 3) * (20 / 29) / PEOPLE)
    wrong = int(not abs(hits - 10 / 3) <= 4.5 * spread)
    listed = np.bincount(found["item"].to_numpy() // 7, minlength=THINGS) / PEOPLE
    wrong += int((~(np.abs(listed - 1 / 3) <= 4.5 * np.sqrt((1 / 3) * (2 / 3) / PEOPLE))).sum())
    return Check(wrong, 0, "items listed too often or too rarely", "the hypergeometric law")


def strangers(card: Card, variant: str) -> Check:
    """Unknown users and empty histories get the flagged fallback; known history folds in where the method can."""
    model = _fitted(card, variant)
    met = table().group_by("item").agg(pl.col("user").n_unique())
    most = max(met["user"].to_list())
    lone = model.recommend([5], k=3)
    wrong = int(not lone["fallback"].all()) + int(lone["score"].to_list()[0] != most) + int(len(lone) != 3)
    both = model.recommend([5, 100], k=1)
    wrong += int(both["user"].to_list() != [5, 100]) + int(both["fallback"].to_list() != [True, False])
    past = pl.DataFrame({"user": [5, 5, 6], "item": [0, 14, 12345], "rating": [5, 4, 3]})
    told = model.recommend(history=past, k=THINGS)
    wrong += int(len(told.filter((pl.col("user") == 5) & pl.col("item").is_in([0, 14]))))
    wrong += int(not told.filter(pl.col("user") == 6)["fallback"].all())
    wrong += int(told.filter(pl.col("user") == 5)["fallback"].any() == ("folds-in" in card.experiment.get(variant, {})))
    odd = model.predict({"user": [5, 100, 5], "item": [0, 12345, 12345], "rating": [1, 1, 1]})
    return Check(wrong + int((~np.isfinite(odd)).sum()), 0, "violations", "the rule of the kind")


def names(card: Card, variant: str) -> Check:
    """Ids come back as they came: strings or integers, and the same lists from a pandas frame or a mapping."""
    frame = table(strings=True)
    model = _fitted(card, variant, frame)
    found = model.recommend(["u03"], k=4)
    wrong = int(found.schema["item"] != pl.String) + int(found["user"].to_list() != ["u03"] * len(found))
    plain = _fitted(card, variant).recommend([103], k=4)
    wrong += int([f"i{i // 7:02}" for i in plain["item"].to_list()] != found["item"].to_list())
    for other in (frame.to_pandas(), frame.to_dict(as_series=False), frame.to_arrow()):
        wrong += not _fitted(card, variant, other).recommend(k=4).equals(model.recommend(k=4))
    return Check(wrong, 0, "differences", "the ids of the table")


def _cases() -> dict[str, tuple[Callable[[Any, pl.DataFrame], Any], str]]:
    return {
        "no rows": (lambda m, t: m.fit(t[:0]), "has no rows of positive weight"),
        "no column": (lambda m, t: m.fit(t.rename({"item": "film"})), "no column 'item'"),
        "no table": (lambda m, t: m.fit([1, 2]), "must be a polars or pandas frame"),
        "missing id": (
            lambda m, t: m.fit(t.with_columns(user=pl.lit(None, pl.Int64))),
            "missing values, the first in row 0",
        ),
        "real ids": (lambda m, t: m.fit(t.with_columns(user=pl.col("user") + 0.5)), "are integers or strings"),
        "negative weight": (lambda m, t: m.fit(t, sample_weight=-np.ones(len(t))), "negative or infinite"),
        "too few weights": (lambda m, t: m.fit(t, sample_weight=np.ones(3)), "one weight a row"),
        "not fitted": (lambda m, t: m.recommend(k=3), "not fitted"),
        "k below 1": (lambda m, t: m.fit(t).recommend(k=0), "whole number >= 1"),
        "strange candidates": (lambda m, t: m.fit(t).recommend(candidates=[3]), "None of the candidates"),
        "text for a number": (lambda m, t: m.fit(t).recommend(["u1"]), "are integers in the training table"),
        "strange item": (lambda m, t: m.fit(t).similar_items(3), "is no item of the training table"),
        "strange user": (lambda m, t: m.fit(t).explain(3, 7), "is no user of the training table"),
    }


def bad_input(card: Card, variant: str) -> Check:
    """Bad tables, weights, ids and numbers are refused in one sentence."""
    bad = []
    for name, (case, words) in _cases().items():
        try:
            case(make(card, variant), table())
        except FivefoldError as error:
            if words not in str(error) or len(str(error)) > 600:
                bad.append(f"{name}: {error}")
        else:
            bad.append(f"{name}: accepted")
    return Check(len(bad), 0, f"cases without a clear sentence{': ' + '; '.join(bad) if bad else ''}", "the house rule")


def limits(card: Card, variant: str) -> Check:
    """The ends of every stated range are taken, and what lies beyond is refused by the name of the parameter."""
    return kept(card.load(variant), partial(_fitted, card, variant))


RECOMMENDER: dict[str, Callable[[Card, str], Check]] = {
    "same-seed": same_seed,
    "saved": saved,
    "seen": seen,
    "ties": ties,
    "strangers": strangers,
    "names": names,
    "bad-input": bad_input,
    "limits": limits,
}
