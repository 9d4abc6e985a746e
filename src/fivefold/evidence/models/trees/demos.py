"""The demonstrations of ensembles: their exact parts by other means, and their claims with a control in which they vanish."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence


@evidence(
    "adaboost-error-bound",
    claim="Normalizers and errors are those of weights recomputed from the scores; Z is least at AdaBoost's alpha only",
    against="closed forms",
)
def normalizers_by_scores() -> Check:
    from fivefold.demos.trees.error_bound import normalizers

    rng = Streams(61).numpy("signs")
    y = rng.choice([-1, 1], 50)
    answers = np.where(rng.random((8, 50)) < 0.3, -y, y)
    worst = []
    u = np.full(50, 1 / 50)
    optimal = []
    for row in answers:  # weights of AdaBoost, never normalized
        error = u[row != y].sum() / u.sum()
        optimal.append(0.5 * np.log((1 - error) / error))
        u = u * np.exp(-optimal[-1] * y * row)
    for alphas in (np.array(optimal), rng.uniform(0.1, 1.0, 8)):
        z, errors = normalizers(answers, y, alphas)
        f = np.cumsum(alphas[:, None] * answers, axis=0)
        losses = np.exp(-y * f).mean(axis=1)
        worst.append(np.abs(np.cumprod(z) - losses).max())
        u = np.exp(-y * np.vstack([np.zeros(50), f[:-1]]))
        worst.append(np.abs(errors - (u * (answers != y)).sum(axis=1) / u.sum(axis=1)).max())
        gap = np.abs(z - 2 * np.sqrt(errors * (1 - errors)))
        worst.append(gap.max() if alphas is not None and np.allclose(alphas, optimal) else float(gap.max() < 1e-3))
        worst.append(np.abs(z - ((1 - errors) * np.exp(-alphas) + errors * np.exp(alphas))).max())
    return Check(float(np.max(worst)), 1e-12, "largest gap", "closed forms")


@evidence(
    "adaboost-error-bound",
    claim="The bound holds, its two forms agree, margins grow, and errors on new rows fall after the last training error",
    against="the theorem",
)
def the_bound_holds() -> Check:
    from fivefold.demos.trees.error_bound import AdaBoostErrorBoundDemo, sphere

    X, y = sphere(4000, Streams(62).numpy("sphere"))
    wrong = int(np.sum((y == 1) != (np.linalg.norm(X, axis=1) ** 2 > 10 - 2 / 3)))
    wrong += not abs(np.mean(y)) <= 0.08  # about half of each; the median of chi-squared of 10 is 9.342
    with tempfile.TemporaryDirectory() as folder:
        demo = AdaBoostErrorBoundDemo(n_samples=300, n_new=1000, members=(5, 60, 300))
        numbers = demo.run(seed=3, out=folder).numbers
        quick = demo.run(seed=3, out=folder, quick=True).numbers
    wrong += not numbers["relative gap of exp-loss and product of Z"] <= 1e-11
    wrong += not numbers["relative gap of exp-loss and product of 2 sqrt(e (1 - e))"] <= 1e-11
    wrong += numbers["rounds in which the bound fails"] != 0 or numbers["members"] != 300
    # The grid of alphas has 2001 points from 0 to twice alpha.
    step = numbers["first alpha"] / 1000
    wrong += not abs(numbers["argument of the least Z of the first round"] - numbers["first alpha"]) <= step
    margins = [numbers[f"least margin, {m} members"] for m in (5, 60, 300)]
    wrong += not margins[0] < 0 < margins[1] < margins[2]
    wrong += not numbers["first round without training errors"] <= 60
    wrong += not numbers["error on new rows in the end"] < numbers["error on new rows then"]
    wrong += quick["members"] != 30 or "median margin, 6 members" not in quick
    # A member of greater depth reaches the rows sooner.
    with tempfile.TemporaryDirectory() as folder:
        deep = AdaBoostErrorBoundDemo(n_samples=300, n_new=10, members=(60,), depth=5).run(seed=3, out=folder).numbers
    wrong += not deep["first round without training errors"] < numbers["first round without training errors"]
    return Check(int(wrong), 0, "claims that fail", "the theorem")


@evidence(
    "gradient-boosting-adaboost-identity",
    claim="The stump has the largest inner product of all stumps",
    against="brute force",
)
def best_stump_by_enumeration() -> Check:
    from fivefold.demos.trees.boosting_identity import LeastErrorStump, answer, best_stump

    wrong = 0
    for case in range(30):
        rng = Streams(case).numpy("stumps")
        n = int(rng.integers(3, 14))
        X = rng.integers(0, 5, (n, 2)).astype(float)
        r = rng.normal(size=n) + (2.0 if case % 5 == 0 else 0.0)
        top = max(
            sign * np.sum(r * np.where(X[:, f] > cut, 1, -1))
            for f in range(2)
            for cut in [-np.inf, *np.unique(X[:, f])]
            for sign in (-1, 1)
        )
        stump = best_stump(X, r)
        wrong += not abs(np.sum(r * answer(stump, X)) - top) <= 1e-12
        y, w = np.where(r > 0, 1, -1), np.abs(r)
        base = LeastErrorStump().fit(X, y, w)
        wrong += not abs(w[base.predict(X) != y].sum() - (w.sum() - top) / 2) <= 1e-12
    wrong += best_stump(np.array([[1.0], [4.0]]), np.array([-1.0, 1.0])) != (0, 2.5, 1)
    wrong += best_stump(np.array([[1.0], [4.0]]), np.array([1.0, -1.0])) != (0, 2.5, -1)
    return Check(wrong, 0, "stumps that are not best", "brute force")


@evidence(
    "gradient-boosting-adaboost-identity",
    claim="Same members, weights ln sqrt((1 - e) / e) and scores at every round; not so with the logistic loss",
    against="AdaBoost by hand and the control",
)
def the_identity() -> Check:
    from fivefold.demos.trees.boosting_identity import LOSSES, BoostingIdentityDemo, answer, gradient_boosting

    wrong = 0
    for loss, (value, slope) in LOSSES.items():
        m = np.linspace(-3, 3, 13)
        known = np.log1p(np.exp(-m)) if loss == "logistic" else np.exp(-m)
        wrong += not np.allclose(value(m), known) or not np.allclose(
            slope(m), (value(m + 1e-6) - value(m - 1e-6)) / 2e-6, rtol=1e-6
        )
    for seed in (0, 4):
        demo = BoostingIdentityDemo(n_samples=120, rounds=24)
        X, y = demo.data(seed)
        stumps, alphas, scores = gradient_boosting(X, y, 24, "exponential")
        u, f = np.ones(120), np.zeros(120)
        for t, stump in enumerate(stumps):
            h = answer(stump, X)
            error = u[h != y].sum() / u.sum()
            alpha = np.log(np.sqrt((1 - error) / error))
            f = f + alpha * h
            u = np.where(h != y, u * np.exp(alpha), u * np.exp(-alpha))
            wrong += not abs(alphas[t] - alpha) <= 1e-9 or not np.allclose(scores[t], f, atol=1e-8)
        with tempfile.TemporaryDirectory() as folder:
            numbers = demo.run(seed=seed, out=folder).numbers
            quick = demo.run(seed=seed, out=folder, quick=True).numbers
        wrong += numbers["exponential: members that differ"] != 0 or quick["rounds"] != 8 or numbers["rounds"] != 24
        wrong += not numbers["exponential: largest gap of weights"] <= 1e-10
        wrong += not numbers["exponential: largest gap of scores"] <= 1e-9
        wrong += (
            not numbers["logistic: members that differ"] >= 5 or not numbers["logistic: largest gap of weights"] >= 0.1
        )
        wrong += not numbers["logistic: largest gap of scores"] >= 0.1
    return Check(int(wrong), 0, "facts that differ", "AdaBoost by hand")


@evidence(
    "tree-ensemble-miku",
    claim="Depth 5 is poor, 20 perfect; a shallow forest underfits; 100 boosted trees of depth 5 draw the picture",
    against="scikit-learn's members and the picture without structure",
)
def the_picture() -> Check:
    from sklearn.tree import DecisionTreeClassifier as Peer

    from fivefold.demos.trees.picture_function import PictureFunctionDemo, picture, pixels

    X, y = pixels(64)
    wrong = X.shape != (4096, 2) or not 0.2 < y.mean() < 0.5
    wrong += X[0].tolist() != [0.5 / 64, 1 - 0.5 / 64] or X[-1].tolist() != [1 - 0.5 / 64, 0.5 / 64]
    # Hair, face, both tails, an eye, background, body and tie.
    at = np.array(
        [[0.5, 0.85], [0.5, 0.65], [0.12, 0.4], [0.88, 0.4], [0.57, 0.57], [0.05, 0.95], [0.45, 0.1], [0.5, 0.3]]
    )
    wrong += picture(*at.T).tolist() != [1, 0, 1, 1, 1, 0, 1, 0]
    with tempfile.TemporaryDirectory() as folder:
        numbers: Any = PictureFunctionDemo(n_estimators=40).run(out=folder, quick=True).numbers
    trees = [numbers[f"tree, depth {d}"] for d in (5, 10, 15, 20)]
    peers = [Peer(max_depth=d, random_state=0).fit(X, y).score(X, y) for d in (5, 10, 15, 20)]
    # Ties between equal cuts of symmetric parts may be decided otherwise.
    wrong += (
        bool(not np.abs(np.subtract(trees, peers)).max() <= 0.02) or trees != sorted(trees) or not trees[3] >= 0.999
    )
    boosted = [numbers[f"boosted, {t} rounds"] for t in (10, 20, 50, 100)]
    wrong += boosted != sorted(boosted) or not boosted[3] >= 0.99 or not trees[0] <= 0.8
    wrong += not numbers["forest, depth 5"] <= 0.9 or not numbers["forest, depth 20"] >= 0.999
    wrong += (
        not numbers["forest, depth 5"] >= numbers["one color"]
        or not abs(numbers["one color"] - (1 - y.mean())) <= 1e-12
    )
    return Check(int(wrong), 0, "claims that fail", "scikit-learn DecisionTreeClassifier")
