"""Models of click logs: probabilities, same seed, saving, padding, unseen values and clear sentences."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base import codec
from fivefold.base.cards import Card
from fivefold.workbench.proof import Check

from .estimators import make
from .limits import kept


def clicks(rows: int = 64) -> pl.DataFrame:
    """Return a small click log with fields of every kind, whose clicks follow user and item."""
    draw = np.random.default_rng(0)
    user, item = draw.integers(0, 7, rows), draw.integers(0, 9, rows)
    names = np.array([f"i{i}" for i in range(9)])
    return pl.DataFrame(
        {
            "user": user,
            "item": names[item],
            "price": np.where(draw.random(rows) < 0.1, np.nan, draw.normal(size=rows)),
            "tags": pl.Series([["a", "b", "c"][: k % 4] for k in item.tolist()], dtype=pl.List(pl.String)),
            "history": pl.Series([names[draw.integers(0, 9, n)].tolist() for n in draw.integers(0, 5, rows)]),
            "click": ((user + item + (draw.random(rows) < 0.1)) % 2).astype(np.int64),
        }
    )


FEATURES: dict[str, Any] = {
    "user": "categorical",
    "item": {"kind": "categorical", "table": "item"},
    "price": "numeric",
    "tags": "set",
    "history": {"kind": "sequence", "table": "item"},
}


def subject(card: Card, variant: str, **params: Any) -> Any:
    """Return a small model that knows the fields of :func:`clicks`."""
    return make(
        card, variant, **{"features": FEATURES, "embedding_dim": 4, "max_epochs": 2, "batch_size": 16, **params}
    )


def probabilities(card: Card, variant: str) -> Check:
    """Probabilities lie in [0, 1] and sum to 1, classes follow them, and logits are their log odds."""
    frame = clicks()
    model = subject(card, variant).fit(frame, "click")
    p = model.predict_proba(frame)
    wrong = (
        int(p.shape != (64, 2)) + int(np.sum(~((p >= 0) & (p <= 1)))) + int(np.sum(~(np.abs(p.sum(1) - 1) <= 1e-12)))
    )
    wrong += int(np.sum(model.predict(frame) != model.classes_[(p[:, 1] > 0.5).astype(int)]))
    logit = np.asarray(model.decision_function(frame), dtype=np.float64)
    wrong += int(np.sum(~(np.abs(1 / (1 + np.exp(-logit)) - p[:, 1]) < 1e-6)))
    return Check(wrong, 0, "violations", "the definition")


def same_seed(card: Card, variant: str) -> Check:
    """The same seed gives the same answers; the target as a column or as an array is one thing."""
    frame = clicks()
    first = subject(card, variant).fit(frame, "click").predict_proba(frame)
    second = subject(card, variant).fit(frame.drop("click"), frame["click"].to_numpy()).predict_proba(frame)
    return Check(int(np.sum(~(first == second))), 0, "numbers that differ", "itself, fitted again")


def saved(card: Card, variant: str) -> Check:
    """A saved and loaded model gives the same answers."""
    frame = clicks()
    model = subject(card, variant).fit(frame, "click")
    with tempfile.TemporaryDirectory() as folder:
        codec.save(model, Path(folder) / "model")
        again = codec.load(Path(folder) / "model")
    wrong = int(np.sum(~(model.predict_proba(frame) == again.predict_proba(frame))))
    return Check(wrong + int(again.get_params() != model.get_params()), 0, "numbers that differ", "before")


def unseen(card: Card, variant: str) -> Check:
    """Rows of nothing but unseen and missing values, empty histories and other columns are answered; order does not matter."""
    frame = clicks()
    model = subject(card, variant).fit(frame, "click")
    strange = pl.DataFrame(
        {
            "other": [1, 2],
            "history": pl.Series([[], ["nobody"]], dtype=pl.List(pl.String)),
            "tags": pl.Series([None, []], dtype=pl.List(pl.String)),
            "price": [None, 3.0],
            "item": [None, "nothing"],
            "user": [None, 999],
        }
    )
    p = model.predict_proba(strange)
    wrong = int(p.shape != (2, 2)) + int(np.sum(~np.isfinite(p)))
    alone = np.concatenate([model.predict_proba(frame[i : i + 1]) for i in range(4)])
    wrong += int(np.sum(~(np.abs(alone - model.predict_proba(frame[:4])) < 1e-6)))
    return Check(wrong, 0, "violations", "the same rows alone")


def refuses(card: Card, variant: str) -> Check:
    """A lost column, another target, labels outside {0, 1}, one class, no rows, infinity are refused in a sentence."""
    frame = clicks()
    model = subject(card, variant).fit(frame, "click")
    two = frame.with_columns(click=pl.col("click") + 1)
    one = frame.with_columns(click=pl.lit(1))
    infinite = frame.with_columns(price=pl.lit(float("inf")))
    cases = [
        (lambda: model.predict(frame.drop("item")), "'item'"),
        (lambda: subject(card, variant).fit(frame, "clicked"), "'clicked'"),
        (lambda: subject(card, variant).fit(two, "click"), "label"),
        (lambda: subject(card, variant).fit(one, "click"), "classes"),
        (lambda: subject(card, variant).fit(frame[:0], "click"), "no rows"),
        (lambda: subject(card, variant).fit(infinite, "click"), "infinity"),
        (lambda: subject(card, variant).fit(frame, frame["click"].to_numpy()[:-1]), "shape"),
        (lambda: subject(card, variant, task="ranking").fit(frame, "click"), "ranking"),
        (lambda: subject(card, variant).predict(frame), "fit"),
    ]
    wrong = 0
    for act, word in cases:
        try:
            act()
        except (ValueError, TypeError, AttributeError) as error:
            wrong += int(word not in str(error) or " " not in str(error) or "Traceback" in str(error))
        else:
            wrong += 1
    return Check(wrong, 0, "accepted or unclear", "house rule")


def limits(card: Card, variant: str) -> Check:
    """The ends of every stated range are taken, and what lies beyond is refused by the name of the parameter."""
    frame = clicks()
    return kept(card.load(variant), lambda **params: subject(card, variant, **params).fit(frame, "click"))


CTR_MODEL = {
    "probabilities": probabilities,
    "same-seed": same_seed,
    "saved": saved,
    "unseen": unseen,
    "refuses": refuses,
    "limits": limits,
}
