"""Evidence for collaborative filtering by neighbors."""

from __future__ import annotations

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, largest

from ._ratings import dense, movielens, ratings, rmse


def _alike(x: np.ndarray, y: np.ndarray, how: str, least: int, shrink: float) -> float:
    both = np.isfinite(x) & np.isfinite(y)
    a, b = x[both], y[both]
    if both.sum() < least:
        return 0.0
    if how == "pearson":
        a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a**2).sum() * (b**2).sum())
    found = 1 / (1 + ((a - b) ** 2).mean()) if how == "msd" else a @ b / size if size > 1e-9 else 0.0
    return round(found * ((both.sum() - 1) / (both.sum() - 1 + shrink) if shrink else 1.0), 12)


def _loop(y: np.ndarray, how: dict, by_user: bool) -> np.ndarray:
    """Return every rating by the equation, one after another."""
    mean = np.nanmean(y)
    bu, bi = np.zeros(len(y)), np.zeros(y.shape[1])
    if how["base"] == "mean":
        bu, bi = (np.nanmean(y, axis=1) - mean, bi) if by_user else (bu, np.nanmean(y, axis=0) - mean)
    elif how["base"] == "baseline":
        for _ in range(10):
            bi = np.nansum(y - mean - bu[:, None], axis=0) / (10 + np.isfinite(y).sum(axis=0))
            bu = np.nansum(y - mean - bi, axis=1) / (15 + np.isfinite(y).sum(axis=1))
    base = np.zeros(y.shape) if how["base"] == "none" else mean + bu[:, None] + bi
    table, off = (y, y - base) if by_user else (y.T, (y - base).T)
    out = np.empty(table.shape)
    for a in range(len(table)):
        for c in range(table.shape[1]):
            raters = [b for b in range(len(table)) if np.isfinite(table[b, c])]
            near = [
                (_alike(table[a], table[b], how["similarity"], how["min_support"], how["shrinkage"]), b) for b in raters
            ]
            near = sorted([n for n in near if n[0] > 0], key=lambda n: -n[0])[: how["k"]]
            fallback = mean if how["base"] == "none" else (base if by_user else base.T)[a, c]
            if len(near) < how["min_k"]:
                out[a, c] = fallback
            else:
                lift = sum(s * off[b, c] for s, b in near) / sum(s for s, _ in near)
                out[a, c] = (base if by_user else base.T)[a, c] + lift
    return out if by_user else out.T


@evidence(
    "user-based-cf",
    claim="Every rating of user- and item-based neighbors, for each similarity and base, equals the equation",
    against="plain loops over the dense table",
)
def loops() -> Check:
    from fivefold.models.recommend.neighbors import ItemBasedCF, UserBasedCF

    frame = ratings(14, 11, 0.55, seed=2)
    y = dense(frame)
    grid = {"user": np.repeat(np.arange(14), 11), "item": np.tile(np.arange(11), 14)}
    worst = 0.0
    for _number, (make, by_user) in enumerate(((UserBasedCF, True), (ItemBasedCF, False))):
        for similarity in ("cosine", "msd", "pearson"):
            for base in ("none", "mean", "baseline"):
                for k, least, support, shrink in ((3, 1, 1, 0.0), (40, 3, 3, 5.0)):
                    how = {
                        "k": k,
                        "min_k": least,
                        "similarity": similarity,
                        "base": base,
                        "min_support": support,
                        "shrinkage": shrink,
                    }
                    model = make(**how).fit(frame)
                    expected = _loop(y, how, by_user)
                    worst = largest(worst, np.abs(model._scores(np.arange(14)) - expected).max())
                    found = model.predict(grid).reshape(expected.shape)
                    worst = largest(worst, np.abs(found - np.clip(expected, 1, 5)).max())
    return Check(worst, 1e-10, "largest difference", "plain loops")


@evidence(
    "user-based-cf",
    claim="Likeness by hand: cosine, squared difference and correlation over common items; no variance, no correlation",
    against="three users written out",
)
def by_hand() -> Check:
    from fivefold.models.recommend import UserBasedCF

    frame = {"user": [1, 1, 1, 2, 2, 2, 3, 3], "item": list("abcabdab"), "rating": [5, 3, 1, 4, 2, 5, 3, 3]}
    cosine, msd, pearson = (UserBasedCF(similarity=s).fit(frame).likeness_ for s in ("cosine", "msd", "pearson"))
    worst = abs(cosine[0, 1] - (20 + 6) / np.sqrt(34 * 20))
    worst = largest(
        worst, abs(msd[0, 1] - 1 / 2), abs(msd[0, 2] - 1 / (1 + 2)), abs(pearson[0, 1] - 1), abs(pearson[0, 2])
    )
    wide = UserBasedCF(similarity="cosine", min_support=3).fit(frame).likeness_
    worst = largest(worst, abs(wide[0, 1]), abs(wide[0, 0] - 1))
    # u3's d: user 2 alone rated it, with whom cosine is positive: mean of 3 plus what 2 gave above 2's mean.
    alone = UserBasedCF(similarity="cosine").fit(frame)
    worst = largest(worst, abs(alone.predict({"user": [3], "item": ["d"]})[0] - (3 + 5 - 11 / 3)))
    # Two of equal likeness, one place: the earlier counts.
    equal = {"user": [1, 1, 2, 2, 2, 3, 3, 3], "item": list("ababcabc"), "rating": [4, 2, 4, 2, 5, 4, 2, 1]}
    one = UserBasedCF(k=1, similarity="cosine", base="none").fit(equal).predict({"user": [1], "item": ["c"]})
    strange = alone.predict({"user": [9, 1, 9], "item": ["a", "z", "z"]})
    mean = 26 / 8
    worst = largest(worst, abs(one[0] - 5), np.abs(strange - [mean, 3, mean]).max())
    return Check(worst, 1e-12, "largest difference", "by hand")


