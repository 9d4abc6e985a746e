"""Evidence for what recommenders share: the best of many, the metrics of lists, splits of interactions."""

from __future__ import annotations

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, fault, largest


@evidence(
    "matrix-factorization",
    claim="The best k of every row are those of a full sort, what is not allowed or was met left out",
    against="numpy.argsort of each row",
)
def top_sorted() -> Check:
    from fivefold.models.recommend._top import top_k

    draw = np.random.default_rng(0)
    scores = draw.normal(size=(23, 40))
    allowed = draw.random(40) < 0.8
    met = [np.sort(draw.permutation(40)[: n % 38]) for n in range(0, 46, 2)]
    starts = np.concatenate([[0], np.cumsum([len(m) for m in met])])
    wrong = 0
    for k in (1, 2, 7, 40):
        items, best = np.empty((23, k), dtype=np.int64), np.empty((23, k))
        top_k(scores, allowed, starts, np.concatenate(met), np.arange(23).astype(np.uint64), items, best)
        for row in range(23):
            free = [i for i in np.argsort(-scores[row]) if allowed[i] and i not in met[row]][:k]
            wrong += int(items[row, : len(free)].tolist() != free) + int((items[row, len(free) :] != -1).any())
            wrong += int((best[row, : len(free)] != scores[row, free]).any())
    return Check(wrong, 0, "rows that differ", "numpy.argsort")


@evidence(
    "matrix-factorization",
    claim="Items most alike are those of the largest cosine; an item that is all zeros is like none, and of none",
    against="the cosines by hand",
)
def alike_by_hand() -> Check:
    from fivefold.models.recommend import MatrixFactorization

    model = MatrixFactorization(n_factors=2, n_epochs=1, random_state=0).fit(
        {"user": [1] * 4, "item": list("abcd"), "rating": [1, 2, 3, 4]}
    )
    model.item_factors_[:] = [[3.0, 4.0], [0.0, 2.0], [0.0, 0.0], [-3.0, 4.0]]
    found = model.similar_items("a", 2).rows() + model.similar_items("c").rows()
    expected = [("b", 0.8, 1), ("d", 0.28, 2), ("a", 0.0, 1), ("b", 0.0, 2), ("d", 0.0, 3)]
    worst = [abs(f[1] - e[1]) + fault((f[0], f[2]) != (e[0], e[2])) for f, e in zip(found, expected, strict=True)]
    return Check(largest(worst), 1e-15, "largest difference", "by hand")


@evidence(
    "matrix-factorization",
    claim="A history takes the place of what training knows of its users, whose lists lack both; with no known item, and for "
    "strangers, the popular items stand in, marked",
    against="vectors folded in one by one, lists sorted by hand",
)
def told_histories() -> Check:
    from fivefold.models.recommend import AlternatingLeastSquares

    from ._ratings import ratings

    frame = ratings(12, 9, 0.4, seed=8)
    model = AlternatingLeastSquares(factors=3, random_state=0).fit(frame)
    past = {3: [1, 5, 8], 0: [77], 900: [2, 4], 7: [6]}
    rows = [(user, item) for user, items in past.items() for item in items]
    history = {"user": [u for u, _ in rows], "item": [i for _, i in rows]}
    wrong = 0
    for users in (None, [900, 0, 5, 7, 3, 901]):
        found = model.recommend(users, k=9, history=history)
        free = model.recommend(users, k=9, history=history, exclude_seen=False)
        wrong += int(found["user"].unique(maintain_order=True).to_list() != (users or sorted(past)))
        for user in users or past:
            told = [i for i in past.get(user, []) if i < 9]
            met = frame.filter(pl.col("user") == user)["item"].to_list()
            if told:
                vector = model.fold(np.array([0, len(told)]), np.array(told), np.ones(len(told)))[0]
            elif user == 5:
                vector = model.user_factors_[list(model.users_).index(5)]
            lost = not told and user != 5
            score = model.counts_ if lost else model.item_factors_ @ vector
            for lists, left in ((found, set(range(9)) - {*met, *told}), (free, set(range(9)))):
                mine = lists.filter(pl.col("user") == user)
                wrong += int(set(mine["item"].to_list()) != left) + int(
                    mine["fallback"].to_list() != [lost] * len(left)
                )
                wrong += int(not np.abs(mine["score"].to_numpy() - np.sort(score[sorted(left)])[::-1]).max() <= 1e-9)
    return Check(wrong, 0, "lists that differ", "one by one")


@evidence(
    "matrix-factorization",
    claim="Users and candidates may be one id, a sequence, an array, a column or a series of objects, of integers or of strings",
    against="the same ids as a list; sentences of refusal for others",
)
def forms_of_ids() -> Check:
    import pandas as pd

    from fivefold.base.errors import InputTypeError
    from fivefold.models.recommend import UserBasedCF

    wrong = 0
    for ids in ([3, 5, 4], ["c", "e", "d"]):
        frame = {"user": ids * 2, "item": [ids[0]] * 3 + [ids[1]] * 3, "rating": [1, 2, 3, 4, 5, 3]}
        model = UserBasedCF().fit(frame)
        expected = model.recommend(ids, exclude_seen=False)
        forms = (tuple(ids), np.array(ids), pl.Series(ids), pd.Series(ids, dtype=object), pl.Series(ids).to_list())
        wrong += sum(not model.recommend(form, exclude_seen=False).equals(expected) for form in forms)
        own = expected.filter(pl.col("user") == ids[1])
        wrong += int(not model.recommend(ids[1], exclude_seen=False)["score"].equals(own["score"]))
        wrong += int(model.recommend(ids[:1], exclude_seen=False, candidates=ids[1])["item"].to_list() != ids[1:2])
        none = pl.DataFrame(frame)[:0]
        wrong += int(len(model.recommend([])) != 0) + int(len(model.recommend(history=none)) != 0)
        for bad in (2.5, [2.5], [[ids[0]]], [None], {"a"} if ids[0] == 3 else {1}):
            try:
                model.recommend(bad)
            except InputTypeError:
                continue
            wrong += 1
    return Check(wrong, 0, "forms judged otherwise", "the list")


