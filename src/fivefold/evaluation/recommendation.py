"""How good lists of recommended items are: every item of the catalogue ranked, nothing sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError

POPULAR_SHARE = 0.1


@dataclass(frozen=True)
class RankingReport:
    """What lists of recommendations are worth.

    Parameters
    ----------
    metrics : dict
        ``ndcg@k``, ``recall@k``, ``precision@k``, ``hit-rate@k``, ``mrr@k`` as means over users with test items; ``coverage``,
        ``novelty`` and ``popularity-share`` of all lists.
    users : int
        Users with test items.
    without_test : tuple of ids
        Users who were recommended to but have no test item: they count in no mean.
    without_list : tuple of ids
        Users with test items who got no list: they count as zero.
    """

    metrics: dict[str, float]
    users: int
    without_test: tuple[Any, ...]
    without_list: tuple[Any, ...]


def rank_hits(recommended: pl.DataFrame, test: pl.DataFrame, *, k: int) -> pl.DataFrame:
    """A row a user with test items: ``relevant`` (their number), ``hits`` and ``dcg`` of the first k, rank of the ``first``.

    Parameters
    ----------
    recommended : frame with the columns user, item, rank (1 is best)
    test : frame with the columns user, item; a pair counts once
    """
    wanted = test.select("user", "item").unique()
    found = recommended.filter(pl.col("rank") <= k).select("user", "item", "rank").join(wanted, on=["user", "item"])
    hits = found.group_by("user").agg(
        hits=pl.len(), dcg=(1 / (pl.col("rank") + 1).log(2)).sum(), first=pl.col("rank").min()
    )
    people = wanted.group_by("user").agg(relevant=pl.len())
    return people.join(hits, on="user", how="left").with_columns(pl.col("hits", "dcg").fill_null(0)).sort("user")


def ideal_gain(relevant: np.ndarray, k: int) -> np.ndarray:
    """Return the discounted gain (n,) of lists of length k that begin with all relevant items."""
    steps = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    return np.asarray(steps[np.minimum(relevant, k)])


def evaluate_recommendations(
    recommended: pl.DataFrame, test: pl.DataFrame, train: pl.DataFrame, *, k: int = 20
) -> RankingReport:
    r"""Judge lists of recommendations against what users met later.

    .. math:: \mathrm{recall@}k = \frac{\mathrm{hits}}{|\mathrm{relevant}|}, \qquad
              \mathrm{NDCG@}k = \frac{\sum_{r \le k, \mathrm{hit}} 1 / \log_2(r + 1)}
                                     {\sum_{r \le \min(k, |\mathrm{relevant}|)} 1 / \log_2(r + 1)}

    Coverage is the share of the catalogue in any list, novelty the mean of :math:`-\log_2` of the share of users who met the
    item (bits), popularity share the part of the lists that the most popular tenth of the items takes up.

    Parameters
    ----------
    recommended : frame with the columns user, item, rank
    test : frame with the columns user, item
        What each user met later; a pair counts once.
    train : frame with the columns user, item
        What the model learned from; its items are the catalogue.
    k : int >= 1, default 20

    Returns
    -------
    RankingReport

    Raises
    ------
    InputError
        k below 1.
    DataError
        A column is missing, or no user has a test item.

    Notes
    -----
    Metrics on sampled negatives rank methods in another order (Krichene & Rendle 2020), so there are none here.
    """
    check_count("k", k)
    for name, frame, columns in (
        ("recommended", recommended, ("user", "item", "rank")),
        ("test", test, ("user", "item")),
        ("train", train, ("user", "item")),
    ):
        for needed in columns:
            if needed not in frame.columns:
                raise DataError(f"{name} has no column {needed!r}; it has {', '.join(frame.columns)}.")
    rows = rank_hits(recommended, test, k=k)
    if not len(rows):
        raise DataError("No user has a test item, so there is nothing to judge by; hold out more interactions.")
    hits, relevant = rows["hits"].to_numpy(), rows["relevant"].to_numpy()
    listed = recommended.filter(pl.col("rank") <= k)
    metrics = {
        f"ndcg@{k}": float(np.mean(rows["dcg"].to_numpy() / ideal_gain(relevant, k))),
        f"recall@{k}": float(np.mean(hits / relevant)),
        f"precision@{k}": float(np.mean(hits / k)),
        f"hit-rate@{k}": float(np.mean(hits > 0)),
        f"mrr@{k}": float((1 / rows["first"]).fill_null(0.0).mean()),  # type: ignore[arg-type]
        **_habits(listed, train),
    }
    asked, tested = set(recommended["user"].to_list()), set(rows["user"].to_list())
    return RankingReport(metrics, len(rows), tuple(sorted(asked - tested)), tuple(sorted(tested - asked)))


def _habits(listed: pl.DataFrame, train: pl.DataFrame) -> dict[str, float]:
    people = train["user"].n_unique()
    met = train.select("user", "item").unique().group_by("item").agg(count=pl.len())
    order = met.sort(["count", "item"], descending=[True, False])
    top = order.head(max(1, round(POPULAR_SHARE * len(order))))
    items = listed.join(met, on="item")
    novelty = items.select((-(pl.col("count") / people).log(2)).mean()).item()
    return {
        "coverage": listed["item"].n_unique() / len(met),
        "novelty": float(novelty) if novelty is not None else 0.0,
        "popularity-share": len(listed.join(top, on="item")) / max(len(listed), 1),
    }