@evidence(
    "user-based-cf",
    claim="Item-based neighbors fold a history in as if the user had been there, and a score is its base plus its shares",
    against="a stranger with the history of a known user; the sum",
)
def folding() -> Check:
    from fivefold.models.recommend.neighbors import ItemBasedCF

    frame = ratings(30, 15, 0.5, seed=5)
    worst = 0.0
    for base in ("none", "mean"):
        model = ItemBasedCF(k=4, base=base).fit(frame)
        past = frame.filter(pl.col("user") == 7).with_columns(user=pl.lit(99))
        found = model.recommend(history=past, k=15, exclude_seen=False).sort("item")["score"].to_numpy()
        expected = model._scores(np.array([7]))[0]
        worst = largest(worst, np.abs(found - expected).max())
        for item in range(15):
            shares = model.explain(7, item, k=20)
            if len(shares):
                start = model._base(np.array([7]), np.array([item]))[0]
                worst = largest(worst, abs(start + shares["contribution"].sum() - expected[item]))
        worst = largest(worst, abs(len(model.explain(7, 3, k=20)) - 4))
    near = model.similar_items(3, 2)
    order = np.argsort(-np.where(np.arange(15) == 3, -9, model.likeness_[3]), kind="stable")[:2]
    worst = largest(worst, float(near["item"].to_list() != order.tolist()))
    return Check(worst, 1e-10, "largest difference", "itself as a known user")


@evidence(
    "user-based-cf",
    claim="On MovieLens u1 neighbors with means and baselines beat the biases alone, as published; defaults are as documented",
    against="the mean of the user; figures of Surprise for KNNWithMeans (about .96) and KNNBaseline (about .94) on such splits",
)
def movielens_neighbors() -> Check:
    from fivefold.models.recommend.neighbors import ItemBasedCF, UserBasedCF

    train, test = movielens("u1")
    means = rmse(UserBasedCF(similarity="msd").fit(train), test)
    lines = rmse(UserBasedCF(similarity="msd", base="baseline").fit(train), test)
    items = rmse(ItemBasedCF(base="baseline", shrinkage=100.0).fit(train), test)
    guess = rmse(UserBasedCF(min_k=10**6).fit(train), test)
    wrong = int(not means <= 0.975) + int(not lines <= 0.96) + int(not items <= 0.945) + int(not guess >= 1.04)
    facts = {"k": 40, "min_k": 1, "similarity": "pearson", "base": "mean", "min_support": 1, "shrinkage": 0.0}
    wrong += sum(UserBasedCF().get_params()[name] != value for name, value in facts.items())
    return Check(wrong, 0, "conditions not met", "published")


@evidence(
    "user-based-cf",
    claim="Ratings of one pair, and all of them, are averaged by their weights; a rating of zero is a rating",
    against="the table with the mean in place of the rows",
)
def repeated() -> Check:
    from fivefold.models.recommend.neighbors import ItemBasedCF, UserBasedCF

    frame = ratings(12, 9, 0.6, seed=6).with_columns(rating=pl.col("rating") - 1)
    twice = pl.concat([frame, frame[:5].with_columns(rating=pl.col("rating") + 1)])
    weight = np.r_[np.full(len(frame), 3.0), np.ones(5)]
    merged = frame.with_columns(
        rating=pl.when(pl.int_range(len(frame)) < 5).then(pl.col("rating") + 0.25).otherwise(pl.col("rating"))
    )
    worst = 0.0
    for make in (UserBasedCF, ItemBasedCF):
        one, two = make(base="none").fit(twice, sample_weight=weight), make(base="none").fit(merged)
        worst = largest(worst, np.abs(one.likeness_ - two.likeness_).max())
        mean = (twice["rating"].to_numpy() * weight).sum() / weight.sum()
        worst = largest(worst, abs(one.mean_ - mean))
        found, expected = one._raw(*np.indices((12, 9)).reshape(2, -1)), two._raw(*np.indices((12, 9)).reshape(2, -1))
        lonely = np.isclose(found, one.mean_) & np.isclose(expected, two.mean_)
        worst = largest(worst, np.abs(found - expected)[~lonely].max())
    return Check(worst, 1e-10, "largest difference", "merged rows")