@evidence(
    "matrix-factorization",
    claim="All measures of lists by hand; who counts is named",
    against="three users written out by hand",
)
def metrics_by_hand() -> Check:
    from fivefold.evaluation.recommendation import evaluate_recommendations

    train = pl.DataFrame({"user": [1, 2, 3, 4, 1, 2, 3, 1], "item": list("aaaabbcd")})
    lists = pl.DataFrame({"user": [1, 1, 2, 2, 3, 3, 5, 5], "item": list("cabdcdab"), "rank": [1, 2, 1, 2, 1, 2, 1, 2]})
    test = pl.DataFrame({"user": [1, 1, 1, 2, 2, 3, 9], "item": ["a", "c", "x", "d", "d", "a", "a"]})
    report = evaluate_recommendations(lists, test, train, k=2)
    gain = 1 / np.log2(3)
    expected = {
        "ndcg@2": (1 + gain) / 4,  # user 1 has both places right, user 2 its one item in the second, 3 and 9 none
        "recall@2": (2 / 3 + 1) / 4,
        "precision@2": (1 + 0.5) / 4,
        "hit-rate@2": 0.5,
        "mrr@2": (1 + 0.5) / 4,
        "coverage": 1.0,
        # a: 4 of 4 users, b: 2 of 4, c and d: 1 of 4; the lists hold a 2, b 2, c 2, d 2 times.
        "novelty": (0 + 1 + 2 + 2) * 2 / 8,
        "popularity-share": 2 / 8,
    }
    worst = largest(abs(report.metrics[name] - value) for name, value in expected.items())
    wrong = int(set(report.metrics) != set(expected)) + int(report.users != 4)
    wrong += int(report.without_test != (5,)) + int(report.without_list != (9,))
    # A longer list than k counts for nothing beyond it.
    longer = pl.concat([lists, pl.DataFrame({"user": [3], "item": ["a"], "rank": [3]})])
    wrong += int(evaluate_recommendations(longer, test, train, k=2).metrics != report.metrics)
    return Check(worst + wrong, 1e-12, "largest difference", "by hand")


@evidence(
    "matrix-factorization",
    claim="A constant scorer has random-level Recall@20 on MovieLens; the most popular items lie far above",
    against="the share of the catalogue that 20 items are",
)
def random_level() -> Check:
    from fivefold.evaluation.recommendation import evaluate_recommendations
    from fivefold.models.recommend._interactions import PopularityRecommender

    from ._ratings import movielens

    train, test = movielens("ua")
    model = PopularityRecommender(random_state=0).fit(train)
    popular = evaluate_recommendations(model.recommend(k=20), test, train, k=20).metrics["recall@20"]
    model.counts_[:] = 1.0
    found = evaluate_recommendations(model.recommend(k=20), test, train, k=20)
    chance = 20 / len(model.items_)
    # 943 users with ten test items each: the standard deviation of the mean is below sqrt(chance / 9430).
    wrong = int(not abs(found.metrics["recall@20"] - chance) <= 5 * np.sqrt(chance / 9430)) + int(
        not popular >= 5 * chance
    )
    return Check(wrong + int(found.users != 943), 0, "conditions not met", "chance")


@evidence(
    "matrix-factorization",
    claim="Interactions are split at one moment for all, or the last of each user is left out, or as a column says",
    against="a table written out by hand",
)
def splits_by_hand() -> Check:
    from fivefold.data.splits_interactions import leave_last_out, split_interactions

    users, times = np.array(list("aabbbca")), np.array([5, 1, 2, 9, 9, 3, 4])
    wrong = int(leave_last_out(users, times).test.tolist() != [0, 4])
    wrong += int(leave_last_out(users, times).train.tolist() != [1, 2, 3, 5, 6])
    wrong += int(leave_last_out(users, times, count=2).test.tolist() != [0, 3, 4, 6])
    wrong += int(split_interactions("leave-last-out", users, times).test.tolist() != [0, 4])
    wrong += int(split_interactions("global-time", users, times, test_size=3).test.tolist() != [0, 3, 4])
    given = np.array(["train", "test", "train", "train", "test", "train", "train"])
    wrong += int(split_interactions("given", users, given=given).test.tolist() != [1, 4])
    drawn = [split_interactions("random", users, test_size=0.4, random_state=s).test.tolist() for s in (0, 0, 1)]
    wrong += int(len(drawn[0]) != 3) + int(drawn[0] != drawn[1])
    return Check(wrong, 0, "splits that differ", "by hand")
