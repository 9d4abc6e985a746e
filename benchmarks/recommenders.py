"""Recommenders on MovieLens-100k beside Surprise and implicit.

Biased matrix factorization and SVD++ with Surprise's default factors, passes, rates and seeds on u1: the mean RMSE of the runs
may be .002 above. Implicit ALS on ``ua`` and on the last fifth of the time axis: NDCG@20 within half a percent at equal start,
factors, alpha, lambda and iterations, and no worse after the same search on a part held out of the training rows. Surprise
and implicit get their own matrices outside the clock; our fits start from the frame of rows. Popularity is printed beside.

    FIVEFOLD_DATA_MIRROR=... fivefold bench recommenders
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from typing import Any

import implicit.als
import numpy as np
import polars as pl
import scipy.sparse as sp
import surprise

from fivefold.base.random import Streams
from fivefold.data.datasets import load_dataset
from fivefold.evaluation.recommendation import evaluate_recommendations
from fivefold.models.recommend import AlternatingLeastSquares, MatrixFactorization, SVDPlusPlus
from fivefold.models.recommend._interactions import PopularityRecommender
from fivefold.workbench.bench import Contest, Score, play

K = 20
SETTINGS = {"factors": 64, "regularization": 10.0, "alpha": 2.0, "iterations": 15}
GRID = {"factors": (16, 32, 64), "regularization": (3.0, 10.0, 30.0), "alpha": (0.5, 2.0, 8.0)}


def ratings() -> pl.DataFrame:
    frame = pl.DataFrame(load_dataset("movielens-100k").frame)
    return frame.rename({"user_id": "user", "item_id": "item"})


def given(part: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = pl.DataFrame(load_dataset("movielens-100k", part=part).frame)
    frame = frame.rename({"user_id": "user", "item_id": "item"})
    return frame.filter(pl.col("split") == "train"), frame.filter(pl.col("split") == "test")


def by_time(frame: pl.DataFrame, share: float = 0.8) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the first rows in time and those of the rest whose user and item are known."""
    frame = frame.sort("timestamp", maintain_order=True)
    cut = int(share * len(frame))
    train, test = frame[:cut], frame[cut:]
    return train, test.filter(
        pl.col("user").is_in(train["user"].implode()) & pl.col("item").is_in(train["item"].implode())
    )


def rating_contest(name: str, model: Any, peer: Any, target: float, repeats: int) -> Contest:
    train, test = given("u1")
    rows = train.select("user", "item", "rating").to_pandas()
    theirs = surprise.Dataset.load_from_df(rows, surprise.Reader(rating_scale=(1, 5))).build_full_trainset()
    pairs = list(test.select("user", "item", "rating").iter_rows())
    truth = test["rating"].to_numpy()

    def quality(a: list[Any], b: list[Any]) -> tuple[float, float, bool]:
        mine = float(np.mean([np.sqrt(np.mean((m.predict(test) - truth) ** 2)) for m in a]))
        other = float(np.mean([surprise.accuracy.rmse(m.test(pairs), verbose=False) for m in b]))
        return mine, other, mine <= other + 0.002

    return Contest(
        name=f"{name} on MovieLens u1, beside Surprise",
        ours=lambda run: model(random_state=run).fit(train),
        peer=lambda run: peer(random_state=run).fit(theirs),
        quality=quality,
        target=target,
        repeats=repeats,
        warm=lambda: model(n_epochs=1, random_state=0).fit(train),
    )


