"""Evidence for the recommender of two stages: the search in cells, the features, the ranker, and both on MovieLens."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, largest, smallest

from ._ratings import ratings


@evidence(
    "two-stage-recommender",
    claim="All cells together are the exact search; few find those cells alone whose center has the largest product",
    against="brute force over items and cells",
)
def cells() -> Check:
    from fivefold.models.recommend._index import build_cells, highest, search_cells

    draw = np.random.default_rng(0)
    angle = np.repeat(np.arange(6), 15) * np.pi / 3 + draw.normal(0, 0.03, 90)
    length = draw.uniform(0.5, 3.0, 90)
    items = np.column_stack([np.cos(angle), np.sin(angle)]) * length[:, None]
    centers, cell = build_cells(items, 6, 0)
    wrong = int(len(centers) != 6)
    for number in range(len(centers)):
        # One direction a cell, and the center as long as its longest item.
        inside = cell == number
        wrong += int(len(set((np.flatnonzero(inside) // 15).tolist())) != 1)
        wrong += int(not abs(np.linalg.norm(centers[number]) - length[inside].max()) <= 1e-12)
        mean = (items[inside] / length[inside, None]).mean(axis=0)
        wrong += int(not abs(centers[number] @ mean / np.linalg.norm(mean) - length[inside].max()) <= 1e-9)
    queries = draw.normal(size=(7, 2))
    product = queries @ items.T
    wrong += int(not np.abs(search_cells(queries, items, centers, cell, 6) - product).max() <= 1e-12)
    some = search_cells(queries, items, centers, cell, 2)
    for row, query in enumerate(queries):
        near = sorted(range(6), key=lambda c: -(query @ centers[c]))[:2]
        expected = np.isin(cell, near)
        wrong += int((np.isfinite(some[row]) != expected).any())
        wrong += int(not np.abs(some[row] - product[row])[expected].max() <= 1e-12)
        # The best item is in the best cell: six directions, each found whole.
        wrong += int(int(np.argmax(some[row])) != int(np.argmax(product[row])))
    few, of = build_cells(np.array([[1.0, 0], [3, 0], [0, 2], [0, 0], [0, 1]]), 4, 0)  # two directions, and none
    wrong += int(len(few) != 3 or len(set(of.tolist())) != 3 or of[0] != of[1] or of[2] != of[4])
    wrong += int(sorted(few.tolist()) != [[0, 0], [0, 2], [3, 0]])
    table = np.array(
        [[1.0, 3.0, 3.0, -np.inf, 2.0], [-np.inf, -np.inf, 0.0, -np.inf, -np.inf], [1.0, 1.0, 1.0, 1.0, 1.0]]
    )
    found = [np.flatnonzero(r).tolist() for r in highest(table, 2)]
    return Check(wrong + int(found != [[1, 2], [2], [0, 1]]), 0, "violations", "brute force")


def _early_late(frame: pl.DataFrame, share: float) -> np.ndarray:
    """Return a mask of the last ``share`` of each user's rows, by loops."""
    late = np.zeros(len(frame), dtype=bool)
    people = frame["user"].to_list()
    for user in set(people):
        rows = [i for i, u in enumerate(people) if u == user]
        count = int(share * len(rows) + 1e-9)
        late[rows[len(rows) - count :]] = True
    return late


def _features(model: Any, frame: pl.DataFrame, vector: np.ndarray, history: list[int], item: int) -> list[float]:
    """Return the five features of a pair of codes, by loops over the table that recall learned from."""
    items = np.searchsorted(model.items_, frame["item"].to_numpy())
    values = frame["rating"].to_numpy()
    factors = model.item_factors_
    unit = [f / np.linalg.norm(f) if np.linalg.norm(f) > 0 else f for f in factors]
    mean = values.mean()
    own = values[items == item]
    cosine = np.mean([unit[h] @ unit[item] for h in history]) if history else 0.0
    people = len(set(frame["user"].to_numpy()[items == item].tolist()))
    quality = (own.sum() + 5 * mean) / (len(own) + 5)
    return [float(vector @ factors[item]), float(cosine), np.log1p(people), np.log1p(len(history)), float(quality)]


HOW: dict[str, Any] = {"factors": 4, "iterations": 3, "n_candidates": 5, "n_cells": 4, "n_probe": 3, "holdout": 0.3}


def _fitted(**more: Any) -> tuple[Any, pl.DataFrame]:
    from fivefold.models.recommend import TwoStageRecommender

    frame = ratings(30, 25, 0.4, seed=3)
    order = np.random.default_rng(0).permutation(len(frame))
    frame = frame[order].with_columns(time=np.arange(len(frame)))
    return TwoStageRecommender(**{**HOW, **more}, rating="rating", random_state=0).fit(frame), frame


