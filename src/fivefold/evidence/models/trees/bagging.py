"""Bagging and out-of-bag errors: the source's four members, direct recomputation, the variance of a mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence


def _table(n: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    rng = Streams(21).numpy(name)
    X = rng.normal(size=(n, 4))
    return X, X[:, 0] + np.sin(3 * X[:, 1]) + 0.5 * rng.normal(size=n)


@evidence(
    "oob-error",
    claim="x1 is judged by f2 and f4, x2 by f2 and f3, x3 by f1 and f4, x4 by f1 and f3",
    against="05#oob-error",
)
def four_members() -> Check:
    from fivefold.models.trees import OutOfBag

    trained = [{1, 2}, {3, 4}, {1, 3}, {2, 4}]
    bag = OutOfBag(4)
    for t, rows in enumerate(trained):
        # Each member answers with a digit of its own, so the sum tells who was asked.
        bag.add(np.full(4, 10.0**t), np.array([i + 1 in rows for i in range(4)]))
    wrong = int(np.sum(bag.sums != [1010, 110, 1001, 101])) + int(np.sum(bag.counts != 2))
    wrong += int(np.sum(bag.mean != [505, 55, 500.5, 50.5]))
    # Squared errors 0, 1, 4 and 9.
    wrong += bag.error(bag.mean - [0.0, 1.0, 2.0, 3.0]) != 14 / 4
    wrong += bag.error(bag.mean - [0.0, 1.0, 2.0, 3.0], [1, 2, 0, 1]) != 11 / 4
    return Check(wrong, 0, "answers that differ", "05#oob-error")


@evidence("oob-error", claim="Votes, shares and rows that nobody may judge", against="worked example")
def votes_and_shares() -> Check:
    from fivefold.models.trees import OutOfBag

    bag = OutOfBag(3, ["a", "b"])
    bag.add(np.array(["a", "b", "b"]), np.array([False, False, True]))
    bag.add(np.array(["b", "b", "a"]), np.array([False, True, True]))
    wrong = not np.array_equal(bag.mean, [[0.5, 0.5], [0, 1], [np.nan, np.nan]], equal_nan=True)
    # The first of equal classes answers; the third row does not count.
    wrong += bag.error(np.array(["a", "a", "a"])) != 0.5 or bag.error(np.array(["b", "a", "b"])) != 1.0
    wrong += bag.error(np.array(["a", "a", "a"]), [3, 1, 7]) != 0.25
    shares = OutOfBag(2, [0, 1]).add(np.array([[0.2, 0.8], [0.9, 0.1]]), np.array([False, False]))
    wrong += shares.error(np.array([1, 0])) != 0 or shares.error(np.array([0, 0])) != 0.5
    wrong += not np.isnan(OutOfBag(1).add([1.0], np.array([True])).error([1.0]))
    wrong += not np.isnan(bag.error(np.array(["a", "a", "a"]), [0, 0, 1]))
    return Check(int(wrong), 0, "answers that differ", "worked example")


@evidence(
    "oob-error", claim="The forests' out-of-bag scores are one minus these errors", against="scikit-learn members"
)
def like_the_peer() -> Check:
    from sklearn.ensemble import BaggingClassifier as Peer

    from fivefold.models.trees import OutOfBag

    X, y = _table(200, "oob")
    codes = (y > 0).astype(int)
    peer = Peer(n_estimators=60, oob_score=True, random_state=0).fit(X, codes)
    bag = OutOfBag(200, [0, 1])
    for member, rows in zip(peer.estimators_, peer.estimators_samples_, strict=True):
        bag.add(member.predict_proba(X), np.isin(np.arange(200), rows))
    gap = np.abs(bag.mean - peer.oob_decision_function_).max()
    return Check(
        float(max(gap, abs(1 - bag.error(codes) - peer.oob_score_))), 1e-12, "max |ours - peer|", "scikit-learn"
    )


@evidence(
    "bagging",
    claim="Members are the base on their rows and columns, and answers their means",
    against="direct recomputation",
)
def members_by_hand() -> Check:
    from sklearn.metrics import accuracy_score, r2_score

    from fivefold.models.trees import (
        BaggingClassifier,
        BaggingRegressor,
        DecisionTreeClassifier,
        DecisionTreeRegressor,
        OutOfBag,
    )

    X, y = _table(120, "members")
    w = Streams(22).numpy("weights").integers(0, 3, 120).astype(float)
    wrong = 0
    for kind, base, target in (
        (BaggingClassifier, DecisionTreeClassifier(max_depth=3), np.digitize(y, [-0.5, 0.5])),
        (BaggingRegressor, DecisionTreeRegressor(max_depth=3), y),
    ):
        for params in ({}, {"max_samples": 0.5, "max_features": 0.5}, {"max_features": 3, "bootstrap_features": True}):
            for weight in (None, w):
                bag = kind(base, 12, oob_score=True, random_state=1, **params).fit(X, target, weight)
                total, judge = 0.0, OutOfBag(120, getattr(bag, "classes_", None))
                for rows, columns in zip(bag.estimators_samples_, bag.estimators_features_, strict=True):
                    size = 120 if weight is None else int(np.sum(w > 0))
                    wrong += len(rows) != (round(size / 2) if "max_samples" in params else size)
                    wrong += weight is not None and bool((w[rows] == 0).any())
                    twin = type(base)(max_depth=3).fit(X[rows][:, columns], target[rows])
                    answer = twin.predict_proba if kind is BaggingClassifier else twin.predict
                    total = total + answer(X[:, columns]) / 12
                    judge.add(answer(X[:, columns]), np.isin(np.arange(120), rows))
                own = bag.predict_proba(X) if kind is BaggingClassifier else bag.predict(X)
                wrong += not np.allclose(own, total)
                mean = bag.oob_decision_function_ if kind is BaggingClassifier else bag.oob_prediction_
                wrong += not np.allclose(mean, judge.mean, equal_nan=True)
                some = judge.counts > 0
                weights = None if weight is None else weight[some]
                if kind is BaggingClassifier:
                    known = accuracy_score(target[some], mean[some].argmax(axis=1), sample_weight=weights)
                    wrong += not np.array_equal(bag.predict(X), total.argmax(axis=1))
                else:
                    known = r2_score(target[some], mean[some], sample_weight=weights)
                wrong += not abs(bag.oob_score_ - known) <= 1e-10
    return Check(int(wrong), 0, "facts that differ", "direct recomputation")


@evidence(
    "bagging",
    claim="Draws: counts, chances by weight, with and without replacement, alike for any threads",
    against="definition",
)
def draws() -> Check:
    from fivefold.models.trees import BaggingRegressor

    X, y = _table(100, "draws")
    wrong = 0
    bag = BaggingRegressor(n_estimators=200, random_state=2).fit(X, y)
    left = np.mean([len(np.setdiff1d(np.arange(100), rows)) for rows in bag.estimators_samples_]) / 100
    share = 0.99**100
    wrong += not abs(left - share) <= 5 * np.sqrt(share * (1 - share) / 20_000)
    wrong += any(len(columns) != 4 or (columns != np.arange(4)).any() for columns in bag.estimators_features_)
    w = np.where(np.arange(100) < 50, 3.0, 1.0)
    heavy = BaggingRegressor(n_estimators=200, random_state=2).fit(X, y, w)
    light = np.mean([np.mean(rows >= 50) for rows in heavy.estimators_samples_])
    wrong += not abs(light - 0.25) <= 5 * np.sqrt(0.25 * 0.75 / 20_000)
    whole = BaggingRegressor(n_estimators=4, bootstrap=False, random_state=2).fit(X, y)
    wrong += sum(len(np.unique(rows)) != 100 for rows in whole.estimators_samples_)
    wrong += not np.allclose(whole.predict(X), y)
    half = BaggingRegressor(n_estimators=4, bootstrap=False, max_samples=0.5, max_features=2, random_state=2).fit(X, y)
    wrong += sum(len(np.unique(rows)) != 50 for rows in half.estimators_samples_)
    wrong += sum(len(np.unique(columns)) != 2 for columns in half.estimators_features_)
    wrong += len({tuple(np.sort(columns)) for columns in half.estimators_features_}) < 2
    threaded = BaggingRegressor(n_estimators=200, random_state=2, n_jobs=2).fit(X, y)
    wrong += not np.array_equal(threaded.predict(X), bag.predict(X))
    defaults = BaggingRegressor(random_state=0).fit(X, y)
    wrong += len(defaults.estimators_) != 10 or hasattr(defaults, "oob_score_")
    return Check(int(wrong), 0, "facts that differ", "definition")


@evidence(
    "bagging",
    claim="Accuracy and out-of-bag accuracy are the peer's but for chance",
    against="scikit-learn BaggingClassifier",
)
def statistics_of_the_peer() -> Check:
    from sklearn.ensemble import BaggingClassifier as Peer

    from fivefold.models.trees import BaggingClassifier

    X, y = _table(600, "peer")
    codes = (y + 0.5 * Streams(23).numpy("noise").normal(size=600) > 0).astype(int)
    gaps = []
    for s in range(4):
        pair = [
            kind(n_estimators=50, oob_score=True, random_state=s).fit(X[:300], codes[:300])
            for kind in (BaggingClassifier, Peer)
        ]
        gaps.append(
            [
                pair[0].score(X[300:], codes[300:]) - pair[1].score(X[300:], codes[300:]),
                pair[0].oob_score_ - pair[1].oob_score_,
            ]
        )
    # The standard error of a mean of four paired differences of accuracies on 300 rows that mostly agree is below .012.
    return Check(float(np.abs(np.mean(gaps, axis=0)).max()), 0.036, "mean gap of accuracy", "scikit-learn")


@evidence("bagging", claim="Variance falls with the members while bias stays", against="many training sets")
def variance_falls_bias_stays() -> Check:
    from fivefold.models.trees import BaggingRegressor

    points = np.linspace(-1, 1, 41)[:, None]
    truth = np.sin(3 * points[:, 0])
    parts: dict[int, tuple[float, float]] = {}
    for members in (1, 12):
        answers = []
        for s in range(60):
            rng = Streams(s).numpy("sets")
            x = rng.uniform(-1, 1, (60, 1))
            y = np.sin(3 * x[:, 0]) + 0.5 * rng.normal(size=60)
            answers.append(BaggingRegressor(n_estimators=members, random_state=s).fit(x, y).predict(points))
        mean = np.mean(answers, axis=0)
        parts[members] = float(np.mean((mean - truth) ** 2)), float(np.var(answers, axis=0).mean())
    (bias_one, variance_one), (bias_many, variance_many) = parts[1], parts[12]
    # Bias squared is estimated with an error of about variance / 60.
    worst = max(variance_many / variance_one / 0.75, abs(bias_many - bias_one) / (4 * variance_one / 60))
    return Check(worst, 1, "largest ratio to its allowance", "60 training sets")


@evidence(
    "bagging",
    claim="Networks are bagged like trees: the mean of networks trained on their rows",
    against="direct recomputation",
)
def bagged_networks() -> Check:
    import torch

    from fivefold.models.nn import MLPRegressor
    from fivefold.models.trees import BaggingRegressor

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    X, y = _table(60, "networks")
    base = MLPRegressor(max_epochs=2, random_state=0)
    bag = BaggingRegressor(base, 3, random_state=5).fit(X, y)
    answers: Any = [
        MLPRegressor(**member.get_params()).fit(X[rows], y[rows]).predict(X)
        for member, rows in zip(bag.estimators_, bag.estimators_samples_, strict=True)
    ]
    torch.set_num_threads(before)
    seeds = {member.random_state for member in bag.estimators_}
    gap = np.abs(bag.predict(X) - np.mean(answers, axis=0)).max()
    return Check(float(gap) if len(seeds) == 3 else np.inf, 1e-6, "max |bag - mean|", "direct recomputation")


@evidence(
    "bagging", claim="A member that saw fewer classes, or has no probabilities, still counts", against="worked example"
)
def partial_members() -> Check:
    from fivefold.models.linear import Perceptron
    from fivefold.models.trees import BaggingClassifier

    x = np.arange(6.0)[:, None]
    y = np.array(["a", "b", "c", "a", "b", "c"])
    bag = BaggingClassifier(n_estimators=9, max_samples=2, random_state=0).fit(x, y)
    few = sum(len(member.classes_) < 3 for member in bag.estimators_)
    known = np.mean(
        [
            [
                [
                    member.predict_proba(x)[i, list(member.classes_).index(c)] if c in member.classes_ else 0.0
                    for c in "abc"
                ]
                for i in range(6)
            ]
            for member in bag.estimators_
        ],
        axis=0,
    )
    wrong = int(few == 0) + (not np.allclose(bag.predict_proba(x), known))
    X, target = _table(80, "perceptrons")
    labels = np.where(target > 0, "up", "down")
    votes = BaggingClassifier(Perceptron(), 5, random_state=0).fit(X, labels)
    shares = np.mean(
        [[label == np.array(["down", "up"]) for label in member.predict(X)] for member in votes.estimators_], axis=0
    )
    wrong += hasattr(votes.estimators_[0], "predict_proba") or not np.allclose(votes.predict_proba(X), shares)
    return Check(int(wrong), 0, "facts that differ", "worked example")
