"""Small tables and plain loops that the evidence of recommenders compares with."""

from __future__ import annotations

import numpy as np
import polars as pl


def ratings(people: int = 12, things: int = 9, share: float = 0.5, seed: int = 0) -> pl.DataFrame:
    """Return random ratings 1 … 5 of random pairs, user by user."""
    draw = np.random.default_rng(seed)
    users, items = np.nonzero(draw.random((people, things)) < share)
    return pl.DataFrame({"user": users, "item": items, "rating": draw.integers(1, 6, len(users)).astype(float)})


def codes(frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of users and items among their sorted ids."""
    return tuple(np.unique(frame[name].to_numpy(), return_inverse=True)[1] for name in ("user", "item"))  # type: ignore[return-value]


def dense(frame: pl.DataFrame) -> np.ndarray:
    """Return the ratings as a matrix, NaN where there is none."""
    users, items = codes(frame)
    matrix = np.full((users.max() + 1, items.max() + 1), np.nan)
    matrix[users, items] = frame["rating"].to_numpy()
    return matrix


def rmse(model: object, test: pl.DataFrame) -> float:
    """Return the root mean squared error of predicted ratings."""
    found = model.predict(test)  # type: ignore[attr-defined]
    return float(np.sqrt(np.mean((found - test["rating"].to_numpy()) ** 2)))


def movielens(part: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return a published split of MovieLens 100k with the columns user, item, rating."""
    from fivefold.data.datasets import load_dataset

    whole = pl.DataFrame(load_dataset("movielens-100k", part=part).frame).rename({"user_id": "user", "item_id": "item"})
    return whole.filter(pl.col("split") == "train"), whole.filter(pl.col("split") == "test")