@evidence(
    "two-stage-recommender",
    claim="Candidates, and what the user met, score the ranker's probability; the rest follow below zero in recall's order",
    against="the features, the candidates and the logistic function by loops over the table; predict on the same pairs",
)
def scores() -> Check:
    model, frame = _fitted()
    found = model._scores(np.arange(30))
    users, items = (
        np.searchsorted(ids, frame[n].to_numpy()) for ids, n in ((model.users_, "user"), (model.items_, "item"))
    )
    worst, wrong = 0.0, 0
    for user in range(0, 30, 5):
        history = items[users == user].tolist()
        vector = model.user_factors_[user]
        near = np.argsort(-(model.centers_ @ vector), kind="stable")[:3]
        pool = [i for i in range(len(model.items_)) if model.cell_[i] in near and i not in history]
        chosen = sorted(pool, key=lambda i: -(vector @ model.item_factors_[i]))[:5]
        wrong += int(set(np.flatnonzero(model.candidates([user])[0]).tolist()) != set(chosen))
        for item in range(len(model.items_)):
            x = (np.array(_features(model, frame, vector, history, item)) - model.shift_) / model.scale_
            chance = 1 / (1 + np.exp(-(x @ model.weights_ + model.intercept_)))
            ranked = item in chosen or item in history
            below = -1 / (1 + np.exp(vector @ model.item_factors_[item]))
            worst = largest(worst, abs(found[user, item] - (chance if ranked else below)))
            pair = model.predict({"user": [model.users_[user]], "item": [model.items_[item]], "rating": [1.0]})
            worst = largest(worst, abs(pair[0] - chance))
    # An unknown user has neither vector nor history, an unknown item the mean quality and no users.
    stranger = model.predict({"user": [99, 0], "item": [int(model.items_[2]), 99], "rating": [1.0, 1.0]})
    rows = [_features(model, frame, np.zeros(4), [], 2), [0.0, 0.0, 0.0, 0.0, float(model.quality_.mean())]]
    x = (np.array(rows) - model.shift_) / model.scale_
    worst = largest(worst, np.abs(stranger - 1 / (1 + np.exp(-(x @ model.weights_ + model.intercept_)))).max())
    return Check(largest(worst, float(wrong)), 1e-10, "largest difference", "loops")


@evidence(
    "two-stage-recommender",
    claim="The ranker is the ridge logistic regression of what each user met last among what recall finds without it",
    against="the gradient at the weights, over candidates and labels found by loops; the share that recall found",
)
def ranker() -> Check:
    from fivefold.models.recommend._tables import read_interactions
    from fivefold.models.recommend.two_stage import _part, last_rows

    model, frame = _fitted()
    data = read_interactions(frame, "user", "item", "rating")
    late = _early_late(frame, 0.3)
    wrong = int((last_rows(data, 0.3) != late).any())
    table = frame.filter(~pl.Series(late))
    twin, _ = _fitted()
    twin._recall(_part(data, ~late))
    met = {u: data.items[(data.users == u) & ~late].tolist() for u in range(30)}
    held = {u: set(data.items[(data.users == u) & late].tolist()) - set(met[u]) for u in range(30)}
    rows, labels, hits = [], [], 0
    for user in range(30):
        if not held[user] or not met[user]:
            continue
        vector = twin.user_factors_[user]
        near = np.argsort(-(twin.centers_ @ vector), kind="stable")[:3]
        pool = [i for i in range(len(twin.items_)) if twin.cell_[i] in near and i not in met[user]]
        for item in sorted(pool, key=lambda i: -(vector @ twin.item_factors_[i]))[:5]:
            rows.append(_features(twin, table, vector, met[user], item))
            labels.append(item in held[user])
            hits += item in held[user]
    x, y = np.array(rows), np.array(labels, dtype=float)
    worst = largest(np.abs(x.mean(0) - model.shift_).max(), np.abs(x.std(0) - model.scale_).max())
    z = (x - x.mean(0)) / x.std(0)
    slack = 1 / (1 + np.exp(-(z @ model.weights_ + model.intercept_))) - y
    worst = largest(worst, np.abs(z.T @ slack + model.weights_).max(), abs(slack.sum()))
    worst = largest(worst, abs(model.recall_ - hits / sum(len(held[u]) for u in range(30) if met[u])))
    # Who met at last what was met before wants nothing new, and teaches the ranker nothing.
    often = frame[:4].with_columns(user=frame["user"].max() + 1, item=frame["item"][0]).cast(dict(frame.schema))
    both = pl.concat([frame, often])
    known, hidden = read_interactions(both, "user", "item", "rating"), _early_late(both, 0.3)
    odd = type(model)(**HOW, rating="rating", random_state=0).fit(both)
    shift = odd.shift_
    odd._recall(_part(known, ~hidden))
    seen = _part(known, ~hidden).matrix().astype(bool)[:30]
    mask, _, features = odd._look(odd.user_factors_[:30], seen.indptr, seen.indices, unseen_only=True)
    rows = np.concatenate([features[u][mask[u]] for u in range(30) if held[u] and met[u]])
    worst = largest(worst, np.abs(rows.mean(0) - shift).max())
    # The order of time is that of the rows; a table in another order is the same table.
    mixed = frame[np.random.default_rng(5).permutation(len(frame))]
    again = type(model)(**HOW, rating="rating", time="time", random_state=0).fit(mixed)
    worst = largest(worst, np.abs(again.weights_ - model.weights_).max(), float(len(y) > 150))
    return Check(largest(worst, float(wrong)), 150 * 1e-8, "largest difference", "loops")