class Lists:
    """Fits of both sides on one split, and their lists for all users of the training rows."""

    def __init__(self, train: pl.DataFrame, test: pl.DataFrame) -> None:
        self.train, self.test = train, test
        self.people, rows = np.unique(train["user"].to_numpy(), return_inverse=True)
        self.things, columns = np.unique(train["item"].to_numpy(), return_inverse=True)
        self.met = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)))

    def ours(self, run: int, how: dict[str, Any]) -> AlternatingLeastSquares:
        return AlternatingLeastSquares(**how, random_state=run).fit(self.train)

    def peer(self, run: int, how: dict[str, Any]) -> Any:
        # Its confidence is alpha times the entry, ours 1 + alpha: the entries carry the difference.
        model = implicit.als.AlternatingLeastSquares(**{**how, "alpha": 1.0}, random_state=run)
        draw = Streams.of(run).child("factors")  # both sides from one start
        model.user_factors, model.item_factors = (
            0.01 * draw.numpy(side).random((size, how["factors"])).astype(np.float32)
            for side, size in zip(("users", "items"), self.met.shape)
        )
        model.fit(self.met * np.float32(1 + how["alpha"]), show_progress=False)
        return model

    def judge(self, lists: pl.DataFrame) -> float:
        return evaluate_recommendations(lists, self.test, self.train, k=K).metrics[f"ndcg@{K}"]

    def score(self, model: Any) -> float:
        if isinstance(model, AlternatingLeastSquares | PopularityRecommender):
            return self.judge(model.recommend(self.people, k=K))
        best, _ = model.recommend(np.arange(len(self.people)), self.met, N=K, filter_already_liked_items=True)
        return self.judge(
            pl.DataFrame(
                {
                    "user": np.repeat(self.people, K),
                    "item": self.things[best].ravel(),
                    "rank": np.tile(np.arange(1, K + 1), len(best)),
                }
            )
        )

    def popularity(self) -> float:
        return self.score(PopularityRecommender().fit(self.train))


def equal_settings(name: str, train: pl.DataFrame, test: pl.DataFrame) -> Contest:
    lists = Lists(train, test)

    def quality(a: list[Any], b: list[Any]) -> tuple[float, float, bool]:
        mine, theirs = (float(np.mean([lists.score(m) for m in side])) for side in (a, b))
        print(f"  {name}: NDCG@{K} {mine:.4f}, implicit {theirs:.4f}, popularity {lists.popularity():.4f}", flush=True)
        return mine, theirs, mine >= 0.995 * theirs

    return Contest(
        name=f"implicit ALS on MovieLens {name}, beside implicit",
        ours=lambda run: lists.ours(run, SETTINGS),
        peer=lambda run: lists.peer(run, SETTINGS),
        quality=quality,
    )


def tuned(name: str, train: pl.DataFrame, test: pl.DataFrame) -> Contest:
    """Both sides choose among the same settings on the last fifth of the training rows, and fit again."""
    inner, outer = Lists(*by_time(train)), Lists(train, test)

    def search(fit: Any) -> dict[str, Any]:
        grid = [{**SETTINGS, **dict(zip(GRID, values))} for values in itertools.product(*GRID.values())]
        return max(grid, key=lambda how: sum(inner.score(fit(inner, run, how)) for run in range(3)))

    best = {"ours": search(Lists.ours), "implicit": search(Lists.peer)}
    print(f"  {name}: chosen {best}", flush=True)

    def quality(a: list[Any], b: list[Any]) -> tuple[float, float, bool]:
        mine, theirs = (float(np.mean([outer.score(m) for m in side])) for side in (a, b))
        return mine, theirs, mine >= 0.995 * theirs

    return Contest(
        name=f"implicit ALS on MovieLens {name}, each tuned, beside implicit",
        ours=lambda run: outer.ours(run, best["ours"]),
        peer=lambda run: outer.peer(run, best["implicit"]),
        quality=quality,
        target=None,
    )


def main(threads: Sequence[int] = (1,)) -> list[Score]:
    """Run the contests and return their scores."""
    contests = [
        rating_contest("SVD", MatrixFactorization, surprise.SVD, 0.5, 5),
        rating_contest("SVD++", SVDPlusPlus, surprise.SVDpp, 0.125, 3),
    ]
    for name, (train, test) in {"ua": given("ua"), "by time": by_time(ratings())}.items():
        contests += [equal_settings(name, train, test), tuned(name, train, test)]
    return play(contests, threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