@evidence(
    "two-stage-recommender",
    claim="A history given anew folds into recall exactly and is ranked like a known user's",
    against="the ridge solution for the same vectors of items",
)
def folded() -> Check:
    model, _ = _fitted(factors=3)
    q, items = model.item_factors_, np.array([1, 4, 7])
    amount = np.array([2.0, 5.0, 1.0])
    left = q.T @ q + model.regularization * np.eye(3) + (q[items].T * (model.alpha * amount)) @ q[items]
    vector = np.linalg.solve(left, q[items].T @ (1 + model.alpha * amount))
    expected = model._ranked(vector[None], np.array([0, 3]), items)
    found = model._folded(np.array([0, 3]), items, amount)
    return Check(np.abs(found - expected).max(), 1e-9, "largest difference", "numpy.linalg.solve")


@evidence(
    "two-stage-recommender",
    claim="On MovieLens 200 candidates of recall hold more of what users met last than the 200 most met; ranking gains NDCG",
    against="the last fifth of each user's ratings, user by user; popularity, and the same factorization without a second stage",
)
def movielens_gain() -> Check:
    from fivefold.data.datasets import load_dataset
    from fivefold.models.recommend import TwoStageRecommender
    from fivefold.models.recommend.implicit_als import AlternatingLeastSquares

    frame = load_dataset("movielens-100k", part="ratings").frame.rename({"user_id": "user", "item_id": "item"})
    place = pl.col("timestamp").rank("ordinal", descending=True).over("user")
    late = place <= 0.2 * pl.len().over("user")
    train, test = frame.filter(~late), frame.filter(late)
    test = test.join(train.select("item").unique(), on="item")
    model = TwoStageRecommender(rating="rating", time="timestamp", random_state=0).fit(train)
    alone = AlternatingLeastSquares(
        factors=32, regularization=0.1, alpha=10.0, iterations=10, rating="rating", random_state=0
    ).fit(train)
    people = test["user"].unique().sort()
    rows, codes = (
        np.searchsorted(model.users_, people.to_numpy()),
        np.searchsorted(model.items_, test["item"].to_numpy()),
    )
    wanted = np.zeros((len(people), len(model.items_)), dtype=bool)
    wanted[np.searchsorted(people.to_numpy(), test["user"].to_numpy()), codes] = True
    counts = np.tile(model.counts_, (len(people), 1))
    for row, user in enumerate(rows):
        counts[row, model.seen_[model.starts_[user] : model.starts_[user + 1]]] = -1.0
    popular = np.zeros_like(wanted)
    np.put_along_axis(popular, np.argsort(-counts, axis=1, kind="stable")[:, :200], True, axis=1)

    def recall(mask: np.ndarray) -> np.ndarray:
        return (wanted & mask).sum(axis=1) / wanted.sum(axis=1)

    def ndcg(made: Any) -> np.ndarray:
        lists = made.recommend(people, k=20).sort("user", "rank")
        found = np.searchsorted(made.items_, lists["item"].to_numpy()).reshape(len(people), 20)
        gain = 1 / np.log2(np.arange(2, 22))
        best = np.concatenate([[0.0], np.cumsum(gain)])[np.minimum(wanted.sum(axis=1), 20)]
        return np.take_along_axis(wanted, found, axis=1) @ gain / best

    gains = (recall(model.candidates(rows)) - recall(popular), ndcg(model) - ndcg(alone))
    errors = [g.mean() / (g.std(ddof=1) / np.sqrt(len(g))) for g in gains]
    return Check(smallest(errors), 4.5, "standard errors gained", "popularity, recall alone", at_least=True)
